/* Any query string, token file and datalog header: refused or read, without harm; a header that
 * is read and written is read as it was. */
#include <string.h>

#include "warp10/header.h"
#include "warp10/params.h"
#include "warp10/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void read_header(struct arena *arena, struct span text)
{
    struct warp10_datalog first;
    struct warp10_datalog second;
    struct buf buf = {0};
    if (warp10_datalog_decode(arena, text, SPAN_NONE, &first) != 0) {
        return;
    }
    CHECK(warp10_datalog_encode(&buf, &first, SPAN_NONE) == 0);
    if (buf.bytes <= WARP10_DATALOG_BYTES_MAX) {
        CHECK(warp10_datalog_decode(arena, buf_span(&buf), SPAN_NONE, &second) == 0);
        CHECK(first.time_ns == second.time_ns && first.action == second.action);
        CHECK(span_equal(first.id, second.id) && span_equal(first.token, second.token));
        CHECK(first.option_count == second.option_count);
    }
    buf_deinit(&buf);
}

static void read_args(struct arena *arena, struct span text)
{
    struct warp10_args args = {0};
    struct warp10_fetch fetch;
    struct warp10_find find;
    struct warp10_delete deletion;
    if (warp10_args_add(arena, &args, text) != 0) {
        return;
    }
    if (warp10_fetch_parse(&args, WARP10_US, 0, &fetch) == 0) {
        CHECK(fetch.start_ns <= fetch.end_ns || fetch.nothing);
    }
    if (warp10_delete_parse(&args, WARP10_MS, &deletion) == 0) {
        CHECK(deletion.start_ns <= deletion.end_ns);
    }
    (void)(warp10_find_parse(&args, &find) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct arena *arena = arena_new(64 << 20);
    struct span text = span_of(data, bytes);
    struct token_table *table = token_table_new();
    int64_t ns;
    read_args(arena, text);
    read_header(arena, text);
    (void)(token_table_read(table, text) == 0);
    (void)(warp10_parse_date(text, &ns) || warp10_parse_duration(text, &ns));
    token_table_free(&table);
    arena_free(&arena);
    return 0;
}
