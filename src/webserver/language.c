/* Tested by tests/cluster/test_language.py. */
#include "webserver/language.h"

#include <jansson.h>

#include "query/describe.h"

static void add_stage(void *context, const struct query_description *description)
{
    json_t *flags = json_array();
    for (size_t i = 0; i < description->flag_count; i++) {
        json_array_append_new(flags, json_pack("{s:s, s:b}", "Name", description->flags[i].name,
                                               "TakesValue", description->flags[i].takes_value));
    }
    json_t *list =
        json_object_get(context, description->renderer ? "Renderers" : "Modules"); /* borrowed */
    json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:o}", "Name", description->name,
                                          "Summary", description->summary, "Condensing",
                                          description->condensing, "Flags", flags));
}

static void add_function(void *context, const char *name, unsigned args_min, unsigned args_max)
{
    json_t *most = args_max == 255 ? json_null() : json_integer(args_max);
    json_array_append_new(
        json_object_get(context, "Functions"),
        json_pack("{s:s, s:i, s:o}", "Name", name, "ArgsMin", (int)args_min, "ArgsMax", most));
}

static void get_language(struct http_request *request, void *context)
{
    (void)context;
    json_t *json = json_pack("{s:[], s:[], s:[]}", "Modules", "Renderers", "Functions");
    query_describe(add_stage, json);
    query_describe_functions(add_function, json);
    http_reply_json(request, 200, json);
}

const struct http_route language_routes[] = {
    {"GET", "/api/query/language", get_language, 0, 0},
};
const size_t language_route_count = ARRAY_COUNT(language_routes);
