/* Any text is a query or a fault with a place inside it; what is a query stays one when its
 * effective text is parsed again. */
#include "base/buf.h"
#include "query/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_again(const struct query *query, const struct query_options *options)
{
    struct query *again = NULL;
    struct query_error error;
    CHECK(query_parse(span_of_str(query->effective), options, &again, &error) == 0);
    CHECK(strcmp(again->effective, query->effective) == 0);
    CHECK(again->stage_count == query->stage_count && again->collapse == query->collapse);
    query_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct query_options options = {
        .now_ns = INT64_C(1767355200000000000),
        .start_ns = INT64_C(1767351600000000000),
        .end_ns = INT64_C(1767355200000000000),
    };
    struct query *query = NULL;
    struct query_error error;
    if (query_parse(span_of(data, bytes), &options, &query, &error) == 0) {
        check_again(query, &options);
        query_free(&query);
    } else {
        CHECK(error.text[0] != '\0' && error.offset <= bytes);
    }
    return 0;
}
