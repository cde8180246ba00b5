/*
 * Claims: every listed webserver gets a slot while there is one, keeps it while it is listed, and
 * leaves it late rather than early; no address has two slots, no change is made twice.
 */
#include "loadbalancer/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LINGER 1000
#define DRAIN 500

static struct slots *start(size_t count)
{
    return slots_new(&(struct slots_options){count, LINGER, DRAIN});
}

/* Webservers are letters: 'a' is 10.0.0.97:80. The changes come back as "+1a" (slot 1 filled),
 * "=1a" ready again, "~1a" draining, "-1" emptied. */
static const char *step(struct slots *slots, const char *letters, int64_t now_ms,
                        struct slots_report *ret_report)
{
    static char text[512];
    struct slot_target targets[16] = {0};
    struct slots_list list = {targets, letters == NULL ? 0 : strlen(letters)};
    for (size_t i = 0; i < list.count; i++) {
        (void)snprintf(targets[i].address, sizeof(targets[i].address), "10.0.0.%d", letters[i]);
        targets[i].port = 80;
    }
    size_t count;
    const struct slot_change *changes =
        slots_step(slots, letters == NULL ? NULL : &list, now_ms, &count, ret_report);
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < count; i++) {
        const struct slot *slot = slots_get(slots, changes[i].slot);
        char name = (char)atoi(strrchr(slot->target.address, '.') + 1);
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%c%zu%c", used ? " " : "",
                                 "+=~-"[changes[i].kind], changes[i].slot + 1,
                                 changes[i].kind == SLOT_CHANGE_EMPTY ? '.' : name);
    }
    return text;
}

static void expect(struct slots *slots, const char *letters, int64_t now_ms, const char *changes)
{
    struct slots_report report;
    assert_string_equal(step(slots, letters, now_ms, &report), changes);
    assert_int_equal(report.unplaced, 0);
    assert_int_equal(report.duplicates, 0);
}

static void new_webservers_are_taken_in_at_once(void **state)
{
    (void)state;
    struct slots *slots = start(4);
    expect(slots, "", 0, "");
    expect(slots, "ab", 10, "+1a +2b");
    expect(slots, "ab", 20, "");
    expect(slots, "bac", 30, "+3c");
    assert_int_equal(slots_serving(slots), 3);
    slots_free(&slots);
}

static void who_leaves_the_list_serves_on_then_drains_then_goes(void **state)
{
    (void)state;
    struct slots *slots = start(4);
    expect(slots, "ab", 0, "+1a +2b");
    expect(slots, "a", 100, "");
    expect(slots, NULL, 1099, "");
    assert_int_equal(slots_serving(slots), 2);
    expect(slots, NULL, 1100, "~2b");
    expect(slots, "a", 1200, "");
    expect(slots, "a", 1599, "");
    expect(slots, "a", 1600, "-2.");
    expect(slots, "a", 99999, "");
    slots_free(&slots);
}

static void who_comes_back_gets_its_own_slot(void **state)
{
    (void)state;
    struct slots *slots = start(4);
    expect(slots, "ab", 0, "+1a +2b");
    expect(slots, "b", 100, "");
    expect(slots, "ba", 200, "");
    expect(slots, "b", 300, "");
    expect(slots, "b", 1300, "~1a");
    expect(slots, "ba", 1400, "=1a");
    expect(slots, "b", 1500, "");
    expect(slots, "b", 9000, "-1.");
    expect(slots, "bca", 9001, "+1c +3a");
    slots_free(&slots);
}

static void a_datastore_that_forgot_everybody_takes_nobody_out(void **state)
{
    (void)state;
    struct slots *slots = start(4);
    expect(slots, "abc", 0, "+1a +2b +3c");
    expect(slots, "", 100, "");
    expect(slots, "c", 300, "");
    expect(slots, "cab", 900, "");
    expect(slots, NULL, 100000, "");
    assert_int_equal(slots_serving(slots), 3);
    slots_free(&slots);
}

static void more_webservers_than_slots_are_counted_and_wait(void **state)
{
    (void)state;
    struct slots *slots = start(2);
    struct slots_report report;
    assert_string_equal(step(slots, "abcd", 0, &report), "+1a +2b");
    assert_int_equal(report.unplaced, 2);
    assert_string_equal(step(slots, NULL, 5, &report), "");
    assert_int_equal(report.unplaced, 2);
    /* One that is gone makes room at once: it is dead or leaving, the waiting one is alive. */
    assert_string_equal(step(slots, "dcb", 10, &report), "-1. +1d");
    assert_int_equal(report.unplaced, 1);
    slots_free(&slots);
}

static void the_longest_gone_makes_room_first(void **state)
{
    (void)state;
    struct slots *slots = start(3);
    expect(slots, "abc", 0, "+1a +2b +3c");
    expect(slots, "ac", 10, "");
    expect(slots, "c", 20, "");
    expect(slots, "cd", 30, "-2. +2d");
    expect(slots, "cde", 40, "-1. +1e");
    slots_free(&slots);
}

static void one_address_has_one_slot(void **state)
{
    (void)state;
    struct slots *slots = start(4);
    struct slots_report report;
    assert_string_equal(step(slots, "aab", 0, &report), "+1a +2b");
    assert_int_equal(report.duplicates, 1);
    assert_string_equal(step(slots, "baa", 1, &report), "");
    assert_int_equal(report.duplicates, 1);
    assert_string_equal(step(slots, "ab", 2, &report), "");
    assert_int_equal(report.duplicates, 0);
    slots_free(&slots);
}

/* Random lists: what the changes build up is what slots_get() says, and it is right. */
static void any_sequence_of_lists_keeps_the_promises(void **state)
{
    (void)state;
    unsigned seed = 1;
    for (int run = 0; run < 200; run++) {
        struct slots *slots = start(3);
        for (int64_t now = 0; now < 20000; now += 1 + rand_r(&seed) % 700) {
            char letters[6];
            size_t count = (size_t)rand_r(&seed) % 5;
            for (size_t i = 0; i < count; i++) {
                letters[i] = (char)('a' + rand_r(&seed) % 5);
            }
            letters[count] = 0;
            struct slots_report report;
            (void)step(slots, rand_r(&seed) % 4 == 0 ? NULL : letters, now, &report);
            size_t listed = 0;
            for (size_t i = 0; i < slots_count(slots); i++) {
                const struct slot *slot = slots_get(slots, i);
                listed += slot->listed;
                assert_true(!slot->listed || slot->state == SLOT_READY);
                for (size_t k = 0; k < i && slot->state != SLOT_FREE; k++) {
                    const struct slot *other = slots_get(slots, k);
                    assert_true(other->state == SLOT_FREE ||
                                strcmp(other->target.address, slot->target.address) != 0);
                }
            }
            assert_true(report.unplaced == 0 || listed == slots_count(slots));
        }
        slots_free(&slots);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_webservers_are_taken_in_at_once),
        cmocka_unit_test(who_leaves_the_list_serves_on_then_drains_then_goes),
        cmocka_unit_test(who_comes_back_gets_its_own_slot),
        cmocka_unit_test(a_datastore_that_forgot_everybody_takes_nobody_out),
        cmocka_unit_test(more_webservers_than_slots_are_counted_and_wait),
        cmocka_unit_test(the_longest_gone_makes_room_first),
        cmocka_unit_test(one_address_has_one_slot),
        cmocka_unit_test(any_sequence_of_lists_keeps_the_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
