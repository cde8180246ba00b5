/*
 * aquifer datalog status: asks indexers about their part in replication.
 */
#ifndef CLI_DATALOG_STATUS_H
#define CLI_DATALOG_STATUS_H

#include "cli/cli.h"

/* argv[0] is "status". CLI_FAILED when an indexer is down or a link does not follow. */
int cli_datalog_status(const struct cli_command *command, int argc, char **argv);

#endif
