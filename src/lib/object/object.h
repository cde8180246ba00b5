/*
 * A control-plane object: the one shape of everything users make (dashboards, resources, search
 * history, ...) and of the accounts themselves. Kinds differ only in their row of the table in
 * kind.h. Who may do what is in access.h.
 *
 * An object is owned by whoever got it (object_new, object_clone, the store's getters) and is
 * freed with object_free. One thread at a time. Its text form is the JSON of object_to_json,
 * described in docs/protocols/datastore.md; on disk docs/formats/store.md.
 *
 * The life of a version, on a webserver:
 *
 *     clean ──edit──> dirty ──pushed, accepted──> clean (new revision)
 *                       └──pushed, another was first──> the other's version; ours is a copy
 *
 * Fields from `revision` on belong to store/ and sync/; rooms read them and leave them alone.
 */
#ifndef OBJECT_OBJECT_H
#define OBJECT_OBJECT_H

#include <jansson.h>

#include "base/err.h"
#include "base/span.h"
#include "base/uuid.h"
#include "object/kind.h"

#define OBJECT_NUMBER_MAX ((UINT64_C(1) << 53) - 1) /* what a browser's number holds */
/* Body flag of what a webserver makes for an empty cluster (the first account): it yields to any
 * version that a person made, should one turn up. Gone with the first change. */
#define OBJECT_PROVISIONAL "Provisional"
#define OBJECT_NAME_BYTES_MAX 1024
#define OBJECT_DESCRIPTION_BYTES_MAX 65536
#define OBJECT_BODY_LEVELS_MAX 1000 /* arrays and objects in each other */
#define OBJECT_LABELS_MAX 256
#define OBJECT_LABEL_BYTES_MAX 256
#define OBJECT_GIDS_MAX 4096
#define OBJECT_BLOB_BYTES_MAX (UINT64_C(512) << 20)
#define OBJECT_STAMPS_MAX 8 /* how many lost datastores a version is remembered through */
#define OBJECT_OVER_MAX 32  /* how many unconfirmed edits of one object are remembered */
#define OBJECT_PAST_MAX 16  /* how many of its earlier versions a version can name */

/* A set of group ids, in the order given. */
struct object_gids {
    int32_t *items; /* owned */
    size_t count;
};

/* Contents too large for the body: a file named by its hash in the store's blob directory. */
struct object_blob {
    uint8_t sha256[32];
    uint64_t bytes;
    bool present;
};

/* Where in the history of all datastores a version was born: the epoch (docs/formats/store.md)
 * and the revision within it. */
struct object_stamp {
    struct uuid epoch;
    uint64_t revision;
};

struct object {
    enum object_kind kind;
    struct uuid id;          /* unique over all kinds */
    uint64_t number;         /* the number the web API knows it by (uid, gid, dashboard id), or 0 */
    struct uuid guid;        /* portable id of "things": many copies may share it; zero: none */
    int32_t owner;           /* uid; 0: nobody's */
    struct object_gids gids; /* groups that may read */
    bool global;             /* everybody may read */
    bool write_global;       /* everybody may write */
    struct object_gids write_gids;
    char **labels; /* owned, each too */
    size_t label_count;
    char *name;        /* owned, never NULL */
    char *description; /* owned, never NULL */
    json_t *body;      /* owned reference; an object; NULL is the same as {} */
    struct object_blob blob;
    int64_t created_ns;
    int64_t updated_ns;

    uint64_t revision;      /* of the datastore; 0: it never had it */
    uint64_t base_revision; /* dirty: the revision that was edited */
    struct uuid change;     /* names this version; made at each edit */
    bool deleted;           /* a tombstone: body, blob and sharing are gone */
    bool dirty;             /* not yet confirmed by the datastore ("Synced": false) */
    bool refused;           /* dirty, and the datastore will not have it; not tried again */
    bool rescue;            /* dirty because the datastore lost it; see sync/core.h */
    bool edited;            /* rescue: edited here since rescue_stamp */
    bool stamped;           /* the contents are those of the last stamp */
    struct object_stamp rescue_stamp;
    struct object_stamp stamps[OBJECT_STAMPS_MAX]; /* lives in datastores that are gone */
    size_t stamp_count;
    struct uuid over[OBJECT_OVER_MAX]; /* dirty: edits since the base that this one replaces */
    size_t over_count;
    struct uuid past[OBJECT_PAST_MAX]; /* the changes before this one, newest last */
    size_t past_count;
};

struct object *object_new(enum object_kind kind); /* empty, id zero */
struct object *object_clone(const struct object *object);
void object_free(struct object **object); /* may be NULL */

/* Setters copy. */
void object_set_name(struct object *object, const char *name);
void object_set_description(struct object *object, const char *description);
void object_set_gids(struct object_gids *gids, const int32_t *items, size_t count);
void object_set_labels(struct object *object, const char *const *labels, size_t count);
void object_set_body(struct object *object, json_t *body); /* takes */
bool object_gids_have(const struct object_gids *gids, int32_t gid);

/* The body's member, or NULL. Borrows. */
json_t *object_body(const struct object *object, const char *key);
const char *object_body_text(const struct object *object, const char *key); /* "" when absent */
bool object_body_bool(const struct object *object, const char *key);
int64_t object_body_int(const struct object *object, const char *key); /* 0 when absent */

/* Removes what a tombstone does not keep; number, name, guid and owner stay. */
void object_bury(struct object *object);

/* Ids that follow from what they name, so that two webservers that make the same thing make the
 * same object: user 7, group 3; preference "prefs" of user 7; the signing key "current". */
struct uuid object_id_of_number(enum object_kind kind, uint64_t number);
struct uuid object_id_of_name(enum object_kind kind, int32_t owner, const char *name);

/* A number within 1..OBJECT_NUMBER_MAX from 8 random bytes, at least 2^32: no uid looks like it. */
uint64_t object_number_of_random(const uint8_t random[8]);

/* ERR_INVALID or ERR_TOO_LARGE with a text that names the field: "dashboard.name: ...". */
MUST_CHECK int object_validate(const struct object *object);

/* The whole object as JSON, sync fields included; a new reference. */
json_t *object_to_json(const struct object *object);

/* ERR_INVALID names the member ("gids[2]: an integer is expected"). Unknown members are ignored
 * (a newer peer), an unknown kind is refused with ERR_UNSUPPORTED. Does not validate. */
MUST_CHECK int object_from_json(const json_t *json, struct object **ret_object);

#endif
