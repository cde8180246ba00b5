#include "net/http_client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "base/vec.h"
#include "net/control.h"

#define ANSWER_BYTES_MAX ((size_t)64 << 20)
#define HEADER_TEXT_BYTES_MAX ((size_t)64 << 10)
#define HELLO_TIMEOUT_MS 10000
#define POLL_MS 1000

/* A connection with its curl handles; used by one call at a time. */
struct line {
    CURLM *multi;
    CURL *easy;
    char *origin; /* "http://host:port" of the last call */
};

/* Control-Auth with one host. */
struct peer {
    pthread_mutex_t lock; /* held while saying hello, so that it is said once */
    struct control_client session;
};

struct http_client {
    struct http_client_options options; /* strings owned */
    pthread_mutex_t lock;
    VEC(struct line *) idle;
    struct map peers; /* struct peer by origin */
    CURLSH *cookies;  /* one jar for all lines; NULL without options.cookies */
    pthread_mutex_t cookie_lock;
};

struct http_cancel {
    pthread_mutex_t lock;
    bool fired;
    VEC(CURLM *) running;
};

/* One call under way. */
struct run {
    const struct http_call *call;
    struct http_client *client;
    struct line *line;
    struct http_answer answer;
    struct curl_slist *headers;
    size_t pull_count; /* times the body was asked for */
    int rc;            /* what ended the call from within a callback */
    bool begun;        /* something was pushed */
    int64_t active_ns;
    char fault[CURL_ERROR_SIZE];

    const struct control_seal *seal; /* signed */
    crypto_hash_sha256_state sent_hash, got_hash;
    char expected_hash[CONTROL_HASH_TEXT_BYTES];
};

/* ── Cancelling ──────────────────────────────────────────────────────────────────────────── */

struct http_cancel *http_cancel_new(void)
{
    struct http_cancel *cancel = MEM_NEW(struct http_cancel);
    pthread_mutex_init(&cancel->lock, NULL);
    return cancel;
}

void http_cancel_free(struct http_cancel **cancel)
{
    if (*cancel != NULL) {
        CHECK((*cancel)->running.count == 0);
        vec_deinit(&(*cancel)->running);
        pthread_mutex_destroy(&(*cancel)->lock);
        mem_free(*cancel);
        *cancel = NULL;
    }
}

void http_cancel_fire(struct http_cancel *cancel)
{
    pthread_mutex_lock(&cancel->lock);
    cancel->fired = true;
    for (size_t i = 0; i < cancel->running.count; i++) {
        (void)curl_multi_wakeup(cancel->running.items[i]);
    }
    pthread_mutex_unlock(&cancel->lock);
}

bool http_cancel_fired(struct http_cancel *cancel)
{
    pthread_mutex_lock(&cancel->lock);
    bool fired = cancel->fired;
    pthread_mutex_unlock(&cancel->lock);
    return fired;
}

static void cancel_enter(struct http_cancel *cancel, CURLM *multi)
{
    if (cancel != NULL) {
        pthread_mutex_lock(&cancel->lock);
        vec_push(&cancel->running, multi);
        pthread_mutex_unlock(&cancel->lock);
    }
}

static void cancel_leave(struct http_cancel *cancel, CURLM *multi)
{
    if (cancel == NULL) {
        return;
    }
    pthread_mutex_lock(&cancel->lock);
    for (size_t i = 0; i < cancel->running.count; i++) {
        if (cancel->running.items[i] == multi) {
            vec_remove_swap(&cancel->running, i);
            break;
        }
    }
    pthread_mutex_unlock(&cancel->lock);
}

/* ── The client and its lines ────────────────────────────────────────────────────────────── */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
    CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == 0);
    CHECK(sodium_init() >= 0);
}

static const char *dup_or_null(const char *text)
{
    return text == NULL || text[0] == 0 ? NULL : mem_strdup(text);
}

static void lock_cookies(CURL *easy, curl_lock_data data, curl_lock_access access, void *context)
{
    (void)easy;
    (void)data;
    (void)access;
    pthread_mutex_lock(&((struct http_client *)context)->cookie_lock);
}

static void unlock_cookies(CURL *easy, curl_lock_data data, void *context)
{
    (void)easy;
    (void)data;
    pthread_mutex_unlock(&((struct http_client *)context)->cookie_lock);
}

static void make_cookie_jar(struct http_client *client)
{
    CURLSH *jar = curl_share_init();
    CHECK(jar != NULL);
    CHECK(curl_share_setopt(jar, CURLSHOPT_SHARE, CURL_LOCK_DATA_COOKIE) == CURLSHE_OK);
    CHECK(curl_share_setopt(jar, CURLSHOPT_LOCKFUNC, lock_cookies) == CURLSHE_OK);
    CHECK(curl_share_setopt(jar, CURLSHOPT_UNLOCKFUNC, unlock_cookies) == CURLSHE_OK);
    CHECK(curl_share_setopt(jar, CURLSHOPT_USERDATA, client) == CURLSHE_OK);
    client->cookies = jar;
}

int http_client_new(const struct http_client_options *options, struct http_client **ret_client)
{
    pthread_once(&curl_once, start_curl);
    struct http_client *client = MEM_NEW(struct http_client);
    client->options = *options;
    client->options.io = options->io != NULL ? options->io : io_real();
    client->options.control_secret = dup_or_null(options->control_secret);
    client->options.ca_path = dup_or_null(options->ca_path);
    client->options.tls_cert_path = dup_or_null(options->tls_cert_path);
    client->options.tls_key_path = dup_or_null(options->tls_key_path);
    client->options.user_agent =
        mem_strdup(options->user_agent != NULL ? options->user_agent : "aquifer");
    if (options->connect_timeout_ms == 0) {
        client->options.connect_timeout_ms = 5000;
    }
    if (options->idle_connections_max == 0) {
        client->options.idle_connections_max = 16;
    }
    pthread_mutex_init(&client->lock, NULL);
    pthread_mutex_init(&client->cookie_lock, NULL);
    if (options->cookies) {
        make_cookie_jar(client);
    }
    *ret_client = client;
    return 0;
}

/* libcurl 7.88 does not forget, even on curl_easy_reset(), that a handle has sent trailers, and
 * then writes the next upload's chunk size in front of its buffer. The connection belongs to the
 * multi handle and stays. */
static void renew_handle(struct line *line)
{
    curl_easy_cleanup(line->easy);
    line->easy = curl_easy_init();
    CHECK(line->easy != NULL);
}

static void free_line(struct line *line)
{
    curl_easy_cleanup(line->easy);
    (void)curl_multi_cleanup(line->multi);
    mem_free(line->origin);
    mem_free(line);
}

void http_client_free(struct http_client **ret_client)
{
    struct http_client *client = *ret_client;
    if (client == NULL) {
        return;
    }
    *ret_client = NULL;
    for (size_t i = 0; i < client->idle.count; i++) {
        free_line(client->idle.items[i]);
    }
    vec_deinit(&client->idle);
    (void)curl_share_cleanup(client->cookies);
    pthread_mutex_destroy(&client->cookie_lock);
    size_t cursor = 0;
    struct span origin;
    void *peer;
    while (map_next(&client->peers, &cursor, &origin, &peer)) {
        sodium_memzero(peer, sizeof(struct peer));
        mem_free(peer);
    }
    map_deinit(&client->peers);
    if (client->options.control_secret != NULL) {
        sodium_memzero((char *)client->options.control_secret,
                       strlen(client->options.control_secret));
    }
    mem_free((char *)client->options.control_secret);
    mem_free((char *)client->options.ca_path);
    mem_free((char *)client->options.tls_cert_path);
    mem_free((char *)client->options.tls_key_path);
    mem_free((char *)client->options.user_agent);
    pthread_mutex_destroy(&client->lock);
    mem_free(client);
}

/* The line that last talked to this host, else any, else a new one. */
static struct line *take_line(struct http_client *client, const char *origin)
{
    struct line *line = NULL;
    pthread_mutex_lock(&client->lock);
    for (size_t i = client->idle.count; i-- > 0;) {
        if (strcmp(client->idle.items[i]->origin, origin) == 0) {
            line = client->idle.items[i];
            vec_remove_swap(&client->idle, i);
            break;
        }
    }
    pthread_mutex_unlock(&client->lock);
    if (line == NULL) {
        line = MEM_NEW(struct line);
        line->multi = curl_multi_init();
        line->easy = curl_easy_init();
        line->origin = mem_strdup(origin);
        CHECK(line->multi != NULL && line->easy != NULL);
    }
    return line;
}

static void give_line(struct http_client *client, struct line *line)
{
    struct line *surplus = NULL;
    pthread_mutex_lock(&client->lock);
    vec_push(&client->idle, line);
    if (client->idle.count > client->options.idle_connections_max) {
        surplus = client->idle.items[0];
        vec_remove_swap(&client->idle, 0);
    }
    pthread_mutex_unlock(&client->lock);
    if (surplus != NULL) {
        free_line(surplus);
    }
}

/* ── What curl calls ─────────────────────────────────────────────────────────────────────── */

static size_t stop_with(struct run *run, int rc)
{
    run->rc = rc;
    return 0;
}

static long status_of(const struct run *run)
{
    long status = 0;
    (void)curl_easy_getinfo(run->line->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static void touch(struct run *run)
{
    run->active_ns = io_monotonic_ns(run->client->options.io);
}

/* Name and value, each with its NUL, into the answer's text. */
static void keep_header(struct http_answer *answer, struct span line)
{
    ptrdiff_t colon = span_find_byte(line, ':');
    if (colon <= 0 || answer->header_count == HTTP_CLIENT_HEADERS_MAX ||
        answer->header_text.bytes + line.bytes > HEADER_TEXT_BYTES_MAX) {
        return;
    }
    buf_append(&answer->header_text, span_first(line, (size_t)colon));
    buf_append_byte(&answer->header_text, 0);
    buf_append(&answer->header_text, span_trim(span_from(line, (size_t)colon + 1)));
    buf_append_byte(&answer->header_text, 0);
    answer->header_count++;
}

static void index_headers(struct http_answer *answer)
{
    const char *at = buf_str(&answer->header_text);
    for (size_t i = 0; i < answer->header_count; i++) {
        answer->headers[i].name = at;
        at += strlen(at) + 1;
        answer->headers[i].value = at;
        at += strlen(at) + 1;
    }
}

/* All headers are there: does the server know the secret? 0 or a fault. */
static int check_proof(struct run *run, int status)
{
    const char *header = http_answer_header(&run->answer, CONTROL_ANSWER_HEADER);
    int rc = control_client_check(run->seal, status, header, run->expected_hash);
    if (rc == 0) {
        run->answer.proven = true;
    } else if (status >= 400) {
        /* An I/O thread's refusal; it claims nothing that we would act on as a success. */
        rc = 0;
    }
    return rc;
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct run *run = context;
    struct span line = span_of(data, size * count);
    touch(run);
    if (span_starts_with(line, SPAN_LIT("HTTP/"))) {
        buf_clear(&run->answer.header_text); /* a 100 Continue may have come before */
        run->answer.header_count = 0;
    } else if (span_trim(line).bytes > 0) {
        keep_header(&run->answer, line);
    } else if (run->seal != NULL && status_of(run) >= 200) {
        index_headers(&run->answer);
        int rc = check_proof(run, (int)status_of(run));
        if (rc < 0) {
            return stop_with(run, rc);
        }
    }
    return line.bytes;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct run *run = context;
    struct span piece = span_of(data, size * count);
    long status = status_of(run);
    size_t bound = run->call->answer_bytes_max > 0 ? run->call->answer_bytes_max : ANSWER_BYTES_MAX;
    touch(run);
    if (run->expected_hash[0] != 0) {
        (void)crypto_hash_sha256_update(&run->got_hash, piece.data, piece.bytes);
    }
    if (run->call->push != NULL && status >= 200 && status < 300) {
        if (run->call->begin != NULL && !run->begun) {
            index_headers(&run->answer);
            run->call->begin(run->call->push_context, &run->answer);
        }
        run->begun = true;
        int rc = run->call->push(run->call->push_context, piece);
        touch(run); /* it may have taken its time */
        return rc == 0 ? piece.bytes
                       : stop_with(run, rc < 0 ? rc : err_set(ERR_CANCELLED, "cancelled"));
    }
    if (run->answer.body.bytes + piece.bytes > bound) {
        return stop_with(run, err_set(ERR_TOO_LARGE, "the answer has more than %zu bytes", bound));
    }
    buf_append(&run->answer.body, piece);
    return piece.bytes;
}

static size_t on_pull(char *into, size_t size, size_t count, void *context)
{
    struct run *run = context;
    size_t got = 0;
    run->pull_count++;
    int rc = run->call->pull(run->call->pull_context, into, size * count, &got);
    touch(run);
    if (rc < 0) {
        run->rc = rc;
        return CURL_READFUNC_ABORT;
    }
    if (run->seal != NULL) {
        (void)crypto_hash_sha256_update(&run->sent_hash, (const uint8_t *)into, got);
    }
    return got;
}

static void final_hex(crypto_hash_sha256_state *state, char ret_hex[CONTROL_HASH_TEXT_BYTES])
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256_final(state, hash);
    (void)sodium_bin2hex(ret_hex, CONTROL_HASH_TEXT_BYTES, hash, sizeof(hash));
}

static int on_trailer(struct curl_slist **list, void *context)
{
    struct run *run = context;
    char hash[CONTROL_HASH_TEXT_BYTES];
    char mac[CONTROL_HASH_TEXT_BYTES];
    char line[sizeof(CONTROL_TRAILER) + CONTROL_HASH_TEXT_BYTES + 2];
    final_hex(&run->sent_hash, hash);
    control_client_trailer(run->seal, hash, mac);
    (void)snprintf(line, sizeof(line), "%s: %s", CONTROL_TRAILER, mac);
    *list = curl_slist_append(*list, line);
    return CURL_TRAILERFUNC_OK;
}

/* ── One call ────────────────────────────────────────────────────────────────────────────── */

static const char *method_of(const struct http_call *call)
{
    return call->method != NULL ? call->method : "GET";
}

static void add_header(struct run *run, const char *name, const char *value)
{
    char *line = mem_printf("%s: %s", name, value);
    run->headers = curl_slist_append(run->headers, line);
    mem_free(line);
}

static void set_headers(struct run *run, const char *signature)
{
    const struct http_call *call = run->call;
    bool has_body = call->body.bytes > 0 || call->pull != NULL;
    if (has_body) {
        add_header(run, "Content-Type",
                   call->content_type != NULL ? call->content_type : "application/json");
    } else {
        run->headers = curl_slist_append(run->headers, "Content-Type:"); /* curl: none */
    }
    for (size_t i = 0; i < call->header_count; i++) {
        add_header(run, call->headers[i].name, call->headers[i].value);
    }
    if (signature != NULL) {
        add_header(run, CONTROL_HEADER, signature);
    }
    /* A signed stream waits for consent: when the session is unknown it can be sent again. */
    if (call->pull != NULL && signature != NULL) {
        add_header(run, "Expect", "100-continue");
    } else {
        run->headers = curl_slist_append(run->headers, "Expect:");
    }
}

#define SET(option, value) CHECK(curl_easy_setopt(easy, option, value) == CURLE_OK)

static void set_method(struct run *run)
{
    CURL *easy = run->line->easy;
    const struct http_call *call = run->call;
    const char *method = method_of(call);
    bool get = strcmp(method, "GET") == 0;
    if (strcmp(method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    } else if (call->pull != NULL) {
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)-1);
        SET(CURLOPT_READFUNCTION, on_pull);
        SET(CURLOPT_READDATA, run);
        if (run->seal != NULL) {
            SET(CURLOPT_TRAILERFUNCTION, on_trailer);
            SET(CURLOPT_TRAILERDATA, run);
        }
        SET(CURLOPT_CUSTOMREQUEST, method);
    } else if (!get || call->body.bytes > 0) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.bytes);
        SET(CURLOPT_POSTFIELDS,
            call->body.bytes > 0 ? (const char *)call->body.data : (const char *)"");
        SET(CURLOPT_CUSTOMREQUEST, method);
    }
}

static int set_options(struct run *run)
{
    CURL *easy = run->line->easy;
    const struct http_client_options *options = &run->client->options;
    SET(CURLOPT_COOKIEFILE, NULL); /* a reset would forget the list without freeing it */
    curl_easy_reset(easy);
    if (curl_easy_setopt(easy, CURLOPT_URL, run->call->url) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK) {
        return err_set(ERR_INVALID, "not a URL: %s", run->call->url);
    }
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_USERAGENT, options->user_agent);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms);
    SET(CURLOPT_TIMEOUT_MS, (long)run->call->timeout_ms);
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_ERRORBUFFER, run->fault);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, run);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, run);
    SET(CURLOPT_HTTPHEADER, run->headers);
    if (run->client->cookies != NULL) {
        SET(CURLOPT_SHARE, run->client->cookies);
        SET(CURLOPT_COOKIEFILE, ""); /* switches cookies on, reads no file */
    }
    if (options->ca_path != NULL || options->tls_insecure) {
        SET(CURLOPT_CAINFO, options->ca_path);
        SET(CURLOPT_CAPATH, NULL); /* else it reads, and trusts, all that the system trusts too */
    }
    SET(CURLOPT_SSLCERT, options->tls_cert_path); /* NULL: none */
    SET(CURLOPT_SSLKEY, options->tls_key_path);
    SET(CURLOPT_SSL_VERIFYPEER, options->tls_insecure ? 0L : 1L);
    SET(CURLOPT_SSL_VERIFYHOST, options->tls_insecure ? 0L : 2L);
    set_method(run);
    return 0;
}

static int fault_of(struct run *run, CURLcode code)
{
    const char *text = http_words_of(run->line->easy, code, run->fault);
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(ERR_TIMEOUT, "%s: %s", run->line->origin, text);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return err_set(ERR_INVALID, "%s: %s", run->call->url, text);
    default:
        return err_set(ERR_UNAVAILABLE, "%s: %s", run->line->origin, text);
    }
}

static int wait_ms(const struct run *run)
{
    if (run->call->idle_ms == 0) {
        return POLL_MS;
    }
    int64_t quiet_ms = (io_monotonic_ns(run->client->options.io) - run->active_ns) / TIME_MS_NS;
    return (int)MIN(MAX((int64_t)run->call->idle_ms - quiet_ms, (int64_t)0), (int64_t)POLL_MS);
}

static bool has_been_idle(const struct run *run)
{
    return run->call->idle_ms > 0 && wait_ms(run) == 0;
}

/* Drives the transfer to its end. 0 or a fault. */
static int transfer(struct run *run)
{
    struct http_cancel *cancel = run->call->cancel;
    CURLM *multi = run->line->multi;
    int running = 1;
    int rc = 0;
    touch(run);
    CHECK(curl_multi_add_handle(multi, run->line->easy) == CURLM_OK);
    cancel_enter(cancel, multi);
    while (rc == 0) {
        if (cancel != NULL && http_cancel_fired(cancel)) {
            rc = err_set(ERR_CANCELLED, "%s: cancelled", run->line->origin);
        } else if (curl_multi_perform(multi, &running) != CURLM_OK) {
            rc = err_set(ERR_IO, "%s: the transfer failed", run->line->origin);
        } else if (running == 0) {
            break;
        } else if (has_been_idle(run)) {
            rc =
                err_set(ERR_TIMEOUT, "%s: silent for %u ms", run->line->origin, run->call->idle_ms);
        } else {
            (void)curl_multi_poll(multi, NULL, 0, wait_ms(run), NULL);
        }
    }
    cancel_leave(cancel, multi);
    CURLMsg *message = curl_multi_info_read(multi, &running); /* how many more: not asked */
    if (rc == 0 && run->rc < 0) {
        rc = run->rc; /* its text is still this thread's */
    } else if (rc == 0 && message != NULL && message->data.result != CURLE_OK) {
        rc = fault_of(run, message->data.result);
    }
    run->answer.status = (int)status_of(run);
    (void)curl_multi_remove_handle(multi, run->line->easy);
    return rc;
}

static int check_body_hash(struct run *run)
{
    if (!run->answer.proven || strcmp(run->expected_hash, "-") == 0 ||
        strcmp(method_of(run->call), "HEAD") == 0) {
        return 0;
    }
    char hash[CONTROL_HASH_TEXT_BYTES];
    final_hex(&run->got_hash, hash);
    if (sodium_memcmp(hash, run->expected_hash, sizeof(hash)) != 0) {
        return err_set(ERR_AUTH, "%s: the answer's body was altered", run->line->origin);
    }
    return 0;
}

/* The length of "scheme://host:port". */
static size_t origin_bytes(const char *url)
{
    const char *host = strstr(url, "://");
    if (host == NULL) {
        return strlen(url);
    }
    return (size_t)(host + 3 - url) + strcspn(host + 3, "/?#");
}

/* With a seal: signed. ret_pulled: the body has been asked for. */
static int call_once(struct http_client *client, const struct http_call *call,
                     const struct control_seal *seal, const char *signature,
                     struct http_answer *ret_answer, bool *ret_pulled)
{
    char *origin = mem_strndup(call->url, origin_bytes(call->url));
    struct run run = {.call = call, .client = client, .seal = seal};
    run.line = take_line(client, origin);
    mem_free(origin);
    (void)crypto_hash_sha256_init(&run.sent_hash);
    (void)crypto_hash_sha256_init(&run.got_hash);
    set_headers(&run, signature);
    int rc = set_options(&run);
    rc = rc < 0 ? rc : transfer(&run);
    rc = rc < 0 ? rc : check_body_hash(&run);
    *ret_pulled = run.pull_count > 0;
    curl_slist_free_all(run.headers);
    if (seal != NULL && call->pull != NULL) {
        renew_handle(run.line);
    }
    give_line(client, run.line);
    if (rc < 0) {
        http_answer_deinit(&run.answer);
        return rc;
    }
    *ret_answer = run.answer;
    index_headers(ret_answer);
    return 0;
}

/* ── Signed calls ────────────────────────────────────────────────────────────────────────── */

static struct peer *find_peer(struct http_client *client, struct span origin)
{
    pthread_mutex_lock(&client->lock);
    struct peer *peer = map_get(&client->peers, origin);
    if (peer == NULL) {
        peer = MEM_NEW(struct peer);
        pthread_mutex_init(&peer->lock, NULL);
        (void)map_put(&client->peers, origin, peer);
    }
    pthread_mutex_unlock(&client->lock);
    return peer;
}

/* The peer's lock is held. */
static int say_hello(struct http_client *client, const struct http_call *signed_call,
                     struct span origin, struct peer *peer)
{
    struct control_client session;
    bool pulled;
    struct http_answer answer = {0};
    control_client_begin(&session, client->options.io);
    char *url = mem_printf("%.*s%s", SPAN_ARG(origin), CONTROL_HELLO_PATH);
    char *body = mem_printf("{\"Nonce\":\"%s\"}", session.nonce);
    bool hurried = signed_call->timeout_ms > 0 && signed_call->timeout_ms < HELLO_TIMEOUT_MS;
    struct http_call call = {.method = "POST",
                             .url = url,
                             .body = span_of_str(body),
                             .timeout_ms = hurried ? signed_call->timeout_ms : HELLO_TIMEOUT_MS,
                             .answer_bytes_max = 4096,
                             .cancel = signed_call->cancel};
    int rc = call_once(client, &call, NULL, NULL, &answer, &pulled);
    if (rc == 0 && answer.status != 200) {
        rc = err_set(answer.status >= 500 ? ERR_UNAVAILABLE : ERR_PROTOCOL,
                     "%.*s: Control-Auth hello: %s", SPAN_ARG(origin), http_answer_error(&answer));
    }
    json_t *json =
        rc == 0 ? json_loadb((const char *)answer.body.data, answer.body.bytes, 0, NULL) : NULL;
    if (rc == 0) {
        rc = control_client_accept(&session, client->options.control_secret,
                                   json_string_value(json_object_get(json, "Session")),
                                   json_string_value(json_object_get(json, "Nonce")));
    }
    if (rc == 0) {
        peer->session = session;
    }
    json_decref(json);
    http_answer_deinit(&answer);
    mem_free(url);
    mem_free(body);
    return rc;
}

static const char *target_of(const char *url)
{
    const char *target = url + origin_bytes(url);
    return target[0] == 0 ? "/" : target;
}

static int sign(struct http_client *client, const struct http_call *call, struct peer *peer,
                struct control_seal *ret_seal, char ret_header[CONTROL_HEADER_BYTES_MAX])
{
    char hash[CONTROL_HASH_TEXT_BYTES] = "trailer";
    if (call->pull == NULL) {
        control_hash(call->body, hash);
    }
    int rc = 0;
    pthread_mutex_lock(&peer->lock);
    if (peer->session.session[0] == 0) {
        rc = say_hello(client, call, span_of(call->url, origin_bytes(call->url)), peer);
    }
    if (rc == 0) {
        control_client_sign(&peer->session, method_of(call), target_of(call->url), hash, ret_seal,
                            ret_header);
    }
    pthread_mutex_unlock(&peer->lock);
    return rc;
}

static void forget_session(struct peer *peer, const struct control_seal *seal)
{
    pthread_mutex_lock(&peer->lock);
    if (strcmp(peer->session.session, seal->session) == 0) {
        peer->session.session[0] = 0;
    }
    pthread_mutex_unlock(&peer->lock);
}

/* What a refusal of Control-Auth means to the caller. */
static int fault_of_refusal(const struct http_call *call, const char *refused)
{
    int origin = (int)origin_bytes(call->url);
    if (strcmp(refused, control_refusal_name(CONTROL_REPLAYED)) == 0) {
        /* The same bytes came twice: curl repeated them on a new connection when the first one
         * broke. Whether the request was carried out is not known. */
        return err_set(ERR_UNAVAILABLE, "%.*s: the connection broke during the call", origin,
                       call->url);
    }
    return err_set(ERR_AUTH, "%.*s: refused the control secret (%s)", origin, call->url, refused);
}

static int call_signed(struct http_client *client, const struct http_call *call,
                       struct http_answer *ret_answer)
{
    if (client->options.control_secret == NULL) {
        return err_set(ERR_INVALID, "%s: there is no control secret (Control-Auth)", call->url);
    }
    struct peer *peer = find_peer(client, span_of(call->url, origin_bytes(call->url)));
    for (int attempt = 0;; attempt++) {
        struct control_seal seal;
        char header[CONTROL_HEADER_BYTES_MAX];
        bool pulled = false;
        int rc = sign(client, call, peer, &seal, header);
        rc = rc < 0 ? rc : call_once(client, call, &seal, header, ret_answer, &pulled);
        if (rc < 0) {
            return rc;
        }
        const char *refused = http_answer_header(ret_answer, CONTROL_REFUSED_HEADER);
        if (ret_answer->status != 401 || refused == NULL) {
            return 0;
        }
        bool unknown = strcmp(refused, control_refusal_name(CONTROL_UNKNOWN_SESSION)) == 0;
        if (unknown) {
            forget_session(peer, &seal);
        }
        rc = fault_of_refusal(call, refused);
        http_answer_deinit(ret_answer);
        if (!unknown || pulled || attempt > 0) {
            return rc;
        }
    }
}

int http_call(struct http_client *client, const struct http_call *call,
              struct http_answer *ret_answer)
{
    bool pulled;
    struct http_answer answer = {0};
    int rc = call->control ? call_signed(client, call, &answer)
                           : call_once(client, call, NULL, NULL, &answer, &pulled);
    if (rc == 0) {
        *ret_answer = answer;
    }
    return rc;
}
