/* What was heard of members is there after a restart; a damaged file is as none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "indexer/link_members.h"
#include "io/sim.h"

static const char path[] = "/data/members";
static const struct uuid self = {{1}};
static const char *const addresses[] = {"tcp://b:1", NULL};

static struct link_members *open_members(struct io_sim *sim)
{
    return link_members_open(&sim->io, path, self, addresses, 2);
}

static void learn_of(struct link_members *members, uint8_t node)
{
    struct replicate_members others = {0};
    struct buf targets = {0};
    struct replicate_target target = {{{9}}, SPAN_LIT("tcp://z:1")};
    replicate_target_put(&targets, &target);
    (void)replicate_members_say(&others, (struct uuid){{node}}, 1, buf_span(&targets), 5);
    link_members_learn(members, &others);
    replicate_members_deinit(&others);
    buf_deinit(&targets);
}

static bool knows(struct link_members *members, uint8_t node)
{
    struct replicate_members all;
    link_members_copy(members, &all);
    bool known = replicate_members_of(&all, (struct uuid){{node}}) != NULL;
    replicate_members_deinit(&all);
    return known;
}

static void what_was_heard_is_there_after_a_restart(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    assert_int_equal(io_make_dirs(&sim.io, "/data"), 0);
    struct link_members *members = open_members(&sim);
    uint64_t edition = link_members_edition(members);
    learn_of(members, 7);
    link_members_met(members, 0, (struct uuid){{2}});
    link_members_met(members, 1, (struct uuid){{3}});
    assert_true(link_members_edition(members) == edition + 2);
    learn_of(members, 7); /* no news */
    assert_true(link_members_edition(members) == edition + 2);
    link_members_close(&members);
    io_sim_crash(&sim);
    members = open_members(&sim);
    assert_true(knows(members, 7));
    assert_int_equal(link_members_target(members, 0).bytes[0], 2);
    assert_true(uuid_is_zero(link_members_target(members, 1))); /* nobody was told of it */
    link_members_close(&members);
    io_sim_deinit(&sim);
}

static void a_damaged_file_is_as_none(void **state)
{
    (void)state;
    struct io_sim sim;
    struct buf bytes = {0};
    io_sim_init(&sim, 1);
    assert_int_equal(io_make_dirs(&sim.io, "/data"), 0);
    struct link_members *members = open_members(&sim);
    learn_of(members, 7);
    link_members_close(&members);
    assert_int_equal(io_read_file(&sim.io, path, 100000, &bytes), 0);
    for (size_t i = 0; i < bytes.bytes; i++) {
        bytes.data[i] ^= 0x11;
        assert_int_equal(io_write_file(&sim.io, path, buf_span(&bytes)), 0);
        bytes.data[i] ^= 0x11;
        members = open_members(&sim);
        assert_false(knows(members, 7));
        link_members_close(&members);
    }
    buf_deinit(&bytes);
    io_sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_heard_is_there_after_a_restart),
        cmocka_unit_test(a_damaged_file_is_as_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
