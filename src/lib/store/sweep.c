/* Tested by blob_test.c. Contents that nothing names any more: after some time they go. */
#include "store/store.h"

#include "base/mem.h"
#include "base/text.h"
#include "base/vec.h"
#include "store/store_sql.h"

#define SWEEP_FOLDERS 256

struct blob_name {
    uint8_t sha256[32];
};

struct sweep {
    struct store *store;
    int64_t unused_ns;
    int64_t now_ns;
    struct map named; /* hex names in versions and shadows */
    VEC(struct blob_name) over;
    struct store_swept swept;
};

void store_sweep_deinit(struct store *store)
{
    struct span key;
    void *since;
    size_t cursor = 0;
    while (map_next(&store->unused, &cursor, &key, &since)) {
        mem_free(since);
    }
    map_deinit(&store->unused);
}

void store_blob_spare(struct store *store, const uint8_t sha256[32])
{
    (void)pthread_mutex_lock(&store->blob_lock);
    mem_free(map_remove(&store->unused, span_of(sha256, 32)));
    (void)pthread_mutex_unlock(&store->blob_lock);
}

/* ---- what is named ---- */

/* Earlier versions and shadows are JSON. */
static int collect_named(struct store *store, struct map *named)
{
    struct store_connection *connection;
    int rc = store_reader(store, &connection);
    if (rc < 0) {
        return rc;
    }
    struct store_statement all = store_take(
        connection, "SELECT DISTINCT json_extract(object, '$.blob.sha256') AS name FROM"
                    " (SELECT object FROM main.versions UNION ALL SELECT object FROM web.versions"
                    " UNION ALL SELECT object FROM main.shadows"
                    " UNION ALL SELECT object FROM web.shadows) WHERE name IS NOT NULL");
    while (store_step(&all) > 0) {
        const char *hex = store_column_text(&all, 0);
        if (map_get_str(named, hex) == NULL) {
            (void)map_put(named, span_of_str(hex), named);
        }
    }
    rc = store_give(&all);
    store_reader_done(store, connection);
    return rc;
}

/* Tombstones count, too: they are few, and what they name may be brought back. */
static int is_in_objects(struct store *store, const uint8_t sha256[32], bool *ret_named)
{
    struct store_connection *connection;
    int rc = store_reader(store, &connection);
    if (rc < 0) {
        return rc;
    }
    struct store_statement find =
        store_take(connection, "SELECT 1 FROM main.objects WHERE blob=?1 UNION ALL "
                               "SELECT 1 FROM web.objects WHERE blob=?1");
    store_bind_blob(&find, span_of(sha256, 32));
    *ret_named = store_step(&find) > 0;
    rc = store_give(&find);
    store_reader_done(store, connection);
    return rc;
}

/* ---- one round ---- */

/* The clock begins when a round first finds it unnamed. */
static void note_unused(struct sweep *sweep, const uint8_t sha256[32])
{
    struct store *store = sweep->store;
    struct span key = span_of(sha256, 32);
    struct blob_name name;
    memcpy(name.sha256, sha256, sizeof(name.sha256));
    (void)pthread_mutex_lock(&store->blob_lock);
    int64_t *since = map_get(&store->unused, key);
    if (since == NULL) {
        since = MEM_NEW(int64_t);
        *since = sweep->now_ns;
        (void)map_put(&store->unused, key, since);
    }
    bool over = sweep->now_ns - *since >= sweep->unused_ns;
    (void)pthread_mutex_unlock(&store->blob_lock);
    sweep->swept.unused++;
    if (over) {
        vec_push(&sweep->over, name);
    }
}

static int look_at(void *context, const char *name)
{
    struct sweep *sweep = context;
    struct buf sha256 = {0};
    bool named = true;
    int rc = 0;
    if (text_unhex(&sha256, span_of_str(name)) && sha256.bytes == 32) {
        named = map_get_str(&sweep->named, name) != NULL;
        rc = named ? 0 : is_in_objects(sweep->store, sha256.data, &named);
        if (rc == 0 && named) {
            store_blob_spare(sweep->store, sha256.data);
        } else if (rc == 0) {
            note_unused(sweep, sha256.data);
        }
    }
    buf_deinit(&sha256);
    return rc;
}

static int look_at_all(struct sweep *sweep)
{
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < SWEEP_FOLDERS; i++) {
        char *folder = mem_printf("%s/%02x", sweep->store->blob_dir, i);
        if (io_exists(sweep->store->io, folder)) {
            rc = io_list(sweep->store->io, folder, look_at, sweep);
        }
        mem_free(folder);
    }
    return rc;
}

/* Within a transaction nobody begins to name it, under the lock nobody puts it anew. */
static int remove_one(struct sweep *sweep, const uint8_t sha256[32])
{
    struct store *store = sweep->store;
    bool named = false;
    int rc = is_in_objects(store, sha256, &named);
    (void)pthread_mutex_lock(&store->blob_lock);
    int64_t *since = map_remove(&store->unused, span_of(sha256, 32));
    if (rc == 0 && since != NULL && !named) {
        char *path = store_blob_path(store, sha256);
        rc = io_remove(store->io, path);
        sweep->swept.removed += rc == 0 ? 1 : 0;
        mem_free(path);
    }
    (void)pthread_mutex_unlock(&store->blob_lock);
    mem_free(since);
    return rc;
}

static int remove_over(struct sweep *sweep)
{
    int rc = store_begin(sweep->store, STORE_LAZY);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < sweep->over.count; i++) {
        rc = remove_one(sweep, sweep->over.items[i].sha256);
    }
    store_abort(sweep->store);
    return rc;
}

int store_blobs_sweep(struct store *store, int64_t unused_ns, struct store_swept *ret_swept)
{
    struct sweep sweep = {
        .store = store, .unused_ns = unused_ns, .now_ns = io_monotonic_ns(store->io)};
    int rc = collect_named(store, &sweep.named);
    rc = rc < 0 ? rc : look_at_all(&sweep);
    rc = rc < 0 || sweep.over.count == 0 ? rc : remove_over(&sweep);
    map_deinit(&sweep.named);
    vec_deinit(&sweep.over);
    if (rc == 0) {
        *ret_swept = sweep.swept;
    }
    return rc;
}
