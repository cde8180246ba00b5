#include "query/spool.h"

#include "base/mem.h"
#include "base/wire.h"

#define BATCH_BYTES 256 /* beside its entries */

void query_spool_init(struct query_spool *spool, struct query_scratch *scratch)
{
    *spool = (struct query_spool){.read = 0};
    query_holder_init(&spool->holder, scratch);
}

void query_spool_deinit(struct query_spool *spool)
{
    for (size_t i = spool->next; i < spool->batches.count; i++) {
        query_batch_free(&spool->batches.items[i]);
    }
    vec_deinit(&spool->batches);
    query_scratch_close(&spool->file);
    query_holder_deinit(&spool->holder);
    buf_deinit(&spool->frame);
}

static uint64_t bytes_of(const struct query_batch *batch)
{
    uint64_t bytes = BATCH_BYTES + batch->count * sizeof(struct entry);
    for (size_t i = 0; i < batch->count; i++) {
        bytes += batch->entries[i].data.bytes + batch->entries[i].enumerated.bytes;
    }
    return bytes;
}

static const char *own_name(const void *context, uint16_t tag)
{
    return ((const struct query_batch *)context)->names[tag];
}

static int spill(struct query_spool *spool)
{
    int rc = spool->file == NULL ? query_scratch_open(spool->holder.scratch, &spool->file) : 0;
    for (size_t i = 0; i < spool->batches.count && rc == 0; i++) {
        struct query_batch *batch = spool->batches.items[i];
        buf_clear(&spool->frame);
        query_batch_put(&spool->frame, batch->entries, NULL, batch->count, own_name, batch);
        rc = query_scratch_write(spool->file, buf_span(&spool->frame));
    }
    for (size_t i = 0; i < spool->batches.count; i++) {
        query_batch_free(&spool->batches.items[i]);
    }
    vec_clear(&spool->batches);
    query_holder_clear(&spool->holder);
    return rc;
}

int query_spool_add(struct query_spool *spool, struct query_batch **batch)
{
    query_holder_add(&spool->holder, (int64_t)bytes_of(*batch));
    vec_push(&spool->batches, *batch);
    *batch = NULL;
    return query_holder_must_spill(&spool->holder) ? spill(spool) : 0;
}

static int read_frame(struct query_spool *spool, struct query_batch **ret_batch)
{
    uint8_t header[QUERY_FRAME_HEADER_BYTES];
    struct query_frame frame;
    int rc = query_scratch_read(spool->file, spool->read, header, sizeof(header));
    if (rc < 0) {
        return rc;
    }
    size_t bytes = sizeof(header) + wire_load_u32(header + 8);
    buf_clear(&spool->frame);
    uint8_t *to = buf_reserve(&spool->frame, bytes);
    rc = query_scratch_read(spool->file, spool->read, to, bytes);
    struct span rest = span_of(to, bytes);
    rc = rc < 0 ? rc : query_frame_get(&rest, &frame);
    if (rc != 0) {
        return rc < 0 ? rc : err_set(ERR_CORRUPT, "Search-Scratch: a batch is cut short");
    }
    CHECK(frame.kind == QUERY_FRAME_ENTRIES);
    spool->read += bytes;
    *ret_batch = frame.batch;
    return 0;
}

int query_spool_next(struct query_spool *spool, struct query_batch **ret_batch)
{
    if (spool->file != NULL && spool->read < query_scratch_file_bytes(spool->file)) {
        return read_frame(spool, ret_batch);
    }
    if (spool->next == spool->batches.count) {
        return QUERY_SPOOL_END;
    }
    *ret_batch = spool->batches.items[spool->next++];
    query_holder_add(&spool->holder, -(int64_t)MIN(bytes_of(*ret_batch), spool->holder.bytes));
    return 0;
}
