/*
 * A submission on its way: records into the log, then what they bring into wells and catalogue.
 * Tested by storage_test.c.
 */
#include <stdio.h>

#include "base/mem.h"
#include "datalog/parts.h"
#include "indexer/storage_intake.h"
#include "indexer/storage_internal.h"

int storage_append_new(struct storage *storage, const struct storage_received *received,
                       storage_done done, void *context, struct storage_append **ret_append)
{
    uint16_t origin = storage->origin;
    if (received != NULL) {
        struct series_origin of = {received->origin.node, received->origin.incarnation};
        int rc = series_origins_put(storage->origins, &of, &origin);
        rc = rc < 0 ? rc : storage_intake_enter(storage, received);
        if (rc < 0) {
            return rc;
        }
    }
    struct storage_append *append = MEM_NEW(struct storage_append);
    append->storage = storage;
    append->done = done;
    append->context = context;
    append->origin = origin;
    append->is_received = received != NULL;
    if (received != NULL) {
        append->received = *received;
    }
    *ret_append = append;
    return 0;
}

static void record_free(struct storage_record *record)
{
    for (size_t i = 0; i < record->runs.count; i++) {
        buf_deinit(&record->runs.items[i].payload);
    }
    for (size_t i = 0; i < record->restored.count; i++) {
        tombstone_unref(&record->restored.items[i]);
    }
    vec_deinit(&record->runs);
    vec_deinit(&record->restored);
    vec_deinit(&record->defined);
    buf_deinit(&record->payload);
    mem_free(record);
}

void storage_append_free(struct storage_append **place)
{
    struct storage_append *append = *place;
    *place = NULL;
    for (size_t i = 0; i < append->records.count; i++) {
        record_free(append->records.items[i]);
    }
    if (append->is_received) {
        storage_intake_leave(append->storage);
    }
    vec_deinit(&append->records);
    mem_free(append);
}

struct storage_record *storage_append_record(struct storage_append *append, enum datalog_type type)
{
    struct storage_record *record = MEM_NEW(struct storage_record);
    record->append = append;
    record->submission.type = type;
    vec_push(&append->records, record);
    return record;
}

struct storage_run *storage_append_run(struct storage_append *append, enum datalog_type type,
                                       size_t slot)
{
    struct storage_record *record =
        append->records.count > 0 ? append->records.items[append->records.count - 1] : NULL;
    if (!append->is_received || record == NULL || record->submission.type != type) {
        record = storage_append_record(append, type);
    }
    vec_push(&record->runs, (struct storage_run){.slot = slot});
    return &record->runs.items[record->runs.count - 1];
}

/* A full log is a state, which the next append that succeeds ends. Both are said once. What fails
 * otherwise, or was not to be written, says nothing of it. */
static void note_log(struct storage *storage, int rc)
{
    bool full = rc == ERR_NO_SPACE;
    if (rc != 0 && !full) {
        return;
    }
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

static void leave(struct storage *storage)
{
    pthread_mutex_lock(&storage->lock);
    storage->in_flight--;
    pthread_cond_broadcast(&storage->changed);
    pthread_mutex_unlock(&storage->lock);
}

static void finish_append(struct storage_append *append)
{
    struct storage *storage = append->storage;
    if (append->rc < 0) {
        (void)err_set((enum err)append->rc, "%s", append->text);
    }
    append->done(append->context, append->rc);
    storage_append_free(&append);
    leave(storage);
}

static void apply_run(struct storage *storage, struct storage_record *record,
                      struct storage_run *run, struct stamp stamp)
{
    struct well *well = storage->slots.items[run->slot].well;
    uint64_t position = record->submission.position;
    int rc;
    if (record->submission.type == DATALOG_POINTS) {
        storage_touch(storage, buf_span(&run->payload), stamp);
        rc = well_apply_points(well, &run->payload, position, stamp);
    } else {
        rc = well_apply(well, &run->payload, position, stamp);
    }
    CHECK(rc == 0); /* we encoded it ourselves */
    atomic_fetch_add(&storage->entries_accepted, run->entries);
    atomic_fetch_add(&storage->points_accepted, run->points);
    atomic_fetch_add(&storage->bytes_accepted, run->data_bytes);
    if (well_sealed(well) > 0) {
        pthread_mutex_lock(&storage->lock);
        pthread_cond_broadcast(&storage->work);
        pthread_mutex_unlock(&storage->lock);
    }
}

static void apply_record(struct storage *storage, struct storage_record *record)
{
    const struct storage_append *append = record->append;
    struct stamp stamp = {append->is_received ? append->received.time : record->submission.time,
                          append->origin};
    for (size_t i = 0; i < record->runs.count; i++) {
        apply_run(storage, record, &record->runs.items[i], stamp);
    }
    switch (record->submission.type) {
    case DATALOG_SERIES:
        series_catalogue_logged(storage->catalogue, record->defined.items, record->defined.count);
        storage_restore_deletes(storage, record->restored.items, record->restored.count,
                                record->submission.position);
        break;
    case DATALOG_META:
        storage_apply_meta(storage, buf_span(&record->payload), stamp);
        break;
    case DATALOG_DELETE:
        storage_apply_delete(storage, buf_span(&record->payload), record->submission.position,
                             stamp);
        atomic_fetch_add(&storage->deletes_accepted, 1);
        break;
    case DATALOG_UPDATE:
    case DATALOG_POINTS:
        break;
    }
}

/* On the log's writer thread, in the order of positions. What follows a record that failed is not
 * applied: it may need it. */
static void record_done(struct datalog_submission *submission, int rc)
{
    struct storage_record *record = CONTAINER_OF(submission, struct storage_record, submission);
    struct storage_append *append = record->append;
    if (rc != 0 && append->rc == 0) {
        append->rc = rc;
        snprintf(append->text, sizeof(append->text), "%s", rc < 0 ? err_text() : "");
    }
    note_log(append->storage, rc);
    if (rc == 0) {
        if (append->rc == 0) {
            apply_record(append->storage, record);
        }
        atomic_store(&append->storage->applied_end, submission->position + 1);
    }
    if (--append->left == 0) {
        finish_append(append);
    }
}

/* Several wells: the payload has parts. */
static void pack_runs(struct storage *storage, struct storage_record *record)
{
    if (record->runs.count == 1) {
        const struct storage_run *run = &record->runs.items[0];
        record->submission.well = span_of_str(storage->slots.items[run->slot].name);
        record->submission.payload = buf_span(&run->payload);
        return;
    }
    for (size_t i = 0; i < record->runs.count; i++) {
        const struct storage_run *run = &record->runs.items[i];
        datalog_parts_put(&record->payload, span_of_str(storage->slots.items[run->slot].name),
                          buf_span(&run->payload));
    }
    record->submission.payload = buf_span(&record->payload);
}

static void prepare(struct storage_append *append, struct storage_record *record)
{
    pack_runs(append->storage, record);
    record->submission.done = record_done;
    if (append->is_received && (record->submission.type != DATALOG_SERIES || record->is_theirs)) {
        record->received = (struct datalog_record){
            .origin = append->received.origin,
            .origin_position = append->received.origin_position,
            .time = append->received.time,
            .type = record->submission.type,
            .well = record->submission.well,
            .payload = record->submission.payload,
        };
        record->submission.received = &record->received;
        record->submission.after = append->received.after;
    }
}

int storage_append_submit(struct storage_append **place)
{
    struct storage_append *append = *place;
    struct storage *storage = append->storage;
    *place = NULL;
    append->left = append->records.count;
    for (size_t i = 0; i < append->records.count; i++) {
        struct storage_record *record = append->records.items[i];
        prepare(append, record);
        record->submission.next =
            i + 1 < append->records.count ? &append->records.items[i + 1]->submission : NULL;
    }
    pthread_mutex_lock(&storage->lock);
    storage->in_flight++;
    pthread_mutex_unlock(&storage->lock);
    int rc = datalog_submit(storage->log, &append->records.items[0]->submission);
    if (rc < 0) {
        storage_append_free(&append);
        leave(storage);
    }
    return rc;
}

void storage_wake(void *context, int rc)
{
    struct storage_waiter *waiter = context;
    pthread_mutex_lock(&waiter->lock);
    waiter->rc = rc;
    snprintf(waiter->text, sizeof(waiter->text), "%s", rc < 0 ? err_text() : "");
    waiter->is_done = true;
    pthread_cond_signal(&waiter->finished);
    pthread_mutex_unlock(&waiter->lock);
}

int storage_wait(struct storage_waiter *waiter, int submit_rc)
{
    if (submit_rc < 0) {
        return submit_rc;
    }
    pthread_mutex_lock(&waiter->lock);
    while (!waiter->is_done) {
        pthread_cond_wait(&waiter->finished, &waiter->lock);
    }
    pthread_mutex_unlock(&waiter->lock);
    pthread_mutex_destroy(&waiter->lock);
    pthread_cond_destroy(&waiter->finished);
    return waiter->rc < 0 ? err_set((enum err)waiter->rc, "%s", waiter->text) : waiter->rc;
}
