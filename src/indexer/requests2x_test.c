/* What is claimed: the file of the reference's worked example, name and bytes, is what is linked
 * into every directory; one that is dropped leaves nothing; one that was being written when the
 * indexer was killed is gone after the next start. */
#include "indexer/requests2x.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "warp10/gts.h"

#define NAME "18e9e3fb4ff9ac74-QaxZOHpW-20261120T231635.001912436Z-..........3"
#define UUID "11111111-1111-1111-1111-111111111111"

static const char body[] = "1700000000000000// demo.temp{room=kitchen,sensor=a} 21.5\n"
                           "=1700000060000000/48.0:-4.5/120000 22\n"
                           "1700000000000000// demo.door{room=hall} T\n"
                           "1700000000000000//1500 demo.event{room=hall%20A} 'caf%C3%A9%20%25'\n"
                           "1700000000000000// demo.blob{room=hall} b64:AAEC_w\n";

static const char file[] =
    "#4iXlnUzdzj6dBGV7JL4sLZx7R4RN0_KFG34JGGV4Kp88K3JN323rDIJmBINpDIJkB23sCIZX..\n"
    "#K52934652515796\n"
    "1700000000000000// demo.temp{room=kitchen,sensor=a} 21.5\n"
    "=1700000060000000/48.0:-4.5/120000 22\n"
    "#K39685834241809\n"
    "1700000000000000// demo.door{room=hall} T\n"
    "#K137434959560133\n"
    "1700000000000000//1500 demo.event{room=hall%20A} 'caf%C3%A9%20%25'\n"
    "#K214895015327505\n"
    "1700000000000000// demo.blob{room=hall} b64:AAEC_w\n";

static const struct warp10_datalog update = {.time_ns = INT64_C(1795216595001912436),
                                             .action = WARP10_UPDATE,
                                             .token = SPAN_LIT("WRITE"),
                                             .now = SPAN_LIT("1795216595001859")};

struct world {
    char dir[64];
    struct conf *conf;
    struct requests2x *requests;
};

static void open_world(struct world *world)
{
    assert_int_equal(
        requests2x_open(io_real(), world->conf, (struct uuid){{7}}, SPAN_NONE, &world->requests),
        0);
    assert_non_null(world->requests);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    struct buf text = {0};
    struct buf problems = {0};
    snprintf(world->dir, sizeof(world->dir), "/tmp/aquifer-requests2x-test-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    buf_printf(&text,
               "[Warp10]\nRequest-Directory=%s/now\nRequest-Link-Directory=%s/a\n"
               "Request-Link-Directory=%s/b\nRequest-ID=node-a\n"
               "Class-Hash-Key=hex:000102030405060708090a0b0c0d0e0f\n"
               "Labels-Hash-Key=hex:101112131415161718191a1b1c1d1e1f\n",
               world->dir, world->dir, world->dir);
    assert_int_equal(
        conf_parse(buf_span(&text), "test", conf_schema_aquifer(), &problems, &world->conf), 0);
    open_world(world);
    buf_deinit(&text);
    buf_deinit(&problems);
    *state = world;
    return 0;
}

static int remove_tree(void *context, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", (const char *)context, name);
    if (io_remove(io_real(), path) < 0 && io_list(io_real(), path, remove_tree, path) == 0) {
        (void)!io_remove_dir(io_real(), path);
    }
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    requests2x_close(&world->requests);
    conf_free(&world->conf);
    assert_int_equal(io_list(io_real(), world->dir, remove_tree, world->dir), 0);
    assert_int_equal(io_remove_dir(io_real(), world->dir), 0);
    free(world);
    return 0;
}

static void write_body(struct request2x *request)
{
    static const struct series_label labels[] = {{SPAN_LIT(".app"), SPAN_LIT("demo")},
                                                 {SPAN_LIT(".owner"), SPAN_LIT(UUID)},
                                                 {SPAN_LIT(".producer"), SPAN_LIT(UUID)}};
    struct gts_options options = {.labels = labels, .label_count = ARRAY_COUNT(labels)};
    struct gts_reader *reader = gts_reader_new(&options);
    struct gts_reading reading;
    gts_reader_feed(reader, span_of_str(body));
    while (gts_reader_next(reader, &reading) == 0) {
        assert_int_equal(request2x_line(request, reading.text, reading.series->key), 0);
    }
    gts_reader_free(&reader);
}

static int count_one(void *context, const char *name)
{
    (void)name;
    ++*(int *)context;
    return 0;
}

static int count(const struct world *world, const char *sub)
{
    char path[128];
    int files = 0;
    snprintf(path, sizeof(path), "%s/%s", world->dir, sub);
    assert_int_equal(io_list(io_real(), path, count_one, &files), 0);
    return files;
}

static void an_update_is_linked_byte_for_byte_as_the_reference_does(void **state)
{
    static const char *const subs[] = {"a", "b"};
    struct world *world = *state;
    struct request2x *request;
    assert_int_equal(request2x_begin(world->requests, &update, &request), 0);
    write_body(request);
    assert_int_equal(request2x_lines(request), 5);
    assert_int_equal(count(world, "now"), 1);
    assert_int_equal(count(world, "a"), 0);
    assert_int_equal(request2x_publish(&request), 0);
    assert_null(request);
    assert_int_equal(count(world, "now"), 0);
    for (size_t i = 0; i < ARRAY_COUNT(subs); i++) {
        struct buf text = {0};
        char path[256];
        snprintf(path, sizeof(path), "%s/%s/" NAME ".datalog", world->dir, subs[i]);
        assert_int_equal(io_read_file(io_real(), path, 1000, &text), 0);
        assert_int_equal(text.bytes, 401);
        assert_string_equal(buf_str(&text), file);
        buf_deinit(&text);
    }
}

/* Without shard keys, though there are keys for them. */
static void meta_and_delete_are_linked_byte_for_byte_as_the_reference_does(void **state)
{
    static const struct {
        struct warp10_datalog datalog;
        const char *line, *name, *text;
    } cases[] = {
        {{.time_ns = INT64_C(1795216595047855505),
          .action = WARP10_META,
          .token = SPAN_LIT("WRITE")},
         "demo.temp{room=kitchen,sensor=a}{unit=C,%C3%A9=x%20y}",
         "18e9e3fb52b6b591-QaxZOHpW-20261120T231635.047855505Z-..........7",
         "4eALhPjezj6dBGV7JL4sLZx7R4RN03p4K33N0KSHHKG4BV.\n"
         "demo.temp{room=kitchen,sensor=a}{unit=C,%C3%A9=x%20y}\n"},
        {{.time_ns = INT64_C(1795216595059245482),
          .action = WARP10_DELETE,
          .token = SPAN_LIT("WRITE"),
          .query = SPAN_LIT("selector=demo.door{room=hall}&start=1700000000000000"
                            "&end=1700000000000000&x=%7B%20+")},
         NULL,
         "18e9e3fb536481aa-QaxZOHpW-20261120T231635.059245482Z-..........B",
         "4hH5dAQezj6dBGV7JL4sLZx7R4RN0ZG4I3KJGGV4Kp88K3JcJrC_Q5KYS5xmELG_QLwiO5xjRbhmQqxhELWWQ5lx"
         "8bCoNM8oEI3rB2.kB2.kB2.kB2.kB2.aOLtZEI3rB2.kB2.kB2.kB2.kB2.aT2o_Co7_BY.f..\n"}};
    struct world *world = *state;
    struct request2x *request;
    assert_int_equal(request2x_begin(world->requests, &update, &request), 0);
    request2x_drop(&request); /* it has had its number */
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf text = {0};
        char path[256];
        assert_int_equal(request2x_begin(world->requests, &cases[i].datalog, &request), 0);
        if (cases[i].line != NULL) {
            assert_int_equal(request2x_line(request, span_of_str(cases[i].line), SPAN_NONE), 0);
        }
        assert_int_equal(request2x_publish(&request), 0);
        snprintf(path, sizeof(path), "%s/a/%s.datalog", world->dir, cases[i].name);
        assert_int_equal(io_read_file(io_real(), path, 1000, &text), 0);
        assert_string_equal(buf_str(&text), cases[i].text);
        buf_deinit(&text);
    }
}

/* Said at the start, not to each client. */
static void a_directory_that_takes_no_links_is_named(void **state)
{
    struct world *world = *state;
    struct requests2x *requests = NULL;
    struct conf *conf;
    struct buf text = {0};
    struct buf problems = {0};
    buf_printf(&text, "[Warp10]\nRequest-Directory=%s/now\nRequest-Link-Directory=/proc/self\n",
               world->dir);
    assert_int_equal(conf_parse(buf_span(&text), "test", conf_schema_aquifer(), &problems, &conf),
                     0);
    assert_true(requests2x_open(io_real(), conf, (struct uuid){{7}}, SPAN_NONE, &requests) < 0);
    if (strstr(err_text(), "Request-Link-Directory=/proc/self") == NULL) {
        fail_msg("%s", err_text());
    }
    assert_int_equal(count(world, "now") + count(world, "a") + count(world, "b"), 0);
    conf_free(&conf);
    buf_deinit(&text);
    buf_deinit(&problems);
}

static void what_is_dropped_or_unfinished_leaves_nothing(void **state)
{
    struct world *world = *state;
    struct request2x *request;
    char path[256];
    assert_int_equal(request2x_begin(world->requests, &update, &request), 0);
    request2x_drop(&request);
    assert_int_equal(count(world, "now") + count(world, "a") + count(world, "b"), 0);
    snprintf(path, sizeof(path), "%s/now/" NAME, world->dir);
    assert_int_equal(io_write_file(io_real(), path, SPAN_LIT("#half")), 0);
    snprintf(path, sizeof(path), "%s/now/something else", world->dir);
    assert_int_equal(io_write_file(io_real(), path, SPAN_LIT("")), 0);
    requests2x_close(&world->requests);
    open_world(world);
    assert_int_equal(count(world, "now"), 1);
    assert_int_equal(request2x_begin(NULL, &update, &request), 0);
    assert_int_equal(request2x_line(request, SPAN_LIT("x"), SPAN_NONE), 0);
    assert_int_equal(request2x_publish(&request), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_update_is_linked_byte_for_byte_as_the_reference_does,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            meta_and_delete_are_linked_byte_for_byte_as_the_reference_does, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_directory_that_takes_no_links_is_named, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_dropped_or_unfinished_leaves_nothing, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
