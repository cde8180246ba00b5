/* Readers and batches between requests. Tested by warp10_test.c. */
#include "base/mem.h"
#include "base/time.h"
#include "indexer/warp10_internal.h"

#define IDLE_BYTES_MAX ((size_t)32 << 20) /* of a reader */
#define LIFE_NS (60 * TIME_S_NS)          /* a number is not kept for longer than that */

void warp10_writers_init(struct warp10_writers *writers)
{
    pthread_mutex_init(&writers->lock, NULL);
}

static void free_one(struct warp10_writer *writer)
{
    if (writer != NULL) {
        gts_reader_free(&writer->reader);
        warp10_batch_deinit(&writer->batch);
        mem_free(writer);
    }
}

void warp10_writers_deinit(struct warp10_writers *writers)
{
    for (size_t i = 0; i < writers->count; i++) {
        free_one(writers->idle[i]);
    }
    pthread_mutex_destroy(&writers->lock);
}

/* Under the lock: the one at `index`. */
static struct warp10_writer *remove_at(struct warp10_writers *writers, size_t index)
{
    struct warp10_writer *writer = writers->idle[index];
    writers->idle[index] = writers->idle[--writers->count];
    return writer;
}

/* The one that this token used; else any. */
static struct warp10_writer *take_idle(struct warp10_writers *writers, uint64_t owner)
{
    struct warp10_writer *writer = NULL;
    pthread_mutex_lock(&writers->lock);
    for (size_t i = 0; i < writers->count && writer == NULL; i++) {
        writer = writers->idle[i]->owner == owner ? remove_at(writers, i) : NULL;
    }
    if (writer == NULL && writers->count > 0) {
        writer = remove_at(writers, 0);
    }
    pthread_mutex_unlock(&writers->lock);
    return writer;
}

struct warp10_writer *warp10_writers_take(struct warp10_writers *writers, struct storage *storage,
                                          uint64_t owner, int64_t now_ns,
                                          const struct gts_options *options)
{
    struct warp10_writer *writer = take_idle(writers, owner);
    if (writer != NULL && now_ns - writer->born_ns > LIFE_NS) {
        free_one(writer);
        writer = NULL;
    }
    if (writer == NULL) {
        writer = MEM_NEW(struct warp10_writer);
        writer->born_ns = now_ns;
        writer->reader = gts_reader_new(options);
        warp10_batch_init(&writer->batch, storage);
    } else {
        gts_reader_reset(writer->reader, options);
    }
    writer->owner = owner;
    return writer;
}

void warp10_writers_give(struct warp10_writers *writers, struct warp10_writer **writer)
{
    bool keep = gts_reader_bytes((*writer)->reader) <= IDLE_BYTES_MAX;
    pthread_mutex_lock(&writers->lock);
    if (keep && writers->count < WARP10_WRITERS_IDLE_MAX) {
        writers->idle[writers->count++] = *writer;
        *writer = NULL;
    }
    pthread_mutex_unlock(&writers->lock);
    free_one(*writer);
    *writer = NULL;
}
