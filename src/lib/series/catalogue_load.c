/* Reads checkpoints. Tested by catalogue_checkpoint_test.c. */
#include <inttypes.h>

#include "base/wire.h"
#include "series/catalogue_file.h"
#include "series/catalogue_internal.h"

#define FILE_BYTES_MAX (UINT64_C(64) << 30)

/* How to read one item of a block; false: not of its form. */
typedef bool (*take_item)(struct series_catalogue *catalogue, struct wire_reader *reader);

static bool take_series(struct series_catalogue *catalogue, struct wire_reader *reader)
{
    uint32_t number = wire_get_u32(reader);
    struct span key = wire_get_bytes(reader, SERIES_KEY_BYTES_MAX);
    if (reader->failed || series_key_check(key) < 0) {
        return false;
    }
    if (catalogue_define(catalogue, number, key, true) < 0) {
        catalogue_report(catalogue, "%s: %s", catalogue->dir, err_text());
    }
    return true;
}

static bool take_attributes(struct series_catalogue *catalogue, struct wire_reader *reader)
{
    struct attributes *attributes = NULL;
    uint32_t number = wire_get_u32(reader);
    if (!attributes_read(reader, &attributes)) {
        return false;
    }
    pthread_mutex_lock(&catalogue->lock);
    catalogue_set_attributes(catalogue, number, attributes);
    pthread_mutex_unlock(&catalogue->lock);
    return true;
}

static bool take_life(struct series_catalogue *catalogue, struct wire_reader *reader)
{
    uint32_t number = wire_get_u32(reader);
    uint64_t touched = wire_get_u64(reader);
    uint64_t died = wire_get_u64(reader);
    if (!reader->failed) {
        catalogue_raise(catalogue, number, touched, died);
    }
    return !reader->failed;
}

static bool take_delete(struct series_catalogue *catalogue, struct wire_reader *reader)
{
    struct stamp stamp = {.time = wire_get_u64(reader)};
    stamp.origin = wire_get_u16(reader);
    struct series_delete deletion = {.flags = wire_get_u8(reader)};
    deletion.selector = wire_get_bytes(reader, SERIES_SELECTOR_BYTES_MAX);
    if (!reader->failed && catalogue_add_delete(catalogue, &deletion, stamp) < 0) {
        catalogue_report(catalogue, "%s: %s", catalogue->dir, err_text());
    }
    return !reader->failed;
}

/* Earlier versions wrote it. */
static bool take_forgotten(struct series_catalogue *catalogue, struct wire_reader *reader)
{
    uint32_t number = wire_get_u32(reader);
    if (!reader->failed) {
        pthread_mutex_lock(&catalogue->lock);
        catalogue_drop(catalogue, number);
        pthread_mutex_unlock(&catalogue->lock);
    }
    return !reader->failed;
}

static bool take_orphan(struct series_catalogue *catalogue, struct wire_reader *reader)
{
    struct attributes *attributes = NULL;
    uint32_t number = SERIES_NONE;
    struct span key = wire_get_bytes(reader, SERIES_KEY_BYTES_MAX);
    if (reader->failed || series_key_check(key) < 0 || !attributes_read(reader, &attributes)) {
        return false;
    }
    pthread_mutex_lock(&catalogue->lock);
    if (series_catalogue_find(catalogue, key, &number) &&
        catalogue_attributes(catalogue, number) != NULL) {
        mem_free(attributes); /* it was adopted, and what stands under its number is as new */
    } else {
        catalogue_set_orphan(catalogue, key, attributes);
    }
    pthread_mutex_unlock(&catalogue->lock);
    return true;
}

static bool take_commit(struct series_catalogue *catalogue, struct wire_reader *reader)
{
    uint64_t position = wire_get_u64(reader);
    uint64_t next = wire_get_u64(reader);
    uint64_t begin = wire_get_u64(reader);
    if (!reader->failed) {
        /* A sync that failed may have left this block and not all of those it is about. */
        if (begin >= catalogue->sound_from) {
            catalogue->position = position;
        }
        catalogue->next = MAX(catalogue->next, next);
    }
    return !reader->failed;
}

static const take_item takers[] = {
    [BLOCK_SERIES] = take_series,       [BLOCK_ATTRIBUTES] = take_attributes,
    [BLOCK_LIFE] = take_life,           [BLOCK_DELETES] = take_delete,
    [BLOCK_FORGOTTEN] = take_forgotten, [BLOCK_ORPHANS] = take_orphan,
    [BLOCK_COMMIT] = take_commit,
};

static void take_block(struct series_catalogue *catalogue, size_t offset, uint32_t kind,
                       struct span payload)
{
    struct wire_reader reader = wire_reader_of(payload);
    catalogue->base += kind == BLOCK_SERIES ? payload.bytes : 0;
    bool good = kind < ARRAY_COUNT(takers) && takers[kind] != NULL;
    while (good && reader.rest.bytes > 0) {
        good = takers[kind](catalogue, &reader);
    }
    if (!good) {
        catalogue->damaged_blocks++;
        catalogue_report(catalogue,
                         "%s/%010" PRIu64 ".cat: the block at %zu has contents of no known form",
                         catalogue->dir, catalogue->generation, offset);
    }
}

/* Reads all sound blocks; returns where the last one ends. */
static size_t take_blocks(struct series_catalogue *catalogue, struct span content)
{
    size_t offset = CATALOGUE_HEADER_BYTES;
    while (offset < content.bytes) {
        uint32_t kind = 0;
        struct span payload;
        if (catalogue_block_read(content, catalogue->generation, offset, &kind, &payload)) {
            take_block(catalogue, offset, kind, payload);
            offset = (size_t)(payload.data + payload.bytes - content.data);
            continue;
        }
        size_t next = content.bytes;
        bool more = catalogue_block_find(content, catalogue->generation, offset + 1, &next);
        catalogue->damaged_blocks += more;
        catalogue->sound_from = next;
        catalogue_report(catalogue, "%s/%010" PRIu64 ".cat: %zu bytes from %zu on are %s",
                         catalogue->dir, catalogue->generation, next - offset, offset,
                         more ? "a damaged block: what it held comes from segments and the log"
                              : "no whole block, and are cut off");
        if (!more) {
            break;
        }
        offset = next;
    }
    return offset;
}

/* The names of files; the newest generation, and what else is to go. */
struct listing {
    struct series_catalogue *catalogue;
    uint64_t newest;
    VEC(uint64_t) older;
    bool temp;
};

static int take_name(void *context, const char *name)
{
    struct listing *listing = context;
    struct span text = span_of_str(name);
    uint64_t generation = 0;
    if (span_equal_str(text, "new.tmp")) {
        listing->temp = true;
    } else if (text.bytes == 14 && span_ends_with(text, SPAN_LIT(".cat")) &&
               span_to_u64(span_first(text, 10), &generation)) {
        if (listing->newest != 0) {
            vec_push(&listing->older, MIN(listing->newest, generation));
        }
        listing->newest = MAX(listing->newest, generation);
    }
    return 0;
}

static int remove_others(struct series_catalogue *catalogue, const struct listing *listing)
{
    char *path = mem_printf("%s/new.tmp", catalogue->dir);
    int rc = listing->temp ? io_remove(catalogue->options.io, path) : 0;
    mem_free(path);
    for (size_t i = 0; rc == 0 && i < listing->older.count; i++) {
        path = mem_printf("%s/%010" PRIu64 ".cat", catalogue->dir, listing->older.items[i]);
        rc = io_remove(catalogue->options.io, path);
        mem_free(path);
    }
    return rc;
}

static int read_content(struct series_catalogue *catalogue, const char *path, struct buf *content)
{
    uint64_t bytes = 0;
    int rc = io_open(catalogue->options.io, path, IO_WRITE, &catalogue->file);
    if (rc == 0) {
        rc = io_size(catalogue->file, &bytes);
    }
    if (rc == 0 && bytes > FILE_BYTES_MAX) {
        rc = err_set(ERR_CORRUPT, "%s: %" PRIu64 " bytes are no catalogue", path, bytes);
    }
    if (rc == 0) {
        rc = io_read_at(catalogue->file, 0, buf_reserve(content, (size_t)bytes + 1), (size_t)bytes,
                        &content->bytes);
    }
    return rc;
}

/* All of it has just been read. */
static void nothing_is_dirty(struct series_catalogue *catalogue)
{
    const uint8_t dirty = DIRTY_DEFINITION | DIRTY_LIFE | DIRTY_ATTRIBUTES;
    for (size_t c = 0; c < catalogue->chunks_end; c++) {
        struct chunk *chunk = catalogue->chunks[c];
        for (size_t i = 0; chunk != NULL && i < CHUNK_NUMBERS; i++) {
            chunk->flags[i] &= (uint8_t)~dirty;
        }
    }
    catalogue->deletes_dirty = catalogue->orphans_dirty = false;
}

static int load_file(struct series_catalogue *catalogue)
{
    struct buf content = {0};
    char *path = mem_printf("%s/%010" PRIu64 ".cat", catalogue->dir, catalogue->generation);
    int rc = read_content(catalogue, path, &content);
    if (rc == 0) {
        rc = catalogue_header_read(buf_span(&content), catalogue->generation);
        if (rc == ERR_CORRUPT) {
            catalogue->damaged_blocks++;
            catalogue_report(catalogue, "%s: %s", path, err_text());
            rc = 0;
        }
    }
    if (rc == 0) {
        catalogue->end = take_blocks(catalogue, buf_span(&content));
        catalogue->base += 20 * catalogue->count; /* life; attributes come on top */
        nothing_is_dirty(catalogue);
    }
    if (rc == 0 && catalogue->end < content.bytes) {
        rc = io_truncate(catalogue->file, catalogue->end);
    }
    if (rc == 0) {
        /* What is only in the kernel's memory must not be relied on. */
        rc = io_sync(catalogue->file);
    }
    if (rc == 0 && content.bytes < CATALOGUE_HEADER_BYTES) {
        io_close(&catalogue->file); /* not to be added to: the next checkpoint writes a new one */
    }
    buf_deinit(&content);
    mem_free(path);
    return rc;
}

int catalogue_load(struct series_catalogue *catalogue)
{
    struct io *io = catalogue->options.io;
    struct listing listing = {.catalogue = catalogue};
    int rc = io_make_dirs(io, catalogue->dir);
    if (rc == 0) {
        rc = io_list(io, catalogue->dir, take_name, &listing);
    }
    catalogue->generation = listing.newest;
    if (rc == 0 && listing.newest != 0) {
        rc = load_file(catalogue);
    }
    if (rc == 0) {
        rc = remove_others(catalogue, &listing);
    }
    if (rc == 0) {
        rc = io_sync_dir(io, catalogue->dir);
    }
    vec_deinit(&listing.older);
    return rc;
}
