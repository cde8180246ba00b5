#include "webserver/system.h"

#include <time.h>

#include "base/time.h"
#include "conf/conf.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/auth.h"
#include "webserver/ingest.h"
#include "webserver/request.h"
#include "webserver/search_one.h"

/* What the web API speaks: clients compare the first number. */
#define API_MAJOR 0
#define API_MINOR 2
#define USER_FILE_BYTES_MAX (8 * 1024 * 1024)
#define JSON_REQUEST_BYTES_MAX (16 * 1024 * 1024)

static void get_version(struct http_request *request, void *context)
{
    (void)context;
    int major = 0;
    int minor = 0;
    int point = 0;
    (void)sscanf(AQUIFER_VERSION, "%d.%d.%d", &major, &minor, &point);
    http_reply_json(request, 200,
                    json_pack("{s:{s:i, s:i}, s:{s:i, s:i, s:i, s:s, s:s}}", "API", "Major",
                              API_MAJOR, "Minor", API_MINOR, "Build", "Major", major, "Minor",
                              minor, "Point", point, "BuildDate", "0001-01-01T00:00:00Z", "BuildID",
                              "aquifer-" AQUIFER_VERSION));
}

static void get_test(struct http_request *request, void *context)
{
    (void)context;
    http_reply(request, 200, "text/plain", SPAN_NONE);
}

/* How the datastore is doing, for the page's banner: our own addition to the settings. */
static json_t *datastore_json(const struct webserver *webserver)
{
    struct sync_status status;
    sync_status(webserver->sync, &status);
    return json_pack("{s:s, s:s, s:s, s:b, s:o, s:I, s:I}", "State", sync_state_name(status.state),
                     "Address", status.datastore, "Reason", status.reason, "Degraded",
                     status.state == SYNC_STATE_OFFLINE, "Since",
                     request_time_json(status.since_ns == 0 ? TIME_UNSET : status.since_ns),
                     "Unsynced", (json_int_t)status.dirty, "Revision", (json_int_t)status.revision);
}

/* Where a newcomer can send lines to: the indexers that take our own log. Ours too. */
static json_t *ingest_targets_json(const struct conf *conf)
{
    json_t *list = json_array();
    for (size_t i = 0; i < conf_list_count(conf, CONF_GLOBAL, "Self-Log-Target"); i++) {
        const char *target = conf_list(conf, CONF_GLOBAL, "Self-Log-Target", i);
        json_array_append_new(list, json_string(target));
    }
    return list;
}

static void get_settings(struct http_request *request, void *context)
{
    const struct webserver *webserver = context;
    time_t now = (time_t)(io_now_ns(webserver->io) / TIME_S_NS);
    struct tm local;
    (void)localtime_r(&now, &local);
    json_t *settings =
        json_pack("{s:b, s:b, s:s, s:b, s:b, s:o, s:s, s:I, s:I, s:I, s:I, s:b, s:b}",
                  "DistributedWebservers", webserver->distributed, "DisableMapTileProxy", 1,
                  "MapTileUrl", "", "DisableFeaturePopups", 1, "CloudMode", 0, "ServerTime",
                  request_time_json(io_now_ns(webserver->io)), "ServerTimezone", local.tm_zone,
                  "ServerTimezoneOffset", (json_int_t)local.tm_gmtoff, "MaxFileSize",
                  (json_int_t)USER_FILE_BYTES_MAX, "MaxResourceSize",
                  (json_int_t)conf_int(webserver->conf, CONF_GLOBAL, "Resource-Max-Size"),
                  "MaxJsonRequestSize", (json_int_t)JSON_REQUEST_BYTES_MAX, "IngestAllowed",
                  ingest_allowed(webserver, auth_user(request)), "NonCommercial", 0);
    json_object_set_new(settings, "Datastore", datastore_json(webserver));
    json_object_set_new(
        settings, "FirstPasswordMayStay",
        json_boolean(conf_bool(webserver->conf, CONF_GLOBAL, "Insecure-Keep-First-Password")));
    json_object_set_new(settings, "IngestTargets", ingest_targets_json(webserver->conf));
    http_reply_json(request, 200, settings);
}

static void get_deployment(struct http_request *request, void *context)
{
    const struct webserver *webserver = context;
    http_reply_json(
        request, 200,
        json_pack("{s:b, s:b, s:s, s:b, s:s, s:s, s:I}", "Distributed", webserver->distributed,
                  "CBACEnabled", 0, "DefaultLanguage",
                  conf_text(webserver->conf, CONF_GLOBAL, "Default-Language"), "AIEnabled", 0,
                  "AIProcessor", "", "AIDisabledReason", "not part of this product",
                  "RenderStoreLimit",
                  (json_int_t)conf_int(webserver->conf, CONF_GLOBAL, "Render-Store-Limit")));
}

/* The webservers that the datastore knows: our own addition. */
static void get_webservers(struct http_request *request, void *context)
{
    const struct webserver *webserver = context;
    static const size_t max = SYNC_WEBSERVERS_MAX;
    struct sync_webserver *known =
        arena_alloc_array(http_request_arena(request), max, sizeof(*known));
    size_t count = sync_webservers(webserver->sync, known, max);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(
            list, json_pack("{s:o, s:s, s:s, s:I, s:I, s:b, s:b, s:i}", "UUID",
                            request_uuid_json(&known[i].id), "ExternalAddr", known[i].external_addr,
                            "Version", known[i].version, "Revision", (json_int_t)known[i].revision,
                            "SeenMilliseconds", (json_int_t)known[i].seen_ms, "Up", known[i].up,
                            "Self", uuid_equal(known[i].id, webserver->uuid), "SearchNumber",
                            (int)search_number_of(known[i].id)));
    }
    http_reply_json(request, 200, list);
}

static void get_mfa(struct http_request *request, void *context)
{
    (void)context;
    http_reply_json(request, 200,
                    json_pack("{s:{s:{s:b}, s:{s:b, s:i, s:s}}, s:b}", "UserConfig", "TOTP",
                              "Enabled", 0, "RecoveryCodes", "Enabled", 0, "Remaining", 0,
                              "Generated", "0001-01-01T00:00:00Z", "MFARequired", 0));
}

static void get_language(struct http_request *request, void *context)
{
    const struct webserver *webserver = context;
    http_reply_json(request, 200,
                    json_string(conf_text(webserver->conf, CONF_GLOBAL, "Default-Language")));
}

const struct http_route system_routes[] = {
    {"GET", "/api/version", get_version, AUTH_PUBLIC, 0},
    {"GET", "/api/test", get_test, AUTH_PUBLIC, 0},
    {"GET", "/api/language", get_language, AUTH_PUBLIC, 0},
    {"GET", "/api/settings", get_settings, 0, 0},
    {"GET", "/api/deployment", get_deployment, 0, 0},
    {"GET", "/api/webservers", get_webservers, 0, 0},
    {"GET", "/api/mfa", get_mfa, 0, 0},
};
const size_t system_route_count = ARRAY_COUNT(system_routes);
