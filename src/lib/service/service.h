/*
 * What every daemon has: flags, configuration, log, metrics, signals, readiness.
 *
 *     int main(int argc, char **argv)
 *     {
 *         struct service *service;
 *         int status;
 *         if (service_open(&program, argc, argv, &service, &status) != 0) {
 *             return status;
 *         }
 *         ... set up from top to bottom; serve service_routes ...
 *         status = service_run(service);   // until SIGTERM, SIGINT or service_stop()
 *         ... tear down in reverse ...
 *         service_close(&service);
 *         return status;
 *     }
 *
 * Flags: --config FILE, --check-config, --version, --help. --check-config prints "configuration is
 * valid" and exits 0, or prints every error and exits 1. service_open() must be called before any
 * thread is started: it blocks the signals in all of them.
 */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "io/io.h"
#include "net/http_server.h"
#include "service/log.h"
#include "service/metrics.h"

struct conf;
struct conf_schema;
struct service;

#define SERVICE_CONFIG_PATH "/etc/aquifer/aquifer.conf"

struct service_program {
    const char *name;    /* "aquifer-webserver" */
    const char *summary; /* one line for --help */
    const struct conf_schema *schema;
    const char *config_path; /* NULL: SERVICE_CONFIG_PATH */

    /* What the schema cannot say: 0 or a fault whose text names the key. May be NULL. */
    int (*check)(const struct conf *conf);

    unsigned stop_timeout_ms; /* from the signal to service_close(); past it exit 1. 0: 120000 */
};

enum service_outcome { SERVICE_EXIT = 1 /* leave main with *ret_status */ };

MUST_CHECK int service_open(const struct service_program *program, int argc, char **argv,
                            struct service **ret_service, int *ret_status);
void service_close(struct service **service);

struct io *service_io(struct service *service);
struct conf *service_conf(struct service *service);
const char *service_config_path(struct service *service);
const char *service_name(struct service *service);

/* Runs on SIGHUP, in the thread of service_run(). The configuration has been read again and is
 * valid (else the old one stays, with a log line); `conf` lives only during the call. Log-Level is
 * applied by service itself. */
void service_on_reload(struct service *service, void (*reload)(void *context, struct conf *conf),
                       void *context);

/* Tells systemd READY and waits for SIGTERM or SIGINT (or service_stop), then tells it STOPPING and
 * returns the status for main: 0. */
int service_run(struct service *service);
void service_stop(struct service *service); /* any thread */

/* Conditions of readiness, by name. `why` is what is missing, NULL when it is fulfilled. /readyz is
 * 200 while service_run() runs and all conditions are fulfilled. */
void service_require(struct service *service, const char *condition, const char *why);
bool service_is_ready(struct service *service);

/* What the daemon can do without, with less: /readyz stays 200, so that a load balancer keeps it,
 * and its body has a line "degraded: CONDITION: WHY" for each that is not fulfilled. */
void service_prefer(struct service *service, const char *condition, const char *why);

/* GET /healthz, /readyz, /metrics; the context of the table is the service. */
extern const struct http_route service_routes[];
extern const size_t service_route_count;

/* An `after` hook (http_server.h) for servers of other daemons: says who was refused for lack of a
 * valid Control-Auth, at most every ten seconds; the line counts those not told. */
void service_log_refusal(struct http_request *request, void *context);

/* Shows the server's counters in /metrics as aquifer_http_*{server="name"}, until the server is
 * unwatched; do that before it is stopped. */
void service_watch_http(struct service *service, const char *name, struct http_server *server);
void service_unwatch_http(struct service *service, struct http_server *server);

#endif
