/*
 * What earlier versions wrote is found again, all of it: tests/golden/well-1 has a datalog, the
 * tag catalogue and two wells as they were at a moment (one of them after flushes and a merge, the
 * last entries only in the log). Every entry follows from its number, so what must be there can be
 * recomputed. A golden directory is never written again; a new format gets one of its own:
 *
 *     AQUIFER_WRITE_GOLDEN=tests/golden/well-2 build/debug/test/room_indexer_golden_test
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/time.h"
#include "indexer/storage.h"
#include "series/evs.h"

#define ENTRIES 2600
#define BIG_ENTRY 1111
#define BIG_BYTES ((size_t)300 * 1000)

static const char *const tag_names[] = {"web", "auth", "default", "nginx-json", "gravwell"};
static const char *const web_tags[] = {"web", "nginx*"};
static const char *const folders[] = {"log", "default", "web"};

/* Paths in a directory, for as long as the options are used. */
struct place {
    char *log;
    char *tags;
    char *wells[2];
    struct storage_well about[2];
};

static struct storage_options options_of(struct place *place, const char *dir)
{
    place->log = mem_printf("%s/log", dir);
    place->tags = mem_printf("%s/tags.dat", dir);
    place->wells[0] = mem_printf("%s/default", dir);
    place->wells[1] = mem_printf("%s/web", dir);
    place->about[0] =
        (struct storage_well){.name = STORAGE_WELL_DEFAULT, .location = place->wells[0]};
    place->about[1] = (struct storage_well){
        .name = "web", .location = place->wells[1], .tags = web_tags, .tags_count = 2};
    return (struct storage_options){
        .io = io_real(),
        .node = {{1, 2, 3}},
        .datalog_dir = place->log,
        .tags_path = place->tags,
        .wells = place->about,
        .wells_count = 2,
        .datalog_segment_bytes_max = 20000,
        .space_reserve_bytes = 1,
        .manual = true,
    };
}

static void place_deinit(struct place *place)
{
    mem_free(place->log);
    mem_free(place->tags);
    mem_free(place->wells[0]);
    mem_free(place->wells[1]);
}

/* Numbers that follow from another one, spread evenly. */
static uint64_t mixed(uint64_t number, uint64_t salt)
{
    uint64_t x = number * UINT64_C(0x9e3779b97f4a7c15) + salt * UINT64_C(0xc2b2ae3d27d4eb4f);
    x = (x ^ (x >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ (x >> 32);
}

static void put_data(struct buf *buf, uint32_t number)
{
    static const char *const verbs[] = {"GET", "POST", "HEAD", "DELETE"};
    buf_printf(buf, "#%u %s /path/%u/page%u.html status=%u took=%ums agent=\"Robot/%u.%u\"", number,
               verbs[mixed(number, 1) % 4], (unsigned)(mixed(number, 2) % 20),
               (unsigned)(mixed(number, 3) % 300), (unsigned)(200 + mixed(number, 4) % 3 * 100),
               (unsigned)(mixed(number, 5) % 1000), (unsigned)(mixed(number, 6) % 9),
               (unsigned)(mixed(number, 7) % 9));
    if (number % 100 == 42) {
        buf_printf(buf, " needle%u", number);
    }
    while (number == BIG_ENTRY && buf->bytes < BIG_BYTES) {
        buf_append_str(buf, " more and more");
    }
}

static void put_values(struct buf *buf, uint32_t number)
{
    uint8_t word[4] = {(uint8_t)number, (uint8_t)(number >> 8), 0, 0};
    size_t begin = series_evs_begin(buf);
    struct series_ev host = {SPAN_LIT("host"), SPAN_LIT("node-a.example.org"), SERIES_EV_TEXT};
    struct series_ev count = {SPAN_LIT("count"), {word, 4}, SERIES_EV_U32};
    assert_int_equal(series_evs_put(buf, begin, host), 0);
    assert_int_equal(series_evs_put(buf, begin, count), 0);
}

/* Entry `number`; borrows from the buffers. */
static struct entry make_entry(uint32_t number, const uint16_t *tags, struct buf *data,
                               struct buf *values)
{
    buf_clear(data);
    buf_clear(values);
    put_data(data, number);
    if (number % 7 == 3) {
        put_values(values, number);
    }
    struct entry entry = {
        .time_ns = INT64_C(1700000000) * TIME_S_NS + (int64_t)number * 1000003 -
                   (int64_t)(mixed(number, 8) % 5) * 77777777 -
                   (number % 5 == 4 ? (int64_t)(number % 3) * 2 * TIME_DAY_NS : 0),
        .tag = tags[mixed(number, 9) % ARRAY_COUNT(tag_names)],
        .data = buf_span(data),
        .enumerated = buf_span(values),
    };
    uint8_t v4[4] = {10, 0, 0, (uint8_t)(mixed(number, 10) % 3)};
    entry_source_of_v4(v4, entry.source);
    if (number % 11 == 0) {
        memset(entry.source, (int)(number % 3), sizeof(entry.source));
    }
    return entry;
}

static void get_tags(struct storage *storage, uint16_t *tags)
{
    for (size_t i = 0; i < ARRAY_COUNT(tag_names); i++) {
        assert_int_equal(storage_tag(storage, span_of_str(tag_names[i]), &tags[i]), 0);
    }
}

/* Leaves without closing: closing would flush, and the last entries are to stay in the log. */
static void write_golden(const char *dir)
{
    struct place place;
    struct storage_options options = options_of(&place, dir);
    struct storage *storage = NULL;
    struct buf data = {0};
    struct buf values = {0};
    uint16_t tags[ARRAY_COUNT(tag_names)];
    assert_int_equal(storage_open(&options, &storage), 0);
    get_tags(storage, tags);
    for (uint32_t number = 0; number < ENTRIES; number++) {
        struct entry entry = make_entry(number, tags, &data, &values);
        assert_int_equal(storage_append(storage, &entry, 1), 0);
        if (number % 200 == 199 && number < 2400) {
            assert_int_equal(storage_flush(storage), 0);
        }
        if (number == 1999) {
            assert_int_equal(storage_work(storage), 0);
        }
    }
    _exit(0);
}

static int copy_file(void *context, const char *name)
{
    const char *const *paths = context;
    char *from = mem_printf("%s/%s", paths[0], name);
    char *to = mem_printf("%s/%s", paths[1], name);
    struct buf content = {0};
    assert_int_equal(io_read_file(io_real(), from, 1 << 24, &content), 0);
    assert_int_equal(io_write_file(io_real(), to, buf_span(&content)), 0);
    buf_deinit(&content);
    mem_free(from);
    mem_free(to);
    return 0;
}

static void copy_golden(const char *from, const char *to)
{
    const char *tags[] = {from, to};
    assert_int_equal(copy_file(tags, "tags.dat"), 0);
    for (size_t i = 0; i < ARRAY_COUNT(folders); i++) {
        char *inner_from = mem_printf("%s/%s", from, folders[i]);
        char *inner_to = mem_printf("%s/%s", to, folders[i]);
        const char *paths[] = {inner_from, inner_to};
        assert_int_equal(io_make_dirs(io_real(), inner_to), 0);
        assert_int_equal(io_list(io_real(), inner_from, copy_file, paths), 0);
        mem_free(inner_from);
        mem_free(inner_to);
    }
}

static int remove_file(void *context, const char *name)
{
    char *path = mem_printf("%s/%s", (const char *)context, name);
    assert_int_equal(io_remove(io_real(), path), 0);
    mem_free(path);
    return 0;
}

static void remove_copy(char *dir)
{
    for (size_t i = 0; i <= ARRAY_COUNT(folders); i++) { /* and what was made beside them */
        char *inner = mem_printf("%s/%s", dir, i < ARRAY_COUNT(folders) ? folders[i] : "series");
        assert_int_equal(io_list(io_real(), inner, remove_file, inner), 0);
        assert_int_equal(io_remove_dir(io_real(), inner), 0);
        mem_free(inner);
    }
    assert_int_equal(io_list(io_real(), dir, remove_file, dir), 0);
    assert_int_equal(io_remove_dir(io_real(), dir), 0);
}

static void check_entry(const struct entry *entry, const uint16_t *tags, bool *seen)
{
    uint64_t number = 0;
    struct span rest = span_from(entry->data, 1);
    size_t digits = 0;
    while (digits < rest.bytes && rest.data[digits] != ' ') {
        digits++;
    }
    assert_true(span_to_u64(span_first(rest, digits), &number));
    assert_true(number < ENTRIES);
    assert_false(seen[number]);
    seen[number] = true;
    struct buf data = {0};
    struct buf values = {0};
    struct entry expected = make_entry((uint32_t)number, tags, &data, &values);
    assert_true(entry->time_ns == expected.time_ns);
    assert_int_equal(entry->tag, expected.tag);
    assert_memory_equal(entry->source, expected.source, ENTRY_SOURCE_BYTES);
    assert_true(span_equal(entry->data, expected.data));
    assert_true(span_equal(entry->enumerated, expected.enumerated));
    buf_deinit(&data);
    buf_deinit(&values);
}

static size_t scan(struct storage *storage, const struct well_scan *about, const uint16_t *tags,
                   bool *seen)
{
    struct well_cursor *cursor;
    struct well_block block;
    size_t count = 0;
    int rc;
    assert_int_equal(storage_scan(storage, about, &cursor), 0);
    while ((rc = well_cursor_next(cursor, &block)) == 0) {
        for (size_t i = 0; i < block.count; i++) {
            check_entry(&block.entries[i], tags, seen);
        }
        count += block.count;
    }
    assert_int_equal(rc, WELL_END);
    well_cursor_close(&cursor);
    return count;
}

static void check_all(struct storage *storage)
{
    uint16_t tags[ARRAY_COUNT(tag_names)];
    bool *seen = mem_alloc_array(ENTRIES, sizeof(bool));
    struct well_scan everything = {.start_ns = TIME_UNSET, .end_ns = TIME_MAX_NS};
    get_tags(storage, tags);
    assert_int_equal(scan(storage, &everything, tags, seen), ENTRIES);
    memset(seen, 0, ENTRIES);
    struct span word = SPAN_LIT("needle1742");
    struct well_scan rare = everything;
    rare.words = &word;
    rare.words_count = 1;
    assert_true(scan(storage, &rare, tags, seen) <= ENTRIES);
    assert_true(seen[1742]);
    mem_free(seen);
}

static void all_that_version_1_stored_is_found(void **state)
{
    (void)state;
    char dir[] = "/tmp/aquifer-golden-XXXXXX";
    assert_non_null(mkdtemp(dir));
    copy_golden("tests/golden/well-1", dir);
    struct place place;
    struct storage_options options = options_of(&place, dir);
    for (int round = 0; round < 2; round++) { /* the second time from what the first one made */
        struct storage *storage = NULL;
        assert_int_equal(storage_open(&options, &storage), 0);
        assert_true(round > 0 || storage_stats(storage).entries_replayed >= 150);
        check_all(storage);
        assert_int_equal(storage_work(storage), 0);
        check_all(storage);
        assert_true(storage_stats(storage).corrupt == 0);
        storage_close(&storage);
    }
    place_deinit(&place);
    remove_copy(dir);
}

int main(void)
{
    const char *dir = getenv("AQUIFER_WRITE_GOLDEN");
    if (dir != NULL) {
        write_golden(dir);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_version_1_stored_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
