#include "loadbalancer/follow.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <time.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "loadbalancer/config.h"
#include "loadbalancer/haproxy.h"
#include "loadbalancer/resolve.h"
#include "loadbalancer/slots.h"
#include "loadbalancer/stats.h"

#define ROUND_MS 100       /* how long HAProxy may be dead unnoticed */
#define LOOK_MS 500        /* between two looks at HAProxy's statistics */
#define FROZEN_MS 3000     /* a webserver that is silent for so long after it was found down */
#define ABSENT_MS 10000    /* one that is listed for so long and was never up */
#define LINGER_INTERVALS 3 /* a webserver off the list serves on for so many Update-Intervals */
#define CONNECTIONS_MAX ((size_t)20000)
#define DESCRIPTORS_SPARE ((size_t)1000) /* checks, sockets, pipes */
#define FAILED_COMMANDS_MAX 3            /* in a row; then HAProxy is killed and started anew */
#define RESTART_PAUSE_MS 200             /* doubled with each start that fails */
#define RESTART_PAUSE_MS_MAX 5000
#define STARTED_WELL_MS 5000 /* a HAProxy that ran so long may be started again at once */
#define COOKIE_KEY_BYTES 16

struct follow_metrics {
    struct metric *known, *up, *unplaced, *duplicates, *unresolved;
    struct metric *running, *connected;
    struct metric *starts, *failed_commands, *requests, *retries, *redispatches;
};

/* HAProxy counts from zero at each start. */
struct counted {
    uint64_t requests, retries, redispatches;
};

/* What the statistics said of a server last. */
struct seen {
    bool up;
    bool told;         /* that it never was */
    int64_t absent_ms; /* since when it is listed and not up; 0: it was up */
    int64_t silent_ms; /* since when it is down and does not even refuse; 0: it is not */
};

struct follow {
    struct follow_options options;
    struct haproxy *haproxy;
    struct slots *slots;
    struct resolve *resolve;
    struct slot_target *overrides; /* one per override; address "" until it is resolved */
    char *cookie_key;
    struct follow_metrics metrics;
    struct sync_presence_view *view;
    bool heard; /* the view holds a list */

    int64_t listed_ms; /* when the list was last looked at as a whole */
    int64_t looked_ms; /* at the statistics */
    int64_t started_ms;
    int64_t restart_ms; /* not before */
    int64_t restart_pause_ms;
    unsigned failed_commands; /* in a row */
    size_t unplaced, duplicates, unresolved;
    struct counted counted;
    size_t up; /* by the statistics at hand */
    struct seen *slot_seen;
    struct seen *override_seen;
    struct buf untold; /* commands for a HAProxy that has not taken them yet */
    struct buf frozen; /* commands for servers that hold requests and will not answer */

    atomic_bool stopping;
    atomic_bool reload;
    pthread_t thread;
};

static int64_t now_ms(const struct follow *follow)
{
    return io_monotonic_ns(follow->options.io) / TIME_MS_NS;
}

/* ---- HAProxy ---- */

/* Two descriptors per connection; without a bound HAProxy would take what the system allows. */
static size_t connections_max(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max == RLIM_INFINITY) {
        return CONNECTIONS_MAX;
    }
    size_t descriptors = MAX((size_t)limit.rlim_max, DESCRIPTORS_SPARE + 200);
    return MIN(CONNECTIONS_MAX, (descriptors - DESCRIPTORS_SPARE) / 2);
}

static int start_haproxy(struct follow *follow)
{
    struct buf config = {0};
    struct buf names = {0};
    struct config_parts parts = {
        .settings = follow->options.settings,
        .slots = follow->slots,
        .overrides = follow->overrides,
        .cookie_key = follow->cookie_key,
        .connections_max = connections_max(),
    };
    config_write(&parts, &config);
    config_write_names(follow->slots, &names);
    int rc = haproxy_start(follow->haproxy, buf_span(&config), buf_span(&names));
    buf_deinit(&config);
    buf_deinit(&names);
    return rc;
}

static void note_start(struct follow *follow, int rc)
{
    follow->started_ms = now_ms(follow);
    follow->failed_commands = 0;
    buf_clear(&follow->untold); /* it began with the slots as they are */
    follow->counted = (struct counted){0};
    follow->restart_ms = follow->started_ms + follow->restart_pause_ms;
    follow->restart_pause_ms = MIN(2 * follow->restart_pause_ms, RESTART_PAUSE_MS_MAX);
    if (rc < 0) {
        log_fault("haproxy-start-failed", "users are not served; it is tried again", rc, NULL);
    } else {
        metric_add(follow->metrics.starts, 1);
        log_info("haproxy-started", "HAProxy has been started", "slots",
                 LOG_INT(slots_serving(follow->slots)), NULL);
    }
}

static void keep_haproxy_running(struct follow *follow)
{
    bool running = haproxy_is_running(follow->haproxy);
    int64_t now = now_ms(follow);
    if (running && now - follow->started_ms > STARTED_WELL_MS) {
        follow->restart_pause_ms = RESTART_PAUSE_MS;
        follow->restart_ms = 0;
    }
    if (!running && now >= follow->restart_ms) {
        int rc = start_haproxy(follow);
        note_start(follow, rc);
        running = rc == 0;
    }
    metric_set(follow->metrics.running, running);
    service_require(follow->options.service, "haproxy", running ? NULL : "HAProxy does not run");
}

/* False: it has not answered, and may or may not have carried them out. */
static bool tell_haproxy(struct follow *follow, struct span commands, struct buf *ret_answers)
{
    int rc = haproxy_command(follow->haproxy, commands, ret_answers);
    if (rc == 0) {
        follow->failed_commands = 0;
        return true;
    }
    metric_add(follow->metrics.failed_commands, 1);
    if (rc == ERR_PROTOCOL) { /* it works, only this one command is not to its liking */
        log_fault("haproxy-refused", "HAProxy did not carry out a command", rc, NULL);
    } else if (++follow->failed_commands >= FAILED_COMMANDS_MAX) {
        log_fault("haproxy-stuck", "HAProxy does not follow and is started anew", rc, NULL);
        haproxy_kill(follow->haproxy);
    }
    return rc == ERR_PROTOCOL;
}

/* A HAProxy that was busy is told again, all of it in order: repeating does no harm. One that has
 * ended is not: its next start begins with the slots as they are. */
static void tell_changes(struct follow *follow)
{
    struct buf answers = {0};
    if (follow->untold.bytes > 0 && haproxy_is_running(follow->haproxy) &&
        tell_haproxy(follow, buf_span(&follow->untold), &answers)) {
        buf_clear(&follow->untold);
        follow->looked_ms = 0;
    }
    buf_deinit(&answers);
}

/* ---- the list ---- */

static void log_change(const struct follow *follow, const struct slot_change *change)
{
    static const char *const events[] = {
        [SLOT_CHANGE_FILL] = "webserver-added",
        [SLOT_CHANGE_READY] = "webserver-back",
        [SLOT_CHANGE_DRAIN] = "webserver-draining",
        [SLOT_CHANGE_EMPTY] = "webserver-removed",
    };
    static const char *const messages[] = {
        [SLOT_CHANGE_FILL] = "a webserver is listed and gets requests",
        [SLOT_CHANGE_READY] = "a webserver is listed again and gets requests",
        [SLOT_CHANGE_DRAIN] = "a webserver is no longer listed and gets no new users",
        [SLOT_CHANGE_EMPTY] = "a webserver has been taken out",
    };
    const struct slot_target *target = &slots_get(follow->slots, change->slot)->target;
    log_info(events[change->kind], messages[change->kind], "address", target->address, "port",
             LOG_INT(target->port), "name", target->name[0] == 0 ? NULL : target->name, "slot",
             LOG_INT(change->slot + 1), NULL);
}

static bool is_override(const struct follow *follow, const struct slot_target *target)
{
    for (size_t i = 0; i < follow->options.settings->overrides.count; i++) {
        const struct slot_target *override = &follow->overrides[i];
        if (override->port == target->port && strcmp(override->address, target->address) == 0) {
            return true;
        }
    }
    return false;
}

/* The webservers that the datastore calls up, as targets. */
static size_t gather_targets(struct follow *follow, struct slot_target *targets)
{
    const struct settings *settings = follow->options.settings;
    size_t count = 0;
    size_t unresolved = 0;
    for (size_t i = 0; i < follow->view->count; i++) {
        const struct sync_webserver *webserver = &follow->view->webservers[i];
        if (!webserver->up || webserver->external_addr[0] == 0) {
            continue;
        }
        int rc = resolve_target(follow->resolve, webserver->external_addr, settings->webserver_port,
                                &targets[count]);
        if (rc < 0) {
            unresolved++;
            if (unresolved > follow->unresolved) {
                log_fault("webserver-unresolved", "its External-Addr cannot be used", rc,
                          "external_addr", webserver->external_addr, NULL);
            }
        } else if (!is_override(follow, &targets[count])) {
            count++;
        }
    }
    follow->unresolved = unresolved;
    return count;
}

static void note_report(struct follow *follow, const struct slots_report *report)
{
    if (report->unplaced > follow->unplaced) {
        log_error("too-many-webservers", "webservers wait for a slot; raise Webserver-Slots",
                  "waiting", LOG_INT(report->unplaced), NULL);
    }
    if (report->duplicates > follow->duplicates) {
        log_error("same-external-addr", "webservers share one External-Addr and count as one",
                  "too_many", LOG_INT(report->duplicates), NULL);
    }
    follow->unplaced = report->unplaced;
    follow->duplicates = report->duplicates;
    metric_set(follow->metrics.unplaced, (int64_t)report->unplaced);
    metric_set(follow->metrics.duplicates, (int64_t)report->duplicates);
    metric_set(follow->metrics.unresolved, (int64_t)follow->unresolved);
}

/* `list` NULL: nothing new was heard. */
static void step(struct follow *follow, const struct slots_list *list)
{
    size_t count;
    struct slots_report report;
    const struct slot_change *changes =
        slots_step(follow->slots, list, now_ms(follow), &count, &report);
    for (size_t i = 0; i < count; i++) {
        log_change(follow, &changes[i]);
        config_change_commands(follow->options.settings, follow->slots, &changes[i],
                               &follow->untold);
    }
    note_report(follow, &report);
    tell_changes(follow);
}

static void take_list(struct follow *follow)
{
    struct slot_target *targets = mem_alloc_array(SYNC_WEBSERVERS_MAX, sizeof(*targets));
    struct slots_list list = {targets, gather_targets(follow, targets)};
    follow->listed_ms = now_ms(follow);
    step(follow, &list);
    mem_free(targets);
}

static void resolve_overrides(struct follow *follow)
{
    const struct settings *settings = follow->options.settings;
    for (size_t i = 0; i < settings->overrides.count; i++) {
        const struct settings_override *override = &settings->overrides.items[i];
        struct slot_target target;
        int rc =
            resolve_target(follow->resolve, override->webserver, override->default_port, &target);
        if (rc < 0) {
            log_fault("override-unresolved", "its webserver cannot be used", rc, "override",
                      override->name, NULL);
        } else if (strcmp(target.address, follow->overrides[i].address) != 0) {
            follow->overrides[i] = target;
            config_override_commands(&target, i, &follow->untold);
        }
    }
}

/* Waits for news at most one round. */
static bool wait_for_news(struct follow *follow)
{
    if (follow->options.presence == NULL) {
        (void)nanosleep(&(struct timespec){0, ROUND_MS * TIME_MS_NS}, NULL);
        return false;
    }
    int rc = sync_presence_wait(follow->options.presence, follow->view->generation, ROUND_MS,
                                follow->view);
    if (rc < 0) { /* cancelled: only when we are to stop */
        (void)nanosleep(&(struct timespec){0, ROUND_MS * TIME_MS_NS}, NULL);
    }
    if (rc == 0) {
        metric_set(follow->metrics.connected, follow->view->connected);
        follow->heard = follow->heard || follow->view->connected || follow->view->count > 0;
    }
    return rc == 0 && follow->heard;
}

static void follow_list(struct follow *follow)
{
    bool news = wait_for_news(follow);
    bool due = now_ms(follow) - follow->listed_ms >= follow->options.settings->update_interval_ms;
    if (due) {
        resolve_overrides(follow);
        follow->listed_ms = now_ms(follow);
    }
    if (news || (due && follow->heard)) {
        take_list(follow);
    } else {
        step(follow, NULL);
    }
}

/* ---- statistics ---- */

/* Counters of HAProxy's grow; ours take the difference. */
static void count_up(struct metric *metric, uint64_t now, uint64_t *before)
{
    metric_add(metric, now >= *before ? now - *before : 0);
    *before = now;
}

/* A webserver whose External-Addr leads nowhere, or to something else, says nothing itself. */
static void note_absence(const struct slot_target *target, int64_t now, struct seen *seen)
{
    seen->absent_ms = seen->absent_ms == 0 ? now : seen->absent_ms;
    if (!seen->told && now - seen->absent_ms >= ABSENT_MS) {
        seen->told = true;
        log_error("webserver-absent",
                  "a webserver is listed, but nothing has answered /readyz at its address",
                  "address", target->address, "port", LOG_INT(target->port), NULL);
    }
}

static void note_up(const struct slot_target *target, bool up, int64_t now, struct seen *seen)
{
    if (up && !seen->up) {
        log_info("webserver-up", "a webserver answers its health checks", "address",
                 target->address, "port", LOG_INT(target->port), NULL);
    } else if (!up && seen->up) {
        log_warn("webserver-down", "a webserver fails its health checks; users go to the others",
                 "address", target->address, "port", LOG_INT(target->port), NULL);
        seen->told = true;
    } else if (!up) {
        note_absence(target, now, seen);
    }
    seen->up = up;
}

/* A machine that is frozen or cut off closes nothing: requests that were sent to it would wait for
 * ever. They are cut off it, and HAProxy repeats those that may be repeated on another one. */
static void note_silence(struct follow *follow, const struct slot_target *target,
                         const struct stats_row *row, struct seen *seen)
{
    int64_t now = now_ms(follow);
    if (row->up || !row->silent) {
        seen->silent_ms = 0;
    } else if (seen->silent_ms == 0) {
        seen->silent_ms = now;
    } else if (now - seen->silent_ms >= FROZEN_MS && row->sessions > 0) {
        log_warn("webserver-frozen", "a webserver is silent; what waits for it is cut off",
                 "address", target->address, "port", LOG_INT(target->port), "requests",
                 LOG_INT(row->sessions), NULL);
        buf_printf(&follow->frozen, "shutdown sessions server " CONFIG_BACKEND "/%.*s\n",
                   SPAN_ARG(row->server));
    }
}

/* "w7" is slot 6, "o2" override 1. */
static void note_row(struct follow *follow, const struct stats_row *row)
{
    uint64_t number;
    if (!span_to_u64(span_from(row->server, 1), &number) || number == 0) {
        return;
    }
    size_t index = (size_t)number - 1;
    bool is_slot = row->server.data[0] == 'w' && index < slots_count(follow->slots);
    bool by_hand = row->server.data[0] == 'o' && index < follow->options.settings->overrides.count;
    if (!is_slot && !by_hand) {
        return;
    }
    const struct slot_target *target =
        is_slot ? &slots_get(follow->slots, index)->target : &follow->overrides[index];
    struct seen *seen = is_slot ? &follow->slot_seen[index] : &follow->override_seen[index];
    bool up =
        row->up && (row->checked || seen->up); /* before a check: as the last HAProxy saw it */
    follow->up += up;
    note_silence(follow, target, row, seen);
    if (by_hand || slots_get(follow->slots, index)->state == SLOT_READY) {
        note_up(target, up, now_ms(follow), seen);
    } else {
        *seen = (struct seen){.silent_ms = seen->silent_ms};
    }
}

static void take_row(void *context, const struct stats_row *row)
{
    struct follow *follow = context;
    if (span_equal_str(row->proxy, CONFIG_FRONTEND)) {
        return;
    }
    if (span_equal_str(row->server, "BACKEND")) {
        count_up(follow->metrics.requests, row->requests, &follow->counted.requests);
        count_up(follow->metrics.retries, row->retries, &follow->counted.retries);
        count_up(follow->metrics.redispatches, row->redispatches, &follow->counted.redispatches);
        return;
    }
    note_row(follow, row);
}

static void look_at_statistics(struct follow *follow)
{
    if (now_ms(follow) - follow->looked_ms < LOOK_MS || !haproxy_is_running(follow->haproxy)) {
        return;
    }
    follow->looked_ms = now_ms(follow);
    struct buf answers = {0};
    (void)tell_haproxy(follow, SPAN_LIT("show stat\n"), &answers);
    buf_clear(&follow->frozen);
    if (answers.bytes > 0) {
        follow->up = 0;
        int rc = stats_read(buf_span(&answers), take_row, follow);
        if (rc < 0) {
            log_fault("haproxy-statistics", "HAProxy's statistics cannot be read", rc, NULL);
        }
    }
    if (follow->frozen.bytes > 0) {
        (void)tell_haproxy(follow, buf_span(&follow->frozen), &answers);
    }
    buf_deinit(&answers);
}

static void report_readiness(struct follow *follow)
{
    size_t known = slots_serving(follow->slots);
    for (size_t i = 0; i < follow->options.settings->overrides.count; i++) {
        known += follow->overrides[i].address[0] != 0;
    }
    metric_set(follow->metrics.known, (int64_t)known);
    metric_set(follow->metrics.up, (int64_t)follow->up);
    const char *why = known == 0        ? "no webserver is known"
                      : follow->up == 0 ? "no webserver answers its health checks"
                                        : NULL;
    service_require(follow->options.service, "webservers", why);
}

/* ---- the thread ---- */

/* After SIGHUP. A certificate that HAProxy refuses leaves the old one in use. */
static void reload(struct follow *follow)
{
    haproxy_reopen_log(follow->haproxy);
    if (!follow->options.settings->https || !haproxy_is_running(follow->haproxy)) {
        return;
    }
    int rc = haproxy_renew_certificate(follow->haproxy);
    if (rc < 0) {
        log_fault("certificate-refused", "the certificate stays the one it was", rc, NULL);
    } else {
        log_info("certificate-renewed", "new connections see the certificate as it is now", NULL);
    }
}

static void *run(void *context)
{
    struct follow *follow = context;
    resolve_overrides(follow);
    while (!atomic_load(&follow->stopping)) {
        keep_haproxy_running(follow);
        if (atomic_exchange(&follow->reload, false)) {
            reload(follow);
        }
        follow_list(follow);
        look_at_statistics(follow);
        report_readiness(follow);
    }
    haproxy_stop(follow->haproxy, follow->options.settings->drain_ms);
    haproxy_close(&follow->haproxy);
    return NULL;
}

static struct follow_metrics make_metrics(void)
{
    return (struct follow_metrics){
        .known = metric_gauge("aquifer_loadbalancer_webservers_known",
                              "webservers that get requests when they answer", NULL),
        .up = metric_gauge("aquifer_loadbalancer_webservers_up",
                           "webservers that answer their health checks", NULL),
        .unplaced = metric_gauge("aquifer_loadbalancer_webservers_waiting",
                                 "webservers for which there is no slot", NULL),
        .duplicates = metric_gauge("aquifer_loadbalancer_webservers_duplicate",
                                   "webservers whose External-Addr another one has too", NULL),
        .unresolved = metric_gauge("aquifer_loadbalancer_webservers_unresolved",
                                   "webservers whose External-Addr cannot be used", NULL),
        .running =
            metric_gauge("aquifer_loadbalancer_haproxy_running", "1 while HAProxy runs", NULL),
        .connected =
            metric_gauge("aquifer_loadbalancer_datastore_connected",
                         "1 while the datastore is heard; else the last list is used", NULL),
        .starts = metric_counter("aquifer_loadbalancer_haproxy_starts_total",
                                 "times HAProxy was started", NULL),
        .failed_commands = metric_counter("aquifer_loadbalancer_haproxy_commands_failed_total",
                                          "commands that HAProxy did not carry out", NULL),
        .requests = metric_counter("aquifer_loadbalancer_sessions_total",
                                   "requests handed to webservers", NULL),
        .retries = metric_counter("aquifer_loadbalancer_retries_total",
                                  "requests tried again on the same webserver", NULL),
        .redispatches = metric_counter("aquifer_loadbalancer_redispatches_total",
                                       "requests moved to another webserver", NULL),
    };
}

/* From the secret, so that a cookie says nothing about the address that it stands for, and means
 * the same to the next load balancer on this address, or to this one after a restart. */
static char *make_cookie_key(const char *secret)
{
    static const char use[crypto_generichash_KEYBYTES] = "aquifer load balancer's cookie";
    uint8_t key[COOKIE_KEY_BYTES];
    struct buf hex = {0};
    CHECK(crypto_generichash(key, sizeof(key), (const uint8_t *)secret, strlen(secret),
                             (const uint8_t *)use, sizeof(use)) == 0);
    text_hex(&hex, span_of(key, sizeof(key)));
    return buf_take(&hex);
}

static void free_follow(struct follow *follow)
{
    haproxy_close(&follow->haproxy);
    slots_free(&follow->slots);
    resolve_free(&follow->resolve);
    mem_free(follow->overrides);
    mem_free(follow->slot_seen);
    mem_free(follow->override_seen);
    buf_deinit(&follow->untold);
    buf_deinit(&follow->frozen);
    mem_free(follow->view);
    mem_free(follow->cookie_key);
    mem_free(follow);
}

int follow_start(const struct follow_options *options, struct follow **ret_follow)
{
    const struct settings *settings = options->settings;
    struct follow *follow = MEM_NEW(struct follow);
    follow->options = *options;
    follow->slots = slots_new(&(struct slots_options){
        .count = settings->slots,
        .linger_ms = LINGER_INTERVALS * settings->update_interval_ms,
        .drain_ms = settings->drain_ms,
    });
    follow->resolve = resolve_new(options->io, settings->update_interval_ms);
    follow->overrides = mem_alloc_array(settings->overrides.count, sizeof(*follow->overrides));
    follow->slot_seen = mem_alloc_array(settings->slots, sizeof(*follow->slot_seen));
    follow->override_seen =
        mem_alloc_array(settings->overrides.count, sizeof(*follow->override_seen));
    follow->view = MEM_NEW(struct sync_presence_view);
    follow->cookie_key = make_cookie_key(settings->control_secret);
    follow->metrics = make_metrics();
    follow->restart_pause_ms = RESTART_PAUSE_MS;
    int rc = haproxy_open(options->io, settings, &follow->haproxy);
    if (rc == 0 && pthread_create(&follow->thread, NULL, run, follow) != 0) {
        rc = err_set(ERR_IO, "no thread to follow the webservers with");
    }
    if (rc < 0) {
        free_follow(follow);
        return rc;
    }
    *ret_follow = follow;
    return 0;
}

void follow_stop(struct follow **ref)
{
    struct follow *follow = *ref;
    if (follow != NULL) {
        atomic_store(&follow->stopping, true);
        pthread_join(follow->thread, NULL);
        free_follow(follow);
        *ref = NULL;
    }
}

void follow_reload(struct follow *follow)
{
    atomic_store(&follow->reload, true);
}

uint16_t follow_port(const struct follow *follow)
{
    return haproxy_port(follow->haproxy);
}
