/*
 * aquifer-webserver: UI and API from a local replica of the control plane, and the coordination
 * of searches. README.md says what it owns, promises and how it fails.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/channel.h"
#include "base/time.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "ingest/selflog.h"
#include "net/http_server.h"
#include "service/proxies.h"
#include "service/service.h"
#include "store/store.h"
#include "sync/eventlog.h"
#include "sync/sync.h"
#include "webserver/absent.h"
#include "webserver/account.h"
#include "webserver/apitoken.h"
#include "webserver/auth.h"
#include "webserver/backup.h"
#include "webserver/capability.h"
#include "webserver/change.h"
#include "webserver/cluster.h"
#include "webserver/explore.h"
#include "webserver/extractor.h"
#include "webserver/file.h"
#include "webserver/grant.h"
#include "webserver/group.h"
#include "webserver/history.h"
#include "webserver/ingest.h"
#include "webserver/language.h"
#include "webserver/login.h"
#include "webserver/notification.h"
#include "webserver/password.h"
#include "webserver/preference.h"
#include "webserver/resource.h"
#include "webserver/search.h"
#include "webserver/secret.h"
#include "webserver/session.h"
#include "webserver/session_api.h"
#include "webserver/signing.h"
#include "webserver/static.h"
#include "webserver/system.h"
#include "webserver/thing.h"
#include "webserver/throttle.h"
#include "webserver/version.h"
#include "webserver/watch.h"
#include "webserver/webserver.h"

#define PROGRAM "aquifer-webserver"
#define WORKER_THREADS 64 /* handlers block: uploads, downloads, waits for the datastore */
#define PREPARE_INTERVAL_MS 100
#define ROTATE_INTERVAL_MS 1000

static int check(const struct conf *conf)
{
    bool distributed = conf_list_count(conf, CONF_GLOBAL, "Datastore") > 0;
    if (distributed && !conf_is_set(conf, CONF_GLOBAL, "External-Addr")) {
        return err_set(ERR_INVALID,
                       "%s: External-Addr is needed with a Datastore: it is how the other "
                       "webservers and the load balancer reach this one",
                       conf_where(conf, CONF_GLOBAL, "Datastore"));
    }
    return service_check_proxies(conf);
}

/* ── The control plane ───────────────────────────────────────────────────────────────────── */

static int open_store(struct webserver *webserver)
{
    return store_open(
        &(struct store_options){
            .io = webserver->io,
            .users_path = conf_text(webserver->conf, CONF_GLOBAL, "User-DB-Path"),
            .web_path = conf_text(webserver->conf, CONF_GLOBAL, "Web-Store-Path"),
            .blob_dir = conf_text(webserver->conf, CONF_GLOBAL, "Webserver-Resource-Store"),
            .authority = !webserver->distributed,
            .versions_max = (uint32_t)conf_int(webserver->conf, CONF_GLOBAL, "Versions-Max"),
            .versions_age_ns = conf_duration(webserver->conf, CONF_GLOBAL, "Versions-Max-Age"),
        },
        &webserver->store);
}

static void on_change(void *context, const struct object *object)
{
    struct webserver *webserver = context;
    char id[UUID_TEXT_BYTES];
    log_debug("change", object->deleted ? "a deletion is here" : "a change is here", "kind",
              object_kind_name(object->kind), "id", uuid_text(object->id, id), "number",
              LOG_INT(object->number), "revision", LOG_INT(object->revision), NULL);
    if (object->kind == OBJECT_SIGNING_KEY) {
        signing_keys_changed(webserver->signing);
    }
    if (object->kind == OBJECT_SEARCH) {
        atomic_store(&webserver->saved_changed, true);
    }
}

static int start_sync(struct webserver *webserver)
{
    VEC(const char *) datastores = {0};
    for (size_t i = 0; i < conf_list_count(webserver->conf, CONF_GLOBAL, "Datastore"); i++) {
        vec_push(&datastores, conf_list(webserver->conf, CONF_GLOBAL, "Datastore", i));
    }
    struct sync_options options = {
        .io = webserver->io,
        .store = webserver->store,
        .datastores = datastores.items,
        .datastore_count = datastores.count,
        .tls = !conf_bool(webserver->conf, CONF_GLOBAL, "Datastore-Insecure-Disable-TLS"),
        .tls_verify =
            !conf_bool(webserver->conf, CONF_GLOBAL, "Datastore-Insecure-Skip-TLS-Verify"),
        .control_secret = webserver->control_secret,
        .webserver = webserver->uuid,
        .external_addr = webserver->external_addr,
        .interval_ms = conf_int(webserver->conf, CONF_GLOBAL, "Datastore-Update-Interval") * 1000,
        .on_change = on_change,
        .on_event = sync_eventlog,
        .context = webserver,
    };
    int rc = sync_start(&options, &webserver->sync);
    vec_deinit(&datastores);
    return rc;
}

/* What is done beside serving: making sure that there are accounts to log in with, and later
 * replacing the signing key in time. */
struct keeper {
    struct webserver *webserver;
    struct channel *stop; /* closed to end it */
    pthread_t thread;
};

/* Without the datastore most things go on: a load balancer must not drop every webserver. */
static void show_link(struct webserver *webserver)
{
    struct sync_status status;
    char why[640];
    sync_status(webserver->sync, &status);
    (void)snprintf(why, sizeof(why),
                   "%s cannot be reached (%s); %" PRIu64 " changes wait for it, accounts and "
                   "passwords cannot be changed",
                   status.datastore, status.reason, status.dirty);
    service_prefer(webserver->service, "datastore",
                   status.state == SYNC_STATE_OFFLINE ? why : NULL);
}

static void *keep(void *context)
{
    struct keeper *keeper = context;
    int64_t pause_ms = 0;
    void *nothing;
    while (channel_pop(keeper->stop, pause_ms, &nothing) == CHANNEL_TIMEOUT) {
        const char *missing = auth_prepare(keeper->webserver);
        service_require(keeper->webserver->service, "accounts", missing);
        show_link(keeper->webserver);
        pause_ms = missing != NULL ? PREPARE_INTERVAL_MS : ROTATE_INTERVAL_MS;
    }
    return NULL;
}

/* ── The web ─────────────────────────────────────────────────────────────────────────────── */

static void after(struct http_request *request, void *context)
{
    (void)context;
    int status = http_request_status(request);
    const struct http_route *route = http_request_route(request);
    /* /readyz says 503 while it starts, and means it. */
    bool api = route != NULL && span_starts_with(span_of_str(route->path), SPAN_LIT("/api/"));
    if (api && status >= 500) {
        log_warn("request-failed", "a request was answered with a fault", "method",
                 http_request_method(request), "path", http_request_path(request), "status",
                 LOG_INT(status), "host", http_request_peer(request), NULL);
    }
}

static int start_http(struct webserver *webserver, const struct http_routes *things,
                      size_t thing_count)
{
    VEC(struct http_routes) tables = {0};
    vec_push(&tables,
             (struct http_routes){service_routes, service_route_count, webserver->service});
    vec_push(&tables, (struct http_routes){grant_routes, grant_route_count, webserver});
    vec_push(&tables, (struct http_routes){login_routes, login_route_count, webserver});
    vec_push(&tables, (struct http_routes){session_routes, session_route_count, webserver});
    vec_push(&tables, (struct http_routes){account_routes, account_route_count, webserver});
    vec_push(&tables, (struct http_routes){group_routes, group_route_count, webserver});
    vec_push(&tables, (struct http_routes){change_routes, change_route_count, webserver});
    vec_push(&tables, (struct http_routes){version_routes, version_route_count, webserver});
    vec_push(&tables, (struct http_routes){preference_routes, preference_route_count, webserver});
    vec_push(&tables, (struct http_routes){apitoken_routes, apitoken_route_count, webserver});
    vec_push(&tables, (struct http_routes){capability_routes, capability_route_count, webserver});
    vec_push(&tables, (struct http_routes){backup_routes, backup_route_count, webserver});
    vec_push(&tables, (struct http_routes){secret_routes, secret_route_count, webserver});
    vec_push(&tables, (struct http_routes){file_routes, file_route_count, webserver});
    vec_push(&tables,
             (struct http_routes){notification_routes, notification_route_count, webserver});
    vec_push(&tables, (struct http_routes){resource_routes, resource_route_count, webserver});
    vec_push(&tables, (struct http_routes){history_routes, history_route_count, webserver});
    vec_push(&tables, (struct http_routes){ingest_routes, ingest_route_count, webserver});
    vec_push(&tables, (struct http_routes){search_routes, search_route_count, webserver});
    vec_push(&tables, (struct http_routes){explore_routes, explore_route_count, webserver});
    vec_push(&tables, (struct http_routes){extractor_routes, extractor_route_count, webserver});
    vec_push(&tables, (struct http_routes){language_routes, language_route_count, webserver});
    vec_push(&tables, (struct http_routes){absent_routes, absent_route_count, webserver});
    vec_push(&tables, (struct http_routes){cluster_routes, cluster_route_count, webserver});
    vec_push(&tables, (struct http_routes){system_routes, system_route_count, webserver});
    vec_push(&tables, (struct http_routes){static_routes, static_route_count, webserver});
    for (size_t i = 0; i < thing_count; i++) {
        vec_push(&tables, things[i]);
    }
    const struct conf *conf = webserver->conf;
    bool tls = !conf_bool(conf, CONF_GLOBAL, "Insecure-Disable-HTTPS");
    struct http_server_options options = {
        .io = webserver->io,
        .address = conf_text(conf, CONF_GLOBAL, "Web-Listen-Address"),
        .port = conf_port(conf, CONF_GLOBAL, "Web-Port"),
        .tls_cert_path = tls ? conf_text(conf, CONF_GLOBAL, "Certificate-File") : NULL,
        .tls_key_path = tls ? conf_text(conf, CONF_GLOBAL, "Key-File") : NULL,
        .control_secret = webserver->control_secret,
        .worker_threads = WORKER_THREADS,
        .before = auth_before,
        .after = after,
        .hook_context = webserver,
        .headers = static_security_headers,
        .header_count = static_security_header_count,
        .proxies = webserver->proxies,
        .proxy_protocol = conf_bool(conf, CONF_GLOBAL, "Accept-Proxy-Protocol"),
    };
    int rc = http_server_start(&options, tables.items, tables.count, &webserver->http);
    vec_deinit(&tables);
    if (rc == 0) {
        log_info("listening", "the webserver takes requests", "port",
                 LOG_INT(http_server_port(webserver->http)), "externaladdr",
                 webserver->external_addr, NULL);
    }
    return rc;
}

/* ── The room ────────────────────────────────────────────────────────────────────────────── */

struct room {
    struct webserver webserver;
    struct ingest_selflog *selflog;
    struct http_routes *things;
    size_t thing_count;
    struct keeper keeper;
    struct watch *watch;
    struct proxies proxies;
};

static void read_settings(struct webserver *webserver)
{
    const struct conf *conf = webserver->conf;
    webserver->external_addr = conf_text(conf, CONF_GLOBAL, "External-Addr");
    webserver->control_secret = conf_text(conf, CONF_GLOBAL, "Control-Auth");
    webserver->distributed = conf_list_count(conf, CONF_GLOBAL, "Datastore") > 0;
    webserver->session_ns = conf_int(conf, CONF_GLOBAL, "Session-Timeout-Minutes") * TIME_MINUTE_NS;
    webserver->throttle =
        throttle_new((unsigned)conf_int(conf, CONF_GLOBAL, "Login-Fail-Lock-Count"),
                     conf_int(conf, CONF_GLOBAL, "Login-Fail-Lock-Duration") * TIME_MINUTE_NS);
    webserver->sessions = session_list_new(webserver->session_ns);
    password_use_memory((size_t)conf_int(conf, CONF_GLOBAL, "Password-Hash-MB") << 20);
}

/* From top to bottom; the first fault ends it, tear_down() knows how far it came. */
static int set_up(struct room *room)
{
    struct webserver *webserver = &room->webserver;
    read_settings(webserver);
    int rc = service_read_proxies(webserver->conf, &room->proxies);
    webserver->proxies = &room->proxies;
    if (rc == 0) {
        rc = conf_uuid(webserver->io, webserver->conf, "Webserver-UUID", &webserver->uuid);
    }
    if (rc == 0) {
        rc = ingest_selflog_start(webserver->conf, webserver->io, PROGRAM, &room->selflog);
    }
    if (rc == 0) {
        rc = open_store(webserver);
    }
    if (rc == 0) {
        rc = signing_new(webserver, webserver->session_ns, &webserver->signing);
    }
    if (rc == 0) {
        rc = start_sync(webserver);
    }
    if (rc == 0) {
        rc = search_new(webserver, &webserver->search);
    }
    if (rc < 0) {
        return rc;
    }
    service_require(webserver->service, "accounts", "not looked at yet");
    room->things = thing_tables(webserver, &room->thing_count);
    rc = start_http(webserver, room->things, room->thing_count);
    if (rc < 0) {
        return rc;
    }
    service_watch_http(webserver->service, "web", webserver->http);
    room->keeper = (struct keeper){.webserver = webserver, .stop = channel_new(1)};
    CHECK(pthread_create(&room->keeper.thread, NULL, keep, &room->keeper) == 0);
    room->watch = watch_start(webserver);
    return 0;
}

static void tear_down(struct room *room)
{
    struct webserver *webserver = &room->webserver;
    watch_stop(&room->watch);
    if (room->keeper.stop != NULL) {
        channel_close(room->keeper.stop);
        pthread_join(room->keeper.thread, NULL);
        channel_free(&room->keeper.stop);
        service_unwatch_http(webserver->service, webserver->http);
    }
    http_server_stop(&webserver->http);
    proxies_deinit(&room->proxies);
    thing_free_tables(room->things, room->thing_count);
    search_free(&webserver->search);
    sync_stop(&webserver->sync);
    signing_free(&webserver->signing);
    store_close(&webserver->store);
    session_list_free(&webserver->sessions);
    throttle_free(&webserver->throttle);
    ingest_selflog_stop(&room->selflog);
}

int main(int argc, char **argv)
{
    struct service_program program = {
        .name = PROGRAM,
        .summary = "serves the web interface and the API, and coordinates searches",
        .check = check,
        .schema = conf_schema_aquifer(),
    };
    struct room room = {0};
    int status;
    if (service_open(&program, argc, argv, &room.webserver.service, &status) != 0) {
        return status;
    }
    CHECK(sodium_init() >= 0);
    room.webserver.io = service_io(room.webserver.service);
    room.webserver.conf = service_conf(room.webserver.service);
    int rc = set_up(&room);
    if (rc < 0) {
        log_fault("start-failed", "the webserver cannot start", rc, NULL);
        status = EXIT_FAILURE;
    } else {
        status = service_run(room.webserver.service);
    }
    tear_down(&room);
    service_close(&room.webserver.service);
    return status;
}
