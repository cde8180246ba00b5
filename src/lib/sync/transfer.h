/*
 * Contents on their way between a store here and a datastore, either way: below /sync/v1/blobs/
 * (docs/protocols/datastore.md). Webservers use it, and datastores among each other. Any number
 * of threads.
 */
#ifndef SYNC_TRANSFER_H
#define SYNC_TRANSFER_H

#include "net/http_client.h"
#include "store/store.h"

/* All borrowed. */
struct sync_transfer {
    struct http_client *client;
    struct store *store;
    const char *url; /* of the contents there */
    struct http_cancel *cancel;
    unsigned timeout_ms; /* the whole of it; 0: none */
};

/* "/sync/v1/blobs/<hex>"; the caller's (mem_free). */
char *sync_blob_path(const uint8_t sha256[32]);

/* Unless they are there already: then *ret_sent is false. ERR_NOT_FOUND: they are not here. */
MUST_CHECK int sync_blob_send(const struct sync_transfer *transfer, const uint8_t sha256[32],
                              bool *ret_sent);

/* ERR_NOT_FOUND: they are not there. ERR_CORRUPT: what came has another hash, or is more than
 * `bytes_max`; nothing is kept of it. */
MUST_CHECK int sync_blob_get(const struct sync_transfer *transfer, const uint8_t sha256[32],
                             uint64_t bytes_max);

#endif
