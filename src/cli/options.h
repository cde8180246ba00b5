/*
 * The options of a command as a table: a row is a name and where its value goes. "--help" and what
 * is wrong are dealt with here.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/cli.h"

#define CLI_OPTIONS_MAX 24

struct cli_option {
    const char *name;  /* without "--" */
    const char **text; /* takes a value: set to it; borrows from argv */
    bool *flag;        /* else: set to true */
};

enum { CLI_HELPED = -1 }; /* --help: said, nothing is left to do */

/* CLI_OK, CLI_USAGE (said) or CLI_HELPED. *ret_words: the place in argv of the first word that is
 * no option; argv is put in order. */
MUST_CHECK int cli_options(const struct cli_command *command, const struct cli_option *options,
                           size_t count, int argc, char **argv, int *ret_words);

#endif
