/* What is claimed: what is put into quarantine comes out as it was, oldest first, also reasons with
 * line ends; a full quarantine says so; names lead nowhere else. */
#include "warp10/refused.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

#define NAMES_MAX 8

struct names {
    char text[NAMES_MAX][64];
    size_t count;
};

static int collect(void *context, const char *name)
{
    struct names *names = context;
    assert_true(names->count < NAMES_MAX);
    snprintf(names->text[names->count++], sizeof(names->text[0]), "%s", name);
    return 0;
}

static void what_is_put_in_comes_out_and_goes(void **state)
{
    (void)state;
    char dir[] = "/tmp/aquifer-refused-test-XXXXXX";
    char sub[64];
    struct io *io = io_real();
    struct names names = {0};
    struct buf text = {0};
    struct refused_item got;
    assert_non_null(mkdtemp(dir));
    snprintf(sub, sizeof(sub), "%s/sub", dir);
    struct refused_item item = {.time_ns = 5,
                                .link = SPAN_LIT("paris"),
                                .target = SPAN_LIT("http://h:1"),
                                .reason = SPAN_LIT("500: a\nb: c"),
                                .tries = 5,
                                .request = SPAN_LIT("header\n1// a{} 1\n\n2// b{} 2\n")};
    assert_int_equal(refused_each(io, sub, collect, &names), 0);
    assert_int_equal(refused_put(io, sub, &item), 0);
    assert_int_equal(refused_put(io, sub, &item), 0); /* the same time */
    item.time_ns = 1;
    item.link = item.target = SPAN_NONE;
    assert_int_equal(refused_put(io, sub, &item), 0);
    assert_int_equal(refused_each(io, sub, collect, &names), 0);
    assert_int_equal(names.count, 3);
    assert_int_equal(refused_get(io, sub, names.text[0], &text, &got), 0);
    assert_int_equal(got.time_ns, 1);
    assert_int_equal(got.link.bytes, 0);
    assert_int_equal(refused_get(io, sub, names.text[1], &text, &got), 0);
    assert_int_equal(got.time_ns, 5);
    assert_int_equal(got.tries, 5);
    assert_true(span_equal_str(got.link, "paris"));
    assert_true(span_equal_str(got.target, "http://h:1"));
    assert_true(span_equal_str(got.reason, "500: a b: c"));
    assert_true(span_equal(got.request, item.request));
    assert_int_equal(refused_get(io, sub, "../x.refused", &text, &got), ERR_NOT_FOUND);
    assert_int_equal(refused_drop(io, sub, "passwd"), ERR_NOT_FOUND);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(refused_drop(io, sub, names.text[i]), 0);
    }
    names.count = 0;
    assert_int_equal(refused_each(io, sub, collect, &names), 0);
    assert_int_equal(names.count, 0);
    assert_int_equal(io_remove_dir(io, sub), 0);
    assert_int_equal(io_remove_dir(io, dir), 0);
    buf_deinit(&text);
}

static void damaged_files_are_said_to_be(void **state)
{
    (void)state;
    char dir[] = "/tmp/aquifer-refused-test-XXXXXX";
    char path[64];
    struct buf text = {0};
    struct refused_item got;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/a.refused", dir);
    assert_int_equal(io_write_file(io_real(), path, SPAN_LIT("Time: 5\nTries: 1\n")), 0);
    assert_int_equal(refused_get(io_real(), dir, "a.refused", &text, &got), ERR_CORRUPT);
    assert_int_equal(refused_drop(io_real(), dir, "a.refused"), 0);
    assert_int_equal(io_remove_dir(io_real(), dir), 0);
    buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_in_comes_out_and_goes),
        cmocka_unit_test(damaged_files_are_said_to_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
