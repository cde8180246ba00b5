/* Rows of the datastore's store that cannot be read. Feeds go on without them, so that webservers
 * that passed them by have them not; a note in the store says which. What can be read again when
 * the store is opened, mended by hand or by a version that reads it, is a change as any other.
 * Tested by server_test.c. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/vec.h"
#include "sync/server_state.h"

#define UNREADABLE_NOTE "unreadable"

/* Within a transaction: nobody else has an older list. */
static int put_note(struct sync_server *server, size_t *ret_count)
{
    struct uuid *ids = NULL;
    size_t count = store_unreadable(server->store, &ids);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, sync_uuid_to_json(ids[i]));
    }
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    mem_free(ids);
    int rc = store_set_note(server->store, UNREADABLE_NOTE, text);
    free(text);
    *ret_count = count;
    return rc;
}

int sync_note_unreadable(struct sync_server *server)
{
    size_t count = 0;
    int rc = store_begin(server->store, STORE_DURABLE);
    if (rc < 0) {
        return rc;
    }
    rc = put_note(server, &count);
    if (rc < 0) {
        store_abort(server->store);
    } else {
        rc = store_commit(server->store);
    }
    (void)pthread_mutex_lock(&server->lock);
    server->unreadable_noted = rc < 0 ? server->unreadable_noted : count;
    (void)pthread_mutex_unlock(&server->lock);
    return rc;
}

/* Within a transaction. What waits to be pushed gets its revision when the store is taken over. */
static int mend_one(struct sync_server *server, const struct uuid *id, uint64_t *mended)
{
    struct object *object = NULL;
    int rc = store_get_any(server->store, id, &object);
    if (rc == STORE_ABSENT || rc == ERR_CORRUPT) {
        return 0; /* gone, or still unreadable and told of */
    }
    if (rc == 0 && !object->dirty) {
        rc = store_next_revision(server->store, &object->revision);
        rc = rc < 0 ? rc : store_put(server->store, object);
        *mended += 1;
    }
    object_free(&object);
    return rc;
}

static int mend_listed(struct sync_server *server, const json_t *list, uint64_t *mended)
{
    int rc = store_begin(server->store, STORE_DURABLE);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        struct uuid id;
        if (text != NULL && uuid_parse(span_of_str(text), &id)) {
            rc = mend_one(server, &id, mended);
        }
    }
    rc = rc < 0 ? rc : put_note(server, &server->unreadable_noted);
    if (rc < 0) {
        store_abort(server->store);
        return rc;
    }
    return store_commit(server->store);
}

int sync_feed_mended(struct sync_server *server, uint64_t *ret_count)
{
    struct buf text = {0};
    int rc = store_get_note(server->store, UNREADABLE_NOTE, &text);
    json_t *list = rc < 0 ? NULL : json_loadb((const char *)text.data, text.bytes, 0, NULL);
    uint64_t mended = 0;
    if (json_array_size(list) > 0) {
        rc = mend_listed(server, list, &mended);
    }
    json_decref(list);
    buf_deinit(&text);
    *ret_count = mended;
    return rc;
}
