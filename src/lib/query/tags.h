/*
 * The tags of one search: names and the numbers that its entries carry. Indexers number tags
 * each in their own way, so a search numbers them anew, in order of appearance.
 * One thread at a time. Zero-initialised is empty and valid.
 */
#ifndef QUERY_TAGS_H
#define QUERY_TAGS_H

#include "base/map.h"
#include "base/span.h"
#include "base/vec.h"

#define QUERY_TAG_NUMBERS_MAX 65536

struct query_tags {
    VEC(char *) names; /* by number; owned */
    struct map numbers;
};

void query_tags_deinit(struct query_tags *tags);

/* The number of this name, a new one when it is new. Copies. -1 when 65536 are in use. */
int query_tags_number(struct query_tags *tags, struct span name);
const char *query_tags_name(const struct query_tags *tags, uint16_t number); /* "" when unknown */

#endif
