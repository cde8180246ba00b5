/*
 * Looking at a backup file: all of it is read and checked (docs/formats/backup.md). One thread.
 */
#ifndef CLI_ARCHIVE_H
#define CLI_ARCHIVE_H

#include "cli/progress.h"
#include "object/archive.h"

#define CLI_ARCHIVE_KINDS_MAX 64 /* above every object_kind */

struct cli_archive {
    uint64_t bytes; /* of the file */
    bool encrypted;
    bool counted; /* what follows is known: it is plain, or the password was given */
    struct object_archive_counts counts;
    uint64_t kinds[CLI_ARCHIVE_KINDS_MAX]; /* objects by kind */
    char created[64];                      /* "" when not known */
};

/* Without a password an encrypted file is only checked for damage. Faults as of archive.h. */
MUST_CHECK int cli_archive_verify(struct io *io, const char *path, const char *password, bool quiet,
                                  struct cli_archive *ret_archive);

/* What is in it, in a few lines on standard output. */
void cli_archive_print(const char *path, const struct cli_archive *archive);

#endif
