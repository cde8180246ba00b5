/*
 * What writing and reading of blocks of points share and nobody else sees.
 */
#ifndef WELL_POINTS_FORMAT_H
#define WELL_POINTS_FORMAT_H

#define POINTS_MAGIC 0x31505141u /* "AQP1" */
#define POINTS_TEXT_RAW_MAX (UINT32_C(64) << 20)
#define POINTS_HAS_SHIFT 4 /* a run's kind: type, and what it has from this bit on */

/* Sequences of the index, one number per run. */
enum {
    POINTS_SERIES,
    POINTS_COUNT,
    POINTS_KIND,
    POINTS_TIMES,    /* which shared sequence */
    POINTS_STAMP_OF, /* the same */
    POINTS_BYTES,    /* of its values */
    POINTS_TEXT,     /* bytes of text, raw */
    POINTS_SEQUENCES
};

#endif
