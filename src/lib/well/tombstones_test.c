/*
 * Which deletes are about a series: the same as looking at each of them, whatever selectors they
 * have and in whatever order they came. What they cover: points_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "io/sim.h"
#include "well/tombstones.h"

#define SERIES 30

struct world {
    struct io_sim sim;
    struct well_names names;
    uint32_t series[SERIES];
};

static void text_of(uint64_t i, char *text, size_t bytes)
{
    if (i % 5 == 0) {
        snprintf(text, bytes, "c%u{}", (unsigned)i % 3);
    } else {
        snprintf(text, bytes, "c%u{host=h%u,r=}", (unsigned)i % 3, (unsigned)i);
    }
}

static void setup(struct world *world)
{
    io_sim_init(&world->sim, 1);
    world->names = (struct well_names){0};
    struct io *io = &world->sim.io;
    assert_int_equal(series_tags_open(io, "/tags", &world->names.tags), 0);
    struct series_catalogue_options options = {.io = io, .dir = "/series"};
    assert_int_equal(series_catalogue_open(&options, &world->names.catalogue), 0);
    for (uint32_t i = 0; i < SERIES; i++) {
        char class[8];
        char host[8];
        struct buf key = {0};
        snprintf(class, sizeof(class), "c%u", i % 3);
        snprintf(host, sizeof(host), "h%u", i);
        struct series_label labels[] = {{SPAN_LIT("r"), SPAN_NONE},
                                        {SPAN_LIT("host"), span_of_str(host)}};
        assert_int_equal(series_key_make(&key, span_of_str(class), labels, i % 5 == 0 ? 0 : 2), 0);
        assert_true(
            series_catalogue_put(world->names.catalogue, buf_span(&key), &world->series[i]) >= 0);
        buf_deinit(&key);
    }
}

static void teardown(struct world *world)
{
    series_catalogue_close(&world->names.catalogue);
    series_tags_close(&world->names.tags);
    io_sim_deinit(&world->sim);
}

/* Adds a delete of one series, or of several, of some times. */
static void add(struct world *world, struct tombstones **tombstones, uint64_t stamp)
{
    static const char *const several[] = {"~c[01]{}", "c1{host~h.*}", "c2{r=}", "~.*{host=h7}"};
    char text[64];
    struct series_delete deletion = {.start_ns = 0,
                                     .end_ns = (int64_t)io_sim_below(&world->sim, 3)};
    uint64_t number = io_sim_below(&world->sim, 4 * SERIES);
    if (io_sim_below(&world->sim, 8) == 0) {
        snprintf(text, sizeof(text), "%s", several[number % 4]);
    } else {
        text_of(number, text, sizeof(text));
        deletion.flags = SERIES_DELETE_EXACT;
    }
    deletion.selector = span_of_str(text);
    struct tombstone *tombstone = NULL;
    assert_int_equal(tombstone_new(&deletion, stamp, (struct stamp){stamp, 0}, 0, &tombstone), 0);
    struct tombstones *with = tombstones_with(*tombstones, &tombstone, stamp + 1);
    tombstones_unref(tombstones);
    *tombstones = with;
}

/* Those that mean a series, added up in a way that does not look at their order. */
static void check(struct world *world, const struct tombstones *tombstones)
{
    struct tombstone_list list = {0};
    for (size_t i = 0; i < SERIES; i++) {
        uint64_t count = 0;
        uint64_t sum = 0;
        uint64_t newest = 0;
        for (size_t j = 0; j < tombstones->count; j++) {
            const struct tombstone *tombstone = tombstones->items[j];
            if (tombstone_means_series(tombstones, tombstone, world->series[i])) {
                count++;
                sum += tombstone->position;
                newest = tombstone->stamp.time > newest ? tombstone->stamp.time : newest;
            }
        }
        tombstones_of_series(tombstones, world->series[i], &list);
        assert_int_equal(list.items.count, count);
        assert_int_equal(list.newest_stamp, newest);
        for (size_t j = 0; j < list.items.count; j++) {
            sum -= list.items.items[j]->position;
        }
        assert_int_equal(sum, 0);
    }
    tombstone_list_deinit(&list);
}

static bool is_third(void *context, const struct tombstone *tombstone)
{
    (void)context;
    return tombstone->position % 3 == 0;
}

static void those_of_a_series_are_found_among_many(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct tombstones *tombstones = tombstones_new(&world.names, 0);
    for (uint64_t stamp = 1; stamp <= 600; stamp++) {
        add(&world, &tombstones, stamp);
        if (stamp % 50 == 0) {
            check(&world, tombstones);
        }
    }
    assert_int_equal(tombstones->newest_stamp, 600);
    struct tombstones *fewer = tombstones_without(tombstones, is_third, NULL);
    assert_true(fewer->count < tombstones->count);
    check(&world, fewer);
    tombstones_unref(&fewer);
    tombstones_unref(&tombstones);
    teardown(&world);
}

/* Many at once are found as well, and known again. */
static void many_are_taken_at_once(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct tombstones *none = tombstones_new(&world.names, 0);
    struct tombstones *tombstones = tombstones_new(&world.names, 0);
    for (uint64_t stamp = 1; stamp <= 300; stamp++) {
        add(&world, &tombstones, stamp);
    }
    struct tombstone *many[300];
    for (size_t i = 0; i < tombstones->count; i++) { /* backwards */
        many[i] = tombstones->items[tombstones->count - 1 - i];
        many[i]->references++;
        assert_true(tombstones_have(tombstones, many[i]));
        assert_false(tombstones_have(none, many[i]));
    }
    size_t half = tombstones->count / 2;
    struct tombstones *some = tombstones_with_many(none, many, half);
    assert_false(tombstones_have(some, many[half]));
    check(&world, some);
    struct tombstones *all = tombstones_with_many(some, many + half, tombstones->count - half);
    assert_int_equal(all->count, tombstones->count);
    assert_int_equal(all->newest_stamp, 300);
    check(&world, all);
    tombstones_unref(&all);
    tombstones_unref(&some);
    tombstones_unref(&tombstones);
    tombstones_unref(&none);
    teardown(&world);
}

/* A later delete of the same, of all times of it, makes earlier ones needless, and only those. */
static void a_later_delete_of_the_same_replaces(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct tombstones *tombstones = tombstones_new(&world.names, 0);
    static const struct {
        const char *selector;
        int64_t end_ns;
        uint8_t flags;
        size_t count; /* afterwards */
    } steps[] = {
        {"c1{host=h1,r=}", 5, SERIES_DELETE_EXACT, 1},
        {"c1{r=,host=h1}", 7, SERIES_DELETE_EXACT, 1},
        {"c1{host=h1,r=}", 6, SERIES_DELETE_EXACT, 2},
        {"c1{host=h1,r=}", 9, 0, 3},
        {"c1{host=h2,r=}", 9, SERIES_DELETE_EXACT, 4},
        {"c1{host=h1,r=}", 9, SERIES_DELETE_EXACT, 3},
        {"c1{}", 5, 0, 4},
        {"c1{}", 6, 0, 4},
    };
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        struct series_delete deletion = {.end_ns = steps[i].end_ns,
                                         .flags = steps[i].flags,
                                         .selector = span_of_str(steps[i].selector)};
        struct tombstone *tombstone = NULL;
        assert_int_equal(tombstone_new(&deletion, i + 1, (struct stamp){i + 1, 0}, 0, &tombstone),
                         0);
        struct tombstones *with = tombstones_with(tombstones, &tombstone, i + 2);
        tombstones_unref(&tombstones);
        tombstones = with;
        assert_int_equal(tombstones->count, steps[i].count);
    }
    tombstones_unref(&tombstones);
    teardown(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_of_a_series_are_found_among_many),
        cmocka_unit_test(many_are_taken_at_once),
        cmocka_unit_test(a_later_delete_of_the_same_replaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
