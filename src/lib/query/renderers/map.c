/*
 * pointmap [-loc name | -lat name -long name] [name …]: places with values.
 *
 *     [{"Loc":{"Lat":50.1,"Long":14.4},"Metadata":[{"host":"web9"}]}, …]
 *
 * heatmap [-loc name | -lat name -long name] [magnitude]
 *
 *     [[50.1,14.4,3],[48.2,16.4], …]
 *
 * Without flags: "Location", else "lat" and "long". A place is a text of two numbers, a latitude
 * and a longitude. Rows without one are left out. Tested by renderers_test.c.
 */
#include <math.h>
#include <stdlib.h>

#include "base/text.h"
#include "query/modules/modules.h"
#include "query/renderers/label.h"

#define NAMES_MAX 32
#define POINTS_MAX 1000

enum { FLAG_LOC, FLAG_LAT, FLAG_LONG };

static const struct query_flag flags[] = {
    [FLAG_LOC] = {"loc", true}, [FLAG_LAT] = {"lat", true}, [FLAG_LONG] = {"long", true}};

struct plan {
    struct span place; /* empty: lat and lon */
    struct span lat;
    struct span lon;
    bool given;
    struct span names[NAMES_MAX];
    size_t count;
};

static int parse(struct query_args *args, struct plan *plan, size_t names_max)
{
    *plan = (struct plan){
        .place = SPAN_LIT("Location"), .lat = SPAN_LIT("lat"), .lon = SPAN_LIT("long")};
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    size_t halves = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        plan->given = true;
        plan->place = flag == FLAG_LOC ? span_of_str(value) : plan->place;
        plan->lat = flag == FLAG_LAT ? span_of_str(value) : plan->lat;
        plan->lon = flag == FLAG_LONG ? span_of_str(value) : plan->lon;
        halves += flag == FLAG_LOC ? 0 : 1;
    }
    if (halves == 1) {
        return query_args_fault(args, "-lat and -long go together");
    }
    plan->place = halves > 0 ? SPAN_NONE : plan->place;
    return rc < 0 ? rc : query_args_names(args, plan->names, names_max, &plan->count);
}

static int parse_pointmap(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    return parse(args, plan, NAMES_MAX);
}

static int parse_heatmap(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    return parse(args, plan, 1);
}

static bool uses(const void *pointer, struct span name)
{
    const struct plan *plan = pointer;
    return span_equal(plan->place, name) || span_equal(plan->lat, name) ||
           span_equal(plan->lon, name) || label_has(plan->names, plan->count, name);
}

static bool by_time(const void *plan)
{
    (void)plan;
    return false;
}

/* "50.1 14.4", "50.1,14.4", "[50.1, 14.4]" */
static bool two_numbers(struct span text, double *ret_lat, double *ret_lon)
{
    char copy[128];
    char *end = NULL;
    size_t bytes = 0;
    for (size_t i = 0; i < text.bytes && bytes + 1 < sizeof(copy); i++) {
        bool aside = text.data[i] == ',' || text.data[i] == '[' || text.data[i] == ']' ||
                     text.data[i] == '(' || text.data[i] == ')';
        copy[bytes++] = aside ? ' ' : (char)text.data[i];
    }
    copy[bytes] = '\0';
    *ret_lat = strtod(copy, &end);
    char *second = end;
    *ret_lon = strtod(second, &end);
    return second != copy && end != second && end[strspn(end, " ")] == '\0';
}

static bool place_of(const struct plan *plan, const struct query_block *rows, size_t index,
                     double *ret_lat, double *ret_lon)
{
    struct buf text = {0};
    bool there = plan->place.bytes > 0 && query_value_text(rows, index, plan->place, &text) &&
                 two_numbers(buf_span(&text), ret_lat, ret_lon);
    buf_deinit(&text);
    if (!there && (!plan->given || plan->place.bytes == 0)) {
        there = label_number(rows, index, plan->lat, ret_lat) &&
                label_number(rows, index, plan->lon, ret_lon);
    }
    return there && fabs(*ret_lat) <= 90 && fabs(*ret_lon) <= 180;
}

static void put_metadata(const struct plan *plan, const struct query_block *rows, size_t index,
                         struct buf *buf)
{
    const char *before = ",\"Metadata\":[";
    for (size_t i = 0; i < plan->count; i++) {
        struct buf value = {0};
        if (query_value_text(rows, index, plan->names[i], &value)) {
            buf_append_str(buf, before);
            buf_append_byte(buf, '{');
            text_json_string(buf, plan->names[i]);
            buf_append_byte(buf, ':');
            text_json_string(buf, buf_span(&value));
            buf_append_byte(buf, '}');
            before = ",";
        }
        buf_deinit(&value);
    }
    buf_append_str(buf, before[1] == '\0' ? "]" : "");
}

static void points(const void *pointer, const struct query_block *rows, struct buf *buf)
{
    const struct plan *plan = pointer;
    size_t made = 0;
    buf_append_byte(buf, '[');
    for (size_t i = 0; i < rows->count && made < POINTS_MAX; i++) {
        double lat = 0;
        double lon = 0;
        if (!place_of(plan, rows, rows->picks[i], &lat, &lon)) {
            continue;
        }
        buf_append_str(buf, made++ > 0 ? ",{\"Loc\":{\"Lat\":" : "{\"Loc\":{\"Lat\":");
        label_put_number(lat, buf);
        buf_append_str(buf, ",\"Long\":");
        label_put_number(lon, buf);
        buf_append_byte(buf, '}');
        put_metadata(plan, rows, rows->picks[i], buf);
        buf_append_byte(buf, '}');
    }
    buf_append_byte(buf, ']');
}

static void heat(const void *pointer, const struct query_block *rows, struct buf *buf)
{
    const struct plan *plan = pointer;
    size_t made = 0;
    buf_append_byte(buf, '[');
    for (size_t i = 0; i < rows->count; i++) {
        double lat = 0;
        double lon = 0;
        double magnitude = 0;
        if (!place_of(plan, rows, rows->picks[i], &lat, &lon)) {
            continue;
        }
        buf_append_str(buf, made++ > 0 ? ",[" : "[");
        label_put_number(lat, buf);
        buf_append_byte(buf, ',');
        label_put_number(lon, buf);
        if (plan->count > 0 && label_number(rows, rows->picks[i], plan->names[0], &magnitude)) {
            buf_append_byte(buf, ',');
            label_put_number(magnitude, buf);
        }
        buf_append_byte(buf, ']');
    }
    buf_append_byte(buf, ']');
}

static void text(struct span data, struct buf *buf)
{
    buf_append(buf, data);
}

static const char *const formats[] = {"text", "json", "csv", NULL};

const struct query_renderer query_renderer_pointmap = {
    .name = "pointmap",
    .summary = "places on a map, with values",
    .text = text,
    .formats = formats,
    .parse = parse_pointmap,
    .uses = uses,
    .by_time = by_time,
    .entries = points,
    .whole = true,
};

const struct query_renderer query_renderer_heatmap = {
    .name = "heatmap",
    .summary = "places on a map, by number or magnitude",
    .text = text,
    .formats = formats,
    .parse = parse_heatmap,
    .uses = uses,
    .by_time = by_time,
    .entries = heat,
    .whole = true,
};
