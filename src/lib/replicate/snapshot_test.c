/* Parts of snapshots come back as they were; no other bytes are taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/err.h"
#include "replicate/snapshot.h"

static struct datalog_origin origin_of(uint8_t node, uint64_t incarnation)
{
    return (struct datalog_origin){{{node}}, incarnation};
}

static void write_example(struct buf *body)
{
    struct replicate_part_writer writer = {0};
    replicate_part_begin(&writer, REPLICATE_PART_POINTS); /* begun anew below */
    replicate_part_piece(&writer, 0, 1, SPAN_LIT("gone"));
    replicate_part_begin(&writer, REPLICATE_PART_METAS);
    for (uint64_t i = 0; i < 6; i++) {
        uint16_t origin =
            i == 5 ? REPLICATE_NO_ORIGIN : replicate_part_origin(&writer, origin_of(7, i % 3));
        replicate_part_piece(&writer, origin, 1000 + i, i % 2 == 0 ? SPAN_LIT("even") : SPAN_NONE);
    }
    assert_int_equal(writer.origins.count, 3);
    replicate_part_write(&writer, body);
    replicate_part_deinit(&writer);
}

static void parts_come_back_as_they_were(void **state)
{
    (void)state;
    struct buf body = {0};
    struct replicate_part part;
    write_example(&body);
    assert_int_equal(replicate_part_read(buf_span(&body), &part), 0);
    assert_true(part.kind == REPLICATE_PART_METAS && part.count == 6 && part.origins_count == 3);
    for (uint64_t i = 0; i < 6; i++) {
        uint16_t origin;
        struct span piece;
        assert_true(replicate_part_stamp_at(&part, i, &origin) == 1000 + i);
        assert_int_equal(origin, i == 5 ? REPLICATE_NO_ORIGIN : i % 3);
        assert_int_equal(replicate_part_next_piece(&part.payload, &piece), 0);
        assert_true(span_equal_str(piece, i % 2 == 0 ? "even" : ""));
        if (i < 5) {
            struct datalog_origin back = replicate_part_origin_at(&part, origin);
            assert_true(back.node.bytes[0] == 7 && back.incarnation == i % 3);
        }
    }
    struct span piece;
    assert_int_equal(part.payload.bytes, 0);
    assert_int_equal(replicate_part_next_piece(&part.payload, &piece), ERR_PROTOCOL);
    buf_deinit(&body);
}

static void other_bytes_are_refused(void **state)
{
    (void)state;
    struct buf body = {0};
    struct replicate_part part;
    write_example(&body);
    size_t head = 1 + 2 + 3 * 24 + 4 + 6 * 10;
    for (size_t bytes = 0; bytes < head; bytes++) {
        assert_int_equal(replicate_part_read(span_first(buf_span(&body), bytes), &part),
                         ERR_PROTOCOL);
    }
    assert_int_equal(replicate_part_read(span_first(buf_span(&body), head), &part), 0);
    body.data[0] = 0;
    assert_int_equal(replicate_part_read(buf_span(&body), &part), ERR_PROTOCOL);
    body.data[0] = REPLICATE_PART_KINDS;
    assert_int_equal(replicate_part_read(buf_span(&body), &part), ERR_PROTOCOL);
    body.data[0] = REPLICATE_PART_METAS;
    body.data[1 + 2 + 3 * 24 + 4] = 3; /* an origin that is not in the table */
    assert_int_equal(replicate_part_read(buf_span(&body), &part), ERR_PROTOCOL);
    buf_deinit(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_come_back_as_they_were),
        cmocka_unit_test(other_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
