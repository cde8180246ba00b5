/*
 * The datalog: one ordered log of records, at once the write-ahead log of this node and what
 * other nodes follow. On disk: docs/formats/datalog.md.
 *
 *     open (recovers) ──submit──> appended ──one write, one sync per group──> durable ──done()
 *
 * Any number of threads submit. One writer thread of the log collects what they handed over,
 * writes and syncs it, and calls each submission's done(), in the order of positions; all calls
 * come from that one thread. A fault fails the whole group, and the next group begins a new
 * segment file, so a broken file is never written again; a full disk refuses groups and the
 * first one that fits is accepted again.
 *
 * A record that was confirmed stays until it is trimmed. One that was refused may still be
 * found after a crash; it was never promised.
 */
#ifndef DATALOG_LOG_H
#define DATALOG_LOG_H

#include "base/uuid.h"
#include "io/io.h"

#define DATALOG_HEADER_BYTES 68
#define DATALOG_PAYLOAD_BYTES_MAX (UINT32_C(192) << 20)
#define DATALOG_WELL_BYTES_MAX 255
#define DATALOG_SEGMENT_BYTES_DEFAULT (UINT64_C(64) << 20)
#define DATALOG_PENDING_BYTES_DEFAULT (UINT64_C(64) << 20)
#define DATALOG_GROUP_BYTES_DEFAULT (UINT64_C(8) << 20)
#define DATALOG_HELD_BYTES_DEFAULT UINT64_C(10000000000)
#define DATALOG_AHEAD_NS_DEFAULT (UINT64_C(10) * 365 * 24 * 3600 * 1000000000) /* ten years */
#define DATALOG_ORIGINS_MAX 65535

struct datalog;
struct datalog_reader;

enum datalog_type {
    DATALOG_UPDATE = 1, /* a run of entries */
    DATALOG_META = 2,   /* attributes of series */
    DATALOG_DELETE = 3, /* a selector and a range of time */
    DATALOG_POINTS = 4, /* a run of points, by series numbers of this node */
    DATALOG_SERIES = 5, /* what those numbers mean, before the first points that use them */
};
#define DATALOG_TYPE_MAX DATALOG_SERIES

enum datalog_outcome {
    DATALOG_END = 1,     /* read: no durable record there yet; wait: time is over */
    DATALOG_TRIMMED = 2, /* read: the records there are gone; the reader stands at the first one */
    DATALOG_KNOWN = 3,   /* done() of a received record: it was here before; nothing is written */
    DATALOG_AHEAD = 4,   /* done() of a received record: what must come before it is missing */
};

/* Who wrote a record first: a node and the life of its log. */
struct datalog_origin {
    struct uuid node;
    uint64_t incarnation;
};

/* How far the records of an origin are here. */
struct datalog_origin_position {
    struct datalog_origin origin;
    uint64_t position; /* highest origin position; 0: none */
    uint64_t time;     /* hybrid, of the record there; 0: not known */
};

struct datalog_record {
    uint64_t position;        /* in this log; the first is 1, without gaps */
    uint64_t origin_position; /* in the origin's count; without gaps either */
    uint64_t time;            /* hybrid logical: nanoseconds since 1970, always growing */
    struct datalog_origin origin;
    enum datalog_type type;
    struct span well;
    struct span payload;
};

struct datalog_options {
    struct io *io;
    const char *dir;            /* made when missing */
    struct uuid node;           /* the origin of records made here */
    uint64_t segment_bytes_max; /* 0: default. A larger record gets a file of its own. */
    uint64_t pending_bytes_max; /* 0: default. Submitters wait while more is handed over. */
    uint64_t group_bytes_max;   /* 0: default */
    uint64_t position_min;      /* a log that ends below it goes on there, as a new incarnation */
    bool begin_anew;            /* as a new incarnation: see below */
    uint64_t held_bytes_max;    /* 0: default. A cursor that holds back more is detached. */
    uint64_t ahead_ns_max;      /* 0: default. Received records from a later time are refused. */

    /* Damage, and cursors that are detached: one line each, by any thread. May be NULL. */
    void (*report)(void *context, const char *text);
    void *report_context;
};

/* What recovery found and what reading has found since. */
struct datalog_damage {
    uint64_t torn_bytes;      /* cut off the end when it was opened */
    uint64_t corrupt_records; /* places where reading failed its checksum */
    uint64_t cursor_lines;    /* of the file `cursors` */
};

struct datalog_stats {
    uint64_t first; /* oldest position kept */
    uint64_t end;   /* one after the last durable position */
    uint64_t bytes; /* of all segment files */
    uint64_t segments;
    uint64_t records; /* appended since it was opened */
    uint64_t groups;  /* syncs since it was opened */
    uint64_t refused; /* submissions that failed */
    uint64_t known;   /* received records that were here before */
    uint64_t cursors;
    uint64_t detached; /* of them */
    struct datalog_damage damage;
};

/* With `begin_anew` the log writes as a new incarnation from now on, as a node must that others
 * follow: it cannot know that its disk is no older copy, whose positions it would use twice. */
MUST_CHECK int datalog_open(const struct datalog_options *options, struct datalog **ret_log);

/* Completes what was handed over, then stops the writer. Readers must be closed before. */
void datalog_close(struct datalog **log);

/*
 * One append on its way. The submitter fills the first part and leaves it alone until done() is
 * called: with 0, the position and time set, and the record durable; or with a fault, whose
 * text err_text() holds during the call. done() runs on the writer thread and must be quick;
 * it may free the submission, and may submit nothing.
 *
 * A received record is written once: its origin's highest position decides, which is durable
 * with the record, survives trimming, and is the log's own for its own origin. So redelivery is
 * DATALOG_KNOWN, whatever way it comes. `after` is the promise that nothing was left out:
 * what follows a record that was refused (a full disk) is DATALOG_AHEAD until that one is here.
 * A record of our own origin that we have not written is ERR_CONFLICT: this node was restored
 * from an older copy and needs another incarnation.
 */
struct datalog_submission {
    enum datalog_type type;
    struct span well;
    struct span payload;
    /* NULL: a record of this node. Else one from elsewhere, whose origin, origin position and
     * time are kept. */
    const struct datalog_record *received;
    uint64_t after; /* received: origin position that must be here before; 0: any */
    void (*done)(struct datalog_submission *submission, int rc);

    uint64_t position;
    uint64_t time;
    struct datalog_submission *next;
    int outcome; /* the log's own */
};

/* Hands over `count` submissions that stand one after another in the log, linked by `next`.
 * Waits while pending_bytes_max is reached. Nothing was handed over after ERR_TOO_LARGE, and
 * after ERR_INVALID: a received time lies more than ahead_ns_max ahead of this node's clock:
 * that is damage, not a clock. */
MUST_CHECK int datalog_submit(struct datalog *log, struct datalog_submission *first);

/* The same for one record, waiting until it is durable. */
MUST_CHECK int datalog_append(struct datalog *log, enum datalog_type type, struct span well,
                              struct span payload, uint64_t *ret_position);

struct datalog_origin datalog_origin(struct datalog *log);
struct datalog_stats datalog_stats(struct datalog *log);

/* The highest durable position of an origin, also of the own one; 0: it was never seen. */
uint64_t datalog_origin_position(struct datalog *log, struct datalog_origin origin);

/* All of them, the own one first, which may be 0: `buf` gets struct datalog_origin_position's. */
size_t datalog_origin_positions(struct datalog *log, struct buf *buf);

/* What was here of each origin, the own one included, when the file was begun that `position` is
 * in: `buf` gets struct datalog_origin_position's, *ret_first the file's first position.
 * ERR_CORRUPT: its header is damaged; DATALOG_TRIMMED: it is gone. */
MUST_CHECK int datalog_origins_before(struct datalog *log, uint64_t position, struct buf *buf,
                                      uint64_t *ret_first);

/* A snapshot was taken in that holds these records: raises what is lower. Durable on return. */
MUST_CHECK int datalog_origins_advance(struct datalog *log,
                                       const struct datalog_origin_position *positions,
                                       size_t count);

uint64_t datalog_first(struct datalog *log);
uint64_t datalog_bytes_from(struct datalog *log, uint64_t position); /* of the files with those */
uint64_t datalog_end(struct datalog *log);

/* Waits until position `position` is durable; DATALOG_END when the time is over. */
MUST_CHECK int datalog_wait(struct datalog *log, uint64_t position, int64_t timeout_ms);

/* Begins a new segment file behind what was handed over, so that the present one can be trimmed:
 * for a disk that is nearly full. Waits for it. */
MUST_CHECK int datalog_rotate(struct datalog *log);

/* Removes the segment files that hold only records before `position`, oldest first: as far as
 * every attached cursor has acknowledged durably, for which it makes cursors durable, and
 * detaches those that hold back more than held_bytes_max. Call it about once a second. */
MUST_CHECK int datalog_trim(struct datalog *log, uint64_t position);

/*
 * Reads durable records in order from `position` on. One thread per reader. After ERR_CORRUPT
 * (the text names file and offset) or DATALOG_TRIMMED the reader stands at the next readable
 * record: what is missing is the gap between the positions. The record borrows from the reader
 * until its next call.
 */
MUST_CHECK int datalog_reader_open(struct datalog *log, uint64_t position,
                                   struct datalog_reader **ret_reader);
MUST_CHECK int datalog_read(struct datalog_reader *reader, struct datalog_record *ret_record);
uint64_t datalog_reader_position(const struct datalog_reader *reader); /* of the next record */
/* First position of the file of the record that was read last: its header says what the log does
 * not have (datalog_origins_before). 0 before the first one. */
uint64_t datalog_reader_file(const struct datalog_reader *reader);
void datalog_reader_close(struct datalog_reader **reader);

#endif
