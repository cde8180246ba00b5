/* Any text is a program of eval or a fault with a place inside it; a program runs on entries of
 * all kinds of values without an end of its own. */
#include "base/buf.h"
#include "base/mem.h"
#include "query/pipeline.h"
#include "series/evs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const char *tag_name(const void *context, uint16_t tag)
{
    (void)context;
    (void)tag;
    return "t";
}

static void put_evs(struct buf *evs)
{
    static const uint8_t bits[16] = {10, 0, 0, 1};
    static const struct {
        const char *name;
        uint8_t type;
        size_t bytes;
    } values[] = {{"i", SERIES_EV_I64, 8}, {"f", SERIES_EV_F64, 8},      {"b", SERIES_EV_BOOL, 1},
                  {"p", SERIES_EV_IP, 4},  {"d", SERIES_EV_DURATION, 8}, {"t", SERIES_EV_TIME, 12}};
    size_t begin = series_evs_begin(evs);
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        struct series_ev ev = {.name = span_of_str(values[i].name),
                               .type = values[i].type,
                               .data = span_of(bits, values[i].bytes)};
        CHECK(series_evs_put(evs, begin, ev) > 0 || evs->bytes > 0);
    }
}

static void run(const struct query *query)
{
    struct query_pipeline *pipeline = NULL;
    struct buf evs = {0};
    put_evs(&evs);
    struct entry entries[] = {{.data = SPAN_LIT("a 1 {\"x\":[1,2]}"), .enumerated = buf_span(&evs)},
                              {.data = SPAN_NONE},
                              {.data = SPAN_LIT("\xFF\0z")}};
    uint32_t picks[] = {0, 1, 2};
    struct query_block block = {
        .entries = entries, .picks = picks, .count = 3, .tag_name = tag_name};
    CHECK(query_pipeline_new(query, 0, query->stage_count - 1, &pipeline) == 0);
    CHECK(query_pipeline_run(pipeline, &block) == 0 && block.count <= 3);
    query_pipeline_free(&pipeline);
    buf_deinit(&evs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct query_options options = {.now_ns = INT64_C(1767355200000000000),
                                    .start_ns = INT64_C(1767351600000000000),
                                    .end_ns = INT64_C(1767355200000000000)};
    struct query *query = NULL;
    struct query_error error;
    struct buf text = {0};
    buf_append_str(&text, "tag=t eval ");
    buf_append(&text, span_of(data, bytes));
    if (query_parse(buf_span(&text), &options, &query, &error) == 0) {
        if (query->stage_count == 2) {
            run(query);
        }
        query_free(&query);
    } else {
        CHECK(error.text[0] != '\0' && error.offset <= text.bytes);
    }
    buf_deinit(&text);
    return 0;
}
