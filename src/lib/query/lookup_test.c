/*
 * Tables that queries look into: lookup and enrich by the examples of the language sheet, CSV in
 * all its forms.
 */
#include "query/modules/table.h"
#include "query/modules_testing.h"

static int resource(void *context, const char *name, struct buf *contents)
{
    (void)context;
    if (strcmp(name, "hosts") == 0) {
        buf_append_str(contents, "ip,name,site\n192.0.2.7,evil,none\n192.168.1.20,desk1,hq\n"
                                 "192.0.2.7,later,x\n");
    } else if (strcmp(name, "known") == 0) {
        buf_append_str(contents, "ip\n192.0.2.7\n");
    } else {
        return err_set(ERR_NOT_FOUND, "there is none");
    }
    return 0;
}

static void lookup_adds_the_cells_of_the_first_row_that_fits(void **unused)
{
    (void)unused;
    expect("tag=auth regex `for (?P<u>\\S+) from (?P<ip>\\S+)` | lookup -r hosts ip ip (name as h "
           "site) | table u ip h site",
           "alice 192.168.1.20 desk1 hq\nbob 192.0.2.7 evil none\nroot 192.0.2.7 evil none\n");
    expect(
        "tag=auth regex `for (?P<u>\\S+) from (?P<ip>\\S+)` | lookup -r hosts ip ip site | table "
        "u site",
        "alice hq\nbob none\nroot none\n");
    expect("tag=auth regex -p `from (?P<ip>\\S+)` | lookup -r hosts [ip SRC] [ip name] (site) | "
           "table site",
           "\n\n\n\n");
    expect("tag=auth regex `from (?P<ip>\\S+)` | ip ip | lookup -r hosts ip ip name as n | stats "
           "count by n | table n count",
           "desk1 1\nevil 2\n");
}

static void lookup_filters_by_what_is_there(void **unused)
{
    (void)unused;
    expect("tag=auth regex `from (?P<ip>\\S+)` | lookup -v -s -r hosts ip ip () | table ip", "");
    expect("tag=auth regex `from (?P<ip>\\S+) port` | unique ip | lookup -v -s -r known ip ip () | "
           "table ip",
           "192.168.1.20\n");
    expect("tag=auth regex `from (?P<ip>\\S+)` | lookup -s -r known ip ip () | stats count | table "
           "count",
           "2\n");
}

static void enrich_sets_what_is_missing(void **unused)
{
    (void)unused;
    expect("tag=app json user | enrich user nobody place here | stats count by user place | table "
           "user place count",
           " here 1\nalice here 2\nbob here 1\nnobody here 1\n");
    expect("tag=app json user | enrich -o user all | stats count by user | table user count",
           "all 5\n");
    expect("tag=kv2 enrich -r hosts name site as s | table name s", "evil none\n");
    expect("tag=kv2 enrich -r hosts | table ip name site", "192.0.2.7 evil none\n");
}

static void what_is_wrong_is_said(void **unused)
{
    (void)unused;
    refuse("tag=app lookup x y z", "-r and the name of a resource");
    refuse("tag=app lookup -r hosts", "names were expected");
    refuse("tag=app lookup -r hosts [a b] [c] (d)", "2 values and 1 columns");
    refuse("tag=app lookup -r hosts a b ()", "() goes with -s or -v");
    refuse("tag=app enrich a", "pairs of a name and a value");
    struct query *query = NULL;
    struct query_error error;
    static const struct {
        const char *text, *why;
    } wrong[] = {{"tag=app lookup -r hosts a nothing b", "has no column 'nothing'"},
                 {"tag=app lookup -r hosts a ip nothing", "has no column 'nothing'"},
                 {"tag=app lookup -r gone a b c", "resource 'gone': there is none"}};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        assert_int_equal(query_parse(span_of_str(wrong[i].text), &test_options, &query, &error), 0);
        assert_true(query_load(query, resource, NULL, NULL) < 0);
        if (strstr(err_text(), wrong[i].why) == NULL) {
            fail_msg("%s: %s", wrong[i].text, err_text());
        }
        query_free(&query);
    }
}

static void cell_is(const struct table *table, size_t row, size_t column, const char *want)
{
    assert_true(span_equal_str(csv_table_cell(table, row, column), want));
}

static void csv_is_read_in_all_its_forms(void **unused)
{
    (void)unused;
    struct table *table = NULL;
    assert_int_equal(csv_table_new(SPAN_LIT("\xEF\xBB\xBF"
                                            "a,b,c\r\n1,\"x, \"\"y\"\"\nz\",\n\n2\r\n3,,,4"),
                                   &table),
                     0);
    assert_int_equal(csv_table_rows(table), 3);
    assert_int_equal(csv_table_columns(table), 3);
    cell_is(table, 0, 1, "x, \"y\"\nz");
    cell_is(table, 0, 2, "");
    cell_is(table, 1, 0, "2");
    cell_is(table, 1, 2, "");
    cell_is(table, 2, 2, "");
    csv_table_free(&table);
    assert_int_equal(csv_table_new(SPAN_LIT("a,b\n1,\"2\n3"), &table), ERR_INVALID);
    assert_non_null(strstr(err_text(), "line 3: a quote without its end"));
    assert_int_equal(csv_table_new(SPAN_LIT("a,b,a\n"), &table), ERR_INVALID);
    assert_int_equal(csv_table_new(SPAN_LIT(" \n"), &table), ERR_INVALID);
}

int main(void)
{
    test_resource = resource;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lookup_adds_the_cells_of_the_first_row_that_fits),
        cmocka_unit_test(lookup_filters_by_what_is_there),
        cmocka_unit_test(enrich_sets_what_is_missing),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(csv_is_read_in_all_its_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
