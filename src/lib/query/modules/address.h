/* Sets of addresses as filters name them: a network in CIDR form, PRIVATE, MULTICAST. Pure. */
#ifndef QUERY_MODULES_ADDRESS_H
#define QUERY_MODULES_ADDRESS_H

#include "base/span.h"
#include "series/entry.h"

#define ADDRESS_NETWORKS_MAX 8

struct address_network {
    uint8_t ip[ENTRY_SOURCE_BYTES];
    unsigned bits; /* of the 128 */
};

struct address_set {
    struct address_network networks[ADDRESS_NETWORKS_MAX];
    size_t count;
};

/* "10.0.0.0/8", "fd00::/8", one address, or a name from above. */
bool address_set_parse(struct span text, struct address_set *ret_set);
bool address_set_has(const struct address_set *set, const uint8_t ip[ENTRY_SOURCE_BYTES]);

/* Sets all but the first `bits` of the 128 to zero. */
void address_mask(uint8_t ip[ENTRY_SOURCE_BYTES], unsigned bits);
bool address_is_v4(const uint8_t ip[ENTRY_SOURCE_BYTES]);

/* PRIVATE, MULTICAST or PUBLIC. */
const char *address_category(const uint8_t ip[ENTRY_SOURCE_BYTES]);

#endif
