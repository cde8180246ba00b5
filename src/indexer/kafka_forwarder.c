/* Tested by kafka_test.c. */
#include "indexer/kafka_forwarder.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "indexer/datalog2x.h"
#include "kafka/split.h"
#include "service/log.h"

#define IDLE_MS 1000
#define FULL_MS 20

/* A record on its way. */
struct sent {
    uint64_t position;
    uint64_t bytes;
    uint32_t pieces; /* not acknowledged */
};

struct kafka_forwarder {
    struct kafka_link link;
    struct datalog *log;
    struct uuid self;
    struct datalog_cursor *cursor;
    pthread_t thread;
    size_t piece_bytes; /* becomes less when a broker wants smaller ones */

    /* of one producer */
    struct datalog_reader *reader;
    rd_kafka_topic_t *topic;
    uint32_t partitions;
    struct kafka_split split;
    struct buf message;
    VEC(struct sent) sent; /* from sent_at on; positions ascend */
    size_t sent_at;
    uint64_t window;
    uint64_t acknowledged; /* told the cursor */
    bool caught_up, closing;
};

/* ---- acknowledgements ---- */

static struct sent *sent_of(struct kafka_forwarder *forwarder, uint64_t position)
{
    size_t low = forwarder->sent_at;
    size_t high = forwarder->sent.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (forwarder->sent.items[middle].position < position) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    CHECK(low < forwarder->sent.count && forwarder->sent.items[low].position == position);
    return &forwarder->sent.items[low];
}

/* By rd_kafka_poll(). */
static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct kafka_link *link = opaque;
    struct kafka_forwarder *forwarder = (struct kafka_forwarder *)link; /* its first member */
    (void)rk;
    if (forwarder->closing) {
        return;
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        link->broken = link->broken == RD_KAFKA_RESP_ERR_NO_ERROR ? message->err : link->broken;
        return;
    }
    sent_of(forwarder, (uint64_t)(uintptr_t)message->_private)->pieces--;
    pthread_mutex_lock(&link->lock);
    link->info.bytes += message->len;
    if (link->info.state == KAFKA_CONNECTING) {
        link->info.state = KAFKA_CATCHING_UP;
    }
    pthread_mutex_unlock(&link->lock);
}

/* Up to where every record is in the topic, or not for it. */
static int acknowledge(struct kafka_forwarder *forwarder)
{
    uint64_t done = 0;
    while (forwarder->sent_at < forwarder->sent.count &&
           forwarder->sent.items[forwarder->sent_at].pieces == 0) {
        forwarder->window -= forwarder->sent.items[forwarder->sent_at++].bytes;
        done++;
    }
    uint64_t position = datalog_reader_position(forwarder->reader) - 1;
    if (forwarder->sent_at < forwarder->sent.count) {
        position = forwarder->sent.items[forwarder->sent_at].position - 1;
    } else {
        vec_clear(&forwarder->sent);
        forwarder->sent_at = 0;
    }
    if (forwarder->sent_at > 65536) {
        forwarder->sent.count -= forwarder->sent_at;
        memmove(forwarder->sent.items, forwarder->sent.items + forwarder->sent_at,
                forwarder->sent.count * sizeof(*forwarder->sent.items));
        forwarder->sent_at = 0;
    }
    pthread_mutex_lock(&forwarder->link.lock);
    forwarder->link.info.records += done;
    forwarder->link.info.position = position;
    pthread_mutex_unlock(&forwarder->link.lock);
    if (position == forwarder->acknowledged) {
        return 0;
    }
    forwarder->acknowledged = position;
    return datalog_cursor_acknowledge(forwarder->cursor, position);
}

/* ---- sending ---- */

/* Whether this node took it from a Warp 10, 2.x or 3.x. What names the node names the source, too,
 * of a feed; but lanes are counted per life of a log, so the incarnation says of whose. */
static bool was_taken_here(const struct kafka_forwarder *forwarder, struct datalog_origin origin)
{
    uint64_t hash;
    struct datalog_origin now = datalog_origin(forwarder->log);
    struct datalog_origin life = {forwarder->self, origin.incarnation / DATALOG2X_LANES_MAX};
    return datalog2x_is(origin.node, &hash) &&
           (uuid_equal(datalog2x_node(hash, forwarder->self), origin.node) ||
            life.incarnation == now.incarnation ||
            datalog_origin_position(forwarder->log, life) > 0);
}

/* Our own records, of whatever life, what Warp 10 nodes gave us, and what is relayed. */
static bool is_wanted(const struct kafka_forwarder *forwarder, struct datalog_origin origin)
{
    const struct kafka_options *options = &forwarder->link.options;
    if (replicate_origin_is_derived(origin)) {
        return false; /* of a link with a filter */
    }
    if (uuid_equal(origin.node, forwarder->self) || was_taken_here(forwarder, origin)) {
        return true;
    }
    for (size_t i = 0; i < options->relayed_count; i++) {
        if (uuid_equal(options->relayed[i], origin.node)) {
            return true;
        }
    }
    return false;
}

static int produce(struct kafka_forwarder *forwarder, const struct kafka_part *part,
                   uint64_t position)
{
    struct kafka_link *link = &forwarder->link;
    for (;;) {
        rd_kafka_resp_err_t code =
            rd_kafka_producev(link->rk, RD_KAFKA_V_RKT(forwarder->topic),
                              RD_KAFKA_V_PARTITION((int32_t)part->partition),
                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                              RD_KAFKA_V_VALUE(forwarder->message.data, forwarder->message.bytes),
                              RD_KAFKA_V_KEY(part->text.data, part->text.bytes),
                              RD_KAFKA_V_OPAQUE((void *)(uintptr_t)position), RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            return 0;
        }
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            link->broken = code;
            return err_set(ERR_UNAVAILABLE, "%s", rd_kafka_err2str(code));
        }
        rd_kafka_poll(link->rk, FULL_MS);
        if (atomic_load(&link->stopping) || link->broken != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return err_set(ERR_UNAVAILABLE, "the producer's queue is full");
        }
    }
}

static int put_part(struct kafka_forwarder *forwarder, const struct datalog_record *record,
                    uint16_t index)
{
    const struct kafka_part *part = &forwarder->split.parts.items[index];
    struct kafka_piece piece = {
        .place = {record->origin, record->origin_position, record->time},
        .partitions = forwarder->partitions,
        .part = index,
        .parts = (uint16_t)forwarder->split.parts.count,
        .part_bytes = (uint32_t)part->bytes.bytes,
    };
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < part->bytes.bytes; at += forwarder->piece_bytes) {
        piece.offset = (uint32_t)at;
        piece.bytes = span_first(span_from(part->bytes, at), forwarder->piece_bytes);
        buf_clear(&forwarder->message);
        kafka_piece_write(&forwarder->message, &piece);
        forwarder->sent.items[forwarder->sent.count - 1].pieces++;
        rc = produce(forwarder, part, record->position);
    }
    return rc;
}

/* A record whose series have no name is damaged here: in the end nothing goes in its place. */
static int divide(struct kafka_forwarder *forwarder, const struct datalog_record *record)
{
    struct kafka_link *link = &forwarder->link;
    struct series_catalogue *catalogue = storage_catalogue(link->options.storage);
    struct replicate_record out = {
        .log_position = record->position,
        .head = {{record->origin, record->origin_position, record->time},
                 record->origin_position - 1},
        .type = record->type,
        .well = record->well,
        .payload = record->payload,
    };
    struct buf nothing = {0};
    int rc;
    unsigned tries = 0;
    while ((rc = kafka_split(&forwarder->split, record, catalogue, forwarder->partitions)) < 0 &&
           link_poison_is(rc) && tries++ < LINK_POISON_TRIES) {
        kafka_link_fault(link, KAFKA_FAULT_POISON, "%s", err_text());
        rc = link_poison_note(link->options.poison, &out, SPAN_NONE, link->options.name, rc);
        if (rc == LINK_POISON_ASIDE) {
            struct replicate_record empty = link_poison_placeholder(&out, &nothing);
            struct datalog_record placeholder = *record;
            placeholder.type = empty.type;
            placeholder.well = empty.well;
            placeholder.payload = empty.payload;
            rc = kafka_split(&forwarder->split, &placeholder, catalogue, forwarder->partitions);
            break;
        }
    }
    buf_deinit(&nothing);
    return rc;
}

static int put_record(struct kafka_forwarder *forwarder, const struct datalog_record *record)
{
    int rc = divide(forwarder, record);
    if (rc < 0) {
        return rc;
    }
    struct sent sent = {record->position, record->payload.bytes + DATALOG_HEADER_BYTES, 0};
    vec_push(&forwarder->sent, sent);
    forwarder->window += sent.bytes;
    for (size_t i = 0; rc == 0 && i < forwarder->split.parts.count; i++) {
        rc = put_part(forwarder, record, (uint16_t)i);
    }
    return rc;
}

static int send_some(struct kafka_forwarder *forwarder)
{
    int rc = 0;
    uint64_t looked_at = 0;
    forwarder->caught_up = false;
    while (rc == 0 && forwarder->window < KAFKA_WINDOW_BYTES && looked_at < KAFKA_WINDOW_BYTES) {
        struct datalog_record record;
        rc = datalog_read(forwarder->reader, &record);
        if (rc == DATALOG_END) {
            forwarder->caught_up = true;
            return 0;
        }
        if (rc == ERR_CORRUPT || rc == DATALOG_TRIMMED) {
            kafka_link_fault(&forwarder->link, KAFKA_FAULT_MISSING, "the log has a gap: %s",
                             rc < 0 ? err_text() : "it was trimmed");
            rc = 0; /* readers see it by the positions */
            continue;
        }
        looked_at += rc == 0 ? record.payload.bytes + DATALOG_HEADER_BYTES : 0;
        if (rc == 0 && is_wanted(forwarder, record.origin)) {
            rc = put_record(forwarder, &record);
        }
    }
    return rc;
}

/* ---- the life of a producer ---- */

/* What the log has no more is missing in the topic for good. */
static int open_reader(struct kafka_forwarder *forwarder)
{
    struct datalog_cursor_stats stats = datalog_cursor_stats(forwarder->cursor);
    uint64_t position = stats.next;
    int rc = 0;
    if (stats.detached) {
        position = datalog_first(forwarder->log);
        kafka_link_fault(&forwarder->link, KAFKA_FAULT_MISSING,
                         "records %" PRIu64 " to %" PRIu64
                         " of the log were trimmed before they were written",
                         stats.next, position - 1);
        rc = datalog_cursor_attach(forwarder->cursor, position);
    }
    if (rc == DATALOG_TRIMMED) {
        return err_set(ERR_UNAVAILABLE, "the log was trimmed meanwhile");
    }
    return rc < 0 ? rc : datalog_reader_open(forwarder->log, position, &forwarder->reader);
}

static int open_producer(struct kafka_forwarder *forwarder)
{
    struct kafka_link *link = &forwarder->link;
    rd_kafka_conf_t *conf;
    int rc = kafka_link_conf(link, true, &conf);
    if (rc < 0) {
        return rc;
    }
    if (forwarder->piece_bytes < KAFKA_PIECE_BYTES_DEFAULT) {
        char bytes[24];
        char why[128];
        (void)snprintf(bytes, sizeof(bytes), "%zu", forwarder->piece_bytes + 1024);
        (void)rd_kafka_conf_set(conf, "batch.size", bytes, why, sizeof(why));
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rc = kafka_link_open(link, true, conf);
    rc = rc < 0 ? rc : kafka_link_partitions(link, &forwarder->partitions);
    if (rc < 0) {
        if (link->rk != NULL) {
            kafka_link_hear(link);
        }
        return rc;
    }
    forwarder->topic = rd_kafka_topic_new(link->rk, link->options.topic, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(link->rk);
    rd_kafka_queue_io_event_enable(queue, link->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    rd_kafka_queue_destroy(queue);
    kafka_link_state(link, KAFKA_CATCHING_UP);
    return open_reader(forwarder);
}

static void close_producer(struct kafka_forwarder *forwarder)
{
    struct kafka_link *link = &forwarder->link;
    datalog_reader_close(&forwarder->reader);
    forwarder->closing = true;
    if (forwarder->topic != NULL) {
        rd_kafka_topic_destroy(forwarder->topic);
        forwarder->topic = NULL;
    }
    if (link->rk != NULL) {
        (void)rd_kafka_purge(link->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        (void)rd_kafka_poll(link->rk, 0);
    }
    kafka_link_close(link);
    forwarder->closing = false;
    vec_clear(&forwarder->sent);
    forwarder->sent_at = 0;
    forwarder->window = 0;
}

/* Why the producer is to be made anew. */
static void note_broken(struct kafka_forwarder *forwarder)
{
    struct kafka_link *link = &forwarder->link;
    enum kafka_fault kind = kafka_fault_of(link->broken);
    char why[256];
    (void)snprintf(why, sizeof(why), "%s", rd_kafka_err2str(link->broken));
    if (link->broken == RD_KAFKA_RESP_ERR__FATAL) {
        (void)rd_kafka_fatal_error(link->rk, why, sizeof(why));
    }
    if (kind == KAFKA_FAULT_TOO_LARGE) {
        size_t pieces = forwarder->piece_bytes;
        forwarder->piece_bytes = MAX(pieces / 2, KAFKA_PIECE_BYTES_MIN);
        kafka_link_fault(link, kind, "messages of %zu bytes: %s", pieces, why);
    } else {
        kafka_link_fault(link, kind, "%s", why);
    }
}

static void wake(void *context)
{
    kafka_link_wake(context);
}

static int run_producer(struct kafka_forwarder *forwarder)
{
    struct kafka_link *link = &forwarder->link;
    int rc = open_producer(forwarder);
    if (rc == 0) {
        log_info("kafka-forwarder", "writes the datalog to a topic", "name", link->options.name,
                 "target", link->options.url, "partitions", LOG_INT(forwarder->partitions), "from",
                 LOG_INT(datalog_reader_position(forwarder->reader)), NULL);
        datalog_cursor_watch(forwarder->cursor, wake, link);
    }
    while (rc == 0 && !atomic_load(&link->stopping)) {
        rc = send_some(forwarder);
        (void)rd_kafka_poll(link->rk, 0);
        if (rc == 0 && link->broken != RD_KAFKA_RESP_ERR_NO_ERROR) {
            rc = err_set(ERR_UNAVAILABLE, "%s", rd_kafka_err2str(link->broken));
        }
        rc = rc < 0 ? rc : acknowledge(forwarder);
        if (rc < 0) {
            break;
        }
        kafka_link_ask(link);
        if (!kafka_link_is_connecting(link)) {
            kafka_link_state(link, forwarder->caught_up ? KAFKA_FOLLOWING : KAFKA_CATCHING_UP);
        }
        bool more = !forwarder->caught_up && forwarder->window < KAFKA_WINDOW_BYTES;
        kafka_link_wait(link, more ? 0 : IDLE_MS);
    }
    datalog_cursor_watch(forwarder->cursor, NULL, NULL);
    return rc;
}

static void *run(void *context)
{
    struct kafka_forwarder *forwarder = context;
    struct kafka_link *link = &forwarder->link;
    int pause_ms = KAFKA_PAUSE_MS_MIN;
    while (!atomic_load(&link->stopping)) {
        int64_t began_ms = kafka_link_now_ms(link);
        int rc = run_producer(forwarder);
        if (rc < 0 && link->rk != NULL && link->broken != RD_KAFKA_RESP_ERR_NO_ERROR) {
            note_broken(forwarder);
        } else if (rc < 0 && rc != ERR_UNAVAILABLE) {
            kafka_link_fault(link, KAFKA_FAULT_OTHER, "%s", err_text());
        }
        close_producer(forwarder);
        if (kafka_link_now_ms(link) - began_ms > 10000) {
            pause_ms = KAFKA_PAUSE_MS_MIN;
        }
        if (rc < 0) {
            kafka_link_state(link, KAFKA_CONNECTING);
            kafka_link_wait(link, pause_ms);
            pause_ms = MIN(pause_ms * 2, KAFKA_PAUSE_MS_MAX);
        }
    }
    return NULL;
}

/* ---- life ---- */

static void free_forwarder(struct kafka_forwarder *forwarder)
{
    kafka_link_deinit(&forwarder->link);
    if (forwarder->cursor != NULL) {
        datalog_cursor_close(&forwarder->cursor);
    }
    kafka_split_deinit(&forwarder->split);
    buf_deinit(&forwarder->message);
    vec_deinit(&forwarder->sent);
    mem_free(forwarder);
}

int kafka_forwarder_start(const struct kafka_options *options,
                          struct kafka_forwarder **ret_forwarder)
{
    struct kafka_forwarder *forwarder = MEM_NEW(struct kafka_forwarder);
    kafka_link_init(&forwarder->link, options);
    forwarder->log = storage_log(options->storage);
    forwarder->self = datalog_origin(forwarder->log).node;
    forwarder->piece_bytes = KAFKA_PIECE_BYTES_DEFAULT;
    char *name = mem_printf(KAFKA_CURSOR_PREFIX "%s", options->name);
    int rc = datalog_cursor_open(forwarder->log, name, &forwarder->cursor);
    mem_free(name);
    if (rc == 0) {
        int failed = pthread_create(&forwarder->thread, NULL, run, forwarder);
        rc = failed == 0 ? 0 : err_set_errno(failed, "thread of a forwarder");
    }
    if (rc < 0) {
        free_forwarder(forwarder);
        return err_wrap(rc, "forwarder %s", options->name);
    }
    *ret_forwarder = forwarder;
    return 0;
}

void kafka_forwarder_stop(struct kafka_forwarder **place)
{
    struct kafka_forwarder *forwarder = *place;
    *place = NULL;
    if (forwarder != NULL) {
        atomic_store(&forwarder->link.stopping, true);
        kafka_link_wake(&forwarder->link);
        pthread_join(forwarder->thread, NULL);
        free_forwarder(forwarder);
    }
}

struct kafka_link *kafka_forwarder_link(struct kafka_forwarder *forwarder)
{
    return &forwarder->link;
}

struct datalog_cursor_stats kafka_forwarder_lag(struct kafka_forwarder *forwarder)
{
    return datalog_cursor_stats(forwarder->cursor);
}
