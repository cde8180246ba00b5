#include "webserver/search_indexers.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/time.h"
#include "base/vec.h"
#include "conf/conf.h"

#define INDEXER_PORT 9404

struct indexer {
    char *name;       /* host:port, brackets around v6 */
    VEC(char *) tags; /* what it said last */
    int64_t asked_ns; /* monotonic; TIME_UNSET: never */
    bool answered;    /* the last time */
};

struct search_indexers {
    struct io *io;
    struct http_client *client;
    const char *scheme;
    pthread_mutex_t lock; /* over what follows; held while indexers are asked for their tags */
    VEC(struct indexer) list;
};

static int add(struct search_indexers *indexers, const char *text)
{
    struct buf host = {0};
    uint16_t port = 0;
    int rc = conf_host_port(span_of_str(text), INDEXER_PORT, &host, &port);
    if (rc < 0) {
        buf_deinit(&host);
        return err_wrap(rc, "Remote-Indexers");
    }
    bool v6 = span_find_byte(buf_span(&host), ':') >= 0;
    struct indexer indexer = {
        .name = mem_printf(v6 ? "[%s]:%u" : "%s:%u", buf_str(&host), port),
        .asked_ns = TIME_UNSET,
    };
    vec_push(&indexers->list, indexer);
    buf_deinit(&host);
    return 0;
}

int search_indexers_new(struct webserver *webserver, struct search_indexers **ret_indexers)
{
    struct search_indexers *indexers = MEM_NEW(struct search_indexers);
    const struct conf *conf = webserver->conf;
    size_t count = conf_list_count(conf, CONF_GLOBAL, "Remote-Indexers");
    bool plain = conf_bool(conf, CONF_GLOBAL, "Control-Insecure-Disable-TLS");
    indexers->io = webserver->io;
    indexers->scheme = plain ? "http" : "https";
    CHECK(pthread_mutex_init(&indexers->lock, NULL) == 0);
    int rc = count <= SEARCH_INDEXERS_MAX
                 ? 0
                 : err_set(ERR_TOO_LARGE, "more than %d Remote-Indexers", SEARCH_INDEXERS_MAX);
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = add(indexers, conf_list(conf, CONF_GLOBAL, "Remote-Indexers", i));
    }
    struct http_client_options options = {
        .io = webserver->io,
        .control_secret = webserver->control_secret,
        .tls_insecure = conf_bool(conf, CONF_GLOBAL, "Control-Insecure-Skip-TLS-Verify"),
        .idle_connections_max = 4 * (count + 1),
    };
    rc = rc < 0 ? rc : http_client_new(&options, &indexers->client);
    if (rc < 0) {
        search_indexers_free(&indexers);
        return rc;
    }
    *ret_indexers = indexers;
    return 0;
}

static void clear_tags(struct indexer *indexer)
{
    for (size_t i = 0; i < indexer->tags.count; i++) {
        mem_free(indexer->tags.items[i]);
    }
    vec_clear(&indexer->tags);
}

void search_indexers_free(struct search_indexers **pointer)
{
    struct search_indexers *indexers = *pointer;
    if (indexers == NULL) {
        return;
    }
    for (size_t i = 0; i < indexers->list.count; i++) {
        clear_tags(&indexers->list.items[i]);
        vec_deinit(&indexers->list.items[i].tags);
        mem_free(indexers->list.items[i].name);
    }
    vec_deinit(&indexers->list);
    http_client_free(&indexers->client);
    CHECK(pthread_mutex_destroy(&indexers->lock) == 0);
    mem_free(indexers);
    *pointer = NULL;
}

size_t search_indexers_count(const struct search_indexers *indexers)
{
    return indexers->list.count;
}

const char *search_indexer_name(const struct search_indexers *indexers, size_t index)
{
    return indexers->list.items[index].name;
}

struct http_client *search_indexers_client(const struct search_indexers *indexers)
{
    return indexers->client;
}

char *search_indexer_url(const struct search_indexers *indexers, size_t index, const char *path)
{
    return mem_printf("%s://%s%s", indexers->scheme, indexers->list.items[index].name, path);
}

const char *search_indexer_fault(const struct search_indexers *indexers, size_t index,
                                 const char *text)
{
    char *origin = search_indexer_url(indexers, index, ": ");
    size_t bytes = strlen(origin);
    const char *rest = strncmp(text, origin, bytes) == 0 ? text + bytes : text;
    mem_free(origin);
    return rest;
}

/* What it said before stays when it does not answer now. */
static void ask(struct search_indexers *indexers, size_t index)
{
    struct indexer *indexer = &indexers->list.items[index];
    char *url = search_indexer_url(indexers, index, "/control/v1/tags");
    struct http_call call = {.url = url, .control = true, .timeout_ms = SEARCH_TAGS_TIMEOUT_MS};
    json_t *json = NULL;
    indexer->asked_ns =
        io_monotonic_ns(indexers->io); /* the answer may be older than its arrival */
    indexer->answered = http_call_json(indexers->client, &call, NULL, &json) == 0;
    if (indexer->answered) {
        clear_tags(indexer);
        size_t i;
        json_t *row;
        json_array_foreach(json_object_get(json, "tags"), i, row)
        {
            const char *name = json_string_value(json_object_get(row, "name"));
            if (name != NULL) {
                vec_push(&indexer->tags, mem_strdup(name));
            }
        }
    }
    json_decref(json);
    mem_free(url);
}

/* Asks those that were asked before `since_ns`. Under the lock. */
static void refresh(struct search_indexers *indexers, int64_t since_ns)
{
    int64_t retry_ns = io_monotonic_ns(indexers->io) - SEARCH_INDEXER_RETRY_MS * TIME_MS_NS;
    for (size_t i = 0; i < indexers->list.count; i++) {
        const struct indexer *indexer = &indexers->list.items[i];
        if (indexer->asked_ns == TIME_UNSET ||
            indexer->asked_ns < (indexer->answered ? since_ns : retry_ns)) {
            ask(indexers, i);
        }
    }
}

static bool known(const struct search_indexers *indexers, const char *tag)
{
    for (size_t i = 0; i < indexers->list.count; i++) {
        for (size_t j = 0; j < indexers->list.items[i].tags.count; j++) {
            if (strcmp(indexers->list.items[i].tags.items[j], tag) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool all_answered(const struct search_indexers *indexers)
{
    for (size_t i = 0; i < indexers->list.count; i++) {
        if (!indexers->list.items[i].answered) {
            return false;
        }
    }
    return true;
}

bool search_indexers_know(struct search_indexers *indexers, const char *tag)
{
    int64_t now_ns = io_monotonic_ns(indexers->io); /* a tag made until now is found */
    CHECK(pthread_mutex_lock(&indexers->lock) == 0);
    bool found = known(indexers, tag);
    if (!found) {
        refresh(indexers, now_ns);
        found = known(indexers, tag) || !all_answered(indexers);
    }
    CHECK(pthread_mutex_unlock(&indexers->lock) == 0);
    return found;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int search_indexers_tags(struct search_indexers *indexers,
                         int (*each)(void *context, const char *name), void *context)
{
    VEC(char *) names = {0};
    CHECK(pthread_mutex_lock(&indexers->lock) == 0);
    refresh(indexers, io_monotonic_ns(indexers->io) - SEARCH_TAGS_AGE_MS * TIME_MS_NS);
    for (size_t i = 0; i < indexers->list.count; i++) {
        for (size_t j = 0; j < indexers->list.items[i].tags.count; j++) {
            vec_push(&names, mem_strdup(indexers->list.items[i].tags.items[j]));
        }
    }
    CHECK(pthread_mutex_unlock(&indexers->lock) == 0);
    if (names.count > 0) {
        qsort(names.items, names.count, sizeof(char *), by_name);
    }
    int rc = 0;
    for (size_t i = 0; i < names.count; i++) {
        bool again = i > 0 && strcmp(names.items[i - 1], names.items[i]) == 0;
        rc = rc != 0 || again ? rc : each(context, names.items[i]);
    }
    for (size_t i = 0; i < names.count; i++) {
        mem_free(names.items[i]);
    }
    vec_deinit(&names);
    return rc;
}
