/*
 * What is claimed: after a sync every entry is confirmed, whatever connections did meanwhile; a
 * caller that must not wait never does. Against a small server in a thread, made of the server
 * session and a stream, over TCP, TLS and a Unix socket.
 */
#include "ingest/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"
#include "ingest/feeder.h"
#include "ingest/link.h"
#include "ingest/session.h"
#include "ingest/stream.h"
#include "series/evs.h"

#define SECRET "the secret of the tests"
#define DEADLINE_MS 120000
#define TRIES_MAX 20

/* ---- the server ---- */

struct server {
    int fd;
    char target[160];
    char path[108]; /* of a Unix socket, or "" */
    struct ingest_tls *tls;
    pthread_t thread;
    atomic_bool stopping;
    atomic_int cut_after; /* end the connection after so many entries, confirming none; 0: never */
    atomic_bool mute;     /* take entries, confirm nothing */
    bool refuse_ingest;
    int refusals;         /* so many times, and then no more */
    pthread_mutex_t lock; /* over what follows */
    struct map confirmed; /* by data */
    size_t entries, duplicates, connections, states;
    bool compressed;
};

static void act(struct server *server, struct ingest_session *session,
                const struct ingest_event *event)
{
    uint16_t numbers[64];
    switch (event->kind) {
    case INGEST_EVENT_ASKS_TAGS:
        for (size_t i = 0; i < event->tags.count; i++) {
            numbers[i] = (uint16_t)(100 + i);
        }
        ingest_session_grant_tags(session, numbers);
        break;
    case INGEST_EVENT_ASKS_TAG:
        if (span_equal_str(event->tag, "forbidden")) {
            ingest_session_refuse_tag(session);
        } else {
            ingest_session_grant_tag(session, 200);
        }
        break;
    case INGEST_EVENT_ASKS_INGEST:
        ingest_session_allow(session, !server->refuse_ingest && server->refusals-- <= 0);
        break;
    case INGEST_EVENT_STATE:
        server->states++;
        break;
    case INGEST_EVENT_CONFIGURED:
        server->compressed = event->compressed;
        break;
    case INGEST_EVENT_ENTRY:
        server->entries++;
        if (!atomic_load(&server->mute) && atomic_load(&server->cut_after) == 0) {
            if (map_put(&server->confirmed, event->entry.data, server) != NULL) {
                server->duplicates++;
            }
            ingest_session_durable(session, 1);
        }
        break;
    default:
        break;
    }
}

/* False: the connection is to be ended. */
static bool feed(struct server *server, struct ingest_session *session, struct span bytes,
                 int *entries)
{
    ingest_session_feed(session, bytes);
    struct ingest_event event;
    int rc;
    pthread_mutex_lock(&server->lock);
    while ((rc = ingest_session_next(session, &event)) == 0) {
        act(server, session, &event);
        *entries += event.kind == INGEST_EVENT_ENTRY ? 1 : 0;
    }
    pthread_mutex_unlock(&server->lock);
    int cut = atomic_load(&server->cut_after);
    if (cut > 0 && *entries >= cut) {
        atomic_store(&server->cut_after, 0);
        return false;
    }
    return rc == INGEST_SESSION_MORE;
}

static bool write_all(struct ingest_stream *stream, struct ingest_session *session)
{
    struct span out;
    while ((out = ingest_session_output(session)).bytes > 0) {
        size_t put = 0;
        int rc = ingest_stream_write(stream, out, &put);
        if (rc < 0) {
            return false;
        }
        if (rc == INGEST_STREAM_AGAIN &&
            ingest_stream_wait(stream, false, true, 0, DEADLINE_MS) != 0) {
            return false;
        }
        ingest_session_sent(session, put);
    }
    return true;
}

static void converse(struct server *server, struct ingest_stream *stream)
{
    struct ingest_session_options options = {.rounds = 10};
    ingest_secret_hash(SPAN_LIT(SECRET), options.secret_hash);
    struct ingest_session *session = ingest_session_new(&options);
    int entries = 0;
    int idle = 0;
    bool going = write_all(stream, session);
    while (going && !atomic_load(&server->stopping)) {
        uint8_t bytes[30000];
        size_t got = 0;
        int rc = ingest_stream_wait(stream, true, false, 0, 20);
        if (rc == INGEST_STREAM_TIMEOUT && ++idle == 50) {
            ingest_session_idle(session);
            idle = 0;
        }
        rc = rc != 0 ? rc : ingest_stream_read(stream, bytes, sizeof(bytes), &got);
        if (rc < 0 || rc == INGEST_STREAM_END) {
            break;
        }
        bool more = got == 0 || feed(server, session, span_of(bytes, got), &entries);
        going = write_all(stream, session) && more;
    }
    ingest_session_free(&session);
}

static void *run_server(void *context)
{
    struct server *server = context;
    while (!atomic_load(&server->stopping)) {
        struct pollfd poller = {.fd = server->fd, .events = POLLIN};
        if (poll(&poller, 1, 20) <= 0) {
            continue;
        }
        struct ingest_stream *stream;
        int fd = accept(server->fd, NULL, NULL);
        if (fd >= 0 && ingest_stream_accept(fd, server->tls, DEADLINE_MS, &stream) == 0) {
            pthread_mutex_lock(&server->lock);
            server->connections++;
            pthread_mutex_unlock(&server->lock);
            converse(server, stream);
            ingest_stream_close(&stream);
        }
    }
    return NULL;
}

static void listen_tcp(struct server *server, const char *scheme)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    server->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &bytes), 0);
    snprintf(server->target, sizeof(server->target), "%s://127.0.0.1:%u", scheme,
             ntohs(address.sin_port));
}

static void listen_pipe(struct server *server)
{
    snprintf(server->path, sizeof(server->path), "/tmp/aquifer-client-test-%d", (int)getpid());
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, server->path, sizeof(server->path));
    (void)unlink(server->path);
    server->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    snprintf(server->target, sizeof(server->target), "pipe://%s", server->path);
}

static void server_start(struct server *server, const char *scheme)
{
    pthread_mutex_init(&server->lock, NULL);
    if (strcmp(scheme, "pipe") == 0) {
        listen_pipe(server);
    } else {
        listen_tcp(server, scheme);
    }
    assert_int_equal(listen(server->fd, 16), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, run_server, server), 0);
}

static void server_stop(struct server *server)
{
    atomic_store(&server->stopping, true);
    pthread_join(server->thread, NULL);
    close(server->fd);
    if (server->path[0] != '\0') {
        (void)unlink(server->path);
    }
    map_deinit(&server->confirmed);
    ingest_tls_close(&server->tls);
    pthread_mutex_destroy(&server->lock);
}

static size_t confirmed_count(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    size_t count = server->confirmed.count;
    pthread_mutex_unlock(&server->lock);
    return count;
}

/* ---- the client ---- */

static struct ingest_client *client_of(const char *const *targets, size_t count,
                                       struct ingest_client_options options)
{
    struct ingest_client *client;
    options.targets = targets;
    options.target_count = count;
    options.secret = options.secret == NULL ? SECRET : options.secret;
    assert_int_equal(ingest_client_new(&options, &client), 0);
    return client;
}

static struct ingest_client *client_to(const struct server *server)
{
    const char *const targets[] = {server->target};
    return client_of(targets, 1, (struct ingest_client_options){0});
}

static void send_some(struct ingest_client *client, uint16_t tag, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        char data[64];
        snprintf(data, sizeof(data), "entry number %zu", i);
        assert_int_equal(
            ingest_client_send(client, tag, (int64_t)i, NULL, span_of_str(data), SPAN_NONE), 0);
    }
}

/* It begins with one; another may have been slow to answer. */
static void reach_all(struct ingest_client *client, size_t count)
{
    struct ingest_client_stats stats = {0};
    int64_t until_ms = ingest_monotonic_ms() + DEADLINE_MS;
    while (stats.live < count && ingest_monotonic_ms() < until_ms) {
        assert_int_equal(ingest_client_poll(client), 0);
        ingest_client_stats(client, &stats);
        (void)poll(NULL, 0, 1);
    }
    assert_int_equal(stats.live, count);
}

static void run_through(const char *scheme, struct ingest_client_options options,
                        struct ingest_tls *tls)
{
    struct server server = {.tls = tls};
    server_start(&server, scheme);
    const char *const targets[] = {server.target};
    struct ingest_client *client = client_of(targets, 1, options);
    uint16_t tag;
    assert_int_equal(ingest_client_tag(client, "web", &tag), 0);
    send_some(client, tag, 0, 20000); /* several windows */
    assert_int_equal(ingest_client_sync(client), 0);
    struct ingest_client_stats stats;
    ingest_client_stats(client, &stats);
    assert_int_equal(stats.sent, 20000);
    assert_int_equal(stats.confirmed, 20000);
    assert_int_equal(stats.connected, 1);
    assert_int_equal(confirmed_count(&server), 20000);
    assert_int_equal(server.duplicates, 0);
    assert_int_equal(server.compressed, options.compress);
    ingest_client_free(&client);
    server_stop(&server);
}

static void after_a_sync_every_entry_is_confirmed(void **state)
{
    (void)state;
    run_through("tcp", (struct ingest_client_options){0}, NULL);
}

static void so_it_is_over_a_compressed_connection(void **state)
{
    (void)state;
    run_through("tcp", (struct ingest_client_options){.compress = true}, NULL);
}

static void so_it_is_over_a_unix_socket(void **state)
{
    (void)state;
    run_through("pipe", (struct ingest_client_options){.compress = true}, NULL);
}

/* A connection that ends with entries unconfirmed: they go out again on the next. */
static void what_was_unconfirmed_is_sent_again(void **state)
{
    (void)state;
    struct server server = {.cut_after = 300};
    server_start(&server, "tcp");
    struct ingest_client *client = client_to(&server);
    uint16_t tag;
    assert_int_equal(ingest_client_tag(client, "web", &tag), 0);
    send_some(client, tag, 0, 1000);
    assert_int_equal(ingest_client_sync(client), 0);
    struct ingest_client_stats stats;
    ingest_client_stats(client, &stats);
    assert_int_equal(stats.confirmed, 1000);
    assert_true(stats.resent >= 300);
    assert_int_equal(stats.connected, 2);
    assert_int_equal(confirmed_count(&server), 1000);
    ingest_client_free(&client);
    server_stop(&server);
}

static void another_target_takes_over(void **state)
{
    (void)state;
    struct server servers[2] = {{.mute = true}, {.mute = false}};
    server_start(&servers[0], "tcp");
    server_start(&servers[1], "tcp");
    const char *const targets[] = {servers[0].target, servers[1].target};
    struct ingest_client *client =
        client_of(targets, 2, (struct ingest_client_options){.window = 100});
    uint16_t tag;
    assert_int_equal(ingest_client_tag(client, "web", &tag), 0);
    send_some(client, tag, 0, 500); /* 100 of them are stuck with the first */
    server_stop(&servers[0]);
    assert_int_equal(ingest_client_sync(client), 0);
    assert_int_equal(confirmed_count(&servers[1]), 500);
    ingest_client_free(&client);
    server_stop(&servers[1]);
}

static void entries_are_spread_over_the_targets(void **state)
{
    (void)state;
    struct server servers[2] = {{0}, {0}};
    server_start(&servers[0], "tcp");
    server_start(&servers[1], "tcp");
    const char *const targets[] = {servers[0].target, servers[1].target};
    struct ingest_client *client = client_of(targets, 2, (struct ingest_client_options){0});
    uint16_t tag;
    assert_int_equal(ingest_client_tag(client, "web", &tag), 0);
    reach_all(client, 2);
    send_some(client, tag, 0, 20000);
    assert_int_equal(ingest_client_sync(client), 0);
    assert_int_equal(confirmed_count(&servers[0]) + confirmed_count(&servers[1]), 20000);
    assert_true(confirmed_count(&servers[0]) > 1000);
    assert_true(confirmed_count(&servers[1]) > 1000);
    ingest_client_free(&client);
    server_stop(&servers[0]);
    server_stop(&servers[1]);
}

static void a_wrong_secret_is_told_at_once(void **state)
{
    (void)state;
    struct server server = {0};
    server_start(&server, "tcp");
    const char *const targets[] = {server.target};
    struct ingest_client *client =
        client_of(targets, 1, (struct ingest_client_options){.secret = "another"});
    assert_int_equal(ingest_client_connect(client), ERR_AUTH);
    assert_non_null(strstr(err_text(), "refused the log-in"));
    ingest_client_free(&client);
    server_stop(&server);
}

static void nobody_there_is_a_fault_that_says_so(void **state)
{
    (void)state;
    const char *const targets[] = {"127.0.0.1:1"};
    struct ingest_client *client =
        client_of(targets, 1, (struct ingest_client_options){.patience_ms = 300});
    uint16_t tag;
    assert_int_equal(ingest_client_tag(client, "web", &tag), 0);
    assert_int_equal(ingest_client_send(client, tag, 0, NULL, SPAN_LIT("x"), SPAN_NONE),
                     ERR_TIMEOUT);
    assert_non_null(strstr(err_text(), "127.0.0.1:1: connect: Connection refused"));
    assert_int_equal(ingest_client_sync(client), 0); /* nothing was taken, nothing is owed */
    ingest_client_free(&client);
}

static void an_indexer_that_says_no_is_waited_for(void **state)
{
    (void)state;
    struct server server = {.refuse_ingest = true};
    server_start(&server, "tcp");
    const char *const targets[] = {server.target};
    struct ingest_client *client =
        client_of(targets, 1, (struct ingest_client_options){.patience_ms = 300});
    bool told = false; /* else it did not answer in time */
    for (int tries = 0; tries < TRIES_MAX && !told; tries++) {
        assert_int_equal(ingest_client_connect(client), ERR_TIMEOUT);
        told = strstr(err_text(), "takes no entries") != NULL;
    }
    assert_true(told);
    ingest_client_free(&client);
    server_stop(&server);
}

/* Who tries to reach one for a moment only still waits for one that is there. */
static void an_indexer_that_is_full_is_waited_for_longer_than_none(void **state)
{
    (void)state;
    int rc = ERR_TIMEOUT; /* as of one that was late with its first answer, too */
    for (int tries = 0; tries < TRIES_MAX && rc == ERR_TIMEOUT; tries++) {
        struct server server = {.refusals = 2};
        server_start(&server, "tcp");
        const char *const targets[] = {server.target};
        struct ingest_client *client =
            client_of(targets, 1, (struct ingest_client_options){.connect_ms = 1});
        rc = ingest_client_connect(client);
        ingest_client_free(&client);
        server_stop(&server);
    }
    assert_int_equal(rc, 0);
}

static void tags_are_negotiated_on_the_live_connection(void **state)
{
    (void)state;
    struct server server = {0};
    server_start(&server, "tcp");
    struct ingest_client *client = client_to(&server);
    uint16_t first;
    uint16_t second;
    uint16_t again;
    assert_int_equal(ingest_client_tag(client, "first", &first), 0);
    assert_int_equal(ingest_client_connect(client), 0);
    assert_int_equal(ingest_client_tag(client, "forbidden", &second), ERR_DENIED);
    assert_int_equal(ingest_client_tag(client, "not/a/tag", &second), ERR_INVALID);
    assert_int_equal(ingest_client_tag(client, "second", &second), 0);
    assert_int_equal(ingest_client_tag(client, "first", &again), 0);
    assert_int_equal(first, again);
    assert_int_not_equal(first, second);
    send_some(client, first, 0, 10);
    send_some(client, second, 10, 10);
    assert_int_equal(ingest_client_report(client), 0);
    assert_int_equal(ingest_client_sync(client), 0);
    assert_int_equal(confirmed_count(&server), 20);
    assert_int_equal(server.states, 1);
    ingest_client_free(&client);
    server_stop(&server);
}

static void *cancel_soon(void *client)
{
    (void)poll(NULL, 0, 100);
    ingest_client_cancel(client);
    return NULL;
}

static void cancelling_ends_a_call_that_waits(void **state)
{
    (void)state;
    struct server server = {.mute = true};
    server_start(&server, "tcp");
    struct ingest_client *client = client_to(&server);
    uint16_t tag;
    assert_int_equal(ingest_client_tag(client, "web", &tag), 0);
    send_some(client, tag, 0, 1);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, client), 0);
    assert_int_equal(ingest_client_sync(client), ERR_CANCELLED);
    pthread_join(thread, NULL);
    ingest_client_free(&client);
    server_stop(&server);
}

static void targets_are_read_in_all_their_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        enum ingest_scheme scheme;
        uint16_t port;
    } good[] = {
        {"tcp://h:5", "h", INGEST_TCP, 5},
        {"TLS://h", "h", INGEST_TLS, 4024},
        {"h", "h", INGEST_TCP, 4023},
        {"h:7", "h", INGEST_TCP, 7},
        {"pipe:///a/b", "/a/b", INGEST_PIPE, 0},
        {"/a/b", "/a/b", INGEST_PIPE, 0},
        {"tcp://[fe80::1]:5", "fe80::1", INGEST_TCP, 5},
        {"fe80::1", "fe80::1", INGEST_TCP, 4023},
        {"tls://[::1]", "::1", INGEST_TLS, 4024},
    };
    static const char *const bad[] = {
        "", "http://h", "tcp://", "h:", "h:0", "h:65536", "h:x", "pipe://relative"};
    struct ingest_target target;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        assert_int_equal(ingest_target_parse(good[i].text, &target), 0);
        assert_string_equal(target.host, good[i].host);
        assert_int_equal(target.scheme, good[i].scheme);
        assert_int_equal(target.port, good[i].port);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(ingest_target_parse(bad[i], &target), ERR_INVALID);
    }
}

/* ---- TLS ---- */

static void write_pem(const char *path, const gnutls_datum_t *datum)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(datum->data, 1, datum->size, file), datum->size);
    fclose(file);
}

/* A certificate for 127.0.0.1 that signs itself. */
static void make_certificate(const char *cert_path, const char *key_path)
{
    static const uint8_t loopback[4] = {127, 0, 0, 1};
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t cert;
    gnutls_datum_t pem;
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(
                         key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                     0);
    assert_int_equal(gnutls_x509_crt_init(&cert), 0);
    assert_int_equal(gnutls_x509_crt_set_version(cert, 3), 0);
    assert_int_equal(gnutls_x509_crt_set_key(cert, key), 0);
    assert_int_equal(gnutls_x509_crt_set_serial(cert, "\1", 1), 0);
    assert_int_equal(gnutls_x509_crt_set_dn(cert, "CN=test", NULL), 0);
    assert_int_equal(gnutls_x509_crt_set_activation_time(cert, time(NULL) - 3600), 0);
    assert_int_equal(gnutls_x509_crt_set_expiration_time(cert, time(NULL) + 3600), 0);
    assert_int_equal(gnutls_x509_crt_set_basic_constraints(cert, 1, -1), 0);
    assert_int_equal(gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_IPADDRESS, loopback,
                                                          sizeof(loopback), GNUTLS_FSAN_SET),
                     0);
    assert_int_equal(gnutls_x509_crt_sign2(cert, cert, key, GNUTLS_DIG_SHA256, 0), 0);
    assert_int_equal(gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &pem), 0);
    write_pem(cert_path, &pem);
    gnutls_free(pem.data);
    assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem), 0);
    write_pem(key_path, &pem);
    gnutls_free(pem.data);
    gnutls_x509_crt_deinit(cert);
    gnutls_x509_privkey_deinit(key);
}

static void a_certificate_is_verified_unless_told_otherwise(void **state)
{
    (void)state;
    char cert_path[64];
    char key_path[64];
    snprintf(cert_path, sizeof(cert_path), "/tmp/aquifer-client-test-%d.pem", (int)getpid());
    snprintf(key_path, sizeof(key_path), "/tmp/aquifer-client-test-%d.key", (int)getpid());
    make_certificate(cert_path, key_path);
    struct ingest_tls *tls;
    assert_int_equal(ingest_tls_open(cert_path, key_path, &tls), 0);
    run_through("tls", (struct ingest_client_options){.tls_ca_path = cert_path, .compress = true},
                tls);
    assert_int_equal(ingest_tls_open(cert_path, key_path, &tls), 0);
    run_through("tls", (struct ingest_client_options){.tls_insecure = true}, tls);

    struct server server = {0};
    assert_int_equal(ingest_tls_open(cert_path, key_path, &server.tls), 0);
    server_start(&server, "tls");
    const char *const targets[] = {server.target};
    struct ingest_client *client = client_of(targets, 1, (struct ingest_client_options){0});
    assert_int_equal(ingest_client_connect(client), ERR_AUTH);
    assert_non_null(strstr(err_text(), "certificate"));
    ingest_client_free(&client);
    server_stop(&server);
    (void)unlink(cert_path);
    (void)unlink(key_path);
}

/* ---- the feeder ---- */

static struct ingest_feeder *feeder_to(const char *target)
{
    const char *const targets[] = {target};
    struct ingest_feeder_options options = {
        .client = {.targets = targets, .target_count = 1, .secret = SECRET}};
    struct ingest_feeder *feeder;
    assert_int_equal(ingest_feeder_start(&options, &feeder), 0);
    return feeder;
}

static void put_lines(struct ingest_feeder *feeder, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char line[64];
        snprintf(line, sizeof(line), "line %zu", i);
        ingest_feeder_put(feeder, (int64_t)i, span_of_str(line));
    }
}

static void a_feeder_delivers_its_lines(void **state)
{
    (void)state;
    struct server server = {0};
    server_start(&server, "tcp");
    struct ingest_feeder *feeder = feeder_to(server.target);
    put_lines(feeder, 1000);
    int64_t until_ms = ingest_monotonic_ms() + DEADLINE_MS;
    while (confirmed_count(&server) < 1000 && ingest_monotonic_ms() < until_ms) {
        (void)poll(NULL, 0, 5);
    }
    assert_int_equal(confirmed_count(&server), 1000);
    ingest_feeder_put(feeder, 0, SPAN_LIT("the last words"));
    ingest_feeder_stop(&feeder); /* still delivers them */
    assert_int_equal(confirmed_count(&server), 1001);
    server_stop(&server);
}

/* Nobody listens: putting never waits, memory is bounded, and what fell out is counted. */
static void a_feeder_never_waits_and_counts_what_it_drops(void **state)
{
    (void)state;
    struct ingest_feeder *feeder = feeder_to("127.0.0.1:1");
    put_lines(feeder, INGEST_FEEDER_LINES_MAX + 1000); /* waiting would be for ever */
    char *large = mem_alloc(INGEST_FEEDER_LINE_BYTES_MAX + 1);
    ingest_feeder_put(feeder, 0, span_of(large, INGEST_FEEDER_LINE_BYTES_MAX + 1));
    mem_free(large);
    struct ingest_feeder_stats stats;
    ingest_feeder_stats(feeder, &stats);
    assert_int_equal(stats.lines, INGEST_FEEDER_LINES_MAX + 1001);
    assert_int_equal(stats.confirmed, 0);
    assert_int_equal(stats.dropped, 1001);
    ingest_feeder_stop(&feeder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_sync_every_entry_is_confirmed),
        cmocka_unit_test(so_it_is_over_a_compressed_connection),
        cmocka_unit_test(so_it_is_over_a_unix_socket),
        cmocka_unit_test(what_was_unconfirmed_is_sent_again),
        cmocka_unit_test(another_target_takes_over),
        cmocka_unit_test(entries_are_spread_over_the_targets),
        cmocka_unit_test(a_wrong_secret_is_told_at_once),
        cmocka_unit_test(nobody_there_is_a_fault_that_says_so),
        cmocka_unit_test(an_indexer_that_says_no_is_waited_for),
        cmocka_unit_test(an_indexer_that_is_full_is_waited_for_longer_than_none),
        cmocka_unit_test(tags_are_negotiated_on_the_live_connection),
        cmocka_unit_test(cancelling_ends_a_call_that_waits),
        cmocka_unit_test(targets_are_read_in_all_their_forms),
        cmocka_unit_test(a_certificate_is_verified_unless_told_otherwise),
        cmocka_unit_test(a_feeder_delivers_its_lines),
        cmocka_unit_test(a_feeder_never_waits_and_counts_what_it_drops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
