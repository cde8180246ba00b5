/*
 * Claims: the file has every webserver in its slot with the TLS that the settings ask for, and
 * commands leave HAProxy as a file written afterwards would. Whether HAProxy likes them is
 * tests/cluster/test_loadbalancer.py's.
 */
#include "loadbalancer/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

static struct slots *slots_with(const char *first, const char *second, const char *name)
{
    struct slots *slots = slots_new(&(struct slots_options){3, 0, 0});
    struct slot_target targets[2] = {{.port = 8080}, {.port = 8443}};
    struct slots_list list = {targets, 2};
    struct slots_report report;
    size_t count;
    (void)snprintf(targets[0].address, sizeof(targets[0].address), "%s", first);
    (void)snprintf(targets[1].address, sizeof(targets[1].address), "%s", second);
    (void)snprintf(targets[1].name, sizeof(targets[1].name), "%s", name);
    (void)slots_step(slots, &list, 0, &count, &report);
    assert_int_equal(count, 2);
    return slots;
}

static char *written(const char *text, const struct slots *slots)
{
    struct conf *conf = NULL;
    struct settings settings;
    struct buf file = {0};
    assert_int_equal(conf_parse(span_of_str(text), "f", conf_schema_loadbalancer(), NULL, &conf),
                     0);
    assert_int_equal(settings_read(conf, &settings), 0);
    struct slot_target overrides[2] = {{"10.9.9.9", 444, "o.example"}, {"", 0, ""}};
    struct config_parts parts = {&settings, slots, overrides, "00ff", 1000};
    config_write(&parts, &file);
    settings_deinit(&settings);
    conf_free(&conf);
    return buf_take(&file);
}

static void has(const char *file, const char *text)
{
    if (strstr(file, text) == NULL) {
        fail_msg("\"%s\" is missing in\n%s", text, file);
    }
}

static void plain_servers_stand_in_their_slots(void **state)
{
    (void)state;
    struct slots *slots = slots_with("10.0.0.1", "fe80::1", "");
    char *file = written("[Global]\nDatastore=d\nInsecure-Disable-HTTPS\n"
                         "Insecure-Disable-Client-HTTPS\nSession-Timeout=7\n",
                         slots);
    has(file, "bind fd@4\n");
    has(file, "server w1 10.0.0.1:8080\n");
    has(file, "server w2 [fe80::1]:8443\n");
    has(file, "server w3 127.0.0.1:1 disabled\n");
    has(file, "maxidle 7m attr SameSite=Lax\n");
    has(file, "dynamic-cookie-key 00ff\n");
    has(file, "X-Forwarded-Proto http\n");
    assert_null(strstr(file, "ssl verify"));
    assert_null(strstr(file, "redirector"));
    mem_free(file);
    slots_free(&slots);
}

static void tls_is_verified_by_name_unless_told_otherwise(void **state)
{
    (void)state;
    struct slots *slots = slots_with("10.0.0.1", "10.0.0.2", "web.example");
    char *file = written("[Global]\nDatastore=d\nKey-File=k\nCertificate-File=c\nWeb-Port=8443\n"
                         "[Overrides \"x\"]\nWebserver=o.example:444\n"
                         "[Overrides \"y\"]\nWebserver=p\nInsecure-Skip-TLS-Verify=true\n",
                         slots);
    has(file, "bind fd@4 ssl crt users.pem alpn h2,http/1.1\n");
    has(file, "bind fd@5\n");
    has(file, "https://%[req.hdr(host),regsub(:[0-9]*$,)]:8443%[capture.req.uri]\n");
    has(file, "maxidle 10m secure attr SameSite=Lax\n");
    has(file, "server w1 10.0.0.1:8080 ssl verify required ca-file @system-ca "
              "sni srv_name,map_str(names.map)\n");
    has(file, "server o1 10.9.9.9:444 ssl verify required ca-file @system-ca "
              "verifyhost o.example\n");
    has(file, "server o2 127.0.0.1:1 disabled ssl verify none\n");
    mem_free(file);
    file =
        written("[Global]\nDatastore=d\nInsecure-Disable-HTTPS\nInsecure-Skip-TLS-Verify\n", slots);
    has(file, "server w2 10.0.0.2:8443 ssl verify none\n");
    mem_free(file);
    struct buf names = {0};
    config_write_names(slots, &names);
    assert_string_equal(buf_str(&names), "w2 web.example\n");
    buf_deinit(&names);
    slots_free(&slots);
}

static void only_trusted_proxies_in_front_are_passed_on(void **state)
{
    (void)state;
    struct slots *slots = slots_with("10.0.0.1", "10.0.0.2", "");
    char *file = written("[Global]\nDatastore=d\nInsecure-Disable-HTTPS\n", slots);
    has(file, "del-header X-Forwarded-For\n");
    has(file, "del-header Forwarded\n");
    assert_null(strstr(file, "expect-proxy"));
    assert_null(strstr(file, "send-proxy"));
    assert_null(strstr(file, "set-header Forwarded"));
    mem_free(file);
    file = written("[Global]\nDatastore=d\nInsecure-Disable-HTTPS\nTrusted-Proxy=10.0.0.0/8\n"
                   "Trusted-Proxy=::1\nAccept-Proxy-Protocol\nSend-Proxy-Protocol\n"
                   "Forwarded-Header\n",
                   slots);
    has(file, "del-header X-Forwarded-For unless { src 10.0.0.0/8 ::1 }\n");
    has(file, "set-header X-Forwarded-Proto http unless { req.hdr(X-Forwarded-Proto) -m found } "
              "{ src 10.0.0.0/8 ::1 }\n");
    has(file, "expect-proxy layer4 if { src 10.0.0.0/8 ::1 }\n");
    has(file, "on-error fastinter send-proxy-v2 check-send-proxy\n");
    has(file, "set-header Forwarded for=%[src];proto=http\n");
    mem_free(file);
    slots_free(&slots);
}

static void commands_say_what_changes(void **state)
{
    (void)state;
    struct slots *slots = slots_with("10.0.0.1", "10.0.0.2", "web.example");
    struct settings plain = {.webserver_tls = false};
    struct settings verified = {.webserver_tls = true, .webserver_verify = true};
    struct buf commands = {0};
    config_change_commands(&plain, slots, &(struct slot_change){SLOT_CHANGE_FILL, 1}, &commands);
    assert_string_equal(buf_str(&commands), "set server webservers/w2 addr 10.0.0.2 port 8443\n"
                                            "set server webservers/w2 state drain\n"
                                            "set server webservers/w2 health down\n"
                                            "set server webservers/w2 state ready\n");
    buf_clear(&commands);
    config_change_commands(&verified, slots, &(struct slot_change){SLOT_CHANGE_READY, 1},
                           &commands);
    assert_string_equal(buf_str(&commands), "del map names.map w2\n"
                                            "add map names.map w2 web.example\n"
                                            "set server webservers/w2 addr 10.0.0.2 port 8443\n"
                                            "set server webservers/w2 state ready\n");
    buf_clear(&commands);
    config_change_commands(&verified, slots, &(struct slot_change){SLOT_CHANGE_DRAIN, 0},
                           &commands);
    config_change_commands(&verified, slots, &(struct slot_change){SLOT_CHANGE_EMPTY, 0},
                           &commands);
    assert_string_equal(buf_str(&commands), "set server webservers/w1 state drain\n"
                                            "set server webservers/w1 state maint\n");
    buf_deinit(&commands);
    slots_free(&slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_servers_stand_in_their_slots),
        cmocka_unit_test(tls_is_verified_by_name_unless_told_otherwise),
        cmocka_unit_test(only_trusted_proxies_in_front_are_passed_on),
        cmocka_unit_test(commands_say_what_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
