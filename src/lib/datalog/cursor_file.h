/*
 * The file `cursors` of a log as text: docs/formats/datalog.md. Pure.
 */
#ifndef DATALOG_CURSOR_FILE_H
#define DATALOG_CURSOR_FILE_H

#include "datalog/cursor.h"

#define DATALOG_CURSORS_NAME "cursors"
#define DATALOG_CURSORS_BYTES_MAX ((size_t)1 << 20)

struct datalog_cursor_line {
    struct span name; /* borrowed */
    uint64_t next;
    bool detached;
    bool damaged; /* only the name is to be used, and it may be a wrong one */
};

bool datalog_cursor_name_is_good(struct span name);

void datalog_cursor_line_write(struct buf *text, const struct datalog_cursor_line *line);
void datalog_cursor_end_write(struct buf *text, size_t count); /* behind the last line */

/* Calls `each` per line that has a name. Returns how many lines are damaged, those without a
 * name and those that are missing included. */
size_t datalog_cursor_lines_read(struct span text,
                                 void (*each)(void *context,
                                              const struct datalog_cursor_line *line),
                                 void *context);

#endif
