/*
 * Batches: entries on their way from an indexer to a webserver, and at rest in a result store.
 * The stream is a sequence of frames, each with its own checksum; its form is described in
 * docs/protocols/search.md.
 *
 *     (ENTRIES | PROGRESS)*  (END | FAULT)
 *
 * A batch in memory owns its entries; an entry's `tag` is an index into the batch's own names
 * until query_batch_remap() turns it into a number of the search. Everything here is one thread
 * at a time; ownership may move between threads.
 */
#ifndef QUERY_BATCH_H
#define QUERY_BATCH_H

#include "base/buf.h"
#include "base/err.h"
#include "query/stats.h"
#include "query/tags.h"
#include "query/timeline.h"
#include "series/entry.h"

/* A batch is closed when it reaches either; a single larger entry makes a batch of its own. */
#define QUERY_BATCH_ENTRIES_MAX 8192
#define QUERY_BATCH_BYTES_MAX (1024 * 1024)

/* Nothing larger is read: the largest entry of the ingest protocol and its values fit. */
#define QUERY_FRAME_BYTES_MAX (ENTRY_DATA_BYTES_MAX + (UINT32_C(64) << 20))
#define QUERY_FRAME_HEADER_BYTES 16

enum query_frame_kind {
    QUERY_FRAME_ENTRIES = 1,
    QUERY_FRAME_PROGRESS = 2, /* how far the scan has come, and the counts so far */
    QUERY_FRAME_END = 3,      /* as progress, and nothing follows */
    QUERY_FRAME_FAULT = 4,    /* a text; nothing follows */
};

struct query_batch {
    struct entry *entries;
    size_t count;
    char **names; /* of the tags, by number in the batch */
    size_t name_count;
    void *memory; /* what entries and names point into */
};

struct query_progress {
    int64_t position_ns;     /* everything newer (newest first) has been sent */
    uint64_t skipped_blocks; /* corrupt ones that could not be read */
    uint64_t passed_over;    /* blocks that were not read: their filters lack a word */
    size_t stage_count;
    struct query_stage_stats stages[QUERY_STAGES_STATS_MAX];
    struct query_timeline *timeline; /* to who asked for details; of a frame: it owns it */
};

struct query_frame {
    enum query_frame_kind kind;
    struct query_batch *batch;      /* ENTRIES: owned by who reads the frame */
    struct query_progress progress; /* PROGRESS, END */
    char fault[256];                /* FAULT */
    bool of_search;                 /* FAULT: of what is asked, whoever is asked: the search ends */
};

/* Appends one ENTRIES frame with those of `entries` that `picks` names (NULL: the first `count`).
 * `name` gives a tag's name. */
void query_batch_put(struct buf *buf, const struct entry *entries, const uint32_t *picks,
                     size_t count, const char *(*name)(const void *context, uint16_t tag),
                     const void *context);
void query_frame_put_progress(struct buf *buf, enum query_frame_kind kind,
                              const struct query_progress *progress);
void query_frame_put_fault(struct buf *buf, const char *text, bool of_search);

/* Takes one frame off the front of `*rest`. QUERY_FRAME_MORE: not whole yet, *rest is unchanged.
 * ERR_CORRUPT: a wrong magic, checksum or form; the stream is of no use any more. */
#define QUERY_FRAME_MORE 1
MUST_CHECK int query_frame_get(struct span *rest, struct query_frame *ret_frame);
void query_frame_deinit(struct query_frame *frame);

void query_batch_free(struct query_batch **batch);

/* Renumbers the entries' tags by `tags`. ERR_TOO_LARGE when that is full. */
MUST_CHECK int query_batch_remap(struct query_batch *batch, struct query_tags *tags);

#endif
