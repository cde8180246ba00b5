/*
 * The attributes of one series as an immutable value, and how a change makes a new one. Pure.
 * Internal to the library.
 *
 * Each key has the stamp of its last write, also when that removed it. A change that replaces
 * the whole set clears what is not younger than itself, also what arrives later: `cleared`.
 * So the outcome is the same in whatever order changes arrive, and however often. Changes with
 * one stamp are of one record and are applied in its order.
 */
#ifndef SERIES_ATTRIBUTES_H
#define SERIES_ATTRIBUTES_H

#include "series/origins.h"
#include "series/records.h"

struct attribute {
    struct stamp stamp;
    uint32_t name_at; /* in the texts */
    uint32_t name_bytes;
    uint32_t value_bytes; /* the value follows the name */
    bool removed;
};

struct attributes {
    struct stamp cleared;
    uint32_t count;
    uint32_t texts_bytes;
    struct attribute items[]; /* by name; the texts follow */
};

struct span attribute_name(const struct attributes *attributes, size_t index);
struct span attribute_value(const struct attributes *attributes, size_t index);

/* NULL when there is none or it was removed. */
const struct attribute *attributes_find(const struct attributes *attributes, struct span name);

/* What `old`, which may be NULL, becomes by the change: new memory (mem_free). */
struct attributes *attributes_changed(const struct attributes *old, struct series_meta meta,
                                      struct stamp stamp, const struct series_origins *origins);

/* For checkpoints. Reading: false when the bytes are not of the form. */
void attributes_write(struct buf *buf, const struct attributes *attributes);
struct wire_reader;
bool attributes_read(struct wire_reader *reader, struct attributes **ret_attributes);

#endif
