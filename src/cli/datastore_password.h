/*
 * aquifer datastore password: a new password for an account whose owner is locked out, on the
 * machine that has the accounts, while the daemon that owns them is stopped.
 */
#ifndef CLI_DATASTORE_PASSWORD_H
#define CLI_DATASTORE_PASSWORD_H

#include "cli/cli.h"

/* argv[0] is "password". */
int cli_datastore_password(const struct cli_command *command, int argc, char **argv);

#endif
