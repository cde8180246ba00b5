/* One consumer's connection. Tested by feeder3x_test.c and tests/cluster/test_warp10_3x.py. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/time.h"
#include "datalog/cursor.h"
#include "indexer/datalog2x.h"
#include "indexer/feeder3x_internal.h"
#include "indexer/link3x.h"
#include "service/log.h"

#define TICK_MS 500
#define APPLY_WAIT_MS 1
#define OLDER_WAIT_MS 20
#define OLDER_TRIES 500

struct feeder3x_link {
    struct feeder3x *feeder;
    int fd; /* until it is a stream */
    int wake_fd, stop_fd;
    atomic_bool stopping;
    struct link3x link;
    struct feed3x_session session;
    struct feeder3x_consumer *consumer; /* once it is greeted */
    struct span id;
    struct translate3x translate;
    struct datalog_cursor *cursor;
    struct datalog_reader *reader;
    uint64_t next;        /* position that is to be read */
    uint64_t part;        /* of that record */
    bool goes_to;         /* a SEEK came; what is being sent is of no use */
    pthread_mutex_t lock; /* over info */
    struct feeder3x_info info;
};

static void wake(void *context)
{
    const struct feeder3x_link *link = context;
    uint64_t one = 1;
    (void)!write(link->wake_fd, &one, sizeof(one));
}

static struct datalog *log_of(const struct feeder3x_link *link)
{
    return storage_log(link->feeder->storage);
}

/* ── Places ──────────────────────────────────────────────────────────────────────────────── */

static int open_reader(struct feeder3x_link *link, uint64_t position, uint64_t part)
{
    datalog_reader_close(&link->reader);
    link->next = position;
    link->part = part;
    int rc = datalog_reader_open(log_of(link), position, &link->reader);
    if (rc == 0 && datalog_cursor_stats(link->cursor).next != position) {
        rc = datalog_cursor_attach(link->cursor, position);
    }
    return rc == DATALOG_TRIMMED ? 0 : rc; /* it is said when it is read */
}

/* Whether the record at that place is the one that was sent. */
static bool is_there(struct feeder3x_link *link, const struct ref3x *ref)
{
    struct datalog_reader *reader = NULL;
    struct datalog_record record;
    bool there = uuid_equal(ref->node, link->feeder->translate_options.self) &&
                 ref->position >= datalog_first(log_of(link)) &&
                 ref->position < datalog_end(log_of(link)) &&
                 datalog_reader_open(log_of(link), ref->position, &reader) == 0 &&
                 datalog_read(reader, &record) == 0 && record.position == ref->position &&
                 record.time == ref->time;
    datalog_reader_close(&reader);
    return there;
}

static void say_missed(struct feeder3x_link *link, uint64_t from, uint64_t to)
{
    atomic_fetch_add(&link->consumer->missed, to - from);
    log_error("warp10-feeder", "a consumer was away for so long that records are gone; it lacks",
              "consumer", LOG_SPAN(link->id), "from", LOG_INT(from), "to", LOG_INT(to - 1), NULL);
}

/* The first record from that time on. What other nodes made may be older than what is before it
 * in the log, so it is looked for from the oldest on. */
static int go_to_time(struct feeder3x_link *link, int64_t ms)
{
    uint64_t time = ms <= 0 ? 0 : (uint64_t)MIN(ms, INT64_MAX / TIME_MS_NS) * TIME_MS_NS;
    struct datalog_reader *reader = NULL;
    struct datalog_record record;
    uint64_t position = datalog_first(log_of(link));
    if ((int64_t)time >= io_now_ns(link->feeder->io) - TIME_S_NS) {
        return open_reader(link, datalog_end(log_of(link)), 0);
    }
    int rc = time == 0 ? 0 : datalog_reader_open(log_of(link), position, &reader);
    while (rc == 0 && time > 0) {
        rc = datalog_read(reader, &record);
        position = rc == 0 ? record.position : datalog_reader_position(reader);
        if ((rc == 0 && record.time >= time) || rc == DATALOG_END || atomic_load(&link->stopping)) {
            break;
        }
        rc = 0; /* damage and what was trimmed meanwhile are passed over */
    }
    datalog_reader_close(&reader);
    return open_reader(link, position, 0);
}

static int go_to_ref(struct feeder3x_link *link, struct span text)
{
    struct ref3x ref;
    struct span stem;
    uint64_t ignored;
    uint64_t first = datalog_first(log_of(link));
    if (ref3x_parse(text, &ref) && is_there(link, &ref)) {
        return open_reader(link, ref.position, ref.part);
    }
    if (offset3x_place(text, &stem, &ignored)) {
        char hex[17];
        (void)snprintf(hex, sizeof(hex), "%.16s", (const char *)stem.data);
        return go_to_time(link, (int64_t)strtoull(hex, NULL, 16));
    }
    if (ref3x_parse(text, &ref) && ref.position < first) {
        say_missed(link, ref.position, first);
    } else {
        log_warn("warp10-feeder", "a ref of another log; the consumer gets all there is",
                 "consumer", LOG_SPAN(link->id), "ref", LOG_SPAN(text), NULL);
    }
    return open_reader(link, first, 0);
}

static int go_to(struct feeder3x_link *link)
{
    struct feed3x_message *message = &link->session.message;
    link->goes_to = true;
    buf_clear(&link->translate.told);
    return message->type == FEED3X_SEEK ? go_to_ref(link, message->ref)
                                        : go_to_time(link, message->seek_ms);
}

/* ── Hearing ─────────────────────────────────────────────────────────────────────────────── */

/* All before the record that is under way has arrived. */
static int note_committed(struct feeder3x_link *link)
{
    uint64_t all = link->session.in_flight == 0 && link->part == 0 ? link->next : 0;
    uint64_t done = MAX(link->session.committed, all);
    return done < 2 || done > link->next ? 0 : datalog_cursor_acknowledge(link->cursor, done - 1);
}

static int hear(struct feeder3x_link *link)
{
    struct span body;
    enum feed3x_event event;
    int rc = link3x_read(&link->link);
    while (rc == 0 && (rc = link3x_next(&link->link, &body)) == 0) {
        rc = feed3x_feeder_take(&link->session, body, &event);
        if (rc == 0 && event == FEED3X_GO_TO) {
            rc = go_to(link);
        } else if (rc == 0 && event == FEED3X_COMMITTED) {
            rc = note_committed(link);
        }
    }
    return rc == FEED3X_CUT ? 0 : rc;
}

static int keep_alive(struct feeder3x_link *link)
{
    int64_t now = link3x_now_ms(&link->link);
    int64_t moved = MAX(link->link.heard_ms, link->link.moved_ms);
    bool waits = link->feeder->timeout_ms > 0 &&
                 (link->session.in_flight > 0 || link3x_unsent(&link->link) > 0);
    if (waits && now - moved > link->feeder->timeout_ms) {
        return err_set(ERR_TIMEOUT, "the consumer says nothing for %" PRId64 " s",
                       link->feeder->timeout_ms / 1000);
    }
    if (link->feeder->keepalive_ms > 0 && link3x_unsent(&link->link) == 0 &&
        now - link->link.said_ms >= link->feeder->keepalive_ms) {
        return feed3x_keepalive(&link->session, link3x_out(&link->link));
    }
    return 0;
}

/* Writes, waits at most so long, hears. */
static int pump(struct feeder3x_link *link, int timeout_ms)
{
    uint64_t token;
    int rc = link3x_write(&link->link);
    rc = rc < 0 ? rc : link3x_wait(&link->link, link->wake_fd, timeout_ms);
    (void)!read(link->wake_fd, &token, sizeof(token));
    rc = rc < 0 ? rc : hear(link);
    rc = rc < 0 ? rc : keep_alive(link);
    return rc == 0 && atomic_load(&link->stopping) ? err_set(ERR_CANCELLED, "told to stop") : rc;
}

/* ── Feeding ─────────────────────────────────────────────────────────────────────────────── */

enum { ELSEWHERE = 1 }; /* the consumer wants to be elsewhere */

static int send_record(void *context, struct span record, const struct ref3x *ref)
{
    struct feeder3x_link *link = context;
    struct buf text = {0};
    int rc = 0;
    while (rc == 0 && !link->goes_to &&
           (!feed3x_feeder_may_send(&link->session) ||
            link3x_unsent(&link->link) > LINK3X_UNSENT_BYTES_MAX)) {
        rc = pump(link, TICK_MS);
    }
    if (rc < 0 || link->goes_to) {
        return rc < 0 ? rc : ELSEWHERE;
    }
    ref3x_print(&text, ref);
    link->part = ref->part;
    rc = feed3x_feeder_send(&link->session, record, buf_span(&text), ref->position,
                            link3x_out(&link->link));
    buf_deinit(&text);
    if (rc == ERR_TOO_LARGE) {
        atomic_fetch_add(&link->consumer->missed, 1);
        log_fault("warp10-feeder", "a record that no message can hold; it is passed over", rc,
                  "consumer", LOG_SPAN(link->id), "position", LOG_INT(ref->position), NULL);
        return 0;
    }
    atomic_fetch_add(&link->consumer->records, rc == 0);
    return rc;
}

/* What the record brings is in the catalogue soon after it is durable. */
static int wait_applied(struct feeder3x_link *link, uint64_t position)
{
    int rc = 0;
    while (rc == 0 && !link->goes_to && storage_applied_end(link->feeder->storage) <= position) {
        rc = pump(link, APPLY_WAIT_MS);
    }
    return rc;
}

static int feed_record(struct feeder3x_link *link, const struct datalog_record *record)
{
    uint64_t missed = 0;
    int rc = 0;
    if (translate3x_wants(&link->translate, record)) {
        rc = wait_applied(link, record->position);
        if (rc == 0 && !link->goes_to) {
            rc = translate3x_record(&link->translate, record, link->part, send_record, link,
                                    &missed);
        }
    }
    atomic_fetch_add(&link->consumer->missed, missed);
    if (missed > 0) {
        log_error("warp10-feeder", "values that no message can hold; they are passed over",
                  "consumer", LOG_SPAN(link->id), "position", LOG_INT(record->position), "values",
                  LOG_INT(missed), NULL);
    }
    if (rc == ERR_CORRUPT) {
        atomic_fetch_add(&link->consumer->missed, 1);
        log_fault("warp10-feeder", "a record cannot be told; it is passed over", rc, "consumer",
                  LOG_SPAN(link->id), "position", LOG_INT(record->position), NULL);
        rc = 0;
    }
    if (rc == 0 && !link->goes_to) {
        link->next = record->position + 1;
        link->part = 0;
    }
    return rc < 0 ? rc : 0;
}

/* What is missing between where we were and where the reader stands. */
static int pass_over(struct feeder3x_link *link, int rc)
{
    uint64_t at = datalog_reader_position(link->reader);
    if (rc == DATALOG_TRIMMED) {
        say_missed(link, link->next, at);
    } else {
        atomic_fetch_add(&link->consumer->missed, at - MIN(link->next, at));
        log_fault("warp10-feeder", "the datalog cannot be read; what is damaged is passed over", rc,
                  "consumer", LOG_SPAN(link->id), NULL);
    }
    bool moved = at > link->next;
    link->next = at;
    link->part = 0;
    return moved || rc == DATALOG_TRIMMED ? 0 : rc;
}

static int feed_some(struct feeder3x_link *link)
{
    struct datalog_record record;
    if (link->session.state != FEED3X_FEEDS) {
        return pump(link, TICK_MS);
    }
    link->goes_to = false;
    int rc = datalog_read(link->reader, &record);
    if (rc == 0) {
        return feed_record(link, &record);
    }
    if (rc == DATALOG_END) {
        rc = note_committed(link);
        return rc < 0 ? rc : pump(link, TICK_MS);
    }
    return pass_over(link, rc);
}

/* ── A connection ────────────────────────────────────────────────────────────────────────── */

static void kind_stop(void *context)
{
    struct feeder3x_link *link = context;
    uint64_t one = 1;
    atomic_store(&link->stopping, true);
    (void)!write(link->stop_fd, &one, sizeof(one));
    wake(link);
}

/* The older connection of the same consumer goes, and its cursor is free. */
static int take_place(struct feeder3x_link *link)
{
    struct feeder3x *feeder = link->feeder;
    struct buf name = {0};
    int rc = 0;
    pthread_mutex_lock(&feeder->lock);
    if (link->consumer->link != NULL) {
        kind_stop(link->consumer->link);
    }
    link->consumer->link = link;
    pthread_mutex_unlock(&feeder->lock);
    buf_printf(&name, FEEDER3X_CURSOR_PREFIX "%.*s", SPAN_ARG(link->id));
    for (unsigned tries = 0; tries < OLDER_TRIES; tries++) {
        rc = datalog_cursor_open(log_of(link), buf_str(&name), &link->cursor);
        if (rc != ERR_CONFLICT || atomic_load(&link->stopping)) {
            break;
        }
        (void)!ingest_stream_wait(link->link.stream, false, false, link->stop_fd, OLDER_WAIT_MS);
    }
    buf_deinit(&name);
    if (rc == 0) {
        datalog_cursor_watch(link->cursor, wake, link);
    }
    return rc;
}

static void leave_place(struct feeder3x_link *link)
{
    struct feeder3x *feeder = link->feeder;
    datalog_reader_close(&link->reader);
    if (link->cursor != NULL) {
        datalog_cursor_watch(link->cursor, NULL, NULL);
        datalog_cursor_close(&link->cursor);
    }
    pthread_mutex_lock(&feeder->lock);
    if (link->consumer != NULL && link->consumer->link == link) {
        link->consumer->link = NULL;
    }
    pthread_mutex_unlock(&feeder->lock);
}

static void set_wishes(struct feeder3x_link *link)
{
    const struct feed3x_message *init = &link->session.message;
    struct translate3x *translate = &link->translate;
    translate->options = &link->feeder->translate_options;
    translate->shard_shift = init->shard_shift;
    for (size_t i = 0; i < init->shard_count; i++) {
        vec_push(&translate->shards, init->shards[i]);
    }
    for (size_t i = 0; i < init->excluded_count; i++) {
        vec_push(&translate->excluded, datalog2x_id_hash(init->excluded[i]));
    }
    vec_push(&translate->excluded, datalog2x_id_hash(init->id));
}

static int greet(struct feeder3x_link *link)
{
    struct feeder3x *feeder = link->feeder;
    struct span body;
    enum feed3x_event event = FEED3X_NOTHING;
    int rc = feed3x_feeder_init(&link->session, &feeder->session_options,
                                io_now_ns(feeder->io) / TIME_MS_NS, link3x_out(&link->link));
    rc = rc < 0 ? rc : link3x_expect(&link->link, link->stop_fd, &body);
    rc = rc < 0 ? rc : feed3x_feeder_take(&link->session, body, &event);
    if (rc < 0) {
        return rc;
    }
    link->consumer = &feeder->consumers[link->session.peer];
    link->id = feeder->peers[link->session.peer].id;
    set_wishes(link);
    rc = take_place(link);
    rc = rc < 0 ? rc : link3x_expect(&link->link, link->stop_fd, &body);
    rc = rc < 0 ? rc : feed3x_feeder_take(&link->session, body, &event);
    return rc < 0 ? rc : go_to(link);
}

static int live(struct feeder3x_link *link)
{
    struct ingest_stream *stream;
    int fd = link->fd;
    link->fd = -1;
    int rc = ingest_stream_accept(fd, NULL, LINK3X_GREETING_MS, &stream);
    if (rc < 0) {
        return rc;
    }
    link3x_init(&link->link, link->feeder->io, stream);
    pthread_mutex_lock(&link->lock);
    (void)snprintf(link->info.client, sizeof(link->info.client), "%s", ingest_stream_peer(stream));
    pthread_mutex_unlock(&link->lock);
    rc = greet(link);
    if (rc == 0) {
        log_info("warp10-feeder", "feeds a consumer", "consumer", LOG_SPAN(link->id), "client",
                 link->info.client, "from", LOG_INT(link->next), NULL);
    }
    while (rc == 0) {
        rc = feed_some(link);
    }
    return err_wrap(rc, "byte %" PRIu64, link->link.taken);
}

static void say_end(struct feeder3x_link *link, int rc)
{
    char text[ERR_TEXT_BYTES_MAX];
    (void)snprintf(text, sizeof(text), "%s", err_text());
    leave_place(link);
    if (rc == ERR_UNAVAILABLE || rc == ERR_CANCELLED) {
        log_info("warp10-feeder", "a consumer has gone", "consumer", LOG_SPAN(link->id), "client",
                 link->info.client, "reason", text, NULL);
        return;
    }
    atomic_fetch_add(&link->feeder->failures, 1);
    (void)err_set((enum err)rc, "%s", text);
    log_fault("warp10-feeder", "a consumer's connection is ended", rc, "consumer",
              LOG_SPAN(link->id), "client", link->info.client, NULL);
}

static void kind_run(void *context)
{
    struct feeder3x_link *link = context;
    say_end(link, live(link));
    feed3x_keys_leave_thread();
}

/* ── For a listener ──────────────────────────────────────────────────────────────────────── */

static void *kind_open(const void *shared, int fd, const struct ingest_tls *tls, const char *type)
{
    (void)tls;
    (void)type;
    struct feeder3x_link *link = MEM_NEW(struct feeder3x_link);
    link->feeder = (struct feeder3x *)(uintptr_t)shared;
    link->fd = fd;
    link->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    link->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(link->wake_fd > 0 && link->stop_fd > 0);
    pthread_mutex_init(&link->lock, NULL);
    return link;
}

static void kind_info(void *context, void *ret_info)
{
    struct feeder3x_link *link = context;
    pthread_mutex_lock(&link->lock);
    memcpy(ret_info, &link->info, sizeof(link->info));
    pthread_mutex_unlock(&link->lock);
}

static void kind_free(void *context)
{
    struct feeder3x_link *link = context;
    if (link->link.stream != NULL) {
        link3x_deinit(&link->link);
    }
    if (link->fd >= 0) {
        close(link->fd);
    }
    feed3x_session_deinit(&link->session);
    translate3x_deinit(&link->translate);
    close(link->wake_fd);
    close(link->stop_fd);
    pthread_mutex_destroy(&link->lock);
    mem_free(link);
}

const struct listener_kind feeder3x_kind = {
    .name = "warp10_feed",
    .open = kind_open,
    .run = kind_run,
    .stop = kind_stop,
    .info = kind_info,
    .free = kind_free,
    .info_bytes = sizeof(struct feeder3x_info),
};
