/*
 * Inside of the Warp 10 API: what one request carries with it.
 */
#ifndef INDEXER_WARP10_INTERNAL_H
#define INDEXER_WARP10_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <zlib.h>

#include "base/err.h"
#include "base/map.h"
#include "indexer/datalog2x.h"
#include "indexer/forwarder2x.h"
#include "indexer/requests2x.h"
#include "indexer/warp10.h"
#include "indexer/warp10_batch.h"
#include "warp10/gts.h"
#include "warp10/header.h"
#include "warp10/output.h"
#include "warp10/params.h"
#include "warp10/token.h"

/* ── Tokens (warp10_tokens.c) ────────────────────────────────────────────────────────────── */

/* The tokens of the configuration and of the files as they are now. A file that changes is read
 * again, at most once per second; one that is wrong then changes nothing. */
struct warp10_tokens;

MUST_CHECK int warp10_tokens_open(struct io *io, const struct conf *conf,
                                  struct warp10_tokens **ret_tokens);
void warp10_tokens_close(struct warp10_tokens **tokens);

/* Borrows the present table until it is given back. */
struct warp10_table;
struct warp10_table *warp10_tokens_take(struct warp10_tokens *tokens);
void warp10_tokens_give(struct warp10_tokens *tokens, struct warp10_table **table);
const struct token_table *warp10_table_of(const struct warp10_table *table);

/* ── Rates (warp10_rates.c) ──────────────────────────────────────────────────────────────── */

struct warp10_rates {
    pthread_mutex_t lock;
    struct map buckets; /* by the name of the token */
    struct map quotas;
};

void warp10_rates_init(struct warp10_rates *rates);
void warp10_rates_deinit(struct warp10_rates *rates);
/* Whether a token with a rate may write now; those without always may. */
bool warp10_rates_allow(struct warp10_rates *rates, const struct token *token, int64_t now_ns);
void warp10_rates_charge(struct warp10_rates *rates, const struct token *token, int64_t now_ns,
                         uint64_t points);

/* Counts one more series of a token that may have so many. ERR_TIMEOUT: it has them all. */
MUST_CHECK int warp10_rates_add_series(struct warp10_rates *rates, struct storage *storage,
                                       const struct token *token, int64_t now_ns, struct span key);

/* ── Writers (warp10_writers.c) ──────────────────────────────────────────────────────────── */

/*
 * What reads lines and collects what they say: used by one request after the other, so that the
 * series of a client who writes the same ones each time are looked up once a minute.
 */
struct warp10_writer {
    struct gts_reader *reader;
    struct warp10_batch batch;
    uint64_t owner; /* the token that used it last */
    int64_t born_ns;
};

#define WARP10_WRITERS_IDLE_MAX 4
struct warp10_writers {
    pthread_mutex_t lock;
    struct warp10_writer *idle[WARP10_WRITERS_IDLE_MAX];
    size_t count;
};

void warp10_writers_init(struct warp10_writers *writers);
void warp10_writers_deinit(struct warp10_writers *writers);
/* The batch is as the last request left it: warp10_batch_begin() it. */
struct warp10_writer *warp10_writers_take(struct warp10_writers *writers, struct storage *storage,
                                          uint64_t owner, int64_t now_ns,
                                          const struct gts_options *options);
void warp10_writers_give(struct warp10_writers *writers, struct warp10_writer **writer);

/* ── The API ─────────────────────────────────────────────────────────────────────────────── */

/* So many requests of a kind at a time: a slow client holds a worker of the server for as long as
 * it likes, and others need some, too. */
struct warp10_gate {
    int max;
    atomic_int inside;
};

struct warp10 {
    struct io *io;
    const struct conf *conf;
    struct storage *storage;
    struct datalog2x *datalog2x; /* NULL without storage */
    struct forwarders2x *forwarders;
    struct requests2x *requests_kept; /* NULL: they are not */
    const char *quarantine_dir;
    struct warp10_tokens *tokens;
    struct warp10_rates rates;
    struct warp10_writers writers;
    enum warp10_unit unit;
    const char *token_header, *datalog_header, *cors_headers;
    struct buf psk;
    struct gts_options limits;
    int64_t past_ms, future_ms; /* -1: any */
    bool ignore_out_of_range, parse_attributes, allow_delta, expose_owner;
    bool allow_metadata_deletes, allow_activity_deletes;
    bool no_updates, no_metas, no_deletes; /* Disable-Update, -Meta, -Delete */
    struct warp10_gate updates, fetches;
    atomic_uint_fast64_t points, requests, refused;
    atomic_uint_fast64_t received, known, quarantined; /* forwarded requests; lines */
};

/* One request. Begin with warp10_call_begin(), end with warp10_call_end(). */
struct warp10_call {
    struct warp10 *warp10;
    struct http_request *request;
    struct arena *arena;
    struct warp10_table *table;
    const struct token *token;
    struct span token_text; /* as it came */
    struct request2x *kept; /* the file of this request, or NULL */
    bool forwarded;         /* it has a datalog header */
    struct warp10_datalog datalog;
    struct datalog2x_place place; /* of what is forwarded, from warp10_call_place() on */
    bool placed;
    struct buf aside;                      /* lines that could not be applied */
    bool quarantined;                      /* some of it */
    char aside_reason[ERR_TEXT_BYTES_MAX]; /* of the first */
    int64_t now_ns;
};

/* Answers OPTIONS itself and gives false then. */
bool warp10_call_begin(struct warp10_call *call, struct warp10 *warp10,
                       struct http_request *request);
void warp10_call_end(struct warp10_call *call);

/* Reads the datalog header, if there is one. ERR_PROTOCOL. */
MUST_CHECK int warp10_call_datalog(struct warp10_call *call);

/* Looks the token up and whether its attribute `forbidden` keeps it from this. ERR_AUTH with
 * `missing` as text when there is none. */
MUST_CHECK int warp10_call_token(struct warp10_call *call, struct span text, bool write,
                                 const char *missing, const char *forbidden);

/* The query string as it came, without the ?. */
struct span warp10_call_query(const struct warp10_call *call);
/* Query string and form. */
MUST_CHECK int warp10_call_args(struct warp10_call *call, struct warp10_args *args);

/* An error page as the reference's, in the form that the client accepts. */
void warp10_call_fail(struct warp10_call *call, int status, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* With the status of a fault and its text. */
void warp10_call_fault(struct warp10_call *call, int rc);
void warp10_call_done(struct warp10_call *call); /* 200 and nothing */

/* ERR_UNAVAILABLE, "Too many `what` at a time.", or it is inside until it leaves. */
int warp10_enter(struct warp10_gate *gate, const char *what);
void warp10_leave(struct warp10_gate *gate);

/* ── Forwarded requests (warp10_received.c) ──────────────────────────────────────────────── */

/* A forwarded request gets its place; others get none. 1: nothing is left to be done. */
MUST_CHECK int warp10_call_place(struct warp10_call *call);
/* It failed, or it is `whole` and durable. */
void warp10_call_leave(struct warp10_call *call, bool whole);

/* Begins the file of a client's request, when such files are wanted. `now` of an update. */
MUST_CHECK int warp10_call_keep(struct warp10_call *call, enum warp10_action action, bool delta,
                                int64_t now);

/* What was right at its origin and cannot be done here is set aside with its reason, lest it
 * block its sender for ever. err_text() is the reason. ERR_TOO_LARGE: that is too much. */
MUST_CHECK int warp10_call_set_aside(struct warp10_call *call, const struct gts_reader *reader);
/* Writes what was set aside into quarantine; or, of a request without lines, the request. */
MUST_CHECK int warp10_call_quarantine(struct warp10_call *call, const char *reason);

void warp10_update(struct http_request *request, void *context);
void warp10_meta(struct http_request *request, void *context);
void warp10_delete(struct http_request *request, void *context);
void warp10_fetch(struct http_request *request, void *context);
void warp10_find(struct http_request *request, void *context);

/* ── Bodies (warp10_body.c) ──────────────────────────────────────────────────────────────── */

/* What comes in, unpacked when it is application/gzip. */
struct warp10_body {
    struct http_request *request;
    bool packed, ended;
    z_stream z;
    uint8_t *in, *out;
};

void warp10_body_open(struct warp10_body *body, struct http_request *request);
void warp10_body_close(struct warp10_body *body);
/* The next piece, empty at the end; borrowed until the next call. ERR_PROTOCOL: bad gzip. */
MUST_CHECK int warp10_body_next(struct warp10_body *body, struct span *ret_piece);

/* What goes out, packed when the client accepts gzip. */
struct warp10_out {
    struct http_stream *stream;
    bool packed;
    z_stream z;
    struct buf buf; /* what is written next; see warp10_out_flush() */
    uint8_t *zip;
    int rc; /* sticks */
};

/* Sends status and headers. Non-zero: a reply was sent, there is no stream. */
MUST_CHECK int warp10_out_open(struct warp10_out *out, struct warp10_call *call,
                               const char *content_type);
/* Sends out->buf when there is enough of it, or all with `all`. Not 0: stop. */
int warp10_out_flush(struct warp10_out *out, bool all);
/* Ends the answer; cut short when it failed. */
void warp10_out_close(struct warp10_out *out);

/* ── Series (warp10_series.c) ────────────────────────────────────────────────────────────── */

/* What the selectors mean for the holder of the token, ascending. ERR_INVALID: no braces;
 * ERR_PROTOCOL: wrong inside of them. */
MUST_CHECK int warp10_select(struct warp10_call *call, struct span selectors, unsigned flags,
                             struct series_numbers *ret_numbers);

/* The same for their packed series: class and `suffix`. */
MUST_CHECK int warp10_select_packed(struct warp10_call *call, struct span selectors,
                                    struct span suffix, struct series_numbers *ret_numbers);

/* Leaves [skip, skip + count) of those that were written after `active_after_ms` and not after
 * `quiet_after_ms` (TIME_UNSET: any). */
void warp10_narrow(struct warp10 *warp10, struct series_numbers *numbers, uint64_t skip,
                   uint64_t count, int64_t active_after_ms, int64_t quiet_after_ms);

/* A series with its attributes, for output. Used again for the next. */
struct warp10_series {
    struct output_series shown;
    struct buf key, text;
    struct series_label *attributes;
    size_t capacity;
};
bool warp10_series_load(struct warp10 *warp10, uint32_t number, struct warp10_series *series);
void warp10_series_deinit(struct warp10_series *series);

bool warp10_shows_owner(const struct warp10_call *call);

#endif
