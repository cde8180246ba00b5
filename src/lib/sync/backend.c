/* A datastore that is one of several over a shared truth: judging on the cache, committing there,
 * and taking over what the others committed. */
#include "sync/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/time.h"
#include "sync/server_state.h"

#define WRITE_MS 2500 /* a batch is tried again so long when others were faster */

/* ---- what the lines carry ---- */

static const char line_begin[] = "{\"object\":"; /* as sync_line_of writes it */

struct span sync_line_json(const struct sync_line *line)
{
    size_t begin = sizeof(line_begin) - 1;
    CHECK(line->bytes > begin + 2 && memcmp(line->text, line_begin, begin) == 0);
    return span_of(line->text + begin, line->bytes - begin - 2); /* without "}\n" */
}

void sync_lines_free(struct sync_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        mem_free(changes->items[i].text);
    }
    vec_deinit(changes);
    changes->bytes = 0;
}

/* Under the lock, which it gives back. The lines are the server's afterwards. */
static void publish_all(struct sync_server *server, struct sync_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        sync_publish(server, changes->items[i]);
    }
    vec_clear(changes);
    (void)pthread_cond_broadcast(&server->changed);
    (void)pthread_mutex_unlock(&server->lock);
    vec_deinit(changes);
}

/* ---- away ---- */

int sync_check_away(struct sync_server *server)
{
    return server->away[0] == 0 ? 0 : err_set(ERR_UNAVAILABLE, "%s", server->away);
}

void sync_server_set_away(struct sync_server *server, const char *why)
{
    (void)pthread_mutex_lock(&server->lock);
    snprintf(server->away, sizeof(server->away), "%s", why == NULL ? "" : why);
    (void)pthread_cond_broadcast(&server->changed);
    (void)pthread_mutex_unlock(&server->lock);
}

uint64_t sync_server_revision(struct sync_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    uint64_t revision = server->revision;
    (void)pthread_mutex_unlock(&server->lock);
    return revision;
}

bool sync_server_wait_revision(struct sync_server *server, uint64_t revision, int64_t timeout_ms)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t at_ns = at.tv_sec * TIME_S_NS + at.tv_nsec + timeout_ms * TIME_MS_NS;
    at = (struct timespec){at_ns / TIME_S_NS, at_ns % TIME_S_NS};
    (void)pthread_mutex_lock(&server->lock);
    int waited = 0;
    while (server->revision < revision && waited == 0 && !server->stopping) {
        waited = pthread_cond_timedwait(&server->changed, &server->lock, &at);
    }
    bool reached = server->revision >= revision;
    (void)pthread_mutex_unlock(&server->lock);
    return reached;
}

/* ---- leading: one thread at a time has the store's writer and the epochs ---- */

static void lead(struct sync_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    while (server->leading) {
        (void)pthread_cond_wait(&server->changed, &server->lock);
    }
    server->leading = true;
    (void)pthread_mutex_unlock(&server->lock);
}

static void follow(struct sync_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    server->leading = false;
    (void)pthread_cond_broadcast(&server->changed);
    (void)pthread_mutex_unlock(&server->lock);
}

static int load_all_epochs(struct sync_server *server)
{
    int rc = 0;
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        rc = sync_load_epochs(server, file);
    }
    return rc;
}

static size_t epoch_count(const struct sync_server *server)
{
    return server->epochs[OBJECT_FILE_USERS].count + server->epochs[OBJECT_FILE_WEB].count;
}

/* ---- a batch, in pieces that the backend takes at once ---- */

struct place {
    struct sync_pushed *push;
    size_t index;
};

static bool is_full(const struct sync_backend *backend, const struct sync_changes *changes,
                    const struct object *next)
{
    /* A push makes at most two changes, the second one small. */
    size_t more = next == NULL || next->body == NULL
                      ? 0
                      : json_dumpb(next->body, NULL, 0, JSON_COMPACT) + strlen(next->description);
    return changes->count > 0 && (changes->count + 2 > backend->changes_max ||
                                  changes->bytes + more + 65536 > backend->bytes_max);
}

static int judge_piece(struct sync_server *server, struct place *place,
                       struct sync_changes *changes)
{
    const struct sync_backend *backend = server->options.backend;
    int rc = 0;
    while (rc == 0 && place->push != NULL) {
        struct sync_pushed *push = place->push;
        rc = place->index == 0 ? sync_learn_epochs(server, push->request) : 0;
        rc = rc < 0 || place->index > 0 ? rc : sync_learn_versions(server, push->request);
        while (rc == 0 && place->index < push->count) {
            struct object *object = push->objects[place->index];
            if (is_full(backend, changes, object)) {
                return 0;
            }
            struct sync_reply *reply = &push->replies[place->index++];
            if (object != NULL) {
                rc = sync_push_one(server, object, reply, changes);
            }
        }
        if (rc == 0) {
            *place = (struct place){.push = push->next};
        }
    }
    return rc;
}

/* Answers from `begin` to `end` never were. */
static void unjudge(struct place begin, struct place end)
{
    while (begin.push != NULL && (begin.push != end.push || begin.index < end.index)) {
        if (begin.index < begin.push->count && begin.push->objects[begin.index] != NULL) {
            struct sync_reply *reply = &begin.push->replies[begin.index];
            sync_reply_deinit(reply);
            *reply = (struct sync_reply){0};
        }
        begin.index++;
        if (begin.index >= begin.push->count && begin.push != end.push) {
            begin = (struct place){.push = begin.push->next};
        }
    }
}

static int propose(struct sync_server *server, const struct sync_changes *changes, bool epochs)
{
    const struct sync_backend *backend = server->options.backend;
    struct sync_proposal proposal = {.base = server->revision,
                                     .revision = server->revision,
                                     .count = changes->count,
                                     .epochs = epochs};
    if (changes->count == 0 && !epochs) {
        return 0;
    }
    struct sync_change *items = mem_alloc_array(changes->count + 1, sizeof(*items));
    for (size_t i = 0; i < changes->count; i++) {
        items[i] = (struct sync_change){.id = changes->items[i].id,
                                        .revision = changes->items[i].revision,
                                        .json = sync_line_json(&changes->items[i])};
        proposal.revision = items[i].revision;
    }
    proposal.changes = items;
    int rc = backend->commit(backend->context, &proposal);
    mem_free(items);
    return rc;
}

static int set_cursors(struct sync_server *server, uint64_t revision)
{
    int rc = 0;
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        rc = store_set_cursor(server->store, file, revision);
    }
    return rc;
}

/* 0, SYNC_BACKEND_BEHIND, or a fault. The cache is written lazily: it can be fetched again. */
static int write_piece(struct sync_server *server, struct place *place)
{
    struct place begin = *place;
    struct sync_changes changes = {0};
    int rc = store_begin(server->store, STORE_LAZY);
    if (rc < 0) {
        return rc;
    }
    size_t epochs = epoch_count(server);
    rc = judge_piece(server, place, &changes);
    rc = rc < 0 ? rc : propose(server, &changes, epoch_count(server) != epochs);
    if (rc == 0 && changes.count > 0) {
        rc = set_cursors(server, changes.items[changes.count - 1].revision);
    }
    if (rc != 0) {
        store_abort(server->store);
        unjudge(begin, *place);
        *place = begin;
        sync_lines_free(&changes);
        int reloaded = load_all_epochs(server);
        return reloaded < 0 ? reloaded : rc;
    }
    rc = store_commit(server->store);
    if (rc < 0) { /* the truth has it, and will bring it here again */
        sync_lines_free(&changes);
        return rc;
    }
    (void)pthread_mutex_lock(&server->lock);
    publish_all(server, &changes);
    return 0;
}

int sync_backend_write(struct sync_server *server, struct sync_pushed *batch)
{
    const struct sync_backend *backend = server->options.backend;
    struct place place = {.push = batch};
    int64_t until_ns = io_monotonic_ns(server->io) + WRITE_MS * TIME_MS_NS;
    (void)pthread_mutex_lock(&server->lock);
    int rc = sync_check_away(server);
    (void)pthread_mutex_unlock(&server->lock);
    while (rc == 0 && place.push != NULL) {
        rc = write_piece(server, &place);
        if (rc != SYNC_BACKEND_BEHIND) {
            continue;
        }
        follow(server);
        rc = backend->catch_up(backend->context);
        lead(server);
        if (rc == 0 && io_monotonic_ns(server->io) > until_ns) {
            rc = err_set(ERR_UNAVAILABLE, "the other datastores were always faster");
        }
    }
    return rc;
}

/* ---- what the others committed ---- */

/* What comes must continue what is here: the leader's revisions all belong to epochs it knows. */
static bool continues(const struct sync_server *server, enum object_file file,
                      const struct sync_lineage *lineage)
{
    struct sync_tree ours = {server->epochs[file].items, server->epochs[file].count};
    struct sync_tree theirs = {lineage->epochs, lineage->count};
    return sync_tree_common(&ours, server->last[file], server->revision, &theirs, lineage->last,
                            UINT64_MAX) == server->revision;
}

static int apply_lineage(struct sync_server *server, const struct sync_lineage *lineage)
{
    int rc = 0;
    for (enum object_file file = 0; rc == 0 && lineage != NULL && file < OBJECT_FILES; file++) {
        const struct sync_lineage *one = &lineage[file];
        if (!continues(server, file, one)) {
            return err_set(ERR_CONFLICT, "what comes is another past than the one here");
        }
        rc = store_set_lineage(server->store, file, &one->identity, &one->last, one->epochs,
                               one->count);
    }
    return rc;
}

static int apply_within(struct sync_server *server, const struct sync_applied *applied,
                        struct sync_changes *changes)
{
    int rc = apply_lineage(server, applied->lineage);
    for (size_t i = 0; rc == 0 && i < applied->count; i++) {
        const struct object *object = applied->objects[i];
        if (object->revision <= server->revision) {
            continue; /* our own, or applied before */
        }
        rc = store_put(server->store, object);
        vec_push(changes, sync_line_of(object));
    }
    if (rc == 0 && applied->revision > server->revision) {
        rc = store_reach_revision(server->store, applied->revision);
        rc = rc < 0 ? rc : set_cursors(server, applied->revision);
        rc = rc < 0 || applied->note == NULL
                 ? rc
                 : store_set_note(server->store, SYNC_BACKEND_NOTE, applied->note);
    }
    return rc;
}

static int apply_leading(struct sync_server *server, const struct sync_applied *applied,
                         struct sync_changes *changes)
{
    int rc = store_begin(server->store, STORE_LAZY);
    if (rc < 0) {
        return rc;
    }
    rc = apply_within(server, applied, changes);
    if (rc < 0) {
        store_abort(server->store);
        return rc;
    }
    rc = store_commit(server->store);
    return rc < 0 || applied->lineage == NULL ? rc : load_all_epochs(server);
}

int sync_server_apply(struct sync_server *server, const struct sync_applied *applied)
{
    struct sync_changes changes = {0};
    lead(server);
    int rc = apply_leading(server, applied, &changes);
    if (rc < 0) {
        sync_lines_free(&changes);
    } else {
        (void)pthread_mutex_lock(&server->lock);
        server->lineages += applied->lineage != NULL ? 1 : 0;
        publish_all(server, &changes);
    }
    follow(server);
    return rc;
}
