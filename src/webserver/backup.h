/*
 * Backup and restore: everything that people made, as one file (docs/formats/backup.md).
 *
 * GET /api/backup streams one moment of the store. POST /api/backup keeps the file beside the
 * blobs, verifies all of it, and only then changes anything. Admins only; one of either runs at a
 * time on a webserver. backup.c writes, restore.c receives and verifies, restore_apply.c applies.
 */
#ifndef WEBSERVER_BACKUP_H
#define WEBSERVER_BACKUP_H

#include "net/http_server.h"
#include "object/object.h"
#include "webserver/webserver.h"

struct backup_scope {
    bool omit_sensitive; /* no API tokens, no values of secrets, no password hashes */
    bool saved_searches;
};

bool backup_has_kind(const struct backup_scope *scope, enum object_kind kind);

/* One backup or restore at a time. On false a 503 has been sent. */
bool backup_begin(struct http_request *request);
void backup_end(void);

/* The handler of POST /api/backup. */
void backup_restore(struct http_request *request, void *context);

extern const struct http_route backup_routes[];
extern const size_t backup_route_count;

#endif
