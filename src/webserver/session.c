#include "webserver/session.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

struct session_list {
    pthread_mutex_t lock;
    int64_t timeout_ns;
    struct map seen; /* session -> struct session_seen, owned */
};

struct session_list *session_list_new(int64_t timeout_ns)
{
    struct session_list *list = MEM_NEW(struct session_list);
    pthread_mutex_init(&list->lock, NULL);
    list->timeout_ns = timeout_ns;
    return list;
}

void session_list_free(struct session_list **list)
{
    if (*list == NULL) {
        return;
    }
    struct span key;
    void *seen;
    for (size_t cursor = 0; map_next(&(*list)->seen, &cursor, &key, &seen);) {
        mem_free(seen);
    }
    map_deinit(&(*list)->seen);
    pthread_mutex_destroy(&(*list)->lock);
    mem_free(*list);
    *list = NULL;
}

static void forget_idlest(struct session_list *list)
{
    struct session_seen *idlest = NULL;
    struct span key;
    void *value;
    for (size_t cursor = 0; map_next(&list->seen, &cursor, &key, &value);) {
        struct session_seen *seen = value;
        if (idlest == NULL || seen->last_hit_ns < idlest->last_hit_ns) {
            idlest = seen;
        }
    }
    if (idlest != NULL) {
        (void)map_remove(&list->seen, span_of_str(idlest->session));
        mem_free(idlest);
    }
}

static void copy_text(char *to, size_t bytes, const char *from)
{
    size_t length = MIN(strlen(from), bytes - 1);
    memcpy(to, from, length);
    to[length] = 0;
}

void session_hit(struct session_list *list, const char *session, int32_t uid, const char *origin,
                 int64_t now_ns)
{
    pthread_mutex_lock(&list->lock);
    struct session_seen *seen = map_get_str(&list->seen, session);
    if (seen == NULL) {
        if (list->seen.count >= SESSION_MAX) {
            forget_idlest(list);
        }
        seen = MEM_NEW(struct session_seen);
        copy_text(seen->session, sizeof(seen->session), session);
        (void)map_put(&list->seen, span_of_str(seen->session), seen);
    }
    seen->uid = uid;
    seen->last_hit_ns = now_ns;
    copy_text(seen->origin, sizeof(seen->origin), origin);
    pthread_mutex_unlock(&list->lock);
}

void session_gone(struct session_list *list, const char *session)
{
    pthread_mutex_lock(&list->lock);
    mem_free(map_remove(&list->seen, span_of_str(session)));
    pthread_mutex_unlock(&list->lock);
}

static int latest_first(const void *a, const void *b)
{
    const struct session_seen *first = a;
    const struct session_seen *second = b;
    return (first->last_hit_ns < second->last_hit_ns) - (first->last_hit_ns > second->last_hit_ns);
}

size_t session_of_user(struct session_list *list, int32_t uid, int64_t now_ns,
                       struct session_seen *ret_sessions, size_t max)
{
    size_t count = 0;
    struct span key;
    void *value;
    pthread_mutex_lock(&list->lock);
    for (size_t cursor = 0; count < max && map_next(&list->seen, &cursor, &key, &value);) {
        const struct session_seen *seen = value;
        if (seen->uid == uid && now_ns - seen->last_hit_ns < list->timeout_ns) {
            ret_sessions[count++] = *seen;
        }
    }
    pthread_mutex_unlock(&list->lock);
    if (count > 1) {
        qsort(ret_sessions, count, sizeof(*ret_sessions), latest_first);
    }
    return count;
}
