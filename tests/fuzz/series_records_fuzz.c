/* Payloads of SERIES, META and DELETE: refused, or walked and written again as they were. */
#include "series/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void definitions(struct span payload, struct buf *again)
{
    struct series_definitions reader;
    struct series_definition definition;
    if (series_definitions_open(&reader, payload) < 0) {
        return;
    }
    while (series_definitions_next(&reader, &definition)) {
        struct series_definitions second;
        buf_clear(again);
        series_definitions_begin(again);
        series_definitions_put(again, &definition);
        CHECK(series_definitions_open(&second, buf_span(again)) == 0);
    }
}

static void metas(struct span payload, struct buf *again)
{
    static struct series_attribute attributes[SERIES_ATTRIBUTES_MAX];
    struct series_metas reader;
    struct series_meta meta;
    if (series_metas_open(&reader, payload) < 0) {
        return;
    }
    while (series_metas_next(&reader, &meta)) {
        uint32_t count = 0;
        while (series_meta_attribute(&meta, &attributes[count])) {
            count++;
        }
        CHECK(count == meta.count);
        buf_clear(again);
        series_metas_begin(again);
        CHECK(series_metas_put(again, meta.key, meta.replace, attributes, count) == 0);
        struct series_metas second;
        CHECK(series_metas_open(&second, buf_span(again)) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct span payload = span_of(data, bytes);
    struct buf again = {0};
    struct series_delete deletion;
    definitions(payload, &again);
    metas(payload, &again);
    if (series_delete_decode(payload, &deletion) == 0) {
        buf_clear(&again);
        series_delete_encode(&again, &deletion);
        CHECK(span_equal(buf_span(&again), payload));
    }
    buf_deinit(&again);
    return 0;
}
