#include "query/sweep.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/time.h"
#include "base/vec.h"
#include "query/module.h"

#define QUANTUM_NS (5 * TIME_MS_NS) /* a thread looks for who else has work after this time */
#define QUANTUM_BYTES QUERY_BATCH_BYTES_MAX
#define PART_ENTRIES 256                   /* to begin with */
#define FIRST_BYTES_MAX ((size_t)4 << 20)  /* frames of the slice that stands first */
#define OTHER_BYTES_MAX ((size_t)32 << 20) /* of all others */
#define SLICE_BYTES_MIN (UINT64_C(4) << 20)
#define SLICE_BYTES_MAX (UINT64_C(64) << 20)
#define SLICES_MAX 2048
#define SLICES_PER_THREAD 8
#define AHEAD_PER_THREAD 2 /* slices that are read before the first of them has ended */

struct slice {
    int64_t start_ns;
    int64_t end_ns;
    struct query_cursor *cursor;     /* NULL: not begun, or ended */
    struct query_source_block block; /* what the cursor gave last ... */
    size_t at;                       /* ... of which so many entries have been run */
    bool begun;
    bool busy; /* a thread is in it: all but `frames` and `pending` is that thread's */
    bool ended;
    struct buf frames;  /* to be taken */
    uint64_t pending;   /* entries in them */
    int64_t reached_ns; /* what they bring the scan to */
    uint64_t sent;      /* entries, in all */
    uint64_t read;      /* the same, of those that were run */
    int fault;
    char *fault_text;
};

/* What one thread at a time works with. */
struct lane {
    struct query_pipeline *pipeline;
    bool busy;
    bool used;
    struct buf fresh;
    VEC(uint32_t) picks;
    size_t part; /* entries that are run at a time: few as long as they take long */
    struct query_stage_stats stats[QUERY_STAGES_STATS_MAX]; /* as far as they are published */
    struct query_timeline timeline;                         /* of what is not, if detailed */
};

struct query_sweep {
    struct query_sweep_options options;
    struct query_pool_job job;
    bool in_pool;
    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t come;  /* the first slice has frames, or has ended */
    struct slice *slices; /* in the order of the scan */
    size_t count;
    size_t first; /* slice that frames are taken from */
    struct lane *lanes;
    size_t lane_count;
    size_t waiting_bytes; /* frames of slices behind the first */
    uint64_t taken;       /* entries */
    int64_t position_ns;
    uint64_t skipped; /* damaged blocks */
    uint64_t passed_over;
    uint64_t gathering_bytes; /* that were spilled when all was read */
    struct query_timeline timeline;
    bool stopping;
    size_t stages;
};

static int64_t clock_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * TIME_S_NS + now.tv_nsec;
}

/* ---- slices ---- */

struct extents {
    VEC(struct query_extent) items;
    uint64_t bytes;
};

static void collect_extent(void *context, struct query_extent extent)
{
    struct extents *extents = context;
    vec_push(&extents->items, extent);
    extents->bytes += extent.bytes;
}

/* Slices of the range between these ascending times. */
static void make_slices(struct query_sweep *sweep, const int64_t *cuts, size_t count)
{
    const struct query_scan *scan = &sweep->options.scan;
    sweep->count = count + 1;
    sweep->slices = mem_alloc_array(sweep->count, sizeof(*sweep->slices));
    for (size_t i = 0; i <= count; i++) {
        struct slice *slice = &sweep->slices[scan->ascending ? i : count - i];
        slice->start_ns = i == 0 ? scan->start_ns : cuts[i - 1];
        slice->end_ns = i == count ? scan->end_ns : cuts[i];
        slice->reached_ns = scan->ascending ? slice->start_ns : slice->end_ns;
    }
}

static void cut(struct query_sweep *sweep)
{
    struct extents extents = {0};
    const struct query_scan *scan = &sweep->options.scan;
    int64_t *cuts = mem_alloc_array(SLICES_MAX, sizeof(*cuts));
    if (scan->tag_count > 0 && sweep->options.read_max == UINT64_MAX) { /* else: one slice */
        query_source_extents(sweep->options.source, scan, collect_extent, &extents);
    }
    uint64_t bytes = extents.bytes / (SLICES_PER_THREAD * sweep->lane_count);
    bytes = MIN(MAX(bytes, SLICE_BYTES_MIN), SLICE_BYTES_MAX);
    bytes = MAX(bytes, extents.bytes / SLICES_MAX + 1);
    size_t count =
        query_cuts(extents.items.items, extents.items.count, bytes, cuts, SLICES_MAX - 1);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (cuts[i] > scan->start_ns && cuts[i] < scan->end_ns) {
            cuts[kept++] = cuts[i];
        }
    }
    make_slices(sweep, cuts, kept);
    vec_deinit(&extents.items);
    mem_free(cuts);
}

static int begin(struct query_sweep *sweep, struct slice *slice)
{
    slice->begun = true;
    if (sweep->options.scan.tag_count == 0) {
        return 0;
    }
    struct query_scan scan = sweep->options.scan;
    scan.start_ns = slice->start_ns;
    scan.end_ns = slice->end_ns;
    return query_source_open(sweep->options.source, &scan, &slice->cursor);
}

/* ---- working ---- */

/* How many of the picks from `from` on make one batch: both bounds, at least one entry. */
static size_t batch_length(const struct query_block *block, size_t from)
{
    size_t bytes = 0;
    size_t count = 0;
    while (from + count < block->count && count < QUERY_BATCH_ENTRIES_MAX) {
        const struct entry *entry = &block->entries[block->picks[from + count]];
        bytes += entry->data.bytes + entry->enumerated.bytes;
        if (count > 0 && bytes > QUERY_BATCH_BYTES_MAX) {
            break;
        }
        count++;
    }
    return count;
}

void query_sweep_put(const struct query_block *block, struct buf *frames)
{
    for (size_t from = 0; from < block->count;) {
        size_t count = batch_length(block, from);
        query_batch_put(frames, block->entries, block->picks + from, count, block->tag_name,
                        block->context);
        from += count;
    }
}

static void take_stats(const struct query_sweep *sweep, const struct lane *lane,
                       struct query_stage_stats *ret_stats)
{
    for (size_t i = 0; i < sweep->stages; i++) {
        ret_stats[i] = *query_pipeline_stats(lane->pipeline, i);
    }
}

/* As below, of entries that lie in one slot of time. */
static int run_timed(struct query_sweep *sweep, struct lane *lane, struct query_block *block)
{
    struct query_stage_stats before[QUERY_STAGES_STATS_MAX];
    struct query_stage_stats after[QUERY_STAGES_STATS_MAX];
    int64_t time_ns = block->entries[0].time_ns;
    take_stats(sweep, lane, before);
    int rc = query_pipeline_run(lane->pipeline, block);
    take_stats(sweep, lane, after);
    query_timeline_add(&lane->timeline, time_ns, before, after);
    return rc;
}

static int run_part(struct query_sweep *sweep, struct slice *slice, struct lane *lane, size_t count)
{
    bool timed = sweep->options.detailed && sweep->stages > 0;
    count = timed ? query_timeline_cut(&lane->timeline, slice->block.entries + slice->at, count)
                  : count;
    while (lane->picks.count < count) {
        vec_push(&lane->picks, 0);
    }
    for (size_t i = 0; i < count; i++) {
        lane->picks.items[i] = (uint32_t)i;
    }
    struct query_block block = {
        .entries = slice->block.entries + slice->at,
        .picks = lane->picks.items,
        .count = count,
        .region = slice->block.region,
        .tag_name = sweep->options.tag_name,
        .context = sweep->options.context,
    };
    int rc = timed ? run_timed(sweep, lane, &block) : query_pipeline_run(lane->pipeline, &block);
    if (rc < 0) {
        return rc;
    }
    slice->at += count;
    slice->read += count;
    block.count = (size_t)MIN((uint64_t)block.count, sweep->options.entries_max - slice->sent);
    slice->sent += block.count;
    query_sweep_put(&block, &lane->fresh);
    return 0;
}

/* The next entries of the slice, as many as are likely to take less than the time that a thread has
 * at once: an expression may take a millisecond for each. */
static int run_some(struct query_sweep *sweep, struct slice *slice, struct lane *lane)
{
    int rc = query_scratch_look(sweep->options.scratch);
    if (rc == 0 && slice->at == slice->block.count) {
        slice->at = 0;
        slice->block.count = 0;
        rc = query_source_next(slice->cursor, &slice->block);
    }
    if (rc != 0) {
        return rc;
    }
    lane->part = lane->part == 0 ? PART_ENTRIES : lane->part;
    int64_t begin_ns = clock_ns();
    size_t left = (size_t)MIN((uint64_t)(slice->block.count - slice->at),
                              sweep->options.read_max - slice->read);
    rc = run_part(sweep, slice, lane, MIN(lane->part, left));
    int64_t took_ns = clock_ns() - begin_ns;
    if (took_ns > QUANTUM_NS) {
        lane->part = MAX(lane->part / 4, (size_t)1);
    } else if (took_ns < QUANTUM_NS / 4 && lane->part < SIZE_MAX / 8) {
        lane->part *= 4;
    }
    return rc;
}

/* Some entries of a slice, without the lock. QUERY_SOURCE_END: that was all. In a hurry: no more
 * than it takes to find something. */
static int work_on(struct query_sweep *sweep, struct slice *slice, struct lane *lane, bool hurry,
                   int64_t *reached_ns)
{
    int64_t until_ns = clock_ns() + QUANTUM_NS;
    size_t bytes_max = hurry ? 1 : QUANTUM_BYTES;
    int rc = slice->begun ? 0 : begin(sweep, slice);
    while (rc == 0 && lane->fresh.bytes < bytes_max) {
        if (slice->cursor == NULL || slice->sent >= sweep->options.entries_max ||
            slice->read >= sweep->options.read_max || query_pipeline_done(lane->pipeline)) {
            return QUERY_SOURCE_END;
        }
        rc = run_some(sweep, slice, lane);
        if (rc == 0) {
            *reached_ns = slice->block.entries[slice->at - 1].time_ns;
        }
        if (clock_ns() >= until_ns) {
            break;
        }
    }
    return rc;
}

static struct lane *free_lane(struct query_sweep *sweep)
{
    for (size_t i = 0; i < sweep->lane_count; i++) {
        if (!sweep->lanes[i].busy) {
            return &sweep->lanes[i];
        }
    }
    return NULL;
}

static size_t ended_slices(const struct query_sweep *sweep)
{
    size_t ended = 0;
    for (size_t i = 0; i < sweep->first + AHEAD_PER_THREAD * sweep->lane_count; i++) {
        ended += i < sweep->count && sweep->slices[i].ended ? 1 : 0;
    }
    return ended;
}

/* The first slice that something can be done for. Where few entries are wanted, the first slices
 * will often do: others are begun as they turn out not to. */
static struct slice *choose(struct query_sweep *sweep)
{
    size_t ahead = AHEAD_PER_THREAD * sweep->lane_count;
    if (sweep->options.entries_max != UINT64_MAX) {
        ahead = MIN(ahead, 2 * ended_slices(sweep) + 1);
    }
    if (sweep->stopping || sweep->taken >= sweep->options.entries_max) {
        return NULL;
    }
    for (size_t i = sweep->first; i < sweep->count && i < sweep->first + ahead; i++) {
        struct slice *slice = &sweep->slices[i];
        bool room = i == sweep->first ? slice->frames.bytes < FIRST_BYTES_MAX
                                      : sweep->waiting_bytes < OTHER_BYTES_MAX;
        if (!slice->busy && !slice->ended && room) {
            return slice;
        }
    }
    return NULL;
}

/* What a thread has done in a slice. */
struct done {
    int rc; /* as of work_on() */
    uint64_t entries;
    uint64_t skipped;
    uint64_t passed_over;
    int64_t reached_ns;
};

/* Under the lock: it becomes visible. */
static void publish(struct query_sweep *sweep, struct slice *slice, struct lane *lane,
                    const struct done *done)
{
    bool is_first = slice == &sweep->slices[sweep->first];
    sweep->waiting_bytes += is_first ? 0 : lane->fresh.bytes;
    if (slice->frames.bytes == 0) {
        struct buf empty = slice->frames;
        slice->frames = lane->fresh;
        lane->fresh = empty;
    } else {
        buf_append(&slice->frames, buf_span(&lane->fresh));
    }
    buf_clear(&lane->fresh);
    slice->pending += done->entries;
    slice->reached_ns = done->reached_ns;
    slice->ended = done->rc != 0;
    if (done->rc < 0) {
        slice->fault = done->rc;
        slice->fault_text = mem_strdup(err_text());
    }
    sweep->skipped += done->skipped;
    sweep->passed_over += done->passed_over;
    take_stats(sweep, lane, lane->stats);
    query_timeline_merge(&sweep->timeline, &lane->timeline, 0);
    query_timeline_clear(&lane->timeline);
    if (is_first && (slice->frames.bytes > 0 || slice->ended)) {
        CHECK(pthread_cond_signal(&sweep->come) == 0);
    }
}

/* A piece of work in the slice, without the lock. */
static struct done do_some(struct query_sweep *sweep, struct slice *slice, struct lane *lane,
                           bool hurry)
{
    struct done done = {.reached_ns = slice->reached_ns};
    uint64_t sent = slice->sent;
    uint64_t skipped = slice->cursor == NULL ? 0 : query_source_skipped(slice->cursor);
    uint64_t passed = slice->cursor == NULL ? 0 : query_source_passed_over(slice->cursor);
    done.rc = work_on(sweep, slice, lane, hurry, &done.reached_ns);
    done.entries = slice->sent - sent;
    if (slice->cursor != NULL) {
        done.skipped = query_source_skipped(slice->cursor) - skipped;
        done.passed_over = query_source_passed_over(slice->cursor) - passed;
    }
    if (done.rc != 0) {
        query_source_close(&slice->cursor);
    }
    return done;
}

static bool work(struct query_pool_job *job)
{
    struct query_sweep *sweep = CONTAINER_OF(job, struct query_sweep, job);
    CHECK(pthread_mutex_lock(&sweep->lock) == 0);
    struct slice *slice = choose(sweep);
    struct lane *lane = slice == NULL ? NULL : free_lane(sweep);
    if (lane == NULL) {
        CHECK(pthread_mutex_unlock(&sweep->lock) == 0);
        return false;
    }
    bool hurry = slice == &sweep->slices[0] && sweep->taken == 0;
    slice->busy = lane->busy = lane->used = true;
    CHECK(pthread_mutex_unlock(&sweep->lock) == 0);
    struct done done = do_some(sweep, slice, lane, hurry);
    CHECK(pthread_mutex_lock(&sweep->lock) == 0);
    publish(sweep, slice, lane, &done);
    slice->busy = lane->busy = false;
    CHECK(pthread_mutex_unlock(&sweep->lock) == 0);
    return true;
}

/* ---- taking ---- */

static void wake(struct query_sweep *sweep)
{
    if (sweep->in_pool) {
        query_pool_wake(sweep->options.pool, &sweep->job);
    }
}

/* The first slice's frames; under the lock. */
static void hand_over(struct query_sweep *sweep, struct buf *frames)
{
    struct slice *slice = &sweep->slices[sweep->first];
    if (frames->bytes == 0) {
        struct buf empty = *frames;
        *frames = slice->frames;
        slice->frames = empty;
    } else {
        buf_append(frames, buf_span(&slice->frames));
        buf_clear(&slice->frames);
    }
    sweep->taken += slice->pending;
    slice->pending = 0;
    sweep->position_ns = slice->reached_ns;
}

/* Goes on to the next slice; false: there is none. Under the lock. */
static bool next_slice(struct query_sweep *sweep)
{
    struct slice *slice = &sweep->slices[sweep->first];
    buf_deinit(&slice->frames);
    bool ascending = sweep->options.scan.ascending;
    sweep->position_ns = ascending ? slice->end_ns : slice->start_ns;
    if (sweep->first + 1 == sweep->count) {
        return false;
    }
    sweep->first++;
    sweep->waiting_bytes -= sweep->slices[sweep->first].frames.bytes;
    return true;
}

/* Waits a little, or does the work itself. Under the lock. False: the time is over. */
static bool wait_or_work(struct query_sweep *sweep, int64_t until_ns)
{
    if (clock_ns() >= until_ns) {
        return false;
    }
    if (!sweep->in_pool) {
        CHECK(pthread_mutex_unlock(&sweep->lock) == 0);
        bool worked = work(&sweep->job);
        CHECK(worked);
        CHECK(pthread_mutex_lock(&sweep->lock) == 0);
        return true;
    }
    struct timespec until = {until_ns / TIME_S_NS, until_ns % TIME_S_NS};
    (void)pthread_cond_timedwait(&sweep->come, &sweep->lock, &until);
    return true;
}

#define GO_ON 3

/* One look at the slice that stands first; under the lock. */
static int take_step(struct query_sweep *sweep, int64_t until_ns, struct buf *frames)
{
    struct slice *slice = &sweep->slices[sweep->first];
    if (slice->frames.bytes > 0) {
        hand_over(sweep, frames);
        return 0;
    }
    if (slice->fault < 0) {
        return err_set((enum err)slice->fault, "%s", slice->fault_text);
    }
    if (sweep->taken >= sweep->options.entries_max) {
        return QUERY_SWEEP_END;
    }
    if (slice->ended) {
        return next_slice(sweep) ? GO_ON : QUERY_SWEEP_END;
    }
    sweep->position_ns = slice->reached_ns;
    return wait_or_work(sweep, until_ns) ? GO_ON : QUERY_SWEEP_WAIT;
}

int query_sweep_take(struct query_sweep *sweep, int64_t timeout_ms, struct buf *frames)
{
    int64_t until_ns = clock_ns() + timeout_ms * TIME_MS_NS;
    int rc;
    CHECK(pthread_mutex_lock(&sweep->lock) == 0);
    do {
        size_t first = sweep->first;
        rc = take_step(sweep, until_ns, frames);
        if (rc == 0 || first != sweep->first) { /* there is room, or another slice to begin */
            CHECK(pthread_mutex_unlock(&sweep->lock) == 0);
            wake(sweep);
            CHECK(pthread_mutex_lock(&sweep->lock) == 0);
        }
    } while (rc == GO_ON);
    CHECK(pthread_mutex_unlock(&sweep->lock) == 0);
    return rc;
}

void query_sweep_progress(struct query_sweep *sweep, struct query_progress *ret_progress,
                          struct query_timeline *ret_timeline)
{
    *ret_progress = (struct query_progress){.stage_count = sweep->stages};
    CHECK(pthread_mutex_lock(&sweep->lock) == 0);
    ret_progress->position_ns = sweep->position_ns;
    ret_progress->skipped_blocks = sweep->skipped;
    ret_progress->passed_over = sweep->passed_over;
    for (size_t i = 0; i < sweep->lane_count; i++) {
        for (size_t j = 0; j < sweep->stages; j++) {
            query_stage_stats_add(&ret_progress->stages[j], &sweep->lanes[i].stats[j]);
        }
    }
    if (sweep->stages > 0) {
        ret_progress->stages[sweep->stages - 1].scratch_bytes += sweep->gathering_bytes;
    }
    query_timeline_init(ret_timeline, sweep->stages);
    query_timeline_merge(ret_timeline, &sweep->timeline, 0);
    ret_progress->timeline = sweep->options.detailed && sweep->stages > 0 ? ret_timeline : NULL;
    CHECK(pthread_mutex_unlock(&sweep->lock) == 0);
}

/* ---- finishing ---- */

static void leave_pool(struct query_sweep *sweep)
{
    CHECK(pthread_mutex_lock(&sweep->lock) == 0);
    sweep->stopping = true;
    CHECK(pthread_mutex_unlock(&sweep->lock) == 0);
    if (sweep->in_pool) {
        query_pool_remove(sweep->options.pool, &sweep->job);
        sweep->in_pool = false;
    }
}

struct gathering {
    const struct query_sweep *sweep;
    struct query_pipeline *all;
    int (*alive)(void *context);
    void *context;
};

static int gather(void *context, const struct query_block *block)
{
    const struct gathering *gathering = context;
    struct query_block copy = *block;
    int rc = query_scratch_look(gathering->sweep->options.scratch);
    rc = rc < 0 ? rc : gathering->alive(gathering->context);
    return rc < 0 ? rc : query_pipeline_run(gathering->all, &copy);
}

/* What all threads but the first collected goes into one, then out. */
static int finish_gathered(struct query_sweep *sweep, const struct query_block *like,
                           int (*sink)(void *context, const struct query_block *block),
                           int (*alive)(void *context), void *context)
{
    struct query_pipeline *all = NULL;
    struct gathering gathering = {sweep, NULL, alive, context};
    int rc = query_pipeline_new_part(sweep->options.query, QUERY_PART_GATHER, &all);
    if (rc == 0) {
        query_pipeline_lend(all, sweep->options.scratch);
        gathering.all = all;
    }
    for (size_t i = 0; i < sweep->lane_count && rc == 0; i++) {
        struct lane *lane = &sweep->lanes[i];
        if (lane->used) {
            rc = query_pipeline_finish(lane->pipeline, like, gather, &gathering);
            query_pipeline_free(&lane->pipeline);
        }
    }
    rc = rc < 0 ? rc : query_pipeline_finish(all, like, sink, context);
    query_pipeline_free(&all);
    return rc;
}

int query_sweep_finish(struct query_sweep *sweep,
                       int (*sink)(void *context, const struct query_block *block),
                       int (*alive)(void *context), void *context)
{
    struct query_block like = {
        .tag_name = sweep->options.tag_name,
        .context = sweep->options.context,
    };
    size_t used = 0;
    size_t last = 0;
    leave_pool(sweep);
    for (size_t i = 0; i < sweep->lane_count; i++) {
        used += sweep->lanes[i].used ? 1 : 0;
        last = sweep->lanes[i].used ? i : last;
    }
    bool shared = sweep->options.half && query_is_shared(sweep->options.query);
    uint64_t written = query_scratch_written_here();
    int rc = shared && used > 1
                 ? finish_gathered(sweep, &like, sink, alive, context)
                 : query_pipeline_finish(sweep->lanes[last].pipeline, &like, sink, context);
    sweep->gathering_bytes = query_scratch_written_here() - written;
    return rc;
}

/* ---- life ---- */

static int make_lanes(struct query_sweep *sweep)
{
    const struct query_sweep_options *options = &sweep->options;
    int rc = 0;
    for (size_t i = 0; i < sweep->lane_count && rc == 0; i++) {
        struct query_pipeline **place = &sweep->lanes[i].pipeline;
        rc = options->half ? query_pipeline_new_part(options->query, QUERY_PART_INDEXER, place)
                           : query_pipeline_new(options->query, 0, options->stages, place);
        if (rc == 0) {
            query_pipeline_lend(*place, options->scratch);
        }
    }
    return rc;
}

int query_sweep_new(const struct query_sweep_options *options, struct query_sweep **ret_scanner)
{
    struct query_sweep *sweep = MEM_NEW(struct query_sweep);
    sweep->options = *options;
    sweep->job.work = work;
    CHECK(pthread_mutex_init(&sweep->lock, NULL) == 0);
    pthread_condattr_t monotonic;
    CHECK(pthread_condattr_init(&monotonic) == 0);
    CHECK(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&sweep->come, &monotonic) == 0);
    CHECK(pthread_condattr_destroy(&monotonic) == 0);
    const struct query_scan *scan = &options->scan;
    sweep->position_ns = scan->ascending ? scan->start_ns : scan->end_ns;
    bool shared = options->half && query_is_shared(options->query);
    sweep->stages = options->stages + (shared ? 1 : 0);
    sweep->lane_count = options->pool == NULL ? 1 : query_pool_threads(options->pool);
    sweep->lanes = mem_alloc_array(sweep->lane_count, sizeof(*sweep->lanes));
    query_timeline_init(&sweep->timeline, sweep->stages);
    for (size_t i = 0; i < sweep->lane_count; i++) {
        query_timeline_init(&sweep->lanes[i].timeline, sweep->stages);
    }
    cut(sweep);
    int rc = make_lanes(sweep);
    rc = rc < 0 ? rc : begin(sweep, &sweep->slices[0]);
    if (rc < 0) {
        query_sweep_free(&sweep);
        return rc;
    }
    sweep->in_pool = options->pool != NULL;
    if (sweep->in_pool) {
        query_pool_add(options->pool, &sweep->job);
    }
    *ret_scanner = sweep;
    return 0;
}

void query_sweep_free(struct query_sweep **place)
{
    struct query_sweep *sweep = *place;
    *place = NULL;
    if (sweep == NULL) {
        return;
    }
    leave_pool(sweep);
    for (size_t i = 0; i < sweep->count; i++) {
        query_source_close(&sweep->slices[i].cursor);
        buf_deinit(&sweep->slices[i].frames);
        mem_free(sweep->slices[i].fault_text);
    }
    for (size_t i = 0; i < sweep->lane_count; i++) {
        query_pipeline_free(&sweep->lanes[i].pipeline);
        buf_deinit(&sweep->lanes[i].fresh);
        vec_deinit(&sweep->lanes[i].picks);
        query_timeline_deinit(&sweep->lanes[i].timeline);
    }
    CHECK(pthread_cond_destroy(&sweep->come) == 0);
    CHECK(pthread_mutex_destroy(&sweep->lock) == 0);
    query_timeline_deinit(&sweep->timeline);
    mem_free(sweep->slices);
    mem_free(sweep->lanes);
    mem_free(sweep);
}
