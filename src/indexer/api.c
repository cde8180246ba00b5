#include "indexer/api.h"

#include "base/mem.h"
#include "base/time.h"
#include "datalog/cursor.h"
#include "indexer/feeds3x.h"
#include "indexer/search_share.h"
#include "query/serve.h"
#include "service/log.h"
#include "service/metrics.h"
#include "warp10/refused.h"

static json_t *json_u64(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *json_time(int64_t time_ns)
{
    char text[TIME_TEXT_BYTES];
    return time_ns == TIME_UNSET ? json_null() : json_string(time_text(time_ns, text));
}

/* ---- who it is ---- */

static void get_info(struct http_request *request, void *context)
{
    struct api *api = context;
    char uuid[UUID_TEXT_BYTES];
    struct buf why = {0};
    bool stopped = storage_stopped(api->storage, &why);
    struct storage_stats stats = storage_stats(api->storage);
    json_t *info = json_object();
    json_object_set_new(info, "id", json_string(uuid_text(api->uuid, uuid)));
    json_object_set_new(info, "version", json_string(AQUIFER_VERSION));
    json_object_set_new(info, "started", json_time(api->started_ns));
    json_object_set_new(info, "now", json_time(io_now_ns(api->io)));
    json_object_set_new(info, "ingest_port", json_integer(listener_port(api->listener)));
    json_object_set_new(info, "tls_ingest_port", json_integer(listener_tls_port(api->listener)));
    json_object_set_new(info, "takes_entries", json_boolean(!stopped));
    json_object_set_new(info, "reason", json_string(buf_str(&why)));
    json_object_set_new(info, "wells", json_u64(stats.wells));
    json_object_set_new(info, "ingesters", json_u64(listener_count(api->listener)));
    buf_deinit(&why);
    http_reply_json(request, 200, info);
}

static int add_tag(void *context, uint16_t tag, struct span name, const char *well,
                   struct well_tag_stats stats)
{
    json_t *row = json_object();
    json_object_set_new(row, "name", json_stringn((const char *)name.data, name.bytes));
    json_object_set_new(row, "number", json_integer(tag));
    json_object_set_new(row, "well", json_string(well));
    json_object_set_new(row, "entries", json_u64(stats.entries));
    json_object_set_new(row, "bytes", json_u64(stats.bytes));
    json_array_append_new(context, row);
    return 0;
}

/* Searches name classes of points like tags. */
static int add_class(void *context, const char *name, uint16_t tag)
{
    json_t *row = json_object();
    json_object_set_new(row, "name", json_string(name));
    json_object_set_new(row, "number", json_integer(tag));
    json_object_set_new(row, "class", json_true());
    json_array_append_new(context, row);
    return 0;
}

static void get_tags(struct http_request *request, void *context)
{
    struct api *api = context;
    json_t *tags = json_array();
    int rc = storage_each_tag(api->storage, add_tag, tags);
    rc = rc < 0 ? rc : storage_each_class(api->storage, add_class, tags);
    if (rc < 0) {
        json_decref(tags);
        http_reply_fault(request, rc);
        return;
    }
    json_t *answer = json_object();
    json_object_set_new(answer, "tags", tags);
    http_reply_json(request, 200, answer);
}

/* ---- what it holds and who feeds it ---- */

static json_t *well_json(struct storage *storage, size_t index)
{
    struct well_stats stats = storage_well_stats(storage, index);
    json_t *well = json_object();
    json_object_set_new(well, "name", json_string(storage_well_name(storage, index)));
    json_object_set_new(well, "entries", json_u64(stats.entries));
    json_object_set_new(well, "points", json_u64(stats.points));
    json_object_set_new(well, "bytes", json_u64(stats.bytes));
    json_object_set_new(well, "disk_bytes", json_u64(stats.disk_bytes));
    json_object_set_new(well, "memtable_bytes", json_u64(stats.memtable_bytes));
    json_object_set_new(well, "segments", json_u64(stats.segments));
    json_object_set_new(well, "partitions", json_u64(stats.partitions));
    json_object_set_new(well, "dropped_entries", json_u64(stats.dropped_entries));
    json_object_set_new(well, "dropped_points", json_u64(stats.dropped_points));
    json_object_set_new(well, "dropped_bytes", json_u64(stats.dropped_bytes));
    json_object_set_new(well, "corrupt_blocks", json_u64(stats.corrupt_blocks));
    json_object_set_new(well, "oldest", json_time(stats.oldest_ns));
    json_object_set_new(well, "newest", json_time(stats.newest_ns));
    return well;
}

static int add_cursor(void *context, const struct datalog_cursor_stats *stats)
{
    json_t *json = json_object();
    json_object_set_new(json, "name", json_string(stats->name));
    json_object_set_new(json, "next", json_u64(stats->next));
    json_object_set_new(json, "detached", json_boolean(stats->detached));
    json_object_set_new(json, "open", json_boolean(stats->open));
    json_object_set_new(json, "lag_records", json_u64(stats->lag_records));
    json_object_set_new(json, "lag_bytes", json_u64(stats->lag_bytes));
    json_object_set_new(json, "lag_ns", json_u64(stats->lag_ns));
    json_array_append_new(context, json);
    return 0;
}

static json_t *storage_json(struct storage *storage)
{
    struct storage_stats stats = storage_stats(storage);
    json_t *json = json_object();
    json_object_set_new(json, "entries_accepted", json_u64(stats.entries_accepted));
    json_object_set_new(json, "points_accepted", json_u64(stats.points_accepted));
    json_object_set_new(json, "deletes_accepted", json_u64(stats.deletes_accepted));
    json_object_set_new(json, "bytes_accepted", json_u64(stats.bytes_accepted));
    json_object_set_new(json, "entries_replayed", json_u64(stats.entries_replayed));
    json_object_set_new(json, "points_replayed", json_u64(stats.points_replayed));
    json_object_set_new(json, "series", json_u64(stats.series));
    json_object_set_new(json, "tombstones", json_u64(stats.tombstones));
    json_object_set_new(json, "log_first", json_u64(stats.log_first));
    json_object_set_new(json, "log_end", json_u64(stats.log_end));
    json_object_set_new(json, "log_bytes", json_u64(stats.log_bytes));
    json_object_set_new(json, "log_groups", json_u64(stats.log_groups));
    json_object_set_new(json, "corrupt", json_u64(stats.corrupt));
    json_object_set_new(json, "disk_free_bytes", json_u64(stats.disk_free_bytes));
    json_object_set_new(json, "disk_bytes", json_u64(stats.disk_bytes));
    json_t *cursors = json_array();
    (void)!storage_cursors(storage, add_cursor, cursors);
    json_object_set_new(json, "cursors", cursors);
    return json;
}

static json_t *connection_json(const struct connection_info *info)
{
    json_t *json = json_object();
    json_object_set_new(json, "client", json_string(info->client));
    json_object_set_new(json, "conntype", json_string(info->type));
    json_object_set_new(json, "name", json_string(info->name));
    json_object_set_new(json, "version", json_string(info->version));
    json_object_set_new(json, "uuid", json_string(info->uuid));
    json_object_set_new(json, "hot", json_boolean(info->hot));
    json_object_set_new(json, "since", json_time(info->since_ns));
    json_object_set_new(json, "entries", json_u64(info->entries));
    json_object_set_new(json, "bytes", json_u64(info->bytes));
    return json;
}

static void get_stats(struct http_request *request, void *context)
{
    struct api *api = context;
    json_t *answer = json_object();
    json_t *wells = json_array();
    size_t count = storage_stats(api->storage).wells;
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(wells, well_json(api->storage, i));
    }
    json_t *connections = json_array();
    struct connection_info *infos =
        arena_alloc_array(http_request_arena(request), LISTENER_CONNECTIONS_MAX, sizeof(*infos));
    count = listener_connections(api->listener, infos, LISTENER_CONNECTIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(connections, connection_json(&infos[i]));
    }
    json_object_set_new(answer, "storage", storage_json(api->storage));
    json_t *replication =
        api->replication == NULL ? json_null() : replication_json(api->replication);
    if (api->kafka != NULL) {
        kafka_add_json(api->kafka, replication);
    }
    json_object_set_new(answer, "replication", replication);
    json_object_set_new(answer, "wells", wells);
    json_object_set_new(answer, "connections", connections);
    json_object_set_new(answer, "ingesters", states_json(api->states));
    http_reply_json(request, 200, answer);
}

static void get_places(struct http_request *request, void *context)
{
    struct api *api = context;
    char uuid[UUID_TEXT_BYTES];
    json_t *answer = json_object();
    json_object_set_new(answer, "id", json_string(uuid_text(api->uuid, uuid)));
    json_object_set_new(answer, "places", replication_places_json(api->storage));
    http_reply_json(request, 200, answer);
}

/* ---- searches ---- */

static int write_frames(void *context, struct span frames)
{
    int rc = http_stream_write(context, frames);
    return rc == HTTP_STREAM_GONE ? err_set(ERR_CANCELLED, "the webserver has left") : rc;
}

/* Nothing is written but by waiting, so this is only ever called when the client has left. */
static void note_leaving(void *gone)
{
    atomic_store((atomic_bool *)gone, true);
}

static int run_search(struct query_serve *serve, atomic_bool *gone, struct http_stream **stream)
{
    http_stream_on_change(*stream, note_leaving, gone);
    int rc = query_serve_run(serve, gone, write_frames, *stream);
    if (rc == ERR_CANCELLED) {
        http_stream_abort(stream);
    } else { /* a fault is its last frame */
        http_stream_end(stream);
    }
    return rc;
}

static int serve_search(struct http_request *request, struct api *api, struct search_share *share,
                        struct query_scratch *scratch, atomic_bool *gone)
{
    struct query_serve *serve = NULL;
    struct http_stream *stream;
    struct query_source *source =
        share != NULL ? search_share_source(share) : storage_source(api->storage);
    int rc = query_serve_begin_pooled(http_request_body(request), source, io_now_ns(api->io),
                                      api->pool, scratch, &serve);
    if (rc < 0) {
        http_reply_fault(request, rc);
        return 0;
    }
    rc = http_reply_stream(request, 200, QUERY_SERVE_CONTENT_TYPE, &stream);
    rc = rc != 0 ? rc : run_search(serve, gone, &stream);
    query_serve_free(&serve);
    return rc;
}

static void post_search(struct http_request *request, void *context)
{
    struct api *api = context;
    struct search_share *share = NULL;
    int rc = search_share_of_request(http_request_body(request), api->storage, api->uuid, &share);
    if (rc < 0) {
        http_reply_fault(request, rc);
        return;
    }
    atomic_bool gone = false;
    struct query_scratch_options options = api->scratch;
    options.cancel = &gone;
    struct query_scratch *scratch = query_scratch_new(&options);
    rc = serve_search(request, api, share, scratch, &gone);
    query_scratch_free(&scratch);
    search_share_free(&share);
    if (rc < 0 && rc != ERR_CANCELLED) {
        log_fault("search-failed", "a search ended with a fault", rc, "client",
                  http_request_peer(request), NULL);
    }
}

/* A table that searches look into. */
static void put_table(struct http_request *request, void *context)
{
    const struct api *api = context;
    int rc = query_tables_put(api->scratch.tables, http_request_param(request, "hash"),
                              http_request_body(request));
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        http_reply_json(request, 200, json_object());
    }
}

/* One more try with a record of a link that was set aside: its file's request. */
static void post_retry(struct http_request *request, void *context)
{
    struct api *api = context;
    struct span body = http_request_body(request);
    int rc;
    if (span_starts_with(body, SPAN_LIT(REFUSED_3X_TITLE))) {
        rc = feeds3x_retry(api->feeds3x, body);
    } else if (api->replication != NULL) {
        rc = replication_retry(api->replication, body);
    } else {
        rc = err_set(ERR_NOT_FOUND, "this indexer does not take part in replication");
    }
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        http_reply_json(request, 200, json_object());
    }
}

/* A new node wants to be forwarded to. */
static void post_join(struct http_request *request, void *context)
{
    struct api *api = context;
    struct span body = http_request_body(request);
    json_error_t error;
    json_t *json = json_loadb((const char *)body.data, body.bytes, 0, &error);
    int rc = api->replication == NULL
                 ? err_set(ERR_INVALID, "this indexer does not take part in replication")
                 : replication_join(api->replication, json, http_request_peer(request));
    json_decref(json);
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        http_reply_json(request, 200, json_object());
    }
}

const struct http_route api_routes[] = {
    {"GET", "/control/v1/info", get_info, HTTP_CONTROL, 0},
    {"GET", "/control/v1/tags", get_tags, HTTP_CONTROL, 0},
    {"GET", "/control/v1/stats", get_stats, HTTP_CONTROL, 0},
    {"GET", "/control/v1/places", get_places, HTTP_CONTROL, 0},
    {"POST", "/control/v1/join", post_join, HTTP_CONTROL, 65536},
    {"POST", "/control/v1/quarantine/retry", post_retry, HTTP_CONTROL,
     2 * (size_t)REPLICATE_BODY_BYTES_MAX},
    {"POST", "/control/v1/search", post_search, HTTP_CONTROL, QUERY_SERVE_REQUEST_BYTES_MAX},
    {"PUT", "/control/v1/tables/{hash}", put_table, HTTP_CONTROL, QUERY_COPY_BYTES_MAX},
};
const size_t api_route_count = ARRAY_COUNT(api_routes);

/* ---- metrics ---- */

/* What storage counts: type, name, what it is, field of its stats. */
#define STORAGE_METRICS(X)                                                                         \
    X(counter, "storage_entries_total", "entries accepted since start", entries_accepted)          \
    X(counter, "storage_points_total", "points accepted since start", points_accepted)             \
    X(counter, "storage_deletes_total", "deletes accepted since start", deletes_accepted)          \
    X(gauge, "storage_series", "series of points that have a name", series)                        \
    X(gauge, "storage_tombstones", "deletes that are still looked at", tombstones)                 \
    X(counter, "storage_flushed_bytes_total", "of segment files, from memory", flushed_bytes)      \
    X(counter, "storage_merged_bytes_total", "of segment files, written by merges", merged_bytes)  \
    X(counter, "storage_packed_bytes_total", "of merged ones, written for good", packed_bytes)     \
    X(counter, "storage_purged_bytes_total", "of segment files, to remove what was deleted",       \
      purged_bytes)                                                                                \
    X(counter, "datalog_groups_total", "syncs of the datalog", log_groups)                         \
    X(counter, "storage_corrupt_total", "damaged records, blocks and lines met since start",       \
      corrupt)                                                                                     \
    X(counter, "storage_dropped_entries_total", "entries that retention dropped", dropped_entries) \
    X(counter, "storage_dropped_points_total", "points that retention dropped", dropped_points)    \
    X(counter, "storage_dropped_bytes_total", "bytes of segment files that retention dropped",     \
      dropped_bytes)                                                                               \
    X(counter, "storage_dropped_partitions_total", "time partitions that retention dropped",       \
      dropped_partitions)                                                                          \
    X(counter, "storage_cache_hits_total", "blocks that searches found unpacked", cache_hits)      \
    X(counter, "storage_cache_misses_total", "blocks that searches had to unpack", cache_misses)   \
    X(gauge, "storage_cache_bytes", "of unpacked blocks, for the next searches", cache_bytes)      \
    X(gauge, "datalog_cursors", "followers that the datalog knows", log_cursors)                   \
    X(gauge, "datalog_cursors_detached", "followers that held back more than Max-Datalog-GB",      \
      log_detached)                                                                                \
    X(gauge, "datalog_bytes", "size of the datalog", log_bytes)

#define X(type, name, help, field)                                                                 \
    static double read_##field(void *context)                                                      \
    {                                                                                              \
        return (double)storage_stats(((struct api *)context)->storage).field;                      \
    }
STORAGE_METRICS(X)
#undef X

/* Of what was flushed, how often it was written all in all. */
static double read_write_amplification(void *context)
{
    struct storage_stats stats = storage_stats(((struct api *)context)->storage);
    double flushed = (double)stats.flushed_bytes;
    double again = (double)stats.merged_bytes + (double)stats.purged_bytes;
    return flushed > 0 ? 1 + again / flushed : 1;
}

/* Each life in which a node wrote takes one, for good. */
static double read_origins(void *context)
{
    return series_origins_count(storage_origins(((struct api *)context)->storage), NULL);
}

static double read_stopped(void *context)
{
    struct buf why = {0};
    bool stopped = storage_stopped(((struct api *)context)->storage, &why);
    buf_deinit(&why);
    return stopped ? 1 : 0;
}

void api_publish_metrics(struct api *api)
{
#define X(type, name, help, field)                                                                 \
    metric_##type##_call("aquifer_" name, help, NULL, read_##field, api);
    STORAGE_METRICS(X)
#undef X
    metric_gauge_call("aquifer_storage_write_amplification",
                      "bytes of segments written per byte flushed, since start", NULL,
                      read_write_amplification, api);
    metric_gauge_call("aquifer_storage_origins",
                      "numbers of origins that are used, of 65535: one per life of a node", NULL,
                      read_origins, api);
    metric_gauge_call("aquifer_storage_stopped", "1 while entries are refused (disk full)", NULL,
                      read_stopped, api);
}
