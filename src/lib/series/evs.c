#include "series/evs.h"

#include <inttypes.h>

#include "base/text.h"
#include "base/time.h"
#include "base/wire.h"
#include "series/entry.h"

#define VALUE_HEADER_BYTES 8
#define YEAR_1_SECONDS INT64_C(62135596800) /* from year 1 to 1970 */

/* Bytes of data by type; 0: any number. */
static const uint8_t data_bytes_of[] = {
    [SERIES_EV_BYTES] = 0,    [SERIES_EV_BOOL] = 1, [SERIES_EV_BYTE] = 1, [SERIES_EV_I8] = 1,
    [SERIES_EV_I16] = 2,      [SERIES_EV_U16] = 2,  [SERIES_EV_I32] = 4,  [SERIES_EV_U32] = 4,
    [SERIES_EV_I64] = 8,      [SERIES_EV_U64] = 8,  [SERIES_EV_F32] = 4,  [SERIES_EV_F64] = 8,
    [SERIES_EV_TEXT] = 0,     [SERIES_EV_MAC] = 0,  [SERIES_EV_IP] = 0,   [SERIES_EV_TIME] = 12,
    [SERIES_EV_DURATION] = 8,
};

static bool data_fits(uint8_t type, size_t bytes)
{
    if (type == SERIES_EV_MAC) {
        return bytes % 2 == 0 && bytes <= 20;
    }
    if (type == SERIES_EV_IP) {
        return bytes == 4 || bytes == 16;
    }
    return data_bytes_of[type] == 0 || data_bytes_of[type] == bytes;
}

static int check_value(uint8_t type, size_t name_bytes, size_t data_bytes)
{
    if (type == 0 || type > SERIES_EV_DURATION) {
        return err_set(ERR_PROTOCOL, "enumerated value: type %u is unknown", type);
    }
    if (name_bytes == 0 || name_bytes > SERIES_EV_NAME_BYTES_MAX) {
        return err_set(ERR_PROTOCOL, "enumerated value: a name of %zu bytes, 1 to %d allowed",
                       name_bytes, SERIES_EV_NAME_BYTES_MAX);
    }
    if (data_bytes > SERIES_EV_DATA_BYTES_MAX || !data_fits(type, data_bytes)) {
        return err_set(ERR_PROTOCOL, "enumerated value: %zu bytes do not fit type %u", data_bytes,
                       type);
    }
    return 0;
}

int series_evs_announced(const uint8_t *header, size_t *ret_bytes)
{
    uint32_t bytes = wire_load_u32(header);
    if (bytes < SERIES_EVS_HEADER_BYTES || bytes > SERIES_EVS_BYTES_MAX) {
        return err_set(ERR_PROTOCOL, "enumerated values: a block of %" PRIu32 " bytes", bytes);
    }
    if (wire_load_u16(header + 6) != 0) {
        return err_set(ERR_PROTOCOL, "enumerated values: pad bytes are not zero");
    }
    *ret_bytes = bytes;
    return 0;
}

/* Reads the value at the front of `rest`, which moves behind it. */
static int take_value(struct span *rest, struct series_ev *ret_ev)
{
    if (rest->bytes < VALUE_HEADER_BYTES) {
        return err_set(ERR_PROTOCOL, "enumerated value: cut off");
    }
    size_t bytes = wire_load_u16(rest->data);
    size_t name_bytes = wire_load_u16(rest->data + 2);
    size_t data_bytes = wire_load_u16(rest->data + 4);
    uint8_t type = rest->data[6];
    int rc = check_value(type, name_bytes, data_bytes);
    if (rc < 0) {
        return rc;
    }
    if (rest->data[7] != 0) {
        return err_set(ERR_PROTOCOL, "enumerated value: pad byte is not zero");
    }
    if (bytes != VALUE_HEADER_BYTES + name_bytes + data_bytes || bytes > rest->bytes) {
        return err_set(ERR_PROTOCOL, "enumerated value: lengths do not add up");
    }
    *ret_ev = (struct series_ev){
        .name = span_of(rest->data + VALUE_HEADER_BYTES, name_bytes),
        .data = span_of(rest->data + VALUE_HEADER_BYTES + name_bytes, data_bytes),
        .type = type,
    };
    *rest = span_from(*rest, bytes);
    return 0;
}

int series_evs_check(struct span block)
{
    if (block.bytes == 0) {
        return 0;
    }
    size_t bytes = 0;
    if (block.bytes < SERIES_EVS_HEADER_BYTES) {
        return err_set(ERR_PROTOCOL, "enumerated values: a block of %zu bytes", block.bytes);
    }
    int rc = series_evs_announced(block.data, &bytes);
    if (rc < 0) {
        return rc;
    }
    if (bytes != block.bytes) {
        return err_set(ERR_PROTOCOL, "enumerated values: %zu bytes announced, %zu there", bytes,
                       block.bytes);
    }
    uint16_t count = wire_load_u16(block.data + 4);
    struct span rest = span_from(block, SERIES_EVS_HEADER_BYTES);
    for (uint16_t i = 0; i < count; i++) {
        struct series_ev ev;
        rc = take_value(&rest, &ev);
        if (rc < 0) {
            return rc;
        }
    }
    if (rest.bytes != 0) {
        return err_set(ERR_PROTOCOL, "enumerated values: %zu bytes too many", rest.bytes);
    }
    return 0;
}

bool series_evs_next(struct span block, size_t *cursor, struct series_ev *ret_ev)
{
    size_t at = *cursor == 0 ? SERIES_EVS_HEADER_BYTES : *cursor;
    struct span rest = span_from(block, at);
    if (rest.bytes == 0 || take_value(&rest, ret_ev) < 0) {
        return false;
    }
    *cursor = block.bytes - rest.bytes;
    return true;
}

bool series_evs_find(struct span block, struct span name, struct series_ev *ret_ev)
{
    size_t cursor = 0;
    struct series_ev ev;
    while (series_evs_next(block, &cursor, &ev)) {
        if (span_equal(ev.name, name)) {
            *ret_ev = ev;
            return true;
        }
    }
    return false;
}

size_t series_evs_begin(struct buf *buf)
{
    size_t begin = buf->bytes;
    wire_put_u32(buf, SERIES_EVS_HEADER_BYTES);
    wire_put_u32(buf, 0);
    return begin;
}

int series_evs_put(struct buf *buf, size_t begin, struct series_ev ev)
{
    int rc = check_value(ev.type, ev.name.bytes, ev.data.bytes);
    if (rc < 0) {
        return rc;
    }
    size_t bytes = VALUE_HEADER_BYTES + ev.name.bytes + ev.data.bytes;
    uint16_t count = wire_load_u16(buf->data + begin + 4);
    if (bytes > UINT16_MAX || count == UINT16_MAX ||
        buf->bytes - begin + bytes > SERIES_EVS_BYTES_MAX) {
        return err_set(ERR_TOO_LARGE, "enumerated values: the block is full");
    }
    wire_put_u16(buf, (uint16_t)bytes);
    wire_put_u16(buf, (uint16_t)ev.name.bytes);
    wire_put_u16(buf, (uint16_t)ev.data.bytes);
    wire_put_u8(buf, ev.type);
    wire_put_u8(buf, 0);
    buf_append(buf, ev.name);
    buf_append(buf, ev.data);
    wire_store_u16(buf->data + begin + 4, (uint16_t)(count + 1));
    wire_store_u32(buf->data + begin, (uint32_t)(buf->bytes - begin));
    return 0;
}

static void address_text(struct buf *buf, struct span address)
{
    uint8_t source[ENTRY_SOURCE_BYTES]; /* clients send IPv4 in either form; it reads the same */
    if (address.bytes == 4) {
        entry_source_of_v4(address.data, source);
    } else {
        memcpy(source, address.data, sizeof(source));
    }
    entry_source_text(buf, source);
}

static void mac_text(struct buf *buf, struct span mac)
{
    for (size_t i = 0; i < mac.bytes; i++) {
        buf_printf(buf, "%s%02x", i == 0 ? "" : ":", mac.data[i]);
    }
}

static void instant_text(struct buf *buf, const uint8_t *at)
{
    int64_t seconds = (int64_t)wire_load_u64(at);
    seconds = seconds < INT64_MIN + YEAR_1_SECONDS ? INT64_MIN : seconds - YEAR_1_SECONDS;
    time_format(buf, time_of_parts(seconds, wire_load_u32(at + 8)));
}

static void float_text(struct buf *buf, uint8_t type, const uint8_t *at)
{
    double value;
    if (type == SERIES_EV_F32) {
        uint32_t bits = wire_load_u32(at);
        float narrow;
        memcpy(&narrow, &bits, sizeof(narrow));
        value = (double)narrow;
    } else {
        uint64_t bits = wire_load_u64(at);
        memcpy(&value, &bits, sizeof(value));
    }
    buf_printf(buf, "%.12G", value);
}

void series_ev_text(struct buf *buf, const struct series_ev *ev)
{
    const uint8_t *at = ev->data.data;
    switch (ev->type) {
    case SERIES_EV_BOOL:
        buf_append_str(buf, at[0] != 0 ? "true" : "false");
        break;
    case SERIES_EV_BYTE:
        buf_printf(buf, "%u", at[0]);
        break;
    case SERIES_EV_I8:
        buf_printf(buf, "%d", (int8_t)at[0]);
        break;
    case SERIES_EV_I16:
        buf_printf(buf, "%d", (int16_t)wire_load_u16(at));
        break;
    case SERIES_EV_U16:
        buf_printf(buf, "%u", wire_load_u16(at));
        break;
    case SERIES_EV_I32:
        buf_printf(buf, "%" PRId32, (int32_t)wire_load_u32(at));
        break;
    case SERIES_EV_U32:
        buf_printf(buf, "%" PRIu32, wire_load_u32(at));
        break;
    case SERIES_EV_I64:
        buf_printf(buf, "%" PRId64, (int64_t)wire_load_u64(at));
        break;
    case SERIES_EV_U64:
        buf_printf(buf, "%" PRIu64, wire_load_u64(at));
        break;
    case SERIES_EV_F32:
    case SERIES_EV_F64:
        float_text(buf, ev->type, at);
        break;
    case SERIES_EV_MAC:
        mac_text(buf, ev->data);
        break;
    case SERIES_EV_IP:
        address_text(buf, ev->data);
        break;
    case SERIES_EV_TIME:
        instant_text(buf, at);
        break;
    case SERIES_EV_DURATION:
        time_format_duration(buf, (int64_t)wire_load_u64(at));
        break;
    default:
        buf_append(buf, ev->data);
        break;
    }
}
