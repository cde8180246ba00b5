#include "cli/datalog_payload.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "base/time.h"
#include "series/records.h"

static int check_series(struct span payload, uint32_t *ret_count)
{
    struct series_definitions reader;
    struct series_definition definition;
    int rc = series_definitions_open(&reader, payload);
    while (rc == 0 && series_definitions_next(&reader, &definition)) {
        (*ret_count)++;
    }
    return rc;
}

static int check_meta(struct span payload, uint32_t *ret_count)
{
    struct series_metas reader;
    struct series_meta meta;
    int rc = series_metas_open(&reader, payload);
    while (rc == 0 && series_metas_next(&reader, &meta)) {
        (*ret_count)++;
    }
    return rc;
}

int datalog_payload_check(const struct datalog_record *record, uint32_t *ret_count)
{
    struct series_delete deletion;
    *ret_count = 0;
    switch (record->type) {
    case DATALOG_SERIES:
        return check_series(record->payload, ret_count);
    case DATALOG_META:
        return check_meta(record->payload, ret_count);
    case DATALOG_DELETE:
        *ret_count = 1;
        return series_delete_decode(record->payload, &deletion);
    default:
        return 0;
    }
}

static void print_series(struct span payload)
{
    struct series_definitions reader;
    struct series_definition definition;
    struct buf line = {0};
    (void)!series_definitions_open(&reader, payload);
    while (series_definitions_next(&reader, &definition)) {
        buf_clear(&line);
        series_key_text(&line, definition.key);
        printf("  %" PRIu32 " %s\n", definition.number, buf_str(&line));
    }
    buf_deinit(&line);
}

static void print_meta(struct span payload)
{
    struct series_metas reader;
    struct series_meta meta;
    struct series_attribute attribute;
    struct buf line = {0};
    (void)!series_metas_open(&reader, payload);
    while (series_metas_next(&reader, &meta)) {
        buf_clear(&line);
        series_key_text(&line, meta.key);
        buf_append_str(&line, meta.replace ? " replace" : "");
        while (series_meta_attribute(&meta, &attribute)) {
            buf_append_byte(&line, ' ');
            text_json_string(&line, attribute.name);
            if (attribute.removed) {
                buf_append_str(&line, " removed");
            } else {
                buf_append_byte(&line, '=');
                text_json_string(&line, attribute.value);
            }
        }
        printf("  %s\n", buf_str(&line));
    }
    buf_deinit(&line);
}

static void print_delete(struct span payload)
{
    struct series_delete deletion;
    char start[TIME_TEXT_BYTES];
    char end[TIME_TEXT_BYTES];
    if (series_delete_decode(payload, &deletion) == 0) {
        bool all = deletion.start_ns == INT64_MIN && deletion.end_ns == INT64_MAX;
        printf("  %.*s %s%s%s%s%s\n", SPAN_ARG(deletion.selector),
               all ? "all of it" : time_text(deletion.start_ns, start), all ? "" : " to ",
               all ? "" : time_text(deletion.end_ns, end),
               (deletion.flags & SERIES_DELETE_WHOLE) != 0 ? " and the series" : "",
               (deletion.flags & SERIES_DELETE_EXACT) != 0 ? " exact" : "");
    }
}

void datalog_payload_print(const struct datalog_record *record)
{
    if (record->type == DATALOG_SERIES) {
        print_series(record->payload);
    } else if (record->type == DATALOG_META) {
        print_meta(record->payload);
    } else if (record->type == DATALOG_DELETE) {
        print_delete(record->payload);
    }
}
