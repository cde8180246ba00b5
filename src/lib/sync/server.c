#include "sync/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "sync/server_state.h"

void sync_server_tell(struct sync_server *server, enum sync_level level, const char *event,
                      const char *text)
{
    if (server->options.on_event != NULL) {
        server->options.on_event(server->options.context, level, event, text);
    }
}

/* ---- life ---- */

int sync_load_epochs(struct sync_server *server, enum object_file file)
{
    struct store_place place;
    struct sync_epochs *epochs = &server->epochs[file];
    struct store_epoch *items = NULL;
    size_t count = 0;
    int rc = store_place(server->store, file, &place);
    rc = rc < 0 ? rc : store_epochs(server->store, file, &items, &count);
    if (rc < 0) {
        return rc;
    }
    vec_deinit(epochs);
    *epochs = (struct sync_epochs){items, count, count};
    server->last[file] = place.epoch;
    return 0;
}

static int begin(struct sync_server *server)
{
    uint64_t taken = 0;
    uint64_t mended = 0;
    int rc = sync_take_over(server->store, &taken);
    if (rc == 0 && server->options.backend == NULL) {
        rc = sync_feed_mended(server, &mended);
    }
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        rc = sync_load_epochs(server, file);
    }
    rc = rc < 0 ? rc : sync_server_recall(server);
    server->revision = server->recent_after = store_revision(server->store);
    if (rc == 0 && taken > 0) {
        char text[96];
        snprintf(text, sizeof(text), "%" PRIu64 " changes that waited in the store were accepted",
                 taken);
        sync_server_tell(server, SYNC_WARN, "store-taken-over", text);
    }
    if (rc == 0 && mended > 0) {
        char text[96];
        snprintf(text, sizeof(text), "%" PRIu64 " rows that could not be read go out to webservers",
                 mended);
        sync_server_tell(server, SYNC_INFO, "rows-mended", text);
    }
    return rc;
}

int sync_server_new(const struct sync_server_options *options, struct sync_server **ret_server)
{
    struct sync_server *server = MEM_NEW(struct sync_server);
    uint8_t random[16];
    server->io = options->io;
    server->store = options->store;
    server->options = *options;
    server->waiting_end = &server->waiting;
    server->generation = 1;
    server->recent_bytes_max = SYNC_SERVER_RECENT_BYTES;
    io_random(server->io, random, sizeof(random));
    server->run = uuid_of_random(random);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&server->lock, NULL);
    (void)pthread_cond_init(&server->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    int rc = begin(server);
    if (rc < 0) {
        sync_server_free(&server);
        return rc;
    }
    *ret_server = server;
    return 0;
}

void sync_server_stop(struct sync_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    server->stopping = true;
    (void)pthread_cond_broadcast(&server->changed);
    (void)pthread_mutex_unlock(&server->lock);
}

void sync_server_free(struct sync_server **server)
{
    struct sync_server *gone = *server;
    *server = NULL;
    if (gone == NULL) {
        return;
    }
    CHECK(gone->stats.feeds == 0 && gone->waiting == NULL);
    for (uint64_t at = gone->recent_begin; at < gone->recent_end; at++) {
        mem_free(gone->recent[at % SYNC_SERVER_RECENT].text);
    }
    for (enum object_file file = 0; file < OBJECT_FILES; file++) {
        vec_deinit(&gone->epochs[file]);
    }
    (void)pthread_mutex_destroy(&gone->lock);
    (void)pthread_cond_destroy(&gone->changed);
    mem_free(gone);
}

/* ---- what the feeds send ---- */

struct sync_line sync_line_of(const struct object *object)
{
    json_t *json = json_pack("{s:o}", "object", object_to_json(object));
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    CHECK(text != NULL);
    struct sync_line line = {
        .id = object->id, .revision = object->revision, .text = mem_printf("%s\n", text)};
    line.bytes = strlen(line.text);
    free(text);
    return line;
}

static bool is_full(const struct sync_server *server, size_t bytes)
{
    uint64_t count = server->recent_end - server->recent_begin;
    return count == SYNC_SERVER_RECENT ||
           (count > 0 && server->recent_bytes + bytes > server->recent_bytes_max);
}

/* Under the lock. */
void sync_publish(struct sync_server *server, struct sync_line line)
{
    while (is_full(server, line.bytes)) {
        struct sync_line *oldest = &server->recent[server->recent_begin % SYNC_SERVER_RECENT];
        server->recent_after = oldest->revision;
        server->recent_bytes -= oldest->bytes;
        mem_free(oldest->text);
        server->recent_begin++;
    }
    server->recent[server->recent_end % SYNC_SERVER_RECENT] = line;
    server->recent_end++;
    server->recent_bytes += line.bytes;
    server->revision = line.revision;
}

/* ---- pushing: judge and store one object ---- */

static void refuse(struct sync_reply *reply, int fault, const char *text)
{
    reply->verdict = SYNC_REFUSED;
    reply->fault = fault;
    snprintf(reply->text, sizeof(reply->text), "%s", text);
}

static int put_change(struct sync_server *server, const struct object *object,
                      struct sync_changes *changes)
{
    int rc = store_put(server->store, object);
    if (rc == 0) {
        struct sync_line line = sync_line_of(object);
        changes->bytes += line.bytes;
        vec_push(changes, line);
    }
    return rc;
}

/* Two live accounts never share a name. A rescued one gets another, everything else is refused.
 * 1: refused. */
static int check_name(struct sync_server *server, struct object *object, bool rescued,
                      struct sync_reply *reply)
{
    const struct object_kind_info *info = object_kind_info(object->kind);
    struct object *other = NULL;
    if (!info->unique_name || object->deleted) {
        return 0;
    }
    int rc = store_get_by_name(server->store, object->kind, -1, object->name, &other);
    bool taken = rc == 0 && !uuid_equal(other->id, object->id);
    object_free(&other);
    if (rc < 0 || !taken) {
        return rc < 0 ? rc : 0;
    }
    if (!rescued) {
        char text[256];
        snprintf(text, sizeof(text), "%s.name: \"%.128s\" is taken", info->name, object->name);
        refuse(reply, ERR_EXISTS, text);
        return 1;
    }
    char *name = mem_printf("%s-%" PRIu64, object->name, object->number);
    object_set_name(object, name);
    mem_free(name);
    return 0;
}

static int accept(struct sync_server *server, const struct sync_case *the_case,
                  struct sync_reply *reply, struct sync_changes *changes)
{
    struct object *probe = object_clone(the_case->pushed);
    int rc = check_name(server, probe, probe->rescue, reply);
    struct sync_case renamed = *the_case;
    renamed.pushed = probe;
    uint64_t revision;
    if (rc == 0) {
        rc = store_next_revision(server->store, &revision);
    }
    if (rc == 0) {
        struct object *object = sync_accepted(&renamed, revision);
        rc = put_change(server, object, changes);
        reply->revision = revision;
        reply->object = probe->rescue ? object_clone(object) : NULL;
        object_free(&object);
    }
    object_free(&probe);
    return rc < 0 ? rc : 0;
}

static int put_copy(struct sync_server *server, const struct sync_case *the_case,
                    struct sync_reply *reply, struct sync_changes *changes)
{
    uint64_t revision;
    int rc = store_next_revision(server->store, &revision);
    if (rc < 0) {
        return rc;
    }
    reply->copy = sync_copied(the_case, revision);
    rc = put_change(server, reply->copy, changes);
    rc = rc < 0 ? rc : store_next_revision(server->store, &revision);
    if (rc == 0) {
        struct object *notice =
            sync_notice(reply->copy, the_case->current, io_now_ns(server->io), revision);
        rc = put_change(server, notice, changes);
        object_free(&notice);
    }
    return rc;
}

static int copy(struct sync_server *server, const struct sync_case *the_case,
                struct sync_reply *reply, struct sync_changes *changes)
{
    struct uuid id = sync_copy_id(the_case->pushed);
    int rc = store_get_any(server->store, &id, &reply->copy);
    reply->object = object_clone(the_case->current);
    return rc == STORE_ABSENT ? put_copy(server, the_case, reply, changes) : rc;
}

static void answer_with_current(const struct sync_case *the_case, uint64_t known_revision,
                                struct sync_reply *reply)
{
    const struct object *current = the_case->current;
    bool same = uuid_equal(current->change, the_case->pushed->change);
    reply->revision = same ? current->revision : known_revision;
    if (!same || the_case->pushed->rescue) {
        reply->object = object_clone(current);
    }
}

static int supersede(struct sync_server *server, const struct sync_case *the_case,
                     struct sync_reply *reply, struct sync_changes *changes)
{
    const struct object *pushed = the_case->pushed;
    struct object *merged = sync_merged(the_case);
    int rc = 0;
    if (merged != NULL) {
        rc = store_next_revision(server->store, &merged->revision);
        rc = rc < 0 ? rc : put_change(server, merged, changes);
    }
    if (rc == 0 && pushed->rescue && !pushed->deleted) {
        rc = store_put_version(server->store, pushed);
    }
    reply->object = merged != NULL ? merged : object_clone(the_case->current);
    return rc;
}

static int act(struct sync_server *server, const struct sync_case *the_case,
               const struct store_change *known, struct sync_reply *reply,
               struct sync_changes *changes)
{
    const struct object *pushed = the_case->pushed;
    switch (reply->verdict) {
    case SYNC_ACCEPTED:
        return accept(server, the_case, reply, changes);
    case SYNC_COPIED:
        return copy(server, the_case, reply, changes);
    case SYNC_DUPLICATE:
        answer_with_current(the_case, known->revision, reply);
        return 0;
    case SYNC_SUPERSEDED:
        return supersede(server, the_case, reply, changes);
    case SYNC_REFUSED:
        if (the_case->current->kind != pushed->kind) {
            refuse(reply, ERR_EXISTS, "id: another object has it");
        } else if (pushed->base_revision == 0) {
            refuse(reply, ERR_EXISTS, "it exists already");
        } else {
            refuse(reply, ERR_CONFLICT, "it was changed by somebody else meanwhile");
        }
        return 0;
    case SYNC_NEEDS_BLOB:
        break;
    }
    return 0;
}

static bool blob_is_safe(struct sync_server *server, const uint8_t sha256[32])
{
    const struct sync_backend *backend = server->options.backend;
    return store_blob_has(server->store, sha256) &&
           (backend == NULL || backend->blob_is_safe(backend->context, sha256));
}

static int judge_one(struct sync_server *server, struct object *pushed, struct sync_reply *reply,
                     struct sync_changes *changes)
{
    enum object_file file = object_kind_info(pushed->kind)->file;
    struct object *current = NULL;
    struct store_change known = {0};
    struct sync_tree tree = {server->epochs[file].items, server->epochs[file].count};
    int rc = store_get_any(server->store, &pushed->id, &current);
    if (rc == ERR_CORRUPT && store_is_unreadable(server->store, &pushed->id)) {
        refuse(reply, rc, err_text()); /* neither is lost: it stays where it was written */
        return 0;
    }
    if (rc < 0) {
        return rc;
    }
    rc = store_find_change(server->store, &pushed->change, &known);
    if (rc < 0) {
        object_free(&current);
        return rc;
    }
    struct sync_case the_case = {.current = current,
                                 .pushed = pushed,
                                 .change_known = rc == 0,
                                 .copied = rc == 0 && !uuid_equal(known.object, pushed->id),
                                 .tree = &tree,
                                 .last = server->last[file]};
    reply->verdict = sync_judge(&the_case);
    bool stores = reply->verdict == SYNC_ACCEPTED || reply->verdict == SYNC_COPIED;
    if (stores && pushed->blob.present && !pushed->deleted &&
        !blob_is_safe(server, pushed->blob.sha256)) {
        reply->verdict = SYNC_NEEDS_BLOB;
    }
    rc = act(server, &the_case, &known, reply, changes);
    object_free(&current);
    return rc;
}

int sync_push_one(struct sync_server *server, struct object *pushed, struct sync_reply *reply,
                  struct sync_changes *changes)
{
    reply->id = pushed->id;
    reply->change = pushed->change;
    int rc = object_validate(pushed);
    if (rc == 0 && uuid_is_zero(pushed->change)) {
        rc = err_set(ERR_INVALID, "%s.change: missing", object_kind_name(pushed->kind));
    }
    if (rc < 0) {
        refuse(reply, rc, err_text());
        return 0;
    }
    return judge_one(server, pushed, reply, changes);
}

/* ---- pushing: several pushes, one commit ---- */

/* A webserver that rescues tells its past, so that versions of it can be placed. */
int sync_learn_epochs(struct sync_server *server, const json_t *request)
{
    const json_t *pasts = json_object_get(request, "epochs");
    for (enum object_file file = 0; pasts != NULL && file < OBJECT_FILES; file++) {
        struct sync_epochs foreign = {0};
        int rc = sync_epochs_from_json(json_object_get(pasts, sync_file_name(file)), &foreign);
        rc = rc < 0 ? rc : store_add_epochs(server->store, file, foreign.items, foreign.count);
        vec_deinit(&foreign);
        rc = rc < 0 ? rc : sync_load_epochs(server, file);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int sync_learn_versions(struct sync_server *server, const json_t *request)
{
    const json_t *list = json_object_get(request, "versions");
    int rc = 0;
    for (size_t i = json_array_size(list); rc == 0 && i-- > 0;) {
        struct object *object = NULL;
        if (object_from_json(json_array_get(list, i), &object) == 0 &&
            object_validate(object) == 0 && !object->deleted) {
            rc = store_put_version(server->store, object);
        }
        object_free(&object);
    }
    return rc;
}

static int push_all(struct sync_server *server, struct sync_pushed *batch,
                    struct sync_changes *changes)
{
    int rc = 0;
    for (struct sync_pushed *push = batch; rc == 0 && push != NULL; push = push->next) {
        rc = sync_learn_epochs(server, push->request);
        rc = rc < 0 ? rc : sync_learn_versions(server, push->request);
        for (size_t i = 0; rc == 0 && i < push->count; i++) {
            if (push->objects[i] != NULL) {
                rc = sync_push_one(server, push->objects[i], &push->replies[i], changes);
            }
        }
    }
    return rc;
}

static int write_batch(struct sync_server *server, struct sync_pushed *batch,
                       struct sync_changes *changes)
{
    if (server->options.backend != NULL) {
        return sync_backend_write(server, batch);
    }
    int rc = store_begin(server->store, STORE_DURABLE);
    if (rc < 0) {
        return rc;
    }
    rc = push_all(server, batch, changes);
    if (rc < 0) {
        store_abort(server->store);
        return rc;
    }
    return store_commit(server->store);
}

/* Under the lock, when the batch is on disk (or is not). */
static void finish_batch(struct sync_server *server, struct sync_pushed *batch, int rc,
                         struct sync_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        if (rc == 0) {
            sync_publish(server, changes->items[i]);
        } else {
            mem_free(changes->items[i].text);
        }
    }
    server->stats.commits++;
    for (struct sync_pushed *push = batch; push != NULL;) {
        struct sync_pushed *next = push->next; /* the waiter may return as soon as it is done */
        push->rc = rc;
        snprintf(push->fault, sizeof(push->fault), "%s", rc < 0 ? err_text() : "");
        for (size_t i = 0; rc == 0 && i < push->count; i++) {
            server->stats.verdicts[push->replies[i].verdict]++;
        }
        push->done = true;
        push = next;
    }
    (void)pthread_cond_broadcast(&server->changed);
}

/* Whoever finds nobody writing writes for all who wait. */
static int submit(struct sync_server *server, struct sync_pushed *push)
{
    (void)pthread_mutex_lock(&server->lock);
    *server->waiting_end = push;
    server->waiting_end = &push->next;
    server->stats.pushes++;
    while (!push->done) {
        /* Nothing waits: it is in the hands of one who lets others lead until it has caught up. */
        if (server->leading || server->waiting == NULL) {
            (void)pthread_cond_wait(&server->changed, &server->lock);
            continue;
        }
        struct sync_pushed *batch = server->waiting;
        struct sync_changes changes = {0};
        server->waiting = NULL;
        server->waiting_end = &server->waiting;
        server->leading = true;
        (void)pthread_mutex_unlock(&server->lock);
        int rc = write_batch(server, batch, &changes);
        (void)pthread_mutex_lock(&server->lock);
        server->leading = false;
        finish_batch(server, batch, rc, &changes);
        vec_deinit(&changes);
    }
    (void)pthread_mutex_unlock(&server->lock);
    return push->rc < 0 ? err_set(push->rc, "%s", push->fault) : 0;
}

int sync_check_protocol(const json_t *request)
{
    uint64_t protocol = sync_json_number(request, "protocol");
    if (protocol < SYNC_PROTOCOL_OLDEST) {
        return err_set(ERR_UNSUPPORTED,
                       "protocol: %" PRIu64
                       ", this datastore speaks %d to %d: upgrade this webserver",
                       protocol, SYNC_PROTOCOL_OLDEST, SYNC_PROTOCOL);
    }
    if (protocol > SYNC_PROTOCOL) {
        return err_set(ERR_UNSUPPORTED,
                       "protocol: %" PRIu64 ", this datastore speaks %d to %d: upgrade datastores "
                       "before webservers",
                       protocol, SYNC_PROTOCOL_OLDEST, SYNC_PROTOCOL);
    }
    return 0;
}

int sync_check_run(struct sync_server *server, const char *run)
{
    char ours[UUID_TEXT_BYTES];
    if (strcmp(run, uuid_text(server->run, ours)) != 0) {
        return err_set(ERR_CONFLICT, "run: the datastore was started anew, check in again");
    }
    return 0;
}

static void read_objects(const json_t *list, struct sync_pushed *push)
{
    for (size_t i = 0; i < push->count; i++) {
        const json_t *item = json_array_get(list, i);
        if (object_from_json(item, &push->objects[i]) < 0) {
            struct sync_reply *reply = &push->replies[i];
            refuse(reply, ERR_UNSUPPORTED, err_text());
            if (sync_uuid_from_json(item, "id", &reply->id) < 0 ||
                sync_uuid_from_json(item, "change", &reply->change) < 0) {
                reply->id = (struct uuid){0};
            }
        }
    }
}

static json_t *push_answer(struct sync_server *server, const struct sync_pushed *push)
{
    json_t *answers = json_array();
    for (size_t i = 0; i < push->count; i++) {
        json_array_append_new(answers, sync_reply_to_json(&push->replies[i]));
    }
    return json_pack("{s:I, s:o}", "revision", (json_int_t)store_revision(server->store), "answers",
                     answers);
}

int sync_server_push(struct sync_server *server, const json_t *request, json_t **ret_answer)
{
    const json_t *list = json_object_get(request, "objects");
    int rc = sync_check_protocol(request);
    rc = rc < 0 ? rc : sync_check_run(server, sync_json_text(request, "run"));
    if (rc == 0 && (!json_is_array(list) || json_array_size(list) > SYNC_PUSH_OBJECTS_MAX)) {
        rc = err_set(ERR_INVALID, "objects: a list of at most %d is expected",
                     SYNC_PUSH_OBJECTS_MAX);
    }
    if (rc < 0) {
        return rc;
    }
    struct sync_pushed push = {.request = request, .count = json_array_size(list)};
    push.replies = mem_alloc_array(push.count + 1, sizeof(*push.replies));
    push.objects = mem_alloc_array(push.count + 1, sizeof(*push.objects));
    read_objects(list, &push);
    rc = submit(server, &push);
    if (rc == 0) {
        *ret_answer = push_answer(server, &push);
    }
    for (size_t i = 0; i < push.count; i++) {
        sync_reply_deinit(&push.replies[i]);
        object_free(&push.objects[i]);
    }
    mem_free(push.replies);
    mem_free(push.objects);
    return rc;
}
