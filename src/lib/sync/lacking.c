/* Tested by api_test.c (src/datastore), over HTTP; see also server_test.c. What contents a
 * datastore lacks, because they are gone or damaged: webservers that have them whole are asked for
 * them. */
#include "sync/server.h"

#include "base/mem.h"
#include "base/text.h"
#include "sync/server_state.h"

/* Under the lock. */
static void want(struct sync_server *server, const uint8_t sha256[32])
{
    for (size_t i = 0; i < server->wanted_count; i++) {
        if (memcmp(server->wanted[i], sha256, 32) == 0) {
            return;
        }
    }
    if (server->wanted_count < SYNC_WANTED_MAX) {
        memcpy(server->wanted[server->wanted_count++], sha256, 32);
    }
}

int sync_server_look_for_blobs(struct sync_server *server)
{
    struct object_list list = {0};
    int rc = store_blobs_missing(server->store, SYNC_WANTED_MAX, &list);
    (void)pthread_mutex_lock(&server->lock);
    server->wanted_count = rc < 0 ? server->wanted_count : 0;
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        want(server, list.items[i]->blob.sha256);
    }
    (void)pthread_mutex_unlock(&server->lock);
    object_list_deinit(&list);
    return rc;
}

int sync_server_verify_blob(struct sync_server *server, const uint8_t sha256[32], bool *ret_whole)
{
    int rc = store_blob_verify(server->store, sha256);
    if (rc == ERR_CORRUPT) {
        sync_server_tell(server, SYNC_ERROR, "blob-damaged", err_text());
        (void)pthread_mutex_lock(&server->lock);
        want(server, sha256);
        (void)pthread_mutex_unlock(&server->lock);
    }
    if (rc < 0 && rc != ERR_CORRUPT && rc != ERR_NOT_FOUND) {
        return rc;
    }
    *ret_whole = rc == 0;
    return 0;
}

json_t *sync_server_wanted(struct sync_server *server)
{
    uint8_t wanted[SYNC_WANTED_MAX][32];
    json_t *list = json_array();
    (void)pthread_mutex_lock(&server->lock);
    size_t count = server->wanted_count;
    memcpy(wanted, server->wanted, sizeof(wanted));
    (void)pthread_mutex_unlock(&server->lock);
    for (size_t i = 0; i < count; i++) {
        struct buf hex = {0};
        text_hex(&hex, span_of(wanted[i], 32));
        if (!store_blob_has(server->store, wanted[i])) {
            json_array_append_new(list, json_string(buf_str(&hex)));
        }
        buf_deinit(&hex);
    }
    return list;
}
