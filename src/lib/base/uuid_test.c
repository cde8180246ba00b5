/*
 * Claims: a uuid's text form reads back to it in either case, minted ones are version 4, and
 * what is not exactly of the 36-character form is refused.
 */
#include "base/uuid.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void the_text_form_reads_back(void **state)
{
    (void)state;
    struct uuid uuid;
    char text[UUID_TEXT_BYTES];
    assert_true(uuid_parse(SPAN_LIT("0D9F5A52-6f2c-4c0e-8f3a-51c2d7a9e004"), &uuid));
    assert_string_equal(uuid_text(uuid, text), "0d9f5a52-6f2c-4c0e-8f3a-51c2d7a9e004");
    struct uuid again;
    assert_true(uuid_parse(span_of_str(text), &again));
    assert_true(uuid_equal(uuid, again));
    again.bytes[15] ^= 1;
    assert_false(uuid_equal(uuid, again));
}

static void minted_ones_are_version_4(void **state)
{
    (void)state;
    uint8_t random[16];
    char text[UUID_TEXT_BYTES];
    memset(random, 0xff, sizeof(random));
    assert_string_equal(uuid_text(uuid_of_random(random), text),
                        "ffffffff-ffff-4fff-bfff-ffffffffffff");
    memset(random, 0, sizeof(random));
    assert_string_equal(uuid_text(uuid_of_random(random), text),
                        "00000000-0000-4000-8000-000000000000");
    assert_false(uuid_is_zero(uuid_of_random(random)));
    assert_true(uuid_is_zero((struct uuid){{0}}));
}

static void other_forms_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "0d9f5a52",
        "0d9f5a526f2c4c0e8f3a51c2d7a9e004",
        "{0d9f5a52-6f2c-4c0e-8f3a-51c2d7a9e00}",
        "0d9f5a52-6f2c-4c0e-8f3a-51c2d7a9e0040",
        "0d9f5a52-6f2c-4c0e-8f3a+51c2d7a9e004",
        "0d9f5a52-6f2c-4c0e-8f3a-51c2d7a9e00g",
        "0d9f5a5-26f2c-4c0e-8f3a-51c2d7a9e004",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct uuid uuid;
        assert_false(uuid_parse(span_of_str(wrong[i]), &uuid));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_form_reads_back),
        cmocka_unit_test(minted_ones_are_version_4),
        cmocka_unit_test(other_forms_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
