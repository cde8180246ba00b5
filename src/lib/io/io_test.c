/*
 * Claims: writing a whole file is atomic (the old contents or the new, nothing between, even
 * when the disk is full half way), reading one has a bound, and a directory is not made where a
 * file stands.
 */
#include "io/io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

static char *dir;

static const char *at(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void expect_contents(const char *name, const char *expected)
{
    struct buf buf = {0};
    assert_int_equal(io_read_file(io_real(), at(name), 1000, &buf), 0);
    assert_string_equal(buf_str(&buf), expected);
    buf_deinit(&buf);
}

static void a_file_is_replaced_as_a_whole(void **state)
{
    (void)state;
    assert_int_equal(io_write_file(io_real(), at("file"), SPAN_LIT("first, longer")), 0);
    assert_int_equal(io_write_file(io_real(), at("file"), SPAN_LIT("second")), 0);
    expect_contents("file", "second");
    assert_false(io_exists(io_real(), at("file.tmp")));
}

static int no_space(struct io_file *file, uint64_t offset, struct span data)
{
    (void)offset;
    (void)data;
    return err_set(ERR_NO_SPACE, "write %s: no space left on device", file->path);
}

static struct io_methods full_methods;

static int open_full(struct io *io, const char *path, int flags, struct io_file **ret_file)
{
    (void)io;
    int rc = io_open(io_real(), path, flags, ret_file);
    if (rc == 0) {
        (*ret_file)->methods = &full_methods;
    }
    return rc;
}

static void a_failed_write_leaves_the_old_contents(void **state)
{
    (void)state;
    full_methods = *io_real()->methods;
    full_methods.open = open_full;
    full_methods.write_at = no_space;
    struct io full = {&full_methods};
    assert_int_equal(io_write_file(io_real(), at("kept"), SPAN_LIT("old")), 0);
    assert_int_equal(io_write_file(&full, at("kept"), SPAN_LIT("new")), ERR_NO_SPACE);
    expect_contents("kept", "old");
}

static void reading_has_a_bound_and_appends(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_append_str(&buf, "> ");
    assert_int_equal(io_write_file(io_real(), at("ten"), SPAN_LIT("0123456789")), 0);
    assert_int_equal(io_read_file(io_real(), at("ten"), 9, &buf), ERR_TOO_LARGE);
    assert_string_equal(buf_str(&buf), "> ");
    assert_int_equal(io_read_file(io_real(), at("ten"), 10, &buf), 0);
    assert_string_equal(buf_str(&buf), "> 0123456789");
    assert_int_equal(io_read_file(io_real(), at("none"), 10, &buf), ERR_NOT_FOUND);
    buf_deinit(&buf);
}

static void directories_are_not_made_through_files(void **state)
{
    (void)state;
    assert_int_equal(io_write_file(io_real(), at("plain"), SPAN_LIT("x")), 0);
    assert_true(io_make_dirs(io_real(), at("plain/below")) < 0);
    assert_non_null(strstr(err_text(), "plain"));
}

static int make_dir(void **state)
{
    (void)state;
    dir = mem_strdup("/tmp/aquifer-io-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    (void)state;
    char *command = mem_printf("rm -rf '%s'", dir);
    int rc = system(command);
    mem_free(command);
    mem_free(dir);
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_replaced_as_a_whole),
        cmocka_unit_test(a_failed_write_leaves_the_old_contents),
        cmocka_unit_test(reading_has_a_bound_and_appends),
        cmocka_unit_test(directories_are_not_made_through_files),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
