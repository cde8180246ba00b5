/* Which series a request means, and how they look. Tested by warp10_test.c. */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "indexer/warp10_internal.h"
#include "warp10/scope.h"

/* As it came, so that the column is the client's. */
static int check_syntax(struct span text, unsigned flags)
{
    struct series_selector *selector = NULL;
    char reason[ERR_TEXT_BYTES_MAX];
    size_t offset = 0;
    if (series_selector_parse(text, flags, &selector, &offset) == 0) {
        series_selector_free(&selector);
        return 0;
    }
    (void)snprintf(reason, sizeof(reason), "%s", err_text());
    return err_set(ERR_PROTOCOL, "Syntax error in selector '%.*s', column %zu (%s).",
                   SPAN_ARG(span_first(text, 256)), offset + 1, reason);
}

/* One selector: what it means is added to `numbers`. */
static int select_one(struct warp10_call *call, struct span text, unsigned flags,
                      struct series_numbers *numbers)
{
    struct series_catalogue *catalogue = storage_catalogue(call->warp10->storage);
    struct buf scoped = {0};
    struct series_selector *selector = NULL;
    struct series_numbers found = {0};
    int rc = scope_selector(&scoped, call->token, text);
    if (rc == 0) {
        rc = check_syntax(text, flags);
        rc = rc < 0 ? rc : series_selector_parse(buf_span(&scoped), flags, &selector, NULL);
    }
    if (rc == 0) {
        rc = series_catalogue_select(catalogue, selector, 0, &found);
    }
    if (rc == 0 && found.count > 0) {
        numbers->items =
            mem_realloc(numbers->items, (numbers->count + found.count) * sizeof(*numbers->items));
        memcpy(numbers->items + numbers->count, found.items, found.count * sizeof(*found.items));
        numbers->count += found.count;
    }
    series_numbers_deinit(&found);
    series_selector_free(&selector);
    buf_deinit(&scoped);
    return rc;
}

static int by_number(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static void sort_unique(struct series_numbers *numbers)
{
    size_t count = 0;
    if (numbers->count < 2) {
        return;
    }
    qsort(numbers->items, numbers->count, sizeof(*numbers->items), by_number);
    for (size_t i = 0; i < numbers->count; i++) {
        if (count == 0 || numbers->items[i] != numbers->items[count - 1]) {
            numbers->items[count++] = numbers->items[i];
        }
    }
    numbers->count = count;
}

int warp10_select(struct warp10_call *call, struct span selectors, unsigned flags,
                  struct series_numbers *ret_numbers)
{
    struct series_numbers numbers = {0};
    struct span selector;
    size_t count = 0;
    int rc = 0;
    while (rc == 0 && warp10_next_selector(&selectors, &selector)) {
        rc = select_one(call, selector, flags, &numbers);
        count++;
    }
    if (rc < 0) {
        series_numbers_deinit(&numbers);
        return rc;
    }
    if (count > 1) {
        sort_unique(&numbers);
    }
    *ret_numbers = numbers;
    return 0;
}

int warp10_select_packed(struct warp10_call *call, struct span selectors, struct span suffix,
                         struct series_numbers *ret_numbers)
{
    struct buf packed = {0};
    struct span selector;
    int rc = 0;
    while (rc == 0 && warp10_next_selector(&selectors, &selector)) {
        rc = scope_packed(&packed, selector, suffix);
        buf_append_byte(&packed, ' ');
    }
    rc = rc < 0 ? rc : warp10_select(call, buf_span(&packed), 0, ret_numbers);
    buf_deinit(&packed);
    return rc;
}

static bool is_active(struct series_catalogue *catalogue, uint32_t number, int64_t active_after_ms,
                      int64_t quiet_after_ms)
{
    if (active_after_ms == TIME_UNSET && quiet_after_ms == TIME_UNSET) {
        return true;
    }
    int64_t last_ms = (int64_t)(series_catalogue_touched(catalogue, number) / TIME_MS_NS);
    return (active_after_ms == TIME_UNSET || last_ms >= active_after_ms) &&
           (quiet_after_ms == TIME_UNSET || last_ms < quiet_after_ms);
}

void warp10_narrow(struct warp10 *warp10, struct series_numbers *numbers, uint64_t skip,
                   uint64_t count, int64_t active_after_ms, int64_t quiet_after_ms)
{
    struct series_catalogue *catalogue = storage_catalogue(warp10->storage);
    size_t kept = 0;
    for (size_t i = 0; i < numbers->count && kept < count; i++) {
        if (!is_active(catalogue, numbers->items[i], active_after_ms, quiet_after_ms)) {
            continue;
        }
        if (skip > 0) {
            skip--;
            continue;
        }
        numbers->items[kept++] = numbers->items[i];
    }
    numbers->count = kept;
}

/* ── One series ──────────────────────────────────────────────────────────────────────────── */

/* Offsets first: the text moves while it grows. */
static int add_attribute(void *context, struct span name, struct span value)
{
    struct warp10_series *series = context;
    size_t count = series->shown.attribute_count;
    if (count == series->capacity) {
        series->capacity = series->capacity * 2 + 8;
        series->attributes =
            mem_realloc(series->attributes, series->capacity * sizeof(*series->attributes));
    }
    series->attributes[count] = (struct series_label){{NULL, name.bytes}, {NULL, value.bytes}};
    buf_append(&series->text, name);
    buf_append(&series->text, value);
    series->shown.attribute_count++;
    return 0;
}

bool warp10_series_load(struct warp10 *warp10, uint32_t number, struct warp10_series *series)
{
    struct series_catalogue *catalogue = storage_catalogue(warp10->storage);
    buf_clear(&series->key);
    buf_clear(&series->text);
    series->shown = (struct output_series){
        .id = number,
        .last_activity_ms =
            (int64_t)(series_catalogue_touched(catalogue, number) / (uint64_t)TIME_MS_NS)};
    if (!series_catalogue_key(catalogue, number, &series->key) ||
        series_catalogue_attributes(catalogue, number, add_attribute, series) != 0) {
        return false;
    }
    const uint8_t *at = series->text.data;
    for (size_t i = 0; i < series->shown.attribute_count; i++) {
        series->attributes[i].name.data = at;
        at += series->attributes[i].name.bytes;
        series->attributes[i].value.data = at;
        at += series->attributes[i].value.bytes;
    }
    series->shown.key = buf_span(&series->key);
    series->shown.attributes = series->attributes;
    return true;
}

void warp10_series_deinit(struct warp10_series *series)
{
    buf_deinit(&series->key);
    buf_deinit(&series->text);
    mem_free(series->attributes);
}

bool warp10_shows_owner(const struct warp10_call *call)
{
    struct span value;
    return call->warp10->expose_owner || token_attribute(call->token, ".expose", &value);
}
