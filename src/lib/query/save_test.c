/* What table -save makes of rows, of what was there, and how it is asked for. */
#include "query/modules/table.h"
#include "query/modules_testing.h"
#include "query/save.h"

static const char csv[] = "ip,name\n192.0.2.7,\"evil, \"\"x\"\"\"\n10.0.0.1,\n";
static const char old[] = "name,ip\nolder,192.0.2.7\nkept,10.9.9.9\n";

static void makes(const struct query_save *save, const char *from, const char *before,
                  const char *want)
{
    struct buf made = {0};
    if (query_save_make(save, span_of_str(from), span_of_str(before), &made) < 0) {
        fail_msg("%s", err_text());
    }
    assert_string_equal(buf_str(&made), want);
    buf_deinit(&made);
}

static void rows_are_written_in_every_form(void **unused)
{
    (void)unused;
    makes(&(struct query_save){.format = QUERY_SAVE_CSV}, csv, "", csv);
    makes(&(struct query_save){.format = QUERY_SAVE_IPEXIST}, csv, "", "192.0.2.7\n10.0.0.1\n");
    makes(&(struct query_save){.format = QUERY_SAVE_LOOKUPDATA}, csv, "",
          "{\"Columns\":[\"ip\",\"name\"],\"Rows\":[[\"192.0.2.7\",\"evil, \\\"x\\\"\"],\n"
          "[\"10.0.0.1\",\"\"]]}\n");
    makes(&(struct query_save){.format = QUERY_SAVE_CSV}, "a\n\"\"\n", "", "a\n\"\"\n");
}

static void what_is_written_is_read_again(void **unused)
{
    (void)unused;
    static const enum query_save_format forms[] = {QUERY_SAVE_CSV, QUERY_SAVE_LOOKUPDATA};
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        struct query_save save = {.format = forms[i]};
        struct buf made = {0};
        struct table *table = NULL;
        assert_int_equal(query_save_make(&save, span_of_str(csv), SPAN_NONE, &made), 0);
        assert_int_equal(csv_table_new(buf_span(&made), &table), 0);
        assert_int_equal(csv_table_rows(table), 2);
        assert_true(span_equal_str(csv_table_cell(table, 0, 1), "evil, \"x\""));
        csv_table_free(&table);
        buf_deinit(&made);
    }
}

static void update_keeps_old_rows_of_other_keys(void **unused)
{
    (void)unused;
    struct query_save save = {.format = QUERY_SAVE_CSV, .update = "ip"};
    makes(&save, csv, old, "ip,name\n10.9.9.9,kept\n192.0.2.7,\"evil, \"\"x\"\"\"\n10.0.0.1,\n");
    makes(&save, csv, "", csv); /* nothing there yet */
    struct buf made = {0};
    assert_int_equal(query_save_make(&save, span_of_str(csv), SPAN_LIT("ip,x\n1,2\n"), &made),
                     ERR_INVALID);
    assert_non_null(strstr(err_text(), "the old rows have no column 'name'"));
    save.update = "site";
    assert_int_equal(query_save_make(&save, span_of_str(csv), SPAN_NONE, &made), ERR_INVALID);
    struct query_save set = {.format = QUERY_SAVE_IPEXIST, .update = "ip"};
    makes(&set, "ip\n10.0.0.1\n10.0.0.2\n", "10.0.0.2\n10.0.0.3\n",
          "10.0.0.3\n10.0.0.1\n10.0.0.2\n");
    buf_deinit(&made);
}

static void delete_takes_rows_away(void **unused)
{
    (void)unused;
    struct query_save save = {.format = QUERY_SAVE_CSV, .remove = "ip"};
    makes(&save, "ip\n192.0.2.7\n", old, "name,ip\nkept,10.9.9.9\n");
    struct buf made = {0};
    assert_int_equal(query_save_make(&save, span_of_str(csv), SPAN_NONE, &made), ERR_INVALID);
    buf_deinit(&made);
}

static void the_renderer_says_what_is_saved(void **unused)
{
    (void)unused;
    struct query *query = NULL;
    struct query_error error;
    assert_int_equal(query_parse(SPAN_LIT("tag=a table -nt -save hosts -update ip -csv ip name"),
                                 &test_options, &query, &error),
                     0);
    const struct query_save *save = query_save_of(query);
    assert_string_equal(save->name, "hosts");
    assert_string_equal(save->update, "ip");
    assert_int_equal(save->format, QUERY_SAVE_CSV);
    query_free(&query);
    assert_int_equal(query_parse(SPAN_LIT("tag=a table ip"), &test_options, &query, &error), 0);
    assert_null(query_save_of(query));
    query_free(&query);
    assert_int_equal(query_parse(SPAN_LIT("tag=a"), &test_options, &query, &error), 0);
    assert_null(query_save_of(query));
    query_free(&query);
    expect("tag=kv2 table -format ipexist TAG", "kv2\n"); /* of an inner query */
    refuse("tag=a table -save x -update a -delete b", "-update and -delete");
    refuse("tag=a table -update a b", "go with -save");
    refuse("tag=a table -save x -format xml", "csv, lookupdata or ipexist");
    refuse("tag=a table -save", "a value must follow");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_written_in_every_form),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(update_keeps_old_rows_of_other_keys),
        cmocka_unit_test(delete_takes_rows_away),
        cmocka_unit_test(the_renderer_says_what_is_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
