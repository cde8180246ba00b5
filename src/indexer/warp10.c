#include "indexer/warp10.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "indexer/warp10_internal.h"
#include "service/metrics.h"

#define SECTION "Warp10", NULL
#define FORM_BYTES_MAX ((size_t)4 << 20)

static size_t bytes_of(const struct conf *conf, const char *key)
{
    return (size_t)conf_int(conf, SECTION, key);
}

/* -1: any. */
static int64_t limit_ms(const struct conf *conf, const char *key)
{
    return conf_is_set(conf, SECTION, key) ? conf_duration(conf, SECTION, key) / TIME_MS_NS : -1;
}

static int read_conf(struct warp10 *warp10)
{
    const struct conf *conf = warp10->conf;
    const char *unit = conf_text(conf, SECTION, "Time-Unit");
    if (!warp10_unit_parse(span_of_str(unit), &warp10->unit)) {
        return err_set(ERR_INVALID, "%s: Time-Unit must be ms, us or ns, not \"%s\"",
                       conf_where(conf, SECTION, "Time-Unit"), unit);
    }
    warp10->token_header = conf_text(conf, SECTION, "Token-Header");
    warp10->cors_headers = conf_text(conf, SECTION, "CORS-Headers");
    warp10->datalog_header = conf_text(conf, SECTION, "Datalog-Header");
    warp10->limits = (struct gts_options){
        .unit = warp10->unit,
        .line_bytes_max = bytes_of(conf, "Max-Line-MB") << 20,
        .value_bytes_max = bytes_of(conf, "Max-Value-Bytes"),
        .labels_bytes_max = bytes_of(conf, "Max-Labels-Bytes"),
        .attributes_bytes_max = bytes_of(conf, "Max-Attributes-Bytes"),
        .class_bytes_max = bytes_of(conf, "Max-Class-Bytes"),
    };
    warp10->past_ms = limit_ms(conf, "Max-Past");
    warp10->future_ms = limit_ms(conf, "Max-Future");
    warp10->ignore_out_of_range = conf_bool(conf, SECTION, "Ignore-Out-Of-Range");
    warp10->parse_attributes = conf_bool(conf, SECTION, "Parse-Attributes");
    warp10->allow_delta = conf_bool(conf, SECTION, "Allow-Delta-Attributes");
    warp10->expose_owner = conf_bool(conf, SECTION, "Expose-Owner");
    warp10->allow_metadata_deletes = conf_bool(conf, SECTION, "Allow-Metadata-Deletes");
    warp10->allow_activity_deletes = conf_bool(conf, SECTION, "Allow-Activity-Deletes");
    warp10->no_updates = conf_bool(conf, SECTION, "Disable-Update");
    warp10->no_metas = conf_bool(conf, SECTION, "Disable-Meta");
    warp10->no_deletes = conf_bool(conf, SECTION, "Disable-Delete");
    warp10->quarantine_dir = conf_text(conf, "Datalog", NULL, "Quarantine-Directory");
    warp10->updates.max = (int)conf_int(conf, SECTION, "Max-Updates");
    warp10->fetches.max = (int)conf_int(conf, SECTION, "Max-Fetches");
    int rc = warp10_key_bytes(&warp10->psk, conf_text(conf, SECTION, "Datalog-PSK"));
    if (rc == 0 && warp10->psk.bytes != 0 && warp10->psk.bytes != 16 && warp10->psk.bytes != 24 &&
        warp10->psk.bytes != 32) {
        rc = err_set(ERR_INVALID, "%s: Datalog-PSK must have 16, 24 or 32 bytes",
                     conf_where(conf, SECTION, "Datalog-PSK"));
    }
    return rc;
}

int warp10_new(struct io *io, const struct conf *conf, struct storage *storage,
               struct warp10 **ret_warp10)
{
    struct warp10 *warp10 = MEM_NEW(struct warp10);
    warp10->io = io;
    warp10->conf = conf;
    warp10->storage = storage;
    warp10_rates_init(&warp10->rates);
    warp10_writers_init(&warp10->writers);
    int rc = read_conf(warp10);
    rc = rc < 0 ? rc : warp10_tokens_open(io, conf, &warp10->tokens);
    if (rc == 0 && storage != NULL) {
        warp10->datalog2x = datalog2x_new(storage);
        rc = requests2x_open(io, conf, datalog2x_self(warp10->datalog2x), buf_span(&warp10->psk),
                             &warp10->requests_kept);
        rc = rc < 0 ? rc : forwarders2x_start(io, conf, storage, &warp10->forwarders);
    }
    if (rc < 0) {
        warp10_free(&warp10);
        return rc;
    }
    *ret_warp10 = warp10;
    return 0;
}

void warp10_free(struct warp10 **warp10)
{
    if (*warp10 == NULL) {
        return;
    }
    forwarders2x_stop(&(*warp10)->forwarders);
    requests2x_close(&(*warp10)->requests_kept);
    warp10_writers_deinit(&(*warp10)->writers);
    datalog2x_free(&(*warp10)->datalog2x);
    warp10_tokens_close(&(*warp10)->tokens);
    warp10_rates_deinit(&(*warp10)->rates);
    buf_deinit(&(*warp10)->psk);
    mem_free(*warp10);
    *warp10 = NULL;
}

int warp10_check(struct io *io, const struct conf *conf)
{
    struct warp10 *warp10 = NULL;
    int rc = warp10_new(io, conf, NULL, &warp10);
    warp10_free(&warp10);
    return rc < 0 ? rc : forwarders2x_check(conf);
}

static void answer_options(struct http_request *request, void *context)
{
    struct warp10_call call;
    CHECK(!warp10_call_begin(&call, context, request));
}

static void check_alive(struct http_request *request, void *context)
{
    if (strcmp(http_request_method(request), "OPTIONS") == 0) {
        answer_options(request, context);
        return;
    }
    http_reply(request, 200, NULL, SPAN_NONE);
}

const struct http_route warp10_routes[] = {
    {"*", "/api/v0/update", warp10_update, HTTP_BODY_STREAM, 0},
    {"*", "/api/v0/update/{token}", warp10_update, HTTP_BODY_STREAM, 0},
    {"*", "/api/v0/meta", warp10_meta, HTTP_BODY_STREAM, 0},
    {"*", "/api/v0/delete", warp10_delete, 0, FORM_BYTES_MAX},
    {"*", "/api/v0/fetch", warp10_fetch, 0, FORM_BYTES_MAX},
    {"*", "/api/v0/find", warp10_find, 0, FORM_BYTES_MAX},
    {"*", "/api/v0/check", check_alive, 0, 0},
    {"OPTIONS", "/api/v0/{rest*}", answer_options, 0, 0},
};
const size_t warp10_route_count = ARRAY_COUNT(warp10_routes);

size_t warp10_workers(const struct conf *conf)
{
    return (size_t)(conf_int(conf, SECTION, "Max-Updates") +
                    conf_int(conf, SECTION, "Max-Fetches"));
}

int warp10_listen(struct warp10 *warp10, struct http_server **ret_server)
{
    const struct conf *conf = warp10->conf;
    uint16_t port = conf_port(conf, SECTION, "Port");
    bool plain = conf_bool(conf, SECTION, "Disable-TLS");
    if (port == 0) {
        return 0;
    }
    struct http_server_options options = {
        .io = warp10->io,
        .address = conf_text(conf, SECTION, "Listen-Address"),
        .port = port,
        .tls_cert_path = plain ? NULL : conf_text(conf, CONF_GLOBAL, "Certificate-File"),
        .tls_key_path = plain ? NULL : conf_text(conf, CONF_GLOBAL, "Key-File"),
        .worker_threads = warp10_workers(conf) + 8,
        .header_bytes_max = WARP10_HEADER_BYTES_MAX,
    };
    const struct http_routes table = {warp10_routes, warp10_route_count, warp10};
    int rc = http_server_start(&options, &table, 1, ret_server);
    return rc < 0 ? err_wrap(rc, "[Warp10] Port") : 0;
}

static double read_points(void *context)
{
    return (double)atomic_load(&((struct warp10 *)context)->points);
}

static double read_requests(void *context)
{
    return (double)atomic_load(&((struct warp10 *)context)->requests);
}

static double read_refused(void *context)
{
    return (double)atomic_load(&((struct warp10 *)context)->refused);
}

static double read_received(void *context)
{
    return (double)atomic_load(&((struct warp10 *)context)->received);
}

static double read_known(void *context)
{
    return (double)atomic_load(&((struct warp10 *)context)->known);
}

static double read_quarantined(void *context)
{
    return (double)atomic_load(&((struct warp10 *)context)->quarantined);
}

void warp10_publish_metrics(struct warp10 *warp10)
{
    metric_counter_call("aquifer_warp10_datalog_received_total",
                        "requests that Warp 10 nodes forwarded", NULL, read_received, warp10);
    metric_counter_call("aquifer_warp10_datalog_known_total",
                        "of these, what was here before or began here", NULL, read_known, warp10);
    metric_counter_call("aquifer_warp10_datalog_quarantined_total",
                        "lines and requests of these that could not be applied", NULL,
                        read_quarantined, warp10);
    metric_counter_call("aquifer_warp10_points_total", "points read from updates", NULL,
                        read_points, warp10);
    metric_counter_call("aquifer_warp10_requests_total", "requests of the Warp 10 API", NULL,
                        read_requests, warp10);
    metric_counter_call("aquifer_warp10_refused_total", "requests answered with an error", NULL,
                        read_refused, warp10);
}
