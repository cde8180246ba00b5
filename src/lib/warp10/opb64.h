/*
 * OPB64: base64 whose texts compare like the bytes they stand for. No padding. The form of
 * Warp 10's tokens, datalog headers and file names (docs/protocols/warp10-http.md).
 */
#ifndef WARP10_OPB64_H
#define WARP10_OPB64_H

#include "base/buf.h"

void opb64_encode(struct buf *buf, struct span bytes);

/* False, `buf` unchanged: a foreign character or an impossible length. */
bool opb64_decode(struct buf *buf, struct span text);

#endif
