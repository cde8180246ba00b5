#include "series/entry.h"

#include <arpa/inet.h>

#include "base/err.h"
#include "base/wire.h"

/*
 * A run: u32 entries, u16 tags, u16 zero; per tag u16 number, u16 name bytes, name; per entry
 * i64 time, u16 tag, 16 bytes source, u32 data bytes, u32 EV bytes, data, EV block.
 */
#define RUN_HEADER_BYTES 8
#define ENTRY_HEADER_BYTES 34
#define AHEAD_BYTES 2048 /* are asked for early: only each entry says where the next begins */

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void entry_source_of_v4(const uint8_t v4[4], uint8_t ret_source[ENTRY_SOURCE_BYTES])
{
    memcpy(ret_source, v4_prefix, sizeof(v4_prefix));
    memcpy(ret_source + sizeof(v4_prefix), v4, 4);
}

void entry_source_text(struct buf *buf, const uint8_t source[ENTRY_SOURCE_BYTES])
{
    char text[INET6_ADDRSTRLEN];
    bool is_v4 = memcmp(source, v4_prefix, sizeof(v4_prefix)) == 0;
    const void *at = is_v4 ? source + sizeof(v4_prefix) : source;
    buf_append_str(buf, inet_ntop(is_v4 ? AF_INET : AF_INET6, at, text, sizeof(text)));
}

bool entry_source_parse(struct span text, uint8_t ret_source[ENTRY_SOURCE_BYTES])
{
    char copy[INET6_ADDRSTRLEN];
    uint8_t v4[4];
    uint8_t v6[16];
    if (text.bytes == 0 || text.bytes >= sizeof(copy) || span_find_byte(text, 0) >= 0) {
        return false;
    }
    memcpy(copy, text.data, text.bytes);
    copy[text.bytes] = 0;
    if (inet_pton(AF_INET, copy, v4) == 1) {
        entry_source_of_v4(v4, ret_source);
        return true;
    }
    if (inet_pton(AF_INET6, copy, v6) == 1) {
        memcpy(ret_source, v6, sizeof(v6));
        return true;
    }
    return false;
}

/* The name table; returns how many tags it has. */
static uint16_t put_names(struct buf *buf, const struct entry *entries, size_t count,
                          struct span (*name_of)(void *context, uint16_t tag), void *context)
{
    uint64_t seen[UINT16_MAX / 64 + 1];
    if (count > 1) {
        memset(seen, 0, sizeof(seen));
    }
    uint16_t tags = 0;
    for (size_t i = 0; i < count; i++) {
        uint16_t tag = entries[i].tag;
        if (count > 1) {
            uint64_t bit = UINT64_C(1) << (tag % 64);
            if ((seen[tag / 64] & bit) != 0) {
                continue;
            }
            seen[tag / 64] |= bit;
        }
        struct span name = name_of(context, tag);
        wire_put_u16(buf, tag);
        wire_put_u16(buf, (uint16_t)name.bytes);
        buf_append(buf, name);
        tags++;
    }
    return tags;
}

size_t entries_bytes(const struct entry *entry)
{
    return ENTRY_HEADER_BYTES + entry->data.bytes + entry->enumerated.bytes;
}

static void put_entry(struct buf *buf, const struct entry *entry)
{
    uint8_t *at = buf_reserve(buf, entries_bytes(entry));
    wire_store_u64(at, (uint64_t)entry->time_ns);
    wire_store_u16(at + 8, entry->tag);
    memcpy(at + 10, entry->source, ENTRY_SOURCE_BYTES);
    wire_store_u32(at + 26, (uint32_t)entry->data.bytes);
    wire_store_u32(at + 30, (uint32_t)entry->enumerated.bytes);
    buf->bytes += ENTRY_HEADER_BYTES;
    buf_append(buf, entry->data);
    buf_append(buf, entry->enumerated);
}

void entries_encode(struct buf *buf, const struct entry *entries, size_t count,
                    struct span (*name_of)(void *context, uint16_t tag), void *context)
{
    CHECK(count <= UINT32_MAX);
    size_t begin = buf->bytes;
    wire_put_u32(buf, (uint32_t)count);
    wire_put_u32(buf, 0);
    uint16_t tags = put_names(buf, entries, count, name_of, context);
    wire_store_u16(buf->data + begin + 4, tags);
    for (size_t i = 0; i < count; i++) {
        put_entry(buf, &entries[i]);
    }
}

void entries_entry_at(const uint8_t *at, struct entry *ret_entry)
{
    size_t data_bytes = wire_load_u32(at + 26);
    ret_entry->time_ns = (int64_t)wire_load_u64(at);
    ret_entry->tag = wire_load_u16(at + 8);
    memcpy(ret_entry->source, at + 10, ENTRY_SOURCE_BYTES);
    ret_entry->data = span_of(at + ENTRY_HEADER_BYTES, data_bytes);
    ret_entry->enumerated = span_of(at + ENTRY_HEADER_BYTES + data_bytes, wire_load_u32(at + 30));
    ret_entry->stamp = (struct stamp){0};
}

const uint8_t *entries_place(const struct entry *entry)
{
    return entry->data.data - ENTRY_HEADER_BYTES;
}

static bool skip_entry(struct span *rest)
{
    if (rest->bytes < ENTRY_HEADER_BYTES) {
        return false;
    }
    uint64_t bytes = ENTRY_HEADER_BYTES + (uint64_t)wire_load_u32(rest->data + 26) +
                     wire_load_u32(rest->data + 30);
    if (bytes > rest->bytes) {
        return false;
    }
    *rest = span_from(*rest, (size_t)bytes);
    __builtin_prefetch(rest->data + AHEAD_BYTES);
    return true;
}

static bool skip_tag(struct span *rest)
{
    if (rest->bytes < 4 || rest->bytes - 4 < wire_load_u16(rest->data + 2)) {
        return false;
    }
    *rest = span_from(*rest, 4 + (size_t)wire_load_u16(rest->data + 2));
    return true;
}

int entries_open(struct entries *entries, struct span encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    uint32_t count = wire_get_u32(&reader);
    uint16_t tags = wire_get_u16(&reader);
    uint16_t zero = wire_get_u16(&reader);
    if (reader.failed || zero != 0) {
        return err_set(ERR_CORRUPT, "a run of entries: bad header");
    }
    struct span rest = reader.rest;
    for (uint16_t i = 0; i < tags; i++) {
        if (!skip_tag(&rest)) {
            return err_set(ERR_CORRUPT, "a run of entries: tag %u of %u is cut off", i, tags);
        }
    }
    *entries = (struct entries){
        .encoded = encoded,
        .tags = span_first(reader.rest, reader.rest.bytes - rest.bytes),
        .rest = rest,
        .count = count,
    };
    for (uint32_t i = 0; i < count; i++) {
        if (!skip_entry(&rest)) {
            return err_set(ERR_CORRUPT, "a run of entries: entry %u of %u is cut off", i, count);
        }
    }
    if (rest.bytes != 0) {
        return err_set(ERR_CORRUPT, "a run of entries: %zu bytes too many", rest.bytes);
    }
    return 0;
}

bool entries_next(struct entries *entries, struct entry *ret_entry)
{
    if (entries->rest.bytes == 0) {
        return false;
    }
    entries_entry_at(entries->rest.data, ret_entry);
    entries->rest = span_from(entries->rest, entries_bytes(ret_entry));
    return true;
}

bool entries_next_tag(struct entries *entries, uint16_t *ret_tag, struct span *ret_name)
{
    if (entries->tags.bytes == 0) {
        return false;
    }
    *ret_tag = wire_load_u16(entries->tags.data);
    *ret_name = span_of(entries->tags.data + 4, wire_load_u16(entries->tags.data + 2));
    entries->tags = span_from(entries->tags, 4 + ret_name->bytes);
    return true;
}
