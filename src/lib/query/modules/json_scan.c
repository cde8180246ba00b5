#include "query/modules/json_scan.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

struct scan {
    const uint8_t *at;
    const uint8_t *end;
    const struct json_path *const *paths;
    struct span *found;
    uint64_t wanted;
    uint64_t done; /* paths found */
};

static inline void skip_space(struct scan *scan)
{
    while (scan->at < scan->end && *scan->at <= ' ' &&
           (*scan->at == ' ' || (*scan->at >= '\t' && *scan->at <= '\r'))) {
        scan->at++;
    }
}

/* The next quote; NULL: there is none. Most are near, where calling memchr() takes longer. */
static inline const uint8_t *find_quote(const uint8_t *at, const uint8_t *end)
{
#ifdef __SSE2__
    const __m128i quotes = _mm_set1_epi8('"');
    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        unsigned mask = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, quotes));
        if (mask != 0) {
            return at + __builtin_ctz(mask);
        }
    }
#endif
    while (at < end && *at != '"') {
        at++;
    }
    return at < end ? at : NULL;
}

/* At the opening quote; gives what stands between the quotes. */
static inline bool read_string(struct scan *scan, struct span *ret_inner)
{
    const uint8_t *begin = scan->at + 1;
    const uint8_t *from = begin;
    for (;;) {
        const uint8_t *quote = find_quote(from, scan->end);
        if (quote == NULL) {
            return false;
        }
        const uint8_t *slash = quote;
        while (slash > begin && slash[-1] == '\\') {
            slash--;
        }
        if ((quote - slash) % 2 == 0) {
            *ret_inner = span_of(begin, (size_t)(quote - begin));
            scan->at = quote + 1;
            return true;
        }
        from = quote + 1;
    }
}

/* Past an object or array, of any depth. */
static bool skip_container(struct scan *scan)
{
    size_t depth = 0;
    struct span ignored;
    while (scan->at < scan->end) {
        uint8_t c = *scan->at;
        if (c == '"') {
            if (!read_string(scan, &ignored)) {
                return false;
            }
            continue;
        }
        scan->at++;
        if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return true;
        }
    }
    return false;
}

/* Any value; gives its text. */
static inline bool read_value(struct scan *scan, struct span *ret_text)
{
    const uint8_t *begin = scan->at;
    if (begin == scan->end) {
        return false;
    }
    if (*begin == '"') {
        return read_string(scan, ret_text);
    }
    bool whole = true;
    if (*begin == '{' || *begin == '[') {
        whole = skip_container(scan);
    } else {
        while (scan->at<scan->end && * scan->at> ' ' && *scan->at != ',' && *scan->at != '}' &&
               *scan->at != ']') {
            scan->at++;
        }
        whole = scan->at > begin;
    }
    *ret_text = span_of(begin, (size_t)(scan->at - begin));
    return whole;
}

static bool scan_value(struct scan *scan, size_t depth, uint64_t active);

/* Of the active paths, those whose step at this depth goes through this member or element. */
static uint64_t through(const struct scan *scan, size_t depth, uint64_t active, bool object,
                        struct span key, uint64_t index)
{
    uint64_t set = 0;
    for (uint64_t left = active & ~scan->done; left != 0; left &= left - 1) {
        const struct json_step *step = &scan->paths[__builtin_ctzll(left)]->steps[depth];
        bool fits = object ? step->kind == JSON_STEP_KEY && span_equal(step->key, key)
                           : step->kind == JSON_STEP_ANY ||
                                 (step->kind == JSON_STEP_INDEX && step->index == index);
        set |= fits ? left & -left : 0;
    }
    return set;
}

static bool scan_object(struct scan *scan, size_t depth, uint64_t active)
{
    struct span key;
    for (;;) {
        skip_space(scan);
        if (scan->at < scan->end && *scan->at == '}') {
            scan->at++;
            return true;
        }
        if (scan->at == scan->end || *scan->at != '"' || !read_string(scan, &key)) {
            return false;
        }
        skip_space(scan);
        if (scan->at == scan->end || *scan->at++ != ':') {
            return false;
        }
        if (!scan_value(scan, depth + 1, through(scan, depth, active, true, key, 0)) ||
            (scan->wanted & ~scan->done) == 0) {
            return false;
        }
        skip_space(scan);
        if (scan->at < scan->end && *scan->at == ',') {
            scan->at++;
        }
    }
}

static bool scan_array(struct scan *scan, size_t depth, uint64_t active)
{
    for (uint64_t index = 0;; index++) {
        skip_space(scan);
        if (scan->at < scan->end && *scan->at == ']') {
            scan->at++;
            return true;
        }
        if (!scan_value(scan, depth + 1, through(scan, depth, active, false, SPAN_NONE, index)) ||
            (scan->wanted & ~scan->done) == 0) {
            return false;
        }
        skip_space(scan);
        if (scan->at < scan->end && *scan->at == ',') {
            scan->at++;
        }
    }
}

/* The value after `depth` steps of the active paths. False: the text cannot be read on, or there
 * is nothing left to find. */
static bool scan_value(struct scan *scan, size_t depth, uint64_t active)
{
    skip_space(scan);
    uint64_t deeper = 0;
    uint64_t here = 0;
    for (uint64_t left = active; left != 0; left &= left - 1) {
        bool last = scan->paths[__builtin_ctzll(left)]->count == depth;
        here |= last ? left & -left : 0;
        deeper |= last ? 0 : left & -left;
    }
    struct scan inner = *scan;
    struct span text;
    bool container = scan->at < scan->end && (*scan->at == '{' || *scan->at == '[');
    if (here != 0 || deeper == 0 || !container) {
        if (!read_value(scan, &text)) {
            return false;
        }
        for (uint64_t left = here; left != 0; left &= left - 1) {
            scan->found[__builtin_ctzll(left)] = text;
        }
        scan->done |= here;
        if (deeper == 0 || !container) {
            return true;
        }
        inner.done = scan->done; /* a path and what lies below it: once more, into it */
        inner.at++;
        (void)(inner.at[-1] == '{' ? scan_object(&inner, depth, deeper)
                                   : scan_array(&inner, depth, deeper));
        scan->done = inner.done;
        return true;
    }
    return *scan->at++ == '{' ? scan_object(scan, depth, deeper) : scan_array(scan, depth, deeper);
}

/* Do all wanted paths name members of the outermost object? */
static bool is_flat(const struct json_path *const *paths, uint64_t wanted)
{
    bool flat = true;
    for (uint64_t left = wanted; left != 0 && flat; left &= left - 1) {
        const struct json_path *path = paths[__builtin_ctzll(left)];
        flat = path->count == 1 && path->steps[0].kind == JSON_STEP_KEY;
    }
    return flat;
}

static inline bool same_bytes(struct span a, struct span b)
{
    if (a.bytes != b.bytes) {
        return false;
    }
    size_t i = 0;
    while (i < a.bytes && a.data[i] == b.data[i]) { /* short, mostly another one at once */
        i++;
    }
    return i == a.bytes;
}

/* As scan_object() for flat paths: the way of most queries over most lines. */
static bool scan_flat(struct scan *scan)
{
    struct span key;
    struct span value;
    scan->at++;
    for (;;) {
        skip_space(scan);
        if (scan->at < scan->end && *scan->at == '}') {
            return true;
        }
        if (scan->at == scan->end || *scan->at != '"' || !read_string(scan, &key)) {
            return false;
        }
        skip_space(scan);
        if (scan->at == scan->end || *scan->at++ != ':') {
            return false;
        }
        skip_space(scan);
        if (!read_value(scan, &value)) {
            return false;
        }
        for (uint64_t left = scan->wanted & ~scan->done; left != 0; left &= left - 1) {
            int path = __builtin_ctzll(left);
            if (same_bytes(scan->paths[path]->steps[0].key, key)) {
                scan->found[path] = value;
                scan->done |= left & -left;
            }
        }
        if (scan->done == scan->wanted) {
            return true;
        }
        skip_space(scan);
        if (scan->at < scan->end && *scan->at == ',') {
            scan->at++;
        }
    }
}

uint64_t json_scan(struct span text, const struct json_path *const *paths, uint64_t wanted,
                   struct span *found, bool *ret_broken)
{
    struct scan scan = {
        .at = text.data,
        .end = text.bytes == 0 ? NULL : text.data + text.bytes,
        .paths = paths,
        .found = found,
        .wanted = wanted,
    };
    *ret_broken = wanted != 0;
    if (text.bytes == 0) {
        return 0;
    }
    skip_space(&scan);
    if (scan.at < scan.end && (*scan.at == '{' || *scan.at == '[')) {
        bool flat = *scan.at == '{' && is_flat(paths, wanted);
        bool whole = flat ? scan_flat(&scan) : scan_value(&scan, 0, wanted);
        *ret_broken = !whole && (wanted & ~scan.done) != 0;
    }
    return scan.done;
}

bool json_next_element(struct span *rest, struct span *ret_element)
{
    struct scan scan = {.at = rest->data, .end = rest->data + rest->bytes};
    skip_space(&scan);
    if (scan.at == scan.end || (*scan.at != '[' && *scan.at != ',')) {
        return false;
    }
    scan.at++;
    skip_space(&scan);
    if (scan.at == scan.end || *scan.at == ']' || !read_value(&scan, ret_element)) {
        return false;
    }
    *rest = span_of(scan.at, (size_t)(scan.end - scan.at));
    return true;
}
