/*
 * The tables that stages of a query look into, and which stages run on the indexers: those before
 * the first one that needs the whole stream, or a table of which there is no copy to give them.
 */
#ifndef QUERY_LOAD_H
#define QUERY_LOAD_H

#include "query/query.h"

/* Notes for each stage what it will load; sets query->collapse. */
void query_place_stages(struct query *query);

#endif
