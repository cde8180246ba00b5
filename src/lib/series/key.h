/*
 * The key of a series: its class and labels as bytes, the same for the same series whoever
 * makes it. What the catalogue looks up, what records and segment footers carry.
 *
 *     varint bytes of class, class, varint count of labels,
 *     per label, sorted by name bytewise, no name twice:
 *         varint bytes of name, name, varint bytes of value, value
 *
 * A class and a value may be empty, a name too. Any bytes are allowed in each.
 */
#ifndef SERIES_KEY_H
#define SERIES_KEY_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#define SERIES_KEY_BYTES_MAX 65536
#define SERIES_LABELS_MAX 1024

struct series_label {
    struct span name;
    struct span value;
};

/* Appends the key to `key`. Sorts `labels` in place; of two with one name the later one counts.
 * ERR_TOO_LARGE: too many labels or bytes (then `key` is as before). */
MUST_CHECK int series_key_make(struct buf *key, struct span class, struct series_label *labels,
                               size_t count);

/* Walks a key; what it gives borrows from the key. */
struct series_key_reader {
    struct span class;
    uint32_t count; /* of labels */
    struct span rest;
};

/* ERR_INVALID: bytes that series_key_make() would not make; reading after 0 cannot fail. */
MUST_CHECK int series_key_check(struct span key);
struct series_key_reader series_key_open(struct span checked_key);
bool series_key_next(struct series_key_reader *reader, struct series_label *ret_label);

/* "class{name=value,name=value}", percent-encoded as Warp 10 does: all but A-Z a-z 0-9 . - * _ */
void series_key_text(struct buf *buf, struct span checked_key);
void series_text_encode(struct buf *buf, struct span text);

#endif
