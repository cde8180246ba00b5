/*
 * Storage's part of the configuration: what is set arrives, what cannot be is refused by name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/time.h"
#include "conf/conf.h"
#include "indexer/storage.h"

static int options_from(const char *text, struct storage_options *options, struct conf **ret_conf,
                        struct arena *arena)
{
    struct buf problems = {0};
    int rc = conf_parse(span_of_str(text), "t.conf", conf_schema_aquifer(), &problems, ret_conf);
    if (rc == 0) {
        rc = storage_options_of_conf(*ret_conf, arena, options);
    }
    buf_deinit(&problems);
    return rc;
}

static void options_come_from_the_config(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 20);
    struct storage_options options = {0};
    struct conf *conf = NULL;
    assert_int_equal(options_from("[Global]\nTag-DB-Path=/x/tags\n[Default-Well]\nLocation=/d\n"
                                  "[Datalog]\nDirectory=/l\nMax-Datalog-GB=7\nSegment-MB=3\n"
                                  "[Storage-Well \"w\"]\nLocation=/w\nTags=a\nTags=b*\n"
                                  "Hot-Duration=7d\nRequired-Retention=2d\n"
                                  "Max-Hot-Storage-GB=3\nHot-Storage-Reserve=10\n"
                                  "Delete-Cold-Data=true\n",
                                  &options, &conf, arena),
                     0);
    assert_int_equal(options.wells_count, 2);
    assert_string_equal(options.wells[0].name, STORAGE_WELL_DEFAULT);
    assert_string_equal(options.wells[0].location, "/d");
    assert_string_equal(options.wells[1].tags[1], "b*");
    assert_string_equal(options.wells[0].retention.forbidden, "Delete-Cold-Data is not true");
    assert_true(options.wells[0].retention.hot_ns == 0);
    assert_true(options.wells[1].retention.hot_ns == 7 * TIME_DAY_NS);
    assert_true(options.wells[1].retention.required_ns == 2 * TIME_DAY_NS);
    assert_true(options.wells[1].retention.bytes_max == UINT64_C(3000000000));
    assert_true(options.wells[1].retention.reserve_percent == 10);
    assert_null(options.wells[1].retention.forbidden);
    assert_string_equal(options.datalog_dir, "/l");
    assert_true(options.datalog_segment_bytes_max == 3000000);
    assert_true(options.datalog_held_bytes_max + options.datalog_kept_bytes_max + 2 * 3000000 ==
                UINT64_C(7000000000));
    assert_string_equal(options.tags_path, "/x/tags");
    conf_free(&conf);
    assert_int_equal(options_from("[Default-Well]\nLocation=/d\n[Storage-Well \"w\"]\nTags=a\n",
                                  &options, &conf, arena),
                     ERR_INVALID);
    conf_free(&conf);
    assert_int_equal(options_from("[Default-Well]\nLocation=/d\nTags=a\n"
                                  "[Storage-Well \"w\"]\nLocation=/w\nTags=a\n",
                                  &options, &conf, arena),
                     ERR_INVALID);
    assert_non_null(strstr(err_text(), "default and w"));
    conf_free(&conf);
    assert_int_equal(options_from("[Storage-Well \"w\"]\nTags=a\nStorage=memory\nMax-Memory-MB=3\n",
                                  &options, &conf, arena),
                     0);
    assert_true(options.wells[1].memory_bytes_max == 3000000);
    assert_true(options.wells[0].memory_bytes_max == 0);
    conf_free(&conf);
    assert_int_equal(options_from("[Storage-Well \"w\"]\nLocation=/w\nTags=a\nStorage=tape\n",
                                  &options, &conf, arena),
                     ERR_INVALID);
    assert_non_null(strstr(err_text(), "disk or memory"));
    conf_free(&conf);
    assert_int_equal(options_from("[Datalog]\nMax-Datalog-GB=0\n", &options, &conf, arena),
                     ERR_INVALID);
    assert_non_null(strstr(err_text(), "Max-Datalog-GB"));
    conf_free(&conf);
    assert_int_equal(options_from("[Datalog]\nMax-Datalog-GB=0.05\n", &options, &conf, arena), 0);
    assert_true(options.datalog_segment_bytes_max < 50000000 / 10);
    assert_true(options.datalog_held_bytes_max > 50000000 / 2);
    conf_free(&conf);
    assert_int_equal(options_from("[Datalog]\nSegment-MB=2000\n", &options, &conf, arena),
                     ERR_INVALID);
    assert_non_null(strstr(err_text(), "Segment-MB is 1 to 1024"));
    conf_free(&conf);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_come_from_the_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
