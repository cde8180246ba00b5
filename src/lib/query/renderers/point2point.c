/*
 * point2point (-srcloc value | -srclat value -srclong value) (-dstloc value | -dstlat value
 *             -dstlong value) [-mag value] [name …]: arcs between places.
 *
 *     [{"Src":{"Lat":50.1,"Long":14.4},"Dst":{"Lat":48.2,"Long":16.4},"Magnitude":3,
 *       "Values":["web9"]}, …]            and beside it "ValueNames":["host"]
 *
 * Rows between the same places with the same values are one arc; it weighs as many as they are, or
 * the sum of -mag. Rows without both places are left out. Tested by renderers_test.c.
 */
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/vec.h"
#include "query/modules/modules.h"
#include "query/renderers/label.h"
#include "query/renderers/place.h"

#define NAMES_MAX 32
#define ARCS_MAX 10000

enum { FLAG_SRCLOC, FLAG_SRCLAT, FLAG_SRCLONG, FLAG_DSTLOC, FLAG_DSTLAT, FLAG_DSTLONG, FLAG_MAG };

static const struct query_flag flags[] = {
    [FLAG_SRCLOC] = {"srcloc", true},   [FLAG_SRCLAT] = {"srclat", true},
    [FLAG_SRCLONG] = {"srclong", true}, [FLAG_DSTLOC] = {"dstloc", true},
    [FLAG_DSTLAT] = {"dstlat", true},   [FLAG_DSTLONG] = {"dstlong", true},
    [FLAG_MAG] = {"mag", true}};

struct plan {
    struct place_names ends[2]; /* source, destination */
    struct span magnitude;      /* empty: rows are counted */
    struct span names[NAMES_MAX];
    size_t count;
};

struct arc {
    struct place ends[2];
    double magnitude;
    char *values; /* JSON, owned */
};

struct arcs {
    struct map by_key;
    VEC(struct arc) list;
};

static void take(struct plan *plan, size_t flag, struct span value)
{
    struct place_names *end = &plan->ends[flag >= FLAG_DSTLOC ? 1 : 0];
    switch (flag) {
    case FLAG_SRCLOC:
    case FLAG_DSTLOC:
        end->place = value;
        break;
    case FLAG_SRCLAT:
    case FLAG_DSTLAT:
        end->lat = value;
        break;
    case FLAG_SRCLONG:
    case FLAG_DSTLONG:
        end->lon = value;
        break;
    default:
        plan->magnitude = value;
        break;
    }
}

static int parse(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        take(plan, flag, span_of_str(value));
    }
    for (size_t i = 0; rc >= 0 && i < 2; i++) {
        const struct place_names *end = &plan->ends[i];
        const char *which = i == 0 ? "src" : "dst";
        if ((end->lat.bytes > 0) != (end->lon.bytes > 0)) {
            return query_args_fault(args, "-%slat and -%slong go together", which, which);
        }
        if (end->place.bytes == 0 && end->lat.bytes == 0) {
            return query_args_fault(args, "-%sloc, or -%slat and -%slong, are missing", which,
                                    which, which);
        }
    }
    return rc < 0 ? rc : query_args_names(args, plan->names, NAMES_MAX, &plan->count);
}

static bool uses(const void *pointer, struct span name)
{
    const struct plan *plan = pointer;
    return place_uses(&plan->ends[0], name) || place_uses(&plan->ends[1], name) ||
           span_equal(plan->magnitude, name) || label_has(plan->names, plan->count, name);
}

static bool by_time(const void *plan)
{
    (void)plan;
    return false;
}

static bool inside(const void *pointer, const struct query_block *rows, size_t index,
                   const struct query_fence *fence)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < 2; i++) {
        struct place place;
        if (place_of(&plan->ends[i], rows, index, &place) && place_inside(fence, place)) {
            return true;
        }
    }
    return false;
}

static void add(const struct plan *plan, struct arcs *arcs, const struct query_block *rows,
                size_t index)
{
    struct arc arc = {0};
    double weight = 1;
    bool whole = plan->magnitude.bytes == 0 || label_number(rows, index, plan->magnitude, &weight);
    for (size_t i = 0; i < 2 && whole; i++) {
        whole = place_of(&plan->ends[i], rows, index, &arc.ends[i]);
    }
    if (!whole) {
        return;
    }
    struct buf key = {0};
    buf_append(&key, span_of(arc.ends, sizeof(arc.ends)));
    for (size_t i = 0; i < plan->count; i++) {
        struct buf value = {0};
        (void)query_value_text(rows, index, plan->names[i], &value);
        buf_append_str(&key, i > 0 ? "," : "");
        text_json_string(&key, buf_span(&value));
        buf_deinit(&value);
    }
    size_t number = (size_t)(uintptr_t)map_get(&arcs->by_key, buf_span(&key));
    if (number == 0 && arcs->list.count < ARCS_MAX) {
        arc.values =
            mem_strndup((const char *)key.data + sizeof(arc.ends), key.bytes - sizeof(arc.ends));
        vec_push(&arcs->list, arc);
        number = arcs->list.count;
        (void)map_put(&arcs->by_key, buf_span(&key), (void *)(uintptr_t)number);
    }
    if (number > 0) {
        arcs->list.items[number - 1].magnitude += weight;
    }
    buf_deinit(&key);
}

static void entries(const void *plan, const struct query_block *rows, struct buf *buf)
{
    struct arcs arcs = {0};
    for (size_t i = 0; i < rows->count; i++) {
        add(plan, &arcs, rows, rows->picks[i]);
    }
    buf_append_byte(buf, '[');
    for (size_t i = 0; i < arcs.list.count; i++) {
        struct arc *arc = &arcs.list.items[i];
        buf_append_str(buf, i > 0 ? ",{\"Src\":" : "{\"Src\":");
        place_put(arc->ends[0], buf);
        buf_append_str(buf, ",\"Dst\":");
        place_put(arc->ends[1], buf);
        buf_append_str(buf, ",\"Magnitude\":");
        label_put_number(arc->magnitude, buf);
        if (arc->values[0] != '\0') {
            buf_printf(buf, ",\"Values\":[%s]", arc->values);
        }
        buf_append_byte(buf, '}');
        mem_free(arc->values);
    }
    buf_append_byte(buf, ']');
    vec_deinit(&arcs.list);
    map_deinit(&arcs.by_key);
}

static void beside(const void *pointer, struct buf *buf)
{
    const struct plan *plan = pointer;
    buf_append_str(buf, ",\"ValueNames\":[");
    for (size_t i = 0; i < plan->count; i++) {
        buf_append_str(buf, i > 0 ? "," : "");
        text_json_string(buf, plan->names[i]);
    }
    buf_append_byte(buf, ']');
}

static void text(struct span data, struct buf *buf)
{
    buf_append(buf, data);
}

static const char *const formats[] = {"text", "json", "csv", NULL};

const struct query_renderer query_renderer_point2point = {
    .name = "point2point",
    .summary = "arcs between places on a map",
    .text = text,
    .formats = formats,
    .parse = parse,
    .uses = uses,
    .by_time = by_time,
    .entries = entries,
    .beside = beside,
    .inside = inside,
    .whole = true,
};
