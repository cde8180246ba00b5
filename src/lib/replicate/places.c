#include "replicate/places.h"

#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"

void replicate_places_deinit(struct replicate_places *places)
{
    vec_deinit(&places->all);
}

void replicate_places_copy(struct replicate_places *to, const struct replicate_places *from)
{
    vec_clear(&to->all);
    for (size_t i = 0; i < from->all.count; i++) {
        vec_push(&to->all, from->all.items[i]);
    }
}

int replicate_origin_compare(struct datalog_origin a, struct datalog_origin b)
{
    int nodes = memcmp(a.node.bytes, b.node.bytes, sizeof(a.node.bytes));
    if (nodes != 0) {
        return nodes;
    }
    return (a.incarnation > b.incarnation) - (a.incarnation < b.incarnation);
}

/* ---- forms ---- */

bool replicate_origin_is_derived(struct datalog_origin origin)
{
    return (origin.incarnation & REPLICATE_DERIVED) != 0;
}

/* Through two filters is through one that lets pass what both do. */
struct datalog_origin replicate_origin_through(struct datalog_origin origin, uint16_t filter)
{
    if (filter == 0) {
        return origin;
    }
    uint64_t through = filter & REPLICATE_FILTER_MAX;
    if (replicate_origin_is_derived(origin)) {
        uint64_t before = origin.incarnation >> 48 & REPLICATE_FILTER_MAX;
        uint64_t both[2] = {before, through};
        if (before != through) {
            through = hash32(span_of(both, sizeof(both))) & REPLICATE_FILTER_MAX;
        }
    }
    origin.incarnation = REPLICATE_DERIVED | MAX(through, UINT64_C(1)) << 48 |
                         (origin.incarnation & REPLICATE_INCARNATION_MAX);
    return origin;
}

bool replicate_origin_is_other_form(struct datalog_origin a, struct datalog_origin b)
{
    return a.incarnation != b.incarnation &&
           ((a.incarnation ^ b.incarnation) & REPLICATE_INCARNATION_MAX) == 0 &&
           (replicate_origin_is_derived(a) || replicate_origin_is_derived(b)) &&
           uuid_equal(a.node, b.node);
}

/* ---- places ---- */

/* Where it stands, or where it would. */
static size_t find(const struct replicate_places *places, struct datalog_origin origin)
{
    size_t low = 0;
    size_t high = places->all.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (replicate_origin_compare(places->all.items[middle].origin, origin) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool stands_at(const struct replicate_places *places, size_t at,
                      struct datalog_origin origin)
{
    return at < places->all.count &&
           replicate_origin_compare(places->all.items[at].origin, origin) == 0;
}

bool replicate_places_other_form(const struct replicate_places *places,
                                 struct datalog_origin origin)
{
    struct datalog_origin first = {.node = origin.node};
    for (size_t at = find(places, first); at < places->all.count; at++) {
        const struct replicate_place *place = &places->all.items[at];
        if (!uuid_equal(place->origin.node, origin.node)) {
            break;
        }
        if (place->position > 0 && replicate_origin_is_other_form(place->origin, origin)) {
            return true;
        }
    }
    return false;
}

struct replicate_place replicate_places_of(const struct replicate_places *places,
                                           struct datalog_origin origin)
{
    size_t at = find(places, origin);
    return stands_at(places, at, origin) ? places->all.items[at]
                                         : (struct replicate_place){.origin = origin};
}

void replicate_places_raise(struct replicate_places *places, struct replicate_place place)
{
    size_t at = find(places, place.origin);
    if (!stands_at(places, at, place.origin)) {
        vec_push(&places->all, place);
        memmove(places->all.items + at + 1, places->all.items + at,
                (places->all.count - 1 - at) * sizeof(place));
        places->all.items[at] = place;
    } else if (places->all.items[at].position < place.position) {
        places->all.items[at] = place;
    }
}

void replicate_places_through(struct replicate_places *to, const struct replicate_places *from,
                              uint16_t filter)
{
    vec_clear(&to->all);
    for (size_t i = 0; i < from->all.count; i++) {
        struct replicate_place place = from->all.items[i];
        place.origin = replicate_origin_through(place.origin, filter);
        replicate_places_raise(to, place);
    }
}

void replicate_places_raise_all(struct replicate_places *places,
                                const struct replicate_places *others)
{
    for (size_t i = 0; i < others->all.count; i++) {
        replicate_places_raise(places, others->all.items[i]);
    }
}

void replicate_places_without(struct replicate_places *places, const struct uuid *nodes,
                              size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < places->all.count; i++) {
        struct uuid node = places->all.items[i].origin.node;
        size_t at = 0;
        while (at < count && !uuid_equal(nodes[at], node)) {
            at++;
        }
        if (at == count) {
            places->all.items[kept++] = places->all.items[i];
        }
    }
    places->all.count = kept;
}

bool replicate_places_cover(const struct replicate_places *places,
                            const struct replicate_places *others)
{
    for (size_t i = 0; i < others->all.count; i++) {
        struct replicate_place other = others->all.items[i];
        if (replicate_places_of(places, other.origin).position < other.position) {
            return false;
        }
    }
    return true;
}

void replicate_places_write(struct buf *buf, const struct replicate_places *places)
{
    wire_put_u32(buf, (uint32_t)places->all.count);
    for (size_t i = 0; i < places->all.count; i++) {
        const struct replicate_place *place = &places->all.items[i];
        buf_append(buf, span_of(place->origin.node.bytes, sizeof(place->origin.node.bytes)));
        wire_put_u64(buf, place->origin.incarnation);
        wire_put_u64(buf, place->position);
        wire_put_u64(buf, place->time);
    }
}

int replicate_places_read(struct wire_reader *reader, struct replicate_places *places)
{
    vec_clear(&places->all);
    uint32_t count = wire_get_u32(reader);
    if (reader->failed) {
        return err_set(ERR_PROTOCOL, "the places have no beginning");
    }
    if (count > REPLICATE_ORIGINS_MAX) {
        return err_set(ERR_PROTOCOL, "%" PRIu32 " origins, %d at most", count,
                       REPLICATE_ORIGINS_MAX);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct replicate_place place = {0};
        struct span node = wire_get_raw(reader, sizeof(place.origin.node.bytes));
        place.origin.incarnation = wire_get_u64(reader);
        place.position = wire_get_u64(reader);
        place.time = wire_get_u64(reader);
        if (reader->failed) {
            return err_set(ERR_PROTOCOL, "the places end in the middle of number %" PRIu32, i);
        }
        memcpy(place.origin.node.bytes, node.data, node.bytes);
        if (i > 0 && replicate_origin_compare(places->all.items[i - 1].origin, place.origin) >= 0) {
            return err_set(ERR_PROTOCOL, "the places are out of order at number %" PRIu32, i);
        }
        vec_push(&places->all, place);
    }
    return 0;
}
