/*
 * Claims: an object survives its JSON form whole; a message names the field that is wrong; ids
 * that follow from what they name are the same everywhere and differ from each other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "object/object.h"

static struct object *full_object(void)
{
    static const int32_t gids[] = {3, -5, 2147483647};
    static const int32_t write_gids[] = {4};
    static const char *const labels[] = {"net", "größe \"x\""};
    struct object *object = object_new(OBJECT_RESOURCE);
    object->id.bytes[3] = 9;
    object->guid.bytes[15] = 1;
    object->number = OBJECT_NUMBER_MAX;
    object->owner = 7;
    object_set_gids(&object->gids, gids, 3);
    object_set_gids(&object->write_gids, write_gids, 1);
    object->global = true;
    object_set_labels(object, labels, 2);
    object_set_name(object, "hosts");
    object_set_description(object, "host owners\nwith \xe2\x82\xac");
    object_set_body(object, json_loads("{\"b\":[1,2.5,null],\"a\":{\"x\":true}}", 0, NULL));
    object->blob = (struct object_blob){.bytes = 12, .present = true};
    object->blob.sha256[0] = 0xab;
    object->created_ns = 1777887000250000000;
    object->updated_ns = 1777887000000000001;
    object->revision = 12;
    object->base_revision = 11;
    object->change.bytes[0] = 1;
    object->rescue = object->edited = object->stamped = true;
    object->rescue_stamp = (struct object_stamp){{{5}}, 99};
    object->stamps[0] = (struct object_stamp){{{6}}, 100};
    object->stamp_count = 1;
    object->over[0].bytes[1] = 4;
    object->over_count = 1;
    object->past[0].bytes[2] = 4;
    object->past[1].bytes[2] = 5;
    object->past_count = 2;
    return object;
}

static char *text_of(const struct object *object)
{
    json_t *json = object_to_json(object);
    char *text = json_dumps(json, JSON_SORT_KEYS);
    json_decref(json);
    return text;
}

static void an_object_survives_its_json_form(void **state)
{
    (void)state;
    struct object *object = full_object();
    struct object *back = NULL;
    json_t *json = object_to_json(object);
    assert_int_equal(object_from_json(json, &back), 0);
    char *one = text_of(object);
    char *two = text_of(back);
    assert_string_equal(one, two);
    assert_int_equal(back->created_ns, object->created_ns);
    assert_int_equal(back->gids.items[2], 2147483647);
    assert_memory_equal(back->blob.sha256, object->blob.sha256, 32);
    assert_memory_equal(back->past, object->past, 2 * sizeof(struct uuid));
    free(one);
    free(two);
    json_decref(json);
    object_free(&object);
    object_free(&back);
}

static void a_clone_shares_nothing_with_its_original(void **state)
{
    (void)state;
    struct object *object = full_object();
    struct object *clone = object_clone(object);
    char *before = text_of(clone);
    object_set_name(object, "changed");
    json_object_set_new(object->body, "a", json_integer(1));
    object->gids.items[0] = 1;
    object->labels[0][0] = 'X';
    char *after = text_of(clone);
    assert_string_equal(before, after);
    free(before);
    free(after);
    object_free(&object);
    char *alone = text_of(clone);
    free(alone);
    object_free(&clone);
}

static void a_tombstone_keeps_who_it_was_and_nothing_else(void **state)
{
    (void)state;
    struct object *object = full_object();
    object_bury(object);
    assert_true(object->deleted);
    assert_string_equal(object->name, "hosts");
    assert_int_equal(object->owner, 7);
    assert_null(object->body);
    assert_false(object->blob.present);
    assert_int_equal(object->gids.count, 0);
    assert_false(object->global);
    object_free(&object);
}

/* Each is a valid object with one member replaced; the message must begin with that member. */
static const struct {
    const char *member, *value, *message;
} wrong_members[] = {
    {"id", "\"nonsense\"", "id: "},
    {"id", "null", "id: missing"},
    {"number", "-1", "number: "},
    {"number", "\"7\"", "number: "},
    {"owner", "1e3", "owner: "},
    {"owner", "4294967296", "owner: "},
    {"gids", "3", "gids: "},
    {"gids", "[1,\"2\"]", "gids[1]: "},
    {"gids", "[1,2,4294967296]", "gids[2]: "},
    {"global", "\"yes\"", "global: "},
    {"write", "[]", "write: "},
    {"write", "{\"global\":1}", "write: global: "},
    {"write", "{\"gids\":[true]}", "write: gids[0]: "},
    {"labels", "[\"a\",5]", "labels[1]: "},
    {"name", "{}", "name: "},
    {"description", "1", "description: "},
    {"body", "[]", "body: "},
    {"blob", "{\"sha256\":\"abc\",\"bytes\":1}", "blob: sha256: "},
    {"blob", "{\"sha256\":1,\"bytes\":1}", "blob: sha256: "},
    {"created", "\"yesterday\"", "created: "},
    {"revision", "-5", "revision: "},
    {"change", "\"x\"", "change: "},
    {"rescue", "{\"epoch\":\"x\"}", "rescue: epoch: "},
    {"stamps", "[1,2,3,4,5,6,7,8,9]", "stamps: 9"},
    {"over", "[1]", "over: "},
    {"past", "{}", "past: "},
};

static void a_wrong_member_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(wrong_members); i++) {
        struct object *object = full_object();
        struct object *back = NULL;
        json_t *json = object_to_json(object);
        json_t *value = json_loads(wrong_members[i].value, JSON_DECODE_ANY, NULL);
        assert_non_null(value);
        json_object_set_new(json, wrong_members[i].member, value);
        int rc = object_from_json(json, &back);
        if (rc >= 0 ||
            strncmp(err_text(), wrong_members[i].message, strlen(wrong_members[i].message)) != 0) {
            fail_msg("%s=%s: %s", wrong_members[i].member, wrong_members[i].value, err_text());
        }
        assert_null(back);
        json_decref(json);
        object_free(&object);
    }
}

static void an_unknown_kind_is_refused_and_an_unknown_member_is_not(void **state)
{
    (void)state;
    struct object *object = full_object();
    struct object *back = NULL;
    json_t *json = object_to_json(object);
    json_object_set_new(json, "kind", json_string("teapot"));
    assert_int_equal(object_from_json(json, &back), ERR_UNSUPPORTED);
    assert_non_null(strstr(err_text(), "teapot"));
    json_object_set_new(json, "kind", json_string("resource"));
    json_object_set_new(json, "from-the-future", json_true());
    assert_int_equal(object_from_json(json, &back), 0);
    assert_int_equal(object_from_json(NULL, &back), ERR_INVALID);
    json_decref(json);
    object_free(&object);
    object_free(&back);
}

static char *long_text(size_t bytes)
{
    char *text = mem_alloc(bytes + 1);
    memset(text, 'x', bytes);
    return text;
}

static void expect_invalid(struct object *object, const char *message)
{
    assert_true(object_validate(object) < 0);
    if (strstr(err_text(), message) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err_text(), message);
    }
    object_free(&object);
}

static struct object *valid(enum object_kind kind)
{
    struct object *object = object_new(kind);
    object_set_name(object, "x");
    object->number = object_kind_info(kind)->numbered ? 5 : 0;
    object->id = object_id_of_number(kind, 5);
    assert_int_equal(object_validate(object), 0);
    return object;
}

static void every_bound_is_checked_and_named(void **state)
{
    (void)state;
    struct object *object = valid(OBJECT_DASHBOARD);
    char *text = long_text(OBJECT_NAME_BYTES_MAX + 1);
    object_set_name(object, text);
    expect_invalid(object, "dashboard.name: 1025 bytes");
    mem_free(text);

    object = valid(OBJECT_DASHBOARD);
    text = long_text(OBJECT_DESCRIPTION_BYTES_MAX + 1);
    object_set_description(object, text);
    expect_invalid(object, "dashboard.description");
    mem_free(text);

    object = valid(OBJECT_MACRO);
    text = long_text(object_kind_info(OBJECT_MACRO)->body_bytes_max);
    object_set_body(object, json_pack("{s:s}", "Expansion", text));
    expect_invalid(object, "macro.body");
    mem_free(text);

    object = valid(OBJECT_GROUP);
    object->number = 6;
    expect_invalid(object, "group.id: not the id of number 6");
    object = valid(OBJECT_USER);
    object_set_name(object, "");
    expect_invalid(object, "user.name: must not be empty");
    object = valid(OBJECT_DASHBOARD);
    object->number = OBJECT_NUMBER_MAX + 1;
    expect_invalid(object, "dashboard.number");
    object = valid(OBJECT_DASHBOARD);
    object_set_name(object, "\xff\xfe");
    expect_invalid(object, "dashboard.name: not valid UTF-8");
    object = valid(OBJECT_DASHBOARD);
    object->blob.present = true;
    expect_invalid(object, "dashboard.blob: this kind has none");
    object = valid(OBJECT_RESOURCE);
    object->blob = (struct object_blob){.bytes = OBJECT_BLOB_BYTES_MAX + 1, .present = true};
    expect_invalid(object, "resource.blob");
    object = valid(OBJECT_DASHBOARD);
    object->owner = -1;
    expect_invalid(object, "dashboard.owner");
}

static json_t *nested(unsigned levels)
{
    json_t *json = json_object();
    for (unsigned i = 1; i < levels; i++) {
        json = i % 2 == 0 ? json_pack("{s:o}", "a", json) : json_pack("[o]", json);
    }
    return json_is_object(json) ? json : json_pack("{s:o}", "a", json);
}

/* A parser of JSON has an end, and what an object is a part of is read by one, too. */
static void what_is_valid_can_be_read_within_other_documents(void **state)
{
    (void)state;
    struct object *object = valid(OBJECT_DASHBOARD);
    object_set_body(object, nested(OBJECT_BODY_LEVELS_MAX + 1));
    assert_int_equal(object_validate(object), ERR_INVALID);
    assert_non_null(strstr(err_text(), "levels"));
    object_set_body(object, nested(OBJECT_BODY_LEVELS_MAX - 1));
    assert_int_equal(object_validate(object), 0);
    json_t *json = json_pack("{s:[{s:o}]}", "objects", "object", object_to_json(object));
    char *text = json_dumps(json, JSON_COMPACT);
    json_t *again = json_loads(text, 0, NULL);
    assert_non_null(again);
    json_decref(again);
    json_decref(json);
    free(text);
    object_free(&object);
}

static void too_many_labels_or_groups_are_named(void **state)
{
    (void)state;
    const char *labels[OBJECT_LABELS_MAX + 1];
    for (size_t i = 0; i < ARRAY_COUNT(labels); i++) {
        labels[i] = "l";
    }
    struct object *object = valid(OBJECT_DASHBOARD);
    object_set_labels(object, labels, ARRAY_COUNT(labels));
    expect_invalid(object, "dashboard.labels: 257");
    int32_t *gids = mem_alloc_array(OBJECT_GIDS_MAX + 1, sizeof(*gids));
    object = valid(OBJECT_DASHBOARD);
    object_set_gids(&object->write_gids, gids, OBJECT_GIDS_MAX + 1);
    expect_invalid(object, "dashboard.write.gids");
    mem_free(gids);
}

static void derived_ids_are_stable_and_differ(void **state)
{
    (void)state;
    struct uuid user = object_id_of_number(OBJECT_USER, 7);
    assert_true(uuid_equal(user, object_id_of_number(OBJECT_USER, 7)));
    assert_false(uuid_equal(user, object_id_of_number(OBJECT_USER, 8)));
    assert_false(uuid_equal(user, object_id_of_number(OBJECT_GROUP, 7)));
    struct uuid one = object_id_of_name(OBJECT_PREFERENCE, 7, "prefs");
    assert_false(uuid_equal(one, object_id_of_name(OBJECT_PREFERENCE, 8, "prefs")));
    assert_false(uuid_equal(one, object_id_of_name(OBJECT_PREFERENCE, 7, "mail")));
    /* On every disk: it must never change. */
    char text[UUID_TEXT_BYTES];
    assert_string_equal(uuid_text(object_id_of_number(OBJECT_USER, 1), text),
                        "eb6a67a1-b52b-8157-8fb3-246b082d0cf6");
}

static void numbers_of_randomness_are_within_what_browsers_hold(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        uint8_t random[8];
        memset(random, (int)i, sizeof(random));
        uint64_t number = object_number_of_random(random);
        assert_in_range(number, UINT64_C(1) << 32, OBJECT_NUMBER_MAX);
    }
}

static void names_and_numbers_of_kinds_are_unique(void **state)
{
    (void)state;
    size_t count;
    const struct object_kind_info *kinds = object_kinds(&count);
    assert_true(count >= 18);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(object_kind_info(kinds[i].kind), &kinds[i]);
        assert_ptr_equal(object_kind_by_name(span_of_str(kinds[i].name)), &kinds[i]);
    }
    assert_null(object_kind_info(OBJECT_ANY));
    assert_string_equal(object_kind_name((enum object_kind)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_survives_its_json_form),
        cmocka_unit_test(a_clone_shares_nothing_with_its_original),
        cmocka_unit_test(a_tombstone_keeps_who_it_was_and_nothing_else),
        cmocka_unit_test(a_wrong_member_is_named),
        cmocka_unit_test(an_unknown_kind_is_refused_and_an_unknown_member_is_not),
        cmocka_unit_test(every_bound_is_checked_and_named),
        cmocka_unit_test(what_is_valid_can_be_read_within_other_documents),
        cmocka_unit_test(too_many_labels_or_groups_are_named),
        cmocka_unit_test(derived_ids_are_stable_and_differ),
        cmocka_unit_test(numbers_of_randomness_are_within_what_browsers_hold),
        cmocka_unit_test(names_and_numbers_of_kinds_are_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
