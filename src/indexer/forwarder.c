/* Tested by replication_test.c. */
#include "indexer/forwarder.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "datalog/cursor.h"
#include "indexer/link_record.h"
#include "indexer/link_start.h"
#include "indexer/snapshot_give.h"
#include "service/log.h"

#define CONNECT_MS 5000
#define SNAPSHOT_PAUSE_MS 5000 /* a neighbour may bring what is missing meanwhile */

/* A record on its way. */
struct sent {
    uint64_t position;
    uint64_t bytes;
};

struct forwarder {
    struct forwarder_options options;
    struct span secret;
    struct datalog *log;
    struct datalog_cursor *cursor;
    struct link_maker maker;
    pthread_t thread;
    int stop_fd; /* readable: stop */
    int wake_fd; /* new records, or stop */
    atomic_bool stopping;

    /* of one link */
    struct link link;
    struct replicate_sender sender;
    struct datalog_reader *reader;
    VEC(struct sent) sent; /* from sent_at on: not acknowledged */
    size_t sent_at;
    uint64_t window; /* bytes of those */
    struct buf records, definitions;
    bool caught_up;
    uint64_t file; /* of the log: the one that was read in last */
    int64_t looked_ms;
    struct replicate_needs needs; /* of the target */
    struct snapshot_give *give;   /* NULL: the log is sent */
    bool owes_snapshot;
    int64_t rate_from_ms;
    uint64_t rate_bytes; /* sent since then */

    char told_fault[ERR_TEXT_BYTES_MAX]; /* logged last */
    pthread_mutex_t lock;                /* over info */
    struct forwarder_info info;
    bool linked;        /* welcomed */
    int64_t reached_ms; /* else: when that ended, or it was started */
};

static const char *const state_names[] = {
    [FORWARDER_CONNECTING] = "connecting",     [FORWARDER_CATCHING_UP] = "catching up",
    [FORWARDER_FOLLOWING] = "following",       [FORWARDER_NEEDS_SNAPSHOT] = "needs a snapshot",
    [FORWARDER_SNAPSHOT] = "sends a snapshot",
};

const char *forwarder_state_name(enum forwarder_state state)
{
    return state_names[state];
}

static void set_state(struct forwarder *forwarder, enum forwarder_state state)
{
    pthread_mutex_lock(&forwarder->lock);
    enum forwarder_state before = forwarder->info.state;
    forwarder->info.state = state;
    if (state == FORWARDER_FOLLOWING) {
        forwarder->info.fault[0] = '\0';
    }
    pthread_mutex_unlock(&forwarder->lock);
    if (before != state) {
        log_trace("forwarder-state", state_names[state], "name", forwarder->options.name, "from",
                  state_names[before], NULL);
    }
}

static void wake(void *context)
{
    const struct forwarder *forwarder = context;
    uint64_t one = 1;
    (void)!write(forwarder->wake_fd, &one, sizeof(one));
}

/* ---- the beginning of a link ---- */

static bool is_ignored(const struct forwarder *forwarder, struct uuid node)
{
    for (size_t i = 0; i < forwarder->options.ignored_count; i++) {
        if (uuid_equal(forwarder->options.ignored[i], node)) {
            return true;
        }
    }
    return false;
}

static struct link_ignored ignored_of(const struct forwarder *forwarder)
{
    return (struct link_ignored){forwarder->options.ignored, forwarder->options.ignored_count};
}

/* The log is held from here on, and read when the snapshot is there. */
static int begin_snapshot(struct forwarder *forwarder)
{
    if (forwarder->maker.filter != NULL) {
        set_state(forwarder, FORWARDER_NEEDS_SNAPSHOT);
        return err_set(ERR_NOT_FOUND, "the target lacks what the log does not have any more, and a "
                                      "link with a filter sends no snapshots");
    }
    uint64_t position = datalog_end(forwarder->log);
    struct snapshot_give_options options = {
        .storage = forwarder->options.storage,
        .theirs = &forwarder->sender.theirs,
        .needs = forwarder->needs,
        .ignored = forwarder->options.ignored,
        .ignored_count = forwarder->options.ignored_count,
    };
    datalog_reader_close(&forwarder->reader);
    int rc = datalog_cursor_attach(forwarder->cursor, position);
    rc = rc == DATALOG_TRIMMED ? err_set(ERR_UNAVAILABLE, "the log was trimmed meanwhile") : rc;
    rc = rc < 0 ? rc : datalog_reader_open(forwarder->log, position, &forwarder->reader);
    if (rc < 0) {
        return rc;
    }
    struct replicate_message message = {0};
    forwarder->owes_snapshot = false;
    forwarder->caught_up = false;
    forwarder->give = snapshot_give_new(&options);
    snapshot_give_begin(forwarder->give, &message);
    link_say(&forwarder->link, &message, 1);
    forwarder->link.silence_ms = LINK_SNAPSHOT_SILENCE_MS;
    set_state(forwarder, FORWARDER_SNAPSHOT);
    log_info("snapshot-begun", "the target lacks what the log does not have any more", "name",
             forwarder->options.name, "target", forwarder->options.target, NULL);
    pthread_mutex_lock(&forwarder->lock);
    forwarder->info.snapshots++;
    pthread_mutex_unlock(&forwarder->lock);
    return 0;
}

/* Whether a snapshot can give the target what it needs besides. */
static bool helps(const struct forwarder *forwarder)
{
    return forwarder->maker.filter == NULL &&
           snapshot_give_helps(forwarder->options.storage, &forwarder->needs);
}

static int begin_reading(struct forwarder *forwarder, const struct replicate_message *welcome)
{
    uint64_t position = 0;
    forwarder->needs = welcome->needs;
    int rc = link_find_start(forwarder->log, welcome, ignored_of(forwarder), &forwarder->sender,
                             &position);
    if (rc == DATALOG_TRIMMED || (rc == 0 && helps(forwarder))) {
        return begin_snapshot(forwarder);
    }
    struct datalog_cursor_stats stats = datalog_cursor_stats(forwarder->cursor);
    if (rc == 0 && (stats.detached || stats.next > position)) {
        rc = datalog_cursor_attach(forwarder->cursor, position);
        if (rc == DATALOG_TRIMMED) {
            return begin_snapshot(forwarder);
        }
    }
    return rc < 0 ? rc : datalog_reader_open(forwarder->log, position, &forwarder->reader);
}

static int meet(struct forwarder *forwarder, struct uuid node)
{
    const struct forwarder_options *options = &forwarder->options;
    if (options->target_index != FORWARDER_ROUND) {
        link_members_met(options->members, options->target_index, node);
    } else if (!uuid_equal(node, options->node)) {
        char there[UUID_TEXT_BYTES];
        return err_set(ERR_CONFLICT, "node %s is there, not the one that was to be",
                       uuid_text(node, there));
    }
    pthread_mutex_lock(&forwarder->lock);
    forwarder->info.peer = node;
    forwarder->info.connections++;
    forwarder->linked = true;
    pthread_mutex_unlock(&forwarder->lock);
    return 0;
}

static int greet(struct forwarder *forwarder)
{
    const struct forwarder_options *options = &forwarder->options;
    struct replicate_greeting greeting;
    struct replicate_places places = {0};
    struct replicate_members members;
    struct replicate_self self = {
        .secret = forwarder->secret,
        .origin = datalog_origin(forwarder->log),
        .members = &members,
        .places = &places,
    };
    uint8_t random[REPLICATE_NONCE_BYTES];
    io_random(options->io, random, sizeof(random));
    storage_places(options->storage, &places);
    struct link *link = &forwarder->link;
    link->members_told = link_members_edition(options->members);
    link_members_copy(options->members, &members);
    int rc = link_expect(link, forwarder->stop_fd);
    if (rc == 0) {
        rc = replicate_hello(&greeting, &link->message, &self, span_of_str(options->name), random,
                             &link->out);
    }
    if (rc == 0) {
        rc = link_expect(link, forwarder->stop_fd);
    }
    if (rc == 0) {
        rc = replicate_check_welcome(&greeting, &link->message, &self);
    }
    replicate_places_deinit(&places);
    replicate_members_deinit(&members);
    rc = rc < 0 ? rc : meet(forwarder, link->message.node);
    if (rc == 0) {
        link_members_learn(options->members, &link->message.members);
        rc = begin_reading(forwarder, &link->message);
        link->body_bytes_max = REPLICATE_BODY_BYTES_MAX;
    }
    return rc;
}

static int open_link(struct forwarder *forwarder)
{
    struct ingest_stream_options options = {
        .tls_insecure = forwarder->options.tls_insecure,
        .connect_timeout_ms = CONNECT_MS,
        .wake_fd = forwarder->stop_fd,
    };
    struct ingest_stream *stream;
    int rc = ingest_stream_connect(&forwarder->options.address, &options, &stream);
    if (rc == 0) {
        link_init(&forwarder->link, forwarder->options.io, stream);
        rc = greet(forwarder);
    }
    return rc;
}

static void close_link(struct forwarder *forwarder)
{
    pthread_mutex_lock(&forwarder->lock);
    forwarder->info.bytes += forwarder->link.bytes_out;
    if (forwarder->linked) {
        forwarder->linked = false;
        forwarder->reached_ms = io_monotonic_ns(forwarder->options.io) / 1000000;
    }
    pthread_mutex_unlock(&forwarder->lock);
    datalog_reader_close(&forwarder->reader);
    snapshot_give_free(&forwarder->give);
    forwarder->owes_snapshot = false;
    forwarder->file = 0;
    replicate_sender_deinit(&forwarder->sender);
    forwarder->sender =
        (struct replicate_sender){.filter = link_filter_id(forwarder->maker.filter)};
    link_told_deinit(&forwarder->maker.told);
    link_deinit(&forwarder->link);
    forwarder->link = (struct link){0};
    vec_clear(&forwarder->sent);
    forwarder->sent_at = 0;
    forwarder->window = 0;
    forwarder->caught_up = false;
}

/* ---- sending ---- */

/* Puts a record into the frame that is being made, and its series before it. */
static int put_record(struct forwarder *forwarder, const struct datalog_record *record,
                      struct replicate_head head)
{
    struct replicate_record out;
    int rc = link_make_record(&forwarder->maker, record, head, &forwarder->definitions, &out);
    if (rc < 0) {
        return rc;
    }
    replicate_record_put(&forwarder->records, &out);
    struct sent sent = {record->position, out.payload.bytes + DATALOG_HEADER_BYTES};
    vec_push(&forwarder->sent, sent);
    forwarder->window += sent.bytes;
    forwarder->rate_bytes += sent.bytes;
    pthread_mutex_lock(&forwarder->lock);
    forwarder->info.records++;
    forwarder->info.aside = forwarder->maker.aside;
    pthread_mutex_unlock(&forwarder->lock);
    return 0;
}

/* A log has the records of an origin without gaps; where there is one, something is missing here.
 */
static void note_gap(struct forwarder *forwarder, struct replicate_place place)
{
    struct replicate_place passed = replicate_places_of(&forwarder->sender.passed, place.origin);
    if (place.position > passed.position + 1) {
        passed.position = place.position - 1;
        passed.time = place.time - 1;
        replicate_places_raise(&forwarder->sender.passed, passed);
    }
}

static int offer(struct forwarder *forwarder, const struct datalog_record *record)
{
    struct replicate_place place = {record->origin, record->origin_position, record->time};
    struct replicate_head head;
    if (is_ignored(forwarder, record->origin.node)) {
        return 0;
    }
    note_gap(forwarder, place);
    switch (replicate_sender_offer(&forwarder->sender, place, &head)) {
    case REPLICATE_SEND:
        return put_record(forwarder, record, head);
    case REPLICATE_SKIP:
        return 0;
    case REPLICATE_SNAPSHOT:
        break;
    }
    forwarder->owes_snapshot = true;
    return 0;
}

/* A new file of the log says what a snapshot brought here, which is in no record. */
static int look_at_file(struct forwarder *forwarder, const struct datalog_record *record)
{
    if (datalog_reader_file(forwarder->reader) == forwarder->file) {
        return 0;
    }
    forwarder->file = datalog_reader_file(forwarder->reader);
    return link_look_at_file(forwarder->log, record->position, ignored_of(forwarder),
                             &forwarder->sender, &forwarder->owes_snapshot);
}

static void note_progress(struct forwarder *forwarder)
{
    struct snapshot_progress progress = snapshot_give_progress(forwarder->give);
    pthread_mutex_lock(&forwarder->lock);
    forwarder->info.looked_at = progress.looked_at;
    forwarder->info.look_at = MAX(progress.total, progress.looked_at);
    forwarder->info.given = progress.given;
    pthread_mutex_unlock(&forwarder->lock);
}

static void say_end_of_snapshot(struct forwarder *forwarder)
{
    struct replicate_message end = {.type = REPLICATE_SNAPSHOT_END};
    link_say(&forwarder->link, &end, 0);
    replicate_sender_sent_snapshot(&forwarder->sender, snapshot_give_places(forwarder->give));
    snapshot_give_free(&forwarder->give);
    forwarder->needs = (struct replicate_needs){.since_ns = forwarder->needs.since_ns};
    set_state(forwarder, FORWARDER_CATCHING_UP);
}

static bool may_send(struct forwarder *forwarder)
{
    if (forwarder->window >= FORWARDER_WINDOW_BYTES ||
        link_unsent(&forwarder->link) >= LINK_UNSENT_BYTES_MAX) {
        return false;
    }
    if (forwarder->options.rate_bytes == 0) {
        return true;
    }
    int64_t now = link_now_ms(&forwarder->link);
    uint64_t passed_ms = (uint64_t)MAX(now - forwarder->rate_from_ms, 1);
    if (passed_ms > 1000) {
        forwarder->rate_from_ms = now;
        forwarder->rate_bytes = 0;
        return true;
    }
    return forwarder->rate_bytes <= forwarder->options.rate_bytes * passed_ms / 1000;
}

/* What was put together: series, then records or a part of a snapshot. */
static void say_frame(struct forwarder *forwarder, enum replicate_message_type type)
{
    struct replicate_message message = {.type = REPLICATE_SERIES,
                                        .body = buf_span(&forwarder->definitions)};
    if (message.body.bytes > 0) {
        link_say(&forwarder->link, &message, forwarder->options.level);
    }
    message.type = type;
    message.body = buf_span(&forwarder->records);
    if (message.body.bytes > 0) {
        link_say(&forwarder->link, &message, forwarder->options.level);
    }
    buf_clear(&forwarder->definitions);
    buf_clear(&forwarder->records);
}

/* One part of the snapshot. */
static int send_part(struct forwarder *forwarder)
{
    forwarder->caught_up = false;
    if (!may_send(forwarder)) {
        return 0;
    }
    int rc = snapshot_give_next(forwarder->give, &forwarder->maker.told, &forwarder->definitions,
                                &forwarder->records);
    note_progress(forwarder);
    if (rc == SNAPSHOT_GIVE_END) {
        say_end_of_snapshot(forwarder);
        return 0;
    }
    forwarder->rate_bytes += forwarder->records.bytes;
    say_frame(forwarder, REPLICATE_SNAPSHOT_PART);
    return rc;
}

/* One frame of what the log has and the target lacks. */
static int send_records(struct forwarder *forwarder)
{
    int rc = 0;
    uint64_t looked_at = 0; /* acknowledgements are not to wait while a log is searched */
    forwarder->caught_up = false;
    while (rc == 0 && !forwarder->owes_snapshot &&
           forwarder->records.bytes < REPLICATE_BATCH_BYTES_TARGET &&
           looked_at < FORWARDER_WINDOW_BYTES && may_send(forwarder)) {
        struct datalog_record record;
        rc = datalog_read(forwarder->reader, &record);
        if (rc == DATALOG_END) {
            forwarder->caught_up = true;
            rc = 0;
            break;
        }
        if (rc == ERR_CORRUPT || rc == DATALOG_TRIMMED) {
            log_warn("forwarder-gap", "the log has a gap", "name", forwarder->options.name, "error",
                     rc < 0 ? err_text() : "it was trimmed", NULL);
            rc = 0; /* whether the target lacks it, the records behind it tell */
            continue;
        }
        looked_at += rc == 0 ? record.payload.bytes + DATALOG_HEADER_BYTES : 0;
        rc = rc < 0 ? rc : look_at_file(forwarder, &record);
        rc = rc < 0 || forwarder->owes_snapshot ? rc : offer(forwarder, &record);
    }
    if (rc == 0) {
        say_frame(forwarder, REPLICATE_RECORDS);
    }
    return rc;
}

static int send_some(struct forwarder *forwarder)
{
    if (forwarder->give != NULL) {
        return send_part(forwarder);
    }
    return forwarder->owes_snapshot ? begin_snapshot(forwarder) : send_records(forwarder);
}

/* ---- acknowledgements ---- */

static int take_ack(struct forwarder *forwarder, const struct replicate_message *ack)
{
    while (forwarder->sent_at < forwarder->sent.count &&
           forwarder->sent.items[forwarder->sent_at].position <= ack->position) {
        forwarder->window -= forwarder->sent.items[forwarder->sent_at].bytes;
        forwarder->sent_at++;
    }
    if (forwarder->sent_at == forwarder->sent.count) {
        vec_clear(&forwarder->sent);
        forwarder->sent_at = 0;
    }
    if (ack->position >= datalog_reader_position(forwarder->reader)) {
        return err_set(ERR_PROTOCOL, "they acknowledge %" PRIu64 ", which was not sent",
                       ack->position);
    }
    if (replicate_places_cover(&ack->places, &forwarder->sender.theirs)) {
        forwarder->link.silence_ms = LINK_SILENCE_MS; /* the snapshot is there, if one was sent */
    }
    if (ack->places.all.count > 0) {
        replicate_sender_learn(&forwarder->sender, &ack->places);
    }
    return 0;
}

/* Up to where the target has everything; what it was not sent it had already. */
static int acknowledge(struct forwarder *forwarder)
{
    if (forwarder->give != NULL) {
        return 0;
    }
    uint64_t position = datalog_reader_position(forwarder->reader) - 1;
    if (forwarder->sent_at < forwarder->sent.count) {
        position = forwarder->sent.items[forwarder->sent_at].position - 1;
    }
    pthread_mutex_lock(&forwarder->lock);
    forwarder->info.withheld = forwarder->sender.withheld;
    bool same = forwarder->info.position == position;
    forwarder->info.position = position;
    pthread_mutex_unlock(&forwarder->lock);
    if (forwarder->sent_at > 65536) {
        size_t left = forwarder->sent.count - forwarder->sent_at;
        memmove(forwarder->sent.items, forwarder->sent.items + forwarder->sent_at,
                left * sizeof(*forwarder->sent.items));
        forwarder->sent.count = left;
        forwarder->sent_at = 0;
    }
    return same || position == 0 ? 0 : datalog_cursor_acknowledge(forwarder->cursor, position);
}

static int take_messages(struct forwarder *forwarder)
{
    struct link *link = &forwarder->link;
    int rc = link_read(link);
    while (rc == 0 && (rc = link_next(link)) == 0) {
        switch (link->message.type) {
        case REPLICATE_ACK:
            rc = take_ack(forwarder, &link->message);
            break;
        case REPLICATE_TOPOLOGY:
            link_members_learn(forwarder->options.members, &link->message.members);
            break;
        case REPLICATE_BEGIN_ANEW:
            if (forwarder->give != NULL) {
                set_state(forwarder, FORWARDER_NEEDS_SNAPSHOT); /* it takes another one now */
            }
            return err_set(ERR_UNAVAILABLE, "they begin anew: %.*s", SPAN_ARG(link->message.text));
        case REPLICATE_REFUSED:
            return err_set(ERR_DENIED, "refused: %.*s", SPAN_ARG(link->message.text));
        default:
            return err_set(ERR_PROTOCOL, "message %d from the target", link->message.type);
        }
    }
    return rc == REPLICATE_CUT ? 0 : rc;
}

/* ---- the life of a link ---- */

/* Once a second: what is here and in no record, since a snapshot brought it; what the target
 * needs besides and could not be given before. */
static void look_around(struct forwarder *forwarder)
{
    int64_t now = link_now_ms(&forwarder->link);
    if (forwarder->give != NULL || forwarder->owes_snapshot || now - forwarder->looked_ms < 1000) {
        return;
    }
    forwarder->looked_ms = now;
    forwarder->owes_snapshot =
        link_lacks_more(forwarder->options.storage, datalog_reader_position(forwarder->reader),
                        ignored_of(forwarder), &forwarder->sender) ||
        helps(forwarder);
}

static void say_heartbeat(struct forwarder *forwarder)
{
    struct link *link = &forwarder->link;
    if (forwarder->give == NULL && link_now_ms(link) - link->said_ms >= LINK_HEARTBEAT_MS &&
        link_unsent(link) == 0) {
        struct replicate_message places = {
            .type = REPLICATE_PLACES,
            .position = datalog_reader_position(forwarder->reader) - 1,
            .places = forwarder->sender.theirs,
        };
        link_say(link, &places, 1);
    }
}

static int run_link(struct forwarder *forwarder)
{
    int rc = open_link(forwarder);
    if (rc == 0) {
        set_state(forwarder, forwarder->give != NULL ? FORWARDER_SNAPSHOT : FORWARDER_CATCHING_UP);
        log_info("forwarder-connected", "forwards the datalog", "name", forwarder->options.name,
                 "target", forwarder->options.target, "from",
                 LOG_INT(datalog_reader_position(forwarder->reader)), NULL);
        datalog_cursor_watch(forwarder->cursor, wake, forwarder);
    }
    while (rc == 0 && !atomic_load(&forwarder->stopping)) {
        uint64_t token;
        (void)!read(forwarder->wake_fd, &token, sizeof(token));
        rc = send_some(forwarder);
        rc = rc < 0 ? rc : acknowledge(forwarder);
        if (rc == 0) {
            look_around(forwarder);
            say_heartbeat(forwarder);
            link_say_members(&forwarder->link, forwarder->options.members);
            rc = link_write(&forwarder->link);
        }
        if (rc < 0) {
            break;
        }
        if (forwarder->caught_up) {
            set_state(forwarder, FORWARDER_FOLLOWING);
        }
        bool more = !forwarder->caught_up && may_send(forwarder);
        int pause_ms = more ? 0 : forwarder->options.rate_bytes > 0 ? 20 : LINK_HEARTBEAT_MS;
        rc = link_wait(&forwarder->link, true, forwarder->wake_fd, pause_ms);
        rc = rc < 0 ? rc : take_messages(forwarder);
    }
    datalog_cursor_watch(forwarder->cursor, NULL, NULL);
    return rc;
}

/* One line per fault, not per try. */
static void note_fault(struct forwarder *forwarder, int rc)
{
    pthread_mutex_lock(&forwarder->lock);
    forwarder->info.faults++;
    snprintf(forwarder->info.fault, sizeof(forwarder->info.fault), "%.255s", err_text());
    bool snapshot = forwarder->info.state == FORWARDER_NEEDS_SNAPSHOT;
    pthread_mutex_unlock(&forwarder->lock);
    if (!snapshot) {
        set_state(forwarder, FORWARDER_CONNECTING);
    }
    if (strcmp(forwarder->told_fault, err_text()) != 0) {
        snprintf(forwarder->told_fault, sizeof(forwarder->told_fault), "%s", err_text());
        log_fault("forwarder-lost", "the datalog is not forwarded; it is tried again", rc, "name",
                  forwarder->options.name, "target", forwarder->options.target, NULL);
    }
}

static void *run(void *context)
{
    struct forwarder *forwarder = context;
    int pause_ms = FORWARDER_PAUSE_MS_MIN;
    while (!atomic_load(&forwarder->stopping)) {
        int64_t began_ms = io_monotonic_ns(forwarder->options.io) / 1000000;
        int rc = run_link(forwarder);
        if (rc < 0 && !atomic_load(&forwarder->stopping)) {
            note_fault(forwarder, rc);
        }
        close_link(forwarder);
        bool lasted = io_monotonic_ns(forwarder->options.io) / 1000000 - began_ms > 10000;
        if (lasted) {
            pause_ms = FORWARDER_PAUSE_MS_MIN;
            forwarder->told_fault[0] = '\0';
        }
        bool snapshot = forwarder->info.state == FORWARDER_NEEDS_SNAPSHOT;
        struct pollfd stop = {.fd = forwarder->stop_fd, .events = POLLIN};
        (void)poll(&stop, 1, snapshot ? SNAPSHOT_PAUSE_MS : pause_ms);
        pause_ms = MIN(pause_ms * 2, FORWARDER_PAUSE_MS_MAX);
    }
    return NULL;
}

/* ---- life ---- */

static char *cursor_name(const struct forwarder_options *options)
{
    bool round = options->target_index == FORWARDER_ROUND;
    return mem_printf("%s%s", round ? FORWARDER_ROUND_PREFIX : FORWARDER_PREFIX, options->name);
}

/* A cursor that stays would hold back the log. */
static void forget_cursor(struct forwarder *forwarder)
{
    if (forwarder->options.target_index == FORWARDER_ROUND) {
        char *name = cursor_name(&forwarder->options);
        if (datalog_cursor_remove(forwarder->log, name) < 0) {
            log_fault("forwarder-cursor", "a cursor is left behind until the next start",
                      ERR_CONFLICT, "name", name, NULL);
        }
        mem_free(name);
    }
}

static void free_forwarder(struct forwarder *forwarder)
{
    if (forwarder->cursor != NULL) {
        datalog_cursor_close(&forwarder->cursor);
        forget_cursor(forwarder);
    }
    close(forwarder->stop_fd);
    close(forwarder->wake_fd);
    vec_deinit(&forwarder->sent);
    buf_deinit(&forwarder->records);
    buf_deinit(&forwarder->definitions);
    link_filter_free(&forwarder->maker.filter);
    link_maker_deinit(&forwarder->maker);
    pthread_mutex_destroy(&forwarder->lock);
    mem_free(forwarder);
}

int forwarder_start(const struct forwarder_options *options, struct forwarder **ret_forwarder)
{
    struct forwarder *forwarder = MEM_NEW(struct forwarder);
    forwarder->options = *options;
    forwarder->secret = span_of_str(options->secret);
    forwarder->log = storage_log(options->storage);
    forwarder->info.name = options->name;
    forwarder->info.target = options->target;
    forwarder->info.instead_of = options->instead_of;
    forwarder->info.peer = options->node;
    forwarder->reached_ms = io_monotonic_ns(options->io) / 1000000;
    forwarder->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    forwarder->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(forwarder->stop_fd > 0 && forwarder->wake_fd > 0);
    pthread_mutex_init(&forwarder->lock, NULL);
    char *name = cursor_name(options);
    forwarder->maker.catalogue = storage_catalogue(options->storage);
    forwarder->maker.poison = options->poison;
    forwarder->maker.link = options->name;
    int rc = link_filter_new(&forwarder->options.filter, &forwarder->maker.filter);
    rc = rc < 0 ? rc : datalog_cursor_open(forwarder->log, name, &forwarder->cursor);
    mem_free(name);
    forwarder->sender.filter = link_filter_id(forwarder->maker.filter);
    forwarder->info.filtered = forwarder->maker.filter != NULL;
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

void forwarder_stop(struct forwarder **place)
{
    struct forwarder *forwarder = *place;
    *place = NULL;
    if (forwarder == NULL) {
        return;
    }
    uint64_t one = 1;
    atomic_store(&forwarder->stopping, true);
    (void)!write(forwarder->stop_fd, &one, sizeof(one));
    wake(forwarder);
    pthread_join(forwarder->thread, NULL);
    free_forwarder(forwarder);
}

void forwarder_info(struct forwarder *forwarder, struct forwarder_info *ret_info)
{
    pthread_mutex_lock(&forwarder->lock);
    *ret_info = forwarder->info;
    bool reached = forwarder->linked || forwarder->info.state == FORWARDER_NEEDS_SNAPSHOT;
    int64_t reached_ms = forwarder->reached_ms;
    pthread_mutex_unlock(&forwarder->lock);
    int64_t now_ms = io_monotonic_ns(forwarder->options.io) / 1000000;
    ret_info->unreached_ms = reached ? 0 : (uint64_t)MAX(now_ms - reached_ms, (int64_t)1);
    struct datalog_cursor_stats stats = datalog_cursor_stats(forwarder->cursor);
    ret_info->lag_records = stats.lag_records;
    ret_info->lag_bytes = stats.lag_bytes;
    ret_info->lag_ns = stats.lag_ns;
}
