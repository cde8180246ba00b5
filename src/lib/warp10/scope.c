#include "warp10/scope.h"

#include "base/err.h"
#include "base/text.h"

static bool is_reserved(struct span name)
{
    return span_equal_str(name, ".app") || span_equal_str(name, ".owner") ||
           span_equal_str(name, ".producer");
}

/* Whether a condition "name=…" or "name~…", with escapes, is about a reserved label. */
static bool is_about_reserved(struct span piece)
{
    ptrdiff_t at = span_find_byte(piece, '=');
    at = at < 0 ? span_find_byte(piece, '~') : at;
    struct buf name = {0};
    bool reserved = at >= 0 &&
                    text_url_decode(&name, span_trim(span_first(piece, (size_t)at)), false) &&
                    is_reserved(buf_span(&name));
    buf_deinit(&name);
    return reserved;
}

static void separate(struct buf *buf, bool *first)
{
    buf_append_str(buf, *first ? "" : ",");
    *first = false;
}

static void put_condition(struct buf *buf, bool *first, const char *name, struct span value)
{
    separate(buf, first);
    buf_append_str(buf, name);
    buf_append_byte(buf, '=');
    series_text_encode(buf, value);
}

/* Characters that mean something in a regex get a backslash. */
static void quote_regex(struct buf *buf, struct span text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        if (strchr("\\^$.|?*+()[]{}-#&~", text.data[i]) != NULL) {
            buf_append_byte(buf, '\\');
        }
        buf_append_byte(buf, text.data[i]);
    }
}

static void put_list(struct buf *buf, bool *first, const char *name, const struct token_list *list)
{
    struct buf regex = {0};
    if (list->count == 1) {
        put_condition(buf, first, name, list->items[0]);
        return;
    }
    if (list->count == 0) {
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        buf_append_str(&regex, i == 0 ? "^(" : "|");
        quote_regex(&regex, list->items[i]);
    }
    buf_append_str(&regex, ")$");
    separate(buf, first);
    buf_append_str(buf, name);
    buf_append_byte(buf, '~');
    series_text_encode(buf, buf_span(&regex));
    buf_deinit(&regex);
}

static void put_labels(struct buf *buf, bool *first, const struct token *token)
{
    for (size_t i = 0; i < token->labels.count; i++) {
        const struct token_pair *pair = &token->labels.items[i];
        struct span value = pair->value;
        bool regex = !token->write && value.bytes > 0 && value.data[0] == '~';
        separate(buf, first);
        series_text_encode(buf, pair->name);
        buf_append_byte(buf, regex ? '~' : '=');
        series_text_encode(buf, token->write ? value : span_from(value, 1));
    }
}

/* A deleter is bound by owner and application, a reader by the lists. */
static void put_conditions(struct buf *buf, bool *first, const struct token *token)
{
    put_labels(buf, first, token);
    if (!token->write) {
        put_list(buf, first, ".owner", &token->owners);
        put_list(buf, first, ".producer", &token->producers);
        put_list(buf, first, ".app", &token->applications);
        return;
    }
    put_condition(buf, first, ".owner", token->owner);
    put_condition(buf, first, ".app", token->application);
}

static int no_braces(struct span selector)
{
    return err_set(ERR_INVALID, "Syntax error in selector '%.*s', column %zu: no class{...}.",
                   SPAN_ARG(span_first(selector, 256)), selector.bytes + 1);
}

int scope_selector(struct buf *buf, const struct token *token, struct span selector)
{
    selector = span_trim(selector);
    ptrdiff_t brace = span_find_byte(selector, '{');
    if (brace < 1 || selector.data[selector.bytes - 1] != '}') {
        return no_braces(selector);
    }
    struct span rest = span_of(selector.data + brace + 1, selector.bytes - (size_t)brace - 2);
    struct span piece;
    bool first = true;
    buf_append(buf, span_first(selector, (size_t)brace + 1));
    while (span_split(&rest, ',', &piece)) {
        if (!is_about_reserved(piece)) {
            separate(buf, &first);
            buf_append(buf, piece);
        }
    }
    if (token != NULL) {
        put_conditions(buf, &first, token);
    }
    buf_append_byte(buf, '}');
    return 0;
}

int scope_packed(struct buf *buf, struct span selector, struct span suffix)
{
    struct buf quoted = {0};
    selector = span_trim(selector);
    ptrdiff_t brace = span_find_byte(selector, '{');
    if (brace < 1) {
        return no_braces(selector);
    }
    struct span class = span_first(selector, (size_t)brace);
    bool regex = class.data[0] == '~';
    suffix = suffix.bytes == 0 ? SPAN_LIT(SCOPE_PACKED_SUFFIX) : suffix;
    if (regex) {
        buf_append_str(buf, "~(");
        buf_append(buf, span_from(class, 1));
        buf_append_byte(buf, ')');
        quote_regex(&quoted, suffix);
        suffix = buf_span(&quoted);
    } else {
        buf_append(buf, class);
    }
    series_text_encode(buf, suffix);
    buf_append(buf, span_from(selector, (size_t)brace));
    buf_deinit(&quoted);
    return 0;
}

static void add(struct series_label *labels, size_t *count, const char *name, struct span value)
{
    if (value.bytes > 0) {
        labels[(*count)++] = (struct series_label){span_of_str(name), value};
    }
}

size_t scope_labels(const struct token *token, struct series_label labels[SCOPE_LABELS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < token->labels.count && count < TOKEN_LIST_MAX; i++) {
        const struct token_pair *pair = &token->labels.items[i];
        if (!is_reserved(pair->name)) {
            labels[count++] = (struct series_label){pair->name, pair->value};
        }
    }
    add(labels, &count, ".owner", token->owner);
    add(labels, &count, ".producer", token->producer);
    add(labels, &count, ".app", token->application);
    return count;
}
