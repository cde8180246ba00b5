#include "base/text.h"

/* Work bound: one unit per step of the matcher, so that no pattern can run away. */
#define GLOB_STEPS_MAX 100000

struct glob {
    size_t steps;
    unsigned depth;
};

/* What a pattern is followed by: one link per alternative we are inside of. */
struct tail {
    struct span pattern;
    const struct tail *next;
};

static bool match(struct glob *glob, struct span pattern, struct span text,
                  const struct tail *tail);

bool text_is_glob(struct span pattern)
{
    for (size_t i = 0; i < pattern.bytes; i++) {
        if (strchr("*?[{", pattern.data[i]) != NULL && pattern.data[i] != 0) {
            return true;
        }
    }
    return false;
}

/* Does `c` belong to the class whose text after '[' is `rest`? Sets the bytes of the class. */
static bool in_class(struct span rest, uint8_t c, size_t *ret_class_bytes, bool *ret_valid)
{
    bool negated = rest.bytes > 0 && (rest.data[0] == '!' || rest.data[0] == '^');
    size_t i = negated ? 1 : 0;
    size_t first = i;
    bool member = false;
    while (i < rest.bytes && (rest.data[i] != ']' || i == first)) {
        uint8_t low = rest.data[i];
        uint8_t high = low;
        if (i + 2 < rest.bytes && rest.data[i + 1] == '-' && rest.data[i + 2] != ']') {
            high = rest.data[i + 2];
            i += 2;
        }
        member = member || (c >= low && c <= high);
        i++;
    }
    *ret_valid = i < rest.bytes;
    *ret_class_bytes = i + 1;
    return member != negated;
}

/* `pattern` begins after '{': tries each alternative followed by what comes after '}'. */
static bool match_alternatives(struct glob *glob, struct span pattern, struct span text,
                               const struct tail *tail)
{
    unsigned nested = 0;
    size_t end = 0;
    while (end < pattern.bytes && (pattern.data[end] != '}' || nested > 0)) {
        nested += pattern.data[end] == '{';
        nested -= pattern.data[end] == '}';
        end++;
    }
    if (end == pattern.bytes || glob->depth >= 64) {
        return false;
    }
    glob->depth++;
    struct tail after = {span_from(pattern, end + 1), tail};
    bool matched = false;
    size_t start = 0;
    nested = 0;
    for (size_t i = 0; i <= end && !matched; i++) {
        uint8_t c = i < end ? pattern.data[i] : ',';
        nested += i < end && c == '{';
        nested -= i < end && c == '}';
        if (c == ',' && nested == 0) {
            struct span alternative = span_of(pattern.data + start, i - start);
            matched = match(glob, alternative, text, &after);
            start = i + 1;
        }
    }
    glob->depth--;
    return matched;
}

/* Matches `pattern` and then `tail` against the whole `text`. */
static bool match(struct glob *glob, struct span pattern, struct span text, const struct tail *tail)
{
    for (;;) {
        if (++glob->steps > GLOB_STEPS_MAX) {
            return false;
        }
        if (pattern.bytes == 0) {
            if (tail == NULL) {
                return text.bytes == 0;
            }
            pattern = tail->pattern;
            tail = tail->next;
            continue;
        }
        uint8_t c = pattern.data[0];
        struct span rest = span_from(pattern, 1);
        if (c == '*') {
            for (size_t skip = 0; skip <= text.bytes; skip++) {
                if (match(glob, rest, span_from(text, skip), tail)) {
                    return true;
                }
            }
            return false;
        }
        if (c == '{') {
            return match_alternatives(glob, rest, text, tail);
        }
        if (text.bytes == 0) {
            return false;
        }
        if (c == '[') {
            size_t class_bytes;
            bool valid;
            bool member = in_class(rest, text.data[0], &class_bytes, &valid);
            if (!valid || !member) {
                return false;
            }
            rest = span_from(rest, class_bytes);
        } else if (c == '\\' && rest.bytes > 0) {
            if (rest.data[0] != text.data[0]) {
                return false;
            }
            rest = span_from(rest, 1);
        } else if (c != '?' && c != text.data[0]) {
            return false;
        }
        pattern = rest;
        text = span_from(text, 1);
    }
}

bool text_glob(struct span pattern, struct span text)
{
    struct glob glob = {0};
    return match(&glob, pattern, text, NULL);
}
