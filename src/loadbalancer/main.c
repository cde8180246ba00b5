/*
 * aquifer-loadbalancer: keeps an HAProxy in step with the webservers that the datastore reports.
 * README.md says what it owns, promises and how it fails.
 */
#include <sys/stat.h>

#include "conf/conf.h"
#include "ingest/selflog.h"
#include "loadbalancer/follow.h"
#include "loadbalancer/settings.h"
#include "net/http_server.h"
#include "service/service.h"
#include "sync/eventlog.h"
#include "sync/presence.h"

#define CONFIG_PATH "/etc/aquifer/loadbalancer.conf"

struct balancer {
    struct service *service;
    struct conf *conf;
    struct settings settings;
    struct ingest_selflog *selflog;
    struct sync_presence *presence;
    struct follow *follow;
    struct http_server *http;
};

static int start_presence(struct balancer *balancer)
{
    const struct conf *conf = balancer->conf;
    if (!balancer->settings.use_datastore) {
        return 0;
    }
    VEC(const char *) datastores = {0};
    for (size_t i = 0; i < conf_list_count(conf, CONF_GLOBAL, "Datastore"); i++) {
        vec_push(&datastores, conf_list(conf, CONF_GLOBAL, "Datastore", i));
    }
    struct sync_presence_options options = {
        .io = service_io(balancer->service),
        .datastores = datastores.items,
        .datastore_count = datastores.count,
        .tls = !conf_bool(conf, CONF_GLOBAL, "Datastore-Insecure-Disable-TLS"),
        .tls_verify = !conf_bool(conf, CONF_GLOBAL, "Datastore-Insecure-Skip-TLS-Verify"),
        .control_secret = balancer->settings.control_secret,
        .on_event = sync_eventlog,
    };
    int rc = sync_presence_start(&options, &balancer->presence);
    vec_deinit(&datastores);
    return rc;
}

static int start_http(struct balancer *balancer)
{
    struct http_routes table = {service_routes, service_route_count, balancer->service};
    struct http_server_options options = {
        .io = service_io(balancer->service),
        .address = conf_text(balancer->conf, CONF_GLOBAL, "Admin-Listen-Address"),
        .port = conf_port(balancer->conf, CONF_GLOBAL, "Admin-Port"),
        .io_threads = 1,
        .worker_threads = 2,
    };
    return http_server_start(&options, &table, 1, &balancer->http);
}

static void on_reload(void *context, struct conf *conf)
{
    struct balancer *balancer = context;
    (void)conf;
    follow_reload(balancer->follow);
}

static int start(struct balancer *balancer)
{
    struct io *io = service_io(balancer->service);
    balancer->conf = service_conf(balancer->service);
    service_require(balancer->service, "haproxy", "HAProxy has not been started yet");
    service_require(balancer->service, "webservers", "no webserver is known yet");
    int rc = settings_read(balancer->conf, &balancer->settings);
    rc = rc == 0 ? ingest_selflog_start(balancer->conf, io, service_name(balancer->service),
                                        &balancer->selflog)
                 : rc;
    rc = rc == 0 ? start_presence(balancer) : rc;
    rc = rc == 0 ? follow_start(&(struct follow_options){io, balancer->service, &balancer->settings,
                                                         balancer->presence},
                                &balancer->follow)
                 : rc;
    return rc == 0 ? start_http(balancer) : rc;
}

static void stop(struct balancer *balancer)
{
    follow_stop(&balancer->follow);
    http_server_stop(&balancer->http);
    sync_presence_stop(&balancer->presence);
    ingest_selflog_stop(&balancer->selflog);
    settings_deinit(&balancer->settings);
}

static const struct service_program program = {
    .name = "aquifer-loadbalancer",
    .summary = "Keeps an HAProxy in step with the webservers that the datastore reports.",
    .config_path = CONFIG_PATH,
    .check = settings_check,
};

int main(int argc, char **argv)
{
    struct balancer balancer = {0};
    struct service_program with_schema = program;
    int status;
    with_schema.schema = conf_schema_loadbalancer();
    if (service_open(&with_schema, argc, argv, &balancer.service, &status) != 0) {
        return status;
    }
    (void)umask(077); /* the run directory holds a private key */
    int rc = start(&balancer);
    if (rc == 0) {
        service_on_reload(balancer.service, on_reload, &balancer);
        log_info("listening", "users are served", "port", LOG_INT(follow_port(balancer.follow)),
                 "admin_port", LOG_INT(http_server_port(balancer.http)), NULL);
        status = service_run(balancer.service);
    } else {
        log_fault("start-failed", "the load balancer cannot start", rc, NULL);
        status = 1;
    }
    stop(&balancer);
    service_close(&balancer.service);
    return status;
}
