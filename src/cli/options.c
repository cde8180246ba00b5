#include "cli/options.h"

#include <getopt.h>

#define FIRST 256 /* above every character */

int cli_options(const struct cli_command *command, const struct cli_option *options, size_t count,
                int argc, char **argv, int *ret_words)
{
    struct option table[CLI_OPTIONS_MAX + 2] = {{"help", no_argument, NULL, 'h'}};
    CHECK(count <= CLI_OPTIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        int argument = options[i].text != NULL ? required_argument : no_argument;
        table[i + 1] = (struct option){options[i].name, argument, NULL, FIRST + (int)i};
    }
    opterr = 0; /* we say it, with a reason */
    for (int c; (c = getopt_long(argc, argv, ":h", table, NULL)) != -1;) {
        if (c == 'h') {
            (void)cli_help(command);
            return CLI_HELPED;
        }
        if (c == ':') {
            return cli_usage(command, "option %s needs a value", argv[optind - 1]);
        }
        if (c < FIRST) {
            return cli_usage(command, "there is no option %s, or it takes no value",
                             argv[optind - 1]);
        }
        const struct cli_option *option = &options[c - FIRST];
        if (option->text != NULL) {
            *option->text = optarg;
        } else {
            *option->flag = true;
        }
    }
    *ret_words = optind;
    return CLI_OK;
}
