/* What renderers share that name things by values of rows. */
#ifndef QUERY_RENDERERS_LABEL_H
#define QUERY_RENDERERS_LABEL_H

#include "query/module.h"

bool label_has(const struct span *names, size_t count, struct span name);

/* Appends the row's values of these names with spaces between them, none at the end. False: it
 * lacks one. */
bool label_put(const struct query_block *rows, size_t index, const struct span *names, size_t count,
               struct buf *buf);

/* The row's value as a number. */
bool label_number(const struct query_block *rows, size_t index, struct span name,
                  double *ret_number);

/* As JSON has it: null for what is not finite. */
void label_put_number(double number, struct buf *buf);

/* The beginning of the window; the time itself when it has no width. */
int64_t label_window(int64_t time_ns, int64_t width_ns);

#endif
