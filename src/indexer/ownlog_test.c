/* What the daemon logs is stored; after very many lives not before the life has lasted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "indexer/ownlog.h"
#include "indexer/storage.h"
#include "io/sim.h"

static struct storage *open_storage(struct io_sim *sim)
{
    static const struct storage_well well = {.name = STORAGE_WELL_DEFAULT,
                                             .location = "/data/default"};
    struct storage *storage;
    struct storage_options options = {
        .io = &sim->io,
        .node = {{1}},
        .datalog_dir = "/data/log",
        .tags_path = "/data/tags.dat",
        .wells = &well,
        .wells_count = 1,
        .manual = true,
        .begin_anew = true,
    };
    assert_int_equal(storage_open(&options, &storage), 0);
    return storage;
}

static uint64_t written(struct storage *storage)
{
    return storage_stats(storage).entries_accepted;
}

#define MOMENT_MS 100     /* in which a thread that may write mostly would */
#define PATIENCE_MS 60000 /* until which a thread that is to write has */

static void wait_for(struct storage *storage, uint64_t entries, int within_ms)
{
    struct timespec moment = {0, 2000000};
    for (int i = 0; i < within_ms / 2 && written(storage) < entries; i++) {
        nanosleep(&moment, NULL);
    }
}

static void many_lives_do_not_each_write(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    for (uint64_t life = 1; life <= OWNLOG_LIVES_MAX + 2; life++) {
        struct storage *storage = open_storage(&sim);
        const struct series_origins *origins = storage_origins(storage);
        bool many = life > OWNLOG_LIVES_MAX;
        struct ownlog *ownlog;
        assert_true(series_origins_count(origins, &(struct uuid){{1}}) == life);
        assert_int_equal(ownlog_start(&sim.io, storage, "gravwell", &ownlog), 0);
        ownlog_sink(ownlog, LOG_LEVEL_INFO, SPAN_LIT("a line"));
        if (life == 1 || many) {
            wait_for(storage, 1, many ? MOMENT_MS : PATIENCE_MS);
            assert_true(written(storage) == (many ? 0 : 1));
        }
        ownlog_stop(&ownlog); /* in order: it is not lost */
        assert_true(written(storage) == 1);
        storage_close(&storage);
    }
    io_sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_lives_do_not_each_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
