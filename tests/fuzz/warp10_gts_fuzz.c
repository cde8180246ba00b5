/* Any text, cut anywhere: chunks change nothing, and what was read and is printed is read again
 * as it was. The first byte says how long the chunks are. */
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "warp10/encoder.h"
#include "warp10/gts.h"
#include "warp10/output.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const struct gts_options options = {.now = 1, .line_bytes_max = 4096};

static void read_again(const struct gts_reading *reading)
{
    struct gts_reader *reader = gts_reader_new(&options);
    struct gts_reading back;
    struct buf line = {0};
    output_line(&line, WARP10_US, reading->series->key, &reading->element);
    if (line.bytes <= options.line_bytes_max) {
        gts_reader_feed(reader, buf_span(&line));
        CHECK(gts_reader_next(reader, &back) == 0);
        CHECK(back.element.time_ns == reading->element.time_ns);
        CHECK(element_equal_value(&back.element, &reading->element));
        CHECK(span_equal(back.series->key, reading->series->key));
    }
    gts_reader_free(&reader);
    buf_deinit(&line);
}

/* A hash over everything that was read, the end included. */
static uint64_t read_all(struct span text, size_t chunk_bytes, bool metadata, bool again)
{
    struct gts_options with = options;
    struct gts_reading reading;
    struct buf seen = {0};
    with.metadata = metadata;
    struct gts_reader *reader = gts_reader_new(&with);
    int rc = GTS_MORE;
    while (rc == GTS_MORE) {
        struct span chunk = span_first(text, chunk_bytes);
        uint8_t *copy = mem_dup(chunk.data, chunk.bytes);
        text = span_from(text, chunk.bytes);
        if (chunk.bytes == 0) {
            gts_reader_finish(reader);
        } else {
            gts_reader_feed(reader, span_of(copy, chunk.bytes));
        }
        while ((rc = gts_reader_next(reader, &reading)) == 0) {
            buf_append(&seen, reading.series->key);
            if (!metadata) {
                output_line(&seen, WARP10_US, reading.series->key, &reading.element);
            }
            if (again && !metadata) {
                read_again(&reading);
            }
        }
        mem_free(copy);
    }
    buf_printf(&seen, "%d %zu", rc, (size_t)gts_reader_lines(reader));
    uint64_t hash = hash64(buf_span(&seen));
    buf_deinit(&seen);
    gts_reader_free(&reader);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 2) {
        return 0;
    }
    bool metadata = (data[0] & 1) != 0;
    struct span text = span_of(data + 1, bytes - 1);
    CHECK(read_all(text, text.bytes, metadata, true) ==
          read_all(text, 1 + data[0] / 2, metadata, false));

    struct decoder decoder = decoder_of(text, 0);
    struct element element;
    int64_t time;
    while (decoder_next(&decoder, &time, &element) == 0) {}
    return 0;
}
