#include "query/pcapng.h"

#include "base/wire.h"

#define SECTION_HEADER UINT32_C(0x0A0D0D0A)
#define BYTE_ORDER_MAGIC UINT32_C(0x1A2B3C4D)
#define INTERFACE_DESCRIPTION 1
#define ENHANCED_PACKET 6
#define LINKTYPE_ETHERNET 1
#define OPTION_TSRESOL 9 /* of an interface: 10^-n s */
#define SECTION_BYTES 28
#define INTERFACE_BYTES 32
#define PACKET_BYTES 32 /* without the frame */

void pcapng_put_head(struct buf *buf)
{
    wire_put_u32(buf, SECTION_HEADER);
    wire_put_u32(buf, SECTION_BYTES);
    wire_put_u32(buf, BYTE_ORDER_MAGIC);
    wire_put_u16(buf, 1); /* version 1.0 */
    wire_put_u16(buf, 0);
    wire_put_u64(buf, UINT64_MAX); /* length of the section: not given */
    wire_put_u32(buf, SECTION_BYTES);

    wire_put_u32(buf, INTERFACE_DESCRIPTION);
    wire_put_u32(buf, INTERFACE_BYTES);
    wire_put_u16(buf, LINKTYPE_ETHERNET);
    wire_put_u16(buf, 0);
    wire_put_u32(buf, 0); /* no limit on packets */
    wire_put_u16(buf, OPTION_TSRESOL);
    wire_put_u16(buf, 1);
    wire_put_u32(buf, 9); /* nanoseconds, and padding */
    wire_put_u32(buf, 0); /* end of options */
    wire_put_u32(buf, INTERFACE_BYTES);
}

void pcapng_put_packet(struct buf *buf, int64_t time_ns, struct span frame)
{
    static const uint8_t zeros[4];
    struct span kept = span_first(frame, PCAPNG_PACKET_BYTES_MAX);
    size_t padding = (4 - kept.bytes % 4) % 4;
    uint32_t bytes = (uint32_t)(PACKET_BYTES + kept.bytes + padding);
    wire_put_u32(buf, ENHANCED_PACKET);
    wire_put_u32(buf, bytes);
    wire_put_u32(buf, 0); /* interface */
    wire_put_u32(buf, (uint32_t)((uint64_t)time_ns >> 32));
    wire_put_u32(buf, (uint32_t)(uint64_t)time_ns);
    wire_put_u32(buf, (uint32_t)kept.bytes);
    wire_put_u32(buf, (uint32_t)frame.bytes);
    buf_append(buf, kept);
    buf_append(buf, span_of(zeros, padding));
    wire_put_u32(buf, bytes);
}
