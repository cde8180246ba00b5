/* Objects as rows. Lists are JSON text so that they can be read with the sqlite3 shell; ids and
 * hashes are blobs. docs/formats/store.md. */
#include "store/store.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/vec.h"
#include "base/wire.h"
#include "store/store_sql.h"

enum { FLAG_REFUSED = 1, FLAG_RESCUE = 2, FLAG_EDITED = 4, FLAG_STAMPED = 8 };

#define STAMP_BYTES 24

enum object_file store_file_of(enum object_kind kind)
{
    const struct object_kind_info *info = object_kind_info(kind);
    CHECK(info != NULL);
    return info->file;
}

/* ---- writing ---- */

static void bind_gids(struct store_statement *statement, const struct object_gids *gids)
{
    struct buf text = {0};
    for (size_t i = 0; i < gids->count; i++) {
        buf_printf(&text, "%s%" PRId32, i == 0 ? "[" : ",", gids->items[i]);
    }
    if (gids->count > 0) {
        buf_append_byte(&text, ']');
    }
    store_bind_text(statement, gids->count == 0 ? NULL : buf_str(&text));
    buf_deinit(&text);
}

static void bind_labels(struct store_statement *statement, const struct object *object)
{
    json_t *list = json_array();
    for (size_t i = 0; i < object->label_count; i++) {
        json_array_append_new(list, json_string(object->labels[i]));
    }
    char *text = object->label_count == 0 ? NULL : json_dumps(list, JSON_COMPACT);
    store_bind_text(statement, text);
    free(text);
    json_decref(list);
}

static void bind_body(struct store_statement *statement, const struct object *object)
{
    char *text = object->body == NULL ? NULL : json_dumps(object->body, JSON_COMPACT);
    store_bind_text(statement, text);
    free(text);
}

static void bind_stamps(struct store_statement *statement, const struct object *object)
{
    struct buf bytes = {0};
    for (size_t i = 0; i < object->stamp_count; i++) {
        buf_append(&bytes, span_of(object->stamps[i].epoch.bytes, sizeof(struct uuid)));
        wire_put_u64(&bytes, object->stamps[i].revision);
    }
    store_bind_blob(statement, buf_span(&bytes));
    buf_deinit(&bytes);
}

static int flags_of(const struct object *object)
{
    return (object->refused ? FLAG_REFUSED : 0) | (object->rescue ? FLAG_RESCUE : 0) |
           (object->edited ? FLAG_EDITED : 0) | (object->stamped ? FLAG_STAMPED : 0);
}

void store_row_bind(struct store_statement *statement, const struct object *object, uint64_t dirty)
{
    bool blob = object->blob.present;
    store_bind_int(statement, object->kind);
    store_bind_uuid(statement, &object->id);
    store_bind_int(statement, (int64_t)object->number);
    store_bind_uuid(statement, &object->guid);
    store_bind_int(statement, object->owner);
    bind_gids(statement, &object->gids);
    store_bind_int(statement, object->global);
    store_bind_int(statement, object->write_global);
    bind_gids(statement, &object->write_gids);
    bind_labels(statement, object);
    store_bind_text(statement, object->name);
    store_bind_text(statement, object->description);
    bind_body(statement, object);
    store_bind_blob(statement, blob ? span_of(object->blob.sha256, 32) : SPAN_NONE);
    store_bind_int(statement, blob ? (int64_t)object->blob.bytes : 0);
    store_bind_int(statement, object->created_ns);
    store_bind_int(statement, object->updated_ns);
    store_bind_int(statement, (int64_t)object->revision);
    store_bind_int(statement, (int64_t)object->base_revision);
    store_bind_uuid(statement, &object->change);
    store_bind_int(statement, object->deleted);
    store_bind_int(statement, (int64_t)dirty);
    store_bind_int(statement, flags_of(object));
    store_bind_uuid(statement, &object->rescue_stamp.epoch);
    store_bind_int(statement, (int64_t)object->rescue_stamp.revision);
    bind_stamps(statement, object);
    store_bind_blob(statement, span_of(object->over, object->over_count * sizeof(struct uuid)));
    store_bind_blob(statement, span_of(object->past, object->past_count * sizeof(struct uuid)));
}

/* ---- reading ---- */

static bool read_gids(struct object_gids *gids, const char *text)
{
    VEC(int32_t) items = {0};
    struct span rest = span_of_str(text);
    bool fine = true;
    if (rest.bytes >= 2) {
        rest = span_of(rest.data + 1, rest.bytes - 2);
    }
    struct span piece;
    while (fine && span_split(&rest, ',', &piece)) {
        int64_t gid;
        fine = span_to_i64(piece, &gid) && gid >= INT32_MIN && gid <= INT32_MAX;
        if (fine) {
            vec_push(&items, (int32_t)gid);
        }
    }
    object_set_gids(gids, items.items, items.count);
    vec_deinit(&items);
    return fine;
}

static bool read_labels(struct object *object, const char *text)
{
    if (text[0] == 0) {
        return true;
    }
    json_t *list = json_loads(text, 0, NULL);
    VEC(const char *) labels = {0};
    bool fine = json_is_array(list);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *label = json_string_value(json_array_get(list, i));
        fine = fine && label != NULL;
        if (label != NULL) {
            vec_push(&labels, label);
        }
    }
    object_set_labels(object, labels.items, labels.count);
    vec_deinit(&labels);
    json_decref(list);
    return fine;
}

static bool read_body(struct object *object, const char *text)
{
    if (text[0] == 0) {
        return true;
    }
    object->body = json_loads(text, 0, NULL);
    return json_is_object(object->body);
}

static bool read_blob(struct object *object, struct span sha256, int64_t bytes)
{
    if (sha256.bytes == 0) {
        return true;
    }
    if (sha256.bytes != sizeof(object->blob.sha256)) {
        return false;
    }
    memcpy(object->blob.sha256, sha256.data, sha256.bytes);
    object->blob.bytes = (uint64_t)bytes;
    object->blob.present = true;
    return true;
}

static bool read_stamps(struct object *object, struct span bytes)
{
    object->stamp_count = bytes.bytes / STAMP_BYTES;
    if (bytes.bytes % STAMP_BYTES != 0 || object->stamp_count > OBJECT_STAMPS_MAX) {
        object->stamp_count = 0;
        return false;
    }
    for (size_t i = 0; i < object->stamp_count; i++) {
        const uint8_t *at = bytes.data + i * STAMP_BYTES;
        memcpy(object->stamps[i].epoch.bytes, at, sizeof(struct uuid));
        object->stamps[i].revision = wire_load_u64(at + sizeof(struct uuid));
    }
    return true;
}

static bool read_uuids(struct uuid *uuids, size_t *ret_count, size_t max, struct span bytes)
{
    size_t count = bytes.bytes / sizeof(struct uuid);
    if (bytes.bytes % sizeof(struct uuid) != 0 || count > max) {
        return false;
    }
    if (count > 0) {
        memcpy(uuids, bytes.data, bytes.bytes);
    }
    *ret_count = count;
    return true;
}

static void read_flags(struct object *object, int64_t flags)
{
    object->refused = (flags & FLAG_REFUSED) != 0;
    object->rescue = (flags & FLAG_RESCUE) != 0;
    object->edited = (flags & FLAG_EDITED) != 0;
    object->stamped = (flags & FLAG_STAMPED) != 0;
}

/* Of a column that is broken by hand SQLite checks nothing. */
static bool read_texts(struct object *object, const char *name, const char *description)
{
    object_set_name(object, name);
    object_set_description(object, description);
    return text_is_utf8(span_of_str(name)) && text_is_utf8(span_of_str(description));
}

static const char *read_row(struct store_statement *row, struct object *object)
{
    object->id = store_column_uuid(row, 1);
    object->number = (uint64_t)store_column_int(row, 2);
    object->guid = store_column_uuid(row, 3);
    object->owner = (int32_t)store_column_int(row, 4);
    object->global = store_column_int(row, 6) != 0;
    object->write_global = store_column_int(row, 7) != 0;
    object->created_ns = store_column_int(row, 15);
    object->updated_ns = store_column_int(row, 16);
    object->revision = (uint64_t)store_column_int(row, 17);
    object->base_revision = (uint64_t)store_column_int(row, 18);
    object->change = store_column_uuid(row, 19);
    object->deleted = store_column_int(row, 20) != 0;
    object->dirty = store_column_int(row, STORE_COLUMN_DIRTY) != 0;
    read_flags(object, store_column_int(row, 22));
    object->rescue_stamp.epoch = store_column_uuid(row, 23);
    object->rescue_stamp.revision = (uint64_t)store_column_int(row, 24);
    return !read_gids(&object->gids, store_column_text(row, 5))         ? "gids"
           : !read_gids(&object->write_gids, store_column_text(row, 8)) ? "write_gids"
           : !read_texts(object, store_column_text(row, 10), store_column_text(row, 11))
               ? "name or description"
           : !read_labels(object, store_column_text(row, 9))                           ? "labels"
           : !read_body(object, store_column_text(row, 12))                            ? "body"
           : !read_blob(object, store_column_blob(row, 13), store_column_int(row, 14)) ? "blob"
           : !read_stamps(object, store_column_blob(row, 25))                          ? "stamps"
           : !read_uuids(object->over, &object->over_count, OBJECT_OVER_MAX,
                         store_column_blob(row, 26))
               ? "over"
           : !read_uuids(object->past, &object->past_count, OBJECT_PAST_MAX,
                         store_column_blob(row, 27))
               ? "past"
               : NULL;
}

int store_row_read(struct store_statement *statement, struct object **ret_object)
{
    int64_t kind = store_column_int(statement, 0);
    if (object_kind_info((enum object_kind)kind) == NULL) {
        return err_set(ERR_CORRUPT, "an object of kind %" PRId64 ", which is not known", kind);
    }
    struct object *object = object_new((enum object_kind)kind);
    const char *wrong = read_row(statement, object);
    if (wrong != NULL) {
        char id[UUID_TEXT_BYTES];
        int rc = err_set(ERR_CORRUPT, "%s %s: its %s cannot be read",
                         object_kind_name(object->kind), uuid_text(object->id, id), wrong);
        object_free(&object);
        return rc;
    }
    *ret_object = object;
    return 0;
}

/* ---- rows that cannot be read ---- */

/* Under the lock. */
static bool is_known(const struct store *store, const struct uuid *id)
{
    size_t at = 0;
    while (at < store->unreadable.count && !uuid_equal(store->unreadable.items[at], *id)) {
        at++;
    }
    return at < store->unreadable.count;
}

bool store_is_unreadable(struct store *store, const struct uuid *id)
{
    (void)pthread_mutex_lock(&store->state_lock);
    bool known = is_known(store, id);
    (void)pthread_mutex_unlock(&store->state_lock);
    return known;
}

size_t store_unreadable(struct store *store, struct uuid **ret_ids)
{
    (void)pthread_mutex_lock(&store->state_lock);
    size_t count = store->unreadable.count;
    if (ret_ids != NULL) {
        *ret_ids = mem_alloc_array(count + 1, sizeof(**ret_ids));
        for (size_t i = 0; i < count; i++) {
            (*ret_ids)[i] = store->unreadable.items[i];
        }
    }
    (void)pthread_mutex_unlock(&store->state_lock);
    return count;
}

int store_row_unreadable(struct store_statement *statement)
{
    struct store *store = statement->connection->store;
    struct uuid id = store_column_uuid(statement, 1);
    if (store->on_unreadable == NULL) {
        return ERR_CORRUPT;
    }
    (void)pthread_mutex_lock(&store->state_lock);
    bool news = !is_known(store, &id);
    bool full = news && store->unreadable.count == STORE_UNREADABLE_MAX;
    if (news && !full) {
        vec_push(&store->unreadable, id);
    }
    (void)pthread_mutex_unlock(&store->state_lock);
    if (full) {
        return err_wrap(ERR_CORRUPT, "more than %d rows cannot be read", STORE_UNREADABLE_MAX);
    }
    if (news) {
        store->on_unreadable(store->context, err_text());
    }
    return 0;
}

int store_row_of_list(struct store_statement *statement, struct object **ret_object)
{
    int rc = store_row_read(statement, ret_object);
    if (rc == ERR_CORRUPT) {
        rc = store_row_unreadable(statement);
        rc = rc < 0 ? rc : STORE_ABSENT;
    }
    return rc;
}
