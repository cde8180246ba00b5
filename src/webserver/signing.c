#include "webserver/signing.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "conf/conf.h"
#include "store/store.h"
#include "sync/sync.h"

struct signing {
    struct webserver *webserver;
    int64_t session_ns;
    int64_t key_life_ns;
    atomic_bool keys_stale;
    pthread_mutex_t lock; /* over the keys */
    struct token_key keys[SIGNING_KEYS_MAX];
    size_t key_count;
};

int signing_new(struct webserver *webserver, int64_t session_ns, struct signing **ret_signing)
{
    int64_t life_ns = conf_duration(webserver->conf, CONF_GLOBAL, "Signing-Key-Lifetime");
    if (life_ns <= 0 || session_ns / life_ns > SIGNING_PERIODS_MAX) {
        return err_set(
            ERR_INVALID, "%s: Signing-Key-Lifetime must be at least Session-Timeout-Minutes / %d",
            conf_where(webserver->conf, CONF_GLOBAL, "Signing-Key-Lifetime"), SIGNING_PERIODS_MAX);
    }
    struct signing *signing = MEM_NEW(struct signing);
    signing->webserver = webserver;
    signing->session_ns = session_ns;
    signing->key_life_ns = life_ns;
    atomic_init(&signing->keys_stale, true);
    pthread_mutex_init(&signing->lock, NULL);
    *ret_signing = signing;
    return 0;
}

void signing_free(struct signing **signing)
{
    if (*signing != NULL) {
        pthread_mutex_destroy(&(*signing)->lock);
        mem_free(*signing);
        *signing = NULL;
    }
}

void signing_keys_changed(struct signing *signing)
{
    atomic_store(&signing->keys_stale, true);
}

static int read_key(void *context, const struct object *object)
{
    struct signing *signing = context;
    struct buf secret = {0};
    if (signing->key_count < SIGNING_KEYS_MAX &&
        text_unhex(&secret, span_of_str(object_body_text(object, "Key"))) &&
        secret.bytes == TOKEN_KEY_BYTES) {
        struct token_key *key = &signing->keys[signing->key_count++];
        (void)uuid_text(object->id, key->id);
        memcpy(key->secret, secret.data, TOKEN_KEY_BYTES);
    }
    buf_deinit(&secret);
    return 0;
}

/* Newest first, so that keys[0] is the one to sign with. */
static int refresh_keys(struct signing *signing)
{
    if (!atomic_exchange(&signing->keys_stale, false)) {
        return 0;
    }
    signing->key_count = 0;
    struct store_query query = {.kind = OBJECT_SIGNING_KEY, .order = STORE_NEWEST_FIRST};
    int rc = store_walk(signing->webserver->store, &query, read_key, signing);
    if (rc < 0 || signing->key_count == 0) {
        atomic_store(&signing->keys_stale, true);
    }
    return rc;
}

int signing_verify(struct signing *signing, struct span token, struct token_claims *ret_claims)
{
    pthread_mutex_lock(&signing->lock);
    int rc = refresh_keys(signing);
    if (rc == 0) {
        rc = token_verify(token, signing->keys, signing->key_count,
                          io_now_ns(signing->webserver->io), ret_claims);
    }
    pthread_mutex_unlock(&signing->lock);
    return rc;
}

int signing_make(struct signing *signing, int32_t uid, struct token_claims *ret_claims,
                 struct buf *token)
{
    uint8_t random[16];
    int64_t now_ns = io_now_ns(signing->webserver->io);
    io_random(signing->webserver->io, random, sizeof(random));
    *ret_claims = (struct token_claims){
        .uid = uid, .issued_ns = now_ns, .expires_ns = now_ns + signing->session_ns};
    (void)uuid_text(uuid_of_random(random), ret_claims->session);
    pthread_mutex_lock(&signing->lock);
    int rc = refresh_keys(signing);
    if (rc == 0 && signing->key_count == 0) {
        rc = err_set(ERR_UNAVAILABLE, "there is no signing key yet");
    }
    if (rc == 0) {
        token_sign(ret_claims, &signing->keys[0], token);
    }
    pthread_mutex_unlock(&signing->lock);
    return rc;
}

/* ── Rotation ────────────────────────────────────────────────────────────────────────────── */

static void name_of_period(const struct signing *signing, char ret_name[32])
{
    int64_t period = io_now_ns(signing->webserver->io) / signing->key_life_ns;
    (void)snprintf(ret_name, 32, "%" PRId64, period);
}

static int mint(struct signing *signing, const char *name)
{
    struct webserver *webserver = signing->webserver;
    uint8_t random[TOKEN_KEY_BYTES];
    struct buf hex = {0};
    io_random(webserver->io, random, sizeof(random));
    text_hex(&hex, span_of(random, sizeof(random)));
    struct object *key = object_new(OBJECT_SIGNING_KEY);
    object_set_name(key, name);
    object_set_body(key, json_pack("{s:s}", "Key", buf_str(&hex)));
    int rc = sync_write(webserver->sync, key, SYNC_BY_KIND);
    object_free(&key);
    buf_deinit(&hex);
    return rc;
}

static bool is_outlived(void *context, const struct object *key)
{
    const struct signing *signing = context;
    /* Sessions signed with it on its last day are over by then. */
    return key->created_ns + 2 * signing->key_life_ns + signing->session_ns <
           io_now_ns(signing->webserver->io);
}

static int drop_outlived(struct signing *signing)
{
    struct object_list outlived = {0};
    struct store_query query = {
        .kind = OBJECT_SIGNING_KEY, .filter = is_outlived, .context = signing};
    int rc = store_list(signing->webserver->store, &query, &outlived);
    for (size_t i = 0; i < outlived.count && rc >= 0; i++) {
        rc = sync_delete(signing->webserver->sync, &outlived.items[i]->id, SYNC_BY_KIND);
        rc = rc == ERR_NOT_FOUND ? 0 : rc;
    }
    object_list_deinit(&outlived);
    return rc;
}

int signing_rotate(struct signing *signing)
{
    char name[32];
    struct object *key = NULL;
    name_of_period(signing, name);
    int rc = store_get_by_name(signing->webserver->store, OBJECT_SIGNING_KEY, -1, name, &key);
    object_free(&key);
    if (rc == STORE_ABSENT) {
        rc = mint(signing, name);
    }
    return rc < 0 ? rc : drop_outlived(signing);
}
