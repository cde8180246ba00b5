/* Claims: host and port come apart in every documented form, and nothing else passes for one. */
#include "conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void addresses_come_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *host;
        uint16_t port;
    } cases[] = {
        {"10.0.0.5", "10.0.0.5", 9405},
        {"10.0.0.5:9555", "10.0.0.5", 9555},
        {"store.example_1-x", "store.example_1-x", 9405},
        {"fe80::1%eth0", "fe80::1%eth0", 9405},
        {"::", "::", 9405},
        {"[::1]:80", "::1", 80},
        {"[::1]", "::1", 9405},
        {":9406", "", 9406},
        {"net:10.0.0.1:9404", "10.0.0.1", 9404},
        {"net:host", "host", 9405},
        {"net:9404", "net", 9404},
        {"net", "net", 9405},
        {"host:0", "host", 0},
    };
    struct buf host = {0};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        uint16_t port = 1;
        assert_int_equal(conf_host_port(span_of_str(cases[i].text), 9405, &host, &port), 0);
        assert_string_equal(buf_str(&host), cases[i].host);
        assert_int_equal(port, cases[i].port);
    }
    buf_deinit(&host);
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "a b",
        "host:",
        "host:x",
        "host:70000",
        "host:-1",
        "host:+1",
        "[::1",
        "[::1]80",
        "[]:80",
        "[]",
        "http://a",
        "a/24",
        "\"a\"",
        "[::1]:",
        "a:b:c:/",
        "\u201d10.0.0.1",
    };
    struct buf host = {0};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        uint16_t port = 1;
        assert_int_equal(conf_host_port(span_of_str(cases[i]), 9405, &host, &port), ERR_INVALID);
        assert_int_equal(port, 1);
    }
    buf_deinit(&host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_come_apart),
        cmocka_unit_test(what_is_no_address_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
