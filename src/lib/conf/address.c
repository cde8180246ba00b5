#include "conf/conf.h"

/* Digits only: span_to_u64 would take a sign. */
static bool parse_port(struct span text, uint16_t *ret_port)
{
    uint64_t port;
    if (text.bytes == 0 || text.data[0] < '0' || text.data[0] > '9' || !span_to_u64(text, &port) ||
        port > UINT16_MAX) {
        return false;
    }
    *ret_port = (uint16_t)port;
    return true;
}

static bool is_host(struct span host, bool v6)
{
    for (size_t i = 0; i < host.bytes; i++) {
        uint8_t c = host.data[i];
        bool letter = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9');
        bool sign = c == '.' || c == '-' || c == '_' || (v6 && (c == ':' || c == '%'));
        if (!letter && !sign) {
            return false;
        }
    }
    return host.bytes > 0 || !v6;
}

/* "net:" is a prefix unless it is a host of that name with its port. */
static struct span without_scheme(struct span text)
{
    static const struct span scheme = SPAN_LIT("net:");
    uint16_t port;
    struct span rest = span_from(text, scheme.bytes);
    return span_starts_with(text, scheme) && !parse_port(rest, &port) ? rest : text;
}

static bool split(struct span text, uint16_t default_port, struct span *ret_host,
                  uint16_t *ret_port)
{
    *ret_port = default_port;
    bool v6 = true;
    struct span port = SPAN_NONE;
    ptrdiff_t colon = span_find_byte(text, ':');
    if (text.bytes > 0 && text.data[0] == '[') {
        ptrdiff_t close = span_find_byte(text, ']');
        if (close < 0) {
            return false;
        }
        *ret_host = span_of(text.data + 1, (size_t)close - 1);
        port = span_from(text, (size_t)close + 1);
        if (port.bytes > 0 && port.data[0] != ':') {
            return false;
        }
    } else if (colon >= 0 && span_find_byte(span_from(text, (size_t)colon + 1), ':') >= 0) {
        *ret_host = text;
    } else {
        v6 = false;
        *ret_host = colon < 0 ? text : span_first(text, (size_t)colon);
        port = colon < 0 ? SPAN_NONE : span_from(text, (size_t)colon);
    }
    return is_host(*ret_host, v6) && (port.bytes == 0 || parse_port(span_from(port, 1), ret_port));
}

int conf_host_port(struct span text, uint16_t default_port, struct buf *ret_host,
                   uint16_t *ret_port)
{
    struct span host;
    uint16_t port;
    if (text.bytes == 0 || !split(without_scheme(text), default_port, &host, &port)) {
        return err_set(ERR_INVALID, "\"%.*s\" is not host or host:port",
                       SPAN_ARG(span_first(text, 80)));
    }
    buf_clear(ret_host);
    buf_append(ret_host, host);
    *ret_port = port;
    return 0;
}
