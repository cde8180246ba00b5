/*
 * Points for the benchmarks: see points_data.h.
 *
 *     points influx SERIES STEPS       as Influx lines, one scrape of all series a step
 *     points gts SERIES STEPS          the same in the input format of Warp 10, in microseconds
 *     points ingest DIR SERIES STEPS   into a storage of our own in DIR, one scrape a submission,
 *                                      each durable; then closes it, which flushes
 *     points csv DIR FILE...           lines of a UTC time and a value, a series a file, as doubles
 *     points average DIR SERIES STEPS  of one kind of series, over all of them, per five minutes
 *
 * The last two print one JSON object; CPU is without that of making the points.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/vec.h"
#include "indexer/storage.h"
#include "points_data.h"

#define ON_THE_WAY_MAX 8
#define WINDOW_STEPS 30
#define REPORTS 10 /* of memory, on the way */

static double clock_s(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void check(int rc, const char *what)
{
    if (rc < 0) {
        fprintf(stderr, "points: %s: %s\n", what, err_text());
        exit(1);
    }
}

/* ---- as text ---- */

static void print_value(uint32_t series, int64_t value, const char *mark)
{
    if (points_is_counter(series)) {
        printf("%" PRId64 "%s", value, mark);
    } else {
        printf("%" PRId64 ".%02" PRId64, value / 100, value % 100);
    }
}

static void print_influx(uint32_t series, uint64_t steps)
{
    struct points_data data;
    points_data_init(&data, series);
    for (uint64_t step = 0; step < steps; step++) {
        for (uint32_t i = 0; i < series; i++) {
            int64_t value = points_next(&data, i);
            printf("%s,host=host-%" PRIu32 ",rack=r%" PRIu32 " value=", kind_names[i % KINDS],
                   i / KINDS, i / KINDS % 20);
            print_value(i, value, "i");
            printf(" %" PRId64 "\n", points_time(i, step));
        }
    }
    free(data.state);
}

static void print_gts(uint32_t series, uint64_t steps)
{
    struct points_data data;
    points_data_init(&data, series);
    for (uint64_t step = 0; step < steps; step++) {
        for (uint32_t i = 0; i < series; i++) {
            int64_t value = points_next(&data, i);
            printf("%" PRId64 "// %s{host=host-%" PRIu32 ",rack=r%" PRIu32 "} ",
                   points_time(i, step) / 1000, kind_names[i % KINDS], i / KINDS, i / KINDS % 20);
            print_value(i, value, "");
            printf("\n");
        }
    }
    free(data.state);
}

/* ---- into storage ---- */

static void report(void *context, const char *text)
{
    (void)context;
    fprintf(stderr, "points: %s\n", text);
}

static struct storage *open_storage(const char *dir)
{
    char *paths[3] = {mem_printf("%s/datalog", dir), mem_printf("%s/tags", dir),
                      mem_printf("%s/well", dir)};
    struct storage_well well = {.name = STORAGE_WELL_DEFAULT, .location = paths[2]};
    struct storage_options options = {
        .io = io_real(),
        .node = {{1}},
        .datalog_dir = paths[0],
        .tags_path = paths[1],
        .wells = &well,
        .wells_count = 1,
        .report = report,
    };
    struct storage *storage = NULL;
    check(storage_open(&options, &storage), "open");
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        mem_free(paths[i]);
    }
    return storage;
}

static void put_key(struct buf *key, uint32_t series)
{
    char host[32];
    char rack[32];
    snprintf(host, sizeof(host), "host-%" PRIu32, series / KINDS);
    snprintf(rack, sizeof(rack), "r%" PRIu32, series / KINDS % 20);
    struct series_label labels[] = {{SPAN_LIT("host"), span_of_str(host)},
                                    {SPAN_LIT("rack"), span_of_str(rack)}};
    check(series_key_make(key, span_of_str(kind_names[series % KINDS]), labels, 2), "key");
}

/* The first scrape comes by key, as from somebody new; then the numbers are known. */
static void make_series(struct storage *storage, struct storage_points *points,
                        const struct element *elements, uint32_t series)
{
    struct buf *keys = mem_alloc_array(series, sizeof(*keys));
    for (uint32_t i = 0; i < series; i++) {
        put_key(&keys[i], i);
        points[i] = (struct storage_points){SERIES_NONE, buf_span(&keys[i]), &elements[i], 1};
    }
    check(storage_append_points(storage, points, series), "append");
    for (uint32_t i = 0; i < series; i++) {
        bool found =
            series_catalogue_find(storage_catalogue(storage), points[i].key, &points[i].series);
        check(found ? 0 : err_set(ERR_NOT_FOUND, "series %" PRIu32, i), "find");
        points[i].key = SPAN_NONE;
        buf_deinit(&keys[i]);
    }
    mem_free(keys);
}

static void scrape(struct points_data *data, uint64_t step, struct element *elements)
{
    for (uint32_t i = 0; i < data->series; i++) {
        struct element *element = &elements[i];
        int64_t value = points_next(data, i);
        *element = (struct element){.time_ns = points_time(i, step), .type = ELEMENT_F64};
        if (points_is_counter(i)) {
            element->type = ELEMENT_I64;
            element->value.i64 = value;
        } else {
            element->value.f64 = points_double(value);
        }
    }
}

struct way {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count;
};

static void on_done(void *context, int rc)
{
    struct way *way = context;
    check(rc, "submit");
    pthread_mutex_lock(&way->lock);
    way->count--;
    pthread_cond_signal(&way->changed);
    pthread_mutex_unlock(&way->lock);
}

static void wait_below(struct way *way, unsigned count, unsigned more)
{
    pthread_mutex_lock(&way->lock);
    while (way->count >= count) {
        pthread_cond_wait(&way->changed, &way->lock);
    }
    way->count += more;
    pthread_mutex_unlock(&way->lock);
}

static uint64_t resident_bytes(void)
{
    unsigned long size = 0;
    unsigned long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%lu %lu", &size, &resident) != 2) {
        resident = 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double submit_all(struct storage *storage, uint32_t series, uint64_t steps)
{
    struct points_data data;
    struct storage_points *points = mem_alloc_array(series, sizeof(*points));
    struct element *elements = mem_alloc_array(series, sizeof(*elements));
    struct way way = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    points_data_init(&data, series);
    double making = 0;
    printf("\"resident\": [");
    for (uint64_t step = 0; step < steps; step++) {
        double begun = clock_s(CLOCK_THREAD_CPUTIME_ID);
        scrape(&data, step, elements);
        making += clock_s(CLOCK_THREAD_CPUTIME_ID) - begun;
        if (step == 0) {
            make_series(storage, points, elements, series);
            continue;
        }
        wait_below(&way, ON_THE_WAY_MAX, 1);
        check(storage_submit_points(storage, points, series, NULL, on_done, &way), "submit");
        if (steps >= REPORTS && step % (steps / REPORTS) == 0) {
            printf("[%" PRIu64 ", %" PRIu64 "], ", step * series, resident_bytes());
        }
    }
    wait_below(&way, 1, 0);
    printf("[%" PRIu64 ", %" PRIu64 "]], ", steps * series, resident_bytes());
    mem_free(points);
    mem_free(elements);
    free(data.state);
    return making;
}

static void ingest(const char *dir, uint32_t series, uint64_t steps)
{
    struct storage *storage = open_storage(dir);
    double begun = clock_s(CLOCK_MONOTONIC);
    printf("{");
    double making = submit_all(storage, series, steps);
    double durable = clock_s(CLOCK_MONOTONIC);
    storage_close(&storage);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("\"points\": %" PRIu64 ", \"wall_s\": %.3f, \"cpu_s\": %.3f, \"resident_max\": %ld}\n",
           series * steps, durable - begun, clock_s(CLOCK_PROCESS_CPUTIME_ID) - making,
           usage.ru_maxrss * 1024);
}

/* The name of the file is that of the class; the first line is a heading. */
static uint64_t take_csv(struct storage *storage, const char *path)
{
    VEC(struct element) elements = {0};
    struct buf key = {0};
    char line[256];
    FILE *file = fopen(path, "r");
    check(file != NULL ? 0 : err_set(ERR_NOT_FOUND, "%s", path), "open");
    while (fgets(line, sizeof(line), file) != NULL) {
        struct tm tm = {0};
        const char *value = strptime(line, "%Y-%m-%d %H:%M:%S,", &tm);
        if (value != NULL) {
            vec_push(&elements, (struct element){.time_ns = (int64_t)timegm(&tm) * 1000000000,
                                                 .type = ELEMENT_F64,
                                                 .value.f64 = strtod(value, NULL)});
        }
    }
    fclose(file);
    const char *slash = strrchr(path, '/');
    check(series_key_make(&key, span_of_str(slash != NULL ? slash + 1 : path), NULL, 0), "key");
    struct storage_points points = {SERIES_NONE, buf_span(&key), elements.items, elements.count};
    check(storage_append_points(storage, &points, 1), "append");
    uint64_t count = elements.count;
    buf_deinit(&key);
    vec_deinit(&elements);
    return count;
}

static void ingest_csv(const char *dir, char *const *paths, int count)
{
    struct storage *storage = open_storage(dir);
    uint64_t points = 0;
    for (int i = 0; i < count; i++) {
        points += take_csv(storage, paths[i]);
    }
    storage_close(&storage);
    printf("{\"points\": %" PRIu64 "}\n", points);
}

/* ---- out of it ---- */

static void add_batch(const struct well_points *batch, double *sums, uint64_t *counts,
                      uint64_t windows)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct element element = well_points_at(batch, i);
        uint64_t window = (uint64_t)(element.time_ns - BEGIN_NS) / (WINDOW_STEPS * STEP_NS);
        if (window < windows) {
            sums[window] +=
                element.type == ELEMENT_F64 ? element.value.f64 : (double)element.value.i64;
            counts[window]++;
        }
    }
}

static uint64_t fetch(struct storage *storage, const struct series_numbers *numbers, double *sums,
                      uint64_t *counts, uint64_t windows)
{
    struct well_fetch fetch = {
        .series = numbers->items,
        .series_count = numbers->count,
        .start_ns = BEGIN_NS,
        .end_ns = BEGIN_NS + (int64_t)windows * WINDOW_STEPS * STEP_NS - 1,
        .ascending = true,
        .count_max = UINT64_MAX,
    };
    struct well_points_cursor *cursor = NULL;
    check(storage_fetch(storage, &fetch, &cursor), "fetch");
    struct well_points batch;
    uint64_t points = 0;
    int rc = 0;
    while ((rc = well_points_cursor_next(cursor, &batch)) == 0) {
        add_batch(&batch, sums, counts, windows);
        points += batch.count;
    }
    check(rc, "next");
    well_points_cursor_close(&cursor);
    return points;
}

static void average(const char *dir, uint64_t steps)
{
    struct storage *storage = open_storage(dir);
    struct series_selector *selector = NULL;
    struct series_numbers numbers = {0};
    uint64_t windows = steps / WINDOW_STEPS;
    double *sums = mem_alloc_array(windows + 1, sizeof(*sums));
    uint64_t *counts = mem_alloc_array(windows + 1, sizeof(*counts));
    uint64_t resident = resident_bytes(); /* with nothing but what opening takes */
    double begun = clock_s(CLOCK_MONOTONIC);
    double cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID);
    check(series_selector_parse(SPAN_LIT("cpu_user{}"), 0, &selector, NULL), "selector");
    check(series_catalogue_select(storage_catalogue(storage), selector, 0, &numbers), "select");
    uint64_t points = fetch(storage, &numbers, sums, counts, windows);
    printf("{\"resident\": %" PRIu64 ", \"points\": %" PRIu64
           ", \"wall_s\": %.4f, \"cpu_s\": %.4f, \"averages\": [",
           resident, points, clock_s(CLOCK_MONOTONIC) - begun,
           clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    for (uint64_t i = 0; i < windows; i++) {
        printf("%s%.9g", i > 0 ? ", " : "", sums[i] / (double)counts[i]);
    }
    printf("]}\n");
    series_numbers_deinit(&numbers);
    series_selector_free(&selector);
    storage_close(&storage);
    mem_free(sums);
    mem_free(counts);
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "csv") == 0 && argc > 3) {
        ingest_csv(argv[2], argv + 3, argc - 3);
        return 0;
    }
    uint32_t series = argc > 3 ? (uint32_t)strtoul(argv[argc - 2], NULL, 10) : 0;
    uint64_t steps = argc > 3 ? strtoull(argv[argc - 1], NULL, 10) : 0;
    if (strcmp(verb, "influx") == 0 && argc == 4) {
        print_influx(series, steps);
    } else if (strcmp(verb, "gts") == 0 && argc == 4) {
        print_gts(series, steps);
    } else if (strcmp(verb, "ingest") == 0 && argc == 5) {
        ingest(argv[2], series, steps);
    } else if (strcmp(verb, "average") == 0 && argc == 5) {
        average(argv[2], steps);
    } else {
        fprintf(stderr,
                "points influx|gts|ingest|average [DIR] SERIES STEPS, points csv DIR FILE...\n");
        return 2;
    }
    return 0;
}
