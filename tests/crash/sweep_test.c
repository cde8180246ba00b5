/*
 * One life, in which in turn each single call to the disk fails: with a fault (a write does a part
 * of its work), for want of space, or because the power goes. Whatever fails, the promises of
 * world.h hold, the storage is well again by itself, and so is the next one.
 *
 * AQUIFER_EVERY=n tries every n-th call; 1 in `make lives`.
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

#define SEED 5
#define EVERY_DEFAULT 347

enum way { WAY_FAULT, WAY_NO_SPACE, WAY_POWER, WAYS };

static uint64_t every(void)
{
    const char *text = getenv("AQUIFER_EVERY");
    uint64_t number;
    return text != NULL && span_to_u64(span_of_str(text), &number) ? number : EVERY_DEFAULT;
}

/* A part of the life; when the power went in it, the rest is done after a restart. */
static void use(struct world *world, size_t from, size_t to)
{
    for (size_t i = from; i < to && !world->disk.sim.off && world->wrong[0] == 0; i++) {
        world_append(world, 6);
        points_append(world, 8);
        if (i % 4 == 3) {
            points_remove(world);
            points_change(world);
        }
        if (i % 2 == 1) {
            world_flush(world);
        }
        if (i % 5 == 4) {
            world_work(world);
        }
        if (i % 9 == 8) {
            world->disk.sim.now_ns += TIME_DAY_NS;
        }
    }
}

static void arm(struct world *world, uint64_t call, enum way way)
{
    struct io_sim *sim = &world->disk.sim;
    sim->fail_at = way == WAY_POWER ? 0 : call;
    sim->fail_with = way == WAY_NO_SPACE ? ERR_NO_SPACE : ERR_IO;
    sim->crash_at = way == WAY_POWER ? call : 0;
    world->troubled = call > 0;
}

static void begin(struct world *world)
{
    world_init(world, SEED, LIE_NONE);
    world->plain_opens = true;
    world->trace = getenv("AQUIFER_TRACE") != NULL;
    world->has_memory = true;
    world->wells[PLACE_WEB].retention = (struct well_retention){.hot_ns = 2 * TIME_DAY_NS};
    world->options.memtable_bytes_max = 6000;
    world->options.datalog_segment_bytes_max = 3000;
    world->options.datalog_kept_bytes_max = 9000;
}

/* False: there are fewer calls than that. */
static bool live(struct world *world, uint64_t call, enum way way)
{
    begin(world);
    arm(world, call, way);
    if (world_open(world)) {
        use(world, 0, 12);
        world->sys_away = true;
        world_restart(world, false);
        use(world, 12, 17);
        world_check(world, false);
    }
    bool reached = world->disk.sim.calls >= call;
    world->sys_away = false;
    world_restart(world, true);
    if (world->wrong[0] == 0) {
        world_calm(world);
        world_check(world, false);
        use(world, 17, 20);
        world_restart(world, true);
    }
    return reached;
}

static void whichever_call_fails_every_promise_holds(void **state)
{
    (void)state;
    size_t wrong = 0;
    size_t tried = 0;
    for (uint64_t call = 0, reached = WAYS; reached > 0; call += every()) {
        reached = 0;
        for (enum way way = 0; way < WAYS; way++) {
            struct world world;
            reached += live(&world, call, way) ? 1 : 0;
            tried++;
            if (world.wrong[0] != 0) {
                wrong++;
                printf("call %" PRIu64 ", way %d: %s\n", call, (int)way, world.wrong);
            }
            world_deinit(&world);
        }
    }
    printf("%zu lives\n", tried);
    assert_int_equal(wrong, 0);
    assert_true(tried > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whichever_call_fails_every_promise_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
