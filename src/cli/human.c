#include "cli/human.h"

#include <inttypes.h>

#include "base/check.h"
#include "base/time.h"

void human_bytes(struct buf *buf, double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;
    while (bytes >= 999.5 && unit + 1 < ARRAY_COUNT(units)) {
        bytes /= 1000;
        unit++;
    }
    buf_printf(buf, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

/* "3 h 5 min", "3 h" */
static void put_two(struct buf *buf, int64_t time_ns, int64_t unit_ns, const char *unit,
                    int64_t part_ns, const char *part)
{
    int64_t parts = time_ns % unit_ns / part_ns;
    buf_printf(buf, "%" PRId64 " %s", time_ns / unit_ns, unit);
    if (parts > 0) {
        buf_printf(buf, " %" PRId64 " %s", parts, part);
    }
}

void human_duration(struct buf *buf, int64_t time_ns)
{
    time_ns = MAX(time_ns, 0);
    if (time_ns < TIME_S_NS) {
        buf_printf(buf, "%" PRId64 " ms", time_ns / TIME_MS_NS);
    } else if (time_ns < TIME_MINUTE_NS) {
        buf_printf(buf, "%" PRId64 " s", time_ns / TIME_S_NS);
    } else if (time_ns < TIME_HOUR_NS) {
        put_two(buf, time_ns, TIME_MINUTE_NS, "min", TIME_S_NS, "s");
    } else if (time_ns < TIME_DAY_NS) {
        put_two(buf, time_ns, TIME_HOUR_NS, "h", TIME_MINUTE_NS, "min");
    } else {
        put_two(buf, time_ns, TIME_DAY_NS, "d", TIME_HOUR_NS, "h");
    }
}

void human_age(struct buf *buf, int64_t age_ns)
{
    int64_t unit_ns = age_ns < TIME_MINUTE_NS ? TIME_S_NS
                      : age_ns < TIME_HOUR_NS ? TIME_MINUTE_NS
                      : age_ns < TIME_DAY_NS  ? TIME_HOUR_NS
                                              : TIME_DAY_NS;
    human_duration(buf, age_ns < TIME_S_NS ? age_ns : age_ns / unit_ns * unit_ns);
    buf_append_str(buf, " ago");
}

void human_text(struct buf *buf, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        bool control = (unsigned char)*at < 0x20 || *at == 0x7F;
        buf_append_byte(buf, control ? '.' : (uint8_t)*at);
    }
}
