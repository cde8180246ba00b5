#include "series/records.h"

#include <inttypes.h>

#include "base/wire.h"
#include "series/selector.h"

#define META_REPLACE 1
#define ATTRIBUTE_REMOVED 1
#define FORM 1 /* first byte of each payload: how the rest is written */

static int begin_read(struct span *rest, struct span payload, const char *what)
{
    if (payload.bytes == 0 || payload.data[0] != FORM) {
        return err_set(ERR_CORRUPT, "%s: a form that is not known", what);
    }
    *rest = span_from(payload, 1);
    return 0;
}

void series_definitions_begin(struct buf *buf)
{
    wire_put_u8(buf, FORM);
}

void series_definitions_put(struct buf *buf, const struct series_definition *definition)
{
    wire_put_u32(buf, definition->number);
    wire_put_bytes(buf, definition->key);
}

static bool take_definition(struct span *rest, struct series_definition *ret_definition)
{
    struct wire_reader reader = wire_reader_of(*rest);
    ret_definition->number = wire_get_u32(&reader);
    ret_definition->key = wire_get_bytes(&reader, SERIES_KEY_BYTES_MAX);
    *rest = reader.rest;
    return !reader.failed;
}

int series_definitions_open(struct series_definitions *reader, struct span payload)
{
    int rc = begin_read(&reader->rest, payload, "definitions of series");
    struct span rest = reader->rest;
    while (rc == 0 && rest.bytes > 0) {
        struct series_definition definition;
        size_t at = payload.bytes - rest.bytes;
        if (!take_definition(&rest, &definition) || definition.number == 0 ||
            series_key_check(definition.key) < 0) {
            return err_set(ERR_CORRUPT, "definitions of series: byte %zu begins none", at);
        }
    }
    return rc;
}

bool series_definitions_next(struct series_definitions *reader,
                             struct series_definition *ret_definition)
{
    return reader->rest.bytes > 0 && take_definition(&reader->rest, ret_definition);
}

void series_metas_begin(struct buf *buf)
{
    wire_put_u8(buf, FORM);
}

int series_metas_put(struct buf *buf, struct span key, bool replace,
                     const struct series_attribute *attributes, size_t count)
{
    if (count > SERIES_ATTRIBUTES_MAX) {
        return err_set(ERR_TOO_LARGE, "%zu attributes, at most %d are allowed", count,
                       SERIES_ATTRIBUTES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (attributes[i].name.bytes + attributes[i].value.bytes > SERIES_ATTRIBUTE_BYTES_MAX) {
            return err_set(ERR_TOO_LARGE, "an attribute is over %d bytes",
                           SERIES_ATTRIBUTE_BYTES_MAX);
        }
    }
    wire_put_bytes(buf, key);
    wire_put_u8(buf, replace ? META_REPLACE : 0);
    wire_put_varint(buf, count);
    for (size_t i = 0; i < count; i++) {
        wire_put_u8(buf, attributes[i].removed ? ATTRIBUTE_REMOVED : 0);
        wire_put_bytes(buf, attributes[i].name);
        wire_put_bytes(buf, attributes[i].value);
    }
    return 0;
}

static bool take_attribute(struct wire_reader *reader, struct series_attribute *ret_attribute)
{
    uint8_t flags = wire_get_u8(reader);
    ret_attribute->removed = flags == ATTRIBUTE_REMOVED;
    ret_attribute->name = wire_get_bytes(reader, SERIES_ATTRIBUTE_BYTES_MAX);
    ret_attribute->value = wire_get_bytes(reader, SERIES_ATTRIBUTE_BYTES_MAX);
    return !reader->failed && flags <= ATTRIBUTE_REMOVED &&
           ret_attribute->name.bytes + ret_attribute->value.bytes <= SERIES_ATTRIBUTE_BYTES_MAX;
}

static bool take_meta(struct span *rest, struct series_meta *ret_meta)
{
    struct wire_reader reader = wire_reader_of(*rest);
    ret_meta->key = wire_get_bytes(&reader, SERIES_KEY_BYTES_MAX);
    uint8_t flags = wire_get_u8(&reader);
    uint64_t count = wire_get_varint(&reader);
    if (reader.failed || flags > META_REPLACE || count > SERIES_ATTRIBUTES_MAX) {
        return false;
    }
    ret_meta->replace = flags == META_REPLACE;
    ret_meta->count = (uint32_t)count;
    ret_meta->attributes = reader.rest;
    for (uint64_t i = 0; i < count; i++) {
        struct series_attribute attribute;
        if (!take_attribute(&reader, &attribute)) {
            return false;
        }
    }
    ret_meta->attributes.bytes -= reader.rest.bytes;
    *rest = reader.rest;
    return true;
}

int series_metas_open(struct series_metas *reader, struct span payload)
{
    int rc = begin_read(&reader->rest, payload, "attributes of series");
    struct span rest = reader->rest;
    while (rc == 0 && rest.bytes > 0) {
        struct series_meta meta;
        size_t at = payload.bytes - rest.bytes;
        if (!take_meta(&rest, &meta) || series_key_check(meta.key) < 0) {
            return err_set(ERR_CORRUPT, "attributes of series: byte %zu begins none", at);
        }
    }
    return rc;
}

bool series_metas_next(struct series_metas *reader, struct series_meta *ret_meta)
{
    return reader->rest.bytes > 0 && take_meta(&reader->rest, ret_meta);
}

bool series_meta_attribute(struct series_meta *meta, struct series_attribute *ret_attribute)
{
    if (meta->attributes.bytes == 0) {
        return false;
    }
    struct wire_reader reader = wire_reader_of(meta->attributes);
    bool good = take_attribute(&reader, ret_attribute);
    meta->attributes = reader.rest;
    return good;
}

void series_delete_encode(struct buf *buf, const struct series_delete *deletion)
{
    wire_put_u8(buf, FORM);
    wire_put_u8(buf, deletion->flags);
    wire_put_i64(buf, deletion->start_ns);
    wire_put_i64(buf, deletion->end_ns);
    buf_append(buf, deletion->selector);
}

int series_delete_decode(struct span payload, struct series_delete *ret_deletion)
{
    struct wire_reader reader = {0};
    int rc = begin_read(&reader.rest, payload, "delete");
    if (rc < 0) {
        return rc;
    }
    struct series_delete deletion = {.flags = wire_get_u8(&reader),
                                     .start_ns = wire_get_i64(&reader),
                                     .end_ns = wire_get_i64(&reader)};
    deletion.selector = reader.rest;
    bool whole = (deletion.flags & SERIES_DELETE_WHOLE) != 0;
    bool everything = deletion.start_ns == INT64_MIN &&
                      (deletion.end_ns == INT64_MAX || deletion.end_ns == INT64_MIN);
    if (reader.failed || deletion.flags > (SERIES_DELETE_WHOLE | SERIES_DELETE_EXACT) ||
        deletion.start_ns > deletion.end_ns || (whole && !everything)) {
        return err_set(ERR_CORRUPT, "delete: flags %u from %" PRId64 " to %" PRId64, deletion.flags,
                       deletion.start_ns, deletion.end_ns);
    }
    struct series_selector *selector = NULL;
    rc = series_selector_parse(deletion.selector, series_delete_selector_flags(&deletion),
                               &selector, NULL);
    series_selector_free(&selector);
    if (rc < 0) {
        return err_wrap(ERR_CORRUPT, "delete");
    }
    *ret_deletion = deletion;
    return 0;
}

unsigned series_delete_selector_flags(const struct series_delete *deletion)
{
    return (deletion->flags & SERIES_DELETE_EXACT) != 0 ? SERIES_SELECTOR_EXACT
                                                        : SERIES_SELECTOR_LABELS_ONLY;
}
