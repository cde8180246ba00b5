#include "sync/history.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/vec.h"
#include "sync/driver.h"

#define VERSIONS_TIMEOUT_MS 2000

static struct object *find_change(const struct object_list *list, struct uuid change)
{
    for (size_t i = 0; i < list->count; i++) {
        if (uuid_equal(list->items[i]->change, change)) {
            return list->items[i];
        }
    }
    return NULL;
}

/* How near it is to the present version in its past; 0: not in what is known of it. */
static size_t nearness(const struct object *present, struct uuid change)
{
    for (size_t i = present->past_count; i-- > 0;) {
        if (uuid_equal(present->past[i], change)) {
            return i + 1;
        }
    }
    return 0;
}

static int compare(const struct object *present, const struct object *a, const struct object *b)
{
    size_t near_a = nearness(present, a->change);
    size_t near_b = nearness(present, b->change);
    if (near_a != near_b) {
        return near_a > near_b ? -1 : 1;
    }
    if (a->updated_ns != b->updated_ns) {
        return a->updated_ns > b->updated_ns ? -1 : 1;
    }
    return memcmp(a->change.bytes, b->change.bytes, sizeof(a->change.bytes));
}

void sync_order_versions(const struct object *present, struct object_list *versions)
{
    for (size_t i = 1; i < versions->count; i++) { /* some twenty of them */
        struct object *one = versions->items[i];
        size_t at = i;
        for (; at > 0 && compare(present, one, versions->items[at - 1]) < 0; at--) {
            versions->items[at] = versions->items[at - 1];
        }
        versions->items[at] = one;
    }
}

int sync_add_versions(const json_t *answer, struct uuid present, struct object_list *versions)
{
    const json_t *list = json_object_get(answer, "versions");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < json_array_size(list); i++) {
        struct object *object = NULL;
        rc = object_from_json(json_array_get(list, i), &object);
        struct object *known = rc == 0 ? find_change(versions, object->change) : NULL;
        if (known != NULL && known->revision == 0) {
            known->revision = object->revision; /* it was replaced here before it was confirmed */
        } else if (rc == 0 && known == NULL && !uuid_equal(object->change, present)) {
            vec_push(versions, object);
            object = NULL;
        }
        object_free(&object);
    }
    return rc;
}

static int ask_datastore(struct sync *sync, const struct object *present,
                         struct object_list *versions)
{
    char id[UUID_TEXT_BYTES];
    char *path = mem_printf("/sync/v1/versions/%s", uuid_text(present->id, id));
    (void)pthread_mutex_lock(&sync->lock);
    bool connected = sync->url_count > 0 && sync_is_connected(sync);
    char *url = connected ? sync_url(sync, path) : NULL;
    (void)pthread_mutex_unlock(&sync->lock);
    struct http_call call = {
        .url = url, .control = true, .timeout_ms = VERSIONS_TIMEOUT_MS, .cancel = sync->cancel};
    json_t *answer = NULL;
    int rc = connected ? http_call_json(sync->client, &call, NULL, &answer) : 0;
    rc = rc < 0 ? rc : sync_add_versions(answer, present->change, versions);
    json_decref(answer);
    mem_free(url);
    mem_free(path);
    return rc;
}

int sync_versions(struct sync *sync, const struct object *present, struct object_list *versions)
{
    int rc = store_versions(sync->store, &present->id, versions);
    if (rc == 0 && ask_datastore(sync, present, versions) < 0) {
        sync_tell(sync, SYNC_WARN, "versions", "%s; the versions known here are shown", err_text());
    }
    sync_order_versions(present, versions);
    return rc;
}
