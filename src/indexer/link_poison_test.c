/*
 * What cannot be applied is tried five times and set aside, with all that is needed to try once
 * more, and what comes behind it is taken. Peers that send garbage are named and survived. The peer
 * is a forwarder made by hand, over real sockets.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "indexer/link_series.h"
#include "indexer/replication.h"
#include "io/sim.h"
#include "warp10/refused.h"

#define SECRET "the secret of the tests"
#define DIR "/data/quarantine"

struct node {
    struct io_sim sim;
    struct storage *storage;
    struct replication *door;
};

static void start_node(struct node *node)
{
    static const struct storage_well well = {.name = STORAGE_WELL_DEFAULT,
                                             .location = "/data/default"};
    io_sim_init(&node->sim, 1);
    struct storage_options options = {
        .io = &node->sim.io,
        .node = {{1}},
        .datalog_dir = "/data/log",
        .tags_path = "/data/tags.dat",
        .wells = &well,
        .wells_count = 1,
        .manual = true,
        .begin_anew = true,
    };
    assert_int_equal(storage_open(&options, &node->storage), 0);
    struct replication_options replication = {
        .io = &node->sim.io,
        .storage = node->storage,
        .listens = true,
        .listen = {.scheme = INGEST_TCP, .host = "127.0.0.1"},
        .secret = SECRET,
        .quarantine_dir = DIR,
    };
    assert_int_equal(replication_start(&replication, &node->door), 0);
}

static void end_node(struct node *node)
{
    replication_stop(&node->door);
    storage_close(&node->storage);
    io_sim_deinit(&node->sim);
}

/* ---- a peer ---- */

static const struct datalog_origin peer_origin = {{{9}}, 77};

static void open_link(struct node *node, struct link *link)
{
    struct ingest_target target = {
        .scheme = INGEST_TCP, .host = "127.0.0.1", .port = replication_port(node->door)};
    struct ingest_stream_options options = {.connect_timeout_ms = 120000};
    struct ingest_stream *stream;
    assert_int_equal(ingest_stream_connect(&target, &options, &stream), 0);
    link_init(link, io_real(), stream);
}

static void greet(struct node *node, struct link *link)
{
    static const uint8_t random[REPLICATE_NONCE_BYTES];
    struct replicate_greeting greeting;
    struct replicate_members members = {0};
    struct replicate_places places = {0};
    struct replicate_self self = {.secret = span_of_str(SECRET),
                                  .origin = peer_origin,
                                  .members = &members,
                                  .places = &places};
    open_link(node, link);
    assert_int_equal(link_expect(link, -1), 0);
    assert_int_equal(
        replicate_hello(&greeting, &link->message, &self, SPAN_LIT("by hand"), random, &link->out),
        0);
    assert_int_equal(link_expect(link, -1), 0);
    assert_int_equal(replicate_check_welcome(&greeting, &link->message, &self), 0);
}

static struct span name_of(void *context, uint16_t tag)
{
    (void)context;
    (void)tag;
    return SPAN_LIT("t");
}

static void put_entry(struct buf *body, uint64_t position)
{
    struct buf payload = {0};
    char text[32];
    snprintf(text, sizeof(text), "entry %" PRIu64, position);
    struct entry entry = {.time_ns = (int64_t)position, .tag = 1, .data = span_of_str(text)};
    entries_encode(&payload, &entry, 1, name_of, NULL);
    struct replicate_record record = {
        .log_position = position,
        .head = {{peer_origin, position, position}, position - 1},
        .type = DATALOG_UPDATE,
        .well = SPAN_LIT("default"),
        .payload = buf_span(&payload),
    };
    replicate_record_put(body, &record);
    buf_deinit(&payload);
}

/* Its payload is none. */
static void put_poison(struct buf *body, uint64_t position)
{
    struct replicate_record record = {
        .log_position = position,
        .head = {{peer_origin, position, position}, position - 1},
        .type = DATALOG_UPDATE,
        .well = SPAN_LIT("default"),
        .payload = SPAN_LIT("no entries"),
    };
    replicate_record_put(body, &record);
}

/* What wrote it had a clock that is decades ahead. */
static void put_future(struct buf *body, uint64_t position)
{
    struct buf payload = {0};
    struct entry entry = {.time_ns = 1, .tag = 1, .data = SPAN_LIT("from far ahead")};
    entries_encode(&payload, &entry, 1, name_of, NULL);
    struct replicate_record record = {
        .log_position = position,
        .head = {{peer_origin, position, UINT64_C(4000000000000000000) + position}, position - 1},
        .type = DATALOG_UPDATE,
        .well = SPAN_LIT("default"),
        .payload = buf_span(&payload),
    };
    replicate_record_put(body, &record);
    buf_deinit(&payload);
}

/* How the link answers to records 1, 2 (which is poison) and 3: true when all are acknowledged. */
static bool send_three(struct node *node, void (*put_second)(struct buf *body, uint64_t position),
                       void (*put_third)(struct buf *body, uint64_t position))
{
    struct link link;
    struct buf body = {0};
    struct replicate_message message = {.type = REPLICATE_RECORDS};
    bool taken = false;
    greet(node, &link);
    put_entry(&body, 1);
    put_second(&body, 2);
    put_third(&body, 3);
    message.body = buf_span(&body);
    link_say(&link, &message, 1);
    while (!taken && link_expect(&link, -1) == 0 && link.message.type != REPLICATE_BEGIN_ANEW) {
        taken = link.message.type == REPLICATE_ACK && link.message.position == 3;
    }
    link_deinit(&link);
    buf_deinit(&body);
    return taken;
}

static bool send_records(struct node *node)
{
    return send_three(node, put_poison, put_entry);
}

static int keep_name(void *context, const char *name)
{
    char *kept = context;
    assert_true(kept[0] == '\0'); /* there is one */
    snprintf(kept, 64, "%s", name);
    return 0;
}

static uint64_t position_of_peer(struct node *node)
{
    return datalog_origin_position(storage_log(node->storage), peer_origin);
}

static void a_record_that_cannot_be_applied_is_set_aside(void **state)
{
    (void)state;
    struct node node;
    start_node(&node);
    for (int i = 1; i < LINK_POISON_TRIES; i++) {
        assert_false(send_records(&node));
        assert_true(position_of_peer(&node) == 1);
    }
    assert_true(send_records(&node));
    assert_true(position_of_peer(&node) == 3);
    assert_int_equal(storage_stats(node.storage).entries_accepted, 2);

    char name[64] = "";
    struct buf text = {0};
    struct refused_item item;
    assert_int_equal(refused_each(&node.sim.io, DIR, keep_name, name), 0);
    assert_int_equal(refused_get(&node.sim.io, DIR, name, &text, &item), 0);
    assert_int_equal(item.tries, LINK_POISON_TRIES);
    assert_true(span_equal(item.link, SPAN_LIT("by hand")));
    assert_true(item.reason.bytes > 0);
    assert_true(span_find(item.request, SPAN_LIT("record 2 of 09000000-")) > 0);
    assert_true(span_find(item.request, SPAN_LIT("no entries")) > 0);
    assert_true(link_poison_retry(&node.sim.io, node.storage, item.request) < 0);
    buf_deinit(&text);
    assert_true(send_records(&node)); /* known, all of it */
    end_node(&node);
}

static int count_one(void *context, const char *name)
{
    (void)name;
    ++*(unsigned *)context;
    return 0;
}

/* Records of a clock that is decades ahead do not make ours as late, and hold up nothing. */
static void records_from_far_ahead_are_set_aside_one_by_one(void **state)
{
    (void)state;
    struct node node;
    unsigned tries = 0;
    unsigned files = 0;
    start_node(&node);
    while (!send_three(&node, put_future, put_future) && tries < 20) {
        tries++;
    }
    assert_int_equal(position_of_peer(&node), 3);
    assert_int_equal(refused_each(&node.sim.io, DIR, count_one, &files), 0);
    assert_int_equal(files, 2);
    assert_int_equal(storage_stats(node.storage).entries_accepted, 1);
    end_node(&node);
}

/* A record that was set aside for a reason that has gone: it comes with the time it had. */
static void what_was_set_aside_is_applied_once_more(void **state)
{
    (void)state;
    struct node node;
    struct buf body = {0};
    struct replicate_record record;
    start_node(&node);
    struct link_poison *poison = link_poison_new(&node.sim.io, DIR);
    put_entry(&body, 5);
    struct span rest = buf_span(&body);
    assert_true(replicate_record_next(&rest, &record));
    for (int i = 1; i < LINK_POISON_TRIES; i++) {
        int rc = err_set(ERR_TOO_LARGE, "too many tags");
        assert_int_equal(link_poison_note(poison, &record, SPAN_NONE, "x", rc), ERR_TOO_LARGE);
        rc = err_set(ERR_NO_SPACE, "the disk is full"); /* no fault of the record */
        assert_int_equal(link_poison_note(poison, &record, SPAN_NONE, "x", rc), ERR_NO_SPACE);
    }
    int rc = err_set(ERR_TOO_LARGE, "too many tags");
    assert_int_equal(link_poison_note(poison, &record, SPAN_NONE, "x", rc), LINK_POISON_ASIDE);
    assert_true(link_poison_count(poison) == 1);

    char name[64] = "";
    struct buf text = {0};
    struct refused_item item;
    assert_int_equal(refused_each(&node.sim.io, DIR, keep_name, name), 0);
    assert_int_equal(refused_get(&node.sim.io, DIR, name, &text, &item), 0);
    assert_int_equal(link_poison_retry(&node.sim.io, node.storage, item.request), 0);
    assert_int_equal(storage_stats(node.storage).entries_accepted, 1);
    for (size_t cut = 0; cut < item.request.bytes; cut++) {
        struct span part = span_first(item.request, cut);
        void *copy = mem_dup(part.data, MAX(part.bytes, (size_t)1));
        assert_true(link_poison_retry(&node.sim.io, node.storage, span_of(copy, cut)) < 0);
        mem_free(copy);
    }
    assert_int_equal(storage_stats(node.storage).entries_accepted, 1);
    buf_deinit(&text);
    buf_deinit(&body);
    link_poison_free(&poison);
    end_node(&node);
}

/* Before and after it has proven itself; and the next one is served. */
static void a_peer_that_sends_garbage_is_dropped(void **state)
{
    (void)state;
    struct node node;
    start_node(&node);
    uint8_t garbage[5000];
    for (size_t i = 0; i < sizeof(garbage); i++) {
        garbage[i] = (uint8_t)(i * 31 + 7);
    }
    for (int round = 0; round < 4; round++) {
        struct link link;
        if (round % 2 == 0) {
            open_link(&node, &link);
        } else {
            greet(&node, &link);
        }
        if (round < 2) {
            buf_append(&link.out, span_of(garbage, sizeof(garbage)));
        } else { /* whole messages that are not due */
            struct replicate_message message = {.type = REPLICATE_ACK};
            link_say(&link, &message, 0);
        }
        int rc;
        while ((rc = link_expect(&link, -1)) == 0 &&
               (link.message.type == REPLICATE_ACK || link.message.type == REPLICATE_CHALLENGE)) {}
        assert_true(rc == ERR_UNAVAILABLE || rc == ERR_IO ||
                    (rc == 0 && link.message.text.bytes > 0));
        link_deinit(&link);
    }
    struct link link;
    greet(&node, &link);
    link_deinit(&link);
    end_node(&node);
}

/* Sends these records, each of which follows on the one before it in the origin. Whether all are
 * acknowledged; else the reason is in `reason`. */
static bool send_positions(struct node *node, const uint64_t *positions, char reason[256])
{
    struct link link;
    struct buf body = {0};
    struct replicate_message message = {.type = REPLICATE_RECORDS};
    uint64_t last = 0;
    bool taken = false;
    greet(node, &link);
    for (; *positions != 0; positions++) {
        put_entry(&body, *positions);
        last = *positions;
    }
    message.body = buf_span(&body);
    link_say(&link, &message, 1);
    while (!taken && link_expect(&link, -1) == 0 && link.message.type != REPLICATE_BEGIN_ANEW) {
        taken = link.message.type == REPLICATE_ACK && link.message.position == last;
    }
    if (!taken) {
        snprintf(reason, 256, "%.*s", SPAN_ARG(link.message.text));
    }
    link_deinit(&link);
    buf_deinit(&body);
    return taken;
}

/* Batches that come again, too early, or in another order; of an origin that nobody knew. */
static void what_comes_again_or_too_early_changes_nothing(void **state)
{
    (void)state;
    struct node node;
    char reason[256] = "";
    start_node(&node);
    assert_false(send_positions(&node, (const uint64_t[]){2, 1, 0}, reason));
    assert_non_null(strstr(reason, "missing"));
    assert_true(position_of_peer(&node) <= 1); /* the second came in its order */
    assert_true(send_positions(&node, (const uint64_t[]){1, 2, 3, 0}, reason));
    assert_true(send_positions(&node, (const uint64_t[]){1, 2, 3, 0}, reason)); /* replayed */
    assert_true(send_positions(&node, (const uint64_t[]){2, 2, 3, 3, 4, 0}, reason));
    assert_false(send_positions(&node, (const uint64_t[]){6, 7, 0}, reason));
    assert_non_null(strstr(reason, "missing"));
    assert_true(position_of_peer(&node) == 4);
    assert_int_equal(storage_stats(node.storage).entries_accepted, 4);
    end_node(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_that_cannot_be_applied_is_set_aside),
        cmocka_unit_test(records_from_far_ahead_are_set_aside_one_by_one),
        cmocka_unit_test(what_was_set_aside_is_applied_once_more),
        cmocka_unit_test(a_peer_that_sends_garbage_is_dropped),
        cmocka_unit_test(what_comes_again_or_too_early_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
