#include "query/result.h"

#include <pthread.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/wire.h"
#include "query/survey.h"

#define MAGIC UINT32_C(0x31535241) /* "ARS1" */
#define COPY_BYTES (1024 * 1024)

/* One ENTRIES frame of the file. */
struct block {
    uint64_t offset;
    uint64_t first_row;
    int64_t oldest_ns;
    int64_t newest_ns;
    uint32_t bytes;
    uint32_t rows;
};

struct query_result {
    struct io *io;
    struct io_file *file;   /* the writer's */
    struct io_file *reader; /* everybody else's */
    uint64_t bytes_max;
    uint64_t end; /* of the file, the writer's view */
    struct buf frame;

    pthread_mutex_t lock; /* over all that follows */
    char *path;
    bool synced; /* all of it, to its end */
    VEC(struct block) blocks;
    struct query_tags tags;
    struct query_histogram histogram;
    struct query_survey survey;
    struct query_result_counts counts;
};

static char *file_path(const char *path)
{
    return mem_printf("%s/%s", path, QUERY_RESULT_FILE);
}

static struct query_result *new_result(struct io *io, const char *path)
{
    struct query_result *result = MEM_NEW(struct query_result);
    result->io = io;
    result->path = mem_strdup(path);
    result->end = QUERY_RESULT_HEADER_BYTES;
    CHECK(pthread_mutex_init(&result->lock, NULL) == 0);
    return result;
}

void query_result_close(struct query_result **pointer)
{
    struct query_result *result = *pointer;
    if (result == NULL) {
        return;
    }
    io_close(&result->file);
    io_close(&result->reader);
    buf_deinit(&result->frame);
    vec_deinit(&result->blocks);
    query_tags_deinit(&result->tags);
    query_histogram_deinit(&result->histogram);
    query_survey_deinit(&result->survey);
    CHECK(pthread_mutex_destroy(&result->lock) == 0);
    mem_free(result->path);
    mem_free(result);
    *pointer = NULL;
}

static int write_header(struct query_result *result)
{
    struct buf header = {0};
    const struct query_result_counts *counts = &result->counts;
    wire_put_u32(&header, MAGIC);
    wire_put_u8(&header, counts->finished);
    wire_put_u8(&header, counts->over_limit);
    wire_put_u16(&header, 0);
    wire_put_i64(&header, result->histogram.start_ns);
    wire_put_i64(&header, result->histogram.end_ns);
    wire_put_i64(&header, counts->dropped_start_ns);
    wire_put_i64(&header, counts->dropped_end_ns);
    wire_put_u64(&header, result->bytes_max);
    wire_put_u64(&header, counts->rows);
    wire_put_u32(&header, 0);
    wire_put_u32(&header, hash32(buf_span(&header)));
    CHECK(header.bytes == QUERY_RESULT_HEADER_BYTES);
    int rc = io_write_at(result->file, 0, buf_span(&header));
    buf_deinit(&header);
    return rc;
}

static int read_header(struct query_result *result)
{
    uint8_t bytes[QUERY_RESULT_HEADER_BYTES];
    size_t got = 0;
    int rc = io_read_at(result->reader, 0, bytes, sizeof(bytes), &got);
    if (rc < 0) {
        return rc;
    }
    struct wire_reader header = wire_reader_of(span_of(bytes, got));
    if (got < QUERY_RESULT_HEADER_BYTES || wire_get_u32(&header) != MAGIC ||
        wire_load_u32(bytes + QUERY_RESULT_HEADER_BYTES - 4) !=
            hash32(span_of(bytes, QUERY_RESULT_HEADER_BYTES - 4))) {
        return err_set(ERR_CORRUPT, "%s is not a result store", result->path);
    }
    result->counts.finished = wire_get_u8(&header) != 0;
    result->counts.over_limit = wire_get_u8(&header) != 0;
    (void)wire_get_u16(&header);
    int64_t start_ns = wire_get_i64(&header);
    int64_t end_ns = wire_get_i64(&header);
    result->counts.dropped_start_ns = wire_get_i64(&header);
    result->counts.dropped_end_ns = wire_get_i64(&header);
    result->bytes_max = wire_get_u64(&header);
    query_histogram_init(&result->histogram, start_ns, end_ns);
    return 0;
}

static int open_files(struct query_result *result, int flags)
{
    char *path = file_path(result->path);
    int rc = 0;
    if (flags != 0) {
        rc = io_open(result->io, path, flags, &result->file);
    }
    rc = rc < 0 ? rc : io_open(result->io, path, IO_READ, &result->reader);
    mem_free(path);
    return rc;
}

int query_result_create(struct io *io, const char *path, uint64_t bytes_max, int64_t start_ns,
                        int64_t end_ns, struct query_result **ret_result)
{
    struct query_result *result = new_result(io, path);
    result->bytes_max = bytes_max;
    query_histogram_init(&result->histogram, start_ns, end_ns);
    int rc = io_make_dir(io, path);
    rc = rc < 0 ? rc : open_files(result, IO_WRITE | IO_CREATE | IO_TRUNCATE);
    rc = rc < 0 ? rc : write_header(result);
    if (rc < 0) {
        query_result_close(&result);
        return err_wrap(rc, "result store");
    }
    *ret_result = result;
    return 0;
}

/* Enters what a block holds into everything that counts; under the lock. The entries carry the
 * result's own tag numbers. */
static void enter(struct query_result *result, const struct block *block,
                  const struct entry *entries)
{
    for (size_t i = 0; i < block->rows; i++) {
        query_histogram_add(&result->histogram, entries[i].time_ns, entries[i].data.bytes);
        query_survey_add(&result->survey, &entries[i]);
        result->counts.data_bytes += entries[i].data.bytes;
    }
    vec_push(&result->blocks, *block);
    result->counts.rows += block->rows;
    result->counts.stored_bytes = block->offset + block->bytes;
    result->counts.index_bytes = result->blocks.count * sizeof(struct block);
}

static struct block describe(const struct query_result *result, const struct entry *entries,
                             size_t count, uint64_t offset, size_t bytes)
{
    struct block block = {
        .offset = offset,
        .first_row = result->counts.rows,
        .oldest_ns = TIME_MAX_NS,
        .newest_ns = TIME_MIN_NS,
        .bytes = (uint32_t)bytes,
        .rows = (uint32_t)count,
    };
    for (size_t i = 0; i < count; i++) {
        block.oldest_ns = MIN(block.oldest_ns, entries[i].time_ns);
        block.newest_ns = MAX(block.newest_ns, entries[i].time_ns);
    }
    return block;
}

static int read_frame(struct query_result *result, uint64_t offset, uint32_t bytes,
                      struct query_batch **ret_batch)
{
    uint8_t *data = mem_alloc(bytes);
    size_t got = 0;
    int rc = io_read_at(result->reader, offset, data, bytes, &got);
    struct span rest = span_of(data, got);
    struct query_frame frame = {0};
    if (rc == 0) {
        rc = query_frame_get(&rest, &frame);
        rc = rc == QUERY_FRAME_MORE ? err_set(ERR_CORRUPT, "a block is cut short") : rc;
    }
    mem_free(data);
    if (rc == 0 && frame.batch == NULL) {
        rc = err_set(ERR_CORRUPT, "a block is not one of entries");
    }
    if (rc < 0) {
        return err_wrap(rc, "result store at %llu", (unsigned long long)offset);
    }
    *ret_batch = frame.batch;
    return 0;
}

/* Bytes of the frame at `offset`; 0 when no whole one is there. */
static int frame_bytes(struct query_result *result, uint64_t offset, uint64_t size,
                       uint32_t *ret_bytes)
{
    uint8_t header[QUERY_FRAME_HEADER_BYTES];
    size_t got = 0;
    int rc = io_read_at(result->reader, offset, header, sizeof(header), &got);
    *ret_bytes = 0;
    if (rc < 0 || got < sizeof(header)) {
        return rc;
    }
    uint64_t bytes = QUERY_FRAME_HEADER_BYTES + (uint64_t)wire_load_u32(header + 8);
    *ret_bytes = bytes <= size - offset && bytes <= QUERY_FRAME_BYTES_MAX ? (uint32_t)bytes : 0;
    return 0;
}

static int load(struct query_result *result)
{
    uint64_t size = 0;
    int rc = io_size(result->reader, &size);
    while (rc == 0) {
        uint32_t bytes = 0;
        struct query_batch *batch = NULL;
        rc = frame_bytes(result, result->end, size, &bytes);
        if (rc < 0 || bytes == 0) {
            break;
        }
        rc = read_frame(result, result->end, bytes, &batch);
        rc = rc < 0 ? rc : query_batch_remap(batch, &result->tags);
        if (rc == 0) {
            struct block block = describe(result, batch->entries, batch->count, result->end, bytes);
            enter(result, &block, batch->entries);
            result->end += bytes;
        }
        query_batch_free(&batch);
    }
    bool torn = rc == 0 && result->end < size;
    if (result->counts.finished && (torn || rc == ERR_CORRUPT)) {
        return rc < 0 ? rc : err_set(ERR_CORRUPT, "%s: its end is damaged", result->path);
    }
    return rc == ERR_CORRUPT ? 0 : rc; /* never finished: what is whole counts */
}

int query_result_open(struct io *io, const char *path, struct query_result **ret_result)
{
    struct query_result *result = new_result(io, path);
    int rc = open_files(result, 0);
    rc = rc < 0 ? rc : read_header(result);
    rc = rc < 0 ? rc : load(result);
    if (rc < 0) {
        query_result_close(&result);
        return err_wrap(rc, "result store");
    }
    *ret_result = result;
    return 0;
}

/* How many picks from `from` on make one block: the bounds of a batch, at least one. */
static size_t block_length(const struct entry *entries, const uint32_t *picks, size_t from,
                           size_t count)
{
    size_t bytes = 0;
    size_t length = 0;
    while (from + length < count && length < QUERY_BATCH_ENTRIES_MAX) {
        size_t at = from + length;
        const struct entry *entry = &entries[picks == NULL ? at : picks[at]];
        bytes += entry->data.bytes + entry->enumerated.bytes;
        if (length > 0 && bytes > QUERY_BATCH_BYTES_MAX) {
            break;
        }
        length++;
    }
    return length;
}

/* The first entry that was not stored; everything beyond it, in the direction of the search, is
 * dropped too. */
static int refuse(struct query_result *result, const struct entry *first)
{
    CHECK(pthread_mutex_lock(&result->lock) == 0);
    if (!result->counts.over_limit) {
        result->counts.over_limit = true;
        result->counts.dropped_start_ns = result->histogram.start_ns;
        result->counts.dropped_end_ns = MIN(first->time_ns, TIME_MAX_NS - 1) + 1;
    }
    CHECK(pthread_mutex_unlock(&result->lock) == 0);
    return QUERY_RESULT_FULL;
}

/* Writes the frame, then lets readers see it. */
static int publish(struct query_result *result, struct entry *entries, size_t count,
                   const char *(*name)(const void *context, uint16_t tag), const void *context)
{
    int rc = io_write_at(result->file, result->end, buf_span(&result->frame));
    if (rc < 0) {
        return err_wrap(rc, "result store");
    }
    CHECK(pthread_mutex_lock(&result->lock) == 0);
    for (size_t i = 0; i < count; i++) {
        int number = query_tags_number(&result->tags, span_of_str(name(context, entries[i].tag)));
        CHECK(number >= 0); /* there are no more numbers than these where they come from either */
        entries[i].tag = (uint16_t)number;
    }
    struct block block = describe(result, entries, count, result->end, result->frame.bytes);
    enter(result, &block, entries);
    CHECK(pthread_mutex_unlock(&result->lock) == 0);
    result->end += result->frame.bytes;
    return 0;
}

static int append_block(struct query_result *result, const struct entry *entries,
                        const uint32_t *picks, size_t count,
                        const char *(*name)(const void *context, uint16_t tag), const void *context)
{
    const struct entry *first = &entries[picks == NULL ? 0 : picks[0]];
    buf_clear(&result->frame);
    query_batch_put(&result->frame, entries, picks, count, name, context);
    if (result->end + result->frame.bytes > result->bytes_max) {
        return refuse(result, first);
    }
    struct entry *copy = mem_alloc_array(count, sizeof(*copy));
    for (size_t i = 0; i < count; i++) {
        copy[i] = entries[picks == NULL ? i : picks[i]];
    }
    int rc = publish(result, copy, count, name, context);
    mem_free(copy);
    return rc;
}

int query_result_append(struct query_result *result, const struct entry *entries,
                        const uint32_t *picks, size_t count,
                        const char *(*name)(const void *context, uint16_t tag), const void *context)
{
    CHECK(result->file != NULL);
    if (count > 0 && result->counts.over_limit) {
        return QUERY_RESULT_FULL; /* only this thread sets it */
    }
    for (size_t from = 0; from < count;) {
        size_t length = block_length(entries, picks, from, count);
        int rc = append_block(result, picks == NULL ? entries + from : entries,
                              picks == NULL ? NULL : picks + from, length, name, context);
        if (rc != 0) {
            return rc;
        }
        from += length;
    }
    return 0;
}

int query_result_finish(struct query_result *result)
{
    CHECK(pthread_mutex_lock(&result->lock) == 0);
    result->counts.finished = true;
    CHECK(pthread_mutex_unlock(&result->lock) == 0);
    return write_header(result);
}

int query_result_sync(struct query_result *result)
{
    CHECK(pthread_mutex_lock(&result->lock) == 0);
    bool synced = result->file == NULL || result->synced; /* opened: it is */
    CHECK(pthread_mutex_unlock(&result->lock) == 0);
    int rc = synced ? 0 : io_sync(result->file);
    rc = synced || rc < 0 ? rc : io_sync_dir(result->io, result->path);
    if (rc < 0) {
        return err_wrap(rc, "result store");
    }
    CHECK(pthread_mutex_lock(&result->lock) == 0);
    result->synced = result->counts.finished;
    CHECK(pthread_mutex_unlock(&result->lock) == 0);
    return 0;
}

int query_result_remove(struct io *io, const char *path)
{
    char *file = file_path(path);
    int rc = io_exists(io, file) ? io_remove(io, file) : 0;
    mem_free(file);
    return rc < 0 ? rc : io_remove_dir(io, path);
}

struct query_result_counts query_result_counts(struct query_result *result)
{
    CHECK(pthread_mutex_lock(&result->lock) == 0);
    struct query_result_counts counts = result->counts;
    CHECK(pthread_mutex_unlock(&result->lock) == 0);
    return counts;
}

/* A read in progress: a window of rows and of time. */
struct reading {
    uint64_t first;
    uint64_t last;
    int64_t start_ns;
    int64_t end_ns;
    uint64_t bytes;
    bool full;
    VEC(struct query_batch *) batches;
    VEC(struct entry) entries;
    uint64_t matched;
};

static bool inside(const struct reading *reading, int64_t time_ns)
{
    return time_ns >= reading->start_ns && time_ns < reading->end_ns;
}

static void take_row(struct reading *reading, const struct entry *entry)
{
    uint64_t row = reading->matched++;
    if (row < reading->first || row >= reading->last || reading->full) {
        return;
    }
    uint64_t bytes = entry->data.bytes + entry->enumerated.bytes;
    if (reading->entries.count == QUERY_RESULT_READ_ROWS_MAX ||
        (reading->entries.count > 0 && reading->bytes + bytes > QUERY_RESULT_READ_BYTES_MAX)) {
        reading->full = true;
        return;
    }
    reading->bytes += bytes;
    vec_push(&reading->entries, *entry);
}

static int remap(struct query_result *result, struct query_batch *batch)
{
    CHECK(pthread_mutex_lock(&result->lock) == 0);
    int rc = query_batch_remap(batch, &result->tags);
    CHECK(pthread_mutex_unlock(&result->lock) == 0);
    return rc;
}

static int read_block(struct query_result *result, const struct block *block,
                      struct reading *reading)
{
    if (block->newest_ns < reading->start_ns || block->oldest_ns >= reading->end_ns) {
        return 0;
    }
    bool whole = inside(reading, block->oldest_ns) && inside(reading, block->newest_ns);
    bool wanted = reading->matched < reading->last &&
                  reading->matched + block->rows > reading->first && !reading->full;
    if (whole && !wanted) {
        reading->matched += block->rows;
        return 0;
    }
    struct query_batch *batch = NULL;
    int rc = read_frame(result, block->offset, block->bytes, &batch);
    rc = rc < 0 ? rc : remap(result, batch);
    size_t before = reading->entries.count;
    for (size_t i = 0; rc == 0 && i < batch->count; i++) {
        if (inside(reading, batch->entries[i].time_ns)) {
            take_row(reading, &batch->entries[i]);
        }
    }
    if (rc == 0 && reading->entries.count > before) {
        vec_push(&reading->batches, batch);
        batch = NULL;
    }
    query_batch_free(&batch);
    return rc;
}

int query_result_read(struct query_result *result, uint64_t first, uint64_t last, int64_t start_ns,
                      int64_t end_ns, struct query_rows *ret_rows)
{
    struct reading reading = {
        .first = first,
        .last = last,
        .start_ns = start_ns == TIME_UNSET ? INT64_MIN : start_ns,
        .end_ns = end_ns == TIME_UNSET ? INT64_MAX : end_ns,
    };
    CHECK(pthread_mutex_lock(&result->lock) == 0);
    size_t count = result->blocks.count;
    struct block *blocks = mem_alloc_array(count + 1, sizeof(*blocks));
    if (count > 0) {
        memcpy(blocks, result->blocks.items, count * sizeof(*blocks));
    }
    CHECK(pthread_mutex_unlock(&result->lock) == 0);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = read_block(result, &blocks[i], &reading);
    }
    mem_free(blocks);
    *ret_rows = (struct query_rows){
        .batches = reading.batches.items,
        .batch_count = reading.batches.count,
        .entries = reading.entries.items,
        .count = reading.entries.count,
        .matched = reading.matched,
    };
    if (rc < 0) {
        query_rows_deinit(ret_rows);
    }
    return rc;
}

void query_rows_deinit(struct query_rows *rows)
{
    for (size_t i = 0; i < rows->batch_count; i++) {
        query_batch_free(&rows->batches[i]);
    }
    mem_free(rows->batches);
    mem_free(rows->entries);
    *rows = (struct query_rows){0};
}

void query_result_tags(struct query_result *result,
                       void (*each)(void *context, const char *name, uint16_t tag), void *context)
{
    CHECK(pthread_mutex_lock(&result->lock) == 0);
    for (size_t i = 0; i < result->tags.names.count; i++) {
        each(context, result->tags.names.items[i], (uint16_t)i);
    }
    CHECK(pthread_mutex_unlock(&result->lock) == 0);
}

const char *query_result_tag_name(struct query_result *result, uint16_t tag)
{
    CHECK(pthread_mutex_lock(&result->lock) == 0);
    const char *name = query_tags_name(&result->tags, tag);
    CHECK(pthread_mutex_unlock(&result->lock) == 0);
    return name;
}

void query_result_histogram(struct query_result *result, int64_t start_ns, int64_t end_ns,
                            size_t count, struct query_bucket *ret_buckets)
{
    CHECK(pthread_mutex_lock(&result->lock) == 0);
    const struct query_histogram *histogram = &result->histogram;
    query_histogram_fold(histogram, start_ns == TIME_UNSET ? histogram->start_ns : start_ns,
                         end_ns == TIME_UNSET ? histogram->end_ns : end_ns, count, ret_buckets);
    CHECK(pthread_mutex_unlock(&result->lock) == 0);
}

static const char *survey_name(const void *context, uint16_t tag)
{
    return query_tags_name(context, tag);
}

void query_result_survey(struct query_result *result, struct buf *buf)
{
    CHECK(pthread_mutex_lock(&result->lock) == 0);
    query_survey_json(&result->survey, survey_name, &result->tags, buf);
    CHECK(pthread_mutex_unlock(&result->lock) == 0);
}

int query_result_read_file(struct query_result *result, uint64_t offset, void *data, size_t bytes,
                           size_t *ret_bytes)
{
    return io_read_at(result->reader, offset, data, bytes, ret_bytes);
}

static int copy_file(struct query_result *result, struct io_file *to)
{
    uint8_t *data = mem_alloc(COPY_BYTES);
    uint64_t offset = 0;
    size_t got = 0;
    int rc = 0;
    do {
        rc = io_read_at(result->reader, offset, data, COPY_BYTES, &got);
        rc = rc < 0 || got == 0 ? rc : io_write_at(to, offset, span_of(data, got));
        offset += got;
    } while (rc == 0 && got > 0);
    mem_free(data);
    return rc < 0 ? rc : io_sync(to);
}

/* Where a rename cannot reach. The old file stays open for those who read. */
static int copy_over(struct query_result *result, const char *path)
{
    char *to_path = file_path(path);
    struct io_file *to = NULL;
    int rc = io_make_dirs(result->io, path);
    rc = rc < 0 ? rc : io_open(result->io, to_path, IO_WRITE | IO_CREATE | IO_TRUNCATE, &to);
    rc = rc < 0 ? rc : copy_file(result, to);
    io_close(&to);
    mem_free(to_path);
    return rc < 0 ? rc : io_sync_dir(result->io, path);
}

int query_result_move(struct query_result *result, const char *path)
{
    int copied = 0;
    if (io_rename(result->io, result->path, path) < 0) {
        int rc = copy_over(result, path);
        if (rc < 0) {
            return err_wrap(rc, "result store");
        }
        copied = QUERY_RESULT_COPIED;
    }
    CHECK(pthread_mutex_lock(&result->lock) == 0);
    mem_free(result->path);
    result->path = mem_strdup(path);
    CHECK(pthread_mutex_unlock(&result->lock) == 0);
    return copied;
}
