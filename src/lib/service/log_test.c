/*
 * Log lines: their form, what is cut and cleaned, levels, the sink and the ring. Standard error is
 * a file while a test runs.
 */
#include "service/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"

static int real_stderr = -1;
static FILE *capture;

static int begin_capture(void **state)
{
    (void)state;
    capture = tmpfile();
    real_stderr = dup(STDERR_FILENO);
    log_init("aquifer-test", LOG_LEVEL_INFO);
    return capture == NULL || dup2(fileno(capture), STDERR_FILENO) < 0 ? -1 : 0;
}

static int end_capture(void **state)
{
    (void)state;
    (void)dup2(real_stderr, STDERR_FILENO);
    (void)close(real_stderr);
    (void)fclose(capture);
    return 0;
}

/* Everything written so far, to be freed. */
static char *captured(void)
{
    struct stat stat;
    assert_int_equal(fstat(fileno(capture), &stat), 0);
    char *text = mem_alloc((size_t)stat.st_size + 1);
    assert_int_equal(pread(fileno(capture), text, (size_t)stat.st_size, 0), stat.st_size);
    return text;
}

/* What follows "... aquifer-test - " of the only line. */
static void assert_line(int pri, const char *expected)
{
    char *text = captured();
    char *at = strstr(text, " aquifer-test - ");
    assert_non_null(at);
    assert_string_equal(at + strlen(" aquifer-test - "), expected);
    assert_int_equal(atoi(text + 1), pri);
    mem_free(text);
}

static void a_line_is_rfc_5424_with_structured_data(void **state)
{
    (void)state;
    log_info("login", "logged in", "user", "admin", "uid", LOG_INT(-7), NULL);
    assert_line(14, "login [gw@1 user=\"admin\" uid=\"-7\"] logged in\n");
    char *text = captured();
    char host[256];
    char time[64];
    int64_t ns;
    assert_int_equal(sscanf(text, "<14>1 %63s %255s aquifer-test - ", time, host), 2);
    assert_true(time_parse(span_of_str(time), &ns));
    char *dot = strchr(time, '.');
    assert_true(dot == NULL || strlen(dot) <= strlen(".123456Z")); /* microseconds at most */
    char own[256] = "";
    assert_int_equal(gethostname(own, sizeof(own) - 1), 0);
    assert_string_equal(host, own);
    mem_free(text);
}

static void a_line_without_fields_has_a_dash_and_null_values_are_left_out(void **state)
{
    (void)state;
    log_warn("x", "m", NULL);
    assert_line(12, "x - m\n");
    log_error("y", "m", "a", NULL, "b", "2", NULL);
    char *text = captured();
    assert_non_null(strstr(text, " - y [gw@1 b=\"2\"] m\n"));
    mem_free(text);
}

static void values_cannot_break_out_of_their_line_or_their_quotes(void **state)
{
    (void)state;
    log_info("a b]=\"", "one\ntwo\r\x1b[0m", "k y", "a\"b\\c]d\ne\xFF", "empty", "", NULL);
    assert_line(14,
                "a_b___ [gw@1 k_y=\"a\\\"b\\\\c\\]d e\xEF\xBF\xBD\" empty=\"\"] one two  [0m\n");
}

static void a_long_line_is_cut_within_its_bound_and_stays_utf8(void **state)
{
    (void)state;
    char *value = mem_alloc(40000);
    for (size_t i = 0; i + 2 < 40000; i += 2) {
        memcpy(value + i, "\xC3\xA4", 2);
    }
    log_info("long", "m", "v", value, "w", value, NULL);
    char *text = captured();
    size_t bytes = strlen(text);
    assert_true(bytes <= LOG_LINE_BYTES_MAX + 1 && bytes > LOG_LINE_BYTES_MAX - 8);
    assert_int_equal(text[bytes - 1], '\n');
    assert_true(text_is_utf8(span_of(text, bytes)));
    assert_ptr_equal(strchr(text, '\n'), text + bytes - 1);
    mem_free(text);
    mem_free(value);
}

static void a_fault_carries_its_text_and_code(void **state)
{
    (void)state;
    int rc = err_set(ERR_NO_SPACE, "append at 8192: no space left on device");
    log_fault("append-failed", "ingest pauses", rc, "well", "raw", NULL);
    char *text = captured();
    char *expected =
        mem_printf("[gw@1 error=\"append at 8192: no space left on device\" code=\"%s\" "
                   "well=\"raw\"] ingest pauses\n",
                   err_name(ERR_NO_SPACE));
    assert_non_null(strstr(text, expected));
    mem_free(expected);
    mem_free(text);
}

static void the_level_decides_what_is_written(void **state)
{
    (void)state;
    enum log_level level;
    assert_true(log_level_parse(SPAN_LIT("wArN"), &level));
    assert_false(log_level_parse(SPAN_LIT("loud"), &level));
    log_set_level(level);
    uint64_t before = log_count(LOG_LEVEL_ERROR);
    log_info("no", "m", NULL);
    log_trace("no", "m", NULL);
    log_debug("no", "m", NULL);
    log_error("yes", "m", NULL);
    assert_line(11, "yes - m\n");
    assert_int_equal(log_count(LOG_LEVEL_ERROR), before + 1);
}

struct taken {
    size_t count;
    enum log_level level;
    char last[300];
};

static void take(void *context, enum log_level level, struct span line)
{
    struct taken *taken = context;
    taken->count++;
    taken->level = level;
    (void)snprintf(taken->last, sizeof(taken->last), "%.*s", SPAN_ARG(line));
    log_warn("from-the-sink", "must not come back", NULL);
}

/* The sink logs itself: the line reaches stderr, and does not call the sink again. */
static void the_sink_gets_each_written_line_and_cannot_recurse(void **state)
{
    (void)state;
    struct taken taken = {0};
    log_set_sink(take, &taken);
    log_debug("not-written", "m", NULL);
    log_error("written", "m", "k", "v", NULL);
    log_set_sink(NULL, NULL);
    log_error("afterwards", "m", NULL);
    assert_int_equal(taken.count, 1);
    assert_int_equal(taken.level, LOG_LEVEL_ERROR);
    assert_non_null(strstr(taken.last, " written [gw@1 k=\"v\"] m"));
    assert_null(strchr(taken.last, '\n'));
    char *text = captured();
    assert_non_null(strstr(text, "from-the-sink - must not come back\n"));
    mem_free(text);
}

static void the_ring_keeps_the_last_events_of_every_level_in_order(void **state)
{
    (void)state;
    for (int i = 0; i < LOG_RING_LINES + 10; i++) {
        log_trace("step", "s", "n", LOG_INT(i), NULL);
    }
    struct buf ring = {0};
    log_recent(&ring);
    struct span rest = buf_span(&ring);
    struct span line;
    int expected = 10;
    while (span_split(&rest, '\n', &line)) {
        char n[32];
        (void)snprintf(n, sizeof(n), "n=\"%d\"", expected++);
        assert_true(span_find(line, span_of_str(n)) >= 0);
    }
    assert_int_equal(expected, LOG_RING_LINES + 10);
    buf_deinit(&ring);
    char *text = captured();
    assert_string_equal(text, ""); /* a trace is not written */
    mem_free(text);
}

static void *log_many(void *context)
{
    for (int i = 0; i < 500; i++) {
        log_info("many", "a line of one of several threads", "thread", context, "n", LOG_INT(i),
                 NULL);
    }
    return NULL;
}

static void lines_of_many_threads_stay_whole(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c", "d"};
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, (void *)(uintptr_t)names[i]),
                         0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    char *text = captured();
    struct span rest = span_of_str(text);
    struct span line;
    size_t count = 0;
    while (span_split(&rest, '\n', &line)) {
        assert_true(span_starts_with(line, SPAN_LIT("<14>1 ")));
        assert_true(span_ends_with(line, SPAN_LIT("] a line of one of several threads")));
        count++;
    }
    assert_int_equal(count, 2000);
    mem_free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_capture, end_capture)
    const struct CMUnitTest tests[] = {
        TEST(a_line_is_rfc_5424_with_structured_data),
        TEST(a_line_without_fields_has_a_dash_and_null_values_are_left_out),
        TEST(values_cannot_break_out_of_their_line_or_their_quotes),
        TEST(a_long_line_is_cut_within_its_bound_and_stays_utf8),
        TEST(a_fault_carries_its_text_and_code),
        TEST(the_level_decides_what_is_written),
        TEST(the_sink_gets_each_written_line_and_cannot_recurse),
        TEST(the_ring_keeps_the_last_events_of_every_level_in_order),
        TEST(lines_of_many_threads_stay_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
