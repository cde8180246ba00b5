/*
 * table [-nt] [-save resource [-csv | -format f] [-update column | -delete column]] [name …]
 *
 * Named columns, a row per entry; without names all enumerated values that the rows have, or their
 * times and data where they have none. What -save writes: query/save.h. Tested by modules_test.c
 * and save_test.c.
 */
#include "base/text.h"
#include "base/time.h"
#include "query/modules/modules.h"
#include "query/save.h"

#define COLUMNS_MAX 256

enum { FLAG_NT, FLAG_SAVE, FLAG_CSV, FLAG_FORMAT, FLAG_UPDATE, FLAG_DELETE };

static const struct query_flag flags[] = {
    [FLAG_NT] = {"nt", false},        [FLAG_SAVE] = {"save", true},
    [FLAG_CSV] = {"csv", false},      [FLAG_FORMAT] = {"format", true},
    [FLAG_UPDATE] = {"update", true}, [FLAG_DELETE] = {"delete", true}};

struct plan {
    struct span names[COLUMNS_MAX];
    size_t count;
    bool not_temporal;
    struct query_save save; /* no name: nothing is saved */
};

static int take_format(const struct query_args *args, const char *name, struct query_save *save)
{
    static const char *const names[] = {[QUERY_SAVE_LOOKUPDATA] = "lookupdata",
                                        [QUERY_SAVE_CSV] = "csv",
                                        [QUERY_SAVE_IPEXIST] = "ipexist"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            save->format = (enum query_save_format)i;
            return 0;
        }
    }
    return query_args_fault(args, "-format is csv, lookupdata or ipexist, not '%.32s'", name);
}

static int take_flag(const struct query_args *args, struct plan *plan, size_t flag,
                     const char *value)
{
    struct query_save *save = &plan->save;
    plan->not_temporal = plan->not_temporal || flag == FLAG_NT;
    save->name = flag == FLAG_SAVE ? value : save->name;
    save->update = flag == FLAG_UPDATE ? value : save->update;
    save->remove = flag == FLAG_DELETE ? value : save->remove;
    return flag == FLAG_CSV      ? take_format(args, "csv", save)
           : flag == FLAG_FORMAT ? take_format(args, value, save)
                                 : 0;
}

static int check_save(const struct query_args *args, const struct query_save *save)
{
    if (save->update != NULL && save->remove != NULL) {
        return query_args_fault(args, "-update and -delete do not go together");
    }
    if (save->name == NULL && (save->update != NULL || save->remove != NULL)) {
        return query_args_fault(args, "-update and -delete go with -save");
    }
    return save->name != NULL && save->name[0] == '\0'
               ? query_args_fault(args, "-save needs a name")
               : 0;
}

static int parse(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        rc = take_flag(args, plan, flag, value);
        if (rc < 0) {
            return rc;
        }
    }
    rc = rc < 0 ? rc : check_save(args, &plan->save);
    return rc < 0 ? rc : query_args_names(args, plan->names, COLUMNS_MAX, &plan->count);
}

static bool uses(const void *pointer, struct span name)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        if (span_equal(plan->names[i], name)) {
            return true;
        }
    }
    return plan->count == 0;
}

/* One row for the whole range is enough, unless -nt asks for the windows. */
static bool by_time(const void *plan)
{
    return ((const struct plan *)plan)->not_temporal;
}

/* All names of the rows; one that only later rows have stands where it stands among theirs. */
static size_t names_of(const struct query_block *rows, struct span names[COLUMNS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < rows->count; i++) {
        size_t cursor = 0;
        size_t place = 0;
        struct series_ev ev;
        struct span block = rows->entries[rows->picks[i]].enumerated;
        while (block.bytes > 0 && count < COLUMNS_MAX && series_evs_next(block, &cursor, &ev)) {
            size_t at = 0;
            while (at < count && !span_equal(names[at], ev.name)) {
                at++;
            }
            if (at == count) {
                at = MIN(place, count);
                memmove(&names[at + 1], &names[at], (count - at) * sizeof(names[0]));
                names[at] = ev.name;
                count++;
            }
            place = at + 1;
        }
    }
    if (count == 0 && rows->count > 0) { /* else as many rows of nothing */
        names[count++] = span_of_str("TIMESTAMP");
        names[count++] = span_of_str("DATA");
    }
    return count;
}

static void put_row(const struct query_block *rows, size_t index, const struct span *names,
                    size_t count, struct buf *buf)
{
    struct buf cell = {0};
    buf_append_str(buf, "{\"TS\":\"");
    time_format(buf, rows->entries[index].time_ns);
    buf_append_str(buf, "\",\"Row\":[");
    for (size_t i = 0; i < count; i++) {
        buf_append_str(buf, i > 0 ? "," : "");
        buf_clear(&cell);
        (void)query_value_text(rows, index, names[i], &cell);
        text_json_string(buf, buf_span(&cell));
    }
    buf_append_str(buf, "]}");
    buf_deinit(&cell);
}

static void entries(const void *pointer, const struct query_block *rows, struct buf *buf)
{
    const struct plan *plan = pointer;
    struct span found[COLUMNS_MAX];
    const struct span *names = plan->count > 0 ? plan->names : found;
    size_t count = plan->count > 0 ? plan->count : names_of(rows, found);
    buf_append_str(buf, "{\"Columns\":[");
    for (size_t i = 0; i < count; i++) {
        buf_append_str(buf, i > 0 ? "," : "");
        text_json_string(buf, names[i]);
    }
    buf_append_str(buf, "],\"Rows\":[");
    for (size_t i = 0; i < rows->count; i++) {
        buf_append_str(buf, i > 0 ? "," : "");
        put_row(rows, rows->picks[i], names, count, buf);
    }
    buf_append_str(buf, "]}");
}

static void text(struct span data, struct buf *buf)
{
    buf_append(buf, data);
}

static const char *const formats[] = {"text", "json", "csv", "lookupdata", NULL};

const struct query_renderer query_renderer_table = {
    .name = "table",
    .summary = "named columns, a row per entry",
    .text = text,
    .formats = formats,
    .parse = parse,
    .uses = uses,
    .by_time = by_time,
    .entries = entries,
};

const struct query_save *query_save_of(const struct query *query)
{
    const struct plan *plan = query->stages[query->stage_count - 1].plan;
    return query->renderer == &query_renderer_table && plan->save.name != NULL ? &plan->save : NULL;
}
