/* Tested by snapshot_test.c. */
#include "indexer/element_hash.h"

#include <string.h>

#include "base/hash.h"
#include "base/wire.h"

/* Fixed parts, and hashes of what has a length of its own. */
struct parts {
    int64_t time_ns;
    uint64_t stamp_time;
    uint8_t node[16];
    uint64_t incarnation;
    uint64_t name;
    uint64_t data;
    uint64_t rest;
    uint8_t source[16];
};

static void put_stamp(struct storage *storage, struct stamp stamp, struct parts *parts)
{
    struct series_origin origin;
    parts->stamp_time = stamp.time;
    if (series_origins_get(storage_origins(storage), stamp.origin, &origin)) {
        memcpy(parts->node, origin.node.bytes, sizeof(parts->node));
        parts->incarnation = origin.incarnation;
    }
}

uint64_t entry_hash(struct storage *storage, const struct entry *entry, uint64_t seed)
{
    struct parts parts = {.time_ns = entry->time_ns};
    put_stamp(storage, entry->stamp, &parts);
    parts.name = hash64_seeded(series_tags_name(storage_tags(storage), entry->tag), seed);
    parts.data = hash64_seeded(entry->data, seed);
    parts.rest = hash64_seeded(entry->enumerated, seed);
    memcpy(parts.source, entry->source, sizeof(parts.source));
    return hash64_seeded(span_of(&parts, sizeof(parts)), seed);
}

uint64_t meta_hash(struct storage *storage, struct span metas, struct stamp stamp, uint64_t seed)
{
    struct parts parts = {.data = hash64_seeded(metas, seed)};
    put_stamp(storage, stamp, &parts);
    return hash64_seeded(span_of(&parts, sizeof(parts)), seed);
}

uint64_t point_hash(struct storage *storage, struct span key, const struct element *element,
                    uint64_t seed)
{
    struct parts parts = {.time_ns = element->time_ns};
    put_stamp(storage, element->stamp, &parts);
    parts.name = hash64_seeded(key, seed);
    parts.data = element->type >= ELEMENT_TEXT   ? hash64_seeded(element->value.bytes, seed)
                 : element->type == ELEMENT_BOOL ? (element->value.boolean ? 1 : 0)
                                                 : (uint64_t)element->value.i64;
    parts.rest = ((uint64_t)element->type << 8 | element->has) * UINT64_C(0x9e3779b97f4a7c15);
    if ((element->has & ELEMENT_HAS_LOCATION) != 0) {
        wire_store_u32(parts.source, element->location.latitude);
        wire_store_u32(parts.source + 4, element->location.longitude);
    }
    if ((element->has & ELEMENT_HAS_ELEVATION) != 0) {
        wire_store_u64(parts.source + 8, (uint64_t)element->elevation);
    }
    return hash64_seeded(span_of(&parts, sizeof(parts)), seed);
}
