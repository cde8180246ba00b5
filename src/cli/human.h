/*
 * Amounts, ages and foreign text as people read them on a terminal.
 */
#ifndef CLI_HUMAN_H
#define CLI_HUMAN_H

#include <stdint.h>

#include "base/buf.h"

void human_bytes(struct buf *buf, double bytes);       /* "12.3 MB" */
void human_duration(struct buf *buf, int64_t time_ns); /* "350 ms", "12 s", "3 h 5 min" */
void human_age(struct buf *buf, int64_t age_ns);       /* "12 s ago", "3 h ago" */

/* What would break the line or move the cursor becomes a dot. */
void human_text(struct buf *buf, const char *text);

#endif
