/* Any line: the finder reads nothing beyond it and its answer does not depend on what it
 * remembers of another line of the same text. The first byte chooses the zone. */
#include <string.h>

#include "base/check.h"
#include "ingest/timestamp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0) {
        return 0;
    }
    struct ingest_timestamp finder = {.zone =
                                          (data[0] & 1) != 0 ? INGEST_ZONE_LOCAL : INGEST_ZONE_UTC};
    struct span line = span_of(data + 1, bytes - 1);
    int64_t now_ns = INT64_C(1777896000000000000);
    int64_t first = 0;
    int64_t second = 0;
    bool found = ingest_timestamp_find(&finder, line, now_ns, &first);
    CHECK(ingest_timestamp_find(&finder, line, now_ns, &second) == found);
    CHECK(first == second);
    return 0;
}
