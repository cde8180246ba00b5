/* Tested by tests/cluster/test_replication.py. */
#include "cli/control.h"

#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "io/io.h"

#define INDEXER_PORT 9404
#define ASK_TIMEOUT_MS 5000

char *cli_control_url(const struct cli_control *control, const char *indexer, const char *path)
{
    return mem_printf("%s://%s/control/v1/%s", control->plain ? "http" : "https", indexer, path);
}

int cli_control_ask(const struct cli_control *control, const char *indexer, const char *path,
                    json_t **ret_json)
{
    char *url = cli_control_url(control, indexer, path);
    struct http_call call = {.url = url, .control = true, .timeout_ms = ASK_TIMEOUT_MS};
    int rc = http_call_json(control->client, &call, NULL, ret_json);
    mem_free(url);
    return rc;
}

/* Those of --indexer, else those that a webserver asks, else the one of this configuration. */
static void find_indexers(struct cli_control *control)
{
    struct span rest = span_of_str(control->indexer);
    struct span one;
    while (rest.bytes > 0) {
        if (!span_split(&rest, ',', &one)) {
            one = rest;
            rest = SPAN_NONE;
        }
        vec_push(&control->indexers, mem_strndup((const char *)one.data, one.bytes));
    }
    if (control->indexer != NULL) {
        return;
    }
    size_t count = !control->own && conf_is_set(control->conf, CONF_GLOBAL, "Remote-Indexers")
                       ? conf_list_count(control->conf, CONF_GLOBAL, "Remote-Indexers")
                       : 0;
    for (size_t i = 0; i < count; i++) {
        struct buf host = {0};
        uint16_t port = 0;
        const char *text = conf_list(control->conf, CONF_GLOBAL, "Remote-Indexers", i);
        if (conf_host_port(span_of_str(text), INDEXER_PORT, &host, &port) == 0) {
            bool v6 = span_find_byte(buf_span(&host), ':') >= 0;
            vec_push(&control->indexers,
                     mem_printf(v6 ? "[%s]:%u" : "%s:%u", buf_str(&host), port));
        }
        buf_deinit(&host);
    }
    if (count == 0) {
        vec_push(&control->indexers,
                 mem_printf("127.0.0.1:%u", conf_port(control->conf, CONF_GLOBAL, "Control-Port")));
    }
}

int cli_control_open(struct cli_control *control)
{
    bool asked = control->secret != NULL && control->indexer != NULL;
    const char *config = control->config != NULL ? control->config : CLI_CONFIG_PATH;
    if (!asked) {
        int rc = conf_load(io_real(), config, conf_schema_aquifer(), &control->conf);
        if (rc < 0) {
            return rc;
        }
        control->plain =
            control->plain || conf_bool(control->conf, CONF_GLOBAL, "Control-Insecure-Disable-TLS");
        control->insecure = control->insecure || conf_bool(control->conf, CONF_GLOBAL,
                                                           "Control-Insecure-Skip-TLS-Verify");
    }
    find_indexers(control);
    struct http_client_options options = {
        .control_secret = control->secret != NULL
                              ? control->secret
                              : conf_text(control->conf, CONF_GLOBAL, "Control-Auth"),
        .tls_insecure = control->insecure,
    };
    return http_client_new(&options, &control->client);
}

void cli_control_close(struct cli_control *control)
{
    for (size_t i = 0; i < control->indexers.count; i++) {
        mem_free(control->indexers.items[i]);
    }
    vec_deinit(&control->indexers);
    http_client_free(&control->client);
    conf_free(&control->conf);
}
