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
#include "base/text.h"
#include "query/modules/modules.h"
#include "query/renderers/label.h"
#include "query/renderers/place.h"

#define NAMES_MAX 32
#define POINTS_MAX 1000

enum { FLAG_LOC, FLAG_LAT, FLAG_LONG };

static const struct query_flag flags[] = {
    [FLAG_LOC] = {"loc", true}, [FLAG_LAT] = {"lat", true}, [FLAG_LONG] = {"long", true}};

struct plan {
    struct place_names place;
    struct span names[NAMES_MAX];
    size_t count;
};

static int parse(struct query_args *args, struct plan *plan, size_t names_max)
{
    struct place_names *place = &plan->place;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        place->place = flag == FLAG_LOC ? span_of_str(value) : place->place;
        place->lat = flag == FLAG_LAT ? span_of_str(value) : place->lat;
        place->lon = flag == FLAG_LONG ? span_of_str(value) : place->lon;
    }
    if ((place->lat.bytes > 0) != (place->lon.bytes > 0)) {
        return query_args_fault(args, "-lat and -long go together");
    }
    if (place->lat.bytes > 0) {
        place->place = SPAN_NONE;
    } else if (place->place.bytes == 0) {
        *place = (struct place_names){SPAN_LIT("Location"), SPAN_LIT("lat"), SPAN_LIT("long")};
    }
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
    return place_uses(&plan->place, name) || label_has(plan->names, plan->count, name);
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
    struct place place;
    return place_of(&plan->place, rows, index, &place) && place_inside(fence, place);
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
        struct place place;
        if (!place_of(&plan->place, rows, rows->picks[i], &place)) {
            continue;
        }
        buf_append_str(buf, made++ > 0 ? ",{\"Loc\":" : "{\"Loc\":");
        place_put(place, buf);
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
        struct place place;
        double magnitude = 0;
        if (!place_of(&plan->place, rows, rows->picks[i], &place)) {
            continue;
        }
        buf_append_str(buf, made++ > 0 ? ",[" : "[");
        label_put_number(place.lat, buf);
        buf_append_byte(buf, ',');
        label_put_number(place.lon, buf);
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
    .inside = inside,
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
    .inside = inside,
    .whole = true,
};
