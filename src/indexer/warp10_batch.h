/*
 * Readings on their way into storage: collected, grouped by series, submitted while the next are
 * being read, waited for at the end. One thread; memory is bounded by the batches on their way.
 *
 *     init ──begin──> add, meta, delete … ──finish──> begin … ──deinit
 */
#ifndef INDEXER_WARP10_BATCH_H
#define INDEXER_WARP10_BATCH_H

#include <pthread.h>

#include "base/vec.h"
#include "indexer/datalog2x.h"
#include "indexer/storage.h"
#include "warp10/gts.h"

struct warp10_batch_series {
    uint32_t number; /* SERIES_NONE: by its key */
    struct span key;
    size_t count;
};

struct warp10_batch {
    struct storage *storage;
    VEC(struct element) elements;
    VEC(uint32_t) owners; /* of each element: index into series */
    VEC(struct warp10_batch_series) series;
    struct arena *arena; /* texts and keys of this batch */
    struct element *sorted;
    uint64_t generation;       /* of gts_series.mark */
    uint64_t first_generation; /* of this request */
    struct buf metas;          /* changes of attributes */
    size_t meta_count;
    bool replace;                  /* attributes that are not named go */
    struct datalog2x_place *place; /* of a forwarded request; NULL: written here first */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned on_their_way;
    int rc; /* the first fault */
    char text[256];
};

void warp10_batch_init(struct warp10_batch *batch, struct storage *storage);
/* `replace`: attributes that are not named go. `place` may be NULL. */
void warp10_batch_begin(struct warp10_batch *batch, bool replace, struct datalog2x_place *place);
/* Waits for what is on its way. */
void warp10_batch_deinit(struct warp10_batch *batch);

/* Whether readings of this series were added since it began. */
bool warp10_batch_has_met(const struct warp10_batch *batch, const struct gts_series *series);

/* Copies. The batch is submitted when it is full. */
MUST_CHECK int warp10_batch_add(struct warp10_batch *batch, const struct gts_reading *reading);
/* Attributes of the reading's series. ERR_TOO_LARGE. */
MUST_CHECK int warp10_batch_meta(struct warp10_batch *batch, const struct gts_reading *reading);

/* A delete, at once. */
MUST_CHECK int warp10_batch_delete(struct warp10_batch *batch,
                                   const struct series_delete *deletion);

/* Submits the rest and waits, also after a fault: 0 when all is durable. */
MUST_CHECK int warp10_batch_finish(struct warp10_batch *batch);

#endif
