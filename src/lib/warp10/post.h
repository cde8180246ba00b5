/*
 * Sending requests to a Warp 10 2.x with the datalog header, as its own forwarder does, until each
 * is taken or given up:
 *
 *     200 ──> done
 *     not reached, cut off, 408, 429, 502, 503, 504 ──> the same again, for ever, after pauses that
 *                                                       grow to a minute
 *     any other answer ──> refused: again, five times in all, then into quarantine (refused.h)
 *
 * A quarantine that is full blocks, as a target that is down does. One thread per sender.
 */
#ifndef WARP10_POST_H
#define WARP10_POST_H

#include "net/http_client.h"
#include "warp10/header.h"
#include "warp10/refused.h"

#define POST_TRIES_MAX 5u /* of a refused request */
#define POST_PAUSE_MS_MIN 100
#define POST_PAUSE_MS_MAX 60000
#define POST_IDLE_MS 60000 /* a target that says nothing for so long is not reached */

enum post_verdict { POST_DONE = 0, POST_LATER, POST_REFUSED };

/* What comes next for a request. Pure. */
struct post_retry {
    unsigned refusals, failures;
    unsigned pause_ms; /* before the next try */
};
/* False: give up. */
bool post_again(struct post_retry *retry, enum post_verdict verdict);
enum post_verdict post_verdict_of_status(int status);

struct post_request {
    enum warp10_action action;
    struct span header; /* the value: warp10_datalog_encode() */
    struct span query;  /* DELETE: as in the header */
    struct span lines;  /* UPDATE, META */
};

/* Of a file's text (request_file.h), its first line in two parts. */
void post_request_of(struct span text, const struct warp10_datalog *datalog,
                     struct post_request *ret_request);

struct post_target {
    struct io *io;
    struct http_client *client;
    const char *url; /* "http://host:port", without a path /api/v0 is meant */
    bool compress;
    struct http_cancel *cancel;
    const char *link;           /* its name */
    const char *quarantine_dir; /* NULL: what is refused is an error */
    /* Waits; false: stop. */
    bool (*pause)(void *context, unsigned ms);
    void *pause_context;
    /* A try failed, `text` says why; or `given_up`: it is in quarantine. May be NULL. */
    void (*tell)(void *context, const char *text, bool given_up);
    void *tell_context;
};

/* Tries once. `text` gets why not. */
MUST_CHECK enum post_verdict post_once(const struct post_target *target,
                                       const struct post_request *request, struct buf *text);

/* Until it is done (0) or given up (1). ERR_CANCELLED; ERR_DENIED: refused, without a quarantine.
 */
MUST_CHECK int post_deliver(const struct post_target *target, const struct post_request *request);

#endif
