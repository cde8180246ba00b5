/*
 * What a log has promised so far, for lives_test.c, and whether it keeps it. The first broken
 * promise stays as a text and nothing is asserted, so that a test can also show that a broken
 * log is caught.
 */
#ifndef DATALOG_LIVES_MODEL_H
#define DATALOG_LIVES_MODEL_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/vec.h"
#include "base/wire.h"
#include "datalog/cursor.h"
#include "io/sim.h"

#define OTHERS 3 /* nodes whose records arrive here */
#define CURSORS 4
#define SEGMENT_BYTES 2000
#define HELD_BYTES_MAX (5 * SEGMENT_BYTES)

/* A record that was handed over: of this node (origin 0), by number, or of another. */
struct attempt {
    uint64_t origin;
    uint64_t number;   /* own: any; of others: the origin position */
    uint64_t position; /* confirmed there; 0: not confirmed */
};

struct other {
    uint64_t here;  /* highest position confirmed */
    uint64_t tried; /* highest position that a refused record may have left behind */
    VEC(uint64_t) advances;
};

struct cursor_model {
    bool exists;
    bool unsure;   /* a fault left open whether it exists, or is attached */
    bool detached; /* durably, if no fault left it open */
    uint64_t next; /* as acknowledged */
    uint64_t low;  /* as durable at least */
};

struct world {
    struct io_sim sim;
    struct datalog *log;
    uint64_t seed;
    bool together; /* submitters do not wait for each other */
    VEC(struct attempt) attempts;
    struct other others[OTHERS];
    struct cursor_model cursors[CURSORS];
    uint64_t gone; /* records below may be trimmed */
    uint64_t confirmed;
    uint64_t detachments;
    uint64_t known;
    uint64_t ahead;
    bool broken;
    char violation[400];
};

static const char *const cursor_names[CURSORS] = {"alpha", "forward/b", "c", "delta-4"};

static void violated(struct world *world, const char *format, ...) PRINTF_LIKE(2, 3);
static inline void violated(struct world *world, const char *format, ...)
{
    if (!world->broken) {
        va_list args;
        va_start(args, format);
        vsnprintf(world->violation, sizeof(world->violation), format, args);
        va_end(args);
        world->broken = true;
    }
}

#define PROMISE(world, condition, ...)                                                             \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            violated(world, __VA_ARGS__);                                                          \
        }                                                                                          \
    } while (0)

static inline uint64_t below(struct world *world, uint64_t bound)
{
    return io_sim_below(&world->sim, bound);
}

static inline struct datalog_origin other_origin(uint64_t origin)
{
    return (struct datalog_origin){{{0xbb, (uint8_t)origin}}, 40 + origin};
}

/* The same bytes for the same record, whenever it is made. */
static inline void make_payload(struct buf *payload, uint64_t origin, uint64_t number)
{
    size_t bytes = 16 + (size_t)((number * 2654435761U + origin * 97) % 700);
    wire_put_u64(payload, origin);
    wire_put_u64(payload, number);
    while (payload->bytes < bytes) {
        buf_append_byte(payload, (uint8_t)(number * 31 + payload->bytes + origin));
    }
}

/* What check_log() has seen so far. */
struct seen {
    uint64_t expected;
    uint64_t time;
    uint64_t other_last[OTHERS + 1];
    uint8_t *counts; /* per attempt */
};

static inline bool advanced_to(const struct other *other, uint64_t position)
{
    for (size_t i = 0; i < other->advances.count; i++) {
        if (other->advances.items[i] == position) {
            return true;
        }
    }
    return false;
}

static inline void see_order(struct world *world, struct seen *seen, uint64_t origin,
                             const struct datalog_record *record)
{
    if (origin == 0) {
        PROMISE(world, record->time > seen->time, "%" PRIu64 ": time does not grow",
                record->position);
    } else {
        uint64_t last = seen->other_last[origin];
        uint64_t now = record->origin_position;
        PROMISE(world, now > last, "%" PRIu64 ": origin %" PRIu64 " at %" PRIu64 " again",
                record->position, origin, now);
        PROMISE(world,
                last == 0 || now == last + 1 || advanced_to(&world->others[origin - 1], now - 1),
                "%" PRIu64 ": origin %" PRIu64 " jumps from %" PRIu64 " to %" PRIu64,
                record->position, origin, last, now);
        seen->other_last[origin] = now;
    }
    seen->time = MAX(seen->time, record->time);
}

static inline void see_record(struct world *world, struct seen *seen,
                              const struct datalog_record *record)
{
    PROMISE(world, seen->expected == 0 || record->position == seen->expected,
            "%" PRIu64 " follows %" PRIu64, record->position, seen->expected - 1);
    seen->expected = record->position + 1;
    uint64_t origin = record->payload.bytes >= 16 ? wire_load_u64(record->payload.data) : 99;
    uint64_t number = record->payload.bytes >= 16 ? wire_load_u64(record->payload.data + 8) : 0;
    struct buf expected = {0};
    make_payload(&expected, origin, number);
    PROMISE(world, origin <= OTHERS && span_equal(record->payload, buf_span(&expected)),
            "%" PRIu64 " is nothing that was handed over", record->position);
    buf_deinit(&expected);
    if (origin > OTHERS) {
        return;
    }
    PROMISE(world,
            origin == 0 || (record->origin_position == number &&
                            record->origin.incarnation == other_origin(origin).incarnation),
            "%" PRIu64 ": its origin was not kept", record->position);
    see_order(world, seen, origin, record);
    bool tried = false;
    for (size_t i = 0; i < world->attempts.count; i++) { /* of others there may be several */
        const struct attempt *attempt = &world->attempts.items[i];
        if (attempt->origin == origin && attempt->number == number) {
            tried = true;
            seen->counts[i]++;
            PROMISE(world, seen->counts[i] == 1, "%" PRIu64 " is there twice", record->position);
            PROMISE(world, attempt->position == 0 || attempt->position == record->position,
                    "%" PRIu64 " was confirmed at %" PRIu64, record->position, attempt->position);
        }
    }
    PROMISE(world, tried, "%" PRIu64 " was never handed over", record->position);
}

/* Everything that is kept, in order; everything that was confirmed and may not be gone. */
static inline void check_log(struct world *world)
{
    struct datalog_reader *reader;
    struct datalog_record record;
    struct seen seen = {.counts = mem_alloc(world->attempts.count + 1)};
    int rc = datalog_reader_open(world->log, datalog_first(world->log), &reader);
    while ((rc = datalog_read(reader, &record)) == 0) {
        see_record(world, &seen, &record);
    }
    PROMISE(world, rc == DATALOG_END, "reading: %d %s", rc, rc < 0 ? err_text() : "");
    datalog_reader_close(&reader);
    for (size_t i = 0; i < world->attempts.count; i++) {
        const struct attempt *attempt = &world->attempts.items[i];
        PROMISE(world,
                attempt->position < world->gone || attempt->position == 0 || seen.counts[i] == 1,
                "%" PRIu64 " was confirmed and is gone, trimmed below %" PRIu64, attempt->position,
                world->gone);
    }
    mem_free(seen.counts);
}

/* The file of cursors was written. */
static inline void note_saved(struct world *world)
{
    for (size_t i = 0; i < CURSORS; i++) {
        world->cursors[i].unsure = false;
        world->cursors[i].low = world->cursors[i].next;
    }
}

struct look {
    struct world *world;
    bool reopened;
    bool seen[CURSORS];
};

/* A cursor as the log has it: never ahead of what was acknowledged, never behind what was
 * durable, detached if and only if it was. */
static inline int see_cursor(void *context, const struct datalog_cursor_stats *stats)
{
    struct look *look = context;
    struct world *world = look->world;
    size_t i = 0;
    while (i < CURSORS && strcmp(stats->name, cursor_names[i]) != 0) {
        i++;
    }
    if (i == CURSORS) {
        violated(world, "a cursor %s", stats->name);
        return 0;
    }
    struct cursor_model *model = &world->cursors[i];
    look->seen[i] = true;
    PROMISE(world, model->exists || model->unsure, "%s was removed and is there", stats->name);
    PROMISE(world, stats->next <= model->next || !model->exists,
            "%s is ahead: %" PRIu64 ", acknowledged up to %" PRIu64, stats->name, stats->next,
            model->next);
    PROMISE(world, stats->next >= (look->reopened ? model->low : model->next) || !model->exists,
            "%s is at %" PRIu64 ", was durable at %" PRIu64, stats->name, stats->next, model->low);
    PROMISE(world, model->unsure || stats->detached == model->detached, "%s is %s", stats->name,
            stats->detached ? "detached" : "attached");
    *model = (struct cursor_model){true, model->unsure && !look->reopened, stats->detached,
                                   stats->next, look->reopened ? stats->next : model->low};
    return 0;
}

static inline void check_cursors(struct world *world, bool reopened)
{
    struct look look = {world, reopened, {0}};
    (void)!datalog_cursors(world->log, see_cursor, &look);
    for (size_t i = 0; i < CURSORS; i++) {
        struct cursor_model *model = &world->cursors[i];
        if (!look.seen[i]) {
            PROMISE(world, !model->exists || model->unsure, "%s is not there", cursor_names[i]);
            *model = (struct cursor_model){.unsure = model->unsure && !reopened};
        }
    }
}

static inline void check_origins(struct world *world)
{
    for (uint64_t i = 0; i < OTHERS; i++) {
        struct other *other = &world->others[i];
        uint64_t here = datalog_origin_position(world->log, other_origin(i + 1));
        PROMISE(world, here >= other->here,
                "origin %" PRIu64 ": %" PRIu64 " was here, now %" PRIu64, i + 1, other->here, here);
        PROMISE(world, here <= MAX(other->here, other->tried),
                "origin %" PRIu64 " is at %" PRIu64 ", at most %" PRIu64 " came", i + 1, here,
                MAX(other->here, other->tried));
        other->here = here;
    }
}

#endif
