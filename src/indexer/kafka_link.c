/* Tested by kafka_test.c. */
#include "indexer/kafka_link.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/log.h"

#define ASK_EVERY_MS 2000
#define ASK_MS 500

static const char *const fault_names[] = {
    [KAFKA_NO_FAULT] = "none",
    [KAFKA_FAULT_BROKER] = "broker",
    [KAFKA_FAULT_AUTH] = "auth",
    [KAFKA_FAULT_TOPIC] = "topic",
    [KAFKA_FAULT_TOO_LARGE] = "too-large",
    [KAFKA_FAULT_MISSING] = "missing",
    [KAFKA_FAULT_VERSION] = "version",
    [KAFKA_FAULT_POISON] = "poison",
    [KAFKA_FAULT_STORAGE] = "storage",
    [KAFKA_FAULT_OTHER] = "other",
};

const char *kafka_fault_name(enum kafka_fault fault)
{
    return fault_names[fault];
}

static const char *const state_names[] = {
    [KAFKA_CONNECTING] = "connecting",
    [KAFKA_CATCHING_UP] = "catching up",
    [KAFKA_FOLLOWING] = "following",
    [KAFKA_NEEDS_SNAPSHOT] = "needs a snapshot",
    [KAFKA_NEEDS_UPGRADE] = "needs a later version of this program",
};

const char *kafka_state_name(enum kafka_state state)
{
    return state_names[state];
}

enum kafka_fault kafka_fault_of(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
        return KAFKA_FAULT_BROKER;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return KAFKA_FAULT_AUTH;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return KAFKA_FAULT_TOPIC;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        return KAFKA_FAULT_TOO_LARGE;
    default:
        return KAFKA_FAULT_OTHER;
    }
}

/* ---- the config ---- */

int kafka_url_parse(const char *url, struct arena *arena, struct kafka_options *options)
{
    struct span rest = span_of_str(url);
    CHECK(span_starts_with(rest, SPAN_LIT(KAFKA_SCHEME)));
    rest = span_from(rest, strlen(KAFKA_SCHEME));
    ptrdiff_t slash = span_find_byte(rest, '/');
    struct span topic = slash < 0 ? SPAN_NONE : span_from(rest, (size_t)slash + 1);
    if (slash <= 0 || topic.bytes == 0 || span_find_byte(topic, '/') >= 0) {
        return err_set(ERR_INVALID, "\"%s\" is no kafka://host:port[,host:port]/topic", url);
    }
    options->url = url;
    options->brokers = arena_strndup(arena, (const char *)rest.data, (size_t)slash);
    options->topic = arena_strndup(arena, (const char *)topic.data, topic.bytes);
    return 0;
}

struct property {
    const char *name, *value;
};

/* What the promises rest on. */
static bool is_ours(const char *name)
{
    static const char *const ours[] = {
        "acks",
        "request.required.acks",
        "auto.offset.reset",
        "bootstrap.servers",
        "delivery.timeout.ms",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.idempotence",
        "enable.partition.eof",
        "message.timeout.ms",
        "metadata.broker.list",
        "transactional.id",
    };
    for (size_t i = 0; i < ARRAY_COUNT(ours); i++) {
        if (strcmp(name, ours[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[256];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK) {
        return err_set(ERR_INVALID, "Kafka-Property %s: %s", name, why);
    }
    return 0;
}

static int set_all(rd_kafka_conf_t *conf, const struct property *properties, size_t count)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = set(conf, properties[i].name, properties[i].value);
    }
    return rc;
}

static int set_users(const struct kafka_options *options, rd_kafka_conf_t *conf)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < options->properties_count; i++) {
        const char *equals = strchr(options->properties[i], '=');
        if (equals == NULL) {
            return err_set(ERR_INVALID, "Kafka-Property \"%s\" is no name=value",
                           options->properties[i]);
        }
        char *name = mem_strndup(options->properties[i], (size_t)(equals - options->properties[i]));
        rc = is_ours(name) ? err_set(ERR_INVALID, "Kafka-Property %s is not to be set", name)
                           : set(conf, name, equals + 1);
        mem_free(name);
    }
    return rc;
}

/* By rd_kafka_poll() and rd_kafka_consumer_poll(), on the link's own thread. */
static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct kafka_link *link = opaque;
    (void)rk;
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        link->broken = RD_KAFKA_RESP_ERR__FATAL;
    }
    enum kafka_fault kind = kafka_fault_of((rd_kafka_resp_err_t)code);
    if (code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__RESOLVE) {
        (void)snprintf(link->broker_text, sizeof(link->broker_text), "%s", reason);
        return; /* one broker of several */
    }
    if (kind == KAFKA_FAULT_BROKER) {
        kafka_link_fault(link, kind, "%s: %s", reason, link->broker_text);
        kafka_link_state(link, KAFKA_CONNECTING);
    } else {
        kafka_link_fault(link, kind, "%s", reason);
    }
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)level;
    log_trace("kafka-client", text, "facility", facility, NULL);
}

int kafka_link_conf(struct kafka_link *link, bool producer, rd_kafka_conf_t **ret_conf)
{
    const struct kafka_options *options = &link->options;
    const struct property both_before[] = {{"client.id", "aquifer"}};
    const struct property producer_before[] = {
        {"compression.codec", options->compress ? "zstd" : "none"},
        {"linger.ms", "2"},
    };
    const struct property consumer_before[] = {
        {"queued.max.messages.kbytes", "8192"},
        {"max.poll.interval.ms", "86400000"},
        {"fetch.wait.max.ms", "100"},
        /* Nothing joins the group, but closing waits so long for a coordinator that is down. */
        {"session.timeout.ms", "6000"},
        {"heartbeat.interval.ms", "2000"},
    };
    const struct property both_after[] = {{"bootstrap.servers", options->brokers}};
    const struct property producer_after[] = {
        {"acks", "all"}, {"enable.idempotence", "true"}, {"message.timeout.ms", "0"}};
    const struct property consumer_after[] = {
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"enable.partition.eof", "true"},
        {"auto.offset.reset", "earliest"},
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, link);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    int rc = set_all(conf, both_before, ARRAY_COUNT(both_before));
    rc = rc < 0     ? rc
         : producer ? set_all(conf, producer_before, ARRAY_COUNT(producer_before))
                    : set_all(conf, consumer_before, ARRAY_COUNT(consumer_before));
    if (rc == 0 && !producer) {
        char node[UUID_TEXT_BYTES];
        struct uuid id = {0};
        if (options->storage != NULL) {
            id = datalog_origin(storage_log(options->storage)).node;
        }
        char *group = mem_printf("aquifer-%s-%s", uuid_text(id, node), options->name);
        rc = set(conf, "group.id", group);
        mem_free(group);
    }
    rc = rc < 0 ? rc : set_users(options, conf);
    rc = rc < 0 ? rc : set_all(conf, both_after, ARRAY_COUNT(both_after));
    rc = rc < 0     ? rc
         : producer ? set_all(conf, producer_after, ARRAY_COUNT(producer_after))
                    : set_all(conf, consumer_after, ARRAY_COUNT(consumer_after));
    if (rc < 0) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }
    *ret_conf = conf;
    return 0;
}

/* ---- life ---- */

void kafka_link_init(struct kafka_link *link, const struct kafka_options *options)
{
    link->options = *options;
    link->info.name = options->name;
    link->info.url = options->url;
    link->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(link->wake_fd > 0);
    pthread_mutex_init(&link->lock, NULL);
}

void kafka_link_deinit(struct kafka_link *link)
{
    kafka_link_close(link);
    close(link->wake_fd);
    pthread_mutex_destroy(&link->lock);
}

int kafka_link_open(struct kafka_link *link, bool producer, rd_kafka_conf_t *conf)
{
    char why[256];
    link->broken = RD_KAFKA_RESP_ERR_NO_ERROR;
    link->producer = producer;
    link->rk =
        rd_kafka_new(producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (link->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        kafka_link_fault(link, KAFKA_FAULT_OTHER, "%s", why);
        return err_set(ERR_UNAVAILABLE, "%s", why);
    }
    return 0;
}

void kafka_link_close(struct kafka_link *link)
{
    if (link->rk != NULL) {
        /* Closing a consumer would wait a minute for brokers that are down. */
        rd_kafka_destroy_flags(link->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        link->rk = NULL;
    }
}

void kafka_link_hear(struct kafka_link *link)
{
    if (link->producer) {
        (void)rd_kafka_poll(link->rk, 0);
        return;
    }
    rd_kafka_message_t *message = rd_kafka_consumer_poll(link->rk, 0);
    if (message != NULL) {
        rd_kafka_message_destroy(message);
    }
}

int kafka_link_partitions(struct kafka_link *link, uint32_t *ret_partitions)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(link->rk, link->options.topic, NULL);
    rd_kafka_resp_err_t code = rd_kafka_metadata(link->rk, 0, topic, &metadata, KAFKA_METADATA_MS);
    uint32_t count = 0;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = metadata->topic_cnt == 1 ? metadata->topics[0].err
                                        : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        count = metadata->topic_cnt == 1 ? (uint32_t)metadata->topics[0].partition_cnt : 0;
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(topic);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && count == 0) {
        code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (code == RD_KAFKA_RESP_ERR__TRANSPORT) {
            kafka_link_hear(link); /* a broker has said more */
        }
        bool is_broker = code == RD_KAFKA_RESP_ERR__TRANSPORT && link->broker_text[0] != '\0';
        int rc = err_set(ERR_UNAVAILABLE, "topic %s: %s%s%s", link->options.topic,
                         rd_kafka_err2str(code), is_broker ? ": " : "",
                         is_broker ? link->broker_text : "");
        kafka_link_fault(link, kafka_fault_of(code), "%s", err_text());
        return rc;
    }
    *ret_partitions = count;
    return 0;
}

/* ---- what it says of itself ---- */

void kafka_link_fault(struct kafka_link *link, enum kafka_fault kind, const char *format, ...)
{
    char text[sizeof(link->info.fault)];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    pthread_mutex_lock(&link->lock);
    link->info.faults[kind]++;
    bool known = kind == KAFKA_FAULT_BROKER && link->info.kind == KAFKA_FAULT_AUTH;
    if (!known) { /* else it says why no broker answers */
        link->info.kind = kind;
        (void)snprintf(link->info.fault, sizeof(link->info.fault), "%s", text);
    }
    pthread_mutex_unlock(&link->lock);
    if (link->told != kind && !known) {
        link->told = kind;
        log_warn("kafka-fault", "a link over Kafka does not go on as it should; it is tried again",
                 "name", link->options.name, "target", link->options.url, "kind",
                 kafka_fault_name(kind), "reason", text, NULL);
    }
}

void kafka_link_state(struct kafka_link *link, enum kafka_state state)
{
    pthread_mutex_lock(&link->lock);
    enum kafka_state before = link->info.state;
    link->info.state = state;
    if (state == KAFKA_FOLLOWING) {
        link->info.kind = KAFKA_NO_FAULT;
        link->info.fault[0] = '\0';
    }
    pthread_mutex_unlock(&link->lock);
    if (before != state) {
        if (state == KAFKA_FOLLOWING) {
            link->told = KAFKA_NO_FAULT;
        }
        log_trace("kafka-state", state_names[state], "name", link->options.name, "from",
                  state_names[before], NULL);
    }
}

bool kafka_link_is_connecting(struct kafka_link *link)
{
    pthread_mutex_lock(&link->lock);
    bool is = link->info.state == KAFKA_CONNECTING;
    pthread_mutex_unlock(&link->lock);
    return is;
}

void kafka_link_ask(struct kafka_link *link)
{
    const struct rd_kafka_metadata *metadata = NULL;
    int64_t now_ms = kafka_link_now_ms(link);
    if (!kafka_link_is_connecting(link) || now_ms - link->asked_ms < ASK_EVERY_MS) {
        return;
    }
    link->asked_ms = now_ms;
    if (rd_kafka_metadata(link->rk, 0, NULL, &metadata, ASK_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(metadata);
        kafka_link_state(link, KAFKA_CATCHING_UP);
    }
}

void kafka_link_info(struct kafka_link *link, struct kafka_info *ret_info)
{
    pthread_mutex_lock(&link->lock);
    *ret_info = link->info;
    pthread_mutex_unlock(&link->lock);
}

/* ---- waiting ---- */

void kafka_link_wake(struct kafka_link *link)
{
    uint64_t one = 1;
    (void)!write(link->wake_fd, &one, sizeof(one));
}

void kafka_link_wait(struct kafka_link *link, int timeout_ms)
{
    struct pollfd wake = {.fd = link->wake_fd, .events = POLLIN};
    uint64_t token;
    (void)poll(&wake, 1, timeout_ms);
    (void)!read(link->wake_fd, &token, sizeof(token));
}

int64_t kafka_link_now_ms(const struct kafka_link *link)
{
    return io_monotonic_ns(link->options.io) / 1000000;
}
