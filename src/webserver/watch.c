/* Tested by tests/cluster/test_snapshot.py */
#include "webserver/watch.h"

#include <inttypes.h>
#include <pthread.h>

#include "base/channel.h"
#include "base/mem.h"
#include "net/http_client.h"
#include "service/log.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/search.h"
#include "webserver/search_indexers.h"

#define WATCH_MS 5000
#define ASK_TIMEOUT_MS 3000
#define TYPE_DETACHED 1002

struct watch {
    struct webserver *webserver;
    struct channel *stop; /* closed to end it */
    pthread_t thread;
};

/* A cursor stays where it is while it is detached, so its place makes the id: who was told once
 * is not told again, even if the notification is gone. */
static struct object *notice_of(const char *indexer, const char *follower, json_int_t next)
{
    struct object *notice = object_new(OBJECT_NOTIFICATION);
    char *key = mem_printf("detached/%s/%s/%" JSON_INTEGER_FORMAT, indexer, follower, next);
    char *text = mem_printf(
        "Indexer %s: %s was away for longer than its log may grow (Max-Datalog-GB) and is "
        "detached. What it lacks is no longer kept for it; when it is back it gets a snapshot.",
        indexer, follower);
    notice->owner = OBJECT_FIRST_UID;
    notice->id = object_id_of_name(OBJECT_NOTIFICATION, notice->owner, key);
    notice->number = object_number_of_random(notice->id.bytes);
    object_set_name(notice, "follower-detached");
    object_set_body(
        notice, json_pack("{s:s, s:s, s:i}", "Level", "warn", "Msg", text, "Type", TYPE_DETACHED));
    mem_free(text);
    mem_free(key);
    return notice;
}

static void tell_once(struct webserver *webserver, struct object *notice)
{
    struct object *told = NULL;
    int rc = store_get_any(webserver->store, &notice->id, &told);
    if (rc == STORE_ABSENT) {
        rc = sync_write(webserver->sync, notice, SYNC_BY_KIND);
    }
    if (rc < 0 && rc != ERR_EXISTS && rc != ERR_CONFLICT) { /* else another webserver was first */
        log_fault("watch", "a notification could not be made", rc, NULL);
    }
    object_free(&told);
}

static void look_at(struct webserver *webserver, const char *indexer, const json_t *stats)
{
    size_t i;
    json_t *cursor;
    json_array_foreach(json_object_get(json_object_get(stats, "storage"), "cursors"), i, cursor)
    {
        if (json_is_true(json_object_get(cursor, "detached"))) {
            struct object *notice =
                notice_of(indexer, json_string_value(json_object_get(cursor, "name")),
                          json_integer_value(json_object_get(cursor, "next")));
            tell_once(webserver, notice);
            object_free(&notice);
        }
    }
}

/* One that does not answer is seen by every search. */
static void ask(struct webserver *webserver, const struct search_indexers *indexers, size_t index)
{
    char *url = search_indexer_url(indexers, index, "/control/v1/stats");
    struct http_call call = {.url = url, .control = true, .timeout_ms = ASK_TIMEOUT_MS};
    json_t *stats = NULL;
    if (http_call_json(search_indexers_client(indexers), &call, NULL, &stats) == 0) {
        look_at(webserver, search_indexer_name(indexers, index), stats);
        json_decref(stats);
    }
    mem_free(url);
}

static void *run(void *context)
{
    struct watch *watch = context;
    const struct search_indexers *indexers = search_indexers_of(watch->webserver->search);
    size_t next = 0;
    void *nothing;
    while (channel_pop(watch->stop, next == 0 ? WATCH_MS : 0, &nothing) == CHANNEL_TIMEOUT) {
        if (next < search_indexers_count(indexers)) {
            ask(watch->webserver, indexers, next++);
        } else {
            next = 0;
        }
    }
    return NULL;
}

struct watch *watch_start(struct webserver *webserver)
{
    struct watch *watch = MEM_NEW(struct watch);
    *watch = (struct watch){.webserver = webserver, .stop = channel_new(1)};
    CHECK(pthread_create(&watch->thread, NULL, run, watch) == 0);
    return watch;
}

void watch_stop(struct watch **place)
{
    struct watch *watch = *place;
    *place = NULL;
    if (watch != NULL) {
        channel_close(watch->stop);
        pthread_join(watch->thread, NULL);
        channel_free(&watch->stop);
        mem_free(watch);
    }
}
