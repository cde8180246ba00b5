/* Tested by consumer3x_test.c and tests/cluster/test_warp10_3x.py. */
#include "indexer/consumer3x.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "indexer/consumer3x_internal.h"
#include "service/log.h"
#include "warp10/refused.h"

#define CONNECT_MS 5000
#define TICK_MS 500
#define TOLD_EVERY_MS 60000
#define UNDER_WAY 1 /* of an entry's rc */

static bool is_stopping(struct consumer3x *consumer)
{
    return atomic_load(&consumer->stopping);
}

static int64_t now_ms(struct consumer3x *consumer)
{
    return io_monotonic_ns(consumer->io) / TIME_MS_NS;
}

/* ── The offset ──────────────────────────────────────────────────────────────────────────── */

/* Nothing is under way. A fault is said once; the next try is the next time. */
static void save(struct consumer3x *consumer)
{
    apply3x_note(consumer->apply, &consumer->offset);
    int rc =
        offset3x_write(consumer->io, consumer->offset_path, &consumer->offset, &consumer->nonces);
    if (rc < 0 && !consumer->has_offset_fault) {
        log_fault("warp10-source", "where a source is could not be kept", rc, "source",
                  consumer->name, NULL);
    }
    consumer->has_offset_fault = rc < 0;
    consumer->has_kept_ref = rc == 0 && consumer->offset.ref.bytes > 0;
    consumer->is_dirty = rc < 0;
    consumer->saved_ms = now_ms(consumer);
}

static void save_if_due(struct consumer3x *consumer)
{
    bool has_news = apply3x_has_news(consumer->apply);
    bool due =
        !consumer->has_kept_ref || now_ms(consumer) - consumer->saved_ms >= CONSUMER3X_SAVE_MS;
    if (has_news || (consumer->is_dirty && due)) {
        save(consumer);
    }
}

void consumer3x_load(struct consumer3x *consumer)
{
    int rc =
        offset3x_read(consumer->io, consumer->offset_path, &consumer->offset, &consumer->nonces);
    if (rc < 0 && rc != ERR_NOT_FOUND) {
        log_fault("warp10-source", "where a source was is not known; it begins anew", rc, "source",
                  consumer->name, NULL);
        consumer->begins_anew = true;
    }
    for (size_t i = 0; i < consumer->offset.creators.count; i++) {
        names3x_put(consumer->apply_options.names,
                    span_of_str(consumer->offset.creators.items[i].id));
    }
}

static void resume(struct consumer3x *consumer)
{
    if (apply3x_resume(consumer->apply, &consumer->offset) == 0) {
        return;
    }
    log_error("warp10-source",
              "the log has less of a source than was noted: it is an older copy; it begins anew",
              "source", consumer->name, "ref", LOG_SPAN(buf_span(&consumer->offset.ref)), NULL);
    offset3x_clear(&consumer->offset);
    consumer->begins_anew = true;
    CHECK(apply3x_resume(consumer->apply, &consumer->offset) == 0);
}

/* ── Records ─────────────────────────────────────────────────────────────────────────────── */

struct waiting {
    struct consumer3x *consumer;
    size_t index; /* of its entry */
};

/* On the log's writer thread, in the order of submission. */
static void record_done(void *context, int rc)
{
    struct waiting *waiting = context;
    struct consumer3x *consumer = waiting->consumer;
    pthread_mutex_lock(&consumer->lock);
    if (rc > 0) {
        rc = err_set(ERR_CONFLICT, "the log has gone beyond it, or lacks what comes before it");
    }
    if (rc < 0 && consumer->fault_text[0] == 0) {
        (void)snprintf(consumer->fault_text, sizeof(consumer->fault_text), "%s", err_text());
    }
    struct consumer3x_entry *entry = &consumer->entries.items[waiting->index];
    entry->rc = entry->rc == UNDER_WAY ? rc : entry->rc;
    consumer->under_way--;
    pthread_cond_signal(&consumer->changed);
    pthread_mutex_unlock(&consumer->lock);
    mem_free(waiting);
}

static size_t add_entry(struct consumer3x *consumer, struct span ref)
{
    struct consumer3x_entry entry = {
        .ref_at = consumer->refs.bytes, .ref_bytes = ref.bytes, .rc = UNDER_WAY};
    buf_append(&consumer->refs, ref);
    pthread_mutex_lock(&consumer->lock);
    vec_push(&consumer->entries, entry);
    consumer->under_way++;
    pthread_mutex_unlock(&consumer->lock);
    return consumer->entries.count - 1;
}

static struct span ref_of(const struct consumer3x *consumer, size_t index)
{
    const struct consumer3x_entry *entry = &consumer->entries.items[index];
    return span_of(consumer->refs.data + entry->ref_at, entry->ref_bytes);
}

/* It was not handed over. */
static void settle(struct consumer3x *consumer, size_t index, int rc)
{
    pthread_mutex_lock(&consumer->lock);
    consumer->entries.items[index].rc = rc;
    consumer->under_way--;
    pthread_mutex_unlock(&consumer->lock);
}

static int set_aside(struct consumer3x *consumer, struct span record, struct span ref,
                     unsigned tries)
{
    char reason[ERR_TEXT_BYTES_MAX];
    struct buf request = {0};
    (void)snprintf(reason, sizeof(reason), "%s", err_text());
    buf_append_str(&request, REFUSED_3X_TITLE);
    for (size_t i = 0; i < ref.bytes; i++) {
        /* one word of the line, whatever a feeder makes of it */
        bool plain = ref.data[i] > ' ' && ref.data[i] < 0x7f;
        buf_append_byte(&request, plain ? ref.data[i] : '?');
    }
    buf_printf(&request, " %s\n", consumer->name);
    text_base64(&request, record);
    buf_append_byte(&request, '\n');
    struct refused_item item = {.time_ns = io_now_ns(consumer->io),
                                .link = span_of_str(consumer->name),
                                .target = span_of_str(consumer->source),
                                .reason = span_of_str(reason),
                                .tries = tries,
                                .request = buf_span(&request)};
    int rc = refused_put(consumer->io, consumer->quarantine_dir, &item);
    buf_deinit(&request);
    if (rc < 0) {
        return err_wrap(rc, "quarantine");
    }
    atomic_fetch_add(&consumer->quarantined, 1);
    log_warn("datalog-quarantine", "a record of a Warp 10 could not be applied; it is set aside",
             "source", consumer->name, "ref", LOG_SPAN(ref), "reason", reason, NULL);
    return 0;
}

static bool is_hopeless(int rc)
{
    return rc == ERR_INVALID || rc == ERR_TOO_LARGE || rc == ERR_UNSUPPORTED || rc == ERR_CORRUPT;
}

static bool has_failed_enough(const struct consumer3x *consumer, struct span ref)
{
    return consumer->failing_tries >= CONSUMER3X_TRIES_MAX &&
           span_equal(ref, buf_span(&consumer->failing));
}

/* It was handed over, and yet is not done: what is wrong with it could not be set aside. */
static void spoil(struct consumer3x *consumer, size_t index, int rc)
{
    pthread_mutex_lock(&consumer->lock);
    consumer->entries.items[index].rc = rc;
    pthread_mutex_unlock(&consumer->lock);
}

static int apply(struct consumer3x *consumer, struct span record, struct span ref, size_t index)
{
    bool aside = false;
    struct waiting *waiting = MEM_NEW(struct waiting);
    *waiting = (struct waiting){consumer, index};
    int rc = apply3x_take(consumer->apply, record, &aside, record_done, waiting);
    if (rc == 0 && !aside) {
        atomic_fetch_add(&consumer->records, 1);
        return 0;
    }
    if (rc == 0) {
        rc = set_aside(consumer, record, ref, 1);
        if (rc < 0) {
            spoil(consumer, index, rc);
        }
        return rc;
    }
    mem_free(waiting);
    if (is_hopeless(rc)) {
        rc = set_aside(consumer, record, ref, 1);
    } else if (rc > 0) {
        atomic_fetch_add(&consumer->passed_over, 1);
        rc = 0;
    }
    settle(consumer, index, rc);
    return rc;
}

/* It failed too often. */
static int give_up(struct consumer3x *consumer, struct span record, struct span ref, size_t index)
{
    (void)err_set(ERR_CONFLICT, "%s", consumer->told);
    int rc = set_aside(consumer, record, ref, consumer->failing_tries);
    settle(consumer, index, rc);
    return rc;
}

static int take_record(struct consumer3x *consumer)
{
    struct span ref = consumer->session.message.ref;
    size_t index = add_entry(consumer, ref);
    if (offset3x_is_behind(buf_span(&consumer->offset.ref), ref)) {
        settle(consumer, index, 0);
        atomic_fetch_add(&consumer->passed_over, 1);
        return 0;
    }
    struct span record = consumer->session.message.record;
    return has_failed_enough(consumer, ref) ? give_up(consumer, record, ref, index)
                                            : apply(consumer, record, ref, index);
}

static int take_frames(struct consumer3x *consumer)
{
    struct span body;
    enum feed3x_event event;
    int rc;
    while ((rc = link3x_next(&consumer->link, &body)) == 0) {
        rc = feed3x_consumer_take(&consumer->session, body, &event);
        if (rc == 0 && event == FEED3X_RECORD) {
            rc = take_record(consumer);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return rc == FEED3X_CUT ? 0 : rc;
}

static void wait_for_storage(struct consumer3x *consumer)
{
    pthread_mutex_lock(&consumer->lock);
    while (consumer->under_way > 0) {
        pthread_cond_wait(&consumer->changed, &consumer->lock);
    }
    pthread_mutex_unlock(&consumer->lock);
}

static void note_failing(struct consumer3x *consumer, struct span ref)
{
    if (!span_equal(ref, buf_span(&consumer->failing))) {
        consumer->failing_tries = 0;
        buf_clear(&consumer->failing);
        buf_append(&consumer->failing, ref);
    }
    consumer->failing_tries++;
}

/* Not the record's fault: it is waited for. */
static bool is_of_the_disk(int rc)
{
    return rc == ERR_NO_SPACE || rc == ERR_IO || rc == ERR_UNAVAILABLE || rc == ERR_CANCELLED;
}

/* All up to the first fault is where we are. Nothing is under way. `fault`: why the batch ended. */
static int close_batch(struct consumer3x *consumer, int fault)
{
    size_t good = 0;
    while (good < consumer->entries.count && consumer->entries.items[good].rc == 0) {
        good++;
    }
    if (good > 0) {
        struct span ref = ref_of(consumer, good - 1);
        if (!offset3x_is_behind(buf_span(&consumer->offset.ref), ref)) {
            buf_clear(&consumer->offset.ref);
            buf_append(&consumer->offset.ref, ref);
            consumer->is_dirty = true;
            consumer->pause_ms = 0;
        }
    }
    if (good < consumer->entries.count) {
        int rc = consumer->entries.items[good].rc;
        if (consumer->fault_text[0] != 0) {
            (void)err_set((enum err)rc, "%s", consumer->fault_text);
        }
        if (!is_of_the_disk(rc)) {
            note_failing(consumer, ref_of(consumer, good));
        }
        char place[FEED3X_REF_BYTES_MAX];
        (void)snprintf(place, sizeof(place), "%.*s", SPAN_ARG(ref_of(consumer, good)));
        fault = err_wrap(rc, "record %s", place);
    }
    return fault;
}

/* What is there, until all of it is durable; then it is committed. */
static int take_batch(struct consumer3x *consumer)
{
    char text[ERR_TEXT_BYTES_MAX];
    vec_clear(&consumer->entries);
    buf_clear(&consumer->refs);
    consumer->fault_text[0] = 0;
    int rc = take_frames(consumer);
    (void)snprintf(text, sizeof(text), "%s", err_text());
    wait_for_storage(consumer);
    if (rc < 0) {
        (void)err_set((enum err)rc, "%s", text);
    }
    rc = close_batch(consumer, rc);
    if (rc == 0 && consumer->entries.count > 0) {
        rc = feed3x_consumer_commit(&consumer->session,
                                    ref_of(consumer, consumer->entries.count - 1),
                                    link3x_out(&consumer->link));
    }
    return rc;
}

/* ── A connection ────────────────────────────────────────────────────────────────────────── */

static int64_t seek_ms(const struct consumer3x *consumer)
{
    switch (consumer->start) {
    case CONSUMER3X_FROM_ALL:
        return 0;
    case CONSUMER3X_FROM_NOW:
        return consumer->offset.since_ms;
    case CONSUMER3X_FROM_TIME:
        break;
    }
    return consumer->start_ms;
}

/* "Now" is when it first got there: what is made while it is away is not before it. */
static void set_since(struct consumer3x *consumer)
{
    struct offset3x *offset = &consumer->offset;
    bool is_first = offset->ref.bytes == 0 && offset->since_ms == 0 && !consumer->begins_anew;
    if (consumer->start == CONSUMER3X_FROM_NOW && is_first) {
        offset->since_ms = io_now_ns(consumer->io) / TIME_MS_NS;
    }
}

static int greet(struct consumer3x *consumer)
{
    struct span body;
    enum feed3x_event event;
    feed3x_consumer_init(&consumer->session, &consumer->session_options);
    int rc = link3x_expect(&consumer->link, consumer->stop_fd, &body);
    rc = rc < 0 ? rc : feed3x_consumer_take(&consumer->session, body, &event);
    if (rc < 0) {
        return rc;
    }
    struct feed3x_message *welcome = &consumer->session.message;
    log_info("warp10-source", "takes what a Warp 10 feeds", "source", consumer->name, "feeder",
             consumer->source, "id", LOG_SPAN(welcome->id), "sealed",
             welcome->encrypt ? "true" : "false", "ref", LOG_SPAN(buf_span(&consumer->offset.ref)),
             NULL);
    set_since(consumer);
    save(consumer);
    if (consumer->has_offset_fault && consumer->offset.ref.bytes == 0 &&
        consumer->offset.since_ms > 0) {
        return err_set(ERR_IO, "\"now\" could not be kept: another start would begin later");
    }
    return feed3x_consumer_begin(&consumer->session, buf_span(&consumer->offset.ref),
                                 seek_ms(consumer), link3x_out(&consumer->link));
}

static int keep_alive(struct consumer3x *consumer)
{
    struct link3x *link = &consumer->link;
    int64_t now = link3x_now_ms(link);
    if (consumer->timeout_ms > 0 && now - link->heard_ms > consumer->timeout_ms) {
        return err_set(ERR_TIMEOUT, "the feeder says nothing for %lld s",
                       (long long)consumer->timeout_ms / 1000);
    }
    if (consumer->keepalive_ms > 0 && now - link->said_ms >= consumer->keepalive_ms) {
        return feed3x_keepalive(&consumer->session, link3x_out(link));
    }
    return 0;
}

static int serve(struct consumer3x *consumer)
{
    int rc = 0;
    while (rc == 0 && !is_stopping(consumer)) {
        rc = link3x_write(&consumer->link);
        rc = rc < 0 ? rc : link3x_wait(&consumer->link, consumer->stop_fd, TICK_MS);
        rc = rc < 0 ? rc : link3x_read(&consumer->link);
        int end = rc;
        char text[ERR_TEXT_BYTES_MAX];
        (void)snprintf(text, sizeof(text), "%s", err_text());
        rc = take_batch(consumer); /* what came before the end counts */
        if (rc == 0 && end < 0) {
            rc = err_set((enum err)end, "%s", text);
        }
        save_if_due(consumer);
        rc = rc < 0 ? rc : keep_alive(consumer);
    }
    return rc;
}

static int live(struct consumer3x *consumer)
{
    struct ingest_stream_options options = {.connect_timeout_ms = CONNECT_MS,
                                            .wake_fd = consumer->stop_fd};
    struct ingest_stream *stream;
    int rc = ingest_stream_connect(&consumer->target, &options, &stream);
    if (rc < 0) {
        return rc;
    }
    link3x_init(&consumer->link, consumer->io, stream);
    resume(consumer);
    rc = greet(consumer);
    if (rc == 0) {
        atomic_store(&consumer->connected, true);
        rc = serve(consumer);
        atomic_store(&consumer->connected, false);
    }
    rc = rc < 0 ? err_wrap(rc, "byte %llu", (unsigned long long)consumer->link.taken) : rc;
    return rc;
}

/* Once a minute, or when it is another fault. */
static void tell(struct consumer3x *consumer, int rc)
{
    int64_t now = now_ms(consumer);
    atomic_fetch_add(&consumer->failures, 1);
    if (strcmp(consumer->told, err_text()) == 0 && now - consumer->told_ms < TOLD_EVERY_MS) {
        return;
    }
    (void)snprintf(consumer->told, sizeof(consumer->told), "%s", err_text());
    consumer->told_ms = now;
    log_fault("warp10-source", "the feed of a Warp 10 ended; it is taken up again", rc, "source",
              consumer->name, "feeder", consumer->source, "ref",
              LOG_SPAN(buf_span(&consumer->offset.ref)), NULL);
}

static void pause_a_while(struct consumer3x *consumer)
{
    struct pollfd stop = {.fd = consumer->stop_fd, .events = POLLIN};
    consumer->pause_ms = MIN(MAX(consumer->pause_ms * 2, (unsigned)CONSUMER3X_PAUSE_MS_MIN),
                             (unsigned)CONSUMER3X_PAUSE_MS_MAX);
    (void)poll(&stop, 1, (int)consumer->pause_ms);
}

void *consumer3x_run(void *context)
{
    struct consumer3x *consumer = context;
    while (!is_stopping(consumer)) {
        int rc = live(consumer);
        if (rc < 0 && !is_stopping(consumer)) {
            tell(consumer, rc);
        }
        feed3x_session_deinit(&consumer->session);
        consumer->session = (struct feed3x_session){0};
        link3x_deinit(&consumer->link);
        consumer->link = (struct link3x){0};
        if (consumer->is_dirty) {
            save(consumer);
        }
        if (!is_stopping(consumer)) {
            pause_a_while(consumer);
        }
    }
    return NULL;
}
