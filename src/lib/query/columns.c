/* Tested by pipeline_test.c. */
#include "query/columns.h"

#include "query/module.h"

#define ARENA_BYTES_MAX (SIZE_MAX / 2) /* texts come from entries, which have their bounds */

void query_columns_init(struct query_columns *columns)
{
    *columns = (struct query_columns){.arena = arena_new(ARENA_BYTES_MAX)};
}

void query_columns_deinit(struct query_columns *columns)
{
    for (size_t i = 0; i < columns->list.count; i++) {
        mem_free(columns->list.items[i].values);
    }
    vec_deinit(&columns->list);
    vec_deinit(&columns->sealed);
    buf_deinit(&columns->sealed_bytes);
    mem_free(columns->edited);
    vec_deinit(&columns->repeated);
    arena_free(&columns->arena);
}

void query_columns_begin(struct query_columns *columns, size_t entries)
{
    columns->count = 0;
    columns->entries = entries;
    arena_reset(columns->arena);
}

static struct query_column *find(const struct query_columns *columns, struct span name)
{
    for (size_t i = 0; columns != NULL && i < columns->count; i++) {
        if (span_equal(columns->list.items[i].name, name)) {
            return &columns->list.items[i];
        }
    }
    return NULL;
}

struct query_value *query_block_column(struct query_block *block, struct span name)
{
    struct query_columns *columns = block->columns;
    struct query_column *column = find(columns, name);
    if (column != NULL) {
        return column->values;
    }
    if (columns->count == columns->list.count) {
        vec_push(&columns->list, (struct query_column){0});
    }
    column = &columns->list.items[columns->count++];
    column->name = name;
    if (column->capacity < columns->entries) {
        mem_free(column->values);
        column->values = mem_alloc_array(columns->entries, sizeof(*column->values));
        column->capacity = columns->entries;
    } else if (columns->entries > 0) {
        memset(column->values, 0, columns->entries * sizeof(*column->values));
    }
    return column->values;
}

const struct query_value *query_block_values(const struct query_block *block, struct span name)
{
    const struct query_column *column = find(block->columns, name);
    return column == NULL ? NULL : column->values;
}

static bool universal(const struct query_block *block, const struct entry *entry, struct span name,
                      struct query_value *ret_value)
{
    if (span_equal_str(name, "DATA")) {
        *ret_value = query_value_of_text(entry->data);
    } else if (span_equal_str(name, "TAG")) {
        const char *tag = block->tag_name(block->context, entry->tag);
        *ret_value = query_value_of_text(span_of_str(tag));
    } else if (span_equal_str(name, "SRC")) {
        ret_value->type = QUERY_VALUE_IP;
        memcpy(ret_value->ip, entry->source, ENTRY_SOURCE_BYTES);
    } else if (span_equal_str(name, "TIMESTAMP")) {
        ret_value->type = QUERY_VALUE_TIME;
        ret_value->number = entry->time_ns;
    } else if (span_equal_str(name, "NOW") && block->columns != NULL) {
        ret_value->type = QUERY_VALUE_TIME;
        ret_value->number = block->columns->now_ns;
    } else {
        return false;
    }
    return true;
}

bool query_block_get(const struct query_block *block, size_t index, struct span name,
                     struct query_value *ret_value)
{
    const struct query_column *column = find(block->columns, name);
    if (column != NULL && column->values[index].type != QUERY_VALUE_NONE) {
        *ret_value = column->values[index];
        return ret_value->type != QUERY_VALUE_REMOVED;
    }
    const struct entry *entry = &block->entries[index];
    struct series_ev ev;
    if (entry->enumerated.bytes == 0 || !series_evs_find(entry->enumerated, name, &ev)) {
        return universal(block, entry, name, ret_value);
    }
    *ret_value = query_value_of_ev(&ev);
    if (ret_value->type == QUERY_VALUE_NONE && block->columns != NULL) {
        struct buf text = {0};
        series_ev_text(&text, &ev);
        *ret_value = query_value_of_text(arena_span_dup(block->columns->arena, buf_span(&text)));
        buf_deinit(&text);
    }
    return true;
}

bool query_block_text(const struct query_block *block, size_t index, struct span name,
                      struct span *ret_text)
{
    struct query_value value;
    if (!query_block_get(block, index, name, &value)) {
        return false;
    }
    if (value.type == QUERY_VALUE_TEXT || value.type == QUERY_VALUE_BYTES) {
        *ret_text = value.text;
        return true;
    }
    struct buf text = {0};
    query_value_put_text(&value, &text);
    *ret_text = arena_span_dup(block->columns->arena, buf_span(&text));
    buf_deinit(&text);
    return true;
}

bool query_value_text(const struct query_block *block, size_t index, struct span name,
                      struct buf *buf)
{
    struct series_ev ev;
    struct query_value value;
    if (!query_block_get(block, index, name, &value)) {
        return false;
    }
    if (value.type == QUERY_VALUE_NONE) {
        (void)series_evs_find(block->entries[index].enumerated, name, &ev);
        series_ev_text(buf, &ev);
    }
    query_value_put_text(&value, buf);
    return true;
}

static bool is_set(const struct query_columns *columns, size_t index, struct span name)
{
    const struct query_column *column = find(columns, name);
    return column != NULL && column->values[index].type != QUERY_VALUE_NONE;
}

void query_block_names(const struct query_block *block, size_t index,
                       void (*each)(void *context, struct span name), void *context)
{
    const struct query_columns *columns = block->columns;
    struct span arrived = block->entries[index].enumerated;
    size_t cursor = 0;
    struct series_ev ev;
    while (arrived.bytes > 0 && series_evs_next(arrived, &cursor, &ev)) {
        if (!is_set(columns, index, ev.name)) {
            each(context, ev.name);
        }
    }
    for (size_t i = 0; columns != NULL && i < columns->count; i++) {
        enum query_value_type type = columns->list.items[i].values[index].type;
        if (type != QUERY_VALUE_NONE && type != QUERY_VALUE_REMOVED) {
            each(context, columns->list.items[i].name);
        }
    }
}

static struct entry *edited(struct query_columns *columns, size_t count)
{
    if (columns->edited_capacity < count) {
        mem_free(columns->edited);
        columns->edited = mem_alloc_array(count, sizeof(*columns->edited));
        columns->edited_capacity = count;
    }
    return columns->edited;
}

struct entry *query_block_edit(struct query_block *block, size_t index)
{
    struct query_columns *columns = block->columns;
    if (block->entries != columns->edited) {
        memcpy(edited(columns, columns->entries), block->entries,
               columns->entries * sizeof(*block->entries));
        block->entries = columns->edited;
        block->region = SPAN_NONE;
    }
    return &columns->edited[index];
}

void query_block_set(struct query_block *block, size_t index, struct span name,
                     struct query_value value)
{
    if (!span_equal_str(name, "DATA")) {
        query_block_column(block, name)[index] = value;
        return;
    }
    struct buf text = {0};
    query_value_put_text(&value, &text);
    query_block_edit(block, index)->data =
        value.type == QUERY_VALUE_TEXT || value.type == QUERY_VALUE_BYTES
            ? value.text
            : arena_span_dup(block->columns->arena, buf_span(&text));
    buf_deinit(&text);
}

/* `from[i]` says which of the old entries the new entry i is. */
static void gather(struct query_block *block, const uint32_t *from, size_t count)
{
    struct query_columns *columns = block->columns;
    struct entry *entries = mem_alloc_array(count + 1, sizeof(*entries));
    for (size_t i = 0; i < count; i++) {
        entries[i] = block->entries[from[i]];
    }
    for (size_t i = 0; i < columns->count; i++) {
        struct query_column *column = &columns->list.items[i];
        struct query_value *values = mem_alloc_array(count + 1, sizeof(*values));
        for (size_t j = 0; j < count; j++) {
            values[j] = column->values[from[j]];
        }
        mem_free(column->values);
        column->values = values;
        column->capacity = count + 1;
    }
    mem_free(columns->edited);
    columns->edited = entries;
    columns->edited_capacity = count + 1;
    columns->entries = count;
    block->entries = entries;
    block->region = SPAN_NONE;
}

void query_block_repeat(struct query_block *block, const uint32_t *pieces)
{
    struct query_columns *columns = block->columns;
    VEC(uint32_t) from = {0};
    VEC(uint32_t) picks = {0};
    size_t pick = 0;
    size_t other = 0;
    for (size_t i = 0; i < columns->entries; i++) {
        if (pick < block->count && block->picks[pick] == i) {
            for (size_t j = 0; j < pieces[pick]; j++) {
                vec_push(&picks, (uint32_t)from.count);
                vec_push(&from, (uint32_t)i);
            }
            pick++;
        } else if (other < block->other_count && block->others[other] == i) {
            block->others[other++] = (uint32_t)from.count;
            vec_push(&from, (uint32_t)i);
        }
    }
    gather(block, from.items, from.count);
    vec_clear(&columns->repeated);
    for (size_t i = 0; i < picks.count; i++) {
        vec_push(&columns->repeated, picks.items[i]);
    }
    block->picks = columns->repeated.items;
    block->count = picks.count;
    vec_deinit(&from);
    vec_deinit(&picks);
}

void query_block_put_evs(const struct query_block *block, size_t index, struct buf *buf,
                         bool (*wanted)(const void *context, struct span name), const void *context)
{
    const struct query_columns *columns = block->columns;
    struct span arrived = block->entries[index].enumerated;
    size_t begin = series_evs_begin(buf);
    size_t cursor = 0;
    struct series_ev ev;
    while (arrived.bytes > 0 && series_evs_next(arrived, &cursor, &ev)) {
        if (!is_set(columns, index, ev.name)) {
            int full = series_evs_put(buf, begin, ev);
            (void)full; /* it was in such a block before */
        }
    }
    for (size_t i = 0; columns != NULL && i < columns->count; i++) {
        const struct query_column *column = &columns->list.items[i];
        const struct query_value *value = &column->values[index];
        if (value->type != QUERY_VALUE_NONE && value->type != QUERY_VALUE_REMOVED &&
            (wanted == NULL || wanted(context, column->name))) {
            query_value_put_ev(value, column->name, buf, begin);
        }
    }
    if (buf->bytes == begin + SERIES_EVS_HEADER_BYTES) {
        buf->bytes = begin; /* none */
    }
}

void query_block_seal(struct query_block *block,
                      bool (*wanted)(const void *context, struct span name), const void *context)
{
    struct query_columns *columns = block->columns;
    if (columns == NULL || columns->count == 0 || block->count == 0) {
        return;
    }
    buf_clear(&columns->sealed_bytes);
    vec_clear(&columns->sealed);
    for (size_t i = 0; i < block->count; i++) {
        struct entry entry = block->entries[block->picks[i]];
        size_t before = columns->sealed_bytes.bytes;
        query_block_put_evs(block, block->picks[i], &columns->sealed_bytes, wanted, context);
        entry.enumerated.bytes = columns->sealed_bytes.bytes - before;
        vec_push(&columns->sealed, entry);
    }
    const uint8_t *at = columns->sealed_bytes.data;
    for (size_t i = 0; i < block->count; i++) {
        struct entry *entry = &columns->sealed.items[i];
        entry->enumerated.data = at;
        at = at == NULL ? NULL : at + entry->enumerated.bytes;
        block->picks[i] = (uint32_t)i;
    }
    block->entries = columns->sealed.items;
    block->region = SPAN_NONE;
    columns->count = 0;
}

void query_block_keep(struct query_block *block,
                      bool (*passes)(const void *plan, struct query_block *block, size_t index),
                      const void *plan)
{
    size_t kept = 0;
    for (size_t i = 0; i < block->count; i++) {
        if (passes(plan, block, block->picks[i])) {
            block->picks[kept++] = block->picks[i];
        }
    }
    block->count = kept;
}
