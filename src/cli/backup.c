/*
 * aquifer backup: what people made in a cluster, as one file. Downloaded beside its place, read
 * back and verified, synced, and only then given its name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/archive.h"
#include "cli/options.h"
#include "cli/session.h"

#define IDLE_MS 120000

struct job {
    struct cli_session session;
    const char *backup_password; /* NULL: not encrypted */
    const char *output;
    const char *verify;
    bool omit_sensitive;
    bool saved_searches;
    bool quiet;

    char *part; /* where it is written; owned */
    struct io_file *file;
    uint64_t bytes;
    struct progress progress;
};

static int parse(struct job *job, int argc, char **argv)
{
    struct cli_session *session = &job->session;
    const struct cli_option options[] = {
        CLI_SESSION_OPTIONS(session),
        {.name = "backup-password", .text = &job->backup_password},
        {.name = "output", .text = &job->output},
        {.name = "verify", .text = &job->verify},
        {.name = "omit-sensitive", .flag = &job->omit_sensitive},
        {.name = "saved-searches", .flag = &job->saved_searches},
        {.name = "quiet", .flag = &job->quiet},
    };
    int words;
    int status = cli_options(session->command, options, ARRAY_COUNT(options), argc, argv, &words);
    if (status == CLI_OK && words < argc) {
        return cli_usage(session->command, "\"%s\" is one word too many", argv[words]);
    }
    return status;
}

static int check(struct job *job)
{
    if (job->backup_password == NULL) {
        job->backup_password = getenv("AQUIFER_BACKUP_PASSWORD");
    }
    if (job->verify != NULL) {
        return job->output == NULL && job->session.server == NULL
                   ? CLI_OK
                   : cli_usage(job->session.command,
                               "--verify looks at a file, it takes no backup");
    }
    if (job->output == NULL) {
        return cli_usage(job->session.command, "--output FILE is needed");
    }
    return cli_session_check(&job->session);
}

/* ---- the download ---- */

static void begin(void *context, const struct http_answer *answer)
{
    struct job *job = context;
    const char *bytes = http_answer_header(answer, "Aquifer-Backup-Bytes");
    if (bytes == NULL || !span_to_u64(span_of_str(bytes), &job->progress.bytes_total)) {
        job->progress.bytes_total = 0;
    }
}

static int keep(void *context, struct span piece)
{
    struct job *job = context;
    int rc = io_write_at(job->file, job->bytes, piece);
    job->bytes += piece.bytes;
    progress_add(&job->progress, piece.bytes);
    return rc;
}

static int download(struct job *job)
{
    struct http_header headers[2] = {{"Authorization", buf_str(&job->session.authorization)},
                                     {"Password", job->backup_password}};
    char *url = cli_session_url(&job->session, "/api/backup?omit_sensitive=%s&savedsearch=%s",
                                job->omit_sensitive ? "true" : "false",
                                job->saved_searches ? "true" : "false");
    bool encrypted = job->backup_password != NULL && job->backup_password[0] != '\0';
    struct http_call call = {.url = url,
                             .headers = headers,
                             .header_count = encrypted ? 2 : 1,
                             .begin = begin,
                             .push = keep,
                             .push_context = job,
                             .idle_ms = IDLE_MS};
    struct http_answer answer = {0};
    progress_begin(&job->progress, job->session.io, "downloading", 0, job->quiet);
    int rc = http_call(job->session.client, &call, &answer);
    progress_end(&job->progress);
    if (rc == 0) {
        rc = answer.status == 200 ? 0 : err_set(ERR_UNAVAILABLE, "%s", http_answer_error(&answer));
        http_answer_deinit(&answer);
    }
    mem_free(url);
    return rc < 0 ? err_wrap(rc, "backup") : 0;
}

/* ---- the file ---- */

static int create_part(struct job *job)
{
    (void)umask(S_IRWXG | S_IRWXO); /* password hashes are in it */
    job->part = mem_printf("%s.part", job->output);
    return io_open(job->session.io, job->part, IO_WRITE | IO_CREATE | IO_TRUNCATE, &job->file);
}

static int name_it(struct job *job)
{
    struct io *io = job->session.io;
    const char *slash = strrchr(job->output, '/');
    char *dir = slash == NULL          ? mem_strdup(".")
                : slash == job->output ? mem_strdup("/")
                                       : mem_strndup(job->output, (size_t)(slash - job->output));
    int rc = io_rename(io, job->part, job->output);
    rc = rc < 0 ? rc : io_sync_dir(io, dir);
    mem_free(dir);
    return rc;
}

static int take(struct job *job, struct cli_archive *ret_archive)
{
    int rc = cli_session_open(&job->session);
    rc = rc < 0 ? rc : create_part(job);
    rc = rc < 0 ? rc : download(job);
    rc = rc < 0 ? rc : io_sync(job->file);
    io_close(&job->file);
    rc = rc < 0 ? rc
                : cli_archive_verify(job->session.io, job->part, job->backup_password, job->quiet,
                                     ret_archive);
    return rc < 0 ? rc : name_it(job);
}

static int run(struct job *job)
{
    struct cli_archive archive;
    const char *path = job->verify != NULL ? job->verify : job->output;
    int rc = job->verify != NULL ? cli_archive_verify(job->session.io, path, job->backup_password,
                                                      job->quiet, &archive)
                                 : take(job, &archive);
    if (rc < 0) {
        (void)cli_fail(job->session.command, "%s", err_text());
        if (job->part != NULL && io_exists(job->session.io, job->part)) {
            (void)!io_remove(job->session.io, job->part);
        }
        return CLI_FAILED;
    }
    cli_archive_print(path, &archive);
    return CLI_OK;
}

int cli_backup(const struct cli_command *command, int argc, char **argv)
{
    struct job job = {.session = {.command = command, .io = io_real()}};
    int status = parse(&job, argc, argv);
    if (status == CLI_OK) {
        status = check(&job);
    }
    if (status == CLI_OK) {
        status = run(&job);
    }
    io_close(&job.file);
    cli_session_close(&job.session);
    mem_free(job.part);
    return status < 0 ? CLI_OK : status;
}
