/* Tested by replication_test.c. */
#include "indexer/forwarder_internal.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "service/log.h"
#include "service/metrics.h"

#define CONNECT_MS 5000
#define SNAPSHOT_PAUSE_MS 5000 /* a neighbour may bring what is missing meanwhile */

static const char *const state_names[] = {
    [FORWARDER_CONNECTING] = "connecting",     [FORWARDER_CATCHING_UP] = "catching up",
    [FORWARDER_FOLLOWING] = "following",       [FORWARDER_NEEDS_SNAPSHOT] = "needs a snapshot",
    [FORWARDER_SNAPSHOT] = "sends a snapshot",
};

const char *forwarder_state_name(enum forwarder_state state)
{
    return state_names[state];
}

void forwarder_set_state(struct forwarder *forwarder, enum forwarder_state state)
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

bool forwarder_is_ignored(const struct forwarder *forwarder, struct uuid node)
{
    for (size_t i = 0; i < forwarder->options.ignored_count; i++) {
        if (uuid_equal(forwarder->options.ignored[i], node)) {
            return true;
        }
    }
    return false;
}

struct link_ignored forwarder_ignored(const struct forwarder *forwarder)
{
    return (struct link_ignored){forwarder->options.ignored, forwarder->options.ignored_count};
}

/* A snapshot of what the target lacks, or of what it needs besides. */
static void begin_giving(struct forwarder *forwarder, bool only_needs)
{
    struct snapshot_give_options options = {
        .storage = forwarder->options.storage,
        .theirs = &forwarder->sender.theirs,
        .needs = forwarder->needs,
        .only_needs = only_needs,
        .ignored = forwarder->options.ignored,
        .ignored_count = forwarder->options.ignored_count,
        .filter = forwarder->maker.filter,
    };
    struct replicate_message message = {0};
    forwarder->owes_snapshot = false;
    forwarder->caught_up = false;
    forwarder->give = snapshot_give_new(&options);
    snapshot_give_begin(forwarder->give, &message);
    link_say(&forwarder->link, &message, 1);
    forwarder->link.silence_ms = LINK_SNAPSHOT_SILENCE_MS;
    forwarder_set_state(forwarder, FORWARDER_SNAPSHOT);
    log_info("snapshot-begun",
             only_needs ? "the target asks for what it held and may hold no more"
                        : "the target lacks what the log does not have any more",
             "name", forwarder->options.name, "target", forwarder->options.target, NULL);
    pthread_mutex_lock(&forwarder->lock);
    forwarder->info.snapshots++;
    pthread_mutex_unlock(&forwarder->lock);
}

/* The log is held from here on, and read when the snapshot is there. */
int forwarder_begin_snapshot(struct forwarder *forwarder)
{
    uint64_t position = datalog_end(forwarder->log);
    datalog_reader_close(&forwarder->reader);
    int rc = datalog_cursor_attach(forwarder->cursor, position);
    rc = rc == DATALOG_TRIMMED ? err_set(ERR_UNAVAILABLE, "the log was trimmed meanwhile") : rc;
    rc = rc < 0 ? rc : datalog_reader_open(forwarder->log, position, &forwarder->reader);
    if (rc == 0) {
        begin_giving(forwarder, false);
    }
    return rc;
}

/* What the target needs besides, if we can give it; the log goes on behind it. */
static void help(struct forwarder *forwarder)
{
    if (forwarder->maker.filter == NULL &&
        snapshot_give_helps(forwarder->options.storage, &forwarder->needs)) {
        begin_giving(forwarder, true);
    }
}

static int begin_reading(struct forwarder *forwarder, const struct replicate_message *welcome)
{
    uint64_t position = 0;
    forwarder->needs = welcome->needs;
    int rc = link_find_start(forwarder->log, welcome, forwarder_ignored(forwarder),
                             &forwarder->sender, &position);
    if (rc == DATALOG_TRIMMED) {
        return forwarder_begin_snapshot(forwarder);
    }
    struct datalog_cursor_stats stats = datalog_cursor_stats(forwarder->cursor);
    if (rc == 0 && (stats.detached || stats.next > position)) {
        rc = datalog_cursor_attach(forwarder->cursor, position);
        if (rc == DATALOG_TRIMMED) {
            return forwarder_begin_snapshot(forwarder);
        }
    }
    rc = rc < 0 ? rc : datalog_reader_open(forwarder->log, position, &forwarder->reader);
    if (rc == 0) {
        help(forwarder);
    }
    return rc;
}

static void keep_said(struct forwarder *forwarder, const struct replicate_places *places)
{
    pthread_mutex_lock(&forwarder->lock);
    replicate_places_copy(&forwarder->said, places);
    pthread_mutex_unlock(&forwarder->lock);
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
        keep_said(forwarder, &link->message.places);
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
    forwarder->info.records_per_s = forwarder->info.bytes_per_s = 0;
    forwarder->measured_bytes = 0;
    if (forwarder->linked) {
        forwarder->linked = false;
        forwarder->reached_ms = io_monotonic_ns(forwarder->options.io) / 1000000;
    }
    pthread_mutex_unlock(&forwarder->lock);
    datalog_reader_close(&forwarder->reader);
    snapshot_give_free(&forwarder->give);
    forwarder->owes_snapshot = forwarder->awaits = false;
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
    if (forwarder->awaits && ack->places.all.count > 0 &&
        replicate_places_cover(&ack->places, &forwarder->awaited)) {
        forwarder->awaits = false;
        forwarder->link.silence_ms = LINK_SILENCE_MS;
        forwarder_set_state(forwarder, FORWARDER_CATCHING_UP);
    }
    if (ack->places.all.count > 0) {
        replicate_sender_learn(&forwarder->sender, &ack->places);
        keep_said(forwarder, &ack->places);
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
                forwarder_set_state(forwarder,
                                    FORWARDER_NEEDS_SNAPSHOT); /* it takes another one now */
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
                        forwarder_ignored(forwarder), &forwarder->sender);
    if (!forwarder->owes_snapshot) {
        help(forwarder);
    }
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

static void measure(struct forwarder *forwarder)
{
    int64_t now_ms = link_now_ms(&forwarder->link);
    int64_t passed_ms = now_ms - forwarder->measured_ms;
    if (passed_ms < 900) {
        return;
    }
    uint64_t bytes = forwarder->link.bytes_out;
    pthread_mutex_lock(&forwarder->lock);
    struct forwarder_info *info = &forwarder->info;
    info->records_per_s =
        (info->records - forwarder->measured_records) * 1000 / (uint64_t)passed_ms;
    info->bytes_per_s = (bytes - forwarder->measured_bytes) * 1000 / (uint64_t)passed_ms;
    forwarder->measured_records = info->records;
    pthread_mutex_unlock(&forwarder->lock);
    forwarder->measured_bytes = bytes;
    forwarder->measured_ms = now_ms;
}

static int run_link(struct forwarder *forwarder)
{
    int rc = open_link(forwarder);
    if (rc == 0) {
        forwarder_set_state(forwarder,
                            forwarder->give != NULL ? FORWARDER_SNAPSHOT : FORWARDER_CATCHING_UP);
        log_info("forwarder-connected", "forwards the datalog", "name", forwarder->options.name,
                 "target", forwarder->options.target, "from",
                 LOG_INT(datalog_reader_position(forwarder->reader)), NULL);
        datalog_cursor_watch(forwarder->cursor, wake, forwarder);
    }
    while (rc == 0 && !atomic_load(&forwarder->stopping)) {
        uint64_t token;
        (void)!read(forwarder->wake_fd, &token, sizeof(token));
        rc = forwarder_send_some(forwarder);
        rc = rc < 0 ? rc : acknowledge(forwarder);
        if (rc == 0) {
            look_around(forwarder);
            say_heartbeat(forwarder);
            measure(forwarder);
            link_say_members(&forwarder->link, forwarder->options.members);
            rc = link_write(&forwarder->link);
        }
        if (rc < 0) {
            break;
        }
        if (forwarder->caught_up && !forwarder->awaits) {
            forwarder_set_state(forwarder, FORWARDER_FOLLOWING);
        }
        int pause_ms = forwarder->caught_up ? LINK_HEARTBEAT_MS : forwarder_pause_ms(forwarder);
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
        forwarder_set_state(forwarder, FORWARDER_CONNECTING);
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
    bool detour = options->instead_of != NULL;
    return mem_printf("%s%s", detour ? FORWARDER_ROUND_PREFIX : FORWARDER_PREFIX, options->name);
}

/* A cursor that stays would hold back the log. */
static void forget_cursor(struct forwarder *forwarder)
{
    if (forwarder->options.instead_of != NULL) {
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
    replicate_places_deinit(&forwarder->said);
    replicate_places_deinit(&forwarder->awaited);
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
    forwarder->pace.bytes_per_s = options->rate_bytes;
    forwarder->info.filtered = forwarder->maker.filter != NULL;
    if (rc == 0) {
        int failed = pthread_create(&forwarder->thread, NULL, run, forwarder);
        rc = failed == 0 ? 0 : err_set_errno(failed, "thread of a forwarder");
        if (failed == 0) {
            (void)pthread_setname_np(forwarder->thread, "forwarder");
        }
    }
    if (rc < 0) {
        free_forwarder(forwarder);
        return err_wrap(rc, "forwarder %s", options->name);
    }
    forwarder_publish(forwarder, options->name);
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
    metric_forget(forwarder);
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
    ret_info->detached = stats.detached;
}

void forwarder_origins(struct forwarder *forwarder,
                       void (*each)(void *context, const struct forwarder_origin *origin),
                       void *context)
{
    struct replicate_places ours = {0};
    storage_places(forwarder->options.storage, &ours);
    pthread_mutex_lock(&forwarder->lock);
    for (size_t i = 0; i < ours.all.count; i++) {
        struct forwarder_origin origin = {.ours = ours.all.items[i]};
        origin.ours.origin =
            replicate_origin_through(origin.ours.origin, link_filter_id(forwarder->maker.filter));
        origin.theirs = replicate_places_of(&forwarder->said, origin.ours.origin);
        if (!uuid_equal(origin.ours.origin.node, forwarder->info.peer) &&
            !forwarder_is_ignored(forwarder, origin.ours.origin.node) &&
            !replicate_places_other_form(&forwarder->said, origin.ours.origin)) {
            each(context, &origin);
        }
    }
    pthread_mutex_unlock(&forwarder->lock);
    replicate_places_deinit(&ours);
}
