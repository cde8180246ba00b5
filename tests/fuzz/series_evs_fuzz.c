/* Blocks of enumerated values: refused, or walked, printed, and built again as they were. */
#include "series/evs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct span block = span_of(data, bytes);
    int rc = series_evs_check(block);
    CHECK(rc == 0 || rc == ERR_PROTOCOL);
    if (rc < 0 || bytes == 0) {
        return 0;
    }
    struct buf again = {0};
    struct buf text = {0};
    struct series_ev ev;
    size_t cursor = 0;
    size_t begin = series_evs_begin(&again);
    while (series_evs_next(block, &cursor, &ev)) {
        series_ev_text(&text, &ev);
        CHECK(series_evs_put(&again, begin, ev) == 0);
    }
    CHECK(span_equal(buf_span(&again), block));
    buf_deinit(&again);
    buf_deinit(&text);
    return 0;
}
