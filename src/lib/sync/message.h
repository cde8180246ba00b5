/*
 * Inside sync/: the JSON of the protocol, both ways. docs/protocols/datastore.md.
 */
#ifndef SYNC_MESSAGE_H
#define SYNC_MESSAGE_H

#include "base/vec.h"
#include "sync/core.h"
#include "sync/sync.h"

struct sync_epochs {
    struct store_epoch *items; /* owned */
    size_t count;
    size_t capacity;
};

const char *sync_file_name(enum object_file file); /* "users", "web" */

json_t *sync_epochs_to_json(const struct store_epoch *epochs, size_t count);
/* Appends; `main` is set on all. */
MUST_CHECK int sync_epochs_from_json(const json_t *json, struct sync_epochs *epochs);
/* Where a file of the truth comes from: {identity, epoch, epochs}; epochs as above. */
MUST_CHECK int sync_lineage_from_json(const json_t *json, struct uuid *ret_identity,
                                      struct uuid *ret_last, struct sync_epochs *epochs);

json_t *sync_uuid_to_json(struct uuid uuid);
/* ERR_INVALID names the member; absent is the zero uuid. */
MUST_CHECK int sync_uuid_from_json(const json_t *json, const char *key, struct uuid *ret_uuid);

json_t *sync_webservers_to_json(const struct sync_webserver *webservers, size_t count);
/* At most SYNC_WEBSERVERS_MAX; returns how many. What is not of the form is left out. */
size_t sync_webservers_from_json(const json_t *list, struct sync_webserver *ret_webservers);

/* The answer to one pushed object, as it came. */
struct sync_reply {
    struct uuid id;
    struct uuid change;
    enum sync_verdict verdict;
    uint64_t revision;
    struct object *object; /* owned, may be NULL */
    struct object *copy;   /* owned, may be NULL */
    int fault;             /* refused: the enum err it stands for */
    char text[256];        /* refused: why */
};
json_t *sync_reply_to_json(const struct sync_reply *reply);
MUST_CHECK int sync_reply_from_json(const json_t *json, struct sync_reply *ret_reply);
void sync_reply_deinit(struct sync_reply *reply);

/* The number within, or 0. */
uint64_t sync_json_number(const json_t *json, const char *key);
const char *sync_json_text(const json_t *json, const char *key); /* "" when absent */

/* Within a transaction: keeps a fork's copy unless it was made before. */
MUST_CHECK int sync_put_copy(struct store *store, const struct object *copy);

/* Accepts what is dirty in a store that has no authority above it any more (it was a webserver's
 * and is now a datastore's, or the webserver has none any more). Opens its own transactions. */
MUST_CHECK int sync_take_over(struct store *store, uint64_t *ret_count);

#endif
