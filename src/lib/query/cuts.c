#include "query/cuts.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int by_first(const void *left, const void *right)
{
    int64_t a = ((const struct query_extent *)left)->first_ns;
    int64_t b = ((const struct query_extent *)right)->first_ns;
    return a < b ? -1 : a > b;
}

static int by_last(const void *left, const void *right)
{
    int64_t a = ((const struct query_extent *)left)->last_ns;
    int64_t b = ((const struct query_extent *)right)->last_ns;
    return a < b ? -1 : a > b;
}

size_t query_cuts(struct query_extent *extents, size_t count, uint64_t bytes_min, int64_t *ret_cuts,
                  size_t cuts_max)
{
    if (count == 0) {
        return 0;
    }
    qsort(extents, count, sizeof(*extents), by_first);
    struct query_extent *ends = mem_dup(extents, count * sizeof(*extents));
    qsort(ends, count, sizeof(*ends), by_last);
    size_t cuts = 0;
    size_t ended = 0;
    uint64_t begun_bytes = 0; /* of extents that begin before the present time */
    uint64_t ended_bytes = 0; /* of those that end before it */
    uint64_t before = 0;      /* begun_bytes at the last cut */
    for (size_t i = 0; i < count && cuts < cuts_max; i++) {
        int64_t at = extents[i].first_ns;
        while (ended < count && ends[ended].last_ns < at) {
            ended_bytes += ends[ended++].bytes;
        }
        bool anew = i > 0 && extents[i - 1].first_ns < at; /* all before it are counted */
        uint64_t through = begun_bytes - ended_bytes;
        uint64_t slice = begun_bytes - before;
        if (anew && slice >= bytes_min && slice / QUERY_CUTS_SHARE >= through) {
            ret_cuts[cuts++] = at;
            before = begun_bytes;
        }
        begun_bytes += extents[i].bytes;
    }
    mem_free(ends);
    return cuts;
}
