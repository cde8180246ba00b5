/*
 * The server side of one websocket connection (RFC 6455, framing by wslay). Made by
 * http_reply_websocket(); lives while its session function runs. Only whole messages are seen:
 * fragments are put together, pings answered, and the server pings by itself while a thread reads.
 * A client that vanishes without a close frame is a normal end.
 *
 * One thread reads; any thread writes or closes, as long as the session function has not
 * returned.
 */
#ifndef NET_WEBSOCKET_H
#define NET_WEBSOCKET_H

#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/span.h"

struct websocket;

enum websocket_outcome {
    WEBSOCKET_TIMEOUT = 1, /* read: no whole message yet; what has arrived of one is kept */
    WEBSOCKET_CLOSED = 2,  /* either side closed, or the connection broke, or the server stops */
};

#define WEBSOCKET_WRITE_TIMEOUT_MS 30000 /* a client that takes nothing for so long is cut */

/* Waits for one whole text or binary message and puts it into `buf` (cleared first).
 * timeout_ms < 0: for ever, 0: only what is there. */
MUST_CHECK int websocket_read(struct websocket *websocket, int64_t timeout_ms, struct buf *buf);

/* Copies; returns when the kernel has taken it, or WEBSOCKET_CLOSED. */
MUST_CHECK int websocket_write(struct websocket *websocket, struct span text);
MUST_CHECK int websocket_write_binary(struct websocket *websocket, struct span data);

/* Sends a close frame; reads and writes say WEBSOCKET_CLOSED from now on. 1000 is a normal end,
 * 1001 going away, 1008 a policy, 1011 a fault of ours. */
void websocket_close(struct websocket *websocket, uint16_t code, const char *reason);

#endif
