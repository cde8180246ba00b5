/* Packets in words: what they carry, where they are cut off, and any bytes at all. */
#include "query/renderers/packet.h"

#include "base/mem.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ETHER "5254001235020800270000010800"
#define IP4_TCP "450000280001400040060000c00002070a000001"
#define TCP "01bbc35600000001000000025012faf000000000"

static const struct {
    const char *hex, *want;
} rows[] = {
    {ETHER IP4_TCP TCP "000000000000",
     "08:00:27:00:00:01 > 52:54:00:12:35:02 IPv4 192.0.2.7:443 > 10.0.0.1:50006 TCP SYN,ACK seq 1 "
     "ack 2 win 64240 length 0"},
    {ETHER "450000210001000040110000c00002070a0000010035c356000d000068656c6c6f",
     "08:00:27:00:00:01 > 52:54:00:12:35:02 IPv4 192.0.2.7:53 > 10.0.0.1:50006 UDP length 5"},
    {ETHER "4500001c0001000040010000c00002070a0000010800f7ff00000000",
     "08:00:27:00:00:01 > 52:54:00:12:35:02 IPv4 192.0.2.7 > 10.0.0.1 ICMP type 8 code 0 length 4"},
    {ETHER "450000180001002040110000c00002070a00000168656c6c",
     "08:00:27:00:00:01 > 52:54:00:12:35:02 IPv4 192.0.2.7 > 10.0.0.1 fragment of protocol 17 "
     "length 4"},
    {"ffffffffffff0800270000018100000a0806"
     "0001080006040001080027000001c00002070000000000000a000001",
     "08:00:27:00:00:01 > ff:ff:ff:ff:ff:ff VLAN 10 ARP who has 10.0.0.1? tell 192.0.2.7"},
    {"ffffffffffff0800270000010806"
     "0001080006040002080027000001c00002070000000000000a000001",
     "08:00:27:00:00:01 > ff:ff:ff:ff:ff:ff ARP 192.0.2.7 is at 08:00:27:00:00:01"},
    {"52540012350208002700000186dd"
     "60000000001c000020010db800000000000000000000000120010db8000000000000000000000002"
     "0600010400000000" TCP,
     "08:00:27:00:00:01 > 52:54:00:12:35:02 IPv6 [2001:db8::1]:443 > [2001:db8::2]:50006 TCP "
     "SYN,ACK seq 1 ack 2 win 64240 length 0"},
    {"52540012350208002700000188cc0207",
     "08:00:27:00:00:01 > 52:54:00:12:35:02 type 0x88cc length 2"},
    {"5254001235020800270000010026424203", "08:00:27:00:00:01 > 52:54:00:12:35:02 802.3 length 3"},
    {ETHER "4500", "08:00:27:00:00:01 > 52:54:00:12:35:02 IPv4  [cut off]"},
    {"5254", "2 bytes [cut off]"},
    {"", "0 bytes [cut off]"},
};

static void packets_are_told_in_words(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buf packet = {0};
        struct buf words = {0};
        assert_true(text_unhex(&packet, span_of_str(rows[i].hex)));
        packet_text(buf_span(&packet), &words);
        assert_string_equal(buf_str(&words), rows[i].want);
        buf_deinit(&packet);
        buf_deinit(&words);
    }
}

/* Every length of every packet, and any byte in every place: in memory of exactly that size. */
static void no_packet_is_read_past_its_end(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buf packet = {0};
        assert_true(text_unhex(&packet, span_of_str(rows[i].hex)));
        for (size_t bytes = 0; bytes <= packet.bytes; bytes++) {
            uint8_t *copy = mem_alloc(bytes + 1);
            memcpy(copy + 1, buf_str(&packet), bytes); /* its end is the memory's */
            for (size_t at = 0; at <= bytes; at++) {
                struct buf words = {0};
                copy[at] ^= 0xFF;
                packet_text(span_of(copy + 1, bytes), &words);
                copy[at] ^= 0xFF;
                assert_true(words.bytes > 0);
                buf_deinit(&words);
            }
            mem_free(copy);
        }
        buf_deinit(&packet);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_told_in_words),
        cmocka_unit_test(no_packet_is_read_past_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
