/*
 * For tests of what goes between nodes: a storage on a simulated disk, entries and points whose
 * place and value follow from their number, and waiting for them. A wait ends the test after
 * TESTING_WAIT_MS. Threads: those of storage.h.
 */
#ifndef INDEXER_STORAGE_TESTING_H
#define INDEXER_STORAGE_TESTING_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/time.h"
#include "indexer/storage.h"
#include "io/sim.h"

#define TESTING __attribute__((unused)) static
#define TESTING_WAIT_MS 120000
#define TESTING_SOURCES 3

TESTING void testing_pause(void)
{
    struct timespec moment = {0, 2000000};
    nanosleep(&moment, NULL);
}

/* Asks every other millisecond; what it waits for is asserted in the end. */
#define TESTING_WAIT_FOR(condition)                                                                \
    do {                                                                                           \
        for (int waited = 0; waited < TESTING_WAIT_MS / 2 && !(condition); waited++) {             \
            testing_pause();                                                                       \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

TESTING struct storage *testing_open_storage(struct io_sim *sim, struct uuid node)
{
    static const struct storage_well well = {.name = STORAGE_WELL_DEFAULT,
                                             .location = "/data/default"};
    struct storage_options options = {
        .io = &sim->io,
        .node = node,
        .datalog_dir = "/data/log",
        .tags_path = "/data/tags.dat",
        .wells = &well,
        .wells_count = 1,
        .datalog_segment_bytes_max = 4000,
        .datalog_kept_bytes_max = 8000,
        .manual = true,
        .begin_anew = true,
    };
    struct storage *storage = NULL;
    assert_int_equal(storage_open(&options, &storage), 0);
    return storage;
}

/* ---- entries: number i is at time i and of one of three sources ---- */

/* `text` holds it and is borrowed by the entry. */
TESTING struct entry testing_entry(uint64_t i, uint16_t tag, char text[32])
{
    snprintf(text, 32, "entry %" PRIu64, i);
    struct entry entry = {.time_ns = (int64_t)i, .tag = tag, .data = span_of_str(text)};
    entry_source_of_v4((uint8_t[4]){10, 0, 0, (uint8_t)(i % TESTING_SOURCES)}, entry.source);
    return entry;
}

/* Those of 0 to count - 1 that are there; the test fails when one is there twice or altered. */
TESTING uint64_t testing_count_entries(struct storage *storage, uint64_t count)
{
    struct well_scan scan = {.start_ns = TIME_UNSET, .end_ns = TIME_MAX_NS};
    bool *seen = mem_alloc_array(count, sizeof(*seen));
    struct well_cursor *cursor;
    struct well_block block;
    uint64_t found = 0;
    assert_int_equal(storage_scan(storage, &scan, &cursor), 0);
    while (well_cursor_next(cursor, &block) == 0) {
        for (size_t i = 0; i < block.count; i++) {
            uint64_t number = 0;
            assert_true(span_to_u64(span_from(block.entries[i].data, 6), &number));
            assert_true(number < count && !seen[number]);
            assert_true(block.entries[i].time_ns == (int64_t)number);
            assert_int_equal(block.entries[i].source[15], number % TESTING_SOURCES);
            seen[number] = true;
            found++;
        }
    }
    well_cursor_close(&cursor);
    mem_free(seen);
    return found;
}

TESTING void testing_wait_for_entries(struct storage *storage, uint64_t count)
{
    TESTING_WAIT_FOR(testing_count_entries(storage, count) == count);
}

/* ---- points: series i is load{host=host-i} ---- */

TESTING void testing_make_key(struct buf *key, uint64_t i)
{
    char host[32];
    snprintf(host, sizeof(host), "host-%" PRIu64, i);
    struct series_label label = {SPAN_LIT("host"), span_of_str(host)};
    assert_int_equal(series_key_make(key, SPAN_LIT("load"), &label, 1), 0);
}

/* The value at that time, -1: none. */
TESTING int64_t testing_value_at(struct storage *storage, uint64_t series, int64_t time_ns)
{
    struct buf key = {0};
    uint32_t number;
    int64_t value = -1;
    testing_make_key(&key, series);
    if (series_catalogue_find(storage_catalogue(storage), buf_span(&key), &number)) {
        struct well_fetch fetch = {.series = &number,
                                   .series_count = 1,
                                   .start_ns = time_ns,
                                   .end_ns = time_ns,
                                   .count_max = UINT64_MAX};
        struct well_points_cursor *cursor;
        struct well_points points;
        assert_int_equal(storage_fetch(storage, &fetch, &cursor), 0);
        while (well_points_cursor_next(cursor, &points) == 0) {
            assert_true(points.count == 1 && value == -1);
            value = well_points_at(&points, 0).value.i64;
        }
        well_points_cursor_close(&cursor);
    }
    buf_deinit(&key);
    return value;
}

TESTING void testing_wait_for_value(struct storage *storage, uint64_t series, int64_t time_ns,
                                    int64_t value)
{
    TESTING_WAIT_FOR(testing_value_at(storage, series, time_ns) == value);
}

#endif
