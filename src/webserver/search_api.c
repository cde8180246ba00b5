/* The REST side of searches: tags, parse, control, and the sessions of API Major 1. */
#include <stdlib.h>

#include "base/time.h"
#include "webserver/auth.h"
#include "webserver/capability.h"
#include "webserver/request.h"
#include "webserver/search_answer.h"
#include "webserver/search_archive.h"
#include "webserver/search_download.h"
#include "webserver/search_remote.h"
#include "webserver/search_socket.h"

#define PAGE_ROWS 1024 /* when a client does not say how many */

static const struct object_principal *asker(struct http_request *request)
{
    return &auth_user(request)->principal;
}

/* On false an answer has been sent. */
static bool find(struct http_request *request, void *context, bool change,
                 struct search_one **ret_one)
{
    struct webserver *webserver = context;
    int rc = search_find(webserver->search, http_request_param(request, "id"), asker(request),
                         change, ret_one);
    if (rc < 0) {
        if (rc != ERR_NOT_FOUND || !search_remote_answer(request, webserver)) {
            http_reply_fault(request, rc);
        }
        return false;
    }
    const char *session = http_request_query(request, "sid");
    if (session != NULL) {
        search_session_touch(*ret_one, session);
    }
    return true;
}

static void reply_done(struct http_request *request, int rc)
{
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        http_reply_json(request, 200, json_object());
    }
}

/* ── Tags and parse ──────────────────────────────────────────────────────────────────────── */

static int add_tag(void *context, const char *name)
{
    json_array_append_new(context, json_string(name));
    return 0;
}

static void get_tags(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    json_t *tags = json_array();
    int rc = search_tags(webserver->search, add_tag, tags);
    if (rc < 0) {
        json_decref(tags);
        http_reply_fault(request, rc);
        return;
    }
    http_reply_json(request, 200, tags);
}

static void post_parse(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    json_t *json = NULL;
    if (!request_object(request, &json)) {
        return;
    }
    const char *text = http_request_query(request, "query");
    text = text == NULL ? http_request_header(request, "query") : text;
    text = text == NULL ? request_text(json, "SearchString") : text;
    http_reply_json(request, 200, search_parse_json(webserver->search, asker(request), json, text));
    json_decref(json);
}

/* ── Lists ───────────────────────────────────────────────────────────────────────────────── */

struct listing {
    const struct object_principal *who;
    bool all;
    VEC(struct search_one *) found; /* references */
};

static void consider(void *context, struct search_one *one)
{
    struct listing *listing = context;
    if (listing->all || search_one_visible(one, listing->who)) {
        search_one_ref(one);
        vec_push(&listing->found, one);
    }
}

static int newest_first(const void *a, const void *b)
{
    const struct search_one *x = *(struct search_one *const *)a;
    const struct search_one *y = *(struct search_one *const *)b;
    return x->launched_ns > y->launched_ns ? -1 : x->launched_ns < y->launched_ns;
}

static void reply_list(struct http_request *request, void *context, bool all,
                       json_t *(*form)(struct search_one *one))
{
    struct webserver *webserver = context;
    struct listing listing = {.who = asker(request), .all = all};
    json_t *list = json_array();
    search_kept_look(webserver->search);
    search_each(webserver->search, consider, &listing);
    if (listing.found.count > 0) {
        qsort(listing.found.items, listing.found.count, sizeof(struct search_one *), newest_first);
    }
    for (size_t i = 0; i < listing.found.count; i++) {
        json_array_append_new(list, form(listing.found.items[i]));
        search_one_unref(&listing.found.items[i]);
    }
    vec_deinit(&listing.found);
    search_remote_list(request, webserver, list);
    http_reply_json(request, 200, list);
}

static bool admin_mode(struct http_request *request)
{
    return asker(request)->admin && asker(request)->admin_mode;
}

static void get_list(struct http_request *request, void *context)
{
    reply_list(request, context, admin_mode(request), search_status_json);
}

static void get_all(struct http_request *request, void *context)
{
    reply_list(request, context, true, search_status_json);
}

static void get_details_list(struct http_request *request, void *context)
{
    reply_list(request, context, admin_mode(request), search_info_json);
}

static void get_status(struct http_request *request, void *context)
{
    struct search_one *one = NULL;
    if (find(request, context, false, &one)) {
        http_reply_json(request, 200, search_status_json(one));
        search_one_unref(&one);
    }
}

static void get_details(struct http_request *request, void *context)
{
    struct search_one *one = NULL;
    if (find(request, context, false, &one)) {
        http_reply_json(request, 200, search_info_json(one));
        search_one_unref(&one);
    }
}

/* ── Control ─────────────────────────────────────────────────────────────────────────────── */

static void patch_save(struct http_request *request, void *context)
{
    struct search_one *one = NULL;
    json_t *patch = NULL;
    if (!request_object(request, &patch)) {
        return;
    }
    if (find(request, context, true, &one)) {
        reply_done(request, search_one_save(one, patch));
        search_one_unref(&one);
    }
    json_decref(patch);
}

static void patch_background(struct http_request *request, void *context)
{
    struct search_one *one = NULL;
    if (find(request, context, true, &one)) {
        reply_done(request, search_one_background(one));
        search_one_unref(&one);
    }
}

static void put_stop(struct http_request *request, void *context)
{
    struct search_one *one = NULL;
    if (find(request, context, true, &one)) {
        reply_done(request, search_one_stop(one));
        search_one_unref(&one);
    }
}

static void delete_search(struct http_request *request, void *context)
{
    struct search_one *one = NULL;
    if (find(request, context, true, &one)) {
        search_one_delete(one);
        reply_done(request, 0);
        search_one_unref(&one);
    }
}

static void put_groups(struct http_request *request, void *context)
{
    struct search_one *one = NULL;
    json_t *json = NULL;
    struct object_gids gids = {0};
    if (!request_object(request, &json)) {
        return;
    }
    request_gids(json, "GIDs", &gids);
    int32_t single = (int32_t)request_int(json, "GID");
    if (single != 0) {
        object_set_gids(&gids, &single, 1);
    }
    if (find(request, context, true, &one)) {
        reply_done(request, search_one_share(one, &gids, NULL));
        search_one_unref(&one);
    }
    object_set_gids(&gids, NULL, 0);
    json_decref(json);
}

static void put_global(struct http_request *request, void *context)
{
    struct search_one *one = NULL;
    json_t *json = NULL;
    if (!request_object(request, &json)) {
        return;
    }
    bool global = request_bool(json, "Global");
    if (find(request, context, true, &one)) {
        reply_done(request, search_one_share(one, NULL, &global));
        search_one_unref(&one);
    }
    json_decref(json);
}

/* ── Sessions ────────────────────────────────────────────────────────────────────────────── */

static void reply_launched(struct http_request *request, struct search_one *one,
                           struct uuid session)
{
    char text[UUID_TEXT_BYTES];
    json_t *json = json_object();
    json_object_set_new(json, "SearchSessionID", json_string(uuid_text(session, text)));
    json_object_set_new(json, "RefreshInterval", json_integer(SEARCH_REFRESH_S));
    json_object_set_new(json, "SearchID", json_string(one->id));
    json_object_set_new(json, "RenderModule", json_string(one->renderer));
    json_object_set_new(json, "RenderCmd", json_string(one->renderer_text));
    json_object_set_new(json, "Info", search_info_json(one));
    json_object_set_new(json, "Messages", search_messages_json(one));
    http_reply_json(request, 200, json);
}

static void reply_refused(struct http_request *request, int rc, const struct query_error *error)
{
    if (error->text[0] == '\0') {
        http_reply_fault(request, rc);
        return;
    }
    http_reply_json(request, 400,
                    json_pack("{s:s, s:I, s:I, s:i}", "Error", error->text, "ErrorOffset",
                              (json_int_t)error->offset, "ErrorLength", (json_int_t)error->bytes,
                              "ErrorStage", error->stage));
}

static void post_launch(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    json_t *json = NULL;
    if (!request_object(request, &json)) {
        return;
    }
    struct search_start start;
    struct search_one *one = NULL;
    struct query_error error;
    struct uuid session;
    search_start_decode(json, &start);
    start.may_not_write =
        !capability_has(auth_user(request)->capabilities, CAPABILITY_RESOURCE_WRITE);
    int rc = search_launch(webserver->search, asker(request), auth_user(request)->default_gid,
                           &start, &one, &error);
    rc = rc < 0 ? rc : search_session_open(one, true, &session);
    if (rc < 0) {
        reply_refused(request, rc, &error);
    } else {
        search_one_begin(one);
        if (one->follow) {
            search_one_wait_following(one);
        }
        reply_launched(request, one, session);
    }
    search_one_unref(&one);
    search_start_deinit(&start);
    json_decref(json);
}

static void get_attach(struct http_request *request, void *context)
{
    struct search_one *one = NULL;
    struct uuid session;
    if (!find(request, context, false, &one)) {
        return;
    }
    int rc = search_session_open(one, false, &session);
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        reply_launched(request, one, session);
    }
    search_one_unref(&one);
}

static void put_ping(struct http_request *request, void *context)
{
    struct search_one *one = NULL;
    if (find(request, context, false, &one)) {
        http_reply_json(request, 200, json_pack("{s:i}", "Interval", SEARCH_REFRESH_S));
        search_one_unref(&one);
    }
}

static void put_detach(struct http_request *request, void *context)
{
    struct search_one *one = NULL;
    if (find(request, context, false, &one)) {
        const char *session = http_request_query(request, "sid");
        bool known = session != NULL && search_session_close(one, session);
        reply_done(request, known ? 0 : err_set(ERR_NOT_FOUND, "there is no such session"));
        search_one_unref(&one);
    }
}

/* ── Results and statistics ──────────────────────────────────────────────────────────────── */

static uint64_t number_param(struct http_request *request, const char *name, uint64_t otherwise)
{
    uint64_t number = 0;
    const char *text = http_request_query(request, name);
    return text != NULL && span_to_u64(span_of_str(text), &number) ? number : otherwise;
}

static int64_t time_param(struct http_request *request, const char *name)
{
    int64_t time_ns = TIME_UNSET;
    const char *text = http_request_query(request, name);
    return text != NULL && time_parse(span_of_str(text), &time_ns) ? time_ns : TIME_UNSET;
}

static double degrees_param(struct http_request *request, const char *name)
{
    const char *text = http_request_query(request, name);
    return text == NULL ? 0 : strtod(text, NULL);
}

static void decode_ask(struct http_request *request, struct search_ask *ask)
{
    uint64_t first = number_param(request, "first", 0);
    *ask = (struct search_ask){
        .id = SEARCH_REQUEST_RANGE,
        .first = first,
        .last = number_param(request, "last", first + PAGE_ROWS),
        .start_ns = time_param(request, "start"),
        .end_ns = time_param(request, "end"),
        .set_count = number_param(request, "count", 1),
        .set_start_ns = time_param(request, "start"),
        .set_end_ns = time_param(request, "end"),
        .fence = {.south = degrees_param(request, "swlat"),
                  .west = degrees_param(request, "swlong"),
                  .north = degrees_param(request, "nelat"),
                  .east = degrees_param(request, "nelong")},
    };
}

static void reply_rows(struct http_request *request, void *context, uint32_t id)
{
    struct search_one *one = NULL;
    struct search_ask ask;
    if (!find(request, context, false, &one)) {
        return;
    }
    const char *renderer = http_request_param(request, "renderer");
    if (strcmp(renderer, one->renderer) != 0) {
        http_reply_error(request, 400, "the renderer of this search is '%s', not '%.32s'",
                         one->renderer, renderer);
    } else {
        struct buf buf = {0};
        decode_ask(request, &ask);
        ask.id = id;
        search_answer_rest(one, &ask, http_request_query(request, "sid"), &buf);
        http_reply_buf(request, 200, "application/json", &buf);
        buf_deinit(&buf);
    }
    search_one_unref(&one);
}

static void get_renderer(struct http_request *request, void *context)
{
    reply_rows(request, context, SEARCH_REQUEST_RANGE);
}

static void get_explore(struct http_request *request, void *context)
{
    reply_rows(request, context, SEARCH_REQUEST_EXPLORE_RANGE);
}

/* One request of the renderer protocol and its answer, for a websocket on another webserver. */
static void post_ask(struct http_request *request, void *context)
{
    struct search_one *one = NULL;
    json_t *json = NULL;
    if (!request_object(request, &json)) {
        return;
    }
    if (find(request, context, false, &one)) {
        struct search_ask ask;
        struct search_told told;
        struct buf buf = {0};
        search_ask_decode(json, &ask);
        search_answer(one, &ask, &buf, &told);
        http_reply_buf(request, 200, "application/json", &buf);
        buf_deinit(&buf);
        search_one_unref(&one);
    }
    json_decref(json);
}

static void reply_stats(struct http_request *request, void *context,
                        void (*answer)(struct search_one *one, const struct search_ask *ask,
                                       struct buf *buf))
{
    struct search_one *one = NULL;
    struct search_ask ask;
    struct buf buf = {0};
    if (find(request, context, false, &one)) {
        decode_ask(request, &ask);
        answer(one, &ask, &buf);
        http_reply_buf(request, 200, "application/json", &buf);
        buf_deinit(&buf);
        search_one_unref(&one);
    }
}

static void get_stats(struct http_request *request, void *context)
{
    reply_stats(request, context, search_answer_overview);
}

static void get_modules(struct http_request *request, void *context)
{
    reply_stats(request, context, search_answer_modules);
}

static void get_explain(struct http_request *request, void *context)
{
    struct search_one *one = NULL;
    if (find(request, context, false, &one)) {
        http_reply_json(request, 200, search_explain_json(one));
        search_one_unref(&one);
    }
}

static void get_metadata(struct http_request *request, void *context)
{
    reply_stats(request, context, search_answer_metadata);
}

static void get_queue(struct http_request *request, void *context)
{
    struct search *search = ((struct webserver *)context)->search;
    CHECK(pthread_mutex_lock(&search->lock) == 0);
    json_int_t running = (json_int_t)search->running;
    json_int_t queued = (json_int_t)search->queue.count;
    CHECK(pthread_mutex_unlock(&search->lock) == 0);
    http_reply_json(request, 200,
                    json_pack("{s:I, s:I, s:I, s:I}", "running_current", running, "running_maximum",
                              (json_int_t)SEARCH_RUNNING_MAX, "queued_current", queued,
                              "queued_maximum", (json_int_t)SEARCH_KEPT_MAX));
}

#define ONE "/api/searchctrl/{id}"

const struct http_route search_routes[] = {
    {"GET", "/api/tags", get_tags, 0, 0},
    {"POST", "/api/parse", post_parse, 0, 0},
    {"GET", "/api/ws/search", search_socket_upgrade, 0, 0},
    {"POST", "/api/search/direct", search_download_direct, 0, 0},
    {"GET", "/api/stats/search/queue", get_queue, 0, 0},
    {"GET", "/api/searchctrl", get_list, 0, 0},
    {"GET", "/api/searchctrl/all", get_all, AUTH_ADMIN, 0},
    {"GET", "/api/searchctrl/details", get_details_list, 0, 0},
    {"POST", "/api/searchctrl/launch", post_launch, 0, 0},
    {"POST", "/api/searchctrl/import", search_archive_import, HTTP_BODY_STREAM, 0},
    {"GET", ONE, get_status, 0, 0},
    {"DELETE", ONE, delete_search, 0, 0},
    {"GET", ONE "/details", get_details, 0, 0},
    {"PATCH", ONE "/save", patch_save, 0, 0},
    {"PATCH", ONE "/background", patch_background, 0, 0},
    {"PUT", ONE "/stop", put_stop, 0, 0},
    {"PUT", ONE "/group", put_groups, 0, 0},
    {"PUT", ONE "/groups", put_groups, 0, 0},
    {"PUT", ONE "/global", put_global, AUTH_ADMIN, 0},
    {"GET", ONE "/attach", get_attach, 0, 0},
    {"PUT", ONE "/ping", put_ping, 0, 0},
    {"PUT", ONE "/detach", put_detach, 0, 0},
    {"POST", ONE "/ask", post_ask, 0, 0},
    {"GET", ONE "/stats", get_stats, 0, 0},
    {"GET", ONE "/stats/overview", get_stats, 0, 0},
    {"GET", ONE "/stats/metadata", get_metadata, 0, 0},
    {"GET", ONE "/modules", get_modules, 0, 0},
    {"GET", ONE "/explain", get_explain, 0, 0},
    {"GET", ONE "/renderer/{renderer}", get_renderer, 0, 0},
    {"GET", ONE "/renderer/{renderer}/explore", get_explore, 0, 0},
    {"GET", ONE "/download/{format}", search_download_get, 0, 0},
    {"POST", ONE "/download", search_download_post, 0, 0},
};
const size_t search_route_count = ARRAY_COUNT(search_routes);
