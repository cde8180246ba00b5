/*
 * aquifer datalog ls|cat|verify DIR: a look at the files of a log, also of a running node. Its
 * other verb, status, asks nodes instead (datalog_status.h).
 * Nothing is changed.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/time.h"
#include "cli/cli.h"
#include "cli/datalog_forward.h"
#include "cli/datalog_join.h"
#include "cli/datalog_payload.h"
#include "cli/datalog_status.h"
#include "cli/datalog_verify_cluster.h"
#include "datalog/inspect.h"
#include "series/entry.h"
#include "series/evs.h"

struct look {
    const char *dir;
    uint64_t from; /* positions [from, to] */
    uint64_t to;
    bool entries; /* cat: of each record */
    uint64_t files;
    uint64_t records;
    uint64_t count; /* of entries */
    uint64_t faults;
};

static const char *type_text(enum datalog_type type)
{
    static const char *const texts[] = {
        [DATALOG_UPDATE] = "update", [DATALOG_META] = "meta",     [DATALOG_DELETE] = "delete",
        [DATALOG_POINTS] = "points", [DATALOG_SERIES] = "series",
    };
    return texts[type]; /* the record's reader lets no other pass */
}

static int print_file(void *context, const struct datalog_seen_file *seen)
{
    struct look *look = context;
    bool whole = seen->header != NULL && seen->damaged == 0 && seen->missing == 0;
    printf("%020" PRIu64 ".log %11" PRIu64 " bytes %9" PRIu64 " records", seen->first, seen->bytes,
           seen->records);
    if (seen->records > 0) {
        printf(", up to %" PRIu64, seen->last);
    }
    if (seen->ignored > 0) {
        printf(", %" PRIu64 " of a failed group", seen->ignored);
    }
    if (seen->tail > 0) {
        printf(", %" PRIu64 " bytes of an unfinished group", seen->tail);
    }
    printf("%s%s%s%s\n", whole ? "" : ", DAMAGED:", seen->header == NULL ? " header" : "",
           seen->damaged > 0 ? " bytes" : "", seen->missing > 0 ? " records missing" : "");
    look->files++;
    look->records += seen->records;
    look->faults += whole ? 0 : 1;
    return 0;
}

/* "3.2s" of nanoseconds, "17h" of more. */
static void print_lag(const struct datalog_cursor_stats *stats)
{
    double s = (double)stats->lag_ns / 1e9;
    printf(" lag: %" PRIu64 " records, %" PRIu64 " bytes, ", stats->lag_records, stats->lag_bytes);
    if (s < 600) {
        printf("%.3f s", s);
    } else {
        printf("%.1f h", s / 3600);
    }
}

static int print_cursor(void *context, const struct datalog_seen_cursor *seen)
{
    struct look *look = context;
    const struct datalog_cursor_stats *stats = &seen->stats;
    if (seen->damaged) {
        printf("cursor %s DAMAGED: it will start at the oldest record\n", stats->name);
        look->faults++;
        return 0;
    }
    printf("cursor %s %s next=%" PRIu64, stats->name, stats->detached ? "DETACHED" : "attached",
           stats->next);
    print_lag(stats);
    if (stats->next < stats->first) {
        printf(", missing: %" PRIu64 " to %" PRIu64, stats->next, stats->first - 1);
    }
    putchar('\n');
    return 0;
}

static int print_origin(void *context, const struct datalog_origin_position *position, bool own)
{
    char node[UUID_TEXT_BYTES];
    (void)context;
    printf("origin %s/%" PRIu64 " position=%" PRIu64 "%s\n", uuid_text(position->origin.node, node),
           position->origin.incarnation, position->position, own ? " own" : "");
    return 0;
}

static void print_entry(const struct entry *entry, struct span tag)
{
    struct buf line = {0};
    buf_printf(&line, "  ");
    time_format(&line, entry->time_ns);
    buf_printf(&line, " %.*s ", SPAN_ARG(tag));
    entry_source_text(&line, entry->source);
    buf_append_byte(&line, ' ');
    text_json_string(&line, entry->data);
    struct series_ev ev;
    for (size_t at = 0; series_evs_next(entry->enumerated, &at, &ev);) {
        buf_printf(&line, " %.*s=", SPAN_ARG(ev.name));
        series_ev_text(&line, &ev);
    }
    puts(buf_str(&line));
    buf_deinit(&line);
}

static struct span name_of(const struct entries *entries, uint16_t number)
{
    struct entries walk = *entries;
    uint16_t tag;
    struct span name;
    while (entries_next_tag(&walk, &tag, &name)) {
        if (tag == number) {
            return name;
        }
    }
    return SPAN_LIT("?");
}

static void print_entries(struct entries *entries)
{
    struct entry entry;
    while (entries_next(entries, &entry)) {
        if (series_evs_check(entry.enumerated) < 0) {
            entry.enumerated = SPAN_NONE; /* verify says so */
        }
        print_entry(&entry, name_of(entries, entry.tag));
    }
}

static int print_record(void *context, const struct datalog_seen_record *seen)
{
    struct look *look = context;
    const struct datalog_record *record = seen->record;
    char time[TIME_TEXT_BYTES];
    char node[UUID_TEXT_BYTES];
    if (record->position < look->from || record->position > look->to || seen->ignored) {
        return 0;
    }
    struct entries entries;
    bool run = record->type == DATALOG_UPDATE && entries_open(&entries, record->payload) == 0;
    printf("%" PRIu64 " group=%" PRIu64 " time=%s origin=%s/%" PRIu64 " origin-position=%" PRIu64
           " type=%s well=%.*s bytes=%zu",
           record->position, seen->group, time_text((int64_t)record->time, time),
           uuid_text(record->origin.node, node), record->origin.incarnation,
           record->origin_position, type_text(record->type), SPAN_ARG(record->well),
           record->payload.bytes);
    uint32_t count = 0;
    if (run) {
        printf(" entries=%" PRIu32, entries.count);
    } else if (datalog_payload_check(record, &count) < 0) {
        printf(" DAMAGED");
    } else if (count > 0) {
        printf(" count=%" PRIu32, count);
    }
    putchar('\n');
    if (run && look->entries) {
        print_entries(&entries);
    } else if (count > 0 && look->entries) {
        datalog_payload_print(record);
    }
    return 0;
}

/* The record's own checksum was right; what it carries has a form too. */
static int verify_record(void *context, const struct datalog_seen_record *seen)
{
    struct look *look = context;
    struct entries entries;
    struct entry entry;
    uint32_t count;
    if (seen->ignored) {
        return 0;
    }
    bool run = seen->record->type == DATALOG_UPDATE;
    int rc = run ? entries_open(&entries, seen->record->payload)
                 : datalog_payload_check(seen->record, &count);
    while (run && rc == 0 && entries_next(&entries, &entry)) {
        rc = series_evs_check(entry.enumerated);
        look->count++;
    }
    if (rc < 0) {
        printf("record %" PRIu64 " at byte %" PRIu64 " of %020" PRIu64 ".log: %s\n",
               seen->record->position, seen->offset, seen->file, err_text());
        look->faults++;
    }
    return 0;
}

static int tell_damage(void *context, uint64_t file, uint64_t offset, uint64_t bytes)
{
    struct look *look = context;
    if (file == 0) {
        printf("cursors: %" PRIu64 " damaged lines\n", bytes);
        look->faults++;
        return 0;
    }
    printf("%020" PRIu64 ".log: bytes %" PRIu64 " to %" PRIu64 " are damaged\n", file, offset,
           offset + bytes - 1);
    return 0;
}

static int run(const struct cli_command *command, const char *verb, struct look *look)
{
    struct datalog_visitor visitor = {.context = look};
    bool verify = strcmp(verb, "verify") == 0;
    if (strcmp(verb, "cat") == 0) {
        visitor.record = print_record;
    } else {
        visitor.record = verify ? verify_record : NULL;
        visitor.damage = verify ? tell_damage : NULL;
        visitor.file = print_file;
        visitor.cursor = print_cursor;
        visitor.origin = verify ? NULL : print_origin;
    }
    int rc = datalog_inspect(io_real(), look->dir, &visitor);
    if (rc < 0) {
        return cli_fail(command, "%s", err_text());
    }
    if (verify) {
        printf("%" PRIu64 " files, %" PRIu64 " records, %" PRIu64 " entries: %s\n", look->files,
               look->records, look->count, look->faults == 0 ? "good" : "DAMAGED");
    }
    return look->faults == 0 ? CLI_OK : CLI_FAILED;
}

int cli_datalog(const struct cli_command *command, int argc, char **argv)
{
    static const struct option options[] = {
        {"from", required_argument, NULL, 'f'},
        {"to", required_argument, NULL, 't'},
        {"entries", no_argument, NULL, 'e'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    if (argc > 1 && strcmp(argv[1], "status") == 0) {
        return cli_datalog_status(command, argc - 1, argv + 1);
    }
    for (int i = 2; i < argc && strcmp(argv[1], "verify") == 0; i++) {
        if (strcmp(argv[i], "--cluster") == 0) {
            return cli_datalog_verify_cluster(command, argc - 1, argv + 1);
        }
    }
    struct look look = {.to = UINT64_MAX};
    if (argc > 1 && strcmp(argv[1], "forward") == 0) {
        return cli_datalog_forward(command, argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "join") == 0) {
        return cli_datalog_join(command, argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "quarantine") == 0) {
        return cli_datalog_quarantine(command, argc - 1, argv + 1);
    }
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (c == 'h') {
            return cli_help(command);
        }
        if (c == 'e') {
            look.entries = true;
        } else if ((c != 'f' && c != 't') ||
                   !span_to_u64(span_of_str(optarg), c == 'f' ? &look.from : &look.to)) {
            return cli_usage(command, "--from and --to take a position");
        }
    }
    const char *verb = optind < argc ? argv[optind] : "";
    if (strcmp(verb, "ls") != 0 && strcmp(verb, "cat") != 0 && strcmp(verb, "verify") != 0) {
        return cli_usage(command, "status, join, ls, cat, verify, forward or quarantine?");
    }
    if (argc - optind != 2) {
        return cli_usage(command, "%s takes one directory", verb);
    }
    look.dir = argv[optind + 1];
    return run(command, verb, &look);
}
