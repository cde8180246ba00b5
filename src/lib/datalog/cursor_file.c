#include "datalog/cursor_file.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"

#define SUM_CHARS 8
#define POSITION_CHARS 20
#define STATE_CHARS 8
#define NAME_AT (SUM_CHARS + 1 + POSITION_CHARS + 1 + STATE_CHARS + 1)

bool datalog_cursor_name_is_good(struct span name)
{
    bool good = name.bytes > 0 && name.bytes <= DATALOG_CURSOR_NAME_BYTES_MAX;
    for (size_t i = 0; good && i < name.bytes; i++) {
        good = name.data[i] > ' ' && name.data[i] < 0x7f;
    }
    return good;
}

static void write_line(struct buf *text, uint64_t number, const char *state, struct span name)
{
    struct buf line = {0};
    buf_printf(&line, "%0*" PRIu64 " %s %.*s", POSITION_CHARS, number, state, SPAN_ARG(name));
    buf_printf(text, "%08" PRIx32 " %s\n", hash32(buf_span(&line)), buf_str(&line));
    buf_deinit(&line);
}

void datalog_cursor_line_write(struct buf *text, const struct datalog_cursor_line *line)
{
    CHECK(datalog_cursor_name_is_good(line->name));
    write_line(text, line->next, line->detached ? "detached" : "attached", line->name);
}

void datalog_cursor_end_write(struct buf *text, size_t count)
{
    write_line(text, count, "complete", SPAN_NONE);
}

static bool sum_is_right(struct span line)
{
    char sum[SUM_CHARS + 1];
    snprintf(sum, sizeof(sum), "%08" PRIx32, hash32(span_from(line, SUM_CHARS + 1)));
    return line.bytes >= NAME_AT && span_equal_str(span_first(line, SUM_CHARS), sum) &&
           line.data[SUM_CHARS] == ' ';
}

size_t datalog_cursor_lines_read(struct span text,
                                 void (*each)(void *context,
                                              const struct datalog_cursor_line *line),
                                 void *context)
{
    size_t damaged = 0;
    uint64_t good = 0;
    uint64_t expected = UINT64_MAX;
    struct span line;
    while (span_split(&text, '\n', &line)) {
        struct datalog_cursor_line told = {.name = span_from(line, NAME_AT)};
        struct span rest = span_from(line, SUM_CHARS + 1);
        struct span state = span_first(span_from(rest, POSITION_CHARS + 1), STATE_CHARS);
        uint64_t number = 0;
        told.damaged =
            !sum_is_right(line) || !span_to_u64(span_first(rest, POSITION_CHARS), &number);
        if (!told.damaged && span_equal_str(state, "complete")) {
            expected = number;
            continue;
        }
        told.next = number;
        told.detached = span_equal_str(state, "detached");
        good += told.damaged ? 0 : 1;
        damaged += told.damaged ? 1 : 0;
        if (datalog_cursor_name_is_good(told.name)) {
            each(context, &told);
        }
    }
    return damaged > 0 || expected == good ? damaged : 1;
}
