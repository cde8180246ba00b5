/* Who is up: this datastore says so by a lease, webservers by their check-ins; and whether etcd
 * answers. More of it is tested by cache_test.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/time.h"
#include "etcd/state.h"
#include "sync/message.h"

#define BEAT_MS 500
#define LAG_NS (1000 * TIME_MS_NS)    /* behind the head for so long: another member is watched */
#define COMPACT_NS (3600 * TIME_S_NS) /* etcd forgets the steps of more than an hour ago */

/* ---- the list of datastores ---- */

/* Under the lock. `address` NULL: gone. An earlier life of this one, whose lease has not run out,
 * is none of the others: what is copied to it would be here only. */
static void set_peer(struct etcd_follower *follower, struct uuid run, const char *address)
{
    size_t at = 0;
    if (address != NULL && strcmp(address, follower->address) == 0) {
        return;
    }
    while (at < follower->peer_count && !uuid_equal(follower->peers[at].run, run)) {
        at++;
    }
    if (uuid_equal(run, follower->run) || (address == NULL && at == follower->peer_count) ||
        at == ETCD_PEERS_MAX) {
        return;
    }
    if (address == NULL) {
        follower->peers[at] = follower->peers[--follower->peer_count];
    } else {
        follower->peers[at].run = run;
        snprintf(follower->peers[at].address, sizeof(follower->peers[at].address), "%s", address);
        follower->peer_count = MAX(follower->peer_count, at + 1);
    }
    follower->peer_generation++;
    map_clear(&follower->safe_blobs);
    follower->want_blobs = true;
    (void)pthread_cond_broadcast(&follower->changed);
}

static void take_datastore(struct etcd_follower *follower, struct uuid run, struct span value)
{
    json_t *json = json_loadb((const char *)value.data, value.bytes, 0, NULL);
    const char *address = json_string_value(json_object_get(json, "address"));
    (void)pthread_mutex_lock(&follower->lock);
    set_peer(follower, run, address != NULL && address[0] != 0 ? address : NULL);
    (void)pthread_mutex_unlock(&follower->lock);
    json_decref(json);
}

/* A check-in that another datastore took. */
static void take_webserver(struct etcd_follower *follower, struct span value)
{
    json_t *json = json_loadb((const char *)value.data, value.bytes, 0, NULL);
    struct uuid datastore = {0};
    if (json != NULL && sync_uuid_from_json(json, "datastore", &datastore) == 0 &&
        !uuid_equal(datastore, follower->run)) {
        sync_server_hear(follower->server, json);
    }
    json_decref(json);
}

static void take_kv(struct etcd_follower *follower, const json_t *kv, struct span key)
{
    struct buf value = {0};
    struct uuid id;
    if (etcd_answer_bytes(kv, "value", &value) < 0) {
        return;
    }
    if (etcd_key_id(follower->etcd, key, "datastore", &id)) {
        take_datastore(follower, id, buf_span(&value));
    } else if (value.bytes > 0 && etcd_key_id(follower->etcd, key, "webserver", &id)) {
        take_webserver(follower, buf_span(&value)); /* a deleted one falls silent by itself */
    }
    buf_deinit(&value);
}

void etcd_keeper_take(struct etcd_follower *follower, const json_t *event, struct span key)
{
    take_kv(follower, json_object_get(event, "kv"), key);
}

static int load_folder(struct etcd_follower *follower, const char *folder)
{
    char *prefix = etcd_key(follower->etcd, folder);
    json_t *answer = NULL;
    int rc = etcd_txn(follower->etcd, NULL, json_pack("[o]", etcd_get_prefix(prefix)), NULL,
                      ETCD_CALL_MS, &answer);
    const json_t *first = json_array_get(json_object_get(answer, "responses"), 0);
    const json_t *kvs = json_object_get(json_object_get(first, "response_range"), "kvs");
    for (size_t i = 0; rc == 0 && i < json_array_size(kvs); i++) {
        struct buf key = {0};
        rc = etcd_answer_bytes(json_array_get(kvs, i), "key", &key);
        if (rc == 0) {
            take_kv(follower, json_array_get(kvs, i), buf_span(&key));
        }
        buf_deinit(&key);
    }
    json_decref(answer);
    mem_free(prefix);
    return rc;
}

int etcd_keeper_load(struct etcd_follower *follower)
{
    int rc = load_folder(follower, "datastore/");
    return rc < 0 ? rc : load_folder(follower, "webserver/");
}

/* ---- this datastore ---- */

static int grant(struct etcd_follower *follower)
{
    json_t *request = json_pack("{s:i}", "TTL", ETCD_LEASE_S);
    json_t *answer = NULL;
    int rc = etcd_call(follower->etcd, "/v3/lease/grant", request, ETCD_CALL_MS, &answer);
    uint64_t lease = rc < 0 ? 0 : etcd_answer_number(answer, "ID");
    json_decref(request);
    json_decref(answer);
    if (rc < 0) {
        return rc;
    }
    json_t *value =
        json_pack("{s:s, s:s}", "address", follower->address, "version", AQUIFER_VERSION);
    char *text = json_dumps(value, JSON_COMPACT);
    char *key = etcd_key_of(follower->etcd, "datastore", &follower->run);
    rc = etcd_txn(follower->etcd, NULL, json_pack("[o]", etcd_put(key, span_of_str(text), lease)),
                  NULL, ETCD_CALL_MS, NULL);
    mem_free(key);
    free(text);
    json_decref(value);
    (void)pthread_mutex_lock(&follower->lock);
    follower->lease = rc < 0 ? 0 : lease;
    (void)pthread_mutex_unlock(&follower->lock);
    return rc;
}

int etcd_keeper_lease(struct etcd_follower *follower)
{
    (void)pthread_mutex_lock(&follower->lock);
    uint64_t lease = follower->lease;
    (void)pthread_mutex_unlock(&follower->lock);
    if (lease == 0) {
        return grant(follower);
    }
    json_t *request = json_pack("{s:o}", "ID", etcd_number(lease));
    json_t *answer = NULL;
    int rc = etcd_call(follower->etcd, "/v3/lease/keepalive", request, ETCD_CALL_MS, &answer);
    bool gone = rc == 0 && etcd_answer_number(json_object_get(answer, "result"), "TTL") == 0;
    json_decref(request);
    json_decref(answer);
    return gone ? grant(follower) : rc;
}

void etcd_keeper_leave(struct etcd_follower *follower)
{
    json_t *request = json_pack("{s:o}", "ID", etcd_number(follower->lease));
    json_t *answer = NULL;
    if (follower->lease != 0 &&
        etcd_call(follower->etcd, "/v3/lease/revoke", request, ETCD_ATTEMPT_MS, &answer) < 0) {
        /* It runs out by itself. */
    }
    json_decref(request);
    json_decref(answer);
}

/* With the lease: of a datastore that dies the webservers have moved to another one, and said so
 * there, before it runs out. */
void etcd_keeper_checked_in(void *context, const json_t *request)
{
    struct etcd_follower *follower = context;
    struct uuid id;
    (void)pthread_mutex_lock(&follower->lock);
    uint64_t lease = follower->lease;
    (void)pthread_mutex_unlock(&follower->lock);
    if (lease == 0 || sync_uuid_from_json(request, "webserver", &id) < 0) {
        return;
    }
    json_t *value = json_copy((json_t *)request);
    json_object_del(value, "run");
    json_object_set_new(value, "datastore", sync_uuid_to_json(follower->run));
    char *text = json_dumps(value, JSON_COMPACT);
    char *key = etcd_key_of(follower->etcd, "webserver", &id);
    int rc =
        etcd_txn(follower->etcd, NULL, json_pack("[o]", etcd_put(key, span_of_str(text), lease)),
                 NULL, ETCD_ATTEMPT_MS, NULL);
    if (rc < 0) {
        etcd_tell(follower, SYNC_WARN, "etcd-presence", "%s; the next check-in says it",
                  err_text());
    }
    mem_free(key);
    free(text);
    json_decref(value);
}

/* ---- the thread ---- */

struct keeper {
    bool away;
    uint64_t lag_revision; /* what the store was at when it was first seen behind; 0: it is not */
    int64_t lag_ns;
    int64_t lease_ns;
    int64_t compacted_ns;
    uint64_t compact_mod;
};

static void check_away(struct etcd_follower *follower, struct keeper *keeper, int rc)
{
    (void)pthread_mutex_lock(&follower->lock);
    int64_t silent_ns = etcd_now_ns() - follower->heard_ns;
    (void)pthread_mutex_unlock(&follower->lock);
    bool away = rc < 0 && silent_ns > ETCD_AWAY_MS * TIME_MS_NS;
    if (away && !keeper->away) {
        char *why = mem_printf("etcd does not answer: %.150s", err_text());
        sync_server_set_away(follower->server, why);
        etcd_tell(follower, SYNC_ERROR, "etcd-away", "%s; webservers are sent away", why);
        mem_free(why);
    } else if (rc == 0 && keeper->away) {
        sync_server_set_away(follower->server, NULL);
        etcd_tell(follower, SYNC_INFO, "etcd-back", "etcd answers again");
    }
    keeper->away = away || (keeper->away && rc < 0);
    (void)pthread_mutex_lock(&follower->lock);
    follower->stats.away = keeper->away;
    (void)pthread_mutex_unlock(&follower->lock);
}

/* A member that is cut off from the others keeps a watch open and says nothing. */
static void check_lag(struct etcd_follower *follower, struct keeper *keeper,
                      const struct etcd_head *head)
{
    uint64_t reached = sync_server_revision(follower->server);
    int64_t now_ns = etcd_now_ns();
    if (reached >= head->revision) {
        keeper->lag_ns = 0;
    } else if (keeper->lag_ns == 0 || reached != keeper->lag_revision) {
        keeper->lag_ns = now_ns;
        keeper->lag_revision = reached;
    } else if (now_ns - keeper->lag_ns > LAG_NS) {
        keeper->lag_ns = 0;
        (void)pthread_mutex_lock(&follower->lock);
        if (follower->watch != NULL) {
            http_cancel_fire(follower->watch);
        }
        (void)pthread_mutex_unlock(&follower->lock);
        etcd_tell(follower, SYNC_WARN, "etcd-watch-silent",
                  "the watch is behind at revision %" PRIu64 " of %" PRIu64
                  "; another member is watched",
                  reached, head->revision);
    }
}

static void compact(struct etcd_follower *follower, struct keeper *keeper)
{
    int64_t now_ns = etcd_now_ns();
    if (now_ns - keeper->compacted_ns < COMPACT_NS) {
        return;
    }
    uint64_t upto = keeper->compact_mod;
    keeper->compacted_ns = now_ns;
    (void)pthread_mutex_lock(&follower->lock);
    keeper->compact_mod = follower->applied_mod;
    (void)pthread_mutex_unlock(&follower->lock);
    json_t *request = json_pack("{s:o}", "revision", etcd_number(upto));
    json_t *answer = NULL;
    if (upto > 0 &&
        etcd_call(follower->etcd, "/v3/kv/compaction", request, ETCD_CALL_MS, &answer) < 0) {
        /* Another datastore was first, or the next hour does it. */
    }
    json_decref(request);
    json_decref(answer);
}

static bool epoch_is_due(struct etcd_follower *follower)
{
    (void)pthread_mutex_lock(&follower->lock);
    bool due = follower->epoch_due;
    (void)pthread_mutex_unlock(&follower->lock);
    return due;
}

void *etcd_keeper_thread(void *context)
{
    struct etcd_follower *follower = context;
    struct keeper keeper = {.compacted_ns = etcd_now_ns()};
    (void)pthread_mutex_lock(&follower->lock);
    while (!follower->stopping) {
        (void)pthread_mutex_unlock(&follower->lock);
        struct etcd_head head = {0};
        int rc = etcd_look(follower, ETCD_CALL_MS, &head);
        check_away(follower, &keeper, rc);
        if (rc == 0) {
            check_lag(follower, &keeper, &head);
            compact(follower, &keeper);
        }
        if (rc == 0 && epoch_is_due(follower) && etcd_cache_begin_epoch(follower) < 0) {
            /* Still full, or away: the next beat. */
        }
        if (rc == 0 && etcd_now_ns() - keeper.lease_ns > ETCD_LEASE_S * TIME_S_NS / 4 &&
            etcd_keeper_lease(follower) == 0) {
            keeper.lease_ns = etcd_now_ns();
        }
        (void)pthread_mutex_lock(&follower->lock);
        int64_t until_ns = etcd_now_ns() + BEAT_MS * TIME_MS_NS;
        while (!follower->stopping && etcd_now_ns() < until_ns) {
            (void)etcd_nap(follower, (until_ns - etcd_now_ns()) / TIME_MS_NS + 1);
        }
    }
    (void)pthread_mutex_unlock(&follower->lock);
    return NULL;
}
