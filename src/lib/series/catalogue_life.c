/* Which series live, and their attributes. Tested by catalogue_test.c. */
#include "base/wire.h"
#include "series/catalogue_internal.h"

#define ACTIVITY_STEP_NS (UINT64_C(3600) * 1000000000) /* how exact it is on disk */

uint64_t catalogue_died(const struct chunk *chunk, uint32_t number)
{
    const uint64_t *died = __atomic_load_n(&chunk->died, __ATOMIC_ACQUIRE);
    return died == NULL ? 0 : __atomic_load_n(&died[number % CHUNK_NUMBERS], __ATOMIC_ACQUIRE);
}

/* Raises `*place` to `value`; returns what it was. */
static uint64_t raise_to(uint64_t *place, uint64_t value)
{
    uint64_t before = __atomic_load_n(place, __ATOMIC_ACQUIRE);
    while (before < value && !__atomic_compare_exchange_n(place, &before, value, true,
                                                          __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {}
    return before;
}

static uint64_t *need_died(struct chunk *chunk)
{
    uint64_t *died = __atomic_load_n(&chunk->died, __ATOMIC_ACQUIRE);
    if (died != NULL) {
        return died;
    }
    uint64_t *made = mem_alloc_array(CHUNK_NUMBERS, sizeof(uint64_t));
    if (!__atomic_compare_exchange_n(&chunk->died, &died, made, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        mem_free(made);
        return died;
    }
    return made;
}

static bool lives(const struct chunk *chunk, uint32_t number)
{
    uint64_t touched = __atomic_load_n(&chunk->touched[number % CHUNK_NUMBERS], __ATOMIC_ACQUIRE);
    return touched > 0 && touched >= catalogue_died(chunk, number);
}

/* Writes down beside the record and among the flags whether it lives. Two threads may do so at
 * once with different views: the last look of each is after its own change, so it is repeated
 * until what was written is what is. */
static void settle(struct series_catalogue *catalogue, struct chunk *chunk, uint32_t number)
{
    struct record *record = record_of(catalogue, number);
    if (record == NULL) {
        return;
    }
    bool written = false;
    do {
        written = lives(chunk, number);
        if (written) {
            __atomic_fetch_or(&record->state, RECORD_LIVES, __ATOMIC_SEQ_CST);
            set_flags(chunk, number, NUMBER_LIVES);
        } else {
            __atomic_fetch_and(&record->state, (uint8_t)~RECORD_LIVES, __ATOMIC_SEQ_CST);
            clear_flags(chunk, number, NUMBER_LIVES);
        }
    } while (written != lives(chunk, number));
}

void catalogue_raise(struct series_catalogue *catalogue, uint32_t number, uint64_t touched,
                     uint64_t died)
{
    struct chunk *chunk = chunk_need(catalogue, number);
    uint64_t before = raise_to(&chunk->touched[number % CHUNK_NUMBERS], touched);
    bool later = touched > before && (before == 0 || catalogue_died(chunk, number) > 0 ||
                                      touched / ACTIVITY_STEP_NS != before / ACTIVITY_STEP_NS);
    if (died > 0) {
        later |= raise_to(&need_died(chunk)[number % CHUNK_NUMBERS], died) < died;
    }
    if (later) {
        set_flags(chunk, number, DIRTY_LIFE);
    }
    uint8_t flags = __atomic_load_n(&chunk->flags[number % CHUNK_NUMBERS], __ATOMIC_ACQUIRE);
    if (died > 0 || (touched > 0 && (flags & NUMBER_LIVES) == 0)) {
        settle(catalogue, chunk, number);
    }
}

void series_catalogue_touch(struct series_catalogue *catalogue, const uint32_t *numbers,
                            size_t count, struct stamp stamp)
{
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] != SERIES_NONE) {
            catalogue_raise(catalogue, numbers[i], stamp.time, 0);
        }
    }
}

bool series_catalogue_lives(struct series_catalogue *catalogue, uint32_t number)
{
    const struct chunk *chunk = chunk_of(catalogue, number);
    return chunk != NULL && record_of(catalogue, number) != NULL && lives(chunk, number);
}

uint64_t series_catalogue_touched(struct series_catalogue *catalogue, uint32_t number)
{
    const struct chunk *chunk = chunk_of(catalogue, number);
    return chunk == NULL
               ? 0
               : __atomic_load_n(&chunk->touched[number % CHUNK_NUMBERS], __ATOMIC_ACQUIRE);
}

/*
 * Deletes of whole series.
 */

static void delete_bytes(struct buf *buf, struct stamp stamp, uint8_t flags, struct span selector)
{
    buf_clear(buf);
    wire_put_u64(buf, stamp.time);
    wire_put_u16(buf, stamp.origin);
    wire_put_u8(buf, flags);
    buf_append(buf, selector);
}

/* The first delete whose hash is not below `hash`; under the lock. */
static size_t first_delete(const struct series_catalogue *catalogue, uint64_t hash)
{
    size_t low = 0;
    size_t high = catalogue->deletes.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (catalogue->deletes.items[middle].key_hash < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void insert_delete(struct series_catalogue *catalogue, struct whole_delete deletion)
{
    size_t at = first_delete(catalogue, deletion.key_hash + 1);
    vec_push(&catalogue->deletes, deletion);
    struct whole_delete *items = catalogue->deletes.items;
    memmove(items + at + 1, items + at, (catalogue->deletes.count - 1 - at) * sizeof(*items));
    items[at] = deletion;
}

/* False: it is there already. Series that are made from now on find it. */
static bool remember(struct series_catalogue *catalogue, const struct series_delete *deletion,
                     struct stamp stamp, struct series_selector **selector)
{
    struct buf bytes = {0};
    delete_bytes(&bytes, stamp, deletion->flags, deletion->selector);
    pthread_mutex_lock(&catalogue->lock);
    bool known = map_get(&catalogue->deletes_known, buf_span(&bytes)) != NULL;
    if (!known) {
        (void)map_put(&catalogue->deletes_known, buf_span(&bytes), catalogue);
        insert_delete(catalogue, (struct whole_delete){
                                     .key_hash = series_selector_key_hash(*selector),
                                     .selector = *selector,
                                     .text = mem_strndup((const char *)deletion->selector.data,
                                                         deletion->selector.bytes),
                                     .flags = deletion->flags,
                                     .stamp = stamp,
                                 });
        catalogue->deletes_dirty = true;
        *selector = NULL;
    }
    pthread_mutex_unlock(&catalogue->lock);
    buf_deinit(&bytes);
    return !known;
}

int catalogue_add_delete(struct series_catalogue *catalogue, const struct series_delete *deletion,
                         struct stamp stamp)
{
    unsigned flags = series_delete_selector_flags(deletion);
    struct series_selector *kept = NULL; /* the list's; it may be dropped at any time */
    struct series_selector *own = NULL;
    struct series_numbers numbers = {0};
    int rc = series_selector_parse(deletion->selector, flags, &kept, NULL);
    if (rc == 0) {
        rc = series_selector_parse(deletion->selector, flags, &own, NULL);
    }
    if (rc == 0 && remember(catalogue, deletion, stamp, &kept)) {
        rc = series_catalogue_select(catalogue, own, SERIES_SELECT_DEAD, &numbers);
    }
    for (size_t i = 0; i < numbers.count; i++) {
        catalogue_raise(catalogue, numbers.items[i], 0, stamp.time);
    }
    series_numbers_deinit(&numbers);
    series_selector_free(&kept);
    series_selector_free(&own);
    return rc;
}

/* The latest of the deletes [from, to) that cover the series; `died` if none is later. */
static uint64_t latest(const struct series_catalogue *catalogue, size_t from, size_t to,
                       struct series_matcher *matcher, struct span key, uint64_t died)
{
    for (size_t i = from; i < to; i++) {
        const struct whole_delete *deletion = &catalogue->deletes.items[i];
        if (deletion->stamp.time > died &&
            series_selector_matches(deletion->selector, matcher, key, NULL, NULL)) {
            died = deletion->stamp.time;
        }
    }
    return died;
}

uint64_t catalogue_covering(struct series_catalogue *catalogue, struct span key)
{
    if (catalogue->deletes.count == 0) {
        return 0;
    }
    struct series_matcher matcher;
    uint64_t hash = series_selector_hash_of(key);
    series_matcher_init(&matcher);
    uint64_t died = latest(catalogue, 0, first_delete(catalogue, 1), &matcher, key, 0);
    died = latest(catalogue, first_delete(catalogue, hash), first_delete(catalogue, hash + 1),
                  &matcher, key, died);
    series_matcher_deinit(&matcher);
    return died;
}

int series_catalogue_apply_delete(struct series_catalogue *catalogue, struct span payload,
                                  struct stamp stamp)
{
    struct series_delete deletion;
    int rc = series_delete_decode(payload, &deletion);
    if (rc < 0 || (deletion.flags & SERIES_DELETE_WHOLE) == 0) {
        return rc;
    }
    return catalogue_add_delete(catalogue, &deletion, stamp);
}

void series_catalogue_forget_deletes(struct series_catalogue *catalogue, uint64_t time)
{
    struct buf bytes = {0};
    pthread_mutex_lock(&catalogue->lock);
    size_t kept = 0;
    for (size_t i = 0; i < catalogue->deletes.count; i++) {
        struct whole_delete deletion = catalogue->deletes.items[i];
        if (deletion.stamp.time < time) {
            delete_bytes(&bytes, deletion.stamp, deletion.flags, span_of_str(deletion.text));
            (void)map_remove(&catalogue->deletes_known, buf_span(&bytes));
            series_selector_free(&deletion.selector);
            mem_free(deletion.text);
            catalogue->deletes_dirty = true;
        } else {
            catalogue->deletes.items[kept++] = deletion;
        }
    }
    catalogue->deletes.count = kept;
    pthread_mutex_unlock(&catalogue->lock);
    buf_deinit(&bytes);
}

/*
 * Attributes.
 */

static size_t attributes_bytes(const struct attributes *attributes)
{
    return attributes == NULL ? 0
                              : sizeof(*attributes) + attributes->texts_bytes +
                                    attributes->count * sizeof(struct attribute);
}

const struct attributes *catalogue_attributes(const struct series_catalogue *catalogue,
                                              uint32_t number)
{
    const struct chunk *chunk = chunk_of(catalogue, number);
    return chunk == NULL || chunk->attributes == NULL ? NULL
                                                      : chunk->attributes[number % CHUNK_NUMBERS];
}

/* Notes that the series has an attribute of each of these names. The attributes lock is held for
 * writing; the other lock too, since symbols are made. */
static void note_names(struct series_catalogue *catalogue, uint32_t number,
                       const struct attributes *attributes, const struct attributes *old)
{
    for (size_t i = 0; attributes != NULL && i < attributes->count; i++) {
        struct span name = attribute_name(attributes, i);
        if (attributes->items[i].removed || attributes_find(old, name) != NULL) {
            continue;
        }
        uint32_t ref = symbols_put(&catalogue->symbols, SYMBOL_ATTRIBUTE, name);
        postings_add(&catalogue->symbols.heap, &symbol_at(&catalogue->symbols, ref)->postings,
                     number);
    }
}

void catalogue_set_attributes(struct series_catalogue *catalogue, uint32_t number,
                              struct attributes *attributes)
{
    struct chunk *chunk = chunk_need(catalogue, number);
    pthread_rwlock_wrlock(&catalogue->attributes_lock);
    struct attributes *old = NULL;
    if (chunk->attributes != NULL || attributes != NULL) {
        if (chunk->attributes == NULL) {
            chunk->attributes = mem_alloc_array(CHUNK_NUMBERS, sizeof(struct attributes *));
        }
        old = chunk->attributes[number % CHUNK_NUMBERS];
        note_names(catalogue, number, attributes, old);
        chunk->attributes[number % CHUNK_NUMBERS] = attributes;
        catalogue->attributes_bytes += attributes_bytes(attributes) - attributes_bytes(old);
    }
    pthread_rwlock_unlock(&catalogue->attributes_lock);
    mem_free(old);
}

void catalogue_set_orphan(struct series_catalogue *catalogue, struct span key,
                          struct attributes *attributes)
{
    mem_free(map_put(&catalogue->orphans, key, attributes));
    catalogue->orphans_dirty = true;
}

void catalogue_adopt(struct series_catalogue *catalogue, uint32_t number)
{
    struct buf key = {0};
    pthread_mutex_lock(&catalogue->lock);
    const struct record *record = record_of(catalogue, number);
    if (catalogue->orphans.count > 0 && record != NULL) {
        record_key(catalogue, record, &key);
        struct attributes *attributes = map_remove(&catalogue->orphans, buf_span(&key));
        if (attributes != NULL && catalogue_attributes(catalogue, number) == NULL) {
            catalogue_set_attributes(catalogue, number, attributes);
            set_flags(chunk_of(catalogue, number), number, DIRTY_ATTRIBUTES);
        } else {
            mem_free(attributes); /* adopted before: what is there is as new */
        }
    }
    pthread_mutex_unlock(&catalogue->lock);
    buf_deinit(&key);
}

/* The lock is held, so that nobody else changes attributes: they are read without theirs. */
static void apply_meta(struct series_catalogue *catalogue, const struct series_meta *meta,
                       struct stamp stamp)
{
    const struct series_origins *origins = catalogue->options.origins;
    uint32_t number = SERIES_NONE;
    if (series_catalogue_find(catalogue, meta->key, &number) &&
        series_catalogue_is_logged(catalogue, number)) {
        const struct attributes *old = catalogue_attributes(catalogue, number);
        catalogue_set_attributes(catalogue, number, attributes_changed(old, *meta, stamp, origins));
        set_flags(chunk_of(catalogue, number), number, DIRTY_ATTRIBUTES);
    } else {
        const struct attributes *old = map_get(&catalogue->orphans, meta->key);
        catalogue_set_orphan(catalogue, meta->key, attributes_changed(old, *meta, stamp, origins));
    }
}

int series_catalogue_apply_meta(struct series_catalogue *catalogue, struct span payload,
                                struct stamp stamp)
{
    struct series_metas reader;
    struct series_meta meta;
    int rc = series_metas_open(&reader, payload);
    pthread_mutex_lock(&catalogue->lock);
    while (rc == 0 && series_metas_next(&reader, &meta)) {
        apply_meta(catalogue, &meta, stamp);
    }
    pthread_mutex_unlock(&catalogue->lock);
    return rc;
}

int series_catalogue_attributes(struct series_catalogue *catalogue, uint32_t number,
                                int (*each)(void *context, struct span name, struct span value),
                                void *context)
{
    int rc = 0;
    pthread_rwlock_rdlock(&catalogue->attributes_lock);
    const struct attributes *attributes = catalogue_attributes(catalogue, number);
    uint64_t died = attributes == NULL ? 0 : catalogue_died(chunk_of(catalogue, number), number);
    for (size_t i = 0; rc == 0 && attributes != NULL && i < attributes->count; i++) {
        if (!attributes->items[i].removed && attributes->items[i].stamp.time >= died) {
            rc = each(context, attribute_name(attributes, i), attribute_value(attributes, i));
        }
    }
    pthread_rwlock_unlock(&catalogue->attributes_lock);
    return rc;
}
