/*
 * The file `flushed` beside the datalog: for every well that ever was in the config, the log
 * position up to which its entries are in segment files, and its location. The wells know that
 * themselves; the file is for those that the config has dropped, so that a replay finds where
 * their records belong.
 *
 * One line per well, "position name", with a tab and the location if it has one, and a last line,
 * "sum" and the checksum of those before.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "indexer/storage_internal.h"

#define FLUSHED_BYTES_MAX ((size_t)16 << 20)

static struct storage_slot *slot_named(struct storage *storage, struct span name)
{
    for (size_t i = 0; i < storage->slots.count; i++) {
        if (span_equal_str(name, storage->slots.items[i].name)) {
            return &storage->slots.items[i];
        }
    }
    return NULL;
}

static void take_line(struct storage *storage, struct span line)
{
    struct span rest = line;
    struct span number;
    uint64_t position;
    if (!span_split(&rest, ' ', &number) || !span_to_u64(number, &position)) {
        return;
    }
    struct span name;
    bool has_location = span_split(&rest, '\t', &name) && rest.bytes > 0;
    struct storage_slot *slot = slot_named(storage, name);
    if (slot != NULL) {
        slot->flushed = position;
        slot->noted = slot->location == NULL || span_equal_str(rest, slot->location);
        return;
    }
    struct storage_dropped dropped = {
        .name = mem_strndup((const char *)name.data, name.bytes),
        .location = has_location ? mem_strndup((const char *)rest.data, rest.bytes) : NULL,
        .flushed = position,
    };
    vec_push(&storage->dropped, dropped);
}

static bool take_lines(struct storage *storage, struct span text)
{
    ptrdiff_t sum_at = span_find(text, SPAN_LIT("sum "));
    while (sum_at > 0 && text.data[sum_at - 1] != '\n') { /* a well's name has it too */
        ptrdiff_t more = span_find(span_from(text, (size_t)sum_at + 1), SPAN_LIT("sum "));
        sum_at = more < 0 ? more : sum_at + 1 + more;
    }
    if (sum_at < 0) {
        return false;
    }
    struct span lines = span_first(text, (size_t)sum_at);
    char sum[32];
    snprintf(sum, sizeof(sum), "sum %08" PRIx32 "\n", hash32(lines));
    if (!span_equal_str(span_from(text, (size_t)sum_at), sum)) {
        return false;
    }
    struct span line;
    while (span_split(&lines, '\n', &line)) {
        take_line(storage, line);
    }
    return true;
}

int storage_flushed_read(struct storage *storage)
{
    struct buf text = {0};
    char *path = mem_printf("%s/flushed", storage->datalog_dir);
    int rc = io_exists(storage->io, path)
                 ? io_read_file(storage->io, path, FLUSHED_BYTES_MAX, &text)
                 : 0;
    if (rc == 0 && text.bytes > 0 && !take_lines(storage, buf_span(&text))) {
        storage->damage++;
        storage_report(storage, "%s is damaged; it is written anew", path);
    }
    mem_free(path);
    buf_deinit(&text);
    return rc;
}

struct storage_dropped *storage_dropped_well(struct storage *storage, struct span name)
{
    for (size_t i = 0; i < storage->dropped.count; i++) {
        if (span_equal_str(name, storage->dropped.items[i].name)) {
            return &storage->dropped.items[i];
        }
    }
    struct storage_dropped dropped = {.name = mem_strndup((const char *)name.data, name.bytes)};
    vec_push(&storage->dropped, dropped);
    return &storage->dropped.items[storage->dropped.count - 1];
}

bool storage_flushed_knows_all(struct storage *storage)
{
    for (size_t i = 0; i < storage->slots.count; i++) {
        if (!storage->slots.items[i].noted) {
            return false;
        }
    }
    return true;
}

static void put_line(struct buf *text, uint64_t flushed, const char *name, const char *location)
{
    buf_printf(text, "%" PRIu64 " %s%s%s\n", flushed, name, location != NULL ? "\t" : "",
               location != NULL ? location : "");
}

int storage_flushed_write(struct storage *storage)
{
    struct buf text = {0};
    for (size_t i = 0; i < storage->slots.count; i++) {
        const struct storage_slot *slot = &storage->slots.items[i];
        uint64_t flushed = well_flushed(slot->well);
        put_line(&text, MAX(flushed, slot->flushed), slot->name, slot->location);
    }
    for (size_t i = 0; i < storage->dropped.count; i++) {
        const struct storage_dropped *dropped = &storage->dropped.items[i];
        put_line(&text, dropped->flushed, dropped->name, dropped->location);
    }
    uint32_t sum = hash32(buf_span(&text));
    buf_printf(&text, "sum %08" PRIx32 "\n", sum);
    int rc = 0;
    if (sum != storage->flushed_sum) {
        char *path = mem_printf("%s/flushed", storage->datalog_dir);
        rc = io_write_file(storage->io, path, buf_span(&text));
        mem_free(path);
    }
    buf_deinit(&text);
    storage->flushed_sum = rc == 0 ? sum : 0;
    return rc;
}

void storage_dropped_free(struct storage *storage)
{
    for (size_t i = 0; i < storage->dropped.count; i++) {
        well_close(&storage->dropped.items[i].well);
        mem_free(storage->dropped.items[i].name);
        mem_free(storage->dropped.items[i].location);
    }
    vec_deinit(&storage->dropped);
}
