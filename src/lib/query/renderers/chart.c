/*
 * chart [name …] [by key …] [limit n]: values over time, a series per name and combination of
 * keys; without names the number of entries.
 *
 *     {"Names":["alice","bob"],"Values":[{"TS":"…","Data":[12,null]}, …]}
 *
 * Series beyond the limit become "other": stats behind which it stands merges their states, else
 * their values are added up. Tested by renderers_test.c.
 */
#include <math.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "query/modules/modules.h"
#include "query/renderers/label.h"

#define NAMES_MAX 32
#define LIMIT_DEFAULT 24
#define LIMIT_MAX 1000
#define BUCKETS 300

struct plan {
    struct span names[NAMES_MAX];
    bool running[NAMES_MAX]; /* a total of stats: does not begin anew in each bucket */
    size_t count;
    struct span keys[NAMES_MAX];
    size_t key_count;
    uint64_t limit;
};

struct series {
    char *label; /* owned */
    double weight;
    double *values; /* by bucket; NAN: none */
    bool running;
    size_t place; /* among those shown */
};

struct chart {
    const struct query_block *rows;
    struct map by_label;         /* of struct series */
    VEC(struct series *) series; /* owned */
    VEC(int64_t) times;          /* of buckets, oldest first */
    int64_t width_ns;            /* of a bucket when rows are single entries; 0: as they come */
};

static bool at_word(const struct query_args *args, const char *word)
{
    return args->next < args->count && args->tokens[args->next].kind == QUERY_TOKEN_WORD &&
           span_equal_str(args->tokens[args->next].text, word);
}

/* Names up to "by", "limit" or the end. */
static int parse_names(struct query_args *args, struct span *names, size_t *count)
{
    for (; args->next < args->count && !at_word(args, "by") && !at_word(args, "limit");
         args->next++) {
        const struct query_token *token = &args->tokens[args->next];
        if (query_token_is(token, ',')) {
            continue;
        }
        if (token->kind == QUERY_TOKEN_PUNCT || token->kind == QUERY_TOKEN_OP) {
            return query_fault(args->error, token->offset, token->bytes, "%s: a name was expected",
                               args->name);
        }
        if (*count == NAMES_MAX) {
            return query_args_fault(args, "more than %d names", NAMES_MAX);
        }
        names[(*count)++] = arena_span_dup(args->arena, token->text);
    }
    return 0;
}

static int parse(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    plan->limit = LIMIT_DEFAULT;
    int rc = parse_names(args, plan->names, &plan->count);
    if (rc == 0 && query_args_take(args, "by")) {
        rc = parse_names(args, plan->keys, &plan->key_count);
        if (rc == 0 && plan->key_count == 0) {
            return query_args_fault(args, "a key must follow 'by'");
        }
    }
    if (rc == 0 && query_args_take(args, "limit")) {
        rc = query_args_number(args, &plan->limit);
        if (rc == 0 && (plan->limit == 0 || plan->limit > LIMIT_MAX)) {
            return query_args_fault(args, "the limit is 1 to %d", LIMIT_MAX);
        }
    }
    return rc;
}

static bool uses(const void *pointer, struct span name)
{
    const struct plan *plan = pointer;
    return label_has(plan->names, plan->count, name) ||
           label_has(plan->keys, plan->key_count, name);
}

static void settle(void *pointer, const struct query *query)
{
    struct plan *plan = pointer;
    for (size_t i = 0; i < query->stage_count; i++) {
        const struct query_stage *stage = &query->stages[i];
        for (size_t j = 0; stage->module == &query_module_stats && j < plan->count; j++) {
            plan->running[j] = query_stats_is_total(stage->plan, plan->names[j]);
        }
    }
}

static size_t series_max(const void *plan)
{
    return (size_t)((const struct plan *)plan)->limit;
}

/* ── Rows to series ──────────────────────────────────────────────────────────────────────── */

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Times of the rows; when there are too many different ones, of whole seconds that are wide
 * enough. */
static void find_times(struct chart *chart, bool count_entries)
{
    const struct query_block *rows = chart->rows;
    for (size_t i = 0; i < rows->count; i++) {
        vec_push(&chart->times, rows->entries[rows->picks[i]].time_ns);
    }
    if (rows->count > 1) {
        qsort(chart->times.items, chart->times.count, sizeof(int64_t), compare_times);
    }
    size_t distinct = 0;
    for (size_t i = 0; i < chart->times.count; i++) {
        distinct += i == 0 || chart->times.items[i] != chart->times.items[i - 1] ? 1 : 0;
    }
    if (count_entries || distinct > (size_t)4 * BUCKETS) {
        uint64_t range = rows->count == 0 ? 0
                                          : (uint64_t)chart->times.items[rows->count - 1] -
                                                (uint64_t)chart->times.items[0];
        chart->width_ns =
            (int64_t)MAX(range / (uint64_t)TIME_S_NS / BUCKETS, UINT64_C(1)) * TIME_S_NS;
    }
    size_t kept = 0;
    for (size_t i = 0; i < chart->times.count; i++) {
        int64_t time_ns = label_window(chart->times.items[i], chart->width_ns);
        if (kept == 0 || chart->times.items[kept - 1] != time_ns) {
            chart->times.items[kept++] = time_ns;
        }
    }
    chart->times.count = kept;
}

static struct series *series_of(struct chart *chart, struct span label)
{
    struct series *series = map_get(&chart->by_label, label);
    if (series == NULL) {
        series = MEM_NEW(struct series);
        series->label = mem_strndup(label.bytes > 0 ? (const char *)label.data : "", label.bytes);
        series->values = mem_alloc_array(chart->times.count + 1, sizeof(double));
        for (size_t i = 0; i < chart->times.count; i++) {
            series->values[i] = NAN;
        }
        (void)map_put(&chart->by_label, label, series);
        vec_push(&chart->series, series);
    }
    return series;
}

/* Single entries of one bucket add up; rows of stats have a bucket each. */
static void add(struct chart *chart, struct span label, int64_t time_ns, double value, bool running)
{
    time_ns = label_window(time_ns, chart->width_ns);
    const int64_t *at =
        bsearch(&time_ns, chart->times.items, chart->times.count, sizeof(int64_t), compare_times);
    struct series *series = series_of(chart, label);
    series->running = running;
    double *place = &series->values[at - chart->times.items];
    *place = isnan(*place) ? value : *place + value;
    series->weight += fabs(value);
}

static void add_row(const struct plan *plan, struct chart *chart, size_t index)
{
    int64_t time_ns = chart->rows->entries[index].time_ns;
    struct buf keys = {0};
    bool keyed = label_put(chart->rows, index, plan->keys, plan->key_count, &keys);
    if (plan->count == 0 && keyed) {
        add(chart, plan->key_count > 0 ? buf_span(&keys) : SPAN_LIT("count"), time_ns, 1, false);
    }
    for (size_t i = 0; i < plan->count && keyed; i++) {
        struct query_value value;
        struct query_value number;
        if (!query_block_get(chart->rows, index, plan->names[i], &value) ||
            !query_value_number(&value, &number)) {
            continue;
        }
        struct buf label = {0};
        if (plan->count > 1 || plan->key_count == 0) {
            buf_append(&label, plan->names[i]);
            buf_append_str(&label, plan->key_count > 0 ? " " : "");
        }
        buf_append(&label, buf_span(&keys));
        add(chart, buf_span(&label), time_ns, query_value_real(&number), plan->running[i]);
        buf_deinit(&label);
    }
    buf_deinit(&keys);
}

/* ── The answer ──────────────────────────────────────────────────────────────────────────── */

/* The heaviest first; "other" last. */
static int compare_series(const void *a, const void *b)
{
    const struct series *x = *(struct series *const *)a;
    const struct series *y = *(struct series *const *)b;
    int other = (strcmp(x->label, "other") == 0) - (strcmp(y->label, "other") == 0);
    if (other != 0) {
        return other;
    }
    return x->weight != y->weight ? (x->weight > y->weight ? -1 : 1) : strcmp(x->label, y->label);
}

/* From its first value on a running series has one in every bucket. */
static void add_up_running(struct chart *chart)
{
    for (size_t i = 0; i < chart->series.count; i++) {
        struct series *series = chart->series.items[i];
        double sum = NAN;
        for (size_t j = 0; series->running && j < chart->times.count; j++) {
            double value = series->values[j];
            sum = isnan(sum) ? value : sum + (isnan(value) ? 0 : value);
            series->values[j] = sum;
        }
    }
}

/* What lies beyond the limit goes into "other", which has a place of its own. */
static void fold(const struct plan *plan, struct chart *chart)
{
    if (chart->series.count == 0) {
        return;
    }
    qsort(chart->series.items, chart->series.count, sizeof(struct series *), compare_series);
    struct series *other = map_get(&chart->by_label, SPAN_LIT("other"));
    size_t single = chart->series.count - (other != NULL ? 1 : 0);
    if (single <= plan->limit) {
        return;
    }
    other = other == NULL ? series_of(chart, SPAN_LIT("other")) : other;
    for (size_t i = (size_t)plan->limit; i < chart->series.count; i++) {
        struct series *series = chart->series.items[i];
        for (size_t j = 0; series != other && j < chart->times.count; j++) {
            double value = series->values[j];
            double sum = isnan(other->values[j]) ? value : other->values[j] + value;
            other->values[j] = isnan(value) ? other->values[j] : sum;
        }
    }
    for (size_t i = (size_t)plan->limit; i < chart->series.count; i++) {
        struct series *series = chart->series.items[i];
        if (series != other) {
            mem_free(series->label);
            mem_free(series->values);
            mem_free(series);
        }
    }
    chart->series.items[plan->limit] = other;
    chart->series.count = (size_t)plan->limit + 1;
}

static void put(const struct chart *chart, struct buf *buf)
{
    buf_append_str(buf, "{\"Names\":[");
    for (size_t i = 0; i < chart->series.count; i++) {
        buf_append_str(buf, i > 0 ? "," : "");
        text_json_string(buf, span_of_str(chart->series.items[i]->label));
    }
    buf_append_str(buf, "],\"Values\":[");
    for (size_t i = 0; i < chart->times.count; i++) {
        buf_append_str(buf, i > 0 ? ",{\"TS\":\"" : "{\"TS\":\"");
        time_format(buf, chart->times.items[i]);
        buf_append_str(buf, "\",\"Data\":[");
        for (size_t j = 0; j < chart->series.count; j++) {
            buf_append_str(buf, j > 0 ? "," : "");
            label_put_number(chart->series.items[j]->values[i], buf);
        }
        buf_append_str(buf, "]}");
    }
    buf_append_str(buf, "]}");
}

static void entries(const void *pointer, const struct query_block *rows, struct buf *buf)
{
    const struct plan *plan = pointer;
    struct chart chart = {.rows = rows};
    find_times(&chart, plan->count == 0);
    for (size_t i = 0; i < rows->count; i++) {
        add_row(plan, &chart, rows->picks[i]);
    }
    add_up_running(&chart);
    fold(plan, &chart);
    put(&chart, buf);
    for (size_t i = 0; i < chart.series.count; i++) {
        mem_free(chart.series.items[i]->label);
        mem_free(chart.series.items[i]->values);
        mem_free(chart.series.items[i]);
    }
    vec_deinit(&chart.series);
    vec_deinit(&chart.times);
    map_deinit(&chart.by_label);
}

static void text(struct span data, struct buf *buf)
{
    buf_append(buf, data);
}

static const char *const formats[] = {"text", "json", "csv", NULL};

const struct query_renderer query_renderer_chart = {
    .name = "chart",
    .summary = "values over time, a series per combination of keys",
    .text = text,
    .formats = formats,
    .parse = parse,
    .uses = uses,
    .timeline = true,
    .settle = settle,
    .series_max = series_max,
    .entries = entries,
    .whole = true,
};
