#include "base/buf.h"
#include "base/text.h"
#include "webserver/version.h"

struct differ {
    struct buf path;
    json_t *list;
};

static void compare(struct differ *differ, json_t *before, json_t *after);

static void report(struct differ *differ, json_t *before, json_t *after)
{
    json_t *item = json_pack("{s:s}", "Path", buf_str(&differ->path));
    if (before != NULL) {
        json_object_set(item, "Before", before);
    }
    if (after != NULL) {
        json_object_set(item, "After", after);
    }
    json_array_append_new(differ->list, item);
}

static void compare_member(struct differ *differ, const char *name, json_t *before, json_t *after)
{
    size_t length = differ->path.bytes;
    if (length > 0) {
        buf_append_byte(&differ->path, '.');
    }
    buf_append_str(&differ->path, name);
    compare(differ, before, after);
    differ->path.bytes = length;
}

static void compare_objects(struct differ *differ, json_t *before, json_t *after)
{
    const char *name;
    json_t *value;
    json_object_foreach(before, name, value)
    {
        compare_member(differ, name, value, json_object_get(after, name));
    }
    json_object_foreach(after, name, value)
    {
        if (json_object_get(before, name) == NULL) {
            compare_member(differ, name, NULL, value);
        }
    }
}

static void compare_arrays(struct differ *differ, json_t *before, json_t *after)
{
    size_t length = differ->path.bytes;
    size_t count = json_array_size(before) > json_array_size(after) ? json_array_size(before)
                                                                    : json_array_size(after);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&differ->path, "[%zu]", i);
        compare(differ, json_array_get(before, i), json_array_get(after, i));
        differ->path.bytes = length;
    }
}

/* Depth is bounded by jansson's parser (JSON_PARSER_MAX_DEPTH). */
static void compare(struct differ *differ, json_t *before, json_t *after)
{
    if (json_is_object(before) && json_is_object(after)) {
        compare_objects(differ, before, after);
    } else if (json_is_array(before) && json_is_array(after)) {
        compare_arrays(differ, before, after);
    } else if (!json_equal(before, after)) {
        report(differ, before, after);
    }
}

json_t *version_diff(json_t *before, json_t *after)
{
    struct differ differ = {.list = json_array()};
    compare(&differ, before, after);
    buf_deinit(&differ.path);
    return differ.list;
}
