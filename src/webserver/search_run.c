/*
 * The coordinator of one search: a client stream per indexer, the merge, the webserver's stages,
 * the result store. A search that follows takes entries as they come, without the merge.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/time.h"
#include "query/serve.h"
#include "service/log.h"
#include "webserver/search_indexers.h"
#include "webserver/search_inner.h"
#include "webserver/search_progress.h"
#include "webserver/table_save.h"

#define FRAMES_WAITING_MAX 8 /* per indexer, while the merge waits for another one */
#define HTTP_CONFLICT 409    /* a table is not there */
#define IDLE_MS 60000        /* an indexer that says nothing for so long is given up */
#define FLUSH_INTERVAL_NS (50 * TIME_MS_NS)
#define FLUSH_ROWS 1024
#define PART_FIRST 4
#define PART_NS (20 * TIME_MS_NS)    /* what the stages take for a part, more or less */
#define AGAIN_NS (1000 * TIME_MS_NS) /* an indexer that was lost is followed again after it */
#define AGAIN_LOOK_NS (20 * TIME_MS_NS)
#define FLUSH_BYTES (256 * 1024)

/* ── The streams ─────────────────────────────────────────────────────────────────────────── */

static void free_arrival(struct arrival *arrival)
{
    query_frame_deinit(&arrival->frame);
    mem_free(arrival);
}

static int hand_over(struct stream *stream, struct query_frame *frame)
{
    struct arrival *arrival = MEM_NEW(struct arrival);
    *arrival = (struct arrival){.index = stream->input, .frame = *frame};
    stream->complete = frame->kind == QUERY_FRAME_END || frame->kind == QUERY_FRAME_FAULT;
    if (channel_push(stream->frames, arrival) != 0) {
        free_arrival(arrival);
        return err_set(ERR_CANCELLED, "the search has ended");
    }
    return 0;
}

static int on_bytes(void *context, struct span data)
{
    struct stream *stream = context;
    buf_append(&stream->rest, data);
    struct span rest = buf_span(&stream->rest);
    struct query_frame frame;
    int rc = 0;
    while (!stream->complete && (rc = query_frame_get(&rest, &frame)) == 0) {
        rc = hand_over(stream, &frame);
        if (rc < 0) {
            break;
        }
    }
    buf_consume(&stream->rest, stream->rest.bytes - rest.bytes);
    return rc < 0 ? rc : 0;
}

/* The tables that an indexer said it lacks: all of them, it keeps them by their hash. */
static int push_tables(struct stream *stream)
{
    struct search_indexers *indexers = stream->one->search->indexers;
    const struct query *query = stream->one->query;
    int rc = 0;
    for (size_t i = 0; i < query->copy_count && rc == 0; i++) {
        char *path = mem_printf("/control/v1/tables/%s", query->copies[i].hash);
        char *url = search_indexer_url(indexers, stream->index, path);
        struct http_answer answer = {0};
        struct http_call call = {
            .method = "PUT",
            .url = url,
            .body = buf_span(&query->copies[i].contents),
            .content_type = "application/octet-stream",
            .control = true,
            .idle_ms = IDLE_MS,
            .cancel = stream->one->cancel,
        };
        rc = http_call(search_indexers_client(indexers), &call, &answer);
        if (rc == 0) {
            rc = answer.status == 200 ? 0
                                      : err_set(ERR_UNAVAILABLE, "table '%s': %s",
                                                query->copies[i].name, http_answer_error(&answer));
            http_answer_deinit(&answer);
        }
        mem_free(url);
        mem_free(path);
    }
    return rc;
}

/* Asks; when tables are missing there, a second time with them. */
static int call_indexer(struct stream *stream, struct http_answer *answer)
{
    struct search_indexers *indexers = stream->one->search->indexers;
    char *url = search_indexer_url(indexers, stream->index, "/control/v1/search");
    struct http_call call = {
        .method = "POST",
        .url = url,
        .body = span_of_str(stream->body),
        .push = on_bytes,
        .push_context = stream,
        .control = true,
        .idle_ms = IDLE_MS,
        .cancel = stream->one->cancel,
    };
    int rc = stream->fault != NULL ? err_set(ERR_UNAVAILABLE, "%s", stream->fault)
                                   : http_call(search_indexers_client(indexers), &call, answer);
    if (rc == 0 && answer->status == HTTP_CONFLICT) {
        http_answer_deinit(answer);
        *answer = (struct http_answer){0};
        rc = push_tables(stream);
        rc = rc < 0 ? rc : http_call(search_indexers_client(indexers), &call, answer);
    }
    mem_free(url);
    return rc;
}

/* One answer, to its end; what went wrong goes the way of the frames. */
static void read_answer(struct stream *stream)
{
    struct http_answer answer = {0};
    struct query_frame frame = {.kind = QUERY_FRAME_FAULT};
    int rc = call_indexer(stream, &answer);
    if (rc < 0) {
        (void)snprintf(frame.fault, sizeof(frame.fault), "%.200s", err_text());
    } else if (answer.status != 200) {
        (void)snprintf(frame.fault, sizeof(frame.fault), "%.200s", http_answer_error(&answer));
    } else {
        (void)snprintf(frame.fault, sizeof(frame.fault), "its answer ended too early");
    }
    if (!stream->complete) {
        (void)hand_over(stream, &frame);
    }
    if (rc == 0) {
        http_answer_deinit(&answer);
    }
}

static void *read_stream(void *context)
{
    struct stream *stream = context;
    read_answer(stream);
    channel_close(stream->frames);
    return NULL;
}

/* Follows until the search is stopped: an indexer that was lost may come back. */
static void *follow_stream(void *context)
{
    static const struct timespec pause = {.tv_nsec = AGAIN_LOOK_NS};
    struct stream *stream = context;
    while (!atomic_load(&stream->one->stop)) {
        buf_clear(&stream->rest);
        stream->complete = false;
        read_answer(stream);
        for (int64_t waited = 0; waited < AGAIN_NS && !atomic_load(&stream->one->stop);
             waited += AGAIN_LOOK_NS) {
            (void)nanosleep(&pause, NULL);
        }
        if (stream->fault != NULL) {
            break; /* it is not known what only it would return */
        }
    }
    return NULL;
}

/* Takes the share. Asks the indexer for what is older than `end_ns`. */
static void start_stream(struct run *run, size_t index, json_t *share, int64_t end_ns)
{
    struct search_one *one = run->one;
    struct query_request request = {
        .query = one->effective,
        .start_ns = one->start_ns,
        .end_ns = end_ns,
        .stages = one->query->collapse,
        .entries_max = query_first_needed(one->query),
        .follow = one->follow,
        .detailed = !one->follow,
        .share = share,
        .tables = one->query,
    };
    if (one->preview) {
        request.entries_max = MIN(request.entries_max, (uint64_t)SEARCH_PREVIEW_ROWS);
        request.read_max = SEARCH_PREVIEW_READ;
    }
    struct stream *stream = MEM_NEW(struct stream);
    const char *fault = run->places.faults[index];
    stream->one = one;
    stream->index = index;
    stream->input = run->streams.count;
    stream->fault = fault != NULL ? mem_strdup(fault) : NULL;
    stream->share = share;
    stream->end_ns = end_ns;
    stream->body = query_request_encode(&request);
    stream->reached_ns = end_ns;
    query_spool_init(&stream->states, run->scratch);
    stream->frames = run->inbox != NULL ? run->inbox : channel_new(FRAMES_WAITING_MAX);
    vec_push(&run->streams, stream);
    CHECK(pthread_create(&stream->thread, NULL, one->follow ? follow_stream : read_stream,
                         stream) == 0);
}

static void start_streams(struct run *run)
{
    size_t count = search_indexers_count(run->indexers);
    search_places_ask(run->indexers, &run->places);
    for (size_t i = 0; i < count; i++) {
        start_stream(run, i, search_share_of(&run->places, i), run->one->end_ns);
    }
}

static void drain(struct channel *frames)
{
    void *arrival = NULL;
    while (channel_pop(frames, 0, &arrival) == 0) {
        free_arrival(arrival);
    }
}

static void stop_streams(struct run *run)
{
    atomic_store(&run->one->stop, run->one->follow || atomic_load(&run->one->stop));
    for (size_t i = 0; i < run->streams.count; i++) {
        channel_close(run->streams.items[i]->frames);
    }
    http_cancel_fire(run->one->cancel);
    for (size_t i = 0; i < run->streams.count; i++) {
        struct stream *stream = run->streams.items[i];
        CHECK(pthread_join(stream->thread, NULL) == 0);
        if (run->inbox == NULL) {
            drain(stream->frames);
            channel_free(&stream->frames);
        }
        buf_deinit(&stream->rest);
        query_spool_deinit(&stream->states);
        query_timeline_deinit(&stream->timeline);
        json_decref(stream->share);
        mem_free(stream->body);
        mem_free(stream->fault);
        mem_free(stream);
    }
    if (run->inbox != NULL) {
        drain(run->inbox);
        channel_free(&run->inbox);
    }
    vec_deinit(&run->streams);
    search_places_deinit(&run->places);
}

/* ── Results ─────────────────────────────────────────────────────────────────────────────── */

static const char *tag_name(const void *context, uint16_t tag)
{
    return query_tags_name(context, tag);
}

static int store(struct run *run, const struct entry *entries, const uint32_t *picks, size_t count)
{
    int rc = query_result_append(run->result, entries, picks, count, tag_name, &run->tags);
    run->full = run->full || rc == QUERY_RESULT_FULL;
    if (rc == 0 && count > 0) {
        CHECK(pthread_mutex_lock(&run->one->lock) == 0);
        CHECK(pthread_cond_broadcast(&run->one->changed) == 0);
        CHECK(pthread_mutex_unlock(&run->one->lock) == 0);
    }
    return rc < 0 ? rc : 0;
}

static int flush(struct run *run)
{
    struct pending *pending = &run->pending;
    const uint8_t *base = pending->bytes.data;
    for (size_t i = 0; i < pending->entries.count; i++) {
        struct entry *entry = &pending->entries.items[i];
        entry->data.data = base + (uintptr_t)entry->data.data;
        entry->enumerated.data = base + (uintptr_t)entry->enumerated.data;
    }
    int rc = pending->entries.count == 0
                 ? 0
                 : store(run, pending->entries.items, NULL, pending->entries.count);
    vec_clear(&pending->entries);
    buf_clear(&pending->bytes);
    return rc;
}

/* Appends the bytes; returns them as an offset in place of a pointer. */
static struct span keep(struct buf *bytes, struct span span)
{
    size_t offset = bytes->bytes;
    buf_append(bytes, span);
    return (struct span){.data = (const uint8_t *)(uintptr_t)offset, .bytes = span.bytes};
}

static int64_t now_ns(const struct run *run)
{
    return io_monotonic_ns(run->one->search->webserver->io);
}

static int collect(struct run *run, const struct query_block *block)
{
    struct pending *pending = &run->pending;
    if (pending->entries.count == 0) {
        pending->since_ns = now_ns(run);
        (void)buf_reserve(&pending->bytes, 1); /* offsets from something that is not NULL */
    }
    for (size_t i = 0; i < block->count; i++) {
        struct entry entry = block->entries[block->picks[i]];
        entry.data = keep(&pending->bytes, entry.data);
        entry.enumerated = keep(&pending->bytes, entry.enumerated);
        vec_push(&pending->entries, entry);
    }
    bool due = pending->entries.count >= FLUSH_ROWS || pending->bytes.bytes >= FLUSH_BYTES ||
               now_ns(run) - pending->since_ns >= FLUSH_INTERVAL_NS;
    return due ? flush(run) : 0;
}

static int keep_block(void *context, const struct query_block *block)
{
    struct run *run = context;
    if (block->count < FLUSH_ROWS / 2) {
        return collect(run, block);
    }
    int rc = flush(run);
    return rc < 0 ? rc : store(run, block->entries, block->picks, block->count);
}

/* Entries of one slot of time. */
static int finish_part(struct run *run, const struct entry *entries, size_t count)
{
    while (run->picks.count < count) {
        vec_push(&run->picks, 0);
    }
    for (size_t i = 0; i < count; i++) {
        run->picks.items[i] = (uint32_t)i;
    }
    struct query_block block = {
        .entries = entries,
        .picks = run->picks.items,
        .count = count,
        .tag_name = tag_name,
        .context = &run->tags,
    };
    int64_t begin_ns = now_ns(run);
    int rc = query_pipeline_run(run->pipeline, &block);
    int64_t took_ns = now_ns(run) - begin_ns;
    if (took_ns > PART_NS) {
        run->part = MAX(run->part / 4, (size_t)1);
    } else if (took_ns < PART_NS / 4 && run->part < SIZE_MAX / 8) {
        run->part *= 4;
    }
    search_progress_note(run, entries[0].time_ns);
    return rc < 0 ? rc : keep_block(run, &block);
}

static bool is_stopped(const struct search_one *one)
{
    return atomic_load(&one->stop) || (one->outer != NULL && atomic_load(&one->outer->stop));
}

/* A program of eval may take a second for a hundred entries: who stops it does not wait for all.
 * Of states all count or none. */
static int finish_block(struct run *run, const struct entry *entries, size_t count)
{
    int rc = 0;
    for (size_t at = 0; at < count && rc == 0 && (run->shared || !is_stopped(run->one));) {
        size_t most = MIN(count - at, run->part);
        size_t part = query_timeline_cut(&run->timeline, entries + at, most);
        rc = finish_part(run, entries + at, part);
        at += part;
    }
    return rc;
}

static int keep_finished(void *context, const struct query_block *block)
{
    struct run *run = context;
    int rc = query_scratch_look(run->scratch); /* nobody may want it any more */
    search_progress_note(run, block->entries[block->picks[0]].time_ns);
    return rc < 0 ? rc : keep_block(run, block);
}

/* What the stages held back until the end. */
static int finish_stages(struct run *run)
{
    struct query_block like = {.tag_name = tag_name, .context = &run->tags};
    int rc = query_pipeline_finish(run->pipeline, &like, keep_finished, run);
    return rc < 0 ? rc : flush(run);
}

/* ── Indexers that break off ─────────────────────────────────────────────────────────────── */

/* All that the indexer still had to give is older than what is returned. */
static int64_t lose_input(struct run *run, struct stream *stream, bool *ret_partly)
{
    *ret_partly = false;
    stream->ended = true;
    if (run->shared) { /* states are all or nothing */
        query_spool_deinit(&stream->states);
        query_merge_end(run->merge, stream->input);
        return stream->end_ns;
    }
    if (stream->share == NULL) { /* nobody can go on: what it gave is kept to the last entry */
        query_merge_end(run->merge, stream->input);
        return MIN(stream->reached_ns, stream->end_ns);
    }
    int64_t time_ns = query_merge_lose(run->merge, stream->input, ret_partly);
    return time_ns >= stream->end_ns ? stream->end_ns : time_ns + (*ret_partly ? 0 : 1);
}

/* Lets others return what the lost indexer would have. False: not all of it is theirs too. */
static bool replace(struct run *run, const struct stream *lost, int64_t end_ns)
{
    if (lost->share == NULL || end_ns <= run->one->start_ns) {
        return lost->share != NULL;
    }
    struct search_places now;
    search_places_ask(run->indexers, &now);
    for (size_t i = 0; i < now.count; i++) {
        json_t *share = search_share_instead(lost->share, &now, lost->index, i);
        if (share != NULL && run->streams.count < QUERY_MERGE_INPUTS_MAX) {
            size_t input = query_merge_add(run->merge, end_ns);
            CHECK(input == run->streams.count);
            start_stream(run, i, share, end_ns);
        } else {
            json_decref(share);
        }
    }
    bool held = search_share_is_held(lost->share, &run->places, &now, lost->index);
    search_places_deinit(&now);
    return held;
}

/* Who asks for all times has no beginning to be told. */
static const char *range_text(int64_t start_ns, int64_t end_ns, struct buf *text)
{
    char from[TIME_TEXT_BYTES];
    char to[TIME_TEXT_BYTES];
    if (start_ns > 0) {
        buf_printf(text, "from %s ", time_text(start_ns, from));
    }
    buf_printf(text, "%s %s", start_ns > 0 ? "to" : "up to", time_text(end_ns, to));
    return buf_str(text);
}

/* Somebody else goes on, or what is missing is said, by name and time. */
static void give_up(struct run *run, size_t index, const char *why)
{
    struct stream *stream = run->streams.items[index];
    const char *name = search_indexer_name(run->indexers, stream->index);
    why = search_indexer_fault(run->indexers, stream->index, why);
    bool partly = false;
    int64_t end_ns = lose_input(run, stream, &partly);
    if (is_stopped(run->one)) {
        return;
    }
    bool replaced = replace(run, stream, end_ns) && !partly;
    end_ns += partly ? 1 : 0; /* of that time some are missing */
    struct buf range = {0};
    search_one_message(run->one, replaced ? "info" : "warn", "indexer %s: %s; %s %s%s", name, why,
                       replaced ? "others return what it had" : "what only it holds",
                       range_text(run->one->start_ns, end_ns, &range),
                       replaced ? "" : " is missing");
    buf_deinit(&range);
    log_warn("search-indexer", "an indexer did not finish its part of a search", "search",
             run->one->id, "indexer", name, "error", why, "replaced", replaced ? "yes" : "no",
             NULL);
}

/* All states of an indexer have come. They need no order. */
static int add_states(struct run *run, struct stream *stream)
{
    struct query_batch *batch = NULL;
    int rc;
    while ((rc = query_spool_next(&stream->states, &batch)) == 0) {
        rc = query_batch_remap(batch, &run->tags);
        rc = rc < 0 ? rc : finish_block(run, batch->entries, batch->count);
        query_batch_free(&batch);
        if (rc < 0) {
            break;
        }
    }
    query_spool_deinit(&stream->states);
    return rc < 0 ? rc : 0;
}

/* ── Frames ──────────────────────────────────────────────────────────────────────────────── */

/* What comes of it says whether the indexer can be believed; *ret_rc, whether we can go on. */
static int take_entries(struct run *run, size_t index, struct query_batch **batch, int *ret_rc)
{
    struct stream *stream = run->streams.items[index];
    if ((*batch)->count > 0) {
        stream->reached_ns = (*batch)->entries[(*batch)->count - 1].time_ns;
    }
    if (run->shared) {
        uint64_t written = query_scratch_written_here();
        *ret_rc = query_spool_add(&stream->states, batch);
        run->spooled_bytes += query_scratch_written_here() - written;
        return 0;
    }
    int rc = query_batch_remap(*batch, &run->tags);
    return rc < 0 ? rc : query_merge_push(run->merge, index, batch);
}

/* Every indexer would come to it. */
static int end_search(const struct run *run, size_t index, const struct query_frame *frame)
{
    const struct stream *stream = run->streams.items[index];
    return err_set(ERR_TOO_LARGE, "indexer %s: %s",
                   search_indexer_name(run->indexers, stream->index), frame->fault);
}

static int take_frame(struct run *run, size_t index, struct query_frame *frame)
{
    int rc = 0;
    if (run->streams.items[index]->ended) {
        return 0; /* given up: what still comes cannot be put in order */
    }
    switch (frame->kind) {
    case QUERY_FRAME_ENTRIES:
        if (take_entries(run, index, &frame->batch, &rc) < 0) {
            give_up(run, index, err_text());
        }
        break;
    case QUERY_FRAME_PROGRESS:
        search_progress_take(run, index, &frame->progress);
        if (!run->shared) {
            query_merge_bound(run->merge, index, frame->progress.position_ns);
        }
        break;
    case QUERY_FRAME_END:
        search_progress_take(run, index, &frame->progress);
        rc = run->shared ? add_states(run, run->streams.items[index]) : 0;
        query_merge_end(run->merge, index);
        run->streams.items[index]->ended = true;
        break;
    case QUERY_FRAME_FAULT:
        if (frame->of_search) {
            return end_search(run, index, frame);
        }
        give_up(run, index, frame->fault);
        break;
    }
    search_progress_publish(run);
    return rc;
}

/* Waits for the input that the merge named; what is collected goes out meanwhile. */
static int wait_for(struct run *run, size_t index)
{
    void *item = NULL;
    int rc = channel_pop(run->streams.items[index]->frames, FLUSH_INTERVAL_NS / TIME_MS_NS, &item);
    if (rc == 0) {
        struct arrival *arrival = item;
        rc = take_frame(run, index, &arrival->frame);
        free_arrival(arrival);
        return rc;
    }
    if (rc == CHANNEL_CLOSED && !run->streams.items[index]->ended) {
        give_up(run, index, "its answer ended too early");
    }
    return flush(run);
}

static bool enough(struct run *run)
{
    return is_stopped(run->one) || run->full || query_pipeline_done(run->pipeline) ||
           (run->one->preview && query_result_counts(run->result).rows >= SEARCH_PREVIEW_ROWS);
}

static int merge_all(struct run *run)
{
    int rc = 0;
    while (rc >= 0 && !enough(run)) {
        const struct entry *entries = NULL;
        size_t count = 0;
        size_t input = 0;
        rc = query_merge_next(run->merge, &entries, &count, &input);
        if (rc == QUERY_MERGE_END) {
            break;
        }
        rc = rc == QUERY_MERGE_WAIT ? wait_for(run, input) : finish_block(run, entries, count);
        search_progress_publish(run);
    }
    return rc < 0 ? rc : flush(run);
}

/* ── Following ───────────────────────────────────────────────────────────────────────────── */

/* Every indexer has begun, or it is known that it has not. */
static void note_following(struct run *run, size_t index)
{
    struct search_one *one = run->one;
    run->streams.items[index]->heard = true;
    bool all = true;
    for (size_t i = 0; i < run->streams.count; i++) {
        all = all && run->streams.items[i]->heard;
    }
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    if (all && !one->following) {
        one->following = true;
        CHECK(pthread_cond_broadcast(&one->changed) == 0);
    }
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
}

static void note_loss(struct run *run, size_t index, const char *why)
{
    struct stream *stream = run->streams.items[index];
    const char *name = search_indexer_name(run->indexers, stream->index);
    char since[TIME_TEXT_BYTES];
    why = search_indexer_fault(run->indexers, stream->index, why);
    if (!stream->ended) { /* once for each time it is lost */
        stream->ended = true;
        search_one_message(run->one, "warn",
                           "indexer %s: %s; what only it takes from %s on is missing%s", name, why,
                           time_text(io_now_ns(run->one->search->webserver->io), since),
                           stream->fault != NULL ? "" : " until it is back");
    }
}

static int take_followed(struct run *run, struct arrival *arrival)
{
    struct query_frame *frame = &arrival->frame;
    struct stream *stream = run->streams.items[arrival->index];
    int rc = 0;
    switch (frame->kind) {
    case QUERY_FRAME_ENTRIES:
        rc = query_batch_remap(frame->batch, &run->tags);
        rc = rc < 0 ? rc : finish_block(run, frame->batch->entries, frame->batch->count);
        break;
    case QUERY_FRAME_FAULT:
        rc = frame->of_search ? end_search(run, arrival->index, frame) : 0;
        note_loss(run, arrival->index, frame->fault);
        break;
    default:
        search_progress_take(run, arrival->index, &frame->progress);
        stream->ended = false;
    }
    note_following(run, arrival->index);
    return rc;
}

static int follow_all(struct run *run)
{
    int rc = 0;
    while (rc == 0 && !enough(run) &&
           io_now_ns(run->one->search->webserver->io) < run->one->end_ns) {
        void *item = NULL;
        if (channel_pop(run->inbox, FLUSH_INTERVAL_NS / TIME_MS_NS, &item) == 0) {
            rc = take_followed(run, item);
            free_arrival(item);
        }
        if (rc == 0 && channel_count(run->inbox) == 0) {
            rc = flush(run);
        }
        search_progress_publish(run);
    }
    return rc;
}

static void say(void *context, const char *text)
{
    search_one_message(context, "info", "%s", text);
}

static int run_search(struct run *run)
{
    struct search_one *one = run->one;
    int rc = search_one_result(one, &run->result);
    rc = rc < 0 ? rc : query_pipeline_new_part(one->query, QUERY_PART_WEBSERVER, &run->pipeline);
    run->shared = query_is_shared(one->query);
    query_timeline_init(&run->timeline, one->query->stage_count - one->query->collapse);
    if (rc < 0) {
        return rc;
    }
    run->scratch = search_scratch_new(one);
    query_pipeline_lend(run->pipeline, run->scratch);
    size_t count = search_indexers_count(run->indexers);
    run->merge = query_merge_new(count, false);
    if (count > 1) {
        query_merge_may_lose(run->merge);
    }
    run->inbox = one->follow ? channel_new(FRAMES_WAITING_MAX * MAX(count, (size_t)1)) : NULL;
    start_streams(run);
    rc = one->follow ? follow_all(run) : merge_all(run);
    http_cancel_fire(one->cancel); /* indexers need not go on while the stages are finished */
    rc = rc < 0 ? rc : finish_stages(run);
    if (rc == 0) {
        search_progress_publish(run);
        search_progress_publish_times(run);
        query_pipeline_remarks(run->pipeline, say, one);
        search_one_remarks(one);
    }
    char fault[ERR_TEXT_BYTES_MAX];
    (void)snprintf(fault, sizeof(fault), "%s", err_text());
    int ignored = rc < 0 ? flush(run) : 0; /* what was found stays */
    (void)ignored;
    stop_streams(run);
    query_merge_free(&run->merge);
    query_pipeline_free(&run->pipeline);
    query_scratch_free(&run->scratch);
    if (rc < 0) {
        return err_set((enum err)rc, "%s", fault);
    }
    return query_result_finish(run->result);
}

int search_run_one(struct search_one *one)
{
    struct run run = {
        .one = one,
        .indexers = one->search->indexers,
        .part = PART_FIRST,
    };
    int rc = run_search(&run);
    query_tags_deinit(&run.tags);
    query_timeline_deinit(&run.timeline);
    vec_deinit(&run.picks);
    vec_deinit(&run.pending.entries);
    buf_deinit(&run.pending.bytes);
    return rc;
}

void *search_run(void *context)
{
    struct search_one *one = context;
    int rc = one->inners.count == 0 ? 0 : search_inner_run_all(one);
    rc = rc < 0 ? rc : search_run_one(one);
    rc = rc < 0 ? rc : table_save(one);
    if (rc < 0) {
        log_fault("search-failed", "a search ended with a fault", rc, "search", one->id, NULL);
    }
    search_one_finished(one, rc < 0 ? err_text() : NULL);
    search_one_unref(&one);
    return NULL;
}
