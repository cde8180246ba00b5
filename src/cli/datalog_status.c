/*
 * aquifer datalog status: who forwards to whom, how far each link is, and what each node holds.
 * Tested by tests/cluster/test_replication.py.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/vec.h"
#include "cli/datalog_status.h"
#include "cli/options.h"
#include "conf/conf.h"
#include "io/io.h"
#include "net/http_client.h"

#define INDEXER_PORT 9404
#define ASK_TIMEOUT_MS 5000

struct status {
    const char *config, *indexer, *secret;
    bool plain, insecure;
    struct conf *conf;
    struct http_client *client;
    VEC(char *) indexers; /* host:port */
    size_t down;
    size_t troubled; /* links that do not follow */
};

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text == NULL ? "" : text;
}

static uint64_t number_of(const json_t *json, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(json, key));
}

static void print_link(struct status *status, const json_t *link)
{
    const char *state = text_of(link, "state");
    const char *fault = text_of(link, "fault");
    printf("  -> %s %s (%s): %s, position %" PRIu64, text_of(link, "name"), text_of(link, "target"),
           text_of(link, "node"), state, number_of(link, "position"));
    printf(", lag %" PRIu64 " records, %" PRIu64 " bytes, %.3f s", number_of(link, "lag_records"),
           number_of(link, "lag_bytes"), (double)number_of(link, "lag_ns") / 1e9);
    printf(", sent %" PRIu64 " records, %" PRIu64 " bytes, %" PRIu64 " faults%s%s",
           number_of(link, "records"), number_of(link, "bytes"), number_of(link, "faults"),
           fault[0] != '\0' ? ", the last: " : "", fault);
    const char *dead = text_of(link, "instead_of");
    printf("%s%s\n", dead[0] != '\0' ? ", instead of the dead " : "", dead);
    status->troubled += strcmp(state, "following") == 0 ? 0 : 1;
}

static void print_replication(struct status *status, const json_t *replication)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(replication, "forwarders"), i, row)
    {
        print_link(status, row);
    }
    json_array_foreach(json_object_get(replication, "followers"), i, row)
    {
        printf("  <- %s (%s) from %s: %" PRIu64 " records taken, %" PRIu64 " known\n",
               text_of(row, "node"), text_of(row, "name"), text_of(row, "client"),
               number_of(row, "records"), number_of(row, "known"));
    }
    json_array_foreach(json_object_get(replication, "places"), i, row)
    {
        printf("  holds %s/%s up to %" PRIu64 "%s\n", text_of(row, "node"),
               text_of(row, "incarnation"), number_of(row, "position"),
               json_is_true(json_object_get(row, "own")) ? ", its own" : "");
    }
}

static int ask(struct status *status, const char *indexer, const char *path, json_t **ret_json)
{
    char *url =
        mem_printf("%s://%s/control/v1/%s", status->plain ? "http" : "https", indexer, path);
    struct http_call call = {.url = url, .control = true, .timeout_ms = ASK_TIMEOUT_MS};
    int rc = http_call_json(status->client, &call, NULL, ret_json);
    mem_free(url);
    return rc;
}

static void print_indexer(struct status *status, const char *indexer)
{
    json_t *info = NULL;
    json_t *stats = NULL;
    int rc = ask(status, indexer, "info", &info);
    rc = rc < 0 ? rc : ask(status, indexer, "stats", &stats);
    if (rc < 0) {
        printf("%s: %s\n", indexer, err_text());
        status->down++;
    } else {
        const json_t *replication = json_object_get(stats, "replication");
        const json_t *storage = json_object_get(stats, "storage");
        printf("%s %s: log %" PRIu64 " to %" PRIu64 "%s\n", indexer, text_of(info, "id"),
               number_of(storage, "log_first"), number_of(storage, "log_end"),
               json_is_null(replication) ? ", does not take part in replication" : "");
        print_replication(status, replication);
    }
    json_decref(info);
    json_decref(stats);
}

/* Those of --indexer, else those that a webserver asks, else the one of this configuration. */
static void find_indexers(struct status *status)
{
    if (status->indexer != NULL) {
        struct span rest = span_of_str(status->indexer);
        struct span one;
        while (rest.bytes > 0) {
            if (!span_split(&rest, ',', &one)) {
                one = rest;
                rest = SPAN_NONE;
            }
            vec_push(&status->indexers, mem_strndup((const char *)one.data, one.bytes));
        }
        return;
    }
    size_t count = conf_is_set(status->conf, CONF_GLOBAL, "Remote-Indexers")
                       ? conf_list_count(status->conf, CONF_GLOBAL, "Remote-Indexers")
                       : 0;
    for (size_t i = 0; i < count; i++) {
        struct buf host = {0};
        uint16_t port = 0;
        const char *text = conf_list(status->conf, CONF_GLOBAL, "Remote-Indexers", i);
        if (conf_host_port(span_of_str(text), INDEXER_PORT, &host, &port) == 0) {
            bool v6 = span_find_byte(buf_span(&host), ':') >= 0;
            vec_push(&status->indexers, mem_printf(v6 ? "[%s]:%u" : "%s:%u", buf_str(&host), port));
        }
        buf_deinit(&host);
    }
    if (count == 0) {
        vec_push(&status->indexers,
                 mem_printf("127.0.0.1:%u", conf_port(status->conf, CONF_GLOBAL, "Control-Port")));
    }
}

static int prepare(struct status *status)
{
    bool asked = status->secret != NULL && status->indexer != NULL;
    const char *config = status->config != NULL ? status->config : CLI_CONFIG_PATH;
    if (!asked) {
        int rc = conf_load(io_real(), config, conf_schema_aquifer(), &status->conf);
        if (rc < 0) {
            return rc;
        }
        status->plain =
            status->plain || conf_bool(status->conf, CONF_GLOBAL, "Control-Insecure-Disable-TLS");
        status->insecure = status->insecure ||
                           conf_bool(status->conf, CONF_GLOBAL, "Control-Insecure-Skip-TLS-Verify");
    }
    find_indexers(status);
    struct http_client_options options = {
        .control_secret = status->secret != NULL
                              ? status->secret
                              : conf_text(status->conf, CONF_GLOBAL, "Control-Auth"),
        .tls_insecure = status->insecure,
    };
    return http_client_new(&options, &status->client);
}

int cli_datalog_status(const struct cli_command *command, int argc, char **argv)
{
    struct status status = {0};
    const struct cli_option options[] = {
        {"config", &status.config, NULL},     {"indexer", &status.indexer, NULL},
        {"secret", &status.secret, NULL},     {"disable-tls", NULL, &status.plain},
        {"insecure", NULL, &status.insecure},
    };
    int words = 0;
    int done = cli_options(command, options, ARRAY_COUNT(options), argc, argv, &words);
    if (done != CLI_OK) {
        return done == CLI_HELPED ? CLI_OK : done;
    }
    int rc = prepare(&status);
    for (size_t i = 0; rc == 0 && i < status.indexers.count; i++) {
        print_indexer(&status, status.indexers.items[i]);
    }
    for (size_t i = 0; i < status.indexers.count; i++) {
        mem_free(status.indexers.items[i]);
    }
    vec_deinit(&status.indexers);
    http_client_free(&status.client);
    conf_free(&status.conf);
    if (rc < 0) {
        return cli_fail(command, "%s", err_text());
    }
    return status.down + status.troubled == 0 ? CLI_OK : CLI_FAILED;
}
