/*
 * What storage does beside appending: flushing, trimming the log, merging, packing, watching the
 * disk.
 * Retention: storage_retain.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "indexer/storage_internal.h"

#define ROUND_MS 1000
#define ROUNDS_PER_KEPT 8     /* flushing looks at least so often before the log is too large */
#define MERGE_PAUSE_ROUNDS 60 /* after a merge that failed */
#define PACK_PAUSE_ROUNDS 10  /* while there is nothing to pack */
/* Who waits for a commit waits for the log, not for the wells: these leave the CPU to it. */
#define FLUSH_NICE 5
#define MERGE_NICE 10
#define PACK_NICE 19 /* the least of the CPU, if anybody wants it */

/* Free space below the reserve on any of our volumes stops ingest; some more starts it again. */
static bool is_low(struct storage *storage, const char *dir, bool was_low,
                   char text[ERR_TEXT_BYTES_MAX])
{
    uint64_t left;
    uint64_t total;
    if (io_space(storage->io, dir, &left, &total) < 0) {
        return false;
    }
    uint64_t reserve = MIN(storage->reserve_bytes, total / 8);
    uint64_t wanted = was_low ? reserve + reserve / 4 : reserve;
    atomic_store(&storage->watch_bytes, reserve / 8);
    if (left >= wanted) {
        return false;
    }
    snprintf(text, ERR_TEXT_BYTES_MAX,
             "%s has %" PRIu64 " MB free, %" PRIu64 " MB are kept in reserve", dir, left / 1000000,
             reserve / 1000000);
    return true;
}

void storage_watch_space(struct storage *storage)
{
    char text[ERR_TEXT_BYTES_MAX] = "";
    pthread_mutex_lock(&storage->lock);
    bool was_low = storage->space_low;
    pthread_mutex_unlock(&storage->lock);
    bool low = is_low(storage, storage->datalog_dir, was_low, text);
    for (size_t i = 0; i < storage->slots.count && !low; i++) {
        const char *dir = storage->slots.items[i].location;
        low = dir != NULL && is_low(storage, dir, was_low, text);
    }
    pthread_mutex_lock(&storage->lock);
    bool change = low != storage->space_low;
    storage->space_low = low;
    memcpy(storage->space_text, text, sizeof(text));
    if (!low) {
        storage->log_full = false; /* the next append shows whether that is so */
    }
    pthread_mutex_unlock(&storage->lock);
    if (change && low) {
        storage_report(storage, "ingest stopped: disk full: %s", text);
    } else if (change) {
        storage_report(storage, "ingest resumed: there is room again");
    }
}

bool storage_stopped(struct storage *storage, struct buf *text)
{
    pthread_mutex_lock(&storage->lock);
    const char *why = storage->space_low  ? storage->space_text
                      : storage->log_full ? storage->log_text
                                          : NULL;
    if (why != NULL) {
        buf_printf(text, "disk full: %s", why);
    }
    pthread_mutex_unlock(&storage->lock);
    return why != NULL;
}

static bool is_behind(struct storage *storage)
{
    for (size_t i = 0; i < storage->slots.count; i++) {
        if (well_sealed(storage->slots.items[i].well) >= STORAGE_SEALED_MAX) {
            return true;
        }
    }
    return false;
}

int storage_admit(struct storage *storage, uint64_t bytes)
{
    int rc = 0;
    if (atomic_fetch_add(&storage->unwatched_bytes, bytes) + bytes >
        atomic_load(&storage->watch_bytes)) {
        atomic_store(&storage->unwatched_bytes, 0);
        storage_watch_space(storage);
    }
    uint64_t due = storage->kept_bytes_max / ROUNDS_PER_KEPT;
    uint64_t before = atomic_fetch_add(&storage->untrimmed_bytes, bytes);
    pthread_mutex_lock(&storage->lock);
    if (before <= due && before + bytes > due) {
        pthread_cond_broadcast(&storage->work);
    }
    while (rc == 0) {
        if (storage->space_low) {
            rc = err_set(ERR_NO_SPACE, "ingest stopped: disk full: %s", storage->space_text);
        } else if (!is_behind(storage)) {
            break;
        } else if (storage->flush_rc < 0) {
            rc = err_set((enum err)storage->flush_rc, "ingest stopped: %s", storage->flush_text);
        } else if (storage->manual) {
            break;
        } else {
            pthread_cond_broadcast(&storage->work);
            pthread_cond_wait(&storage->changed, &storage->lock);
        }
    }
    pthread_mutex_unlock(&storage->lock);
    return rc;
}

static void seal_all(struct storage *storage)
{
    for (size_t i = 0; i < storage->slots.count; i++) {
        well_seal(storage->slots.items[i].well);
    }
}

/* The position from which on the wells need the log. */
static uint64_t needed_from(struct storage *storage)
{
    uint64_t needed = atomic_load(&storage->applied_end); /* first: wells only move on from it */
    uint64_t applied_end = needed;
    for (size_t i = 0; i < storage->slots.count; i++) {
        uint64_t from = well_needs_from(storage->slots.items[i].well, applied_end);
        needed = MIN(needed, from);
    }
    return needed;
}

/* Of the log, what the wells hold back. What cursors do, flushing does not change. */
static uint64_t kept_bytes(struct storage *storage)
{
    return datalog_bytes_from(storage->log, needed_from(storage));
}

/* Wells that hold back too much of the log seal what they have. */
static void seal_laggards(struct storage *storage)
{
    if (kept_bytes(storage) > storage->kept_bytes_max) {
        seal_all(storage);
    }
}

static int flush_wells(struct storage *storage)
{
    int rc = 0;
    for (size_t i = 0; i < storage->slots.count; i++) {
        int well_rc = well_flush(storage->slots.items[i].well);
        if (well_rc < 0 && rc == 0) {
            rc = well_rc;
            pthread_mutex_lock(&storage->lock);
            bool change = storage->flush_rc == 0;
            storage->flush_rc = rc;
            snprintf(storage->flush_text, sizeof(storage->flush_text), "%s", err_text());
            pthread_mutex_unlock(&storage->lock);
            if (change) {
                storage_report(storage, "flushing failed and will be tried again: %s", err_text());
            }
        }
    }
    pthread_mutex_lock(&storage->lock);
    if (rc == 0) {
        storage->flush_rc = 0;
    }
    pthread_cond_broadcast(&storage->changed);
    pthread_mutex_unlock(&storage->lock);
    return rc < 0 ? err_set((enum err)rc, "%s", storage->flush_text) : 0;
}

/* Whether the catalogue holds back a file of the log that the wells do not need. */
static bool catalogue_holds_back(struct storage *storage)
{
    uint64_t from = series_catalogue_position(storage->catalogue);
    return datalog_bytes_from(storage->log, from) > kept_bytes(storage);
}

/* What must be on the disk before the log is trimmed. */
static int checkpoint(struct storage *storage)
{
    int rc = storage_deletes_write(storage);
    uint64_t position = atomic_load(&storage->applied_end);
    pthread_mutex_lock(&storage->lock);
    bool closing = storage->closing;
    pthread_mutex_unlock(&storage->lock);
    if (rc == 0 && position > series_catalogue_position(storage->catalogue) &&
        (closing || catalogue_holds_back(storage))) {
        rc = series_catalogue_checkpoint(storage->catalogue, position);
    }
    return rc;
}

static int trim(struct storage *storage)
{
    uint64_t needed = needed_from(storage);
    uint64_t deletes = storage_deletes_need_from(storage, needed);
    uint64_t position = series_catalogue_position(storage->catalogue);
    needed = MIN(needed, deletes);
    return datalog_trim(storage->log, MIN(needed, position));
}

/* Flushes, notes how far, trims. */
static int flush_and_trim(struct storage *storage)
{
    pthread_mutex_lock(&storage->flushing);
    int rc = flush_wells(storage);
    if (rc == 0) {
        rc = storage_flushed_write(storage);
    }
    if (rc == 0) {
        rc = checkpoint(storage);
    }
    if (rc == 0) {
        rc = trim(storage);
    }
    pthread_mutex_unlock(&storage->flushing);
    return rc;
}

/* Segments are a fraction of the log's size: what the log holds is flushed and trimmed. */
static int make_room(struct storage *storage)
{
    pthread_mutex_lock(&storage->lock);
    bool low = storage->space_low;
    pthread_mutex_unlock(&storage->lock);
    uint64_t worth = atomic_load(&storage->watch_bytes) * 4; /* half of the reserve */
    if (!low || kept_bytes(storage) < worth) {
        return 0;
    }
    seal_all(storage);
    int rc = flush_wells(storage);
    return rc < 0 ? rc : datalog_rotate(storage->log);
}

static int flush_round(struct storage *storage)
{
    atomic_store(&storage->untrimmed_bytes, 0);
    storage_watch_space(storage);
    seal_laggards(storage);
    int room_rc = make_room(storage);
    int rc = flush_and_trim(storage);
    return rc < 0 ? rc : room_rc;
}

/* well_merge() or well_pack() of all: 0, WELL_NOTHING when no well has anything to do, or the last
 * fault. */
static int round_of(struct storage *storage, int (*work)(struct well *well))
{
    int outcome = WELL_NOTHING;
    for (size_t i = 0; i < storage->slots.count; i++) {
        int rc = work(storage->slots.items[i].well);
        outcome = rc < 0 ? rc : outcome < 0 ? outcome : MIN(outcome, rc);
    }
    return outcome;
}

int storage_work(struct storage *storage)
{
    int rc = flush_round(storage);
    int retain_rc = storage_retain(storage);
    int merge_rc = round_of(storage, well_merge);
    int pack_rc = round_of(storage, well_pack);
    storage_deletes_drop_done(storage);
    rc = rc < 0 ? rc : retain_rc;
    rc = rc < 0 ? rc : MIN(merge_rc, 0);
    return rc < 0 ? rc : MIN(pack_rc, 0);
}

int storage_flush(struct storage *storage)
{
    seal_all(storage);
    return flush_and_trim(storage);
}

/* A round: something is sealed, or the log has grown so much that its bound may be near. */
static bool is_due(struct storage *storage)
{
    if (atomic_load(&storage->untrimmed_bytes) > storage->kept_bytes_max / ROUNDS_PER_KEPT) {
        return true;
    }
    for (size_t i = 0; i < storage->slots.count; i++) {
        if (well_sealed(storage->slots.items[i].well) > 0) {
            return true;
        }
    }
    return false;
}

/* Waits for the end of the round, or, if `eager`, until one is due; false when closing. */
static bool next_round(struct storage *storage, bool eager)
{
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += ROUND_MS / 1000;
    pthread_mutex_lock(&storage->lock);
    int rc = 0;
    while (rc == 0 && !storage->closing && !(eager && is_due(storage))) {
        rc = pthread_cond_timedwait(&storage->work, &storage->lock, &deadline);
    }
    bool go_on = !storage->closing;
    pthread_mutex_unlock(&storage->lock);
    return go_on;
}

/* Of this thread alone. */
static void be(const char *name, int nice)
{
    (void)pthread_setname_np(pthread_self(), name);
    (void)!setpriority(PRIO_PROCESS, (id_t)gettid(), nice);
}

static void *flusher(void *context)
{
    struct storage *storage = context;
    be("flusher", FLUSH_NICE);
    bool failed = false;
    while (next_round(storage, !failed)) {
        bool failed_before = failed;
        failed = flush_round(storage) < 0;
        if (failed && !failed_before) {
            storage_report(storage, "storage: %s", err_text());
        }
    }
    return NULL;
}

static void *merger(void *context)
{
    struct storage *storage = context;
    be("merger", MERGE_NICE);
    int pause = 0;
    while (next_round(storage, false)) {
        if (pause > 0) {
            pause--;
            continue;
        }
        if (storage_retain(storage) < 0) {
            storage_report(storage, "retention failed and will be tried again: %s", err_text());
            pause = MERGE_PAUSE_ROUNDS;
        }
        if (round_of(storage, well_merge) < 0) {
            storage_report(storage, "merging failed and will be tried again: %s", err_text());
            pause = MERGE_PAUSE_ROUNDS;
        }
        storage_deletes_drop_done(storage);
    }
    return NULL;
}

static void *packer(void *context)
{
    struct storage *storage = context;
    int pause = 0;
    be("packer", PACK_NICE);
    while (next_round(storage, false)) {
        if (pause > 0) {
            pause--;
            continue;
        }
        int rc = round_of(storage, well_pack);
        if (rc < 0) {
            storage_report(storage, "packing failed and will be tried again: %s", err_text());
        }
        pause = rc < 0 ? MERGE_PAUSE_ROUNDS : rc == 0 ? 0 : PACK_PAUSE_ROUNDS;
    }
    return NULL;
}

void storage_start_threads(struct storage *storage)
{
    if (!storage->manual) {
        CHECK(pthread_create(&storage->flusher, NULL, flusher, storage) == 0);
        CHECK(pthread_create(&storage->merger, NULL, merger, storage) == 0);
        CHECK(pthread_create(&storage->packer, NULL, packer, storage) == 0);
        storage->threads_run = true;
    }
}

void storage_stop_threads(struct storage *storage)
{
    pthread_mutex_lock(&storage->lock);
    storage->closing = true;
    pthread_cond_broadcast(&storage->work);
    while (storage->in_flight > 0) {
        pthread_cond_wait(&storage->changed, &storage->lock);
    }
    pthread_mutex_unlock(&storage->lock);
    if (storage->threads_run) {
        for (size_t i = 0; i < storage->slots.count; i++) {
            well_give_up(storage->slots.items[i].well);
        }
        pthread_join(storage->flusher, NULL);
        pthread_join(storage->merger, NULL);
        pthread_join(storage->packer, NULL);
        storage->threads_run = false;
    }
}
