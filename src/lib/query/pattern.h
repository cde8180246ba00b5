/*
 * A set of patterns to look for in the data of many entries at once: literals, GNU wildcards
 * (* ? [a-z] [!a] \x), or whole words. Literal parts are looked for by vectorscan over a whole
 * block; what that finds is verified entry by entry. A set is immutable and shared by threads;
 * each scanning thread has a scanner.
 */
#ifndef QUERY_PATTERN_H
#define QUERY_PATTERN_H

#include "base/err.h"
#include "base/span.h"
#include "query/pipeline.h"

#define QUERY_PATTERNS_MAX 64 /* in a set: hits are bits of one word */
#define QUERY_PATTERN_BYTES_MAX 4096

enum query_pattern_kind {
    QUERY_PATTERN_WILDCARD = 1,
    QUERY_PATTERN_LITERAL,
    QUERY_PATTERN_WORD, /* between split characters; fulltext tokenisation */
};

struct query_patterns;
struct query_scanner;

/* Copies the patterns. ERR_INVALID with a text, and *ret_bad the number of the bad one. */
MUST_CHECK int query_patterns_new(const struct span *patterns, size_t count,
                                  enum query_pattern_kind kind, bool caseless,
                                  struct query_patterns **ret_patterns, size_t *ret_bad);
void query_patterns_free(struct query_patterns **patterns);
size_t query_patterns_count(const struct query_patterns *patterns);

/* What stands in every text that has pattern `index`, with no letter or digit beside it: a word
 * itself; of another pattern the inside of its longest literal part, "index.html" of
 * "GET /index.html HTTP". Borrowed; empty: nothing is known. */
struct span query_patterns_required(const struct query_patterns *patterns, size_t index);

MUST_CHECK int query_scanner_new(const struct query_patterns *patterns,
                                 struct query_scanner **ret_scanner);
void query_scanner_free(struct query_scanner **scanner);

/* Sets bit p of ret_hits[i] when pattern p is in the data of picked entry i. `ret_hits` has room
 * for block->count. */
MUST_CHECK int query_scanner_block(struct query_scanner *scanner, const struct query_block *block,
                                   uint64_t *ret_hits);

/* The same for one text. */
MUST_CHECK int query_scanner_text(struct query_scanner *scanner, struct span text,
                                  uint64_t *ret_hits);

/* Fulltext tokenisation: the next word of `*rest`, trimmed, never empty. False at the end. */
bool query_word_next(struct span *rest, struct span *ret_word);

/* The first character that separates words. False when there is none. */
bool query_word_split(struct span text, struct span *ret_split);

#endif
