/*
 * eval: the worked examples of the language sheet over any spread of the data, operators and
 * functions one by one, and bounds: no program runs for ever or takes all memory.
 */
#include "query/modules_testing.h"

static void an_expression_decides_who_passes(void **unused)
{
    (void)unused;
    expect("tag=app json user ms code | eval ms > 10 | table user", "alice\nbob\n");
    expect("tag=app json user ms code | eval (user == \"bob\" || code == 404) | table user code",
           "alice 404\nbob 500\n");
    expect("tag=app json user ms code | (user == \"bob\" || code == 404) | table user code",
           "alice 404\nbob 500\n");
    expect("tag=app json user ms | (ms > 20 && user != \"bob\") | table user", "");
    expect("tag=app json user | eval in(user, \"bob\", \"carol\") | table user", "bob\n");
    expect("tag=app json ms | eval has(ms) | table ms", "12.5\n3\n40\n");
    expect("tag=app json code | eval code & 1 | table code", "");
    expect("tag=* eval TAG == \"auth\" | eval DATA ~ \"root\" | table TAG", "auth\n");
    expect("tag=auth eval SRC == \"10.0.0.5\" | stats count | table count", "2\n");
    expect("tag=auth eval TIMESTAMP >= time(\"2026-01-02T12:00:02Z\") | stats count | table count",
           "2\n");
}

static void statements_set_values_and_return_decides(void **unused)
{
    (void)unused;
    expect("tag=app json -s code user | eval if (int(code) >= 400) { cls = \"bad\"; } else { cls = "
           "\"ok\"; } | table user code cls",
           " 200 ok\nalice 200 ok\nalice 404 bad\nbob 500 bad\n");
    expect_ordered("tag=app sort by time asc | limit 3 | eval var n = 0; n++; seq = n; | table seq",
                   "1\n2\n3\n");
    expect("tag=app json -s code | eval if (code == 200) { return false; } x = code * 2; | table x",
           "1000\n808\n");
    expect("tag=app json -s ms | eval half = ms / 2.0 | table half", "1.5\n20\n6.25\n");
    expect("tag=app json -s user ms | eval ms = ms + 1; who = strings_toupper(user) + \"!\"; | "
           "table who ms",
           "ALICE! 13.5\nALICE! 4\nBOB! 41\n");
    expect("tag=app json code | require code | eval if (int(code) >= 400) { bad = 1; } else { bad "
           "= 0; } | stats mean(bad) | table mean",
           "0.5\n");
    expect("tag=auth limit 1 | eval map seen; seen[\"a\"] = 7; x = seen[\"a\"]; y = has_key(seen, "
           "\"b\"); | table x y",
           "7 false\n");
    expect("tag=app json user | eval map seen; if (has_key(seen, user)) { return false; } "
           "seen[user] = 1; | stats count by user | table user count",
           " 1\nalice 1\nbob 1\n");
    expect("tag=app json -s user | eval delete(\"user\"); | table user", "\n\n\n\n");
    expect("tag=auth limit 1 | eval set_data(\"x=1\"); | kv x | table x DATA", "1 x=1\n");
}

/* `x` over one entry. */
static void gives(const char *expression, const char *want)
{
    char *query = mem_printf("tag=kv2 eval x = %s; | table -nt x", expression);
    char *line = mem_printf("%s\n", want);
    expect_with(query, line, true);
    mem_free(query);
    mem_free(line);
}

static void operators_are_those_of_c_with_promotion(void **unused)
{
    (void)unused;
    gives("1 + 2 * 3 - 4 / 2", "5");
    gives("(1 | 6) ^ 2", "5");
    gives("7 % 4 << 2", "12");
    gives("-7 / 2", "-3");
    gives("7 / 2.0", "3.5");
    gives("1 / 0", "");
    gives("\"56\" < 3.14", "false");
    gives("\"9\" < \"10\"", "false");
    gives("\"9\" < 10", "true");
    gives("\"a\" + \"b\" + \"c\"", "abc");
    gives("\"abc\" ~ \"bc\"", "true");
    gives("\"abc\" !~ \"bc\"", "false");
    gives("missing == 1", "false");
    gives("missing != 1", "false");
    gives("missing + 1", "");
    gives("!missing", "true");
    gives("1 < 2 ? \"yes\" : \"no\"", "yes");
    gives("0x10 + 0b11", "19");
    gives("-9223372036854775807 - 1 - 1", "9223372036854775807");
    gives("1 << 64", "0");
    gives("true && 0", "false");
    gives("{1, \"b\", 3}[1]", "b");
    gives("{1, 2, 3}[1:]", "[ 2 3 ]");
    gives("\"abcdef\"[1:3]", "bc");
    gives("\"abcdef\"[-2:]", "ef");
    gives("time(\"2026-01-02T12:00:00Z\") - time(\"2026-01-02T11:00:00Z\")", "1h0m0s");
    gives("time(\"2026-01-02T12:00:00Z\") + duration(\"90s\")", "2026-01-02T12:01:30Z");
    gives("ip(\"::ffff:10.0.0.1\") == \"10.0.0.1\"", "true");
}

static void functions_do_what_their_names_say(void **unused)
{
    (void)unused;
    gives("len(\"abc\")", "3");
    gives("type(1.5)", "float");
    gives("match(\"abc123\", \"^[a-z]+\\d+$\")", "true");
    gives("mac(\"AA-BB-CC-00-11-22\")", "aa:bb:cc:00:11:22");
    gives("mac(\"aabbcc001122\")", "aa:bb:cc:00:11:22");
    gives("location(50.1, 14)", "50.1 14");
    gives("location(\"50.1 14\")", "50.1 14");
    gives("log(\"x\") + \"y\"", "xy");
    gives("ip_in_cidr(\"10.2.3.4\", \"10.0.0.0/8\")", "true");
    gives("unix(time(\"2026-01-02T12:00:00Z\"))", "1767355200");
    gives("printf(\"%05d|%-4s|%x|%.2f|%%\", 42, \"ab\", 255, 3.14159)", "00042|ab  |ff|3.14|%");
    gives("strings_replace(\"aaa\", \"a\", \"b\", 2)", "bba");
    gives("strings_count(\"cheese\", \"e\")", "3");
    gives("strings_index(\"chicken\", \"ken\")", "4");
    gives("strings_trim(\"xxhixx\", \"x\")", "hi");
    gives("strings_totitle(\"ab cd\")", "AB CD"); /* every letter, not the first of each word */
    gives("hash_md5(\"\")", "d41d8cd98f00b204e9800998ecf8427e");
    gives("hash_sha1(\"abc\")", "a9993e364706816aba3e25717850c26c9cd0d89d");
    gives("base64_decode(base64_encode(\"abc\"))", "abc");
    gives("hex_encode(\"AB\")", "4142");
    gives("html_unescape(html_escape(\"<a&b>\"))", "<a&b>");
    gives("path_base(\"/a/b.txt\")", "b.txt");
    gives("path_dir(\"/a/b.txt\")", "/a");
    gives("path_ext(\"/a/b.txt\")", ".txt");
    gives("path_clean(\"/a/../b//c/.\")", "/b/c");
    gives("path_clean(\"../a/..\")", "..");
    gives("path_join(\"a\", \"b\", \"../c\")", "a/c");
    gives("json_get(\"{\\\"a\\\":{\\\"b\\\":[1,2]}}\", \"a.b.1\")", "2");
    gives("json_set(\"{}\", \"a\", 5)", "{\"a\":5}");
    gives("json_object(\"k\", 1, \"l\", \"x\")", "{\"k\":1,\"l\":\"x\"}");
    gives("json_len(json_array(1, 2, 3))", "3");
    gives("json_keys(\"{\\\"a\\\":1}\")", "[ a ]");
    gives("floor(2.7) + math_pow(2, 10)", "1026");
    gives("math_sqrt(-1)", "");
    gives("pretty_size(1536)", "1.50 KB");
    gives("pretty_count(1500)", "1.50 K");
    gives("append({1}, 2, 3)", "[ 1 2 3 ]");
    gives("int8(300)", "44");
    gives("int(\"12.9\")", "12");
    gives("string(1) + \"a\"", "1a");
    gives("evs()", "[ ]");
    gives("in(3, {1, 2, 3})", "true");
}

static void loops_and_switches_run_as_in_c(void **unused)
{
    (void)unused;
    expect("tag=kv2 eval s = 0; for (i = 0; i < 10; i++) { if (i == 3) { continue; } if (i == 6) { "
           "break; } s = s + i; } | table s i",
           "12 6\n");
    expect("tag=app json -s code | eval switch (code) { case 200: k = \"ok\"; break; case 404: "
           "case 500: k = \"bad\"; } | table code k",
           "200 ok\n200 ok\n404 bad\n500 bad\n");
    expect("tag=app json -s code | eval switch (code) { case 1: k = 1; default: k = 2; } | "
           "stats sum(k) | table sum",
           "8\n");
    expect("tag=kv2 eval x = 5; y = x++; | table x y", "6 5\n");
    expect("tag=kv2 eval x = 5; x += 2; x -= 1; $(odd name) = x; | table \"odd name\"", "6\n");
}

/* The entry is dropped and counted; the search goes on. */
static void no_program_runs_for_ever(void **unused)
{
    (void)unused;
    expect_failed("tag=kv2 eval for (;;) { } | table x", 1);
    expect_failed("tag=kv2 eval for (i = 0; i < 3000000; i++) { } | table x", 1);
    expect_failed(
        "tag=kv2 eval s = \"aaaaaaaa\"; for (i = 0; i < 100; i++) { s = s + s; } | table s", 1);
    expect_failed("tag=slow eval match(DATA, \"^(a+)+$\") | table TAG", 1);
    expect_failed("tag=app eval for (i = 0; i < 10; i++) { } | table i", 0);
}

static void what_is_no_program_is_refused_with_its_place(void **unused)
{
    (void)unused;
    refuse("tag=app eval", "an expression is missing");
    refuse("tag=app eval ms >", "a value was expected at the end");
    refuse("tag=app eval (ms > 1", "'(' without its ')'");
    refuse("tag=app eval ms @ 1", "a character that has no meaning");
    refuse("tag=app eval prinft(ms)", "unknown function 'prinft', did you mean 'printf'");
    refuse("tag=app eval len(a, b)", "len() takes 1 to 1 arguments, not 2");
    refuse("tag=app eval match(ms, ms)", "needs an expression in quotes");
    refuse("tag=app eval match(ms, \"(\")", "missing closing parenthesis");
    refuse("tag=app eval 5 = x", "a name before '='");
    refuse("tag=app eval TAG = \"x\"", "a name that may be set");
    refuse("tag=app eval if (x) {", "'}' was expected at the end");
    refuse("tag=app eval x y", "';' was expected, not 'y'");
    struct query *query = NULL;
    struct query_error error;
    assert_int_equal(query_parse(SPAN_LIT("tag=app eval ms ++++ 7"), &test_options, &query, &error),
                     ERR_INVALID);
    assert_int_equal(error.offset, 18);
    struct buf deep = {0};
    buf_append_str(&deep, "tag=app eval ");
    for (size_t i = 0; i < 50000; i++) {
        buf_append_str(&deep, "(");
    }
    buf_append_str(&deep, "1");
    for (size_t i = 0; i < 50000; i++) {
        buf_append_str(&deep, ")");
    }
    refuse(buf_str(&deep), "nested too deeply");
    buf_clear(&deep);
    buf_append_str(&deep, "tag=app eval ");
    for (size_t i = 0; i < 50000; i++) {
        buf_append_str(&deep, "!");
    }
    refuse(buf_str(&deep), "nested too deeply");
    buf_deinit(&deep);
}

/* As a program writes them: some hundred operators in a row run, so many that the stack of the
 * indexer would not do are refused. */
static void a_row_of_operators_never_takes_the_stack(void **unused)
{
    (void)unused;
    struct buf row = {0};
    for (size_t i = 0; i < 1500; i++) {
        buf_append_str(&row, "1 + ");
    }
    buf_append_str(&row, "1");
    gives(buf_str(&row), "1501");
    static const char *const links[] = {" + 1", " || x", "[0]"};
    for (size_t i = 0; i < ARRAY_COUNT(links); i++) {
        buf_clear(&row);
        buf_append_str(&row, "tag=kv2 eval (x");
        for (size_t j = 0; j < 40000; j++) {
            buf_append_str(&row, links[i]);
        }
        buf_append_str(&row, ")");
        refuse(buf_str(&row), "too many operators in a row");
    }
    buf_deinit(&row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_expression_decides_who_passes),
        cmocka_unit_test(statements_set_values_and_return_decides),
        cmocka_unit_test(operators_are_those_of_c_with_promotion),
        cmocka_unit_test(functions_do_what_their_names_say),
        cmocka_unit_test(loops_and_switches_run_as_in_c),
        cmocka_unit_test(no_program_runs_for_ever),
        cmocka_unit_test(what_is_no_program_is_refused_with_its_place),
        cmocka_unit_test(a_row_of_operators_never_takes_the_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
