#include "warp10/request_file.h"

#include "base/mem.h"
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

int request_file_open(struct arena *arena, struct span text, struct span psk,
                      struct warp10_datalog *ret_datalog, struct span *ret_lines)
{
    struct span line = SPAN_NONE;
    (void)span_split(&text, '\n', &line);
    *ret_lines = text;
    return warp10_datalog_decode(arena, line, psk, ret_datalog);
}
