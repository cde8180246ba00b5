/* Tested by renderers_test.c. */
#include "query/renderers/place.h"

#include <math.h>
#include <stdlib.h>

#include "query/renderers/label.h"

bool place_uses(const struct place_names *names, struct span name)
{
    return span_equal(names->place, name) || span_equal(names->lat, name) ||
           span_equal(names->lon, name);
}

static bool two_numbers(struct span text, struct place *ret_place)
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
    ret_place->lat = strtod(copy, &end);
    char *second = end;
    ret_place->lon = strtod(second, &end);
    return second != copy && end != second && end[strspn(end, " ")] == '\0';
}

bool place_of(const struct place_names *names, const struct query_block *rows, size_t index,
              struct place *ret_place)
{
    struct buf text = {0};
    bool there = names->place.bytes > 0 && query_value_text(rows, index, names->place, &text) &&
                 two_numbers(buf_span(&text), ret_place);
    buf_deinit(&text);
    if (!there && names->lat.bytes > 0) {
        there = label_number(rows, index, names->lat, &ret_place->lat) &&
                label_number(rows, index, names->lon, &ret_place->lon);
    }
    return there && fabs(ret_place->lat) <= 90 && fabs(ret_place->lon) <= 180;
}

bool place_inside(const struct query_fence *fence, struct place place)
{
    bool whole = fence->south == 0 && fence->west == 0 && fence->north == 0 && fence->east == 0;
    bool across = fence->west > fence->east; /* the antimeridian */
    bool lon = across ? place.lon >= fence->west || place.lon <= fence->east
                      : place.lon >= fence->west && place.lon <= fence->east;
    return whole || (place.lat >= fence->south && place.lat <= fence->north && lon);
}

void place_put(struct place place, struct buf *buf)
{
    buf_append_str(buf, "{\"Lat\":");
    label_put_number(place.lat, buf);
    buf_append_str(buf, ",\"Long\":");
    label_put_number(place.lon, buf);
    buf_append_byte(buf, '}');
}
