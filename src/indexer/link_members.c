#include "indexer/link_members.h"

#include <pthread.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "service/log.h"

#define FILE_BYTES_MAX ((size_t)16 << 20)

struct own_target {
    char *address; /* NULL: nobody is told */
    struct uuid node;
};

struct link_members {
    struct io *io;
    char *path;
    struct uuid self;
    pthread_mutex_t lock; /* over what follows */
    struct own_target *targets;
    size_t targets_count;
    struct replicate_members all;
    uint64_t edition;
    uint64_t life;
    unsigned contradictions;
    bool told_double;
};

/* ---- the file ---- */

static int read_file(struct link_members *members)
{
    struct buf bytes = {0};
    int rc = io_read_file(members->io, members->path, FILE_BYTES_MAX, &bytes);
    if (rc == 0) {
        struct wire_reader reader = wire_reader_of(buf_span(&bytes));
        uint32_t sum = wire_get_u32(&reader);
        rc = reader.failed || sum != hash32(reader.rest)
                 ? err_set(ERR_CORRUPT, "wrong checksum")
                 : replicate_members_read(&reader, &members->all);
    }
    buf_deinit(&bytes);
    return rc;
}

static void load(struct link_members *members)
{
    if (members->path == NULL || !io_exists(members->io, members->path)) {
        return;
    }
    int rc = read_file(members);
    if (rc < 0) {
        log_fault("members-damaged", "who forwards to whom is asked anew", rc, "file",
                  members->path, NULL);
        replicate_members_deinit(&members->all);
    }
}

/* It is only of use when it is there: a disk that is full stops nothing. */
static void store(struct link_members *members)
{
    if (members->path == NULL) {
        return;
    }
    struct buf bytes = {0};
    wire_put_u32(&bytes, 0);
    replicate_members_write(&bytes, &members->all);
    wire_store_u32(bytes.data, hash32(span_from(buf_span(&bytes), 4)));
    int rc = io_write_file(members->io, members->path, buf_span(&bytes));
    if (rc < 0) {
        log_fault("members-unwritten", "who forwards to whom is not kept", rc, "file",
                  members->path, NULL);
    }
    buf_deinit(&bytes);
}

/* ---- what it knows ---- */

static void note_news(struct link_members *members)
{
    members->edition++;
    store(members);
}

static void say(struct link_members *members)
{
    struct buf list = {0};
    size_t count = 0;
    for (size_t i = 0; i < members->targets_count; i++) {
        const struct own_target *own = &members->targets[i];
        if (own->address != NULL && !uuid_is_zero(own->node) && count++ < REPLICATE_TARGETS_MAX) {
            struct replicate_target target = {own->node, span_of_str(own->address)};
            replicate_target_put(&list, &target);
        }
    }
    if (replicate_members_say(&members->all, members->self, members->life, buf_span(&list),
                              (uint64_t)io_now_ns(members->io))) {
        note_news(members);
    }
    buf_deinit(&list);
}

/* Who our targets were when we last met them. */
static void remember_targets(struct link_members *members)
{
    const struct replicate_member *self = replicate_members_of(&members->all, members->self);
    struct span rest = self == NULL ? SPAN_NONE : buf_span(&self->targets);
    struct replicate_target target;
    while (replicate_target_next(&rest, &target)) {
        for (size_t i = 0; i < members->targets_count; i++) {
            struct own_target *own = &members->targets[i];
            if (own->address != NULL && span_equal(target.address, span_of_str(own->address))) {
                own->node = target.node;
            }
        }
    }
}

struct link_members *link_members_open(struct io *io, const char *path, struct uuid self,
                                       const char *const *addresses, size_t count)
{
    struct link_members *members = MEM_NEW(struct link_members);
    members->io = io;
    members->path = path == NULL ? NULL : mem_strdup(path);
    members->self = self;
    members->edition = 1;
    io_random(io, &members->life, sizeof(members->life));
    members->targets = mem_alloc_array(MAX(count, (size_t)1), sizeof(*members->targets));
    members->targets_count = count;
    for (size_t i = 0; i < count; i++) {
        members->targets[i].address = addresses[i] == NULL ? NULL : mem_strdup(addresses[i]);
    }
    pthread_mutex_init(&members->lock, NULL);
    load(members);
    remember_targets(members);
    say(members);
    return members;
}

void link_members_close(struct link_members **place)
{
    struct link_members *members = *place;
    *place = NULL;
    if (members == NULL) {
        return;
    }
    for (size_t i = 0; i < members->targets_count; i++) {
        mem_free(members->targets[i].address);
    }
    replicate_members_deinit(&members->all);
    pthread_mutex_destroy(&members->lock);
    mem_free(members->targets);
    mem_free(members->path);
    mem_free(members);
}

struct uuid link_members_self(const struct link_members *members)
{
    return members->self;
}

uint64_t link_members_edition(struct link_members *members)
{
    pthread_mutex_lock(&members->lock);
    uint64_t edition = members->edition;
    pthread_mutex_unlock(&members->lock);
    return edition;
}

void link_members_copy(struct link_members *members, struct replicate_members *ret_members)
{
    *ret_members = (struct replicate_members){0};
    pthread_mutex_lock(&members->lock);
    replicate_members_copy(ret_members, &members->all);
    pthread_mutex_unlock(&members->lock);
}

void link_members_learn(struct link_members *members, const struct replicate_members *others)
{
    pthread_mutex_lock(&members->lock);
    if (replicate_members_learn(&members->all, members->self, others, &members->contradictions)) {
        note_news(members);
    }
    bool doubled = members->contradictions >= REPLICATE_CONTRADICTIONS_MAX && !members->told_double;
    members->told_double = members->told_double || doubled;
    pthread_mutex_unlock(&members->lock);
    if (doubled) {
        char id[UUID_TEXT_BYTES];
        log_error("double-id",
                  "another node of the cluster has our id: give one of them another "
                  "Indexer-UUID and an empty datalog",
                  "node", uuid_text(members->self, id), NULL);
    }
}

bool link_members_double(struct link_members *members)
{
    pthread_mutex_lock(&members->lock);
    bool doubled = members->told_double;
    pthread_mutex_unlock(&members->lock);
    return doubled;
}

void link_members_met(struct link_members *members, size_t index, struct uuid node)
{
    CHECK(index < members->targets_count);
    pthread_mutex_lock(&members->lock);
    members->targets[index].node = node;
    say(members);
    pthread_mutex_unlock(&members->lock);
}

struct uuid link_members_target(struct link_members *members, size_t index)
{
    CHECK(index < members->targets_count);
    pthread_mutex_lock(&members->lock);
    struct uuid node = members->targets[index].node;
    pthread_mutex_unlock(&members->lock);
    return node;
}
