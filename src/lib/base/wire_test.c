/*
 * Claims: what was put is got back, the bytes on the wire never change (golden), a message cut
 * anywhere or with a wrong length is a fault and never read past, and the first error sticks.
 */
#include "base/wire.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"

static const uint64_t numbers[] = {0,     1,          127,        128,        16383,
                                   16384, 0xffffffff, 1ull << 56, 1ull << 63, UINT64_MAX};

static void put_everything(struct buf *buf)
{
    wire_put_u8(buf, 0x12);
    wire_put_u16(buf, 0x3456);
    wire_put_u32(buf, 0x789abcde);
    wire_put_u64(buf, 0x1122334455667788);
    wire_put_i64(buf, -2);
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        wire_put_varint(buf, numbers[i]);
        wire_put_svarint(buf, (int64_t)numbers[i]);
    }
    wire_put_bytes(buf, SPAN_LIT("payload"));
}

static int get_everything(struct span span)
{
    struct wire_reader r = wire_reader_of(span);
    bool same = wire_get_u8(&r) == 0x12;
    same = wire_get_u16(&r) == 0x3456 && same;
    same = wire_get_u32(&r) == 0x789abcde && same;
    same = wire_get_u64(&r) == 0x1122334455667788 && same;
    same = wire_get_i64(&r) == -2 && same;
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        same = wire_get_varint(&r) == numbers[i] && same;
        same = wire_get_svarint(&r) == (int64_t)numbers[i] && same;
    }
    same = span_equal_str(wire_get_bytes(&r, 100), "payload") && same;
    int rc = wire_finish(&r);
    assert_true(rc < 0 || same);
    return rc;
}

static void what_was_put_is_got_back(void **state)
{
    (void)state;
    struct buf buf = {0};
    put_everything(&buf);
    assert_int_equal(get_everything(buf_span(&buf)), 0);
    buf_deinit(&buf);
}

static void a_message_cut_anywhere_is_a_fault(void **state)
{
    (void)state;
    struct buf buf = {0};
    put_everything(&buf);
    for (size_t bytes = 0; bytes < buf.bytes; bytes++) {
        uint8_t *exact = mem_dup(buf.data, bytes); /* so that the sanitizer sees one byte too far */
        assert_int_equal(get_everything(span_of(exact, bytes)), ERR_PROTOCOL);
        mem_free(exact);
    }
    buf_append_byte(&buf, 0);
    assert_int_equal(get_everything(buf_span(&buf)), ERR_PROTOCOL);
    buf_deinit(&buf);
}

static void bytes_on_the_wire_never_change(void **state)
{
    (void)state;
    struct buf buf = {0};
    wire_put_u16(&buf, 0x0102);
    wire_put_u32(&buf, 0x01020304);
    wire_put_varint(&buf, 300);
    wire_put_svarint(&buf, -1);
    wire_put_bytes(&buf, SPAN_LIT("ab"));
    static const uint8_t golden[] = {2, 1, 4, 3, 2, 1, 0xac, 2, 1, 2, 'a', 'b'};
    assert_int_equal(buf.bytes, sizeof(golden));
    assert_memory_equal(buf.data, golden, sizeof(golden));
    uint8_t fixed[8];
    wire_store_u64(fixed, 0x0102030405060708);
    assert_int_equal(fixed[0], 8);
    assert_int_equal(wire_load_u64(fixed), 0x0102030405060708);
    wire_store_u16(fixed, 0xfffe);
    assert_int_equal(wire_load_u16(fixed), 0xfffe);
    wire_store_u32(fixed, 0xfffefdfc);
    assert_int_equal(wire_load_u32(fixed), 0xfffefdfc);
    buf_deinit(&buf);
}

static void wrong_lengths_are_refused(void **state)
{
    (void)state;
    struct wire_reader r = wire_reader_of(SPAN_LIT("\x05"
                                                   "abc"));
    assert_int_equal(wire_get_bytes(&r, 100).bytes, 0);
    assert_true(r.failed);
    r = wire_reader_of(SPAN_LIT("\x03"
                                "abc"));
    assert_int_equal(wire_get_bytes(&r, 2).bytes, 0);
    assert_true(r.failed);
    assert_int_equal(wire_get_u8(&r), 0); /* sticky */
    assert_int_equal(wire_finish(&r), ERR_PROTOCOL);
    r = wire_reader_of(SPAN_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")); /* 65 bits */
    assert_int_equal(wire_get_varint(&r), 0);
    assert_true(r.failed);
    r = wire_reader_of(SPAN_LIT("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"));
    assert_int_equal(wire_get_varint(&r), 0);
    assert_true(r.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_got_back),
        cmocka_unit_test(a_message_cut_anywhere_is_a_fault),
        cmocka_unit_test(bytes_on_the_wire_never_change),
        cmocka_unit_test(wrong_lengths_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
