/*
 * Login throttling: after `failures_max` failures in a row within the window, the next attempt
 * for that name and peer has to wait, longer each time (1, 2, 4 … 30 seconds). A success forgets
 * the failures. Time is an argument; any thread.
 */
#ifndef WEBSERVER_THROTTLE_H
#define WEBSERVER_THROTTLE_H

#include "base/span.h"

#define THROTTLE_KEYS_MAX 10000
#define THROTTLE_WAIT_MAX_NS (INT64_C(30) * 1000000000)

struct throttle;

/* failures_max 0: never throttles. */
struct throttle *throttle_new(unsigned failures_max, int64_t window_ns);
void throttle_free(struct throttle **throttle);

/* How long `key` has to wait before its next attempt counts; 0 when it may try now. */
int64_t throttle_wait_ns(struct throttle *throttle, struct span key, int64_t now_ns);
void throttle_failed(struct throttle *throttle, struct span key, int64_t now_ns);
void throttle_succeeded(struct throttle *throttle, struct span key);

#endif
