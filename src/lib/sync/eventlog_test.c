/* An event of sync becomes one log line of the level it has. */
#include "sync/eventlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "service/log.h"

static void each_event_is_one_line_of_its_level(void **state)
{
    (void)state;
    static const struct {
        enum sync_level level;
        enum log_level logged;
    } rows[] = {
        {SYNC_INFO, LOG_LEVEL_INFO}, {SYNC_WARN, LOG_LEVEL_WARN}, {SYNC_ERROR, LOG_LEVEL_ERROR}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t before = log_count(rows[i].logged);
        sync_eventlog(NULL, rows[i].level, "datastore-link", "offline, because of a test");
        assert_int_equal(log_count(rows[i].logged), before + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_event_is_one_line_of_its_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
