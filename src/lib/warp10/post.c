#include "warp10/post.h"

#include <stdio.h>
#include <zlib.h>

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"

#define ANSWER_BYTES_MAX ((size_t)1 << 20)
#define REASON_BYTES_MAX 512
#define GZIP_WINDOW_BITS 31
#define DOUBLINGS_MAX 16

bool post_again(struct post_retry *retry, enum post_verdict verdict)
{
    retry->failures++;
    if (verdict == POST_REFUSED && ++retry->refusals >= POST_TRIES_MAX) {
        return false;
    }
    unsigned doublings = MIN(retry->failures - 1, DOUBLINGS_MAX);
    retry->pause_ms = MIN((unsigned)POST_PAUSE_MS_MIN << doublings, (unsigned)POST_PAUSE_MS_MAX);
    return true;
}

enum post_verdict post_verdict_of_status(int status)
{
    switch (status) {
    case 200:
        return POST_DONE;
    case 408:
    case 429:
    case 502:
    case 503:
    case 504:
        return POST_LATER;
    default:
        return POST_REFUSED;
    }
}

void post_request_of(struct span text, const struct warp10_datalog *datalog,
                     struct post_request *ret_request)
{
    struct span line = SPAN_NONE;
    (void)span_split(&text, '\n', &line);
    *ret_request =
        (struct post_request){.action = datalog->action,
                              .header = span_from(line, line.bytes > 0 && line.data[0] == '#'),
                              .query = datalog->query,
                              .lines = text};
}

static const char *verb_of(enum warp10_action action)
{
    return action == WARP10_UPDATE ? "update" : action == WARP10_META ? "meta" : "delete";
}

static void put_url(struct buf *url, const struct post_target *target,
                    const struct post_request *request)
{
    struct span base = span_of_str(target->url);
    while (span_ends_with(base, SPAN_LIT("/"))) {
        base.bytes--;
    }
    ptrdiff_t scheme = span_find(base, SPAN_LIT("://"));
    struct span rest = span_from(base, scheme < 0 ? 0 : (size_t)scheme + 3);
    buf_append(url, base);
    buf_append_str(url, span_find_byte(rest, '/') < 0 ? "/api/v0/" : "/");
    buf_append_str(url, verb_of(request->action));
    if (request->action == WARP10_DELETE) {
        buf_append_byte(url, '?');
        buf_append(url, request->query);
    }
}

static void gzip(struct buf *packed, struct span lines)
{
    z_stream z = {0};
    CHECK(deflateInit2(&z, 1, Z_DEFLATED, GZIP_WINDOW_BITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    size_t bound = deflateBound(&z, lines.bytes);
    z.next_in = (uint8_t *)(uintptr_t)lines.data;
    z.avail_in = (unsigned)lines.bytes;
    z.next_out = buf_reserve(packed, bound);
    z.avail_out = (unsigned)bound;
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    packed->bytes += z.total_out;
    (void)deflateEnd(&z);
}

static enum post_verdict judge(struct http_answer *answer, struct buf *text)
{
    enum post_verdict verdict = post_verdict_of_status(answer->status);
    buf_printf(text, "%d: ", answer->status);
    buf_append(text, span_first(span_trim(buf_span(&answer->body)), REASON_BYTES_MAX));
    http_answer_deinit(answer);
    return verdict;
}

enum post_verdict post_once(const struct post_target *target, const struct post_request *request,
                            struct buf *text)
{
    struct buf url = {0};
    struct buf header = {0};
    struct buf packed = {0};
    struct http_answer answer = {0};
    bool has_body = request->action != WARP10_DELETE;
    bool compress = has_body && target->compress && request->lines.bytes > 0;
    put_url(&url, target, request);
    buf_append(&header, request->header);
    if (compress) {
        gzip(&packed, request->lines);
    }
    const struct http_header headers[] = {{WARP10_DATALOG_HEADER, buf_str(&header)},
                                          {"Accept", "text/plain"}};
    struct http_call call = {
        .method = has_body ? "POST" : "GET",
        .url = buf_str(&url),
        .headers = headers,
        .header_count = ARRAY_COUNT(headers),
        .body = compress   ? buf_span(&packed)
                : has_body ? request->lines
                           : SPAN_NONE,
        .content_type = compress ? "application/gzip" : "text/plain; charset=utf-8",
        .answer_bytes_max = ANSWER_BYTES_MAX,
        .idle_ms = POST_IDLE_MS,
        .cancel = target->cancel,
    };
    enum post_verdict verdict = POST_LATER;
    if (http_call(target->client, &call, &answer) == 0) {
        verdict = judge(&answer, text);
    } else {
        buf_append_str(text, err_text());
    }
    buf_deinit(&url);
    buf_deinit(&header);
    buf_deinit(&packed);
    return verdict;
}

static int quarantine(const struct post_target *target, const struct post_request *request,
                      struct span reason)
{
    struct buf text = {0};
    if (target->quarantine_dir == NULL) {
        return err_set(ERR_DENIED, "%.*s", SPAN_ARG(reason));
    }
    buf_append(&text, request->header);
    buf_append_byte(&text, '\n');
    buf_append(&text, request->lines);
    struct refused_item item = {.time_ns = io_now_ns(target->io),
                                .link = span_of_str(target->link),
                                .target = span_of_str(target->url),
                                .reason = reason,
                                .tries = POST_TRIES_MAX,
                                .request = buf_span(&text)};
    int rc = refused_put(target->io, target->quarantine_dir, &item);
    buf_deinit(&text);
    return rc;
}

static void tell(const struct post_target *target, const char *text, bool given_up)
{
    if (target->tell != NULL) {
        target->tell(target->tell_context, text, given_up);
    }
}

/* 1: it is set aside. 0: that was not possible, go on trying. */
static int give_up(const struct post_target *target, const struct post_request *request,
                   struct buf *text)
{
    int rc = quarantine(target, request, buf_span(text));
    if (rc == 0) {
        tell(target, buf_str(text), true);
        return 1;
    }
    if (rc == ERR_DENIED && target->quarantine_dir == NULL) {
        return rc;
    }
    tell(target, err_text(), false);
    return 0;
}

int post_deliver(const struct post_target *target, const struct post_request *request)
{
    struct post_retry retry = {0};
    struct buf text = {0};
    int rc = 0;
    for (;;) {
        buf_clear(&text);
        enum post_verdict verdict = post_once(target, request, &text);
        if (verdict == POST_DONE) {
            break;
        }
        if (target->cancel != NULL && http_cancel_fired(target->cancel)) {
            rc = err_set(ERR_CANCELLED, "stopped");
            break;
        }
        if (!post_again(&retry, verdict)) {
            rc = give_up(target, request, &text);
            if (rc != 0) {
                break;
            }
        } else {
            tell(target, buf_str(&text), false);
        }
        if (!target->pause(target->pause_context, retry.pause_ms)) {
            rc = err_set(ERR_CANCELLED, "stopped");
            break;
        }
    }
    buf_deinit(&text);
    return rc;
}
