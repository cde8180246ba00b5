/*
 * Claims: the real door does what io.h says, on a real directory: reads stop at the end of the
 * file, every fault names its path and has the code that fits, a full disk is ERR_NO_SPACE.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/io.h"

static char *dir;

static const char *at(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static struct io_file *opened(const char *name, int flags)
{
    struct io_file *file;
    assert_int_equal(io_open(io_real(), at(name), flags, &file), 0);
    return file;
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    struct io_file *file = opened("data", IO_WRITE | IO_CREATE);
    char back[32] = {0};
    size_t got;
    uint64_t bytes;
    assert_int_equal(io_write_at(file, 5, SPAN_LIT("world")), 0);
    assert_int_equal(io_write_at(file, 0, SPAN_LIT("hello")), 0);
    assert_int_equal(io_sync(file), 0);
    assert_int_equal(io_read_at(file, 0, back, sizeof(back), &got), 0);
    assert_int_equal(got, 10);
    assert_string_equal(back, "helloworld");
    assert_int_equal(io_read_at(file, 100, back, sizeof(back), &got), 0);
    assert_int_equal(got, 0);
    assert_int_equal(io_truncate(file, 3), 0);
    assert_int_equal(io_size(file, &bytes), 0);
    assert_int_equal(bytes, 3);
    io_close(&file);
    assert_null(file);
    io_close(&file);
}

static void flags_of_open_are_kept(void **state)
{
    (void)state;
    struct io_file *file = opened("flags", IO_WRITE | IO_CREATE | IO_EXCLUSIVE);
    assert_int_equal(io_write_at(file, 0, SPAN_LIT("abc")), 0);
    io_close(&file);
    assert_int_equal(io_open(io_real(), at("flags"), IO_WRITE | IO_CREATE | IO_EXCLUSIVE, &file),
                     ERR_EXISTS);
    assert_non_null(strstr(err_text(), "/flags"));
    file = opened("flags", IO_READ);
    assert_true(io_write_at(file, 0, SPAN_LIT("x")) < 0);
    io_close(&file);
    file = opened("flags", IO_WRITE | IO_TRUNCATE);
    uint64_t bytes;
    assert_int_equal(io_size(file, &bytes), 0);
    assert_int_equal(bytes, 0);
    io_close(&file);
    assert_int_equal(io_open(io_real(), at("missing"), IO_READ, &file), ERR_NOT_FOUND);
}

static void names_move_link_and_go(void **state)
{
    (void)state;
    char *from = mem_strdup(at("from"));
    char *to = mem_strdup(at("to"));
    assert_int_equal(io_write_file(io_real(), from, SPAN_LIT("1")), 0);
    assert_int_equal(io_write_file(io_real(), to, SPAN_LIT("2")), 0);
    assert_int_equal(io_rename(io_real(), from, to), 0);
    assert_false(io_exists(io_real(), from));
    assert_int_equal(io_link(io_real(), to, from), 0);
    assert_int_equal(io_link(io_real(), to, from), ERR_EXISTS);
    assert_int_equal(io_sync_dir(io_real(), dir), 0);
    assert_int_equal(io_remove(io_real(), from), 0);
    assert_int_equal(io_remove(io_real(), from), ERR_NOT_FOUND);
    struct buf buf = {0};
    assert_int_equal(io_read_file(io_real(), to, 10, &buf), 0);
    assert_string_equal(buf_str(&buf), "1");
    buf_deinit(&buf);
    mem_free(from);
    mem_free(to);
}

static int collect(void *context, const char *name)
{
    buf_printf(context, "%s ", name);
    return strcmp(name, "stop") == 0 ? 42 : 0;
}

static void directories_are_made_listed_and_removed(void **state)
{
    (void)state;
    struct buf names = {0};
    assert_int_equal(io_make_dirs(io_real(), at("tree/deep/deeper")), 0);
    assert_int_equal(io_make_dirs(io_real(), at("tree/deep/deeper")), 0);
    assert_int_equal(io_write_file(io_real(), at("tree/b"), SPAN_NONE), 0);
    assert_int_equal(io_write_file(io_real(), at("tree/a"), SPAN_NONE), 0);
    assert_int_equal(io_list(io_real(), at("tree"), collect, &names), 0);
    assert_string_equal(buf_str(&names), "a b deep ");
    buf_clear(&names);
    assert_int_equal(io_write_file(io_real(), at("tree/stop"), SPAN_NONE), 0);
    assert_int_equal(io_write_file(io_real(), at("tree/z"), SPAN_NONE), 0);
    assert_int_equal(io_list(io_real(), at("tree"), collect, &names), 42);
    assert_string_equal(buf_str(&names), "a b deep stop ");
    assert_true(io_remove_dir(io_real(), at("tree/deep")) < 0);
    assert_int_equal(io_remove_dir(io_real(), at("tree/deep/deeper")), 0);
    assert_int_equal(io_list(io_real(), at("nowhere"), collect, &names), ERR_NOT_FOUND);
    buf_deinit(&names);
}

static void a_full_disk_is_told_from_a_broken_one(void **state)
{
    (void)state;
    struct io_file *file;
    assert_int_equal(io_open(io_real(), "/dev/full", IO_WRITE, &file), 0);
    assert_int_equal(io_write_at(file, 0, SPAN_LIT("x")), ERR_NO_SPACE);
    assert_non_null(strstr(err_text(), "write /dev/full"));
    io_close(&file);
}

static void clocks_and_space_are_plausible(void **state)
{
    (void)state;
    uint64_t free_bytes;
    uint64_t total;
    assert_int_equal(io_space(io_real(), dir, &free_bytes, &total), 0);
    assert_true(free_bytes <= total);
    assert_true(total > 0);
    int64_t before = io_monotonic_ns(io_real());
    assert_true(io_monotonic_ns(io_real()) >= before);
    assert_true(io_now_ns(io_real()) > INT64_C(1700000000000000000));
}

static void random_bytes_do_not_repeat(void **state)
{
    (void)state;
    uint8_t a[32] = {0};
    uint8_t b[32] = {0};
    io_random(io_real(), a, sizeof(a));
    io_random(io_real(), b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
}

static int make_dir(void **state)
{
    (void)state;
    dir = mem_strdup("/tmp/aquifer-io-real-XXXXXX");
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
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(flags_of_open_are_kept),
        cmocka_unit_test(names_move_link_and_go),
        cmocka_unit_test(directories_are_made_listed_and_removed),
        cmocka_unit_test(a_full_disk_is_told_from_a_broken_one),
        cmocka_unit_test(clocks_and_space_are_plausible),
        cmocka_unit_test(random_bytes_do_not_repeat),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
