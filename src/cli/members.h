/*
 * Members of JSON objects that others sent: what is not there, or of another type, is empty or 0.
 */
#ifndef CLI_MEMBERS_H
#define CLI_MEMBERS_H

#include <jansson.h>
#include <stdbool.h>

/* Borrows from the object; never NULL. */
static inline const char *text_in(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

static inline json_int_t number_in(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static inline bool true_in(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

#endif
