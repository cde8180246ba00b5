/*
 * A selector: which series are meant. `class{label=value,label~regex}`, as Warp 10 writes it:
 *
 *     selector  = class "{" [ condition *( "," condition ) ] "}"
 *     class     = "~" regex | [ "=" ] text
 *     condition = name "=" text | name "~" regex       ("=" is looked for first)
 *
 * Each part is percent-decoded by itself, so that { } , = ~ % may stand in it encoded. White
 * space around a condition is dropped, empty conditions too. A class is decoded before its first
 * character is looked at, so a class that begins with ~ is written "=%7E...". A regex must match
 * the whole text (PCRE2, UTF-8, bounded). A condition is about the label of that name or, when
 * the series has none, about its attribute of that name; a series with neither does not match,
 * but for `name=`, which matches just these. Of two conditions on one name the later one counts.
 *
 * A selector is immutable and read by any number of threads.
 */
#ifndef SERIES_SELECTOR_H
#define SERIES_SELECTOR_H

#include "series/key.h"

#define SERIES_SELECTOR_BYTES_MAX (4 * SERIES_KEY_BYTES_MAX) /* any key, encoded */
#define SERIES_CONDITIONS_MAX SERIES_LABELS_MAX

struct series_selector;

enum series_selector_flags {
    /* The series with exactly these labels (`name=` is a label with an empty value): one with a
     * further label does not match. No regexes; attributes are not looked at. */
    SERIES_SELECTOR_EXACT = 1,
    /* Attributes are not looked at: for deletes, which must mean the same on every node. */
    SERIES_SELECTOR_LABELS_ONLY = 2,
};

/* Copies what it needs. ERR_INVALID: its text says what is wrong, *ret_offset (may be NULL) the
 * byte where, the length of the text when its end is what is wrong. */
MUST_CHECK int series_selector_parse(struct span text, unsigned flags,
                                     struct series_selector **ret_selector, size_t *ret_offset);
void series_selector_free(struct series_selector **selector);

/* The canonical text; parsing it gives the same selector. */
void series_selector_print(struct buf *buf, const struct series_selector *selector);
unsigned series_selector_flags(const struct series_selector *selector);

/* The selector of just this series: parse with SERIES_SELECTOR_EXACT. */
void series_selector_print_exact(struct buf *buf, struct span checked_key);

/* The parts, for the catalogue and for translators. Borrow from the selector. */
struct series_part {
    struct span name; /* empty for the class */
    struct span text; /* decoded: the value, or the regex */
    bool regex;
    void *code; /* compiled */
};
const struct series_part *series_selector_class(const struct series_selector *selector);
const struct series_part *series_selector_conditions(const struct series_selector *selector,
                                                     size_t *ret_count);

/* To find, among many exact selectors, those that mean a series: the hash of a key, neither 0 nor
 * the greatest number, and the same of the only key that a selector means; 0: maybe several. */
uint64_t series_selector_hash_of(struct span checked_key);
uint64_t series_selector_key_hash(const struct series_selector *selector);

/* Matches texts against parts, one thread. */
struct series_matcher {
    void *data;
    void *context;
    bool exceeded; /* a regex reached its bounds on some text, and did not match it therefore */
};
void series_matcher_init(struct series_matcher *matcher);
void series_matcher_deinit(struct series_matcher *matcher);
bool series_part_matches(const struct series_part *part, struct series_matcher *matcher,
                         struct span text);

/* The whole selector against one series. `attribute` gives an attribute's value, false for none;
 * it may be NULL. The plain definition of what series_catalogue_select() answers. */
bool series_selector_matches(
    const struct series_selector *selector, struct series_matcher *matcher, struct span checked_key,
    bool (*attribute)(void *context, struct span name, struct span *ret_value), void *context);

#endif
