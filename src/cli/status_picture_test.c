/* A cluster of the test's own, as a webserver tells of it: each thing that can be wrong is told,
 * and nothing else is. */
#include "cli/status_picture.h"

#include "base/buf.h"
#include "base/time.h"
#include "cli/members.h"
#include "cli/status_print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
    json_t *settings, *cluster, *webservers, *indexers, *later, *notifications;
    struct status_answers answers;
};

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    if (json == NULL) {
        fail_msg("%s: %s", error.text, text);
    }
    return json;
}

/* host-1:9404 forwards to the other one, and the other way round. */
static json_t *indexer(int n)
{
    char text[2048];
    (void)snprintf(
        text, sizeof(text),
        "{\"Address\":\"host-%d:9404\",\"Up\":true,\"Error\":\"\",\"Info\":{\"id\":\"id-%d\","
        "\"version\":\"0.1.0\",\"started\":\"2026-01-02T03:04:05Z\",\"takes_entries\":true,"
        "\"reason\":\"\"},\"Stats\":{\"storage\":{\"entries_accepted\":100,\"points_accepted\":4,"
        "\"bytes_accepted\":5000,\"log_bytes\":300,\"corrupt\":0,\"disk_free_bytes\":600,"
        "\"disk_bytes\":1000},\"wells\":[{\"entries\":90,\"points\":4,\"disk_bytes\":200,"
        "\"corrupt_blocks\":0},{\"entries\":10,\"disk_bytes\":0,\"corrupt_blocks\":0}],"
        "\"replication\":{\"forwarders\":[{\"name\":\"other\",\"target\":\"host-%d:9405\","
        "\"node\":\"id-%d\",\"state\":\"following\",\"lag_records\":0,\"lag_ns\":0,\"fault\":\"\","
        "\"instead_of\":null}]},\"connections\":[{\"name\":\"aquifer-loadbalancer\",\"client\":"
        "\"front:4242\",\"version\":\"0.1.0\",\"since\":\"2026-01-02T03:04:05Z\"}]}}",
        n, n, 3 - n, 3 - n);
    json_t *json = parse(text);
    if (n != 1) {
        json_array_clear(json_object_get(json_object_get(json, "Stats"), "connections"));
    }
    return json;
}

static void begin(struct world *w)
{
    w->settings = parse("{\"Datastore\":{\"State\":\"live\",\"Address\":\"store:9405\",\"Reason\":"
                        "\"\",\"Degraded\":false,\"Since\":\"2026-01-02T03:04:05Z\","
                        "\"Unsynced\":0}}");
    w->cluster = parse("{\"Datastores\":[\"store:9405\",\"spare:9405\"],\"Indexers\":"
                       "[\"host-1:9404\",\"host-2:9404\"]}");
    w->webservers = parse("[{\"UUID\":\"b\",\"ExternalAddr\":\"web-2:443\",\"Version\":\"0.1.0\","
                          "\"SeenMilliseconds\":90000,\"Up\":true,\"Self\":false},{\"UUID\":\"a\","
                          "\"ExternalAddr\":\"web-1:443\",\"Version\":\"0.1.0\","
                          "\"SeenMilliseconds\":10,\"Up\":true,\"Self\":true}]");
    w->indexers = json_pack("[o, o]", indexer(1), indexer(2));
    w->notifications = json_object();
    w->answers = (struct status_answers){.server = "https://front:443/"};
}

static json_t *picture_of(struct world *w)
{
    w->answers.settings = w->settings;
    w->answers.cluster = w->cluster;
    w->answers.webservers = w->webservers;
    w->answers.indexers = w->indexers;
    w->answers.later = w->later;
    w->answers.notifications = w->notifications;
    return status_picture(&w->answers);
}

static void end(struct world *w, json_t *picture)
{
    json_decref(picture);
    json_decref(w->settings);
    json_decref(w->cluster);
    json_decref(w->webservers);
    json_decref(w->indexers);
    json_decref(w->later);
    json_decref(w->notifications);
}

/* Exactly this is wrong: "bad The indexer … | warn …". */
static void is_told(struct world *w, const char *want)
{
    struct buf told = {0};
    size_t i;
    const json_t *trouble;
    json_t *picture = picture_of(w);
    json_array_foreach(json_object_get(picture, "troubles"), i, trouble)
    {
        buf_printf(&told, "%s%s %s", i > 0 ? " | " : "", text_in(trouble, "severity"),
                   text_in(trouble, "what"));
        assert_string_not_equal(text_in(trouble, "advice"), "");
    }
    assert_string_equal(buf_str(&told), want);
    assert_int_equal(status_is_well(picture), want[0] == '\0');
    buf_deinit(&told);
    end(w, picture);
}

/* A member of an indexer's answer: "Stats.storage.corrupt"; a number of a list is its place. */
static void set(json_t *json, const char *path, const char *value)
{
    char name[64];
    const char *dot = strchr(path, '.');
    size_t bytes = dot == NULL ? strlen(path) : (size_t)(dot - path);
    (void)snprintf(name, sizeof(name), "%.*s", (int)bytes, path);
    if (dot != NULL) {
        json_t *inner = json_is_array(json) ? json_array_get(json, (size_t)atoi(name))
                                            : json_object_get(json, name);
        assert_non_null(inner);
        set(inner, dot + 1, value);
    } else {
        json_object_set_new(json, name, json_loads(value, JSON_DECODE_ANY, NULL));
    }
}

#define FORWARDER "0.Stats.replication.forwarders.0."

static void a_cluster_whose_parts_all_work_is_well(void **unused)
{
    (void)unused;
    struct world w = {0};
    begin(&w);
    is_told(&w, "");
}

static void each_part_that_is_away_is_named(void **unused)
{
    (void)unused;
    struct world w = {0};
    begin(&w);
    set(w.settings, "Datastore.Degraded", "true");
    set(w.settings, "Datastore.Reason", "\"no route\"");
    is_told(&w, "bad The datastore store:9405 cannot be reached: no route");

    begin(&w);
    set(w.webservers, "0.Up", "false");
    is_told(&w, "warn The webserver web-2:443 was last seen 1 min 30 s ago.");

    begin(&w);
    json_array_set_new(w.indexers, 1,
                       parse("{\"Address\":\"host-2:9404\",\"Up\":false,"
                             "\"Error\":\"refused\"}"));
    set(w.indexers, FORWARDER "state", "\"connecting\"");
    set(w.indexers, FORWARDER "fault", "\"refused too\"");
    set(w.indexers, FORWARDER "node", "null");
    set(w.webservers, "0.Up", "false");
    is_told(&w, "bad The indexer host-2:9404 does not answer: refused | "
                "bad The link from host-1:9404 to host-2:9404 has no connection: refused too. | "
                "warn The webserver web-2:443 was last seen 1 min 30 s ago.");
}

static void an_indexer_in_need_says_of_what(void **unused)
{
    (void)unused;
    struct world w = {0};
    begin(&w);
    set(w.indexers, "0.Info.takes_entries", "false");
    set(w.indexers, "0.Info.reason", "\"no space\"");
    set(w.indexers, "1.Stats.replication.double_id", "true");
    is_told(&w, "bad The indexer host-1:9404 takes no entries: no space | "
                "bad Another indexer has the id of host-2:9404.");

    begin(&w);
    set(w.indexers, "0.Stats.storage.disk_free_bytes", "49");
    set(w.indexers, "1.Stats.storage.disk_free_bytes", "19");
    is_told(&w, "bad The disk of the indexer host-2:9404 is almost full: 19 B are free. | "
                "warn The disk of the indexer host-1:9404 is almost full: 49 B are free.");

    begin(&w);
    set(w.indexers, "0.Stats.wells.1.corrupt_blocks", "1");
    is_told(&w, "warn The indexer host-1:9404 has found damaged data on its disk.");

    begin(&w);
    set(w.indexers, "1.Info.version", "\"0.2.0\"");
    is_told(&w, "warn Different versions run at the same time: 0.1.0, 0.2.0.");
}

static void a_link_that_does_not_follow_says_why(void **unused)
{
    (void)unused;
    struct world w = {0};
    begin(&w);
    set(w.indexers, FORWARDER "lag_ns", "60000000000");
    is_told(&w, "");

    begin(&w);
    set(w.indexers, FORWARDER "lag_ns", "61000000000");
    is_told(&w, "warn The link from host-1:9404 to host-2:9404 is behind by 1 min 1 s "
                "(following).");

    begin(&w);
    set(w.indexers, FORWARDER "state", "\"needs a snapshot\"");
    is_told(&w, "bad The link from host-1:9404 to host-2:9404 can go on only with a snapshot.");

    begin(&w);
    set(w.indexers, FORWARDER "quarantined", "3");
    is_told(&w, "bad The link from host-1:9404 to host-2:9404 has set 3 records aside.");

    begin(&w);
    set(w.indexers, "0.Stats.replication.sources",
        "[{\"name\":\"k\",\"source\":\"kafka://b/t\",\"state\":\"connecting\",\"fault\":\"\"}]");
    is_told(&w, "warn The link from kafka://b/t to host-1:9404 has no connection.");
}

static void the_picture_has_the_numbers_as_numbers(void **unused)
{
    (void)unused;
    struct world w = {0};
    begin(&w);
    w.later = json_deep_copy(w.indexers);
    set(w.later, "0.Stats.storage.entries_accepted", "150");
    set(w.later, "1.Stats.storage.entries_accepted", "7"); /* it has started meanwhile */
    w.answers.between_ns = 2 * TIME_S_NS;
    json_t *picture = picture_of(&w);
    const json_t *one = json_array_get(json_object_get(picture, "indexers"), 0);
    const json_t *other = json_array_get(json_object_get(picture, "indexers"), 1);
    assert_int_equal(number_in(one, "entries"), 100);
    assert_int_equal(number_in(one, "used_bytes"), 500);
    assert_int_equal(number_in(one, "free_bytes"), 600);
    assert_true(json_real_value(json_object_get(one, "entries_per_second")) == 25);
    assert_true(json_real_value(json_object_get(other, "entries_per_second")) == 0);
    const json_t *first = json_array_get(json_object_get(picture, "webservers"), 0);
    assert_string_equal(text_in(first, "address"), "web-1:443");
    assert_true(true_in(json_array_get(json_object_get(picture, "webservers"), 1), "up"));
    assert_string_equal(text_in(picture, "through"), "front:443");
    json_decref(picture);
    set(w.settings, "Datastore.Degraded", "true"); /* who tells of the other one */
    picture = picture_of(&w);
    assert_true(true_in(json_array_get(json_object_get(picture, "webservers"), 0), "up"));
    other = json_array_get(json_object_get(picture, "webservers"), 1);
    assert_true(json_is_null(json_object_get(other, "up")));
    end(&w, picture);
}

static void people_read_what_is_wrong_first_and_on_a_line_of_its_own(void **unused)
{
    (void)unused;
    struct world w = {0};
    struct buf text = {0};
    int64_t now_ns;
    begin(&w);
    assert_true(time_parse(SPAN_LIT("2026-01-02T03:05:05Z"), &now_ns));
    set(w.indexers, "0.Info.takes_entries", "false");
    set(w.indexers, "0.Info.reason", "\"a\\nb\\u001b[2J\"");
    json_decref(w.notifications);
    w.notifications = parse("{\"3\":{\"Sent\":\"2026-01-02T03:05:00Z\",\"Level\":\"warn\",\"Msg\":"
                            "\"hear\\nhear\"}}");
    json_t *picture = picture_of(&w);
    status_print(picture, now_ns, &text);
    const char *printed = buf_str(&text);
    assert_true(strncmp(printed,
                        "One thing needs attention:\n\nbad   The indexer host-1:9404 takes "
                        "no entries: a.b.[2J\n      Mostly",
                        80) == 0);
    assert_non_null(strstr(printed, "\nfront:443      up, this answer came through it  0.1.0    "
                                    "1 min ago\n"));
    assert_non_null(strstr(printed, "\nspare:9405  not in use by this webserver\n"));
    assert_non_null(strstr(printed, "\nweb-1:443  up, gave this answer  0.1.0\n"));
    assert_non_null(strstr(printed,
                           "\nhost-1:9404  takes no entries  0.1.0    1 min ago  100      4       "
                           "500 B  600 B (60 %)\n"));
    assert_non_null(strstr(printed, "\nhost-1:9404  host-2:9404  following  nothing"));
    assert_non_null(strstr(printed, "\n5 s ago       warn   hear.hear\n"));
    buf_deinit(&text);
    end(&w, picture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_whose_parts_all_work_is_well),
        cmocka_unit_test(each_part_that_is_away_is_named),
        cmocka_unit_test(an_indexer_in_need_says_of_what),
        cmocka_unit_test(a_link_that_does_not_follow_says_why),
        cmocka_unit_test(the_picture_has_the_numbers_as_numbers),
        cmocka_unit_test(people_read_what_is_wrong_first_and_on_a_line_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
