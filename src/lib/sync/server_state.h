/*
 * Inside sync/: the state of a datastore's server. server.c takes pushes, feed.c tells what
 * happened and who is up.
 */
#ifndef SYNC_SERVER_STATE_H
#define SYNC_SERVER_STATE_H

#include <pthread.h>

#include "sync/message.h"
#include "sync/server.h"

/* One webserver as it was last heard of. */
struct sync_seen {
    struct sync_webserver view;
    int64_t seen_ns; /* monotonic */
    int64_t interval_ms;
    bool leaving;
};

/* A committed change as the feeds send it. */
struct sync_line {
    struct uuid id;
    uint64_t revision;
    char *text; /* owned, with its newline */
    size_t bytes;
};

struct sync_changes {
    struct sync_line *items;
    size_t count;
    size_t capacity;
    size_t bytes; /* of their text */
};

/* One push on its way; lives on the stack of the thread that waits for it. */
struct sync_pushed {
    const json_t *request;
    struct sync_reply *replies; /* of `count`, owned by the pusher */
    struct object **objects;    /* what was pushed; NULL: could not be read */
    size_t count;
    int rc;
    bool done;
    char fault[256];
    struct sync_pushed *next;
};

struct sync_server {
    struct io *io;
    struct store *store;
    struct sync_server_options options;
    struct uuid run;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* something for the feeds, or a push is done */
    bool stopping;
    struct sync_line recent[SYNC_SERVER_RECENT];
    uint64_t recent_begin, recent_end; /* places, modulo the size */
    size_t recent_bytes, recent_bytes_max;
    uint64_t recent_after; /* every change above this revision is in `recent` */
    uint64_t revision;     /* the last one in `recent` */

    struct sync_pushed *waiting; /* in order */
    struct sync_pushed **waiting_end;
    bool leading;   /* a thread is writing for all who wait */
    char away[256]; /* why nothing is taken or told; "": all well */

    struct sync_seen webservers[SYNC_WEBSERVERS_MAX];
    size_t webserver_count;
    uint64_t generation;                 /* of who is up */
    uint64_t remembered;                 /* the generation that is kept in the store */
    size_t unreadable_noted;             /* rows that the note in the store names */
    uint64_t lineages;                   /* how often others brought new epochs */
    uint8_t wanted[SYNC_WANTED_MAX][32]; /* contents that webservers are asked for */
    size_t wanted_count;
    struct sync_server_stats stats;

    /* The leader's: our past, for judging; epochs learnt since are added. */
    struct sync_epochs epochs[OBJECT_FILES];
    struct uuid last[OBJECT_FILES];
};

struct sync_feed {
    struct sync_server *server;
    bool objects;
    uint64_t cursor;
    bool through;
    uint64_t generation;
    uint64_t lineages; /* as told */
};

void sync_server_tell(struct sync_server *server, enum sync_level level, const char *event,
                      const char *text);
/* Who was up when the last process ended: it need not be down because this one has begun. */
int sync_server_recall(struct sync_server *server);
/* Hex names of what webservers are asked for; a new reference. */
json_t *sync_server_wanted(struct sync_server *server);

/* unreadable.c: what store_unreadable() tells is kept in the store, and what of it can be read
 * again when a server begins gets a new revision. Of a store that is the truth. */
int sync_note_unreadable(struct sync_server *server);
int sync_feed_mended(struct sync_server *server, uint64_t *ret_count);

/* A change as the feeds send it; the caller's. */
struct sync_line sync_line_of(const struct object *object);
/* The object within it; borrows. */
struct span sync_line_json(const struct sync_line *line);
void sync_lines_free(struct sync_changes *changes);
/* Under the lock. Takes the line. */
void sync_publish(struct sync_server *server, struct sync_line line);
/* The leader's. */
int sync_load_epochs(struct sync_server *server, enum object_file file);
int sync_learn_epochs(struct sync_server *server, const json_t *request);
/* Steps that a webserver went through before it could push: kept as earlier versions. */
int sync_learn_versions(struct sync_server *server, const json_t *request);
int sync_push_one(struct sync_server *server, struct object *pushed, struct sync_reply *reply,
                  struct sync_changes *changes);
/* The leader's: as write_batch in server.c, by way of the backend; publishes. */
int sync_backend_write(struct sync_server *server, struct sync_pushed *batch);
/* Under the lock. 0, or ERR_UNAVAILABLE. */
int sync_check_away(struct sync_server *server);
int sync_check_protocol(const json_t *request);
int sync_check_run(struct sync_server *server, const char *run);

#endif
