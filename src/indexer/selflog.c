#include "indexer/selflog.h"

#include <pthread.h>

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

struct selflog {
    struct io *io;
    struct storage *storage;
    uint16_t tag;
    struct channel *lines;
    struct metric *dropped;
    pthread_t thread;
};

void selflog_sink(void *context, enum log_level level, struct span line)
{
    (void)level;
    struct selflog *selflog = context;
    struct line *copy = mem_alloc(sizeof(*copy) + line.bytes);
    copy->time_ns = io_now_ns(selflog->io);
    copy->bytes = line.bytes;
    memcpy(copy->data, line.data, line.bytes);
    if (channel_try_push(selflog->lines, copy) != 0) {
        metric_add(selflog->dropped, 1);
        mem_free(copy);
    }
}

static void store(struct selflog *selflog, struct line *const *lines, size_t count)
{
    struct entry entries[GROUP_LINES_MAX];
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct entry){.time_ns = lines[i]->time_ns,
                                    .tag = selflog->tag,
                                    .data = span_of(lines[i]->data, lines[i]->bytes)};
        entries[i].source[15] = 1; /* ::1 */
    }
    if (storage_append(selflog->storage, entries, count) < 0) {
        metric_add(selflog->dropped, count); /* the lines are on stderr all the same */
    }
}

static void *run(void *context)
{
    struct selflog *selflog = context;
    void *items[GROUP_LINES_MAX];
    size_t count;
    while (channel_pop_many(selflog->lines, -1, items, GROUP_LINES_MAX, &count) == 0) {
        store(selflog, (struct line *const *)items, count);
        for (size_t i = 0; i < count; i++) {
            mem_free(items[i]);
        }
    }
    return NULL;
}

int selflog_start(struct io *io, struct storage *storage, const char *tag,
                  struct selflog **ret_selflog)
{
    uint16_t number;
    int rc = storage_tag(storage, span_of_str(tag), &number);
    if (rc < 0) {
        return err_wrap(rc, "Self-Log-Tag");
    }
    struct selflog *selflog = MEM_NEW(struct selflog);
    selflog->io = io;
    selflog->storage = storage;
    selflog->tag = number;
    selflog->lines = channel_new(SELFLOG_LINES_MAX);
    selflog->dropped = metric_counter("aquifer_selflog_dropped_total",
                                      "own log lines that could not be stored", NULL);
    int failed = pthread_create(&selflog->thread, NULL, run, selflog);
    if (failed != 0) {
        channel_free(&selflog->lines);
        mem_free(selflog);
        return err_set_errno(failed, "thread of the self-log");
    }
    *ret_selflog = selflog;
    return 0;
}

void selflog_stop(struct selflog **selflog)
{
    struct selflog *gone = *selflog;
    if (gone == NULL) {
        return;
    }
    channel_close(gone->lines);
    pthread_join(gone->thread, NULL);
    channel_free(&gone->lines);
    mem_free(gone);
    *selflog = NULL;
}
