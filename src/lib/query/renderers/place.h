/*
 * Places of rows, for maps: a value of two numbers, latitude and longitude ("50.1 14.4",
 * "[50.1, 14.4]"), or a value for each.
 */
#ifndef QUERY_RENDERERS_PLACE_H
#define QUERY_RENDERERS_PLACE_H

#include "query/module.h"

struct place_names {
    struct span place; /* empty: lat and lon only */
    struct span lat;   /* empty: place only */
    struct span lon;
};

struct place {
    double lat;
    double lon;
};

bool place_uses(const struct place_names *names, struct span name);

/* The row's place; false: it has none on this earth. */
bool place_of(const struct place_names *names, const struct query_block *rows, size_t index,
              struct place *ret_place);

bool place_inside(const struct query_fence *fence, struct place place);

/* {"Lat":50.1,"Long":14.4} */
void place_put(struct place place, struct buf *buf);

#endif
