/*
 * The datastore's side: takes pushes, gives revisions, feeds changes, knows who is up. The room
 * (src/datastore) puts HTTP around it. It owns all writing of its store.
 *
 * Any number of threads. Pushes that wait while another one is on its way to the disk go there
 * together, with one sync. docs/protocols/datastore.md.
 */
#ifndef SYNC_SERVER_H
#define SYNC_SERVER_H

#include "sync/sync.h"

#define SYNC_SERVER_RECENT 8192 /* changes kept in memory for the feeds; older ones are read */
#define SYNC_PUSH_OBJECTS_MAX 1024
#define SYNC_PUSH_BYTES_MAX (64u << 20)
#define SYNC_MISSED_MAX 3 /* check-ins, then a webserver is down */

struct sync_server;
struct sync_feed;

struct sync_server_options {
    struct io *io;
    struct store *store; /* borrowed, opened as authority */
    void (*on_event)(void *context, enum sync_level level, const char *event, const char *text);
    void *context;
};

/* A store that was a webserver's until now is taken over: what was waiting there to be pushed is
 * accepted. */
MUST_CHECK int sync_server_new(const struct sync_server_options *options,
                               struct sync_server **ret_server);
/* No feed may be open, no call under way. */
void sync_server_free(struct sync_server **server);
/* Wakes all feeds: their next call says ERR_CANCELLED. */
void sync_server_stop(struct sync_server *server);

/* ERR_INVALID names the member; ERR_UNSUPPORTED: a protocol this program does not speak.
 * *ret_answer is a new reference. */
MUST_CHECK int sync_server_check_in(struct sync_server *server, const json_t *request,
                                    json_t **ret_answer);
/* As above; ERR_CONFLICT: the push was meant for an earlier process: check in again. */
MUST_CHECK int sync_server_push(struct sync_server *server, const json_t *request,
                                json_t **ret_answer);
/* {"webservers":[...]}, a new reference. */
json_t *sync_server_webservers(struct sync_server *server);

struct sync_feed_options {
    bool objects;    /* else only who is up */
    uint64_t since;  /* changes above this revision */
    const char *run; /* NULL: any; else ERR_CONFLICT when it is not this process */
};
MUST_CHECK int sync_feed_open(struct sync_server *server, const struct sync_feed_options *options,
                              struct sync_feed **ret_feed);
/* Appends whole lines of JSON: what there is, or after timeout_ms a sign of life.
 * ERR_CANCELLED: the server stops. One thread per feed. */
MUST_CHECK int sync_feed_next(struct sync_feed *feed, int64_t timeout_ms, struct buf *lines);
void sync_feed_close(struct sync_feed **feed); /* may be NULL */

struct sync_server_stats {
    uint64_t revision;
    uint64_t pushes, commits; /* commits < pushes: they went together */
    uint64_t verdicts[6];     /* by enum sync_verdict */
    uint64_t feeds, webservers_up, webservers_known;
};
void sync_server_stats(struct sync_server *server, struct sync_server_stats *ret_stats);

#endif
