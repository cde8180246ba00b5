/*
 * Opening a log: what its files hold, without a torn tail; beginning files. Tested by log_test.c.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "datalog/internal.h"

#define TEMP_NAME "segment.tmp"
#define NAME_DIGITS 20

char *datalog_file_path(const struct datalog *log, uint64_t first)
{
    return mem_printf("%s/%0*" PRIu64 ".log", log->dir, NAME_DIGITS, first);
}

/* Called for each name in the directory, in order. */
static int take_name(void *context, const char *name)
{
    struct datalog *log = context;
    struct span rest = span_of_str(name);
    struct span digits;
    uint64_t first = 0;
    if (rest.bytes == NAME_DIGITS + 4 && span_ends_with(rest, SPAN_LIT(".log")) &&
        span_split(&rest, '.', &digits) && digits.data[0] >= '0' && digits.data[0] <= '9' &&
        span_to_u64(digits, &first) && first > 0) {
        struct datalog_file file = {.first = first};
        vec_push(&log->files, file);
    }
    return 0;
}

static int remove_temp(struct datalog *log)
{
    char *path = mem_printf("%s/" TEMP_NAME, log->dir);
    int rc = io_exists(log->io, path) ? io_remove(log->io, path) : 0;
    mem_free(path);
    return rc;
}

#define HEADER_BYTES_USUAL 4096

static int read_header_bytes(struct io_file *file, uint64_t file_bytes, struct buf *bytes)
{
    size_t want = (size_t)MIN(file_bytes, (uint64_t)HEADER_BYTES_USUAL);
    int rc = 0;
    for (int round = 0; rc == 0 && round < 2 && want > bytes->bytes; round++) {
        buf_clear(bytes);
        rc = io_read_at(file, 0, buf_reserve(bytes, want), want, &bytes->bytes);
        want = datalog_file_header_bytes(buf_span(bytes));
    }
    return rc;
}

/* Size and header of a file; `*bytes` gets what `*ret_header` borrows from. */
static int read_header_at(struct datalog *log, const char *path, struct datalog_file *entry,
                          struct buf *bytes, struct datalog_file_header *ret_header)
{
    struct io_file *file = NULL;
    buf_clear(bytes);
    int rc = io_open(log->io, path, IO_READ, &file);
    if (rc == 0) {
        rc = io_size(file, &entry->bytes);
    }
    if (rc == 0) {
        rc = read_header_bytes(file, entry->bytes, bytes);
    }
    io_close(&file);
    *ret_header = (struct datalog_file_header){.bytes = DATALOG_FILE_HEADER_BYTES};
    return rc < 0 ? rc : datalog_file_header_read(buf_span(bytes), entry->first, ret_header);
}

/* A damaged header is reported and leaves incarnation 0. */
static int read_header(struct datalog *log, struct datalog_file *entry, struct buf *bytes,
                       struct datalog_file_header *ret_header)
{
    char *path = datalog_file_path(log, entry->first);
    int rc = read_header_at(log, path, entry, bytes, ret_header);
    if (rc == ERR_CORRUPT) {
        log->stats.damage.corrupt_records++;
        datalog_report(log, "%s: %s", path, err_text());
        rc = 0;
    }
    entry->begin = ret_header->bytes;
    mem_free(path);
    return rc;
}

static void copy_places(const struct datalog_file_header *header, struct buf *buf)
{
    struct datalog_origin_position row = {header->origin, header->origin_position, header->time};
    if (row.position > 0) {
        buf_append(buf, span_of(&row, sizeof(row)));
    }
    for (size_t i = 0; datalog_origin_row_read(header, i, &row); i++) {
        buf_append(buf, span_of(&row, sizeof(row)));
    }
}

int datalog_origins_before(struct datalog *log, uint64_t position, struct buf *buf,
                           uint64_t *ret_first)
{
    struct datalog_file file = {0};
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < log->files.count && log->files.items[i].first <= position; i++) {
        file = log->files.items[i];
    }
    pthread_mutex_unlock(&log->lock);
    if (file.first == 0) {
        return DATALOG_TRIMMED;
    }
    struct buf bytes = {0};
    struct datalog_file_header header;
    char *path = datalog_file_path(log, file.first);
    *ret_first = file.first;
    int rc = read_header_at(log, path, &file, &bytes, &header);
    if (rc == 0) {
        copy_places(&header, buf);
    } else if (rc == ERR_NOT_FOUND) {
        rc = DATALOG_TRIMMED;
    }
    mem_free(path);
    buf_deinit(&bytes);
    return rc;
}

static void take_header(struct datalog *log, const struct datalog_file_header *header)
{
    struct datalog_origin_position row;
    log->origin = header->origin;
    log->origin_position = header->origin_position;
    log->origin_time = header->time;
    log->time = header->time;
    for (size_t i = 0; datalog_origin_row_read(header, i, &row); i++) {
        (void)!datalog_origins_stage(&log->origins, row);
    }
}

/* All headers; what the newest good one says is taken. *ret_known is its index, 0 if none is. */
static int read_headers(struct datalog *log, size_t *ret_known, bool *ret_newest_good)
{
    struct buf bytes = {0};
    struct datalog_file_header header;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < log->files.count; i++) {
        rc = read_header(log, &log->files.items[i], &bytes, &header);
        *ret_newest_good = rc == 0 && header.origin.incarnation != 0;
        if (*ret_newest_good) {
            take_header(log, &header);
            *ret_known = i;
        }
    }
    buf_deinit(&bytes);
    return rc;
}

static void learn(struct datalog *log, const struct datalog_record *record)
{
    log->end = record->position + 1;
    log->time = MAX(log->time, record->time);
    if (datalog_same_origin(record->origin, log->origin)) {
        log->origin_position = MAX(log->origin_position, record->origin_position);
        log->origin_time = MAX(log->origin_time, record->time);
    } else {
        struct datalog_origin_position position = {record->origin, record->origin_position,
                                                   record->time};
        (void)!datalog_origins_stage(&log->origins, position);
    }
}

struct scan {
    struct span bytes;
    const struct datalog_file *file;
    uint64_t limit;     /* the file's positions lie below it */
    uint64_t confirmed; /* as much is known to have been confirmed */
};

/* Whether a whole record stands behind `at` that was written once `position` was confirmed. */
static bool has_successor(const struct scan *scan, size_t at, uint64_t position)
{
    struct datalog_record record;
    uint64_t group = 0;
    size_t length = 0;
    while (group <= position && datalog_record_find(scan->bytes, at + length, scan->file->first,
                                                    position, scan->limit, &at)) {
        (void)!datalog_record_read(span_from(scan->bytes, at), scan->file->first, &record, &group,
                                   &length);
    }
    return group > position;
}

/* Walks the records of a file, over what is damaged. *ret_end is where the last one ends. A hole
 * in a group that may never have been confirmed is no damage but a write that the power cut
 * short; the log ends before it, lest a record counts as here whose predecessors are not. */
static void walk(struct datalog *log, const struct scan *scan, size_t *ret_end)
{
    size_t at = MIN((size_t)scan->file->begin, scan->bytes.bytes);
    log->end = scan->file->first;
    *ret_end = at;
    if (scan->file->begin == DATALOG_FILE_HEADER_BYTES) { /* so it seems, if it is damaged */
        (void)!datalog_record_find(scan->bytes, at, log->end, log->end, log->end + 1, &at);
    }
    for (;;) {
        struct datalog_record record;
        uint64_t group;
        size_t length;
        int rc = datalog_record_read(span_from(scan->bytes, at), scan->file->first, &record, &group,
                                     &length);
        if (rc == 0 && record.position == log->end) {
            learn(log, &record);
            at += length;
            *ret_end = at;
            continue;
        }
        if (scan->confirmed <= log->end && !has_successor(scan, at, log->end)) {
            return;
        }
        if (!datalog_record_find(scan->bytes, at, scan->file->first, log->end, scan->limit, &at)) {
            return;
        }
        (void)!datalog_record_read(span_from(scan->bytes, at), scan->file->first, &record, &group,
                                   &length);
        log->stats.damage.corrupt_records += record.position > log->end ? 1 : 0;
        log->end = record.position;
    }
}

/* What stays is written again before it is synced: after a sync that failed the kernel shows what
 * never reached the disk and takes it for clean, so that another sync alone would do nothing. */
static int cut(struct datalog *log, uint64_t first, struct span whole, uint64_t bytes)
{
    char *path = datalog_file_path(log, first);
    int rc = io_open(log->io, path, IO_WRITE, &log->file);
    if (rc == 0) {
        rc = io_write_at(log->file, 0, whole);
    }
    if (rc == 0 && whole.bytes < bytes) {
        rc = io_truncate(log->file, whole.bytes);
        log->stats.damage.torn_bytes += bytes - whole.bytes;
        datalog_report(log, "%s: %" PRIu64 " bytes at its end are no whole record and are cut off",
                       path, bytes - whole.bytes);
    }
    mem_free(path);
    return rc < 0 ? rc : io_sync(log->file);
}

/* The newest file without its torn tail becomes the end of the log. */
static int recover_newest(struct datalog *log, struct datalog_file *file, struct span whole)
{
    int rc = cut(log, file->first, whole, file->bytes);
    file->bytes = whole.bytes;
    log->file_first = file->first;
    log->file_begin = file->begin;
    log->offset = whole.bytes;
    return rc;
}

/* The records from the file on whose header is known: what they say is behind it. */
static int read_records(struct datalog *log, size_t known, uint64_t confirmed)
{
    struct buf content = {0};
    int rc = 0;
    for (size_t i = known; rc == 0 && i < log->files.count; i++) {
        struct datalog_file *file = &log->files.items[i];
        bool newest = i + 1 == log->files.count;
        char *path = datalog_file_path(log, file->first);
        buf_clear(&content);
        rc = io_read_file(log->io, path, (size_t)file->bytes, &content);
        mem_free(path);
        if (rc < 0) {
            break;
        }
        size_t end;
        struct scan scan = {buf_span(&content), file, newest ? UINT64_MAX : file[1].first,
                            newest ? confirmed : file[1].first};
        walk(log, &scan, &end);
        rc = newest ? recover_newest(log, file, span_first(buf_span(&content), end)) : 0;
    }
    buf_deinit(&content);
    return rc;
}

/* The old one, if there was any, becomes one of those that are not ours. */
static void mint_origin(struct datalog *log)
{
    struct datalog_origin_position before = {log->origin, log->origin_position, log->origin_time};
    if (before.position > 0) {
        (void)!datalog_origins_stage(&log->origins, before);
    }
    log->origin.node = log->node;
    do {
        io_random(log->io, &log->origin.incarnation, sizeof(log->origin.incarnation));
        /* The bits above are for derived origins: replicate/places.h. */
        log->origin.incarnation &= (UINT64_C(1) << 48) - 1;
    } while (log->origin.incarnation == 0);
    log->origin_position = 0;
}

static int list_files(struct datalog *log)
{
    int rc = io_make_dirs(log->io, log->dir);
    if (rc == 0) {
        rc = remove_temp(log);
    }
    if (rc == 0) {
        rc = io_list(log->io, log->dir, take_name, log);
    }
    /* A name that only the kernel knows is not relied upon. */
    return rc == 0 ? io_sync_dir(log->io, log->dir) : rc;
}

int datalog_recover(struct datalog *log, uint64_t position_min, bool begin_anew)
{
    size_t known = 0;
    bool newest_good = false;
    log->end = 1;
    int rc = list_files(log);
    if (rc == 0) {
        rc = datalog_cursors_load(log);
    }
    if (rc == 0) {
        rc = read_headers(log, &known, &newest_good);
    }
    for (size_t i = 0; i < log->cursors.count; i++) { /* nor below what was acknowledged */
        position_min = MAX(position_min, log->cursors.items[i]->next);
    }
    if (rc == 0) {
        rc = read_records(log, known, position_min);
    }
    if (rc < 0) {
        return rc;
    }
    uint64_t read_end = log->end;
    /* Without its header nothing says for sure how far the own origin had counted. */
    bool lost = !newest_good || log->end < position_min;
    lost = lost || (begin_anew && log->origin_position > 0);
    if (lost || !uuid_equal(log->origin.node, log->node)) {
        io_close(&log->file);
        mint_origin(log);
        log->end = MAX(log->end, position_min);
    }
    datalog_origins_commit(&log->origins);
    rc = log->file == NULL ? datalog_begin_file(log) : 0;
    if (rc == ERR_NO_SPACE && log->files.count > 0 && log->end == read_end) {
        datalog_report(log, "%s; it is begun when there is room", err_text());
        rc = 0; /* what is here can be read; the next group begins the file */
    }
    if (rc == 0) {
        datalog_cursors_settle(log);
    }
    return rc;
}

static void add_row(void *context, const struct datalog_origin_position *position)
{
    datalog_origin_row_write(context, position);
}

static int write_temp(struct datalog *log, const char *path, struct io_file **ret_file)
{
    struct buf rows = {0};
    struct buf bytes = {0};
    struct io_file *file;
    pthread_mutex_lock(&log->lock);
    datalog_origins_each(&log->origins, true, add_row, &rows);
    pthread_mutex_unlock(&log->lock);
    struct datalog_file_header header = {
        .first = log->end,
        .origin_position = log->origin_position,
        .time = log->time,
        .origin = log->origin,
        .origins = buf_span(&rows),
    };
    datalog_file_header_write(&bytes, &header);
    buf_deinit(&rows);
    log->file_begin = bytes.bytes;
    int rc = io_open(log->io, path, IO_WRITE | IO_CREATE | IO_TRUNCATE, &file);
    if (rc < 0) {
        buf_deinit(&bytes);
        return rc;
    }
    rc = io_write_at(file, 0, buf_span(&bytes));
    buf_deinit(&bytes);
    if (rc == 0) {
        rc = io_sync(file);
    }
    if (rc < 0) {
        io_close(&file);
        return rc;
    }
    *ret_file = file;
    return 0;
}

static void note_file(struct datalog *log)
{
    struct datalog_file file = {log->end, log->file_begin, log->file_begin};
    pthread_mutex_lock(&log->lock);
    if (log->files.count > 0 && log->files.items[log->files.count - 1].first == log->end) {
        log->files.items[log->files.count - 1] = file; /* it held nothing that was confirmed */
    } else {
        vec_push(&log->files, file);
    }
    pthread_mutex_unlock(&log->lock);
}

int datalog_begin_file(struct datalog *log)
{
    io_close(&log->file);
    char *temp = mem_printf("%s/" TEMP_NAME, log->dir);
    char *path = datalog_file_path(log, log->end);
    struct io_file *file = NULL;
    int rc = write_temp(log, temp, &file);
    if (rc == 0) {
        rc = io_rename(log->io, temp, path);
    }
    if (rc == 0) {
        rc = io_sync_dir(log->io, log->dir);
    }
    mem_free(temp);
    mem_free(path);
    if (rc < 0) {
        io_close(&file);
        return err_wrap(rc, "begin a segment at %" PRIu64, log->end);
    }
    note_file(log);
    log->file = file;
    log->file_first = log->end;
    log->offset = log->file_begin;
    return 0;
}
