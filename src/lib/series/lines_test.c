/*
 * Lines added are kept, whatever the disk does; damage costs its own line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "io/sim.h"
#include "series/lines.h"

#define PATH "/data/facts"
#define FACTS 64

/* What the file said: how often each number was read. */
struct facts {
    int seen[FACTS];
};

static bool take(void *context, struct span text)
{
    struct facts *facts = context;
    uint64_t number = 0;
    if (!span_to_u64(text, &number) || number >= FACTS) {
        return false;
    }
    facts->seen[number]++;
    return true;
}

static int open_lines(struct io_sim *sim, struct facts *facts, struct series_lines **ret_lines)
{
    *facts = (struct facts){0};
    return series_lines_open(&sim->io, PATH, 1000, take, facts, ret_lines);
}

static int add(struct series_lines *lines, int number)
{
    struct buf line = {0};
    buf_printf(&line, "%d", number);
    series_lines_end(&line, 0);
    int rc = series_lines_add(lines, buf_span(&line));
    buf_deinit(&line);
    return rc;
}

/* Faults and crashes at any call, in four lives; what one life had read is there in the next. */
static void a_line_added_or_read_is_there_ever_after(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        struct io_sim sim;
        struct facts facts;
        struct series_lines *lines = NULL;
        bool promised[FACTS] = {false};
        io_sim_init(&sim, seed);
        for (int life = 0; life < 5; life++) {
            sim.fail_at = life < 4 ? sim.calls + 1 + io_sim_below(&sim, 20) : 0;
            sim.crash_at = life < 4 && life % 2 == 0 ? sim.calls + 1 + io_sim_below(&sim, 30) : 0;
            bool is_open = open_lines(&sim, &facts, &lines) == 0;
            for (int i = 0; is_open && i < FACTS; i++) {
                assert_true(facts.seen[i] > 0 || !promised[i]);
                promised[i] = facts.seen[i] > 0;
            }
            for (int i = life * 10; is_open && i < life * 10 + 10; i++) {
                promised[i] |= add(lines, i) == 0;
            }
            assert_true(is_open || life < 4);
            series_lines_close(&lines);
            if (sim.off || io_sim_below(&sim, 2) == 0) {
                io_sim_crash(&sim); /* or the process only was started again */
            }
        }
        io_sim_deinit(&sim);
    }
}

static void a_flipped_bit_costs_its_line_and_is_counted(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < 21; at++) {
        struct io_sim sim;
        struct facts facts;
        struct series_lines *lines = NULL;
        io_sim_init(&sim, at);
        assert_int_equal(open_lines(&sim, &facts, &lines), 0);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(add(lines, i), 0);
        }
        series_lines_close(&lines);
        assert_true(io_sim_flip(&sim, PATH, at, 4));
        assert_int_equal(open_lines(&sim, &facts, &lines), 0);
        assert_int_equal(facts.seen[0], at > 10);
        assert_int_equal(facts.seen[1], at < 10); /* a newline joins the two */
        assert_int_equal(facts.seen[2], 1);
        assert_int_equal(series_lines_damage(lines).lines, 1);
        series_lines_close(&lines);
        io_sim_deinit(&sim);
    }
}

static void a_line_of_others_is_damage_and_a_torn_end_is_cut(void **state)
{
    (void)state;
    struct io_sim sim;
    struct facts facts;
    struct series_lines *lines = NULL;
    io_sim_init(&sim, 1);
    assert_int_equal(open_lines(&sim, &facts, &lines), 0);
    assert_int_equal(add(lines, FACTS), 0);
    assert_int_equal(add(lines, 1), 0);
    assert_int_equal(series_lines_add(lines, SPAN_LIT("2 1234")), 0);
    series_lines_close(&lines);
    assert_int_equal(open_lines(&sim, &facts, &lines), 0);
    assert_int_equal(series_lines_damage(lines).lines, 1);
    assert_int_equal(series_lines_damage(lines).torn_bytes, 6);
    assert_int_equal(add(lines, 2), 0);
    series_lines_close(&lines);
    assert_int_equal(open_lines(&sim, &facts, &lines), 0);
    assert_int_equal(facts.seen[1] + facts.seen[2], 2);
    assert_int_equal(series_lines_damage(lines).torn_bytes, 0);
    for (int i = 3; i < FACTS; i++) {
        assert_int_equal(add(lines, i), 0);
    }
    for (int i = 0; i < 40; i++) {
        assert_int_equal(add(lines, i), 0);
    }
    series_lines_close(&lines);
    assert_int_equal(open_lines(&sim, &facts, &lines), ERR_CORRUPT);
    io_sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_added_or_read_is_there_ever_after),
        cmocka_unit_test(a_flipped_bit_costs_its_line_and_is_counted),
        cmocka_unit_test(a_line_of_others_is_damage_and_a_torn_end_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
