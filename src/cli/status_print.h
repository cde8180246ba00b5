/*
 * The picture of a cluster (status_picture.h) for people: what is wrong first, then the parts as
 * tables, links, notifications. Pure.
 */
#ifndef CLI_STATUS_PRINT_H
#define CLI_STATUS_PRINT_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"

/* `now_ns`: ages are told as of then. */
void status_print(const json_t *picture, int64_t now_ns, struct buf *buf);

#endif
