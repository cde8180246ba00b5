/* Tested by tests/cluster/test_warp10_datalog.py. */
#include "indexer/forwarder2x.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/time.h"
#include "datalog/cursor.h"
#include "indexer/datalog2x.h"
#include "indexer/translate2x.h"
#include "net/http_client.h"
#include "service/log.h"
#include "service/metrics.h"

#define SECTION "Datalog-Forwarder"
#define CURSOR_PREFIX "warp10-"
#define WAIT_MS 1000
#define APPLY_WAIT_MS 1
#define TOLD_EVERY_NS (60 * TIME_S_NS)

struct forwarder {
    struct io *io;
    struct storage *storage;
    const char *name, *url;
    struct translate2x translate;
    struct translate2x_token tokens[TRANSLATE2X_TOKENS_MAX];
    uint64_t *ignored;
    struct buf psk;
    struct post_target target;
    struct http_client *client;
    struct http_cancel *cancel;
    struct datalog_cursor *cursor;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping, started;
    int64_t told_ns;
    char labels[160];
    atomic_uint_fast64_t requests, failures, given_up, missed;
};

struct forwarders2x {
    VEC(struct forwarder *) all;
};

/* ── The thread ──────────────────────────────────────────────────────────────────────────── */

static bool is_stopping(struct forwarder *forwarder)
{
    pthread_mutex_lock(&forwarder->lock);
    bool stopping = forwarder->stopping;
    pthread_mutex_unlock(&forwarder->lock);
    return stopping;
}

static bool pause_for(void *context, unsigned ms)
{
    struct forwarder *forwarder = context;
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= TIME_S_NS) {
        until.tv_sec++;
        until.tv_nsec -= TIME_S_NS;
    }
    pthread_mutex_lock(&forwarder->lock);
    while (!forwarder->stopping &&
           pthread_cond_timedwait(&forwarder->changed, &forwarder->lock, &until) == 0) {}
    bool stopping = forwarder->stopping;
    pthread_mutex_unlock(&forwarder->lock);
    return !stopping;
}

/* Failures are said once a minute, what is given up each time. */
static void tell(void *context, const char *text, bool given_up)
{
    struct forwarder *forwarder = context;
    int64_t now_ns = io_monotonic_ns(forwarder->io);
    if (given_up) {
        atomic_fetch_add(&forwarder->given_up, 1);
        log_warn("datalog-quarantine", "a Warp 10 refused a request; it is set aside", "link",
                 forwarder->name, "target", forwarder->url, "reason", text, NULL);
        return;
    }
    atomic_fetch_add(&forwarder->failures, 1);
    if (forwarder->told_ns == 0 || now_ns - forwarder->told_ns > TOLD_EVERY_NS) {
        forwarder->told_ns = now_ns;
        log_warn("datalog-forward", "a Warp 10 does not take what is forwarded; it is tried again",
                 "link", forwarder->name, "target", forwarder->url, "reason", text, NULL);
    }
}

static int deliver(void *context, const struct post_request *request)
{
    struct forwarder *forwarder = context;
    int rc = post_deliver(&forwarder->target, request);
    if (rc == 0) {
        forwarder->told_ns = 0;
        atomic_fetch_add(&forwarder->requests, 1);
    }
    return rc < 0 ? rc : 0;
}

/* What the record brings is in the catalogue soon after it is durable. */
static bool wait_applied(struct forwarder *forwarder, uint64_t position)
{
    while (storage_applied_end(forwarder->storage) <= position) {
        if (!pause_for(forwarder, APPLY_WAIT_MS)) {
            return false;
        }
    }
    return true;
}

static int forward(struct forwarder *forwarder, const struct datalog_record *record)
{
    int rc = 0;
    if (translate2x_wants(&forwarder->translate, record)) {
        if (!wait_applied(forwarder, record->position)) {
            return ERR_CANCELLED;
        }
        rc = translate2x_record(&forwarder->translate, record, deliver, forwarder);
    }
    if (rc == ERR_CANCELLED) {
        return rc;
    }
    if (rc < 0) {
        atomic_fetch_add(&forwarder->missed, 1);
        log_fault("datalog-forward", "a record cannot be forwarded to a Warp 10; it is passed over",
                  rc, "link", forwarder->name, "position", LOG_INT(record->position), NULL);
    }
    return datalog_cursor_acknowledge(forwarder->cursor, record->position);
}

static int go_on_behind_what_was_trimmed(struct forwarder *forwarder)
{
    struct datalog_cursor_stats stats = datalog_cursor_stats(forwarder->cursor);
    uint64_t first = datalog_first(storage_log(forwarder->storage));
    atomic_fetch_add(&forwarder->missed, first - stats.next);
    log_error("datalog-forward", "a Warp 10 was away for so long that records are gone; it lacks",
              "link", forwarder->name, "from", LOG_INT(stats.next), "to", LOG_INT(first - 1), NULL);
    return datalog_cursor_attach(forwarder->cursor, first);
}

static void step(struct forwarder *forwarder)
{
    struct datalog_record record;
    int rc = datalog_cursor_read(forwarder->cursor, &record);
    if (rc == DATALOG_END) {
        (void)!datalog_cursor_wait(forwarder->cursor, WAIT_MS);
        return;
    }
    if (rc == DATALOG_TRIMMED) {
        rc = go_on_behind_what_was_trimmed(forwarder);
        rc = rc > 0 ? 0 : rc; /* trimmed further meanwhile: once more */
    } else if (rc == 0) {
        rc = forward(forwarder, &record);
    }
    if (rc < 0 && rc != ERR_CANCELLED) {
        log_fault("datalog-forward", "the datalog cannot be read; what is damaged is passed over",
                  rc, "link", forwarder->name, NULL);
        (void)pause_for(forwarder, WAIT_MS);
    }
}

static void *run(void *context)
{
    struct forwarder *forwarder = context;
    while (!is_stopping(forwarder)) {
        step(forwarder);
    }
    return NULL;
}

/* ── Setting up ──────────────────────────────────────────────────────────────────────────── */

static bool is_one(const struct conf *conf, const char *name)
{
    struct span target = span_of_str(conf_text(conf, SECTION, name, "Target"));
    return span_starts_with(target, SPAN_LIT("http://")) ||
           span_starts_with(target, SPAN_LIT("https://"));
}

static int read_tokens(struct forwarder *forwarder, const struct conf *conf)
{
    size_t count = conf_list_count(conf, SECTION, forwarder->name, "Token");
    if (count == 0 || count > TRANSLATE2X_TOKENS_MAX) {
        return err_set(ERR_INVALID, "a Warp 10 needs 1 to %u Token", TRANSLATE2X_TOKENS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        struct span text = span_of_str(conf_list(conf, SECTION, forwarder->name, "Token", i));
        ptrdiff_t equals = span_find_byte(text, '=');
        forwarder->tokens[i] = (struct translate2x_token){
            .application = equals < 0 ? SPAN_NONE : span_first(text, (size_t)equals),
            .token = equals < 0 ? text : span_from(text, (size_t)equals + 1)};
    }
    forwarder->translate.tokens = forwarder->tokens;
    forwarder->translate.token_count = count;
    return 0;
}

static void read_ignored(struct forwarder *forwarder, const struct conf *conf)
{
    size_t count = conf_list_count(conf, SECTION, forwarder->name, "Ignore-ID");
    forwarder->ignored = mem_alloc_array(count + 1, sizeof(*forwarder->ignored));
    for (size_t i = 0; i < count; i++) {
        forwarder->ignored[i] = datalog2x_id_hash(
            span_of_str(conf_list(conf, SECTION, forwarder->name, "Ignore-ID", i)));
    }
    forwarder->translate.ignored = forwarder->ignored;
    forwarder->translate.ignored_count = count;
}

static int read_conf(struct forwarder *forwarder, const struct conf *conf)
{
    const char *unit = conf_text(conf, SECTION, forwarder->name, "Time-Unit");
    forwarder->url = conf_text(conf, SECTION, forwarder->name, "Target");
    int rc = read_tokens(forwarder, conf);
    if (rc == 0 && !warp10_unit_parse(span_of_str(unit), &forwarder->translate.unit)) {
        rc = err_set(ERR_INVALID, "Time-Unit must be ms, us or ns, not \"%s\"", unit);
    }
    rc = rc < 0 ? rc
                : warp10_psk(&forwarder->psk, conf_text(conf, SECTION, forwarder->name, "Secret"));
    read_ignored(forwarder, conf);
    forwarder->translate.psk = buf_span(&forwarder->psk);
    return rc < 0 ? err_wrap(rc, "%s", conf_where(conf, SECTION, forwarder->name, NULL)) : 0;
}

static void free_one(struct forwarder *forwarder)
{
    metric_forget(forwarder);
    if (forwarder->started) {
        pthread_mutex_lock(&forwarder->lock);
        forwarder->stopping = true;
        pthread_cond_signal(&forwarder->changed);
        pthread_mutex_unlock(&forwarder->lock);
        http_cancel_fire(forwarder->cancel);
        datalog_cursor_wake(forwarder->cursor);
        (void)pthread_join(forwarder->thread, NULL);
    }
    if (forwarder->cursor != NULL) {
        datalog_cursor_close(&forwarder->cursor);
    }
    if (forwarder->client != NULL) {
        http_client_free(&forwarder->client);
    }
    if (forwarder->cancel != NULL) {
        http_cancel_free(&forwarder->cancel);
    }
    pthread_cond_destroy(&forwarder->changed);
    pthread_mutex_destroy(&forwarder->lock);
    buf_deinit(&forwarder->psk);
    mem_free(forwarder->ignored);
    mem_free(forwarder);
}

static struct forwarder *new_one(const char *name)
{
    struct forwarder *forwarder = MEM_NEW(struct forwarder);
    forwarder->name = name;
    pthread_mutex_init(&forwarder->lock, NULL);
    pthread_cond_init(&forwarder->changed, NULL);
    return forwarder;
}

int forwarders2x_check(const struct conf *conf)
{
    int rc = 0;
    for (size_t i = 0; i < conf_subsection_count(conf, SECTION) && rc == 0; i++) {
        const char *name = conf_subsection(conf, SECTION, i);
        if (is_one(conf, name)) {
            struct forwarder *forwarder = new_one(name);
            rc = read_conf(forwarder, conf);
            free_one(forwarder);
        }
    }
    return rc;
}

static double read_requests(void *context)
{
    return (double)atomic_load(&((struct forwarder *)context)->requests);
}

static double read_failures(void *context)
{
    return (double)atomic_load(&((struct forwarder *)context)->failures);
}

static double read_given_up(void *context)
{
    return (double)atomic_load(&((struct forwarder *)context)->given_up);
}

static double read_missed(void *context)
{
    return (double)atomic_load(&((struct forwarder *)context)->missed);
}

static double read_lag(void *context)
{
    return (double)datalog_cursor_stats(((struct forwarder *)context)->cursor).lag_records;
}

static void publish(struct forwarder *f)
{
    (void)snprintf(f->labels, sizeof(f->labels), "link=\"%s\"", f->name);
    metric_counter_call("aquifer_warp10_forwarded_total", "requests that a Warp 10 took", f->labels,
                        read_requests, f);
    metric_counter_call("aquifer_warp10_forward_failures_total", "tries that failed", f->labels,
                        read_failures, f);
    metric_counter_call("aquifer_warp10_forward_quarantined_total",
                        "requests that a Warp 10 refused, set aside", f->labels, read_given_up, f);
    metric_counter_call("aquifer_warp10_forward_missed_total",
                        "records that were trimmed or cannot be forwarded", f->labels, read_missed,
                        f);
    metric_gauge_call("aquifer_warp10_forward_lag_records", "records not forwarded yet", f->labels,
                      read_lag, f);
}

static int open_one(struct forwarder *forwarder, const struct conf *conf)
{
    struct http_client_options options = {
        .io = forwarder->io,
        .tls_insecure = conf_bool(conf, SECTION, forwarder->name, "Insecure-Skip-TLS-Verify"),
    };
    struct buf cursor = {0};
    int rc = http_client_new(&options, &forwarder->client);
    forwarder->cancel = http_cancel_new();
    forwarder->translate.catalogue = storage_catalogue(forwarder->storage);
    forwarder->translate.self = datalog_origin(storage_log(forwarder->storage)).node;
    forwarder->target = (struct post_target){
        .io = forwarder->io,
        .client = forwarder->client,
        .url = forwarder->url,
        .compress = conf_bool(conf, SECTION, forwarder->name, "Compress"),
        .cancel = forwarder->cancel,
        .link = forwarder->name,
        .quarantine_dir = conf_text(conf, "Datalog", NULL, "Quarantine-Directory"),
        .pause = pause_for,
        .pause_context = forwarder,
        .tell = tell,
        .tell_context = forwarder,
    };
    buf_printf(&cursor, CURSOR_PREFIX "%s", forwarder->name);
    rc = rc < 0 ? rc
                : datalog_cursor_open(storage_log(forwarder->storage), buf_str(&cursor),
                                      &forwarder->cursor);
    buf_deinit(&cursor);
    return rc;
}

static int start_one(struct forwarder *forwarder, const struct conf *conf)
{
    int rc = read_conf(forwarder, conf);
    rc = rc < 0 ? rc : open_one(forwarder, conf);
    if (rc == 0 && pthread_create(&forwarder->thread, NULL, run, forwarder) != 0) {
        rc = err_set(ERR_IO, "no thread for it");
    }
    if (rc < 0) {
        return err_wrap(rc, "[" SECTION " \"%s\"]", forwarder->name);
    }
    forwarder->started = true;
    publish(forwarder);
    return 0;
}

int forwarders2x_start(struct io *io, const struct conf *conf, struct storage *storage,
                       struct forwarders2x **ret_forwarders)
{
    struct forwarders2x *forwarders = MEM_NEW(struct forwarders2x);
    int rc = 0;
    for (size_t i = 0; i < conf_subsection_count(conf, SECTION) && rc == 0; i++) {
        const char *name = conf_subsection(conf, SECTION, i);
        if (is_one(conf, name)) {
            struct forwarder *forwarder = new_one(name);
            forwarder->io = io;
            forwarder->storage = storage;
            vec_push(&forwarders->all, forwarder);
            rc = start_one(forwarder, conf);
        }
    }
    if (rc < 0) {
        forwarders2x_stop(&forwarders);
        return rc;
    }
    *ret_forwarders = forwarders;
    return 0;
}

void forwarders2x_stop(struct forwarders2x **forwarders)
{
    if (*forwarders == NULL) {
        return;
    }
    for (size_t i = 0; i < (*forwarders)->all.count; i++) {
        free_one((*forwarders)->all.items[i]);
    }
    vec_deinit(&(*forwarders)->all);
    mem_free(*forwarders);
    *forwarders = NULL;
}
