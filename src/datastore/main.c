/*
 * aquifer-datastore: keeps the authoritative copy of every control-plane object and feeds changes
 * to webservers. src/datastore/README.md.
 */
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "datastore/api.h"
#include "datastore/traefik.h"
#include "etcd/follower.h"
#include "ingest/selflog.h"
#include "service/service.h"
#include "store/store.h"
#include "sync/core.h"
#include "sync/eventlog.h"
#include "sync/server.h"

#define CHECKPOINT_S 10
#define LOOK_FOR_BLOBS_EVERY 30 /* checkpoints */

struct datastore {
    struct service *service;
    struct io *io;
    struct conf *conf;
    struct ingest_selflog *selflog;
    struct etcd_follower *follower; /* NULL: the store is the truth */
    struct store *store;            /* the follower's, if there is one */
    struct sync_server *sync;
    struct api *api;
    struct traefik traefik;
    struct http_server *server;

    pthread_t keeper; /* moves the store's logs into its files */
    bool keeping;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stopping;
    atomic_bool fatal; /* it must begin anew */
};

static bool is_etcd(const struct conf *conf)
{
    return strncmp(conf_text(conf, CONF_GLOBAL, "Datastore-Backend"), "etcd", 4) == 0;
}

static struct etcd_tls backend_tls(const struct conf *conf)
{
    return (struct etcd_tls){conf_text(conf, CONF_GLOBAL, "Datastore-Backend-CA-File"),
                             conf_text(conf, CONF_GLOBAL, "Datastore-Backend-Certificate-File"),
                             conf_text(conf, CONF_GLOBAL, "Datastore-Backend-Key-File")};
}

static int check(const struct conf *conf)
{
    const char *backend = conf_text(conf, CONF_GLOBAL, "Datastore-Backend");
    struct etcd *etcd = NULL;
    struct etcd_tls tls = backend_tls(conf);
    int rc = is_etcd(conf) ? etcd_new(io_real(), backend, &tls, &etcd) : 0;
    etcd_free(&etcd);
    if (rc == 0 && !is_etcd(conf) && strcmp(backend, "sqlite") != 0) {
        rc = err_set(ERR_INVALID, "\"%.64s\": sqlite or etcd://h1:2379,h2:2379 is expected",
                     backend);
    }
    if (rc < 0) {
        return err_wrap(rc, "%s: Datastore-Backend",
                        conf_where(conf, CONF_GLOBAL, "Datastore-Backend"));
    }
    if (strcmp(conf_text(conf, CONF_GLOBAL, "Datastore-User-DB-Path"),
               conf_text(conf, CONF_GLOBAL, "User-DB-Path")) == 0) {
        return err_set(ERR_INVALID, "%s: Datastore-User-DB-Path and User-DB-Path are one file",
                       conf_where(conf, CONF_GLOBAL, "Datastore-User-DB-Path"));
    }
    return 0;
}

static void on_fatal(void *context)
{
    struct datastore *datastore = context;
    datastore->fatal = true;
    service_stop(datastore->service);
}

/* /readyz follows what etcd does. */
static void on_follower_event(void *context, enum sync_level level, const char *event,
                              const char *text)
{
    struct datastore *datastore = context;
    sync_eventlog(NULL, level, event, text);
    if (strcmp(event, "etcd-away") == 0) {
        service_require(datastore->service, "etcd", text);
    } else if (strcmp(event, "etcd-back") == 0) {
        service_require(datastore->service, "etcd", NULL);
    }
}

static int open_follower(struct datastore *datastore)
{
    const struct conf *conf = datastore->conf;
    struct etcd_follower_options options = {
        .io = datastore->io,
        .url = conf_text(conf, CONF_GLOBAL, "Datastore-Backend"),
        .tls = backend_tls(conf),
        .users_path = conf_text(conf, CONF_GLOBAL, "Datastore-User-DB-Path"),
        .web_path = conf_text(conf, CONF_GLOBAL, "Datastore-Web-Store-Path"),
        .blob_dir = conf_text(conf, CONF_GLOBAL, "Datastore-Resource-Store"),
        .versions_max = (uint32_t)conf_int(conf, CONF_GLOBAL, "Versions-Max"),
        .versions_age_ns = conf_duration(conf, CONF_GLOBAL, "Versions-Max-Age"),
        .control_secret = conf_text(conf, CONF_GLOBAL, "Control-Auth"),
        .tls_verify = !conf_bool(conf, CONF_GLOBAL, "Datastore-Insecure-Skip-TLS-Verify"),
        .on_event = on_follower_event,
        .on_fatal = on_fatal,
        .context = datastore,
    };
    int rc = etcd_follower_open(&options, &datastore->follower);
    if (rc < 0) {
        return rc;
    }
    datastore->store = etcd_follower_store(datastore->follower);
    struct sync_server_options sync = {.io = datastore->io,
                                       .store = datastore->store,
                                       .backend = etcd_follower_backend(datastore->follower),
                                       .on_event = sync_eventlog};
    rc = sync_server_new(&sync, &datastore->sync);
    if (rc == 0) {
        etcd_follower_attach(datastore->follower, datastore->sync);
    }
    return rc;
}

/* Where other datastores reach this one. */
static char *own_address(struct datastore *datastore)
{
    const struct conf *conf = datastore->conf;
    bool plain = conf_bool(conf, CONF_GLOBAL, "Datastore-Insecure-Disable-TLS");
    const char *given = conf_text(conf, CONF_GLOBAL, "Datastore-External-Addr");
    const char *listen = conf_text(conf, CONF_GLOBAL, "Datastore-Listen-Address");
    const char *scheme = plain ? "http" : "https";
    char host[256] = "localhost";
    bool any = listen == NULL || listen[0] == 0 || strcmp(listen, "0.0.0.0") == 0 ||
               strcmp(listen, "::") == 0 || strcmp(listen, "[::]") == 0;
    if (given != NULL && given[0] != 0) {
        return mem_printf("%s://%s", scheme, given);
    }
    if (any && gethostname(host, sizeof(host) - 1) != 0) {
        log_warn("hostname", "Datastore-External-Addr should be set", NULL);
    }
    return mem_printf("%s://%s:%u", scheme, any ? host : listen,
                      http_server_port(datastore->server));
}

static int start_follower(struct datastore *datastore)
{
    if (datastore->follower == NULL) {
        return 0;
    }
    char *address = own_address(datastore);
    int rc = etcd_follower_start(datastore->follower, address);
    mem_free(address);
    return rc;
}

static void on_unreadable(void *context, const char *text)
{
    struct buf sentence = {0};
    buf_printf(&sentence, "%s; it stays as it is, feeds go on without it until it is mended", text);
    sync_eventlog(context, SYNC_ERROR, "unreadable-row", buf_str(&sentence));
    buf_deinit(&sentence);
}

static int open_store(struct datastore *datastore)
{
    if (is_etcd(datastore->conf)) {
        return open_follower(datastore);
    }
    const struct conf *conf = datastore->conf;
    struct store_options options = {
        .io = datastore->io,
        .users_path = conf_text(conf, CONF_GLOBAL, "Datastore-User-DB-Path"),
        .web_path = conf_text(conf, CONF_GLOBAL, "Datastore-Web-Store-Path"),
        .blob_dir = conf_text(conf, CONF_GLOBAL, "Datastore-Resource-Store"),
        .authority = true,
        .versions_max = (uint32_t)conf_int(conf, CONF_GLOBAL, "Versions-Max"),
        .versions_age_ns = conf_duration(conf, CONF_GLOBAL, "Versions-Max-Age"),
        .on_unreadable = on_unreadable,
    };
    int rc = store_open(&options, &datastore->store);
    if (rc < 0) {
        return rc;
    }
    struct sync_server_options sync = {
        .io = datastore->io, .store = datastore->store, .on_event = sync_eventlog};
    return sync_server_new(&sync, &datastore->sync);
}

static int start_server(struct datastore *datastore)
{
    const struct conf *conf = datastore->conf;
    bool plain = conf_bool(conf, CONF_GLOBAL, "Datastore-Insecure-Disable-TLS");
    datastore->api = api_new(datastore->store, datastore->sync, datastore->follower);
    datastore->traefik =
        (struct traefik){datastore->sync, conf_text(conf, CONF_GLOBAL, "Traefik-Token")};
    struct http_server_options options = {
        .io = datastore->io,
        .address = conf_text(conf, CONF_GLOBAL, "Datastore-Listen-Address"),
        .port = conf_port(conf, CONF_GLOBAL, "Datastore-Port"),
        .tls_cert_path = plain ? NULL : conf_text(conf, CONF_GLOBAL, "Certificate-File"),
        .tls_key_path = plain ? NULL : conf_text(conf, CONF_GLOBAL, "Key-File"),
        .control_secret = conf_text(conf, CONF_GLOBAL, "Control-Auth"),
        .after = service_log_refusal,
    };
    const struct http_routes tables[] = {
        {api_routes, api_route_count, datastore->api},
        {traefik_routes, traefik_route_count, &datastore->traefik},
        {service_routes, service_route_count, datastore->service},
    };
    int rc = http_server_start(&options, tables, ARRAY_COUNT(tables), &datastore->server);
    if (rc == 0) {
        service_watch_http(datastore->service, "control", datastore->server);
    }
    return rc;
}

/* ---- what is shown ---- */

static double read_revision(void *context)
{
    struct sync_server_stats stats;
    sync_server_stats(((struct datastore *)context)->sync, &stats);
    return (double)stats.revision;
}

static double read_webservers(void *context)
{
    struct sync_server_stats stats;
    sync_server_stats(((struct datastore *)context)->sync, &stats);
    return (double)stats.webservers_up;
}

static double read_feeds(void *context)
{
    struct sync_server_stats stats;
    sync_server_stats(((struct datastore *)context)->sync, &stats);
    return (double)stats.feeds;
}

static double read_pushes(void *context)
{
    struct sync_server_stats stats;
    sync_server_stats(((struct datastore *)context)->sync, &stats);
    return (double)stats.pushes;
}

static double read_commits(void *context)
{
    struct sync_server_stats stats;
    sync_server_stats(((struct datastore *)context)->sync, &stats);
    return (double)stats.commits;
}

static double read_conflicts(void *context)
{
    struct sync_server_stats stats;
    sync_server_stats(((struct datastore *)context)->sync, &stats);
    return (double)stats.verdicts[SYNC_COPIED];
}

static double read_unreadable(void *context)
{
    struct sync_server_stats stats;
    sync_server_stats(((struct datastore *)context)->sync, &stats);
    return (double)stats.unreadable;
}

static struct etcd_follower_stats follower_stats(void *context)
{
    struct etcd_follower_stats stats;
    etcd_follower_stats(((struct datastore *)context)->follower, &stats);
    return stats;
}

static double read_etcd_unreadable(void *context)
{
    return (double)follower_stats(context).unreadable;
}

static double read_etcd_away(void *context)
{
    return follower_stats(context).away ? 1 : 0;
}

static double read_peers(void *context)
{
    return (double)follower_stats(context).peers;
}

static double read_etcd_behind(void *context)
{
    return (double)follower_stats(context).behind;
}

static double read_etcd_applied(void *context)
{
    return (double)follower_stats(context).applied;
}

static double read_etcd_watches(void *context)
{
    return (double)follower_stats(context).watches;
}

static void publish_etcd_metrics(struct datastore *datastore)
{
    metric_gauge_call("aquifer_datastore_etcd_away", "1 while etcd does not answer", NULL,
                      read_etcd_away, datastore);
    metric_gauge_call("aquifer_datastore_peers", "other datastores that are up", NULL, read_peers,
                      datastore);
    metric_counter_call("aquifer_datastore_etcd_behind_total",
                        "commits judged anew because another datastore was faster", NULL,
                        read_etcd_behind, datastore);
    metric_counter_call("aquifer_datastore_etcd_applied_total",
                        "changes taken over from other datastores", NULL, read_etcd_applied,
                        datastore);
    metric_counter_call("aquifer_datastore_etcd_watches_total", "watches of etcd begun", NULL,
                        read_etcd_watches, datastore);
}

static void publish_metrics(struct datastore *datastore)
{
    metric_gauge_call("aquifer_datastore_revision", "last revision given", NULL, read_revision,
                      datastore);
    metric_gauge_call("aquifer_datastore_webservers_up", "webservers that check in", NULL,
                      read_webservers, datastore);
    metric_gauge_call("aquifer_datastore_feeds", "feeds open", NULL, read_feeds, datastore);
    metric_counter_call("aquifer_datastore_pushes_total", "pushes received", NULL, read_pushes,
                        datastore);
    metric_counter_call("aquifer_datastore_commits_total", "transactions they took", NULL,
                        read_commits, datastore);
    metric_counter_call("aquifer_datastore_conflicts_total", "changes kept as a copy", NULL,
                        read_conflicts, datastore);
    metric_gauge_call("aquifer_datastore_unreadable",
                      "rows or objects of etcd that could not be read, since the start", NULL,
                      datastore->follower == NULL ? read_unreadable : read_etcd_unreadable,
                      datastore);
}

/* ---- the keeper ---- */

static void sweep(struct datastore *datastore)
{
    struct store_swept swept;
    if (store_blobs_sweep(datastore->store, STORE_UNUSED_NS, &swept) < 0) {
        log_warn("blobs-sweep", "tried again later", "error", err_text(), NULL);
    } else if (swept.removed > 0) {
        log_info("blobs-sweep", "contents that nothing has named for a day are removed", "count",
                 LOG_INT(swept.removed), NULL);
    }
}

static void *keep(void *context)
{
    struct datastore *datastore = context;
    (void)pthread_mutex_lock(&datastore->lock);
    int64_t swept_ns = 0;
    for (size_t round = 0; !datastore->stopping; round++) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += CHECKPOINT_S;
        (void)pthread_cond_timedwait(&datastore->stopped, &datastore->lock, &until);
        (void)pthread_mutex_unlock(&datastore->lock);
        if (store_checkpoint(datastore->store) < 0) {
            log_warn("store-checkpoint", "tried again later", "error", err_text(), NULL);
        }
        if (round % LOOK_FOR_BLOBS_EVERY == 0 && sync_server_look_for_blobs(datastore->sync) < 0) {
            log_warn("blobs-look", "tried again later", "error", err_text(), NULL);
        }
        if (io_monotonic_ns(datastore->io) - swept_ns > STORE_SWEEP_NS) {
            swept_ns = io_monotonic_ns(datastore->io);
            sweep(datastore);
        }
        (void)pthread_mutex_lock(&datastore->lock);
    }
    (void)pthread_mutex_unlock(&datastore->lock);
    return NULL;
}

static int start_keeper(struct datastore *datastore)
{
    int error = pthread_create(&datastore->keeper, NULL, keep, datastore);
    datastore->keeping = error == 0;
    return error == 0 ? 0 : err_set_errno(error, "a thread");
}

static void stop_keeper(struct datastore *datastore)
{
    if (datastore->keeping) {
        (void)pthread_mutex_lock(&datastore->lock);
        datastore->stopping = true;
        (void)pthread_cond_broadcast(&datastore->stopped);
        (void)pthread_mutex_unlock(&datastore->lock);
        (void)pthread_join(datastore->keeper, NULL);
    }
}

/* ---- the inventory ---- */

static int start(struct datastore *datastore)
{
    datastore->io = service_io(datastore->service);
    datastore->conf = service_conf(datastore->service);
    int rc = ingest_selflog_start(datastore->conf, datastore->io, "aquifer-datastore",
                                  &datastore->selflog);
    rc = rc < 0 ? rc : open_store(datastore);
    rc = rc < 0 ? rc : start_server(datastore);
    rc = rc < 0 ? rc : start_follower(datastore);
    rc = rc < 0 ? rc : start_keeper(datastore);
    if (rc == 0) {
        publish_metrics(datastore);
    }
    if (rc == 0 && datastore->follower != NULL) {
        publish_etcd_metrics(datastore);
    }
    return rc;
}

static void stop(struct datastore *datastore)
{
    metric_forget(datastore);
    stop_keeper(datastore);
    if (datastore->api != NULL) {
        api_stop(datastore->api);
    }
    if (datastore->server != NULL) {
        service_unwatch_http(datastore->service, datastore->server);
        http_server_stop(&datastore->server);
    }
    if (datastore->follower != NULL) {
        etcd_follower_stop(datastore->follower);
        datastore->store = NULL;
    }
    api_free(&datastore->api);
    sync_server_free(&datastore->sync);
    etcd_follower_close(&datastore->follower);
    store_close(&datastore->store);
    ingest_selflog_stop(&datastore->selflog);
}

int main(int argc, char **argv)
{
    const struct service_program program = {
        .name = "aquifer-datastore",
        .summary = "keeps users, dashboards, resources and history for all webservers",
        .schema = conf_schema_aquifer(),
        .check = check,
    };
    struct datastore datastore = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                  .stopped = PTHREAD_COND_INITIALIZER};
    int status;
    if (service_open(&program, argc, argv, &datastore.service, &status) != 0) {
        return status;
    }
    CHECK(sodium_init() >= 0);
    int rc = start(&datastore);
    if (rc < 0) {
        log_fault("datastore-start", "the datastore cannot start", rc, NULL);
        status = 1;
    } else {
        log_info("datastore-ready", "the datastore takes webservers", "port",
                 LOG_INT(http_server_port(datastore.server)), "revision",
                 LOG_INT(store_revision(datastore.store)), NULL);
        status = service_run(datastore.service);
        log_info("datastore-stop", "the datastore drains and stops", NULL);
        status = datastore.fatal ? 1 : status;
    }
    stop(&datastore);
    service_close(&datastore.service);
    return status;
}
