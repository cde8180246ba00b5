/* Tested by replication_test.c. */
#include "indexer/follower.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "indexer/link_series.h"
#include "indexer/snapshot_take.h"
#include "service/log.h"

/* Records of the forwarder that storage has. What was known meanwhile is acknowledged with the
 * last of them. */
struct batch {
    struct follower *follower;
    uint64_t position; /* of the forwarder's log */
    uint64_t bytes;
};

struct follower {
    const struct follower_shared *shared;
    int fd; /* until it is a stream */
    const struct ingest_tls *tls;
    struct link link;
    struct link_heard heard;
    struct snapshot_take snapshot;
    uint64_t needs_version; /* as they were told */
    int wake_fd;
    int stop_fd;
    atomic_bool stopping;
    uint64_t said;                /* position acknowledged last */
    struct datalog_origin origin; /* of the record taken last; zeros: none */
    int64_t places_ms;

    pthread_mutex_t lock; /* over what follows */
    struct batch *last;   /* on its way to the disk; NULL: none */
    uint64_t on_the_way;
    uint64_t pending_bytes;
    uint64_t position; /* all up to it is here */
    int fault;
    char fault_text[ERR_TEXT_BYTES_MAX];
    struct follower_info info;
};

/* ---- to storage and back ---- */

static void wake(struct follower *follower)
{
    uint64_t one = 1;
    (void)!write(follower->wake_fd, &one, sizeof(one));
}

/* On the log's writer thread, in the order of submission. */
static void batch_done(void *context, int rc)
{
    struct batch *batch = context;
    struct follower *follower = batch->follower;
    pthread_mutex_lock(&follower->lock);
    if (rc == DATALOG_AHEAD) {
        rc = err_set(ERR_CONFLICT, "what comes before a record is missing here");
    }
    if (rc < 0 && follower->fault == 0) {
        follower->fault = rc;
        snprintf(follower->fault_text, sizeof(follower->fault_text), "%s", err_text());
    }
    if (follower->fault == 0) {
        follower->position = batch->position;
        follower->info.records += rc == 0;
        follower->info.known += rc == DATALOG_KNOWN;
        follower->info.bytes += rc == 0 ? batch->bytes : 0;
    }
    follower->pending_bytes -= batch->bytes;
    if (follower->last == batch) {
        follower->last = NULL;
    }
    mem_free(batch);
    wake(follower);
    follower->on_the_way--;
    pthread_mutex_unlock(&follower->lock); /* it may be freed from here on */
}

/* Held already: acknowledged as soon as what came before it is. */
static void note_known(struct follower *follower, uint64_t position)
{
    pthread_mutex_lock(&follower->lock);
    follower->info.known++;
    if (follower->last != NULL) {
        follower->last->position = position;
    } else if (follower->fault == 0) {
        follower->position = position;
    }
    pthread_mutex_unlock(&follower->lock);
}

static struct datalog_record record_of(const struct replicate_record *in)
{
    return (struct datalog_record){
        .position = in->log_position,
        .origin = in->head.place.origin,
        .origin_position = in->head.place.position,
        .time = in->head.place.time,
        .type = in->type,
        .well = in->well,
        .payload = in->payload,
    };
}

static int submit_record(struct follower *follower, const struct replicate_record *in)
{
    struct datalog_record record = record_of(in);
    struct batch *batch = MEM_NEW(struct batch);
    *batch = (struct batch){follower, in->log_position, in->payload.bytes};
    pthread_mutex_lock(&follower->lock);
    follower->last = batch;
    follower->on_the_way++;
    follower->pending_bytes += batch->bytes;
    pthread_mutex_unlock(&follower->lock);
    int rc = link_submit(&follower->heard, follower->shared->storage, &record, in->head.previous,
                         batch_done, batch);
    if (rc < 0) {
        pthread_mutex_lock(&follower->lock);
        follower->last = NULL; /* the one before may be done meanwhile */
        follower->on_the_way--;
        follower->pending_bytes -= batch->bytes;
        pthread_mutex_unlock(&follower->lock);
        mem_free(batch);
    }
    return rc;
}

/* It goes to quarantine when it has failed often enough, and its place is taken by nothing. */
static int take_poison(struct follower *follower, const struct replicate_record *in, int rc)
{
    struct buf definitions = {0};
    struct buf nothing = {0};
    struct datalog_record record = record_of(in);
    char text[ERR_TEXT_BYTES_MAX];
    snprintf(text, sizeof(text), "%s", err_text());
    link_heard_define(&follower->heard, follower->shared->storage, &record, &definitions);
    (void)err_set((enum err)rc, "%s", text);
    rc = link_poison_note(follower->shared->poison, in, buf_span(&definitions), follower->info.name,
                          rc);
    if (rc == LINK_POISON_ASIDE) {
        struct replicate_record empty = link_poison_instead(follower->shared->poison, in, &nothing);
        rc = submit_record(follower, &empty);
        pthread_mutex_lock(&follower->lock);
        follower->info.aside++;
        pthread_mutex_unlock(&follower->lock);
    }
    buf_deinit(&definitions);
    buf_deinit(&nothing);
    return rc;
}

/* An origin is taken in one form only: replicate/places.h. */
static int meet_origin(struct follower *follower, struct datalog_origin origin)
{
    struct follower_forms *forms = follower->shared->forms;
    struct replicate_places places = {0};
    bool met = false;
    bool other = false;
    pthread_mutex_lock(&forms->lock);
    for (size_t i = 0; i < forms->met.count; i++) {
        met = met || replicate_origin_compare(forms->met.items[i], origin) == 0;
        other = other || replicate_origin_is_other_form(forms->met.items[i], origin);
    }
    if (!met && !other) {
        storage_places(follower->shared->storage, &places);
        other = replicate_places_other_form(&places, origin);
        replicate_places_deinit(&places);
    }
    if (!met && !other) {
        vec_push(&forms->met, origin);
    }
    pthread_mutex_unlock(&forms->lock);
    follower->origin = origin;
    return other ? err_set(ERR_CONFLICT, "an origin is held here in another form: whole, or "
                                         "through another filter")
                 : 0;
}

static int take_record(struct follower *follower, const struct replicate_record *in)
{
    struct datalog *log = storage_log(follower->shared->storage);
    if (datalog_origin_position(log, in->head.place.origin) >= in->head.place.position) {
        note_known(follower, in->log_position);
        return 0;
    }
    if (replicate_origin_compare(follower->origin, in->head.place.origin) != 0) {
        int rc = meet_origin(follower, in->head.place.origin);
        if (rc < 0) {
            return rc;
        }
    }
    int rc = submit_record(follower, in);
    return rc < 0 ? take_poison(follower, in, rc) : rc;
}

static int take_records(struct follower *follower, struct span body)
{
    struct replicate_record record;
    while (replicate_record_next(&body, &record)) {
        int rc = take_record(follower, &record);
        if (rc < 0) {
            return rc;
        }
    }
    return body.bytes == 0 ? 0 : err_set(ERR_PROTOCOL, "a malformed record");
}

/* ---- messages ---- */

/* They believe that everything was sent: what they skipped, and what they say we hold. */
static int take_places(struct follower *follower, const struct replicate_message *message)
{
    struct replicate_receiver receiver = {0};
    pthread_mutex_lock(&follower->lock);
    bool is_idle = follower->on_the_way == 0;
    if (is_idle && follower->fault == 0) {
        follower->position = MAX(follower->position, message->position);
    }
    pthread_mutex_unlock(&follower->lock);
    if (!is_idle) {
        return 0; /* they say it again */
    }
    storage_places(follower->shared->storage, &receiver.have);
    enum replicate_verdict verdict = replicate_receive_places(&receiver, &message->places);
    replicate_receiver_deinit(&receiver);
    return verdict == REPLICATE_KNOWN
               ? 0
               : err_set(ERR_CONFLICT, "something is missing that was sent before");
}

static int take_snapshot(struct follower *follower)
{
    struct storage *storage = follower->shared->storage;
    const struct replicate_message *message = &follower->link.message;
    struct snapshot_take *take = &follower->snapshot;
    int rc;
    if (message->type == REPLICATE_SNAPSHOT_BEGIN) {
        rc = snapshot_take_begin(take, storage, message);
    } else if (message->type == REPLICATE_SNAPSHOT_PART) {
        rc = snapshot_take_part(take, storage, &follower->heard, message->body);
    } else {
        rc = snapshot_take_end(take, storage);
        follower->places_ms = 0; /* they are told at once */
        follower->link.said_ms = 0;
    }
    pthread_mutex_lock(&follower->lock);
    follower->info.snapshot = take->on;
    follower->info.elements = take->elements;
    follower->info.looked_at = take->looked_at;
    follower->info.look_at = take->total;
    pthread_mutex_unlock(&follower->lock);
    return rc;
}

static int take_message(struct follower *follower)
{
    struct replicate_message *message = &follower->link.message;
    switch (message->type) {
    case REPLICATE_SERIES:
        return link_hear_series(&follower->heard, follower->shared->storage, message->body);
    case REPLICATE_RECORDS:
        return take_records(follower, message->body);
    case REPLICATE_PLACES:
        return take_places(follower, message);
    case REPLICATE_SNAPSHOT_BEGIN:
    case REPLICATE_SNAPSHOT_PART:
    case REPLICATE_SNAPSHOT_END:
        return take_snapshot(follower);
    case REPLICATE_TOPOLOGY:
        link_members_learn(follower->shared->members, &message->members);
        return 0;
    default:
        return err_set(ERR_PROTOCOL, "message %d from a forwarder", message->type);
    }
}

static int take_messages(struct follower *follower)
{
    int rc = link_read(&follower->link);
    while (rc == 0 && (rc = link_next(&follower->link)) == 0) {
        rc = take_message(follower);
    }
    return rc == REPLICATE_CUT ? 0 : rc;
}

static void say_ack(struct follower *follower, uint64_t position)
{
    struct link *link = &follower->link;
    int64_t now = link_now_ms(link);
    bool heartbeat = now - link->said_ms >= LINK_HEARTBEAT_MS;
    if ((position == follower->said && !heartbeat) || link_unsent(link) > LINK_UNSENT_BYTES_MAX) {
        return;
    }
    struct replicate_message ack = {.type = REPLICATE_ACK, .position = position};
    if (now - follower->places_ms >= FOLLOWER_PLACES_MS) {
        storage_places(follower->shared->storage, &ack.places);
        follower->places_ms = now;
    }
    follower->said = position;
    link_say(link, &ack, 1);
    replicate_places_deinit(&ack.places);
}

/* ---- the life of a link ---- */

static int greet(struct follower *follower)
{
    const struct follower_shared *shared = follower->shared;
    struct link *link = &follower->link;
    struct replicate_greeting greeting;
    struct replicate_places places = {0};
    struct replicate_places doubt = {0};
    struct replicate_members members = {0};
    struct replicate_self self = {
        .secret = span_of_str(shared->secret),
        .origin = datalog_origin(storage_log(shared->storage)),
        .members = &members,
        .places = &places,
        .doubt = &doubt,
    };
    uint8_t random[REPLICATE_NONCE_BYTES];
    io_random(shared->io, random, sizeof(random));
    replicate_challenge(&greeting, random, &link->out);
    int rc = link_expect(link, follower->stop_fd);
    if (rc == 0) {
        rc = replicate_check_hello(&greeting, &link->message, &self);
        if (rc < 0) {
            replicate_refuse(&link->out, rc);
            (void)!link_write(link);
        }
    }
    if (rc == 0) {
        pthread_mutex_lock(&follower->lock);
        follower->info.peer = link->message.node;
        snprintf(follower->info.name, sizeof(follower->info.name), "%.*s",
                 (int)MIN(link->message.name.bytes, (size_t)LINK_NAME_BYTES_MAX),
                 (const char *)link->message.name.data);
        follower->info.welcomed = true;
        pthread_mutex_unlock(&follower->lock);
        link_members_learn(shared->members, &link->message.members);
        link->members_told = link_members_edition(shared->members);
        link_members_copy(shared->members, &members);
        storage_places(shared->storage, &places);
        storage_doubt(shared->storage, &doubt);
        follower->needs_version = storage_needs_version(shared->storage);
        self.needs = storage_needs(shared->storage);
        replicate_welcome(&greeting, &link->message, &self, &link->out);
        link->body_bytes_max = REPLICATE_BODY_BYTES_MAX;
        rc = link_write(link);
    }
    replicate_places_deinit(&places);
    replicate_places_deinit(&doubt);
    replicate_members_deinit(&members);
    return rc;
}

static int begin(struct follower *follower)
{
    int fd = follower->fd;
    follower->fd = -1;
    struct ingest_stream *stream;
    int rc = ingest_stream_accept(fd, follower->tls, LINK_GREETING_MS, &stream);
    if (rc < 0) {
        return rc;
    }
    link_init(&follower->link, follower->shared->io, stream);
    pthread_mutex_lock(&follower->lock);
    snprintf(follower->info.client, sizeof(follower->info.client), "%s",
             ingest_stream_peer(stream));
    pthread_mutex_unlock(&follower->lock);
    return greet(follower);
}

static int serve(struct follower *follower)
{
    struct link *link = &follower->link;
    while (!atomic_load(&follower->stopping)) {
        uint64_t token;
        (void)!read(follower->wake_fd, &token, sizeof(token));
        pthread_mutex_lock(&follower->lock);
        uint64_t position = follower->position;
        bool reading = follower->pending_bytes < FOLLOWER_PENDING_BYTES_MAX;
        int rc = follower->fault < 0
                     ? err_set((enum err)follower->fault, "%.900s", follower->fault_text)
                     : 0;
        pthread_mutex_unlock(&follower->lock);
        if (storage_needs_version(follower->shared->storage) != follower->needs_version) {
            rc = err_set(ERR_UNAVAILABLE, "this node needs more than it said");
        }
        if (rc < 0) {
            return rc;
        }
        say_ack(follower, position);
        link_say_members(link, follower->shared->members);
        rc = link_write(link);
        rc = rc < 0 ? rc : link_wait(link, reading, follower->wake_fd, LINK_HEARTBEAT_MS);
        if (rc == 0 && reading) {
            rc = take_messages(follower);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return err_set(ERR_UNAVAILABLE, "this node stops");
}

/* Waits for what storage has: it calls back. */
static void drain(struct follower *follower)
{
    for (;;) {
        pthread_mutex_lock(&follower->lock);
        bool done = follower->on_the_way == 0;
        pthread_mutex_unlock(&follower->lock);
        if (done) {
            return;
        }
        uint64_t token;
        (void)!read(follower->wake_fd, &token, sizeof(token));
        (void)!ingest_stream_wait(follower->link.stream, false, false, follower->wake_fd, 10);
    }
}

static void say_why(struct follower *follower, const char *text)
{
    struct replicate_message why = {.type = REPLICATE_BEGIN_ANEW, .text = span_of_str(text)};
    why.text.bytes = MIN(why.text.bytes, (size_t)REPLICATE_TEXT_BYTES_MAX);
    link_say(&follower->link, &why, 0);
    (void)!link_write(&follower->link);
    ingest_stream_finish(follower->link.stream);
}

static void kind_run(void *context)
{
    struct follower *follower = context;
    char node[UUID_TEXT_BYTES];
    (void)pthread_setname_np(pthread_self(), "follower");
    int rc = begin(follower);
    if (rc == 0) {
        log_info("follower-connected", "takes another node's datalog", "name", follower->info.name,
                 "node", uuid_text(follower->info.peer, node), "client", follower->info.client,
                 NULL);
        rc = serve(follower);
        char text[ERR_TEXT_BYTES_MAX];
        snprintf(text, sizeof(text), "%s", err_text());
        drain(follower);
        snapshot_take_deinit(&follower->snapshot, follower->shared->storage);
        say_why(follower, text);
        (void)err_set((enum err)rc, "%s", text);
    }
    if (rc == ERR_UNAVAILABLE || rc == ERR_TIMEOUT) {
        log_info("follower-gone", "a forwarder's link ended", "name", follower->info.name, "client",
                 follower->info.client, "reason", err_text(), NULL);
    } else if (rc == ERR_AUTH) {
        log_warn("follower-refused", "a forwarder is refused: another secret", "client",
                 follower->info.client, "error", err_text(), NULL);
    } else {
        log_fault("follower-lost", "a forwarder's link ended; it begins anew", rc, "name",
                  follower->info.name, "client", follower->info.client, NULL);
    }
}

/* ---- for a listener ---- */

static void *kind_open(const void *shared, int fd, const struct ingest_tls *tls, const char *type)
{
    (void)type;
    struct follower *follower = MEM_NEW(struct follower);
    follower->shared = shared;
    follower->fd = fd;
    follower->tls = tls;
    follower->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    follower->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(follower->wake_fd > 0 && follower->stop_fd > 0);
    follower->info.since_ns = io_now_ns(follower->shared->io);
    pthread_mutex_init(&follower->lock, NULL);
    return follower;
}

static void kind_stop(void *context)
{
    struct follower *follower = context;
    uint64_t one = 1;
    atomic_store(&follower->stopping, true);
    (void)!write(follower->stop_fd, &one, sizeof(one));
    wake(follower);
}

static void kind_info(void *context, void *ret_info)
{
    struct follower *follower = context;
    pthread_mutex_lock(&follower->lock);
    memcpy(ret_info, &follower->info, sizeof(follower->info));
    pthread_mutex_unlock(&follower->lock);
}

static void kind_free(void *context)
{
    struct follower *follower = context;
    if (follower->link.stream != NULL) {
        link_deinit(&follower->link);
    }
    if (follower->fd >= 0) {
        close(follower->fd);
    }
    close(follower->wake_fd);
    close(follower->stop_fd);
    snapshot_take_deinit(&follower->snapshot, follower->shared->storage);
    link_heard_deinit(&follower->heard);
    pthread_mutex_destroy(&follower->lock);
    mem_free(follower);
}

const struct listener_kind follower_kind = {
    .name = "datalog",
    .open = kind_open,
    .run = kind_run,
    .stop = kind_stop,
    .info = kind_info,
    .free = kind_free,
    .info_bytes = sizeof(struct follower_info),
};
