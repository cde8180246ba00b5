/* Tested by points_test.c. */
#include "well/points_batch.h"

#include "base/mem.h"

#define COLUMNS_MIN 64 /* shorter columns become elements when something else comes */
#define TEXT_BYTES_MAX ((size_t)1 << 20)

void points_batch_clear(struct points_batch *batch)
{
    batch->is_closed = false;
    batch->type = 0;
    batch->count = 0;
    vec_clear(&batch->times);
    vec_clear(&batch->values);
    vec_clear(&batch->elements);
    buf_clear(&batch->text);
}

void points_batch_deinit(struct points_batch *batch)
{
    vec_deinit(&batch->times);
    vec_deinit(&batch->values);
    vec_deinit(&batch->elements);
    buf_deinit(&batch->text);
}

size_t points_batch_room(const struct points_batch *batch)
{
    if (batch->is_closed || batch->count >= POINTS_BATCH_MAX ||
        (batch->text.bytes >= TEXT_BYTES_MAX && batch->count > 0)) {
        return 0;
    }
    return POINTS_BATCH_MAX - batch->count;
}

static void columns_to_elements(struct points_batch *batch)
{
    struct well_points columns = {
        .count = batch->count,
        .type = batch->type,
        .times = batch->times.items,
        .values = batch->values.items,
    };
    for (size_t i = 0; i < batch->count; i++) {
        vec_push(&batch->elements, well_points_at(&columns, i));
    }
    batch->type = 0;
}

/* Whether the batch can take more of this type, 0 for what is no plain number; false closes it. */
static bool make_ready(struct points_batch *batch, uint8_t type)
{
    if (batch->stamps_wanted || batch->as_elements) {
        type = 0;
    }
    if (batch->count == 0) {
        batch->type = type;
    } else if (batch->type > 0 && batch->type != type) {
        if (batch->count >= COLUMNS_MIN) {
            batch->is_closed = true;
            return false;
        }
        columns_to_elements(batch);
    }
    return true;
}

static uint64_t plain_value(const struct element *element)
{
    return element->type == ELEMENT_BOOL ? element->value.boolean ? 1 : 0
                                         : (uint64_t)element->value.i64;
}

static bool add_element(struct points_batch *batch, struct element element)
{
    bool is_plain = element.type < ELEMENT_TEXT && element.has == 0;
    if (!make_ready(batch, is_plain ? element.type : 0)) {
        return false;
    }
    if (batch->type > 0) {
        vec_push(&batch->times, element.time_ns);
        vec_push(&batch->values, plain_value(&element));
    } else {
        if (element.type >= ELEMENT_TEXT) {
            buf_append(&batch->text, element.value.bytes);
        }
        vec_push(&batch->elements, element);
    }
    batch->count++;
    return true;
}

/* Plain numbers of which none is deleted, as they are. */
static size_t add_columns(struct points_batch *batch, const struct points_slice *slice,
                          bool ascending)
{
    for (size_t i = 0; i < slice->count; i++) {
        size_t from = ascending ? slice->first + i : slice->first - i;
        vec_push(&batch->times, slice->block->times[from]);
        vec_push(&batch->values, (uint64_t)slice->block->values[from].i64);
    }
    batch->count += slice->count;
    return slice->count;
}

size_t points_batch_add(struct points_batch *batch, const struct points_slice *slice,
                        bool ascending, const struct tombstone_list *deleted)
{
    bool none_deleted = deleted->items.count == 0 || slice->first_stamp > deleted->newest_stamp;
    if (none_deleted && slice->block != NULL && slice->run->type < ELEMENT_TEXT &&
        slice->run->has == 0) {
        if (!make_ready(batch, slice->run->type)) {
            return 0;
        }
        if (batch->type > 0) {
            return add_columns(batch, slice, ascending);
        }
    }
    for (size_t i = 0; i < slice->count; i++) {
        size_t from = ascending ? slice->first + i : slice->first - i;
        struct element element = points_slice_at(slice, from);
        if (!tombstone_list_covers(deleted, element.time_ns, element.stamp) &&
            !add_element(batch, element)) {
            return i;
        }
    }
    return slice->count;
}

void points_batch_give(struct points_batch *batch, bool turned, uint32_t series,
                       struct well_points *ret_points)
{
    const uint8_t *text = batch->text.data;
    for (size_t i = 0; i < batch->elements.count; i++) {
        struct element *element = &batch->elements.items[i];
        if (element->type >= ELEMENT_TEXT) {
            element->value.bytes.data = text;
            text += element->value.bytes.bytes;
        }
    }
    for (size_t i = 0, j = batch->elements.count; turned && i + 1 < j; i++) {
        j--;
        struct element moved = batch->elements.items[i];
        batch->elements.items[i] = batch->elements.items[j];
        batch->elements.items[j] = moved;
    }
    *ret_points = (struct well_points){
        .series = series,
        .count = batch->count,
        .type = batch->type,
        .times = batch->times.items,
        .values = batch->values.items,
        .elements = batch->elements.items,
    };
}
