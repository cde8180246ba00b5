/*
 * A cursor: a named reader of the log whose place is durable, and which holds back trimming.
 *
 *     open ──> ATTACHED ──read, acknowledge──> ATTACHED
 *                 │ it holds back more than held_bytes_max, or its records are gone
 *                 v
 *             DETACHED: every read is DATALOG_TRIMMED ──attach──> ATTACHED
 *
 * What is acknowledged becomes durable with the next datalog_trim() or close: after a crash a
 * cursor may be behind what was acknowledged, never ahead, so some records come again. All
 * cursors are in one small file, each under its own checksum (docs/formats/datalog.md). One that
 * is damaged is reported by name and starts at the oldest record, never behind it.
 *
 * A name has one handle at a time, used by one thread; datalog_cursor_acknowledge() and
 * datalog_cursor_wake() may be called from others. Names: 1 to 200 bytes of printable ASCII
 * without spaces. Handles must be closed before the log.
 */
#ifndef DATALOG_CURSOR_H
#define DATALOG_CURSOR_H

#include "datalog/log.h"

#define DATALOG_CURSOR_NAME_BYTES_MAX 200
#define DATALOG_CURSORS_MAX 1024

struct datalog_cursor;

/* A new name starts at the oldest record and is durable on return. ERR_CONFLICT: somebody else
 * has it open; ERR_INVALID: no such name is allowed; ERR_TOO_LARGE: there are too many. */
MUST_CHECK int datalog_cursor_open(struct datalog *log, const char *name,
                                   struct datalog_cursor **ret_cursor);
void datalog_cursor_close(struct datalog_cursor **cursor);

/* As datalog_read(), from the first record that was not acknowledged when it was opened, but
 * DATALOG_TRIMMED stays until datalog_cursor_attach(). */
MUST_CHECK int datalog_cursor_read(struct datalog_cursor *cursor,
                                   struct datalog_record *ret_record);

/* 0: a read has something to say. DATALOG_END: the time is over, or somebody called wake. */
MUST_CHECK int datalog_cursor_wait(struct datalog_cursor *cursor, int64_t timeout_ms);
void datalog_cursor_wake(struct datalog_cursor *cursor);

/* Instead of waiting: `advanced` is called whenever there are new records, by the log's writer,
 * which it may not keep waiting and whose log it may not call. NULL: no more. */
void datalog_cursor_watch(struct datalog_cursor *cursor, void (*advanced)(void *context),
                          void *context);

/* Everything up to and including `position` has arrived. A lower one than before is ignored;
 * ERR_INVALID: the log has no such record. */
MUST_CHECK int datalog_cursor_acknowledge(struct datalog_cursor *cursor, uint64_t position);

/* Goes on at `position` and holds the log from there on, durably; DATALOG_TRIMMED when it is gone
 * already, ERR_INVALID behind the end. For a snapshot: attach at datalog_end(), take the
 * snapshot, then read. */
MUST_CHECK int datalog_cursor_attach(struct datalog_cursor *cursor, uint64_t position);

struct datalog_cursor_stats {
    const char *name;
    uint64_t next;  /* position of the first record that is not acknowledged */
    uint64_t first; /* of the oldest record in the log: DETACHED, [next, first) is missing */
    bool detached;
    bool open;
    uint64_t lag_records;
    uint64_t lag_bytes; /* in the files, and */
    uint64_t lag_ns;    /* age of the first record that is not acknowledged and still there */
};

/* `name` lives as long as the handle. */
struct datalog_cursor_stats datalog_cursor_stats(struct datalog_cursor *cursor);

/* Calls `each` for every cursor, by name; a return but 0 stops the walk and is returned. It may
 * read a segment file per cursor: not for every record. `each` may call nothing of cursors. */
MUST_CHECK int datalog_cursors(struct datalog *log,
                               int (*each)(void *context, const struct datalog_cursor_stats *stats),
                               void *context);

/* Forgets it, durably. ERR_NOT_FOUND; ERR_CONFLICT: it is open. */
MUST_CHECK int datalog_cursor_remove(struct datalog *log, const char *name);

#endif
