/* Frames from a peer: the first byte is the kind, the rest a payload under a right checksum. */
#include "base/hash.h"
#include "base/wire.h"
#include "query/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0) {
        return 0;
    }
    struct span payload = span_of(data + 1, bytes - 1);
    struct buf frame = {0};
    wire_put_u32(&frame, UINT32_C(0x31425141));
    wire_put_u32(&frame, data[0]);
    wire_put_u32(&frame, (uint32_t)payload.bytes);
    wire_put_u32(&frame, (uint32_t)hash64_seeded(payload, data[0]));
    buf_append(&frame, payload);
    struct span rest = buf_span(&frame);
    struct query_frame got;
    int rc = query_frame_get(&rest, &got);
    CHECK(rc == 0 || rc == ERR_CORRUPT);
    if (rc == 0) {
        CHECK(rest.bytes == 0);
        query_frame_deinit(&got);
    }
    buf_deinit(&frame);
    return 0;
}
