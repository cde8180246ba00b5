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

/* A group in memory, at an offset that its checksums know. */
struct group {
    struct filter_group about;
    struct buf bytes;
    size_t reads;
};

#define OFFSET 4711

static int read_bytes(void *context, uint64_t offset, uint8_t *bytes, size_t count)
{
    struct group *group = context;
    assert_true(offset >= OFFSET && offset - OFFSET + count <= group->bytes.bytes);
    memcpy(bytes, group->bytes.data + (offset - OFFSET), count);
    group->reads++;
    return 0;
}

static void end_group(struct filter_writer *writer, struct group *group)
{
    filter_end_group(writer, UINT32_MAX, OFFSET, &group->bytes, &group->about);
    assert_true(filter_group_bytes(&group->about) == group->bytes.bytes);
}

static int find(struct group *group, const char *word, struct filter_blocks *blocks)
{
    struct buf hashes = {0};
    memset(blocks, 0xFF, sizeof(*blocks));
    filter_hashes(&hashes, span_of_str(word));
    int rc = filter_find(&group->about, buf_span(&hashes), read_bytes, group, blocks);
    buf_deinit(&hashes);
    return rc;
}

static bool may_have(struct group *group, size_t block, const char *word)
{
    struct filter_blocks blocks;
    assert_int_equal(find(group, word, &blocks), 0);
    return filter_blocks_has(&blocks, block);
}

static void what_was_added_is_never_denied(void **state)
{
    (void)state;
    struct filter_writer writer = {0};
    struct group group = {0};
    filter_add(&writer, SPAN_LIT("GET /index.html user=Alice-7001 M\xC3\xBCller ab"));
    filter_add(&writer, SPAN_LIT("ATokenOfEightteenX ab3456789"));
    filter_end_block(&writer);
    filter_end_block(&writer); /* an empty one */
    end_group(&writer, &group);
    const char *const there[] = {
        "GET",  "get",           "Index", "index.html",         "alice",     "Alice-7001",
        "7001", "M\xC3\xBCller", "user",  "atokenofeightteenx", "AB3456789", ""};
    for (size_t i = 0; i < ARRAY_COUNT(there); i++) {
        assert_true(may_have(&group, 0, there[i]));
        assert_true(may_have(&group, 1, there[i]) == (there[i][0] == '\0'));
    }
    assert_true(may_have(&group, 1, "zz")); /* too short to be known */
    assert_false(may_have(&group, 0, "inde"));
    assert_false(may_have(&group, 0, "alice-7002"));
    buf_deinit(&group.bytes);
    filter_deinit(&writer);
}

/* Tokens as the format has them, byte by byte: how many there are. */
static size_t count_tokens(const char *text)
{
    size_t count = 0;
    size_t bytes = 0;
    for (size_t i = 0;; i++) {
        char c = text[i];
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
            bytes++;
            continue;
        }
        count += bytes >= 3 && bytes <= 64;
        bytes = 0;
        if (c == '\0') {
            return count;
        }
    }
}

/* Wherever a token stands in a text, and whatever stands before it, it is the same one. */
static void tokens_are_found_at_every_place(void **state)
{
    (void)state;
    static const char before[] = {' ', 'x', '\x7F', '@', '[', '`', '{', '/', ':', '\xC3'};
    char *text = mem_alloc(4000);
    struct buf wanted = {0};
    filter_hashes(&wanted, SPAN_LIT("needle42"));
    for (size_t at = 0; at < 2200; at++) {
        struct buf found = {0};
        memset(text, before[at % sizeof(before)], at);
        snprintf(text + at, 64, "-Needle42%s", at % 3 == 0 ? "" : "=");
        filter_hashes(&found, span_of_str(text));
        assert_int_equal(found.bytes / 8, count_tokens(text));
        assert_memory_equal(found.data + found.bytes - 8, wanted.data, 8);
        memset(text, 'y', at); /* a token of its own, of any length, and one that is too long */
        text[at] = '\0';
        buf_clear(&found);
        filter_hashes(&found, span_of_str(text));
        assert_int_equal(found.bytes / 8, count_tokens(text));
        buf_deinit(&found);
    }
    buf_deinit(&wanted);
    mem_free(text);
}

/* Whatever the number of blocks: each has its own words, and few that it has not. A search reads
 * a few pieces of the group. */
static void most_of_what_is_missing_is_denied(void **state)
{
    (void)state;
    static const unsigned counts[] = {1, 2, 7, 63, 64, 65, 200, FILTER_BLOCKS_MAX};
    for (size_t c = 0; c < ARRAY_COUNT(counts); c++) {
        struct filter_writer writer = {0};
        struct group group = {0};
        char text[32];
        for (unsigned block = 0; block < counts[c]; block++) {
            assert_false(filter_is_full(&writer));
            for (unsigned i = 0; i < 100 + block % 50; i++) {
                snprintf(text, sizeof(text), "Word%u-%u", block, i);
                filter_add(&writer, span_of_str(text));
            }
            filter_end_block(&writer);
        }
        assert_true(filter_is_full(&writer) == (counts[c] == FILTER_BLOCKS_MAX));
        end_group(&writer, &group);
        uint64_t wrong = 0;
        for (unsigned word = 0; word < counts[c]; word++) {
            struct filter_blocks blocks;
            snprintf(text, sizeof(text), "wORD%u", word);
            group.reads = 0;
            assert_int_equal(find(&group, text, &blocks), 0);
            assert_true(group.reads <= 16);
            assert_true(filter_blocks_has(&blocks, word));
            for (unsigned block = 0; block < counts[c]; block++) {
                wrong += block != word && filter_blocks_has(&blocks, block);
            }
        }
        assert_true(wrong <= counts[c] * counts[c] / 100);
        buf_deinit(&group.bytes);
        filter_deinit(&writer);
    }
}

/* With less room than it wants a group still denies most of what is missing, with fewer bits. */
static void little_room_makes_a_smaller_filter(void **state)
{
    (void)state;
    struct filter_writer writer = {0};
    struct group group = {0};
    char text[32];
    for (int block = 0; block < 4; block++) {
        for (int i = 0; i < 10000; i++) {
            snprintf(text, sizeof(text), "word%d-%d", block, i);
            filter_add(&writer, span_of_str(text));
        }
        filter_end_block(&writer);
    }
    filter_end_group(&writer, 20000, OFFSET, &group.bytes, &group.about);
    assert_true(group.bytes.bytes > 15000 && group.bytes.bytes < 21000);
    unsigned wrong = 0;
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof(text), "%d", 500000 + i);
        wrong += may_have(&group, 0, text);
        snprintf(text, sizeof(text), "word2-%d", i);
        assert_true(may_have(&group, 2, text));
    }
    assert_true(wrong > 50 && wrong < 250); /* 4 bits: 15 % */
    buf_deinit(&group.bytes);
    filter_deinit(&writer);
}

/* A block with too many tokens may have any word; its neighbours pay nothing for it. */
static void a_block_with_too_many_tokens_is_always_looked_into(void **state)
{
    (void)state;
    struct filter_writer writer = {0};
    struct group group = {0};
    char text[32];
    for (int block = 0; block < 5; block++) {
        for (int i = 0; i < (block == 2 ? FILTER_TOKENS_MAX + 1 : 50); i++) {
            snprintf(text, sizeof(text), "there%d", i);
            filter_add(&writer, span_of_str(text));
        }
        filter_end_block(&writer);
    }
    end_group(&writer, &group);
    assert_true(group.bytes.bytes <= 2 * FILTER_PIECE_BYTES);
    for (size_t block = 0; block < 5; block++) {
        assert_true(may_have(&group, block, "there49"));
        assert_true(may_have(&group, block, "elsewhere") == (block == 2));
    }
    buf_deinit(&group.bytes);
    filter_deinit(&writer);
}

/* Where numbers want more than there is room for, words are still told apart. */
static void many_numbers_leave_words_their_probes(void **state)
{
    (void)state;
    struct filter_writer writer = {0};
    struct group group = {0};
    char text[32];
    uint64_t numbers = 0;
    for (int block = 0; block < 100; block++) {
        for (int i = 0; i < 2000; i++, numbers++) {
            snprintf(text, sizeof(text), "%d", 1000000 + block * 2000 + i);
            filter_add(&writer, span_of_str(text));
        }
        filter_add(&writer, SPAN_LIT("some words"));
        filter_end_block(&writer);
    }
    filter_end_group(&writer, numbers * 4 / 8, OFFSET, &group.bytes, &group.about);
    size_t words_wrong = 0;
    size_t numbers_wrong = 0;
    for (int i = 0; i < 100; i++) {
        for (size_t block = 0; block < 100; block++) {
            snprintf(text, sizeof(text), "missing%d", i);
            words_wrong += may_have(&group, block, text);
            snprintf(text, sizeof(text), "%d", 5000000 + i);
            numbers_wrong += may_have(&group, block, text);
        }
    }
    assert_true(words_wrong < 10000 / 40 && numbers_wrong < 10000 / 4);
    buf_deinit(&group.bytes);
    filter_deinit(&writer);
}

/* Whatever bit is wrong: who reads it hears of it, nobody is told a block has not what it has. */
static void damage_denies_nothing(void **state)
{
    (void)state;
    struct filter_writer writer = {0};
    struct group group = {0};
    filter_add(&writer, SPAN_LIT("one two three four"));
    filter_end_block(&writer);
    end_group(&writer, &group);
    uint64_t noticed = 0;
    for (size_t bit = 0; bit < group.bytes.bytes * 8; bit++) {
        struct filter_blocks blocks;
        group.bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int rc = find(&group, "three", &blocks);
        assert_true(rc == ERR_CORRUPT || (rc == 0 && filter_blocks_has(&blocks, 0)));
        noticed += rc < 0;
        group.bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(noticed == group.bytes.bytes * 8);
    buf_deinit(&group.bytes);
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
        .io = &sim->io, .name = "w", .dir = "/w", .names = {.tags = *tags}, .merge_files = 3};
    assert_int_equal(well_open(&options, &well), 0);
    for (uint64_t i = 0; i < 3000; i++) {
        struct buf run = {0};
        make_text(sim, i, &text);
        struct entry entry = {.time_ns = (int64_t)i, .data = buf_span(&text)};
        entries_encode(&run, &entry, 1, name_of, *tags);
        assert_int_equal(well_apply(well, &run, i + 1, (struct stamp){i + 1, 0}), 0);
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
        cmocka_unit_test(tokens_are_found_at_every_place),
        cmocka_unit_test(most_of_what_is_missing_is_denied),
        cmocka_unit_test(little_room_makes_a_smaller_filter),
        cmocka_unit_test(a_block_with_too_many_tokens_is_always_looked_into),
        cmocka_unit_test(many_numbers_leave_words_their_probes),
        cmocka_unit_test(damage_denies_nothing),
        cmocka_unit_test(scans_with_words_find_what_scans_without_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
