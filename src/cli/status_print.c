/* Tested by status_picture_test.c. */
#include "cli/status_print.h"

#include <stdarg.h>
#include <string.h>

#include "base/mem.h"
#include "base/time.h"
#include "cli/human.h"
#include "cli/members.h"
#include "cli/search_table.h"

struct printer {
    const json_t *picture;
    int64_t now_ns;
    struct buf *buf;
    json_t *rows; /* of the table that is being made */
};

/* Of the picture's list `key`. */
static const json_t *list_of(const struct printer *printer, const char *key)
{
    return json_object_get(printer->picture, key);
}

static double real_in(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* ── Tables ──────────────────────────────────────────────────────────────────────────────── */

static void begin_row(struct printer *printer)
{
    json_array_append_new(printer->rows, json_array());
}

static void put_cell(struct printer *printer, const char *format, ...) PRINTF_LIKE(2, 3);

static void put_cell(struct printer *printer, const char *format, ...)
{
    struct buf text = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    json_t *row = json_array_get(printer->rows, json_array_size(printer->rows) - 1);
    json_array_append_new(row, json_string(buf_str(&text)));
    buf_deinit(&text);
}

static void put_bytes(struct printer *printer, double bytes, const char *more)
{
    struct buf text = {0};
    human_bytes(&text, bytes);
    put_cell(printer, "%s%s", buf_str(&text), more);
    buf_deinit(&text);
}

/* "3 min ago"; nothing when it is not known. */
static void put_age(struct printer *printer, const char *time)
{
    struct buf text = {0};
    int64_t time_ns = TIME_UNSET;
    if (time_parse(span_of_str(time), &time_ns) && time_ns != TIME_UNSET) {
        human_age(&text, printer->now_ns - time_ns);
    }
    put_cell(printer, "%s", buf_str(&text));
    buf_deinit(&text);
}

/* The rows that there are, under these names; takes the names. */
static void put_table(struct printer *printer, json_t *columns)
{
    struct search_table table = {.format = "text"};
    if (json_array_size(printer->rows) > 0) {
        buf_append_byte(printer->buf, '\n');
        search_table_put(&table, columns, printer->rows, printer->buf);
    }
    mem_free(table.columns);
    json_array_clear(printer->rows);
    json_decref(columns);
}

/* ── What is wrong ───────────────────────────────────────────────────────────────────────── */

static void put_trouble(struct printer *printer, const json_t *trouble)
{
    buf_printf(printer->buf, "\n%-4s  ", text_in(trouble, "severity"));
    human_text(printer->buf, text_in(trouble, "what"));
    buf_append_str(printer->buf, "\n      ");
    human_text(printer->buf, text_in(trouble, "advice"));
    buf_append_byte(printer->buf, '\n');
}

static void put_troubles(struct printer *printer)
{
    const json_t *troubles = list_of(printer, "troubles");
    size_t count = json_array_size(troubles);
    size_t i;
    const json_t *one;
    if (count == 0) {
        buf_append_str(printer->buf, "All is well.\n");
    } else if (count == 1) {
        buf_append_str(printer->buf, "One thing needs attention:\n");
    } else {
        buf_printf(printer->buf, "%zu things need attention:\n", count);
    }
    json_array_foreach(troubles, i, one)
    {
        put_trouble(printer, one);
    }
}

/* ── The parts ───────────────────────────────────────────────────────────────────────────── */

/* One that sends its log from the host that was asked is the one that was asked. */
static void put_load_balancers(struct printer *printer)
{
    const char *through = text_in(printer->picture, "through");
    bool seen = through[0] == '\0';
    size_t i;
    const json_t *one;
    json_array_foreach(list_of(printer, "load_balancers"), i, one)
    {
        const char *host = text_in(one, "address");
        size_t bytes = strlen(host);
        bool asked = !seen && strncmp(through, host, bytes) == 0 &&
                     (through[bytes] == ':' || through[bytes] == '\0');
        begin_row(printer);
        put_cell(printer, "%s", asked ? through : host);
        put_cell(printer, asked ? "up, this answer came through it" : "up, sends its log");
        put_cell(printer, "%s", text_in(one, "version"));
        put_age(printer, text_in(one, "since"));
        seen |= asked;
    }
    if (!seen) {
        begin_row(printer);
        put_cell(printer, "%s", through);
        put_cell(printer, "this answer came through it");
    }
    put_table(printer, json_pack("[s, s, s, s]", "load balancer", "state", "version", "connected"));
}

static void put_datastores(struct printer *printer)
{
    size_t i;
    const json_t *one;
    json_array_foreach(list_of(printer, "datastores"), i, one)
    {
        struct buf state = {0};
        json_int_t waiting = number_in(one, "waiting_changes");
        buf_append_str(&state, true_in(one, "in_use") ? text_in(one, "state")
                                                      : "not in use by this webserver");
        if (waiting > 0) {
            buf_printf(&state, ", %lld change%s for it", waiting,
                       waiting == 1 ? " waits" : "s wait");
        }
        begin_row(printer);
        put_cell(printer, "%s", text_in(one, "address"));
        put_cell(printer, "%s", buf_str(&state));
        put_age(printer, text_in(one, "since"));
        buf_deinit(&state);
    }
    if (i == 0) {
        buf_append_str(printer->buf, "\nNo datastore: this webserver keeps everything itself.\n");
    }
    put_table(printer, json_pack("[s, s, s]", "datastore", "state", "since"));
}

static void put_webservers(struct printer *printer)
{
    size_t i;
    const json_t *one;
    json_array_foreach(list_of(printer, "webservers"), i, one)
    {
        struct buf state = {0};
        if (json_is_null(json_object_get(one, "up"))) {
            buf_append_str(&state, "not known while the datastore is away");
        } else if (true_in(one, "up")) {
            buf_append_str(&state, true_in(one, "self") ? "up, gave this answer" : "up");
        } else {
            buf_append_str(&state, "last seen ");
            human_age(&state, (int64_t)(real_in(one, "seen_seconds") * 1e9));
        }
        begin_row(printer);
        put_cell(printer, "%s", text_in(one, "address"));
        put_cell(printer, "%s", buf_str(&state));
        put_cell(printer, "%s", text_in(one, "version"));
        buf_deinit(&state);
    }
    put_table(printer, json_pack("[s, s, s]", "webserver", "state", "version"));
}

static void put_amounts(struct printer *printer, const json_t *indexer)
{
    double disk = real_in(indexer, "disk_bytes");
    double left = real_in(indexer, "free_bytes");
    char share[32] = "";
    if (disk > 0) {
        (void)snprintf(share, sizeof(share), " (%.0f %%)", left / disk * 100);
    }
    put_cell(printer, "%lld", number_in(indexer, "entries"));
    put_cell(printer, "%lld", number_in(indexer, "points"));
    put_bytes(printer, real_in(indexer, "used_bytes"), "");
    put_bytes(printer, left, share);
    if (json_object_get(indexer, "entries_per_second") != NULL) {
        double rate =
            real_in(indexer, "entries_per_second") + real_in(indexer, "points_per_second");
        struct buf bytes = {0};
        human_bytes(&bytes, real_in(indexer, "bytes_per_second"));
        put_cell(printer, rate < 100 ? "%.1f/s, %s/s" : "%.0f/s, %s/s", rate, buf_str(&bytes));
        buf_deinit(&bytes);
    }
}

static void put_indexers(struct printer *printer)
{
    size_t i;
    const json_t *one;
    json_t *columns = json_pack("[s, s, s, s, s, s, s, s, s]", "indexer", "state", "version",
                                "started", "entries", "points", "used", "free", "takes");
    json_array_foreach(list_of(printer, "indexers"), i, one)
    {
        bool takes = true_in(one, "takes_entries");
        begin_row(printer);
        put_cell(printer, "%s", text_in(one, "address"));
        put_cell(printer, !true_in(one, "up") ? "away" : takes ? "up" : "takes no entries");
        put_cell(printer, "%s", text_in(one, "version"));
        put_age(printer, text_in(one, "started"));
        if (json_object_get(one, "entries") != NULL) {
            put_amounts(printer, one);
        }
    }
    put_table(printer, columns);
}

static void put_behind(struct printer *printer, const json_t *link)
{
    struct buf lag = {0};
    json_int_t records = number_in(link, "lag_records");
    if (records == 0) {
        put_cell(printer, "nothing");
        return;
    }
    human_duration(&lag, (int64_t)(real_in(link, "lag_seconds") * 1e9));
    put_cell(printer, "%lld record%s, %s", records, records == 1 ? "" : "s", buf_str(&lag));
    buf_deinit(&lag);
}

static void put_links(struct printer *printer)
{
    size_t i;
    const json_t *one;
    json_array_foreach(list_of(printer, "links"), i, one)
    {
        const char *dead = text_in(one, "instead_of");
        begin_row(printer);
        put_cell(printer, "%s", text_in(one, "from"));
        put_cell(printer, "%s", text_in(one, "to"));
        put_cell(printer, "%s%s%s", text_in(one, "state"), dead[0] != '\0' ? ", instead of " : "",
                 dead);
        put_behind(printer, one);
        put_cell(printer, "%lld/s", number_in(one, "records_per_second"));
        put_bytes(printer, real_in(one, "bytes_per_second"), "/s");
    }
    put_table(printer, json_pack("[s, s, s, s, s, s]", "link from", "to", "state", "behind by",
                                 "records", "bytes"));
}

static void put_notifications(struct printer *printer)
{
    size_t i;
    const json_t *one;
    json_array_foreach(list_of(printer, "notifications"), i, one)
    {
        begin_row(printer);
        put_age(printer, text_in(one, "sent"));
        put_cell(printer, "%s", text_in(one, "level"));
        put_cell(printer, "%s", text_in(one, "message"));
    }
    put_table(printer, json_pack("[s, s, s]", "notification", "level", "message"));
}

void status_print(const json_t *picture, int64_t now_ns, struct buf *buf)
{
    struct printer printer = {
        .picture = picture, .now_ns = now_ns, .buf = buf, .rows = json_array()};
    put_troubles(&printer);
    put_load_balancers(&printer);
    put_datastores(&printer);
    put_webservers(&printer);
    put_indexers(&printer);
    put_links(&printer);
    put_notifications(&printer);
    json_decref(printer.rows);
}
