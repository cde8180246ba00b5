/*
 * Passwords that are typed in or piped in: never from the command line, which everybody on the
 * machine can read.
 */
#ifndef CLI_SECRET_H
#define CLI_SECRET_H

#include <stdbool.h>

#include "base/buf.h"

/* Asks on a terminal, without an echo, having printed `prompt`; else takes the next line of
 * standard input. Appends it without its end. False: there was none, or it is empty. */
bool cli_secret_read(const char *prompt, struct buf *secret);

#endif
