#include "series/origins.h"

#include <inttypes.h>
#include <pthread.h>

#include "base/mem.h"

#define ORIGINS_FILE_BYTES_MAX (UINT64_C(64) << 20)

#define RECENT 64 /* what was found lately: received records ask for each of theirs */

struct series_origins {
    pthread_mutex_t lock; /* of changes; what is known never changes again */
    uint16_t recent[RECENT];
    struct series_lines *lines;
    uint32_t next;
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

static bool is_of(const struct series_origins *origins, uint16_t number,
                  const struct series_origin *origin)
{
    return is_known(origins, number) && same(&origins->slots[number].origin, origin);
}

static bool find(struct series_origins *origins, const struct series_origin *origin,
                 uint16_t *ret_number)
{
    uint16_t *recent = &origins->recent[origin->incarnation % RECENT];
    if (is_of(origins, *recent, origin)) {
        *ret_number = *recent;
        return true;
    }
    for (uint32_t i = 1; i < origins->next; i++) {
        if (is_of(origins, (uint16_t)i, origin)) {
            *recent = *ret_number = (uint16_t)i;
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

/* "1 6ba7b810-9dad-11d1-80b4-00c04fd430c8 17": number, node, incarnation. */
static bool take_line(void *context, struct span text)
{
    struct series_origins *origins = context;
    struct series_origin origin = {0};
    struct span incarnation = text;
    struct span number;
    struct span node;
    uint64_t value = 0;
    if (!span_split(&incarnation, ' ', &number) || !span_split(&incarnation, ' ', &node) ||
        !span_to_u64(number, &value) || value == 0 || value > SERIES_ORIGINS_MAX ||
        !uuid_parse(node, &origin.node) || !span_to_u64(incarnation, &origin.incarnation)) {
        return false;
    }
    uint16_t other;
    if (!is_known(origins, (uint16_t)value) && !find(origins, &origin, &other)) {
        learn(origins, &origin, (uint16_t)value);
    }
    return true;
}

int series_origins_open(struct io *io, const char *path, struct series_origins **ret_origins)
{
    struct series_origins *origins = MEM_NEW(struct series_origins);
    pthread_mutex_init(&origins->lock, NULL);
    origins->next = 1;
    int rc =
        series_lines_open(io, path, ORIGINS_FILE_BYTES_MAX, take_line, origins, &origins->lines);
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
    series_lines_close(&origins->lines);
    pthread_mutex_destroy(&origins->lock);
    mem_free(origins);
    *origins_place = NULL;
}

struct series_lines_damage series_origins_damage(const struct series_origins *origins)
{
    return series_lines_damage(origins->lines);
}

static int add(struct series_origins *origins, const struct series_origin *origin, uint16_t number)
{
    char node[UUID_TEXT_BYTES];
    struct buf line = {0};
    buf_printf(&line, "%u %s %" PRIu64, number, uuid_text(origin->node, node), origin->incarnation);
    series_lines_end(&line, 0);
    int rc = series_lines_add(origins->lines, buf_span(&line));
    if (rc == 0) {
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
            rc = err_set(ERR_TOO_LARGE,
                         "all %d numbers of origins are used: each life in which a node wrote "
                         "takes one",
                         SERIES_ORIGINS_MAX);
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

uint32_t series_origins_count(const struct series_origins *origins, const struct uuid *node)
{
    uint32_t count = 0;
    for (uint32_t i = 1; i <= SERIES_ORIGINS_MAX; i++) {
        count += is_known(origins, (uint16_t)i) &&
                 (node == NULL || uuid_equal(origins->slots[i].origin.node, *node));
    }
    return count;
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
