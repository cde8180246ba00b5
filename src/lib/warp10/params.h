/*
 * What requests to the Warp 10 API ask for: their parameters, from the query string and from
 * forms, made into plain values. Pure: the caller says what time it is.
 *
 * Faults carry the status that the reference answers with (warp10_status()): ERR_INVALID and
 * ERR_TOO_LARGE are 400, ERR_AUTH and ERR_DENIED 403, ERR_TIMEOUT (come later) 429,
 * ERR_UNAVAILABLE 503, everything else 500. Their texts are for
 * the client. What the API means: docs/protocols/warp10-http.md.
 */
#ifndef WARP10_PARAMS_H
#define WARP10_PARAMS_H

#include "base/arena.h"
#include "base/time.h"

/* What one unit of a timestamp on the wire is. Stored times are nanoseconds. */
enum warp10_unit { WARP10_MS = 1, WARP10_US, WARP10_NS };

int64_t warp10_unit_ns(enum warp10_unit unit); /* 1000000, 1000 or 1 */

/* "ms", "us", "ns". */
bool warp10_unit_parse(struct span text, enum warp10_unit *ret_unit);

/* False: beyond the years that can be stored (1678 to 2261). */
bool warp10_time_to_ns(enum warp10_unit unit, int64_t time, int64_t *ret_time_ns);
int64_t warp10_time_of_ns(enum warp10_unit unit, int64_t time_ns); /* rounds down */

int warp10_status(int rc);

/* ── Names and values ────────────────────────────────────────────────────────────────────── */

#define WARP10_ARGS_MAX 1024

struct warp10_arg {
    struct span name, value;
    struct warp10_arg *next;
};

/* In the order of the request. Zero-initialised is empty. */
struct warp10_args {
    struct warp10_arg *first, *last;
    size_t count;
};

/* Adds "a=b&c=d%20e&f" (+ is a space). Raw braces, ~ and | are what they are. The arena holds
 * what was decoded; the rest borrows from `encoded`. ERR_INVALID: a bad escape; ERR_TOO_LARGE. */
MUST_CHECK int warp10_args_add(struct arena *arena, struct warp10_args *args, struct span encoded);

/* The first of that name; false when there is none. */
bool warp10_args_get(const struct warp10_args *args, const char *name, struct span *ret_value);
bool warp10_args_has(const struct warp10_args *args, const char *name);

/* ── Forms of values ─────────────────────────────────────────────────────────────────────── */

/* ISO 8601 with a zone: "2023-11-14T22:13:20.5Z", also without seconds. */
bool warp10_parse_date(struct span text, int64_t *ret_time_ns);

/* ISO 8601 without months and years: "PT1H30M", "P1DT0.5S", "-PT5M", "P2W". */
bool warp10_parse_duration(struct span text, int64_t *ret_duration_ns);

/* The header X-Warp10-Timeshift: units or a duration. ERR_INVALID otherwise. */
MUST_CHECK int warp10_parse_shift(enum warp10_unit unit, struct span text, int64_t *ret_shift_ns);

/* Cuts the first selector off `*rest`: they are separated by white space. False at the end. */
bool warp10_next_selector(struct span *rest, struct span *ret_selector);

/* ── Requests ────────────────────────────────────────────────────────────────────────────── */

enum warp10_format {
    WARP10_TEXT,
    WARP10_FULLTEXT,
    WARP10_JSON,
    WARP10_TSV,
    WARP10_FULLTSV,
    WARP10_RAW,
    WARP10_PACK,
    WARP10_NULL,
};

#define WARP10_UNLIMITED UINT64_MAX

/* Borrows its spans from the arguments. */
struct warp10_fetch {
    struct span selectors;                   /* one or more (warp10_next_selector) */
    int64_t start_ns;                        /* inclusive */
    int64_t end_ns;                          /* inclusive */
    bool nothing;                            /* the range is empty */
    uint64_t count;                          /* per series, newest first; WARP10_UNLIMITED */
    uint64_t skip;                           /* per series: not the first so many */
    uint64_t step;                           /* one in so many; 1: all */
    int64_t timestep_ns;                     /* least distance; 0: any */
    double sample;                           /* share of points kept; 1: all */
    uint64_t before, after;                  /* boundary.pre, boundary.post */
    uint64_t series_skip, series_count;      /* gskip, gcount */
    int64_t active_after_ms, quiet_after_ms; /* TIME_UNSET: not asked for */
    enum warp10_format format;
    bool dedup, show_attributes, sort_labels, show_errors;
    bool unpack;              /* the points inside of the values of packed series */
    struct span suffix;       /* of classes of packed series; empty: ":packed" */
    uint64_t pack_bytes_max;  /* WARP10_PACK: of a line's points, and … */
    uint64_t pack_points_max; /* … their number; another line follows */
    struct span token;        /* empty: none among the arguments */
};

/* `now_ns` is what the word "now" means. */
MUST_CHECK int warp10_fetch_parse(const struct warp10_args *args, enum warp10_unit unit,
                                  int64_t now_ns, struct warp10_fetch *ret_fetch);

struct warp10_find {
    struct span selectors;
    uint64_t series_skip, series_count; /* gskip; gcount or limit */
    int64_t active_after_ms, quiet_after_ms;
    bool json, show_attributes, sort_labels, show_uuid, show_errors;
    struct span token;
};

MUST_CHECK int warp10_find_parse(const struct warp10_args *args, struct warp10_find *ret_find);

struct warp10_delete {
    struct span selector; /* exactly one */
    bool all;             /* no range: points and series */
    int64_t start_ns, end_ns;
    bool metadata_only; /* the series, but not their points */
    bool dry_run;
    bool by_activity; /* not all that the selector means */
    int64_t active_after_ms, quiet_after_ms;
};

MUST_CHECK int warp10_delete_parse(const struct warp10_args *args, enum warp10_unit unit,
                                   struct warp10_delete *ret_delete);

#endif
