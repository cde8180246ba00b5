/*
 * Runs of entries, and the text form of sources.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "series/entry.h"

static struct span name_of(void *context, uint16_t tag)
{
    static char name[16];
    (*(int *)context)++;
    snprintf(name, sizeof(name), "tag%u", tag);
    return span_of_str(name);
}

static void make_run(struct buf *run, struct entry *entries, size_t count)
{
    int names = 0;
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct entry){
            .time_ns = (int64_t)i * 1000 - 2000,
            .tag = (uint16_t)(i % 3 * 30000),
            .source = {(uint8_t)i},
            .data = span_first(SPAN_LIT("some data of an entry"), i % 20),
            .enumerated = i % 4 == 0 ? SPAN_LIT("ev") : SPAN_NONE,
        };
    }
    entries_encode(run, entries, count, name_of, &names);
    assert_int_equal(names, count < 3 ? (int)count : 3);
}

static void a_run_is_read_as_it_was_written(void **state)
{
    (void)state;
    for (size_t count = 0; count < 40; count++) {
        struct entry written[40];
        struct buf run = {0};
        make_run(&run, written, count);
        struct entries entries;
        assert_int_equal(entries_open(&entries, buf_span(&run)), 0);
        assert_int_equal(entries.count, count);
        uint16_t tag;
        struct span name;
        for (size_t i = 0; i < MIN(count, 3u); i++) {
            assert_true(entries_next_tag(&entries, &tag, &name));
            assert_int_equal(tag, i * 30000);
            assert_true(name.bytes >= 4 && memcmp(name.data, "tag", 3) == 0);
        }
        assert_false(entries_next_tag(&entries, &tag, &name));
        struct entry entry;
        for (size_t i = 0; i < count; i++) {
            assert_true(entries_next(&entries, &entry));
            struct entry again;
            entries_entry_at(entries_place(&entry), &again);
            assert_true(again.time_ns == written[i].time_ns && again.tag == written[i].tag);
            assert_memory_equal(again.source, written[i].source, ENTRY_SOURCE_BYTES);
            assert_true(span_equal(again.data, written[i].data));
            assert_true(span_equal(again.enumerated, written[i].enumerated));
        }
        assert_false(entries_next(&entries, &entry));
        buf_deinit(&run);
    }
}

/* Cut anywhere or lengthened: refused, and no byte outside is read. */
static void a_damaged_run_is_refused(void **state)
{
    (void)state;
    struct entry written[7];
    struct entries entries;
    struct buf run = {0};
    make_run(&run, written, 7);
    for (size_t bytes = 0; bytes < run.bytes; bytes++) {
        uint8_t *copy = mem_dup(run.data, bytes);
        assert_int_equal(entries_open(&entries, span_of(copy, bytes)), ERR_CORRUPT);
        mem_free(copy);
    }
    buf_append_byte(&run, 0);
    assert_int_equal(entries_open(&entries, buf_span(&run)), ERR_CORRUPT);
    buf_deinit(&run);
}

static void sources_have_a_text_form(void **state)
{
    (void)state;
    static const char *const texts[] = {"10.0.0.1", "255.255.255.255", "::1", "fe80::1:2",
                                        "2001:db8::ff00:42:8329"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        uint8_t source[ENTRY_SOURCE_BYTES];
        struct buf text = {0};
        assert_true(entry_source_parse(span_of_str(texts[i]), source));
        entry_source_text(&text, source);
        assert_string_equal(buf_str(&text), texts[i]);
        buf_deinit(&text);
    }
    static const uint8_t mapped[ENTRY_SOURCE_BYTES] = {[10] = 0xff, [11] = 0xff, 1, 2, 3, 4};
    uint8_t source[ENTRY_SOURCE_BYTES];
    assert_true(entry_source_parse(SPAN_LIT("1.2.3.4"), source));
    assert_memory_equal(source, mapped, sizeof(mapped));
    static const char *const wrong[] = {"", "1.2.3", "1.2.3.256", "x", ":::1", "1.2.3.4 "};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        assert_false(entry_source_parse(span_of_str(wrong[i]), source));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_read_as_it_was_written),
        cmocka_unit_test(a_damaged_run_is_refused),
        cmocka_unit_test(sources_have_a_text_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
