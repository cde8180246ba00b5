/*
 * Files of the 2.x datalog: the worked files of the reference, made from the request's text and
 * byte for byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/err.h"
#include "warp10/gts.h"
#include "warp10/request_file.h"

#define UUID "11111111-1111-1111-1111-111111111111"
#define TEXT(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static const char body[] = "1700000000000000// demo.temp{room=kitchen,sensor=a} 21.5\n"
                           "=1700000060000000/48.0:-4.5/120000 22\n"
                           "  1700000000000000// demo.door{room=hall} T\r\n"
                           "# a comment\n\n"
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
                                             .id = TEXT("node-a"),
                                             .action = WARP10_UPDATE,
                                             .token = TEXT("WRITE"),
                                             .now = TEXT("1795216595001859")};

static struct request_file_keys keys_of_reference(void)
{
    uint8_t bytes[2 * SIPHASH_KEY_BYTES];
    for (uint8_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = i;
    }
    return (struct request_file_keys){siphash_key_of(bytes),
                                      siphash_key_of(bytes + SIPHASH_KEY_BYTES)};
}

static void the_file_of_an_update_is_that_of_the_reference(void **state)
{
    (void)state;
    static const struct series_label labels[] = {{TEXT(".app"), TEXT("demo")},
                                                 {TEXT(".owner"), TEXT(UUID)},
                                                 {TEXT(".producer"), TEXT(UUID)}};
    struct gts_options options = {.labels = labels, .label_count = ARRAY_COUNT(labels)};
    struct gts_reader *reader = gts_reader_new(&options);
    struct request_file_keys keys = keys_of_reference();
    struct gts_reading reading;
    struct buf out = {0};
    assert_int_equal(request_file_begin(&out, &update, SPAN_NONE), 0);
    gts_reader_feed(reader, span_of_str(body));
    while (gts_reader_next(reader, &reading) == 0) {
        request_file_line(&out, reading.text, reading.series->key, &keys);
    }
    assert_int_equal(out.bytes, 401);
    assert_string_equal(buf_str(&out), file);
    gts_reader_free(&reader);
    buf_deinit(&out);
}

/* Forwarded without its headers, such a line means the same. */
static void lines_mean_the_same_to_who_does_not_know_the_headers(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        bool latin1;
        int64_t time; /* 0: as it stands there */
        const char *expected;
    } cases[] = {
        {"1// x{} 'a'", false, 0, "1// x{} 'a'"},
        {"1// x{} 'a'", true, -7, "-7// x{} 'a'"},
        {"=T+5/1:2/3 'b'", false, 105, "=105/1:2/3 'b'"},
        {"// x{a=b} 1", false, 9, "9// x{a=b} 1"},
        {"1// \xC3\xA9{l=\xE2\x82\xAC} '\xC3\xA9 %25'", false, 0,
         "1// %C3%A9{l=%E2%82%AC} '%C3%A9 %25'"},
        {"1// x{} '\xC3\xA9'", true, 0, "1// x{} '%C3%83%C2%A9'"},
        {"1// x{} '\xE9\xE8 \xC3\xA9'", false, 0, "1// x{} '%C3%A9%C3%A8 %C3%A9'"},
        {"x{\xE9=1}{a=\xE8}", true, 0, "x{%C3%A9=1}{a=%C3%A8}"},
    };
    struct buf scratch = {0};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const int64_t *time = cases[i].time != 0 ? &cases[i].time : NULL;
        struct span line =
            request_file_portable(&scratch, span_of_str(cases[i].line), cases[i].latin1, time);
        assert_int_equal(line.bytes, strlen(cases[i].expected));
        assert_memory_equal(line.data, cases[i].expected, line.bytes);
    }
    buf_deinit(&scratch);
}

static void a_file_is_taken_apart_into_request_and_lines(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 20);
    struct warp10_datalog datalog;
    struct span lines;
    assert_int_equal(request_file_open(arena, span_of_str(file), SPAN_NONE, &datalog, &lines), 0);
    assert_true(span_equal_str(datalog.id, "node-a"));
    assert_true(span_equal_str(lines, file + 0x4c));
    assert_int_equal(request_file_open(arena, SPAN_NONE, SPAN_NONE, &datalog, &lines),
                     ERR_PROTOCOL);
    arena_free(&arena);
}

static void the_files_of_meta_and_delete_have_no_mark(void **state)
{
    (void)state;
    struct warp10_datalog meta = update;
    struct buf out = {0};
    meta.action = WARP10_META;
    meta.now = SPAN_NONE;
    meta.time_ns = INT64_C(1795216595072134481);
    assert_int_equal(request_file_begin(&out, &meta, SPAN_NONE), 0);
    assert_true(out.data[0] != '#');
    request_file_line(&out, SPAN_LIT("demo.temp{room=kitchen,sensor=a}{unit=C,%C3%A9=x%20y}"),
                      SPAN_NONE, NULL);
    assert_true(span_ends_with(buf_span(&out), SPAN_LIT("{unit=C,%C3%A9=x%20y}\n")));
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_of_an_update_is_that_of_the_reference),
        cmocka_unit_test(lines_mean_the_same_to_who_does_not_know_the_headers),
        cmocka_unit_test(a_file_is_taken_apart_into_request_and_lines),
        cmocka_unit_test(the_files_of_meta_and_delete_have_no_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
