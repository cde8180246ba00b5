#include "webserver/secret.h"

#include <sodium.h>

#include "base/text.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/account.h"
#include "webserver/auth.h"
#include "webserver/change.h"
#include "webserver/request.h"
#include "webserver/thing.h"

#define SECRET_BYTES_MAX 65536

/* ── Encryption: XSalsa20-Poly1305, key BLAKE2b("aquifer secrets", Control-Auth) ─────────── */

static void key_of(const struct webserver *webserver, uint8_t ret_key[crypto_secretbox_KEYBYTES])
{
    static const uint8_t purpose[] = "aquifer secrets.";
    const char *control = webserver->control_secret;
    (void)crypto_generichash(ret_key, crypto_secretbox_KEYBYTES, (const uint8_t *)control,
                             strlen(control), purpose, sizeof(purpose) - 1);
}

static json_t *encrypted(const struct webserver *webserver, const char *value)
{
    uint8_t key[crypto_secretbox_KEYBYTES];
    struct buf box = {0};
    struct buf base64 = {0};
    size_t bytes = strlen(value);
    key_of(webserver, key);
    uint8_t *nonce =
        buf_reserve(&box, crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + bytes);
    io_random(webserver->io, nonce, crypto_secretbox_NONCEBYTES);
    (void)crypto_secretbox_easy(nonce + crypto_secretbox_NONCEBYTES, (const uint8_t *)value, bytes,
                                nonce, key);
    box.bytes = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + bytes;
    text_base64(&base64, buf_span(&box));
    json_t *text = json_string(buf_str(&base64));
    sodium_memzero(key, sizeof(key));
    buf_deinit(&base64);
    buf_deinit(&box);
    return text;
}

static int decrypted(const struct webserver *webserver, const struct object *secret,
                     struct buf *value)
{
    uint8_t key[crypto_secretbox_KEYBYTES];
    struct buf box = {0};
    const size_t overhead = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
    int rc = -1;
    key_of(webserver, key);
    if (text_unbase64(&box, span_of_str(object_body_text(secret, "Box"))) &&
        box.bytes >= overhead) {
        rc = crypto_secretbox_open_easy(buf_reserve(value, box.bytes - overhead + 1),
                                        box.data + crypto_secretbox_NONCEBYTES,
                                        box.bytes - crypto_secretbox_NONCEBYTES, box.data, key);
        value->bytes += rc == 0 ? box.bytes - overhead : 0;
    }
    sodium_memzero(key, sizeof(key));
    buf_deinit(&box);
    return rc == 0
               ? 0
               : err_set(ERR_CORRUPT, "secret %s cannot be decrypted: was Control-Auth changed?",
                         secret->name);
}

/* ── Backups ─────────────────────────────────────────────────────────────────────────────── */

int secret_reveal(const struct webserver *webserver, struct object *secret)
{
    struct buf value = {0};
    if (object_body(secret, "Box") == NULL) {
        return 0;
    }
    int rc = decrypted(webserver, secret, &value);
    if (rc == 0) {
        object_set_body(secret, json_pack("{s:s}", "Value", buf_str(&value)));
        sodium_memzero(value.data, value.bytes);
    }
    buf_deinit(&value);
    return rc;
}

void secret_conceal(const struct webserver *webserver, struct object *secret)
{
    const char *value = json_string_value(object_body(secret, "Value"));
    if (value != NULL) {
        object_set_body(secret, json_pack("{s:o}", "Box", encrypted(webserver, value)));
    }
}

/* ── Routes ──────────────────────────────────────────────────────────────────────────────── */

static json_t *secret_json(const struct object *secret)
{
    json_t *json =
        json_pack("{s:o, s:s, s:s, s:i, s:b, s:o}", "id", request_uuid_json(&secret->id), "name",
                  secret->name, "description", secret->description, "uid", secret->owner, "global",
                  secret->global, "created", request_time_json(secret->created_ns));
    if (secret->gids.count > 0) {
        json_object_set_new(json, "groups", request_gids_json(&secret->gids));
    }
    return json;
}

static bool secret_of_path(struct http_request *request, struct webserver *webserver,
                           enum object_verb verb, struct object **ret_secret)
{
    const char *id = http_request_param(request, "id");
    int rc = thing_get(webserver, OBJECT_SECRET, id, ret_secret);
    return thing_found(request, rc, OBJECT_SECRET, id, verb, ret_secret);
}

static void list_secrets(struct http_request *request, void *context)
{
    thing_reply_list(request, context, &(struct store_query){.kind = OBJECT_SECRET}, secret_json);
}

static int set_value(const struct webserver *webserver, const json_t *json, struct object *secret)
{
    const char *value = request_text(json, "value");
    if (strlen(value) > SECRET_BYTES_MAX) {
        return err_set(ERR_TOO_LARGE, "value: a secret has at most %d bytes", SECRET_BYTES_MAX);
    }
    object_set_body(secret, json_pack("{s:o}", "Box", encrypted(webserver, value)));
    return 0;
}

static int set_details(const json_t *json, const struct auth_user *asker, struct object *secret)
{
    if (request_text(json, "name")[0] == 0) {
        return err_set(ERR_INVALID, "name is needed");
    }
    object_set_name(secret, request_text(json, "name"));
    object_set_description(secret, request_text(json, "description"));
    return thing_read_sharing(json, asker, "groups", secret);
}

static void save(struct http_request *request, struct webserver *webserver, struct object *secret,
                 int rc)
{
    if (rc == 0) {
        rc = change_save(request, webserver, secret);
    }
    change_reply(request, webserver, rc, secret_json(secret));
}

static void create_secret(struct http_request *request, void *context)
{
    json_t *json;
    if (!request_object(request, &json)) {
        return;
    }
    struct object *secret = object_new(OBJECT_SECRET);
    secret->owner = auth_user(request)->principal.uid;
    int rc = set_details(json, auth_user(request), secret);
    if (rc == 0) {
        rc = set_value(context, json, secret);
    }
    save(request, context, secret, rc);
    object_free(&secret);
    json_decref(json);
}

static void get_secret(struct http_request *request, void *context)
{
    struct object *secret;
    if (secret_of_path(request, context, OBJECT_READ, &secret)) {
        http_reply_json(request, 200, secret_json(secret));
        object_free(&secret);
    }
}

static void change(struct http_request *request, struct webserver *webserver, bool details)
{
    struct object *secret;
    json_t *json;
    if (!secret_of_path(request, webserver, OBJECT_UPDATE, &secret)) {
        return;
    }
    if (request_object(request, &json)) {
        int rc = details ? set_details(json, auth_user(request), secret)
                         : set_value(webserver, json, secret);
        save(request, webserver, secret, rc);
        json_decref(json);
    }
    object_free(&secret);
}

static void change_value(struct http_request *request, void *context)
{
    change(request, context, false);
}

static void change_details(struct http_request *request, void *context)
{
    change(request, context, true);
}

/* For automations, which run as admins here. */
static void get_full(struct http_request *request, void *context)
{
    struct object *secret;
    struct buf value = {0};
    if (!secret_of_path(request, context, OBJECT_READ, &secret)) {
        return;
    }
    int rc = decrypted(context, secret, &value);
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        json_t *json = secret_json(secret);
        json_object_set_new(json, "value", json_string(buf_str(&value)));
        http_reply_json(request, 200, json);
    }
    sodium_memzero(value.data, value.bytes);
    buf_deinit(&value);
    object_free(&secret);
}

static void delete_secret(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct object *secret;
    if (secret_of_path(request, context, OBJECT_DELETE, &secret)) {
        int rc = change_delete(request, webserver, secret);
        change_reply(request, webserver, rc, NULL);
        object_free(&secret);
    }
}

const struct http_route secret_routes[] = {
    {"GET", "/api/secrets", list_secrets, 0, 0},
    {"POST", "/api/secrets", create_secret, 0, 0},
    {"GET", "/api/secrets/{id}", get_secret, 0, 0},
    {"PUT", "/api/secrets/{id}", change_value, 0, 0},
    {"PUT", "/api/secrets/{id}/details", change_details, 0, 0},
    {"GET", "/api/secrets/{id}/full", get_full, AUTH_ADMIN, 0},
    {"DELETE", "/api/secrets/{id}", delete_secret, 0, 0},
};
const size_t secret_route_count = ARRAY_COUNT(secret_routes);
