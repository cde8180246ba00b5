/*
 * aquifer ingest: the lines of files, or of standard input, to an indexer. It succeeds only when
 * every entry was acknowledged.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/time.h"
#include "base/vec.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "conf/conf.h"
#include "ingest/client.h"
#include "ingest/timestamp.h"
#include "io/io.h"

#define READ_BYTES (256u << 10)
#define PROGRESS_NS (100 * TIME_MS_NS)
#define IDLE_MS 200
#define CONNECT_MS 5000 /* at the beginning; later an indexer may be away for longer */
#define BAR_CELLS 30

struct job {
    const struct cli_command *command;
    struct io *io;

    const char *tag_name;
    const char *secret;
    const char *config_path;
    VEC(const char *) targets;
    bool has_source;
    uint8_t source[16];
    bool use_now;
    bool compress;
    bool insecure;
    bool quiet;
    struct ingest_timestamp finder;
    struct conf *conf;

    struct ingest_client *client;
    uint16_t tag;
    uint64_t lines, empty, timed;
    uint64_t bytes_read, bytes_total; /* total 0: unknown */
    const char *file;
    int64_t started_ns, drawn_ns;
    bool bar;
};

/* For the signal handler only. */
static struct ingest_client *_Atomic interrupted_client;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    struct ingest_client *client = atomic_load(&interrupted_client);
    if (client != NULL) {
        ingest_client_cancel(client);
    }
}

/* ---- options ---- */

static int set_zone(struct job *job, const char *text)
{
    if (strcmp(text, "utc") == 0) {
        job->finder.zone = INGEST_ZONE_UTC;
    } else if (strcmp(text, "local") == 0) {
        job->finder.zone = INGEST_ZONE_LOCAL;
    } else {
        return cli_usage(job->command, "--timezone is utc or local");
    }
    return CLI_OK;
}

static int set_source(struct job *job, const char *text)
{
    if (!entry_source_parse(span_of_str(text), job->source)) {
        return cli_usage(job->command, "--source: \"%s\" is no address", text);
    }
    job->has_source = true;
    return CLI_OK;
}

/* CLI_OK, CLI_USAGE, or -1: help was shown. */
static int parse(struct job *job, int argc, char **argv)
{
    static const struct option options[] = {
        {"tag", required_argument, NULL, 't'},    {"indexer", required_argument, NULL, 'i'},
        {"secret", required_argument, NULL, 's'}, {"config", required_argument, NULL, 'c'},
        {"source", required_argument, NULL, 'a'}, {"timezone", required_argument, NULL, 'z'},
        {"now", no_argument, NULL, 'n'},          {"compress", no_argument, NULL, 'C'},
        {"insecure", no_argument, NULL, 'k'},     {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    int status = CLI_OK;
    for (int c; status == CLI_OK && (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (c) {
        case 't':
            job->tag_name = optarg;
            break;
        case 'i':
            vec_push(&job->targets, optarg);
            break;
        case 's':
            job->secret = optarg;
            break;
        case 'c':
            job->config_path = optarg;
            break;
        case 'a':
            status = set_source(job, optarg);
            break;
        case 'z':
            status = set_zone(job, optarg);
            break;
        case 'n':
            job->use_now = true;
            break;
        case 'C':
            job->compress = true;
            break;
        case 'k':
            job->insecure = true;
            break;
        case 'q':
            job->quiet = true;
            break;
        case 'h':
            (void)cli_help(job->command);
            return -1;
        default:
            return cli_usage(job->command, "see above");
        }
    }
    if (status == CLI_OK && job->tag_name == NULL) {
        return cli_usage(job->command, "--tag is missing");
    }
    if (status == CLI_OK && optind >= argc) {
        return cli_usage(job->command, "no file is named; \"-\" is standard input");
    }
    return status;
}

/* What the command line left open comes from the configuration. */
static int read_config(struct job *job)
{
    if (job->secret == NULL) {
        job->secret = getenv("AQUIFER_INGEST_SECRET");
    }
    bool needed = job->secret == NULL || job->targets.count == 0;
    const char *path = job->config_path != NULL ? job->config_path : CLI_CONFIG_PATH;
    if (job->config_path == NULL && (!needed || !io_exists(job->io, path))) {
        if (job->secret == NULL) {
            return cli_usage(job->command, "no secret: give --secret, $AQUIFER_INGEST_SECRET or "
                                           "--config");
        }
        return CLI_OK;
    }
    if (conf_load(job->io, path, conf_schema_aquifer(), &job->conf) < 0) {
        return cli_fail(job->command, "%s", err_text());
    }
    if (job->secret == NULL) {
        job->secret = conf_text(job->conf, CONF_GLOBAL, "Ingest-Auth");
    }
    size_t count =
        job->targets.count > 0 ? 0 : conf_list_count(job->conf, CONF_GLOBAL, "Self-Log-Target");
    for (size_t i = 0; i < count; i++) {
        vec_push(&job->targets, conf_list(job->conf, CONF_GLOBAL, "Self-Log-Target", i));
    }
    return CLI_OK;
}

/* ---- what the user sees ---- */

static void draw_bar(struct job *job, bool last)
{
    int64_t now_ns = io_monotonic_ns(job->io);
    if (!job->bar || (!last && now_ns - job->drawn_ns < PROGRESS_NS)) {
        return;
    }
    job->drawn_ns = now_ns;
    struct ingest_client_stats stats;
    ingest_client_stats(job->client, &stats);
    double seconds = (double)(now_ns - job->started_ns) / TIME_S_NS;
    fprintf(stderr, "\r\033[K");
    if (job->bytes_total > 0) {
        double part = (double)job->bytes_read / (double)job->bytes_total;
        part = part > 1 ? 1 : part;
        int cells = (int)(part * BAR_CELLS);
        fprintf(stderr, "%3.0f%% [", part * 100);
        for (int i = 0; i < BAR_CELLS; i++) {
            fputc(i < cells ? '#' : i == cells ? '>' : ' ', stderr);
        }
        fputs("] ", stderr);
    }
    fprintf(stderr, "%" PRIu64 " sent, %" PRIu64 " acknowledged, ", stats.sent, stats.confirmed);
    progress_print_bytes(stderr, seconds > 0.05 ? (double)job->bytes_read / seconds : 0);
    fprintf(stderr, "/s  %s", last ? "" : job->file);
    if (last) {
        fputs("\r\033[K", stderr);
    }
    fflush(stderr);
}

static void print_summary(struct job *job)
{
    struct ingest_client_stats stats;
    ingest_client_stats(job->client, &stats);
    double seconds = (double)(io_monotonic_ns(job->io) - job->started_ns) / TIME_S_NS;
    printf("%" PRIu64 " lines read, %" PRIu64 " entries sent, %" PRIu64 " acknowledged (tag %s), ",
           job->lines, stats.sent, stats.confirmed, job->tag_name);
    progress_print_bytes(stdout, (double)job->bytes_read);
    printf(" in %.1f s, %.0f entries/s; time found in %" PRIu64, seconds,
           seconds > 0 ? (double)stats.confirmed / seconds : 0, job->timed);
    if (job->timed > 0) {
        printf(" (%s)", ingest_timestamp_format(&job->finder));
    }
    if (job->empty > 0) {
        printf("; %" PRIu64 " empty lines left out", job->empty);
    }
    if (stats.resent > 0) {
        printf("; %" PRIu64 " sent again", stats.resent);
    }
    printf("\n");
}

/* ---- lines ---- */

static int send_line(struct job *job, struct span line)
{
    if (line.bytes > 0 && line.data[line.bytes - 1] == '\r') {
        line.bytes--;
    }
    job->lines++;
    if (line.bytes == 0) {
        job->empty++;
        return 0;
    }
    int64_t now_ns = io_now_ns(job->io);
    int64_t time_ns = now_ns;
    if (!job->use_now && ingest_timestamp_find(&job->finder, line, now_ns, &time_ns)) {
        job->timed++;
    }
    return ingest_client_send(job->client, job->tag, time_ns, job->has_source ? job->source : NULL,
                              line, SPAN_NONE);
}

/* Sends the whole lines of `buf` and keeps the rest. */
static int send_lines(struct job *job, struct buf *buf, size_t *scanned)
{
    size_t start = 0;
    ptrdiff_t end;
    while ((end = span_find_byte(span_from(buf_span(buf), *scanned), '\n')) >= 0) {
        size_t stop = *scanned + (size_t)end;
        int rc = send_line(job, span_of(buf->data + start, stop - start));
        if (rc < 0) {
            return rc;
        }
        draw_bar(job, false);
        start = *scanned = stop + 1;
    }
    buf_consume(buf, start);
    *scanned = buf->bytes;
    return buf->bytes > INGEST_DATA_BYTES_MAX
               ? err_set(ERR_TOO_LARGE,
                         "line %" PRIu64 " is too long: an entry has at most %u bytes",
                         job->lines + 1, INGEST_DATA_BYTES_MAX)
               : 0;
}

/* Waits for input, and meanwhile lets the client do its work. */
static int wait_for_input(struct job *job, int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    for (;;) {
        int ready = poll(&poller, 1, IDLE_MS);
        if (ready > 0) {
            return 0;
        }
        if (ready < 0 && errno != EINTR) {
            return err_set_errno(errno, "poll");
        }
        int rc = ingest_client_sync(job->client);
        if (rc < 0) {
            return rc;
        }
        draw_bar(job, false);
    }
}

static int send_input(struct job *job, int fd)
{
    struct buf buf = {0};
    size_t scanned = 0;
    int rc = 0;
    while (rc == 0) {
        rc = wait_for_input(job, fd);
        uint8_t *at = buf_reserve(&buf, READ_BYTES);
        ssize_t got = rc < 0 ? 0 : read(fd, at, READ_BYTES);
        if (got < 0) {
            rc = err_set_errno(errno, "read");
        }
        if (rc < 0 || got <= 0) {
            break;
        }
        buf.bytes += (size_t)got;
        job->bytes_read += (uint64_t)got;
        rc = send_lines(job, &buf, &scanned);
    }
    if (rc == 0 && buf.bytes > 0) {
        rc = send_line(job, buf_span(&buf));
    }
    buf_deinit(&buf);
    return rc;
}

static int send_file(struct job *job, const char *path)
{
    job->file = path;
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_set_errno(errno, "%s", path);
    }
    int rc = send_input(job, fd);
    if (!standard) {
        close(fd);
    }
    return rc < 0 ? err_wrap(rc, "%s", standard ? "standard input" : path) : 0;
}

/* The sum of the files; 0 when one of them has no size. Missing ones are found before anything
 * is sent. */
/* The program that prints such a file as text, or NULL: its lines are not compressed. */
static const char *unpacker_of(const char *path)
{
    static const struct {
        struct span begin;
        const char *program;
    } kinds[] = {{SPAN_LIT("\x1f\x8b"), "zcat"},
                 {SPAN_LIT("\x28\xb5\x2f\xfd"), "zstdcat"},
                 {SPAN_LIT("\xfd"
                           "7zXZ"),
                  "xzcat"},
                 {SPAN_LIT("BZh"), "bzcat"}};
    uint8_t begin[8];
    FILE *file = fopen(path, "rbe");
    size_t bytes = file == NULL ? 0 : fread(begin, 1, sizeof(begin), file);
    if (file != NULL) {
        (void)fclose(file);
    }
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (span_starts_with((struct span){begin, bytes}, kinds[i].begin)) {
            return kinds[i].program;
        }
    }
    return NULL;
}

static int measure(struct job *job, char **files, int count)
{
    for (int i = 0; i < count; i++) {
        struct stat stat_of;
        if (strcmp(files[i], "-") == 0) {
            job->bytes_total = 0;
            return CLI_OK;
        }
        if (stat(files[i], &stat_of) != 0) {
            return cli_fail(job->command, "%s: %s", files[i], strerror(errno));
        }
        if (S_ISDIR(stat_of.st_mode)) {
            return cli_fail(job->command, "%s is a directory", files[i]);
        }
        const char *unpacker = S_ISREG(stat_of.st_mode) ? unpacker_of(files[i]) : NULL;
        if (unpacker != NULL) {
            return cli_fail(job->command, "%s is compressed: %s %s | aquifer ingest ... -",
                            files[i], unpacker, files[i]);
        }
        job->bytes_total += (uint64_t)stat_of.st_size;
    }
    return CLI_OK;
}

/* ---- the whole ---- */

static int connect_client(struct job *job)
{
    if (job->targets.count == 0) {
        vec_push(&job->targets, "127.0.0.1:4023");
    }
    struct ingest_client_options options = {
        .targets = job->targets.items,
        .target_count = job->targets.count,
        .secret = job->secret,
        .name = "aquifer-ingest",
        .compress = job->compress,
        .connect_ms = CONNECT_MS,
        .tls_insecure = job->insecure,
    };
    int rc = ingest_client_new(&options, &job->client);
    rc = rc < 0 ? rc : ingest_client_tag(job->client, job->tag_name, &job->tag);
    if (rc == 0) {
        atomic_store(&interrupted_client, job->client);
        signal(SIGINT, on_interrupt);
        signal(SIGTERM, on_interrupt);
        rc = ingest_client_connect(job->client);
    }
    return rc;
}

static int run(struct job *job, char **files, int count)
{
    int rc = connect_client(job);
    if (rc < 0) {
        return cli_fail(job->command, "%s", err_text());
    }
    job->started_ns = io_monotonic_ns(job->io);
    for (int i = 0; rc == 0 && i < count; i++) {
        rc = send_file(job, files[i]);
    }
    char why[ERR_TEXT_BYTES_MAX] = "";
    if (rc < 0) {
        snprintf(why, sizeof(why), "%s", err_text());
    }
    if (rc != ERR_CANCELLED) { /* what was sent before a fault should still be acknowledged */
        int sync_rc = ingest_client_sync(job->client);
        if (sync_rc < 0 && rc == 0) {
            snprintf(why, sizeof(why), "%s", err_text());
            rc = sync_rc;
        }
    }
    draw_bar(job, true);
    print_summary(job);
    return rc < 0 ? cli_fail(job->command, "not everything was acknowledged: %s", why) : CLI_OK;
}

int cli_ingest(const struct cli_command *command, int argc, char **argv)
{
    struct job job = {.command = command, .io = io_real(), .finder.zone = INGEST_ZONE_LOCAL};
    int status = parse(&job, argc, argv);
    if (status == CLI_OK) {
        job.bar = !job.quiet && isatty(STDERR_FILENO) == 1;
        status = read_config(&job);
    }
    if (status == CLI_OK) {
        status = measure(&job, argv + optind, argc - optind);
    }
    if (status == CLI_OK) {
        status = run(&job, argv + optind, argc - optind);
    }
    atomic_store(&interrupted_client, NULL);
    ingest_client_free(&job.client);
    conf_free(&job.conf);
    vec_deinit(&job.targets);
    return status < 0 ? CLI_OK : status;
}
