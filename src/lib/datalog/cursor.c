#include "datalog/cursor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "datalog/cursor_file.h"
#include "datalog/internal.h"

static struct datalog_cursor *find(struct datalog *log, struct span name)
{
    for (size_t i = 0; i < log->cursors.count; i++) {
        if (span_equal_str(name, log->cursors.items[i]->name)) {
            return log->cursors.items[i];
        }
    }
    return NULL;
}

static struct datalog_cursor *cursor_new(struct datalog *log, struct span name)
{
    struct datalog_cursor *cursor = MEM_NEW(struct datalog_cursor);
    cursor->log = log;
    cursor->name = mem_strndup((const char *)name.data, name.bytes);
    return cursor;
}

static void cursor_free(struct datalog_cursor *cursor)
{
    mem_free(cursor->name);
    mem_free(cursor);
}

void datalog_cursors_free(struct datalog *log)
{
    for (size_t i = 0; i < log->cursors.count; i++) {
        CHECK(!log->cursors.items[i]->open);
        cursor_free(log->cursors.items[i]);
    }
    vec_deinit(&log->cursors);
}

/* A line that is damaged leaves `next` at 0: datalog_cursors_settle() goes by that. */
static void take_line(void *context, const struct datalog_cursor_line *line)
{
    struct datalog *log = context;
    struct datalog_cursor *cursor = find(log, line->name);
    if (line->damaged) {
        datalog_report(log,
                       "%s/" DATALOG_CURSORS_NAME ": the line of %.*s is damaged; that cursor "
                       "starts at the oldest record",
                       log->dir, SPAN_ARG(line->name));
    }
    if (cursor == NULL && log->cursors.count < DATALOG_CURSORS_MAX) {
        cursor = cursor_new(log, line->name);
        cursor->next = cursor->saved = line->next;
        cursor->detached = line->detached;
        vec_push(&log->cursors, cursor);
    } else if (cursor != NULL) { /* twice: one of them has a wrong name */
        cursor->next = cursor->saved = MIN(cursor->next, line->next);
    }
    if (line->damaged && cursor != NULL) {
        cursor->next = cursor->saved = 0;
        cursor->detached = false;
    }
}

int datalog_cursors_load(struct datalog *log)
{
    char *path = mem_printf("%s/" DATALOG_CURSORS_NAME, log->dir);
    struct buf text = {0};
    int rc = io_read_file(log->io, path, DATALOG_CURSORS_BYTES_MAX, &text);
    if (rc == 0) {
        size_t damaged = datalog_cursor_lines_read(buf_span(&text), take_line, log);
        if (damaged > 0) {
            datalog_report(log, "%s: %zu damaged lines", path, damaged);
        }
        log->stats.damage.cursor_lines += damaged;
        log->cursors_changed = damaged > 0;
    }
    buf_deinit(&text);
    mem_free(path);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

void datalog_cursors_settle(struct datalog *log)
{
    uint64_t first = log->files.items[0].first;
    for (size_t i = 0; i < log->cursors.count; i++) {
        struct datalog_cursor *cursor = log->cursors.items[i];
        if (cursor->next == 0) {
            cursor->next = cursor->saved = first;
        } else if (cursor->next < first && !cursor->detached) {
            cursor->detached = true;
            log->cursors_changed = true;
            datalog_report(log,
                           "datalog: cursor %s is detached: it stands at %" PRIu64
                           ", the log begins at %" PRIu64,
                           cursor->name, cursor->next, first);
        }
    }
}

/* The text of all cursors, and what it says of each; under the lock. False: nothing is new. */
static bool compose(struct datalog *log, struct buf *text, uint64_t *nexts)
{
    bool changed = log->cursors_changed;
    for (size_t i = 0; i < log->cursors.count; i++) {
        const struct datalog_cursor *cursor = log->cursors.items[i];
        struct datalog_cursor_line line = {
            .name = span_of_str(cursor->name), .next = cursor->next, .detached = cursor->detached};
        datalog_cursor_line_write(text, &line);
        nexts[i] = cursor->next;
        changed = changed || cursor->next != cursor->saved;
    }
    datalog_cursor_end_write(text, log->cursors.count);
    return changed;
}

/* With cursors_changing held, by whom no cursor comes or goes. */
static int save(struct datalog *log)
{
    struct buf text = {0};
    pthread_mutex_lock(&log->lock);
    uint64_t *nexts = mem_alloc_array(log->cursors.count + 1, sizeof(*nexts));
    bool changed = compose(log, &text, nexts);
    log->cursors_changed = false;
    pthread_mutex_unlock(&log->lock);
    int rc = 0;
    if (changed) {
        char *path = mem_printf("%s/" DATALOG_CURSORS_NAME, log->dir);
        rc = io_write_file(log->io, path, buf_span(&text));
        mem_free(path);
    }
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; rc == 0 && i < log->cursors.count; i++) {
        log->cursors.items[i]->saved = nexts[i];
    }
    log->cursors_changed = log->cursors_changed || rc < 0;
    pthread_mutex_unlock(&log->lock);
    mem_free(nexts);
    buf_deinit(&text);
    return rc;
}

int datalog_cursors_save(struct datalog *log)
{
    pthread_mutex_lock(&log->cursors_changing);
    int rc = save(log);
    pthread_mutex_unlock(&log->cursors_changing);
    return rc;
}

/* Bytes of the files that nobody but this cursor needs, if the wells need nothing below
 * `position`. */
static uint64_t held_bytes(const struct datalog *log, const struct datalog_cursor *cursor,
                           uint64_t position)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i + 1 < log->files.count && log->files.items[i + 1].first <= position; i++) {
        bytes += log->files.items[i + 1].first > cursor->next ? log->files.items[i].bytes : 0;
    }
    return bytes;
}

static void detach(struct datalog *log, uint64_t position)
{
    for (size_t i = 0; i < log->cursors.count; i++) {
        struct datalog_cursor *cursor = log->cursors.items[i];
        pthread_mutex_lock(&log->lock);
        uint64_t next = cursor->next;
        uint64_t held = cursor->detached ? 0 : held_bytes(log, cursor, position);
        bool goes = held > log->held_bytes_max;
        if (goes) {
            cursor->detached = true;
            log->cursors_changed = true;
            pthread_cond_broadcast(&log->advanced); /* its reader may be waiting */
        }
        pthread_mutex_unlock(&log->lock);
        if (goes) {
            datalog_report(log,
                           "datalog: cursor %s is detached: it stands at %" PRIu64
                           " and holds back %" PRIu64 " bytes, %" PRIu64 " are allowed",
                           cursor->name, next, held, log->held_bytes_max);
        }
    }
}

int datalog_cursors_hold(struct datalog *log, uint64_t position, uint64_t *ret_position)
{
    detach(log, position);
    int rc = save(log);
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < log->cursors.count; i++) {
        const struct datalog_cursor *cursor = log->cursors.items[i];
        position = cursor->detached ? position : MIN(position, cursor->saved);
    }
    pthread_mutex_unlock(&log->lock);
    *ret_position = position;
    return rc;
}

/* A new one is durable before anybody relies on it. */
static int make(struct datalog *log, struct span name, struct datalog_cursor **ret_cursor)
{
    if (log->cursors.count >= DATALOG_CURSORS_MAX) {
        return err_set(ERR_TOO_LARGE, "datalog: there are %d cursors already", DATALOG_CURSORS_MAX);
    }
    struct datalog_cursor *cursor = cursor_new(log, name);
    pthread_mutex_lock(&log->lock);
    cursor->next = cursor->saved = log->files.items[0].first;
    vec_push(&log->cursors, cursor);
    log->cursors_changed = true;
    pthread_mutex_unlock(&log->lock);
    int rc = save(log);
    if (rc < 0) {
        pthread_mutex_lock(&log->lock);
        log->cursors.count--;
        pthread_mutex_unlock(&log->lock);
        cursor_free(cursor);
        return rc;
    }
    *ret_cursor = cursor;
    return 0;
}

int datalog_cursor_open(struct datalog *log, const char *name, struct datalog_cursor **ret_cursor)
{
    struct span wanted = span_of_str(name);
    if (!datalog_cursor_name_is_good(wanted)) {
        return err_set(ERR_INVALID,
                       "datalog: a cursor's name is 1 to %d printable characters without spaces",
                       DATALOG_CURSOR_NAME_BYTES_MAX);
    }
    pthread_mutex_lock(&log->cursors_changing);
    struct datalog_cursor *cursor = find(log, wanted);
    int rc = 0;
    if (cursor == NULL) {
        rc = make(log, wanted, &cursor);
    }
    if (rc == 0) {
        pthread_mutex_lock(&log->lock);
        bool taken = cursor->open;
        cursor->open = true;
        uint64_t next = cursor->next;
        pthread_mutex_unlock(&log->lock);
        rc = taken ? err_set(ERR_CONFLICT, "somebody reads by it already")
                   : datalog_reader_open(log, next, &cursor->reader);
    }
    if (rc == 0) {
        *ret_cursor = cursor;
    }
    pthread_mutex_unlock(&log->cursors_changing);
    return rc < 0 ? err_wrap(rc, "datalog: cursor %s", name) : 0;
}

void datalog_cursor_close(struct datalog_cursor **place)
{
    struct datalog_cursor *cursor = *place;
    if (cursor != NULL) {
        datalog_reader_close(&cursor->reader);
        pthread_mutex_lock(&cursor->log->lock);
        cursor->open = false;
        cursor->advanced = NULL;
        pthread_mutex_unlock(&cursor->log->lock);
        *place = NULL;
    }
}

static bool is_detached(struct datalog_cursor *cursor)
{
    pthread_mutex_lock(&cursor->log->lock);
    bool detached = cursor->detached;
    pthread_mutex_unlock(&cursor->log->lock);
    return detached;
}

int datalog_cursor_read(struct datalog_cursor *cursor, struct datalog_record *ret_record)
{
    if (is_detached(cursor)) {
        return DATALOG_TRIMMED;
    }
    /* Its records go only once it is detached, which may be now. */
    return datalog_read(cursor->reader, ret_record);
}

int datalog_cursor_wait(struct datalog_cursor *cursor, int64_t timeout_ms)
{
    struct datalog *log = cursor->log;
    uint64_t next = datalog_reader_position(cursor->reader);
    struct timespec deadline = datalog_deadline(timeout_ms);
    int rc = 0;
    pthread_mutex_lock(&log->lock);
    while (rc == 0 && log->end <= next && !cursor->detached && !cursor->woken) {
        rc = pthread_cond_timedwait(&log->advanced, &log->lock, &deadline);
    }
    bool ready = log->end > next || cursor->detached;
    cursor->woken = false;
    pthread_mutex_unlock(&log->lock);
    return ready ? 0 : DATALOG_END;
}

void datalog_cursor_wake(struct datalog_cursor *cursor)
{
    pthread_mutex_lock(&cursor->log->lock);
    cursor->woken = true;
    pthread_cond_broadcast(&cursor->log->advanced);
    pthread_mutex_unlock(&cursor->log->lock);
}

int datalog_cursor_acknowledge(struct datalog_cursor *cursor, uint64_t position)
{
    pthread_mutex_lock(&cursor->log->lock);
    uint64_t end = cursor->log->end;
    if (position < end) {
        cursor->next = MAX(cursor->next, position + 1);
    }
    pthread_mutex_unlock(&cursor->log->lock);
    return position < end ? 0
                          : err_set(ERR_INVALID,
                                    "datalog: cursor %s: %" PRIu64
                                    " is acknowledged, the log ends before %" PRIu64,
                                    cursor->name, position, end);
}

int datalog_cursor_attach(struct datalog_cursor *cursor, uint64_t position)
{
    struct datalog *log = cursor->log;
    pthread_mutex_lock(&log->cursors_changing);
    pthread_mutex_lock(&log->lock);
    int rc = 0;
    if (position < log->files.items[0].first) {
        rc = DATALOG_TRIMMED;
    } else if (position > log->end) {
        rc = err_set(ERR_INVALID, "datalog: cursor %s: %" PRIu64 " is behind the log's end",
                     cursor->name, position);
    } else { /* held from now on, whether or not saving works */
        cursor->next = cursor->saved = position;
        cursor->detached = false;
        log->cursors_changed = true;
    }
    pthread_mutex_unlock(&log->lock);
    if (rc == 0) {
        datalog_reader_close(&cursor->reader);
        (void)!datalog_reader_open(log, position, &cursor->reader);
        rc = save(log);
    }
    pthread_mutex_unlock(&log->cursors_changing);
    return rc;
}

void datalog_cursor_watch(struct datalog_cursor *cursor, void (*advanced)(void *context),
                          void *context)
{
    pthread_mutex_lock(&cursor->log->lock);
    cursor->advanced = advanced;
    cursor->advanced_context = context;
    pthread_mutex_unlock(&cursor->log->lock);
}

void datalog_cursors_advanced(struct datalog *log)
{
    for (size_t i = 0; i < log->cursors.count; i++) {
        const struct datalog_cursor *cursor = log->cursors.items[i];
        if (cursor->advanced != NULL) {
            cursor->advanced(cursor->advanced_context);
        }
    }
}

/* Where the first record stands that is not acknowledged, and from when it is. Reads the file
 * it is in, unless it was asked before. */
static void find_place(struct datalog_cursor *cursor, uint64_t next)
{
    struct datalog_reader *reader;
    struct datalog_record record;
    if (cursor->place_next == next || datalog_reader_open(cursor->log, next, &reader) < 0) {
        return;
    }
    cursor->place_next = 0;
    int rc = DATALOG_TRIMMED;
    while (rc == DATALOG_TRIMMED || rc == ERR_CORRUPT) { /* the first one that is there */
        rc = datalog_read(reader, &record);
    }
    if (rc == 0) {
        cursor->place_next = next;
        cursor->place_time = record.time;
        datalog_reader_place(reader, &cursor->place_file, &cursor->place_offset);
    }
    datalog_reader_close(&reader);
}

static uint64_t bytes_from(const struct datalog *log, uint64_t file, uint64_t offset)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < log->files.count; i++) {
        const struct datalog_file *entry = &log->files.items[i];
        bytes += entry->first > file ? entry->bytes - entry->begin : 0;
        bytes += entry->first == file ? entry->bytes - MIN(offset, entry->bytes) : 0;
    }
    return bytes;
}

/* With cursors_changing held. */
static struct datalog_cursor_stats stats_of(struct datalog_cursor *cursor)
{
    struct datalog *log = cursor->log;
    pthread_mutex_lock(&log->lock);
    uint64_t next = cursor->next;
    bool lags = next < log->end;
    pthread_mutex_unlock(&log->lock);
    if (lags) {
        find_place(cursor, next);
    }
    uint64_t now = (uint64_t)MAX(io_now_ns(log->io), 0);
    pthread_mutex_lock(&log->lock);
    struct datalog_cursor_stats stats = {
        .name = cursor->name,
        .next = next,
        .first = log->files.items[0].first,
        .detached = cursor->detached,
        .open = cursor->open,
        .lag_records = lags ? log->end - next : 0,
    };
    if (lags && cursor->place_next == next) {
        stats.lag_bytes = bytes_from(log, cursor->place_file, cursor->place_offset);
        stats.lag_ns = now > cursor->place_time ? now - cursor->place_time : 0;
    }
    pthread_mutex_unlock(&log->lock);
    return stats;
}

struct datalog_cursor_stats datalog_cursor_stats(struct datalog_cursor *cursor)
{
    pthread_mutex_lock(&cursor->log->cursors_changing);
    struct datalog_cursor_stats stats = stats_of(cursor);
    pthread_mutex_unlock(&cursor->log->cursors_changing);
    return stats;
}

static int by_name(const void *a, const void *b)
{
    const struct datalog_cursor *const *left = a;
    const struct datalog_cursor *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

int datalog_cursors(struct datalog *log,
                    int (*each)(void *context, const struct datalog_cursor_stats *stats),
                    void *context)
{
    int rc = 0;
    pthread_mutex_lock(&log->cursors_changing);
    pthread_mutex_lock(&log->lock);
    if (log->cursors.count > 1) {
        qsort(log->cursors.items, log->cursors.count, sizeof(*log->cursors.items), by_name);
    }
    pthread_mutex_unlock(&log->lock);
    for (size_t i = 0; rc == 0 && i < log->cursors.count; i++) {
        struct datalog_cursor_stats stats = stats_of(log->cursors.items[i]);
        rc = each(context, &stats);
    }
    pthread_mutex_unlock(&log->cursors_changing);
    return rc;
}

int datalog_cursor_remove(struct datalog *log, const char *name)
{
    pthread_mutex_lock(&log->cursors_changing);
    struct datalog_cursor *cursor = find(log, span_of_str(name));
    int rc = 0;
    pthread_mutex_lock(&log->lock);
    if (cursor == NULL) {
        rc = err_set(ERR_NOT_FOUND, "datalog: there is no cursor %s", name);
    } else if (cursor->open) {
        rc = err_set(ERR_CONFLICT, "datalog: cursor %s: somebody reads by it", name);
    }
    for (size_t i = 0; rc == 0 && i < log->cursors.count; i++) {
        if (log->cursors.items[i] == cursor) {
            vec_remove_swap(&log->cursors, i);
            log->cursors_changed = true;
        }
    }
    pthread_mutex_unlock(&log->lock);
    if (rc == 0) {
        cursor_free(cursor);
        rc = save(log);
    }
    pthread_mutex_unlock(&log->cursors_changing);
    return rc;
}
