/*
 * What `table -save` leaves behind: the rows of a search that has come to its end become the
 * contents of a resource of the user who ran it (query/save.h), or of one that he may change. One
 * thread, the search's.
 */
#ifndef WEBSERVER_TABLE_SAVE_H
#define WEBSERVER_TABLE_SAVE_H

#include "webserver/search_one.h"

/* Nothing for other queries. A search that was stopped, sampled or cut off at a limit saves nothing
 * and says so in a message. */
MUST_CHECK int table_save(struct search_one *one);

#endif
