/* Tested by tests/cluster/test_warp10_datalog.py. */
#include "indexer/translate2x.h"

#include <inttypes.h>

#include "base/mem.h"
#include "datalog/parts.h"
#include "indexer/datalog2x.h"
#include "series/selector.h"
#include "warp10/output.h"
#include "warp10/scope.h"
#include "well/points_record.h"

/* One record on its way: lines per token. */
struct work {
    const struct translate2x *translate;
    const struct datalog_record *record;
    enum warp10_action action;
    struct buf lines[TRANSLATE2X_TOKENS_MAX];
    struct buf query;
    int (*each)(void *context, const struct post_request *request);
    void *context;
};

bool translate2x_wants(const struct translate2x *translate, const struct datalog_record *record)
{
    char text[UUID_TEXT_BYTES];
    uint64_t own = datalog2x_id_hash(span_of_str(uuid_text(translate->self, text)));
    uint64_t id = 0;
    if (record->type == DATALOG_UPDATE || record->type == DATALOG_SERIES) {
        return false;
    }
    if (!datalog2x_is(record->origin.node, &id)) {
        id = datalog2x_id_hash(span_of_str(uuid_text(record->origin.node, text)));
    } else if (id == own) {
        return false;
    }
    for (size_t i = 0; i < translate->ignored_count; i++) {
        if (translate->ignored[i] == id) {
            return false;
        }
    }
    return true;
}

/* ── One request ─────────────────────────────────────────────────────────────────────────── */

static int send(struct work *work, size_t token, struct span lines)
{
    const struct translate2x *translate = work->translate;
    struct buf id = {0};
    struct buf now = {0};
    struct buf header = {0};
    datalog2x_id_text(&id, work->record->origin.node);
    buf_printf(&now, "%" PRId64, warp10_time_of_ns(translate->unit, (int64_t)work->record->time));
    struct warp10_datalog datalog = {
        .time_ns = (int64_t)work->record->time,
        .id = buf_span(&id),
        .action = work->action,
        .token = translate->tokens[token].token,
        .now = work->action == WARP10_UPDATE ? buf_span(&now) : SPAN_NONE,
        .query = buf_span(&work->query),
    };
    int rc = warp10_datalog_encode(&header, &datalog, translate->psk);
    if (rc == 0) {
        struct post_request request = {work->action, buf_span(&header), buf_span(&work->query),
                                       lines};
        rc = work->each(work->context, &request);
    }
    buf_deinit(&id);
    buf_deinit(&now);
    buf_deinit(&header);
    return rc;
}

static int send_lines(struct work *work)
{
    int rc = 0;
    for (size_t i = 0; i < work->translate->token_count && rc == 0; i++) {
        if (work->lines[i].bytes > 0) {
            rc = send(work, i, buf_span(&work->lines[i]));
        }
    }
    return rc;
}

static size_t token_of(const struct translate2x *translate, struct span application)
{
    size_t any = translate->token_count;
    for (size_t i = translate->token_count; i-- > 0;) {
        if (translate->tokens[i].application.bytes == 0) {
            any = i;
        } else if (span_equal(translate->tokens[i].application, application)) {
            return i;
        }
    }
    return any;
}

static bool is_reserved(struct span name)
{
    return span_equal_str(name, ".app") || span_equal_str(name, ".owner") ||
           span_equal_str(name, ".producer");
}

/* The lines that a series' go to, and its key without the labels that tokens give. NULL: there
 * is no token for it. */
static struct buf *lines_of(struct work *work, struct span key, struct buf *ret_key)
{
    struct series_key_reader reader = series_key_open(key);
    struct series_label *labels = mem_alloc_array(reader.count + 1, sizeof(*labels));
    struct series_label label;
    struct span application = SPAN_NONE;
    size_t count = 0;
    while (series_key_next(&reader, &label)) {
        if (!is_reserved(label.name)) {
            labels[count++] = label;
        } else if (span_equal_str(label.name, ".app")) {
            application = label.value;
        }
    }
    buf_clear(ret_key);
    int rc = series_key_make(ret_key, series_key_open(key).class, labels, count);
    mem_free(labels);
    size_t token = token_of(work->translate, application);
    return rc < 0 || token == work->translate->token_count ? NULL : &work->lines[token];
}

/* ── Points ──────────────────────────────────────────────────────────────────────────────── */

static int put_part(struct work *work, const struct points_part *part)
{
    struct buf key = {0};
    struct buf plain = {0};
    int rc = 0;
    if (!series_catalogue_key(work->translate->catalogue, part->series, &key)) {
        rc = err_set(ERR_CORRUPT, "a series that the catalogue does not have");
    }
    struct buf *lines = rc < 0 ? NULL : lines_of(work, buf_span(&key), &plain);
    for (uint32_t i = 0; lines != NULL && i < part->count; i++) {
        struct element element = points_part_element(part, i);
        output_line(lines, work->translate->unit, buf_span(&plain), &element);
    }
    buf_deinit(&key);
    buf_deinit(&plain);
    return rc;
}

static int points(struct work *work)
{
    struct datalog_parts parts = datalog_parts_of(work->record);
    struct span well;
    struct span payload;
    int rc;
    work->action = WARP10_UPDATE;
    while ((rc = datalog_parts_next(&parts, &well, &payload)) == 0) {
        struct points_record walk;
        struct points_part part;
        rc = points_record_open(&walk, payload);
        while (rc == 0 && points_record_next(&walk, &part)) {
            rc = put_part(work, &part);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return rc < 0 ? rc : send_lines(work);
}

/* ── Attributes ──────────────────────────────────────────────────────────────────────────── */

static int put_attribute(void *context, struct span name, struct span value)
{
    struct buf *line = context;
    if (line->data[line->bytes - 1] != '{') {
        buf_append_byte(line, ',');
    }
    series_text_encode(line, name);
    buf_append_byte(line, '=');
    series_text_encode(line, value);
    return 0;
}

/* All attributes as they are now, so that it does not matter what the target allows. */
static int put_meta(struct work *work, const struct series_meta *meta)
{
    struct series_catalogue *catalogue = work->translate->catalogue;
    struct buf plain = {0};
    uint32_t number;
    int rc = 0;
    struct buf *lines = lines_of(work, meta->key, &plain);
    if (lines != NULL && series_catalogue_find(catalogue, meta->key, &number) &&
        series_catalogue_lives(catalogue, number)) {
        series_key_text(lines, buf_span(&plain));
        buf_append_byte(lines, '{');
        rc = series_catalogue_attributes(catalogue, number, put_attribute, lines);
        buf_append_str(lines, "}\n");
    }
    buf_deinit(&plain);
    return rc;
}

static int metas(struct work *work)
{
    struct series_metas walk;
    struct series_meta meta;
    work->action = WARP10_META;
    int rc = series_metas_open(&walk, work->record->payload);
    while (rc == 0 && series_metas_next(&walk, &meta)) {
        rc = put_meta(work, &meta);
    }
    return rc < 0 ? rc : send_lines(work);
}

/* ── Deletes ─────────────────────────────────────────────────────────────────────────────── */

/* Times of the target that lie in the range; false: none does. */
static bool put_range(struct work *work, const struct series_delete *deletion)
{
    int64_t unit_ns = warp10_unit_ns(work->translate->unit);
    int64_t start = warp10_time_of_ns(work->translate->unit, deletion->start_ns);
    int64_t end = warp10_time_of_ns(work->translate->unit, deletion->end_ns);
    if (deletion->flags & SERIES_DELETE_WHOLE) {
        bool points = deletion->end_ns == INT64_MAX;
        buf_append_str(&work->query, points ? "&deleteall=true" : "&metaonly=true");
        return true;
    }
    start += deletion->start_ns % unit_ns != 0 && start < INT64_MAX;
    buf_printf(&work->query, "&start=%" PRId64 "&end=%" PRId64, start, end);
    return start <= end;
}

/* The token of the application that the selector names; all of them when it names none. */
static size_t token_of_selector(const struct translate2x *translate, struct span text,
                                bool *ret_all)
{
    struct series_selector *selector = NULL;
    size_t token = translate->token_count;
    *ret_all = true;
    if (series_selector_parse(text, SERIES_SELECTOR_LABELS_ONLY, &selector, NULL) < 0) {
        return token;
    }
    size_t count;
    const struct series_part *parts = series_selector_conditions(selector, &count);
    for (size_t i = 0; i < count; i++) {
        if (span_equal_str(parts[i].name, ".app") && !parts[i].regex) {
            token = token_of(translate, parts[i].text);
            *ret_all = false;
        }
    }
    series_selector_free(&selector);
    return token;
}

static int deletes(struct work *work)
{
    const struct translate2x *translate = work->translate;
    struct series_delete deletion;
    struct buf selector = {0};
    bool all;
    work->action = WARP10_DELETE;
    int rc = series_delete_decode(work->record->payload, &deletion);
    if (rc == 0 && (deletion.flags & SERIES_DELETE_EXACT)) {
        rc = err_set(ERR_UNSUPPORTED, "Warp 10 cannot delete series with just these labels");
    }
    rc = rc < 0 ? rc : scope_selector(&selector, NULL, deletion.selector);
    if (rc == 0) {
        buf_append_str(&work->query, "selector=");
        series_text_encode(&work->query, buf_span(&selector));
        bool some = put_range(work, &deletion);
        size_t token = token_of_selector(translate, deletion.selector, &all);
        for (size_t i = 0; some && rc == 0 && i < translate->token_count; i++) {
            rc = all || i == token ? send(work, i, SPAN_NONE) : 0;
        }
    }
    buf_deinit(&selector);
    return rc;
}

int translate2x_record(const struct translate2x *translate, const struct datalog_record *record,
                       int (*each)(void *context, const struct post_request *request),
                       void *context)
{
    struct work *work = MEM_NEW(struct work);
    work->translate = translate;
    work->record = record;
    work->each = each;
    work->context = context;
    int rc = 0;
    if (record->type == DATALOG_POINTS) {
        rc = points(work);
    } else if (record->type == DATALOG_META) {
        rc = metas(work);
    } else if (record->type == DATALOG_DELETE) {
        rc = deletes(work);
    }
    for (size_t i = 0; i < TRANSLATE2X_TOKENS_MAX; i++) {
        buf_deinit(&work->lines[i]);
    }
    buf_deinit(&work->query);
    mem_free(work);
    return rc;
}
