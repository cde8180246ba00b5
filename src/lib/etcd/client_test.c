/*
 * Claims, without an etcd: what a call says that no member answered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "etcd/testing.h"

static int listen_without_answers(int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    assert_int_equal(listen(fd, 64), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* The last attempt has little time left, and its member hangs anyway. */
static void what_a_member_said_is_told_and_not_that_the_last_attempt_was_cut_short(void **state)
{
    (void)state;
    int hanging_port = 0;
    int hanging = listen_without_answers(&hanging_port);
    struct testing_port refusing = testing_port_take();
    char *members = mem_printf("etcd://127.0.0.1:%d,127.0.0.1:%d", refusing.number, hanging_port);
    char *closed = mem_printf("127.0.0.1:%d", refusing.number);
    struct etcd *etcd = NULL;
    json_t *answer = NULL;
    json_t *body = json_object();
    assert_int_equal(etcd_new(io_real(), members, NULL, &etcd), 0);
    assert_int_equal(etcd_call(etcd, "/v3/kv/range", body, ETCD_CALL_MS, &answer), ERR_UNAVAILABLE);
    assert_non_null(strstr(err_text(), closed));
    assert_null(answer);
    json_decref(body);
    etcd_free(&etcd);
    mem_free(closed);
    mem_free(members);
    testing_port_give_back(&refusing);
    close(hanging);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_member_said_is_told_and_not_that_the_last_attempt_was_cut_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
