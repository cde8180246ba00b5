/* Tested by runs_test.c. */
#include "query/scratch.h"

#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"

#define CHUNK_BYTES_MIN 512
#define CHUNK_BYTES_MAX (256 * 1024)
#define CHUNKS_IN_MEMORY 2048 /* a merge has QUERY_RUNS_MAX of them */
#define MIB (UINT64_C(1) << 20)

struct query_scratch {
    struct query_scratch_options options;
    atomic_uint_least64_t held;
    atomic_uint_least64_t on_disk;
    atomic_uint_least64_t written;
    atomic_uint holders;
};

static _Thread_local uint64_t written_here;

struct query_scratch_file {
    struct query_scratch *scratch;
    struct io_file *file;
    uint64_t bytes;
};

struct query_scratch *query_scratch_new(const struct query_scratch_options *options)
{
    struct query_scratch *scratch = MEM_NEW(struct query_scratch);
    scratch->options = *options;
    return scratch;
}

void query_scratch_free(struct query_scratch **place)
{
    if (*place != NULL) {
        CHECK(atomic_load(&(*place)->holders) == 0);
        mem_free(*place);
        *place = NULL;
    }
}

struct query_tables *query_scratch_tables(const struct query_scratch *scratch)
{
    return scratch == NULL ? NULL : scratch->options.tables;
}

uint64_t query_scratch_written(const struct query_scratch *scratch)
{
    return scratch == NULL ? 0 : atomic_load(&scratch->written);
}

uint64_t query_scratch_written_here(void)
{
    return written_here;
}

bool query_scratch_is_cancelled(const struct query_scratch *scratch)
{
    return scratch != NULL && scratch->options.cancel != NULL &&
           atomic_load_explicit(scratch->options.cancel, memory_order_relaxed);
}

int query_scratch_look(const struct query_scratch *scratch)
{
    return query_scratch_is_cancelled(scratch) ? err_set(ERR_CANCELLED, "the search was cancelled")
                                               : 0;
}

size_t query_scratch_chunk(const struct query_scratch *scratch)
{
    uint64_t bytes = scratch->options.memory_bytes_max / CHUNKS_IN_MEMORY;
    return (size_t)MIN(MAX(bytes, (uint64_t)CHUNK_BYTES_MIN), (uint64_t)CHUNK_BYTES_MAX);
}

/* ── Memory ──────────────────────────────────────────────────────────────────────────────── */

void query_holder_init(struct query_holder *holder, struct query_scratch *scratch)
{
    CHECK(holder->scratch == NULL && holder->bytes == 0);
    holder->scratch = scratch;
    if (scratch != NULL) {
        atomic_fetch_add(&scratch->holders, 1);
    }
}

void query_holder_clear(struct query_holder *holder)
{
    if (holder->scratch != NULL) {
        atomic_fetch_sub(&holder->scratch->held, holder->bytes);
    }
    holder->bytes = 0;
}

void query_holder_deinit(struct query_holder *holder)
{
    query_holder_clear(holder);
    if (holder->scratch != NULL) {
        atomic_fetch_sub(&holder->scratch->holders, 1);
    }
    *holder = (struct query_holder){0};
}

void query_holder_add(struct query_holder *holder, int64_t bytes)
{
    holder->bytes += (uint64_t)bytes;
    if (holder->scratch != NULL) {
        atomic_fetch_add_explicit(&holder->scratch->held, (uint64_t)bytes, memory_order_relaxed);
    }
}

/* Three quarters of the bound: what is being moved takes some, too. */
static bool is_full(const struct query_scratch *scratch)
{
    uint64_t held = atomic_load_explicit(&scratch->held, memory_order_relaxed);
    return held > scratch->options.memory_bytes_max / 4 * 3;
}

/* Half its fair part: if everybody has less than that, the bound is not passed. */
bool query_holder_must_spill(const struct query_holder *holder)
{
    const struct query_scratch *scratch = holder->scratch;
    return scratch != NULL && is_full(scratch) &&
           holder->bytes >=
               scratch->options.memory_bytes_max / 4 / MAX(1U, atomic_load(&scratch->holders));
}

int query_holder_check(const struct query_holder *holder, const char *what)
{
    const struct query_scratch *scratch = holder->scratch;
    if (scratch == NULL || !is_full(scratch)) {
        return 0;
    }
    return err_set(ERR_TOO_LARGE, "%s: more than Max-Search-Memory-MB (%llu) allows", what,
                   (unsigned long long)(scratch->options.memory_bytes_max / MIB));
}

/* ── Files ───────────────────────────────────────────────────────────────────────────────── */

int query_scratch_open(struct query_scratch *scratch, struct query_scratch_file **ret_file)
{
    struct io *io = scratch->options.io;
    uint64_t number = 0;
    io_random(io, &number, sizeof(number));
    char *path = mem_printf("%s/%d-%016llx", scratch->options.path, (int)getpid(),
                            (unsigned long long)number);
    struct query_scratch_file *file = MEM_NEW(struct query_scratch_file);
    file->scratch = scratch;
    int rc = io_exists(io, scratch->options.path) ? 0 : io_make_dirs(io, scratch->options.path);
    rc = rc < 0 ? rc : io_open(io, path, IO_WRITE | IO_CREATE | IO_EXCLUSIVE, &file->file);
    rc = rc < 0 ? rc : io_remove(io, path);
    mem_free(path);
    if (rc < 0) {
        query_scratch_close(&file);
        return err_wrap(rc, "Search-Scratch");
    }
    *ret_file = file;
    return 0;
}

void query_scratch_close(struct query_scratch_file **place)
{
    struct query_scratch_file *file = *place;
    *place = NULL;
    if (file != NULL) {
        atomic_fetch_sub(&file->scratch->on_disk, file->bytes);
        io_close(&file->file);
        mem_free(file);
    }
}

uint64_t query_scratch_file_bytes(const struct query_scratch_file *file)
{
    return file->bytes;
}

int query_scratch_write(struct query_scratch_file *file, struct span data)
{
    struct query_scratch *scratch = file->scratch;
    uint64_t before = atomic_fetch_add(&scratch->on_disk, data.bytes);
    file->bytes += data.bytes;
    if (before + data.bytes > scratch->options.file_bytes_max) {
        return err_set(ERR_TOO_LARGE,
                       "Search-Scratch-Limit (%llu MB) is reached: ask for less at once, or raise "
                       "it or Max-Search-Memory-MB",
                       (unsigned long long)(scratch->options.file_bytes_max / MIB));
    }
    int rc = query_scratch_look(scratch);
    rc = rc < 0 ? rc : io_write_at(file->file, file->bytes - data.bytes, data);
    atomic_fetch_add(&scratch->written, rc < 0 ? 0 : data.bytes);
    written_here += rc < 0 ? 0 : data.bytes;
    return rc < 0 && rc != ERR_CANCELLED ? err_wrap(rc, "Search-Scratch") : rc;
}

int query_scratch_read(struct query_scratch_file *file, uint64_t offset, void *data, size_t bytes)
{
    size_t got = 0;
    int rc = query_scratch_look(file->scratch);
    rc = rc < 0 ? rc : io_read_at(file->file, offset, data, bytes, &got);
    if (rc < 0) {
        return rc == ERR_CANCELLED ? rc : err_wrap(rc, "Search-Scratch");
    }
    return got == bytes ? 0 : err_set(ERR_CORRUPT, "Search-Scratch: a file is cut short");
}
