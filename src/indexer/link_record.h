/*
 * A record of our log as it goes over a link: what the filter lets pass, with the names of its
 * series told before; nothing in the place of one that is damaged here. The forwarder's thread.
 */
#ifndef INDEXER_LINK_RECORD_H
#define INDEXER_LINK_RECORD_H

#include "indexer/link_filter.h"
#include "indexer/link_poison.h"
#include "indexer/link_series.h"

/* Borrows all but its memory. */
struct link_maker {
    struct series_catalogue *catalogue;
    struct link_filter *filter; /* NULL: none */
    struct link_poison *poison;
    const char *link;      /* name */
    struct link_told told; /* series that the target knows; of one link */
    uint64_t aside;        /* records that were set aside */

    struct buf filtered, nothing;
};
void link_maker_deinit(struct link_maker *maker);

/* The record at `head`, into *ret_record, which borrows from `record` and the maker; definitions of
 * its series behind `definitions`. A fault: it is damaged here, and not set aside yet. */
MUST_CHECK int link_make_record(struct link_maker *maker, const struct datalog_record *record,
                                struct replicate_head head, struct buf *definitions,
                                struct replicate_record *ret_record);

#endif
