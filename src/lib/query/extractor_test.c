/* ax: fields by the definitions of tags, several of them in one stream, as the modules give them.
 */
#include "query/extractor.h"
#include "query/modules_testing.h"

static const struct query_extractor definitions[] = {
    {.name = "login lines",
     .module = "regex",
     .params = "for (?P<who>\\S+) from (?P<ip>\\S+) port (?P<port>\\d+)",
     .args = "",
     .tags = {"auth"},
     .tag_count = 1},
    {.name = "requests",
     .module = "json",
     .params = "user as who code ms req.path as \"the path\"",
     .args = "",
     .tags = {"a?p", "other"},
     .tag_count = 2},
    {.name = "columns",
     .module = "csv",
     .params = "day, id, , kind",
     .args = "",
     .tags = {"csv"},
     .tag_count = 1},
    {.name = "tabs",
     .module = "fields",
     .params = "_,_,ip,port",
     .args = "-d \"\\t\" -clean",
     .tags = {"tsv"},
     .tag_count = 1},
    {.name = "bytes",
     .module = "slice",
     .params = "byte([0]) as b string([2:3]) as one",
     .args = "",
     .tags = {"kv2"},
     .tag_count = 1},
    {.name = "later", .module = "csv", .params = "x", .args = "", .tags = {"auth"}, .tag_count = 1},
    {.name = "broken",
     .module = "regex",
     .params = "(",
     .args = "",
     .tags = {"sys"},
     .tag_count = 1},
    {.name = "odd", .module = "grep", .params = "x", .args = "", .tags = {"sys2"}, .tag_count = 1},
};

static bool give(void *context, size_t index, struct query_extractor *ret_extractor)
{
    (void)context;
    if (index < ARRAY_COUNT(definitions)) {
        *ret_extractor = definitions[index];
    }
    return index < ARRAY_COUNT(definitions);
}

static void each_tag_has_its_own_way(void **unused)
{
    (void)unused;
    expect("tag=auth ax who ip | table who ip",
           "alice 192.168.1.20\nbob 192.0.2.7\nroot 192.0.2.7\n");
    expect("tag=app ax who code | table who code", " \n 200\nalice 200\nalice 404\nbob 500\n");
    expect("tag=csv ax kind id | table id kind", "15554 CL\n");
    expect("tag=tsv ax ip port | table ip port", "10.0.0.1 443\n");
    expect("tag=kv2 ax b one | table b one", "120 1\n");
    expect("tag=app ax \"the path\" | require \"the path\" | table \"the path\"", "/a\n/b\n/c\n");
}

static void several_tags_are_one_stream(void **unused)
{
    (void)unused;
    expect("tag=auth,app ax who | require who | eval who != \"\" | stats count by who | table who "
           "count",
           "alice 3\nbob 2\nroot 1\n");
    /* Entries of a tag without a definition, or without the field, fail what asks for it. */
    expect("tag=auth,app,tsv,kv ax port>=4243 | table TAG port", "auth 4243\nauth 50022\n");
    expect("tag=tsv,kv ax port!=1 | table TAG port", "kv \ntsv 443\n");
    expect("tag=auth,tsv ax ip as where port==443 | table TAG ip where port",
           "tsv  10.0.0.1 443\n");
    expect("tag=kv,auth tag=auth ax who==bob | table TAG who", "auth bob\nkv \n");
}

static void without_arguments_all_fields_come(void **unused)
{
    (void)unused;
    expect("tag=tsv ax | table", "10.0.0.1 443\n");
    expect("tag=auth ax | stats count by who ip port | table who port",
           "alice 50022\nbob 4243\nroot 4242\n");
    expect("tag=kv2 ax one | table", "1\n"); /* and only those asked for, else */
    expect("tag=tsv ax port | table", "443\n");
    expect("tag=app ax who==bob code as c | table", "bob 500\n");
}

static void the_effective_text_carries_what_is_used(void **unused)
{
    (void)unused;
    struct query *query = NULL;
    struct query *again = NULL;
    struct query_error error;
    struct query_options bare = test_options;
    bare.extractor = NULL;
    assert_int_equal(query_parse(SPAN_LIT("tag=auth ax who==bob /* x */ ip | table"), &test_options,
                                 &query, &error),
                     0);
    assert_non_null(strstr(query->effective, "ax -def \"{\\\"name\\\":\\\"login lines\\\""));
    assert_null(strstr(query->effective, "requests"));
    assert_non_null(strstr(query->effective, "who==bob ip | table"));
    assert_int_equal(query_parse(span_of_str(query->effective), &bare, &again, &error), 0);
    assert_string_equal(again->effective, query->effective);
    query_free(&query);
    query_free(&again);
}

static void what_is_wrong_is_said(void **unused)
{
    (void)unused;
    refuse("tag=cef ax a", "no extraction is defined for tag cef");
    refuse("ax", "no extraction is defined for these tags");
    refuse("tag=auth ax nothing", "has a field 'nothing'");
    refuse("tag=sys ax", "definition 'broken': regex:");
    refuse("tag=sys2 ax", "there is no module 'grep' for extraction");
    refuse("tag=auth ax -def nonsense", "-def is no JSON object");
    refuse("tag=auth ax who<x", "needs a number");
    refuse("tag=auth ax (who)", "a field was expected");
}

static void note(void *context, struct span name)
{
    struct buf *names = context;
    buf_append(names, name);
    buf_append_byte(names, ' ');
}

static void definitions_are_checked_and_say_their_fields(void **unused)
{
    (void)unused;
    static const char *const want[] = {
        "ip port who ", "who code ms the path ", "day id kind ", "ip port ", "b one ", "x "};
    for (size_t i = 0; i < ARRAY_COUNT(want); i++) {
        struct buf names = {0};
        assert_int_equal(query_extractor_fields(&definitions[i], note, &names), 0);
        bool same = strcmp(buf_str(&names), want[i]) == 0;
        buf_deinit(&names);
        assert_true(same);
    }
    assert_int_equal(query_extractor_check(&definitions[6]), ERR_INVALID);
    assert_non_null(strstr(err_text(), "definition 'broken': regex:"));
    assert_int_equal(query_extractor_check(&definitions[7]), ERR_INVALID);
    struct query_extractor nowhere = {.name = "n", .module = "csv", .params = "a", .args = ""};
    assert_int_equal(query_extractor_check(&nowhere), ERR_INVALID);
    assert_non_null(strstr(err_text(), "needs a tag"));
}

int main(void)
{
    test_options.extractor = give;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_tag_has_its_own_way),
        cmocka_unit_test(several_tags_are_one_stream),
        cmocka_unit_test(without_arguments_all_fields_come),
        cmocka_unit_test(the_effective_text_carries_what_is_used),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(definitions_are_checked_and_say_their_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
