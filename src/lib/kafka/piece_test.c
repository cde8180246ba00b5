/*
 * The form of messages: what is written is read; whatever is cut off, changed, foreign or of a
 * later version is named as that. The bytes of version 1 stay as they are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/wire.h"
#include "kafka/piece.h"

static struct kafka_piece some_piece(void)
{
    return (struct kafka_piece){
        .place = {.origin = {{{1, 2, 3}}, 4}, .position = 5, .time = 6},
        .partitions = 12,
        .part = 1,
        .parts = 3,
        .part_bytes = 100,
        .offset = 90,
        .bytes = SPAN_LIT("0123456789"),
    };
}

static void a_piece_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct kafka_piece piece = some_piece();
    struct kafka_piece read;
    struct buf message = {0};
    kafka_piece_write(&message, &piece);
    assert_int_equal(message.bytes, KAFKA_PIECE_HEADER_BYTES + 10);
    assert_int_equal(kafka_piece_read(buf_span(&message), &read), 0);
    assert_true(replicate_origin_compare(read.place.origin, piece.place.origin) == 0);
    assert_true(read.place.position == 5 && read.place.time == 6 && read.partitions == 12);
    assert_true(read.part == 1 && read.parts == 3 && read.part_bytes == 100 && read.offset == 90);
    assert_true(span_equal(read.bytes, piece.bytes));
    buf_deinit(&message);
}

/* As docs/protocols/kafka.md says. */
static void the_bytes_of_version_1_stay(void **state)
{
    (void)state;
    static const uint8_t header[] = {
        1, 0, 1, 0, 3, 0, 0, 0, 12, 0, 0, 0, 100, 0, 0, 0, 90, 0, 0, 0,
        1, 2, 3, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0,   0, 0, 0, 4,  0, 0, 0,
        0, 0, 0, 0, 5, 0, 0, 0, 0,  0, 0, 0, 6,   0, 0, 0, 0,  0, 0, 0,
    };
    struct kafka_piece piece = some_piece();
    struct buf message = {0};
    kafka_piece_write(&message, &piece);
    assert_memory_equal(message.data, "AQFK", 4);
    assert_memory_equal(message.data + 8, header, sizeof(header));
    assert_memory_equal(message.data + 68, "0123456789", 10);
    buf_deinit(&message);
}

static void every_cut_and_every_changed_bit_is_named(void **state)
{
    (void)state;
    struct kafka_piece piece = some_piece();
    struct buf message = {0};
    kafka_piece_write(&message, &piece);
    for (size_t i = 0; i < message.bytes; i++) {
        struct kafka_piece read;
        assert_int_equal(kafka_piece_read(span_first(buf_span(&message), i), &read), ERR_PROTOCOL);
        for (int bit = 0; bit < 8; bit++) {
            message.data[i] ^= (uint8_t)(1 << bit);
            assert_int_equal(kafka_piece_read(buf_span(&message), &read), ERR_PROTOCOL);
            message.data[i] ^= (uint8_t)(1 << bit);
        }
    }
    buf_deinit(&message);
}

static int read_changed(size_t at, uint16_t value)
{
    struct kafka_piece piece = some_piece();
    struct kafka_piece read;
    struct buf message = {0};
    kafka_piece_write(&message, &piece);
    wire_store_u16(message.data + at, value);
    wire_store_u32(message.data + 4, hash32(span_from(buf_span(&message), 8)));
    int rc = kafka_piece_read(buf_span(&message), &read);
    buf_deinit(&message);
    return rc;
}

static void a_later_version_is_told_from_damage(void **state)
{
    (void)state;
    assert_int_equal(read_changed(8, 2), ERR_UNSUPPORTED);
    assert_int_equal(read_changed(8, 1), 0);
    assert_int_equal(read_changed(10, 3), ERR_PROTOCOL); /* part 3 of 3 */
    assert_int_equal(read_changed(12, 0), ERR_PROTOCOL); /* of no parts */
    assert_int_equal(read_changed(14, 1), ERR_PROTOCOL);
    assert_int_equal(read_changed(20, 99), ERR_PROTOCOL); /* more than the part has */
    assert_int_equal(read_changed(24, 100), ERR_PROTOCOL);
    assert_int_equal(read_changed(52, 0), ERR_PROTOCOL); /* position 0 */
}

static void a_part_carries_definitions_and_one_record(void **state)
{
    (void)state;
    struct kafka_part_body body = {
        .definitions = SPAN_LIT("definitions"),
        .record = {.log_position = 7, .type = DATALOG_POINTS, .payload = SPAN_LIT("payload")},
    };
    struct kafka_part_body read;
    struct buf part = {0};
    struct buf scratch[2] = {0};
    body.record.head.place = some_piece().place;
    kafka_part_write(&part, &body);
    assert_int_equal(kafka_part_read(buf_span(&part), scratch, &read), 0);
    assert_true(span_equal(read.definitions, body.definitions));
    assert_true(span_equal(read.record.payload, body.record.payload));
    assert_true(read.record.head.place.position == 5);
    for (size_t i = 0; i < part.bytes; i++) {
        assert_int_equal(kafka_part_read(span_first(buf_span(&part), i), scratch, &read),
                         ERR_PROTOCOL);
    }
    kafka_part_write(&part, &body); /* twice is none */
    assert_int_equal(kafka_part_read(buf_span(&part), scratch, &read), ERR_PROTOCOL);
    buf_deinit(&part);
    buf_deinit(&scratch[0]);
    buf_deinit(&scratch[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_piece_is_read_as_it_was_written),
        cmocka_unit_test(the_bytes_of_version_1_stay),
        cmocka_unit_test(every_cut_and_every_changed_bit_is_named),
        cmocka_unit_test(a_later_version_is_told_from_damage),
        cmocka_unit_test(a_part_carries_definitions_and_one_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
