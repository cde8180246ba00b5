/* Tested by extraction_test.c. */
#include "query/modules/xml_scan.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/text.h"

struct tag {
    struct span name;
    struct span attributes;
    size_t begin; /* of the < */
    size_t end;   /* behind the > */
    bool close;
    bool empty; /* <a/> */
};

enum next { NEXT_TAG, NEXT_END, NEXT_BROKEN };

/* Bytes of what begins with <! or <?, 0 when it has no end. */
static size_t aside_bytes(struct span rest)
{
    static const struct {
        const char *open, *close;
    } kinds[] = {{"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}, {"<!", ">"}};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (span_starts_with(rest, span_of_str(kinds[i].open))) {
            size_t skip = strlen(kinds[i].open);
            ptrdiff_t end = span_find(span_from(rest, skip), span_of_str(kinds[i].close));
            return end < 0 ? 0 : skip + (size_t)end + strlen(kinds[i].close);
        }
    }
    return 0;
}

/* Bytes up to the > that ends a tag, quotes minded; 0: none. */
static size_t tag_bytes(struct span rest)
{
    uint8_t quote = 0;
    for (size_t i = 1; i < rest.bytes; i++) {
        uint8_t c = rest.data[i];
        if (quote != 0) {
            quote = c == quote ? 0 : quote;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '>') {
            return i + 1;
        } else if (c == '<') {
            return 0;
        }
    }
    return 0;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static enum next next_tag(struct span text, size_t *at, struct tag *tag)
{
    for (;;) {
        ptrdiff_t open = span_find_byte(span_from(text, *at), '<');
        if (open < 0) {
            return NEXT_END;
        }
        *at += (size_t)open;
        struct span rest = span_from(text, *at);
        bool aside = rest.bytes > 1 && (rest.data[1] == '!' || rest.data[1] == '?');
        size_t bytes = aside ? aside_bytes(rest) : tag_bytes(rest);
        if (bytes == 0) {
            return NEXT_BROKEN;
        }
        tag->begin = *at;
        *at += bytes;
        if (aside) {
            continue;
        }
        struct span inside = span_first(span_from(rest, 1), bytes - 2);
        *tag = (struct tag){.begin = tag->begin, .end = *at};
        tag->close = inside.bytes > 0 && inside.data[0] == '/';
        tag->empty = inside.bytes > 0 && inside.data[inside.bytes - 1] == '/';
        inside = span_from(inside, tag->close ? 1 : 0);
        inside = span_first(inside, inside.bytes - (tag->empty && inside.bytes > 0 ? 1 : 0));
        size_t name = 0;
        while (name < inside.bytes && !is_space(inside.data[name])) {
            name++;
        }
        tag->name = span_first(inside, name);
        tag->attributes = span_from(inside, name);
        return name == 0 ? NEXT_BROKEN : NEXT_TAG;
    }
}

/* From behind an opening tag to its closing one. */
static bool inner_of(struct span text, size_t from, struct xml_element *element, size_t *ret_end)
{
    size_t depth = 1;
    size_t at = from;
    struct tag tag;
    element->leaf = true;
    while (next_tag(text, &at, &tag) == NEXT_TAG) {
        depth += tag.close ? -1 : tag.empty ? 0 : 1;
        element->leaf = element->leaf && tag.close;
        if (depth == 0) {
            element->inner = span_first(span_from(text, from), tag.begin - from);
            *ret_end = tag.end;
            return true;
        }
    }
    return false;
}

bool xml_scan(struct span text, const struct xml_path *path,
              bool (*each)(void *context, const struct xml_element *element), void *context)
{
    size_t at = 0;
    size_t depth = 0;
    size_t matched = 0; /* steps that the open elements have taken */
    bool any = false;
    struct tag tag;
    enum next next;
    while ((next = next_tag(text, &at, &tag)) == NEXT_TAG) {
        any = true;
        if (tag.close) {
            if (depth == 0) {
                return false;
            }
            depth--;
            matched = matched > depth ? depth : matched;
            continue;
        }
        bool step = matched == depth && span_equal(tag.name, path->steps[depth]);
        if (step && depth + 1 == path->count) {
            struct xml_element element = {.attributes = tag.attributes, .leaf = true};
            size_t end = tag.end;
            if (!tag.empty && !inner_of(text, tag.end, &element, &end)) {
                return false;
            }
            at = end;
            if (!each(context, &element)) {
                return true;
            }
            continue;
        }
        if (!tag.empty) {
            matched += step ? 1 : 0;
            depth++;
        }
    }
    return any && depth == 0 && next == NEXT_END;
}

bool xml_attribute(struct span attributes, struct span name, struct span *ret_value)
{
    struct span rest = attributes;
    for (ptrdiff_t equals; (equals = span_find_byte(rest, '=')) >= 0;) {
        struct span key = span_trim(span_first(rest, (size_t)equals));
        rest = span_from(rest, (size_t)equals + 1);
        while (rest.bytes > 0 && is_space(rest.data[0])) {
            rest = span_from(rest, 1);
        }
        if (rest.bytes == 0 || (rest.data[0] != '"' && rest.data[0] != '\'')) {
            return false;
        }
        ptrdiff_t end = span_find_byte(span_from(rest, 1), rest.data[0]);
        if (end < 0) {
            return false;
        }
        if (span_equal(key, name)) {
            *ret_value = span_first(span_from(rest, 1), (size_t)end);
            return true;
        }
        rest = span_from(rest, (size_t)end + 2);
    }
    return false;
}

/* At an &; returns how long the reference is, 0 for none. */
static size_t reference(struct span rest, struct buf *buf)
{
    static const struct {
        const char *name;
        char c;
    } names[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (span_starts_with(rest, span_of_str(names[i].name))) {
            buf_append_byte(buf, (uint8_t)names[i].c);
            return strlen(names[i].name);
        }
    }
    ptrdiff_t end = span_find_byte(rest, ';');
    char digits[12] = {0};
    if (end < 3 || (size_t)end - 2 >= sizeof(digits) || rest.data[1] != '#') {
        return 0;
    }
    bool hex = rest.data[2] == 'x';
    memcpy(digits, rest.data + 2 + (hex ? 1 : 0), (size_t)end - 2 - (hex ? 1 : 0));
    char *stop = NULL;
    unsigned long value = strtoul(digits, &stop, hex ? 16 : 10);
    if (*stop != '\0' || stop == digits || value == 0 || value > 0x10FFFF ||
        (value >= 0xD800 && value <= 0xDFFF)) {
        return 0;
    }
    text_utf8_put(buf, (uint32_t)value);
    return (size_t)end + 1;
}

struct span xml_decode(struct span text, struct arena *arena)
{
    if (span_find_byte(text, '&') < 0 && span_find_byte(text, '<') < 0) {
        return text;
    }
    struct buf buf = {0};
    while (text.bytes > 0) {
        size_t used = text.data[0] == '&' ? reference(text, &buf) : 0;
        if (span_starts_with(text, SPAN_LIT("<![CDATA["))) {
            ptrdiff_t end = span_find(text, SPAN_LIT("]]>"));
            used = end < 0 ? 0 : (size_t)end + 3;
            buf_append(&buf, span_first(span_from(text, 9), used < 12 ? 0 : used - 12));
        } else if (span_starts_with(text, SPAN_LIT("<!--"))) {
            ptrdiff_t end = span_find(text, SPAN_LIT("-->"));
            used = end < 0 ? 0 : (size_t)end + 3;
        }
        if (used == 0) {
            buf_append_byte(&buf, text.data[0]);
            used = 1;
        }
        text = span_from(text, used);
    }
    struct span decoded = arena_span_dup(arena, buf_span(&buf));
    buf_deinit(&buf);
    return decoded;
}
