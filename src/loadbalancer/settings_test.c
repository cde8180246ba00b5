/* Claims: the documented defaults apply, and what cannot work is refused before anything starts. */
#include "loadbalancer/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct conf *parse(const char *text)
{
    struct conf *conf = NULL;
    struct buf problems = {0};
    if (conf_parse(span_of_str(text), "lb.conf", conf_schema_loadbalancer(), &problems, &conf) <
        0) {
        fail_msg("%s", buf_str(&problems));
    }
    buf_deinit(&problems);
    return conf;
}

static void ports_follow_the_scheme(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint16_t port;
        bool redirector;
        uint16_t webserver_port;
    } cases[] = {
        {"[Global]\nDatastore=d\nKey-File=k\nCertificate-File=c\n", 443, true, 443},
        {"[Global]\nDatastore=d\nInsecure-Disable-HTTPS=true\n", 80, false, 443},
        {"[Global]\nDatastore=d\nInsecure-Disable-HTTPS\nInsecure-Disable-Client-HTTPS\n"
         "Web-Port=8080\n",
         8080, false, 80},
        {"[Global]\nDatastore=d\nKey-File=k\nCertificate-File=c\nDisable-HTTP-Redirector=on\n", 443,
         false, 443},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct conf *conf = parse(cases[i].text);
        struct settings settings;
        assert_int_equal(settings_read(conf, &settings), 0);
        assert_int_equal(settings.port, cases[i].port);
        assert_int_equal(settings.redirector, cases[i].redirector);
        assert_int_equal(settings.webserver_port, cases[i].webserver_port);
        assert_true(settings.use_datastore);
        settings_deinit(&settings);
        conf_free(&conf);
    }
}

static void overrides_have_switches_of_their_own(void **state)
{
    (void)state;
    struct conf *conf = parse("[Global]\nDisable-Datastore=true\nInsecure-Disable-HTTPS=true\n"
                              "[Overrides \"a\"]\nWebserver=10.0.0.1\n"
                              "[Override \"b\"]\nWebserver=b:81\nInsecure-Disable-HTTPS=true\n"
                              "[Overrides \"c\"]\nWebserver=c\nInsecure-Skip-TLS-Verify=true\n");
    struct settings settings;
    assert_int_equal(settings_read(conf, &settings), 0);
    assert_false(settings.use_datastore);
    assert_int_equal(settings.overrides.count, 3);
    assert_true(settings.overrides.items[0].tls);
    assert_true(settings.overrides.items[0].verify);
    assert_int_equal(settings.overrides.items[0].default_port, 443);
    assert_false(settings.overrides.items[1].tls);
    assert_int_equal(settings.overrides.items[1].default_port, 80);
    assert_false(settings.overrides.items[2].verify);
    settings_deinit(&settings);
    conf_free(&conf);
}

static void what_cannot_work_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *problem;
    } cases[] = {
        {"[Global]\nDatastore=d\n", "lb.conf:1:2: HTTPS needs Key-File"},
        {"[Global]\nDatastore=d\nKey-File=k\n", "lb.conf:1:2: HTTPS needs Certificate-File"},
        {"[Global]\nInsecure-Disable-HTTPS=true\n", "neither a Datastore"},
        {"[Global]\nInsecure-Disable-HTTPS\nDatastore=d\nDisable-Datastore=true\n",
         "lb.conf:4:1: Disable-Datastore without"},
        {"[Global]\nInsecure-Disable-HTTPS\nDatastore=d\n[Overrides \"x\"]\n",
         "lb.conf:4:2: [Overrides \"x\"] needs a Webserver"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct conf *conf = parse(cases[i].text);
        assert_int_equal(settings_check(conf), ERR_INVALID);
        assert_non_null(strstr(err_text(), cases[i].problem));
        conf_free(&conf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_follow_the_scheme),
        cmocka_unit_test(overrides_have_switches_of_their_own),
        cmocka_unit_test(what_cannot_work_is_refused_with_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
