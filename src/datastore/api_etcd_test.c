/*
 * Claims: what api_test.c claims of a datastore over SQLite holds over a real etcd too, which the
 * test starts itself. Skipped with a message where there is none.
 */
#define API_TEST_BACKEND
#define OVER_FILES false

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "etcd/follower.h"
#include "etcd/testing.h"

/* Each set of files has a place of its own in etcd: other files are another datastore. */
static void open_server(const struct store_options *options, struct store **ret_store,
                        struct sync_server **ret_server, struct etcd_follower **ret_follower)
{
    char *url = mem_printf("%s%s", testing.members, options->users_path);
    struct etcd_follower_options follower = {.io = options->io,
                                             .url = url,
                                             .users_path = options->users_path,
                                             .web_path = options->web_path,
                                             .blob_dir = options->blob_dir,
                                             .control_secret = "secret"};
    int rc = etcd_follower_open(&follower, ret_follower);
    if (rc < 0) {
        fail_msg("%s", err_text());
    }
    *ret_store = etcd_follower_store(*ret_follower);
    struct sync_server_options server = {
        .io = options->io, .store = *ret_store, .backend = etcd_follower_backend(*ret_follower)};
    assert_int_equal(sync_server_new(&server, ret_server), 0);
    etcd_follower_attach(*ret_follower, *ret_server);
    mem_free(url);
}

static void start_follower(struct etcd_follower *follower, uint16_t port)
{
    char *address = mem_printf("http://127.0.0.1:%u", port);
    assert_int_equal(etcd_follower_start(follower, address), 0);
    mem_free(address);
}

static void close_server(struct store **store, struct sync_server **server,
                         struct etcd_follower **follower)
{
    etcd_follower_stop(*follower);
    sync_server_free(server);
    etcd_follower_close(follower);
    *store = NULL;
}

#include "api_test.c"
