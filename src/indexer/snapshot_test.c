/*
 * Snapshots between two storages: what one holds the other holds afterwards, once, whatever it
 * had before and wherever an earlier snapshot was cut short; digests of equal nodes are equal.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/time.h"
#include "indexer/snapshot_give.h"
#include "indexer/snapshot_take.h"
#include "indexer/storage_digest.h"
#include "indexer/storage_testing.h"
#include "io/sim.h"

#define START_NS (INT64_C(1700000000) * 1000000000)
#define NO_CUT UINT64_MAX

struct node {
    struct io_sim sim;
    uint8_t number;
    bool memory;
    struct storage *storage;
};

static void open_node(struct node *node)
{
    static const char *const tags[] = {"web*"};
    struct storage_well wells[] = {
        {.name = STORAGE_WELL_DEFAULT, .location = "/data/default"},
        {.name = "web", .location = "/data/web", .tags = tags, .tags_count = 1},
    };
    if (node->memory) {
        wells[1].memory_bytes_max = 1 << 20;
    }
    struct storage_options options = {
        .io = &node->sim.io,
        .node = {{node->number}},
        .begin_anew = true,
        .datalog_dir = "/data/log",
        .tags_path = "/data/tags.dat",
        .wells = wells,
        .wells_count = ARRAY_COUNT(wells),
        .memtable_bytes_max = 20000,
        .datalog_segment_bytes_max = 4000,
        .datalog_kept_bytes_max = 12000,
        .manual = true,
    };
    assert_int_equal(storage_open(&options, &node->storage), 0);
}

static void start_node(struct node *node, uint8_t number, bool memory)
{
    *node = (struct node){.number = number, .memory = memory};
    io_sim_init(&node->sim, number);
    node->sim.now_ns = START_NS;
    open_node(node);
}

static void end_node(struct node *node)
{
    storage_close(&node->storage);
    io_sim_deinit(&node->sim);
}

/* kill -9 and a power cut at once. */
static void crash(struct node *node)
{
    io_sim_power_off(&node->sim);
    storage_close(&node->storage);
    io_sim_crash(&node->sim);
    open_node(node);
}

/* ---- what is written ---- */

static void write_entries(struct node *node, const char *tag, int64_t from, size_t count)
{
    uint16_t number;
    assert_int_equal(storage_tag(node->storage, span_of_str(tag), &number), 0);
    struct entry *entries = mem_alloc_array(count, sizeof(*entries));
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct entry){.time_ns = START_NS + (from + (int64_t)i / 3) * 1000000000,
                                    .tag = number,
                                    .data = i % 4 == 0 ? SPAN_LIT("the same") : SPAN_LIT("other")};
        entries[i].source[15] = (uint8_t)(i % 2);
    }
    assert_int_equal(storage_append(node->storage, entries, count), 0);
    mem_free(entries);
}

static void make_key(struct buf *key, uint64_t series)
{
    char host[16];
    snprintf(host, sizeof(host), "h%" PRIu64, series);
    struct series_label label = {SPAN_LIT("host"), span_of_str(host)};
    buf_clear(key);
    assert_int_equal(
        series_key_make(key, series % 2 == 0 ? SPAN_LIT("web.load") : SPAN_LIT("temp"), &label, 1),
        0);
}

static void write_points(struct node *node, uint64_t series, int64_t from, size_t count,
                         int64_t value)
{
    struct buf key = {0};
    struct element *elements = mem_alloc_array(count, sizeof(*elements));
    make_key(&key, series);
    for (size_t i = 0; i < count; i++) {
        elements[i] = (struct element){.time_ns = START_NS + (from + (int64_t)i) * 1000000000,
                                       .type = i % 5 == 0 ? ELEMENT_TEXT : ELEMENT_I64,
                                       .value.i64 = value + (int64_t)i};
        if (i % 5 == 0) {
            elements[i].value.bytes = SPAN_LIT("a text");
        }
    }
    struct storage_points points = {SERIES_NONE, buf_span(&key), elements, count};
    assert_int_equal(storage_append_points(node->storage, &points, 1), 0);
    mem_free(elements);
    buf_deinit(&key);
}

static void delete_some(struct node *node, const char *selector, int64_t from, int64_t to)
{
    struct series_delete deletion = {.start_ns = START_NS + from * 1000000000,
                                     .end_ns = START_NS + to * 1000000000,
                                     .selector = span_of_str(selector)};
    assert_int_equal(storage_delete(node->storage, &deletion, NULL), 0);
}

static void set_attribute(struct node *node, uint64_t series, const char *value)
{
    struct buf metas = {0};
    struct buf key = {0};
    struct series_attribute attribute = {SPAN_LIT("unit"), span_of_str(value), false};
    make_key(&key, series);
    series_metas_begin(&metas);
    assert_int_equal(series_metas_put(&metas, buf_span(&key), false, &attribute, 1), 0);
    assert_int_equal(storage_append_meta(node->storage, buf_span(&metas)), 0);
    buf_deinit(&metas);
    buf_deinit(&key);
}

static void write_a_lot(struct node *node)
{
    for (int64_t i = 0; i < 8; i++) {
        static const char *const tags[] = {"web", "app", "web2", "sys"};
        write_entries(node, tags[i % 4], i * 20000, 40);
        write_points(node, (uint64_t)i, i * 20000, 30, i);
        node->sim.now_ns += 1000000;
        if (i == 4) {
            assert_int_equal(storage_flush(node->storage), 0);
        }
    }
    write_points(node, 1, 20005, 5, 500); /* overwritten */
    delete_some(node, "web{}", 0, 3);
    delete_some(node, "temp{host=h3}", 60000, 60010);
    set_attribute(node, 2, "percent");
}

/* ---- what is there ---- */

static uint64_t digest_of(struct node *node, uint64_t *ret_elements)
{
    struct storage_digest_options options = {.start_ns = INT64_MIN, .end_ns = INT64_MAX};
    struct storage_digest *digests;
    size_t count;
    uint64_t sum = 0;
    *ret_elements = 0;
    assert_int_equal(storage_digest(node->storage, &options, &digests, &count), 0);
    for (size_t i = 0; i < count; i++) {
        sum += digests[i].sums[0] ^ digests[i].sums[1];
        *ret_elements += digests[i].entries + digests[i].points;
    }
    mem_free(digests);
    return sum;
}

static uint64_t attributes_of(struct node *node)
{
    struct storage_digest_options options = {0};
    struct storage_digest digest;
    assert_int_equal(storage_digest_attributes(node->storage, &options, &digest), 0);
    return digest.sums[0] + digest.entries;
}

static int take_unit(void *context, struct span name, struct span value)
{
    buf_printf(context, "%.*s=%.*s", SPAN_ARG(name), SPAN_ARG(value));
    return 0;
}

static void check_equal(struct node *a, struct node *b)
{
    uint64_t elements_a;
    uint64_t elements_b;
    uint64_t sum_a = digest_of(a, &elements_a);
    uint64_t sum_b = digest_of(b, &elements_b);
    assert_int_equal(elements_a, elements_b);
    assert_true(sum_a == sum_b);
    assert_true(attributes_of(a) == attributes_of(b));
    struct buf key = {0};
    struct buf text = {0};
    uint32_t number;
    make_key(&key, 2);
    assert_true(series_catalogue_find(storage_catalogue(b->storage), buf_span(&key), &number));
    assert_int_equal(
        series_catalogue_attributes(storage_catalogue(b->storage), number, take_unit, &text), 0);
    assert_string_equal(buf_str(&text), "unit=percent");
    buf_deinit(&key);
    buf_deinit(&text);
}

/* ---- snapshots ---- */

/* Up to `cut` parts; true: all of it came. */
static bool send_some(struct node *from, struct node *to, uint64_t cut, bool only_needs,
                      struct link_filter *filter)
{
    struct replicate_places theirs = {0};
    storage_places(to->storage, &theirs);
    struct snapshot_give_options options = {
        .storage = from->storage,
        .theirs = &theirs,
        .needs = storage_needs(to->storage),
        .only_needs = only_needs,
        .filter = filter,
    };
    struct snapshot_give *give = snapshot_give_new(&options);
    struct replicate_message begin = {0};
    struct snapshot_take take = {0};
    struct link_told told = {0};
    struct link_heard heard = {0};
    struct buf definitions = {0};
    struct buf body = {0};
    snapshot_give_begin(give, &begin);
    assert_int_equal(snapshot_take_begin(&take, to->storage, &begin), 0);
    int rc = 0;
    for (uint64_t parts = 0; rc == 0 && parts < cut; parts++) {
        buf_clear(&definitions);
        buf_clear(&body);
        rc = snapshot_give_next(give, &told, &definitions, &body);
        assert_true(rc >= 0);
        if (rc == 0 && definitions.bytes > 0) {
            assert_int_equal(link_hear_series(&heard, to->storage, buf_span(&definitions)), 0);
        }
        if (rc == 0) {
            assert_int_equal(snapshot_take_part(&take, to->storage, &heard, buf_span(&body)), 0);
        }
    }
    bool over = rc == SNAPSHOT_GIVE_END;
    if (over) {
        assert_int_equal(snapshot_take_end(&take, to->storage), 0);
    }
    snapshot_take_deinit(&take, to->storage);
    snapshot_give_free(&give);
    link_told_deinit(&told);
    link_heard_deinit(&heard);
    buf_deinit(&definitions);
    buf_deinit(&body);
    replicate_places_deinit(&theirs);
    return over;
}

static bool send_snapshot(struct node *from, struct node *to, uint64_t cut)
{
    return send_some(from, to, cut, false, NULL);
}

static void a_snapshot_brings_everything(void **state)
{
    (void)state;
    struct node a;
    struct node b;
    start_node(&a, 1, false);
    start_node(&b, 2, false);
    write_a_lot(&a);
    assert_true(send_snapshot(&a, &b, NO_CUT));
    check_equal(&a, &b);
    crash(&b); /* it was durable */
    check_equal(&a, &b);
    write_a_lot(&a); /* a second one brings what is new */
    assert_true(send_snapshot(&a, &b, NO_CUT));
    check_equal(&a, &b);
    write_points(&b, 1, 20005, 1, 999); /* what is written here is later */
    struct replicate_places places = {0};
    storage_places(b.storage, &places);
    struct datalog_origin own = datalog_origin(storage_log(b.storage));
    struct datalog_origin theirs = datalog_origin(storage_log(a.storage));
    assert_true(replicate_places_of(&places, own).time > replicate_places_of(&places, theirs).time);
    replicate_places_deinit(&places);
    end_node(&a);
    end_node(&b);
}

/* Elements of a well, or of all. */
static uint64_t held(struct node *node, const char *well)
{
    uint64_t sum = 0;
    struct storage_digest_options options = {.start_ns = INT64_MIN, .end_ns = INT64_MAX};
    struct storage_digest *digests;
    size_t count;
    assert_int_equal(storage_digest(node->storage, &options, &digests, &count), 0);
    for (size_t i = 0; i < count; i++) {
        bool is_one = well == NULL || strcmp(digests[i].well, well) == 0;
        sum += is_one ? digests[i].entries + digests[i].points : 0;
    }
    mem_free(digests);
    return sum;
}

static void a_link_of_some_wells_sends_a_snapshot_of_these(void **state)
{
    (void)state;
    struct node a;
    struct node b;
    static const char *const wells[] = {"web"};
    struct link_filter_options options = {.wells = wells, .wells_count = 1};
    struct link_filter *filter;
    assert_int_equal(link_filter_new(&options, &filter), 0);
    start_node(&a, 1, false);
    start_node(&b, 2, false);
    write_a_lot(&a);
    assert_true(held(&a, "web") > 0 && held(&a, "web") < held(&a, NULL));
    assert_true(send_some(&a, &b, NO_CUT, false, filter));
    assert_int_equal(held(&b, "web"), held(&a, "web"));
    assert_int_equal(held(&b, NULL), held(&a, "web"));
    link_filter_free(&filter);
    end_node(&a);
    end_node(&b);
}

static void note_done(void *context, int rc)
{
    atomic_store((atomic_int *)context, rc);
}

/* A record that the snapshot brings too, on another link. */
static int submit_record(struct node *to, struct node *of, atomic_int *ret_done)
{
    struct storage_received received = {
        .origin = datalog_origin(storage_log(of->storage)), .origin_position = 1, .time = 1};
    uint16_t tag;
    assert_int_equal(storage_tag(to->storage, SPAN_LIT("web"), &tag), 0);
    struct entry entry = {.time_ns = 1, .tag = tag, .data = SPAN_LIT("twice")};
    return storage_submit_received(to->storage, &entry, 1, &received, note_done, ret_done);
}

static void what_came_in_one_form_is_not_taken_in_another(void **state)
{
    (void)state;
    struct node a;
    struct node b;
    atomic_int done = 0;
    struct link_filter_options options = {.selector = "~web.*{}"};
    struct link_filter *filter;
    assert_int_equal(link_filter_new(&options, &filter), 0);
    start_node(&a, 1, false);
    start_node(&b, 2, false);
    write_a_lot(&a);
    assert_false(send_some(&a, &b, 4, false, filter)); /* cut short */
    assert_int_equal(submit_record(&b, &a, &done), ERR_CONFLICT);
    uint64_t before = held(&b, NULL);
    assert_true(before > 0);
    assert_true(send_snapshot(&a, &b, NO_CUT)); /* the whole, from somebody else */
    assert_int_equal(held(&b, NULL), before);
    assert_true(send_some(&a, &b, NO_CUT, false, filter));
    assert_in_range(held(&b, NULL), before + 1, held(&a, NULL) - 1);
    uint64_t part = held(&b, NULL);
    storage_need(b.storage, INT64_MIN, INT64_MAX); /* nor when something is missing */
    assert_true(send_some(&a, &b, NO_CUT, true, NULL));
    assert_int_equal(held(&b, NULL), part);
    link_filter_free(&filter);
    end_node(&a);
    end_node(&b);
}

static void wherever_it_is_cut_short_another_one_completes_it(void **state)
{
    (void)state;
    bool over = false;
    uint64_t parts = 0;
    for (; !over; parts++) {
        struct node a;
        struct node b;
        atomic_int done = 0;
        start_node(&a, 1, false);
        start_node(&b, 2, false);
        write_a_lot(&a);
        write_entries(&b, "app", 3, 7); /* its own */
        over = send_snapshot(&a, &b, parts);
        if (parts % 3 == 0) {
            assert_int_equal(storage_flush(b.storage), 0);
        }
        crash(&b);
        if (!over) {
            assert_int_equal(submit_record(&b, &a, &done), ERR_UNAVAILABLE);
            write_entries(&a, "web", 7, 5); /* meanwhile */
            assert_true(send_snapshot(&a, &b, NO_CUT));
        }
        struct replicate_places doubt = {0};
        storage_doubt(b.storage, &doubt);
        assert_int_equal(doubt.all.count, 0);
        assert_int_equal(submit_record(&b, &a, &done), 0);
        assert_true(send_snapshot(&b, &a, NO_CUT));
        TESTING_WAIT_FOR(atomic_load(&done) == DATALOG_KNOWN);
        check_equal(&a, &b);
        end_node(&a);
        end_node(&b);
    }
    assert_true(parts > 8);
}

static void one_snapshot_at_a_time(void **state)
{
    (void)state;
    struct node a;
    struct node b;
    start_node(&a, 1, false);
    start_node(&b, 2, false);
    write_a_lot(&a);
    struct replicate_message begin = {.type = REPLICATE_SNAPSHOT_BEGIN};
    struct snapshot_take first = {0};
    struct snapshot_take second = {0};
    assert_int_equal(snapshot_take_begin(&first, b.storage, &begin), 0);
    assert_int_equal(snapshot_take_begin(&second, b.storage, &begin), ERR_UNAVAILABLE);
    snapshot_take_deinit(&second, b.storage);
    snapshot_take_deinit(&first, b.storage);
    assert_true(send_snapshot(&a, &b, NO_CUT));
    check_equal(&a, &b);
    end_node(&a);
    end_node(&b);
}

static void a_memory_well_is_filled_again(void **state)
{
    (void)state;
    struct node a;
    struct node b;
    start_node(&a, 1, false);
    start_node(&b, 2, true);
    write_a_lot(&a);
    assert_true(send_snapshot(&a, &b, NO_CUT));
    check_equal(&a, &b);
    for (int round = 0; round < 3; round++) {
        if (round == 1) {
            crash(&b);
        } else {
            storage_close(&b.storage);
            open_node(&b);
        }
        uint64_t elements_a;
        uint64_t elements_b;
        (void)digest_of(&a, &elements_a);
        (void)digest_of(&b, &elements_b);
        assert_true(elements_b < elements_a);
        struct replicate_needs needs = storage_needs(b.storage);
        assert_true(needs.missing_ns < needs.missing_end_ns);
        assert_true(snapshot_give_helps(a.storage, &needs));
        uint64_t end = datalog_end(storage_log(b.storage));
        uint64_t files = datalog_stats(storage_log(b.storage)).segments;
        assert_true(send_some(&a, &b, NO_CUT, true, NULL));
        assert_true(datalog_end(storage_log(b.storage)) == end);
        assert_true(datalog_stats(storage_log(b.storage)).segments <= files);
        check_equal(&a, &b);
        needs = storage_needs(b.storage);
        assert_false(snapshot_give_helps(a.storage, &needs));
    }
    end_node(&a);
    end_node(&b);
}

static int remove_file(void *context, const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "/data/web/%s", name);
    return io_remove(context, path);
}

/* A node that lost what it had in memory says so to whom it gives a snapshot: that one asks others
 * for the rest, and it when it is whole again. */
static void a_snapshot_of_half_a_node_is_half(void **state)
{
    (void)state;
    struct node disk;
    struct node memory;
    struct node fresh;
    start_node(&disk, 1, false);
    start_node(&memory, 2, true);
    start_node(&fresh, 3, false);
    write_a_lot(&disk);
    assert_true(send_snapshot(&disk, &memory, NO_CUT));
    storage_close(&memory.storage);
    open_node(&memory);
    assert_true(send_snapshot(&memory, &fresh, NO_CUT));
    struct replicate_needs needs = storage_needs(fresh.storage);
    assert_true(needs.missing_ns < needs.missing_end_ns);
    assert_false(snapshot_give_helps(memory.storage, &needs));
    assert_true(send_some(&disk, &memory, NO_CUT, true, NULL));
    assert_true(snapshot_give_helps(memory.storage, &needs));
    assert_true(send_some(&memory, &fresh, NO_CUT, true, NULL));
    check_equal(&disk, &fresh);
    end_node(&disk);
    end_node(&memory);
    end_node(&fresh);
}

/* What its places say is here, and is not: asked for, it comes back, and nothing twice. */
static void what_is_missing_comes_when_it_is_asked_for(void **state)
{
    (void)state;
    struct node a;
    struct node b;
    uint64_t elements_a;
    uint64_t elements_b;
    start_node(&a, 1, false);
    start_node(&b, 2, false);
    write_a_lot(&a);
    assert_true(send_snapshot(&a, &b, NO_CUT));
    storage_close(&b.storage);
    assert_int_equal(io_list(&b.sim.io, "/data/web", remove_file, &b.sim.io), 0);
    open_node(&b);
    (void)digest_of(&a, &elements_a);
    (void)digest_of(&b, &elements_b);
    assert_true(elements_b < elements_a);
    assert_true(send_snapshot(&a, &b, NO_CUT)); /* the places say that nothing is missing */
    (void)digest_of(&b, &elements_b);
    assert_true(elements_b < elements_a);
    uint64_t version = storage_needs_version(b.storage);
    storage_need(b.storage, INT64_MIN, INT64_MAX);
    assert_true(storage_needs_version(b.storage) != version);
    assert_true(send_snapshot(&a, &b, NO_CUT));
    check_equal(&a, &b);
    end_node(&a);
    end_node(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_brings_everything),
        cmocka_unit_test(a_link_of_some_wells_sends_a_snapshot_of_these),
        cmocka_unit_test(what_came_in_one_form_is_not_taken_in_another),
        cmocka_unit_test(wherever_it_is_cut_short_another_one_completes_it),
        cmocka_unit_test(one_snapshot_at_a_time),
        cmocka_unit_test(a_memory_well_is_filled_again),
        cmocka_unit_test(a_snapshot_of_half_a_node_is_half),
        cmocka_unit_test(what_is_missing_comes_when_it_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
