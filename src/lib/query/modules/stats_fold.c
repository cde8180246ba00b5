/*
 * The series that a chart shows are those with the greatest sum of their first value over all
 * windows. Groups are gone through twice: to weigh the series (sorted by their keys, so that there
 * may be any number), and to add up those that are not shown. Tested by modules_test.c and
 * spill_test.c.
 */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "query/modules/stats_groups.h"

struct weight {      /* of a combination of keys over all windows */
    struct span key; /* owned */
    double sum;
};

struct weights {
    VEC(struct weight) list; /* the heaviest, and some more */
    size_t max;
    uint64_t count; /* of all that there are */
};

static int compare_weights(const void *a, const void *b)
{
    const struct weight *x = a;
    const struct weight *y = b;
    return x->sum != y->sum ? (x->sum > y->sum ? -1 : 1) : span_compare(x->key, y->key);
}

static void keep_heaviest(struct weights *weights)
{
    if (weights->list.count > 1) {
        qsort(weights->list.items, weights->list.count, sizeof(struct weight), compare_weights);
    }
    while (weights->list.count > weights->max) {
        mem_free((void *)(uintptr_t)weights->list.items[--weights->list.count].key.data);
    }
}

static void add_weight(struct weights *weights, struct span key, double sum)
{
    struct weight *last =
        weights->list.count == 0 ? NULL : &weights->list.items[weights->list.count - 1];
    if (last != NULL && span_equal(last->key, key)) {
        last->sum += sum;
        return;
    }
    weights->count++;
    if (weights->list.count >= 2 * weights->max + 64) {
        keep_heaviest(weights);
    }
    struct weight weight = {span_of(mem_dup(key.data, key.bytes), key.bytes), sum};
    vec_push(&weights->list, weight);
}

/* The number that stands before the key. */
static int compare_keys(const void *context, struct span a, struct span b)
{
    (void)context;
    return span_compare(span_from(a, sizeof(double)), span_from(b, sizeof(double)));
}

static double weight_of(const struct stats_plan *plan, const struct stats_group *group)
{
    struct query_value value;
    struct query_value number;
    enum aggregate_op op = plan->ops[plan->tables[0].ops[0]].op;
    bool there =
        aggregate_result(&group->states[0], op, &value) && query_value_number(&value, &number);
    return there ? fabs(query_value_real(&number)) : 0;
}

static int weigh(struct stats_state *state, struct query_sorter *sorter)
{
    struct stats_group *group = NULL;
    struct buf record = {0};
    int rc;
    while ((rc = stats_next_group(state, &group)) == 0) {
        if (group->table != 0) {
            continue;
        }
        double weight = weight_of(state->plan, group);
        buf_clear(&record);
        buf_append(&record, span_of(&weight, sizeof(weight)));
        buf_append(&record, group->key);
        rc = query_sorter_add(sorter, buf_span(&record));
        if (rc < 0) {
            break;
        }
    }
    buf_deinit(&record);
    return rc < 0 ? rc : 0;
}

static int find_heaviest(struct stats_state *state, struct weights *weights)
{
    struct query_sorter *sorter = query_sorter_new(state->holder.scratch, compare_keys, NULL);
    struct span record;
    int rc = weigh(state, sorter);
    while (rc == 0 && (rc = query_sorter_next(sorter, &record)) == 0) {
        double sum;
        memcpy(&sum, record.data, sizeof(sum));
        add_weight(weights, span_from(record, sizeof(sum)), sum);
    }
    query_sorter_free(&sorter);
    keep_heaviest(weights);
    return rc < 0 ? rc : 0;
}

static void place_of(struct stats_state *state, const struct stats_group *group, bool shown)
{
    size_t keys = state->plan->tables[group->table].keys.count;
    buf_clear(&state->key);
    buf_append(&state->key, span_of(&group->window_ns, sizeof(group->window_ns)));
    if (shown) {
        buf_append(&state->key, group->key);
    }
    for (size_t i = 0; i < keys && !shown; i++) {
        stats_put_key(&state->key, i == 0 ? SPAN_LIT("other") : SPAN_LIT(""));
    }
}

/* Adds a group to that of its own place, or of "other" in its window, in memory. */
static void move(struct stats_state *state, const struct stats_group *group, bool shown)
{
    place_of(state, group, shown);
    struct stats_group *to = stats_group_of(state, group->table, group->tag);
    if (to != group) {
        (void)stats_add_group(state->plan, to, group);
    }
}

/* One that was in memory and has become a part of "other". */
static void drop(struct stats_state *state, struct stats_group *group)
{
    place_of(state, group, false);
    if (map_get(&state->groups[0], buf_span(&state->key)) == group) {
        return; /* it is called so itself */
    }
    place_of(state, group, true);
    (void)map_remove(&state->groups[0], buf_span(&state->key));
    stats_group_free(state->plan, group);
}

static int add_up(struct stats_state *state, const struct map *shown)
{
    struct stats_group *group = NULL;
    bool in_memory = state->runs == NULL;
    int rc;
    while ((rc = stats_next_group(state, &group)) == 0) {
        bool stays = group->table != 0 || map_get(shown, group->key) != NULL;
        if (!stays || !in_memory) {
            move(state, group, stays);
        }
        if (!stays && in_memory) {
            drop(state, group);
        }
        rc = in_memory ? 0 : query_holder_check(&state->holder, "stats for a chart");
        if (rc < 0) {
            return rc;
        }
    }
    return rc < 0 ? rc : 0;
}

int stats_fold(struct stats_state *state)
{
    struct weights weights = {.max = state->plan->series_max};
    struct map shown = {0};
    int rc = state->plan->tables[0].op_count == (state->plan->keeps ? 1 : 0)
                 ? 0
                 : find_heaviest(state, &weights);
    stats_rewind(state);
    for (size_t i = 0; i < weights.list.count; i++) {
        (void)map_put(&shown, weights.list.items[i].key, state);
    }
    if (rc == 0 && weights.count > state->plan->tracked_max) {
        rc = stats_too_many(state->plan);
    }
    if (rc == 0 && weights.count > weights.max) {
        rc = add_up(state, &shown);
        query_runs_free(&state->runs);
        stats_rewind(state);
    }
    for (size_t i = 0; i < weights.list.count; i++) {
        mem_free((void *)(uintptr_t)weights.list.items[i].key.data);
    }
    vec_deinit(&weights.list);
    map_deinit(&shown);
    return rc;
}
