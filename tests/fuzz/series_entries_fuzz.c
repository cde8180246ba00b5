/* Runs of entries, the payload of records: refused, or walked to their end. */
#include "base/err.h"
#include "base/hash.h"
#include "series/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct entries entries;
    int rc = entries_open(&entries, span_of(data, bytes));
    CHECK(rc == 0 || rc == ERR_CORRUPT);
    uint16_t tag;
    struct span name;
    struct entry entry;
    uint32_t count = 0;
    while (rc == 0 && entries_next_tag(&entries, &tag, &name)) {
        (void)hash64(name);
    }
    while (rc == 0 && entries_next(&entries, &entry)) {
        (void)hash64(entry.data);
        (void)hash64(entry.enumerated);
        count++;
    }
    CHECK(rc < 0 || count == entries.count);
    return 0;
}
