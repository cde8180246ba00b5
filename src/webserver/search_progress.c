#include "webserver/search_progress.h"

#include <inttypes.h>

#include "base/mem.h"
#include "webserver/search_indexers.h"

/* The slowest indexer that is still at work. */
static int64_t reached(const struct run *run)
{
    int64_t position_ns = run->one->start_ns;
    for (size_t i = 0; i < run->streams.count; i++) {
        const struct stream *stream = run->streams.items[i];
        position_ns = stream->ended ? position_ns : MAX(position_ns, stream->reached_ns);
    }
    return position_ns;
}

/* Counts of stages that indexers run, to which `stages` are added. */
static uint64_t add_streams(const struct run *run, struct query_stage_stats *stages)
{
    uint64_t passed_over = 0;
    for (size_t i = 0; i < run->streams.count; i++) {
        const struct stream *stream = run->streams.items[i];
        passed_over += stream->passed_over;
        for (size_t j = 0; j < stream->stage_count; j++) {
            query_stage_stats_add(&stages[j], &stream->stages[j]);
        }
    }
    return passed_over;
}

void search_progress_publish(struct run *run)
{
    struct search_one *one = run->one;
    struct query_stage_stats stages[QUERY_STAGES_STATS_MAX] = {{0}};
    uint64_t passed_over = add_streams(run, stages);
    for (size_t i = one->query->collapse; i < one->query->stage_count; i++) {
        struct query_stage_stats here =
            *query_pipeline_stats(run->pipeline, i - one->query->collapse);
        if (run->shared && i == one->query->collapse) { /* states are nobody's entries */
            here.in_count = stages[i].in_count;
            here.in_bytes = stages[i].in_bytes;
            here.duration_ns += stages[i].duration_ns;
            here.failed_count += stages[i].failed_count;
            here.scratch_bytes += stages[i].scratch_bytes + run->spooled_bytes;
        }
        stages[i] = here;
    }
    int64_t position_ns = run->shared ? reached(run) : query_merge_position(run->merge);
    position_ns = one->follow ? io_now_ns(one->search->webserver->io) : position_ns;
    position_ns = MAX(MIN(position_ns, one->end_ns), one->start_ns);
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    memcpy(one->stages, stages, sizeof(stages));
    one->position_ns = position_ns;
    one->passed_over = passed_over;
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
}

/* ── By time ─────────────────────────────────────────────────────────────────────────────── */

void search_progress_note(struct run *run, int64_t time_ns)
{
    struct query_stage_stats now[QUERY_STAGES_STATS_MAX];
    size_t stages = run->one->query->stage_count - run->one->query->collapse;
    for (size_t i = 0; i < stages; i++) {
        now[i] = *query_pipeline_stats(run->pipeline, i);
    }
    if (run->shared) { /* states are nobody's entries */
        run->counted[0].in_count = now[0].in_count;
        run->counted[0].in_bytes = now[0].in_bytes;
    }
    query_timeline_add(&run->timeline, time_ns, run->counted, now);
    memcpy(run->counted, now, stages * sizeof(now[0]));
}

void search_progress_publish_times(struct run *run)
{
    struct search_one *one = run->one;
    struct query_timeline there;
    query_timeline_init(&there, one->query->collapse + (run->shared ? 1 : 0));
    for (size_t i = 0; i < run->streams.count; i++) {
        query_timeline_merge(&there, &run->streams.items[i]->timeline, 0);
    }
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    buf_clear(&one->times_there);
    buf_clear(&one->times_here);
    if (there.stages > 0) {
        query_timeline_put(&one->times_there, &there);
    }
    query_timeline_put(&one->times_here, &run->timeline);
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    query_timeline_deinit(&there);
}

/* The states that an indexer's half of a condensing stage gives are not what comes out of it. */
static void forget_states(struct query_timeline *timeline, size_t stage)
{
    for (size_t i = 0; timeline->slots != NULL && i < QUERY_TIMELINE_SLOTS_MAX; i++) {
        timeline->slots[i * timeline->stages + stage].out_count = 0;
        timeline->slots[i * timeline->stages + stage].out_bytes = 0;
    }
}

void search_progress_take(struct run *run, size_t index, struct query_progress *progress)
{
    struct stream *stream = run->streams.items[index];
    size_t stages = run->one->query->collapse + (run->shared ? 1 : 0);
    memcpy(stream->stages, progress->stages, sizeof(stream->stages));
    stream->stage_count = MIN(progress->stage_count, stages);
    stream->reached_ns = progress->position_ns;
    stream->passed_over = progress->passed_over;
    if (progress->timeline != NULL && progress->timeline->stages == stages) {
        struct query_timeline before = stream->timeline;
        stream->timeline = *progress->timeline;
        *progress->timeline = before; /* goes with the frame */
        if (run->shared) {
            forget_states(&stream->timeline, stages - 1);
        }
        search_progress_publish_times(run);
    }
    if (progress->skipped_blocks > stream->skipped_blocks) {
        stream->skipped_blocks = progress->skipped_blocks;
        search_one_message(
            run->one, "warn", "indexer %s: %" PRIu64 " damaged blocks could not be read",
            search_indexer_name(run->indexers, stream->index), stream->skipped_blocks);
    }
}
