/* Replies that are made in one go. Tested by http_server_test.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "net/http_internal.h"

void http_reply_header(struct http_request *request, const char *name, const char *value)
{
    CHECK(!request->replied);
    vec_push(&request->reply_headers, (struct http_header){mem_strdup(name), mem_strdup(value)});
}

static bool says_content_type(const struct http_request *request)
{
    for (size_t i = 0; i < request->reply_headers.count; i++) {
        if (http_name_equal(request->reply_headers.items[i].name, "Content-Type")) {
            return true;
        }
    }
    return false;
}

static void add_headers(struct http_request *request, int status, struct MHD_Response *response,
                        const char *body_hash)
{
    const struct http_server *server = request->server;
    for (size_t i = 0; i < server->options.header_count; i++) {
        (void)MHD_add_response_header(response, server->headers[i].name, server->headers[i].value);
    }
    for (size_t i = 0; i < request->reply_headers.count; i++) {
        /* A value with a line break is refused by libmicrohttpd: nothing can be smuggled in. */
        (void)MHD_add_response_header(response, request->reply_headers.items[i].name,
                                      request->reply_headers.items[i].value);
    }
    if (atomic_load(&server->stopping) && status != MHD_HTTP_SWITCHING_PROTOCOLS) {
        (void)MHD_add_response_header(response, "Connection", "close");
    }
    if (request->sealed) {
        char answer[CONTROL_HEADER_BYTES_MAX];
        control_seal_answer(&request->seal, status, body_hash, answer);
        (void)MHD_add_response_header(response, CONTROL_ANSWER_HEADER, answer);
    }
}

void http_reply_send(struct http_request *request, int status, struct MHD_Response *response,
                     const char *body_hash)
{
    CHECK(!request->replied && response != NULL);
    add_headers(request, status, response, body_hash);
    pthread_mutex_lock(&request->lock);
    request->replied = true;
    request->status = status;
    request->response = response;
    /* What is left of the body is of no interest any more; it is swallowed as it comes. */
    if (http_request_streams_body(request)) {
        buf_deinit(&request->body);
        request->body_head = 0;
    }
    if (request->suspended) {
        request->suspended = false;
        MHD_resume_connection(request->connection);
    }
    pthread_mutex_unlock(&request->lock);
}

static void send_buffer(struct http_request *request, int status, const char *content_type,
                        struct span body, struct MHD_Response *response)
{
    char hash[CONTROL_HASH_TEXT_BYTES] = "-";
    if (request->sealed) {
        control_hash(body, hash);
    }
    if (content_type != NULL && !says_content_type(request)) {
        (void)MHD_add_response_header(response, "Content-Type", content_type);
    }
    request->reply_bytes = body.bytes;
    http_reply_send(request, status, response, hash);
}

void http_reply(struct http_request *request, int status, const char *content_type,
                struct span body)
{
    send_buffer(request, status, content_type, body,
                MHD_create_response_from_buffer(body.bytes, (void *)(uintptr_t)body.data,
                                                MHD_RESPMEM_MUST_COPY));
}

void http_reply_buf(struct http_request *request, int status, const char *content_type,
                    struct buf *body)
{
    struct span span = buf_span(body);
    char *data = buf_take(body);
    send_buffer(request, status, content_type, span_of(data, span.bytes),
                MHD_create_response_from_buffer_with_free_callback(span.bytes, data, mem_free));
}

static int put_json(const char *data, size_t bytes, void *context)
{
    buf_append(context, span_of(data, bytes));
    return 0;
}

void http_reply_json(struct http_request *request, int status, json_t *takes)
{
    if (takes == NULL) { /* json_pack() of what came in and is not UTF-8 */
        http_reply_error(request, 500, "the answer cannot be written as JSON");
        return;
    }
    struct buf body = {0};
    int rc = json_dump_callback(takes, put_json, &body, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(takes);
    CHECK(rc == 0);
    http_reply_buf(request, status, "application/json", &body);
    buf_deinit(&body);
}

/* {"Error":"<text>"}, the text cut so that all of it fits. */
static void put_error(struct buf *body, const char *text)
{
    struct span rest = span_of_str(text);
    for (;;) {
        buf_clear(body);
        buf_append_str(body, "{\"Error\":");
        text_json_string(body, rest);
        buf_append_str(body, "}");
        if (body->bytes <= HTTP_ERROR_BYTES_MAX) {
            return;
        }
        size_t excess = body->bytes - HTTP_ERROR_BYTES_MAX;
        rest.bytes -= MIN(rest.bytes, MAX(excess / 6, (size_t)1));
        while (rest.bytes > 0 && (rest.data[rest.bytes] & 0xC0) == 0x80) {
            rest.bytes--; /* not within a character */
        }
    }
}

void http_reply_error(struct http_request *request, int status, const char *format, ...)
{
    char text[ERR_TEXT_BYTES_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct buf body = {0};
    put_error(&body, text);
    http_reply_buf(request, status, "application/json", &body);
    buf_deinit(&body);
}

static int status_of_fault(int rc)
{
    switch (rc) {
    case ERR_NOT_FOUND:
        return 404;
    case ERR_EXISTS:
    case ERR_CONFLICT:
        return 409;
    case ERR_INVALID:
    case ERR_PROTOCOL:
        return 400;
    case ERR_AUTH:
        return 401;
    case ERR_DENIED:
        return 403;
    case ERR_TOO_LARGE:
        return 413;
    case ERR_UNSUPPORTED:
        return 501;
    case ERR_UNAVAILABLE:
    case ERR_CANCELLED:
    case ERR_TIMEOUT:
        return 503;
    case ERR_NO_SPACE:
        return 507;
    default:
        return 500;
    }
}

void http_reply_fault(struct http_request *request, int rc)
{
    CHECK(rc < 0);
    http_reply_error(request, status_of_fault(rc), "%s", err_text());
}

void http_reply_fd(struct http_request *request, int status, const char *content_type, int fd,
                   uint64_t offset, uint64_t bytes)
{
    struct MHD_Response *response =
        bytes == 0 ? NULL : MHD_create_response_from_fd_at_offset64(bytes, fd, offset);
    if (response == NULL) {
        (void)close(fd);
        CHECK(bytes == 0);
        http_reply(request, status, content_type, SPAN_NONE);
        return;
    }
    if (content_type != NULL && !says_content_type(request)) {
        (void)MHD_add_response_header(response, "Content-Type", content_type);
    }
    request->reply_bytes = bytes;
    http_reply_send(request, status, response, "-");
}

void http_reply_file(struct http_request *request, int status, const char *content_type,
                     const char *path)
{
    struct stat stat;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode)) {
        int reason = errno;
        bool missing = fd >= 0 || reason == ENOENT || reason == ENOTDIR;
        if (fd >= 0) {
            (void)close(fd);
        }
        http_reply_error(request, missing ? 404 : 500, "%s",
                         missing ? "there is no such file" : "the file cannot be read");
        return;
    }
    http_reply_fd(request, status, content_type, fd, 0, (uint64_t)stat.st_size);
}
