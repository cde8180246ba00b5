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
    } else if (strcmp(name, "packed") == 0) {
        buf_append_str(contents,
                       "{\"Columns\":[\"ip\",\"name\",\"n\"],\"Rows\":[[\"192.0.2.7\",\"evil\","
                       "7],{\"Row\":[\"192.168.1.20\",\"desk \\\"1\\\"\",null]}]}");
    } else if (strcmp(name, "ips") == 0) {
        buf_append_str(contents, "10.9.9.9\r\n192.0.2.7\n\n");
    } else if (strcmp(name, "sources") == 0) {
        buf_append_str(contents, "\"SRC\"\n\"10.0.0.5\"\n");
    } else if (strcmp(name, "broken") == 0) {
        buf_append_str(contents, "10.0.0.1\nten\n");
    } else if (strcmp(name, "nets") == 0) {
        buf_append_str(contents,
                       "CIDR,network,owner\n10.0.0.0/8,storage,Bob\n192.168.1.0/24,research,"
                       "Tim\n192.168.0.0/16,all,CEO\n192.0.2.7/32,one,\n2001:db8::/32,v6,Ann\n");
    } else if (strcmp(name, "login") == 0) {
        buf_append_str(contents, "for (?P<user>\\S+) from (?P<ip>\\S+)\n");
    } else if (strcmp(name, "times") == 0) {
        buf_append_str(contents, "when,what\n2026-01-02T12:00:30Z,a\nnever,b\n");
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
    expect("tag=auth regex `for (?P<u>\\S+) from (?P<ip>\\S+)` | lookup -r hosts ip ip (site name "
           "as h) | "
           "table u h",
           "alice desk1\nbob evil\nroot evil\n");
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

static void lookupdata_is_a_table_too(void **unused)
{
    (void)unused;
    expect(
        "tag=auth regex `from (?P<ip>\\S+)` | unique ip | lookup -r packed ip ip (name n) | table "
        "ip name n",
        "192.0.2.7 evil 7\n192.168.1.20 desk \"1\" \n");
    struct table *table = NULL;
    assert_int_equal(csv_table_new(SPAN_LIT("{\"Columns\":[],\"Rows\":[]}"), &table), ERR_INVALID);
    assert_int_equal(csv_table_new(SPAN_LIT("{\"Columns\":[\"a\"],\"Rows\":[1]}"), &table),
                     ERR_INVALID);
    assert_int_equal(csv_table_new(SPAN_LIT("{\"Columns\":[\"a\",\"a\"],\"Rows\":[]}"), &table),
                     ERR_INVALID);
    assert_int_equal(csv_table_new(SPAN_LIT("{not json}"), &table), ERR_INVALID);
}

static void ipexist_filters_by_a_set(void **unused)
{
    (void)unused;
    static const char from[] = "tag=auth regex -p `for (?P<u>\\S+) from (?P<ip>\\S+)` |";
    static const struct {
        const char *stage, *want;
    } rows[] = {
        {"ipexist -r ips ip", "bob\nroot\n"},
        {"ipexist -v -r ips ip", "\nalice\n"},
        {"ipexist -r ips ip SRC", ""},
        {"ipexist -or -r ips -r sources ip SRC", "alice\nbob\nroot\n"},
        {"ipexist -r sources -r ips ip SRC", "root\n"},
        {"ipexist -or -v -r ips -r sources ip SRC", "\n"},
        {"ipexist -r ips u", ""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char *query = mem_printf("%s %s | table u", from, rows[i].stage);
        expect(query, rows[i].want);
        mem_free(query);
    }
    refuse("tag=app ipexist ip", "-r and the name of a resource");
    refuse("tag=app ipexist -r ips", "a name is missing");
}

static void iplookup_takes_the_smallest_network(void **unused)
{
    (void)unused;
    expect(
        "tag=auth regex `from (?P<ip>\\S+)` | unique ip | iplookup -r nets -e ip network owner as "
        "o | table ip network o",
        "192.0.2.7 one \n192.168.1.20 research Tim\n");
    expect("tag=kv2 eval a = \"192.168.7.7\"; | iplookup -r nets -e a network | table network",
           "all\n");
    expect("tag=kv2 eval a = \"2001:db8::5\"; | iplookup -r nets -e a network | table network",
           "v6\n");
    expect("tag=kv2 eval a = \"8.8.8.8\"; | iplookup -r nets -e a network | table a network",
           "8.8.8.8 \n");
    expect("tag=kv2 eval a = \"8.8.8.8\"; | iplookup -s -r nets -e a | table a", "");
    expect("tag=kv2 eval a = \"8.8.8.8\"; | iplookup -v -r nets -e a | table a", "8.8.8.8\n");
    expect("tag=kv2 iplookup -s -r nets -e SRC | table TAG", "kv2\n");
    expect(
        "tag=auth regex `from (?P<ip>\\S+)` | unique ip | iplookup -r hosts -cidr ip -e ip name | "
        "table ip name",
        "192.0.2.7 evil\n192.168.1.20 desk1\n");
    refuse("tag=app iplookup -r nets x", "-r (a resource) and -e (a value)");
    refuse("tag=app iplookup -r nets -e x", "none goes with -s or -v");
    refuse("tag=app iplookup -v -r nets -e x y", "there are no columns to take");
}

static void rows_of_a_table_become_entries(void **unused)
{
    (void)unused;
    expect_ordered("dump -r hosts | table ip name site",
                   "192.0.2.7 evil none\n192.168.1.20 desk1 hq\n192.0.2.7 later x\n");
    expect_ordered("tag=auth dump -r hosts name != desk1 | table name site",
                   "evil none\nlater x\n");
    expect_ordered("tag=auth dump -r hosts name ~ e ip | table name site ip",
                   "evil  192.0.2.7\ndesk1  192.168.1.20\nlater  192.0.2.7\n");
    expect_ordered("tag=auth dump -r hosts ip==192.0.2.7 name as n | table ip n",
                   "192.0.2.7 evil\n192.0.2.7 later\n");
    expect_ordered("dump -r packed | sort by name asc | table name DATA",
                   "desk \"1\" 192.168.1.20,desk \"1\",\nevil 192.0.2.7,evil,7\n");
    expect_ordered("dump -r times -t when | table what TIMESTAMP",
                   "a 2026-01-02T12:00:30Z\nb 2026-01-02T12:00:00Z\n");
    expect("tag=auth grep kernel | dump -p -r hosts name | stats count | table count", "4\n");
    expect("dump -r hosts | stats count by ip | table ip count", "192.0.2.7 2\n192.168.1.20 1\n");
    refuse("tag=app dump name", "-r and the name of a resource");
    refuse("tag=app dump -p -t when -r hosts", "do not go together");
    refuse("tag=app dump -r hosts (a)", "the name of a column");
}

static void an_expression_may_come_from_a_resource(void **unused)
{
    (void)unused;
    struct query *query = NULL;
    struct query_error error;
    struct query_options options = test_options;
    options.resource = resource;
    assert_int_equal(query_parse(SPAN_LIT("tag=auth regex -p -r login user==bob | table user ip"),
                                 &options, &query, &error),
                     0);
    assert_string_equal(query->stages[0].text,
                        "regex -p \"for (?P<user>\\\\S+) from (?P<ip>\\\\S+)\" user==bob");
    assert_string_equal(query->stages[0].resources[0], "login");
    query_free(&query);
    test_options.resource = resource;
    expect("tag=auth regex -r login user==bob | table user ip", "bob 192.0.2.7\n");
    test_options.resource = NULL;
    refuse("tag=auth regex -r login", "there are no resources here");
}

static bool no_tag_exists(void *context, const char *name)
{
    (void)context;
    (void)name;
    return false;
}

static void rows_need_no_tag(void **unused)
{
    (void)unused;
    struct query_options options = test_options;
    struct query *query = NULL;
    struct query_error error;
    options.tag_exists = no_tag_exists;
    assert_int_equal(query_parse(SPAN_LIT("dump -r hosts | table"), &options, &query, &error), 0);
    assert_int_equal(query_first_needed(query), 0);
    query_free(&query);
    assert_true(query_parse(SPAN_LIT("dump -p -r hosts | table"), &options, &query, &error) < 0);
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
                 {"tag=app lookup -r gone a b c", "resource 'gone': there is none"},
                 {"tag=app ipexist -r broken a", "line 2: 'ten' is no address"},
                 {"tag=app iplookup -r hosts -e a name", "has no column 'CIDR'"},
                 {"tag=app iplookup -r hosts -cidr name -e a ip", "row 1: 'evil' is no network"},
                 {"tag=app dump -r hosts nothing", "has no column 'nothing'"},
                 {"tag=app dump -t nothing -r hosts", "has no column 'nothing'"}};
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

static int later(void *context, const char *name, struct buf *contents)
{
    return name[0] == '@' ? QUERY_RESOURCE_LATER : resource(context, name, contents);
}

static int large(void *context, const char *name, struct buf *contents)
{
    int rc = resource(context, name, contents);
    while (contents->bytes <= QUERY_COPY_BYTES_MAX) {
        buf_append_str(contents, "10.0.0.1,ten,here\n");
    }
    return rc;
}

/* Tables go to indexers with the search, so a lookup in front of what condenses runs there. */
static void lookups_run_on_indexers_where_their_table_can_go(void **unused)
{
    (void)unused;
    static const struct {
        const char *query;
        query_resource *resource; /* NULL: none is loaded */
        size_t collapse;
        size_t copies;
    } cases[] = {
        {"tag=a json ip | lookup -r hosts ip ip name | stats count by name", resource, 2, 1},
        {"tag=a json ip | lookup -r hosts ip ip name", resource, 2, 1},
        {"tag=a json ip | sort by ip | lookup -r hosts ip ip name", resource, 1, 1},
        {"tag=a json ip | lookup -r hosts ip ip name | lookup -s -r @x ip ip ()", later, 2, 1},
        {"tag=a json ip | ipexist -r ips ip | iplookup -r nets -e ip owner", resource, 3, 2},
        {"tag=a json ip | lookup -r hosts ip ip name | count", large, 1, 0},
        {"tag=a json ip | lookup -r hosts ip ip name | count", NULL, 1, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct query *query = NULL;
        struct query_error error;
        const char *text = cases[i].query;
        if (query_parse(span_of_str(text), &test_options, &query, &error) < 0) {
            fail_msg("%s: %s", text, error.text);
        }
        if (cases[i].resource != NULL) {
            assert_int_equal(query_load(query, cases[i].resource, NULL, NULL), 0);
        }
        if (query->collapse != cases[i].collapse || query->copy_count != cases[i].copies) {
            fail_msg("%s: %zu stages, %zu copies", text, query->collapse, query->copy_count);
        }
        query_free(&query);
    }
}

int main(void)
{
    test_resource = resource;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lookup_adds_the_cells_of_the_first_row_that_fits),
        cmocka_unit_test(lookup_filters_by_what_is_there),
        cmocka_unit_test(enrich_sets_what_is_missing),
        cmocka_unit_test(lookupdata_is_a_table_too),
        cmocka_unit_test(ipexist_filters_by_a_set),
        cmocka_unit_test(iplookup_takes_the_smallest_network),
        cmocka_unit_test(rows_of_a_table_become_entries),
        cmocka_unit_test(an_expression_may_come_from_a_resource),
        cmocka_unit_test(rows_need_no_tag),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(csv_is_read_in_all_its_forms),
        cmocka_unit_test(lookups_run_on_indexers_where_their_table_can_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
