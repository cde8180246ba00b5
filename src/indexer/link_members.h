/*
 * What this node knows of who forwards to whom (replicate/members.h), shared by all its links: each
 * tells its peer when there is news and takes what the peer tells. Kept in a file, so that a node
 * that starts while its target is dead knows who is behind it. Any number of threads.
 *
 * The file is u32 checksum of the rest (low half of XXH3-64) and the members as on the wire; one
 * that is damaged is as none, with a line in the log.
 */
#ifndef INDEXER_LINK_MEMBERS_H
#define INDEXER_LINK_MEMBERS_H

#include "io/io.h"
#include "replicate/members.h"

struct link_members;

/* Whom we forward to; `addresses` are copied, NULL: not to be gone round, so nobody is told.
 * `path` NULL: nothing is kept. */
struct link_members *link_members_open(struct io *io, const char *path, struct uuid self,
                                       const char *const *addresses, size_t count);
void link_members_close(struct link_members **members);

struct uuid link_members_self(const struct link_members *members);

/* Grows with each news. */
uint64_t link_members_edition(struct link_members *members);

/* A copy, which the caller deinits. */
void link_members_copy(struct link_members *members, struct replicate_members *ret_members);
void link_members_learn(struct link_members *members, const struct replicate_members *others);

/* Whether another node of the cluster has our id, as far as what is said of us tells. */
bool link_members_double(struct link_members *members);

/* Target `index` is that node. */
void link_members_met(struct link_members *members, size_t index, struct uuid node);

/* Zeros: it was never met. */
struct uuid link_members_target(struct link_members *members, size_t index);

#endif
