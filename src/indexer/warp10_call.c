/* What all requests of the Warp 10 API have in common. Tested by warp10_test.c. */
#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"
#include "base/text.h"
#include "base/time.h"
#include "indexer/warp10_internal.h"

#define FAULT_TEXT_BYTES_MAX 1024

static void answer_options(struct warp10 *warp10, struct http_request *request)
{
    struct buf allowed = {0};
    buf_printf(&allowed, "%s,X-Warp10-WarpScriptSession,Access-Control-Request-Private-Network",
               warp10->token_header);
    if (warp10->cors_headers[0] != 0) {
        buf_printf(&allowed, ",%s", warp10->cors_headers);
    }
    http_reply_header(request, "Access-Control-Allow-Origin", "*");
    http_reply_header(request, "Access-Control-Allow-Private-Network", "true");
    http_reply_header(request, "Access-Control-Allow-Methods", "OPTIONS,POST,GET");
    http_reply_header(request, "Access-Control-Allow-Headers", buf_str(&allowed));
    http_reply_header(request, "Access-Control-Max-Age", "2592000");
    http_reply(request, 200, NULL, SPAN_NONE);
    buf_deinit(&allowed);
}

bool warp10_call_begin(struct warp10_call *call, struct warp10 *warp10,
                       struct http_request *request)
{
    atomic_fetch_add(&warp10->requests, 1);
    if (strcmp(http_request_method(request), "OPTIONS") == 0) {
        answer_options(warp10, request);
        return false;
    }
    *call = (struct warp10_call){.warp10 = warp10,
                                 .request = request,
                                 .arena = http_request_arena(request),
                                 .now_ns = io_now_ns(warp10->io)};
    call->table = warp10_tokens_take(warp10->tokens);
    http_reply_header(request, "Access-Control-Allow-Origin", "*");
    return true;
}

void warp10_call_end(struct warp10_call *call)
{
    warp10_tokens_give(call->warp10->tokens, &call->table);
}

int warp10_call_datalog(struct warp10_call *call)
{
    const char *header = http_request_header(call->request, call->warp10->datalog_header);
    call->forwarded = header != NULL;
    return header == NULL ? 0
                          : warp10_datalog_decode(call->arena, span_of_str(header),
                                                  buf_span(&call->warp10->psk), &call->datalog);
}

int warp10_call_token(struct warp10_call *call, struct span text, bool write, const char *missing,
                      const char *forbidden)
{
    struct span value;
    if (call->forwarded) {
        text = call->datalog.token;
    }
    if (text.bytes == 0) {
        return err_set(ERR_AUTH, "%s", missing);
    }
    call->token_text = text;
    int rc = token_find(warp10_table_of(call->table), text, write, call->now_ns / TIME_MS_NS,
                        call->arena, &call->token);
    if (rc == 0 && token_attribute(call->token, forbidden, &value)) {
        rc = err_set(ERR_DENIED, "Token cannot be used for this.");
    }
    return rc;
}

struct span warp10_call_query(const struct warp10_call *call)
{
    struct span target = span_of_str(http_request_target(call->request));
    ptrdiff_t mark = span_find_byte(target, '?');
    return mark < 0 ? SPAN_NONE : span_from(target, (size_t)mark + 1);
}

int warp10_call_args(struct warp10_call *call, struct warp10_args *args)
{
    const char *type = http_request_header(call->request, "Content-Type");
    struct span form = SPAN_LIT("application/x-www-form-urlencoded");
    int rc = warp10_args_add(call->arena, args, warp10_call_query(call));
    if (rc == 0 && type != NULL &&
        span_equal_nocase(span_first(span_of_str(type), form.bytes), form)) {
        rc = warp10_args_add(call->arena, args, span_trim(http_request_body(call->request)));
    }
    return rc;
}

/* ── Errors ──────────────────────────────────────────────────────────────────────────────── */

static void put_html(struct buf *buf, struct span text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t c = text.data[i];
        const char *entity = c == '<'    ? "&lt;"
                             : c == '>'  ? "&gt;"
                             : c == '&'  ? "&amp;"
                             : c == '"'  ? "&quot;"
                             : c == '\'' ? "&apos;"
                                         : NULL;
        if (entity != NULL) {
            buf_append_str(buf, entity);
        } else {
            buf_append_byte(buf, c);
        }
    }
}

static void put_page(struct buf *page, const char *uri, int status, struct span text)
{
    buf_printf(page,
               "<html>\n<head>\n<meta http-equiv=\"Content-Type\" "
               "content=\"text/html;charset=utf-8\"/>\n<title>Error %d ",
               status);
    put_html(page, text);
    buf_printf(page, "</title>\n</head>\n<body><h2>HTTP ERROR %d ", status);
    put_html(page, text);
    buf_append_str(page, "</h2>\n<table>\n<tr><th>URI:</th><td>");
    put_html(page, span_of_str(uri));
    buf_printf(page, "</td></tr>\n<tr><th>STATUS:</th><td>%d</td></tr>\n", status);
    buf_append_str(page, "<tr><th>MESSAGE:</th><td>");
    put_html(page, text);
    buf_append_str(page, "</td></tr>\n</table>\n\n</body>\n</html>\n");
}

static const char *put_error(struct buf *page, struct http_request *request, int status,
                             struct span text)
{
    const char *accept = http_request_header(request, "Accept");
    const char *uri = http_request_path(request);
    if (accept != NULL && strstr(accept, "application/json") != NULL) {
        buf_append_str(page, "{\n\"url\":");
        text_json_string(page, span_of_str(uri));
        buf_printf(page, ",\n\"status\":\"%d\",\n\"message\":", status);
        text_json_string(page, text);
        buf_append_str(page, "\n}");
        return "application/json";
    }
    if (accept != NULL && strstr(accept, "text/plain") != NULL) {
        buf_printf(page, "HTTP ERROR %d %.*s\nURI: %s\nSTATUS: %d\nMESSAGE: %.*s\n", status,
                   SPAN_ARG(text), uri, status, SPAN_ARG(text));
        return "text/plain;charset=utf-8";
    }
    put_page(page, uri, status, text);
    return "text/html;charset=utf-8";
}

/* Lines that clients sent are quoted in errors: what is not UTF-8 or no character is replaced. */
static void make_printable(struct buf *text)
{
    struct buf raw = *text;
    *text = (struct buf){0};
    struct span rest = span_first(buf_span(&raw), FAULT_TEXT_BYTES_MAX);
    while (rest.bytes > 0) {
        uint32_t code = text_utf8_next(&rest);
        text_utf8_put(text, code < ' ' ? 0xFFFD : code);
    }
    buf_deinit(&raw);
}

void warp10_call_fail(struct warp10_call *call, int status, const char *format, ...)
{
    struct buf text = {0};
    struct buf page = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    make_printable(&text);
    atomic_fetch_add(&call->warp10->refused, 1);
    const char *type =
        put_error(&page, call->request, status, span_first(buf_span(&text), FAULT_TEXT_BYTES_MAX));
    http_reply_header(call->request, "Cache-Control", "must-revalidate,no-cache,no-store");
    http_reply_buf(call->request, status, type, &page);
    buf_deinit(&text);
    buf_deinit(&page);
}

int warp10_enter(struct warp10_gate *gate, const char *what)
{
    if (atomic_fetch_add(&gate->inside, 1) < gate->max) {
        return 0;
    }
    atomic_fetch_sub(&gate->inside, 1);
    return err_set(ERR_UNAVAILABLE, "Too many %s at a time.", what);
}

void warp10_leave(struct warp10_gate *gate)
{
    atomic_fetch_sub(&gate->inside, 1);
}

void warp10_call_fault(struct warp10_call *call, int rc)
{
    char text[ERR_TEXT_BYTES_MAX];
    (void)snprintf(text, sizeof(text), "%s", err_text());
    warp10_call_fail(call, warp10_status(rc), "%s", text);
}

void warp10_call_done(struct warp10_call *call)
{
    http_reply(call->request, 200, NULL, SPAN_NONE);
}
