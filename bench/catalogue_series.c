/*
 * The series catalogue with as many series as wanted (2 million by default), beside SQLite in
 * memory with the same: one table of series by key, one of labels by (name, value).
 *
 *     build/release/bench/catalogue_series [SERIES]
 *
 * One line per figure; times are CPU time of one thread. What is written goes to a simulated disk.
 */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/sim.h"
#include "series/catalogue.h"

#define LABELS 5
#define HOT 10000

struct bench {
    uint32_t count;
    struct buf keys; /* in the order in which they are asked for: a text arrives in the cache */
    size_t *at;
    struct io_sim sim;
    struct series_origins *origins;
    struct series_catalogue *catalogue;
    sqlite3 *sqlite;
    double began;
};

static double cpu(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static long resident(void)
{
    long pages = 0;
    long ignored = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL);
    CHECK(fscanf(file, "%ld %ld", &ignored, &pages) == 2);
    (void)fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

/* Five labels, one of them nearly unique: 16 series per machine, 40 machines per rack. */
static void make_key(struct buf *key, uint32_t i)
{
    static const char *const classes[] = {"cpu.user", "cpu.system", "cpu.idle", "cpu.wait"};
    char texts[4][32];
    (void)snprintf(texts[0], 32, "%u", i % 16);
    (void)snprintf(texts[1], 32, "machine-%08u.example", i / 16);
    (void)snprintf(texts[2], 32, "rack-%u", i / 640);
    (void)snprintf(texts[3], 32, "eu-west-%u", i / 100000 % 8);
    struct series_label labels[LABELS] = {
        {SPAN_LIT("core"), span_of_str(texts[0])},   {SPAN_LIT("host"), span_of_str(texts[1])},
        {SPAN_LIT("rack"), span_of_str(texts[2])},   {SPAN_LIT("region"), span_of_str(texts[3])},
        {SPAN_LIT("service"), SPAN_LIT("frontend")},
    };
    CHECK(series_key_make(key, span_of_str(classes[i % 4]), labels, LABELS) == 0);
}

static struct span key_at(const struct bench *bench, uint32_t i)
{
    return span_first(span_from(buf_span(&bench->keys), bench->at[i]),
                      bench->at[i + 1] - bench->at[i]);
}

/* All keys, spread over the catalogue or in the order of their numbers, or few again and again. */
static void make_keys(struct bench *bench, uint64_t step, uint32_t different)
{
    buf_clear(&bench->keys);
    for (uint32_t i = 0; i < bench->count; i++) {
        bench->at[i] = bench->keys.bytes;
        make_key(&bench->keys, (uint32_t)(i % different * step % bench->count));
    }
    bench->at[bench->count] = bench->keys.bytes;
}

/* theirs 0: there is no peer. bench/catalogue adds the goals. */
static void tell(const char *metric, double ours, double theirs)
{
    printf("{\"metric\":\"%s\",\"ours\":%.3g,\"theirs\":%.3g}\n", metric, ours, theirs);
    (void)fflush(stdout);
}

static double put_all(struct bench *bench, bool fresh)
{
    double begin = cpu();
    for (uint32_t i = 0; i < bench->count; i++) {
        uint32_t number = 0;
        CHECK(series_catalogue_put(bench->catalogue, key_at(bench, i), &number) >= 0);
        if (fresh) {
            series_catalogue_logged(bench->catalogue, &number, 1);
            series_catalogue_touch(bench->catalogue, &number, 1, (struct stamp){1, 1});
        }
    }
    return bench->count / (cpu() - begin) / 1e6;
}

static void sql(struct bench *bench, const char *text)
{
    if (sqlite3_exec(bench->sqlite, text, NULL, NULL, NULL) != SQLITE_OK) {
        (void)fprintf(stderr, "%s: %s\n", text, sqlite3_errmsg(bench->sqlite));
        exit(1);
    }
}

static sqlite3_stmt *prepare(struct bench *bench, const char *text)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(bench->sqlite, text, -1, &statement, NULL) != SQLITE_OK) {
        (void)fprintf(stderr, "%s: %s\n", text, sqlite3_errmsg(bench->sqlite));
        exit(1);
    }
    return statement;
}

static void bind_text(sqlite3_stmt *statement, int place, struct span text)
{
    CHECK(sqlite3_bind_blob(statement, place, text.data, (int)text.bytes, SQLITE_STATIC) ==
          SQLITE_OK);
}

static double fill_sqlite(struct bench *bench)
{
    sql(bench, "PRAGMA journal_mode=OFF");
    sql(bench, "CREATE TABLE series(key BLOB PRIMARY KEY, number INTEGER) WITHOUT ROWID");
    sql(bench, "CREATE TABLE label(name BLOB, value BLOB, number INTEGER,"
               " PRIMARY KEY(name, value, number)) WITHOUT ROWID");
    sql(bench, "BEGIN");
    sqlite3_stmt *series = prepare(bench, "INSERT INTO series VALUES(?,?)");
    sqlite3_stmt *label = prepare(bench, "INSERT INTO label VALUES(?,?,?)");
    double begin = cpu();
    for (uint32_t i = 0; i < bench->count; i++) {
        struct series_key_reader reader = series_key_open(key_at(bench, i));
        struct series_label one;
        bind_text(series, 1, key_at(bench, i));
        sqlite3_bind_int64(series, 2, i + 1);
        CHECK(sqlite3_step(series) == SQLITE_DONE);
        sqlite3_reset(series);
        while (series_key_next(&reader, &one)) {
            bind_text(label, 1, one.name);
            bind_text(label, 2, one.value);
            sqlite3_bind_int64(label, 3, i + 1);
            CHECK(sqlite3_step(label) == SQLITE_DONE);
            sqlite3_reset(label);
        }
    }
    double rate = bench->count / (cpu() - begin) / 1e6;
    sqlite3_finalize(series);
    sqlite3_finalize(label);
    sql(bench, "COMMIT");
    return rate;
}

static double find_all_sqlite(struct bench *bench)
{
    sqlite3_stmt *find = prepare(bench, "SELECT number FROM series WHERE key=?");
    double begin = cpu();
    uint32_t count = bench->count / 4; /* it is slow enough to know */
    for (uint32_t i = 0; i < count; i++) {
        bind_text(find, 1, key_at(bench, i));
        CHECK(sqlite3_step(find) == SQLITE_ROW);
        sqlite3_reset(find);
    }
    double rate = count / (cpu() - begin) / 1e6;
    sqlite3_finalize(find);
    return rate;
}

static double select_ms(struct bench *bench, const char *text, size_t *ret_count)
{
    struct series_selector *selector = NULL;
    double best = 1e9;
    CHECK(series_selector_parse(span_of_str(text), 0, &selector, NULL) == 0);
    for (int i = 0; i < 5; i++) {
        struct series_numbers numbers = {0};
        double begin = cpu();
        CHECK(series_catalogue_select(bench->catalogue, selector, 0, &numbers) == 0);
        best = MIN(best, (cpu() - begin) * 1e3);
        *ret_count = numbers.count;
        series_numbers_deinit(&numbers);
    }
    series_selector_free(&selector);
    return best;
}

static double select_sqlite_ms(struct bench *bench, const char *text, size_t *ret_count)
{
    double best = 1e9;
    for (int i = 0; i < 3; i++) {
        sqlite3_stmt *select = prepare(bench, text);
        double begin = cpu();
        *ret_count = 0;
        while (sqlite3_step(select) == SQLITE_ROW) {
            (*ret_count)++;
        }
        best = MIN(best, (cpu() - begin) * 1e3);
        sqlite3_finalize(select);
    }
    return best;
}

#define LABEL(name, value) "SELECT number FROM label WHERE name=x'" name "' AND value=x'" value "'"
#define CORE "636f7265"
#define RACK "7261636b"
#define REGION "726567696f6e"

static void select_figures(struct bench *bench)
{
    static const struct {
        const char *metric;
        const char *selector;
        const char *sql; /* NULL: SQLite has no regex */
    } cases[] = {
        {"one rack, ms", "~.*{rack=rack-7}", LABEL(RACK, "7261636b2d37")},
        {"region and core, ms", "~.*{region=eu-west-1,core=3}",
         LABEL(REGION, "65752d776573742d31") " INTERSECT " LABEL(CORE, "33")},
        {"regex over hosts, ms", "~cpu.*{host~machine-000001.*}", NULL},
        {"a quarter of all, ms", "cpu.user{}", NULL},
        {"all, ms", "~.*{}", "SELECT number FROM series"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        size_t ours = 0;
        size_t theirs = 0;
        double ms = select_ms(bench, cases[i].selector, &ours);
        double peer_ms = cases[i].sql == NULL ? 0 : select_sqlite_ms(bench, cases[i].sql, &theirs);
        CHECK(cases[i].sql == NULL || ours == theirs);
        tell(cases[i].metric, ms, peer_ms);
    }
}

static void open_all(struct bench *bench)
{
    io_sim_init(&bench->sim, 1);
    struct series_catalogue_options options = {.io = &bench->sim.io, .dir = "/series"};
    CHECK(series_origins_open(&bench->sim.io, "/origins", &bench->origins) == 0);
    options.origins = bench->origins;
    CHECK(series_catalogue_open(&options, &bench->catalogue) == 0);
    CHECK(sqlite3_open(":memory:", &bench->sqlite) == SQLITE_OK);
}

static void put_figures(struct bench *bench)
{
    double ours = put_all(bench, false);
    double theirs = find_all_sqlite(bench);
    tell("put of known series, in order, M/s", ours, theirs);
    make_keys(bench, bench->count / HOT, HOT);
    ours = put_all(bench, false);
    theirs = find_all_sqlite(bench);
    tell("put of 10000 series again and again, M/s", ours, theirs);
    make_keys(bench, 1299709, UINT32_MAX);
    ours = put_all(bench, false);
    theirs = find_all_sqlite(bench);
    tell("put of known series, at random, M/s", ours, theirs);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    bench.count = argc > 1 ? (uint32_t)atoi(argv[1]) : 2000000;
    CHECK(bench.count >= HOT);
    bench.at = mem_alloc_array(bench.count + 1, sizeof(size_t));
    open_all(&bench);
    make_keys(&bench, 1, UINT32_MAX);
    long before = resident();
    double ours = put_all(&bench, true);
    double bytes = (double)(resident() - before) / bench.count;
    before = resident();
    double theirs = fill_sqlite(&bench);
    tell("bytes of memory per series", bytes, (double)(resident() - before) / bench.count);
    tell("new series, M/s", ours, theirs);
    put_figures(&bench);
    select_figures(&bench);
    double begin = cpu();
    CHECK(series_catalogue_checkpoint(bench.catalogue, 1) == 0);
    tell("checkpoint of all, s", cpu() - begin, 0);
    begin = cpu();
    CHECK(series_catalogue_checkpoint(bench.catalogue, 2) == 0);
    tell("checkpoint of no change, s", cpu() - begin, 0);
    series_catalogue_close(&bench.catalogue);
    series_origins_close(&bench.origins);
    sqlite3_close(bench.sqlite);
    io_sim_deinit(&bench.sim);
    buf_deinit(&bench.keys);
    mem_free(bench.at);
    return 0;
}
