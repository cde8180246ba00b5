/* Modules that work on texts: abs, printf, hexlify, base64, unescape, trim and its kin, path. */
#include "query/modules_testing.h"

static void abs_takes_the_sign_away(void **unused)
{
    (void)unused;
    expect("tag=app json user==bob ms | eval x = 0 - ms; | abs x as y | table x y", "-40 40\n");
    expect("tag=app json user==bob ms | eval x = -1.5; | abs x | table x", "1.5\n");
    expect("tag=app json user==bob | abs user | table user", "bob\n"); /* no number: as it was */
    refuse("tag=app abs", "a name is missing");
    refuse("tag=app abs x as", "a name must follow 'as'");
}

static void printf_writes_values_by_a_format(void **unused)
{
    (void)unused;
    expect("tag=app json user==bob ms | printf \"%s took %05.1f of %v\" user ms TAG | table printf",
           "bob took 040.0 of app\n");
    expect("tag=app json user==bob ms | printf -e line \"%d%%\" ms | table line", "40%\n");
    expect("tag=kv2 printf -e DATA \"<%s>\" DATA | table DATA", "<x:1|y:2>\n");
    refuse("tag=app printf", "a format is missing");
    refuse("tag=app printf -x a", "unknown flag '-x'");
}

static void hexlify_writes_and_reads_pairs_of_digits(void **unused)
{
    (void)unused;
    expect("tag=app json user==bob | hexlify user as h | hexlify -d h as back | table user h back",
           "bob 626f62 bob\n");
    expect("tag=kv2 hexlify | table DATA", "783a317c793a32\n");
    expect("tag=app json user==bob | hexlify -d user | table user", "bob\n");
}

static void base64_goes_there_and_back(void **unused)
{
    (void)unused;
    expect("tag=app json user==bob | base64 -t b user | base64 -d -t c b | table b c",
           "Ym9i bob\n");
    expect("tag=kv2 base64 | table DATA", "eDoxfHk6Mg==\n");
    expect("tag=kv2 base64 -raw | table DATA", "eDoxfHk6Mg\n");
    expect("tag=kv2 eval x = \"a?>~\"; | base64 -u x | table x", "YT8-fg==\n");
    expect("tag=kv2 eval x = \"YT8-fg\"; | base64 -d -u x | table x", "a?>~\n");
    expect("tag=kv2 eval x = \"Ym9i!?\"; | base64 -d x | table x", "bob\n"); /* as far as it goes */
    expect("tag=kv2 eval x = \"Ym9i!?\"; | base64 -d -s x | table x", "");
    refuse("tag=kv2 base64 a b", "too many names");
}

static void escapes_are_decoded(void **unused)
{
    (void)unused;
    expect("tag=kv2 eval x = \"a\\\\tb\\\\u00e9\\\\/\\\\q\"; | unescape x | hexlify x | table x",
           "6109"
           "62c3a92f5c71\n");
    expect("tag=kv2 eval x = \"\\\\ud83d\\\\ude00\"; | unescape x | hexlify x | table x",
           "f09f9880\n");
    expect("tag=kv2 eval x = \"a%20b+c\"; | unescape -url x | table x", "a b c\n");
}

static void trims_take_off_what_they_are_told(void **unused)
{
    (void)unused;
    static const struct {
        const char *stage, *want;
    } rows[] = {
        {"trim x \"abcd\"", "[my has querie]"},
        {"trimleft x \"abcd\"", "[my has queried]"},
        {"trimright x \"abcd\"", "[amy has querie]"},
        {"trimprefix x \"amy \"", "[has queried]"},
        {"trimprefix x \"may \"", "[amy has queried]"},
        {"trimsuffix x \" queried\"", "[amy has]"},
        {"eval x = \"  a b \\t\"; | trimspace x", "[a b]"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char *query = mem_printf("tag=kv2 eval x = \"amy has queried\"; | %s | printf -e x "
                                 "\"[%%s]\" x | table x",
                                 rows[i].stage);
        char *want = mem_printf("%s\n", rows[i].want);
        expect(query, want);
        mem_free(query);
        mem_free(want);
    }
    refuse("tag=kv2 trim x", "a value and a text were expected");
    refuse("tag=kv2 trin x", "did you mean 'trim'");
}

static void paths_are_taken_apart(void **unused)
{
    (void)unused;
    static const struct {
        const char *path, *want;
    } rows[] = {
        {"/opt/gravwell/etc/gravwell.conf", "gravwell.conf|/opt/gravwell/etc|.conf|"},
        {"C:\\\\Users\\\\ann\\\\foo.txt", "foo.txt|C:\\Users\\ann|.txt|C:"},
        {"\\\\\\\\Network\\\\foo\\\\bar", "bar|\\\\Network\\foo\\||\\\\Network\\foo"},
        {"foo", "foo|.||"},
        {"/", "/|/||"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char *query = mem_printf("tag=kv2 eval p = \"%s\"; | path -e p base dir ext volume | "
                                 "concat -s \"|\" base dir ext volume | table concat",
                                 rows[i].path);
        struct buf out = {0};
        (void)ask(query, 1, 10, &out);
        char *got = cells(buf_span(&out), false);
        if (strncmp(got, rows[i].want, strlen(got) - 1) != 0) {
            fail_msg("%s: %s, not %s", rows[i].path, got, rows[i].want);
        }
        mem_free(got);
        mem_free(query);
        buf_deinit(&out);
    }
    expect("tag=kv2 eval p = \"/a/b.txt\"; | path -e p base ext==.txt as e | table base e",
           "b.txt .txt\n");
    expect("tag=kv2 eval p = \"/a/b.txt\"; | path -e p ext==.gz | table ext", "");
    refuse("tag=kv2 path name", "base, dir, ext or volume was expected");
    refuse("tag=kv2 path", "what to extract is missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(abs_takes_the_sign_away),
        cmocka_unit_test(printf_writes_values_by_a_format),
        cmocka_unit_test(hexlify_writes_and_reads_pairs_of_digits),
        cmocka_unit_test(base64_goes_there_and_back),
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(trims_take_off_what_they_are_told),
        cmocka_unit_test(paths_are_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
