/*
 * What a search's results are made of: tags, sources and enumerated values, counted while they
 * arrive. Bounded: what is beyond a bound is counted as "other". One thread at a time.
 */
#ifndef QUERY_SURVEY_H
#define QUERY_SURVEY_H

#include "base/buf.h"
#include "base/map.h"
#include "base/vec.h"
#include "series/entry.h"

#define QUERY_SURVEY_SOURCES_MAX 1024
#define QUERY_SURVEY_NAMES_MAX 256 /* of enumerated values */
#define QUERY_SURVEY_TEXTS_MAX 64  /* distinct values per name */

struct query_survey {
    VEC(uint64_t) tags; /* counts by number */
    struct map sources; /* struct survey_count by address */
    struct map values;  /* struct survey_value by name */
};

void query_survey_deinit(struct query_survey *survey);
void query_survey_add(struct query_survey *survey, const struct entry *entry);

/* As the web API's metadata object: ValueStats, SourceStats, TagStats. */
void query_survey_json(const struct query_survey *survey,
                       const char *(*name)(const void *context, uint16_t tag), const void *context,
                       struct buf *buf);

#endif
