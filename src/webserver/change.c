#include "webserver/change.h"

#include <stdatomic.h>

#include "base/time.h"
#include "service/log.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/auth.h"
#include "webserver/request.h"

#define AUDIT_TRIM_EVERY 64 /* lines written between two looks at how many there are */
#define AUDIT_TRIM_MAX 256  /* lines dropped at a time */

static bool is_audited(enum object_kind kind)
{
    switch (kind) {
    case OBJECT_AUDIT:
    case OBJECT_HISTORY:
    case OBJECT_NOTIFICATION:
    case OBJECT_PREFERENCE:
    case OBJECT_REVOCATION:
    case OBJECT_SIGNING_KEY:
        return false;
    default:
        return true;
    }
}

static void trim_audit(struct webserver *webserver)
{
    static atomic_uint written;
    uint64_t count = 0;
    struct object_list oldest = {0};
    struct store_query query = {
        .kind = OBJECT_AUDIT, .order = STORE_BY_REVISION, .limit = AUDIT_TRIM_MAX};
    if (atomic_fetch_add(&written, 1) % AUDIT_TRIM_EVERY != 0 ||
        store_count(webserver->store, OBJECT_AUDIT, &count) < 0 || count <= CHANGE_AUDIT_MAX ||
        store_list(webserver->store, &query, &oldest) < 0) {
        return;
    }
    for (size_t i = 0; i < oldest.count; i++) {
        if (sync_delete(webserver->sync, &oldest.items[i]->id, SYNC_BY_KIND) < 0) {
            break;
        }
    }
    object_list_deinit(&oldest);
}

/* The line that says who did it; the caller's. NULL for kinds that have none. */
static struct object *audit_line(struct http_request *request, struct webserver *webserver,
                                 const char *verb, const struct object *object)
{
    const struct auth_user *who = auth_user(request);
    char id[UUID_TEXT_BYTES];
    if (!is_audited(object->kind)) {
        return NULL;
    }
    struct object *line = object_new(OBJECT_AUDIT);
    line->owner = who->principal.uid;
    object_set_name(line, verb);
    object_set_body(line,
                    json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "Verb", verb, "Kind",
                              object_kind_name(object->kind), "Object", uuid_text(object->id, id),
                              "Name", object->name, "User", who->name, "Host",
                              http_request_peer(request), "Webserver", webserver->external_addr));
    return line;
}

void change_note(struct http_request *request, struct webserver *webserver, const char *verb,
                 const char *kind, const char *name)
{
    const struct auth_user *who = auth_user(request);
    struct object *line = object_new(OBJECT_AUDIT);
    line->owner = who->principal.uid;
    object_set_name(line, verb);
    object_set_body(line,
                    json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "Verb", verb, "Kind", kind,
                              "Object", "", "Name", name, "User", who->name, "Host",
                              http_request_peer(request), "Webserver", webserver->external_addr));
    int rc = sync_write(webserver->sync, line, SYNC_BY_KIND);
    if (rc < 0) {
        log_fault("audit-lost", "what was done has no audit line", rc, "verb", verb, "user",
                  who->name, NULL);
    }
    object_free(&line);
}

/* Frees the line. */
static void audited(struct http_request *request, struct webserver *webserver,
                    const struct object *object, int rc, struct object **line)
{
    const struct auth_user *who = auth_user(request);
    char id[UUID_TEXT_BYTES];
    if (rc >= 0 && *line != NULL) {
        log_info("audit", "an object was changed", "verb", (*line)->name, "kind",
                 object_kind_name(object->kind), "object", uuid_text(object->id, id), "name",
                 object->name, "user", who->name, "uid", LOG_INT(who->principal.uid), "host",
                 http_request_peer(request), NULL);
        trim_audit(webserver);
    }
    object_free(line);
}

int change_save(struct http_request *request, struct webserver *webserver, struct object *object)
{
    const char *verb = uuid_is_zero(object->change) ? "create" : "update";
    json_object_del(object->body, OBJECT_PROVISIONAL);
    sync_complete(webserver->sync, object);
    struct object *line = audit_line(request, webserver, verb, object);
    int rc = sync_write_with(webserver->sync, object, line, SYNC_BY_KIND);
    audited(request, webserver, object, rc, &line);
    return rc;
}

int change_delete(struct http_request *request, struct webserver *webserver,
                  const struct object *object)
{
    struct object *line = audit_line(request, webserver, "delete", object);
    int rc = sync_delete_with(webserver->sync, &object->id, line, SYNC_BY_KIND);
    audited(request, webserver, object, rc, &line);
    return rc;
}

void change_reply(struct http_request *request, struct webserver *webserver, int rc, json_t *answer)
{
    if (rc < 0) {
        json_decref(answer);
        http_reply_fault(request, rc);
        return;
    }
    if (rc == SYNC_UNCONFIRMED) {
        http_reply_header(request, REQUEST_SYNCED_HEADER, "false");
    }
    if (rc == SYNC_COPIED_BESIDE && json_is_object(answer)) {
        json_object_set_new(answer, "CopiedBeside", json_true());
    }
    request_tell_revision(request, webserver);
    http_reply_json(request, 200, answer == NULL ? json_object() : answer);
}

/* ── Reading the audit ───────────────────────────────────────────────────────────────────── */

static json_t *line_json(const struct object *line)
{
    static const char *const members[] = {"Verb", "Kind", "Object",   "Name",
                                          "User", "Host", "Webserver"};
    json_t *json = json_pack("{s:i, s:o, s:b}", "UID", line->owner, "Time",
                             request_time_json(line->created_ns), "Synced", !line->dirty);
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        json_object_set_new(json, members[i], json_string(object_body_text(line, members[i])));
    }
    return json;
}

static bool is_about(void *context, const struct object *line)
{
    return strcmp(object_body_text(line, "Object"), context) == 0;
}

static int add_line(void *context, const struct object *line)
{
    json_array_append_new(context, line_json(line));
    return 0;
}

static void list_audit(struct http_request *request, void *context)
{
    const struct webserver *webserver = context;
    struct store_query query = {.kind = OBJECT_AUDIT, .order = STORE_NEWEST_FIRST, .limit = 100};
    const char *object = http_request_query(request, "object");
    int64_t uid;
    request_page(request, &query);
    if (object != NULL) {
        query.filter = is_about;
        query.context = (void *)(uintptr_t)object;
    }
    if (span_to_i64(span_of_str(http_request_query(request, "uid")), &uid)) {
        query.by_owner = true;
        query.owner = (int32_t)uid;
    }
    json_t *list = json_array();
    int rc = store_walk(webserver->store, &query, add_line, list);
    if (rc < 0) {
        json_decref(list);
        http_reply_fault(request, rc);
        return;
    }
    http_reply_json(request, 200, list);
}

const struct http_route change_routes[] = {
    {"GET", "/api/audit", list_audit, AUTH_ADMIN, 0},
};
const size_t change_route_count = ARRAY_COUNT(change_routes);
