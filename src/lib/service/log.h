/*
 * Log lines: one event each, RFC 5424 with structured data, one write to stderr.
 *
 *     <14>1 2026-05-04T09:30:00.25Z host aquifer-webserver - login [gw@1 user="admin"] logged in
 *
 *     log_info("login", "logged in", "user", name, "uid", LOG_INT(uid), NULL);
 *
 * The event is a stable name (at most 32 letters, digits, '-' and '_'), the message says what
 * happened and what happens next; then keys and values, both strings, ended by NULL. A NULL value
 * is left out with its key. PRI: 10 critical, 11 error, 12 warning, 14 info, 15 debug.
 *
 * Any thread. Every line, whatever its level, also goes into a ring of recent events, which is
 * printed when a CHECK fails.
 */
#ifndef SERVICE_LOG_H
#define SERVICE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/span.h"

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_CRITICAL,
    LOG_LEVEL_OFF,
};

#define LOG_LINE_BYTES_MAX 8192 /* longer lines are cut */
#define LOG_RING_LINES 2048
#define LOG_RING_LINE_BYTES 240 /* of each line in the ring */

#define LOG_FIELDS __attribute__((sentinel))

void log_debug(const char *event, const char *message, ...) LOG_FIELDS;
void log_info(const char *event, const char *message, ...) LOG_FIELDS;
void log_warn(const char *event, const char *message, ...) LOG_FIELDS;
void log_error(const char *event, const char *message, ...) LOG_FIELDS;
void log_critical(const char *event, const char *message, ...) LOG_FIELDS;

/* A fault with its text: adds error="<err_text()>" code="<err_name(rc)>". */
void log_fault(const char *event, const char *message, int rc, ...) LOG_FIELDS;

/* Only into the ring: state changes and their reasons. */
void log_trace(const char *event, const char *message, ...) LOG_FIELDS;

/* Numbers as values: "bytes", LOG_INT(n). */
#define LOG_INT(value) log_int((char[24]){0}, (int64_t)(value))
#define LOG_SPAN(span) log_span((char[256]){0}, (span)) /* first 255 bytes */
const char *log_int(char text[24], int64_t value);
const char *log_span(char text[256], struct span span);

/* The program's name in each line, and the level from which on lines are written. Without it:
 * "aquifer", INFO. */
void log_init(const char *program, enum log_level level);
void log_set_level(enum log_level level);
bool log_level_parse(struct span text, enum log_level *ret_level); /* "INFO", "warn" ... */
const char *log_level_name(enum log_level level);

/*
 * Where lines go besides stderr (the self-log). The line has no newline and is borrowed for the
 * call. Called on the logging thread: it must be quick, and lines that it logs itself go only to
 * stderr. NULL removes it: when log_set_sink returns, the old one is not running any more.
 */
void log_set_sink(void (*sink)(void *context, enum log_level level, struct span line),
                  void *context);

/* The ring, oldest first, one line each. */
void log_recent(struct buf *buf);

/* Lines written per level, for metrics. */
uint64_t log_count(enum log_level level);

#endif
