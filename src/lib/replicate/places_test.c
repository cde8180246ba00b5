/* Places say what a node holds, and go over the wire unchanged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/err.h"
#include "replicate/places.h"

static struct replicate_place place(uint8_t node, uint64_t incarnation, uint64_t position)
{
    struct replicate_place place = {.position = position, .time = position * 10};
    place.origin.node.bytes[0] = node;
    place.origin.incarnation = incarnation;
    return place;
}

static void a_place_only_moves_forward(void **state)
{
    (void)state;
    struct replicate_places places = {0};
    replicate_places_raise(&places, place(2, 1, 5));
    replicate_places_raise(&places, place(1, 9, 7));
    replicate_places_raise(&places, place(2, 1, 4));
    assert_int_equal(replicate_places_of(&places, place(2, 1, 0).origin).position, 5);
    assert_int_equal(replicate_places_of(&places, place(2, 1, 0).origin).time, 50);
    assert_int_equal(replicate_places_of(&places, place(2, 2, 0).origin).position, 0);
    assert_int_equal(places.all.count, 2);
    assert_int_equal(places.all.items[0].origin.node.bytes[0], 1);
    replicate_places_deinit(&places);
}

static void all_lives_of_a_node_can_be_left_out(void **state)
{
    (void)state;
    struct replicate_places places = {0};
    struct uuid nodes[2] = {{{2}}, {{9}}};
    replicate_places_raise(&places, place(1, 1, 5));
    replicate_places_raise(&places, place(2, 1, 5));
    replicate_places_raise(&places, place(2, 7, 5));
    replicate_places_raise(&places, place(3, 1, 5));
    replicate_places_without(&places, nodes, 2);
    assert_int_equal(places.all.count, 2);
    assert_int_equal(places.all.items[1].origin.node.bytes[0], 3);
    replicate_places_deinit(&places);
}

static void who_lacks_one_record_of_one_origin_does_not_cover(void **state)
{
    (void)state;
    struct replicate_places a = {0};
    struct replicate_places b = {0};
    replicate_places_raise(&a, place(1, 1, 5));
    replicate_places_raise(&a, place(2, 1, 5));
    replicate_places_raise(&b, place(1, 1, 5));
    assert_true(replicate_places_cover(&a, &b));
    assert_false(replicate_places_cover(&b, &a));
    replicate_places_raise(&b, place(2, 1, 4));
    assert_false(replicate_places_cover(&b, &a));
    replicate_places_raise_all(&b, &a);
    assert_true(replicate_places_cover(&b, &a));
    replicate_places_deinit(&a);
    replicate_places_deinit(&b);
}

static void the_wire_carries_them_unchanged(void **state)
{
    (void)state;
    struct replicate_places places = {0};
    struct replicate_places read = {0};
    struct buf buf = {0};
    for (uint64_t i = 1; i <= 100; i++) {
        replicate_places_raise(&places, place((uint8_t)(i * 37), i, i));
    }
    replicate_places_write(&buf, &places);
    struct wire_reader reader = wire_reader_of(buf_span(&buf));
    assert_int_equal(replicate_places_read(&reader, &read), 0);
    assert_int_equal(wire_finish(&reader), 0);
    assert_true(replicate_places_cover(&places, &read) && replicate_places_cover(&read, &places));
    for (size_t bytes = 0; bytes < buf.bytes; bytes++) {
        reader = wire_reader_of(span_of(buf.data, bytes));
        assert_int_equal(replicate_places_read(&reader, &read), ERR_PROTOCOL);
    }
    replicate_places_deinit(&places);
    replicate_places_deinit(&read);
    buf_deinit(&buf);
}

static void what_is_out_of_order_is_refused(void **state)
{
    (void)state;
    struct replicate_places places = {0};
    struct buf buf = {0};
    replicate_places_raise(&places, place(1, 1, 1));
    replicate_places_raise(&places, place(2, 1, 1));
    replicate_places_write(&buf, &places);
    buf.data[4] = 3;
    struct wire_reader reader = wire_reader_of(buf_span(&buf));
    assert_int_equal(replicate_places_read(&reader, &places), ERR_PROTOCOL);
    assert_non_null(strstr(err_text(), "out of order at number 1"));
    replicate_places_deinit(&places);
    buf_deinit(&buf);
}

static void an_origin_is_known_in_all_its_forms(void **state)
{
    (void)state;
    struct datalog_origin whole = place(3, 0x123456789abc, 0).origin;
    struct datalog_origin part = replicate_origin_through(whole, 7);
    struct datalog_origin other = replicate_origin_through(whole, 8);
    struct datalog_origin both = replicate_origin_through(part, 8);
    assert_int_equal(replicate_origin_compare(replicate_origin_through(whole, 0), whole), 0);
    assert_int_equal(replicate_origin_compare(replicate_origin_through(part, 7), part), 0);
    assert_true(replicate_origin_is_derived(part) && !replicate_origin_is_derived(whole));
    assert_true(replicate_origin_is_other_form(whole, part));
    assert_true(replicate_origin_is_other_form(part, other));
    assert_true(replicate_origin_is_other_form(part, both));
    assert_false(replicate_origin_is_other_form(part, part));
    assert_false(replicate_origin_is_other_form(whole, place(3, 0x123456789abd, 0).origin));
    assert_false(replicate_origin_is_other_form(part, place(4, 0x123456789abc, 0).origin));
    struct replicate_places places = {0};
    replicate_places_raise(&places, place(2, 0x123456789abc, 5));
    replicate_places_raise(&places, place(3, 0x777, 5));
    assert_false(replicate_places_other_form(&places, part));
    replicate_places_raise(&places, (struct replicate_place){other, 1, 1});
    assert_true(replicate_places_other_form(&places, part));
    assert_true(replicate_places_other_form(&places, whole));
    assert_false(replicate_places_other_form(&places, other));
    replicate_places_deinit(&places);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_origin_is_known_in_all_its_forms),
        cmocka_unit_test(a_place_only_moves_forward),
        cmocka_unit_test(all_lives_of_a_node_can_be_left_out),
        cmocka_unit_test(who_lacks_one_record_of_one_origin_does_not_cover),
        cmocka_unit_test(the_wire_carries_them_unchanged),
        cmocka_unit_test(what_is_out_of_order_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
