/*
 * Series of points as a search sees them: their class is a tag, an element is an entry of its
 * time. Its data is "class{label=value} 3.5"; labels, "value", and where there are such "lat",
 * "long" and "elevation" are enumerated values. SRC is "::".
 *
 * The table of classes grows with the catalogue and lives as long as the storage; any thread. A
 * class that is called like a tag has its number, others count down from the highest.
 */
#ifndef INDEXER_SEARCH_POINTS_H
#define INDEXER_SEARCH_POINTS_H

#include "indexer/storage.h"
#include "query/source.h"

struct search_points;
struct search_points_cursor;

struct search_points *search_points_new(struct storage *storage);
void search_points_free(struct search_points **points);

/* Calls `each` with every class that is no tag as well. What is not 0 ends the walk. */
MUST_CHECK int search_points_tags(struct search_points *points,
                                  int (*each)(void *context, const char *name, uint16_t tag),
                                  void *context);

/* *ret_cursor is NULL when the scan's tags are no classes. */
MUST_CHECK int search_points_open(struct search_points *points, const struct query_scan *scan,
                                  struct search_points_cursor **ret_cursor);

/* As query_source_next(). */
MUST_CHECK int search_points_next(struct search_points_cursor *cursor,
                                  struct query_source_block *ret_block);
uint64_t search_points_skipped(const struct search_points_cursor *cursor);
void search_points_close(struct search_points_cursor **cursor); /* may be NULL */

#endif
