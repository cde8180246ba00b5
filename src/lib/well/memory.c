/*
 * Memory wells: sealed memtables stay until there is no room for them or they are too old. Tested
 * by memory_test.c.
 */
#include "base/mem.h"
#include "base/time.h"
#include "well/internal.h"

#define AGE_PARTS 8 /* the active memtable is sealed when it spans this part of Hot-Duration */

static void note(struct well *well, const struct memtable *memtable, const char *rule)
{
    struct well_dropped *evicted = &well->evicted;
    bool first = evicted->entries + evicted->points == 0;
    evicted->oldest_ns = first ? memtable->oldest_ns : MIN(evicted->oldest_ns, memtable->oldest_ns);
    evicted->newest_ns = first ? memtable->newest_ns : MAX(evicted->newest_ns, memtable->newest_ns);
    evicted->entries += memtable->entries;
    evicted->points += memtable->points;
    evicted->bytes += memtable->bytes;
    evicted->rule = rule;
    well->dropped_entries += memtable->entries;
    well->dropped_points += memtable->points;
    well->dropped_bytes += memtable->bytes;
}

static void take_out(struct well *well, size_t at, const char *rule, memtables_vec *gone)
{
    note(well, well->sealed.items[at], rule);
    vec_push(gone, well->sealed.items[at]);
    well->sealed.count--;
    memmove(well->sealed.items + at, well->sealed.items + at + 1,
            (well->sealed.count - at) * sizeof(*well->sealed.items));
}

void well_memory_evict(struct well *well, memtables_vec *gone)
{
    uint64_t bytes = well->active != NULL ? well->active->bytes : 0;
    for (size_t i = 0; i < well->sealed.count; i++) {
        bytes += well->sealed.items[i]->bytes;
    }
    while (bytes > well->memory_bytes_max && well->sealed.count > 0) {
        bytes -= well->sealed.items[0]->bytes;
        take_out(well, 0, "Max-Memory-MB", gone);
    }
}

static void drop_old(struct well *well, int64_t hot_ns, memtables_vec *gone)
{
    int64_t oldest_ns = io_now_ns(well->io) - hot_ns;
    const struct memtable *active = well->active;
    if (active != NULL && (active->oldest_ns < oldest_ns ||
                           (uint64_t)active->newest_ns - (uint64_t)active->oldest_ns >
                               (uint64_t)hot_ns / AGE_PARTS)) {
        well_seal_locked(well);
    }
    for (size_t i = 0; i < well->sealed.count;) {
        if (well->sealed.items[i]->newest_ns < oldest_ns) {
            take_out(well, i, "Hot-Duration", gone);
        } else {
            i++;
        }
    }
}

void well_memory_free(memtables_vec *gone)
{
    for (size_t i = 0; i < gone->count; i++) {
        memtable_unref(&gone->items[i]);
    }
    vec_deinit(gone);
}

int well_memory_retain(struct well *well, const struct well_retention *retention,
                       struct well_dropped *ret_dropped)
{
    memtables_vec gone = {0};
    pthread_mutex_lock(&well->lock);
    if (retention->hot_ns > 0) {
        drop_old(well, retention->hot_ns, &gone);
    }
    struct well_dropped evicted = well->evicted;
    well->evicted = (struct well_dropped){0};
    pthread_mutex_unlock(&well->lock);
    well_memory_free(&gone);
    if (evicted.entries + evicted.points == 0) {
        return WELL_NOTHING;
    }
    *ret_dropped = evicted;
    return 0;
}
