/*
 * The world of sim_test.c, and of nothing else: modelled stores and wires around the real core.
 */
#ifndef SYNC_SIM_WORLD_H
#define SYNC_SIM_WORLD_H

#include "sync/sim_model.h"

#define WEBSERVERS_MAX 8
#define BACKUPS 4
#define HOUR_MS 3600000
#define FEED_AT_ONCE 4
#define PUSH_AT_ONCE 3

/* ---- the world ---- */

/* What a user did: one change. */
struct deed {
    struct uuid change;
    struct uuid object;
    struct uuid parent; /* the version it was made on; zero: none */
    enum object_kind kind;
    bool deletes;
    bool acknowledged; /* else the user does not know whether it was done */
};

struct pushing {
    bool sent;
    struct uuid run; /* of the datastore it is meant for */
    uint64_t generation;
    struct objects objects;
    struct {
        struct sync_answer *items;
        size_t count, capacity;
    } answers;
    bool answered;
};

struct webserver {
    size_t at;
    struct model store;
    struct model durable; /* what a power cut leaves */
    struct sync_link link;
    struct pushing pushing;
    struct uuid run; /* of the feed */
    uint64_t feed_at;
    bool feed_closing;
    bool through;
    bool reachable;
    uint64_t generation;
    int64_t up_ms;   /* its monotonic clock is so far ahead of the others' */
    int64_t skew_ms; /* its wall clock is so wrong */
};

struct backup {
    struct model model;
    uint64_t counter;
};

struct world {
    struct chance chance;
    enum sync_canary canary;
    int64_t now_ms;
    bool calm; /* healing: nothing fails any more */

    struct model datastore;
    uint64_t counter;
    struct uuid run;
    bool up;
    struct backup backups[BACKUPS];
    size_t backup_count; /* made so far; the last BACKUPS are there */
    size_t losses;       /* the datastore was emptied or restored so often */

    struct webserver webservers[WEBSERVERS_MAX];
    size_t webserver_count;
    struct {
        struct deed *items;
        size_t count, capacity;
    } deeds;
    char wrong[256];
};

/* ---- the datastore ---- */

static void begin_life(struct world *world)
{
    world->run = new_uuid(&world->chance);
    world->up = true;
    trace_event("datastore", 0, "begins at", world->counter);
    for (size_t i = 0; i < OBJECT_FILES; i++) {
        struct file *file = &world->datastore.files[i];
        struct store_epoch epoch = {.epoch = new_uuid(&world->chance),
                                    .parent = file->place.epoch,
                                    .start = highest(file),
                                    .main = true};
        if (uuid_is_zero(file->place.identity)) {
            file->place.identity = new_uuid(&world->chance);
        }
        add_epoch(file, epoch);
        file->place.epoch = epoch.epoch;
    }
}

static void empty_datastore(struct world *world)
{
    model_free(&world->datastore);
    world->datastore = (struct model){0};
    world->counter = 0;
    world->losses++;
}

static void restore_datastore(struct world *world)
{
    if (world->backup_count > 0) {
        size_t there = MIN(world->backup_count, (size_t)BACKUPS);
        const struct backup *backup = &world->backups[below(&world->chance, there)];
        model_copy(&world->datastore, &backup->model);
        world->counter = backup->counter;
        world->losses++;
        trace_event("datastore", 0, "is restored at", world->counter);
    }
}

static bool knows_change(const struct file *file, struct uuid change, uint64_t *ret_revision)
{
    for (size_t i = 0; i < file->changes.count; i++) {
        if (uuid_equal(file->changes.items[i].change, change)) {
            *ret_revision = file->changes.items[i].revision;
            return true;
        }
    }
    return false;
}

/* As server.c does it. answer->object is a copy of the caller's. */
static struct sync_answer serve_push(struct world *world, const struct object *pushed)
{
    struct file *file = &world->datastore.files[file_of(pushed->kind)];
    struct sync_tree tree = tree_of(file);
    struct object *current = find(&file->objects, pushed->id);
    uint64_t known_revision = 0;
    bool known = knows_change(file, pushed->change, &known_revision);
    struct sync_case the_case = {.current = current,
                                 .pushed = pushed,
                                 .change_known = known,
                                 .copied = find(&file->objects, sync_copy_id(pushed)) != NULL,
                                 .tree = &tree,
                                 .last = file->place.epoch,
                                 .canary = world->canary};
    struct sync_answer answer = {.verdict = sync_judge(&the_case)};
    struct object *stored = NULL;
    const struct object *copy = NULL;
    trace("datastore", 0, sync_verdict_name(answer.verdict), pushed);
    trace("datastore", 0, "   has", current);
    switch (answer.verdict) {
    case SYNC_ACCEPTED:
        stored = sync_accepted(&the_case, ++world->counter);
        answer.revision = stored->revision;
        answer.object = pushed->rescue ? object_clone(stored) : NULL;
        break;
    case SYNC_COPIED:
        answer.object = object_clone(current);
        copy = find(&file->objects, sync_copy_id(pushed));
        if (copy == NULL) {
            stored = sync_copied(&the_case, ++world->counter);
            copy = stored;
        }
        answer.copy = object_clone(copy);
        break;
    case SYNC_DUPLICATE:
        answer.revision =
            uuid_equal(current->change, pushed->change) ? current->revision : known_revision;
        if (!uuid_equal(current->change, pushed->change) || pushed->rescue) {
            answer.object = object_clone(current);
        }
        break;
    case SYNC_SUPERSEDED:
        stored = sync_merged(&the_case);
        if (stored != NULL) {
            stored->revision = ++world->counter;
        }
        answer.object = object_clone(stored != NULL ? stored : current);
        if (pushed->rescue && !pushed->deleted) {
            keep_version(file, pushed);
        }
        break;
    case SYNC_REFUSED:
    case SYNC_NEEDS_BLOB:
        break;
    }
    if (stored != NULL) {
        trace("datastore", 0, "   stores", stored);
        keep(file, stored);
    }
    object_free(&stored);
    return answer;
}

/* ---- a webserver's wires ---- */

static bool can_talk(const struct world *world, const struct webserver *webserver)
{
    return world->up && webserver->reachable;
}

static void answers_free(struct pushing *pushing)
{
    for (size_t i = 0; i < pushing->answers.count; i++) {
        struct object *object = (struct object *)pushing->answers.items[i].object;
        struct object *copy = (struct object *)pushing->answers.items[i].copy;
        object_free(&object);
        object_free(&copy);
    }
    vec_deinit(&pushing->answers);
    objects_free(&pushing->objects);
    *pushing = (struct pushing){0};
}

static void make_durable(struct webserver *webserver, enum object_file file)
{
    file_copy(&webserver->durable.files[file], &webserver->store.files[file]);
}

static void adopt_file(struct world *world, struct webserver *webserver, enum object_file which,
                       const struct sync_file_action *action)
{
    struct file *ours = &webserver->store.files[which];
    const struct file *theirs = &world->datastore.files[which];
    trace_event("web", webserver->at, action->lost ? "adopts, lost above" : "adopts, common",
                action->common);
    struct sync_tree tree = tree_of(ours);
    size_t count = ours->objects.count;
    for (size_t i = 0; action->lost && i < count; i++) {
        struct object *object = object_clone(ours->objects.items[i]);
        struct object *shadow = object->dirty ? find(&ours->shadows, object->id) : NULL;
        struct object *copy = NULL;
        if (shadow != NULL && shadow->revision > action->common) {
            struct object *stays = NULL;
            struct sync_case both = {
                .current = shadow, .pushed = object, .tree = &tree, .last = ours->place.epoch};
            sync_fork(&both, &stays, &copy);
            object_free(&object);
            object = stays;
            drop(&ours->shadows, object->id);
        }
        (void)sync_rescue(object, &tree, ours->place.epoch, action->common);
        trace("web", webserver->at, "keeps", object);
        trace("web", webserver->at, "keeps a copy", copy);
        if (object->dirty) {
            keep(ours, object);
        }
        if (copy != NULL && find(&ours->objects, copy->id) == NULL) {
            put(&ours->objects, copy);
        }
        object_free(&object);
        object_free(&copy);
    }
    for (size_t i = 0; i < ours->epochs.count; i++) {
        ours->epochs.items[i].main = false;
    }
    for (size_t i = 0; i < theirs->epochs.count; i++) {
        if (theirs->epochs.items[i].main) {
            add_epoch(ours, theirs->epochs.items[i]);
        }
    }
    ours->place.identity = theirs->place.identity;
    ours->place.epoch = theirs->place.epoch;
    ours->place.cursor = action->cursor;
    ours->place.seen = action->lost ? action->common : ours->place.seen;
    make_durable(webserver, which);
}

static void act(struct world *world, struct webserver *webserver,
                const struct sync_actions *actions)
{
    if ((actions->what & SYNC_DO_CLOSE_FEED) != 0) {
        webserver->feed_closing = true;
    }
    if ((actions->what & SYNC_DO_ADOPT) != 0) {
        for (size_t i = 0; i < OBJECT_FILES; i++) {
            adopt_file(world, webserver, (enum object_file)i, &actions->files[i]);
        }
        webserver->generation++;
        webserver->run = world->run;
        webserver->feed_at = MIN(actions->files[0].cursor, actions->files[1].cursor);
        webserver->feed_closing = false;
        webserver->through = false;
    }
    if ((actions->what & SYNC_DO_PUSH) != 0) {
        answers_free(&webserver->pushing);
        webserver->pushing.run = webserver->link.run;
        webserver->pushing.generation = webserver->generation;
    }
}

static void post(struct world *world, struct webserver *webserver, struct sync_event event)
{
    struct sync_actions actions;
    event.now_ms = world->now_ms + webserver->up_ms;
    sync_step(&webserver->link, &event, &actions);
    act(world, webserver, &actions);
}

static void check_in(struct world *world, struct webserver *webserver)
{
    struct sync_event event = {.type = SYNC_EVENT_CHECK_FAILED};
    struct sync_file_view views[OBJECT_FILES];
    bool arrives = world->calm || !one_in(&world->chance, 10);
    if (can_talk(world, webserver) && arrives) {
        event.type = SYNC_EVENT_CHECKED;
        event.run = world->run;
        event.files = views;
        for (size_t i = 0; i < OBJECT_FILES; i++) {
            const struct file *ours = &webserver->store.files[i];
            const struct file *theirs = &world->datastore.files[i];
            views[i] = (struct sync_file_view){.ours = tree_of(ours),
                                               .place = ours->place,
                                               .theirs = tree_of(theirs),
                                               .their_last = theirs->place.epoch,
                                               .their_revision = highest(theirs),
                                               .their_identity = theirs->place.identity};
            views[i].place.revision = highest(ours);
        }
    }
    post(world, webserver, event);
}

/* ---- the feed ---- */

static void apply(struct webserver *webserver, const struct object *incoming)
{
    struct file *file = &webserver->store.files[file_of(incoming->kind)];
    switch (sync_receive(find(&file->objects, incoming->id), find(&file->shadows, incoming->id),
                         incoming)) {
    case SYNC_ARRIVAL_APPLY:
        trace("web", webserver->at, "applies", incoming);
        keep(file, incoming);
        drop(&file->shadows, incoming->id);
        break;
    case SYNC_ARRIVAL_SHADOW:
        trace("web", webserver->at, "shadows", incoming);
        put(&file->shadows, incoming);
        break;
    case SYNC_ARRIVAL_SKIP:
        break;
    }
}

static const struct object *next_change(const struct world *world, uint64_t after)
{
    const struct object *next = NULL;
    for (size_t i = 0; i < OBJECT_FILES; i++) {
        const struct objects *objects = &world->datastore.files[i].objects;
        for (size_t at = 0; at < objects->count; at++) {
            const struct object *object = objects->items[at];
            if (object->revision > after && (next == NULL || object->revision < next->revision)) {
                next = object;
            }
        }
    }
    return next;
}

static void follow(struct world *world, struct webserver *webserver)
{
    bool breaks = !can_talk(world, webserver) || !uuid_equal(webserver->run, world->run) ||
                  webserver->feed_closing || (!world->calm && one_in(&world->chance, 30));
    if (breaks) {
        webserver->feed_closing = false;
        post(world, webserver, (struct sync_event){.type = SYNC_EVENT_FEED_ENDED});
        return;
    }
    for (size_t i = 0; i < OBJECT_FILES; i++) {
        struct store_place *place = &webserver->store.files[i].place;
        place->seen = MAX(place->seen, highest(&world->datastore.files[i]));
    }
    for (size_t i = 0; i < FEED_AT_ONCE; i++) {
        const struct object *next = next_change(world, webserver->feed_at);
        if (next == NULL) {
            break;
        }
        apply(webserver, next);
        webserver->feed_at = next->revision;
    }
    for (size_t i = 0; i < OBJECT_FILES; i++) {
        struct store_place *place = &webserver->store.files[i].place;
        place->cursor = MAX(place->cursor, webserver->feed_at);
    }
    if (!webserver->through && next_change(world, webserver->feed_at) == NULL) {
        webserver->through = true;
        post(world, webserver, (struct sync_event){.type = SYNC_EVENT_THROUGH});
    }
}

/* ---- pushing ---- */

static void collect_dirty(struct webserver *webserver)
{
    for (size_t i = 0; i < OBJECT_FILES; i++) {
        struct objects *objects = &webserver->store.files[i].objects;
        for (size_t at = 0; at < objects->count; at++) {
            struct object *object = objects->items[at];
            if (object->dirty && !object->refused &&
                webserver->pushing.objects.count < PUSH_AT_ONCE) {
                vec_push(&webserver->pushing.objects, object_clone(object));
            }
        }
    }
}

static void send(struct world *world, struct webserver *webserver)
{
    struct pushing *pushing = &webserver->pushing;
    pushing->sent = true;
    collect_dirty(webserver);
    bool arrives = can_talk(world, webserver) && uuid_equal(pushing->run, world->run) &&
                   (world->calm || !one_in(&world->chance, 10));
    for (size_t i = 0; arrives && i < OBJECT_FILES; i++) {
        struct file *theirs = &world->datastore.files[i];
        const struct file *ours = &webserver->store.files[i];
        for (size_t at = 0; at < ours->epochs.count; at++) {
            struct store_epoch foreign = ours->epochs.items[at];
            foreign.main = false;
            add_epoch(theirs, foreign);
        }
    }
    for (size_t i = 0; arrives && i < pushing->objects.count; i++) {
        vec_push(&pushing->answers, serve_push(world, pushing->objects.items[i]));
    }
    pushing->answered = arrives;
}

static void settle(struct webserver *webserver, const struct object *pushed,
                   const struct sync_answer *answer)
{
    struct file *file = &webserver->store.files[file_of(pushed->kind)];
    struct object *shadow = find(&file->shadows, pushed->id);
    struct object *result = NULL;
    const struct object *beside = NULL;
    sync_settle(find(&file->objects, pushed->id), shadow, pushed, answer, &result, &beside);
    struct object *stays = beside == NULL ? NULL : object_clone(beside);
    if (result != NULL) {
        trace("web", webserver->at, "settles", result);
        keep(file, result);
    }
    if (stays != NULL) {
        put(&file->shadows, stays);
    } else {
        drop(&file->shadows, pushed->id);
    }
    if (answer->copy != NULL) {
        apply(webserver, answer->copy);
    }
    object_free(&result);
    object_free(&stays);
}

static void receive_answer(struct world *world, struct webserver *webserver)
{
    struct pushing *pushing = &webserver->pushing;
    struct sync_event event = {.type = SYNC_EVENT_PUSH_FAILED, .run = pushing->run};
    bool lost = !world->calm && one_in(&world->chance, 8);
    if (pushing->answered && !lost && pushing->generation == webserver->generation) {
        for (size_t i = 0; i < pushing->objects.count; i++) {
            settle(webserver, pushing->objects.items[i], &pushing->answers.items[i]);
        }
        event.type = SYNC_EVENT_PUSHED;
        event.more = pushing->objects.count == PUSH_AT_ONCE;
    }
    event.full = event.type == SYNC_EVENT_PUSH_FAILED && pushing->generation % 3 == 1;
    answers_free(pushing);
    post(world, webserver, event);
}

/* ---- users ---- */

static void note(struct world *world, const struct object *object, struct uuid parent,
                 bool acknowledged)
{
    vec_push(&world->deeds, (struct deed){.change = object->change,
                                          .object = object->id,
                                          .acknowledged = acknowledged,
                                          .parent = parent,
                                          .kind = object->kind,
                                          .deletes = object->deleted});
}

static struct object *pick(struct world *world, struct webserver *webserver, enum object_file which)
{
    struct objects *objects = &webserver->store.files[which].objects;
    if (objects->count == 0) {
        return NULL;
    }
    struct object *object = objects->items[below(&world->chance, objects->count)];
    return object->deleted || object->kind == OBJECT_NOTIFICATION ? NULL : object;
}

/* What people see as the time of a change; nothing may be decided by it. */
static void date(const struct world *world, const struct webserver *webserver,
                 struct object *object)
{
    object->updated_ns = (world->now_ms + webserver->skew_ms) * 1000000;
    object->created_ns = object->created_ns == 0 ? object->updated_ns : object->created_ns;
}

static struct object *create(struct world *world)
{
    static const enum object_kind kinds[] = {OBJECT_DASHBOARD, OBJECT_DASHBOARD, OBJECT_HISTORY,
                                             OBJECT_PREFERENCE};
    struct object *object = object_new(kinds[below(&world->chance, ARRAY_COUNT(kinds))]);
    object->number = 1 + below(&world->chance, 1000);
    object->id = object->kind == OBJECT_PREFERENCE
                     ? object_id_of_name(OBJECT_PREFERENCE, (int32_t)below(&world->chance, 3), "p")
                     : new_uuid(&world->chance);
    return object;
}

/* Local first: acknowledged as soon as it is durable here. */
static void edit(struct world *world, struct webserver *webserver)
{
    struct file *file = &webserver->store.files[OBJECT_FILE_WEB];
    struct object *stored = pick(world, webserver, OBJECT_FILE_WEB);
    struct object *wanted;
    if (stored == NULL || one_in(&world->chance, 4)) {
        wanted = create(world);
        stored = find(&file->objects, wanted->id);
    } else {
        wanted = object_clone(stored);
        if (stored->kind == OBJECT_HISTORY || one_in(&world->chance, 4)) {
            object_bury(wanted);
        }
    }
    struct uuid parent = stored == NULL ? (struct uuid){0} : stored->change;
    date(world, webserver, wanted);
    sync_edit(stored, wanted, new_uuid(&world->chance));
    keep(file, wanted);
    make_durable(webserver, OBJECT_FILE_WEB);
    trace("web", webserver->at, "edits", wanted);
    note(world, wanted, parent, true);
    object_free(&wanted);
    post(world, webserver, (struct sync_event){.type = SYNC_EVENT_DIRTY});
}

static bool knows(const struct object *object, struct uuid change)
{
    for (size_t i = 0; i < object->past_count; i++) {
        if (uuid_equal(object->past[i], change)) {
            return true;
        }
    }
    return false;
}

/* Write-through: acknowledged when the datastore accepts it. */
static void edit_account(struct world *world, struct webserver *webserver)
{
    struct file *file = &webserver->store.files[OBJECT_FILE_USERS];
    struct object *stored = pick(world, webserver, OBJECT_FILE_USERS);
    bool connected = uuid_equal(webserver->link.run, world->run) && can_talk(world, webserver);
    if (!connected || (stored != NULL && stored->dirty)) {
        return;
    }
    struct object *wanted = stored != NULL ? object_clone(stored) : object_new(OBJECT_USER);
    if (stored == NULL) {
        wanted->number = 1 + below(&world->chance, 4);
        wanted->id = object_id_of_number(OBJECT_USER, wanted->number);
        stored = find(&file->objects, wanted->id);
    } else if (one_in(&world->chance, 5)) {
        object_bury(wanted);
    }
    struct uuid parent = stored == NULL ? (struct uuid){0} : stored->change;
    const struct object *theirs =
        find(&world->datastore.files[OBJECT_FILE_USERS].objects, wanted->id);
    struct uuid replaced = theirs == NULL ? (struct uuid){0} : theirs->change;
    bool alive = theirs != NULL && !theirs->deleted;
    date(world, webserver, wanted);
    sync_edit(stored, wanted, new_uuid(&world->chance));
    trace("web", webserver->at, "edits through", wanted);
    struct sync_answer answer = serve_push(world, wanted);
    if (answer.verdict == SYNC_ACCEPTED && alive && !wanted->rescue && !knows(wanted, replaced)) {
        snprintf(world->wrong, sizeof(world->wrong), "an account was replaced unseen");
    }
    bool heard = !one_in(&world->chance, 8);
    if (answer.verdict == SYNC_ACCEPTED && heard) {
        struct sync_case alone = {.pushed = wanted};
        struct object *accepted = sync_accepted(&alone, answer.revision);
        note(world, wanted, parent, true);
        apply(webserver, accepted);
        make_durable(webserver, OBJECT_FILE_USERS);
        object_free(&accepted);
    } else if (answer.verdict == SYNC_ACCEPTED) {
        note(world, wanted, parent, false);
    }
    struct object *object = (struct object *)answer.object;
    struct object *copy = (struct object *)answer.copy;
    object_free(&object);
    object_free(&copy);
    object_free(&wanted);
}

#endif
