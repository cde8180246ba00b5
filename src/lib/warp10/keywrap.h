/*
 * AES key wrap (RFC 3394) over bytes padded to a multiple of eight (PKCS#7): how Warp 10 seals
 * tokens and datalog headers. The same key and bytes give the same result; a wrong key or a
 * changed byte is noticed.
 */
#ifndef WARP10_KEYWRAP_H
#define WARP10_KEYWRAP_H

#include "base/buf.h"
#include "base/check.h"

#define KEYWRAP_BYTES_MAX (1u << 20) /* of what is wrapped */

/* Keys have 16, 24 or 32 bytes; ERR_INVALID otherwise. ERR_TOO_LARGE above the bound. */
MUST_CHECK int keywrap_seal(struct buf *buf, struct span key, struct span plain);

/* ERR_AUTH, `buf` unchanged: not sealed with this key. */
MUST_CHECK int keywrap_open(struct buf *buf, struct span key, struct span sealed);

#endif
