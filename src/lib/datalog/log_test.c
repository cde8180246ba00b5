/*
 * The datalog against a disk that fails, tears and forgets: what was confirmed is read again,
 * once, in its place; what was refused may be there; nothing else is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/vec.h"
#include "base/wire.h"
#include "datalog/record.h"
#include "io/sim.h"

#define RECORDS_MAX 4096

/* What was tried, by number: the payload begins with it. */
struct attempt {
    uint64_t position; /* 0: not confirmed */
    size_t bytes;
};

struct history {
    VEC(struct attempt) attempts;
};

static const struct uuid node_a = {{0xaa, 1}};

static struct datalog_options options_of(struct io_sim *sim)
{
    return (struct datalog_options){
        .io = &sim->io, .dir = "/log", .node = node_a, .segment_bytes_max = 2000};
}

/* One submission that counts down when it is done. */
struct pending {
    struct datalog_submission submission;
    struct gate *gate;
    struct buf payload;
    size_t number;
    int rc;
};

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t open; /* submissions not done */
    uint64_t last_position;
};

static void gate_init(struct gate *gate, size_t open)
{
    *gate = (struct gate){PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, open, 0};
}

static void gate_wait(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    while (gate->open > 0) {
        pthread_cond_wait(&gate->changed, &gate->lock);
    }
    pthread_mutex_unlock(&gate->lock);
}

static void on_done(struct datalog_submission *submission, int rc)
{
    struct pending *pending = CONTAINER_OF(submission, struct pending, submission);
    struct gate *gate = pending->gate;
    pending->rc = rc;
    pthread_mutex_lock(&gate->lock);
    if (rc == 0) {
        assert_true(submission->position > gate->last_position);
        gate->last_position = submission->position;
    }
    gate->open--;
    pthread_cond_signal(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void make_payload(struct buf *payload, uint64_t number, size_t bytes)
{
    wire_put_u64(payload, number);
    while (payload->bytes < bytes) {
        buf_append_byte(payload, (uint8_t)(number * 31 + payload->bytes));
    }
}

/* Submits a chain of `count` records and notes what became of them. */
static void append_chain(struct datalog *log, struct history *history, size_t count, size_t bytes)
{
    struct gate gate;
    gate_init(&gate, count);
    struct pending *pending = mem_alloc_array(count, sizeof(*pending));
    for (size_t i = 0; i < count; i++) {
        pending[i].gate = &gate;
        pending[i].number = history->attempts.count;
        struct attempt attempt = {0, 8 + (bytes + i * 7) % 900};
        vec_push(&history->attempts, attempt);
        make_payload(&pending[i].payload, pending[i].number, attempt.bytes);
        pending[i].submission = (struct datalog_submission){
            .type = DATALOG_UPDATE,
            .well = SPAN_LIT("w"),
            .payload = buf_span(&pending[i].payload),
            .done = on_done,
            .next = i + 1 < count ? &pending[i + 1].submission : NULL,
        };
    }
    assert_int_equal(datalog_submit(log, &pending[0].submission), 0);
    gate_wait(&gate);
    for (size_t i = 0; i < count; i++) {
        if (pending[i].rc == 0) {
            history->attempts.items[pending[i].number].position = pending[i].submission.position;
        }
        buf_deinit(&pending[i].payload);
    }
    mem_free(pending);
}

static uint64_t number_of(const struct history *history, const struct datalog_record *record)
{
    struct buf expected = {0};
    assert_true(record->payload.bytes >= 8);
    uint64_t number = wire_load_u64(record->payload.data);
    assert_true(number < history->attempts.count); /* nothing invented */
    make_payload(&expected, number, history->attempts.items[number].bytes);
    assert_true(span_equal(record->payload, buf_span(&expected)));
    buf_deinit(&expected);
    return number;
}

/* Reads everything kept: every confirmed record from `trimmed` on at its position, none twice,
 * positions and origin positions without holes but for torn groups. */
static void check_against(struct datalog *log, const struct history *history, uint64_t trimmed,
                          bool gaps_allowed)
{
    bool *seen = mem_alloc_array(history->attempts.count + 1, sizeof(bool));
    struct datalog_reader *reader;
    assert_int_equal(datalog_reader_open(log, 1, &reader), 0);
    uint64_t expected = 0;
    for (;;) {
        struct datalog_record record;
        int rc = datalog_read(reader, &record);
        if (rc == DATALOG_END) {
            break;
        }
        if (rc == DATALOG_TRIMMED) {
            assert_true(datalog_first(log) <= MAX(trimmed, UINT64_C(1)));
            continue;
        }
        if (rc == ERR_CORRUPT && gaps_allowed) {
            expected = 0;
            continue;
        }
        assert_int_equal(rc, 0);
        assert_true(expected == 0 || record.position == expected);
        expected = record.position + 1;
        uint64_t number = number_of(history, &record);
        assert_false(seen[number]);
        seen[number] = true;
        uint64_t confirmed = history->attempts.items[number].position;
        assert_true(confirmed == 0 || confirmed == record.position);
    }
    datalog_reader_close(&reader);
    for (size_t i = 0; i < history->attempts.count; i++) {
        uint64_t position = history->attempts.items[i].position;
        assert_true(position == 0 || position < trimmed || seen[i]);
    }
    mem_free(seen);
}

static void reopen_and_check(struct io_sim *sim, const struct history *history, uint64_t trimmed,
                             bool gaps_allowed)
{
    struct datalog_options options = options_of(sim);
    struct datalog *log = NULL;
    assert_int_equal(datalog_open(&options, &log), 0);
    check_against(log, history, trimmed, gaps_allowed);
    datalog_close(&log);
}

/* The life that sweeps repeat: open, append singly, over several files, trim, append. Returns
 * the position trimmed to. */
static uint64_t live(struct io_sim *sim, struct history *history)
{
    struct datalog_options options = options_of(sim);
    struct datalog *log = NULL;
    uint64_t trimmed = 1;
    if (datalog_open(&options, &log) < 0) {
        return trimmed;
    }
    for (size_t i = 0; i < 12; i++) {
        append_chain(log, history, 1, i * 131);
    }
    trimmed = datalog_end(log) / 2;
    (void)!datalog_trim(log, trimmed);
    (void)!datalog_rotate(log);
    for (size_t i = 0; i < 3; i++) {
        append_chain(log, history, 3, i * 131);
    }
    datalog_close(&log);
    return trimmed;
}

static void every_synced_record_survives_any_one_failed_call(void **state)
{
    (void)state;
    for (uint64_t fail_at = 1;; fail_at++) {
        bool failed = false;
        for (uint64_t seed = 1; seed <= 3; seed++) {
            struct io_sim sim;
            struct history history = {0};
            io_sim_init(&sim, seed * 1000 + fail_at);
            sim.fail_at = fail_at;
            sim.fail_with = seed == 3 ? ERR_NO_SPACE : ERR_IO;
            uint64_t trimmed = live(&sim, &history);
            failed = sim.failed;
            sim.fail_at = 0;
            reopen_and_check(&sim, &history, trimmed, true);
            io_sim_crash(&sim);
            reopen_and_check(&sim, &history, trimmed, true);
            vec_deinit(&history.attempts);
            io_sim_deinit(&sim);
        }
        if (!failed) {
            assert_true(fail_at > 40);
            break; /* fewer calls than that: each of them has failed once */
        }
    }
}

static void every_synced_record_survives_a_crash_at_any_call(void **state)
{
    (void)state;
    for (uint64_t crash_at = 1;; crash_at++) {
        bool went_off = false;
        for (uint64_t seed = 1; seed <= 5; seed++) {
            struct io_sim sim;
            struct history history = {0};
            io_sim_init(&sim, seed * 1000 + crash_at);
            sim.crash_at = crash_at;
            uint64_t trimmed = live(&sim, &history);
            went_off = sim.off;
            io_sim_crash(&sim);
            sim.crash_at = sim.calls + 1 + io_sim_below(&sim, 12); /* and again in recovery */
            (void)live(&sim, &history);
            io_sim_crash(&sim);
            reopen_and_check(&sim, &history, MAX(trimmed, UINT64_MAX / 2), true);
            vec_deinit(&history.attempts);
            io_sim_deinit(&sim);
        }
        if (!went_off) {
            break;
        }
    }
}

/* Positions and origin positions go on where they were; so does the incarnation. */
static void reopening_continues_positions_and_origin(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct datalog_options options = options_of(&sim);
    struct datalog_origin origin = {0};
    uint64_t last_time = 0;
    for (uint64_t i = 1; i <= 30; i++) {
        struct datalog *log = NULL;
        assert_int_equal(datalog_open(&options, &log), 0);
        if (i == 1) {
            origin = datalog_origin(log);
        }
        assert_true(datalog_origin(log).incarnation == origin.incarnation);
        uint64_t position = 0;
        sim.now_ns -= 1000000; /* a clock that goes back does not make time go back */
        struct buf payload = {0};
        make_payload(&payload, i, 300);
        assert_int_equal(
            datalog_append(log, DATALOG_META, SPAN_LIT("x"), buf_span(&payload), &position), 0);
        buf_deinit(&payload);
        assert_true(position == i);
        struct datalog_reader *reader;
        struct datalog_record record;
        assert_int_equal(datalog_reader_open(log, position, &reader), 0);
        assert_int_equal(datalog_read(reader, &record), 0);
        assert_true(record.position == i && record.origin_position == i);
        assert_true(record.type == DATALOG_META && record.time > last_time);
        assert_true(span_equal_str(record.well, "x"));
        last_time = record.time;
        assert_int_equal(datalog_read(reader, &record), DATALOG_END);
        datalog_reader_close(&reader);
        datalog_close(&log);
    }
    io_sim_deinit(&sim);
}

/* A log that lost its files goes on behind what its readers have seen, as another incarnation. */
static void a_lost_log_begins_a_new_incarnation(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct datalog_options options = options_of(&sim);
    struct datalog *log = NULL;
    assert_int_equal(datalog_open(&options, &log), 0);
    struct datalog_origin before = datalog_origin(log);
    datalog_close(&log);
    options.position_min = 500;
    assert_int_equal(datalog_open(&options, &log), 0);
    assert_true(datalog_origin(log).incarnation != before.incarnation);
    uint64_t position = 0;
    assert_int_equal(datalog_append(log, DATALOG_UPDATE, SPAN_NONE, SPAN_LIT("x"), &position), 0);
    assert_true(position == 500);
    struct datalog_origin after = datalog_origin(log);
    datalog_close(&log);
    assert_int_equal(datalog_open(&options, &log), 0);
    assert_true(datalog_origin(log).incarnation == after.incarnation);
    datalog_close(&log);
    io_sim_deinit(&sim);
}

/* A record from elsewhere keeps its origin, origin position and time. */
static void a_received_record_keeps_its_origin(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct datalog_options options = options_of(&sim);
    struct datalog *log = NULL;
    assert_int_equal(datalog_open(&options, &log), 0);
    struct datalog_record received = {
        .origin_position = 77,
        .time = (uint64_t)sim.now_ns + UINT64_C(3000) * 1000000000,
        .origin = {{{0xbb}}, 9},
    };
    struct gate gate;
    gate_init(&gate, 1);
    struct pending pending = {
        .submission = {.type = DATALOG_DELETE,
                       .payload = SPAN_LIT("p"),
                       .received = &received,
                       .done = on_done},
        .gate = &gate,
    };
    assert_int_equal(datalog_submit(log, &pending.submission), 0);
    gate_wait(&gate);
    uint64_t position = 0;
    assert_int_equal(datalog_append(log, DATALOG_UPDATE, SPAN_NONE, SPAN_LIT("x"), &position), 0);
    struct datalog_reader *reader;
    struct datalog_record record;
    assert_int_equal(datalog_reader_open(log, 1, &reader), 0);
    assert_int_equal(datalog_read(reader, &record), 0);
    assert_true(record.origin_position == 77 && record.origin.incarnation == 9);
    assert_true(record.origin.node.bytes[0] == 0xbb && record.time == received.time);
    assert_int_equal(datalog_read(reader, &record), 0);
    assert_true(record.origin_position == 1 && record.time > received.time);
    datalog_reader_close(&reader);
    datalog_close(&log);
    io_sim_deinit(&sim);
}

/* A clock that is far ahead does not drag this one with it. */
static void a_time_from_far_ahead_is_refused(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct datalog_options options = options_of(&sim);
    struct datalog *log = NULL;
    options.ahead_ns_max = UINT64_C(3600) * 1000000000;
    assert_int_equal(datalog_open(&options, &log), 0);
    struct datalog_record received = {
        .origin_position = 1,
        .time = (uint64_t)sim.now_ns + UINT64_C(3700) * 1000000000,
        .origin = {{{0xbb}}, 9},
    };
    struct gate gate;
    gate_init(&gate, 1);
    struct pending pending = {
        .submission = {.type = DATALOG_POINTS, .received = &received, .done = on_done},
        .gate = &gate,
    };
    assert_int_equal(datalog_submit(log, &pending.submission), ERR_INVALID);
    assert_non_null(strstr(err_text(), "ahead of this node's clock"));
    sim.now_ns += INT64_C(200) * 1000000000; /* its time comes */
    assert_int_equal(datalog_submit(log, &pending.submission), 0);
    gate_wait(&gate);
    assert_int_equal(pending.rc, 0);
    datalog_close(&log);
    io_sim_deinit(&sim);
}

/* What we wrote comes back: it is known. What we have not written says we are an old copy. */
static void own_records_from_elsewhere_are_known_or_a_conflict(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct datalog_options options = options_of(&sim);
    struct datalog *log = NULL;
    uint64_t position;
    assert_int_equal(datalog_open(&options, &log), 0);
    assert_int_equal(datalog_append(log, DATALOG_UPDATE, SPAN_NONE, SPAN_LIT("x"), &position), 0);
    for (uint64_t i = 1; i <= 2; i++) {
        struct datalog_record received = {.origin_position = i, .origin = datalog_origin(log)};
        struct gate gate;
        gate_init(&gate, 1);
        struct pending pending = {
            .submission = {.type = DATALOG_UPDATE, .received = &received, .done = on_done},
            .gate = &gate,
        };
        assert_int_equal(datalog_submit(log, &pending.submission), 0);
        gate_wait(&gate);
        assert_int_equal(pending.rc, i == 1 ? DATALOG_KNOWN : ERR_CONFLICT);
    }
    assert_true(datalog_end(log) == 2);
    datalog_close(&log);
    io_sim_deinit(&sim);
}

static void flip_in_file(struct io_sim *sim, uint64_t offset)
{
    assert_true(io_sim_flip(sim, "/log/00000000000000000001.log", offset, 4));
}

/* A hole in the last group: the power cut its write short, unless somebody knows better. */
static void a_hole_in_the_last_group_ends_the_log(void **state)
{
    (void)state;
    static const struct {
        bool another_group;
        uint64_t position_min;
        uint64_t end;
    } cases[] = {{false, 0, 2}, {true, 0, 6}, {false, 5, 5}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct io_sim sim;
        struct history history = {0};
        io_sim_init(&sim, 1);
        struct datalog_options options = options_of(&sim);
        struct datalog *log = NULL;
        options.segment_bytes_max = 1 << 20;
        assert_int_equal(datalog_open(&options, &log), 0);
        append_chain(log, &history, 4, 100);
        if (cases[i].another_group) {
            append_chain(log, &history, 1, 100);
        }
        datalog_close(&log);
        flip_in_file(&sim, DATALOG_ORIGINS_AT + DATALOG_HEADER_BYTES + 109 + 20); /* of the 2nd */
        options.position_min = cases[i].position_min;
        assert_int_equal(datalog_open(&options, &log), 0);
        assert_true(datalog_end(log) == cases[i].end);
        uint64_t position = 0;
        assert_int_equal(datalog_append(log, DATALOG_UPDATE, SPAN_NONE, SPAN_NONE, &position), 0);
        assert_true(position == cases[i].end);
        datalog_close(&log);
        vec_deinit(&history.attempts);
        io_sim_deinit(&sim);
    }
}

/* The header of the newest file is damaged: another incarnation, and nothing known is forgotten. */
static void a_damaged_header_forgets_no_origin(void **state)
{
    (void)state;
    for (uint64_t offset = 8; offset < DATALOG_ORIGINS_AT + DATALOG_ORIGIN_BYTES; offset += 3) {
        struct io_sim sim;
        io_sim_init(&sim, 1);
        struct datalog_options options = options_of(&sim);
        struct datalog *log = NULL;
        uint64_t position;
        assert_int_equal(datalog_open(&options, &log), 0);
        struct datalog_origin before = datalog_origin(log);
        struct datalog_origin_position other = {{{{0xbb}}, 9}, 500, 77};
        assert_int_equal(datalog_append(log, DATALOG_UPDATE, SPAN_NONE, SPAN_NONE, &position), 0);
        assert_int_equal(datalog_origins_advance(log, &other, 1), 0);
        assert_int_equal(datalog_append(log, DATALOG_UPDATE, SPAN_NONE, SPAN_NONE, &position), 0);
        assert_int_equal(datalog_rotate(log), 0);
        assert_int_equal(datalog_append(log, DATALOG_UPDATE, SPAN_NONE, SPAN_NONE, &position), 0);
        datalog_close(&log);
        assert_true(io_sim_flip(&sim, "/log/00000000000000000003.log", offset, 1));
        assert_int_equal(datalog_open(&options, &log), 0);
        assert_true(datalog_origin(log).incarnation != before.incarnation);
        assert_true(datalog_origin_position(log, other.origin) == 500);
        assert_true(datalog_origin_position(log, before) == 3);
        assert_true(datalog_end(log) == 4);
        assert_true(datalog_stats(log).damage.corrupt_records == 1);
        datalog_close(&log);
        io_sim_deinit(&sim);
    }
}

/* What is handed over while the writer is busy is written with one sync. */
struct busy {
    struct datalog_submission submission;
    pthread_mutex_t *held;
};

static void wait_for_lock(struct datalog_submission *submission, int rc)
{
    struct busy *busy = CONTAINER_OF(submission, struct busy, submission);
    assert_int_equal(rc, 0);
    pthread_mutex_lock(busy->held);
    pthread_mutex_unlock(busy->held);
}

static void appends_handed_over_together_share_one_sync(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct datalog_options options = options_of(&sim);
    options.segment_bytes_max = 1 << 20;
    struct datalog *log = NULL;
    assert_int_equal(datalog_open(&options, &log), 0);
    pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
    struct busy busy = {{.type = DATALOG_UPDATE, .done = wait_for_lock}, &held};
    struct pending pending[100] = {0};
    struct gate gate;
    gate_init(&gate, ARRAY_COUNT(pending));
    pthread_mutex_lock(&held);
    assert_int_equal(datalog_submit(log, &busy.submission), 0);
    assert_int_equal(datalog_wait(log, 1, 120000), 0); /* durable; its done() now waits for us */
    for (size_t i = 0; i < ARRAY_COUNT(pending); i++) {
        pending[i].gate = &gate;
        pending[i].submission =
            (struct datalog_submission){.type = DATALOG_UPDATE, .done = on_done};
        assert_int_equal(datalog_submit(log, &pending[i].submission), 0);
    }
    pthread_mutex_unlock(&held);
    gate_wait(&gate);
    assert_int_equal((int)datalog_stats(log).groups, 2);
    assert_int_equal((int)datalog_stats(log).records, 101);
    datalog_close(&log);
    io_sim_deinit(&sim);
}

struct crowd {
    struct datalog *log;
    uint64_t last;
};

static void *append_many(void *context)
{
    struct crowd *crowd = context;
    for (int i = 0; i < 300; i++) {
        uint64_t position = 0;
        CHECK(datalog_append(crowd->log, DATALOG_UPDATE, SPAN_LIT("w"), SPAN_LIT("some payload"),
                             &position) == 0);
        CHECK(position > crowd->last);
        crowd->last = position;
    }
    return NULL;
}

/* Readers run beside writers and see every record once, in order. */
static void many_threads_append_while_a_reader_follows(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct datalog_options options = options_of(&sim);
    options.pending_bytes_max = 500; /* submitters wait for each other */
    struct datalog *log = NULL;
    assert_int_equal(datalog_open(&options, &log), 0);
    struct crowd crowds[6] = {0};
    pthread_t threads[6];
    for (size_t i = 0; i < 6; i++) {
        crowds[i].log = log;
        assert_int_equal(pthread_create(&threads[i], NULL, append_many, &crowds[i]), 0);
    }
    struct datalog_reader *reader;
    assert_int_equal(datalog_reader_open(log, 1, &reader), 0);
    for (uint64_t position = 1; position <= 6 * 300; position++) {
        struct datalog_record record;
        assert_int_equal(datalog_wait(log, position, 120000), 0);
        assert_int_equal(datalog_read(reader, &record), 0);
        assert_true(record.position == position);
        if (position % 500 == 0) {
            assert_int_equal(datalog_trim(log, position / 2), 0);
        }
    }
    for (size_t i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
    }
    datalog_reader_close(&reader);
    datalog_close(&log);
    io_sim_deinit(&sim);
}

static void a_full_disk_refuses_and_resumes_by_itself(void **state)
{
    (void)state;
    struct io_sim sim;
    struct history history = {0};
    io_sim_init(&sim, 1);
    struct datalog_options options = options_of(&sim);
    struct datalog *log = NULL;
    assert_int_equal(datalog_open(&options, &log), 0);
    sim.space_bytes = 5000;
    uint64_t position = 0;
    int rc = 0;
    for (int i = 0; i < 20 && rc == 0; i++) {
        append_chain(log, &history, 1, 600);
        rc = history.attempts.items[history.attempts.count - 1].position == 0 ? -1 : 0;
    }
    assert_int_equal(rc, -1);
    char payload[600] = {0};
    assert_int_equal(
        datalog_append(log, DATALOG_UPDATE, SPAN_NONE, span_of(payload, 600), &position),
        ERR_NO_SPACE);
    assert_non_null(strstr(err_text(), "full"));
    check_against(log, &history, 1, false);
    sim.space_bytes = 100000;
    append_chain(log, &history, 5, 600);
    for (size_t i = 0; i < 5; i++) {
        assert_true(history.attempts.items[history.attempts.count - 1 - i].position > 0);
    }
    check_against(log, &history, 1, false);
    datalog_close(&log);
    io_sim_crash(&sim);
    reopen_and_check(&sim, &history, 1, false);
    vec_deinit(&history.attempts);
    io_sim_deinit(&sim);
}

static int keep_last(void *context, const char *name)
{
    buf_clear(context);
    buf_printf(context, "/log/%s", name);
    return 0;
}

static int keep_first(void *context, const char *name)
{
    return ((struct buf *)context)->bytes > 0 ? 0 : keep_last(context, name);
}

/* One flipped bit anywhere in the files costs at most one record, is counted, and what stands
 * behind it is read. */
static void a_flipped_bit_costs_at_most_its_record(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < 1500; at += 7) {
        struct io_sim sim;
        struct history history = {0};
        uint64_t flipped = at;
        io_sim_init(&sim, at);
        struct datalog_options options = options_of(&sim);
        struct datalog *log = NULL;
        assert_int_equal(datalog_open(&options, &log), 0);
        for (int i = 0; i < 14; i++) {
            append_chain(log, &history, 1, 100);
        }
        datalog_close(&log);
        struct buf path = {0};
        assert_int_equal(io_list(&sim.io, "/log", at % 2 == 0 ? keep_first : keep_last, &path), 0);
        while (!io_sim_flip(&sim, buf_str(&path), flipped, (uint8_t)(1 << at % 8))) {
            flipped /= 2;
        }
        buf_deinit(&path);
        assert_int_equal(datalog_open(&options, &log), 0);
        struct datalog_reader *reader;
        struct datalog_record record;
        uint64_t read = 0;
        uint64_t reports = 0;
        assert_int_equal(datalog_reader_open(log, 1, &reader), 0);
        for (int rc; (rc = datalog_read(reader, &record)) != DATALOG_END;) {
            if (rc == ERR_CORRUPT) {
                reports++;
                assert_non_null(strstr(err_text(), "/log/"));
            } else {
                assert_int_equal(rc, 0);
                (void)number_of(&history, &record);
                read++;
            }
        }
        assert_true(read >= 13);
        assert_true(read == 14 || reports == 1 || datalog_stats(log).damage.torn_bytes > 0);
        datalog_reader_close(&reader);
        /* Appending goes on. */
        uint64_t position = 0;
        assert_int_equal(datalog_append(log, DATALOG_UPDATE, SPAN_NONE, SPAN_NONE, &position), 0);
        datalog_close(&log);
        vec_deinit(&history.attempts);
        io_sim_deinit(&sim);
    }
}

/* A record larger than a file has a file of its own; one above the bound is refused. */
static void large_records_have_their_own_file(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct datalog_options options = options_of(&sim);
    struct datalog *log = NULL;
    assert_int_equal(datalog_open(&options, &log), 0);
    struct buf large = {0};
    uint64_t position = 0;
    make_payload(&large, 1, 1 << 20);
    assert_int_equal(datalog_append(log, DATALOG_UPDATE, SPAN_NONE, SPAN_LIT("a"), &position), 0);
    assert_int_equal(datalog_append(log, DATALOG_UPDATE, SPAN_NONE, buf_span(&large), &position),
                     0);
    assert_int_equal(datalog_append(log, DATALOG_UPDATE, SPAN_NONE, SPAN_LIT("b"), &position), 0);
    assert_int_equal((int)datalog_stats(log).segments, 3);
    struct datalog_reader *reader;
    struct datalog_record record;
    assert_int_equal(datalog_reader_open(log, 2, &reader), 0);
    assert_int_equal(datalog_read(reader, &record), 0);
    assert_true(span_equal(record.payload, buf_span(&large)));
    assert_int_equal(datalog_read(reader, &record), 0);
    datalog_reader_close(&reader);
    struct span too_large = {large.data, (size_t)DATALOG_PAYLOAD_BYTES_MAX + 1};
    assert_int_equal(datalog_append(log, DATALOG_UPDATE, SPAN_NONE, too_large, &position),
                     ERR_TOO_LARGE);
    buf_deinit(&large);
    datalog_close(&log);
    io_sim_deinit(&sim);
}

/* A reader whose records were trimmed hears so, and goes on at the first one that is there. */
static void a_reader_behind_the_trim_is_told(void **state)
{
    (void)state;
    struct io_sim sim;
    struct history history = {0};
    io_sim_init(&sim, 1);
    struct datalog_options options = options_of(&sim);
    struct datalog *log = NULL;
    assert_int_equal(datalog_open(&options, &log), 0);
    for (int i = 0; i < 40; i++) {
        append_chain(log, &history, 1, 300);
    }
    struct datalog_reader *reader;
    struct datalog_record record;
    assert_int_equal(datalog_reader_open(log, 1, &reader), 0);
    assert_int_equal(datalog_read(reader, &record), 0);
    assert_int_equal(datalog_trim(log, 30), 0);
    assert_true(datalog_first(log) > 20 && datalog_first(log) <= 30);
    int rc = datalog_read(reader, &record);
    assert_int_equal(rc, DATALOG_TRIMMED);
    assert_int_equal(datalog_read(reader, &record), 0);
    assert_true(record.position == datalog_first(log));
    datalog_reader_close(&reader);
    datalog_close(&log);
    vec_deinit(&history.attempts);
    io_sim_deinit(&sim);
}

/* After a rotation everything can be trimmed, and appending goes on. */
static void a_rotated_log_can_be_trimmed_to_its_end(void **state)
{
    (void)state;
    struct io_sim sim;
    struct history history = {0};
    io_sim_init(&sim, 1);
    struct datalog_options options = options_of(&sim);
    struct datalog *log = NULL;
    assert_int_equal(datalog_open(&options, &log), 0);
    append_chain(log, &history, 3, 100);
    assert_int_equal(datalog_trim(log, datalog_end(log)), 0);
    assert_true(datalog_first(log) == 1); /* the newest file stays */
    assert_int_equal(datalog_rotate(log), 0);
    assert_int_equal(datalog_rotate(log), 0); /* an empty file is new enough */
    assert_int_equal(datalog_trim(log, datalog_end(log)), 0);
    assert_true(datalog_first(log) == 4 && datalog_stats(log).segments == 1);
    append_chain(log, &history, 3, 100);
    datalog_close(&log);
    io_sim_crash(&sim);
    reopen_and_check(&sim, &history, 4, false);
    vec_deinit(&history.attempts);
    io_sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_synced_record_survives_any_one_failed_call),
        cmocka_unit_test(every_synced_record_survives_a_crash_at_any_call),
        cmocka_unit_test(reopening_continues_positions_and_origin),
        cmocka_unit_test(a_lost_log_begins_a_new_incarnation),
        cmocka_unit_test(a_received_record_keeps_its_origin),
        cmocka_unit_test(a_time_from_far_ahead_is_refused),
        cmocka_unit_test(own_records_from_elsewhere_are_known_or_a_conflict),
        cmocka_unit_test(a_hole_in_the_last_group_ends_the_log),
        cmocka_unit_test(a_damaged_header_forgets_no_origin),
        cmocka_unit_test(appends_handed_over_together_share_one_sync),
        cmocka_unit_test(many_threads_append_while_a_reader_follows),
        cmocka_unit_test(a_full_disk_refuses_and_resumes_by_itself),
        cmocka_unit_test(a_flipped_bit_costs_at_most_its_record),
        cmocka_unit_test(large_records_have_their_own_file),
        cmocka_unit_test(a_reader_behind_the_trim_is_told),
        cmocka_unit_test(a_rotated_log_can_be_trimmed_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
