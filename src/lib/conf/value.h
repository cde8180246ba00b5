/*
 * The value types of the dialect. Pure.
 */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include "base/err.h"
#include "base/span.h"
#include "conf/schema.h"

/* "an integer", "true or false" … */
const char *conf_type_name(enum conf_type type);

/* 0, or ERR_INVALID and what is wrong with it. An empty value is fine for the types whose
 * absence has a meaning of its own (text, path, address, uuid, level), not for the others. */
MUST_CHECK int conf_value_check(const struct conf_key *key, struct span value);

/* The one spelling of a value that has several: the levels `none` and `disabled` are OFF. Borrows
 * from `value` or lives for ever. */
struct span conf_value_canonical(const struct conf_key *key, struct span value);

/* False: not of that form. */
bool conf_value_bool(struct span value, bool *ret_value);
bool conf_value_environment_bool(struct span value, bool *ret_value); /* t f y n too */
bool conf_value_int(struct span value, int64_t *ret_value);
bool conf_value_age(struct span value, int64_t *ret_ns);
bool conf_value_time_of_day(struct span value, int64_t *ret_ns);
bool conf_value_float(struct span value, double *ret_value);

#endif
