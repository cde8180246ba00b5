/* Two nodes that know one secret come together; all others are told why not, and no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/err.h"
#include "replicate/greeting.h"

static const uint8_t random_a[REPLICATE_NONCE_BYTES] = {1, 2, 3};
static const uint8_t random_b[REPLICATE_NONCE_BYTES] = {4, 5, 6};

struct side {
    struct replicate_self self;
    struct replicate_places places;
    struct replicate_members members;
    struct replicate_greeting greeting;
    struct replicate_message heard;
    struct buf scratch;
    struct buf said;
};

static void side_init(struct side *side, uint8_t node, const char *secret)
{
    *side = (struct side){0};
    side->self.secret = span_of_str(secret);
    side->self.origin.node.bytes[0] = node;
    side->self.origin.incarnation = 1;
    side->self.places = &side->places;
    side->self.members = &side->members;
    replicate_places_raise(&side->places, (struct replicate_place){side->self.origin, 10, 100});
}

static void side_deinit(struct side *side)
{
    replicate_places_deinit(&side->places);
    replicate_message_deinit(&side->heard);
    buf_deinit(&side->scratch);
    buf_deinit(&side->said);
}

static void hear(struct side *side, struct side *other)
{
    size_t bytes;
    assert_int_equal(replicate_message_read(buf_span(&other->said), REPLICATE_GREETING_BYTES_MAX,
                                            &side->scratch, &side->heard, &bytes),
                     0);
    buf_consume(&other->said, bytes);
}

/* Up to the target's judgement. */
static int say_hello(struct side *forwarder, struct side *target)
{
    replicate_challenge(&target->greeting, random_a, &target->said);
    hear(forwarder, target);
    assert_int_equal(replicate_hello(&forwarder->greeting, &forwarder->heard, &forwarder->self,
                                     span_of_str("east"), random_b, &forwarder->said),
                     0);
    hear(target, forwarder);
    return replicate_check_hello(&target->greeting, &target->heard, &target->self);
}

static void who_knows_the_secret_is_let_in_and_hears_what_the_other_holds(void **state)
{
    (void)state;
    struct side forwarder;
    struct side target;
    side_init(&forwarder, 1, "secret");
    side_init(&target, 2, "secret");
    assert_int_equal(say_hello(&forwarder, &target), 0);
    assert_true(span_equal(target.heard.name, span_of_str("east")));
    assert_true(replicate_places_cover(&target.heard.places, &forwarder.places));
    replicate_welcome(&target.greeting, &target.heard, &target.self, &target.said);
    hear(&forwarder, &target);
    assert_int_equal(
        replicate_check_welcome(&forwarder.greeting, &forwarder.heard, &forwarder.self), 0);
    assert_true(replicate_places_cover(&forwarder.heard.places, &target.places));
    assert_int_equal(forwarder.heard.origin.incarnation, 1);
    side_deinit(&forwarder);
    side_deinit(&target);
}

static void who_does_not_know_it_is_refused_on_either_side(void **state)
{
    (void)state;
    struct side forwarder;
    struct side target;
    side_init(&forwarder, 1, "secret");
    side_init(&target, 2, "another");
    assert_int_equal(say_hello(&forwarder, &target), ERR_AUTH);
    replicate_refuse(&target.said, ERR_AUTH);
    hear(&forwarder, &target);
    assert_int_equal(
        replicate_check_welcome(&forwarder.greeting, &forwarder.heard, &forwarder.self),
        ERR_DENIED);
    assert_non_null(strstr(err_text(), "another secret"));
    /* A target that welcomes everybody is no target of ours. */
    replicate_welcome(&target.greeting, &target.heard, &target.self, &target.said);
    hear(&forwarder, &target);
    assert_int_equal(
        replicate_check_welcome(&forwarder.greeting, &forwarder.heard, &forwarder.self), ERR_AUTH);
    side_deinit(&forwarder);
    side_deinit(&target);
}

static void a_hello_heard_before_is_worth_nothing(void **state)
{
    (void)state;
    struct side forwarder;
    struct side target;
    side_init(&forwarder, 1, "secret");
    side_init(&target, 2, "secret");
    assert_int_equal(say_hello(&forwarder, &target), 0);
    struct replicate_greeting later;
    replicate_challenge(&later, random_b, &target.said);
    assert_int_equal(replicate_check_hello(&later, &target.heard, &target.self), ERR_AUTH);
    side_deinit(&forwarder);
    side_deinit(&target);
}

static void two_nodes_with_one_id_are_named(void **state)
{
    (void)state;
    struct side forwarder;
    struct side target;
    side_init(&forwarder, 1, "secret");
    side_init(&target, 1, "secret");
    assert_int_equal(say_hello(&forwarder, &target), ERR_CONFLICT);
    assert_non_null(strstr(err_text(), "01000000-0000-0000-0000-000000000000"));
    side_deinit(&forwarder);
    side_deinit(&target);
}

static void another_protocol_is_named(void **state)
{
    (void)state;
    struct side forwarder;
    side_init(&forwarder, 1, "secret");
    struct replicate_message challenge = {.type = REPLICATE_CHALLENGE, .protocol = 9};
    assert_int_equal(replicate_hello(&forwarder.greeting, &challenge, &forwarder.self,
                                     span_of_str("x"), random_b, &forwarder.said),
                     ERR_UNSUPPORTED);
    challenge.type = REPLICATE_ACK;
    assert_int_equal(replicate_hello(&forwarder.greeting, &challenge, &forwarder.self,
                                     span_of_str("x"), random_b, &forwarder.said),
                     ERR_PROTOCOL);
    side_deinit(&forwarder);
}

static void who_holds_more_of_ours_than_we_tells_us_that_we_are_an_older_copy(void **state)
{
    (void)state;
    struct side us;
    struct side them;
    side_init(&us, 1, "secret");
    side_init(&them, 2, "secret");
    replicate_places_raise(&them.places, (struct replicate_place){us.self.origin, 10, 100});
    assert_false(replicate_is_behind(&us.self, &them.places));
    replicate_places_raise(&them.places, (struct replicate_place){us.self.origin, 11, 101});
    assert_true(replicate_is_behind(&us.self, &them.places));
    side_deinit(&us);
    side_deinit(&them);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_knows_the_secret_is_let_in_and_hears_what_the_other_holds),
        cmocka_unit_test(who_does_not_know_it_is_refused_on_either_side),
        cmocka_unit_test(a_hello_heard_before_is_worth_nothing),
        cmocka_unit_test(two_nodes_with_one_id_are_named),
        cmocka_unit_test(another_protocol_is_named),
        cmocka_unit_test(who_holds_more_of_ours_than_we_tells_us_that_we_are_an_older_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
