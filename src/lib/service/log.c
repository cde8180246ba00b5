#include "service/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/text.h"
#include "base/time.h"

#define HOST_BYTES 256
#define PROGRAM_BYTES 49
#define EVENT_BYTES_MAX 32
#define TRACE_LEVEL LOG_LEVEL_DEBUG

static const struct {
    const char *name;
    int pri; /* facility user (1) and severity */
} levels[] = {
    [LOG_LEVEL_DEBUG] = {"DEBUG", 15},       [LOG_LEVEL_INFO] = {"INFO", 14},
    [LOG_LEVEL_WARN] = {"WARN", 12},         [LOG_LEVEL_ERROR] = {"ERROR", 11},
    [LOG_LEVEL_CRITICAL] = {"CRITICAL", 10}, [LOG_LEVEL_OFF] = {"OFF", 8},
};

static atomic_int level_from = LOG_LEVEL_INFO;
static _Atomic uint64_t counts[LOG_LEVEL_OFF + 1];

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char host_name[HOST_BYTES] = "-";
static char program_name[PROGRAM_BYTES] = "aquifer";

/* Readers are lines on their way into the sink, the writer replaces it. */
static pthread_rwlock_t sink_lock = PTHREAD_RWLOCK_INITIALIZER;
static void (*sink_call)(void *context, enum log_level level, struct span line);
static void *sink_context;
static _Thread_local bool in_sink;

static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER;
static char ring[LOG_RING_LINES][LOG_RING_LINE_BYTES];
static uint64_t ring_count; /* lines ever put in */

/* ── The line ────────────────────────────────────────────────────────────────────────────── */

/* Printable, valid UTF-8; `"`, `\` and `]` with a backslash when `quoted`. A line stays one line.
 */
static void put_clean(struct buf *line, struct span text, bool quoted)
{
    while (text.bytes > 0 && line->bytes < LOG_LINE_BYTES_MAX) {
        uint32_t point = text_utf8_next(&text);
        if (quoted && (point == '"' || point == '\\' || point == ']')) {
            buf_append_byte(line, '\\');
        }
        text_utf8_put(line, point < ' ' || point == 0x7F ? ' ' : point);
    }
}

/* What RFC 5424 allows in names: printable ASCII without = ] " and space. */
static void put_name(struct buf *line, const char *name, size_t bytes_max)
{
    size_t count = 0;
    for (; count < bytes_max && name[count] != 0; count++) {
        char c = name[count];
        bool fine = c > ' ' && c < 0x7F && c != '=' && c != ']' && c != '"';
        buf_append_byte(line, fine ? (uint8_t)c : '_');
    }
    if (count == 0) {
        buf_append_byte(line, '-');
    }
}

static void put_field(struct buf *line, bool *ret_first, const char *key, const char *value)
{
    if (value == NULL) {
        return;
    }
    buf_append_str(line, *ret_first ? "[gw@1 " : " ");
    *ret_first = false;
    put_name(line, key, EVENT_BYTES_MAX);
    buf_append_str(line, "=\"");
    put_clean(line, span_of_str(value), true);
    buf_append_byte(line, '"');
}

static void put_fields(struct buf *line, int rc, va_list fields)
{
    bool first = true;
    const char *key;
    if (rc < 0) {
        put_field(line, &first, "error", err_text());
        put_field(line, &first, "code", err_name(rc));
    }
    while ((key = va_arg(fields, const char *)) != NULL) {
        put_field(line, &first, key, va_arg(fields, const char *));
    }
    buf_append_str(line, first ? "-" : "]");
}

/* "2026-05-04T09:30:00.250000Z": microseconds are what RFC 5424 knows. */
static void put_time(struct buf *line)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    time_format(line, time_of_parts(now.tv_sec, now.tv_nsec / 1000 * 1000));
}

static void find_host(void)
{
    if (gethostname(host_name, sizeof(host_name) - 1) != 0 || host_name[0] == 0) {
        (void)snprintf(host_name, sizeof(host_name), "-");
    }
}

static void put_line(struct buf *line, enum log_level level, const char *event, const char *message,
                     int rc, va_list fields)
{
    pthread_once(&once, find_host);
    buf_printf(line, "<%d>1 ", levels[level].pri);
    put_time(line);
    buf_append_byte(line, ' ');
    put_name(line, host_name, HOST_BYTES);
    buf_append_byte(line, ' ');
    put_name(line, program_name, PROGRAM_BYTES);
    buf_append_str(line, " - ");
    put_name(line, event, EVENT_BYTES_MAX);
    buf_append_byte(line, ' ');
    put_fields(line, rc, fields);
    buf_append_byte(line, ' ');
    put_clean(line, span_of_str(message), false);
    while (line->bytes > LOG_LINE_BYTES_MAX) {
        /* Cut, and not within a character. */
        line->bytes = LOG_LINE_BYTES_MAX;
        while ((line->data[line->bytes] & 0xC0) == 0x80) {
            line->bytes--;
        }
    }
}

/* ── Where it goes ───────────────────────────────────────────────────────────────────────── */

static void put_into_ring(struct span line)
{
    pthread_mutex_lock(&ring_lock);
    char *slot = ring[ring_count++ % LOG_RING_LINES];
    size_t bytes = MIN(line.bytes, (size_t)LOG_RING_LINE_BYTES - 1);
    memcpy(slot, line.data, bytes);
    slot[bytes] = 0;
    pthread_mutex_unlock(&ring_lock);
}

static void write_stderr(struct buf *line)
{
    buf_append_byte(line, '\n');
    const uint8_t *at = line->data;
    size_t left = line->bytes;
    while (left > 0) {
        ssize_t wrote = write(STDERR_FILENO, at, left); /* nearly always all of it at once */
        if (wrote <= 0) {
            return;
        }
        at += wrote;
        left -= (size_t)wrote;
    }
}

static void give_to_sink(enum log_level level, struct span line)
{
    if (in_sink) {
        return;
    }
    in_sink = true;
    pthread_rwlock_rdlock(&sink_lock);
    if (sink_call != NULL) {
        sink_call(sink_context, level, line);
    }
    pthread_rwlock_unlock(&sink_lock);
    in_sink = false;
}

static void emit(enum log_level level, bool trace_only, const char *event, const char *message,
                 int rc, va_list fields)
{
    struct buf line = {0};
    int reason = errno;
    put_line(&line, level, event, message, rc, fields);
    put_into_ring(buf_span(&line));
    if (!trace_only && (int)level >= atomic_load(&level_from)) {
        size_t bytes = line.bytes;
        atomic_fetch_add(&counts[level], 1);
        write_stderr(&line);
        give_to_sink(level, span_of(line.data, bytes));
    }
    buf_deinit(&line);
    errno = reason;
}

#define LOG_FUNCTION(name, level)                                                                  \
    void name(const char *event, const char *message, ...)                                         \
    {                                                                                              \
        va_list fields;                                                                            \
        va_start(fields, message);                                                                 \
        emit(level, false, event, message, 0, fields);                                             \
        va_end(fields);                                                                            \
    }

LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_critical, LOG_LEVEL_CRITICAL)

void log_fault(const char *event, const char *message, int rc, ...)
{
    va_list fields;
    va_start(fields, rc);
    emit(LOG_LEVEL_ERROR, false, event, message, rc, fields);
    va_end(fields);
}

void log_trace(const char *event, const char *message, ...)
{
    va_list fields;
    va_start(fields, message);
    emit(TRACE_LEVEL, true, event, message, 0, fields);
    va_end(fields);
}

/* ── The rest ────────────────────────────────────────────────────────────────────────────── */

const char *log_int(char text[24], int64_t value)
{
    (void)snprintf(text, 24, "%" PRId64, value);
    return text;
}

const char *log_span(char text[256], struct span span)
{
    size_t bytes = MIN(span.bytes, (size_t)255);
    if (bytes > 0) {
        memcpy(text, span.data, bytes);
    }
    text[bytes] = 0;
    return text;
}

void log_init(const char *program, enum log_level level)
{
    (void)snprintf(program_name, sizeof(program_name), "%s", program);
    log_set_level(level);
}

void log_set_level(enum log_level level)
{
    atomic_store(&level_from, (int)level);
}

bool log_level_parse(struct span text, enum log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_COUNT(levels); i++) {
        if (span_equal_nocase(text, span_of_str(levels[i].name))) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

const char *log_level_name(enum log_level level)
{
    return levels[level].name;
}

void log_set_sink(void (*sink)(void *context, enum log_level level, struct span line),
                  void *context)
{
    pthread_rwlock_wrlock(&sink_lock);
    sink_call = sink;
    sink_context = context;
    pthread_rwlock_unlock(&sink_lock);
}

void log_recent(struct buf *buf)
{
    pthread_mutex_lock(&ring_lock);
    uint64_t first = ring_count > LOG_RING_LINES ? ring_count - LOG_RING_LINES : 0;
    for (uint64_t i = first; i < ring_count; i++) {
        buf_append_str(buf, ring[i % LOG_RING_LINES]);
        buf_append_byte(buf, '\n');
    }
    pthread_mutex_unlock(&ring_lock);
}

uint64_t log_count(enum log_level level)
{
    return atomic_load(&counts[level]);
}
