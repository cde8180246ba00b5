/* Contents: before a change that names them commits, two datastores have them. With two
 * datastores this is shown by tests/cluster/test_etcd.py. */
#include "etcd/follower.h"

#include "base/mem.h"
#include "base/time.h"
#include "etcd/parts.h"
#include "etcd/state.h"
#include "sync/transfer.h"

#define BLOB_RETRY_MS 1000
#define BLOBS_AT_ONCE 64
#define VERSIONS_MS 1000
#define SWEEP_PARTS_NS (3600 * TIME_S_NS)
#define PEER_DOWN_NS (ETCD_LEASE_S * TIME_S_NS) /* by then its lease says so */

static struct sync_transfer transfer_of(struct etcd_follower *follower,
                                        const struct etcd_peer *peer, const uint8_t sha256[32],
                                        char **ret_url)
{
    char *path = sync_blob_path(sha256);
    /* It answers from its own files only. */
    *ret_url = mem_printf("%s%s?from=datastore", peer->address, path);
    mem_free(path);
    return (struct sync_transfer){.client = follower->peer_client,
                                  .store = follower->store,
                                  .url = *ret_url,
                                  .cancel = follower->cancel};
}

/* Under the lock. One that died is listed until its lease runs out, but holds nobody up. */
static bool is_up(const struct etcd_peer *peer)
{
    return etcd_now_ns() >= peer->down_ns;
}

static void note_down(struct etcd_follower *follower, struct uuid run)
{
    (void)pthread_mutex_lock(&follower->lock);
    for (size_t i = 0; i < follower->peer_count; i++) {
        if (uuid_equal(follower->peers[i].run, run)) {
            follower->peers[i].down_ns = etcd_now_ns() + PEER_DOWN_NS;
        }
    }
    (void)pthread_mutex_unlock(&follower->lock);
}

static size_t peers_now(struct etcd_follower *follower, struct etcd_peer peers[ETCD_PEERS_MAX],
                        uint64_t *ret_generation)
{
    (void)pthread_mutex_lock(&follower->lock);
    size_t count = 0;
    for (size_t i = 0; i < follower->peer_count; i++) {
        if (is_up(&follower->peers[i])) {
            peers[count++] = follower->peers[i];
        }
    }
    *ret_generation = follower->peer_generation;
    (void)pthread_mutex_unlock(&follower->lock);
    return count;
}

/* ---- to another datastore ---- */

static int send_to(struct etcd_follower *follower, const struct etcd_peer *peer,
                   const uint8_t sha256[32])
{
    char *url;
    struct sync_transfer transfer = transfer_of(follower, peer, sha256, &url);
    bool sent = false;
    int rc = sync_blob_send(&transfer, sha256, &sent);
    (void)pthread_mutex_lock(&follower->lock);
    follower->stats.blobs_sent += sent ? 1 : 0;
    (void)pthread_mutex_unlock(&follower->lock);
    rc = rc < 0 ? err_wrap(rc, "blob to %s", url) : 0;
    mem_free(url);
    return rc;
}

static void note_safe(struct etcd_follower *follower, const uint8_t sha256[32], uint64_t generation)
{
    (void)pthread_mutex_lock(&follower->lock);
    if (follower->peer_generation == generation) {
        (void)map_put(&follower->safe_blobs, span_of(sha256, 32), follower);
    }
    (void)pthread_mutex_unlock(&follower->lock);
}

bool etcd_blob_is_safe(void *context, const uint8_t sha256[32])
{
    struct etcd_follower *follower = context;
    (void)pthread_mutex_lock(&follower->lock);
    bool safe = map_get(&follower->safe_blobs, span_of(sha256, 32)) != NULL;
    bool alone = true;
    for (size_t i = 0; i < follower->peer_count; i++) {
        alone = alone && !is_up(&follower->peers[i]);
    }
    (void)pthread_mutex_unlock(&follower->lock);
    return safe || alone;
}

int etcd_follower_spread_blob(struct etcd_follower *follower, const uint8_t sha256[32])
{
    struct etcd_peer peers[ETCD_PEERS_MAX];
    uint64_t generation;
    size_t count = peers_now(follower, peers, &generation);
    int rc = 0;
    if (etcd_blob_is_safe(follower, sha256)) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        rc = send_to(follower, &peers[i], sha256);
        if (rc == 0) {
            note_safe(follower, sha256, generation);
            return 0;
        }
        if (rc == ERR_UNAVAILABLE) {
            note_down(follower, peers[i].run);
        }
    }
    return etcd_blob_is_safe(follower, sha256) ? 0 : rc;
}

/* ---- from another datastore ---- */

static int fetch_from(struct etcd_follower *follower, const struct etcd_peer *peer,
                      const uint8_t sha256[32])
{
    char *url;
    struct sync_transfer transfer = transfer_of(follower, peer, sha256, &url);
    int rc = sync_blob_get(&transfer, sha256, OBJECT_BLOB_BYTES_MAX);
    (void)pthread_mutex_lock(&follower->lock);
    follower->stats.blobs_fetched += rc == 0 ? 1 : 0;
    (void)pthread_mutex_unlock(&follower->lock);
    rc = rc < 0 ? err_wrap(rc, "blob from %s", url) : 0;
    mem_free(url);
    return rc;
}

int etcd_follower_fetch_blob(struct etcd_follower *follower, const uint8_t sha256[32])
{
    struct etcd_peer peers[ETCD_PEERS_MAX];
    uint64_t generation;
    if (store_blob_has(follower->store, sha256)) {
        return 0;
    }
    size_t count = peers_now(follower, peers, &generation);
    int rc = err_set(ERR_NOT_FOUND, "no datastore that is up has this blob");
    for (size_t i = 0; i < count; i++) {
        rc = fetch_from(follower, &peers[i], sha256);
        if (rc == 0) {
            note_safe(follower, sha256, generation);
            return 0;
        }
        if (rc == ERR_UNAVAILABLE) {
            note_down(follower, peers[i].run);
        }
    }
    return rc;
}

/* ---- earlier versions ---- */

static bool has_change(const json_t *versions, const json_t *version)
{
    for (size_t i = 0; i < json_array_size(versions); i++) {
        const json_t *change = json_object_get(json_array_get(versions, i), "change");
        if (json_equal(change, json_object_get(version, "change"))) {
            return true;
        }
    }
    return false;
}

static int add_versions_of(struct etcd_follower *follower, const struct etcd_peer *peer,
                           const struct uuid *id, json_t *versions)
{
    char text[UUID_TEXT_BYTES];
    char *url =
        mem_printf("%s/sync/v1/versions/%s?from=datastore", peer->address, uuid_text(*id, text));
    struct http_call call = {
        .url = url, .control = true, .timeout_ms = VERSIONS_MS, .cancel = follower->cancel};
    json_t *answer = NULL;
    int rc = http_call_json(follower->peer_client, &call, NULL, &answer);
    const json_t *list = json_object_get(answer, "versions");
    for (size_t i = 0; rc == 0 && i < json_array_size(list); i++) {
        json_t *version = json_array_get(list, i);
        if (!has_change(versions, version)) {
            json_array_append(versions, version);
        }
    }
    json_decref(answer);
    mem_free(url);
    return rc;
}

void etcd_follower_add_versions(struct etcd_follower *follower, const struct uuid *id,
                                json_t *answer)
{
    struct etcd_peer peers[ETCD_PEERS_MAX];
    uint64_t generation;
    size_t count = peers_now(follower, peers, &generation);
    for (size_t i = 0; i < count; i++) {
        int rc = add_versions_of(follower, &peers[i], id, json_object_get(answer, "versions"));
        if (rc == ERR_UNAVAILABLE) {
            note_down(follower, peers[i].run);
        }
    }
}

/* ---- the thread: what changes of others name ---- */

static int fetch_missing(struct etcd_follower *follower)
{
    struct object_list list = {0};
    int rc = store_blobs_missing(follower->store, BLOBS_AT_ONCE, &list);
    int failed = 0;
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        int one = etcd_follower_fetch_blob(follower, list.items[i]->blob.sha256);
        failed = one < 0 ? one : failed;
    }
    object_list_deinit(&list);
    return rc < 0 ? rc : failed;
}

static void sweep_parts(struct etcd_follower *follower, struct map *suspects)
{
    uint64_t removed = 0;
    if (etcd_parts_sweep(follower->etcd, suspects, &removed) < 0) {
        etcd_tell(follower, SYNC_WARN, "etcd-parts", "%s; tried again later", err_text());
    }
}

void *etcd_blob_thread(void *context)
{
    struct etcd_follower *follower = context;
    uint64_t looked = 0; /* the revision whose blobs are here */
    int64_t swept_ns = etcd_now_ns();
    struct map suspects = {0};
    (void)pthread_mutex_lock(&follower->lock);
    while (!follower->stopping) {
        if (etcd_now_ns() - swept_ns > SWEEP_PARTS_NS) {
            swept_ns = etcd_now_ns();
            (void)pthread_mutex_unlock(&follower->lock);
            sweep_parts(follower, &suspects);
            (void)pthread_mutex_lock(&follower->lock);
            continue;
        }
        uint64_t revision = follower->head.revision;
        if (revision == looked && !follower->want_blobs) {
            (void)etcd_nap(follower, BLOB_RETRY_MS);
            continue;
        }
        follower->want_blobs = false;
        (void)pthread_mutex_unlock(&follower->lock);
        int rc = fetch_missing(follower);
        (void)pthread_mutex_lock(&follower->lock);
        looked = rc < 0 ? looked : revision;
        (void)etcd_nap(follower, BLOB_RETRY_MS);
    }
    (void)pthread_mutex_unlock(&follower->lock);
    map_deinit(&suspects);
    return NULL;
}
