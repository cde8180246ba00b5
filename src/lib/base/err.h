/*
 * Errors. A function that can fail returns int: 0 done, negative a fault (below), positive an
 * outcome that this one function documents. A fault travels up and gains context; its text is
 * kept per thread:
 *
 *     well netflow: append at 8192: write: no space left on device
 *
 * Libraries return faults, rooms log err_text() once.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/check.h"

enum err {
    ERR_IO = -1,       /* a disk or the kernel said no */
    ERR_NO_SPACE = -2, /* a disk or a quota is full */
    ERR_NOT_FOUND = -3,
    ERR_EXISTS = -4,
    ERR_INVALID = -5,    /* input that is not of its form */
    ERR_PROTOCOL = -6,   /* a peer broke the protocol */
    ERR_CORRUPT = -7,    /* stored data fails its checksum or its form */
    ERR_AUTH = -8,       /* a wrong secret, password, token or MAC */
    ERR_DENIED = -9,     /* known, but not allowed */
    ERR_TOO_LARGE = -10, /* a named bound was reached */
    ERR_TIMEOUT = -11,
    ERR_UNAVAILABLE = -12, /* a peer cannot be reached or a service is not ready */
    ERR_CONFLICT = -13,    /* somebody else changed it first */
    ERR_UNSUPPORTED = -14,
    ERR_CANCELLED = -15,
};

#define ERR_TEXT_BYTES_MAX 1024

/* Sets the text and returns `code`. */
int err_set(enum err code, const char *format, ...) PRINTF_LIKE(2, 3);

/* As err_set, from errno: the code that fits, and ": " and strerror after the text. */
int err_set_errno(int errno_value, const char *format, ...) PRINTF_LIKE(2, 3);

/* Puts "<text>: " in front of the present text and returns `code`, which must be a fault. */
int err_wrap(int code, const char *format, ...) PRINTF_LIKE(2, 3);

/* The text of this thread's last fault; "" before the first. Holds until the next. */
const char *err_text(void);

/* A short name of a code ("no space"), for logs and counters. */
const char *err_name(int code);

#endif
