/*
 * Random lives of producers, a topic and a reader: pieces of several origins in several
 * partitions, producers that are killed and write again (also divided otherwise), a topic that
 * forgets its beginning, a reader that is killed and goes on at the offsets it kept, other links
 * that bring what is missing, and hardly any memory. Claimed: each record is handed over once,
 * whole, in the order of its origin; nothing needed lies before the offsets; what is there arrives.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/vec.h"
#include "kafka/gather.h"

#define ORIGINS 3
#define RECORDS 40
#define PARTITIONS_MAX 4
#define PARTS_MAX 3
#define WINDOW 6
#define PART_BYTES 60
#define MEMORY_ENOUGH 100000

static uint64_t chance_state;

static uint64_t below(uint64_t bound)
{
    uint64_t z = (chance_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % bound;
}

/* ---- the topic ---- */

struct message {
    struct kafka_piece piece;
    uint8_t bytes[PART_BYTES];
};

struct partition {
    VEC(struct message) log;
    int64_t first; /* what is before it is forgotten */
};

/* A producer: what it has made is in queues, then in the topic. */
struct producer {
    uint64_t made, acknowledged;
    uint32_t partitions;
    VEC(struct message) queue[PARTITIONS_MAX];
    size_t at[PARTITIONS_MAX];
};

struct world {
    struct partition topic[PARTITIONS_MAX];
    struct producer producers[ORIGINS];
    struct kafka_gather *gather;
    uint64_t waiting_max;
    uint64_t durable[ORIGINS], submitted[ORIGINS];
    int64_t at[PARTITIONS_MAX], kept[PARTITIONS_MAX];
    uint64_t handed, rewinds, known, gaps;
};

static struct datalog_origin origin_of(unsigned number)
{
    return (struct datalog_origin){{{(uint8_t)(number + 1)}}, 7};
}

/* What part `part` of a record has, however it was divided. */
static uint8_t byte_of(unsigned origin, uint64_t position, unsigned part, size_t i)
{
    return (uint8_t)(origin * 31 + position * 7 + part * 3 + i);
}

static unsigned parts_of(uint64_t position, uint32_t partitions)
{
    return 1 + (unsigned)((position * 13) % MIN(PARTS_MAX, partitions));
}

static uint32_t bytes_of(uint64_t position, unsigned part)
{
    return 1 + (uint32_t)((position * 17 + part * 5) % PART_BYTES);
}

static void produce(struct world *world, unsigned number)
{
    struct producer *producer = &world->producers[number];
    uint64_t position = ++producer->made;
    unsigned parts = parts_of(position, producer->partitions);
    for (unsigned part = 0; part < parts; part++) {
        unsigned to = (unsigned)(position + part) % producer->partitions;
        uint32_t all = bytes_of(position, part);
        uint32_t size = 1 + (uint32_t)below(PART_BYTES);
        for (uint32_t offset = 0; offset < all; offset += size) {
            struct message message = {
                .piece = {.place = {origin_of(number), position, position * 10},
                          .partitions = producer->partitions,
                          .part = (uint16_t)part,
                          .parts = (uint16_t)parts,
                          .part_bytes = all,
                          .offset = offset,
                          .bytes = {NULL, MIN(size, all - offset)}}};
            for (size_t i = 0; i < message.piece.bytes.bytes; i++) {
                message.bytes[i] = byte_of(number, position, part, offset + i);
            }
            vec_push(&producer->queue[to], message);
        }
    }
}

/* Everything of a record, and of all before it, has left the queues. */
static void acknowledge(struct producer *producer)
{
    producer->acknowledged = producer->made;
    for (unsigned p = 0; p < PARTITIONS_MAX; p++) {
        if (producer->at[p] < producer->queue[p].count) {
            uint64_t position = producer->queue[p].items[producer->at[p]].piece.place.position;
            producer->acknowledged = MIN(producer->acknowledged, position - 1);
        }
    }
}

static void drop_queues(struct producer *producer)
{
    for (unsigned p = 0; p < PARTITIONS_MAX; p++) {
        vec_clear(&producer->queue[p]);
        producer->at[p] = 0;
    }
}

static void move_producer(struct world *world, unsigned number)
{
    struct producer *producer = &world->producers[number];
    unsigned p = (unsigned)below(PARTITIONS_MAX);
    if (below(60) == 0) { /* killed: it knows a little less than what was acknowledged */
        acknowledge(producer);
        drop_queues(producer);
        producer->acknowledged -= below(MIN(producer->acknowledged, 3) + 1);
        producer->made = producer->acknowledged;
        uint32_t partitions = 2 + (uint32_t)below(3);
        producer->partitions = MAX(producer->partitions, partitions);
    } else if (producer->at[p] < producer->queue[p].count) {
        vec_push(&world->topic[p].log, producer->queue[p].items[producer->at[p]++]);
        acknowledge(producer);
    } else if (producer->made < RECORDS && producer->made - producer->acknowledged < WINDOW) {
        produce(world, number);
    }
}

/* ---- the reader ---- */

static uint64_t position_of(void *context, struct datalog_origin origin)
{
    const struct world *world = context;
    return world->durable[origin.node.bytes[0] - 1];
}

static void begin_reading(struct world *world)
{
    for (unsigned p = 0; p < PARTITIONS_MAX; p++) {
        world->at[p] = MAX(world->at[p], 0);
        kafka_gather_begin(world->gather, p, world->at[p]);
    }
}

static void open_reader(struct world *world)
{
    struct kafka_gather_options options = {.waiting_bytes_max = world->waiting_max,
                                           .marks_max = world->waiting_max < MEMORY_ENOUGH ? 8 : 0,
                                           .position_of = position_of,
                                           .context = world};
    world->gather = kafka_gather_new(&options);
    memcpy(world->at, world->kept, sizeof(world->at));
    memcpy(world->submitted, world->durable, sizeof(world->submitted));
    begin_reading(world);
}

/* Everything handed over is durable before that. */
static void rewind_reader(struct world *world)
{
    world->rewinds++;
    for (unsigned o = 0; o < ORIGINS; o++) {
        world->durable[o] = MAX(world->durable[o], world->submitted[o]);
        kafka_gather_durable(world->gather, origin_of(o), world->durable[o]);
    }
    kafka_gather_clear(world->gather);
    for (unsigned p = 0; p < PARTITIONS_MAX; p++) {
        world->at[p] = kafka_gather_offset(world->gather, p);
    }
    begin_reading(world);
}

static void check_whole(struct world *world, const struct kafka_whole *whole)
{
    unsigned number = whole->place.origin.node.bytes[0] - 1u;
    uint64_t position = whole->place.position;
    assert_true(whole->place.time == position * 10);
    assert_int_equal(whole->parts, parts_of(position, whole->partitions));
    for (unsigned part = 0; part < whole->parts; part++) {
        assert_int_equal(whole->part[part].bytes, bytes_of(position, part));
        for (size_t i = 0; i < whole->part[part].bytes; i++) {
            assert_int_equal(whole->part[part].data[i], byte_of(number, position, part, i));
        }
    }
    if (position <= world->durable[number]) {
        world->known++; /* another link was faster: the datalog says so */
        world->submitted[number] = MAX(world->submitted[number], world->durable[number]);
        return;
    }
    world->submitted[number] = MAX(world->submitted[number], world->durable[number]);
    assert_true(position == world->submitted[number] + 1); /* once, in order */
    world->submitted[number] = position;
    world->handed++;
}

static void hand_over(struct world *world)
{
    struct kafka_whole whole;
    while (kafka_gather_next(world->gather, &whole)) {
        check_whole(world, &whole);
        kafka_gather_handed(world->gather);
    }
}

static void read_one(struct world *world, unsigned p)
{
    struct partition *partition = &world->topic[p];
    world->at[p] = MAX(world->at[p], partition->first);
    if (world->at[p] >= (int64_t)partition->log.count) {
        return;
    }
    int64_t offset = world->at[p]++;
    struct message message = partition->log.items[offset];
    message.piece.bytes.data = message.bytes;
    int rc = kafka_gather_take(world->gather, &message.piece, p, offset);
    assert_true(rc >= 0);
    hand_over(world);
    assert_true(kafka_gather_waiting_bytes(world->gather) <= world->waiting_max);
    if (rc == KAFKA_GATHER_REWIND) {
        rewind_reader(world);
    }
}

static void move_reader(struct world *world)
{
    unsigned o = (unsigned)below(ORIGINS);
    uint64_t late;
    switch (below(12)) {
    case 0: /* durable as far as it was handed over, or less */
        late = below(MIN(world->submitted[o], 2) + 1);
        world->durable[o] = MAX(world->durable[o], world->submitted[o] - late);
        kafka_gather_durable(world->gather, origin_of(o), world->durable[o]);
        break;
    case 1:
        for (unsigned p = 0; p < PARTITIONS_MAX; p++) {
            world->kept[p] = kafka_gather_offset(world->gather, p);
        }
        break;
    case 2: /* killed */
        if (below(20) == 0) {
            kafka_gather_free(&world->gather);
            open_reader(world);
        }
        break;
    case 3: /* another link */
        if (below(20) == 0 && world->durable[o] < world->producers[o].acknowledged) {
            world->durable[o]++;
        }
        break;
    case 4:
        if (kafka_gather_look(world->gather) == KAFKA_GATHER_REWIND) {
            rewind_reader(world);
        }
        hand_over(world);
        break;
    default:
        read_one(world, (unsigned)below(PARTITIONS_MAX));
    }
}

static bool is_read(const struct world *world)
{
    bool all = true;
    for (unsigned p = 0; p < PARTITIONS_MAX; p++) {
        all = all && world->at[p] >= (int64_t)world->topic[p].log.count;
    }
    return all;
}

/* Everything is written and read; what is missing comes over another link. */
static void finish(struct world *world)
{
    struct kafka_missing missing;
    for (bool more = true; more;) {
        more = false;
        for (unsigned o = 0; o < ORIGINS; o++) {
            move_producer(world, o);
            more = more || world->producers[o].acknowledged < RECORDS;
        }
    }
    for (unsigned rounds = 0; rounds < 2000; rounds++) {
        while (!is_read(world)) {
            read_one(world, (unsigned)below(PARTITIONS_MAX));
        }
        if (kafka_gather_look(world->gather) == KAFKA_GATHER_REWIND) {
            rewind_reader(world);
            continue;
        }
        hand_over(world);
        if (!kafka_gather_missing(world->gather, &missing)) {
            break;
        }
        unsigned o = missing.origin.node.bytes[0] - 1u;
        world->gaps++;
        assert_true(missing.first == MAX(world->submitted[o], world->durable[o]) + 1);
        world->durable[o] = MAX(world->durable[o], missing.last);
    }
    bool forgot = false; /* the end of an origin may be, too */
    for (unsigned p = 0; p < PARTITIONS_MAX; p++) {
        forgot = forgot || world->topic[p].first > 0;
    }
    for (unsigned o = 0; o < ORIGINS; o++) {
        assert_true(forgot || MAX(world->submitted[o], world->durable[o]) == RECORDS);
    }
    assert_true(forgot || world->waiting_max < MEMORY_ENOUGH || world->gaps == 0);
}

static void run_life(uint64_t seed, struct world *sums)
{
    struct world world = {0};
    chance_state = seed;
    bool forgets = below(3) == 0;
    world.waiting_max = below(2) == 0 ? 1200 + below(1000) : MEMORY_ENOUGH;
    for (unsigned o = 0; o < ORIGINS; o++) {
        world.producers[o].partitions = 2;
    }
    open_reader(&world);
    for (unsigned i = 0; i < 3000; i++) {
        move_producer(&world, (unsigned)below(ORIGINS));
        move_reader(&world);
        if (forgets && below(500) == 0) {
            struct partition *partition = &world.topic[below(PARTITIONS_MAX)];
            int64_t first = (int64_t)below(partition->log.count + 1);
            partition->first = MAX(partition->first, first);
        }
    }
    finish(&world);
    sums->handed += world.handed;
    sums->rewinds += world.rewinds;
    sums->known += world.known;
    sums->gaps += world.gaps;
    kafka_gather_free(&world.gather);
    for (unsigned p = 0; p < PARTITIONS_MAX; p++) {
        vec_deinit(&world.topic[p].log);
        for (unsigned o = 0; o < ORIGINS; o++) {
            vec_deinit(&world.producers[o].queue[p]);
        }
    }
}

static void random_lives_hand_each_record_over_once(void **state)
{
    (void)state;
    struct world sums = {0};
    const char *seeds = getenv("AQUIFER_SEEDS");
    uint64_t count = seeds != NULL ? strtoull(seeds, NULL, 10) : 100;
    for (uint64_t seed = 1; seed <= count; seed++) {
        run_life(seed, &sums);
    }
    print_message("%" PRIu64 " handed over, %" PRIu64 " rewinds, %" PRIu64 " known, %" PRIu64
                  " gaps\n",
                  sums.handed, sums.rewinds, sums.known, sums.gaps);
    assert_true(sums.handed > 0 && sums.rewinds > 0 && sums.gaps > 0);
}

/* ---- single promises ---- */

static uint64_t nothing_yet(void *context, struct datalog_origin origin)
{
    (void)context;
    (void)origin;
    return 0;
}

static struct kafka_gather *new_gather(uint64_t waiting_max)
{
    struct kafka_gather_options options = {.waiting_bytes_max = waiting_max,
                                           .position_of = nothing_yet};
    return kafka_gather_new(&options);
}

static struct kafka_piece piece_of(uint64_t position, uint16_t part, uint16_t parts)
{
    return (struct kafka_piece){.place = {origin_of(0), position, position},
                                .partitions = 2,
                                .part = part,
                                .parts = parts,
                                .part_bytes = 4,
                                .bytes = SPAN_LIT("data")};
}

static void an_offset_moves_only_behind_what_is_durable(void **state)
{
    (void)state;
    struct kafka_gather *gather = new_gather(0);
    struct kafka_piece first = piece_of(1, 0, 2);
    struct kafka_piece second = piece_of(1, 1, 2);
    struct kafka_whole whole;
    kafka_gather_begin(gather, 0, 10);
    kafka_gather_begin(gather, 1, 20);
    assert_int_equal(kafka_gather_take(gather, &first, 0, 10), 0);
    assert_false(kafka_gather_next(gather, &whole));
    kafka_gather_pass(gather, 0, 11);
    assert_int_equal(kafka_gather_take(gather, &second, 1, 25), 0);
    assert_true(kafka_gather_next(gather, &whole));
    kafka_gather_handed(gather);
    assert_int_equal(kafka_gather_offset(gather, 0), 10);
    assert_int_equal(kafka_gather_offset(gather, 1), 25);
    kafka_gather_durable(gather, origin_of(0), 1);
    assert_int_equal(kafka_gather_offset(gather, 0), 12);
    assert_int_equal(kafka_gather_offset(gather, 1), 26);
    assert_int_equal(kafka_gather_waiting_bytes(gather), 0);
    kafka_gather_free(&gather);
}

static void a_gap_is_named_and_set_aside_until_it_is_filled(void **state)
{
    (void)state;
    struct kafka_gather *gather = new_gather(1000);
    struct kafka_missing missing;
    kafka_gather_begin(gather, 0, 0);
    assert_false(kafka_gather_missing(gather, &missing));
    for (uint64_t i = 5; i < 100; i++) {
        struct kafka_piece piece = piece_of(i, 0, 1);
        assert_int_equal(kafka_gather_take(gather, &piece, 0, (int64_t)i), 0);
        assert_true(kafka_gather_missing(gather, &missing));
        assert_true(missing.first == 1 && missing.last == 4);
    }
    assert_true(missing.aside && kafka_gather_waiting_bytes(gather) == 0);
    assert_int_equal(kafka_gather_look(gather), 0);
    struct kafka_piece needed = piece_of(1, 0, 1);
    assert_int_equal(kafka_gather_take(gather, &needed, 0, 100), KAFKA_GATHER_REWIND);
    kafka_gather_clear(gather);
    assert_int_equal(kafka_gather_offset(gather, 0), 5);
    kafka_gather_free(&gather);
}

/* Or a gap that stays for days would keep a mark of every message since. */
static void what_is_set_aside_holds_no_messages_of_others(void **state)
{
    (void)state;
    struct kafka_gather *gather = new_gather(0);
    struct kafka_missing missing;
    struct kafka_piece piece = piece_of(5, 0, 1);
    kafka_gather_begin(gather, 0, 0);
    assert_int_equal(kafka_gather_take(gather, &piece, 0, 7), 0);
    kafka_gather_set_aside(gather, origin_of(0));
    assert_true(kafka_gather_missing(gather, &missing) && missing.aside);
    assert_true(missing.first == 1 && missing.last == 4);
    assert_int_equal(kafka_gather_waiting_bytes(gather), 0);
    piece.place.origin = origin_of(1);
    piece.place.position = 1;
    assert_int_equal(kafka_gather_take(gather, &piece, 0, 8), 0);
    struct kafka_whole whole;
    assert_true(kafka_gather_next(gather, &whole));
    kafka_gather_handed(gather);
    kafka_gather_durable(gather, origin_of(1), 1);
    assert_int_equal(kafka_gather_offset(gather, 0), 7); /* it is read again */
    assert_int_equal(kafka_gather_look(gather), 0);
    kafka_gather_durable(gather, origin_of(0), 4); /* another link */
    assert_int_equal(kafka_gather_look(gather), KAFKA_GATHER_REWIND);
    kafka_gather_free(&gather);
}

static void a_piece_that_contradicts_its_record_is_refused(void **state)
{
    (void)state;
    struct kafka_gather *gather = new_gather(0);
    struct kafka_piece first = piece_of(2, 0, 2);
    struct kafka_piece other = piece_of(2, 0, 3);
    kafka_gather_begin(gather, 0, 0);
    assert_int_equal(kafka_gather_take(gather, &first, 0, 0), 0);
    assert_int_equal(kafka_gather_take(gather, &other, 0, 1), ERR_PROTOCOL);
    other = first;
    other.part_bytes = 5;
    assert_int_equal(kafka_gather_take(gather, &other, 0, 2), ERR_PROTOCOL);
    assert_int_equal(kafka_gather_offset(gather, 0), 0);
    kafka_gather_begin(gather, 1, 7);
    assert_int_equal(kafka_gather_take(gather, &other, 1, 7), ERR_PROTOCOL);
    assert_int_equal(kafka_gather_offset(gather, 1), 7); /* it is to be put somewhere first */
    kafka_gather_pass(gather, 1, 7);
    assert_int_equal(kafka_gather_offset(gather, 1), 8);
    assert_int_equal(kafka_gather_take(gather, &other, 1, 8), ERR_PROTOCOL);
    kafka_gather_pass(gather, 1, 8);
    kafka_gather_pass(gather, 1, 9);
    assert_int_equal(kafka_gather_offset(gather, 1), 10);
    kafka_gather_free(&gather);
}

static uint64_t nothing_is_durable(void *context, struct datalog_origin origin)
{
    (void)context;
    (void)origin;
    return 0;
}

/* A topic that has forgotten the beginnings, or somebody who sends none. */
static void pieces_without_a_beginning_take_bounded_memory(void **state)
{
    (void)state;
    struct kafka_gather_options options = {.waiting_bytes_max = MEMORY_ENOUGH,
                                           .position_of = nothing_is_durable};
    struct kafka_gather *gather = kafka_gather_new(&options);
    struct kafka_missing missing;
    uint64_t most = 0;
    for (uint64_t i = 0; i < 100; i++) {
        struct kafka_piece piece = {.place = {origin_of(0), i + 2, 5},
                                    .partitions = 1000,
                                    .parts = 1000,
                                    .part_bytes = 10,
                                    .offset = 5,
                                    .bytes = SPAN_LIT("world")};
        assert_int_equal(kafka_gather_take(gather, &piece, 0, (int64_t)i), 0);
        most = MAX(most, kafka_gather_waiting_bytes(gather));
    }
    assert_true(most > 0 && most <= MEMORY_ENOUGH);
    assert_true(kafka_gather_missing(gather, &missing) && missing.aside);
    kafka_gather_free(&gather);
}

static void more_origins_than_there_can_be_are_refused(void **state)
{
    (void)state;
    struct kafka_gather_options options = {.position_of = nothing_is_durable};
    struct kafka_gather *gather = kafka_gather_new(&options);
    struct kafka_piece piece = piece_of(1, 0, 2);
    for (uint64_t i = 0; i <= KAFKA_ORIGINS_MAX; i++) {
        piece.place.origin.incarnation = i;
        int rc = kafka_gather_take(gather, &piece, 0, (int64_t)i);
        assert_int_equal(rc, i < KAFKA_ORIGINS_MAX ? 0 : ERR_TOO_LARGE);
    }
    kafka_gather_pass(gather, 0, KAFKA_ORIGINS_MAX);
    piece = piece_of(1, 1, 2);
    piece.place.origin.incarnation = 5;
    struct kafka_whole whole;
    assert_int_equal(kafka_gather_take(gather, &piece, 0, KAFKA_ORIGINS_MAX + 1), 0);
    assert_true(kafka_gather_next(gather, &whole)); /* the others go on */
    kafka_gather_free(&gather);
}

/* A piece whose others never come: it holds the offset, not a mark of each message since. */
static void what_waits_at_the_front_is_set_aside_before_the_marks_fill_the_memory(void **state)
{
    (void)state;
    struct kafka_gather_options options = {.marks_max = 100, .position_of = nothing_is_durable};
    struct kafka_gather *gather = kafka_gather_new(&options);
    struct kafka_missing missing;
    struct kafka_piece piece = piece_of(1, 0, 2);
    assert_int_equal(kafka_gather_take(gather, &piece, 0, 0), 0);
    piece.place.origin = origin_of(1);
    assert_int_equal(kafka_gather_take(gather, &piece, 0, 1), 0);
    for (int64_t offset = 2; offset < 1000; offset++) {
        kafka_gather_pass(gather, 0, offset);
        assert_true(kafka_gather_missing(gather, &missing));
        assert_int_equal(missing.aside, offset >= 100);
    }
    assert_int_equal(kafka_gather_waiting_bytes(gather), 0);
    assert_int_equal(kafka_gather_offset(gather, 0), 0); /* from where it is read again */
    kafka_gather_free(&gather);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_without_a_beginning_take_bounded_memory),
        cmocka_unit_test(more_origins_than_there_can_be_are_refused),
        cmocka_unit_test(what_waits_at_the_front_is_set_aside_before_the_marks_fill_the_memory),
        cmocka_unit_test(random_lives_hand_each_record_over_once),
        cmocka_unit_test(an_offset_moves_only_behind_what_is_durable),
        cmocka_unit_test(a_gap_is_named_and_set_aside_until_it_is_filled),
        cmocka_unit_test(what_is_set_aside_holds_no_messages_of_others),
        cmocka_unit_test(a_piece_that_contradicts_its_record_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
