/*
 * Claims: lines that were split are joined again, whatever bytes they have; columns that are none
 * are refused, and nothing is touched outside the buffers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/vec.h"
#include "well/fields.h"

static uint64_t state_of_random = 1;

static uint64_t below(uint64_t bound)
{
    state_of_random ^= state_of_random << 13;
    state_of_random ^= state_of_random >> 7;
    state_of_random ^= state_of_random << 17;
    return state_of_random % bound;
}

struct lines {
    struct buf text;
    VEC(uint32_t) bytes;
};

/* Fields that are the same in every line, or in all but a line that is cut off, beside others. */
static void make_alike(struct lines *lines)
{
    size_t count = 1 + below(60);
    size_t cut_off = below(2) == 0 ? below(count) : SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        size_t begin = lines->text.bytes;
        buf_append_str(&lines->text, "at the ");
        for (uint64_t j = below(40); j > 0; j--) {
            buf_append_byte(&lines->text, (uint8_t)('a' + below(26)));
        }
        buf_append_str(&lines->text,
                       "  same exactly16bytes. exactly15bytes. exactly14bytes. place ");
        buf_printf(&lines->text, "%llu end", (unsigned long long)below(5));
        if (i == cut_off) {
            lines->text.bytes = begin + below(lines->text.bytes - begin + 1);
        }
        vec_push(&lines->bytes, (uint32_t)(lines->text.bytes - begin));
    }
}

static void make_lines(struct lines *lines, uint64_t seed)
{
    *lines = (struct lines){0};
    state_of_random = seed * UINT64_C(0x9e3779b97f4a7c15);
    if (seed % 3 == 0) {
        make_alike(lines);
        return;
    }
    size_t count = below(60);
    uint64_t longest = 1 + below(200);
    uint64_t letters = 1 + below(255);
    for (size_t i = 0; i < count; i++) {
        uint32_t bytes = (uint32_t)below(longest);
        for (uint32_t j = 0; j < bytes; j++) {
            buf_append_byte(&lines->text, below(6) == 0 ? ' ' : (uint8_t)below(letters));
        }
        vec_push(&lines->bytes, bytes);
    }
}

static void lines_deinit(struct lines *lines)
{
    buf_deinit(&lines->text);
    vec_deinit(&lines->bytes);
}

static struct fields_form form_of(const struct lines *lines)
{
    struct fields_form form = {.delimiter = ' ', .columns = 1 + (uint32_t)below(20)};
    assert_true(fields_find_terminator(buf_span(&lines->text), &form.terminator));
    return form;
}

/* In memory of exactly the size that is promised. */
static bool join(struct span split, const uint32_t *column_bytes, struct fields_form form,
                 const struct lines *lines, bool *ret_same)
{
    size_t text_bytes = lines->text.bytes;
    uint8_t *from = mem_alloc(split.bytes + FIELDS_PADDING);
    uint8_t *text = mem_alloc(text_bytes + FIELDS_PADDING);
    uint32_t *line_bytes = mem_alloc_array(lines->bytes.count + 1, sizeof(*line_bytes));
    if (split.bytes > 0) {
        memcpy(from, split.data, split.bytes);
    }
    bool good = fields_join(span_of(from, split.bytes), column_bytes, form, lines->bytes.count,
                            text, text_bytes, line_bytes);
    *ret_same = good && span_equal(span_of(text, text_bytes), buf_span(&lines->text));
    for (size_t i = 0; i < lines->bytes.count; i++) {
        *ret_same = *ret_same && line_bytes[i] == lines->bytes.items[i];
    }
    mem_free(from);
    mem_free(text);
    mem_free(line_bytes);
    return good;
}

static void lines_come_back(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        struct lines lines;
        struct buf split = {0};
        uint32_t column_bytes[FIELDS_COLUMNS_MAX];
        bool same;
        make_lines(&lines, seed);
        struct fields_form form = form_of(&lines);
        fields_split(buf_span(&lines.text), lines.bytes.items, lines.bytes.count, form, &split,
                     column_bytes);
        assert_int_equal(split.bytes, lines.text.bytes + lines.bytes.count);
        assert_true(join(buf_span(&split), column_bytes, form, &lines, &same));
        assert_true(same);
        buf_deinit(&split);
        lines_deinit(&lines);
    }
}

static void lines_that_were_not_cut_are_found_where_they_stand(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct lines lines;
        struct buf split = {0};
        uint32_t column_bytes = 0;
        make_lines(&lines, seed);
        struct fields_form form = form_of(&lines);
        form.columns = 1;
        fields_split(buf_span(&lines.text), lines.bytes.items, lines.bytes.count, form, &split,
                     &column_bytes);
        size_t count = lines.bytes.count;
        uint32_t *bytes = mem_alloc_array(count + 1, sizeof(*bytes));
        uint8_t *copy = mem_dup(split.data, split.bytes); /* nothing is read behind it */
        struct span whole = span_of(copy, split.bytes);
        assert_true(fields_lines(whole, form.terminator, count, bytes));
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(bytes[i], lines.bytes.items[i]);
        }
        assert_false(fields_lines(whole, form.terminator, count + 1, bytes));
        if (count > 0) {
            assert_false(fields_lines(whole, form.terminator, count - 1, bytes));
            whole.bytes--;
            assert_false(fields_lines(whole, form.terminator, count, bytes));
        }
        mem_free(copy);
        mem_free(bytes);
        buf_deinit(&split);
        lines_deinit(&lines);
    }
}

static void fields_stand_in_columns(void **state)
{
    (void)state;
    struct fields_form form = {' ', '\n', 3};
    const uint32_t line_bytes[] = {7, 0, 2, 3};
    uint32_t column_bytes[3];
    struct buf split = {0};
    fields_split(SPAN_LIT("a b c da ef "), line_bytes, 4, form, &split, column_bytes);
    assert_true(span_equal_str(buf_span(&split), "a \na ef b \n\nc d\n"));
    assert_int_equal(column_bytes[0], 8);
    assert_int_equal(column_bytes[1], 4);
    assert_int_equal(column_bytes[2], 4);
    buf_deinit(&split);
}

static void what_has_all_bytes_has_no_terminator(void **state)
{
    (void)state;
    uint8_t bytes[256];
    uint8_t terminator;
    for (unsigned i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
    }
    assert_false(fields_find_terminator(span_of(bytes, 256), &terminator));
    bytes[77] = 0;
    assert_true(fields_find_terminator(span_of(bytes, 256), &terminator));
    assert_int_equal(terminator, 77);
}

static void damaged_columns_do_no_harm(void **state)
{
    (void)state;
    unsigned refused = 0;
    for (uint64_t seed = 1; seed <= 4000; seed++) {
        struct lines lines;
        struct buf split = {0};
        uint32_t column_bytes[FIELDS_COLUMNS_MAX];
        bool same;
        make_lines(&lines, seed);
        struct fields_form form = form_of(&lines);
        fields_split(buf_span(&lines.text), lines.bytes.items, lines.bytes.count, form, &split,
                     column_bytes);
        if (below(3) == 0 || split.bytes == 0) {
            column_bytes[below(form.columns)] += (uint32_t)below(9) - 4;
        } else {
            split.data[below(split.bytes)] = below(2) == 0 ? form.terminator : (uint8_t)below(256);
        }
        refused += !join(buf_span(&split), column_bytes, form, &lines, &same);
        buf_deinit(&split);
        lines_deinit(&lines);
    }
    assert_true(refused > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_back),
        cmocka_unit_test(lines_that_were_not_cut_are_found_where_they_stand),
        cmocka_unit_test(fields_stand_in_columns),
        cmocka_unit_test(what_has_all_bytes_has_no_terminator),
        cmocka_unit_test(damaged_columns_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
