/* Tested by pipeline_test.c. */
#include "query/source.h"

int query_source_tags(struct query_source *source,
                      int (*each)(void *context, const char *name, uint16_t tag), void *context)
{
    return source->methods->tags(source, each, context);
}

int query_source_open(struct query_source *source, const struct query_scan *scan,
                      struct query_cursor **ret_cursor)
{
    return source->methods->open(source, scan, ret_cursor);
}

int query_source_follow(struct query_source *source, struct query_cursor **ret_cursor)
{
    return source->methods->follow == NULL
               ? err_set(ERR_UNSUPPORTED, "what comes in cannot be followed here")
               : source->methods->follow(source, ret_cursor);
}

int query_source_next(struct query_cursor *cursor, struct query_source_block *ret_block)
{
    *ret_block = (struct query_source_block){0};
    return cursor->methods->next(cursor, ret_block);
}

void query_source_close(struct query_cursor **cursor)
{
    if (*cursor != NULL) {
        (*cursor)->methods->close(*cursor);
        *cursor = NULL;
    }
}

uint64_t query_source_skipped(const struct query_cursor *cursor)
{
    return cursor->methods->skipped == NULL ? 0 : cursor->methods->skipped(cursor);
}

void query_source_extents(struct query_source *source, const struct query_scan *scan,
                          void (*each)(void *context, struct query_extent extent), void *context)
{
    if (source->methods->extents != NULL) {
        source->methods->extents(source, scan, each, context);
    }
}

uint64_t query_source_passed_over(const struct query_cursor *cursor)
{
    return cursor->methods->passed_over == NULL ? 0 : cursor->methods->passed_over(cursor);
}
