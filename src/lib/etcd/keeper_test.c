/*
 * Claims, over a real etcd that the test starts: a datastore waits for one that is slow when it
 * starts. Skipped with a message without etcd. The rest of it is claimed in cache_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>

#include "etcd/follower.h"
#include "etcd/testing.h"

/* Longer than a call may take. */
static void *go_on_later(void *context)
{
    (void)context;
    (void)poll(NULL, 0, ETCD_CALL_MS + ETCD_CALL_MS / 2);
    CHECK(kill(testing.pid, SIGCONT) == 0);
    return NULL;
}

static void a_datastore_starts_when_etcd_answers_again(void **state)
{
    (void)state;
    char dir[] = "/tmp/aquifer-keeper-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *users = mem_printf("%s/u.db", dir);
    char *web = mem_printf("%s/w.db", dir);
    char *blobs = mem_printf("%s/b", dir);
    struct etcd_follower_options options = {.io = io_real(),
                                            .url = testing.members,
                                            .users_path = users,
                                            .web_path = web,
                                            .blob_dir = blobs};
    struct etcd_follower *follower = NULL;
    struct sync_server *server = NULL;
    pthread_t thread;
    assert_int_equal(etcd_follower_open(&options, &follower), 0);
    struct sync_server_options serving = {.io = io_real(),
                                          .store = etcd_follower_store(follower),
                                          .backend = etcd_follower_backend(follower)};
    assert_int_equal(sync_server_new(&serving, &server), 0);
    etcd_follower_attach(follower, server);
    assert_int_equal(kill(testing.pid, SIGSTOP), 0);
    assert_int_equal(pthread_create(&thread, NULL, go_on_later, NULL), 0);
    int rc = etcd_follower_start(follower, "http://nobody:0");
    (void)pthread_join(thread, NULL);
    assert_int_equal(rc, 0);
    etcd_follower_stop(follower);
    sync_server_free(&server);
    etcd_follower_close(&follower);
    char *command = mem_printf("rm -rf %s", dir);
    assert_int_equal(system(command), 0);
    mem_free(command);
    mem_free(users);
    mem_free(web);
    mem_free(blobs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_datastore_starts_when_etcd_answers_again),
    };
    return cmocka_run_group_tests(tests, begin_suite, end_suite);
}
