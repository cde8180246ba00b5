/*
 * Claims: for every kind, role and verb the permission function answers what the table below
 * says, and nothing else opens a door: no group, no flag, no admin mode without being admin.
 * The table is written from the rules (docs of access.h), not from the code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "object/access.h"

#define OWNER 7
#define OTHER 8
#define ADMIN 9
#define READERS 30
#define WRITERS 31

enum role {
    ROLE_STRANGER,
    ROLE_OWNER,
    ROLE_READER, /* in a group of `gids` */
    ROLE_WRITER, /* in a group of `write_gids` */
    ROLE_ADMIN,  /* not in admin mode */
    ROLE_ADMIN_MODE,
    ROLE_FALSE_ADMIN, /* asks with admin=true without being one */
    ROLE_NOBODY,      /* uid 0 */
    ROLES,
};

static const char *const role_names[ROLES] = {"stranger", "owner",      "reader",      "writer",
                                              "admin",    "admin mode", "false admin", "nobody"};

/* C create, L list, R read, U update, D delete, S share, G make global, O give to another owner,
 * A administer. */
static const char letters[] = "CLRUDSGOA";

static const char *const shared[ROLES] = {"",         "CLRUDS",    "LR", "LRU",
                                          "CRUDSGOA", "CLRUDSGOA", "",   ""};
static const char *const private[ROLES] = {"", "CLRUD", "", "", "CRUDO", "CLRUDO", "", ""};
/* The owner of an account is the account. */
static const char *const user[ROLES] = {"L", "LRU", "L", "L", "CLRUDA", "CLRUDA", "L", ""};
/* The reader is in the group. */
static const char *const group[ROLES] = {"L", "L", "LR", "L", "CLRUDA", "CLRUDA", "L", ""};
static const char *const notification[ROLES] = {"",        "CLRUD",    "LR", "",
                                                "CRUDSGO", "CLRUDSGO", "",   ""};
static const char *const internal[ROLES] = {"", "", "", "", "", "", "", ""};

static const char *const *const tables[] = {
    [OBJECT_POLICY_SHARED] = shared,
    [OBJECT_POLICY_PRIVATE] = private,
    [OBJECT_POLICY_USER] = user,
    [OBJECT_POLICY_GROUP] = group,
    [OBJECT_POLICY_NOTIFICATION] = notification,
    [OBJECT_POLICY_INTERNAL] = internal,
};

static struct object *object_of(const struct object_kind_info *info)
{
    static const int32_t readers[] = {1000, READERS};
    static const int32_t writers[] = {WRITERS, 1001};
    struct object *object = object_new(info->kind);
    object->owner = OWNER;
    object_set_gids(&object->gids, readers, 2);
    object_set_gids(&object->write_gids, writers, 2);
    object->number = info->kind == OBJECT_USER ? OWNER : info->kind == OBJECT_GROUP ? READERS : 77;
    return object;
}

static struct object_principal principal_of(enum role role)
{
    static const int32_t readers[] = {5, READERS};
    static const int32_t writers[] = {WRITERS};
    static const int32_t strangers[] = {5, 6};
    struct object_principal principal = {.uid = OTHER, .gids = strangers, .gid_count = 2};
    switch (role) {
    case ROLE_OWNER:
        principal.uid = OWNER;
        break;
    case ROLE_READER:
        principal.gids = readers;
        break;
    case ROLE_WRITER:
        principal.gids = writers;
        principal.gid_count = 1;
        break;
    case ROLE_ADMIN:
    case ROLE_ADMIN_MODE:
        principal.uid = ADMIN;
        principal.admin = true;
        principal.admin_mode = role == ROLE_ADMIN_MODE;
        break;
    case ROLE_FALSE_ADMIN:
        principal.admin_mode = true;
        break;
    case ROLE_NOBODY:
        principal.uid = 0;
        break;
    case ROLE_STRANGER:
    case ROLES:
        break;
    }
    return principal;
}

static void every_kind_role_and_verb_is_as_the_table_says(void **state)
{
    (void)state;
    size_t count;
    size_t wrong = 0;
    const struct object_kind_info *kinds = object_kinds(&count);
    for (size_t kind = 0; kind < count; kind++) {
        struct object *object = object_of(&kinds[kind]);
        for (enum role role = 0; role < ROLES; role++) {
            struct object_principal principal = principal_of(role);
            const char *allowed = tables[kinds[kind].policy][role];
            for (enum object_verb verb = 0; verb < OBJECT_VERBS; verb++) {
                bool expected = strchr(allowed, letters[verb]) != NULL;
                if (object_allows(object, &principal, verb) != expected) {
                    printf("%s, %s, %s: expected %d\n", kinds[kind].name, role_names[role],
                           object_verb_name(verb), expected);
                    wrong++;
                }
            }
        }
        object_free(&object);
    }
    assert_int_equal(wrong, 0);
}

static void a_global_object_is_read_by_everybody_and_written_by_nobody_new(void **state)
{
    (void)state;
    struct object *object = object_new(OBJECT_DASHBOARD);
    struct object_principal stranger = principal_of(ROLE_STRANGER);
    object->owner = OWNER;
    assert_false(object_allows(object, &stranger, OBJECT_READ));
    object->global = true;
    assert_true(object_allows(object, &stranger, OBJECT_READ));
    assert_true(object_allows(object, &stranger, OBJECT_LIST));
    assert_false(object_allows(object, &stranger, OBJECT_UPDATE));
    object->write_global = true;
    assert_true(object_allows(object, &stranger, OBJECT_UPDATE));
    assert_false(object_allows(object, &stranger, OBJECT_DELETE));
    assert_false(object_allows(object, &stranger, OBJECT_SHARE));
    object_free(&object);
}

static void sharing_fields_open_nothing_private(void **state)
{
    (void)state;
    struct object_principal stranger = principal_of(ROLE_READER);
    static const enum object_kind kinds[] = {OBJECT_PREFERENCE, OBJECT_TOKEN, OBJECT_SIGNING_KEY,
                                             OBJECT_REVOCATION, OBJECT_AUDIT, OBJECT_USER};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        struct object *object = object_of(object_kind_info(kinds[i]));
        object->global = object->write_global = true;
        assert_false(object_allows(object, &stranger, OBJECT_READ));
        assert_false(object_allows(object, &stranger, OBJECT_UPDATE));
        object_free(&object);
    }
}

static void the_first_account_can_be_neither_deleted_nor_locked(void **state)
{
    (void)state;
    struct object *first = object_new(OBJECT_USER);
    struct object_principal admin = principal_of(ROLE_ADMIN_MODE);
    first->number = OBJECT_FIRST_UID;
    assert_false(object_allows(first, &admin, OBJECT_DELETE));
    assert_false(object_allows(first, &admin, OBJECT_ADMINISTER));
    assert_true(object_allows(first, &admin, OBJECT_UPDATE));
    object_free(&first);
}

static void nobody_deletes_himself(void **state)
{
    (void)state;
    struct object *self = object_new(OBJECT_USER);
    struct object_principal admin = principal_of(ROLE_ADMIN);
    self->number = ADMIN;
    assert_false(object_allows(self, &admin, OBJECT_DELETE));
    object_free(&self);
}

static void an_object_without_owner_is_not_that_of_uid_zero(void **state)
{
    (void)state;
    struct object *object = object_new(OBJECT_DASHBOARD);
    struct object_principal nobody = {.uid = 0, .admin = true, .admin_mode = true};
    for (enum object_verb verb = 0; verb < OBJECT_VERBS; verb++) {
        assert_false(object_allows(object, &nobody, verb));
    }
    object_free(&object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_role_and_verb_is_as_the_table_says),
        cmocka_unit_test(a_global_object_is_read_by_everybody_and_written_by_nobody_new),
        cmocka_unit_test(sharing_fields_open_nothing_private),
        cmocka_unit_test(the_first_account_can_be_neither_deleted_nor_locked),
        cmocka_unit_test(nobody_deletes_himself),
        cmocka_unit_test(an_object_without_owner_is_not_that_of_uid_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
