/*
 * Text forms of bytes: hex, base64, UTF-8, JSON string escapes, globs, edit distance.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/buf.h"

void text_hex(struct buf *buf, struct span bytes); /* lower case */
bool text_unhex(struct buf *buf, struct span hex); /* false: not hex, buf unchanged */

void text_base64(struct buf *buf, struct span bytes);    /* standard alphabet, padded */
bool text_unbase64(struct buf *buf, struct span base64); /* padding optional; false: not base64 */

/* Whole, shortest-form, no surrogates. */
bool text_is_utf8(struct span text);

/* Reads one code point off the front; 0xFFFD and one byte for what is not UTF-8. */
uint32_t text_utf8_next(struct span *rest);
void text_utf8_put(struct buf *buf, uint32_t code_point);

/* As a JSON string with its quotes. What is not UTF-8 becomes U+FFFD. */
void text_json_string(struct buf *buf, struct span text);

/* Percent-decoding of a URL part; `plus` turns + into a space. False: a bad escape. */
bool text_url_decode(struct buf *buf, struct span text, bool plus);
void text_url_encode(struct buf *buf, struct span text); /* all but unreserved characters */

/* Globs of tags and keys: * ? [abc] [a-z] [!a] {one,two} and \x. Whole text, bytewise.
 * At most 64 nested or repeated alternatives; more match nothing. */
bool text_glob(struct span pattern, struct span text);
bool text_is_glob(struct span pattern); /* has any of * ? [ { */

/* Levenshtein distance ignoring ASCII case, for "did you mean". */
size_t text_distance(struct span a, struct span b);

/* The one of `count` candidates nearest to `text`, or NULL when none is near
 * (distance above a third of its length, at least 2 allowed). */
const char *text_nearest(struct span text, const char *const *candidates, size_t count);

#endif
