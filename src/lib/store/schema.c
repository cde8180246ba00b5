/* The schema, opening and closing. docs/formats/store.md. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/time.h"
#include "store/store_sql.h"

/* One file's tables; %1$s is the schema. */
#define TABLES(schema)                                                                             \
    "CREATE TABLE IF NOT EXISTS " schema ".meta(key TEXT PRIMARY KEY, value TEXT NOT NULL)"        \
    " WITHOUT ROWID;"                                                                              \
    "CREATE TABLE IF NOT EXISTS " schema ".epochs(epoch BLOB PRIMARY KEY, parent BLOB,"            \
    " start INTEGER NOT NULL, main INTEGER NOT NULL, place INTEGER NOT NULL) WITHOUT ROWID;"       \
    "CREATE TABLE IF NOT EXISTS " schema                                                           \
    ".objects(kind INTEGER NOT NULL, id BLOB NOT NULL UNIQUE,"                                     \
    " number INTEGER NOT NULL, guid BLOB, owner INTEGER NOT NULL, gids TEXT, global INTEGER,"      \
    " write_global INTEGER, write_gids TEXT, labels TEXT, name TEXT NOT NULL,"                     \
    " description TEXT NOT NULL, body TEXT, blob BLOB, blob_bytes INTEGER, created INTEGER,"       \
    " updated INTEGER, revision INTEGER NOT NULL, base INTEGER NOT NULL, change BLOB,"             \
    " deleted INTEGER NOT NULL, dirty INTEGER NOT NULL, flags INTEGER NOT NULL,"                   \
    " rescue_epoch BLOB, rescue_revision INTEGER, stamps BLOB, over BLOB, past BLOB);"             \
    "CREATE INDEX IF NOT EXISTS " schema ".objects_number ON objects(kind, number)"                \
    " WHERE number > 0;"                                                                           \
    "CREATE INDEX IF NOT EXISTS " schema ".objects_owner ON objects(kind, owner, created);"        \
    "CREATE INDEX IF NOT EXISTS " schema ".objects_name ON objects(kind, name);"                   \
    "CREATE INDEX IF NOT EXISTS " schema ".objects_revision ON objects(revision);"                 \
    "CREATE INDEX IF NOT EXISTS " schema ".objects_dirty ON objects(dirty) WHERE dirty > 0;"       \
    "CREATE INDEX IF NOT EXISTS " schema ".objects_guid ON objects(guid) WHERE guid IS NOT NULL;"  \
    "CREATE INDEX IF NOT EXISTS " schema ".objects_blob ON objects(blob) WHERE blob IS NOT NULL;"  \
    "CREATE TABLE IF NOT EXISTS " schema                                                           \
    ".shadows(id BLOB PRIMARY KEY, revision INTEGER NOT NULL,"                                     \
    " object TEXT NOT NULL) WITHOUT ROWID;"                                                        \
    "CREATE TABLE IF NOT EXISTS " schema ".versions(number INTEGER PRIMARY KEY AUTOINCREMENT,"     \
    " id BLOB NOT NULL, change BLOB, object TEXT NOT NULL);"                                       \
    "CREATE INDEX IF NOT EXISTS " schema ".versions_id ON versions(id, number);"                   \
    "CREATE TABLE IF NOT EXISTS " schema ".changes(change BLOB PRIMARY KEY, id BLOB NOT NULL,"     \
    " revision INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;"

int store_meta_get(struct store_connection *connection, enum object_file file, const char *key,
                   struct buf *buf)
{
    static const char *const text[] = STORE_BOTH("SELECT value FROM ", "meta WHERE key=?");
    struct store_statement get = store_take(connection, text[file]);
    store_bind_text(&get, key);
    buf_clear(buf);
    if (store_step(&get) > 0) {
        buf_append_str(buf, store_column_text(&get, 0));
    }
    return store_give(&get);
}

int store_meta_set(struct store_connection *connection, enum object_file file, const char *key,
                   const char *value)
{
    static const char *const text[] = STORE_BOTH("INSERT OR REPLACE INTO ", "meta VALUES(?,?)");
    struct store_statement set = store_take(connection, text[file]);
    store_bind_text(&set, key);
    store_bind_text(&set, value);
    return store_run(&set);
}

static int check_format(struct store *store, struct store_connection *connection,
                        enum object_file file)
{
    struct buf format = {0};
    int rc = store_meta_get(connection, file, "format", &format);
    uint64_t number = 0;
    if (rc == 0 && format.bytes == 0) {
        rc = store_meta_set(connection, file, "format", "1");
    } else if (rc == 0 && (!span_to_u64(buf_span(&format), &number) || number != STORE_FORMAT)) {
        rc = err_set(ERR_UNSUPPORTED, "%s: format %.16s, this program reads format %d",
                     store->paths[file], buf_str(&format), STORE_FORMAT);
    }
    buf_deinit(&format);
    return rc;
}

static int check_health(struct store *store, struct store_connection *connection,
                        enum object_file file)
{
    static const char *const text[] = {"PRAGMA main.quick_check(1)", "PRAGMA web.quick_check(1)"};
    struct store_statement check = store_take(connection, text[file]);
    int row = store_step(&check);
    int rc = 0;
    if (row > 0 && strcmp(store_column_text(&check, 0), "ok") != 0) {
        rc = err_set(ERR_CORRUPT,
                     "%s: %s (restore it from a copy on another machine, or move it "
                     "away to begin with an empty one)",
                     store->paths[file], store_column_text(&check, 0));
    }
    int given = store_give(&check);
    return rc < 0 ? rc : given;
}

static int drop_old_changes(struct store *store, struct store_connection *connection,
                            enum object_file file)
{
    static const char *const text[] = STORE_BOTH("DELETE FROM ", "changes WHERE at < ?");
    struct store_statement drop = store_take(connection, text[file]);
    store_bind_int(&drop, io_now_ns(store->io) - STORE_CHANGE_KEEP_NS);
    return store_run(&drop);
}

int store_schema_prepare(struct store *store, struct store_connection *connection)
{
    int rc = store_exec(connection, "BEGIN IMMEDIATE;" TABLES("main") TABLES("web"));
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        rc = check_health(store, connection, file);
        rc = rc < 0 ? rc : check_format(store, connection, file);
        rc = rc < 0 ? rc : drop_old_changes(store, connection, file);
    }
    return rc < 0 ? rc : store_exec(connection, "COMMIT");
}

/* ---- what part the files play ---- */

static int max_of(struct store_connection *connection, const char *text, uint64_t *ret_value)
{
    struct store_statement max = store_take(connection, text);
    int64_t value = 0;
    int rc = store_run_int(&max, 0, &value);
    if (rc == 0) {
        *ret_value = MAX(*ret_value, (uint64_t)value);
    }
    return rc;
}

static int read_cursor(struct store_connection *connection, enum object_file file,
                       uint64_t *ret_cursor)
{
    struct buf text = {0};
    int rc = store_meta_get(connection, file, "cursor", &text);
    uint64_t cursor = 0;
    (void)span_to_u64(buf_span(&text), &cursor);
    buf_deinit(&text);
    if (rc == 0) {
        *ret_cursor = cursor;
    }
    return rc;
}

static int write_cursor(struct store_connection *connection, enum object_file file, uint64_t cursor)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, cursor);
    return store_meta_set(connection, file, "cursor", text);
}

static int take_authority(struct store *store, struct store_connection *connection,
                          enum object_file file)
{
    struct buf identity = {0};
    int rc = store_meta_get(connection, file, "identity", &identity);
    if (rc == 0 && identity.bytes == 0) {
        uint8_t random[16];
        char text[UUID_TEXT_BYTES];
        io_random(store->io, random, sizeof(random));
        rc = store_meta_set(connection, file, "identity", uuid_text(uuid_of_random(random), text));
    }
    buf_deinit(&identity);
    return rc;
}

/* A file may have been the other side's until now (the documented way to recover is to copy it
 * over). An authority's file has everything up to its last revision. */
static int take_part(struct store *store, struct store_connection *connection,
                     enum object_file file)
{
    const char *part = store->authority ? "authority" : "replica";
    static const char *const max_text[] = STORE_BOTH("SELECT max(revision) FROM ", "objects");
    struct buf before = {0};
    int rc = store_meta_get(connection, file, "part", &before);
    bool same = span_equal_str(buf_span(&before), part);
    bool was_authority = span_equal_str(buf_span(&before), "authority");
    buf_deinit(&before);
    if (rc == 0 && store->authority && !store->shared) {
        rc = take_authority(store, connection, file);
    }
    if (rc == 0 && !same) {
        rc = store_meta_set(connection, file, "part", part);
        rc = rc < 0 ? rc : store_meta_set(connection, file, "seen", "0");
    }
    uint64_t last = 0;
    if (rc == 0 && !store->authority && was_authority) {
        rc = max_of(connection, max_text[file], &last);
        rc = rc < 0 ? rc : write_cursor(connection, file, last);
    }
    return rc;
}

static int recall(struct store *store, struct store_connection *connection)
{
    uint64_t revision = 0;
    uint64_t cursor[OBJECT_FILES] = {0};
    int rc = max_of(connection, "SELECT max(revision) FROM main.objects", &revision);
    rc = rc < 0 ? rc : max_of(connection, "SELECT max(revision) FROM web.objects", &revision);
    rc =
        rc < 0 ? rc : max_of(connection, "SELECT max(dirty) FROM main.objects", &store->dirty_last);
    rc = rc < 0 ? rc : max_of(connection, "SELECT max(dirty) FROM web.objects", &store->dirty_last);
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        rc = read_cursor(connection, file, &cursor[file]);
    }
    uint64_t reached = MIN(cursor[OBJECT_FILE_USERS], cursor[OBJECT_FILE_WEB]);
    uint64_t highest = MAX(cursor[OBJECT_FILE_USERS], cursor[OBJECT_FILE_WEB]);
    /* A webserver's copy becomes the datastore: no revision that it has heard of comes again. */
    store->next_revision = MAX(revision, highest);
    store->committed_revision = store->authority ? store->next_revision : reached;
    memcpy(store->cursor, cursor, sizeof(cursor));
    memcpy(store->cursor_saved, cursor, sizeof(cursor));
    memcpy(store->committed_cursor, cursor, sizeof(cursor));
    return rc;
}

/* ---- opening ---- */

static int make_parent(struct io *io, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path) {
        return 0;
    }
    char *parent = mem_strndup(path, (size_t)(slash - path));
    int rc = io_make_dirs(io, parent);
    mem_free(parent);
    return rc;
}

/* SQLite would let two processes write in turn; two webservers on one file would each push the
 * other's changes. The lock goes with the process. */
static int lock_files(struct store *store)
{
    char *path = mem_printf("%s.lock", store->paths[OBJECT_FILE_USERS]);
    int rc = 0;
    store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (store->lock_fd < 0) {
        rc = err_set_errno(errno, "open %s", path);
    } else if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        rc = err_set(ERR_UNAVAILABLE, "%s is in use by another process",
                     store->paths[OBJECT_FILE_USERS]);
    }
    mem_free(path);
    return rc;
}

static int open_files(struct store *store)
{
    int rc = make_parent(store->io, store->paths[OBJECT_FILE_USERS]);
    rc = rc < 0 ? rc : make_parent(store->io, store->paths[OBJECT_FILE_WEB]);
    rc = rc < 0 ? rc : lock_files(store);
    rc = rc < 0 ? rc : store_connect(store, true, &store->writer);
    rc = rc < 0 ? rc : store_schema_prepare(store, store->writer);
    rc = rc < 0 ? rc : store_exec(store->writer, "BEGIN IMMEDIATE");
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        rc = take_part(store, store->writer, file);
    }
    rc = rc < 0 ? rc : recall(store, store->writer);
    for (enum object_file file = 0;
         rc == 0 && store->authority && !store->shared && file < OBJECT_FILES; file++) {
        rc = store_begin_epoch(store, file);
    }
    rc = rc < 0 ? rc : store_exec(store->writer, "COMMIT");
    store->unsaved = true;
    return rc < 0 ? rc : store_blobs_prepare(store);
}

int store_open(const struct store_options *options, struct store **ret_store)
{
    struct store *store = MEM_NEW(struct store);
    store->io = options->io;
    store->authority = options->authority;
    store->shared = options->shared;
    store->versions_max =
        options->versions_max == 0 ? STORE_VERSIONS_DEFAULT : options->versions_max;
    store->versions_age_ns = options->versions_age_ns;
    store->on_unreadable = options->on_unreadable;
    store->context = options->context;
    CHECK(store->authority || !store->shared);
    store->paths[OBJECT_FILE_USERS] = mem_strdup(options->users_path);
    store->paths[OBJECT_FILE_WEB] = mem_strdup(options->web_path);
    store->blob_dir = mem_strdup(options->blob_dir);
    store->lock_fd = -1;
    (void)pthread_mutex_init(&store->write_lock, NULL);
    (void)pthread_mutex_init(&store->state_lock, NULL);
    (void)pthread_mutex_init(&store->blob_lock, NULL);
    int rc = 0;
    if (strcmp(options->users_path, options->web_path) == 0) {
        rc =
            err_set(ERR_INVALID, "%s: both files of the store have this path", options->users_path);
    }
    rc = rc < 0 ? rc : open_files(store);
    if (rc < 0) {
        store_close(&store);
        return rc;
    }
    *ret_store = store;
    return 0;
}

void store_close(struct store **store)
{
    struct store *gone = *store;
    *store = NULL;
    if (gone == NULL) {
        return;
    }
    CHECK(!gone->writing);
    while (gone->readers != NULL) {
        struct store_connection *reader = gone->readers;
        gone->readers = reader->next;
        store_disconnect(&reader);
    }
    if (gone->writer != NULL && store_save_cursors(gone) < 0) {
        /* They are behind: something is heard twice. */
    }
    store_disconnect(&gone->writer); /* the last one out moves the logs into the files */
    if (gone->lock_fd >= 0) {
        close(gone->lock_fd);
    }
    (void)pthread_mutex_destroy(&gone->write_lock);
    (void)pthread_mutex_destroy(&gone->state_lock);
    (void)pthread_mutex_destroy(&gone->blob_lock);
    store_sweep_deinit(gone);
    vec_deinit(&gone->unreadable);
    mem_free(gone->paths[OBJECT_FILE_USERS]);
    mem_free(gone->paths[OBJECT_FILE_WEB]);
    mem_free(gone->blob_dir);
    mem_free(gone);
}
