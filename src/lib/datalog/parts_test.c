/*
 * Records for several wells: their parts come out as they were put in, and damage is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "datalog/parts.h"

static void check_next(struct datalog_parts *parts, const char *well, const char *payload)
{
    struct span got_well;
    struct span got;
    assert_int_equal(datalog_parts_next(parts, &got_well, &got), 0);
    assert_true(span_equal_str(got_well, well) && span_equal_str(got, payload));
}

static void parts_come_out_as_they_were_put_in(void **state)
{
    (void)state;
    struct buf buf = {0};
    struct span well;
    struct span payload;
    datalog_parts_put(&buf, SPAN_LIT("default"), SPAN_LIT("one"));
    datalog_parts_put(&buf, SPAN_LIT("web"), SPAN_LIT(""));
    struct datalog_record record = {.payload = buf_span(&buf)};
    struct datalog_parts parts = datalog_parts_of(&record);
    check_next(&parts, "default", "one");
    check_next(&parts, "web", "");
    assert_int_equal(datalog_parts_next(&parts, &well, &payload), DATALOG_END);

    struct datalog_record plain = {.well = SPAN_LIT("web"), .payload = SPAN_LIT("all")};
    parts = datalog_parts_of(&plain);
    check_next(&parts, "web", "all");
    assert_int_equal(datalog_parts_next(&parts, &well, &payload), DATALOG_END);
    buf_deinit(&buf);
}

static void what_is_cut_off_is_refused(void **state)
{
    (void)state;
    struct buf buf = {0};
    datalog_parts_put(&buf, SPAN_LIT("web"), SPAN_LIT("payload"));
    for (size_t bytes = 1; bytes < buf.bytes; bytes++) {
        uint8_t *copy = mem_dup(buf.data, bytes);
        struct datalog_record record = {.payload = span_of(copy, bytes)};
        struct datalog_parts parts = datalog_parts_of(&record);
        struct span well;
        struct span payload;
        assert_int_equal(datalog_parts_next(&parts, &well, &payload), ERR_CORRUPT);
        mem_free(copy);
    }
    buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_come_out_as_they_were_put_in),
        cmocka_unit_test(what_is_cut_off_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
