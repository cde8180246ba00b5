/* Members hear of each other, and the nodes behind a dead one are found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "replicate/members.h"

static struct uuid node(uint8_t number)
{
    return (struct uuid){{number}};
}

static void say(struct replicate_members *members, uint8_t self, const uint8_t *targets,
                uint64_t version)
{
    struct buf list = {0};
    for (; *targets != 0; targets++) {
        char address[32];
        snprintf(address, sizeof(address), "tcp://n%u:9406", *targets);
        struct replicate_target target = {node(*targets), span_of_str(address)};
        replicate_target_put(&list, &target);
    }
    (void)replicate_members_say(members, node(self), 1, buf_span(&list), version);
    buf_deinit(&list);
}

/* `context` is the numbers of the dead, ended by 0. */
static bool is_dead(const void *context, struct uuid who)
{
    return who.bytes[0] != 0 && strchr(context, who.bytes[0]) != NULL;
}

static void check_behind(const struct replicate_members *members, uint8_t dead,
                         const char *all_dead, const char *want)
{
    struct replicate_target targets[REPLICATE_MEMBERS_MAX];
    size_t count = replicate_members_behind(members, node(1), node(dead), is_dead, all_dead,
                                            targets, REPLICATE_MEMBERS_MAX);
    assert_int_equal(count, strlen(want));
    for (size_t i = 0; i < count; i++) {
        char address[32];
        snprintf(address, sizeof(address), "tcp://n%u:9406", (unsigned)(unsigned char)want[i]);
        assert_int_equal(targets[i].node.bytes[0], want[i]);
        assert_true(span_equal(targets[i].address, span_of_str(address)));
    }
}

static void those_behind_a_dead_member_are_found(void **state)
{
    (void)state;
    struct replicate_members members = {0};
    say(&members, 1, (const uint8_t[]){2, 0}, 5);
    say(&members, 2, (const uint8_t[]){1, 3, 0}, 5);
    say(&members, 3, (const uint8_t[]){4, 2, 0}, 5);
    say(&members, 4, (const uint8_t[]){1, 5, 0}, 5);
    check_behind(&members, 2, "\2", "\3");
    check_behind(&members, 2, "\2\3", "\3\4"); /* the dead one is tried all the same */
    check_behind(&members, 2, "\2\3\4", "\3\4\5");
    check_behind(&members, 2, "\2\3\4\5", "\3\4\5"); /* of 5 nobody knows more */
    check_behind(&members, 9, "\11", "");
    say(&members, 1, (const uint8_t[]){2, 3, 0}, 6);
    check_behind(&members, 2, "\2", ""); /* they are targets of its own */
    replicate_members_deinit(&members);
}

static bool learn(struct replicate_members *members, uint8_t self,
                  const struct replicate_members *others)
{
    unsigned contradictions = 0;
    return replicate_members_learn(members, node(self), others, &contradictions);
}

static void the_newer_word_holds(void **state)
{
    (void)state;
    struct replicate_members a = {0};
    struct replicate_members b = {0};
    say(&a, 2, (const uint8_t[]){3, 0}, 10);
    say(&b, 2, (const uint8_t[]){4, 0}, 11);
    assert_true(learn(&a, 1, &b));
    assert_false(learn(&a, 1, &b));
    assert_false(learn(&b, 1, &a));
    check_behind(&a, 2, "\2", "\4");
    say(&a, 2, (const uint8_t[]){4, 0}, 99); /* the same again is no news */
    assert_int_equal(replicate_members_of(&a, node(2))->version, 11);
    replicate_members_deinit(&a);
    replicate_members_deinit(&b);
}

/* A node with a new disk and a clock that is behind hears what it said once, and goes above. */
static void what_was_said_in_an_earlier_life_is_taken_back(void **state)
{
    (void)state;
    struct replicate_members old = {0};
    struct replicate_members self = {0};
    say(&old, 1, (const uint8_t[]){2, 0}, 1000);
    say(&self, 1, (const uint8_t[]){3, 0}, 10);
    assert_true(learn(&self, 1, &old));
    assert_true(learn(&old, 9, &self));
    struct span targets = buf_span(&replicate_members_of(&old, node(1))->targets);
    struct replicate_target target;
    assert_true(replicate_target_next(&targets, &target));
    assert_int_equal(target.node.bytes[0], 3);
    replicate_members_deinit(&old);
    replicate_members_deinit(&self);
}

/* Neither gives way, so both come to know it. */
static void another_node_with_our_id_is_noticed(void **state)
{
    (void)state;
    struct replicate_members a = {0};
    struct replicate_members b = {0};
    unsigned contradictions = 0;
    unsigned others = 0;
    assert_true(replicate_members_say(&a, node(1), 77, SPAN_LIT(""), 5));
    assert_true(replicate_members_say(&b, node(1), 78, SPAN_LIT(""), 6));
    for (uint64_t i = 0; i < 2; i++) { /* one learns its targets, and is heard of by the other */
        (void)replicate_members_learn(&a, node(1), &b, &contradictions);
        assert_true(replicate_members_say(&b, node(1), 78, i == 0 ? SPAN_LIT("1") : SPAN_LIT("2"),
                                          100 + 10 * i));
    }
    for (int i = 0; i < 2 * REPLICATE_CONTRADICTIONS_QUIET; i++) {
        (void)replicate_members_learn(&a, node(1), &b, &contradictions);
        (void)replicate_members_learn(&b, node(1), &a, &others);
    }
    assert_true(contradictions >= REPLICATE_CONTRADICTIONS_MAX);
    assert_true(others >= REPLICATE_CONTRADICTIONS_MAX);
    assert_false(replicate_members_learn(&a, node(1), &b, &contradictions)); /* and it is quiet */
    contradictions = 0; /* an earlier life of ours is heard of once */
    assert_true(replicate_members_say(&a, node(1), 79, SPAN_LIT(""), 1));
    for (int i = 0; i < 5; i++) {
        (void)replicate_members_learn(&a, node(1), &b, &contradictions);
        (void)replicate_members_learn(&b, node(9), &a, &contradictions);
    }
    assert_true(contradictions <= 1);
    replicate_members_deinit(&a);
    replicate_members_deinit(&b);
}

static void there_is_a_bound(void **state)
{
    (void)state;
    struct replicate_members all = {0};
    struct replicate_members one = {0};
    for (int i = 0; i < REPLICATE_MEMBERS_MAX + 5; i++) {
        replicate_members_deinit(&one);
        struct uuid of = {{(uint8_t)i, (uint8_t)(i >> 8), 1}};
        (void)replicate_members_say(&one, of, 1, SPAN_LIT(""), 1);
        (void)learn(&all, 1, &one);
    }
    assert_int_equal(all.all.count, REPLICATE_MEMBERS_MAX);
    replicate_members_deinit(&all);
    replicate_members_deinit(&one);
}

/* Whole they come back; cut anywhere, or with any byte another, they are refused or something else,
 * never read past their end. */
static void they_go_over_the_wire(void **state)
{
    (void)state;
    struct replicate_members members = {0};
    struct replicate_members read = {0};
    struct buf bytes = {0};
    say(&members, 1, (const uint8_t[]){2, 3, 0}, 5);
    say(&members, 2, (const uint8_t[]){0}, 6);
    say(&members, 3, (const uint8_t[]){1, 0}, 7);
    replicate_members_write(&bytes, &members);
    struct wire_reader reader = wire_reader_of(buf_span(&bytes));
    assert_int_equal(replicate_members_read(&reader, &read), 0);
    assert_int_equal(reader.rest.bytes, 0);
    assert_int_equal(read.all.count, 3);
    assert_false(learn(&read, 9, &members));
    for (size_t cut = 0; cut < bytes.bytes; cut++) {
        void *copy = mem_dup(bytes.data, MAX(cut, (size_t)1));
        reader = wire_reader_of(span_of(copy, cut));
        assert_int_equal(replicate_members_read(&reader, &read), ERR_PROTOCOL);
        mem_free(copy);
    }
    for (size_t i = 0; i < bytes.bytes; i++) {
        bytes.data[i] ^= 0x55;
        reader = wire_reader_of(buf_span(&bytes));
        (void)!replicate_members_read(&reader, &read);
        bytes.data[i] ^= 0x55;
    }
    buf_deinit(&bytes);
    replicate_members_deinit(&members);
    replicate_members_deinit(&read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_behind_a_dead_member_are_found),
        cmocka_unit_test(the_newer_word_holds),
        cmocka_unit_test(what_was_said_in_an_earlier_life_is_taken_back),
        cmocka_unit_test(another_node_with_our_id_is_noticed),
        cmocka_unit_test(there_is_a_bound),
        cmocka_unit_test(they_go_over_the_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
