/*
 * multipart/form-data (RFC 7578), read while it arrives. One window over the body: bytes before
 * `begin` are done with, a part's data ends where CRLF "--" boundary begins.
 *
 *     PREAMBLE ──boundary──> HEADERS ──blank line──> DATA ──boundary──> HEADERS … ──"--"──> END
 */
#include <stdio.h>

#include "net/http_internal.h"

#define WINDOW_BYTES ((size_t)64 * 1024)
#define BOUNDARY_BYTES_MAX 70
#define PART_HEADERS_BYTES_MAX ((size_t)8 * 1024)

enum state { PREAMBLE, DATA, END };

struct http_multipart {
    struct http_request *request;
    char delimiter[BOUNDARY_BYTES_MAX + 5]; /* CRLF "--" boundary */
    size_t delimiter_bytes;
    enum state state;
    uint8_t *window;
    size_t begin, end;
    bool body_ended;
};

static int broken(const char *what)
{
    return err_set(ERR_INVALID, "the multipart body is broken: %s", what);
}

static struct span window_span(const struct http_multipart *multipart)
{
    return span_of(multipart->window + multipart->begin, multipart->end - multipart->begin);
}

/* Reads more behind what is there. */
static int fill(struct http_multipart *multipart)
{
    if (multipart->begin > 0) {
        memmove(multipart->window, multipart->window + multipart->begin,
                multipart->end - multipart->begin);
        multipart->end -= multipart->begin;
        multipart->begin = 0;
    }
    if (multipart->end == WINDOW_BYTES) {
        return err_set(ERR_TOO_LARGE, "the headers of a multipart part are too large");
    }
    size_t got = 0;
    int rc = http_request_read(multipart->request, multipart->window + multipart->end,
                               WINDOW_BYTES - multipart->end, &got);
    multipart->end += got;
    multipart->body_ended = rc == 0 && got == 0;
    return rc;
}

/* ── Content-Type: multipart/form-data; boundary="x" ─────────────────────────────────────── */

/* The value of `name` among "; a=b; c=\"d\"", unquoted; NULL when absent. */
static const char *parameter(struct arena *arena, struct span text, const char *name)
{
    ptrdiff_t semicolon;
    while ((semicolon = span_find_byte(text, ';')) >= 0) {
        text = span_trim(span_from(text, (size_t)semicolon + 1));
        ptrdiff_t equals = span_find_byte(text, '=');
        if (equals < 0) {
            return NULL;
        }
        struct span key = span_trim(span_first(text, (size_t)equals));
        text = span_trim(span_from(text, (size_t)equals + 1));
        struct buf value = {0};
        bool quoted = text.bytes > 0 && text.data[0] == '"';
        size_t at = quoted ? 1 : 0;
        for (; at < text.bytes && text.data[at] != (quoted ? '"' : ';'); at++) {
            /* Only an escaped quote is an escape: browsers send C:\dir as it is. */
            bool escape = quoted && text.data[at] == '\\' && at + 1 < text.bytes &&
                          (text.data[at + 1] == '"' || text.data[at + 1] == '\\');
            at += escape ? 1 : 0;
            buf_append_byte(&value, text.data[at]);
        }
        text = span_from(text, at);
        const char *found = NULL;
        if (span_equal_nocase(key, span_of_str(name))) {
            struct span whole = buf_span(&value);
            found = arena_span_str(arena, quoted ? whole : span_trim(whole));
        }
        buf_deinit(&value);
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

int http_multipart_open(struct http_request *request, struct http_multipart **ret)
{
    CHECK(request->multipart == NULL);
    struct span type = span_of_str(http_request_header(request, "Content-Type"));
    struct span kind = SPAN_LIT("multipart/form-data");
    const char *boundary = parameter(request->arena, type, "boundary");
    if (!span_equal_nocase(span_first(type, kind.bytes), kind) || boundary == NULL ||
        boundary[0] == 0 || strlen(boundary) > BOUNDARY_BYTES_MAX) {
        return err_set(ERR_INVALID, "multipart/form-data with a boundary is expected");
    }
    struct http_multipart *multipart = ARENA_NEW(request->arena, struct http_multipart);
    multipart->request = request;
    multipart->delimiter_bytes =
        (size_t)snprintf(multipart->delimiter, sizeof(multipart->delimiter), "\r\n--%s", boundary);
    multipart->window = arena_alloc(request->arena, WINDOW_BYTES);
    /* The first boundary has no line before it: give it one. */
    memcpy(multipart->window, "\r\n", 2);
    multipart->end = 2;
    request->multipart = multipart;
    *ret = multipart;
    return 0;
}

/* ── Data ────────────────────────────────────────────────────────────────────────────────── */

/* How many bytes at the front surely belong to the part; *ret_at_end: the delimiter follows them.
 * A delimiter that may have begun at the window's end is not touched. */
static size_t data_bytes(const struct http_multipart *multipart, bool *ret_at_end)
{
    struct span window = window_span(multipart);
    struct span delimiter = span_of(multipart->delimiter, multipart->delimiter_bytes);
    ptrdiff_t found = span_find(window, delimiter);
    *ret_at_end = found >= 0;
    if (found >= 0) {
        return (size_t)found;
    }
    size_t keep = MIN(window.bytes, delimiter.bytes - 1);
    while (keep > 0 && memcmp(window.data + window.bytes - keep, delimiter.data, keep) != 0) {
        keep--;
    }
    return window.bytes - keep;
}

int http_multipart_read(struct http_multipart *multipart, void *data, size_t bytes, size_t *ret_got)
{
    if (multipart->state != DATA) {
        *ret_got = 0;
        return 0;
    }
    for (;;) {
        bool at_end;
        size_t there = data_bytes(multipart, &at_end);
        if (there > 0 || at_end) {
            size_t got = MIN(there, bytes);
            if (got > 0) {
                memcpy(data, multipart->window + multipart->begin, got);
                multipart->begin += got;
            }
            *ret_got = got;
            return 0;
        }
        int rc = multipart->body_ended ? broken("it ends within a part") : fill(multipart);
        if (rc < 0) {
            return rc;
        }
    }
}

int http_multipart_text(struct http_multipart *multipart, size_t bytes_max, const char **ret_text)
{
    struct buf text = {0};
    size_t got = 0;
    int rc;
    do {
        uint8_t *at = buf_reserve(&text, 4096);
        rc = http_multipart_read(multipart, at, 4096, &got);
        got = rc == 0 ? got : 0;
        text.bytes += got;
        if (text.bytes > bytes_max) {
            rc = err_set(ERR_TOO_LARGE, "a multipart field has more than %zu bytes", bytes_max);
        }
    } while (rc == 0 && got > 0);
    if (rc == 0 && text.bytes >= arena_left(multipart->request->arena)) {
        rc = err_set(ERR_TOO_LARGE, "the multipart fields are too large");
    }
    if (rc == 0) {
        *ret_text = arena_span_str(multipart->request->arena, buf_span(&text));
    }
    buf_deinit(&text);
    return rc;
}

/* ── Parts ───────────────────────────────────────────────────────────────────────────────── */

static int skip_data(struct http_multipart *multipart)
{
    for (;;) {
        bool at_end;
        multipart->begin += data_bytes(multipart, &at_end);
        if (at_end) {
            multipart->begin += multipart->delimiter_bytes;
            return 0;
        }
        int rc = multipart->body_ended ? broken("there is no closing boundary") : fill(multipart);
        if (rc < 0) {
            return rc;
        }
    }
}

static int need(struct http_multipart *multipart, size_t bytes)
{
    while (multipart->end - multipart->begin < bytes) {
        int rc = multipart->body_ended ? broken("it ends early") : fill(multipart);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* The header lines with the blank line after them, taken off the front; in the arena. */
static int take_headers(struct http_multipart *multipart, struct span *ret_headers)
{
    for (;;) {
        struct span window = window_span(multipart);
        /* The line of the boundary ends with CRLF too, so a part without headers is found. */
        ptrdiff_t end = span_find(window, SPAN_LIT("\r\n\r\n"));
        size_t bytes = end >= 0 ? (size_t)end : window.bytes;
        if (bytes > PART_HEADERS_BYTES_MAX ||
            arena_left(multipart->request->arena) < 4 * PART_HEADERS_BYTES_MAX) {
            return err_set(ERR_TOO_LARGE, "the headers of the multipart parts are too large");
        }
        if (end >= 0) {
            *ret_headers =
                arena_span_dup(multipart->request->arena, span_first(window, (size_t)end));
            multipart->begin += (size_t)end + 4;
            return 0;
        }
        int rc = multipart->body_ended ? broken("it ends within headers") : fill(multipart);
        if (rc < 0) {
            return rc;
        }
    }
}

static void read_header(struct arena *arena, struct span line, struct http_part *part)
{
    ptrdiff_t colon = span_find_byte(line, ':');
    if (colon < 0) {
        return;
    }
    struct span name = span_trim(span_first(line, (size_t)colon));
    struct span value = span_trim(span_from(line, (size_t)colon + 1));
    if (span_equal_nocase(name, SPAN_LIT("Content-Disposition"))) {
        part->name = parameter(arena, value, "name");
        part->filename = parameter(arena, value, "filename");
    } else if (span_equal_nocase(name, SPAN_LIT("Content-Type"))) {
        part->content_type = arena_span_str(arena, value);
    }
}

int http_multipart_next(struct http_multipart *multipart, struct http_part *ret_part)
{
    if (multipart->state == END) {
        return HTTP_MULTIPART_END;
    }
    int rc = skip_data(multipart);
    rc = rc < 0 ? rc : need(multipart, 2);
    if (rc < 0) {
        return rc;
    }
    if (memcmp(multipart->window + multipart->begin, "--", 2) == 0) {
        multipart->state = END;
        return HTTP_MULTIPART_END;
    }
    struct span headers;
    struct span line;
    struct http_part part = {0};
    rc = take_headers(multipart, &headers);
    if (rc < 0) {
        return rc;
    }
    while (span_split(&headers, '\n', &line)) {
        read_header(multipart->request->arena, span_trim(line), &part);
    }
    if (part.name == NULL) {
        return broken("a part has no name");
    }
    multipart->state = DATA;
    *ret_part = part;
    return 0;
}
