/* Messages of a topic: the first byte says whether the rest is a message under a right checksum or
 * a part; what is read as a piece goes through the gatherer. */
#include "base/hash.h"
#include "base/wire.h"
#include "kafka/gather.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static uint64_t nothing_yet(void *context, struct datalog_origin origin)
{
    (void)context;
    (void)origin;
    return 0;
}

static void read_part(struct span part)
{
    struct buf scratch[2] = {0};
    struct kafka_part_body body;
    int rc = kafka_part_read(part, scratch, &body);
    CHECK(rc == 0 || rc == ERR_PROTOCOL);
    buf_deinit(&scratch[0]);
    buf_deinit(&scratch[1]);
}

static void read_message(struct span rest)
{
    struct kafka_gather_options options = {.position_of = nothing_yet};
    struct kafka_gather *gather = kafka_gather_new(&options);
    struct kafka_piece piece;
    struct kafka_whole whole;
    struct buf message = {0};
    buf_append_str(&message, "AQFK");
    wire_put_u32(&message, hash32(rest));
    buf_append(&message, rest);
    int rc = kafka_piece_read(buf_span(&message), &piece);
    CHECK(rc == 0 || rc == ERR_PROTOCOL || rc == ERR_UNSUPPORTED);
    for (int64_t i = 0; rc == 0 && i < 3; i++) {
        (void)!kafka_gather_take(gather, &piece, (uint32_t)i, i);
        piece.place.position = 1;
        piece.part = (uint16_t)((piece.part + 1) % piece.parts);
    }
    while (kafka_gather_next(gather, &whole)) {
        read_part(buf_span(&whole.part[0]));
        kafka_gather_handed(gather);
    }
    kafka_gather_free(&gather);
    buf_deinit(&message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes > 0) {
        struct span rest = span_of(data + 1, bytes - 1);
        if ((data[0] & 1) == 0) {
            read_message(rest);
        } else {
            read_part(rest);
        }
    }
    return 0;
}
