#include "query/runs.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/vec.h"
#include "base/wire.h"

#define LENGTH_BYTES 4 /* before each record */

struct run {
    uint64_t begin; /* in the file */
    uint64_t end;
};

/* Of one run, in a merge. */
struct reader {
    uint64_t next; /* in the file: what is not in the buffer yet */
    uint64_t end;
    struct buf bytes;
    size_t at; /* in the buffer: behind the current record */
    struct span record;
};

struct query_runs {
    struct query_scratch *scratch;
    query_records_compare *compare;
    const void *context;
    struct query_scratch_file *file;
    struct buf fresh; /* to be written */
    VEC(struct run) list;
    uint64_t begin; /* of the run that is being written */
    struct reader *readers;
    size_t reader_count;
    struct reader **heap; /* the smallest first */
    size_t heap_count;
    bool merging;
};

struct query_runs *query_runs_new(struct query_scratch *scratch, query_records_compare *compare,
                                  const void *context)
{
    CHECK(scratch != NULL);
    struct query_runs *runs = MEM_NEW(struct query_runs);
    runs->scratch = scratch;
    runs->compare = compare;
    runs->context = context;
    return runs;
}

static void end_merge(struct query_runs *runs)
{
    for (size_t i = 0; i < runs->reader_count; i++) {
        buf_deinit(&runs->readers[i].bytes);
    }
    mem_free(runs->readers);
    mem_free(runs->heap);
    runs->readers = NULL;
    runs->heap = NULL;
    runs->reader_count = runs->heap_count = 0;
    runs->merging = false;
}

void query_runs_free(struct query_runs **place)
{
    struct query_runs *runs = *place;
    *place = NULL;
    if (runs != NULL) {
        end_merge(runs);
        query_scratch_close(&runs->file);
        buf_deinit(&runs->fresh);
        vec_deinit(&runs->list);
        mem_free(runs);
    }
}

/* ── Writing ─────────────────────────────────────────────────────────────────────────────── */

static int write_fresh(struct query_runs *runs)
{
    int rc = runs->file == NULL ? query_scratch_open(runs->scratch, &runs->file) : 0;
    rc = rc < 0 ? rc : query_scratch_write(runs->file, buf_span(&runs->fresh));
    buf_clear(&runs->fresh);
    return rc;
}

int query_runs_put(struct query_runs *runs, struct span record)
{
    CHECK(!runs->merging && record.bytes < QUERY_RECORD_BYTES_MAX);
    wire_put_u32(&runs->fresh, (uint32_t)record.bytes);
    buf_append(&runs->fresh, record);
    return runs->fresh.bytes < query_scratch_chunk(runs->scratch) ? 0 : write_fresh(runs);
}

/* All runs become one, in a file of its own. */
static int merge_all(struct query_runs *runs)
{
    struct query_runs *merged = query_runs_new(runs->scratch, runs->compare, runs->context);
    struct span record;
    int rc;
    while ((rc = query_runs_next(runs, &record)) == 0) {
        rc = query_runs_put(merged, record);
        if (rc < 0) {
            break;
        }
    }
    rc = rc < 0 ? rc : query_runs_end_run(merged);
    if (rc == 0) {
        struct query_runs before = *runs;
        *runs = *merged;
        *merged = before;
    }
    query_runs_free(&merged);
    return rc;
}

int query_runs_end_run(struct query_runs *runs)
{
    int rc = runs->fresh.bytes == 0 ? 0 : write_fresh(runs);
    if (rc < 0 || runs->file == NULL) {
        return rc;
    }
    uint64_t end = query_scratch_file_bytes(runs->file);
    if (end > runs->begin) {
        vec_push(&runs->list, (struct run){runs->begin, end});
        runs->begin = end;
    }
    return runs->list.count < QUERY_RUNS_MAX ? 0 : merge_all(runs);
}

/* ── Merging ─────────────────────────────────────────────────────────────────────────────── */

/* At least `bytes` behind `at`; what the run has. */
static int fill(struct query_runs *runs, struct reader *reader, size_t bytes)
{
    if (reader->bytes.bytes - reader->at >= bytes) {
        return 0;
    }
    buf_consume(&reader->bytes, reader->at);
    reader->at = 0;
    uint64_t more = MAX(query_scratch_chunk(runs->scratch), bytes) - reader->bytes.bytes;
    more = MIN(more, reader->end - reader->next);
    if (reader->bytes.bytes + more < bytes) {
        return err_set(ERR_CORRUPT, "Search-Scratch: a record is cut short");
    }
    uint8_t *to = buf_reserve(&reader->bytes, more);
    int rc = query_scratch_read(runs->file, reader->next, to, more);
    reader->bytes.bytes += rc < 0 ? 0 : more;
    reader->next += more;
    return rc;
}

/* The reader's next record; QUERY_RUNS_END: there is none. */
static int advance(struct query_runs *runs, struct reader *reader)
{
    if (reader->next == reader->end && reader->at == reader->bytes.bytes) {
        return QUERY_RUNS_END;
    }
    int rc = fill(runs, reader, LENGTH_BYTES);
    if (rc == 0) {
        size_t bytes = wire_load_u32(reader->bytes.data + reader->at);
        rc = fill(runs, reader, LENGTH_BYTES + bytes);
        reader->record = span_of(reader->bytes.data + reader->at + LENGTH_BYTES, bytes);
        reader->at += LENGTH_BYTES + bytes;
    }
    return rc;
}

static bool goes_before(const struct query_runs *runs, const struct reader *a,
                        const struct reader *b)
{
    int order = runs->compare(runs->context, a->record, b->record);
    return order != 0 ? order < 0 : a < b;
}

/* Lets the reader at this place of the heap sink to where it belongs. */
static void sink(struct query_runs *runs, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < runs->heap_count &&
            goes_before(runs, runs->heap[child + 1], runs->heap[child])) {
            child++;
        }
        if (child >= runs->heap_count || !goes_before(runs, runs->heap[child], runs->heap[at])) {
            return;
        }
        struct reader *reader = runs->heap[at];
        runs->heap[at] = runs->heap[child];
        runs->heap[child] = reader;
        at = child;
    }
}

static int begin_merge(struct query_runs *runs)
{
    CHECK(runs->fresh.bytes == 0);
    runs->merging = true;
    runs->reader_count = runs->list.count;
    runs->readers = mem_alloc_array(runs->reader_count + 1, sizeof(*runs->readers));
    runs->heap = mem_alloc_array(runs->reader_count + 1, sizeof(struct reader *));
    for (size_t i = 0; i < runs->reader_count; i++) {
        struct reader *reader = &runs->readers[i];
        reader->next = runs->list.items[i].begin;
        reader->end = runs->list.items[i].end;
        int rc = advance(runs, reader);
        if (rc < 0) {
            return rc;
        }
        runs->heap[runs->heap_count++] = reader;
    }
    for (size_t i = runs->heap_count; i-- > 0;) {
        sink(runs, i);
    }
    return 0;
}

/* The record that was given last belongs to the first of the heap, which goes on only now. */
int query_runs_next(struct query_runs *runs, struct span *ret_record)
{
    int rc = 0;
    if (!runs->merging) {
        rc = begin_merge(runs);
    } else if (runs->heap_count > 0) {
        rc = advance(runs, runs->heap[0]);
        if (rc == QUERY_RUNS_END) {
            runs->heap[0] = runs->heap[--runs->heap_count];
            rc = 0;
        }
        sink(runs, 0);
    }
    if (rc < 0) {
        return rc;
    }
    if (runs->heap_count == 0) {
        return QUERY_RUNS_END;
    }
    *ret_record = runs->heap[0]->record;
    return 0;
}

void query_runs_rewind(struct query_runs *runs)
{
    end_merge(runs);
}

/* ── Sorting ─────────────────────────────────────────────────────────────────────────────── */

#define PIECE_BYTES_MIN 1024 /* of memory for records */
#define PIECE_BYTES_MAX (256 * 1024)

struct item {
    struct span record;
    size_t number;
};

struct piece {
    uint8_t *memory; /* owned; records lie in it */
    size_t bytes;
    size_t used;
};

struct query_sorter {
    struct query_holder holder;
    query_records_compare *compare;
    const void *context;
    VEC(struct item) items;
    VEC(struct piece) pieces;
    struct query_runs *runs; /* NULL: memory has done so far */
    bool ordered;
    size_t next;
};

struct query_sorter *query_sorter_new(struct query_scratch *scratch, query_records_compare *compare,
                                      const void *context)
{
    struct query_sorter *sorter = MEM_NEW(struct query_sorter);
    query_holder_init(&sorter->holder, scratch);
    sorter->compare = compare;
    sorter->context = context;
    return sorter;
}

static void forget(struct query_sorter *sorter)
{
    for (size_t i = 0; i < sorter->pieces.count; i++) {
        mem_free(sorter->pieces.items[i].memory);
    }
    vec_deinit(&sorter->pieces);
    vec_deinit(&sorter->items);
    query_holder_clear(&sorter->holder);
}

void query_sorter_free(struct query_sorter **place)
{
    struct query_sorter *sorter = *place;
    *place = NULL;
    if (sorter != NULL) {
        forget(sorter);
        query_runs_free(&sorter->runs);
        query_holder_deinit(&sorter->holder);
        mem_free(sorter);
    }
}

/* Once the search is cancelled all are equal: then sorting soon ends. */
static int compare_items(const void *a, const void *b, void *context)
{
    const struct query_sorter *sorter = context;
    const struct item *x = a;
    const struct item *y = b;
    if (query_scratch_is_cancelled(sorter->holder.scratch)) {
        return 0;
    }
    int order = sorter->compare(sorter->context, x->record, y->record);
    return order != 0 ? order : x->number < y->number ? -1 : 1;
}

static int put_in_order(struct query_sorter *sorter)
{
    if (sorter->items.count > 1) {
        qsort_r(sorter->items.items, sorter->items.count, sizeof(struct item), compare_items,
                sorter);
    }
    return query_scratch_look(sorter->holder.scratch);
}

static int spill(struct query_sorter *sorter)
{
    if (sorter->runs == NULL) {
        sorter->runs = query_runs_new(sorter->holder.scratch, sorter->compare, sorter->context);
    }
    int rc = put_in_order(sorter);
    for (size_t i = 0; i < sorter->items.count && rc == 0; i++) {
        rc = query_runs_put(sorter->runs, sorter->items.items[i].record);
    }
    rc = rc < 0 ? rc : query_runs_end_run(sorter->runs);
    forget(sorter);
    return rc;
}

static struct piece *piece_for(struct query_sorter *sorter, size_t bytes)
{
    size_t count = sorter->pieces.count;
    struct piece *last = count == 0 ? NULL : &sorter->pieces.items[count - 1];
    if (last != NULL && last->bytes - last->used >= bytes) {
        return last;
    }
    size_t usual = last == NULL ? PIECE_BYTES_MIN : MIN(last->bytes * 2, (size_t)PIECE_BYTES_MAX);
    struct piece piece = {.bytes = MAX(bytes, usual)};
    piece.memory = mem_realloc(NULL, MAX(piece.bytes, (size_t)1));
    query_holder_add(&sorter->holder, (int64_t)piece.bytes);
    vec_push(&sorter->pieces, piece);
    return &sorter->pieces.items[count];
}

int query_sorter_add(struct query_sorter *sorter, struct span record)
{
    CHECK(!sorter->ordered);
    struct piece *piece = piece_for(sorter, record.bytes);
    uint8_t *at = piece->memory + piece->used;
    if (record.bytes > 0) {
        memcpy(at, record.data, record.bytes);
    }
    piece->used += record.bytes;
    struct item item = {span_of(at, record.bytes), sorter->items.count};
    vec_push(&sorter->items, item);
    query_holder_add(&sorter->holder,
                     (int64_t)(2 * sizeof(item))); /* sorting takes as much again */
    return query_holder_must_spill(&sorter->holder) ? spill(sorter) : 0;
}

int query_sorter_next(struct query_sorter *sorter, struct span *ret_record)
{
    if (!sorter->ordered) {
        int rc = sorter->runs != NULL ? spill(sorter) : put_in_order(sorter);
        if (rc < 0) {
            return rc;
        }
        sorter->ordered = true;
    }
    if (sorter->runs != NULL) {
        return query_runs_next(sorter->runs, ret_record);
    }
    if (sorter->next == sorter->items.count) {
        return QUERY_RUNS_END;
    }
    *ret_record = sorter->items.items[sorter->next++].record;
    return 0;
}
