/*
 * The GTS input format of Warp 10: one reading per line.
 *
 *     1700000000000000/48.0:-4.5/120000 demo.temp{room=kitchen,sensor=a} 21.5
 *     =1700000060000000// 22
 *
 *     feed ──> next ──0──> a reading ──> next …
 *                ├──GTS_MORE──> feed again, or finish and go on
 *                ├──GTS_END──> all lines were read
 *                └──fault──> this line is wrong (gts_reader_error); next goes on behind it, and
 * lines that go on with its series are wrong too
 *
 * The text comes in chunks of any size; memory is bounded by the longest line. The hot path
 * allocates nothing: a line that lies in one chunk is parsed where it is, and a series that was
 * met before is recognised by its bytes, so its key is made once and its number asked for once.
 *
 * What is accepted and what is not, with the texts of the errors, is that of the reference:
 * docs/protocols/warp10-http.md. One thread.
 */
#ifndef WARP10_GTS_H
#define WARP10_GTS_H

#include "base/buf.h"
#include "base/check.h"
#include "series/element.h"
#include "series/key.h"
#include "series/records.h"
#include "warp10/params.h"

#define GTS_LINE_BYTES_MAX (32u << 20) /* the default of gts_options.line_bytes_max */
#define GTS_VALUE_BYTES_MAX 65536      /* characters of a text, bytes of a value */
#define GTS_LABELS_BYTES_MAX 2048      /* names and values together */
#define GTS_ATTRIBUTES_BYTES_MAX 8192
#define GTS_CLASS_BYTES_MAX 1024
#define GTS_SERIES_MAX 65536 /* remembered at a time */

enum gts_outcome { GTS_MORE = 1, GTS_END = 2 };

struct gts_options {
    enum warp10_unit unit;   /* 0: microseconds */
    int64_t now;             /* units: an empty timestamp, and what T+n counts from */
    int64_t shift;           /* units, added to each */
    bool latin1;             /* the text is ISO-8859-1; else UTF-8 */
    bool metadata;           /* lines are class{labels}{attributes}, as for /meta */
    bool skip_attributes;    /* those of readings are checked and dropped */
    bool bounded;            /* timestamps outside of oldest..newest are faults */
    bool skip_out_of_bounds; /* … or dropped without a word */
    int64_t oldest, newest;  /* units */

    /* Put over the labels of every line (of the token): names must be unique. */
    const struct series_label *labels;
    size_t label_count;

    size_t line_bytes_max; /* 0: the defaults above */
    size_t value_bytes_max, labels_bytes_max, attributes_bytes_max, class_bytes_max;
};

/* Lives until the reader is freed or reset, or GTS_SERIES_MAX others were met and
 * gts_reader_next() says so (reading.forgotten). */
struct gts_series {
    struct span key; /* series/key.h, with the labels of the token */
    uint64_t hash;   /* hash64(key) */
    uint32_t number; /* the caller's; 0 in a new one */
    uint64_t mark;   /* the caller's too */
};

struct gts_reading {
    uint64_t line;    /* from 1 */
    struct span text; /* of it, without the space around; borrowed as the value */
    struct span whole; /* with it, but without its end */
    struct gts_series *series;
    bool same;      /* series as in the reading before */
    bool forgotten; /* all other series handed out before are gone */
    bool has_attributes;

    /* Time, place and value; the stamp is left alone. A text is UTF-8. Bytes hold until the
     * next call of next, feed or finish. Nothing of it with `metadata`. */
    struct element element;

    /* With has_attributes. Borrowed as the value. An empty value removes when amending. */
    const struct series_attribute *attributes;
    size_t attribute_count;
};

struct gts_error {
    uint64_t line; /* from 1 */
    size_t column; /* from 1, in bytes */
    int status;    /* what the reference answers: 400 or 500 */
};

struct gts_reader;

struct gts_reader *gts_reader_new(const struct gts_options *options);
void gts_reader_free(struct gts_reader **reader);

/* For another text. Series that were met stay, with their numbers and marks, when class{labels}
 * means the same with these options: the same labels put over, bounds and character set. */
void gts_reader_reset(struct gts_reader *reader, const struct gts_options *options);
/* What it holds, about. */
size_t gts_reader_bytes(const struct gts_reader *reader);

/* The chunk is borrowed until next() has returned GTS_MORE. */
void gts_reader_feed(struct gts_reader *reader, struct span chunk);
/* Nothing follows: the last line may lack its end. */
void gts_reader_finish(struct gts_reader *reader);

/*
 * ERR_INVALID: the line is wrong. The text is that of the reference and says line and column:
 * "Parse error at index 2 in '1/ x{} 1' (Missing location/elevation separator.), line 1 column 3".
 * ERR_PROTOCOL: wrong in a way that the reference answers with 500.
 */
MUST_CHECK int gts_reader_next(struct gts_reader *reader, struct gts_reading *ret_reading);
struct gts_error gts_reader_error(const struct gts_reader *reader);

/* Appends the line that was wrong, with its end; one that goes on with the series of the line
 * before gets it spelt out. Before the next call of next.
 * One that was too long is an empty line. */
void gts_reader_wrong_line(const struct gts_reader *reader, struct buf *buf);

/* Lines so far, blank ones and comments included. */
uint64_t gts_reader_lines(const struct gts_reader *reader);

/*
 * A value by itself, as it stands at the end of a line. Fills type and value of `ret_element`;
 * bytes that had to be decoded are in `scratch`. ERR_INVALID.
 */
MUST_CHECK int gts_value_parse(struct span text, struct buf *scratch, struct element *ret_element);

#endif
