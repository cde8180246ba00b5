/* What is claimed: the framing is that of the captured streams; damage is found, never passed on.
 */
#include "ingest/snappy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"

static void crc32c_has_its_published_check_value(void **state)
{
    (void)state;
    assert_int_equal(ingest_crc32c(SPAN_LIT("123456789")), 0xE3069283);
    assert_int_equal(ingest_crc32c(SPAN_NONE), 0);
}

/* FORCE_ACK and PONG as a real client and server framed them. */
static void captured_streams_are_read_and_written(void **state)
{
    (void)state;
    struct buf framed = {0};
    struct buf plain = {0};
    assert_true(text_unhex(
        &framed, SPAN_LIT("ff060000734e6150705901080000900e813a5073df1a0108000048d12b4f08007788")));
    struct ingest_snappy_reader reader = {0};
    assert_int_equal(ingest_snappy_read(&reader, buf_span(&framed), &plain), 0);
    assert_true(ingest_snappy_at_boundary(&reader));
    struct buf hex = {0};
    text_hex(&hex, buf_span(&plain));
    assert_string_equal(buf_str(&hex), "5073df1a08007788");

    struct ingest_snappy_writer writer = {0};
    struct buf out = {0};
    ingest_snappy_write(&writer, SPAN_LIT("\x50\x73\xdf\x1a"), &out);
    ingest_snappy_write(&writer, SPAN_LIT("\x08\x00\x77\x88"), &out);
    assert_true(span_equal(buf_span(&out), buf_span(&framed)));
    ingest_snappy_reader_deinit(&reader);
    buf_deinit(&framed);
    buf_deinit(&plain);
    buf_deinit(&hex);
    buf_deinit(&out);
}

/* 300 KB, half of it repetitive, fed in pieces of every odd size. */
static void any_bytes_survive_any_cutting(void **state)
{
    (void)state;
    struct buf plain = {0};
    uint32_t seed = 1;
    for (size_t i = 0; i < 300000; i++) {
        seed = seed * 1664525 + 1013904223;
        buf_append_byte(&plain, i % 100000 < 50000 ? (uint8_t)(seed >> 24) : (uint8_t)(i % 7));
    }
    struct ingest_snappy_writer writer = {0};
    struct buf framed = {0};
    ingest_snappy_write(&writer, buf_span(&plain), &framed);
    assert_true(framed.bytes < plain.bytes);

    for (size_t piece = 1; piece < 9000; piece = piece * 3 + 2) {
        struct ingest_snappy_reader reader = {0};
        struct buf back = {0};
        for (size_t at = 0; at < framed.bytes; at += piece) {
            struct span next = span_first(span_from(buf_span(&framed), at), piece);
            assert_int_equal(ingest_snappy_read(&reader, next, &back), 0);
        }
        assert_true(span_equal(buf_span(&back), buf_span(&plain)));
        ingest_snappy_reader_deinit(&reader);
        buf_deinit(&back);
    }
    buf_deinit(&plain);
    buf_deinit(&framed);
}

static void check_refused(const char *hex, const char *why)
{
    struct buf framed = {0};
    struct buf plain = {0};
    struct ingest_snappy_reader reader = {0};
    assert_true(text_unhex(&framed, span_of_str(hex)));
    assert_int_equal(ingest_snappy_read(&reader, buf_span(&framed), &plain), ERR_PROTOCOL);
    assert_non_null(strstr(err_text(), why));
    assert_int_equal(plain.bytes, 0);
    ingest_snappy_reader_deinit(&reader);
    buf_deinit(&framed);
    buf_deinit(&plain);
}

static void damage_is_a_fault_that_says_what_it_is(void **state)
{
    (void)state;
    check_refused("01080000900e813a5073df1a", "identifier");
    check_refused("ff060000734e61507058", "identifier");
    check_refused("ff060000734e6150705901080000900e813a5073df1b", "checksum");
    check_refused("ff060000734e6150705902080000900e813a5073df1a", "chunk type");
    check_refused("ff060000734e6150705901ffffff", "bytes");
    check_refused("ff060000734e6150705900080000900e813affffffff", "length");
}

static void skippable_chunks_are_skipped(void **state)
{
    (void)state;
    struct buf framed = {0};
    struct buf plain = {0};
    struct ingest_snappy_reader reader = {0};
    assert_true(text_unhex(&framed, SPAN_LIT("ff060000734e61507059fe0300000102038000000001080000"
                                             "900e813a5073df1a")));
    assert_int_equal(ingest_snappy_read(&reader, buf_span(&framed), &plain), 0);
    assert_int_equal(plain.bytes, 4);
    ingest_snappy_reader_deinit(&reader);
    buf_deinit(&framed);
    buf_deinit(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_has_its_published_check_value),
        cmocka_unit_test(captured_streams_are_read_and_written),
        cmocka_unit_test(any_bytes_survive_any_cutting),
        cmocka_unit_test(damage_is_a_fault_that_says_what_it_is),
        cmocka_unit_test(skippable_chunks_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
