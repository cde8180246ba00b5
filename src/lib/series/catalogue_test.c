/*
 * The catalogue: numbers are for ever, selectors mean what they say, the last write wins.
 */
#include "series/catalogue_test_world.h"

#include <pthread.h>

static void a_series_has_one_number_and_a_number_one_series(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    assert_int_equal(world_open(&world), 0);
    uint32_t first = world_put(&world, "cpu{host=a,core=0}");
    assert_int_equal(first, 1);
    assert_int_equal(world_put(&world, "cpu{core=0,host=a}"), first);
    assert_int_equal(world_put(&world, "cpu{host=a}"), 2);
    assert_int_equal(world_put(&world, "cpu{}"), 3);
    assert_int_equal(world_put(&world, "host{cpu=a}"), 4);
    struct buf key = {0};
    struct buf text = {0};
    assert_true(series_catalogue_key(world.catalogue, first, &key));
    series_key_text(&text, buf_span(&key));
    assert_string_equal(buf_str(&text), "cpu{core=0,host=a}");
    assert_false(series_catalogue_key(world.catalogue, 5, &key));
    assert_false(series_catalogue_key(world.catalogue, 0, &key));
    uint32_t number = 0;
    assert_false(world_find(&world, "cpu{host=b}", &number));
    assert_true(world_find(&world, "host{cpu=a}", &number));
    assert_int_equal(number, 4);
    assert_int_equal(series_catalogue_stats(world.catalogue).series, 4);
    buf_deinit(&key);
    buf_deinit(&text);
    world_deinit(&world);
}

static void a_definition_is_asked_for_until_it_is_logged(void **state)
{
    (void)state;
    struct world world;
    struct buf key = {0};
    uint32_t number = 0;
    world_init(&world, 1);
    assert_int_equal(world_open(&world), 0);
    key_of(&key, "a{}");
    struct series_catalogue *catalogue = world.catalogue;
    assert_int_equal(series_catalogue_put(catalogue, buf_span(&key), &number), SERIES_UNLOGGED);
    assert_int_equal(series_catalogue_put(catalogue, buf_span(&key), &number), SERIES_UNLOGGED);
    series_catalogue_logged(catalogue, &number, 1);
    assert_int_equal(series_catalogue_put(catalogue, buf_span(&key), &number), 0);
    assert_int_equal(
        series_catalogue_put_hashed(catalogue, buf_span(&key), hash64(buf_span(&key)), &number), 0);
    buf_deinit(&key);
    world_deinit(&world);
}

static void replaying_definitions_is_harmless_and_contradictions_are_told(void **state)
{
    (void)state;
    struct world world;
    struct buf payload = {0};
    struct buf key = {0};
    world_init(&world, 1);
    assert_int_equal(world_open(&world), 0);
    series_definitions_begin(&payload);
    key_of(&key, "a{x=1}");
    series_definitions_put(&payload, &(struct series_definition){7, buf_span(&key)});
    assert_int_equal(series_catalogue_apply_series(world.catalogue, buf_span(&payload)), 0);
    assert_int_equal(series_catalogue_apply_series(world.catalogue, buf_span(&payload)), 0);
    assert_int_equal(world_put(&world, "a{x=1}"), 7);
    assert_int_equal(world_put(&world, "b{}"), 8);
    buf_clear(&payload);
    series_definitions_begin(&payload);
    key_of(&key, "c{}");
    series_definitions_put(&payload, &(struct series_definition){7, buf_span(&key)});
    key_of(&key, "d{}");
    series_definitions_put(&payload, &(struct series_definition){70, buf_span(&key)});
    assert_int_equal(series_catalogue_apply_series(world.catalogue, buf_span(&payload)),
                     ERR_CONFLICT);
    assert_int_equal(world_put(&world, "d{}"), 70); /* what could be applied is */
    key_of(&key, "a{x=1}");
    assert_int_equal(series_catalogue_restore(world.catalogue, 9, buf_span(&key), 1), ERR_CONFLICT);
    assert_int_equal(series_catalogue_restore(world.catalogue, 7, buf_span(&key), 1), 0);
    assert_true(series_catalogue_lives(world.catalogue, 7));
    buf_deinit(&payload);
    buf_deinit(&key);
    world_deinit(&world);
}

static void a_deleted_series_is_found_again_only_when_written_again(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    assert_int_equal(world_open(&world), 0);
    uint32_t a = world_write(&world, "a{x=1}", 10);
    uint32_t unwritten = world_put(&world, "a{x=2}");
    assert_false(series_catalogue_lives(world.catalogue, unwritten));
    assert_int_equal(world_count(&world, "a{}", 0), 1);
    assert_int_equal(world_count(&world, "a{}", SERIES_SELECT_DEAD), 2);
    world_delete(&world, "a{}", 20);
    assert_int_equal(world_count(&world, "a{}", 0), 0);
    series_catalogue_touch(world.catalogue, &a, 1, (struct stamp){15, 2}); /* late, covered */
    assert_int_equal(world_count(&world, "a{}", 0), 0);
    assert_int_equal(world_write(&world, "a{x=1}", 30), a);
    assert_int_equal(world_count(&world, "a{}", 0), 1);
    world_delete(&world, "a{}", 25); /* arrives late and is older than the last write */
    assert_int_equal(world_count(&world, "a{}", 0), 1);
    /* Made later, but by writes of before the delete. */
    uint32_t later = world_write(&world, "a{x=3}", 24);
    assert_false(series_catalogue_lives(world.catalogue, later));
    series_catalogue_forget_deletes(world.catalogue, 100);
    uint32_t free_of_it = world_write(&world, "a{x=4}", 24);
    assert_true(series_catalogue_lives(world.catalogue, free_of_it));
    world_deinit(&world);
}

/* Of many deletes, most of one series each, those count for a series made later that mean it. */
static void a_series_made_late_is_covered_by_its_own_deletes_alone(void **state)
{
    (void)state;
    struct world world;
    struct buf payload = {0};
    char text[32];
    world_init(&world, 1);
    assert_int_equal(world_open(&world), 0);
    for (uint64_t i = 0; i < 300; i++) { /* of i * 7 % 300, at the time 1000 + i */
        snprintf(text, sizeof(text), "a{x=%u}", (unsigned)(i * 7 % 300));
        struct series_delete deletion = {SERIES_DELETE_WHOLE | SERIES_DELETE_EXACT, INT64_MIN,
                                         INT64_MAX, span_of_str(text)};
        buf_clear(&payload);
        series_delete_encode(&payload, &deletion);
        assert_int_equal(series_catalogue_apply_delete(world.catalogue, buf_span(&payload),
                                                       (struct stamp){1000 + i, 1}),
                         0);
    }
    world_delete(&world, "a{x~2[0-9]}", 5000);
    for (uint64_t i = 0; i < 300; i++) {
        uint64_t number = i * 7 % 300;
        uint64_t died = number >= 20 && number < 30 ? 5000 : 1000 + i;
        snprintf(text, sizeof(text), "a{x=%u}", (unsigned)number);
        assert_false(series_catalogue_lives(world.catalogue, world_write(&world, text, died - 1)));
        assert_true(series_catalogue_lives(world.catalogue, world_write(&world, text, died)));
    }
    uint32_t more = world_write(&world, "a{x=1,y=1}", 1);
    assert_true(series_catalogue_lives(world.catalogue, more));
    series_catalogue_forget_deletes(world.catalogue, 5000);
    uint32_t covered = world_write(&world, "a{x=25,y=1}", 1);
    assert_false(series_catalogue_lives(world.catalogue, covered));
    buf_deinit(&payload);
    world_deinit(&world);
}

static void attributes_are_those_of_the_last_write_and_of_this_life(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    assert_int_equal(world_open(&world), 0);
    uint32_t a = world_write(&world, "a{x=1}", 10);
    world_meta(&world, "a{x=1}", false, "team", "blue", 11);
    world_meta(&world, "a{x=1}", false, "room", "5", 12);
    world_expect_attributes(&world, a, "room=5 team=blue ");
    assert_int_equal(world_count(&world, "~.*{team=blue,room~[0-9]}", 0), 1);
    assert_int_equal(world_count(&world, "~.*{team=red}", 0), 0);
    world_meta(&world, "a{x=1}", true, "team", "red", 13);
    world_expect_attributes(&world, a, "team=red ");
    world_meta(&world, "a{x=1}", true, "team", "old", 12);
    world_expect_attributes(&world, a, "team=red ");
    world_meta(&world, "a{x=1}", false, "team", NULL, 14);
    world_expect_attributes(&world, a, "");
    world_meta(&world, "a{x=1}", false, "team", "green", 15);
    world_delete(&world, "a{}", 20);
    world_expect_attributes(&world, a, ""); /* they went with the series */
    world_write(&world, "a{x=1}", 30);
    world_expect_attributes(&world, a, "");
    assert_int_equal(world_count(&world, "a{team=green}", 0), 0);
    assert_int_equal(world_count(&world, "a{team=}", 0), 1);
    world_deinit(&world);
}

static void attributes_wait_for_a_series_that_is_not_known_yet(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    assert_int_equal(world_open(&world), 0);
    world_meta(&world, "a{}", false, "team", "blue", 11);
    world_meta(&world, "a{}", false, "room", "5", 12);
    uint32_t number = 0;
    assert_false(world_find(&world, "a{}", &number));
    assert_int_equal(world_write(&world, "b{}", 12), 1); /* no number was taken */
    number = world_put(&world, "a{}");
    world_meta(&world, "a{}", false, "room", "6", 13);
    series_catalogue_logged(world.catalogue, &number, 1);
    world_expect_attributes(&world, number, "room=6 team=blue ");
    world_deinit(&world);
}

static int take_meta(void *context, struct span metas, struct stamp stamp)
{
    return series_catalogue_apply_meta(((struct world *)context)->catalogue, metas, stamp);
}

static int take_delete(void *context, const struct series_delete *deletion, struct stamp stamp)
{
    struct buf payload = {0};
    series_delete_encode(&payload, deletion);
    int rc = series_catalogue_apply_delete(((struct world *)context)->catalogue, buf_span(&payload),
                                           stamp);
    buf_deinit(&payload);
    return rc;
}

/* Given on, attributes and deletes make the same of another catalogue, whatever it knew and
 * however often they come. */
static void what_is_given_on_makes_the_same_elsewhere(void **state)
{
    (void)state;
    struct world from;
    struct world to;
    world_init(&from, 1);
    world_init(&to, 2);
    assert_int_equal(world_open(&from), 0);
    assert_int_equal(world_open(&to), 0);
    uint32_t a = world_write(&from, "a{x=1}", 10);
    world_meta(&from, "a{x=1}", false, "gone", "1", 10);
    world_meta(&from, "a{x=1}", true, "team", "red", 11);
    world_meta(&from, "a{x=1}", false, "room", "5", 12);
    world_meta(&from, "a{x=1}", false, "floor", NULL, 13);
    world_meta(&from, "later{}", false, "team", "blue", 14);
    uint32_t dead = world_write(&from, "dead{}", 15);
    world_delete(&from, "dead{}", 16);
    assert_int_equal(world_write(&to, "other{}", 1), 1);
    uint32_t there = world_write(&to, "a{x=1}", 10);
    assert_int_equal(world_write(&to, "dead{}", 15), 3);
    world_meta(&to, "a{x=1}", false, "gone", "1", 10);
    world_meta(&to, "a{x=1}", false, "floor", "2", 12);
    assert_true(series_catalogue_numbers_end(from.catalogue) > MAX(a, dead));
    for (int round = 0; round < 2; round++) {
        uint32_t end = series_catalogue_numbers_end(from.catalogue);
        for (uint32_t number = 1; number < end; number++) {
            assert_int_equal(series_catalogue_metas(from.catalogue, number, take_meta, &to), 0);
        }
        assert_int_equal(series_catalogue_orphan_metas(from.catalogue, take_meta, &to), 0);
        assert_int_equal(series_catalogue_deletes(from.catalogue, take_delete, &to), 0);
        world_expect_attributes(&to, there, "room=5 team=red ");
    }
    assert_int_equal(world_count(&to, "dead{}", 0), 0);
    uint32_t late = world_write(&to, "later{}", 20);
    world_meta(&to, "later{}", false, "room", "1", 21);
    world_expect_attributes(&to, late, "room=1 team=blue ");
    world_deinit(&from);
    world_deinit(&to);
}

/*
 * Selectors against the plain definition, over random catalogues.
 */

static const char *const words[] = {"a", "ab", "b", "", "caf\xc3\xa9", "x{y}", "~a", "1"};
static const char *const names[] = {"k", "l", "m", "n"};

static const char *word(struct world *world)
{
    return words[io_sim_below(&world->sim, ARRAY_COUNT(words))];
}

static void random_series(struct world *world, struct buf *key)
{
    struct series_label labels[4];
    size_t count = io_sim_below(&world->sim, 4);
    for (size_t i = 0; i < count; i++) {
        labels[i] = (struct series_label){span_of_str(names[io_sim_below(&world->sim, 3)]),
                                          span_of_str(word(world))};
    }
    buf_clear(key);
    assert_int_equal(series_key_make(key, span_of_str(word(world)), labels, count), 0);
}

static void fill(struct world *world, size_t count)
{
    struct buf key = {0};
    struct buf payload = {0};
    for (size_t i = 0; i < count; i++) {
        uint32_t number = 0;
        random_series(world, &key);
        assert_true(series_catalogue_put(world->catalogue, buf_span(&key), &number) >= 0);
        series_catalogue_logged(world->catalogue, &number, 1);
        if (io_sim_below(&world->sim, 4) != 0) {
            series_catalogue_touch(world->catalogue, &number, 1, (struct stamp){10, 1});
        }
        struct series_attribute attribute = {span_of_str(names[io_sim_below(&world->sim, 4)]),
                                             span_of_str(word(world)),
                                             io_sim_below(&world->sim, 4) == 0};
        buf_clear(&payload);
        series_metas_begin(&payload);
        assert_int_equal(series_metas_put(&payload, buf_span(&key), false, &attribute,
                                          io_sim_below(&world->sim, 3) == 0),
                         0);
        assert_int_equal(
            series_catalogue_apply_meta(world->catalogue, buf_span(&payload),
                                        (struct stamp){io_sim_below(&world->sim, 20) + 1, 1}),
            0);
    }
    buf_deinit(&key);
    buf_deinit(&payload);
}

static void random_part(struct world *world, struct buf *text, bool class)
{
    static const char *const regexes[] = {".*", "a.*", "[ab]+", "a|b", "", "(?i)A", "caf."};
    if (io_sim_below(&world->sim, 3) == 0) {
        buf_append_byte(text, '~');
        series_text_encode(text, span_of_str(regexes[io_sim_below(&world->sim, 7)]));
    } else {
        buf_append_byte(text, '=');
        series_text_encode(text,
                           span_of_str(class ? words[io_sim_below(&world->sim, 3)] : word(world)));
    }
}

static void random_selector(struct world *world, struct series_selector **selector)
{
    struct buf text = {0};
    random_part(world, &text, true);
    buf_append_byte(&text, '{');
    for (uint64_t i = io_sim_below(&world->sim, 4); i > 0; i--) {
        buf_append_str(&text, names[io_sim_below(&world->sim, 4)]);
        random_part(world, &text, false);
        buf_append_byte(&text, ',');
    }
    buf_append_byte(&text, '}');
    unsigned flags = io_sim_below(&world->sim, 3) == 0 ? SERIES_SELECTOR_LABELS_ONLY : 0;
    assert_int_equal(series_selector_parse(buf_span(&text), flags, selector, NULL), 0);
    buf_deinit(&text);
}

static void answers_are_those_of_looking_at_each_series(void **state)
{
    (void)state;
    size_t found = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world world;
        world_init(&world, seed);
        assert_int_equal(world_open(&world), 0);
        fill(&world, 20 * seed % 400);
        for (int i = 0; i < 60; i++) {
            struct series_selector *selector = NULL;
            struct series_numbers numbers = {0};
            unsigned flags = io_sim_below(&world.sim, 2) == 0 ? SERIES_SELECT_DEAD : 0;
            random_selector(&world, &selector);
            assert_int_equal(series_catalogue_select(world.catalogue, selector, flags, &numbers),
                             0);
            size_t at = 0;
            uint64_t next = series_catalogue_stats(world.catalogue).next;
            for (uint32_t number = 1; number < next; number++) {
                bool expected = series_catalogue_matches(world.catalogue, selector, number) &&
                                (flags != 0 || series_catalogue_lives(world.catalogue, number));
                bool got = at < numbers.count && numbers.items[at] == number;
                assert_int_equal(got, expected);
                at += got;
            }
            assert_int_equal(at, numbers.count);
            found += at;
            series_numbers_deinit(&numbers);
            series_selector_free(&selector);
        }
        world_deinit(&world);
    }
    assert_true(found > 10000);
}

static void an_exact_selector_finds_its_series(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 3);
    assert_int_equal(world_open(&world), 0);
    fill(&world, 100);
    uint64_t next = series_catalogue_stats(world.catalogue).next;
    for (uint32_t number = 1; number < next; number++) {
        struct buf key = {0};
        struct buf text = {0};
        struct series_selector *selector = NULL;
        struct series_numbers numbers = {0};
        assert_true(series_catalogue_key(world.catalogue, number, &key));
        series_selector_print_exact(&text, buf_span(&key));
        assert_int_equal(
            series_selector_parse(buf_span(&text), SERIES_SELECTOR_EXACT, &selector, NULL), 0);
        assert_int_equal(
            series_catalogue_select(world.catalogue, selector, SERIES_SELECT_DEAD, &numbers), 0);
        assert_int_equal(numbers.count, 1);
        assert_int_equal(numbers.items[0], number);
        series_numbers_deinit(&numbers);
        series_selector_free(&selector);
        buf_deinit(&key);
        buf_deinit(&text);
    }
    world_deinit(&world);
}

static void a_regex_that_explodes_fails_the_selection(void **state)
{
    (void)state;
    struct world world;
    struct series_selector *selector = NULL;
    struct series_numbers numbers = {0};
    world_init(&world, 1);
    assert_int_equal(world_open(&world), 0);
    world_write(&world, "a{x=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab}", 1);
    assert_int_equal(
        series_selector_parse(SPAN_LIT("a{x~(a+)+(a+)+(a+)+[0-9]}"), 0, &selector, NULL), 0);
    assert_int_equal(series_catalogue_select(world.catalogue, selector, 0, &numbers),
                     ERR_TOO_LARGE);
    assert_null(numbers.items);
    series_selector_free(&selector);
    world_deinit(&world);
}

static void large_answers_are_sorted_too(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    assert_int_equal(world_open(&world), 0);
    for (int i = 0; i < 3000; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "c%d{n=%d}", i % 7, i);
        world_write(&world, text, 1);
    }
    struct series_selector *selector = NULL;
    struct series_numbers numbers = {0};
    assert_int_equal(series_selector_parse(SPAN_LIT("~c[0-5]{}"), 0, &selector, NULL), 0);
    assert_int_equal(series_catalogue_select(world.catalogue, selector, 0, &numbers), 0);
    size_t at = 0;
    for (uint32_t i = 0; i < 3000; i++) {
        if (i % 7 != 6) {
            assert_int_equal(numbers.items[at++], i + 1);
        }
    }
    assert_int_equal(at, numbers.count);
    series_numbers_deinit(&numbers);
    series_selector_free(&selector);
    world_deinit(&world);
}

/*
 * Threads: some put the same series, some select, one deletes and writes again.
 */

#define THREADS 4
#define SERIES 1500

static void *put_and_read(void *context)
{
    struct world *world = context;
    struct buf key = {0};
    uintptr_t sum = 0;
    for (uint32_t i = 0; i < SERIES; i++) {
        char value[16];
        int bytes = snprintf(value, sizeof(value), "h%u", i);
        struct series_label label = {SPAN_LIT("host"), span_of(value, (size_t)bytes)};
        uint32_t number = 0;
        buf_clear(&key);
        CHECK(series_key_make(&key, SPAN_LIT("cpu"), &label, 1) == 0);
        CHECK(series_catalogue_put(world->catalogue, buf_span(&key), &number) >= 0);
        series_catalogue_logged(world->catalogue, &number, 1);
        series_catalogue_touch(world->catalogue, &number, 1, (struct stamp){i + 1, 1});
        sum = sum * 31 + number * (uint64_t)(i + 1);
        if (i % 300 == 0) {
            struct series_selector *selector = NULL;
            struct series_numbers numbers = {0};
            CHECK(series_selector_parse(SPAN_LIT("cpu{host~h[0-9]*7}"), 0, &selector, NULL) == 0);
            CHECK(series_catalogue_select(world->catalogue, selector, 0, &numbers) == 0);
            CHECK(series_catalogue_checkpoint(world->catalogue, i + 1) == 0);
            series_numbers_deinit(&numbers);
            series_selector_free(&selector);
        }
    }
    buf_deinit(&key);
    return (void *)sum;
}

static void threads_agree_on_the_numbers(void **state)
{
    (void)state;
    struct world world;
    pthread_t threads[THREADS];
    void *sums[THREADS];
    world_init(&world, 1);
    assert_int_equal(world_open(&world), 0);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, put_and_read, &world), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &sums[i]), 0);
        assert_ptr_equal(sums[i], sums[0]);
    }
    assert_int_equal(series_catalogue_stats(world.catalogue).series, SERIES);
    assert_int_equal(world_count(&world, "cpu{}", 0), SERIES);
    assert_int_equal(world_count(&world, "cpu{host~h[0-9]*7}", 0), SERIES / 10);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_series_has_one_number_and_a_number_one_series),
        cmocka_unit_test(a_definition_is_asked_for_until_it_is_logged),
        cmocka_unit_test(replaying_definitions_is_harmless_and_contradictions_are_told),
        cmocka_unit_test(a_deleted_series_is_found_again_only_when_written_again),
        cmocka_unit_test(a_series_made_late_is_covered_by_its_own_deletes_alone),
        cmocka_unit_test(attributes_are_those_of_the_last_write_and_of_this_life),
        cmocka_unit_test(attributes_wait_for_a_series_that_is_not_known_yet),
        cmocka_unit_test(what_is_given_on_makes_the_same_elsewhere),
        cmocka_unit_test(answers_are_those_of_looking_at_each_series),
        cmocka_unit_test(an_exact_selector_finds_its_series),
        cmocka_unit_test(a_regex_that_explodes_fails_the_selection),
        cmocka_unit_test(large_answers_are_sorted_too),
        cmocka_unit_test(threads_agree_on_the_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
