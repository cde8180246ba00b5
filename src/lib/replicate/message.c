#include "replicate/message.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>
#include <zstd.h>

#include "base/err.h"
#include "base/hash.h"

#define PACK_BYTES_MIN 256

static const char *const type_names[REPLICATE_MESSAGE_TYPES] = {
    [REPLICATE_CHALLENGE] = "challenge",
    [REPLICATE_HELLO] = "hello",
    [REPLICATE_WELCOME] = "welcome",
    [REPLICATE_REFUSED] = "refused",
    [REPLICATE_SERIES] = "series",
    [REPLICATE_RECORDS] = "records",
    [REPLICATE_PLACES] = "places",
    [REPLICATE_SNAPSHOT_BEGIN] = "snapshot begin",
    [REPLICATE_SNAPSHOT_PART] = "snapshot part",
    [REPLICATE_SNAPSHOT_END] = "snapshot end",
    [REPLICATE_ACK] = "acknowledged",
    [REPLICATE_BEGIN_ANEW] = "begin anew",
    [REPLICATE_TOPOLOGY] = "topology",
};

void replicate_message_deinit(struct replicate_message *message)
{
    replicate_places_deinit(&message->places);
    replicate_places_deinit(&message->doubt);
    replicate_members_deinit(&message->members);
}

/* ---- writing ---- */

static void put_origin(struct buf *buf, struct datalog_origin origin)
{
    buf_append(buf, span_of(origin.node.bytes, sizeof(origin.node.bytes)));
    wire_put_u64(buf, origin.incarnation);
}

static void put_needs(struct buf *buf, const struct replicate_needs *needs)
{
    wire_put_i64(buf, needs->since_ns);
    wire_put_i64(buf, needs->missing_ns);
    wire_put_i64(buf, needs->missing_end_ns);
}

static void put_body(struct buf *buf, const struct replicate_message *message)
{
    switch (message->type) {
    case REPLICATE_CHALLENGE:
        wire_put_u16(buf, message->protocol);
        buf_append(buf, span_of(message->nonce, sizeof(message->nonce)));
        break;
    case REPLICATE_HELLO:
        wire_put_u16(buf, message->protocol);
        buf_append(buf, span_of(message->nonce, sizeof(message->nonce)));
        buf_append(buf, span_of(message->mac, sizeof(message->mac)));
        buf_append(buf, span_of(message->node.bytes, sizeof(message->node.bytes)));
        wire_put_bytes(buf, message->name);
        replicate_members_write(buf, &message->members);
        replicate_places_write(buf, &message->places);
        break;
    case REPLICATE_WELCOME:
        buf_append(buf, span_of(message->mac, sizeof(message->mac)));
        buf_append(buf, span_of(message->node.bytes, sizeof(message->node.bytes)));
        put_origin(buf, message->origin);
        replicate_members_write(buf, &message->members);
        replicate_places_write(buf, &message->places);
        replicate_places_write(buf, &message->doubt);
        put_needs(buf, &message->needs);
        break;
    case REPLICATE_REFUSED:
    case REPLICATE_BEGIN_ANEW:
        wire_put_bytes(buf, message->text);
        break;
    case REPLICATE_PLACES:
    case REPLICATE_ACK:
        wire_put_u64(buf, message->position);
        replicate_places_write(buf, &message->places);
        break;
    case REPLICATE_SNAPSHOT_BEGIN:
        wire_put_i64(buf, message->horizon_ns);
        put_needs(buf, &message->needs);
        replicate_places_write(buf, &message->places);
        replicate_places_write(buf, &message->doubt);
        break;
    case REPLICATE_SERIES:
    case REPLICATE_RECORDS:
    case REPLICATE_SNAPSHOT_PART:
        buf_append(buf, message->body);
        break;
    case REPLICATE_TOPOLOGY:
        replicate_members_write(buf, &message->members);
        break;
    case REPLICATE_SNAPSHOT_END:
    case REPLICATE_MESSAGE_TYPES:
        break;
    }
}

/* In the place of the plain body at `from`, if that makes it smaller. */
static bool pack_body(struct buf *buf, size_t from, int level)
{
    size_t plain = buf->bytes - from;
    if (level == 0 || plain < PACK_BYTES_MIN) {
        return false;
    }
    size_t bound = ZSTD_compressBound(plain);
    (void)buf_reserve(buf, bound);
    size_t packed = ZSTD_compress(buf->data + buf->bytes, bound, buf->data + from, plain, level);
    if (ZSTD_isError(packed) || packed >= plain) {
        return false;
    }
    memmove(buf->data + from, buf->data + buf->bytes, packed);
    buf->bytes = from + packed;
    return true;
}

void replicate_message_write(struct buf *buf, const struct replicate_message *message, int level)
{
    size_t begin = buf->bytes;
    memset(buf_reserve(buf, REPLICATE_FRAME_HEADER_BYTES), 0, REPLICATE_FRAME_HEADER_BYTES);
    buf->bytes += REPLICATE_FRAME_HEADER_BYTES;
    put_body(buf, message);
    size_t plain = buf->bytes - begin - REPLICATE_FRAME_HEADER_BYTES;
    bool packed = pack_body(buf, begin + REPLICATE_FRAME_HEADER_BYTES, level);
    uint8_t *header = buf->data + begin;
    header[8] = (uint8_t)message->type;
    header[9] = packed ? 1 : 0;
    wire_store_u32(header + 12, (uint32_t)plain);
    struct span rest = span_of(header + 8, buf->bytes - begin - 8);
    wire_store_u32(header, (uint32_t)rest.bytes);
    wire_store_u32(header + 4, hash32(rest));
}

/* ---- reading ---- */

static void get_raw(struct wire_reader *reader, uint8_t *to, size_t bytes)
{
    struct span span = wire_get_raw(reader, bytes);
    if (span.bytes == bytes) {
        memcpy(to, span.data, bytes);
    }
}

static void get_needs(struct wire_reader *reader, struct replicate_needs *needs)
{
    needs->since_ns = wire_get_i64(reader);
    needs->missing_ns = wire_get_i64(reader);
    needs->missing_end_ns = wire_get_i64(reader);
}

static int get_places(struct wire_reader *reader, struct replicate_message *message)
{
    int rc = replicate_places_read(reader, &message->places);
    return rc < 0 ? rc : replicate_places_read(reader, &message->doubt);
}

static int get_body(struct wire_reader *reader, struct replicate_message *message)
{
    int rc = 0;
    switch (message->type) {
    case REPLICATE_CHALLENGE:
        message->protocol = wire_get_u16(reader);
        get_raw(reader, message->nonce, sizeof(message->nonce));
        break;
    case REPLICATE_HELLO:
        message->protocol = wire_get_u16(reader);
        get_raw(reader, message->nonce, sizeof(message->nonce));
        get_raw(reader, message->mac, sizeof(message->mac));
        get_raw(reader, message->node.bytes, sizeof(message->node.bytes));
        message->name = wire_get_bytes(reader, REPLICATE_TEXT_BYTES_MAX);
        rc = replicate_members_read(reader, &message->members);
        rc = rc < 0 ? rc : replicate_places_read(reader, &message->places);
        break;
    case REPLICATE_WELCOME:
        get_raw(reader, message->mac, sizeof(message->mac));
        get_raw(reader, message->node.bytes, sizeof(message->node.bytes));
        get_raw(reader, message->origin.node.bytes, sizeof(message->origin.node.bytes));
        message->origin.incarnation = wire_get_u64(reader);
        rc = replicate_members_read(reader, &message->members);
        rc = rc < 0 ? rc : get_places(reader, message);
        get_needs(reader, &message->needs);
        break;
    case REPLICATE_REFUSED:
    case REPLICATE_BEGIN_ANEW:
        message->text = wire_get_bytes(reader, REPLICATE_TEXT_BYTES_MAX);
        break;
    case REPLICATE_PLACES:
    case REPLICATE_ACK:
        message->position = wire_get_u64(reader);
        rc = replicate_places_read(reader, &message->places);
        break;
    case REPLICATE_SNAPSHOT_BEGIN:
        message->horizon_ns = wire_get_i64(reader);
        get_needs(reader, &message->needs);
        rc = get_places(reader, message);
        break;
    case REPLICATE_SERIES:
    case REPLICATE_RECORDS:
    case REPLICATE_SNAPSHOT_PART:
        message->body = wire_get_raw(reader, reader->rest.bytes);
        break;
    case REPLICATE_TOPOLOGY:
        rc = replicate_members_read(reader, &message->members);
        break;
    case REPLICATE_SNAPSHOT_END:
    case REPLICATE_MESSAGE_TYPES:
        break;
    }
    return rc < 0 ? rc : wire_finish(reader);
}

static int unpack(struct span body, uint32_t plain, struct buf *scratch, struct span *ret_body)
{
    buf_clear(scratch);
    size_t got = ZSTD_decompress(buf_reserve(scratch, plain), plain, body.data, body.bytes);
    if (ZSTD_isError(got) || got != plain) {
        return err_set(ERR_PROTOCOL, "the body cannot be unpacked");
    }
    scratch->bytes = got;
    *ret_body = buf_span(scratch);
    return 0;
}

static int read_frame(struct span frame, uint32_t bytes_max, struct buf *scratch,
                      struct replicate_message *message)
{
    uint32_t plain = wire_load_u32(frame.data + 4);
    struct span body = span_of(frame.data + REPLICATE_FRAME_HEADER_BYTES - 8,
                               frame.bytes - (REPLICATE_FRAME_HEADER_BYTES - 8));
    if (frame.data[0] == 0 || frame.data[0] >= REPLICATE_MESSAGE_TYPES) {
        return err_set(ERR_PROTOCOL, "message of unknown type %d", frame.data[0]);
    }
    message->type = (enum replicate_message_type)frame.data[0];
    if (plain > bytes_max || (frame.data[1] == 0 && plain != body.bytes)) {
        return err_set(ERR_PROTOCOL, "a body of %" PRIu32 " bytes", plain);
    }
    int rc = frame.data[1] == 0 ? 0 : unpack(body, plain, scratch, &body);
    if (rc < 0) {
        return rc;
    }
    struct wire_reader reader = wire_reader_of(body);
    return get_body(&reader, message);
}

int replicate_message_read(struct span bytes, uint32_t bytes_max, struct buf *scratch,
                           struct replicate_message *message, size_t *ret_bytes)
{
    *ret_bytes = REPLICATE_FRAME_HEADER_BYTES;
    if (bytes.bytes < REPLICATE_FRAME_HEADER_BYTES) {
        return REPLICATE_CUT;
    }
    uint32_t rest = wire_load_u32(bytes.data);
    if (rest < REPLICATE_FRAME_HEADER_BYTES - 8 ||
        rest - (REPLICATE_FRAME_HEADER_BYTES - 8) > bytes_max) {
        return err_set(ERR_PROTOCOL, "a message of %" PRIu32 " bytes", rest);
    }
    *ret_bytes = (size_t)rest + 8;
    if (bytes.bytes < *ret_bytes) {
        return REPLICATE_CUT;
    }
    struct span frame = span_of(bytes.data + 8, rest);
    if (wire_load_u32(bytes.data + 4) != hash32(frame)) {
        return err_set(ERR_PROTOCOL, "a message with a wrong checksum");
    }
    int rc = read_frame(frame, bytes_max, scratch, message);
    return rc < 0 ? err_wrap(rc, "message \"%s\"",
                             frame.data[0] < REPLICATE_MESSAGE_TYPES && frame.data[0] > 0
                                 ? type_names[frame.data[0]]
                                 : "?")
                  : 0;
}

/* ---- records ---- */

void replicate_record_put(struct buf *body, const struct replicate_record *record)
{
    wire_put_u64(body, record->log_position);
    put_origin(body, record->head.place.origin);
    wire_put_u64(body, record->head.place.position);
    wire_put_u64(body, record->head.place.time);
    wire_put_u64(body, record->head.previous);
    wire_put_u8(body, (uint8_t)record->type);
    wire_put_bytes(body, record->well);
    wire_put_bytes(body, record->payload);
}

bool replicate_record_next(struct span *rest, struct replicate_record *ret_record)
{
    struct wire_reader reader = wire_reader_of(*rest);
    *ret_record = (struct replicate_record){0};
    struct replicate_place *place = &ret_record->head.place;
    ret_record->log_position = wire_get_u64(&reader);
    get_raw(&reader, place->origin.node.bytes, sizeof(place->origin.node.bytes));
    place->origin.incarnation = wire_get_u64(&reader);
    place->position = wire_get_u64(&reader);
    place->time = wire_get_u64(&reader);
    ret_record->head.previous = wire_get_u64(&reader);
    ret_record->type = (enum datalog_type)wire_get_u8(&reader);
    ret_record->well = wire_get_bytes(&reader, DATALOG_WELL_BYTES_MAX);
    ret_record->payload = wire_get_bytes(&reader, DATALOG_PAYLOAD_BYTES_MAX);
    if (reader.failed) {
        return false;
    }
    *rest = reader.rest;
    return true;
}

/* ---- who knows the secret ---- */

void replicate_mac(struct span secret, bool forwarder,
                   const uint8_t target_nonce[REPLICATE_NONCE_BYTES],
                   const uint8_t forwarder_nonce[REPLICATE_NONCE_BYTES], struct uuid node,
                   uint8_t ret_mac[REPLICATE_MAC_BYTES])
{
    const char *role =
        forwarder ? "aquifer replication 1 forwarder" : "aquifer replication 1 target";
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, secret.data, secret.bytes);
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)role, strlen(role) + 1);
    crypto_auth_hmacsha256_update(&state, target_nonce, REPLICATE_NONCE_BYTES);
    crypto_auth_hmacsha256_update(&state, forwarder_nonce, REPLICATE_NONCE_BYTES);
    crypto_auth_hmacsha256_update(&state, node.bytes, sizeof(node.bytes));
    crypto_auth_hmacsha256_final(&state, ret_mac);
}

bool replicate_mac_equal(const uint8_t a[REPLICATE_MAC_BYTES], const uint8_t b[REPLICATE_MAC_BYTES])
{
    return sodium_memcmp(a, b, REPLICATE_MAC_BYTES) == 0;
}
