#include "datastore/api.h"

#include <pthread.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"

#define BEAT_MS_DEFAULT 5000
#define BEAT_MS_MIN 50
#define BEAT_MS_MAX 60000
#define BLOB_PIECE_BYTES 65536

struct api {
    struct store *store;
    struct sync_server *server;
    struct etcd_follower *follower; /* NULL: this is the only datastore */

    pthread_mutex_t lock;
    pthread_cond_t feed_ended;
    size_t feeds;
    bool stopping;
};

struct api *api_new(struct store *store, struct sync_server *server, struct etcd_follower *follower)
{
    struct api *api = MEM_NEW(struct api);
    api->store = store;
    api->server = server;
    api->follower = follower;
    (void)pthread_mutex_init(&api->lock, NULL);
    (void)pthread_cond_init(&api->feed_ended, NULL);
    return api;
}

void api_stop(struct api *api)
{
    (void)pthread_mutex_lock(&api->lock);
    api->stopping = true;
    sync_server_stop(api->server);
    while (api->feeds > 0) {
        (void)pthread_cond_wait(&api->feed_ended, &api->lock);
    }
    (void)pthread_mutex_unlock(&api->lock);
}

void api_free(struct api **api)
{
    if (*api == NULL) {
        return;
    }
    CHECK((*api)->feeds == 0);
    (void)pthread_mutex_destroy(&(*api)->lock);
    (void)pthread_cond_destroy(&(*api)->feed_ended);
    mem_free(*api);
    *api = NULL;
}

/* ---- check-in, push, who is up ---- */

static void answer_json(struct http_request *request, struct api *api,
                        int (*act)(struct sync_server *, const json_t *, json_t **))
{
    json_t *body = NULL;
    json_t *answer = NULL;
    int rc = http_request_json(request, &body);
    if (rc == HTTP_JSON_EMPTY) {
        rc = err_set(ERR_INVALID, "a JSON object is expected");
    }
    rc = rc < 0 ? rc : act(api->server, body, &answer);
    json_decref(body);
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        http_reply_json(request, 200, answer);
    }
}

static void post_checkin(struct http_request *request, void *context)
{
    answer_json(request, context, sync_server_check_in);
}

static void post_push(struct http_request *request, void *context)
{
    answer_json(request, context, sync_server_push);
}

static void get_webservers(struct http_request *request, void *context)
{
    http_reply_json(request, 200, sync_server_webservers(((struct api *)context)->server));
}

/* ---- feeds ---- */

struct streaming {
    struct api *api;
    struct sync_feed *feed;
    struct http_stream *stream;
    int64_t beat_ms;
};

static void *stream_thread(void *context)
{
    struct streaming *streaming = context;
    struct api *api = streaming->api;
    struct buf lines = {0};
    int rc = 0;
    while (rc == 0) {
        buf_clear(&lines);
        rc = sync_feed_next(streaming->feed, streaming->beat_ms, &lines);
        rc = rc < 0 ? rc : http_stream_write(streaming->stream, buf_span(&lines));
    }
    http_stream_end(&streaming->stream);
    sync_feed_close(&streaming->feed);
    buf_deinit(&lines);
    mem_free(streaming);
    (void)pthread_mutex_lock(&api->lock);
    api->feeds--;
    (void)pthread_cond_broadcast(&api->feed_ended);
    (void)pthread_mutex_unlock(&api->lock);
    return NULL;
}

static int begin_thread(struct streaming *streaming)
{
    struct api *api = streaming->api;
    pthread_t thread;
    int rc = 0;
    (void)pthread_mutex_lock(&api->lock);
    if (api->stopping) {
        rc = err_set(ERR_UNAVAILABLE, "the datastore stops");
    } else {
        int error = pthread_create(&thread, NULL, stream_thread, streaming);
        rc = error == 0 ? 0 : err_set_errno(error, "a thread for a feed");
        api->feeds += error == 0 ? 1 : 0;
    }
    (void)pthread_mutex_unlock(&api->lock);
    if (rc == 0) {
        (void)pthread_detach(thread);
    }
    return rc;
}

static int64_t query_number(const struct http_request *request, const char *name, int64_t absent)
{
    const char *text = http_request_query(request, name);
    int64_t value;
    return text != NULL && span_to_i64(span_of_str(text), &value) && value >= 0 ? value : absent;
}

static void begin_feed(struct http_request *request, struct api *api,
                       const struct sync_feed_options *options)
{
    struct streaming *streaming = MEM_NEW(struct streaming);
    int64_t beat_ms = query_number(request, "beat_ms", BEAT_MS_DEFAULT);
    streaming->api = api;
    streaming->beat_ms = MAX(MIN(beat_ms, BEAT_MS_MAX), BEAT_MS_MIN);
    int rc = sync_feed_open(api->server, options, &streaming->feed);
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else if (http_reply_stream(request, 200, "application/x-ndjson", &streaming->stream) == 0) {
        rc = begin_thread(streaming);
        if (rc == 0) {
            return;
        }
        http_stream_abort(&streaming->stream);
    }
    sync_feed_close(&streaming->feed);
    mem_free(streaming);
}

static void get_feed(struct http_request *request, void *context)
{
    struct sync_feed_options options = {.objects = true,
                                        .since = (uint64_t)query_number(request, "since", 0),
                                        .run = http_request_query(request, "run")};
    begin_feed(request, context, &options);
}

static void watch_webservers(struct http_request *request, void *context)
{
    struct sync_feed_options options = {0};
    begin_feed(request, context, &options);
}

/* ---- blobs ---- */

static int blob_name(struct http_request *request, uint8_t sha256[32])
{
    struct buf bytes = {0};
    bool fine =
        text_unhex(&bytes, span_of_str(http_request_param(request, "sha256"))) && bytes.bytes == 32;
    if (fine) {
        memcpy(sha256, bytes.data, 32);
    }
    buf_deinit(&bytes);
    return fine ? 0 : err_set(ERR_INVALID, "a blob is named by 64 hexadecimal digits");
}

/* Another datastore asks: it is answered from the files here, or they would ask each other. */
static bool is_alone(const struct api *api, const struct http_request *request)
{
    return api->follower == NULL || http_request_query(request, "from") != NULL;
}

static int find_blob(struct api *api, struct http_request *request, const uint8_t sha256[32])
{
    if (is_alone(api, request)) {
        return 0;
    }
    int rc = etcd_follower_fetch_blob(api->follower, sha256);
    if (strcmp(http_request_method(request), "HEAD") != 0) {
        return rc == ERR_NOT_FOUND ? 0 : rc;
    }
    /* A change will name it. What cannot be fetched is put here. */
    return rc < 0 ? 0 : etcd_follower_spread_blob(api->follower, sha256);
}

static void get_blob(struct http_request *request, void *context)
{
    struct api *api = context;
    uint8_t sha256[32];
    int rc = blob_name(request, sha256);
    rc = rc < 0 ? rc : find_blob(api, request, sha256);
    if (rc < 0) {
        http_reply_fault(request, rc);
        return;
    }
    store_blob_spare(api->store, sha256); /* who asks may be about to name it */
    char *path = store_blob_path(api->store, sha256);
    http_reply_file(request, 200, "application/octet-stream", path);
    mem_free(path);
}

static int receive(struct http_request *request, struct store_blob_writer *writer)
{
    uint8_t *piece = mem_alloc(BLOB_PIECE_BYTES);
    size_t got = 0;
    int rc;
    do {
        rc = http_request_read(request, piece, BLOB_PIECE_BYTES, &got);
        rc = rc < 0 || got == 0 ? rc : store_blob_write(writer, span_of(piece, got));
    } while (rc == 0 && got > 0);
    mem_free(piece);
    return rc;
}

static void put_blob(struct http_request *request, void *context)
{
    struct api *api = context;
    struct store_blob_writer *writer = NULL;
    struct object_blob blob;
    uint8_t sha256[32];
    int rc = blob_name(request, sha256);
    rc = rc < 0 ? rc : store_blob_begin(api->store, OBJECT_BLOB_BYTES_MAX, &writer);
    rc = rc < 0 ? rc : receive(request, writer);
    if (rc == 0) {
        rc = store_blob_commit(&writer, sha256, &blob);
    }
    store_blob_abort(&writer);
    if (rc == 0 && !is_alone(api, request)) {
        rc = etcd_follower_spread_blob(api->follower, sha256);
    }
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        http_reply_json(request, 200, json_pack("{s:I}", "bytes", (json_int_t)blob.bytes));
    }
}

/* Somebody got other contents than these from here. */
static void verify_blob(struct http_request *request, void *context)
{
    struct api *api = context;
    uint8_t sha256[32];
    bool whole = false;
    int rc = blob_name(request, sha256);
    rc = rc < 0 ? rc : sync_server_verify_blob(api->server, sha256, &whole);
    if (rc == 0 && !whole && api->follower != NULL) {
        whole = etcd_follower_fetch_blob(api->follower, sha256) == 0;
    }
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        http_reply_json(request, 200, json_pack("{s:b}", "whole", whole));
    }
}

static void get_versions(struct http_request *request, void *context)
{
    struct api *api = context;
    struct uuid id;
    json_t *answer = NULL;
    int rc = uuid_parse(span_of_str(http_request_param(request, "id")), &id)
                 ? sync_server_versions(api->server, &id, &answer)
                 : err_set(ERR_INVALID, "an object is named by a UUID");
    if (rc == 0 && !is_alone(api, request)) {
        etcd_follower_add_versions(api->follower, &id, answer);
    }
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        http_reply_json(request, 200, answer);
    }
}

const struct http_route api_routes[] = {
    {"POST", "/sync/v1/checkin", post_checkin, HTTP_CONTROL, 1u << 20},
    {"POST", "/sync/v1/push", post_push, HTTP_CONTROL, SYNC_PUSH_BYTES_MAX},
    {"GET", "/sync/v1/feed", get_feed, HTTP_CONTROL, 0},
    {"GET", "/sync/v1/webservers", get_webservers, HTTP_CONTROL, 0},
    {"GET", "/sync/v1/webservers/watch", watch_webservers, HTTP_CONTROL, 0},
    {"GET", "/sync/v1/blobs/{sha256}", get_blob, HTTP_CONTROL, 0},
    {"PUT", "/sync/v1/blobs/{sha256}", put_blob, HTTP_CONTROL | HTTP_BODY_STREAM,
     OBJECT_BLOB_BYTES_MAX},
    {"POST", "/sync/v1/blobs/{sha256}/verify", verify_blob, HTTP_CONTROL, 1024},
    {"GET", "/sync/v1/versions/{id}", get_versions, HTTP_CONTROL, 0},
};
const size_t api_route_count = ARRAY_COUNT(api_routes);
