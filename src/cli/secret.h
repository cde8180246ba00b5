/*
 * Passwords that are typed in or piped in: never from the command line, which everybody on the
 * machine can read.
 */
#ifndef CLI_SECRET_H
#define CLI_SECRET_H

#include <stdbool.h>

#include "base/buf.h"
#include "io/io.h"

#define CLI_SECRET_BYTES_MAX 1024 /* a webserver takes no longer ones at a log-in */

/* Asks on a terminal, without an echo, having printed `prompt`; else takes the next line of
 * standard input. Appends it without its end. False: there was none, or it is empty. */
bool cli_secret_read(const char *prompt, struct buf *secret);

/* A new password of the user `name`: the only line of the file `path`; NULL: typed (on a terminal
 * twice), or the next line of standard input. Appends it; ERR_INVALID says what is wrong with it.
 */
MUST_CHECK int cli_secret_new(struct io *io, const char *name, const char *path,
                              struct buf *secret);

#endif
