/* Tested by renderers_test.c. */
#include "query/renderers/label.h"

#include <math.h>

#include "base/time.h"

bool label_has(const struct span *names, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++) {
        if (span_equal(names[i], name)) {
            return true;
        }
    }
    return false;
}

bool label_put(const struct query_block *rows, size_t index, const struct span *names, size_t count,
               struct buf *buf)
{
    size_t begin = buf->bytes;
    for (size_t i = 0; i < count; i++) {
        buf_append_str(buf, i > 0 ? " " : "");
        if (!query_value_text(rows, index, names[i], buf)) {
            return false;
        }
    }
    while (count > 1 && buf->bytes > begin && buf->data[buf->bytes - 1] == ' ') {
        buf->bytes--;
    }
    return true;
}

bool label_number(const struct query_block *rows, size_t index, struct span name,
                  double *ret_number)
{
    struct query_value value;
    struct query_value number;
    if (!query_block_get(rows, index, name, &value) || !query_value_number(&value, &number)) {
        return false;
    }
    *ret_number = query_value_real(&number);
    return true;
}

void label_put_number(double number, struct buf *buf)
{
    struct query_value value = query_value_of_f64(number);
    if (isfinite(number)) {
        query_value_put_text(&value, buf);
    } else {
        buf_append_str(buf, "null");
    }
}

int64_t label_window(int64_t time_ns, int64_t width_ns)
{
    return width_ns == 0 ? time_ns : time_floor(time_ns, width_ns);
}
