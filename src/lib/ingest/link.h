/*
 * One hot connection of a client to one indexer: logging in, buffers both ways, the window of
 * entries sent and not confirmed. A part of ingest/client.h, not for others.
 *
 *     open (blocks until hot) ──put, pump──> HOT ──any fault──> close; take back the window
 *
 * One thread.
 */
#ifndef INGEST_LINK_H
#define INGEST_LINK_H

#include "ingest/stream.h"
#include "ingest/wire.h"

/* An entry in a client's hands until it is confirmed. */
struct ingest_item {
    struct ingest_item *next;
    uint64_t id; /* on the present connection */
    int64_t time_ns;
    uint16_t tag; /* handle */
    bool own_source;
    uint8_t source[16];
    uint32_t data_bytes;
    uint32_t evs_bytes;
    uint8_t bytes[]; /* data, then the EV block */
};

/* First in, first out. */
struct ingest_items {
    struct ingest_item *first, *last;
    size_t count;
};

void ingest_items_push(struct ingest_items *items, struct ingest_item *item);
struct ingest_item *ingest_items_pop(struct ingest_items *items); /* NULL when empty */
/* All of `from` before all of `to`. */
void ingest_items_prepend(struct ingest_items *to, struct ingest_items *from);

struct ingest_link_options {
    uint8_t secret_hash[INGEST_SECRET_HASH_BYTES];
    const char *tenant;
    const char *name, *version, *uuid;
    bool compress;
    struct ingest_stream_options stream;
    const char *const *tags; /* by handle */
    size_t tag_count;
};

struct ingest_link;

/* Blocks until the indexer takes entries. ERR_AUTH: wrong secret. ERR_DENIED: it refused a tag.
 * ERR_UNAVAILABLE: it cannot be reached or takes no entries now. ERR_CANCELLED. */
MUST_CHECK int ingest_link_open(const struct ingest_target *target,
                                const struct ingest_link_options *options,
                                struct ingest_link **ret_link);

/* Moves the unconfirmed entries to the end of `ret_window`. Clears `*link`. */
void ingest_link_close(struct ingest_link **link, struct ingest_items *ret_window);

/* Takes the item. The indexer must know its tag. */
void ingest_link_put(struct ingest_link *link, struct ingest_item *item);
bool ingest_link_knows_tag(const struct ingest_link *link, uint16_t tag);
void ingest_link_ask_tag(struct ingest_link *link, uint16_t tag, const char *name);
void ingest_link_force_ack(struct ingest_link *link);
void ingest_link_report(struct ingest_link *link, struct span json);

/* Moves what can be moved without waiting. Confirmed items go to the end of `ret_confirmed`. */
MUST_CHECK int ingest_link_pump(struct ingest_link *link, struct ingest_items *ret_confirmed);

size_t ingest_link_window(const struct ingest_link *link); /* unconfirmed */
size_t ingest_link_unsent_bytes(const struct ingest_link *link);
bool ingest_link_asking_tag(const struct ingest_link *link);
bool ingest_link_throttled(const struct ingest_link *link, int64_t now_ms);
int64_t ingest_link_heard_ms(const struct ingest_link *link); /* monotonic */
struct ingest_stream *ingest_link_stream(struct ingest_link *link);

int64_t ingest_monotonic_ms(void);

#endif
