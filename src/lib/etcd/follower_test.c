/*
 * Claims: what sync/server_test.c claims of a server over SQLite holds over a real etcd too, which
 * the test starts itself. Skipped with a message where there is none.
 */
#define SERVER_TEST_BACKEND

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "etcd/follower.h"
#include "etcd/testing.h"

static struct etcd_follower *the_follower;

static void open_server(const struct store_options *options, struct store **ret_store,
                        struct sync_server **ret_server)
{
    char *url = mem_printf("%s%s", testing.members, options->users_path);
    struct etcd_follower_options follower = {.io = options->io,
                                             .url = url,
                                             .users_path = options->users_path,
                                             .web_path = options->web_path,
                                             .blob_dir = options->blob_dir,
                                             .control_secret = "secret"};
    assert_int_equal(etcd_follower_open(&follower, &the_follower), 0);
    *ret_store = etcd_follower_store(the_follower);
    struct sync_server_options server = {
        .io = options->io, .store = *ret_store, .backend = etcd_follower_backend(the_follower)};
    assert_int_equal(sync_server_new(&server, ret_server), 0);
    etcd_follower_attach(the_follower, *ret_server);
    assert_int_equal(etcd_follower_start(the_follower, ""), 0);
    mem_free(url);
}

static void close_server(struct store **store, struct sync_server **server)
{
    etcd_follower_stop(the_follower);
    sync_server_free(server);
    etcd_follower_close(&the_follower);
    *store = NULL;
}

#include "sync/server_test.c"
