/* How the nodes of sim_test.c hear of each other, and whom each forwards to: its part of
 * sim_world.h. */
#ifndef REPLICATE_SIM_MEMBERS_H
#define REPLICATE_SIM_MEMBERS_H

#include "replicate/sim_world.h"

/* Both tell what they know; the one that forwards has met a target. */
static void tell_members(struct world *world, const struct link *link)
{
    struct node *from = &world->nodes[link->from];
    struct node *to = &world->nodes[link->to];
    if (world->edges[link->from][link->to] && !world->filters[link->from][link->to]) {
        const struct replicate_member *self = replicate_members_of(&from->members, from->self.node);
        struct span rest = self == NULL ? SPAN_NONE : buf_span(&self->targets);
        struct buf targets = {0};
        struct replicate_target target;
        bool met = false;
        while (replicate_target_next(&rest, &target)) {
            met = met || uuid_equal(target.node, to->self.node);
            replicate_target_put(&targets, &target);
        }
        if (!met) {
            target = (struct replicate_target){to->self.node, SPAN_NONE};
            replicate_target_put(&targets, &target);
        }
        world->news = replicate_members_say(&from->members, from->self.node, 1, buf_span(&targets),
                                            (uint64_t)(world->now + from->skew)) ||
                      world->news;
        buf_deinit(&targets);
    }
    unsigned ignored = 0;
    bool a = replicate_members_learn(&from->members, from->self.node, &to->members, &ignored);
    bool b = replicate_members_learn(&to->members, to->self.node, &from->members, &ignored);
    world->news = world->news || a || b;
}

struct doubt {
    const struct world *world;
    size_t self;
};

static bool is_dead(const void *context, struct uuid node)
{
    const struct doubt *doubt = context;
    return doubt->world->nodes[doubt->self].tries[node.bytes[0] - 1] >= TRIES;
}

/* Whom a node forwards to now: its targets, and those behind the ones that it cannot reach, through
 * the filters of the links to these. */
static void find_targets(struct world *world, size_t self, bool *ret_targets)
{
    const struct node *node = &world->nodes[self];
    struct doubt doubt = {world, self};
    for (size_t i = 0; i < world->count; i++) {
        ret_targets[i] = world->edges[self][i];
        world->links[self][i].filter = world->filters[self][i] ? FILTER : 0;
    }
    for (size_t i = 0; i < world->count; i++) {
        if (world->edges[self][i] && is_dead(&doubt, id_of(i)) &&
            world->canary != REPLICATE_CANARY_STAY) {
            struct replicate_target behind[NODES_MAX];
            size_t count = replicate_members_behind(&node->members, id_of(self), id_of(i), is_dead,
                                                    &doubt, behind, NODES_MAX);
            for (size_t k = 0; k < count; k++) {
                size_t to = behind[k].node.bytes[0] - 1u;
                if (!ret_targets[to]) {
                    ret_targets[to] = true;
                    world->links[self][to].filter = world->filters[self][i] ? FILTER : 0;
                }
            }
        }
    }
}

#endif
