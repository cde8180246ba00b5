/*
 * What a link lets pass: records of some wells, some series, a shard of them. Everything else
 * leaves a record with nothing in it, under the derived origin of replicate/places.h. Deletes pass
 * always: they cover what the target has. Entries are of the series without labels whose class is
 * their tag. One thread per filter.
 */
#ifndef INDEXER_LINK_FILTER_H
#define INDEXER_LINK_FILTER_H

#include "datalog/log.h"
#include "indexer/storage.h"
#include "series/catalogue.h"

struct link_filter;

/* All of it must let a record pass. */
struct link_filter_options {
    const char *const *wells; /* names; none: of all */
    size_t wells_count;
    const char *selector;        /* attributes are not looked at; NULL: all */
    uint32_t modulus, remainder; /* hash of the series' key; modulus 0: all */
};

static inline bool link_filter_is_on(const struct link_filter_options *options)
{
    return options->wells_count > 0 || options->selector != NULL || options->modulus > 0;
}

/* "MOD:REM" with REM < MOD. ERR_INVALID. */
MUST_CHECK int link_filter_parse_shard(const char *text, struct link_filter_options *options);

/* Borrows the options. *ret_filter is NULL when everything passes. ERR_INVALID: the selector. */
MUST_CHECK int link_filter_new(const struct link_filter_options *options,
                               struct link_filter **ret_filter);
void link_filter_free(struct link_filter **filter);

/* For replicate_origin_through(): the same for the same filter on every node; 0 of NULL. */
uint16_t link_filter_id(const struct link_filter *filter);

struct storage_names link_filter_wells(const struct link_filter *filter); /* none: all, NULL too */

/* Whether entries of a tag pass, and points of a series, as far as it is not about wells. One that
 * has no name does not. */
bool link_filter_tag(struct link_filter *filter, struct span name);
bool link_filter_series(struct link_filter *filter, struct series_catalogue *catalogue,
                        uint32_t number);

enum link_filter_outcome {
    LINK_FILTER_SOME = 1, /* ret_record has what passes, in `payload` */
    LINK_FILTER_NONE = 2,
};

/* 0: all of it passes. ERR_CORRUPT. */
MUST_CHECK int link_filter_record(struct link_filter *filter, struct series_catalogue *catalogue,
                                  const struct datalog_record *record, struct buf *payload,
                                  struct datalog_record *ret_record);

#endif
