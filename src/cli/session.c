#include "cli/session.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/members.h"
#include "cli/secret.h"

static bool ask_password(struct cli_session *session)
{
    char *prompt = mem_printf("password of %s: ", session->user);
    bool got = cli_secret_read(prompt, &session->typed);
    session->password = buf_str(&session->typed);
    mem_free(prompt);
    return got;
}

int cli_session_check(struct cli_session *session)
{
    if (session->server == NULL || session->user == NULL) {
        return cli_usage(session->command, "--server and --user are needed");
    }
    if (session->password == NULL) {
        session->password = getenv("AQUIFER_PASSWORD");
    }
    if (session->password == NULL && !ask_password(session)) {
        return cli_usage(session->command,
                         "no password: give --password, $AQUIFER_PASSWORD, or a line of standard "
                         "input");
    }
    return CLI_OK;
}

static char *url_of(const struct cli_session *session, const char *path, va_list args)
    __attribute__((format(printf, 2, 0)));

static char *url_of(const struct cli_session *session, const char *path, va_list args)
{
    struct buf url = {0};
    buf_append(&url, buf_span(&session->base));
    buf_vprintf(&url, path, args);
    return buf_take(&url);
}

char *cli_session_url(const struct cli_session *session, const char *path, ...)
{
    va_list args;
    va_start(args, path);
    char *url = url_of(session, path, args);
    va_end(args);
    return url;
}

int cli_session_call(struct cli_session *session, const char *method, const json_t *body,
                     json_t **ret_json, const char *path, ...)
{
    struct http_header header = {"Authorization", buf_str(&session->authorization)};
    json_t *json = NULL;
    va_list args;
    va_start(args, path);
    char *url = url_of(session, path, args);
    va_end(args);
    struct http_call call = {
        .method = method,
        .url = url,
        .headers = &header,
        .header_count = 1,
        .timeout_ms = CLI_SESSION_TIMEOUT_MS,
    };
    int rc = http_call_json(session->client, &call, body, &json);
    mem_free(url);
    if (rc == 0 && ret_json != NULL) {
        *ret_json = json;
    } else {
        json_decref(json);
    }
    return rc;
}

/* What the answer to a log-in says: the token, or why there is none. */
static int take_login(struct cli_session *session, struct http_answer *answer)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)answer->body.data, answer->body.bytes, 0, &error);
    const char *token = text_in(json, "JWT");
    const char *reason = text_in(json, "Reason");
    int rc = 0;
    if (answer->status == 200 && true_in(json, "LoginStatus") && token[0] != '\0') {
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
        (void)!cli_session_call(session, "PUT", NULL, NULL, "/api/logout");
    }
    http_client_free(&session->client);
    buf_deinit(&session->base);
    buf_deinit(&session->authorization);
    buf_deinit(&session->typed);
}
