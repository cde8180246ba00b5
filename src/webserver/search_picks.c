/* Tested by tests/cluster/test_search.py. */
#include "webserver/search_picks.h"

#include <inttypes.h>

/* Each in its place. */
static bool add(struct search_picks *picks, uint64_t from, uint64_t to)
{
    if (picks->count == SEARCH_PICKS_MAX || from > to) {
        return false;
    }
    size_t at = picks->count++;
    for (; at > 0 && picks->from[at - 1] > from; at--) {
        picks->from[at] = picks->from[at - 1];
        picks->to[at] = picks->to[at - 1];
    }
    picks->from[at] = from;
    picks->to[at] = to;
    return true;
}

static bool number_of(const json_t *object, const char *key, uint64_t *ret_number)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) == INT64_MAX) {
        return false;
    }
    *ret_number = (uint64_t)json_integer_value(value);
    return true;
}

bool search_picks_of_json(const json_t *list, struct search_picks *ret_picks)
{
    bool good = list == NULL || json_is_null(list) || json_is_array(list);
    size_t i;
    const json_t *item;
    ret_picks->count = 0;
    json_array_foreach(list, i, item)
    {
        const char *kind = json_string_value(json_object_get(item, "kind"));
        uint64_t from = 0;
        uint64_t to = 0;
        bool single = kind != NULL && strcmp(kind, "single") == 0;
        if (single) {
            good = good && number_of(item, "index", &from) && add(ret_picks, from, from + 1);
        } else {
            good = good && number_of(item, "start", &from) && number_of(item, "end", &to) &&
                   add(ret_picks, from, to);
        }
    }
    return good;
}

bool search_picks_of_text(const char *text, struct search_picks *ret_picks)
{
    struct span rest = span_of_str(text == NULL ? "" : text);
    bool good = true;
    ret_picks->count = 0;
    while (good && rest.bytes > 0) {
        ptrdiff_t end = span_find_byte(rest, ',');
        struct span item = end < 0 ? rest : span_first(rest, (size_t)end);
        ptrdiff_t hyphen = span_find_byte(item, '-');
        uint64_t from = 0;
        uint64_t to = 0;
        good = span_to_u64(hyphen < 0 ? item : span_first(item, (size_t)hyphen), &from) &&
               from < UINT64_MAX;
        to = from + 1;
        good = good && (hyphen < 0 || span_to_u64(span_from(item, (size_t)hyphen + 1), &to)) &&
               add(ret_picks, from, to);
        rest = span_from(rest, item.bytes + 1);
    }
    return good;
}

void search_picks_put(const struct search_picks *picks, struct buf *buf)
{
    for (size_t i = 0; i < picks->count; i++) {
        buf_printf(buf, "%s%" PRIu64 "-%" PRIu64, i > 0 ? "," : "", picks->from[i], picks->to[i]);
    }
}

bool search_picks_have(const struct search_picks *picks, uint64_t row)
{
    bool has = picks->count == 0;
    for (size_t i = 0; i < picks->count && !has && picks->from[i] <= row; i++) {
        has = row < picks->to[i];
    }
    return has;
}

uint64_t search_picks_rows(const struct search_picks *picks, uint64_t rows)
{
    uint64_t count = 0;
    uint64_t end = 0; /* of those before, which may overlap */
    for (size_t i = 0; i < picks->count; i++) {
        uint64_t from = MAX(picks->from[i], end);
        end = MAX(MIN(picks->to[i], rows), end);
        count += end > from ? end - from : 0;
    }
    return picks->count == 0 ? rows : count;
}
