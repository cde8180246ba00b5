/* One search: its memory, its launch, its clients, and what users do with it. */
#include "webserver/search_one.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/time.h"
#include "query/hints.h"
#include "query/module.h"
#include "query/save.h"
#include "service/log.h"
#include "webserver/request.h"
#include "webserver/search_language.h"

#define ID_NUMBERS UINT64_C(100000000000) /* the eleven digits behind the webserver's four */

static int64_t mono_ns(const struct search *search)
{
    return io_monotonic_ns(search->webserver->io);
}

void search_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(cond, &attributes) == 0);
    CHECK(pthread_condattr_destroy(&attributes) == 0);
}

void search_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t timeout_ms)
{
    struct timespec until;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    int64_t ns = until.tv_nsec + timeout_ms % 1000 * TIME_MS_NS;
    until.tv_sec += timeout_ms / 1000 + ns / TIME_S_NS;
    until.tv_nsec = ns % TIME_S_NS;
    (void)pthread_cond_timedwait(cond, lock, &until);
}

/* ── One search: memory ──────────────────────────────────────────────────────────────────── */

struct search_one *search_one_new(struct search *search)
{
    struct search_one *one = MEM_NEW(struct search_one);
    one->search = search;
    atomic_init(&one->refs, 1);
    one->cancel = http_cancel_new();
    one->finished_ns = TIME_UNSET;
    one->expires_ns = TIME_UNSET;
    one->started_ns = TIME_UNSET;
    one->imported_ns = TIME_UNSET;
    CHECK(pthread_mutex_init(&one->lock, NULL) == 0);
    search_cond_init(&one->changed);
    CHECK(pthread_mutex_lock(&search->lock) == 0);
    search->alive++;
    CHECK(pthread_mutex_unlock(&search->lock) == 0);
    return one;
}

struct query_scratch *search_scratch_new(const struct search_one *one)
{
    struct query_scratch_options options = one->search->scratch;
    options.cancel = one->outer != NULL ? &one->outer->abandoned : &one->abandoned;
    return query_scratch_new(&options);
}

static void free_texts(char **items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mem_free(items[i]);
    }
}

static void remove_files(struct search_one *one)
{
    struct io *io = one->search->webserver->io;
    char *record = mem_printf("%s/record.json", one->path);
    int rc = io_exists(io, record) ? io_remove(io, record) : 0;
    rc = rc < 0 || !io_exists(io, one->path) ? rc : query_result_remove(io, one->path);
    if (rc < 0) {
        log_fault("search-remove", "the results of a search could not be removed", rc, "search",
                  one->id, NULL);
    }
    mem_free(record);
}

static void free_one(struct search_one *one)
{
    struct search *search = one->search;
    query_result_close(&one->result);
    buf_deinit(&one->times_there);
    buf_deinit(&one->times_here);
    bool stays = one->persisted || one->remembered;
    if (one->path != NULL && (one->deleted || !stays)) {
        remove_files(one);
    }
    query_free(&one->query);
    for (size_t i = 0; i < one->inners.count; i++) {
        query_free(&one->inners.items[i].query);
        mem_free(one->inners.items[i].name);
    }
    vec_deinit(&one->inners);
    free_texts(one->tags.items, one->tags.count);
    free_texts(one->stage_names.items, one->stage_names.count);
    free_texts(one->stage_texts.items, one->stage_texts.count);
    vec_deinit(&one->tags);
    vec_deinit(&one->stage_names);
    vec_deinit(&one->stage_texts);
    for (size_t i = 0; i < one->messages.count; i++) {
        mem_free(one->messages.items[i].text);
    }
    vec_deinit(&one->messages);
    vec_deinit(&one->sessions);
    json_decref(one->hints);
    json_decref(one->addendum);
    json_decref(one->filters);
    json_decref(one->metadata);
    object_set_gids(&one->gids, NULL, 0);
    char *texts[] = {one->user_query, one->effective,  one->renderer,  one->renderer_text,
                     one->name,       one->error,      one->method,    one->reference,
                     one->path,       one->batch_name, one->batch_info};
    free_texts(texts, ARRAY_COUNT(texts));
    http_cancel_free(&one->cancel);
    CHECK(pthread_cond_destroy(&one->changed) == 0);
    CHECK(pthread_mutex_destroy(&one->lock) == 0);
    mem_free(one);
    CHECK(pthread_mutex_lock(&search->lock) == 0);
    search->alive--;
    CHECK(pthread_cond_broadcast(&search->wake) == 0);
    CHECK(pthread_mutex_unlock(&search->lock) == 0);
}

void search_one_ref(struct search_one *one)
{
    atomic_fetch_add(&one->refs, 1);
}

void search_one_unref(struct search_one **one)
{
    if (*one != NULL && atomic_fetch_sub(&(*one)->refs, 1) == 1) {
        free_one(*one);
    }
    *one = NULL;
}

/* ── The start request ───────────────────────────────────────────────────────────────────── */

/* The first member of these that is there and cannot be read. */
static const char *unreadable(const json_t *json)
{
    static const char *const texts[] = {"SearchString", "SearchStart", "SearchEnd"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        const json_t *value = json_object_get(json, texts[i]);
        struct span text = span_of_str(json_string_value(value));
        int64_t ignored;
        bool none =
            value == NULL || json_is_null(value) || (json_is_string(value) && text.bytes == 0);
        bool good = json_is_string(value) && (i == 0 || time_parse(text, &ignored));
        if (!none && !good) {
            return texts[i];
        }
    }
    return NULL;
}

void search_start_decode(const json_t *json, struct search_start *start)
{
    const json_t *info = request_member(json, "LaunchInfo");
    *start = (struct search_start){
        .bad = unreadable(json),
        .text = request_text(json, "SearchString"),
        .start_ns = request_time(json, "SearchStart"),
        .end_ns = request_time(json, "SearchEnd"),
        .background = request_bool(json, "Background"),
        .no_history = request_bool(json, "NoHistory"),
        .preview = request_bool(json, "Preview"),
        .non_temporal = request_bool(json, "NonTemporal"),
        .follow = request_bool(json, "Follow"),
        .global = request_bool(json, "Global"),
        .filters = request_member(json, "Filters"),
        .name = request_text(json, "Name"),
        .method = info == NULL ? "" : request_text(info, "method"),
        .reference = info == NULL ? "" : request_text(info, "reference"),
        .started_ns = info == NULL ? TIME_UNSET : request_time(info, "started"),
        .expires_ns = info == NULL ? TIME_UNSET : request_time(info, "expires"),
        .metadata = request_member(json, "Metadata"),
        .addendum = request_member(json, "Addendum"),
    };
    request_gids(json, "GIDs", &start->gids);
}

void search_start_deinit(struct search_start *start)
{
    object_set_gids(&start->gids, NULL, 0);
}

/* ── Launch ──────────────────────────────────────────────────────────────────────────────── */

/* Every stage must be one that gives entries as it gets them. */
static int check_following(const struct query *query, struct query_error *ret_error)
{
    for (size_t i = 0; i < query->stage_count; i++) {
        const struct query_stage *stage = &query->stages[i];
        const struct query_module *module = stage->module;
        if (module != NULL && module->finish != NULL) {
            *ret_error = (struct query_error){
                .stage = (int)i, .offset = stage->offset, .bytes = strlen(stage->name)};
            (void)snprintf(ret_error->text, sizeof(ret_error->text),
                           "'%.32s' needs all entries before it gives any: it cannot be followed",
                           stage->name);
            return err_set(ERR_INVALID, "%s", ret_error->text);
        }
    }
    return 0;
}

/* null when there are none. */
static json_t *names_json(const struct query_hint_names *names)
{
    json_t *list = names->count == 0 ? json_null() : json_array();
    for (size_t i = 0; i < names->count; i++) {
        json_array_append_new(
            list, json_stringn((const char *)names->items[i].data, names->items[i].bytes));
    }
    return list;
}

static json_t *hint_json(const struct query *query, const struct query_hint *hint)
{
    struct query_hint_names produced = {.count = 0};
    struct query_hint_names consumed = {.count = 0};
    struct query_hint_names resources = {.count = 0};
    if (hint->stage != SIZE_MAX) {
        const struct query_stage *stage = &query->stages[hint->stage];
        query_hint_produced(query, hint->stage, &produced);
        query_hint_consumed(query, hint->stage, &consumed);
        for (size_t i = 0; i < stage->resource_count; i++) {
            resources.items[resources.count++] = span_of_str(stage->resources[i]);
        }
    }
    return json_pack("{s:s, s:o, s:o, s:o, s:b}", "Name", hint->name, "ProducedEVs",
                     names_json(&produced), "ConsumedEVs", names_json(&consumed), "ResourcesNeeded",
                     names_json(&resources), "Condensing", hint->condensing);
}

json_t *search_hints_json(const struct query *query, size_t *ret_collapsing)
{
    struct query_hint hints[QUERY_HINTS_MAX];
    size_t count = query_hints(query, hints, ret_collapsing);
    json_t *list = count == 0 ? json_null() : json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, hint_json(query, &hints[i]));
    }
    return list;
}

static void describe(struct search_one *one, struct query *query, const char *text)
{
    one->query = query;
    one->user_query = mem_strdup(text);
    one->effective = mem_strdup(query->effective);
    one->renderer = mem_strdup(query->renderer->name);
    one->renderer_text = mem_strdup(query->renderer_text);
    one->render = query->renderer;
    one->start_ns = query->start_ns;
    one->end_ns = query->end_ns;
    one->position_ns = query->end_ns;
    one->time_given = query->time_given;
    one->time_zoom_disabled = query->time_zoom_disabled;
    one->hints = search_hints_json(query, &one->collapsing);
    for (size_t i = 0; i < query->tag_count; i++) {
        vec_push(&one->tags, mem_strdup(query->tags[i].pattern));
    }
    for (size_t i = 0; i < query->stage_count; i++) {
        vec_push(&one->stage_names, mem_strdup(query->stages[i].name));
        vec_push(&one->stage_texts, mem_strdup(query->stages[i].text));
    }
}

static void adopt(struct search_one *one, const struct object_principal *who, int32_t default_gid,
                  const struct search_start *start)
{
    one->uid = who->uid;
    one->no_history = start->no_history;
    one->preview = start->preview;
    one->non_temporal = start->non_temporal;
    one->follow = start->follow;
    one->background = start->background;
    one->name = mem_strdup(start->name);
    one->method = mem_strdup(start->method);
    one->reference = mem_strdup(start->reference);
    one->started_ns = start->started_ns;
    one->expires_ns = start->expires_ns;
    one->addendum = json_incref(start->addendum);
    one->filters = json_deep_copy(start->filters);
    one->metadata = json_incref(start->metadata);
    one->global = start->global && who->admin;
    if (start->gids.count > 0) {
        object_set_gids(&one->gids, start->gids.items, start->gids.count);
    } else if (default_gid != 0) {
        object_set_gids(&one->gids, &default_gid, 1);
    }
}

/* Unique in the cluster as far as webservers have different numbers; random, so not guessable. */
static void choose_id(struct search *search, char id[SEARCH_ID_BYTES])
{
    do {
        uint64_t random = 0;
        io_random(search->webserver->io, &random, sizeof(random));
        (void)snprintf(id, SEARCH_ID_BYTES, "%04u%011llu", search->number % 10000,
                       (unsigned long long)(random % ID_NUMBERS));
    } while (map_get_str(&search->by_id, id) != NULL);
}

bool search_table_add(struct search_one *one)
{
    struct search *search = one->search;
    CHECK(pthread_mutex_lock(&search->lock) == 0);
    if (one->id[0] == '\0') {
        choose_id(search, one->id);
    }
    bool is_new = map_get_str(&search->by_id, one->id) == NULL;
    if (is_new) {
        search_one_ref(one);
        (void)map_put(&search->by_id, span_of_str(one->id), one);
    }
    CHECK(pthread_mutex_unlock(&search->lock) == 0);
    return is_new;
}

int search_check_room(struct search *search)
{
    CHECK(pthread_mutex_lock(&search->lock) == 0);
    bool full = search->by_id.count >= SEARCH_KEPT_MAX || search->stopping;
    CHECK(pthread_mutex_unlock(&search->lock) == 0);
    return full ? err_set(ERR_UNAVAILABLE, "%d searches are kept already: delete some",
                          SEARCH_KEPT_MAX)
                : 0;
}

int search_launch(struct search *search, const struct object_principal *who, int32_t default_gid,
                  const struct search_start *start, struct search_one **ret_one,
                  struct query_error *ret_error)
{
    memset(ret_error, 0, sizeof(*ret_error));
    if (start->bad != NULL) {
        bool time = strcmp(start->bad, "SearchString") != 0;
        return err_set(ERR_INVALID, "%s is no %s", start->bad,
                       time ? "time such as 2026-01-02T15:04:05Z" : "text");
    }
    int rc = search_check_room(search);
    if (rc < 0) {
        return rc;
    }
    struct search_queries queries = {0};
    bool any_time = start->preview && !start->follow; /* but what the query itself says */
    int64_t start_ns = any_time ? 0 : start->start_ns;
    int64_t end_ns = any_time ? io_now_ns(search->webserver->io) + TIME_DAY_NS : start->end_ns;
    rc = search_language_parse(search, who, start->text, start->filters, start_ns, end_ns, &queries,
                               ret_error);
    rc = rc < 0 || !start->follow ? rc : check_following(queries.main, ret_error);
    if (rc == 0 && start->may_not_write && query_save_of(queries.main) != NULL) {
        rc = err_set(ERR_DENIED, "table -save needs the capability ResourceWrite");
    }
    if (rc < 0) {
        search_queries_deinit(&queries);
        return rc;
    }
    struct search_one *one = search_one_new(search);
    describe(one, queries.main, start->text);
    for (size_t i = 0; i < queries.inner_count; i++) {
        vec_push(&one->inners, queries.inners[i]);
    }
    if (start->follow) { /* whatever the range says: from now on */
        one->start_ns = io_now_ns(search->webserver->io);
        one->end_ns = one->start_ns + SEARCH_FOLLOW_MAX_S * TIME_S_NS;
        one->position_ns = one->start_ns;
    }
    adopt(one, who, default_gid, start);
    one->state = SEARCH_WAITING;
    one->attached = 1;
    one->launched_ns = io_now_ns(search->webserver->io);
    one->started_ns = one->started_ns == TIME_UNSET ? one->launched_ns : one->started_ns;
    one->launched_mono_ns = mono_ns(search);
    CHECK(search_table_add(one));
    one->path = mem_printf("%s/%s", search->render_store, one->id);
    rc = query_result_create(search->webserver->io, one->path, search->result_bytes_max,
                             one->start_ns, one->end_ns, &one->result);
    if (rc < 0) {
        search_one_delete(one);
        search_one_unref(&one);
        return rc;
    }
    *ret_one = one;
    return 0;
}

/* ── Waiting and reading ─────────────────────────────────────────────────────────────────── */

void search_one_wait(struct search_one *one, uint64_t rows, int64_t timeout_ms)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    bool over = one->state == SEARCH_FINISHED || one->deleted;
    if (!over && (one->result == NULL || query_result_counts(one->result).rows <= rows)) {
        search_cond_wait(&one->changed, &one->lock, timeout_ms);
    }
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
}

void search_one_wait_following(struct search_one *one)
{
    int64_t until_ns = mono_ns(one->search) + SEARCH_FOLLOW_BEGIN_MS * TIME_MS_NS;
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    int64_t left_ms = SEARCH_FOLLOW_BEGIN_MS;
    while (!one->following && one->state != SEARCH_FINISHED && !one->deleted && left_ms > 0) {
        search_cond_wait(&one->changed, &one->lock, left_ms);
        left_ms = (until_ns - mono_ns(one->search)) / TIME_MS_NS;
    }
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
}

bool search_one_is_over(struct search_one *one)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    bool over = one->state == SEARCH_FINISHED || one->deleted;
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    return over;
}

uint64_t search_one_rows(struct search_one *one)
{
    struct query_result *result = NULL;
    return search_one_result(one, &result) < 0 ? 0 : query_result_counts(result).rows;
}

int search_one_result(struct search_one *one, struct query_result **ret_result)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    bool fetch = one->result == NULL && one->kept;
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    int rc = fetch ? search_kept_fetch(one) : 0;
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    if (one->result == NULL && rc == 0) {
        rc = query_result_open(one->search->webserver->io, one->path, &one->result);
    }
    *ret_result = one->result;
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    return rc;
}

void search_one_message(struct search_one *one, const char *severity, const char *format, ...)
{
    char text[QUERY_ERROR_BYTES_MAX * 2];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    one = one->outer != NULL ? one->outer : one;
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    if (one->messages.count < SEARCH_MESSAGES_MAX) {
        struct search_message message = {.severity = severity, .text = mem_strdup(text)};
        vec_push(&one->messages, message);
    }
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
}

static void say_if_cut(struct search_one *one)
{
    uint64_t rows = search_one_rows(one);
    const struct query_renderer *renderer = one->query->renderer;
    if (renderer->whole && rows > QUERY_RESULT_READ_ROWS_MAX) {
        search_one_message(one, "warn",
                           "%s shows the first %d of %" PRIu64
                           " rows; stats, top or limit in front of it make fewer",
                           renderer->name, QUERY_RESULT_READ_ROWS_MAX, rows);
    }
}

/* Names are easily mistaken, and no entry has a value of a name that nothing sets. */
static void say_if_empty(struct search_one *one)
{
    const struct query *query = one->query;
    for (size_t i = 0; i + 1 < query->stage_count && i < QUERY_STAGES_STATS_MAX; i++) {
        const struct query_module *module = query->stages[i].module;
        uint64_t count = one->stages[i].in_count;
        if (module != NULL && module->condensing && count > 0 && one->stages[i].out_count == 0) {
            search_one_message(one, "warn",
                               "%s: none of %" PRIu64
                               " entries has the values that it asks for; of its own an entry has "
                               "TAG, SRC, TIMESTAMP and DATA",
                               query->stages[i].name, count);
        }
    }
}

void search_one_remarks(struct search_one *one)
{
    if (one->preview) {
        search_one_message(one, "info",
                           "a preview: of each indexer the newest %d entries were looked at, "
                           "of any time unless the query names one",
                           SEARCH_PREVIEW_READ);
    }
    say_if_cut(one);
    say_if_empty(one);
}

/* ── Clients ─────────────────────────────────────────────────────────────────────────────── */

int search_one_attach(struct search_one *one)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    bool gone = one->deleted;
    one->attached += gone ? 0 : 1;
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    return gone ? err_set(ERR_NOT_FOUND, "the search was deleted") : 0;
}

void search_one_detach(struct search_one *one)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    CHECK(one->attached > 0);
    one->attached--;
    bool last = one->attached == 0;
    bool drop = last && !one->background && !one->saved && !one->deleted;
    one->was_dormant = one->was_dormant || (last && one->state == SEARCH_FINISHED);
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    if (drop) {
        search_one_delete(one);
    }
}

int search_session_open(struct search_one *one, bool attached, struct uuid *ret_id)
{
    struct io *io = one->search->webserver->io;
    uint8_t random[16];
    io_random(io, random, sizeof(random));
    struct search_session session = {.id = uuid_of_random(random), .seen_ns = io_monotonic_ns(io)};
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    int rc = 0;
    if (one->deleted) {
        rc = err_set(ERR_NOT_FOUND, "the search was deleted");
    } else if (one->sessions.count == SEARCH_SESSIONS_MAX) {
        rc = err_set(ERR_UNAVAILABLE, "%d clients are attached already", SEARCH_SESSIONS_MAX);
    } else {
        vec_push(&one->sessions, session);
        one->attached += attached ? 0 : 1;
        *ret_id = session.id;
    }
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    return rc;
}

/* Index of the session, or -1. Under the lock. */
static ptrdiff_t session_index(const struct search_one *one, const char *id)
{
    struct uuid uuid;
    if (id == NULL || !uuid_parse(span_of_str(id), &uuid)) {
        return -1;
    }
    for (size_t i = 0; i < one->sessions.count; i++) {
        if (uuid_equal(one->sessions.items[i].id, uuid)) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

void search_session_touch(struct search_one *one, const char *id)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    ptrdiff_t index = session_index(one, id);
    if (index >= 0) {
        one->sessions.items[index].seen_ns = mono_ns(one->search);
    }
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
}

bool search_session_close(struct search_one *one, const char *id)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    ptrdiff_t index = session_index(one, id);
    if (index >= 0) {
        vec_remove_swap(&one->sessions, (size_t)index);
    }
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    if (index >= 0) {
        search_one_detach(one);
    }
    return index >= 0;
}

/* ── What a user does with a search ──────────────────────────────────────────────────────── */

int search_one_background(struct search_one *one)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    bool running = one->state != SEARCH_FINISHED;
    one->background = one->background || running;
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    if (running) {
        search_remember(one);
    }
    return running ? 0 : err_set(ERR_INVALID, "the search is not active");
}

int search_one_stop(struct search_one *one)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    bool running = one->state != SEARCH_FINISHED;
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    atomic_store(&one->stop, true);
    http_cancel_fire(one->cancel);
    return running ? 0 : err_set(ERR_INVALID, "the search is not running");
}

static void replace(char **text, const char *by)
{
    if (by[0] != '\0') {
        mem_free(*text);
        *text = mem_strdup(by);
    }
}

static void apply_patch(struct search_one *one, const json_t *patch)
{
    const char *name = request_text(patch, "name");
    const char *notes = request_text(patch, "notes");
    one->expires_ns = request_time(patch, "expires");
    if (one->started_ns == TIME_UNSET) {
        one->started_ns = request_time(patch, "started");
    }
    replace(&one->method, request_text(patch, "method"));
    replace(&one->reference, request_text(patch, "reference"));
    if (name[0] != '\0' || notes[0] != '\0') {
        json_decref(one->metadata);
        one->metadata = json_pack("{s:s, s:s}", "name", name, "notes", notes);
    }
}

int search_one_save(struct search_one *one, const json_t *patch)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    bool gone = one->deleted;
    if (json_object_size(patch) > 0) {
        apply_patch(one, patch);
    }
    one->saved = true;
    bool now = one->state == SEARCH_FINISHED && !gone;
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    if (gone) {
        return err_set(ERR_NOT_FOUND, "the search was deleted");
    }
    return now ? search_saved_write(one) : 0;
}

int search_one_share(struct search_one *one, const struct object_gids *gids, const bool *global)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    if (gids != NULL) {
        object_set_gids(&one->gids, gids->items, gids->count);
    }
    one->global = global != NULL ? *global : one->global;
    bool persisted = one->persisted;
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    return persisted ? search_saved_write(one) : 0;
}

void search_one_delete(struct search_one *one)
{
    struct search *search = one->search;
    struct search_one *held = NULL;
    CHECK(pthread_mutex_lock(&search->lock) == 0);
    if (map_get_str(&search->by_id, one->id) == one) {
        held = map_remove(&search->by_id, span_of_str(one->id));
    }
    CHECK(pthread_mutex_unlock(&search->lock) == 0);
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    bool kept = one->kept && !one->deleted;
    one->deleted = true;
    CHECK(pthread_cond_broadcast(&one->changed) == 0);
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    atomic_store(&one->abandoned, true);
    atomic_store(&one->stop, true);
    http_cancel_fire(one->cancel);
    if (kept) {
        search_kept_delete(one);
    }
    search_one_unref(&held);
}
