/* Bodies in pieces, packed or not. Tested by warp10_test.c. */
#include "base/err.h"
#include "base/mem.h"
#include "indexer/warp10_internal.h"

#define PIECE_BYTES ((size_t)256 << 10)
#define FLUSH_BYTES ((size_t)128 << 10)
#define GZIP_BITS (15 + 16)
#define GZIP_LEVEL 1 /* the network is rarely slower than more of it */

void warp10_body_open(struct warp10_body *body, struct http_request *request)
{
    const char *type = http_request_header(request, "Content-Type");
    *body = (struct warp10_body){.request = request};
    body->packed = type != NULL && strcmp(type, "application/gzip") == 0;
    body->in = mem_alloc(PIECE_BYTES);
    if (body->packed) {
        body->out = mem_alloc(PIECE_BYTES);
        CHECK(inflateInit2(&body->z, GZIP_BITS) == Z_OK);
    }
}

void warp10_body_close(struct warp10_body *body)
{
    if (body->packed) {
        (void)inflateEnd(&body->z);
    }
    mem_free(body->in);
    mem_free(body->out);
}

static int read_some(struct warp10_body *body, size_t *ret_got)
{
    return http_request_read(body->request, body->in, PIECE_BYTES, ret_got);
}

/* More input for inflate; at its end `avail_in` stays 0. */
static int refill(struct warp10_body *body)
{
    size_t got = 0;
    if (body->z.avail_in > 0 || body->ended) {
        return 0;
    }
    int rc = read_some(body, &got);
    body->ended = got == 0;
    body->z.next_in = body->in;
    body->z.avail_in = (unsigned)got;
    return rc;
}

static int bad_gzip(void)
{
    return err_set(ERR_PROTOCOL, "Not in GZIP format");
}

int warp10_body_next(struct warp10_body *body, struct span *ret_piece)
{
    size_t got = 0;
    if (!body->packed) {
        int rc = read_some(body, &got);
        *ret_piece = span_of(body->in, got);
        return rc;
    }
    for (;;) {
        int rc = refill(body);
        if (rc < 0) {
            return rc;
        }
        if (body->z.avail_in == 0 && body->z.total_in == 0) {
            *ret_piece = SPAN_NONE; /* the end, between two members */
            return 0;
        }
        body->z.next_out = body->out;
        body->z.avail_out = (unsigned)PIECE_BYTES;
        int status = inflate(&body->z, Z_NO_FLUSH);
        got = PIECE_BYTES - body->z.avail_out;
        if (status == Z_STREAM_END) {
            (void)inflateReset(&body->z); /* another member may follow */
        } else if (status != Z_OK && !(status == Z_BUF_ERROR && got > 0)) {
            return bad_gzip();
        }
        if (got > 0) {
            *ret_piece = span_of(body->out, got);
            return 0;
        }
    }
}

/* ── Answers ─────────────────────────────────────────────────────────────────────────────── */

static bool accepts_gzip(struct http_request *request)
{
    const char *accept = http_request_header(request, "Accept-Encoding");
    return accept != NULL && strstr(accept, "gzip") != NULL && strstr(accept, "gzip;q=0") == NULL;
}

int warp10_out_open(struct warp10_out *out, struct warp10_call *call, const char *content_type)
{
    *out = (struct warp10_out){.packed = accepts_gzip(call->request)};
    http_reply_header(call->request, "Vary", "Accept-Encoding");
    if (out->packed) {
        http_reply_header(call->request, "Content-Encoding", "gzip");
    }
    int rc = http_reply_stream(call->request, 200, content_type, &out->stream);
    if (rc == 0 && out->packed) {
        out->zip = mem_alloc(PIECE_BYTES);
        CHECK(deflateInit2(&out->z, GZIP_LEVEL, Z_DEFLATED, GZIP_BITS, 9, Z_DEFAULT_STRATEGY) ==
              Z_OK);
    }
    return rc;
}

static void send(struct warp10_out *out, struct span data)
{
    if (out->rc == 0 && data.bytes > 0) {
        int rc = http_stream_write(out->stream, data);
        out->rc = rc == HTTP_STREAM_GONE ? ERR_CANCELLED : rc;
    }
}

static void pack(struct warp10_out *out, int flush)
{
    int status;
    out->z.next_in = out->buf.data;
    out->z.avail_in = (unsigned)out->buf.bytes;
    do {
        out->z.next_out = out->zip;
        out->z.avail_out = (unsigned)PIECE_BYTES;
        status = deflate(&out->z, flush);
        CHECK(status != Z_STREAM_ERROR);
        send(out, span_of(out->zip, PIECE_BYTES - out->z.avail_out));
    } while (out->rc == 0 && (out->z.avail_out == 0 || (flush == Z_FINISH && status == Z_OK)));
}

int warp10_out_flush(struct warp10_out *out, bool all)
{
    if (out->rc != 0 || (!all && out->buf.bytes < FLUSH_BYTES)) {
        return out->rc;
    }
    if (out->packed) {
        pack(out, Z_NO_FLUSH);
    } else {
        send(out, buf_span(&out->buf));
    }
    buf_clear(&out->buf);
    return out->rc;
}

void warp10_out_close(struct warp10_out *out)
{
    (void)warp10_out_flush(out, true);
    if (out->packed) {
        if (out->rc == 0) {
            pack(out, Z_FINISH);
        }
        (void)deflateEnd(&out->z);
    }
    if (out->rc == 0) {
        http_stream_end(&out->stream);
    } else {
        http_stream_abort(&out->stream);
    }
    buf_deinit(&out->buf);
    mem_free(out->zip);
}
