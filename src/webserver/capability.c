#include "webserver/capability.h"

#include <string.h>

#include "webserver/auth.h"

#define LIST_USERS 39
#define LIST_GROUPS 40

/* Numbers and names are those of the reference system; 5 is not used there. */
static const struct capability {
    int number;
    const char *name;
    const char *category;
    const char *description;
} capabilities[] = {
    {0, "Search", "Search", "Run searches"},
    {1, "Download", "Search", "Download results"},
    {2, "SaveSearch", "Search", "Save results"},
    {3, "AttachSearch", "Search", "Open searches that run or are kept"},
    {4, "BackgroundSearch", "Search", "Run searches in the background"},
    {6, "SetSearchGroup", "Search", "Choose the group that searches are shared with"},
    {7, "SearchHistory", "Search", "Read one's own search history"},
    {8, "SearchGroupHistory", "Search", "Read the search history of one's groups"},
    {9, "SearchAllHistory", "Search", "Read everybody's search history"},
    {10, "DashboardRead", "Dashboards", "Read dashboards"},
    {11, "DashboardWrite", "Dashboards", "Make and change dashboards"},
    {12, "ResourceRead", "Resources", "Read resources"},
    {13, "ResourceWrite", "Resources", "Make and change resources"},
    {14, "TemplateRead", "Templates", "Read templates"},
    {15, "TemplateWrite", "Templates", "Make and change templates"},
    {16, "PivotRead", "Actionables", "Read actionables"},
    {17, "PivotWrite", "Actionables", "Make and change actionables"},
    {18, "MacroRead", "Macros", "Read macros"},
    {19, "MacroWrite", "Macros", "Make and change macros"},
    {20, "LibraryRead", "Query Library", "Read saved queries"},
    {21, "LibraryWrite", "Query Library", "Make and change saved queries"},
    {22, "ExtractorRead", "Extractors", "Read extractors"},
    {23, "ExtractorWrite", "Extractors", "Make and change extractors"},
    {24, "UserFileRead", "Files", "Read files"},
    {25, "UserFileWrite", "Files", "Make and change files"},
    {26, "KitRead", "Kits", "Read kits"},
    {27, "KitWrite", "Kits", "Install kits"},
    {28, "KitBuild", "Kits", "Build kits"},
    {29, "KitDownload", "Kits", "Download kits"},
    {30, "ScheduleRead", "Automations", "Read automations"},
    {31, "ScheduleWrite", "Automations", "Make and change automations"},
    {32, "SOARLibs", "Automations", "Use script libraries"},
    {33, "SOAREmail", "Automations", "Send mail"},
    {34, "PlaybookRead", "Playbooks", "Read playbooks"},
    {35, "PlaybookWrite", "Playbooks", "Make and change playbooks"},
    {36, "LicenseRead", "System and Stats", "Read the licence"},
    {37, "Stats", "System and Stats", "Read statistics"},
    {38, "Ingest", "Data Ingest", "Ingest entries"},
    {39, "ListUsers", "Users and Groups", "List users"},
    {40, "ListGroups", "Users and Groups", "List groups"},
    {41, "ListGroupMembers", "Users and Groups", "List who is in a group"},
    {42, "NotificationRead", "Notifications", "Read notifications"},
    {43, "NotificationWrite", "Notifications", "Make and dismiss notifications"},
    {44, "SystemInfoRead", "System and Stats", "Read about the system"},
    {45, "TokenRead", "Tokens", "List API tokens"},
    {46, "TokenWrite", "Tokens", "Make and change API tokens"},
    {47, "SecretRead", "Secrets", "List secrets"},
    {48, "SecretWrite", "Secrets", "Make and change secrets"},
    {49, "AlertRead", "Automations", "Read alerts"},
    {50, "AlertWrite", "Automations", "Make and change alerts"},
};

/* The first row whose prefix fits decides; `write` is for all methods but GET and HEAD. */
static const struct {
    const char *prefix;
    int read;
    int write;
} needs[] = {
    {"/api/info/", CAPABILITY_NONE, CAPABILITY_NEVER},
    {"/api/settings", CAPABILITY_NONE, CAPABILITY_NEVER},
    {"/api/testauth", CAPABILITY_NONE, CAPABILITY_NEVER},
    {"/api/deployment", CAPABILITY_NONE, CAPABILITY_NEVER},
    {"/api/dashboards", 10, 11},
    {"/api/resources", 12, 13},
    {"/api/templates", 14, 15},
    {"/api/pivots", 16, 17},
    {"/api/macros", 18, 19},
    {"/api/library", 20, 21},
    {"/api/autoextractors", 22, 23},
    {"/api/files", 24, 25},
    {"/api/playbooks", 34, 35},
    {"/api/notifications", 42, 43},
    {"/api/tokens", 45, 46},
    {"/api/secrets", 47, 48},
    {"/api/searchhistory/group", 8, CAPABILITY_NEVER},
    {"/api/searchhistory", 7, CAPABILITY_NEVER},
    {"/api/searchctrl", 0, 0},
    {"/api/search/", 0, 0},
    {"/api/parse", 0, 0},
    {"/api/query/language", 0, CAPABILITY_NEVER},
    {"/api/explore/", 0, 0},
    {"/api/tags", 0, CAPABILITY_NEVER},
    {"/api/ws/search", 0, 0},
    {"/api/ingest", 38, 38},
    {"/api/stats", 37, 37},
    {"/api/ws/stats", 37, 37},
    {"/api/webservers", 44, CAPABILITY_NEVER},
    {"/api/groups", LIST_GROUPS, CAPABILITY_NEVER},
    {"/api/users", LIST_USERS, CAPABILITY_NEVER},
};

/* "/macros" of "/api/users/7/macros" and "/api/groups/7/macros", which list them; else empty. */
static struct span listed_by(struct span path)
{
    struct span rest = path;
    struct span piece;
    bool who = span_starts_with(path, SPAN_LIT("/api/users/")) ||
               span_starts_with(path, SPAN_LIT("/api/groups/"));
    for (size_t i = 0; i < 4 && who; i++) {
        (void)span_split(&rest, '/', &piece); /* "", "api", "users", "7" */
    }
    return who && rest.bytes > 0 ? span_of(rest.data - 1, rest.bytes + 1) : SPAN_NONE;
}

int capability_needed(const char *method, const char *path)
{
    bool read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    struct span span = span_of_str(path);
    bool results = span_starts_with(span, SPAN_LIT("/api/searchctrl/"));
    if (results && read && span_find(span, SPAN_LIT("/download")) >= 0) {
        return 1;
    }
    if (results && span_ends_with(span, SPAN_LIT("/save"))) {
        return 2;
    }
    struct span listed = listed_by(span);
    for (size_t i = 0; i < ARRAY_COUNT(needs); i++) {
        struct span prefix = span_of_str(needs[i].prefix);
        bool lists = listed.bytes > 0 && span_equal(listed, span_from(prefix, strlen("/api")));
        if (lists || span_starts_with(span, prefix)) {
            return read ? needs[i].read : needs[i].write;
        }
    }
    return CAPABILITY_NEVER;
}

const char *capability_name(int number)
{
    for (size_t i = 0; i < ARRAY_COUNT(capabilities); i++) {
        if (capabilities[i].number == number) {
            return capabilities[i].name;
        }
    }
    return "";
}

uint64_t capability_set_of(const json_t *names)
{
    uint64_t set = 0;
    size_t index;
    json_t *name;
    json_array_foreach(names, index, name)
    {
        for (size_t i = 0; i < ARRAY_COUNT(capabilities) && json_is_string(name); i++) {
            if (strcmp(capabilities[i].name, json_string_value(name)) == 0) {
                set |= UINT64_C(1) << capabilities[i].number;
            }
        }
    }
    return set;
}

bool capability_has(uint64_t set, int number)
{
    return number == CAPABILITY_NONE || (number >= 0 && (set >> number & 1) != 0);
}

json_t *capability_names(uint64_t set)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ARRAY_COUNT(capabilities); i++) {
        if (capability_has(set, capabilities[i].number)) {
            json_array_append_new(list, json_string(capabilities[i].name));
        }
    }
    return list;
}

bool capability_lets_in(uint64_t set, const char *method, const char *path)
{
    int needed = capability_needed(method, path);
    struct span span = span_of_str(path);
    bool account = (needed == LIST_USERS || needed == LIST_GROUPS) &&
                   (span_starts_with(span, SPAN_LIT("/api/users/")) ||
                    span_starts_with(span, SPAN_LIT("/api/groups/")));
    return set == CAPABILITY_ALL || needed == CAPABILITY_NEVER || account ||
           capability_has(set, needed);
}

/* ── Routes ──────────────────────────────────────────────────────────────────────────────── */

static json_t *descriptor(const struct capability *capability)
{
    return json_pack("{s:i, s:s, s:s, s:s}", "Cap", capability->number, "Name", capability->name,
                     "Desc", capability->description, "Category", capability->category);
}

static void list_all(struct http_request *request, void *context)
{
    (void)context;
    json_t *list = json_array();
    for (size_t i = 0; i < ARRAY_COUNT(capabilities); i++) {
        json_array_append_new(list, descriptor(&capabilities[i]));
    }
    http_reply_json(request, 200, list);
}

static void list_mine(struct http_request *request, void *context)
{
    (void)context;
    json_t *list = json_array();
    for (size_t i = 0; i < ARRAY_COUNT(capabilities); i++) {
        if (capability_has(auth_user(request)->capabilities, capabilities[i].number)) {
            json_array_append_new(list, descriptor(&capabilities[i]));
        }
    }
    http_reply_json(request, 200, list);
}

static void explain(struct http_request *request, void *context)
{
    (void)context;
    json_t *list = json_array();
    for (size_t i = 0; i < ARRAY_COUNT(capabilities); i++) {
        bool granted = capability_has(auth_user(request)->capabilities, capabilities[i].number);
        json_t *item = descriptor(&capabilities[i]);
        json_object_set_new(item, "Granted", json_boolean(granted));
        json_object_set_new(item, "UserGrant", json_boolean(granted));
        json_object_set_new(item, "GroupGrants", json_array());
        json_array_append_new(list, item);
    }
    http_reply_json(request, 200, list);
}

/* What people mostly want to be able to do, as sets to begin with. */
static const struct {
    const char *name;
    const char *description;
    int numbers[20];
} templates[] = {
    {"Reader",
     "Search, and see what others have made",
     {0, 1, 3, 7, 10, 12, 14, 16, 18, 20, 22, 24, 39, 40, 42, 43, 44}},
    {"Sender", "Send entries and nothing else", {38}},
};

static void list_templates(struct http_request *request, void *context)
{
    (void)context;
    json_t *list = json_array();
    for (size_t i = 0; i < ARRAY_COUNT(templates); i++) {
        json_t *caps = json_array();
        for (size_t j = 0; j < ARRAY_COUNT(templates[i].numbers); j++) {
            if (j == 0 || templates[i].numbers[j] != 0) {
                json_array_append_new(caps, json_integer(templates[i].numbers[j]));
            }
        }
        json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "Name", templates[i].name, "Desc",
                                              templates[i].description, "Caps", caps));
    }
    http_reply_json(request, 200, list);
}

static void list_for_tokens(struct http_request *request, void *context)
{
    (void)context;
    json_t *list = json_array();
    for (size_t i = 0; i < ARRAY_COUNT(capabilities); i++) {
        json_array_append_new(list, json_string(capabilities[i].name));
    }
    http_reply_json(request, 200, list);
}

const struct http_route capability_routes[] = {
    {"GET", "/api/info/capabilities", list_all, 0, 0},
    {"GET", "/api/info/capabilities/my", list_mine, 0, 0},
    {"GET", "/api/info/capabilities/why", explain, 0, 0},
    {"GET", "/api/info/capabilities/templates", list_templates, 0, 0},
    {"GET", "/api/tokens/capabilities", list_for_tokens, 0, 0},
};
const size_t capability_route_count = ARRAY_COUNT(capability_routes);
