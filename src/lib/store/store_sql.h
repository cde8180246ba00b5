/*
 * Inside store/: connections, statements and rows. A connection has both files: schema `main` is
 * the accounts, schema `web` the rest. It is used by one thread at a time.
 */
#ifndef STORE_STORE_SQL_H
#define STORE_STORE_SQL_H

#include <pthread.h>
#include <sqlite3.h>

#include "base/map.h"
#include "base/vec.h"
#include "store/store.h"

#define STORE_FORMAT 1
#define STORE_READERS_KEPT 8
#define STORE_CURSOR_AHEAD_MAX 1024
#define STORE_LOG_PAGES 4096 /* a log is moved into its file when it is longer */
#define STORE_PAUSE_NS TIME_S_NS
#define STORE_CHECKPOINT_NS TIME_MINUTE_NS
#define STORE_CHANGE_KEEP_NS (30 * TIME_DAY_NS) /* how long change ids are remembered */

/* The same statement for either file. */
#define STORE_BOTH(before, after)                                                                  \
    {                                                                                              \
        before "main." after, before "web." after                                                  \
    }

struct store_connection {
    sqlite3 *db;
    struct map statements; /* text -> sqlite3_stmt, those not in use */
    struct store *store;
    struct store_connection *next; /* in the list of free readers */
};

struct store {
    struct io *io;
    bool authority;
    bool shared;
    uint32_t versions_max;
    int64_t versions_age_ns;
    void (*on_unreadable)(void *context, const char *text);
    void *context;
    char *paths[OBJECT_FILES];
    char *blob_dir;
    int lock_fd;

    pthread_mutex_t write_lock; /* held from begin to commit or abort */
    struct store_connection *writer;
    bool writing;                     /* under state_lock */
    pthread_t write_thread;           /* under state_lock */
    enum store_durability durability; /* what the writer is set to */
    bool unsaved;                     /* something is in the logs only; writer's */
    bool epoch_begun[OBJECT_FILES];   /* writer's: this life has its epoch */
    bool epoch_begun_before[OBJECT_FILES];
    uint64_t next_revision; /* writer's: given last, committed or not */
    uint64_t revision_before;
    uint64_t dirty_last; /* writer's: last place in the dirty order */
    uint64_t dirty_before;
    /* Writer's. A cursor is saved with its file's next change, or when it is far ahead of what is
     * saved: one that is behind costs no more than hearing something twice. */
    uint64_t cursor[OBJECT_FILES];
    uint64_t cursor_before[OBJECT_FILES];
    uint64_t cursor_saved[OBJECT_FILES];
    uint64_t cursor_saved_before[OBJECT_FILES];
    bool touched[OBJECT_FILES]; /* in this transaction */
    int64_t commit_ns;          /* the last one; monotonic */
    int64_t checkpoint_ns;

    pthread_mutex_t blob_lock; /* within a transaction at most, never the other way round */
    struct map unused;         /* SHA-256 of contents that nothing names: int64_t *, since when */

    pthread_mutex_t state_lock;
    struct store_connection *readers; /* free ones */
    size_t reader_count;
    uint64_t committed_revision;
    uint64_t committed_cursor[OBJECT_FILES];
    VEC(struct uuid) unreadable; /* at most STORE_UNREADABLE_MAX */
};

/* ---- statements: take, bind, step, give ---- */

struct store_statement {
    struct store_connection *connection;
    sqlite3_stmt *statement;
    const char *text;
    int rc;    /* sticky: the first fault; everything after it does nothing */
    int bound; /* parameters bound so far */
};

struct store_statement store_take(struct store_connection *connection, const char *text);
void store_bind_int(struct store_statement *statement, int64_t value);
void store_bind_text(struct store_statement *statement, const char *text); /* NULL is NULL */
void store_bind_blob(struct store_statement *statement, struct span blob); /* empty is NULL */
void store_bind_uuid(struct store_statement *statement, const struct uuid *uuid);
/* 1: a row, 0: no more, negative: a fault. */
int store_step(struct store_statement *statement);
int64_t store_column_int(struct store_statement *statement, int column);
const char *store_column_text(struct store_statement *statement, int column); /* "" for NULL */
struct span store_column_blob(struct store_statement *statement, int column);
struct uuid store_column_uuid(struct store_statement *statement, int column);
/* Gives it back; returns the sticky fault or 0. */
int store_give(struct store_statement *statement);
/* Steps once, expects no row, gives back. */
int store_run(struct store_statement *statement);
/* A value of one row with one column; `absent` when there is none. */
int store_run_int(struct store_statement *statement, int64_t absent, int64_t *ret_value);
int store_exec(struct store_connection *connection, const char *text);
int store_fault(struct store_connection *connection, int sqlite_rc, const char *what);

/* ---- connections ---- */

int store_connect(struct store *store, bool writer, struct store_connection **ret_connection);
void store_disconnect(struct store_connection **connection);
/* For reading: the writer inside its own transaction, else a free reader. */
int store_reader(struct store *store, struct store_connection **ret_connection);
void store_reader_done(struct store *store, struct store_connection *connection);
bool store_in_transaction(struct store *store); /* of the calling thread */
int store_get_from(struct store_connection *connection, enum object_file file,
                   const struct uuid *id, struct object **ret_object);

int store_save_cursors(struct store *store); /* outside a transaction, under the write lock */

/* ---- rows ---- */

#define STORE_COLUMNS                                                                              \
    "kind,id,number,guid,owner,gids,global,write_global,write_gids,labels,name,description,body,"  \
    "blob,blob_bytes,created,updated,revision,base,change,deleted,dirty,flags,rescue_epoch,"       \
    "rescue_revision,stamps,over,past"
#define STORE_COLUMN_REVISION 17
#define STORE_COLUMN_DIRTY 21
#define STORE_COLUMN_PARAMS "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?"

int store_row_read(struct store_statement *statement, struct object **ret_object);
/* As above; STORE_ABSENT: it cannot be read, the list goes on without it. */
int store_row_of_list(struct store_statement *statement, struct object **ret_object);
/* A row that cannot be read (err_text) is told of and kept in mind. ERR_CORRUPT: nobody wants to
 * be told, or there are too many. */
int store_row_unreadable(struct store_statement *statement);
/* Binds all of STORE_COLUMNS; `dirty` is the place in the dirty order, 0 for a clean one. */
void store_row_bind(struct store_statement *statement, const struct object *object, uint64_t dirty);
enum object_file store_file_of(enum object_kind kind);

/* ---- files ---- */

int store_schema_prepare(struct store *store, struct store_connection *connection);
int store_meta_get(struct store_connection *connection, enum object_file file, const char *key,
                   struct buf *buf);
int store_meta_set(struct store_connection *connection, enum object_file file, const char *key,
                   const char *value);
int store_begin_epoch(struct store *store, enum object_file file);
int store_blobs_prepare(struct store *store);
void store_sweep_deinit(struct store *store);

#endif
