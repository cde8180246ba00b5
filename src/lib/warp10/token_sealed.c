/* The tokens of a real Warp 10. Tested by token_test.c. */
#include "base/err.h"
#include "base/uuid.h"
#include "warp10/keywrap.h"
#include "warp10/opb64.h"
#include "warp10/siphash.h"
#include "warp10/thrift.h"
#include "warp10/token_internal.h"

#define SUM_BYTES 8
#define TYPE_READ 1
#define TYPE_WRITE 2

static void put_sum(uint8_t at[SUM_BYTES], struct span hash_key, struct span descriptor)
{
    uint64_t sum = siphash_mirrored(siphash_key_of(hash_key.data), descriptor);
    for (unsigned i = 0; i < SUM_BYTES; i++) {
        at[i] = (uint8_t)(sum >> (56 - 8 * i));
    }
}

int token_seal(struct buf *buf, struct span aes, struct span hash_key, struct span descriptor)
{
    struct buf plain = {0};
    struct buf sealed = {0};
    uint8_t sum[SUM_BYTES];
    CHECK(hash_key.bytes == SIPHASH_KEY_BYTES);
    put_sum(sum, hash_key, descriptor);
    buf_append(&plain, span_of(sum, sizeof(sum)));
    buf_append(&plain, descriptor);
    int rc = keywrap_seal(&sealed, aes, buf_span(&plain));
    if (rc == 0) {
        opb64_encode(buf, buf_span(&sealed));
    }
    buf_deinit(&plain);
    buf_deinit(&sealed);
    return rc;
}

int token_open(struct buf *descriptor, struct span aes, struct span hash_key, struct span token)
{
    struct buf sealed = {0};
    struct buf plain = {0};
    uint8_t sum[SUM_BYTES];
    CHECK(hash_key.bytes == SIPHASH_KEY_BYTES);
    bool good = opb64_decode(&sealed, token) && keywrap_open(&plain, aes, buf_span(&sealed)) == 0 &&
                plain.bytes >= SUM_BYTES;
    if (good) {
        struct span rest = span_from(buf_span(&plain), SUM_BYTES);
        put_sum(sum, hash_key, rest);
        good = memcmp(sum, plain.data, SUM_BYTES) == 0;
        if (good) {
            buf_append(descriptor, rest);
        }
    }
    buf_deinit(&sealed);
    buf_deinit(&plain);
    return good ? 0 : err_set(ERR_AUTH, "Invalid token.");
}

/* ── Descriptors ─────────────────────────────────────────────────────────────────────────── */

static struct span uuid_of(struct arena *arena, struct thrift_reader *reader)
{
    struct span bytes = thrift_binary(reader);
    struct uuid uuid;
    char text[UUID_TEXT_BYTES];
    if (bytes.bytes != sizeof(uuid.bytes)) {
        reader->failed = true;
        return SPAN_NONE;
    }
    memcpy(uuid.bytes, bytes.data, sizeof(uuid.bytes));
    return span_of_str(arena_strdup(arena, uuid_text(uuid, text)));
}

static void read_list(struct arena *arena, struct thrift_reader *reader, bool uuids,
                      struct token_list *list)
{
    enum thrift_type type;
    size_t count = thrift_list(reader, &type);
    if (count > TOKEN_LIST_MAX || (count > 0 && type != THRIFT_BINARY)) {
        reader->failed = true;
        return;
    }
    *list = (struct token_list){arena_alloc_array(arena, count + 1, sizeof(struct span)), count};
    for (size_t i = 0; i < count; i++) {
        list->items[i] = uuids ? uuid_of(arena, reader) : thrift_binary(reader);
    }
}

static void read_map(struct arena *arena, struct thrift_reader *reader, struct token_pairs *pairs)
{
    enum thrift_type key;
    enum thrift_type value;
    size_t count = thrift_map(reader, &key, &value);
    if (count > TOKEN_LIST_MAX || (count > 0 && (key != THRIFT_BINARY || value != THRIFT_BINARY))) {
        reader->failed = true;
        return;
    }
    *pairs =
        (struct token_pairs){arena_alloc_array(arena, count + 1, sizeof(struct token_pair)), count};
    for (size_t i = 0; i < count; i++) {
        pairs->items[i].name = thrift_binary(reader);
        pairs->items[i].value = thrift_binary(reader);
    }
}

/* Fields that both kinds have, then those of each kind. False: not one of these. */
static bool read_common(struct thrift_reader *reader, int16_t id, enum thrift_type type,
                        struct token *token, int64_t *kind)
{
    if (id == 1 && type == THRIFT_I64) {
        token->issued_ms = thrift_int(reader);
    } else if (id == 2 && type == THRIFT_I64) {
        token->expiry_ms = thrift_int(reader);
    } else if (id == 3 && type == THRIFT_I32) {
        *kind = thrift_int(reader);
    } else if (id == 7 && type == THRIFT_BINARY) {
        token->application = thrift_binary(reader);
    } else {
        return false;
    }
    return true;
}

static bool read_write_field(struct arena *arena, struct thrift_reader *reader, int16_t id,
                             enum thrift_type type, struct token *token)
{
    if (id == 5 && type == THRIFT_BINARY) {
        token->producer = uuid_of(arena, reader);
    } else if (id == 6 && type == THRIFT_BINARY) {
        token->owner = uuid_of(arena, reader);
    } else if (id == 9 && type == THRIFT_MAP) {
        read_map(arena, reader, &token->labels);
    } else if (id == 10 && type == THRIFT_MAP) {
        read_map(arena, reader, &token->attributes);
    } else {
        return false;
    }
    return true;
}

static bool read_read_field(struct arena *arena, struct thrift_reader *reader, int16_t id,
                            enum thrift_type type, struct token *token)
{
    if (id == 8 && type == THRIFT_LIST) {
        read_list(arena, reader, false, &token->applications);
    } else if (id == 9 && type == THRIFT_LIST) {
        read_list(arena, reader, true, &token->owners);
    } else if (id == 10 && type == THRIFT_LIST) {
        read_list(arena, reader, true, &token->producers);
    } else if (id == 12 && type == THRIFT_MAP) {
        struct token_pairs hooks = {0};
        read_map(arena, reader, &hooks);
        token->has_hooks = hooks.count > 0;
    } else if (id == 13 && type == THRIFT_MAP) {
        read_map(arena, reader, &token->attributes);
    } else if (id == 14 && type == THRIFT_MAP) {
        read_map(arena, reader, &token->labels);
    } else {
        return false;
    }
    return true;
}

int token_descriptor_read(struct arena *arena, struct span bytes, struct token *ret_token)
{
    struct thrift_reader reader = thrift_reader_of(bytes);
    struct token token = {0};
    int64_t kind = 0;
    int16_t id;
    enum thrift_type type;
    while (thrift_next(&reader, &id, &type)) {
        bool known = read_common(&reader, id, type, &token, &kind) ||
                     (kind == TYPE_WRITE && read_write_field(arena, &reader, id, type, &token)) ||
                     (kind == TYPE_READ && read_read_field(arena, &reader, id, type, &token));
        if (!known) {
            thrift_skip(&reader, type);
        }
    }
    /* Conditions begin with = or ~; the map has them as they stand in a selector. */
    for (size_t i = 0; kind == TYPE_READ && i < token.labels.count; i++) {
        struct span *value = &token.labels.items[i].value;
        if (value->bytes == 0 || (value->data[0] != '=' && value->data[0] != '~')) {
            *value = span_of_str(arena_printf(arena, "=%.*s", SPAN_ARG(*value)));
        }
    }
    token.write = kind == TYPE_WRITE;
    *ret_token = token;
    return !reader.failed && (kind == TYPE_READ || kind == TYPE_WRITE)
               ? 0
               : err_set(ERR_AUTH, "Invalid token.");
}
