#include "replicate/snapshot.h"

#include <inttypes.h>
#include <string.h>

#include "base/err.h"

#define ORIGIN_BYTES 24
#define STAMP_BYTES 10

void replicate_part_begin(struct replicate_part_writer *writer, enum replicate_part_kind kind)
{
    writer->kind = kind;
    writer->count = 0;
    vec_clear(&writer->origins);
    buf_clear(&writer->stamps);
    buf_clear(&writer->payload);
}

void replicate_part_deinit(struct replicate_part_writer *writer)
{
    vec_deinit(&writer->origins);
    buf_deinit(&writer->stamps);
    buf_deinit(&writer->payload);
}

uint16_t replicate_part_origin(struct replicate_part_writer *writer, struct datalog_origin origin)
{
    for (size_t i = writer->origins.count; i-- > 0;) {
        const struct datalog_origin *known = &writer->origins.items[i];
        if (known->incarnation == origin.incarnation && uuid_equal(known->node, origin.node)) {
            return (uint16_t)i;
        }
    }
    CHECK(writer->origins.count < REPLICATE_NO_ORIGIN);
    vec_push(&writer->origins, origin);
    return (uint16_t)(writer->origins.count - 1);
}

void replicate_part_stamp(struct replicate_part_writer *writer, uint16_t origin, uint64_t time)
{
    wire_put_u16(&writer->stamps, origin);
    wire_put_u64(&writer->stamps, time);
    writer->count++;
}

void replicate_part_piece(struct replicate_part_writer *writer, uint16_t origin, uint64_t time,
                          struct span payload)
{
    replicate_part_stamp(writer, origin, time);
    wire_put_u32(&writer->payload, (uint32_t)payload.bytes);
    buf_append(&writer->payload, payload);
}

void replicate_part_write(const struct replicate_part_writer *writer, struct buf *body)
{
    wire_put_u8(body, (uint8_t)writer->kind);
    wire_put_u16(body, (uint16_t)writer->origins.count);
    for (size_t i = 0; i < writer->origins.count; i++) {
        const struct datalog_origin *origin = &writer->origins.items[i];
        buf_append(body, span_of(origin->node.bytes, sizeof(origin->node.bytes)));
        wire_put_u64(body, origin->incarnation);
    }
    wire_put_u32(body, writer->count);
    buf_append(body, buf_span(&writer->stamps));
    buf_append(body, buf_span(&writer->payload));
}

int replicate_part_read(struct span body, struct replicate_part *ret_part)
{
    struct wire_reader reader = wire_reader_of(body);
    struct replicate_part part = {.kind = (enum replicate_part_kind)wire_get_u8(&reader)};
    part.origins_count = wire_get_u16(&reader);
    part.origins = wire_get_raw(&reader, part.origins_count * ORIGIN_BYTES).data;
    part.count = wire_get_u32(&reader);
    part.stamps = wire_get_raw(&reader, (size_t)part.count * STAMP_BYTES).data;
    part.payload = reader.rest;
    if (reader.failed || part.kind == 0 || part.kind >= REPLICATE_PART_KINDS) {
        return err_set(ERR_PROTOCOL, "a part of a snapshot that is none");
    }
    for (uint32_t i = 0; i < part.count; i++) {
        uint16_t origin;
        (void)replicate_part_stamp_at(&part, i, &origin);
        if (origin != REPLICATE_NO_ORIGIN && origin >= part.origins_count) {
            return err_set(ERR_PROTOCOL, "stamp %" PRIu32 " of a part has origin %u of %zu", i,
                           origin, part.origins_count);
        }
    }
    *ret_part = part;
    return 0;
}

struct datalog_origin replicate_part_origin_at(const struct replicate_part *part, size_t index)
{
    struct datalog_origin origin;
    const uint8_t *at = part->origins + index * ORIGIN_BYTES;
    memcpy(origin.node.bytes, at, sizeof(origin.node.bytes));
    origin.incarnation = wire_load_u64(at + sizeof(origin.node.bytes));
    return origin;
}

uint64_t replicate_part_stamp_at(const struct replicate_part *part, size_t index,
                                 uint16_t *ret_origin)
{
    const uint8_t *at = part->stamps + index * STAMP_BYTES;
    *ret_origin = wire_load_u16(at);
    return wire_load_u64(at + 2);
}

int replicate_part_next_piece(struct span *payload, struct span *ret_piece)
{
    struct wire_reader reader = wire_reader_of(*payload);
    uint32_t bytes = wire_get_u32(&reader);
    struct span piece = wire_get_raw(&reader, bytes);
    if (reader.failed) {
        return err_set(ERR_PROTOCOL, "a part of a snapshot is cut off");
    }
    *payload = reader.rest;
    *ret_piece = piece;
    return 0;
}
