/* Tested by tests/cluster/test_grants.py. */
#include "webserver/grant.h"

#include "base/mem.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/account.h"
#include "webserver/auth.h"
#include "webserver/capability.h"
#include "webserver/change.h"
#include "webserver/request.h"

#define GRANTS "Grants"

static bool add(const struct object *object, uint64_t *set)
{
    const json_t *names = object_body(object, GRANTS);
    if (!json_is_array(names)) {
        return false;
    }
    *set |= capability_set_of(names);
    return true;
}

uint64_t grant_of(const struct webserver *webserver, const struct object *user)
{
    uint64_t set = 0;
    struct object_gids gids = {0};
    bool limited = add(user, &set);
    account_groups(user, &gids);
    for (size_t i = 0; i < gids.count; i++) {
        struct object *group = NULL;
        int rc =
            store_get_by_number(webserver->store, OBJECT_GROUP, (uint64_t)gids.items[i], &group);
        limited = (rc == 0 && add(group, &set)) || limited;
        object_free(&group);
    }
    mem_free(gids.items);
    return limited && !object_body_bool(user, "Admin") ? set : CAPABILITY_ALL;
}

/* ── Routes ──────────────────────────────────────────────────────────────────────────────── */

/* The user or group of the path; else a refusal was sent. */
static bool subject_of_path(struct http_request *request, const struct webserver *webserver,
                            struct object **ret_subject)
{
    const char *path = http_request_route(request)->path;
    bool user = span_starts_with(span_of_str(path), SPAN_LIT("/api/users/"));
    const char *key = user ? "uid" : "gid";
    int64_t number;
    if (!request_number(request, key, &number)) {
        return false;
    }
    const struct object_principal *asker = &auth_user(request)->principal;
    bool own = user && (number == 0 || number == asker->uid);
    if (!asker->admin && !own) {
        http_reply_error(request, 403, "only admins see what others may do");
        return false;
    }
    number = own ? asker->uid : number;
    int rc = number < 1 ? STORE_ABSENT
                        : store_get_by_number(webserver->store, user ? OBJECT_USER : OBJECT_GROUP,
                                              (uint64_t)number, ret_subject);
    if (rc == STORE_ABSENT) {
        http_reply_error(request, 404, "there is no %s %lld", user ? "user" : "group",
                         (long long)number);
    } else if (rc < 0) {
        http_reply_fault(request, rc);
    }
    return rc == 0;
}

static void get_grants(struct http_request *request, void *context)
{
    struct object *subject;
    if (!subject_of_path(request, context, &subject)) {
        return;
    }
    json_t *names = object_body(subject, GRANTS);
    bool limited = json_is_array(names);
    http_reply_json(request, 200,
                    json_pack("{s:o, s:b}", GRANTS,
                              limited ? json_incref(names) : capability_names(CAPABILITY_ALL),
                              "Limited", limited));
    object_free(&subject);
}

/* `null` takes the limit away. */
static int set_grants(struct object *subject, const json_t *names)
{
    if (names == NULL || json_is_null(names)) {
        (void)json_object_del(subject->body, GRANTS);
        return 0;
    }
    size_t index;
    json_t *name;
    if (!json_is_array(names)) {
        return err_set(ERR_INVALID, GRANTS ": a list of names or null is expected");
    }
    json_array_foreach(names, index, name)
    {
        json_t *one = json_pack("[O]", name);
        uint64_t set = capability_set_of(one);
        json_decref(one);
        if (set == 0) {
            return err_set(ERR_INVALID, GRANTS "[%zu]: there is no such capability", index);
        }
    }
    json_object_set_new(subject->body, GRANTS, capability_names(capability_set_of(names)));
    return 0;
}

static void put_grants(struct http_request *request, void *context)
{
    struct object *subject;
    json_t *json;
    if (!subject_of_path(request, context, &subject)) {
        return;
    }
    if (request_object(request, &json)) {
        if (subject->body == NULL) {
            object_set_body(subject, json_object());
        }
        int rc = set_grants(subject, json_object_get(json, GRANTS));
        rc = rc < 0 ? rc : change_save(request, context, subject);
        change_reply(request, context, rc, NULL);
        json_decref(json);
    }
    object_free(&subject);
}

const struct http_route grant_routes[] = {
    {"GET", "/api/users/{uid}/capabilities", get_grants, 0, 0},
    {"PUT", "/api/users/{uid}/capabilities", put_grants, AUTH_ADMIN, 0},
    {"GET", "/api/groups/{gid}/capabilities", get_grants, AUTH_ADMIN, 0},
    {"PUT", "/api/groups/{gid}/capabilities", put_grants, AUTH_ADMIN, 0},
};
const size_t grant_route_count = ARRAY_COUNT(grant_routes);
