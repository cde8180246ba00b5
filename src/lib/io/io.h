/*
 * The one door to files, clock and randomness. Everything that must survive a crash goes
 * through it, so that tests can be the disk: io_real() is the kernel, io_sim.h a twin that
 * drops, tears or keeps unsynced writes under a seed.
 *
 * Paths are plain strings. Faults carry the path in their text. An io is used by any number of
 * threads; one io_file by one thread at a time, but for io_read_at, which may run in many.
 * SQLite and sockets have doors of their own (store/, net/).
 */
#ifndef IO_IO_H
#define IO_IO_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct io_file;

enum io_open_flags {
    IO_READ = 1,
    IO_WRITE = 2,     /* reading too */
    IO_CREATE = 4,    /* when missing; the name is durable after io_sync_dir() */
    IO_EXCLUSIVE = 8, /* with IO_CREATE: ERR_EXISTS when it is there */
    IO_TRUNCATE = 16,
};

/* A door: real or simulated. Methods are called through the functions below. */
struct io {
    const struct io_methods *methods;
};

struct io *io_real(void);

MUST_CHECK int io_open(struct io *io, const char *path, int flags, struct io_file **ret_file);
void io_close(struct io_file **file); /* may be NULL; does not sync */

/* *ret_bytes is less than asked only at the end of the file. */
MUST_CHECK int io_read_at(struct io_file *file, uint64_t offset, void *data, size_t bytes,
                          size_t *ret_bytes);
MUST_CHECK int io_write_at(struct io_file *file, uint64_t offset, struct span data);
MUST_CHECK int io_truncate(struct io_file *file, uint64_t bytes);
MUST_CHECK int io_size(struct io_file *file, uint64_t *ret_bytes);

/* Data and size are durable once it has returned 0. After a fault the file's unsynced contents
 * are unknown: close it and recover. */
MUST_CHECK int io_sync(struct io_file *file);

MUST_CHECK int io_rename(struct io *io, const char *from, const char *to); /* replaces */
MUST_CHECK int io_link(struct io *io, const char *from, const char *to);   /* hard link */
MUST_CHECK int io_remove(struct io *io, const char *path);
/* Makes a directory, with its parents, durably; there is fine. Names that are there are synced
 * too: whoever made them may have died before, or may have failed to. */
MUST_CHECK int io_make_dirs(struct io *io, const char *path);
/* One directory in one that is there, durable after io_sync_dir(); there is fine. */
MUST_CHECK int io_make_dir(struct io *io, const char *path);
MUST_CHECK int io_remove_dir(struct io *io, const char *path); /* must be empty */
MUST_CHECK int io_sync_dir(struct io *io, const char *path);   /* names in it are durable */
bool io_exists(struct io *io, const char *path);

/* Calls `each` for every name in the directory, sorted bytewise, without "." and "..". A non-zero
 * return stops the walk and is returned. */
MUST_CHECK int io_list(struct io *io, const char *path,
                       int (*each)(void *context, const char *name), void *context);

/* Free and total bytes of the volume that holds `path`. */
MUST_CHECK int io_space(struct io *io, const char *path, uint64_t *ret_free, uint64_t *ret_total);

int64_t io_now_ns(struct io *io);       /* wall clock */
int64_t io_monotonic_ns(struct io *io); /* never goes back */
void io_random(struct io *io, void *data, size_t bytes);

/* Whole files. Writing is atomic and durable: temp file, sync, rename, sync of the directory. */
MUST_CHECK int io_read_file(struct io *io, const char *path, size_t bytes_max, struct buf *buf);
MUST_CHECK int io_write_file(struct io *io, const char *path, struct span data);

struct io_methods {
    int (*open)(struct io *io, const char *path, int flags, struct io_file **ret_file);
    void (*close)(struct io_file *file);
    int (*read_at)(struct io_file *file, uint64_t offset, void *data, size_t bytes,
                   size_t *ret_bytes); /* fewer bytes are fine; none: the end of the file */
    int (*write_at)(struct io_file *file, uint64_t offset, struct span data);
    int (*truncate)(struct io_file *file, uint64_t bytes);
    int (*size)(struct io_file *file, uint64_t *ret_bytes);
    int (*sync)(struct io_file *file);
    int (*rename)(struct io *io, const char *from, const char *to);
    int (*link)(struct io *io, const char *from, const char *to);
    int (*remove)(struct io *io, const char *path);
    int (*make_dir)(struct io *io, const char *path); /* one level; ERR_EXISTS when there */
    int (*remove_dir)(struct io *io, const char *path);
    int (*sync_dir)(struct io *io, const char *path);
    bool (*exists)(struct io *io, const char *path);
    int (*list)(struct io *io, const char *path, int (*each)(void *context, const char *name),
                void *context);
    int (*space)(struct io *io, const char *path, uint64_t *ret_free, uint64_t *ret_total);
    int64_t (*now_ns)(struct io *io);
    int64_t (*monotonic_ns)(struct io *io);
    void (*random)(struct io *io, void *data, size_t bytes);
};

/* What every implementation's file begins with. */
struct io_file {
    const struct io_methods *methods;
    char *path; /* owned, for messages */
};

#endif
