/* What a forwarder sends: records of the log, parts of a snapshot. Tested by replication_test.c. */
#include "base/err.h"
#include "indexer/forwarder_internal.h"
#include "service/log.h"

int forwarder_pause_ms(const struct forwarder *forwarder)
{
    if (forwarder->window >= FORWARDER_WINDOW_BYTES ||
        link_unsent(&forwarder->link) >= LINK_UNSENT_BYTES_MAX) {
        return LINK_HEARTBEAT_MS;
    }
    if (forwarder->pace.bytes_per_s == 0) {
        return 0;
    }
    int64_t left_ns =
        replicate_pace_wait_ns(&forwarder->pace, io_monotonic_ns(forwarder->options.io));
    return (int)MIN((left_ns + 999999) / 1000000, (int64_t)LINK_HEARTBEAT_MS);
}

static void pay(struct forwarder *forwarder, uint64_t bytes)
{
    if (forwarder->pace.bytes_per_s > 0) {
        replicate_pace_take(&forwarder->pace, bytes, io_monotonic_ns(forwarder->options.io));
    }
}

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
    pay(forwarder, sent.bytes);
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
    if (forwarder_is_ignored(forwarder, record->origin.node)) {
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
    return link_look_at_file(forwarder->log, record->position, forwarder_ignored(forwarder),
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

/* The target says that the snapshot is there by these places; of what it holds in another form
 * they do not move. */
static void await(struct forwarder *forwarder)
{
    const struct replicate_places *theirs = &forwarder->sender.theirs;
    vec_clear(&forwarder->awaited.all);
    for (size_t i = 0; i < theirs->all.count; i++) {
        if (!replicate_places_other_form(theirs, theirs->all.items[i].origin)) {
            vec_push(&forwarder->awaited.all, theirs->all.items[i]);
        }
    }
    forwarder->awaits = true;
}

static void say_end_of_snapshot(struct forwarder *forwarder)
{
    struct replicate_message end = {.type = REPLICATE_SNAPSHOT_END};
    link_say(&forwarder->link, &end, 0);
    replicate_sender_sent_snapshot(&forwarder->sender, snapshot_give_places(forwarder->give));
    await(forwarder);
    snapshot_give_free(&forwarder->give);
    forwarder->needs = (struct replicate_needs){.since_ns = forwarder->needs.since_ns};
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
    if (forwarder_pause_ms(forwarder) > 0) {
        return 0;
    }
    int rc = snapshot_give_next(forwarder->give, &forwarder->maker.told, &forwarder->definitions,
                                &forwarder->records);
    note_progress(forwarder);
    if (rc == SNAPSHOT_GIVE_END) {
        say_end_of_snapshot(forwarder);
        return 0;
    }
    pay(forwarder, forwarder->records.bytes);
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
           looked_at < FORWARDER_WINDOW_BYTES && forwarder_pause_ms(forwarder) == 0) {
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

int forwarder_send_some(struct forwarder *forwarder)
{
    if (forwarder->give != NULL) {
        return send_part(forwarder);
    }
    return forwarder->owes_snapshot ? forwarder_begin_snapshot(forwarder) : send_records(forwarder);
}
