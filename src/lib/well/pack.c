/*
 * Packing: the segments of a closed partition become one, written once more as dense as is
 * reasonable for as much as it is. Tested by pack_test.c.
 *
 * The header says that a file is packed, so it is done once. Files that come late are packed
 * together, and with a packed neighbour only if that is not larger than they are: a byte is
 * packed again only into a file twice as large.
 */
#include "base/mem.h"
#include "well/internal.h"

/* The fewer bytes the more the level matters, and the less it costs. */
static const struct {
    uint64_t raw_bytes_max;
    uint8_t level;
} levels[] = {
    {(uint64_t)16 << 20, 19},
    {(uint64_t)128 << 20, 12},
    {UINT64_MAX, 9},
};

static uint8_t level_for(const segments_vec *run)
{
    uint64_t raw_bytes = 0;
    size_t i = 0;
    for (size_t j = 0; j < run->count; j++) {
        raw_bytes += run->items[j]->data_bytes;
    }
    while (raw_bytes > levels[i].raw_bytes_max) {
        i++;
    }
    return levels[i].level;
}

/* Segments [from, to) of the well's list. */
struct range {
    size_t from;
    size_t to;
};

/* The next partition's from `from` on. */
static struct range partition_at(const struct well *well, size_t from)
{
    struct range range = {from, from};
    while (range.to < well->segments.count &&
           well->segments.items[range.to]->partition == well->segments.items[from]->partition) {
        range.to++;
    }
    return range;
}

/* A clock that was set back tells nothing of the time since a flush. */
static bool is_closed(const struct well *well, struct range range, int64_t now_ns)
{
    bool closed = true;
    for (size_t i = range.from; i < range.to; i++) {
        const struct segment *segment = well->segments.items[i];
        closed =
            closed && segment->newest_ns < now_ns - well->partition_ns &&
            (segment->flushed_ns > now_ns || segment->flushed_ns <= now_ns - WELL_PACK_QUIET_NS);
    }
    return closed || well->pack_at_once;
}

static bool is_unpacked(const struct segment *segment)
{
    return segment->packed_level == 0 && !segment_is_damaged(segment);
}

/* What of a partition is to be packed next; empty: nothing. */
static struct range choose_in(const struct well *well, struct range partition)
{
    struct segment *const *items = well->segments.items;
    struct range range = partition;
    uint64_t bytes = 0;
    while (range.from < partition.to && !is_unpacked(items[range.from])) {
        range.from++;
    }
    range.to = range.from;
    while (range.to < partition.to && is_unpacked(items[range.to]) &&
           (bytes == 0 || bytes + items[range.to]->bytes <= well->segment_bytes_max)) {
        bytes += items[range.to++]->bytes;
    }
    while (bytes > 0 && range.from > partition.from && !segment_is_damaged(items[range.from - 1]) &&
           items[range.from - 1]->bytes <= MAX(bytes, WELL_SMALL_BYTES) &&
           bytes + items[range.from - 1]->bytes <= well->segment_bytes_max) {
        bytes += items[--range.from]->bytes;
    }
    return range;
}

/* Takes references. */
static void choose(struct well *well, segments_vec *run)
{
    int64_t now_ns = io_now_ns(well->io);
    pthread_mutex_lock(&well->lock);
    for (size_t at = 0; run->count == 0 && at < well->segments.count;) {
        struct range partition = partition_at(well, at);
        struct range range = choose_in(well, partition);
        at = partition.to;
        if (range.from < range.to && is_closed(well, partition, now_ns)) {
            for (size_t i = range.from; i < range.to; i++) {
                vec_push(run, segment_ref(well->segments.items[i]));
            }
        }
    }
    pthread_mutex_unlock(&well->lock);
}

/* Whether the run is in the list as it was; under `merging`. */
static bool stands(struct well *well, const segments_vec *run)
{
    size_t at = 0;
    size_t same = 0;
    pthread_mutex_lock(&well->lock);
    while (at < well->segments.count && well->segments.items[at] != run->items[0]) {
        at++;
    }
    while (same < run->count && at + same < well->segments.count &&
           well->segments.items[at + same] == run->items[same]) {
        same++;
    }
    pthread_mutex_unlock(&well->lock);
    return same == run->count;
}

/* Written beside what else goes on; only then it is looked whether it is still of use. */
static int pack_run(struct well *well, const segments_vec *run)
{
    char *temp = mem_printf("%s/pack.tmp", well->dir);
    bool is_empty = false;
    int rc = well_write_run(well, run, temp, level_for(run), &is_empty);
    pthread_mutex_lock(&well->merging);
    if (rc == 0 && (well->merging_stopped || !stands(well, run))) {
        rc = WELL_NOTHING;
    }
    rc = well_put_run(well, run, temp, rc, is_empty);
    pthread_mutex_unlock(&well->merging);
    mem_free(temp);
    return rc;
}

int well_pack(struct well *well)
{
    segments_vec run = {0};
    pthread_mutex_lock(&well->merging);
    bool stopped = well->merging_stopped;
    pthread_mutex_unlock(&well->merging);
    if (stopped) {
        return WELL_NOTHING;
    }
    choose(well, &run);
    int rc = run.count > 0 && well_has_room(well, &run) ? pack_run(well, &run) : WELL_NOTHING;
    for (size_t i = 0; i < run.count; i++) {
        segment_unref(&run.items[i]);
    }
    vec_deinit(&run);
    return rc < 0 ? err_wrap(rc, "pack in well %s", well->name) : rc;
}
