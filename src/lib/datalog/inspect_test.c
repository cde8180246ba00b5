/*
 * Looking at a log changes nothing, finds every record of a good one and every flipped bit of a
 * bad one, and does not take what is just being written for damage.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "datalog/inspect.h"
#include "io/sim.h"

#define RECORDS 60

struct sums {
    uint64_t files;
    uint64_t records;
    uint64_t missing;
    uint64_t damaged;
    uint64_t damages;
    uint64_t tail;
    uint64_t bad_headers;
    uint64_t next; /* position */
};

static int on_record(void *context, const struct datalog_seen_record *seen)
{
    struct sums *sums = context;
    char text[32];
    if (!seen->ignored) {
        assert_true(seen->record->position >= sums->next);
        sums->next = seen->record->position + 1;
        snprintf(text, sizeof(text), "record %d", (int)seen->record->position);
        assert_true(span_starts_with(seen->record->payload, span_of_str(text)));
        assert_true(span_equal_str(seen->record->well, "w"));
        assert_true(seen->group <= seen->record->position && seen->offset >= 64);
        sums->records++;
    }
    return 0;
}

static int on_damage(void *context, uint64_t file, uint64_t offset, uint64_t bytes)
{
    struct sums *sums = context;
    assert_true(file > 0 && bytes > 0);
    (void)offset;
    sums->damages++;
    return 0;
}

static int on_file(void *context, const struct datalog_seen_file *seen)
{
    struct sums *sums = context;
    sums->files++;
    sums->missing += seen->missing;
    sums->damaged += seen->damaged;
    sums->tail += seen->tail;
    sums->bad_headers += seen->header == NULL ? 1 : 0;
    return 0;
}

static struct sums inspect(struct io_sim *sim)
{
    struct sums sums = {0};
    struct datalog_visitor visitor = {
        .record = on_record, .damage = on_damage, .file = on_file, .context = &sums};
    assert_int_equal(datalog_inspect(&sim->io, "/log", &visitor), 0);
    return sums;
}

static struct datalog *open_log(struct io_sim *sim)
{
    struct datalog_options options = {
        .io = &sim->io, .dir = "/log", .node = {{1}}, .segment_bytes_max = 3000};
    struct datalog *log;
    assert_int_equal(datalog_open(&options, &log), 0);
    return log;
}

static void append(struct datalog *log, int number)
{
    char text[160];
    uint64_t position;
    snprintf(text, sizeof(text), "record %d %0100d", number, number);
    assert_int_equal(
        datalog_append(log, DATALOG_UPDATE, SPAN_LIT("w"), span_of_str(text), &position), 0);
    assert_true(position == (uint64_t)number);
}

static void make_log(struct io_sim *sim)
{
    io_sim_init(sim, 1);
    struct datalog *log = open_log(sim);
    for (int i = 1; i <= RECORDS; i++) {
        append(log, i);
    }
    datalog_close(&log);
}

static void a_good_log_is_seen_whole_while_it_runs_too(void **state)
{
    (void)state;
    struct io_sim sim;
    make_log(&sim);
    struct sums sums = inspect(&sim);
    assert_true(sums.records == RECORDS && sums.files > 3);
    assert_true(sums.missing + sums.damaged + sums.damages + sums.tail + sums.bad_headers == 0);
    struct datalog *log = open_log(&sim);
    append(log, RECORDS + 1);
    assert_int_equal(datalog_trim(log, 30), 0);
    sums = inspect(&sim);
    assert_true(sums.next == RECORDS + 2 && sums.missing + sums.damages == 0);
    assert_true(sums.records < RECORDS && sums.records > 30);
    append(log, RECORDS + 2); /* the writer was not disturbed */
    datalog_close(&log);
    io_sim_deinit(&sim);
}

struct file {
    char path[64];
    size_t index;
    size_t wanted;
};

static int find_file(void *context, const char *name)
{
    struct file *file = context;
    if (file->index++ == file->wanted) {
        snprintf(file->path, sizeof(file->path), "/log/%s", name);
    }
    return 0;
}

/* In a file that is not the newest there is no tail: whatever is wrong is damage. */
static void every_flipped_bit_is_found(void **state)
{
    (void)state;
    for (uint64_t at = 0;; at += 7) {
        struct io_sim sim;
        make_log(&sim);
        struct file file = {.wanted = 1};
        assert_int_equal(io_list(&sim.io, "/log", find_file, &file), 0);
        bool there = io_sim_flip(&sim, file.path, at, (uint8_t)(1 << at % 8));
        struct sums sums = inspect(&sim);
        io_sim_deinit(&sim);
        if (!there) {
            assert_true(at > 2000);
            break;
        }
        assert_true(sums.damages > 0);
        assert_true(at < DATALOG_ORIGINS_AT ? sums.bad_headers == 1
                                            : sums.missing == 1 && sums.damaged > 0);
        assert_true(sums.records == RECORDS - sums.missing);
    }
}

/* The newest file, cut off anywhere: the rest is a tail. */
static void an_unfinished_write_is_no_damage(void **state)
{
    (void)state;
    for (uint64_t cut = 1; cut < 200; cut++) {
        struct io_sim sim;
        struct io_file *io_file;
        uint64_t bytes;
        make_log(&sim);
        struct file file = {.wanted = SIZE_MAX};
        assert_int_equal(io_list(&sim.io, "/log", find_file, &file), 0);
        file.wanted = file.index - 1;
        file.index = 0;
        assert_int_equal(io_list(&sim.io, "/log", find_file, &file), 0);
        assert_int_equal(io_open(&sim.io, file.path, IO_WRITE, &io_file), 0);
        assert_int_equal(io_size(io_file, &bytes), 0);
        if (bytes > cut + 64) {
            assert_int_equal(io_truncate(io_file, bytes - cut), 0);
            struct sums sums = inspect(&sim);
            assert_true(sums.damages == 0 && sums.missing == 0);
            assert_true(sums.records == RECORDS - 1 || sums.records == RECORDS - 2);
            assert_true(sums.tail > 0 || sums.records == RECORDS - 1);
        }
        io_close(&io_file);
        io_sim_deinit(&sim);
    }
}

static void a_missing_file_is_missing_records(void **state)
{
    (void)state;
    struct io_sim sim;
    make_log(&sim);
    struct file file = {.wanted = 2};
    assert_int_equal(io_list(&sim.io, "/log", find_file, &file), 0);
    assert_int_equal(io_remove(&sim.io, file.path), 0);
    struct sums sums = inspect(&sim);
    assert_true(sums.missing > 5 && sums.records + sums.missing == RECORDS);
    io_sim_deinit(&sim);
}

static void a_directory_without_a_log_is_said(void **state)
{
    (void)state;
    struct io_sim sim;
    struct datalog_visitor visitor = {0};
    io_sim_init(&sim, 1);
    assert_int_equal(io_make_dirs(&sim.io, "/log"), 0);
    assert_int_equal(datalog_inspect(&sim.io, "/log", &visitor), ERR_NOT_FOUND);
    assert_int_equal(datalog_inspect(&sim.io, "/nowhere", &visitor), ERR_NOT_FOUND);
    io_sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_log_is_seen_whole_while_it_runs_too),
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(an_unfinished_write_is_no_damage),
        cmocka_unit_test(a_missing_file_is_missing_records),
        cmocka_unit_test(a_directory_without_a_log_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
