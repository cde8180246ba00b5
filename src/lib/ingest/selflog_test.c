/* What is claimed: the self-log is what the configuration says, and never in the way. */
#include "ingest/selflog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "ingest/link.h"
#include "service/log.h"

static int start(const char *text, struct ingest_selflog **ret_selflog)
{
    struct conf *conf = NULL;
    struct buf problems = {0};
    assert_int_equal(conf_parse(span_of_str(text), "test", conf_schema_aquifer(), &problems, &conf),
                     0);
    int rc = ingest_selflog_start(conf, io_real(), "aquifer-test", ret_selflog);
    conf_free(&conf);
    buf_deinit(&problems);
    return rc;
}

static void without_targets_or_when_disabled_there_is_none(void **state)
{
    (void)state;
    struct ingest_selflog *selflog;
    assert_int_equal(start("[Global]\n", &selflog), 0);
    assert_null(selflog);
    assert_int_equal(
        start("[Global]\nSelf-Log-Target=127.0.0.1:1\nDisable-Self-Ingest=true\n", &selflog), 0);
    assert_null(selflog);
    ingest_selflog_stop(&selflog);
}

/* Nobody listens there: a line costs no wait, and stopping comes to an end. */
static void a_target_that_is_down_is_not_waited_for(void **state)
{
    (void)state;
    struct ingest_selflog *selflog;
    assert_int_equal(start("[Global]\nSelf-Log-Target=127.0.0.1:1\n", &selflog), 0);
    assert_non_null(selflog);
    for (int i = 0; i < 20; i++) {
        log_info("test", "a line for nobody", NULL);
    }
    ingest_selflog_stop(&selflog);
    assert_null(selflog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_targets_or_when_disabled_there_is_none),
        cmocka_unit_test(a_target_that_is_down_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
