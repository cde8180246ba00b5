#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/time.h"
#include "store/store_sql.h"

/* ---- transactions ---- */

static int set_durability(struct store *store, enum store_durability durability)
{
    if (store->durability == durability) {
        return 0;
    }
    int rc =
        store_exec(store->writer, durability == STORE_DURABLE ? "PRAGMA main.synchronous=FULL;"
                                                                "PRAGMA web.synchronous=FULL"
                                                              : "PRAGMA main.synchronous=NORMAL;"
                                                                "PRAGMA web.synchronous=NORMAL");
    if (rc == 0) {
        store->durability = durability;
    }
    return rc;
}

static void set_writing(struct store *store, bool writing)
{
    (void)pthread_mutex_lock(&store->state_lock);
    store->writing = writing;
    store->write_thread = pthread_self();
    if (!writing) {
        memcpy(store->committed_cursor, store->cursor, sizeof(store->cursor));
        store->committed_revision = store->authority ? store->next_revision
                                                     : MIN(store->cursor[OBJECT_FILE_USERS],
                                                           store->cursor[OBJECT_FILE_WEB]);
    }
    (void)pthread_mutex_unlock(&store->state_lock);
}

int store_begin(struct store *store, enum store_durability durability)
{
    CHECK(!store_in_transaction(store));
    (void)pthread_mutex_lock(&store->write_lock);
    int rc = set_durability(store, durability);
    struct store_statement begin = {0};
    if (rc == 0) {
        begin = store_take(store->writer, "BEGIN IMMEDIATE");
        rc = store_run(&begin);
    }
    if (rc < 0) {
        (void)pthread_mutex_unlock(&store->write_lock);
        return rc;
    }
    store->revision_before = store->next_revision;
    store->dirty_before = store->dirty_last;
    memcpy(store->cursor_before, store->cursor, sizeof(store->cursor));
    memcpy(store->cursor_saved_before, store->cursor_saved, sizeof(store->cursor_saved));
    memset(store->touched, 0, sizeof(store->touched));
    set_writing(store, true);
    return 0;
}

static void roll_back(struct store *store)
{
    (void)sqlite3_exec(store->writer->db, "ROLLBACK", NULL, NULL, NULL);
    store->next_revision = store->revision_before;
    store->dirty_last = store->dirty_before;
    memcpy(store->cursor, store->cursor_before, sizeof(store->cursor));
    memcpy(store->cursor_saved, store->cursor_saved_before, sizeof(store->cursor_saved));
}

int store_commit(struct store *store)
{
    CHECK(store_in_transaction(store));
    struct store_statement commit = store_take(store->writer, "COMMIT");
    int rc = store_run(&commit);
    if (rc < 0) {
        roll_back(store);
    }
    store->unsaved = true;
    store->commit_ns = io_monotonic_ns(store->io);
    set_writing(store, false);
    (void)pthread_mutex_unlock(&store->write_lock);
    return rc;
}

void store_abort(struct store *store)
{
    CHECK(store_in_transaction(store));
    roll_back(store);
    set_writing(store, false);
    (void)pthread_mutex_unlock(&store->write_lock);
}

int store_checkpoint(struct store *store)
{
    CHECK(!store_in_transaction(store));
    (void)pthread_mutex_lock(&store->write_lock);
    store->checkpoint_ns = io_monotonic_ns(store->io);
    int rc = store_save_cursors(store);
    if (rc == 0 && store->unsaved) {
        int log = 0;
        int moved = 0;
        rc = sqlite3_wal_checkpoint_v2(store->writer->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &log,
                                       &moved);
        rc = rc == SQLITE_OK ? 0 : store_fault(store->writer, rc, "checkpoint");
        store->unsaved = rc < 0 || log != moved; /* a reader still needs the rest */
    }
    (void)pthread_mutex_unlock(&store->write_lock);
    return rc;
}

int store_checkpoint_in_pause(struct store *store)
{
    (void)pthread_mutex_lock(&store->write_lock);
    int64_t now_ns = io_monotonic_ns(store->io);
    bool busy = now_ns - store->commit_ns < STORE_PAUSE_NS;
    bool recent = now_ns - store->checkpoint_ns < STORE_CHECKPOINT_NS;
    (void)pthread_mutex_unlock(&store->write_lock);
    return busy && recent ? 0 : store_checkpoint(store);
}

/* ---- objects ---- */

/* Of what is written once there is no earlier version; secrets are not kept longer than asked. */
static bool keeps_versions(enum object_kind kind)
{
    switch (kind) {
    case OBJECT_SIGNING_KEY:
    case OBJECT_TOKEN:
    case OBJECT_SECRET:
    case OBJECT_NOTIFICATION:
        return false;
    default:
        return object_kind_info(kind)->rule != OBJECT_RULE_APPEND;
    }
}

/* The newest ?2 stay, and of these what was replaced at ?3 or later: a version's age counts from
 * its successor, so that the last edit of an old object can be undone. */
#define TRIM(schema)                                                                               \
    "DELETE FROM " schema ".versions WHERE id=?1 AND (number NOT IN"                               \
    " (SELECT number FROM " schema ".versions WHERE id=?1 ORDER BY number DESC LIMIT ?2)"          \
    " OR (?3 <> '' AND (SELECT substr(json_extract(next.object, '$.updated'), 1, 19)"              \
    " FROM " schema ".versions AS next WHERE next.id=?1 AND next.number > versions.number"         \
    " ORDER BY next.number LIMIT 1) < ?3))"

static int trim_versions(struct store *store, enum object_file file, const struct uuid *id)
{
    static const char *const text[] = {TRIM("main"), TRIM("web")};
    char oldest[TIME_TEXT_BYTES] = "";
    if (store->versions_age_ns > 0) {
        (void)time_text(io_now_ns(store->io) - store->versions_age_ns, oldest);
        oldest[strlen("2026-01-02T03:04:05")] = 0; /* whole seconds sort as text */
    }
    struct store_statement trim = store_take(store->writer, text[file]);
    store_bind_uuid(&trim, id);
    store_bind_int(&trim, store->versions_max);
    store_bind_text(&trim, oldest);
    return store_run(&trim);
}

static char *text_of_object(const struct object *object)
{
    json_t *json = object_to_json(object);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    CHECK(text != NULL);
    return text;
}

int store_put_version(struct store *store, const struct object *object)
{
    static const char *const text[] = {
        "INSERT INTO main.versions(id, change, object) SELECT ?1,?2,?3"
        " WHERE NOT EXISTS(SELECT 1 FROM main.versions WHERE id=?1 AND change=?2)",
        "INSERT INTO web.versions(id, change, object) SELECT ?1,?2,?3"
        " WHERE NOT EXISTS(SELECT 1 FROM web.versions WHERE id=?1 AND change=?2)",
    };
    CHECK(store_in_transaction(store));
    enum object_file file = store_file_of(object->kind);
    char *json = text_of_object(object);
    struct store_statement put = store_take(store->writer, text[file]);
    store_bind_uuid(&put, &object->id);
    store_bind_uuid(&put, &object->change);
    store_bind_text(&put, json);
    int rc = store_run(&put);
    free(json);
    return rc < 0 ? rc : trim_versions(store, file, &object->id);
}

static int remember_change(struct store *store, const struct object *object)
{
    static const char *const text[] =
        STORE_BOTH("INSERT OR IGNORE INTO ", "changes VALUES(?,?,?,?)");
    if (uuid_is_zero(object->change)) {
        return 0;
    }
    struct store_statement put = store_take(store->writer, text[store_file_of(object->kind)]);
    store_bind_uuid(&put, &object->change);
    store_bind_uuid(&put, &object->id);
    store_bind_int(&put, (int64_t)object->revision);
    store_bind_int(&put, io_now_ns(store->io));
    return store_run(&put);
}

/* What is there now: its place in the dirty order, and its version if it is to be kept. */
static int look_at_old(struct store *store, const struct object *object, uint64_t *ret_dirty,
                       bool *ret_there)
{
    struct object *old = NULL;
    int rc = store_get_from(store->writer, store_file_of(object->kind), &object->id, &old);
    if (rc == STORE_ABSENT) {
        return 0;
    }
    if (rc < 0) {
        return rc;
    }
    CHECK(old->kind == object->kind);
    *ret_there = true;
    if (!uuid_equal(old->change, object->change) && !old->deleted && keeps_versions(object->kind)) {
        rc = store_put_version(store, old);
    }
    if (rc == 0 && old->dirty) {
        static const char *const text[] = STORE_BOTH("SELECT dirty FROM ", "objects WHERE id=?");
        struct store_statement get = store_take(store->writer, text[store_file_of(old->kind)]);
        store_bind_uuid(&get, &old->id);
        int64_t dirty = 0;
        rc = store_run_int(&get, 0, &dirty);
        *ret_dirty = (uint64_t)dirty;
    }
    object_free(&old);
    return rc;
}

static int remove_row(struct store *store, enum object_file file, const struct uuid *id)
{
    static const char *const text[] = STORE_BOTH("DELETE FROM ", "objects WHERE id=?");
    struct store_statement remove = store_take(store->writer, text[file]);
    store_bind_uuid(&remove, id);
    return store_run(&remove);
}

int store_put(struct store *store, const struct object *object)
{
    static const char *const text[] =
        STORE_BOTH("INSERT INTO ", "objects(" STORE_COLUMNS ") VALUES(" STORE_COLUMN_PARAMS ")");
    CHECK(store_in_transaction(store));
    enum object_file file = store_file_of(object->kind);
    store->touched[file] = true;
    uint64_t dirty = 0;
    bool there = false;
    int rc = look_at_old(store, object, &dirty, &there);
    if (rc == 0 && there) {
        rc = remove_row(store, file, &object->id);
    }
    if (rc < 0) {
        return rc;
    }
    if (!object->dirty) {
        dirty = 0;
    } else if (dirty == 0) {
        dirty = ++store->dirty_last;
    }
    struct store_statement put = store_take(store->writer, text[file]);
    store_row_bind(&put, object, dirty);
    rc = store_run(&put);
    return rc < 0 || object->dirty ? rc : remember_change(store, object);
}

int store_put_shadow(struct store *store, const struct uuid *id, const struct object *object)
{
    CHECK(store_in_transaction(store));
    static const char *const remove_text[] = STORE_BOTH("DELETE FROM ", "shadows WHERE id=?");
    static const char *const put_text[] = STORE_BOTH("INSERT INTO ", "shadows VALUES(?,?,?)");
    int rc = 0;
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        struct store_statement remove = store_take(store->writer, remove_text[file]);
        store_bind_uuid(&remove, id);
        rc = store_run(&remove);
    }
    if (rc < 0 || object == NULL) {
        return rc;
    }
    char *json = text_of_object(object);
    struct store_statement put = store_take(store->writer, put_text[store_file_of(object->kind)]);
    store_bind_uuid(&put, id);
    store_bind_int(&put, (int64_t)object->revision);
    store_bind_text(&put, json);
    rc = store_run(&put);
    free(json);
    return rc;
}

int store_forget(struct store *store, const struct uuid *id)
{
    CHECK(store_in_transaction(store));
    int rc = 0;
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        rc = remove_row(store, file, id);
    }
    return rc < 0 ? rc : store_put_shadow(store, id, NULL);
}

int store_next_revision(struct store *store, uint64_t *ret_revision)
{
    CHECK(store_in_transaction(store) && store->authority);
    *ret_revision = ++store->next_revision;
    return 0;
}

int store_reach_revision(struct store *store, uint64_t revision)
{
    CHECK(store_in_transaction(store) && store->authority && store->shared);
    store->next_revision = MAX(store->next_revision, revision);
    return 0;
}
