/*
 * The block of enumerated values that may follow an entry: typed key/value pairs, in the form of
 * the ingest protocol (reference: section 9 of its sheet), stored as it came.
 *
 *     u32 bytes of the block, u16 count, u16 zero; per value:
 *     u16 bytes of the value, u16 name bytes, u16 data bytes, u8 type, u8 zero, name, data
 */
#ifndef SERIES_EVS_H
#define SERIES_EVS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#define SERIES_EVS_BYTES_MAX (UINT32_C(32) << 20)
#define SERIES_EVS_HEADER_BYTES 8
#define SERIES_EV_NAME_BYTES_MAX 1024
#define SERIES_EV_DATA_BYTES_MAX 64503

enum series_ev_type {
    SERIES_EV_BYTES = 1,
    SERIES_EV_BOOL = 2,
    SERIES_EV_BYTE = 3,
    SERIES_EV_I8 = 4,
    SERIES_EV_I16 = 5,
    SERIES_EV_U16 = 6,
    SERIES_EV_I32 = 7,
    SERIES_EV_U32 = 8,
    SERIES_EV_I64 = 9,
    SERIES_EV_U64 = 10,
    SERIES_EV_F32 = 11,
    SERIES_EV_F64 = 12,
    SERIES_EV_TEXT = 13,
    SERIES_EV_MAC = 14,
    SERIES_EV_IP = 15,
    SERIES_EV_TIME = 16,     /* i64 seconds since year 1, u32 nanoseconds */
    SERIES_EV_DURATION = 17, /* i64 nanoseconds */
};

struct series_ev {
    struct span name; /* UTF-8 */
    struct span data; /* little-endian numbers; IP and MAC in network order */
    uint8_t type;
};

/* The size that a block's header announces, or ERR_PROTOCOL: for readers of a stream.
 * `header` has SERIES_EVS_HEADER_BYTES bytes. */
MUST_CHECK int series_evs_announced(const uint8_t *header, size_t *ret_bytes);

/* The whole block against every rule; ERR_PROTOCOL says which. An empty span is fine. */
MUST_CHECK int series_evs_check(struct span block);

/* Walks a checked block: start with `*cursor` = 0; false at the end. Borrows from the block. */
bool series_evs_next(struct span block, size_t *cursor, struct series_ev *ret_ev);
bool series_evs_find(struct span block, struct span name, struct series_ev *ret_ev);

/* Building: begin, put any number, end. `buf` gets the block at its end; the place where it
 * begins is what begin returns. A name put again replaces nothing: callers keep names unique. */
size_t series_evs_begin(struct buf *buf);
MUST_CHECK int series_evs_put(struct buf *buf, size_t begin, struct series_ev ev);

/* As people see it: numbers decimal, floats %G-like, times RFC 3339, IP and MAC canonical. */
void series_ev_text(struct buf *buf, const struct series_ev *ev);

#endif
