#include "webserver/absent.h"

static void list_nothing(struct http_request *request, void *context)
{
    (void)context;
    http_reply_json(request, 200, json_array());
}

const struct http_route absent_routes[] = {
    {"GET", "/api/scheduledsearches", list_nothing, 0, 0},
    {"GET", "/api/scheduledsearches/all", list_nothing, 0, 0},
    {"GET", "/api/scheduledsearches/user/{uid}", list_nothing, 0, 0},
    {"DELETE", "/api/scheduledsearches/user/{uid}", list_nothing, 0, 0},
    {"GET", "/api/flows", list_nothing, 0, 0},
    {"GET", "/api/alerts", list_nothing, 0, 0},
    {"GET", "/api/kits", list_nothing, 0, 0},
    {"GET", "/api/kits/status", list_nothing, 0, 0},
    {"GET", "/api/kits/build/history", list_nothing, 0, 0},
    {"GET", "/api/kits/remote/list", list_nothing, 0, 0},
    {"GET", "/api/kits/remote/list/all", list_nothing, 0, 0},
};
const size_t absent_route_count = ARRAY_COUNT(absent_routes);
