/* raw: DATA as it is. Tested by pipeline_test.c. */
#include "query/modules/modules.h"

static void text(struct span data, struct buf *buf)
{
    buf_append(buf, data);
}

static const char *const formats[] = {"text", "json", "csv", NULL};

const struct query_renderer query_renderer_raw = {
    .name = "raw",
    .summary = "the data of each entry, untouched",
    .text = text,
    .formats = formats,
};
