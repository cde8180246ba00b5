/*
 * One search: what was asked, how far it is, its results, and who is looking at it.
 *
 *     WAITING ──search_one_begin──> QUEUED ──a place is free──> RUNNING ──> FINISHED
 *
 * WAITING: launched over a websocket, not acknowledged yet. A search leaves the table of searches
 * (search.c) when nobody needs it; it is freed, with its files, when the last reference goes.
 * Members above `lock` do not change after the launch; those below it are read and written under
 * it. Lock order: search.lock, then search_one.lock.
 */
#ifndef WEBSERVER_SEARCH_ONE_H
#define WEBSERVER_SEARCH_ONE_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "base/uuid.h"
#include "base/vec.h"
#include "net/http_client.h"
#include "object/access.h"
#include "query/query.h"
#include "query/result.h"
#include "query/scratch.h"
#include "webserver/search.h"

#define SEARCH_ID_BYTES 16        /* 15 digits and the NUL */
#define SEARCH_REFRESH_S 10       /* how often a REST client should say that it is there */
#define SEARCH_SESSION_IDLE_S 150 /* so long without a word: it is gone */
#define SEARCH_ACK_TIMEOUT_S 10
#define SEARCH_DORMANT_MAX_S (7 * 24 * 3600) /* unsaved ones in the background */
#define SEARCH_MESSAGES_MAX 64
#define SEARCH_SESSIONS_MAX 64 /* REST clients of one search */
#define SEARCH_PREVIEW_ROWS 1000
#define SEARCH_PREVIEW_READ 10000       /* entries that each indexer looks at */
#define SEARCH_FOLLOW_MAX_S (24 * 3600) /* it ends by itself */
#define SEARCH_FOLLOW_BEGIN_MS 2000     /* a launch waits so long for the indexers to begin */

struct search_indexers;
struct search_remote;

enum search_state {
    SEARCH_WAITING = 1,
    SEARCH_QUEUED,
    SEARCH_RUNNING,
    SEARCH_FINISHED,
};

struct search_message {
    const char *severity; /* info, warn, error: literals */
    char *text;           /* owned */
};

/* An inner query of a compound one; both are owned. */
struct search_inner {
    char *name; /* with its @ */
    struct query *query;
};

/* A client that asks over REST. */
struct search_session {
    struct uuid id;
    int64_t seen_ns; /* monotonic */
};

struct search_one {
    struct search *search;
    atomic_size_t refs;
    char id[SEARCH_ID_BYTES];
    int32_t uid;
    char *user_query;
    char *effective;
    char *renderer;      /* module: "text" */
    char *renderer_text; /* as typed */
    const struct query_renderer *render;
    struct query *query; /* NULL when it was loaded from the saved store */
    VEC(char *) tags;    /* patterns of the query */
    VEC(struct search_inner) inners;
    struct search_one *outer; /* of an inner one: what it says is said there, it ends with it */
    json_t *hints;
    size_t collapsing;
    int64_t start_ns;
    int64_t end_ns;
    bool time_given;
    bool time_zoom_disabled;
    bool no_history;
    bool preview;
    bool non_temporal;
    bool follow; /* entries as they come in, from the launch on */
    char *name;
    json_t *addendum; /* or NULL */
    json_t *filters;  /* or NULL */
    int64_t launched_ns;
    struct http_cancel *cancel;
    atomic_bool stop;      /* the run should end; results stay */
    atomic_bool abandoned; /* nobody wants results any more */

    pthread_mutex_t lock;
    pthread_cond_t changed; /* more rows, finished, deleted */
    enum search_state state;
    bool background;
    bool saved;              /* marked */
    bool persisted;          /* lies in the saved store */
    bool remembered;         /* in the background: its record lies beside its results */
    bool kept;               /* persisted, and an object of the datastore (search_kept.c) */
    unsigned saving;         /* callers that write and put it now */
    struct uuid kept_change; /* its version that is known here */
    struct object_blob kept_blob;
    bool was_dormant;
    bool deleted;
    bool following; /* follow: every indexer that can be reached has begun */
    int64_t launched_mono_ns;
    int64_t finished_ns; /* wall clock; TIME_UNSET before */
    int64_t duration_ns;
    int64_t position_ns; /* how far it has come */
    char *error;         /* the search failed; NULL: it did not */
    struct object_gids gids;
    bool global;
    json_t *metadata; /* or NULL */
    char *method;
    char *reference;
    int64_t started_ns;
    int64_t expires_ns;  /* TIME_UNSET: never */
    int64_t imported_ns; /* wall clock; TIME_UNSET: it was not */
    char *batch_name;    /* of an imported one; else NULL */
    char *batch_info;
    size_t attached; /* clients of all kinds */
    VEC(struct search_session) sessions;
    VEC(struct search_message) messages;
    struct query_stage_stats stages[QUERY_STAGES_STATS_MAX];
    struct buf times_there; /* counts by time (timeline.h) of stages on indexers, as on the wire */
    struct buf times_here;  /* of those behind; both empty: it was not run here */
    uint64_t passed_over;   /* blocks that indexers did not have to read */
    VEC(char *) stage_names;
    VEC(char *) stage_texts;
    struct query_result *result; /* opened on first use when persisted */
    char *path;                  /* of its directory */
};

/* A start request (docs/protocols/search.md). Borrows. */
struct search_start {
    const char *bad; /* a member that cannot be read: the launch is refused; or NULL */
    const char *text;
    int64_t start_ns; /* TIME_UNSET: not given */
    int64_t end_ns;
    bool background;
    bool no_history;
    bool preview;
    bool non_temporal;
    bool follow;
    bool global;
    const json_t *filters; /* or NULL; explore.h */
    bool may_not_write;    /* resources, by the capabilities of the token */
    const char *name;
    const char *method;
    const char *reference;
    int64_t started_ns;
    int64_t expires_ns;
    json_t *metadata;
    json_t *addendum;
    struct object_gids gids; /* owned */
};
void search_start_decode(const json_t *json, struct search_start *start);
void search_start_deinit(struct search_start *start);

/* The start response of the websocket, and the answer to POST /api/parse. */
json_t *search_start_json(struct search_one *one, const char *label);
json_t *search_parse_json(struct search *search, const struct object_principal *who,
                          const json_t *request, const char *text);
json_t *search_hints_json(const struct query *query, size_t *ret_collapsing);

/* The room's searches. */
struct search {
    struct webserver *webserver;
    struct search_indexers *indexers;
    struct search_remote *remote; /* the other webservers */
    const char *render_store;
    const char *saved_store;
    uint64_t result_bytes_max;
    struct query_scratch_options scratch; /* of each search */
    unsigned number;                      /* of this webserver: the prefix of its search ids */
    pthread_t keeper;

    pthread_mutex_t looking;  /* for saved searches that are new or gone: one thread at a time */
    pthread_mutex_t fetching; /* their rows */

    pthread_mutex_t lock;
    pthread_cond_t wake; /* the keeper; and search_free() waiting for threads */
    bool stopping;
    struct map by_id;               /* holds a reference each */
    VEC(struct search_one *) queue; /* a reference each, first come first */
    VEC(struct search_one *) again; /* in the background when the webserver ended; while starting */
    size_t running;
    size_t alive; /* searches not freed yet */
};

/* Checks and makes a WAITING search with one client attached and one reference for the caller. A
 * fault of the query fills *ret_error (else its text is empty). */
MUST_CHECK int search_launch(struct search *search, const struct object_principal *who,
                             int32_t default_gid, const struct search_start *start,
                             struct search_one **ret_one, struct query_error *ret_error);
void search_one_begin(struct search_one *one); /* and writes the history */

/* The first four digits of the ids of its searches. */
unsigned search_number_of(struct uuid webserver);

/* ERR_NOT_FOUND; ERR_DENIED when `who` may not see it (or, with `change`, not change it). */
MUST_CHECK int search_find(struct search *search, const char *id,
                           const struct object_principal *who, bool change,
                           struct search_one **ret_one);
void search_one_ref(struct search_one *one);
void search_one_unref(struct search_one **one);
bool search_one_visible(struct search_one *one, const struct object_principal *who);

/* A client comes or goes. When the last one goes, a search that is neither saved nor in the
 * background goes too. ERR_NOT_FOUND: it is gone already. */
MUST_CHECK int search_one_attach(struct search_one *one);
void search_one_detach(struct search_one *one);

/* REST clients: opening attaches, closing detaches; touching says that the client is there. */
MUST_CHECK int search_session_open(struct search_one *one, bool attached, struct uuid *ret_id);
void search_session_touch(struct search_one *one, const char *id);
bool search_session_close(struct search_one *one, const char *id);

/* ERR_INVALID when it is not running. */
MUST_CHECK int search_one_background(struct search_one *one);
MUST_CHECK int search_one_stop(struct search_one *one);
MUST_CHECK int search_one_save(struct search_one *one, const json_t *patch);
void search_one_delete(struct search_one *one);

/* Replaces groups or the global mark; NULL: leaves them. */
MUST_CHECK int search_one_share(struct search_one *one, const struct object_gids *gids,
                                const bool *global);

/* The results; opens them when they are on disk only. */
MUST_CHECK int search_one_result(struct search_one *one, struct query_result **ret_result);
void search_one_message(struct search_one *one, const char *severity, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* When all rows are there, what is to be said of them: a renderer that wants them all at once gets
 * some only, or a stage left none. */
void search_one_remarks(struct search_one *one);

/* Waits until there are more than `rows` rows, the search has finished or was deleted; at most
 * `timeout_ms`. */
void search_one_wait(struct search_one *one, uint64_t rows, int64_t timeout_ms);

bool search_one_is_over(struct search_one *one); /* finished or deleted */

/* Waits until it follows, or is over; at most SEARCH_FOLLOW_BEGIN_MS. Entries that are acknowledged
 * after that are shown. */
void search_one_wait_following(struct search_one *one);
uint64_t search_one_rows(struct search_one *one);

/* search_run.c: the coordinator's thread; takes a reference. Calls search_one_finished(). */
void *search_run(void *one);
MUST_CHECK int search_run_one(struct search_one *one); /* on this thread; does not finish it */
void search_one_finished(struct search_one *one, const char *error);

/* search_saved.c */
MUST_CHECK int search_saved_write(struct search_one *one); /* finished and marked: persist it */
void search_saved_load(struct search *search);

/* A search in the background outlives a restart, too: writes its record. */
void search_remember(struct search_one *one);

/* What lies under this name in the render store is such a search: it is in the table again, and
 * finished; or to be begun anew (*ret_again, a reference). False: it is nothing of that kind. */
bool search_recall(struct search *search, const char *name, struct search_one **ret_again);
json_t *search_record_json(const struct search_one *one);                     /* under the lock */
MUST_CHECK int search_record_write(struct search_one *one, const char *path); /* the same */
void search_take_notes(struct search_one *one, const json_t *record);         /* the same */
bool search_is_id(const char *name);

/* A saved one, not in the table yet; one reference. */
struct search_one *search_one_of_record(struct search *search, const char *id,
                                        const json_t *record);

/* search_kept.c: puts a persisted search into the datastore, or what was changed of it. */
MUST_CHECK int search_kept_put(struct search_one *one);
void search_kept_delete(struct search_one *one);          /* everywhere but here */
MUST_CHECK int search_kept_fetch(struct search_one *one); /* its rows, if they are not here */
void search_kept_look(struct search *search); /* what other webservers have changed since */

struct search_one *search_one_new(struct search *search); /* one reference */

/* What its run may use here; it ends early when the search is abandoned. */
struct query_scratch *search_scratch_new(const struct search_one *one);

MUST_CHECK int search_check_room(struct search *search); /* ERR_UNAVAILABLE: as many as can be */

/* Gives it an id when it has none; false: there is one of its id. */
bool search_table_add(struct search_one *one);

/* Calls `each` for every search, in no order, without holding a lock. */
void search_each(struct search *search, void (*each)(void *context, struct search_one *one),
                 void *context);

/* Conditions that wait by the monotonic clock. */
void search_cond_init(pthread_cond_t *cond);
void search_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t timeout_ms);

#endif
