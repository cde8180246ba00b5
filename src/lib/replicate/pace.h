/*
 * The rate of a link: so many bytes a second and no more, evenly, whatever the size of what is
 * sent. What is too large for the moment goes and is owed: nothing more goes until that is paid.
 * Pure: the caller has the clock.
 */
#ifndef REPLICATE_PACE_H
#define REPLICATE_PACE_H

#include <stdint.h>

#define REPLICATE_PACE_BURST_NS INT64_C(100000000) /* what is saved up at most while idle */

/* Zeroed but for the rate. */
struct replicate_pace {
    uint64_t bytes_per_s; /* 0: as fast as it goes */
    int64_t paid_ns;      /* up to this moment on the monotonic clock all is paid for */
};

/* 0: something may go now; else in so many nanoseconds. */
int64_t replicate_pace_wait_ns(const struct replicate_pace *pace, int64_t now_ns);

/* So many bytes go now, at most 2^34. */
void replicate_pace_take(struct replicate_pace *pace, uint64_t bytes, int64_t now_ns);

#endif
