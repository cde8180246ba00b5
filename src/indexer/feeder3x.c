/* Tested by feeder3x_test.c and tests/cluster/test_warp10_3x.py. */
#include "indexer/feeder3x.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/time.h"
#include "datalog/cursor.h"
#include "indexer/feeder3x_internal.h"
#include "service/log.h"
#include "service/metrics.h"
#include "warp10/header.h"

#define SECTION "Warp10-Feeder"

/* ── The section ─────────────────────────────────────────────────────────────────────────── */

static bool is_wanted(const struct conf *conf)
{
    return conf_text(conf, SECTION, NULL, "Listen")[0] != 0;
}

static int read_listen(struct feeder3x *feeder, const struct conf *conf)
{
    struct buf host = {0};
    int rc = conf_host_port(span_of_str(conf_text(conf, SECTION, NULL, "Listen")), FEED3X_PORT,
                            &host, &feeder->port);
    if (rc == 0) {
        (void)snprintf(feeder->host, sizeof(feeder->host), "%s", buf_str(&host));
    }
    buf_deinit(&host);
    return rc;
}

/* A name of a cursor is made of it. */
static bool is_good_id(struct span id)
{
    bool good =
        id.bytes > 0 && id.bytes <= DATALOG_CURSOR_NAME_BYTES_MAX - strlen(FEEDER3X_CURSOR_PREFIX);
    for (size_t i = 0; i < id.bytes; i++) {
        good = good && id.data[i] > ' ' && id.data[i] < 0x7F;
    }
    return good;
}

static int read_consumer(struct feeder3x *feeder, const char *text)
{
    const char *equals = strrchr(text, '=');
    struct span id = span_first(span_of_str(text), equals == NULL ? 0 : (size_t)(equals - text));
    if (!is_good_id(id)) {
        return err_set(ERR_INVALID, "Consumer must be ID=CURVE:HEX, the ID of printable ASCII");
    }
    for (size_t i = 0; i < feeder->consumer_count; i++) {
        if (span_equal(id, feeder->peers[i].id)) {
            return err_set(ERR_EXISTS, "Consumer %.*s is there twice", SPAN_ARG(id));
        }
    }
    struct feeder3x_consumer *consumer = &feeder->consumers[feeder->consumer_count];
    uint8_t session[FEED3X_SESSION_KEY_BYTES];
    int rc = feed3x_key_public(equals + 1, &consumer->key);
    if (rc == 0) {
        feeder->peers[feeder->consumer_count++] = (struct feed3x_peer){id, consumer->key};
        rc = feed3x_agree(feeder->key, consumer->key, 1, 1, session);
    }
    return rc < 0 ? err_wrap(rc, "Consumer %.*s", SPAN_ARG(id)) : 0;
}

static int read_consumers(struct feeder3x *feeder, const struct conf *conf)
{
    size_t count = conf_list_count(conf, SECTION, NULL, "Consumer");
    int rc = 0;
    if (count > FEEDER3X_CONSUMERS_MAX) {
        return err_set(ERR_INVALID, "more than %u Consumer", FEEDER3X_CONSUMERS_MAX);
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = read_consumer(feeder, conf_list(conf, SECTION, NULL, "Consumer", i));
    }
    return rc;
}

static int read_hash_key(const struct conf *conf, const char *name, struct siphash_key *key)
{
    struct buf bytes = {0};
    const char *text = conf_text(conf, "Warp10", NULL, name);
    int rc = text[0] == 0 ? 0 : warp10_key_bytes(&bytes, text);
    if (rc == 0 && bytes.bytes == SIPHASH_KEY_BYTES) {
        *key = siphash_key_of(bytes.data);
    }
    buf_deinit(&bytes);
    return rc;
}

static int read_conf(struct feeder3x *feeder, const struct conf *conf)
{
    struct translate3x_options *translate = &feeder->translate_options;
    const char *unit = conf_text(conf, "Warp10", NULL, "Time-Unit");
    feeder->keepalive_ms = conf_duration(conf, SECTION, NULL, "Keep-Alive") / TIME_MS_NS;
    feeder->timeout_ms = conf_duration(conf, SECTION, NULL, "Timeout") / TIME_MS_NS;
    int rc = read_listen(feeder, conf);
    if (rc == 0) {
        rc = feed3x_key_private(conf_text(conf, SECTION, NULL, "Private-Key"), &feeder->key);
        rc = rc < 0 ? err_wrap(rc, "Private-Key") : 0;
    }
    rc = rc < 0 ? rc : read_consumers(feeder, conf);
    rc = rc < 0 ? rc : read_hash_key(conf, "Class-Hash-Key", &translate->class_key);
    rc = rc < 0 ? rc : read_hash_key(conf, "Labels-Hash-Key", &translate->labels_key);
    if (rc == 0 && !warp10_unit_parse(span_of_str(unit), &translate->unit)) {
        rc = err_set(ERR_INVALID, "Time-Unit must be ms, us or ns, not \"%s\"", unit);
    }
    return rc < 0 ? err_wrap(rc, "%s", conf_where(conf, SECTION, NULL, NULL)) : 0;
}

/* ── Life ────────────────────────────────────────────────────────────────────────────────── */

static struct feeder3x *new_feeder(void)
{
    struct feeder3x *feeder = MEM_NEW(struct feeder3x);
    pthread_mutex_init(&feeder->lock, NULL);
    return feeder;
}

void feeder3x_stop(struct feeder3x **feeder)
{
    struct feeder3x *gone = *feeder;
    if (gone == NULL) {
        return;
    }
    metric_forget(gone);
    listener_stop(&gone->listener);
    for (size_t i = 0; i < FEEDER3X_CONSUMERS_MAX; i++) {
        metric_forget(&gone->consumers[i]);
        feed3x_key_free(&gone->consumers[i].key);
    }
    feed3x_key_free(&gone->key);
    pthread_mutex_destroy(&gone->lock);
    mem_free(gone);
    *feeder = NULL;
}

int feeder3x_check(const struct conf *conf)
{
    if (!is_wanted(conf)) {
        return 0;
    }
    struct feeder3x *feeder = new_feeder();
    int rc = read_conf(feeder, conf);
    feeder3x_stop(&feeder);
    return rc;
}

static double read_records(void *context)
{
    return (double)atomic_load(&((struct feeder3x_consumer *)context)->records);
}

static double read_missed(void *context)
{
    return (double)atomic_load(&((struct feeder3x_consumer *)context)->missed);
}

static double read_failures(void *context)
{
    return (double)atomic_load(&((struct feeder3x *)context)->failures);
}

static void publish(struct feeder3x *feeder)
{
    for (size_t i = 0; i < feeder->consumer_count; i++) {
        struct feeder3x_consumer *consumer = &feeder->consumers[i];
        (void)snprintf(consumer->labels, sizeof(consumer->labels), "consumer=\"%.*s\"",
                       SPAN_ARG(span_first(feeder->peers[i].id, 120)));
        metric_counter_call("aquifer_warp10_feeder_records_total", "records fed to Warp 10 3.x",
                            consumer->labels, read_records, consumer);
        metric_counter_call("aquifer_warp10_feeder_missed_total",
                            "records that were trimmed or cannot be told", consumer->labels,
                            read_missed, consumer);
    }
    metric_counter_call("aquifer_warp10_feeder_failures_total", "connections that were ended", NULL,
                        read_failures, feeder);
}

struct leftovers {
    const struct feeder3x *feeder;
    VEC(char *) names;
};

static int look(void *context, const struct datalog_cursor_stats *stats)
{
    struct leftovers *leftovers = context;
    struct span name = span_of_str(stats->name);
    struct span prefix = SPAN_LIT(FEEDER3X_CURSOR_PREFIX);
    bool is_leftover = span_starts_with(name, prefix);
    for (size_t i = 0; i < leftovers->feeder->consumer_count; i++) {
        is_leftover &= !span_equal(span_from(name, prefix.bytes), leftovers->feeder->peers[i].id);
    }
    if (is_leftover) {
        vec_push(&leftovers->names, mem_strdup(stats->name));
    }
    return 0;
}

/* Consumers that are not in the config any more hold nothing back. */
static void drop_leftovers(struct feeder3x *feeder)
{
    struct leftovers leftovers = {.feeder = feeder};
    struct datalog *log = storage_log(feeder->storage);
    int rc = datalog_cursors(log, look, &leftovers);
    for (size_t i = 0; i < leftovers.names.count; i++) {
        rc = rc < 0 ? rc : datalog_cursor_remove(log, leftovers.names.items[i]);
        mem_free(leftovers.names.items[i]);
    }
    vec_deinit(&leftovers.names);
    if (rc < 0) {
        log_fault("warp10-feeder", "what former consumers hold of the log could not be dropped", rc,
                  NULL);
    }
}

static int begin(struct feeder3x *feeder, const struct conf *conf)
{
    const char *id = conf_text(conf, SECTION, NULL, "ID");
    struct uuid self = datalog_origin(storage_log(feeder->storage)).node;
    (void)uuid_text(self, feeder->own_id);
    feeder->translate_options.catalogue = storage_catalogue(feeder->storage);
    feeder->translate_options.self = self;
    feeder->session_options = (struct feed3x_options){
        .io = feeder->io,
        .id = span_of_str(id[0] != 0 ? id : feeder->own_id),
        .key = feeder->key,
        .peers = feeder->peers,
        .peer_count = feeder->consumer_count,
        .encrypt = conf_bool(conf, SECTION, NULL, "Encrypt"),
    };
    drop_leftovers(feeder);
    struct listener_options options = {
        .io = feeder->io,
        .kind = &feeder3x_kind,
        .shared = feeder,
        .address = feeder->host,
        .port = feeder->port,
        .pipe_path = "",
    };
    return listener_start(&options, &feeder->listener);
}

int feeder3x_start(struct io *io, const struct conf *conf, struct storage *storage,
                   struct names3x *names, struct feeder3x **ret_feeder)
{
    if (!is_wanted(conf)) {
        return 0;
    }
    struct feeder3x *feeder = new_feeder();
    feeder->io = io;
    feeder->storage = storage;
    feeder->translate_options.names = names;
    int rc = read_conf(feeder, conf);
    rc = rc < 0 ? rc : begin(feeder, conf);
    if (rc < 0) {
        feeder3x_stop(&feeder);
        return rc;
    }
    publish(feeder);
    *ret_feeder = feeder;
    return 0;
}
