#include "net/proxies.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/mem.h"

#define MAPPED_BYTES 12 /* of ::ffff:0.0.0.0 */

static const uint8_t mapped[MAPPED_BYTES] = {[10] = 0xFF, [11] = 0xFF};

/* False: no address. */
static bool read_address(struct span text, uint8_t ret[16])
{
    char copy[INET6_ADDRSTRLEN];
    if (text.bytes == 0 || text.bytes >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text.data, text.bytes);
    copy[text.bytes] = 0;
    memcpy(ret, mapped, MAPPED_BYTES);
    return inet_pton(AF_INET, copy, ret + MAPPED_BYTES) == 1 || inet_pton(AF_INET6, copy, ret) == 1;
}

int proxies_add(struct proxies *proxies, struct span text)
{
    struct proxies_network network = {.bits = 128};
    struct span bits_text = text;
    struct span address = text;
    bool has_bits = span_find_byte(text, '/') >= 0 && span_split(&bits_text, '/', &address);
    uint64_t bits = 0;
    bool good = read_address(address, network.address);
    uint64_t most = span_find_byte(address, ':') < 0 ? 32 : 128;
    if (good && has_bits) {
        good = span_to_u64(bits_text, &bits) && bits <= most;
        network.bits = (unsigned)(128 - most + bits);
    }
    if (!good) {
        return err_set(ERR_INVALID, "\"%.*s\" is no address and no network as 10.0.0.0/8",
                       SPAN_ARG(span_first(text, 64)));
    }
    vec_push(&proxies->networks, network);
    return 0;
}

void proxies_deinit(struct proxies *proxies)
{
    vec_deinit(&proxies->networks);
}

static bool is_within(const struct proxies_network *network, const uint8_t address[16])
{
    unsigned whole = network->bits / 8;
    unsigned rest = network->bits % 8;
    return memcmp(network->address, address, whole) == 0 &&
           (rest == 0 || ((network->address[whole] ^ address[whole]) >> (8 - rest)) == 0);
}

bool proxies_trust(const struct proxies *proxies, struct span text)
{
    uint8_t address[16];
    if (!read_address(text, address)) {
        return false;
    }
    for (size_t i = 0; i < proxies->networks.count; i++) {
        if (is_within(&proxies->networks.items[i], address)) {
            return true;
        }
    }
    return false;
}

/* Takes the last piece before a comma off the end; false: there is none. */
static bool take_last(struct span *rest, struct span *ret_piece)
{
    if (rest->bytes == 0) {
        return false;
    }
    size_t begin = rest->bytes;
    while (begin > 0 && rest->data[begin - 1] != ',') {
        begin--;
    }
    *ret_piece = span_trim(span_from(*rest, begin));
    rest->bytes = begin > 0 ? begin - 1 : 0;
    return true;
}

/* "1.2.3.4:567", "[2001:db8::1]:567", "2001:db8::1" without what does not belong to the address. */
static struct span bare_address(struct span text)
{
    if (text.bytes > 0 && text.data[0] == '[') {
        ptrdiff_t end = span_find_byte(text, ']');
        return end < 0 ? SPAN_NONE : span_first(span_from(text, 1), (size_t)end - 1);
    }
    ptrdiff_t colon = span_find_byte(text, ':');
    bool has_port = colon >= 0 && span_find_byte(span_from(text, (size_t)colon + 1), ':') < 0;
    return has_port ? span_first(text, (size_t)colon) : text;
}

/* The value of a parameter of one element of Forwarded, without quotes. */
static struct span parameter(struct span element, struct span name)
{
    struct span value;
    while (span_split(&element, ';', &value)) {
        struct span key;
        if (span_split(&value, '=', &key) && span_equal_nocase(span_trim(key), name)) {
            value = span_trim(value);
            bool quoted = value.bytes >= 2 && value.data[0] == '"';
            return quoted ? span_first(span_from(value, 1), value.bytes - 2) : value;
        }
    }
    return SPAN_NONE;
}

struct proxies_client proxies_client(const struct proxies *proxies, const char *peer,
                                     const struct proxies_headers *headers, struct arena *arena)
{
    struct proxies_client client = {.address = peer};
    bool is_own = headers->forwarded_for.bytes == 0 && headers->forwarded_proto.bytes == 0;
    struct span chain = is_own ? headers->forwarded : headers->forwarded_for;
    struct span proto = headers->forwarded_proto;
    struct span piece;
    while (proxies_trust(proxies, span_of_str(client.address))) {
        if (!is_own && proto.bytes > 0 && take_last(&proto, &piece)) {
            client.https = span_equal_nocase(piece, SPAN_LIT("https"));
        }
        if (!take_last(&chain, &piece)) {
            break;
        }
        if (is_own) {
            client.https =
                span_equal_nocase(parameter(piece, SPAN_LIT("proto")), SPAN_LIT("https"));
            piece = parameter(piece, SPAN_LIT("for"));
        }
        uint8_t address[16];
        piece = bare_address(piece);
        if (!read_address(piece, address)) {
            break;
        }
        client.address = arena_strndup(arena, (const char *)piece.data, piece.bytes);
    }
    return client;
}

/* ── PROXY protocol ──────────────────────────────────────────────────────────────────────── */

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";

#define SIGNATURE_BYTES (sizeof(signature) - 1)
#define LEAST_BYTES 15 /* "PROXY UNKNOWN\r\n" */
#define V1_BYTES_MAX 107
#define V2_HEADER_BYTES 16

static void put_address(struct sockaddr_storage *address, socklen_t *address_bytes, int family,
                        const void *ip, uint16_t port)
{
    *address = (struct sockaddr_storage){.ss_family = (sa_family_t)family};
    if (family == AF_INET) {
        struct sockaddr_in *v4 = (void *)address;
        memcpy(&v4->sin_addr, ip, sizeof(v4->sin_addr));
        v4->sin_port = htons(port);
        *address_bytes = sizeof(*v4);
    } else {
        struct sockaddr_in6 *v6 = (void *)address;
        memcpy(&v6->sin6_addr, ip, sizeof(v6->sin6_addr));
        v6->sin6_port = htons(port);
        *address_bytes = sizeof(*v6);
    }
}

/* "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443": source, destination and their ports. */
static int read_v1(struct span line, struct sockaddr_storage *address, socklen_t *address_bytes)
{
    struct span words[6] = {0};
    struct span rest = line;
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        (void)span_split(&rest, ' ', &words[i]);
    }
    if (span_equal_str(words[1], "UNKNOWN")) {
        return 0;
    }
    uint8_t ip[16];
    uint64_t port = 0;
    bool v4 = span_equal_str(words[1], "TCP4");
    if ((!v4 && !span_equal_str(words[1], "TCP6")) || !read_address(words[2], ip) ||
        (span_find_byte(words[2], ':') < 0) != v4 || !span_to_u64(words[4], &port) ||
        port > UINT16_MAX || words[5].bytes == 0 || rest.bytes > 0) {
        return err_set(ERR_PROTOCOL, "a PROXY header that cannot be read: \"%.*s\"",
                       SPAN_ARG(line));
    }
    put_address(address, address_bytes, v4 ? AF_INET : AF_INET6, v4 ? ip + MAPPED_BYTES : ip,
                (uint16_t)port);
    return 0;
}

static int header_v1(struct span bytes, struct sockaddr_storage *address, socklen_t *address_bytes,
                     size_t *ret_more)
{
    if (span_ends_with(bytes, SPAN_LIT("\r\n"))) {
        return read_v1(span_first(bytes, bytes.bytes - 2), address, address_bytes);
    }
    if (bytes.bytes >= V1_BYTES_MAX) {
        return err_set(ERR_PROTOCOL, "a PROXY header without an end");
    }
    *ret_more = bytes.bytes < LEAST_BYTES ? LEAST_BYTES - bytes.bytes : 1;
    return PROXIES_MORE;
}

static int header_v2(struct span bytes, struct sockaddr_storage *address, socklen_t *address_bytes,
                     size_t *ret_more)
{
    if (bytes.bytes < V2_HEADER_BYTES) {
        *ret_more = (bytes.bytes < LEAST_BYTES ? LEAST_BYTES : V2_HEADER_BYTES) - bytes.bytes;
        return PROXIES_MORE;
    }
    uint8_t command = bytes.data[12];
    uint8_t family = bytes.data[13];
    size_t more = (size_t)bytes.data[14] << 8 | bytes.data[15];
    if (command >> 4 != 2 || (command & 15) > 1 || more > PROXIES_HEADER_BYTES_MAX - 16) {
        return err_set(ERR_PROTOCOL, "a PROXY header of %zu bytes, version and command %02x", more,
                       command);
    }
    if (bytes.bytes < V2_HEADER_BYTES + more) {
        *ret_more = V2_HEADER_BYTES + more - bytes.bytes;
        return PROXIES_MORE;
    }
    const uint8_t *at = bytes.data + V2_HEADER_BYTES;
    bool v4 = family == 0x11;
    bool v6 = family == 0x21;
    if ((v4 && more < 12) || (v6 && more < 36)) {
        return err_set(ERR_PROTOCOL, "a PROXY header with %zu bytes of addresses", more);
    }
    if ((command & 15) == 1 && (v4 || v6)) {
        const uint8_t *port = at + (v4 ? 8 : 32);
        put_address(address, address_bytes, v4 ? AF_INET : AF_INET6, at,
                    (uint16_t)(port[0] << 8 | port[1]));
    }
    return 0;
}

int proxies_header(struct span bytes, struct sockaddr_storage *address, socklen_t *address_bytes,
                   size_t *ret_more)
{
    struct span v2 = span_of(signature, SIGNATURE_BYTES);
    struct span v1 = SPAN_LIT("PROXY ");
    if (span_equal(span_first(bytes, v2.bytes), span_first(v2, bytes.bytes))) {
        return header_v2(bytes, address, address_bytes, ret_more);
    }
    if (span_equal(span_first(bytes, v1.bytes), span_first(v1, bytes.bytes))) {
        return header_v1(bytes, address, address_bytes, ret_more);
    }
    return err_set(ERR_PROTOCOL, "a trusted proxy sent no PROXY header");
}
