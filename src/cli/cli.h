/*
 * The command line. Each subcommand is one file and one row of the table in main.c. They share
 * the meaning of exit codes and how usage errors look.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/check.h"

enum cli_status {
    CLI_OK = 0,
    CLI_FAILED = 1, /* it was tried and did not succeed */
    CLI_USAGE = 2,  /* it was not tried: the command line makes no sense */
};

struct cli_command {
    const char *name;
    const char *arguments; /* for help */
    const char *summary;
    const char *help; /* the options, one per line */
    int (*run)(const struct cli_command *command, int argc, char **argv);
};

int cli_ingest(const struct cli_command *command, int argc, char **argv);
int cli_status(const struct cli_command *command, int argc, char **argv);
int cli_search(const struct cli_command *command, int argc, char **argv);
int cli_user(const struct cli_command *command, int argc, char **argv);
int cli_backup(const struct cli_command *command, int argc, char **argv);
int cli_restore(const struct cli_command *command, int argc, char **argv);
int cli_datastore(const struct cli_command *command, int argc, char **argv);
int cli_datalog(const struct cli_command *command, int argc, char **argv);
int cli_well(const struct cli_command *command, int argc, char **argv);
int cli_token(const struct cli_command *command, int argc, char **argv);
int cli_check_config(const struct cli_command *command, int argc, char **argv);

/* "aquifer ingest: <text>" and where to read more, to stderr; returns CLI_USAGE. */
int cli_usage(const struct cli_command *command, const char *format, ...) PRINTF_LIKE(2, 3);

/* "aquifer ingest: <text>" to stderr; returns CLI_FAILED. */
int cli_fail(const struct cli_command *command, const char *format, ...) PRINTF_LIKE(2, 3);

/* Usage and options of one command, to stdout; returns CLI_OK. */
int cli_help(const struct cli_command *command);

#define CLI_CONFIG_PATH "/etc/aquifer/aquifer.conf"

#endif
