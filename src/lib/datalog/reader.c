/*
 * Reading the log beside its writer. Tested by log_test.c.
 */
#include <inttypes.h>

#include "base/mem.h"
#include "datalog/internal.h"

#define WINDOW_BYTES ((size_t)256 * 1024)

struct datalog_reader {
    struct datalog *log;
    uint64_t position; /* of the record to give next */
    struct io_file *file;
    uint64_t first;       /* of the open file */
    uint64_t begin;       /* where its records begin */
    uint64_t limit;       /* positions of the open file lie below this */
    uint64_t bytes;       /* of the open file that may be read now */
    uint64_t offset;      /* of the next record in it */
    uint64_t given;       /* of the record given last */
    struct buf window;    /* a piece of the file */
    uint64_t window_from; /* its offset */
};

int datalog_reader_open(struct datalog *log, uint64_t position, struct datalog_reader **ret_reader)
{
    struct datalog_reader *reader = MEM_NEW(struct datalog_reader);
    reader->log = log;
    reader->position = MAX(position, UINT64_C(1));
    *ret_reader = reader;
    return 0;
}

void datalog_reader_close(struct datalog_reader **reader)
{
    if (*reader != NULL) {
        io_close(&(*reader)->file);
        buf_deinit(&(*reader)->window);
        mem_free(*reader);
        *reader = NULL;
    }
}

uint64_t datalog_reader_position(const struct datalog_reader *reader)
{
    return reader->position;
}

void datalog_reader_place(const struct datalog_reader *reader, uint64_t *ret_file,
                          uint64_t *ret_offset)
{
    *ret_file = reader->first;
    *ret_offset = reader->given;
}

uint64_t datalog_reader_file(const struct datalog_reader *reader)
{
    return reader->first;
}

/* Which file the position lies in, and how far it may be read. */
static int locate(struct datalog_reader *reader, uint64_t *ret_first)
{
    struct datalog *log = reader->log;
    int rc = 0;
    pthread_mutex_lock(&log->lock);
    if (reader->position < log->files.items[0].first) {
        reader->position = log->files.items[0].first;
        rc = DATALOG_TRIMMED;
    } else if (reader->position >= log->end) {
        rc = DATALOG_END;
    } else {
        size_t i = log->files.count - 1;
        while (log->files.items[i].first > reader->position) {
            i--;
        }
        bool newest = i + 1 == log->files.count;
        *ret_first = log->files.items[i].first;
        reader->begin = log->files.items[i].begin;
        reader->limit = newest ? log->end : log->files.items[i + 1].first;
        reader->bytes = log->files.items[i].bytes;
    }
    pthread_mutex_unlock(&log->lock);
    return rc;
}

static int open_file(struct datalog_reader *reader, uint64_t first)
{
    if (reader->file != NULL && reader->first == first) {
        return 0;
    }
    io_close(&reader->file);
    char *path = datalog_file_path(reader->log, first);
    int rc = io_open(reader->log->io, path, IO_READ, &reader->file);
    mem_free(path);
    reader->first = first;
    reader->offset = reader->begin;
    buf_clear(&reader->window);
    reader->window_from = 0;
    return rc;
}

/* `*ret_bytes` gets at least `bytes` bytes from reader->offset on, fewer only at the end. */
static int look(struct datalog_reader *reader, uint64_t bytes, struct span *ret_bytes)
{
    uint64_t left = reader->bytes > reader->offset ? reader->bytes - reader->offset : 0;
    bytes = MIN(bytes, left);
    uint64_t window_end = reader->window_from + reader->window.bytes;
    if (reader->offset < reader->window_from || reader->offset + bytes > window_end) {
        uint64_t want = MIN(MAX(bytes, WINDOW_BYTES), left);
        size_t got = 0;
        buf_clear(&reader->window);
        reader->window_from = reader->offset;
        int rc = io_read_at(reader->file, reader->offset, buf_reserve(&reader->window, want), want,
                            &got);
        if (rc < 0) {
            return rc;
        }
        reader->window.bytes = got;
    }
    *ret_bytes =
        span_from(buf_span(&reader->window), (size_t)(reader->offset - reader->window_from));
    return 0;
}

/* The record at reader->offset: 0, DATALOG_RECORD_BAD, or a fault. */
static int read_here(struct datalog_reader *reader, struct datalog_record *ret_record,
                     size_t *ret_bytes)
{
    uint64_t group;
    size_t need = DATALOG_HEADER_BYTES;
    for (int round = 0; round < 3; round++) {
        struct span bytes = SPAN_NONE;
        int rc = look(reader, need, &bytes);
        if (rc < 0) {
            return rc;
        }
        rc = datalog_record_read(bytes, reader->first, ret_record, &group, &need);
        if (rc != DATALOG_RECORD_CUT) {
            *ret_bytes = need;
            return rc;
        }
        if (reader->bytes < reader->offset || need > reader->bytes - reader->offset) {
            return DATALOG_RECORD_BAD;
        }
    }
    return DATALOG_RECORD_BAD;
}

/* Moves the offset to the next whole record of this file, or to its end. */
static int skip_damage(struct datalog_reader *reader)
{
    struct span bytes = SPAN_NONE;
    int rc = look(reader, UINT64_MAX, &bytes);
    if (rc < 0) {
        return rc;
    }
    size_t at = 0;
    if (datalog_record_find(bytes, 1, reader->first, reader->first, reader->limit, &at)) {
        reader->offset += at;
    } else {
        reader->offset = MAX(reader->bytes, reader->offset);
    }
    return 0;
}

static int report_gap(struct datalog_reader *reader, uint64_t next)
{
    pthread_mutex_lock(&reader->log->lock);
    reader->log->stats.damage.corrupt_records++;
    pthread_mutex_unlock(&reader->log->lock);
    uint64_t from = reader->position;
    reader->position = next;
    return err_set(ERR_CORRUPT,
                   "datalog: records %" PRIu64 " to %" PRIu64 " in %s/%020" PRIu64
                   ".log before byte %" PRIu64 " are damaged",
                   from, next - 1, reader->log->dir, reader->first, reader->offset);
}

/* 0: a record is there (maybe not the one asked for); DATALOG_END: the file has no more. */
static int next_in_file(struct datalog_reader *reader, struct datalog_record *ret_record,
                        size_t *ret_bytes)
{
    while (reader->offset < reader->bytes) {
        int rc = read_here(reader, ret_record, ret_bytes);
        if (rc == 0 && ret_record->position < reader->limit) {
            return 0;
        }
        if (rc == 0) {
            break; /* of a group that failed; its positions were given again */
        }
        if (rc == DATALOG_RECORD_BAD) {
            rc = skip_damage(reader);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return DATALOG_END;
}

int datalog_read(struct datalog_reader *reader, struct datalog_record *ret_record)
{
    for (;;) {
        uint64_t first = 0;
        size_t bytes = 0;
        int rc = locate(reader, &first);
        if (rc != 0) {
            return rc;
        }
        rc = open_file(reader, first);
        if (rc == ERR_NOT_FOUND && datalog_first(reader->log) > first) {
            continue; /* trimmed meanwhile */
        }
        if (rc < 0) {
            return rc;
        }
        rc = next_in_file(reader, ret_record, &bytes);
        if (rc < 0) {
            return rc;
        }
        if (rc == DATALOG_END) {
            return report_gap(reader, reader->limit);
        }
        if (ret_record->position > reader->position) {
            return report_gap(reader, ret_record->position);
        }
        reader->given = reader->offset;
        reader->offset += bytes;
        if (ret_record->position == reader->position) {
            reader->position++;
            return 0;
        }
    }
}
