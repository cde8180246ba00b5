#include "cli/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

/* Asks on a terminal, without an echo; else takes the first line of standard input. */
static bool read_password(struct cli_session *session)
{
    struct termios before;
    bool terminal = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        struct termios silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        fprintf(stderr, "password of %s: ", session->user);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    bool got = fgets(session->typed, sizeof(session->typed), stdin) != NULL;
    if (terminal) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    session->typed[strcspn(session->typed, "\r\n")] = '\0';
    session->password = session->typed;
    return got && session->typed[0] != '\0';
}

int cli_session_check(struct cli_session *session)
{
    if (session->server == NULL || session->user == NULL) {
        return cli_usage(session->command, "--server and --user are needed");
    }
    if (session->password == NULL) {
        session->password = getenv("AQUIFER_PASSWORD");
    }
    if (session->password == NULL && !read_password(session)) {
        return cli_usage(session->command,
                         "no password: give --password, $AQUIFER_PASSWORD, or a line of standard "
                         "input");
    }
    return CLI_OK;
}

char *cli_session_url(const struct cli_session *session, const char *path)
{
    return mem_printf("%.*s%s", SPAN_ARG(buf_span(&session->base)), path);
}

static const char *text_in(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

/* What the answer to a log-in says: the token, or why there is none. */
static int take_login(struct cli_session *session, struct http_answer *answer)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)answer->body.data, answer->body.bytes, 0, &error);
    const char *token = text_in(json, "JWT");
    const char *reason = text_in(json, "Reason");
    int rc = 0;
    if (answer->status == 200 && json_is_true(json_object_get(json, "LoginStatus")) &&
        token[0] != '\0') {
        buf_printf(&session->authorization, "Bearer %s", token);
    } else {
        rc = err_set(ERR_AUTH, "log-in as %s: %s", session->user,
                     reason[0] != '\0' ? reason : http_answer_error(answer));
    }
    json_decref(json);
    return rc;
}

static int log_in(struct cli_session *session)
{
    json_t *body = json_pack("{s:s, s:s}", "User", session->user, "Pass", session->password);
    if (body == NULL) {
        return err_set(ERR_INVALID, "user name or password are not UTF-8");
    }
    char *text = json_dumps(body, JSON_COMPACT);
    char *url = cli_session_url(session, "/api/login");
    struct http_call call = {.method = "POST",
                             .url = url,
                             .body = span_of_str(text),
                             .timeout_ms = CLI_SESSION_TIMEOUT_MS};
    struct http_answer answer = {0};
    int rc = http_call(session->client, &call, &answer);
    if (rc == 0) {
        rc = take_login(session, &answer);
        http_answer_deinit(&answer);
    } else {
        rc = err_wrap(rc, "log-in");
    }
    json_decref(body);
    free(text);
    mem_free(url);
    return rc;
}

int cli_session_open(struct cli_session *session)
{
    /* The load balancer's cookie leads every call to the same webserver. */
    struct http_client_options options = {
        .io = session->io, .tls_insecure = session->insecure, .cookies = true};
    int rc = http_client_new(&options, &session->client);
    if (rc < 0) {
        return rc;
    }
    if (strstr(session->server, "://") == NULL) {
        buf_append_str(&session->base, "http://");
    }
    buf_append_str(&session->base, session->server);
    while (session->base.bytes > 0 && session->base.data[session->base.bytes - 1] == '/') {
        session->base.bytes--;
    }
    return log_in(session);
}

void cli_session_close(struct cli_session *session)
{
    if (session->authorization.bytes > 0) {
        struct http_header header = {"Authorization", buf_str(&session->authorization)};
        char *url = cli_session_url(session, "/api/logout");
        struct http_call call = {.method = "PUT",
                                 .url = url,
                                 .headers = &header,
                                 .header_count = 1,
                                 .timeout_ms = CLI_SESSION_TIMEOUT_MS};
        struct http_answer answer = {0};
        if (http_call(session->client, &call, &answer) == 0) {
            http_answer_deinit(&answer);
        }
        mem_free(url);
    }
    http_client_free(&session->client);
    buf_deinit(&session->base);
    buf_deinit(&session->authorization);
}
