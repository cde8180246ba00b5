/*
 * Seeded lives: a storage takes entries, flushes, merges, deletes what is old, is stopped and
 * started, loses power at any moment, meets faults and a full disk, for some hundred steps, and
 * keeps its promises at every check (world.h). A disk that lies must be noticed: that is what the
 * lives are worth.
 *
 * AQUIFER_SEEDS=n runs that many lives, AQUIFER_SEED=s repeats one and tells it; `make lives`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/time.h"
#include "world.h"

#define SEEDS_DEFAULT 10
#define SEEDS_TO_NOTICE_A_LIE 400
#define STEPS_MAX 120

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    uint64_t number;
    return text != NULL && span_to_u64(span_of_str(text), &number) ? number : otherwise;
}

/* The config changes only then. */
static void restart(struct world *world, bool crashes)
{
    if (one_in(&world->chance, 8)) {
        world->sys_away = !world->sys_away;
    }
    world_restart(world, crashes);
}

static void make_trouble(struct world *world)
{
    struct io_sim *sim = &world->disk.sim;
    switch (below(&world->chance, 8)) {
    case 0:
    case 1:
    case 2:
        sim->fail_at = sim->calls + 1 + below(&world->chance, 60);
        sim->fail_with = one_in(&world->chance, 3) ? ERR_NO_SPACE : ERR_IO;
        world->troubled = true;
        world->tally.faults++;
        world_say(world, "call %" PRIu64 " shall fail with %s", sim->fail_at,
                  err_name(sim->fail_with));
        break;
    case 3:
    case 4:
        sim->crash_at = sim->calls + 1 + below(&world->chance, 60);
        world->troubled = true;
        world_say(world, "the power shall go at call %" PRIu64, sim->crash_at);
        break;
    case 5:
    case 6:
        sim->space_bytes = io_sim_used(sim) + below(&world->chance, 30000);
        world->tally.full++;
        world_say(world, "the disk is full in %" PRIu64 " bytes",
                  sim->space_bytes - io_sim_used(sim));
        break;
    default:
        restart(world, true);
        break;
    }
}

static void pass_time(struct world *world)
{
    int64_t hours = (int64_t)below(&world->chance, 60) - 6; /* clocks are set back too */
    if (world->points.unsure && hours < 0) {
        hours = -hours;
    }
    world->disk.sim.now_ns += hours * (TIME_DAY_NS / 24);
    world_say(world, "%" PRId64 " hours pass", hours);
}

static void step(struct world *world)
{
    uint64_t what = below(&world->chance, 100);
    if (what < 25) {
        world_append(world, 1 + below(&world->chance, 30));
    } else if (what < 38) {
        points_append(world, 1 + below(&world->chance, 24));
    } else if (what < 42) {
        points_remove(world);
    } else if (what < 45) {
        points_change(world);
    } else if (what < 60) {
        world_work(world);
    } else if (what < 77) {
        world_flush(world);
    } else if (what < 87) {
        make_trouble(world);
    } else if (what < 90) {
        restart(world, false);
    } else if (what < 92) {
        pass_time(world);
    } else if (what < 94) {
        world_calm(world);
    } else {
        world_check(world, false);
    }
    if (world->disk.sim.off) {
        restart(world, true);
    }
}

static void end_well(struct world *world)
{
    world_calm(world);
    world_check(world, false);
    world_restart(world, false);
    world_restart(world, true);
}

static void live_believing(struct world *world, uint64_t seed, enum lie lie, enum belief belief,
                           bool trace)
{
    world_init(world, seed, lie);
    world->trace = trace;
    world->belief = belief;
    world->received_too = true;
    size_t steps = 20 + below(&world->chance, STEPS_MAX - 20);
    if (world_open(world)) {
        for (size_t i = 0; i < steps && world->wrong[0] == 0; i++) {
            step(world);
        }
    }
    if (world->wrong[0] == 0) {
        end_well(world);
    }
}

static void live(struct world *world, uint64_t seed, enum lie lie, bool trace)
{
    live_believing(world, seed, lie, BELIEF_RIGHT, trace);
}

static void add_tally(struct tally *sum, const struct tally *tally)
{
    const uint64_t *from = (const uint64_t *)tally;
    uint64_t *to = (uint64_t *)sum;
    for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++) {
        to[i] += from[i];
    }
}

static void print_tally(const struct tally *sum)
{
    printf("lines %" PRIu64 " (acknowledged %" PRIu64 ", refused %" PRIu64 "), opens %" PRIu64
           " (failed %" PRIu64 "), crashes %" PRIu64 ", faults %" PRIu64 ", full disks %" PRIu64
           ", flushes %" PRIu64 ", merges %" PRIu64 ", drops %" PRIu64 ", checks %" PRIu64
           " (scans that failed %" PRIu64 ", lines seen %" PRIu64 "), points %" PRIu64
           " (seen %" PRIu64 "), deletes %" PRIu64 "\n",
           sum->lines, sum->acked, sum->refused, sum->opens, sum->opens_failed, sum->crashes,
           sum->faults, sum->full, sum->flushes, sum->merges, sum->drops, sum->checks,
           sum->scans_failed, sum->seen, sum->points, sum->points_seen, sum->deletes);
}

static void lives_keep_every_promise(void **state)
{
    (void)state;
    bool one = getenv("AQUIFER_SEED") != NULL;
    uint64_t first = setting("AQUIFER_SEED", setting("AQUIFER_FIRST_SEED", 1));
    uint64_t seeds = one ? 1 : setting("AQUIFER_SEEDS", SEEDS_DEFAULT);
    struct tally sum = {0};
    size_t wrong = 0;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        struct world world;
        live(&world, seed, LIE_NONE, one);
        if (world.wrong[0] != 0) {
            wrong++;
            printf("AQUIFER_SEED=%" PRIu64 ": %s\n", seed, world.wrong);
        }
        add_tally(&sum, &world.tally);
        world_deinit(&world);
    }
    print_tally(&sum);
    assert_int_equal(wrong, 0);
}

static void a_disk_that_lies_is_noticed(void **state)
{
    (void)state;
    size_t missed = 0;
    for (enum lie lie = LIE_NONE + 1; lie < LIES; lie++) {
        uint64_t seed = lie == LIE_MARK ? 56 : lie == LIE_TAGS_SYNC ? 33 : 0; /* saves time */
        bool noticed = false;
        char wrong[sizeof(((struct world *)NULL)->wrong)];
        while (!noticed && seed < SEEDS_TO_NOTICE_A_LIE) {
            struct world world;
            live(&world, ++seed, lie, false);
            noticed = world.wrong[0] != 0;
            memcpy(wrong, world.wrong, sizeof(wrong));
            world_deinit(&world);
        }
        printf("lie \"%s\": %s %" PRIu64 ": %s\n", liar_name(lie),
               noticed ? "noticed in life" : "NOT noticed until life", seed, wrong);
        missed += noticed ? 0 : 1;
    }
    assert_int_equal(missed, 0);
}

/* The other way round: who believes that the last write to arrive stands, or that deletes cover
 * nothing, must find the storage wrong. */
static void wrong_beliefs_are_noticed(void **state)
{
    (void)state;
    for (enum belief belief = BELIEF_RIGHT + 1; belief < BELIEFS; belief++) {
        bool noticed = false;
        for (uint64_t seed = 1; !noticed && seed <= SEEDS_TO_NOTICE_A_LIE; seed++) {
            struct world world;
            live_believing(&world, seed, LIE_NONE, belief, false);
            noticed = world.wrong[0] != 0;
            printf("%s", noticed ? world.wrong : "");
            world_deinit(&world);
        }
        printf("\n");
        assert_true(noticed);
    }
}

static void a_seed_gives_the_same_life_again(void **state)
{
    (void)state;
    struct world one;
    struct world two;
    live(&one, 42, LIE_NONE, false);
    uint64_t calls = one.disk.sim.calls;
    world_deinit(&one);
    live(&two, 42, LIE_NONE, false);
    assert_true(two.disk.sim.calls == calls && calls > 1000);
    assert_true(two.chance.state == one.chance.state);
    assert_memory_equal(&one.tally, &two.tally, sizeof(one.tally));
    world_deinit(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_gives_the_same_life_again),
        cmocka_unit_test(lives_keep_every_promise),
        cmocka_unit_test(a_disk_that_lies_is_noticed),
        cmocka_unit_test(wrong_beliefs_are_noticed),
    };
    if (getenv("AQUIFER_SEED") != NULL || getenv("AQUIFER_SEEDS") != NULL) {
        cmocka_set_test_filter("lives_keep*");
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
