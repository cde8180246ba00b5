#include "kafka/piece.h"

#include "base/hash.h"
#include "base/wire.h"

#define MAGIC SPAN_LIT("AQFK")
#define CHECKED_FROM 8 /* behind magic and checksum */

void kafka_piece_write(struct buf *message, const struct kafka_piece *piece)
{
    size_t begin = message->bytes;
    buf_append(message, MAGIC);
    wire_put_u32(message, 0);
    wire_put_u16(message, KAFKA_VERSION);
    wire_put_u16(message, piece->part);
    wire_put_u16(message, piece->parts);
    wire_put_u16(message, 0);
    wire_put_u32(message, piece->partitions);
    wire_put_u32(message, piece->part_bytes);
    wire_put_u32(message, piece->offset);
    buf_append(message, span_of(piece->place.origin.node.bytes, 16));
    wire_put_u64(message, piece->place.origin.incarnation);
    wire_put_u64(message, piece->place.position);
    wire_put_u64(message, piece->place.time);
    buf_append(message, piece->bytes);
    struct span all = span_from(buf_span(message), begin);
    wire_store_u32(message->data + begin + 4, hash32(span_from(all, CHECKED_FROM)));
}

static int check(const struct kafka_piece *piece, uint16_t zero)
{
    if (zero != 0 || piece->parts == 0 || piece->part >= piece->parts ||
        piece->place.position == 0 || piece->part_bytes == 0 || piece->bytes.bytes == 0 ||
        piece->part_bytes > KAFKA_PART_BYTES_MAX || piece->offset >= piece->part_bytes ||
        piece->bytes.bytes > piece->part_bytes - piece->offset) {
        return err_set(ERR_PROTOCOL, "a message whose header cannot be");
    }
    return 0;
}

int kafka_piece_read(struct span message, struct kafka_piece *ret_piece)
{
    struct wire_reader reader = wire_reader_of(message);
    struct span magic = wire_get_raw(&reader, MAGIC.bytes);
    uint32_t sum = wire_get_u32(&reader);
    struct span checked = reader.rest;
    uint16_t version = wire_get_u16(&reader);
    if (reader.failed || !span_equal(magic, MAGIC)) {
        return err_set(ERR_PROTOCOL, "no message of a datalog");
    }
    if (hash32(checked) != sum) {
        return err_set(ERR_PROTOCOL, "a damaged message");
    }
    if (version != KAFKA_VERSION) {
        return err_set(ERR_UNSUPPORTED, "a message of version %u, which is later than ours, %d",
                       version, KAFKA_VERSION);
    }
    struct kafka_piece piece = {.part = wire_get_u16(&reader)};
    piece.parts = wire_get_u16(&reader);
    uint16_t zero = wire_get_u16(&reader);
    piece.partitions = wire_get_u32(&reader);
    piece.part_bytes = wire_get_u32(&reader);
    piece.offset = wire_get_u32(&reader);
    struct span node = wire_get_raw(&reader, sizeof(piece.place.origin.node.bytes));
    piece.place.origin.incarnation = wire_get_u64(&reader);
    piece.place.position = wire_get_u64(&reader);
    piece.place.time = wire_get_u64(&reader);
    if (reader.failed) {
        return err_set(ERR_PROTOCOL, "a message that is cut off");
    }
    memcpy(piece.place.origin.node.bytes, node.data, node.bytes);
    piece.bytes = reader.rest;
    *ret_piece = piece;
    return check(&piece, zero);
}

/* ---- parts ---- */

void kafka_part_write(struct buf *part, const struct kafka_part_body *body)
{
    struct replicate_message message = {.type = REPLICATE_SERIES, .body = body->definitions};
    if (body->definitions.bytes > 0) {
        replicate_message_write(part, &message, 0);
    }
    struct buf record = {0};
    replicate_record_put(&record, &body->record);
    message.type = REPLICATE_RECORDS;
    message.body = buf_span(&record);
    replicate_message_write(part, &message, 0);
    buf_deinit(&record);
}

static int read_frame(struct span *rest, struct buf *scratch, struct replicate_message *message)
{
    size_t bytes = 0;
    int rc = replicate_message_read(*rest, REPLICATE_BODY_BYTES_MAX, scratch, message, &bytes);
    if (rc == REPLICATE_CUT) {
        return err_set(ERR_PROTOCOL, "a record that is cut off");
    }
    *rest = span_from(*rest, bytes);
    return rc;
}

int kafka_part_read(struct span part, struct buf scratch[2], struct kafka_part_body *ret_body)
{
    struct replicate_message message = {0};
    struct kafka_part_body body = {0};
    int rc = read_frame(&part, &scratch[0], &message);
    if (rc == 0 && message.type == REPLICATE_SERIES) {
        body.definitions = message.body;
        rc = read_frame(&part, &scratch[1], &message);
    }
    struct span records = message.body;
    if (rc == 0 && (message.type != REPLICATE_RECORDS || part.bytes != 0 ||
                    !replicate_record_next(&records, &body.record) || records.bytes != 0)) {
        rc = err_set(ERR_PROTOCOL, "a part that is no record");
    }
    replicate_message_deinit(&message);
    if (rc == 0) {
        *ret_body = body;
    }
    return rc;
}
