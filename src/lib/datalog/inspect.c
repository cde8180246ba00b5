#include "datalog/inspect.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/vec.h"
#include "datalog/cursor_file.h"
#include "datalog/origins.h"

#define NAME_DIGITS 20
#define FILE_BYTES_MAX ((size_t)4 << 30)

struct place {
    struct datalog_cursor_line line; /* its name is in walk.cursors_text */
    uint64_t bytes;                  /* of records from line.next on */
    uint64_t time;                   /* of the first of them; 0: there was none */
};

struct walk {
    struct io *io;
    const char *dir;
    const struct datalog_visitor *visitor;
    VEC(uint64_t) files;
    uint64_t expected; /* position of the next record; 0: any */
    struct buf cursors_text;
    size_t cursors_damaged;
    VEC(struct place) places;
    struct datalog_origins origins;
    struct datalog_origin own;
    int rc; /* of visitor->origin() */
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

static void take_line(void *context, const struct datalog_cursor_line *line)
{
    struct walk *walk = context;
    struct place place = {.line = *line};
    vec_push(&walk->places, place);
}

/* Before the files: what stands in them is beside what the cursor has, or behind it. */
static int read_cursors(struct walk *walk)
{
    char *path = mem_printf("%s/" DATALOG_CURSORS_NAME, walk->dir);
    int rc = io_exists(walk->io, path)
                 ? io_read_file(walk->io, path, DATALOG_CURSORS_BYTES_MAX, &walk->cursors_text)
                 : ERR_NOT_FOUND;
    mem_free(path);
    if (rc == 0) {
        walk->cursors_damaged =
            datalog_cursor_lines_read(buf_span(&walk->cursors_text), take_line, walk);
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static void note_record(struct walk *walk, const struct datalog_seen_record *seen)
{
    const struct datalog_record *record = seen->record;
    struct datalog_origin_position position = {record->origin, record->origin_position,
                                               record->time};
    (void)!datalog_origins_stage(&walk->origins, position);
    for (size_t i = 0; i < walk->places.count; i++) {
        struct place *place = &walk->places.items[i];
        if (record->position >= place->line.next) {
            place->bytes += seen->bytes;
            place->time = place->time == 0 ? record->time : place->time;
        }
    }
}

static void note_header(struct walk *walk, const struct datalog_file_header *header)
{
    struct datalog_origin_position row = {header->origin, header->origin_position, header->time};
    walk->own = header->origin;
    (void)!datalog_origins_stage(&walk->origins, row);
    for (size_t i = 0; datalog_origin_row_read(header, i, &row); i++) {
        (void)!datalog_origins_stage(&walk->origins, row);
    }
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
        note_record(walk, record);
    }
    return tell_record(walk, &told);
}

/* Walks the records; `limit` is the first position of the next file, UINT64_MAX in the newest. */
static int see_records(struct walk *walk, struct datalog_seen_file *seen, struct span bytes,
                       uint64_t limit)
{
    size_t at = seen->header != NULL ? seen->header->bytes : DATALOG_FILE_HEADER_BYTES;
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
        if (good) {
            note_header(walk, &header);
        }
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

static int tell_cursors(struct walk *walk, uint64_t first)
{
    int rc = walk->cursors_damaged > 0 ? tell_damage(walk, 0, 0, walk->cursors_damaged) : 0;
    uint64_t now = (uint64_t)MAX(io_now_ns(walk->io), 0);
    for (size_t i = 0; rc == 0 && i < walk->places.count; i++) {
        const struct place *place = &walk->places.items[i];
        uint64_t next = place->line.damaged ? first : place->line.next;
        char *name = mem_strndup((const char *)place->line.name.data, place->line.name.bytes);
        struct datalog_seen_cursor seen = {
            .stats = {.name = name,
                      .next = next,
                      .first = first,
                      .detached = place->line.detached,
                      .lag_records = walk->expected > next ? walk->expected - next : 0,
                      .lag_bytes = place->bytes,
                      .lag_ns = place->time > 0 && now > place->time ? now - place->time : 0},
            .damaged = place->line.damaged,
        };
        rc = walk->visitor->cursor != NULL ? walk->visitor->cursor(walk->visitor->context, &seen)
                                           : 0;
        mem_free(name);
    }
    return rc;
}

static void tell_origin(void *context, const struct datalog_origin_position *position)
{
    struct walk *walk = context;
    if (walk->rc == 0 && walk->visitor->origin != NULL) {
        bool own = memcmp(&position->origin, &walk->own, sizeof(walk->own)) == 0;
        walk->rc = walk->visitor->origin(walk->visitor->context, position, own);
    }
}

int datalog_inspect(struct io *io, const char *dir, const struct datalog_visitor *visitor)
{
    struct walk walk = {.io = io, .dir = dir, .visitor = visitor};
    int rc = io_list(io, dir, take_name, &walk);
    if (rc == 0 && walk.files.count == 0) {
        rc = err_set(ERR_NOT_FOUND, "%s: there is no file of a datalog", dir);
    }
    rc = rc == 0 ? read_cursors(&walk) : rc;
    for (size_t i = 0; rc == 0 && i < walk.files.count; i++) {
        rc = see_file(&walk, i);
    }
    rc = rc == 0 ? tell_cursors(&walk, walk.files.items[0]) : rc;
    if (rc == 0) {
        datalog_origins_each(&walk.origins, true, tell_origin, &walk);
        rc = walk.rc;
    }
    datalog_origins_deinit(&walk.origins);
    vec_deinit(&walk.places);
    buf_deinit(&walk.cursors_text);
    vec_deinit(&walk.files);
    return rc;
}
