/*
 * What the files of datalog/ share and nobody else sees.
 */
#ifndef DATALOG_INTERNAL_H
#define DATALOG_INTERNAL_H

#include <pthread.h>
#include <time.h>

#include "base/vec.h"
#include "datalog/origins.h"
#include "datalog/record.h"

struct datalog_file {
    uint64_t first; /* position it is named by */
    uint64_t begin; /* where its records begin; of a damaged header: at the earliest */
    uint64_t bytes; /* confirmed ones, in the newest file; all, in the others */
};

/* A payload that is written from where it is, behind so many bytes of the group's buffer. */
struct datalog_direct {
    size_t behind;
    struct span payload;
};

struct datalog_cursor {
    struct datalog *log;
    char *name;
    bool open;
    bool detached;
    bool woken;
    uint64_t next;  /* position of the first record that is not acknowledged */
    uint64_t saved; /* the same, as the file `cursors` has it at least */

    struct datalog_reader *reader;   /* the handle's; NULL: not open */
    void (*advanced)(void *context); /* may be NULL */
    void *advanced_context;

    /* Where the record `next` stood when the lag was asked for. */
    uint64_t place_next; /* 0: not known */
    uint64_t place_file;
    uint64_t place_offset;
    uint64_t place_time;
};

/*
 * `lock` guards the files, the end, the queue, the origins, the cursors and the counters. What
 * stands under "writer" is the writer thread's alone (and open's, before it starts).
 * `cursors_changing` is held, and taken before `lock`, by who writes the file `cursors` or makes
 * or frees a cursor.
 */
struct datalog {
    struct io *io;
    char *dir;
    struct uuid node;
    uint64_t segment_bytes_max;
    uint64_t pending_bytes_max;
    uint64_t group_bytes_max;
    uint64_t direct_bytes_min; /* payloads from here on are written without a copy */
    uint64_t held_bytes_max;
    uint64_t ahead_ns_max;
    void (*report)(void *context, const char *text);
    void *report_context;

    pthread_mutex_t cursors_changing;
    bool removal_unsynced; /* under it */
    pthread_mutex_t lock;
    pthread_cond_t handed_over; /* to the writer */
    pthread_cond_t room;        /* to submitters */
    pthread_cond_t advanced;    /* to datalog_wait() */
    VEC(struct datalog_file) files;
    uint64_t end;
    struct datalog_submission *first_pending;
    struct datalog_submission **last_pending;
    uint64_t pending_bytes;
    bool closing;
    uint64_t rotations_wanted;
    uint64_t rotations_done;
    int rotation_rc; /* of the last one */
    char rotation_text[ERR_TEXT_BYTES_MAX];
    struct datalog_stats stats; /* the counters only */
    struct datalog_origins origins;
    VEC(struct datalog_origin_position) advances; /* to the writer, with a rotation */
    VEC(struct datalog_cursor *) cursors;         /* owned */
    bool cursors_changed;                         /* more than a `next` */

    /* writer */
    pthread_t thread;
    bool thread_runs;
    struct datalog_origin origin;
    uint64_t origin_position; /* last one given; changes under the lock, as does */
    uint64_t origin_time;     /* its time */
    uint64_t time;            /* last one given */
    struct io_file *file;     /* of the newest segment; NULL: begin a new one first */
    uint64_t file_first;      /* position it is named by */
    uint64_t file_begin;      /* where its records begin */
    uint64_t offset;          /* where the next group goes */
    struct buf group;         /* what is copied of it */
    VEC(struct datalog_direct) direct;
    uint64_t group_bytes; /* of both */
};

char *datalog_file_path(const struct datalog *log, uint64_t first);

/* Fills files, end, origin, origin_position, time; leaves `file` NULL or ready for appending. */
MUST_CHECK int datalog_recover(struct datalog *log, uint64_t position_min, bool begin_anew);

void *datalog_writer(void *log);
struct timespec datalog_deadline(int64_t timeout_ms); /* of the monotonic clock */

bool datalog_same_origin(struct datalog_origin a, struct datalog_origin b);
void datalog_report(struct datalog *log, const char *format, ...) PRINTF_LIKE(2, 3);

/* Where the record stands that the reader gave last. */
void datalog_reader_place(const struct datalog_reader *reader, uint64_t *ret_file,
                          uint64_t *ret_offset);

/* The file `cursors`: read while opening; written if anything in it has changed. */
MUST_CHECK int datalog_cursors_load(struct datalog *log);
MUST_CHECK int datalog_cursors_save(struct datalog *log);

/* Once the end is known: damaged ones start at the oldest record, others are detached. */
void datalog_cursors_settle(struct datalog *log);

/* How far may be trimmed if the wells need nothing below `position`: detaches, saves. The fault
 * is that of saving; what is returned holds in any case. */
MUST_CHECK int datalog_cursors_hold(struct datalog *log, uint64_t position, uint64_t *ret_position);
void datalog_cursors_free(struct datalog *log);

/* Tells those that watch; under the lock. */
void datalog_cursors_advanced(struct datalog *log);

/* A new file for the records from log->end on, durable under its name. Closes the old one. */
MUST_CHECK int datalog_begin_file(struct datalog *log);

#endif
