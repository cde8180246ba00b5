/*
 * Points in time: int64_t nanoseconds since 1970-01-01T00:00:00Z (years 1678 to 2261), name
 * ending in _ns. TIME_UNSET is "no time"; on the wire of the web API it is year 1.
 */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include "base/buf.h"
#include "base/span.h"

#define TIME_UNSET INT64_MIN
#define TIME_MIN_NS (INT64_MIN + 1)
#define TIME_MAX_NS INT64_MAX
#define TIME_US_NS INT64_C(1000)
#define TIME_MS_NS INT64_C(1000000)
#define TIME_S_NS INT64_C(1000000000)
#define TIME_MINUTE_NS (60 * TIME_S_NS)
#define TIME_HOUR_NS (60 * TIME_MINUTE_NS)
#define TIME_DAY_NS (24 * TIME_HOUR_NS)

/* "2026-05-04T09:30:00.25Z": UTC, trailing zeros of the fraction dropped, no fraction when 0.
 * TIME_UNSET gives "0001-01-01T00:00:00Z". */
void time_format(struct buf *buf, int64_t time_ns);
#define TIME_TEXT_BYTES 40
const char *time_text(int64_t time_ns, char text[TIME_TEXT_BYTES]); /* returns `text` */

/* RFC 3339: the whole span; fraction of any length; zone Z, +hh:mm, -hh:mm or +hh. Years before
 * 1677 give TIME_MIN_NS, but year 1 (Go's zero time) TIME_UNSET; years after 2261 give TIME_MAX_NS.
 * False when it is not of that form. */
bool time_parse(struct span text, int64_t *ret_time_ns);

/* Days since the epoch of a date of the proleptic Gregorian calendar, and back. */
int64_t time_days_of_date(int64_t year, unsigned month, unsigned day);
void time_date_of_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day);

/* Seconds and nanoseconds to one number, kept within TIME_MIN_NS..TIME_MAX_NS. */
int64_t time_of_parts(int64_t seconds, int64_t nanoseconds);

/* The beginning of the window of `width_ns` (> 0) that holds it; windows begin at the epoch. */
static inline int64_t time_floor(int64_t time_ns, int64_t width_ns)
{
    int64_t into = time_ns % width_ns;
    return time_ns - (into < 0 ? into + width_ns : into);
}

/* Durations: a number and a unit, repeated: "90s", "1h30m", "250ms", "1.5s", "2d", "1w".
 * Units ns us µs ms s m h d w y; an optional sign in front; "0" alone is allowed. */
bool time_parse_duration(struct span text, int64_t *ret_duration_ns);

/* As the web API wants durations: "1.5s", "250ms", "1h2m3s", "0s". */
void time_format_duration(struct buf *buf, int64_t duration_ns);

#endif
