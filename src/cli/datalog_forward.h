/*
 * The verbs of `aquifer datalog` that send: argv[0] is the verb.
 */
#ifndef CLI_DATALOG_FORWARD_H
#define CLI_DATALOG_FORWARD_H

#include "cli/cli.h"

int cli_datalog_forward(const struct cli_command *command, int argc, char **argv);
int cli_datalog_quarantine(const struct cli_command *command, int argc, char **argv);

#endif
