#include "webserver/search_answer.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "query/module.h"
#include "series/evs.h"
#include "webserver/explore.h"
#include "webserver/request.h"

static void put_time(struct buf *buf, const char *key, int64_t time_ns)
{
    buf_printf(buf, "\"%s\":\"", key);
    time_format(buf, time_ns);
    buf_append_byte(buf, '"');
}

static void put_json(struct buf *buf, json_t *takes)
{
    char *text = json_dumps(takes, JSON_COMPACT | JSON_ENCODE_ANY);
    buf_append_str(buf, text == NULL ? "null" : text);
    free(text);
    json_decref(takes);
}

/* ── Requests ────────────────────────────────────────────────────────────────────────────── */

static uint64_t natural(const json_t *json, const char *key)
{
    int64_t value = json == NULL ? 0 : request_int(json, key);
    return value < 0 ? 0 : (uint64_t)value;
}

static int64_t time_of(const json_t *json, const char *key)
{
    return json == NULL ? TIME_UNSET : request_time(json, key);
}

static double degrees(const json_t *corner, const char *key)
{
    const json_t *value = request_member(corner, key);
    return json_is_number(value) ? json_number_value(value) : 0;
}

static struct query_fence fence_of(const json_t *fence)
{
    const json_t *south_west = request_member(fence, "SouthWest");
    const json_t *north_east = request_member(fence, "NorthEast");
    return (struct query_fence){.south = degrees(south_west, "Lat"),
                                .west = degrees(south_west, "Long"),
                                .north = degrees(north_east, "Lat"),
                                .east = degrees(north_east, "Long")};
}

void search_ask_decode(const json_t *data, struct search_ask *ask)
{
    const json_t *range = request_member(data, "EntryRange");
    const json_t *stats = request_member(data, "Stats");
    *ask = (struct search_ask){
        .id = (uint32_t)MIN(natural(data, "ID"), (uint64_t)UINT32_MAX),
        .first = natural(range, "First"),
        .last = natural(range, "Last"),
        .start_ns = time_of(range, "StartTS"),
        .end_ns = time_of(range, "EndTS"),
        .set_count = natural(stats, "SetCount"),
        .set_start_ns = time_of(stats, "SetStart"),
        .set_end_ns = time_of(stats, "SetEnd"),
        .fence = fence_of(request_member(data, "Fence")),
    };
}

/* ── Entries ─────────────────────────────────────────────────────────────────────────────── */

static void put_value(struct buf *buf, const struct series_ev *ev)
{
    struct buf text = {0};
    series_ev_text(&text, ev);
    buf_append_str(buf, "{\"Name\":");
    text_json_string(buf, ev->name);
    buf_append_str(buf, ",\"ValueStr\":");
    text_json_string(buf, buf_span(&text));
    buf_printf(buf, ",\"Value\":{\"Type\":%u,\"Data\":\"", ev->type);
    text_base64(buf, ev->data);
    buf_append_str(buf, "\"}}");
    buf_deinit(&text);
}

static void put_values(struct buf *buf, struct span enumerated)
{
    size_t cursor = 0;
    struct series_ev ev;
    const char *before = "[";
    if (enumerated.bytes == 0) {
        buf_append_str(buf, "null");
        return;
    }
    while (series_evs_next(enumerated, &cursor, &ev)) {
        buf_append_str(buf, before);
        put_value(buf, &ev);
        before = ",";
    }
    buf_append_str(buf, before[0] == '[' ? "null" : "]");
}

void search_entry_json(const struct entry *entry, const char *tag, struct buf *buf)
{
    buf_append_byte(buf, '{');
    put_time(buf, "TS", entry->time_ns);
    buf_append_str(buf, ",\"SRC\":\"");
    entry_source_text(buf, entry->source);
    buf_append_str(buf, "\",\"Tag\":");
    if (tag == NULL) {
        buf_printf(buf, "%u", entry->tag);
    } else {
        text_json_string(buf, span_of_str(tag));
    }
    buf_append_str(buf, ",\"Data\":\"");
    text_base64(buf, entry->data);
    buf_append_str(buf, "\",\"Enumerated\":");
    put_values(buf, entry->enumerated);
    buf_append_byte(buf, '}');
}

struct tag_list {
    struct buf *buf;
    const char *comma;
};

static void put_tag(void *context, const char *name, uint16_t tag)
{
    struct tag_list *list = context;
    buf_append_str(list->buf, list->comma);
    text_json_string(list->buf, span_of_str(name));
    buf_printf(list->buf, ":%u", tag);
    list->comma = ",";
}

static void put_tags(struct buf *buf, struct query_result *result)
{
    struct tag_list list = {.buf = buf, .comma = ""};
    buf_append_str(buf, ",\"Tags\":{");
    query_result_tags(result, put_tag, &list);
    buf_append_byte(buf, '}');
}

static bool is_binary(struct span data)
{
    return span_find_byte(data, 0) >= 0 || !text_is_utf8(data);
}

static const char *row_tag(const void *context, uint16_t tag)
{
    return query_result_tag_name((struct query_result *)(uintptr_t)context, tag);
}

/* Renderers whose answer is not a list of entries. */
static void put_rendered(struct search_one *one, struct query_result *result,
                         const struct query_rows *rows, const struct query_fence *fence,
                         struct buf *buf)
{
    uint32_t *picks = mem_alloc_array(rows->count + 1, sizeof(*picks));
    struct query_block block = {
        .entries = rows->entries,
        .picks = picks,
        .tag_name = row_tag,
        .context = result,
    };
    const struct query_stage *stage = &one->query->stages[one->query->stage_count - 1];
    block.count = 0;
    for (size_t i = 0; i < rows->count; i++) {
        picks[block.count] = (uint32_t)i;
        block.count +=
            one->render->inside == NULL || one->render->inside(stage->plan, &block, i, fence);
    }
    buf_append_str(buf, ",\"Entries\":");
    one->render->entries(stage->plan, &block, buf);
    if (one->render->beside != NULL) {
        one->render->beside(stage->plan, buf);
    }
    mem_free(picks);
}

static int put_rows(struct search_one *one, struct query_result *result,
                    const struct search_ask *ask, bool window, struct buf *buf,
                    struct search_told *told)
{
    struct query_rows rows;
    bool whole = one->render->whole;
    uint64_t first = whole ? 0 : ask->first;
    uint64_t last = whole ? QUERY_RESULT_READ_ROWS_MAX : MIN(ask->last, first + SEARCH_ROWS_MAX);
    int rc = query_result_read(result, first, last, window ? ask->start_ns : TIME_UNSET,
                               window ? ask->end_ns : TIME_UNSET, &rows);
    if (rc < 0) {
        return rc;
    }
    put_rendered(one, result, &rows, &ask->fence, buf);
    told->rows = rows.count;
    told->more = rows.matched > first + rows.count;
    query_rows_deinit(&rows);
    return 0;
}

/* "Text" into the entry's object, which has just been closed. */
static void put_words(const struct query_renderer *renderer, struct span data, struct buf *buf)
{
    struct buf words = {0};
    renderer->text(data, &words);
    buf->bytes--;
    buf_append_str(buf, ",\"Text\":");
    text_json_string(buf, buf_span(&words));
    buf_append_byte(buf, '}');
    buf_deinit(&words);
}

static int put_entries(struct search_one *one, struct query_result *result,
                       const struct search_ask *ask, bool window, struct buf *buf,
                       struct search_told *told)
{
    if (one->render != NULL && one->render->entries != NULL && one->query != NULL &&
        ask->id != SEARCH_REQUEST_RAW) {
        return put_rows(one, result, ask, window, buf, told);
    }
    struct query_rows rows;
    uint64_t last = MIN(ask->last, ask->first + SEARCH_ROWS_MAX);
    int rc = query_result_read(result, ask->first, last, window ? ask->start_ns : TIME_UNSET,
                               window ? ask->end_ns : TIME_UNSET, &rows);
    if (rc < 0) {
        return rc;
    }
    bool binary = false;
    put_tags(buf, result);
    buf_append_str(buf, ",\"Entries\":[");
    for (size_t i = 0; i < rows.count; i++) {
        buf_append_str(buf, i > 0 ? "," : "");
        search_entry_json(&rows.entries[i], NULL, buf);
        if (one->render != NULL && one->render->in_words) {
            put_words(one->render, rows.entries[i].data, buf);
        }
        binary = binary || is_binary(rows.entries[i].data);
    }
    buf_append_byte(buf, ']');
    if (ask->id == SEARCH_REQUEST_EXPLORE || ask->id == SEARCH_REQUEST_EXPLORE_RANGE) {
        explore_rows(one, result, &rows, buf);
    }
    if (strcmp(one->renderer, "raw") == 0) {
        buf_printf(buf, ",\"ContainsBinaryEntries\":%s", binary ? "true" : "false");
    }
    told->rows = rows.count;
    told->more = rows.matched > ask->first + rows.count;
    query_rows_deinit(&rows);
    return 0;
}

/* ── Statistics ──────────────────────────────────────────────────────────────────────────── */

static int64_t bucket_time(int64_t start_ns, int64_t end_ns, uint64_t index, uint64_t count)
{
    __extension__ typedef unsigned __int128 wide;
    uint64_t range = (uint64_t)end_ns - (uint64_t)start_ns;
    return (int64_t)((uint64_t)start_ns + (uint64_t)((wide)range * index / count));
}

static void choose_buckets(const struct search_one *one, const struct search_ask *ask,
                           int64_t *ret_start_ns, int64_t *ret_end_ns, uint64_t *ret_count)
{
    *ret_start_ns = ask->set_start_ns == TIME_UNSET ? one->start_ns : ask->set_start_ns;
    *ret_end_ns = ask->set_end_ns == TIME_UNSET ? one->end_ns : ask->set_end_ns;
    *ret_end_ns = MAX(*ret_end_ns, *ret_start_ns);
    *ret_count = MAX(MIN(ask->set_count, (uint64_t)SEARCH_BUCKETS_MAX), (uint64_t)1);
}

/* Counts of the results by time; `each` row is printed by the caller's form. */
static struct query_bucket *fold(struct search_one *one, struct query_result *result,
                                 const struct search_ask *ask, int64_t *ret_start_ns,
                                 int64_t *ret_end_ns, uint64_t *ret_count)
{
    choose_buckets(one, ask, ret_start_ns, ret_end_ns, ret_count);
    struct query_bucket *buckets = mem_alloc_array((size_t)*ret_count, sizeof(*buckets));
    query_result_histogram(result, *ret_start_ns, *ret_end_ns, (size_t)*ret_count, buckets);
    return buckets;
}

static void put_overview(struct search_one *one, struct query_result *result,
                         const struct search_ask *ask, struct buf *buf)
{
    int64_t start_ns = 0;
    int64_t end_ns = 0;
    uint64_t count = 0;
    struct query_bucket *buckets = fold(one, result, ask, &start_ns, &end_ns, &count);
    buf_append_byte(buf, '[');
    for (uint64_t i = 0; i < count; i++) {
        buf_printf(buf, "%s{\"Count\":%" PRIu64 ",\"Bytes\":%" PRIu64 ",", i > 0 ? "," : "",
                   buckets[i].count, buckets[i].bytes);
        put_time(buf, "TS", bucket_time(start_ns, end_ns, i, count));
        buf_append_byte(buf, '}');
    }
    buf_append_byte(buf, ']');
    mem_free(buckets);
}

static void put_stage(struct buf *buf, const char *name, const char *args,
                      const struct query_stage_stats *stats)
{
    buf_append_str(buf, "{\"Name\":");
    text_json_string(buf, span_of_str(name));
    buf_append_str(buf, ",\"Args\":");
    text_json_string(buf, span_of_str(args));
    buf_printf(buf,
               ",\"InputCount\":%" PRIu64 ",\"OutputCount\":%" PRIu64 ",\"InputBytes\":%" PRIu64
               ",\"OutputBytes\":%" PRIu64 ",\"Duration\":%" PRIu64 ",\"ScratchWritten\":%" PRIu64
               ",\"FailedCount\":%" PRIu64 "}",
               stats->in_count, stats->out_count, stats->in_bytes, stats->out_bytes,
               stats->duration_ns, stats->scratch_bytes, stats->failed_count);
}

/* One set for the whole search: every stage. `key` is what the list of stages is called. */
static void put_summary(struct search_one *one, const char *key, struct buf *buf)
{
    struct query_stage_stats stages[QUERY_STAGES_STATS_MAX];
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    memcpy(stages, one->stages, sizeof(stages));
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    buf_append_str(buf, "[{");
    put_time(buf, "TS", one->start_ns);
    buf_printf(buf, ",\"%s\":[", key);
    for (size_t i = 0; i < one->stage_names.count; i++) {
        buf_append_str(buf, i > 0 ? "," : "");
        put_stage(buf, one->stage_names.items[i], one->stage_texts.items[i], &stages[i]);
    }
    buf_append_str(buf, "]}]");
}

static bool take_times(const struct buf *times, struct query_timeline *ret_timeline)
{
    struct wire_reader reader = wire_reader_of(buf_span(times));
    return query_timeline_get(&reader, ret_timeline);
}

/* Counts of all stages by time. A search that was not run here has those of its results only:
 * what reached the renderer. */
static struct query_stage_stats *fold_stages(struct search_one *one, struct query_result *result,
                                             int64_t start_ns, int64_t end_ns, size_t count)
{
    size_t stages = one->stage_names.count;
    struct query_stage_stats *sets = mem_alloc_array(count * stages + 1, sizeof(*sets));
    struct query_timeline there = {0};
    struct query_timeline here = {0};
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    bool known = take_times(&one->times_here, &here);
    known = known && (one->times_there.bytes == 0 || take_times(&one->times_there, &there));
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    size_t collapse = stages - MIN(here.stages, stages);
    query_timeline_fold(&there, start_ns, end_ns, count, 0, stages, sets);
    query_timeline_fold(&here, start_ns, end_ns, count, collapse, stages, sets);
    query_timeline_deinit(&there);
    query_timeline_deinit(&here);
    if (!known && stages > 0) {
        struct query_bucket *buckets = mem_alloc_array(count, sizeof(*buckets));
        query_result_histogram(result, start_ns, end_ns, count, buckets);
        for (size_t i = 0; i < count; i++) {
            sets[i * stages + stages - 1] = (struct query_stage_stats){
                .in_count = buckets[i].count,
                .in_bytes = buckets[i].bytes,
                .out_count = buckets[i].count,
                .out_bytes = buckets[i].bytes,
            };
        }
        mem_free(buckets);
    }
    return sets;
}

/* One set for each bucket of time. */
static void put_sets(struct search_one *one, struct query_result *result,
                     const struct search_ask *ask, const char *key, struct buf *buf)
{
    int64_t start_ns = 0;
    int64_t end_ns = 0;
    uint64_t count = 0;
    size_t stages = one->stage_names.count;
    choose_buckets(one, ask, &start_ns, &end_ns, &count);
    count = MIN(count, (uint64_t)(SEARCH_SETS_MAX / MAX(stages, (size_t)1)));
    struct query_stage_stats *sets = fold_stages(one, result, start_ns, end_ns, (size_t)count);
    buf_append_byte(buf, '[');
    for (uint64_t i = 0; i < count; i++) {
        buf_append_str(buf, i > 0 ? ",{" : "{");
        put_time(buf, "TS", bucket_time(start_ns, end_ns, i, count));
        buf_printf(buf, ",\"%s\":[", key);
        for (size_t j = 0; j < stages; j++) {
            buf_append_str(buf, j > 0 ? "," : "");
            put_stage(buf, one->stage_names.items[j], one->stage_texts.items[j],
                      &sets[i * stages + j]);
        }
        buf_append_str(buf, "]}");
    }
    buf_append_byte(buf, ']');
    mem_free(sets);
}

static int64_t position(struct search_one *one)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    int64_t position_ns = one->position_ns;
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    return position_ns;
}

static uint64_t seconds(const struct search_one *one)
{
    uint64_t range = (uint64_t)one->end_ns - (uint64_t)one->start_ns;
    return MIN(MAX(range / (uint64_t)TIME_S_NS, (uint64_t)1), (uint64_t)SEARCH_BUCKETS_MAX);
}

static void put_stats(struct search_one *one, struct query_result *result,
                      const struct search_ask *ask, struct buf *buf)
{
    struct search_ask whole = *ask;
    whole.set_start_ns = whole.set_end_ns = TIME_UNSET;
    bool window =
        ask->id == SEARCH_REQUEST_STATS_WINDOW || ask->id == SEARCH_REQUEST_STATS_OVERVIEW;
    buf_append_str(buf, ",\"Stats\":{");
    switch (ask->id) {
    case SEARCH_REQUEST_STATS_SIZE:
        buf_printf(buf, "\"Size\":%" PRIu64, seconds(one));
        break;
    case SEARCH_REQUEST_STATS_RANGE:
        put_time(buf, "RangeStart", one->start_ns);
        buf_append_byte(buf, ',');
        put_time(buf, "RangeEnd", one->end_ns);
        buf_printf(buf, ",\"Size\":%" PRIu64, seconds(one));
        break;
    case SEARCH_REQUEST_STATS_GET:
    case SEARCH_REQUEST_STATS_WINDOW:
        buf_printf(buf, "\"Size\":%" PRIu64 ",\"Set\":", MAX(ask->set_count, (uint64_t)1));
        put_sets(one, result, window ? ask : &whole, "Stats", buf);
        break;
    case SEARCH_REQUEST_STATS_SUMMARY:
        buf_append_str(buf, "\"Size\":1,\"Set\":");
        put_summary(one, "Stats", buf);
        break;
    case SEARCH_REQUEST_STATS_LOCATION:
        put_time(buf, "Current", position(one));
        break;
    default:
        buf_append_str(buf, "\"OverviewSet\":");
        put_overview(one, result, ask, buf);
    }
    buf_append_byte(buf, '}');
}

/* ── Answers ─────────────────────────────────────────────────────────────────────────────── */

/* All warnings in one text: the older generation has a single field. */
static void put_warning(struct search_one *one, struct buf *buf)
{
    struct buf text = {0};
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    for (size_t i = 0; i < one->messages.count; i++) {
        buf_append_str(&text, i > 0 ? "; " : "");
        buf_append_str(&text, one->messages.items[i].text);
    }
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    buf_append_str(buf, ",\"Warning\":");
    text_json_string(buf, buf_span(&text));
    buf_deinit(&text);
}

/* The search's own fault, copied; NULL when there is none. */
static char *fault_of(struct search_one *one)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    const char *text = one->deleted ? "the search was deleted" : one->error;
    char *copy = text == NULL ? NULL : mem_strdup(text);
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    return copy;
}

/* A search that failed on the way keeps what it had found. */
static bool has_rows(struct search_one *one)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    bool there = !one->deleted && one->result != NULL;
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    return there && search_one_rows(one) > 0;
}

static void put_limit(struct buf *buf, const struct query_result_counts *counts)
{
    buf_printf(buf, ",\"OverLimit\":%s,\"LimitDroppedRange\":{",
               counts->over_limit ? "true" : "false");
    put_time(buf, "StartTS", counts->over_limit ? counts->dropped_start_ns : TIME_UNSET);
    buf_append_byte(buf, ',');
    put_time(buf, "EndTS", counts->over_limit ? counts->dropped_end_ns : TIME_UNSET);
    buf_append_byte(buf, '}');
}

/* The fields that every answer ends with. told->finished was looked at before the rows were read,
 * so that Finished is never said about rows that had not come yet. */
static void put_common(struct search_one *one, struct query_result *result,
                       const struct search_told *told, struct buf *buf)
{
    struct query_result_counts counts = query_result_counts(result);
    buf_printf(buf,
               ",\"Finished\":%s,\"EntryCount\":%" PRIu64
               ",\"EntryCountValid\":true,\"AdditionalEntries\":%s",
               told->finished ? "true" : "false", counts.rows, told->more ? "true" : "false");
    put_limit(buf, &counts);
    put_warning(one, buf);
}

static void put_error(struct buf *buf, uint32_t id, const char *text)
{
    buf_printf(buf,
               "\"ID\":%" PRIu32 ",\"Finished\":true,\"EntryCount\":0,\"EntryCountValid\":false,"
               "\"AdditionalEntries\":false,\"OverLimit\":false,\"Warning\":\"\",\"Error\":",
               id);
    text_json_string(buf, span_first(span_of_str(text), QUERY_ERROR_BYTES_MAX));
}

static bool is_stats(uint32_t id)
{
    return id >= SEARCH_REQUEST_STATS_SIZE && id <= SEARCH_REQUEST_STATS_OVERVIEW;
}

static int put_body(struct search_one *one, struct query_result *result,
                    const struct search_ask *ask, struct buf *buf, struct search_told *told)
{
    switch (ask->id) {
    case SEARCH_REQUEST_CLOSE:
    case SEARCH_REQUEST_COUNT:
        return 0;
    case SEARCH_REQUEST_DETAILS:
        buf_append_str(buf, ",\"SearchInfo\":");
        put_json(buf, search_info_json(one));
        return 0;
    case SEARCH_REQUEST_TAGS:
        put_tags(buf, result);
        return 0;
    case SEARCH_REQUEST_ENTRIES:
    case SEARCH_REQUEST_STREAM:
    case SEARCH_REQUEST_RAW:
    case SEARCH_REQUEST_EXPLORE:
        return put_entries(one, result, ask, false, buf, told);
    case SEARCH_REQUEST_RANGE:
    case SEARCH_REQUEST_EXPLORE_RANGE:
        return put_entries(one, result, ask, true, buf, told);
    case SEARCH_REQUEST_METADATA:
        buf_append_str(buf, ",\"Metadata\":");
        query_result_survey(result, buf);
        return 0;
    default:
        if (is_stats(ask->id)) {
            put_stats(one, result, ask, buf);
            return 0;
        }
        return err_set(ERR_UNSUPPORTED, "unknown renderer request %" PRIu32, ask->id);
    }
}

/* The members of the answer, without the braces around them. */
static int put_members(struct search_one *one, const struct search_ask *ask, struct buf *buf,
                       struct search_told *told)
{
    struct query_result *result = NULL;
    char *fault = fault_of(one);
    bool partly = fault != NULL && has_rows(one);
    told->finished = search_one_is_over(one);
    int rc =
        fault == NULL || partly ? search_one_result(one, &result) : err_set(ERR_IO, "%s", fault);
    size_t begin = buf->bytes;
    if (rc == 0) {
        buf_printf(buf, "\"ID\":%" PRIu32, ask->id);
        rc = put_body(one, result, ask, buf, told);
    }
    if (rc == 0) {
        put_common(one, result, told, buf);
        if (partly) {
            buf_append_str(buf, ",\"Error\":");
            text_json_string(buf, span_first(span_of_str(fault), QUERY_ERROR_BYTES_MAX));
        }
    } else {
        buf->bytes = begin;
        told->finished = true;
        put_error(buf, ask->id, err_text());
    }
    mem_free(fault);
    return rc;
}

void search_answer(struct search_one *one, const struct search_ask *ask, struct buf *buf,
                   struct search_told *ret_told)
{
    struct search_told told = {0};
    buf_append_byte(buf, '{');
    (void)put_members(one, ask, buf, &told);
    buf_append_byte(buf, '}');
    *ret_told = told;
}

void search_answer_rest(struct search_one *one, const struct search_ask *ask, const char *session,
                        struct buf *buf)
{
    struct search_told told = {0};
    buf_append_byte(buf, '{');
    (void)put_members(one, ask, buf, &told);
    if (session != NULL) {
        buf_append_str(buf, ",\"SessionID\":");
        text_json_string(buf, span_of_str(session));
    }
    buf_printf(buf, ",\"Interval\":%d,\"Messages\":", SEARCH_REFRESH_S);
    put_json(buf, search_messages_json(one));
    buf_append_byte(buf, '}');
}

/* Position, counts and limit, as the overview object has them. */
static void put_progress(struct search_one *one, struct query_result *result, struct buf *buf)
{
    bool finished = search_one_is_over(one);
    struct query_result_counts counts = query_result_counts(result);
    put_time(buf, "SearchPosition", position(one));
    buf_printf(buf, ",\"Finished\":%s,\"EntryCountValid\":true,\"EntryCount\":%" PRIu64,
               finished ? "true" : "false", counts.rows);
    put_limit(buf, &counts);
}

static void put_messages(struct search_one *one, struct buf *buf)
{
    buf_append_str(buf, ",\"Messages\":");
    put_json(buf, search_messages_json(one));
    buf_append_byte(buf, '}');
}

void search_answer_overview(struct search_one *one, const struct search_ask *ask, struct buf *buf)
{
    struct query_result *result = NULL;
    buf_append_byte(buf, '{');
    if (search_one_result(one, &result) < 0) {
        put_error(buf, 0, err_text());
        buf_append_str(buf, ",\"Stats\":[]");
    } else {
        put_progress(one, result, buf);
        buf_append_str(buf, ",\"Stats\":");
        put_overview(one, result, ask, buf);
        char *fault = fault_of(one);
        if (fault != NULL) {
            buf_append_str(buf, ",\"Error\":");
            text_json_string(buf, span_of_str(fault));
        }
        mem_free(fault);
    }
    put_messages(one, buf);
}

void search_answer_modules(struct search_one *one, const struct search_ask *ask, struct buf *buf)
{
    struct query_result *result = NULL;
    buf_append_str(buf, "{\"Stats\":");
    if (ask->set_count > 1 && search_one_result(one, &result) == 0) {
        put_sets(one, result, ask, "ModuleStats", buf);
    } else { /* one set for the whole search */
        put_summary(one, "ModuleStats", buf);
    }
    put_messages(one, buf);
}

void search_answer_metadata(struct search_one *one, const struct search_ask *ask, struct buf *buf)
{
    (void)ask;
    struct query_result *result = NULL;
    size_t begin = buf->bytes;
    if (search_one_result(one, &result) < 0) {
        buf_append_byte(buf, '{');
        put_error(buf, 0, err_text());
    } else {
        query_result_survey(result, buf);
        CHECK(buf->bytes > begin);
        buf->bytes--; /* the brace: Messages goes inside */
    }
    put_messages(one, buf);
}
