/*
 * Attributes: whatever the order in which changes arrive, and however often, the end is the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/wire.h"
#include "io/sim.h"
#include "series/attributes.h"

#define CHANGES 12
#define KEY SPAN_LIT("\1c\0")

struct change {
    struct buf payload; /* of a META record: one or two changes of one series */
    struct stamp stamp;
};

static struct series_origins *make_origins(struct io_sim *sim)
{
    struct series_origins *origins = NULL;
    assert_int_equal(series_origins_open(&sim->io, "/origins", &origins), 0);
    for (uint8_t i = 0; i < 3; i++) {
        struct series_origin origin = {.incarnation = 3U - i};
        uint16_t number = 0;
        assert_int_equal(series_origins_put(origins, &origin, &number), 0);
    }
    return origins;
}

static void random_change(struct io_sim *sim, struct change *change)
{
    static const char *const names[] = {"a", "b", "", "long name"};
    static const char *const values[] = {"1", "2", "", "a longer value"};
    series_metas_begin(&change->payload);
    for (uint64_t lines = 1 + io_sim_below(sim, 2); lines > 0; lines--) {
        struct series_attribute attributes[3];
        size_t count = io_sim_below(sim, 4);
        for (size_t i = 0; i < count; i++) {
            attributes[i] = (struct series_attribute){span_of_str(names[io_sim_below(sim, 4)]),
                                                      span_of_str(values[io_sim_below(sim, 4)]),
                                                      io_sim_below(sim, 4) == 0};
        }
        assert_int_equal(
            series_metas_put(&change->payload, KEY, io_sim_below(sim, 3) == 0, attributes, count),
            0);
    }
}

static void apply(struct attributes **attributes, const struct change *change,
                  const struct series_origins *origins)
{
    struct series_metas reader;
    struct series_meta meta;
    assert_int_equal(series_metas_open(&reader, buf_span(&change->payload)), 0);
    while (series_metas_next(&reader, &meta)) {
        struct attributes *changed = attributes_changed(*attributes, meta, change->stamp, origins);
        mem_free(*attributes);
        *attributes = changed;
    }
}

static void in_random_order(struct io_sim *sim, const struct change *changes,
                            const struct series_origins *origins, struct buf *ret_state)
{
    size_t order[CHANGES];
    struct attributes *attributes = NULL;
    for (size_t i = 0; i < CHANGES; i++) {
        size_t at = io_sim_below(sim, i + 1);
        order[i] = order[at];
        order[at] = i;
    }
    for (size_t i = 0; i < CHANGES; i++) {
        apply(&attributes, &changes[order[i]], origins);
        if (io_sim_below(sim, 3) == 0) { /* one of before once more */
            apply(&attributes, &changes[order[io_sim_below(sim, i + 1)]], origins);
        }
    }
    buf_clear(ret_state);
    attributes_write(ret_state, attributes);
    mem_free(attributes);
}

static void all_orders_end_alike(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct io_sim sim;
        io_sim_init(&sim, seed);
        struct series_origins *origins = make_origins(&sim);
        struct change changes[CHANGES] = {0};
        for (size_t i = 0; i < CHANGES; i++) {
            random_change(&sim, &changes[i]);
            /* Times meet, but no two changes have the same time and origin. */
            changes[i].stamp = (struct stamp){i / 3 + 1, (uint16_t)(i % 3 + 1)};
        }
        struct buf first = {0};
        struct buf other = {0};
        in_random_order(&sim, changes, origins, &first);
        for (int i = 0; i < 8; i++) {
            in_random_order(&sim, changes, origins, &other);
            assert_true(span_equal(buf_span(&first), buf_span(&other)));
        }
        for (size_t i = 0; i < CHANGES; i++) {
            buf_deinit(&changes[i].payload);
        }
        buf_deinit(&first);
        buf_deinit(&other);
        series_origins_close(&origins);
        io_sim_deinit(&sim);
    }
}

static void put_line(struct buf *payload, bool replace, const char *name, const char *value)
{
    struct series_attribute attribute = {span_of_str(name), span_of_str(value), value == NULL};
    assert_int_equal(series_metas_put(payload, KEY, replace, &attribute, name != NULL), 0);
}

static bool has(const struct attributes *attributes, const char *name, const char *value)
{
    const struct attribute *item = attributes_find(attributes, span_of_str(name));
    return item == NULL
               ? value == NULL
               : value != NULL &&
                     span_equal_str(attribute_value(attributes, (size_t)(item - attributes->items)),
                                    value);
}

static void the_last_write_of_each_key_stands(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct series_origins *origins = make_origins(&sim);
    struct attributes *attributes = NULL;
    struct change one = {.stamp = {10, 1}};
    struct change two = {.stamp = {20, 1}};
    struct change late = {.stamp = {15, 1}};
    struct change removal = {.stamp = {30, 1}};
    series_metas_begin(&one.payload);
    put_line(&one.payload, false, "team", "blue");
    put_line(&one.payload, false, "room", "5");
    series_metas_begin(&two.payload);
    put_line(&two.payload, true, "team", "red");
    series_metas_begin(&late.payload);
    put_line(&late.payload, false, "team", "green");
    put_line(&late.payload, false, "floor", "2");
    series_metas_begin(&removal.payload);
    put_line(&removal.payload, false, "team", NULL);
    apply(&attributes, &one, origins);
    assert_true(has(attributes, "team", "blue") && has(attributes, "room", "5"));
    apply(&attributes, &two, origins);
    assert_true(has(attributes, "team", "red") && has(attributes, "room", NULL));
    apply(&attributes, &late, origins); /* of before the set was replaced */
    assert_true(has(attributes, "team", "red") && has(attributes, "floor", NULL));
    apply(&attributes, &removal, origins);
    apply(&attributes, &two, origins);
    assert_true(has(attributes, "team", NULL));
    struct buf bytes = {0};
    struct attributes *again = NULL;
    attributes_write(&bytes, attributes);
    struct wire_reader reader = wire_reader_of(buf_span(&bytes));
    assert_true(attributes_read(&reader, &again));
    assert_int_equal(again->count, attributes->count);
    mem_free(again);
    reader = wire_reader_of(span_first(buf_span(&bytes), bytes.bytes - 1));
    assert_false(attributes_read(&reader, &again));
    buf_deinit(&bytes);
    mem_free(attributes);
    buf_deinit(&one.payload);
    buf_deinit(&two.payload);
    buf_deinit(&late.payload);
    buf_deinit(&removal.payload);
    series_origins_close(&origins);
    io_sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_orders_end_alike),
        cmocka_unit_test(the_last_write_of_each_key_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
