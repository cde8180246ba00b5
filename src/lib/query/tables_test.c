/* A table is found by what it contains, until newer ones take its place. */
#include "query/tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void tables_are_found_by_what_they_contain(void **unused)
{
    (void)unused;
    struct query_tables *tables = query_tables_new(10);
    char a[QUERY_TABLE_HASH_BYTES];
    char b[QUERY_TABLE_HASH_BYTES];
    struct buf contents = {0};
    query_table_hash(SPAN_LIT("aaaa"), a);
    query_table_hash(SPAN_LIT("bbbb"), b);
    assert_false(query_tables_get(tables, a, &contents));
    assert_int_equal(query_tables_put(tables, a, SPAN_LIT("bbbb")), ERR_INVALID);
    assert_int_equal(query_tables_put(tables, a, SPAN_LIT("aaaa")), 0);
    assert_int_equal(query_tables_put(tables, a, SPAN_LIT("aaaa")), 0);
    assert_int_equal(query_tables_put(tables, b, SPAN_LIT("bbbb")), 0);
    assert_true(query_tables_get(tables, a, &contents));
    assert_true(span_equal_str(buf_span(&contents), "aaaa"));
    buf_deinit(&contents);

    char c[QUERY_TABLE_HASH_BYTES];
    query_table_hash(SPAN_LIT("cccc"), c);
    assert_int_equal(query_tables_put(tables, c, SPAN_LIT("cccc")), 0); /* the oldest goes */
    assert_false(query_tables_get(tables, a, &contents));
    assert_true(query_tables_get(tables, b, &contents));
    query_table_hash(SPAN_LIT("too large a table"), c);
    assert_int_equal(query_tables_put(tables, c, SPAN_LIT("too large a table")), ERR_TOO_LARGE);
    query_tables_free(&tables);
    buf_deinit(&contents);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_found_by_what_they_contain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
