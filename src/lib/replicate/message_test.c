/* Every message goes over the wire unchanged, plain and packed; no other bytes are taken for one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/hash.h"
#include "replicate/message.h"

static struct replicate_message example(enum replicate_message_type type)
{
    static uint8_t body[5000] = {1, 2, 3};
    struct replicate_message message = {.type = type,
                                        .protocol = REPLICATE_PROTOCOL,
                                        .nonce = {7, 8},
                                        .mac = {9},
                                        .node.bytes = {4},
                                        .origin = {.node.bytes = {5}, .incarnation = 77},
                                        .name = span_of_str("to the east"),
                                        .text = span_of_str("two nodes with one id"),
                                        .position = 12345678901,
                                        .horizon_ns = -5,
                                        .needs = {-7, 8, 9},
                                        .body = span_of(body, sizeof(body))};
    struct buf targets = {0};
    struct replicate_target target = {{{6}}, span_of_str("tcp://b:9406")};
    replicate_target_put(&targets, &target);
    (void)replicate_members_say(&message.members, message.node, 3, buf_span(&targets), 17);
    buf_deinit(&targets);
    for (uint64_t i = 1; i < 20; i++) {
        replicate_places_raise(
            &message.places, (struct replicate_place){{.node.bytes = {1}, .incarnation = i}, i, i});
    }
    replicate_places_raise(&message.doubt, (struct replicate_place){{.incarnation = 3}, 4, 5});
    return message;
}

static void check_equal(const struct replicate_message *a, const struct replicate_message *b)
{
    struct buf first = {0};
    struct buf second = {0};
    replicate_message_write(&first, a, 0);
    replicate_message_write(&second, b, 0);
    assert_int_equal(first.bytes, second.bytes);
    assert_memory_equal(first.data, second.data, first.bytes);
    buf_deinit(&first);
    buf_deinit(&second);
}

static void messages_come_back_as_they_were(void **state)
{
    (void)state;
    struct buf scratch = {0};
    for (enum replicate_message_type type = REPLICATE_CHALLENGE; type < REPLICATE_MESSAGE_TYPES;
         type++) {
        for (int level = 0; level < 2; level++) {
            struct replicate_message message = example(type);
            struct replicate_message read = {0};
            struct buf frame = {0};
            size_t bytes;
            replicate_message_write(&frame, &message, level);
            assert_int_equal(replicate_message_read(buf_span(&frame), REPLICATE_GREETING_BYTES_MAX,
                                                    &scratch, &read, &bytes),
                             0);
            assert_int_equal(bytes, frame.bytes);
            check_equal(&message, &read);
            replicate_message_deinit(&message);
            replicate_message_deinit(&read);
            buf_deinit(&frame);
        }
    }
    buf_deinit(&scratch);
}

static void a_cut_frame_asks_for_more_and_an_altered_one_is_refused(void **state)
{
    (void)state;
    struct replicate_message message = example(REPLICATE_HELLO);
    struct replicate_message read = {0};
    struct buf scratch = {0};
    struct buf frame = {0};
    size_t bytes;
    replicate_message_write(&frame, &message, 1);
    for (size_t cut = 0; cut < frame.bytes; cut++) {
        struct span part = span_of(frame.data, cut);
        assert_int_equal(
            replicate_message_read(part, REPLICATE_GREETING_BYTES_MAX, &scratch, &read, &bytes),
            REPLICATE_CUT);
        assert_true(bytes > cut);
    }
    for (size_t at = 4; at < frame.bytes; at++) {
        frame.data[at] ^= 0x10;
        assert_int_equal(replicate_message_read(buf_span(&frame), REPLICATE_GREETING_BYTES_MAX,
                                                &scratch, &read, &bytes),
                         ERR_PROTOCOL);
        frame.data[at] ^= 0x10;
    }
    replicate_message_deinit(&message);
    replicate_message_deinit(&read);
    buf_deinit(&scratch);
    buf_deinit(&frame);
}

static void a_wrong_body_is_named(void **state)
{
    (void)state;
    struct buf scratch = {0};
    struct buf frame = {0};
    struct replicate_message read = {0};
    size_t bytes;
    replicate_message_write(&frame, &(struct replicate_message){.type = REPLICATE_SNAPSHOT_END}, 0);
    frame.data[8] = REPLICATE_CHALLENGE;
    wire_store_u32(frame.data + 4, hash32(span_of(frame.data + 8, frame.bytes - 8)));
    assert_int_equal(replicate_message_read(buf_span(&frame), REPLICATE_GREETING_BYTES_MAX,
                                            &scratch, &read, &bytes),
                     ERR_PROTOCOL);
    assert_non_null(strstr(err_text(), "\"challenge\""));
    buf_deinit(&frame);
    buf_deinit(&scratch);
    replicate_message_deinit(&read);
}

static void records_come_back_in_order_and_a_cut_one_is_noticed(void **state)
{
    (void)state;
    struct buf body = {0};
    struct replicate_record record = {.log_position = 9,
                                      .head = {{{.node.bytes = {3}, .incarnation = 4}, 5, 6}, 4},
                                      .type = DATALOG_UPDATE,
                                      .well = span_of_str("netflow"),
                                      .payload = span_of_str("payload")};
    replicate_record_put(&body, &record);
    record.log_position = 10;
    record.payload = span_of_str("");
    replicate_record_put(&body, &record);
    struct span rest = buf_span(&body);
    struct replicate_record read;
    assert_true(replicate_record_next(&rest, &read));
    assert_int_equal(read.log_position, 9);
    assert_int_equal(read.head.previous, 4);
    assert_true(span_equal(read.payload, span_of_str("payload")));
    assert_true(replicate_record_next(&rest, &read));
    assert_int_equal(read.log_position, 10);
    assert_int_equal(rest.bytes, 0);
    assert_false(replicate_record_next(&rest, &read));
    rest = span_of(body.data, body.bytes - 1);
    assert_true(replicate_record_next(&rest, &read));
    assert_false(replicate_record_next(&rest, &read));
    assert_int_not_equal(rest.bytes, 0);
    buf_deinit(&body);
}

static void a_mac_is_of_one_secret_one_role_one_pair_of_nonces_and_one_node(void **state)
{
    (void)state;
    uint8_t a[REPLICATE_NONCE_BYTES] = {1};
    uint8_t b[REPLICATE_NONCE_BYTES] = {2};
    struct uuid node = {{3}};
    struct uuid other = {{4}};
    struct span secret = span_of_str("secret");
    uint8_t macs[6][REPLICATE_MAC_BYTES];
    replicate_mac(secret, true, a, b, node, macs[0]);
    replicate_mac(secret, false, a, b, node, macs[1]);
    replicate_mac(secret, true, b, a, node, macs[2]);
    replicate_mac(secret, true, a, b, other, macs[3]);
    replicate_mac(span_of_str("secre"), true, a, b, node, macs[4]);
    replicate_mac(secret, true, a, b, node, macs[5]);
    for (size_t i = 1; i < 5; i++) {
        assert_false(replicate_mac_equal(macs[0], macs[i]));
    }
    assert_true(replicate_mac_equal(macs[0], macs[5]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_back_as_they_were),
        cmocka_unit_test(a_cut_frame_asks_for_more_and_an_altered_one_is_refused),
        cmocka_unit_test(a_wrong_body_is_named),
        cmocka_unit_test(records_come_back_in_order_and_a_cut_one_is_noticed),
        cmocka_unit_test(a_mac_is_of_one_secret_one_role_one_pair_of_nonces_and_one_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
