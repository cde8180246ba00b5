/* Contents of sound blocks of a catalogue's file: each is taken or told, and whatever came of it
 * can be checkpointed and opened again. Per block: its kind, its bytes, contents. */
#include "io/sim.h"
#include "series/catalogue.h"
#include "series/catalogue_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct io_sim sim;
    struct series_origins *origins = NULL;
    struct series_catalogue *catalogue = NULL;
    struct buf file = {0};
    if (bytes == 0) {
        return 0;
    }
    io_sim_init(&sim, 1);
    catalogue_header_write(&file, 1);
    for (struct span rest = span_of(data, bytes); rest.bytes > 2;) {
        size_t begin = catalogue_block_begin(&file, rest.data[0]);
        buf_append(&file, span_first(span_from(rest, 2), rest.data[1]));
        catalogue_block_end(&file, begin, 1, begin);
        rest = span_from(rest, 2 + (size_t)rest.data[1]);
    }
    CHECK(series_origins_open(&sim.io, "/c/origins", &origins) == 0);
    CHECK(io_make_dirs(&sim.io, "/c/series") == 0);
    CHECK(io_write_file(&sim.io, "/c/series/0000000001.cat", buf_span(&file)) == 0);
    struct series_catalogue_options options = {
        .io = &sim.io, .dir = "/c/series", .origins = origins};
    for (int i = 0; i < 2; i++) {
        CHECK(series_catalogue_open(&options, &catalogue) == 0);
        CHECK(series_catalogue_checkpoint(catalogue, 1) == 0);
        series_catalogue_close(&catalogue);
    }
    series_origins_close(&origins);
    io_sim_deinit(&sim);
    buf_deinit(&file);
    return 0;
}
