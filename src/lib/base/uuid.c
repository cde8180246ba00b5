#include "base/uuid.h"

#include "base/buf.h"
#include "base/text.h"

struct uuid uuid_of_random(const uint8_t random[16])
{
    struct uuid uuid;
    memcpy(uuid.bytes, random, sizeof(uuid.bytes));
    uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x40);
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

static bool dash_before(size_t byte_index)
{
    return byte_index == 4 || byte_index == 6 || byte_index == 8 || byte_index == 10;
}

const char *uuid_text(struct uuid uuid, char text[UUID_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    char *at = text;
    for (size_t i = 0; i < sizeof(uuid.bytes); i++) {
        if (dash_before(i)) {
            *at++ = '-';
        }
        *at++ = digits[uuid.bytes[i] >> 4];
        *at++ = digits[uuid.bytes[i] & 15];
    }
    *at = 0;
    return text;
}

bool uuid_parse(struct span text, struct uuid *ret_uuid)
{
    if (text.bytes != UUID_TEXT_BYTES - 1) {
        return false;
    }
    struct buf bytes = {0};
    struct span rest = text;
    bool valid = true;
    for (size_t i = 0; i < sizeof(ret_uuid->bytes) && valid; i++) {
        if (dash_before(i)) {
            valid = rest.data[0] == '-';
            rest = span_from(rest, 1);
        }
        valid = valid && text_unhex(&bytes, span_first(rest, 2));
        rest = span_from(rest, 2);
    }
    if (valid) {
        memcpy(ret_uuid->bytes, bytes.data, sizeof(ret_uuid->bytes));
    }
    buf_deinit(&bytes);
    return valid;
}

bool uuid_is_zero(struct uuid uuid)
{
    static const struct uuid zero;
    return memcmp(uuid.bytes, zero.bytes, sizeof(zero.bytes)) == 0;
}

bool uuid_equal(struct uuid a, struct uuid b)
{
    return memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}
