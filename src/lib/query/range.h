/*
 * The time forms of start= and end=: offsets ("-1h"), arithmetic ("NOW-1h", "END-2d"), and
 * absolute times in the usual formats (RFC 3339, "2006-01-02 15:04:05", ANSI C, Apache, Unix
 * seconds). What has no zone is UTC. Pure.
 */
#ifndef QUERY_RANGE_H
#define QUERY_RANGE_H

#include "base/err.h"
#include "base/span.h"

enum query_time_base {
    QUERY_TIME_ABSOLUTE = 0,
    QUERY_TIME_NOW,   /* offset from now */
    QUERY_TIME_START, /* from the range's start */
    QUERY_TIME_END,
};

struct query_time {
    enum query_time_base base;
    int64_t ns; /* a time when absolute, else an offset */
    bool bare;  /* an offset alone, "-1h": not "NOW-1h" */
};

/* False when the text has none of the forms. */
bool query_time_parse(struct span text, struct query_time *ret_time);

/* Start rounded down, end up, so that the range has whole seconds and covers what was asked. */
void query_range_align(int64_t *start_ns, int64_t *end_ns);

#endif
