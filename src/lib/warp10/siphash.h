/*
 * SipHash-2-4 as Warp 10 uses it: the key is two big-endian words, and identifiers come from the
 * text followed by its mirror image. Ids of classes and label sets, shard keys, token checks.
 */
#ifndef WARP10_SIPHASH_H
#define WARP10_SIPHASH_H

#include "base/span.h"

#define SIPHASH_KEY_BYTES 16

struct siphash_key {
    uint64_t k0, k1;
};

struct siphash_key siphash_key_of(const uint8_t bytes[SIPHASH_KEY_BYTES]);
uint64_t siphash(struct siphash_key key, struct span data);
uint64_t siphash_mirrored(struct siphash_key key, struct span data);

struct siphash_label {
    struct span name, value;
};

/* The id of a label set; the order of `labels` does not matter. */
uint64_t siphash_labels(struct siphash_key key, const struct siphash_label *labels, size_t count);

/* What stands after #K in a datalog file. */
static inline uint64_t siphash_shard_key(uint64_t class_id, uint64_t labels_id)
{
    return (class_id & UINT64_C(0xFFFFFF000000)) | (labels_id & UINT64_C(0xFFFFFF));
}

#endif
