/*
 * Claims of transfer.h, with a store behind a real HTTP server on the other side: what is there is
 * not sent again, what is not there is said, and damage is never kept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "sync/transfer.h"

struct side {
    char dir[64];
    struct store *store;
};

struct fixture {
    struct side here, there;
    struct http_server *server;
    struct http_client *client;
    unsigned puts;
};

/* ---- the other side ---- */

static void name_of(struct http_request *request, uint8_t sha256[32])
{
    struct buf bytes = {0};
    assert_true(text_unhex(&bytes, span_of_str(http_request_param(request, "sha256"))));
    memcpy(sha256, bytes.data, 32);
    buf_deinit(&bytes);
}

static void get_blob(struct http_request *request, void *context)
{
    struct fixture *fixture = context;
    uint8_t sha256[32];
    name_of(request, sha256);
    char *path = store_blob_path(fixture->there.store, sha256);
    http_reply_file(request, 200, "application/octet-stream", path);
    mem_free(path);
}

static struct object_blob put_in(struct store *store, struct span data)
{
    struct store_blob_writer *writer = NULL;
    struct object_blob blob = {0};
    assert_int_equal(store_blob_begin(store, OBJECT_BLOB_BYTES_MAX, &writer), 0);
    assert_int_equal(store_blob_write(writer, data), 0);
    assert_int_equal(store_blob_commit(&writer, NULL, &blob), 0);
    return blob;
}

static void put_blob(struct http_request *request, void *context)
{
    struct fixture *fixture = context;
    fixture->puts++;
    (void)put_in(fixture->there.store, http_request_body(request));
    http_reply_json(request, 200, json_object());
}

static const struct http_route routes[] = {
    {"GET", "/sync/v1/blobs/{sha256}", get_blob, HTTP_CONTROL, 0},
    {"PUT", "/sync/v1/blobs/{sha256}", put_blob, HTTP_CONTROL, 1u << 20},
};

/* ---- life ---- */

static void open_side(struct side *side)
{
    snprintf(side->dir, sizeof(side->dir), "/tmp/aquifer-transfer-XXXXXX");
    assert_non_null(mkdtemp(side->dir));
    char *users = mem_printf("%s/u.db", side->dir);
    char *web = mem_printf("%s/w.db", side->dir);
    char *blobs = mem_printf("%s/b", side->dir);
    struct store_options options = {
        .io = io_real(), .users_path = users, .web_path = web, .blob_dir = blobs};
    assert_int_equal(store_open(&options, &side->store), 0);
    mem_free(users);
    mem_free(web);
    mem_free(blobs);
}

static void close_side(struct side *side)
{
    char *command = mem_printf("rm -rf %s", side->dir);
    store_close(&side->store);
    assert_int_equal(system(command), 0);
    mem_free(command);
}

static int set_up(void **state)
{
    struct fixture *fixture = MEM_NEW(struct fixture);
    open_side(&fixture->here);
    open_side(&fixture->there);
    struct http_server_options server = {
        .io = io_real(), .address = "127.0.0.1", .control_secret = "secret"};
    struct http_routes table = {routes, ARRAY_COUNT(routes), fixture};
    assert_int_equal(http_server_start(&server, &table, 1, &fixture->server), 0);
    struct http_client_options client = {.control_secret = "secret"};
    assert_int_equal(http_client_new(&client, &fixture->client), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    http_client_free(&fixture->client);
    http_server_stop(&fixture->server);
    close_side(&fixture->here);
    close_side(&fixture->there);
    mem_free(fixture);
    return 0;
}

static int transfer(struct fixture *fixture, const struct object_blob *blob, bool up,
                    uint64_t bytes_max, bool *ret_sent)
{
    char *path = sync_blob_path(blob->sha256);
    char *url = mem_printf("http://127.0.0.1:%u%s", http_server_port(fixture->server), path);
    struct sync_transfer transfer = {
        .client = fixture->client, .store = fixture->here.store, .url = url};
    int rc = up ? sync_blob_send(&transfer, blob->sha256, ret_sent)
                : sync_blob_get(&transfer, blob->sha256, bytes_max);
    mem_free(url);
    mem_free(path);
    return rc;
}

static void overwrite(struct store *store, const struct object_blob *blob, const char *text)
{
    char *path = store_blob_path(store, blob->sha256);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    mem_free(path);
}

/* ---- the claims ---- */

static void what_is_there_is_not_sent_again(void **state)
{
    struct fixture *fixture = *state;
    struct object_blob blob = put_in(fixture->here.store, span_of_str("contents"));
    bool sent = false;
    assert_int_equal(transfer(fixture, &blob, true, 0, &sent), 0);
    assert_true(sent && store_blob_has(fixture->there.store, blob.sha256));
    assert_int_equal(transfer(fixture, &blob, true, 0, &sent), 0);
    assert_false(sent);
    assert_int_equal(fixture->puts, 1);
    struct object_blob nobodys = {.sha256 = {7}, .bytes = 1, .present = true};
    assert_int_equal(transfer(fixture, &nobodys, true, 0, &sent), ERR_NOT_FOUND);
}

static void what_comes_is_kept_and_what_is_not_there_is_said(void **state)
{
    struct fixture *fixture = *state;
    struct object_blob blob = put_in(fixture->there.store, span_of_str("contents"));
    assert_int_equal(transfer(fixture, &blob, false, blob.bytes, NULL), 0);
    assert_true(store_blob_has(fixture->here.store, blob.sha256));
    struct object_blob nobodys = {.sha256 = {7}, .bytes = 1, .present = true};
    assert_int_equal(transfer(fixture, &nobodys, false, 1, NULL), ERR_NOT_FOUND);
}

static void damage_is_told_and_not_kept(void **state)
{
    struct fixture *fixture = *state;
    static const char *const damaged[] = {"cOntents", "cont", "contents and more"};
    struct object_blob blob = put_in(fixture->there.store, span_of_str("contents"));
    for (size_t i = 0; i < ARRAY_COUNT(damaged); i++) {
        overwrite(fixture->there.store, &blob, damaged[i]);
        assert_int_equal(transfer(fixture, &blob, false, blob.bytes, NULL), ERR_CORRUPT);
        assert_false(store_blob_has(fixture->here.store, blob.sha256));
    }
}

int main(void)
{
    CHECK(sodium_init() >= 0);
#define CLAIM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(what_is_there_is_not_sent_again),
        CLAIM(what_comes_is_kept_and_what_is_not_there_is_said),
        CLAIM(damage_is_told_and_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
