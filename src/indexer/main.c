/*
 * aquifer-indexer: takes entries from ingesters, stores them in wells, and runs the indexer half
 * of searches. src/indexer/README.md.
 */
#include <sodium.h>
#include <unistd.h>

#include "base/arena.h"
#include "conf/conf.h"
#include "indexer/api.h"
#include "indexer/connection.h"
#include "indexer/digest_api.h"
#include "indexer/feeds3x.h"
#include "indexer/kafka.h"
#include "indexer/listener.h"
#include "indexer/ownlog.h"
#include "indexer/replication.h"
#include "indexer/states.h"
#include "indexer/storage.h"
#include "indexer/warp10.h"
#include "query/tables.h"
#include "service/service.h"

#define CONF_ARENA_BYTES_MAX (16u << 20)
#define CONTROL_WORKERS ((size_t)96)           /* one per search, and for the rest than Warp 10 */
#define TABLES_BYTES_MAX (UINT64_C(256) << 20) /* of searches */
#define SEARCH_THREADS_MAX 256

struct indexer {
    struct service *service;
    struct io *io;
    struct conf *conf;
    struct arena *arena;
    struct uuid uuid;
    struct storage *storage;
    struct ownlog *ownlog;
    struct states *states;
    struct connection_shared shared;
    struct listener *listener;
    struct replication_options replicates;
    struct replication *replication;
    struct kafka *kafka;
    struct query_pool *pool;
    struct api api;
    struct digest_api *digests;
    struct warp10 *warp10;
    struct feeds3x *feeds3x;
    struct http_server *server;
    struct http_server *warp10_server;
};

static int check(const struct conf *conf)
{
    struct arena *arena = arena_new(CONF_ARENA_BYTES_MAX);
    struct storage_options options = {0};
    struct replication_options replication = {0};
    int rc = storage_options_of_conf((struct conf *)conf, arena, &options);
    rc = rc < 0 ? rc : replication_options_of_conf(conf, arena, &replication);
    arena_free(&arena);
    rc = rc < 0 ? rc : kafka_check(conf);
    rc = rc < 0 ? rc : warp10_check(io_real(), conf);
    return rc < 0 ? rc : feeds3x_check(conf);
}

static void report_storage(void *context, const char *text)
{
    (void)context;
    log_warn("storage", text, NULL);
}

static int open_storage(struct indexer *indexer)
{
    int rc = conf_uuid(indexer->io, indexer->conf, "Indexer-UUID", &indexer->uuid);
    if (rc < 0) {
        return rc;
    }
    struct storage_options options = {0};
    rc = storage_options_of_conf(indexer->conf, indexer->arena, &options);
    if (rc < 0) {
        return rc;
    }
    options.io = indexer->io;
    options.node = indexer->uuid;
    options.report = report_storage;
    rc = replication_options_of_conf(indexer->conf, indexer->arena, &indexer->replicates);
    indexer->replicates.beside = kafka_is_on(indexer->conf);
    options.begin_anew = replication_is_on(&indexer->replicates);
    return rc < 0 ? rc : storage_open(&options, &indexer->storage);
}

static int start_ownlog(struct indexer *indexer)
{
    if (conf_bool(indexer->conf, CONF_GLOBAL, "Disable-Self-Ingest")) {
        return 0;
    }
    int rc = ownlog_start(indexer->io, indexer->storage,
                          conf_text(indexer->conf, CONF_GLOBAL, "Self-Log-Tag"), &indexer->ownlog);
    if (rc == 0) {
        log_set_sink(ownlog_sink, indexer->ownlog);
    }
    return rc;
}

/* TLS is on by default; without a certificate it is left out unless the port was asked for. */
static bool wants_tls(const struct indexer *indexer)
{
    const struct conf *conf = indexer->conf;
    if (conf_port(conf, CONF_GLOBAL, "TLS-Ingest-Port") == 0) {
        return false;
    }
    if (conf_is_set(conf, CONF_GLOBAL, "TLS-Ingest-Port") ||
        io_exists(indexer->io, conf_text(conf, CONF_GLOBAL, "Certificate-File"))) {
        return true;
    }
    log_warn("ingest-tls", "no certificate: entries are not taken over TLS", "file",
             conf_text(conf, CONF_GLOBAL, "Certificate-File"), NULL);
    return false;
}

static int start_listener(struct indexer *indexer)
{
    const struct conf *conf = indexer->conf;
    int rc = states_start(indexer->io, conf_text(conf, CONF_GLOBAL, "Ingester-State-Tracking-File"),
                          &indexer->states);
    if (rc < 0) {
        return rc;
    }
    indexer->shared = (struct connection_shared){
        .io = indexer->io, .storage = indexer->storage, .states = indexer->states};
    struct listener_options options = {
        .io = indexer->io,
        .kind = &connection_kind,
        .shared = &indexer->shared,
        .address = conf_text(conf, CONF_GLOBAL, "Ingest-Listen-Address"),
        .port = conf_port(conf, CONF_GLOBAL, "Ingest-Port"),
        .with_tls = wants_tls(indexer),
        .tls_port = conf_port(conf, CONF_GLOBAL, "TLS-Ingest-Port"),
        .certificate_path = conf_text(conf, CONF_GLOBAL, "Certificate-File"),
        .key_path = conf_text(conf, CONF_GLOBAL, "Key-File"),
        .pipe_path = conf_text(conf, CONF_GLOBAL, "Pipe-Ingest-Path"),
    };
    ingest_secret_hash(span_of_str(conf_text(conf, CONF_GLOBAL, "Ingest-Auth")),
                       indexer->shared.secret_hash);
    return listener_start(&options, &indexer->listener);
}

static int start_replication(struct indexer *indexer)
{
    if (!replication_is_on(&indexer->replicates)) {
        return 0;
    }
    indexer->replicates.io = indexer->io;
    indexer->replicates.storage = indexer->storage;
    return replication_start(&indexer->replicates, &indexer->replication);
}

static size_t search_threads(const struct conf *conf)
{
    int64_t threads = conf_int(conf, CONF_GLOBAL, "Search-Threads");
    threads = threads > 0 ? threads : (int64_t)sysconf(_SC_NPROCESSORS_ONLN);
    return (size_t)MIN(MAX(threads, INT64_C(1)), (int64_t)SEARCH_THREADS_MAX);
}

static int start_server(struct indexer *indexer)
{
    const struct conf *conf = indexer->conf;
    indexer->pool = query_pool_new(search_threads(conf));
    bool plain = conf_bool(conf, CONF_GLOBAL, "Control-Insecure-Disable-TLS");
    indexer->digests = digest_api_new(indexer->io, indexer->storage);
    indexer->api = (struct api){
        .io = indexer->io,
        .scratch =
            {
                .io = indexer->io,
                .path = conf_text(conf, CONF_GLOBAL, "Search-Scratch"),
                .memory_bytes_max = (uint64_t)conf_int(conf, CONF_GLOBAL, "Max-Search-Memory-MB")
                                    << 20,
                .file_bytes_max = (uint64_t)conf_int(conf, CONF_GLOBAL, "Search-Scratch-Limit")
                                  << 20,
                .tables = query_tables_new(TABLES_BYTES_MAX),
            },
        .uuid = indexer->uuid,
        .started_ns = io_now_ns(indexer->io),
        .storage = indexer->storage,
        .listener = indexer->listener,
        .states = indexer->states,
        .replication = indexer->replication,
        .kafka = indexer->kafka,
        .feeds3x = indexer->feeds3x,
        .pool = indexer->pool,
    };
    struct http_server_options options = {
        .io = indexer->io,
        .address = conf_text(conf, CONF_GLOBAL, "Control-Listen-Address"),
        .port = conf_port(conf, CONF_GLOBAL, "Control-Port"),
        .tls_cert_path = plain ? NULL : conf_text(conf, CONF_GLOBAL, "Certificate-File"),
        .tls_key_path = plain ? NULL : conf_text(conf, CONF_GLOBAL, "Key-File"),
        .control_secret = conf_text(conf, CONF_GLOBAL, "Control-Auth"),
        .worker_threads = CONTROL_WORKERS + warp10_workers(conf),
        .header_bytes_max = WARP10_HEADER_BYTES_MAX,
        .after = service_log_refusal,
    };
    const struct http_routes tables[] = {
        {api_routes, api_route_count, &indexer->api},
        {digest_routes, digest_route_count, indexer->digests},
        {warp10_routes, warp10_route_count, indexer->warp10},
        {service_routes, service_route_count, indexer->service},
    };
    int rc = http_server_start(&options, tables, ARRAY_COUNT(tables), &indexer->server);
    if (rc == 0) {
        service_watch_http(indexer->service, "control", indexer->server);
        api_publish_metrics(&indexer->api);
        digest_publish_metrics(indexer->digests);
    }
    return rc;
}

static int start_warp10(struct indexer *indexer)
{
    int rc = warp10_new(indexer->io, indexer->conf, indexer->storage, &indexer->warp10);
    rc = rc < 0 ? rc : warp10_listen(indexer->warp10, &indexer->warp10_server);
    if (rc == 0) {
        warp10_publish_metrics(indexer->warp10);
    }
    return rc;
}

static int start(struct indexer *indexer)
{
    indexer->io = service_io(indexer->service);
    indexer->conf = service_conf(indexer->service);
    indexer->arena = arena_new(CONF_ARENA_BYTES_MAX);
    int rc = open_storage(indexer);
    rc = rc < 0 ? rc : start_ownlog(indexer);
    rc = rc < 0 ? rc : start_listener(indexer);
    rc = rc < 0 ? rc : start_replication(indexer);
    rc = rc < 0 ? rc : kafka_start(indexer->io, indexer->conf, indexer->storage, &indexer->kafka);
    rc = rc < 0 ? rc : start_warp10(indexer);
    rc = rc < 0 ? rc
                : feeds3x_start(indexer->io, indexer->conf, indexer->storage, &indexer->feeds3x);
    rc = rc < 0 ? rc : start_server(indexer);
    return rc;
}

static void stop(struct indexer *indexer)
{
    if (indexer->server != NULL) {
        metric_forget(&indexer->api);
        metric_forget(indexer->digests);
        service_unwatch_http(indexer->service, indexer->server);
        http_server_stop(&indexer->server);
    }
    query_pool_free(&indexer->pool);
    feeds3x_stop(&indexer->feeds3x);
    metric_forget(indexer->warp10);
    http_server_stop(&indexer->warp10_server);
    warp10_free(&indexer->warp10);
    kafka_stop(&indexer->kafka);
    replication_stop(&indexer->replication);
    listener_stop(&indexer->listener);
    states_stop(&indexer->states);
    log_set_sink(NULL, NULL);
    ownlog_stop(&indexer->ownlog);
    digest_api_free(&indexer->digests);
    if (indexer->storage != NULL) {
        storage_close(&indexer->storage);
    }
    query_tables_free(&indexer->api.scratch.tables);
    arena_free(&indexer->arena);
}

int main(int argc, char **argv)
{
    const struct service_program program = {
        .name = "aquifer-indexer",
        .summary = "stores entries and runs the indexer half of searches",
        .schema = conf_schema_aquifer(),
        .check = check,
    };
    struct indexer indexer = {0};
    int status;
    if (service_open(&program, argc, argv, &indexer.service, &status) != 0) {
        return status;
    }
    CHECK(sodium_init() >= 0);
    int rc = start(&indexer);
    if (rc < 0) {
        log_fault("indexer-start", "the indexer cannot start", rc, NULL);
        status = 1;
    } else {
        char uuid[UUID_TEXT_BYTES];
        log_info("indexer-ready", "the indexer takes entries", "indexer",
                 uuid_text(indexer.uuid, uuid), "ingest_port",
                 LOG_INT(listener_port(indexer.listener)), "control_port",
                 LOG_INT(http_server_port(indexer.server)), NULL);
        status = service_run(indexer.service);
        log_info("indexer-stop", "the indexer drains and stops", "indexer",
                 uuid_text(indexer.uuid, uuid), NULL);
    }
    stop(&indexer);
    service_close(&indexer.service);
    return status;
}
