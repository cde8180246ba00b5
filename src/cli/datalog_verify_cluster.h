/* aquifer datalog verify --cluster: whether indexers that replicate to each other hold the same. */
#ifndef CLI_DATALOG_VERIFY_CLUSTER_H
#define CLI_DATALOG_VERIFY_CLUSTER_H

#include "cli/cli.h"

int cli_datalog_verify_cluster(const struct cli_command *command, int argc, char **argv);

#endif
