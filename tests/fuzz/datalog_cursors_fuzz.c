/* The file of cursors and the header of a log's file, as they stand. */
#include "datalog/cursor_file.h"
#include "datalog/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void on_line(void *context, const struct datalog_cursor_line *line)
{
    (*(size_t *)context)++;
    CHECK(datalog_cursor_name_is_good(line->name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct span span = span_of(data, bytes);
    struct datalog_file_header header;
    struct datalog_origin_position row;
    size_t lines = 0;
    size_t damaged = datalog_cursor_lines_read(span, on_line, &lines);
    CHECK(damaged <= bytes + 1 && lines <= bytes);
    if (datalog_file_header_read(span, 1, &header) == 0) {
        CHECK(header.bytes <= bytes);
        for (size_t i = 0; datalog_origin_row_read(&header, i, &row); i++) {}
    }
    return 0;
}
