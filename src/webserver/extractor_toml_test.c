/* Files of extraction definitions are read in every form and written so that they are read again.
 */
#include "webserver/extractor_toml.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char *text_of(const json_t *list, size_t index, const char *key)
{
    return json_string_value(json_object_get(json_array_get(list, index), key));
}

static void every_form_is_read(void **unused)
{
    (void)unused;
    static const char file[] = "# definitions\n"
                               "[[extraction]] # one\n"
                               "\tname=\"regex \\\"a\\\" \\u00e9\"\n"
                               "\tmodule = 'regex'\n"
                               "\ttag=\"testregex\"\r\n"
                               "\tparams='(?P<ts>\\S+)\\s\\[(?P<app>\\S+)\\]' # raw\n"
                               "\n"
                               "[[extraction]]\n"
                               "module=\"csv\"\n"
                               "tags = [ \"a\", # first\n"
                               "  'b',\n]\n"
                               "params = '''\nts, app'''\n"
                               "args=\"\"\"\n-s\"\"\"\n"
                               "desc=\"\"\n";
    json_t *list = NULL;
    assert_int_equal(extractor_toml_read(span_of_str(file), &list), 0);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(text_of(list, 0, "Name"), "regex \"a\" \xc3\xa9");
    assert_string_equal(text_of(list, 0, "Params"), "(?P<ts>\\S+)\\s\\[(?P<app>\\S+)\\]");
    assert_string_equal(text_of(list, 1, "Params"), "ts, app");
    assert_string_equal(text_of(list, 1, "Args"), "-s");
    const json_t *tags = json_object_get(json_array_get(list, 1), "Tags");
    assert_int_equal(json_array_size(tags), 2);
    assert_string_equal(json_string_value(json_array_get(tags, 1)), "b");
    json_decref(list);
}

static void what_is_written_is_read_again(void **unused)
{
    (void)unused;
    json_t *one = json_pack("{s:s, s:s, s:s, s:s, s:[s,s]}", "Name", "it's \"x\"\n", "Module",
                            "regex", "Params", "\\d+ \"q\"", "Args", "", "Tags", "a", "b");
    json_t *list = NULL;
    struct buf file = {0};
    extractor_toml_write(one, &file);
    extractor_toml_write(one, &file);
    assert_int_equal(extractor_toml_read(buf_span(&file), &list), 0);
    assert_int_equal(json_array_size(list), 2);
    json_object_del(one, "Args");
    assert_true(json_equal(one, json_array_get(list, 1)));
    json_decref(list);
    json_decref(one);
    buf_deinit(&file);
}

static void what_is_wrong_names_its_line(void **unused)
{
    (void)unused;
    static const struct {
        const char *file, *why;
    } rows[] = {{"name=\"x\"\n", "line 1: [[extraction]] was expected"},
                {"", "there is no [[extraction]]"},
                {"[[extraction]]\nname=x\n", "line 2: a text in quotes"},
                {"[[extraction]]\nname=\"x\n", "line 2: a text without its end"},
                {"[[extraction]]\nname=\"\\q\"\n", "line 2: an escape"},
                {"[[extraction]]\ncolor=\"x\"\n", "line 2: unknown key 'color'"},
                {"[[extraction]]\n\nname \"x\"\n", "line 3: '=' was expected"},
                {"[[extraction]]\ntags=\"x\"\n", "line 2: '[' was expected"},
                {"[[extraction]]\ntags=[\"x\" \"y\"]\n", "',' or ']'"},
                {"[[extraction]]\ntags=[\"x\"", "a text in quotes"},
                {"[[extraction]]\nname=\"x\" y\n", "something follows"}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        json_t *list = NULL;
        assert_int_equal(extractor_toml_read(span_of_str(rows[i].file), &list), ERR_INVALID);
        if (strstr(err_text(), rows[i].why) == NULL) {
            fail_msg("%s: %s", rows[i].file, err_text());
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_read),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(what_is_wrong_names_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
