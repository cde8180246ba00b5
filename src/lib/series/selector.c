#define PCRE2_CODE_UNIT_WIDTH 8
#include "series/selector.h"

#include <pcre2.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/vec.h"

#define REGEX_MATCH_LIMIT 1000000
#define REGEX_HEAP_KIB 16384
#define REGEX_BYTES_MAX 65536

struct series_selector {
    unsigned flags;
    struct series_part class;
    struct series_part *conditions; /* by name */
    size_t count;
};

/* One that is being parsed. */
struct parse {
    struct span text;
    struct series_selector *selector;
    size_t offset; /* of the error */
};

static int fail(struct parse *parse, const uint8_t *at, const char *what)
{
    parse->offset = (size_t)(at - parse->text.data);
    return err_set(ERR_INVALID, "selector: %s at byte %zu", what, parse->offset);
}

static void part_deinit(struct series_part *part)
{
    mem_free((void *)(uintptr_t)part->name.data);
    mem_free((void *)(uintptr_t)part->text.data);
    pcre2_code_free(part->code);
}

/* Decodes into memory of its own. */
static int decode(struct parse *parse, struct span text, struct span *ret_text)
{
    struct buf decoded = {0};
    if (!text_url_decode(&decoded, text, false)) {
        buf_deinit(&decoded);
        return fail(parse, text.data, "a percent sign without two hexadecimal digits");
    }
    size_t bytes = decoded.bytes;
    *ret_text = span_of(buf_take(&decoded), bytes);
    return 0;
}

/* `source` is the text as it was written, for the offset of an error. */
static int compile(struct parse *parse, struct series_part *part, struct span source)
{
    if ((parse->selector->flags & SERIES_SELECTOR_EXACT) != 0) {
        return fail(parse, source.data, "a regex where a single series is to be named");
    }
    if (part->text.bytes > REGEX_BYTES_MAX) {
        return fail(parse, source.data, "a regex that is too long");
    }
    int code = 0;
    PCRE2_SIZE at = 0;
    part->code = pcre2_compile(part->text.data, part->text.bytes,
                               PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF |
                                   PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C,
                               &code, &at, NULL);
    if (part->code == NULL) {
        PCRE2_UCHAR why[256];
        pcre2_get_error_message(code, why, sizeof(why));
        bool plain = span_find_byte(source, '%') < 0;
        return fail(parse, source.data + (plain ? MIN(at, source.bytes) : 0), (const char *)why);
    }
    (void)pcre2_jit_compile(part->code, PCRE2_JIT_COMPLETE); /* without it: slower */
    return 0;
}

static int parse_class(struct parse *parse, struct span source)
{
    struct series_part *class = &parse->selector->class;
    struct span decoded;
    int rc = decode(parse, source, &decoded);
    if (rc < 0) {
        return rc;
    }
    uint8_t first = decoded.bytes > 0 ? decoded.data[0] : 0;
    size_t skip = first == '~' || first == '=' ? 1 : 0;
    class->regex = first == '~';
    class->text = span_of(mem_strndup((const char *)decoded.data + skip, decoded.bytes - skip),
                          decoded.bytes - skip);
    mem_free((void *)(uintptr_t)decoded.data);
    return class->regex ? compile(parse, class, span_from(source, skip)) : 0;
}

static int parse_condition(struct parse *parse, struct span source, struct series_part *part)
{
    ptrdiff_t at = span_find_byte(source, '=');
    part->regex = at < 0;
    if (part->regex) {
        at = span_find_byte(source, '~');
    }
    if (at < 0) {
        return fail(parse, source.data, "a condition without = or ~");
    }
    struct span value = span_from(source, (size_t)at + 1);
    int rc = decode(parse, span_first(source, (size_t)at), &part->name);
    if (rc == 0) {
        rc = decode(parse, value, &part->text);
    }
    return rc == 0 && part->regex ? compile(parse, part, value) : rc;
}

/* As Java's trim(). */
static struct span trim(struct span text)
{
    while (text.bytes > 0 && text.data[0] <= ' ') {
        text = span_from(text, 1);
    }
    while (text.bytes > 0 && text.data[text.bytes - 1] <= ' ') {
        text.bytes--;
    }
    return text;
}

/* Puts the part in its place by name; a later one replaces the earlier one of its name. */
static void add(struct series_selector *selector, struct series_part part)
{
    size_t at = selector->count;
    while (at > 0 && span_compare(selector->conditions[at - 1].name, part.name) > 0) {
        at--;
    }
    if (at > 0 && span_equal(selector->conditions[at - 1].name, part.name)) {
        part_deinit(&selector->conditions[at - 1]);
        selector->conditions[at - 1] = part;
        return;
    }
    memmove(selector->conditions + at + 1, selector->conditions + at,
            (selector->count - at) * sizeof(part));
    selector->conditions[at] = part;
    selector->count++;
}

static int parse_conditions(struct parse *parse, struct span source)
{
    size_t count = 1;
    for (size_t i = 0; i < source.bytes; i++) {
        count += source.data[i] == ',';
    }
    if (count > SERIES_CONDITIONS_MAX) {
        return fail(parse, source.data, "too many conditions");
    }
    parse->selector->conditions = mem_alloc_array(count, sizeof(struct series_part));
    struct span rest = source;
    struct span piece;
    while (span_split(&rest, ',', &piece)) {
        piece = trim(piece);
        struct series_part part = {0};
        int rc = piece.bytes > 0 ? parse_condition(parse, piece, &part) : 0;
        if (rc < 0) {
            part_deinit(&part);
            return rc;
        }
        if (piece.bytes > 0) {
            add(parse->selector, part);
        }
    }
    return 0;
}

static int parse_whole(struct parse *parse)
{
    struct span text = parse->text;
    ptrdiff_t brace = span_find_byte(text, '{');
    if (text.bytes > SERIES_SELECTOR_BYTES_MAX) {
        return fail(parse, text.data + SERIES_SELECTOR_BYTES_MAX, "too many bytes");
    }
    if (brace < 0) {
        return fail(parse, text.data + text.bytes, "no {");
    }
    if (brace == 0) {
        return fail(parse, text.data, "no class");
    }
    if (text.data[text.bytes - 1] != '}') {
        return fail(parse, text.data + text.bytes, "no }");
    }
    int rc = parse_class(parse, span_first(text, (size_t)brace));
    if (rc < 0) {
        return rc;
    }
    size_t begin = (size_t)brace + 1;
    return parse_conditions(parse, span_first(span_from(text, begin), text.bytes - begin - 1));
}

int series_selector_parse(struct span text, unsigned flags, struct series_selector **ret_selector,
                          size_t *ret_offset)
{
    struct parse parse = {.text = text.data == NULL ? SPAN_LIT("") : text,
                          .selector = MEM_NEW(struct series_selector)};
    parse.selector->flags = flags;
    int rc = parse_whole(&parse);
    if (rc < 0) {
        if (ret_offset != NULL) {
            *ret_offset = parse.offset;
        }
        series_selector_free(&parse.selector);
        return rc;
    }
    *ret_selector = parse.selector;
    return 0;
}

void series_selector_free(struct series_selector **selector_place)
{
    struct series_selector *selector = *selector_place;
    if (selector == NULL) {
        return;
    }
    part_deinit(&selector->class);
    for (size_t i = 0; i < selector->count; i++) {
        part_deinit(&selector->conditions[i]);
    }
    mem_free(selector->conditions);
    mem_free(selector);
    *selector_place = NULL;
}

static void print_class(struct buf *buf, struct span class)
{
    if (class.bytes == 0 || class.data[0] == '~' || class.data[0] == '=') {
        buf_append_byte(buf, '='); /* no class at all, or one that would read as an operator */
    }
    series_text_encode(buf, class);
}

static void print_condition(struct buf *buf, bool first, struct span name, bool regex,
                            struct span text)
{
    if (!first) {
        buf_append_byte(buf, ',');
    }
    series_text_encode(buf, name);
    buf_append_byte(buf, regex ? '~' : '=');
    series_text_encode(buf, text);
}

void series_selector_print(struct buf *buf, const struct series_selector *selector)
{
    if (selector->class.regex) {
        buf_append_byte(buf, '~');
        series_text_encode(buf, selector->class.text);
    } else {
        print_class(buf, selector->class.text);
    }
    buf_append_byte(buf, '{');
    for (size_t i = 0; i < selector->count; i++) {
        const struct series_part *part = &selector->conditions[i];
        print_condition(buf, i == 0, part->name, part->regex, part->text);
    }
    buf_append_byte(buf, '}');
}

void series_selector_print_exact(struct buf *buf, struct span checked_key)
{
    struct series_key_reader reader = series_key_open(checked_key);
    struct series_label label;
    print_class(buf, reader.class);
    buf_append_byte(buf, '{');
    for (bool first = true; series_key_next(&reader, &label); first = false) {
        print_condition(buf, first, label.name, false, label.value);
    }
    buf_append_byte(buf, '}');
}

unsigned series_selector_flags(const struct series_selector *selector)
{
    return selector->flags;
}

const struct series_part *series_selector_class(const struct series_selector *selector)
{
    return &selector->class;
}

const struct series_part *series_selector_conditions(const struct series_selector *selector,
                                                     size_t *ret_count)
{
    *ret_count = selector->count;
    return selector->conditions;
}

uint64_t series_selector_hash_of(struct span checked_key)
{
    return (hash64(checked_key) >> 1) + 1;
}

uint64_t series_selector_key_hash(const struct series_selector *selector)
{
    if ((selector->flags & SERIES_SELECTOR_EXACT) == 0) {
        return 0;
    }
    struct series_label labels[SERIES_CONDITIONS_MAX];
    for (size_t i = 0; i < selector->count; i++) {
        const struct series_part *part = &selector->conditions[i];
        labels[i] = (struct series_label){part->name, part->text};
    }
    struct buf key = {0};
    bool is_key = series_key_make(&key, selector->class.text, labels, selector->count) == 0;
    uint64_t hash = is_key ? series_selector_hash_of(buf_span(&key)) : 0;
    buf_deinit(&key);
    return hash;
}

void series_matcher_init(struct series_matcher *matcher)
{
    *matcher = (struct series_matcher){.data = pcre2_match_data_create(1, NULL),
                                       .context = pcre2_match_context_create(NULL)};
    CHECK(matcher->data != NULL);
    CHECK(matcher->context != NULL);
    pcre2_set_match_limit(matcher->context, REGEX_MATCH_LIMIT);
    pcre2_set_heap_limit(matcher->context, REGEX_HEAP_KIB);
}

void series_matcher_deinit(struct series_matcher *matcher)
{
    pcre2_match_data_free(matcher->data);
    pcre2_match_context_free(matcher->context);
    *matcher = (struct series_matcher){0};
}

bool series_part_matches(const struct series_part *part, struct series_matcher *matcher,
                         struct span text)
{
    if (!part->regex) {
        return span_equal(part->text, text);
    }
    const uint8_t *data = text.bytes > 0 ? text.data : (const uint8_t *)"";
    int rc = pcre2_match(part->code, data, text.bytes, 0, 0, matcher->data, matcher->context);
    matcher->exceeded |= rc < 0 && rc != PCRE2_ERROR_NOMATCH;
    return rc >= 0;
}

static bool find_label(struct span key, struct span name, struct span *ret_value)
{
    struct series_key_reader reader = series_key_open(key);
    struct series_label label;
    while (series_key_next(&reader, &label)) {
        if (span_equal(label.name, name)) {
            *ret_value = label.value;
            return true;
        }
    }
    return false;
}

bool series_selector_matches(
    const struct series_selector *selector, struct series_matcher *matcher, struct span checked_key,
    bool (*attribute)(void *context, struct span name, struct span *ret_value), void *context)
{
    bool exact = (selector->flags & SERIES_SELECTOR_EXACT) != 0;
    bool labels_only = exact || (selector->flags & SERIES_SELECTOR_LABELS_ONLY) != 0;
    struct series_key_reader reader = series_key_open(checked_key);
    if (!series_part_matches(&selector->class, matcher, reader.class) ||
        (exact && reader.count != selector->count)) {
        return false;
    }
    for (size_t i = 0; i < selector->count; i++) {
        const struct series_part *part = &selector->conditions[i];
        struct span value;
        bool present =
            find_label(checked_key, part->name, &value) ||
            (!labels_only && attribute != NULL && attribute(context, part->name, &value));
        bool absent_wanted = !exact && !part->regex && part->text.bytes == 0;
        if (present == absent_wanted || (present && !series_part_matches(part, matcher, value))) {
            return false;
        }
    }
    return true;
}
