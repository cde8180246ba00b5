#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/vec.h"
#include "io/io.h"

struct real_file {
    struct io_file file;
    int fd;
};

static struct real_file *real_of(struct io_file *file)
{
    return CONTAINER_OF(file, struct real_file, file);
}

static const struct io_methods real_methods;

static int real_open(struct io *io, const char *path, int flags, struct io_file **ret_file)
{
    (void)io;
    int mode = (flags & IO_WRITE) != 0 ? O_RDWR : O_RDONLY;
    mode |= (flags & IO_CREATE) != 0 ? O_CREAT : 0;
    mode |= (flags & IO_EXCLUSIVE) != 0 ? O_EXCL : 0;
    mode |= (flags & IO_TRUNCATE) != 0 ? O_TRUNC : 0;
    int fd = open(path, mode | O_CLOEXEC, 0640);
    if (fd < 0) {
        return err_set_errno(errno, "open %s", path);
    }
    struct real_file *real = MEM_NEW(struct real_file);
    real->file = (struct io_file){&real_methods, mem_strdup(path)};
    real->fd = fd;
    *ret_file = &real->file;
    return 0;
}

static void real_close(struct io_file *file)
{
    struct real_file *real = real_of(file);
    close(real->fd);
    mem_free(file->path);
    mem_free(real);
}

static int real_read_at(struct io_file *file, uint64_t offset, void *data, size_t bytes,
                        size_t *ret_bytes)
{
    ssize_t got;
    do {
        got = pread(real_of(file)->fd, data, bytes, (off_t)offset);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return err_set_errno(errno, "read %s", file->path);
    }
    *ret_bytes = (size_t)got;
    return 0;
}

static int real_write_at(struct io_file *file, uint64_t offset, struct span data)
{
    size_t done = 0;
    while (done < data.bytes) {
        ssize_t put =
            pwrite(real_of(file)->fd, data.data + done, data.bytes - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return err_set_errno(errno, "write %s", file->path);
        }
        done += (size_t)put;
    }
    return 0;
}

static int real_truncate(struct io_file *file, uint64_t bytes)
{
    if (ftruncate(real_of(file)->fd, (off_t)bytes) < 0) {
        return err_set_errno(errno, "truncate %s", file->path);
    }
    return 0;
}

static int real_size(struct io_file *file, uint64_t *ret_bytes)
{
    struct stat status;
    if (fstat(real_of(file)->fd, &status) < 0) {
        return err_set_errno(errno, "size of %s", file->path);
    }
    *ret_bytes = (uint64_t)status.st_size;
    return 0;
}

static int real_sync(struct io_file *file)
{
    if (fdatasync(real_of(file)->fd) < 0) {
        return err_set_errno(errno, "sync %s", file->path);
    }
    return 0;
}

static int real_rename(struct io *io, const char *from, const char *to)
{
    (void)io;
    return rename(from, to) < 0 ? err_set_errno(errno, "rename %s to %s", from, to) : 0;
}

static int real_link(struct io *io, const char *from, const char *to)
{
    (void)io;
    return link(from, to) < 0 ? err_set_errno(errno, "link %s to %s", from, to) : 0;
}

static int real_remove(struct io *io, const char *path)
{
    (void)io;
    return unlink(path) < 0 ? err_set_errno(errno, "remove %s", path) : 0;
}

static int real_make_dir(struct io *io, const char *path)
{
    (void)io;
    return mkdir(path, 0750) < 0 ? err_set_errno(errno, "make directory %s", path) : 0;
}

static int real_remove_dir(struct io *io, const char *path)
{
    (void)io;
    return rmdir(path) < 0 ? err_set_errno(errno, "remove directory %s", path) : 0;
}

static int real_sync_dir(struct io *io, const char *path)
{
    (void)io;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return err_set_errno(errno, "open directory %s", path);
    }
    int rc = fsync(fd) < 0 ? err_set_errno(errno, "sync directory %s", path) : 0;
    close(fd);
    return rc;
}

static bool real_exists(struct io *io, const char *path)
{
    (void)io;
    return access(path, F_OK) == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int real_list(struct io *io, const char *path, int (*each)(void *context, const char *name),
                     void *context)
{
    (void)io;
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return err_set_errno(errno, "list %s", path);
    }
    VEC(char *) names = {0};
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            vec_push(&names, mem_strdup(entry->d_name));
        }
    }
    closedir(dir);
    if (names.count > 0) {
        qsort(names.items, names.count, sizeof(*names.items), by_name);
    }
    int rc = 0;
    for (size_t i = 0; i < names.count; i++) {
        rc = rc == 0 ? each(context, names.items[i]) : rc;
        mem_free(names.items[i]);
    }
    vec_deinit(&names);
    return rc;
}

static int real_space(struct io *io, const char *path, uint64_t *ret_free, uint64_t *ret_total)
{
    (void)io;
    struct statvfs status;
    if (statvfs(path, &status) < 0) {
        return err_set_errno(errno, "free space of %s", path);
    }
    *ret_free = (uint64_t)status.f_bavail * status.f_frsize;
    *ret_total = (uint64_t)status.f_blocks * status.f_frsize;
    return 0;
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t real_now_ns(struct io *io)
{
    (void)io;
    return clock_ns(CLOCK_REALTIME);
}

static int64_t real_monotonic_ns(struct io *io)
{
    (void)io;
    return clock_ns(CLOCK_MONOTONIC);
}

static void real_random(struct io *io, void *data, size_t bytes)
{
    (void)io;
    for (size_t done = 0; done < bytes;) {
        ssize_t got = getrandom((uint8_t *)data + done, bytes - done, 0);
        CHECK(got >= 0 || errno == EINTR);
        done += got > 0 ? (size_t)got : 0;
    }
}

static const struct io_methods real_methods = {
    .open = real_open,
    .close = real_close,
    .read_at = real_read_at,
    .write_at = real_write_at,
    .truncate = real_truncate,
    .size = real_size,
    .sync = real_sync,
    .rename = real_rename,
    .link = real_link,
    .remove = real_remove,
    .make_dir = real_make_dir,
    .remove_dir = real_remove_dir,
    .sync_dir = real_sync_dir,
    .exists = real_exists,
    .list = real_list,
    .space = real_space,
    .now_ns = real_now_ns,
    .monotonic_ns = real_monotonic_ns,
    .random = real_random,
};

struct io *io_real(void)
{
    static struct io real = {&real_methods};
    return &real;
}
