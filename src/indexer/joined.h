/*
 * Nodes that were brought up by `aquifer datalog join`: this node forwards to each until it is
 * told to end that, beside the forwarders of its config and just as they do. Which nodes those
 * are is kept in a file.
 *
 *     POST /control/v1/join {"node", "target", "tls", "insecure"} ──> forwarded to, for good
 *                           {"node"}                              ──> no more
 *
 * Any number of threads.
 */
#ifndef INDEXER_JOINED_H
#define INDEXER_JOINED_H

#include <jansson.h>

#include "indexer/forwarder.h"

#define JOINED_MAX 64

struct joined;

struct joined_options {
    struct forwarder_options forwarder; /* but for name, target, address, node */
    const char *path;                   /* of the file; NULL: it is not kept */
};

/* Reads the file and forwards to those that are in it. */
MUST_CHECK int joined_start(const struct joined_options *options, struct joined **ret_joined);
void joined_stop(struct joined **joined);

/* `peer` is the address of who asks: a target of ":port" is there. ERR_INVALID: what is wrong;
 * ERR_NOT_FOUND: it is not forwarded to. */
MUST_CHECK int joined_change(struct joined *joined, const json_t *request, const char *peer);

void joined_each(struct joined *joined, void (*each)(void *context, struct forwarder *forwarder),
                 void *context);

#endif
