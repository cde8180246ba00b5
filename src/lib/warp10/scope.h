/*
 * What a token lets its holder see and change: the selector of a request with the conditions of
 * its token. Pure.
 *
 * Conditions of the request on .owner, .producer and .app are dropped: they are the token's
 * affair. One owner is an equality, several are a regex; the same for producers, applications and
 * label conditions of the token.
 */
#ifndef WARP10_SCOPE_H
#define WARP10_SCOPE_H

#include "series/key.h"
#include "warp10/token.h"

/* The selector as a reader (a token to read) or as one who deletes (a token to write) may use it.
 * Without a token: what another node is asked, whose token has its own conditions.
 * ERR_INVALID: no class{…}; what is wrong inside of the braces is left for the parser. */
MUST_CHECK int scope_selector(struct buf *buf, const struct token *token, struct span selector);

/* The selector of the packed series of those that `selector` means: their class has `suffix`
 * (empty: ":packed") behind it. ERR_INVALID as above. */
MUST_CHECK int scope_packed(struct buf *buf, struct span selector, struct span suffix);
#define SCOPE_PACKED_SUFFIX ":packed"

/* The labels that a token to write puts over every series. They borrow from it. */
#define SCOPE_LABELS_MAX (TOKEN_LIST_MAX + 3)
size_t scope_labels(const struct token *token, struct series_label labels[SCOPE_LABELS_MAX]);

#endif
