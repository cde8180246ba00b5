/*
 * What a node holds, per well and partition of time, as numbers that are the same on every node
 * that holds the same: sums over the elements with their stamps, whatever blocks and files they
 * lie in. Two nodes are compared over the writes that both have, and over times that both keep.
 */
#ifndef INDEXER_STORAGE_DIGEST_H
#define INDEXER_STORAGE_DIGEST_H

#include "indexer/storage.h"
#include "replicate/places.h"

struct storage_digest {
    const char *well; /* as long as storage */
    int64_t partition;
    uint64_t entries;
    uint64_t points;
    uint64_t sums[2];
};

struct storage_digest_options {
    int64_t start_ns; /* [start, end); an end of INT64_MAX includes it */
    int64_t end_ns;
    const struct replicate_places *upto; /* later writes are left out; NULL: none */
    const _Atomic bool *stopping;        /* ERR_CANCELLED when true; may be NULL */
};

/* Reads everything there is in that range. Sorted by well and partition; the caller frees. */
MUST_CHECK int storage_digest(struct storage *storage, const struct storage_digest_options *options,
                              struct storage_digest **ret_digests, size_t *ret_count);

/* The same of the attributes of the series that live: `entries` counts the changes that they are
 * made of; times are not looked at. */
MUST_CHECK int storage_digest_attributes(struct storage *storage,
                                         const struct storage_digest_options *options,
                                         struct storage_digest *ret_digest);

/* From when on a well has everything it was given; INT64_MIN: from the beginning. */
int64_t storage_well_keeps_since(struct storage *storage, size_t index);

#endif
