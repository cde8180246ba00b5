/*
 * Who may do what: one function, used by every route. Pure.
 *
 * In short: the owner and admins may do everything; groups in `gids` and everybody on a global
 * object may read; groups in `write_gids` (everybody with `write_global`) may read and change,
 * not delete; only admins make things global or give them away. An admin's listings show his
 * own view unless he asks in admin mode. Accounts, groups, notifications and internal kinds have
 * rules of their own (object_policy). tests: access_test.c walks every kind, role and verb.
 */
#ifndef OBJECT_ACCESS_H
#define OBJECT_ACCESS_H

#include "object/object.h"

/* Who asks. Borrows `gids`. */
struct object_principal {
    int32_t uid;
    const int32_t *gids;
    size_t gid_count;
    bool admin;
    bool admin_mode; /* asked with admin=true; means nothing without `admin` */
};

enum object_verb {
    OBJECT_CREATE, /* the object as it would be: its owner must be the asker */
    OBJECT_LIST,   /* appears in listings */
    OBJECT_READ,
    OBJECT_UPDATE,
    OBJECT_DELETE,
    OBJECT_SHARE,      /* change gids and write access */
    OBJECT_GLOBALIZE,  /* change global and write_global */
    OBJECT_GIVE,       /* change the owner */
    OBJECT_ADMINISTER, /* accounts: lock, admin flag, capabilities; groups: members */
    OBJECT_VERBS,
};

#define OBJECT_FIRST_UID 1 /* cannot be deleted, locked or lose its admin flag */

bool object_allows(const struct object *object, const struct object_principal *principal,
                   enum object_verb verb);

const char *object_verb_name(enum object_verb verb);

#endif
