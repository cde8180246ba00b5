/*
 * How fetch and find print series: the formats of Warp 10 (docs/protocols/warp10-http.md).
 *
 *     begin ──> [series ──> point … ──> series_end] … ──> end
 *
 * Everything is appended to a buf that the caller takes from as it likes, so a result of any size
 * needs little memory. Points come newest first. Pure, one thread.
 */
#ifndef WARP10_OUTPUT_H
#define WARP10_OUTPUT_H

#include "base/buf.h"
#include "series/element.h"
#include "series/key.h"
#include "warp10/decimal.h"
#include "warp10/encoder.h"
#include "warp10/params.h"

struct output_options {
    enum warp10_format format;
    enum warp10_unit unit; /* 0: microseconds */
    bool dedup;            /* of neighbours with equal value and place, the first and the last */
    bool show_attributes;
    bool show_owner;         /* .owner and .producer are labels to be seen */
    struct span pack_suffix; /* of classes with WARP10_PACK; empty: ":packed" */
    uint64_t pack_bytes_max; /* a line of WARP10_PACK ends when it has so much; 0: any */
    uint64_t pack_points_max;
};

struct output_series {
    struct span key;                       /* checked */
    size_t class_cut;                      /* bytes at the end of the class that are not shown */
    const struct series_label *attributes; /* sorted by name */
    size_t attribute_count;
    int64_t last_activity_ms; /* 0: unknown */
    uint64_t id;              /* any number: JSON shows one */
    const uint8_t *uuid;      /* 16 bytes: shown as attribute .uuid; or NULL */
};

#define OUTPUT_CHUNK_BYTES 100000 /* a series with more points is several lines of RAW and PACK */

struct output {
    struct output_options options;
    struct buf *buf;     /* where it goes */
    size_t series;       /* begun so far */
    size_t points;       /* of the present series, printed */
    struct buf name;     /* "class{labels}{attributes}" of the present series, or what goes there */
    struct buf held;     /* bytes of the element held back */
    struct element last; /* dedup: the one not printed yet, or the last one */
    bool have_last, last_printed;
    struct encoder encoder; /* RAW, PACK */
    int64_t first_time;
    struct decimal_near time; /* the one printed last */
    struct decimal_alike value;
};

void output_init(struct output *output, const struct output_options *options, struct buf *buf);
void output_deinit(struct output *output);

void output_series(struct output *output, const struct output_series *series);
void output_point(struct output *output, const struct element *element);
/* The same for many, as columns have them (well/points.h): integers, doubles as bits or booleans,
 * without places. */
void output_column(struct output *output, uint8_t type, const int64_t *times_ns,
                   const uint64_t *values, size_t count);
void output_series_end(struct output *output);

/* `matched`: some series did match, though it may have had no point (JSON shows it). */
void output_end(struct output *output, bool matched);

/* find: one series after the other. */
void output_find_begin(struct output *output, bool json);
void output_find(struct output *output, bool json, const struct output_series *series);
void output_find_end(struct output *output, bool json);

/* "class{labels}{attributes}\r\n": an answer of delete. */
void output_deleted(struct buf *buf, const struct output_series *series, bool show_owner);

/*
 * Values by themselves.
 */
void output_value_text(struct buf *buf, const struct element *element); /* T, 21.5, 'caf%C3%A9' */
void output_value_json(struct buf *buf, const struct element *element);

/* A whole line of the input format, "ts/lat:lon/elev class{labels} value\n", with all labels:
 * what another node reads to have this element. */
void output_line(struct buf *buf, enum warp10_unit unit, struct span checked_key,
                 const struct element *element);

#endif
