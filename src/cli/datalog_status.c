/*
 * aquifer datalog status: who forwards to whom, how far each link is, and what each node holds.
 * Tested by tests/cluster/test_replication.py.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "cli/control.h"
#include "cli/datalog_status.h"
#include "cli/members.h"
#include "cli/options.h"

struct status {
    struct cli_control control;
    size_t down;
    size_t troubled; /* links that do not follow */
};

static uint64_t number_of(const json_t *json, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(json, key));
}

/* Those of which the target lacks something. */
static void print_origins(const json_t *link)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(link, "origins"), i, row)
    {
        if (number_of(row, "lag_records") > 0) {
            printf("       of %s/%s up to %" PRIu64 ", lag %" PRIu64 " records, %.3f s\n",
                   text_in(row, "node"), text_in(row, "incarnation"), number_of(row, "position"),
                   number_of(row, "lag_records"), (double)number_of(row, "lag_ns") / 1e9);
        }
    }
}

/* Who forwards to whom, as far as the indexer has heard: also of those that do not answer. */
static void print_members(const json_t *replication)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(replication, "members"), i, row)
    {
        size_t k;
        json_t *target;
        printf("  knows %s ->", text_in(row, "node"));
        json_array_foreach(json_object_get(row, "targets"), k, target)
        {
            printf("%s %s (%s)", k > 0 ? "," : "", text_in(target, "node"),
                   text_in(target, "address"));
        }
        printf("%s\n", k == 0 ? " nobody" : "");
    }
}

static void print_link(struct status *status, const json_t *link)
{
    const char *state = text_in(link, "state");
    const char *fault = text_in(link, "fault");
    printf("  -> %s %s (%s): %s, position %" PRIu64, text_in(link, "name"), text_in(link, "target"),
           text_in(link, "node"), state, number_of(link, "position"));
    printf(", lag %" PRIu64 " records, %" PRIu64 " bytes, %.3f s", number_of(link, "lag_records"),
           number_of(link, "lag_bytes"), (double)number_of(link, "lag_ns") / 1e9);
    printf(", sent %" PRIu64 " records, %" PRIu64 " bytes, %" PRIu64 " faults%s%s",
           number_of(link, "records"), number_of(link, "bytes"), number_of(link, "faults"),
           fault[0] != '\0' ? ", the last: " : "", fault);
    const char *dead = text_in(link, "instead_of");
    printf("%s%s", dead[0] != '\0' ? ", instead of the dead " : "", dead);
    printf(", %" PRIu64 " records/s, %" PRIu64 " bytes/s", number_of(link, "records_per_s"),
           number_of(link, "bytes_per_s"));
    if (number_of(link, "quarantined") + number_of(link, "withheld") > 0) {
        printf(", %" PRIu64 " in quarantine, %" PRIu64 " withheld", number_of(link, "quarantined"),
               number_of(link, "withheld"));
    }
    if (json_is_true(json_object_get(link, "detached"))) {
        printf(", DETACHED: it was away for longer than the log may grow, and gets a snapshot");
    }
    const json_t *snapshot = json_object_get(link, "snapshot");
    if (json_is_true(json_object_get(snapshot, "on"))) {
        printf(", looked at %" PRIu64 " of about %" PRIu64 " elements, sent %" PRIu64,
               number_of(snapshot, "looked_at"), number_of(snapshot, "total"),
               number_of(snapshot, "elements"));
    }
    printf("%s\n", json_is_true(json_object_get(link, "filtered")) ? ", filtered" : "");
    print_origins(link);
    status->troubled += strcmp(state, "following") == 0 ? 0 : 1;
}

static void print_source(struct status *status, const json_t *source)
{
    const char *state = text_in(source, "state");
    const char *fault = text_in(source, "fault");
    printf("  <- %s %s: %s, %" PRIu64 " records taken, %" PRIu64 " known, %" PRIu64
           " messages not read, %" PRIu64 " faults",
           text_in(source, "name"), text_in(source, "source"), state, number_of(source, "records"),
           number_of(source, "known"), number_of(source, "lag_messages"),
           number_of(source, "faults"));
    printf("%s%s%s%s\n", fault[0] != '\0' ? ", the last (" : "",
           fault[0] != '\0' ? text_in(source, "kind") : "", fault[0] != '\0' ? "): " : "", fault);
    status->troubled += strcmp(state, "following") == 0 ? 0 : 1;
}

/* Each life of a node that wrote something is an incarnation. All of a node, which stand together,
 * are one line. */
static void print_places(const json_t *places)
{
    size_t incarnations = 0;
    uint64_t records = 0;
    bool own = false;
    for (size_t i = 0; i < json_array_size(places); i++) {
        const json_t *row = json_array_get(places, i);
        const char *node = text_in(row, "node");
        incarnations++;
        records += number_of(row, "position");
        own |= json_is_true(json_object_get(row, "own"));
        if (strcmp(text_in(json_array_get(places, i + 1), "node"), node) != 0) {
            printf("  holds %" PRIu64 " records of %s, %zu incarnation%s%s\n", records, node,
                   incarnations, incarnations == 1 ? "" : "s", own ? ", its own" : "");
            incarnations = 0;
            records = 0;
            own = false;
        }
    }
}

static void print_replication(struct status *status, const json_t *replication)
{
    size_t i;
    json_t *row;
    if (json_is_true(json_object_get(replication, "double_id"))) {
        printf("  ANOTHER NODE HAS ITS ID: give one of them another Indexer-UUID\n");
        status->troubled++;
    }
    json_array_foreach(json_object_get(replication, "forwarders"), i, row)
    {
        print_link(status, row);
    }
    json_array_foreach(json_object_get(replication, "followers"), i, row)
    {
        printf("  <- %s (%s) from %s: %" PRIu64 " records taken, %" PRIu64 " known\n",
               text_in(row, "node"), text_in(row, "name"), text_in(row, "client"),
               number_of(row, "records"), number_of(row, "known"));
    }
    json_array_foreach(json_object_get(replication, "sources"), i, row)
    {
        print_source(status, row);
    }
    print_members(replication);
    print_places(json_object_get(replication, "places"));
}

static void print_indexer(struct status *status, const char *indexer)
{
    json_t *info = NULL;
    json_t *stats = NULL;
    int rc = cli_control_ask(&status->control, indexer, "info", &info);
    rc = rc < 0 ? rc : cli_control_ask(&status->control, indexer, "stats", &stats);
    if (rc < 0) {
        printf("%s: %s\n", indexer, err_text());
        status->down++;
    } else {
        const json_t *replication = json_object_get(stats, "replication");
        const json_t *storage = json_object_get(stats, "storage");
        printf("%s %s: log %" PRIu64 " to %" PRIu64 "%s\n", indexer, text_in(info, "id"),
               number_of(storage, "log_first"), number_of(storage, "log_end"),
               json_is_null(replication) ? ", does not take part in replication" : "");
        print_replication(status, replication);
    }
    json_decref(info);
    json_decref(stats);
}

int cli_datalog_status(const struct cli_command *command, int argc, char **argv)
{
    struct status status = {0};
    struct cli_control *control = &status.control;
    const struct cli_option options[] = {
        {"config", &control->config, NULL},     {"indexer", &control->indexer, NULL},
        {"secret", &control->secret, NULL},     {"disable-tls", NULL, &control->plain},
        {"insecure", NULL, &control->insecure},
    };
    int words = 0;
    int done = cli_options(command, options, ARRAY_COUNT(options), argc, argv, &words);
    if (done != CLI_OK) {
        return done == CLI_HELPED ? CLI_OK : done;
    }
    int rc = cli_control_open(control);
    for (size_t i = 0; rc == 0 && i < control->indexers.count; i++) {
        print_indexer(&status, control->indexers.items[i]);
    }
    cli_control_close(control);
    if (rc < 0) {
        return cli_fail(command, "%s", err_text());
    }
    return status.down + status.troubled == 0 ? CLI_OK : CLI_FAILED;
}
