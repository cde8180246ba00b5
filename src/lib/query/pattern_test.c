/* Patterns: wildcards, literals and words against a slow and simple matcher, over whole blocks. */
#include "query/pattern.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct query_patterns *made(const char *const *texts, size_t count,
                                   enum query_pattern_kind kind, bool caseless)
{
    struct span spans[QUERY_PATTERNS_MAX];
    struct query_patterns *patterns = NULL;
    size_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        spans[i] = span_of_str(texts[i]);
    }
    if (query_patterns_new(spans, count, kind, caseless, &patterns, &bad) < 0) {
        fail_msg("%s: %s", texts[bad], err_text());
    }
    return patterns;
}

static uint64_t hits_of(struct query_patterns *patterns, struct span text)
{
    struct query_scanner *scanner = NULL;
    uint64_t hits = 0;
    assert_int_equal(query_scanner_new(patterns, &scanner), 0);
    assert_int_equal(query_scanner_text(scanner, text, &hits), 0);
    query_scanner_free(&scanner);
    return hits;
}

static bool matches(const char *pattern, enum query_pattern_kind kind, bool caseless,
                    const char *text)
{
    struct query_patterns *patterns = made(&pattern, 1, kind, caseless);
    uint64_t hits = hits_of(patterns, span_of_str(text));
    query_patterns_free(&patterns);
    return hits == 1;
}

static void wildcards_are_unanchored(void **state)
{
    (void)state;
    const enum query_pattern_kind kind = QUERY_PATTERN_WILDCARD;
    assert_true(matches("b", kind, false, "abc"));
    assert_true(matches("*b*", kind, false, "abc"));
    assert_true(matches("a*c", kind, false, "xxabcxx"));
    assert_false(matches("c*a", kind, false, "abc"));
    assert_true(matches("a?c", kind, false, "abc"));
    assert_false(matches("a?c", kind, false, "ac"));
    assert_true(matches("[a-c]x", kind, false, "bx"));
    assert_false(matches("[!a-c]x", kind, false, "bx"));
    assert_true(matches("[]]", kind, false, "a]"));
    assert_true(matches("a[", kind, false, "a["));
    assert_true(matches("a\\*c", kind, false, "a*c"));
    assert_false(matches("a\\*c", kind, false, "abc"));
    assert_true(matches("A*c", kind, true, "aXC"));
    assert_true(matches("[A]B", kind, true, "ab"));
    assert_true(matches("*", kind, false, ""));
    assert_true(matches("?", kind, false, "\xFF"));
    assert_false(matches("?", kind, false, ""));
    assert_true(matches("a*b*a", kind, false, "aabba"));
    assert_true(matches("aab", kind, false, "aaab"));
    assert_true(matches("a*aab", kind, false, "aaaab"));
}

static void literals_have_no_wildcards(void **state)
{
    (void)state;
    assert_true(matches("a*c", QUERY_PATTERN_LITERAL, false, "xa*cx"));
    assert_false(matches("a*c", QUERY_PATTERN_LITERAL, false, "abc"));
    assert_true(matches("[X]", QUERY_PATTERN_LITERAL, true, "[x]"));
}

/* The example of the behaviour sheet, word by word. */
static void words_are_those_of_the_fulltext_tokeniser(void **state)
{
    (void)state;
    struct span rest =
        SPAN_LIT("user@example.com 192.168.1.100:8080 GET /api/v2 id=4a2f -- done. a\xC2\xA0"
                 "b\xC2\xAD");
    static const char *const want[] = {"user@example.com",
                                       "192.168.1.100:8080",
                                       "GET",
                                       "api",
                                       "v2",
                                       "id",
                                       "4a2f",
                                       "done",
                                       "a",
                                       "b"};
    struct span word;
    for (size_t i = 0; i < ARRAY_COUNT(want); i++) {
        assert_true(query_word_next(&rest, &word));
        assert_true(span_equal_str(word, want[i]));
    }
    assert_false(query_word_next(&rest, &word));
    assert_true(matches("kernel:", QUERY_PATTERN_WORD, false, "kernel: up"));
    assert_false(matches("ssh", QUERY_PATTERN_WORD, false, "ssh2 sshd[3]"));
    assert_true(matches("SSHD", QUERY_PATTERN_WORD, true, "sshd[3]"));
}

/* Bounds and what cannot be a pattern; the number of the bad one is told. */
static void what_cannot_be_a_pattern_is_refused(void **state)
{
    (void)state;
    struct query_patterns *patterns = NULL;
    size_t bad = 0;
    struct span list[QUERY_PATTERNS_MAX + 1] = {SPAN_LIT("good"), SPAN_NONE};
    assert_int_equal(query_patterns_new(list, 2, QUERY_PATTERN_WILDCARD, false, &patterns, &bad),
                     ERR_INVALID);
    assert_int_equal(bad, 1);
    assert_int_equal(query_patterns_new(list, QUERY_PATTERNS_MAX + 1, QUERY_PATTERN_LITERAL, false,
                                        &patterns, &bad),
                     ERR_INVALID);
    static const char *const words[] = {"a b", "a*", "\xC3\x97", "...", "-", ""};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        list[0] = span_of_str(words[i]);
        assert_int_equal(query_patterns_new(list, 1, QUERY_PATTERN_WORD, false, &patterns, &bad),
                         ERR_INVALID);
    }
    char *large = mem_alloc(QUERY_PATTERN_BYTES_MAX + 2);
    memset(large, 'x', QUERY_PATTERN_BYTES_MAX + 1);
    list[0] = span_of_str(large);
    assert_int_equal(query_patterns_new(list, 1, QUERY_PATTERN_LITERAL, false, &patterns, &bad),
                     ERR_INVALID);
    mem_free(large);
}

/* Slow and simple: does the pattern fit at the front of the text, recursively? */
static bool fits(const char *pattern, const char *text)
{
    if (*pattern == '\0') {
        return true;
    }
    if (*pattern == '*') {
        return fits(pattern + 1, text) || (*text != '\0' && fits(pattern, text + 1));
    }
    return *text != '\0' && (*pattern == '?' || *pattern == *text) && fits(pattern + 1, text + 1);
}

static bool contains(const char *pattern, const char *text)
{
    do {
        if (fits(pattern, text)) {
            return true;
        }
    } while (*text++ != '\0');
    return false;
}

static void random_text(char *text, size_t bytes_max, const char *alphabet)
{
    size_t bytes = (size_t)random() % (bytes_max + 1);
    for (size_t i = 0; i < bytes; i++) {
        text[i] = alphabet[(size_t)random() % strlen(alphabet)];
    }
    text[bytes] = '\0';
}

enum { BLOCK = 40, PATTERNS = 3 };

struct round {
    char texts[BLOCK][12];
    char patterns[PATTERNS][8];
    struct entry entries[BLOCK];
    uint32_t picks[BLOCK];
    char memory[BLOCK * 12];
};

/* Lays the texts out behind each other, forwards or backwards; picks some of them. */
static struct query_block lay_out(struct round *round, bool region, bool backwards)
{
    struct query_block block = {.entries = round->entries, .picks = round->picks};
    size_t at = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        size_t index = backwards ? BLOCK - 1 - i : i;
        size_t bytes = strlen(round->texts[index]);
        memcpy(round->memory + at, round->texts[index], bytes);
        round->entries[index].data = span_of(round->memory + at, bytes);
        at += bytes;
    }
    bool all = random() % 2 == 0;
    for (uint32_t i = 0; i < BLOCK; i++) {
        if (all || random() % 4 != 0) {
            round->picks[block.count++] = i;
        }
    }
    block.region = region ? span_of(round->memory, at) : SPAN_NONE;
    return block;
}

static void check_block(struct round *round, const struct query_block *block)
{
    const char *texts[PATTERNS];
    uint64_t hits[BLOCK];
    for (size_t i = 0; i < PATTERNS; i++) {
        texts[i] = round->patterns[i];
    }
    struct query_patterns *patterns = made(texts, PATTERNS, QUERY_PATTERN_WILDCARD, false);
    struct query_scanner *scanner = NULL;
    assert_int_equal(query_scanner_new(patterns, &scanner), 0);
    assert_int_equal(query_scanner_block(scanner, block, hits), 0);
    for (size_t i = 0; i < block->count; i++) {
        for (size_t j = 0; j < PATTERNS; j++) {
            bool want = contains(texts[j], round->texts[block->picks[i]]);
            if (want != ((hits[i] >> j & 1) != 0)) {
                fail_msg("'%s' in '%s' should be %d", texts[j], round->texts[block->picks[i]],
                         want);
            }
        }
    }
    query_scanner_free(&scanner);
    query_patterns_free(&patterns);
}

/* Random patterns over a small alphabet, in blocks whose entries touch: exactly what the simple
 * matcher finds, never across a border. */
static void blocks_give_what_single_entries_give(void **state)
{
    (void)state;
    struct round *round = MEM_NEW(struct round);
    srandom(7);
    for (size_t i = 0; i < 400; i++) {
        for (size_t j = 0; j < BLOCK; j++) {
            random_text(round->texts[j], 8, "ab");
        }
        for (size_t j = 0; j < PATTERNS; j++) {
            do {
                random_text(round->patterns[j], 5, j == 0 ? "ab" : "ab*?");
            } while (round->patterns[j][0] == '\0');
        }
        struct query_block block = lay_out(round, i % 2 == 0, i % 4 < 2);
        check_block(round, &block);
    }
    mem_free(round);
}

static void expect_required(const char *pattern, enum query_pattern_kind kind, const char *wanted)
{
    struct query_patterns *patterns = made(&pattern, 1, kind, false);
    struct span required = query_patterns_required(patterns, 0);
    assert_true(span_equal_str(required, wanted));
    query_patterns_free(&patterns);
}

static void only_what_stands_whole_in_a_pattern_is_required(void **state)
{
    (void)state;
    expect_required("Failed", QUERY_PATTERN_WORD, "Failed");
    expect_required("GET /index.html HTTP", QUERY_PATTERN_LITERAL, "/index.html");
    expect_required("/index.html?", QUERY_PATTERN_LITERAL, "index.html");
    expect_required("index.html", QUERY_PATTERN_LITERAL, "");
    expect_required("a*/index.html *b", QUERY_PATTERN_WILDCARD, "index.html");
    expect_required("a*index", QUERY_PATTERN_WILDCARD, "");
    expect_required("?x-[ab]", QUERY_PATTERN_WILDCARD, "");
    expect_required("*", QUERY_PATTERN_WILDCARD, "");
}

static bool stands_alone(struct span word, const char *text)
{
    size_t bytes = strlen(text);
    for (size_t at = 0; at + word.bytes <= bytes; at++) {
        if (memcmp(text + at, word.data, word.bytes) == 0 && (at == 0 || text[at - 1] != 'a') &&
            text[at + word.bytes] != 'a') {
            return true;
        }
    }
    return false;
}

/* In every text that has a pattern, what it requires stands with no letter beside it. */
static void what_is_required_stands_alone_in_every_match(void **state)
{
    (void)state;
    size_t seen = 0;
    srandom(8);
    for (size_t i = 0; i < 20000; i++) {
        char pattern[12];
        char text[16];
        random_text(pattern, 9, "aa.-*");
        random_text(text, 15, "aa.-");
        const char *list = pattern;
        if (pattern[0] == '\0' || !contains(pattern, text)) {
            continue;
        }
        struct query_patterns *patterns = made(&list, 1, QUERY_PATTERN_WILDCARD, false);
        struct span required = query_patterns_required(patterns, 0);
        seen += required.bytes > 0;
        assert_true(required.bytes == 0 || stands_alone(required, text));
        query_patterns_free(&patterns);
    }
    assert_true(seen > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wildcards_are_unanchored),
        cmocka_unit_test(literals_have_no_wildcards),
        cmocka_unit_test(words_are_those_of_the_fulltext_tokeniser),
        cmocka_unit_test(what_cannot_be_a_pattern_is_refused),
        cmocka_unit_test(blocks_give_what_single_entries_give),
        cmocka_unit_test(only_what_stands_whole_in_a_pattern_is_required),
        cmocka_unit_test(what_is_required_stands_alone_in_every_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
