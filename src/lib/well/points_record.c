#include "well/points_record.h"

#define RECORD_HEADER_BYTES 8
#define PART_HEADER_BYTES 16
#define PLAIN_BYTES 16 /* of an element of a part of plain numbers */
#define FULL_BYTES 40  /* of an element of another part */
#define FULL_REST_BYTES (FULL_BYTES - 8)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "columns are copied as they are");

void points_record_begin(struct buf *buf)
{
    wire_put_u32(buf, 0);
    wire_put_u32(buf, 0);
}

static bool is_plain(const struct element *element)
{
    return element->type < ELEMENT_TEXT && element->has == 0;
}

/* The type of all of them, 0 if the part needs the full form. */
static uint8_t common_type(const struct element *elements, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (elements[i].type != elements[0].type || !is_plain(&elements[i])) {
            return 0;
        }
    }
    return elements[0].type;
}

static uint64_t plain_value(const struct element *element)
{
    return element->type == ELEMENT_BOOL ? element->value.boolean ? 1 : 0
                                         : (uint64_t)element->value.i64;
}

static void put_plain(struct buf *buf, const struct element *elements, size_t count)
{
    uint8_t *times = buf_reserve(buf, count * PLAIN_BYTES);
    uint8_t *values = times + count * 8;
    for (size_t i = 0; i < count; i++) {
        uint64_t value = plain_value(&elements[i]);
        memcpy(times + i * 8, &elements[i].time_ns, 8);
        memcpy(values + i * 8, &value, 8);
    }
    buf->bytes += count * PLAIN_BYTES;
}

static void put_full(struct buf *buf, const struct element *elements, size_t count)
{
    uint32_t text_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        wire_put_i64(buf, elements[i].time_ns);
    }
    for (size_t i = 0; i < count; i++) {
        const struct element *element = &elements[i];
        bool is_text = element->type >= ELEMENT_TEXT;
        uint32_t bytes = is_text ? (uint32_t)element->value.bytes.bytes : 0;
        wire_put_u8(buf, element->type);
        wire_put_u8(buf, element->has);
        wire_put_u16(buf, 0);
        wire_put_u32(buf, bytes);
        wire_put_u64(buf, is_text ? text_bytes : plain_value(element));
        bool has_place = (element->has & ELEMENT_HAS_LOCATION) != 0;
        wire_put_u32(buf, has_place ? element->location.latitude : 0);
        wire_put_u32(buf, has_place ? element->location.longitude : 0);
        wire_put_i64(buf, (element->has & ELEMENT_HAS_ELEVATION) != 0 ? element->elevation : 0);
        text_bytes += bytes;
    }
    for (size_t i = 0; i < count; i++) {
        if (elements[i].type >= ELEMENT_TEXT) {
            buf_append(buf, elements[i].value.bytes);
        }
    }
}

void points_record_put(struct buf *buf, size_t begin, uint32_t series,
                       const struct element *elements, size_t count)
{
    CHECK(count > 0 && count <= UINT32_MAX);
    uint8_t type = common_type(elements, count);
    size_t head = buf->bytes;
    wire_put_u32(buf, series);
    wire_put_u32(buf, (uint32_t)count);
    wire_put_u32(buf, type);
    wire_put_u32(buf, 0);
    if (type > 0) {
        put_plain(buf, elements, count);
    } else {
        put_full(buf, elements, count);
    }
    wire_store_u32(buf->data + head + 12, (uint32_t)(buf->bytes - head - PART_HEADER_BYTES));
    wire_store_u32(buf->data + begin, wire_load_u32(buf->data + begin) + 1);
    wire_store_u32(buf->data + begin + 4, wire_load_u32(buf->data + begin + 4) + (uint32_t)count);
}

struct points_part points_part_at(const uint8_t *at)
{
    struct points_part part = {
        .series = wire_load_u32(at),
        .count = wire_load_u32(at + 4),
        .type = at[8],
        .times = at + PART_HEADER_BYTES,
    };
    size_t columns = (size_t)part.count * (part.type > 0 ? PLAIN_BYTES : FULL_BYTES);
    part.values = part.times + (size_t)part.count * 8;
    part.text = span_of(part.times + columns, wire_load_u32(at + 12) - columns);
    return part;
}

static bool full_is_good(const struct points_part *part)
{
    for (size_t i = 0; i < part->count; i++) {
        const uint8_t *at = part->values + i * FULL_REST_BYTES;
        uint64_t bytes = wire_load_u32(at + 4);
        if (at[0] < ELEMENT_I64 || at[0] > ELEMENT_BYTES ||
            at[1] > (ELEMENT_HAS_LOCATION | ELEMENT_HAS_ELEVATION) || wire_load_u16(at + 2) != 0) {
            return false;
        }
        if (at[0] >= ELEMENT_TEXT && (wire_load_u64(at + 8) > part->text.bytes ||
                                      bytes > part->text.bytes - wire_load_u64(at + 8))) {
            return false;
        }
    }
    return true;
}

/* 0: it is not good. */
static size_t check_part(struct span rest, uint32_t *ret_count)
{
    if (rest.bytes < PART_HEADER_BYTES) {
        return 0;
    }
    uint64_t count = wire_load_u32(rest.data + 4);
    uint64_t bytes = wire_load_u32(rest.data + 12);
    uint32_t type = wire_load_u32(rest.data + 8);
    if (wire_load_u32(rest.data) == 0 || count == 0 || type >= ELEMENT_TEXT ||
        bytes > rest.bytes - PART_HEADER_BYTES ||
        (type > 0 ? bytes != count * PLAIN_BYTES : bytes < count * FULL_BYTES)) {
        return 0;
    }
    struct points_part part = points_part_at(rest.data);
    *ret_count = (uint32_t)count;
    return type > 0 || full_is_good(&part) ? PART_HEADER_BYTES + (size_t)bytes : 0;
}

int points_record_open(struct points_record *record, struct span payload)
{
    if (payload.bytes < RECORD_HEADER_BYTES) {
        return err_set(ERR_CORRUPT, "a record of points: cut off");
    }
    *record = (struct points_record){
        .rest = span_from(payload, RECORD_HEADER_BYTES),
        .parts = wire_load_u32(payload.data),
        .elements = wire_load_u32(payload.data + 4),
    };
    struct span rest = record->rest;
    uint64_t elements = 0;
    for (uint32_t i = 0; i < record->parts; i++) {
        uint32_t count = 0;
        size_t bytes = check_part(rest, &count);
        if (bytes == 0) {
            return err_set(ERR_CORRUPT, "a record of points: part %u of %u is damaged", i,
                           record->parts);
        }
        rest = span_from(rest, bytes);
        elements += count;
    }
    if (rest.bytes != 0 || elements != record->elements) {
        return err_set(ERR_CORRUPT, "a record of points: its counts do not fit");
    }
    return 0;
}

bool points_record_next(struct points_record *record, struct points_part *ret_part)
{
    if (record->rest.bytes == 0) {
        return false;
    }
    *ret_part = points_part_at(record->rest.data);
    size_t bytes = PART_HEADER_BYTES + (size_t)wire_load_u32(record->rest.data + 12);
    record->rest = span_from(record->rest, bytes);
    return true;
}

struct element points_part_element(const struct points_part *part, size_t i)
{
    struct element element = {.time_ns = points_part_time(part, i), .type = part->type};
    const uint8_t *value = part->values + i * 8;
    if (part->type == 0) {
        const uint8_t *at = part->values + i * FULL_REST_BYTES;
        element.type = at[0];
        element.has = at[1];
        element.location.latitude = wire_load_u32(at + 16);
        element.location.longitude = wire_load_u32(at + 20);
        element.elevation = (int64_t)wire_load_u64(at + 24);
        value = at + 8;
        if (element.type >= ELEMENT_TEXT) {
            element.value.bytes =
                span_of(part->text.data + wire_load_u64(value), wire_load_u32(at + 4));
            return element;
        }
    }
    if (element.type == ELEMENT_BOOL) {
        element.value.boolean = wire_load_u64(value) != 0;
    } else {
        element.value.i64 = (int64_t)wire_load_u64(value);
    }
    return element;
}
