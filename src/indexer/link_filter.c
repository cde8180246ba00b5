#include "indexer/link_filter.h"

#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/vec.h"
#include "datalog/parts.h"
#include "replicate/places.h"
#include "series/entry.h"
#include "series/records.h"
#include "series/selector.h"
#include "well/points_record.h"

enum verdict { UNKNOWN = 0, PASSES, STAYS };

struct link_filter {
    const struct link_filter_options *options;
    struct series_selector *selector; /* NULL: all */
    struct series_matcher matcher;
    uint16_t id;
    VEC(uint8_t) series; /* verdicts, by number */
    uint8_t *tags;       /* by number; those of a record at a time */
    VEC(struct entry) entries;
    VEC(struct element) elements;
    VEC(struct series_attribute) attributes;
    struct buf key, part;
};

int link_filter_parse_shard(const char *text, struct link_filter_options *options)
{
    struct span rest = span_of_str(text);
    struct span first;
    uint64_t modulus = 0;
    uint64_t remainder = 0;
    if (!span_split(&rest, ':', &first) || !span_to_u64(first, &modulus) ||
        !span_to_u64(rest, &remainder) || modulus == 0 || modulus > UINT32_MAX ||
        remainder >= modulus) {
        return err_set(ERR_INVALID, "\"%s\" is no shard: MODULUS:REMAINDER, as 4:0", text);
    }
    options->modulus = (uint32_t)modulus;
    options->remainder = (uint32_t)remainder;
    return 0;
}

/* ---- life ---- */

static uint16_t make_id(const struct link_filter *filter)
{
    struct buf text = {0};
    const struct link_filter_options *options = filter->options;
    uint64_t wells = 0;
    for (size_t i = 0; i < options->wells_count; i++) {
        wells += hash64(span_of_str(options->wells[i])); /* in whatever order */
    }
    buf_printf(&text, "%" PRIu64 " %" PRIu32 ":%" PRIu32 " ", wells, options->modulus,
               options->remainder);
    if (filter->selector != NULL) {
        series_selector_print(&text, filter->selector);
    }
    uint16_t id = (uint16_t)(hash32(buf_span(&text)) % REPLICATE_FILTER_MAX + 1);
    buf_deinit(&text);
    return id;
}

int link_filter_new(const struct link_filter_options *options, struct link_filter **ret_filter)
{
    *ret_filter = NULL;
    if (!link_filter_is_on(options)) {
        return 0;
    }
    struct link_filter *filter = MEM_NEW(struct link_filter);
    filter->options = options;
    filter->tags = mem_alloc_array((size_t)UINT16_MAX + 1, sizeof(*filter->tags));
    series_matcher_init(&filter->matcher);
    int rc = options->selector == NULL
                 ? 0
                 : series_selector_parse(span_of_str(options->selector),
                                         SERIES_SELECTOR_LABELS_ONLY, &filter->selector, NULL);
    if (rc < 0) {
        link_filter_free(&filter);
        return rc;
    }
    filter->id = make_id(filter);
    *ret_filter = filter;
    return 0;
}

void link_filter_free(struct link_filter **place)
{
    struct link_filter *filter = *place;
    *place = NULL;
    if (filter == NULL) {
        return;
    }
    series_selector_free(&filter->selector);
    series_matcher_deinit(&filter->matcher);
    vec_deinit(&filter->series);
    vec_deinit(&filter->entries);
    vec_deinit(&filter->elements);
    vec_deinit(&filter->attributes);
    buf_deinit(&filter->key);
    buf_deinit(&filter->part);
    mem_free(filter->tags);
    mem_free(filter);
}

uint16_t link_filter_id(const struct link_filter *filter)
{
    return filter == NULL ? 0 : filter->id;
}

struct storage_names link_filter_wells(const struct link_filter *filter)
{
    const struct link_filter_options *options = filter == NULL ? NULL : filter->options;
    return options == NULL ? (struct storage_names){0}
                           : (struct storage_names){options->wells, options->wells_count};
}

/* ---- which series ---- */

static bool looks_at_series(const struct link_filter *filter)
{
    return filter->selector != NULL || filter->options->modulus > 0;
}

static bool key_passes(struct link_filter *filter, struct span key)
{
    const struct link_filter_options *options = filter->options;
    if (options->modulus > 0 && hash64(key) % options->modulus != options->remainder) {
        return false;
    }
    return filter->selector == NULL ||
           series_selector_matches(filter->selector, &filter->matcher, key, NULL, NULL);
}

static int series_passes(struct link_filter *filter, struct series_catalogue *catalogue,
                         uint32_t number, bool *ret_passes)
{
    while (filter->series.count <= number) {
        vec_push(&filter->series, UNKNOWN);
    }
    uint8_t *verdict = &filter->series.items[number];
    if (*verdict == UNKNOWN) {
        buf_clear(&filter->key);
        if (!series_catalogue_key(catalogue, number, &filter->key)) {
            return err_set(ERR_CORRUPT, "points of series %" PRIu32 ", which has no name", number);
        }
        *verdict = key_passes(filter, buf_span(&filter->key)) ? PASSES : STAYS;
    }
    *ret_passes = *verdict == PASSES;
    return 0;
}

bool link_filter_series(struct link_filter *filter, struct series_catalogue *catalogue,
                        uint32_t number)
{
    bool passes = false;
    return series_passes(filter, catalogue, number, &passes) == 0 && passes;
}

bool link_filter_tag(struct link_filter *filter, struct span name)
{
    buf_clear(&filter->key);
    return series_key_make(&filter->key, name, NULL, 0) == 0 &&
           key_passes(filter, buf_span(&filter->key));
}

static bool well_passes(const struct link_filter *filter, struct span well)
{
    const struct link_filter_options *options = filter->options;
    bool found = options->wells_count == 0;
    for (size_t i = 0; i < options->wells_count; i++) {
        found = found || span_equal_str(well, options->wells[i]);
    }
    return found;
}

/* ---- what of a payload; each puts what passes into filter->part ---- */

static struct span name_of(void *context, uint16_t tag)
{
    struct entries walk = *(const struct entries *)context;
    uint16_t number;
    struct span name;
    while (entries_next_tag(&walk, &number, &name)) {
        if (number == tag) {
            return name;
        }
    }
    return SPAN_NONE;
}

static int filter_entries(struct link_filter *filter, struct span payload)
{
    struct entries run;
    struct entries names;
    struct entry entry;
    uint16_t tag;
    struct span name;
    int rc = entries_open(&run, payload);
    if (rc < 0) {
        return rc;
    }
    names = run;
    while (entries_next_tag(&run, &tag, &name)) {
        filter->tags[tag] = link_filter_tag(filter, name) ? PASSES : STAYS;
    }
    vec_clear(&filter->entries);
    while (entries_next(&run, &entry)) {
        if (filter->tags[entry.tag] == PASSES) {
            vec_push(&filter->entries, entry);
        }
    }
    if (filter->entries.count > 0) {
        entries_encode(&filter->part, filter->entries.items, filter->entries.count, name_of,
                       &names);
    }
    return filter->entries.count == run.count ? 0 : LINK_FILTER_SOME;
}

static int filter_points(struct link_filter *filter, struct series_catalogue *catalogue,
                         struct span payload)
{
    struct points_record points;
    struct points_part part;
    bool all = true;
    int rc = points_record_open(&points, payload);
    while (rc == 0 && points_record_next(&points, &part)) {
        bool passes = false;
        rc = series_passes(filter, catalogue, part.series, &passes);
        all = all && passes;
        if (rc < 0 || !passes) {
            continue;
        }
        vec_clear(&filter->elements);
        for (uint32_t i = 0; i < part.count; i++) {
            vec_push(&filter->elements, points_part_element(&part, i));
        }
        if (filter->part.bytes == 0) {
            points_record_begin(&filter->part);
        }
        points_record_put(&filter->part, 0, part.series, filter->elements.items, part.count);
    }
    return rc < 0 || all ? rc : LINK_FILTER_SOME;
}

static int filter_metas(struct link_filter *filter, struct span payload)
{
    struct series_metas metas;
    struct series_meta meta;
    bool all = true;
    int rc = series_metas_open(&metas, payload);
    while (rc == 0 && series_metas_next(&metas, &meta)) {
        if (!key_passes(filter, meta.key)) {
            all = false;
            continue;
        }
        struct series_attribute attribute;
        vec_clear(&filter->attributes);
        while (series_meta_attribute(&meta, &attribute)) {
            vec_push(&filter->attributes, attribute);
        }
        if (filter->part.bytes == 0) {
            series_metas_begin(&filter->part);
        }
        rc = series_metas_put(&filter->part, meta.key, meta.replace, filter->attributes.items,
                              filter->attributes.count);
    }
    return rc < 0 || all ? rc : LINK_FILTER_SOME;
}

static int filter_parts(struct link_filter *filter, struct series_catalogue *catalogue,
                        const struct datalog_record *record, struct buf *payload)
{
    struct datalog_parts parts = datalog_parts_of(record);
    struct span well;
    struct span bytes;
    bool all = true;
    int rc;
    while ((rc = datalog_parts_next(&parts, &well, &bytes)) == 0) {
        int outcome = 0;
        buf_clear(&filter->part);
        if (!well_passes(filter, well)) {
            all = false;
            continue;
        }
        if (looks_at_series(filter)) {
            outcome = record->type == DATALOG_UPDATE ? filter_entries(filter, bytes)
                                                     : filter_points(filter, catalogue, bytes);
        }
        if (outcome < 0) {
            return outcome;
        }
        all = all && outcome == 0;
        struct span passed = outcome == 0 ? bytes : buf_span(&filter->part);
        if (passed.bytes > 0) {
            datalog_parts_put(payload, well, passed);
        }
    }
    return rc < 0 || all ? MIN(rc, 0) : LINK_FILTER_SOME;
}

int link_filter_record(struct link_filter *filter, struct series_catalogue *catalogue,
                       const struct datalog_record *record, struct buf *payload,
                       struct datalog_record *ret_record)
{
    int rc = 0;
    buf_clear(payload);
    switch (record->type) {
    case DATALOG_UPDATE:
    case DATALOG_POINTS:
        rc = filter_parts(filter, catalogue, record, payload);
        break;
    case DATALOG_META:
        buf_clear(&filter->part);
        rc = looks_at_series(filter) ? filter_metas(filter, record->payload) : 0;
        if (rc == LINK_FILTER_SOME) {
            buf_append(payload, buf_span(&filter->part));
        }
        break;
    case DATALOG_SERIES: /* the link itself names the series that it brings */
        return LINK_FILTER_NONE;
    case DATALOG_DELETE:
        return 0;
    }
    if (rc == LINK_FILTER_SOME && payload->bytes == 0) {
        return LINK_FILTER_NONE;
    }
    if (rc == LINK_FILTER_SOME) {
        *ret_record = *record;
        ret_record->well = record->type == DATALOG_META ? record->well : SPAN_NONE;
        ret_record->payload = buf_span(payload);
    }
    return rc;
}
