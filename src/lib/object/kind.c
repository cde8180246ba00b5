/* Tested by object_test.c. */
#include "object/kind.h"

#include "base/check.h"
#include "object/object.h"

static const struct object_kind_info kinds[] = {
#define X(NAME, number, text, path, file, rule, policy, through, unique, numbered, body, blob)     \
    {OBJECT_##NAME,                                                                                \
     text,                                                                                         \
     path,                                                                                         \
     OBJECT_FILE_##file,                                                                           \
     OBJECT_RULE_##rule,                                                                           \
     OBJECT_POLICY_##policy,                                                                       \
     through,                                                                                      \
     unique,                                                                                       \
     numbered,                                                                                     \
     body,                                                                                         \
     blob},
    OBJECT_KINDS(X)
#undef X
};

const struct object_kind_info *object_kind_info(enum object_kind kind)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (kinds[i].kind == kind) {
            return &kinds[i];
        }
    }
    return NULL;
}

const struct object_kind_info *object_kind_by_name(struct span name)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (span_equal_str(name, kinds[i].name)) {
            return &kinds[i];
        }
    }
    return NULL;
}

const char *object_kind_name(enum object_kind kind)
{
    const struct object_kind_info *info = object_kind_info(kind);
    return info == NULL ? "unknown" : info->name;
}

const struct object_kind_info *object_kinds(size_t *ret_count)
{
    *ret_count = ARRAY_COUNT(kinds);
    return kinds;
}
