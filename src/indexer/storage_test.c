/*
 * Storage as a whole, against a disk that fails, tears and forgets: what was acknowledged is
 * found, each entry once; what was refused may be found once; nothing else is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/time.h"
#include "base/vec.h"
#include "indexer/storage.h"
#include "io/sim.h"
#include "query/source.h"

static const char *const web_tags[] = {"web", "nginx*"};
static const char *const sys_tags[] = {"syslog", "n*"};

static const struct storage_well wells[] = {
    {.name = STORAGE_WELL_DEFAULT, .location = "/data/default"},
    {.name = "web", .location = "/data/web", .tags = web_tags, .tags_count = 2},
    {.name = "sys", .location = "/data/sys", .tags = sys_tags, .tags_count = 2},
};

static struct storage_options options_of(struct io_sim *sim)
{
    return (struct storage_options){
        .io = &sim->io,
        .node = {{7}},
        .datalog_dir = "/data/log",
        .tags_path = "/data/tags.dat",
        .wells = wells,
        .wells_count = ARRAY_COUNT(wells),
        .memtable_bytes_max = 20000,
        .datalog_segment_bytes_max = 4000,
        .datalog_kept_bytes_max = 12000,
        .cache_bytes_max = 60000,
        .manual = true,
    };
}

/* Entry number i has its number as data; what was tried, and whether it was acknowledged. */
struct history {
    VEC(bool) acked;
};

static const char *const tag_names[] = {"web", "nginx-a", "syslog", "news", "other", "gravwell"};

static struct entry make_entry(size_t number, const uint16_t *tags, char text[80])
{
    snprintf(text, 80, "entry %060zu", number);
    return (struct entry){
        .time_ns = (int64_t)(number * 37 % 1000),
        .tag = tags[number % ARRAY_COUNT(tag_names)],
        .data = span_of_str(text),
    };
}

static int put_tags(struct storage *storage, uint16_t *tags)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ARRAY_COUNT(tag_names); i++) {
        rc = storage_tag(storage, span_of_str(tag_names[i]), &tags[i]);
    }
    return rc;
}

static int append_some(struct storage *storage, struct history *history, const uint16_t *tags,
                       size_t count)
{
    struct entry entries[64];
    char texts[64][80];
    size_t first = history->acked.count;
    assert_true(count <= 64);
    for (size_t i = 0; i < count; i++) {
        entries[i] = make_entry(first + i, tags, texts[i]);
        vec_push(&history->acked, false);
    }
    int rc = storage_append(storage, entries, count);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        history->acked.items[first + i] = true;
    }
    return rc;
}

static void check_against(struct storage *storage, const struct history *history)
{
    bool *seen = mem_alloc_array(history->acked.count + 1, sizeof(bool));
    struct well_scan scan = {.start_ns = TIME_UNSET, .end_ns = TIME_MAX_NS, .descending = true};
    struct well_cursor *cursor;
    struct well_block block;
    assert_int_equal(storage_scan(storage, &scan, &cursor), 0);
    int64_t last = TIME_MAX_NS;
    int rc;
    while ((rc = well_cursor_next(cursor, &block)) == 0) {
        for (size_t i = 0; i < block.count; i++) {
            const struct entry *entry = &block.entries[i];
            uint64_t number = 0;
            assert_true(span_starts_with(entry->data, SPAN_LIT("entry ")));
            assert_true(span_to_u64(span_from(entry->data, 6), &number));
            assert_true(number < history->acked.count); /* nothing invented */
            assert_false(seen[number]);                 /* none twice */
            seen[number] = true;
            assert_true(entry->time_ns == (int64_t)(number * 37 % 1000));
            struct span name = series_tags_name(storage_tags(storage), entry->tag);
            assert_true(span_equal_str(name, tag_names[number % ARRAY_COUNT(tag_names)]));
            assert_true(entry->time_ns <= last);
            last = entry->time_ns;
        }
    }
    assert_int_equal(rc, WELL_END);
    well_cursor_close(&cursor);
    for (size_t i = 0; i < history->acked.count; i++) {
        assert_true(seen[i] || !history->acked.items[i]);
    }
    mem_free(seen);
}

static void reopen_and_check(struct io_sim *sim, const struct history *history)
{
    struct storage_options options = options_of(sim);
    struct storage *storage = NULL;
    assert_int_equal(storage_open(&options, &storage), 0);
    check_against(storage, history);
    storage_close(&storage);
}

static void live(struct io_sim *sim, struct history *history, size_t rounds)
{
    struct storage_options options = options_of(sim);
    struct storage *storage = NULL;
    uint16_t tags[ARRAY_COUNT(tag_names)];
    if (storage_open(&options, &storage) < 0) {
        return;
    }
    if (put_tags(storage, tags) == 0) {
        for (size_t i = 0; i < rounds; i++) {
            (void)!append_some(storage, history, tags, 1 + i * 5 % 40);
            if (i % 3 == 2) {
                (void)!storage_work(storage);
            }
            if (i % 5 == 4) {
                (void)!storage_flush(storage);
            }
        }
    }
    storage_close(&storage);
}

static void every_acked_entry_survives_any_one_failed_call(void **state)
{
    (void)state;
    for (uint64_t fail_at = 1;; fail_at++) {
        struct io_sim sim;
        struct history history = {0};
        io_sim_init(&sim, fail_at);
        sim.fail_at = fail_at;
        sim.fail_with = fail_at % 2 == 0 ? ERR_NO_SPACE : ERR_IO;
        live(&sim, &history, 12);
        bool failed = sim.failed;
        sim.fail_at = 0;
        reopen_and_check(&sim, &history);
        io_sim_crash(&sim);
        reopen_and_check(&sim, &history);
        vec_deinit(&history.acked);
        io_sim_deinit(&sim);
        if (!failed) {
            assert_true(fail_at > 100);
            break; /* fewer calls than that: each of them has failed once */
        }
    }
}

static void every_acked_entry_survives_a_crash_at_any_call(void **state)
{
    (void)state;
    for (uint64_t crash_at = 1;; crash_at++) {
        struct io_sim sim;
        struct history history = {0};
        io_sim_init(&sim, crash_at);
        sim.crash_at = crash_at;
        live(&sim, &history, 12);
        bool went_off = sim.off;
        io_sim_crash(&sim);
        sim.crash_at = sim.calls + 1 + io_sim_below(&sim, 120); /* and again, maybe in recovery */
        live(&sim, &history, 6);
        io_sim_crash(&sim);
        reopen_and_check(&sim, &history);
        vec_deinit(&history.acked);
        io_sim_deinit(&sim);
        if (!went_off) {
            break;
        }
    }
}

/* AQUIFER_SEEDS: how many. */
static void seeded_lives_keep_every_acked_entry_once(void **state)
{
    (void)state;
    const char *more = getenv("AQUIFER_SEEDS");
    uint64_t seeds = more != NULL ? strtoull(more, NULL, 10) : 12;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct io_sim sim;
        struct history history = {0};
        io_sim_init(&sim, seed);
        for (int life = 0; life < 4; life++) {
            if (io_sim_below(&sim, 2) == 0) {
                sim.fail_at = sim.calls + 1 + io_sim_below(&sim, 300);
            }
            if (io_sim_below(&sim, 3) != 0) {
                sim.crash_at = sim.calls + 1 + io_sim_below(&sim, 300);
            }
            live(&sim, &history, 1 + io_sim_below(&sim, 30));
            io_sim_crash(&sim);
        }
        reopen_and_check(&sim, &history);
        vec_deinit(&history.acked);
        io_sim_deinit(&sim);
    }
}

struct order {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t done;
};

struct numbered {
    struct order *order;
    size_t number;
};

static void note_order(void *context, int rc)
{
    struct numbered *numbered = context;
    assert_int_equal(rc, 0);
    pthread_mutex_lock(&numbered->order->lock);
    assert_int_equal(numbered->order->done, numbered->number);
    numbered->order->done++;
    pthread_cond_signal(&numbered->order->changed);
    pthread_mutex_unlock(&numbered->order->lock);
}

/* Completions come in the order of submission, also of those that go to several wells; what was
 * confirmed is found at once. */
static void completions_come_in_order_and_are_visible(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct storage_options options = options_of(&sim);
    options.manual = false;
    struct storage *storage = NULL;
    uint16_t tags[ARRAY_COUNT(tag_names)];
    assert_int_equal(storage_open(&options, &storage), 0);
    assert_int_equal(put_tags(storage, tags), 0);
    struct order order = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    struct numbered numbered[300];
    struct history history = {0};
    for (size_t i = 0; i < ARRAY_COUNT(numbered); i++) {
        char texts[7][80];
        struct entry entries[7];
        numbered[i] = (struct numbered){&order, i};
        for (size_t j = 0; j < 7; j++) {
            entries[j] = make_entry(i * 7 + j, tags, texts[j]);
            vec_push(&history.acked, true);
        }
        assert_int_equal(storage_submit(storage, entries, 7, note_order, &numbered[i]), 0);
    }
    pthread_mutex_lock(&order.lock);
    while (order.done < ARRAY_COUNT(numbered)) {
        pthread_cond_wait(&order.changed, &order.lock);
    }
    pthread_mutex_unlock(&order.lock);
    check_against(storage, &history);
    assert_true(storage_stats(storage).entries_accepted == 2100);
    storage_close(&storage);
    io_sim_crash(&sim);
    reopen_and_check(&sim, &history);
    vec_deinit(&history.acked);
    io_sim_deinit(&sim);
}

static int note_well(void *context, uint16_t tag, struct span name, const char *well,
                     struct well_tag_stats stats)
{
    (void)tag;
    buf_printf(context, "%.*s:%s:%u ", SPAN_ARG(name), well, (unsigned)stats.entries);
    return 0;
}

/* Exact names beat globs, the first glob counts, the rest goes to the default well. */
static void tags_go_to_their_wells(void **state)
{
    (void)state;
    struct io_sim sim;
    struct history history = {0};
    io_sim_init(&sim, 1);
    struct storage_options options = options_of(&sim);
    struct storage *storage = NULL;
    uint16_t tags[ARRAY_COUNT(tag_names)];
    assert_int_equal(storage_open(&options, &storage), 0);
    assert_int_equal(put_tags(storage, tags), 0);
    assert_int_equal(append_some(storage, &history, tags, 18), 0);
    struct buf text = {0};
    assert_int_equal(storage_each_tag(storage, note_well, &text), 0);
    assert_string_equal(buf_str(&text), "default:default:0 web:web:3 syslog:sys:3 nginx-a:web:3 "
                                        "news:sys:3 other:default:3 gravwell:default:3 ");
    assert_true(storage_well_stats(storage, 1).entries == 6);
    buf_deinit(&text);
    storage_close(&storage);
    vec_deinit(&history.acked);
    io_sim_deinit(&sim);
}

static void impossible_wells_are_refused_by_name(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct storage_options options = options_of(&sim);
    struct storage *storage = NULL;
    const char *const same[] = {"web"};
    struct storage_well two[] = {
        {.name = STORAGE_WELL_DEFAULT, .location = "/a"},
        {.name = "first", .location = "/b", .tags = same, .tags_count = 1},
        {.name = "second", .location = "/c", .tags = same, .tags_count = 1},
    };
    options.wells = two;
    assert_int_equal(storage_open(&options, &storage), ERR_INVALID);
    assert_string_equal(err_text(), "tag web is in two wells: first and second");
    two[2].location = "/b/";
    two[2].tags_count = 0;
    assert_int_equal(storage_open(&options, &storage), ERR_INVALID);
    assert_string_equal(err_text(), "wells first and second have the same Location /b/");
    two[0].name = "not default";
    two[2].location = "/c";
    assert_int_equal(storage_open(&options, &storage), ERR_INVALID);
    assert_string_equal(err_text(), "there is no well default");
    two[0].name = STORAGE_WELL_DEFAULT;
    two[1].retention =
        (struct well_retention){.hot_ns = TIME_DAY_NS, .required_ns = TIME_DAY_NS + 1};
    assert_int_equal(storage_open(&options, &storage), ERR_INVALID);
    assert_string_equal(err_text(), "well first: Required-Retention is longer than Hot-Duration");
    io_sim_deinit(&sim);
}

static void check_without(struct io_sim *sim, const struct storage_options *options,
                          const struct history *history, const char *tag_a, const char *tag_b)
{
    struct storage *storage = NULL;
    struct history others = {0};
    for (size_t i = 0; i < history->acked.count; i++) {
        const char *tag = tag_names[i % ARRAY_COUNT(tag_names)];
        vec_push(&others.acked, strcmp(tag, tag_a) != 0 && strcmp(tag, tag_b) != 0);
    }
    assert_int_equal(storage_open(options, &storage), 0);
    check_against(storage, &others);
    assert_true(storage_stats(storage).corrupt == 0);
    io_sim_power_off(sim);
    storage_close(&storage);
    io_sim_crash(sim);
    vec_deinit(&others.acked);
}

/* What a well had not flushed stays with it: when the config drops it, it comes back with it,
 * each entry once; when the config gives it another name, it has them at once. */
static void a_changed_config_loses_nothing_unflushed(void **state)
{
    (void)state;
    struct io_sim sim;
    struct history history = {0};
    io_sim_init(&sim, 1);
    struct storage_well renamed[ARRAY_COUNT(wells)];
    memcpy(renamed, wells, sizeof(wells));
    renamed[2].name = "system";
    struct storage_options options = options_of(&sim);
    struct storage *storage = NULL;
    uint16_t tags[ARRAY_COUNT(tag_names)];
    for (int round = 0; round < 3; round++) {
        options.wells = round == 1 ? renamed : wells;
        options.wells_count = 3;
        assert_int_equal(storage_open(&options, &storage), 0);
        check_against(storage, &history);
        assert_int_equal(put_tags(storage, tags), 0);
        assert_int_equal(append_some(storage, &history, tags, 60), 0);
        io_sim_power_off(&sim);
        storage_close(&storage);
        io_sim_crash(&sim);
        options.wells_count = 2; /* "sys" is gone, its tags go to default and web */
        check_without(&sim, &options, &history, "syslog", "news");
        check_without(&sim, &options, &history, "syslog", "news");
    }
    options.wells_count = 3;
    assert_int_equal(storage_open(&options, &storage), 0);
    check_against(storage, &history);
    assert_true(storage_well_stats(storage, 2).entries == 60);
    storage_close(&storage);
    vec_deinit(&history.acked);
    io_sim_deinit(&sim);
}

static void a_full_disk_stops_ingest_and_resumes_by_itself(void **state)
{
    (void)state;
    struct io_sim sim;
    struct history history = {0};
    io_sim_init(&sim, 1);
    struct storage_options options = options_of(&sim);
    options.space_reserve_bytes = 2000;
    struct storage *storage = NULL;
    uint16_t tags[ARRAY_COUNT(tag_names)];
    struct buf why = {0};
    assert_int_equal(storage_open(&options, &storage), 0);
    assert_int_equal(put_tags(storage, tags), 0);
    assert_int_equal(append_some(storage, &history, tags, 60), 0);
    assert_false(storage_stopped(storage, &why));
    sim.space_bytes = io_sim_used(&sim) + 1000; /* the log itself meets the end of the disk */
    assert_int_equal(append_some(storage, &history, tags, 60), ERR_NO_SPACE);
    assert_non_null(strstr(err_text(), "full"));
    assert_true(storage_stopped(storage, &why));
    check_against(storage, &history); /* searching goes on */
    sim.space_bytes = 40000;
    assert_int_equal(append_some(storage, &history, tags, 60), 0);
    buf_clear(&why);
    assert_false(storage_stopped(storage, &why));
    sim.space_bytes = io_sim_used(&sim) + 100; /* now the reserve is what is missed first */
    assert_int_equal(storage_flush(storage), ERR_NO_SPACE);
    (void)!storage_work(storage);
    assert_true(storage_stopped(storage, &why));
    assert_non_null(strstr(buf_str(&why), "/data"));
    assert_int_equal(append_some(storage, &history, tags, 60), ERR_NO_SPACE);
    assert_non_null(strstr(err_text(), "ingest stopped"));
    sim.space_bytes = 1000000;
    assert_int_equal(storage_work(storage), 0);
    assert_int_equal(append_some(storage, &history, tags, 60), 0);
    check_against(storage, &history);
    storage_close(&storage);
    io_sim_crash(&sim);
    reopen_and_check(&sim, &history);
    buf_deinit(&why);
    vec_deinit(&history.acked);
    io_sim_deinit(&sim);
}

/* When the reserve is reached because of the log itself, the log makes room. */
static void a_log_that_fills_the_disk_is_flushed_away(void **state)
{
    (void)state;
    struct io_sim sim;
    struct history history = {0};
    io_sim_init(&sim, 1);
    struct storage_options options = options_of(&sim);
    options.memtable_bytes_max = 1 << 20;
    options.datalog_kept_bytes_max = 1 << 20;
    options.space_reserve_bytes = 15000; /* a flush of what the log holds fits */
    sim.space_bytes = 200000;
    struct storage *storage = NULL;
    uint16_t tags[ARRAY_COUNT(tag_names)];
    struct buf why = {0};
    assert_int_equal(storage_open(&options, &storage), 0);
    assert_int_equal(put_tags(storage, tags), 0);
    for (int i = 0; i < 100; i++) {
        int rc = append_some(storage, &history, tags, 60);
        for (int j = 0; rc == ERR_NO_SPACE && j < 3; j++) {
            (void)!storage_work(storage);
        }
    }
    size_t acked = 0;
    for (size_t i = 0; i < history.acked.count; i++) {
        acked += history.acked.items[i];
    }
    assert_true(acked > 4000); /* the log alone would have held some 1800 */
    check_against(storage, &history);
    storage_close(&storage);
    reopen_and_check(&sim, &history);
    buf_deinit(&why);
    vec_deinit(&history.acked);
    io_sim_deinit(&sim);
}

/* Flushing lets the log be trimmed, also when some wells are idle. */
static void the_log_is_trimmed_behind_the_flush(void **state)
{
    (void)state;
    struct io_sim sim;
    struct history history = {0};
    io_sim_init(&sim, 1);
    struct storage_options options = options_of(&sim);
    struct storage *storage = NULL;
    uint16_t all[ARRAY_COUNT(tag_names)];
    assert_int_equal(storage_open(&options, &storage), 0);
    assert_int_equal(put_tags(storage, all), 0);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(append_some(storage, &history, all, 20), 0);
        assert_int_equal(storage_work(storage), 0);
        assert_true(storage_stats(storage).log_bytes < 12000 + 4 * 4000);
    }
    assert_true(storage_stats(storage).log_first > 100);
    assert_int_equal(storage_flush(storage), 0);
    assert_true(storage_stats(storage).log_bytes <= 4000 + 64);
    storage_close(&storage);
    reopen_and_check(&sim, &history);
    vec_deinit(&history.acked);
    io_sim_deinit(&sim);
}

static void note_report(void *context, const char *text)
{
    buf_printf(context, "%s\n", text);
}

static size_t count_of(const struct buf *text, const char *what)
{
    size_t count = 0;
    for (const char *at = buf_str((struct buf *)text); (at = strstr(at, what)) != NULL; at++) {
        count++;
    }
    return count;
}

/* What is too old goes from the wells that permit it, is said and counted, and no restart brings
 * it back out of the log; the others keep theirs and say so once. */
static void retention_drops_what_is_permitted_and_says_so(void **state)
{
    (void)state;
    struct io_sim sim;
    struct history history = {0};
    struct buf reports = {0};
    io_sim_init(&sim, 1);
    sim.now_ns = 100 * TIME_DAY_NS;
    struct storage_well some[ARRAY_COUNT(wells)];
    memcpy(some, wells, sizeof(wells));
    some[1].retention = (struct well_retention){.hot_ns = TIME_DAY_NS};
    some[2].retention = (struct well_retention){.hot_ns = TIME_DAY_NS, .forbidden = "no leave"};
    struct storage_options options = options_of(&sim);
    options.wells = some;
    options.datalog_segment_bytes_max = 1 << 20; /* the log still has everything */
    options.report = note_report;
    options.report_context = &reports;
    struct storage *storage = NULL;
    uint16_t tags[ARRAY_COUNT(tag_names)];
    assert_int_equal(storage_open(&options, &storage), 0);
    assert_int_equal(put_tags(storage, tags), 0);
    buf_clear(&reports);
    assert_int_equal(append_some(storage, &history, tags, 60), 0);
    assert_int_equal(storage_flush(storage), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(storage_work(storage), 0);
    }
    assert_int_equal(count_of(&reports, "well web: dropped the entries of 1970-01-01"), 1);
    assert_int_equal(count_of(&reports, "because of Hot-Duration: 20 entries"), 1);
    assert_int_equal(count_of(&reports, "well sys: "), 1);
    assert_int_equal(count_of(&reports, "but stay: no leave"), 1);
    assert_true(storage_stats(storage).dropped_entries == 20);
    assert_true(storage_stats(storage).dropped_partitions == 1);
    assert_true(storage_stats(storage).log_first == 1);
    for (int i = 0; i < 2; i++) {
        assert_true(storage_well_stats(storage, 0).entries == 20);
        assert_true(storage_well_stats(storage, 1).entries == 0);
        assert_true(storage_well_stats(storage, 2).entries == 20);
        storage_close(&storage);
        io_sim_crash(&sim);
        assert_int_equal(storage_open(&options, &storage), 0);
    }
    storage_close(&storage);
    buf_deinit(&reports);
    vec_deinit(&history.acked);
    io_sim_deinit(&sim);
}

/* A memory well acknowledges what is in the log, asks for no directory, holds back no log, stays
 * within its size, and is given by a restart what the log still has. */
static void a_memory_well_has_the_newest_and_what_the_log_has(void **state)
{
    (void)state;
    struct io_sim sim;
    struct history history = {0};
    io_sim_init(&sim, 1);
    struct storage_well some[ARRAY_COUNT(wells)];
    memcpy(some, wells, sizeof(wells));
    some[1].location = NULL;
    some[1].memory_bytes_max = 300000;
    struct storage_options options = options_of(&sim);
    options.wells = some;
    struct storage *storage = NULL;
    uint16_t tags[ARRAY_COUNT(tag_names)];
    assert_int_equal(storage_open(&options, &storage), 0);
    assert_int_equal(put_tags(storage, tags), 0);
    assert_int_equal(append_some(storage, &history, tags, 60), 0);
    check_against(storage, &history);
    io_sim_power_off(&sim);
    storage_close(&storage);
    io_sim_crash(&sim);
    assert_int_equal(storage_open(&options, &storage), 0);
    check_against(storage, &history); /* all of it was in the log */
    assert_true(storage_well_stats(storage, 1).disk_bytes == 0);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(append_some(storage, &history, tags, 60), 0);
        assert_int_equal(storage_work(storage), 0);
        assert_true(storage_stats(storage).log_bytes < 12000 + 4 * 8000);
        assert_true(storage_well_stats(storage, 1).memtable_bytes <= 300000);
    }
    assert_true(storage_well_stats(storage, 1).dropped_entries > 0);
    assert_true(storage_well_stats(storage, 1).entries > 0);
    assert_true(storage_well_stats(storage, 0).entries == 201 * 20);
    assert_false(io_exists(&sim.io, "/data/web"));
    storage_close(&storage);
    vec_deinit(&history.acked);
    io_sim_deinit(&sim);
}

/* How many of 400 rounds of ingest a small disk takes. */
static int rounds_taken(const char *forbidden, uint64_t *ret_dropped)
{
    struct io_sim sim;
    struct history history = {0};
    io_sim_init(&sim, 1);
    sim.now_ns = 100 * TIME_DAY_NS;
    sim.space_bytes = 50000;
    struct storage_well some[ARRAY_COUNT(wells)];
    memcpy(some, wells, sizeof(wells));
    for (size_t i = 0; i < ARRAY_COUNT(wells); i++) {
        some[i].retention = (struct well_retention){.reserve_percent = 40, .forbidden = forbidden};
    }
    struct storage_options options = options_of(&sim);
    options.wells = some;
    options.space_reserve_bytes = 5000;
    struct storage *storage = NULL;
    uint16_t tags[ARRAY_COUNT(tag_names)];
    assert_int_equal(storage_open(&options, &storage), 0);
    assert_int_equal(put_tags(storage, tags), 0);
    int taken = 0;
    for (int i = 0; i < 400; i++) {
        taken += append_some(storage, &history, tags, 60) == 0 ? 1 : 0;
        (void)!storage_flush(storage);
        (void)!storage_work(storage);
    }
    *ret_dropped = storage_stats(storage).dropped_entries;
    storage_close(&storage);
    vec_deinit(&history.acked);
    io_sim_deinit(&sim);
    return taken;
}

/* Wells that may delete let ingest go on where it would stop for want of space. */
static void a_reserve_keeps_ingest_going(void **state)
{
    (void)state;
    uint64_t dropped = 0;
    assert_true(rounds_taken("no leave", &dropped) < 300);
    assert_true(dropped == 0);
    assert_int_equal(rounds_taken(NULL, &dropped), 400);
    assert_true(dropped > 1000);
}

static int remove_log_file(void *context, const char *name)
{
    struct io_sim *sim = context;
    char path[128];
    snprintf(path, sizeof(path), "/data/log/%s", name);
    return io_remove(&sim->io, path);
}

/* Lost files of the log or of the catalogue cost what only they had, and nothing goes wrong
 * afterwards: positions and tag numbers are not given again. */
static void a_lost_log_or_catalogue_does_no_further_harm(void **state)
{
    (void)state;
    struct io_sim sim;
    struct history history = {0};
    io_sim_init(&sim, 1);
    struct storage_options options = options_of(&sim);
    struct storage *storage = NULL;
    uint16_t tags[ARRAY_COUNT(tag_names)];
    uint16_t again[ARRAY_COUNT(tag_names)];
    assert_int_equal(storage_open(&options, &storage), 0);
    assert_int_equal(put_tags(storage, tags), 0);
    assert_int_equal(append_some(storage, &history, tags, 60), 0);
    storage_close(&storage);
    assert_int_equal(io_list(&sim.io, "/data/log", remove_log_file, &sim), 0);
    assert_int_equal(io_remove(&sim.io, "/data/tags.dat"), 0);
    assert_int_equal(storage_open(&options, &storage), 0);
    assert_int_equal(put_tags(storage, again), 0);
    assert_memory_equal(tags, again, sizeof(tags));
    assert_int_equal(append_some(storage, &history, tags, 60), 0);
    io_sim_power_off(&sim);
    storage_close(&storage);
    io_sim_crash(&sim);
    assert_int_equal(io_remove(&sim.io, "/data/tags.dat"), 0); /* now the log has the names too */
    reopen_and_check(&sim, &history);
    vec_deinit(&history.acked);
    io_sim_deinit(&sim);
}

static int count_tag(void *context, const char *name, uint16_t tag)
{
    buf_printf(context, "%s=%u ", name, tag);
    return 0;
}

/* The query library sees tags and entries in either direction; [start, end). */
static void the_query_source_scans_by_tag_and_time(void **state)
{
    (void)state;
    struct io_sim sim;
    struct history history = {0};
    io_sim_init(&sim, 1);
    struct storage_options options = options_of(&sim);
    struct storage *storage = NULL;
    uint16_t tags[ARRAY_COUNT(tag_names)];
    assert_int_equal(storage_open(&options, &storage), 0);
    assert_int_equal(put_tags(storage, tags), 0);
    assert_int_equal(append_some(storage, &history, tags, 60), 0);
    struct query_source *source = storage_source(storage);
    struct buf text = {0};
    assert_int_equal(query_source_tags(source, count_tag, &text), 0);
    assert_string_equal(buf_str(&text), "default=0 web=1 syslog=2 nginx-a=3 news=4 other=5 "
                                        "gravwell=65535 ");
    buf_deinit(&text);
    for (int ascending = 0; ascending < 2; ascending++) {
        struct query_scan scan = {.tags = &tags[2],
                                  .tag_count = 2,
                                  .start_ns = 100,
                                  .end_ns = 700,
                                  .ascending = ascending != 0};
        struct query_cursor *cursor;
        struct query_source_block block;
        assert_int_equal(query_source_open(source, &scan, &cursor), 0);
        size_t seen = 0;
        int64_t last = ascending != 0 ? 100 : 699;
        while (query_source_next(cursor, &block) == 0) {
            for (size_t i = 0; i < block.count; i++, seen++) {
                int64_t time_ns = block.entries[i].time_ns;
                assert_true(block.entries[i].tag == tags[2] || block.entries[i].tag == tags[3]);
                assert_true(ascending != 0 ? time_ns >= last : time_ns <= last);
                last = time_ns;
            }
        }
        size_t expected = 0;
        for (size_t i = 0; i < 60; i++) {
            size_t kind = i % ARRAY_COUNT(tag_names);
            size_t time = i * 37 % 1000;
            expected += (kind == 2 || kind == 3) && time >= 100 && time < 700;
        }
        assert_int_equal(seen, expected);
        assert_int_equal((int)query_source_skipped(cursor), 0);
        query_source_close(&cursor);
    }
    storage_close(&storage);
    vec_deinit(&history.acked);
    io_sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_acked_entry_survives_any_one_failed_call),
        cmocka_unit_test(every_acked_entry_survives_a_crash_at_any_call),
        cmocka_unit_test(seeded_lives_keep_every_acked_entry_once),
        cmocka_unit_test(completions_come_in_order_and_are_visible),
        cmocka_unit_test(tags_go_to_their_wells),
        cmocka_unit_test(impossible_wells_are_refused_by_name),
        cmocka_unit_test(a_changed_config_loses_nothing_unflushed),
        cmocka_unit_test(a_full_disk_stops_ingest_and_resumes_by_itself),
        cmocka_unit_test(a_log_that_fills_the_disk_is_flushed_away),
        cmocka_unit_test(the_log_is_trimmed_behind_the_flush),
        cmocka_unit_test(retention_drops_what_is_permitted_and_says_so),
        cmocka_unit_test(a_memory_well_has_the_newest_and_what_the_log_has),
        cmocka_unit_test(a_reserve_keeps_ingest_going),
        cmocka_unit_test(a_lost_log_or_catalogue_does_no_further_harm),
        cmocka_unit_test(the_query_source_scans_by_tag_and_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
