#include "series/lines.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"

#define SUM_BYTES 9 /* " 89abcdef" */

struct series_lines {
    struct io_file *file;
    uint64_t end; /* of the file */
    bool broken;  /* a write failed: the end is to be restored first */
    struct series_lines_damage damage;
};

void series_lines_end(struct buf *buf, size_t begin)
{
    uint32_t sum = hash32(span_from(buf_span(buf), begin));
    buf_printf(buf, " %08" PRIx32 "\n", sum);
}

static bool is_whole(struct span line, struct span *ret_text)
{
    if (line.bytes <= SUM_BYTES) {
        return false;
    }
    char sum[SUM_BYTES + 1];
    *ret_text = span_first(line, line.bytes - SUM_BYTES);
    snprintf(sum, sizeof(sum), " %08" PRIx32, hash32(*ret_text));
    return span_equal_str(span_from(line, ret_text->bytes), sum);
}

/* Reads the lines; returns where the last whole one ends. */
static uint64_t take_all(struct series_lines *lines, struct span content, series_lines_take *take,
                         void *context)
{
    struct span rest = content;
    uint64_t end = 0;
    uint64_t bad = 0;
    while (rest.bytes > 0) {
        ptrdiff_t newline = span_find_byte(rest, '\n');
        if (newline < 0) {
            break;
        }
        struct span text = {0};
        bool good = is_whole(span_first(rest, (size_t)newline), &text) && take(context, text);
        rest = span_from(rest, (size_t)newline + 1);
        if (good) {
            end = content.bytes - rest.bytes;
            lines->damage.lines += bad; /* damaged lines before a good one are no torn tail */
            bad = 0;
        } else {
            bad++;
        }
    }
    return end;
}

static int recover(struct series_lines *lines, uint64_t bytes_max, series_lines_take *take,
                   void *context)
{
    uint64_t bytes = 0;
    int rc = io_size(lines->file, &bytes);
    if (rc == 0 && bytes > bytes_max) {
        rc = err_set(ERR_CORRUPT, "%s: %" PRIu64 " bytes, at most %" PRIu64 " are allowed",
                     lines->file->path, bytes, bytes_max);
    }
    if (rc < 0 || bytes == 0) {
        return rc;
    }
    struct buf content = {0};
    rc = io_read_at(lines->file, 0, buf_reserve(&content, (size_t)bytes), (size_t)bytes,
                    &content.bytes);
    if (rc == 0) {
        lines->end = take_all(lines, buf_span(&content), take, context);
        lines->damage.torn_bytes = bytes - lines->end;
        /* A line that is only in the kernel's memory must not be relied on, and after a sync that
         * failed the kernel may take it for clean: written again and synced in any case. */
        rc = io_write_at(lines->file, 0, span_first(buf_span(&content), (size_t)lines->end));
    }
    buf_deinit(&content);
    if (rc == 0 && lines->end < bytes) {
        rc = io_truncate(lines->file, lines->end);
    }
    return rc < 0 ? rc : io_sync(lines->file);
}

int series_lines_open(struct io *io, const char *path, uint64_t bytes_max, series_lines_take *take,
                      void *context, struct series_lines **ret_lines)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash == NULL || slash == path ? mem_strdup(slash == NULL ? "." : "/")
                                               : mem_strndup(path, (size_t)(slash - path));
    struct series_lines *lines = MEM_NEW(struct series_lines);
    int rc = io_make_dirs(io, dir);
    if (rc == 0) {
        rc = io_open(io, path, IO_WRITE | IO_CREATE, &lines->file);
    }
    if (rc == 0) {
        rc = io_sync_dir(io, dir);
    }
    if (rc == 0) {
        rc = recover(lines, bytes_max, take, context);
    }
    mem_free(dir);
    if (rc < 0) {
        series_lines_close(&lines);
        return rc;
    }
    *ret_lines = lines;
    return 0;
}

void series_lines_close(struct series_lines **lines_place)
{
    struct series_lines *lines = *lines_place;
    if (lines == NULL) {
        return;
    }
    io_close(&lines->file);
    mem_free(lines);
    *lines_place = NULL;
}

struct series_lines_damage series_lines_damage(const struct series_lines *lines)
{
    return lines->damage;
}

int series_lines_add(struct series_lines *lines, struct span added)
{
    int rc = 0;
    if (lines->broken) {
        rc = io_truncate(lines->file, lines->end);
    }
    if (rc == 0) {
        rc = io_write_at(lines->file, lines->end, added);
    }
    if (rc == 0) {
        rc = io_sync(lines->file);
    }
    lines->broken = rc < 0;
    if (rc == 0) {
        lines->end += added.bytes;
    }
    return rc;
}
