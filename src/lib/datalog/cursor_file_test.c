/*
 * The file of cursors: what was written is read; any flipped bit and any cut is noticed, and
 * costs the lines it is in, whose names are still told where they can be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "datalog/cursor_file.h"

static const struct datalog_cursor_line lines[] = {
    {{(const uint8_t *)"forward/east", 12}, 17, false, false},
    {{(const uint8_t *)"k", 1}, UINT64_MAX, true, false},
    {{(const uint8_t *)"complete", 8}, 1, false, false},
};

static struct buf write_all(void)
{
    struct buf text = {0};
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        datalog_cursor_line_write(&text, &lines[i]);
    }
    datalog_cursor_end_write(&text, ARRAY_COUNT(lines));
    return text;
}

struct found {
    size_t good;
    size_t damaged;
    size_t named; /* damaged ones with the right name */
};

static void note(void *context, const struct datalog_cursor_line *line)
{
    struct found *found = context;
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        if (span_equal(line->name, lines[i].name)) {
            found->named += line->damaged ? 1 : 0;
            if (!line->damaged) {
                assert_true(line->next == lines[i].next && line->detached == lines[i].detached);
                found->good++;
            }
        }
    }
    found->damaged += line->damaged ? 1 : 0;
}

static void cursors_are_read_as_they_were_written(void **state)
{
    (void)state;
    struct buf text = write_all();
    struct found found = {0};
    assert_int_equal(datalog_cursor_lines_read(buf_span(&text), note, &found), 0);
    assert_true(found.good == 3 && found.damaged == 0);
    buf_deinit(&text);
}

/* Golden bytes: a file that was written once must open for ever. */
static void the_form_does_not_change(void **state)
{
    (void)state;
    struct buf text = write_all();
    assert_string_equal(buf_str(&text), "c924db51 00000000000000000017 attached forward/east\n"
                                        "7648c79a 18446744073709551615 detached k\n"
                                        "84d0d445 00000000000000000001 attached complete\n"
                                        "c95b05d2 00000000000000000003 complete \n");
    buf_deinit(&text);
}

static void any_flipped_bit_costs_the_lines_it_is_in(void **state)
{
    (void)state;
    struct buf text = write_all();
    size_t named = 0;
    for (size_t bit = 0; bit < text.bytes * 8; bit++) {
        struct found found = {0};
        text.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(datalog_cursor_lines_read(buf_span(&text), note, &found) > 0);
        assert_true(found.good >= 1 && found.good <= 3); /* a newline is in two of them */
        named += found.named;
        text.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(named > text.bytes * 8 / 2);
    buf_deinit(&text);
}

static void a_cut_is_noticed_wherever_it_is(void **state)
{
    (void)state;
    struct buf text = write_all();
    for (size_t cut = 0; cut + 1 < text.bytes; cut++) {
        struct found found = {0};
        uint8_t *copy = mem_dup(text.data, cut);
        assert_true(datalog_cursor_lines_read(span_of(copy, cut), note, &found) > 0);
        mem_free(copy);
    }
    buf_deinit(&text);
}

static void names_are_printable_and_bounded(void **state)
{
    (void)state;
    char longest[DATALOG_CURSOR_NAME_BYTES_MAX + 1];
    memset(longest, 'x', sizeof(longest));
    assert_true(datalog_cursor_name_is_good(SPAN_LIT("forward/10.0.0.1:9406")));
    assert_true(datalog_cursor_name_is_good(span_of(longest, sizeof(longest) - 1)));
    assert_false(datalog_cursor_name_is_good(span_of(longest, sizeof(longest))));
    assert_false(datalog_cursor_name_is_good(SPAN_NONE));
    assert_false(datalog_cursor_name_is_good(SPAN_LIT("a b")));
    assert_false(datalog_cursor_name_is_good(SPAN_LIT("a\n")));
    assert_false(datalog_cursor_name_is_good(SPAN_LIT("\x80")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cursors_are_read_as_they_were_written),
        cmocka_unit_test(the_form_does_not_change),
        cmocka_unit_test(any_flipped_bit_costs_the_lines_it_is_in),
        cmocka_unit_test(a_cut_is_noticed_wherever_it_is),
        cmocka_unit_test(names_are_printable_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
