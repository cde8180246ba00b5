/*
 * Checkpoints: with the log from their position on they give back everything, whatever the disk
 * does; damage costs a block, is told by name, and segments and the log make up for it.
 */
#include "series/catalogue_test_world.h"

#include <stdlib.h>

#include "base/text.h"

#define OPERATIONS 60
#define SEEDS_PER_CALL 8 /* what a sync that failed has written is a matter of chance */

/* A log: what is applied at a position depends on nothing but the position. */
static void apply(struct world *world, uint64_t position)
{
    char text[64];
    char value[16];
    uint64_t which = position % 10;
    (void)snprintf(text, sizeof(text), "class%d{n=%d,m=x}", (int)(which % 3),
                   (int)(position * 7 % 13));
    (void)snprintf(value, sizeof(value), "v%d", (int)position);
    if (which == 4) {
        world_delete(world, position % 20 == 4 ? "class1{}" : "~class.{n~[0-3]}", position);
    } else if (which == 5 || which == 9) {
        world_meta(world, text, position % 3 == 0, which == 5 ? "a" : "b", value, position);
    } else {
        /* As the log has it: the definition with its number, then points. */
        struct buf payload = {0};
        struct buf key = {0};
        uint32_t number = (uint32_t)(1 + which % 3 * 13 + position * 7 % 13);
        key_of(&key, text);
        series_definitions_begin(&payload);
        series_definitions_put(&payload, &(struct series_definition){number, buf_span(&key)});
        assert_int_equal(series_catalogue_apply_series(world->catalogue, buf_span(&payload)), 0);
        series_catalogue_touch(world->catalogue, &number, 1, (struct stamp){position, 1});
        buf_deinit(&payload);
        buf_deinit(&key);
    }
}

/* Everything there is to know, as text. */
static void describe(struct world *world, struct buf *text)
{
    buf_clear(text);
    for (uint32_t number = 1; number < series_catalogue_stats(world->catalogue).next; number++) {
        struct buf key = {0};
        if (series_catalogue_key(world->catalogue, number, &key)) {
            buf_printf(text, "%u ", number);
            series_key_text(text, buf_span(&key));
            buf_append_str(text, series_catalogue_lives(world->catalogue, number) ? " " : " dead ");
            assert_int_equal(
                series_catalogue_attributes(world->catalogue, number, world_take_attribute, text),
                0);
            buf_append_byte(text, '\n');
        }
        buf_deinit(&key);
    }
}

static void describe_a_life_without_faults(struct buf *text)
{
    struct world world;
    world_init(&world, 1);
    assert_int_equal(world_open(&world), 0);
    for (uint64_t position = 1; position <= OPERATIONS; position++) {
        apply(&world, position);
    }
    describe(&world, text);
    world_deinit(&world);
}

static void replay(struct world *world)
{
    uint64_t position = series_catalogue_position(world->catalogue);
    for (position = position == 0 ? 1 : position; position <= OPERATIONS; position++) {
        apply(world, position);
    }
}

/* What goes wrong at which call; then a crash, opening, and the log again. */
static bool live(uint64_t seed, uint64_t fail_at, uint64_t crash_at, const struct buf *expected)
{
    struct world world;
    struct buf text = {0};
    uint64_t promised = 0;
    world_init(&world, seed);
    world.sim.fail_at = fail_at;
    world.sim.crash_at = crash_at;
    if (world_open(&world) == 0) {
        for (uint64_t position = 1; position <= OPERATIONS; position++) {
            apply(&world, position);
            if (position % 7 == 0 &&
                series_catalogue_checkpoint(world.catalogue, position + 1) == 0) {
                promised = position + 1;
            }
        }
    }
    bool reached = world.sim.failed || world.sim.off;
    series_catalogue_close(&world.catalogue);
    io_sim_crash(&world.sim);
    world_reopen(&world);
    assert_true(series_catalogue_position(world.catalogue) >= promised);
    replay(&world);
    describe(&world, &text);
    assert_string_equal(buf_str(&text), buf_str((struct buf *)(uintptr_t)expected));
    /* And it goes on working. */
    assert_int_equal(series_catalogue_checkpoint(world.catalogue, OPERATIONS + 1), 0);
    world_reopen(&world);
    describe(&world, &text);
    assert_string_equal(buf_str(&text), buf_str((struct buf *)(uintptr_t)expected));
    buf_deinit(&text);
    world_deinit(&world);
    return reached;
}

static void every_failing_call_leaves_what_was_checkpointed(void **state)
{
    (void)state;
    struct buf expected = {0};
    describe_a_life_without_faults(&expected);
    assert_true(span_find(buf_span(&expected), SPAN_LIT("dead")) > 0);
    assert_true(span_find(buf_span(&expected), SPAN_LIT("a=v")) > 0);
    for (uint64_t fail_at = 1; live(fail_at, fail_at, 0, &expected); fail_at++) {}
    buf_deinit(&expected);
}

static void every_crash_leaves_what_was_checkpointed(void **state)
{
    (void)state;
    struct buf expected = {0};
    describe_a_life_without_faults(&expected);
    for (uint64_t round = 0; round < 3; round++) {
        for (uint64_t crash_at = 1; live(round * 1000 + crash_at, 0, crash_at, &expected);
             crash_at++) {}
    }
    buf_deinit(&expected);
}

/* A checkpoint fails; the process ends, and its successor sees what the kernel holds. The log is
 * trimmed by what that says, and then the power goes. */
static void what_a_failed_checkpoint_wrote_is_not_relied_on(void **state)
{
    (void)state;
    struct buf expected = {0};
    struct buf text = {0};
    describe_a_life_without_faults(&expected);
    bool failed = true;
    for (uint64_t seed = 0; failed || seed % SEEDS_PER_CALL != 0; seed++) {
        uint64_t call = 1 + seed / SEEDS_PER_CALL;
        struct world world;
        world_init(&world, seed);
        assert_int_equal(world_open(&world), 0);
        for (uint64_t position = 1; position <= OPERATIONS; position++) {
            apply(&world, position);
            if (position == 20) {
                assert_int_equal(series_catalogue_checkpoint(world.catalogue, position + 1), 0);
            }
        }
        world.sim.fail_at = world.sim.calls + call;
        failed = series_catalogue_checkpoint(world.catalogue, OPERATIONS + 1) < 0;
        world.sim.fail_at = 0;
        world_reopen(&world);
        uint64_t trimmed = series_catalogue_position(world.catalogue);
        series_catalogue_close(&world.catalogue);
        io_sim_crash(&world.sim);
        world_reopen(&world);
        assert_true(series_catalogue_position(world.catalogue) >= trimmed);
        replay(&world);
        describe(&world, &text);
        assert_string_equal(buf_str(&text), buf_str(&expected));
        world_deinit(&world);
    }
    buf_deinit(&text);
    buf_deinit(&expected);
}

static void what_was_put_but_not_logged_is_not_kept(void **state)
{
    (void)state;
    struct world world;
    uint32_t number = 0;
    world_init(&world, 1);
    assert_int_equal(world_open(&world), 0);
    world_write(&world, "a{}", 10);
    assert_int_equal(world_put(&world, "b{}"), 2);
    world_meta(&world, "b{}", false, "team", "blue", 11);
    assert_int_equal(series_catalogue_checkpoint(world.catalogue, 5), 0);
    io_sim_crash(&world.sim);
    world_reopen(&world);
    assert_false(world_find(&world, "b{}", &number));
    number = world_write(&world, "c{}", 12);
    world_expect_attributes(&world, number, "");
    number = world_write(&world, "b{}", 12);
    world_expect_attributes(&world, number, "team=blue ");
    world_deinit(&world);
}

/*
 * Damage.
 */

#define MANY 6000

static void many_key(struct buf *key, uint32_t i)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "class{host=machine-%u,rack=%u}", i, i / 40);
    key_of(key, text);
}

static void make_many(struct world *world)
{
    struct buf key = {0};
    for (uint32_t i = 1; i <= MANY; i++) {
        uint32_t number = 0;
        many_key(&key, i);
        assert_true(series_catalogue_put(world->catalogue, buf_span(&key), &number) >= 0);
        series_catalogue_logged(world->catalogue, &number, 1);
        series_catalogue_touch(world->catalogue, &number, 1, (struct stamp){i, 1});
    }
    buf_deinit(&key);
    assert_int_equal(series_catalogue_checkpoint(world->catalogue, 77), 0);
}

/* As segments would: all of them. */
static void restore_many(struct world *world)
{
    struct buf key = {0};
    for (uint32_t i = 1; i <= MANY; i++) {
        many_key(&key, i);
        assert_int_equal(series_catalogue_restore(world->catalogue, i, buf_span(&key), i), 0);
    }
    buf_deinit(&key);
}

static void a_flipped_bit_costs_one_block_and_segments_give_it_back(void **state)
{
    (void)state;
    static const char path[] = "/series/0000000001.cat";
    struct world world;
    world_init(&world, 1);
    assert_int_equal(world_open(&world), 0);
    make_many(&world);
    uint64_t bytes = series_catalogue_stats(world.catalogue).file_bytes;
    assert_true(bytes > 4 * 65536);
    for (uint64_t i = 0; i < 25; i++) {
        uint64_t offset = i < 5 ? i * 16 : io_sim_below(&world.sim, bytes);
        uint8_t mask = (uint8_t)(1 << io_sim_below(&world.sim, 8));
        assert_true(io_sim_flip(&world.sim, path, offset, mask));
        world.reports = 0;
        world_reopen(&world);
        assert_int_equal(world.reports, 1);
        assert_non_null(strstr(world.last_report, "0000000001.cat"));
        struct series_catalogue_stats stats = series_catalogue_stats(world.catalogue);
        assert_true(stats.series >= MANY - 2200); /* of 64 KiB with 30 bytes each */
        restore_many(&world);
        assert_int_equal(series_catalogue_stats(world.catalogue).series, MANY);
        assert_int_equal(world_count(&world, "class{}", 0), MANY);
        assert_int_equal(world_count(&world, "class{rack=7}", 0), 40);
        assert_int_equal(world_write(&world, "new{}", 9), MANY + 1);
        assert_true(io_sim_flip(&world.sim, path, offset, mask) || stats.file_bytes < bytes);
        if (stats.file_bytes < bytes) {
            break; /* the last block: it was cut off as if it were torn */
        }
    }
    world_deinit(&world);
}

static void a_checkpoint_after_damage_holds_what_was_restored(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 2);
    assert_int_equal(world_open(&world), 0);
    make_many(&world);
    assert_true(io_sim_flip(&world.sim, "/series/0000000001.cat", 70000, 1));
    world_reopen(&world);
    assert_true(series_catalogue_stats(world.catalogue).series < MANY);
    restore_many(&world);
    assert_int_equal(series_catalogue_checkpoint(world.catalogue, 78), 0);
    world_reopen(&world);
    assert_int_equal(series_catalogue_stats(world.catalogue).series, MANY);
    assert_int_equal(world_count(&world, "class{}", 0), MANY);
    world_deinit(&world);
}

static void the_file_does_not_grow_without_end(void **state)
{
    (void)state;
    struct world world;
    char value[16384];
    world_init(&world, 1);
    assert_int_equal(world_open(&world), 0);
    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = 0;
    uint32_t number = world_write(&world, "a{}", 1);
    uint64_t largest = 0;
    for (uint64_t i = 1; i < 700; i++) {
        world_meta(&world, "a{}", false, "text", value, i);
        assert_int_equal(series_catalogue_checkpoint(world.catalogue, i), 0);
        largest = MAX(largest, io_sim_used(&world.sim));
    }
    assert_true(largest > (UINT64_C(4) << 20)); /* the bound was reached, */
    assert_true(largest < (UINT64_C(5) << 20)); /* and kept */
    world_reopen(&world);
    assert_int_equal(world_write(&world, "a{}", 2), number);
    assert_int_equal(world_count(&world, "a{text~x+}", 0), 1);
    world_deinit(&world);
}

/*
 * What earlier versions wrote opens for ever: tests/golden/catalogue-1.cat. It is never written
 * again; a new form gets a file of its own:
 *
 *     AQUIFER_WRITE_GOLDEN=tests/golden/catalogue-2.cat
 * build/debug/test/series_catalogue_checkpoint_test
 */

static void write_golden(const char *path)
{
    struct world world;
    struct buf content = {0};
    world_init(&world, 1);
    assert_int_equal(world_open(&world), 0);
    for (uint64_t position = 1; position <= OPERATIONS; position++) {
        apply(&world, position);
        if (position % 25 == 0) {
            assert_int_equal(series_catalogue_checkpoint(world.catalogue, position + 1), 0);
        }
    }
    world_meta(&world, "later{x=1}", false, "team", "blue", OPERATIONS);
    assert_int_equal(series_catalogue_checkpoint(world.catalogue, OPERATIONS + 1), 0);
    assert_int_equal(io_read_file(&world.sim.io, "/series/0000000001.cat", SIZE_MAX / 2, &content),
                     0);
    assert_int_equal(io_write_file(io_real(), path, buf_span(&content)), 0);
    buf_deinit(&content);
    world_deinit(&world);
}

static void a_golden_file_opens_for_ever(void **state)
{
    (void)state;
    const char *made = getenv("AQUIFER_WRITE_GOLDEN");
    if (made != NULL) {
        write_golden(made);
    }
    struct world world;
    struct buf content = {0};
    struct buf expected = {0};
    struct buf text = {0};
    world_init(&world, 1);
    assert_int_equal(
        io_read_file(io_real(), "tests/golden/catalogue-1.cat", SIZE_MAX / 2, &content), 0);
    assert_int_equal(io_make_dirs(&world.sim.io, "/series"), 0);
    assert_int_equal(io_write_file(&world.sim.io, "/series/0000000001.cat", buf_span(&content)), 0);
    assert_int_equal(world_open(&world), 0);
    assert_int_equal(world.reports, 0);
    assert_int_equal(series_catalogue_position(world.catalogue), OPERATIONS + 1);
    describe(&world, &text);
    describe_a_life_without_faults(&expected);
    /* In this file number 1, which was dead, is forgotten: earlier versions did that. */
    ptrdiff_t line = span_find_byte(buf_span(&expected), '\n');
    assert_string_equal(buf_str(&text), buf_str(&expected) + line + 1);
    uint32_t number = world_write(&world, "later{x=1}", OPERATIONS + 1);
    world_expect_attributes(&world, number, "team=blue ");
    assert_true(number > 1); /* a forgotten number is never given again */
    buf_deinit(&content);
    buf_deinit(&expected);
    buf_deinit(&text);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failing_call_leaves_what_was_checkpointed),
        cmocka_unit_test(every_crash_leaves_what_was_checkpointed),
        cmocka_unit_test(what_a_failed_checkpoint_wrote_is_not_relied_on),
        cmocka_unit_test(what_was_put_but_not_logged_is_not_kept),
        cmocka_unit_test(a_flipped_bit_costs_one_block_and_segments_give_it_back),
        cmocka_unit_test(a_checkpoint_after_damage_holds_what_was_restored),
        cmocka_unit_test(the_file_does_not_grow_without_end),
        cmocka_unit_test(a_golden_file_opens_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
