#include "io/io.h"

#include "base/mem.h"

int io_open(struct io *io, const char *path, int flags, struct io_file **ret_file)
{
    return io->methods->open(io, path, flags, ret_file);
}

void io_close(struct io_file **file)
{
    if (*file != NULL) {
        (*file)->methods->close(*file);
        *file = NULL;
    }
}

int io_read_at(struct io_file *file, uint64_t offset, void *data, size_t bytes, size_t *ret_bytes)
{
    size_t done = 0;
    while (done < bytes) {
        size_t got = 0;
        int rc =
            file->methods->read_at(file, offset + done, (uint8_t *)data + done, bytes - done, &got);
        if (rc < 0) {
            return rc;
        }
        if (got == 0) {
            break;
        }
        done += got;
    }
    *ret_bytes = done;
    return 0;
}

int io_write_at(struct io_file *file, uint64_t offset, struct span data)
{
    return file->methods->write_at(file, offset, data);
}

int io_truncate(struct io_file *file, uint64_t bytes)
{
    return file->methods->truncate(file, bytes);
}

int io_size(struct io_file *file, uint64_t *ret_bytes)
{
    return file->methods->size(file, ret_bytes);
}

int io_sync(struct io_file *file)
{
    return file->methods->sync(file);
}

int io_rename(struct io *io, const char *from, const char *to)
{
    return io->methods->rename(io, from, to);
}

int io_link(struct io *io, const char *from, const char *to)
{
    return io->methods->link(io, from, to);
}

int io_remove(struct io *io, const char *path)
{
    return io->methods->remove(io, path);
}

/* Makes the name of `path` durable. */
static int sync_parent(struct io *io, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash == NULL ? mem_strdup(".") : mem_strndup(path, (size_t)(slash - path));
    int rc = io_sync_dir(io, dir[0] == 0 ? "/" : dir);
    mem_free(dir);
    return rc;
}

int io_make_dir(struct io *io, const char *path)
{
    int rc = io->methods->make_dir(io, path);
    return rc == ERR_EXISTS ? 0 : rc;
}

int io_make_dirs(struct io *io, const char *path)
{
    struct span rest = span_of_str(path);
    for (size_t end = 1; end <= rest.bytes; end++) {
        if (end < rest.bytes && path[end] != '/') {
            continue;
        }
        char *part = mem_strndup(path, end);
        int made = io->methods->make_dir(io, part);
        int rc = made;
        if (made == 0 || made == ERR_EXISTS) {
            rc = sync_parent(io, part);
        }
        mem_free(part);
        /* A parent that cannot be opened is somebody else's, as are the names in it. */
        if (rc < 0 && !(made == ERR_EXISTS && rc == ERR_DENIED)) {
            return rc;
        }
    }
    return 0;
}

int io_remove_dir(struct io *io, const char *path)
{
    return io->methods->remove_dir(io, path);
}

int io_sync_dir(struct io *io, const char *path)
{
    return io->methods->sync_dir(io, path);
}

bool io_exists(struct io *io, const char *path)
{
    return io->methods->exists(io, path);
}

int io_list(struct io *io, const char *path, int (*each)(void *context, const char *name),
            void *context)
{
    return io->methods->list(io, path, each, context);
}

int io_space(struct io *io, const char *path, uint64_t *ret_free, uint64_t *ret_total)
{
    return io->methods->space(io, path, ret_free, ret_total);
}

int64_t io_now_ns(struct io *io)
{
    return io->methods->now_ns(io);
}

int64_t io_monotonic_ns(struct io *io)
{
    return io->methods->monotonic_ns(io);
}

void io_random(struct io *io, void *data, size_t bytes)
{
    io->methods->random(io, data, bytes);
}

int io_read_file(struct io *io, const char *path, size_t bytes_max, struct buf *buf)
{
    struct io_file *file;
    int rc = io_open(io, path, IO_READ, &file);
    if (rc < 0) {
        return rc;
    }
    uint64_t bytes = 0;
    size_t got = 0;
    rc = io_size(file, &bytes);
    if (rc == 0 && bytes > bytes_max) {
        rc = err_set(ERR_TOO_LARGE, "%s: has %llu bytes, at most %zu are read", path,
                     (unsigned long long)bytes, bytes_max);
    }
    if (rc == 0) {
        rc = io_read_at(file, 0, buf_reserve(buf, (size_t)bytes), (size_t)bytes, &got);
    }
    if (rc == 0) {
        buf->bytes += got;
    }
    io_close(&file);
    return rc;
}

static int write_and_sync(struct io *io, const char *path, struct span data)
{
    struct io_file *file;
    int rc = io_open(io, path, IO_WRITE | IO_CREATE | IO_TRUNCATE, &file);
    if (rc < 0) {
        return rc;
    }
    rc = io_write_at(file, 0, data);
    if (rc == 0) {
        rc = io_sync(file);
    }
    io_close(&file);
    return rc;
}

int io_write_file(struct io *io, const char *path, struct span data)
{
    char *temp = mem_printf("%s.tmp", path);
    int rc = write_and_sync(io, temp, data);
    if (rc == 0) {
        rc = io_rename(io, temp, path);
    }
    mem_free(temp);
    if (rc == 0) {
        rc = sync_parent(io, path);
    }
    return rc;
}
