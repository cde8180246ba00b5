/*
 * Appending to a datalog, for bench/datalog:
 *
 *     datalog_append log DIR THREADS RECORD_BYTES CHAIN DEPTH RECORDS
 *         THREADS submitters, each with DEPTH chains of CHAIN records on their way at a time,
 *         until RECORDS are durable
 *     datalog_append plain DIR GROUP_BYTES GROUPS
 *         the same bytes without a log: one write and one fdatasync per group, into files of the
 *         log's size
 *     datalog_append wake DIR RECORDS
 *         one record after the other, and a follower that waits for each
 *
 * Prints one line: numbers with their names.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "datalog/cursor.h"

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static uint64_t number(const char *text)
{
    return strtoull(text, NULL, 10);
}

static struct datalog *open_log(const char *dir)
{
    struct datalog_options options = {.io = io_real(), .dir = dir, .node = {{1}}};
    struct datalog *log = NULL;
    if (datalog_open(&options, &log) < 0) {
        fprintf(stderr, "%s\n", err_text());
        exit(1);
    }
    return log;
}

static struct buf noise(size_t bytes)
{
    struct buf buf = {0};
    uint8_t *at = buf_reserve(&buf, bytes);
    io_random(io_real(), at, bytes);
    buf.bytes = bytes;
    return buf;
}

struct submitter {
    struct datalog *log;
    struct span payload;
    size_t chain;
    size_t depth;
    uint64_t records;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t open; /* records on their way */
};

struct way {
    struct datalog_submission submission;
    struct submitter *submitter;
};

static void on_done(struct datalog_submission *submission, int rc)
{
    struct submitter *submitter = CONTAINER_OF(submission, struct way, submission)->submitter;
    CHECK(rc == 0);
    pthread_mutex_lock(&submitter->lock);
    submitter->open--;
    if (submitter->open % submitter->chain == 0) {
        pthread_cond_signal(&submitter->changed);
    }
    pthread_mutex_unlock(&submitter->lock);
}

static void *submit(void *context)
{
    struct submitter *submitter = context;
    size_t room = submitter->chain * submitter->depth;
    struct way *ways = mem_alloc_array(room, sizeof(*ways));
    for (uint64_t done = 0, at = 0; done < submitter->records; done += submitter->chain) {
        for (size_t i = 0; i < submitter->chain; i++) {
            bool last = i + 1 == submitter->chain;
            ways[at + i] = (struct way){{.type = DATALOG_UPDATE,
                                         .well = SPAN_LIT("default"),
                                         .payload = submitter->payload,
                                         .done = on_done,
                                         .next = last ? NULL : &ways[at + i + 1].submission},
                                        submitter};
        }
        pthread_mutex_lock(&submitter->lock);
        submitter->open += submitter->chain;
        pthread_mutex_unlock(&submitter->lock);
        CHECK(datalog_submit(submitter->log, &ways[at].submission) == 0);
        at = (at + submitter->chain) % room;
        pthread_mutex_lock(&submitter->lock); /* the oldest chain's place is free */
        while (submitter->open > room - submitter->chain) {
            pthread_cond_wait(&submitter->changed, &submitter->lock);
        }
        pthread_mutex_unlock(&submitter->lock);
    }
    pthread_mutex_lock(&submitter->lock);
    while (submitter->open > 0) {
        pthread_cond_wait(&submitter->changed, &submitter->lock);
    }
    pthread_mutex_unlock(&submitter->lock);
    mem_free(ways);
    return NULL;
}

static int run_log(char **argv)
{
    size_t threads = number(argv[1]);
    struct buf payload = noise(number(argv[2]));
    struct submitter *submitters = mem_alloc_array(threads, sizeof(*submitters));
    struct datalog *log = open_log(argv[0]);
    double cpu = cpu_s();
    uint64_t begin = now_ns();
    for (size_t i = 0; i < threads; i++) {
        submitters[i] = (struct submitter){.log = log,
                                           .payload = buf_span(&payload),
                                           .chain = number(argv[3]),
                                           .depth = number(argv[4]),
                                           .records = number(argv[5]) / threads,
                                           .lock = PTHREAD_MUTEX_INITIALIZER,
                                           .changed = PTHREAD_COND_INITIALIZER};
        CHECK(pthread_create(&submitters[i].thread, NULL, submit, &submitters[i]) == 0);
    }
    for (size_t i = 0; i < threads; i++) {
        pthread_join(submitters[i].thread, NULL);
    }
    double wall = (double)(now_ns() - begin) / 1e9;
    struct datalog_stats stats = datalog_stats(log);
    printf("{\"seconds\": %.6f, \"cpu\": %.6f, \"records\": %" PRIu64 ", \"groups\": %" PRIu64
           ", \"bytes\": %" PRIu64 "}\n",
           wall, cpu_s() - cpu, stats.records, stats.groups, stats.bytes);
    datalog_close(&log);
    mem_free(submitters);
    buf_deinit(&payload);
    return 0;
}

static int run_plain(char **argv)
{
    size_t group = number(argv[1]);
    struct buf payload = noise(group);
    uint64_t groups = number(argv[2]);
    uint64_t offset = DATALOG_SEGMENT_BYTES_DEFAULT;
    int fd = -1;
    double cpu = cpu_s();
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < groups; i++) {
        if (offset + group > DATALOG_SEGMENT_BYTES_DEFAULT) {
            char path[4096];
            snprintf(path, sizeof(path), "%s/%" PRIu64, argv[0], i);
            if (fd >= 0) {
                close(fd);
            }
            fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
            offset = 0;
        }
        CHECK(pwrite(fd, payload.data, group, (off_t)offset) == (ssize_t)group);
        CHECK(fdatasync(fd) == 0);
        offset += group;
    }
    double wall = (double)(now_ns() - begin) / 1e9;
    close(fd);
    printf("{\"seconds\": %.6f, \"cpu\": %.6f, \"groups\": %" PRIu64 ", \"bytes\": %" PRIu64 "}\n",
           wall, cpu_s() - cpu, groups, groups * group);
    buf_deinit(&payload);
    return 0;
}

struct follower {
    struct datalog_cursor *cursor;
    uint64_t records;
    uint64_t *read_at; /* by position - 1 */
};

static void *follow(void *context)
{
    struct follower *follower = context;
    for (uint64_t i = 0; i < follower->records; i++) {
        struct datalog_record record;
        CHECK(datalog_cursor_wait(follower->cursor, 60000) == 0);
        CHECK(datalog_cursor_read(follower->cursor, &record) == 0);
        follower->read_at[i] = now_ns();
        CHECK(datalog_cursor_acknowledge(follower->cursor, record.position) == 0);
    }
    return NULL;
}

static int ascending(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static int run_wake(char **argv)
{
    uint64_t records = number(argv[1]);
    struct datalog *log = open_log(argv[0]);
    struct buf payload = noise(300);
    struct follower follower = {.records = records,
                                .read_at = mem_alloc_array(records, sizeof(uint64_t))};
    int64_t *appended = mem_alloc_array(records, sizeof(int64_t));
    int64_t *read = mem_alloc_array(records, sizeof(int64_t));
    int64_t *behind = mem_alloc_array(records, sizeof(int64_t));
    uint64_t *done_at = mem_alloc_array(records, sizeof(uint64_t));
    pthread_t thread;
    CHECK(datalog_cursor_open(log, "follower", &follower.cursor) == 0);
    CHECK(pthread_create(&thread, NULL, follow, &follower) == 0);
    for (uint64_t i = 0; i < records; i++) {
        uint64_t position;
        uint64_t begin = now_ns();
        CHECK(datalog_append(log, DATALOG_UPDATE, SPAN_LIT("w"), buf_span(&payload), &position) ==
              0);
        done_at[i] = now_ns();
        appended[i] = (int64_t)(done_at[i] - begin);
        read[i] = -(int64_t)begin;
    }
    pthread_join(thread, NULL);
    for (uint64_t i = 0; i < records; i++) {
        read[i] += (int64_t)follower.read_at[i];
        behind[i] = (int64_t)(follower.read_at[i] - done_at[i]);
    }
    qsort(appended, records, sizeof(int64_t), ascending);
    qsort(read, records, sizeof(int64_t), ascending);
    qsort(behind, records, sizeof(int64_t), ascending);
    printf("{\"append_us\": %.1f, \"read_us\": %.1f, \"read_after_ack_us\": %.1f, "
           "\"read_after_ack_p99_us\": %.1f}\n",
           (double)appended[records / 2] / 1e3, (double)read[records / 2] / 1e3,
           (double)behind[records / 2] / 1e3, (double)behind[records * 99 / 100] / 1e3);
    datalog_cursor_close(&follower.cursor);
    datalog_close(&log);
    mem_free(follower.read_at);
    mem_free(appended);
    mem_free(read);
    mem_free(behind);
    mem_free(done_at);
    buf_deinit(&payload);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 8 && strcmp(argv[1], "log") == 0) {
        return run_log(argv + 2);
    }
    if (argc == 5 && strcmp(argv[1], "plain") == 0) {
        return run_plain(argv + 2);
    }
    if (argc == 4 && strcmp(argv[1], "wake") == 0) {
        return run_wake(argv + 2);
    }
    fprintf(stderr, "see bench/datalog\n");
    return 2;
}
