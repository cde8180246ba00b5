/*
 * aquifer datalog join --from HOST: has HOST forward to the indexer of this configuration, from
 * now on, and waits until that one holds what HOST holds: a snapshot, then the log. It may be
 * interrupted and run again; the indexers go on by themselves.
 * Tested by tests/cluster/test_snapshot.py.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/control.h"
#include "cli/datalog_join.h"
#include "cli/members.h"
#include "cli/options.h"
#include "conf/conf.h"

#define CONTROL_PORT 9404
#define PAUSE_MS 200
#define BAR_CELLS 30
#define LEVEL_LAG_NS 2000000000 /* behind by less: what is written now arrives as it is written */

struct join {
    struct cli_control own;
    struct cli_control host;
    const char *from, *address;
    bool quiet, leave;
    char *node; /* of this indexer */
    bool drawn;
    char told[256]; /* fault that was printed last */
};

static uint64_t number_of(const json_t *json, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(json, key));
}

/* ---- what it shows ---- */

static void wipe(struct join *join)
{
    if (join->drawn) {
        fputs("\r\033[K", stderr);
        join->drawn = false;
    }
}

static void draw(struct join *join, const json_t *link)
{
    const json_t *snapshot = json_object_get(link, "snapshot");
    uint64_t done = number_of(snapshot, "looked_at");
    uint64_t total = number_of(snapshot, "total");
    if (join->quiet || isatty(STDERR_FILENO) != 1) {
        return;
    }
    fprintf(stderr, "\r\033[K%s ", text_in(link, "state"));
    if (json_is_true(json_object_get(snapshot, "on")) && total > 0) {
        int cells = (int)(BAR_CELLS * done / total);
        fprintf(stderr, "%3" PRIu64 "%% [", 100 * done / total);
        for (int i = 0; i < BAR_CELLS; i++) {
            fputc(i < cells ? '#' : i == cells ? '>' : ' ', stderr);
        }
        fprintf(stderr, "] %" PRIu64 " elements", number_of(snapshot, "elements"));
    } else {
        fprintf(stderr, "%" PRIu64 " records behind", number_of(link, "lag_records"));
    }
    fflush(stderr);
    join->drawn = true;
}

static void tell_fault(struct join *join, const char *fault)
{
    if (fault[0] != '\0' && strcmp(fault, join->told) != 0) {
        wipe(join);
        fprintf(stderr, "%s: %s\n", join->from, fault);
        snprintf(join->told, sizeof(join->told), "%s", fault);
    }
}

/* ---- asking ---- */

static int post_join(const struct join *join, json_t *request)
{
    json_t *answer = NULL;
    char *url = cli_control_url(&join->host, join->host.indexers.items[0], "join");
    struct http_call call = {.method = "POST", .url = url, .control = true, .timeout_ms = 10000};
    int rc = http_call_json(join->host.client, &call, request, &answer);
    json_decref(answer);
    mem_free(url);
    return rc < 0 ? err_wrap(rc, "%s", join->from) : 0;
}

/* Who this indexer is and where it listens. */
static int ask_own(struct join *join, uint16_t *ret_port)
{
    const char *indexer = join->own.indexers.items[0];
    json_t *info = NULL;
    json_t *stats = NULL;
    int rc = cli_control_ask(&join->own, indexer, "info", &info);
    rc = rc < 0 ? rc : cli_control_ask(&join->own, indexer, "stats", &stats);
    if (rc == 0) {
        join->node = mem_strdup(text_in(info, "id"));
        *ret_port = (uint16_t)number_of(json_object_get(stats, "replication"), "port");
        if (*ret_port == 0) {
            rc = err_set(ERR_INVALID, "it does not listen for datalogs: give it Listen= in "
                                      "[Datalog] and start it anew");
        }
    }
    json_decref(info);
    json_decref(stats);
    return rc < 0 ? err_wrap(rc, "this indexer, %s", indexer) : 0;
}

static int begin(struct join *join)
{
    uint16_t port = 0;
    int rc = ask_own(join, &port);
    if (rc < 0) {
        return rc;
    }
    const struct conf *conf = join->own.conf;
    json_t *request = json_object();
    char *target = join->address != NULL ? mem_strdup(join->address) : mem_printf(":%u", port);
    json_object_set_new(request, "node", json_string(join->node));
    if (!join->leave) {
        json_object_set_new(request, "target", json_string(target));
        json_object_set_new(request, "tls",
                            json_boolean(!conf_bool(conf, "Datalog", NULL, "Disable-TLS")));
        json_object_set_new(request, "insecure", json_boolean(join->host.insecure));
    }
    rc = post_join(join, request);
    json_decref(request);
    mem_free(target);
    return rc;
}

/* HOST's link to this indexer, as new as it is; NULL: it has none any more. */
static json_t *link_of(const struct join *join, const json_t *stats)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(json_object_get(stats, "replication"), "forwarders"), i, row)
    {
        if (strcmp(text_in(row, "node"), join->node) == 0 &&
            strncmp(text_in(row, "name"), "join-", 5) == 0) {
            return row;
        }
    }
    return NULL;
}

static bool is_level(const json_t *link)
{
    return strcmp(text_in(link, "state"), "following") == 0 &&
           number_of(link, "lag_ns") < LEVEL_LAG_NS;
}

static int wait_until_level(struct join *join)
{
    bool level = false;
    while (!level) {
        json_t *stats = NULL;
        int rc = cli_control_ask(&join->host, join->host.indexers.items[0], "stats", &stats);
        const json_t *link = rc < 0 ? NULL : link_of(join, stats);
        if (rc < 0) {
            tell_fault(join, err_text()); /* it may come back */
        } else if (link == NULL) {
            json_decref(stats);
            return err_set(ERR_NOT_FOUND, "%s does not forward to this indexer any more",
                           join->from);
        } else {
            level = is_level(link);
            tell_fault(join, level ? "" : text_in(link, "fault"));
            draw(join, link);
        }
        json_decref(stats);
        struct timespec pause = {0, PAUSE_MS * 1000000};
        if (!level) {
            nanosleep(&pause, NULL);
        }
    }
    wipe(join);
    return 0;
}

/* ---- the command ---- */

static char *with_port(const char *host)
{
    const char *colon = strrchr(host, ':');
    const char *bracket = strrchr(host, ']');
    bool has_port = colon != NULL && (bracket == NULL || bracket < colon);
    return has_port ? mem_strdup(host) : mem_printf("%s:%d", host, CONTROL_PORT);
}

static int run(struct join *join)
{
    int rc = begin(join);
    if (rc == 0 && join->leave) {
        printf("%s does not forward to this indexer any more\n", join->from);
        return 0;
    }
    rc = rc < 0 ? rc : wait_until_level(join);
    if (rc == 0) {
        printf("level: this indexer holds what %s holds, and is forwarded what comes\n",
               join->from);
    }
    return rc;
}

int cli_datalog_join(const struct cli_command *command, int argc, char **argv)
{
    struct join join = {.own.own = true};
    const struct cli_option options[] = {
        {"config", &join.own.config, NULL},  {"from", &join.from, NULL},
        {"secret", &join.host.secret, NULL}, {"disable-tls", NULL, &join.host.plain},
        {"quiet", NULL, &join.quiet},        {"insecure", NULL, &join.host.insecure},
        {"leave", NULL, &join.leave},        {"address", &join.address, NULL},
    };
    int words = 0;
    int done = cli_options(command, options, ARRAY_COUNT(options), argc, argv, &words);
    if (done != CLI_OK) {
        return done == CLI_HELPED ? CLI_OK : done;
    }
    if (join.from == NULL) {
        return cli_usage(command, "join needs --from HOST, an indexer that has everything");
    }
    char *host = with_port(join.from);
    join.host.config = join.own.config;
    join.host.indexer = host;
    int rc = cli_control_open(&join.own);
    rc = rc < 0 ? rc : cli_control_open(&join.host);
    rc = rc < 0 ? rc : run(&join);
    wipe(&join);
    cli_control_close(&join.host);
    cli_control_close(&join.own);
    mem_free(join.node);
    mem_free(host);
    return rc < 0 ? cli_fail(command, "%s", err_text()) : CLI_OK;
}
