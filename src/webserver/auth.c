#include "webserver/auth.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "service/log.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/account.h"
#include "webserver/apitoken.h"
#include "webserver/capability.h"
#include "webserver/change.h"
#include "webserver/password.h"
#include "webserver/request.h"
#include "webserver/throttle.h"
#include "webserver/token.h"

#define KEYS_MAX 8 /* the present signing key and those it replaced */
#define SIGNING_KEY_NAME "current"
#define TOKEN_COOKIE "token"

struct auth {
    struct webserver *webserver;
    struct throttle *throttle;
    int64_t session_ns;
    atomic_bool keys_stale;
    pthread_mutex_t lock; /* over the keys */
    struct token_key keys[KEYS_MAX];
    size_t key_count;
};

int auth_new(struct webserver *webserver, struct auth **ret_auth)
{
    struct auth *auth = MEM_NEW(struct auth);
    auth->webserver = webserver;
    auth->session_ns =
        conf_int(webserver->conf, CONF_GLOBAL, "Session-Timeout-Minutes") * TIME_MINUTE_NS;
    auth->throttle = throttle_new(
        (unsigned)conf_int(webserver->conf, CONF_GLOBAL, "Login-Fail-Lock-Count"),
        conf_int(webserver->conf, CONF_GLOBAL, "Login-Fail-Lock-Duration") * TIME_MINUTE_NS);
    atomic_init(&auth->keys_stale, true);
    pthread_mutex_init(&auth->lock, NULL);
    *ret_auth = auth;
    return 0;
}

void auth_free(struct auth **auth)
{
    if (*auth != NULL) {
        throttle_free(&(*auth)->throttle);
        pthread_mutex_destroy(&(*auth)->lock);
        mem_free(*auth);
        *auth = NULL;
    }
}

void auth_keys_changed(struct auth *auth)
{
    atomic_store(&auth->keys_stale, true);
}

/* ── Signing keys ────────────────────────────────────────────────────────────────────────── */

static int read_key(void *context, const struct object *object)
{
    struct auth *auth = context;
    struct buf secret = {0};
    if (auth->key_count < KEYS_MAX &&
        text_unhex(&secret, span_of_str(object_body_text(object, "Key"))) &&
        secret.bytes == TOKEN_KEY_BYTES) {
        struct token_key *key = &auth->keys[auth->key_count++];
        (void)uuid_text(object->id, key->id);
        memcpy(key->secret, secret.data, TOKEN_KEY_BYTES);
    }
    buf_deinit(&secret);
    return 0;
}

/* Newest first, so that keys[0] is the one to sign with. */
static int refresh_keys(struct auth *auth)
{
    if (!atomic_exchange(&auth->keys_stale, false)) {
        return 0;
    }
    auth->key_count = 0;
    struct store_query query = {.kind = OBJECT_SIGNING_KEY, .order = STORE_NEWEST_FIRST};
    int rc = store_walk(auth->webserver->store, &query, read_key, auth);
    if (rc < 0 || auth->key_count == 0) {
        atomic_store(&auth->keys_stale, true);
    }
    return rc;
}

static int verify_token(struct auth *auth, struct span token, struct token_claims *ret_claims)
{
    pthread_mutex_lock(&auth->lock);
    int rc = refresh_keys(auth);
    if (rc == 0) {
        rc = token_verify(token, auth->keys, auth->key_count, io_now_ns(auth->webserver->io),
                          ret_claims);
    }
    pthread_mutex_unlock(&auth->lock);
    return rc;
}

static int make_token(struct auth *auth, int32_t uid, struct token_claims *ret_claims,
                      struct buf *token)
{
    uint8_t random[16];
    int64_t now_ns = io_now_ns(auth->webserver->io);
    io_random(auth->webserver->io, random, sizeof(random));
    *ret_claims = (struct token_claims){
        .uid = uid, .issued_ns = now_ns, .expires_ns = now_ns + auth->session_ns};
    (void)uuid_text(uuid_of_random(random), ret_claims->session);
    pthread_mutex_lock(&auth->lock);
    int rc = refresh_keys(auth);
    if (rc == 0 && auth->key_count == 0) {
        rc = err_set(ERR_UNAVAILABLE, "there is no signing key yet");
    }
    if (rc == 0) {
        token_sign(ret_claims, &auth->keys[0], token);
    }
    pthread_mutex_unlock(&auth->lock);
    return rc;
}

/* ── What a cluster begins with ──────────────────────────────────────────────────────────── */

static int mint(struct webserver *webserver, struct object *object, const char *what)
{
    int rc = sync_write(webserver->sync, object, SYNC_BY_KIND);
    if (rc >= 0) {
        log_info("minted", "the cluster had none", "what", what, NULL);
    }
    /* Another webserver was first: its version is on its way. */
    return rc == ERR_EXISTS || rc == ERR_CONFLICT ? 0 : rc;
}

static int mint_signing_key(struct webserver *webserver)
{
    uint8_t random[TOKEN_KEY_BYTES];
    struct buf hex = {0};
    io_random(webserver->io, random, sizeof(random));
    text_hex(&hex, span_of(random, sizeof(random)));
    struct object *key = object_new(OBJECT_SIGNING_KEY);
    key->id = object_id_of_name(OBJECT_SIGNING_KEY, 0, SIGNING_KEY_NAME);
    object_set_name(key, SIGNING_KEY_NAME);
    object_set_body(key, json_pack("{s:s}", "Key", buf_str(&hex)));
    int rc = mint(webserver, key, "signing key");
    object_free(&key);
    buf_deinit(&hex);
    return rc;
}

static int mint_first_account(struct webserver *webserver)
{
    struct object *user =
        account_new_user(OBJECT_FIRST_UID, ACCOUNT_FIRST_NAME, ACCOUNT_FIRST_PASSWORD, true);
    int rc = mint(webserver, user, "first account");
    object_free(&user);
    return rc;
}

const char *auth_prepare(struct auth *auth)
{
    struct webserver *webserver = auth->webserver;
    uint64_t keys = 0;
    uint64_t users = 0;
    if (store_count(webserver->store, OBJECT_SIGNING_KEY, &keys) < 0 ||
        store_count(webserver->store, OBJECT_USER, &users) < 0) {
        return "the store cannot be read";
    }
    if (keys > 0 && users > 0) {
        return NULL;
    }
    struct sync_status status;
    sync_status(webserver->sync, &status);
    if (status.state != SYNC_STATE_ALONE && status.state != SYNC_STATE_LIVE) {
        return "accounts have not arrived from the datastore yet";
    }
    int rc = keys == 0 ? mint_signing_key(webserver) : 0;
    if (rc >= 0 && users == 0) {
        rc = mint_first_account(webserver);
    }
    if (rc < 0) {
        log_fault("mint-failed", "the first account could not be made, trying again", rc, NULL);
    }
    return "the first account is being made";
}

/* ── Who is asking ───────────────────────────────────────────────────────────────────────── */

/* Cookies count only for reads: a page of others cannot make the browser write with them. */
static struct span credential_of(struct http_request *request)
{
    const char *header = http_request_header(request, "Authorization");
    struct span bearer = SPAN_LIT("Bearer ");
    if (header != NULL && span_starts_with(span_of_str(header), bearer)) {
        return span_trim(span_from(span_of_str(header), bearer.bytes));
    }
    const char *protocol = http_request_header(request, "Sec-WebSocket-Protocol");
    if (protocol != NULL) {
        return span_trim(span_of_str(protocol));
    }
    const char *method = http_request_method(request);
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) {
        return span_of_str(http_request_cookie(request, TOKEN_COOKIE));
    }
    return SPAN_NONE;
}

static int check_account(const struct object *user, const struct token_claims *claims)
{
    if (object_body_bool(user, "Locked")) {
        return err_set(ERR_AUTH, "the account is locked");
    }
    if (claims->issued_ns <= object_body_int(user, "TokensAfter") &&
        strcmp(claims->session, object_body_text(user, "TokensKeep")) != 0) {
        return err_set(ERR_AUTH, "the session was ended");
    }
    return 0;
}

static int check_revocation(struct store *store, const struct token_claims *claims)
{
    struct uuid session;
    struct object *revocation = NULL;
    if (!uuid_parse(span_of_str(claims->session), &session)) {
        return err_set(ERR_AUTH, "token has no session");
    }
    int rc = store_get(store, &session, &revocation);
    if (rc == STORE_ABSENT) {
        return 0;
    }
    if (rc == 0) {
        object_free(&revocation);
        return err_set(ERR_AUTH, "the session was ended");
    }
    return rc;
}

static struct auth_user *user_in_arena(struct http_request *request, const struct object *user,
                                       const char *session, uint64_t capabilities)
{
    struct arena *arena = http_request_arena(request);
    struct auth_user *found = ARENA_NEW(arena, struct auth_user);
    const char *admin_mode = http_request_query(request, "admin");
    struct object_gids gids = {0};
    account_groups(user, &gids);
    int32_t *items = arena_alloc_array(arena, gids.count, sizeof(*items));
    if (gids.count > 0) {
        memcpy(items, gids.items, gids.count * sizeof(*items));
    }
    bool by_token = capabilities != CAPABILITY_ALL;
    found->principal = (struct object_principal){
        .uid = (int32_t)user->number,
        .gids = items,
        .gid_count = gids.count,
        .admin = object_body_bool(user, "Admin") && !by_token,
        .admin_mode = admin_mode != NULL && strcmp(admin_mode, "true") == 0,
    };
    found->name = arena_strdup(arena, user->name);
    found->default_gid = (int32_t)object_body_int(user, "DefaultGID");
    found->session = arena_strdup(arena, session);
    found->capabilities = capabilities;
    mem_free(gids.items);
    return found;
}

static int get_account(struct auth *auth, int32_t uid, struct object **ret_user)
{
    int rc = store_get_by_number(auth->webserver->store, OBJECT_USER, (uint64_t)uid, ret_user);
    return rc == STORE_ABSENT ? err_set(ERR_AUTH, "the account is gone") : rc;
}

static int identify_token(struct http_request *request, struct auth *auth, const char *value,
                          struct auth_user **ret_user)
{
    int32_t uid;
    uint64_t capabilities;
    struct object *user = NULL;
    int rc = apitoken_check(auth->webserver, span_of_str(value), &uid, &capabilities);
    if (rc == 0) {
        rc = get_account(auth, uid, &user);
    }
    if (rc == 0 && object_body_bool(user, "Locked")) {
        rc = err_set(ERR_AUTH, "the account is locked");
    }
    if (rc == 0) {
        *ret_user = user_in_arena(request, user, "", capabilities);
    }
    object_free(&user);
    return rc;
}

static int identify_session(struct http_request *request, struct auth *auth, struct span token,
                            struct auth_user **ret_user)
{
    struct token_claims claims;
    struct object *user = NULL;
    int rc = verify_token(auth, token, &claims);
    if (rc == 0) {
        rc = check_revocation(auth->webserver->store, &claims);
    }
    if (rc == 0) {
        rc = get_account(auth, claims.uid, &user);
    }
    if (rc == 0) {
        rc = check_account(user, &claims);
    }
    if (rc == 0) {
        *ret_user = user_in_arena(request, user, claims.session, CAPABILITY_ALL);
    }
    object_free(&user);
    return rc;
}

static int identify(struct http_request *request, struct auth *auth, struct auth_user **ret_user)
{
    struct span session = credential_of(request);
    const char *token = http_request_header(request, "Gravwell-Token");
    if (session.bytes > 0) {
        return identify_session(request, auth, session, ret_user);
    }
    if (token != NULL) {
        return identify_token(request, auth, token, ret_user);
    }
    return err_set(ERR_AUTH, "log in first");
}

/* What the user may not do at all, whatever the handler would say. True: a 403 was sent. */
static bool refuse_route(struct http_request *request, const struct auth_user *user, unsigned flags)
{
    int needed = capability_needed(http_request_method(request), http_request_path(request));
    if (user->capabilities != CAPABILITY_ALL && !capability_has(user->capabilities, needed)) {
        http_reply_json(request, 403,
                        json_pack("{s:s, s:s}", "Cap", capability_name(needed), "Error",
                                  "the API token does not have this capability"));
        return true;
    }
    if ((flags & AUTH_ADMIN) != 0 && !user->principal.admin) {
        http_reply_error(request, 403, "only admins may do this");
        return true;
    }
    return false;
}

const struct auth_user *auth_user(struct http_request *request)
{
    return http_request_user(request);
}

bool auth_before(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    const struct http_route *route = http_request_route(request);
    bool api = span_starts_with(span_of_str(route->path), SPAN_LIT("/api/"));
    if (!api || (route->flags & HTTP_CONTROL) != 0) {
        return false;
    }
    request_await_revision(request, webserver);
    const char *method = http_request_method(request);
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) {
        request_tell_revision(request, webserver);
    }
    struct auth_user *user = NULL;
    int rc = identify(request, webserver->auth, &user);
    http_request_set_user(request, user);
    if ((route->flags & AUTH_PUBLIC) != 0) {
        return false;
    }
    if (rc == ERR_AUTH) {
        http_reply_error(request, 401, "%s", err_text());
        return true;
    }
    if (rc < 0) {
        http_reply_fault(request, rc);
        return true;
    }
    return refuse_route(request, user, route->flags);
}

/* ── Login and logout ────────────────────────────────────────────────────────────────────── */

static void reply_login(struct http_request *request, struct webserver *webserver, int status,
                        const char *reason, const char *token, bool admin)
{
    json_t *answer = json_pack("{s:b, s:b, s:b}", "LoginStatus", token != NULL, "MFARequired", 0,
                               "MFASetupRequired", 0);
    if (reason != NULL) {
        json_object_set_new(answer, "Reason", json_string(reason));
    }
    if (token != NULL) {
        const char *secure = http_request_is_tls(request) ? "; Secure" : "";
        json_object_set_new(answer, "JWT", json_string(token));
        json_object_set_new(answer, "Admin", json_boolean(admin));
        http_reply_header(request, "Set-Cookie",
                          arena_printf(http_request_arena(request),
                                       "%s=%s; Path=/; HttpOnly; SameSite=Strict%s", TOKEN_COOKIE,
                                       token, secure));
        request_tell_revision(request, webserver);
    }
    http_reply_json(request, status, answer);
}

static void reply_token(struct http_request *request, struct webserver *webserver,
                        const struct object *user, const char *event)
{
    struct token_claims claims;
    struct buf token = {0};
    int rc = make_token(webserver->auth, (int32_t)user->number, &claims, &token);
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        log_info(event, "a session began", "user", user->name, "uid", LOG_INT(user->number), "host",
                 http_request_peer(request), "sessionid", claims.session, "webserver",
                 webserver->external_addr, NULL);
        reply_login(request, webserver, 200, NULL, buf_str(&token),
                    object_body_bool(user, "Admin"));
    }
    buf_deinit(&token);
}

/* User and Pass from a form or a JSON object; both live in the request's arena. */
static bool read_login(struct http_request *request, const char **ret_user, const char **ret_pass)
{
    struct arena *arena = http_request_arena(request);
    const char *type = http_request_header(request, "Content-Type");
    *ret_user = *ret_pass = "";
    if (type != NULL && span_starts_with(span_of_str(type), SPAN_LIT("application/json"))) {
        json_t *json;
        if (!request_object(request, &json)) {
            return false;
        }
        *ret_user = arena_strdup(arena, request_text(json, "User"));
        *ret_pass = arena_strdup(arena, request_text(json, "Pass"));
        json_decref(json);
        return true;
    }
    struct span rest = http_request_body(request);
    for (struct span pair; span_split(&rest, '&', &pair);) {
        struct span value = pair;
        struct span name;
        struct buf text = {0};
        if (span_split(&value, '=', &name) && text_url_decode(&text, value, true)) {
            const char **target = span_equal_nocase(name, SPAN_LIT("User"))   ? ret_user
                                  : span_equal_nocase(name, SPAN_LIT("Pass")) ? ret_pass
                                                                              : NULL;
            if (target != NULL) {
                *target = arena_span_str(arena, buf_span(&text));
            }
        }
        buf_deinit(&text);
    }
    return true;
}

static void refuse_login(struct http_request *request, struct webserver *webserver,
                         const char *name, int status, const char *reason)
{
    log_warn("login-refused", reason, "user", name, "host", http_request_peer(request), "webserver",
             webserver->external_addr, NULL);
    reply_login(request, webserver, status, reason, NULL, false);
}

static void login(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct throttle *throttle = webserver->auth->throttle;
    const char *name;
    const char *password;
    if (!read_login(request, &name, &password)) {
        return;
    }
    int64_t now_ns = io_monotonic_ns(webserver->io);
    struct arena *arena = http_request_arena(request);
    struct span key = span_of_str(arena_printf(arena, "%s %s", http_request_peer(request), name));
    int64_t wait_ns = throttle_wait_ns(throttle, key, now_ns);
    if (wait_ns > 0) {
        int64_t seconds = (wait_ns + TIME_S_NS - 1) / TIME_S_NS;
        http_reply_header(request, "Retry-After", arena_printf(arena, "%" PRId64, seconds));
        refuse_login(request, webserver, name, 429, "too many failed logins, wait a little");
        return;
    }
    struct object *user = NULL;
    int rc = store_get_by_name(webserver->store, OBJECT_USER, -1, name, &user);
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else if (!password_is(user == NULL ? NULL : object_body_text(user, "Password"), password)) {
        throttle_failed(throttle, key, now_ns);
        refuse_login(request, webserver, name, 422, "user name or password is not right");
    } else if (object_body_bool(user, "Locked")) {
        refuse_login(request, webserver, name, 423, "the account is locked");
    } else {
        throttle_succeeded(throttle, key);
        reply_token(request, webserver, user, "login");
    }
    object_free(&user);
}

/* A revocation is kept until the session's tokens have expired by themselves. */
static int revoke(struct webserver *webserver, const char *session)
{
    struct object *revocation = object_new(OBJECT_REVOCATION);
    int64_t until_ns = io_now_ns(webserver->io) + webserver->auth->session_ns;
    CHECK(uuid_parse(span_of_str(session), &revocation->id));
    object_set_name(revocation, session);
    object_set_body(revocation, json_pack("{s:I}", "Until", (json_int_t)until_ns));
    int rc = sync_write(webserver->sync, revocation, SYNC_BY_KIND);
    object_free(&revocation);
    return rc == ERR_EXISTS ? 0 : rc;
}

static bool is_over(void *context, const struct object *revocation)
{
    return object_body_int(revocation, "Until") < *(const int64_t *)context;
}

static void forget_old_revocations(struct webserver *webserver)
{
    int64_t now_ns = io_now_ns(webserver->io);
    struct object_list old = {0};
    struct store_query query = {
        .kind = OBJECT_REVOCATION, .filter = is_over, .context = &now_ns, .limit = 16};
    if (store_list(webserver->store, &query, &old) == 0) {
        for (size_t i = 0; i < old.count; i++) {
            if (sync_delete(webserver->sync, &old.items[i]->id, SYNC_BY_KIND) < 0) {
                break;
            }
        }
    }
    object_list_deinit(&old);
}

static void logout(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    const struct auth_user *user = auth_user(request);
    int rc = revoke(webserver, user->session);
    if (rc >= 0) {
        log_info("logout", "a session was ended", "user", user->name, "sessionid", user->session,
                 NULL);
        forget_old_revocations(webserver);
        http_reply_header(request, "Set-Cookie",
                          TOKEN_COOKIE "=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    }
    change_reply(request, webserver, rc, NULL);
}

static void logout_everywhere(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct object *user;
    if (!account_get(request, webserver, auth_user(request)->principal.uid, &user)) {
        return;
    }
    account_end_sessions(user, io_now_ns(webserver->io), NULL);
    int rc = change_save(request, webserver, user);
    log_info("logout", "all sessions were ended", "user", user->name, NULL);
    change_reply(request, webserver, rc, NULL);
    object_free(&user);
}

static void refresh_token(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct object *user;
    int rc = revoke(webserver, auth_user(request)->session);
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else if (account_get(request, webserver, auth_user(request)->principal.uid, &user)) {
        reply_token(request, webserver, user, "refresh");
        object_free(&user);
    }
}

static void test_auth(struct http_request *request, void *context)
{
    (void)context;
    http_reply_json(request, 200, json_object());
}

const struct http_route auth_routes[] = {
    {"POST", "/api/login", login, AUTH_PUBLIC, 64 * 1024},
    {"PUT", "/api/logout", logout, 0, 0},
    {"DELETE", "/api/logout", logout_everywhere, 0, 0},
    {"GET", "/api/login/refreshtoken", refresh_token, 0, 0},
    {"GET", "/api/testauth", test_auth, 0, 0},
};
const size_t auth_route_count = ARRAY_COUNT(auth_routes);
