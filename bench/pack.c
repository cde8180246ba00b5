/*
 * Flushes, merges and packs what a storage has, at once, until nothing is left to do.
 *
 *     pack DATALOG_DIR TAGS_FILE WELL_DIR
 *
 * Nobody else may have it open. Prints one JSON object; CPU is of packing alone.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "indexer/storage.h"

static void check(int rc, const char *what)
{
    if (rc < 0) {
        fprintf(stderr, "pack: %s: %s\n", what, err_text());
        exit(1);
    }
}

static void report(void *context, const char *text)
{
    (void)context;
    fprintf(stderr, "pack: %s\n", text);
}

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t written(struct storage *storage)
{
    struct storage_stats stats = storage_stats(storage);
    return stats.flushed_bytes + stats.merged_bytes + stats.purged_bytes;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "pack DATALOG_DIR TAGS_FILE WELL_DIR\n");
        return 2;
    }
    struct storage_well well = {.name = STORAGE_WELL_DEFAULT, .location = argv[3]};
    struct storage_options options = {
        .io = io_real(),
        .node = {{1}},
        .datalog_dir = argv[1],
        .tags_path = argv[2],
        .wells = &well,
        .wells_count = 1,
        .manual = true,
        .pack_at_once = true,
        .report = report,
    };
    struct storage *storage = NULL;
    check(storage_open(&options, &storage), "open");
    check(storage_flush(storage), "flush");
    uint64_t before = storage_well_stats(storage, 0).disk_bytes;
    double begun = cpu_s();
    uint64_t done;
    do {
        done = written(storage);
        check(storage_work(storage), "work");
    } while (written(storage) != done);
    double took = cpu_s() - begun;
    struct well_stats stats = storage_well_stats(storage, 0);
    printf("{\"entries\": %" PRIu64 ", \"points\": %" PRIu64 ", \"raw_bytes\": %" PRIu64
           ", \"flushed_bytes\": %" PRIu64 ", \"disk_bytes\": %" PRIu64 ", \"segments\": %" PRIu64
           ", \"partitions\": %" PRIu64 ", \"written_bytes\": %" PRIu64 ", \"cpu_s\": %.3f}\n",
           stats.entries, stats.points, stats.bytes, before, stats.disk_bytes, stats.segments,
           stats.partitions, stats.merged_bytes, took);
    storage_close(&storage);
    return 0;
}
