/*
 * Chance and modelled stores, for sim_world.h, and for nothing else.
 */
#ifndef SYNC_SIM_MODEL_H
#define SYNC_SIM_MODEL_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/vec.h"
#include "sync/core.h"

/* ---- chance ---- */

struct chance {
    uint64_t state;
};

static uint64_t chance_next(struct chance *chance)
{
    uint64_t z = (chance->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t below(struct chance *chance, uint64_t bound)
{
    return chance_next(chance) % bound;
}

static bool one_in(struct chance *chance, uint64_t n)
{
    return below(chance, n) == 0;
}

static struct uuid new_uuid(struct chance *chance)
{
    uint64_t bits[2] = {chance_next(chance), chance_next(chance)};
    uint8_t bytes[16];
    memcpy(bytes, bits, sizeof(bytes));
    return uuid_of_random(bytes);
}

/* ---- the trace: AQUIFER_TRACE=1 ---- */

static bool tracing(void)
{
    return getenv("AQUIFER_TRACE") != NULL;
}

static void trace(const char *who, size_t at, const char *what, const struct object *object)
{
    if (tracing() && object != NULL) {
        printf("%s%zu %s: %s %02x%02x change %02x%02x rev %" PRIu64 " base %" PRIu64 "%s%s%s\n",
               who, at, what, object_kind_name(object->kind), object->id.bytes[0],
               object->id.bytes[1], object->change.bytes[0], object->change.bytes[1],
               object->revision, object->base_revision, object->deleted ? " deleted" : "",
               object->dirty ? " dirty" : "",
               object->rescue ? (object->edited ? " rescue edited" : " rescue") : "");
    }
}

static void trace_event(const char *who, size_t at, const char *what, uint64_t number)
{
    if (tracing()) {
        printf("%s%zu %s %" PRIu64 "\n", who, at, what, number);
    }
}

/* ---- a store, modelled ---- */

struct objects {
    struct object **items;
    size_t count, capacity;
};

struct known_change {
    struct uuid change;
    uint64_t revision;
};

#define VERSIONS_MAX 20 /* Versions-Max */

struct old_version {
    struct uuid object;
    struct uuid change;
};

/* One file. */
struct file {
    struct objects objects;
    struct objects shadows;
    struct {
        struct known_change *items;
        size_t count, capacity;
    } changes;
    struct {
        struct old_version *items;
        size_t count, capacity;
    } versions; /* what was replaced, oldest first */
    struct {
        struct store_epoch *items;
        size_t count, capacity;
    } epochs;
    struct store_place place;
};

struct model {
    struct file files[OBJECT_FILES];
};

static enum object_file file_of(enum object_kind kind)
{
    return object_kind_info(kind)->file;
}

static struct object *find(const struct objects *objects, struct uuid id)
{
    for (size_t i = 0; i < objects->count; i++) {
        if (uuid_equal(objects->items[i]->id, id)) {
            return objects->items[i];
        }
    }
    return NULL;
}

static void put(struct objects *objects, const struct object *object)
{
    struct object *copy = object_clone(object);
    for (size_t i = 0; i < objects->count; i++) {
        if (uuid_equal(objects->items[i]->id, object->id)) {
            object_free(&objects->items[i]);
            objects->items[i] = copy;
            return;
        }
    }
    vec_push(objects, copy);
}

static void drop(struct objects *objects, struct uuid id)
{
    for (size_t i = 0; i < objects->count; i++) {
        if (uuid_equal(objects->items[i]->id, id)) {
            object_free(&objects->items[i]);
            vec_remove_swap(objects, i);
            return;
        }
    }
}

static void objects_free(struct objects *objects)
{
    for (size_t i = 0; i < objects->count; i++) {
        object_free(&objects->items[i]);
    }
    vec_deinit(objects);
}

static void file_free(struct file *file)
{
    objects_free(&file->objects);
    objects_free(&file->shadows);
    vec_deinit(&file->changes);
    vec_deinit(&file->versions);
    vec_deinit(&file->epochs);
}

static void file_copy(struct file *to, const struct file *from)
{
    file_free(to);
    *to = (struct file){.place = from->place};
    for (size_t i = 0; i < from->objects.count; i++) {
        vec_push(&to->objects, object_clone(from->objects.items[i]));
    }
    for (size_t i = 0; i < from->shadows.count; i++) {
        vec_push(&to->shadows, object_clone(from->shadows.items[i]));
    }
    for (size_t i = 0; i < from->changes.count; i++) {
        vec_push(&to->changes, from->changes.items[i]);
    }
    for (size_t i = 0; i < from->versions.count; i++) {
        vec_push(&to->versions, from->versions.items[i]);
    }
    for (size_t i = 0; i < from->epochs.count; i++) {
        vec_push(&to->epochs, from->epochs.items[i]);
    }
}

static void model_copy(struct model *to, const struct model *from)
{
    for (size_t i = 0; i < OBJECT_FILES; i++) {
        file_copy(&to->files[i], &from->files[i]);
    }
}

static void model_free(struct model *model)
{
    for (size_t i = 0; i < OBJECT_FILES; i++) {
        file_free(&model->files[i]);
    }
}

/* As store_put_version does. */
static void keep_version(struct file *file, const struct object *object)
{
    size_t of_it = 0;
    size_t oldest = 0;
    for (size_t i = file->versions.count; i-- > 0;) {
        const struct old_version *version = &file->versions.items[i];
        if (uuid_equal(version->object, object->id)) {
            if (uuid_equal(version->change, object->change)) {
                return;
            }
            of_it++;
            oldest = i;
        }
    }
    if (of_it == VERSIONS_MAX) {
        memmove(&file->versions.items[oldest], &file->versions.items[oldest + 1],
                (--file->versions.count - oldest) * sizeof(file->versions.items[0]));
    }
    vec_push(&file->versions, (struct old_version){object->id, object->change});
}

/* As store_put does. */
static void keep(struct file *file, const struct object *object)
{
    const struct object *old = find(&file->objects, object->id);
    if (old != NULL && !old->deleted && !uuid_equal(old->change, object->change)) {
        keep_version(file, old);
    }
    put(&file->objects, object);
    if (!object->dirty) {
        vec_push(&file->changes, (struct known_change){object->change, object->revision});
    }
}

static uint64_t highest(const struct file *file)
{
    uint64_t revision = 0;
    for (size_t i = 0; i < file->objects.count; i++) {
        revision = MAX(revision, file->objects.items[i]->revision);
    }
    for (size_t i = 0; i < file->shadows.count; i++) {
        revision = MAX(revision, file->shadows.items[i]->revision);
    }
    return revision;
}

static void add_epoch(struct file *file, struct store_epoch epoch)
{
    for (size_t i = 0; i < file->epochs.count; i++) {
        if (uuid_equal(file->epochs.items[i].epoch, epoch.epoch)) {
            file->epochs.items[i].main = file->epochs.items[i].main || epoch.main;
            return;
        }
    }
    vec_push(&file->epochs, epoch);
}

static struct sync_tree tree_of(const struct file *file)
{
    return (struct sync_tree){file->epochs.items, file->epochs.count};
}

#endif
