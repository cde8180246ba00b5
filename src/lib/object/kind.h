/*
 * The kinds of objects: one row each. The numbers are on disk, the names on the wire; neither is
 * ever reused. Adding a kind is adding a row.
 */
#ifndef OBJECT_KIND_H
#define OBJECT_KIND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* Which of the two files an object lives in. */
enum object_file { OBJECT_FILE_USERS, OBJECT_FILE_WEB, OBJECT_FILES };

/* What the datastore does with a change whose base is no longer current. */
enum object_rule {
    OBJECT_RULE_COPY,       /* keeps its version, stores the other as a copy beside it */
    OBJECT_RULE_LAST_WRITE, /* takes it */
    OBJECT_RULE_APPEND,     /* written once: the first one stays, a delete is final */
    OBJECT_RULE_REFUSE,     /* the writer hears ERR_CONFLICT */
};

/* Which rules of access.c apply. */
enum object_policy {
    OBJECT_POLICY_SHARED,       /* owner, groups, global, write access */
    OBJECT_POLICY_PRIVATE,      /* owner and admins */
    OBJECT_POLICY_USER,         /* the account itself and admins */
    OBJECT_POLICY_GROUP,        /* members see it, admins change it */
    OBJECT_POLICY_NOTIFICATION, /* who it is addressed to may read; its owner may dismiss it */
    OBJECT_POLICY_INTERNAL,     /* never through the API */
};

/* X(NAME, number, "name", "api path", file, rule, policy, write-through, unique name, numbered,
 *   body bytes max, blob bytes max) */
#define OBJECT_KINDS(X)                                                                            \
    X(USER, 1, "user", "users", USERS, REFUSE, USER, true, true, true, 262144, 0)                  \
    X(GROUP, 2, "group", "groups", USERS, REFUSE, GROUP, true, true, true, 262144, 0)              \
    X(SIGNING_KEY, 3, "signing-key", "", USERS, REFUSE, INTERNAL, true, false, false, 4096, 0)     \
    X(REVOCATION, 4, "revocation", "", USERS, APPEND, INTERNAL, true, false, false, 4096, 0)       \
    X(TOKEN, 5, "token", "tokens", USERS, REFUSE, PRIVATE, true, false, false, 65536, 0)           \
    X(DASHBOARD, 16, "dashboard", "dashboards", WEB, COPY, SHARED, false, false, true, 8388608, 0) \
    X(PREFERENCE, 17, "preference", "preferences", WEB, LAST_WRITE, PRIVATE, false, false, false,  \
      1048576, 0)                                                                                  \
    X(HISTORY, 18, "history", "searchhistory", WEB, APPEND, SHARED, false, false, false, 1048576,  \
      0)                                                                                           \
    X(RESOURCE, 19, "resource", "resources", WEB, COPY, SHARED, false, false, false, 1048576,      \
      OBJECT_BLOB_BYTES_MAX)                                                                       \
    X(MACRO, 20, "macro", "macros", WEB, COPY, SHARED, false, false, true, 1048576, 0)             \
    X(TEMPLATE, 21, "template", "templates", WEB, COPY, SHARED, false, false, false, 1048576, 0)   \
    X(PIVOT, 22, "pivot", "pivots", WEB, COPY, SHARED, false, false, false, 1048576, 0)            \
    X(SAVED_QUERY, 23, "saved-query", "library", WEB, COPY, SHARED, false, false, false, 1048576,  \
      0)                                                                                           \
    X(FILE, 24, "file", "files", WEB, COPY, SHARED, false, false, false, 1048576,                  \
      OBJECT_BLOB_BYTES_MAX)                                                                       \
    X(SECRET, 25, "secret", "secrets", WEB, COPY, SHARED, false, false, false, 1048576, 0)         \
    X(EXTRACTOR, 26, "extractor", "autoextractors", WEB, COPY, SHARED, false, false, false,        \
      1048576, 0)                                                                                  \
    X(NOTIFICATION, 27, "notification", "notifications", WEB, LAST_WRITE, NOTIFICATION, false,     \
      false, true, 65536, 0)                                                                       \
    X(PLAYBOOK, 28, "playbook", "playbooks", WEB, COPY, SHARED, false, false, false, 8388608, 0)   \
    X(SEARCH, 29, "search", "searchctrl", WEB, COPY, SHARED, false, false, false, 1048576,         \
      OBJECT_BLOB_BYTES_MAX)                                                                       \
    X(AUDIT, 30, "audit", "", WEB, APPEND, INTERNAL, false, false, false, 65536, 0)

enum object_kind {
    OBJECT_ANY = 0, /* in queries only */
#define X(NAME, number, ...) OBJECT_##NAME = number,
    OBJECT_KINDS(X)
#undef X
};

struct object_kind_info {
    enum object_kind kind;
    const char *name;
    const char *path; /* below /api/; "" when the API does not show it */
    enum object_file file;
    enum object_rule rule;
    enum object_policy policy;
    bool write_through; /* goes to the datastore before the user has an answer */
    bool unique_name;   /* two live ones never share a name */
    bool numbered;      /* has a number that the API knows it by */
    size_t body_bytes_max;
    uint64_t blob_bytes_max; /* 0: has no blob */
};

/* The row of a kind; NULL for a number that is none. */
const struct object_kind_info *object_kind_info(enum object_kind kind);
const struct object_kind_info *object_kind_by_name(struct span name);
const char *object_kind_name(enum object_kind kind); /* "unknown" for none */

/* All rows, for walking. */
const struct object_kind_info *object_kinds(size_t *ret_count);

#endif
