/*
 * The datalog header: every worked example of the reference, byte for byte, sealed and not; and
 * that no bytes of a stranger are taken for one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"
#include "base/time.h"
#include "warp10/header.h"
#include "warp10/keywrap.h"
#include "warp10/opb64.h"
#include "warp10/thrift.h"

#define UPDATE_LINE "4iXlnUzdzj6dBGV7JL4sLZx7R4RN0_KFG34JGGV4Kp88K3JN323rDIJmBINpDIJkB23sCIZX.."
#define META_LINE "4eALhPjezj6dBGV7JL4sLZx7R4RN03p4K33N0KSHHKG4BV."

static struct arena *arena;

static int make_arena(void **state)
{
    (void)state;
    arena = arena_new(8 << 20);
    return 0;
}

static int drop_arena(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static struct span key_of(size_t bytes)
{
    static uint8_t key[32];
    for (uint8_t i = 0; i < sizeof(key); i++) {
        key[i] = i;
    }
    return span_of(key, bytes);
}

static const struct warp10_datalog update = {
    .time_ns = INT64_C(1795216595001912436),
    .id = {(const uint8_t *)"node-a", 6},
    .action = WARP10_UPDATE,
    .token = {(const uint8_t *)"WRITE", 5},
    .now = {(const uint8_t *)"1795216595001859", 16},
};

static void check_text(const struct warp10_datalog *datalog, struct span psk, const char *expected)
{
    struct buf buf = {0};
    assert_int_equal(warp10_datalog_encode(&buf, datalog, psk), 0);
    assert_string_equal(buf_str(&buf), expected);
    buf_deinit(&buf);
}

static void opb64_is_that_of_the_reference_and_sorts_like_the_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *hex, *text;
    } cases[] = {{"6e6f64652d61", "QaxZOHpW"},
                 {"0000000000000001", "..........3"},
                 {"0000000000000002", "..........7"},
                 {"0000000000000003", "..........B"},
                 {"", ""}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf bytes = {0};
        struct buf text = {0};
        struct buf back = {0};
        assert_true(text_unhex(&bytes, span_of_str(cases[i].hex)));
        opb64_encode(&text, buf_span(&bytes));
        assert_string_equal(buf_str(&text), cases[i].text);
        assert_true(opb64_decode(&back, buf_span(&text)));
        assert_true(span_equal(buf_span(&back), buf_span(&bytes)));
        buf_deinit(&bytes);
        buf_deinit(&text);
        buf_deinit(&back);
    }
    struct buf none = {0};
    assert_false(opb64_decode(&none, SPAN_LIT("Qax+")));
    assert_false(opb64_decode(&none, SPAN_LIT("QaxZO")));
    assert_int_equal(none.bytes, 0);
    buf_deinit(&none);
}

static void the_header_of_an_update_is_that_of_the_reference(void **state)
{
    (void)state;
    struct warp10_datalog back;
    check_text(&update, SPAN_NONE, UPDATE_LINE);
    assert_int_equal(warp10_datalog_decode(arena, SPAN_LIT("#" UPDATE_LINE "\n"), SPAN_NONE, &back),
                     0);
    assert_int_equal(back.time_ns, update.time_ns);
    assert_true(span_equal_str(back.id, "node-a"));
    assert_int_equal(back.action, WARP10_UPDATE);
    assert_true(span_equal_str(back.token, "WRITE"));
    assert_true(span_equal_str(back.now, "1795216595001859"));
    assert_false(back.delta);
    assert_int_equal(back.query.bytes, 0);
    assert_int_equal(back.option_count, 0);
}

static void sealed_headers_are_those_of_the_reference(void **state)
{
    (void)state;
    static const char *const sealed[] = {
        [0] = "AIqA5K.i1iVzcK2Re3czFkjP.BoQ0QM_GU3DIc.7YqANumgeIDPrz5_gEoNnAI3gMRHH9WgmXNpq3T7s"
              "pF59hk",
        [1] = "gGKO1MPxkw50bmit5ZyWAEp8ByhnDgcVoUuEUHu2j4vw51fU9m8cYMel_Fy3QVwnrtMQ0o0ITJERoXOy"
              "zejRSV"};
    for (size_t i = 0; i < 2; i++) {
        struct warp10_datalog back;
        struct span key = key_of(16 * (i + 1));
        check_text(&update, key, sealed[i]);
        assert_int_equal(warp10_datalog_decode(arena, span_of_str(sealed[i]), key, &back), 0);
        assert_int_equal(back.time_ns, update.time_ns);
        /* Another key, no key, a key for a plain header: none of them is believed. */
        assert_int_equal(warp10_datalog_decode(arena, span_of_str(sealed[i]), key_of(24), &back),
                         ERR_PROTOCOL);
        assert_int_equal(warp10_datalog_decode(arena, span_of_str(sealed[i]), SPAN_NONE, &back),
                         ERR_PROTOCOL);
        assert_int_equal(warp10_datalog_decode(arena, SPAN_LIT(UPDATE_LINE), key, &back),
                         ERR_PROTOCOL);
    }
}

static void meta_and_delete_are_those_of_the_reference(void **state)
{
    (void)state;
    struct warp10_datalog back;
    assert_int_equal(warp10_datalog_decode(arena, SPAN_LIT(META_LINE), SPAN_NONE, &back), 0);
    assert_int_equal(back.action, WARP10_META);
    assert_int_equal(back.now.bytes, 0);
    check_text(&back, SPAN_NONE, META_LINE);

    const char *query = "selector=demo.door{room=hall}&start=1700000000000000"
                        "&end=1700000000000000&x=%7B%20+";
    struct buf bytes = {0};
    struct buf text = {0};
    assert_true(text_unhex(&bytes, SPAN_LIT("16d486a4b6eafef1e931")));
    buf_append_str(&bytes, "\x18\x08QaxZOHpW\x18\x06"
                           "DELETE\x18\x05WRITE\x28\x53");
    buf_append_str(&bytes, query);
    buf_append_byte(&bytes, 0);
    opb64_encode(&text, buf_span(&bytes));
    assert_int_equal(warp10_datalog_decode(arena, buf_span(&text), SPAN_NONE, &back), 0);
    assert_int_equal(back.action, WARP10_DELETE);
    assert_true(span_equal_str(back.query, query));
    check_text(&back, SPAN_NONE, buf_str(&text));
    buf_deinit(&bytes);
    buf_deinit(&text);
}

static void options_and_unknown_fields_are_read(void **state)
{
    (void)state;
    struct warp10_datalog back;
    struct buf bytes = {0};
    struct buf text = {0};
    /* The constructed example of the reference: a true flag and a map. */
    buf_append(&bytes, SPAN_LIT("\x16\x02\x18\x02"
                                "NF\x18\x06UPDATE\x18\x01W\x18\x01"
                                "5\x21\x1b\x01\x88\x0d"
                                "accel.nocache\x04true"));
    size_t before = bytes.bytes;
    buf_append_byte(&bytes, 0);
    opb64_encode(&text, buf_span(&bytes));
    assert_int_equal(warp10_datalog_decode(arena, buf_span(&text), SPAN_NONE, &back), 0);
    assert_int_equal(back.time_ns, 1);
    assert_true(span_equal_str(back.id, "a"));
    assert_true(back.delta);
    assert_int_equal(back.option_count, 1);
    assert_true(span_equal_str(back.options[0].name, "accel.nocache"));
    assert_true(span_equal_str(back.options[0].value, "true"));
    check_text(&back, SPAN_NONE, buf_str(&text));

    /* A newer node: a list of structs in field 9, a double, a far field. */
    bytes.bytes = before;
    buf_append(&bytes, SPAN_LIT("\x19\x2c\x12\x00\x16\x7e\x00\x17........\x08\xd0\x0f\x02hi"));
    buf_append_byte(&bytes, 0);
    buf_clear(&text);
    opb64_encode(&text, buf_span(&bytes));
    assert_int_equal(warp10_datalog_decode(arena, buf_span(&text), SPAN_NONE, &back), 0);
    assert_true(back.delta);
    buf_deinit(&bytes);
    buf_deinit(&text);
}

/* Each prefix and each changed byte: refused, or at least read without harm. */
static void what_is_cut_or_changed_is_refused(void **state)
{
    (void)state;
    struct warp10_datalog back;
    struct buf sealed = {0};
    assert_int_equal(warp10_datalog_encode(&sealed, &update, key_of(32)), 0);
    for (size_t i = 0; i < sealed.bytes; i++) {
        assert_int_equal(warp10_datalog_decode(arena, span_of(sealed.data, i), key_of(32), &back),
                         ERR_PROTOCOL);
        uint8_t was = sealed.data[i];
        sealed.data[i] = was == '.' ? '0' : '.';
        assert_int_equal(warp10_datalog_decode(arena, buf_span(&sealed), key_of(32), &back),
                         ERR_PROTOCOL);
        sealed.data[i] = was;
    }
    struct span plain = SPAN_LIT(UPDATE_LINE);
    for (size_t i = 0; i + 3 < plain.bytes; i++) {
        assert_int_equal(warp10_datalog_decode(arena, span_first(plain, i), SPAN_NONE, &back),
                         ERR_PROTOCOL);
    }
    buf_deinit(&sealed);
}

static void a_key_of_another_length_is_refused(void **state)
{
    (void)state;
    struct buf buf = {0};
    assert_int_equal(keywrap_seal(&buf, key_of(17), SPAN_LIT("x")), ERR_INVALID);
    assert_int_equal(buf.bytes, 0);
}

static void file_names_are_those_of_the_reference(void **state)
{
    (void)state;
    struct buf name = {0};
    int64_t time_ns;
    struct span id;
    uint64_t number;
    warp10_file_name(&name, update.time_ns, update.id, 1);
    assert_string_equal(buf_str(&name),
                        "18e9e3fb4ff9ac74-QaxZOHpW-20261120T231635.001912436Z-..........3.datalog");
    assert_true(warp10_file_name_parse(arena, buf_span(&name), &time_ns, &id, &number));
    assert_int_equal(time_ns, update.time_ns);
    assert_true(span_equal_str(id, "node-a"));
    assert_int_equal(number, 1);

    /* Before 2.7.4 there was no number. */
    assert_true(warp10_file_name_parse(
        arena, SPAN_LIT("18e9e3fb4ff9ac74-QaxZOHpW-20261120T231635.001912436Z.datalog"), &time_ns,
        &id, &number));
    assert_int_equal(number, 0);
    static const char *const others[] = {"junk.datalog",
                                         "",
                                         ".datalog",
                                         "18e9e3fb4ff9ac74-QaxZOHpW-x-..........3",
                                         "18e9e3fb4ff9ac7g-QaxZOHpW-x-..........3.datalog",
                                         "18e9e3fb4ff9ac74-Qax+OHpW-x-..........3.datalog",
                                         "18e9e3fb4ff9ac74-QaxZOHpW-x-..........3-y.datalog"};
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        assert_false(warp10_file_name_parse(arena, span_of_str(others[i]), &time_ns, &id, &number));
    }
    buf_deinit(&name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opb64_is_that_of_the_reference_and_sorts_like_the_bytes),
        cmocka_unit_test(the_header_of_an_update_is_that_of_the_reference),
        cmocka_unit_test(sealed_headers_are_those_of_the_reference),
        cmocka_unit_test(meta_and_delete_are_those_of_the_reference),
        cmocka_unit_test(options_and_unknown_fields_are_read),
        cmocka_unit_test(what_is_cut_or_changed_is_refused),
        cmocka_unit_test(a_key_of_another_length_is_refused),
        cmocka_unit_test(file_names_are_those_of_the_reference),
    };
    return cmocka_run_group_tests(tests, make_arena, drop_arena);
}
