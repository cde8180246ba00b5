/*
 * The simulator: several webservers and one datastore in one thread, under one seed. Users edit
 * and delete anywhere; links break, pushes and their answers are lost, webservers and the
 * datastore crash and restart, the datastore is restored from old backups or comes back empty.
 * What decides is the core itself; only stores and wires are modelled. At the end everything is
 * healed; clocks are hours off all the time. While it lives, somebody holds every acknowledged
 * change durably, and there is no tombstone that nobody asked for. At the end:
 *
 *   no acknowledged change is lost: it is current, or a change made on top of it is, or it is
 *       kept as a conflict copy or as a version, or it was deleted;
 *   replicas converge;
 *   nothing deleted comes back, and nothing is deleted that nobody deleted.
 *
 * A core with a deliberate fault must be caught. AQUIFER_SEED=n repeats one life, AQUIFER_SEEDS=n
 * runs that many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "sync/sim_world.h"

#define STEPS 400
#define SEEDS_DEFAULT 300
#define CHECK_EVERY 16 /* steps */
#define HEAL_STEPS 4000

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    uint64_t number;
    return text != NULL && span_to_u64(span_of_str(text), &number) ? number : otherwise;
}

/* ---- life ---- */

static void crash_webserver(struct world *world, struct webserver *webserver)
{
    if (one_in(&world->chance, 2)) {
        /* The power goes, and what was lazy with it. */
        trace_event("web", webserver->at, "loses power", 0);
        model_copy(&webserver->store, &webserver->durable);
    }
    answers_free(&webserver->pushing);
    sync_link_init(&webserver->link, 1, 1000);
    webserver->link.canary = world->canary;
    webserver->feed_closing = false;
    webserver->generation++;
}

static void serve_webserver(struct world *world, struct webserver *webserver)
{
    post(world, webserver, (struct sync_event){.type = SYNC_EVENT_TIME});
    if (webserver->link.checking) {
        check_in(world, webserver);
    }
    if (webserver->link.feed_open && (world->calm || !one_in(&world->chance, 3))) {
        follow(world, webserver);
    }
    if (webserver->link.pushing && (world->calm || one_in(&world->chance, 2))) {
        if (!webserver->pushing.sent) {
            send(world, webserver);
        } else {
            receive_answer(world, webserver);
        }
    }
}

static void make_backup(struct world *world)
{
    struct backup *backup = &world->backups[world->backup_count++ % BACKUPS];
    model_copy(&backup->model, &world->datastore);
    backup->counter = world->counter;
}

static void trouble(struct world *world)
{
    struct webserver *webserver = &world->webservers[below(&world->chance, world->webserver_count)];
    switch (below(&world->chance, 15)) {
    case 0:
    case 1:
    case 2:
    case 3:
        webserver->reachable = !webserver->reachable;
        break;
    case 4:
    case 5:
    case 6:
        crash_webserver(world, webserver);
        break;
    case 7:
        make_backup(world);
        break;
    case 8:
        restore_datastore(world);
        begin_life(world);
        break;
    case 9:
        if (one_in(&world->chance, 2)) {
            empty_datastore(world);
            begin_life(world);
        }
        break;
    case 10:
        world->up = false;
        break;
    case 11:
        webserver->skew_ms = ((int64_t)below(&world->chance, 48) - 24) * HOUR_MS;
        break;
    default:
        if (!world->up || one_in(&world->chance, 3)) {
            begin_life(world);
        }
        break;
    }
}

static void step(struct world *world)
{
    struct webserver *webserver = &world->webservers[below(&world->chance, world->webserver_count)];
    world->now_ms += (int64_t)below(&world->chance, 300);
    if (one_in(&world->chance, 12)) {
        trouble(world);
    } else if (one_in(&world->chance, 5)) {
        edit(world, webserver);
    } else if (one_in(&world->chance, 12)) {
        edit_account(world, webserver);
    } else {
        serve_webserver(world, webserver);
    }
}

static bool is_quiet(const struct world *world)
{
    for (size_t i = 0; i < world->webserver_count; i++) {
        const struct webserver *webserver = &world->webservers[i];
        if (webserver->link.state != SYNC_LINK_LIVE || webserver->link.pushing ||
            webserver->link.dirty || next_change(world, webserver->feed_at) != NULL) {
            return false;
        }
    }
    return true;
}

static void heal(struct world *world)
{
    world->calm = true;
    if (!world->up) {
        begin_life(world);
    }
    for (size_t i = 0; i < world->webserver_count; i++) {
        world->webservers[i].reachable = true;
    }
    for (size_t i = 0; i < HEAL_STEPS; i++) {
        world->now_ms += 100;
        serve_webserver(world, &world->webservers[i % world->webserver_count]);
        if (i % world->webserver_count == 0 && is_quiet(world)) {
            return;
        }
    }
    snprintf(world->wrong, sizeof(world->wrong), "it does not come to rest");
}

/* ---- the claims ---- */

static void complain(struct world *world, const char *what, struct uuid id, size_t at)
{
    char text[UUID_TEXT_BYTES];
    if (world->wrong[0] == 0) {
        snprintf(world->wrong, sizeof(world->wrong), "%s: %s (%zu)", what, uuid_text(id, text), at);
    }
}

static void check_converged(struct world *world, size_t at)
{
    for (size_t i = 0; i < OBJECT_FILES; i++) {
        const struct file *ours = &world->webservers[at].store.files[i];
        const struct file *theirs = &world->datastore.files[i];
        for (size_t n = 0; n < ours->objects.count; n++) {
            const struct object *object = ours->objects.items[n];
            const struct object *other = find(&theirs->objects, object->id);
            if (object->dirty) {
                complain(world, "still dirty", object->id, at);
            } else if (other == NULL) {
                complain(world, "only on a webserver", object->id, at);
            } else if (!uuid_equal(object->change, other->change) ||
                       object->revision != other->revision) {
                complain(world, "another version on a webserver", object->id, at);
            }
        }
        for (size_t n = 0; n < theirs->objects.count; n++) {
            if (find(&ours->objects, theirs->objects.items[n]->id) == NULL) {
                complain(world, "not on a webserver", theirs->objects.items[n]->id, at);
            }
        }
        if (ours->shadows.count > 0) {
            complain(world, "a shadow is left", ours->shadows.items[0]->id, at);
        }
    }
}

static const struct deed *deed_of(const struct world *world, struct uuid change)
{
    for (size_t i = 0; i < world->deeds.count; i++) {
        if (uuid_equal(world->deeds.items[i].change, change)) {
            return &world->deeds.items[i];
        }
    }
    return NULL;
}

static bool is_version(const struct file *file, struct uuid change)
{
    for (size_t i = 0; i < file->versions.count; i++) {
        if (uuid_equal(file->versions.items[i].change, change)) {
            return true;
        }
    }
    return false;
}

static bool is_current(const struct file *file, struct uuid change)
{
    for (size_t i = 0; i < file->objects.count; i++) {
        if (uuid_equal(file->objects.items[i]->change, change)) {
            return true;
        }
    }
    return false;
}

/* Of two accounts with one number that were made or edited under datastores that did not know of
 * each other one can stay, and there is nothing to put beside it: the other is in its history. */
static bool is_present(const struct world *world, const struct deed *deed)
{
    enum object_file which = file_of(deed->kind);
    bool account = object_kind_info(deed->kind)->rule == OBJECT_RULE_REFUSE;
    bool present = is_current(&world->datastore.files[which], deed->change) ||
                   (account && is_version(&world->datastore.files[which], deed->change));
    for (size_t i = 0; account && !present && i < world->webserver_count; i++) {
        present = is_version(&world->webservers[i].store.files[which], deed->change);
    }
    return present;
}

/* Deeds are in order of time: children come after their parents. `kept` from the end. */
static void check_nothing_lost(struct world *world)
{
    bool *kept = mem_alloc_array(world->deeds.count + 1, sizeof(bool));
    for (size_t i = world->deeds.count; i-- > 0;) {
        const struct deed *deed = &world->deeds.items[i];
        enum object_rule rule = object_kind_info(deed->kind)->rule;
        /* Of preferences the last write is what counts. A delete may yield to an edit. */
        kept[i] = deed->deletes || !deed->acknowledged || rule == OBJECT_RULE_LAST_WRITE ||
                  is_present(world, deed);
        for (size_t n = i + 1; !kept[i] && n < world->deeds.count; n++) {
            kept[i] = kept[n] && uuid_equal(world->deeds.items[n].parent, deed->change);
        }
        if (!kept[i]) {
            complain(world, "lost change", deed->change, i);
        }
    }
    mem_free(kept);
}

/* ---- the claims that hold at every moment ---- */

static void note_objects(struct map *there, const struct objects *objects)
{
    for (size_t i = 0; i < objects->count; i++) {
        struct span change = span_of(objects->items[i]->change.bytes, sizeof(struct uuid));
        if (map_get(there, change) == NULL) {
            (void)map_put(there, change, there);
        }
    }
}

static void note_model(struct map *there, const struct model *model)
{
    for (size_t i = 0; i < OBJECT_FILES; i++) {
        note_objects(there, &model->files[i].objects);
        note_objects(there, &model->files[i].shadows);
    }
    const struct file *accounts = &model->files[OBJECT_FILE_USERS];
    for (size_t n = 0; n < accounts->versions.count; n++) {
        struct span change = span_of(accounts->versions.items[n].change.bytes, sizeof(struct uuid));
        if (map_get(there, change) == NULL) {
            (void)map_put(there, change, there);
        }
    }
}

/* Somebody holds, on a disk that a power cut leaves as it is, every acknowledged change or one that
 * was made on top of it. */
static void check_held(struct world *world)
{
    struct map there = {0};
    note_model(&there, &world->datastore);
    for (size_t i = 0; i < world->webserver_count; i++) {
        note_model(&there, &world->webservers[i].durable);
    }
    for (size_t i = world->deeds.count; i-- > 0;) {
        const struct deed *deed = &world->deeds.items[i];
        enum object_rule rule = object_kind_info(deed->kind)->rule;
        bool held = deed->deletes || rule == OBJECT_RULE_LAST_WRITE ||
                    map_get(&there, span_of(deed->change.bytes, sizeof(struct uuid))) != NULL;
        if (deed->acknowledged && !held) {
            complain(world, "held by nobody", deed->change, i);
        }
        struct span parent = span_of(deed->parent.bytes, sizeof(struct uuid));
        if (held && !uuid_is_zero(deed->parent) && map_get(&there, parent) == NULL) {
            (void)map_put(&there, parent, &there); /* what was made of it is there */
        }
    }
    map_deinit(&there);
}

static void check_tombstones(struct world *world, const struct model *model, size_t at)
{
    for (size_t i = 0; i < OBJECT_FILES; i++) {
        const struct objects *objects = &model->files[i].objects;
        for (size_t n = 0; n < objects->count; n++) {
            const struct object *object = objects->items[n];
            const struct deed *own = object->deleted ? deed_of(world, object->change) : NULL;
            if (object->deleted && (own == NULL || !own->deletes)) {
                complain(world, "deleted by nobody", object->id, at);
            }
        }
    }
}

static void check_moment(struct world *world)
{
    check_held(world);
    check_tombstones(world, &world->datastore, world->webserver_count);
    for (size_t i = 0; i < world->webserver_count; i++) {
        check_tombstones(world, &world->webservers[i].store, i);
    }
}

static bool is_past_of(const struct world *world, struct uuid change, const struct deed *deed)
{
    while (deed != NULL) {
        if (uuid_equal(deed->parent, change)) {
            return true;
        }
        deed = deed_of(world, deed->parent);
    }
    return false;
}

/* Somebody edited it who did not know of the delete: then the object stays, and when the datastore
 * has lost something, it may be any of its versions that does (docs/protocols/datastore.md). */
static bool was_contested(const struct world *world, const struct deed *delete)
{
    for (size_t i = 0; world->losses > 0 && i < world->deeds.count; i++) {
        const struct deed *deed = &world->deeds.items[i];
        if (!deed->deletes && uuid_equal(deed->object, delete->object) &&
            !is_past_of(world, deed->change, delete) && !is_past_of(world, delete->change, deed)) {
            return true;
        }
    }
    return false;
}

static void check_deletes(struct world *world)
{
    for (size_t i = 0; i < OBJECT_FILES; i++) {
        const struct objects *objects = &world->datastore.files[i].objects;
        for (size_t n = 0; n < objects->count; n++) {
            const struct object *object = objects->items[n];
            const struct deed *own = deed_of(world, object->change);
            if (own == NULL) {
                complain(world, "a change nobody made", object->id, n);
            } else if (object->deleted && !own->deletes) {
                complain(world, "deleted by nobody", object->id, n);
            }
            for (size_t d = 0; !object->deleted && d < world->deeds.count; d++) {
                const struct deed *deed = &world->deeds.items[d];
                if (deed->deletes && deed->acknowledged && uuid_equal(deed->object, object->id) &&
                    is_past_of(world, object->change, deed) && !was_contested(world, deed)) {
                    complain(world, "deleted, and back", object->id, d);
                }
            }
        }
    }
}

static void live(struct world *world, uint64_t seed, enum sync_canary canary)
{
    *world = (struct world){.chance = {seed}, .canary = canary};
    world->webserver_count = 2 + below(&world->chance, WEBSERVERS_MAX - 1);
    begin_life(world);
    for (size_t i = 0; i < world->webserver_count; i++) {
        world->webservers[i].up_ms = (int64_t)below(&world->chance, 1000) * HOUR_MS;
        sync_link_init(&world->webservers[i].link, 1, 1000);
        world->webservers[i].at = i;
        world->webservers[i].link.canary = canary;
        world->webservers[i].reachable = true;
    }
    for (size_t i = 0; i < STEPS && world->wrong[0] == 0; i++) {
        step(world);
        if (i % CHECK_EVERY == 0) {
            check_moment(world);
        }
    }
    if (world->wrong[0] == 0) {
        heal(world);
    }
    for (size_t i = 0; world->wrong[0] == 0 && i < world->webserver_count; i++) {
        check_converged(world, i);
    }
    check_nothing_lost(world);
    check_deletes(world);
}

static void end(struct world *world)
{
    for (size_t i = 0; i < world->webserver_count; i++) {
        model_free(&world->webservers[i].store);
        model_free(&world->webservers[i].durable);
        answers_free(&world->webservers[i].pushing);
    }
    model_free(&world->datastore);
    for (size_t i = 0; i < BACKUPS; i++) {
        model_free(&world->backups[i].model);
    }
    vec_deinit(&world->deeds);
}

static void no_acknowledged_change_is_lost_and_replicas_converge(void **state)
{
    (void)state;
    uint64_t seeds = number_of("AQUIFER_SEEDS", getenv("AQUIFER_SEED") != NULL ? 1 : SEEDS_DEFAULT);
    uint64_t first = number_of("AQUIFER_SEED", 1);
    size_t wrong = 0;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        struct world world;
        live(&world, seed, SYNC_CANARY_NONE);
        if (world.wrong[0] != 0) {
            wrong++;
            printf("AQUIFER_SEED=%" PRIu64 ": %s\n", seed, world.wrong);
        }
        end(&world);
    }
    assert_int_equal(wrong, 0);
}

static void a_core_with_a_fault_is_caught(void **state)
{
    (void)state;
    for (enum sync_canary canary = 1; canary < SYNC_CANARIES; canary++) {
        bool caught = false;
        for (uint64_t seed = 1; !caught && seed <= 400; seed++) {
            struct world world;
            live(&world, seed, canary);
            caught = world.wrong[0] != 0;
            end(&world);
        }
        if (!caught) {
            printf("canary %d lives\n", (int)canary);
        }
        assert_true(caught);
    }
}

static void a_seed_gives_the_same_life_again(void **state)
{
    (void)state;
    struct world one;
    struct world two;
    live(&one, 42, SYNC_CANARY_NONE);
    live(&two, 42, SYNC_CANARY_NONE);
    assert_int_equal(one.deeds.count, two.deeds.count);
    assert_int_equal(one.counter, two.counter);
    assert_int_equal(one.chance.state, two.chance.state);
    assert_true(one.deeds.count > 20);
    end(&one);
    end(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_gives_the_same_life_again),
        cmocka_unit_test(no_acknowledged_change_is_lost_and_replicas_converge),
        cmocka_unit_test(a_core_with_a_fault_is_caught),
    };
    if (getenv("AQUIFER_SEED") != NULL) {
        cmocka_set_test_filter("no_acknowledged*");
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
