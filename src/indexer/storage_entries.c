/*
 * Appending entries: which well they go to, how they become records. Tested by storage_test.c.
 */
#include "base/mem.h"
#include "indexer/storage_internal.h"

static void encode_run(struct storage_append *append, size_t slot, const struct entry *entries,
                       size_t count, size_t bytes)
{
    struct storage_run *run = storage_append_run(append, DATALOG_UPDATE, slot);
    run->entries = count;
    for (size_t i = 0; i < count; i++) {
        run->data_bytes += entries[i].data.bytes;
    }
    (void)buf_reserve(&run->payload, bytes + 64);
    entries_encode(&run->payload, entries, count, storage_name_of, append->storage->tags);
}

/* Cuts entries of one well into records; what was received stays one. */
static void encode_entries(struct storage_append *append, size_t slot, const struct entry *entries,
                           size_t count)
{
    size_t from = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        size_t more = entries_bytes(&entries[i]);
        if (i > from && bytes + more > STORAGE_RECORD_BYTES_TARGET && !append->is_received) {
            encode_run(append, slot, entries + from, i - from, bytes);
            from = i;
            bytes = 0;
        }
        bytes += more;
    }
    if (count > from) {
        encode_run(append, slot, entries + from, count - from, bytes);
    }
}

static void encode_mixed(struct storage_append *append, const struct entry *entries, size_t count)
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

static void encode(struct storage_append *append, const struct entry *entries, size_t count)
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

static int submit(struct storage *storage, const struct entry *entries, size_t count,
                  const struct storage_received *received, storage_done done, void *context)
{
    CHECK(count > 0);
    struct storage_append *append;
    uint64_t bytes = 0;
    int rc = check_entries(storage, entries, count, &bytes);
    if (rc == 0) {
        rc = storage_admit(storage, bytes);
    }
    if (rc == 0) {
        rc = storage_append_new(storage, received, done, context, &append);
    }
    if (rc < 0) {
        return rc;
    }
    encode(append, entries, count);
    return storage_append_submit(&append);
}

int storage_submit(struct storage *storage, const struct entry *entries, size_t count,
                   storage_done done, void *context)
{
    return submit(storage, entries, count, NULL, done, context);
}

int storage_submit_received(struct storage *storage, const struct entry *entries, size_t count,
                            const struct storage_received *received, storage_done done,
                            void *context)
{
    return submit(storage, entries, count, received, done, context);
}

int storage_append(struct storage *storage, const struct entry *entries, size_t count)
{
    if (count == 0) {
        return 0;
    }
    struct storage_waiter waiter = STORAGE_WAITER;
    return storage_wait(&waiter, storage_submit(storage, entries, count, storage_wake, &waiter));
}
