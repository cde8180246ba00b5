#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char text_of_thread[ERR_TEXT_BYTES_MAX];

int err_set(enum err code, const char *format, ...)
{
    /* Formatted aside: an argument may be err_text() itself. */
    char text[ERR_TEXT_BYTES_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    memcpy(text_of_thread, text, sizeof(text));
    return code;
}

static enum err code_of_errno(int errno_value)
{
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case ETIMEDOUT:
    case EAGAIN:
        return ERR_TIMEOUT;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return ERR_UNAVAILABLE;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    default:
        return ERR_IO;
    }
}

int err_set_errno(int errno_value, const char *format, ...)
{
    char text[ERR_TEXT_BYTES_MAX / 2];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    char reason[128];
    return err_set(code_of_errno(errno_value), "%s: %s", text,
                   strerror_r(errno_value, reason, sizeof(reason)));
}

int err_wrap(int code, const char *format, ...)
{
    CHECK(code < 0);
    char text[ERR_TEXT_BYTES_MAX / 2];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    char inner[ERR_TEXT_BYTES_MAX];
    memcpy(inner, text_of_thread, sizeof(inner));
    int length = snprintf(text_of_thread, sizeof(text_of_thread), "%s: ", text);
    size_t used = MIN((size_t)length, sizeof(text_of_thread) - 1);
    size_t room = sizeof(text_of_thread) - 1 - used;
    size_t inner_bytes = MIN(strlen(inner), room);
    memcpy(text_of_thread + used, inner, inner_bytes);
    text_of_thread[used + inner_bytes] = 0;
    return code;
}

const char *err_text(void)
{
    return text_of_thread;
}

const char *err_name(int code)
{
    static const char *const names[] = {
        [-ERR_IO] = "io",
        [-ERR_NO_SPACE] = "no space",
        [-ERR_NOT_FOUND] = "not found",
        [-ERR_EXISTS] = "exists",
        [-ERR_INVALID] = "invalid",
        [-ERR_PROTOCOL] = "protocol",
        [-ERR_CORRUPT] = "corrupt",
        [-ERR_AUTH] = "authentication",
        [-ERR_DENIED] = "denied",
        [-ERR_TOO_LARGE] = "too large",
        [-ERR_TIMEOUT] = "timeout",
        [-ERR_UNAVAILABLE] = "unavailable",
        [-ERR_CONFLICT] = "conflict",
        [-ERR_UNSUPPORTED] = "unsupported",
        [-ERR_CANCELLED] = "cancelled",
    };
    if (code >= 0 || (size_t)-code >= ARRAY_COUNT(names)) {
        return "unknown";
    }
    return names[-code];
}
