#include "indexer/link_poison.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "indexer/link_series.h"
#include "service/log.h"
#include "warp10/refused.h"

struct suspect {
    struct datalog_origin origin;
    uint64_t position;
    unsigned tries;
};

struct link_poison {
    struct io *io;
    char *dir;
    atomic_uint_fast64_t count;
    pthread_mutex_t lock;
    struct suspect suspects[LINK_POISON_RECORDS_MAX];
    size_t next; /* place of the next new one */
};

struct link_poison *link_poison_new(struct io *io, const char *dir)
{
    struct link_poison *poison = MEM_NEW(struct link_poison);
    poison->io = io;
    poison->dir = dir == NULL ? NULL : mem_strdup(dir);
    pthread_mutex_init(&poison->lock, NULL);
    return poison;
}

void link_poison_free(struct link_poison **place)
{
    struct link_poison *poison = *place;
    *place = NULL;
    if (poison != NULL) {
        pthread_mutex_destroy(&poison->lock);
        mem_free(poison->dir);
        mem_free(poison);
    }
}

bool link_poison_is(int rc)
{
    return rc == ERR_INVALID || rc == ERR_PROTOCOL || rc == ERR_CORRUPT || rc == ERR_TOO_LARGE ||
           rc == ERR_UNSUPPORTED;
}

uint64_t link_poison_count(struct link_poison *poison)
{
    return atomic_load(&poison->count);
}

/* ---- setting aside ---- */

static struct suspect *suspect_of(struct link_poison *poison, struct replicate_place place)
{
    for (size_t i = 0; i < LINK_POISON_RECORDS_MAX; i++) {
        struct suspect *suspect = &poison->suspects[i];
        if (suspect->position == place.position &&
            replicate_origin_compare(suspect->origin, place.origin) == 0) {
            return suspect;
        }
    }
    struct suspect *suspect = &poison->suspects[poison->next++ % LINK_POISON_RECORDS_MAX];
    *suspect = (struct suspect){.origin = place.origin, .position = place.position};
    return suspect;
}

static unsigned count_try(struct link_poison *poison, struct replicate_place place)
{
    pthread_mutex_lock(&poison->lock);
    unsigned tries = ++suspect_of(poison, place)->tries;
    pthread_mutex_unlock(&poison->lock);
    return tries;
}

static void print(struct buf *text, const struct replicate_record *record, struct span definitions)
{
    static const char *const types[] = {"?", "update", "meta", "delete", "points", "series"};
    const struct replicate_place *place = &record->head.place;
    char node[UUID_TEXT_BYTES];
    buf_printf(text,
               REFUSED_RECORD_TITLE "%" PRIu64 " of %s/%016" PRIx64 ", time %" PRIu64
                                    ", %s, %zu bytes\n",
               place->position, uuid_text(place->origin.node, node), place->origin.incarnation,
               place->time, types[record->type <= DATALOG_TYPE_MAX ? record->type : 0],
               record->payload.bytes);
    struct replicate_message message = {.type = REPLICATE_SERIES, .body = definitions};
    struct buf body = {0};
    if (definitions.bytes > 0) {
        replicate_message_write(text, &message, 0);
    }
    replicate_record_put(&body, record);
    message.type = REPLICATE_RECORDS;
    message.body = buf_span(&body);
    replicate_message_write(text, &message, 0);
    buf_deinit(&body);
}

static int put_aside(struct link_poison *poison, const struct replicate_record *record,
                     struct span definitions, const char *link, const char *reason)
{
    struct buf text = {0};
    print(&text, record, definitions);
    struct refused_item item = {
        .time_ns = io_now_ns(poison->io),
        .link = span_of_str(link),
        .reason = span_of_str(reason),
        .tries = LINK_POISON_TRIES,
        .request = buf_span(&text),
    };
    int rc = refused_put(poison->io, poison->dir, &item);
    buf_deinit(&text);
    return rc;
}

int link_poison_note(struct link_poison *poison, const struct replicate_record *record,
                     struct span definitions, const char *link, int rc)
{
    const struct replicate_place *place = &record->head.place;
    char node[UUID_TEXT_BYTES];
    char reason[ERR_TEXT_BYTES_MAX];
    snprintf(reason, sizeof(reason), "%s", err_text());
    if (!link_poison_is(rc) || poison->dir == NULL ||
        count_try(poison, *place) < LINK_POISON_TRIES) {
        return err_wrap(rc, "record %" PRIu64 " of %s", place->position,
                        uuid_text(place->origin.node, node));
    }
    int put = put_aside(poison, record, definitions, link, reason);
    if (put < 0) {
        return err_wrap(put, "record %" PRIu64 " of %s, which cannot be applied", place->position,
                        uuid_text(place->origin.node, node));
    }
    atomic_fetch_add(&poison->count, 1);
    log_warn("datalog-quarantine", "a record cannot be applied; it is set aside", "link", link,
             "node", uuid_text(place->origin.node, node), "position",
             LOG_INT((int64_t)place->position), "reason", reason, "directory", poison->dir, NULL);
    return LINK_POISON_ASIDE;
}

struct replicate_record link_poison_placeholder(const struct replicate_record *record,
                                                struct buf *payload)
{
    struct replicate_record empty = *record;
    buf_clear(payload);
    series_definitions_begin(payload);
    empty.type = DATALOG_SERIES;
    empty.well = SPAN_NONE;
    empty.payload = buf_span(payload);
    return empty;
}

struct replicate_record link_poison_instead(const struct link_poison *poison,
                                            const struct replicate_record *record,
                                            struct buf *payload)
{
    struct replicate_record empty = link_poison_placeholder(record, payload);
    uint64_t now = (uint64_t)MAX(io_now_ns(poison->io), 0);
    if (empty.head.place.time > now + DATALOG_AHEAD_NS_DEFAULT) {
        empty.head.place.time = now;
    }
    return empty;
}

/* ---- once more ---- */

static int apply(struct io *io, struct storage *storage, struct link_heard *heard, struct span body)
{
    struct replicate_record in;
    struct storage_waiter waiter = STORAGE_WAITER;
    if (!replicate_record_next(&body, &in) || body.bytes > 0) {
        return err_set(ERR_CORRUPT, "it is no record");
    }
    struct datalog_record record = {
        .origin = {datalog_origin(storage_log(storage)).node, 0},
        .origin_position = 1,
        .time = in.head.place.time,
        .type = in.type,
        .well = in.well,
        .payload = in.payload,
    };
    io_random(io, &record.origin.incarnation, sizeof(record.origin.incarnation));
    record.origin.incarnation &= REPLICATE_INCARNATION_MAX;
    int rc = storage_wait(&waiter, link_submit(heard, storage, &record, 0, storage_wake, &waiter));
    return rc > 0 ? err_set(ERR_CONFLICT, "it was not taken") : rc;
}

int link_poison_retry(struct io *io, struct storage *storage, struct span request)
{
    struct link_heard heard = {0};
    struct replicate_message message = {0};
    struct buf scratch = {0};
    struct span line;
    size_t bytes;
    bool applied = false;
    int rc = span_starts_with(request, SPAN_LIT(REFUSED_RECORD_TITLE)) &&
                     span_split(&request, '\n', &line)
                 ? 0
                 : err_set(ERR_INVALID, "it is no record that was set aside");
    while (rc == 0 && request.bytes > 0) {
        rc = replicate_message_read(request, REPLICATE_BODY_BYTES_MAX, &scratch, &message, &bytes);
        if (rc == REPLICATE_CUT) {
            rc = err_set(ERR_CORRUPT, "it was cut");
        } else if (rc == 0) {
            request = span_from(request, bytes);
            applied = message.type == REPLICATE_RECORDS;
            rc = !applied ? link_hear_series(&heard, storage, message.body)
                          : apply(io, storage, &heard, message.body);
        }
    }
    if (rc == 0 && !applied) {
        rc = err_set(ERR_CORRUPT, "there is no record in it");
    }
    replicate_message_deinit(&message);
    link_heard_deinit(&heard);
    buf_deinit(&scratch);
    return rc;
}
