#include "etcd/migrate.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/time.h"
#include "base/vec.h"
#include "etcd/layout.h"
#include "etcd/parts.h"
#include "etcd/state.h"
#include "sync/message.h"

#define SCAN_OBJECTS 256
#define CALL_MS 30000
#define LISTED_POLL_MS 200

/* ---- walking a store ---- */

static int walk_file(struct store *store, enum object_file file,
                     int (*each)(void *context, const struct object *object), void *context)
{
    struct uuid after = {0};
    for (bool first = true;; first = false) {
        struct object_list list = {0};
        int rc = store_scan(store, file, first ? NULL : &after, SCAN_OBJECTS, &list);
        for (size_t i = 0; rc == 0 && i < list.count; i++) {
            after = list.items[i]->id;
            rc = each(context, list.items[i]);
        }
        bool done = list.count == 0;
        object_list_deinit(&list);
        if (rc < 0 || done) {
            return rc;
        }
    }
}

static int walk(struct store *store, int (*each)(void *context, const struct object *object),
                void *context)
{
    int rc = 0;
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        rc = walk_file(store, file, each, context);
    }
    return rc;
}

static char *text_of(const struct object *object)
{
    json_t *json = object_to_json(object);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    CHECK(text != NULL);
    return text;
}

struct measure {
    uint64_t objects, bytes;
};

static int measure_one(void *context, const struct object *object)
{
    struct measure *measure = context;
    char *text = text_of(object);
    measure->objects++;
    measure->bytes += strlen(text);
    free(text);
    return 0;
}

int etcd_migrate_measure(struct store *store, uint64_t *ret_objects, uint64_t *ret_bytes)
{
    struct measure measure = {0};
    int rc = walk(store, measure_one, &measure);
    if (rc == 0) {
        *ret_objects = measure.objects;
        *ret_bytes = measure.bytes;
    }
    return rc;
}

/* ---- into etcd: the objects, then head and epochs, which make them a datastore ---- */

struct in {
    struct etcd_migration *migration;
    json_t *puts;
    uint64_t bytes;
};

static int flush(struct in *in)
{
    if (json_array_size(in->puts) == 0) {
        return 0;
    }
    json_t *puts = in->puts;
    uint64_t objects = json_array_size(puts);
    in->puts = json_array();
    char *key = etcd_key(in->migration->etcd, "head");
    int rc = etcd_txn(in->migration->etcd, json_pack("[o]", etcd_if_mod(key, 0)), puts, NULL,
                      CALL_MS, NULL);
    mem_free(key);
    if (rc == ETCD_TXN_ELSE) {
        return err_set(ERR_EXISTS, "a datastore began there meanwhile");
    }
    if (rc == 0) {
        in->migration->objects += objects;
        in->migration->progress(in->migration->context, objects, in->bytes);
    }
    in->bytes = 0;
    return rc;
}

static int put_one(void *context, const struct object *object)
{
    struct in *in = context;
    struct etcd_migration *migration = in->migration;
    struct buf value = {0};
    char *text = text_of(object);
    int rc = etcd_parts_put(migration->etcd, migration->io, &object->id, object->revision,
                            span_of_str(text), &value);
    bool full = json_array_size(in->puts) + 1 > ETCD_PUTS_MAX ||
                in->bytes + value.bytes + 65536 > ETCD_BYTES_MAX;
    rc = rc < 0 || !full ? rc : flush(in);
    if (rc == 0) {
        char *key = etcd_key_of(migration->etcd, "object", &object->id);
        json_array_append_new(in->puts, etcd_put(key, buf_span(&value), 0));
        in->bytes += value.bytes;
        mem_free(key);
    }
    buf_deinit(&value);
    free(text);
    return rc;
}

static int expect_nothing(struct etcd *etcd)
{
    struct etcd_head head;
    struct etcd_lineage lineage = {0};
    int rc = etcd_read(etcd, CALL_MS, &head, &lineage, NULL);
    etcd_lineage_deinit(&lineage);
    if (rc == 0) {
        return err_set(ERR_EXISTS, "%s: a datastore is there already, at revision %" PRIu64,
                       etcd_prefix(etcd), head.revision);
    }
    if (rc < 0) {
        return rc;
    }
    char *prefix = etcd_key(etcd, "object/"); /* of a migration that was broken off */
    char *parts = etcd_key(etcd, "part/");
    rc = etcd_txn(etcd, NULL,
                  json_pack("[o, o]", etcd_delete_prefix(prefix), etcd_delete_prefix(parts)), NULL,
                  CALL_MS, NULL);
    mem_free(parts);
    mem_free(prefix);
    return rc;
}

static int compare_counts(struct etcd_migration *migration)
{
    uint64_t there = 0;
    uint64_t here = 0;
    uint64_t bytes;
    int rc = etcd_count(migration->etcd, &there);
    rc = rc < 0 ? rc : etcd_migrate_measure(migration->store, &here, &bytes);
    if (rc == 0 && (there != here || there != migration->objects)) {
        rc = err_set(ERR_CORRUPT,
                     "%" PRIu64 " objects in etcd, %" PRIu64 " in the files, %" PRIu64 " moved",
                     there, here, migration->objects);
    }
    return rc;
}

static int finish_in(struct etcd_migration *migration)
{
    struct etcd_lineage lineage = {0};
    struct etcd_head head = etcd_head_new(migration->io, store_revision(migration->store));
    int rc = etcd_lineage_of_store(migration->store, &lineage);
    if (rc < 0) {
        return rc;
    }
    etcd_lineage_begin_epoch(&lineage, migration->io, head.revision);
    char *key = etcd_key(migration->etcd, "head");
    rc = etcd_txn(migration->etcd, json_pack("[o]", etcd_if_mod(key, 0)),
                  json_pack("[o, o]", etcd_put_lineage(migration->etcd, &lineage),
                            etcd_put_head(migration->etcd, &head)),
                  NULL, CALL_MS, NULL);
    mem_free(key);
    etcd_lineage_deinit(&lineage);
    migration->revision = head.revision;
    return rc == ETCD_TXN_ELSE ? err_set(ERR_EXISTS, "a datastore began there meanwhile") : rc;
}

int etcd_migrate_in(struct etcd_migration *migration)
{
    struct in in = {.migration = migration, .puts = json_array()};
    uint64_t taken;
    int rc = expect_nothing(migration->etcd);
    rc = rc < 0 ? rc : sync_take_over(migration->store, &taken);
    rc = rc < 0 ? rc : walk(migration->store, put_one, &in);
    rc = rc < 0 ? rc : flush(&in);
    json_decref(in.puts);
    rc = rc < 0 ? rc : compare_counts(migration);
    return rc < 0 ? rc : finish_in(migration);
}

/* ---- out of etcd ---- */

struct out {
    struct etcd_migration *migration;
    struct object_list list;
};

static int put_list(struct out *out)
{
    struct store *store = out->migration->store;
    uint64_t bytes = 0;
    int rc = store_begin(store, STORE_LAZY);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < out->list.count; i++) {
        rc = store_put(store, out->list.items[i]);
        char *text = text_of(out->list.items[i]);
        bytes += strlen(text);
        free(text);
    }
    if (rc < 0) {
        store_abort(store);
        return rc;
    }
    rc = store_commit(store);
    out->migration->objects += out->list.count;
    out->migration->progress(out->migration->context, out->list.count, bytes);
    object_list_deinit(&out->list);
    return rc;
}

static int take_one(void *context, struct object **takes)
{
    struct out *out = context;
    vec_push(&out->list, *takes);
    *takes = NULL;
    return out->list.count < SCAN_OBJECTS ? 0 : put_list(out);
}

static int count_datastores(struct etcd *etcd, size_t *ret_count)
{
    char *prefix = etcd_key(etcd, "datastore/");
    json_t *answer = NULL;
    int rc =
        etcd_txn(etcd, NULL, json_pack("[o]", etcd_get_prefix(prefix)), NULL, CALL_MS, &answer);
    const json_t *first = json_array_get(json_object_get(answer, "responses"), 0);
    *ret_count = json_array_size(json_object_get(json_object_get(first, "response_range"), "kvs"));
    json_decref(answer);
    mem_free(prefix);
    return rc;
}

/* While one runs, what it takes would be missing from the files. One that was killed is listed
 * until its lease runs out. */
static int expect_no_datastore(struct etcd *etcd)
{
    int64_t until_ns = etcd_now_ns() + (ETCD_LEASE_S + 1) * TIME_S_NS;
    size_t count = 0;
    int rc = count_datastores(etcd, &count);
    while (rc == 0 && count > 0 && etcd_now_ns() < until_ns) {
        (void)poll(NULL, 0, LISTED_POLL_MS);
        rc = count_datastores(etcd, &count);
    }
    return rc < 0 || count == 0
               ? rc
               : err_set(ERR_CONFLICT, "%zu datastores are running over this etcd: stop them first",
                         count);
}

static int expect_empty(struct store *store)
{
    uint64_t objects = 0;
    uint64_t bytes;
    int rc = etcd_migrate_measure(store, &objects, &bytes);
    return rc < 0 || objects == 0
               ? rc
               : err_set(ERR_EXISTS, "the files hold %" PRIu64 " objects already", objects);
}

static int finish_out(struct etcd_migration *migration, const struct etcd_head *head,
                      const struct etcd_lineage *lineage)
{
    struct store *store = migration->store;
    int rc = store_begin(store, STORE_DURABLE);
    if (rc < 0) {
        return rc;
    }
    rc = store_reach_revision(store, head->revision);
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        const struct sync_lineage *one = &lineage->files[file];
        rc = store_set_lineage(store, file, &one->identity, &one->last, one->epochs, one->count);
        rc = rc < 0 ? rc : store_set_cursor(store, file, head->revision);
    }
    if (rc < 0) {
        store_abort(store);
        return rc;
    }
    migration->revision = head->revision;
    return store_commit(store);
}

int etcd_migrate_out(struct etcd_migration *migration)
{
    struct out out = {.migration = migration};
    struct etcd_head head = {0};
    struct etcd_lineage lineage = {0};
    uint64_t now = 0;
    int rc = expect_no_datastore(migration->etcd);
    rc = rc < 0 ? rc : expect_empty(migration->store);
    rc = rc < 0 ? rc : etcd_read(migration->etcd, CALL_MS, &head, &lineage, &now);
    if (rc == ETCD_ABSENT) {
        rc = err_set(ERR_NOT_FOUND, "%s: there is no datastore", etcd_prefix(migration->etcd));
    }
    rc = rc < 0 ? rc : etcd_walk(migration->etcd, 0, now, take_one, NULL, &out);
    rc = rc < 0 ? rc : put_list(&out);
    object_list_deinit(&out.list);
    rc = rc < 0 ? rc : compare_counts(migration);
    rc = rc < 0 ? rc : finish_out(migration, &head, &lineage);
    etcd_lineage_deinit(&lineage);
    return rc;
}
