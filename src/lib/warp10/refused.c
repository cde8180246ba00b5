#include "warp10/refused.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/err.h"

struct walk {
    struct io *io;
    const char *dir;
    uint64_t files, bytes;
    int (*each)(void *context, const char *name);
    void *context;
};

static bool is_one(const char *name)
{
    return span_ends_with(span_of_str(name), SPAN_LIT(REFUSED_SUFFIX));
}

static int measure(void *context, const char *name)
{
    struct walk *walk = context;
    struct buf path = {0};
    struct io_file *file = NULL;
    uint64_t bytes = 0;
    buf_printf(&path, "%s/%s", walk->dir, name);
    if (is_one(name) && io_open(walk->io, buf_str(&path), IO_READ, &file) == 0) {
        (void)!io_size(file, &bytes);
        io_close(&file);
        walk->files++;
        walk->bytes += bytes;
    }
    buf_deinit(&path);
    return 0;
}

/* Reasons come from elsewhere: one line. */
static void put_line(struct buf *text, const char *name, struct span value)
{
    if (value.bytes == 0) {
        return;
    }
    buf_printf(text, "%s: ", name);
    for (size_t i = 0; i < value.bytes; i++) {
        buf_append_byte(text, value.data[i] < ' ' ? ' ' : value.data[i]);
    }
    buf_append_byte(text, '\n');
}

static void print(struct buf *text, const struct refused_item *item)
{
    buf_printf(text, "Time: %" PRId64 "\n", item->time_ns);
    put_line(text, "Link", item->link);
    put_line(text, "Target", item->target);
    buf_printf(text, "Tries: %u\n", item->tries);
    put_line(text, "Reason", item->reason);
    buf_append_byte(text, '\n');
    buf_append(text, item->request);
}

/* Names that are taken are passed over. */
static int write_new(struct io *io, const char *dir, int64_t time_ns, struct span text)
{
    struct buf path = {0};
    for (uint64_t i = 0; path.bytes == 0 || io_exists(io, buf_str(&path)); i++) {
        buf_clear(&path);
        buf_printf(&path, "%s/%016" PRIx64 REFUSED_SUFFIX, dir, (uint64_t)time_ns + i);
    }
    int rc = io_write_file(io, buf_str(&path), text);
    buf_deinit(&path);
    return rc;
}

int refused_put(struct io *io, const char *dir, const struct refused_item *item)
{
    struct walk walk = {.io = io, .dir = dir};
    struct buf text = {0};
    int rc = io_make_dirs(io, dir);
    rc = rc < 0 ? rc : io_list(io, dir, measure, &walk);
    print(&text, item);
    if (rc == 0 &&
        (walk.files >= REFUSED_FILES_MAX || walk.bytes + text.bytes > REFUSED_BYTES_MAX)) {
        rc = err_set(ERR_NO_SPACE, "quarantine %s is full: %" PRIu64 " files, %" PRIu64 " bytes",
                     dir, walk.files, walk.bytes);
    }
    rc = rc < 0 ? rc : write_new(io, dir, item->time_ns, buf_span(&text));
    buf_deinit(&text);
    return rc;
}

static int pass(void *context, const char *name)
{
    struct walk *walk = context;
    return is_one(name) ? walk->each(walk->context, name) : 0;
}

int refused_each(struct io *io, const char *dir, int (*each)(void *context, const char *name),
                 void *context)
{
    struct walk walk = {.each = each, .context = context};
    return io_exists(io, dir) ? io_list(io, dir, pass, &walk) : 0;
}

static void read_line(struct refused_item *item, struct span line)
{
    ptrdiff_t colon = span_find(line, SPAN_LIT(": "));
    if (colon < 0) {
        return;
    }
    struct span name = span_first(line, (size_t)colon);
    struct span value = span_from(line, (size_t)colon + 2);
    uint64_t number = 0;
    if (span_equal_str(name, "Link")) {
        item->link = value;
    } else if (span_equal_str(name, "Target")) {
        item->target = value;
    } else if (span_equal_str(name, "Reason")) {
        item->reason = value;
    } else if (span_equal_str(name, "Tries") && span_to_u64(value, &number)) {
        item->tries = (unsigned)number;
    } else if (span_equal_str(name, "Time")) {
        (void)span_to_i64(value, &item->time_ns);
    }
}

static int parse(struct span text, struct refused_item *ret_item)
{
    struct refused_item item = {0};
    struct span line;
    while (span_split(&text, '\n', &line)) {
        if (line.bytes == 0) {
            item.request = text;
            *ret_item = item;
            return 0;
        }
        read_line(&item, line);
    }
    return err_set(ERR_CORRUPT, "no file of a quarantine");
}

static int path_of(const char *dir, const char *name, struct buf *path)
{
    if (!is_one(name) || span_find_byte(span_of_str(name), '/') >= 0) {
        return err_set(ERR_NOT_FOUND, "%s is no name of a file in quarantine", name);
    }
    buf_printf(path, "%s/%s", dir, name);
    return 0;
}

int refused_get(struct io *io, const char *dir, const char *name, struct buf *text,
                struct refused_item *ret_item)
{
    struct buf path = {0};
    int rc = path_of(dir, name, &path);
    buf_clear(text);
    rc = rc < 0 ? rc : io_read_file(io, buf_str(&path), REFUSED_ITEM_BYTES_MAX, text);
    rc = rc < 0 ? rc : parse(buf_span(text), ret_item);
    buf_deinit(&path);
    return rc < 0 ? err_wrap(rc, "%s", name) : 0;
}

int refused_drop(struct io *io, const char *dir, const char *name)
{
    struct buf path = {0};
    int rc = path_of(dir, name, &path);
    rc = rc < 0 ? rc : io_remove(io, buf_str(&path));
    rc = rc < 0 ? rc : io_sync_dir(io, dir);
    buf_deinit(&path);
    return rc;
}
