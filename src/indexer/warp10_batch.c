/* Tested by warp10_test.c. */
#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "indexer/warp10_batch.h"

#define ELEMENTS_MAX ((size_t)32768)
#define BYTES_MAX ((size_t)4 << 20) /* of texts and keys */
#define ARENA_BYTES_MAX ((size_t)64 << 20)
#define META_BYTES_MAX ((size_t)256 << 10)
#define ON_THEIR_WAY_MAX 4u
#define DELETES_ON_THEIR_WAY_MAX 256u
#define MARK_BITS 32

void warp10_batch_init(struct warp10_batch *batch, struct storage *storage)
{
    *batch = (struct warp10_batch){.storage = storage, .generation = 1};
    batch->arena = arena_new(ARENA_BYTES_MAX);
    pthread_mutex_init(&batch->lock, NULL);
    pthread_cond_init(&batch->changed, NULL);
    series_metas_begin(&batch->metas);
}

/* What a fault left behind is forgotten. */
static void empty(struct warp10_batch *batch)
{
    batch->elements.count = batch->owners.count = batch->series.count = 0;
    batch->generation++;
    arena_reset(batch->arena);
    buf_clear(&batch->metas);
    series_metas_begin(&batch->metas);
    batch->meta_count = 0;
}

void warp10_batch_begin(struct warp10_batch *batch, bool replace, struct datalog2x_place *place)
{
    CHECK(batch->on_their_way == 0);
    empty(batch);
    batch->first_generation = batch->generation;
    batch->replace = replace;
    batch->place = place;
    batch->rc = 0;
}

/* Until at most `most` are on their way. */
static int wait_for(struct warp10_batch *batch, unsigned most)
{
    pthread_mutex_lock(&batch->lock);
    while (batch->on_their_way > most) {
        pthread_cond_wait(&batch->changed, &batch->lock);
    }
    int rc = batch->rc;
    pthread_mutex_unlock(&batch->lock);
    return rc == 0 ? 0 : err_set(rc, "%s", batch->text);
}

void warp10_batch_deinit(struct warp10_batch *batch)
{
    (void)!wait_for(batch, 0);
    vec_deinit(&batch->elements);
    vec_deinit(&batch->owners);
    vec_deinit(&batch->series);
    mem_free(batch->sorted);
    arena_free(&batch->arena);
    buf_deinit(&batch->metas);
    pthread_cond_destroy(&batch->changed);
    pthread_mutex_destroy(&batch->lock);
}

static void done(void *context, int rc)
{
    struct warp10_batch *batch = context;
    pthread_mutex_lock(&batch->lock);
    if (rc > 0) {
        rc = err_set(ERR_CONFLICT, "the log has gone beyond this request meanwhile");
    }
    if (rc < 0 && batch->rc == 0) {
        batch->rc = rc;
        (void)snprintf(batch->text, sizeof(batch->text), "%s", err_text());
    }
    batch->on_their_way--;
    pthread_cond_signal(&batch->changed);
    pthread_mutex_unlock(&batch->lock);
}

static int begin(struct warp10_batch *batch, unsigned most)
{
    int rc = wait_for(batch, most - 1);
    if (rc == 0) {
        pthread_mutex_lock(&batch->lock);
        batch->on_their_way++;
        pthread_mutex_unlock(&batch->lock);
    }
    return rc;
}

/* The submission was refused: done() will not come. */
static int refused(struct warp10_batch *batch, int rc)
{
    pthread_mutex_lock(&batch->lock);
    batch->on_their_way--;
    pthread_mutex_unlock(&batch->lock);
    return rc;
}

/* Elements of one series side by side, in the order in which they came. */
static struct storage_points *group(struct warp10_batch *batch)
{
    size_t count = batch->series.count;
    struct storage_points *points = arena_alloc_array(batch->arena, count, sizeof(*points));
    size_t *next = arena_alloc_array(batch->arena, count, sizeof(*next));
    size_t at = 0;
    if (batch->sorted == NULL) {
        batch->sorted = mem_alloc_array(ELEMENTS_MAX, sizeof(*batch->sorted));
    }
    for (size_t i = 0; i < count; i++) {
        const struct warp10_batch_series *series = &batch->series.items[i];
        points[i] = (struct storage_points){.series = series->number,
                                            .key = series->key,
                                            .elements = batch->sorted + at,
                                            .count = series->count};
        next[i] = at;
        at += series->count;
    }
    for (size_t i = 0; i < batch->elements.count; i++) {
        batch->sorted[next[batch->owners.items[i]]++] = batch->elements.items[i];
    }
    return points;
}

/* Where the next record of a forwarded request stands; *ret_received is NULL of others. */
static int take_place(struct warp10_batch *batch, struct storage_received *place,
                      const struct storage_received **ret_received)
{
    *ret_received = batch->place == NULL ? NULL : place;
    return batch->place == NULL ? 0 : datalog2x_next(batch->place, place);
}

static int submit_points(struct warp10_batch *batch)
{
    struct storage_received place;
    const struct storage_received *received;
    if (batch->elements.count == 0) {
        return 0;
    }
    int rc = take_place(batch, &place, &received);
    rc = rc < 0 ? rc : begin(batch, ON_THEIR_WAY_MAX);
    if (rc < 0) {
        return rc;
    }
    rc = storage_submit_points(batch->storage, group(batch), batch->series.count, received, done,
                               batch);
    batch->elements.count = batch->owners.count = batch->series.count = 0;
    batch->generation++;
    arena_reset(batch->arena);
    return rc == 0 ? 0 : refused(batch, rc);
}

/* After the points: attributes are of series that are there. */
static int submit_metas(struct warp10_batch *batch)
{
    if (batch->meta_count == 0) {
        return 0;
    }
    struct storage_received place;
    const struct storage_received *received;
    int rc = take_place(batch, &place, &received);
    rc = rc < 0 ? rc : begin(batch, ON_THEIR_WAY_MAX);
    if (rc < 0) {
        return rc;
    }
    rc = storage_submit_meta(batch->storage, buf_span(&batch->metas), received, done, batch);
    buf_clear(&batch->metas);
    series_metas_begin(&batch->metas);
    batch->meta_count = 0;
    return rc == 0 ? 0 : refused(batch, rc);
}

int warp10_batch_delete(struct warp10_batch *batch, const struct series_delete *deletion)
{
    struct storage_received place;
    const struct storage_received *received;
    int rc = take_place(batch, &place, &received);
    rc = rc < 0 ? rc : begin(batch, DELETES_ON_THEIR_WAY_MAX);
    if (rc < 0) {
        return rc;
    }
    rc = storage_submit_delete(batch->storage, deletion, received, done, batch);
    return rc == 0 ? 0 : refused(batch, rc);
}

static int submit(struct warp10_batch *batch)
{
    int rc = submit_points(batch);
    return rc < 0 ? rc : submit_metas(batch);
}

/* The index of the reading's series in this batch. What an earlier batch brought has a number
 * by now, so that its key is looked up once. */
static uint32_t index_of(struct warp10_batch *batch, struct gts_series *gts)
{
    if (gts->mark >> MARK_BITS == batch->generation) {
        return (uint32_t)gts->mark;
    }
    struct warp10_batch_series series = {.number = gts->number};
    if (gts->number == SERIES_NONE && gts->mark != 0 &&
        series_catalogue_find(storage_catalogue(batch->storage), gts->key, &gts->number)) {
        series.number = gts->number;
    }
    if (series.number == SERIES_NONE) {
        series.key = arena_span_dup(batch->arena, gts->key);
    }
    uint32_t index = (uint32_t)batch->series.count;
    gts->mark = batch->generation << MARK_BITS | index;
    vec_push(&batch->series, series);
    return index;
}

bool warp10_batch_has_met(const struct warp10_batch *batch, const struct gts_series *series)
{
    return series->mark >> MARK_BITS >= batch->first_generation;
}

int warp10_batch_add(struct warp10_batch *batch, const struct gts_reading *reading)
{
    uint32_t index = index_of(batch, reading->series);
    vec_push(&batch->elements, reading->element);
    vec_push(&batch->owners, index);
    batch->series.items[index].count++;
    struct element *element = &batch->elements.items[batch->elements.count - 1];
    if (element->type >= ELEMENT_TEXT) {
        element->value.bytes = arena_span_dup(batch->arena, element->value.bytes);
    }
    bool full = batch->elements.count == ELEMENTS_MAX ||
                ARENA_BYTES_MAX - arena_left(batch->arena) > BYTES_MAX;
    return full ? submit(batch) : 0;
}

int warp10_batch_meta(struct warp10_batch *batch, const struct gts_reading *reading)
{
    struct series_attribute *attributes = (struct series_attribute *)(uintptr_t)reading->attributes;
    for (size_t i = 0; !batch->replace && i < reading->attribute_count; i++) {
        attributes[i].removed = attributes[i].value.bytes == 0;
    }
    int rc = series_metas_put(&batch->metas, reading->series->key, batch->replace, attributes,
                              reading->attribute_count);
    if (rc < 0) {
        return rc;
    }
    batch->meta_count++;
    return batch->metas.bytes > META_BYTES_MAX ? submit(batch) : 0;
}

int warp10_batch_finish(struct warp10_batch *batch)
{
    int rc = submit(batch);
    int waited = wait_for(batch, 0);
    return rc < 0 ? rc : waited;
}
