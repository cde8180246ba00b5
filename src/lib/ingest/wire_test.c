/* What is claimed: the hashes and structures of the protocol are those of its worked example. */
#include "ingest/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"
#include "base/time.h"

static void assert_hex(struct span bytes, const char *hex)
{
    struct buf text = {0};
    text_hex(&text, bytes);
    assert_string_equal(buf_str(&text), hex);
    buf_deinit(&text);
}

static struct ingest_challenge example_challenge(void)
{
    struct ingest_challenge challenge = {.rounds = 10000, .version = 9};
    for (uint8_t i = 0; i < 32; i++) {
        challenge.nonce[i] = i;
    }
    return challenge;
}

static void secrets_and_answers_are_those_of_the_worked_example(void **state)
{
    (void)state;
    static const struct {
        const char *secret, *hash, *answer;
    } vectors[] = {
        {"IngestSecrets", "64fabc31a3216a91ea762f708d5a2f3f",
         "82eb47c4eba6d5e40cb355f712f2fea500550fe79fcbfdb810c56c4b22f3a1e0"},
        {"IngestSecretsx", "c91ddc5b06decdccc45bcbd591e4f716",
         "ae9e6444b9587bcff556cce7fd32b11dec37282433852f665648b731cd28c128"},
        {"", "9fed45642b36a5c0cd5a1aae8e063503",
         "01cd352d298ac3a7ca702d4a71774646dd17aba32f51c731d4f5efed8aa0873f"},
    };
    struct ingest_challenge challenge = example_challenge();
    for (size_t i = 0; i < ARRAY_COUNT(vectors); i++) {
        uint8_t hash[INGEST_SECRET_HASH_BYTES];
        uint8_t answer[INGEST_ANSWER_BYTES];
        ingest_secret_hash(span_of_str(vectors[i].secret), hash);
        assert_hex(span_of(hash, sizeof(hash)), vectors[i].hash);
        ingest_answer(&challenge, hash, answer);
        assert_hex(span_of(answer, sizeof(answer)), vectors[i].answer);
    }
}

/* With no round at all the answer is the first half of the SHA-512. */
static void no_rounds_give_the_first_half_of_the_first_hash(void **state)
{
    (void)state;
    struct ingest_challenge challenge = example_challenge();
    challenge.rounds = 0;
    uint8_t hash[INGEST_SECRET_HASH_BYTES];
    uint8_t answer[INGEST_ANSWER_BYTES];
    ingest_secret_hash(SPAN_LIT("IngestSecrets"), hash);
    ingest_answer(&challenge, hash, answer);
    assert_hex(span_of(answer, sizeof(answer)),
               "c80c473fc8327ce571614047ec18003c1a769c51c5108948e231f78dd8c7f402");
    challenge.rounds = 1;
    ingest_answer(&challenge, hash, answer);
    assert_hex(span_of(answer, sizeof(answer)),
               "edbfe489ed75cd6edcda1d1d78ff7829d519ab3cda2e49aeb00bdc898b26cecf");
}

static void a_challenge_has_its_36_bytes_and_reads_back(void **state)
{
    (void)state;
    struct ingest_challenge challenge = example_challenge();
    struct buf buf = {0};
    ingest_challenge_write(&buf, &challenge);
    assert_hex(buf_span(&buf),
               "1027000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0900");
    struct ingest_challenge back;
    ingest_challenge_read(buf.data, &back);
    assert_memory_equal(&back, &challenge, sizeof(back));
    buf_deinit(&buf);
}

static void times_count_from_year_one(void **state)
{
    (void)state;
    int64_t seconds;
    uint32_t nanoseconds;
    ingest_time_to_wire(INT64_C(1700000000123456789), &seconds, &nanoseconds);
    assert_int_equal(seconds, INT64_C(63835596800));
    assert_int_equal(nanoseconds, 123456789);
    ingest_time_to_wire(-1, &seconds, &nanoseconds);
    assert_int_equal(seconds, INT64_C(62135596799));
    assert_int_equal(nanoseconds, 999999999);
    assert_int_equal(ingest_time_of_wire(seconds, nanoseconds), -1);
    assert_int_equal(ingest_time_of_wire(INT64_MIN, 0), TIME_MIN_NS);
    assert_int_equal(ingest_time_of_wire(INT64_MAX, UINT32_MAX), TIME_MAX_NS);
    assert_int_equal(ingest_time_of_wire(0, 0), TIME_MIN_NS);
}

/* The 12 bytes behind an IPv4 source are what the peer's buffer held before. */
static void the_tail_of_an_ipv4_source_is_not_looked_at(void **state)
{
    (void)state;
    uint8_t at[42] = {8, 0, 0, 0x80};
    memcpy(at + 18, "\x0a\0\0\x01", 4);
    at[33] = 1;
    struct ingest_entry_header header;
    ingest_entry_header_read(at, &header);
    assert_hex(span_of(header.source, 16), "00000000000000000000ffff0a000001");
    assert_int_equal(header.data_bytes, 8);
    assert_false(header.has_evs);
}

static void an_entry_reads_back_as_it_was_written(void **state)
{
    (void)state;
    struct entry entry = {.time_ns = INT64_C(1700000000123456789), .tag = 1};
    assert_true(entry_source_parse(SPAN_LIT("192.168.1.2"), entry.source));
    entry.data = SPAN_LIT("hello");
    struct buf buf = {0};
    ingest_entry_write(&buf, &entry, 1);
    assert_hex(buf_span(&buf), "cb5ac9c70500008000e8e5dc0e00000015cd5b070100"
                               "c0a80102000000000000000000000000"
                               "010000000000000068656c6c6f");
    struct ingest_entry_header header;
    ingest_entry_header_read(buf.data + 4, &header);
    assert_int_equal(header.time_ns, entry.time_ns);
    assert_int_equal(header.tag, 1);
    assert_int_equal(header.id, 1);
    assert_memory_equal(header.source, entry.source, 16);
    buf_deinit(&buf);
}

static void tag_lists_read_back_and_refusals_are_empty(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 20);
    struct ingest_tag_list list;
    assert_int_equal(ingest_tag_request_read(
                         SPAN_LIT("{\"count\":2,\"TAGS\":[\" a \",\"b\"],\"x\":1}"), arena, &list),
                     0);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.names[0], "a");
    assert_int_equal(ingest_tag_request_read(SPAN_LIT("{\"Tags\":null}"), arena, &list), 0);
    assert_int_equal(list.count, 0);
    assert_int_equal(ingest_tag_response_read(SPAN_LIT("{\"Count\":0,\"Tags\":{}}"), arena, &list),
                     0);
    assert_int_equal(list.count, 0);
    assert_int_equal(
        ingest_tag_response_read(SPAN_LIT("{\"Count\":1,\"Tags\":{\"a\":65535}}"), arena, &list),
        0);
    assert_int_equal(list.numbers[0], 65535);
    arena_free(&arena);
}

static void broken_json_is_a_fault_and_says_what_it_was(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 20);
    struct ingest_tag_list list;
    uint32_t id;
    const char *info;
    assert_int_equal(ingest_tag_request_read(SPAN_LIT("{\"Tags\":["), arena, &list), ERR_PROTOCOL);
    assert_non_null(strstr(err_text(), "tag request"));
    assert_int_equal(ingest_tag_request_read(SPAN_LIT("{\"Tags\":[1]}"), arena, &list),
                     ERR_PROTOCOL);
    assert_int_equal(
        ingest_tag_response_read(SPAN_LIT("{\"Count\":1,\"Tags\":{\"a\":65536}}"), arena, &list),
        ERR_PROTOCOL);
    assert_int_equal(ingest_state_response_read(SPAN_LIT("{\"ID\":-1}"), arena, &id, &info),
                     ERR_PROTOCOL);
    assert_int_equal(ingest_state_response_read(SPAN_LIT("[]"), arena, &id, &info), ERR_PROTOCOL);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_and_answers_are_those_of_the_worked_example),
        cmocka_unit_test(no_rounds_give_the_first_half_of_the_first_hash),
        cmocka_unit_test(a_challenge_has_its_36_bytes_and_reads_back),
        cmocka_unit_test(times_count_from_year_one),
        cmocka_unit_test(the_tail_of_an_ipv4_source_is_not_looked_at),
        cmocka_unit_test(an_entry_reads_back_as_it_was_written),
        cmocka_unit_test(tag_lists_read_back_and_refusals_are_empty),
        cmocka_unit_test(broken_json_is_a_fault_and_says_what_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
