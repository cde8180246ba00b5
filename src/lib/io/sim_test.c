/*
 * The simulated disk keeps what it promised and nothing more: what was synced survives every
 * crash, what was not is sometimes lost, torn or kept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "io/sim.h"

#define SEEDS 200

static void put(struct io_sim *sim, const char *path, const char *text, bool sync)
{
    struct io_file *file;
    assert_int_equal(io_open(&sim->io, path, IO_WRITE | IO_CREATE, &file), 0);
    assert_int_equal(io_write_at(file, 0, span_of_str(text)), 0);
    if (sync) {
        assert_int_equal(io_sync(file), 0);
    }
    io_close(&file);
}

static bool reads(struct io_sim *sim, const char *path, const char *text)
{
    struct buf buf = {0};
    bool same = io_exists(&sim->io, path) && io_read_file(&sim->io, path, 1 << 20, &buf) == 0 &&
                span_equal_str(buf_span(&buf), text);
    buf_deinit(&buf);
    return same;
}

static void start(struct io_sim *sim, uint64_t seed)
{
    io_sim_init(sim, seed);
    assert_int_equal(io_make_dirs(&sim->io, "/d/e"), 0);
    assert_int_equal(io_sync_dir(&sim->io, "/"), 0);
    assert_int_equal(io_sync_dir(&sim->io, "/d"), 0);
}

/* Claim: file and directory synced means there, whole, after any crash. */
static void synced_data_under_a_synced_name_survives_every_crash(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct io_sim sim;
        start(&sim, seed);
        put(&sim, "/d/e/a", "hello", true);
        assert_int_equal(io_sync_dir(&sim.io, "/d/e"), 0);
        io_sim_crash(&sim);
        assert_true(reads(&sim, "/d/e/a", "hello"));
        io_sim_deinit(&sim);
    }
}

/* The canary: a program that forgets a sync is caught by some seed, and is lucky in another.
 * Were this test to fail, every sweep over this disk would prove nothing. */
static void a_program_that_forgets_to_sync_loses_data(void **state)
{
    (void)state;
    for (int forgets = 0; forgets < 2; forgets++) { /* the file's sync, the directory's */
        int kept = 0;
        int lost = 0;
        int torn = 0;
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct io_sim sim;
            start(&sim, seed);
            put(&sim, "/d/e/a", "hello, this is a text that can be torn", forgets != 0);
            if (forgets != 1) {
                assert_int_equal(io_sync_dir(&sim.io, "/d/e"), 0);
            }
            io_sim_crash(&sim);
            if (reads(&sim, "/d/e/a", "hello, this is a text that can be torn")) {
                kept++;
            } else if (!io_exists(&sim.io, "/d/e/a") || reads(&sim, "/d/e/a", "")) {
                lost++;
            } else {
                torn++;
            }
            io_sim_deinit(&sim);
        }
        assert_true(kept > SEEDS / 10);
        assert_true(lost > SEEDS / 10);
        assert_true(forgets == 1 || torn > SEEDS / 20);
    }
}

/* Claim: after a rename and a crash the name has the old or the new contents, never a mixture;
 * io_write_file has the new ones. */
static void a_replaced_file_is_old_or_new(void **state)
{
    (void)state;
    int old = 0;
    int new = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct io_sim sim;
        start(&sim, seed);
        assert_int_equal(io_write_file(&sim.io, "/d/e/a", SPAN_LIT("old")), 0);
        put(&sim, "/d/e/t", "new", true);
        assert_int_equal(io_rename(&sim.io, "/d/e/t", "/d/e/a"), 0);
        io_sim_crash(&sim);
        old += reads(&sim, "/d/e/a", "old");
        new += reads(&sim, "/d/e/a", "new");
        assert_int_equal(io_write_file(&sim.io, "/d/e/a", SPAN_LIT("newest")), 0);
        io_sim_crash(&sim);
        assert_true(reads(&sim, "/d/e/a", "newest"));
        io_sim_deinit(&sim);
    }
    assert_int_equal(old + new, SEEDS);
    assert_true(old > 0 && new > 0);
}

/* Claim: what a failed sync lost is not brought back by the next one. */
static void a_failed_sync_may_lose_for_good(void **state)
{
    (void)state;
    int lost = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct io_sim sim;
        start(&sim, seed);
        put(&sim, "/d/e/a", "", true);
        assert_int_equal(io_sync_dir(&sim.io, "/d/e"), 0);
        struct io_file *file;
        assert_int_equal(io_open(&sim.io, "/d/e/a", IO_WRITE, &file), 0);
        assert_int_equal(io_write_at(file, 0, SPAN_LIT("data")), 0);
        sim.fail_at = sim.calls + 1;
        assert_int_equal(io_sync(file), ERR_IO);
        assert_true(sim.failed);
        assert_true(reads(&sim, "/d/e/a", "data")); /* the cache still has it */
        assert_int_equal(io_sync(file), 0);
        io_close(&file);
        io_sim_crash(&sim);
        lost += !reads(&sim, "/d/e/a", "data");
        io_sim_deinit(&sim);
    }
    assert_true(lost > SEEDS / 10);
}

/* Claim: one seed, one life: the same calls end in the same bytes. */
static void the_same_seed_crashes_the_same_way(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct buf after[2] = {{0}};
        for (int life = 0; life < 2; life++) {
            struct io_sim sim;
            start(&sim, seed);
            put(&sim, "/d/e/a", "0123456789abcdef", false);
            assert_int_equal(io_sync_dir(&sim.io, "/d/e"), 0);
            io_sim_crash(&sim);
            assert_int_equal(io_read_file(&sim.io, "/d/e/a", 100, &after[life]), 0);
            io_sim_deinit(&sim);
        }
        assert_true(span_equal(buf_span(&after[0]), buf_span(&after[1])));
        buf_deinit(&after[0]);
        buf_deinit(&after[1]);
    }
}

/* Claim: from crash_at on nothing works, until io_sim_crash; open files are dead after it. */
static void no_call_works_without_power(void **state)
{
    (void)state;
    struct io_sim sim;
    start(&sim, 7);
    struct io_file *file;
    assert_int_equal(io_open(&sim.io, "/d/e/a", IO_WRITE | IO_CREATE, &file), 0);
    sim.crash_at = sim.calls + 2;
    assert_int_equal(io_write_at(file, 0, SPAN_LIT("x")), 0);
    assert_int_equal(io_sync(file), ERR_IO);
    assert_true(sim.off);
    assert_int_equal(io_sync(file), ERR_IO);
    assert_int_equal(io_sync_dir(&sim.io, "/d/e"), ERR_IO);
    io_sim_crash(&sim);
    assert_int_equal(io_write_at(file, 0, SPAN_LIT("x")), ERR_IO);
    io_close(&file);
    assert_int_equal(io_sync_dir(&sim.io, "/d/e"), 0);
    io_sim_deinit(&sim);
}

/* Claim: a full disk takes what fits, says ERR_NO_SPACE, and takes more once there is room. */
static void a_full_disk_refuses_until_there_is_room(void **state)
{
    (void)state;
    struct io_sim sim;
    start(&sim, 3);
    sim.space_bytes = 10;
    put(&sim, "/d/e/a", "12345678", true);
    struct io_file *file;
    assert_int_equal(io_open(&sim.io, "/d/e/b", IO_WRITE | IO_CREATE, &file), 0);
    assert_int_equal(io_write_at(file, 0, SPAN_LIT("12345")), ERR_NO_SPACE);
    assert_int_equal((int)io_sim_used(&sim), 10);
    assert_int_equal(io_remove(&sim.io, "/d/e/a"), 0);
    assert_int_equal(io_write_at(file, 0, SPAN_LIT("12345")), 0);
    uint64_t left;
    uint64_t total;
    assert_int_equal(io_space(&sim.io, "/d", &left, &total), 0);
    assert_int_equal((int)left, 5);
    io_close(&file);
    io_sim_deinit(&sim);
}

/* Claim: io_make_dirs is durable by itself, so a crash never takes a directory away under
 * files that were synced. */
static void made_directories_survive(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct io_sim sim;
        io_sim_init(&sim, seed);
        assert_int_equal(io_make_dirs(&sim.io, "/a/b/c"), 0);
        assert_int_equal(io_write_file(&sim.io, "/a/b/c/f", SPAN_LIT("x")), 0);
        io_sim_crash(&sim);
        assert_true(reads(&sim, "/a/b/c/f", "x"));
        io_sim_deinit(&sim);
    }
}

/* Claim: so are those that an earlier try left behind. */
static void directories_of_a_try_that_failed_survive(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct io_sim sim;
        io_sim_init(&sim, seed);
        sim.fail_at = 1 + io_sim_below(&sim, 6);
        assert_true(io_make_dirs(&sim.io, "/a/b/c") < 0);
        assert_int_equal(io_make_dirs(&sim.io, "/a/b/c"), 0);
        assert_int_equal(io_write_file(&sim.io, "/a/b/c/f", SPAN_LIT("x")), 0);
        io_sim_crash(&sim);
        assert_true(reads(&sim, "/a/b/c/f", "x"));
        io_sim_deinit(&sim);
    }
}

static int collect(void *context, const char *name)
{
    buf_printf(context, "%s ", name);
    return 0;
}

static void a_listing_has_the_names_of_one_directory_in_order(void **state)
{
    (void)state;
    struct io_sim sim;
    start(&sim, 1);
    put(&sim, "/d/e/b", "", false);
    put(&sim, "/d/e/a", "", false);
    put(&sim, "/d/x", "", false);
    struct buf names = {0};
    assert_int_equal(io_list(&sim.io, "/d/e", collect, &names), 0);
    assert_string_equal(buf_str(&names), "a b ");
    assert_int_equal(io_remove(&sim.io, "/d/e/a"), 0);
    assert_int_equal(io_link(&sim.io, "/d/e/b", "/d/e/c"), 0);
    buf_clear(&names);
    assert_int_equal(io_list(&sim.io, "/d/e", collect, &names), 0);
    assert_string_equal(buf_str(&names), "b c ");
    assert_int_equal(io_remove_dir(&sim.io, "/d/e"), ERR_EXISTS);
    buf_deinit(&names);
    io_sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synced_data_under_a_synced_name_survives_every_crash),
        cmocka_unit_test(a_program_that_forgets_to_sync_loses_data),
        cmocka_unit_test(a_replaced_file_is_old_or_new),
        cmocka_unit_test(a_failed_sync_may_lose_for_good),
        cmocka_unit_test(the_same_seed_crashes_the_same_way),
        cmocka_unit_test(no_call_works_without_power),
        cmocka_unit_test(a_full_disk_refuses_until_there_is_room),
        cmocka_unit_test(made_directories_survive),
        cmocka_unit_test(directories_of_a_try_that_failed_survive),
        cmocka_unit_test(a_listing_has_the_names_of_one_directory_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
