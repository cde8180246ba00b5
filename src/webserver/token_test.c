/* Tokens: what token_sign made, token_verify accepts, and nothing else. */
#include "webserver/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"
#include "base/time.h"

static const struct token_key keys[] = {
    {"0b1c2d3e-0000-4000-8000-000000000001", {1, 2, 3}},
    {"0b1c2d3e-0000-4000-8000-000000000002", {4, 5, 6}},
};

static const struct token_claims claims = {
    .uid = 7,
    .issued_ns = 1000,
    .expires_ns = 100 * TIME_S_NS,
    .session = "5b0f4c1e-8d52-4a6b-9c1d-2e7f60a1b3c4",
};

static void a_signed_token_is_accepted_with_any_known_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        struct buf token = {0};
        struct token_claims got;
        token_sign(&claims, &keys[i], &token);
        assert_int_equal(
            token_verify(buf_span(&token), keys, ARRAY_COUNT(keys), 99 * TIME_S_NS, &got), 0);
        assert_int_equal(got.uid, 7);
        assert_string_equal(got.session, claims.session);
        buf_deinit(&token);
    }
}

static void an_expired_token_or_one_of_an_unknown_key_is_refused(void **state)
{
    (void)state;
    struct buf token = {0};
    struct token_claims got;
    token_sign(&claims, &keys[1], &token);
    assert_int_equal(token_verify(buf_span(&token), keys, 2, 100 * TIME_S_NS, &got), ERR_AUTH);
    assert_string_equal(err_text(), "token has expired");
    assert_int_equal(token_verify(buf_span(&token), keys, 1, 0, &got), ERR_AUTH);
    buf_deinit(&token);
}

/* Changes every byte of a good token in turn. */
static void any_changed_byte_makes_a_token_worthless(void **state)
{
    (void)state;
    struct buf token = {0};
    struct token_claims got;
    token_sign(&claims, &keys[0], &token);
    for (size_t i = 0; i < token.bytes; i++) {
        token.data[i] ^= 1;
        assert_int_equal(token_verify(buf_span(&token), keys, 2, 0, &got), ERR_AUTH);
        token.data[i] ^= 1;
    }
    for (size_t bytes = 0; bytes < token.bytes; bytes++) {
        assert_int_equal(token_verify(span_of(token.data, bytes), keys, 2, 0, &got), ERR_AUTH);
    }
    buf_deinit(&token);
}

/* Clients read the expiry out of the middle part. */
static void the_middle_part_is_hex_json_with_uid_and_expires(void **state)
{
    (void)state;
    struct buf token = {0};
    struct buf payload = {0};
    token_sign(&claims, &keys[0], &token);
    struct span rest = buf_span(&token);
    struct span part;
    assert_true(span_split(&rest, '.', &part));
    assert_true(span_split(&rest, '.', &part));
    assert_true(text_unhex(&payload, part));
    assert_true(span_starts_with(buf_span(&payload),
                                 SPAN_LIT("{\"uid\":7,\"expires\":\"1970-01-01T00:01:40Z\"")));
    buf_deinit(&payload);
    buf_deinit(&token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signed_token_is_accepted_with_any_known_key),
        cmocka_unit_test(an_expired_token_or_one_of_an_unknown_key_is_refused),
        cmocka_unit_test(any_changed_byte_makes_a_token_worthless),
        cmocka_unit_test(the_middle_part_is_hex_json_with_uid_and_expires),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
