#include "query/renderers/packet.h"

#include <arpa/inet.h>

#define HEADERS_MAX 16 /* VLAN tags, IPv6 extensions */

/* What is left of the packet; a header that does not fit into it ends the line. */
struct reader {
    struct span rest;
    struct buf *buf;
};

static unsigned u8(struct span at, size_t offset)
{
    return at.data[offset];
}

static unsigned u16(struct span at, size_t offset)
{
    return u8(at, offset) << 8 | u8(at, offset + 1);
}

static unsigned u32(struct span at, size_t offset)
{
    return u16(at, offset) << 16 | u16(at, offset + 2);
}

static bool take(struct reader *reader, size_t bytes, struct span *ret)
{
    if (reader->rest.bytes < bytes) {
        buf_append_str(reader->buf, " [cut off]");
        return false;
    }
    *ret = span_first(reader->rest, bytes);
    reader->rest = span_from(reader->rest, bytes);
    return true;
}

static void put_mac(struct buf *buf, const uint8_t *mac)
{
    buf_printf(buf, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
               mac[5]);
}

static void put_address(struct buf *buf, int family, const uint8_t *address, unsigned port,
                        bool ports)
{
    char text[INET6_ADDRSTRLEN];
    bool six = family == AF_INET6;
    (void)inet_ntop(family, address, text, sizeof(text));
    buf_printf(buf, six && ports ? "[%s]" : "%s", text);
    if (ports) {
        buf_printf(buf, ":%u", port);
    }
}

static void put_flags(struct buf *buf, unsigned flags)
{
    static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
    const char *before = " ";
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if ((flags >> i & 1) != 0) {
            buf_printf(buf, "%s%s", before, names[i]);
            before = ",";
        }
    }
}

static void tcp(struct reader *reader)
{
    struct span header;
    buf_append_str(reader->buf, " TCP");
    if (!take(reader, 20, &header)) {
        return;
    }
    put_flags(reader->buf, u8(header, 13));
    buf_printf(reader->buf, " seq %u ack %u win %u", u32(header, 4), u32(header, 8),
               u16(header, 14));
    size_t bytes = (u8(header, 12) >> 4) * (size_t)4;
    struct span options;
    if (bytes < 20) {
        buf_append_str(reader->buf, " [bad header length]");
    } else if (take(reader, bytes - 20, &options)) {
        buf_printf(reader->buf, " length %zu", reader->rest.bytes);
    }
}

static void udp(struct reader *reader)
{
    struct span header;
    buf_append_str(reader->buf, " UDP");
    if (take(reader, 8, &header)) {
        buf_printf(reader->buf, " length %zu", reader->rest.bytes);
    }
}

static void icmp(struct reader *reader, const char *name)
{
    struct span header;
    buf_append_str(reader->buf, name);
    if (take(reader, 4, &header)) {
        buf_printf(reader->buf, " type %u code %u length %zu", u8(header, 0), u8(header, 1),
                   reader->rest.bytes);
    }
}

/* What IP carries, with the addresses in front of it: ports belong to them. */
static void transport(struct reader *reader, int family, const uint8_t *from, const uint8_t *to,
                      unsigned protocol, bool first)
{
    bool ports = first && (protocol == 6 || protocol == 17) && reader->rest.bytes >= 4;
    unsigned source = ports ? u16(reader->rest, 0) : 0;
    unsigned destination = ports ? u16(reader->rest, 2) : 0;
    put_address(reader->buf, family, from, source, ports);
    buf_append_str(reader->buf, " > ");
    put_address(reader->buf, family, to, destination, ports);
    if (!first) {
        buf_printf(reader->buf, " fragment of protocol %u length %zu", protocol,
                   reader->rest.bytes);
    } else if (protocol == 6) {
        tcp(reader);
    } else if (protocol == 17) {
        udp(reader);
    } else if (protocol == 1) {
        icmp(reader, " ICMP");
    } else if (protocol == 58) {
        icmp(reader, " ICMPv6");
    } else {
        buf_printf(reader->buf, " protocol %u length %zu", protocol, reader->rest.bytes);
    }
}

static void ip4(struct reader *reader)
{
    struct span header;
    struct span options;
    buf_append_str(reader->buf, "IPv4 ");
    if (!take(reader, 20, &header)) {
        return;
    }
    size_t bytes = (u8(header, 0) & 15) * (size_t)4;
    size_t total = u16(header, 2);
    if (u8(header, 0) >> 4 != 4 || bytes < 20) {
        buf_append_str(reader->buf, "[bad header]");
        return;
    }
    if (!take(reader, bytes - 20, &options)) {
        return;
    }
    if (total >= bytes) { /* what follows is padding */
        reader->rest = span_first(reader->rest, MIN(total - bytes, reader->rest.bytes));
    }
    bool first = (u16(header, 6) & 0x1FFF) == 0;
    transport(reader, AF_INET, header.data + 12, header.data + 16, u8(header, 9), first);
}

static bool is_extension(unsigned protocol)
{
    return protocol == 0 || protocol == 43 || protocol == 60 || protocol == 44;
}

static void ip6(struct reader *reader)
{
    struct span header;
    buf_append_str(reader->buf, "IPv6 ");
    if (!take(reader, 40, &header)) {
        return;
    }
    if (u8(header, 0) >> 4 != 6) {
        buf_append_str(reader->buf, "[bad header]");
        return;
    }
    reader->rest = span_first(reader->rest, MIN((size_t)u16(header, 4), reader->rest.bytes));
    unsigned protocol = u8(header, 6);
    bool first = true;
    for (size_t i = 0; i < HEADERS_MAX && is_extension(protocol); i++) {
        struct span extension;
        struct span more;
        bool fragment = protocol == 44;
        if (!take(reader, 8, &extension) ||
            (!fragment && !take(reader, u8(extension, 1) * (size_t)8, &more))) {
            return;
        }
        first = first && (!fragment || (u16(extension, 2) & 0xFFF8) == 0);
        protocol = u8(extension, 0);
    }
    transport(reader, AF_INET6, header.data + 8, header.data + 24, protocol, first);
}

static void arp(struct reader *reader)
{
    struct span header;
    buf_append_str(reader->buf, "ARP ");
    if (!take(reader, 28, &header)) {
        return;
    }
    if (u16(header, 2) != 0x0800 || u8(header, 4) != 6 || u8(header, 5) != 4) {
        buf_append_str(reader->buf, "of another kind");
        return;
    }
    bool request = u16(header, 6) == 1;
    buf_append_str(reader->buf, request ? "who has " : "");
    put_address(reader->buf, AF_INET, header.data + (request ? 24 : 14), 0, false);
    buf_append_str(reader->buf, request ? "? tell " : " is at ");
    if (request) {
        put_address(reader->buf, AF_INET, header.data + 14, 0, false);
    } else {
        put_mac(reader->buf, header.data + 8);
    }
}

void packet_text(struct span packet, struct buf *buf)
{
    struct reader reader = {.rest = packet, .buf = buf};
    struct span header;
    if (packet.bytes < 14) {
        buf_printf(buf, "%zu bytes [cut off]", packet.bytes);
        return;
    }
    (void)take(&reader, 14, &header);
    put_mac(buf, header.data + 6);
    buf_append_str(buf, " > ");
    put_mac(buf, header.data);
    buf_append_byte(buf, ' ');
    unsigned type = u16(header, 12);
    for (size_t i = 0; i < HEADERS_MAX && (type == 0x8100 || type == 0x88A8); i++) {
        struct span tag;
        if (!take(&reader, 4, &tag)) {
            return;
        }
        buf_printf(buf, "VLAN %u ", u16(tag, 0) & 0xFFF);
        type = u16(tag, 2);
    }
    switch (type) {
    case 0x0800:
        ip4(&reader);
        break;
    case 0x86DD:
        ip6(&reader);
        break;
    case 0x0806:
        arp(&reader);
        break;
    default:
        if (type < 0x600) {
            buf_append_str(buf, "802.3");
        } else {
            buf_printf(buf, "type 0x%04x", type);
        }
        buf_printf(buf, " length %zu", reader.rest.bytes);
        break;
    }
}
