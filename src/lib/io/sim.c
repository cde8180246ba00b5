#include "io/sim.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/vec.h"

#define SIM_SECTOR_BYTES 512

/* A write or a truncation that no sync has confirmed. */
struct sim_write {
    uint64_t offset; /* of a truncation: the new size */
    struct buf data;
    bool truncates;
};

struct sim_inode {
    struct sim_inode *next;
    bool is_dir;
    struct buf current; /* as the program reads it */
    struct buf durable; /* as a crash would leave it at least */
    VEC(struct sim_write) pending;
};

/* A name made, replaced, moved or removed, which no sync of its directory has confirmed. */
struct sim_change {
    char *path;
    char *from;              /* of a rename: the name that went away; else NULL */
    struct sim_inode *inode; /* NULL: `path` went away */
};

struct sim_file {
    struct io_file file;
    struct io_sim *sim;
    struct sim_inode *inode;
    uint64_t life;
    bool writable;
};

static const struct io_methods sim_methods;

static struct io_sim *sim_of(struct io *io)
{
    return CONTAINER_OF(io, struct io_sim, io);
}

static struct sim_file *file_of(struct io_file *file)
{
    return CONTAINER_OF(file, struct sim_file, file);
}

/* splitmix64 */
static uint64_t draw(struct io_sim *sim)
{
    sim->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = sim->random;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t below(struct io_sim *sim, uint64_t bound)
{
    CHECK(bound > 0);
    return draw(sim) % bound;
}

uint64_t io_sim_below(struct io_sim *sim, uint64_t bound)
{
    pthread_mutex_lock(&sim->lock);
    uint64_t value = below(sim, bound);
    pthread_mutex_unlock(&sim->lock);
    return value;
}

static struct sim_inode *inode_new(struct io_sim *sim, bool is_dir)
{
    struct sim_inode *inode = MEM_NEW(struct sim_inode);
    inode->is_dir = is_dir;
    inode->next = sim->inodes;
    sim->inodes = inode;
    return inode;
}

static void forget_pending(struct sim_inode *inode)
{
    for (size_t i = 0; i < inode->pending.count; i++) {
        buf_deinit(&inode->pending.items[i].data);
    }
    vec_clear(&inode->pending);
}

void io_sim_init(struct io_sim *sim, uint64_t seed)
{
    *sim = (struct io_sim){
        .io = {&sim_methods},
        .fail_with = ERR_IO,
        .now_ns = INT64_C(1700000000) * 1000000000,
        .tick_ns = 1000,
        .random = seed,
    };
    pthread_mutex_init(&sim->lock, NULL);
    struct sim_inode *root = inode_new(sim, true);
    map_put(&sim->names, SPAN_LIT("/"), root);
    map_put(&sim->names, SPAN_LIT("."), root);
    map_put(&sim->durable_names, SPAN_LIT("/"), root);
    map_put(&sim->durable_names, SPAN_LIT("."), root);
}

static void change_free(struct sim_change *change)
{
    mem_free(change->path);
    mem_free(change->from);
}

void io_sim_deinit(struct io_sim *sim)
{
    for (size_t i = 0; i < sim->changes_count; i++) {
        change_free(&sim->changes[i]);
    }
    mem_free(sim->changes);
    while (sim->inodes != NULL) {
        struct sim_inode *inode = sim->inodes;
        sim->inodes = inode->next;
        forget_pending(inode);
        vec_deinit(&inode->pending);
        buf_deinit(&inode->current);
        buf_deinit(&inode->durable);
        mem_free(inode);
    }
    map_deinit(&sim->names);
    map_deinit(&sim->durable_names);
    pthread_mutex_destroy(&sim->lock);
}

static struct span dir_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return SPAN_LIT(".");
    }
    return slash == path ? SPAN_LIT("/") : span_of(path, (size_t)(slash - path));
}

/* What a name change does to a map of names. */
static void change_apply(struct map *names, const struct sim_change *change)
{
    if (change->from != NULL) {
        map_remove(names, span_of_str(change->from));
    }
    if (change->inode != NULL) {
        map_put(names, span_of_str(change->path), change->inode);
    } else {
        map_remove(names, span_of_str(change->path));
    }
}

static void change_add(struct io_sim *sim, const char *path, const char *from,
                       struct sim_inode *inode)
{
    if (sim->changes_count == sim->changes_capacity) {
        sim->changes_capacity = MAX(sim->changes_capacity * 2, (size_t)16);
        sim->changes = mem_realloc(sim->changes, sim->changes_capacity * sizeof(*sim->changes));
    }
    struct sim_change change = {mem_strdup(path), from == NULL ? NULL : mem_strdup(from), inode};
    sim->changes[sim->changes_count++] = change;
    change_apply(&sim->names, &change);
}

static void put_bytes(struct buf *content, uint64_t offset, struct span data)
{
    uint64_t end = offset + data.bytes;
    if (end > content->bytes) {
        size_t more = (size_t)end - content->bytes;
        memset(buf_reserve(content, more), 0, more);
        content->bytes += more;
    }
    if (data.bytes > 0) {
        memcpy(content->data + offset, data.data, data.bytes);
    }
}

static void set_size(struct buf *content, uint64_t bytes)
{
    if (bytes < content->bytes) {
        content->bytes = (size_t)bytes;
    } else if (bytes > content->bytes) {
        put_bytes(content, bytes, SPAN_NONE);
    }
}

static void write_apply(struct buf *content, const struct sim_write *write)
{
    if (write->truncates) {
        set_size(content, write->offset);
    } else {
        put_bytes(content, write->offset, buf_span(&write->data));
    }
}

/* A write torn at any byte, or of which some sectors arrived. */
static void write_apply_torn(struct io_sim *sim, struct buf *content, const struct sim_write *write)
{
    struct span data = buf_span(&write->data);
    if (data.bytes == 0) {
        return;
    }
    if (below(sim, 2) == 0) {
        put_bytes(content, write->offset, span_first(data, (size_t)below(sim, data.bytes)));
        return;
    }
    for (size_t at = 0; at < data.bytes; at += SIM_SECTOR_BYTES) {
        if (below(sim, 2) == 0) {
            put_bytes(content, write->offset + at,
                      span_first(span_from(data, at), SIM_SECTOR_BYTES));
        }
    }
}

/* Each unsynced write is kept, torn or lost. */
static void settle(struct io_sim *sim, struct sim_inode *inode)
{
    uint64_t mood = below(sim, 4); /* all kept, all lost, or each for itself */
    for (size_t i = 0; i < inode->pending.count; i++) {
        struct sim_write *write = &inode->pending.items[i];
        uint64_t fate = mood < 2 ? mood : below(sim, 3);
        if (fate == 0) {
            write_apply(&inode->durable, write);
        } else if (fate == 2 && !write->truncates) {
            write_apply_torn(sim, &inode->durable, write);
        }
    }
    forget_pending(inode);
}

/* Counts a call. 0: go on. 1: it fails, and may do a part of its work. 2: the power is off. */
enum { GO = 0, FAILS = 1, OFF = 2 };

static int step(struct io_sim *sim)
{
    if (sim->off) {
        return OFF;
    }
    sim->calls++;
    if (sim->calls == sim->crash_at) {
        sim->off = true;
        return FAILS;
    }
    if (sim->calls == sim->fail_at) {
        sim->failed = true;
        return FAILS;
    }
    return GO;
}

static int fault(const struct io_sim *sim, const char *call, const char *path)
{
    if (sim->off) {
        return err_set(ERR_IO, "%s %s: simulated power failure", call, path);
    }
    return err_set(sim->fail_with, "%s %s: simulated fault", call, path);
}

/* Begins a call on a name: takes the lock; a fault releases it again. */
static int enter(struct io_sim *sim, const char *call, const char *path)
{
    pthread_mutex_lock(&sim->lock);
    if (step(sim) != GO) {
        int rc = fault(sim, call, path);
        pthread_mutex_unlock(&sim->lock);
        return rc;
    }
    return 0;
}

static int leave(struct io_sim *sim, int rc)
{
    pthread_mutex_unlock(&sim->lock);
    return rc;
}

static uint64_t used_bytes(struct io_sim *sim)
{
    uint64_t used = 0;
    size_t cursor = 0;
    struct span path;
    void *inode;
    while (map_next(&sim->names, &cursor, &path, &inode)) {
        used += ((struct sim_inode *)inode)->current.bytes;
    }
    return used;
}

uint64_t io_sim_used(struct io_sim *sim)
{
    pthread_mutex_lock(&sim->lock);
    uint64_t used = used_bytes(sim);
    pthread_mutex_unlock(&sim->lock);
    return used;
}

/* The inode to open, made if allowed; NULL with *ret_rc set. */
static struct sim_inode *open_inode(struct io_sim *sim, const char *path, int flags, int *ret_rc)
{
    struct sim_inode *inode = map_get_str(&sim->names, path);
    if (inode != NULL) {
        if (inode->is_dir) {
            *ret_rc = err_set(ERR_IO, "open %s: is a directory", path);
            return NULL;
        }
        if ((flags & IO_CREATE) != 0 && (flags & IO_EXCLUSIVE) != 0) {
            *ret_rc = err_set(ERR_EXISTS, "open %s: exists", path);
            return NULL;
        }
        return inode;
    }
    struct sim_inode *dir = map_get(&sim->names, dir_of(path));
    if ((flags & IO_CREATE) == 0 || dir == NULL || !dir->is_dir) {
        *ret_rc = err_set(ERR_NOT_FOUND, "open %s: not found", path);
        return NULL;
    }
    inode = inode_new(sim, false);
    change_add(sim, path, NULL, inode);
    return inode;
}

static void pend(struct sim_inode *inode, struct sim_write write)
{
    write_apply(&inode->current, &write);
    vec_push(&inode->pending, write);
}

static int sim_open(struct io *io, const char *path, int flags, struct io_file **ret_file)
{
    struct io_sim *sim = sim_of(io);
    int rc = enter(sim, "open", path);
    if (rc < 0) {
        return rc;
    }
    struct sim_inode *inode = open_inode(sim, path, flags, &rc);
    if (inode == NULL) {
        return leave(sim, rc);
    }
    if ((flags & IO_TRUNCATE) != 0) {
        pend(inode, (struct sim_write){.truncates = true});
    }
    struct sim_file *file = MEM_NEW(struct sim_file);
    *file = (struct sim_file){
        {&sim_methods, mem_strdup(path)}, sim, inode, sim->life, (flags & IO_WRITE) != 0};
    *ret_file = &file->file;
    return leave(sim, 0);
}

static void sim_close(struct io_file *file)
{
    mem_free(file->path);
    mem_free(file_of(file));
}

/* As enter(), for a file; FAILS is left to the caller, which does a part of the work. */
static int enter_file(struct sim_file *file, const char *call)
{
    pthread_mutex_lock(&file->sim->lock);
    if (file->life != file->sim->life) {
        (void)err_set(ERR_IO, "%s %s: opened before the crash", call, file->file.path);
        return leave(file->sim, OFF);
    }
    int way = step(file->sim);
    if (way == OFF) {
        (void)fault(file->sim, call, file->file.path);
        return leave(file->sim, OFF);
    }
    return way;
}

/* The same for calls that do nothing when they fail. */
static int enter_file_or_fail(struct sim_file *file, const char *call)
{
    int way = enter_file(file, call);
    if (way == OFF) {
        return ERR_IO;
    }
    return way == FAILS ? leave(file->sim, fault(file->sim, call, file->file.path)) : 0;
}

static int sim_read_at(struct io_file *base, uint64_t offset, void *data, size_t bytes,
                       size_t *ret_bytes)
{
    struct sim_file *file = file_of(base);
    int rc = enter_file_or_fail(file, "read");
    if (rc < 0) {
        return rc;
    }
    struct span rest =
        span_from(buf_span(&file->inode->current), offset > SIZE_MAX ? SIZE_MAX : (size_t)offset);
    rest = span_first(rest, bytes);
    if (rest.bytes > 0) {
        memcpy(data, rest.data, rest.bytes);
    }
    *ret_bytes = rest.bytes;
    return leave(file->sim, 0);
}

static int sim_write_at(struct io_file *base, uint64_t offset, struct span data)
{
    struct sim_file *file = file_of(base);
    int way = enter_file(file, "write");
    if (way == OFF) {
        return ERR_IO;
    }
    CHECK(file->writable);
    struct io_sim *sim = file->sim;
    int rc = 0;
    if (way == FAILS) {
        data = span_first(data, (size_t)below(sim, data.bytes + 1));
        rc = fault(sim, "write", base->path);
    } else if (sim->space_bytes > 0) {
        uint64_t used = used_bytes(sim);
        uint64_t left = used < sim->space_bytes ? sim->space_bytes - used : 0;
        uint64_t end_max = MAX(file->inode->current.bytes, offset) + left;
        if (offset + data.bytes > MAX(end_max, file->inode->current.bytes)) {
            data = span_first(data, end_max > offset ? (size_t)(end_max - offset) : 0);
            rc = err_set(ERR_NO_SPACE, "write %s: simulated disk full", base->path);
        }
    }
    if (data.bytes > 0) {
        struct sim_write write = {.offset = offset};
        buf_append(&write.data, data);
        pend(file->inode, write);
    }
    return leave(sim, rc);
}

static int sim_truncate(struct io_file *base, uint64_t bytes)
{
    struct sim_file *file = file_of(base);
    int rc = enter_file_or_fail(file, "truncate");
    if (rc < 0) {
        return rc;
    }
    CHECK(file->writable);
    pend(file->inode, (struct sim_write){.offset = bytes, .truncates = true});
    return leave(file->sim, 0);
}

static int sim_size(struct io_file *base, uint64_t *ret_bytes)
{
    struct sim_file *file = file_of(base);
    int rc = enter_file_or_fail(file, "size of");
    if (rc < 0) {
        return rc;
    }
    *ret_bytes = file->inode->current.bytes;
    return leave(file->sim, 0);
}

static int sim_sync(struct io_file *base)
{
    struct sim_file *file = file_of(base);
    int way = enter_file(file, "sync");
    if (way == OFF) {
        return ERR_IO;
    }
    if (way == FAILS) {
        int rc = fault(file->sim, "sync", base->path);
        settle(file->sim, file->inode); /* what is lost now, no later sync brings back */
        return leave(file->sim, rc);
    }
    for (size_t i = 0; i < file->inode->pending.count; i++) {
        write_apply(&file->inode->durable, &file->inode->pending.items[i]);
    }
    forget_pending(file->inode);
    return leave(file->sim, 0);
}

static int sim_rename(struct io *io, const char *from, const char *to)
{
    struct io_sim *sim = sim_of(io);
    int rc = enter(sim, "rename", from);
    if (rc < 0) {
        return rc;
    }
    struct sim_inode *inode = map_get_str(&sim->names, from);
    if (inode == NULL) {
        return leave(sim, err_set(ERR_NOT_FOUND, "rename %s: not found", from));
    }
    if (inode->is_dir || !span_equal(dir_of(from), dir_of(to))) {
        return leave(sim, err_set(ERR_UNSUPPORTED, "rename %s to %s: not simulated", from, to));
    }
    change_add(sim, to, from, inode);
    return leave(sim, 0);
}

static int sim_link(struct io *io, const char *from, const char *to)
{
    struct io_sim *sim = sim_of(io);
    int rc = enter(sim, "link", from);
    if (rc < 0) {
        return rc;
    }
    struct sim_inode *inode = map_get_str(&sim->names, from);
    if (inode == NULL || map_get(&sim->names, dir_of(to)) == NULL) {
        return leave(sim, err_set(ERR_NOT_FOUND, "link %s to %s: not found", from, to));
    }
    if (map_get_str(&sim->names, to) != NULL) {
        return leave(sim, err_set(ERR_EXISTS, "link %s to %s: exists", from, to));
    }
    change_add(sim, to, NULL, inode);
    return leave(sim, 0);
}

static int sim_remove(struct io *io, const char *path)
{
    struct io_sim *sim = sim_of(io);
    int rc = enter(sim, "remove", path);
    if (rc < 0) {
        return rc;
    }
    struct sim_inode *inode = map_get_str(&sim->names, path);
    if (inode == NULL || inode->is_dir) {
        return leave(sim, err_set(ERR_NOT_FOUND, "remove %s: not found", path));
    }
    change_add(sim, path, NULL, NULL);
    return leave(sim, 0);
}

static int sim_make_dir(struct io *io, const char *path)
{
    struct io_sim *sim = sim_of(io);
    int rc = enter(sim, "make directory", path);
    if (rc < 0) {
        return rc;
    }
    struct sim_inode *dir = map_get(&sim->names, dir_of(path));
    if (map_get_str(&sim->names, path) != NULL) {
        return leave(sim, err_set(ERR_EXISTS, "make directory %s: exists", path));
    }
    if (dir == NULL || !dir->is_dir) {
        return leave(sim, err_set(ERR_NOT_FOUND, "make directory %s: no parent", path));
    }
    change_add(sim, path, NULL, inode_new(sim, true));
    return leave(sim, 0);
}

static bool is_child(struct span path, const char *dir, struct span *ret_name)
{
    struct span parent = span_of_str(dir);
    if (span_equal_str(parent, "/")) {
        parent.bytes = 0;
    }
    if (path.bytes <= parent.bytes + 1 || !span_starts_with(path, parent) ||
        path.data[parent.bytes] != '/') {
        return false;
    }
    *ret_name = span_from(path, parent.bytes + 1);
    return span_find_byte(*ret_name, '/') < 0;
}

static int sim_remove_dir(struct io *io, const char *path)
{
    struct io_sim *sim = sim_of(io);
    int rc = enter(sim, "remove directory", path);
    if (rc < 0) {
        return rc;
    }
    struct sim_inode *inode = map_get_str(&sim->names, path);
    if (inode == NULL || !inode->is_dir) {
        return leave(sim, err_set(ERR_NOT_FOUND, "remove directory %s: not found", path));
    }
    size_t cursor = 0;
    struct span name;
    struct span child;
    void *value;
    while (map_next(&sim->names, &cursor, &name, &value)) {
        if (is_child(name, path, &child)) {
            return leave(sim, err_set(ERR_EXISTS, "remove directory %s: not empty", path));
        }
    }
    change_add(sim, path, NULL, NULL);
    return leave(sim, 0);
}

static int sim_sync_dir(struct io *io, const char *path)
{
    struct io_sim *sim = sim_of(io);
    int rc = enter(sim, "sync directory", path);
    if (rc < 0) {
        return rc;
    }
    struct sim_inode *dir = map_get_str(&sim->names, path);
    if (dir == NULL || !dir->is_dir) {
        return leave(sim, err_set(ERR_NOT_FOUND, "sync directory %s: not found", path));
    }
    size_t kept = 0;
    for (size_t i = 0; i < sim->changes_count; i++) {
        struct sim_change *change = &sim->changes[i];
        if (span_equal_str(dir_of(change->path), path)) {
            change_apply(&sim->durable_names, change);
            change_free(change);
        } else {
            sim->changes[kept++] = *change;
        }
    }
    sim->changes_count = kept;
    return leave(sim, 0);
}

static bool sim_exists(struct io *io, const char *path)
{
    struct io_sim *sim = sim_of(io);
    pthread_mutex_lock(&sim->lock);
    bool exists = !sim->off && map_get_str(&sim->names, path) != NULL;
    pthread_mutex_unlock(&sim->lock);
    return exists;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int sim_list(struct io *io, const char *path, int (*each)(void *context, const char *name),
                    void *context)
{
    struct io_sim *sim = sim_of(io);
    int rc = enter(sim, "list", path);
    if (rc < 0) {
        return rc;
    }
    struct sim_inode *dir = map_get_str(&sim->names, path);
    if (dir == NULL || !dir->is_dir) {
        return leave(sim, err_set(ERR_NOT_FOUND, "list %s: not found", path));
    }
    VEC(char *) names = {0};
    size_t cursor = 0;
    struct span name;
    struct span child;
    void *value;
    while (map_next(&sim->names, &cursor, &name, &value)) {
        if (is_child(name, path, &child)) {
            vec_push(&names, mem_strndup((const char *)child.data, child.bytes));
        }
    }
    pthread_mutex_unlock(&sim->lock);
    if (names.count > 0) {
        qsort(names.items, names.count, sizeof(*names.items), by_name);
    }
    for (size_t i = 0; i < names.count; i++) {
        rc = rc == 0 ? each(context, names.items[i]) : rc;
        mem_free(names.items[i]);
    }
    vec_deinit(&names);
    return rc;
}

static int sim_space(struct io *io, const char *path, uint64_t *ret_free, uint64_t *ret_total)
{
    struct io_sim *sim = sim_of(io);
    int rc = enter(sim, "free space of", path);
    if (rc < 0) {
        return rc;
    }
    uint64_t total = sim->space_bytes > 0 ? sim->space_bytes : UINT64_C(1) << 50;
    uint64_t used = used_bytes(sim);
    *ret_total = total;
    *ret_free = used < total ? total - used : 0;
    return leave(sim, 0);
}

static int64_t tick(struct io_sim *sim, int64_t *clock_ns)
{
    pthread_mutex_lock(&sim->lock);
    *clock_ns += sim->tick_ns;
    int64_t now_ns = *clock_ns;
    pthread_mutex_unlock(&sim->lock);
    return now_ns;
}

static int64_t sim_now_ns(struct io *io)
{
    return tick(sim_of(io), &sim_of(io)->now_ns);
}

static int64_t sim_monotonic_ns(struct io *io)
{
    return tick(sim_of(io), &sim_of(io)->monotonic_ns);
}

static void sim_random(struct io *io, void *data, size_t bytes)
{
    struct io_sim *sim = sim_of(io);
    pthread_mutex_lock(&sim->lock);
    for (size_t i = 0; i < bytes; i++) {
        ((uint8_t *)data)[i] = (uint8_t)draw(sim);
    }
    pthread_mutex_unlock(&sim->lock);
}

void io_sim_power_off(struct io_sim *sim)
{
    pthread_mutex_lock(&sim->lock);
    sim->off = true;
    pthread_mutex_unlock(&sim->lock);
}

/* Each unsynced change of a name is kept or lost. */
static void settle_names(struct io_sim *sim)
{
    uint64_t mood = below(sim, 4);
    for (size_t i = 0; i < sim->changes_count; i++) {
        uint64_t fate = mood < 2 ? mood : below(sim, 2);
        if (fate == 0) {
            change_apply(&sim->durable_names, &sim->changes[i]);
        }
        change_free(&sim->changes[i]);
    }
    sim->changes_count = 0;
}

static bool is_reachable(const struct map *names, struct span path)
{
    for (size_t at = path.bytes; at > 1; at--) {
        if (path.data[at - 1] == '/' && map_get(names, span_first(path, at - 1)) == NULL) {
            return false;
        }
    }
    return true;
}

/* Names become the durable ones, without those whose directory is gone. */
static void reload_names(struct io_sim *sim)
{
    struct map durable = {0};
    size_t cursor = 0;
    struct span path;
    void *inode;
    map_clear(&sim->names);
    while (map_next(&sim->durable_names, &cursor, &path, &inode)) {
        if (is_reachable(&sim->durable_names, path)) {
            map_put(&sim->names, path, inode);
            map_put(&durable, path, inode);
        }
    }
    map_deinit(&sim->durable_names);
    sim->durable_names = durable;
}

void io_sim_crash(struct io_sim *sim)
{
    pthread_mutex_lock(&sim->lock);
    settle_names(sim);
    reload_names(sim);
    for (struct sim_inode *inode = sim->inodes; inode != NULL; inode = inode->next) {
        settle(sim, inode);
        buf_clear(&inode->current);
        buf_append(&inode->current, buf_span(&inode->durable));
    }
    sim->life++;
    sim->off = false;
    sim->fail_at = 0;
    sim->crash_at = 0;
    pthread_mutex_unlock(&sim->lock);
}

bool io_sim_flip(struct io_sim *sim, const char *path, uint64_t offset, uint8_t mask)
{
    pthread_mutex_lock(&sim->lock);
    struct sim_inode *inode = map_get_str(&sim->names, path);
    bool there = inode != NULL && offset < inode->current.bytes;
    if (there) {
        inode->current.data[offset] ^= mask;
        if (offset < inode->durable.bytes) {
            inode->durable.data[offset] ^= mask;
        }
    }
    pthread_mutex_unlock(&sim->lock);
    return there;
}

static const struct io_methods sim_methods = {
    .open = sim_open,
    .close = sim_close,
    .read_at = sim_read_at,
    .write_at = sim_write_at,
    .truncate = sim_truncate,
    .size = sim_size,
    .sync = sim_sync,
    .rename = sim_rename,
    .link = sim_link,
    .remove = sim_remove,
    .make_dir = sim_make_dir,
    .remove_dir = sim_remove_dir,
    .sync_dir = sim_sync_dir,
    .exists = sim_exists,
    .list = sim_list,
    .space = sim_space,
    .now_ns = sim_now_ns,
    .monotonic_ns = sim_monotonic_ns,
    .random = sim_random,
};
