/*
 * Token filters never deny what is there, whole and as a word; what is not there they mostly
 * deny. Over a well: a scan with words gives every entry that has them, as one without does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "base/wire.h"
#include "io/sim.h"
#include "well/filter.h"
#include "well/well.h"

static bool may_have(struct span filter, const char *word)
{
    struct buf hashes = {0};
    filter_hashes(&hashes, span_of_str(word));
    bool may = filter_may_have(filter, buf_span(&hashes));
    buf_deinit(&hashes);
    return may;
}

static void what_was_added_is_never_denied(void **state)
{
    (void)state;
    struct filter_writer writer = {0};
    struct buf filter = {0};
    filter_add(&writer, SPAN_LIT("GET /index.html user=Alice-7001 M\xC3\xBCller ab"));
    assert_true(filter_finish(&writer, &filter) == 8);
    const char *const there[] = {"GET",        "get",  "Index",         "index.html", "alice",
                                 "Alice-7001", "7001", "M\xC3\xBCller", "user",       ""};
    for (size_t i = 0; i < ARRAY_COUNT(there); i++) {
        assert_true(may_have(buf_span(&filter), there[i]));
    }
    assert_true(may_have(buf_span(&filter), "zz")); /* too short to be known */
    assert_false(may_have(buf_span(&filter), "inde"));
    assert_false(may_have(buf_span(&filter), "alice-7002"));
    assert_true(may_have(SPAN_NONE, "anything"));
    buf_deinit(&filter);
    filter_deinit(&writer);
}

/* Few of the words that are not there are taken for being there. */
static void most_of_what_is_missing_is_denied(void **state)
{
    (void)state;
    struct filter_writer writer = {0};
    struct buf filter = {0};
    char text[32];
    for (int i = 0; i < 20000; i++) {
        snprintf(text, sizeof(text), "there%d", i);
        filter_add(&writer, span_of_str(text));
    }
    assert_true(filter_finish(&writer, &filter) == 20000);
    int wrong = 0;
    for (int i = 0; i < 20000; i++) {
        snprintf(text, sizeof(text), "there%d", i);
        assert_true(may_have(buf_span(&filter), text));
        snprintf(text, sizeof(text), "missing%d", i);
        wrong += may_have(buf_span(&filter), text) ? 1 : 0;
    }
    assert_true(wrong < 20000 / 25);
    for (int i = 0; i < FILTER_TOKENS_MAX + 1; i++) { /* too many: no filter */
        snprintf(text, sizeof(text), "more%d", i);
        filter_add(&writer, span_of_str(text));
    }
    buf_clear(&filter);
    assert_true(filter_finish(&writer, &filter) == 0);
    buf_deinit(&filter);
    filter_deinit(&writer);
}

static struct span name_of(void *context, uint16_t tag)
{
    return series_tags_name(context, tag);
}

/* The words of the generated entries, with what may stand between them. */
static void make_text(struct io_sim *sim, uint64_t number, struct buf *text)
{
    static const char *const between[] = {" ", "=", ".", "-", "_", "/", "\xC2\xA0", "\""};
    buf_clear(text);
    buf_printf(text, "%08u", (unsigned)number);
    for (uint64_t i = 1 + io_sim_below(sim, 8); i > 0; i--) {
        uint64_t rare = io_sim_below(sim, 2000);
        buf_printf(text, "%s%s%u", between[io_sim_below(sim, ARRAY_COUNT(between))],
                   rare % 2 == 0 ? "Word" : "wORD", (unsigned)(rare / 2));
    }
}

static bool is_alnum(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
}

/* By brute force: the word stands in the text, whatever the case, no letter or digit beside it. */
static bool has_word(struct span text, struct span word)
{
    for (size_t at = 0; at + word.bytes <= text.bytes; at++) {
        bool same = true;
        for (size_t i = 0; same && i < word.bytes; i++) {
            same = (text.data[at + i] | 0x20) == (word.data[i] | 0x20);
        }
        size_t end = at + word.bytes;
        if (same && (at == 0 || !is_alnum(text.data[at - 1])) &&
            (end == text.bytes || !is_alnum(text.data[end]))) {
            return true;
        }
    }
    return false;
}

/* Entries that have the word, and the sum of their numbers. */
struct found {
    uint64_t count;
    uint64_t sum;
    uint64_t passed_over;
};

static struct found scan_for(struct well *well, struct span word, bool hint, bool descending)
{
    struct well_scan scan = {.start_ns = TIME_UNSET, .end_ns = TIME_MAX_NS};
    struct well_cursor *cursor;
    struct well_block block;
    struct found found = {0};
    scan.descending = descending;
    scan.words = hint ? &word : NULL;
    scan.words_count = hint ? 1 : 0;
    assert_int_equal(well_cursor_open(&well, 1, &scan, &cursor), 0);
    int rc;
    while ((rc = well_cursor_next(cursor, &block)) == 0) {
        for (size_t i = 0; i < block.count; i++) {
            if (has_word(block.entries[i].data, word)) {
                uint64_t number = 0;
                assert_true(span_to_u64(span_first(block.entries[i].data, 8), &number));
                found.count++;
                found.sum += number;
            }
        }
    }
    assert_int_equal(rc, WELL_END);
    found.passed_over = well_cursor_passed_over(cursor);
    well_cursor_close(&cursor);
    return found;
}

static struct well *make_well(struct io_sim *sim, struct series_tags **tags)
{
    struct well *well;
    struct buf text = {0};
    assert_int_equal(series_tags_open(&sim->io, "/tags", tags), 0);
    struct well_options options = {
        .io = &sim->io, .name = "w", .dir = "/w", .tags = *tags, .merge_files = 3};
    assert_int_equal(well_open(&options, &well), 0);
    for (uint64_t i = 0; i < 3000; i++) {
        struct buf run = {0};
        make_text(sim, i, &text);
        struct entry entry = {.time_ns = (int64_t)i, .data = buf_span(&text)};
        entries_encode(&run, &entry, 1, name_of, *tags);
        assert_int_equal(well_apply(well, &run, i + 1), 0);
        if (io_sim_below(sim, 60) == 0) {
            well_seal(well);
            assert_int_equal(well_flush(well), 0);
            assert_true(well_merge(well) >= 0);
        }
    }
    buf_deinit(&text);
    return well;
}

/* The property: with and without the hint the same entries are found, in memtables, segments and
 * merged segments, in both directions; and rare words pass blocks over. */
static void scans_with_words_find_what_scans_without_find(void **state)
{
    (void)state;
    uint64_t passed_over = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct io_sim sim;
        struct series_tags *tags;
        io_sim_init(&sim, seed);
        struct well *well = make_well(&sim, &tags);
        for (int i = 0; i < 40; i++) {
            char word[64];
            int length =
                snprintf(word, sizeof(word), i % 2 == 0 ? "word%u" : "WORD%u-Word%u",
                         (unsigned)io_sim_below(&sim, 1100), (unsigned)io_sim_below(&sim, 1000));
            struct span span = span_of(word, (size_t)length);
            struct found without = scan_for(well, span, false, i % 3 == 0);
            struct found with = scan_for(well, span, true, i % 3 == 0);
            assert_true(without.count == with.count && without.sum == with.sum);
            assert_true(without.passed_over == 0);
            passed_over += with.passed_over;
        }
        well_close(&well);
        series_tags_close(&tags);
        io_sim_deinit(&sim);
    }
    assert_true(passed_over > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_is_never_denied),
        cmocka_unit_test(most_of_what_is_missing_is_denied),
        cmocka_unit_test(scans_with_words_find_what_scans_without_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
