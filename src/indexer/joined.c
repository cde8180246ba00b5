/* Tested by tests/cluster/test_snapshot.py. */
#include "indexer/joined.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "datalog/cursor.h"
#include "service/log.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)

struct one {
    struct uuid node;
    bool tls, insecure;
    char *name, *target;
    struct forwarder *forwarder;
};

struct joined {
    struct joined_options options;
    pthread_mutex_t lock; /* over the rest */
    VEC(struct one) all;
};

/* ---- the file ---- */

static json_t *one_json(const struct one *one)
{
    char node[UUID_TEXT_BYTES];
    json_t *json = json_object();
    json_object_set_new(json, "node", json_string(uuid_text(one->node, node)));
    json_object_set_new(json, "target", json_string(one->target));
    json_object_set_new(json, "tls", json_boolean(one->tls));
    json_object_set_new(json, "insecure", json_boolean(one->insecure));
    return json;
}

static int save(const struct joined *joined)
{
    if (joined->options.path == NULL) {
        return 0;
    }
    json_t *rows = json_array();
    for (size_t i = 0; i < joined->all.count; i++) {
        json_array_append_new(rows, one_json(&joined->all.items[i]));
    }
    char *text = json_dumps(rows, JSON_INDENT(1));
    int rc = io_write_file(joined->options.forwarder.io, joined->options.path, span_of_str(text));
    free(text);
    json_decref(rows);
    return rc;
}

/* ---- changes ---- */

static void end_one(struct one *one)
{
    forwarder_stop(&one->forwarder);
    mem_free(one->name);
    mem_free(one->target);
}

static size_t find(const struct joined *joined, struct uuid node)
{
    size_t i = 0;
    while (i < joined->all.count && !uuid_equal(joined->all.items[i].node, node)) {
        i++;
    }
    return i;
}

static void take_out(struct joined *joined, size_t at)
{
    struct one gone = joined->all.items[at];
    char *cursor = mem_printf(FORWARDER_PREFIX "%s", gone.name);
    vec_remove_swap(&joined->all, at);
    end_one(&gone);
    if (datalog_cursor_remove(storage_log(joined->options.forwarder.storage), cursor) < 0) {
        log_warn("joined-cursor", "a cursor is left behind and holds back the log", "cursor",
                 cursor, "error", err_text(), NULL);
    }
    mem_free(cursor);
}

/* Takes `one`. The lock is held. */
static int put_in(struct joined *joined, struct one *one)
{
    char node[UUID_TEXT_BYTES];
    struct forwarder_options options = joined->options.forwarder;
    one->name = mem_printf("join-%.8s", uuid_text(one->node, node));
    options.name = one->name;
    options.target = one->target;
    options.node = one->node;
    options.target_index = FORWARDER_ROUND;
    options.tls_insecure = one->insecure;
    int rc = link_address_parse(one->target, one->tls, &options.address);
    size_t at = find(joined, one->node);
    if (rc == 0 && at < joined->all.count) {
        take_out(joined, at); /* it has moved */
    }
    if (rc == 0 && joined->all.count >= JOINED_MAX) {
        rc = err_set(ERR_TOO_LARGE, "at most %d nodes join one", JOINED_MAX);
    }
    rc = rc < 0 ? rc : forwarder_start(&options, &one->forwarder);
    if (rc < 0) {
        end_one(one);
        return rc;
    }
    vec_push(&joined->all, *one);
    return 0;
}

static int one_of_json(const json_t *json, const char *peer, struct one *ret_one)
{
    const char *node = json_string_value(json_object_get(json, "node"));
    const char *target = json_string_value(json_object_get(json, "target"));
    *ret_one = (struct one){
        .tls = json_is_true(json_object_get(json, "tls")),
        .insecure = json_is_true(json_object_get(json, "insecure")),
    };
    if (node == NULL || !uuid_parse(span_of_str(node), &ret_one->node)) {
        return err_set(ERR_INVALID, "who joins says no node");
    }
    if (target != NULL && target[0] == ':') {
        ret_one->target = mem_printf(strchr(peer, ':') != NULL ? "[%s]%s" : "%s%s", peer, target);
    } else if (target != NULL) {
        ret_one->target = mem_strdup(target);
    }
    return 0;
}

int joined_change(struct joined *joined, const json_t *request, const char *peer)
{
    struct one one;
    int rc = one_of_json(request, peer, &one);
    if (rc < 0) {
        return rc;
    }
    bool leaves = one.target == NULL;
    pthread_mutex_lock(&joined->lock);
    size_t at = find(joined, one.node);
    if (!leaves) {
        log_info("join", "a node joins: it is forwarded to", "target", one.target, NULL);
        rc = put_in(joined, &one);
    } else if (at < joined->all.count) {
        take_out(joined, at);
    } else {
        rc = err_set(ERR_NOT_FOUND, "this node has not joined");
    }
    rc = rc < 0 ? rc : save(joined);
    pthread_mutex_unlock(&joined->lock);
    return rc;
}

/* ---- life ---- */

static int start_all(struct joined *joined, const json_t *rows)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        struct one one;
        int rc = one_of_json(row, "", &one);
        rc = rc < 0 || one.target == NULL ? rc : put_in(joined, &one);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int load(struct joined *joined)
{
    struct io *io = joined->options.forwarder.io;
    struct buf text = {0};
    if (joined->options.path == NULL || !io_exists(io, joined->options.path)) {
        return 0;
    }
    int rc = io_read_file(io, joined->options.path, FILE_BYTES_MAX, &text);
    json_error_t error;
    json_t *rows = rc < 0 ? NULL : json_loadb((const char *)text.data, text.bytes, 0, &error);
    if (rc == 0 && !json_is_array(rows)) {
        log_warn("joined", "the file of nodes that joined is damaged: they have to join again",
                 "file", joined->options.path, NULL);
    }
    rc = rc < 0 ? rc : start_all(joined, rows);
    json_decref(rows);
    buf_deinit(&text);
    return rc;
}

int joined_start(const struct joined_options *options, struct joined **ret_joined)
{
    struct joined *joined = MEM_NEW(struct joined);
    joined->options = *options;
    pthread_mutex_init(&joined->lock, NULL);
    int rc = load(joined);
    if (rc < 0) {
        joined_stop(&joined);
        return rc;
    }
    *ret_joined = joined;
    return 0;
}

void joined_stop(struct joined **place)
{
    struct joined *joined = *place;
    *place = NULL;
    if (joined == NULL) {
        return;
    }
    for (size_t i = 0; i < joined->all.count; i++) {
        end_one(&joined->all.items[i]);
    }
    vec_deinit(&joined->all);
    pthread_mutex_destroy(&joined->lock);
    mem_free(joined);
}

void joined_each(struct joined *joined, void (*each)(void *context, struct forwarder *forwarder),
                 void *context)
{
    if (joined == NULL) {
        return;
    }
    pthread_mutex_lock(&joined->lock);
    for (size_t i = 0; i < joined->all.count; i++) {
        each(context, joined->all.items[i].forwarder);
    }
    pthread_mutex_unlock(&joined->lock);
}
