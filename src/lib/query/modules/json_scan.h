/*
 * Finds values in a JSON text by their paths, in one pass, without building a tree: what no path
 * leads to is skipped over. Nothing is checked beyond what finding needs; what cannot be read ends
 * the search, with what was found so far. Any depth, no allocation. Pure.
 */
#ifndef QUERY_MODULES_JSON_SCAN_H
#define QUERY_MODULES_JSON_SCAN_H

#include "base/span.h"

#define JSON_SCAN_DEPTH_MAX 32
#define JSON_SCAN_PATHS_MAX 64

enum json_step_kind {
    JSON_STEP_KEY = 1,
    JSON_STEP_INDEX,
    JSON_STEP_ANY, /* the first element that has the rest of the path */
};

struct json_step {
    enum json_step_kind kind;
    struct span key; /* as it stands in the text, escapes not decoded */
    uint64_t index;
};

struct json_path {
    struct json_step steps[JSON_SCAN_DEPTH_MAX];
    size_t count;
};

/* Sets found[i] to the value that paths[i] leads to: a string without its quotes and with its
 * escapes, anything else as it stands. Returns the set of paths found, a bit each; only those in
 * `wanted` are looked for. *ret_broken: not all were found and the text is not JSON, as far as it
 * was read. */
uint64_t json_scan(struct span text, const struct json_path *const *paths, uint64_t wanted,
                   struct span *found, bool *ret_broken);

/* Cuts the next element off the inside of an array: `*rest` begins as its text. False: there are no
 * more, or it cannot be read on. */
bool json_next_element(struct span *rest, struct span *ret_element);

#endif
