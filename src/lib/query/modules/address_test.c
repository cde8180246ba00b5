/* Networks and what lies in them. */
#include "query/modules/address.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static bool has(const char *set_text, const char *ip_text)
{
    struct address_set set;
    uint8_t ip[ENTRY_SOURCE_BYTES];
    assert_true(address_set_parse(span_of_str(set_text), &set));
    assert_true(entry_source_parse(span_of_str(ip_text), ip));
    return address_set_has(&set, ip);
}

static void a_network_holds_its_addresses_only(void **unused)
{
    (void)unused;
    assert_true(has("10.0.0.0/8", "10.255.0.1"));
    assert_false(has("10.0.0.0/8", "11.0.0.0"));
    assert_true(has("10.9.9.9/8", "10.0.0.1"));
    assert_true(has("192.0.2.7", "192.0.2.7"));
    assert_false(has("192.0.2.7/31", "192.0.2.8"));
    assert_true(has("0.0.0.0/0", "255.1.2.3"));
    assert_false(has("0.0.0.0/0", "2001:db8::1"));
    assert_true(has("::/0", "2001:db8::1"));
    assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
}

static void what_is_no_network_is_refused(void **unused)
{
    (void)unused;
    static const char *const wrong[] = {"",           "10.0.0.0/33", "10.0.0/8", "fe80::/129",
                                        "10.0.0.0/x", "PUBLIC",      "1.2.3.4/", "x/8"};
    struct address_set set;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        assert_false(address_set_parse(span_of_str(wrong[i]), &set));
    }
}

static void named_sets_are_those_of_the_sheet(void **unused)
{
    (void)unused;
    assert_true(has("PRIVATE", "192.168.1.20"));
    assert_true(has("PRIVATE", "fe80::1"));
    assert_false(has("PRIVATE", "192.0.2.7"));
    assert_true(has("MULTICAST", "239.1.2.3"));
    assert_true(has("MULTICAST", "ff02::1"));
    uint8_t ip[ENTRY_SOURCE_BYTES];
    assert_true(entry_source_parse(SPAN_LIT("8.8.8.8"), ip));
    assert_string_equal(address_category(ip), "PUBLIC");
    assert_true(entry_source_parse(SPAN_LIT("172.31.0.1"), ip));
    assert_string_equal(address_category(ip), "PRIVATE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_holds_its_addresses_only),
        cmocka_unit_test(what_is_no_network_is_refused),
        cmocka_unit_test(named_sets_are_those_of_the_sheet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
