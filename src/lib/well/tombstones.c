#include "well/tombstones.h"

#include <stdlib.h>

#include "base/mem.h"

struct tombstones *tombstones_new(const struct well_names *names, uint64_t end)
{
    struct tombstones *tombstones = MEM_NEW(struct tombstones);
    tombstones->references = 1;
    tombstones->names = *names;
    tombstones->end = end;
    return tombstones;
}

struct tombstones *tombstones_ref(struct tombstones *tombstones)
{
    if (tombstones != NULL) {
        __atomic_add_fetch(&tombstones->references, 1, __ATOMIC_RELAXED);
    }
    return tombstones;
}

void tombstones_unref(struct tombstones **place)
{
    struct tombstones *tombstones = *place;
    *place = NULL;
    if (tombstones == NULL ||
        __atomic_sub_fetch(&tombstones->references, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    for (size_t i = 0; i < tombstones->count; i++) {
        tombstone_unref(&tombstones->items[i]);
    }
    mem_free(tombstones->items);
    mem_free(tombstones);
}

int tombstone_new(const struct series_delete *deletion, uint64_t position, struct stamp stamp,
                  int64_t since_ns, struct tombstone **ret_tombstone)
{
    unsigned flags = SERIES_SELECTOR_LABELS_ONLY;
    if ((deletion->flags & SERIES_DELETE_EXACT) != 0) {
        flags |= SERIES_SELECTOR_EXACT;
    }
    struct series_selector *selector = NULL;
    int rc = series_selector_parse(deletion->selector, flags, &selector, NULL);
    if (rc < 0) {
        return rc;
    }
    struct tombstone *tombstone = MEM_NEW(struct tombstone);
    tombstone->references = 1;
    tombstone->position = position;
    tombstone->stamp = stamp;
    tombstone->since_ns = since_ns;
    tombstone->selector = selector;
    tombstone->key_hash = series_selector_key_hash(selector);
    series_selector_print(&tombstone->text, selector);
    tombstone->deletion = *deletion;
    tombstone->deletion.selector = buf_span(&tombstone->text);
    *ret_tombstone = tombstone;
    return 0;
}

static struct tombstone *tombstone_ref(struct tombstone *tombstone)
{
    __atomic_add_fetch(&tombstone->references, 1, __ATOMIC_RELAXED);
    return tombstone;
}

void tombstone_unref(struct tombstone **place)
{
    struct tombstone *tombstone = *place;
    *place = NULL;
    if (tombstone == NULL || __atomic_sub_fetch(&tombstone->references, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    series_selector_free(&tombstone->selector);
    buf_deinit(&tombstone->text);
    mem_free(tombstone);
}

static void add(struct tombstones *tombstones, struct tombstone *tombstone)
{
    tombstones->items[tombstones->count++] = tombstone;
    tombstones->newest_stamp = MAX(tombstones->newest_stamp, tombstone->stamp.time);
}

/* Whether `outer` covers everything that `inner` does. The whole series of both is the
 * catalogue's business. */
static bool replaces(const struct tombstones *tombstones, const struct tombstone *outer,
                     const struct tombstone *inner)
{
    uint8_t exact = SERIES_DELETE_EXACT;
    return outer->key_hash == inner->key_hash &&
           (outer->deletion.flags & exact) == (inner->deletion.flags & exact) &&
           outer->deletion.start_ns <= inner->deletion.start_ns &&
           outer->deletion.end_ns >= inner->deletion.end_ns &&
           span_equal(outer->deletion.selector, inner->deletion.selector) &&
           well_stamp_compare(tombstones->names.origins, outer->stamp, inner->stamp) >= 0;
}

/* The first one whose hash is not below `hash`. */
static size_t lower_bound(const struct tombstones *tombstones, uint64_t hash)
{
    size_t low = 0;
    size_t high = tombstones->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (tombstones->items[middle]->key_hash < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct tombstones *tombstones_with(const struct tombstones *old, struct tombstone **takes,
                                   uint64_t end)
{
    struct tombstones *tombstones = tombstones_new(&old->names, end);
    tombstones->items = mem_alloc_array(old->count + 1, sizeof(*tombstones->items));
    size_t at = lower_bound(old, (*takes)->key_hash + 1);
    for (size_t i = 0; i < at; i++) {
        if (!replaces(old, *takes, old->items[i])) {
            add(tombstones, tombstone_ref(old->items[i]));
        }
    }
    add(tombstones, *takes);
    for (size_t i = at; i < old->count; i++) { /* of other hashes */
        add(tombstones, tombstone_ref(old->items[i]));
    }
    *takes = NULL;
    return tombstones;
}

static int by_key_hash(const void *left, const void *right)
{
    const struct tombstone *a = *(struct tombstone *const *)left;
    const struct tombstone *b = *(struct tombstone *const *)right;
    return a->key_hash < b->key_hash ? -1 : a->key_hash > b->key_hash;
}

struct tombstones *tombstones_with_many(const struct tombstones *old, struct tombstone **takes,
                                        size_t count)
{
    struct tombstones *tombstones = tombstones_new(&old->names, old->end);
    tombstones->items =
        mem_alloc_array(MAX(old->count + count, (size_t)1), sizeof(*tombstones->items));
    for (size_t i = 0; i < old->count; i++) {
        add(tombstones, tombstone_ref(old->items[i]));
    }
    for (size_t i = 0; i < count; i++) {
        add(tombstones, takes[i]);
        takes[i] = NULL;
    }
    qsort(tombstones->items, tombstones->count, sizeof(*tombstones->items), by_key_hash);
    return tombstones;
}

static bool is_same(const struct tombstone *a, const struct tombstone *b)
{
    return a->stamp.time == b->stamp.time && a->stamp.origin == b->stamp.origin &&
           a->deletion.flags == b->deletion.flags && a->deletion.start_ns == b->deletion.start_ns &&
           a->deletion.end_ns == b->deletion.end_ns &&
           span_equal(a->deletion.selector, b->deletion.selector);
}

bool tombstones_have(const struct tombstones *tombstones, const struct tombstone *tombstone)
{
    size_t at = lower_bound(tombstones, tombstone->key_hash);
    while (at < tombstones->count && tombstones->items[at]->key_hash == tombstone->key_hash &&
           !is_same(tombstones->items[at], tombstone)) {
        at++;
    }
    return at < tombstones->count && tombstones->items[at]->key_hash == tombstone->key_hash;
}

struct tombstones *
tombstones_without(const struct tombstones *old,
                   bool (*goes)(void *context, const struct tombstone *tombstone), void *context)
{
    struct tombstones *tombstones = tombstones_new(&old->names, old->end);
    tombstones->items = mem_alloc_array(MAX(old->count, (size_t)1), sizeof(*tombstones->items));
    for (size_t i = 0; i < old->count; i++) {
        if (!goes(context, old->items[i])) {
            add(tombstones, tombstone_ref(old->items[i]));
        }
    }
    return tombstones;
}

static void key_of_tag(const struct tombstones *tombstones, uint16_t tag, struct buf *key)
{
    struct span name = series_tags_name(tombstones->names.tags, tag);
    CHECK(series_key_make(key, name, NULL, 0) == 0); /* names are short */
}

static bool means(const struct tombstone *tombstone, struct series_matcher *matcher,
                  const struct buf *key)
{
    return series_selector_matches(tombstone->selector, matcher, buf_span(key), NULL, NULL);
}

static bool means_once(const struct tombstone *tombstone, const struct buf *key)
{
    struct series_matcher matcher;
    series_matcher_init(&matcher);
    bool is_meant = means(tombstone, &matcher, key);
    series_matcher_deinit(&matcher);
    return is_meant;
}

bool tombstone_means_series(const struct tombstones *tombstones, const struct tombstone *tombstone,
                            uint32_t series)
{
    struct buf key = {0};
    bool is_meant = series_catalogue_key(tombstones->names.catalogue, series, &key) &&
                    means_once(tombstone, &key);
    buf_deinit(&key);
    return is_meant;
}

bool tombstone_means_tag(const struct tombstones *tombstones, const struct tombstone *tombstone,
                         uint16_t tag)
{
    struct buf key = {0};
    key_of_tag(tombstones, tag, &key);
    bool is_meant = means_once(tombstone, &key);
    buf_deinit(&key);
    return is_meant;
}

static void list_range(const struct tombstones *tombstones, size_t from, size_t to,
                       struct series_matcher *matcher, const struct buf *key,
                       struct tombstone_list *list)
{
    for (size_t i = from; i < to; i++) {
        if (means(tombstones->items[i], matcher, key)) {
            vec_push(&list->items, tombstones->items[i]);
            list->newest_stamp = MAX(list->newest_stamp, tombstones->items[i]->stamp.time);
        }
    }
}

static void list_those_of(const struct tombstones *tombstones, const struct buf *key,
                          struct tombstone_list *list)
{
    struct series_matcher matcher;
    uint64_t hash = series_selector_hash_of(buf_span(key));
    series_matcher_init(&matcher);
    list->origins = tombstones->names.origins;
    list_range(tombstones, 0, lower_bound(tombstones, 1), &matcher, key, list);
    list_range(tombstones, lower_bound(tombstones, hash), lower_bound(tombstones, hash + 1),
               &matcher, key, list);
    series_matcher_deinit(&matcher);
}

static bool begin_list(const struct tombstones *tombstones, struct tombstone_list *list)
{
    vec_clear(&list->items);
    list->newest_stamp = 0;
    return tombstones != NULL && tombstones->count > 0;
}

void tombstones_of_series(const struct tombstones *tombstones, uint32_t series,
                          struct tombstone_list *list)
{
    if (!begin_list(tombstones, list)) {
        return;
    }
    struct buf key = {0};
    if (series_catalogue_key(tombstones->names.catalogue, series, &key)) {
        list_those_of(tombstones, &key, list);
    }
    buf_deinit(&key);
}

void tombstones_of_tag(const struct tombstones *tombstones, uint16_t tag,
                       struct tombstone_list *list)
{
    if (!begin_list(tombstones, list)) {
        return;
    }
    struct buf key = {0};
    key_of_tag(tombstones, tag, &key);
    list_those_of(tombstones, &key, list);
    buf_deinit(&key);
}

void tombstone_list_deinit(struct tombstone_list *list)
{
    vec_deinit(&list->items);
}

bool tombstone_list_covers_slowly(const struct tombstone_list *list, int64_t time_ns,
                                  struct stamp stamp)
{
    for (size_t i = 0; i < list->items.count; i++) {
        const struct tombstone *tombstone = list->items.items[i];
        if (time_ns >= tombstone->deletion.start_ns && time_ns <= tombstone->deletion.end_ns &&
            well_stamp_compare(list->origins, stamp, tombstone->stamp) < 0) {
            return true;
        }
    }
    return false;
}
