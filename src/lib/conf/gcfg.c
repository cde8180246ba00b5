#include "conf/gcfg.h"

#include "base/text.h"

void conf_gcfg_init(struct conf_gcfg *scanner, struct span text, const char *name)
{
    *scanner = (struct conf_gcfg){.text = text, .name = name, .line = 1};
    if (span_starts_with(text, SPAN_LIT("\xef\xbb\xbf"))) {
        scanner->at = 3;
        scanner->line_start = 3;
    }
}

void conf_gcfg_deinit(struct conf_gcfg *scanner)
{
    buf_deinit(&scanner->decoded);
}

static int fault(const struct conf_gcfg *s, size_t line, size_t column, const char *text)
{
    return err_set(ERR_INVALID, "%s:%zu:%zu: %s", s->name, line, column, text);
}

static size_t column_of(const struct conf_gcfg *s)
{
    return s->at - s->line_start + 1;
}

static int fault_here(const struct conf_gcfg *s, const char *text)
{
    return fault(s, s->line, column_of(s), text);
}

/* The byte at the scanner, or -1 at the end. */
static int peek(const struct conf_gcfg *s)
{
    return s->at < s->text.bytes ? s->text.data[s->at] : -1;
}

/* Steps over one byte, which may be a newline. */
static void advance(struct conf_gcfg *s)
{
    if (s->text.data[s->at++] == '\n') {
        s->line++;
        s->line_start = s->at;
    }
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(struct conf_gcfg *s)
{
    while (is_blank(peek(s))) {
        s->at++;
    }
}

/* The text's encoding is checked line by line, before anything of the line is read. */
static int check_encoding(const struct conf_gcfg *s)
{
    struct span rest = span_from(s->text, s->at);
    for (size_t column = 1; rest.bytes > 0 && rest.data[0] != '\n';) {
        struct span before = rest;
        uint32_t c = text_utf8_next(&rest);
        struct span bytes = span_first(before, before.bytes - rest.bytes);
        if (c == 0) {
            return fault(s, s->line, column, "a NUL byte");
        }
        if (!text_is_utf8(bytes)) {
            return fault(s, s->line, column, "not UTF-8");
        }
        column += bytes.bytes;
    }
    return 0;
}

/* Comment and newline, or the end. */
static int end_line(struct conf_gcfg *s, const char *complaint)
{
    skip_blanks(s);
    int c = peek(s);
    if (c == '#' || c == ';') {
        while (peek(s) >= 0 && peek(s) != '\n') {
            s->at++;
        }
        c = peek(s);
    }
    if (c < 0) {
        return 0;
    }
    if (c != '\n') {
        return fault_here(s, complaint);
    }
    advance(s);
    return 0;
}

/* Letters beyond ASCII are not told from other signs there: no schema has such a name, so it is
 * an error either way, and as an unknown key it comes with a suggestion. */
static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

static bool is_name(int c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '-';
}

static struct span scan_name(struct conf_gcfg *s)
{
    size_t from = s->at;
    while (is_name(peek(s))) {
        s->at++;
    }
    return span_of(s->text.data + from, s->at - from);
}

/* The quoted part of a header: only \\ and \" are escapes. */
static int scan_subsection(struct conf_gcfg *s)
{
    size_t column = column_of(s);
    s->at++;
    for (;;) {
        int c = peek(s);
        if (c < 0 || c == '\n') {
            return fault(s, s->line, column, "the subsection's name has no closing quote");
        }
        s->at++;
        if (c == '"') {
            break;
        }
        if (c == '\\') {
            c = peek(s);
            if (c != '\\' && c != '"') {
                s->at--;
                return fault_here(s, "unknown escape sequence, only \\\\ and \\\" are allowed");
            }
            s->at++;
        }
        buf_append_byte(&s->decoded, (uint8_t)c);
    }
    if (s->decoded.bytes == 0) {
        return fault(s, s->line, column, "empty subsection name");
    }
    return 0;
}

static int scan_header(struct conf_gcfg *s, struct conf_gcfg_item *item)
{
    s->at++;
    skip_blanks(s);
    item->kind = CONF_GCFG_HEADER;
    item->column = column_of(s);
    if (!is_letter(peek(s))) {
        return fault_here(s, "expected a section name");
    }
    item->name = scan_name(s);
    item->name_to = s->at;
    skip_blanks(s);
    if (peek(s) == '"') {
        int rc = scan_subsection(s);
        if (rc < 0) {
            return rc;
        }
        item->has_subsection = true;
        item->subsection = buf_span(&s->decoded);
        skip_blanks(s);
    }
    if (peek(s) != ']') {
        return fault_here(s, "expected a quoted subsection name or ']'");
    }
    s->at++;
    s->in_section = true;
    return 0;
}

/* Inside double quotes, after a backslash. */
static int scan_escape(struct conf_gcfg *s)
{
    static const char names[] = "\\\"nt";
    static const char meanings[] = "\\\"\n\t";
    const char *name = peek(s) > 0 ? strchr(names, peek(s)) : NULL;
    if (name == NULL) {
        s->at--;
        return fault_here(s, "unknown escape sequence, only \\\\ \\\" \\n and \\t are allowed");
    }
    s->at++;
    buf_append_byte(&s->decoded, (uint8_t)meanings[name - names]);
    return 0;
}

static int scan_quoted(struct conf_gcfg *s)
{
    size_t column = column_of(s);
    s->at++;
    for (;;) {
        int c = peek(s);
        if (c < 0 || c == '\n') {
            return fault(s, s->line, column, "string not terminated");
        }
        s->at++;
        if (c == '"') {
            return 0;
        }
        int rc = 0;
        if (c == '\\') {
            rc = scan_escape(s);
        } else if (c != '\r') {
            buf_append_byte(&s->decoded, (uint8_t)c);
        }
        if (rc < 0) {
            return rc;
        }
    }
}

/* Outside quotes, at a backslash: the line goes on, or a literal quote. */
static int scan_backslash(struct conf_gcfg *s)
{
    size_t after = s->at + 1;
    if (after < s->text.bytes && s->text.data[after] == '"') {
        s->at += 2;
        buf_append_byte(&s->decoded, '"');
        return 0;
    }
    if (after < s->text.bytes && s->text.data[after] == '\r') {
        after++;
    }
    if (after < s->text.bytes && s->text.data[after] == '\n') {
        s->at = after;
        advance(s);
        return check_encoding(s);
    }
    return fault_here(s, "a backslash outside quotes may only stand before a quote or a line end; "
                         "write the value in backticks or double it inside quotes");
}

static int scan_plain_value(struct conf_gcfg *s, struct conf_gcfg_item *item)
{
    size_t kept = 0; /* of what is decoded: without trailing white space */
    for (int c; (c = peek(s)) >= 0 && c != '\n' && c != '#' && c != ';';) {
        int rc = 0;
        if (c == '"') {
            rc = scan_quoted(s);
        } else if (c == '\\') {
            rc = scan_backslash(s);
        } else {
            s->at++;
            if (c != '\r') {
                buf_append_byte(&s->decoded, (uint8_t)c);
            }
        }
        if (rc < 0) {
            return rc;
        }
        if (!is_blank(c)) {
            kept = s->decoded.bytes;
            item->value_to = s->at;
        }
    }
    item->value = span_of(s->decoded.data, kept);
    return 0;
}

static int scan_backticks(struct conf_gcfg *s, struct conf_gcfg_item *item)
{
    size_t line = s->line;
    size_t column = column_of(s);
    s->at++;
    size_t from = s->at;
    while (peek(s) != '`') {
        if (peek(s) < 0) {
            return fault(s, line, column, "the value has no closing backtick");
        }
        bool next_line = peek(s) == '\n';
        advance(s);
        int rc = next_line ? check_encoding(s) : 0;
        if (rc < 0) {
            return rc;
        }
    }
    item->value = span_of(s->text.data + from, s->at - from);
    s->at++;
    item->value_to = s->at;
    return 0;
}

static int scan_variable(struct conf_gcfg *s, struct conf_gcfg_item *item)
{
    item->kind = CONF_GCFG_VARIABLE;
    if (!s->in_section) {
        return fault_here(s, "a key before any section header");
    }
    item->name = scan_name(s);
    item->name_to = s->at;
    item->value_from = item->value_to = s->at;
    skip_blanks(s);
    if (peek(s) != '=') {
        return 0;
    }
    s->at++;
    item->has_value = true;
    item->value_from = item->value_to = s->at;
    skip_blanks(s);
    int c = peek(s);
    if (c >= 0 && c != '\n' && c != '#' && c != ';') {
        item->value_from = item->value_to = s->at;
    }
    item->value_line = s->line;
    item->value_column = column_of(s);
    return c == '`' ? scan_backticks(s, item) : scan_plain_value(s, item);
}

static int scan_item(struct conf_gcfg *s, struct conf_gcfg_item *item)
{
    buf_clear(&s->decoded);
    *item = (struct conf_gcfg_item){.line = s->line, .column = column_of(s)};
    bool header = peek(s) == '[';
    int rc;
    if (header) {
        rc = scan_header(s, item);
    } else if (is_letter(peek(s))) {
        rc = scan_variable(s, item);
    } else {
        rc = fault_here(s, "expected a section header, a key or a comment");
    }
    if (rc < 0) {
        return rc;
    }
    rc = end_line(s, header            ? "expected the end of the line after the header"
                     : item->has_value ? "expected the end of the line after the value"
                                       : "expected '=' or the end of the line after the key");
    bool newline = s->at > 0 && s->at == s->line_start;
    item->line_to = newline ? s->at - 1 : s->at;
    return rc;
}

int conf_gcfg_next(struct conf_gcfg *s, struct conf_gcfg_item *ret_item)
{
    while (peek(s) >= 0) {
        int rc = check_encoding(s);
        if (rc < 0) {
            return rc;
        }
        skip_blanks(s);
        int c = peek(s);
        if (c >= 0 && c != '\n' && c != '#' && c != ';') {
            return scan_item(s, ret_item);
        }
        rc = end_line(s, "");
        if (rc < 0) {
            return rc;
        }
    }
    return CONF_GCFG_END;
}
