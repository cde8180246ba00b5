#include "datalog/inspect.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/vec.h"

#define NAME_DIGITS 20
#define FILE_BYTES_MAX ((size_t)4 << 30)

struct walk {
    struct io *io;
    const char *dir;
    const struct datalog_visitor *visitor;
    VEC(uint64_t) files;
    uint64_t expected; /* position of the next record; 0: any */
};

static int take_name(void *context, const char *name)
{
    struct walk *walk = context;
    struct span text = span_of_str(name);
    uint64_t first;
    if (text.bytes == NAME_DIGITS + 4 && span_ends_with(text, SPAN_LIT(".log")) &&
        span_to_u64(span_first(text, NAME_DIGITS), &first) && first > 0) {
        vec_push(&walk->files, first);
    }
    return 0;
}

static int tell_record(const struct walk *walk, const struct datalog_seen_record *seen)
{
    return walk->visitor->record != NULL ? walk->visitor->record(walk->visitor->context, seen) : 0;
}

static int tell_damage(const struct walk *walk, uint64_t file, uint64_t offset, uint64_t bytes)
{
    return walk->visitor->damage != NULL
               ? walk->visitor->damage(walk->visitor->context, file, offset, bytes)
               : 0;
}

/* A whole record: counts it, and the positions that are missing before it. */
static int see_record(struct walk *walk, struct datalog_seen_file *seen, uint64_t limit,
                      const struct datalog_seen_record *record)
{
    struct datalog_seen_record told = *record;
    uint64_t position = record->record->position;
    told.ignored = position >= limit || position < walk->expected;
    if (told.ignored) {
        seen->ignored++;
    } else {
        seen->missing += position - walk->expected;
        seen->records++;
        seen->last = position;
        walk->expected = position + 1;
    }
    return tell_record(walk, &told);
}

/* Walks the records; `limit` is the first position of the next file, UINT64_MAX in the newest. */
static int see_records(struct walk *walk, struct datalog_seen_file *seen, struct span bytes,
                       uint64_t limit)
{
    size_t at = DATALOG_FILE_HEADER_BYTES;
    int rc = 0;
    while (rc == 0 && at < bytes.bytes) {
        struct datalog_record record;
        struct datalog_seen_record told = {.file = seen->first, .offset = at, .record = &record};
        size_t length;
        if (datalog_record_read(span_from(bytes, at), seen->first, &record, &told.group, &length) ==
            0) {
            told.bytes = length;
            rc = see_record(walk, seen, limit, &told);
            at += length;
            continue;
        }
        size_t next = bytes.bytes;
        bool more = datalog_record_find(bytes, at + 1, seen->first, seen->first, UINT64_MAX, &next);
        if (!more && limit == UINT64_MAX) {
            seen->tail = bytes.bytes - at;
            return 0;
        }
        next = more ? next : bytes.bytes;
        seen->damaged += next - at;
        rc = tell_damage(walk, seen->first, at, next - at);
        at = next;
    }
    return rc;
}

static int see_file(struct walk *walk, size_t index)
{
    struct datalog_seen_file seen = {.first = walk->files.items[index]};
    bool newest = index + 1 == walk->files.count;
    uint64_t limit = newest ? UINT64_MAX : walk->files.items[index + 1];
    char *path = mem_printf("%s/%0*" PRIu64 ".log", walk->dir, NAME_DIGITS, seen.first);
    struct buf content = {0};
    struct datalog_file_header header;
    int rc = io_read_file(walk->io, path, FILE_BYTES_MAX, &content);
    mem_free(path);
    if (rc == ERR_NOT_FOUND) { /* trimmed meanwhile, and everything before it */
        walk->expected = 0;
        return 0;
    }
    if (walk->expected == 0) {
        walk->expected = seen.first;
    }
    if (rc == 0) {
        seen.bytes = content.bytes;
        bool good = datalog_file_header_read(buf_span(&content), seen.first, &header) == 0;
        seen.header = good ? &header : NULL;
        rc = good ? 0 : tell_damage(walk, seen.first, 0, DATALOG_FILE_HEADER_BYTES);
    }
    if (rc == 0) {
        rc = see_records(walk, &seen, buf_span(&content), limit);
    }
    if (!newest && walk->expected < limit) {
        seen.missing += limit - walk->expected;
        walk->expected = limit;
    }
    if (rc == 0 && walk->visitor->file != NULL) {
        rc = walk->visitor->file(walk->visitor->context, &seen);
    }
    buf_deinit(&content);
    return rc;
}

int datalog_inspect(struct io *io, const char *dir, const struct datalog_visitor *visitor)
{
    struct walk walk = {.io = io, .dir = dir, .visitor = visitor};
    int rc = io_list(io, dir, take_name, &walk);
    if (rc == 0 && walk.files.count == 0) {
        rc = err_set(ERR_NOT_FOUND, "%s: there is no file of a datalog", dir);
    }
    for (size_t i = 0; rc == 0 && i < walk.files.count; i++) {
        rc = see_file(&walk, i);
    }
    vec_deinit(&walk.files);
    return rc;
}
