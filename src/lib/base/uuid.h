/*
 * UUIDs in their 36-character lower-case text form. The bytes come from the caller's
 * source of randomness (io/random), so that simulated lives repeat.
 */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include "base/span.h"

#define UUID_TEXT_BYTES 37 /* with the NUL */

struct uuid {
    uint8_t bytes[16];
};

/* Version 4 from 16 random bytes. */
struct uuid uuid_of_random(const uint8_t random[16]);
const char *uuid_text(struct uuid uuid, char text[UUID_TEXT_BYTES]); /* returns `text` */
bool uuid_parse(struct span text, struct uuid *ret_uuid);            /* either case */
bool uuid_is_zero(struct uuid uuid);
bool uuid_equal(struct uuid a, struct uuid b);

#endif
