/*
 * The cluster as `aquifer status` shows it, made from what a webserver answers: pure, so that a
 * test can be the cluster. What is wrong and what to do is that of the page "Systems"
 * (ui/src/lib/cluster.ts): who changes a rule here changes it there.
 *
 *     {"state": "well" or "degraded",
 *      "troubles":       [{"severity": "bad" or "warn", "what", "advice"}], the bad ones first
 *      "through":        the load balancer or proxy that was asked, null: a webserver itself
 *      "load_balancers": [{"address", "version", "since"}], those that send their log
 *      "datastores":     [{"address", "in_use", "state", "since", "reason", "waiting_changes"}]
 *      "webservers":     [{"address", "id", "version", "up", "seen_seconds", "self"}]
 *      "indexers":       [{"address", "up", "error", "id", "version", "started", "takes_entries",
 *                          "reason", "entries", "points", "used_bytes", "free_bytes",
 *                          "disk_bytes", "ingesters", "entries_per_second",
 *                          "points_per_second", "bytes_per_second"}]
 *      "links":          forwarders, and sources of Kafka: [{"from", "to", "name", "health",
 * "state", "lag_records", "lag_bytes", "lag_seconds", "records_per_second", "bytes_per_second",
 *                          "quarantined", "fault", "instead_of"}]
 *      "notifications":  [{"sent", "level", "message"}], the latest first}
 *
 * Members that somebody who is away did not tell are absent; "up" is null when nobody can say.
 * Times are RFC 3339.
 */
#ifndef CLI_STATUS_PICTURE_H
#define CLI_STATUS_PICTURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Answers, all borrowed. docs/protocols/web-api.md */
struct status_answers {
    const char *server;          /* --server */
    const json_t *settings;      /* of /api/settings; so the next */
    const json_t *cluster;       /* /api/cluster */
    const json_t *webservers;    /* /api/webservers */
    const json_t *indexers;      /* list of /api/cluster/indexers/{n} */
    const json_t *later;         /* the same once more; NULL: no rates */
    int64_t between_ns;          /* from these to those */
    const json_t *notifications; /* /api/notifications */
};

json_t *status_picture(const struct status_answers *answers); /* the caller's */
bool status_is_well(const json_t *picture);

#endif
