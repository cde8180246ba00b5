/* Tested by result_test.c. */
#include "query/survey.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/text.h"
#include "series/evs.h"

struct survey_count {
    uint64_t count;
};

/* Numbers as long as every value is one, else texts. */
struct survey_value {
    bool text;
    uint64_t count;
    double min;
    double max;
    struct map texts; /* struct survey_count */
    uint64_t other;
};

static void free_counts(struct map *map)
{
    size_t cursor = 0;
    struct span key;
    void *count = NULL;
    while (map_next(map, &cursor, &key, &count)) {
        mem_free(count);
    }
    map_deinit(map);
}

void query_survey_deinit(struct query_survey *survey)
{
    size_t cursor = 0;
    struct span key;
    void *value = NULL;
    while (map_next(&survey->values, &cursor, &key, &value)) {
        free_counts(&((struct survey_value *)value)->texts);
        mem_free(value);
    }
    map_deinit(&survey->values);
    free_counts(&survey->sources);
    vec_deinit(&survey->tags);
}

/* False when the map is full and does not have the key. */
static bool count_key(struct map *map, struct span key, size_t most)
{
    struct survey_count *count = map_get(map, key);
    if (count == NULL) {
        if (map->count == most) {
            return false;
        }
        count = MEM_NEW(struct survey_count);
        (void)map_put(map, key, count);
    }
    count->count++;
    return true;
}

static bool is_number(uint8_t type)
{
    return type >= SERIES_EV_BYTE && type <= SERIES_EV_F64;
}

static void add_value(struct survey_value *value, const struct series_ev *ev)
{
    struct buf text = {0};
    series_ev_text(&text, ev);
    value->count++;
    value->text = value->text || !is_number(ev->type);
    if (is_number(ev->type)) {
        double number = strtod(buf_str(&text), NULL);
        if (isfinite(number)) {
            value->min = value->count == 1 ? number : fmin(value->min, number);
            value->max = value->count == 1 ? number : fmax(value->max, number);
        }
    }
    if (!count_key(&value->texts, buf_span(&text), QUERY_SURVEY_TEXTS_MAX)) {
        value->other++;
    }
    buf_deinit(&text);
}

void query_survey_add(struct query_survey *survey, const struct entry *entry)
{
    while (survey->tags.count <= entry->tag) {
        vec_push(&survey->tags, 0);
    }
    survey->tags.items[entry->tag]++;
    (void)count_key(&survey->sources, span_of(entry->source, ENTRY_SOURCE_BYTES),
                    QUERY_SURVEY_SOURCES_MAX);
    size_t cursor = 0;
    struct series_ev ev;
    while (series_evs_next(entry->enumerated, &cursor, &ev)) {
        struct survey_value *value = map_get(&survey->values, ev.name);
        if (value == NULL && survey->values.count < QUERY_SURVEY_NAMES_MAX) {
            value = MEM_NEW(struct survey_value);
            (void)map_put(&survey->values, ev.name, value);
        }
        if (value != NULL) {
            add_value(value, &ev);
        }
    }
}

static void put_texts(const struct survey_value *value, struct buf *buf)
{
    buf_append_str(buf, "\"Raw\":{\"Map\":{");
    size_t cursor = 0;
    struct span text;
    void *count = NULL;
    const char *comma = "";
    while (map_next(&value->texts, &cursor, &text, &count)) {
        buf_append_str(buf, comma);
        text_json_string(buf, text);
        buf_printf(buf, ":%" PRIu64, ((struct survey_count *)count)->count);
        comma = ",";
    }
    buf_printf(buf, "},\"Other\":%" PRIu64 "}", value->other);
}

static void put_values(const struct query_survey *survey, struct buf *buf)
{
    size_t cursor = 0;
    struct span name;
    void *pointer = NULL;
    const char *comma = "";
    buf_append_str(buf, "\"ValueStats\":[");
    while (map_next(&survey->values, &cursor, &name, &pointer)) {
        const struct survey_value *value = pointer;
        buf_printf(buf, "%s{\"Name\":", comma);
        text_json_string(buf, name);
        if (value->text) {
            buf_append_str(buf, ",\"Type\":\"raw\",\"Number\":{\"Count\":0,\"Min\":0,\"Max\":0},");
            put_texts(value, buf);
        } else {
            buf_printf(buf,
                       ",\"Type\":\"number\",\"Number\":{\"Count\":%" PRIu64
                       ",\"Min\":%.17g,\"Max\":%.17g},\"Raw\":{\"Map\":null,\"Other\":0}",
                       value->count, value->min, value->max);
        }
        buf_append_byte(buf, '}');
        comma = ",";
    }
    buf_append_byte(buf, ']');
}

static void put_sources(const struct query_survey *survey, struct buf *buf)
{
    size_t cursor = 0;
    struct span address;
    void *count = NULL;
    const char *comma = "";
    buf_append_str(buf, "\"SourceStats\":[");
    while (map_next(&survey->sources, &cursor, &address, &count)) {
        buf_printf(buf, "%s{\"IP\":\"", comma);
        entry_source_text(buf, address.data);
        buf_printf(buf, "\",\"Count\":%" PRIu64 "}", ((struct survey_count *)count)->count);
        comma = ",";
    }
    buf_append_byte(buf, ']');
}

void query_survey_json(const struct query_survey *survey,
                       const char *(*name)(const void *context, uint16_t tag), const void *context,
                       struct buf *buf)
{
    buf_append_byte(buf, '{');
    put_values(survey, buf);
    buf_append_byte(buf, ',');
    put_sources(survey, buf);
    buf_append_str(buf, ",\"TagStats\":{");
    const char *comma = "";
    for (size_t i = 0; i < survey->tags.count; i++) {
        if (survey->tags.items[i] > 0) {
            buf_append_str(buf, comma);
            text_json_string(buf, span_of_str(name(context, (uint16_t)i)));
            buf_printf(buf, ":%" PRIu64, survey->tags.items[i]);
            comma = ",";
        }
    }
    buf_append_str(buf, "}}");
}
