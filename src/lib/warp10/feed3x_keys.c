/* Tested by feed3x_test.c. */
#include "warp10/feed3x_keys.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <strings.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "warp10/keywrap.h"
#include "warp10/siphash.h"

#define CURVE_BYTES_MAX 32
#define POINT_BYTES_MAX 256
#define SECRET_BYTES_MAX 128
#define SALT_BYTES 8

struct feed3x_key {
    EVP_PKEY *key;
    char curve[CURVE_BYTES_MAX];
    uint8_t point[POINT_BYTES_MAX]; /* uncompressed */
    size_t point_bytes;
};

/* ── Reading keys ────────────────────────────────────────────────────────────────────────── */

static int nid_of_curve(const char *name)
{
    static const struct {
        const char *name;
        int nid;
    } aliases[] = {{"secp256r1", NID_X9_62_prime256v1}, {"secp192r1", NID_X9_62_prime192v1}};
    for (size_t i = 0; i < ARRAY_COUNT(aliases); i++) {
        if (strcasecmp(name, aliases[i].name) == 0) {
            return aliases[i].nid;
        }
    }
    int nid = EC_curve_nist2nid(name);
    return nid != NID_undef ? nid : OBJ_sn2nid(name);
}

/* Cuts "CURVE:" off. NULL: there is no such curve. */
static EC_GROUP *group_of(const char *text, char curve[CURVE_BYTES_MAX], const char **ret_rest)
{
    const char *colon = strchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= CURVE_BYTES_MAX) {
        return NULL;
    }
    memcpy(curve, text, (size_t)(colon - text));
    curve[colon - text] = 0;
    *ret_rest = colon + 1;
    int nid = nid_of_curve(curve);
    EC_GROUP *group = nid == NID_undef ? NULL : EC_GROUP_new_by_curve_name(nid);
    if (group != NULL) {
        (void)snprintf(curve, CURVE_BYTES_MAX, "%s", OBJ_nid2sn(nid));
    }
    return group;
}

static EVP_PKEY *key_of(const struct feed3x_key *made, const BIGNUM *private)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    CHECK(context != NULL && build != NULL);
    bool good =
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, made->curve, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, made->point,
                                         made->point_bytes) == 1 &&
        (private == NULL || OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, private) == 1);
    OSSL_PARAM *params = good ? OSSL_PARAM_BLD_to_param(build) : NULL;
    if (params == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, private != NULL ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                          params) != 1) {
        key = NULL;
    }
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(context);
    return key;
}

static bool set_point(struct feed3x_key *made, const EC_GROUP *group, const EC_POINT *point)
{
    made->point_bytes = EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, made->point,
                                           sizeof(made->point), NULL);
    return made->point_bytes > 0 && !EC_POINT_is_at_infinity(group, point);
}

static bool read_private(struct feed3x_key *made, const EC_GROUP *group, const char *text)
{
    BIGNUM *number = NULL;
    EC_POINT *point = EC_POINT_new(group);
    CHECK(point != NULL);
    bool is_hex = strncmp(text, "0x", 2) == 0;
    text += is_hex ? 2 : 0;
    size_t digits = strspn(text, is_hex ? "0123456789abcdefABCDEF" : "0123456789");
    bool good = digits > 0 && text[digits] == 0 && digits < POINT_BYTES_MAX &&
                (is_hex ? BN_hex2bn(&number, text) : BN_dec2bn(&number, text)) != 0 &&
                !BN_is_zero(number) && BN_cmp(number, EC_GROUP_get0_order(group)) < 0 &&
                EC_POINT_mul(group, point, number, NULL, NULL, NULL) == 1 &&
                set_point(made, group, point);
    made->key = good ? key_of(made, number) : NULL;
    BN_clear_free(number);
    EC_POINT_free(point);
    return made->key != NULL;
}

static bool read_public(struct feed3x_key *made, const EC_GROUP *group, const char *text)
{
    struct buf bytes = {0};
    EC_POINT *point = EC_POINT_new(group);
    CHECK(point != NULL);
    bool good = text_unhex(&bytes, span_of_str(text)) &&
                EC_POINT_oct2point(group, point, bytes.data, bytes.bytes, NULL) == 1 &&
                set_point(made, group, point);
    made->key = good ? key_of(made, NULL) : NULL;
    buf_deinit(&bytes);
    EC_POINT_free(point);
    return made->key != NULL;
}

static int read_key(const char *text, const char *form,
                    bool (*read)(struct feed3x_key *, const EC_GROUP *, const char *),
                    struct feed3x_key **ret_key)
{
    struct feed3x_key *made = MEM_NEW(struct feed3x_key);
    const char *rest = NULL;
    EC_GROUP *group = group_of(text, made->curve, &rest);
    bool good = group != NULL && read(made, group, rest);
    int rc = 0;
    if (group == NULL) {
        rc = err_set(ERR_INVALID, "no curve that is known; a key is %s", form);
    } else if (!good) {
        rc = err_set(ERR_INVALID, "not a key of %s, which is %s", made->curve, form);
    }
    EC_GROUP_free(group);
    ERR_clear_error();
    if (rc < 0) {
        feed3x_key_free(&made);
        return rc;
    }
    *ret_key = made;
    return 0;
}

int feed3x_key_private(const char *text, struct feed3x_key **ret_key)
{
    return read_key(text, "CURVE:DECIMAL or CURVE:0xHEX", read_private, ret_key);
}

int feed3x_key_public(const char *text, struct feed3x_key **ret_key)
{
    return read_key(text, "CURVE:HEX", read_public, ret_key);
}

void feed3x_key_free(struct feed3x_key **key)
{
    if (*key != NULL) {
        EVP_PKEY_free((*key)->key);
        mem_free(*key);
        *key = NULL;
    }
}

void feed3x_key_print_public(struct buf *buf, const struct feed3x_key *key)
{
    buf_append_str(buf, key->curve);
    buf_append_byte(buf, ':');
    text_hex(buf, span_of(key->point, key->point_bytes));
}

/* ── Signatures ──────────────────────────────────────────────────────────────────────────── */

static void put_word(struct buf *buf, uint64_t word)
{
    for (unsigned i = 0; i < 8; i++) {
        buf_append_byte(buf, (uint8_t)(word >> (56 - 8 * i)));
    }
}

static void put_claim(struct buf *buf, const struct feed3x_claim *claim)
{
    put_word(buf, (uint64_t)claim->nonce);
    put_word(buf, (uint64_t)claim->time_ms);
    buf_append(buf, claim->id);
}

int feed3x_sign(const struct feed3x_key *own, const struct feed3x_claim *claim,
                struct buf *signature)
{
    struct buf text = {0};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    CHECK(context != NULL);
    size_t bytes = 0;
    put_claim(&text, claim);
    bool good = EVP_DigestSignInit(context, NULL, EVP_sha512(), NULL, own->key) == 1 &&
                EVP_DigestSign(context, NULL, &bytes, text.data, text.bytes) == 1;
    if (good) {
        uint8_t *at = buf_reserve(signature, bytes);
        good = EVP_DigestSign(context, at, &bytes, text.data, text.bytes) == 1;
        signature->bytes += good ? bytes : 0;
    }
    EVP_MD_CTX_free(context);
    buf_deinit(&text);
    ERR_clear_error();
    return good ? 0 : err_set(ERR_INVALID, "our key cannot sign");
}

int feed3x_verify(const struct feed3x_key *peer, const struct feed3x_claim *claim,
                  struct span signature)
{
    struct buf text = {0};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    CHECK(context != NULL);
    put_claim(&text, claim);
    bool good =
        EVP_DigestVerifyInit(context, NULL, EVP_sha512(), NULL, peer->key) == 1 &&
        EVP_DigestVerify(context, signature.data, signature.bytes, text.data, text.bytes) == 1;
    EVP_MD_CTX_free(context);
    buf_deinit(&text);
    ERR_clear_error();
    return good ? 0
                : err_set(ERR_AUTH, "not signed by \"%.*s\" as its key is known here",
                          SPAN_ARG(span_first(claim->id, 64)));
}

/* ── Sealing ─────────────────────────────────────────────────────────────────────────────── */

static void derive(struct span secret, uint64_t nonce, uint64_t time,
                   uint8_t ret_key[FEED3X_SESSION_KEY_BYTES])
{
    uint8_t reversed[SECRET_BYTES_MAX];
    for (size_t i = 0; i < secret.bytes; i++) {
        reversed[i] = secret.data[secret.bytes - 1 - i];
    }
    struct span back = span_of(reversed, secret.bytes);
    const uint64_t words[] = {
        siphash((struct siphash_key){nonce, time}, secret),
        siphash((struct siphash_key){time, nonce}, secret),
        siphash((struct siphash_key){nonce, time}, back),
        siphash((struct siphash_key){time, nonce}, back),
    };
    for (unsigned i = 0; i < FEED3X_SESSION_KEY_BYTES; i++) {
        ret_key[i] = (uint8_t)(words[i / 8] >> (56 - 8 * (i % 8)));
    }
    explicit_bzero(reversed, sizeof(reversed));
}

int feed3x_agree(const struct feed3x_key *own, const struct feed3x_key *peer, int64_t nonce,
                 int64_t time_ms, uint8_t ret_key[FEED3X_SESSION_KEY_BYTES])
{
    uint8_t secret[SECRET_BYTES_MAX];
    size_t bytes = sizeof(secret);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, own->key, NULL);
    CHECK(context != NULL);
    bool good = EVP_PKEY_derive_init(context) == 1 &&
                EVP_PKEY_derive_set_peer(context, peer->key) == 1 &&
                EVP_PKEY_derive(context, secret, &bytes) == 1;
    EVP_PKEY_CTX_free(context);
    ERR_clear_error();
    if (!good) {
        return err_set(ERR_INVALID, "no common secret: our key is of %s, the peer's of %s",
                       own->curve, peer->curve);
    }
    struct span rest = span_of(secret, bytes);
    while (rest.bytes > 0 && rest.data[0] == 0) {
        rest = span_from(rest, 1);
    }
    derive(rest, (uint64_t)nonce, (uint64_t)time_ms, ret_key);
    explicit_bzero(secret, sizeof(secret));
    return 0;
}

int feed3x_seal(struct buf *buf, const uint8_t key[FEED3X_SESSION_KEY_BYTES], struct io *io,
                struct span message)
{
    struct buf plain = {0};
    io_random(io, buf_reserve(&plain, SALT_BYTES + message.bytes), SALT_BYTES);
    plain.bytes = SALT_BYTES;
    buf_append(&plain, message);
    int rc = keywrap_seal(buf, span_of(key, FEED3X_SESSION_KEY_BYTES), buf_span(&plain));
    buf_deinit(&plain);
    return rc;
}

int feed3x_open(struct buf *buf, const uint8_t key[FEED3X_SESSION_KEY_BYTES], struct span sealed)
{
    struct buf plain = {0};
    int rc = keywrap_open(&plain, span_of(key, FEED3X_SESSION_KEY_BYTES), sealed);
    if (rc == 0 && plain.bytes <= SALT_BYTES) {
        rc = err_set(ERR_AUTH, "a sealed message with nothing in it");
    } else if (rc == 0) {
        buf_append(buf, span_from(buf_span(&plain), SALT_BYTES));
    }
    buf_deinit(&plain);
    return rc;
}

void feed3x_keys_leave_thread(void)
{
    OPENSSL_thread_stop();
}
