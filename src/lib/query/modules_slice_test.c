/* slice: bytes of values as numbers, addresses and texts. */
#include "query/modules_testing.h"

static void bytes_are_read_in_every_form(void **unused)
{
    (void)unused;
    static const struct {
        const char *hex, *item, *want;
    } rows[] = {
        {"0102fffe", "uint16be(x[0:2])", "258"},
        {"0102fffe", "uint16le(x[0:2])", "513"},
        {"0102fffe", "uint16(x[0:2])", "513"},
        {"0102fffe", "int16be(x[-2:])", "-2"},
        {"0102fffe", "int16le(x[2:4])", "-257"},
        {"0102fffe", "byte(x[1])", "2"},
        {"0102fffe", "byte(x[-1])", "254"},
        {"0102fffe", "int32be(x[:])", "16973822"},
        {"ffffffffffffffff", "int64(x[0:8])", "-1"},
        {"ffffffffffffffff", "uint64be(x[0:8])", "1.8446744073709552e+19"},
        {"3fc00000", "float32be(x[0:4])", "1.5"},
        {"000000000000f83f", "float64le(x[0:8])", "1.5"},
        {"c0000207", "IPv4(x[0:4])", "192.0.2.7"},
        {"68656c6c6f", "string(x[1:3])", "el"},
        {"68656c6c6f", "x[3:]", "lo"},
        {"68656c6c6f", "string(x[-4:-2])", "el"},
        {"6865", "uint32(x[0:4])", ""}, /* too short: it has none */
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char *query = mem_printf("tag=kv2 eval x = hex_decode(\"%s\"); | slice %s as y | table y",
                                 rows[i].hex, rows[i].item);
        char *want = mem_printf("%s\n", rows[i].want);
        expect(query, want);
        mem_free(query);
        mem_free(want);
    }
    expect("tag=kv2 slice [0:3] as d | table d", "x:1\n");
}

static void filters_go_with_the_types(void **unused)
{
    (void)unused;
    expect("tag=kv2 slice byte([0]) == 120 as b [2:3]==1 as one | table b one", "120 1\n");
    expect("tag=kv2 slice byte([0]) > 0x78 as b | table b", "");
    expect("tag=kv2 eval x = hex_decode(\"c0000207\"); | slice IPv4(x[0:4]) ~ 192.0.2.0/24 as i "
           "| table i",
           "192.0.2.7\n");
    expect("tag=kv2 eval x = hex_decode(\"c0000207\"); | slice IPv4(x[0:4]) != 192.0.2.7 as i "
           "| table i",
           "");
    expect("tag=kv2 slice string([0:3]) !~ : as s | table s", "");
    expect("tag=kv2 slice [90:91]!=a as s | table s", "\n");
    refuse("tag=kv2 slice byte([0]) ~ 1", "does not work on byte");
    refuse("tag=kv2 slice byte([0]) == x", "is no number");
    refuse("tag=kv2 slice string([0:3]) < 1", "does not work on string");
    refuse("tag=kv2 slice uint16([0:3])", "uint16 needs 2 bytes, not 3");
    refuse("tag=kv2 slice uint17([0:2])", "a type such as uint16be was expected");
    refuse("tag=kv2 slice x", "[from:to] was expected");
    refuse("tag=kv2 slice x[0:1", "] was expected");
    refuse("tag=kv2 slice", "what to take is missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_read_in_every_form),
        cmocka_unit_test(filters_go_with_the_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
