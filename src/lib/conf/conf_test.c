/*
 * Claims: every documented line of the dialect reads as documented, every wrong one is refused
 * with its place and, where there is one, the nearest known name; nothing wrong hides what else
 * is wrong. The vectors are those of the reference system's own parser.
 */
#include "conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/time.h"
#include "conf/schema.h"
#include "io/sim.h"

/* clang-format off */
static const struct conf_key global_keys[] = {
    {.name = "A", .type = CONF_TEXT},
    {.name = "Item", .type = CONF_TEXT, .list = true, .environment = "AQ_TEST_ITEMS"},
    {.name = "Insecure", .type = CONF_BOOL, .environment = "AQ_TEST_INSECURE AQ_TEST_INSECURE_TOO"},
    {.name = "Number", .type = CONF_INT, .environment = "AQ_TEST_NUMBER"},
    {.name = "Percent", .type = CONF_INT, .def = "85", .min = 0, .max = 99},
    {.name = "Rate", .type = CONF_FLOAT, .def = "0.001"},
    {.name = "Keep", .type = CONF_AGE},
    {.name = "Wait", .type = CONF_DURATION, .def = "90s"},
    {.name = "At", .type = CONF_TIME_OF_DAY, .def = "00:00"},
    {.name = "Level", .type = CONF_LEVEL, .def = "INFO"},
    {.name = "Secret", .type = CONF_TEXT, .def = "secrets", .environment = "AQ_TEST_SECRET",
     .secret_file = "control_secret"},
    {.name = "Docker-Secrets", .type = CONF_BOOL},
    {.name = "My-UUID", .type = CONF_UUID},
    {.name = "Data-Directory", .type = CONF_PATH, .def = "/var/lib/x"},
    {.name = "Config-Location", .type = CONF_PATH, .def = "{data}/etc"},
    {.name = "Key-File", .type = CONF_PATH, .def = "{config}/key.pem"},
    {.name = "Targets", .type = CONF_ADDRESS, .def = "localhost:1", .list = true},
    {.name = "Datastore-Listen-Address", .type = CONF_ADDRESS},
    {.name = "Datastore-Port", .type = CONF_PORT, .def = "9405"},
};
static const struct conf_key well_keys[] = {
    {.name = "Location", .type = CONF_PATH},
    {.name = "Max-Hot-Storage-GB", .type = CONF_INT},
    {.name = "Tags", .type = CONF_TEXT, .list = true},
};
static const struct conf_section sections[] = {
    {"Global", CONF_ONE, "", global_keys, ARRAY_COUNT(global_keys)},
    {"Default-Well", CONF_ONE, "", well_keys, ARRAY_COUNT(well_keys)},
    {"Storage-Well", CONF_NAMED, "", well_keys, ARRAY_COUNT(well_keys)},
    {"AI", CONF_IGNORED, "", NULL, 0},
};
static const struct conf_alias aliases[] = {
    {NULL, "Storage-Wells", "Storage-Well"},
    {"Storage-Well", "Max-Hot-Data-GB", "Max-Hot-Storage-GB"},
};
/* clang-format on */
static const struct conf_schema schema = {"test.conf",           "",      sections,
                                          ARRAY_COUNT(sections), aliases, ARRAY_COUNT(aliases)};

static struct conf *parse(struct span text)
{
    struct conf *conf = NULL;
    struct buf problems = {0};
    if (conf_parse(text, "test.conf", &schema, &problems, &conf) < 0) {
        fail_msg("%.*s: %s", SPAN_ARG(text), buf_str(&problems));
    }
    buf_deinit(&problems);
    return conf;
}

static struct conf *parse_global(const char *lines)
{
    char *text = mem_printf("[global]\n%s", lines);
    struct conf *conf = parse(span_of_str(text));
    mem_free(text);
    return conf;
}

static void expect_problem(struct span text, const char *expected)
{
    struct conf *conf = NULL;
    struct buf problems = {0};
    int rc = conf_parse(text, "test.conf", &schema, &problems, &conf);
    if (rc == 0 || strstr(buf_str(&problems), expected) == NULL) {
        fail_msg("\"%.*s\" gives \"%s\", not \"%s\"", SPAN_ARG(text), buf_str(&problems), expected);
    }
    assert_null(conf);
    buf_deinit(&problems);
}

static void values_read_as_the_reference_parser_reads_them(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *value;
    } vectors[] = {
        {"A=10.0.0.5\t# listen only on 10.0.0.5", "10.0.0.5"},
        {"A=9555\t\t\t\t\t# listen on port 9555 instead of 9405", "9555"},
        {"A=\t# listen only on", ""},
        {"A=   # comment", ""},
        {"A=", ""},
        {"A=foo;bar", "foo"},
        {"A=\"foo # bar ; baz\" ; c", "foo # bar ; baz"},
        {"A=foo\"#\"bar  baz   ", "foo#bar  baz"},
        {"A=\"foo\" bar", "foo bar"},
        {"A=`a\\d \"q\" # x` # c", "a\\d \"q\" # x"},
        {"A=`two\nlines\\\"`", "two\nlines\\\""},
        {"A=\"a\\tb\\nc\\\\d\\\"e\"", "a\tb\nc\\d\"e"},
        {"A=foo \\\n  bar", "foo   bar"},
        {"A=foo \\\r\n  bar\r\n", "foo   bar"},
        {"A=a \\\" b", "a \" b"},
        {"A=\"\"", ""},
        {"A='foo # bar'", "'foo"},
        {"A=a=b=c", "a=b=c"},
        {"A=[1] [2]", "[1] [2]"},
        {"A=b c", "b c"},
        {"A=\xe2\x80\x9d"
         "10.0.0.1\xe2\x80\x9d",
         "\xe2\x80\x9d"
         "10.0.0.1\xe2\x80\x9d"},
        {"  A \t=\t x\r", "x"},
        {"a=1\nA=2", "2"},
        {"A=x\n\n# comment\n ; comment\n", "x"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(vectors); i++) {
        struct conf *conf = parse_global(vectors[i].line);
        assert_string_equal(conf_text(conf, CONF_GLOBAL, "A"), vectors[i].value);
        conf_free(&conf);
    }
}

static void crlf_and_a_byte_order_mark_change_nothing(void **state)
{
    (void)state;
    struct conf *conf = parse(SPAN_LIT("\xef\xbb\xbf[global]\r\nA=x y\r\nItem=\"q\" \r\nItem=2"));
    assert_string_equal(conf_text(conf, CONF_GLOBAL, "A"), "x y");
    assert_string_equal(conf_list(conf, CONF_GLOBAL, "Item", 0), "q");
    assert_string_equal(conf_list(conf, CONF_GLOBAL, "Item", 1), "2");
    conf_free(&conf);
}

static void syntax_errors_name_line_and_column(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *problem;
    } vectors[] = {
        {"[global]\nA=\"a\\x\"", "test.conf:2:5: unknown escape"},
        {"[global]\nA=\"a\\", "test.conf:2:5: unknown escape"},
        {"[global]\nA=C:\\foo", "test.conf:2:5: a backslash outside quotes"},
        {"[global]\nA=a\\\\b", "test.conf:2:4: a backslash outside quotes"},
        {"[global]\nA=a\\", "test.conf:2:4: a backslash outside quotes"},
        {"[global]\nA=\"foo\nItem=x", "test.conf:2:3: string not terminated"},
        {"[global]\nA=x \"foo", "test.conf:2:5: string not terminated"},
        {"[global]\nA=`foo\n\n", "test.conf:2:3: the value has no closing backtick"},
        {"[global]\nA=`foo` bar", "test.conf:2:9: expected the end of the line after the value"},
        {"A=2", "test.conf:1:1: a key before any section header"},
        {"[global] A=1", "test.conf:1:10: expected the end of the line after the header"},
        {"[global]\n1A=2", "test.conf:2:1: expected a section header"},
        {"[global]\n=2", "test.conf:2:1: expected a section header"},
        {"[global]\nA B=2", "test.conf:2:3: expected '='"},
        {"[global]\nDatastore_Port=1", "test.conf:2:10: expected '='"},
        {"[global]\nA.B=1", "test.conf:2:2: expected '='"},
        {"[Storage-Well a]", "test.conf:1:15: expected a quoted subsection name"},
        {"[Storage.Well]", "test.conf:1:9: expected a quoted subsection name"},
        {"[Storage-Well \"\"]", "test.conf:1:15: empty subsection name"},
        {"[Storage-Well \"a]\n", "test.conf:1:15: the subsection's name has no closing quote"},
        {"[Storage-Well \"a\\n\"]", "test.conf:1:17: unknown escape"},
        {"[]", "test.conf:1:2: expected a section name"},
        {"[global", "test.conf:1:8: expected"},
        {"[global]\nA=\xff", "test.conf:2:3: not UTF-8"},
        {"[global]\n# \xc3(", "test.conf:2:3: not UTF-8"},
        {"[global]\nA=`x\n\xed\xa0\x80`", "test.conf:3:1: not UTF-8"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(vectors); i++) {
        expect_problem(span_of_str(vectors[i].text), vectors[i].problem);
    }
    expect_problem(SPAN_LIT("[global]\nA=a\0b\n"), "test.conf:2:4: a NUL byte");
}

static void names_ignore_case_and_subsections_do_not(void **state)
{
    (void)state;
    struct conf *conf = parse(SPAN_LIT("[GLOBAL]\ndatastore-PORT=1\n"
                                       "[storage-well \"Raw\"]\ntags=a\n"
                                       "[Storage-Well \"raw\"]\nTAGS=b\n"
                                       "[ Storage-Well   \"a b\"  ]  # c\n"
                                       "[Storage-Well \"a\\\"b\\\\c\"]\nTags=c\n"
                                       "[Storage-Well \"Raw\"]\nTags=d\nTags=e\n"));
    assert_int_equal(conf_port(conf, CONF_GLOBAL, "Datastore-Port"), 1);
    assert_int_equal(conf_subsection_count(conf, "Storage-Well"), 4);
    assert_string_equal(conf_subsection(conf, "Storage-Well", 0), "Raw");
    assert_string_equal(conf_subsection(conf, "Storage-Well", 2), "a b");
    assert_string_equal(conf_subsection(conf, "Storage-Well", 3), "a\"b\\c");
    assert_int_equal(conf_list_count(conf, "Storage-Well", "Raw", "Tags"), 3);
    assert_string_equal(conf_list(conf, "Storage-Well", "Raw", "Tags", 2), "e");
    assert_int_equal(conf_list_count(conf, "Storage-Well", "raw", "Tags"), 1);
    assert_int_equal(conf_list_count(conf, "Storage-Well", "a b", "Tags"), 0);
    assert_int_equal(conf_list_count(conf, "Storage-Well", "none such", "Tags"), 0);
    conf_free(&conf);
}

static void a_section_may_be_opened_again(void **state)
{
    (void)state;
    struct conf *conf = parse(SPAN_LIT("[global]\nA=1\nItem=x\n[Default-Well]\nLocation=/d\n"
                                       "[global]\nItem=y\nNumber=2\n"));
    assert_string_equal(conf_text(conf, CONF_GLOBAL, "A"), "1");
    assert_int_equal(conf_int(conf, CONF_GLOBAL, "Number"), 2);
    assert_int_equal(conf_list_count(conf, CONF_GLOBAL, "Item"), 2);
    assert_string_equal(conf_text(conf, "Default-Well", NULL, "Location"), "/d");
    conf_free(&conf);
}

static void a_key_without_a_value_is_true_or_resets_its_list(void **state)
{
    (void)state;
    struct conf *conf = parse_global("Insecure\nItem=a\nItem=b\nItem # away\nItem=c\nItem=\n");
    assert_true(conf_bool(conf, CONF_GLOBAL, "Insecure"));
    assert_int_equal(conf_list_count(conf, CONF_GLOBAL, "Item"), 1);
    assert_string_equal(conf_list(conf, CONF_GLOBAL, "Item", 0), "c");
    conf_free(&conf);
    expect_problem(SPAN_LIT("[global]\nA\n"), "test.conf:2:1: \"A\" in [global] has no value");
    expect_problem(SPAN_LIT("[global]\nNumber"), "test.conf:2:1: \"Number\" in [global] has no");
}

static void booleans_have_four_spellings_each(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "Yes", "ON", "1"};
    static const char *const no[] = {"false", "no", "Off", "0"};
    static const char *const neither[] = {"y", "t", "", "2", "tru"};
    for (size_t i = 0; i < 4; i++) {
        char *lines = mem_printf("Insecure=%s", yes[i]);
        struct conf *conf = parse_global(lines);
        assert_true(conf_bool(conf, CONF_GLOBAL, "Insecure"));
        conf_free(&conf);
        mem_free(lines);
        lines = mem_printf("Insecure\nInsecure=%s", no[i]);
        conf = parse_global(lines);
        assert_false(conf_bool(conf, CONF_GLOBAL, "Insecure"));
        conf_free(&conf);
        mem_free(lines);
    }
    for (size_t i = 0; i < ARRAY_COUNT(neither); i++) {
        char *text = mem_printf("[global]\nInsecure=%s", neither[i]);
        expect_problem(span_of_str(text), "test.conf:2:10: Insecure in [global]: ");
        mem_free(text);
    }
}

static void numbers_are_whole_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0x10", 16},
                {"010", 10},
                {"-7", -7},
                {"+7", 7},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN},
                {"0XfF", 255}};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        char *line = mem_printf("Number=%s", good[i].text);
        struct conf *conf = parse_global(line);
        assert_int_equal(conf_int(conf, CONF_GLOBAL, "Number"), good[i].value);
        conf_free(&conf);
        mem_free(line);
    }
    static const char *const bad[] = {"Number=10s",
                                      "Number=",
                                      "Number=0x",
                                      "Number=1 2",
                                      "Number=--1",
                                      "Number=1_0",
                                      "Number=-",
                                      "Percent=100",
                                      "Percent=-1",
                                      "Rate=",
                                      "Rate=1x",
                                      "Rate=nan",
                                      "Number=9223372036854775808"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        char *text = mem_printf("[global]\n%s", bad[i]);
        expect_problem(span_of_str(text), "test.conf:2:");
        mem_free(text);
    }
    expect_problem(SPAN_LIT("[global]\nDatastore-Port=70000"),
                   "test.conf:2:16: Datastore-Port in [global]: 70000 is not between 0 and 65535");
}

static void durations_and_levels(void **state)
{
    (void)state;
    struct conf *conf = parse_global("Keep=12W\nWait=1h30m\nAt=23:59\nLevel=warn\nRate=0.5");
    assert_true(conf_duration(conf, CONF_GLOBAL, "Keep") == 84 * TIME_DAY_NS);
    assert_true(conf_duration(conf, CONF_GLOBAL, "Wait") == 90 * TIME_MINUTE_NS);
    assert_true(conf_duration(conf, CONF_GLOBAL, "At") == 1439 * TIME_MINUTE_NS);
    assert_true(conf_float(conf, CONF_GLOBAL, "Rate") == 0.5);
    conf_free(&conf);
    conf = parse_global("Level=Disabled\n");
    assert_string_equal(conf_text(conf, CONF_GLOBAL, "Level"), "OFF");
    conf_free(&conf);
    static const char *const ages[] = {"30D", "7d", "7days", "4weeks"};
    for (size_t i = 0; i < ARRAY_COUNT(ages); i++) {
        char *line = mem_printf("Keep=%s", ages[i]);
        conf = parse_global(line);
        assert_true(conf_duration(conf, CONF_GLOBAL, "Keep") > 0);
        conf_free(&conf);
        mem_free(line);
    }
    static const char *const bad[] = {"Keep=7",
                                      "Keep=d",
                                      "Keep=7h",
                                      "Keep=-1d",
                                      "Keep=",
                                      "Wait=5",
                                      "Wait=5 x",
                                      "At=24:00",
                                      "At=1:5",
                                      "At=00:60",
                                      "At=",
                                      "Level=LOUD",
                                      "Keep=99999999999999999999d",
                                      "My-UUID=x"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        char *text = mem_printf("[global]\n%s", bad[i]);
        expect_problem(span_of_str(text), "test.conf:2:");
        mem_free(text);
    }
}

static void what_is_absent_or_empty_has_its_default(void **state)
{
    (void)state;
    struct conf *conf = parse_global("Secret=\nConfig-Location=\n");
    assert_string_equal(conf_text(conf, CONF_GLOBAL, "Secret"), "secrets");
    assert_false(conf_is_set(conf, CONF_GLOBAL, "Secret"));
    assert_int_equal(conf_port(conf, CONF_GLOBAL, "Datastore-Port"), 9405);
    assert_int_equal(conf_int(conf, CONF_GLOBAL, "Number"), 0);
    assert_string_equal(conf_text(conf, CONF_GLOBAL, "Config-Location"), "/var/lib/x/etc");
    assert_string_equal(conf_text(conf, CONF_GLOBAL, "Key-File"), "/var/lib/x/etc/key.pem");
    assert_string_equal(conf_text(conf, "Default-Well", NULL, "Location"), "");
    assert_int_equal(conf_list_count(conf, CONF_GLOBAL, "Targets"), 1);
    assert_string_equal(conf_list(conf, CONF_GLOBAL, "Targets", 0), "localhost:1");
    conf_free(&conf);

    conf = parse_global("Data-Directory=/opt/g\nTargets=a\nTargets=b:2");
    assert_string_equal(conf_text(conf, CONF_GLOBAL, "Key-File"), "/opt/g/etc/key.pem");
    assert_int_equal(conf_list_count(conf, CONF_GLOBAL, "Targets"), 2);
    conf_free(&conf);
}

static void unknown_names_are_all_reported_with_what_was_meant(void **state)
{
    (void)state;
    struct conf *conf = NULL;
    struct buf problems = {0};
    int rc = conf_parse(SPAN_LIT("[global]\n  Datastore-Prot=1\nTags=x\nA=fine\nZzzzzzzz=1\n"
                                 "[Nope]\nWhatever=1\n[Storage-Wel \"x\"]\n[Storage-Well \"x\"]\n"
                                 "Tag=a\n[Storage-Well]\n[global \"x\"]\nFoo=1\n"
                                 "[global]\nNumber=x\n"),
                        "f", &schema, &problems, &conf);
    assert_int_equal(rc, ERR_INVALID);
    assert_string_equal(
        buf_str(&problems),
        "f:2:3: unknown key \"Datastore-Prot\" in [global], did you mean \"Datastore-Port\"?\n"
        "f:3:1: unknown key \"Tags\" in [global], it belongs into [Default-Well]\n"
        "f:5:1: unknown key \"Zzzzzzzz\" in [global]\n"
        "f:6:2: unknown section [Nope]\n"
        "f:8:2: unknown section [Storage-Wel \"x\"], did you mean [Storage-Well]?\n"
        "f:10:1: unknown key \"Tag\" in [Storage-Well \"x\"], did you mean \"Tags\"?\n"
        "f:11:2: [Storage-Well] needs a name: [Storage-Well \"name\"]\n"
        "f:12:2: unknown section [global \"x\"]: [Global] takes no name in quotes\n"
        "f:15:8: Number in [global]: \"x\" is not an integer\n");
    assert_non_null(strstr(err_text(), "f:2:3: unknown key"));
    assert_non_null(strstr(err_text(), "(and 8 more)"));
    buf_deinit(&problems);
}

static void other_spellings_mean_the_same(void **state)
{
    (void)state;
    struct conf *conf = parse(SPAN_LIT("[storage-wells \"x\"]\nMax-Hot-Data-GB=7\n"
                                       "[AI]\nAnything=1\nMore\n[AI \"named\"]\nX=2"));
    assert_int_equal(conf_int(conf, "Storage-Well", "x", "Max-Hot-Storage-GB"), 7);
    conf_free(&conf);
}

static void where_a_value_stands_is_known(void **state)
{
    (void)state;
    struct conf *conf = parse(SPAN_LIT("[global]\nA=1\n\n  A=2\n[Default-Well]\n"));
    assert_string_equal(conf_where(conf, CONF_GLOBAL, "A"), "test.conf:4:3");
    assert_string_equal(conf_where(conf, CONF_GLOBAL, "Number"), "test.conf:1:2");
    assert_string_equal(conf_where(conf, "Default-Well", NULL, "Tags"), "test.conf:5:2");
    assert_string_equal(conf_where(conf, "Default-Well", NULL, NULL), "test.conf:5:2");
    assert_string_equal(conf_where(conf, "Storage-Well", "x", "Tags"), "test.conf");
    conf_free(&conf);
}

static void a_text_beyond_the_bound_is_refused(void **state)
{
    (void)state;
    struct buf text = {0};
    buf_append_str(&text, "[global]\n");
    while (text.bytes < CONF_FILE_BYTES_MAX) {
        buf_append_byte(&text, '#');
    }
    struct conf *conf = parse(buf_span(&text));
    conf_free(&conf);
    buf_append_byte(&text, '#');
    expect_problem(buf_span(&text), "test.conf: has 4194305 bytes, at most 4194304 are read");
    buf_deinit(&text);
}

static void a_file_of_rubbish_is_refused_quickly_and_its_problems_are_counted(void **state)
{
    (void)state;
    struct buf text = {0};
    struct buf problems = {0};
    struct conf *conf = NULL;
    buf_append_str(&text, "[global]\n");
    for (int i = 0; i < 100000; i++) {
        buf_printf(&text, "Datastore-Prot%d=1\n", i);
    }
    assert_int_equal(conf_parse(buf_span(&text), "f", &schema, &problems, &conf), ERR_INVALID);
    assert_non_null(strstr(err_text(), "(and 99999 more)"));
    assert_non_null(strstr(buf_str(&problems), "\nand 99800 more\n"));
    buf_deinit(&problems);
    buf_deinit(&text);
}

/* ---- files ---- */

static void write_file(struct io *io, const char *path, const char *text)
{
    assert_int_equal(io_write_file(io, path, span_of_str(text)), 0);
}

static struct io_sim sim_with_main_file(const char *text)
{
    struct io_sim sim;
    io_sim_init(&sim, 1);
    assert_int_equal(io_make_dirs(&sim.io, "/etc/aquifer/x.conf.d"), 0);
    write_file(&sim.io, "/etc/aquifer/x.conf", text);
    return sim;
}

static struct conf *load(struct io *io)
{
    struct conf *conf = NULL;
    if (conf_load(io, "/etc/aquifer/x.conf", &schema, &conf) < 0) {
        fail_msg("%s", err_text());
    }
    return conf;
}

static void expect_load_problem(struct io *io, const char *expected)
{
    struct conf *conf = NULL;
    int rc = conf_load(io, "/etc/aquifer/x.conf", &schema, &conf);
    if (rc == 0 || strstr(err_text(), expected) == NULL) {
        fail_msg("\"%s\" is not about \"%s\"", rc == 0 ? "" : err_text(), expected);
    }
}

static void overlays_are_merged_in_byte_order(void **state)
{
    (void)state;
    struct io_sim sim =
        sim_with_main_file("[global]\nA=main\nItem=main\n[Storage-Well \"w\"]\nTags=a");
    struct io *io = &sim.io;
    write_file(io, "/etc/aquifer/x.conf.d/20.conf", "[global]\nA=twenty\nItem=twenty\n");
    write_file(io, "/etc/aquifer/x.conf.d/10.conf", "[global]\nA=ten\nItem=ten\n");
    write_file(io, "/etc/aquifer/x.conf.d/Z.conf",
               "[Storage-Well \"w\"]\nTags=b\n"
               "[Storage-Well \"v\"]\nTags=c");
    write_file(io, "/etc/aquifer/x.conf.d/ignored.txt", "not a configuration");
    write_file(io, "/etc/aquifer/x.conf.d/ignored.conf~", "not a configuration");
    assert_int_equal(io_make_dirs(io, "/etc/aquifer/x.conf.d/directory.conf"), 0);
    struct conf *conf = load(io);
    assert_string_equal(conf_text(conf, CONF_GLOBAL, "A"), "twenty");
    assert_string_equal(conf_list(conf, CONF_GLOBAL, "Item", 0), "main");
    assert_string_equal(conf_list(conf, CONF_GLOBAL, "Item", 1), "ten");
    assert_string_equal(conf_list(conf, CONF_GLOBAL, "Item", 2), "twenty");
    assert_int_equal(conf_list_count(conf, "Storage-Well", "w", "Tags"), 2);
    assert_int_equal(conf_subsection_count(conf, "Storage-Well"), 2);
    assert_string_equal(conf_where(conf, CONF_GLOBAL, "A"), "/etc/aquifer/x.conf.d/20.conf:2:1");
    conf_free(&conf);

    write_file(io, "/etc/aquifer/x.conf.d/30.conf", "A=no section\n");
    expect_load_problem(io, "/etc/aquifer/x.conf.d/30.conf:1:1: a key before any section");
    io_sim_deinit(&sim);
}

static void a_missing_overlay_directory_is_fine_and_a_file_in_its_place_is_not(void **state)
{
    (void)state;
    struct io_sim sim = sim_with_main_file("[global]\nA=main\n");
    assert_int_equal(io_remove_dir(&sim.io, "/etc/aquifer/x.conf.d"), 0);
    struct conf *conf = load(&sim.io);
    conf_free(&conf);
    write_file(&sim.io, "/etc/aquifer/x.conf.d", "");
    expect_load_problem(&sim.io, "/etc/aquifer/x.conf.d");
    assert_int_equal(io_remove(&sim.io, "/etc/aquifer/x.conf.d"), 0);
    assert_int_equal(io_remove(&sim.io, "/etc/aquifer/x.conf"), 0);
    expect_load_problem(&sim.io, "/etc/aquifer/x.conf");
    io_sim_deinit(&sim);
}

static void clear_environment(void)
{
    static const char *const names[] = {
        "AQ_TEST_ITEMS",  "AQ_TEST_INSECURE", "AQ_TEST_INSECURE_TOO",
        "AQ_TEST_NUMBER", "AQ_TEST_SECRET",   "AQ_TEST_SECRET_FILE",
    };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        unsetenv(names[i]);
    }
}

static void the_environment_fills_what_the_file_leaves_open(void **state)
{
    (void)state;
    clear_environment();
    setenv("AQ_TEST_ITEMS", " a , b,, c ", 1);
    setenv("AQ_TEST_INSECURE_TOO", "Y", 1);
    setenv("AQ_TEST_NUMBER", "7", 1);
    setenv("AQ_TEST_SECRET", "from outside", 1);
    struct io_sim sim = sim_with_main_file("[global]\nInsecure=false\nNumber=0\nSecret=\n");
    struct conf *conf = load(&sim.io);
    assert_int_equal(conf_list_count(conf, CONF_GLOBAL, "Item"), 3);
    assert_string_equal(conf_list(conf, CONF_GLOBAL, "Item", 1), "b");
    assert_true(conf_bool(conf, CONF_GLOBAL, "Insecure"));
    assert_int_equal(conf_int(conf, CONF_GLOBAL, "Number"), 7);
    assert_string_equal(conf_text(conf, CONF_GLOBAL, "Secret"), "from outside");
    assert_string_equal(conf_where(conf, CONF_GLOBAL, "Secret"),
                        "environment variable AQ_TEST_SECRET");
    conf_free(&conf);

    write_file(&sim.io, "/etc/aquifer/x.conf",
               "[global]\nInsecure=true\nNumber=3\nSecret=file\nItem=z\n");
    setenv("AQ_TEST_INSECURE", "false", 1);
    conf = load(&sim.io);
    assert_int_equal(conf_list_count(conf, CONF_GLOBAL, "Item"), 1);
    assert_true(conf_bool(conf, CONF_GLOBAL, "Insecure"));
    assert_int_equal(conf_int(conf, CONF_GLOBAL, "Number"), 3);
    assert_string_equal(conf_text(conf, CONF_GLOBAL, "Secret"), "file");
    conf_free(&conf);

    write_file(&sim.io, "/etc/aquifer/x.conf", "[global]\n");
    setenv("AQ_TEST_NUMBER", "many", 1);
    expect_load_problem(&sim.io, "environment variable AQ_TEST_NUMBER: is not an integer");
    io_sim_deinit(&sim);
    clear_environment();
}

static void a_file_variable_gives_its_first_line(void **state)
{
    (void)state;
    clear_environment();
    setenv("AQ_TEST_SECRET_FILE", "/etc/aquifer/secret", 1);
    struct io_sim sim = sim_with_main_file("[global]\n");
    write_file(&sim.io, "/etc/aquifer/secret", "s3cret \r\nsecond line\n");
    struct conf *conf = load(&sim.io);
    assert_string_equal(conf_text(conf, CONF_GLOBAL, "Secret"), "s3cret ");
    conf_free(&conf);
    setenv("AQ_TEST_SECRET", "direct", 1);
    conf = load(&sim.io);
    assert_string_equal(conf_text(conf, CONF_GLOBAL, "Secret"), "direct");
    conf_free(&conf);
    unsetenv("AQ_TEST_SECRET");
    write_file(&sim.io, "/etc/aquifer/secret", "");
    expect_load_problem(&sim.io, "AQ_TEST_SECRET_FILE: /etc/aquifer/secret: its first line is");
    assert_int_equal(io_remove(&sim.io, "/etc/aquifer/secret"), 0);
    expect_load_problem(&sim.io, "environment variable AQ_TEST_SECRET_FILE: ");
    io_sim_deinit(&sim);
    clear_environment();
}

static void docker_secrets_are_read_when_asked_for(void **state)
{
    (void)state;
    clear_environment();
    struct io_sim sim = sim_with_main_file("[global]\nDocker-Secrets=true\n");
    struct conf *conf = load(&sim.io);
    assert_string_equal(conf_text(conf, CONF_GLOBAL, "Secret"), "secrets");
    conf_free(&conf);
    assert_int_equal(io_make_dirs(&sim.io, "/run/secrets"), 0);
    write_file(&sim.io, "/run/secrets/control_secret", "whale\n");
    conf = load(&sim.io);
    assert_string_equal(conf_text(conf, CONF_GLOBAL, "Secret"), "whale");
    conf_free(&conf);
    write_file(&sim.io, "/etc/aquifer/x.conf", "[global]\n");
    conf = load(&sim.io);
    assert_string_equal(conf_text(conf, CONF_GLOBAL, "Secret"), "secrets");
    conf_free(&conf);
    io_sim_deinit(&sim);
}

static void a_bound_on_overlays_is_kept(void **state)
{
    (void)state;
    struct io_sim sim = sim_with_main_file("[global]\n");
    for (int i = 0; i <= 1024; i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "/etc/aquifer/x.conf.d/%04d.conf", i);
        write_file(&sim.io, path, "");
    }
    expect_load_problem(&sim.io, "1024.conf: more than 1024 overlay files");
    io_sim_deinit(&sim);
}

static void a_bound_on_sections_is_kept(void **state)
{
    (void)state;
    struct buf text = {0};
    for (int i = 0; i <= 65536; i++) {
        buf_printf(&text, "[Storage-Well \"%d\"]\nTags=x\n", i);
    }
    expect_problem(buf_span(&text), "test.conf:131073:2: more than 65536 sections");
    buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_read_as_the_reference_parser_reads_them),
        cmocka_unit_test(crlf_and_a_byte_order_mark_change_nothing),
        cmocka_unit_test(syntax_errors_name_line_and_column),
        cmocka_unit_test(names_ignore_case_and_subsections_do_not),
        cmocka_unit_test(a_section_may_be_opened_again),
        cmocka_unit_test(a_key_without_a_value_is_true_or_resets_its_list),
        cmocka_unit_test(booleans_have_four_spellings_each),
        cmocka_unit_test(numbers_are_whole_or_refused),
        cmocka_unit_test(durations_and_levels),
        cmocka_unit_test(what_is_absent_or_empty_has_its_default),
        cmocka_unit_test(unknown_names_are_all_reported_with_what_was_meant),
        cmocka_unit_test(other_spellings_mean_the_same),
        cmocka_unit_test(where_a_value_stands_is_known),
        cmocka_unit_test(a_text_beyond_the_bound_is_refused),
        cmocka_unit_test(a_file_of_rubbish_is_refused_quickly_and_its_problems_are_counted),
        cmocka_unit_test(overlays_are_merged_in_byte_order),
        cmocka_unit_test(a_missing_overlay_directory_is_fine_and_a_file_in_its_place_is_not),
        cmocka_unit_test(the_environment_fills_what_the_file_leaves_open),
        cmocka_unit_test(a_file_variable_gives_its_first_line),
        cmocka_unit_test(docker_secrets_are_read_when_asked_for),
        cmocka_unit_test(a_bound_on_overlays_is_kept),
        cmocka_unit_test(a_bound_on_sections_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
