#include "webserver/extractor_toml.h"

#include "base/text.h"

struct reader {
    struct span rest;
    size_t line;
};

static const struct {
    const char *toml;
    const char *json;
} keys[] = {{"name", "Name"}, {"desc", "Desc"}, {"module", "Module"}, {"params", "Params"},
            {"args", "Args"}, {"tag", "Tag"},   {"tags", "Tags"}};

static int fault(const struct reader *reader, const char *what)
{
    return err_set(ERR_INVALID, "line %zu: %s", reader->line, what);
}

static void skip(struct reader *reader, size_t bytes)
{
    for (size_t i = 0; i < bytes && i < reader->rest.bytes; i++) {
        reader->line += reader->rest.data[i] == '\n' ? 1 : 0;
    }
    reader->rest = span_from(reader->rest, MIN(bytes, reader->rest.bytes));
}

/* White space and comments; with `lines` ends of lines too. */
static void skip_gap(struct reader *reader, bool lines)
{
    while (reader->rest.bytes > 0) {
        uint8_t c = reader->rest.data[0];
        if (c == '#') {
            ptrdiff_t end = span_find_byte(reader->rest, '\n');
            skip(reader, end < 0 ? reader->rest.bytes : (size_t)end);
        } else if (c == ' ' || c == '\t' || c == '\r' || (lines && c == '\n')) {
            skip(reader, 1);
        } else {
            break;
        }
    }
}

static bool takes(struct reader *reader, struct span word)
{
    bool here = span_starts_with(reader->rest, word);
    skip(reader, here ? word.bytes : 0);
    return here;
}

/* One escape behind its backslash. */
static int escape(struct reader *reader, struct buf *buf)
{
    static const char letters[] = "btnfr\"\\";
    static const char values[] = "\b\t\n\f\r\"\\";
    struct buf code = {0};
    if (reader->rest.bytes == 0) {
        return fault(reader, "a text without its end");
    }
    const char *letter = memchr(letters, reader->rest.data[0], sizeof(letters) - 1);
    size_t digits = reader->rest.data[0] == 'u' ? 4 : reader->rest.data[0] == 'U' ? 8 : 0;
    if (letter != NULL) {
        buf_append_byte(buf, (uint8_t)values[letter - letters]);
        skip(reader, 1);
        return 0;
    }
    bool good = digits > 0 && reader->rest.bytes > digits &&
                text_unhex(&code, span_first(span_from(reader->rest, 1), digits));
    uint32_t c = 0;
    for (size_t i = 0; good && i < code.bytes; i++) {
        c = c << 8 | code.data[i];
    }
    buf_deinit(&code);
    if (!good || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
        return fault(reader, "an escape that is not known");
    }
    text_utf8_put(buf, c);
    skip(reader, digits + 1);
    return 0;
}

static int read_text(struct reader *reader, struct buf *buf)
{
    static const char *const quotes[] = {"\"\"\"", "'''", "\"", "'"};
    size_t kind = 0;
    while (kind < ARRAY_COUNT(quotes) && !takes(reader, span_of_str(quotes[kind]))) {
        kind++;
    }
    if (kind == ARRAY_COUNT(quotes)) {
        return fault(reader, "a text in quotes was expected");
    }
    struct span quote = span_of_str(quotes[kind]);
    bool escapes = quote.data[0] == '"';
    if (quote.bytes == 3) {
        (void)(takes(reader, SPAN_LIT("\r\n")) || takes(reader, SPAN_LIT("\n")));
    }
    while (!takes(reader, quote)) {
        if (reader->rest.bytes == 0 || (quote.bytes == 1 && reader->rest.data[0] == '\n')) {
            return fault(reader, "a text without its end");
        }
        if (escapes && takes(reader, SPAN_LIT("\\"))) {
            int rc = escape(reader, buf);
            if (rc < 0) {
                return rc;
            }
            continue;
        }
        buf_append_byte(buf, reader->rest.data[0]);
        skip(reader, 1);
    }
    return 0;
}

static int read_string(struct reader *reader, json_t **ret_value)
{
    struct buf text = {0};
    int rc = read_text(reader, &text);
    *ret_value = rc == 0 ? json_stringn(buf_str(&text), text.bytes) : NULL;
    buf_deinit(&text);
    return rc == 0 && *ret_value == NULL ? fault(reader, "a text that is not UTF-8") : rc;
}

static int read_list(struct reader *reader, json_t **ret_value)
{
    json_t *list = json_array();
    int rc = 0;
    skip_gap(reader, true);
    while (rc == 0 && !takes(reader, SPAN_LIT("]"))) {
        json_t *item = NULL;
        rc = read_string(reader, &item);
        if (rc == 0) {
            json_array_append_new(list, item);
        }
        skip_gap(reader, true);
        if (rc == 0 && !takes(reader, SPAN_LIT(",")) && reader->rest.bytes > 0 &&
            reader->rest.data[0] != ']') {
            rc = fault(reader, "',' or ']' was expected");
        }
        skip_gap(reader, true);
    }
    *ret_value = list;
    return rc;
}

static int read_member(struct reader *reader, json_t *definition)
{
    size_t bytes = 0;
    while (bytes < reader->rest.bytes && strchr("= \t\r\n#", reader->rest.data[bytes]) == NULL) {
        bytes++;
    }
    struct span name = span_first(reader->rest, bytes);
    size_t key = 0;
    while (key < ARRAY_COUNT(keys) && !span_equal_str(name, keys[key].toml)) {
        key++;
    }
    if (key == ARRAY_COUNT(keys)) {
        return err_set(ERR_INVALID, "line %zu: unknown key '%.*s'", reader->line,
                       SPAN_ARG(span_first(name, 32)));
    }
    skip(reader, bytes);
    skip_gap(reader, false);
    if (!takes(reader, SPAN_LIT("="))) {
        return fault(reader, "'=' was expected");
    }
    skip_gap(reader, false);
    json_t *value = NULL;
    bool list = strcmp(keys[key].toml, "tags") == 0;
    if (list && !takes(reader, SPAN_LIT("["))) {
        return fault(reader, "'[' was expected");
    }
    int rc = list ? read_list(reader, &value) : read_string(reader, &value);
    if (value != NULL) {
        json_object_set_new(definition, keys[key].json, value);
    }
    skip_gap(reader, false);
    bool ends = reader->rest.bytes == 0 || reader->rest.data[0] == '\n';
    return rc == 0 && !ends ? fault(reader, "something follows the value") : rc;
}

int extractor_toml_read(struct span text, json_t **ret_list)
{
    struct reader reader = {.rest = text, .line = 1};
    json_t *list = json_array();
    json_t *definition = NULL;
    int rc = 0;
    for (skip_gap(&reader, true); rc == 0 && reader.rest.bytes > 0; skip_gap(&reader, true)) {
        if (takes(&reader, SPAN_LIT("[[extraction]]"))) {
            definition = json_object();
            json_array_append_new(list, definition);
            rc = json_array_size(list) > EXTRACTOR_TOML_MAX
                     ? fault(&reader, "more than 1000 definitions")
                     : 0;
        } else if (definition == NULL) {
            rc = fault(&reader, "[[extraction]] was expected");
        } else {
            rc = read_member(&reader, definition);
        }
    }
    if (rc == 0 && definition == NULL) {
        rc = fault(&reader, "there is no [[extraction]]");
    }
    if (rc < 0) {
        json_decref(list);
        return rc;
    }
    *ret_list = list;
    return 0;
}

/* In single quotes where that is possible: expressions stay as they are. */
static void put_text(const char *text, struct buf *buf)
{
    bool literal = strchr(text, '\'') == NULL;
    for (const char *at = text; *at != '\0' && literal; at++) {
        literal = (uint8_t)*at >= 0x20 && *at != 0x7F;
    }
    if (literal) {
        buf_printf(buf, "'%s'", text);
    } else {
        text_json_string(buf, span_of_str(text));
    }
}

void extractor_toml_write(const json_t *definition, struct buf *buf)
{
    buf_append_str(buf, "[[extraction]]\n");
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        const json_t *value = json_object_get(definition, keys[i].json);
        size_t j;
        const json_t *item;
        if (json_string_length(value) > 0) {
            buf_printf(buf, "\t%s = ", keys[i].toml);
            put_text(json_string_value(value), buf);
            buf_append_byte(buf, '\n');
        } else if (json_array_size(value) > 0) {
            buf_printf(buf, "\t%s = [", keys[i].toml);
            json_array_foreach(value, j, item)
            {
                const char *text = json_string_value(item);
                buf_append_str(buf, j > 0 ? ", " : "");
                put_text(text == NULL ? "" : text, buf);
            }
            buf_append_str(buf, "]\n");
        }
    }
}
