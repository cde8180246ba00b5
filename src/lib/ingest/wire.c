#include "ingest/wire.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <inttypes.h>
#include <jansson.h>
#include <strings.h>

#include "base/err.h"
#include "base/text.h"
#include "base/time.h"
#include "base/wire.h"

#define SECRET_ROUNDS 16
#define UNIX_OF_YEAR_ONE INT64_C(62135596800) /* seconds from 0001-01-01 to 1970-01-01 */
#define FLAG_IPV4 0x80000000u
#define FLAG_EVS 0x40000000u
#define ENTRY_HEADER_BYTES 34 /* between the magic and the id */
#define V4_MAPPED_PREFIX "\0\0\0\0\0\0\0\0\0\0\xff\xff"

/* ---- authentication ---- */

void ingest_challenge_write(struct buf *buf, const struct ingest_challenge *challenge)
{
    wire_put_u16(buf, challenge->rounds);
    buf_append(buf, span_of(challenge->nonce, sizeof(challenge->nonce)));
    wire_put_u16(buf, challenge->version);
}

void ingest_challenge_read(const uint8_t bytes[INGEST_CHALLENGE_BYTES],
                           struct ingest_challenge *ret_challenge)
{
    ret_challenge->rounds = wire_load_u16(bytes);
    memcpy(ret_challenge->nonce, bytes + 2, sizeof(ret_challenge->nonce));
    ret_challenge->version = wire_load_u16(bytes + 34);
}

/* rounds times h = SHA-256(MD5(h)); the first takes the 64 bytes of a SHA-512. Leaves the first
 * 32 bytes of the last hash in `hash`. */
static void hash_rounds(uint8_t hash[64], unsigned rounds)
{
    gnutls_hash_hd_t md5;
    gnutls_hash_hd_t sha256;
    CHECK(gnutls_hash_init(&md5, GNUTLS_DIG_MD5) == 0);
    CHECK(gnutls_hash_init(&sha256, GNUTLS_DIG_SHA256) == 0);
    size_t bytes = 64;
    uint8_t half[16];
    for (unsigned i = 0; i < rounds; i++) {
        CHECK(gnutls_hash(md5, hash, bytes) == 0);
        gnutls_hash_output(md5, half); /* also begins anew */
        CHECK(gnutls_hash(sha256, half, sizeof(half)) == 0);
        gnutls_hash_output(sha256, hash);
        bytes = 32;
    }
    gnutls_hash_deinit(md5, NULL);
    gnutls_hash_deinit(sha256, NULL);
}

void ingest_secret_hash(struct span secret, uint8_t ret_hash[INGEST_SECRET_HASH_BYTES])
{
    uint8_t hash[64];
    CHECK(gnutls_hash_fast(GNUTLS_DIG_SHA512, secret.bytes == 0 ? (const void *)"" : secret.data,
                           secret.bytes, hash) == 0);
    hash_rounds(hash, SECRET_ROUNDS);
    memcpy(ret_hash, hash, INGEST_SECRET_HASH_BYTES);
}

void ingest_answer(const struct ingest_challenge *challenge,
                   const uint8_t hash[INGEST_SECRET_HASH_BYTES],
                   uint8_t ret_answer[INGEST_ANSWER_BYTES])
{
    uint8_t input[sizeof(challenge->nonce) + INGEST_SECRET_HASH_BYTES];
    memcpy(input, challenge->nonce, sizeof(challenge->nonce));
    memcpy(input + sizeof(challenge->nonce), hash, INGEST_SECRET_HASH_BYTES);
    uint8_t state[64];
    CHECK(gnutls_hash_fast(GNUTLS_DIG_SHA512, input, sizeof(input), state) == 0);
    hash_rounds(state, challenge->rounds);
    memcpy(ret_answer, state, INGEST_ANSWER_BYTES);
}

const uint8_t ingest_tenant_header[INGEST_TENANT_HEADER_BYTES] = {
    'g', 'r', 'a', 'v', 'w', 'e', 'l', 'l', 0,   0,   0,   0,   0,   0,   0,   0,
    0,   0,   0,   0,   0,   0,   0,   0,   't', 'e', 'n', 'a', 'n', 't', '0', '1',
};

/* ---- the JSON of the log-in ---- */

/* The peer's decoder matches keys without regard to case, so does this. */
static json_t *member(const json_t *object, const char *name)
{
    const char *key;
    json_t *value;
    json_t *found = NULL;
    json_object_foreach((json_t *)object, key, value)
    {
        if (strcasecmp(key, name) == 0) {
            found = value;
        }
    }
    return found;
}

static int load_object(struct span text, const char *what, json_t **ret_object)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)text.data, text.bytes, 0, &error);
    if (json == NULL) {
        return err_set(ERR_PROTOCOL, "%s: not JSON: %s at byte %d", what, error.text,
                       error.position);
    }
    if (!json_is_object(json)) {
        json_decref(json);
        return err_set(ERR_PROTOCOL, "%s: not a JSON object", what);
    }
    *ret_object = json;
    return 0;
}

void ingest_state_response_write(struct buf *buf, uint32_t id, const char *info)
{
    size_t start = buf->bytes;
    wire_put_u16(buf, 0);
    buf_printf(buf, "{\"ID\":%" PRIu32 ",\"Info\":", id);
    text_json_string(buf, span_of_str(info));
    buf_append_byte(buf, '}');
    size_t bytes = buf->bytes - start - 2;
    CHECK(bytes <= INGEST_STATE_RESPONSE_BYTES_MAX);
    wire_store_u16(buf->data + start, (uint16_t)bytes);
}

int ingest_state_response_read(struct span json, struct arena *arena, uint32_t *ret_id,
                               const char **ret_info)
{
    json_t *object;
    int rc = load_object(json, "state response", &object);
    if (rc < 0) {
        return rc;
    }
    json_t *id = member(object, "ID");
    json_t *info = member(object, "Info");
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > UINT32_MAX) {
        json_decref(object);
        return err_set(ERR_PROTOCOL, "state response: no ID in it");
    }
    *ret_id = (uint32_t)json_integer_value(id);
    *ret_info = arena_strdup(arena, json_is_string(info) ? json_string_value(info) : "");
    json_decref(object);
    return 0;
}

void ingest_tag_request_write(struct buf *buf, const char *const *names, size_t count)
{
    size_t start = buf->bytes;
    wire_put_u32(buf, 0);
    buf_printf(buf, "{\"Count\":%zu,\"Tags\":[", count);
    for (size_t i = 0; i < count; i++) {
        buf_append_str(buf, i == 0 ? "" : ",");
        text_json_string(buf, span_of_str(names[i]));
    }
    buf_append_str(buf, "]}");
    wire_store_u32(buf->data + start, (uint32_t)(buf->bytes - start - 4));
}

void ingest_tag_response_write(struct buf *buf, const struct ingest_tag_list *list)
{
    size_t start = buf->bytes;
    wire_put_u32(buf, 0);
    buf_printf(buf, "{\"Count\":%zu,\"Tags\":{", list->count);
    for (size_t i = 0; i < list->count; i++) {
        buf_append_str(buf, i == 0 ? "" : ",");
        text_json_string(buf, span_of_str(list->names[i]));
        buf_printf(buf, ":%u", list->numbers[i]);
    }
    buf_append_str(buf, "}}");
    wire_store_u32(buf->data + start, (uint32_t)(buf->bytes - start - 4));
}

static int copy_tag_array(const json_t *tags, struct arena *arena, struct ingest_tag_list *list)
{
    size_t count = json_array_size(tags);
    if (count > UINT16_MAX) {
        return err_set(ERR_PROTOCOL, "tag request: %zu tags are too many", count);
    }
    list->names = arena_alloc_array(arena, count + 1, sizeof(*list->names));
    for (size_t i = 0; i < count; i++) {
        const json_t *name = json_array_get(tags, i);
        if (!json_is_string(name)) {
            return err_set(ERR_PROTOCOL, "tag request: tag %zu is no string", i);
        }
        if (arena_left(arena) < json_string_length(name) + 64) {
            return err_set(ERR_PROTOCOL, "tag request: the names are too long");
        }
        struct span trimmed = span_trim(span_of(json_string_value(name), json_string_length(name)));
        list->names[i] = arena_span_str(arena, trimmed);
    }
    list->count = count;
    return 0;
}

int ingest_tag_request_read(struct span json, struct arena *arena, struct ingest_tag_list *ret_list)
{
    json_t *object;
    int rc = load_object(json, "tag request", &object);
    if (rc < 0) {
        return rc;
    }
    const json_t *tags = member(object, "Tags");
    struct ingest_tag_list list = {0};
    if (tags == NULL || json_is_null(tags)) {
        rc = 0; /* an absent list is an empty one */
    } else if (!json_is_array(tags)) {
        rc = err_set(ERR_PROTOCOL, "tag request: Tags is no list");
    } else {
        rc = copy_tag_array(tags, arena, &list);
    }
    json_decref(object);
    if (rc == 0) {
        *ret_list = list;
    }
    return rc;
}

static int copy_tag_object(json_t *tags, struct arena *arena, struct ingest_tag_list *list)
{
    size_t count = json_object_size(tags);
    if (count > UINT16_MAX + 1) {
        return err_set(ERR_PROTOCOL, "tag response: %zu tags are too many", count);
    }
    list->names = arena_alloc_array(arena, count + 1, sizeof(*list->names));
    list->numbers = arena_alloc_array(arena, count + 1, sizeof(*list->numbers));
    const char *name;
    json_t *number;
    json_object_foreach(tags, name, number)
    {
        if (!json_is_integer(number) || json_integer_value(number) < 0 ||
            json_integer_value(number) > UINT16_MAX) {
            return err_set(ERR_PROTOCOL, "tag response: the number of a tag is none");
        }
        if (arena_left(arena) < strlen(name) + 64) {
            return err_set(ERR_PROTOCOL, "tag response: the names are too long");
        }
        list->names[list->count] = arena_strdup(arena, name);
        list->numbers[list->count] = (uint16_t)json_integer_value(number);
        list->count++;
    }
    return 0;
}

int ingest_tag_response_read(struct span json, struct arena *arena,
                             struct ingest_tag_list *ret_list)
{
    json_t *object;
    int rc = load_object(json, "tag response", &object);
    if (rc < 0) {
        return rc;
    }
    const json_t *count = member(object, "Count");
    json_t *tags = member(object, "Tags");
    struct ingest_tag_list list = {0};
    if (!json_is_integer(count)) {
        rc = err_set(ERR_PROTOCOL, "tag response: no Count in it");
    } else if (json_integer_value(count) > 0 && json_is_object(tags)) {
        rc = copy_tag_object(tags, arena, &list);
    }
    json_decref(object);
    if (rc == 0) {
        *ret_list = list;
    }
    return rc;
}

/* ---- entries ---- */

int64_t ingest_time_of_wire(int64_t seconds, uint32_t nanoseconds)
{
    int64_t unix_seconds;
    if (__builtin_sub_overflow(seconds, UNIX_OF_YEAR_ONE, &unix_seconds)) {
        return TIME_MIN_NS;
    }
    return time_of_parts(unix_seconds, nanoseconds);
}

void ingest_time_to_wire(int64_t time_ns, int64_t *ret_seconds, uint32_t *ret_nanoseconds)
{
    int64_t seconds = time_ns / TIME_S_NS;
    int64_t rest = time_ns % TIME_S_NS;
    if (rest < 0) {
        rest += TIME_S_NS;
        seconds--;
    }
    *ret_seconds = seconds + UNIX_OF_YEAR_ONE;
    *ret_nanoseconds = (uint32_t)rest;
}

void ingest_entry_header_read(const uint8_t *at, struct ingest_entry_header *ret_header)
{
    uint32_t size = wire_load_u32(at);
    ret_header->data_bytes = size & INGEST_DATA_BYTES_WIRE_MAX;
    ret_header->has_evs = (size & FLAG_EVS) != 0;
    ret_header->time_ns =
        ingest_time_of_wire((int64_t)wire_load_u64(at + 4), wire_load_u32(at + 12));
    ret_header->tag = wire_load_u16(at + 16);
    if ((size & FLAG_IPV4) != 0) { /* the other 12 bytes are what was there before */
        memcpy(ret_header->source, V4_MAPPED_PREFIX, 12);
        memcpy(ret_header->source + 12, at + 18, 4);
    } else {
        memcpy(ret_header->source, at + 18, 16);
    }
    ret_header->id = wire_load_u64(at + ENTRY_HEADER_BYTES);
}

void ingest_entry_write(struct buf *buf, const struct entry *entry, uint64_t id)
{
    CHECK(entry->data.bytes <= INGEST_DATA_BYTES_WIRE_MAX);
    bool is_v4 = memcmp(entry->source, V4_MAPPED_PREFIX, 12) == 0;
    uint32_t size = (uint32_t)entry->data.bytes;
    size |= is_v4 ? FLAG_IPV4 : 0;
    size |= entry->enumerated.bytes > 0 ? FLAG_EVS : 0;
    int64_t seconds;
    uint32_t nanoseconds;
    ingest_time_to_wire(entry->time_ns, &seconds, &nanoseconds);

    uint8_t *at = buf_reserve(buf, INGEST_ENTRY_BYTES + entry->data.bytes);
    wire_store_u32(at, INGEST_NEW_ENTRY);
    wire_store_u32(at + 4, size);
    wire_store_u64(at + 8, (uint64_t)seconds);
    wire_store_u32(at + 16, nanoseconds);
    wire_store_u16(at + 20, entry->tag);
    if (is_v4) {
        memcpy(at + 22, entry->source + 12, 4);
        memset(at + 26, 0, 12);
    } else {
        memcpy(at + 22, entry->source, 16);
    }
    wire_store_u64(at + 38, id);
    if (entry->data.bytes > 0) {
        memcpy(at + INGEST_ENTRY_BYTES, entry->data.data, entry->data.bytes);
    }
    buf->bytes += INGEST_ENTRY_BYTES + entry->data.bytes;
    buf_append(buf, entry->enumerated);
}

void ingest_message_write(struct buf *buf, enum ingest_message message)
{
    wire_put_u32(buf, (uint32_t)message);
}

void ingest_message_u64_write(struct buf *buf, enum ingest_message message, uint64_t value)
{
    wire_put_u32(buf, (uint32_t)message);
    wire_put_u64(buf, value);
}
