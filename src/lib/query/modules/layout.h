/*
 * Times written and read by Go's layouts: the reference time Mon Jan 2 15:04:05 MST 2006 says how.
 * Pure.
 */
#ifndef QUERY_MODULES_LAYOUT_H
#define QUERY_MODULES_LAYOUT_H

#include "base/buf.h"
#include "base/span.h"

/* In a zone so many seconds east of Greenwich. */
void layout_format(struct span layout, int64_t time_ns, int64_t zone_s, struct buf *buf);

/* The whole text; `zone_s` is for layouts without a zone. False: it is not of that form. */
bool layout_parse(struct span layout, struct span text, int64_t zone_s, int64_t *ret_time_ns);

/* "UTC", "Z", "+02:00", "-0700", "+02". */
bool layout_zone(struct span text, int64_t *ret_zone_s);

#endif
