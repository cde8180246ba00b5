/*
 * A log-in at a webserver or load balancer, for commands that use the web API. One thread.
 */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include <jansson.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "io/io.h"
#include "net/http_client.h"

#define CLI_SESSION_TIMEOUT_MS 30000

struct cli_session {
    const struct cli_command *command;
    struct io *io;
    const char *server, *user, *password; /* options; NULL: not given */
    bool insecure;

    struct http_client *client;
    struct buf base;          /* of every URL, without a slash at its end */
    struct buf authorization; /* "Bearer …" */
    struct buf typed;         /* a password that was asked for */
};

/* Rows of a table of options (cli/options.h): what a log-in is told by. */
#define CLI_SESSION_OPTIONS(session)                                                               \
    {.name = "server", .text = &(session)->server}, {.name = "user", .text = &(session)->user},    \
        {.name = "password", .text = &(session)->password},                                        \
    {                                                                                              \
        .name = "insecure", .flag = &(session)->insecure                                           \
    }

/* Is there what a log-in needs? The password also from $AQUIFER_PASSWORD, the terminal or the first
 * line of standard input. CLI_OK or CLI_USAGE, having said why. */
MUST_CHECK int cli_session_check(struct cli_session *session);

/* Logs in; ERR_AUTH with the server's reason. */
MUST_CHECK int cli_session_open(struct cli_session *session);
void cli_session_close(struct cli_session *session); /* logs out; also after a fault */

/* base + path; the caller's (mem_free). */
char *cli_session_url(const struct cli_session *session, const char *path, ...) PRINTF_LIKE(2, 3);

/* Asks the API as the one who has logged in. `body` is borrowed, the answer is the caller's; either
 * may be NULL. Faults are those of http_call_json(). */
MUST_CHECK int cli_session_call(struct cli_session *session, const char *method, const json_t *body,
                                json_t **ret_json, const char *path, ...) PRINTF_LIKE(5, 6);

#endif
