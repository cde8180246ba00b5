#include "datalog/parts.h"

#include <inttypes.h>

#include "base/wire.h"

void datalog_parts_put(struct buf *buf, struct span well, struct span payload)
{
    CHECK(well.bytes <= DATALOG_WELL_BYTES_MAX && payload.bytes <= UINT32_MAX);
    wire_put_u16(buf, (uint16_t)well.bytes);
    wire_put_u32(buf, (uint32_t)payload.bytes);
    buf_append(buf, well);
    buf_append(buf, payload);
}

struct datalog_parts datalog_parts_of(const struct datalog_record *record)
{
    return (struct datalog_parts){.record = record, .rest = record->payload};
}

int datalog_parts_next(struct datalog_parts *parts, struct span *ret_well, struct span *ret_payload)
{
    if (parts->record->well.bytes > 0) {
        *ret_well = parts->record->well;
        *ret_payload = parts->record->payload;
        int rc = parts->is_over ? DATALOG_END : 0;
        parts->is_over = true;
        return rc;
    }
    if (parts->rest.bytes == 0) {
        return DATALOG_END;
    }
    struct wire_reader reader = wire_reader_of(parts->rest);
    uint16_t name_bytes = wire_get_u16(&reader);
    uint32_t bytes = wire_get_u32(&reader);
    *ret_well = wire_get_raw(&reader, name_bytes);
    *ret_payload = wire_get_raw(&reader, bytes);
    parts->rest = reader.rest;
    if (reader.failed || name_bytes == 0) {
        return err_set(ERR_CORRUPT, "record %" PRIu64 ": its parts are damaged",
                       parts->record->position);
    }
    return 0;
}
