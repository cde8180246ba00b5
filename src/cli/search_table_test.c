/* What people and programs get of a table: its names, once, and cells that cannot break it. */
#include "cli/search_table.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void prints(struct search_table *table, const char *renderer, const char *entries,
                   const char *want)
{
    json_t *json = json_loads(entries, 0, NULL);
    struct buf buf = {0};
    assert_non_null(json);
    search_table_print(table, renderer, json, &buf);
    assert_string_equal(buf_str(&buf), want);
    buf_deinit(&buf);
    json_decref(json);
}

static void once(const char *format, const char *renderer, const char *entries, const char *want)
{
    struct search_table table = {.format = format};
    prints(&table, renderer, entries, want);
    mem_free(table.columns);
}

static const char rows[] = "{\"Columns\":[\"user\",\"count\"],\"Rows\":["
                           "{\"TS\":\"x\",\"Row\":[\"alice\",\"2\"]},"
                           "{\"TS\":\"x\",\"Row\":[\"b\\u00f6b,\\\"\\n\",\"1\"]}]}";

static void a_table_has_its_names_in_every_format(void **unused)
{
    (void)unused;
    once("text", "table", rows, "user    count\nalice   2\nböb,\".  1\n");
    once("csv", "table", rows, "user,count\nalice,2\n\"böb,\"\"\n\",1\n");
    once("json", "table", rows,
         "{\"user\":\"alice\",\"count\":\"2\"}\n{\"user\":\"böb,\\\"\\u000a\",\"count\":\"1\"}\n");
    once("text", "table", "{\"Columns\":[],\"Rows\":[]}", "");
    once("csv", "table", "{\"Columns\":[\"a\"],\"Rows\":[]}", "a\n");
}

static void names_are_not_repeated_on_later_pages(void **unused)
{
    (void)unused;
    struct search_table table = {.format = "csv"};
    const char *page = "{\"Columns\":[\"a\"],\"Rows\":[{\"Row\":[\"1\"]}]}";
    prints(&table, "table", page, "a\n1\n");
    prints(&table, "table", page, "1\n");
    prints(&table, "table", "{\"Columns\":[\"a\",\"b\"],\"Rows\":[{\"Row\":[\"1\",\"2\"]}]}",
           "a,b\n1,2\n");
    mem_free(table.columns);
}

static void charts_gauges_and_stacks_are_tables_too(void **unused)
{
    (void)unused;
    once("text", "chart",
         "{\"Names\":[\"a\",\"b\"],\"Values\":[{\"TS\":\"t1\",\"Data\":[1.5,null]}]}",
         "time  a    b\nt1    1.5\n");
    once("csv", "gauge", "[{\"Name\":\"x\",\"Magnitude\":18.5,\"Min\":0,\"Max\":1}]",
         "name,magnitude\nx,18.5\n");
    once("csv", "stackgraph", "[{\"Key\":\"k\",\"Values\":[{\"Label\":\"l\",\"Value\":3}]}]",
         "key,component,magnitude\nk,l,3\n");
    once("json", "chart",
         "{\"Names\":[\"a\",\"b\"],\"Values\":[{\"TS\":\"t1\",\"Data\":[1.5,null]}]}",
         "{\"time\":\"t1\",\"a\":1.5,\"b\":null}\n");
    assert_false(search_table_is_one("text"));
    assert_true(search_table_is_one("table"));
}

static void a_cell_keeps_its_type_in_json_and_is_spoken_elsewhere(void **unused)
{
    (void)unused;
    static const char *const want[][2] = {
        {"json", "{\"a\":true,\"b\":7,\"c\":[\"x\",\"y\"],\"d\":null}\n"},
        {"csv", "a,b,c,d\nyes,7,\"x, y\",\n"},
        {"text", "a    b  c     d\nyes  7  x, y\n"},
    };
    json_t *columns = json_pack("[s, s, s, s]", "a", "b", "c", "d");
    json_t *cells = json_pack("[[b, i, [s, s], n]]", 1, 7, "x", "y");
    for (size_t i = 0; i < ARRAY_COUNT(want); i++) {
        struct search_table table = {.format = want[i][0]};
        struct buf buf = {0};
        search_table_put(&table, columns, cells, &buf);
        assert_string_equal(buf_str(&buf), want[i][1]);
        buf_deinit(&buf);
        mem_free(table.columns);
    }
    json_decref(columns);
    json_decref(cells);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_has_its_names_in_every_format),
        cmocka_unit_test(names_are_not_repeated_on_later_pages),
        cmocka_unit_test(charts_gauges_and_stacks_are_tables_too),
        cmocka_unit_test(a_cell_keeps_its_type_in_json_and_is_spoken_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
