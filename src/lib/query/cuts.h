/*
 * Where the range of a scan is cut into slices that several threads read at the same time: at
 * times where little lies on both sides, since what does is read twice. Pure.
 */
#ifndef QUERY_CUTS_H
#define QUERY_CUTS_H

#include <stddef.h>
#include <stdint.h>

/* Something that is read as a whole: its times, both of them in it, and its size. */
struct query_extent {
    int64_t first_ns;
    int64_t last_ns;
    uint64_t bytes;
};

/* Writes up to `cuts_max` times, ascending, no two equal, none at or before the first one of all:
 * a slice ends before its cut, the next begins there. Each slice has at least `bytes_min`, and
 * QUERY_CUTS_SHARE times what its end cuts through. Puts the extents into an order of its own. */
#define QUERY_CUTS_SHARE 6
size_t query_cuts(struct query_extent *extents, size_t count, uint64_t bytes_min, int64_t *ret_cuts,
                  size_t cuts_max);

#endif
