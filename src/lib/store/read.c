#include "store/store.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/vec.h"
#include "store/store_sql.h"

void object_list_deinit(struct object_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        object_free(&list->items[i]);
    }
    vec_deinit(list);
}

/* ---- one object ---- */

static int read_one(struct store_statement *statement, struct object **ret_object)
{
    struct object *object = NULL;
    int row = store_step(statement);
    int rc = row > 0 ? store_row_read(statement, &object) : row;
    if (row > 0 && rc == ERR_CORRUPT && store_row_unreadable(statement) == 0) {
        rc = ERR_CORRUPT; /* whoever asks for this one has no other */
    }
    int given = store_give(statement);
    if (rc < 0 || given < 0) {
        object_free(&object);
        return rc < 0 ? rc : given;
    }
    if (object == NULL) {
        return STORE_ABSENT;
    }
    *ret_object = object;
    return 0;
}

int store_get_from(struct store_connection *connection, enum object_file file,
                   const struct uuid *id, struct object **ret_object)
{
    static const char *const text[] =
        STORE_BOTH("SELECT " STORE_COLUMNS " FROM ", "objects WHERE id=?");
    struct store_statement get = store_take(connection, text[file]);
    store_bind_uuid(&get, id);
    return read_one(&get, ret_object);
}

int store_get_any(struct store *store, const struct uuid *id, struct object **ret_object)
{
    struct store_connection *connection;
    int rc = store_reader(store, &connection);
    if (rc < 0) {
        return rc;
    }
    rc = store_get_from(connection, OBJECT_FILE_WEB, id, ret_object);
    if (rc == STORE_ABSENT) {
        rc = store_get_from(connection, OBJECT_FILE_USERS, id, ret_object);
    }
    store_reader_done(store, connection);
    return rc;
}

int store_get(struct store *store, const struct uuid *id, struct object **ret_object)
{
    struct object *object = NULL;
    int rc = store_get_any(store, id, &object);
    if (rc != 0) {
        return rc;
    }
    if (object->deleted) {
        object_free(&object);
        return STORE_ABSENT;
    }
    *ret_object = object;
    return 0;
}

int store_get_by_number(struct store *store, enum object_kind kind, uint64_t number,
                        struct object **ret_object)
{
    static const char *const text[] =
        STORE_BOTH("SELECT " STORE_COLUMNS " FROM ",
                   "objects WHERE kind=? AND number=? AND number>0 AND deleted=0"
                   " ORDER BY created, id LIMIT 1");
    struct store_connection *connection;
    int rc = store_reader(store, &connection);
    if (rc < 0) {
        return rc;
    }
    struct store_statement get = store_take(connection, text[store_file_of(kind)]);
    store_bind_int(&get, kind);
    store_bind_int(&get, (int64_t)number);
    rc = read_one(&get, ret_object);
    store_reader_done(store, connection);
    return rc;
}

int store_get_by_name(struct store *store, enum object_kind kind, int32_t owner, const char *name,
                      struct object **ret_object)
{
    static const char *const text[] =
        STORE_BOTH("SELECT " STORE_COLUMNS " FROM ",
                   "objects WHERE kind=? AND name=? AND (?<0 OR owner=?) AND deleted=0"
                   " ORDER BY created, id LIMIT 1");
    struct store_connection *connection;
    int rc = store_reader(store, &connection);
    if (rc < 0) {
        return rc;
    }
    struct store_statement get = store_take(connection, text[store_file_of(kind)]);
    store_bind_int(&get, kind);
    store_bind_text(&get, name);
    store_bind_int(&get, owner);
    store_bind_int(&get, owner);
    rc = read_one(&get, ret_object);
    store_reader_done(store, connection);
    return rc;
}

/* ---- listings ---- */

/* The WHERE of what SQL can decide; the permission itself is object_allows(). */
static void put_conditions(struct buf *text, const struct store_query *query)
{
    buf_append_str(text, "objects WHERE deleted=0");
    if (query->kind != OBJECT_ANY) {
        buf_append_str(text, " AND kind=:kind");
    }
    if (query->by_owner) {
        buf_append_str(text, " AND owner=:owner");
    }
    if (query->by_group) {
        buf_append_str(text, " AND EXISTS(SELECT 1 FROM json_each(gids) WHERE value=:gid)");
    }
    if (query->guid != NULL) {
        buf_append_str(text, " AND guid=:guid");
    }
    if (query->name != NULL) {
        buf_append_str(text, " AND name=:name");
    }
}

static void put_query(struct buf *text, const struct store_query *query)
{
    static const char *const orders[] = {
        [STORE_BY_NAME] = " ORDER BY name COLLATE NOCASE, id",
        [STORE_NEWEST_FIRST] = " ORDER BY created DESC, id",
        [STORE_BY_REVISION] = " ORDER BY revision, id",
    };
    bool users = query->kind == OBJECT_ANY || store_file_of(query->kind) == OBJECT_FILE_USERS;
    bool web = query->kind == OBJECT_ANY || store_file_of(query->kind) == OBJECT_FILE_WEB;
    if (users) {
        buf_append_str(text, "SELECT " STORE_COLUMNS " FROM main.");
        put_conditions(text, query);
    }
    if (users && web) {
        /* A compound select can only be ordered by its own columns: nest it. */
        buf_append_str(text, " UNION ALL ");
    }
    if (web) {
        buf_append_str(text, "SELECT " STORE_COLUMNS " FROM web.");
        put_conditions(text, query);
    }
    if (users && web) {
        struct buf inner = *text;
        *text = (struct buf){0};
        buf_printf(text, "SELECT * FROM (%s)", buf_str(&inner));
        buf_deinit(&inner);
    }
    buf_append_str(text, orders[query->order]);
}

static int parameter(struct store_statement *statement, const char *name)
{
    /* Numbers the parameter by name; 0 when this query does not have it. */
    return statement->rc < 0 ? 0 : sqlite3_bind_parameter_index(statement->statement, name);
}

static void bind_query(struct store_statement *statement, const struct store_query *query)
{
    int at = parameter(statement, ":kind");
    if (at > 0) {
        statement->bound = at - 1;
        store_bind_int(statement, query->kind);
    }
    at = parameter(statement, ":owner");
    if (at > 0) {
        statement->bound = at - 1;
        store_bind_int(statement, query->owner);
    }
    at = parameter(statement, ":gid");
    if (at > 0) {
        statement->bound = at - 1;
        store_bind_int(statement, query->gid);
    }
    at = parameter(statement, ":guid");
    if (at > 0) {
        statement->bound = at - 1;
        store_bind_uuid(statement, query->guid);
    }
    at = parameter(statement, ":name");
    if (at > 0) {
        statement->bound = at - 1;
        store_bind_text(statement, query->name);
    }
}

static bool wanted(const struct store_query *query, const struct object *object)
{
    return (query->principal == NULL || object_allows(object, query->principal, OBJECT_LIST)) &&
           (query->filter == NULL || query->filter(query->context, object));
}

struct walk {
    const struct store_query *query;
    size_t matched;
    int (*each)(void *context, const struct object *object);
    int (*take)(void *context, struct object **object); /* takes it */
    void *context;
};

/* Positive: enough. */
static int walk_row(struct walk *walk, struct object **object)
{
    if (!wanted(walk->query, *object)) {
        return 0;
    }
    size_t place = walk->matched++;
    if (place < walk->query->skip) {
        return 0;
    }
    if (walk->query->limit > 0 && place - walk->query->skip >= walk->query->limit) {
        return 1;
    }
    return walk->take != NULL ? walk->take(walk->context, object)
                              : walk->each(walk->context, *object);
}

static int walk_rows(struct store_statement *statement, struct walk *walk)
{
    int rc = 0;
    while (rc == 0 && store_step(statement) > 0) {
        struct object *object = NULL;
        rc = store_row_of_list(statement, &object);
        rc = rc == 0 ? walk_row(walk, &object) : MIN(rc, 0);
        object_free(&object);
    }
    int given = store_give(statement);
    return rc != 0 ? rc : given;
}

static int run_walk(struct store *store, struct walk *walk)
{
    struct store_connection *connection;
    int rc = store_reader(store, &connection);
    if (rc < 0) {
        return rc;
    }
    struct buf text = {0};
    put_query(&text, walk->query);
    struct store_statement statement = store_take(connection, buf_str(&text));
    bind_query(&statement, walk->query);
    rc = walk_rows(&statement, walk);
    buf_deinit(&text);
    store_reader_done(store, connection);
    return rc;
}

int store_walk(struct store *store, const struct store_query *query,
               int (*each)(void *context, const struct object *object), void *context)
{
    struct walk walk = {.query = query, .each = each, .context = context};
    return run_walk(store, &walk);
}

static int keep(void *context, struct object **object)
{
    struct object_list *list = context;
    vec_push(list, *object);
    *object = NULL;
    return 0;
}

int store_list(struct store *store, const struct store_query *query, struct object_list *list)
{
    struct walk walk = {.query = query, .take = keep, .context = list};
    int rc = run_walk(store, &walk);
    return rc > 0 ? 0 : rc;
}

/* ---- numbers ---- */

static int ask_int(struct store *store, const char *text, int64_t parameter_value,
                   uint64_t *ret_value)
{
    struct store_connection *connection;
    int rc = store_reader(store, &connection);
    if (rc < 0) {
        return rc;
    }
    struct store_statement ask = store_take(connection, text);
    if (ask.rc == 0 && sqlite3_bind_parameter_count(ask.statement) > 0) {
        store_bind_int(&ask, parameter_value);
    }
    int64_t value = 0;
    rc = store_run_int(&ask, 0, &value);
    store_reader_done(store, connection);
    if (rc == 0) {
        *ret_value = (uint64_t)value;
    }
    return rc;
}

int store_count(struct store *store, enum object_kind kind, uint64_t *ret_count)
{
    static const char *const text[] =
        STORE_BOTH("SELECT count(*) FROM ", "objects WHERE kind=? AND deleted=0");
    return ask_int(store, text[store_file_of(kind)], kind, ret_count);
}

int store_number_max(struct store *store, enum object_kind kind, uint64_t *ret_number)
{
    static const char *const text[] =
        STORE_BOTH("SELECT max(number) FROM ", "objects WHERE kind=? AND number>0");
    return ask_int(store, text[store_file_of(kind)], kind, ret_number);
}

int store_dirty_count(struct store *store, uint64_t *ret_count)
{
    return ask_int(store,
                   "SELECT (SELECT count(*) FROM main.objects WHERE dirty>0) +"
                   " (SELECT count(*) FROM web.objects WHERE dirty>0)",
                   0, ret_count);
}

/* ---- changes and what is dirty ---- */

/* The last row, also when it is not in the list because it cannot be read. */
struct last {
    uint64_t dirty;
    uint64_t revision;
    size_t rows;
};

static int collect(struct store_statement *statement, struct object_list *list, struct last *last)
{
    int rc = 0;
    while (rc == 0 && store_step(statement) > 0) {
        struct object *object = NULL;
        rc = store_row_of_list(statement, &object);
        if (rc >= 0) {
            last->dirty = (uint64_t)store_column_int(statement, STORE_COLUMN_DIRTY);
            last->revision = (uint64_t)store_column_int(statement, STORE_COLUMN_REVISION);
            last->rows++;
        }
        if (rc == 0) {
            vec_push(list, object);
        }
        rc = MIN(rc, 0);
    }
    int given = store_give(statement);
    return rc < 0 ? rc : given;
}

static int64_t limit_of(size_t limit)
{
    return limit == 0 ? -1 : (int64_t)limit;
}

static int changes_from(struct store_connection *connection, uint64_t revision, uint64_t committed,
                        size_t limit, struct object_list *list, struct last *last)
{
    struct store_statement changes = store_take(
        connection,
        "SELECT " STORE_COLUMNS
        " FROM main.objects WHERE revision>?1 AND revision<=?2 AND dirty=0 UNION ALL "
        "SELECT " STORE_COLUMNS " FROM web.objects WHERE revision>?1 AND revision<=?2 AND dirty=0"
        " ORDER BY revision LIMIT ?3");
    store_bind_int(&changes, (int64_t)revision);
    store_bind_int(&changes, (int64_t)committed);
    store_bind_int(&changes, limit_of(limit));
    return collect(&changes, list, last);
}

/* Where all rows up to the limit cannot be read, what follows is still to come. */
int store_changes(struct store *store, uint64_t revision, size_t limit, struct object_list *list)
{
    /* The two files commit one after the other: what lies above the committed revision may have
     * holes yet. */
    uint64_t committed = store_revision(store);
    struct store_connection *connection;
    int rc = store_reader(store, &connection);
    if (rc < 0) {
        return rc;
    }
    struct last last = {.revision = revision};
    size_t before = list->count;
    do {
        last.rows = 0;
        rc = changes_from(connection, last.revision, committed, limit, list, &last);
    } while (rc == 0 && last.rows > 0 && list->count == before);
    store_reader_done(store, connection);
    return rc;
}

int store_dirty(struct store *store, uint64_t after, size_t limit, struct object_list *list,
                uint64_t *ret_last)
{
    struct store_connection *connection;
    int rc = store_reader(store, &connection);
    if (rc < 0) {
        return rc;
    }
    struct store_statement dirty = store_take(
        connection,
        "SELECT " STORE_COLUMNS " FROM main.objects WHERE dirty>?1 AND dirty>0 UNION ALL "
        "SELECT " STORE_COLUMNS " FROM web.objects WHERE dirty>?1 AND dirty>0"
        " ORDER BY dirty LIMIT ?2");
    store_bind_int(&dirty, (int64_t)after);
    store_bind_int(&dirty, limit_of(limit));
    struct last last = {.dirty = after};
    rc = collect(&dirty, list, &last);
    store_reader_done(store, connection);
    if (rc == 0) {
        *ret_last = last.dirty;
    }
    return rc;
}

int store_scan(struct store *store, enum object_file file, const struct uuid *after, size_t limit,
               struct object_list *list)
{
    static const char *const text[] = STORE_BOTH(
        "SELECT " STORE_COLUMNS " FROM ", "objects WHERE id>ifnull(?,x'') ORDER BY id LIMIT ?");
    struct store_connection *connection;
    int rc = store_reader(store, &connection);
    if (rc < 0) {
        return rc;
    }
    struct store_statement scan = store_take(connection, text[file]);
    store_bind_blob(&scan, after == NULL ? SPAN_NONE : span_of(after->bytes, sizeof(*after)));
    store_bind_int(&scan, limit_of(limit));
    struct last last = {0};
    rc = collect(&scan, list, &last);
    store_reader_done(store, connection);
    return rc;
}

/* ---- versions, shadows, changes by id ---- */

static int object_of_text(const char *text, struct object **ret_object)
{
    json_t *json = json_loads(text, 0, NULL);
    int rc = object_from_json(json, ret_object);
    json_decref(json);
    return rc < 0 ? err_wrap(ERR_CORRUPT, "a kept version") : 0;
}

static int versions_from(struct store_connection *connection, enum object_file file,
                         const struct uuid *id, struct object_list *list)
{
    static const char *const text[] =
        STORE_BOTH("SELECT object FROM ", "versions WHERE id=? ORDER BY number DESC");
    struct store_statement get = store_take(connection, text[file]);
    store_bind_uuid(&get, id);
    int rc = 0;
    while (rc == 0 && store_step(&get) > 0) {
        struct object *object = NULL;
        rc = object_of_text(store_column_text(&get, 0), &object);
        if (rc == 0) {
            vec_push(list, object);
        }
    }
    int given = store_give(&get);
    return rc < 0 ? rc : given;
}

int store_versions(struct store *store, const struct uuid *id, struct object_list *list)
{
    struct store_connection *connection;
    int rc = store_reader(store, &connection);
    if (rc < 0) {
        return rc;
    }
    rc = versions_from(connection, OBJECT_FILE_WEB, id, list);
    rc = rc < 0 ? rc : versions_from(connection, OBJECT_FILE_USERS, id, list);
    store_reader_done(store, connection);
    return rc;
}

int store_get_shadow(struct store *store, const struct uuid *id, struct object **ret_object)
{
    struct store_connection *connection;
    int rc = store_reader(store, &connection);
    if (rc < 0) {
        return rc;
    }
    struct store_statement get =
        store_take(connection, "SELECT object FROM main.shadows WHERE id=?1 UNION ALL "
                               "SELECT object FROM web.shadows WHERE id=?1");
    store_bind_uuid(&get, id);
    struct object *object = NULL;
    int row = store_step(&get);
    rc = row > 0 ? object_of_text(store_column_text(&get, 0), &object) : row;
    int given = store_give(&get);
    store_reader_done(store, connection);
    if (rc < 0 || given < 0) {
        object_free(&object);
        return rc < 0 ? rc : given;
    }
    if (object == NULL) {
        return STORE_ABSENT;
    }
    *ret_object = object;
    return 0;
}

int store_find_change(struct store *store, const struct uuid *change,
                      struct store_change *ret_change)
{
    struct store_connection *connection;
    int rc = store_reader(store, &connection);
    if (rc < 0) {
        return rc;
    }
    struct store_statement find =
        store_take(connection, "SELECT id, revision FROM main.changes WHERE change=?1 UNION ALL "
                               "SELECT id, revision FROM web.changes WHERE change=?1");
    store_bind_uuid(&find, change);
    struct store_change found = {0};
    int row = store_step(&find);
    if (row > 0) {
        found.object = store_column_uuid(&find, 0);
        found.revision = (uint64_t)store_column_int(&find, 1);
    }
    rc = store_give(&find);
    store_reader_done(store, connection);
    if (rc == 0 && row > 0) {
        *ret_change = found;
    }
    return rc < 0 ? rc : row > 0 ? 0 : STORE_ABSENT;
}
