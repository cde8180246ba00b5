/*
 * Lives of a log: several submitters, records from other nodes in order, again and too early,
 * followers, trimming, detaching, snapshots, a full disk, faults, crashes, reopening. After each
 * life everything it has promised is looked at (lives_model.h). AQUIFER_SEEDS: how many lives;
 * AQUIFER_SEED: the first one.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "datalog/cursor_file.h"
#include "datalog/lives_model.h"
#include "datalog/record.h"

#define SEEDS_DEFAULT 600

struct pending {
    struct datalog_submission submission;
    struct datalog_record received;
    struct buf payload;
    size_t attempt; /* index */
    struct gate *gate;
    int rc;
};

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t open;
};

/* What was handed over and not looked at yet. */
struct batch {
    struct gate gate;
    VEC(struct pending *) pending;
};

static void on_done(struct datalog_submission *submission, int rc)
{
    struct pending *pending = CONTAINER_OF(submission, struct pending, submission);
    struct gate *gate = pending->gate;
    pending->rc = rc;
    pthread_mutex_lock(&gate->lock);
    gate->open--;
    pthread_cond_signal(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static size_t attempt_of(struct world *world, uint64_t origin, uint64_t number)
{
    for (size_t i = 0; origin > 0 && i < world->attempts.count; i++) {
        if (world->attempts.items[i].origin == origin &&
            world->attempts.items[i].number == number) {
            return i;
        }
    }
    struct attempt attempt = {origin, origin > 0 ? number : world->attempts.count, 0};
    vec_push(&world->attempts, attempt);
    return world->attempts.count - 1;
}

static struct pending *pending_new(struct world *world, struct batch *batch, uint64_t origin,
                                   uint64_t number)
{
    struct pending *pending = MEM_NEW(struct pending);
    pending->attempt = attempt_of(world, origin, number);
    pending->gate = &batch->gate;
    make_payload(&pending->payload, origin, world->attempts.items[pending->attempt].number);
    pending->received = (struct datalog_record){
        .origin = other_origin(origin),
        .origin_position = number,
        .time = (uint64_t)io_now_ns(&world->sim.io) - 1000000 + below(world, 2000000000),
    };
    pending->submission = (struct datalog_submission){
        .type = (enum datalog_type)(1 + below(world, DATALOG_TYPE_MAX)),
        .well = SPAN_LIT("w"),
        .payload = buf_span(&pending->payload),
        .received = origin > 0 ? &pending->received : NULL,
        .after = origin > 0 ? number - 1 : 0,
        .done = on_done,
    };
    vec_push(&batch->pending, pending);
    return pending;
}

static void finish(struct world *world, struct batch *batch);

/* A chain of records: of this node, or of another from `from` on. */
static void hand_over(struct world *world, struct batch *batch, uint64_t origin, uint64_t from,
                      size_t count)
{
    size_t first = batch->pending.count;
    for (size_t i = 0; i < count; i++) {
        struct pending *pending = pending_new(world, batch, origin, from + i);
        if (i > 0) {
            batch->pending.items[first + i - 1]->submission.next = &pending->submission;
        }
    }
    pthread_mutex_lock(&batch->gate.lock);
    batch->gate.open += count;
    pthread_mutex_unlock(&batch->gate.lock);
    int rc = datalog_submit(world->log, &batch->pending.items[first]->submission);
    if (rc < 0) {
        fail_msg("submit: %s", err_text());
    }
    if (!world->together) {
        finish(world, batch);
    }
}

static void judge_other(struct world *world, const struct pending *pending, struct attempt *attempt)
{
    struct other *other = &world->others[attempt->origin - 1];
    uint64_t number = attempt->number;
    int expected = number <= other->here       ? DATALOG_KNOWN
                   : number == other->here + 1 ? 0
                                               : DATALOG_AHEAD;
    world->known += expected == DATALOG_KNOWN ? 1 : 0;
    world->ahead += expected == DATALOG_AHEAD ? 1 : 0;
    PROMISE(world, pending->rc < 0 || pending->rc == expected,
            "origin %" PRIu64 " at %" PRIu64 ", here %" PRIu64 ": %d", attempt->origin, number,
            other->here, pending->rc);
    if (pending->rc == 0) {
        other->here = number;
    } else if (pending->rc < 0) { /* it and what stood before it in its group */
        other->tried = MAX(other->tried, number);
    }
}

/* Waits, and notes what was promised. */
static void finish(struct world *world, struct batch *batch)
{
    pthread_mutex_lock(&batch->gate.lock);
    while (batch->gate.open > 0) {
        pthread_cond_wait(&batch->gate.changed, &batch->gate.lock);
    }
    pthread_mutex_unlock(&batch->gate.lock);
    for (size_t i = 0; i < batch->pending.count; i++) {
        struct pending *pending = batch->pending.items[i];
        struct attempt *attempt = &world->attempts.items[pending->attempt];
        if (attempt->origin > 0) {
            judge_other(world, pending, attempt);
        } else {
            PROMISE(world, pending->rc <= 0, "an own record: %d", pending->rc);
        }
        if (pending->rc == 0) {
            attempt->position = pending->submission.position;
            world->confirmed++;
        }
        buf_deinit(&pending->payload);
        mem_free(pending);
    }
    vec_clear(&batch->pending);
}

static void submit_some(struct world *world)
{
    struct batch batch = {.gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}};
    for (uint64_t chains = 1 + below(world, 3); chains > 0; chains--) {
        uint64_t origin = below(world, OTHERS + 2);
        uint64_t from = 0;
        if (origin > OTHERS) {
            origin = 0;
        }
        if (origin > 0) {
            uint64_t here = world->others[origin - 1].here;
            uint64_t kind = below(world, 8);
            uint64_t back = below(world, 6);
            from = kind == 0 ? here + 2 : kind < 3 ? 1 + here - MIN(here, back) : here + 1;
        }
        hand_over(world, &batch, origin, from, 1 + below(world, 4));
    }
    finish(world, &batch);
    vec_deinit(&batch.pending);
}

/* Opens a cursor, reads on from it and acknowledges some of that. */
static void follow(struct world *world)
{
    size_t i = below(world, CURSORS);
    struct cursor_model *model = &world->cursors[i];
    struct datalog_cursor *cursor = NULL;
    struct datalog_record record;
    bool is_new = !model->exists;
    if (datalog_cursor_open(world->log, cursor_names[i], &cursor) < 0) {
        model->unsure = model->unsure || is_new;
        return;
    }
    uint64_t first = datalog_first(world->log);
    if (is_new) {
        *model = (struct cursor_model){true, false, false, first, first};
        note_saved(world);
    }
    uint64_t expected = model->next;
    int rc = 0;
    for (uint64_t count = below(world, 30); count > 0 && rc == 0; count--) {
        rc = datalog_cursor_read(cursor, &record);
        PROMISE(world, rc != 0 || record.position == expected,
                "%s reads %" PRIu64 " instead of %" PRIu64, cursor_names[i], record.position,
                expected);
        PROMISE(world, (rc == DATALOG_TRIMMED) == model->detached || rc < 0, "%s: read %d",
                cursor_names[i], rc);
        PROMISE(world, rc != DATALOG_END || expected == datalog_end(world->log),
                "%s: end at %" PRIu64, cursor_names[i], expected);
        expected += rc == 0 ? 1 : 0;
    }
    if (expected > model->next) {
        uint64_t up_to = expected - 1 - below(world, expected - model->next);
        PROMISE(world, datalog_cursor_acknowledge(cursor, up_to) == 0, "%s", err_text());
        model->next = MAX(model->next, up_to + 1);
    }
    if (model->detached && below(world, 2) == 0) {
        uint64_t at = MAX(datalog_first(world->log), model->next);
        uint64_t to = at + below(world, datalog_end(world->log) - at + 1);
        rc = datalog_cursor_attach(cursor, to);
        *model = (struct cursor_model){true, rc < 0, false, to, rc < 0 ? model->low : to};
        if (rc == 0) {
            note_saved(world);
        }
    }
    datalog_cursor_close(&cursor);
}

static void trim(struct world *world)
{
    uint64_t end = datalog_end(world->log);
    bool all = below(world, 3) == 0;
    bool rotated = all && datalog_rotate(world->log) == 0;
    uint64_t flushed = all ? end : below(world, end) + 1;
    uint64_t bytes = datalog_stats(world->log).bytes;
    struct cursor_model before[CURSORS];
    memcpy(before, world->cursors, sizeof(before));
    int rc = datalog_trim(world->log, flushed);
    for (size_t i = 0; i < CURSORS; i++) { /* it may detach: the look must not take it amiss */
        world->cursors[i].unsure = world->cursors[i].exists;
    }
    check_cursors(world, false);
    uint64_t bound = flushed;
    for (size_t i = 0; i < CURSORS; i++) {
        struct cursor_model *model = &world->cursors[i];
        bool detached_now = model->detached && !before[i].detached;
        world->detachments += detached_now ? 1 : 0;
        PROMISE(world, !before[i].detached || model->detached, "%s attached itself",
                cursor_names[i]);
        PROMISE(world, !detached_now || bytes > HELD_BYTES_MAX,
                "%s was detached with %" PRIu64 " bytes", cursor_names[i], bytes);
        bound = model->exists && !model->detached ? MIN(bound, model->next) : bound;
        model->unsure = model->exists ? before[i].unsure || detached_now : before[i].unsure;
    }
    world->gone = MAX(world->gone, bound);
    if (rc == 0) {
        note_saved(world);
        PROMISE(world,
                !rotated || datalog_stats(world->log).bytes <= HELD_BYTES_MAX + SEGMENT_BYTES,
                "cursors keep %" PRIu64 " bytes", datalog_stats(world->log).bytes);
    }
}

static void take_snapshot(struct world *world)
{
    uint64_t i = below(world, OTHERS);
    struct other *other = &world->others[i];
    uint64_t to = other->here + 1 + below(world, 20);
    struct datalog_origin_position position = {other_origin(i + 1), to, 0};
    vec_push(&other->advances, to);
    if (datalog_origins_advance(world->log, &position, 1) == 0) {
        other->here = to;
    } else {
        other->tried = MAX(other->tried, to);
    }
}

static void forget_cursor(struct world *world)
{
    size_t i = below(world, CURSORS);
    struct cursor_model *model = &world->cursors[i];
    int rc = datalog_cursor_remove(world->log, cursor_names[i]);
    PROMISE(world, (rc == ERR_NOT_FOUND) != model->exists, "remove %s: %d", cursor_names[i], rc);
    if (model->exists) {
        *model = (struct cursor_model){.unsure = rc < 0};
        if (rc == 0) {
            note_saved(world);
        }
    }
}

static void do_something(struct world *world)
{
    switch (below(world, 16)) {
    case 0:
    case 1:
        trim(world);
        break;
    case 2:
    case 3:
    case 4:
    case 5:
        follow(world);
        break;
    case 6:
        take_snapshot(world);
        break;
    case 7:
        if (below(world, 3) == 0) {
            forget_cursor(world);
        }
        break;
    case 8: /* the disk fills, or there is room again */
        world->sim.space_bytes =
            world->sim.space_bytes > 0 ? 0 : io_sim_used(&world->sim) + 1 + below(world, 3000);
        break;
    default:
        submit_some(world);
    }
}

static bool open_world(struct world *world)
{
    struct datalog_options options = {
        .io = &world->sim.io,
        .dir = "/log",
        .node = {{0xaa}},
        .segment_bytes_max = SEGMENT_BYTES,
        .group_bytes_max = 1500,
        .held_bytes_max = HELD_BYTES_MAX,
    };
    return datalog_open(&options, &world->log) == 0;
}

static void check_all(struct world *world)
{
    check_cursors(world, true);
    check_origins(world);
    check_log(world);
}

static void arm(struct world *world, uint64_t calls)
{
    struct io_sim *sim = &world->sim;
    sim->fail_at = below(world, 3) == 0 ? sim->calls + 1 + below(world, calls) : 0;
    sim->fail_with = below(world, 2) == 0 ? ERR_IO : ERR_NO_SPACE;
    sim->crash_at = below(world, 2) == 0 ? sim->calls + 1 + below(world, calls) : 0;
}

static void disarm(struct world *world)
{
    world->sim.fail_at = world->sim.crash_at = world->sim.space_bytes = 0;
}

static void world_init(struct world *world, uint64_t seed)
{
    *world = (struct world){.seed = seed, .together = seed % 4 == 0};
    io_sim_init(&world->sim, seed);
}

static void world_deinit(struct world *world)
{
    for (size_t i = 0; i < OTHERS; i++) {
        vec_deinit(&world->others[i].advances);
    }
    vec_deinit(&world->attempts);
    io_sim_deinit(&world->sim);
}

/* Opens, does `steps` things, and closes, or the power goes. Opening may fail on a fault. */
static void live(struct world *world, uint64_t steps)
{
    if (!open_world(world)) {
        return;
    }
    for (uint64_t i = 0; i < steps && !world->sim.off && !world->broken; i++) {
        do_something(world);
    }
    datalog_close(&world->log);
}

static void reopen_and_check(struct world *world)
{
    disarm(world);
    if (open_world(world)) {
        check_all(world);
        datalog_close(&world->log);
        note_saved(world);
    } else {
        violated(world, "reopening: %s", err_text());
    }
}

/* One seed: some lives, each ended in its way, each looked at. */
static void run_seed(struct world *world, uint64_t seed)
{
    world_init(world, seed);
    for (int i = 0; i < 3 && !world->broken; i++) {
        arm(world, 150);
        live(world, 10 + below(world, 30));
        if (world->sim.off || below(world, 3) > 0) {
            disarm(world);
            io_sim_crash(&world->sim);
        }
        if (below(world, 4) == 0) { /* a fault, or the power, while it opens */
            arm(world, 25);
            live(world, 0);
            disarm(world);
            io_sim_crash(&world->sim);
        }
        reopen_and_check(world);
    }
}

static uint64_t number_of_env(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    uint64_t number = 0;
    return text != NULL && span_to_u64(span_of_str(text), &number) ? number : fallback;
}

static void seeded_lives_keep_every_promise(void **state)
{
    (void)state;
    uint64_t first = number_of_env("AQUIFER_SEED", 1);
    uint64_t seeds = number_of_env("AQUIFER_SEEDS", SEEDS_DEFAULT);
    struct world sums = {0};
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        struct world world;
        run_seed(&world, seed);
        if (world.broken) {
            fail_msg("AQUIFER_SEED=%" PRIu64 " AQUIFER_SEEDS=1: %s", seed, world.violation);
        }
        sums.confirmed += world.confirmed;
        sums.known += world.known;
        sums.ahead += world.ahead;
        sums.detachments += world.detachments;
        world_deinit(&world);
    }
    print_message("%" PRIu64 " records confirmed, %" PRIu64 " known, %" PRIu64 " ahead, %" PRIu64
                  " cursors detached\n",
                  sums.confirmed, sums.known, sums.ahead, sums.detachments);
    assert_true(sums.confirmed > 20 * seeds && sums.known > seeds && sums.ahead > seeds);
    assert_true(seeds < 100 || sums.detachments > seeds / 20);
}

/* Each call fails once, and the power goes once at each, in one and the same life. */
static void one_fault_at_any_call_breaks_no_promise(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        for (uint64_t at = 1;; at++) {
            struct world world;
            world_init(&world, 4 * at + 1);
            world.sim.random = 77; /* the same life each time */
            world.sim.fail_at = kind < 2 ? at : 0;
            world.sim.fail_with = kind == 0 ? ERR_IO : ERR_NO_SPACE;
            world.sim.crash_at = kind == 2 ? at : 0;
            live(&world, 60);
            bool went_off = world.sim.failed || world.sim.off;
            disarm(&world);
            if (!world.sim.off) {
                reopen_and_check(&world);
            }
            io_sim_crash(&world.sim);
            reopen_and_check(&world);
            if (world.broken) {
                fail_msg("kind %d at call %" PRIu64 ": %s", kind, at, world.violation);
            }
            world_deinit(&world);
            if (!went_off) {
                assert_true(at > 100);
                break;
            }
        }
    }
}

/* A quiet life, with followers and records of others in the log, closed well. */
static void quiet_life(struct world *world, uint64_t seed)
{
    world_init(world, seed);
    do {
        live(world, 60);
        reopen_and_check(world);
        assert_false(world->broken);
    } while (world->cursors[0].next == 0 || world->cursors[0].detached ||
             world->cursors[0].next + 3 > world->attempts.count || world->others[0].here == 0);
}

static void write_cursors(struct world *world, uint64_t ahead)
{
    struct buf text = {0};
    for (size_t i = 0; i < CURSORS; i++) {
        const struct cursor_model *model = &world->cursors[i];
        struct datalog_cursor_line line = {.name = span_of_str(cursor_names[i]),
                                           .next = model->next + ahead,
                                           .detached = model->detached};
        if (model->exists) {
            datalog_cursor_line_write(&text, &line);
        }
    }
    datalog_cursor_end_write(&text, CURSORS);
    assert_int_equal(io_write_file(&world->sim.io, "/log/cursors", buf_span(&text)), 0);
    buf_deinit(&text);
}

static int keep_first(void *context, const char *name)
{
    struct buf *first = context;
    if (first->bytes == 0 && name[0] == '0') {
        buf_printf(first, "/log/%s", name);
    }
    return 0;
}

/* The only file as if nobody had noted how far the records of others are here. */
static void forget_origins(struct world *world)
{
    struct buf path = {0};
    struct buf content = {0};
    struct buf forged = {0};
    struct datalog_file_header header;
    uint64_t first;
    assert_true(open_world(world));
    for (size_t i = 0; i < CURSORS; i++) {
        (void)!datalog_cursor_remove(world->log, cursor_names[i]);
        world->cursors[i] = (struct cursor_model){0};
    }
    world->gone = datalog_end(world->log);
    assert_int_equal(datalog_rotate(world->log), 0);
    assert_int_equal(datalog_trim(world->log, world->gone), 0);
    datalog_close(&world->log);
    assert_int_equal(io_list(&world->sim.io, "/log", keep_first, &path), 0);
    assert_true(span_to_u64(span_first(span_from(buf_span(&path), 5), 20), &first));
    assert_int_equal(io_read_file(&world->sim.io, buf_str(&path), 1 << 20, &content), 0);
    assert_int_equal(datalog_file_header_read(buf_span(&content), first, &header), 0);
    header.origins = SPAN_NONE;
    datalog_file_header_write(&forged, &header);
    assert_int_equal(io_write_file(&world->sim.io, buf_str(&path), buf_span(&forged)), 0);
    buf_deinit(&path);
    buf_deinit(&content);
    buf_deinit(&forged);
}

/* What a broken log would leave behind is found: the checks above can fail. */
static void a_broken_log_is_caught(void **state)
{
    (void)state;
    static const char *const found[] = {"is ahead", "is gone", "was here"};
    for (size_t kind = 0; kind < ARRAY_COUNT(found); kind++) {
        struct world world;
        quiet_life(&world, 5);
        if (kind == 0) { /* a cursor that goes on behind what was acknowledged */
            write_cursors(&world, 1);
        } else if (kind == 1) { /* a file trimmed that a cursor holds back */
            struct buf path = {0};
            for (size_t i = 0; i < CURSORS; i++) {
                world.cursors[i].unsure = true; /* that they are detached is found too */
            }
            world.gone = 0;
            assert_int_equal(io_list(&world.sim.io, "/log", keep_first, &path), 0);
            assert_int_equal(io_remove(&world.sim.io, buf_str(&path)), 0);
            buf_deinit(&path);
        } else { /* redelivery that is not recognised */
            forget_origins(&world);
        }
        reopen_and_check(&world);
        assert_true(world.broken);
        print_message("caught: %s\n", world.violation);
        assert_non_null(strstr(world.violation, found[kind]));
        world_deinit(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_log_is_caught),
        cmocka_unit_test(one_fault_at_any_call_breaks_no_promise),
        cmocka_unit_test(seeded_lives_keep_every_promise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
