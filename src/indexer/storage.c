#include "indexer/storage.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "datalog/cursor.h"
#include "indexer/storage_internal.h"

/* One record of a submission on its way through the log. */
struct part {
    struct datalog_submission submission;
    struct append *append;
    struct buf run;
    size_t slot;
    uint64_t entries;
    uint64_t data_bytes;
};

/* A submission: done() is called when its last part is. */
struct append {
    struct storage *storage;
    storage_done done;
    void *context;
    size_t left; /* parts not completed */
    int rc;
    char text[ERR_TEXT_BYTES_MAX];
    VEC(struct part) parts; /* does not grow once submitted */
};

void storage_report(struct storage *storage, const char *format, ...)
{
    if (storage->report == NULL) {
        return;
    }
    struct buf text = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    storage->report(storage->report_context, buf_str(&text));
    buf_deinit(&text);
}

struct span storage_name_of(void *context, uint16_t tag)
{
    return series_tags_name(context, tag);
}

static bool slot_has_exact(const struct storage_slot *slot, struct span name)
{
    for (size_t i = 0; i < slot->tags.count; i++) {
        if (span_equal_str(name, slot->tags.items[i])) {
            return true;
        }
    }
    return false;
}

static const char *slot_glob(const struct storage_slot *slot, struct span name)
{
    for (size_t i = 0; i < slot->tags.count; i++) {
        struct span pattern = span_of_str(slot->tags.items[i]);
        if (text_is_glob(pattern) && text_glob(pattern, name)) {
            return slot->tags.items[i];
        }
    }
    return NULL;
}

/* Exact names beat globs; of several globs the first one counts, and somebody is told. */
static size_t find_route(struct storage *storage, struct span name)
{
    for (size_t i = 0; i < storage->slots.count; i++) {
        if (slot_has_exact(&storage->slots.items[i], name)) {
            return i;
        }
    }
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < storage->slots.count; i++) {
        const char *glob = slot_glob(&storage->slots.items[i], name);
        if (glob != NULL && found != SIZE_MAX) {
            storage_report(storage,
                           "tag %.*s is matched by wells %s and %s (by \"%s\"); it goes to %s",
                           SPAN_ARG(name), storage->slots.items[found].name,
                           storage->slots.items[i].name, glob, storage->slots.items[found].name);
        } else if (glob != NULL) {
            found = i;
        }
    }
    return found == SIZE_MAX ? storage->default_slot : found;
}

size_t storage_route(struct storage *storage, uint16_t tag)
{
    uint32_t route = atomic_load_explicit(&storage->routes[tag], memory_order_relaxed);
    if (route > 0) {
        return route - 1;
    }
    struct span name = series_tags_name(storage->tags, tag);
    if (name.bytes == 0) {
        return storage->default_slot;
    }
    size_t slot = find_route(storage, name);
    atomic_store_explicit(&storage->routes[tag], (uint32_t)slot + 1, memory_order_relaxed);
    return slot;
}

static void encode_part(struct append *append, size_t slot, const struct entry *entries,
                        size_t count, size_t bytes)
{
    struct part part = {.append = append, .slot = slot, .entries = count};
    for (size_t i = 0; i < count; i++) {
        part.data_bytes += entries[i].data.bytes;
    }
    (void)buf_reserve(&part.run, bytes + 64);
    entries_encode(&part.run, entries, count, storage_name_of, append->storage->tags);
    vec_push(&append->parts, part);
}

/* Cuts entries of one well into records. */
static void encode_entries(struct append *append, size_t slot, const struct entry *entries,
                           size_t count)
{
    size_t from = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        size_t more = entries_bytes(&entries[i]);
        if (i > from && bytes + more > STORAGE_RECORD_BYTES_TARGET) {
            encode_part(append, slot, entries + from, i - from, bytes);
            from = i;
            bytes = 0;
        }
        bytes += more;
    }
    if (count > from) {
        encode_part(append, slot, entries + from, count - from, bytes);
    }
}

static void encode_mixed(struct append *append, const struct entry *entries, size_t count)
{
    struct storage *storage = append->storage;
    VEC(struct entry) own = {0};
    for (size_t slot = 0; slot < storage->slots.count; slot++) {
        vec_clear(&own);
        for (size_t i = 0; i < count; i++) {
            if (storage_route(storage, entries[i].tag) == slot) {
                vec_push(&own, entries[i]);
            }
        }
        encode_entries(append, slot, own.items, own.count);
    }
    vec_deinit(&own);
}

static void encode(struct append *append, const struct entry *entries, size_t count)
{
    size_t slot = storage_route(append->storage, entries[0].tag);
    for (size_t i = 1; i < count; i++) {
        if (storage_route(append->storage, entries[i].tag) != slot) {
            encode_mixed(append, entries, count);
            return;
        }
    }
    encode_entries(append, slot, entries, count);
}

static void append_free(struct append *append)
{
    for (size_t i = 0; i < append->parts.count; i++) {
        buf_deinit(&append->parts.items[i].run);
    }
    vec_deinit(&append->parts);
    mem_free(append);
}

/* A full log is a state, which the next append that succeeds ends. Both are said once. */
static void note_log(struct storage *storage, int rc)
{
    bool full = rc == ERR_NO_SPACE;
    pthread_mutex_lock(&storage->lock);
    bool change = full != storage->log_full_told;
    storage->log_full = full;
    storage->log_full_told = full;
    if (full) {
        snprintf(storage->log_text, sizeof(storage->log_text), "%s", err_text());
    }
    pthread_mutex_unlock(&storage->lock);
    if (change && full) {
        storage_report(storage, "ingest stopped: disk full: %s", err_text());
    } else if (change) {
        storage_report(storage, "ingest resumed: there is room again");
    }
}

static void finish_append(struct append *append)
{
    struct storage *storage = append->storage;
    if (append->rc < 0) {
        (void)err_set((enum err)append->rc, "%s", append->text);
    }
    append->done(append->context, append->rc);
    append_free(append);
    pthread_mutex_lock(&storage->lock);
    storage->in_flight--;
    pthread_cond_broadcast(&storage->changed);
    pthread_mutex_unlock(&storage->lock);
}

static void apply_part(struct storage *storage, struct part *part)
{
    struct well *well = storage->slots.items[part->slot].well;
    int rc = well_apply(well, &part->run, part->submission.position);
    CHECK(rc == 0); /* we encoded it ourselves */
    atomic_store(&storage->applied_end, part->submission.position + 1);
    atomic_fetch_add(&storage->entries_accepted, part->entries);
    atomic_fetch_add(&storage->bytes_accepted, part->data_bytes);
    if (well_sealed(well) > 0) {
        pthread_mutex_lock(&storage->lock);
        pthread_cond_broadcast(&storage->work);
        pthread_mutex_unlock(&storage->lock);
    }
}

/* On the log's writer thread, in the order of positions. */
static void part_done(struct datalog_submission *submission, int rc)
{
    struct part *part = CONTAINER_OF(submission, struct part, submission);
    struct append *append = part->append;
    if (rc < 0 && append->rc == 0) {
        append->rc = rc;
        snprintf(append->text, sizeof(append->text), "%s", err_text());
    }
    note_log(append->storage, rc);
    if (rc == 0) {
        apply_part(append->storage, part);
    }
    if (--append->left == 0) {
        finish_append(append);
    }
}

static int check_entries(struct storage *storage, const struct entry *entries, size_t count,
                         uint64_t *ret_bytes)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (entries[i].data.bytes > ENTRY_DATA_BYTES_MAX) {
            return err_set(ERR_TOO_LARGE, "an entry of %zu bytes, at most %u are stored",
                           entries[i].data.bytes, ENTRY_DATA_BYTES_MAX);
        }
        bytes += entries_bytes(&entries[i]);
        if (atomic_load_explicit(&storage->routes[entries[i].tag], memory_order_relaxed) == 0 &&
            series_tags_name(storage->tags, entries[i].tag).bytes == 0) {
            return err_set(ERR_INVALID, "an entry has tag %u, which nobody made", entries[i].tag);
        }
    }
    *ret_bytes = bytes;
    return 0;
}

static void link_parts(struct append *append)
{
    append->left = append->parts.count;
    for (size_t i = 0; i < append->parts.count; i++) {
        struct part *part = &append->parts.items[i];
        part->submission = (struct datalog_submission){
            .type = DATALOG_UPDATE,
            .well = span_of_str(append->storage->slots.items[part->slot].name),
            .payload = buf_span(&part->run),
            .done = part_done,
            .next = i + 1 < append->parts.count ? &append->parts.items[i + 1].submission : NULL,
        };
    }
}

int storage_submit(struct storage *storage, const struct entry *entries, size_t count,
                   storage_done done, void *context)
{
    CHECK(count > 0);
    uint64_t bytes = 0;
    int rc = check_entries(storage, entries, count, &bytes);
    if (rc == 0) {
        rc = storage_admit(storage, bytes);
    }
    if (rc < 0) {
        return rc;
    }
    struct append *append = MEM_NEW(struct append);
    append->storage = storage;
    append->done = done;
    append->context = context;
    encode(append, entries, count);
    link_parts(append);
    pthread_mutex_lock(&storage->lock);
    storage->in_flight++;
    pthread_mutex_unlock(&storage->lock);
    rc = datalog_submit(storage->log, &append->parts.items[0].submission);
    if (rc < 0) {
        append_free(append);
        pthread_mutex_lock(&storage->lock);
        storage->in_flight--;
        pthread_mutex_unlock(&storage->lock);
    }
    return rc;
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t finished;
    bool is_done;
    int rc;
    char text[ERR_TEXT_BYTES_MAX];
};

static void wake_waiter(void *context, int rc)
{
    struct waiter *waiter = context;
    pthread_mutex_lock(&waiter->lock);
    waiter->rc = rc;
    snprintf(waiter->text, sizeof(waiter->text), "%s", rc < 0 ? err_text() : "");
    waiter->is_done = true;
    pthread_cond_signal(&waiter->finished);
    pthread_mutex_unlock(&waiter->lock);
}

int storage_append(struct storage *storage, const struct entry *entries, size_t count)
{
    if (count == 0) {
        return 0;
    }
    struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER,
                            .finished = PTHREAD_COND_INITIALIZER};
    int rc = storage_submit(storage, entries, count, wake_waiter, &waiter);
    if (rc < 0) {
        return rc;
    }
    pthread_mutex_lock(&waiter.lock);
    while (!waiter.is_done) {
        pthread_cond_wait(&waiter.finished, &waiter.lock);
    }
    pthread_mutex_unlock(&waiter.lock);
    pthread_mutex_destroy(&waiter.lock);
    pthread_cond_destroy(&waiter.finished);
    return waiter.rc < 0 ? err_set((enum err)waiter.rc, "%s", waiter.text) : 0;
}

int storage_tags_put(struct storage *storage, const struct span *names, size_t count,
                     uint16_t *ret_tags)
{
    int rc = series_tags_put_many(storage->tags, names, count, ret_tags);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        (void)storage_route(storage, ret_tags[i]);
    }
    return rc;
}

int storage_tag(struct storage *storage, struct span name, uint16_t *ret_tag)
{
    return storage_tags_put(storage, &name, 1, ret_tag);
}

struct series_tags *storage_tags(struct storage *storage)
{
    return storage->tags;
}

/* All wells, for a tag may have moved from one to another. */
int storage_scan(struct storage *storage, const struct well_scan *scan,
                 struct well_cursor **ret_cursor)
{
    struct well **wells = mem_alloc_array(storage->slots.count, sizeof(*wells));
    for (size_t i = 0; i < storage->slots.count; i++) {
        wells[i] = storage->slots.items[i].well;
    }
    int rc = well_cursor_open(wells, storage->slots.count, scan, ret_cursor);
    mem_free(wells);
    return rc;
}

struct storage_stats storage_stats(struct storage *storage)
{
    struct datalog_stats log = datalog_stats(storage->log);
    struct storage_stats stats = {
        .entries_accepted = atomic_load(&storage->entries_accepted),
        .bytes_accepted = atomic_load(&storage->bytes_accepted),
        .entries_replayed = storage->entries_replayed,
        .log_first = log.first,
        .log_end = log.end,
        .log_bytes = log.bytes,
        .log_groups = log.groups,
        .log_cursors = log.cursors,
        .log_detached = log.detached,
        .corrupt = storage->damage + log.damage.corrupt_records + log.damage.cursor_lines,
        .wells = storage->slots.count,
    };
    for (size_t i = 0; i < storage->slots.count; i++) {
        struct well_stats well = well_stats(storage->slots.items[i].well);
        stats.corrupt += well.corrupt_blocks;
        stats.dropped_entries += well.dropped_entries;
        stats.dropped_bytes += well.dropped_bytes;
        stats.dropped_partitions += well.dropped_partitions;
    }
    return stats;
}

int storage_cursors(struct storage *storage,
                    int (*each)(void *context, const struct datalog_cursor_stats *stats),
                    void *context)
{
    return datalog_cursors(storage->log, each, context);
}

const char *storage_well_name(struct storage *storage, size_t index)
{
    CHECK(index < storage->slots.count);
    return storage->slots.items[index].name;
}

struct well_stats storage_well_stats(struct storage *storage, size_t index)
{
    CHECK(index < storage->slots.count);
    return well_stats(storage->slots.items[index].well);
}

struct tag_walk {
    struct storage *storage;
    struct well_tag_stats *counts;
    int (*each)(void *context, uint16_t tag, struct span name, const char *well,
                struct well_tag_stats stats);
    void *context;
};

static int visit_tag(void *context, uint16_t tag, struct span name)
{
    struct tag_walk *walk = context;
    const char *well = walk->storage->slots.items[storage_route(walk->storage, tag)].name;
    return walk->each(walk->context, tag, name, well, walk->counts[tag]);
}

int storage_each_tag(struct storage *storage,
                     int (*each)(void *context, uint16_t tag, struct span name, const char *well,
                                 struct well_tag_stats stats),
                     void *context)
{
    struct tag_walk walk = {storage, mem_alloc_array(UINT16_MAX + 1, sizeof(*walk.counts)), each,
                            context};
    for (size_t i = 0; i < storage->slots.count; i++) {
        well_count_tags(storage->slots.items[i].well, walk.counts);
    }
    int rc = series_tags_each(storage->tags, visit_tag, &walk);
    mem_free(walk.counts);
    return rc;
}
