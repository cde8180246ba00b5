/*
 * Records of a Warp 10 3.x datalog, what DATA messages carry:
 * docs/protocols/warp10-datalog-3x.md. Pure.
 */
#ifndef WARP10_FEED3X_RECORD_H
#define WARP10_FEED3X_RECORD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/uuid.h"
#include "series/key.h"

#define FEED3X_PAIRS_MAX 1024u /* labels, attributes */
#define FEED3X_SOURCE_CREATED "ingress"
#define FEED3X_SOURCE_UPDATED "ingress.metadata.update"

enum feed3x_record_type {
    FEED3X_UPDATE = 1,
    FEED3X_DELETE = 2,
    FEED3X_REGISTER = 3,
    FEED3X_UNREGISTER = 4,
    FEED3X_KVSTORE = 5,
};
const char *feed3x_record_name(enum feed3x_record_type type);

struct feed3x_pairs {
    struct series_label *items;
    size_t count;
};

struct feed3x_record {
    enum feed3x_record_type type;
    struct span creator; /* id of the node that made it */
    int64_t created_ms, stored_ms;

    /* The series; nothing of it with KVSTORE. */
    struct span class;
    struct feed3x_pairs labels, attributes;
    uint64_t class_id, labels_id; /* by the keys of the feeder */
    struct span source;           /* empty: absent */

    int64_t base;       /* UPDATE; units */
    struct span points; /* UPDATE: decoder_of(points, base) */
    int64_t start, end; /* DELETE; units, both included, INT64_MIN and INT64_MAX: all */

    /* UPDATE, DELETE: of the token; written only. */
    struct uuid producer, owner;
    struct span application;
};

/* Borrows from `bytes` and the arena. ERR_INVALID: not of the form. */
MUST_CHECK int feed3x_record_read(struct arena *arena, struct span bytes,
                                  struct feed3x_record *ret_record);
void feed3x_record_write(struct buf *buf, const struct feed3x_record *record);

#endif
