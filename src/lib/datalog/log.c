#include "datalog/log.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "base/mem.h"
#include "datalog/internal.h"

#define DIRECT_BYTES_MIN (UINT64_C(32) * 1024) /* above it another write is cheaper than a copy */

bool datalog_same_origin(struct datalog_origin a, struct datalog_origin b)
{
    return a.incarnation == b.incarnation && uuid_equal(a.node, b.node);
}

void datalog_report(struct datalog *log, const char *format, ...)
{
    if (log->report != NULL) {
        struct buf text = {0};
        va_list args;
        va_start(args, format);
        buf_vprintf(&text, format, args);
        va_end(args);
        log->report(log->report_context, buf_str(&text));
        buf_deinit(&text);
    }
}

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
    return value > 0 ? value : fallback;
}

static struct datalog *log_new(const struct datalog_options *options)
{
    struct datalog *log = MEM_NEW(struct datalog);
    log->io = options->io;
    log->dir = mem_strdup(options->dir);
    log->node = options->node;
    log->segment_bytes_max = or_default(options->segment_bytes_max, DATALOG_SEGMENT_BYTES_DEFAULT);
    log->pending_bytes_max = or_default(options->pending_bytes_max, DATALOG_PENDING_BYTES_DEFAULT);
    log->group_bytes_max = or_default(options->group_bytes_max, DATALOG_GROUP_BYTES_DEFAULT);
    log->direct_bytes_min = MIN(DIRECT_BYTES_MIN, log->segment_bytes_max / 8);
    log->held_bytes_max = or_default(options->held_bytes_max, DATALOG_HELD_BYTES_DEFAULT);
    log->ahead_ns_max = or_default(options->ahead_ns_max, DATALOG_AHEAD_NS_DEFAULT);
    log->report = options->report;
    log->report_context = options->report_context;
    log->last_pending = &log->first_pending;
    pthread_mutex_init(&log->cursors_changing, NULL);
    pthread_mutex_init(&log->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&log->handed_over, &monotonic);
    pthread_cond_init(&log->room, &monotonic);
    pthread_cond_init(&log->advanced, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return log;
}

static void log_free(struct datalog *log)
{
    io_close(&log->file);
    buf_deinit(&log->group);
    vec_deinit(&log->direct);
    vec_deinit(&log->files);
    vec_deinit(&log->advances);
    datalog_origins_deinit(&log->origins);
    datalog_cursors_free(log);
    pthread_cond_destroy(&log->advanced);
    pthread_cond_destroy(&log->room);
    pthread_cond_destroy(&log->handed_over);
    pthread_mutex_destroy(&log->lock);
    pthread_mutex_destroy(&log->cursors_changing);
    mem_free(log->dir);
    mem_free(log);
}

static int rotate(struct datalog *log, const struct datalog_origin_position *positions,
                  size_t count)
{
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < count; i++) {
        vec_push(&log->advances, positions[i]);
    }
    uint64_t wanted = ++log->rotations_wanted;
    pthread_cond_signal(&log->handed_over);
    while (log->rotations_done < wanted) {
        pthread_cond_wait(&log->advanced, &log->lock);
    }
    int rc = log->rotation_rc;
    rc = rc < 0 ? err_set((enum err)rc, "%s", log->rotation_text) : 0;
    pthread_mutex_unlock(&log->lock);
    return rc;
}

int datalog_rotate(struct datalog *log)
{
    return rotate(log, NULL, 0);
}

int datalog_origins_advance(struct datalog *log, const struct datalog_origin_position *positions,
                            size_t count)
{
    return count > 0 ? rotate(log, positions, count) : 0;
}

int datalog_open(const struct datalog_options *options, struct datalog **ret_log)
{
    struct datalog *log = log_new(options);
    int rc = datalog_recover(log, options->position_min, options->begin_anew);
    if (rc < 0) {
        log_free(log);
        return err_wrap(rc, "open the datalog");
    }
    CHECK(pthread_create(&log->thread, NULL, datalog_writer, log) == 0);
    log->thread_runs = true;
    *ret_log = log;
    return 0;
}

void datalog_close(struct datalog **log_place)
{
    struct datalog *log = *log_place;
    if (log == NULL) {
        return;
    }
    pthread_mutex_lock(&log->lock);
    log->closing = true;
    pthread_cond_broadcast(&log->handed_over);
    pthread_mutex_unlock(&log->lock);
    if (log->thread_runs) {
        pthread_join(log->thread, NULL);
    }
    if (datalog_cursors_save(log) < 0) {
        datalog_report(log, "closing: %s; cursors are where they were saved last", err_text());
    }
    log_free(log);
    *log_place = NULL;
}

/* A received record: its time would become ours. */
static int check_received(const struct datalog *log, const struct datalog_record *received)
{
    uint64_t now = (uint64_t)MAX(io_now_ns(log->io), 0);
    if (received->origin_position == 0) {
        return err_set(ERR_INVALID, "datalog: a received record without an origin position");
    }
    if (received->time > now && received->time - now > log->ahead_ns_max) {
        char node[UUID_TEXT_BYTES];
        return err_set(ERR_INVALID,
                       "datalog: a record of %s is %" PRIu64
                       " s ahead of this node's clock, %" PRIu64
                       " s are allowed: one of the two clocks is wrong",
                       uuid_text(received->origin.node, node), (received->time - now) / 1000000000,
                       log->ahead_ns_max / 1000000000);
    }
    return 0;
}

static int check_submissions(const struct datalog *log, const struct datalog_submission *first,
                             uint64_t *ret_bytes, struct datalog_submission *const **ret_last)
{
    uint64_t bytes = 0;
    struct datalog_submission *const *last = NULL;
    for (; first != NULL; first = first->next) {
        if (first->payload.bytes > DATALOG_PAYLOAD_BYTES_MAX ||
            first->well.bytes > DATALOG_WELL_BYTES_MAX) {
            return err_set(ERR_TOO_LARGE, "datalog: a record of %zu bytes, at most %u are allowed",
                           first->payload.bytes, DATALOG_PAYLOAD_BYTES_MAX);
        }
        int rc = first->received != NULL ? check_received(log, first->received) : 0;
        if (rc < 0) {
            return rc;
        }
        bytes += datalog_record_bytes(first->well, first->payload);
        last = &first->next;
    }
    *ret_bytes = bytes;
    *ret_last = last;
    return 0;
}

int datalog_submit(struct datalog *log, struct datalog_submission *first)
{
    uint64_t bytes = 0;
    struct datalog_submission *const *last = NULL;
    int rc = check_submissions(log, first, &bytes, &last);
    if (rc < 0 || first == NULL) {
        return rc;
    }
    pthread_mutex_lock(&log->lock);
    CHECK(!log->closing);
    while (log->pending_bytes > 0 && log->pending_bytes + bytes > log->pending_bytes_max) {
        pthread_cond_wait(&log->room, &log->lock);
    }
    log->pending_bytes += bytes;
    *log->last_pending = first;
    log->last_pending = (struct datalog_submission **)last;
    pthread_cond_signal(&log->handed_over);
    pthread_mutex_unlock(&log->lock);
    return 0;
}

struct waiter {
    struct datalog_submission submission;
    pthread_mutex_t lock;
    pthread_cond_t finished;
    bool is_done;
    int rc;
    char text[ERR_TEXT_BYTES_MAX];
};

static void wake_waiter(struct datalog_submission *submission, int rc)
{
    struct waiter *waiter = CONTAINER_OF(submission, struct waiter, submission);
    pthread_mutex_lock(&waiter->lock);
    waiter->rc = rc;
    strcpy(waiter->text, rc < 0 ? err_text() : "");
    waiter->is_done = true;
    pthread_cond_signal(&waiter->finished);
    pthread_mutex_unlock(&waiter->lock);
}

int datalog_append(struct datalog *log, enum datalog_type type, struct span well,
                   struct span payload, uint64_t *ret_position)
{
    struct waiter waiter = {
        .submission = {.type = type, .well = well, .payload = payload, .done = wake_waiter},
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .finished = PTHREAD_COND_INITIALIZER,
    };
    int rc = datalog_submit(log, &waiter.submission);
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
    if (waiter.rc < 0) {
        return err_set((enum err)waiter.rc, "%s", waiter.text);
    }
    *ret_position = waiter.submission.position;
    return 0;
}

struct datalog_origin datalog_origin(struct datalog *log)
{
    return log->origin; /* does not change once the log is open */
}

struct datalog_stats datalog_stats(struct datalog *log)
{
    pthread_mutex_lock(&log->lock);
    struct datalog_stats stats = log->stats;
    stats.first = log->files.items[0].first;
    stats.end = log->end;
    stats.segments = log->files.count;
    stats.cursors = log->cursors.count;
    for (size_t i = 0; i < log->cursors.count; i++) {
        stats.detached += log->cursors.items[i]->detached ? 1 : 0;
    }
    for (size_t i = 0; i < log->files.count; i++) {
        stats.bytes += log->files.items[i].bytes;
    }
    pthread_mutex_unlock(&log->lock);
    return stats;
}

uint64_t datalog_origin_position(struct datalog *log, struct datalog_origin origin)
{
    pthread_mutex_lock(&log->lock);
    uint64_t position = datalog_same_origin(origin, log->origin)
                            ? log->origin_position
                            : datalog_origins_durable(&log->origins, origin).position;
    pthread_mutex_unlock(&log->lock);
    return position;
}

static void add_position(void *context, const struct datalog_origin_position *position)
{
    buf_append(context, span_of(position, sizeof(*position)));
}

size_t datalog_origin_positions(struct datalog *log, struct buf *buf)
{
    size_t before = buf->bytes;
    pthread_mutex_lock(&log->lock);
    struct datalog_origin_position own = {log->origin, log->origin_position, log->origin_time};
    add_position(buf, &own);
    datalog_origins_each(&log->origins, false, add_position, buf);
    pthread_mutex_unlock(&log->lock);
    return (buf->bytes - before) / sizeof(struct datalog_origin_position);
}

uint64_t datalog_first(struct datalog *log)
{
    pthread_mutex_lock(&log->lock);
    uint64_t first = log->files.items[0].first;
    pthread_mutex_unlock(&log->lock);
    return first;
}

uint64_t datalog_bytes_from(struct datalog *log, uint64_t position)
{
    uint64_t bytes = 0;
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < log->files.count; i++) {
        bool newest = i + 1 == log->files.count;
        bytes += newest || log->files.items[i + 1].first > position ? log->files.items[i].bytes : 0;
    }
    pthread_mutex_unlock(&log->lock);
    return bytes;
}

uint64_t datalog_end(struct datalog *log)
{
    pthread_mutex_lock(&log->lock);
    uint64_t end = log->end;
    pthread_mutex_unlock(&log->lock);
    return end;
}

struct timespec datalog_deadline(int64_t timeout_ms)
{
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += timeout_ms / 1000;
    deadline.tv_nsec += timeout_ms % 1000 * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    return deadline;
}

int datalog_wait(struct datalog *log, uint64_t position, int64_t timeout_ms)
{
    struct timespec deadline = datalog_deadline(timeout_ms);
    int rc = 0;
    pthread_mutex_lock(&log->lock);
    while (rc == 0 && log->end <= position) {
        rc = pthread_cond_timedwait(&log->advanced, &log->lock, &deadline);
    }
    rc = log->end <= position ? DATALOG_END : 0;
    pthread_mutex_unlock(&log->lock);
    return rc;
}

/* Takes the oldest file off the list if it holds only records before `position`. */
static bool take_oldest(struct datalog *log, uint64_t position, struct datalog_file *ret_file)
{
    pthread_mutex_lock(&log->lock);
    bool more = log->files.count > 1 && log->files.items[1].first <= position;
    if (more) { /* readers stop opening it before it goes */
        *ret_file = log->files.items[0];
        log->files.count--;
        memmove(log->files.items, log->files.items + 1,
                log->files.count * sizeof(*log->files.items));
    }
    pthread_mutex_unlock(&log->lock);
    return more;
}

/* Puts it back: removing it is to be tried again, lest a newer one goes before it. */
static void put_oldest(struct datalog *log, struct datalog_file file)
{
    pthread_mutex_lock(&log->lock);
    vec_push(&log->files, file);
    memmove(log->files.items + 1, log->files.items,
            (log->files.count - 1) * sizeof(*log->files.items));
    log->files.items[0] = file;
    pthread_mutex_unlock(&log->lock);
}

/* Lest a crash leaves a hole, a removal is durable before the next one. */
static int sync_removal(struct datalog *log)
{
    int rc = log->removal_unsynced ? io_sync_dir(log->io, log->dir) : 0;
    log->removal_unsynced = log->removal_unsynced && rc < 0;
    return rc;
}

static int remove_files(struct datalog *log, uint64_t position)
{
    struct datalog_file oldest;
    int rc = sync_removal(log);
    while (rc == 0 && take_oldest(log, position, &oldest)) {
        char *path = datalog_file_path(log, oldest.first);
        rc = io_remove(log->io, path);
        mem_free(path);
        if (rc < 0 && rc != ERR_NOT_FOUND) {
            put_oldest(log, oldest);
            return rc;
        }
        log->removal_unsynced = true; /* but it is gone for us in any case */
        rc = sync_removal(log);
    }
    return rc;
}

int datalog_trim(struct datalog *log, uint64_t position)
{
    pthread_mutex_lock(&log->cursors_changing);
    int save_rc = datalog_cursors_hold(log, position, &position);
    char text[ERR_TEXT_BYTES_MAX];
    strcpy(text, save_rc < 0 ? err_text() : "");
    int rc = remove_files(log, position); /* a full disk needs it more than anything */
    pthread_mutex_unlock(&log->cursors_changing);
    if (rc == 0 && save_rc < 0) {
        rc = err_set((enum err)save_rc, "%s", text);
    }
    return rc < 0 ? err_wrap(rc, "trim the datalog") : 0;
}
