/*
 * What the files of datalog/ share and nobody else sees.
 */
#ifndef DATALOG_INTERNAL_H
#define DATALOG_INTERNAL_H

#include <pthread.h>

#include "base/vec.h"
#include "datalog/record.h"

struct datalog_file {
    uint64_t first; /* position it is named by */
    uint64_t bytes; /* confirmed ones, in the newest file; all, in the others */
};

/*
 * `lock` guards the files, the end, the queue and the counters. What stands under "writer" is
 * the writer thread's alone (and open's, before it starts).
 */
struct datalog {
    struct io *io;
    char *dir;
    struct uuid node;
    uint64_t segment_bytes_max;
    uint64_t pending_bytes_max;
    uint64_t group_bytes_max;

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

    /* writer */
    pthread_t thread;
    bool thread_runs;
    struct datalog_origin origin;
    uint64_t origin_position; /* last one given */
    uint64_t time;            /* last one given */
    struct io_file *file;     /* of the newest segment; NULL: begin a new one first */
    uint64_t file_first;      /* position it is named by */
    uint64_t offset;          /* where the next group goes */
    struct buf group;
};

char *datalog_file_path(const struct datalog *log, uint64_t first);

/* Fills files, end, origin, origin_position, time; leaves `file` NULL or ready for appending. */
MUST_CHECK int datalog_recover(struct datalog *log, uint64_t position_min);

/* A new file for the records from log->end on, durable under its name. Closes the old one. */
MUST_CHECK int datalog_begin_file(struct datalog *log);

#endif
