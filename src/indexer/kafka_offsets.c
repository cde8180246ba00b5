/* Tested by kafka_test.c. */
#include "indexer/kafka_offsets.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "kafka/gather.h"
#include "kafka/split.h"

#define TITLE "AQKAFKA1 "
#define FILE_BYTES_MAX ((size_t)16 << 20)
#define SUM_BYTES 13 /* "sum 01234567\n" */

void kafka_offsets_deinit(struct kafka_offsets *offsets)
{
    vec_deinit(&offsets->all);
}

static bool word(struct span *rest, struct span *ret_word)
{
    return span_split(rest, ' ', ret_word);
}

static bool read_offset(struct span rest, struct kafka_offsets *offsets)
{
    struct span partition;
    uint64_t number;
    int64_t offset;
    if (!word(&rest, &partition) || !span_to_u64(partition, &number) ||
        number >= KAFKA_PARTITIONS_MAX || !span_to_i64(rest, &offset)) {
        return false;
    }
    while (offsets->all.count <= number) {
        vec_push(&offsets->all, KAFKA_OFFSET_BEGINNING);
    }
    offsets->all.items[number] = offset;
    return true;
}

/* Whether the datalog has it. */
static bool read_place(struct span rest, struct datalog *log)
{
    struct span node;
    struct span incarnation;
    struct datalog_origin origin;
    char text[17] = "";
    uint64_t position;
    if (!word(&rest, &node) || !uuid_parse(node, &origin.node) || !word(&rest, &incarnation) ||
        incarnation.bytes != 16 || !span_to_u64(rest, &position)) {
        return false;
    }
    memcpy(text, incarnation.data, 16);
    return sscanf(text, "%" SCNx64, &origin.incarnation) == 1 &&
           datalog_origin_position(log, origin) >= position;
}

static const char *parse(struct span text, const char *url, struct datalog *log,
                         struct kafka_offsets *offsets)
{
    char sum[SUM_BYTES + 1];
    struct span line;
    struct span kind;
    size_t body = text.bytes < SUM_BYTES ? 0 : text.bytes - SUM_BYTES;
    (void)snprintf(sum, sizeof(sum), "sum %08" PRIx32 "\n", hash32(span_first(text, body)));
    if (!span_equal_str(span_from(text, body), sum)) {
        return "it is damaged";
    }
    text = span_first(text, body);
    if (!span_split(&text, '\n', &line) || !span_starts_with(line, SPAN_LIT(TITLE)) ||
        !span_equal_str(span_from(line, sizeof(TITLE) - 1), url)) {
        return "it is of another topic";
    }
    while (span_split(&text, '\n', &line)) {
        if (!word(&line, &kind)) {
            return "it is damaged";
        }
        if (span_equal_str(kind, "offset") ? !read_offset(line, offsets) : !read_place(line, log)) {
            return "the datalog has less than it says: an older copy";
        }
    }
    return NULL;
}

void kafka_offsets_read(struct io *io, const char *path, const char *url, struct datalog *log,
                        struct kafka_offsets *offsets, const char **ret_why)
{
    struct buf text = {0};
    vec_clear(&offsets->all);
    *ret_why = NULL;
    if (io_exists(io, path)) {
        *ret_why = io_read_file(io, path, FILE_BYTES_MAX, &text) < 0
                       ? "it cannot be read"
                       : parse(buf_span(&text), url, log, offsets);
    }
    if (*ret_why != NULL) {
        vec_clear(&offsets->all);
    }
    buf_deinit(&text);
}

int kafka_offsets_write(struct io *io, const char *path, const char *url, struct datalog *log,
                        const struct kafka_offsets *offsets)
{
    struct buf text = {0};
    struct buf rows = {0};
    buf_printf(&text, TITLE "%s\n", url);
    for (size_t i = 0; i < offsets->all.count; i++) {
        buf_printf(&text, "offset %zu %" PRId64 "\n", i, offsets->all.items[i]);
    }
    size_t count = datalog_origin_positions(log, &rows);
    for (size_t i = 0; i < count; i++) {
        struct datalog_origin_position row;
        char node[UUID_TEXT_BYTES];
        memcpy(&row, rows.data + i * sizeof(row), sizeof(row));
        buf_printf(&text, "place %s %016" PRIx64 " %" PRIu64 "\n", uuid_text(row.origin.node, node),
                   row.origin.incarnation, row.position);
    }
    buf_printf(&text, "sum %08" PRIx32 "\n", hash32(buf_span(&text)));
    int rc = io_write_file(io, path, buf_span(&text));
    buf_deinit(&rows);
    buf_deinit(&text);
    return rc;
}
