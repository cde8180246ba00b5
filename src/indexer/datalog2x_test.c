/* What is claimed: a forwarded request has the time of its origin, so that whatever order requests
 * come in, and however often, the last write stands; what came before or began here is known. */
#include "indexer/datalog2x.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "indexer/storage.h"

#define SECOND INT64_C(1000000000)
#define T (1700000000 * SECOND)

struct world {
    char dir[64];
    char path[3][100];
    struct storage *storage;
    struct datalog2x *datalog2x;
};

static void open_world(struct world *world)
{
    struct storage_well well = {.name = STORAGE_WELL_DEFAULT, .location = world->path[2]};
    struct storage_options options = {.io = io_real(),
                                      .node = {{7}},
                                      .datalog_dir = world->path[0],
                                      .tags_path = world->path[1],
                                      .wells = &well,
                                      .wells_count = 1};
    assert_int_equal(storage_open(&options, &world->storage), 0);
    world->datalog2x = datalog2x_new(world->storage);
}

static void close_world(struct world *world)
{
    datalog2x_free(&world->datalog2x);
    storage_close(&world->storage);
}

static int set_up(void **state)
{
    static const char *const names[] = {"datalog", "tags.dat", "well"};
    struct world *world = MEM_NEW(struct world);
    snprintf(world->dir, sizeof(world->dir), "/tmp/aquifer-datalog2x-test-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        snprintf(world->path[i], sizeof(world->path[i]), "%s/%s", world->dir, names[i]);
    }
    open_world(world);
    *state = world;
    return 0;
}

static int remove_tree(void *context, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", (const char *)context, name);
    if (io_remove(io_real(), path) < 0 && io_list(io_real(), path, remove_tree, path) == 0) {
        (void)!io_remove_dir(io_real(), path);
    }
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    close_world(world);
    (void)!io_list(io_real(), world->dir, remove_tree, world->dir);
    (void)!io_remove_dir(io_real(), world->dir);
    mem_free(world);
    return 0;
}

static int begin(struct world *world, struct span id, int64_t time_ns,
                 struct datalog2x_place *ret_place)
{
    struct warp10_datalog datalog = {
        .time_ns = time_ns, .id = id, .action = WARP10_UPDATE, .token = SPAN_LIT("WRITE")};
    return datalog2x_begin(world->datalog2x, &datalog, ret_place);
}

/* One point of the series "s" at time 1, from a request of node-a. */
static int deliver(struct world *world, int64_t time_ns, int64_t value)
{
    struct datalog2x_place place;
    struct storage_received received;
    struct storage_waiter waiter = STORAGE_WAITER;
    struct buf key = {0};
    int rc = begin(world, SPAN_LIT("node-a"), time_ns, &place);
    if (rc != 0) {
        return rc;
    }
    assert_int_equal(series_key_make(&key, SPAN_LIT("s"), NULL, 0), 0);
    assert_int_equal(datalog2x_next(&place, &received), 0);
    struct element element = {.time_ns = 1, .type = ELEMENT_I64, .value.i64 = value};
    struct storage_points points = {
        .series = SERIES_NONE, .key = buf_span(&key), .elements = &element, .count = 1};
    rc = storage_wait(&waiter, storage_submit_points(world->storage, &points, 1, &received,
                                                     storage_wake, &waiter));
    datalog2x_end(&place, rc == 0);
    buf_deinit(&key);
    return rc;
}

static void requests_out_of_order_end_with_the_last_write(void **state)
{
    struct world *world = *state;
    uint64_t before = storage_stats(world->storage).log_end;
    assert_int_equal(deliver(world, T + 5, 5), 0);
    assert_int_equal(deliver(world, T + 9, 9), 0);
    assert_int_equal(deliver(world, T + 7, 7), 0); /* late: it is taken, and changes nothing */
    assert_int_equal(deliver(world, T + 6, 6), 0);
    assert_int_equal(deliver(world, T + 7, 70), DATALOG2X_KNOWN);
    assert_int_equal(deliver(world, T + 9, 90), DATALOG2X_KNOWN);
    assert_int_equal(storage_stats(world->storage).log_end, before + 5); /* and the series */
    assert_int_equal(storage_stats(world->storage).points_accepted, 4);
}

static void after_a_restart_positions_go_on(void **state)
{
    struct world *world = *state;
    struct datalog_origin origin = {
        .node = datalog2x_node(datalog2x_id_hash(SPAN_LIT("node-a")), (struct uuid){{7}}),
        .incarnation =
            datalog_origin(storage_log(world->storage)).incarnation * DATALOG2X_LANES_MAX};
    assert_int_equal(deliver(world, T + 5, 5), 0);
    close_world(world);
    open_world(world);
    assert_int_equal(datalog_origin_position(storage_log(world->storage), origin), 1);
    assert_int_equal(deliver(world, T + 5, 5), 0); /* once more: the same write */
    origin.incarnation++;
    assert_int_equal(datalog_origin_position(storage_log(world->storage), origin), 1);
    assert_int_equal(deliver(world, T + 6, 6), 0);
    origin.incarnation--;
    assert_int_equal(datalog_origin_position(storage_log(world->storage), origin), 2);
}

static void many_at_a_time_have_lanes_of_their_own_and_there_is_a_bound(void **state)
{
    struct world *world = *state;
    struct datalog2x_place places[DATALOG2X_LANES_MAX];
    struct datalog2x_place more;
    for (size_t i = 0; i < DATALOG2X_LANES_MAX; i++) {
        assert_int_equal(begin(world, SPAN_LIT("a"), T + 1, &places[i]), 0);
    }
    assert_int_equal(begin(world, SPAN_LIT("a"), T + 2, &more), ERR_UNAVAILABLE);
    for (size_t i = 0; i < DATALOG2X_LANES_MAX; i++) {
        datalog2x_end(&places[i], false);
    }
    assert_int_equal(begin(world, SPAN_LIT("a"), T + 2, &more), 0);
    datalog2x_end(&more, true);
    assert_int_equal(begin(world, SPAN_LIT("a"), 0, &more), ERR_INVALID);
}

static void what_began_here_is_known_by_its_id(void **state)
{
    struct world *world = *state;
    struct datalog2x_place place;
    struct buf id = {0};
    datalog2x_id_text(&id, (struct uuid){{7}});
    assert_string_equal(buf_str(&id), "07000000-0000-0000-0000-000000000000");
    assert_int_equal(begin(world, buf_span(&id), T, &place), DATALOG2X_OWN);
    buf_deinit(&id);
}

static void an_id_keeps_its_meaning_on_further_hops(void **state)
{
    (void)state;
    uint64_t hash = datalog2x_id_hash(SPAN_LIT("node-a"));
    uint64_t again;
    struct uuid node = datalog2x_node(hash, (struct uuid){{9}});
    struct buf id = {0};
    assert_true(datalog2x_is(node, &again));
    assert_int_equal(again, hash);
    datalog2x_id_text(&id, node);
    assert_int_equal(id.bytes, 15);
    assert_int_equal(datalog2x_id_hash(buf_span(&id)), hash);
    assert_false(uuid_equal(node, datalog2x_node(hash, (struct uuid){{8}})));
    assert_false(datalog2x_is((struct uuid){{7}}, &again));
    buf_deinit(&id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_out_of_order_end_with_the_last_write, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(after_a_restart_positions_go_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_at_a_time_have_lanes_of_their_own_and_there_is_a_bound,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_began_here_is_known_by_its_id, set_up, tear_down),
        cmocka_unit_test(an_id_keeps_its_meaning_on_further_hops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
