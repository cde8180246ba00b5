/*
 * The compact protocol of Thrift, as far as Warp 10's records need it: fields of a struct one
 * after the other, each read generically by its type. Faults stick; look once at the end.
 */
#ifndef WARP10_THRIFT_H
#define WARP10_THRIFT_H

#include "base/buf.h"
#include "base/check.h"

enum thrift_type {
    THRIFT_STOP = 0,
    THRIFT_TRUE = 1, /* a field's value is in its type; elements of lists are one byte */
    THRIFT_FALSE = 2,
    THRIFT_BYTE = 3,
    THRIFT_I16 = 4,
    THRIFT_I32 = 5,
    THRIFT_I64 = 6,
    THRIFT_DOUBLE = 7,
    THRIFT_BINARY = 8,
    THRIFT_LIST = 9,
    THRIFT_SET = 10,
    THRIFT_MAP = 11,
    THRIFT_STRUCT = 12,
};

#define THRIFT_DEPTH_MAX 16 /* of what is skipped */

struct thrift_reader {
    struct span rest;
    int16_t field; /* the id of the last field read */
    bool failed;
};

struct thrift_reader thrift_reader_of(struct span bytes);

/* The next field of the struct; false at its end and when the bytes are not of the form. */
bool thrift_next(struct thrift_reader *reader, int16_t *ret_id, enum thrift_type *ret_type);

/* Values of the type that thrift_next() named; zero once the reader has failed. */
int64_t thrift_int(struct thrift_reader *reader); /* I16, I32, I64 */
struct span thrift_binary(struct thrift_reader *reader);
size_t thrift_list(struct thrift_reader *reader, enum thrift_type *ret_type);
size_t thrift_map(struct thrift_reader *reader, enum thrift_type *ret_key,
                  enum thrift_type *ret_value);
void thrift_skip(struct thrift_reader *reader, enum thrift_type type);

/* Begins a struct inside; give its result back to thrift_leave() after its last field. */
int16_t thrift_enter(struct thrift_reader *reader);
void thrift_leave(struct thrift_reader *reader, int16_t outer);

struct thrift_writer {
    struct buf *buf;
    int16_t field;
};

void thrift_put_int(struct thrift_writer *writer, int16_t id, enum thrift_type type, int64_t value);
void thrift_put_bool(struct thrift_writer *writer, int16_t id, bool value);
void thrift_put_binary(struct thrift_writer *writer, int16_t id, struct span value);
void thrift_put_list(struct thrift_writer *writer, int16_t id, enum thrift_type type, size_t count);
void thrift_put_map(struct thrift_writer *writer, int16_t id, enum thrift_type key,
                    enum thrift_type value, size_t count);
void thrift_put_struct(struct thrift_writer *writer, int16_t id); /* its fields: another writer's */
void thrift_put_bytes(struct thrift_writer *writer, struct span value); /* an element */
void thrift_put_stop(struct thrift_writer *writer);

void thrift_put_varint(struct buf *buf, uint64_t value);
bool thrift_varint(struct span *rest, uint64_t *ret_value); /* false: cut off or above 64 bits */

static inline uint64_t thrift_zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static inline int64_t thrift_unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

#endif
