/*
 * Where a source is: what was kept is found again, nothing else is taken for it; refs of real
 * feeders and of ours; names of those whose records came.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/err.h"
#include "indexer/datalog2x.h"
#include "indexer/offset3x.h"
#include "indexer/translate3x.h"
#include "io/sim.h"

#define STEM "000001a1fb4e9dd6.1f167dba-949a-4c21-b543-a5f9"

static void what_was_kept_is_found_again(void **state)
{
    (void)state;
    struct io_sim sim;
    struct offset3x offset = {0};
    struct offset3x again = {0};
    struct feed3x_nonces nonces = {0};
    struct feed3x_nonces nonces_again = {0};
    io_sim_init(&sim, 1);
    assert_int_equal(io_make_dirs(&sim.io, "/d"), 0);
    assert_int_equal(offset3x_read(&sim.io, "/d/f", &again, &nonces_again), ERR_NOT_FOUND);
    buf_append_str(&offset.ref, STEM ":1 0\n%:5");
    offset3x_set(&offset, SPAN_LIT("node n"), 7);
    offset3x_set(&offset, SPAN_LIT("node-m"), 1);
    offset3x_set(&offset, SPAN_LIT("node n"), 8);
    for (int64_t i = 0; i < 40; i++) {
        nonces.items[nonces.count++] = i - 20;
    }
    assert_int_equal(offset3x_write(&sim.io, "/d/f", &offset, &nonces), 0);
    io_sim_crash(&sim);
    assert_int_equal(offset3x_read(&sim.io, "/d/f", &again, &nonces_again), 0);
    assert_true(span_equal(buf_span(&again.ref), buf_span(&offset.ref)));
    assert_int_equal(again.creators.count, 2);
    assert_int_equal(offset3x_records(&again, SPAN_LIT("node n")), 8);
    assert_int_equal(offset3x_records(&again, SPAN_LIT("node")), 0);
    assert_int_equal(nonces_again.count, OFFSET3X_NONCES_KEPT);
    assert_int_equal(nonces_again.items[OFFSET3X_NONCES_KEPT - 1], 19);
    offset3x_deinit(&offset);
    offset3x_deinit(&again);
    io_sim_deinit(&sim);
}

/* Every byte of the file changed, and the file cut at every place. */
static void a_damaged_file_is_not_believed(void **state)
{
    (void)state;
    struct io_sim sim;
    struct offset3x offset = {0};
    struct offset3x again = {0};
    struct feed3x_nonces nonces = {.items = {5}, .count = 1};
    struct buf text = {0};
    io_sim_init(&sim, 1);
    assert_int_equal(io_make_dirs(&sim.io, "/d"), 0);
    buf_append_str(&offset.ref, STEM ":200:5");
    offset3x_set(&offset, SPAN_LIT("node-n"), 7);
    assert_int_equal(offset3x_write(&sim.io, "/d/f", &offset, &nonces), 0);
    assert_int_equal(io_read_file(&sim.io, "/d/f", 4096, &text), 0);
    for (size_t i = 0; i < text.bytes; i++) {
        text.data[i] ^= 1;
        assert_int_equal(io_write_file(&sim.io, "/d/g", buf_span(&text)), 0);
        int rc = offset3x_read(&sim.io, "/d/g", &again, &nonces);
        assert_true(rc == ERR_CORRUPT || i == text.bytes - 1);
        text.data[i] ^= 1;
        struct span cut = span_first(buf_span(&text), i);
        assert_int_equal(io_write_file(&sim.io, "/d/g", cut), 0);
        rc = offset3x_read(&sim.io, "/d/g", &again, &nonces);
        assert_true(rc == ERR_CORRUPT || i == text.bytes - 1);
    }
    buf_deinit(&text);
    offset3x_deinit(&offset);
    offset3x_deinit(&again);
    io_sim_deinit(&sim);
}

static void what_lies_before_a_ref_in_its_file_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *ref, *other;
        bool behind;
    } cases[] = {
        {STEM ":300:5", STEM ":300:5", true},
        {STEM ":300:5", STEM ":200:9999", true},
        {STEM ":300:5", STEM ":301:5", false},
        {STEM ":300:5", "000001a1fb4e9dd7.1f167dba-949a-4c21-b543-a5f9:200:5", false},
        {"", STEM ":0:5", false},
        {"abc:300:5", "abc:200:5", false},
        {"abc:300:5", "abc:300:5", true},
        {"aquifer-1:7.2:5", "aquifer-1:7.1:5", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_int_equal(offset3x_is_behind(span_of_str(cases[i].ref), span_of_str(cases[i].other)),
                         cases[i].behind);
    }
}

static void refs_of_ours_come_back_as_they_were(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "aquifer-",
                                        "17",
                                        STEM ":300:5",
                                        "aquifer-00010203-0405-0607-0809-0a0b0c0d0e0f",
                                        "aquifer-00010203-0405-0607-0809-0a0b0c0d0e0f:1:2",
                                        "aquifer-00010203-0405-0607-0809-0a0b0c0d0e0f:1.x:2",
                                        "aquifer-00010203-0405-0607-0809-0a0b0c0d0e0f:1.2:",
                                        "aquifer-00010203-0405-0607-0809-0a0b0c0d0e:1.2:3"};
    struct ref3x ref = {.position = 17, .part = 3, .time = 1795217568638000001};
    struct ref3x back;
    ref.node.bytes[3] = 9;
    for (int registers = 0; registers <= 1; registers++) {
        struct buf text = {0};
        uint64_t ignored;
        struct span stem;
        ref.registers = registers == 1;
        ref3x_print(&text, &ref);
        assert_true(ref3x_parse(buf_span(&text), &back));
        assert_true(uuid_equal(back.node, ref.node));
        assert_true(back.position == 17 && back.part == 3 && back.time == ref.time);
        assert_int_equal(back.registers, registers);
        assert_false(offset3x_place(buf_span(&text), &stem, &ignored));
        buf_deinit(&text);
    }
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        assert_false(ref3x_parse(span_of_str(wrong[i]), &back));
    }
}

static void names_are_told_when_they_are_known(void **state)
{
    (void)state;
    struct names3x *names = names3x_new();
    struct buf text = {0};
    names3x_put(names, SPAN_LIT("node-n"));
    names3x_put(names, SPAN_LIT("node-n"));
    names3x_text(names, datalog2x_id_hash(SPAN_LIT("node-n")), &text);
    assert_string_equal(buf_str(&text), "node-n");
    buf_clear(&text);
    names3x_text(names, 5, &text);
    assert_string_equal(buf_str(&text), "~00000000000005");
    buf_deinit(&text);
    names3x_free(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_kept_is_found_again),
        cmocka_unit_test(a_damaged_file_is_not_believed),
        cmocka_unit_test(what_lies_before_a_ref_in_its_file_is_known),
        cmocka_unit_test(refs_of_ours_come_back_as_they_were),
        cmocka_unit_test(names_are_told_when_they_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
