/*
 * Enumerated values: the block of the ingest protocol, rule by rule.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/wire.h"
#include "series/evs.h"

/* The block of the reference's captured entry. */
static const char captured[] = "6000000006000000"
                               "0f00040003000d0075736572626f62"
                               "0e000400020006 00706f7274bb01"
                               "0e00020004000f0069700a000001"
                               "1100010008000c00660000000000000c40"
                               "0b000200010002006f6b01"
                               "110001000800110064"
                               "00046bf414000000";

static void unhex(struct buf *buf)
{
    struct buf hex = {0};
    for (const char *at = captured; *at != 0; at++) {
        if (*at != ' ') {
            buf_append_byte(&hex, (uint8_t)*at);
        }
    }
    assert_true(text_unhex(buf, buf_span(&hex)));
    buf_deinit(&hex);
}

static void the_captured_block_is_read_as_it_was_meant(void **state)
{
    (void)state;
    static const char *const expected[] = {"user=bob", "port=443", "ip=10.0.0.1",
                                           "f=3.5",    "ok=true",  "d=1m30s"};
    struct buf block = {0};
    struct buf text = {0};
    unhex(&block);
    assert_int_equal(series_evs_check(buf_span(&block)), 0);
    size_t cursor = 0;
    struct series_ev ev;
    size_t count = 0;
    while (series_evs_next(buf_span(&block), &cursor, &ev)) {
        buf_clear(&text);
        buf_printf(&text, "%.*s=", SPAN_ARG(ev.name));
        series_ev_text(&text, &ev);
        assert_string_equal(buf_str(&text), expected[count]);
        count++;
    }
    assert_int_equal(count, ARRAY_COUNT(expected));
    assert_true(series_evs_find(buf_span(&block), SPAN_LIT("port"), &ev));
    assert_int_equal(wire_load_u16(ev.data.data), 443);
    assert_false(series_evs_find(buf_span(&block), SPAN_LIT("por"), &ev));
    buf_deinit(&block);
    buf_deinit(&text);
}

static void what_is_built_is_what_was_captured(void **state)
{
    (void)state;
    struct buf expected = {0};
    struct buf built = {0};
    unhex(&expected);
    buf_append_str(&built, "before");
    size_t begin = series_evs_begin(&built);
    size_t cursor = 0;
    struct series_ev ev;
    while (series_evs_next(buf_span(&expected), &cursor, &ev)) {
        assert_int_equal(series_evs_put(&built, begin, ev), 0);
    }
    assert_true(span_equal(span_from(buf_span(&built), begin), buf_span(&expected)));
    buf_deinit(&expected);
    buf_deinit(&built);
}

/* Cut anywhere, lengthened, or with any byte of a header changed so that a rule breaks: refused,
 * and no byte outside is touched (the sanitizer looks on). */
static void a_damaged_block_is_refused(void **state)
{
    (void)state;
    struct buf block = {0};
    unhex(&block);
    for (size_t bytes = 1; bytes < block.bytes; bytes++) {
        uint8_t *copy = mem_dup(block.data, bytes);
        assert_int_equal(series_evs_check(span_of(copy, bytes)), ERR_PROTOCOL);
        mem_free(copy);
    }
    static const size_t places[] = {0, 4, 6, 7, 8, 10, 12, 14, 15, 23 + 4, 37 + 4, 37 + 6};
    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        uint8_t *copy = mem_dup(block.data, block.bytes);
        copy[places[i]] ^= 0x80;
        assert_int_equal(series_evs_check(span_of(copy, block.bytes)), ERR_PROTOCOL);
        mem_free(copy);
    }
    buf_append_byte(&block, 0);
    assert_int_equal(series_evs_check(buf_span(&block)), ERR_PROTOCOL);
    assert_int_equal(series_evs_check(SPAN_NONE), 0);
    buf_deinit(&block);
}

static void each_type_has_its_sizes(void **state)
{
    (void)state;
    static const struct {
        uint8_t type;
        size_t good;
        size_t bad;
    } cases[] = {{1, 0, 64504}, {2, 1, 2},   {3, 1, 0},          {4, 1, 2},  {5, 2, 1},
                 {6, 2, 4},     {7, 4, 8},   {8, 4, 2},          {9, 8, 4},  {10, 8, 0},
                 {11, 4, 8},    {12, 8, 4},  {13, 64503, 64504}, {14, 6, 7}, {14, 20, 22},
                 {15, 4, 8},    {15, 16, 0}, {16, 12, 8},        {17, 8, 12}};
    static const uint8_t data[64504];
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf buf = {0};
        size_t begin = series_evs_begin(&buf);
        struct series_ev ev = {SPAN_LIT("n"), span_of(data, cases[i].bad), cases[i].type};
        assert_int_equal(series_evs_put(&buf, begin, ev), ERR_PROTOCOL);
        ev.data = span_of(data, cases[i].good);
        assert_int_equal(series_evs_put(&buf, begin, ev), 0);
        assert_int_equal(series_evs_check(buf_span(&buf)), 0);
        struct buf text = {0};
        series_ev_text(&text, &ev);
        buf_deinit(&text);
        ev.type = 18;
        assert_int_equal(series_evs_put(&buf, begin, ev), ERR_PROTOCOL);
        ev.type = 13;
        ev.name = SPAN_NONE;
        assert_int_equal(series_evs_put(&buf, begin, ev), ERR_PROTOCOL);
        buf_deinit(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_captured_block_is_read_as_it_was_meant),
        cmocka_unit_test(what_is_built_is_what_was_captured),
        cmocka_unit_test(a_damaged_block_is_refused),
        cmocka_unit_test(each_type_has_its_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
