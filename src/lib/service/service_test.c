/*
 * A daemon's life, in a child process each: flags, configuration, readiness, signals, the stop's
 * bound. The child's output and its notices to systemd are read by the test.
 */
#include "service/service.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "net/http_client.h"

#define DEADLINE_MS 120000

/* ── The daemon under test ───────────────────────────────────────────────────────────────── */

static int check_port(const struct conf *conf)
{
    return conf_port(conf, CONF_GLOBAL, "Web-Port") == 1
               ? err_set(ERR_INVALID, "%s: Web-Port 1 is not for us",
                         conf_where(conf, CONF_GLOBAL, "Web-Port"))
               : 0;
}

static struct service *the_service;

static void stop_by_itself(struct http_request *request, void *context)
{
    (void)context;
    service_stop(the_service);
    http_reply(request, 200, NULL, SPAN_NONE);
}

static void fulfil(struct http_request *request, void *context)
{
    (void)context;
    service_require(the_service, "store", NULL);
    http_reply(request, 200, NULL, SPAN_NONE);
}

static void fail_a_check(struct http_request *request, void *context)
{
    (void)context;
    log_trace("before-the-end", "this is in the ring", NULL);
    CHECK(request == NULL);
}

static const struct http_route own_routes[] = {
    {.method = "GET", .path = "/stop", .handler = stop_by_itself},
    {.method = "GET", .path = "/fulfil", .handler = fulfil},
    {.method = "GET", .path = "/check", .handler = fail_a_check},
};

static void on_reload(void *context, struct conf *conf)
{
    (void)context;
    log_warn("hook", "reload", "level", conf_text(conf, CONF_GLOBAL, "Log-Level"), NULL);
}

/* As a room's main(); `hang`: the tear-down never ends. */
static int daemon_main(int argc, char **argv, bool hang)
{
    const struct service_program program = {.name = "aquifer-test",
                                            .summary = "is tested",
                                            .schema = conf_schema_aquifer(),
                                            .check = check_port,
                                            .stop_timeout_ms = hang ? 300 : 0};
    int status;
    if (service_open(&program, argc, argv, &the_service, &status) != 0) {
        return status;
    }
    struct http_routes tables[] = {{service_routes, service_route_count, the_service},
                                   {own_routes, ARRAY_COUNT(own_routes), NULL}};
    struct http_server_options options = {.address = "127.0.0.1"};
    struct http_server *server = NULL;
    CHECK(http_server_start(&options, tables, 2, &server) == 0);
    service_watch_http(the_service, "main", server);
    service_require(the_service, "store", "it is being opened");
    service_on_reload(the_service, on_reload, NULL);
    printf("port %u\n", http_server_port(server));
    fflush(stdout);
    status = service_run(the_service);
    while (hang) {
        (void)poll(NULL, 0, 1000);
    }
    service_unwatch_http(the_service, server);
    http_server_stop(&server);
    service_close(&the_service);
    return status;
}

/* ── Running it ──────────────────────────────────────────────────────────────────────────── */

struct child {
    pid_t pid;
    int out, err, notices;
    struct buf out_text, err_text, notice_text;
    char config[64], socket[64];
    uint16_t port;
};

static void write_config(struct child *child, const char *text)
{
    assert_int_equal(io_write_file(io_real(), child->config, span_of_str(text)), 0);
}

static void open_notices(struct child *child)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", child->socket);
    child->notices = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)unlink(child->socket);
    assert_int_equal(bind(child->notices, (const void *)&address, sizeof(address)), 0);
}

static struct child start(const char *config, char **argv, bool hang)
{
    struct child child = {0};
    int out[2];
    int err[2];
    (void)snprintf(child.config, sizeof(child.config), "/tmp/aquifer-service-test-%d.conf",
                   getpid());
    (void)snprintf(child.socket, sizeof(child.socket), "/tmp/aquifer-service-test-%d.sock",
                   getpid());
    write_config(&child, config);
    open_notices(&child);
    assert_int_equal(pipe(out), 0);
    assert_int_equal(pipe(err), 0);
    (void)fflush(stdout); /* or the child would print it again */
    child.pid = fork();
    assert_true(child.pid >= 0);
    if (child.pid == 0) {
        (void)dup2(out[1], STDOUT_FILENO);
        (void)dup2(err[1], STDERR_FILENO);
        (void)setenv("NOTIFY_SOCKET", child.socket, 1);
        char *with_config[8] = {(char *)(uintptr_t) "aquifer-test", (char *)(uintptr_t) "--config",
                                child.config};
        int argc = 3;
        for (; argv != NULL && argv[argc - 3] != NULL; argc++) {
            with_config[argc] = argv[argc - 3];
        }
        int status = daemon_main(argc, with_config, hang);
        (void)fflush(stdout);
        _exit(status);
    }
    (void)close(out[1]);
    (void)close(err[1]);
    child.out = out[0];
    child.err = err[0];
    return child;
}

/* Reads from `fd` until `text` has come (NULL: until the end). */
static void read_until(int fd, struct buf *buf, const char *text)
{
    while (text == NULL || span_find(buf_span(buf), span_of_str(text)) < 0) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (poll(&poll_fd, 1, DEADLINE_MS) != 1) {
            fail_msg("\"%s\" has not come, but: %s", text, buf_str(buf));
        }
        ssize_t got = read(fd, buf_reserve(buf, 65536), 65536);
        if (got <= 0) {
            if (text != NULL) {
                fail_msg("\"%s\" has not come before the end, but: %s", text, buf_str(buf));
            }
            return;
        }
        buf->bytes += (size_t)got;
    }
}

static struct child serve(const char *config, bool hang)
{
    struct child child = start(config, NULL, hang);
    unsigned port;
    read_until(child.out, &child.out_text, "\n");
    assert_int_equal(sscanf(buf_str(&child.out_text), "port %u", &port), 1);
    child.port = (uint16_t)port;
    read_until(child.err, &child.err_text, " started - ");
    return child;
}

/* The raw wait status. */
static int finish(struct child *child)
{
    int status;
    read_until(child->err, &child->err_text, NULL);
    read_until(child->out, &child->out_text, NULL);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    (void)close(child->out);
    (void)close(child->err);
    (void)close(child->notices);
    (void)unlink(child->config);
    (void)unlink(child->socket);
    return status;
}

static void forget(struct child *child)
{
    buf_deinit(&child->out_text);
    buf_deinit(&child->err_text);
    buf_deinit(&child->notice_text);
}

/* The status of a GET; the body into `body` when not NULL. */
static int get(const struct child *child, const char *path, struct buf *body)
{
    struct http_client *client;
    struct http_answer answer;
    char url[100];
    assert_int_equal(http_client_new(&(struct http_client_options){0}, &client), 0);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", child->port, path);
    int rc = http_call(client, &(struct http_call){.url = url}, &answer);
    int status = rc == 0 ? answer.status : rc;
    if (rc == 0) {
        if (body != NULL) {
            buf_clear(body);
            buf_append(body, buf_span(&answer.body));
        }
        http_answer_deinit(&answer);
    }
    http_client_free(&client);
    return status;
}

#define GOOD "[Global]\nWeb-Port=8080\nLog-Level=INFO\n"

/* ── Tests ───────────────────────────────────────────────────────────────────────────────── */

static void flags_print_and_exit(void **state)
{
    (void)state;
    static const struct {
        const char *flag, *config, *out, *err;
        int status;
    } cases[] = {
        {"--version", GOOD, "aquifer-test " AQUIFER_VERSION "\n", "", 0},
        {"--help", GOOD, "usage: aquifer-test [--config FILE]", "", 0},
        {"--check-config", GOOD, "configuration is valid\n", "", 0},
        {"--check-config", "[Global]\nWeb-Prot=1\nLog-Levle=2\n", "", "Web-Port", 1},
        {"--check-config", "[Global]\nWeb-Prot=1\nLog-Levle=2\n", "", ".conf:3:", 1},
        {"--check-config", "[Global]\nWeb-Port=1\n", "", ".conf:2:1: Web-Port 1 is not for us", 1},
        {"--nonsense", GOOD, "", "nonsense", 2},
        {"nonsense", GOOD, "", "nonsense", 2},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char *argv[] = {(char *)(uintptr_t)cases[i].flag, NULL};
        struct child child = start(cases[i].config, argv, false);
        int status = finish(&child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), cases[i].status);
        if (strstr(buf_str(&child.out_text), cases[i].out) == NULL ||
            strstr(buf_str(&child.err_text), cases[i].err) == NULL) {
            fail_msg("%s: %s%s", cases[i].flag, buf_str(&child.out_text), buf_str(&child.err_text));
        }
        forget(&child);
    }
}

static void sigterm_and_sigint_stop_in_order_with_0(void **state)
{
    (void)state;
    static const int signals[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < 2; i++) {
        struct child child = serve(GOOD, false);
        assert_int_equal(kill(child.pid, signals[i]), 0);
        assert_int_equal(kill(child.pid, signals[i]), 0); /* an impatient second one is harmless */
        int status = finish(&child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        read_until(child.err, &child.err_text, " stopping [gw@1 reason=\"SIG");
        read_until(child.err, &child.err_text, " stopped - ");
        forget(&child);
    }
}

static void the_program_can_stop_itself(void **state)
{
    (void)state;
    struct child child = serve(GOOD, false);
    assert_int_equal(get(&child, "/stop", NULL), 200);
    int status = finish(&child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    forget(&child);
}

static void readiness_follows_its_conditions_and_systemd_hears_of_it(void **state)
{
    (void)state;
    struct child child = serve(GOOD, false);
    struct buf body = {0};
    assert_int_equal(get(&child, "/healthz", NULL), 200);
    assert_int_equal(get(&child, "/readyz", &body), 503);
    assert_string_equal(buf_str(&body), "store: it is being opened\n");
    read_until(child.notices, &child.notice_text, "STATUS=store: it is being opened");
    assert_null(strstr(buf_str(&child.notice_text), "READY=1"));
    assert_int_equal(get(&child, "/fulfil", NULL), 200);
    assert_int_equal(get(&child, "/readyz", &body), 200);
    read_until(child.notices, &child.notice_text, "READY=1");
    assert_int_equal(kill(child.pid, SIGTERM), 0);
    read_until(child.notices, &child.notice_text, "STOPPING=1");
    assert_int_equal(finish(&child), 0);
    buf_deinit(&body);
    forget(&child);
}

static void metrics_show_program_log_and_http(void **state)
{
    (void)state;
    struct child child = serve(GOOD, false);
    struct buf body = {0};
    assert_int_equal(get(&child, "/nowhere", NULL), 404);
    assert_int_equal(get(&child, "/metrics", &body), 200);
    static const char *const expected[] = {
        "aquifer_build_info{program=\"aquifer-test\",version=\"" AQUIFER_VERSION "\"} 1\n",
        "aquifer_log_lines_total{level=\"info\"} 2\n",
        "# TYPE aquifer_uptime_seconds gauge\n",
        "# TYPE aquifer_http_requests_total counter\n",
        "aquifer_http_requests_total{server=\"main\"} 2\n",
        "aquifer_http_answers_4xx_total{server=\"main\"} 1\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        if (strstr(buf_str(&body), expected[i]) == NULL) {
            fail_msg("%s is not in %s", expected[i], buf_str(&body));
        }
    }
    assert_int_equal(kill(child.pid, SIGTERM), 0);
    assert_int_equal(finish(&child), 0);
    buf_deinit(&body);
    forget(&child);
}

static void sighup_applies_a_good_configuration_and_keeps_the_old_for_a_bad_one(void **state)
{
    (void)state;
    struct child child = serve(GOOD, false);
    write_config(&child, "[Global]\nNonsense=1\n");
    assert_int_equal(kill(child.pid, SIGHUP), 0);
    read_until(child.err, &child.err_text, " reload-refused [gw@1 problems=\"");
    write_config(&child, "[Global]\nWeb-Port=8080\nLog-Level=WARN\n");
    assert_int_equal(kill(child.pid, SIGHUP), 0);
    read_until(child.err, &child.err_text, " hook [gw@1 level=\"WARN\"] reload\n");
    assert_int_equal(get(&child, "/healthz", NULL), 200);
    assert_int_equal(kill(child.pid, SIGTERM), 0);
    assert_int_equal(finish(&child), 0);
    assert_null(strstr(buf_str(&child.err_text), " stopped - ")); /* INFO is not written any more */
    forget(&child);
}

static void a_stop_that_does_not_end_is_cut_off_with_1(void **state)
{
    (void)state;
    struct child child = serve(GOOD, true);
    assert_int_equal(kill(child.pid, SIGTERM), 0);
    int status = finish(&child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    read_until(child.err, &child.err_text, "<10>1 ");
    read_until(child.err, &child.err_text, " stop-timeout - ");
    forget(&child);
}

static void a_failed_check_prints_the_recent_events(void **state)
{
    (void)state;
    struct child child = serve(GOOD, false);
    assert_int_equal(get(&child, "/check", NULL), ERR_UNAVAILABLE);
    int status = finish(&child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
    read_until(child.err, &child.err_text, "CHECK failed: ");
    read_until(child.err, &child.err_text, " before-the-end - this is in the ring");
    forget(&child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_print_and_exit),
        cmocka_unit_test(sigterm_and_sigint_stop_in_order_with_0),
        cmocka_unit_test(the_program_can_stop_itself),
        cmocka_unit_test(readiness_follows_its_conditions_and_systemd_hears_of_it),
        cmocka_unit_test(metrics_show_program_log_and_http),
        cmocka_unit_test(sighup_applies_a_good_configuration_and_keeps_the_old_for_a_bad_one),
        cmocka_unit_test(a_stop_that_does_not_end_is_cut_off_with_1),
        cmocka_unit_test(a_failed_check_prints_the_recent_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
