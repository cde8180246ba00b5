/*
 * An indexer's share of a search when several hold the same: the webserver says by origin whose
 * entries this one leaves out, since another one returns them (docs/protocols/search.md). A source
 * over the storage's own, without those.
 */
#ifndef INDEXER_SEARCH_SHARE_H
#define INDEXER_SEARCH_SHARE_H

#include "indexer/storage.h"
#include "query/source.h"

struct search_share;

/* From the member "share" of a search request; *ret_share is NULL when it has none: everything is
 * returned. ERR_INVALID. `node` is this indexer's. */
MUST_CHECK int search_share_of_request(struct span request, struct storage *storage,
                                       struct uuid node, struct search_share **ret_share);
struct query_source *search_share_source(struct search_share *share);
void search_share_free(struct search_share **share);

#endif
