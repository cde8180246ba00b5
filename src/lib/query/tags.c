/* Tested by pipeline_test.c. */
#include "query/tags.h"

#include <stdint.h>

void query_tags_deinit(struct query_tags *tags)
{
    for (size_t i = 0; i < tags->names.count; i++) {
        mem_free(tags->names.items[i]);
    }
    vec_deinit(&tags->names);
    map_deinit(&tags->numbers);
}

int query_tags_number(struct query_tags *tags, struct span name)
{
    /* A map holds no NULL: number + 1. */
    uintptr_t known = (uintptr_t)map_get(&tags->numbers, name);
    if (known > 0) {
        return (int)(known - 1);
    }
    size_t number = tags->names.count;
    if (number == QUERY_TAG_NUMBERS_MAX) {
        return -1;
    }
    vec_push(&tags->names, mem_strndup((const char *)name.data, name.bytes));
    (void)map_put(&tags->numbers, name, (void *)(number + 1));
    return (int)number;
}

const char *query_tags_name(const struct query_tags *tags, uint16_t number)
{
    return number < tags->names.count ? tags->names.items[number] : "";
}
