#include "webserver/token.h"

#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>

#include "base/err.h"
#include "base/text.h"
#include "base/time.h"

static void append_mac(struct buf *token, const struct token_key *key)
{
    uint8_t mac[crypto_auth_hmacsha512_BYTES];
    crypto_auth_hmacsha512_state state;
    crypto_auth_hmacsha512_init(&state, key->secret, sizeof(key->secret));
    crypto_auth_hmacsha512_update(&state, token->data, token->bytes);
    crypto_auth_hmacsha512_final(&state, mac);
    buf_append_byte(token, '.');
    text_hex(token, span_of(mac, sizeof(mac)));
}

void token_sign(const struct token_claims *claims, const struct token_key *key, struct buf *token)
{
    CHECK(token->bytes == 0);
    char expires[TIME_TEXT_BYTES];
    struct buf part = {0};
    buf_printf(&part, "{\"algo\":1,\"typ\":\"jwt\",\"kid\":\"%s\"}", key->id);
    text_hex(token, buf_span(&part));
    buf_append_byte(token, '.');
    buf_clear(&part);
    buf_printf(
        &part, "{\"uid\":%" PRId32 ",\"expires\":\"%s\",\"issued\":%" PRId64 ",\"sid\":\"%s\"}",
        claims->uid, time_text(claims->expires_ns, expires), claims->issued_ns, claims->session);
    text_hex(token, buf_span(&part));
    buf_deinit(&part);
    append_mac(token, key);
}

static json_t *part_json(struct span hex)
{
    struct buf text = {0};
    json_t *json = NULL;
    if (text_unhex(&text, hex)) {
        json = json_loadb((const char *)text.data, text.bytes, 0, NULL);
    }
    buf_deinit(&text);
    return json;
}

static const struct token_key *key_of_header(struct span header, const struct token_key *keys,
                                             size_t key_count)
{
    json_t *json = part_json(header);
    const char *id = json_string_value(json_object_get(json, "kid"));
    const struct token_key *found = NULL;
    for (size_t i = 0; i < key_count && id != NULL; i++) {
        if (strcmp(keys[i].id, id) == 0) {
            found = &keys[i];
        }
    }
    json_decref(json);
    return found;
}

static bool mac_is_right(struct span token, struct span signed_part, const struct token_key *key)
{
    struct buf expected = {0};
    buf_append(&expected, signed_part);
    append_mac(&expected, key);
    bool right =
        expected.bytes == token.bytes && sodium_memcmp(expected.data, token.data, token.bytes) == 0;
    buf_deinit(&expected);
    return right;
}

static int read_claims(struct span payload, struct token_claims *ret_claims)
{
    json_t *json = part_json(payload);
    json_t *uid = json_object_get(json, "uid");
    const char *expires = json_string_value(json_object_get(json, "expires"));
    const char *session = json_string_value(json_object_get(json, "sid"));
    struct token_claims claims = {.issued_ns = json_integer_value(json_object_get(json, "issued"))};
    int rc = 0;
    if (!json_is_integer(uid) || expires == NULL || session == NULL ||
        strlen(session) >= sizeof(claims.session) ||
        !time_parse(span_of_str(expires), &claims.expires_ns)) {
        rc = err_set(ERR_AUTH, "token has no user, session or expiry");
    } else {
        claims.uid = (int32_t)json_integer_value(uid);
        memcpy(claims.session, session, strlen(session) + 1);
        *ret_claims = claims;
    }
    json_decref(json);
    return rc;
}

int token_verify(struct span token, const struct token_key *keys, size_t key_count, int64_t now_ns,
                 struct token_claims *ret_claims)
{
    struct span rest = token;
    struct span header;
    struct span payload;
    if (token.bytes > TOKEN_BYTES_MAX || !span_split(&rest, '.', &header) ||
        !span_split(&rest, '.', &payload) || rest.bytes == 0) {
        return err_set(ERR_AUTH, "token is not of three parts");
    }
    const struct token_key *key = key_of_header(header, keys, key_count);
    if (key == NULL) {
        return err_set(ERR_AUTH, "token is signed with a key that is not known");
    }
    if (!mac_is_right(token, span_first(token, header.bytes + 1 + payload.bytes), key)) {
        return err_set(ERR_AUTH, "token has a wrong signature");
    }
    struct token_claims claims;
    int rc = read_claims(payload, &claims);
    if (rc < 0) {
        return rc;
    }
    if (claims.expires_ns <= now_ns) {
        return err_set(ERR_AUTH, "token has expired");
    }
    *ret_claims = claims;
    return 0;
}
