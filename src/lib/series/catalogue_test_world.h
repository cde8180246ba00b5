/* What the tests of the catalogue share: a disk, origins, a catalogue, and short forms. */
#ifndef SERIES_CATALOGUE_TEST_WORLD_H
#define SERIES_CATALOGUE_TEST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/sim.h"
#include "series/catalogue.h"

struct world {
    struct io_sim sim;
    struct io_sim calm; /* for the origins: no faults there */
    struct series_origins *origins;
    struct series_catalogue *catalogue;
    uint32_t reports;
    char last_report[512];
};

static inline void world_report(void *context, const char *text)
{
    struct world *world = context;
    world->reports++;
    (void)snprintf(world->last_report, sizeof(world->last_report), "%s", text);
}

static inline int world_open(struct world *world)
{
    struct series_catalogue_options options = {.io = &world->sim.io,
                                               .dir = "/series",
                                               .origins = world->origins,
                                               .report = world_report,
                                               .report_context = world};
    return series_catalogue_open(&options, &world->catalogue);
}

static inline void world_init(struct world *world, uint64_t seed)
{
    *world = (struct world){0};
    io_sim_init(&world->sim, seed);
    io_sim_init(&world->calm, seed);
    assert_int_equal(series_origins_open(&world->calm.io, "/origins", &world->origins), 0);
    for (uint8_t i = 0; i < 3; i++) {
        struct series_origin origin = {.incarnation = i};
        uint16_t number = 0;
        assert_int_equal(series_origins_put(world->origins, &origin, &number), 0);
    }
}

static inline void world_deinit(struct world *world)
{
    series_catalogue_close(&world->catalogue);
    series_origins_close(&world->origins);
    io_sim_deinit(&world->sim);
    io_sim_deinit(&world->calm);
}

static inline void world_reopen(struct world *world)
{
    series_catalogue_close(&world->catalogue);
    assert_int_equal(world_open(world), 0);
}

/* "class{a=1,b=2}", plain texts. */
static inline void key_of(struct buf *key, const char *text)
{
    struct series_label labels[8];
    size_t count = 0;
    struct span rest = span_of_str(text);
    struct span class;
    struct span piece;
    assert_true(span_split(&rest, '{', &class));
    rest = span_first(rest, rest.bytes - 1);
    while (span_split(&rest, ',', &piece)) {
        ptrdiff_t at = span_find_byte(piece, '=');
        labels[count++] =
            (struct series_label){span_first(piece, (size_t)at), span_from(piece, (size_t)at + 1)};
    }
    buf_clear(key);
    assert_int_equal(series_key_make(key, class, labels, count), 0);
}

static inline uint32_t world_put(struct world *world, const char *text)
{
    struct buf key = {0};
    uint32_t number = 0;
    key_of(&key, text);
    assert_true(series_catalogue_put(world->catalogue, buf_span(&key), &number) >= 0);
    buf_deinit(&key);
    return number;
}

static inline bool world_find(struct world *world, const char *text, uint32_t *ret_number)
{
    struct buf key = {0};
    key_of(&key, text);
    bool found = series_catalogue_find(world->catalogue, buf_span(&key), ret_number);
    buf_deinit(&key);
    return found;
}

/* Put, logged and written to at `time`. */
static inline uint32_t world_write(struct world *world, const char *text, uint64_t time)
{
    uint32_t number = world_put(world, text);
    series_catalogue_logged(world->catalogue, &number, 1);
    series_catalogue_touch(world->catalogue, &number, 1, (struct stamp){time, 1});
    return number;
}

static inline void world_delete(struct world *world, const char *selector, uint64_t time)
{
    struct buf payload = {0};
    struct series_delete deletion = {SERIES_DELETE_WHOLE, INT64_MIN, INT64_MAX,
                                     span_of_str(selector)};
    series_delete_encode(&payload, &deletion);
    assert_int_equal(series_catalogue_apply_delete(world->catalogue, buf_span(&payload),
                                                   (struct stamp){time, 1}),
                     0);
    buf_deinit(&payload);
}

/* One attribute; a NULL value removes it. */
static inline void world_meta(struct world *world, const char *text, bool replace, const char *name,
                              const char *value, uint64_t time)
{
    struct buf payload = {0};
    struct buf key = {0};
    struct series_attribute attribute = {span_of_str(name), span_of_str(value), value == NULL};
    key_of(&key, text);
    series_metas_begin(&payload);
    assert_int_equal(series_metas_put(&payload, buf_span(&key), replace, &attribute, 1), 0);
    assert_int_equal(
        series_catalogue_apply_meta(world->catalogue, buf_span(&payload), (struct stamp){time, 1}),
        0);
    buf_deinit(&payload);
    buf_deinit(&key);
}

static inline int world_take_attribute(void *context, struct span name, struct span value)
{
    buf_printf(context, "%.*s=%.*s ", SPAN_ARG(name), SPAN_ARG(value));
    return 0;
}

static inline void world_expect_attributes(struct world *world, uint32_t number,
                                           const char *expected)
{
    struct buf text = {0};
    assert_int_equal(
        series_catalogue_attributes(world->catalogue, number, world_take_attribute, &text), 0);
    assert_string_equal(buf_str(&text), expected);
    buf_deinit(&text);
}

/* How many the selector means. */
static inline size_t world_count(struct world *world, const char *text, unsigned flags)
{
    struct series_selector *selector = NULL;
    struct series_numbers numbers = {0};
    assert_int_equal(series_selector_parse(span_of_str(text), 0, &selector, NULL), 0);
    assert_int_equal(series_catalogue_select(world->catalogue, selector, flags, &numbers), 0);
    size_t count = numbers.count;
    series_numbers_deinit(&numbers);
    series_selector_free(&selector);
    return count;
}

#endif
