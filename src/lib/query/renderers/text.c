/* text: DATA as text; what cannot be printed is a dot, UTF-8 stays. The renderer by default.
 * Tested by pipeline_test.c. */
#include "base/text.h"
#include "query/modules/modules.h"

static void text(struct span data, struct buf *buf)
{
    while (data.bytes > 0) {
        struct span before = data;
        uint32_t c = text_utf8_next(&data);
        size_t bytes = before.bytes - data.bytes;
        bool broken = c == 0xFFFD && bytes == 1;
        if (broken || c < 0x20 || (c >= 0x7F && c < 0xA0)) {
            buf_append_byte(buf, '.');
        } else {
            buf_append(buf, span_first(before, bytes));
        }
    }
}

static const char *const formats[] = {"text", "json", "csv", NULL};

const struct query_renderer query_renderer_text = {
    .name = "text",
    .summary = "the data of each entry as text",
    .text = text,
    .formats = formats,
};
