/*
 * What a snapshot tells other nodes of a catalogue. Tested by catalogue_test.c.
 */
#include "base/mem.h"
#include "series/catalogue_internal.h"

typedef int (*each_meta)(void *context, struct span metas, struct stamp stamp);

static bool same_stamp(struct stamp a, struct stamp b)
{
    return a.time == b.time && a.origin == b.origin;
}

/* The attributes with this stamp as one change. */
static int give_change(const struct attributes *attributes, struct span key, bool replace,
                       struct stamp stamp, each_meta each, void *context)
{
    VEC(struct series_attribute) changed = {0};
    for (size_t i = 0; i < attributes->count; i++) {
        const struct attribute *item = &attributes->items[i];
        if (same_stamp(item->stamp, stamp)) {
            vec_push(&changed,
                     (struct series_attribute){attribute_name(attributes, i),
                                               attribute_value(attributes, i), item->removed});
        }
    }
    struct buf metas = {0};
    series_metas_begin(&metas);
    int rc = series_metas_put(&metas, key, replace, changed.items, changed.count);
    rc = rc < 0 ? rc : each(context, buf_span(&metas), stamp);
    buf_deinit(&metas);
    vec_deinit(&changed);
    return rc;
}

static bool came_before(const struct attributes *attributes, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (same_stamp(attributes->items[i].stamp, attributes->items[index].stamp)) {
            return true;
        }
    }
    return false;
}

/* What cleared the others comes first: it does not touch what is younger. */
static int give_changes(const struct attributes *attributes, struct span key, each_meta each,
                        void *context)
{
    int rc = 0;
    bool cleared = attributes->cleared.time > 0;
    if (cleared) {
        rc = give_change(attributes, key, true, attributes->cleared, each, context);
    }
    for (size_t i = 0; rc == 0 && i < attributes->count; i++) {
        struct stamp stamp = attributes->items[i].stamp;
        if (!came_before(attributes, i) && !(cleared && same_stamp(stamp, attributes->cleared))) {
            rc = give_change(attributes, key, false, stamp, each, context);
        }
    }
    return rc;
}

int series_catalogue_metas(struct series_catalogue *catalogue, uint32_t number, each_meta each,
                           void *context)
{
    struct buf key = {0};
    int rc = 0;
    bool has_name = series_catalogue_key(catalogue, number, &key);
    pthread_rwlock_rdlock(&catalogue->attributes_lock);
    const struct attributes *attributes = has_name ? catalogue_attributes(catalogue, number) : NULL;
    if (attributes != NULL) {
        rc = give_changes(attributes, buf_span(&key), each, context);
    }
    pthread_rwlock_unlock(&catalogue->attributes_lock);
    buf_deinit(&key);
    return rc;
}

int series_catalogue_orphan_metas(struct series_catalogue *catalogue, each_meta each, void *context)
{
    int rc = 0;
    size_t at = 0;
    struct span key;
    void *attributes;
    pthread_mutex_lock(&catalogue->lock);
    while (rc == 0 && map_next(&catalogue->orphans, &at, &key, &attributes)) {
        rc = give_changes(attributes, key, each, context);
    }
    pthread_mutex_unlock(&catalogue->lock);
    return rc;
}

int series_catalogue_deletes(struct series_catalogue *catalogue,
                             int (*each)(void *context, const struct series_delete *deletion,
                                         struct stamp stamp),
                             void *context)
{
    int rc = 0;
    pthread_mutex_lock(&catalogue->lock);
    for (size_t i = 0; rc == 0 && i < catalogue->deletes.count; i++) {
        const struct whole_delete *whole = &catalogue->deletes.items[i];
        struct series_delete deletion = {
            .flags = whole->flags,
            .start_ns = INT64_MIN,
            .end_ns = INT64_MAX,
            .selector = span_of_str(whole->text),
        };
        rc = each(context, &deletion, whole->stamp);
    }
    pthread_mutex_unlock(&catalogue->lock);
    return rc;
}

uint32_t series_catalogue_numbers_end(struct series_catalogue *catalogue)
{
    return (uint32_t)MIN(__atomic_load_n(&catalogue->next, __ATOMIC_ACQUIRE), (uint64_t)UINT32_MAX);
}
