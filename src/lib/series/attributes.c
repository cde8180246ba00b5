#include "series/attributes.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/vec.h"
#include "base/wire.h"

/* One that is being put together; texts are borrowed. */
struct draft_item {
    struct span name;
    struct span value;
    struct stamp stamp;
    bool removed;
};

struct draft {
    struct stamp cleared;
    VEC(struct draft_item) items;
};

static const uint8_t *texts(const struct attributes *attributes)
{
    return (const uint8_t *)(attributes->items + attributes->count);
}

struct span attribute_name(const struct attributes *attributes, size_t index)
{
    const struct attribute *item = &attributes->items[index];
    return span_of(texts(attributes) + item->name_at, item->name_bytes);
}

struct span attribute_value(const struct attributes *attributes, size_t index)
{
    const struct attribute *item = &attributes->items[index];
    return span_of(texts(attributes) + item->name_at + item->name_bytes, item->value_bytes);
}

const struct attribute *attributes_find(const struct attributes *attributes, struct span name)
{
    for (size_t i = 0; attributes != NULL && i < attributes->count; i++) {
        if (!attributes->items[i].removed && span_equal(attribute_name(attributes, i), name)) {
            return &attributes->items[i];
        }
    }
    return NULL;
}

static int by_name(const void *left, const void *right)
{
    const struct draft_item *a = left;
    const struct draft_item *b = right;
    return span_compare(a->name, b->name);
}

/* Makes the value and empties the draft. */
static struct attributes *finish(struct draft *draft)
{
    if (draft->items.count > 1) {
        qsort(draft->items.items, draft->items.count, sizeof(struct draft_item), by_name);
    }
    size_t bytes = 0;
    for (size_t i = 0; i < draft->items.count; i++) {
        bytes += draft->items.items[i].name.bytes + draft->items.items[i].value.bytes;
    }
    struct attributes *made =
        mem_alloc(sizeof(*made) + draft->items.count * sizeof(struct attribute) + bytes);
    made->cleared = draft->cleared;
    made->count = (uint32_t)draft->items.count;
    made->texts_bytes = (uint32_t)bytes;
    uint8_t *at = (uint8_t *)(made->items + made->count);
    uint8_t *begin = at;
    for (size_t i = 0; i < draft->items.count; i++) {
        const struct draft_item *item = &draft->items.items[i];
        made->items[i] = (struct attribute){
            .stamp = item->stamp,
            .name_at = (uint32_t)(at - begin),
            .name_bytes = (uint32_t)item->name.bytes,
            .value_bytes = (uint32_t)item->value.bytes,
            .removed = item->removed,
        };
        at = mempcpy(at, item->name.bytes > 0 ? item->name.data : at, item->name.bytes);
        at = mempcpy(at, item->value.bytes > 0 ? item->value.data : at, item->value.bytes);
    }
    vec_deinit(&draft->items);
    return made;
}

static void put(struct draft *draft, struct series_attribute attribute, struct stamp stamp,
                const struct series_origins *origins)
{
    struct draft_item item = {attribute.name, attribute.removed ? SPAN_NONE : attribute.value,
                              stamp, attribute.removed};
    for (size_t i = 0; i < draft->items.count; i++) {
        struct draft_item *known = &draft->items.items[i];
        if (span_equal(known->name, item.name)) {
            if (series_stamp_compare(origins, known->stamp, stamp) <= 0) {
                *known = item;
            }
            return;
        }
    }
    vec_push(&draft->items, item);
}

struct attributes *attributes_changed(const struct attributes *old, struct series_meta meta,
                                      struct stamp stamp, const struct series_origins *origins)
{
    struct draft draft = {0};
    if (old != NULL) {
        draft.cleared = old->cleared;
    }
    bool late = series_stamp_compare(origins, stamp, draft.cleared) < 0;
    bool replace = meta.replace && !late;
    if (replace) {
        draft.cleared = stamp;
    }
    for (size_t i = 0; old != NULL && i < old->count; i++) {
        const struct attribute *item = &old->items[i];
        if (!replace || series_stamp_compare(origins, item->stamp, stamp) > 0) {
            vec_push(&draft.items,
                     (struct draft_item){attribute_name(old, i), attribute_value(old, i),
                                         item->stamp, item->removed});
        }
    }
    struct series_attribute attribute;
    while (!late && series_meta_attribute(&meta, &attribute)) {
        put(&draft, attribute, stamp, origins);
    }
    return finish(&draft);
}

static void write_stamp(struct buf *buf, struct stamp stamp)
{
    wire_put_u64(buf, stamp.time);
    wire_put_u16(buf, stamp.origin);
}

static struct stamp read_stamp(struct wire_reader *reader)
{
    struct stamp stamp = {.time = wire_get_u64(reader)};
    stamp.origin = wire_get_u16(reader);
    return stamp;
}

void attributes_write(struct buf *buf, const struct attributes *attributes)
{
    write_stamp(buf, attributes->cleared);
    wire_put_varint(buf, attributes->count);
    for (size_t i = 0; i < attributes->count; i++) {
        write_stamp(buf, attributes->items[i].stamp);
        wire_put_u8(buf, attributes->items[i].removed);
        wire_put_bytes(buf, attribute_name(attributes, i));
        wire_put_bytes(buf, attribute_value(attributes, i));
    }
}

bool attributes_read(struct wire_reader *reader, struct attributes **ret_attributes)
{
    struct draft draft = {.cleared = read_stamp(reader)};
    uint64_t count = wire_get_varint(reader);
    for (uint64_t i = 0; !reader->failed && i < count; i++) {
        struct draft_item item = {.stamp = read_stamp(reader)};
        item.removed = wire_get_u8(reader) != 0;
        item.name = wire_get_bytes(reader, SERIES_ATTRIBUTE_BYTES_MAX);
        item.value = wire_get_bytes(reader, SERIES_ATTRIBUTE_BYTES_MAX);
        vec_push(&draft.items, item);
    }
    if (reader->failed) {
        vec_deinit(&draft.items);
        return false;
    }
    *ret_attributes = finish(&draft);
    return true;
}
