/*
 * An element of a point series: a value at a time. A plain value that borrows its bytes; who
 * hands it out says for how long. A series holds one element per time, the last write
 * (series_stamp_compare).
 */
#ifndef SERIES_ELEMENT_H
#define SERIES_ELEMENT_H

#include <stdbool.h>

#include "base/span.h"
#include "series/stamp.h"

#define SERIES_VALUE_BYTES_MAX (UINT32_C(16) << 20) /* of a text or of bytes */

/* Numbers are those of the formats on disk. */
enum element_type {
    ELEMENT_I64 = 1,
    ELEMENT_F64 = 2,
    ELEMENT_BOOL = 3,
    ELEMENT_TEXT = 4, /* UTF-8 by convention, not checked */
    ELEMENT_BYTES = 5,
};

enum element_has { ELEMENT_HAS_LOCATION = 1, ELEMENT_HAS_ELEVATION = 2 };

/* A place on earth in units of 180/2^32 degrees north of the south pole and of 360/2^32 degrees
 * east of -180: what Warp 10 keeps, not interleaved. 5 mm and 10 mm at most. */
struct location {
    uint32_t latitude;
    uint32_t longitude;
};

struct element {
    int64_t time_ns;
    struct stamp stamp;
    uint8_t type; /* enum element_type */
    uint8_t has;  /* enum element_has */
    struct location location;
    int64_t elevation; /* unit is the user's; Warp 10 says millimetres */
    union {
        int64_t i64;
        double f64; /* any bits, NaNs included */
        bool boolean;
        struct span bytes; /* of ELEMENT_TEXT and ELEMENT_BYTES */
    } value;
};

/* As Warp 10 rounds and wraps them; any finite degrees. */
struct location location_of_degrees(double latitude, double longitude);
void location_degrees(struct location location, double *ret_latitude, double *ret_longitude);

/* Warp 10's 64-bit form: bits interleaved from the top, latitude first. */
struct location location_of_code(uint64_t code);
uint64_t location_code(struct location location);

/* The same type, value (doubles by their bits), location and elevation; time and stamp aside. */
bool element_equal_value(const struct element *a, const struct element *b);

#endif
