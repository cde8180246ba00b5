/* What an indexer sends as states of stats: any bytes are taken or refused, and rows come out. */
#include "base/mem.h"
#include "query/pipeline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const char *tag_name(const void *context, uint16_t tag)
{
    (void)context;
    (void)tag;
    return "t";
}

static int take(void *context, const struct query_block *block)
{
    (void)context;
    CHECK(block->count > 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char text[] = "tag=t stats count by a sum(x) by a b mean(x) as m stddev(y) min(x) "
                               "max(y) as y unique_count(x) by b over 1m | table -nt";
    struct query_options options = {.now_ns = INT64_C(1767355200000000000),
                                    .start_ns = INT64_C(1767351600000000000),
                                    .end_ns = INT64_C(1767355200000000000)};
    struct query *query = NULL;
    struct query_error error;
    struct query_pipeline *pipeline = NULL;
    CHECK(query_parse(span_of_str(text), &options, &query, &error) == 0);
    CHECK(query_pipeline_new_part(query, QUERY_PART_WEBSERVER, &pipeline) == 0);
    struct entry entry = {.data = span_of(data, bytes)};
    uint32_t pick = 0;
    struct query_block block = {
        .entries = &entry, .picks = &pick, .count = 1, .tag_name = tag_name};
    int rc = query_pipeline_run(pipeline, &block);
    if (rc == 0) {
        CHECK(query_pipeline_finish(pipeline, &block, take, NULL) == 0);
    }
    query_pipeline_free(&pipeline);
    query_free(&query);
    return 0;
}
