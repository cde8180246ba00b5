#include "series/catalogue.h"

#include <inttypes.h>
#include <stdarg.h>

#include "series/catalogue_internal.h"

void catalogue_report(struct series_catalogue *catalogue, const char *format, ...)
{
    if (catalogue->options.report == NULL) {
        return;
    }
    struct buf text = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    catalogue->options.report(catalogue->options.report_context, buf_str(&text));
    buf_deinit(&text);
}

int series_catalogue_open(const struct series_catalogue_options *options,
                          struct series_catalogue **ret_catalogue)
{
    struct series_catalogue *catalogue = MEM_NEW(struct series_catalogue);
    catalogue->options = *options;
    catalogue->dir = mem_strdup(options->dir);
    pthread_mutex_init(&catalogue->lock, NULL);
    pthread_rwlock_init(&catalogue->attributes_lock, NULL);
    pthread_mutex_init(&catalogue->checkpoint_lock, NULL);
    symbols_init(&catalogue->symbols);
    catalogue->table = table_new();
    catalogue->chunks = mem_alloc_array(CHUNKS, sizeof(struct chunk *));
    catalogue->next = 1;
    int rc = catalogue_load(catalogue);
    if (rc < 0) {
        series_catalogue_close(&catalogue);
        return err_wrap(rc, "open the series catalogue");
    }
    *ret_catalogue = catalogue;
    return 0;
}

static void chunk_free(struct chunk *chunk)
{
    for (size_t i = 0; chunk->attributes != NULL && i < CHUNK_NUMBERS; i++) {
        mem_free(chunk->attributes[i]);
    }
    mem_free(chunk->attributes);
    mem_free(chunk->died);
    mem_free(chunk);
}

void series_catalogue_close(struct series_catalogue **catalogue_place)
{
    struct series_catalogue *catalogue = *catalogue_place;
    if (catalogue == NULL) {
        return;
    }
    io_close(&catalogue->file);
    for (size_t i = 0; i < catalogue->chunks_end; i++) {
        if (catalogue->chunks[i] != NULL) {
            chunk_free(catalogue->chunks[i]);
        }
    }
    mem_free(catalogue->chunks);
    for (size_t i = 0; i < catalogue->deletes.count; i++) {
        series_selector_free(&catalogue->deletes.items[i].selector);
        mem_free(catalogue->deletes.items[i].text);
    }
    vec_deinit(&catalogue->deletes);
    map_deinit(&catalogue->deletes_known);
    size_t cursor = 0;
    struct span key;
    void *attributes;
    while (map_next(&catalogue->orphans, &cursor, &key, &attributes)) {
        mem_free(attributes);
    }
    map_deinit(&catalogue->orphans);
    table_free(&catalogue->table);
    symbols_deinit(&catalogue->symbols);
    pthread_mutex_destroy(&catalogue->lock);
    pthread_rwlock_destroy(&catalogue->attributes_lock);
    pthread_mutex_destroy(&catalogue->checkpoint_lock);
    mem_free(catalogue->dir);
    mem_free(catalogue);
    *catalogue_place = NULL;
}

struct chunk *chunk_need(struct series_catalogue *catalogue, uint32_t number)
{
    struct chunk *chunk = chunk_of(catalogue, number);
    if (chunk != NULL) {
        return chunk;
    }
    /* The end first: who finds the chunk relies on it that those who walk all find it too. */
    uint32_t end = number / CHUNK_NUMBERS + 1;
    uint32_t before = chunks_end(catalogue);
    while (before < end && !__atomic_compare_exchange_n(&catalogue->chunks_end, &before, end, true,
                                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {}
    chunk = MEM_NEW(struct chunk);
    struct chunk *other = NULL;
    if (!__atomic_compare_exchange_n(&catalogue->chunks[number / CHUNK_NUMBERS], &other, chunk,
                                     false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        mem_free(chunk);
        return other;
    }
    return chunk;
}

static bool is_key_of(const struct symbols *symbols, const struct record *record, struct span key)
{
    struct series_key_reader reader = series_key_open(key);
    if (reader.count != record->count ||
        !span_equal(reader.class, symbol_text(symbol_at(symbols, record->class)))) {
        return false;
    }
    struct series_label label;
    for (size_t i = 0; series_key_next(&reader, &label); i++) {
        const struct symbol *value = symbol_at(symbols, record->values[i]);
        if (!span_equal(label.value, symbol_text(value)) ||
            !span_equal(label.name, symbol_text(symbol_at(symbols, value->kind)))) {
            return false;
        }
    }
    return true;
}

/* NULL: no such. */
static struct record *look_up(const struct series_catalogue *catalogue, struct span key,
                              uint32_t hash)
{
    const struct table *table = __atomic_load_n(&catalogue->table, __ATOMIC_ACQUIRE);
    uint32_t at = hash;
    for (;;) {
        uint32_t ref = table_next(table, hash, &at);
        if (ref == 0) {
            return NULL;
        }
        struct record *record = heap_at(&catalogue->symbols.heap, ref);
        if (is_key_of(&catalogue->symbols, record, key)) {
            return record;
        }
    }
}

/* Makes the record and shows it to readers; the lock is held. */
static struct record *make(struct series_catalogue *catalogue, uint32_t number, struct span key,
                           uint32_t hash)
{
    struct symbols *symbols = &catalogue->symbols;
    struct series_key_reader reader = series_key_open(key);
    uint32_t ref =
        heap_alloc(&symbols->heap, sizeof(struct record) + reader.count * sizeof(uint32_t));
    struct record *record = heap_at(&symbols->heap, ref);
    record->number = number;
    record->hash = hash;
    record->count = (uint16_t)reader.count;
    record->class = symbols_put(symbols, SYMBOL_CLASS, reader.class);
    struct series_label label;
    for (size_t i = 0; series_key_next(&reader, &label); i++) {
        uint32_t name = symbols_put(symbols, SYMBOL_NAME, label.name);
        record->values[i] = symbols_put(symbols, name, label.value);
    }
    struct chunk *chunk = chunk_need(catalogue, number);
    __atomic_store_n(&chunk->records[number % CHUNK_NUMBERS], ref, __ATOMIC_RELEASE);
    catalogue_raise(catalogue, number, 0, catalogue_covering(catalogue, key));
    postings_add(&symbols->heap, &symbol_at(symbols, record->class)->postings, number);
    for (size_t i = 0; i < record->count; i++) {
        postings_add(&symbols->heap, &symbol_at(symbols, record->values[i])->postings, number);
    }
    table_add(&catalogue->table, hash, ref);
    catalogue->count++;
    if (number >= catalogue->next) {
        __atomic_store_n(&catalogue->next, (uint64_t)number + 1, __ATOMIC_RELEASE);
    }
    return record;
}

/* put() of one that is new, or seemed so. */
static int put_slowly(struct series_catalogue *catalogue, struct span key, uint32_t hash,
                      struct record **ret_record)
{
    int rc = 0;
    pthread_mutex_lock(&catalogue->lock);
    struct record *record = look_up(catalogue, key, hash);
    if (record == NULL &&
        (catalogue->next > UINT32_MAX || heap_is_full(&catalogue->symbols.heap))) {
        rc = err_set(ERR_TOO_LARGE, "series catalogue: too many series");
    } else if (record == NULL) {
        record = make(catalogue, (uint32_t)catalogue->next, key, hash);
    }
    if (rc == 0) {
        *ret_record = record;
    }
    pthread_mutex_unlock(&catalogue->lock);
    return rc;
}

int series_catalogue_put_hashed(struct series_catalogue *catalogue, struct span key, uint64_t hash,
                                uint32_t *ret_number)
{
    struct record *record = look_up(catalogue, key, (uint32_t)hash);
    uint8_t state = record == NULL ? 0 : __atomic_load_n(&record->state, __ATOMIC_ACQUIRE);
    if (record == NULL) {
        int rc = put_slowly(catalogue, key, (uint32_t)hash, &record);
        if (rc < 0) {
            return rc;
        }
        state = __atomic_load_n(&record->state, __ATOMIC_ACQUIRE);
    }
    *ret_number = record->number;
    return (state & RECORD_LOGGED) != 0 ? 0 : SERIES_UNLOGGED;
}

int series_catalogue_put(struct series_catalogue *catalogue, struct span key, uint32_t *ret_number)
{
    return series_catalogue_put_hashed(catalogue, key, hash64(key), ret_number);
}

void series_catalogue_logged(struct series_catalogue *catalogue, const uint32_t *numbers,
                             size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct record *record = record_of(catalogue, numbers[i]);
        if (record != NULL && (__atomic_fetch_or(&record->state, RECORD_LOGGED, __ATOMIC_ACQ_REL) &
                               RECORD_LOGGED) == 0) {
            set_flags(chunk_of(catalogue, numbers[i]), numbers[i], DIRTY_DEFINITION);
            catalogue_adopt(catalogue, numbers[i]);
        }
    }
}

bool series_catalogue_is_logged(const struct series_catalogue *catalogue, uint32_t number)
{
    const struct record *record = record_of(catalogue, number);
    return record != NULL &&
           (__atomic_load_n(&record->state, __ATOMIC_ACQUIRE) & RECORD_LOGGED) != 0;
}

bool series_catalogue_find(struct series_catalogue *catalogue, struct span key,
                           uint32_t *ret_number)
{
    const struct record *record = look_up(catalogue, key, (uint32_t)hash64(key));
    if (record != NULL) {
        *ret_number = record->number;
    }
    return record != NULL;
}

void record_key(const struct series_catalogue *catalogue, const struct record *record,
                struct buf *buf)
{
    struct series_label labels[SERIES_LABELS_MAX];
    const struct symbols *symbols = &catalogue->symbols;
    for (size_t i = 0; i < record->count; i++) {
        const struct symbol *value = symbol_at(symbols, record->values[i]);
        labels[i] =
            (struct series_label){symbol_text(symbol_at(symbols, value->kind)), symbol_text(value)};
    }
    int rc =
        series_key_make(buf, symbol_text(symbol_at(symbols, record->class)), labels, record->count);
    CHECK(rc == 0);
}

bool series_catalogue_key(struct series_catalogue *catalogue, uint32_t number, struct buf *buf)
{
    const struct record *record = record_of(catalogue, number);
    if (record != NULL) {
        record_key(catalogue, record, buf);
    }
    return record != NULL;
}

static int conflict(struct series_catalogue *catalogue, uint32_t number, struct span key,
                    const struct record *known)
{
    struct buf text = {0};
    struct buf other = {0};
    series_key_text(&text, key);
    if (known != NULL && known->number != number) {
        buf_printf(&other, "number %u", known->number);
    } else if (known != NULL) {
        struct buf other_key = {0};
        record_key(catalogue, known, &other_key);
        series_key_text(&other, buf_span(&other_key));
        buf_deinit(&other_key);
    }
    struct span shown = span_first(buf_span(&text), 200);
    struct span shown_other = span_first(buf_span(&other), 200);
    int rc = err_set(ERR_CONFLICT, "series %u is %.*s in stored data, but %.*s in the catalogue",
                     number, SPAN_ARG(shown), SPAN_ARG(shown_other));
    buf_deinit(&text);
    buf_deinit(&other);
    return rc;
}

int catalogue_define(struct series_catalogue *catalogue, uint32_t number, struct span key,
                     bool logged)
{
    if (number == SERIES_NONE) {
        return err_set(ERR_CORRUPT, "a series with the number 0");
    }
    int rc = 0;
    uint32_t hash = (uint32_t)hash64(key);
    pthread_mutex_lock(&catalogue->lock);
    struct record *by_key = look_up(catalogue, key, hash);
    struct record *by_number = record_of(catalogue, number);
    if (by_key == NULL && by_number == NULL) {
        if (heap_is_full(&catalogue->symbols.heap)) {
            rc = err_set(ERR_TOO_LARGE, "series catalogue: too many series");
        } else {
            make(catalogue, number, key, hash);
            /* What is known by number was there first, when the definition was lost. */
            catalogue_raise(catalogue, number, series_catalogue_touched(catalogue, number), 0);
        }
    } else if (by_key != by_number) {
        rc = conflict(catalogue, number, key, by_key != NULL ? by_key : by_number);
    }
    pthread_mutex_unlock(&catalogue->lock);
    if (rc == 0 && logged) {
        series_catalogue_logged(catalogue, &number, 1);
    }
    return rc;
}

int series_catalogue_apply_series(struct series_catalogue *catalogue, struct span payload)
{
    struct series_definitions reader;
    struct series_definition definition;
    int rc = series_definitions_open(&reader, payload);
    while (rc == 0 && series_definitions_next(&reader, &definition)) {
        rc = catalogue_define(catalogue, definition.number, definition.key, true);
    }
    /* The first fault is told; the others are tried nevertheless. */
    while (rc == ERR_CONFLICT && series_definitions_next(&reader, &definition)) {
        if (catalogue_define(catalogue, definition.number, definition.key, true) < 0) {
            catalogue_report(catalogue, "%s", err_text());
        }
    }
    return rc;
}

int series_catalogue_restore(struct series_catalogue *catalogue, uint32_t number, struct span key,
                             uint64_t stamp_time)
{
    int rc = series_key_check(key);
    if (rc == 0) {
        rc = catalogue_define(catalogue, number, key, true);
    }
    if (rc == 0) {
        catalogue_raise(catalogue, number, stamp_time, 0);
    }
    return rc;
}

void catalogue_drop(struct series_catalogue *catalogue, uint32_t number)
{
    struct chunk *chunk = chunk_of(catalogue, number);
    const struct record *record = record_of(catalogue, number);
    if (record == NULL) {
        return;
    }
    table_remove(catalogue->table, record->hash, chunk->records[number % CHUNK_NUMBERS]);
    __atomic_store_n(&chunk->records[number % CHUNK_NUMBERS], 0, __ATOMIC_RELEASE);
    __atomic_store_n(&chunk->touched[number % CHUNK_NUMBERS], 0, __ATOMIC_RELEASE);
    if (chunk->died != NULL) {
        __atomic_store_n(&chunk->died[number % CHUNK_NUMBERS], 0, __ATOMIC_RELEASE);
    }
    catalogue_set_attributes(catalogue, number, NULL);
    clear_flags(chunk, number, UINT8_MAX);
    catalogue->count--;
}

struct series_catalogue_stats series_catalogue_stats(struct series_catalogue *catalogue)
{
    struct series_catalogue_stats stats = {0};
    pthread_mutex_lock(&catalogue->lock);
    stats.series = catalogue->count;
    stats.next = catalogue->next;
    stats.classes = catalogue->symbols.classes.count;
    stats.values = catalogue->symbols.values;
    stats.memory_bytes = catalogue->symbols.heap.end + table_bytes(catalogue->symbols.table) +
                         table_bytes(catalogue->table) +
                         (catalogue->next / CHUNK_NUMBERS + 1) * sizeof(struct chunk);
    pthread_mutex_unlock(&catalogue->lock);
    stats.memory_bytes += __atomic_load_n(&catalogue->attributes_bytes, __ATOMIC_RELAXED);
    pthread_mutex_lock(&catalogue->checkpoint_lock);
    stats.file_bytes = catalogue->end;
    stats.damaged_blocks = catalogue->damaged_blocks;
    stats.position = catalogue->position;
    pthread_mutex_unlock(&catalogue->checkpoint_lock);
    return stats;
}

uint64_t series_catalogue_position(struct series_catalogue *catalogue)
{
    return series_catalogue_stats(catalogue).position;
}
