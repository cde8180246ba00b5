/* What [Datalog-Source "…"] says of Warp 10 3.x; starting and stopping. Tested by
 * tests/cluster/test_warp10_3x.py. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "indexer/consumer3x_internal.h"
#include "service/metrics.h"
#include "warp10/header.h"

#define SECTION CONSUMER3X_SECTION
#define SCHEME "warp10://"
#define NAME_BYTES_MAX 100

struct consumers3x {
    VEC(struct consumer3x *) all;
};

static bool is_one(const struct conf *conf, const char *name)
{
    return span_starts_with(span_of_str(conf_text(conf, SECTION, name, "Source")),
                            SPAN_LIT(SCHEME));
}

/* ── The section ─────────────────────────────────────────────────────────────────────────── */

static int read_target(struct consumer3x *consumer)
{
    struct buf host = {0};
    uint16_t port = 0;
    int rc =
        conf_host_port(span_of_str(consumer->source + strlen(SCHEME)), FEED3X_PORT, &host, &port);
    if (rc == 0 && (host.bytes == 0 || host.bytes >= sizeof(consumer->target.host))) {
        rc = err_set(ERR_INVALID, "Source has no host");
    }
    if (rc == 0) {
        consumer->target.scheme = INGEST_TCP;
        consumer->target.port = port;
        (void)snprintf(consumer->target.host, sizeof(consumer->target.host), "%s", buf_str(&host));
    }
    buf_deinit(&host);
    return rc;
}

static int read_keys(struct consumer3x *consumer, const struct conf *conf)
{
    int rc =
        feed3x_key_private(conf_text(conf, SECTION, consumer->name, "Private-Key"), &consumer->key);
    if (rc < 0) {
        return err_wrap(rc, "Private-Key");
    }
    rc = feed3x_key_public(conf_text(conf, SECTION, consumer->name, "Feeder-Key"),
                           &consumer->feeder_key);
    uint8_t session[FEED3X_SESSION_KEY_BYTES];
    rc = rc < 0 ? err_wrap(rc, "Feeder-Key")
                : feed3x_agree(consumer->key, consumer->feeder_key, 1, 1, session);
    consumer->feeder.key = consumer->feeder_key;
    return rc;
}

static int read_lists(struct consumer3x *consumer, const struct conf *conf)
{
    size_t excluded = conf_list_count(conf, SECTION, consumer->name, "Exclude-ID");
    size_t shards = conf_list_count(conf, SECTION, consumer->name, "Shard");
    int rc = 0;
    if (excluded > FEED3X_EXCLUDED_MAX || shards > FEED3X_SHARDS_MAX) {
        return err_set(ERR_INVALID, "more than %u Exclude-ID or Shard", FEED3X_SHARDS_MAX);
    }
    for (size_t i = 0; i < excluded; i++) {
        consumer->excluded[i] =
            span_of_str(conf_list(conf, SECTION, consumer->name, "Exclude-ID", i));
    }
    for (size_t i = 0; i < shards && rc == 0; i++) {
        const char *text = conf_list(conf, SECTION, consumer->name, "Shard", i);
        rc = feed3x_shard_parse(span_of_str(text), &consumer->shards[i]);
    }
    consumer->apply_options.excluded = consumer->excluded;
    consumer->apply_options.excluded_count = excluded;
    consumer->apply_options.shards = consumer->shards;
    consumer->apply_options.shard_count = shards;
    consumer->apply_options.shard_shift = conf_int(conf, SECTION, consumer->name, "Shard-Shift");
    return rc;
}

static int read_start(struct consumer3x *consumer, const struct conf *conf)
{
    struct span text = span_of_str(conf_text(conf, SECTION, consumer->name, "Start"));
    if (span_equal_str(text, "all")) {
        consumer->start = CONSUMER3X_FROM_ALL;
    } else if (span_equal_str(text, "now")) {
        consumer->start = CONSUMER3X_FROM_NOW;
    } else if (span_to_i64(text, &consumer->start_ms) && consumer->start_ms >= 0) {
        consumer->start = CONSUMER3X_FROM_TIME;
    } else {
        return err_set(ERR_INVALID, "Start must be all, now or milliseconds, not \"%.*s\"",
                       SPAN_ARG(text));
    }
    return 0;
}

static int read_hash_key(const struct conf *conf, const char *name, bool *has_keys,
                         struct siphash_key *key)
{
    struct buf bytes = {0};
    const char *text = conf_text(conf, "Warp10", NULL, name);
    int rc = text[0] == 0 ? 0 : warp10_key_bytes(&bytes, text);
    *has_keys = *has_keys && bytes.bytes == SIPHASH_KEY_BYTES;
    if (rc == 0 && *has_keys) {
        *key = siphash_key_of(bytes.data);
    }
    buf_deinit(&bytes);
    return rc;
}

static int read_hash_keys(struct apply3x_options *options, const struct conf *conf)
{
    options->has_keys = true;
    int rc = read_hash_key(conf, "Class-Hash-Key", &options->has_keys, &options->class_key);
    return rc < 0
               ? rc
               : read_hash_key(conf, "Labels-Hash-Key", &options->has_keys, &options->labels_key);
}

/* A file is named after it. */
static int check_name(const char *name)
{
    size_t bytes = strlen(name);
    if (bytes == 0 || bytes > NAME_BYTES_MAX || strchr(name, '/') != NULL || name[0] == '.') {
        return err_set(ERR_INVALID, "a source's name has 1 to %d bytes, no / and no . in front",
                       NAME_BYTES_MAX);
    }
    return 0;
}

static int read_conf(struct consumer3x *consumer, const struct conf *conf)
{
    const char *unit = conf_text(conf, SECTION, consumer->name, "Time-Unit");
    consumer->source = conf_text(conf, SECTION, consumer->name, "Source");
    consumer->quarantine_dir = conf_text(conf, "Datalog", NULL, "Quarantine-Directory");
    consumer->timeout_ms = conf_duration(conf, SECTION, consumer->name, "Timeout") / TIME_MS_NS;
    consumer->keepalive_ms =
        conf_duration(conf, SECTION, consumer->name, "Keep-Alive") / TIME_MS_NS;
    int rc = check_name(consumer->name);
    rc = rc < 0 ? rc : read_target(consumer);
    rc = rc < 0 ? rc : read_keys(consumer, conf);
    rc = rc < 0 ? rc : read_lists(consumer, conf);
    rc = rc < 0 ? rc : read_start(consumer, conf);
    rc = rc < 0 ? rc : read_hash_keys(&consumer->apply_options, conf);
    if (rc == 0 && !warp10_unit_parse(span_of_str(unit), &consumer->apply_options.unit)) {
        rc = err_set(ERR_INVALID, "Time-Unit must be ms, us or ns, not \"%s\"", unit);
    }
    return rc < 0 ? err_wrap(rc, "%s", conf_where(conf, SECTION, consumer->name, NULL)) : 0;
}

/* ── Life ────────────────────────────────────────────────────────────────────────────────── */

static void free_one(struct consumer3x *consumer)
{
    metric_forget(consumer);
    if (consumer->started) {
        uint64_t one = 1;
        atomic_store(&consumer->stopping, true);
        (void)!write(consumer->stop_fd, &one, sizeof(one));
        (void)pthread_join(consumer->thread, NULL);
    }
    apply3x_free(&consumer->apply);
    offset3x_deinit(&consumer->offset);
    vec_deinit(&consumer->entries);
    buf_deinit(&consumer->refs);
    buf_deinit(&consumer->failing);
    feed3x_key_free(&consumer->key);
    feed3x_key_free(&consumer->feeder_key);
    close(consumer->stop_fd);
    pthread_cond_destroy(&consumer->changed);
    pthread_mutex_destroy(&consumer->lock);
    mem_free(consumer->offset_path);
    mem_free(consumer);
}

static struct consumer3x *new_one(const char *name)
{
    struct consumer3x *consumer = MEM_NEW(struct consumer3x);
    consumer->name = name;
    consumer->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(consumer->stop_fd > 0);
    pthread_mutex_init(&consumer->lock, NULL);
    pthread_cond_init(&consumer->changed, NULL);
    return consumer;
}

/* Of all sections, also of those that are another's. */
static int check_scheme(const struct conf *conf, const char *name)
{
    struct span source = span_of_str(conf_text(conf, SECTION, name, "Source"));
    if (span_starts_with(source, SPAN_LIT(SCHEME)) ||
        span_starts_with(source, SPAN_LIT("kafka://"))) {
        return 0;
    }
    return err_set(ERR_INVALID, "%s: Source must begin with kafka:// or warp10://, not \"%.*s\"",
                   conf_where(conf, SECTION, name, "Source"), SPAN_ARG(span_first(source, 64)));
}

int consumers3x_check(const struct conf *conf)
{
    int rc = 0;
    for (size_t i = 0; i < conf_subsection_count(conf, SECTION) && rc == 0; i++) {
        const char *name = conf_subsection(conf, SECTION, i);
        rc = check_scheme(conf, name);
        if (rc == 0 && is_one(conf, name)) {
            struct consumer3x *consumer = new_one(name);
            rc = read_conf(consumer, conf);
            free_one(consumer);
        }
    }
    return rc;
}

static double read_records(void *context)
{
    return (double)atomic_load(&((struct consumer3x *)context)->records);
}

static double read_passed_over(void *context)
{
    return (double)atomic_load(&((struct consumer3x *)context)->passed_over);
}

static double read_quarantined(void *context)
{
    return (double)atomic_load(&((struct consumer3x *)context)->quarantined);
}

static double read_failures(void *context)
{
    return (double)atomic_load(&((struct consumer3x *)context)->failures);
}

static double read_connected(void *context)
{
    return atomic_load(&((struct consumer3x *)context)->connected) ? 1 : 0;
}

static void publish(struct consumer3x *c)
{
    (void)snprintf(c->labels, sizeof(c->labels), "source=\"%s\"", c->name);
    metric_counter_call("aquifer_warp10_source_records_total", "records of Warp 10 3.x applied",
                        c->labels, read_records, c);
    metric_counter_call("aquifer_warp10_source_passed_over_total",
                        "records that were known, excluded or of other shards", c->labels,
                        read_passed_over, c);
    metric_counter_call("aquifer_warp10_source_quarantined_total",
                        "records that could not be applied, set aside", c->labels, read_quarantined,
                        c);
    metric_counter_call("aquifer_warp10_source_failures_total", "connections that failed",
                        c->labels, read_failures, c);
    metric_gauge_call("aquifer_warp10_source_connected", "1 while a feeder feeds it", c->labels,
                      read_connected, c);
}

static void set_options(struct consumer3x *consumer, const struct conf *conf, struct names3x *names)
{
    struct apply3x_options *apply = &consumer->apply_options;
    const char *id = conf_text(conf, SECTION, consumer->name, "ID");
    bool asks = conf_bool(conf, SECTION, consumer->name, "Feeder-Shards");
    (void)uuid_text(datalog_origin(storage_log(consumer->storage)).node, consumer->own_id);
    apply->consumer = span_of_str(id[0] != 0 ? id : consumer->own_id);
    apply->storage = consumer->storage;
    apply->source = consumer->name;
    apply->names = names;
    consumer->session_options = (struct feed3x_options){
        .io = consumer->io,
        .id = apply->consumer,
        .key = consumer->key,
        .peers = &consumer->feeder,
        .peer_count = 1,
        .shards = apply->shards,
        .shard_count = asks ? apply->shard_count : 0,
        .shard_shift = apply->shard_shift,
        .excluded = apply->excluded,
        .excluded_count = apply->excluded_count,
        .nonces = &consumer->nonces,
    };
}

static int start_one(struct consumer3x *consumer, const struct conf *conf, struct names3x *names)
{
    int rc = read_conf(consumer, conf);
    if (rc < 0) {
        return rc;
    }
    set_options(consumer, conf, names);
    consumer->apply = apply3x_new(&consumer->apply_options);
    consumer->offset_path =
        mem_printf("%s/source-%s", conf_text(conf, "Datalog", NULL, "Directory"), consumer->name);
    consumer3x_load(consumer);
    if (pthread_create(&consumer->thread, NULL, consumer3x_run, consumer) != 0) {
        return err_set(ERR_IO, "[" SECTION " \"%s\"]: no thread for it", consumer->name);
    }
    consumer->started = true;
    publish(consumer);
    return 0;
}

int consumers3x_start(struct io *io, const struct conf *conf, struct storage *storage,
                      struct names3x *names, struct consumers3x **ret_consumers)
{
    struct consumers3x *consumers = MEM_NEW(struct consumers3x);
    int rc = consumers3x_check(conf);
    for (size_t i = 0; i < conf_subsection_count(conf, SECTION) && rc == 0; i++) {
        const char *name = conf_subsection(conf, SECTION, i);
        if (is_one(conf, name)) {
            struct consumer3x *consumer = new_one(name);
            consumer->io = io;
            consumer->storage = storage;
            vec_push(&consumers->all, consumer);
            rc = start_one(consumer, conf, names);
        }
    }
    if (rc < 0) {
        consumers3x_stop(&consumers);
        return rc;
    }
    *ret_consumers = consumers;
    return 0;
}

/* ── Once more ───────────────────────────────────────────────────────────────────────────── */

static const struct consumer3x *one_named(const struct consumers3x *consumers, struct span name)
{
    for (size_t i = 0; i < consumers->all.count; i++) {
        if (span_equal_str(name, consumers->all.items[i]->name)) {
            return consumers->all.items[i];
        }
    }
    return NULL;
}

/* Under an origin of its own: the source's has gone on. */
static int retry(const struct consumer3x *consumer, struct span record)
{
    char source[32];
    char text[ERR_TEXT_BYTES_MAX];
    uint64_t random;
    bool aside = false;
    struct offset3x nothing = {0};
    struct storage_waiter waiter = STORAGE_WAITER;
    struct apply3x_options options = consumer->apply_options;
    io_random(consumer->io, &random, sizeof(random));
    (void)snprintf(source, sizeof(source), "retry/%016" PRIx64, random);
    options.source = source;
    struct apply3x *apply = apply3x_new(&options);
    int rc = apply3x_resume(apply, &nothing);
    rc = rc < 0 ? rc : apply3x_take(apply, record, &aside, storage_wake, &waiter);
    (void)snprintf(text, sizeof(text), "%s", rc < 0 || aside ? err_text() : "");
    if (rc == 0) {
        rc = storage_wait(&waiter, 0);
        rc = rc > 0 ? err_set(ERR_CONFLICT, "it was not taken") : rc;
    }
    rc = rc == APPLY3X_PASSED_OVER ? 0 : rc;
    apply3x_free(&apply);
    return rc == 0 && aside ? err_set(ERR_INVALID, "%s", text) : rc;
}

int consumers3x_retry(struct consumers3x *consumers, struct span request)
{
    struct span rest = request;
    struct span title;
    struct span ref;
    struct span line;
    struct buf record = {0};
    (void)span_split(&rest, ' ', &title);
    (void)span_split(&rest, ' ', &ref);
    (void)span_split(&rest, '\n', &line);
    const struct consumer3x *consumer = one_named(consumers, line);
    int rc = consumer == NULL ? err_set(ERR_NOT_FOUND,
                                        "it is of the source \"%.*s\", which this "
                                        "indexer does not have",
                                        SPAN_ARG(span_first(line, NAME_BYTES_MAX)))
                              : 0;
    if (rc == 0 && !text_unbase64(&record, span_trim(rest))) {
        rc = err_set(ERR_CORRUPT, "there is no record in it");
    }
    rc = rc < 0 ? rc : retry(consumer, buf_span(&record));
    buf_deinit(&record);
    return rc;
}

void consumers3x_stop(struct consumers3x **consumers)
{
    if (*consumers == NULL) {
        return;
    }
    for (size_t i = 0; i < (*consumers)->all.count; i++) {
        free_one((*consumers)->all.items[i]);
    }
    vec_deinit(&(*consumers)->all);
    mem_free(*consumers);
    *consumers = NULL;
}
