/*
 * Two indexers' storages in one process and a link between them, for bench/replication:
 *
 *     replication_pair DIR BATCHES BATCH_ENTRIES ENTRY_BYTES SECONDS
 *
 * Prints one line of JSON: seconds to ingest alone, beside a link whose target is away, and beside
 * one that follows; seconds to catch up; for each what the process used of the processors, and of
 * it the threads of the link; lag from commit here to commit there, and from request to commit
 * there, at half load (…_half) and at PACE_PER_S batches a second; bytes a second that arrive over
 * a link that is limited to RATE_BYTES.
 */
#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "indexer/replication.h"
#include "service/log.h"

#define ON_THE_WAY_MAX 64
#define SECRET "bench"
#define PACE_PER_S 200
#define RATE_BYTES 5000000
#define RATE_BEGINS_S 0.5 /* the link is made, what was saved up is spent */

struct node {
    struct storage *storage;
    struct replication *door, *way;
    char target[32];
    struct forwarder_options forwarder;
};

struct shape {
    const char *dir;
    uint64_t batches;
    size_t batch;
    size_t bytes;
    struct entry *entries;
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- processors ---- */

struct used {
    double wall, all, forwarder, follower; /* seconds */
};

static double thread_cpu_s(const char *task, const char *name)
{
    char text[512] = "";
    char *path = mem_printf("/proc/self/task/%s/stat", task);
    FILE *file = fopen(path, "r");
    mem_free(path);
    if (file == NULL) {
        return 0;
    }
    size_t got = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    char *close = got > 0 ? strrchr(text, ')') : NULL;
    unsigned long user = 0;
    unsigned long system = 0;
    if (close == NULL || strstr(text, name) == NULL ||
        sscanf(close + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) !=
            2) {
        return 0;
    }
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double threads_cpu_s(const char *name)
{
    double sum = 0;
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        sum += thread_cpu_s(entry->d_name, name);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return sum;
}

static struct used used_so_far(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (struct used){
        .wall = now_s(),
        .all = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
        .forwarder = threads_cpu_s("(forwarder)"),
        .follower = threads_cpu_s("(follower)"),
    };
}

/* Threads that have ended count no more: a link that lasts is measured. */
static void print_used(const char *phase, struct used from)
{
    struct used now = used_so_far();
    printf("\"%s\": {\"wall_s\": %.3f, \"cpu_s\": %.3f, \"forwarder_s\": %.3f, \"follower_s\": "
           "%.3f}, ",
           phase, now.wall - from.wall, now.all - from.all, now.forwarder - from.forwarder,
           now.follower - from.follower);
}

static void sleep_s(double s)
{
    struct timespec pause = {(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};
    nanosleep(&pause, NULL);
}

static void must(int rc)
{
    if (rc < 0) {
        fprintf(stderr, "%s\n", err_text());
        exit(1);
    }
}

static void open_node(struct node *node, const struct shape *shape, uint8_t number)
{
    char *dir = mem_printf("%s/%u", shape->dir, number);
    char *log = mem_printf("%s/log", dir);
    char *tags = mem_printf("%s/tags.dat", dir);
    char *location = mem_printf("%s/well", dir);
    struct storage_well well = {.name = STORAGE_WELL_DEFAULT, .location = location};
    struct storage_options options = {
        .io = io_real(),
        .node = {{number}},
        .begin_anew = true,
        .datalog_dir = log,
        .tags_path = tags,
        .wells = &well,
        .wells_count = 1,
    };
    *node = (struct node){0};
    must(io_make_dirs(io_real(), dir));
    must(storage_open(&options, &node->storage));
    mem_free(location);
    mem_free(tags);
    mem_free(log);
    mem_free(dir);
}

static void listen_at(struct node *node, uint16_t port)
{
    struct replication_options options = {
        .io = io_real(),
        .storage = node->storage,
        .listens = true,
        .listen = {.scheme = INGEST_TCP, .host = "127.0.0.1", .port = port},
        .secret = SECRET,
    };
    must(replication_start(&options, &node->door));
}

static void forward(struct node *node, uint16_t port, uint64_t rate_bytes)
{
    snprintf(node->target, sizeof(node->target), "127.0.0.1:%u", port);
    node->forwarder = (struct forwarder_options){.name = "b",
                                                 .target = node->target,
                                                 .secret = SECRET,
                                                 .level = 1,
                                                 .rate_bytes = rate_bytes};
    must(link_address_parse(node->target, false, &node->forwarder.address));
    struct replication_options options = {.io = io_real(),
                                          .storage = node->storage,
                                          .forwarders = &node->forwarder,
                                          .forwarders_count = 1};
    must(replication_start(&options, &node->way));
}

static void close_node(struct node *node)
{
    replication_stop(&node->way);
    replication_stop(&node->door);
    storage_close(&node->storage);
}

/* ---- ingest ---- */

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t open;
};

static void batch_done(void *context, int rc)
{
    struct gate *gate = context;
    must(rc);
    pthread_mutex_lock(&gate->lock);
    gate->open--;
    pthread_cond_signal(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static double ingest(struct node *node, const struct shape *shape)
{
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    double from = now_s();
    for (uint64_t i = 0; i <= shape->batches; i++) {
        pthread_mutex_lock(&gate.lock);
        while (gate.open >= (i == shape->batches ? 1 : ON_THE_WAY_MAX)) {
            pthread_cond_wait(&gate.changed, &gate.lock);
        }
        gate.open++;
        pthread_mutex_unlock(&gate.lock);
        if (i < shape->batches) {
            must(storage_submit(node->storage, shape->entries, shape->batch, batch_done, &gate));
        }
    }
    return now_s() - from;
}

static double wait_for_same(struct node *from, struct node *to)
{
    double began = now_s();
    struct datalog_origin origin = datalog_origin(storage_log(from->storage));
    uint64_t want = datalog_origin_position(storage_log(from->storage), origin);
    while (datalog_origin_position(storage_log(to->storage), origin) < want) {
        (void)!datalog_wait(storage_log(to->storage), datalog_end(storage_log(to->storage)), 5);
    }
    return now_s() - began;
}

/* ---- lag ---- */

struct lag {
    struct node *to;
    struct datalog_origin origin;
    uint64_t first; /* position of the first sample */
    uint64_t count;
    _Atomic double *committed;
    double *asked;
    double *lags;
    double *whole; /* from request on */
};

struct sample {
    struct lag *lag;
    uint64_t index;
};

static void sample_done(void *context, int rc)
{
    struct sample *sample = context;
    must(rc);
    atomic_store(&sample->lag->committed[sample->index], now_s());
    mem_free(sample);
}

static void *follow(void *context)
{
    struct lag *lag = context;
    struct datalog *log = storage_log(lag->to->storage);
    struct datalog_reader *reader;
    struct datalog_record record;
    must(datalog_reader_open(log, datalog_end(log), &reader));
    for (uint64_t seen = 0; seen < lag->count;) {
        int rc = datalog_read(reader, &record);
        if (rc == DATALOG_END) {
            (void)!datalog_wait(log, datalog_reader_position(reader), 1000);
            continue;
        }
        must(rc);
        double now = now_s();
        if (record.origin.incarnation == lag->origin.incarnation) {
            double committed = atomic_load(&lag->committed[seen]);
            lag->whole[seen] = now - lag->asked[seen];
            lag->lags[seen++] = committed > 0 && now > committed ? now - committed : 0;
        }
    }
    datalog_reader_close(&reader);
    return NULL;
}

static int ascending(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static void print_percentiles(const char *name, const char *load, double *values, uint64_t count)
{
    qsort(values, count, sizeof(double), ascending);
    printf("\"%s_p50_ms%s\": %.3f, \"%s_p99_ms%s\": %.3f, ", name, load, values[count / 2] * 1e3,
           name, load, values[count * 99 / 100] * 1e3);
}

/* A batch at a time, so far apart. */
static void measure_lag(struct node *from, struct node *to, const struct shape *shape,
                        double interval_s, double seconds, const char *load)
{
    struct lag lag = {.to = to,
                      .origin = datalog_origin(storage_log(from->storage)),
                      .count = (uint64_t)(seconds / interval_s) + 1};
    lag.committed = mem_alloc_array(lag.count, sizeof(*lag.committed));
    lag.asked = mem_alloc_array(lag.count, sizeof(*lag.asked));
    lag.lags = mem_alloc_array(lag.count, sizeof(*lag.lags));
    lag.whole = mem_alloc_array(lag.count, sizeof(*lag.whole));
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, follow, &lag) == 0);
    double due = now_s() + 0.1;
    for (uint64_t i = 0; i < lag.count; i++, due += interval_s) {
        double left = due - now_s();
        if (left > 0) {
            sleep_s(left);
        }
        struct sample *sample = MEM_NEW(struct sample);
        *sample = (struct sample){&lag, i};
        lag.asked[i] = now_s();
        must(storage_submit(from->storage, shape->entries, shape->batch, sample_done, sample));
    }
    pthread_join(thread, NULL);
    print_percentiles("lag", load, lag.lags, lag.count);
    print_percentiles("whole", load, lag.whole, lag.count);
    for (uint64_t i = 0; i < lag.count; i++) {
        lag.asked[i] = atomic_load(&lag.committed[i]) - lag.asked[i];
    }
    print_percentiles("commit", load, lag.asked, lag.count);
    mem_free((void *)lag.committed);
    mem_free(lag.asked);
    mem_free(lag.lags);
    mem_free(lag.whole);
}

/* ---- rate ---- */

/* Bytes of records that have come over the one link there is. */
static double arrived(struct node *node)
{
    json_t *json = replication_json(node->door);
    const json_t *link = json_array_get(json_object_get(json, "followers"), 0);
    double records = (double)json_integer_value(json_object_get(link, "records"));
    double bytes = (double)json_integer_value(json_object_get(link, "bytes"));
    json_decref(json);
    return bytes + records * DATALOG_HEADER_BYTES;
}

static void measure_rate(struct node *from, struct node *to, struct shape shape, uint16_t port,
                         double seconds)
{
    replication_stop(&from->way);
    double bytes = (double)(shape.batch * shape.bytes);
    shape.batches = (uint64_t)(2 * (seconds + RATE_BEGINS_S) * RATE_BYTES / bytes);
    (void)ingest(from, &shape);
    forward(from, port, RATE_BYTES);
    sleep_s(RATE_BEGINS_S);
    double before = arrived(to);
    double began = now_s();
    sleep_s(seconds);
    double rate = (arrived(to) - before) / (now_s() - began);
    printf("\"rate\": %.0f, \"rate_limit\": %d, ", rate, RATE_BYTES);
}

/* ---- the whole ---- */

static void make_entries(struct shape *shape, struct storage *storage)
{
    static const char words[] = "GET /index.html HTTP/1.1 200 took 17 ms from 10.0.0.1 agent curl ";
    uint16_t tag;
    must(storage_tag(storage, SPAN_LIT("bench"), &tag));
    shape->entries = mem_alloc_array(shape->batch, sizeof(*shape->entries));
    for (size_t i = 0; i < shape->batch; i++) {
        char *data = mem_alloc(shape->bytes);
        for (size_t j = 0; j < shape->bytes; j++) {
            data[j] = words[(i * (j < 12 ? 7 : 1) + j) % (sizeof(words) - 1)];
        }
        shape->entries[i] =
            (struct entry){.time_ns = (int64_t)i, .tag = tag, .data = span_of(data, shape->bytes)};
    }
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "replication_pair DIR BATCHES BATCH_ENTRIES ENTRY_BYTES SECONDS\n");
        return 2;
    }
    struct shape shape = {.dir = argv[1],
                          .batches = strtoull(argv[2], NULL, 10),
                          .batch = strtoull(argv[3], NULL, 10),
                          .bytes = strtoull(argv[4], NULL, 10)};
    struct node alone;
    struct node a;
    struct node b;
    log_init("replication_pair", LOG_LEVEL_OFF);
    open_node(&alone, &shape, 1);
    make_entries(&shape, alone.storage);
    printf("{");
    struct used before = used_so_far();
    (void)ingest(&alone, &shape);
    print_used("alone", before);
    close_node(&alone);
    open_node(&a, &shape, 2);
    open_node(&b, &shape, 3);
    uint16_t tag;
    must(storage_tag(a.storage, SPAN_LIT("bench"), &tag));
    listen_at(&b, 0);
    uint16_t port = replication_port(b.door);
    replication_stop(&b.door);
    forward(&a, port, 0);
    before = used_so_far();
    (void)ingest(&a, &shape);
    print_used("away", before);
    listen_at(&b, port);
    before = used_so_far();
    (void)wait_for_same(&a, &b);
    print_used("catch_up", before);
    before = used_so_far();
    double beside_s = ingest(&a, &shape);
    print_used("beside", before);
    printf("\"rest_s\": %.3f, ", wait_for_same(&a, &b));
    double seconds = strtod(argv[5], NULL);
    measure_lag(&a, &b, &shape, 1.0 / PACE_PER_S, seconds, "");
    measure_lag(&a, &b, &shape, 2 * beside_s / (double)shape.batches, seconds, "_half");
    measure_rate(&a, &b, shape, port, seconds);
    printf("\"pace\": %d}\n", PACE_PER_S);
    close_node(&a);
    close_node(&b);
    for (size_t i = 0; i < shape.batch; i++) {
        mem_free((void *)(uintptr_t)shape.entries[i].data.data);
    }
    mem_free(shape.entries);
    return 0;
}
