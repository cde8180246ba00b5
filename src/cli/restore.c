/*
 * aquifer restore: gives a backup to a cluster. The whole file is verified before anything is
 * sent; the webserver verifies it again before it changes anything.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/archive.h"
#include "cli/members.h"
#include "cli/options.h"
#include "cli/session.h"

#define ANSWER_TIMEOUT_MS 3600000 /* a large backup is applied for a while */
#define BOUNDARY "aquifer-restore-3f1c9a52e7d04b68"

struct job {
    struct cli_session session;
    const char *backup_password;
    const char *path;
    bool replace;
    bool quiet;

    struct cli_archive archive;
    struct io_file *file;
    uint64_t offset;
    struct buf head; /* of the form: the password, then what stands before the file */
    struct buf tail;
    size_t head_sent, tail_sent;
    struct progress progress;
};

static int parse(struct job *job, int argc, char **argv)
{
    struct cli_session *session = &job->session;
    const struct cli_option options[] = {
        CLI_SESSION_OPTIONS(session),
        {.name = "backup-password", .text = &job->backup_password},
        {.name = "replace", .flag = &job->replace},
        {.name = "quiet", .flag = &job->quiet},
    };
    int words;
    int status = cli_options(session->command, options, ARRAY_COUNT(options), argc, argv, &words);
    if (status != CLI_OK) {
        return status;
    }
    if (argc - words != 1) {
        return cli_usage(session->command, "one backup file is needed");
    }
    job->path = argv[words];
    if (job->backup_password == NULL) {
        job->backup_password = getenv("AQUIFER_BACKUP_PASSWORD");
    }
    return cli_session_check(session);
}

/* ---- the upload ---- */

static void make_form(struct job *job)
{
    if (job->backup_password != NULL && job->backup_password[0] != '\0') {
        buf_printf(&job->head,
                   "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n"
                   "%s\r\n",
                   job->backup_password);
    }
    buf_append_str(&job->head, "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"backup\"; "
                               "filename=\"aquifer.backup\"\r\n"
                               "Content-Type: application/octet-stream\r\n\r\n");
    buf_append_str(&job->tail, "\r\n--" BOUNDARY "--\r\n");
}

static size_t copy_some(const struct buf *from, size_t *sent, void *data, size_t bytes)
{
    struct span piece = span_first(span_from(buf_span(from), *sent), bytes);
    memcpy(data, piece.data, piece.bytes);
    *sent += piece.bytes;
    return piece.bytes;
}

static int pull(void *context, void *data, size_t bytes, size_t *ret_got)
{
    struct job *job = context;
    if (job->head_sent < job->head.bytes) {
        *ret_got = copy_some(&job->head, &job->head_sent, data, bytes);
        return 0;
    }
    if (job->offset < job->archive.bytes) {
        int rc = io_read_at(job->file, job->offset, data, bytes, ret_got);
        if (rc == 0 && *ret_got == 0) {
            return err_set(ERR_CORRUPT, "%s became shorter meanwhile", job->path);
        }
        job->offset += rc == 0 ? *ret_got : 0;
        progress_add(&job->progress, rc == 0 ? *ret_got : 0);
        return rc;
    }
    *ret_got = copy_some(&job->tail, &job->tail_sent, data, bytes);
    return 0;
}

static int take_answer(struct http_answer *answer, json_t **ret_json)
{
    json_error_t error;
    if (answer->status != 200) {
        return err_set(ERR_UNAVAILABLE, "%s", http_answer_error(answer));
    }
    *ret_json = json_loadb((const char *)answer->body.data, answer->body.bytes, 0, &error);
    return json_is_object(*ret_json) ? 0 : err_set(ERR_PROTOCOL, "the answer is no JSON object");
}

static int upload(struct job *job, json_t **ret_json)
{
    struct http_header header = {"Authorization", buf_str(&job->session.authorization)};
    char *url =
        cli_session_url(&job->session, "/api/backup%s", job->replace ? "?replace=true" : "");
    struct http_call call = {.method = "POST",
                             .url = url,
                             .headers = &header,
                             .header_count = 1,
                             .pull = pull,
                             .pull_context = job,
                             .content_type = "multipart/form-data; boundary=" BOUNDARY,
                             .idle_ms = ANSWER_TIMEOUT_MS};
    struct http_answer answer = {0};
    make_form(job);
    progress_begin(&job->progress, job->session.io, "restoring", job->archive.bytes, job->quiet);
    int rc = http_call(job->session.client, &call, &answer);
    progress_end(&job->progress);
    if (rc == 0) {
        rc = take_answer(&answer, ret_json);
        http_answer_deinit(&answer);
    }
    mem_free(url);
    return rc < 0 ? err_wrap(rc, "restore") : 0;
}

/* ---- what came of it ---- */

static void print_kinds(json_t *kinds)
{
    const char *kind;
    json_t *count;
    json_object_foreach(kinds, kind, count)
    {
        printf("  %-13s %8lld restored %8lld unchanged %8lld deleted %8lld failed\n", kind,
               number_in(count, "Restored"), (long long)number_in(count, "Unchanged"),
               number_in(count, "Deleted"), (long long)number_in(count, "Failed"));
    }
}

static int print_answer(const struct job *job, const json_t *answer)
{
    size_t index;
    const json_t *problem;
    printf("%s, taken %s: %lld objects restored, %lld unchanged, %lld deleted, %lld failed\n",
           job->path, text_in(answer, "Created"), number_in(answer, "Restored"),
           number_in(answer, "Unchanged"), (long long)number_in(answer, "Deleted"),
           number_in(answer, "Failed"));
    print_kinds(json_object_get(answer, "Kinds"));
    if (number_in(answer, "Unsynced") > 0) {
        printf("%lld objects are not at the datastore yet; the webserver goes on\n",
               number_in(answer, "Unsynced"));
    }
    printf("everybody logs in again, with the passwords of the backup\n");
    fflush(stdout);
    json_array_foreach(json_object_get(answer, "Problems"), index, problem)
    {
        (void)cli_fail(job->session.command, "%s %s \"%s\": %s", text_in(problem, "Kind"),
                       text_in(problem, "UUID"), text_in(problem, "Name"),
                       text_in(problem, "Error"));
    }
    return number_in(answer, "Failed") > 0 ? CLI_FAILED : CLI_OK;
}

static int run(struct job *job)
{
    struct io *io = job->session.io;
    json_t *answer = NULL;
    int rc = cli_archive_verify(io, job->path, job->backup_password, job->quiet, &job->archive);
    if (rc == 0 && !job->archive.counted) {
        rc = err_set(ERR_AUTH,
                     "%s is encrypted: give --backup-password or "
                     "$AQUIFER_BACKUP_PASSWORD",
                     job->path);
    }
    rc = rc < 0 ? rc : io_open(io, job->path, IO_READ, &job->file);
    rc = rc < 0 ? rc : cli_session_open(&job->session);
    rc = rc < 0 ? rc : upload(job, &answer);
    int status =
        rc < 0 ? cli_fail(job->session.command, "%s", err_text()) : print_answer(job, answer);
    json_decref(answer);
    return status;
}

int cli_restore(const struct cli_command *command, int argc, char **argv)
{
    struct job job = {.session = {.command = command, .io = io_real()}};
    int status = parse(&job, argc, argv);
    if (status == CLI_OK) {
        status = run(&job);
    }
    io_close(&job.file);
    cli_session_close(&job.session);
    buf_deinit(&job.head);
    buf_deinit(&job.tail);
    return status < 0 ? CLI_OK : status;
}
