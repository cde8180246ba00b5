/*
 * Payloads of the datalog records SERIES, META and DELETE: docs/formats/datalog.md. Pure.
 *
 * Readers check the form of the whole payload when they are opened, so that walking cannot fail.
 * What they give borrows from the payload.
 */
#ifndef SERIES_RECORDS_H
#define SERIES_RECORDS_H

#include "series/key.h"

#define SERIES_ATTRIBUTES_MAX 1024
#define SERIES_ATTRIBUTE_BYTES_MAX 65536 /* a name and its value */

/* SERIES: definitions. Numbers are the writer's own. */
struct series_definition {
    uint32_t number; /* > 0 */
    struct span key;
};

void series_definitions_begin(struct buf *buf);
void series_definitions_put(struct buf *buf, const struct series_definition *definition);

struct series_definitions {
    struct span rest;
};

MUST_CHECK int series_definitions_open(struct series_definitions *reader, struct span payload);
bool series_definitions_next(struct series_definitions *reader,
                             struct series_definition *ret_definition);

/* META: changes of attributes, in order. Series are named in full, not by number. */
struct series_attribute {
    struct span name;
    struct span value;
    bool removed;
};

struct series_meta {
    struct span key;
    bool replace; /* attributes that are not named here go */
    uint32_t count;
    struct span attributes; /* encoded: series_meta_attribute() */
};

void series_metas_begin(struct buf *buf);
/* ERR_TOO_LARGE: too many or too large attributes (then `buf` is as before). */
MUST_CHECK int series_metas_put(struct buf *buf, struct span key, bool replace,
                                const struct series_attribute *attributes, size_t count);

struct series_metas {
    struct span rest;
};

MUST_CHECK int series_metas_open(struct series_metas *reader, struct span payload);
bool series_metas_next(struct series_metas *reader, struct series_meta *ret_meta);
bool series_meta_attribute(struct series_meta *meta, struct series_attribute *ret_attribute);

/* DELETE: elements of the series that the selector means, from start to end, both included. */
enum series_delete_flags {
    SERIES_DELETE_WHOLE = 1, /* the series too: it is found again only when written again */
    SERIES_DELETE_EXACT = 2, /* the selector is SERIES_SELECTOR_EXACT, else ..._LABELS_ONLY */
};

struct series_delete {
    uint8_t flags;
    int64_t
        start_ns; /* INT64_MIN with SERIES_DELETE_WHOLE, and the end is INT64_MAX, or INT64_MIN: */
    int64_t end_ns; /* the series alone, whose points are found again when it is written again */
    struct span selector; /* text */
};

void series_delete_encode(struct buf *buf, const struct series_delete *deletion);
/* Checks the selector too. */
MUST_CHECK int series_delete_decode(struct span payload, struct series_delete *ret_deletion);

/* For series_selector_parse(): attributes are never looked at, since they differ between nodes
 * and times; who is asked to delete by an attribute names each series with EXACT. */
unsigned series_delete_selector_flags(const struct series_delete *deletion);

#endif
