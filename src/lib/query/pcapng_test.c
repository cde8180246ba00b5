/* What is written is read by the rules of the format: blocks with their length at both ends, in
 * multiples of four bytes, nanoseconds of the interface's resolution. */
#include "query/pcapng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/wire.h"

struct block {
    uint32_t type;
    struct span body;
};

static bool next_block(struct span *rest, struct block *ret_block)
{
    if (rest->bytes == 0) {
        return false;
    }
    assert_true(rest->bytes >= 12);
    uint32_t bytes = wire_load_u32(rest->data + 4);
    assert_int_equal(bytes % 4, 0);
    assert_true(bytes >= 12 && bytes <= rest->bytes);
    assert_int_equal(wire_load_u32(rest->data + bytes - 4), bytes);
    ret_block->type = wire_load_u32(rest->data);
    ret_block->body = span_of(rest->data + 8, bytes - 12);
    *rest = span_from(*rest, bytes);
    return true;
}

static void packets_are_read_as_they_were_written(void **unused)
{
    (void)unused;
    static const struct {
        int64_t time_ns;
        struct span frame;
    } packets[] = {
        {1767355200123456789, SPAN_LIT("\x01\x02\x03")},
        {1, SPAN_LIT("abcd")},
        {INT64_MAX, SPAN_LIT("")},
    };
    struct buf buf = {0};
    struct block block;
    pcapng_put_head(&buf);
    for (size_t i = 0; i < ARRAY_COUNT(packets); i++) {
        pcapng_put_packet(&buf, packets[i].time_ns, packets[i].frame);
    }
    struct span rest = buf_span(&buf);
    assert_true(next_block(&rest, &block));
    assert_int_equal(block.type, 0x0A0D0D0A);
    assert_int_equal(wire_load_u32(block.body.data), 0x1A2B3C4D);
    assert_true(next_block(&rest, &block));
    assert_int_equal(block.type, 1);
    assert_int_equal(wire_load_u16(block.body.data), 1);      /* Ethernet */
    assert_int_equal(wire_load_u16(block.body.data + 8), 9);  /* if_tsresol */
    assert_int_equal(wire_load_u16(block.body.data + 10), 1); /* its length */
    assert_int_equal(block.body.data[12], 9);
    for (size_t i = 0; i < ARRAY_COUNT(packets); i++) {
        assert_true(next_block(&rest, &block));
        assert_int_equal(block.type, 6);
        uint64_t time_ns =
            (uint64_t)wire_load_u32(block.body.data + 4) << 32 | wire_load_u32(block.body.data + 8);
        assert_int_equal(time_ns, packets[i].time_ns);
        assert_int_equal(wire_load_u32(block.body.data + 12), packets[i].frame.bytes);
        assert_int_equal(wire_load_u32(block.body.data + 16), packets[i].frame.bytes);
        struct span frame = span_first(span_from(block.body, 20), packets[i].frame.bytes);
        assert_true(span_equal(frame, packets[i].frame));
    }
    assert_false(next_block(&rest, &block));
    buf_deinit(&buf);
}

static void a_frame_that_no_reader_takes_is_cut(void **unused)
{
    (void)unused;
    size_t bytes = PCAPNG_PACKET_BYTES_MAX + 5;
    uint8_t *frame = mem_alloc(bytes);
    struct buf buf = {0};
    pcapng_put_packet(&buf, 7, span_of(frame, bytes));
    struct span rest = buf_span(&buf);
    struct block block;
    assert_true(next_block(&rest, &block));
    assert_int_equal(wire_load_u32(block.body.data + 12), PCAPNG_PACKET_BYTES_MAX);
    assert_int_equal(wire_load_u32(block.body.data + 16), bytes);
    buf_deinit(&buf);
    mem_free(frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_read_as_they_were_written),
        cmocka_unit_test(a_frame_that_no_reader_takes_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
