/* Writing: local first, through, or alone. */
#include "sync/sync.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/time.h"
#include "sync/driver.h"

#define DELETE_TRIES 5
#define RESTORE_TRIES 5

static struct uuid new_uuid(struct io *io)
{
    uint8_t random[16];
    io_random(io, random, sizeof(random));
    return uuid_of_random(random);
}

void sync_complete(struct sync *sync, struct object *object)
{
    bool numbered = object_kind_info(object->kind)->numbered;
    int64_t now_ns = io_now_ns(sync->io);
    if (numbered && object->number == 0 && object->kind != OBJECT_USER &&
        object->kind != OBJECT_GROUP) {
        uint8_t random[8];
        io_random(sync->io, random, sizeof(random));
        object->number = object_number_of_random(random);
    }
    if (uuid_is_zero(object->id)) {
        bool account = object->kind == OBJECT_USER || object->kind == OBJECT_GROUP;
        object->id =
            account ? object_id_of_number(object->kind, object->number) : new_uuid(sync->io);
    }
    if (object->created_ns == 0 || object->created_ns == TIME_UNSET) {
        object->created_ns = now_ns;
    }
    object->updated_ns = now_ns;
}

/* Is this the version that the caller has read? */
static int check_stored(const struct object *stored, const struct object *object)
{
    const struct object_kind_info *info = object_kind_info(object->kind);
    if (stored != NULL && stored->kind != object->kind) {
        return err_set(ERR_EXISTS, "%s.id: a %s has it", info->name,
                       object_kind_name(stored->kind));
    }
    bool live = stored != NULL && !stored->deleted;
    if (uuid_is_zero(object->change)) {
        bool replaces = info->rule == OBJECT_RULE_LAST_WRITE;
        return live && !replaces ? err_set(ERR_EXISTS, "this %s exists already", info->name) : 0;
    }
    if (!live) {
        /* Whoever has read the tombstone itself brings the object back. */
        if (stored != NULL && uuid_equal(stored->change, object->change)) {
            return 0;
        }
        return err_set(ERR_NOT_FOUND, "this %s was deleted meanwhile", info->name);
    }
    if (info->rule != OBJECT_RULE_LAST_WRITE && !uuid_equal(stored->change, object->change)) {
        return err_set(ERR_CONFLICT, "this %s was changed meanwhile, read it again", info->name);
    }
    return 0;
}

static int check_name(struct sync *sync, const struct object *object)
{
    struct object *other = NULL;
    if (!object_kind_info(object->kind)->unique_name || object->deleted) {
        return 0;
    }
    int rc = store_get_by_name(sync->store, object->kind, -1, object->name, &other);
    bool taken = rc == 0 && !uuid_equal(other->id, object->id);
    object_free(&other);
    if (taken) {
        return err_set(ERR_EXISTS, "%s.name: \"%.128s\" is taken", object_kind_name(object->kind),
                       object->name);
    }
    return rc < 0 ? rc : 0;
}

/* The next version of what is stored, ready to be kept or pushed. */
static int prepare(struct sync *sync, const struct object *object, struct uuid change,
                   struct object **ret_next)
{
    struct object *stored = NULL;
    int rc = store_get_any(sync->store, &object->id, &stored);
    if (rc < 0) {
        return rc;
    }
    rc = check_stored(stored, object);
    rc = rc < 0 ? rc : check_name(sync, object);
    if (rc == 0) {
        struct object *next = object_clone(object);
        sync_edit(stored, next, change);
        *ret_next = next;
    }
    object_free(&stored);
    return rc;
}

static void give_back(struct object *object, const struct object *written)
{
    object->change = written->change;
    object->revision = written->revision;
    object->base_revision = written->base_revision;
    object->dirty = written->dirty;
    object->refused = written->refused;
    object->rescue = written->rescue;
    object->edited = written->edited;
    object->stamped = written->stamped;
}

/* ---- alone: this store gives the revisions ---- */

static int store_alone(struct sync *sync, const struct object *object, struct uuid change,
                       struct object **ret_next)
{
    uint64_t revision;
    struct object *next = NULL;
    int rc = prepare(sync, object, change, &next);
    rc = rc < 0 ? rc : store_next_revision(sync->store, &revision);
    if (rc == 0) {
        struct sync_case alone = {.pushed = next};
        *ret_next = sync_accepted(&alone, revision);
        rc = store_put(sync->store, *ret_next);
    }
    object_free(&next);
    return rc;
}

/* ---- here first ---- */

static int store_here(struct sync *sync, const struct object *object, struct uuid change,
                      struct object **ret_next)
{
    int rc = prepare(sync, object, change, ret_next);
    return rc < 0 ? rc : store_put(sync->store, *ret_next);
}

typedef int (*store_act)(struct sync *, const struct object *, struct uuid, struct object **);

/* What one write consists of. */
struct writing {
    struct object *object;
    struct uuid change;
    struct object *beside; /* NULL: nothing */
};

static int in_transaction(struct sync *sync, struct writing *writing, store_act act)
{
    struct object *next = NULL;
    struct object *beside = NULL;
    int rc = store_begin(sync->store, STORE_DURABLE);
    if (rc < 0) {
        return rc;
    }
    rc = act(sync, writing->object, writing->change, &next);
    if (rc == 0 && writing->beside != NULL) {
        rc = act(sync, writing->beside, new_uuid(sync->io), &beside);
    }
    if (rc < 0) {
        store_abort(sync->store);
    } else {
        rc = store_commit(sync->store);
    }
    if (rc == 0) {
        give_back(writing->object, next);
        sync_report(sync, next);
    }
    if (rc == 0 && beside != NULL) {
        give_back(writing->beside, beside);
        sync_report(sync, beside);
    }
    object_free(&next);
    object_free(&beside);
    return rc;
}

static int outcome_of(struct sync_waiter *waiter, struct object *object)
{
    switch (waiter->verdict) {
    case SYNC_ACCEPTED:
    case SYNC_DUPLICATE:
        object->revision = waiter->revision;
        object->dirty = object->rescue = object->edited = false;
        return 0;
    case SYNC_COPIED:
        return SYNC_COPIED_BESIDE;
    case SYNC_SUPERSEDED:
        return 0;
    case SYNC_REFUSED:
        return err_set((enum err)waiter->fault, "%s", waiter->text);
    case SYNC_NEEDS_BLOB:
        break;
    }
    return SYNC_UNCONFIRMED;
}

static void remove_waiter(struct sync *sync, struct sync_waiter *waiter)
{
    struct sync_waiter **at = &sync->waiters;
    while (*at != waiter) {
        at = &(*at)->next;
    }
    *at = waiter->next;
}

static void add_waiter(struct sync *sync, struct sync_waiter *waiter)
{
    (void)pthread_mutex_lock(&sync->lock);
    waiter->next = sync->waiters;
    sync->waiters = waiter;
    (void)pthread_mutex_unlock(&sync->lock);
}

/* The waiter stands before the change can be pushed, let alone answered. */
static int write_here(struct sync *sync, struct writing *writing)
{
    struct sync_waiter waiter = {.change = writing->change, .object = writing->object->id};
    struct sync_event dirty = {.type = SYNC_EVENT_DIRTY};
    add_waiter(sync, &waiter);
    int rc = in_transaction(sync, writing, store_here);
    int64_t wait_ms = sync->options.confirm_wait_ms;
    int64_t until_ms = sync_now_ms(sync) + (wait_ms > 0 ? wait_ms : SYNC_CONFIRM_WAIT_MS);
    (void)pthread_mutex_lock(&sync->lock);
    if (rc == 0) {
        sync_post(sync, &dirty);
    }
    while (rc == 0 && !waiter.done && !sync->stopping && sync_is_connected(sync) &&
           !sync->link.waiting && sync_wait(sync, until_ms)) {}
    remove_waiter(sync, &waiter);
    (void)pthread_mutex_unlock(&sync->lock);
    if (rc < 0) {
        return rc;
    }
    return waiter.done ? outcome_of(&waiter, writing->object) : SYNC_UNCONFIRMED;
}

/* ---- through ---- */

/* Under the lock. A short outage is waited for, a long one is answered at once. */
static bool wait_connected(struct sync *sync, int64_t until_ms)
{
    int64_t offline_ns = io_now_ns(sync->io) - sync->status.since_ns;
    bool long_gone =
        sync->status.state == SYNC_STATE_OFFLINE && offline_ns > SYNC_THROUGH_WAIT_MS * TIME_MS_NS;
    while (!sync_is_connected(sync) && !long_gone && !sync->stopping && sync_wait(sync, until_ms)) {
    }
    return sync_is_connected(sync) && !sync->stopping;
}

static int say_unavailable(struct sync *sync, const char *why)
{
    (void)pthread_mutex_lock(&sync->lock);
    int rc = err_set(ERR_UNAVAILABLE, "this needs the datastore, and %s cannot be reached: %s",
                     sync->status.datastore, why != NULL ? why : sync->status.reason);
    (void)pthread_mutex_unlock(&sync->lock);
    return rc;
}

static int apply_reply(struct sync *sync, uint64_t generation, struct object *next,
                       const struct sync_reply *reply)
{
    struct object *confirmed = object_clone(reply->object != NULL ? reply->object : next);
    if (reply->object == NULL) {
        struct sync_case alone = {.pushed = next};
        object_free(&confirmed);
        confirmed = sync_accepted(&alone, reply->revision);
        memcpy(confirmed->stamps, next->stamps, sizeof(next->stamps));
        confirmed->stamp_count = next->stamp_count;
    }
    int rc = sync_apply_own(sync, generation, confirmed);
    sync_note_revision(sync, generation, reply->revision);
    object_free(&confirmed);
    return rc == ERR_CANCELLED ? 0 : rc; /* another datastore: its feed brings it */
}

static int take_reply(struct sync *sync, uint64_t generation, struct object *object,
                      struct object *next, const struct sync_reply *reply)
{
    int rc = 0;
    switch (reply->verdict) {
    case SYNC_ACCEPTED:
    case SYNC_DUPLICATE:
        next->dirty = next->rescue = next->edited = false;
        rc = apply_reply(sync, generation, next, reply);
        next->revision = reply->revision;
        give_back(object, next);
        return rc;
    case SYNC_SUPERSEDED:
    case SYNC_COPIED:
        rc = apply_reply(sync, generation, next, reply);
        return rc < 0 ? rc
                      : err_set(ERR_CONFLICT, "this %s was changed by somebody else meanwhile",
                                object_kind_name(object->kind));
    case SYNC_REFUSED:
        return err_set((enum err)reply->fault, "%s", reply->text);
    case SYNC_NEEDS_BLOB:
        break;
    }
    return err_set(ERR_UNAVAILABLE, "the datastore does not have its contents yet, try again");
}

static int push_through(struct sync *sync, struct object *object, struct object *next)
{
    int64_t until_ms = sync_now_ms(sync) + SYNC_THROUGH_WAIT_MS;
    char why[256] = "";
    for (;;) {
        (void)pthread_mutex_lock(&sync->lock);
        bool connected = wait_connected(sync, until_ms);
        uint64_t generation = sync->generation;
        struct sync_event lost = {.type = SYNC_EVENT_LOST, .run = sync->link.run};
        (void)pthread_mutex_unlock(&sync->lock);
        if (!connected) {
            return say_unavailable(sync, why[0] == 0 ? NULL : why);
        }
        struct sync_reply reply = {0};
        int rc = sync_push_objects(sync, &next, 1, SYNC_THROUGH_WAIT_MS, &reply);
        if (rc == 0) {
            rc = take_reply(sync, generation, object, next, &reply);
            sync_reply_deinit(&reply);
            return rc;
        }
        snprintf(why, sizeof(why), "%s", err_text());
        bool stale = rc == ERR_CONFLICT;
        (void)pthread_mutex_lock(&sync->lock);
        sync_post(sync, &lost);
        (void)pthread_mutex_unlock(&sync->lock);
        if (!stale && rc != ERR_UNAVAILABLE && rc != ERR_TIMEOUT && rc != ERR_NO_SPACE) {
            return err_set((enum err)rc, "%s", why);
        }
        if (sync_now_ms(sync) >= until_ms) {
            return say_unavailable(sync, why);
        }
    }
}

/* What goes beside is kept here and pushed like everything that is dirty: nobody waits for it. */
static int keep_beside(struct sync *sync, struct object *beside)
{
    struct writing writing = {beside, new_uuid(sync->io), NULL};
    int rc = in_transaction(sync, &writing, store_here);
    if (rc == 0) {
        sync_post_type(sync, SYNC_EVENT_DIRTY);
    }
    return rc;
}

static int write_through(struct sync *sync, struct writing *writing)
{
    struct object *next = NULL;
    int rc = prepare(sync, writing->object, writing->change, &next);
    rc = rc < 0 ? rc : push_through(sync, writing->object, next);
    object_free(&next);
    if (rc == 0 && writing->beside != NULL && keep_beside(sync, writing->beside) < 0) {
        sync_tell(sync, SYNC_ERROR, "beside-lost", "%s; the %s that goes with it has been written",
                  err_text(), object_kind_name(writing->object->kind));
    }
    return rc;
}

/* ---- the door ---- */

static int write_any(struct sync *sync, struct object *object, struct object *beside,
                     enum sync_mode mode)
{
    bool through = mode == SYNC_WRITE_THROUGH ||
                   (mode == SYNC_BY_KIND && object_kind_info(object->kind)->write_through);
    struct writing writing = {object, new_uuid(sync->io), beside};
    if (beside != NULL) {
        sync_complete(sync, beside);
        int rc = object_validate(beside);
        if (rc < 0) {
            return rc;
        }
    }
    if (sync->url_count == 0) {
        return in_transaction(sync, &writing, store_alone);
    }
    return through ? write_through(sync, &writing) : write_here(sync, &writing);
}

int sync_write_with(struct sync *sync, struct object *object, struct object *beside,
                    enum sync_mode mode)
{
    sync_complete(sync, object);
    object->deleted = false;
    int rc = object_validate(object);
    return rc < 0 ? rc : write_any(sync, object, beside, mode);
}

int sync_write(struct sync *sync, struct object *object, enum sync_mode mode)
{
    return sync_write_with(sync, object, NULL, mode);
}

static int delete_once(struct sync *sync, const struct uuid *id, struct object *beside,
                       enum sync_mode mode)
{
    struct object *object = NULL;
    int rc = store_get(sync->store, id, &object);
    if (rc == STORE_ABSENT) {
        return err_set(ERR_NOT_FOUND, "there is no such object");
    }
    if (rc < 0) {
        return rc;
    }
    object_bury(object);
    object->updated_ns = io_now_ns(sync->io);
    rc = write_any(sync, object, beside, mode);
    object_free(&object);
    return rc;
}

/* Whoever deletes does not mind that it was edited a moment ago. */
int sync_delete_with(struct sync *sync, const struct uuid *id, struct object *beside,
                     enum sync_mode mode)
{
    int rc = ERR_CONFLICT;
    for (int i = 0; i < DELETE_TRIES && rc == ERR_CONFLICT; i++) {
        rc = delete_once(sync, id, beside, mode);
    }
    return rc;
}

int sync_delete(struct sync *sync, const struct uuid *id, enum sync_mode mode)
{
    return sync_delete_with(sync, id, NULL, mode);
}

/* ---- restoring ---- */

/* The caller has read what is here now, so to say. */
static int read_stored(struct sync *sync, struct object *object)
{
    struct object *stored = NULL;
    object->change = (struct uuid){0};
    int rc = store_get_any(sync->store, &object->id, &stored);
    if (rc == 0) {
        object->change = stored->change;
    }
    object_free(&stored);
    return rc < 0 ? rc : 0;
}

static int restore_through(struct sync *sync, struct object *object)
{
    int rc = ERR_CONFLICT;
    for (int i = 0; i < RESTORE_TRIES && rc == ERR_CONFLICT; i++) {
        rc = read_stored(sync, object);
        rc = rc < 0 ? rc : write_through(sync, &(struct writing){object, new_uuid(sync->io), NULL});
    }
    return rc;
}

static int restore_one_here(struct sync *sync, struct object *object, struct object **ret_next)
{
    int rc = read_stored(sync, object);
    if (rc < 0) {
        return rc;
    }
    return sync->url_count == 0 ? store_alone(sync, object, new_uuid(sync->io), ret_next)
                                : store_here(sync, object, new_uuid(sync->io), ret_next);
}

static int restore_all_here(struct sync *sync, struct object *const *objects,
                            struct object **written, size_t count)
{
    int rc = store_begin(sync->store, STORE_DURABLE);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = restore_one_here(sync, objects[i], &written[i]);
    }
    if (rc < 0) {
        store_abort(sync->store);
        return rc;
    }
    return store_commit(sync->store);
}

static int restore_here(struct sync *sync, struct object *const *objects, size_t count)
{
    struct object **written = mem_alloc_array(count, sizeof(*written));
    int rc = restore_all_here(sync, objects, written, count);
    for (size_t i = 0; i < count; i++) {
        if (rc == 0) {
            give_back(objects[i], written[i]);
            sync_report(sync, written[i]);
        }
        object_free(&written[i]);
    }
    mem_free(written);
    if (rc == 0 && sync->url_count > 0) {
        sync_post_type(sync, SYNC_EVENT_DIRTY);
    }
    return rc;
}

int sync_restore(struct sync *sync, struct object *const *objects, size_t count)
{
    int rc = 0;
    bool through = false;
    for (size_t i = 0; i < count && rc == 0; i++) {
        through = through || object_kind_info(objects[i]->kind)->write_through;
        objects[i]->deleted = false;
        rc = object_validate(objects[i]);
    }
    if (rc < 0 || !through || sync->url_count == 0) {
        return rc < 0 ? rc : restore_here(sync, objects, count);
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = restore_through(sync, objects[i]);
    }
    return rc;
}
