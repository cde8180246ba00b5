/* pcap: DATA as a captured packet, in words. Tested by packet_test.c. */
#include "query/modules/modules.h"
#include "query/renderers/packet.h"

static const char *const formats[] = {"text", "json", "csv", "pcap", NULL};

const struct query_renderer query_renderer_pcap = {
    .name = "pcap",
    .summary = "captured packets in words",
    .text = packet_text,
    .formats = formats,
    .in_words = true,
};
