#include "webserver/group.h"

#include "base/mem.h"
#include "base/vec.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/account.h"
#include "webserver/auth.h"
#include "webserver/change.h"
#include "webserver/request.h"

static bool group_of_path(struct http_request *request, const struct webserver *webserver,
                          enum object_verb verb, struct object **ret_group)
{
    int64_t gid;
    if (!request_number(request, "gid", &gid)) {
        return false;
    }
    int rc = gid < 1
                 ? STORE_ABSENT
                 : store_get_by_number(webserver->store, OBJECT_GROUP, (uint64_t)gid, ret_group);
    if (rc == STORE_ABSENT) {
        http_reply_error(request, 404, "there is no group %lld", (long long)gid);
    } else if (rc < 0) {
        http_reply_fault(request, rc);
    } else if (!object_allows(*ret_group, &auth_user(request)->principal, verb)) {
        http_reply_error(request, 403, "you may not %s group %lld", object_verb_name(verb),
                         (long long)gid);
        object_free(ret_group);
        rc = ERR_DENIED;
    }
    return rc == 0;
}

static void list_groups(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct object_list groups = {0};
    int rc = store_list(webserver->store, &(struct store_query){.kind = OBJECT_GROUP}, &groups);
    if (rc < 0) {
        http_reply_fault(request, rc);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < groups.count; i++) {
        json_array_append_new(list, account_group_json(groups.items[i]));
    }
    object_list_deinit(&groups);
    http_reply_json(request, 200, list);
}

static void get_group(struct http_request *request, void *context)
{
    struct object *group;
    if (group_of_path(request, context, OBJECT_READ, &group)) {
        http_reply_json(request, 200, account_group_json(group));
        object_free(&group);
    }
}

/* As with users: the object's id follows from the gid, so a race has one winner. */
static int create_with_next_gid(struct http_request *request, struct webserver *webserver,
                                const json_t *json, int32_t *ret_gid)
{
    int rc = ERR_EXISTS;
    for (int tries = 0; tries < 8 && rc == ERR_EXISTS; tries++) {
        uint64_t highest;
        rc = store_number_max(webserver->store, OBJECT_GROUP, &highest);
        if (rc < 0) {
            return rc;
        }
        struct object *group = object_new(OBJECT_GROUP);
        *ret_gid = (int32_t)highest + 1 + tries;
        group->number = (uint64_t)*ret_gid;
        group->id = object_id_of_number(OBJECT_GROUP, group->number);
        object_set_name(group, request_text(json, "Name"));
        object_set_description(group, request_text(json, "Desc"));
        rc = change_save(request, webserver, group);
        object_free(&group);
    }
    return rc;
}

static void create_group(struct http_request *request, void *context)
{
    json_t *json;
    if (!request_object(request, &json)) {
        return;
    }
    struct webserver *webserver = context;
    struct object *taken = NULL;
    if (request_text(json, "Name")[0] == 0) {
        http_reply_error(request, 400, "Name is needed");
    } else if (store_get_by_name(webserver->store, OBJECT_GROUP, -1, request_text(json, "Name"),
                                 &taken) == 0) {
        http_reply_error(request, 409, "there is a group of that name already");
        object_free(&taken);
    } else {
        int32_t gid = 0;
        int rc = create_with_next_gid(request, webserver, json, &gid);
        change_reply(request, webserver, rc, json_integer(gid));
    }
    json_decref(json);
}

static void update_group(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct object *group;
    json_t *json;
    if (!group_of_path(request, context, OBJECT_UPDATE, &group)) {
        return;
    }
    if (request_object(request, &json)) {
        const char *name = request_text(json, "Name");
        const char *description = request_text(json, "Desc");
        object_set_name(group, name[0] == 0 ? group->name : name);
        object_set_description(group, description[0] == 0 ? group->description : description);
        change_reply(request, webserver, change_save(request, webserver, group), NULL);
        json_decref(json);
    }
    object_free(&group);
}

static bool is_member(void *context, const struct object *user)
{
    struct object_gids gids = {0};
    account_groups(user, &gids);
    bool member = object_gids_have(&gids, *(const int32_t *)context);
    mem_free(gids.items);
    return member;
}

static int members_of(struct webserver *webserver, int32_t gid, struct object_list *users)
{
    return store_list(
        webserver->store,
        &(struct store_query){.kind = OBJECT_USER, .filter = is_member, .context = &gid}, users);
}

static int leave_group(struct http_request *request, struct webserver *webserver,
                       struct object *user, int32_t gid)
{
    struct object_gids before = {0};
    VEC(int32_t) after = {0};
    account_groups(user, &before);
    for (size_t i = 0; i < before.count; i++) {
        if (before.items[i] != gid) {
            vec_push(&after, before.items[i]);
        }
    }
    account_set_groups(user, &(struct object_gids){after.items, after.count});
    if (object_body_int(user, "DefaultGID") == gid) {
        json_object_set_new(user->body, "DefaultGID", json_integer(0));
    }
    vec_deinit(&after);
    mem_free(before.items);
    return change_save(request, webserver, user);
}

/* Members leave first, so that a gid without a group never stays with a user. */
static void delete_group(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct object *group;
    struct object_list users = {0};
    if (!group_of_path(request, context, OBJECT_DELETE, &group)) {
        return;
    }
    int rc = members_of(webserver, (int32_t)group->number, &users);
    for (size_t i = 0; i < users.count && rc >= 0; i++) {
        rc = leave_group(request, webserver, users.items[i], (int32_t)group->number);
    }
    if (rc >= 0) {
        rc = change_delete(request, webserver, group);
    }
    change_reply(request, webserver, rc, NULL);
    object_list_deinit(&users);
    object_free(&group);
}

static void list_members(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct object *group;
    if (!group_of_path(request, context, OBJECT_READ, &group)) {
        return;
    }
    struct object_list users = {0};
    int rc = members_of(webserver, (int32_t)group->number, &users);
    json_t *list = json_array();
    for (size_t i = 0; i < users.count; i++) {
        json_array_append_new(list, account_json(webserver, users.items[i]));
    }
    object_list_deinit(&users);
    object_free(&group);
    if (rc < 0) {
        json_decref(list);
        http_reply_fault(request, rc);
        return;
    }
    http_reply_json(request, 200, list);
}

static void groups_of_user(struct http_request *request, void *context)
{
    int64_t uid;
    struct object *user;
    if (!request_number(request, "uid", &uid) || !account_get(request, context, uid, &user)) {
        return;
    }
    json_t *details = account_json(context, user);
    http_reply_json(request, 200, json_incref(json_object_get(details, "Groups")));
    json_decref(details);
    object_free(&user);
}

static void join_groups(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    int64_t uid;
    struct object *user;
    json_t *json;
    if (!request_number(request, "uid", &uid) || !account_get(request, context, uid, &user)) {
        return;
    }
    if (request_object(request, &json)) {
        struct object_gids gids = {0};
        struct object_gids wanted = {0};
        VEC(int32_t) after = {0};
        account_groups(user, &gids);
        request_gids(json, "GIDs", &wanted);
        for (size_t i = 0; i < gids.count; i++) {
            vec_push(&after, gids.items[i]);
        }
        int rc = 0;
        for (size_t i = 0; i < wanted.count && rc == 0; i++) {
            struct object *group = NULL;
            rc = store_get_by_number(webserver->store, OBJECT_GROUP, (uint64_t)wanted.items[i],
                                     &group);
            if (rc == STORE_ABSENT) {
                rc = err_set(ERR_NOT_FOUND, "there is no group %d", wanted.items[i]);
            } else if (rc == 0 && !object_gids_have(&gids, wanted.items[i])) {
                vec_push(&after, wanted.items[i]);
            }
            object_free(&group);
        }
        if (rc == 0) {
            account_set_groups(user, &(struct object_gids){after.items, after.count});
            rc = change_save(request, webserver, user);
        }
        change_reply(request, webserver, rc, NULL);
        vec_deinit(&after);
        mem_free(gids.items);
        mem_free(wanted.items);
        json_decref(json);
    }
    object_free(&user);
}

static void leave_one_group(struct http_request *request, void *context)
{
    int64_t uid;
    int64_t gid;
    struct object *user;
    if (request_number(request, "uid", &uid) && request_number(request, "gid", &gid) &&
        account_get(request, context, uid, &user)) {
        change_reply(request, context, leave_group(request, context, user, (int32_t)gid), NULL);
        object_free(&user);
    }
}

const struct http_route group_routes[] = {
    {"GET", "/api/groups", list_groups, 0, 0},
    {"POST", "/api/groups", create_group, AUTH_ADMIN, 0},
    {"GET", "/api/groups/{gid}", get_group, 0, 0},
    {"PUT", "/api/groups/{gid}", update_group, AUTH_ADMIN, 0},
    {"DELETE", "/api/groups/{gid}", delete_group, AUTH_ADMIN, 0},
    {"GET", "/api/groups/{gid}/members", list_members, 0, 0},
    {"GET", "/api/users/{uid}/group", groups_of_user, AUTH_ADMIN, 0},
    {"POST", "/api/users/{uid}/group", join_groups, AUTH_ADMIN, 0},
    {"DELETE", "/api/users/{uid}/group/{gid}", leave_one_group, AUTH_ADMIN, 0},
};
const size_t group_route_count = ARRAY_COUNT(group_routes);
