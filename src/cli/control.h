/*
 * Which indexers a command asks over their control API, and how: --indexer and --secret, or what a
 * configuration says. Fill the options, open, ask, close.
 */
#ifndef CLI_CONTROL_H
#define CLI_CONTROL_H

#include <jansson.h>

#include "base/vec.h"
#include "conf/conf.h"
#include "net/http_client.h"

struct cli_control {
    const char *config;  /* NULL: CLI_CONFIG_PATH */
    const char *indexer; /* "A,B"; NULL: of the configuration */
    const char *secret;  /* NULL: of the configuration */
    bool plain, insecure;
    bool own; /* without --indexer: the one of this configuration, even if it names others */

    struct conf *conf;
    struct http_client *client;
    VEC(char *) indexers; /* host:port */
};

/* Clean up with cli_control_close() in any case. */
MUST_CHECK int cli_control_open(struct cli_control *control);
void cli_control_close(struct cli_control *control);

/* "https://INDEXER/control/v1/PATH"; the caller frees it. */
char *cli_control_url(const struct cli_control *control, const char *indexer, const char *path);

/* GET, a few seconds at most; the caller owns *ret_json. */
MUST_CHECK int cli_control_ask(const struct cli_control *control, const char *indexer,
                               const char *path, json_t **ret_json);

#endif
