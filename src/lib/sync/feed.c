/* What a datastore tells: who is up, check-ins, feeds. */
#include "sync/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/time.h"
#include "sync/server_state.h"

#define FEED_BYTES 262144 /* handed out at once */
#define FEED_ROWS 128     /* read at once */
#define INTERVAL_MS_DEFAULT 10000
#define INTERVAL_MS_MAX 3600000
#define UP_NOTE "webservers" /* who is up, for the next process */

/* ---- who is up ---- */

/* Under the lock. */
static bool still_up(const struct sync_seen *presence, int64_t now_ns)
{
    int64_t patience_ns = SYNC_MISSED_MAX * presence->interval_ms * TIME_MS_NS;
    return !presence->leaving && now_ns - presence->seen_ns < patience_ns;
}

/* Under the lock. Sees who has fallen silent. */
static void look_around(struct sync_server *server)
{
    int64_t now_ns = io_monotonic_ns(server->io);
    for (size_t i = 0; i < server->webserver_count; i++) {
        struct sync_seen *presence = &server->webservers[i];
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
static struct sync_seen *presence_of(struct sync_server *server, struct uuid id)
{
    struct sync_seen *oldest = &server->webservers[0];
    for (size_t i = 0; i < server->webserver_count; i++) {
        struct sync_seen *presence = &server->webservers[i];
        if (uuid_equal(presence->view.id, id)) {
            return presence;
        }
        oldest = presence->seen_ns < oldest->seen_ns ? presence : oldest;
    }
    if (server->webserver_count < SYNC_WEBSERVERS_MAX) {
        oldest = &server->webservers[server->webserver_count++];
    }
    *oldest = (struct sync_seen){.view = {.id = id}};
    return oldest;
}

static void note_presence(struct sync_server *server, const json_t *request, struct uuid id)
{
    (void)pthread_mutex_lock(&server->lock);
    struct sync_seen *presence = presence_of(server, id);
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

/* ---- who was up, over a restart: else nobody would seem to be until all have checked in ---- */

/* Under the lock. */
static json_t *list_up(const struct sync_server *server)
{
    json_t *list = json_array();
    for (size_t i = 0; i < server->webserver_count; i++) {
        const struct sync_seen *presence = &server->webservers[i];
        if (presence->view.up) {
            json_array_append_new(list, json_pack("{s:o, s:s, s:s, s:I}", "webserver",
                                                  sync_uuid_to_json(presence->view.id),
                                                  "external_addr", presence->view.external_addr,
                                                  "version", presence->view.version, "interval_ms",
                                                  (json_int_t)presence->interval_ms));
        }
    }
    return list;
}

static int remember(struct sync_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    uint64_t generation = server->generation;
    json_t *list = generation == server->remembered ? NULL : list_up(server);
    (void)pthread_mutex_unlock(&server->lock);
    if (list == NULL) {
        return 0;
    }
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    int rc = store_begin(server->store, STORE_LAZY);
    if (rc == 0) {
        rc = store_set_note(server->store, UP_NOTE, text);
        if (rc < 0) {
            store_abort(server->store);
        } else {
            rc = store_commit(server->store);
        }
    }
    free(text);
    (void)pthread_mutex_lock(&server->lock);
    server->remembered = rc < 0 ? server->remembered : generation;
    (void)pthread_mutex_unlock(&server->lock);
    return rc;
}

int sync_server_recall(struct sync_server *server)
{
    struct buf text = {0};
    int rc = store_get_note(server->store, UP_NOTE, &text);
    json_t *list = rc < 0 ? NULL : json_loadb((const char *)text.data, text.bytes, 0, NULL);
    for (size_t i = 0; i < json_array_size(list); i++) {
        sync_server_hear(server, json_array_get(list, i));
    }
    json_decref(list);
    buf_deinit(&text);
    return rc;
}

void sync_server_hear(struct sync_server *server, const json_t *request)
{
    struct uuid id;
    if (sync_uuid_from_json(request, "webserver", &id) == 0 && !uuid_is_zero(id)) {
        note_presence(server, request, id);
    }
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
    int rc = sync_check_protocol(request);
    rc = rc < 0 ? rc : sync_uuid_from_json(request, "webserver", &id);
    rc = rc < 0 ? rc : sync_uuid_from_json(request, "run", &run);
    if (rc == 0 && uuid_is_zero(id)) {
        rc = err_set(ERR_INVALID, "webserver: missing");
    }
    if (rc < 0) {
        return rc;
    }
    const struct sync_backend *backend = server->options.backend;
    (void)pthread_mutex_lock(&server->lock);
    rc = sync_check_away(server);
    (void)pthread_mutex_unlock(&server->lock);
    if (rc == 0 && backend != NULL && !uuid_equal(run, server->run)) {
        /* What it has seen of another datastore must not look lost here. */
        rc = backend->catch_up(backend->context);
    }
    if (rc < 0) {
        return rc;
    }
    note_presence(server, request, id);
    if (remember(server) < 0) {
        sync_server_tell(server, SYNC_WARN, "webservers-kept", err_text());
    }
    if (backend != NULL) {
        backend->checked_in(backend->context, request);
    }
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
    json_object_set_new(answer, "wanted", sync_server_wanted(server));
    if (rc < 0) {
        json_decref(answer);
        return rc;
    }
    *ret_answer = answer;
    return 0;
}

int sync_server_versions(struct sync_server *server, const struct uuid *id, json_t **ret_answer)
{
    struct object_list list = {0};
    int rc = store_versions(server->store, id, &list);
    json_t *versions = json_array();
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        json_array_append_new(versions, object_to_json(list.items[i]));
    }
    object_list_deinit(&list);
    if (rc < 0) {
        json_decref(versions);
        return rc;
    }
    *ret_answer = json_pack("{s:o}", "versions", versions);
    return 0;
}

/* ---- feeds ---- */

int sync_feed_open(struct sync_server *server, const struct sync_feed_options *options,
                   struct sync_feed **ret_feed)
{
    int rc = options->run == NULL ? 0 : sync_check_run(server, options->run);
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
        const struct sync_line *line = &server->recent[at % SYNC_SERVER_RECENT];
        buf_append(lines, span_of(line->text, line->bytes));
        feed->cursor = line->revision;
    }
}

/* What has been replaced is not in the store any more: the reader must know up to which revisions
 * it may therefore have been passed over. Asked after reading, told before what was read. */
static int tell_reading(struct sync_feed *feed, struct buf *lines)
{
    struct store_place users;
    struct store_place web;
    int rc = store_place(feed->server->store, OBJECT_FILE_USERS, &users);
    rc = rc < 0 ? rc : store_place(feed->server->store, OBJECT_FILE_WEB, &web);
    if (rc == 0) {
        buf_printf(lines, "{\"reading\":{\"users\":%" PRIu64 ",\"web\":%" PRIu64 "}}\n",
                   users.revision, web.revision);
    }
    return rc;
}

/* Before the reader goes past them. */
static void note_unreadable(struct sync_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    size_t noted = server->unreadable_noted;
    (void)pthread_mutex_unlock(&server->lock);
    if (server->options.backend == NULL && store_unreadable(server->store, NULL) != noted &&
        sync_note_unreadable(server) < 0) {
        sync_server_tell(server, SYNC_WARN, "unreadable-noted", err_text());
    }
}

/* Without the lock: what is no longer in memory. Up to `revision` nothing is missing afterwards
 * when it found nothing more. */
static int read_older(struct sync_feed *feed, uint64_t revision, struct buf *lines)
{
    struct object_list list = {0};
    int rc = store_changes(feed->server->store, feed->cursor, FEED_ROWS, &list);
    note_unreadable(feed->server);
    rc = rc < 0 ? rc : tell_reading(feed, lines);
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        struct sync_line line = sync_line_of(list.items[i]);
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

/* Under the lock, which it lets go of while it reads. Whoever follows hears of an epoch before what
 * belongs to it: else that would look lost to it at the next datastore. */
static int collect_lineage(struct sync_feed *feed, struct buf *lines)
{
    struct sync_server *server = feed->server;
    json_t *files = json_object();
    int rc = 0;
    feed->lineages = server->lineages;
    (void)pthread_mutex_unlock(&server->lock);
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        rc = file_answer(server, file, files);
    }
    json_t *json = json_pack("{s:o}", "stores", files);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (rc == 0) {
        buf_append_str(lines, text);
        buf_append_byte(lines, '\n');
    }
    free(text);
    (void)pthread_mutex_lock(&server->lock);
    return rc;
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
    int rc = sync_check_away(server);
    if (rc < 0) {
        return rc;
    }
    look_around(server);
    if (feed->generation != server->generation) {
        collect_webservers(feed, lines);
    }
    if (feed->objects && feed->lineages != server->lineages) {
        rc = collect_lineage(feed, lines);
    }
    return rc < 0 || !feed->objects ? rc : collect_objects(feed, lines);
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
    ret_stats->unreadable = store_unreadable(server->store, NULL);
    (void)pthread_mutex_unlock(&server->lock);
}
