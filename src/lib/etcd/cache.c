/* The store as a copy of etcd: opening it, checking it, filling it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/time.h"
#include "base/vec.h"
#include "etcd/state.h"

#define FILL_OBJECTS 256

/* ---- the note: which head the store is a copy of, and etcd's revision of it ---- */

struct note {
    struct etcd_head head;
    uint64_t mod;
};

char *etcd_note_text(const struct etcd_head *head, uint64_t mod)
{
    return mem_printf("%" PRIu64 " %" PRIu64 " %s", mod, head->revision, head->token);
}

/* False: the store has none. */
static int read_note(struct store *store, struct note *note, bool *ret_there)
{
    struct buf text = {0};
    int rc = store_get_note(store, SYNC_BACKEND_NOTE, &text);
    struct span span = buf_span(&text);
    ptrdiff_t space = span_find_byte(span, ' ');
    *ret_there = rc == 0 && space >= 0 && span_to_u64(span_first(span, (size_t)space), &note->mod);
    if (*ret_there) {
        rc = etcd_head_parse(span_from(span, (size_t)space + 1), &note->head);
    }
    buf_deinit(&text);
    return rc;
}

static int open_store(struct etcd_follower *follower)
{
    struct store_options options = {.io = follower->io,
                                    .users_path = follower->users_path,
                                    .web_path = follower->web_path,
                                    .blob_dir = follower->blob_dir,
                                    .versions_max = follower->options.versions_max,
                                    .versions_age_ns = follower->options.versions_age_ns,
                                    .authority = true,
                                    .shared = true};
    return store_open(&options, &follower->store);
}

/* Nothing is deleted: what is no part of etcd's past may be somebody's only copy. */
static int set_aside(struct etcd_follower *follower, const char *why)
{
    const char *paths[] = {follower->users_path, follower->web_path};
    static const char *const parts[] = {"", "-wal", "-shm"};
    int64_t now_s = io_now_ns(follower->io) / TIME_S_NS;
    int rc = 0;
    store_close(&follower->store);
    for (size_t i = 0; rc == 0 && i < ARRAY_COUNT(paths) * ARRAY_COUNT(parts); i++) {
        char *from = mem_printf("%s%s", paths[i / 3], parts[i % 3]);
        char *to = mem_printf("%s.aside-%" PRId64 "%s", paths[i / 3], now_s, parts[i % 3]);
        rc = io_exists(follower->io, from) ? io_rename(follower->io, from, to) : 0;
        mem_free(from);
        mem_free(to);
    }
    etcd_tell(follower, SYNC_WARN, "cache-set-aside",
              "%s is no copy of what etcd has (%s); it is kept as *.aside-%" PRId64
              " and filled anew",
              follower->users_path, why, now_s);
    return rc < 0 ? rc : open_store(follower);
}

/* ---- what etcd has ---- */

/* Of a store that never had anything. */
static int create(struct etcd_follower *follower)
{
    struct etcd_lineage lineage = {0};
    struct etcd_head head = etcd_head_new(follower->io, 0);
    for (enum object_file file = 0; file < OBJECT_FILES; file++) {
        uint8_t random[16];
        io_random(follower->io, random, sizeof(random));
        lineage.files[file].identity = uuid_of_random(random);
    }
    etcd_lineage_begin_epoch(&lineage, follower->io, 0);
    char *key = etcd_key(follower->etcd, "head");
    int rc = etcd_txn(follower->etcd, json_pack("[o]", etcd_if_mod(key, 0)),
                      json_pack("[o, o]", etcd_put_lineage(follower->etcd, &lineage),
                                etcd_put_head(follower->etcd, &head)),
                      NULL, ETCD_CALL_MS, NULL);
    mem_free(key);
    etcd_lineage_deinit(&lineage);
    if (rc == 0) {
        etcd_tell(follower, SYNC_INFO, "etcd-created", "etcd was empty: a new datastore begins");
    }
    return rc < 0 ? rc : 0; /* else another datastore was first */
}

static int read_or_create(struct etcd_follower *follower, struct etcd_head *head,
                          struct etcd_lineage *lineage, uint64_t *now)
{
    int64_t until_ns = etcd_now_ns() + ETCD_START_MS * TIME_MS_NS;
    for (;;) {
        int rc = etcd_read(follower->etcd, ETCD_CALL_MS, head, lineage, now);
        rc = rc == ETCD_ABSENT ? create(follower) : rc;
        if (rc == 0 && lineage->mod > 0) {
            return 0;
        }
        if (rc == 0 ? etcd_now_ns() > until_ns : !etcd_passes(rc, until_ns)) {
            return rc == 0 ? err_set(ERR_UNAVAILABLE, "etcd: its contents come and go") : rc;
        }
    }
}

/* Every life of a datastore is an epoch of all of them (docs/formats/store.md): an etcd that was
 * restored from a snapshot is noticed by it. */
static int put_epoch(struct etcd_follower *follower, struct etcd_head *head,
                     struct etcd_lineage *lineage, uint64_t *now)
{
    char *key = etcd_key(follower->etcd, "epochs");
    int64_t until_ns = etcd_now_ns() + ETCD_START_MS * TIME_MS_NS;
    int rc = ETCD_TXN_ELSE;
    while (rc == ETCD_TXN_ELSE || etcd_passes(rc, until_ns)) {
        etcd_lineage_deinit(lineage);
        rc = read_or_create(follower, head, lineage, now);
        if (rc < 0) {
            break;
        }
        uint64_t mod = lineage->mod;
        etcd_lineage_begin_epoch(lineage, follower->io, head->revision);
        rc = etcd_txn(
            follower->etcd,
            json_pack("[o, o]", etcd_if_head(follower->etcd, head), etcd_if_mod(key, mod)),
            json_pack("[o]", etcd_put_lineage(follower->etcd, lineage)), NULL, ETCD_CALL_MS, NULL);
    }
    mem_free(key);
    return rc;
}

/* While etcd is full, what it has is served; the keeper begins the epoch once there is space. */
static int begin_epoch(struct etcd_follower *follower, struct etcd_head *head,
                       struct etcd_lineage *lineage, uint64_t *now)
{
    int rc = put_epoch(follower, head, lineage, now);
    follower->epoch_due = rc == ERR_NO_SPACE;
    if (follower->epoch_due) {
        etcd_tell(follower, SYNC_ERROR, "etcd-full",
                  "%s; what is there is served, writes are refused until there is space",
                  err_text());
    }
    if (rc == 0 || follower->epoch_due) {
        etcd_lineage_deinit(lineage);
        rc = read_or_create(follower, head, lineage, now);
    }
    return rc;
}

int etcd_cache_begin_epoch(struct etcd_follower *follower)
{
    struct etcd_head head = {0};
    struct etcd_lineage lineage = {0};
    uint64_t now = 0;
    int rc = put_epoch(follower, &head, &lineage, &now);
    etcd_lineage_deinit(&lineage);
    if (rc == 0) {
        (void)pthread_mutex_lock(&follower->lock);
        follower->epoch_due = false;
        (void)pthread_mutex_unlock(&follower->lock);
        etcd_tell(follower, SYNC_INFO, "etcd-space", "etcd has space again, writes are taken");
    }
    return rc;
}

/* ---- is the store a part of it? ---- */

static int check_cache(struct etcd_follower *follower, const struct note *note,
                       const struct etcd_head *head, const struct etcd_lineage *lineage)
{
    struct etcd_lineage ours = {0};
    if (note->head.revision > head->revision) {
        return set_aside(follower, "etcd has gone back in time");
    }
    if (note->head.revision == head->revision && strcmp(note->head.token, head->token) != 0) {
        return set_aside(follower, "etcd went another way");
    }
    int rc = etcd_lineage_of_store(follower->store, &ours);
    bool part =
        rc == 0 && etcd_lineage_contains(lineage, head->revision, &ours, note->head.revision);
    etcd_lineage_deinit(&ours);
    return rc < 0 || part ? rc : set_aside(follower, "it has another past");
}

static int count_objects(struct store *store, bool *ret_any)
{
    *ret_any = false;
    for (enum object_file file = 0; file < OBJECT_FILES; file++) {
        struct object_list list = {0};
        int rc = store_scan(store, file, NULL, 1, &list);
        *ret_any = *ret_any || list.count > 0;
        object_list_deinit(&list);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* *ret_after: etcd's revision that the store is a copy of; 0: of nothing. */
static int open_cache(struct etcd_follower *follower, const struct etcd_head *head,
                      const struct etcd_lineage *lineage, uint64_t *ret_after)
{
    struct note note = {0};
    bool noted = false;
    bool any = false;
    int rc = open_store(follower);
    rc = rc < 0 ? rc : read_note(follower->store, &note, &noted);
    rc = rc < 0 ? rc : count_objects(follower->store, &any);
    if (rc == 0 && any && !noted) {
        return err_set(ERR_CONFLICT,
                       "%s holds objects that are not from etcd: bring them there with \"aquifer "
                       "datastore migrate\", then move the files away",
                       follower->users_path);
    }
    if (rc < 0 || !noted) {
        return rc;
    }
    rc = check_cache(follower, &note, head, lineage);
    rc = rc < 0 ? rc : read_note(follower->store, &note, &noted);
    /* One file may be behind the other after a power failure: its objects are fetched again. */
    struct store_place users = {0};
    struct store_place web = {0};
    rc = rc < 0 ? rc : store_place(follower->store, OBJECT_FILE_USERS, &users);
    rc = rc < 0 ? rc : store_place(follower->store, OBJECT_FILE_WEB, &web);
    if (rc == 0 && noted && MIN(users.cursor, web.cursor) >= note.head.revision) {
        *ret_after = note.mod;
    }
    return rc;
}

/* ---- filling ---- */

struct fill {
    struct etcd_follower *follower;
    struct store *store;
    struct object_list list;
    uint64_t count;
};

static int put_all(struct fill *fill)
{
    int rc = store_begin(fill->store, STORE_LAZY);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < fill->list.count; i++) {
        rc = store_put(fill->store, fill->list.items[i]);
    }
    if (rc < 0) {
        store_abort(fill->store);
    } else {
        rc = store_commit(fill->store);
    }
    fill->count += fill->list.count;
    object_list_deinit(&fill->list);
    return rc;
}

/* What is there already is not put again: its earlier versions would be lost for nothing. */
static int fill_one(void *context, struct object **takes)
{
    struct fill *fill = context;
    struct object *there = NULL;
    int rc = store_get_any(fill->store, &(*takes)->id, &there);
    bool news = rc == STORE_ABSENT || (rc == 0 && there->revision < (*takes)->revision);
    object_free(&there);
    if (rc < 0 || !news) {
        return rc < 0 ? rc : 0;
    }
    vec_push(&fill->list, *takes);
    *takes = NULL;
    return fill->list.count < FILL_OBJECTS ? 0 : put_all(fill);
}

static void fill_without(void *context, const char *why)
{
    etcd_pass_over(((struct fill *)context)->follower, why);
}

static int finish(struct etcd_follower *follower, const struct etcd_head *head,
                  const struct etcd_lineage *lineage, uint64_t now)
{
    struct store *store = follower->store;
    char *note = etcd_note_text(head, now);
    int rc = store_begin(store, STORE_DURABLE);
    bool begun = rc == 0;
    rc = rc < 0 ? rc : store_reach_revision(store, head->revision);
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        const struct sync_lineage *one = &lineage->files[file];
        rc = store_set_lineage(store, file, &one->identity, &one->last, one->epochs, one->count);
        rc = rc < 0 ? rc : store_set_cursor(store, file, head->revision);
    }
    rc = rc < 0 ? rc : store_set_note(store, SYNC_BACKEND_NOTE, note);
    if (begun && rc < 0) {
        store_abort(store);
    } else if (begun) {
        rc = store_commit(store);
    }
    mem_free(note);
    if (rc == 0) {
        follower->head = *head;
        follower->epochs_mod = lineage->mod;
        follower->applied_mod = now;
    }
    return rc;
}

static int mark(struct etcd_follower *follower)
{
    struct etcd_head none = {.token = "00000000-0000-0000-0000-000000000000"};
    char *note = etcd_note_text(&none, 0);
    int rc = store_begin(follower->store, STORE_DURABLE);
    if (rc == 0) {
        rc = store_set_note(follower->store, SYNC_BACKEND_NOTE, note);
        if (rc < 0) {
            store_abort(follower->store);
        } else {
            rc = store_commit(follower->store);
        }
    }
    mem_free(note);
    return rc;
}

int etcd_cache_open(struct etcd_follower *follower)
{
    struct etcd_head head = {0};
    struct etcd_lineage lineage = {0};
    uint64_t now = 0;
    uint64_t after = 0;
    int rc = read_or_create(follower, &head, &lineage, &now);
    rc = rc < 0 ? rc : open_cache(follower, &head, &lineage, &after);
    if (rc == 0) {
        rc = begin_epoch(follower, &head, &lineage, &now);
    }
    /* Half filled it must be known as a copy of etcd, not as somebody's own store. */
    rc = rc < 0 || after > 0 ? rc : mark(follower);
    struct fill fill = {.follower = follower, .store = follower->store};
    rc = rc < 0 ? rc : etcd_walk(follower->etcd, after, now, fill_one, fill_without, &fill);
    rc = rc < 0 ? rc : put_all(&fill);
    object_list_deinit(&fill.list);
    rc = rc < 0 ? rc : finish(follower, &head, &lineage, now);
    etcd_lineage_deinit(&lineage);
    if (rc == 0) {
        etcd_tell(follower, SYNC_INFO, "etcd-follows",
                  "revision %" PRIu64 ", %" PRIu64 " objects fetched", head.revision, fill.count);
    }
    return rc;
}

/* ---- catching up while webservers are served: in order ---- */

static int keep(void *context, struct object **takes)
{
    struct fill *fill = context;
    vec_push(&fill->list, *takes);
    *takes = NULL;
    return 0;
}

static int by_revision(const void *a, const void *b)
{
    const struct object *const *x = a;
    const struct object *const *y = b;
    return (*x)->revision < (*y)->revision ? -1 : (*x)->revision > (*y)->revision;
}

int etcd_cache_resync(struct etcd_follower *follower)
{
    struct etcd_head head = {0};
    struct etcd_lineage lineage = {0};
    struct fill fill = {.follower = follower};
    struct object_list *list = &fill.list;
    uint64_t now = 0;
    int rc = etcd_read(follower->etcd, ETCD_CALL_MS, &head, &lineage, &now);
    if (rc == ETCD_ABSENT) {
        return err_set(ERR_CORRUPT, "etcd: everything is gone from it");
    }
    (void)pthread_mutex_lock(&follower->lock);
    uint64_t after = follower->applied_mod;
    (void)pthread_mutex_unlock(&follower->lock);
    rc = rc < 0 ? rc : etcd_walk(follower->etcd, after, now, keep, fill_without, &fill);
    if (rc == 0 && list->count > 1) {
        qsort(list->items, list->count, sizeof(*list->items), by_revision);
    }
    char *note = etcd_note_text(&head, now);
    struct sync_applied applied = {
        .objects = list->items, .count = list->count, .revision = head.revision, .note = note};
    rc = rc < 0 ? rc : etcd_apply(follower, &applied, &lineage);
    (void)pthread_mutex_lock(&follower->lock);
    if (rc == 0) {
        follower->applied_mod = MAX(follower->applied_mod, now);
        follower->stats.resyncs++;
    }
    if (rc == 0 && head.revision > follower->head.revision) {
        follower->head = head;
    }
    (void)pthread_mutex_unlock(&follower->lock);
    mem_free(note);
    etcd_lineage_deinit(&lineage);
    object_list_deinit(list);
    return rc;
}
