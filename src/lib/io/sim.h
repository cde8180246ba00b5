/*
 * The simulated twin of io_real(): a filesystem in memory, a clock and randomness, all under one
 * seed. It is what a disk is allowed to be and hopefully never is:
 *
 *     init ──calls──> running ──crash_at reached, or io_sim_power_off──> OFF: every call fails
 *                        ^                                                │
 *                        └───────────────── io_sim_crash ─────────────────┘
 *
 * What io_sync() has not confirmed may be kept, torn at any byte or lost, each write for itself;
 * what io_sync_dir() has not confirmed (a name made, moved or removed) is kept or lost, each
 * change for itself. A sync that failed leaves any part of what it was to write, for good.
 * Files that were open at the crash stay closed: their calls fail, closing frees them.
 *
 * Threads: any number; one lock. The fields below are set between calls, by one thread.
 */
#ifndef IO_SIM_H
#define IO_SIM_H

#include <pthread.h>

#include "base/map.h"
#include "io/io.h"

struct sim_inode;
struct sim_change;

struct io_sim {
    struct io io; /* the door: hand out &sim.io */

    /* What shall go wrong. Calls are counted from 1; all count but close, exists and the clocks. */
    uint64_t fail_at;     /* this call fails with fail_with, the others do not; 0: none */
    enum err fail_with;   /* ERR_IO */
    uint64_t crash_at;    /* the power goes at this call, which may be half done; 0: never */
    uint64_t space_bytes; /* file bytes the disk holds; 0: without end */
    int64_t now_ns;       /* the wall clock; both clocks move by tick_ns at each look */
    int64_t tick_ns;

    /* What has happened. */
    uint64_t calls;
    bool failed; /* fail_at was reached */
    bool off;    /* the power is off */

    /* Its own. */
    pthread_mutex_t lock;
    uint64_t random;
    int64_t monotonic_ns;
    uint64_t life;            /* counts crashes; files of an earlier life are dead */
    struct map names;         /* path -> inode, as the program sees it */
    struct map durable_names; /* path -> inode, as a crash would leave it at least */
    struct sim_change *changes;
    size_t changes_count;
    size_t changes_capacity;
    struct sim_inode *inodes;
};

void io_sim_init(struct io_sim *sim, uint64_t seed);
void io_sim_deinit(struct io_sim *sim);

void io_sim_power_off(struct io_sim *sim);
void io_sim_crash(struct io_sim *sim); /* and power is back; fail_at and crash_at are cleared */

/* For tests that damage files: flips `mask` in the byte at `offset`, durably. False: no such. */
bool io_sim_flip(struct io_sim *sim, const char *path, uint64_t offset, uint8_t mask);

/* The bytes that the files with a name hold. */
uint64_t io_sim_used(struct io_sim *sim);

/* The seed's own stream of numbers, for the test that drives it: below `bound`, which is > 0. */
uint64_t io_sim_below(struct io_sim *sim, uint64_t bound);

#endif
