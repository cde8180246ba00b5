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
        struct datalog_file file = {first, 0};
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

static int file_sizes(struct datalog *log)
{
    for (size_t i = 0; i < log->files.count; i++) {
        char *path = datalog_file_path(log, log->files.items[i].first);
        struct io_file *file;
        int rc = io_open(log->io, path, IO_READ, &file);
        mem_free(path);
        if (rc < 0) {
            return rc;
        }
        rc = io_size(file, &log->files.items[i].bytes);
        io_close(&file);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static bool same_origin(struct datalog_origin a, struct datalog_origin b)
{
    return a.incarnation == b.incarnation && uuid_equal(a.node, b.node);
}

static void learn(struct datalog *log, const struct datalog_record *record)
{
    log->end = record->position + 1;
    log->time = MAX(log->time, record->time);
    if (log->origin.incarnation == 0 && uuid_equal(record->origin.node, log->node)) {
        log->origin = record->origin; /* the header was damaged: the record knows */
    }
    if (same_origin(record->origin, log->origin)) {
        log->origin_position = MAX(log->origin_position, record->origin_position);
    }
}

/* Walks the newest file's records; *ret_end is where the last whole one ends. */
static void walk(struct datalog *log, struct span bytes, uint64_t first, size_t *ret_end)
{
    size_t at = DATALOG_FILE_HEADER_BYTES;
    *ret_end = MIN(at, bytes.bytes);
    for (;;) {
        struct datalog_record record;
        uint64_t group;
        size_t length;
        int rc = datalog_record_read(span_from(bytes, at), first, &record, &group, &length);
        if (rc == 0 && record.position >= log->end) {
            log->stats.damage.corrupt_records += record.position > log->end ? 1 : 0;
            learn(log, &record);
            at += length;
            *ret_end = at;
            continue;
        }
        if (!datalog_record_find(bytes, at + 1, first, log->end, UINT64_MAX, &at)) {
            return;
        }
    }
}

static int read_all(struct datalog *log, uint64_t first, uint64_t bytes, struct buf *content)
{
    char *path = datalog_file_path(log, first);
    int rc = io_read_file(log->io, path, (size_t)bytes, content);
    mem_free(path);
    return rc;
}

/* What stays is written again before it is synced: after a sync that failed the kernel shows what
 * never reached the disk and takes it for clean, so that another sync alone would do nothing. */
static int cut(struct datalog *log, uint64_t first, struct span whole, uint64_t bytes)
{
    char *path = datalog_file_path(log, first);
    int rc = io_open(log->io, path, IO_WRITE, &log->file);
    mem_free(path);
    if (rc == 0) {
        rc = io_write_at(log->file, 0, whole);
    }
    if (rc == 0 && whole.bytes < bytes) {
        rc = io_truncate(log->file, whole.bytes);
        log->stats.damage.torn_bytes += bytes - whole.bytes;
    }
    return rc < 0 ? rc : io_sync(log->file);
}

/* The newest file: what it holds, without its torn tail, becomes the end of the log. */
static int recover_newest(struct datalog *log)
{
    struct datalog_file *newest = &log->files.items[log->files.count - 1];
    struct buf content = {0};
    struct datalog_file_header header = {0};
    int rc = read_all(log, newest->first, newest->bytes, &content);
    if (rc < 0) {
        buf_deinit(&content);
        return rc;
    }
    int header_rc = datalog_file_header_read(buf_span(&content), newest->first, &header);
    size_t end = 0;
    log->end = newest->first;
    log->origin = header.origin;
    log->origin_position = header.origin_position;
    log->time = header.time;
    if (header_rc != ERR_UNSUPPORTED) {
        walk(log, buf_span(&content), newest->first, &end);
    }
    rc = header_rc == ERR_UNSUPPORTED
             ? header_rc
             : cut(log, newest->first, span_first(buf_span(&content), end), newest->bytes);
    buf_deinit(&content);
    if (rc < 0) {
        return rc;
    }
    newest->bytes = end;
    log->file_first = newest->first;
    log->offset = end;
    if (header_rc < 0) {
        log->stats.damage.corrupt_records++;
        io_close(&log->file); /* appending goes on in a new file, which has a good header */
    }
    return 0;
}

static void mint_origin(struct datalog *log)
{
    log->origin.node = log->node;
    do {
        io_random(log->io, &log->origin.incarnation, sizeof(log->origin.incarnation));
    } while (log->origin.incarnation == 0);
    log->origin_position = 0;
}

int datalog_recover(struct datalog *log, uint64_t position_min)
{
    int rc = io_make_dirs(log->io, log->dir);
    if (rc == 0) {
        rc = remove_temp(log);
    }
    if (rc == 0) {
        rc = io_list(log->io, log->dir, take_name, log);
    }
    if (rc == 0) {
        rc = io_sync_dir(log->io, log->dir); /* a name only the kernel knows is not relied upon */
    }
    if (rc == 0) {
        rc = file_sizes(log);
    }
    log->end = 1;
    if (rc == 0 && log->files.count > 0) {
        rc = recover_newest(log);
    }
    if (rc < 0) {
        return rc;
    }
    bool behind = log->end < position_min;
    if (log->origin.incarnation == 0 || behind || !uuid_equal(log->origin.node, log->node)) {
        io_close(&log->file);
        mint_origin(log);
        log->end = MAX(log->end, position_min);
    }
    return log->file == NULL ? datalog_begin_file(log) : 0;
}

static int write_temp(struct datalog *log, const char *path, struct io_file **ret_file)
{
    struct datalog_file_header header = {log->end, log->origin_position, log->time, log->origin};
    struct buf bytes = {0};
    struct io_file *file;
    datalog_file_header_write(&bytes, &header);
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
    struct datalog_file file = {log->end, DATALOG_FILE_HEADER_BYTES};
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
    log->offset = DATALOG_FILE_HEADER_BYTES;
    return 0;
}
