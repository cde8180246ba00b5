/*
 * A disk that lies, to show that the lives notice: each lie stands for a fault that a storage
 * could have. It sits in front of the simulated disk and leaves out one kind of call. One liar at
 * a time.
 */
#ifndef CRASH_LIAR_H
#define CRASH_LIAR_H

#include "io/sim.h"

enum lie {
    LIE_NONE,
    LIE_LOG_SYNC,     /* acknowledged before it is durable */
    LIE_SEGMENT_SYNC, /* a flush counts before its segments are durable */
    LIE_NAME_SYNC,    /* names are relied on before they are */
    LIE_MARK,         /* the mark of a flush is not made */
    LIE_REMOVE,       /* what retention or merging removed is still there */
    LIE_TOMBSTONES,   /* deletes are forgotten when the log is trimmed */
    LIE_CATALOGUE,    /* a checkpoint counts before it is durable */
    LIE_TAGS_SYNC,    /* a tag's number is given out before it is durable */
    LIES
};

const char *liar_name(enum lie lie);

struct liar {
    struct io_sim sim; /* first: the simulated disk finds itself by its door */
    struct io_methods methods;
    enum lie lie;
    uint64_t told;    /* lies so far */
    bool short_reads; /* no lie: reads may give less than asked */
};

void liar_init(struct liar *liar, uint64_t seed, enum lie lie);
void liar_deinit(struct liar *liar);

#endif
