/* What the files catalogue*.c share. */
#ifndef SERIES_CATALOGUE_INTERNAL_H
#define SERIES_CATALOGUE_INTERNAL_H

#include <pthread.h>

#include "base/buf.h"
#include "base/map.h"
#include "series/attributes.h"
#include "series/catalogue.h"
#include "series/symbols.h"

#define CHUNK_NUMBERS 65536
#define CHUNKS 65536

/* Of a record, atomic: what put() must know at once. */
enum record_state { RECORD_LOGGED = 1, RECORD_LIVES = 2 };

/* One series, in the heap of the symbols. All but the state never changes. */
struct record {
    uint32_t number;
    uint32_t class;
    uint32_t hash;
    uint16_t count; /* of labels */
    uint8_t state;
    uint32_t values[]; /* refs, by name */
};

/* Per number, atomic. DIRTY ones are written by the next checkpoint. */
enum number_flags {
    DIRTY_DEFINITION = 1,
    DIRTY_LIFE = 2,
    DIRTY_ATTRIBUTES = 4,
    NUMBER_LIVES = 16, /* as the record says, so that touch() need not look there */
};

/* What is known by number; also of numbers whose name is lost. */
struct chunk {
    uint32_t records[CHUNK_NUMBERS]; /* refs, atomic; 0: none */
    uint64_t touched[CHUNK_NUMBERS]; /* time of the newest stamp of points, atomic */
    uint8_t flags[CHUNK_NUMBERS];
    uint64_t *died;                 /* time of the newest delete; lazily, atomic */
    struct attributes **attributes; /* lazily, under attributes_lock */
};

struct whole_delete {
    uint64_t key_hash; /* series_selector_key_hash() */
    struct series_selector *selector;
    char *text;
    uint8_t flags;
    struct stamp stamp;
};

struct series_catalogue {
    struct series_catalogue_options options;
    char *dir;

    pthread_mutex_t lock; /* of changes of names, and of deletes */
    struct symbols symbols;
    struct table *table;   /* of records; atomic */
    struct chunk **chunks; /* CHUNKS; atomic */
    uint32_t chunks_end;   /* none from there on; atomic */
    uint64_t next;         /* number to give next; atomic */
    uint64_t count;
    VEC(struct whole_delete) deletes; /* by key_hash */
    struct map deletes_known;         /* each of them as bytes */
    bool deletes_dirty;
    struct map orphans; /* key -> attributes of a series that has no logged number yet */
    bool orphans_dirty;

    pthread_rwlock_t attributes_lock; /* short */
    uint64_t attributes_bytes;

    pthread_mutex_t checkpoint_lock;
    struct io_file *file; /* NULL: none that can be added to */
    uint64_t generation;
    uint64_t end;
    uint64_t base; /* bytes that a file written anew would have, about */
    uint64_t position;
    uint64_t sound_from; /* when it is read: where the last damage ends */
    uint64_t damaged_blocks;
};

static inline uint32_t chunks_end(const struct series_catalogue *catalogue)
{
    return __atomic_load_n(&catalogue->chunks_end, __ATOMIC_ACQUIRE);
}

static inline struct chunk *chunk_of(const struct series_catalogue *catalogue, uint32_t number)
{
    return __atomic_load_n(&catalogue->chunks[number / CHUNK_NUMBERS], __ATOMIC_ACQUIRE);
}

/* Makes it when it is missing; any thread. */
struct chunk *chunk_need(struct series_catalogue *catalogue, uint32_t number);

/* NULL: no such series. */
static inline struct record *record_of(const struct series_catalogue *catalogue, uint32_t number)
{
    const struct chunk *chunk = chunk_of(catalogue, number);
    uint32_t ref = chunk == NULL
                       ? 0
                       : __atomic_load_n(&chunk->records[number % CHUNK_NUMBERS], __ATOMIC_ACQUIRE);
    return ref == 0 ? NULL : heap_at(&catalogue->symbols.heap, ref);
}

static inline void set_flags(struct chunk *chunk, uint32_t number, uint8_t flags)
{
    __atomic_fetch_or(&chunk->flags[number % CHUNK_NUMBERS], flags, __ATOMIC_ACQ_REL);
}

static inline uint8_t clear_flags(struct chunk *chunk, uint32_t number, uint8_t flags)
{
    return __atomic_fetch_and(&chunk->flags[number % CHUNK_NUMBERS], (uint8_t)~flags,
                              __ATOMIC_ACQ_REL);
}

void catalogue_report(struct series_catalogue *catalogue, const char *format, ...)
    PRINTF_LIKE(2, 3);

/* Writes the key of a record. */
void record_key(const struct series_catalogue *catalogue, const struct record *record,
                struct buf *buf);

/* A definition under a given number; ERR_CONFLICT. `logged` in the catalogue's sense. */
int catalogue_define(struct series_catalogue *catalogue, uint32_t number, struct span key,
                     bool logged);

/* Removes the name of a number; the lock is held. */
void catalogue_drop(struct series_catalogue *catalogue, uint32_t number);

uint64_t catalogue_died(const struct chunk *chunk, uint32_t number);

/* Raises either; 0 changes nothing. */
void catalogue_raise(struct series_catalogue *catalogue, uint32_t number, uint64_t touched,
                     uint64_t died);

/* Adds a delete of whole series and applies it to the series that are there. */
int catalogue_add_delete(struct series_catalogue *catalogue, const struct series_delete *deletion,
                         struct stamp stamp);

/* The time of the newest delete that covers the series; the lock is held. */
uint64_t catalogue_covering(struct series_catalogue *catalogue, struct span key);

/* Takes `attributes`. */
void catalogue_set_attributes(struct series_catalogue *catalogue, uint32_t number,
                              struct attributes *attributes);

/* Sets those of a series that may have no number yet; takes `attributes`. The lock is held. */
void catalogue_set_orphan(struct series_catalogue *catalogue, struct span key,
                          struct attributes *attributes);

/* Gives the series, which is logged, what was waiting for it. */
void catalogue_adopt(struct series_catalogue *catalogue, uint32_t number);

/* NULL for none. The attributes lock is held. */
const struct attributes *catalogue_attributes(const struct series_catalogue *catalogue,
                                              uint32_t number);

/* Reads the newest file; sets up the fields of files. */
int catalogue_load(struct series_catalogue *catalogue);

#endif
