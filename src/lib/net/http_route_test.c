/* Which route a target means: pure. Claims are the names of the tests. */
#include "net/testing.h"

#include "net/http_route.h"

static void nothing(struct http_request *request, void *context)
{
    (void)request;
    (void)context;
}

static const struct http_route routes[] = {
    {.method = "GET", .path = "/", .handler = nothing},
    {.method = "GET", .path = "/api/things/{id}", .handler = nothing},
    {.method = "PUT", .path = "/api/things/{id}", .handler = nothing},
    {.method = "GET", .path = "/api/things/all", .handler = nothing},
    {.method = "POST", .path = "/api/{kind}/all/clone", .handler = nothing},
    {.method = "GET", .path = "/api/things/{id}/clone/{times}", .handler = nothing},
    {.method = "GET", .path = "/files/{path*}", .handler = nothing},
    {.method = "*", .path = "/any", .handler = nothing},
    {.method = "OPTIONS", .path = "/{path*}", .handler = nothing},
};

static struct http_router *router_of_routes(void)
{
    struct http_router *router = NULL;
    struct http_routes table = {routes, ARRAY_COUNT(routes), NULL};
    assert_int_equal(http_router_new(&table, 1, &router), 0);
    return router;
}

/* "route path|param=value|..." or "405 allow" or "404" or "400". */
static void assert_found(const char *method, const char *text, const char *expected)
{
    struct http_router *router = router_of_routes();
    struct arena *arena = arena_new((size_t)1 << 20);
    struct http_target target;
    struct http_match match;
    struct buf is = {0};
    if (http_target_parse(arena, text, &target) < 0) {
        buf_append_str(&is, "400");
    } else {
        http_router_match(router, method, &target, &match);
        if (match.route != NULL) {
            buf_append_str(&is, match.route->path);
        } else if (match.allow[0] != 0) {
            buf_printf(&is, "405 %s", match.allow);
        } else {
            buf_append_str(&is, "404");
        }
        for (size_t i = 0; i < match.param_count; i++) {
            buf_printf(&is, "|%s=%s", match.params[i].name, match.params[i].value);
        }
    }
    assert_string_equal(buf_str(&is), expected);
    buf_deinit(&is);
    arena_free(&arena);
    http_router_free(&router);
}

static void a_literal_wins_over_a_parameter_and_that_over_the_rest(void **state)
{
    (void)state;
    assert_found("GET", "/api/things/all", "/api/things/all");
    assert_found("GET", "/api/things/7", "/api/things/{id}|id=7");
    assert_found("GET", "/files/a/b.js", "/files/{path*}|path=a/b.js");
    assert_found("GET", "/files", "/files/{path*}|path=");
    assert_found("GET", "/", "/");
    assert_found("POST", "/api/things/all/clone", "/api/{kind}/all/clone|kind=things");
    assert_found("GET", "/api/things/7/clone/2", "/api/things/{id}/clone/{times}|id=7|times=2");
}

static void slashes_too_many_change_nothing(void **state)
{
    (void)state;
    assert_found("GET", "/api/things/all/", "/api/things/all");
    assert_found("GET", "//api//things/7/", "/api/things/{id}|id=7");
    assert_found("GET", "", "/");
}

static void a_parameter_may_hold_any_character(void **state)
{
    (void)state;
    assert_found("GET", "/api/things/a%2Fb%20c+d?x=1", "/api/things/{id}|id=a/b c+d");
    assert_found("GET", "/files/a%20b/c", "/files/{path*}|path=a b/c");
}

static void a_path_that_climbs_or_has_a_bad_escape_is_refused(void **state)
{
    (void)state;
    assert_found("GET", "/files/../etc/passwd", "400");
    assert_found("GET", "/files/%2e%2E/etc/passwd", "400");
    assert_found("GET", "/files/./x", "400");
    assert_found("GET", "/..%2f..%2Fetc%2fpasswd", "400");
    assert_found("GET", "/files/a%2F..%2F..%2Fetc", "400");
    assert_found("GET", "/files/a%2f.", "400");
    assert_found("GET", "/files/..a%2fb..%2f...", "/files/{path*}|path=..a/b../...");
    assert_found("GET", "/files/a%00b", "400");
    assert_found("GET", "/files/a%zz", "400");
    assert_found("GET", "/files/x?a=%", "400");
    assert_found("GET",
                 "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/"
                 "27/28/29/30/31/32/33",
                 "400");
}

static void a_path_with_other_methods_is_405_and_a_catch_all_makes_none(void **state)
{
    (void)state;
    assert_found("DELETE", "/api/things/7", "405 GET, PUT");
    assert_found("PUT", "/api/things/all", "/api/things/{id}|id=all");
    assert_found("HEAD", "/api/things/7", "/api/things/{id}|id=7");
    assert_found("POST", "/files/x", "404");
    assert_found("GET", "/nowhere", "404");
    assert_found("OPTIONS", "/nowhere/at/all", "/{path*}|path=nowhere/at/all");
    assert_found("BREW", "/any", "/any");
}

static void the_query_keeps_order_repeats_and_empty_values(void **state)
{
    (void)state;
    struct arena *arena = arena_new((size_t)1 << 20);
    struct http_target target;
    assert_int_equal(http_target_parse(arena, "/x?a=1&b&a=2%263&&c=&d=x+y=z", &target), 0);
    static const char *const expected[][2] = {
        {"a", "1"}, {"b", ""}, {"a", "2&3"}, {"c", ""}, {"d", "x y=z"}};
    assert_int_equal(target.query_count, ARRAY_COUNT(expected));
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        assert_string_equal(target.query[i].name, expected[i][0]);
        assert_string_equal(target.query[i].value, expected[i][1]);
    }
    arena_free(&arena);
}

static void a_route_given_twice_or_badly_written_does_not_start(void **state)
{
    (void)state;
    static const struct http_route bad[][2] = {
        {{.method = "GET", .path = "/a/{x}"}, {.method = "GET", .path = "/a/{y}/"}},
        {{.method = "GET", .path = "/a/{x*}/b"}, {.method = "GET", .path = "/c"}},
        {{.method = "GET", .path = "/a/{x"}, {.method = "GET", .path = "/c"}},
        {{.method = "GET", .path = "/a/{}"}, {.method = "GET", .path = "/c"}},
        {{.method = "GET", .path = "a"}, {.method = "GET", .path = "/c"}},
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct http_router *router = NULL;
        struct http_routes table = {bad[i], 2, NULL};
        assert_int_equal(http_router_new(&table, 1, &router), ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_literal_wins_over_a_parameter_and_that_over_the_rest),
        cmocka_unit_test(slashes_too_many_change_nothing),
        cmocka_unit_test(a_parameter_may_hold_any_character),
        cmocka_unit_test(a_path_that_climbs_or_has_a_bad_escape_is_refused),
        cmocka_unit_test(a_path_with_other_methods_is_405_and_a_catch_all_makes_none),
        cmocka_unit_test(the_query_keeps_order_repeats_and_empty_values),
        cmocka_unit_test(a_route_given_twice_or_badly_written_does_not_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
