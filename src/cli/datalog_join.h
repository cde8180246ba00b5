/* aquifer datalog join: brings up a new indexer from one that has everything. */
#ifndef CLI_DATALOG_JOIN_H
#define CLI_DATALOG_JOIN_H

#include "cli/cli.h"

int cli_datalog_join(const struct cli_command *command, int argc, char **argv);

#endif
