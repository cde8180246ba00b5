/*
 * Looking at a log's files without opening the log: for people and tools. Nothing is written,
 * cut or repaired, so the directory may be that of a running node: files that are trimmed
 * meanwhile are passed over, and what lies behind the last whole record of the newest file is
 * its tail, not damage, for its writer may be in the middle of it.
 */
#ifndef DATALOG_INSPECT_H
#define DATALOG_INSPECT_H

#include "datalog/cursor.h"
#include "datalog/record.h"

/* A record where it stands. Borrowed for the call. */
struct datalog_seen_record {
    uint64_t file; /* first position, as in the name */
    uint64_t offset;
    uint64_t bytes;
    uint64_t group;
    bool ignored; /* its group failed: the next file gives its position again */
    const struct datalog_record *record;
};

/* A file, after its records. */
struct datalog_seen_file {
    uint64_t first;
    uint64_t bytes;
    const struct datalog_file_header *header; /* NULL: damaged */
    uint64_t records;                         /* whole, and not ignored */
    uint64_t ignored;
    uint64_t last;    /* position of the last record; 0: none */
    uint64_t missing; /* positions that should be here and are not */
    uint64_t damaged; /* bytes that are no record, with records or another file behind them */
    uint64_t tail;    /* of the newest file: bytes behind its last whole record */
};

/* A cursor, after the files; `first` is that of the oldest file. */
struct datalog_seen_cursor {
    struct datalog_cursor_stats stats; /* `open` is not known; lag_ns up to now */
    bool damaged;                      /* only the name is known, and it may be a wrong one */
};

/* Any of them may be NULL; what a method returns but 0 stops the walk and is returned. */
struct datalog_visitor {
    int (*record)(void *context, const struct datalog_seen_record *seen);
    int (*damage)(void *context, uint64_t file, uint64_t offset, uint64_t bytes);
    int (*file)(void *context, const struct datalog_seen_file *seen);
    int (*cursor)(void *context, const struct datalog_seen_cursor *seen);
    /* After the files: how far the records of each origin are here, by headers and records. */
    int (*origin)(void *context, const struct datalog_origin_position *position, bool own);
    void *context;
};

/* Files in order, with every checksum looked at; then the cursors, then the origins. The damage
 * of the file `cursors` is told as that of file 0, with the number of lines for bytes.
 * ERR_NOT_FOUND when there is no log. */
MUST_CHECK int datalog_inspect(struct io *io, const char *dir,
                               const struct datalog_visitor *visitor);

#endif
