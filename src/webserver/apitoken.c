#include "webserver/apitoken.h"

#include <sodium.h>

#include "base/text.h"
#include "base/time.h"
#include "service/log.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/account.h"
#include "webserver/auth.h"
#include "webserver/capability.h"
#include "webserver/change.h"
#include "webserver/request.h"
#include "webserver/thing.h"

#define PREFIX "aq_"
#define ID_BYTES 16
#define SECRET_BYTES 24
#define VALUE_BYTES (sizeof(PREFIX) - 1 + 2 * ID_BYTES + 1 + 2 * SECRET_BYTES)

/* ── Values ──────────────────────────────────────────────────────────────────────────────── */

static void hash_value(struct span value, struct buf *hex)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256(hash, value.data, value.bytes);
    text_hex(hex, span_of(hash, sizeof(hash)));
}

/* A new secret for the token; appends the value that its owner is shown. */
static void renew_value(struct webserver *webserver, struct object *token, struct buf *value)
{
    uint8_t secret[SECRET_BYTES];
    struct buf hash = {0};
    io_random(webserver->io, secret, sizeof(secret));
    buf_append_str(value, PREFIX);
    text_hex(value, span_of(token->id.bytes, ID_BYTES));
    buf_append_byte(value, '_');
    text_hex(value, span_of(secret, sizeof(secret)));
    hash_value(buf_span(value), &hash);
    json_object_set_new(token->body, "Hash", json_string(buf_str(&hash)));
    buf_deinit(&hash);
}

static bool id_of_value(struct span value, struct uuid *ret_id)
{
    struct buf id = {0};
    bool valid = value.bytes == VALUE_BYTES && span_starts_with(value, SPAN_LIT(PREFIX)) &&
                 text_unhex(&id, span_first(span_from(value, sizeof(PREFIX) - 1), 2 * ID_BYTES));
    if (valid) {
        memcpy(ret_id->bytes, id.data, ID_BYTES);
    }
    buf_deinit(&id);
    return valid;
}

static bool hash_is_right(const struct object *token, struct span value)
{
    struct buf hash = {0};
    const char *expected = object_body_text(token, "Hash");
    hash_value(value, &hash);
    bool right =
        strlen(expected) == hash.bytes && sodium_memcmp(expected, hash.data, hash.bytes) == 0;
    buf_deinit(&hash);
    return right;
}

int apitoken_check(struct webserver *webserver, struct span value, int32_t *ret_uid,
                   uint64_t *ret_capabilities)
{
    struct uuid id;
    struct object *token = NULL;
    if (!id_of_value(value, &id)) {
        return err_set(ERR_AUTH, "this is not an API token");
    }
    int rc = store_get(webserver->store, &id, &token);
    if (rc == STORE_ABSENT || (rc == 0 && token->kind != OBJECT_TOKEN) ||
        (rc == 0 && !hash_is_right(token, value))) {
        rc = err_set(ERR_AUTH, "the API token is not known");
    }
    int64_t expires_ns = rc == 0 ? object_body_int(token, "ExpiresAt") : 0;
    if (rc == 0 && expires_ns != 0 && expires_ns <= io_now_ns(webserver->io)) {
        rc = err_set(ERR_AUTH, "the API token has expired");
    }
    if (rc == 0) {
        *ret_uid = token->owner;
        *ret_capabilities = capability_set_of(object_body(token, "Capabilities"));
    }
    object_free(&token);
    return rc;
}

/* ── Routes ──────────────────────────────────────────────────────────────────────────────── */

static json_t *token_json(const struct object *token)
{
    int64_t expires_ns = object_body_int(token, "ExpiresAt");
    json_t *capabilities = object_body(token, "Capabilities");
    return json_pack("{s:o, s:s, s:s, s:i, s:o, s:o, s:o}", "id", request_uuid_json(&token->id),
                     "name", token->name, "description", token->description, "uid", token->owner,
                     "createdAt", request_time_json(token->created_ns), "expiresAt",
                     request_time_json(expires_ns == 0 ? TIME_UNSET : expires_ns), "capabilities",
                     capabilities == NULL ? json_array() : json_incref(capabilities));
}

static bool token_of_path(struct http_request *request, struct webserver *webserver,
                          enum object_verb verb, struct object **ret_token)
{
    const char *id = http_request_param(request, "id");
    int rc = thing_get(webserver, OBJECT_TOKEN, id, ret_token);
    return thing_found(request, rc, OBJECT_TOKEN, id, verb, ret_token);
}

static void list_tokens(struct http_request *request, void *context)
{
    thing_reply_list(request, context, &(struct store_query){.kind = OBJECT_TOKEN}, token_json);
}

static void set_expiry(struct object *token, const json_t *json)
{
    int64_t expires_ns = request_time(json, "expiresAt");
    json_object_set_new(token->body, "ExpiresAt",
                        json_integer(expires_ns == TIME_UNSET ? 0 : expires_ns));
}

static int read_token(const json_t *json, struct object *token)
{
    json_t *capabilities = request_member(json, "capabilities");
    size_t index;
    json_t *name;
    if (request_text(json, "name")[0] == 0) {
        return err_set(ERR_INVALID, "name is needed");
    }
    json_array_foreach(capabilities, index, name)
    {
        json_t *one = json_pack("[O]", name);
        bool known = capability_set_of(one) != 0;
        json_decref(one);
        if (!known) {
            return err_set(ERR_INVALID, "capabilities[%zu]: there is no such capability", index);
        }
    }
    object_set_name(token, request_text(json, "name"));
    object_set_description(token, request_text(json, "description"));
    json_object_set_new(token->body, "Capabilities",
                        capabilities == NULL ? json_array() : json_incref(capabilities));
    set_expiry(token, json);
    return 0;
}

/* A token that may make tokens makes none that may more than itself. */
static int check_narrowing(const struct auth_user *asker, const struct object *token)
{
    uint64_t wanted = capability_set_of(object_body(token, "Capabilities"));
    return asker->by_token && (wanted & ~asker->capabilities) != 0
               ? err_set(ERR_DENIED,
                         "an API token gives no capability that it does not have itself")
               : 0;
}

/* Answers with the token, and with its value when there is a new one. */
static void save(struct http_request *request, struct webserver *webserver, struct object *token,
                 struct buf *value, int rc)
{
    json_t *answer = NULL;
    rc = rc < 0 ? rc : check_narrowing(auth_user(request), token);
    if (rc == 0) {
        rc = change_save(request, webserver, token);
    }
    if (rc >= 0) {
        answer = token_json(token);
        if (value != NULL) {
            json_object_set_new(answer, "token", json_string(buf_str(value)));
        }
        log_info("token-saved", "an API token was made or changed", "token", token->name, "by",
                 auth_user(request)->name, NULL);
    }
    change_reply(request, webserver, rc, answer);
}

static void create_token(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    json_t *json;
    uint8_t random[16];
    struct buf value = {0};
    if (!request_object(request, &json)) {
        return;
    }
    struct object *token = object_new(OBJECT_TOKEN);
    io_random(webserver->io, random, sizeof(random));
    token->id = uuid_of_random(random);
    token->owner = auth_user(request)->principal.uid;
    object_set_body(token, json_object());
    int rc = read_token(json, token);
    renew_value(webserver, token, &value);
    save(request, webserver, token, &value, rc);
    buf_deinit(&value);
    object_free(&token);
    json_decref(json);
}

static void get_token(struct http_request *request, void *context)
{
    struct object *token;
    if (token_of_path(request, context, OBJECT_READ, &token)) {
        http_reply_json(request, 200, token_json(token));
        object_free(&token);
    }
}

static void update_token(struct http_request *request, void *context)
{
    struct object *token;
    json_t *json;
    if (!token_of_path(request, context, OBJECT_UPDATE, &token)) {
        return;
    }
    if (request_object(request, &json)) {
        save(request, context, token, NULL, read_token(json, token));
        json_decref(json);
    }
    object_free(&token);
}

/* A new value and a new expiry; the old value stops working. */
static void renew_token(struct http_request *request, void *context)
{
    struct object *token;
    json_t *json;
    if (!token_of_path(request, context, OBJECT_UPDATE, &token)) {
        return;
    }
    if (request_object(request, &json)) {
        struct buf value = {0};
        set_expiry(token, json);
        renew_value(context, token, &value);
        save(request, context, token, &value, 0);
        buf_deinit(&value);
        json_decref(json);
    }
    object_free(&token);
}

static void delete_token(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct object *token;
    if (token_of_path(request, context, OBJECT_DELETE, &token)) {
        int rc = change_delete(request, webserver, token);
        change_reply(request, webserver, rc, NULL);
        object_free(&token);
    }
}

const struct http_route apitoken_routes[] = {
    {"GET", "/api/tokens", list_tokens, 0, 0},
    {"POST", "/api/tokens", create_token, 0, 0},
    {"GET", "/api/tokens/{id}", get_token, 0, 0},
    {"PUT", "/api/tokens/{id}", update_token, 0, 0},
    {"PATCH", "/api/tokens/{id}", renew_token, 0, 0},
    {"DELETE", "/api/tokens/{id}", delete_token, 0, 0},
};
const size_t apitoken_route_count = ARRAY_COUNT(apitoken_routes);
