#include "query/pipeline.h"

#include <time.h>

#include "base/mem.h"
#include "base/time.h"
#include "base/vec.h"
#include "query/module.h"
#include "series/evs.h"

struct running {
    const struct query_stage *stage;
    void *state;
    struct query_stage_stats stats;
};

struct query_pipeline {
    struct running *stages;
    size_t count;
    VEC(uint32_t) picks; /* of a stage that acts on some tags only */
    VEC(uint32_t) merged;
};

int query_pipeline_new(const struct query *query, size_t first, size_t last,
                       struct query_pipeline **ret_pipeline)
{
    CHECK(first <= last && last <= query->stage_count);
    struct query_pipeline *pipeline = MEM_NEW(struct query_pipeline);
    pipeline->stages = mem_alloc_array(last - first + 1, sizeof(*pipeline->stages));
    for (size_t i = first; i < last; i++) {
        struct running *running = &pipeline->stages[pipeline->count++];
        running->stage = &query->stages[i];
        const struct query_module *module = running->stage->module;
        if (module != NULL && module->start != NULL) {
            int rc = module->start(running->stage->plan, &running->state);
            if (rc < 0) {
                rc = err_wrap(rc, "%s", running->stage->name);
                query_pipeline_free(&pipeline);
                return rc;
            }
        }
    }
    *ret_pipeline = pipeline;
    return 0;
}

void query_pipeline_free(struct query_pipeline **pipeline)
{
    if (*pipeline == NULL) {
        return;
    }
    for (size_t i = 0; i < (*pipeline)->count; i++) {
        struct running *running = &(*pipeline)->stages[i];
        if (running->state != NULL && running->stage->module->stop != NULL) {
            running->stage->module->stop(running->state);
        }
    }
    vec_deinit(&(*pipeline)->picks);
    vec_deinit(&(*pipeline)->merged);
    mem_free((*pipeline)->stages);
    mem_free(*pipeline);
    *pipeline = NULL;
}

static uint64_t picked_bytes(const struct query_block *block)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < block->count; i++) {
        bytes += block->entries[block->picks[i]].data.bytes;
    }
    return bytes;
}

static bool acts_on(const struct query_stage *stage, const struct query_block *block, uint32_t pick)
{
    uint16_t tag = block->entries[pick].tag;
    return query_tags_match(stage->tags, stage->tag_count, block->tag_name(block->context, tag));
}

/* Lets the module see entries of its tags only; the others pass, each in its old place. */
static int run_on_tags(struct query_pipeline *pipeline, struct running *running,
                       struct query_block *block)
{
    vec_clear(&pipeline->picks);
    vec_clear(&pipeline->merged);
    for (size_t i = 0; i < block->count; i++) {
        if (acts_on(running->stage, block, block->picks[i])) {
            vec_push(&pipeline->picks, block->picks[i]);
        } else {
            vec_push(&pipeline->merged, block->picks[i]);
        }
    }
    struct query_block part = *block;
    part.picks = pipeline->picks.items;
    part.count = pipeline->picks.count;
    int rc = part.count == 0
                 ? 0
                 : running->stage->module->run(running->stage->plan, running->state, &part);
    size_t a = 0;
    size_t b = 0;
    for (size_t i = 0; i < part.count + pipeline->merged.count; i++) {
        bool first = b == pipeline->merged.count ||
                     (a < part.count && part.picks[a] < pipeline->merged.items[b]);
        block->picks[i] = first ? part.picks[a++] : pipeline->merged.items[b++];
    }
    block->count = part.count + pipeline->merged.count;
    return rc;
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * (uint64_t)TIME_S_NS + (uint64_t)now.tv_nsec;
}

static int run_stage(struct query_pipeline *pipeline, struct running *running,
                     struct query_block *block)
{
    const struct query_module *module = running->stage->module;
    uint64_t bytes = picked_bytes(block);
    struct query_stage_stats stats = {.in_count = block->count, .in_bytes = bytes};
    uint64_t begin = clock_ns();
    int rc = 0;
    if (module != NULL && block->count > 0) {
        rc = running->stage->tag_count > 0
                 ? run_on_tags(pipeline, running, block)
                 : module->run(running->stage->plan, running->state, block);
    }
    stats.duration_ns = clock_ns() - begin;
    stats.out_count = block->count;
    stats.out_bytes = picked_bytes(block);
    query_stage_stats_add(&running->stats, &stats);
    return rc < 0 ? err_wrap(rc, "%s", running->stage->name) : 0;
}

int query_pipeline_run(struct query_pipeline *pipeline, struct query_block *block)
{
    for (size_t i = 0; i < pipeline->count; i++) {
        int rc = run_stage(pipeline, &pipeline->stages[i], block);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

bool query_pipeline_done(const struct query_pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->count; i++) {
        const struct running *running = &pipeline->stages[i];
        const struct query_module *module = running->stage->module;
        if (module != NULL && module->done != NULL && running->stage->tag_count == 0 &&
            module->done(running->stage->plan, running->state)) {
            return true;
        }
    }
    return false;
}

const struct query_stage_stats *query_pipeline_stats(const struct query_pipeline *pipeline,
                                                     size_t index)
{
    CHECK(index < pipeline->count);
    return &pipeline->stages[index].stats;
}

bool query_value_text(const struct query_block *block, size_t index, struct span name,
                      struct buf *buf)
{
    const struct entry *entry = &block->entries[index];
    if (span_equal_str(name, "DATA")) {
        buf_append(buf, entry->data);
    } else if (span_equal_str(name, "TAG")) {
        buf_append_str(buf, block->tag_name(block->context, entry->tag));
    } else if (span_equal_str(name, "SRC")) {
        entry_source_text(buf, entry->source);
    } else if (span_equal_str(name, "TIMESTAMP")) {
        time_format(buf, entry->time_ns);
    } else {
        struct series_ev ev;
        if (!series_evs_find(entry->enumerated, name, &ev)) {
            return false;
        }
        series_ev_text(buf, &ev);
    }
    return true;
}
