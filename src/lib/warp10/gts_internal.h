/*
 * Inside of the GTS reader: lines, series that were met, numbers.
 */
#ifndef WARP10_GTS_INTERNAL_H
#define WARP10_GTS_INTERNAL_H

#include "base/arena.h"
#include "base/vec.h"
#include "warp10/gts.h"

/* ── Text (gts_text.c) ───────────────────────────────────────────────────────────────────── */

/*
 * Percent-decoded UTF-8 of a raw name or text. Borrows from `raw` when nothing had to be done,
 * else from `scratch`, which grows by at most GTS_DECODE_GROWTH * raw.bytes: reserve them when
 * earlier results are to stay. Bytes that are not UTF-8 are taken as ISO-8859-1; an escape that
 * is not UTF-8 gives U+FFFD. False: a bad escape.
 */
#define GTS_DECODE_GROWTH 6
bool gts_decode(struct buf *scratch, struct span raw, bool latin1, struct span *ret_text);

/* Leading and trailing characters up to U+0020, as the reference strips them. */
struct span gts_strip(struct span text);

/* ── Numbers (gts_number.c) ──────────────────────────────────────────────────────────────── */

/* Optional sign and digits, the whole span; false on anything else or overflow. */
bool gts_parse_i64(struct span text, int64_t *ret_value);

/* At most 18 digits at the front: their value, and what follows. */
const uint8_t *gts_scan_digits(const uint8_t *at, const uint8_t *end, uint64_t *ret_value);

/* As the reference reads them: longs, decimals, doubles. False: none of these. */
bool gts_parse_number(struct span text, struct element *ret_element);
bool gts_parse_f64(struct span text, double *ret_value);

/* lat:lon, or a location code. */
bool gts_parse_location(struct span text, struct location *ret_location);

/* ── Values (gts_value.c) ────────────────────────────────────────────────────────────────── */

/* As gts_value_parse(), without an error's text. */
bool gts_parse_value(struct span text, struct buf *scratch, bool latin1, struct element *element);

/* ── Series that were met (gts_series.c) ─────────────────────────────────────────────────── */

struct gts_known; /* one of them */

struct gts_memory {
    struct gts_known **slots;
    size_t capacity; /* a power of two */
    size_t count;
    size_t forgets; /* so often all were forgotten */
    struct arena *arena;
};

struct gts_known {
    struct gts_series series; /* what the caller sees */
    uint64_t raw_hash;
    struct span raw;        /* class{labels} as it stood there */
    struct gts_known *next; /* the one that followed it last; NULL: nobody did */
};

void gts_memory_init(struct gts_memory *memory);
void gts_memory_deinit(struct gts_memory *memory);

void gts_memory_forget(struct gts_memory *memory);
size_t gts_memory_bytes(const struct gts_memory *memory);

/* NULL: not met. */
struct gts_known *gts_memory_find(const struct gts_memory *memory, struct span raw, uint64_t hash);

/* Copies; forgets all others first when there is no room (then *ret_forgotten is set). */
struct gts_known *gts_memory_add(struct gts_memory *memory, struct span raw, uint64_t raw_hash,
                                 struct span key, bool *ret_forgotten);

/* ── The reader ──────────────────────────────────────────────────────────────────────────── */

struct gts_reader {
    struct gts_options options;
    struct gts_memory memory;
    struct gts_known *last; /* of the reading before */
    bool forgotten;         /* and no reading has said so yet */

    struct span rest;  /* of the chunk */
    const uint8_t *lf; /* the next line feed in it, or its end */
    struct buf carry;  /* a line that began in an earlier chunk */
    bool carried;      /* the line in `carry` was given out */
    bool skip_lf;      /* the chunk before ended with CR */
    bool has_cr;       /* there is one in the chunk */
    bool finished;
    uint64_t line;
    struct span present; /* the line being read, stripped */
    size_t stripped;     /* bytes in front of it */

    struct buf scratch; /* names and attributes of this line */
    struct buf values;  /* its value */
    struct buf key;
    VEC(struct series_label) labels;
    VEC(struct series_attribute) attributes;
    struct gts_error error;
};

/* Reads the line reader->present, which is neither blank nor a comment (gts_line.c). */
enum gts_line_outcome { GTS_LINE_SKIPPED = 1 };
MUST_CHECK int gts_line_parse(struct gts_reader *reader, struct gts_reading *reading);

#endif
