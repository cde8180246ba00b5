/* What renderers say that are given all rows at once: the sheet's examples, and their bounds. */
#include "query/modules_testing.h"
#include "query/renderers/place.h"

static void a_chart_has_a_series_per_key(void **unused)
{
    (void)unused;
    expect_answer("tag=app json user | count by user | chart count by user",
                  "{\"Names\":[\"alice\",\"\",\"bob\"],\"Values\":["
                  "{\"TS\":\"2026-01-02T12:00:00Z\",\"Data\":[1,null,null]},"
                  "{\"TS\":\"2026-01-02T12:00:01Z\",\"Data\":[1,null,1]},"
                  "{\"TS\":\"2026-01-02T12:00:03Z\",\"Data\":[null,1,null]}]}\n");
    expect_answer("tag=app json user ms | stats mean(ms) max(ms) by user over 1m | chart mean max "
                  "by user",
                  "{\"Names\":[\"max bob\",\"mean bob\",\"max alice\",\"mean alice\"],\"Values\":["
                  "{\"TS\":\"2026-01-02T12:00:00Z\",\"Data\":[40,40,12.5,7.75]}]}\n");
    expect_answer("tag=app json ms | stats mean(ms) over 2s | chart mean",
                  "{\"Names\":[\"mean\"],\"Values\":[{\"TS\":\"2026-01-02T12:00:00Z\",\"Data\":["
                  "18.5]},{\"TS\":\"2026-01-02T12:00:02Z\",\"Data\":[null]}]}\n");
    expect_answer("tag=auth chart", "{\"Names\":[\"count\"],\"Values\":["
                                    "{\"TS\":\"2026-01-02T12:00:00Z\",\"Data\":[1]},"
                                    "{\"TS\":\"2026-01-02T12:00:01Z\",\"Data\":[1]},"
                                    "{\"TS\":\"2026-01-02T12:00:02Z\",\"Data\":[1]},"
                                    "{\"TS\":\"2026-01-02T12:00:04Z\",\"Data\":[1]}]}\n");
    expect_answer("tag=none chart", "{\"Names\":[],\"Values\":[]}\n");
    refuse("tag=app chart x by", "a key must follow 'by'");
    refuse("tag=app chart x limit 0", "the limit is 1 to");
}

static void a_total_goes_on_from_bucket_to_bucket(void **unused)
{
    (void)unused;
    expect_answer("tag=app json user ms | stats total(ms) by user sum(ms) as all | chart total all "
                  "by user",
                  "{\"Names\":[\"all alice\",\"all bob\",\"total bob\",\"total alice\"],"
                  "\"Values\":["
                  "{\"TS\":\"2026-01-02T12:00:00Z\",\"Data\":[12.5,null,null,12.5]},"
                  "{\"TS\":\"2026-01-02T12:00:01Z\",\"Data\":[43,43,40,15.5]}]}\n");
    expect_answer("tag=app json code | stats total(code) | chart total",
                  "{\"Names\":[\"total\"],\"Values\":["
                  "{\"TS\":\"2026-01-02T12:00:00Z\",\"Data\":[200]},"
                  "{\"TS\":\"2026-01-02T12:00:01Z\",\"Data\":[1104]},"
                  "{\"TS\":\"2026-01-02T12:00:03Z\",\"Data\":[1304]}]}\n");
    expect_answer(
        "tag=app json code user | stats total(code) by user over 2s | chart total by user "
        "limit 1",
        "{\"Names\":[\"alice\",\"other\"],\"Values\":["
        "{\"TS\":\"2026-01-02T12:00:00Z\",\"Data\":[604,500]},"
        "{\"TS\":\"2026-01-02T12:00:02Z\",\"Data\":[604,700]}]}\n");
}

/* The mean of all that is not shown, not a mean of means. */
static void what_a_chart_does_not_show_is_one_series(void **unused)
{
    (void)unused;
    expect_answer("tag=app json code | stats mean(code) count by code over 1m | chart mean by code "
                  "limit 1",
                  "{\"Names\":[\"500\",\"other\"],\"Values\":[{\"TS\":\"2026-01-02T12:00:00Z\","
                  "\"Data\":[500,268]}]}\n");
    expect_answer("tag=app json code | stats count by code over 1m | chart count by code limit 1",
                  "{\"Names\":[\"200\",\"other\"],\"Values\":[{\"TS\":\"2026-01-02T12:00:00Z\","
                  "\"Data\":[2,2]}]}\n");
    expect_answer("tag=app json code | stats count by code over 1m | sort by code | chart count by "
                  "code limit 1",
                  "{\"Names\":[\"200\",\"other\"],\"Values\":[{\"TS\":\"2026-01-02T12:00:00Z\","
                  "\"Data\":[2,2]}]}\n");
}

static void stacks_and_words_add_up(void **unused)
{
    (void)unused;
    expect_answer("tag=app json user code | count by user code | stackgraph user code count",
                  "[{\"Key\":\"\",\"Values\":[{\"Label\":\"200\",\"Value\":1}]},"
                  "{\"Key\":\"alice\",\"Values\":[{\"Label\":\"200\",\"Value\":1},{\"Label\":"
                  "\"404\",\"Value\":1}]},"
                  "{\"Key\":\"bob\",\"Values\":[{\"Label\":\"500\",\"Value\":1}]}]\n");
    expect_answer("tag=app json user | count by user | wordcloud count by user",
                  "[{\"Name\":\"\",\"Magnitude\":1,\"Min\":0,\"Max\":0},"
                  "{\"Name\":\"alice\",\"Magnitude\":2,\"Min\":0,\"Max\":0},"
                  "{\"Name\":\"bob\",\"Magnitude\":1,\"Min\":0,\"Max\":0}]\n");
    refuse("tag=app stackgraph a b", "three names are needed");
    refuse("tag=app wordcloud count by", "'by' and keys");
}

static void places_come_from_one_value_or_two(void **unused)
{
    (void)unused;
    expect_answer("tag=kv2 eval Location = \"50.1, 14.4\"; host = \"web9\"; | pointmap host",
                  "[{\"Loc\":{\"Lat\":50.1,\"Long\":14.4},\"Metadata\":[{\"host\":\"web9\"}]}]\n");
    expect_answer("tag=kv2 eval lat = 50.1; long = 14.4; n = 3; | heatmap n", "[[50.1,14.4,3]]\n");
    expect_answer("tag=kv2 eval a = 91; o = 14.4; | pointmap -lat a -long o", "[]\n");
    refuse("tag=kv2 pointmap -lat a", "go together");
}

static void arcs_between_the_same_places_are_one(void **unused)
{
    (void)unused;
    static const char places[] =
        "tag=app json user ms | require user | eval a = \"50.1 14.4\"; lat = "
        "48.2; long = 16.4; |";
    static const char ends[] = "{\"Src\":{\"Lat\":50.1,\"Long\":14.4},\"Dst\":{\"Lat\":48.2,"
                               "\"Long\":16.4},\"Magnitude\":";
    char *count = mem_printf("%s point2point -srcloc a -dstlat lat -dstlong long", places);
    char *sum = mem_printf("%s point2point -srcloc a -dstlat lat -dstlong long -mag ms", places);
    char *apart =
        mem_printf("%s sort by user asc | point2point -srcloc a -dstlat lat -dstlong long "
                   "user",
                   places);
    char *want_count = mem_printf("[%s4}]\n", ends);
    char *want_sum = mem_printf("[%s55.5}]\n", ends);
    char *want_apart = mem_printf("[%s1,\"Values\":[\"\"]},%s2,\"Values\":[\"alice\"]},%s1,"
                                  "\"Values\":[\"bob\"]}]\n",
                                  ends, ends, ends);
    expect_answer(count, want_count);
    expect_answer(sum, want_sum);
    expect_answer(apart, want_apart);
    char *texts[] = {count, sum, apart, want_count, want_sum, want_apart};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        mem_free(texts[i]);
    }
    expect_answer("tag=kv2 point2point -srcloc a -dstloc b", "[]\n");
    refuse("tag=kv2 point2point -srcloc a", "-dstloc, or -dstlat and -dstlong, are missing");
    refuse("tag=kv2 point2point -srcloc a -dstlat b", "-dstlat and -dstlong go together");
}

static void a_fence_is_what_is_in_view(void **unused)
{
    (void)unused;
    static const struct query_fence whole = {0};
    static const struct query_fence europe = {.south = 35, .west = -10, .north = 70, .east = 40};
    static const struct query_fence pacific = {
        .south = -50, .west = 160, .north = 50, .east = -120};
    struct place prague = {50.1, 14.4};
    struct place fiji = {-18, 178};
    struct place samoa = {-13, -172};
    assert_true(place_inside(&whole, fiji));
    assert_true(place_inside(&europe, prague));
    assert_false(place_inside(&europe, fiji));
    assert_true(place_inside(&pacific, fiji));
    assert_true(place_inside(&pacific, samoa));
    assert_false(place_inside(&pacific, prague));
}

static void a_graph_has_nodes_links_and_groups(void **unused)
{
    (void)unused;
    expect_answer("tag=app json -s user code | stats count by user code | eval g = \"u\"; | fdg -v "
                  "count -sg g user code",
                  "{\"nodes\":[{\"name\":\"\",\"group\":0},{\"name\":\"200\",\"group\":1},"
                  "{\"name\":\"alice\",\"group\":0},{\"name\":\"404\",\"group\":1},"
                  "{\"name\":\"bob\",\"group\":0},{\"name\":\"500\",\"group\":1}],"
                  "\"links\":[{\"value\":1,\"source\":0,\"target\":1},{\"value\":1,\"source\":2,"
                  "\"target\":1},{\"value\":1,\"source\":2,\"target\":3},{\"value\":1,\"source\":4,"
                  "\"target\":5}],\"groups\":[\"u\",\"\"]}\n");
    refuse("tag=app fdg a", "two names are needed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chart_has_a_series_per_key),
        cmocka_unit_test(a_total_goes_on_from_bucket_to_bucket),
        cmocka_unit_test(what_a_chart_does_not_show_is_one_series),
        cmocka_unit_test(stacks_and_words_add_up),
        cmocka_unit_test(places_come_from_one_value_or_two),
        cmocka_unit_test(arcs_between_the_same_places_are_one),
        cmocka_unit_test(a_fence_is_what_is_in_view),
        cmocka_unit_test(a_graph_has_nodes_links_and_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
