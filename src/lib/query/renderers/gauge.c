/*
 * gauge, numbercard: (name | "(" name [min max] ["label"] ")") …
 *
 * One number for each row and name; a row's keys are its label, if the query has any.
 * Tested by modules_test.c.
 */
#include "base/text.h"
#include "query/modules/modules.h"

#define ITEMS_MAX 64

struct item {
    struct span name;
    struct span label;
    double min;
    double max;
};

struct plan {
    struct item items[ITEMS_MAX];
    size_t count;
};

static bool read_number(const struct query_args *args, double *ret_number)
{
    if (args->next == args->count) {
        return false;
    }
    struct query_value text = query_value_of_text(args->tokens[args->next].text);
    struct query_value number;
    if (args->tokens[args->next].kind == QUERY_TOKEN_PUNCT || !query_value_number(&text, &number)) {
        return false;
    }
    *ret_number = query_value_real(&number);
    return true;
}

static int parse_item(struct query_args *args, struct item *item)
{
    bool open = query_token_is(&args->tokens[args->next], '(');
    args->next += open ? 1 : 0;
    if (args->next == args->count || args->tokens[args->next].kind == QUERY_TOKEN_PUNCT) {
        return query_args_fault(args, "the name of a value is missing");
    }
    item->name = item->label = arena_span_dup(args->arena, args->tokens[args->next++].text);
    if (!open) {
        return 0;
    }
    if (read_number(args, &item->min)) {
        args->next++;
        if (!read_number(args, &item->max)) {
            return query_args_fault(args, "a maximum must follow the minimum");
        }
        args->next++;
    }
    if (args->next < args->count && args->tokens[args->next].kind == QUERY_TOKEN_QUOTED) {
        item->label = arena_span_dup(args->arena, args->tokens[args->next++].text);
    }
    if (args->next == args->count || !query_token_is(&args->tokens[args->next], ')')) {
        return query_args_fault(args, "(name min max \"label\") was expected");
    }
    args->next++;
    return 0;
}

static int parse(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    while (args->next < args->count) {
        if (query_token_is(&args->tokens[args->next], ',')) {
            args->next++;
            continue;
        }
        if (plan->count == ITEMS_MAX) {
            return query_args_fault(args, "more than %d values", ITEMS_MAX);
        }
        int rc = parse_item(args, &plan->items[plan->count++]);
        if (rc < 0) {
            return rc;
        }
    }
    return plan->count > 0 ? 0 : query_args_fault(args, "the name of a value is missing");
}

static bool by_time(const void *plan)
{
    (void)plan;
    return false;
}

/* Texts of the row are its keys. */
static void put_label(const struct item *item, struct span enumerated, struct buf *buf)
{
    size_t cursor = 0;
    struct series_ev ev;
    bool own = !span_equal(item->label, item->name);
    struct buf label = {0};
    while (!own && enumerated.bytes > 0 && series_evs_next(enumerated, &cursor, &ev)) {
        if (ev.type == SERIES_EV_TEXT && !span_equal(ev.name, item->name)) {
            buf_append_str(&label, label.bytes > 0 ? " " : "");
            buf_append(&label, ev.data);
        }
    }
    text_json_string(buf, label.bytes > 0 ? buf_span(&label) : item->label);
    buf_deinit(&label);
}

static void entries(const void *pointer, const struct query_block *rows, struct buf *buf)
{
    const struct plan *plan = pointer;
    const char *comma = "";
    buf_append_byte(buf, '[');
    for (size_t i = 0; i < rows->count; i++) {
        for (size_t j = 0; j < plan->count; j++) {
            const struct item *item = &plan->items[j];
            struct query_value value;
            struct query_value number;
            if (!query_block_get(rows, rows->picks[i], item->name, &value) ||
                !query_value_number(&value, &number)) {
                continue;
            }
            buf_printf(buf, "%s{\"Name\":", comma);
            put_label(item, rows->entries[rows->picks[i]].enumerated, buf);
            buf_append_str(buf, ",\"Magnitude\":");
            query_value_put_text(&number, buf);
            buf_printf(buf, ",\"Min\":%.17g,\"Max\":%.17g}", item->min, item->max);
            comma = ",";
        }
    }
    buf_append_byte(buf, ']');
}

static void text(struct span data, struct buf *buf)
{
    buf_append(buf, data);
}

static const char *const formats[] = {"text", "json", "csv", NULL};

const struct query_renderer query_renderer_gauge = {
    .name = "gauge",
    .summary = "one number between two bounds for each row",
    .text = text,
    .formats = formats,
    .parse = parse,
    .by_time = by_time,
    .entries = entries,
    .whole = true,
};

const struct query_renderer query_renderer_numbercard = {
    .name = "numbercard",
    .summary = "one number for each row",
    .text = text,
    .formats = formats,
    .parse = parse,
    .by_time = by_time,
    .entries = entries,
    .whole = true,
};
