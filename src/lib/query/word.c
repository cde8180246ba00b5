/* Fulltext tokenisation: the rule behind `words`, `grep -w` and, later, token filters.
 * Tested by pattern_test.c. */
#include "base/text.h"
#include "query/pattern.h"

static bool splits_ascii(uint8_t byte)
{
    static const char marks[] = "!\"#$%&'()*+,/;<=>?[\\]^`{|}~";
    return byte <= 0x20 || byte == 0x7F || strchr(marks, byte) != NULL;
}

static bool splits_wide(uint32_t c)
{
    return c == 0x85 || c == 0xA0 || c == 0xD7 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/* Length of the split character at the front, 0 when there is none. */
static size_t split_bytes(struct span text)
{
    if (text.data[0] < 0x80) {
        return splits_ascii(text.data[0]) ? 1 : 0;
    }
    struct span rest = text;
    return splits_wide(text_utf8_next(&rest)) ? text.bytes - rest.bytes : 0;
}

static bool trims_soft_hyphen(struct span text, bool front)
{
    return text.bytes >= 2 &&
           memcmp(front ? text.data : text.data + text.bytes - 2, "\xC2\xAD", 2) == 0;
}

static struct span trim_word(struct span word)
{
    for (;;) {
        if (word.bytes > 0 && strchr(".:;", word.data[0]) != NULL) {
            word = span_from(word, 1);
        } else if (trims_soft_hyphen(word, true)) {
            word = span_from(word, 2);
        } else if (word.bytes > 0 && strchr(".:;-", word.data[word.bytes - 1]) != NULL) {
            word.bytes--;
        } else if (trims_soft_hyphen(word, false)) {
            word.bytes -= 2;
        } else {
            return word;
        }
    }
}

bool query_word_next(struct span *rest, struct span *ret_word)
{
    while (rest->bytes > 0) {
        size_t bytes = 0;
        size_t split = 0;
        while (bytes < rest->bytes && (split = split_bytes(span_from(*rest, bytes))) == 0) {
            bytes++;
        }
        struct span word = trim_word(span_first(*rest, bytes));
        *rest = span_from(*rest, bytes + split);
        if (word.bytes > 0) {
            *ret_word = word;
            return true;
        }
    }
    return false;
}

bool query_word_split(struct span text, struct span *ret_split)
{
    for (size_t i = 0; i < text.bytes; i++) {
        struct span rest = span_from(text, i);
        size_t split = split_bytes(rest);
        if (split > 0) {
            *ret_split = span_first(rest, split);
            return true;
        }
    }
    return false;
}
