#include "indexer/requests2x.h"

#include <inttypes.h>
#include <stdatomic.h>

#include "base/err.h"
#include "base/mem.h"
#include "warp10/request_file.h"

#define SECTION "Warp10", NULL
#define WRITE_BYTES ((size_t)1 << 20)
#define PROBE "link-test"

struct requests2x {
    struct io *io;
    const struct conf *conf;
    const char *dir;
    struct buf id, psk;
    struct request_file_keys keys;
    bool has_keys;
    atomic_uint_fast64_t number;
};

struct request2x {
    struct requests2x *owner;
    struct buf name, path; /* without the suffix in the directory */
    struct io_file *file;
    const struct request_file_keys *keys; /* NULL: lines have none */
    struct buf text;                      /* not written yet */
    uint64_t at, lines;
};

static int read_key(const struct conf *conf, const char *name, struct siphash_key *ret_key,
                    bool *ret_is_set)
{
    struct buf bytes = {0};
    *ret_is_set = conf_is_set(conf, SECTION, name);
    int rc = warp10_key_bytes(&bytes, conf_text(conf, SECTION, name));
    if (rc == 0 && *ret_is_set && bytes.bytes != SIPHASH_KEY_BYTES) {
        rc = err_set(ERR_INVALID, "a hash key must have 16 bytes");
    }
    if (rc == 0 && *ret_is_set) {
        *ret_key = siphash_key_of(bytes.data);
    }
    buf_deinit(&bytes);
    return rc < 0 ? err_wrap(rc, "%s", conf_where(conf, SECTION, name)) : 0;
}

static const char *link_dir(const struct requests2x *requests, size_t index)
{
    return conf_list(requests->conf, SECTION, "Request-Link-Directory", index);
}

static size_t link_count(const struct requests2x *requests)
{
    return conf_list_count(requests->conf, SECTION, "Request-Link-Directory");
}

static int read_conf(struct requests2x *requests, struct uuid node)
{
    const struct conf *conf = requests->conf;
    char own[UUID_TEXT_BYTES];
    bool has_class;
    bool has_labels;
    const char *id = conf_text(conf, SECTION, "Request-ID");
    buf_append_str(&requests->id, id[0] != 0 ? id : uuid_text(node, own));
    int rc = read_key(conf, "Class-Hash-Key", &requests->keys.class, &has_class);
    rc = rc < 0 ? rc : read_key(conf, "Labels-Hash-Key", &requests->keys.labels, &has_labels);
    requests->has_keys = rc == 0 && has_class && has_labels;
    rc = rc < 0 ? rc : io_make_dirs(requests->io, requests->dir);
    for (size_t i = 0; i < link_count(requests) && rc == 0; i++) {
        rc = io_make_dirs(requests->io, link_dir(requests, i));
        rc = rc < 0 ? err_wrap(rc, "Request-Link-Directory=%s", link_dir(requests, i)) : 0;
    }
    return rc;
}

/* What was being written when the indexer was killed: nobody was told that it was done. */
static int remove_unfinished(void *context, const char *name)
{
    const struct requests2x *requests = context;
    struct arena *arena = arena_new((size_t)64 << 10);
    struct buf path = {0};
    int64_t time_ns;
    struct span id;
    uint64_t number;
    int rc = 0;
    buf_printf(&path, "%s.datalog", name);
    if (warp10_file_name_parse(arena, buf_span(&path), &time_ns, &id, &number)) {
        buf_clear(&path);
        buf_printf(&path, "%s/%s", requests->dir, name);
        rc = io_remove(requests->io, buf_str(&path));
    }
    buf_deinit(&path);
    arena_free(&arena);
    return rc;
}

/* Each directory must take hard links: one on another file system would fail every request. */
static int try_link(const struct requests2x *requests, const char *dir)
{
    struct buf from = {0};
    struct buf to = {0};
    buf_printf(&from, "%s/" PROBE, requests->dir);
    buf_printf(&to, "%s/" PROBE, dir);
    (void)!io_remove(requests->io, buf_str(&to)); /* of one that was killed here */
    int rc = io_write_file(requests->io, buf_str(&from), SPAN_NONE);
    rc = rc < 0 ? rc : io_link(requests->io, buf_str(&from), buf_str(&to));
    (void)!io_remove(requests->io, buf_str(&to));
    (void)!io_remove(requests->io, buf_str(&from));
    buf_deinit(&from);
    buf_deinit(&to);
    return rc < 0 ? err_wrap(rc, "Request-Link-Directory=%s", dir) : 0;
}

int requests2x_open(struct io *io, const struct conf *conf, struct uuid node, struct span psk,
                    struct requests2x **ret_requests)
{
    const char *dir = conf_text(conf, SECTION, "Request-Directory");
    if (dir[0] == 0) {
        return 0;
    }
    struct requests2x *requests = MEM_NEW(struct requests2x);
    requests->io = io;
    requests->conf = conf;
    requests->dir = dir;
    buf_append(&requests->psk, psk);
    int rc = read_conf(requests, node);
    rc = rc < 0 ? rc : io_list(io, dir, remove_unfinished, requests);
    for (size_t i = 0; i < link_count(requests) && rc == 0; i++) {
        rc = try_link(requests, link_dir(requests, i));
    }
    if (rc < 0) {
        requests2x_close(&requests);
        return rc;
    }
    *ret_requests = requests;
    return 0;
}

void requests2x_close(struct requests2x **requests)
{
    if (*requests != NULL) {
        buf_deinit(&(*requests)->id);
        buf_deinit(&(*requests)->psk);
        mem_free(*requests);
        *requests = NULL;
    }
}

/* ── One request ─────────────────────────────────────────────────────────────────────────── */

int request2x_begin(struct requests2x *requests, const struct warp10_datalog *datalog,
                    struct request2x **ret_request)
{
    *ret_request = NULL;
    if (requests == NULL) {
        return 0;
    }
    struct warp10_datalog own = *datalog;
    struct request2x *request = MEM_NEW(struct request2x);
    request->owner = requests;
    request->keys = requests->has_keys && datalog->action == WARP10_UPDATE ? &requests->keys : NULL;
    own.id = own.id.bytes > 0 ? own.id : buf_span(&requests->id);
    warp10_file_name(&request->name, own.time_ns, own.id,
                     atomic_fetch_add(&requests->number, 1) + 1);
    struct span stem =
        span_first(buf_span(&request->name), request->name.bytes - (sizeof(".datalog") - 1));
    buf_printf(&request->path, "%s/%.*s", requests->dir, SPAN_ARG(stem));
    int rc = request_file_begin(&request->text, &own, buf_span(&requests->psk));
    rc = rc < 0 ? rc
                : io_open(requests->io, buf_str(&request->path),
                          IO_WRITE | IO_CREATE | IO_EXCLUSIVE, &request->file);
    if (rc < 0) {
        request2x_drop(&request);
        return rc;
    }
    *ret_request = request;
    return 0;
}

static int write_out(struct request2x *request)
{
    int rc = io_write_at(request->file, request->at, buf_span(&request->text));
    request->at += request->text.bytes;
    buf_clear(&request->text);
    return rc;
}

int request2x_line(struct request2x *request, struct span line, struct span series)
{
    if (request == NULL) {
        return 0;
    }
    request_file_line(&request->text, line, series, request->keys);
    request->lines++;
    return request->text.bytes < WRITE_BYTES ? 0 : write_out(request);
}

uint64_t request2x_lines(const struct request2x *request)
{
    return request == NULL ? 0 : request->lines;
}

static int link_all(struct request2x *request)
{
    const struct requests2x *requests = request->owner;
    struct buf path = {0};
    int rc = 0;
    for (size_t i = 0; i < link_count(requests) && rc == 0; i++) {
        const char *dir = link_dir(requests, i);
        buf_clear(&path);
        buf_printf(&path, "%s/%.*s", dir, SPAN_ARG(buf_span(&request->name)));
        rc = io_link(requests->io, buf_str(&request->path), buf_str(&path));
        rc = rc < 0 ? rc : io_sync_dir(requests->io, dir);
    }
    buf_deinit(&path);
    return rc;
}

int request2x_publish(struct request2x **request)
{
    struct request2x *r = *request;
    if (r == NULL) {
        return 0;
    }
    int rc = write_out(r);
    rc = rc < 0 ? rc : io_sync(r->file);
    rc = rc < 0 ? rc : link_all(r);
    request2x_drop(request);
    return rc < 0 ? err_wrap(rc, "Request-Directory") : 0;
}

void request2x_drop(struct request2x **request)
{
    struct request2x *r = *request;
    if (r == NULL) {
        return;
    }
    if (r->file != NULL) {
        io_close(&r->file);
        (void)!io_remove(r->owner->io, buf_str(&r->path));
    }
    buf_deinit(&r->name);
    buf_deinit(&r->path);
    buf_deinit(&r->text);
    mem_free(r);
    *request = NULL;
}
