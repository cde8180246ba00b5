/* Frames from a peer: the first two bytes are type and packing, the rest a body under a right
 * checksum. */
#include "base/err.h"
#include "base/hash.h"
#include "replicate/message.h"
#include "replicate/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void walk_records(struct span rest)
{
    struct replicate_record record;
    while (replicate_record_next(&rest, &record)) {}
}

static void walk_part(struct span body)
{
    struct replicate_part part;
    struct span piece;
    if (replicate_part_read(body, &part) < 0) {
        return;
    }
    for (size_t i = 0; i < part.count; i++) {
        uint16_t origin;
        (void)replicate_part_stamp_at(&part, i, &origin);
        if (origin != REPLICATE_NO_ORIGIN) {
            (void)replicate_part_origin_at(&part, origin);
        }
    }
    while (replicate_part_next_piece(&part.payload, &piece) == 0) {}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 2) {
        return 0;
    }
    struct span body = span_of(data + 2, bytes - 2);
    struct buf frame = {0};
    wire_put_u32(&frame, (uint32_t)body.bytes + 8);
    wire_put_u32(&frame, 0);
    wire_put_u8(&frame, data[0]);
    wire_put_u8(&frame, data[1] & 1);
    wire_put_u16(&frame, 0);
    wire_put_u32(&frame, (data[1] & 1) == 0 ? (uint32_t)body.bytes : data[1]);
    buf_append(&frame, body);
    wire_store_u32(frame.data + 4, hash32(span_of(frame.data + 8, frame.bytes - 8)));
    struct replicate_message message = {0};
    struct buf scratch = {0};
    size_t length;
    int rc = replicate_message_read(buf_span(&frame), REPLICATE_GREETING_BYTES_MAX, &scratch,
                                    &message, &length);
    CHECK(rc == 0 || rc == ERR_PROTOCOL);
    if (rc == 0 && message.type == REPLICATE_RECORDS) {
        walk_records(message.body);
    } else if (rc == 0 && message.type == REPLICATE_SNAPSHOT_PART) {
        walk_part(message.body);
    }
    replicate_message_deinit(&message);
    buf_deinit(&scratch);
    buf_deinit(&frame);
    return 0;
}
