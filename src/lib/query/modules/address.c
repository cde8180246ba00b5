/* Tested by address_test.c. */
#include "query/modules/address.h"

#include "base/check.h"

#define V4_BITS 96 /* before an IPv4 address in its mapped form */

static const char *const private[] = {"10.0.0.0/8",  "172.16.0.0/12", "192.168.0.0/16",
                                      "127.0.0.0/8", "224.0.0.0/24",  "169.254.0.0/16",
                                      "fd00::/8",    "fe80::/10"};
static const char *const multicast[] = {"224.0.0.0/4", "ff00::/8"};

bool address_is_v4(const uint8_t ip[ENTRY_SOURCE_BYTES])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    return memcmp(ip, mapped, sizeof(mapped)) == 0;
}

void address_mask(uint8_t ip[ENTRY_SOURCE_BYTES], unsigned bits)
{
    for (unsigned i = 0; i < ENTRY_SOURCE_BYTES; i++) {
        unsigned left = bits > i * 8 ? bits - i * 8 : 0;
        unsigned kept = left >= 8 ? 0xFF : 0xFF00 >> left;
        ip[i] = (uint8_t)(ip[i] & kept);
    }
}

static bool parse_network(struct span text, struct address_network *network)
{
    ptrdiff_t slash = span_find_byte(text, '/');
    uint64_t bits = 0;
    struct span address = slash < 0 ? text : span_first(text, (size_t)slash);
    if (!entry_source_parse(address, network->ip)) {
        return false;
    }
    bool v4 = address_is_v4(network->ip) && span_find_byte(address, ':') < 0;
    unsigned base = v4 ? V4_BITS : 0;
    network->bits = 128;
    if (slash >= 0) {
        if (!span_to_u64(span_from(text, (size_t)slash + 1), &bits) || bits > 128 - base) {
            return false;
        }
        network->bits = base + (unsigned)bits;
    }
    address_mask(network->ip, network->bits);
    return true;
}

static void named(const char *const *networks, size_t count, struct address_set *set)
{
    for (set->count = 0; set->count < count; set->count++) {
        CHECK(parse_network(span_of_str(networks[set->count]), &set->networks[set->count]));
    }
}

bool address_set_parse(struct span text, struct address_set *ret_set)
{
    ret_set->count = 0;
    if (span_equal_str(text, "PRIVATE")) {
        named(private, ARRAY_COUNT(private), ret_set);
    } else if (span_equal_str(text, "MULTICAST")) {
        named(multicast, ARRAY_COUNT(multicast), ret_set);
    } else if (parse_network(text, &ret_set->networks[0])) {
        ret_set->count = 1;
    }
    return ret_set->count > 0;
}

bool address_set_has(const struct address_set *set, const uint8_t ip[ENTRY_SOURCE_BYTES])
{
    for (size_t i = 0; i < set->count; i++) {
        uint8_t masked[ENTRY_SOURCE_BYTES];
        memcpy(masked, ip, sizeof(masked));
        address_mask(masked, set->networks[i].bits);
        if (memcmp(masked, set->networks[i].ip, sizeof(masked)) == 0) {
            return true;
        }
    }
    return false;
}

const char *address_category(const uint8_t ip[ENTRY_SOURCE_BYTES])
{
    struct address_set set;
    named(private, ARRAY_COUNT(private), &set);
    if (address_set_has(&set, ip)) {
        return "PRIVATE";
    }
    named(multicast, ARRAY_COUNT(multicast), &set);
    return address_set_has(&set, ip) ? "MULTICAST" : "PUBLIC";
}
