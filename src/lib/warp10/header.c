#include "warp10/header.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/text.h"
#include "base/time.h"
#include "warp10/keywrap.h"
#include "warp10/opb64.h"
#include "warp10/thrift.h"

#define OPTIONS_MAX 64

static const char *const actions[] = {
    [WARP10_UPDATE] = "UPDATE", [WARP10_META] = "META", [WARP10_DELETE] = "DELETE"};

static void put_record(struct buf *buf, const struct warp10_datalog *datalog)
{
    struct thrift_writer writer = {.buf = buf};
    struct buf id = {0};
    opb64_encode(&id, datalog->id);
    thrift_put_int(&writer, 1, THRIFT_I64, datalog->time_ns);
    thrift_put_binary(&writer, 2, buf_span(&id));
    thrift_put_binary(&writer, 3, span_of_str(actions[datalog->action]));
    thrift_put_binary(&writer, 4, datalog->token);
    if (datalog->now.bytes > 0) {
        thrift_put_binary(&writer, 5, datalog->now);
    }
    if (datalog->action == WARP10_DELETE) {
        thrift_put_binary(&writer, 6, datalog->query);
    } else {
        thrift_put_bool(&writer, 7, datalog->delta);
    }
    if (datalog->option_count > 0) {
        thrift_put_map(&writer, 8, THRIFT_BINARY, THRIFT_BINARY, datalog->option_count);
        for (size_t i = 0; i < datalog->option_count; i++) {
            thrift_put_bytes(&writer, datalog->options[i].name);
            thrift_put_bytes(&writer, datalog->options[i].value);
        }
    }
    thrift_put_stop(&writer);
    buf_deinit(&id);
}

int warp10_datalog_encode(struct buf *buf, const struct warp10_datalog *datalog, struct span psk)
{
    struct buf record = {0};
    struct buf sealed = {0};
    int rc = 0;
    put_record(&record, datalog);
    if (psk.bytes > 0) {
        rc = keywrap_seal(&sealed, psk, buf_span(&record));
    }
    if (rc == 0) {
        opb64_encode(buf, psk.bytes > 0 ? buf_span(&sealed) : buf_span(&record));
    }
    buf_deinit(&record);
    buf_deinit(&sealed);
    return rc;
}

static bool action_of(struct span name, enum warp10_action *ret_action)
{
    for (size_t i = WARP10_UPDATE; i < ARRAY_COUNT(actions); i++) {
        if (span_equal_str(name, actions[i])) {
            *ret_action = (enum warp10_action)i;
            return true;
        }
    }
    return false;
}

static void read_options(struct arena *arena, struct thrift_reader *reader,
                         struct warp10_datalog *datalog)
{
    enum thrift_type key;
    enum thrift_type value;
    size_t count = thrift_map(reader, &key, &value);
    if (count > OPTIONS_MAX || (count > 0 && (key != THRIFT_BINARY || value != THRIFT_BINARY))) {
        reader->failed = true;
        return;
    }
    struct warp10_option *options = arena_alloc_array(arena, count, sizeof(*options));
    for (size_t i = 0; i < count; i++) {
        options[i].name = thrift_binary(reader);
        options[i].value = thrift_binary(reader);
    }
    datalog->options = options;
    datalog->option_count = count;
}

/* One field; what is of another type than expected is skipped, as the reference does. */
static void read_field(struct arena *arena, struct thrift_reader *reader, int16_t id,
                       enum thrift_type type, struct warp10_datalog *datalog, struct span *action)
{
    struct span *const texts[] = {[2] = &datalog->id,
                                  [3] = action,
                                  [4] = &datalog->token,
                                  [5] = &datalog->now,
                                  [6] = &datalog->query};
    if (id == 1 && type == THRIFT_I64) {
        datalog->time_ns = thrift_int(reader);
    } else if (id >= 2 && id <= 6 && type == THRIFT_BINARY) {
        *texts[id] = thrift_binary(reader);
    } else if (id == 7 && (type == THRIFT_TRUE || type == THRIFT_FALSE)) {
        datalog->delta = type == THRIFT_TRUE;
    } else if (id == 8 && type == THRIFT_MAP) {
        read_options(arena, reader, datalog);
    } else {
        thrift_skip(reader, type);
    }
}

static int read_record(struct arena *arena, struct span bytes, struct warp10_datalog *datalog)
{
    struct thrift_reader reader = thrift_reader_of(bytes);
    struct span action = SPAN_NONE;
    int16_t id;
    enum thrift_type type;
    *datalog = (struct warp10_datalog){.time_ns = TIME_UNSET};
    while (thrift_next(&reader, &id, &type)) {
        read_field(arena, &reader, id, type, datalog, &action);
    }
    struct buf plain = {0};
    bool good = !reader.failed && datalog->time_ns != TIME_UNSET && datalog->token.bytes > 0 &&
                action_of(action, &datalog->action) && opb64_decode(&plain, datalog->id);
    if (good) {
        datalog->id = arena_span_dup(arena, buf_span(&plain));
    }
    buf_deinit(&plain);
    return good ? 0 : err_set(ERR_PROTOCOL, "Invalid Datalog header.");
}

int warp10_datalog_decode(struct arena *arena, struct span text, struct span psk,
                          struct warp10_datalog *ret_datalog)
{
    struct buf bytes = {0};
    struct buf plain = {0};
    struct buf *record = &bytes;
    text = span_trim(text);
    if (text.bytes > 0 && text.data[0] == '#') {
        text = span_from(text, 1);
    }
    bool good = text.bytes <= WARP10_DATALOG_BYTES_MAX && opb64_decode(&bytes, text);
    if (good && psk.bytes > 0) {
        good = keywrap_open(&plain, psk, buf_span(&bytes)) == 0;
        record = &plain;
    }
    int rc = good ? read_record(arena, arena_span_dup(arena, buf_span(record)), ret_datalog)
                  : err_set(ERR_PROTOCOL, "Invalid Datalog header.");
    buf_deinit(&bytes);
    buf_deinit(&plain);
    return rc;
}

void warp10_file_name(struct buf *buf, int64_t time_ns, struct span id, uint64_t number)
{
    int64_t seconds = time_ns / TIME_S_NS - (time_ns % TIME_S_NS < 0);
    int64_t days = seconds / 86400 - (seconds % 86400 < 0);
    int64_t second = seconds - days * 86400;
    int64_t year;
    unsigned month;
    unsigned day;
    uint8_t counter[8];
    time_date_of_days(days, &year, &month, &day);
    for (unsigned i = 0; i < 8; i++) {
        counter[i] = (uint8_t)(number >> (56 - 8 * i));
    }
    buf_printf(buf, "%016llx-", (unsigned long long)time_ns);
    opb64_encode(buf, id);
    buf_printf(buf, "-%04lld%02u%02uT%02lld%02lld%02lld.%09lldZ-", (long long)year, month, day,
               (long long)(second / 3600), (long long)(second / 60 % 60), (long long)(second % 60),
               (long long)(time_ns - seconds * TIME_S_NS));
    opb64_encode(buf, span_of(counter, sizeof(counter)));
    buf_append_str(buf, ".datalog");
}

static bool hex_of(struct span text, int64_t *ret_value)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t c = text.data[i];
        bool digit = c >= '0' && c <= '9';
        if (!digit && !(c >= 'a' && c <= 'f')) {
            return false;
        }
        value = value << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
    }
    *ret_value = (int64_t)value;
    return text.bytes == 16;
}

bool warp10_file_name_parse(struct arena *arena, struct span name, int64_t *ret_time_ns,
                            struct span *ret_id, uint64_t *ret_number)
{
    struct span suffix = SPAN_LIT(".datalog");
    struct span time;
    struct span id;
    struct span date;
    struct span number = SPAN_NONE;
    if (name.bytes > WARP10_NAME_BYTES_MAX || !span_ends_with(name, suffix)) {
        return false;
    }
    struct span rest = span_first(name, name.bytes - suffix.bytes);
    if (!span_split(&rest, '-', &time) || !span_split(&rest, '-', &id) ||
        !span_split(&rest, '-', &date)) {
        return false;
    }
    (void)span_split(&rest, '-', &number);

    struct buf bytes = {0};
    bool good = hex_of(time, ret_time_ns) && opb64_decode(&bytes, id);
    if (good) {
        *ret_id = arena_span_dup(arena, buf_span(&bytes));
        buf_clear(&bytes);
        good = opb64_decode(&bytes, number) && (bytes.bytes == 8 || bytes.bytes == 0);
    }
    *ret_number = 0;
    for (size_t i = 0; good && i < bytes.bytes; i++) {
        *ret_number = *ret_number << 8 | bytes.data[i];
    }
    buf_deinit(&bytes);
    return good && rest.bytes == 0;
}

int warp10_key_bytes(struct buf *bytes, const char *text)
{
    struct span span = span_of_str(text);
    bool good = true;
    if (span_starts_with(span, SPAN_LIT("hex:"))) {
        good = text_unhex(bytes, span_from(span, 4));
    } else if (span_starts_with(span, SPAN_LIT("base64:"))) {
        good = text_unbase64(bytes, span_from(span, 7));
    } else {
        buf_append(bytes, span);
    }
    return good ? 0 : err_set(ERR_INVALID, "a key must be hex:…, base64:… or plain text");
}

int warp10_psk(struct buf *psk, const char *text)
{
    int rc = warp10_key_bytes(psk, text);
    if (rc == 0 && psk->bytes != 0 && psk->bytes != 16 && psk->bytes != 24 && psk->bytes != 32) {
        rc = err_set(ERR_INVALID, "a PSK must have 16, 24 or 32 bytes");
    }
    return rc;
}
