#include "object/access.h"

static bool shares_group(const struct object_gids *gids, const struct object_principal *principal)
{
    for (size_t i = 0; i < principal->gid_count; i++) {
        if (object_gids_have(gids, principal->gids[i])) {
            return true;
        }
    }
    return false;
}

static bool owns(const struct object *object, const struct object_principal *principal)
{
    return object->owner != 0 && object->owner == principal->uid;
}

static bool may_write(const struct object *object, const struct object_principal *principal)
{
    return object->write_global || shares_group(&object->write_gids, principal);
}

static bool may_read(const struct object *object, const struct object_principal *principal)
{
    return object->global || shares_group(&object->gids, principal) || may_write(object, principal);
}

/* Owner, groups, global, write access. */
static bool shared_allows(const struct object *object, const struct object_principal *principal,
                          enum object_verb verb)
{
    bool owner = owns(object, principal);
    switch (verb) {
    case OBJECT_LIST:
        return owner || may_read(object, principal) || (principal->admin && principal->admin_mode);
    case OBJECT_READ:
        return owner || may_read(object, principal) || principal->admin;
    case OBJECT_UPDATE:
        return owner || may_write(object, principal) || principal->admin;
    case OBJECT_CREATE:
    case OBJECT_DELETE:
    case OBJECT_SHARE:
        return owner || principal->admin;
    case OBJECT_GLOBALIZE:
    case OBJECT_GIVE:
    case OBJECT_ADMINISTER:
    case OBJECT_VERBS:
        break;
    }
    return principal->admin;
}

/* Sharing fields mean nothing here. */
static bool private_allows(const struct object *object, const struct object_principal *principal,
                           enum object_verb verb)
{
    bool owner = owns(object, principal);
    switch (verb) {
    case OBJECT_LIST:
        return owner || (principal->admin && principal->admin_mode);
    case OBJECT_CREATE:
    case OBJECT_READ:
    case OBJECT_UPDATE:
    case OBJECT_DELETE:
        return owner || principal->admin;
    case OBJECT_GIVE:
        return principal->admin;
    case OBJECT_SHARE:
    case OBJECT_GLOBALIZE:
    case OBJECT_ADMINISTER:
    case OBJECT_VERBS:
        break;
    }
    return false;
}

static bool is_account_of(const struct object *object, int32_t uid)
{
    return uid > 0 && object->number == (uint64_t)uid;
}

/* Everybody may know who there is; more only the account itself and admins. */
static bool user_allows(const struct object *object, const struct object_principal *principal,
                        enum object_verb verb)
{
    bool self = is_account_of(object, principal->uid);
    bool first = is_account_of(object, OBJECT_FIRST_UID);
    switch (verb) {
    case OBJECT_LIST:
        return true;
    case OBJECT_READ:
    case OBJECT_UPDATE:
        return self || principal->admin;
    case OBJECT_CREATE:
        return principal->admin;
    case OBJECT_DELETE:
        return principal->admin && !self && !first;
    case OBJECT_ADMINISTER:
        return principal->admin && !first;
    case OBJECT_SHARE:
    case OBJECT_GLOBALIZE:
    case OBJECT_GIVE:
    case OBJECT_VERBS:
        break;
    }
    return false;
}

static bool group_allows(const struct object *object, const struct object_principal *principal,
                         enum object_verb verb)
{
    switch (verb) {
    case OBJECT_LIST:
        return true;
    case OBJECT_READ:
        for (size_t i = 0; i < principal->gid_count; i++) {
            if (is_account_of(object, principal->gids[i])) {
                return true;
            }
        }
        return principal->admin;
    case OBJECT_CREATE:
    case OBJECT_UPDATE:
    case OBJECT_DELETE:
    case OBJECT_ADMINISTER:
        return principal->admin;
    case OBJECT_SHARE:
    case OBJECT_GLOBALIZE:
    case OBJECT_GIVE:
    case OBJECT_VERBS:
        break;
    }
    return false;
}

/* Whom it is addressed to reads it; only its single addressee or an admin changes or removes
 * it. */
static bool notification_allows(const struct object *object,
                                const struct object_principal *principal, enum object_verb verb)
{
    bool owner = owns(object, principal);
    bool addressed = owner || object->global || shares_group(&object->gids, principal);
    switch (verb) {
    case OBJECT_LIST:
        return addressed || (principal->admin && principal->admin_mode);
    case OBJECT_READ:
        return addressed || principal->admin;
    case OBJECT_CREATE:
    case OBJECT_UPDATE:
    case OBJECT_DELETE:
        return owner || principal->admin;
    case OBJECT_SHARE:
    case OBJECT_GLOBALIZE:
    case OBJECT_GIVE:
        return principal->admin;
    case OBJECT_ADMINISTER:
    case OBJECT_VERBS:
        break;
    }
    return false;
}

bool object_allows(const struct object *object, const struct object_principal *principal,
                   enum object_verb verb)
{
    const struct object_kind_info *info = object_kind_info(object->kind);
    if (info == NULL || principal->uid <= 0 || verb >= OBJECT_VERBS) {
        return false;
    }
    switch (info->policy) {
    case OBJECT_POLICY_SHARED:
        return shared_allows(object, principal, verb);
    case OBJECT_POLICY_PRIVATE:
        return private_allows(object, principal, verb);
    case OBJECT_POLICY_USER:
        return user_allows(object, principal, verb);
    case OBJECT_POLICY_GROUP:
        return group_allows(object, principal, verb);
    case OBJECT_POLICY_NOTIFICATION:
        return notification_allows(object, principal, verb);
    case OBJECT_POLICY_INTERNAL:
        break;
    }
    return false;
}

const char *object_verb_name(enum object_verb verb)
{
    static const char *const names[] = {
        [OBJECT_CREATE] = "create",
        [OBJECT_LIST] = "list",
        [OBJECT_READ] = "read",
        [OBJECT_UPDATE] = "update",
        [OBJECT_DELETE] = "delete",
        [OBJECT_SHARE] = "share",
        [OBJECT_GLOBALIZE] = "make global",
        [OBJECT_GIVE] = "give away",
        [OBJECT_ADMINISTER] = "administer",
    };
    return verb < OBJECT_VERBS ? names[verb] : "unknown";
}
