/* Any PROXY header, network and forwarding header: refused or read, without harm; whoever is not
 * trusted stays who he is. */
#include "net/proxies.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void read_proxy_header(struct span input)
{
    struct sockaddr_storage address = {0};
    socklen_t address_bytes = 0;
    size_t begin = 0;
    size_t more = 0;
    while (begin <= input.bytes && proxies_header(span_first(input, begin), &address,
                                                  &address_bytes, &more) == PROXIES_MORE) {
        CHECK(more > 0 && begin + more <= PROXIES_HEADER_BYTES_MAX);
        begin += more;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct span input = span_of(data, MIN(bytes, (size_t)4096));
    struct proxies proxies = {0};
    struct arena *arena = arena_new(1 << 20);
    read_proxy_header(input);
    struct span rest = input;
    struct span line;
    struct proxies_headers headers = {0};
    if (span_split(&rest, '\n', &line) && proxies_add(&proxies, line) == 0) {
        CHECK(proxies.networks.items[0].bits <= 128);
    }
    (void)span_split(&rest, '\n', &headers.forwarded_for);
    (void)span_split(&rest, '\n', &headers.forwarded_proto);
    (void)span_split(&rest, '\n', &headers.forwarded);
    struct proxies_client client = proxies_client(&proxies, "10.0.0.1", &headers, arena);
    CHECK(proxies_trust(&proxies, SPAN_LIT("10.0.0.1")) || strcmp(client.address, "10.0.0.1") == 0);
    arena_free(&arena);
    proxies_deinit(&proxies);
    return 0;
}
