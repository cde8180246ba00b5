/* Writes checkpoints. */
#include <inttypes.h>

#include "base/wire.h"
#include "series/catalogue_file.h"
#include "series/catalogue_internal.h"

#define SPARE_BYTES (UINT64_C(4) << 20) /* a file may be this much larger than twice its need */

/* Blocks on their way into a file. The first fault sticks. */
struct output {
    struct io_file *file;
    uint64_t generation;
    uint64_t end;  /* of what was written */
    uint64_t kept; /* bytes of what a file written anew has too */
    struct buf buf;
    enum catalogue_block_kind kind; /* of the open block; 0: none */
    int rc;
};

static void flush(struct output *output)
{
    if (output->kind != 0) {
        catalogue_block_end(&output->buf, 0, output->generation, output->end);
        output->kept += output->kind == BLOCK_SERIES ? output->buf.bytes : 0;
    }
    if (output->rc == 0 && output->buf.bytes > 0) {
        output->rc = io_write_at(output->file, output->end, buf_span(&output->buf));
    }
    output->end += output->buf.bytes;
    output->kind = 0;
    buf_clear(&output->buf);
}

/* Where the next item of this kind goes. */
static struct buf *open_block(struct output *output, enum catalogue_block_kind kind)
{
    if (output->kind != kind || output->buf.bytes >= CATALOGUE_BLOCK_BYTES) {
        flush(output);
        catalogue_block_begin(&output->buf, kind);
        output->kind = kind;
    }
    return &output->buf;
}

static void put_definition(struct series_catalogue *catalogue, struct output *output,
                           uint32_t number, struct buf *key)
{
    const struct record *record = record_of(catalogue, number);
    if (record == NULL) {
        return;
    }
    buf_clear(key);
    record_key(catalogue, record, key);
    struct buf *buf = open_block(output, BLOCK_SERIES);
    wire_put_u32(buf, number);
    wire_put_bytes(buf, buf_span(key));
}

static void put_attributes(struct series_catalogue *catalogue, struct output *output,
                           uint32_t number)
{
    pthread_rwlock_rdlock(&catalogue->attributes_lock);
    const struct attributes *attributes = catalogue_attributes(catalogue, number);
    if (attributes != NULL) {
        struct buf *buf = open_block(output, BLOCK_ATTRIBUTES);
        wire_put_u32(buf, number);
        attributes_write(buf, attributes);
    }
    pthread_rwlock_unlock(&catalogue->attributes_lock);
}

static void put_life(const struct chunk *chunk, struct output *output, uint32_t number)
{
    uint64_t touched = __atomic_load_n(&chunk->touched[number % CHUNK_NUMBERS], __ATOMIC_ACQUIRE);
    uint64_t died = catalogue_died(chunk, number);
    if (touched > 0 || died > 0) {
        struct buf *buf = open_block(output, BLOCK_LIFE);
        wire_put_u32(buf, number);
        wire_put_u64(buf, touched);
        wire_put_u64(buf, died);
    }
}

static void put_number(struct series_catalogue *catalogue, struct output *output,
                       const struct chunk *chunk, uint32_t number, uint8_t flag, struct buf *key)
{
    switch (flag) {
    case DIRTY_DEFINITION:
        put_definition(catalogue, output, number, key);
        break;
    case DIRTY_ATTRIBUTES:
        put_attributes(catalogue, output, number);
        break;
    default:
        put_life(chunk, output, number);
    }
}

/* Each number that has the flag, or all. The flag is cleared before what it stands for is read,
 * so that a later change sets it again. One pass per kind of block, so that blocks are full. A
 * number that is not logged may be another series' after a crash: nothing is said about it. */
static void put_numbers(struct series_catalogue *catalogue, struct output *output, bool all,
                        uint8_t flag)
{
    struct buf key = {0};
    for (size_t c = 0; c < chunks_end(catalogue); c++) {
        struct chunk *chunk = __atomic_load_n(&catalogue->chunks[c], __ATOMIC_ACQUIRE);
        for (uint32_t i = 0; chunk != NULL && i < CHUNK_NUMBERS; i++) {
            uint32_t number = (uint32_t)(c * CHUNK_NUMBERS + i);
            bool dirty = (__atomic_load_n(&chunk->flags[i], __ATOMIC_ACQUIRE) & flag) != 0;
            if ((dirty || all) && (series_catalogue_is_logged(catalogue, number) ||
                                   record_of(catalogue, number) == NULL)) {
                clear_flags(chunk, number, flag);
                put_number(catalogue, output, chunk, number, flag, &key);
            }
        }
    }
    buf_deinit(&key);
}

/* Deletes and orphans: the lock is held for as long as they are copied. */
static void put_rest(struct series_catalogue *catalogue, struct output *output, bool all)
{
    struct buf deletes = {0};
    struct buf orphans = {0};
    pthread_mutex_lock(&catalogue->lock);
    for (size_t i = 0; (all || catalogue->deletes_dirty) && i < catalogue->deletes.count; i++) {
        const struct whole_delete *deletion = &catalogue->deletes.items[i];
        wire_put_u64(&deletes, deletion->stamp.time);
        wire_put_u16(&deletes, deletion->stamp.origin);
        wire_put_u8(&deletes, deletion->flags);
        wire_put_bytes(&deletes, span_of_str(deletion->text));
    }
    size_t cursor = 0;
    struct span key;
    void *attributes;
    while ((all || catalogue->orphans_dirty) &&
           map_next(&catalogue->orphans, &cursor, &key, &attributes)) {
        wire_put_bytes(&orphans, key);
        attributes_write(&orphans, attributes);
    }
    catalogue->deletes_dirty = catalogue->orphans_dirty = false;
    pthread_mutex_unlock(&catalogue->lock);
    if (deletes.bytes > 0) {
        buf_append(open_block(output, BLOCK_DELETES), buf_span(&deletes));
    }
    if (orphans.bytes > 0) {
        buf_append(open_block(output, BLOCK_ORPHANS), buf_span(&orphans));
    }
    buf_deinit(&deletes);
    buf_deinit(&orphans);
}

static void put_all(struct series_catalogue *catalogue, struct output *output, bool all,
                    uint64_t position)
{
    uint64_t next = __atomic_load_n(&catalogue->next, __ATOMIC_ACQUIRE);
    uint64_t begin = output->end + output->buf.bytes;
    put_numbers(catalogue, output, all, DIRTY_DEFINITION);
    put_rest(catalogue, output, all);
    put_numbers(catalogue, output, all, DIRTY_LIFE);
    put_numbers(catalogue, output, all, DIRTY_ATTRIBUTES);
    struct buf *buf = open_block(output, BLOCK_COMMIT);
    wire_put_u64(buf, position);
    wire_put_u64(buf, next);
    wire_put_u64(buf, begin);
    flush(output);
    if (output->rc == 0) {
        output->rc = io_sync(output->file);
    }
}

/* What the file holds is not known any more. After a sync that failed the kernel shows what never
 * reached the disk and takes it for clean: who opens the file next must not see it. */
static void take_back(struct series_catalogue *catalogue)
{
    char text[ERR_TEXT_BYTES_MAX];
    strcpy(text, err_text());
    if (io_truncate(catalogue->file, catalogue->end) < 0) {
        catalogue_report(catalogue, "%s", err_text());
    }
    io_close(&catalogue->file);
    (void)err_set(ERR_IO, "%s", text);
}

/* The file as it is, and what has changed. */
static int add_to(struct series_catalogue *catalogue, uint64_t position)
{
    struct output output = {
        .file = catalogue->file, .generation = catalogue->generation, .end = catalogue->end};
    put_all(catalogue, &output, false, position);
    buf_deinit(&output.buf);
    if (output.rc < 0) {
        take_back(catalogue);
        return output.rc;
    }
    catalogue->end = output.end;
    catalogue->base += output.kept;
    return 0;
}

static int publish(struct series_catalogue *catalogue, const char *temp, const char *path)
{
    struct io *io = catalogue->options.io;
    int rc = io_rename(io, temp, path);
    return rc < 0 ? rc : io_sync_dir(io, catalogue->dir);
}

static void remove_older(struct series_catalogue *catalogue, uint64_t generation)
{
    if (generation == 0) {
        return;
    }
    char *path = mem_printf("%s/%010" PRIu64 ".cat", catalogue->dir, generation);
    if (io_exists(catalogue->options.io, path) && io_remove(catalogue->options.io, path) < 0) {
        catalogue_report(catalogue, "%s", err_text()); /* it goes when it is opened again */
    }
    mem_free(path);
}

/* A new file with all there is. The old one stands until the new one does. */
static int write_anew(struct series_catalogue *catalogue, uint64_t position)
{
    uint64_t before = catalogue->generation;
    char *temp = mem_printf("%s/new.tmp", catalogue->dir);
    char *path = mem_printf("%s/%010" PRIu64 ".cat", catalogue->dir, before + 1);
    struct output output = {.generation = before + 1};
    struct io_file *file = NULL;
    int rc = io_open(catalogue->options.io, temp, IO_WRITE | IO_CREATE | IO_TRUNCATE, &file);
    if (rc == 0) {
        output.file = file;
        catalogue_header_write(&output.buf, before + 1);
        put_all(catalogue, &output, true, position);
        rc = output.rc;
    }
    if (rc == 0) {
        catalogue->generation++; /* the name may be there from now on, whatever fails */
        rc = publish(catalogue, temp, path);
    }
    io_close(&catalogue->file);
    if (rc == 0) {
        catalogue->file = file;
        catalogue->end = catalogue->base = output.end;
        remove_older(catalogue, before);
    } else {
        io_close(&file);
        (void)!io_remove(catalogue->options.io, temp); /* it takes room on a disk that is full */
    }
    buf_deinit(&output.buf);
    mem_free(temp);
    mem_free(path);
    return rc;
}

int series_catalogue_checkpoint(struct series_catalogue *catalogue, uint64_t position)
{
    pthread_mutex_lock(&catalogue->checkpoint_lock);
    bool grown = catalogue->end > 2 * catalogue->base + SPARE_BYTES;
    int rc = catalogue->file == NULL || grown ? write_anew(catalogue, position)
                                              : add_to(catalogue, position);
    if (rc == 0) {
        catalogue->position = position;
    }
    pthread_mutex_unlock(&catalogue->checkpoint_lock);
    return rc < 0 ? err_wrap(rc, "checkpoint of the series catalogue") : 0;
}
