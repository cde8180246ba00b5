/*
 * A backup: one file of objects and blobs, checksummed, on wish encrypted with a password.
 * Format: docs/formats/backup.md. Both directions are streams with bounded memory: a blob is
 * never held, an object is one JSON text of at most OBJECT_ARCHIVE_OBJECT_BYTES_MAX.
 *
 *     writer:  new ──info──> (object | blob)* ──finish──> free
 *     reader:  new ──next──> info, then objects and blobs, then the end ──> free
 *
 * What a reader gives out was checksummed chunk by chunk, but only OBJECT_ARCHIVE_END says that
 * the whole file is as it was written: who must not act on a damaged one reads it twice.
 * Faults: ERR_CORRUPT names the byte of the file; ERR_AUTH a wrong or missing password;
 * ERR_UNSUPPORTED a newer format. Any fault is sticky. One thread at a time.
 */
#ifndef OBJECT_ARCHIVE_H
#define OBJECT_ARCHIVE_H

#include <jansson.h>

#include "object/object.h"

#define OBJECT_ARCHIVE_VERSION 1
#define OBJECT_ARCHIVE_INFO_BYTES_MAX ((size_t)64 * 1024)
#define OBJECT_ARCHIVE_OBJECT_BYTES_MAX ((size_t)16 << 20)
#define OBJECT_ARCHIVE_CHUNK_BYTES ((size_t)64 * 1024)

struct object_archive_counts {
    uint64_t objects;
    uint64_t blobs;
    uint64_t blob_bytes;
};

/* ---- writing ---- */

struct object_archive_writer;

struct object_archive_writer_options {
    int (*write)(void *context, struct span data); /* a fault ends the writing */
    void *context;
    const char *password;  /* NULL or "": not encrypted; copied */
    uint32_t passes;       /* argon2id; 0: 3 */
    uint64_t memory_bytes; /* argon2id; 0: 64 MiB */
};

/* Writes the header. */
MUST_CHECK int object_archive_writer_new(const struct object_archive_writer_options *options,
                                         struct object_archive_writer **ret_writer);
void object_archive_writer_free(struct object_archive_writer **writer); /* may be NULL */

MUST_CHECK int object_archive_put_info(struct object_archive_writer *writer, const json_t *info);
/* Leaves out its sync fields. ERR_TOO_LARGE above the bound. */
MUST_CHECK int object_archive_put_object(struct object_archive_writer *writer,
                                         const struct object *object);
/* Then put_data with all of its contents. ERR_CORRUPT when they have another hash. */
MUST_CHECK int object_archive_put_blob(struct object_archive_writer *writer,
                                       const struct object_blob *blob);
MUST_CHECK int object_archive_put_data(struct object_archive_writer *writer, struct span data);
MUST_CHECK int object_archive_finish(struct object_archive_writer *writer);

void object_archive_written(const struct object_archive_writer *writer,
                            struct object_archive_counts *ret_counts);

/* ---- reading ---- */

struct object_archive_reader;

struct object_archive_reader_options {
    /* *ret_got 0 is the end of the file. */
    int (*read)(void *context, void *data, size_t bytes, size_t *ret_got);
    void *context;
    const char *password; /* NULL or "": none; copied */
    /* Looks at checksums and hash only, which needs no password: of an encrypted file the first
     * record is the end, without counts. */
    bool damage_only;
};

enum object_archive_type {
    OBJECT_ARCHIVE_INFO = 1,
    OBJECT_ARCHIVE_OBJECT,
    OBJECT_ARCHIVE_BLOB,
    OBJECT_ARCHIVE_END,
};

struct object_archive_record {
    enum object_archive_type type;
    json_t *info;                        /* info: owned */
    struct object *object;               /* object: owned */
    size_t object_bytes;                 /* object: of its JSON */
    struct object_blob blob;             /* blob: object_archive_read gives its contents */
    struct object_archive_counts counts; /* end */
};
void object_archive_record_deinit(struct object_archive_record *record);

/* Reads the header. */
MUST_CHECK int object_archive_reader_new(const struct object_archive_reader_options *options,
                                         struct object_archive_reader **ret_reader);
void object_archive_reader_free(struct object_archive_reader **reader); /* may be NULL */

bool object_archive_is_encrypted(const struct object_archive_reader *reader);

/* The next record; what is unread of a blob is read over, its hash is checked all the same. The
 * caller deinits *ret_record. After the end there is no next. */
MUST_CHECK int object_archive_next(struct object_archive_reader *reader,
                                   struct object_archive_record *ret_record);

/* The contents of the present blob; *ret_got is 0 only at their end, which has checked the hash. */
MUST_CHECK int object_archive_read(struct object_archive_reader *reader, void *data, size_t bytes,
                                   size_t *ret_got);

#endif
