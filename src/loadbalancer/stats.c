#include "loadbalancer/stats.h"

#include "base/check.h"

#define COLUMNS_MAX 200

enum column {
    PROXY,
    SERVER,
    STATUS,
    CHECK_STATUS,
    SESSIONS,
    REQUESTS,
    RETRIES,
    REDISPATCHES,
    FAILED,
    COLUMNS
};

static const char *const names[COLUMNS] = {
    [PROXY] = "pxname",  [SERVER] = "svname", [STATUS] = "status", [CHECK_STATUS] = "check_status",
    [SESSIONS] = "scur", [REQUESTS] = "stot", [RETRIES] = "wretr", [REDISPATCHES] = "wredis",
    [FAILED] = "econ",
};

/* Where each column is, from "# pxname,svname,...". */
static int find_columns(struct span header, size_t ret_place[COLUMNS])
{
    if (span_starts_with(header, SPAN_LIT("# "))) {
        header = span_from(header, 2);
    }
    bool found[COLUMNS] = {false};
    struct span name;
    for (size_t place = 0; span_split(&header, ',', &name); place++) {
        for (size_t i = 0; i < COLUMNS; i++) {
            if (span_equal_str(name, names[i])) {
                ret_place[i] = place;
                found[i] = true;
            }
        }
    }
    for (size_t i = 0; i < COLUMNS; i++) {
        if (!found[i]) {
            return err_set(ERR_PROTOCOL, "HAProxy's statistics have no column %s", names[i]);
        }
    }
    return 0;
}

static uint64_t number(struct span text)
{
    uint64_t value = 0;
    return span_to_u64(text, &value) ? value : 0;
}

/* "UP", "UP 1/2", "OPEN", "no check" take requests; "DOWN", "DOWN 1/2", "MAINT", "DRAIN" do not. */
static bool is_up(struct span status)
{
    return span_starts_with(status, SPAN_LIT("UP")) || span_equal_str(status, "OPEN") ||
           span_equal_str(status, "no check");
}

/* "L4TOUT", "L7TOUT"; "* L7TOUT" while a check is under way. */
static bool is_silent(struct span check_status)
{
    return span_ends_with(check_status, SPAN_LIT("TOUT"));
}

/* "INI"; "* INI" while the first check is under way. */
static bool is_checked(struct span check_status)
{
    return !span_ends_with(check_status, SPAN_LIT("INI"));
}

static struct stats_row row_of(struct span line, const size_t place[COLUMNS])
{
    struct span values[COLUMNS] = {{0}};
    struct span value;
    for (size_t at = 0; at < COLUMNS_MAX && span_split(&line, ',', &value); at++) {
        for (size_t i = 0; i < COLUMNS; i++) {
            if (place[i] == at) {
                values[i] = value;
            }
        }
    }
    return (struct stats_row){
        .proxy = values[PROXY],
        .server = values[SERVER],
        .up = is_up(values[STATUS]),
        .checked = is_checked(values[CHECK_STATUS]),
        .silent = is_silent(values[CHECK_STATUS]),
        .sessions = number(values[SESSIONS]),
        .requests = number(values[REQUESTS]),
        .retries = number(values[RETRIES]),
        .redispatches = number(values[REDISPATCHES]),
        .failed_connections = number(values[FAILED]),
    };
}

int stats_read(struct span csv, void (*each)(void *context, const struct stats_row *row),
               void *context)
{
    size_t place[COLUMNS];
    struct span line;
    if (!span_split(&csv, '\n', &line)) {
        return err_set(ERR_PROTOCOL, "HAProxy's statistics are empty");
    }
    int rc = find_columns(line, place);
    while (rc == 0 && span_split(&csv, '\n', &line)) {
        if (span_trim(line).bytes > 0) {
            struct stats_row row = row_of(line, place);
            each(context, &row);
        }
    }
    return rc;
}
