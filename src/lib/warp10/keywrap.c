/* Tested by header_test.c. */
#include "warp10/keywrap.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "base/err.h"
#include "base/mem.h"

#define BLOCK 8

static const uint8_t expected[BLOCK] = {0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6};

/* One block of AES: the library has no bare mode, but CBC from zero is the same for one block. */
static int cipher_open(struct span key, gnutls_cipher_hd_t *ret_cipher)
{
    gnutls_cipher_algorithm_t algorithm = key.bytes == 16   ? GNUTLS_CIPHER_AES_128_CBC
                                          : key.bytes == 24 ? GNUTLS_CIPHER_AES_192_CBC
                                                            : GNUTLS_CIPHER_AES_256_CBC;
    if (key.bytes != 16 && key.bytes != 24 && key.bytes != 32) {
        return err_set(ERR_INVALID, "a key of %zu bytes: it must have 16, 24 or 32", key.bytes);
    }
    uint8_t zero[16] = {0};
    gnutls_datum_t datum = {(uint8_t *)(uintptr_t)key.data, (unsigned)key.bytes};
    gnutls_datum_t iv = {zero, sizeof(zero)};
    int rc = gnutls_cipher_init(ret_cipher, algorithm, &datum, &iv);
    return rc == 0 ? 0 : err_set(ERR_INVALID, "AES: %s", gnutls_strerror(rc));
}

static void block(gnutls_cipher_hd_t cipher, bool encrypt, uint8_t data[2 * BLOCK])
{
    uint8_t zero[16] = {0};
    gnutls_cipher_set_iv(cipher, zero, sizeof(zero));
    int rc = encrypt ? gnutls_cipher_encrypt(cipher, data, 2 * BLOCK)
                     : gnutls_cipher_decrypt(cipher, data, 2 * BLOCK);
    CHECK(rc == 0);
}

static void add_counter(uint8_t at[BLOCK], uint64_t counter)
{
    for (unsigned i = 0; i < BLOCK; i++) {
        at[i] ^= (uint8_t)(counter >> (56 - 8 * i));
    }
}

/* `data` holds the check block and `count` blocks after it. */
static void wrap(gnutls_cipher_hd_t cipher, uint8_t *data, size_t count)
{
    uint8_t pair[2 * BLOCK];
    memcpy(data, expected, BLOCK);
    for (uint64_t t = 1; t <= 6 * (uint64_t)count; t++) {
        uint8_t *at = data + BLOCK * ((t - 1) % count + 1);
        memcpy(pair, data, BLOCK);
        memcpy(pair + BLOCK, at, BLOCK);
        block(cipher, true, pair);
        add_counter(pair, t);
        memcpy(data, pair, BLOCK);
        memcpy(at, pair + BLOCK, BLOCK);
    }
}

static void unwrap(gnutls_cipher_hd_t cipher, uint8_t *data, size_t count)
{
    uint8_t pair[2 * BLOCK];
    for (uint64_t t = 6 * (uint64_t)count; t >= 1; t--) {
        uint8_t *at = data + BLOCK * ((t - 1) % count + 1);
        memcpy(pair, data, BLOCK);
        add_counter(pair, t);
        memcpy(pair + BLOCK, at, BLOCK);
        block(cipher, false, pair);
        memcpy(data, pair, BLOCK);
        memcpy(at, pair + BLOCK, BLOCK);
    }
}

int keywrap_seal(struct buf *buf, struct span key, struct span plain)
{
    if (plain.bytes > KEYWRAP_BYTES_MAX) {
        return err_set(ERR_TOO_LARGE, "more than %u bytes to seal", KEYWRAP_BYTES_MAX);
    }
    gnutls_cipher_hd_t cipher;
    int rc = cipher_open(key, &cipher);
    if (rc < 0) {
        return rc;
    }
    size_t pad = BLOCK - plain.bytes % BLOCK;
    size_t count = (plain.bytes + pad) / BLOCK;
    uint8_t *data = buf_reserve(buf, (count + 1) * BLOCK);
    if (plain.bytes > 0) {
        memcpy(data + BLOCK, plain.data, plain.bytes);
    }
    memset(data + BLOCK + plain.bytes, (int)pad, pad);
    wrap(cipher, data, count);
    buf->bytes += (count + 1) * BLOCK;
    gnutls_cipher_deinit(cipher);
    return 0;
}

int keywrap_open(struct buf *buf, struct span key, struct span sealed)
{
    if (sealed.bytes < 2 * BLOCK || sealed.bytes % BLOCK != 0 ||
        sealed.bytes > KEYWRAP_BYTES_MAX + 2 * BLOCK) {
        return err_set(ERR_AUTH, "%zu bytes are not a sealed record", sealed.bytes);
    }
    gnutls_cipher_hd_t cipher;
    int rc = cipher_open(key, &cipher);
    if (rc < 0) {
        return rc;
    }
    uint8_t *data = mem_dup(sealed.data, sealed.bytes);
    unwrap(cipher, data, sealed.bytes / BLOCK - 1);
    gnutls_cipher_deinit(cipher);

    size_t pad = data[sealed.bytes - 1];
    bool good = gnutls_memcmp(data, expected, BLOCK) == 0 && pad >= 1 && pad <= BLOCK;
    for (size_t i = 1; good && i <= pad; i++) {
        good = data[sealed.bytes - i] == pad;
    }
    if (good) {
        buf_append(buf, span_of(data + BLOCK, sealed.bytes - BLOCK - pad));
    }
    mem_free(data);
    return good ? 0 : err_set(ERR_AUTH, "not sealed with this key");
}
