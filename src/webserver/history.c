#include "webserver/history.h"

#include <pthread.h>

#include "base/mem.h"
#include "base/time.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "service/log.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/auth.h"
#include "webserver/request.h"

#define HISTORY_TRIM_MAX 16 /* lines dropped per launch; more only when the limit was lowered */

#define HISTORY_WAITING_MAX 1024 /* lines; the next launch waits */

struct history {
    struct webserver *webserver;
    pthread_t thread;
    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t changed;
    VEC(struct object *) waiting; /* owned */
    uint64_t added;
    uint64_t written; /* or given up */
    bool stopping;
};

static void drop_oldest(struct webserver *webserver, int32_t uid)
{
    struct object_list old = {0};
    struct store_query query = {
        .kind = OBJECT_HISTORY,
        .by_owner = true,
        .owner = uid,
        .order = STORE_NEWEST_FIRST,
        .skip = (size_t)conf_int(webserver->conf, CONF_GLOBAL, "Max-Search-History"),
        .limit = HISTORY_TRIM_MAX,
    };
    if (store_list(webserver->store, &query, &old) == 0) {
        for (size_t i = 0; i < old.count; i++) {
            if (sync_delete(webserver->sync, &old.items[i]->id, SYNC_BY_KIND) < 0) {
                break; /* the next launch tries again */
            }
        }
    }
    object_list_deinit(&old);
}

static void write_line(struct webserver *webserver, struct object *line)
{
    int rc = sync_write(webserver->sync, line, SYNC_BY_KIND);
    if (rc < 0) {
        log_fault("history-lost", "a search is missing in the history", rc, NULL);
    }
    drop_oldest(webserver, line->owner);
}

static void *write_lines(void *context)
{
    struct history *history = context;
    CHECK(pthread_mutex_lock(&history->lock) == 0);
    while (!history->stopping || history->waiting.count > 0) {
        if (history->waiting.count == 0) {
            CHECK(pthread_cond_wait(&history->changed, &history->lock) == 0);
            continue;
        }
        struct object *line = history->waiting.items[0];
        CHECK(pthread_mutex_unlock(&history->lock) == 0);
        write_line(history->webserver, line);
        CHECK(pthread_mutex_lock(&history->lock) == 0);
        history->waiting.count--;
        memmove(history->waiting.items, history->waiting.items + 1,
                history->waiting.count * sizeof(line));
        object_free(&line);
        history->written++;
        CHECK(pthread_cond_broadcast(&history->changed) == 0);
    }
    CHECK(pthread_mutex_unlock(&history->lock) == 0);
    return NULL;
}

struct history *history_start(struct webserver *webserver)
{
    struct history *history = MEM_NEW(struct history);
    history->webserver = webserver;
    CHECK(pthread_mutex_init(&history->lock, NULL) == 0);
    CHECK(pthread_cond_init(&history->changed, NULL) == 0);
    CHECK(pthread_create(&history->thread, NULL, write_lines, history) == 0);
    return history;
}

void history_stop(struct history **place)
{
    struct history *history = *place;
    *place = NULL;
    if (history == NULL) {
        return;
    }
    CHECK(pthread_mutex_lock(&history->lock) == 0);
    history->stopping = true;
    CHECK(pthread_cond_broadcast(&history->changed) == 0);
    CHECK(pthread_mutex_unlock(&history->lock) == 0);
    CHECK(pthread_join(history->thread, NULL) == 0);
    vec_deinit(&history->waiting);
    CHECK(pthread_cond_destroy(&history->changed) == 0);
    CHECK(pthread_mutex_destroy(&history->lock) == 0);
    mem_free(history);
}

void history_add(struct history *history, const struct history_launch *launch)
{
    struct object *line = object_new(OBJECT_HISTORY);
    line->owner = launch->uid;
    line->global = launch->global;
    line->created_ns = launch->launched_ns;
    object_set_gids(&line->gids, launch->gids, launch->gid_count);
    object_set_body(line, json_pack("{s:s, s:s, s:I}", "UserQuery", launch->user_query,
                                    "EffectiveQuery", launch->effective_query, "Launched",
                                    (json_int_t)launch->launched_ns));
    CHECK(pthread_mutex_lock(&history->lock) == 0);
    while (history->waiting.count >= HISTORY_WAITING_MAX) {
        CHECK(pthread_cond_wait(&history->changed, &history->lock) == 0);
    }
    vec_push(&history->waiting, line);
    history->added++;
    CHECK(pthread_cond_broadcast(&history->changed) == 0);
    CHECK(pthread_mutex_unlock(&history->lock) == 0);
}

/* Until what was added so far can be read. */
static void settle(struct history *history)
{
    CHECK(pthread_mutex_lock(&history->lock) == 0);
    uint64_t added = history->added;
    while (history->written < added) {
        CHECK(pthread_cond_wait(&history->changed, &history->lock) == 0);
    }
    CHECK(pthread_mutex_unlock(&history->lock) == 0);
}

static json_t *line_json(const struct object *line)
{
    int32_t gid = line->gids.count > 0 ? line->gids.items[0] : 0;
    return json_pack("{s:i, s:i, s:o, s:b, s:s, s:s, s:o, s:b}", "UID", line->owner, "GID", gid,
                     "GIDs", request_gids_json(&line->gids), "Global", line->global, "UserQuery",
                     object_body_text(line, "UserQuery"), "EffectiveQuery",
                     object_body_text(line, "EffectiveQuery"), "Launched",
                     request_time_json(object_body_int(line, "Launched")), "Synced", !line->dirty);
}

static bool query_has(void *context, const struct object *line)
{
    const char *refine = context;
    return strstr(object_body_text(line, "UserQuery"), refine) != NULL ||
           strstr(object_body_text(line, "EffectiveQuery"), refine) != NULL;
}

/* Adds `refine` and the page (start inclusive, end exclusive, 0 the newest) to the query. */
static void reply_lines(struct http_request *request, struct webserver *webserver,
                        struct store_query query)
{
    const char *refine = http_request_query(request, "refine");
    if (refine != NULL && refine[0] != 0) {
        query.filter = query_has;
        query.context = (void *)(uintptr_t)refine;
    }
    request_page(request, &query);
    query.kind = OBJECT_HISTORY;
    query.order = STORE_NEWEST_FIRST;
    struct object_list lines = {0};
    settle(webserver->history);
    int rc = store_list(webserver->store, &query, &lines);
    if (rc < 0) {
        http_reply_fault(request, rc);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < lines.count; i++) {
        json_array_append_new(list, line_json(lines.items[i]));
    }
    object_list_deinit(&lines);
    http_reply_json(request, 200, list);
}

static void of_user(struct http_request *request, void *context)
{
    int64_t uid;
    const struct object_principal *asker = &auth_user(request)->principal;
    if (!request_number(request, "uid", &uid)) {
        return;
    }
    uid = uid == 0 ? asker->uid : uid;
    if (uid != asker->uid && !asker->admin) {
        http_reply_error(request, 403, "only admins see the history of others");
        return;
    }
    reply_lines(request, context, (struct store_query){.by_owner = true, .owner = (int32_t)uid});
}

static void of_group(struct http_request *request, void *context)
{
    int64_t gid;
    if (request_number(request, "gid", &gid)) {
        reply_lines(request, context,
                    (struct store_query){.principal = &auth_user(request)->principal,
                                         .by_group = true,
                                         .gid = (int32_t)gid});
    }
}

/* Everything one may see: own and shared; everybody's for an admin in admin mode. */
static void of_all(struct http_request *request, void *context)
{
    reply_lines(request, context,
                (struct store_query){.principal = &auth_user(request)->principal});
}

static void of_self(struct http_request *request, void *context)
{
    const struct object_principal *asker = &auth_user(request)->principal;
    if (asker->admin && asker->admin_mode) {
        of_all(request, context);
        return;
    }
    reply_lines(request, context, (struct store_query){.by_owner = true, .owner = asker->uid});
}

const struct http_route history_routes[] = {
    {"GET", "/api/searchhistory", of_self, 0, 0},
    {"GET", "/api/searchhistory/user/{uid}", of_user, 0, 0},
    {"GET", "/api/searchhistory/group/{gid}", of_group, 0, 0},
    {"GET", "/api/searchhistory/all/{uid}", of_all, 0, 0},
};
const size_t history_route_count = ARRAY_COUNT(history_routes);
