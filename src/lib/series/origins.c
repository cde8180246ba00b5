#include "series/origins.h"

#include <inttypes.h>
#include <pthread.h>

#include "base/hash.h"
#include "base/mem.h"

#define ORIGINS_FILE_BYTES_MAX (UINT64_C(64) << 20)

struct series_origins {
    pthread_mutex_t lock; /* of changes; what is known never changes again */
    struct io *io;
    char *path;
    struct io_file *file;
    uint64_t end; /* of the file */
    bool broken;  /* a write failed: the end is to be restored first */
    uint32_t next;
    struct series_origins_damage damage;
    struct {
        struct series_origin origin;
        bool known; /* atomic: set last */
    } slots[SERIES_ORIGINS_MAX + 1];
};

static bool is_known(const struct series_origins *origins, uint16_t number)
{
    return __atomic_load_n(&origins->slots[number].known, __ATOMIC_ACQUIRE);
}

static bool same(const struct series_origin *a, const struct series_origin *b)
{
    return a->incarnation == b->incarnation && uuid_equal(a->node, b->node);
}

static bool find(const struct series_origins *origins, const struct series_origin *origin,
                 uint16_t *ret_number)
{
    for (uint32_t i = 1; i < origins->next; i++) {
        if (is_known(origins, (uint16_t)i) && same(&origins->slots[i].origin, origin)) {
            *ret_number = (uint16_t)i;
            return true;
        }
    }
    return false;
}

static void learn(struct series_origins *origins, const struct series_origin *origin,
                  uint16_t number)
{
    origins->slots[number].origin = *origin;
    __atomic_store_n(&origins->slots[number].known, true, __ATOMIC_RELEASE);
    if (number >= origins->next) {
        origins->next = (uint32_t)number + 1;
    }
}

/* "1 6ba7b810-9dad-11d1-80b4-00c04fd430c8 17 89abcdef": number, node, incarnation, checksum of
 * what stands before the last space. */
static void put_line(struct buf *buf, const struct series_origin *origin, uint16_t number)
{
    char node[UUID_TEXT_BYTES];
    size_t begin = buf->bytes;
    buf_printf(buf, "%u %s %" PRIu64, number, uuid_text(origin->node, node), origin->incarnation);
    uint32_t sum = hash32(span_from(buf_span(buf), begin));
    buf_printf(buf, " %08" PRIx32 "\n", sum);
}

/* False: not a line of ours. */
static bool take_line(struct series_origins *origins, struct span line)
{
    struct series_origin origin = {0};
    struct buf again = {0};
    struct span rest = line;
    struct span number;
    struct span node;
    struct span incarnation;
    uint64_t value = 0;
    bool good = span_split(&rest, ' ', &number) && span_split(&rest, ' ', &node) &&
                span_split(&rest, ' ', &incarnation) && span_to_u64(number, &value) && value > 0 &&
                value <= SERIES_ORIGINS_MAX && uuid_parse(node, &origin.node) &&
                span_to_u64(incarnation, &origin.incarnation);
    if (good) {
        put_line(&again, &origin, (uint16_t)value);
        good = span_equal(span_first(buf_span(&again), again.bytes - 1), line);
    }
    uint16_t other;
    if (good && !is_known(origins, (uint16_t)value) && !find(origins, &origin, &other)) {
        learn(origins, &origin, (uint16_t)value);
    }
    buf_deinit(&again);
    return good;
}

/* Reads the lines; returns where the last whole one ends. */
static uint64_t take_lines(struct series_origins *origins, struct span content)
{
    struct span rest = content;
    uint64_t end = 0;
    uint64_t bad = 0;
    while (rest.bytes > 0) {
        ptrdiff_t newline = span_find_byte(rest, '\n');
        if (newline < 0) {
            break;
        }
        bool good = take_line(origins, span_first(rest, (size_t)newline));
        rest = span_from(rest, (size_t)newline + 1);
        if (good) {
            end = content.bytes - rest.bytes;
            origins->damage.lines += bad; /* damaged lines before a good one are no torn tail */
            bad = 0;
        } else {
            bad++;
        }
    }
    return end;
}

static int recover(struct series_origins *origins)
{
    uint64_t bytes = 0;
    int rc = io_size(origins->file, &bytes);
    if (rc == 0 && bytes > ORIGINS_FILE_BYTES_MAX) {
        rc = err_set(ERR_CORRUPT, "%s: %" PRIu64 " bytes are no file of origins", origins->path,
                     bytes);
    }
    if (rc < 0 || bytes == 0) {
        return rc;
    }
    struct buf content = {0};
    rc = io_read_at(origins->file, 0, buf_reserve(&content, (size_t)bytes), (size_t)bytes,
                    &content.bytes);
    if (rc == 0) {
        origins->end = take_lines(origins, buf_span(&content));
        origins->damage.torn_bytes = bytes - origins->end;
    }
    buf_deinit(&content);
    if (rc == 0 && origins->end < bytes) {
        rc = io_truncate(origins->file, origins->end);
    }
    /* Synced in any case: a line that is only in the kernel's memory must not be relied on. */
    return rc < 0 ? rc : io_sync(origins->file);
}

static int sync_parent(struct io *io, const char *path, bool make)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash == NULL || slash == path ? mem_strdup(slash == NULL ? "." : "/")
                                               : mem_strndup(path, (size_t)(slash - path));
    int rc = make ? io_make_dirs(io, dir) : io_sync_dir(io, dir);
    mem_free(dir);
    return rc;
}

int series_origins_open(struct io *io, const char *path, struct series_origins **ret_origins)
{
    struct series_origins *origins = MEM_NEW(struct series_origins);
    pthread_mutex_init(&origins->lock, NULL);
    origins->io = io;
    origins->path = mem_strdup(path);
    origins->next = 1;
    int rc = sync_parent(io, path, true);
    if (rc == 0) {
        rc = io_open(io, path, IO_WRITE | IO_CREATE, &origins->file);
    }
    if (rc == 0) {
        rc = sync_parent(io, path, false);
    }
    if (rc == 0) {
        rc = recover(origins);
    }
    if (rc < 0) {
        series_origins_close(&origins);
        return err_wrap(rc, "open the origins");
    }
    *ret_origins = origins;
    return 0;
}

void series_origins_close(struct series_origins **origins_place)
{
    struct series_origins *origins = *origins_place;
    if (origins == NULL) {
        return;
    }
    io_close(&origins->file);
    mem_free(origins->path);
    pthread_mutex_destroy(&origins->lock);
    mem_free(origins);
    *origins_place = NULL;
}

struct series_origins_damage series_origins_damage(struct series_origins *origins)
{
    pthread_mutex_lock(&origins->lock);
    struct series_origins_damage damage = origins->damage;
    pthread_mutex_unlock(&origins->lock);
    return damage;
}

static int add(struct series_origins *origins, const struct series_origin *origin, uint16_t number)
{
    struct buf line = {0};
    put_line(&line, origin, number);
    int rc = 0;
    if (origins->broken) {
        rc = io_truncate(origins->file, origins->end);
    }
    if (rc == 0) {
        rc = io_write_at(origins->file, origins->end, buf_span(&line));
    }
    if (rc == 0) {
        rc = io_sync(origins->file);
    }
    origins->broken = rc < 0;
    if (rc == 0) {
        origins->end += line.bytes;
        learn(origins, origin, number);
    }
    buf_deinit(&line);
    return rc < 0 ? err_wrap(rc, "origins") : 0;
}

int series_origins_put(struct series_origins *origins, const struct series_origin *origin,
                       uint16_t *ret_number)
{
    int rc = 0;
    uint16_t number = 0;
    pthread_mutex_lock(&origins->lock);
    if (!find(origins, origin, &number)) {
        if (origins->next > SERIES_ORIGINS_MAX) {
            rc = err_set(ERR_TOO_LARGE, "more than %d origins", SERIES_ORIGINS_MAX);
        } else {
            number = (uint16_t)origins->next;
            rc = add(origins, origin, number);
        }
    }
    pthread_mutex_unlock(&origins->lock);
    if (rc == 0) {
        *ret_number = number;
    }
    return rc;
}

static int conflict(const struct series_origins *origins, const struct series_origin *origin,
                    uint16_t number)
{
    char stored[UUID_TEXT_BYTES];
    char known[UUID_TEXT_BYTES] = "another number's";
    if (is_known(origins, number)) {
        uuid_text(origins->slots[number].origin.node, known);
    }
    return err_set(ERR_CONFLICT, "origin %u is %s in the file and %s %" PRIu64 " in stored data",
                   number, known, uuid_text(origin->node, stored), origin->incarnation);
}

int series_origins_restore(struct series_origins *origins, const struct series_origin *origin,
                           uint16_t number)
{
    if (number == SERIES_ORIGIN_NONE) {
        return err_set(ERR_CONFLICT, "origin 0 in stored data has a name");
    }
    int rc = 0;
    uint16_t other = 0;
    pthread_mutex_lock(&origins->lock);
    bool found = find(origins, origin, &other);
    if (!found && !is_known(origins, number)) {
        rc = add(origins, origin, number);
    } else if (!found || other != number) {
        rc = conflict(origins, origin, number);
    }
    pthread_mutex_unlock(&origins->lock);
    return rc;
}

bool series_origins_get(const struct series_origins *origins, uint16_t number,
                        struct series_origin *ret_origin)
{
    if (!is_known(origins, number)) {
        return false;
    }
    *ret_origin = origins->slots[number].origin;
    return true;
}

int series_origins_compare(const struct series_origins *origins, uint16_t a, uint16_t b)
{
    bool a_known = is_known(origins, a);
    bool b_known = is_known(origins, b);
    if (!a_known || !b_known) {
        int rank_a = a_known ? UINT16_MAX + 1 : a;
        int rank_b = b_known ? UINT16_MAX + 1 : b;
        return rank_a - rank_b;
    }
    const struct series_origin *left = &origins->slots[a].origin;
    const struct series_origin *right = &origins->slots[b].origin;
    int order = memcmp(left->node.bytes, right->node.bytes, sizeof(left->node.bytes));
    if (order == 0 && left->incarnation != right->incarnation) {
        order = left->incarnation < right->incarnation ? -1 : 1;
    }
    return order;
}
