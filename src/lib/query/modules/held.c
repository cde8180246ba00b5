/* Tested by modules_test.c and spill_test.c. */
#include "query/modules/held.h"

#include "base/wire.h"

#define BLOCK_ENTRIES 4096
#define BLOCK_BYTES ((size_t)1024 * 1024)

void held_put(const struct query_block *block, size_t index, struct buf *buf)
{
    const struct entry *entry = &block->entries[index];
    wire_put_i64(buf, entry->time_ns);
    wire_put_u16(buf, entry->tag);
    buf_append(buf, span_of(entry->source, sizeof(entry->source)));
    wire_put_u32(buf, (uint32_t)entry->data.bytes);
    buf_append(buf, entry->data);
    query_block_put_evs(block, index, buf, NULL, NULL);
}

void held_block_deinit(struct held_block *held)
{
    vec_deinit(&held->entries);
    vec_deinit(&held->picks);
    buf_deinit(&held->bytes);
}

void held_block_clear(struct held_block *held)
{
    vec_clear(&held->entries);
    vec_clear(&held->picks);
    buf_clear(&held->bytes);
}

bool held_block_is_full(const struct held_block *held)
{
    return held->entries.count >= BLOCK_ENTRIES || held->bytes.bytes >= BLOCK_BYTES;
}

void held_block_add(struct held_block *held, struct span bytes)
{
    struct entry entry = {0};
    struct wire_reader reader = wire_reader_of(bytes);
    entry.time_ns = wire_get_i64(&reader);
    entry.tag = wire_get_u16(&reader);
    struct span source = wire_get_raw(&reader, sizeof(entry.source));
    entry.data = wire_get_raw(&reader, wire_get_u32(&reader));
    CHECK(!reader.failed);
    memcpy(entry.source, source.data, sizeof(entry.source));
    entry.enumerated.bytes = reader.rest.bytes;
    buf_append(&held->bytes, entry.data);
    buf_append(&held->bytes, reader.rest);
    vec_push(&held->picks, (uint32_t)held->entries.count);
    vec_push(&held->entries, entry);
}

bool held_block_give(struct held_block *held, struct query_block *block)
{
    const uint8_t *at = held->bytes.data;
    for (size_t i = 0; i < held->entries.count; i++) {
        struct entry *entry = &held->entries.items[i];
        entry->data.data = at;
        entry->enumerated.data = at + entry->data.bytes;
        at = entry->enumerated.data + entry->enumerated.bytes;
    }
    block->entries = held->entries.items;
    block->picks = held->picks.items;
    block->count = held->entries.count;
    return block->count > 0;
}
