/* Tested by header_test.c. */
#include "warp10/opb64.h"

static const char alphabet[] = ".0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

void opb64_encode(struct buf *buf, struct span bytes)
{
    uint8_t *at = buf_reserve(buf, bytes.bytes / 3 * 4 + 4);
    uint8_t *begin = at;
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < bytes.bytes; i++) {
        bits = (bits << 8) | bytes.data[i];
        for (have += 8; have >= 6; have -= 6) {
            *at++ = (uint8_t)alphabet[(bits >> (have - 6)) & 63];
        }
    }
    if (have > 0) {
        *at++ = (uint8_t)alphabet[(bits << (6 - have)) & 63];
    }
    buf->bytes += (size_t)(at - begin);
}

static int value_of(uint8_t c)
{
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 38;
    }
    if (c >= 'A' && c <= 'Z') {
        return c - 'A' + 11;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 1;
    }
    return c == '.' ? 0 : c == '_' ? 37 : -1;
}

bool opb64_decode(struct buf *buf, struct span text)
{
    if (text.bytes % 4 == 1) {
        return false;
    }
    uint8_t *at = buf_reserve(buf, text.bytes / 4 * 3 + 3);
    uint8_t *begin = at;
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        int value = value_of(text.data[i]);
        if (value < 0) {
            return false;
        }
        bits = (bits << 6) | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            *at++ = (uint8_t)(bits >> have);
        }
    }
    buf->bytes += (size_t)(at - begin);
    return true;
}
