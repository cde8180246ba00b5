/*
 * Tokens: the file of the reference, what files may say, and the sealed tokens of the reference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"
#include "warp10/token_internal.h"

#define UUID "11111111-1111-1111-1111-111111111111"

static struct arena *arena;

static int make_arena(void **state)
{
    (void)state;
    arena = arena_new(8 << 20);
    return 0;
}

static int drop_arena(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static const char reference_file[] = "token.write.0.name=WRITE\n"
                                     "token.write.0.producer=" UUID "\n"
                                     "token.write.0.owner=" UUID "\n"
                                     "token.write.0.app=demo\n"
                                     "token.read.0.name=READ\n"
                                     "token.read.0.owner=" UUID "\n"
                                     "token.read.0.app=demo\n";

static void the_file_of_the_reference_is_understood(void **state)
{
    (void)state;
    struct token_table *table = token_table_new();
    const struct token *token;
    assert_int_equal(token_table_read(table, span_of_str(reference_file)), 0);
    assert_int_equal(token_table_count(table), 2);
    assert_int_equal(token_find(table, SPAN_LIT("WRITE"), true, 5, arena, &token), 0);
    assert_true(span_equal_str(token->owner, UUID));
    assert_true(span_equal_str(token->producer, UUID));
    assert_true(span_equal_str(token->application, "demo"));
    assert_int_equal(token_find(table, SPAN_LIT("READ"), false, 5, arena, &token), 0);
    assert_int_equal(token->owners.count, 1);
    assert_true(span_equal_str(token->owners.items[0], UUID));
    assert_int_equal(token->producers.count, 0);
    assert_true(span_equal_str(token->applications.items[0], "demo"));

    /* Never the one for the other. */
    assert_int_equal(token_find(table, SPAN_LIT("WRITE"), false, 5, arena, &token), ERR_AUTH);
    assert_string_equal(err_text(), "Invalid token.");
    assert_int_equal(token_find(table, SPAN_LIT("READ"), true, 5, arena, &token), ERR_AUTH);
    assert_int_equal(token_find(table, SPAN_LIT("WRIT"), true, 5, arena, &token), ERR_AUTH);
    assert_int_equal(token_find(table, SPAN_NONE, true, 5, arena, &token), ERR_AUTH);
    token_table_free(&table);
}

static void files_say_all_that_a_token_can_be(void **state)
{
    (void)state;
    struct token_table *table = token_table_new();
    const struct token *token;
    struct span value;
    assert_int_equal(
        token_table_read(table, SPAN_LIT("# a comment\n// another\n\n"
                                         " token.write.a.name = W \n"
                                         "token.write.a.owner=o\n"
                                         "token.write.a.labels=a=b,c%20d=e%2Cf\n"
                                         "token.write.a.attributes=.nodelete=,.maxsize=7\n"
                                         "token.write.a.expiry=1000\n"
                                         "token.write.a.maxrate=500\n"
                                         "token.read.b.name=R\n"
                                         "token.read.b.owners=o1,o2\n"
                                         "token.read.b.labels=room=hall,n~a.*\n"
                                         "token.read.b.billed=x\n"
                                         "token.read.c.name=GONE\r\n"
                                         "token.read.c.revoked=true")),
        0);
    assert_int_equal(token_find(table, SPAN_LIT("W"), true, 1000, arena, &token), 0);
    assert_true(span_equal_str(token->producer, "o"));
    assert_int_equal(token->labels.count, 2);
    assert_true(span_equal_str(token->labels.items[1].name, "c d"));
    assert_true(span_equal_str(token->labels.items[1].value, "e,f"));
    assert_true(token_attribute(token, ".nodelete", &value));
    assert_true(token_attribute(token, ".maxsize", &value));
    assert_true(span_equal_str(value, "7"));
    assert_false(token_attribute(token, ".expose", &value));
    assert_int_equal(token->points_per_s, 500);
    assert_int_equal(token_find(table, SPAN_LIT("W"), true, 1001, arena, &token), ERR_AUTH);
    assert_string_equal(err_text(), "Token Expired.");
    assert_int_equal(token_find(table, SPAN_LIT("R"), false, 1, arena, &token), 0);
    assert_int_equal(token->owners.count, 2);
    assert_true(span_equal_str(token->labels.items[0].value, "=hall"));
    assert_true(span_equal_str(token->labels.items[1].value, "~a.*"));
    assert_int_equal(token_find(table, SPAN_LIT("GONE"), false, 1, arena, &token), ERR_AUTH);
    assert_string_equal(err_text(), "Token revoked.");
    token_table_free(&table);
}

static void faults_of_files_name_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place;
    } cases[] = {{"\ntoken.write.0.nme=x", "line 2 column 15:"},
                 {"\n token.owner.0.name=x", "line 2 column 2:"},
                 {"\ntoken.write.name=x", "line 2 column 1:"},
                 {"\ntoken.read.0.expiry=1s", "line 2 column 14:"},
                 {"\n  token.read.0.name", "line 2 column 20:"},
                 {"\ntoken.read.0.owner=x", "line 2:"},
                 {"\ntoken.write.0.name=x", "line 2:"},
                 {"\n\ttoken.read.0.hash=abc", "line 2 column 15:"},
                 {"\ntoken.read.0.labels=a", "line 2 column 14:"}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct token_table *table = token_table_new();
        assert_int_equal(token_table_read(table, span_of_str(cases[i].text)), ERR_INVALID);
        if (strstr(err_text(), cases[i].place) == NULL) {
            fail_msg("%s: %s", cases[i].text, err_text());
        }
        token_table_free(&table);
    }
    struct token_table *table = token_table_new();
    assert_int_equal(token_table_read(table, SPAN_LIT("token.read.0.name=x\ntoken.read.1.name=x")),
                     ERR_INVALID);
    assert_non_null(strstr(err_text(), "line 2: this token is there twice"));
    token_table_free(&table);
}

static void a_made_token_is_found_by_what_is_printed(void **state)
{
    (void)state;
    uint8_t random[TOKEN_RANDOM_BYTES];
    uint8_t hash[TOKEN_HASH_BYTES];
    struct token_pair label = {SPAN_LIT("a b"), SPAN_LIT("~c,d")};
    struct span owners[] = {SPAN_LIT("o,1"), SPAN_LIT("o2")};
    struct token token = {.id = SPAN_LIT("x"),
                          .labels = {&label, 1},
                          .owners = {owners, 2},
                          .expiry_ms = 99,
                          .issued_ms = 5};
    struct buf text = {0};
    struct buf file = {0};
    memset(random, 0xFB, sizeof(random));
    token_of_random(&text, random);
    assert_int_equal(text.bytes, 44);
    assert_int_equal(span_find_byte(buf_span(&text), '+'), -1);
    assert_int_not_equal(text.data[0], '-');
    token_hash(buf_span(&text), hash);
    token_print(&file, &token, hash);
    assert_null(strstr(buf_str(&file), buf_str(&text)));

    struct token_table *table = token_table_new();
    const struct token *found;
    const uint8_t *found_hash;
    size_t cursor = 0;
    assert_int_equal(token_table_read(table, buf_span(&file)), 0);
    assert_int_equal(token_find(table, buf_span(&text), false, 1, arena, &found), 0);
    assert_true(span_equal_str(found->id, "x"));
    assert_true(span_equal_str(found->owners.items[0], "o,1"));
    assert_true(span_equal_str(found->labels.items[0].name, "a b"));
    assert_true(span_equal_str(found->labels.items[0].value, "~c,d"));
    assert_int_equal(found->expiry_ms, 99);
    assert_true(token_table_next(table, &cursor, &found, &found_hash));
    assert_memory_equal(found_hash, hash, sizeof(hash));
    assert_false(token_table_next(table, &cursor, &found, &found_hash));
    token_table_free(&table);
    buf_deinit(&text);
    buf_deinit(&file);
}

#define ONES "11111111111111111111111111111111"

static const struct {
    bool write;
    const char *descriptor, *token;
} sealed[] = {
    {true, "1680a0abfef9621680e09ecce5ee0115042810" ONES "1810" ONES "180464656d6f00",
     ".KVEQsFj6Bx0pfCX7C_pbsESCca5DnMmdObGNcr4N8EYP0Xz2PWrnX_tan1RhlM_"
     "ZtSohFy2DZAo6AatZPNpK3OsQ3ziyjKfZ2vaw3EEGTJ"},
    {false,
     "1680a0abfef9621680e09ecce5ee01150248"
     "0464656d6f"
     "1918"
     "0464656d6f"
     "191810" ONES "19081810" ONES "00",
     "IeaiRP.pEcMacWGGGgqG97cwJj.5Z1ed9ICdQqD8puXraQMrI9DP5CDJkVkZO.Yi9w_O."
     "R8XW.hmRD2fL0pGuaoMWEOFi_8sptY4io915r4Aoh0JgHx.oF"},
};

static struct span key_from(uint8_t first, size_t bytes, uint8_t memory[32])
{
    for (size_t i = 0; i < bytes; i++) {
        memory[i] = (uint8_t)(first + i);
    }
    return span_of(memory, bytes);
}

static void sealed_tokens_are_those_of_the_reference(void **state)
{
    (void)state;
    uint8_t aes_memory[32];
    uint8_t hash_memory[32];
    struct span aes = key_from(0x40, 32, aes_memory);
    struct span hash = key_from(0x20, 16, hash_memory);
    struct token_table *table = token_table_new();
    assert_int_equal(token_table_keys(table, aes, span_first(hash, 15)), ERR_INVALID);
    assert_int_equal(token_table_keys(table, aes, hash), 0);
    for (size_t i = 0; i < ARRAY_COUNT(sealed); i++) {
        struct buf descriptor = {0};
        struct buf text = {0};
        const struct token *token;
        assert_true(text_unhex(&descriptor, span_of_str(sealed[i].descriptor)));
        assert_int_equal(token_seal(&text, aes, hash, buf_span(&descriptor)), 0);
        assert_string_equal(buf_str(&text), sealed[i].token);

        int64_t now_ms = INT64_C(1700000000000);
        assert_int_equal(token_find(table, buf_span(&text), sealed[i].write, now_ms, arena, &token),
                         0);
        assert_true(span_equal_str(token->application, "demo"));
        assert_int_equal(token->issued_ms, now_ms);
        assert_int_equal(token->expiry_ms, INT64_C(4102444800000));
        if (sealed[i].write) {
            assert_true(span_equal_str(token->owner, UUID));
            assert_true(span_equal_str(token->producer, UUID));
        } else {
            assert_int_equal(token->owners.count, 1);
            assert_true(span_equal_str(token->owners.items[0], UUID));
            assert_int_equal(token->producers.count, 0);
            assert_true(span_equal_str(token->applications.items[0], "demo"));
        }
        assert_int_equal(
            token_find(table, buf_span(&text), !sealed[i].write, now_ms, arena, &token), ERR_AUTH);
        assert_int_equal(token_find(table, buf_span(&text), sealed[i].write, INT64_C(4102444800001),
                                    arena, &token),
                         ERR_AUTH);
        assert_string_equal(err_text(), "Token Expired.");
        text.data[20] = text.data[20] == 'a' ? 'b' : 'a';
        assert_int_equal(token_find(table, buf_span(&text), sealed[i].write, now_ms, arena, &token),
                         ERR_AUTH);
        buf_deinit(&descriptor);
        buf_deinit(&text);
    }
    token_table_free(&table);
}

/* Scripts that are to run at each fetch do not here, so such a token is told apart. */
static void hooks_of_sealed_tokens_are_seen(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(sealed); i++) {
        struct buf descriptor = {0};
        struct token token;
        assert_true(text_unhex(&descriptor, span_of_str(sealed[i].descriptor)));
        descriptor.bytes--; /* the end of the struct */
        buf_append(&descriptor, SPAN_LIT("\x1b\x01\x88\x01"
                                         "a"
                                         "\x01"
                                         "b\x00"));
        assert_int_equal(token_descriptor_read(arena, buf_span(&descriptor), &token), 0);
        assert_int_equal(token.has_hooks, !sealed[i].write);
        buf_deinit(&descriptor);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_of_the_reference_is_understood),
        cmocka_unit_test(files_say_all_that_a_token_can_be),
        cmocka_unit_test(faults_of_files_name_the_line),
        cmocka_unit_test(a_made_token_is_found_by_what_is_printed),
        cmocka_unit_test(sealed_tokens_are_those_of_the_reference),
        cmocka_unit_test(hooks_of_sealed_tokens_are_seen),
    };
    return cmocka_run_group_tests(tests, make_arena, drop_arena);
}
