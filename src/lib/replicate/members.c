#include "replicate/members.h"

#include <inttypes.h>
#include <string.h>

#include "base/err.h"

/* ---- keeping ---- */

void replicate_members_deinit(struct replicate_members *members)
{
    for (size_t i = 0; i < members->all.count; i++) {
        buf_deinit(&members->all.items[i].targets);
    }
    vec_deinit(&members->all);
}

static struct replicate_member *find(const struct replicate_members *members, struct uuid node)
{
    for (size_t i = 0; i < members->all.count; i++) {
        if (uuid_equal(members->all.items[i].node, node)) {
            return &members->all.items[i];
        }
    }
    return NULL;
}

static void put(struct replicate_members *members, const struct replicate_member *said)
{
    struct replicate_member *member = find(members, said->node);
    if (member == NULL) {
        vec_push(&members->all, (struct replicate_member){.node = said->node});
        member = &members->all.items[members->all.count - 1];
    }
    member->version = said->version;
    member->life = said->life;
    buf_clear(&member->targets);
    buf_append(&member->targets, buf_span(&said->targets));
}

void replicate_members_copy(struct replicate_members *to, const struct replicate_members *from)
{
    replicate_members_deinit(to);
    for (size_t i = 0; i < from->all.count; i++) {
        put(to, &from->all.items[i]);
    }
}

const struct replicate_member *replicate_members_of(const struct replicate_members *members,
                                                    struct uuid node)
{
    return find(members, node);
}

void replicate_target_put(struct buf *targets, const struct replicate_target *target)
{
    buf_append(targets, span_of(target->node.bytes, sizeof(target->node.bytes)));
    wire_put_bytes(targets, target->address);
}

bool replicate_target_next(struct span *rest, struct replicate_target *ret_target)
{
    struct wire_reader reader = wire_reader_of(*rest);
    struct span node = wire_get_raw(&reader, sizeof(ret_target->node.bytes));
    struct span address = wire_get_bytes(&reader, REPLICATE_ADDRESS_BYTES_MAX);
    if (reader.failed) {
        return false;
    }
    memcpy(ret_target->node.bytes, node.data, node.bytes);
    ret_target->address = address;
    *rest = reader.rest;
    return true;
}

/* ---- telling and hearing ---- */

bool replicate_members_say(struct replicate_members *members, struct uuid self, uint64_t life,
                           struct span targets, uint64_t version)
{
    const struct replicate_member *known = find(members, self);
    if (known != NULL && known->life == life && span_equal(buf_span(&known->targets), targets)) {
        return false;
    }
    struct replicate_member said = {.node = self, .life = life};
    said.version = MAX(version, known == NULL ? 1 : known->version + 1);
    buf_append(&said.targets, targets);
    put(members, &said);
    buf_deinit(&said.targets);
    return true;
}

/* Somebody says of us what we do not: ours goes above it. */
static bool contradict(struct replicate_member *own, const struct replicate_member *other)
{
    bool same =
        own->life == other->life && span_equal(buf_span(&own->targets), buf_span(&other->targets));
    if (!same) {
        own->version = other->version + 1;
    }
    return !same;
}

bool replicate_members_learn(struct replicate_members *members, struct uuid self,
                             const struct replicate_members *others, unsigned *contradictions)
{
    bool changed = false;
    for (size_t i = 0; i < others->all.count; i++) {
        const struct replicate_member *other = &others->all.items[i];
        struct replicate_member *known = find(members, other->node);
        if (known == NULL ? members->all.count >= REPLICATE_MEMBERS_MAX
                          : known->version >= other->version) {
            continue;
        }
        if (!uuid_equal(other->node, self)) {
            put(members, other);
            changed = true;
        } else if (known != NULL && *contradictions < REPLICATE_CONTRADICTIONS_QUIET &&
                   contradict(known, other)) {
            ++*contradictions;
            changed = true;
        }
    }
    return changed;
}

/* ---- going round ---- */

struct walk {
    struct uuid met[REPLICATE_MEMBERS_MAX];
    size_t count;
};

/* True the first time. */
static bool meet(struct walk *walk, struct uuid node)
{
    for (size_t i = 0; i < walk->count; i++) {
        if (uuid_equal(walk->met[i], node)) {
            return false;
        }
    }
    if (walk->count == REPLICATE_MEMBERS_MAX) {
        return false;
    }
    walk->met[walk->count++] = node;
    return true;
}

static struct span targets_of(const struct replicate_members *members, struct uuid node)
{
    const struct replicate_member *member = find(members, node);
    return member == NULL ? SPAN_NONE : buf_span(&member->targets);
}

size_t replicate_members_behind(const struct replicate_members *members, struct uuid self,
                                struct uuid dead,
                                bool (*is_dead)(const void *context, struct uuid node),
                                const void *context, struct replicate_target *ret_targets,
                                size_t max)
{
    struct walk walk = {.count = 0};
    struct replicate_target target;
    size_t found = 0;
    (void)meet(&walk, self);
    for (struct span own = targets_of(members, self); replicate_target_next(&own, &target);) {
        (void)meet(&walk, target.node);
    }
    struct span rest = targets_of(members, dead);
    for (size_t next = 0;;) {
        while (found < max && replicate_target_next(&rest, &target)) {
            if (meet(&walk, target.node)) {
                ret_targets[found++] = target;
            }
        }
        while (next < found && !is_dead(context, ret_targets[next].node)) {
            next++;
        }
        if (next == found) {
            return found;
        }
        rest = targets_of(members, ret_targets[next++].node);
    }
}

/* ---- over the wire ---- */

void replicate_members_write(struct buf *buf, const struct replicate_members *members)
{
    wire_put_u16(buf, (uint16_t)members->all.count);
    for (size_t i = 0; i < members->all.count; i++) {
        const struct replicate_member *member = &members->all.items[i];
        buf_append(buf, span_of(member->node.bytes, sizeof(member->node.bytes)));
        wire_put_u64(buf, member->version);
        wire_put_u64(buf, member->life);
        wire_put_bytes(buf, buf_span(&member->targets));
    }
}

static int check_targets(struct span rest)
{
    struct replicate_target target;
    size_t count = 0;
    while (replicate_target_next(&rest, &target)) {
        count++;
    }
    if (rest.bytes > 0 || count > REPLICATE_TARGETS_MAX) {
        return err_set(ERR_PROTOCOL, "the targets of a member are malformed behind number %zu",
                       count);
    }
    return 0;
}

int replicate_members_read(struct wire_reader *reader, struct replicate_members *members)
{
    const uint32_t bytes_max =
        REPLICATE_TARGETS_MAX * (sizeof(struct uuid) + 2 + REPLICATE_ADDRESS_BYTES_MAX);
    replicate_members_deinit(members);
    uint16_t count = wire_get_u16(reader);
    if (reader->failed || count > REPLICATE_MEMBERS_MAX) {
        return err_set(ERR_PROTOCOL, "%u members, %d at most", count, REPLICATE_MEMBERS_MAX);
    }
    for (uint16_t i = 0; i < count; i++) {
        struct replicate_member said = {.version = 0};
        struct span raw = wire_get_raw(reader, sizeof(said.node.bytes));
        said.version = wire_get_u64(reader);
        said.life = wire_get_u64(reader);
        struct span targets = wire_get_bytes(reader, bytes_max);
        if (reader->failed) {
            return err_set(ERR_PROTOCOL, "the members end in the middle of number %u", i);
        }
        int rc = check_targets(targets);
        if (rc < 0) {
            return rc;
        }
        memcpy(said.node.bytes, raw.data, raw.bytes);
        if (find(members, said.node) != NULL) {
            return err_set(ERR_PROTOCOL, "member number %u is there twice", i);
        }
        buf_append(&said.targets, targets);
        put(members, &said);
        buf_deinit(&said.targets);
    }
    return 0;
}
