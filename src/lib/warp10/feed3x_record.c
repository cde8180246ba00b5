/* Tested by feed3x_test.c. */
#include "warp10/feed3x_record.h"

#include "warp10/thrift.h"

#define TOKEN_WRITE 2
#define TOKEN_EXPIRY_MS INT64_C(4102444800000) /* 2100: records are not asked for it */

const char *feed3x_record_name(enum feed3x_record_type type)
{
    static const char *const names[] = {"",         "UPDATE",     "DELETE",
                                        "REGISTER", "UNREGISTER", "KVSTORE"};
    return (size_t)type < ARRAY_COUNT(names) ? names[type] : "";
}

/* ── Reading ─────────────────────────────────────────────────────────────────────────────── */

static void read_pairs(struct arena *arena, struct thrift_reader *reader,
                       struct feed3x_pairs *pairs)
{
    enum thrift_type key;
    enum thrift_type value;
    size_t count = thrift_map(reader, &key, &value);
    size_t bytes = (count + 1) * sizeof(*pairs->items);
    if (count > FEED3X_PAIRS_MAX || bytes > arena_left(arena) ||
        (count > 0 && (key != THRIFT_BINARY || value != THRIFT_BINARY))) {
        reader->failed = true;
        return;
    }
    pairs->items = arena_alloc_array(arena, count + 1, sizeof(*pairs->items));
    pairs->count = count;
    for (size_t i = 0; i < count; i++) {
        pairs->items[i].name = thrift_binary(reader);
        pairs->items[i].value = thrift_binary(reader);
    }
}

static void read_metadata(struct arena *arena, struct thrift_reader *reader,
                          struct feed3x_record *record)
{
    int16_t outer = thrift_enter(reader);
    int16_t id;
    enum thrift_type type;
    while (thrift_next(reader, &id, &type)) {
        if (id == 1 && type == THRIFT_BINARY) {
            record->class = thrift_binary(reader);
        } else if (id == 2 && type == THRIFT_MAP) {
            read_pairs(arena, reader, &record->labels);
        } else if (id == 3 && type == THRIFT_I64) {
            record->class_id = (uint64_t)thrift_int(reader);
        } else if (id == 4 && type == THRIFT_I64) {
            record->labels_id = (uint64_t)thrift_int(reader);
        } else if (id == 5 && type == THRIFT_MAP) {
            read_pairs(arena, reader, &record->attributes);
        } else if (id == 6 && type == THRIFT_BINARY) {
            record->source = thrift_binary(reader);
        } else {
            thrift_skip(reader, type);
        }
    }
    thrift_leave(reader, outer);
}

/* False: a field that is not known, or of another type. */
static bool read_number(struct thrift_reader *reader, int16_t id, enum thrift_type type,
                        struct feed3x_record *record)
{
    int64_t *number = id == 3   ? &record->created_ms
                      : id == 4 ? &record->stored_ms
                      : id == 6 ? &record->base
                      : id == 8 ? &record->start
                      : id == 9 ? &record->end
                                : NULL;
    if (number == NULL || type != THRIFT_I64) {
        return false;
    }
    *number = thrift_int(reader);
    return true;
}

static void read_field(struct arena *arena, struct thrift_reader *reader, int16_t id,
                       enum thrift_type type, struct feed3x_record *record, bool *has_metadata)
{
    if (id == 1 && type == THRIFT_I32) {
        int64_t number = thrift_int(reader);
        record->type = number >= 1 && number <= FEED3X_KVSTORE ? (enum feed3x_record_type)number
                                                               : (enum feed3x_record_type)0;
    } else if (id == 2 && type == THRIFT_BINARY) {
        record->creator = thrift_binary(reader);
    } else if (id == 5 && type == THRIFT_STRUCT) {
        read_metadata(arena, reader, record);
        *has_metadata = true;
    } else if (id == 7 && type == THRIFT_BINARY) {
        record->points = thrift_binary(reader);
    } else if (!read_number(reader, id, type, record)) {
        thrift_skip(reader, type);
    }
}

int feed3x_record_read(struct arena *arena, struct span bytes, struct feed3x_record *ret_record)
{
    struct thrift_reader reader = thrift_reader_of(bytes);
    bool has_metadata = false;
    int16_t id;
    enum thrift_type type;
    *ret_record = (struct feed3x_record){.start = INT64_MIN, .end = INT64_MAX};
    while (thrift_next(&reader, &id, &type)) {
        read_field(arena, &reader, id, type, ret_record, &has_metadata);
    }
    if (reader.failed) {
        return err_set(ERR_INVALID, "%zu bytes that are no record", bytes.bytes);
    }
    if (ret_record->type == 0) {
        return err_set(ERR_INVALID, "a record of an unknown type");
    }
    if (ret_record->creator.bytes == 0 || ret_record->created_ms <= 0) {
        return err_set(ERR_INVALID, "%s without who made it and when",
                       feed3x_record_name(ret_record->type));
    }
    if (!has_metadata && ret_record->type != FEED3X_KVSTORE) {
        return err_set(ERR_INVALID, "%s without a series", feed3x_record_name(ret_record->type));
    }
    return 0;
}

/* ── Writing ─────────────────────────────────────────────────────────────────────────────── */

static void write_pairs(struct thrift_writer *writer, int16_t id, const struct feed3x_pairs *pairs)
{
    thrift_put_map(writer, id, THRIFT_BINARY, THRIFT_BINARY, pairs->count);
    for (size_t i = 0; i < pairs->count; i++) {
        thrift_put_bytes(writer, pairs->items[i].name);
        thrift_put_bytes(writer, pairs->items[i].value);
    }
}

static void write_metadata(struct thrift_writer *outer, const struct feed3x_record *record)
{
    struct thrift_writer writer = {.buf = outer->buf};
    thrift_put_struct(outer, 5);
    thrift_put_binary(&writer, 1, record->class);
    write_pairs(&writer, 2, &record->labels);
    thrift_put_int(&writer, 3, THRIFT_I64, (int64_t)record->class_id);
    thrift_put_int(&writer, 4, THRIFT_I64, (int64_t)record->labels_id);
    write_pairs(&writer, 5, &record->attributes);
    if (record->source.bytes > 0) {
        thrift_put_binary(&writer, 6, record->source);
    }
    thrift_put_stop(&writer);
}

static void write_token(struct thrift_writer *outer, const struct feed3x_record *record)
{
    struct thrift_writer writer = {.buf = outer->buf};
    thrift_put_struct(outer, 11);
    thrift_put_int(&writer, 1, THRIFT_I64, record->created_ms);
    thrift_put_int(&writer, 2, THRIFT_I64, TOKEN_EXPIRY_MS);
    thrift_put_int(&writer, 3, THRIFT_I32, TOKEN_WRITE);
    thrift_put_binary(&writer, 5, span_of(record->producer.bytes, sizeof(record->producer.bytes)));
    thrift_put_binary(&writer, 6, span_of(record->owner.bytes, sizeof(record->owner.bytes)));
    thrift_put_binary(&writer, 7, record->application);
    thrift_put_stop(&writer);
}

void feed3x_record_write(struct buf *buf, const struct feed3x_record *record)
{
    struct thrift_writer writer = {.buf = buf};
    thrift_put_int(&writer, 1, THRIFT_I32, record->type);
    thrift_put_binary(&writer, 2, record->creator);
    thrift_put_int(&writer, 3, THRIFT_I64, record->created_ms);
    thrift_put_int(&writer, 4, THRIFT_I64, record->stored_ms);
    write_metadata(&writer, record);
    if (record->type == FEED3X_UPDATE) {
        thrift_put_int(&writer, 6, THRIFT_I64, record->base);
        thrift_put_binary(&writer, 7, record->points);
    } else if (record->type == FEED3X_DELETE) {
        thrift_put_int(&writer, 8, THRIFT_I64, record->start);
        thrift_put_int(&writer, 9, THRIFT_I64, record->end);
    }
    if (record->type == FEED3X_UPDATE || record->type == FEED3X_DELETE) {
        write_token(&writer, record);
    }
    thrift_put_stop(&writer);
}
