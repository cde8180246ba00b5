/* Tested by cache_test.c, over a real etcd. */
#include "etcd/client.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"

#define PAUSE_MS 50 /* after a round of members that did not answer */
#define WATCH_LINE_BYTES_MAX (256u << 20)

struct etcd {
    struct io *io;
    char *urls[ETCD_MEMBERS_MAX];
    size_t url_count;
    unsigned attempt_ms; /* for one member */
    char *prefix;
    struct http_client *client;
    struct http_cancel *cancel;
    pthread_mutex_t lock;
    size_t member;  /* the one that calls are sent to; under the lock */
    size_t watched; /* the one to watch next; under the lock */
};

/* ---- life ---- */

static int add_member(struct etcd *etcd, const char *scheme, struct span member)
{
    if (member.bytes == 0 || etcd->url_count == ETCD_MEMBERS_MAX) {
        return err_set(ERR_INVALID, "etcd://h1:2379,h2:2379: between 1 and %d members are expected",
                       ETCD_MEMBERS_MAX);
    }
    char *host = mem_strndup((const char *)member.data, member.bytes);
    const char *bracket = strrchr(host, ']');
    bool has_port = strchr(bracket == NULL ? host : bracket, ':') != NULL;
    etcd->urls[etcd->url_count++] = mem_printf("%s://%s%s", scheme, host, has_port ? "" : ":2379");
    mem_free(host);
    return 0;
}

static int read_url(struct etcd *etcd, const char *url)
{
    bool tls = strncmp(url, "etcds://", 8) == 0;
    if (!tls && strncmp(url, "etcd://", 7) != 0) {
        return err_set(ERR_INVALID, "\"%.64s\": etcd://h1:2379,h2:2379 is expected", url);
    }
    etcd->attempt_ms = tls ? ETCD_TLS_ATTEMPT_MS : ETCD_ATTEMPT_MS;
    const char *members = url + (tls ? 8 : 7);
    const char *slash = strchr(members, '/');
    size_t bytes = slash == NULL ? strlen(members) : (size_t)(slash - members);
    bool named = slash != NULL && slash[1] != 0;
    etcd->prefix = mem_strdup(named ? slash + 1 : "aquifer");
    struct span rest = span_of(members, bytes);
    for (;;) {
        ptrdiff_t comma = span_find_byte(rest, ',');
        struct span member = comma < 0 ? rest : span_first(rest, (size_t)comma);
        int rc = add_member(etcd, tls ? "https" : "http", member);
        if (rc < 0 || comma < 0) {
            return rc;
        }
        rest = span_from(rest, (size_t)comma + 1);
    }
}

static const char *given(const char *path)
{
    return path == NULL || path[0] == 0 ? NULL : path;
}

static int read_tls(const char *url, const struct etcd_tls *tls,
                    struct http_client_options *options)
{
    if (tls == NULL) {
        return 0;
    }
    options->ca_path = given(tls->ca_path);
    options->tls_cert_path = given(tls->cert_path);
    options->tls_key_path = given(tls->key_path);
    bool any = options->ca_path != NULL || options->tls_cert_path != NULL;
    if ((options->tls_cert_path == NULL) != (options->tls_key_path == NULL)) {
        return err_set(ERR_INVALID, "a certificate for etcd and its key are given together");
    }
    if (any && strncmp(url, "etcds://", 8) != 0) {
        return err_set(ERR_INVALID, "certificates are for etcds://, \"%.64s\" is without TLS", url);
    }
    return 0;
}

int etcd_new(struct io *io, const char *url, const struct etcd_tls *tls, struct etcd **ret_etcd)
{
    struct etcd *etcd = MEM_NEW(struct etcd);
    struct http_client_options options = {.io = io};
    etcd->io = io;
    etcd->cancel = http_cancel_new();
    (void)pthread_mutex_init(&etcd->lock, NULL);
    int rc = read_url(etcd, url);
    rc = rc < 0 ? rc : read_tls(url, tls, &options);
    options.connect_timeout_ms = etcd->attempt_ms;
    rc = rc < 0 ? rc : http_client_new(&options, &etcd->client);
    if (rc < 0) {
        etcd_free(&etcd);
        return rc;
    }
    *ret_etcd = etcd;
    return 0;
}

void etcd_free(struct etcd **etcd)
{
    struct etcd *gone = *etcd;
    *etcd = NULL;
    if (gone == NULL) {
        return;
    }
    http_client_free(&gone->client);
    http_cancel_free(&gone->cancel);
    for (size_t i = 0; i < gone->url_count; i++) {
        mem_free(gone->urls[i]);
    }
    mem_free(gone->prefix);
    (void)pthread_mutex_destroy(&gone->lock);
    mem_free(gone);
}

void etcd_cancel(struct etcd *etcd)
{
    http_cancel_fire(etcd->cancel);
}

bool etcd_cancelled(struct etcd *etcd)
{
    return http_cancel_fired(etcd->cancel);
}

const char *etcd_prefix(const struct etcd *etcd)
{
    return etcd->prefix;
}

/* ---- calls ---- */

static size_t present_member(struct etcd *etcd)
{
    (void)pthread_mutex_lock(&etcd->lock);
    size_t member = etcd->member;
    (void)pthread_mutex_unlock(&etcd->lock);
    return member;
}

/* Unless another thread has moved on already. */
static void leave_member(struct etcd *etcd, size_t member)
{
    (void)pthread_mutex_lock(&etcd->lock);
    if (etcd->member == member) {
        etcd->member = (member + 1) % etcd->url_count;
    }
    (void)pthread_mutex_unlock(&etcd->lock);
}

/* A member that ends, or has too much to do, says so by a status that is else the caller's fault.
 */
static int fault_of(int status, const char *text)
{
    if (strstr(text, "database space exceeded") != NULL) {
        return ERR_NO_SPACE;
    }
    return status >= 500 || status == 408 || status == 429 ? ERR_UNAVAILABLE : ERR_INVALID;
}

static int read_answer(struct http_answer *answer, json_t **ret_answer)
{
    if (answer->status / 100 != 2) {
        int status = answer->status;
        const char *text = http_answer_error(answer);
        return err_set((enum err)fault_of(status, text), "%d: %s", status, text);
    }
    json_t *json = json_loadb((const char *)answer->body.data, answer->body.bytes, 0, NULL);
    if (json == NULL) {
        return err_set(ERR_PROTOCOL, "the answer is not JSON");
    }
    *ret_answer = json;
    return 0;
}

static int call_member(struct etcd *etcd, size_t member, const char *path, const char *body,
                       unsigned timeout_ms, json_t **ret_answer)
{
    char *url = mem_printf("%s%s", etcd->urls[member], path);
    struct http_answer answer = {0};
    struct http_call call = {.method = "POST",
                             .url = url,
                             .body = span_of_str(body),
                             .timeout_ms = timeout_ms,
                             .answer_bytes_max = ETCD_ANSWER_BYTES_MAX,
                             .cancel = etcd->cancel};
    int rc = http_call(etcd->client, &call, &answer);
    if (rc == 0) {
        rc = read_answer(&answer, ret_answer);
        http_answer_deinit(&answer);
    }
    if (rc < 0) {
        rc = err_wrap(rc, "etcd %s: %s", etcd->urls[member], path);
    }
    mem_free(url);
    return rc;
}

/* The last attempt is often cut short, or meets a member that hangs: what another one said is told
 * instead. */
static int tried_in_vain(size_t tried, const char *said)
{
    if (tried == 0) {
        return err_set(ERR_TIMEOUT, "etcd: no time");
    }
    return said == NULL ? err_wrap(ERR_UNAVAILABLE, "tried %zu times", tried)
                        : err_set(ERR_UNAVAILABLE, "tried %zu times: %s", tried, said);
}

static int call_any(struct etcd *etcd, const char *path, const char *body, unsigned timeout_ms,
                    json_t **ret_answer)
{
    int64_t until_ns = io_monotonic_ns(etcd->io) + (int64_t)timeout_ms * TIME_MS_NS;
    char *said = NULL;
    int rc = 0;
    for (size_t tried = 0;; tried++) {
        int64_t left_ms = (until_ns - io_monotonic_ns(etcd->io)) / TIME_MS_NS;
        if (left_ms <= 0) {
            rc = tried_in_vain(tried, said);
            break;
        }
        if (tried > 0 && tried % etcd->url_count == 0) {
            (void)poll(NULL, 0, PAUSE_MS);
        }
        size_t member = present_member(etcd);
        /* A call that may take long is one that answers much: it gets the time. */
        unsigned attempt_ms = timeout_ms > ETCD_CALL_MS ? timeout_ms : etcd->attempt_ms;
        rc = call_member(etcd, member, path, body, (unsigned)MIN(left_ms, (int64_t)attempt_ms),
                         ret_answer);
        if (rc == 0 || (rc != ERR_UNAVAILABLE && rc != ERR_TIMEOUT)) {
            break;
        }
        if (rc == ERR_UNAVAILABLE) {
            mem_free(said);
            said = mem_strdup(err_text());
        }
        leave_member(etcd, member);
    }
    mem_free(said);
    return rc;
}

int etcd_call(struct etcd *etcd, const char *path, const json_t *body, unsigned timeout_ms,
              json_t **ret_answer)
{
    char *text = json_dumps(body, JSON_COMPACT);
    CHECK(text != NULL);
    int rc = call_any(etcd, path, text, timeout_ms, ret_answer);
    free(text);
    return rc;
}

/* ---- requests ---- */

json_t *etcd_bytes(struct span bytes)
{
    struct buf text = {0};
    text_base64(&text, bytes);
    json_t *json = json_stringn_nocheck((const char *)text.data, text.bytes);
    buf_deinit(&text);
    return json;
}

json_t *etcd_text(const char *text)
{
    return etcd_bytes(span_of_str(text));
}

json_t *etcd_number(uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, number);
    return json_string(text);
}

json_t *etcd_put(const char *key, struct span value, uint64_t lease)
{
    json_t *put = json_pack("{s:o, s:o}", "key", etcd_text(key), "value", etcd_bytes(value));
    if (lease != 0) {
        json_object_set_new(put, "lease", etcd_number(lease));
    }
    return json_pack("{s:o}", "request_put", put);
}

json_t *etcd_get(const char *key)
{
    return json_pack("{s:{s:o}}", "request_range", "key", etcd_text(key));
}

/* The first key after all that begin with the prefix: its last byte plus one. */
static json_t *range_end(const char *prefix)
{
    char *end = mem_strdup(prefix);
    end[strlen(end) - 1]++;
    json_t *json = etcd_text(end);
    mem_free(end);
    return json;
}

json_t *etcd_get_prefix(const char *prefix)
{
    return json_pack("{s:{s:o, s:o}}", "request_range", "key", etcd_text(prefix), "range_end",
                     range_end(prefix));
}

json_t *etcd_delete_prefix(const char *prefix)
{
    return json_pack("{s:{s:o, s:o}}", "request_delete_range", "key", etcd_text(prefix),
                     "range_end", range_end(prefix));
}

json_t *etcd_if_mod(const char *key, uint64_t mod_revision)
{
    return json_pack("{s:o, s:s, s:s, s:o}", "key", etcd_text(key), "target", "MOD", "result",
                     "EQUAL", "mod_revision", etcd_number(mod_revision));
}

/* ---- answers ---- */

uint64_t etcd_answer_number(const json_t *json, const char *key)
{
    const json_t *value = json_object_get(json, key);
    uint64_t number = 0;
    if (json_is_integer(value)) {
        return (uint64_t)json_integer_value(value);
    }
    const char *text = json_string_value(value);
    return text != NULL && span_to_u64(span_of_str(text), &number) ? number : 0;
}

uint64_t etcd_answer_revision(const json_t *answer)
{
    return etcd_answer_number(json_object_get(answer, "header"), "revision");
}

int etcd_answer_bytes(const json_t *json, const char *key, struct buf *buf)
{
    const char *text = json_string_value(json_object_get(json, key));
    if (text != NULL && !text_unbase64(buf, span_of_str(text))) {
        return err_set(ERR_PROTOCOL, "etcd: %s is not base64", key);
    }
    return 0;
}

/* ---- transactions ---- */

static void set_list(json_t *body, const char *name, json_t *list)
{
    if (list != NULL) {
        json_object_set_new(body, name, list);
    }
}

int etcd_txn(struct etcd *etcd, json_t *compare, json_t *success, json_t *failure,
             unsigned timeout_ms, json_t **ret_answer)
{
    json_t *body = json_object();
    json_t *answer = NULL;
    set_list(body, "compare", compare);
    set_list(body, "success", success);
    set_list(body, "failure", failure);
    int rc = etcd_call(etcd, "/v3/kv/txn", body, timeout_ms, &answer);
    json_decref(body);
    if (rc < 0) {
        return rc;
    }
    bool held = json_is_true(json_object_get(answer, "succeeded"));
    if (ret_answer != NULL) {
        *ret_answer = answer;
    } else {
        json_decref(answer);
    }
    return held ? 0 : ETCD_TXN_ELSE;
}

/* ---- watching ---- */

struct watching {
    const struct etcd_watch *watch;
    struct buf line;
};

static int take_line(struct watching *watching)
{
    struct buf *line = &watching->line;
    json_t *json = json_loadb((const char *)line->data, line->bytes, 0, NULL);
    const json_t *result = json_object_get(json, "result");
    int rc = result != NULL ? watching->watch->each(watching->watch->context, result)
                            : err_set(ERR_UNAVAILABLE, "etcd: the watch: %.200s", buf_str(line));
    json_decref(json);
    buf_clear(line);
    return rc;
}

static int on_data(void *context, struct span data)
{
    struct watching *watching = context;
    int rc = 0;
    for (ptrdiff_t end = span_find_byte(data, '\n'); rc == 0 && end >= 0;
         end = span_find_byte(data, '\n')) {
        buf_append(&watching->line, span_first(data, (size_t)end));
        data = span_from(data, (size_t)end + 1);
        rc = take_line(watching);
    }
    buf_append(&watching->line, data);
    if (rc == 0 && watching->line.bytes > WATCH_LINE_BYTES_MAX) {
        rc = err_set(ERR_TOO_LARGE, "etcd: a line of more than %u bytes", WATCH_LINE_BYTES_MAX);
    }
    return rc;
}

static struct span watch_request(const struct etcd_watch *watch, char **ret_text)
{
    json_t *request = json_pack("{s:{s:o, s:o, s:o, s:b}}", "create_request", "key",
                                etcd_text(watch->prefix), "range_end", range_end(watch->prefix),
                                "start_revision", etcd_number(watch->start), "fragment", 1);
    *ret_text = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    CHECK(*ret_text != NULL);
    return span_of_str(*ret_text);
}

int etcd_watch(struct etcd *etcd, const struct etcd_watch *watch)
{
    struct watching watching = {.watch = watch};
    struct http_answer answer = {0};
    char *body = NULL;
    (void)pthread_mutex_lock(&etcd->lock);
    size_t member = etcd->watched;
    etcd->watched = (member + 1) % etcd->url_count;
    (void)pthread_mutex_unlock(&etcd->lock);
    char *url = mem_printf("%s/v3/watch", etcd->urls[member]);
    struct http_call call = {.method = "POST",
                             .url = url,
                             .body = watch_request(watch, &body),
                             .push = on_data,
                             .push_context = &watching,
                             .idle_ms = watch->idle_ms,
                             .cancel = watch->cancel};
    int rc = http_call(etcd->client, &call, &answer);
    if (rc == 0) {
        rc = err_set(ERR_UNAVAILABLE, "the watch ended: %s",
                     answer.status == 200 ? "by etcd" : http_answer_error(&answer));
        http_answer_deinit(&answer);
    }
    rc = err_wrap(rc, "etcd %s", etcd->urls[member]);
    free(body);
    mem_free(url);
    buf_deinit(&watching.line);
    return rc;
}
