#include "query/lex.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

static const char reserved[] = "|@{};=<>~!.#$%^&*()[]?,:/+";
static const char value_ends[] = "|[](){}";

struct lexer {
    struct span text;
    size_t at;
    struct arena *arena;
    struct query_tokens *tokens;
    struct query_error *error;
};

int query_fault(struct query_error *error, size_t offset, size_t bytes, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    /* Cut text must not end inside a character. */
    size_t length = strlen(error->text);
    while (length > 0 && !text_is_utf8(span_of(error->text, length))) {
        length--;
    }
    error->text[length] = '\0';
    error->offset = offset;
    error->bytes = bytes;
    return err_set(ERR_INVALID, "stage %d, byte %zu: %s", error->stage, offset, error->text);
}

size_t query_space(struct span text)
{
    if (text.bytes == 0) {
        return 0;
    }
    uint8_t first = text.data[0];
    if (first < 0x80) {
        return first == ' ' || (first >= 0x09 && first <= 0x0D) ? 1 : 0;
    }
    struct span rest = text;
    uint32_t c = text_utf8_next(&rest);
    bool space = c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
                 c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
    return space ? text.bytes - rest.bytes : 0;
}

static bool at_comment(struct span rest)
{
    return rest.bytes >= 2 && rest.data[0] == '/' && (rest.data[1] == '/' || rest.data[1] == '*');
}

/* Length of the comment that begins here; 0 when it never ends. */
static size_t comment_bytes(struct span rest)
{
    if (rest.data[1] == '/') {
        ptrdiff_t end = span_find_byte(rest, '\n');
        return end < 0 ? rest.bytes : (size_t)end;
    }
    ptrdiff_t end = span_find(span_from(rest, 2), SPAN_LIT("*/"));
    return end < 0 ? 0 : (size_t)end + 4;
}

/* Length of the quoted string that begins here, quotes included; 0 when it never ends. */
static size_t quoted_bytes(struct span rest)
{
    uint8_t quote = rest.data[0];
    for (size_t i = 1; i < rest.bytes; i++) {
        if (rest.data[i] == '\\' && quote == '"') {
            i++;
        } else if (rest.data[i] == quote) {
            return i + 1;
        }
    }
    return 0;
}

static bool is_quote(uint8_t byte)
{
    return byte == '"' || byte == '`';
}

size_t query_aside_bytes(struct span rest)
{
    if (rest.bytes == 0) {
        return 0;
    }
    if (rest.data[0] == '"' || rest.data[0] == '`') {
        for (size_t i = 1; i < rest.bytes; i++) {
            if (rest.data[i] == '\\' && rest.data[0] == '"') {
                i++;
            } else if (rest.data[i] == rest.data[0]) {
                return i + 1;
            }
        }
        return rest.bytes; /* the lexer says what is wrong */
    }
    bool comment = rest.bytes > 1 && rest.data[0] == '/';
    if (comment && rest.data[1] == '/') {
        ptrdiff_t end = span_find_byte(rest, '\n');
        return end < 0 ? rest.bytes : (size_t)end;
    }
    if (comment && rest.data[1] == '*') {
        ptrdiff_t end = span_find(span_from(rest, 2), SPAN_LIT("*/"));
        return end < 0 ? rest.bytes : (size_t)end + 4;
    }
    return 0;
}

void query_strip(struct span text, struct buf *buf)
{
    size_t start = buf->bytes;
    bool gap = false;
    for (size_t at = 0; at < text.bytes;) {
        struct span rest = span_from(text, at);
        size_t space = at_comment(rest) ? comment_bytes(rest) : query_space(rest);
        if (space > 0) {
            gap = true;
            at += space;
            continue;
        }
        if (gap && buf->bytes > start) {
            buf_append_byte(buf, ' ');
        }
        gap = false;
        size_t bytes = is_quote(rest.data[0]) ? quoted_bytes(rest) : 1;
        CHECK(bytes > 0);
        buf_append(buf, span_first(rest, bytes));
        at += bytes;
    }
}

static int hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* `digits` hexadecimal digits at the front of `text`. */
static bool hex_number(struct span text, size_t digits, uint32_t *ret_value)
{
    uint32_t value = 0;
    if (text.bytes < digits) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        int digit = hex_value(text.data[i]);
        if (digit < 0) {
            return false;
        }
        value = value << 4 | (uint32_t)digit;
    }
    *ret_value = value;
    return true;
}

static bool octal_byte(struct span text, uint32_t *ret_value)
{
    uint32_t value = 0;
    if (text.bytes < 3) {
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        if (text.data[i] < '0' || text.data[i] > '7') {
            return false;
        }
        value = value << 3 | (uint32_t)(text.data[i] - '0');
    }
    *ret_value = value;
    return value <= 0xFF;
}

size_t query_lex_escape(struct span after, struct buf *buf)
{
    static const char letters[] = "abfnrtv\\'\"";
    static const char values[] = "\a\b\f\n\r\t\v\\'\"";
    uint32_t value = 0;
    if (after.bytes == 0) {
        return 0;
    }
    const char *letter = memchr(letters, after.data[0], sizeof(letters) - 1);
    if (letter != NULL) {
        buf_append_byte(buf, (uint8_t)values[letter - letters]);
        return 1;
    }
    if (octal_byte(after, &value)) {
        buf_append_byte(buf, (uint8_t)value);
        return 3;
    }
    struct span digits = span_from(after, 1);
    if (after.data[0] == 'x' && hex_number(digits, 2, &value)) {
        buf_append_byte(buf, (uint8_t)value);
        return 3;
    }
    size_t count = after.data[0] == 'u' ? 4 : 8;
    if ((after.data[0] == 'u' || after.data[0] == 'U') && hex_number(digits, count, &value) &&
        value <= 0x10FFFF && (value < 0xD800 || value > 0xDFFF)) {
        text_utf8_put(buf, value);
        return 1 + count;
    }
    return 0;
}

/* An escape that is not known stays as the two characters it is: regular expressions. */
static struct span decode_quoted(struct arena *arena, struct span inner)
{
    struct buf buf = {0};
    for (size_t i = 0; i < inner.bytes; i++) {
        size_t used = 0;
        if (inner.data[i] == '\\') {
            used = query_lex_escape(span_from(inner, i + 1), &buf);
        }
        if (used == 0) {
            buf_append_byte(&buf, inner.data[i]);
        }
        i += used;
    }
    struct span decoded = arena_span_dup(arena, buf_span(&buf));
    buf_deinit(&buf);
    return decoded;
}

/* Skips white space and comments. */
static int skip_gap(struct lexer *lexer, bool *ret_skipped)
{
    *ret_skipped = false;
    for (;;) {
        struct span rest = span_from(lexer->text, lexer->at);
        size_t bytes = query_space(rest);
        if (at_comment(rest)) {
            bytes = comment_bytes(rest);
            if (bytes == 0) {
                return query_fault(lexer->error, lexer->at, 2, "comment without its end '*/'");
            }
        }
        if (bytes == 0) {
            return 0;
        }
        lexer->at += bytes;
        *ret_skipped = true;
    }
}

static size_t op_bytes(struct span rest)
{
    static const char *const ops[] = {"==", "!=", "<=", ">=", "!~", "<", ">", "~"};
    for (size_t i = 0; i < ARRAY_COUNT(ops); i++) {
        if (span_starts_with(rest, span_of_str(ops[i]))) {
            return strlen(ops[i]);
        }
    }
    return 0;
}

/* Bytes up to white space, a comment, a quote or one of `ends`. */
static size_t run_bytes(struct span rest, const char *ends)
{
    size_t i = 0;
    while (i < rest.bytes) {
        struct span here = span_from(rest, i);
        if (query_space(here) > 0 || at_comment(here) || is_quote(here.data[0]) ||
            strchr(ends, here.data[0]) != NULL) {
            break;
        }
        i++;
    }
    return i;
}

size_t query_lex_string(struct span text, struct arena *arena, struct span *ret_decoded)
{
    size_t bytes = quoted_bytes(text);
    if (bytes > 0) {
        struct span inner = span_first(span_from(text, 1), bytes - 2);
        *ret_decoded = text.data[0] == '`' ? inner : decode_quoted(arena, inner);
    }
    return bytes;
}

static int lex_quoted(struct lexer *lexer, struct query_token *token)
{
    struct span rest = span_from(lexer->text, lexer->at);
    token->bytes = query_lex_string(rest, lexer->arena, &token->text);
    if (token->bytes == 0) {
        return query_fault(lexer->error, lexer->at, 1, "quote %c without its end", rest.data[0]);
    }
    token->kind = rest.data[0] == '"' ? QUERY_TOKEN_QUOTED : QUERY_TOKEN_RAW;
    return 0;
}

static int lex_token(struct lexer *lexer, bool after_op, struct query_token *token)
{
    struct span rest = span_from(lexer->text, lexer->at);
    if (is_quote(rest.data[0])) {
        return lex_quoted(lexer, token);
    }
    size_t bytes = after_op ? run_bytes(rest, value_ends) : 0;
    token->kind = QUERY_TOKEN_VALUE;
    if (bytes == 0) {
        bytes = op_bytes(rest);
        token->kind = QUERY_TOKEN_OP;
    }
    if (bytes == 0) {
        bytes = run_bytes(rest, reserved);
        token->kind = QUERY_TOKEN_WORD;
    }
    if (bytes == 0) {
        bytes = 1;
        token->kind = QUERY_TOKEN_PUNCT;
    }
    token->bytes = bytes;
    token->text = span_first(rest, bytes);
    return 0;
}

static int check_text(struct span text, struct query_error *error)
{
    if (text.bytes > QUERY_TEXT_BYTES_MAX) {
        (void)query_fault(error, QUERY_TEXT_BYTES_MAX, 0, "the query is longer than %d bytes",
                          QUERY_TEXT_BYTES_MAX);
        return ERR_TOO_LARGE;
    }
    ptrdiff_t nul = span_find_byte(text, 0);
    if (nul >= 0) {
        return query_fault(error, (size_t)nul, 1, "the query holds a NUL byte");
    }
    struct span rest = text;
    while (rest.bytes > 0) {
        size_t left = rest.bytes;
        if (text_utf8_next(&rest) == 0xFFFD && left - rest.bytes == 1) {
            return query_fault(error, text.bytes - left, 1, "the query is not UTF-8");
        }
    }
    return 0;
}

int query_lex(struct span text, struct arena *arena, struct query_tokens *ret_tokens,
              struct query_error *ret_error)
{
    struct lexer lexer = {.text = text, .arena = arena, .tokens = ret_tokens, .error = ret_error};
    int rc = check_text(text, ret_error);
    bool after_op = false;
    bool skipped = false;
    while (rc == 0) {
        rc = skip_gap(&lexer, &skipped);
        if (rc < 0 || lexer.at == text.bytes) {
            break;
        }
        struct query_token token = {.offset = lexer.at, .glued = !skipped && lexer.at > 0};
        rc = lex_token(&lexer, after_op, &token);
        if (rc == 0) {
            vec_push(&ret_tokens->list, token);
            lexer.at += token.bytes;
            after_op = token.kind == QUERY_TOKEN_OP;
        }
    }
    return rc;
}

void query_tokens_deinit(struct query_tokens *tokens)
{
    vec_deinit(&tokens->list);
}

bool query_token_is(const struct query_token *token, char punct)
{
    return token->kind == QUERY_TOKEN_PUNCT && token->text.data[0] == (uint8_t)punct;
}

bool query_token_is_op(const struct query_token *token, const char *op)
{
    return token->kind == QUERY_TOKEN_OP && span_equal_str(token->text, op);
}
