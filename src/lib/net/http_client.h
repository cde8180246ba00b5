/*
 * The HTTP client: blocking calls on libcurl, connections kept and reused. One client may be used
 * by any number of threads. No redirects, no proxies from the environment.
 *
 * With a control secret a call is signed (control.h): the session is made by the first call to
 * each host and made anew, once per call, when the server does not know it any more.
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/span.h"
#include "io/io.h"
#include "net/http_server.h"

struct http_client;
struct http_cancel;

#define HTTP_CLIENT_HEADERS_MAX 64

/* Zero means the default. Copied. */
struct http_client_options {
    struct io *io;               /* default io_real() */
    const char *control_secret;  /* for calls with `control` */
    const char *ca_path;         /* PEM bundle; NULL: the system's */
    const char *tls_cert_path;   /* PEM, to show to servers that ask for one; NULL: none */
    const char *tls_key_path;    /* its key */
    bool tls_insecure;           /* do not check the server's certificate */
    bool cookies;                /* keep them and send them back, as a browser does */
    const char *user_agent;      /* "aquifer" */
    unsigned connect_timeout_ms; /* 5000 */
    size_t idle_connections_max; /* 16 kept for reuse */
};

MUST_CHECK int http_client_new(const struct http_client_options *options,
                               struct http_client **ret_client);
void http_client_free(struct http_client **client); /* no call may be running */

/* Fills data with up to `bytes`; *ret_got 0 is the end. A negative return cancels the call and is
 * returned by it. */
typedef int (*http_pull)(void *context, void *data, size_t bytes, size_t *ret_got);

/* Gets the answer's body piece by piece (only of answers with a status of 2xx; the bodies of
 * others are kept in answer->body). A non-zero return cancels the call: it returns a negative
 * value as it is and ERR_CANCELLED for a positive one. May block. */
typedef int (*http_push)(void *context, struct span data);

struct http_answer {
    int status;
    struct buf body;
    bool proven; /* a signed call: the server has proved that it knows the secret */
    struct http_header headers[HTTP_CLIENT_HEADERS_MAX]; /* read with http_answer_header */
    size_t header_count;
    struct buf header_text;
};

struct http_call {
    const char *method; /* "GET" when NULL */
    const char *url;
    const struct http_header *headers;
    size_t header_count;

    struct span body; /* or: */
    http_pull pull;   /* chunked upload */
    void *pull_context;
    const char *content_type; /* of the body; "application/json" when NULL and there is a body */

    /* NULL, or once before the first push: http_answer_header knows all headers (of `context` it
     * gets push_context). */
    void (*begin)(void *context, const struct http_answer *answer);
    http_push push; /* NULL: the body is collected in the answer */
    void *push_context;
    size_t answer_bytes_max; /* 0: 64 MiB, for collected bodies; more: ERR_TOO_LARGE */

    bool control; /* sign it */

    unsigned timeout_ms;        /* the whole call; 0: none */
    unsigned idle_ms;           /* no byte in either direction for so long: ERR_TIMEOUT; 0: none */
    struct http_cancel *cancel; /* may be NULL */
};

/*
 * 0: there is an answer, whatever its status; the caller deinits it (on faults nothing is owned).
 * ERR_UNAVAILABLE: not reached or cut off, ERR_TIMEOUT, ERR_CANCELLED, ERR_TOO_LARGE,
 * ERR_AUTH: a wrong control secret, or an answer below 400 that does not prove the secret.
 */
MUST_CHECK int http_call(struct http_client *client, const struct http_call *call,
                         struct http_answer *ret_answer);
void http_answer_deinit(struct http_answer *answer);
const char *http_answer_header(const struct http_answer *answer, const char *name); /* or NULL */

/* The text of {"Error":"..."}, else the beginning of the body, else the status. Never NULL; lives
 * as long as the answer. */
const char *http_answer_error(struct http_answer *answer);

/* A call with a JSON body (borrowed, may be NULL) and a JSON answer (owned by the caller; NULL when
 * empty). A status other than 2xx becomes a fault with the server's text: 401, 403 ERR_DENIED,
 * 404 ERR_NOT_FOUND, 409 ERR_CONFLICT, 413 ERR_TOO_LARGE, other 4xx ERR_INVALID, 507
 * ERR_NO_SPACE, other 5xx ERR_UNAVAILABLE. `call` gives url and options. */
MUST_CHECK int http_call_json(struct http_client *client, const struct http_call *call,
                              const json_t *body, json_t **ret_json);

/* What a transfer of curl came to, in our words; for who makes transfers (a CURL, a CURLcode, and
 * its error buffer, which may be written). */
const char *http_words_of(void *easy, int code, char *detail);

/* Ends calls from another thread: those running with it and those that begin later return
 * ERR_CANCELLED. May be shared by several calls; outlives them. */
struct http_cancel *http_cancel_new(void);
void http_cancel_free(struct http_cancel **cancel);
void http_cancel_fire(struct http_cancel *cancel);
bool http_cancel_fired(struct http_cancel *cancel);

#endif
