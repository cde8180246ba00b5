/*
 * Some rows of a result, chosen by their numbers: in a request a list of
 *
 *     {"kind":"range","start":3,"end":5}      rows 3 and 4
 *     {"kind":"single","index":9}
 *
 * and in an address "3-5,9". Zero-initialised: all rows.
 */
#ifndef WEBSERVER_SEARCH_PICKS_H
#define WEBSERVER_SEARCH_PICKS_H

#include "base/buf.h"
#include "webserver/request.h"

#define SEARCH_PICKS_MAX 1000

struct search_picks {
    uint64_t from[SEARCH_PICKS_MAX]; /* in order */
    uint64_t to[SEARCH_PICKS_MAX];   /* excluded */
    size_t count;
};

/* False: not of this form, or too many. NULL: all rows. */
bool search_picks_of_json(const json_t *list, struct search_picks *ret_picks);
bool search_picks_of_text(const char *text, struct search_picks *ret_picks);

void search_picks_put(const struct search_picks *picks, struct buf *buf);

bool search_picks_have(const struct search_picks *picks, uint64_t row);
uint64_t search_picks_rows(const struct search_picks *picks, uint64_t rows); /* of so many */

#endif
