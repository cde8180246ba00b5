/*
 * A progress bar on standard error, for commands that move bytes. Draws only on a terminal. One
 * thread.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "io/io.h"

struct progress {
    struct io *io;
    const char *what; /* "downloading" */
    bool drawn_at_all;
    bool quiet;
    uint64_t bytes;
    uint64_t bytes_total; /* 0: not known */
    int64_t started_ns, drawn_ns;
};

/* `bytes_total` 0: not known. */
void progress_begin(struct progress *progress, struct io *io, const char *what,
                    uint64_t bytes_total, bool quiet);
void progress_add(struct progress *progress, uint64_t bytes);
void progress_end(struct progress *progress); /* wipes the line */

/* "12.3 MB" */
void progress_print_bytes(FILE *file, double bytes);

#endif
