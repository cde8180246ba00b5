/* Tested by tests/cluster/test_snapshot.py. */
#include "indexer/digest_api.h"

#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/time.h"
#include "indexer/storage_digest.h"
#include "indexer/storage_intake.h"
#include "service/metrics.h"
#include "well/partition.h"

#define BODY_BYTES_MAX ((size_t)8 << 20)

struct digest_api {
    struct io *io;
    struct storage *storage;
    pthread_mutex_t lock; /* over what the last comparison found */
    bool verified;
    int64_t verified_ns;
    uint64_t compared;
    uint64_t differ;
};

struct digest_api *digest_api_new(struct io *io, struct storage *storage)
{
    struct digest_api *api = MEM_NEW(struct digest_api);
    api->io = io;
    api->storage = storage;
    pthread_mutex_init(&api->lock, NULL);
    return api;
}

void digest_api_free(struct digest_api **place)
{
    struct digest_api *api = *place;
    *place = NULL;
    if (api != NULL) {
        pthread_mutex_destroy(&api->lock);
        mem_free(api);
    }
}

/* ---- what is asked ---- */

static json_t *body_of(struct http_request *request)
{
    struct span body = http_request_body(request);
    json_error_t error;
    json_t *json = json_loadb((const char *)body.data, body.bytes, JSON_DECODE_ANY, &error);
    if (json == NULL) {
        (void)err_set(ERR_INVALID, "no JSON: %s, line %d", error.text, error.line);
        http_reply_fault(request, ERR_INVALID);
    }
    return json;
}

static int64_t time_of(const json_t *json, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(json, key);
    return json_is_integer(value) ? (int64_t)json_integer_value(value) : otherwise;
}

static int place_of(const json_t *row, struct replicate_place *ret_place)
{
    const char *node = json_string_value(json_object_get(row, "node"));
    const char *incarnation = json_string_value(json_object_get(row, "incarnation"));
    *ret_place = (struct replicate_place){.position = 1};
    ret_place->time = (uint64_t)json_integer_value(json_object_get(row, "time"));
    if (node == NULL || incarnation == NULL ||
        !uuid_parse(span_of_str(node), &ret_place->origin.node)) {
        return err_set(ERR_INVALID, "a place has no node or no incarnation");
    }
    ret_place->origin.incarnation = strtoull(incarnation, NULL, 16);
    return 0;
}

static int places_of(const json_t *json, struct replicate_places *places)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(json, "places"), i, row)
    {
        struct replicate_place place;
        int rc = place_of(row, &place);
        if (rc < 0) {
            return rc;
        }
        replicate_places_raise(places, place);
    }
    return 0;
}

/* ---- what is told ---- */

static json_t *ns_json(int64_t time_ns)
{
    return time_ns == INT64_MIN ? json_null() : json_integer(time_ns);
}

static json_t *digest_json(const struct storage_digest *digest)
{
    char sum[33];
    snprintf(sum, sizeof(sum), "%016" PRIx64 "%016" PRIx64, digest->sums[0], digest->sums[1]);
    return json_pack("{s:s, s:I, s:I, s:I, s:s}", "well", digest->well, "partition",
                     (json_int_t)digest->partition, "entries", (json_int_t)digest->entries,
                     "points", (json_int_t)digest->points, "sum", sum);
}

static json_t *wells_json(struct storage *storage)
{
    json_t *wells = json_array();
    size_t count = storage_stats(storage).wells;
    for (size_t i = 0; i < count; i++) {
        json_t *well = json_object();
        json_object_set_new(well, "name", json_string(storage_well_name(storage, i)));
        json_object_set_new(well, "keeps_since", ns_json(storage_well_keeps_since(storage, i)));
        json_array_append_new(wells, well);
    }
    return wells;
}

/* From the oldest to the newest element there is. */
static void add_times(struct storage *storage, json_t *answer)
{
    int64_t oldest_ns = INT64_MAX;
    int64_t newest_ns = INT64_MIN;
    size_t count = storage_stats(storage).wells;
    for (size_t i = 0; i < count; i++) {
        struct well_stats stats = storage_well_stats(storage, i);
        if (stats.oldest_ns != TIME_UNSET) {
            oldest_ns = MIN(oldest_ns, stats.oldest_ns);
            newest_ns = MAX(newest_ns, stats.newest_ns);
        }
    }
    bool any = oldest_ns <= newest_ns;
    json_object_set_new(answer, "oldest", any ? json_integer(oldest_ns) : json_null());
    json_object_set_new(answer, "newest", any ? json_integer(newest_ns) : json_null());
}

static void post_digests(struct http_request *request, void *context)
{
    struct digest_api *api = context;
    struct replicate_places places = {0};
    struct storage_digest *digests = NULL;
    size_t count = 0;
    json_t *body = body_of(request);
    if (body == NULL) {
        return;
    }
    struct storage_digest_options options = {
        .start_ns = time_of(body, "start", INT64_MIN),
        .end_ns = time_of(body, "end", INT64_MAX),
        .upto = json_object_get(body, "places") != NULL ? &places : NULL,
    };
    struct storage_digest attributes;
    bool of_attributes = json_is_true(json_object_get(body, "attributes"));
    json_t *rows = json_array();
    int rc = places_of(body, &places);
    if (rc == 0) {
        storage_settle(api->storage); /* what the places say can be read */
        rc = of_attributes ? storage_digest_attributes(api->storage, &options, &attributes)
                           : storage_digest(api->storage, &options, &digests, &count);
    }
    if (rc == 0 && of_attributes) {
        json_array_append_new(rows, digest_json(&attributes));
    }
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(rows, digest_json(&digests[i]));
    }
    json_t *answer = json_object();
    json_object_set_new(answer, "digests", rows);
    mem_free(digests);
    replicate_places_deinit(&places);
    json_decref(body);
    if (rc < 0) {
        json_decref(answer);
        http_reply_fault(request, rc);
    } else {
        http_reply_json(request, 200, answer);
    }
}

static void get_needs(struct http_request *request, void *context)
{
    struct digest_api *api = context;
    struct replicate_needs needs = storage_needs(api->storage);
    struct replicate_places doubt = {0};
    storage_doubt(api->storage, &doubt);
    json_t *answer = json_object();
    json_object_set_new(answer, "doubt", json_integer((json_int_t)doubt.all.count));
    json_object_set_new(answer, "keeps_since", ns_json(needs.since_ns));
    json_t *missing = json_null();
    if (needs.missing_ns < needs.missing_end_ns) {
        missing = json_object();
        json_object_set_new(missing, "start", ns_json(needs.missing_ns));
        json_object_set_new(missing, "end", json_integer(needs.missing_end_ns));
    }
    json_object_set_new(answer, "missing", missing);
    json_object_set_new(answer, "partition_ns", json_integer(WELL_PARTITION_NS_DEFAULT));
    json_object_set_new(answer, "wells", wells_json(api->storage));
    add_times(api->storage, answer);
    replicate_places_deinit(&doubt);
    http_reply_json(request, 200, answer);
}

static void post_needs(struct http_request *request, void *context)
{
    struct digest_api *api = context;
    json_t *body = body_of(request);
    if (body == NULL) {
        return;
    }
    if (json_is_object(body)) {
        storage_need(api->storage, time_of(body, "start", INT64_MIN),
                     time_of(body, "end", INT64_MAX));
    } else {
        storage_need_nothing(api->storage);
    }
    json_decref(body);
    http_reply_json(request, 200, json_object());
}

static void post_verified(struct http_request *request, void *context)
{
    struct digest_api *api = context;
    json_t *body = body_of(request);
    if (body == NULL) {
        return;
    }
    pthread_mutex_lock(&api->lock);
    api->verified = true;
    api->verified_ns = io_now_ns(api->io);
    api->compared = (uint64_t)time_of(body, "compared", 0);
    api->differ = (uint64_t)time_of(body, "differ", 0);
    pthread_mutex_unlock(&api->lock);
    json_decref(body);
    http_reply_json(request, 200, json_object());
}

const struct http_route digest_routes[] = {
    {"POST", "/control/v1/digests", post_digests, HTTP_CONTROL, BODY_BYTES_MAX},
    {"GET", "/control/v1/needs", get_needs, HTTP_CONTROL, 0},
    {"POST", "/control/v1/needs", post_needs, HTTP_CONTROL, BODY_BYTES_MAX},
    {"POST", "/control/v1/verified", post_verified, HTTP_CONTROL, BODY_BYTES_MAX},
};
const size_t digest_route_count = ARRAY_COUNT(digest_routes);

/* ---- metrics ---- */

static double read_compared(void *context)
{
    struct digest_api *api = context;
    pthread_mutex_lock(&api->lock);
    double value = (double)api->compared;
    pthread_mutex_unlock(&api->lock);
    return value;
}

static double read_differ(void *context)
{
    struct digest_api *api = context;
    pthread_mutex_lock(&api->lock);
    double value = (double)api->differ;
    pthread_mutex_unlock(&api->lock);
    return value;
}

static double read_verified(void *context)
{
    struct digest_api *api = context;
    pthread_mutex_lock(&api->lock);
    double value = api->verified ? (double)api->verified_ns / 1e9 : 0;
    pthread_mutex_unlock(&api->lock);
    return value;
}

static double read_doubt(void *context)
{
    struct replicate_places doubt = {0};
    storage_doubt(((struct digest_api *)context)->storage, &doubt);
    double value = (double)doubt.all.count;
    replicate_places_deinit(&doubt);
    return value;
}

static double read_missing(void *context)
{
    struct replicate_needs needs = storage_needs(((struct digest_api *)context)->storage);
    return needs.missing_ns < needs.missing_end_ns ? 1 : 0;
}

void digest_publish_metrics(struct digest_api *api)
{
    metric_gauge_call("aquifer_cluster_partitions_compared",
                      "wells' partitions that the last comparison of all nodes looked at", NULL,
                      read_compared, api);
    metric_gauge_call("aquifer_cluster_partitions_differ", "of them, those that nodes differ in",
                      NULL, read_differ, api);
    metric_gauge_call("aquifer_cluster_verified_timestamp_seconds",
                      "when nodes were compared last; 0: not since start", NULL, read_verified,
                      api);
    metric_gauge_call("aquifer_datalog_doubt",
                      "origins of which a snapshot was cut short, and none was complete since",
                      NULL, read_doubt, api);
    metric_gauge_call("aquifer_datalog_missing",
                      "1 while this node asks for what it should hold and does not", NULL,
                      read_missing, api);
}
