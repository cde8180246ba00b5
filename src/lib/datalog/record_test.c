/*
 * Records as bytes: what was written is read; whatever is damaged is not, and no byte outside is
 * looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/wire.h"
#include "datalog/record.h"

static const struct datalog_record sample = {
    .position = 77,
    .origin_position = 5,
    .time = 123456789,
    .origin = {{{1, 2, 3}}, 99},
    .type = DATALOG_META,
    .well = {(const uint8_t *)"web", 3},
    .payload = {(const uint8_t *)"some payload", 12},
};

static void a_record_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct buf bytes = {0};
    struct datalog_record record;
    uint64_t group = 0;
    size_t length = 0;
    datalog_record_write(&bytes, &sample, 70, 60);
    buf_append_str(&bytes, "what follows");
    assert_int_equal(datalog_record_read(buf_span(&bytes), 60, &record, &group, &length), 0);
    assert_int_equal(length, datalog_record_bytes(sample.well, sample.payload));
    assert_true(record.position == 77 && record.origin_position == 5 && group == 70);
    assert_true(record.time == 123456789 && record.type == DATALOG_META);
    assert_true(record.origin.incarnation == 99 && record.origin.node.bytes[2] == 3);
    assert_true(span_equal(record.well, sample.well));
    assert_true(span_equal(record.payload, sample.payload));
    buf_deinit(&bytes);
}

/* Golden bytes: a log that was written once must open for ever. */
static void the_form_does_not_change(void **state)
{
    (void)state;
    static const uint8_t head[] = {83, 0, 0, 0};
    static const uint8_t tail[] = {
        77, 0, 0, 0, 0,  0, 0, 0, 70, 0, 0, 0, 0, 0, 0, 0, 0x15, 0xcd, 0x5b, 7,   0,  0,
        0,  0, 5, 0, 0,  0, 0, 0, 0,  0, 1, 2, 3, 0, 0, 0, 0,    0,    0,    0,   0,  0,
        0,  0, 0, 0, 99, 0, 0, 0, 0,  0, 0, 0, 2, 0, 3, 0, 'w',  'e',  'b',  's', 'o'};
    struct buf bytes = {0};
    datalog_record_write(&bytes, &sample, 70, 60);
    assert_memory_equal(bytes.data, head, sizeof(head));
    assert_memory_equal(bytes.data + 8, tail, sizeof(tail));
    buf_deinit(&bytes);
}

/* Head and payload one after the other are the record. */
static void a_record_in_two_pieces_is_the_same(void **state)
{
    (void)state;
    struct buf whole = {0};
    struct buf pieces = {0};
    datalog_record_write(&whole, &sample, 70, 60);
    datalog_record_write_head(&pieces, &sample, 70, 60);
    buf_append(&pieces, sample.payload);
    assert_true(span_equal(buf_span(&whole), buf_span(&pieces)));
    buf_deinit(&whole);
    buf_deinit(&pieces);
}

/* Any bit, any cut, another file: not read. A cut says how much is needed. */
static void a_damaged_record_is_not_read(void **state)
{
    (void)state;
    struct buf bytes = {0};
    struct datalog_record record;
    uint64_t group;
    size_t length;
    datalog_record_write(&bytes, &sample, 70, 60);
    for (size_t cut = 0; cut < bytes.bytes; cut++) {
        uint8_t *copy = mem_dup(bytes.data, cut);
        assert_int_equal(datalog_record_read(span_of(copy, cut), 60, &record, &group, &length),
                         DATALOG_RECORD_CUT);
        assert_true(length > cut && length <= bytes.bytes);
        mem_free(copy);
    }
    for (size_t bit = 0; bit < bytes.bytes * 8; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(datalog_record_read(buf_span(&bytes), 60, &record, &group, &length),
                             0);
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(datalog_record_read(buf_span(&bytes), 61, &record, &group, &length),
                     DATALOG_RECORD_BAD);
    buf_deinit(&bytes);
}

static void a_record_is_found_behind_damage(void **state)
{
    (void)state;
    struct buf bytes = {0};
    size_t at = 0;
    for (int i = 0; i < 100; i++) {
        buf_append_byte(&bytes, (uint8_t)(i * 7));
    }
    datalog_record_write(&bytes, &sample, 70, 60);
    assert_true(datalog_record_find(buf_span(&bytes), 0, 60, 70, 80, &at));
    assert_int_equal(at, 100);
    assert_true(datalog_record_find(buf_span(&bytes), 100, 60, 77, 78, &at));
    assert_false(datalog_record_find(buf_span(&bytes), 101, 60, 70, 80, &at));
    assert_false(datalog_record_find(buf_span(&bytes), 0, 60, 78, 80, &at));
    buf_deinit(&bytes);
}

static struct buf make_header(size_t origins)
{
    struct buf rows = {0};
    struct buf bytes = {0};
    for (size_t i = 0; i < origins; i++) {
        struct datalog_origin_position row = {{{{(uint8_t)i, 7}}, i * 3}, 1000 + i, 5 + i};
        datalog_origin_row_write(&rows, &row);
    }
    struct datalog_file_header header = {60, 12, 34, {{{9}}, 8}, buf_span(&rows), 0, 0};
    datalog_file_header_write(&bytes, &header);
    buf_deinit(&rows);
    return bytes;
}

/* With and without a table of origins: whole or not at all. */
static void a_file_header_is_read_or_refused(void **state)
{
    (void)state;
    for (size_t origins = 0; origins < 4; origins++) {
        struct buf bytes = make_header(origins);
        struct datalog_file_header read;
        struct datalog_origin_position row;
        buf_append_str(&bytes, "records");
        size_t length = bytes.bytes - 7;
        assert_int_equal(length, DATALOG_ORIGINS_AT + origins * DATALOG_ORIGIN_BYTES);
        assert_int_equal(datalog_file_header_bytes(buf_span(&bytes)), length);
        assert_int_equal(datalog_file_header_read(buf_span(&bytes), 60, &read), 0);
        assert_true(read.first == 60 && read.origin_position == 12 && read.time == 34);
        assert_true(read.origin.incarnation == 8 && read.origin.node.bytes[0] == 9);
        assert_true(read.bytes == length);
        for (size_t i = 0; i < origins; i++) {
            assert_true(datalog_origin_row_read(&read, i, &row));
            assert_true(row.position == 1000 + i && row.time == 5 + i);
            assert_true(row.origin.incarnation == i * 3);
            assert_true(row.origin.node.bytes[0] == i && row.origin.node.bytes[1] == 7);
        }
        assert_false(datalog_origin_row_read(&read, origins, &row));
        assert_int_equal(datalog_file_header_read(buf_span(&bytes), 61, &read), ERR_CORRUPT);
        for (size_t bit = 0; bit < length * 8; bit++) {
            bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(datalog_file_header_read(buf_span(&bytes), 60, &read), ERR_CORRUPT);
            bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t cut = 0; cut < length; cut++) {
            uint8_t *copy = mem_dup(bytes.data, cut);
            assert_int_equal(datalog_file_header_read(span_of(copy, cut), 60, &read), ERR_CORRUPT);
            mem_free(copy);
        }
        buf_deinit(&bytes);
    }
}

/* Golden bytes: a header of version 1, which was written before there were tables of origins. */
static void a_header_of_version_1_is_read(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {
        'A', 'Q', 'F', 'D', 'L', 'O', 'G', '1', 193, 29, 73, 121, 1, 0, 0, 0, 60, 0, 0, 0, 0, 0,
        0,   0,   12,  0,   0,   0,   0,   0,   0,   0,  34, 0,   0, 0, 0, 0, 0,  0, 9, 0, 0, 0,
        0,   0,   0,   0,   0,   0,   0,   0,   0,   0,  0,  0,   8, 0, 0, 0, 0,  0, 0, 0};
    struct datalog_file_header read;
    assert_int_equal(datalog_file_header_read(span_of(bytes, sizeof(bytes)), 60, &read), 0);
    assert_true(read.first == 60 && read.origin_position == 12 && read.time == 34);
    assert_true(read.origin.incarnation == 8 && read.origin.node.bytes[0] == 9);
    assert_true(read.bytes == DATALOG_FILE_HEADER_BYTES && read.origins.bytes == 0);
}

/* Golden bytes: version 2, whose table of origins had no times. */
static void a_header_of_version_2_is_read(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {
        65, 81, 70,  68,  76,  79, 71, 49, 165, 114, 0, 116, 2,   0, 0, 0, 60, 0, 0, 0, 0,
        0,  0,  0,   12,  0,   0,  0,  0,  0,   0,   0, 34,  0,   0, 0, 0, 0,  0, 0, 9, 0,
        0,  0,  0,   0,   0,   0,  0,  0,  0,   0,   0, 0,   0,   0, 8, 0, 0,  0, 0, 0, 0,
        0,  99, 212, 193, 204, 1,  0,  0,  0,   7,   7, 0,   0,   0, 0, 0, 0,  0, 0, 0, 0,
        0,  0,  0,   0,   3,   0,  0,  0,  0,   0,   0, 0,   232, 3, 0, 0, 0,  0, 0, 0};
    struct datalog_file_header read;
    struct datalog_origin_position row;
    assert_int_equal(datalog_file_header_read(span_of(bytes, sizeof(bytes)), 60, &read), 0);
    assert_true(read.first == 60 && read.origin_position == 12 && read.time == 34);
    assert_true(read.bytes == sizeof(bytes));
    assert_true(datalog_origin_row_read(&read, 0, &row));
    assert_true(row.origin.node.bytes[1] == 7 && row.origin.incarnation == 3);
    assert_true(row.position == 1000 && row.time == 0);
    assert_false(datalog_origin_row_read(&read, 1, &row));
}

/* One of a later version says so: nothing is taken for damage and cut. */
static void a_header_of_a_later_version_is_unsupported(void **state)
{
    (void)state;
    struct buf bytes = make_header(1);
    struct datalog_file_header read;
    wire_store_u32(bytes.data + 12, 4);
    struct span summed = span_from(span_first(buf_span(&bytes), DATALOG_FILE_HEADER_BYTES), 12);
    wire_store_u32(bytes.data + 8, (uint32_t)hash64_seeded(summed, 60));
    assert_int_equal(datalog_file_header_read(buf_span(&bytes), 60, &read), ERR_UNSUPPORTED);
    buf_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_read_as_it_was_written),
        cmocka_unit_test(the_form_does_not_change),
        cmocka_unit_test(a_record_in_two_pieces_is_the_same),
        cmocka_unit_test(a_damaged_record_is_not_read),
        cmocka_unit_test(a_record_is_found_behind_damage),
        cmocka_unit_test(a_file_header_is_read_or_refused),
        cmocka_unit_test(a_header_of_version_1_is_read),
        cmocka_unit_test(a_header_of_version_2_is_read),
        cmocka_unit_test(a_header_of_a_later_version_is_unsupported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
