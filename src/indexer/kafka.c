#include "indexer/kafka.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/mem.h"
#include "indexer/kafka_forwarder.h"
#include "indexer/kafka_source.h"
#include "service/metrics.h"

#define FORWARDER "Datalog-Forwarder"
#define SOURCE "Datalog-Source"
#define ARENA_BYTES_MAX (4u << 20)

struct kafka {
    struct arena *arena;
    struct link_poison *poison;
    VEC(struct kafka_forwarder *) forwarders;
    VEC(struct kafka_source *) sources;
    VEC(struct fault_metric *) metrics;
};

/* ---- the config ---- */

static const char *url_of(const struct conf *conf, bool forwarder, size_t index)
{
    const char *section = forwarder ? FORWARDER : SOURCE;
    const char *name = conf_subsection(conf, section, index);
    const char *url = conf_text(conf, section, name, forwarder ? "Target" : "Source");
    return span_starts_with(span_of_str(url), SPAN_LIT(KAFKA_SCHEME)) ? url : NULL;
}

bool kafka_is_on(const struct conf *conf)
{
    for (size_t i = 0; i < conf_subsection_count(conf, FORWARDER); i++) {
        if (url_of(conf, true, i) != NULL) {
            return true;
        }
    }
    for (size_t i = 0; i < conf_subsection_count(conf, SOURCE); i++) {
        if (url_of(conf, false, i) != NULL) {
            return true;
        }
    }
    return false;
}

static bool is_name(const char *name)
{
    for (const char *at = name; *at != '\0'; at++) {
        if (*at <= ' ' || *at > '~' || *at == '/') {
            return false;
        }
    }
    return name[0] != '\0' && strlen(name) <= KAFKA_NAME_BYTES_MAX;
}

static int relayed_of(const struct conf *conf, struct arena *arena, struct kafka_options *options)
{
    size_t count = conf_list_count(conf, FORWARDER, options->name, "Relay-ID");
    struct uuid *ids = arena_alloc_array(arena, MAX(count, (size_t)1), sizeof(*ids));
    for (size_t i = 0; i < count; i++) {
        const char *text = conf_list(conf, FORWARDER, options->name, "Relay-ID", i);
        if (!uuid_parse(span_of_str(text), &ids[i])) {
            return err_set(ERR_INVALID, "\"%s\" is no id of an indexer", text);
        }
    }
    options->relayed = ids;
    options->relayed_count = count;
    return 0;
}

/* Keys of other targets would promise what does not happen. */
static int check_keys(const struct conf *conf, const char *name)
{
    static const char *const others[] = {"Ignore-ID", "Wells", "Selector", "Shard",
                                         "Rate-Limit-MB"};
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        if (conf_is_set(conf, FORWARDER, name, others[i])) {
            return err_set(ERR_INVALID, "%s: %s is not for a target of Kafka",
                           conf_where(conf, FORWARDER, name, others[i]), others[i]);
        }
    }
    return 0;
}

static int options_of(const struct conf *conf, bool forwarder, size_t index, struct arena *arena,
                      struct kafka_options *options)
{
    const char *section = forwarder ? FORWARDER : SOURCE;
    const char *name = conf_subsection(conf, section, index);
    size_t count = conf_list_count(conf, section, name, "Kafka-Property");
    const char **properties = arena_alloc_array(arena, MAX(count, (size_t)1), sizeof(*properties));
    for (size_t i = 0; i < count; i++) {
        properties[i] = conf_list(conf, section, name, "Kafka-Property", i);
    }
    *options = (struct kafka_options){
        .name = name,
        .properties = properties,
        .properties_count = count,
        .quarantine_dir = conf_text(conf, "Datalog", NULL, "Quarantine-Directory"),
        .compress = forwarder && conf_bool(conf, section, name, "Compress"),
    };
    if (!is_name(name)) {
        return err_set(ERR_INVALID,
                       "%s: a name over Kafka has no spaces, no / and at most %d bytes",
                       conf_where(conf, section, name, NULL), KAFKA_NAME_BYTES_MAX);
    }
    int rc = forwarder ? check_keys(conf, name) : 0;
    if (rc < 0) {
        return rc;
    }
    struct buf path = {0};
    buf_printf(&path, "%s/kafka-%s", conf_text(conf, "Datalog", NULL, "Directory"), name);
    options->offsets_path = arena_strdup(arena, buf_str(&path));
    buf_deinit(&path);
    rc = kafka_url_parse(url_of(conf, forwarder, index), arena, options);
    rc = rc < 0 || !forwarder ? rc : relayed_of(conf, arena, options);
    return rc < 0 ? err_wrap(rc, "%s",
                             conf_where(conf, section, name, forwarder ? "Target" : "Source"))
                  : 0;
}

static int check_one(const struct conf *conf, bool forwarder, size_t index)
{
    struct arena *arena = arena_new(ARENA_BYTES_MAX);
    struct kafka_link link = {0};
    rd_kafka_conf_t *made;
    int rc = options_of(conf, forwarder, index, arena, &link.options);
    if (rc == 0) {
        rc = kafka_link_conf(&link, forwarder, &made);
        if (rc == 0) {
            rd_kafka_conf_destroy(made);
        } else {
            rc = err_wrap(rc, "%s",
                          conf_where(conf, forwarder ? FORWARDER : SOURCE, link.options.name,
                                     "Kafka-Property"));
        }
    }
    arena_free(&arena);
    return rc;
}

int kafka_check(const struct conf *conf)
{
    int rc = 0;
    for (int forwarder = 0; forwarder < 2; forwarder++) {
        size_t count = conf_subsection_count(conf, forwarder ? FORWARDER : SOURCE);
        for (size_t i = 0; rc == 0 && i < count; i++) {
            if (url_of(conf, forwarder != 0, i) != NULL) {
                rc = check_one(conf, forwarder != 0, i);
            }
        }
    }
    return rc;
}

/* ---- metrics ---- */

struct fault_metric {
    struct kafka_link *link;
    enum kafka_fault kind;
};

static double read_faults(void *context)
{
    const struct fault_metric *metric = context;
    struct kafka_info info;
    kafka_link_info(metric->link, &info);
    return (double)info.faults[metric->kind];
}

static double read_following(void *context)
{
    struct kafka_info info;
    kafka_link_info(context, &info);
    return info.state == KAFKA_FOLLOWING ? 1 : 0;
}

#define READ(field)                                                                                \
    static double read_##field(void *context)                                                      \
    {                                                                                              \
        struct kafka_info info;                                                                    \
        kafka_link_info(context, &info);                                                           \
        return (double)info.field;                                                                 \
    }
READ(records)
READ(known)
READ(bytes)
READ(aside)
READ(lag_messages)
READ(waiting_bytes)
#undef READ

static double read_lag_records(void *context)
{
    return (double)kafka_forwarder_lag(context).lag_records;
}

static double read_lag_bytes(void *context)
{
    return (double)kafka_forwarder_lag(context).lag_bytes;
}

static double read_lag_seconds(void *context)
{
    return (double)kafka_forwarder_lag(context).lag_ns / 1e9;
}

static void publish_link(struct kafka *kafka, struct kafka_link *link, bool forwarder)
{
    const char *label = forwarder ? "forwarder" : "source";
    char *labels = mem_printf("link=\"%s\",direction=\"%s\"", link->options.name, label);
    metric_gauge_call("aquifer_kafka_following", "1 while nothing is missing but what is under way",
                      labels, read_following, link);
    metric_counter_call("aquifer_kafka_records_total", "records written, or taken", labels,
                        read_records, link);
    metric_counter_call("aquifer_kafka_bytes_total", "bytes of messages", labels, read_bytes, link);
    metric_counter_call("aquifer_kafka_quarantined_total", "messages and records set aside", labels,
                        read_aside, link);
    if (!forwarder) {
        metric_counter_call("aquifer_kafka_known_records_total", "records that were here already",
                            labels, read_known, link);
        metric_gauge_call("aquifer_kafka_lag_messages", "in the topic and not durable here", labels,
                          read_lag_messages, link);
        metric_gauge_call("aquifer_kafka_waiting_bytes",
                          "of records that are not whole, or whose turn it is not", labels,
                          read_waiting_bytes, link);
    }
    mem_free(labels);
    for (int kind = KAFKA_FAULT_BROKER; kind < KAFKA_FAULTS; kind++) {
        struct fault_metric *metric = MEM_NEW(struct fault_metric);
        *metric = (struct fault_metric){link, (enum kafka_fault)kind};
        vec_push(&kafka->metrics, metric);
        labels = mem_printf("link=\"%s\",direction=\"%s\",kind=\"%s\"", link->options.name, label,
                            kafka_fault_name(metric->kind));
        metric_counter_call("aquifer_kafka_faults_total", "why it did not go on", labels,
                            read_faults, metric);
        mem_free(labels);
    }
}

static void publish_forwarder(struct kafka *kafka, struct kafka_forwarder *forwarder)
{
    struct kafka_link *link = kafka_forwarder_link(forwarder);
    char *labels = mem_printf("forwarder=\"%s\"", link->options.name);
    publish_link(kafka, link, true);
    metric_gauge_call("aquifer_datalog_lag_records", "records the target has not acknowledged",
                      labels, read_lag_records, forwarder);
    metric_gauge_call("aquifer_datalog_lag_bytes", "their bytes in the log", labels, read_lag_bytes,
                      forwarder);
    metric_gauge_call("aquifer_datalog_lag_seconds", "age of the oldest of them", labels,
                      read_lag_seconds, forwarder);
    mem_free(labels);
}

/* ---- life ---- */

static int start_one(struct kafka *kafka, struct io *io, const struct conf *conf,
                     struct storage *storage, bool forwarder, size_t index)
{
    struct kafka_options options;
    int rc = options_of(conf, forwarder, index, kafka->arena, &options);
    if (rc < 0) {
        return rc;
    }
    options.io = io;
    options.storage = storage;
    options.poison = kafka->poison;
    if (forwarder) {
        struct kafka_forwarder *started;
        rc = kafka_forwarder_start(&options, &started);
        if (rc == 0) {
            vec_push(&kafka->forwarders, started);
            publish_forwarder(kafka, started);
        }
        return rc;
    }
    struct kafka_source *started;
    rc = kafka_source_start(&options, &started);
    if (rc == 0) {
        vec_push(&kafka->sources, started);
        publish_link(kafka, kafka_source_link(started), false);
    }
    return rc;
}

int kafka_start(struct io *io, const struct conf *conf, struct storage *storage,
                struct kafka **ret_kafka)
{
    int rc = 0;
    *ret_kafka = NULL;
    if (!kafka_is_on(conf)) {
        return 0;
    }
    struct kafka *kafka = MEM_NEW(struct kafka);
    kafka->arena = arena_new(ARENA_BYTES_MAX);
    kafka->poison = link_poison_new(io, conf_text(conf, "Datalog", NULL, "Quarantine-Directory"));
    for (int forwarder = 0; forwarder < 2; forwarder++) {
        size_t count = conf_subsection_count(conf, forwarder ? FORWARDER : SOURCE);
        for (size_t i = 0; rc == 0 && i < count; i++) {
            if (url_of(conf, forwarder != 0, i) != NULL) {
                rc = start_one(kafka, io, conf, storage, forwarder != 0, i);
            }
        }
    }
    if (rc < 0) {
        kafka_stop(&kafka);
        return err_wrap(rc, "kafka");
    }
    *ret_kafka = kafka;
    return 0;
}

void kafka_stop(struct kafka **place)
{
    struct kafka *kafka = *place;
    *place = NULL;
    if (kafka == NULL) {
        return;
    }
    for (size_t i = 0; i < kafka->metrics.count; i++) {
        metric_forget(kafka->metrics.items[i]);
        mem_free(kafka->metrics.items[i]);
    }
    for (size_t i = 0; i < kafka->forwarders.count; i++) {
        metric_forget(kafka->forwarders.items[i]);
        metric_forget(kafka_forwarder_link(kafka->forwarders.items[i]));
        kafka_forwarder_stop(&kafka->forwarders.items[i]);
    }
    for (size_t i = 0; i < kafka->sources.count; i++) {
        metric_forget(kafka_source_link(kafka->sources.items[i]));
        kafka_source_stop(&kafka->sources.items[i]);
    }
    vec_deinit(&kafka->metrics);
    vec_deinit(&kafka->forwarders);
    vec_deinit(&kafka->sources);
    link_poison_free(&kafka->poison);
    arena_free(&kafka->arena);
    mem_free(kafka);
}

/* ---- the control API ---- */

static json_t *json_u64(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *info_json(struct kafka_link *link, bool forwarder)
{
    struct kafka_info info;
    kafka_link_info(link, &info);
    json_t *json = json_object();
    json_t *faults = json_object();
    uint64_t sum = 0;
    for (int kind = KAFKA_FAULT_BROKER; kind < KAFKA_FAULTS; kind++) {
        sum += info.faults[kind];
        json_object_set_new(faults, kafka_fault_name((enum kafka_fault)kind),
                            json_u64(info.faults[kind]));
    }
    json_object_set_new(json, "name", json_string(info.name));
    json_object_set_new(json, forwarder ? "target" : "source", json_string(info.url));
    json_object_set_new(json, "node", json_null());
    json_object_set_new(json, "state", json_string(kafka_state_name(info.state)));
    json_object_set_new(json, "records", json_u64(info.records));
    json_object_set_new(json, "quarantined", json_u64(info.aside));
    json_object_set_new(json, "bytes", json_u64(info.bytes));
    json_object_set_new(json, "faults", json_u64(sum));
    json_object_set_new(json, "faults_by_kind", faults);
    json_object_set_new(json, "fault", json_string(info.fault));
    json_object_set_new(json, "kind", json_string(kafka_fault_name(info.kind)));
    if (forwarder) {
        json_object_set_new(json, "position", json_u64(info.position));
    } else {
        json_object_set_new(json, "known", json_u64(info.known));
        json_object_set_new(json, "lag_messages", json_u64(info.lag_messages));
        json_object_set_new(json, "waiting_bytes", json_u64(info.waiting_bytes));
    }
    return json;
}

void kafka_add_json(struct kafka *kafka, json_t *replication)
{
    json_t *forwarders = json_object_get(replication, "forwarders");
    json_t *sources = json_array();
    for (size_t i = 0; i < kafka->forwarders.count; i++) {
        struct kafka_forwarder *forwarder = kafka->forwarders.items[i];
        struct datalog_cursor_stats lag = kafka_forwarder_lag(forwarder);
        json_t *json = info_json(kafka_forwarder_link(forwarder), true);
        json_object_set_new(json, "lag_records", json_u64(lag.lag_records));
        json_object_set_new(json, "lag_bytes", json_u64(lag.lag_bytes));
        json_object_set_new(json, "lag_ns", json_u64(lag.lag_ns));
        json_array_append_new(forwarders, json);
    }
    for (size_t i = 0; i < kafka->sources.count; i++) {
        json_array_append_new(sources,
                              info_json(kafka_source_link(kafka->sources.items[i]), false));
    }
    json_object_set_new(replication, "sources", sources);
}
