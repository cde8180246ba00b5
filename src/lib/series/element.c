#include "series/element.h"

#include <math.h>

#define UNITS_PER_TURN 4294967296.0 /* 2^32 */

/* The low 32 bits of a whole number that may be far outside of them. */
static uint64_t whole(double units)
{
    double wrapped = fmod(floor(units), 2 * UNITS_PER_TURN);
    return (uint64_t)(wrapped < 0 ? wrapped + 2 * UNITS_PER_TURN : wrapped);
}

struct location location_of_degrees(double latitude, double longitude)
{
    uint64_t north = whole((latitude + 90) / (180 / UNITS_PER_TURN));
    uint64_t east = whole((longitude + 180) / (360 / UNITS_PER_TURN));
    struct location location = {(uint32_t)north, (uint32_t)east};
    if ((north >> 32 & 1) != 0) { /* over the pole and down on the other side */
        location.latitude ^= UINT32_MAX;
        location.longitude ^= UINT32_C(1) << 31;
    }
    return location;
}

void location_degrees(struct location location, double *ret_latitude, double *ret_longitude)
{
    *ret_latitude = location.latitude * (180 / UNITS_PER_TURN) - 90;
    *ret_longitude = location.longitude * (360 / UNITS_PER_TURN) - 180;
}

/* Every second bit, from bit 0 on, pushed together. */
static uint32_t squeeze(uint64_t bits)
{
    bits &= UINT64_C(0x5555555555555555);
    bits = (bits | bits >> 1) & UINT64_C(0x3333333333333333);
    bits = (bits | bits >> 2) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    bits = (bits | bits >> 4) & UINT64_C(0x00FF00FF00FF00FF);
    bits = (bits | bits >> 8) & UINT64_C(0x0000FFFF0000FFFF);
    return (uint32_t)(bits | bits >> 16);
}

static uint64_t spread(uint32_t value)
{
    uint64_t bits = value;
    bits = (bits | bits << 16) & UINT64_C(0x0000FFFF0000FFFF);
    bits = (bits | bits << 8) & UINT64_C(0x00FF00FF00FF00FF);
    bits = (bits | bits << 4) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    bits = (bits | bits << 2) & UINT64_C(0x3333333333333333);
    return (bits | bits << 1) & UINT64_C(0x5555555555555555);
}

struct location location_of_code(uint64_t code)
{
    return (struct location){squeeze(code >> 1), squeeze(code)};
}

uint64_t location_code(struct location location)
{
    return spread(location.latitude) << 1 | spread(location.longitude);
}

static bool equal_content(const struct element *a, const struct element *b)
{
    switch (a->type) {
    case ELEMENT_BOOL:
        return a->value.boolean == b->value.boolean;
    case ELEMENT_TEXT:
    case ELEMENT_BYTES:
        return span_equal(a->value.bytes, b->value.bytes);
    default: /* I64, and doubles by their bits */
        return memcmp(&a->value, &b->value, sizeof(int64_t)) == 0;
    }
}

bool element_equal_value(const struct element *a, const struct element *b)
{
    if (a->type != b->type || a->has != b->has || !equal_content(a, b)) {
        return false;
    }
    if ((a->has & ELEMENT_HAS_LOCATION) != 0 && (a->location.latitude != b->location.latitude ||
                                                 a->location.longitude != b->location.longitude)) {
        return false;
    }
    return (a->has & ELEMENT_HAS_ELEVATION) == 0 || a->elevation == b->elevation;
}
