#include "datalog/log.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "base/mem.h"
#include "datalog/internal.h"

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
    log->last_pending = &log->first_pending;
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
    vec_deinit(&log->files);
    pthread_cond_destroy(&log->advanced);
    pthread_cond_destroy(&log->room);
    pthread_cond_destroy(&log->handed_over);
    pthread_mutex_destroy(&log->lock);
    mem_free(log->dir);
    mem_free(log);
}

/* The file is not to be written again; the next group begins another. A full disk alone is no
 * reason: what was written of the group is cut off, and the file goes on when there is room. */
static void give_up_file(struct datalog *log, int rc)
{
    if (rc != ERR_NO_SPACE || io_truncate(log->file, log->offset) < 0) {
        io_close(&log->file);
    }
}

static int write_group(struct datalog *log)
{
    int rc = io_write_at(log->file, log->offset, buf_span(&log->group));
    if (rc < 0) {
        char text[ERR_TEXT_BYTES_MAX];
        strcpy(text, err_text());
        give_up_file(log, rc);
        return err_set((enum err)rc, "datalog: %s", text);
    }
    rc = io_sync(log->file);
    if (rc < 0) {
        io_close(&log->file);
        return err_wrap(rc, "datalog");
    }
    return 0;
}

/* The records that stand in the group buffer, and what they were made of. */
struct part {
    struct datalog_submission *behind; /* the first one that is not in it */
    uint64_t end;                      /* position after its last record */
    uint64_t origin_position;
    uint64_t time;
};

static void publish(struct datalog *log, const struct part *part)
{
    pthread_mutex_lock(&log->lock);
    log->stats.records += part->end - log->end;
    log->stats.groups++;
    log->end = part->end;
    log->files.items[log->files.count - 1].bytes = log->offset;
    pthread_cond_broadcast(&log->advanced);
    pthread_mutex_unlock(&log->lock);
}

/* Calls done() for the submissions from `first` up to `behind`; they may be gone afterwards. */
static uint64_t complete(struct datalog_submission *first, struct datalog_submission *behind,
                         int rc)
{
    char text[ERR_TEXT_BYTES_MAX];
    strcpy(text, err_text());
    uint64_t bytes = 0;
    while (first != behind) {
        struct datalog_submission *next = first->next;
        bytes += datalog_record_bytes(first->well, first->payload);
        if (rc < 0) {
            (void)err_set((enum err)rc, "%s", text);
        }
        first->done(first, rc);
        first = next;
    }
    return bytes;
}

static void give_room(struct datalog *log, uint64_t bytes, uint64_t refused)
{
    pthread_mutex_lock(&log->lock);
    log->pending_bytes -= bytes;
    log->stats.refused += refused;
    pthread_cond_broadcast(&log->room);
    pthread_mutex_unlock(&log->lock);
}

static void add_record(struct datalog *log, struct part *part,
                       struct datalog_submission *submission)
{
    struct datalog_record record = {
        .position = part->end,
        .type = submission->type,
        .well = submission->well,
        .payload = submission->payload,
    };
    if (submission->received != NULL) {
        record.origin = submission->received->origin;
        record.origin_position = submission->received->origin_position;
        record.time = submission->received->time;
    } else {
        uint64_t now = (uint64_t)MAX(io_now_ns(log->io), 0);
        record.origin = log->origin;
        record.origin_position = ++part->origin_position;
        record.time = MAX(now, part->time + 1);
    }
    part->time = MAX(part->time, record.time);
    datalog_record_write(&log->group, &record, log->end, log->file_first);
    submission->position = record.position;
    submission->time = record.time;
    part->end++;
}

/* Puts as many of the submissions as belong together into the group buffer. */
static void collect(struct datalog *log, struct datalog_submission *first,
                    struct datalog_submission *behind, struct part *part)
{
    *part = (struct part){first, log->end, log->origin_position, log->time};
    buf_clear(&log->group);
    while (part->behind != behind) {
        struct datalog_submission *next = part->behind;
        size_t bytes = datalog_record_bytes(next->well, next->payload);
        uint64_t after = log->offset + log->group.bytes + bytes;
        bool first_of_file = log->offset == DATALOG_FILE_HEADER_BYTES && log->group.bytes == 0;
        if (after > log->segment_bytes_max && !first_of_file) {
            break;
        }
        if (log->group.bytes > 0 && log->group.bytes + bytes > log->group_bytes_max) {
            break;
        }
        add_record(log, part, next);
        part->behind = next->next;
    }
}

/* Makes the next part of the submissions durable and completes them; *ret_rest is what is left. */
static int do_part(struct datalog *log, struct datalog_submission *first,
                   struct datalog_submission *behind, struct datalog_submission **ret_rest)
{
    if (log->file == NULL) {
        int rc = datalog_begin_file(log);
        if (rc < 0) {
            return rc;
        }
    }
    struct part part;
    collect(log, first, behind, &part);
    if (part.behind == first) { /* no room in this file */
        int rc = datalog_begin_file(log);
        if (rc < 0) {
            return rc;
        }
        collect(log, first, behind, &part);
    }
    int rc = write_group(log);
    if (rc < 0) {
        return rc;
    }
    log->offset += log->group.bytes;
    if (log->group.capacity > 4 * log->group_bytes_max) {
        buf_deinit(&log->group); /* a giant came by */
    }
    log->origin_position = part.origin_position;
    log->time = part.time;
    publish(log, &part);
    *ret_rest = part.behind;
    give_room(log, complete(first, part.behind, 0), 0);
    return 0;
}

static uint64_t count_submissions(const struct datalog_submission *first)
{
    uint64_t count = 0;
    for (; first != NULL; first = first->next) {
        count++;
    }
    return count;
}

static void do_submissions(struct datalog *log, struct datalog_submission *first)
{
    while (first != NULL) {
        struct datalog_submission *rest;
        int rc = do_part(log, first, NULL, &rest);
        if (rc < 0) {
            uint64_t refused = count_submissions(first);
            give_room(log, complete(first, NULL, rc), refused);
            return;
        }
        first = rest;
    }
}

static void rotate(struct datalog *log, uint64_t wanted)
{
    int rc = 0;
    if (log->file == NULL || log->offset > DATALOG_FILE_HEADER_BYTES) {
        rc = datalog_begin_file(log);
    }
    pthread_mutex_lock(&log->lock);
    log->rotations_done = wanted;
    log->rotation_rc = rc;
    strcpy(log->rotation_text, rc < 0 ? err_text() : "");
    pthread_cond_broadcast(&log->advanced);
    pthread_mutex_unlock(&log->lock);
}

static void *writer(void *context)
{
    struct datalog *log = context;
    pthread_mutex_lock(&log->lock);
    for (;;) {
        while (log->first_pending == NULL && !log->closing &&
               log->rotations_wanted == log->rotations_done) {
            pthread_cond_wait(&log->handed_over, &log->lock);
        }
        struct datalog_submission *first = log->first_pending;
        uint64_t wanted = log->rotations_wanted;
        bool rotates = wanted != log->rotations_done;
        if (first == NULL && !rotates) {
            break;
        }
        log->first_pending = NULL;
        log->last_pending = &log->first_pending;
        pthread_mutex_unlock(&log->lock);
        do_submissions(log, first);
        if (rotates) {
            rotate(log, wanted);
        }
        pthread_mutex_lock(&log->lock);
    }
    pthread_mutex_unlock(&log->lock);
    return NULL;
}

int datalog_rotate(struct datalog *log)
{
    pthread_mutex_lock(&log->lock);
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

int datalog_open(const struct datalog_options *options, struct datalog **ret_log)
{
    struct datalog *log = log_new(options);
    int rc = datalog_recover(log, options->position_min);
    if (rc < 0) {
        log_free(log);
        return err_wrap(rc, "open the datalog");
    }
    CHECK(pthread_create(&log->thread, NULL, writer, log) == 0);
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
    log_free(log);
    *log_place = NULL;
}

static int check_submissions(const struct datalog_submission *first, uint64_t *ret_bytes,
                             struct datalog_submission *const **ret_last)
{
    uint64_t bytes = 0;
    struct datalog_submission *const *last = NULL;
    for (; first != NULL; first = first->next) {
        if (first->payload.bytes > DATALOG_PAYLOAD_BYTES_MAX ||
            first->well.bytes > DATALOG_WELL_BYTES_MAX) {
            return err_set(ERR_TOO_LARGE, "datalog: a record of %zu bytes, at most %u are allowed",
                           first->payload.bytes, DATALOG_PAYLOAD_BYTES_MAX);
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
    int rc = check_submissions(first, &bytes, &last);
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
    stats.bytes = 0;
    for (size_t i = 0; i < log->files.count; i++) {
        stats.bytes += log->files.items[i].bytes;
    }
    pthread_mutex_unlock(&log->lock);
    return stats;
}

uint64_t datalog_first(struct datalog *log)
{
    pthread_mutex_lock(&log->lock);
    uint64_t first = log->files.items[0].first;
    pthread_mutex_unlock(&log->lock);
    return first;
}

uint64_t datalog_end(struct datalog *log)
{
    pthread_mutex_lock(&log->lock);
    uint64_t end = log->end;
    pthread_mutex_unlock(&log->lock);
    return end;
}

int datalog_wait(struct datalog *log, uint64_t position, int64_t timeout_ms)
{
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += timeout_ms / 1000;
    deadline.tv_nsec += timeout_ms % 1000 * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    int rc = 0;
    pthread_mutex_lock(&log->lock);
    while (rc == 0 && log->end <= position) {
        if (pthread_cond_timedwait(&log->advanced, &log->lock, &deadline) == ETIMEDOUT) {
            rc = log->end <= position ? DATALOG_END : 0;
        }
    }
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

int datalog_trim(struct datalog *log, uint64_t position)
{
    struct datalog_file oldest;
    while (take_oldest(log, position, &oldest)) {
        char *path = datalog_file_path(log, oldest.first);
        int rc = io_remove(log->io, path);
        mem_free(path);
        if (rc == 0 || rc == ERR_NOT_FOUND) {
            rc = io_sync_dir(log->io, log->dir);
        }
        if (rc < 0) {
            put_oldest(log, oldest);
            return err_wrap(rc, "trim the datalog");
        }
    }
    return 0;
}
