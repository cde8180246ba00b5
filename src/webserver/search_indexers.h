/*
 * The indexers of Remote-Indexers: where they are, how they are asked, and which tags they know.
 * Any thread.
 */
#ifndef WEBSERVER_SEARCH_INDEXERS_H
#define WEBSERVER_SEARCH_INDEXERS_H

#include "net/http_client.h"
#include "webserver/webserver.h"

#define SEARCH_INDEXERS_MAX 128
#define SEARCH_TAGS_AGE_MS 2000 /* older answers are asked for again */
#define SEARCH_TAGS_TIMEOUT_MS 2000
#define SEARCH_INDEXER_RETRY_MS 5000 /* one that did not answer is left alone for so long */

struct search_indexers;

MUST_CHECK int search_indexers_new(struct webserver *webserver,
                                   struct search_indexers **ret_indexers);
void search_indexers_free(struct search_indexers **indexers);

size_t search_indexers_count(const struct search_indexers *indexers);
const char *search_indexer_name(const struct search_indexers *indexers,
                                size_t index); /* host:port */
struct http_client *search_indexers_client(const struct search_indexers *indexers);

/* "https://host:port/control/v1/search"; mem_free() */
char *search_indexer_url(const struct search_indexers *indexers, size_t index, const char *path);

/* A fault's text without the address that it may begin with: who tells it names the indexer. */
const char *search_indexer_fault(const struct search_indexers *indexers, size_t index,
                                 const char *text);

/* Is there a tag of this name? Asks the indexers before it says no. True as well when one of them
 * cannot be asked: it may know. */
bool search_indexers_know(struct search_indexers *indexers, const char *tag);

/* Calls `each` with every name, sorted; a non-zero return stops and is returned. */
MUST_CHECK int search_indexers_tags(struct search_indexers *indexers,
                                    int (*each)(void *context, const char *name), void *context);

#endif
