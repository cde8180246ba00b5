/*
 * Tested by snapshot_test.c.
 *
 * The file "snapshot" beside the log says what is in doubt, before anything that could be is
 * there: "AQSNAPS1", u32 checksum of the rest, places (replicate/places.h).
 */
#include "indexer/storage_intake.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/time.h"
#include "indexer/element_hash.h"
#include "indexer/storage_digest.h"
#include "indexer/storage_internal.h"
#include "well/points_record.h"

#define MAGIC "AQSNAPS1"
#define FILE_BYTES_MAX ((size_t)8 << 20)
#define HORIZON_SLACK_NS (INT64_C(3600) * 1000000000) /* clocks differ, and time goes by */

struct storage_intake {
    char *path;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct replicate_receiver receiver; /* `have` is of the moment a snapshot began */
    bool entering;                      /* a snapshot waits for what is in flight */
    uint64_t in_flight;                 /* received submissions */
    struct replicate_needs serves;      /* of the present snapshot */
    int64_t horizon_ns;                 /* of its sender */
    int64_t missing_ns;
    int64_t missing_end_ns;
    uint64_t needs_version;
};

/* ---- places ---- */

void storage_raise_rows(struct replicate_places *places, const struct buf *rows)
{
    struct datalog_origin_position row;
    for (size_t i = 0; i < rows->bytes; i += sizeof(row)) {
        memcpy(&row, rows->data + i, sizeof(row));
        if (row.position > 0) {
            replicate_places_raise(places,
                                   (struct replicate_place){row.origin, row.position, row.time});
        }
    }
}

void storage_places(struct storage *storage, struct replicate_places *places)
{
    struct buf rows = {0};
    (void)datalog_origin_positions(storage->log, &rows);
    vec_clear(&places->all);
    storage_raise_rows(places, &rows);
    buf_deinit(&rows);
}

void storage_doubt(struct storage *storage, struct replicate_places *doubt)
{
    struct storage_intake *intake = storage->intake;
    pthread_mutex_lock(&intake->lock);
    replicate_places_copy(doubt, &intake->receiver.doubt);
    pthread_mutex_unlock(&intake->lock);
}

/* ---- needs ---- */

/* How long a well keeps anything; 0: for ever. */
static int64_t oldest_kept(const struct storage *storage, const struct storage_slot *slot)
{
    return slot->retention.hot_ns > 0 ? io_now_ns(storage->io) - slot->retention.hot_ns : INT64_MIN;
}

int64_t storage_well_keeps_since(struct storage *storage, size_t index)
{
    const struct storage_slot *slot = &storage->slots.items[index];
    struct well_stats stats = well_stats(slot->well);
    int64_t kept_ns = oldest_kept(storage, slot);
    bool drops = stats.dropped_entries + stats.dropped_points > 0 || slot->memory_bytes_max > 0 ||
                 slot->retention.bytes_max > 0;
    return drops && stats.oldest_ns != TIME_UNSET ? MAX(kept_ns, stats.oldest_ns) : kept_ns;
}

int64_t storage_horizon(struct storage *storage)
{
    int64_t horizon_ns = INT64_MIN;
    for (size_t i = 0; i < storage->slots.count; i++) {
        int64_t kept_ns = storage_well_keeps_since(storage, i);
        horizon_ns = MAX(horizon_ns, kept_ns);
    }
    return horizon_ns;
}

static int64_t keeps_since(const struct storage *storage)
{
    int64_t since_ns = INT64_MAX;
    for (size_t i = 0; i < storage->slots.count; i++) {
        since_ns = MIN(since_ns, oldest_kept(storage, &storage->slots.items[i]));
    }
    return since_ns;
}

struct replicate_needs storage_needs(struct storage *storage)
{
    struct storage_intake *intake = storage->intake;
    struct replicate_needs needs = {.since_ns = keeps_since(storage)};
    pthread_mutex_lock(&intake->lock);
    needs.missing_ns = intake->missing_ns;
    needs.missing_end_ns = intake->missing_end_ns;
    pthread_mutex_unlock(&intake->lock);
    return needs;
}

static void add_need(struct storage_intake *intake, int64_t start_ns, int64_t end_ns)
{
    bool none = intake->missing_ns >= intake->missing_end_ns;
    intake->missing_ns = none ? start_ns : MIN(intake->missing_ns, start_ns);
    intake->missing_end_ns = none ? end_ns : MAX(intake->missing_end_ns, end_ns);
    intake->needs_version++;
}

void storage_need(struct storage *storage, int64_t start_ns, int64_t end_ns)
{
    struct storage_intake *intake = storage->intake;
    pthread_mutex_lock(&intake->lock);
    add_need(intake, start_ns, end_ns);
    pthread_mutex_unlock(&intake->lock);
}

void storage_need_nothing(struct storage *storage)
{
    struct storage_intake *intake = storage->intake;
    pthread_mutex_lock(&intake->lock);
    intake->missing_ns = intake->missing_end_ns = 0;
    pthread_mutex_unlock(&intake->lock);
}

uint64_t storage_needs_version(struct storage *storage)
{
    struct storage_intake *intake = storage->intake;
    pthread_mutex_lock(&intake->lock);
    uint64_t version = intake->needs_version;
    pthread_mutex_unlock(&intake->lock);
    return version;
}

/* Memory wells have of the time before what the log still had. */
static void need_what_memory_lost(struct storage *storage)
{
    for (size_t i = 0; i < storage->slots.count; i++) {
        const struct storage_slot *slot = &storage->slots.items[i];
        if (slot->memory_bytes_max > 0) {
            storage_need(storage, oldest_kept(storage, slot), INT64_MAX);
        }
    }
}

/* What the snapshot had to say about what was missing is here. Under the lock. */
static void settle_missing(struct storage_intake *intake)
{
    const struct replicate_needs *serves = &intake->serves;
    if (serves->missing_ns < serves->missing_end_ns &&
        serves->missing_end_ns >= intake->missing_end_ns) {
        int64_t reached_ns = MAX(intake->horizon_ns, serves->missing_ns);
        intake->missing_end_ns = MIN(intake->missing_end_ns, reached_ns);
    }
}

/* A snapshot that moves places says that all before them is here, but its sender did not have what
 * lies further back in time: others are asked for that. Under the lock. */
static void need_what_it_lacked(struct storage *storage, int64_t since_ns)
{
    struct storage_intake *intake = storage->intake;
    bool moves = !replicate_places_cover(&intake->receiver.before, &intake->receiver.coming);
    if (moves && since_ns < INT64_MAX - HORIZON_SLACK_NS &&
        intake->horizon_ns > since_ns + HORIZON_SLACK_NS) {
        add_need(intake, since_ns, intake->horizon_ns);
    }
}

/* ---- what is in doubt ---- */

static int write_doubt(struct storage *storage)
{
    const struct storage_intake *intake = storage->intake;
    struct buf places = {0};
    struct buf text = {0};
    replicate_places_write(&places, &intake->receiver.doubt);
    buf_append_str(&text, MAGIC);
    wire_put_u32(&text, hash32(buf_span(&places)));
    buf_append(&text, buf_span(&places));
    int rc = io_write_file(storage->io, intake->path, buf_span(&text));
    buf_deinit(&places);
    buf_deinit(&text);
    return rc < 0 ? err_wrap(rc, "what a snapshot brings in doubt") : 0;
}

static int parse_doubt(struct span text, struct replicate_places *doubt)
{
    if (!span_starts_with(text, SPAN_LIT(MAGIC)) || text.bytes < strlen(MAGIC) + 4 ||
        wire_load_u32(text.data + strlen(MAGIC)) != hash32(span_from(text, strlen(MAGIC) + 4))) {
        return ERR_CORRUPT;
    }
    struct wire_reader reader = wire_reader_of(span_from(text, strlen(MAGIC) + 4));
    return replicate_places_read(&reader, doubt);
}

static int read_doubt(struct storage *storage)
{
    struct storage_intake *intake = storage->intake;
    struct buf text = {0};
    int rc = io_exists(storage->io, intake->path)
                 ? io_read_file(storage->io, intake->path, FILE_BYTES_MAX, &text)
                 : ERR_NOT_FOUND;
    if (rc == 0 && parse_doubt(buf_span(&text), &intake->receiver.doubt) < 0) {
        vec_clear(&intake->receiver.doubt.all);
        storage->damage++;
        storage_report(storage, "%s is damaged: what an earlier snapshot brought may come twice",
                       intake->path);
    }
    buf_deinit(&text);
    storage_places(storage, &intake->receiver.have);
    replicate_settle_doubt(&intake->receiver);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

int storage_intake_open(struct storage *storage)
{
    struct storage_intake *intake = MEM_NEW(struct storage_intake);
    storage->intake = intake;
    intake->path = mem_printf("%s/snapshot", storage->datalog_dir);
    pthread_mutex_init(&intake->lock, NULL);
    pthread_cond_init(&intake->changed, NULL);
    need_what_memory_lost(storage);
    return read_doubt(storage);
}

void storage_intake_free(struct storage *storage)
{
    struct storage_intake *intake = storage->intake;
    if (intake == NULL) {
        return;
    }
    replicate_receiver_deinit(&intake->receiver);
    pthread_cond_destroy(&intake->changed);
    pthread_mutex_destroy(&intake->lock);
    mem_free(intake->path);
    mem_free(intake);
    storage->intake = NULL;
}

/* ---- records beside it ---- */

int storage_intake_enter(struct storage *storage, const struct storage_received *received)
{
    struct storage_intake *intake = storage->intake;
    int rc = 0;
    pthread_mutex_lock(&intake->lock);
    while (intake->entering) {
        pthread_cond_wait(&intake->changed, &intake->lock);
    }
    uint64_t doubt = replicate_places_of(&intake->receiver.doubt, received->origin).position;
    if (received->origin_position <= doubt &&
        received->origin_position > datalog_origin_position(storage->log, received->origin)) {
        rc = err_set(ERR_UNAVAILABLE,
                     intake->receiver.snapshot
                         ? "a snapshot that is under way brings it too"
                         : "a snapshot that was cut short may have brought it: it needs another");
    } else if (replicate_places_other_form(&intake->receiver.doubt, received->origin)) {
        rc =
            err_set(ERR_CONFLICT, "a snapshot has begun to bring an origin in another form: whole, "
                                  "or through another filter");
    } else {
        intake->in_flight++;
    }
    pthread_mutex_unlock(&intake->lock);
    return rc;
}

void storage_intake_leave(struct storage *storage)
{
    struct storage_intake *intake = storage->intake;
    pthread_mutex_lock(&intake->lock);
    intake->in_flight--;
    if (intake->in_flight == 0) {
        pthread_cond_broadcast(&intake->changed);
    }
    pthread_mutex_unlock(&intake->lock);
}

void storage_settle(struct storage *storage)
{
    uint64_t end = datalog_end(storage->log);
    while (atomic_load(&storage->applied_end) < end) {
        struct timespec moment = {0, 200000};
        nanosleep(&moment, NULL); /* the log's writer is applying it */
    }
}

/* ---- the life of a snapshot ---- */

/* From now on `have` does not move below what is coming. Under the lock. */
static void wait_for_what_is_in_flight(struct storage *storage)
{
    struct storage_intake *intake = storage->intake;
    intake->entering = true;
    while (intake->in_flight > 0) {
        pthread_cond_wait(&intake->changed, &intake->lock);
    }
    storage_places(storage, &intake->receiver.have);
    intake->entering = false;
    pthread_cond_broadcast(&intake->changed);
}

int storage_intake_begin(struct storage *storage, const struct replicate_message *begin)
{
    struct storage_intake *intake = storage->intake;
    int rc = STORAGE_INTAKE_BUSY;
    pthread_mutex_lock(&intake->lock);
    if (!intake->receiver.snapshot && !intake->entering) {
        wait_for_what_is_in_flight(storage);
        CHECK(replicate_snapshot_begin(&intake->receiver, &begin->places, &begin->doubt));
        intake->serves = begin->needs;
        intake->horizon_ns = begin->horizon_ns;
        rc = write_doubt(storage);
        if (rc < 0) {
            replicate_snapshot_drop(&intake->receiver);
        }
    }
    pthread_mutex_unlock(&intake->lock);
    return rc;
}

void storage_intake_drop(struct storage *storage)
{
    pthread_mutex_lock(&storage->intake->lock);
    replicate_snapshot_drop(&storage->intake->receiver);
    pthread_mutex_unlock(&storage->intake->lock);
}

/* What it brought is on the disk, as far as the wells are. */
static int make_durable(struct storage *storage)
{
    int rc = storage_flush(storage);
    pthread_mutex_lock(&storage->flushing);
    if (rc == 0) {
        rc = storage_deletes_write(storage);
    }
    if (rc == 0) {
        rc = series_catalogue_checkpoint(storage->catalogue, atomic_load(&storage->applied_end));
    }
    pthread_mutex_unlock(&storage->flushing);
    return rc;
}

static int advance(struct storage *storage)
{
    const struct replicate_places *coming = &storage->intake->receiver.coming;
    size_t count = coming->all.count;
    struct datalog_origin_position *rows = mem_alloc_array(MAX(count, (size_t)1), sizeof(*rows));
    size_t higher = 0;
    for (size_t i = 0; i < count; i++) {
        const struct replicate_place *place = &coming->all.items[i];
        if (datalog_origin_position(storage->log, place->origin) < place->position) {
            rows[higher++] =
                (struct datalog_origin_position){place->origin, place->position, place->time};
        }
    }
    int rc = datalog_origins_advance(storage->log, rows, higher);
    mem_free(rows);
    return rc;
}

int storage_intake_end(struct storage *storage)
{
    struct storage_intake *intake = storage->intake;
    int rc = make_durable(storage);
    rc = rc < 0 ? rc : advance(storage);
    if (rc < 0) {
        return err_wrap(rc, "the end of a snapshot");
    }
    int64_t since_ns = keeps_since(storage);
    pthread_mutex_lock(&intake->lock);
    settle_missing(intake);
    need_what_it_lacked(storage, since_ns);
    replicate_snapshot_end(&intake->receiver);
    rc = write_doubt(storage);
    pthread_mutex_unlock(&intake->lock);
    return rc;
}

int storage_origin(struct storage *storage, struct datalog_origin origin, uint16_t *ret_number)
{
    struct series_origin of = {origin.node, origin.incarnation};
    return series_origins_put(storage->origins, &of, ret_number);
}

int64_t storage_now_ns(const struct storage *storage)
{
    return io_now_ns(storage->io);
}

/* ---- entries ---- */

bool storage_intake_is_other(const struct storage *storage, struct stamp stamp)
{
    struct series_origin origin;
    return series_origins_get(storage->origins, stamp.origin, &origin) &&
           replicate_snapshot_is_other(&storage->intake->receiver,
                                       (struct datalog_origin){origin.node, origin.incarnation});
}

static enum replicate_wish wish_of(const struct storage *storage, int64_t time_ns,
                                   struct stamp stamp)
{
    const struct storage_intake *intake = storage->intake;
    struct series_origin origin;
    if (!series_origins_get(storage->origins, stamp.origin, &origin)) {
        return REPLICATE_LOOK;
    }
    struct datalog_origin of = {origin.node, origin.incarnation};
    enum replicate_wish wish = replicate_snapshot_wish(&intake->receiver, of, stamp.time);
    bool may_miss = time_ns >= intake->serves.missing_ns && time_ns < intake->serves.missing_end_ns;
    bool looks = wish == REPLICATE_HELD && may_miss && !storage_intake_is_other(storage, stamp);
    return looks ? REPLICATE_LOOK : wish;
}

/* An entry that may be here. */
struct looked {
    int64_t time_ns;
    uint64_t hash;
    size_t index;
    size_t found; /* of the first of its like: how many of them are here */
};

static int compare_looked(const void *left, const void *right)
{
    const struct looked *a = left;
    const struct looked *b = right;
    if (a->time_ns != b->time_ns) {
        return a->time_ns < b->time_ns ? -1 : 1;
    }
    return a->hash < b->hash ? -1 : a->hash > b->hash;
}

struct looking {
    VEC(struct looked) items; /* sorted */
    VEC(uint16_t) tags;
};

/* One that is here: of those like it one more is not taken. */
static void note_found(struct looking *looking, const struct looked *here, bool *takes)
{
    size_t low = 0;
    size_t high = looking->items.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare_looked(&looking->items.items[middle], here) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == looking->items.count || compare_looked(&looking->items.items[low], here) != 0) {
        return;
    }
    struct looked *first = &looking->items.items[low];
    size_t next = low + first->found;
    if (next < looking->items.count && compare_looked(&looking->items.items[next], here) == 0) {
        first->found++;
        takes[looking->items.items[next].index] = false;
    }
}

static int look(struct storage *storage, struct looking *looking, bool *takes)
{
    qsort(looking->items.items, looking->items.count, sizeof(*looking->items.items),
          compare_looked);
    int64_t last_ns = looking->items.items[looking->items.count - 1].time_ns;
    struct well_scan scan = {
        .start_ns = looking->items.items[0].time_ns,
        .end_ns = last_ns < INT64_MAX ? last_ns + 1 : last_ns,
        .tags = looking->tags.items,
        .tags_count = looking->tags.count,
    };
    struct well_cursor *cursor = NULL;
    struct well_block block;
    int rc = storage_scan(storage, &scan, &cursor);
    while (rc == 0 && (rc = well_cursor_next(cursor, &block)) == 0) {
        for (size_t i = 0; i < block.count; i++) {
            const struct entry *entry = &block.entries[i];
            struct looked here = {.time_ns = entry->time_ns, .hash = entry_hash(storage, entry, 0)};
            note_found(looking, &here, takes);
        }
    }
    well_cursor_close(&cursor);
    return MIN(rc, 0);
}

/* Which of them are not here. */
static int choose(struct storage *storage, const struct entry *entries, size_t count, bool *takes)
{
    struct looking looking = {0};
    int rc = 0;
    for (size_t i = 0; i < count; i++) {
        enum replicate_wish wish = wish_of(storage, entries[i].time_ns, entries[i].stamp);
        takes[i] = wish != REPLICATE_HELD;
        if (wish == REPLICATE_LOOK) {
            struct looked looked = {.time_ns = entries[i].time_ns,
                                    .hash = entry_hash(storage, &entries[i], 0),
                                    .index = i};
            vec_push(&looking.items, looked);
            size_t known = looking.tags.count;
            if (known == 0 || looking.tags.items[known - 1] != entries[i].tag) {
                vec_push(&looking.tags, entries[i].tag);
            }
        }
    }
    if (looking.items.count > 0) {
        rc = look(storage, &looking, takes);
    }
    vec_deinit(&looking.items);
    vec_deinit(&looking.tags);
    return rc;
}

/* In memory what is written now is not to give way to what was. */
static bool has_room(const struct storage_slot *slot, uint64_t bytes)
{
    return slot->memory_bytes_max == 0 ||
           well_stats(slot->well).memtable_bytes + bytes < slot->memory_bytes_max;
}

static int apply_entries(struct storage *storage, size_t slot_index, const struct entry *entries,
                         const bool *takes, size_t count)
{
    const struct storage_slot *slot = &storage->slots.items[slot_index];
    int64_t oldest_ns = oldest_kept(storage, slot);
    VEC(struct entry) own = {0};
    VEC(struct stamp) stamps = {0};
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (takes[i] && entries[i].time_ns >= oldest_ns &&
            storage_route(storage, entries[i].tag) == slot_index) {
            vec_push(&own, entries[i]);
            vec_push(&stamps, entries[i].stamp);
            bytes += entries_bytes(&entries[i]);
        }
    }
    int rc = 0;
    if (own.count > 0 && has_room(slot, bytes)) {
        struct buf run = {0};
        rc = storage_admit(storage, bytes);
        if (rc == 0) {
            entries_encode(&run, own.items, own.count, storage_name_of, storage->tags);
            rc = well_apply_stamped(slot->well, &run, stamps.items);
        }
        buf_deinit(&run);
    }
    vec_deinit(&own);
    vec_deinit(&stamps);
    return rc;
}

int storage_intake_entries(struct storage *storage, const struct entry *entries, size_t count)
{
    bool *takes = mem_alloc_array(MAX(count, (size_t)1), sizeof(bool));
    int rc = choose(storage, entries, count, takes);
    for (size_t slot = 0; rc == 0 && slot < storage->slots.count; slot++) {
        rc = apply_entries(storage, slot, entries, takes, count);
    }
    mem_free(takes);
    return rc;
}

/* ---- points ---- */

/* Definitions of series that no record of this log defines yet. */
static int define(struct storage *storage, const struct storage_points *points, size_t count)
{
    struct storage_append *append;
    int rc = storage_append_new(storage, NULL, NULL, NULL, &append);
    if (rc < 0) {
        return rc;
    }
    struct storage_record *record = storage_append_record(append, DATALOG_SERIES);
    struct buf key = {0};
    series_definitions_begin(&record->payload);
    for (size_t i = 0; i < count; i++) {
        buf_clear(&key);
        if (!series_catalogue_is_logged(storage->catalogue, points[i].series) &&
            series_catalogue_key(storage->catalogue, points[i].series, &key)) {
            struct series_definition definition = {points[i].series, buf_span(&key)};
            series_definitions_put(&record->payload, &definition);
            vec_push(&record->defined, points[i].series);
        }
    }
    buf_deinit(&key);
    if (record->defined.count == 0) {
        storage_append_free(&append);
        return 0;
    }
    struct storage_waiter waiter = STORAGE_WAITER;
    record->submission.payload = buf_span(&record->payload);
    append->done = storage_wake;
    append->context = &waiter;
    return storage_wait(&waiter, storage_append_submit(&append));
}

typedef VEC(struct stamp) stamps_vec;
typedef VEC(struct element) elements_of_slot;

/* Of one series what is new; adds it to the run and says how new the series is. */
static void put_series(struct storage *storage, const struct storage_slot *slot,
                       const struct storage_points *points, struct buf *run, stamps_vec *stamps)
{
    int64_t oldest_ns = oldest_kept(storage, slot);
    elements_of_slot own = {0};
    struct stamp newest = {0};
    for (size_t i = 0; i < points->count; i++) {
        const struct element *element = &points->elements[i];
        if (element->time_ns >= oldest_ns &&
            wish_of(storage, element->time_ns, element->stamp) != REPLICATE_HELD) {
            vec_push(&own, *element);
            vec_push(stamps, element->stamp);
            newest = element->stamp.time > newest.time ? element->stamp : newest;
        }
    }
    if (own.count > 0) {
        if (run->bytes == 0) {
            points_record_begin(run);
        }
        points_record_put(run, 0, points->series, own.items, own.count);
        series_catalogue_touch(storage->catalogue, &points->series, 1, newest);
    }
    vec_deinit(&own);
}

static int apply_points(struct storage *storage, size_t slot_index,
                        const struct storage_points *points, size_t count)
{
    const struct storage_slot *slot = &storage->slots.items[slot_index];
    struct buf run = {0};
    stamps_vec stamps = {0};
    for (size_t i = 0; i < count; i++) {
        if (storage_route_series(storage, points[i].series) == slot_index) {
            put_series(storage, slot, &points[i], &run, &stamps);
        }
    }
    int rc = 0;
    if (run.bytes > 0 && has_room(slot, run.bytes)) {
        rc = storage_admit(storage, run.bytes);
        if (rc == 0) {
            rc = well_apply_points_stamped(slot->well, &run, stamps.items);
        }
    }
    buf_deinit(&run);
    vec_deinit(&stamps);
    return rc;
}

int storage_intake_points(struct storage *storage, const struct storage_points *points,
                          size_t count)
{
    int rc = define(storage, points, count);
    for (size_t slot = 0; rc == 0 && slot < storage->slots.count; slot++) {
        rc = apply_points(storage, slot, points, count);
    }
    return rc;
}

/* ---- attributes ---- */

int storage_intake_meta(struct storage *storage, struct span metas, struct stamp stamp)
{
    return storage_intake_is_other(storage, stamp)
               ? 0
               : series_catalogue_apply_meta(storage->catalogue, metas, stamp);
}
