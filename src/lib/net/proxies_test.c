/*
 * Only proxies that were named are believed, in headers and in the PROXY protocol.
 */
#include "net/testing.h"

#include <netinet/in.h>

#include "net/proxies.h"

static struct proxies trusting(const char *const *networks, size_t count)
{
    struct proxies proxies = {0};
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(proxies_add(&proxies, span_of_str(networks[i])), 0);
    }
    return proxies;
}

static void an_address_is_in_a_network_or_not(void **state)
{
    (void)state;
    static const char *const networks[] = {"10.0.0.0/8", "192.0.2.7", "2001:db8:8000::/33", "::1"};
    static const char *const in[] = {"10.255.0.1", "192.0.2.7", "2001:db8:ffff::1", "::1",
                                     "::ffff:10.1.1.1"};
    static const char *const out[] = {"11.0.0.1", "192.0.2.8", "2001:db8:7fff::1", "::2",
                                      "",         "x",         "10.0.0.1:80"};
    struct proxies proxies = trusting(networks, ARRAY_COUNT(networks));
    for (size_t i = 0; i < ARRAY_COUNT(in); i++) {
        assert_true(proxies_trust(&proxies, span_of_str(in[i])));
    }
    for (size_t i = 0; i < ARRAY_COUNT(out); i++) {
        assert_false(proxies_trust(&proxies, span_of_str(out[i])));
    }
    proxies_deinit(&proxies);
}

static void what_is_no_network_is_named(void **state)
{
    (void)state;
    static const char *const bad[] = {"",       "host",     "10.0.0.0/33", "10.0.0/8",
                                      "::/129", "1.2.3.4/", "1.2.3.4/x",   "[::1]"};
    struct proxies proxies = {0};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(proxies_add(&proxies, span_of_str(bad[i])), ERR_INVALID);
        assert_non_null(strstr(err_text(), bad[i]));
    }
    assert_int_equal(proxies.networks.count, 0);
}

static void the_client_is_the_last_that_is_no_trusted_proxy(void **state)
{
    (void)state;
    static const char *const networks[] = {"10.0.0.0/8"};
    static const struct {
        const char *peer, *forwarded_for, *proto, *forwarded, *client;
        bool https;
    } cases[] = {
        {"192.0.2.1", "1.1.1.1", "https", "", "192.0.2.1", false}, /* nobody we trust */
        {"10.0.0.1", "", "", "", "10.0.0.1", false},
        {"10.0.0.1", "1.1.1.1", "", "", "1.1.1.1", false},
        {"10.0.0.1", "6.6.6.6, 1.1.1.1", "https", "", "1.1.1.1", true},
        {"10.0.0.1", "6.6.6.6,1.1.1.1 , 10.0.0.2", "https", "", "1.1.1.1", true},
        {"10.0.0.1", "10.0.0.3,10.0.0.2", "http", "", "10.0.0.3", false},
        {"10.0.0.1", "1.1.1.1,evil,10.0.0.2", "", "", "10.0.0.2", false},
        {"10.0.0.1", "1.1.1.1:4711", "HTTPS", "", "1.1.1.1", true},
        {"10.0.0.1", "[2001:db8::1]:80", "", "", "2001:db8::1", false},
        {"10.0.0.1", "2001:db8::1", "", "", "2001:db8::1", false},
        {"10.0.0.1", "1.1.1.1", "", "for=2.2.2.2", "1.1.1.1", false},
        {"10.0.0.1", "", "", "for=2.2.2.2;proto=https", "2.2.2.2", true},
        {"10.0.0.1", "", "", "for=6.6.6.6, FOR=\"[2001:db8::2]:1\"; Proto=https;by=x",
         "2001:db8::2", true},
        {"10.0.0.1", "", "", "for=unknown;proto=https", "10.0.0.1", true},
        {"10.0.0.1", "", "", "for=\"", "10.0.0.1", false},
    };
    struct proxies proxies = trusting(networks, 1);
    struct arena *arena = arena_new(65536);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct proxies_headers headers = {span_of_str(cases[i].forwarded_for),
                                          span_of_str(cases[i].proto),
                                          span_of_str(cases[i].forwarded)};
        struct proxies_client client = proxies_client(&proxies, cases[i].peer, &headers, arena);
        assert_string_equal(client.address, cases[i].client);
        assert_int_equal(client.https, cases[i].https);
    }
    arena_free(&arena);
    proxies_deinit(&proxies);
}

/* ── PROXY ───────────────────────────────────────────────────────────────────────────────── */

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define HEADER(text)                                                                               \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

struct header {
    const char *text;
    size_t bytes;
};

static int read_header(const struct header *header, char peer[INET6_ADDRSTRLEN])
{
    struct sockaddr_storage address = {0};
    socklen_t bytes = 0;
    size_t begin = 0;
    size_t more = 0;
    int rc = PROXIES_MORE;
    /* No step reads past the header. */
    while (rc == PROXIES_MORE) {
        rc = proxies_header(span_of(header->text, begin), &address, &bytes, &more);
        begin += rc == PROXIES_MORE ? more : 0;
        assert_true(rc < 0 || more > 0);
        if (begin > header->bytes) {
            return PROXIES_MORE;
        }
    }
    assert_true(rc < 0 || begin == header->bytes);
    peer[0] = 0;
    if (address.ss_family != 0) {
        const void *ip = address.ss_family == AF_INET
                             ? (const void *)&((struct sockaddr_in *)&address)->sin_addr
                             : (const void *)&((struct sockaddr_in6 *)&address)->sin6_addr;
        assert_non_null(inet_ntop(address.ss_family, ip, peer, INET6_ADDRSTRLEN));
    }
    return rc;
}

static void a_proxy_header_names_the_client_and_is_read_to_its_end(void **state)
{
    (void)state;
    static const struct {
        struct header header;
        const char *peer;
    } cases[] = {
        {HEADER("PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n"), "192.0.2.1"},
        {HEADER("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), "2001:db8::1"},
        {HEADER("PROXY UNKNOWN\r\n"), ""},
        {HEADER("PROXY UNKNOWN ffff:: ffff:: 65535 65535\r\n"), ""},
        {HEADER(V2 "\x21\x11\0\x0C\xC0\0\x02\x01\x0A\0\0\x01\xDC\x04\x01\xBB"), "192.0.2.1"},
        {HEADER(V2 "\x21\x11\0\x0F\xC0\0\x02\x01\x0A\0\0\x01\xDC\x04\x01\xBB\x04\0\0"),
         "192.0.2.1"}, /* something may follow the addresses */
        {HEADER(V2 "\x20\0\0\0"), ""},
        {HEADER(V2 "\x21\x31\0\x02"
                   "ab"),
         ""}, /* of a unix socket */
        {HEADER(V2 "\x21\x21\0\x24\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01"
                   "0123456789abcdef"
                   "\xDC\x04\x01\xBB"),
         "2001:db8::1"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char peer[INET6_ADDRSTRLEN];
        assert_int_equal(read_header(&cases[i].header, peer), 0);
        assert_string_equal(peer, cases[i].peer);
        for (size_t cut = 0; cut < cases[i].header.bytes; cut++) {
            struct header part = {cases[i].header.text, cut};
            assert_int_equal(read_header(&part, peer), PROXIES_MORE);
        }
    }
}

static void what_is_no_proxy_header_is_refused(void **state)
{
    (void)state;
    static const struct header bad[] = {
        HEADER("GET / HTTP/1.1\r\n\r\n"),
        HEADER("PROXY TCP4 192.0.2.1 10.0.0.1 56324\r\n"),
        HEADER("PROXY TCP4 2001:db8::1 ::1 1 2\r\n"),
        HEADER("PROXY TCP6 192.0.2.1 10.0.0.1 56324 443\r\n"),
        HEADER("PROXY TCP4 192.0.2.1 10.0.0.1 65536 443\r\n"),
        HEADER("PROXY TCP4 192.0.2.1 10.0.0.1 1 443 more\r\n"),
        HEADER("PROXY UDP4 192.0.2.1 10.0.0.1 1 443\r\n"),
        HEADER(V2 "\x11\x11\0\x0C\xC0\0\x02\x01\x0A\0\0\x01\xDC\x04\x01\xBB"),
        HEADER(V2 "\x22\x11\0\x0C\xC0\0\x02\x01\x0A\0\0\x01\xDC\x04\x01\xBB"),
        HEADER(V2 "\x21\x11\0\x04"
                  "abcd"),
        HEADER(V2 "\x21\x21\0\x0C"
                  "0123456789ab"),
        HEADER(V2 "\x21\x11\xFF\xFF"),
    };
    char peer[INET6_ADDRSTRLEN];
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(read_header(&bad[i], peer), ERR_PROTOCOL);
    }
    char endless[200];
    memset(endless, 'x', sizeof(endless));
    memcpy(endless, "PROXY TCP4 ", 11);
    struct header header = {endless, sizeof(endless)};
    assert_int_equal(read_header(&header, peer), ERR_PROTOCOL);
}

/* ── In the server ───────────────────────────────────────────────────────────────────────── */

static void tell_peer(struct http_request *request, void *context)
{
    (void)context;
    http_reply(request, 200, http_request_is_https(request) ? "text/https" : "text/http",
               span_of_str(http_request_peer(request)));
}

static const struct http_route routes[] = {{.method = "GET", .path = "/", .handler = tell_peer}};

/* Sends it all and expects that the server takes the request for `peer`'s; NULL: it hangs up. */
static void expect_peer(struct http_server *server, const char *sent, const char *peer)
{
    struct raw raw = raw_connect(http_server_port(server));
    raw_say(&raw, sent);
    if (peer == NULL) {
        while (raw_more(&raw)) {}
        assert_int_equal(raw.in.bytes, 0);
    } else {
        struct raw_answer answer = {0};
        raw_read(&raw, &answer);
        assert_int_equal(answer.status, 200);
        assert_true(span_equal_str(buf_span(&answer.body), peer));
        raw_answer_deinit(&answer);
    }
    raw_close(&raw);
}

#define GET                                                                                        \
    "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n"

static void headers_of_strangers_are_ignored(void **state)
{
    (void)state;
    static const char *const ours[] = {"127.0.0.0/8"};
    static const char *const others[] = {"10.0.0.0/8"};
    struct proxies proxies = trusting(ours, 1);
    struct http_server *server =
        testing_start((struct http_server_options){.proxies = &proxies}, routes, 1, NULL);
    expect_peer(server, GET, "1.1.1.1");
    http_server_stop(&server);
    proxies_deinit(&proxies);
    proxies = trusting(others, 1);
    server = testing_start((struct http_server_options){.proxies = &proxies}, routes, 1, NULL);
    expect_peer(server, GET, "127.0.0.1");
    http_server_stop(&server);
    proxies_deinit(&proxies);
    server = testing_start((struct http_server_options){0}, routes, 1, NULL);
    expect_peer(server, GET, "127.0.0.1");
    http_server_stop(&server);
}

static void a_trusted_proxy_begins_with_a_proxy_header_and_strangers_do_not(void **state)
{
    (void)state;
    static const char *const ours[] = {"127.0.0.1"};
    static const char *const others[] = {"10.0.0.0/8"};
    struct proxies proxies = trusting(ours, 1);
    struct http_server_options options = {.proxies = &proxies, .proxy_protocol = true};
    struct http_server *server = testing_start(options, routes, 1, NULL);
    expect_peer(server, "PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                "192.0.2.1");
    expect_peer(server, "PROXY UNKNOWN\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "127.0.0.1");
    expect_peer(server, GET, NULL);
    http_server_stop(&server);
    proxies_deinit(&proxies);
    proxies = trusting(others, 1);
    server = testing_start(options, routes, 1, NULL);
    expect_peer(server, GET, "127.0.0.1");
    http_server_stop(&server);
    proxies_deinit(&proxies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_in_a_network_or_not),
        cmocka_unit_test(what_is_no_network_is_named),
        cmocka_unit_test(the_client_is_the_last_that_is_no_trusted_proxy),
        cmocka_unit_test(a_proxy_header_names_the_client_and_is_read_to_its_end),
        cmocka_unit_test(what_is_no_proxy_header_is_refused),
        cmocka_unit_test(headers_of_strangers_are_ignored),
        cmocka_unit_test(a_trusted_proxy_begins_with_a_proxy_header_and_strangers_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
