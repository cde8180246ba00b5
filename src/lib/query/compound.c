#include "query/compound.h"

#include "query/lex.h"
#include "query/save.h"

struct reader {
    struct span text;
    size_t at;
    struct query_error *error;
};

static void skip_gap(struct reader *reader)
{
    for (;;) {
        struct span rest = span_from(reader->text, reader->at);
        size_t bytes = query_space(rest);
        bool comment = rest.bytes > 0 && rest.data[0] == '/';
        bytes = comment ? query_aside_bytes(rest) : bytes;
        if (bytes == 0) {
            return;
        }
        reader->at += bytes;
    }
}

static bool take(struct reader *reader, char byte)
{
    skip_gap(reader);
    bool here = reader->at < reader->text.bytes && reader->text.data[reader->at] == (uint8_t)byte;
    reader->at += here ? 1 : 0;
    return here;
}

static struct span take_name(struct reader *reader)
{
    size_t begin = reader->at;
    reader->at++; /* the @ */
    while (reader->at < reader->text.bytes) {
        uint8_t c = reader->text.data[reader->at];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-';
        if (!word) {
            break;
        }
        reader->at++;
    }
    return span_first(span_from(reader->text, begin), reader->at - begin);
}

/* Up to the brace that closes it; false: there is none. */
static bool take_braces(struct reader *reader, struct span *ret_inside)
{
    size_t begin = reader->at;
    size_t depth = 1;
    while (reader->at < reader->text.bytes) {
        struct span rest = span_from(reader->text, reader->at);
        size_t aside = query_aside_bytes(rest);
        depth += rest.data[0] == '{' ? 1 : 0;
        depth -= rest.data[0] == '}' ? 1 : 0;
        if (depth == 0) {
            *ret_inside = span_first(span_from(reader->text, begin), reader->at - begin);
            reader->at++;
            return true;
        }
        reader->at += MAX(aside, (size_t)1);
    }
    return false;
}

static int fault(const struct reader *reader, size_t at, size_t bytes, const char *what)
{
    return query_fault(reader->error, at, bytes, "%s", what);
}

static int take_inner(struct reader *reader, struct query_compound *compound)
{
    size_t at = reader->at;
    if (compound->count == QUERY_INNER_MAX) {
        return fault(reader, at, 1, "more than 16 inner queries");
    }
    struct query_compound_part *part = &compound->parts[compound->count++];
    part->name = take_name(reader);
    if (part->name.bytes == 1) {
        return fault(reader, at, 1, "a name must follow '@': @name{ query };");
    }
    for (size_t i = 0; i + 1 < compound->count; i++) {
        if (span_equal(compound->parts[i].name, part->name)) {
            return fault(reader, at, part->name.bytes, "two inner queries have this name");
        }
    }
    if (!take(reader, '{')) {
        return fault(reader, at, part->name.bytes, "'{' was expected behind the name");
    }
    size_t open = reader->at - 1;
    part->offset = reader->at;
    if (!take_braces(reader, &part->text)) {
        return fault(reader, open, 1, "'{' without its '}'");
    }
    return take(reader, ';') ? 0
                             : fault(reader, MIN(reader->at, reader->text.bytes), 0,
                                     "';' was expected behind an inner query");
}

int query_compound_split(struct span text, struct query_compound *ret_compound,
                         struct query_error *ret_error)
{
    struct reader reader = {.text = text, .error = ret_error};
    int rc = 0;
    ret_compound->count = 0;
    ret_error->stage = -1;
    for (skip_gap(&reader); rc == 0 && reader.at < text.bytes && text.data[reader.at] == '@';
         skip_gap(&reader)) {
        rc = take_inner(&reader, ret_compound);
    }
    if (rc < 0) {
        return rc;
    }
    size_t begin = ret_compound->count == 0 ? 0 : reader.at;
    ret_compound->parts[ret_compound->count++] =
        (struct query_compound_part){.text = span_from(text, begin), .offset = begin};
    return 0;
}

int query_compound_check(const struct query_compound_part *part, const struct query *query,
                         struct query_error *ret_error)
{
    const struct query_stage *last = &query->stages[query->stage_count - 1];
    bool saves = query_save_of(query) != NULL;
    if (part->name.bytes == 0 || (strcmp(last->name, "table") == 0 && !saves)) {
        return 0;
    }
    ret_error->stage = (int)query->stage_count - 1;
    if (saves) {
        return query_fault(ret_error, last->offset, strlen(last->name),
                           "inner query '%.*s' cannot save its table",
                           SPAN_ARG(span_first(part->name, 64)));
    }
    return query_fault(ret_error, 0, part->text.bytes, "inner query '%.*s' must end in table",
                       SPAN_ARG(span_first(part->name, 64)));
}
