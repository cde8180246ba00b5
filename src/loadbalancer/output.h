/*
 * What the child prints: lines of stderr become log lines, lines of stdout (the access log) go to
 * a file. A thread of its own reads until both pipes are closed, which is when no process holds
 * their other ends any more.
 */
#ifndef LOADBALANCER_OUTPUT_H
#define LOADBALANCER_OUTPUT_H

#include <stdbool.h>

#include "base/check.h"

struct output;

/* Makes the pipes and starts the thread. `access_path` NULL: stdout is dropped. */
MUST_CHECK int output_start(const char *access_path, struct output **ret_output);

/* The ends for the child; they stay the output's. */
int output_stdout(const struct output *output);
int output_stderr(const struct output *output);

/* The access log is opened anew before its next line. Any thread. */
void output_reopen(struct output *output);

/* Closes its own ends and waits until the children's are closed too. May be NULL inside. */
void output_stop(struct output **output);

#endif
