/* Tested by tests/cluster/test_documents.py. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>

static void complain(const struct cli_command *command, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void complain(const struct cli_command *command, const char *format, va_list args)
{
    fflush(stdout);
    fprintf(stderr, "aquifer %s: ", command->name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int cli_usage(const struct cli_command *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(command, format, args);
    va_end(args);
    fprintf(stderr, "usage: aquifer %s %s\nmore: aquifer help %s\n", command->name,
            command->arguments, command->name);
    return CLI_USAGE;
}

int cli_fail(const struct cli_command *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(command, format, args);
    va_end(args);
    return CLI_FAILED;
}

int cli_help(const struct cli_command *command)
{
    printf("aquifer %s: %s\n\nusage: aquifer %s %s\n%s%s", command->name, command->summary,
           command->name, command->arguments, command->help[0] == '\0' ? "" : "\n", command->help);
    return CLI_OK;
}
