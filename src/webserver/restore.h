/*
 * What the two halves of a restore share: restore.c receives and verifies a backup,
 * restore_apply.c does what it says. One thread.
 */
#ifndef WEBSERVER_RESTORE_H
#define WEBSERVER_RESTORE_H

#include <jansson.h>

#include "base/map.h"
#include "io/io.h"
#include "net/http_server.h"
#include "object/archive.h"
#include "webserver/webserver.h"

#define RESTORE_PROBLEMS_MAX 100 /* named in the answer; the rest is counted */
#define RESTORE_KINDS_MAX 64     /* above every object_kind */

struct restore_count {
    uint64_t restored, unchanged, deleted, failed;
};

struct restore {
    struct webserver *webserver;
    struct http_request *request;
    struct io_file *file; /* the backup */
    char *path;           /* of it; owned */
    const char *password; /* may be NULL */
    bool replace;         /* delete what is not in it */

    json_t *info;                     /* owned; of the first record */
    struct map ids;                   /* of its objects */
    struct map blobs;                 /* of its contents */
    bool has_kind[RESTORE_KINDS_MAX]; /* is in it completely */
    struct restore_count counts[RESTORE_KINDS_MAX];
    struct object_archive_counts sizes; /* verified */
    json_t *problems;                   /* owned list */
};

/* A reader from the beginning of the file. */
struct restore_file {
    struct io_file *file;
    uint64_t offset;
};
MUST_CHECK int restore_open(const struct restore *restore, struct restore_file *file,
                            struct object_archive_reader **ret_reader);

/* After the whole file was verified. 0 although single objects could not be restored: these are in
 * `problems`. A fault: the store or the datastore said no, the rest was not tried. */
MUST_CHECK int restore_apply(struct restore *restore);

#endif
