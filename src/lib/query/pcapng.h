/*
 * Packets as a PCAP-NG file (IETF draft-ietf-opsawg-pcapng), as Wireshark and tcpdump read it: one
 * section, one interface of Ethernet frames, nanosecond timestamps. Little-endian.
 */
#ifndef QUERY_PCAPNG_H
#define QUERY_PCAPNG_H

#include "base/buf.h"

#define PCAPNG_PACKET_BYTES_MAX (UINT32_C(256) << 10) /* what readers take; longer ones are cut */

void pcapng_put_head(struct buf *buf); /* what stands before the first packet */
void pcapng_put_packet(struct buf *buf, int64_t time_ns, struct span frame);

#endif
