/*
 * Deletes: the tombstones of all wells. What makes a delete durable is its record in the datalog;
 * before the log is trimmed the tombstones are written to a file beside the series catalogue,
 * twice, since a lost tombstone would bring back what was deleted.
 *
 * The file: "AQTOMBS1", u64 position below which every delete is in it, u32 how many, u32
 * checksum of the twelve bytes before; then per tombstone u32 bytes, u32 checksum of them, and:
 * u64 position, u64 time, 16 bytes node, u64 incarnation, i64 since when it is here, payload of
 * its DELETE record.
 *
 * Tested by storage_points_test.c.
 */
#include <inttypes.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/wire.h"
#include "indexer/storage_intake.h"
#include "indexer/storage_internal.h"

#define FILE_MAGIC "AQTOMBS1"
#define FILE_BYTES_MAX ((size_t)1 << 30)
#define FILE_HEADER_BYTES 24
#define STONE_BYTES_MAX ((size_t)SERIES_SELECTOR_BYTES_MAX + 256)

static const char *const file_names[] = {"tombstones", "tombstones.copy"};

/* What one of the files says. */
struct filed {
    struct storage *storage;
    uint64_t end;
    VEC(struct tombstone *) items;
    uint64_t damaged;
};

static struct span take_stone(struct span *rest)
{
    struct wire_reader reader = wire_reader_of(*rest);
    uint32_t bytes = wire_get_u32(&reader);
    uint32_t sum = wire_get_u32(&reader);
    struct span stone = wire_get_raw(&reader, bytes);
    if (reader.failed || bytes > STONE_BYTES_MAX || hash32(stone) != sum) {
        return SPAN_NONE;
    }
    *rest = reader.rest;
    return stone;
}

static int read_stone(struct filed *filed, struct span stone)
{
    struct wire_reader reader = wire_reader_of(stone);
    struct series_origin origin = {{{0}}, 0};
    struct stamp stamp = {0};
    uint64_t position = wire_get_u64(&reader);
    stamp.time = wire_get_u64(&reader);
    struct span node = wire_get_raw(&reader, sizeof(origin.node.bytes));
    origin.incarnation = wire_get_u64(&reader);
    int64_t since_ns = wire_get_i64(&reader);
    if (reader.failed) {
        return err_set(ERR_CORRUPT, "a tombstone is cut off");
    }
    memcpy(origin.node.bytes, node.data, node.bytes);
    struct series_delete deletion;
    struct tombstone *tombstone = NULL;
    int rc = series_delete_decode(reader.rest, &deletion);
    if (rc == 0) {
        rc = series_origins_put(filed->storage->origins, &origin, &stamp.origin);
    }
    if (rc == 0) {
        rc = tombstone_new(&deletion, position, stamp, since_ns, &tombstone);
    }
    if (rc == 0) {
        vec_push(&filed->items, tombstone);
    }
    return rc;
}

/* False: the file says nothing that could be relied on. */
static bool read_text(struct filed *filed, struct span text)
{
    if (text.bytes < FILE_HEADER_BYTES || !span_starts_with(text, SPAN_LIT(FILE_MAGIC)) ||
        wire_load_u32(text.data + 20) != hash32(span_first(span_from(text, 8), 12))) {
        return false;
    }
    filed->end = wire_load_u64(text.data + 8);
    uint32_t count = wire_load_u32(text.data + 16);
    struct span rest = span_from(text, FILE_HEADER_BYTES);
    for (uint32_t i = 0; i < count; i++) {
        struct span stone = take_stone(&rest);
        if (stone.bytes == 0) { /* where the next one begins is not known either */
            filed->damaged += count - i;
            break;
        }
        filed->damaged += read_stone(filed, stone) < 0 ? 1 : 0;
    }
    return true;
}

/* Takes over what the set does not have yet. */
static void merge_filed(struct storage *storage, struct filed *filed)
{
    size_t news = 0;
    for (size_t i = 0; i < filed->items.count; i++) {
        struct tombstone *tombstone = filed->items.items[i];
        if (tombstones_have(storage->tombstones, tombstone)) {
            tombstone_unref(&tombstone);
        } else {
            filed->items.items[news++] = tombstone;
        }
    }
    if (news > 0) {
        struct tombstones *with =
            tombstones_with_many(storage->tombstones, filed->items.items, news);
        tombstones_unref(&storage->tombstones);
        storage->tombstones = with;
    }
    vec_deinit(&filed->items);
}

static int read_file(struct storage *storage, const char *name, uint64_t *ret_end,
                     bool *ret_damaged)
{
    struct filed filed = {.storage = storage};
    struct buf text = {0};
    char *path = mem_printf("%s/%s", storage->series_dir, name);
    int rc = io_exists(storage->io, path) ? io_read_file(storage->io, path, FILE_BYTES_MAX, &text)
                                          : ERR_NOT_FOUND;
    if (rc == 0 && !read_text(&filed, buf_span(&text))) {
        filed.damaged++;
    }
    if (filed.damaged > 0) {
        storage->damage += filed.damaged;
        storage_report(storage, "%s: %" PRIu64 " damaged tombstones; those of its copy are taken",
                       path, filed.damaged);
        *ret_damaged = true;
    }
    if (rc == 0) {
        *ret_end = MAX(*ret_end, filed.end);
        merge_filed(storage, &filed);
    }
    mem_free(path);
    buf_deinit(&text);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

int storage_deletes_read(struct storage *storage)
{
    struct well_names names = {storage->tags, storage->catalogue, storage->origins};
    storage->tombstones = tombstones_new(&names, 0);
    uint64_t end = 0;
    bool damaged = false;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ARRAY_COUNT(file_names); i++) {
        rc = read_file(storage, file_names[i], &end, &damaged);
    }
    storage->tombstones->end = end; /* nobody else has it yet */
    storage->deletes_changed = damaged;
    return rc;
}

void storage_deletes_publish(struct storage *storage)
{
    for (size_t i = 0; i < storage->slots.count; i++) {
        well_set_tombstones(storage->slots.items[i].well, storage->tombstones);
    }
}

static void put_stone(struct storage *storage, const struct tombstone *tombstone, struct buf *text)
{
    struct series_origin origin = {{{0}}, 0};
    struct buf stone = {0};
    (void)series_origins_get(storage->origins, tombstone->stamp.origin, &origin);
    wire_put_u64(&stone, tombstone->position);
    wire_put_u64(&stone, tombstone->stamp.time);
    buf_append(&stone, span_of(origin.node.bytes, sizeof(origin.node.bytes)));
    wire_put_u64(&stone, origin.incarnation);
    wire_put_i64(&stone, tombstone->since_ns);
    series_delete_encode(&stone, &tombstone->deletion);
    wire_put_u32(text, (uint32_t)stone.bytes);
    wire_put_u32(text, hash32(buf_span(&stone)));
    buf_append(text, buf_span(&stone));
    buf_deinit(&stone);
}

static int write_files(struct storage *storage, const struct tombstones *tombstones)
{
    struct buf text = {0};
    buf_append_str(&text, FILE_MAGIC);
    wire_put_u64(&text, tombstones->end);
    wire_put_u32(&text, (uint32_t)tombstones->count);
    wire_put_u32(&text, hash32(span_first(span_from(buf_span(&text), 8), 12)));
    for (size_t i = 0; i < tombstones->count; i++) {
        put_stone(storage, tombstones->items[i], &text);
    }
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ARRAY_COUNT(file_names); i++) {
        char *path = mem_printf("%s/%s", storage->series_dir, file_names[i]);
        rc = io_write_file(storage->io, path, buf_span(&text));
        mem_free(path);
    }
    buf_deinit(&text);
    return rc;
}

int storage_deletes_write(struct storage *storage)
{
    pthread_mutex_lock(&storage->deletes_lock);
    bool changed = storage->deletes_changed;
    struct tombstones *tombstones = tombstones_ref(storage->tombstones);
    pthread_mutex_unlock(&storage->deletes_lock);
    int rc = changed ? write_files(storage, tombstones) : 0;
    pthread_mutex_lock(&storage->deletes_lock);
    if (rc == 0 && tombstones == storage->tombstones) {
        storage->deletes_changed = false;
        storage->deletes_unfiled = 0;
    } else if (rc == 0 && storage->deletes_unfiled > 0) {
        storage->deletes_unfiled = MAX(storage->deletes_unfiled, tombstones->end);
    }
    pthread_mutex_unlock(&storage->deletes_lock);
    tombstones_unref(&tombstones);
    return rc;
}

uint64_t storage_deletes_need_from(struct storage *storage, uint64_t applied_end)
{
    pthread_mutex_lock(&storage->deletes_lock);
    uint64_t unfiled = storage->deletes_unfiled;
    pthread_mutex_unlock(&storage->deletes_lock);
    return unfiled > 0 ? MIN(unfiled, applied_end) : applied_end;
}

/* Under the lock. The wells have it before anybody is told that the delete is done. */
static void set_tombstones(struct storage *storage, struct tombstones *tombstones)
{
    struct tombstones *old = storage->tombstones;
    storage->tombstones = tombstones;
    storage->deletes_changed = true;
    storage_deletes_publish(storage);
    tombstones_unref(&old);
}

/* The catalogue's checkpoint knows only to the hour when a series was written last. A delete of
 * another node that is older than that needs to know it: the segments do. */
static void know_last_writes(struct storage *storage, const struct series_delete *deletion,
                             struct stamp stamp)
{
    if ((deletion->flags & SERIES_DELETE_WHOLE) != 0 && stamp.origin != storage->origin &&
        !storage->series_restored) {
        storage_restore_series(storage);
    }
}

void storage_restore_series(struct storage *storage)
{
    storage->series_restored = true;
    for (size_t i = 0; i < storage->slots.count; i++) {
        well_restore_series(storage->slots.items[i].well);
    }
}

void storage_apply_delete(struct storage *storage, struct span payload, uint64_t position,
                          struct stamp stamp)
{
    struct series_delete deletion;
    struct tombstone *tombstone = NULL;
    int rc = series_delete_decode(payload, &deletion);
    if (rc == 0) {
        know_last_writes(storage, &deletion, stamp);
        rc = series_catalogue_apply_delete(storage->catalogue, payload, stamp);
    }
    if (rc == 0) {
        rc = tombstone_new(&deletion, position, stamp, io_now_ns(storage->io), &tombstone);
    }
    if (rc < 0) {
        storage_report(storage, "delete at %" PRIu64 ": %s", position, err_text());
        return;
    }
    pthread_mutex_lock(&storage->deletes_lock);
    if (position >= storage->tombstones->end) {
        set_tombstones(storage, tombstones_with(storage->tombstones, &tombstone, position + 1));
        if (storage->deletes_unfiled == 0) {
            storage->deletes_unfiled = position;
        }
    }
    pthread_mutex_unlock(&storage->deletes_lock);
    tombstone_unref(&tombstone); /* a replay of what the file has */
}

static void restore_in_catalogue(struct storage *storage, const struct tombstone *tombstone)
{
    struct buf payload = {0};
    series_delete_encode(&payload, &tombstone->deletion);
    know_last_writes(storage, &tombstone->deletion, tombstone->stamp);
    if (series_catalogue_apply_delete(storage->catalogue, buf_span(&payload), tombstone->stamp) <
        0) {
        storage_report(storage, "a delete of a snapshot: %s", err_text());
    }
    buf_deinit(&payload);
}

void storage_restore_deletes(struct storage *storage, struct tombstone **tombstones, size_t count,
                             uint64_t position)
{
    for (size_t i = 0; i < count; i++) {
        restore_in_catalogue(storage, tombstones[i]);
        pthread_mutex_lock(&storage->deletes_lock);
        if (!tombstones_have(storage->tombstones, tombstones[i])) {
            tombstones[i]->position = position;
            set_tombstones(storage,
                           tombstones_with(storage->tombstones, &tombstones[i], position + 1));
            storage->deletes_unfiled =
                storage->deletes_unfiled == 0 ? position : storage->deletes_unfiled;
        }
        pthread_mutex_unlock(&storage->deletes_lock);
    }
}

int storage_intake_deletes(struct storage *storage, struct tombstone **tombstones, size_t count)
{
    struct storage_waiter waiter = STORAGE_WAITER;
    struct storage_append *append;
    int rc = storage_append_new(storage, NULL, storage_wake, &waiter, &append);
    if (rc < 0 || count == 0) {
        for (size_t i = 0; i < count; i++) {
            tombstone_unref(&tombstones[i]);
        }
        if (rc == 0) {
            storage_append_free(&append);
        }
        return rc;
    }
    struct storage_record *record = storage_append_record(append, DATALOG_SERIES);
    for (size_t i = 0; i < count; i++) {
        vec_push(&record->restored, tombstones[i]);
        tombstones[i] = NULL;
    }
    series_definitions_begin(&record->payload);
    record->submission.payload = buf_span(&record->payload);
    return storage_wait(&waiter, storage_append_submit(&append));
}

int storage_each_delete(struct storage *storage,
                        int (*each)(void *context, const struct series_delete *deletion,
                                    struct stamp stamp),
                        void *context)
{
    pthread_mutex_lock(&storage->deletes_lock);
    struct tombstones *tombstones = tombstones_ref(storage->tombstones);
    pthread_mutex_unlock(&storage->deletes_lock);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < tombstones->count; i++) {
        rc = each(context, &tombstones->items[i]->deletion, tombstones->items[i]->stamp);
    }
    tombstones_unref(&tombstones);
    return rc == 0 ? series_catalogue_deletes(storage->catalogue, each, context) : rc;
}

struct drop {
    const struct tombstones *tombstones;
    const bool *is_done;
    int64_t before_ns;
};

static bool goes(void *context, const struct tombstone *tombstone)
{
    const struct drop *drop = context;
    for (size_t i = 0; i < drop->tombstones->count; i++) {
        if (drop->tombstones->items[i] == tombstone) {
            return drop->is_done[i] && tombstone->since_ns < drop->before_ns;
        }
    }
    return false;
}

static bool any_goes(struct drop *drop)
{
    for (size_t i = 0; i < drop->tombstones->count; i++) {
        if (drop->is_done[i] && drop->tombstones->items[i]->since_ns < drop->before_ns) {
            return true;
        }
    }
    return false;
}

/* A well that the config has dropped may come back with what was deleted. */
static bool has_absent_wells(const struct storage *storage)
{
    for (size_t i = 0; i < storage->dropped.count; i++) {
        if (storage->dropped.items[i].location != NULL) {
            return true;
        }
    }
    return false;
}

/* Those that are older than the horizon and have nothing left that they could cover. */
void storage_deletes_drop_done(struct storage *storage)
{
    if (has_absent_wells(storage)) {
        return;
    }
    pthread_mutex_lock(&storage->deletes_lock);
    struct tombstones *tombstones = tombstones_ref(storage->tombstones);
    pthread_mutex_unlock(&storage->deletes_lock);
    bool *is_done = mem_alloc_array(MAX(tombstones->count, (size_t)1), sizeof(bool));
    memset(is_done, true, tombstones->count);
    struct drop drop = {tombstones, is_done, io_now_ns(storage->io) - STORAGE_DELETE_HORIZON_NS};
    if (any_goes(&drop)) {
        for (size_t i = 0; i < storage->slots.count; i++) {
            well_find_undone(storage->slots.items[i].well, tombstones, is_done);
        }
    }
    if (any_goes(&drop)) {
        pthread_mutex_lock(&storage->deletes_lock);
        set_tombstones(storage, tombstones_without(storage->tombstones, goes, &drop));
        uint64_t oldest = (uint64_t)drop.before_ns;
        for (size_t i = 0; i < storage->tombstones->count; i++) {
            oldest = MIN(oldest, storage->tombstones->items[i]->stamp.time);
        }
        pthread_mutex_unlock(&storage->deletes_lock);
        series_catalogue_forget_deletes(storage->catalogue, oldest);
    }
    mem_free(is_done);
    tombstones_unref(&tombstones);
}

uint64_t storage_deletes_count(struct storage *storage)
{
    pthread_mutex_lock(&storage->deletes_lock);
    uint64_t count = storage->tombstones->count;
    pthread_mutex_unlock(&storage->deletes_lock);
    return count;
}

struct tag_count {
    struct series_selector *selector;
    struct series_matcher matcher;
    uint64_t count;
};

static int count_tag(void *context, uint16_t tag, struct span name)
{
    struct tag_count *tags = context;
    struct buf key = {0};
    (void)tag;
    if (series_key_make(&key, name, NULL, 0) == 0 &&
        series_selector_matches(tags->selector, &tags->matcher, buf_span(&key), NULL, NULL)) {
        tags->count++;
    }
    buf_deinit(&key);
    return 0;
}

static int count_meant(struct storage *storage, const struct series_delete *deletion,
                       struct storage_deleted *ret_deleted)
{
    struct tag_count tags = {0};
    struct series_numbers numbers = {0};
    unsigned flags = SERIES_SELECTOR_LABELS_ONLY;
    flags |= (deletion->flags & SERIES_DELETE_EXACT) != 0 ? SERIES_SELECTOR_EXACT : 0;
    int rc = series_selector_parse(deletion->selector, flags, &tags.selector, NULL);
    if (rc == 0) {
        rc = series_catalogue_select(storage->catalogue, tags.selector, 0, &numbers);
    }
    if (rc == 0) {
        series_matcher_init(&tags.matcher);
        rc = series_tags_each(storage->tags, count_tag, &tags);
        series_matcher_deinit(&tags.matcher);
    }
    *ret_deleted = (struct storage_deleted){numbers.count, tags.count};
    series_numbers_deinit(&numbers);
    series_selector_free(&tags.selector);
    return rc;
}

int storage_delete(struct storage *storage, const struct series_delete *deletion,
                   struct storage_deleted *ret_deleted)
{
    struct storage_deleted deleted;
    int rc = count_meant(storage, deletion, ret_deleted != NULL ? ret_deleted : &deleted);
    if (rc < 0) {
        return rc;
    }
    struct storage_waiter waiter = STORAGE_WAITER;
    return storage_wait(&waiter,
                        storage_submit_delete(storage, deletion, NULL, storage_wake, &waiter));
}
