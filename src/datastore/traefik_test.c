/*
 * Traefik gets what it would read from a file of its own, and nobody without the token gets
 * anything. That a real Traefik takes it is tests/interop/test_traefik.py's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "datastore/traefik.h"

static const char list[] =
    "{\"webservers\":[{\"external_addr\":\"10.0.0.1:443\",\"up\":true},"
    "{\"external_addr\":\"10.0.0.2:443\",\"up\":false},{\"external_addr\":\"\",\"up\":true},"
    "{\"external_addr\":\"web.example\",\"up\":true}]}";

static void expect(const struct traefik_options *options, const char *text)
{
    json_t *webservers = json_loads(list, 0, NULL);
    json_t *config = traefik_config(webservers, options);
    json_t *wanted = json_loads(text, 0, NULL);
    assert_non_null(wanted);
    if (!json_equal(config, wanted)) {
        fail_msg("%s", json_dumps(config, JSON_INDENT(1)));
    }
    json_decref(wanted);
    json_decref(config);
    json_decref(webservers);
}

static void webservers_that_are_up_are_servers(void **state)
{
    (void)state;
    expect(
        &(struct traefik_options){
            .https = true, .verify = true, .rule = "PathPrefix(`/`)", .name = "aquifer"},
        "{\"http\":{"
        "\"routers\":{\"aquifer\":{\"rule\":\"PathPrefix(`/`)\",\"service\":\"aquifer\","
        "\"middlewares\":[\"aquifer\"]}},"
        "\"middlewares\":{\"aquifer\":{\"retry\":{\"attempts\":3,"
        "\"initialInterval\":\"50ms\"}}},"
        "\"services\":{\"aquifer\":{\"loadBalancer\":{"
        "\"servers\":[{\"url\":\"https://10.0.0.1:443\"},{\"url\":\"https://web.example\"}],"
        "\"passHostHeader\":true,"
        "\"sticky\":{\"cookie\":{\"name\":\"AQUIFER_LB\",\"httpOnly\":true,\"secure\":false,"
        "\"sameSite\":\"lax\"}},"
        "\"healthCheck\":{\"path\":\"/readyz\",\"interval\":\"500ms\",\"timeout\":\"500ms\"}}}}}}");
}

static void the_query_says_what_traefik_makes_of_them(void **state)
{
    (void)state;
    expect(
        &(struct traefik_options){.https = true,
                                  .tls = true,
                                  .rule = "Host(`logs.example`)",
                                  .name = "logs",
                                  .entry_points = {"websecure", "other"},
                                  .entry_point_count = 2},
        "{\"http\":{"
        "\"routers\":{\"logs\":{\"rule\":\"Host(`logs.example`)\",\"service\":\"logs\","
        "\"middlewares\":[\"logs\"],\"entryPoints\":[\"websecure\",\"other\"],\"tls\":{}}},"
        "\"middlewares\":{\"logs\":{\"retry\":{\"attempts\":3,"
        "\"initialInterval\":\"50ms\"}}},"
        "\"serversTransports\":{\"logs\":{\"insecureSkipVerify\":true}},"
        "\"services\":{\"logs\":{\"loadBalancer\":{"
        "\"servers\":[{\"url\":\"https://10.0.0.1:443\"},{\"url\":\"https://web.example\"}],"
        "\"passHostHeader\":true,\"serversTransport\":\"logs\","
        "\"sticky\":{\"cookie\":{\"name\":\"AQUIFER_LB\",\"httpOnly\":true,\"secure\":true,"
        "\"sameSite\":\"lax\"}},"
        "\"healthCheck\":{\"path\":\"/readyz\",\"interval\":\"500ms\",\"timeout\":\"500ms\"}}}}}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(webservers_that_are_up_are_servers),
        cmocka_unit_test(the_query_says_what_traefik_makes_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
