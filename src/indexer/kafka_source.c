/* Tested by kafka_test.c. */
#include "indexer/kafka_source.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "datalog/parts.h"
#include "indexer/kafka_offsets.h"
#include "indexer/link_series.h"
#include "kafka/gather.h"
#include "kafka/split.h"
#include "service/log.h"
#include "warp10/refused.h"

#define POLL_MS 50
#define MESSAGES_AT_ONCE 1000
#define TIDY_EVERY_MS 1000
#define PARTITIONS_EVERY_MS 30000
#define DRAIN_MS 20
#define MOMENT_MS 2000
#define AHEAD_BYTES ((uint64_t)32 << 20) /* a partition that waits so much lets others catch up */

struct batch {
    struct kafka_source *source;
    struct datalog_origin origin;
    uint64_t position;
    uint64_t bytes;
};

struct done {
    struct datalog_origin origin;
    uint64_t position;
};

struct kafka_source {
    struct kafka_link link;
    struct datalog *log;
    pthread_t thread;
    struct link_heard heard;
    struct buf scratch[2], payload;

    /* of one consumer */
    struct kafka_gather *gather;
    uint32_t partitions;
    VEC(bool) ends;        /* partitions that are read to their end */
    VEC(int64_t) ended_ms; /* when they last were */
    VEC(bool) paused;
    struct kafka_offsets offsets; /* saved last */
    bool rewind;
    bool is_later; /* the message there is of a later version */
    int32_t later_partition;
    int64_t later_offset;
    int64_t tidied_ms, asked_ms;
    struct kafka_missing missing;
    int64_t missing_since_ms; /* 0: nothing is */
    uint64_t missing_said;    /* the first of those that were said to be missing */

    pthread_mutex_t lock; /* over what follows */
    VEC(struct done) done;
    uint64_t on_the_way, pending_bytes;
    int fault; /* of storage */
    char fault_text[ERR_TEXT_BYTES_MAX];
};

/* ---- to storage and back ---- */

/* On the log's writer thread. */
static void batch_done(void *context, int rc)
{
    struct batch *batch = context;
    struct kafka_source *source = batch->source;
    pthread_mutex_lock(&source->lock);
    if (rc == DATALOG_AHEAD) {
        rc = err_set(ERR_CONFLICT, "what comes before a record is missing here");
    }
    if (rc < 0 && source->fault == 0) {
        source->fault = rc;
        (void)snprintf(source->fault_text, sizeof(source->fault_text), "%s", err_text());
    }
    if (rc >= 0) {
        vec_push(&source->done, (struct done){batch->origin, batch->position});
    }
    source->pending_bytes -= batch->bytes;
    source->on_the_way--;
    pthread_mutex_lock(&source->link.lock);
    source->link.info.records += rc == 0;
    source->link.info.known += rc == DATALOG_KNOWN;
    pthread_mutex_unlock(&source->link.lock);
    kafka_link_wake(&source->link);
    mem_free(batch);
    pthread_mutex_unlock(&source->lock); /* it may be freed from here on */
}

/* What storage has done since. A fault of it is noted, and everything begins anew. */
static uint64_t take_done(struct kafka_source *source)
{
    pthread_mutex_lock(&source->lock);
    for (size_t i = 0; i < source->done.count; i++) {
        kafka_gather_durable(source->gather, source->done.items[i].origin,
                             source->done.items[i].position);
    }
    vec_clear(&source->done);
    uint64_t on_the_way = source->on_the_way;
    int fault = source->fault;
    source->fault = 0;
    pthread_mutex_unlock(&source->lock);
    if (fault < 0) {
        kafka_link_fault(&source->link, KAFKA_FAULT_STORAGE, "%s", source->fault_text);
        source->rewind = true;
    }
    return on_the_way;
}

static int submit(struct kafka_source *source, const struct replicate_record *in)
{
    const struct replicate_place *place = &in->head.place;
    struct datalog_record record = {
        .position = in->log_position,
        .origin = place->origin,
        .origin_position = place->position,
        .time = place->time,
        .type = in->type,
        .well = in->well,
        .payload = in->payload,
    };
    struct batch *batch = MEM_NEW(struct batch);
    *batch = (struct batch){source, place->origin, place->position, in->payload.bytes};
    pthread_mutex_lock(&source->lock);
    source->on_the_way++;
    source->pending_bytes += batch->bytes;
    pthread_mutex_unlock(&source->lock);
    int rc = link_submit(&source->heard, source->link.options.storage, &record, place->position - 1,
                         batch_done, batch);
    if (rc < 0) {
        pthread_mutex_lock(&source->lock);
        source->on_the_way--;
        source->pending_bytes -= batch->bytes;
        pthread_mutex_unlock(&source->lock);
        mem_free(batch);
    }
    return rc;
}

/* ---- whole records ---- */

static int put_together(struct kafka_source *source, const struct kafka_whole *whole,
                        struct replicate_record *ret_record)
{
    struct storage *storage = source->link.options.storage;
    struct kafka_part_body body = {0};
    buf_clear(&source->payload);
    vec_clear(&source->heard.numbers); /* they count from 1 in each record */
    for (uint16_t i = 0; i < whole->parts; i++) {
        enum datalog_type type = body.record.type;
        int rc = kafka_part_read(buf_span(&whole->part[i]), source->scratch, &body);
        if (rc == 0 && body.definitions.bytes > 0) {
            rc = link_hear_series(&source->heard, storage, body.definitions);
        }
        if (rc < 0) {
            return rc;
        }
        const struct replicate_place *place = &body.record.head.place;
        if (replicate_origin_compare(place->origin, whole->place.origin) != 0 ||
            place->position != whole->place.position || (i > 0 && body.record.type != type)) {
            return err_set(ERR_PROTOCOL, "a part of another record");
        }
        buf_append(&source->payload, body.record.payload);
    }
    body.record.head.place = whole->place;
    body.record.well = SPAN_NONE;
    body.record.payload = buf_span(&source->payload);
    *ret_record = body.record;
    return 0;
}

static int try_once(struct kafka_source *source, const struct kafka_whole *whole,
                    struct replicate_record *record)
{
    *record = (struct replicate_record){.head = {.place = whole->place}, .type = DATALOG_SERIES};
    int rc = put_together(source, whole, record);
    if (rc < 0 && whole->parts > 0) {
        record->payload = buf_span(&whole->part[0]); /* for the quarantine */
    }
    return rc < 0 ? rc : submit(source, record);
}

static int set_aside(struct kafka_source *source, const struct replicate_record *record, int rc)
{
    struct kafka_link *link = &source->link;
    struct buf definitions = {0};
    struct datalog_record known = {.type = record->type, .payload = record->payload};
    char text[ERR_TEXT_BYTES_MAX];
    (void)snprintf(text, sizeof(text), "%s", err_text());
    link_heard_define(&source->heard, link->options.storage, &known, &definitions);
    (void)err_set((enum err)rc, "%s", text);
    rc = link_poison_note(link->options.poison, record, buf_span(&definitions), link->options.name,
                          rc);
    buf_deinit(&definitions);
    if (rc == LINK_POISON_ASIDE) {
        struct buf nothing = {0};
        struct replicate_record empty = link_poison_instead(link->options.poison, record, &nothing);
        kafka_link_fault(link, KAFKA_FAULT_POISON, "%s", text);
        pthread_mutex_lock(&link->lock);
        link->info.aside++;
        pthread_mutex_unlock(&link->lock);
        rc = submit(source, &empty);
        buf_deinit(&nothing);
    }
    return rc;
}

static void hand_over(struct kafka_source *source)
{
    struct kafka_whole whole;
    struct replicate_record record;
    while (!source->rewind && kafka_gather_next(source->gather, &whole)) {
        int rc = -1;
        for (unsigned i = 0; rc < 0 && i < LINK_POISON_TRIES; i++) {
            rc = try_once(source, &whole, &record);
            if (rc < 0 && !link_poison_is(rc)) {
                break;
            }
            rc = rc < 0 ? set_aside(source, &record, rc) : rc;
        }
        if (rc < 0) { /* the disk is full, say, or the quarantine */
            kafka_link_fault(&source->link, KAFKA_FAULT_STORAGE, "%s", err_text());
            source->rewind = true;
            return;
        }
        kafka_gather_handed(source->gather);
    }
}

/* ---- messages ---- */

/* What is no record of ours. It is in the topic, too, but nobody looks there. */
static int quarantine(struct kafka_source *source, const rd_kafka_message_t *message)
{
    const struct kafka_options *options = &source->link.options;
    struct buf request = {0};
    char reason[ERR_TEXT_BYTES_MAX];
    (void)snprintf(reason, sizeof(reason), "%s", err_text());
    buf_printf(&request, "message of partition %" PRId32 ", offset %" PRId64 ", %zu bytes\n",
               message->partition, message->offset, message->len);
    buf_append(&request, span_of(message->payload, message->len));
    struct refused_item item = {
        .time_ns = io_now_ns(options->io),
        .link = span_of_str(options->name),
        .target = span_of_str(options->url),
        .reason = span_of_str(reason),
        .tries = 1,
        .request = buf_span(&request),
    };
    int rc = refused_put(options->io, options->quarantine_dir, &item);
    buf_deinit(&request);
    kafka_link_fault(&source->link, KAFKA_FAULT_POISON,
                     "partition %" PRId32 ", offset %" PRId64 ": %s", message->partition,
                     message->offset, rc < 0 ? err_text() : reason);
    pthread_mutex_lock(&source->link.lock);
    source->link.info.aside += rc == 0;
    pthread_mutex_unlock(&source->link.lock);
    return rc;
}

static int take_record(struct kafka_source *source, const rd_kafka_message_t *message)
{
    struct kafka_piece piece;
    uint32_t partition = (uint32_t)message->partition;
    int rc = kafka_piece_read(span_of(message->payload, message->len), &piece);
    if (rc == ERR_UNSUPPORTED) {
        kafka_link_fault(&source->link, KAFKA_FAULT_VERSION,
                         "partition %" PRId32 ", offset %" PRId64 ": %s", message->partition,
                         message->offset, err_text());
        kafka_link_state(&source->link, KAFKA_NEEDS_UPGRADE);
        source->is_later = true;
        source->later_partition = message->partition;
        source->later_offset = message->offset;
        return ERR_UNSUPPORTED;
    }
    if (source->later_partition == message->partition && source->later_offset <= message->offset) {
        source->is_later = false; /* it was trimmed */
    }
    if (rc == 0) {
        rc = kafka_gather_take(source->gather, &piece, partition, message->offset);
        source->rewind = source->rewind || rc == KAFKA_GATHER_REWIND;
        if (rc >= 0) {
            return 0;
        }
    }
    rc = quarantine(source, message);
    if (rc == 0) {
        kafka_gather_pass(source->gather, partition, message->offset);
    }
    return rc;
}

static int take_message(struct kafka_source *source, const rd_kafka_message_t *message)
{
    struct kafka_link *link = &source->link;
    bool known = message->partition >= 0 && (size_t)message->partition < source->ends.count;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (known) {
            source->ends.items[message->partition] = true;
            source->ended_ms.items[message->partition] = kafka_link_now_ms(link);
        }
    } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        enum kafka_fault kind = kafka_fault_of(message->err);
        kafka_link_fault(link, kind, "%s", rd_kafka_message_errstr(message));
        return kind == KAFKA_FAULT_TOPIC ? ERR_UNAVAILABLE : 0;
    } else if (!known) {
        return 0;
    }
    if (kafka_link_is_connecting(link)) {
        kafka_link_state(link, KAFKA_CATCHING_UP);
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return 0;
    }
    source->ends.items[message->partition] = false;
    pthread_mutex_lock(&link->lock);
    link->info.bytes += message->len;
    pthread_mutex_unlock(&link->lock);
    return take_record(source, message);
}

static int take_messages(struct kafka_source *source)
{
    int rc = 0;
    int wait_ms = POLL_MS;
    for (unsigned i = 0; rc == 0 && !source->rewind && i < MESSAGES_AT_ONCE; i++) {
        pthread_mutex_lock(&source->lock);
        bool full = source->pending_bytes >= KAFKA_PENDING_BYTES_MAX;
        pthread_mutex_unlock(&source->lock);
        if (full) {
            kafka_link_wait(&source->link, POLL_MS);
            return 0;
        }
        rd_kafka_message_t *message = rd_kafka_consumer_poll(source->link.rk, wait_ms);
        if (message == NULL) {
            return 0;
        }
        wait_ms = 0;
        rc = take_message(source, message);
        rd_kafka_message_destroy(message);
        if (rc == 0) {
            hand_over(source);
        }
    }
    return rc;
}

/* ---- offsets ---- */

static rd_kafka_topic_partition_list_t *list_of(struct kafka_source *source)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)source->partitions);
    for (uint32_t i = 0; i < source->partitions; i++) {
        rd_kafka_topic_partition_list_add(list, source->link.options.topic, (int32_t)i)->offset =
            kafka_gather_offset(source->gather, i);
    }
    return list;
}

static int assign(struct kafka_source *source)
{
    rd_kafka_topic_partition_list_t *list = list_of(source);
    vec_clear(&source->ends);
    vec_clear(&source->ended_ms);
    vec_clear(&source->paused);
    for (uint32_t i = 0; i < source->partitions; i++) {
        vec_push(&source->ends, false);
        vec_push(&source->ended_ms, 0);
        vec_push(&source->paused, false);
    }
    rd_kafka_resp_err_t code = rd_kafka_assign(source->link.rk, list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        (void)rd_kafka_resume_partitions(source->link.rk, list);
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka_link_fault(&source->link, kafka_fault_of(code), "%s", rd_kafka_err2str(code));
        return err_set(ERR_UNAVAILABLE, "%s", rd_kafka_err2str(code));
    }
    return 0;
}

/* Everything handed over is in storage, or was refused. */
static void drain(struct kafka_source *source)
{
    while (take_done(source) > 0) {
        kafka_link_wait(&source->link, DRAIN_MS);
    }
}

/* For Kafka's own tools; nothing of ours depends on it. */
static void tell_group(struct kafka_source *source)
{
    rd_kafka_topic_partition_list_t *list = list_of(source);
    for (int i = list->cnt - 1; i >= 0; i--) {
        if (list->elems[i].offset < 0) {
            rd_kafka_topic_partition_list_del_by_idx(list, i);
        }
    }
    if (list->cnt > 0) {
        (void)rd_kafka_commit(source->link.rk, list, 1);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

/* True: they have changed, and are written. */
static bool save_offsets(struct kafka_source *source)
{
    const struct kafka_options *options = &source->link.options;
    bool same = source->offsets.all.count == source->partitions;
    for (uint32_t i = 0; i < source->partitions; i++) {
        int64_t offset = kafka_gather_offset(source->gather, i);
        if (source->offsets.all.count <= i) {
            vec_push(&source->offsets.all, KAFKA_OFFSET_BEGINNING);
        }
        same = same && source->offsets.all.items[i] == offset;
        source->offsets.all.items[i] = offset;
    }
    if (same) {
        return false;
    }
    int rc = kafka_offsets_write(options->io, options->offsets_path, options->url, source->log,
                                 &source->offsets);
    if (rc < 0) {
        vec_clear(&source->offsets.all); /* once more */
        kafka_link_fault(&source->link, KAFKA_FAULT_STORAGE, "%s", err_text());
    }
    return rc == 0;
}

/* ---- once a second ---- */

static void pause_partition(struct kafka_source *source, uint32_t partition, bool paused)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, source->link.options.topic, (int32_t)partition);
    if (paused) {
        (void)rd_kafka_pause_partitions(source->link.rk, list);
    } else {
        (void)rd_kafka_resume_partitions(source->link.rk, list);
    }
    rd_kafka_topic_partition_list_destroy(list);
    source->paused.items[partition] = paused;
}

/* Partitions that are far ahead wait for those that are behind. */
static void keep_together(struct kafka_source *source)
{
    bool behind = false;
    for (uint32_t i = 0; i < source->partitions; i++) {
        behind = behind || (!source->ends.items[i] &&
                            kafka_gather_waiting_bytes_of(source->gather, i) < AHEAD_BYTES / 2);
    }
    for (uint32_t i = 0; i < source->partitions; i++) {
        uint64_t bytes = kafka_gather_waiting_bytes_of(source->gather, i);
        bool paused = behind && bytes >= (source->paused.items[i] ? AHEAD_BYTES / 2 : AHEAD_BYTES);
        if (paused != source->paused.items[i]) {
            pause_partition(source, i, paused);
        }
    }
}

/* Whether every partition was read to its end since something is missing. */
static bool has_ended_since(const struct kafka_source *source, int64_t since_ms)
{
    for (size_t i = 0; i < source->ends.count; i++) {
        if (!source->ends.items[i] && source->ended_ms.items[i] <= since_ms) {
            return false;
        }
    }
    return true;
}

/* True while something is missing for so long that it will not just come. */
static bool look_for_missing(struct kafka_source *source, int64_t now_ms)
{
    struct kafka_missing missing;
    char node[UUID_TEXT_BYTES];
    if (!kafka_gather_missing(source->gather, &missing)) {
        source->missing_since_ms = 0;
        source->missing_said = 0;
        return false;
    }
    if (source->missing_since_ms == 0 || missing.first != source->missing.first ||
        replicate_origin_compare(missing.origin, source->missing.origin) != 0) {
        source->missing_since_ms = now_ms;
    }
    source->missing = missing;
    int after_ms = source->link.options.missing_ms;
    after_ms = after_ms > 0 ? after_ms : KAFKA_MISSING_MS;
    if (now_ms - source->missing_since_ms < after_ms ||
        !(missing.aside || has_ended_since(source, source->missing_since_ms))) {
        return false;
    }
    kafka_gather_set_aside(source->gather, missing.origin);
    if (source->missing_said == missing.first) {
        return true;
    }
    source->missing_said = missing.first;
    kafka_link_fault(&source->link, KAFKA_FAULT_MISSING,
                     "records %" PRIu64 " to %" PRIu64 " of %s/%016" PRIx64
                     " are not in the topic: a snapshot or another link must bring them",
                     missing.first, missing.last, uuid_text(missing.origin.node, node),
                     missing.origin.incarnation);
    return true;
}

static uint64_t lag_of(struct kafka_source *source)
{
    uint64_t lag = 0;
    for (uint32_t i = 0; i < source->partitions; i++) {
        int64_t low;
        int64_t high;
        int64_t offset = kafka_gather_offset(source->gather, i);
        if (rd_kafka_get_watermark_offsets(source->link.rk, source->link.options.topic, (int32_t)i,
                                           &low, &high) == RD_KAFKA_RESP_ERR_NO_ERROR &&
            high > MAX(offset, low)) {
            lag += (uint64_t)(high - MAX(offset, low));
        }
    }
    return lag;
}

/* Now, or a moment ago: a busy topic is never at its end everywhere. */
static bool is_at_end(const struct kafka_source *source, int64_t now_ms)
{
    for (size_t i = 0; i < source->ends.count; i++) {
        if (!source->ends.items[i] && now_ms - source->ended_ms.items[i] > MOMENT_MS) {
            return false;
        }
    }
    return source->ends.count > 0;
}

static int tidy(struct kafka_source *source)
{
    struct kafka_link *link = &source->link;
    int64_t now_ms = kafka_link_now_ms(link);
    bool whole = source->missing_since_ms == 0 ||
                 (source->missing_said == 0 && now_ms - source->missing_since_ms < MOMENT_MS);
    bool follows = whole && is_at_end(source, now_ms);
    if (!kafka_link_is_connecting(link) && !source->is_later && follows) {
        kafka_link_state(link, KAFKA_FOLLOWING);
    }
    if (now_ms - source->tidied_ms < TIDY_EVERY_MS) {
        return 0;
    }
    source->tidied_ms = now_ms;
    source->rewind = kafka_gather_look(source->gather) == KAFKA_GATHER_REWIND || source->rewind;
    if (save_offsets(source)) {
        tell_group(source);
    }
    keep_together(source);
    kafka_link_ask(link);
    uint64_t lag = lag_of(source);
    pthread_mutex_lock(&link->lock);
    link->info.lag_messages = lag;
    link->info.waiting_bytes = kafka_gather_waiting_bytes(source->gather);
    pthread_mutex_unlock(&link->lock);
    if (kafka_link_is_connecting(link) || source->is_later) {
        return 0;
    }
    if (look_for_missing(source, now_ms)) {
        kafka_link_state(link, KAFKA_NEEDS_SNAPSHOT);
    } else if (!follows) {
        kafka_link_state(link, KAFKA_CATCHING_UP);
    }
    if (now_ms - source->asked_ms >= PARTITIONS_EVERY_MS) {
        uint32_t partitions;
        source->asked_ms = now_ms;
        if (kafka_link_partitions(link, &partitions) == 0 && partitions > source->partitions) {
            return err_set(ERR_UNAVAILABLE, "there are more partitions");
        }
    }
    return 0;
}

/* ---- the life of a consumer ---- */

static uint64_t position_of(void *context, struct datalog_origin origin)
{
    return datalog_origin_position(context, origin);
}

static int open_consumer(struct kafka_source *source)
{
    struct kafka_link *link = &source->link;
    const struct kafka_options *options = &link->options;
    struct kafka_gather_options gather = {.position_of = position_of, .context = source->log};
    const char *why;
    rd_kafka_conf_t *conf;
    int rc = kafka_link_conf(link, false, &conf);
    rc = rc < 0 ? rc : kafka_link_open(link, false, conf);
    if (rc == 0) {
        (void)rd_kafka_poll_set_consumer(link->rk);
        rc = kafka_link_partitions(link, &source->partitions);
    }
    if (rc < 0) {
        if (link->rk != NULL) {
            kafka_link_hear(link);
        }
        return rc;
    }
    kafka_offsets_read(options->io, options->offsets_path, options->url, source->log,
                       &source->offsets, &why);
    if (why != NULL) {
        log_warn("kafka-offsets", "the file of offsets does not count; the topic is read anew",
                 "name", options->name, "file", options->offsets_path, "reason", why, NULL);
    }
    source->gather = kafka_gather_new(&gather);
    for (uint32_t i = 0; i < source->partitions; i++) {
        kafka_gather_begin(source->gather, i,
                           i < source->offsets.all.count ? source->offsets.all.items[i]
                                                         : KAFKA_OFFSET_BEGINNING);
    }
    source->asked_ms = kafka_link_now_ms(link);
    source->rewind = false;
    return assign(source);
}

static void close_consumer(struct kafka_source *source)
{
    if (source->gather != NULL) {
        drain(source);
        (void)save_offsets(source); /* the group is not told: closing would wait for its brokers */
        kafka_gather_free(&source->gather);
    }
    kafka_link_close(&source->link);
}

static int rewind_consumer(struct kafka_source *source)
{
    drain(source);
    kafka_gather_clear(source->gather);
    source->rewind = false;
    return assign(source);
}

static int run_consumer(struct kafka_source *source)
{
    struct kafka_link *link = &source->link;
    int pause_ms = KAFKA_PAUSE_MS_MIN;
    int rc = open_consumer(source);
    if (rc == 0 && !source->is_later) {
        kafka_link_state(link, KAFKA_CATCHING_UP);
        log_info("kafka-source", "takes records from a topic", "name", link->options.name, "source",
                 link->options.url, "partitions", LOG_INT(source->partitions), NULL);
    }
    while (rc == 0 && !atomic_load(&link->stopping)) {
        rc = take_messages(source);
        (void)take_done(source);
        rc = rc < 0 ? rc : tidy(source);
        if (rc == 0) {
            hand_over(source);
        }
        if (rc == 0 && link->broken != RD_KAFKA_RESP_ERR_NO_ERROR) {
            rc = err_set(ERR_UNAVAILABLE, "%s", rd_kafka_err2str(link->broken));
        }
        if (rc == 0 && source->rewind) {
            kafka_link_wait(link, pause_ms);
            pause_ms = MIN(pause_ms * 2, KAFKA_PAUSE_MS_MAX);
            rc = rewind_consumer(source);
        } else {
            pause_ms = KAFKA_PAUSE_MS_MIN;
        }
    }
    return rc;
}

static void *run(void *context)
{
    struct kafka_source *source = context;
    struct kafka_link *link = &source->link;
    int pause_ms = KAFKA_PAUSE_MS_MIN;
    while (!atomic_load(&link->stopping)) {
        int64_t began_ms = kafka_link_now_ms(link);
        int rc = run_consumer(source);
        if (rc < 0 && rc != ERR_UNAVAILABLE && rc != ERR_UNSUPPORTED) {
            kafka_link_fault(link, KAFKA_FAULT_OTHER, "%s", err_text());
        }
        close_consumer(source);
        if (kafka_link_now_ms(link) - began_ms > 10000) {
            pause_ms = KAFKA_PAUSE_MS_MIN;
        }
        if (rc < 0) {
            if (rc != ERR_UNSUPPORTED) {
                kafka_link_state(link, KAFKA_CONNECTING);
            }
            kafka_link_wait(link, pause_ms);
            pause_ms = MIN(pause_ms * 2, KAFKA_PAUSE_MS_MAX);
        }
    }
    return NULL;
}

/* ---- life ---- */

static void free_source(struct kafka_source *source)
{
    kafka_link_deinit(&source->link);
    link_heard_deinit(&source->heard);
    kafka_offsets_deinit(&source->offsets);
    buf_deinit(&source->scratch[0]);
    buf_deinit(&source->scratch[1]);
    buf_deinit(&source->payload);
    vec_deinit(&source->ends);
    vec_deinit(&source->ended_ms);
    vec_deinit(&source->paused);
    vec_deinit(&source->done);
    pthread_mutex_destroy(&source->lock);
    mem_free(source);
}

int kafka_source_start(const struct kafka_options *options, struct kafka_source **ret_source)
{
    struct kafka_source *source = MEM_NEW(struct kafka_source);
    kafka_link_init(&source->link, options);
    source->log = storage_log(options->storage);
    pthread_mutex_init(&source->lock, NULL);
    int failed = pthread_create(&source->thread, NULL, run, source);
    if (failed != 0) {
        free_source(source);
        return err_set_errno(failed, "thread of source %s", options->name);
    }
    *ret_source = source;
    return 0;
}

void kafka_source_stop(struct kafka_source **place)
{
    struct kafka_source *source = *place;
    *place = NULL;
    if (source != NULL) {
        atomic_store(&source->link.stopping, true);
        kafka_link_wake(&source->link);
        pthread_join(source->thread, NULL);
        free_source(source);
    }
}

struct kafka_link *kafka_source_link(struct kafka_source *source)
{
    return &source->link;
}
