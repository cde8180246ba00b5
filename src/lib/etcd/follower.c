#include "etcd/follower.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/time.h"
#include "base/vec.h"
#include "etcd/parts.h"
#include "etcd/state.h"

#define CATCH_UP_MS 2500
#define RECONNECT_MS 50
#define WATCH_IDLE_MS 20000 /* its member may be gone; before its webservers seem to be */

void etcd_tell(struct etcd_follower *follower, enum sync_level level, const char *event,
               const char *format, ...)
{
    if (follower->options.on_event == NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    struct buf text = {0};
    buf_vprintf(&text, format, args);
    va_end(args);
    follower->options.on_event(follower->options.context, level, event, buf_str(&text));
    buf_deinit(&text);
}

int64_t etcd_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * TIME_S_NS + now.tv_nsec;
}

bool etcd_passes(int rc, int64_t until_ns)
{
    return (rc == ERR_UNAVAILABLE || rc == ERR_TIMEOUT) && etcd_now_ns() < until_ns;
}

bool etcd_nap(struct etcd_follower *follower, int64_t ms)
{
    int64_t at_ns = etcd_now_ns() + ms * TIME_MS_NS;
    struct timespec at = {at_ns / TIME_S_NS, at_ns % TIME_S_NS};
    int waited = 0;
    if (!follower->stopping) {
        waited = pthread_cond_timedwait(&follower->changed, &follower->lock, &at);
    }
    return waited == 0 && !follower->stopping;
}

/* ---- committing: the server's leader, within a transaction of the store ---- */

static int add_change(struct etcd_follower *follower, const struct sync_change *change,
                      json_t *puts)
{
    struct buf value = {0};
    int rc = etcd_parts_put(follower->etcd, follower->io, &change->id, change->revision,
                            change->json, &value);
    if (rc == 0) {
        char *key = etcd_key_of(follower->etcd, "object", &change->id);
        json_array_append_new(puts, etcd_put(key, buf_span(&value), 0));
        mem_free(key);
    }
    buf_deinit(&value);
    return rc;
}

/* What is large is put in parts here, and not current before the transaction. */
static int add_changes(struct etcd_follower *follower, const struct sync_proposal *proposal,
                       const struct etcd_head *next, json_t *puts)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < proposal->count; i++) {
        rc = add_change(follower, &proposal->changes[i], puts);
    }
    json_array_append_new(puts, etcd_put_head(follower->etcd, next));
    return rc;
}

/* What the truth is judged to be before a transaction. */
struct before {
    struct etcd_head head;
    uint64_t epochs_mod;
};

/* Nobody changed an object, nor began an epoch that this one's webservers would not know of when
 * they hear of the change. */
static int put_all(struct etcd_follower *follower, const struct before *before, json_t *puts,
                   uint64_t *ret_mod)
{
    json_t *answer = NULL;
    char *key = etcd_key(follower->etcd, "epochs");
    json_t *compare = json_pack("[o, o]", etcd_if_head(follower->etcd, &before->head),
                                etcd_if_mod(key, before->epochs_mod));
    int rc = etcd_txn(follower->etcd, compare, puts, NULL, ETCD_CALL_MS, &answer);
    if (rc == 0) {
        *ret_mod = etcd_answer_revision(answer);
    } else if (rc == ETCD_TXN_ELSE) {
        (void)pthread_mutex_lock(&follower->lock);
        follower->stats.behind++;
        (void)pthread_mutex_unlock(&follower->lock);
        rc = SYNC_BACKEND_BEHIND;
    }
    mem_free(key);
    json_decref(answer);
    return rc;
}

/* The epochs that were learnt from a webserver, before what belongs to them: together they may be
 * more than etcd takes at once. Known for nothing they do no harm. */
static int put_epochs(struct etcd_follower *follower, struct before *before, uint64_t *mod)
{
    struct etcd_lineage lineage = {0};
    int rc = etcd_lineage_of_store(follower->store, &lineage);
    if (rc == 0) {
        json_t *puts = json_pack("[o]", etcd_put_lineage(follower->etcd, &lineage));
        rc = put_all(follower, before, puts, mod);
        before->epochs_mod = rc == 0 ? *mod : before->epochs_mod;
    }
    etcd_lineage_deinit(&lineage);
    return rc;
}

static int put_changes(struct etcd_follower *follower, const struct sync_proposal *proposal,
                       const struct before *before, const struct etcd_head *next, uint64_t *mod)
{
    json_t *puts = json_array();
    int rc = add_changes(follower, proposal, next, puts);
    if (rc < 0) {
        json_decref(puts);
        return rc;
    }
    return put_all(follower, before, puts, mod);
}

static int committed(struct etcd_follower *follower, const struct etcd_head *next,
                     uint64_t epochs_mod, uint64_t mod)
{
    char *note = etcd_note_text(next, mod);
    int rc = store_set_note(follower->store, SYNC_BACKEND_NOTE, note);
    mem_free(note);
    (void)pthread_mutex_lock(&follower->lock);
    follower->head = *next;
    follower->stats.commits++;
    follower->heard_ns = etcd_now_ns();
    follower->epochs_mod = MAX(follower->epochs_mod, epochs_mod);
    (void)pthread_mutex_unlock(&follower->lock);
    return rc;
}

static int commit(void *context, const struct sync_proposal *proposal)
{
    struct etcd_follower *follower = context;
    (void)pthread_mutex_lock(&follower->lock);
    struct before before = {follower->head, follower->epochs_mod};
    bool epoch_due = follower->epoch_due;
    (void)pthread_mutex_unlock(&follower->lock);
    if (epoch_due) {
        return err_set(ERR_NO_SPACE, "etcd is full, and was when this datastore began");
    }
    if (before.head.revision != proposal->base) {
        return SYNC_BACKEND_BEHIND;
    }
    struct etcd_head next =
        proposal->count > 0 ? etcd_head_new(follower->io, proposal->revision) : before.head;
    uint64_t mod = 0;
    int rc = proposal->epochs ? put_epochs(follower, &before, &mod) : 0;
    if (rc == 0 && proposal->count > 0) {
        rc = put_changes(follower, proposal, &before, &next, &mod);
    }
    return rc == 0 ? committed(follower, &next, before.epochs_mod, mod) : rc;
}

/* ---- catching up ---- */

static void note_fatal(struct etcd_follower *follower, const char *why)
{
    (void)pthread_mutex_lock(&follower->lock);
    bool first = !follower->stopping && !follower->fatal;
    follower->fatal = true;
    (void)pthread_mutex_unlock(&follower->lock);
    sync_server_set_away(follower->server, why);
    if (first) {
        etcd_tell(follower, SYNC_ERROR, "etcd-went-back", "%s; this datastore ends and begins anew",
                  why);
        if (follower->options.on_fatal != NULL) {
            follower->options.on_fatal(follower->options.context);
        }
    }
}

int etcd_apply(struct etcd_follower *follower, struct sync_applied *applied,
               const struct etcd_lineage *lineage)
{
    /* Two threads may bring epochs: the older ones must not come last. */
    (void)pthread_mutex_lock(&follower->lineage_lock);
    (void)pthread_mutex_lock(&follower->lock);
    applied->lineage = lineage->mod > follower->epochs_mod ? lineage->files : NULL;
    (void)pthread_mutex_unlock(&follower->lock);
    bool news = applied->lineage != NULL || applied->revision > 0;
    int rc = news ? sync_server_apply(follower->server, applied) : 0;
    (void)pthread_mutex_lock(&follower->lock);
    if (rc == 0) {
        follower->epochs_mod = MAX(follower->epochs_mod, lineage->mod);
    }
    (void)pthread_mutex_unlock(&follower->lock);
    (void)pthread_mutex_unlock(&follower->lineage_lock);
    if (rc == ERR_CONFLICT) {
        note_fatal(follower, "etcd went another way");
        rc = err_set(ERR_UNAVAILABLE, "etcd went another way");
    }
    return rc;
}

static int apply_lineage(struct etcd_follower *follower, const struct etcd_lineage *lineage)
{
    struct sync_applied applied = {0};
    return etcd_apply(follower, &applied, lineage);
}

int etcd_look(struct etcd_follower *follower, unsigned timeout_ms, struct etcd_head *ret_head)
{
    struct etcd_lineage lineage = {0};
    struct etcd_head head = {0};
    uint64_t reached = sync_server_revision(follower->server);
    (void)pthread_mutex_lock(&follower->lock);
    uint64_t epochs_mod = follower->epochs_mod;
    (void)pthread_mutex_unlock(&follower->lock);
    int rc = etcd_read(follower->etcd, timeout_ms, &head, &lineage, NULL);
    bool older = rc == 0 && (head.revision < reached || lineage.mod < epochs_mod);
    if (rc == ETCD_ABSENT || older) {
        note_fatal(follower, "etcd lost what it had");
        rc = err_set(ERR_UNAVAILABLE, "etcd lost what it had");
    }
    if (rc == 0) {
        (void)pthread_mutex_lock(&follower->lock);
        follower->heard_ns = etcd_now_ns();
        (void)pthread_mutex_unlock(&follower->lock);
        rc = apply_lineage(follower, &lineage);
    }
    etcd_lineage_deinit(&lineage);
    if (rc == 0) {
        *ret_head = head;
    }
    return rc;
}

static int catch_up(void *context)
{
    struct etcd_follower *follower = context;
    struct etcd_head head;
    int rc = etcd_look(follower, CATCH_UP_MS, &head);
    if (rc == 0 && !sync_server_wait_revision(follower->server, head.revision, CATCH_UP_MS)) {
        rc = err_set(ERR_UNAVAILABLE, "etcd is at revision %" PRIu64 ", this datastore at %" PRIu64,
                     head.revision, sync_server_revision(follower->server));
    }
    return rc;
}

/* ---- the watch ---- */

static int apply_pending(struct etcd_follower *follower, const struct etcd_head *head, uint64_t mod)
{
    char *note = etcd_note_text(head, mod);
    struct sync_applied applied = {.objects = follower->pending.items,
                                   .count = follower->pending.count,
                                   .revision = head->revision,
                                   .note = note};
    bool news = head->revision > sync_server_revision(follower->server);
    int rc = news ? sync_server_apply(follower->server, &applied) : 0;
    (void)pthread_mutex_lock(&follower->lock);
    if (rc == 0 && head->revision > follower->head.revision) {
        follower->head = *head;
        follower->stats.applied += follower->pending.count;
    }
    if (rc == 0) {
        follower->applied_mod = MAX(follower->applied_mod, mod);
    }
    (void)pthread_mutex_unlock(&follower->lock);
    mem_free(note);
    object_list_deinit(&follower->pending);
    return rc;
}

enum { WATCH_BEHIND = 1 }; /* etcd has forgotten the steps between */

void etcd_pass_over(struct etcd_follower *follower, const char *why)
{
    etcd_tell(follower, SYNC_ERROR, "unreadable-object",
              "%s; it stays in etcd, and is passed over until it is put anew", why);
    (void)pthread_mutex_lock(&follower->lock);
    follower->stats.unreadable++;
    (void)pthread_mutex_unlock(&follower->lock);
}

static int take_object(struct etcd_follower *follower, struct span value)
{
    struct object *object = NULL;
    int rc = etcd_parts_get(follower->etcd, value, &object);
    if (rc == ETCD_PARTS_GONE) {
        return WATCH_BEHIND;
    }
    if (rc == 0) {
        vec_push(&follower->pending, object);
    }
    return rc < 0 ? err_wrap(rc, "etcd") : 0;
}

static int take_named(struct etcd_follower *follower, struct span name, struct span value,
                      uint64_t mod)
{
    if (span_equal_str(name, "head")) {
        struct etcd_head head;
        int rc = etcd_head_parse(value, &head);
        return rc < 0 ? rc : apply_pending(follower, &head, mod);
    }
    if (span_equal_str(name, "epochs")) {
        struct etcd_lineage lineage = {0};
        int rc = etcd_lineage_parse(value, &lineage);
        lineage.mod = mod;
        rc = rc < 0 ? rc : apply_lineage(follower, &lineage);
        etcd_lineage_deinit(&lineage);
        return rc;
    }
    int rc = span_starts_with(name, span_of_str("object/")) ? take_object(follower, value) : 0;
    if (rc == ERR_CORRUPT || rc == ERR_UNSUPPORTED) {
        rc = err_wrap(rc, "the key %.*s", SPAN_ARG(name));
        etcd_pass_over(follower, err_text());
        return 0;
    }
    return rc;
}

/* Who is up is put by itself: what came before it is whole. A watch that begins anew must not bring
 * it again, it would be taken for news. A lease may end with several keys. */
static void pass_presence(struct etcd_follower *follower, uint64_t mod, bool deleted)
{
    (void)pthread_mutex_lock(&follower->lock);
    follower->applied_mod = MAX(follower->applied_mod, deleted && mod > 0 ? mod - 1 : mod);
    (void)pthread_mutex_unlock(&follower->lock);
}

static bool is_presence(struct span name)
{
    return span_starts_with(name, span_of_str("webserver/")) ||
           span_starts_with(name, span_of_str("datastore/"));
}

static int take_event(struct etcd_follower *follower, const json_t *event)
{
    const json_t *kv = json_object_get(event, "kv");
    const char *type = json_string_value(json_object_get(event, "type"));
    bool deleted = type != NULL && strcmp(type, "DELETE") == 0;
    size_t prefix = strlen(etcd_prefix(follower->etcd)) + 1;
    struct buf key = {0};
    struct buf value = {0};
    int rc = etcd_answer_bytes(kv, "key", &key);
    rc = rc < 0 ? rc : etcd_answer_bytes(kv, "value", &value);
    if (rc == 0 && key.bytes > prefix) {
        struct span name = span_from(buf_span(&key), prefix);
        uint64_t mod = etcd_answer_number(kv, "mod_revision");
        if (is_presence(name)) {
            etcd_keeper_take(follower, event, buf_span(&key));
            pass_presence(follower, mod, deleted);
        } else {
            rc = deleted ? 0 : take_named(follower, name, buf_span(&value), mod);
        }
    }
    buf_deinit(&key);
    buf_deinit(&value);
    return rc;
}

static int take_result(void *context, const json_t *result)
{
    struct etcd_follower *follower = context;
    const json_t *events = json_object_get(result, "events");
    int rc = 0;
    if (json_is_true(json_object_get(result, "canceled"))) {
        const char *reason = json_string_value(json_object_get(result, "cancel_reason"));
        bool compacted = etcd_answer_number(result, "compact_revision") > 0;
        rc = err_set(ERR_UNAVAILABLE, "etcd ended the watch: %.200s", reason == NULL ? "" : reason);
        return compacted ? WATCH_BEHIND : rc;
    }
    for (size_t i = 0; rc == 0 && i < json_array_size(events); i++) {
        rc = take_event(follower, json_array_get(events, i));
    }
    return rc;
}

struct watching {
    struct etcd_follower *follower;
    bool compacted;
    bool told; /* that it ended; nothing was taken since */
};

static int take_watched(void *context, const json_t *result)
{
    struct watching *watching = context;
    int rc = take_result(watching->follower, result);
    watching->compacted = rc == WATCH_BEHIND;
    watching->told = watching->told && rc != 0;
    return rc;
}

static void watch_once(struct watching *watching, struct http_cancel *cancel, uint64_t start)
{
    struct etcd_follower *follower = watching->follower;
    char *prefix = mem_printf("%s/", etcd_prefix(follower->etcd));
    struct etcd_watch watch = {.prefix = prefix,
                               .start = start,
                               .idle_ms = WATCH_IDLE_MS,
                               .each = take_watched,
                               .context = watching,
                               .cancel = cancel};
    watching->compacted = false;
    int rc = etcd_watch(follower->etcd, &watch);
    bool quiet = rc == ERR_CANCELLED || rc == ERR_TIMEOUT; /* it may be that nothing happened */
    if (!quiet && !watching->compacted && !watching->told) {
        watching->told = true;
        etcd_tell(follower, SYNC_WARN, "etcd-watch", "%s; members are asked until one goes on",
                  err_text());
    }
    mem_free(prefix);
    object_list_deinit(&follower->pending);
}

void *etcd_watch_thread(void *context)
{
    struct etcd_follower *follower = context;
    struct watching watching = {.follower = follower};
    (void)pthread_mutex_lock(&follower->lock);
    while (!follower->stopping) {
        struct http_cancel *cancel = follower->watch = http_cancel_new();
        uint64_t start = follower->applied_mod + 1;
        follower->stats.watches++;
        (void)pthread_mutex_unlock(&follower->lock);
        watch_once(&watching, cancel, start);
        if (watching.compacted && etcd_cache_resync(follower) < 0) {
            etcd_tell(follower, SYNC_WARN, "etcd-resync", "%s; tried again", err_text());
        }
        (void)pthread_mutex_lock(&follower->lock);
        follower->watch = NULL;
        http_cancel_free(&cancel);
        (void)etcd_nap(follower, RECONNECT_MS);
    }
    (void)pthread_mutex_unlock(&follower->lock);
    return NULL;
}

/* ---- life ---- */

static void copy_options(struct etcd_follower *follower,
                         const struct etcd_follower_options *options)
{
    follower->io = options->io;
    follower->options = *options;
    follower->url = mem_strdup(options->url);
    follower->users_path = mem_strdup(options->users_path);
    follower->web_path = mem_strdup(options->web_path);
    follower->blob_dir = mem_strdup(options->blob_dir);
    follower->control_secret =
        mem_strdup(options->control_secret == NULL ? "" : options->control_secret);
}

static int open_all(struct etcd_follower *follower)
{
    struct http_client_options client = {.io = follower->io,
                                         .control_secret = follower->control_secret,
                                         .tls_insecure = !follower->options.tls_verify,
                                         .connect_timeout_ms = 2000};
    int rc = etcd_new(follower->io, follower->url, &follower->options.tls, &follower->etcd);
    rc = rc < 0 ? rc : http_client_new(&client, &follower->peer_client);
    rc = rc < 0 ? rc : etcd_cache_open(follower);
    return rc < 0 ? err_wrap(rc, "%s", follower->url) : 0;
}

int etcd_follower_open(const struct etcd_follower_options *options,
                       struct etcd_follower **ret_follower)
{
    struct etcd_follower *follower = MEM_NEW(struct etcd_follower);
    uint8_t random[16];
    copy_options(follower, options);
    io_random(follower->io, random, sizeof(random));
    follower->run = uuid_of_random(random);
    follower->cancel = http_cancel_new();
    follower->heard_ns = etcd_now_ns();
    follower->backend = (struct sync_backend){.changes_max = ETCD_PUTS_MAX - 2,
                                              .bytes_max = ETCD_BYTES_MAX,
                                              .commit = commit,
                                              .catch_up = catch_up,
                                              .blob_is_safe = etcd_blob_is_safe,
                                              .checked_in = etcd_keeper_checked_in,
                                              .context = follower};
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&follower->lock, NULL);
    (void)pthread_mutex_init(&follower->lineage_lock, NULL);
    (void)pthread_cond_init(&follower->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    int rc = open_all(follower);
    if (rc < 0) {
        etcd_follower_close(&follower);
        return rc;
    }
    *ret_follower = follower;
    return 0;
}

struct store *etcd_follower_store(struct etcd_follower *follower)
{
    return follower->store;
}

const struct sync_backend *etcd_follower_backend(struct etcd_follower *follower)
{
    return &follower->backend;
}

void etcd_follower_attach(struct etcd_follower *follower, struct sync_server *server)
{
    follower->server = server;
}

int etcd_follower_start(struct etcd_follower *follower, const char *address)
{
    static void *(*const mains[])(void *) = {etcd_watch_thread, etcd_keeper_thread,
                                             etcd_blob_thread};
    int64_t until_ns = etcd_now_ns() + ETCD_START_MS * TIME_MS_NS;
    int rc = ERR_UNAVAILABLE;
    follower->heard_ns = etcd_now_ns();
    follower->address = mem_strdup(address);
    while (etcd_passes(rc, until_ns)) {
        rc = etcd_keeper_load(follower);
        rc = rc < 0 ? rc : etcd_keeper_lease(follower);
    }
    rc = rc == ERR_NO_SPACE ? 0 : rc; /* the keeper tries it again */
    for (size_t i = 0; rc == 0 && i < ARRAY_COUNT(mains); i++) {
        int error = pthread_create(&follower->threads[i], NULL, mains[i], follower);
        rc = error == 0 ? 0 : err_set_errno(error, "a thread of the etcd follower");
        follower->thread_count += error == 0 ? 1 : 0;
    }
    return rc;
}

void etcd_follower_stop(struct etcd_follower *follower)
{
    (void)pthread_mutex_lock(&follower->lock);
    bool first = !follower->stopping;
    follower->stopping = true;
    if (follower->watch != NULL) {
        http_cancel_fire(follower->watch);
    }
    http_cancel_fire(follower->cancel);
    (void)pthread_cond_broadcast(&follower->changed);
    (void)pthread_mutex_unlock(&follower->lock);
    if (first && follower->server != NULL) {
        etcd_keeper_leave(follower);
    }
    etcd_cancel(follower->etcd);
    for (size_t i = 0; i < follower->thread_count; i++) {
        (void)pthread_join(follower->threads[i], NULL);
    }
    follower->thread_count = 0;
}

void etcd_follower_close(struct etcd_follower **follower)
{
    struct etcd_follower *gone = *follower;
    *follower = NULL;
    if (gone == NULL) {
        return;
    }
    CHECK(gone->thread_count == 0);
    store_close(&gone->store);
    etcd_free(&gone->etcd);
    http_client_free(&gone->peer_client);
    http_cancel_free(&gone->cancel);
    map_deinit(&gone->safe_blobs);
    mem_free(gone->url);
    mem_free(gone->users_path);
    mem_free(gone->web_path);
    mem_free(gone->blob_dir);
    mem_free(gone->address);
    mem_free(gone->control_secret);
    (void)pthread_mutex_destroy(&gone->lock);
    (void)pthread_mutex_destroy(&gone->lineage_lock);
    (void)pthread_cond_destroy(&gone->changed);
    mem_free(gone);
}

void etcd_follower_stats(struct etcd_follower *follower, struct etcd_follower_stats *ret_stats)
{
    (void)pthread_mutex_lock(&follower->lock);
    *ret_stats = follower->stats;
    ret_stats->peers = follower->peer_count;
    (void)pthread_mutex_unlock(&follower->lock);
}
