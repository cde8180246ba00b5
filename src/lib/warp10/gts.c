/*
 * From chunks to lines. A line ends with LF, CR or CR LF.
 */
#include "warp10/gts.h"

#include "base/err.h"
#include "warp10/gts_internal.h"

/* An empty chunk that is somewhere, so that pointers may be compared. */
static const struct span nothing = {(const uint8_t *)"", 0};

static size_t or_default(size_t value, size_t otherwise)
{
    return value == 0 ? otherwise : value;
}

static struct span copy_of(struct span text)
{
    return span_of(mem_dup(text.data, text.bytes), text.bytes);
}

static void take_options(struct gts_reader *reader, const struct gts_options *options)
{
    struct gts_options *o = &reader->options;
    *o = *options;
    o->unit = o->unit == 0 ? WARP10_US : o->unit;
    o->line_bytes_max = or_default(o->line_bytes_max, GTS_LINE_BYTES_MAX);
    o->value_bytes_max = or_default(o->value_bytes_max, GTS_VALUE_BYTES_MAX);
    o->labels_bytes_max = or_default(o->labels_bytes_max, GTS_LABELS_BYTES_MAX);
    o->attributes_bytes_max = or_default(o->attributes_bytes_max, GTS_ATTRIBUTES_BYTES_MAX);
    o->class_bytes_max = or_default(o->class_bytes_max, GTS_CLASS_BYTES_MAX);
    struct series_label *labels = mem_alloc_array(o->label_count + 1, sizeof(*labels));
    for (size_t i = 0; i < o->label_count; i++) {
        labels[i].name = copy_of(options->labels[i].name);
        labels[i].value = copy_of(options->labels[i].value);
    }
    o->labels = labels;
}

static void drop_options(struct gts_options *options)
{
    for (size_t i = 0; i < options->label_count; i++) {
        mem_free((void *)(uintptr_t)options->labels[i].name.data);
        mem_free((void *)(uintptr_t)options->labels[i].value.data);
    }
    mem_free((void *)(uintptr_t)options->labels);
}

struct gts_reader *gts_reader_new(const struct gts_options *options)
{
    struct gts_reader *reader = MEM_NEW(struct gts_reader);
    take_options(reader, options);
    gts_memory_init(&reader->memory);
    reader->rest = nothing;
    reader->lf = nothing.data;
    return reader;
}

/* Whether a series that was met has the same key. */
static bool means_the_same(const struct gts_options *a, const struct gts_options *b)
{
    bool same = a->latin1 == b->latin1 && a->labels_bytes_max == b->labels_bytes_max &&
                a->class_bytes_max == b->class_bytes_max && a->label_count == b->label_count;
    for (size_t i = 0; same && i < a->label_count; i++) {
        same = span_equal(a->labels[i].name, b->labels[i].name) &&
               span_equal(a->labels[i].value, b->labels[i].value);
    }
    return same;
}

void gts_reader_reset(struct gts_reader *reader, const struct gts_options *options)
{
    struct gts_options before = reader->options;
    take_options(reader, options);
    if (!means_the_same(&before, &reader->options)) {
        gts_memory_forget(&reader->memory);
    }
    drop_options(&before);
    reader->last = NULL;
    reader->forgotten = reader->carried = reader->skip_lf = reader->finished = false;
    reader->rest = reader->present = nothing;
    reader->lf = nothing.data;
    reader->line = 0;
    buf_clear(&reader->carry);
}

size_t gts_reader_bytes(const struct gts_reader *reader)
{
    return gts_memory_bytes(&reader->memory) + reader->carry.capacity + reader->scratch.capacity +
           reader->values.capacity;
}

void gts_reader_free(struct gts_reader **reader)
{
    struct gts_reader *r = *reader;
    if (r == NULL) {
        return;
    }
    drop_options(&r->options);
    gts_memory_deinit(&r->memory);
    buf_deinit(&r->carry);
    buf_deinit(&r->scratch);
    buf_deinit(&r->values);
    buf_deinit(&r->key);
    vec_deinit(&r->labels);
    vec_deinit(&r->attributes);
    mem_free(r);
    *reader = NULL;
}

static const uint8_t *next_lf(struct span text)
{
    const uint8_t *lf = text.bytes == 0 ? NULL : memchr(text.data, '\n', text.bytes);
    return lf == NULL ? text.data + text.bytes : lf;
}

void gts_reader_feed(struct gts_reader *reader, struct span chunk)
{
    CHECK(reader->rest.bytes == 0 && !reader->finished);
    if (reader->skip_lf && chunk.bytes > 0) {
        chunk = span_from(chunk, chunk.data[0] == '\n');
        reader->skip_lf = false;
    }
    reader->rest = chunk.bytes == 0 ? nothing : chunk;
    reader->has_cr = memchr(reader->rest.data, '\r', reader->rest.bytes) != NULL;
    reader->lf = next_lf(reader->rest);
}

void gts_reader_finish(struct gts_reader *reader)
{
    reader->finished = true;
}

/* Takes the line that ends at `stop` (with LF or CR) off the chunk. */
static struct span cut(struct gts_reader *reader, const uint8_t *stop)
{
    const uint8_t *end = reader->rest.data + reader->rest.bytes;
    struct span line = span_of(reader->rest.data, (size_t)(stop - reader->rest.data));
    const uint8_t *next = stop + 1;
    if (*stop == '\r') {
        reader->skip_lf = next == end;
        next += next < end && *next == '\n';
    }
    reader->rest = span_of(next, (size_t)(end - next));
    if (next > reader->lf) {
        reader->lf = next_lf(reader->rest);
    }
    return line;
}

/* GTS_MORE: the chunk is used up; what was the beginning of a line is in `carry`. */
static int take_line(struct gts_reader *reader, struct span *ret_line)
{
    if (reader->carried) {
        buf_clear(&reader->carry);
        reader->carried = false;
    }
    const uint8_t *begin = reader->rest.data;
    const uint8_t *end = begin + reader->rest.bytes;
    const uint8_t *cr = begin == reader->lf || !reader->has_cr
                            ? NULL
                            : memchr(begin, '\r', (size_t)(reader->lf - begin));
    const uint8_t *stop = cr != NULL ? cr : reader->lf;
    if (stop != end) {
        *ret_line = cut(reader, stop);
        if (reader->carry.bytes == 0) {
            return 0;
        }
        buf_append(&reader->carry, *ret_line);
        *ret_line = buf_span(&reader->carry);
        reader->carried = true;
        return 0;
    }
    if (reader->carry.bytes + reader->rest.bytes <= reader->options.line_bytes_max + 1) {
        buf_append(&reader->carry, reader->rest);
    } else {
        reader->carry.bytes = reader->options.line_bytes_max + 1; /* it is refused as it is */
    }
    reader->rest = nothing;
    reader->lf = nothing.data;
    if (!reader->finished) {
        return GTS_MORE;
    }
    if (reader->carry.bytes == 0) {
        return GTS_END;
    }
    *ret_line = buf_span(&reader->carry);
    reader->carried = true;
    return 0;
}

static int too_long(struct gts_reader *reader)
{
    reader->error = (struct gts_error){reader->line, 1, 400};
    reader->present = SPAN_NONE;
    reader->last = NULL;
    return err_set(ERR_INVALID, "Parse error at index 0 (Line of more than %zu bytes.), line %llu",
                   reader->options.line_bytes_max, (unsigned long long)reader->line);
}

int gts_reader_next(struct gts_reader *reader, struct gts_reading *ret_reading)
{
    for (;;) {
        struct span line;
        int rc = take_line(reader, &line);
        if (rc != 0) {
            return rc;
        }
        reader->line++;
        if (line.bytes > reader->options.line_bytes_max) {
            return too_long(reader);
        }
        reader->present = gts_strip(line);
        if (reader->present.bytes == 0 || reader->present.data[0] == '#') {
            continue;
        }
        reader->stripped = (size_t)(reader->present.data - line.data);
        ret_reading->whole = line;
        rc = gts_line_parse(reader, ret_reading);
        if (rc != GTS_LINE_SKIPPED) {
            return rc;
        }
    }
}

struct gts_error gts_reader_error(const struct gts_reader *reader)
{
    return reader->error;
}

void gts_reader_wrong_line(const struct gts_reader *reader, struct buf *buf)
{
    struct span line = reader->present;
    ptrdiff_t space = span_find_byte(line, ' ');
    if (line.bytes > 0 && line.data[0] == '=' && space > 0 && reader->last != NULL) {
        buf_append(buf, span_of(line.data + 1, (size_t)space));
        buf_append(buf, reader->last->raw);
        buf_append(buf, span_from(line, (size_t)space));
    } else {
        buf_append(buf, line);
    }
    buf_append_byte(buf, '\n');
}

uint64_t gts_reader_lines(const struct gts_reader *reader)
{
    return reader->line;
}
