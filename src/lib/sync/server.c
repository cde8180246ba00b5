#include "sync/server.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/time.h"
#include "sync/message.h"

#define FEED_BYTES 262144 /* handed out at once */
#define FEED_ROWS 128     /* read at once */
#define INTERVAL_MS_DEFAULT 10000
#define INTERVAL_MS_MAX 3600000

/* One webserver as it was last heard of. */
struct presence {
    struct sync_webserver view;
    int64_t seen_ns; /* monotonic */
    int64_t interval_ms;
    bool leaving;
};

/* A committed change as the feeds send it. */
struct line {
    uint64_t revision;
    char *text; /* owned, with its newline */
    size_t bytes;
};

/* One push on its way; lives on the stack of the thread that waits for it. */
struct push {
    const json_t *request;
    struct sync_reply *replies; /* of `count`, owned by the pusher */
    struct object **objects;    /* what was pushed; NULL: could not be read */
    size_t count;
    int rc;
    bool done;
    char fault[256];
    struct push *next;
};

struct sync_server {
    struct io *io;
    struct store *store;
    struct sync_server_options options;
    struct uuid run;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* something for the feeds, or a push is done */
    bool stopping;
    struct line recent[SYNC_SERVER_RECENT];
    uint64_t recent_begin, recent_end; /* places, modulo the size */
    uint64_t recent_after;             /* every change above this revision is in `recent` */
    uint64_t revision;                 /* the last one in `recent` */

    struct push *waiting; /* in order */
    struct push **waiting_end;
    bool leading; /* a thread is writing for all who wait */

    struct presence webservers[SYNC_WEBSERVERS_MAX];
    size_t webserver_count;
    uint64_t generation; /* of who is up */
    struct sync_server_stats stats;

    /* The leader's: our past, for judging; epochs learnt since are added. */
    struct sync_epochs epochs[OBJECT_FILES];
    struct uuid last[OBJECT_FILES];
};

struct sync_feed {
    struct sync_server *server;
    bool objects;
    uint64_t cursor;
    bool through;
    uint64_t generation;
};

static void tell(struct sync_server *server, enum sync_level level, const char *event,
                 const char *text)
{
    if (server->options.on_event != NULL) {
        server->options.on_event(server->options.context, level, event, text);
    }
}

/* ---- life ---- */

static int load_epochs(struct sync_server *server, enum object_file file)
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
    int rc = sync_take_over(server->store, &taken);
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        rc = load_epochs(server, file);
    }
    server->revision = server->recent_after = store_revision(server->store);
    if (rc == 0 && taken > 0) {
        char text[96];
        snprintf(text, sizeof(text), "%" PRIu64 " changes that waited in the store were accepted",
                 taken);
        tell(server, SYNC_WARN, "store-taken-over", text);
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

static struct line line_of(const struct object *object)
{
    json_t *json = json_pack("{s:o}", "object", object_to_json(object));
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    CHECK(text != NULL);
    struct line line = {.revision = object->revision, .text = mem_printf("%s\n", text)};
    line.bytes = strlen(line.text);
    free(text);
    return line;
}

/* Under the lock. */
static void publish(struct sync_server *server, struct line line)
{
    if (server->recent_end - server->recent_begin == SYNC_SERVER_RECENT) {
        struct line *oldest = &server->recent[server->recent_begin % SYNC_SERVER_RECENT];
        server->recent_after = oldest->revision;
        mem_free(oldest->text);
        server->recent_begin++;
    }
    server->recent[server->recent_end % SYNC_SERVER_RECENT] = line;
    server->recent_end++;
    server->revision = line.revision;
}

/* ---- pushing: judge and store one object ---- */

struct changes {
    struct line *items;
    size_t count;
    size_t capacity;
};

static void refuse(struct sync_reply *reply, int fault, const char *text)
{
    reply->verdict = SYNC_REFUSED;
    reply->fault = fault;
    snprintf(reply->text, sizeof(reply->text), "%s", text);
}

static int put_change(struct sync_server *server, const struct object *object,
                      struct changes *changes)
{
    int rc = store_put(server->store, object);
    if (rc == 0) {
        vec_push(changes, line_of(object));
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
                  struct sync_reply *reply, struct changes *changes)
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
                    struct sync_reply *reply, struct changes *changes)
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
                struct sync_reply *reply, struct changes *changes)
{
    struct uuid id = sync_copy_id(the_case->pushed);
    int rc = store_get_any(server->store, &id, &reply->copy);
    reply->object = object_clone(the_case->current);
    return rc == STORE_ABSENT ? put_copy(server, the_case, reply, changes) : rc;
}

static int answer_with_current(struct sync_server *server, const struct sync_case *the_case,
                               const struct store_change *known, struct sync_reply *reply)
{
    const struct object *current = the_case->current;
    const struct object *pushed = the_case->pushed;
    bool same = uuid_equal(current->change, pushed->change);
    reply->revision = same ? current->revision : known->revision;
    if (!same || pushed->rescue) {
        reply->object = object_clone(current);
    }
    if (the_case->change_known && !uuid_equal(known->object, pushed->id)) {
        /* It was copied then. */
        int rc = store_get_any(server->store, &known->object, &reply->copy);
        return rc < 0 ? rc : 0;
    }
    return 0;
}

static int act(struct sync_server *server, const struct sync_case *the_case,
               const struct store_change *known, struct sync_reply *reply, struct changes *changes)
{
    const struct object *pushed = the_case->pushed;
    switch (reply->verdict) {
    case SYNC_ACCEPTED:
        return accept(server, the_case, reply, changes);
    case SYNC_COPIED:
        return copy(server, the_case, reply, changes);
    case SYNC_DUPLICATE:
        return answer_with_current(server, the_case, known, reply);
    case SYNC_SUPERSEDED:
        reply->object = object_clone(the_case->current);
        if (pushed->rescue && !pushed->deleted) {
            return store_put_version(server->store, pushed);
        }
        return 0;
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

static int judge_one(struct sync_server *server, struct object *pushed, struct sync_reply *reply,
                     struct changes *changes)
{
    enum object_file file = object_kind_info(pushed->kind)->file;
    struct object *current = NULL;
    struct store_change known = {0};
    struct sync_tree tree = {server->epochs[file].items, server->epochs[file].count};
    int rc = store_get_any(server->store, &pushed->id, &current);
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
                                 .tree = &tree,
                                 .last = server->last[file]};
    reply->verdict = sync_judge(&the_case);
    bool stores = reply->verdict == SYNC_ACCEPTED || reply->verdict == SYNC_COPIED;
    if (stores && pushed->blob.present && !pushed->deleted &&
        !store_blob_has(server->store, pushed->blob.sha256)) {
        reply->verdict = SYNC_NEEDS_BLOB;
    }
    rc = act(server, &the_case, &known, reply, changes);
    object_free(&current);
    return rc;
}

static int push_one(struct sync_server *server, struct object *pushed, struct sync_reply *reply,
                    struct changes *changes)
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
static int learn_epochs(struct sync_server *server, const json_t *request)
{
    const json_t *pasts = json_object_get(request, "epochs");
    for (enum object_file file = 0; pasts != NULL && file < OBJECT_FILES; file++) {
        struct sync_epochs foreign = {0};
        int rc = sync_epochs_from_json(json_object_get(pasts, sync_file_name(file)), &foreign);
        rc = rc < 0 ? rc : store_add_epochs(server->store, file, foreign.items, foreign.count);
        vec_deinit(&foreign);
        rc = rc < 0 ? rc : load_epochs(server, file);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int push_all(struct sync_server *server, struct push *batch, struct changes *changes)
{
    int rc = 0;
    for (struct push *push = batch; rc == 0 && push != NULL; push = push->next) {
        rc = learn_epochs(server, push->request);
        for (size_t i = 0; rc == 0 && i < push->count; i++) {
            if (push->objects[i] != NULL) {
                rc = push_one(server, push->objects[i], &push->replies[i], changes);
            }
        }
    }
    return rc;
}

static int write_batch(struct sync_server *server, struct push *batch, struct changes *changes)
{
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
static void finish_batch(struct sync_server *server, struct push *batch, int rc,
                         struct changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        if (rc == 0) {
            publish(server, changes->items[i]);
        } else {
            mem_free(changes->items[i].text);
        }
    }
    server->stats.commits++;
    for (struct push *push = batch; push != NULL;) {
        struct push *next = push->next; /* the waiter may return as soon as it is done */
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
static int submit(struct sync_server *server, struct push *push)
{
    (void)pthread_mutex_lock(&server->lock);
    *server->waiting_end = push;
    server->waiting_end = &push->next;
    server->stats.pushes++;
    while (!push->done) {
        if (server->leading) {
            (void)pthread_cond_wait(&server->changed, &server->lock);
            continue;
        }
        struct push *batch = server->waiting;
        struct changes changes = {0};
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

static int check_protocol(const json_t *request)
{
    uint64_t protocol = sync_json_number(request, "protocol");
    /* One version back is accepted; there is none before the first. */
    if (protocol != SYNC_PROTOCOL) {
        return err_set(ERR_UNSUPPORTED, "protocol: %" PRIu64 ", this datastore speaks %d", protocol,
                       SYNC_PROTOCOL);
    }
    return 0;
}

static int check_run(struct sync_server *server, const char *run)
{
    char ours[UUID_TEXT_BYTES];
    if (strcmp(run, uuid_text(server->run, ours)) != 0) {
        return err_set(ERR_CONFLICT, "run: the datastore was started anew, check in again");
    }
    return 0;
}

static void read_objects(const json_t *list, struct push *push)
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

static json_t *push_answer(struct sync_server *server, const struct push *push)
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
    int rc = check_protocol(request);
    rc = rc < 0 ? rc : check_run(server, sync_json_text(request, "run"));
    if (rc == 0 && (!json_is_array(list) || json_array_size(list) > SYNC_PUSH_OBJECTS_MAX)) {
        rc = err_set(ERR_INVALID, "objects: a list of at most %d is expected",
                     SYNC_PUSH_OBJECTS_MAX);
    }
    if (rc < 0) {
        return rc;
    }
    struct push push = {.request = request, .count = json_array_size(list)};
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

/* ---- who is up ---- */

/* Under the lock. */
static bool still_up(const struct presence *presence, int64_t now_ns)
{
    int64_t patience_ns = SYNC_MISSED_MAX * presence->interval_ms * TIME_MS_NS;
    return !presence->leaving && now_ns - presence->seen_ns < patience_ns;
}

/* Under the lock. Sees who has fallen silent. */
static void look_around(struct sync_server *server)
{
    int64_t now_ns = io_monotonic_ns(server->io);
    for (size_t i = 0; i < server->webserver_count; i++) {
        struct presence *presence = &server->webservers[i];
        bool up = still_up(presence, now_ns);
        presence->view.seen_ms = (now_ns - presence->seen_ns) / TIME_MS_NS;
        if (up != presence->view.up) {
            presence->view.up = up;
            server->generation++;
            (void)pthread_cond_broadcast(&server->changed);
        }
    }
}

/* Under the lock. A place for a webserver; the longest silent one makes room. */
static struct presence *presence_of(struct sync_server *server, struct uuid id)
{
    struct presence *oldest = &server->webservers[0];
    for (size_t i = 0; i < server->webserver_count; i++) {
        struct presence *presence = &server->webservers[i];
        if (uuid_equal(presence->view.id, id)) {
            return presence;
        }
        oldest = presence->seen_ns < oldest->seen_ns ? presence : oldest;
    }
    if (server->webserver_count < SYNC_WEBSERVERS_MAX) {
        oldest = &server->webservers[server->webserver_count++];
    }
    *oldest = (struct presence){.view = {.id = id}};
    return oldest;
}

static void note_presence(struct sync_server *server, const json_t *request, struct uuid id)
{
    (void)pthread_mutex_lock(&server->lock);
    struct presence *presence = presence_of(server, id);
    uint64_t interval_ms = sync_json_number(request, "interval_ms");
    const char *addr = sync_json_text(request, "external_addr");
    bool moved = strcmp(addr, presence->view.external_addr) != 0;
    presence->seen_ns = io_monotonic_ns(server->io);
    presence->interval_ms =
        interval_ms == 0 ? INTERVAL_MS_DEFAULT : (int64_t)MIN(interval_ms, INTERVAL_MS_MAX);
    presence->leaving = json_is_true(json_object_get(request, "leaving"));
    presence->view.revision = sync_json_number(request, "revision");
    snprintf(presence->view.external_addr, sizeof(presence->view.external_addr), "%s", addr);
    snprintf(presence->view.version, sizeof(presence->view.version), "%s",
             sync_json_text(request, "version"));
    if (moved) {
        server->generation++;
        (void)pthread_cond_broadcast(&server->changed);
    }
    look_around(server);
    (void)pthread_mutex_unlock(&server->lock);
}

/* Under the lock. */
static json_t *list_webservers(struct sync_server *server)
{
    json_t *list = json_array();
    look_around(server);
    for (size_t i = 0; i < server->webserver_count; i++) {
        json_t *one = sync_webservers_to_json(&server->webservers[i].view, 1);
        json_array_extend(list, one);
        json_decref(one);
    }
    return list;
}

json_t *sync_server_webservers(struct sync_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    json_t *list = list_webservers(server);
    (void)pthread_mutex_unlock(&server->lock);
    return json_pack("{s:o}", "webservers", list);
}

/* ---- check-in ---- */

static int file_answer(struct sync_server *server, enum object_file file, json_t *files)
{
    struct store_place place;
    struct store_epoch *epochs = NULL;
    size_t count = 0;
    int rc = store_place(server->store, file, &place);
    rc = rc < 0 ? rc : store_epochs(server->store, file, &epochs, &count);
    if (rc < 0) {
        return rc;
    }
    json_t *own = json_array();
    for (size_t i = 0; i < count; i++) {
        if (epochs[i].main) {
            json_t *one = sync_epochs_to_json(&epochs[i], 1);
            json_array_extend(own, one);
            json_decref(one);
        }
    }
    mem_free(epochs);
    json_object_set_new(files, sync_file_name(file),
                        json_pack("{s:o, s:o, s:I, s:o}", "identity",
                                  sync_uuid_to_json(place.identity), "epoch",
                                  sync_uuid_to_json(place.epoch), "revision",
                                  (json_int_t)place.revision, "epochs", own));
    return 0;
}

int sync_server_check_in(struct sync_server *server, const json_t *request, json_t **ret_answer)
{
    struct uuid id;
    struct uuid run;
    int rc = check_protocol(request);
    rc = rc < 0 ? rc : sync_uuid_from_json(request, "webserver", &id);
    rc = rc < 0 ? rc : sync_uuid_from_json(request, "run", &run);
    if (rc == 0 && uuid_is_zero(id)) {
        rc = err_set(ERR_INVALID, "webserver: missing");
    }
    if (rc < 0) {
        return rc;
    }
    note_presence(server, request, id);
    json_t *answer = sync_server_webservers(server);
    json_object_set_new(answer, "protocol", json_integer(SYNC_PROTOCOL));
    json_object_set_new(answer, "run", sync_uuid_to_json(server->run));
    json_t *files = json_object();
    /* The revision first: a file's place may only be newer than what it says. */
    json_object_set_new(answer, "revision",
                        json_integer((json_int_t)store_revision(server->store)));
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        rc = uuid_equal(run, server->run) ? 0 : file_answer(server, file, files);
    }
    json_object_set_new(answer, "stores", files);
    if (rc < 0) {
        json_decref(answer);
        return rc;
    }
    *ret_answer = answer;
    return 0;
}

/* ---- feeds ---- */

int sync_feed_open(struct sync_server *server, const struct sync_feed_options *options,
                   struct sync_feed **ret_feed)
{
    int rc = options->run == NULL ? 0 : check_run(server, options->run);
    if (rc < 0) {
        return rc;
    }
    struct sync_feed *feed = MEM_NEW(struct sync_feed);
    *feed =
        (struct sync_feed){.server = server, .objects = options->objects, .cursor = options->since};
    (void)pthread_mutex_lock(&server->lock);
    server->stats.feeds++;
    (void)pthread_mutex_unlock(&server->lock);
    *ret_feed = feed;
    return 0;
}

void sync_feed_close(struct sync_feed **feed)
{
    if (*feed == NULL) {
        return;
    }
    struct sync_server *server = (*feed)->server;
    (void)pthread_mutex_lock(&server->lock);
    server->stats.feeds--;
    (void)pthread_mutex_unlock(&server->lock);
    mem_free(*feed);
    *feed = NULL;
}

/* Under the lock. */
static void copy_recent(struct sync_feed *feed, struct buf *lines)
{
    struct sync_server *server = feed->server;
    uint64_t at = server->recent_end;
    while (at > server->recent_begin &&
           server->recent[(at - 1) % SYNC_SERVER_RECENT].revision > feed->cursor) {
        at--;
    }
    for (; at < server->recent_end && lines->bytes < FEED_BYTES; at++) {
        const struct line *line = &server->recent[at % SYNC_SERVER_RECENT];
        buf_append(lines, span_of(line->text, line->bytes));
        feed->cursor = line->revision;
    }
}

/* Without the lock: what is no longer in memory. Up to `revision` nothing is missing afterwards
 * when it found nothing more. */
static int read_older(struct sync_feed *feed, uint64_t revision, struct buf *lines)
{
    struct object_list list = {0};
    int rc = store_changes(feed->server->store, feed->cursor, FEED_ROWS, &list);
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        struct line line = line_of(list.items[i]);
        buf_append(lines, span_of(line.text, line.bytes));
        mem_free(line.text);
        feed->cursor = line.revision;
    }
    if (rc == 0 && list.count == 0) {
        feed->cursor = MAX(feed->cursor, revision);
    }
    object_list_deinit(&list);
    return rc;
}

/* Under the lock, which it lets go of while it reads. */
static int collect_objects(struct sync_feed *feed, struct buf *lines)
{
    struct sync_server *server = feed->server;
    while (feed->cursor < server->revision && lines->bytes < FEED_BYTES) {
        if (feed->cursor >= server->recent_after) {
            copy_recent(feed, lines);
            continue;
        }
        uint64_t until = server->recent_after;
        (void)pthread_mutex_unlock(&server->lock);
        int rc = read_older(feed, until, lines);
        (void)pthread_mutex_lock(&server->lock);
        if (rc < 0) {
            return rc;
        }
    }
    if (!feed->through && feed->cursor >= server->revision) {
        feed->through = true;
        buf_printf(lines, "{\"revision\":%" PRIu64 ",\"through\":true}\n", server->revision);
    }
    return 0;
}

static void collect_webservers(struct sync_feed *feed, struct buf *lines)
{
    struct sync_server *server = feed->server;
    json_t *json = json_pack("{s:o}", "webservers", list_webservers(server));
    feed->generation = server->generation;
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    buf_append_str(lines, text);
    buf_append_byte(lines, '\n');
    free(text);
}

static struct timespec deadline_after(int64_t timeout_ms)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t at_ns = now.tv_sec * TIME_S_NS + now.tv_nsec + timeout_ms * TIME_MS_NS;
    return (struct timespec){at_ns / TIME_S_NS, at_ns % TIME_S_NS};
}

/* Under the lock. */
static int collect(struct sync_feed *feed, struct buf *lines)
{
    struct sync_server *server = feed->server;
    if (server->stopping) {
        return err_set(ERR_CANCELLED, "the datastore stops");
    }
    look_around(server);
    if (feed->generation != server->generation) {
        collect_webservers(feed, lines);
    }
    return feed->objects ? collect_objects(feed, lines) : 0;
}

int sync_feed_next(struct sync_feed *feed, int64_t timeout_ms, struct buf *lines)
{
    struct sync_server *server = feed->server;
    struct timespec until = deadline_after(timeout_ms);
    (void)pthread_mutex_lock(&server->lock);
    int rc = collect(feed, lines);
    int waited = 0;
    while (rc == 0 && lines->bytes == 0 && waited == 0) {
        waited = pthread_cond_timedwait(&server->changed, &server->lock, &until);
        rc = collect(feed, lines);
    }
    if (rc == 0 && lines->bytes == 0) {
        buf_printf(lines, "{\"revision\":%" PRIu64 "}\n", server->revision);
    }
    (void)pthread_mutex_unlock(&server->lock);
    return rc;
}

void sync_server_stats(struct sync_server *server, struct sync_server_stats *ret_stats)
{
    (void)pthread_mutex_lock(&server->lock);
    look_around(server);
    *ret_stats = server->stats;
    ret_stats->revision = server->revision;
    ret_stats->webservers_known = server->webserver_count;
    for (size_t i = 0; i < server->webserver_count; i++) {
        ret_stats->webservers_up += server->webservers[i].view.up ? 1 : 0;
    }
    (void)pthread_mutex_unlock(&server->lock);
}
