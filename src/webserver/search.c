/* The searches of this webserver: made, found, queued, kept and let go. */
#include "webserver/search.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/time.h"
#include "conf/conf.h"
#include "query/module.h"
#include "service/log.h"
#include "service/metrics.h"
#include "webserver/history.h"
#include "webserver/request.h"
#include "webserver/search_indexers.h"
#include "webserver/search_one.h"
#include "webserver/search_remote.h"

#define KEEPER_INTERVAL_MS 1000

static int64_t mono_ns(const struct search *search)
{
    return io_monotonic_ns(search->webserver->io);
}

/* ── Running ─────────────────────────────────────────────────────────────────────────────── */

/* Starts what waits, as far as there is room. Under search->lock. */
static void start_waiting(struct search *search)
{
    size_t started = 0;
    while (started < search->queue.count && search->running < SEARCH_RUNNING_MAX) {
        struct search_one *one = search->queue.items[started++];
        CHECK(pthread_mutex_lock(&one->lock) == 0);
        one->state = SEARCH_RUNNING;
        CHECK(pthread_mutex_unlock(&one->lock) == 0);
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, search_run, one) == 0); /* takes the reference */
        CHECK(pthread_detach(thread) == 0);
        search->running++;
    }
    if (started > 0) {
        search->queue.count -= started;
        memmove(search->queue.items, search->queue.items + started,
                search->queue.count * sizeof(struct search_one *));
    }
}

static void write_history(struct search_one *one)
{
    struct history_launch launch = {
        .uid = one->uid,
        .gids = one->gids.items,
        .gid_count = one->gids.count,
        .global = one->global,
        .user_query = one->user_query,
        .effective_query = one->effective,
        .launched_ns = one->launched_ns,
    };
    history_add(one->search->webserver->history, &launch);
}

void search_one_begin(struct search_one *one)
{
    struct search *search = one->search;
    metric_add(metric_counter("aquifer_searches_started_total", "searches started", NULL), 1);
    CHECK(pthread_mutex_lock(&search->lock) == 0);
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    CHECK(one->state == SEARCH_WAITING);
    one->state = SEARCH_QUEUED;
    bool background = one->background;
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    if (background) {
        search_remember(one);
    }
    search_one_ref(one);
    vec_push(&search->queue, one);
    start_waiting(search);
    CHECK(pthread_mutex_unlock(&search->lock) == 0);
    if (!one->no_history) {
        write_history(one);
    }
}

/* Finished, marked and nobody there: into the saved store. */
static void persist(struct search_one *one)
{
    int rc = search_saved_write(one);
    if (rc < 0) {
        search_one_message(one, "error", "the results could not be saved: %s", err_text());
        log_fault("search-save", "results could not be saved", rc, "search", one->id, NULL);
    }
}

static bool is_stopping(struct search *search)
{
    CHECK(pthread_mutex_lock(&search->lock) == 0);
    bool stopping = search->stopping;
    CHECK(pthread_mutex_unlock(&search->lock) == 0);
    return stopping;
}

void search_one_finished(struct search_one *one, const char *error)
{
    struct search *search = one->search;
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    one->state = SEARCH_FINISHED;
    one->finished_ns = io_now_ns(search->webserver->io);
    one->duration_ns = mono_ns(search) - one->launched_mono_ns;
    one->error = error == NULL ? NULL : mem_strdup(error);
    one->was_dormant = one->attached == 0;
    if (error == NULL && !atomic_load(&one->stop)) {
        one->position_ns = one->start_ns;
    }
    bool saved = one->saved && !one->deleted;
    bool remember = one->background && !one->deleted;
    CHECK(pthread_cond_broadcast(&one->changed) == 0);
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    if (saved) {
        persist(one);
    } else if (remember && !is_stopping(search)) { /* else it begins anew with the webserver */
        search_remember(one);
    }
    CHECK(pthread_mutex_lock(&search->lock) == 0);
    search->running--;
    start_waiting(search);
    CHECK(pthread_mutex_unlock(&search->lock) == 0);
}

/* ── Finding ─────────────────────────────────────────────────────────────────────────────── */

static bool shares_group(const struct search_one *one, const struct object_principal *who)
{
    for (size_t i = 0; i < who->gid_count; i++) {
        if (object_gids_have(&one->gids, who->gids[i])) {
            return true;
        }
    }
    return false;
}

bool search_one_visible(struct search_one *one, const struct object_principal *who)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    bool visible = one->uid == who->uid || one->global || shares_group(one, who);
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    return visible;
}

int search_find(struct search *search, const char *id, const struct object_principal *who,
                bool change, struct search_one **ret_one)
{
    search_kept_look(search);
    CHECK(pthread_mutex_lock(&search->lock) == 0);
    struct search_one *one = map_get_str(&search->by_id, id);
    if (one != NULL) {
        search_one_ref(one);
    }
    CHECK(pthread_mutex_unlock(&search->lock) == 0);
    if (one == NULL) {
        return err_set(ERR_NOT_FOUND, "there is no search %.32s on this webserver", id);
    }
    bool allowed = who->admin || one->uid == who->uid || (!change && search_one_visible(one, who));
    if (!allowed) {
        search_one_unref(&one);
        return err_set(ERR_DENIED, "search %.32s belongs to somebody else", id);
    }
    *ret_one = one;
    return 0;
}

/* ── The keeper: lets go of what nobody needs ────────────────────────────────────────────── */

static bool idle_session(struct search_one *one, int64_t now, char ret_id[UUID_TEXT_BYTES])
{
    bool found = false;
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    for (size_t i = 0; i < one->sessions.count && !found; i++) {
        if (now - one->sessions.items[i].seen_ns > SEARCH_SESSION_IDLE_S * TIME_S_NS) {
            (void)uuid_text(one->sessions.items[i].id, ret_id);
            found = true;
        }
    }
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    return found;
}

static bool expired(struct search_one *one)
{
    int64_t now = io_now_ns(one->search->webserver->io);
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    bool past = one->expires_ns != TIME_UNSET && one->expires_ns <= now;
    bool old = !one->saved && one->attached == 0 && one->state == SEARCH_FINISHED &&
               now - one->finished_ns > SEARCH_DORMANT_MAX_S * TIME_S_NS;
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    return past || old;
}

/* It is in the saved store, but the datastore did not get it. */
static bool is_unkept(struct search_one *one)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    bool unkept = one->persisted && !one->kept && !one->deleted && one->saving == 0;
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    return unkept;
}

static void keep(struct search_one *one)
{
    char id[UUID_TEXT_BYTES];
    while (idle_session(one, mono_ns(one->search), id)) {
        (void)search_session_close(one, id);
    }
    if (expired(one)) {
        search_one_delete(one);
    } else if (is_unkept(one)) {
        persist(one);
    }
}

/* A reference to each search; mem_free() the list. */
static struct search_one **all_searches(struct search *search, size_t *ret_count)
{
    CHECK(pthread_mutex_lock(&search->lock) == 0);
    struct search_one **list = mem_alloc_array(search->by_id.count + 1, sizeof(*list));
    size_t cursor = 0;
    struct span id;
    void *one = NULL;
    *ret_count = 0;
    while (map_next(&search->by_id, &cursor, &id, &one)) {
        search_one_ref(one);
        list[(*ret_count)++] = one;
    }
    CHECK(pthread_mutex_unlock(&search->lock) == 0);
    return list;
}

void search_each(struct search *search, void (*each)(void *context, struct search_one *one),
                 void *context)
{
    size_t count = 0;
    struct search_one **list = all_searches(search, &count);
    for (size_t i = 0; i < count; i++) {
        each(context, list[i]);
        search_one_unref(&list[i]);
    }
    mem_free(list);
}

static void keep_one(void *context, struct search_one *one)
{
    (void)context;
    keep(one);
}

static void *keeper(void *context)
{
    struct search *search = context;
    CHECK(pthread_mutex_lock(&search->lock) == 0);
    while (!search->stopping) {
        search_cond_wait(&search->wake, &search->lock, KEEPER_INTERVAL_MS);
        CHECK(pthread_mutex_unlock(&search->lock) == 0);
        search_kept_look(search);
        search_each(search, keep_one, NULL);
        CHECK(pthread_mutex_lock(&search->lock) == 0);
    }
    CHECK(pthread_mutex_unlock(&search->lock) == 0);
    return NULL;
}

/* ── The room ────────────────────────────────────────────────────────────────────────────── */

/* Results of an earlier life; what is saved lies elsewhere. */
static int clear_one(void *context, const char *name)
{
    struct search *search = context;
    struct search_one *again = NULL;
    if (search_recall(search, name, &again)) {
        if (again != NULL) {
            vec_push(&search->again, again);
        }
        return 0;
    }
    char *path = mem_printf("%s/%s", search->render_store, name);
    char *record = mem_printf("%s/record.json", path);
    struct io *io = search->webserver->io;
    int rc = io_exists(io, record) ? io_remove(io, record) : 0;
    rc = rc < 0 ? rc : query_result_remove(io, path);
    if (rc < 0) {
        log_fault("render-store", "something in the render store is not ours; it stays", rc, "name",
                  name, NULL);
    }
    mem_free(record);
    mem_free(path);
    return 0;
}

static int prepare_stores(struct search *search)
{
    struct io *io = search->webserver->io;
    int rc = io_make_dirs(io, search->render_store);
    rc = rc < 0 ? rc : io_make_dirs(io, search->saved_store);
    rc = rc < 0 ? rc : io_list(io, search->render_store, clear_one, search);
    if (rc == 0) {
        search_saved_load(search);
    }
    return rc;
}

unsigned search_number_of(struct uuid webserver)
{
    return 1000 + (unsigned)(hash64(span_of(webserver.bytes, sizeof(webserver.bytes))) % 9000);
}

static double count_running(void *context)
{
    struct search *search = context;
    CHECK(pthread_mutex_lock(&search->lock) == 0);
    size_t running = search->running;
    CHECK(pthread_mutex_unlock(&search->lock) == 0);
    return (double)running;
}

int search_new(struct webserver *webserver, struct search **ret_search)
{
    const struct conf *conf = webserver->conf;
    struct search *search = MEM_NEW(struct search);
    search->webserver = webserver;
    search->render_store = conf_text(conf, CONF_GLOBAL, "Render-Store");
    search->saved_store = conf_text(conf, CONF_GLOBAL, "Saved-Store");
    int64_t limit_mb = conf_int(conf, CONF_GLOBAL, "Render-Store-Limit");
    search->result_bytes_max = (uint64_t)MAX(limit_mb, 1) << 20;
    search->scratch = (struct query_scratch_options){
        .io = webserver->io,
        .path = conf_text(conf, CONF_GLOBAL, "Search-Scratch"),
        .memory_bytes_max = (uint64_t)conf_int(conf, CONF_GLOBAL, "Max-Search-Memory-MB") << 20,
        .file_bytes_max = (uint64_t)conf_int(conf, CONF_GLOBAL, "Search-Scratch-Limit") << 20,
    };
    search->number = search_number_of(webserver->uuid);
    CHECK(pthread_mutex_init(&search->looking, NULL) == 0);
    CHECK(pthread_mutex_init(&search->fetching, NULL) == 0);
    CHECK(pthread_mutex_init(&search->lock, NULL) == 0);
    search_cond_init(&search->wake);
    webserver->history = history_start(webserver);
    CHECK(pthread_create(&search->keeper, NULL, keeper, search) == 0);
    metric_gauge_call("aquifer_searches_running", "searches that run now", NULL, count_running,
                      search);
    int rc = search_indexers_new(webserver, &search->indexers);
    rc = rc < 0 ? rc : search_remote_new(webserver, &search->remote);
    atomic_store(&webserver->saved_changed, true);
    rc = rc < 0 ? rc : prepare_stores(search);
    if (rc < 0) {
        search_free(&search);
        return rc;
    }
    for (size_t i = 0; i < search->again.count; i++) {
        search_one_begin(search->again.items[i]);
        search_one_unref(&search->again.items[i]);
    }
    vec_deinit(&search->again);
    *ret_search = search;
    return 0;
}

/* Out of the table, but not deleted: what is persisted stays on disk. */
static void let_go(struct search *search)
{
    size_t count = 0;
    struct search_one **list = all_searches(search, &count);
    for (size_t i = 0; i < count; i++) {
        CHECK(pthread_mutex_lock(&list[i]->lock) == 0);
        bool stays = list[i]->persisted || list[i]->remembered;
        CHECK(pthread_mutex_unlock(&list[i]->lock) == 0);
        if (stays) {
            atomic_store(&list[i]->abandoned, true);
            atomic_store(&list[i]->stop, true);
            http_cancel_fire(list[i]->cancel);
            CHECK(pthread_mutex_lock(&search->lock) == 0);
            struct search_one *held = map_remove(&search->by_id, span_of_str(list[i]->id));
            CHECK(pthread_mutex_unlock(&search->lock) == 0);
            search_one_unref(&held);
        } else {
            search_one_delete(list[i]);
        }
        search_one_unref(&list[i]);
    }
    mem_free(list);
}

void search_free(struct search **pointer)
{
    struct search *search = *pointer;
    if (search == NULL) {
        return;
    }
    metric_forget(search);
    CHECK(pthread_mutex_lock(&search->lock) == 0);
    search->stopping = true;
    CHECK(pthread_cond_broadcast(&search->wake) == 0);
    CHECK(pthread_mutex_unlock(&search->lock) == 0);
    CHECK(pthread_join(search->keeper, NULL) == 0);
    let_go(search);
    CHECK(pthread_mutex_lock(&search->lock) == 0);
    while (search->alive > 0) {
        search_cond_wait(&search->wake, &search->lock, KEEPER_INTERVAL_MS);
    }
    CHECK(pthread_mutex_unlock(&search->lock) == 0);
    history_stop(&search->webserver->history);
    search_indexers_free(&search->indexers);
    search_remote_free(&search->remote);
    map_deinit(&search->by_id);
    vec_deinit(&search->queue);
    CHECK(pthread_cond_destroy(&search->wake) == 0);
    CHECK(pthread_mutex_destroy(&search->lock) == 0);
    CHECK(pthread_mutex_destroy(&search->fetching) == 0);
    CHECK(pthread_mutex_destroy(&search->looking) == 0);
    mem_free(search);
    *pointer = NULL;
}

struct search_indexers *search_indexers_of(struct search *search)
{
    return search->indexers;
}

int search_tags(struct search *search, int (*each)(void *context, const char *name), void *context)
{
    return search_indexers_tags(search->indexers, each, context);
}
