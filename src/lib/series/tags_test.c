/*
 * The tag catalogue: names keep their numbers, whatever the disk does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/sim.h"
#include "series/tags.h"

#define PATH "/etc/aquifer/tags.dat"

static struct series_tags *open_tags(struct io_sim *sim)
{
    struct series_tags *tags = NULL;
    assert_int_equal(series_tags_open(&sim->io, PATH, &tags), 0);
    return tags;
}

static void the_two_fixed_tags_are_always_there(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct series_tags *tags = open_tags(&sim);
    uint16_t tag = 9;
    assert_int_equal(series_tags_put(tags, SPAN_LIT(" default\t"), &tag), 0);
    assert_int_equal(tag, 0);
    assert_int_equal(series_tags_put(tags, SPAN_LIT("gravwell"), &tag), 0);
    assert_int_equal(tag, 65535);
    assert_int_equal(series_tags_put(tags, SPAN_LIT("first"), &tag), 0);
    assert_int_equal(tag, 1);
    assert_true(span_equal_str(series_tags_name(tags, 65535), "gravwell"));
    assert_int_equal(series_tags_name(tags, 2).bytes, 0);
    assert_false(series_tags_find(tags, SPAN_LIT("second"), &tag));
    series_tags_close(&tags);
    io_sim_deinit(&sim);
}

static void names_follow_the_rules(void **state)
{
    (void)state;
    static const char *const good[] = {
        "a", "web-1_x", "a@b#c+d?", "caf\xc3\xa9", "\xe6\x97\xa5", "UPPER", "0"};
    static const char forbidden[] = "|{}();=<!>~%^&.:,/*$\\[]\"'` \t\n\x7f\x01";
    static const char *const bad[] = {
        "",   "a\xc2\xb4", "\xe2\x80\x98x", "\xe2\x80\x9d", "a\xc2\xa0-b", "\xff", "a\xe2\x80\x8b",
        "a b"};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        assert_int_equal(series_tag_check(span_of_str(good[i])), 0);
    }
    for (size_t i = 0; i < sizeof(forbidden) - 1; i++) {
        char name[3] = {'a', forbidden[i], 0};
        assert_int_equal(series_tag_check(span_of_str(name)), ERR_INVALID);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(series_tag_check(span_of_str(bad[i])), ERR_INVALID);
    }
    char *longest = mem_alloc(4098);
    memset(longest, 'x', 4097);
    assert_int_equal(series_tag_check(span_of(longest, 4096)), 0);
    assert_int_equal(series_tag_check(span_of(longest, 4097)), ERR_INVALID);
    mem_free(longest);
}

/* Every failed call, a crash at every call: a number that was given out stays with its name, and
 * is given to no other one. */
static void a_number_given_is_kept_for_ever(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct io_sim sim;
        io_sim_init(&sim, seed);
        int numbers[200];
        for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
            numbers[i] = -1;
        }
        for (int life = 0; life < 4; life++) {
            struct series_tags *tags = NULL;
            sim.fail_at = sim.calls + 1 + io_sim_below(&sim, 30);
            sim.crash_at = life % 2 == 0 ? sim.calls + 1 + io_sim_below(&sim, 60) : 0;
            if (series_tags_open(&sim.io, PATH, &tags) == 0) {
                for (int i = 0; i < 30; i++) {
                    char name[16];
                    uint64_t which = io_sim_below(&sim, ARRAY_COUNT(numbers));
                    snprintf(name, sizeof(name), "tag-%u", (unsigned)which);
                    uint16_t tag = 0;
                    if (series_tags_put(tags, span_of_str(name), &tag) == 0) {
                        assert_true(numbers[which] < 0 || numbers[which] == tag);
                        numbers[which] = tag;
                    }
                }
            }
            series_tags_close(&tags);
            io_sim_crash(&sim);
        }
        struct series_tags *tags = open_tags(&sim);
        for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
            char name[16];
            uint16_t tag = 0;
            snprintf(name, sizeof(name), "tag-%u", (unsigned)i);
            bool found = series_tags_find(tags, span_of_str(name), &tag);
            assert_true(numbers[i] < 0 || (found && tag == numbers[i]));
            assert_true(!found || span_equal_str(series_tags_name(tags, tag), name));
        }
        series_tags_close(&tags);
        io_sim_deinit(&sim);
    }
}

/* A flipped bit costs the name of its line, which stored data give back; the number is not
 * given again meanwhile. */
static void a_damaged_line_costs_one_name(void **state)
{
    (void)state;
    static const char *const names[] = {"alpha", "beta", "gamma"};
    for (uint64_t at = 0; at < 80; at++) {
        struct io_sim sim;
        io_sim_init(&sim, at);
        struct series_tags *tags = open_tags(&sim);
        uint16_t tag;
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(series_tags_put(tags, span_of_str(names[i]), &tag), 0);
        }
        series_tags_close(&tags);
        assert_true(io_sim_flip(&sim, PATH, at, 4));
        tags = open_tags(&sim);
        size_t missing = 0;
        for (size_t i = 0; i < 3; i++) {
            missing += !series_tags_find(tags, span_of_str(names[i]), &tag);
            assert_int_equal(series_tags_restore(tags, span_of_str(names[i]), (uint16_t)(i + 1)),
                             0);
        }
        assert_true(missing <= 2); /* a flipped newline joins two lines */
        assert_true(missing == 0 || series_tags_damage(tags).lines > 0 ||
                    series_tags_damage(tags).torn_bytes > 0);
        assert_int_equal(series_tags_put(tags, SPAN_LIT("delta"), &tag), 0);
        assert_int_equal(tag, 4);
        assert_int_equal(series_tags_restore(tags, SPAN_LIT("alpha"), 4), ERR_CONFLICT);
        series_tags_close(&tags);
        tags = open_tags(&sim);
        for (size_t i = 0; i < 3; i++) {
            assert_true(series_tags_find(tags, span_of_str(names[i]), &tag));
            assert_int_equal(tag, i + 1);
        }
        series_tags_close(&tags);
        io_sim_deinit(&sim);
    }
}

static void all_or_none_of_many_names_are_made(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct series_tags *tags = open_tags(&sim);
    struct span names[] = {SPAN_LIT("x"), SPAN_LIT(" y "), SPAN_LIT("x"), SPAN_LIT("a b")};
    uint16_t numbers[4];
    assert_int_equal(series_tags_put_many(tags, names, 4, numbers), ERR_INVALID);
    assert_int_equal(series_tags_count(tags), 2);
    uint64_t calls = sim.calls;
    assert_int_equal(series_tags_put_many(tags, names, 3, numbers), 0);
    assert_int_equal((int)(sim.calls - calls), 2); /* one write, one sync */
    assert_true(numbers[0] == numbers[2] && numbers[0] != numbers[1]);
    series_tags_close(&tags);
    io_sim_deinit(&sim);
}

static void the_bound_of_tags_is_kept(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct series_tags *tags = open_tags(&sim);
    struct span *names = mem_alloc_array(SERIES_TAGS_MAX, sizeof(*names));
    uint16_t *numbers = mem_alloc_array(SERIES_TAGS_MAX, sizeof(*numbers));
    char *texts = mem_alloc_array(SERIES_TAGS_MAX, 8);
    for (size_t i = 0; i < SERIES_TAGS_MAX; i++) {
        snprintf(texts + 8 * i, 8, "t%zu", i);
        names[i] = span_of_str(texts + 8 * i);
    }
    size_t free_numbers = SERIES_TAGS_MAX - 1; /* 1 to 65534 */
    assert_int_equal(series_tags_put_many(tags, names, free_numbers, numbers), 0);
    assert_int_equal(numbers[free_numbers - 1], 65534);
    assert_int_equal(series_tags_put(tags, names[free_numbers], numbers), ERR_TOO_LARGE);
    assert_non_null(strstr(err_text(), "too many tags"));
    series_tags_close(&tags);
    mem_free(names);
    mem_free(numbers);
    mem_free(texts);
    io_sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_two_fixed_tags_are_always_there),
        cmocka_unit_test(names_follow_the_rules),
        cmocka_unit_test(a_number_given_is_kept_for_ever),
        cmocka_unit_test(a_damaged_line_costs_one_name),
        cmocka_unit_test(all_or_none_of_many_names_are_made),
        cmocka_unit_test(the_bound_of_tags_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
