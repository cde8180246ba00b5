#include "query/pipeline.h"

#include <time.h>

#include "base/mem.h"
#include "base/time.h"
#include "base/vec.h"
#include "query/module.h"
#include "query/scratch.h"

struct running {
    const struct query_stage *stage;
    void *state;
    struct query_stage_stats stats;
};

struct query_pipeline {
    const struct query *query;
    size_t first;
    struct running *stages;
    size_t count;
    struct query_columns columns;
    VEC(uint32_t) picks; /* of a stage that acts on some tags only */
    VEC(uint32_t) merged;
    VEC(uint32_t) joined;
};

int query_pipeline_new(const struct query *query, size_t first, size_t last,
                       struct query_pipeline **ret_pipeline)
{
    CHECK(first <= last && last <= query->stage_count);
    struct query_pipeline *pipeline = MEM_NEW(struct query_pipeline);
    pipeline->query = query;
    pipeline->first = first;
    query_columns_init(&pipeline->columns);
    pipeline->columns.now_ns = query->now_ns;
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

bool query_is_shared(const struct query *query)
{
    const struct query_stage *stage = &query->stages[query->collapse];
    return stage->module != NULL && stage->module->take_part != NULL && stage->tag_count == 0;
}

int query_pipeline_new_part(const struct query *query, enum query_part part,
                            struct query_pipeline **ret_pipeline)
{
    bool shared = query_is_shared(query);
    bool begins = part == QUERY_PART_WHOLE || part == QUERY_PART_INDEXER;
    bool ends = part == QUERY_PART_WHOLE || part == QUERY_PART_WEBSERVER;
    size_t first = begins ? 0 : query->collapse;
    size_t last = ends ? query->stage_count : query->collapse + (shared ? 1 : 0);
    int rc = query_pipeline_new(query, first, last, ret_pipeline);
    if (rc == 0 && shared) {
        struct running *running = &(*ret_pipeline)->stages[query->collapse - first];
        running->stage->module->take_part(running->state, part);
    }
    return rc;
}

void query_pipeline_lend(struct query_pipeline *pipeline, struct query_scratch *scratch)
{
    for (size_t i = 0; i < pipeline->count; i++) {
        const struct query_module *module = pipeline->stages[i].stage->module;
        if (module != NULL && module->lend != NULL) {
            module->lend(pipeline->stages[i].state, scratch);
        }
    }
}

void query_pipeline_remarks(const struct query_pipeline *pipeline,
                            void (*each)(void *context, const char *text), void *context)
{
    for (size_t i = 0; i < pipeline->count; i++) {
        const struct running *running = &pipeline->stages[i];
        const struct query_module *module = running->stage->module;
        struct buf text = {0};
        if (module != NULL && module->remark != NULL) {
            buf_printf(&text, "%s: ", module->name);
            if (module->remark(running->stage->plan, running->state, &text)) {
                each(context, buf_str(&text));
            }
        }
        buf_deinit(&text);
    }
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
    vec_deinit(&(*pipeline)->joined);
    query_columns_deinit(&(*pipeline)->columns);
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
    part.others = pipeline->merged.items;
    part.other_count = pipeline->merged.count;
    int rc = part.count == 0
                 ? 0
                 : running->stage->module->run(running->stage->plan, running->state, &part);
    size_t a = 0;
    size_t b = 0;
    vec_clear(&pipeline->joined);
    for (size_t i = 0; i < part.count + pipeline->merged.count; i++) {
        bool first = b == pipeline->merged.count ||
                     (a < part.count && part.picks[a] < pipeline->merged.items[b]);
        vec_push(&pipeline->joined, first ? part.picks[a++] : pipeline->merged.items[b++]);
    }
    block->picks = pipeline->joined.items;
    block->count = pipeline->joined.count;
    block->entries = part.entries;
    block->region = part.region;
    block->failed = part.failed;
    return rc;
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * (uint64_t)TIME_S_NS + (uint64_t)now.tv_nsec;
}

/* `*bytes`: of the picked entries, before and after. */
static int run_stage(struct query_pipeline *pipeline, struct running *running,
                     struct query_block *block, uint64_t *bytes)
{
    const struct query_module *module = running->stage->module;
    struct query_stage_stats stats = {.in_count = block->count, .in_bytes = *bytes};
    const struct entry *entries = block->entries;
    block->failed = 0;
    uint64_t written = query_scratch_written_here();
    uint64_t begin = clock_ns();
    int rc = 0;
    if (module != NULL && block->count > 0) {
        rc = running->stage->tag_count > 0
                 ? run_on_tags(pipeline, running, block)
                 : module->run(running->stage->plan, running->state, block);
    }
    stats.duration_ns = clock_ns() - begin;
    stats.scratch_bytes = query_scratch_written_here() - written;
    stats.out_count = block->count;
    bool edited = block->entries != entries || entries == pipeline->columns.edited;
    bool same = !edited && block->count == stats.in_count;
    *bytes = same ? *bytes : picked_bytes(block);
    stats.out_bytes = *bytes;
    stats.failed_count = block->failed;
    query_stage_stats_add(&running->stats, &stats);
    return rc < 0 ? err_wrap(rc, "%s", running->stage->name) : 0;
}

static bool wanted(const void *context, struct span name)
{
    const struct query_pipeline *pipeline = context;
    return query_later_uses(pipeline->query, pipeline->first + pipeline->count - 1, name);
}

/* Stages [from, …) over a block whose columns have begun. */
static int run_from(struct query_pipeline *pipeline, size_t from, struct query_block *block)
{
    uint64_t bytes = picked_bytes(block);
    for (size_t i = from; i < pipeline->count; i++) {
        int rc = run_stage(pipeline, &pipeline->stages[i], block, &bytes);
        if (rc < 0) {
            return rc;
        }
    }
    query_block_seal(block, wanted, pipeline);
    return 0;
}

int query_pipeline_run(struct query_pipeline *pipeline, struct query_block *block)
{
    query_columns_begin(&pipeline->columns, block->count);
    block->columns = &pipeline->columns;
    return run_from(pipeline, 0, block);
}

/* What stage `index` held back, through the stages behind it. */
static int finish_stage(struct query_pipeline *pipeline, size_t index,
                        const struct query_block *like,
                        int (*sink)(void *context, const struct query_block *block), void *context)
{
    struct running *running = &pipeline->stages[index];
    const struct query_module *module = running->stage->module;
    for (;;) {
        struct query_block block = {.tag_name = like->tag_name, .context = like->context};
        uint64_t written = query_scratch_written_here();
        int rc = module->finish(running->stage->plan, running->state, &block);
        running->stats.scratch_bytes += query_scratch_written_here() - written;
        if (rc == QUERY_MODULE_END) {
            return 0;
        }
        if (rc == 0) {
            query_columns_begin(&pipeline->columns, block.count);
            block.columns = &pipeline->columns;
            running->stats.out_count += block.count;
            running->stats.out_bytes += picked_bytes(&block);
            rc = run_from(pipeline, index + 1, &block);
        }
        rc = rc == 0 && block.count > 0 ? sink(context, &block) : rc;
        if (rc < 0) {
            return rc;
        }
    }
}

int query_pipeline_finish(struct query_pipeline *pipeline, const struct query_block *like,
                          int (*sink)(void *context, const struct query_block *block),
                          void *context)
{
    for (size_t i = 0; i < pipeline->count; i++) {
        const struct query_module *module = pipeline->stages[i].stage->module;
        if (module != NULL && module->finish != NULL) {
            int rc = finish_stage(pipeline, i, like, sink, context);
            if (rc < 0) {
                return err_wrap(rc, "%s", module->name);
            }
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

bool query_later_uses(const struct query *query, size_t stage, struct span name)
{
    for (size_t i = stage + 1; i < query->stage_count; i++) {
        const struct query_module *module = query->stages[i].module;
        if (module == NULL) {
            break;
        }
        if (module->uses == NULL || module->uses(query->stages[i].plan, name)) {
            return true;
        }
        if (module->replaces && query->stages[i].tag_count == 0) {
            return false;
        }
    }
    const struct query_renderer *renderer = query->renderer;
    const void *plan = query->stages[query->stage_count - 1].plan;
    return renderer->uses == NULL || renderer->uses(plan, name);
}
