#include "indexer/states.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/time.h"
#include "base/uuid.h"
#include "service/log.h"

#define FILE_BYTES_MAX (256u << 20)

struct states {
    struct io *io;
    char *path;
    pthread_t thread;
    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t changed;
    json_t *by_uuid;
    bool dirty;
    bool stopping;
};

/* ---- the file ---- */

static int load(struct states *states)
{
    struct buf text = {0};
    int rc = io_read_file(states->io, states->path, FILE_BYTES_MAX, &text);
    if (rc == ERR_NOT_FOUND) {
        buf_deinit(&text);
        return 0;
    }
    if (rc < 0) {
        buf_deinit(&text);
        return rc;
    }
    json_error_t error;
    json_t *json = json_loadb((const char *)text.data, text.bytes, 0, &error);
    buf_deinit(&text);
    if (json_is_object(json)) {
        json_decref(states->by_uuid);
        states->by_uuid = json;
        return 0;
    }
    json_decref(json);
    char *aside = mem_printf("%s.damaged", states->path);
    rc = io_rename(states->io, states->path, aside);
    log_warn("ingester-states", "the file of ingester states is no JSON object; set aside", "file",
             aside, NULL);
    mem_free(aside);
    return rc;
}

static int save(struct states *states)
{
    pthread_mutex_lock(&states->lock);
    char *text = states->dirty ? json_dumps(states->by_uuid, JSON_INDENT(1)) : NULL;
    states->dirty = false;
    pthread_mutex_unlock(&states->lock);
    if (text == NULL) {
        return 0;
    }
    int rc = io_write_file(states->io, states->path, span_of_str(text));
    free(text);
    return rc;
}

static void *run(void *context)
{
    struct states *states = context;
    bool stopping = false;
    while (!stopping) {
        struct timespec at;
        clock_gettime(CLOCK_MONOTONIC, &at);
        at.tv_sec += STATES_SAVE_MS / 1000;
        pthread_mutex_lock(&states->lock);
        while (!states->stopping &&
               pthread_cond_timedwait(&states->changed, &states->lock, &at) != ETIMEDOUT) {}
        stopping = states->stopping;
        pthread_mutex_unlock(&states->lock);
        int rc = save(states);
        if (rc < 0) {
            log_fault("ingester-states", "ingester states were not saved", rc, NULL);
        }
    }
    return NULL;
}

/* ---- life ---- */

static void free_states(struct states *states)
{
    json_decref(states->by_uuid);
    pthread_cond_destroy(&states->changed);
    pthread_mutex_destroy(&states->lock);
    mem_free(states->path);
    mem_free(states);
}

int states_start(struct io *io, const char *path, struct states **ret_states)
{
    struct states *states = MEM_NEW(struct states);
    states->io = io;
    states->path = mem_strdup(path);
    states->by_uuid = json_object();
    pthread_mutex_init(&states->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&states->changed, &attributes);
    pthread_condattr_destroy(&attributes);

    char *dir = mem_strdup(path);
    char *slash = strrchr(dir, '/');
    int rc = 0;
    if (slash != NULL && slash != dir) {
        *slash = '\0';
        rc = io_make_dirs(io, dir);
    }
    mem_free(dir);
    rc = rc < 0 ? rc : load(states);
    if (rc == 0) {
        int failed = pthread_create(&states->thread, NULL, run, states);
        rc = failed == 0 ? 0 : err_set_errno(failed, "thread");
    }
    if (rc < 0) {
        free_states(states);
        return err_wrap(rc, "ingester states");
    }
    *ret_states = states;
    return 0;
}

void states_stop(struct states **states)
{
    struct states *gone = *states;
    if (gone == NULL) {
        return;
    }
    pthread_mutex_lock(&gone->lock);
    gone->stopping = true;
    pthread_cond_broadcast(&gone->changed);
    pthread_mutex_unlock(&gone->lock);
    pthread_join(gone->thread, NULL);
    free_states(gone);
    *states = NULL;
}

/* ---- states ---- */

static const char *text_of(const json_t *state, const char *key)
{
    const char *text = json_string_value(json_object_get(state, key));
    return text == NULL ? "" : text;
}

/* Its UUID; name and host for one that has none. */
static void key_of(const json_t *state, struct buf *key)
{
    const char *uuid = text_of(state, "UUID");
    struct uuid parsed;
    if (uuid_parse(span_of_str(uuid), &parsed) && !uuid_is_zero(parsed)) {
        char text[UUID_TEXT_BYTES];
        buf_append_str(key, uuid_text(parsed, text));
    } else {
        buf_printf(key, "%.128s@%.256s", text_of(state, "Name"), text_of(state, "Hostname"));
    }
}

static void forget_oldest(json_t *by_uuid)
{
    const char *oldest = NULL;
    const char *oldest_seen = NULL;
    const char *key;
    json_t *state;
    json_object_foreach(by_uuid, key, state)
    {
        const char *seen = text_of(state, "LastSeen"); /* UTC: text order is time order */
        if (oldest == NULL || strcmp(seen, oldest_seen) < 0) {
            oldest = key;
            oldest_seen = seen;
        }
    }
    if (oldest != NULL) {
        char *copy = mem_strdup(oldest);
        json_object_del(by_uuid, copy);
        mem_free(copy);
    }
}

void states_note(struct states *states, struct span json, const char *address, int64_t now_ns)
{
    json_error_t error;
    json_t *state = json_loadb((const char *)json.data, json.bytes, 0, &error);
    if (!json_is_object(state)) {
        json_decref(state);
        log_debug("ingester-states", "a state message was no JSON object", "client", address, NULL);
        return;
    }
    char seen[TIME_TEXT_BYTES];
    json_object_set_new(state, "LastSeen", json_string(time_text(now_ns, seen)));
    json_object_set_new(state, "Address", json_string(address));
    struct buf key = {0};
    key_of(state, &key);

    pthread_mutex_lock(&states->lock);
    if (json_object_size(states->by_uuid) >= STATES_MAX &&
        json_object_get(states->by_uuid, buf_str(&key)) == NULL) {
        forget_oldest(states->by_uuid);
    }
    json_object_set_new(states->by_uuid, buf_str(&key), state);
    states->dirty = true;
    pthread_mutex_unlock(&states->lock);
    buf_deinit(&key);
}

json_t *states_json(struct states *states)
{
    pthread_mutex_lock(&states->lock);
    json_t *copy = json_deep_copy(states->by_uuid);
    pthread_mutex_unlock(&states->lock);
    return copy;
}
