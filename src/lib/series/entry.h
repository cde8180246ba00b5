/*
 * An entry: one line of a log with its time, tag, source and what was attached to it. A plain
 * value that borrows its bytes; who hands it out says for how long.
 */
#ifndef SERIES_ENTRY_H
#define SERIES_ENTRY_H

#include "base/buf.h"
#include "base/span.h"
#include "series/stamp.h"

#define ENTRY_DATA_BYTES_MAX (UINT32_C(128) << 20)
#define ENTRY_SOURCE_BYTES 16

struct entry {
    int64_t time_ns;
    uint16_t tag;                       /* number in this indexer's catalogue (series/tags.h) */
    uint8_t source[ENTRY_SOURCE_BYTES]; /* network order; IPv4 as ::ffff:a.b.c.d */
    struct span data;
    struct span enumerated; /* an EV block (series/evs.h), or empty */
    struct stamp stamp;     /* zeros: stored before there were stamps, or not stored yet */
};

/* Text form of a source: dotted quad for mapped IPv4, RFC 5952 for the rest. */
void entry_source_text(struct buf *buf, const uint8_t source[ENTRY_SOURCE_BYTES]);

/* From either form; false when it is neither. */
bool entry_source_parse(struct span text, uint8_t ret_source[ENTRY_SOURCE_BYTES]);

/* The mapped form of four bytes in network order. */
void entry_source_of_v4(const uint8_t v4[4], uint8_t ret_source[ENTRY_SOURCE_BYTES]);

/*
 * A run of entries in their encoded form: the payload of a datalog record and what memtables
 * hold (docs/formats/datalog.md). It carries the names of its tags, so that another node can
 * translate their numbers.
 */
struct entries {
    struct span encoded; /* borrowed */
    struct span tags;    /* the name table */
    struct span rest;    /* where the next entry begins */
    uint32_t count;
};

/* Appends one run to `buf`; `name_of` gives a tag's name (borrowed for the call). */
void entries_encode(struct buf *buf, const struct entry *entries, size_t count,
                    struct span (*name_of)(void *context, uint16_t tag), void *context);

/* Checks the form of the whole run, so that reading cannot fail. ERR_CORRUPT otherwise. */
MUST_CHECK int entries_open(struct entries *entries, struct span encoded);

/* False at the end. The entry borrows from the run. */
bool entries_next(struct entries *entries, struct entry *ret_entry);
bool entries_next_tag(struct entries *entries, uint16_t *ret_tag, struct span *ret_name);

/* The encoded entry at `at`, which entries_place() gave for one just read; the same form. */
const uint8_t *entries_place(const struct entry *entry);
void entries_entry_at(const uint8_t *at, struct entry *ret_entry);

/* Bytes the entry takes in a run, without the name table. */
size_t entries_bytes(const struct entry *entry);

#endif
