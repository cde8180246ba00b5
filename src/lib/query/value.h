/*
 * A typed value on its way through a pipeline: what a module extracted from an entry, what
 * arrived with it, what an expression gave. A plain value; texts borrow, who hands one out says
 * for how long.
 */
#ifndef QUERY_VALUE_H
#define QUERY_VALUE_H

#include "base/buf.h"
#include "base/span.h"
#include "series/entry.h"
#include "series/evs.h"

enum query_value_type {
    QUERY_VALUE_NONE = 0, /* there is no value */
    QUERY_VALUE_TEXT,
    QUERY_VALUE_BYTES,
    QUERY_VALUE_I64,
    QUERY_VALUE_F64,
    QUERY_VALUE_BOOL,
    QUERY_VALUE_IP,
    QUERY_VALUE_TIME,     /* nanoseconds since 1970 */
    QUERY_VALUE_DURATION, /* nanoseconds */
    QUERY_VALUE_REMOVED,  /* in a column: the entry has no such value, whatever arrived with it */
};

struct query_value {
    enum query_value_type type;
    union {
        struct span text; /* TEXT, BYTES */
        int64_t number;   /* I64, BOOL, TIME, DURATION */
        double real;
        uint8_t ip[ENTRY_SOURCE_BYTES]; /* IPv4 mapped */
    };
};

static inline struct query_value query_value_of_text(struct span text)
{
    return (struct query_value){.type = QUERY_VALUE_TEXT, .text = text};
}
struct query_value query_value_of_i64(int64_t number);
struct query_value query_value_of_f64(double real);
struct query_value query_value_of_bool(bool yes);

/* Numbers of all widths become I64 or F64, a MAC is NONE: it has its text form only. */
struct query_value query_value_of_ev(const struct series_ev *ev);

/* As people see it: floats in the shortest form that reads back as the same number. */
void query_value_put_text(const struct query_value *value, struct buf *buf);

/* Appends it to the block of enumerated values that begins at `begin`. Text longer than such a
 * block takes is cut. */
void query_value_put_ev(const struct query_value *value, struct span name, struct buf *buf,
                        size_t begin);

/* As a number: I64 or F64. Text is read as a decimal or hexadecimal integer or a decimal
 * fraction, white space around it allowed. False: it is none. */
bool query_value_number(const struct query_value *value, struct query_value *ret_number);
double query_value_real(const struct query_value *number); /* of what the former gave */

/* <0, 0, >0. Numbers by size whatever their type, before addresses, before all else by text. */
int query_value_compare(const struct query_value *a, const struct query_value *b);

/* Appends bytes that compare, bytewise, as the values do, also when those of further values follow.
 * `texts`: values that are equal otherwise ("7" and "7.0") are put in the order of their texts. */
void query_value_put_order(const struct query_value *value, bool texts, struct buf *buf);

/* An address in either of its text forms, or an IP value. */
bool query_value_ip(const struct query_value *value, uint8_t ret_ip[ENTRY_SOURCE_BYTES]);

#endif
