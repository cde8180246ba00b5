#include "webserver/ingest.h"

#include <inttypes.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "ingest/client.h"
#include "ingest/timestamp.h"
#include "series/entry.h"
#include "service/log.h"
#include "store/store.h"
#include "webserver/request.h"

#define CHUNK_BYTES ((size_t)256 * 1024)
#define FIELD_BYTES_MAX ((size_t)8192)

/* One upload on its way to the indexers. */
struct upload {
    struct webserver *webserver;
    struct ingest_client *client;
    struct ingest_timestamp finder;
    struct map tags; /* name -> handle + 1 */
    const char *tag;
    bool reimport;
    bool find_times;
    bool has_source;
    uint8_t source[ENTRY_SOURCE_BYTES];
    uint64_t count;
    uint64_t bytes;
};

/* ── Who may ─────────────────────────────────────────────────────────────────────────────── */

static bool is_member(const struct webserver *webserver, const struct auth_user *user,
                      const char *group_name)
{
    struct object *group = NULL;
    if (store_get_by_name(webserver->store, OBJECT_GROUP, -1, group_name, &group) != 0) {
        return false;
    }
    bool member = false;
    for (size_t i = 0; i < user->principal.gid_count; i++) {
        member = member || (uint64_t)user->principal.gids[i] == group->number;
    }
    object_free(&group);
    return member;
}

bool ingest_allowed(const struct webserver *webserver, const struct auth_user *user)
{
    const struct conf *conf = webserver->conf;
    bool allowed = user->of_admin;
    for (size_t i = 0; i < conf_list_count(conf, CONF_GLOBAL, "Webserver-Ingest-Groups"); i++) {
        const char *name = conf_list(conf, CONF_GLOBAL, "Webserver-Ingest-Groups", i);
        allowed = allowed || is_member(webserver, user, name);
    }
    return allowed && conf_list_count(conf, CONF_GLOBAL, "Self-Log-Target") > 0;
}

/* ── Sending ─────────────────────────────────────────────────────────────────────────────── */

static int open_client(const struct webserver *webserver, struct ingest_client **ret_client)
{
    const struct conf *conf = webserver->conf;
    VEC(const char *) targets = {0};
    for (size_t i = 0; i < conf_list_count(conf, CONF_GLOBAL, "Self-Log-Target"); i++) {
        vec_push(&targets, conf_list(conf, CONF_GLOBAL, "Self-Log-Target", i));
    }
    struct ingest_client_options options = {
        .targets = targets.items,
        .target_count = targets.count,
        .secret = conf_text(conf, CONF_GLOBAL, "Ingest-Auth"),
        .name = "aquifer-webserver upload",
    };
    int rc = ingest_client_new(&options, ret_client);
    vec_deinit(&targets);
    return rc;
}

static int tag_handle(struct upload *upload, const char *name, uint16_t *ret_tag)
{
    uintptr_t known = (uintptr_t)map_get_str(&upload->tags, name);
    if (known != 0) {
        *ret_tag = (uint16_t)(known - 1);
        return 0;
    }
    int rc = ingest_client_tag(upload->client, name, ret_tag);
    if (rc == 0) {
        (void)map_put(&upload->tags, span_of_str(name), (void *)((uintptr_t)*ret_tag + 1));
    }
    return rc;
}

static int send_entry(struct upload *upload, const char *tag_name, int64_t time_ns,
                      const uint8_t *source, struct span data)
{
    uint16_t tag;
    int rc = tag_handle(upload, tag_name, &tag);
    rc = rc < 0 ? rc : ingest_client_send(upload->client, tag, time_ns, source, data, SPAN_NONE);
    if (rc == 0) {
        upload->count++;
        upload->bytes += data.bytes;
    }
    return rc;
}

static int send_line(struct upload *upload, struct span line)
{
    int64_t now_ns = io_now_ns(upload->webserver->io);
    int64_t time_ns = now_ns;
    if (line.bytes > 0 && line.data[line.bytes - 1] == '\r') {
        line.bytes--;
    }
    if (line.bytes == 0) {
        return 0;
    }
    if (upload->find_times && !ingest_timestamp_find(&upload->finder, line, now_ns, &time_ns)) {
        time_ns = now_ns;
    }
    return send_entry(upload, upload->tag, time_ns, upload->has_source ? upload->source : NULL,
                      line);
}

/* {"TS","Tag","SRC","Data" base64}, as the JSON download writes them. */
static int send_object(struct upload *upload, const json_t *json)
{
    struct buf data = {0};
    uint8_t source[ENTRY_SOURCE_BYTES];
    int64_t time_ns = request_time(json, "TS");
    const char *tag = request_text(json, "Tag");
    int rc = 0;
    if (time_ns == TIME_UNSET || tag[0] == 0 ||
        !text_unbase64(&data, span_of_str(request_text(json, "Data")))) {
        rc = err_set(ERR_INVALID, "entry %" PRIu64 ": TS, Tag and Data (base64) are needed",
                     upload->count + 1);
    }
    bool has_source = entry_source_parse(span_of_str(request_text(json, "SRC")), source);
    rc =
        rc < 0 ? rc : send_entry(upload, tag, time_ns, has_source ? source : NULL, buf_span(&data));
    buf_deinit(&data);
    return rc;
}

/* ── Reading the upload ──────────────────────────────────────────────────────────────────── */

/* Takes whole lines off the front of `pending`; the rest waits for more. */
static int take_lines(struct upload *upload, struct buf *pending)
{
    struct span rest = buf_span(pending);
    int rc = 0;
    for (ptrdiff_t end; rc == 0 && (end = span_find_byte(rest, '\n')) >= 0;) {
        rc = send_line(upload, span_first(rest, (size_t)end));
        rest = span_from(rest, (size_t)end + 1);
    }
    buf_consume(pending, pending->bytes - rest.bytes);
    if (rc == 0 && pending->bytes > INGEST_LINE_BYTES_MAX) {
        rc = err_set(ERR_TOO_LARGE, "a line has more than %zu bytes", INGEST_LINE_BYTES_MAX);
    }
    return rc;
}

/* Where the scan for the end of the present object has come to. */
struct scan {
    size_t at;
    unsigned depth;
    bool in_string;
    bool escaped;
};

/* True at the byte that closes the outermost object. */
static bool closes_object(struct scan *scan, uint8_t c)
{
    if (scan->in_string) {
        scan->in_string = scan->escaped || c != '"';
        scan->escaped = !scan->escaped && c == '\\';
        return false;
    }
    scan->in_string = c == '"';
    scan->depth += c == '{';
    if (c == '}' && scan->depth > 0) {
        scan->depth--;
        return scan->depth == 0;
    }
    return false;
}

static int take_object(struct upload *upload, struct span text)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)text.data, text.bytes, 0, &error);
    if (json == NULL) {
        return err_set(ERR_INVALID, "after entry %" PRIu64 ": %s", upload->count, error.text);
    }
    int rc = send_object(upload, json);
    json_decref(json);
    return rc;
}

/* Objects stand one after the other, with or without white space between them. */
static int take_objects(struct upload *upload, struct scan *scan, struct buf *pending)
{
    int rc = 0;
    size_t begin = 0;
    for (; rc == 0 && scan->at < pending->bytes; scan->at++) {
        if (closes_object(scan, pending->data[scan->at])) {
            size_t end = scan->at + 1;
            rc = take_object(upload, span_of(pending->data + begin, end - begin));
            begin = end;
        }
    }
    buf_consume(pending, begin);
    scan->at -= begin;
    if (rc == 0 && pending->bytes > ENTRY_DATA_BYTES_MAX) {
        rc = err_set(ERR_TOO_LARGE, "after entry %" PRIu64 ": an object has more than %u bytes",
                     upload->count, ENTRY_DATA_BYTES_MAX);
    }
    return rc;
}

/* What is left when the upload has ended. */
static int take_rest(struct upload *upload, struct span rest)
{
    if (!upload->reimport) {
        return send_line(upload, rest);
    }
    if (span_trim(rest).bytes > 0) {
        return err_set(ERR_INVALID, "after entry %" PRIu64 ": the last object is cut short",
                       upload->count);
    }
    return 0;
}

static int read_file(struct upload *upload, struct http_multipart *form)
{
    struct buf pending = {0};
    struct scan scan = {0};
    int rc = 0;
    for (size_t got = 1; rc == 0 && got > 0;) {
        rc = http_multipart_read(form, buf_reserve(&pending, CHUNK_BYTES), CHUNK_BYTES, &got);
        pending.bytes += rc == 0 ? got : 0;
        if (rc == 0) {
            rc = upload->reimport ? take_objects(upload, &scan, &pending)
                                  : take_lines(upload, &pending);
        }
    }
    rc = rc < 0 ? rc : take_rest(upload, buf_span(&pending));
    buf_deinit(&pending);
    return rc;
}

static int read_field(struct upload *upload, struct http_multipart *form, const char *name)
{
    const char *value;
    int rc = http_multipart_text(form, FIELD_BYTES_MAX, &value);
    if (rc < 0) {
        return err_wrap(rc, "%s", name);
    }
    if (strcmp(name, "tag") == 0) {
        upload->tag = value;
    } else if (strcmp(name, "type") == 0) {
        upload->reimport = strcmp(value, "reimport") == 0;
    } else if (strcmp(name, "noparsetimestamp") == 0) {
        upload->find_times = strcmp(value, "true") != 0;
    } else if (strcmp(name, "assumelocaltimezone") == 0 && strcmp(value, "true") == 0) {
        upload->finder.zone = INGEST_ZONE_LOCAL;
    } else if (strcmp(name, "source") == 0 && value[0] != 0) {
        upload->has_source = entry_source_parse(span_of_str(value), upload->source);
        return upload->has_source ? 0 : err_set(ERR_INVALID, "source: not an address");
    }
    return 0;
}

static int read_form(struct http_request *request, struct upload *upload)
{
    struct http_multipart *form;
    struct http_part part;
    int rc = http_multipart_open(request, &form);
    while (rc == 0) {
        rc = http_multipart_next(form, &part);
        if (rc != 0) {
            break;
        }
        if (strcmp(part.name, "file") != 0) {
            rc = read_field(upload, form, part.name);
        } else if (upload->tag[0] == 0 && !upload->reimport) {
            rc = err_set(ERR_INVALID, "tag: it must stand before the file");
        } else {
            return read_file(upload, form);
        }
    }
    return rc == HTTP_MULTIPART_END ? err_set(ERR_INVALID, "the form has no part named file") : rc;
}

/* ── Routes ──────────────────────────────────────────────────────────────────────────────── */

static json_t *tag_names(const struct upload *upload)
{
    json_t *list = json_array();
    struct span name;
    void *handle;
    for (size_t cursor = 0; map_next(&upload->tags, &cursor, &name, &handle);) {
        json_array_append_new(list, json_stringn((const char *)name.data, name.bytes));
    }
    return list;
}

static bool refuse(struct http_request *request, const struct webserver *webserver)
{
    if (ingest_allowed(webserver, auth_user(request))) {
        return false;
    }
    http_reply_error(request, 403,
                     "you may not ingest here (Webserver-Ingest-Groups, "
                     "Self-Log-Target)");
    return true;
}

static void test_ingest(struct http_request *request, void *context)
{
    if (!refuse(request, context)) {
        http_reply(request, 200, "text/plain", SPAN_NONE);
    }
}

static void ingest_lines(struct http_request *request, void *context)
{
    struct upload upload = {.webserver = context, .tag = "", .find_times = true};
    if (refuse(request, context)) {
        return;
    }
    int rc = open_client(context, &upload.client);
    rc = rc < 0 ? rc : read_form(request, &upload);
    int sync_rc = upload.client == NULL ? 0 : ingest_client_sync(upload.client);
    rc = rc < 0 ? rc : sync_rc;
    if (rc < 0) {
        log_fault("upload-failed", "an upload ended early", rc, "user", auth_user(request)->name,
                  "tag", upload.tag, "entries", LOG_INT(upload.count), NULL);
        http_reply_fault(request, rc);
    } else {
        log_info("upload", "lines were ingested", "user", auth_user(request)->name, "tag",
                 upload.tag, "entries", LOG_INT(upload.count), NULL);
        http_reply_json(request, 200,
                        json_pack("{s:I, s:I, s:o}", "Count", (json_int_t)upload.count, "Size",
                                  (json_int_t)upload.bytes, "Tags", tag_names(&upload)));
    }
    ingest_client_free(&upload.client);
    map_deinit(&upload.tags);
}

const struct http_route ingest_routes[] = {
    {"GET", "/api/ingest/test", test_ingest, 0, 0},
    {"POST", "/api/ingest/lines", ingest_lines, HTTP_BODY_STREAM, 0},
};
const size_t ingest_route_count = ARRAY_COUNT(ingest_routes);
