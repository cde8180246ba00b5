#include "query/timeline.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/time.h"

#define SECONDS_MAX (INT64_MAX / TIME_S_NS)
#define WIDTH_MAX (INT64_C(1) << 34) /* seconds; one slot has all times then */

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0 ? 1 : 0);
}

static struct query_stage_stats *slot_at(const struct query_timeline *timeline, int64_t number)
{
    return &timeline->slots[(uint64_t)number % QUERY_TIMELINE_SLOTS_MAX * timeline->stages];
}

static struct query_stage_stats *new_slots(const struct query_timeline *timeline)
{
    return mem_alloc_array(QUERY_TIMELINE_SLOTS_MAX * timeline->stages, sizeof(*timeline->slots));
}

static bool is_empty(const struct query_timeline *timeline)
{
    return timeline->slots == NULL || timeline->last < timeline->first;
}

void query_timeline_init(struct query_timeline *timeline, size_t stages)
{
    *timeline = (struct query_timeline){.stages = stages, .last = -1};
}

void query_timeline_deinit(struct query_timeline *timeline)
{
    mem_free(timeline->slots);
    timeline->slots = NULL;
}

void query_timeline_clear(struct query_timeline *timeline)
{
    for (int64_t n = timeline->first; !is_empty(timeline) && n <= timeline->last; n++) {
        memset(slot_at(timeline, n), 0, timeline->stages * sizeof(*timeline->slots));
    }
    timeline->first = 0;
    timeline->last = -1;
}

static void widen(struct query_timeline *timeline, int64_t width_s)
{
    struct query_timeline wide = *timeline;
    wide.width_s = width_s;
    if (!is_empty(timeline)) {
        wide.first = floor_div(timeline->first * timeline->width_s, width_s);
        wide.last = floor_div(timeline->last * timeline->width_s, width_s);
        wide.slots = new_slots(timeline);
        for (int64_t n = timeline->first; n <= timeline->last; n++) {
            const struct query_stage_stats *from = slot_at(timeline, n);
            struct query_stage_stats *to =
                slot_at(&wide, floor_div(n * timeline->width_s, width_s));
            for (size_t i = 0; i < timeline->stages; i++) {
                query_stage_stats_add(&to[i], &from[i]);
            }
        }
        mem_free(timeline->slots);
    }
    *timeline = wide;
}

/* Slots for these seconds and all between. */
static void reach(struct query_timeline *timeline, int64_t from_s, int64_t to_s)
{
    bool empty = is_empty(timeline);
    timeline->width_s = MAX(timeline->width_s, (int64_t)1);
    int64_t width_s = timeline->width_s;
    if (!empty) {
        from_s = MIN(from_s, timeline->first * width_s);
        to_s = MAX(to_s, timeline->last * width_s);
    }
    while (floor_div(to_s, width_s) - floor_div(from_s, width_s) >= QUERY_TIMELINE_SLOTS_MAX) {
        width_s = query_histogram_wider_s(width_s);
    }
    if (width_s != timeline->width_s) {
        widen(timeline, width_s);
    }
    timeline->slots = timeline->slots == NULL ? new_slots(timeline) : timeline->slots;
    timeline->first = floor_div(from_s, width_s);
    timeline->last = floor_div(to_s, width_s);
}

static int64_t seconds_of(int64_t time_ns)
{
    return floor_div(time_ns, TIME_S_NS);
}

size_t query_timeline_cut(struct query_timeline *timeline, const struct entry *entries,
                          size_t count)
{
    int64_t a = seconds_of(entries[0].time_ns);
    int64_t b = seconds_of(entries[count - 1].time_ns);
    reach(timeline, MIN(a, b), MAX(a, b));
    int64_t slot = floor_div(a, timeline->width_s);
    size_t low = 1; /* so many are in it */
    size_t high = count;
    while (low < high) {
        size_t middle = (low + high + 1) / 2;
        bool in = floor_div(seconds_of(entries[middle - 1].time_ns), timeline->width_s) == slot;
        low = in ? middle : low;
        high = in ? high : middle - 1;
    }
    return low;
}

static struct query_stage_stats less(const struct query_stage_stats *a,
                                     const struct query_stage_stats *b)
{
    return (struct query_stage_stats){
        .in_count = a->in_count - b->in_count,
        .in_bytes = a->in_bytes - b->in_bytes,
        .out_count = a->out_count - b->out_count,
        .out_bytes = a->out_bytes - b->out_bytes,
        .duration_ns = a->duration_ns - b->duration_ns,
        .failed_count = a->failed_count - b->failed_count,
        .scratch_bytes = a->scratch_bytes - b->scratch_bytes,
    };
}

void query_timeline_add(struct query_timeline *timeline, int64_t time_ns,
                        const struct query_stage_stats *before,
                        const struct query_stage_stats *after)
{
    int64_t second = seconds_of(time_ns);
    reach(timeline, second, second);
    struct query_stage_stats *slot = slot_at(timeline, floor_div(second, timeline->width_s));
    for (size_t i = 0; i < timeline->stages; i++) {
        struct query_stage_stats fresh = less(&after[i], &before[i]);
        query_stage_stats_add(&slot[i], &fresh);
    }
}

void query_timeline_merge(struct query_timeline *timeline, const struct query_timeline *more,
                          size_t first)
{
    if (is_empty(more) || first >= timeline->stages) {
        return;
    }
    while (timeline->width_s < more->width_s) {
        widen(timeline, timeline->width_s == 0 ? 1 : query_histogram_wider_s(timeline->width_s));
    }
    reach(timeline, more->first * more->width_s, more->last * more->width_s);
    for (int64_t n = more->first; n <= more->last; n++) {
        const struct query_stage_stats *from = slot_at(more, n);
        struct query_stage_stats *to =
            slot_at(timeline, floor_div(n * more->width_s, timeline->width_s));
        for (size_t i = 0; i < MIN(more->stages, timeline->stages - first); i++) {
            query_stage_stats_add(&to[first + i], &from[i]);
        }
    }
}

void query_timeline_fold(const struct query_timeline *timeline, int64_t start_ns, int64_t end_ns,
                         size_t count, size_t first, size_t stride,
                         struct query_stage_stats *buckets)
{
    __extension__ typedef __int128 wide;
    for (int64_t n = timeline->first; !is_empty(timeline) && n <= timeline->last; n++) {
        wide begin = (wide)n * timeline->width_s * TIME_S_NS;
        wide end = begin + (wide)timeline->width_s * TIME_S_NS;
        wide at = begin < start_ns && end > start_ns ? (wide)start_ns : begin;
        if (at < start_ns || at >= end_ns) {
            continue;
        }
        size_t index = (size_t)((at - start_ns) * (wide)count / ((wide)end_ns - start_ns));
        for (size_t i = 0; i < timeline->stages && first + i < stride; i++) {
            query_stage_stats_add(&buckets[index * stride + first + i], &slot_at(timeline, n)[i]);
        }
    }
}

/* ── On the wire ─────────────────────────────────────────────────────────────────────────── */

void query_stage_stats_put(struct buf *buf, const struct query_stage_stats *stats)
{
    wire_put_varint(buf, stats->in_count);
    wire_put_varint(buf, stats->in_bytes);
    wire_put_varint(buf, stats->out_count);
    wire_put_varint(buf, stats->out_bytes);
    wire_put_varint(buf, stats->duration_ns);
    wire_put_varint(buf, stats->failed_count);
}

struct query_stage_stats query_stage_stats_get(struct wire_reader *reader)
{
    struct query_stage_stats stats = {0};
    stats.in_count = wire_get_varint(reader);
    stats.in_bytes = wire_get_varint(reader);
    stats.out_count = wire_get_varint(reader);
    stats.out_bytes = wire_get_varint(reader);
    stats.duration_ns = wire_get_varint(reader);
    stats.failed_count = wire_get_varint(reader);
    return stats;
}

void query_timeline_put(struct buf *buf, const struct query_timeline *timeline)
{
    size_t count = is_empty(timeline) ? 0 : (size_t)(timeline->last - timeline->first + 1);
    wire_put_varint(buf, timeline->stages);
    wire_put_varint(buf, count);
    if (count == 0) {
        return;
    }
    wire_put_svarint(buf, timeline->width_s);
    wire_put_svarint(buf, timeline->first);
    for (int64_t n = timeline->first; n <= timeline->last; n++) {
        const struct query_stage_stats *slot = slot_at(timeline, n);
        for (size_t i = 0; i < timeline->stages; i++) {
            query_stage_stats_put(buf, &slot[i]);
            wire_put_varint(buf, slot[i].scratch_bytes);
        }
    }
}

/* Could these slots be of times that there are? */
static bool is_possible(const struct query_timeline *timeline, uint64_t count)
{
    int64_t first_s = 0;
    int64_t last_s = 0;
    return timeline->width_s > 0 && timeline->width_s <= WIDTH_MAX &&
           count <= QUERY_TIMELINE_SLOTS_MAX &&
           !__builtin_mul_overflow(timeline->first, timeline->width_s, &first_s) &&
           first_s >= -SECONDS_MAX - WIDTH_MAX && first_s <= SECONDS_MAX &&
           !__builtin_mul_overflow(timeline->first + (int64_t)count, timeline->width_s, &last_s) &&
           last_s <= SECONDS_MAX + 2 * WIDTH_MAX;
}

bool query_timeline_get(struct wire_reader *reader, struct query_timeline *ret_timeline)
{
    struct query_timeline timeline;
    uint64_t stages = wire_get_varint(reader);
    uint64_t count = wire_get_varint(reader);
    if (reader->failed || stages == 0 || stages > QUERY_STAGES_STATS_MAX) {
        return false;
    }
    query_timeline_init(&timeline, (size_t)stages);
    if (count > 0) {
        timeline.width_s = wire_get_svarint(reader);
        timeline.first = wire_get_svarint(reader);
        if (reader->failed || !is_possible(&timeline, count)) {
            return false;
        }
        timeline.last = timeline.first + (int64_t)count - 1;
        timeline.slots = new_slots(&timeline);
    }
    for (int64_t n = timeline.first; n <= timeline.last; n++) {
        struct query_stage_stats *slot = slot_at(&timeline, n);
        for (size_t i = 0; i < timeline.stages; i++) {
            slot[i] = query_stage_stats_get(reader);
            slot[i].scratch_bytes = wire_get_varint(reader);
        }
    }
    if (reader->failed) {
        query_timeline_deinit(&timeline);
        return false;
    }
    *ret_timeline = timeline;
    return true;
}
