/* Every origin is returned by exactly one of the indexers that answered, by one that holds most. */
#include "webserver/search_share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define INDEXERS 4
#define ORIGINS 6

static unsigned next(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16;
}

/* Indexers have ids 0 to 3; origins are of nodes 0 to 5, of which two are no indexers any more. */
static json_t *answer_of(int indexer, const int positions[ORIGINS])
{
    char id[64];
    snprintf(id, sizeof(id), "0000000%d-0000-0000-0000-000000000000", indexer);
    json_t *places = json_array();
    for (int i = 0; i < ORIGINS; i++) {
        char node[64];
        snprintf(node, sizeof(node), "0000000%d-0000-0000-0000-000000000000", i);
        if (positions[i] > 0) {
            json_array_append_new(places, json_pack("{s:s, s:s, s:i}", "node", node, "incarnation",
                                                    "00000000000000aa", "position", positions[i]));
        }
    }
    return json_pack("{s:s, s:o}", "id", id, "places", places);
}

static bool keeps(const json_t *share, int origin)
{
    char node[64];
    size_t i;
    json_t *row;
    snprintf(node, sizeof(node), "0000000%d-0000-0000-0000-000000000000", origin);
    json_array_foreach(json_object_get(share, "origins"), i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "node")), node) == 0) {
            return json_is_true(json_object_get(row, "keep"));
        }
    }
    return false;
}

static void each_origin_is_returned_once_by_who_holds_most(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 500; seed++) {
        unsigned random = seed;
        int positions[INDEXERS][ORIGINS];
        struct search_places places = {.count = INDEXERS};
        for (int i = 0; i < INDEXERS; i++) {
            for (int j = 0; j < ORIGINS; j++) {
                positions[i][j] = (int)(next(&random) % 4);
            }
            if (next(&random) % 4 > 0) { /* else it is down */
                places.answers[i] = answer_of(i, positions[i]);
            }
        }
        for (int j = 0; j < ORIGINS; j++) {
            int most = 0;
            int returned = 0;
            for (int i = 0; i < INDEXERS; i++) {
                most = places.answers[i] != NULL ? MAX(most, positions[i][j]) : most;
            }
            for (int i = 0; i < INDEXERS; i++) {
                json_t *share = search_share_of(&places, (size_t)i);
                assert_true((share == NULL) == (places.answers[i] == NULL));
                if (share != NULL && keeps(share, j)) {
                    assert_int_equal(positions[i][j], most);
                    returned++;
                }
                json_decref(share);
            }
            assert_int_equal(returned, most > 0 ? 1 : 0);
        }
        search_places_deinit(&places);
    }
}

/* Of node 0's records indexer 0 has the whole and indexers 1 and 2 what a filter let pass. */
static json_t *answer_with(int indexer, const char *incarnation)
{
    json_t *answer = json_pack("{s:s, s:[{s:s, s:s, s:i}]}", "id",
                               indexer == 1 ? "00000001-0000-0000-0000-000000000000"
                                            : "00000002-0000-0000-0000-000000000000",
                               "places", "node", "00000000-0000-0000-0000-000000000000",
                               "incarnation", incarnation, "position", 9);
    assert_non_null(answer);
    return answer;
}

static bool keeps_first(const struct search_places *places, size_t index)
{
    json_t *share = search_share_of(places, index);
    bool keep =
        json_is_true(json_object_get(json_array_get(json_object_get(share, "origins"), 0), "keep"));
    json_decref(share);
    return keep;
}

static void a_part_is_returned_only_when_nobody_has_the_whole(void **state)
{
    (void)state;
    const int all[ORIGINS] = {3};
    struct search_places places = {.count = 3};
    places.answers[0] = answer_of(0, all);
    places.answers[1] = answer_with(1, "80050000000000aa");
    places.answers[2] = answer_with(2, "80050000000000aa");
    assert_true(keeps_first(&places, 0));
    assert_false(keeps_first(&places, 1) || keeps_first(&places, 2));
    json_decref(places.answers[0]);
    places.answers[0] = NULL; /* it is dead: one of the two */
    assert_true(keeps_first(&places, 1) != keeps_first(&places, 2));
    json_decref(places.answers[2]);
    places.answers[2] = answer_with(2, "80060000000000aa"); /* another filter: both */
    assert_true(keeps_first(&places, 1) && keeps_first(&places, 2));
    search_places_deinit(&places);
}

/* One that breaks off leaves each origin that it returned to exactly one of those that hold it. */
static void what_a_lost_one_returned_is_returned_by_one_other(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 500; seed++) {
        unsigned random = seed;
        int positions[INDEXERS][ORIGINS];
        struct search_places places = {.count = INDEXERS};
        for (int i = 0; i < INDEXERS; i++) {
            for (int j = 0; j < ORIGINS; j++) {
                positions[i][j] = (int)(next(&random) % 3);
            }
            places.answers[i] = answer_of(i, positions[i]);
        }
        size_t lost = next(&random) % INDEXERS;
        json_t *share = search_share_of(&places, lost);
        bool held = true;
        for (int j = 0; j < ORIGINS; j++) {
            int returned = 0;
            int most = 0;
            for (size_t i = 0; i < INDEXERS; i++) {
                json_t *more = search_share_instead(share, &places, lost, i);
                assert_true(i != lost || more == NULL);
                assert_true(more == NULL || json_is_true(json_object_get(more, "only")));
                most = i == lost ? most : MAX(most, positions[i][j]);
                if (more != NULL && keeps(more, j)) {
                    assert_true(positions[i][j] > 0);
                    returned++;
                }
                json_decref(more);
            }
            assert_int_equal(returned, keeps(share, j) && most > 0 ? 1 : 0);
            held = held && (!keeps(share, j) || most >= positions[lost][j]);
        }
        assert_true(search_share_is_held(share, &places, &places, lost) == held);
        json_decref(share);
        search_places_deinit(&places);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_origin_is_returned_once_by_who_holds_most),
        cmocka_unit_test(a_part_is_returned_only_when_nobody_has_the_whole),
        cmocka_unit_test(what_a_lost_one_returned_is_returned_by_one_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
