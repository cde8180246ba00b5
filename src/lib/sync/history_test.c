/*
 * Claims: two webservers that know different versions of an object show the same ones, in the same
 * order, once they have heard what the datastore has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/vec.h"
#include "sync/history.h"

static struct object *version(uint8_t change, int64_t updated_ns)
{
    struct object *object = object_new(OBJECT_DASHBOARD);
    object->id.bytes[0] = 1;
    object->number = 1;
    object->change.bytes[0] = change;
    object->updated_ns = updated_ns;
    object_set_name(object, "name");
    return object;
}

/* The past of version 9: 5, then 6, then 7. */
static struct object *present(void)
{
    struct object *object = version(9, 1);
    for (uint8_t i = 5; i <= 7; i++) {
        object->past[object->past_count++].bytes[0] = i;
    }
    return object;
}

static void take(struct object_list *list, struct object *object)
{
    vec_push(list, object);
}

static void assert_changes(const struct object_list *list, const char *expected)
{
    assert_int_equal(list->count, strlen(expected));
    for (size_t i = 0; i < list->count; i++) {
        assert_int_equal(list->items[i]->change.bytes[0], expected[i] - '0');
    }
}

static void versions_are_in_the_order_of_the_past_whatever_the_clocks_say(void **state)
{
    (void)state;
    struct object *now = present();
    struct object_list list = {0};
    take(&list, version(3, 50)); /* forgotten by the past: by time */
    take(&list, version(5, 9000));
    take(&list, version(4, 80));
    take(&list, version(7, 10));
    take(&list, version(6, 20));
    sync_order_versions(now, &list);
    assert_changes(&list, "76543");
    object_list_deinit(&list);
    object_free(&now);
}

static void what_the_datastore_has_is_added_once(void **state)
{
    (void)state;
    struct object *now = present();
    struct object_list list = {0};
    json_t *answer = json_pack("{s:[]}", "versions");
    for (uint8_t i = 6; i <= 9; i++) {
        struct object *object = version(i, i);
        json_array_append_new(json_object_get(answer, "versions"), object_to_json(object));
        object_free(&object);
    }
    take(&list, version(5, 5));
    take(&list, version(6, 6));
    assert_int_equal(sync_add_versions(answer, now->change, &list), 0);
    sync_order_versions(now, &list);
    assert_changes(&list, "7658"); /* 8 is not in its past: it lost against one that is */
    json_decref(answer);
    object_list_deinit(&list);
    object_free(&now);
}

static void a_version_replaced_before_it_was_confirmed_has_the_datastores_revision(void **state)
{
    (void)state;
    struct object *now = present();
    struct object *confirmed = version(6, 6);
    confirmed->revision = 3;
    json_t *answer = json_pack("{s:[o]}", "versions", object_to_json(confirmed));
    struct object_list list = {0};
    take(&list, version(6, 6));
    assert_int_equal(sync_add_versions(answer, now->change, &list), 0);
    assert_changes(&list, "6");
    assert_int_equal(list.items[0]->revision, 3);
    json_decref(answer);
    object_list_deinit(&list);
    object_free(&confirmed);
    object_free(&now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_in_the_order_of_the_past_whatever_the_clocks_say),
        cmocka_unit_test(what_the_datastore_has_is_added_once),
        cmocka_unit_test(a_version_replaced_before_it_was_confirmed_has_the_datastores_revision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
