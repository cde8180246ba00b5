/*
 * stackgraph key component magnitude: a bar for each key, stacked by component.
 *
 *     [{"Key":"web9","Values":[{"Label":"200","Value":812}]}, …]
 *
 * wordcloud name [by key …]: a word (the keys, or the row's texts) as large as the value.
 *
 *     [{"Name":"web9","Magnitude":812,"Min":0,"Max":0}, …]
 *
 * Tested by renderers_test.c.
 */
#include <math.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "query/modules/modules.h"
#include "query/renderers/label.h"

#define KEYS_MAX 16

struct plan {
    struct span names[3 + KEYS_MAX];
    size_t count;
};

/* A sum by label, in order of appearance. */
struct sums {
    struct map by_label;
    VEC(struct sum *) list;
};

struct sum {
    char *label;
    double value;
    struct sums parts;
};

static struct sum *sum_of(struct sums *sums, struct span label)
{
    struct sum *sum = map_get(&sums->by_label, label);
    if (sum == NULL) {
        sum = MEM_NEW(struct sum);
        sum->label = mem_strndup(label.bytes > 0 ? (const char *)label.data : "", label.bytes);
        (void)map_put(&sums->by_label, label, sum);
        vec_push(&sums->list, sum);
    }
    return sum;
}

static void deinit(struct sums *sums)
{
    for (size_t i = 0; i < sums->list.count; i++) {
        struct sum *sum = sums->list.items[i];
        deinit(&sum->parts);
        mem_free(sum->label);
        mem_free(sum);
    }
    vec_deinit(&sums->list);
    map_deinit(&sums->by_label);
}

static bool uses(const void *pointer, struct span name)
{
    const struct plan *plan = pointer;
    return label_has(plan->names, plan->count, name);
}

static bool by_time(const void *plan)
{
    (void)plan;
    return false;
}

static void text(struct span data, struct buf *buf)
{
    buf_append(buf, data);
}

/* ── stackgraph ──────────────────────────────────────────────────────────────────────────── */

static int parse_stackgraph(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    int rc = query_args_names(args, plan->names, 3, &plan->count);
    return rc == 0 && plan->count != 3
               ? query_args_fault(args, "three names are needed: key, component, magnitude")
               : rc;
}

static void put_stacks(const struct sums *keys, struct buf *buf)
{
    buf_append_byte(buf, '[');
    for (size_t i = 0; i < keys->list.count; i++) {
        const struct sum *key = keys->list.items[i];
        buf_append_str(buf, i > 0 ? ",{\"Key\":" : "{\"Key\":");
        text_json_string(buf, span_of_str(key->label));
        buf_append_str(buf, ",\"Values\":[");
        for (size_t j = 0; j < key->parts.list.count; j++) {
            const struct sum *part = key->parts.list.items[j];
            double whole = fmax(fmin(part->value, 9.2e18), -9.2e18);
            buf_append_str(buf, j > 0 ? ",{\"Label\":" : "{\"Label\":");
            text_json_string(buf, span_of_str(part->label));
            buf_printf(buf, ",\"Value\":%lld}", llround(whole));
        }
        buf_append_str(buf, "]}");
    }
    buf_append_byte(buf, ']');
}

static void stacks(const void *pointer, const struct query_block *rows, struct buf *buf)
{
    const struct plan *plan = pointer;
    struct sums keys = {0};
    for (size_t i = 0; i < rows->count; i++) {
        struct buf key = {0};
        struct buf part = {0};
        double value = 0;
        size_t index = rows->picks[i];
        if (label_put(rows, index, &plan->names[0], 1, &key) &&
            label_put(rows, index, &plan->names[1], 1, &part) &&
            label_number(rows, index, plan->names[2], &value)) {
            sum_of(&sum_of(&keys, buf_span(&key))->parts, buf_span(&part))->value += value;
        }
        buf_deinit(&key);
        buf_deinit(&part);
    }
    put_stacks(&keys, buf);
    deinit(&keys);
}

/* ── wordcloud ───────────────────────────────────────────────────────────────────────────── */

static int parse_wordcloud(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    int rc = query_args_names(args, plan->names, ARRAY_COUNT(plan->names), &plan->count);
    if (rc < 0 || plan->count == 0) {
        return rc < 0 ? rc : query_args_fault(args, "the name of a value is missing");
    }
    bool by = plan->count > 1 && span_equal_str(plan->names[1], "by");
    if (plan->count > 1 && (!by || plan->count == 2)) {
        return query_args_fault(args, "'by' and keys were expected behind the name");
    }
    for (size_t i = 2; i < plan->count; i++) {
        plan->names[i - 1] = plan->names[i];
    }
    plan->count -= by ? 1 : 0;
    return 0;
}

/* Without keys: all texts of the row. */
static bool uses_wordcloud(const void *pointer, struct span name)
{
    return ((const struct plan *)pointer)->count == 1 || uses(pointer, name);
}

static bool word_of(const struct plan *plan, const struct query_block *rows, size_t index,
                    struct buf *word)
{
    if (plan->count > 1) {
        return label_put(rows, index, &plan->names[1], plan->count - 1, word);
    }
    struct span evs = rows->entries[index].enumerated;
    size_t cursor = 0;
    struct series_ev ev;
    while (evs.bytes > 0 && series_evs_next(evs, &cursor, &ev)) {
        if (ev.type == SERIES_EV_TEXT && !span_equal(ev.name, plan->names[0])) {
            buf_append_str(word, word->bytes > 0 ? " " : "");
            buf_append(word, ev.data);
        }
    }
    if (word->bytes == 0) {
        buf_append(word, plan->names[0]);
    }
    return true;
}

static void words(const void *pointer, const struct query_block *rows, struct buf *buf)
{
    const struct plan *plan = pointer;
    struct sums sums = {0};
    for (size_t i = 0; i < rows->count; i++) {
        struct buf word = {0};
        double value = 0;
        if (label_number(rows, rows->picks[i], plan->names[0], &value) &&
            word_of(plan, rows, rows->picks[i], &word)) {
            sum_of(&sums, buf_span(&word))->value += value;
        }
        buf_deinit(&word);
    }
    buf_append_byte(buf, '[');
    for (size_t i = 0; i < sums.list.count; i++) {
        buf_append_str(buf, i > 0 ? ",{\"Name\":" : "{\"Name\":");
        text_json_string(buf, span_of_str(sums.list.items[i]->label));
        buf_append_str(buf, ",\"Magnitude\":");
        label_put_number(sums.list.items[i]->value, buf);
        buf_append_str(buf, ",\"Min\":0,\"Max\":0}");
    }
    buf_append_byte(buf, ']');
    deinit(&sums);
}

static const char *const formats[] = {"text", "json", "csv", NULL};

const struct query_renderer query_renderer_stackgraph = {
    .name = "stackgraph",
    .summary = "a bar for each key, stacked by component",
    .text = text,
    .formats = formats,
    .parse = parse_stackgraph,
    .uses = uses,
    .by_time = by_time,
    .entries = stacks,
    .whole = true,
};

const struct query_renderer query_renderer_wordcloud = {
    .name = "wordcloud",
    .summary = "words as large as a value",
    .text = text,
    .formats = formats,
    .parse = parse_wordcloud,
    .uses = uses_wordcloud,
    .by_time = by_time,
    .entries = words,
    .whole = true,
};
