/* Tested by tests/cluster/test_language.py. */
#include "webserver/table_save.h"

#include "base/mem.h"
#include "conf/conf.h"
#include "query/modules/table.h"
#include "query/save.h"
#include "service/log.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/account.h"
#include "webserver/contents.h"
#include "webserver/resource.h"
#include "webserver/search_inner.h"

static struct object *new_resource(const struct webserver *webserver, int32_t uid, const char *name)
{
    struct object *resource = object_new(OBJECT_RESOURCE);
    resource->owner = uid;
    object_set_name(resource, name);
    object_set_description(resource, "rows of a search");
    object_set_body(
        resource, json_pack("{s:I, s:i}", "Domain",
                            (json_int_t)conf_int(webserver->conf, CONF_GLOBAL, "Webserver-Domain"),
                            "VersionNumber", 0));
    return resource;
}

/* The one of that name that he may change, else a new one of his own. */
static int find_target(struct webserver *webserver, const struct object_principal *who,
                       const char *name, struct object **ret_resource)
{
    int rc = resource_resolve(webserver, who, name, ret_resource);
    bool plain = span_find_byte(span_of_str(name), ':') < 0;
    if (rc == 0 && !object_allows(*ret_resource, who, OBJECT_UPDATE)) {
        object_free(ret_resource);
        rc = plain ? STORE_ABSENT : err_set(ERR_DENIED, "you may not change this resource");
    }
    if (rc == STORE_ABSENT && !plain) {
        return err_set(ERR_NOT_FOUND, "there is no such resource");
    }
    if (rc == STORE_ABSENT) {
        *ret_resource = new_resource(webserver, who->uid, name);
        rc = 0;
    }
    return rc;
}

static int put_contents(struct webserver *webserver, struct object *resource, struct span contents)
{
    struct store_blob_writer *writer = NULL;
    uint64_t bytes_max = (uint64_t)conf_int(webserver->conf, CONF_GLOBAL, "Resource-Max-Size");
    int rc = store_blob_begin(webserver->store, bytes_max, &writer);
    rc = rc < 0 ? rc : store_blob_write(writer, contents);
    if (rc < 0) {
        store_blob_abort(&writer);
        return rc;
    }
    rc = store_blob_commit(&writer, NULL, &resource->blob);
    if (rc == 0) {
        int64_t version = object_body_int(resource, "VersionNumber") + 1;
        json_object_set_new(resource->body, "VersionNumber", json_integer(version));
        rc = sync_write(webserver->sync, resource, SYNC_BY_KIND);
    }
    return rc < 0 ? rc : 0;
}

static int save_rows(struct search_one *one, const struct query_save *save, struct span csv)
{
    struct webserver *webserver = one->search->webserver;
    struct object_gids gids = {0};
    struct object_principal who;
    struct object *resource = NULL;
    struct buf old = {0};
    struct buf contents = {0};
    int rc = account_principal(webserver, one->uid, &gids, &who);
    rc = rc < 0 ? rc : find_target(webserver, &who, save->name, &resource);
    bool needed = save->update != NULL || save->remove != NULL;
    if (rc == 0 && needed && resource->blob.present) {
        rc = contents_head(webserver, &resource->blob, TABLE_BYTES_MAX + 1, &old);
    }
    rc = rc < 0 ? rc : query_save_make(save, csv, buf_span(&old), &contents);
    rc = rc < 0 ? rc : put_contents(webserver, resource, buf_span(&contents));
    if (rc == 0) {
        log_info("table-saved", "the rows of a search are a resource now", "search", one->id,
                 "resource", save->name, NULL);
    }
    object_free(&resource);
    object_set_gids(&gids, NULL, 0);
    buf_deinit(&old);
    buf_deinit(&contents);
    return rc;
}

int table_save(struct search_one *one)
{
    const struct query_save *save = query_save_of(one->query);
    struct query_result *result = NULL;
    struct buf csv = {0};
    if (save == NULL) {
        return 0;
    }
    int rc = search_one_result(one, &result);
    if (rc == 0 &&
        (one->preview || atomic_load(&one->stop) || query_result_counts(result).over_limit)) {
        search_one_message(one, "warn",
                           "table -save %.64s: nothing was saved, since not all rows "
                           "are there",
                           save->name);
        return 0;
    }
    rc = rc < 0 ? rc : search_inner_table(one, result, &csv);
    rc = rc < 0 ? rc : save_rows(one, save, buf_span(&csv));
    buf_deinit(&csv);
    return rc < 0 ? err_wrap(rc, "table -save %.64s", save->name) : 0;
}
