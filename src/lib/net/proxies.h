/*
 * Whom to believe about where a request comes from. A proxy in front says so in headers
 * (X-Forwarded-For, X-Forwarded-Proto, RFC 7239 Forwarded) or before the first byte (PROXY
 * protocol 1 and 2, https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt); anybody else can
 * say the same, so only proxies that were named are believed. Pure; reading needs no lock.
 */
#ifndef NET_PROXIES_H
#define NET_PROXIES_H

#include <sys/socket.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"
#include "base/vec.h"

#define PROXIES_HEADER_BYTES_MAX 536 /* of a PROXY header; longer ones are refused */

struct proxies_network {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned bits;       /* of 128 */
};

struct proxies {
    VEC(struct proxies_network) networks;
};

/* "10.0.0.7", "10.0.0.0/8", "2001:db8::/32"; ERR_INVALID says what is wrong. */
MUST_CHECK int proxies_add(struct proxies *proxies, struct span text);
void proxies_deinit(struct proxies *proxies);
bool proxies_trust(const struct proxies *proxies, struct span address);

/* What headers said: all values of one name, joined by commas; empty: none came. */
struct proxies_headers {
    struct span forwarded_for;   /* X-Forwarded-For */
    struct span forwarded_proto; /* X-Forwarded-Proto */
    struct span forwarded;       /* Forwarded; counts where the two others say nothing */
};

struct proxies_client {
    const char *address; /* `peer` itself, or in the arena */
    bool https;          /* a proxy says so */
};

/* The client behind `peer`: the last address in the chain that is no trusted proxy. What cannot
 * be read ends the chain. */
struct proxies_client proxies_client(const struct proxies *proxies, const char *peer,
                                     const struct proxies_headers *headers, struct arena *arena);

enum proxies_outcome { PROXIES_MORE = 1 /* it is not whole yet */ };

/* Reads a PROXY header. 0: `bytes` are the whole of it; the address is left alone where it names
 * none (LOCAL, UNKNOWN). PROXIES_MORE: at least *ret_more bytes follow that belong to it; read no
 * more than these. ERR_PROTOCOL: it is none. */
MUST_CHECK int proxies_header(struct span bytes, struct sockaddr_storage *address,
                              socklen_t *address_bytes, size_t *ret_more);

#endif
