#include "webserver/account.h"

#include "base/mem.h"
#include "base/time.h"
#include "base/vec.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/auth.h"
#include "webserver/change.h"
#include "webserver/password.h"
#include "webserver/request.h"

/* ── The account object ──────────────────────────────────────────────────────────────────── */

static json_t *body_of(struct object *user)
{
    if (user->body == NULL) {
        object_set_body(user, json_object());
    }
    return user->body;
}

void account_set_password(struct object *user, const char *password)
{
    char hash[PASSWORD_HASH_BYTES];
    password_hash(password, hash);
    json_object_set_new(body_of(user), "Password", json_string(hash));
    if (strcmp(password, ACCOUNT_FIRST_PASSWORD) == 0) {
        json_object_set_new(user->body, "FirstPassword", json_true());
    } else {
        (void)json_object_del(user->body, "FirstPassword");
    }
}

void account_end_sessions(struct object *user, int64_t now_ns, const char *keep)
{
    json_object_set_new(body_of(user), "TokensAfter", json_integer(now_ns));
    json_object_set_new(body_of(user), "TokensKeep", json_string(keep == NULL ? "" : keep));
}

struct object *account_new_user(int32_t uid, const char *login, const char *password, bool admin)
{
    struct object *user = object_new(OBJECT_USER);
    user->id = object_id_of_number(OBJECT_USER, (uint64_t)uid);
    user->number = (uint64_t)uid;
    user->owner = uid;
    object_set_name(user, login);
    json_object_set_new(body_of(user), "Admin", json_boolean(admin));
    account_set_password(user, password);
    return user;
}

void account_groups(const struct object *user, struct object_gids *gids)
{
    request_gids(user->body, "Groups", gids);
}

int account_principal(const struct webserver *webserver, int32_t uid, struct object_gids *gids,
                      struct object_principal *ret_who)
{
    struct object *user = NULL;
    int rc = store_get_by_number(webserver->store, OBJECT_USER, (uint64_t)uid, &user);
    if (rc != 0) {
        return rc < 0 ? rc : err_set(ERR_DENIED, "the account is gone");
    }
    account_groups(user, gids);
    *ret_who = (struct object_principal){.uid = uid,
                                         .gids = gids->items,
                                         .gid_count = gids->count,
                                         .admin = object_body_bool(user, "Admin")};
    object_free(&user);
    return 0;
}

void account_set_groups(struct object *user, const struct object_gids *gids)
{
    json_t *list = json_array();
    for (size_t i = 0; i < gids->count; i++) {
        json_array_append_new(list, json_integer(gids->items[i]));
    }
    json_object_set_new(body_of(user), "Groups", list);
}

json_t *account_group_json(const struct object *group)
{
    return json_pack("{s:I, s:s, s:s, s:b}", "GID", (json_int_t)group->number, "Name", group->name,
                     "Desc", group->description, "Synced", !group->dirty);
}

static json_t *groups_json(const struct webserver *webserver, const struct object *user)
{
    json_t *list = json_array();
    struct object_gids gids = {0};
    account_groups(user, &gids);
    for (size_t i = 0; i < gids.count; i++) {
        struct object *group = NULL;
        if (store_get_by_number(webserver->store, OBJECT_GROUP, (uint64_t)gids.items[i], &group) ==
            0) {
            json_array_append_new(list, account_group_json(group));
            object_free(&group);
        }
    }
    mem_free(gids.items);
    return list;
}

json_t *account_json(const struct webserver *webserver, const struct object *user)
{
    json_t *mfa = json_pack("{s:{s:b}, s:{s:b, s:i, s:s}}", "TOTP", "Enabled", 0, "RecoveryCodes",
                            "Enabled", 0, "Remaining", 0, "Generated", "0001-01-01T00:00:00Z");
    json_t *json = json_pack(
        "{s:I, s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:b, s:b, s:b}", "UID",
        (json_int_t)user->number, "User", user->name, "Name", object_body_text(user, "Name"),
        "Email", object_body_text(user, "Email"), "Admin", object_body_bool(user, "Admin"),
        "Locked", object_body_bool(user, "Locked"), "TS", request_time_json(user->updated_ns),
        "Groups", groups_json(webserver, user), "MFA", mfa, "Synced", !user->dirty, "SSOUser", 0,
        "FirstPassword", object_body_bool(user, "FirstPassword"));
    int64_t default_gid = object_body_int(user, "DefaultGID");
    if (default_gid != 0) {
        json_object_set_new(json, "DefaultGID", json_integer(default_gid));
    }
    return json;
}

bool account_get(struct http_request *request, const struct webserver *webserver, int64_t uid,
                 struct object **ret_user)
{
    int rc = uid < 1 ? STORE_ABSENT
                     : store_get_by_number(webserver->store, OBJECT_USER, (uint64_t)uid, ret_user);
    if (rc == STORE_ABSENT) {
        http_reply_error(request, 404, "there is no user %lld", (long long)uid);
    } else if (rc < 0) {
        http_reply_fault(request, rc);
    }
    return rc == 0;
}

/* ── Routes ──────────────────────────────────────────────────────────────────────────────── */

/* The user named by the path, if the asker may do `verb` with it; uid 0 is the asker. */
static bool user_of_path(struct http_request *request, const struct webserver *webserver,
                         enum object_verb verb, struct object **ret_user)
{
    int64_t uid;
    if (!request_number(request, "uid", &uid)) {
        return false;
    }
    const struct object_principal *asker = &auth_user(request)->principal;
    if (!account_get(request, webserver, uid == 0 ? asker->uid : uid, ret_user)) {
        return false;
    }
    if (!object_allows(*ret_user, asker, verb)) {
        http_reply_error(request, 403, "you may not %s user %lld", object_verb_name(verb),
                         (long long)uid);
        object_free(ret_user);
        return false;
    }
    return true;
}

static void whoami(struct http_request *request, void *context)
{
    struct object *user;
    if (account_get(request, context, auth_user(request)->principal.uid, &user)) {
        http_reply_json(request, 200, account_json(context, user));
        object_free(&user);
    }
}

static void list_users(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct object_list users = {0};
    int rc = store_list(webserver->store, &(struct store_query){.kind = OBJECT_USER}, &users);
    if (rc < 0) {
        http_reply_fault(request, rc);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < users.count; i++) {
        json_array_append_new(list, account_json(webserver, users.items[i]));
    }
    object_list_deinit(&users);
    http_reply_json(request, 200, list);
}

static void get_user(struct http_request *request, void *context)
{
    struct object *user;
    if (user_of_path(request, context, OBJECT_READ, &user)) {
        http_reply_json(request, 200, account_json(context, user));
        object_free(&user);
    }
}

static void copy_text_members(struct object *user, const json_t *json)
{
    static const char *const names[] = {"Name", "Email"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const char *text = request_text(json, names[i]);
        if (text[0] != 0) {
            json_object_set_new(body_of(user), names[i], json_string(text));
        }
    }
}

/* Two webservers that pick the same uid make the same object: one is refused and picks the next. */
static int create_user_with_next_uid(struct http_request *request, struct webserver *webserver,
                                     const json_t *json, int32_t *ret_uid)
{
    int rc = ERR_EXISTS;
    uint64_t highest;
    for (int tries = 0; tries < 8 && rc == ERR_EXISTS; tries++) {
        rc = store_number_max(webserver->store, OBJECT_USER, &highest);
        if (rc < 0) {
            return rc;
        }
        struct object *taken = NULL;
        if (store_get_by_name(webserver->store, OBJECT_USER, -1, request_text(json, "User"),
                              &taken) == 0) {
            object_free(&taken);
            return err_set(ERR_EXISTS, "there is a user named %s already",
                           request_text(json, "User"));
        }
        int32_t uid = (int32_t)highest + 1 + tries;
        struct object *user =
            account_new_user(uid, request_text(json, "User"), request_text(json, "Pass"),
                             request_bool(json, "Admin"));
        copy_text_members(user, json);
        rc = change_save(request, webserver, user);
        object_free(&user);
        *ret_uid = uid;
    }
    return rc;
}

/* One that nobody could log in with is refused, and the request answered. */
static bool is_acceptable(struct http_request *request, const char *password)
{
    bool right = password[0] != 0 && strlen(password) <= PASSWORD_BYTES_MAX;
    if (!right) {
        http_reply_error(request, 400, "a password has 1 to %d bytes", PASSWORD_BYTES_MAX);
    }
    return right;
}

static void create_user(struct http_request *request, void *context)
{
    json_t *json;
    if (!request_object(request, &json)) {
        return;
    }
    int32_t uid = 0;
    if (request_text(json, "User")[0] == 0 || request_text(json, "Pass")[0] == 0) {
        http_reply_error(request, 400, "User and Pass are needed");
    } else if (is_acceptable(request, request_text(json, "Pass"))) {
        int rc = create_user_with_next_uid(request, context, json, &uid);
        change_reply(request, context, rc, json_integer(uid));
    }
    json_decref(json);
}

/* Changes names only: the flags that clients send along carry no intent. */
static void update_user(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    json_t *json;
    struct object *user;
    if (!user_of_path(request, context, OBJECT_UPDATE, &user)) {
        return;
    }
    if (request_object(request, &json)) {
        const char *login = request_text(json, "User");
        copy_text_members(user, json);
        if (login[0] != 0 && strcmp(login, user->name) != 0 &&
            !auth_user(request)->principal.admin) {
            http_reply_error(request, 403, "only admins change login names");
        } else {
            object_set_name(user, login[0] == 0 ? user->name : login);
            change_reply(request, webserver, change_save(request, webserver, user), NULL);
        }
        json_decref(json);
    }
    object_free(&user);
}

static void delete_user(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct object *user;
    if (!user_of_path(request, context, OBJECT_DELETE, &user)) {
        return;
    }
    change_reply(request, webserver, change_delete(request, webserver, user), NULL);
    object_free(&user);
}

static void set_password(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    const struct auth_user *asker = auth_user(request);
    json_t *json;
    struct object *user;
    if (!user_of_path(request, context, OBJECT_UPDATE, &user)) {
        return;
    }
    if (request_object(request, &json)) {
        bool own = user->number == (uint64_t)asker->principal.uid;
        const char *password = request_text(json, "NewPass");
        if (own &&
            !password_is(object_body_text(user, "Password"), request_text(json, "OrigPass"))) {
            http_reply_error(request, 403, "the present password is not right");
        } else if (is_acceptable(request, password)) {
            account_set_password(user, password);
            account_end_sessions(user, io_now_ns(webserver->io), own ? asker->session : NULL);
            change_reply(request, webserver, change_save(request, webserver, user), NULL);
        }
        json_decref(json);
    }
    object_free(&user);
}

/* Sets a flag of the body; locking also ends the user's sessions. */
static int set_flag(struct http_request *request, struct webserver *webserver, struct object *user,
                    const char *flag, bool value)
{
    json_object_set_new(body_of(user), flag, json_boolean(value));
    if (value && strcmp(flag, "Locked") == 0) {
        account_end_sessions(user, io_now_ns(webserver->io), NULL);
    }
    return change_save(request, webserver, user);
}

static void change_flag(struct http_request *request, void *context, const char *flag)
{
    struct object *user;
    if (!user_of_path(request, context, OBJECT_ADMINISTER, &user)) {
        return;
    }
    bool value = strcmp(http_request_method(request), "PUT") == 0;
    int rc = set_flag(request, context, user, flag, value);
    change_reply(request, context, rc,
                 json_pack("{s:I, s:b}", "UID", (json_int_t)user->number, "Admin",
                           object_body_bool(user, "Admin")));
    object_free(&user);
}

static void change_lock(struct http_request *request, void *context)
{
    change_flag(request, context, "Locked");
}

static void change_admin(struct http_request *request, void *context)
{
    change_flag(request, context, "Admin");
}

static void get_admin(struct http_request *request, void *context)
{
    struct object *user;
    if (user_of_path(request, context, OBJECT_READ, &user)) {
        http_reply_json(request, 200,
                        json_pack("{s:I, s:b}", "UID", (json_int_t)user->number, "Admin",
                                  object_body_bool(user, "Admin")));
        object_free(&user);
    }
}

/* ── The default search group ────────────────────────────────────────────────────────────── */

static void get_search_group(struct http_request *request, void *context)
{
    struct object *user;
    if (user_of_path(request, context, OBJECT_READ, &user)) {
        http_reply_json(request, 200, json_integer(object_body_int(user, "DefaultGID")));
        object_free(&user);
    }
}

static void change_search_group(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct object *user;
    json_t *json;
    if (!user_of_path(request, context, OBJECT_UPDATE, &user)) {
        return;
    }
    if (request_object(request, &json)) {
        struct object_gids gids = {0};
        int64_t gid = request_int(json, "GID");
        account_groups(user, &gids);
        if (gid != 0 && !object_gids_have(&gids, (int32_t)gid)) {
            http_reply_error(request, 403, "the user is not in group %lld", (long long)gid);
        } else {
            json_object_set_new(body_of(user), "DefaultGID", json_integer(gid));
            change_reply(request, webserver, change_save(request, webserver, user), NULL);
        }
        mem_free(gids.items);
        json_decref(json);
    }
    object_free(&user);
}

const struct http_route account_routes[] = {
    {"GET", "/api/info/whoami", whoami, 0, 0},
    {"GET", "/api/users", list_users, 0, 0},
    {"POST", "/api/users", create_user, AUTH_ADMIN, 0},
    {"GET", "/api/users/{uid}", get_user, 0, 0},
    {"PUT", "/api/users/{uid}", update_user, 0, 0},
    {"DELETE", "/api/users/{uid}", delete_user, AUTH_ADMIN, 0},
    {"PUT", "/api/users/{uid}/pwd", set_password, 0, 0},
    {"PUT", "/api/users/{uid}/lock", change_lock, AUTH_ADMIN, 0},
    {"DELETE", "/api/users/{uid}/lock", change_lock, AUTH_ADMIN, 0},
    {"GET", "/api/users/{uid}/admin", get_admin, AUTH_ADMIN, 0},
    {"PUT", "/api/users/{uid}/admin", change_admin, AUTH_ADMIN, 0},
    {"DELETE", "/api/users/{uid}/admin", change_admin, AUTH_ADMIN, 0},
    {"GET", "/api/users/{uid}/searchgroup", get_search_group, 0, 0},
    {"PUT", "/api/users/{uid}/searchgroup", change_search_group, 0, 0},
    {"DELETE", "/api/users/{uid}/searchgroup", change_search_group, 0, 0},
};
const size_t account_route_count = ARRAY_COUNT(account_routes);
