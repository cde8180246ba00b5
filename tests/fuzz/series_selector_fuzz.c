/* Selectors: refused with a place in the text, or printed, parsed again and printed the same. */
#include "series/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static bool attribute(void *context, struct span name, struct span *ret_value)
{
    (void)context;
    *ret_value = name;
    return name.bytes % 2 == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0) {
        return 0;
    }
    struct span text = span_of(data + 1, bytes - 1);
    struct series_selector *selector = NULL;
    struct series_selector *second = NULL;
    size_t offset = 0;
    unsigned flags = data[0] & 3;
    int rc = series_selector_parse(text, flags, &selector, &offset);
    CHECK(rc == 0 || rc == ERR_INVALID);
    if (rc < 0) {
        CHECK(offset <= text.bytes);
        return 0;
    }
    struct buf printed = {0};
    struct buf again = {0};
    struct series_matcher matcher;
    series_matcher_init(&matcher);
    series_selector_print(&printed, selector);
    CHECK(series_selector_parse(buf_span(&printed), flags, &second, NULL) == 0);
    series_selector_print(&again, second);
    CHECK(span_equal(buf_span(&printed), buf_span(&again)));
    struct span key = SPAN_LIT("\1a\2\1x\3foo\1y\0");
    CHECK(series_selector_matches(selector, &matcher, key, attribute, NULL) ==
          series_selector_matches(second, &matcher, key, attribute, NULL));
    series_matcher_deinit(&matcher);
    series_selector_free(&selector);
    series_selector_free(&second);
    buf_deinit(&printed);
    buf_deinit(&again);
    return 0;
}
