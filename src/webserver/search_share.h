/*
 * Who returns what, when indexers hold the same: each origin of records is given to the indexer
 * that holds most of it, so every entry is found once. docs/protocols/search.md.
 */
#ifndef WEBSERVER_SEARCH_SHARE_H
#define WEBSERVER_SEARCH_SHARE_H

#include "webserver/search_indexers.h"

/* What indexers said that they hold, as they said it; NULL: it did not answer, and why. Who does
 * not is not asked for entries either: others return what they hold of it. */
struct search_places {
    json_t *answers[SEARCH_INDEXERS_MAX];
    char *faults[SEARCH_INDEXERS_MAX];
    size_t count;
};

/* Asks all of them at once. One that does not answer is left out of the plan. */
void search_places_ask(struct search_indexers *indexers, struct search_places *places);
void search_places_deinit(struct search_places *places);

/* The member "share" of the request to indexer `index`: NULL when there is nothing to share. */
json_t *search_share_of(const struct search_places *places, size_t index);

/* Indexer `lost`, whose request had `share`, has broken off; `now` is what the others say. The
 * share of indexer `index` in what it leaves: NULL when that is nothing. */
json_t *search_share_instead(const json_t *share, const struct search_places *now, size_t lost,
                             size_t index);

/* Do the others hold all of it that it held when the search began (`then`)? */
bool search_share_is_held(const json_t *share, const struct search_places *then,
                          const struct search_places *now, size_t lost);

#endif
