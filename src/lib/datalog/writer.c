/*
 * The thread that writes the log: groups, their sync, their done(). Tested by log_test.c.
 */
#include <inttypes.h>

#include "base/mem.h"
#include "datalog/internal.h"

/* The file is not to be written again; the next group begins another. A full disk alone is no
 * reason: what was written of the group is cut off, durably, lest it comes back behind what
 * follows, and the file goes on when there is room. */
static void give_up_file(struct datalog *log, int rc)
{
    if (rc != ERR_NO_SPACE || io_truncate(log->file, log->offset) < 0 || io_sync(log->file) < 0) {
        io_close(&log->file);
    }
}

/* Small payloads are copied and written together, large ones from where they are. */
static int write_pieces(struct datalog *log)
{
    uint64_t offset = log->offset;
    size_t from = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < log->direct.count; i++) {
        const struct datalog_direct *direct = &log->direct.items[i];
        struct span copied = span_from(span_first(buf_span(&log->group), direct->behind), from);
        rc = io_write_at(log->file, offset, copied);
        if (rc == 0) {
            rc = io_write_at(log->file, offset + copied.bytes, direct->payload);
        }
        offset += copied.bytes + direct->payload.bytes;
        from = direct->behind;
    }
    struct span rest = span_from(buf_span(&log->group), from);
    return rc == 0 && rest.bytes > 0 ? io_write_at(log->file, offset, rest) : rc;
}

static int write_group(struct datalog *log)
{
    int rc = write_pieces(log);
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
    uint64_t origin_time;
    uint64_t time;
};

static void publish(struct datalog *log, const struct part *part)
{
    pthread_mutex_lock(&log->lock);
    log->stats.records += part->end - log->end;
    log->stats.groups++;
    log->end = part->end;
    log->origin_position = part->origin_position;
    log->origin_time = part->origin_time;
    log->files.items[log->files.count - 1].bytes = log->offset;
    datalog_origins_commit(&log->origins);
    pthread_cond_broadcast(&log->advanced);
    datalog_cursors_advanced(log);
    pthread_mutex_unlock(&log->lock);
}

static void take_back(struct datalog *log)
{
    pthread_mutex_lock(&log->lock);
    datalog_origins_rollback(&log->origins);
    pthread_mutex_unlock(&log->lock);
}

/* The text of a fault that is one submission's own. */
static void explain(const struct datalog_submission *submission)
{
    if (submission->outcome == ERR_TOO_LARGE) {
        (void)err_set(ERR_TOO_LARGE, "datalog: records of more than %d origins",
                      DATALOG_ORIGINS_MAX);
    } else if (submission->outcome < 0) {
        (void)err_set((enum err)submission->outcome,
                      "datalog: a record of this node, %" PRIu64 " in its count, comes from "
                      "elsewhere and is not in its log: it was restored from an older copy and "
                      "needs a new incarnation",
                      submission->received->origin_position);
    }
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
        } else {
            explain(first);
        }
        first->done(first, rc < 0 ? rc : first->outcome);
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

/* 0: the received record is to be written; else what its done() gets. */
static int judge(struct datalog *log, const struct part *part,
                 const struct datalog_submission *submission)
{
    const struct datalog_record *received = submission->received;
    struct datalog_origin_position position = {received->origin, received->origin_position,
                                               received->time};
    if (datalog_same_origin(received->origin, log->origin)) {
        return position.position <= part->origin_position ? DATALOG_KNOWN : ERR_CONFLICT;
    }
    int outcome = 0;
    pthread_mutex_lock(&log->lock);
    uint64_t here = datalog_origins_staged(&log->origins, received->origin);
    if (position.position <= here) {
        outcome = DATALOG_KNOWN;
        log->stats.known++;
    } else if (submission->after > here) {
        outcome = DATALOG_AHEAD;
    } else if (!datalog_origins_stage(&log->origins, position)) {
        outcome = ERR_TOO_LARGE;
    }
    pthread_mutex_unlock(&log->lock);
    return outcome;
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
    submission->outcome = 0;
    if (submission->received != NULL) {
        submission->outcome = judge(log, part, submission);
        if (submission->outcome != 0) {
            return;
        }
        record.origin = submission->received->origin;
        record.origin_position = submission->received->origin_position;
        record.time = submission->received->time;
    } else {
        uint64_t now = (uint64_t)MAX(io_now_ns(log->io), 0);
        record.origin = log->origin;
        record.origin_position = ++part->origin_position;
        record.time = MAX(now, part->time + 1);
        part->origin_time = record.time;
    }
    part->time = MAX(part->time, record.time);
    if (record.payload.bytes < log->direct_bytes_min) {
        datalog_record_write(&log->group, &record, log->end, log->file_first);
    } else {
        datalog_record_write_head(&log->group, &record, log->end, log->file_first);
        vec_push(&log->direct, (struct datalog_direct){log->group.bytes, record.payload});
    }
    log->group_bytes += datalog_record_bytes(record.well, record.payload);
    submission->position = record.position;
    submission->time = record.time;
    part->end++;
}

/* Puts as many of the submissions as belong together into the group buffer. */
static void collect(struct datalog *log, struct datalog_submission *first,
                    struct datalog_submission *behind, struct part *part)
{
    *part = (struct part){first, log->end, log->origin_position, log->origin_time, log->time};
    buf_clear(&log->group);
    vec_clear(&log->direct);
    log->group_bytes = 0;
    while (part->behind != behind) {
        struct datalog_submission *next = part->behind;
        size_t bytes = datalog_record_bytes(next->well, next->payload);
        uint64_t after = log->offset + log->group_bytes + bytes;
        bool first_of_file = log->offset == log->file_begin && log->group_bytes == 0;
        if (after > log->segment_bytes_max && !first_of_file) {
            break;
        }
        if (log->group_bytes > 0 && log->group_bytes + bytes > log->group_bytes_max) {
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
    if (part.end > log->end) { /* not all of them were here before */
        int rc = write_group(log);
        if (rc < 0) {
            take_back(log);
            return rc;
        }
        log->offset += log->group_bytes;
        log->time = part.time;
        publish(log, &part);
    }
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

/* Positions of other origins that a snapshot brought, to be durable with the header of a file. */
static int stage_advances(struct datalog *log, bool *ret_any)
{
    int rc = 0;
    pthread_mutex_lock(&log->lock);
    *ret_any = log->advances.count > 0;
    for (size_t i = 0; rc == 0 && i < log->advances.count; i++) {
        struct datalog_origin_position *position = &log->advances.items[i];
        if (!datalog_same_origin(position->origin, log->origin) &&
            !datalog_origins_stage(&log->origins, *position)) {
            rc = err_set(ERR_TOO_LARGE, "datalog: more than %d origins", DATALOG_ORIGINS_MAX);
        }
        log->time = MAX(log->time, position->time); /* what is written here comes after it */
    }
    vec_clear(&log->advances);
    pthread_mutex_unlock(&log->lock);
    return rc;
}

static void rotate(struct datalog *log, uint64_t wanted)
{
    bool advances = false;
    int rc = stage_advances(log, &advances);
    if (rc == 0 && (advances || log->file == NULL || log->offset > log->file_begin)) {
        rc = datalog_begin_file(log);
    }
    pthread_mutex_lock(&log->lock);
    if (rc == 0) {
        datalog_origins_commit(&log->origins);
    } else {
        datalog_origins_rollback(&log->origins);
    }
    log->rotations_done = wanted;
    log->rotation_rc = rc;
    strcpy(log->rotation_text, rc < 0 ? err_text() : "");
    pthread_cond_broadcast(&log->advanced);
    pthread_mutex_unlock(&log->lock);
}

void *datalog_writer(void *context)
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
