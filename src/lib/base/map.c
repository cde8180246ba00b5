#include "base/map.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"

struct map_slot {
    uint64_t hash;
    uint8_t *key; /* NULL and no value: never used; NULL with GRAVE: removed */
    size_t key_bytes;
    void *value;
};

static char grave;
#define GRAVE ((void *)&grave)

static bool slot_is_live(const struct map_slot *slot)
{
    return slot->value != NULL && slot->value != GRAVE;
}

void map_clear(struct map *map)
{
    for (size_t i = 0; i < map->capacity; i++) {
        mem_free(map->slots[i].key);
        map->slots[i] = (struct map_slot){0};
    }
    map->count = 0;
    map->used = 0;
}

void map_deinit(struct map *map)
{
    map_clear(map);
    mem_free(map->slots);
    *map = (struct map){0};
}

static struct map_slot *find(const struct map *map, struct span key, uint64_t hash)
{
    if (map->capacity == 0) {
        return NULL;
    }
    for (size_t i = hash & (map->capacity - 1);; i = (i + 1) & (map->capacity - 1)) {
        struct map_slot *slot = &map->slots[i];
        if (slot->value == NULL) {
            return NULL;
        }
        if (slot_is_live(slot) && slot->hash == hash &&
            span_equal(span_of(slot->key, slot->key_bytes), key)) {
            return slot;
        }
    }
}

static struct map_slot *first_free(struct map_slot *slots, size_t capacity, uint64_t hash)
{
    size_t i = hash & (capacity - 1);
    while (slots[i].value != NULL) {
        i = (i + 1) & (capacity - 1);
    }
    return &slots[i];
}

static void rehash(struct map *map)
{
    size_t capacity = 16;
    while (capacity < (map->count + 1) * 2) {
        capacity *= 2;
    }
    struct map_slot *slots = mem_alloc_array(capacity, sizeof(*slots));
    for (size_t i = 0; i < map->capacity; i++) {
        if (slot_is_live(&map->slots[i])) {
            *first_free(slots, capacity, map->slots[i].hash) = map->slots[i];
        }
    }
    mem_free(map->slots);
    map->slots = slots;
    map->capacity = capacity;
    map->used = map->count;
}

void *map_get(const struct map *map, struct span key)
{
    struct map_slot *slot = find(map, key, hash64(key));
    return slot == NULL ? NULL : slot->value;
}

void *map_get_str(const struct map *map, const char *key)
{
    return map_get(map, span_of_str(key));
}

void *map_put(struct map *map, struct span key, void *value)
{
    CHECK(value != NULL);
    uint64_t hash = hash64(key);
    struct map_slot *slot = find(map, key, hash);
    if (slot != NULL) {
        void *before = slot->value;
        slot->value = value;
        return before;
    }
    if ((map->used + 1) * 4 > map->capacity * 3) {
        rehash(map);
    }
    slot = first_free(map->slots, map->capacity, hash);
    *slot = (struct map_slot){hash, mem_dup(key.data, key.bytes), key.bytes, value};
    map->count++;
    map->used++;
    return NULL;
}

void *map_remove(struct map *map, struct span key)
{
    struct map_slot *slot = find(map, key, hash64(key));
    if (slot == NULL) {
        return NULL;
    }
    void *value = slot->value;
    mem_free(slot->key);
    *slot = (struct map_slot){.value = GRAVE};
    map->count--;
    return value;
}

bool map_next(const struct map *map, size_t *cursor, struct span *ret_key, void **ret_value)
{
    while (*cursor < map->capacity) {
        const struct map_slot *slot = &map->slots[(*cursor)++];
        if (slot_is_live(slot)) {
            *ret_key = span_of(slot->key, slot->key_bytes);
            *ret_value = slot->value;
            return true;
        }
    }
    return false;
}
