/* Records of the datalog, as they stand and under a right length and checksum. */
#include "base/hash.h"
#include "base/wire.h"
#include "datalog/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void read_one(struct span span)
{
    struct datalog_record record;
    uint64_t group;
    size_t length = 0;
    int rc = datalog_record_read(span, 1, &record, &group, &length);
    if (rc == 0) {
        CHECK(length <= span.bytes && record.well.bytes + record.payload.bytes < length);
    } else {
        CHECK(rc == DATALOG_RECORD_CUT || rc == DATALOG_RECORD_BAD);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    size_t at;
    read_one(span_of(data, bytes));
    (void)datalog_record_find(span_of(data, bytes), 0, 1, 1, UINT64_MAX, &at);
    if (bytes >= 8 && bytes <= UINT32_MAX) {
        struct buf copy = {0};
        buf_append(&copy, span_of(data, bytes));
        wire_store_u32(copy.data, (uint32_t)bytes);
        uint64_t sum = hash64_seeded(span_from(buf_span(&copy), 8), 1);
        wire_store_u32(copy.data + 4, (uint32_t)sum);
        read_one(buf_span(&copy));
        buf_deinit(&copy);
    }
    return 0;
}
