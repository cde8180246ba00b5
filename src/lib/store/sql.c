#include "store/store.h"

#include "base/mem.h"
#include "store/store_sql.h"

static const char *file_at_fault(struct store_connection *connection)
{
    /* SQLite does not say which of the attached files it was: name both. */
    return connection->store->paths[OBJECT_FILE_USERS];
}

int store_fault(struct store_connection *connection, int sqlite_rc, const char *what)
{
    const char *path = file_at_fault(connection);
    const char *other = connection->store->paths[OBJECT_FILE_WEB];
    const char *text =
        connection->db == NULL ? sqlite3_errstr(sqlite_rc) : sqlite3_errmsg(connection->db);
    switch (sqlite_rc & 0xff) {
    case SQLITE_FULL:
        return err_set(ERR_NO_SPACE, "%s: %s (%s, %s)", what, text, path, other);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return err_set(ERR_CORRUPT,
                       "%s: %s (%s or %s is damaged: restore it from a copy on another machine, "
                       "or move it away to begin with an empty one)",
                       what, text, path, other);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(ERR_UNAVAILABLE, "%s: %s (is another process using %s?)", what, text, path);
    default:
        return err_set(ERR_IO, "%s: %s (%s, %s)", what, text, path, other);
    }
}

struct store_statement store_take(struct store_connection *connection, const char *text)
{
    struct store_statement taken = {.connection = connection, .text = text};
    taken.statement = map_remove(&connection->statements, span_of_str(text));
    if (taken.statement == NULL) {
        int rc = sqlite3_prepare_v3(connection->db, text, -1, SQLITE_PREPARE_PERSISTENT,
                                    &taken.statement, NULL);
        if (rc != SQLITE_OK) {
            taken.rc = store_fault(connection, rc, "prepare");
        }
    }
    return taken;
}

int store_give(struct store_statement *statement)
{
    sqlite3_stmt *back = statement->statement;
    statement->statement = NULL;
    if (back == NULL) {
        return statement->rc;
    }
    struct map *cache = &statement->connection->statements;
    struct span key = span_of_str(statement->text);
    (void)sqlite3_reset(back); /* repeats the fault of the last step, which is kept in rc */
    (void)sqlite3_clear_bindings(back);
    if (map_get(cache, key) != NULL) {
        sqlite3_finalize(back); /* its like was given back meanwhile */
    } else {
        (void)map_put(cache, key, back);
    }
    return statement->rc;
}

static void check_bind(struct store_statement *statement, int rc)
{
    if (rc != SQLITE_OK && statement->rc == 0) {
        statement->rc = store_fault(statement->connection, rc, "bind");
    }
}

void store_bind_int(struct store_statement *statement, int64_t value)
{
    int at = ++statement->bound;
    if (statement->rc == 0) {
        check_bind(statement, sqlite3_bind_int64(statement->statement, at, value));
    }
}

void store_bind_text(struct store_statement *statement, const char *text)
{
    int at = ++statement->bound;
    if (statement->rc == 0 && text != NULL) {
        check_bind(statement,
                   sqlite3_bind_text(statement->statement, at, text, -1, SQLITE_TRANSIENT));
    }
}

void store_bind_blob(struct store_statement *statement, struct span blob)
{
    int at = ++statement->bound;
    if (statement->rc == 0 && blob.bytes > 0) {
        check_bind(statement, sqlite3_bind_blob64(statement->statement, at, blob.data, blob.bytes,
                                                  SQLITE_TRANSIENT));
    }
}

void store_bind_uuid(struct store_statement *statement, const struct uuid *uuid)
{
    struct span bytes = uuid_is_zero(*uuid) ? SPAN_NONE : span_of(uuid->bytes, sizeof(uuid->bytes));
    store_bind_blob(statement, bytes);
}

int store_step(struct store_statement *statement)
{
    if (statement->rc < 0) {
        return statement->rc;
    }
    int rc = sqlite3_step(statement->statement);
    if (rc == SQLITE_ROW) {
        return 1;
    }
    if (rc == SQLITE_DONE) {
        return 0;
    }
    statement->rc = store_fault(statement->connection, rc, "sqlite");
    return statement->rc;
}

int64_t store_column_int(struct store_statement *statement, int column)
{
    return sqlite3_column_int64(statement->statement, column);
}

const char *store_column_text(struct store_statement *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement->statement, column);
    return text == NULL ? "" : (const char *)text;
}

struct span store_column_blob(struct store_statement *statement, int column)
{
    const void *data = sqlite3_column_blob(statement->statement, column);
    return span_of(data, (size_t)sqlite3_column_bytes(statement->statement, column));
}

struct uuid store_column_uuid(struct store_statement *statement, int column)
{
    struct uuid uuid = {0};
    struct span bytes = store_column_blob(statement, column);
    if (bytes.bytes == sizeof(uuid.bytes)) {
        memcpy(uuid.bytes, bytes.data, sizeof(uuid.bytes));
    }
    return uuid;
}

int store_run(struct store_statement *statement)
{
    (void)store_step(statement);
    return store_give(statement);
}

int store_run_int(struct store_statement *statement, int64_t absent, int64_t *ret_value)
{
    int row = store_step(statement);
    int64_t value = absent;
    if (row > 0 && sqlite3_column_type(statement->statement, 0) != SQLITE_NULL) {
        value = store_column_int(statement, 0);
    }
    int rc = store_give(statement);
    if (rc == 0) {
        *ret_value = value;
    }
    return rc;
}

int store_exec(struct store_connection *connection, const char *text)
{
    int rc = sqlite3_exec(connection->db, text, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : store_fault(connection, rc, "sqlite");
}

/* ---- connections ---- */

static int attach(struct store_connection *connection, const char *path)
{
    struct store_statement attach =
        store_take(connection, "ATTACH DATABASE ? AS web"); /* creates the file when missing */
    store_bind_text(&attach, path);
    return store_run(&attach);
}

static int set_up(struct store_connection *connection, bool writer)
{
    int rc = attach(connection, connection->store->paths[OBJECT_FILE_WEB]);
    if (rc == 0 && writer) {
        rc = store_exec(connection, "PRAGMA main.journal_mode=WAL; PRAGMA web.journal_mode=WAL;"
                                    "PRAGMA main.synchronous=FULL; PRAGMA web.synchronous=FULL;"
                                    "PRAGMA foreign_keys=OFF; PRAGMA temp_store=MEMORY;"
                                    "PRAGMA main.cache_size=-16384;"
                                    "PRAGMA web.cache_size=-65536;");
        (void)sqlite3_wal_autocheckpoint(connection->db, STORE_LOG_PAGES);
    }
    rc = rc < 0 ? rc : store_exec(connection, "PRAGMA main.mmap_size=0; PRAGMA web.mmap_size=0;");
    if (rc == 0 && !writer) {
        rc = store_exec(connection, "PRAGMA query_only=ON;");
        (void)sqlite3_db_config(connection->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        (void)sqlite3_wal_autocheckpoint(connection->db, 0);
    }
    return rc;
}

int store_connect(struct store *store, bool writer, struct store_connection **ret_connection)
{
    struct store_connection *connection = MEM_NEW(struct store_connection);
    connection->store = store;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int rc = sqlite3_open_v2(store->paths[OBJECT_FILE_USERS], &connection->db, flags, NULL);
    if (rc != SQLITE_OK) {
        rc = store_fault(connection, rc, "open");
    } else {
        (void)sqlite3_extended_result_codes(connection->db, 1);
        (void)sqlite3_busy_timeout(connection->db, 5000);
        /* Else each other value of a bound range makes it prepare the statement again. */
        (void)sqlite3_db_config(connection->db, SQLITE_DBCONFIG_ENABLE_QPSG, 1, NULL);
        rc = set_up(connection, writer);
    }
    if (rc < 0) {
        store_disconnect(&connection);
        return rc;
    }
    *ret_connection = connection;
    return 0;
}

void store_disconnect(struct store_connection **connection)
{
    struct store_connection *gone = *connection;
    *connection = NULL;
    if (gone == NULL) {
        return;
    }
    size_t cursor = 0;
    struct span key;
    void *statement;
    while (map_next(&gone->statements, &cursor, &key, &statement)) {
        sqlite3_finalize(statement);
    }
    map_deinit(&gone->statements);
    (void)sqlite3_close_v2(gone->db);
    mem_free(gone);
}

bool store_in_transaction(struct store *store)
{
    (void)pthread_mutex_lock(&store->state_lock);
    bool mine = store->writing && pthread_equal(store->write_thread, pthread_self()) != 0;
    (void)pthread_mutex_unlock(&store->state_lock);
    return mine;
}

int store_reader(struct store *store, struct store_connection **ret_connection)
{
    if (store_in_transaction(store)) {
        *ret_connection = store->writer;
        return 0;
    }
    (void)pthread_mutex_lock(&store->state_lock);
    struct store_connection *reader = store->readers;
    if (reader != NULL) {
        store->readers = reader->next;
        store->reader_count--;
    }
    (void)pthread_mutex_unlock(&store->state_lock);
    if (reader != NULL) {
        *ret_connection = reader;
        return 0;
    }
    return store_connect(store, false, ret_connection);
}

void store_reader_done(struct store *store, struct store_connection *connection)
{
    if (connection == store->writer) {
        return;
    }
    (void)pthread_mutex_lock(&store->state_lock);
    bool keep = store->reader_count < STORE_READERS_KEPT;
    if (keep) {
        connection->next = store->readers;
        store->readers = connection;
        store->reader_count++;
    }
    (void)pthread_mutex_unlock(&store->state_lock);
    if (!keep) {
        store_disconnect(&connection);
    }
}
