/*
 * What clients are told about a search: status and info objects, and the answers of the renderer
 * protocol, which REST and the websocket share. docs/protocols/search.md.
 */
#ifndef WEBSERVER_SEARCH_ANSWER_H
#define WEBSERVER_SEARCH_ANSWER_H

#include "query/module.h"
#include "webserver/search_one.h"

#define SEARCH_ROWS_MAX 65536    /* in one answer */
#define SEARCH_BUCKETS_MAX 65536 /* in one answer */
#define SEARCH_SETS_MAX 131072   /* counts of stages in one answer */

/* Requests of the renderer protocol, as numbered on the wire. */
enum search_request {
    SEARCH_REQUEST_CLOSE = 0x1,
    SEARCH_REQUEST_COUNT = 0x3,
    SEARCH_REQUEST_DETAILS = 0x4,
    SEARCH_REQUEST_TAGS = 0x5,
    SEARCH_REQUEST_ENTRIES = 0x10,
    SEARCH_REQUEST_STREAM = 0x11,
    SEARCH_REQUEST_RANGE = 0x12,
    SEARCH_REQUEST_RAW = 0x13,
    SEARCH_REQUEST_EXPLORE = 0xF010, /* as ENTRIES and RANGE, with what is in the entries */
    SEARCH_REQUEST_EXPLORE_RANGE = 0xF012,
    SEARCH_REQUEST_METADATA = 0x10001,
    SEARCH_REQUEST_STATS_SIZE = 0x7F000001,
    SEARCH_REQUEST_STATS_RANGE = 0x7F000002,
    SEARCH_REQUEST_STATS_GET = 0x7F000003,
    SEARCH_REQUEST_STATS_WINDOW = 0x7F000004,
    SEARCH_REQUEST_STATS_SUMMARY = 0x7F000005,
    SEARCH_REQUEST_STATS_LOCATION = 0x7F000006,
    SEARCH_REQUEST_STATS_OVERVIEW = 0x7F000007,
};

struct search_ask {
    uint32_t id;
    uint64_t first;
    uint64_t last;    /* exclusive */
    int64_t start_ns; /* TIME_UNSET: open */
    int64_t end_ns;
    uint64_t set_count;
    int64_t set_start_ns; /* TIME_UNSET: the search's */
    int64_t set_end_ns;
    struct query_fence fence; /* of maps */
};

void search_ask_decode(const json_t *json, struct search_ask *ask);

/* What one answer says about itself. */
struct search_told {
    size_t rows;   /* in it */
    bool more;     /* there are beyond them */
    bool finished; /* the search is; with an Error too */
};

/* Appends the answer object; what cannot be answered becomes one with Error. */
void search_answer(struct search_one *one, const struct search_ask *ask, struct buf *buf,
                   struct search_told *ret_told);

/* As REST clients of API Major 1 get them: the same with SessionID, Interval and Messages. */
void search_answer_rest(struct search_one *one, const struct search_ask *ask, const char *session,
                        struct buf *buf);
void search_answer_overview(struct search_one *one, const struct search_ask *ask, struct buf *buf);
void search_answer_modules(struct search_one *one, const struct search_ask *ask, struct buf *buf);
/* The plan, and what each stage read and dropped. */
json_t *search_explain_json(struct search_one *one);
void search_answer_metadata(struct search_one *one, const struct search_ask *ask, struct buf *buf);

/* One entry as a JSON object; `tag` is its number, or its name when not NULL. */
void search_entry_json(const struct entry *entry, const char *tag, struct buf *buf);

json_t *search_status_json(struct search_one *one);
json_t *search_info_json(struct search_one *one);
json_t *search_launch_info_json(struct search_one *one); /* under the lock */
json_t *search_messages_json(struct search_one *one);
json_t *search_tags_json(const struct search_one *one);

#endif
