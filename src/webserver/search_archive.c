/* Tested by tests/cluster/test_downloads.py. */
#include "webserver/search_archive.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "base/wire.h"
#include "query/module.h"
#include "webserver/auth.h"

#define MAGIC "AQUIFERS"
#define VERSION 1
#define HEADER_BYTES 32 /* magic, u32 version, u32 and u64 bytes of record and rows, u64 hash */
#define RECORD_BYTES_MAX (4 * 1024 * 1024)
#define ROWS_BYTES_MORE (1024 * 1024) /* beside the limit of a result store */
#define CHUNK_BYTES ((size_t)64 * 1024)
#define FIELD_BYTES_MAX 4096
#define WAIT_MS 250

/* ── Out ─────────────────────────────────────────────────────────────────────────────────── */

static int send_head(struct search_one *one, uint64_t rows_bytes, struct http_stream *stream)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    json_t *json = search_record_json(one);
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    char *record = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (record == NULL || strlen(record) > RECORD_BYTES_MAX) {
        free(record);
        return err_set(ERR_TOO_LARGE, "the record of search %s", one->id);
    }
    struct buf head = {0};
    buf_append_str(&head, MAGIC);
    wire_put_u32(&head, VERSION);
    wire_put_u32(&head, (uint32_t)strlen(record));
    wire_put_u64(&head, rows_bytes);
    wire_put_u64(&head, hash64(span_of_str(record)));
    buf_append_str(&head, record);
    int rc = http_stream_write(stream, buf_span(&head));
    buf_deinit(&head);
    free(record);
    return rc;
}

int search_archive_send(struct search_one *one, struct http_stream *stream)
{
    while (!search_one_is_over(one) && !http_stream_is_gone(stream)) {
        search_one_wait(one, UINT64_MAX, WAIT_MS);
    }
    struct query_result *result = NULL;
    int rc = search_one_result(one, &result);
    if (rc < 0) {
        return rc;
    }
    uint64_t bytes = query_result_counts(result).stored_bytes;
    bytes = MAX(bytes, (uint64_t)QUERY_RESULT_HEADER_BYTES);
    uint8_t *chunk = mem_alloc(CHUNK_BYTES);
    rc = send_head(one, bytes, stream);
    for (uint64_t sent = 0; sent < bytes && rc == 0;) {
        size_t got = 0;
        size_t wanted = (size_t)MIN((uint64_t)CHUNK_BYTES, bytes - sent);
        rc = query_result_read_file(result, sent, chunk, wanted, &got);
        rc = rc == 0 && got == 0 ? err_set(ERR_CORRUPT, "the results end too early") : rc;
        rc = rc == 0 ? http_stream_write(stream, span_of(chunk, got)) : rc;
        sent += got;
    }
    mem_free(chunk);
    return rc;
}

/* ── In ──────────────────────────────────────────────────────────────────────────────────── */

struct import {
    struct search *search;
    const struct object_principal *who;
    const char *batch_name;
    const char *batch_info;
    int32_t gid; /* 0: none */
    struct buf head;
    struct io_file *file;
    char *path; /* of the directory */
    uint64_t rows_bytes;
    uint64_t written;
    json_t *record;
};

static int check_header(struct import *import, uint32_t *ret_record_bytes)
{
    struct wire_reader reader = wire_reader_of(buf_span(&import->head));
    struct span magic = wire_get_raw(&reader, strlen(MAGIC));
    if (!span_equal_str(magic, MAGIC) || wire_get_u32(&reader) != VERSION) {
        return err_set(ERR_INVALID, "the file is no archive of a search, or of another version");
    }
    *ret_record_bytes = wire_get_u32(&reader);
    import->rows_bytes = wire_get_u64(&reader);
    if (*ret_record_bytes > RECORD_BYTES_MAX) {
        return err_set(ERR_INVALID, "the archive's record is too large");
    }
    uint64_t most = import->search->result_bytes_max + ROWS_BYTES_MORE;
    return import->rows_bytes <= most
               ? 0
               : err_set(ERR_TOO_LARGE, "%" PRIu64 " bytes of rows: Render-Store-Limit allows less",
                         import->rows_bytes);
}

static int begin_rows(struct import *import)
{
    struct io *io = import->search->webserver->io;
    uint64_t number = 0;
    io_random(io, &number, sizeof(number));
    import->path = mem_printf("%s/%015" PRIu64, import->search->render_store,
                              number % UINT64_C(1000000000000000));
    char *name = mem_printf("%s/%s", import->path, QUERY_RESULT_FILE);
    int rc = io_make_dir(io, import->path);
    rc = rc < 0 ? rc : io_open(io, name, IO_WRITE | IO_CREATE | IO_EXCLUSIVE, &import->file);
    mem_free(name);
    return rc;
}

/* Header and record, as soon as they are whole; the rest of them is rows. */
static int take_head(struct import *import)
{
    uint32_t record_bytes = 0;
    if (import->head.bytes < HEADER_BYTES) {
        return 0;
    }
    int rc = check_header(import, &record_bytes);
    if (rc < 0 || import->head.bytes < HEADER_BYTES + (size_t)record_bytes) {
        return rc;
    }
    struct span all = buf_span(&import->head);
    struct span record = span_first(span_from(all, HEADER_BYTES), record_bytes);
    if (hash64(record) != wire_load_u64(all.data + HEADER_BYTES - sizeof(uint64_t))) {
        return err_set(ERR_INVALID, "the archive is damaged");
    }
    import->record = json_loadb((const char *)record.data, record.bytes, 0, NULL);
    if (!json_is_object(import->record)) {
        return err_set(ERR_INVALID, "the archive's record is no JSON");
    }
    rc = begin_rows(import);
    buf_consume(&import->head, HEADER_BYTES + record_bytes);
    return rc;
}

static int take_bytes(struct import *import, struct span bytes)
{
    int rc = 0;
    if (import->file == NULL) {
        buf_append(&import->head, bytes);
        rc = take_head(import);
        if (rc < 0 || import->file == NULL) {
            return rc;
        }
        bytes = buf_span(&import->head);
    }
    if (bytes.bytes > import->rows_bytes - import->written) {
        return err_set(ERR_INVALID, "the archive is longer than it says");
    }
    rc = bytes.bytes == 0 ? 0 : io_write_at(import->file, import->written, bytes);
    import->written += bytes.bytes;
    return rc;
}

static int read_part(struct import *import, struct http_multipart *form)
{
    uint8_t *chunk = mem_alloc(CHUNK_BYTES);
    int rc = 0;
    for (size_t got = 1; rc == 0 && got > 0;) {
        rc = http_multipart_read(form, chunk, CHUNK_BYTES, &got);
        rc = rc == 0 && got > 0 ? take_bytes(import, span_of(chunk, got)) : rc;
    }
    mem_free(chunk);
    if (rc == 0 && (import->file == NULL || import->written < import->rows_bytes)) {
        rc = err_set(ERR_INVALID, "the archive is cut short");
    }
    return rc;
}

static int take_gid(struct import *import, const char *text)
{
    int64_t gid = 0;
    bool mine = import->who->admin;
    if (!span_to_i64(span_of_str(text), &gid) || gid < 0 || gid > INT32_MAX) {
        return err_set(ERR_INVALID, "GID: not the number of a group");
    }
    for (size_t i = 0; i < import->who->gid_count; i++) {
        mine = mine || import->who->gids[i] == gid;
    }
    import->gid = (int32_t)gid;
    return gid == 0 || mine ? 0 : err_set(ERR_DENIED, "GID: you are not in that group");
}

static int take_field(struct import *import, struct http_multipart *form, const char *name)
{
    const char *value;
    int rc = http_multipart_text(form, FIELD_BYTES_MAX, &value);
    if (rc < 0) {
        return err_wrap(rc, "%s", name);
    }
    if (strcmp(name, "GID") == 0 && value[0] != '\0') {
        return take_gid(import, value);
    }
    import->batch_name = strcmp(name, "BatchName") == 0 ? value : import->batch_name;
    import->batch_info = strcmp(name, "BatchInfo") == 0 ? value : import->batch_info;
    return text_is_utf8(span_of_str(value))
               ? 0
               : err_set(ERR_INVALID, "%s: it is no UTF-8", name);
}

static int read_form(struct import *import, struct http_request *request)
{
    struct http_multipart *form;
    struct http_part part;
    int rc = http_multipart_open(request, &form);
    while (rc == 0) {
        rc = http_multipart_next(form, &part);
        if (rc == 0 && strcmp(part.name, "file") == 0) {
            return read_part(import, form);
        }
        rc = rc == 0 ? take_field(import, form, part.name) : rc;
    }
    return rc == HTTP_MULTIPART_END ? err_set(ERR_INVALID, "the form has no part named file") : rc;
}

/* What the archive says of itself is believed, but not whose it is. */
static void adopt(struct import *import, struct search_one *one)
{
    one->uid = import->who->uid;
    object_set_gids(&one->gids, &import->gid, import->gid != 0 ? 1 : 0);
    one->global = one->background = one->kept = one->persisted = false;
    one->expires_ns = TIME_UNSET;
    one->imported_ns = io_now_ns(import->search->webserver->io);
    mem_free(one->batch_name);
    mem_free(one->batch_info);
    one->batch_name = mem_strdup(import->batch_name);
    one->batch_info = mem_strdup(import->batch_info);
    mem_free(one->path);
    one->path = import->path;
    import->path = NULL;
    if (!json_is_array(one->hints)) {
        json_decref(one->hints);
        one->hints = NULL;
    }
}

static int make_search(struct import *import, struct search_one **ret_one)
{
    struct search_one *one = search_one_of_record(import->search, "", import->record);
    adopt(import, one);
    int rc = 0;
    if (one->query == NULL || one->render == NULL || one->query->renderer != one->render ||
        one->start_ns >= one->end_ns) {
        rc = err_set(ERR_INVALID, "the archive's query is not understood");
    }
    rc = rc < 0 ? rc : query_result_open(import->search->webserver->io, one->path, &one->result);
    if (rc < 0) {
        search_one_unref(&one);
        return rc == ERR_CORRUPT ? err_set(ERR_INVALID, "the archive's rows are damaged") : rc;
    }
    CHECK(search_table_add(one));
    rc = search_saved_write(one);
    if (rc < 0) {
        search_one_delete(one);
        search_one_unref(&one);
        return rc;
    }
    *ret_one = one;
    return 0;
}

static void forget(struct import *import)
{
    struct io *io = import->search->webserver->io;
    io_close(&import->file);
    if (import->path != NULL) {
        int ignored = query_result_remove(io, import->path);
        (void)ignored; /* it is cleared with the next start */
    }
    mem_free(import->path);
    json_decref(import->record);
    buf_deinit(&import->head);
}

void search_archive_import(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct import import = {
        .search = webserver->search,
        .who = &auth_user(request)->principal,
        .batch_name = "",
        .batch_info = "",
    };
    struct search_one *one = NULL;
    int rc = search_check_room(webserver->search);
    rc = rc < 0 ? rc : read_form(&import, request);
    io_close(&import.file);
    rc = rc < 0 ? rc : make_search(&import, &one);
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        http_reply_json(request, 200, json_pack("{s:s}", "SearchID", one->id));
    }
    search_one_unref(&one);
    forget(&import);
}
