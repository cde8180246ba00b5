#include "warp10/request_file.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/text.h"
#include "series/key.h"

int request_file_begin(struct buf *buf, const struct warp10_datalog *datalog, struct span psk)
{
    if (datalog->action == WARP10_UPDATE) {
        buf_append_byte(buf, '#');
    }
    int rc = warp10_datalog_encode(buf, datalog, psk);
    buf_append_byte(buf, '\n');
    return rc;
}

static uint64_t shard_key(struct span series, const struct request_file_keys *keys)
{
    struct series_key_reader reader = series_key_open(series);
    struct siphash_label *labels = mem_alloc_array(reader.count + 1, sizeof(*labels));
    struct series_label label;
    size_t count = 0;
    while (series_key_next(&reader, &label)) {
        labels[count++] = (struct siphash_label){label.name, label.value};
    }
    uint64_t key = siphash_shard_key(siphash_mirrored(keys->class, series_key_open(series).class),
                                     siphash_labels(keys->labels, labels, count));
    mem_free(labels);
    return key;
}

void request_file_line(struct buf *buf, struct span line, struct span series,
                       const struct request_file_keys *keys)
{
    if (keys != NULL && line.bytes > 0 && line.data[0] != '=') {
        buf_printf(buf, "#K%llu\n", (unsigned long long)shard_key(series, keys));
    }
    buf_append(buf, line);
    buf_append_byte(buf, '\n');
}

static bool is_ascii(struct span text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

/* Bytes that are not ASCII: UTF-8 as it is, else each a character of ISO-8859-1. */
static void put_escaped(struct buf *buf, struct span run, bool latin1)
{
    struct buf text = {0};
    if (!latin1 && text_is_utf8(run)) {
        buf_append(&text, run);
    } else {
        for (size_t i = 0; i < run.bytes; i++) {
            text_utf8_put(&text, run.data[i]);
        }
    }
    for (size_t i = 0; i < text.bytes; i++) {
        buf_printf(buf, "%%%02X", text.data[i]);
    }
    buf_deinit(&text);
}

struct span request_file_portable(struct buf *scratch, struct span line, bool latin1,
                                  const int64_t *time)
{
    ptrdiff_t slash = span_find_byte(line, '/');
    struct span rest = line;
    if (is_ascii(line) && time == NULL) {
        return line;
    }
    buf_clear(scratch);
    if (time != NULL && slash >= 0) {
        buf_printf(scratch, "%s%" PRId64, line.data[0] == '=' ? "=" : "", *time);
        rest = span_from(line, (size_t)slash);
    }
    for (size_t i = 0; i < rest.bytes;) {
        size_t begin = i;
        while (i < rest.bytes && rest.data[i] >= 0x80) {
            i++;
        }
        put_escaped(scratch, span_of(rest.data + begin, i - begin), latin1);
        for (; i < rest.bytes && rest.data[i] < 0x80; i++) {
            buf_append_byte(scratch, rest.data[i]);
        }
    }
    return buf_span(scratch);
}

int request_file_open(struct arena *arena, struct span text, struct span psk,
                      struct warp10_datalog *ret_datalog, struct span *ret_lines)
{
    struct span line = SPAN_NONE;
    (void)span_split(&text, '\n', &line);
    *ret_lines = text;
    return warp10_datalog_decode(arena, line, psk, ret_datalog);
}
