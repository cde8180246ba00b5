/* A read transaction over both files, begun while nobody writes. Tested by store_test.c. */
#include "store/store.h"

#include "base/mem.h"
#include "store/store_sql.h"

struct store_snapshot {
    struct store *store;
    struct store_connection *connection;
    uint64_t revision;
};

/* A transaction of SQLite begins with the first read of each file. */
static int begin(struct store_connection *connection)
{
    int rc = store_exec(connection, "BEGIN");
    if (rc < 0) {
        return rc;
    }
    return store_exec(connection, "SELECT 1 FROM main.objects LIMIT 1;"
                                  "SELECT 1 FROM web.objects LIMIT 1;");
}

int store_snapshot_open(struct store *store, struct store_snapshot **ret_snapshot)
{
    CHECK(!store_in_transaction(store));
    struct store_snapshot *snapshot = MEM_NEW(struct store_snapshot);
    snapshot->store = store;
    int rc = store_reader(store, &snapshot->connection);
    if (rc == 0) {
        (void)pthread_mutex_lock(&store->write_lock);
        rc = begin(snapshot->connection);
        snapshot->revision = store_revision(store);
        (void)pthread_mutex_unlock(&store->write_lock);
    }
    if (rc < 0) {
        store_snapshot_close(&snapshot);
        return rc;
    }
    *ret_snapshot = snapshot;
    return 0;
}

int store_snapshot_walk(struct store_snapshot *snapshot, enum object_kind kind,
                        int (*each)(void *context, const struct object *object), void *context)
{
    static const char *const text[] = STORE_BOTH("SELECT " STORE_COLUMNS " FROM ",
                                                 "objects WHERE kind=? AND deleted=0 ORDER BY id");
    struct store_statement walk = store_take(snapshot->connection, text[store_file_of(kind)]);
    store_bind_int(&walk, kind);
    int rc = 0;
    while (rc == 0 && store_step(&walk) > 0) {
        struct object *object = NULL;
        rc = store_row_read(&walk, &object);
        rc = rc < 0 ? rc : each(context, object);
        object_free(&object);
    }
    int given = store_give(&walk);
    return rc != 0 ? rc : given;
}

uint64_t store_snapshot_revision(const struct store_snapshot *snapshot)
{
    return snapshot->revision;
}

void store_snapshot_close(struct store_snapshot **snapshot)
{
    struct store_snapshot *gone = *snapshot;
    *snapshot = NULL;
    if (gone == NULL) {
        return;
    }
    if (gone->connection != NULL) {
        (void)sqlite3_exec(gone->connection->db, "ROLLBACK", NULL, NULL, NULL);
        store_reader_done(gone->store, gone->connection);
    }
    mem_free(gone);
}
