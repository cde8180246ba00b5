/*
 * Trusted-Proxy is read whole or refused with its place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "conf/schema.h"
#include "service/proxies.h"

static int read_text(const char *text, struct proxies *proxies)
{
    struct conf *conf = NULL;
    assert_int_equal(conf_parse(span_of_str(text), "a.conf", conf_schema_aquifer(), NULL, &conf),
                     0);
    int rc = service_check_proxies(conf);
    assert_int_equal(service_read_proxies(conf, proxies), rc);
    conf_free(&conf);
    return rc;
}

static void every_proxy_is_read(void **state)
{
    (void)state;
    struct proxies proxies;
    assert_int_equal(read_text("[global]\nTrusted-Proxy=10.0.0.0/8\nTrusted-Proxy=::1\n"
                               "Accept-Proxy-Protocol=true\n",
                               &proxies),
                     0);
    assert_int_equal(proxies.networks.count, 2);
    proxies_deinit(&proxies);
    assert_int_equal(read_text("[global]\n", &proxies), 0);
    assert_int_equal(proxies.networks.count, 0);
}

static void a_bad_one_is_refused_with_its_place(void **state)
{
    (void)state;
    struct proxies proxies;
    assert_int_equal(read_text("[global]\nTrusted-Proxy=balancer\n", &proxies), ERR_INVALID);
    assert_non_null(strstr(err_text(), "a.conf:2"));
    assert_non_null(strstr(err_text(), "balancer"));
    proxies_deinit(&proxies);
    assert_int_equal(read_text("[global]\nAccept-Proxy-Protocol=true\n", &proxies), ERR_INVALID);
    assert_non_null(strstr(err_text(), "a.conf:2"));
    proxies_deinit(&proxies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_proxy_is_read),
        cmocka_unit_test(a_bad_one_is_refused_with_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
