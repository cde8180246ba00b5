/* Tested by tests/cluster/test_search_remote.py. */
#include "webserver/search_remote.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/time.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "net/http_client.h"
#include "sync/sync.h"
#include "webserver/auth.h"
#include "webserver/search_one.h"

#define FORWARDED "X-Aquifer-Forwarded" /* a request that was passed on is not passed on again */
#define LIST_TIMEOUT_MS 2000
#define IDLE_MS 65000
#define CONNECT_TIMEOUT_MS 2000

struct search_remote {
    struct http_client *client;
    const char *scheme;
};

/* One other webserver. */
struct peer {
    char addr[256];
    bool up;
};

int search_remote_new(struct webserver *webserver, struct search_remote **ret_remote)
{
    const struct conf *conf = webserver->conf;
    struct search_remote *remote = MEM_NEW(struct search_remote);
    remote->scheme = conf_bool(conf, CONF_GLOBAL, "Insecure-Disable-HTTPS") ? "http" : "https";
    struct http_client_options options = {
        .io = webserver->io,
        .tls_insecure = conf_bool(conf, CONF_GLOBAL, "Search-Forwarding-Insecure-Skip-TLS-Verify"),
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
    };
    int rc = http_client_new(&options, &remote->client);
    if (rc < 0) {
        mem_free(remote);
        return rc;
    }
    *ret_remote = remote;
    return 0;
}

void search_remote_free(struct search_remote **place)
{
    if (*place != NULL) {
        http_client_free(&(*place)->client);
        mem_free(*place);
        *place = NULL;
    }
}

/* ---- whose it is ---- */

static unsigned number_of(const char *id)
{
    char digits[5] = {0};
    if (!search_is_id(id) || strlen(id) < sizeof(digits)) {
        return 0;
    }
    memcpy(digits, id, sizeof(digits) - 1);
    return (unsigned)strtoul(digits, NULL, 10);
}

/* Other webservers of that number; 0: all. mem_free() */
static struct peer *peers_of(struct webserver *webserver, unsigned number, size_t *ret_count)
{
    struct sync_webserver *known = mem_alloc_array(SYNC_WEBSERVERS_MAX, sizeof(*known));
    size_t count = sync_webservers(webserver->sync, known, SYNC_WEBSERVERS_MAX);
    struct peer *peers = mem_alloc_array(count + 1, sizeof(*peers));
    *ret_count = 0;
    for (size_t i = 0; i < count; i++) {
        bool wanted = number == 0 || search_number_of(known[i].id) == number;
        if (wanted && !uuid_equal(known[i].id, webserver->uuid) &&
            known[i].external_addr[0] != '\0') {
            struct peer *peer = &peers[(*ret_count)++];
            (void)snprintf(peer->addr, sizeof(peer->addr), "%s", known[i].external_addr);
            peer->up = known[i].up;
        }
    }
    mem_free(known);
    return peers;
}

static int gone(const char *id, const struct peer *peer, const char *why)
{
    return err_set(ERR_UNAVAILABLE, "search %.16s is on the webserver %s, which %s", id, peer->addr,
                   why);
}

/* ---- passing a request on ---- */

struct passing {
    struct http_request *request;
    struct http_stream *stream;
    const struct http_answer *answer;
    bool refused;
};

static void on_begin(void *context, const struct http_answer *answer)
{
    ((struct passing *)context)->answer = answer;
}

static void copy_header(struct passing *passing, const char *name)
{
    const char *value = http_answer_header(passing->answer, name);
    if (value != NULL) {
        http_reply_header(passing->request, name, value);
    }
}

static const char *type_of(const struct http_answer *answer)
{
    const char *type = http_answer_header(answer, "Content-Type");
    return type == NULL ? "application/json" : type;
}

/* The client has left: that ends the call, and the other webserver notices. */
static int on_push(void *context, struct span piece)
{
    struct passing *passing = context;
    if (passing->stream == NULL) {
        copy_header(passing, "Content-Disposition");
        int rc = http_reply_stream(passing->request, 200, type_of(passing->answer),
                                   &passing->stream); /* no route answers with another 2xx */
        passing->refused = rc != 0;
        if (rc != 0) {
            return 1;
        }
    }
    return http_stream_write(passing->stream, piece);
}

char *search_remote_credential(struct http_request *request)
{
    const char *header = http_request_header(request, "Authorization");
    const char *protocol = http_request_header(request, "Sec-WebSocket-Protocol");
    const char *cookie = http_request_cookie(request, AUTH_COOKIE);
    if (header != NULL) {
        return mem_strdup(header);
    }
    const char *token = protocol != NULL ? protocol : cookie;
    return mem_printf("Bearer %s", token == NULL ? "" : token);
}

/* 0: it has answered. ERR_NOT_FOUND: the peer does not know the search. */
static int pass_on(struct http_request *request, struct webserver *webserver,
                   const struct peer *peer)
{
    struct search_remote *remote = webserver->search->remote;
    struct passing passing = {.request = request};
    char *credential = search_remote_credential(request);
    const char *token = http_request_header(request, "Gravwell-Token");
    struct http_header headers[] = {
        {FORWARDED, "1"},
        {"Authorization", credential},
        {"Gravwell-Token", token},
    };
    const char *target = http_request_target(request);
    char *url = mem_printf("%s://%s%s", remote->scheme, peer->addr, target);
    struct http_call call = {
        .method = http_request_method(request),
        .url = url,
        .headers = headers,
        .header_count = token == NULL ? 2 : 3,
        .body = http_request_body(request),
        .content_type = http_request_header(request, "Content-Type"),
        .begin = on_begin,
        .push = on_push,
        .push_context = &passing,
        /* what is downloaded while it comes in may come slowly */
        .idle_ms = strstr(target, "/download") != NULL ? 0 : IDLE_MS,
    };
    struct http_answer answer = {0};
    int rc = http_call(remote->client, &call, &answer);
    mem_free(url);
    mem_free(credential);
    if (passing.stream != NULL) {
        if (rc < 0) {
            http_stream_abort(&passing.stream);
        }
        http_stream_end(&passing.stream);
    } else if (rc == 0 && answer.status != 404) {
        http_reply(request, answer.status, type_of(&answer), buf_span(&answer.body));
    } else if (rc == 0) {
        rc = err_set(ERR_NOT_FOUND, "%s", http_answer_error(&answer));
        http_answer_deinit(&answer);
        return rc;
    }
    bool answered = passing.stream != NULL || passing.refused || rc == 0 || rc == ERR_CANCELLED;
    if (rc == 0) {
        http_answer_deinit(&answer);
    }
    return answered ? 0 : rc;
}

bool search_remote_answer(struct http_request *request, struct webserver *webserver)
{
    const char *id = http_request_param(request, "id");
    unsigned number = number_of(id);
    if (http_request_header(request, FORWARDED) != NULL || number == 0) {
        return false;
    }
    size_t count = 0;
    struct peer *peers = peers_of(webserver, number, &count);
    int rc = ERR_NOT_FOUND;
    for (size_t i = 0; i < count && rc == ERR_NOT_FOUND; i++) {
        rc = peers[i].up ? pass_on(request, webserver, &peers[i]) : gone(id, &peers[i], "is down");
        if (rc == ERR_UNAVAILABLE && peers[i].up) {
            rc = gone(id, &peers[i], "cannot be reached");
        }
    }
    if (rc < 0 && rc != ERR_NOT_FOUND) {
        http_reply_fault(request, rc);
    }
    mem_free(peers);
    return rc != ERR_NOT_FOUND;
}

/* What the other one said, without its address and status: it is as if we had said it. */
static int in_its_words(int rc, const char *url)
{
    char *text = mem_strdup(err_text());
    size_t bytes = strlen(url);
    const char *rest = strncmp(text, url, bytes) == 0 ? strstr(text + bytes, ": ") : NULL;
    rest = rest == NULL ? NULL : strstr(rest + 2, ": ");
    if (rest != NULL) {
        rc = err_set((enum err)rc, "%s", rest + 2);
    }
    mem_free(text);
    return rc;
}

int search_remote_call(struct webserver *webserver, const char *credential, const char *method,
                       const char *id, const char *path, const json_t *body, json_t **ret_json)
{
    struct search_remote *remote = webserver->search->remote;
    size_t count = 0;
    struct peer *peers = peers_of(webserver, MAX(number_of(id), 1U), &count);
    int rc = err_set(ERR_NOT_FOUND, "there is no search %.16s", id);
    for (size_t i = 0; i < count && rc == ERR_NOT_FOUND; i++) {
        struct http_header headers[] = {{FORWARDED, "1"}, {"Authorization", credential}};
        char *url =
            mem_printf("%s://%s/api/searchctrl/%s%s", remote->scheme, peers[i].addr, id, path);
        struct http_call call = {
            .method = method,
            .url = url,
            .headers = headers,
            .header_count = ARRAY_COUNT(headers),
            .idle_ms = IDLE_MS,
        };
        rc = peers[i].up ? http_call_json(remote->client, &call, body, ret_json)
                         : gone(id, &peers[i], "is down");
        if (rc == ERR_UNAVAILABLE && peers[i].up) {
            rc = gone(id, &peers[i], "cannot be reached");
        } else if (rc < 0 && peers[i].up) {
            rc = in_its_words(rc, url);
        }
        mem_free(url);
    }
    mem_free(peers);
    return rc;
}

/* ---- lists ---- */

struct asking {
    struct search_remote *remote;
    const struct peer *peer;
    const char *target;
    const char *credential;
    const char *token;
    json_t *answer;
    pthread_t thread;
};

static void *ask(void *context)
{
    struct asking *asking = context;
    struct http_header headers[] = {
        {FORWARDED, "1"},
        {"Authorization", asking->credential},
        {"Gravwell-Token", asking->token},
    };
    char *url = mem_printf("%s://%s%s", asking->remote->scheme, asking->peer->addr, asking->target);
    struct http_call call = {
        .url = url,
        .headers = headers,
        .header_count = asking->token == NULL ? 2 : 3,
        .timeout_ms = LIST_TIMEOUT_MS,
    };
    if (http_call_json(asking->remote->client, &call, NULL, &asking->answer) < 0) {
        asking->answer = NULL;
    }
    mem_free(url);
    return NULL;
}

static const char *id_in(const json_t *row)
{
    const char *id = json_string_value(json_object_get(row, "ID"));
    return id == NULL ? "" : id;
}

static bool has_id(const json_t *list, const char *id)
{
    size_t i;
    json_t *row;
    json_array_foreach(list, i, row)
    {
        if (strcmp(id_in(row), id) == 0) {
            return true;
        }
    }
    return false;
}

static int64_t started(const json_t *row)
{
    int64_t time_ns = TIME_UNSET;
    const json_t *info = json_object_get(row, "LaunchInfo");
    const char *text = json_string_value(json_object_get(info, "started"));
    return text != NULL && time_parse(span_of_str(text), &time_ns) ? time_ns : INT64_MIN;
}

/* Puts the row before the first one that was started earlier. */
static void insert(json_t *list, json_t *row)
{
    size_t at = 0;
    while (at < json_array_size(list) && started(json_array_get(list, at)) >= started(row)) {
        at++;
    }
    json_array_insert(list, at, row);
}

static void merge(void *context, const json_t *more)
{
    json_t *list = context;
    size_t i;
    json_t *row;
    json_array_foreach(more, i, row)
    {
        if (!has_id(list, id_in(row))) {
            insert(list, row);
        }
    }
}

void search_remote_ask(struct http_request *request, struct webserver *webserver,
                       const char *target, void (*take)(void *context, const json_t *answer),
                       void *context)
{
    if (http_request_header(request, FORWARDED) != NULL) {
        return;
    }
    size_t count = 0;
    struct peer *peers = peers_of(webserver, 0, &count);
    struct asking *asked = mem_alloc_array(count + 1, sizeof(*asked));
    char *credential = search_remote_credential(request);
    for (size_t i = 0; i < count; i++) {
        asked[i] = (struct asking){
            .remote = webserver->search->remote,
            .peer = &peers[i],
            .target = target,
            .credential = credential,
            .token = http_request_header(request, "Gravwell-Token"),
        };
        if (peers[i].up) {
            CHECK(pthread_create(&asked[i].thread, NULL, ask, &asked[i]) == 0);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (peers[i].up) {
            CHECK(pthread_join(asked[i].thread, NULL) == 0);
            take(context, asked[i].answer);
            json_decref(asked[i].answer);
        }
    }
    mem_free(credential);
    mem_free(asked);
    mem_free(peers);
}

void search_remote_list(struct http_request *request, struct webserver *webserver, json_t *list)
{
    search_remote_ask(request, webserver, http_request_target(request), merge, list);
}
