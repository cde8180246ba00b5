/* Tested by batch_test.c. */
#include "query/merge.h"

#include "base/mem.h"
#include "base/time.h"

struct input {
    VEC(struct query_batch *) queue; /* owned */
    size_t batch;                    /* the one in use */
    size_t next;                     /* its next entry */
    int64_t bound_ns;                /* what has not come yet is at this time or beyond */
    size_t held;                     /* entries of that time, all at the end of the queue */
    int64_t let_go_ns;               /* a time that has too many to be held; TIME_UNSET: none */
    bool ended;
};

struct query_merge {
    struct input *inputs;
    size_t count;
    bool ascending;
    bool careful;                    /* inputs may be lost */
    VEC(struct query_batch *) spent; /* what the last block borrows from */
    struct entry block[QUERY_MERGE_BLOCK_ENTRIES_MAX];
    size_t block_count;
};

struct query_merge *query_merge_new(size_t inputs, bool ascending)
{
    CHECK(inputs <= QUERY_MERGE_INPUTS_MAX);
    struct query_merge *merge = MEM_NEW(struct query_merge);
    merge->inputs = mem_alloc_array(inputs + 1, sizeof(*merge->inputs));
    merge->count = inputs;
    merge->ascending = ascending;
    for (size_t i = 0; i < inputs; i++) {
        merge->inputs[i].bound_ns = ascending ? TIME_MIN_NS : TIME_MAX_NS;
        merge->inputs[i].let_go_ns = TIME_UNSET;
    }
    return merge;
}

static void free_spent(struct query_merge *merge)
{
    for (size_t i = 0; i < merge->spent.count; i++) {
        query_batch_free(&merge->spent.items[i]);
    }
    vec_clear(&merge->spent);
}

void query_merge_free(struct query_merge **pointer)
{
    struct query_merge *merge = *pointer;
    if (merge == NULL) {
        return;
    }
    free_spent(merge);
    vec_deinit(&merge->spent);
    for (size_t i = 0; i < merge->count; i++) {
        struct input *input = &merge->inputs[i];
        for (size_t j = input->batch; j < input->queue.count; j++) {
            query_batch_free(&input->queue.items[j]);
        }
        vec_deinit(&input->queue);
    }
    mem_free(merge->inputs);
    mem_free(merge);
    *pointer = NULL;
}

/* Does `a` come before `b` in the merged stream? */
static bool before(const struct query_merge *merge, int64_t a, int64_t b)
{
    return merge->ascending ? a < b : a > b;
}

void query_merge_bound(struct query_merge *merge, size_t input, int64_t time_ns)
{
    struct input *in = &merge->inputs[input];
    if (before(merge, in->bound_ns, time_ns)) {
        in->bound_ns = time_ns;
    }
}

void query_merge_end(struct query_merge *merge, size_t input)
{
    merge->inputs[input].ended = true;
}

void query_merge_may_lose(struct query_merge *merge)
{
    merge->careful = true;
}

int64_t query_merge_lose(struct query_merge *merge, size_t index, bool *ret_partly)
{
    struct input *input = &merge->inputs[index];
    CHECK(merge->careful && !input->ended);
    *ret_partly = input->let_go_ns != TIME_UNSET && input->let_go_ns == input->bound_ns;
    while (!*ret_partly && input->queue.count > input->batch) {
        struct query_batch *last = input->queue.items[input->queue.count - 1];
        size_t from = input->queue.count - 1 == input->batch ? input->next : 0;
        while (last->count > from && last->entries[last->count - 1].time_ns == input->bound_ns) {
            last->count--;
        }
        if (last->count > from) {
            break;
        }
        vec_push(&merge->spent, last); /* something may borrow from its beginning */
        input->queue.count--;
        input->next = input->queue.count == input->batch ? 0 : input->next;
    }
    input->ended = true;
    return input->bound_ns;
}

size_t query_merge_add(struct query_merge *merge, int64_t time_ns)
{
    CHECK(merge->count < QUERY_MERGE_INPUTS_MAX);
    merge->inputs = mem_realloc(merge->inputs, (merge->count + 1) * sizeof(*merge->inputs));
    merge->inputs[merge->count] = (struct input){.bound_ns = time_ns, .let_go_ns = TIME_UNSET};
    return merge->count++;
}

int query_merge_push(struct query_merge *merge, size_t index, struct query_batch **batch)
{
    struct input *input = &merge->inputs[index];
    CHECK(!input->ended);
    bool ordered = true;
    for (size_t i = 0; i < (*batch)->count; i++) {
        int64_t time_ns = (*batch)->entries[i].time_ns;
        ordered = ordered && !before(merge, time_ns, input->bound_ns);
        input->held = time_ns == input->bound_ns ? input->held + 1 : 1;
        input->bound_ns = time_ns;
    }
    if ((*batch)->count == 0) {
        query_batch_free(batch);
        return 0;
    }
    vec_push(&input->queue, *batch);
    *batch = NULL;
    if (input->held > QUERY_MERGE_HELD_MAX) {
        input->let_go_ns = input->bound_ns;
    }
    return ordered ? 0 : err_set(ERR_PROTOCOL, "entries out of order");
}

static const struct entry *head(const struct query_merge *merge, const struct input *input)
{
    if (input->batch == input->queue.count) {
        return NULL;
    }
    const struct entry *entry = &input->queue.items[input->batch]->entries[input->next];
    bool held = merge->careful && !input->ended && entry->time_ns == input->bound_ns &&
                entry->time_ns != input->let_go_ns;
    return held ? NULL : entry;
}

/* Past the head; a batch that is used up is freed when the block that borrows from it is. */
static void advance(struct query_merge *merge, struct input *input)
{
    input->next++;
    if (input->next < input->queue.items[input->batch]->count) {
        return;
    }
    vec_push(&merge->spent, input->queue.items[input->batch]);
    input->batch++;
    input->next = 0;
    if (input->batch == input->queue.count) {
        vec_clear(&input->queue);
        input->batch = 0;
    }
}

/* The input whose head comes first; -1 when none has one. */
static int first_head(const struct query_merge *merge)
{
    int first = -1;
    for (size_t i = 0; i < merge->count; i++) {
        const struct entry *entry = head(merge, &merge->inputs[i]);
        if (entry != NULL && (first < 0 || before(merge, entry->time_ns,
                                                  head(merge, &merge->inputs[first])->time_ns))) {
            first = (int)i;
        }
    }
    return first;
}

/* Could input `other` still give something that comes before a `time_ns` of input `index`? */
static bool may_precede(const struct query_merge *merge, size_t other, int64_t time_ns,
                        size_t index)
{
    const struct input *input = &merge->inputs[other];
    const struct entry *entry = head(merge, input);
    if (other == index || (entry == NULL && input->ended)) {
        return false;
    }
    int64_t earliest = entry == NULL ? input->bound_ns : entry->time_ns;
    return before(merge, earliest, time_ns) || (earliest == time_ns && other < index);
}

/* The input without a head that must be heard before entry `time_ns` of `index` may go; -1: none.
 */
static int waits_for(const struct query_merge *merge, int64_t time_ns, size_t index)
{
    for (size_t i = 0; i < merge->count; i++) {
        if (head(merge, &merge->inputs[i]) == NULL && may_precede(merge, i, time_ns, index)) {
            return (int)i;
        }
    }
    return -1;
}

static bool is_first(const struct query_merge *merge, int64_t time_ns, size_t index)
{
    for (size_t i = 0; i < merge->count; i++) {
        if (may_precede(merge, i, time_ns, index)) {
            return false;
        }
    }
    return true;
}

/* Takes from one input as long as no other comes before it. */
static void take_run(struct query_merge *merge, size_t index)
{
    struct input *input = &merge->inputs[index];
    const struct entry *entry = NULL;
    while (merge->block_count < QUERY_MERGE_BLOCK_ENTRIES_MAX &&
           (entry = head(merge, input)) != NULL && is_first(merge, entry->time_ns, index)) {
        merge->block[merge->block_count++] = *entry;
        advance(merge, input);
    }
}

static int nothing_to_give(const struct query_merge *merge, size_t *ret_input)
{
    for (size_t i = 0; i < merge->count; i++) {
        if (!merge->inputs[i].ended) {
            *ret_input = i;
            return QUERY_MERGE_WAIT;
        }
    }
    return QUERY_MERGE_END;
}

int query_merge_next(struct query_merge *merge, const struct entry **ret_entries, size_t *ret_count,
                     size_t *ret_input)
{
    free_spent(merge);
    merge->block_count = 0;
    int waits = -1;
    int first = -1;
    while (merge->block_count < QUERY_MERGE_BLOCK_ENTRIES_MAX && (first = first_head(merge)) >= 0) {
        waits = waits_for(merge, head(merge, &merge->inputs[first])->time_ns, (size_t)first);
        if (waits >= 0) {
            break;
        }
        take_run(merge, (size_t)first);
    }
    if (merge->block_count > 0) {
        *ret_entries = merge->block;
        *ret_count = merge->block_count;
        return 0;
    }
    if (waits >= 0) {
        *ret_input = (size_t)waits;
        return QUERY_MERGE_WAIT;
    }
    return nothing_to_give(merge, ret_input);
}

int64_t query_merge_position(const struct query_merge *merge)
{
    int64_t position = merge->ascending ? TIME_MAX_NS : TIME_MIN_NS;
    for (size_t i = 0; i < merge->count; i++) {
        const struct input *input = &merge->inputs[i];
        const struct entry *entry = head(merge, input);
        if (entry == NULL && input->ended) {
            continue;
        }
        int64_t at = entry == NULL ? input->bound_ns : entry->time_ns;
        position = before(merge, at, position) ? at : position;
    }
    return position;
}
