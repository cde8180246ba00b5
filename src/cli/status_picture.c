#include "cli/status_picture.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/time.h"
#include "cli/members.h"
#include "cli/status_trouble.h"

/* Own addresses are compared by the host: ports of a connection are the client's. */
static struct span host_of(const char *address)
{
    const char *colon = strrchr(address, ':');
    return colon == NULL ? span_of_str(address) : span_of(address, (size_t)(colon - address));
}

/* ── Who there is ────────────────────────────────────────────────────────────────────────── */

/* The same members in order; takes the list. */
static json_t *sorted(json_t *list, int (*compare)(const void *a, const void *b))
{
    size_t count = json_array_size(list);
    json_t **all = mem_alloc_array(count + 1, sizeof(json_t *));
    json_t *result = json_array();
    for (size_t i = 0; i < count; i++) {
        all[i] = json_array_get(list, i);
    }
    qsort(all, count, sizeof(json_t *), compare);
    for (size_t i = 0; i < count; i++) {
        json_array_append(result, all[i]);
    }
    mem_free(all);
    json_decref(list);
    return result;
}

static int by_address(const void *a, const void *b)
{
    const json_t *const *one = a;
    const json_t *const *other = b;
    return strcmp(text_in(*one, "address"), text_in(*other, "address"));
}

/* "https://control.example/" without what is not host:port. */
static char *server_address(const char *server)
{
    const char *from = strstr(server, "://");
    from = from == NULL ? server : from + 3;
    return mem_strndup(from, strcspn(from, "/"));
}

/* The address that was asked is none of theirs: something stands before them. */
static json_t *through(const struct status_answers *answers)
{
    char *address = server_address(answers->server);
    bool theirs = json_array_size(answers->webservers) == 0;
    size_t i;
    const json_t *one;
    json_array_foreach(answers->webservers, i, one)
    {
        theirs |= strstr(text_in(one, "ExternalAddr"), address) != NULL;
    }
    json_t *json = theirs ? json_null() : json_string(address);
    mem_free(address);
    return json;
}

static bool has_address(const json_t *list, struct span address)
{
    size_t i;
    const json_t *one;
    json_array_foreach(list, i, one)
    {
        if (span_equal_str(address, text_in(one, "address"))) {
            return true;
        }
    }
    return false;
}

/* They are known by the log that they send, to several indexers. */
static json_t *load_balancers(const json_t *indexers)
{
    json_t *list = json_array();
    size_t i;
    size_t k;
    const json_t *indexer;
    const json_t *one;
    json_array_foreach(indexers, i, indexer)
    {
        json_array_foreach(json_object_get(json_object_get(indexer, "Stats"), "connections"), k,
                           one)
        {
            struct span host = host_of(text_in(one, "client"));
            if (strcmp(text_in(one, "name"), "aquifer-loadbalancer") == 0 &&
                !has_address(list, host)) {
                json_array_append_new(
                    list, json_pack("{s:s%, s:s, s:s}", "address", host.data, host.bytes, "version",
                                    text_in(one, "version"), "since", text_in(one, "since")));
            }
        }
    }
    return list;
}

static json_t *datastores(const struct status_answers *answers)
{
    const json_t *used = json_object_get(answers->settings, "Datastore");
    json_t *list = json_array();
    size_t i;
    const json_t *address;
    json_array_foreach(json_object_get(answers->cluster, "Datastores"), i, address)
    {
        bool here = strcmp(json_string_value(address), text_in(used, "Address")) == 0;
        json_t *one = json_pack("{s:O, s:b}", "address", address, "in_use", here);
        if (here) {
            json_t *told =
                json_pack("{s:s, s:s, s:s, s:I}", "state", text_in(used, "State"), "since",
                          text_in(used, "Since"), "reason", text_in(used, "Reason"),
                          "waiting_changes", number_in(used, "Unsynced"));
            json_object_update_new(one, told);
        }
        json_array_append_new(list, one);
    }
    return list;
}

/* It is the datastore that knows of the others: without it nobody does. */
static json_t *webservers(const struct status_answers *answers)
{
    bool known = !true_in(json_object_get(answers->settings, "Datastore"), "Degraded");
    json_t *list = json_array();
    size_t i;
    const json_t *one;
    json_array_foreach(answers->webservers, i, one)
    {
        bool self = true_in(one, "Self");
        json_t *up = known || self ? json_boolean(true_in(one, "Up")) : json_null();
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:o, s:f, s:b}", "address",
                            text_in(one, "ExternalAddr"), "id", text_in(one, "UUID"), "version",
                            text_in(one, "Version"), "up", up, "seen_seconds",
                            (double)number_in(one, "SeenMilliseconds") / 1e3, "self", self));
    }
    return sorted(list, by_address);
}

/* ── Indexers ────────────────────────────────────────────────────────────────────────────── */

static const json_t *storage_of(const json_t *indexer)
{
    return json_object_get(json_object_get(indexer, "Stats"), "storage");
}

static json_int_t sum_of_wells(const json_t *indexer, const char *key)
{
    json_int_t sum = 0;
    size_t i;
    const json_t *well;
    json_array_foreach(json_object_get(json_object_get(indexer, "Stats"), "wells"), i, well)
    {
        sum += number_in(well, key);
    }
    return sum;
}

/* What was accepted between two answers; one that has started meanwhile begins at 0. */
static void add_rates(json_t *one, const json_t *before, const json_t *after, int64_t between_ns)
{
    static const char *const counters[][2] = {
        {"entries_accepted", "entries_per_second"},
        {"points_accepted", "points_per_second"},
        {"bytes_accepted", "bytes_per_second"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(counters) && after != NULL && between_ns > 0; i++) {
        json_int_t grown = number_in(after, counters[i][0]) - number_in(before, counters[i][0]);
        double rate = grown <= 0 ? 0 : (double)grown * 1e9 / (double)between_ns;
        json_object_set_new(one, counters[i][1], json_real(rate));
    }
}

static json_t *indexer_json(const json_t *indexer, const json_t *later, int64_t between_ns)
{
    const json_t *info = json_object_get(indexer, "Info");
    const json_t *storage = storage_of(indexer);
    json_t *one = json_pack("{s:s, s:b, s:s}", "address", text_in(indexer, "Address"), "up",
                            true_in(indexer, "Up"), "error", text_in(indexer, "Error"));
    if (info != NULL) {
        json_object_update_new(
            one, json_pack("{s:s, s:s, s:s, s:b, s:s}", "id", text_in(info, "id"), "version",
                           text_in(info, "version"), "started", text_in(info, "started"),
                           "takes_entries", true_in(info, "takes_entries"), "reason",
                           text_in(info, "reason")));
    }
    if (storage != NULL) {
        const json_t *connections =
            json_object_get(json_object_get(indexer, "Stats"), "connections");
        json_object_update_new(
            one,
            json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "entries", sum_of_wells(indexer, "entries"),
                      "points", sum_of_wells(indexer, "points"), "used_bytes",
                      sum_of_wells(indexer, "disk_bytes") + number_in(storage, "log_bytes"),
                      "free_bytes", number_in(storage, "disk_free_bytes"), "disk_bytes",
                      number_in(storage, "disk_bytes"), "ingesters",
                      (json_int_t)json_array_size(connections)));
        add_rates(one, storage, storage_of(later), between_ns);
    }
    return one;
}

/* ── Links ───────────────────────────────────────────────────────────────────────────────── */

static const char *address_of_node(const json_t *indexers, const char *node)
{
    size_t i;
    const json_t *one;
    json_array_foreach(indexers, i, one)
    {
        const char *id = text_in(json_object_get(one, "Info"), "id");
        if (node[0] != '\0' && strcmp(id, node) == 0) {
            return text_in(one, "Address");
        }
    }
    return NULL;
}

/* Whoever is away has not told its id: where it is says who it is, if that is clear. */
static const char *address_of_host(const json_t *indexers, const json_t *from, struct span host)
{
    const json_t *there = NULL;
    const json_t *away = NULL;
    size_t there_count = 0;
    size_t away_count = 0;
    size_t i;
    const json_t *one;
    json_array_foreach(indexers, i, one)
    {
        if (one == from || !span_equal(host_of(text_in(one, "Address")), host)) {
            continue;
        }
        there = one;
        there_count++;
        if (!true_in(one, "Up")) {
            away = one;
            away_count++;
        }
    }
    const json_t *only = there_count == 1 ? there : away_count == 1 ? away : NULL;
    return only == NULL ? NULL : text_in(only, "Address");
}

static json_t *link_json(const json_t *link, const char *from, const char *to)
{
    json_int_t lag = number_in(link, "lag_records") + number_in(link, "lag_messages");
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:f, s:I, s:I, s:I, s:s, s:s}", "from",
                     from, "to", to, "name", text_in(link, "name"), "health",
                     status_link_health(link), "state", text_in(link, "state"), "lag_records", lag,
                     "lag_bytes", number_in(link, "lag_bytes"), "lag_seconds",
                     (double)number_in(link, "lag_ns") / 1e9, "records_per_second",
                     number_in(link, "records_per_s"), "bytes_per_second",
                     number_in(link, "bytes_per_s"), "quarantined", number_in(link, "quarantined"),
                     "fault", text_in(link, "fault"), "instead_of", text_in(link, "instead_of"));
}

static json_t *forwarder_json(const json_t *indexers, const json_t *from, const json_t *forwarder)
{
    const char *to = address_of_node(indexers, text_in(forwarder, "node"));
    to = to != NULL ? to : address_of_host(indexers, from, host_of(text_in(forwarder, "target")));
    return link_json(forwarder, text_in(from, "Address"),
                     to != NULL ? to : text_in(forwarder, "name"));
}

static void add_links(json_t *list, const json_t *indexers, const json_t *indexer)
{
    const json_t *replication = json_object_get(json_object_get(indexer, "Stats"), "replication");
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(replication, "forwarders"), i, one)
    {
        json_array_append_new(list, forwarder_json(indexers, indexer, one));
    }
    json_array_foreach(json_object_get(replication, "sources"), i, one)
    {
        json_array_append_new(list,
                              link_json(one, text_in(one, "source"), text_in(indexer, "Address")));
    }
}

static json_t *links(const json_t *indexers)
{
    json_t *list = json_array();
    size_t i;
    const json_t *indexer;
    json_array_foreach(indexers, i, indexer)
    {
        add_links(list, indexers, indexer);
    }
    return list;
}

/* ── All of it ───────────────────────────────────────────────────────────────────────────── */

static int by_sent(const void *a, const void *b)
{
    const json_t *const *one = a;
    const json_t *const *other = b;
    return strcmp(text_in(*other, "sent"), text_in(*one, "sent"));
}

static json_t *notifications(const json_t *answer)
{
    json_t *list = json_array();
    const char *id;
    json_t *one;
    json_object_foreach((json_t *)(uintptr_t)answer, id, one)
    {
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s}", "sent", text_in(one, "Sent"), "level",
                                        text_in(one, "Level"), "message", text_in(one, "Msg")));
    }
    return sorted(list, by_sent);
}

json_t *status_picture(const struct status_answers *answers)
{
    json_t *indexers = json_array();
    json_t *through_it = through(answers);
    size_t i;
    const json_t *one;
    json_array_foreach(answers->indexers, i, one)
    {
        json_array_append_new(
            indexers, indexer_json(one, json_array_get(answers->later, i), answers->between_ns));
    }
    json_t *picture = json_pack(
        "{s:s, s:[], s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "state", "", "troubles", "through",
        through_it, "load_balancers", load_balancers(answers->indexers), "datastores",
        datastores(answers), "webservers", webservers(answers), "indexers", indexers, "links",
        links(answers->indexers), "notifications", notifications(answers->notifications));
    json_t *troubles = status_troubles(picture, answers);
    const char *state = json_array_size(troubles) == 0 ? "well" : "degraded";
    json_object_set_new(picture, "state", json_string(state));
    json_object_set_new(picture, "troubles", troubles);
    return picture;
}

bool status_is_well(const json_t *picture)
{
    return strcmp(text_in(picture, "state"), "well") == 0;
}
