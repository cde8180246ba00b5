/* Where a store stands in the history of all datastores: identity, epochs, cursor; and notes. */
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/vec.h"
#include "store/store_sql.h"

static int get_uuid(struct store_connection *connection, enum object_file file, const char *key,
                    struct uuid *ret_uuid)
{
    struct buf text = {0};
    int rc = store_meta_get(connection, file, key, &text);
    struct uuid uuid = {0};
    if (rc == 0 && text.bytes > 0 && !uuid_parse(buf_span(&text), &uuid)) {
        rc = err_set(ERR_CORRUPT, "%s: %s is no UUID", connection->store->paths[file], key);
    }
    buf_deinit(&text);
    if (rc == 0) {
        *ret_uuid = uuid;
    }
    return rc;
}

static int set_uuid(struct store_connection *connection, enum object_file file, const char *key,
                    const struct uuid *uuid)
{
    char text[UUID_TEXT_BYTES];
    return store_meta_set(connection, file, key, uuid_text(*uuid, text));
}

static int get_number(struct store_connection *connection, enum object_file file, const char *key,
                      uint64_t *ret_number)
{
    struct buf text = {0};
    uint64_t number = 0;
    int rc = store_meta_get(connection, file, key, &text);
    if (rc == 0 && text.bytes > 0 && !span_to_u64(buf_span(&text), &number)) {
        rc = err_set(ERR_CORRUPT, "%s: %s is no number", connection->store->paths[file], key);
    }
    buf_deinit(&text);
    if (rc == 0) {
        *ret_number = number;
    }
    return rc;
}

static int read_place(struct store_connection *connection, enum object_file file,
                      struct store_place *place)
{
    static const char *const text[] = {
        "SELECT max(ifnull((SELECT max(revision) FROM main.objects), 0),"
        " ifnull((SELECT max(revision) FROM main.shadows), 0))",
        "SELECT max(ifnull((SELECT max(revision) FROM web.objects), 0),"
        " ifnull((SELECT max(revision) FROM web.shadows), 0))",
    };
    int rc = get_uuid(connection, file, "identity", &place->identity);
    rc = rc < 0 ? rc : get_uuid(connection, file, "epoch", &place->epoch);
    rc = rc < 0 ? rc : get_number(connection, file, "seen", &place->seen);
    place->cursor = store_cursor(connection->store, file);
    struct store_statement max = store_take(connection, text[file]);
    int64_t revision = 0;
    rc = rc < 0 ? (void)store_give(&max), rc : store_run_int(&max, 0, &revision);
    place->revision = (uint64_t)revision;
    return rc;
}

int store_place(struct store *store, enum object_file file, struct store_place *ret_place)
{
    struct store_connection *connection;
    int rc = store_reader(store, &connection);
    if (rc < 0) {
        return rc;
    }
    struct store_place place = {0};
    rc = read_place(connection, file, &place);
    store_reader_done(store, connection);
    if (rc == 0) {
        *ret_place = place;
    }
    return rc;
}

uint64_t store_cursor(struct store *store, enum object_file file)
{
    if (store_in_transaction(store)) {
        return store->cursor[file];
    }
    (void)pthread_mutex_lock(&store->state_lock);
    uint64_t cursor = store->committed_cursor[file];
    (void)pthread_mutex_unlock(&store->state_lock);
    return cursor;
}

uint64_t store_revision(struct store *store)
{
    (void)pthread_mutex_lock(&store->state_lock);
    uint64_t revision = store->committed_revision;
    (void)pthread_mutex_unlock(&store->state_lock);
    return revision;
}

static int save_cursor(struct store *store, enum object_file file)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, store->cursor[file]);
    int rc = store_meta_set(store->writer, file, "cursor", text);
    if (rc == 0) {
        store->cursor_saved[file] = store->cursor[file];
    }
    return rc;
}

int store_set_cursor(struct store *store, enum object_file file, uint64_t cursor)
{
    CHECK(store_in_transaction(store));
    uint64_t saved = store->cursor_saved[file];
    store->cursor[file] = cursor;
    bool due = store->touched[file] || cursor < saved || cursor - saved >= STORE_CURSOR_AHEAD_MAX;
    return due ? save_cursor(store, file) : 0;
}

int store_set_seen(struct store *store, enum object_file file, uint64_t revision)
{
    CHECK(store_in_transaction(store));
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, revision);
    return store_meta_set(store->writer, file, "seen", text);
}

int store_save_cursors(struct store *store)
{
    int rc = 0;
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        if (store->cursor_saved[file] != store->cursor[file]) {
            rc = save_cursor(store, file);
            store->unsaved = true;
        }
    }
    return rc;
}

/* ---- epochs ---- */

int store_epochs(struct store *store, enum object_file file, struct store_epoch **ret_epochs,
                 size_t *ret_count)
{
    static const char *const text[] =
        STORE_BOTH("SELECT epoch, parent, start, main FROM ", "epochs ORDER BY place, epoch");
    struct store_connection *connection;
    int rc = store_reader(store, &connection);
    if (rc < 0) {
        return rc;
    }
    VEC(struct store_epoch) epochs = {0};
    struct store_statement get = store_take(connection, text[file]);
    while (store_step(&get) > 0) {
        vec_push(&epochs, (struct store_epoch){
                              .epoch = store_column_uuid(&get, 0),
                              .parent = store_column_uuid(&get, 1),
                              .start = (uint64_t)store_column_int(&get, 2),
                              .main = store_column_int(&get, 3) != 0,
                          });
    }
    rc = store_give(&get);
    store_reader_done(store, connection);
    if (rc < 0) {
        vec_deinit(&epochs);
        return rc;
    }
    *ret_epochs = epochs.items;
    *ret_count = epochs.count;
    return 0;
}

/* A row that is there stays, but may become one of the own past. */
static int put_epoch(struct store *store, enum object_file file, const struct store_epoch *epoch)
{
    static const char *const text[] = {
        "INSERT INTO main.epochs SELECT ?1,?2,?3,?4,1+ifnull(max(place),0) FROM main.epochs"
        " WHERE true ON CONFLICT(epoch) DO UPDATE SET main=max(main,excluded.main)",
        "INSERT INTO web.epochs SELECT ?1,?2,?3,?4,1+ifnull(max(place),0) FROM web.epochs"
        " WHERE true ON CONFLICT(epoch) DO UPDATE SET main=max(main,excluded.main)",
    };
    struct store_statement put = store_take(store->writer, text[file]);
    store_bind_uuid(&put, &epoch->epoch);
    store_bind_uuid(&put, &epoch->parent);
    store_bind_int(&put, (int64_t)epoch->start);
    store_bind_int(&put, epoch->main);
    return store_run(&put);
}

static int trim_epochs(struct store *store, enum object_file file)
{
    static const char *const text[] = {
        "DELETE FROM main.epochs WHERE place <="
        " (SELECT place FROM main.epochs ORDER BY place DESC LIMIT 1 OFFSET ?)",
        "DELETE FROM web.epochs WHERE place <="
        " (SELECT place FROM web.epochs ORDER BY place DESC LIMIT 1 OFFSET ?)",
    };
    struct store_statement trim = store_take(store->writer, text[file]);
    store_bind_int(&trim, STORE_EPOCHS_MAX);
    return store_run(&trim);
}

/* Every life of an authority is an epoch, whether it writes or not: a backup taken before its
 * first write and the life that went on must not share one. */
int store_begin_epoch(struct store *store, enum object_file file)
{
    uint8_t random[16];
    struct store_place place = {0};
    int rc = read_place(store->writer, file, &place);
    io_random(store->io, random, sizeof(random));
    struct store_epoch epoch = {.epoch = uuid_of_random(random),
                                .parent = place.epoch,
                                .start = place.revision,
                                .main = true};
    rc = rc < 0 ? rc : put_epoch(store, file, &epoch);
    rc = rc < 0 ? rc : trim_epochs(store, file);
    return rc < 0 ? rc : set_uuid(store->writer, file, "epoch", &epoch.epoch);
}

int store_add_epochs(struct store *store, enum object_file file, const struct store_epoch *epochs,
                     size_t count)
{
    CHECK(store_in_transaction(store));
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct store_epoch foreign = epochs[i];
        foreign.main = false;
        rc = put_epoch(store, file, &foreign);
    }
    return rc;
}

int store_set_lineage(struct store *store, enum object_file file, const struct uuid *identity,
                      const struct uuid *last, const struct store_epoch *epochs, size_t count)
{
    static const char *const text[] = STORE_BOTH("UPDATE ", "epochs SET main=0");
    CHECK(store_in_transaction(store) && (!store->authority || store->shared));
    struct store_statement clear = store_take(store->writer, text[file]);
    int rc = store_run(&clear);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = put_epoch(store, file, &epochs[i]);
    }
    rc = rc < 0 ? rc : trim_epochs(store, file);
    rc = rc < 0 ? rc : set_uuid(store->writer, file, "epoch", last);
    return rc < 0 ? rc : set_uuid(store->writer, file, "identity", identity);
}

/* ---- notes: in the file of the accounts ---- */

int store_set_note(struct store *store, const char *key, const char *value)
{
    CHECK(store_in_transaction(store));
    char *name = mem_printf("note.%s", key);
    int rc = store_meta_set(store->writer, OBJECT_FILE_USERS, name, value);
    mem_free(name);
    return rc;
}

int store_get_note(struct store *store, const char *key, struct buf *buf)
{
    struct store_connection *connection;
    int rc = store_reader(store, &connection);
    if (rc < 0) {
        return rc;
    }
    char *name = mem_printf("note.%s", key);
    rc = store_meta_get(connection, OBJECT_FILE_USERS, name, buf);
    mem_free(name);
    store_reader_done(store, connection);
    return rc;
}
