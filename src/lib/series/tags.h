/*
 * The tag catalogue: names and numbers, for ever. `default` is 0, `gravwell` is 65535, every
 * other number is given in order from 1 and never again to another name, since stored entries
 * carry it. A new name is on disk before anybody hears its number.
 *
 * One text file, one line per tag (docs/formats/segment.md). A torn last line is cut when it is
 * opened; a damaged line costs its own name, which storage gives back from its segments
 * (series_tags_restore). Any number of threads.
 */
#ifndef SERIES_TAGS_H
#define SERIES_TAGS_H

#include "series/lines.h"

#define SERIES_TAG_DEFAULT 0
#define SERIES_TAG_GRAVWELL 65535
#define SERIES_TAG_NAME_BYTES_MAX 4096
#define SERIES_TAGS_MAX 65535

struct series_tags;

/* Creates the file, and the folders above it, when missing. */
MUST_CHECK int series_tags_open(struct io *io, const char *path, struct series_tags **ret_tags);
void series_tags_close(struct series_tags **tags);
struct series_lines_damage series_tags_damage(const struct series_tags *tags);

/* The name rules; ERR_INVALID says which one. `name` is trimmed already. */
MUST_CHECK int series_tag_check(struct span name);

/* The number of a name, trimmed first; a new one is made and durable when this returns 0.
 * ERR_INVALID: a bad name. ERR_TOO_LARGE: too many tags. */
MUST_CHECK int series_tags_put(struct series_tags *tags, struct span name, uint16_t *ret_tag);

/* As above for many, with one sync. Nothing is made when one name is bad. */
MUST_CHECK int series_tags_put_many(struct series_tags *tags, const struct span *names,
                                    size_t count, uint16_t *ret_tags);

/* A name and number that stored data know: put in when either is missing, ERR_CONFLICT when the
 * catalogue says otherwise. */
MUST_CHECK int series_tags_restore(struct series_tags *tags, struct span name, uint16_t tag);

bool series_tags_find(struct series_tags *tags, struct span name, uint16_t *ret_tag);

/* The name of a number, with a NUL behind it; empty when there is none. Borrowed until the
 * catalogue is closed. */
struct span series_tags_name(struct series_tags *tags, uint16_t tag);

size_t series_tags_count(struct series_tags *tags);

/* Calls `each` for every tag by number over a snapshot; a non-zero return stops and is returned. */
MUST_CHECK int series_tags_each(struct series_tags *tags,
                                int (*each)(void *context, uint16_t tag, struct span name),
                                void *context);

#endif
