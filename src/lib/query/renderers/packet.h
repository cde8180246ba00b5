/*
 * A captured packet in words, one line: Ethernet with VLANs, ARP, IPv4, IPv6 with its extension
 * headers, TCP, UDP, ICMP; what is behind them is counted. What is cut off or unknown is said.
 *
 *     52:54:00:12:35:02 > 08:00:27:00:00:01 IPv4 192.0.2.7:443 > 10.0.0.1:50022 TCP SYN,ACK seq 1
 *     ack 2 win 64240 length 20
 *
 * Pure; any bytes.
 */
#ifndef QUERY_RENDERERS_PACKET_H
#define QUERY_RENDERERS_PACKET_H

#include "base/buf.h"

void packet_text(struct span packet, struct buf *buf);

#endif
