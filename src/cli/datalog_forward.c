/*
 * aquifer datalog forward: sends the request files of a directory to a Warp 10 2.x or an Aquifer,
 * as forwarders of Warp 10 do. aquifer datalog quarantine: what was refused. Tested by
 * tests/cluster/test_warp10_datalog.py.
 */
#include "cli/datalog_forward.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/time.h"
#include "base/vec.h"
#include "cli/control.h"
#include "cli/options.h"
#include "warp10/source.h"

#define PERIOD_MS 200u
#define DECODE_BYTES_MAX ((size_t)4 << 20)
#define SHOWN_REASON_BYTES 100

struct job {
    const struct cli_command *command;
    const char *source, *target, *psk_text, *ignore, *quarantine, *link;
    const char *config, *indexer, *secret; /* of records of links */
    bool once, compress, insecure, plain;
    struct buf psk, quarantine_path;
    struct http_client *client;
    struct post_target post;
};

static bool sleep_ms(void *context, unsigned ms)
{
    struct timespec wait = {ms / 1000, (long)(ms % 1000) * 1000000};
    (void)context;
    (void)nanosleep(&wait, NULL);
    return true;
}

static void say(void *context, const char *text, bool given_up)
{
    const struct job *job = context;
    (void)fprintf(stderr, "aquifer %s: %s: %s\n", job->command->name,
                  given_up ? "set aside" : "tried again", text);
}

static int prepare(struct job *job)
{
    struct http_client_options options = {.tls_insecure = job->insecure};
    const char *psk = job->psk_text != NULL ? job->psk_text : getenv("AQUIFER_DATALOG_PSK");
    int rc = psk == NULL ? 0 : warp10_psk(&job->psk, psk);
    rc = rc < 0 ? rc : http_client_new(&options, &job->client);
    job->post = (struct post_target){.io = io_real(),
                                     .client = job->client,
                                     .url = job->target,
                                     .compress = job->compress,
                                     .link = job->link == NULL ? "forward" : job->link,
                                     .quarantine_dir = job->quarantine,
                                     .pause = sleep_ms,
                                     .tell = say,
                                     .tell_context = job};
    return rc;
}

static void end(struct job *job)
{
    if (job->client != NULL) {
        http_client_free(&job->client);
    }
    buf_deinit(&job->psk);
    buf_deinit(&job->quarantine_path);
}

/* ── forward ─────────────────────────────────────────────────────────────────────────────── */

static int forward(struct job *job)
{
    VEC(struct span) ignored = {0};
    struct span rest = span_of_str(job->ignore);
    struct span id;
    struct source_counts counts = {0};
    while (rest.bytes > 0 && span_split(&rest, ',', &id)) {
        vec_push(&ignored, id);
    }
    struct source source = {.dir = job->source,
                            .psk = buf_span(&job->psk),
                            .ignored = ignored.items,
                            .ignored_count = ignored.count,
                            .target = &job->post};
    int rc;
    do {
        rc = source_forward(&source, &counts);
        if (rc < 0 && !job->once) {
            (void)cli_fail(job->command, "%s", err_text());
        }
        if (!job->once) {
            (void)sleep_ms(NULL, PERIOD_MS);
        }
    } while (!job->once);
    vec_deinit(&ignored);
    if (rc < 0) {
        return cli_fail(job->command, "%s", err_text());
    }
    printf("%" PRIu64 " sent, %" PRIu64 " ignored, %" PRIu64 " set aside\n", counts.sent,
           counts.ignored, counts.set_aside);
    return CLI_OK;
}

int cli_datalog_forward(const struct cli_command *command, int argc, char **argv)
{
    struct job job = {.command = command};
    const struct cli_option options[] = {{"source", &job.source, NULL},
                                         {"target", &job.target, NULL},
                                         {"psk", &job.psk_text, NULL},
                                         {"ignore", &job.ignore, NULL},
                                         {"quarantine", &job.quarantine, NULL},
                                         {"link", &job.link, NULL},
                                         {"once", NULL, &job.once},
                                         {"compress", NULL, &job.compress},
                                         {"insecure", NULL, &job.insecure}};
    int words;
    int rc = cli_options(command, options, ARRAY_COUNT(options), argc, argv, &words);
    if (rc != CLI_OK) {
        return rc == CLI_HELPED ? CLI_OK : rc;
    }
    if (job.source == NULL || job.target == NULL || words != argc) {
        return cli_usage(command, "forward needs --source and --target");
    }
    if (job.quarantine == NULL) {
        buf_printf(&job.quarantine_path, "%s/quarantine", job.source);
        job.quarantine = buf_str(&job.quarantine_path);
    }
    rc = prepare(&job) < 0 ? cli_usage(command, "%s", err_text()) : forward(&job);
    end(&job);
    return rc;
}

/* ── quarantine ──────────────────────────────────────────────────────────────────────────── */

static int list_one(void *context, const char *name)
{
    const struct job *job = context;
    struct buf text = {0};
    struct refused_item item;
    char time[TIME_TEXT_BYTES];
    if (refused_get(io_real(), job->source, name, &text, &item) < 0) {
        printf("%s DAMAGED: %s\n", name, err_text());
    } else {
        printf("%s %s link=%.*s tries=%u bytes=%zu %.*s\n", name, time_text(item.time_ns, time),
               SPAN_ARG(item.link), item.tries, item.request.bytes,
               SPAN_ARG(span_first(item.reason, SHOWN_REASON_BYTES)));
    }
    buf_deinit(&text);
    return 0;
}

static int show(const struct job *job, const char *name)
{
    struct buf text = {0};
    struct refused_item item;
    int rc = refused_get(io_real(), job->source, name, &text, &item);
    if (rc == 0) {
        (void)fwrite(text.data, 1, text.bytes, stdout);
    }
    buf_deinit(&text);
    return rc;
}

/* A record of a link or of a feed: the indexer itself tries it. */
static int retry_record(const struct job *job, const struct refused_item *item)
{
    struct cli_control control = {.config = job->config,
                                  .indexer = job->indexer,
                                  .secret = job->secret,
                                  .plain = job->plain,
                                  .insecure = job->insecure,
                                  .own = true};
    struct http_answer answer = {0};
    int rc = cli_control_open(&control);
    if (rc == 0) {
        char *url = cli_control_url(&control, control.indexers.items[0], "quarantine/retry");
        struct http_call call = {.method = "POST",
                                 .url = url,
                                 .body = item->request,
                                 .content_type = "application/octet-stream",
                                 .control = true};
        rc = http_call(control.client, &call, &answer);
        if (rc == 0 && answer.status != 200) {
            rc = err_set(ERR_DENIED, "%s", http_answer_error(&answer));
        }
        http_answer_deinit(&answer);
        mem_free(url);
    }
    cli_control_close(&control);
    return rc;
}

/* Sends it once more, as it was; it goes when it is taken. */
static int retry(struct job *job, const char *name)
{
    struct buf text = {0};
    struct buf reason = {0};
    struct buf url = {0};
    struct refused_item item;
    struct warp10_datalog datalog;
    struct post_request request;
    struct arena *arena = arena_new(DECODE_BYTES_MAX);
    int rc = refused_get(io_real(), job->source, name, &text, &item);
    bool is_record = rc == 0 && (span_starts_with(item.request, SPAN_LIT(REFUSED_RECORD_TITLE)) ||
                                 span_starts_with(item.request, SPAN_LIT(REFUSED_3X_TITLE)));
    if (is_record) {
        rc = retry_record(job, &item);
    } else if (rc == 0) {
        struct span rest = item.request;
        struct span line = SPAN_NONE;
        (void)span_split(&rest, '\n', &line);
        rc = warp10_datalog_decode(arena, line, buf_span(&job->psk), &datalog);
    }
    if (rc == 0 && !is_record) {
        buf_append(&url, job->target != NULL ? span_of_str(job->target) : item.target);
        rc = url.bytes == 0 ? err_set(ERR_INVALID, "it needs --target") : 0;
    }
    if (rc == 0 && !is_record) {
        job->post.url = buf_str(&url);
        post_request_of(item.request, &datalog, &request);
        if (post_once(&job->post, &request, &reason) != POST_DONE) {
            rc = err_set(ERR_DENIED, "%s", buf_str(&reason));
        }
    }
    rc = rc < 0 ? rc : refused_drop(io_real(), job->source, name);
    arena_free(&arena);
    buf_deinit(&text);
    buf_deinit(&reason);
    buf_deinit(&url);
    return rc;
}

static int act(struct job *job, const char *verb, const char *name)
{
    if (strcmp(verb, "show") == 0) {
        return show(job, name);
    }
    return strcmp(verb, "drop") == 0 ? refused_drop(io_real(), job->source, name)
                                     : retry(job, name);
}

static bool is_verb(const char *verb)
{
    return strcmp(verb, "show") == 0 || strcmp(verb, "retry") == 0 || strcmp(verb, "drop") == 0;
}

static int look_after(struct job *job, int argc, char **argv)
{
    const char *verb = argc > 0 ? argv[0] : "";
    job->source = argc > 1 ? argv[1] : NULL;
    bool all = strcmp(verb, "ls") == 0;
    if (job->source == NULL || (all ? argc != 2 : argc < 3 || !is_verb(verb))) {
        return cli_usage(job->command, "quarantine ls DIR, or show, retry or drop DIR NAME...");
    }
    if (prepare(job) < 0) {
        return cli_usage(job->command, "%s", err_text());
    }
    int rc = all ? refused_each(io_real(), job->source, list_one, job) : 0;
    int status = rc < 0 ? cli_fail(job->command, "%s", err_text()) : CLI_OK;
    for (int i = 2; i < argc; i++) {
        if (act(job, verb, argv[i]) < 0) {
            status = cli_fail(job->command, "%s: %s", argv[i], err_text());
        }
    }
    return status;
}

int cli_datalog_quarantine(const struct cli_command *command, int argc, char **argv)
{
    struct job job = {.command = command};
    const struct cli_option options[] = {
        {"target", &job.target, NULL},    {"psk", &job.psk_text, NULL},
        {"config", &job.config, NULL},    {"indexer", &job.indexer, NULL},
        {"secret", &job.secret, NULL},    {"disable-tls", NULL, &job.plain},
        {"insecure", NULL, &job.insecure}};
    int words;
    int rc = cli_options(command, options, ARRAY_COUNT(options), argc, argv, &words);
    if (rc != CLI_OK) {
        return rc == CLI_HELPED ? CLI_OK : rc;
    }
    rc = look_after(&job, argc - words, argv + words);
    end(&job);
    return rc;
}
