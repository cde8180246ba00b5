/* hex: DATA as upper-case hexadecimal pairs with spaces between them. Tested by pipeline_test.c. */
#include "query/modules/modules.h"

static void text(struct span data, struct buf *buf)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < data.bytes; i++) {
        if (i > 0) {
            buf_append_byte(buf, ' ');
        }
        buf_append_byte(buf, (uint8_t)digits[data.data[i] >> 4]);
        buf_append_byte(buf, (uint8_t)digits[data.data[i] & 15]);
    }
}

static const char *const formats[] = {"text", "json", "csv", NULL};

const struct query_renderer query_renderer_hex = {
    .name = "hex",
    .summary = "the data of each entry as hexadecimal pairs",
    .text = text,
    .formats = formats,
};
