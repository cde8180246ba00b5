/* Tested by feed3x_test.c. */
#include "warp10/feed3x_message.h"

#include "base/err.h"
#include "warp10/thrift.h"

#define LENGTH_BYTES 4

/* ── Frames ──────────────────────────────────────────────────────────────────────────────── */

int feed3x_frame_next(struct span *rest, struct span *ret_body)
{
    uint32_t bytes = 0;
    if (rest->bytes < LENGTH_BYTES) {
        return FEED3X_CUT;
    }
    for (size_t i = 0; i < LENGTH_BYTES; i++) {
        bytes = bytes << 8 | rest->data[i];
    }
    if (bytes == 0 || bytes > FEED3X_FRAME_BYTES_MAX) {
        return err_set(ERR_PROTOCOL, "a frame of %u bytes", bytes);
    }
    if (rest->bytes - LENGTH_BYTES < bytes) {
        return FEED3X_CUT;
    }
    *ret_body = span_first(span_from(*rest, LENGTH_BYTES), bytes);
    *rest = span_from(*rest, LENGTH_BYTES + bytes);
    return 0;
}

void feed3x_frame_put(struct buf *buf, struct span body)
{
    CHECK(body.bytes > 0 && body.bytes <= FEED3X_FRAME_BYTES_MAX);
    for (unsigned i = 0; i < LENGTH_BYTES; i++) {
        buf_append_byte(buf, (uint8_t)(body.bytes >> (24 - 8 * i)));
    }
    buf_append(buf, body);
}

/* ── Messages ────────────────────────────────────────────────────────────────────────────── */

const char *feed3x_type_name(enum feed3x_type type)
{
    static const char *const names[] = {"",      "WELCOME", "INIT", "SEEK",
                                        "TSEEK", "COMMIT",  "DATA", "KEEPALIVE"};
    return (size_t)type < ARRAY_COUNT(names) ? names[type] : "";
}

static void read_shards(struct thrift_reader *reader, struct feed3x_message *message)
{
    enum thrift_type type;
    size_t count = thrift_list(reader, &type);
    if (count > FEED3X_SHARDS_MAX || (count > 0 && type != THRIFT_I64)) {
        reader->failed = true;
        return;
    }
    message->shard_count = count;
    for (size_t i = 0; i < count; i++) {
        uint64_t shard = (uint64_t)thrift_int(reader);
        message->shards[i] = (struct feed3x_shard){(uint32_t)(shard >> 32), (uint32_t)shard};
    }
}

static void read_excluded(struct thrift_reader *reader, struct feed3x_message *message)
{
    enum thrift_type type;
    size_t count = thrift_list(reader, &type);
    if (count > FEED3X_EXCLUDED_MAX || (count > 0 && type != THRIFT_BINARY)) {
        reader->failed = true;
        return;
    }
    message->excluded_count = count;
    for (size_t i = 0; i < count; i++) {
        message->excluded[i] = thrift_binary(reader);
    }
}

/* False: a field that is not known, or of another type. */
static bool read_number(struct thrift_reader *reader, int16_t id, enum thrift_type type,
                        struct feed3x_message *message)
{
    int64_t *number = id == 2    ? &message->nonce
                      : id == 3  ? &message->time_ms
                      : id == 14 ? &message->shard_shift
                      : id == 31 ? &message->seek_ms
                                 : NULL;
    if (number == NULL || type != THRIFT_I64) {
        return false;
    }
    *number = thrift_int(reader);
    return true;
}

static bool read_bytes(struct thrift_reader *reader, int16_t id, enum thrift_type type,
                       struct feed3x_message *message)
{
    struct span *bytes = id == 11               ? &message->id
                         : id == 12             ? &message->signature
                         : id == 21 || id == 52 ? &message->ref
                         : id == 51             ? &message->record
                                                : NULL;
    if (bytes == NULL || type != THRIFT_BINARY) {
        return false;
    }
    *bytes = thrift_binary(reader);
    return true;
}

static void read_field(struct thrift_reader *reader, int16_t id, enum thrift_type type,
                       struct feed3x_message *message)
{
    if (id == 1 && type == THRIFT_I32) {
        int64_t number = thrift_int(reader);
        message->type = number >= 1 && number <= FEED3X_KEEPALIVE ? (enum feed3x_type)number : 0;
    } else if (id == 4 && (type == THRIFT_TRUE || type == THRIFT_FALSE)) {
        message->encrypt = type == THRIFT_TRUE;
    } else if (id == 13 && type == THRIFT_LIST) {
        read_shards(reader, message);
    } else if (id == 15 && type == THRIFT_LIST) {
        read_excluded(reader, message);
    } else if (!read_number(reader, id, type, message) && !read_bytes(reader, id, type, message)) {
        thrift_skip(reader, type);
    }
}

static bool is_complete(const struct feed3x_message *message)
{
    bool ref = message->ref.bytes > 0 && message->ref.bytes <= FEED3X_REF_BYTES_MAX;
    switch (message->type) {
    case FEED3X_WELCOME:
    case FEED3X_INIT:
        return message->id.bytes > 0 && message->id.bytes <= FEED3X_ID_BYTES_MAX &&
               message->signature.bytes > 0;
    case FEED3X_SEEK:
    case FEED3X_COMMIT:
        return ref;
    case FEED3X_DATA:
        return ref && message->record.bytes > 0;
    case FEED3X_TSEEK:
    case FEED3X_KEEPALIVE:
        return true;
    }
    return false;
}

int feed3x_message_read(struct span body, struct feed3x_message *ret_message)
{
    struct thrift_reader reader = thrift_reader_of(body);
    int16_t id;
    enum thrift_type type;
    *ret_message = (struct feed3x_message){.shard_shift = FEED3X_SHIFT_DEFAULT};
    while (thrift_next(&reader, &id, &type)) {
        read_field(&reader, id, type, ret_message);
    }
    if (reader.failed || ret_message->type == 0) {
        return err_set(ERR_PROTOCOL, "%zu bytes that are no message", body.bytes);
    }
    if (!is_complete(ret_message)) {
        return err_set(ERR_PROTOCOL, "%s that lacks something",
                       feed3x_type_name(ret_message->type));
    }
    return 0;
}

static void write_init(struct thrift_writer *writer, const struct feed3x_message *message)
{
    thrift_put_binary(writer, 11, message->id);
    thrift_put_binary(writer, 12, message->signature);
    if (message->shard_count > 0) {
        thrift_put_list(writer, 13, THRIFT_I64, message->shard_count);
        for (size_t i = 0; i < message->shard_count; i++) {
            uint64_t shard = (uint64_t)message->shards[i].modulus << 32;
            shard |= message->shards[i].remainder;
            thrift_put_varint(writer->buf, thrift_zigzag((int64_t)shard));
        }
        thrift_put_int(writer, 14, THRIFT_I64, message->shard_shift);
    }
    if (message->excluded_count > 0) {
        thrift_put_list(writer, 15, THRIFT_BINARY, message->excluded_count);
        for (size_t i = 0; i < message->excluded_count; i++) {
            thrift_put_bytes(writer, message->excluded[i]);
        }
    }
}

void feed3x_message_write(struct buf *buf, const struct feed3x_message *message)
{
    struct thrift_writer writer = {.buf = buf};
    thrift_put_int(&writer, 1, THRIFT_I32, message->type);
    switch (message->type) {
    case FEED3X_WELCOME:
        thrift_put_int(&writer, 2, THRIFT_I64, message->nonce);
        thrift_put_int(&writer, 3, THRIFT_I64, message->time_ms);
        thrift_put_bool(&writer, 4, message->encrypt);
        thrift_put_binary(&writer, 11, message->id);
        thrift_put_binary(&writer, 12, message->signature);
        break;
    case FEED3X_INIT:
        write_init(&writer, message);
        break;
    case FEED3X_SEEK:
    case FEED3X_COMMIT:
        thrift_put_binary(&writer, 21, message->ref);
        break;
    case FEED3X_TSEEK:
        thrift_put_int(&writer, 31, THRIFT_I64, message->seek_ms);
        break;
    case FEED3X_DATA:
        thrift_put_binary(&writer, 51, message->record);
        thrift_put_binary(&writer, 52, message->ref);
        break;
    case FEED3X_KEEPALIVE:
        break;
    }
    thrift_put_stop(&writer);
}

/* ── Shards ──────────────────────────────────────────────────────────────────────────────── */

bool feed3x_shard_is_good(struct feed3x_shard shard)
{
    return shard.remainder < shard.modulus;
}

int feed3x_shard_parse(struct span text, struct feed3x_shard *ret_shard)
{
    ptrdiff_t colon = span_find_byte(text, ':');
    uint64_t modulus;
    uint64_t remainder;
    if (colon < 0 || !span_to_u64(span_first(text, (size_t)colon), &modulus) ||
        !span_to_u64(span_from(text, (size_t)colon + 1), &remainder) || modulus > INT32_MAX ||
        remainder >= modulus) {
        return err_set(ERR_INVALID, "\"%.*s\" is no shard: MODULUS:REMAINDER, 4:0 say",
                       SPAN_ARG(text));
    }
    *ret_shard = (struct feed3x_shard){(uint32_t)modulus, (uint32_t)remainder};
    return 0;
}

/* The low 32 bits of both ids, class above labels, shifted to the right. */
static uint32_t shard_of(int64_t shift, uint64_t class_id, uint64_t labels_id)
{
    unsigned bits = (unsigned)shift % 128;
    if (bits >= 64) {
        return (uint32_t)(class_id >> (bits - 64));
    }
    return (uint32_t)(bits == 0 ? labels_id : labels_id >> bits | class_id << (64 - bits));
}

bool feed3x_is_wanted(const struct feed3x_shard *shards, size_t count, int64_t shift,
                      uint64_t class_id, uint64_t labels_id)
{
    uint32_t shard = shard_of(shift, class_id, labels_id);
    for (size_t i = 0; i < count; i++) {
        if (shard % shards[i].modulus == shards[i].remainder) {
            return true;
        }
    }
    return count == 0;
}
