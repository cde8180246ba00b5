#include "service/service.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "net/control.h"

#define STOP_TIMEOUT_MS 120000
#define REFUSAL_QUIET_NS (10 * TIME_S_NS)
#define STOP_SIGNAL SIGUSR1 /* service_stop(): a signal that only this file uses */

struct condition {
    char *name;
    char *why;     /* NULL: fulfilled */
    bool degrades; /* can be done without */
};

struct watched {
    struct http_server *server;
    char *name;
    struct http_server_stats stats; /* of this printing */
};

struct service {
    const struct service_program *program;
    char *config_path;
    struct conf *conf;
    sigset_t signals;
    pthread_t waiting_thread; /* in service_run() */
    int64_t started_ns;

    void (*reload)(void *context, struct conf *conf);
    void *reload_context;

    pthread_mutex_t lock;
    bool running, stopping, told_ready;
    VEC(struct condition) conditions;
    VEC(struct watched) watched;

    pthread_t stop_watch; /* ends a program that does not come to its end */
    bool stop_watch_runs;
    pthread_cond_t closed_signal;
    bool closed;
};

/* ── Flags ───────────────────────────────────────────────────────────────────────────────── */

struct flags {
    const char *config;
    bool check_config, version, help;
};

static void print_help(const struct service_program *program, const char *config)
{
    printf("%s: %s\n\n"
           "usage: %s [--config FILE] [--check-config] [--version] [--help]\n\n"
           "  --config FILE    configuration (default %s)\n"
           "  --check-config   say whether the configuration is valid, and exit\n"
           "  --version        print the version, and exit\n"
           "  --help           print this, and exit\n\n"
           "SIGTERM and SIGINT stop it in order, SIGHUP reads the configuration again.\n"
           "Log lines (RFC 5424) go to standard error.\n",
           program->name, program->summary, program->name, config);
}

static bool parse_flags(int argc, char **argv, struct flags *ret_flags)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'f'},
        {"check-config", no_argument, NULL, 'c'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'f':
            ret_flags->config = optarg;
            break;
        case 'c':
            ret_flags->check_config = true;
            break;
        case 'v':
            ret_flags->version = true;
            break;
        case 'h':
            ret_flags->help = true;
            break;
        default:
            return false; /* getopt has said why */
        }
    }
    if (optind < argc) {
        fprintf(stderr, "%s: what is \"%s\"? try --help\n", argv[0], argv[optind]);
        return false;
    }
    return true;
}

/* ── Configuration ───────────────────────────────────────────────────────────────────────── */

/* All problems into `problems`, one line each. */
static int load(const struct service_program *program, const char *path, struct buf *problems,
                struct conf **ret_conf)
{
    struct conf *conf = NULL;
    int rc = conf_load_reporting(io_real(), path, program->schema, problems, &conf);
    if (rc == 0 && program->check != NULL) {
        rc = program->check(conf);
    }
    if (rc < 0 && problems->bytes == 0) {
        buf_printf(problems, "%s\n", err_text());
    }
    if (rc < 0) {
        conf_free(&conf);
        return rc;
    }
    *ret_conf = conf;
    return 0;
}

static void apply_level(const struct conf *conf)
{
    enum log_level level = LOG_LEVEL_INFO;
    if (log_level_parse(span_of_str(conf_text(conf, CONF_GLOBAL, "Log-Level")), &level)) {
        log_set_level(level);
    }
}

static void print_ring(void)
{
    struct buf lines = {0};
    buf_append_str(&lines, "recent events, oldest first:\n");
    log_recent(&lines);
    const uint8_t *at = lines.data;
    for (size_t left = lines.bytes; left > 0;) {
        ssize_t wrote = write(STDERR_FILENO, at, left);
        if (wrote <= 0) {
            break;
        }
        at += wrote;
        left -= (size_t)wrote;
    }
}

/* ── Open ────────────────────────────────────────────────────────────────────────────────── */

static void block_signals(struct service *service)
{
    (void)signal(SIGPIPE, SIG_IGN);
    sigemptyset(&service->signals);
    sigaddset(&service->signals, SIGTERM);
    sigaddset(&service->signals, SIGINT);
    sigaddset(&service->signals, SIGHUP);
    sigaddset(&service->signals, STOP_SIGNAL);
    CHECK(pthread_sigmask(SIG_BLOCK, &service->signals, NULL) == 0);
}

static double read_uptime(void *context)
{
    const struct service *service = context;
    return (double)(io_monotonic_ns(io_real()) - service->started_ns) / (double)TIME_S_NS;
}

static double read_log_count(void *context)
{
    return (double)log_count((enum log_level)(uintptr_t)context);
}

static void make_metrics(struct service *service)
{
    static const char *const labels[] = {"level=\"debug\"", "level=\"info\"", "level=\"warn\"",
                                         "level=\"error\"", "level=\"critical\""};
    char *build =
        mem_printf("program=\"%s\",version=\"%s\"", service->program->name, AQUIFER_VERSION);
    metric_set(metric_gauge("aquifer_build_info", "which program and version this is", build), 1);
    mem_free(build);
    metric_gauge_call("aquifer_uptime_seconds", "since the start", NULL, read_uptime, service);
    for (uintptr_t level = LOG_LEVEL_DEBUG; level < LOG_LEVEL_OFF; level++) {
        metric_counter_call("aquifer_log_lines_total", "log lines written", labels[level],
                            read_log_count, (void *)level);
    }
}

static struct service *new_service(const struct service_program *program, const char *path,
                                   struct conf *conf)
{
    struct service *service = MEM_NEW(struct service);
    service->program = program;
    service->config_path = mem_strdup(path);
    service->conf = conf;
    service->started_ns = io_monotonic_ns(io_real());
    pthread_mutex_init(&service->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&service->closed_signal, &monotonic);
    pthread_condattr_destroy(&monotonic);
    block_signals(service);
    log_init(program->name, LOG_LEVEL_INFO);
    apply_level(conf);
    check_set_hook(print_ring);
    make_metrics(service);
    return service;
}

/* Connections and segments of wells are open files; 1024 of them, the usual bound that may be
 * raised, are a few hundred clients with TLS. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)!setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int service_open(const struct service_program *program, int argc, char **argv,
                 struct service **ret_service, int *ret_status)
{
    const char *standard =
        program->config_path != NULL ? program->config_path : SERVICE_CONFIG_PATH;
    struct flags flags = {.config = standard};
    (void)umask(027); /* accounts, signing keys and what users keep secret are in our files */
    if (!parse_flags(argc, argv, &flags)) {
        *ret_status = 2;
        return SERVICE_EXIT;
    }
    *ret_status = 0;
    if (flags.help) {
        print_help(program, standard);
        return SERVICE_EXIT;
    }
    if (flags.version) {
        printf("%s %s\n", program->name, AQUIFER_VERSION);
        return SERVICE_EXIT;
    }
    struct buf problems = {0};
    struct conf *conf = NULL;
    int rc = load(program, flags.config, &problems, &conf);
    if (rc < 0) {
        fputs(buf_str(&problems), stderr);
        *ret_status = 1;
    } else if (flags.check_config) {
        puts("configuration is valid");
    }
    buf_deinit(&problems);
    if (rc < 0 || flags.check_config) {
        conf_free(&conf);
        return SERVICE_EXIT;
    }
    raise_file_limit();
    *ret_service = new_service(program, flags.config, conf);
    log_info("starting", "reading the configuration is done, setting up", "version",
             AQUIFER_VERSION, "config", flags.config, NULL);
    return 0;
}

/* ── Readiness ───────────────────────────────────────────────────────────────────────────── */

/* Locked. */
static const struct condition *missing(const struct service *service)
{
    for (size_t i = 0; i < service->conditions.count; i++) {
        const struct condition *condition = &service->conditions.items[i];
        if (condition->why != NULL && !condition->degrades) {
            return condition;
        }
    }
    return NULL;
}

/* Locked. What is missing, and can be done without. */
static void put_degraded(const struct service *service, struct buf *text)
{
    for (size_t i = 0; i < service->conditions.count; i++) {
        const struct condition *condition = &service->conditions.items[i];
        if (condition->why != NULL && condition->degrades) {
            buf_printf(text, "degraded: %s: %s\n", condition->name, condition->why);
        }
    }
}

/* Locked. Tells systemd READY once, and afterwards what is missing. */
static void tell_systemd(struct service *service)
{
    const struct condition *condition = missing(service);
    if (!service->running || service->stopping) {
        return;
    }
    if (condition != NULL) {
        (void)sd_notifyf(0, "STATUS=%s: %s", condition->name, condition->why);
    } else {
        (void)sd_notify(0, service->told_ready ? "STATUS=ready" : "READY=1\nSTATUS=ready");
        service->told_ready = true;
    }
}

static struct condition *get_condition(struct service *service, const char *name)
{
    for (size_t i = 0; i < service->conditions.count; i++) {
        if (strcmp(service->conditions.items[i].name, name) == 0) {
            return &service->conditions.items[i];
        }
    }
    vec_push(&service->conditions, (struct condition){.name = mem_strdup(name)});
    return &service->conditions.items[service->conditions.count - 1];
}

static void set_condition(struct service *service, const char *name, const char *why, bool degrades)
{
    pthread_mutex_lock(&service->lock);
    struct condition *condition = get_condition(service, name);
    mem_free(condition->why);
    condition->why = why == NULL ? NULL : mem_strdup(why);
    condition->degrades = degrades;
    tell_systemd(service);
    pthread_mutex_unlock(&service->lock);
}

void service_require(struct service *service, const char *name, const char *why)
{
    set_condition(service, name, why, false);
}

void service_prefer(struct service *service, const char *name, const char *why)
{
    set_condition(service, name, why, true);
}

bool service_is_ready(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    bool ready = service->running && !service->stopping && missing(service) == NULL;
    pthread_mutex_unlock(&service->lock);
    return ready;
}

/* ── Run ─────────────────────────────────────────────────────────────────────────────────── */

void service_on_reload(struct service *service, void (*reload)(void *context, struct conf *conf),
                       void *context)
{
    service->reload = reload;
    service->reload_context = context;
}

static void reload(struct service *service)
{
    struct buf problems = {0};
    struct conf *conf = NULL;
    (void)sd_notify(0, "STATUS=reading the configuration again");
    int rc = load(service->program, service->config_path, &problems, &conf);
    if (rc < 0) {
        log_error("reload-refused", "the configuration is wrong; the old one stays in force",
                  "problems", buf_str(&problems), NULL);
    } else {
        apply_level(conf);
        if (service->reload != NULL) {
            service->reload(service->reload_context, conf);
        }
        log_info("reloaded", "the configuration was read again", "config", service->config_path,
                 NULL);
        conf_free(&conf);
    }
    buf_deinit(&problems);
    pthread_mutex_lock(&service->lock);
    tell_systemd(service);
    pthread_mutex_unlock(&service->lock);
}

static void *watch_stop(void *context)
{
    struct service *service = context;
    unsigned timeout_ms = service->program->stop_timeout_ms;
    timeout_ms = timeout_ms > 0 ? timeout_ms : STOP_TIMEOUT_MS;
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= TIME_S_NS) {
        until.tv_sec++;
        until.tv_nsec -= TIME_S_NS;
    }
    int rc = 0;
    pthread_mutex_lock(&service->lock);
    while (!service->closed && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&service->closed_signal, &service->lock, &until);
    }
    bool closed = service->closed;
    pthread_mutex_unlock(&service->lock);
    if (!closed) {
        log_critical("stop-timeout", "stopping took too long; what is left is cut off", NULL);
        _exit(1);
    }
    return NULL;
}

static const char *signal_text(int number)
{
    return number == SIGTERM ? "SIGTERM" : number == SIGINT ? "SIGINT" : "by itself";
}

static bool is_stopping(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    bool stopping = service->stopping;
    pthread_mutex_unlock(&service->lock);
    return stopping;
}

static void begin_stop(struct service *service, const char *why)
{
    pthread_mutex_lock(&service->lock);
    service->running = false;
    service->stopping = true;
    pthread_mutex_unlock(&service->lock);
    (void)sd_notify(0, "STOPPING=1");
    log_info("stopping", "finishing what has begun", "reason", why, NULL);
    service->stop_watch_runs = pthread_create(&service->stop_watch, NULL, watch_stop, service) == 0;
}

int service_run(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    service->waiting_thread = pthread_self();
    service->running = true;
    tell_systemd(service);
    bool stop = service->stopping;
    pthread_mutex_unlock(&service->lock);
    log_info("started", "serving", NULL);
    int number = 0;
    while (!stop) {
        if (sigwait(&service->signals, &number) != 0) {
            continue;
        }
        if (number == SIGHUP) {
            reload(service);
        }
        stop = number == SIGTERM || number == SIGINT || is_stopping(service);
    }
    begin_stop(service, signal_text(number));
    return 0;
}

void service_stop(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    service->stopping = true;
    if (service->running) {
        (void)pthread_kill(service->waiting_thread, STOP_SIGNAL);
    }
    pthread_mutex_unlock(&service->lock);
}

void service_close(struct service **ret_service)
{
    struct service *service = *ret_service;
    if (service == NULL) {
        return;
    }
    *ret_service = NULL;
    pthread_mutex_lock(&service->lock);
    service->closed = true;
    pthread_cond_broadcast(&service->closed_signal);
    pthread_mutex_unlock(&service->lock);
    if (service->stop_watch_runs) {
        (void)pthread_join(service->stop_watch, NULL);
    }
    log_info("stopped", "everything is closed", NULL);
    metric_forget(service);
    for (size_t i = 0; i < service->conditions.count; i++) {
        mem_free(service->conditions.items[i].name);
        mem_free(service->conditions.items[i].why);
    }
    vec_deinit(&service->conditions);
    CHECK(service->watched.count == 0);
    vec_deinit(&service->watched);
    conf_free(&service->conf);
    mem_free(service->config_path);
    pthread_cond_destroy(&service->closed_signal);
    pthread_mutex_destroy(&service->lock);
    mem_free(service);
}

struct io *service_io(struct service *service)
{
    (void)service;
    return io_real();
}

struct conf *service_conf(struct service *service)
{
    return service->conf;
}

const char *service_config_path(struct service *service)
{
    return service->config_path;
}

const char *service_name(struct service *service)
{
    return service->program->name;
}

/* ── Routes ──────────────────────────────────────────────────────────────────────────────── */

static void get_health(struct http_request *request, void *context)
{
    (void)context;
    http_reply(request, 200, "text/plain", SPAN_LIT("alive\n"));
}

static void get_ready(struct http_request *request, void *context)
{
    struct service *service = context;
    struct buf text = {0};
    pthread_mutex_lock(&service->lock);
    const struct condition *condition = missing(service);
    bool ready = service->running && !service->stopping && condition == NULL;
    if (ready) {
        buf_append_str(&text, "ready\n");
        put_degraded(service, &text);
    } else if (service->stopping) {
        buf_append_str(&text, "stopping\n");
    } else if (condition != NULL) {
        buf_printf(&text, "%s: %s\n", condition->name, condition->why);
    } else {
        buf_append_str(&text, "starting\n");
    }
    pthread_mutex_unlock(&service->lock);
    http_reply_buf(request, ready ? 200 : 503, "text/plain", &text);
    buf_deinit(&text);
}

static const struct {
    const char *name, *help;
    size_t offset;
    bool counter;
} http_metrics[] = {
#define ROW(field, name, help, counter)                                                            \
    {                                                                                              \
        "aquifer_http_" name, help, offsetof(struct http_server_stats, field), counter             \
    }
    ROW(connections, "connections_total", "connections accepted", true),
    ROW(connections_now, "connections", "connections open", false),
    ROW(requests, "requests_total", "requests begun", true),
    ROW(requests_now, "requests", "requests under way", false),
    ROW(streams_now, "streams", "streaming replies open", false),
    ROW(websockets_now, "websockets", "websockets open", false),
    ROW(workers_busy, "workers_busy", "workers that run a handler", false),
    ROW(queued_now, "queued_requests", "requests that wait for a worker", false),
    ROW(answers_1xx, "answers_1xx_total", "answers 101", true),
    ROW(answers_2xx, "answers_2xx_total", "answers 200 to 299", true),
    ROW(answers_3xx, "answers_3xx_total", "answers 300 to 399", true),
    ROW(answers_4xx, "answers_4xx_total", "answers 400 to 499", true),
    ROW(answers_5xx, "answers_5xx_total", "answers 500 to 599", true),
    ROW(refused_413, "refused_body_total", "bodies above their bound", true),
    ROW(refused_431, "refused_headers_total", "headers above their bound", true),
    ROW(cut_headers, "cut_headers_total", "connections whose headers did not come to an end", true),
    ROW(refused_503, "refused_busy_total",
        "refused: workers, connections or streams at their bound", true),
    ROW(control_refused, "control_refused_total", "requests that failed Control-Auth", true),
#undef ROW
};

static void put_http_metrics(struct service *service, struct buf *text)
{
    pthread_mutex_lock(&service->lock);
    for (size_t i = 0; i < service->watched.count; i++) {
        http_server_stats(service->watched.items[i].server, &service->watched.items[i].stats);
    }
    for (size_t row = 0; row < ARRAY_COUNT(http_metrics) && service->watched.count > 0; row++) {
        buf_printf(text, "# HELP %s %s\n# TYPE %s %s\n", http_metrics[row].name,
                   http_metrics[row].help, http_metrics[row].name,
                   http_metrics[row].counter ? "counter" : "gauge");
        for (size_t i = 0; i < service->watched.count; i++) {
            const struct watched *watched = &service->watched.items[i];
            uint64_t value;
            memcpy(&value, (const char *)&watched->stats + http_metrics[row].offset, sizeof(value));
            buf_printf(text, "%s{server=\"%s\"} %llu\n", http_metrics[row].name, watched->name,
                       (unsigned long long)value);
        }
    }
    pthread_mutex_unlock(&service->lock);
}

static void get_metrics(struct http_request *request, void *context)
{
    struct buf text = {0};
    metrics_text(&text);
    put_http_metrics(context, &text);
    http_reply_buf(request, 200, "text/plain; version=0.0.4", &text);
    buf_deinit(&text);
}

const struct http_route service_routes[] = {
    {.method = "GET", .path = "/healthz", .handler = get_health},
    {.method = "GET", .path = "/readyz", .handler = get_ready},
    {.method = "GET", .path = "/metrics", .handler = get_metrics},
};
const size_t service_route_count = ARRAY_COUNT(service_routes);

void service_log_refusal(struct http_request *request, void *context)
{
    static _Atomic int64_t told_ns;
    static _Atomic int64_t untold;
    (void)context;
    /* A session of before a restart is no fault: the client says hello again. */
    if (http_request_status(request) != 401 ||
        http_request_control_refusal(request) == CONTROL_UNKNOWN_SESSION) {
        return;
    }
    int64_t now_ns = io_monotonic_ns(http_request_io(request));
    int64_t before_ns = atomic_load(&told_ns);
    if ((before_ns != 0 && now_ns - before_ns < REFUSAL_QUIET_NS) ||
        !atomic_compare_exchange_strong(&told_ns, &before_ns, now_ns)) {
        atomic_fetch_add(&untold, 1);
        return;
    }
    log_warn("control-refused", "no valid Control-Auth: is the secret the same on both sides?",
             "host", http_request_peer(request), "path", http_request_path(request), "untold",
             LOG_INT(atomic_exchange(&untold, 0)), NULL);
}

void service_watch_http(struct service *service, const char *name, struct http_server *server)
{
    pthread_mutex_lock(&service->lock);
    vec_push(&service->watched, (struct watched){.server = server, .name = mem_strdup(name)});
    pthread_mutex_unlock(&service->lock);
}

void service_unwatch_http(struct service *service, struct http_server *server)
{
    pthread_mutex_lock(&service->lock);
    for (size_t i = service->watched.count; i-- > 0;) {
        if (service->watched.items[i].server == server) {
            mem_free(service->watched.items[i].name);
            vec_remove_swap(&service->watched, i);
        }
    }
    pthread_mutex_unlock(&service->lock);
}
