/*
 * Which webserver is in which of HAProxy's server slots: a list of webservers goes in, slot
 * changes come out. Pure: no clock, no socket.
 *
 *     FREE ──a webserver is listed──> READY ──off the list for linger_ms──> DRAINING
 *      ^                               ^  └── needed by a listed one, the longest gone first ──┐
 *      │                               └──listed again── DRAINING                              │
 *      └─────────────────── drain_ms later, or when the slot is needed ───────────────────────┘
 *
 * A webserver that leaves the list is not taken out at once: a datastore that has just restarted
 * knows nobody for a moment, and HAProxy's health checks keep users away from the dead anyway.
 * One address has one slot, however many webservers claim it. One thread.
 */
#ifndef LOADBALANCER_SLOTS_H
#define LOADBALANCER_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

#define SLOT_ADDRESS_BYTES 64 /* a numeric address */
#define SLOT_NAME_BYTES 256   /* the host name it came from */
#define SLOTS_MAX 4096

struct slot_target {
    char address[SLOT_ADDRESS_BYTES]; /* numeric, IPv4 or IPv6 */
    uint16_t port;
    char name[SLOT_NAME_BYTES]; /* for certificates; "" when it was numeric */
};

enum slot_state { SLOT_FREE, SLOT_READY, SLOT_DRAINING };

struct slot {
    enum slot_state state;
    struct slot_target target; /* not when FREE */
    bool listed;               /* by the last step */
    int64_t gone_ms;           /* when it left the list; READY and DRAINING, not listed */
};

enum slot_change_kind {
    SLOT_CHANGE_FILL,  /* a FREE slot gets its target and serves */
    SLOT_CHANGE_READY, /* serves again */
    SLOT_CHANGE_DRAIN, /* nothing new; what runs goes on */
    SLOT_CHANGE_EMPTY, /* taken out */
};

struct slot_change {
    enum slot_change_kind kind;
    size_t slot; /* index; HAProxy's server is w<index + 1> */
};

struct slots_options {
    size_t count;
    int64_t linger_ms;
    int64_t drain_ms;
};

struct slots;

struct slots *slots_new(const struct slots_options *options);
void slots_free(struct slots **slots);

struct slots_report {
    size_t unplaced;   /* listed, but every slot has a listed webserver */
    size_t duplicates; /* listed more than once */
};

struct slots_list {
    const struct slot_target *targets;
    size_t count;
};

/* A step at `now_ms`. `list` says which webservers are listed now; NULL: nothing was heard, only
 * time passes. The changes borrow from slots until the next step and are to be carried out in
 * order; slots_get() is already as they leave it. */
const struct slot_change *slots_step(struct slots *slots, const struct slots_list *list,
                                     int64_t now_ms, size_t *ret_change_count,
                                     struct slots_report *ret_report);

size_t slots_count(const struct slots *slots);
const struct slot *slots_get(const struct slots *slots, size_t index);
size_t slots_serving(const struct slots *slots); /* READY ones */

#endif
