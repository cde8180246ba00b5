#include "indexer/ownlog.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/channel.h"
#include "base/mem.h"
#include "indexer/storage.h"
#include "service/metrics.h"

#define GROUP_LINES_MAX 256

struct line {
    int64_t time_ns;
    size_t bytes;
    uint8_t data[];
};

struct ownlog {
    struct io *io;
    struct storage *storage;
    uint16_t tag;
    struct channel *lines;
    struct metric *dropped;
    int64_t hold_until_ns; /* monotonic */
    atomic_bool stopping;
    pthread_t thread;
};

void ownlog_sink(void *context, enum log_level level, struct span line)
{
    (void)level;
    struct ownlog *ownlog = context;
    struct line *copy = mem_alloc(sizeof(*copy) + line.bytes);
    copy->time_ns = io_now_ns(ownlog->io);
    copy->bytes = line.bytes;
    memcpy(copy->data, line.data, line.bytes);
    if (channel_try_push(ownlog->lines, copy) != 0) {
        metric_add(ownlog->dropped, 1);
        mem_free(copy);
    }
}

static void store(struct ownlog *ownlog, struct line *const *lines, size_t count)
{
    struct entry entries[GROUP_LINES_MAX];
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct entry){.time_ns = lines[i]->time_ns,
                                    .tag = ownlog->tag,
                                    .data = span_of(lines[i]->data, lines[i]->bytes)};
        entries[i].source[15] = 1; /* ::1 */
    }
    if (storage_append(ownlog->storage, entries, count) < 0) {
        metric_add(ownlog->dropped, count); /* the lines are on stderr all the same */
    }
}

/*
 * Each life in which a node that replicates writes takes one of 65,535 numbers of origins, for as
 * long as its data is kept. A node that is restarted again and again would use them up with its own
 * log lines alone, within a day. So after many lives they wait for a minute: a life that ends
 * before has written nothing, if nobody else wrote, and its lines are on stderr all the same.
 */
static int64_t hold_ns(struct storage *storage)
{
    const struct series_origins *origins = storage_origins(storage);
    struct uuid node = datalog_origin(storage_log(storage)).node;
    uint32_t lives = series_origins_count(origins, &node);
    uint32_t count = series_origins_count(origins, NULL);
    if (count > SERIES_ORIGINS_MAX / 2) {
        log_warn("origins",
                 "more than half of the numbers of origins are used; without any it does not start",
                 "used", LOG_INT(count), "of", LOG_INT(SERIES_ORIGINS_MAX), "own", LOG_INT(lives),
                 NULL);
    }
    return lives > OWNLOG_LIVES_MAX ? OWNLOG_HOLD_NS : 0;
}

static void hold(const struct ownlog *ownlog)
{
    const struct timespec moment = {0, 50000000};
    while (!atomic_load(&ownlog->stopping) && io_monotonic_ns(ownlog->io) < ownlog->hold_until_ns) {
        nanosleep(&moment, NULL);
    }
}

static void *run(void *context)
{
    struct ownlog *ownlog = context;
    hold(ownlog);
    void *items[GROUP_LINES_MAX];
    size_t count;
    while (channel_pop_many(ownlog->lines, -1, items, GROUP_LINES_MAX, &count) == 0) {
        store(ownlog, (struct line *const *)items, count);
        for (size_t i = 0; i < count; i++) {
            mem_free(items[i]);
        }
    }
    return NULL;
}

int ownlog_start(struct io *io, struct storage *storage, const char *tag,
                 struct ownlog **ret_ownlog)
{
    uint16_t number;
    int rc = storage_tag(storage, span_of_str(tag), &number);
    if (rc < 0) {
        return err_wrap(rc, "Self-Log-Tag");
    }
    struct ownlog *ownlog = MEM_NEW(struct ownlog);
    ownlog->io = io;
    ownlog->storage = storage;
    ownlog->tag = number;
    ownlog->lines = channel_new(OWNLOG_LINES_MAX);
    ownlog->dropped = metric_counter("aquifer_selflog_dropped_total",
                                     "own log lines that could not be stored", NULL);
    ownlog->hold_until_ns = io_monotonic_ns(io) + hold_ns(storage);
    int failed = pthread_create(&ownlog->thread, NULL, run, ownlog);
    if (failed != 0) {
        channel_free(&ownlog->lines);
        mem_free(ownlog);
        return err_set_errno(failed, "thread of the self-log");
    }
    *ret_ownlog = ownlog;
    return 0;
}

void ownlog_stop(struct ownlog **ownlog)
{
    struct ownlog *gone = *ownlog;
    if (gone == NULL) {
        return;
    }
    atomic_store(&gone->stopping, true);
    channel_close(gone->lines);
    pthread_join(gone->thread, NULL);
    channel_free(&gone->lines);
    mem_free(gone);
    *ownlog = NULL;
}
