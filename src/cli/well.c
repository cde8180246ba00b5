/*
 * aquifer well ls|verify DIR...: a look at the segment files of wells, also of a running indexer.
 * Nothing is changed.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "cli/cli.h"
#include "well/inspect.h"

struct look {
    const char *dir;
    uint64_t files;
    uint64_t entries;
    uint64_t points;
    uint64_t faults;
};

static int print_damage(void *context, const char *name, const char *text)
{
    struct look *look = context;
    (void)name; /* the text has it */
    printf("%s\n", text);
    look->faults++;
    return 0;
}

static int print_file(void *context, const struct well_seen_file *seen)
{
    struct look *look = context;
    char oldest[TIME_TEXT_BYTES];
    char newest[TIME_TEXT_BYTES];
    printf("%s/%s %11" PRIu64 " bytes", look->dir, seen->name, seen->bytes);
    if (seen->is_void) {
        puts(", not valid: replaced or not completed");
        return 0;
    }
    printf(" %9" PRIu64 " entries %9" PRIu64 " points", seen->entries, seen->points);
    if (seen->entries + seen->points > 0) {
        printf(", %s to %s", time_text(seen->oldest_ns, oldest),
               time_text(seen->newest_ns, newest));
    }
    if (seen->packed_level > 0) {
        printf(", packed at level %d", seen->packed_level);
    }
    puts(seen->faults > 0 ? ", DAMAGED" : "");
    look->files++;
    look->entries += seen->entries;
    look->points += seen->points;
    return 0;
}

static int run(const struct cli_command *command, bool verifies, char **dirs, int count)
{
    struct look look = {0};
    struct well_visitor visitor = {print_damage, print_file, &look, verifies};
    for (int i = 0; i < count; i++) {
        look.dir = dirs[i];
        int rc = well_inspect(io_real(), look.dir, &visitor);
        if (rc < 0) {
            return cli_fail(command, "%s", err_text());
        }
    }
    if (verifies) {
        printf("%" PRIu64 " files, %" PRIu64 " entries, %" PRIu64 " points: %s\n", look.files,
               look.entries, look.points, look.faults == 0 ? "good" : "DAMAGED");
    }
    return look.faults == 0 ? CLI_OK : CLI_FAILED;
}

int cli_well(const struct cli_command *command, int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        return c == 'h' ? cli_help(command) : cli_usage(command, "there is no such option");
    }
    const char *verb = optind < argc ? argv[optind] : "";
    bool verifies = strcmp(verb, "verify") == 0;
    if (!verifies && strcmp(verb, "ls") != 0) {
        return cli_usage(command, "ls or verify?");
    }
    if (argc - optind < 2) {
        return cli_usage(command, "%s takes the directories of wells", verb);
    }
    return run(command, verifies, argv + optind + 1, argc - optind - 1);
}
