/*
 * Contents of resources and user files: from a request into the blob store and back, streamed,
 * never wholly in memory.
 */
#ifndef WEBSERVER_CONTENTS_H
#define WEBSERVER_CONTENTS_H

#include "net/http_server.h"
#include "object/object.h"
#include "webserver/webserver.h"

#define CONTENTS_FIELDS_MAX 16
#define CONTENTS_FIELD_BYTES_MAX ((size_t)64 * 1024)

/* The plain fields of a form that stand before its file. */
struct contents_fields {
    const char *names[CONTENTS_FIELDS_MAX];
    const char *values[CONTENTS_FIELDS_MAX]; /* live as long as the request */
    size_t count;
};

/* "" when the form has no such field. */
const char *contents_field(const struct contents_fields *fields, const char *name);

/* Stores the part `file` of a multipart form, or the plain body when it is no form. `ret_fields`
 * may be NULL. ERR_INVALID: a form without a file; ERR_TOO_LARGE: above `bytes_max`. */
MUST_CHECK int contents_receive(struct http_request *request, struct webserver *webserver,
                                uint64_t bytes_max, struct contents_fields *ret_fields,
                                struct object_blob *ret_blob);

/* Answers with the object's contents (empty when it has none), fetched from the datastore if they
 * have not arrived yet. */
void contents_send(struct http_request *request, struct webserver *webserver,
                   const struct object *object, const char *content_type);

/* Appends the first `bytes` bytes (fewer when there are not so many). */
MUST_CHECK int contents_head(struct webserver *webserver, const struct object_blob *blob,
                             size_t bytes, struct buf *head);

/* The content type that the first bytes look like; "empty" for none. */
const char *contents_sniff(struct span head);

#endif
