/*
 * Points through storage against a model: last write wins by stamp, whatever the order in which
 * writes and deletes of several nodes come, through flushes, merges, restarts and crashes.
 * Nothing acknowledged is lost, nothing deleted comes back.
 */
#include <pthread.h>
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

#define SERIES 6
#define TIMES 120
#define STEP_NS 1000000 /* between two operations */
#define PARTITION_NS (INT64_C(131072) * INT64_C(1000000000))

static const char *const web_tags[] = {"web*"};
static const struct storage_well wells[] = {
    {.name = STORAGE_WELL_DEFAULT, .location = "/data/default"},
    {.name = "web", .location = "/data/web", .tags = web_tags, .tags_count = 1},
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
        .memtable_bytes_max = 6000,
        .datalog_segment_bytes_max = 4000,
        .datalog_kept_bytes_max = 12000,
        .manual = true,
    };
}

/* Series i: three of class web.load, three of class temp, with a host and a room. */
static void make_key(struct buf *key, size_t i)
{
    char host[8];
    snprintf(host, sizeof(host), "h%zu", i % 3);
    struct series_label labels[] = {
        {SPAN_LIT("room"), i < 3 ? SPAN_LIT("one") : SPAN_LIT("two")},
        {SPAN_LIT("host"), span_of_str(host)},
    };
    struct span class = i % 2 == 0 ? SPAN_LIT("web.load") : SPAN_LIT("temp");
    assert_int_equal(series_key_make(key, class, labels, 2), 0);
}

static const struct {
    const char *text;
    uint32_t series; /* bits */
} selectors[] = {
    {"web.load{}", 0x15},         {"temp{host=h0}", 0x08},    {"~.*{room=two}", 0x38},
    {"~temp|none{}", 0x2a},       {"temp{host~h[12]}", 0x22}, {"nothing{}", 0},
    {"web.load{room=one}", 0x05}, {"~web.*{host=h2}", 0x04},
};

/* What was tried. `key` orders the stamps; `acked` is false for what may or may not be there. */
struct write {
    size_t series;
    int64_t time_ns;
    uint64_t key;
    bool acked;
};

struct deletion {
    uint32_t series;
    int64_t start_ns;
    int64_t end_ns;
    uint64_t key;
    bool acked;
};

struct model {
    struct io_sim sim;
    struct storage *storage;
    VEC(struct write) writes; /* the value is the index */
    VEC(struct deletion) deletions;
    uint64_t steps;
    uint64_t oldest_step; /* received records are not older */
    uint64_t begin_ns;
    uint64_t positions[3]; /* of the other nodes */
    bool faults;           /* calls to the disk fail now and then */
};

static uint64_t now_of(const struct model *model, uint64_t step)
{
    return model->begin_ns + step * STEP_NS;
}

static uint64_t below(struct model *model, uint64_t bound)
{
    return io_sim_below(&model->sim, bound);
}

static int64_t time_of(uint64_t number)
{
    return (int64_t)(number % 3) * 2 * PARTITION_NS + (int64_t)(number / 3) * 1000;
}

static struct element element_of(struct model *model, size_t write, char text[24])
{
    struct element element = {.time_ns = model->writes.items[write].time_ns};
    switch (write % 5) {
    case 0:
        snprintf(text, 24, "w%zu", write);
        element.type = write % 2 == 0 ? ELEMENT_TEXT : ELEMENT_BYTES;
        element.value.bytes = span_of_str(text);
        break;
    case 1:
        element.type = ELEMENT_F64;
        element.value.f64 = (double)write + 0.25;
        break;
    case 2:
        element.has = ELEMENT_HAS_LOCATION | ELEMENT_HAS_ELEVATION;
        element.location = (struct location){(uint32_t)write, 7};
        element.elevation = -(int64_t)write;
        element.type = ELEMENT_I64;
        element.value.i64 = (int64_t)write;
        break;
    default:
        element.type = ELEMENT_I64;
        element.value.i64 = (int64_t)write;
    }
    return element;
}

static bool is_off(const struct model *model)
{
    return model->sim.off || model->storage == NULL;
}

/* What was asked for may fail when the disk does. */
static bool may_fail(const struct model *model)
{
    return model->sim.off || model->faults;
}

/* A step with a time of its own; the stamp of what is written here is just behind it. */
static uint64_t begin_step(struct model *model)
{
    model->steps++;
    model->sim.now_ns = (int64_t)now_of(model, model->steps);
    return now_of(model, model->steps);
}

/* Waits for a submission. */
struct outcome {
    pthread_mutex_t lock;
    pthread_cond_t finished;
    bool is_done;
    int rc;
};

static void note_outcome(void *context, int rc)
{
    struct outcome *outcome = context;
    pthread_mutex_lock(&outcome->lock);
    outcome->is_done = true;
    outcome->rc = rc;
    pthread_cond_signal(&outcome->finished);
    pthread_mutex_unlock(&outcome->lock);
}

static int outcome_of(struct outcome *outcome, int submit_rc)
{
    pthread_mutex_lock(&outcome->lock);
    while (submit_rc == 0 && !outcome->is_done) {
        pthread_cond_wait(&outcome->finished, &outcome->lock);
    }
    pthread_mutex_unlock(&outcome->lock);
    pthread_mutex_destroy(&outcome->lock);
    pthread_cond_destroy(&outcome->finished);
    return submit_rc < 0 ? submit_rc : outcome->rc;
}

#define OUTCOME                                                                                    \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .finished = PTHREAD_COND_INITIALIZER                    \
    }

static struct storage_received receive_from(struct model *model, size_t node, uint64_t key)
{
    return (struct storage_received){
        .origin = {{{(uint8_t)(20 + node)}}, 5},
        .origin_position = ++model->positions[node],
        .time = key,
    };
}

/* A key of another node: of some earlier step, or now; never one that was used. */
static uint64_t other_key(struct model *model)
{
    uint64_t step = model->oldest_step + below(model, model->steps - model->oldest_step + 1);
    return now_of(model, step) + STEP_NS / 2 + model->steps;
}

static void append(struct model *model, bool is_received)
{
    struct storage_points points[4];
    struct element elements[4][8];
    char texts[4][8][24];
    struct buf keys[4] = {{0}};
    size_t first = model->writes.count;
    size_t count = 1 + below(model, 4);
    uint64_t key = begin_step(model);
    key = is_received ? other_key(model) : key;
    for (size_t i = 0; i < count; i++) {
        size_t series = below(model, SERIES);
        make_key(&keys[i], series);
        points[i] = (struct storage_points){
            .key = buf_span(&keys[i]), .elements = elements[i], .count = 1 + below(model, 8)};
        for (size_t j = 0; j < points[i].count; j++) {
            struct write write = {series, time_of(below(model, TIMES)), key, false};
            vec_push(&model->writes, write);
            elements[i][j] = element_of(model, model->writes.count - 1, texts[i][j]);
        }
    }
    struct outcome outcome = OUTCOME;
    struct storage_received received = receive_from(model, below(model, 3), key);
    int rc = outcome_of(&outcome, storage_submit_points(model->storage, points, count,
                                                        is_received ? &received : NULL,
                                                        note_outcome, &outcome));
    assert_true(rc == 0 || may_fail(model));
    for (size_t i = first; i < model->writes.count; i++) {
        model->writes.items[i].acked = rc == 0;
    }
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        buf_deinit(&keys[i]);
    }
}

static void delete (struct model *model, bool is_received)
{
    size_t which = below(model, ARRAY_COUNT(selectors));
    uint64_t key = begin_step(model);
    bool whole = below(model, 3) == 0;
    struct series_delete deletion = {
        .flags = whole ? SERIES_DELETE_WHOLE : 0,
        .start_ns = whole ? INT64_MIN : time_of(below(model, TIMES)),
        .selector = span_of_str(selectors[which].text),
    };
    deletion.end_ns = whole ? INT64_MAX : deletion.start_ns + (int64_t)below(model, 20) * 1000;
    key = is_received ? other_key(model) : key;
    struct outcome outcome = OUTCOME;
    struct storage_received received = receive_from(model, below(model, 3), key);
    int rc = outcome_of(&outcome, storage_submit_delete(model->storage, &deletion,
                                                        is_received ? &received : NULL,
                                                        note_outcome, &outcome));
    assert_true(rc == 0 || may_fail(model));
    struct deletion about = {selectors[which].series, deletion.start_ns, deletion.end_ns, key,
                             rc == 0};
    vec_push(&model->deletions, about);
}

/* Of two writes of one record the later one stands. */
static bool is_later(const struct model *model, size_t a, size_t b)
{
    const struct write *left = &model->writes.items[a];
    const struct write *right = &model->writes.items[b];
    return left->key != right->key ? left->key > right->key : a > b;
}

static bool is_deleted(const struct model *model, size_t index, bool certainly)
{
    const struct write *write = &model->writes.items[index];
    for (size_t i = 0; i < model->deletions.count; i++) {
        const struct deletion *deletion = &model->deletions.items[i];
        if ((deletion->acked || !certainly) && (deletion->series >> write->series & 1u) != 0 &&
            write->time_ns >= deletion->start_ns && write->time_ns <= deletion->end_ns &&
            write->key < deletion->key) {
            return true;
        }
    }
    return false;
}

#define NO_WRITE SIZE_MAX

/* The last acknowledged write that stands whatever became of the rest. */
static size_t certain_write(const struct model *model, size_t series, int64_t time_ns)
{
    size_t found = NO_WRITE;
    for (size_t i = 0; i < model->writes.count; i++) {
        const struct write *write = &model->writes.items[i];
        if (write->acked && write->series == series && write->time_ns == time_ns &&
            (found == NO_WRITE || is_later(model, i, found))) {
            found = i;
        }
    }
    return found != NO_WRITE && is_deleted(model, found, false) ? NO_WRITE : found;
}

static size_t write_of(const struct element *element)
{
    uint64_t number = UINT64_MAX;
    switch (element->type) {
    case ELEMENT_F64:
        return (size_t)element->value.f64;
    case ELEMENT_I64:
        return (size_t)element->value.i64;
    default:
        assert_true(span_to_u64(span_from(element->value.bytes, 1), &number));
        return (size_t)number;
    }
}

static void check_element(struct model *model, size_t series, const struct element *element,
                          bool *seen)
{
    char text[24];
    size_t index = write_of(element);
    assert_true(index < model->writes.count);
    const struct write *write = &model->writes.items[index];
    assert_true(write->series == series && write->time_ns == element->time_ns);
    struct element expected = element_of(model, index, text);
    assert_true(element_equal_value(&expected, element));
    assert_false(is_deleted(model, index, true)); /* nothing deleted comes back */
    size_t certain = certain_write(model, series, element->time_ns);
    assert_true(certain == NO_WRITE || certain == index || is_later(model, index, certain));
    for (size_t i = 0; i < model->writes.count; i++) { /* and nothing that was overwritten */
        const struct write *other = &model->writes.items[i];
        assert_false(other->acked && other->series == series &&
                     other->time_ns == element->time_ns && is_later(model, i, index) &&
                     !is_deleted(model, i, false));
    }
    for (uint64_t i = 0; i < TIMES; i++) {
        if (time_of(i) == element->time_ns) {
            assert_false(seen[i]);
            seen[i] = true;
        }
    }
}

static void fetch_series(struct model *model, size_t series, uint32_t number, bool ascending,
                         bool *seen)
{
    struct well_fetch fetch = {
        .series = &number,
        .series_count = 1,
        .start_ns = INT64_MIN,
        .end_ns = INT64_MAX,
        .ascending = ascending,
        .count_max = UINT64_MAX,
    };
    struct well_points_cursor *cursor;
    struct well_points points;
    int64_t last_ns = 0;
    bool any = false;
    int rc;
    assert_int_equal(storage_fetch(model->storage, &fetch, &cursor), 0);
    while ((rc = well_points_cursor_next(cursor, &points)) == 0) {
        for (size_t i = 0; i < points.count; i++) {
            struct element element = well_points_at(&points, i);
            assert_true(!any ||
                        (ascending ? element.time_ns > last_ns : element.time_ns < last_ns));
            last_ns = element.time_ns;
            any = true;
            check_element(model, series, &element, seen);
        }
    }
    assert_true(rc == WELL_END || model->sim.off);
    assert_true(well_points_cursor_skipped(cursor) == 0);
    well_points_cursor_close(&cursor);
}

static void check(struct model *model)
{
    model->sim.fail_at = 0;
    for (size_t series = 0; series < SERIES && !is_off(model); series++) {
        struct buf key = {0};
        bool seen[TIMES] = {false};
        uint32_t number;
        make_key(&key, series);
        if (series_catalogue_find(storage_catalogue(model->storage), buf_span(&key), &number)) {
            fetch_series(model, series, number, below(model, 2) == 0, seen);
        }
        buf_deinit(&key);
        for (uint64_t i = 0; i < TIMES && !model->sim.off; i++) {
            assert_true(seen[i] || certain_write(model, series, time_of(i)) == NO_WRITE);
        }
    }
}

static void open_storage(struct model *model)
{
    struct storage_options options = options_of(&model->sim);
    begin_step(model);
    int rc = storage_open(&options, &model->storage);
    if (rc < 0 && model->faults && !model->sim.off) {
        model->sim.fail_at = 0;
        rc = storage_open(&options, &model->storage);
    }
    assert_true(rc == 0 || model->sim.off);
}

static void crash(struct model *model)
{
    io_sim_power_off(&model->sim);
    storage_close(&model->storage);
    io_sim_crash(&model->sim);
    open_storage(model);
    assert_non_null(model->storage);
    check(model);
}

/* More than the horizon: nothing older comes any more, and deletes that are done are forgotten. */
static void jump(struct model *model, uint64_t days)
{
    model->begin_ns += days * 24 * 3600 * UINT64_C(1000000000);
    begin_step(model);
    model->oldest_step = model->steps;
    for (int i = 0; i < 60 && (i < 3 || storage_stats(model->storage).tombstones > 0); i++) {
        assert_true(storage_flush(model->storage) == 0 || may_fail(model));
        assert_true(storage_work(model->storage) == 0 || may_fail(model));
        begin_step(model);
    }
    assert_true(days < 30 || may_fail(model) || storage_stats(model->storage).tombstones == 0);
}

static void act(struct model *model)
{
    uint64_t what = below(model, 100);
    if (what < 45) {
        append(model, false);
    } else if (what < 65) {
        append(model, true);
    } else if (what < 72) {
        delete (model, false);
    } else if (what < 78) {
        delete (model, true);
    } else if (what < 84) {
        assert_true(storage_flush(model->storage) == 0 || may_fail(model));
    } else if (what < 93) {
        assert_true(storage_work(model->storage) == 0 || may_fail(model));
    } else if (what < 94) {
        jump(model, 2);
    } else if (what < 95) {
        jump(model, 40);
    } else if (what < 97) {
        storage_close(&model->storage);
        if (!model->sim.off) {
            open_storage(model);
        }
    } else {
        check(model);
    }
}

static void live(uint64_t seed, bool crashes, bool faults, size_t steps)
{
    struct model *model = MEM_NEW(struct model);
    io_sim_init(&model->sim, seed);
    model->begin_ns = UINT64_C(1700000000) * 1000000000;
    open_storage(model);
    model->faults = faults;
    for (size_t i = 0; i < steps; i++) {
        if (faults && below(model, 3) == 0) {
            model->sim.fail_at = model->sim.calls + 1 + below(model, 40);
            model->sim.fail_with = below(model, 2) == 0 ? ERR_IO : ERR_NO_SPACE;
        }
        if (crashes && model->sim.crash_at == 0) {
            model->sim.crash_at = model->sim.calls + 1 + below(model, 300);
        }
        if (is_off(model)) {
            crash(model);
        }
        act(model);
    }
    model->sim.fail_at = 0;
    crash(model);
    assert_int_equal(storage_flush(model->storage), 0);
    check(model);
    /* A checkpoint of the catalogue that a crash tore counts as damage there. */
    assert_true(crashes || storage_stats(model->storage).corrupt == 0);
    storage_close(&model->storage);
    vec_deinit(&model->writes);
    vec_deinit(&model->deletions);
    io_sim_deinit(&model->sim);
    mem_free(model);
}

/* AQUIFER_SEEDS lives, from AQUIFER_SEED on. */
static void each_seed(bool crashes, bool faults, size_t steps)
{
    const char *from = getenv("AQUIFER_SEED");
    const char *more = getenv("AQUIFER_SEEDS");
    unsigned long first = from != NULL ? strtoul(from, NULL, 10) : 1;
    unsigned long count = more != NULL ? strtoul(more, NULL, 10) : from != NULL ? 1 : 4;
    for (unsigned long seed = first; seed < first + count; seed++) {
        live(seed, crashes, faults, steps);
    }
}

static void the_last_write_stands_and_nothing_deleted_comes_back(void **state)
{
    (void)state;
    each_seed(false, false, 250);
}

static void nor_after_crashes(void **state)
{
    (void)state;
    each_seed(true, false, 200);
}

static void nor_when_the_disk_fails(void **state)
{
    (void)state;
    each_seed(true, true, 150);
}

static size_t count_entries(struct storage *storage, uint16_t tag)
{
    struct well_scan scan = {
        .start_ns = TIME_UNSET, .end_ns = TIME_MAX_NS, .tags = &tag, .tags_count = 1};
    struct well_cursor *cursor;
    struct well_block block;
    size_t count = 0;
    assert_int_equal(storage_scan(storage, &scan, &cursor), 0);
    while (well_cursor_next(cursor, &block) == 0) {
        for (size_t i = 0; i < block.count; i++) {
            assert_true(block.entries[i].stamp.time > 0 && block.entries[i].stamp.origin > 0);
        }
        count += block.count;
    }
    well_cursor_close(&cursor);
    return count;
}

/* Entries are deleted by tag and range as points are; what was written behind the delete stays. */
static void entries_are_deleted_by_tag(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    sim.now_ns = 1000;
    sim.tick_ns = 1;
    struct storage_options options = options_of(&sim);
    struct storage *storage = NULL;
    uint16_t tags[2];
    assert_int_equal(storage_open(&options, &storage), 0);
    assert_int_equal(storage_tag(storage, SPAN_LIT("web"), &tags[0]), 0);
    assert_int_equal(storage_tag(storage, SPAN_LIT("other"), &tags[1]), 0);
    struct entry entries[40];
    for (size_t i = 0; i < 40; i++) {
        entries[i] = (struct entry){
            .time_ns = (int64_t)i, .tag = tags[i % 2], .data = SPAN_LIT("some text")};
    }
    assert_int_equal(storage_append(storage, entries, 20), 0);
    assert_int_equal(storage_flush(storage), 0);
    assert_int_equal(storage_append(storage, entries + 20, 20), 0);
    struct series_delete deletion = {
        .start_ns = 10, .end_ns = 29, .selector = SPAN_LIT("~web.*{}")};
    struct storage_deleted deleted;
    assert_int_equal(storage_delete(storage, &deletion, &deleted), 0);
    assert_true(deleted.tags == 1 && deleted.series == 0);
    assert_int_equal(storage_append(storage, entries + 12, 1), 0); /* written anew */
    for (int round = 0; round < 3; round++) {
        assert_int_equal(count_entries(storage, tags[0]), 11);
        assert_int_equal(count_entries(storage, tags[1]), 20);
        if (round == 0) {
            assert_int_equal(storage_flush(storage), 0);
            assert_int_equal(storage_work(storage), 0);
        } else {
            io_sim_power_off(&sim);
            storage_close(&storage);
            io_sim_crash(&sim);
            assert_int_equal(storage_open(&options, &storage), 0);
        }
    }
    assert_true(storage_well_stats(storage, 1).entries == 11); /* gone from the disk too */
    storage_close(&storage);
    io_sim_deinit(&sim);
}

/* A record of another node is one here too, whatever wells it goes to, and comes once. */
static void a_received_record_comes_once(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    sim.now_ns = 1000;
    sim.tick_ns = 1;
    struct storage_options options = options_of(&sim);
    struct storage *storage = NULL;
    uint16_t tags[2];
    assert_int_equal(storage_open(&options, &storage), 0);
    assert_int_equal(storage_tag(storage, SPAN_LIT("web"), &tags[0]), 0);
    assert_int_equal(storage_tag(storage, SPAN_LIT("other"), &tags[1]), 0);
    struct entry entries[6];
    for (size_t i = 0; i < 6; i++) {
        entries[i] = (struct entry){
            .time_ns = (int64_t)i, .tag = tags[i % 2], .data = SPAN_LIT("some text")};
    }
    struct storage_received received = {.origin = {{{9}}, 3}, .origin_position = 17, .time = 500};
    for (int round = 0; round < 3; round++) {
        struct outcome outcome = OUTCOME;
        int rc = outcome_of(&outcome, storage_submit_received(storage, entries, 6, &received,
                                                              note_outcome, &outcome));
        assert_int_equal(rc, round == 0 ? 0 : DATALOG_KNOWN);
        assert_int_equal(count_entries(storage, tags[0]), 3);
        assert_int_equal(count_entries(storage, tags[1]), 3);
        io_sim_power_off(&sim);
        storage_close(&storage);
        io_sim_crash(&sim);
        assert_int_equal(storage_open(&options, &storage), 0);
        if (round == 1) {
            assert_int_equal(storage_flush(storage), 0);
        }
    }
    storage_close(&storage);
    io_sim_deinit(&sim);
}

static int take_attribute(void *context, struct span name, struct span value)
{
    buf_printf(context, "%.*s=%.*s;", SPAN_ARG(name), SPAN_ARG(value));
    return 0;
}

/* Attributes and deletes of whole series outlive the log's trimming. */
static void attributes_and_deletes_outlive_the_log(void **state)
{
    (void)state;
    struct model *model = MEM_NEW(struct model);
    io_sim_init(&model->sim, 5);
    model->begin_ns = UINT64_C(1700000000) * 1000000000;
    open_storage(model);
    struct buf key = {0};
    struct buf metas = {0};
    struct buf text = {0};
    uint32_t number;
    struct element element = {.time_ns = 5, .type = ELEMENT_BOOL, .value.boolean = true};
    make_key(&key, 2);
    struct storage_points points = {.key = buf_span(&key), .elements = &element, .count = 1};
    struct series_attribute unit = {SPAN_LIT("unit"), SPAN_LIT("percent"), false};
    series_metas_begin(&metas);
    assert_int_equal(series_metas_put(&metas, buf_span(&key), false, &unit, 1), 0);
    assert_int_equal(storage_append_points(model->storage, &points, 1), 0);
    assert_int_equal(storage_append_meta(model->storage, buf_span(&metas)), 0);
    for (int i = 0; i < 60; i++) {
        append(model, false);
        assert_int_equal(storage_work(model->storage), 0);
    }
    assert_int_equal(storage_flush(model->storage), 0);
    assert_true(storage_stats(model->storage).log_first > 10);
    struct series_delete deletion = {.flags = SERIES_DELETE_WHOLE,
                                     .start_ns = INT64_MIN,
                                     .end_ns = INT64_MAX,
                                     .selector = SPAN_LIT("temp{}")};
    struct storage_deleted deleted;
    begin_step(model);
    assert_int_equal(storage_delete(model->storage, &deletion, &deleted), 0);
    assert_true(deleted.series == 3 && deleted.tags == 0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(storage_flush(model->storage), 0);
        io_sim_power_off(&model->sim);
        storage_close(&model->storage);
        io_sim_crash(&model->sim);
        open_storage(model);
        struct series_catalogue *catalogue = storage_catalogue(model->storage);
        assert_true(series_catalogue_find(catalogue, buf_span(&key), &number));
        buf_clear(&text);
        assert_int_equal(series_catalogue_attributes(catalogue, number, take_attribute, &text), 0);
        assert_string_equal(buf_str(&text), "unit=percent;");
        struct series_selector *selector;
        struct series_numbers numbers;
        assert_int_equal(series_selector_parse(SPAN_LIT("~.*{}"), 0, &selector, NULL), 0);
        assert_int_equal(series_catalogue_select(catalogue, selector, 0, &numbers), 0);
        assert_int_equal(numbers.count, 3);
        series_numbers_deinit(&numbers);
        series_selector_free(&selector);
    }
    storage_close(&model->storage);
    buf_deinit(&key);
    buf_deinit(&metas);
    buf_deinit(&text);
    vec_deinit(&model->writes);
    vec_deinit(&model->deletions);
    io_sim_deinit(&model->sim);
    mem_free(model);
}

struct crowd {
    struct storage *storage;
    _Atomic bool is_over;
};

/* Every time that is found has its own value, and times never go back. */
static void *fetch_all_the_time(void *context)
{
    struct crowd *crowd = context;
    static const uint32_t series[] = {1, 2, 3, 4, 5, 6};
    while (!crowd->is_over) {
        struct well_fetch fetch = {
            .series = series,
            .series_count = ARRAY_COUNT(series),
            .start_ns = 1,
            .end_ns = INT64_MAX,
            .count_max = 500,
        };
        struct well_points_cursor *cursor;
        struct well_points points;
        assert_int_equal(storage_fetch(crowd->storage, &fetch, &cursor), 0);
        while (well_points_cursor_next(cursor, &points) == 0) {
            for (size_t i = 0; i < points.count; i++) {
                assert_true(points.times[i] == (int64_t)points.values[i]);
            }
        }
        well_points_cursor_close(&cursor);
    }
    return NULL;
}

/* Readers, flushes, merges and deletes run beside each other and the writer. For the thread
 * sanitizer, too. */
static void readers_and_writers_do_not_disturb_each_other(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    sim.now_ns = 1000;
    sim.tick_ns = 1;
    struct storage_options options = options_of(&sim);
    options.manual = false;
    struct crowd crowd = {0};
    pthread_t readers[2];
    assert_int_equal(storage_open(&options, &crowd.storage), 0);
    for (size_t i = 0; i < ARRAY_COUNT(readers); i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, fetch_all_the_time, &crowd), 0);
    }
    for (int64_t round = 1; round <= 150; round++) {
        struct buf key = {0};
        struct element elements[20];
        for (int64_t i = 0; i < 20; i++) {
            int64_t time_ns = (round * 7 + i) * 1000 % 1000000 + 1;
            elements[i] =
                (struct element){.time_ns = time_ns, .type = ELEMENT_I64, .value.i64 = time_ns};
        }
        make_key(&key, (size_t)round % SERIES);
        struct storage_points points = {
            .key = buf_span(&key), .elements = elements, .count = ARRAY_COUNT(elements)};
        assert_int_equal(storage_append_points(crowd.storage, &points, 1), 0);
        if (round % 20 == 0) {
            struct series_delete deletion = {
                .start_ns = 0, .end_ns = 500000, .selector = SPAN_LIT("temp{}")};
            assert_int_equal(storage_delete(crowd.storage, &deletion, NULL), 0);
            assert_int_equal(storage_flush(crowd.storage), 0);
        }
        buf_deinit(&key);
    }
    crowd.is_over = true;
    for (size_t i = 0; i < ARRAY_COUNT(readers); i++) {
        pthread_join(readers[i], NULL);
    }
    storage_close(&crowd.storage);
    io_sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_write_stands_and_nothing_deleted_comes_back),
        cmocka_unit_test(nor_after_crashes),
        cmocka_unit_test(nor_when_the_disk_fails),
        cmocka_unit_test(entries_are_deleted_by_tag),
        cmocka_unit_test(a_received_record_comes_once),
        cmocka_unit_test(attributes_and_deletes_outlive_the_log),
        cmocka_unit_test(readers_and_writers_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
