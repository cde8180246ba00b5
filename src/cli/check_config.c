/*
 * aquifer check-config: every problem of a configuration file, one line each.
 */
#include <getopt.h>
#include <stdio.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "conf/conf.h"
#include "io/io.h"

int cli_check_config(const struct cli_command *command, int argc, char **argv)
{
    static const struct option options[] = {
        {"loadbalancer", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const struct conf_schema *schema = conf_schema_aquifer();
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (c) {
        case 'l':
            schema = conf_schema_loadbalancer();
            break;
        case 'h':
            return cli_help(command);
        default:
            return cli_usage(command, "see above");
        }
    }
    if (argc - optind > 1) {
        return cli_usage(command, "one file at a time");
    }
    const char *path = optind < argc ? argv[optind] : CLI_CONFIG_PATH;
    struct buf problems = {0};
    struct conf *conf = NULL;
    int rc = conf_load_reporting(io_real(), path, schema, &problems, &conf);
    if (problems.bytes > 0) {
        fwrite(problems.data, 1, problems.bytes, stderr);
    } else if (rc < 0) {
        (void)cli_fail(command, "%s", err_text());
    } else {
        printf("%s: configuration is valid\n", path);
    }
    buf_deinit(&problems);
    conf_free(&conf);
    return rc < 0 ? CLI_FAILED : CLI_OK;
}
