/*
 * For the tests of this folder: a certificate of our own for "localhost" and 127.0.0.1, in files
 * that live as long as the test program. make_certificate and remove_certificate are the setup and
 * teardown of a group.
 */
#ifndef NET_TESTING_TLS_H
#define NET_TESTING_TLS_H

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <time.h>

#include "net/testing.h"

TESTING char cert_path[] = "/tmp/aquifer-net-test-cert-XXXXXX";
TESTING char key_path[] = "/tmp/aquifer-net-test-key-XXXXXX";

TESTING void write_pem(char *path, gnutls_datum_t pem)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, pem.data, pem.size), pem.size);
    (void)close(fd);
    gnutls_free(pem.data);
}

TESTING int make_certificate(void **state)
{
    (void)state;
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t cert;
    gnutls_datum_t pem;
    static const uint8_t serial = 1;
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(
                         key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                     0);
    assert_int_equal(gnutls_x509_crt_init(&cert), 0);
    assert_int_equal(gnutls_x509_crt_set_version(cert, 3), 0);
    assert_int_equal(gnutls_x509_crt_set_serial(cert, &serial, 1), 0);
    assert_int_equal(gnutls_x509_crt_set_dn(cert, "CN=localhost", NULL), 0);
    assert_int_equal(gnutls_x509_crt_set_activation_time(cert, time(NULL) - 3600), 0);
    assert_int_equal(gnutls_x509_crt_set_expiration_time(cert, time(NULL) + 3600), 0);
    assert_int_equal(gnutls_x509_crt_set_key(cert, key), 0);
    assert_int_equal(gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_IPADDRESS,
                                                          "\x7F\x00\x00\x01", 4, GNUTLS_FSAN_SET),
                     0);
    assert_int_equal(gnutls_x509_crt_set_basic_constraints(cert, 1, 0), 0);
    assert_int_equal(gnutls_x509_crt_sign2(cert, cert, key, GNUTLS_DIG_SHA256, 0), 0);
    assert_int_equal(gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &pem), 0);
    write_pem(cert_path, pem);
    assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem), 0);
    write_pem(key_path, pem);
    gnutls_x509_crt_deinit(cert);
    gnutls_x509_privkey_deinit(key);
    return 0;
}

TESTING int remove_certificate(void **state)
{
    (void)state;
    return unlink(cert_path) + unlink(key_path);
}

TESTING struct http_server_options tls_options(void)
{
    return (struct http_server_options){.tls_cert_path = cert_path, .tls_key_path = key_path};
}

#endif
