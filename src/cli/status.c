/*
 * aquifer status: asks a webserver for all parts of its cluster, as the page "Systems" does, and
 * says what is wrong. The deciding is in status_picture.h.
 * Tested by tests/cluster/test_cluster_picture.py.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "cli/members.h"
#include "cli/options.h"
#include "cli/session.h"
#include "cli/status_picture.h"
#include "cli/status_print.h"

#define RATE_OVER_NS_MAX TIME_HOUR_NS

struct job {
    struct cli_session session;
    const char *format;
    const char *rate; /* how long to look for the rates */
    int64_t rate_ns;
    json_t *settings, *cluster, *webservers, *indexers, *later, *notifications;
    int64_t asked_ns, between_ns; /* io_monotonic_ns */
};

static int parse(struct job *job, int argc, char **argv)
{
    struct cli_session *session = &job->session;
    const struct cli_option options[] = {
        CLI_SESSION_OPTIONS(session),
        {.name = "format", .text = &job->format},
        {.name = "rate", .text = &job->rate},
    };
    int words;
    int status = cli_options(session->command, options, ARRAY_COUNT(options), argc, argv, &words);
    if (status != CLI_OK) {
        return status;
    }
    if (words < argc) {
        return cli_usage(session->command, "\"%s\" is one word too many", argv[words]);
    }
    if (strcmp(job->format, "text") != 0 && strcmp(job->format, "json") != 0) {
        return cli_usage(session->command, "--format is text or json, not \"%s\"", job->format);
    }
    if (!time_parse_duration(span_of_str(job->rate), &job->rate_ns) || job->rate_ns < 0 ||
        job->rate_ns > RATE_OVER_NS_MAX) {
        return cli_usage(session->command, "--rate: \"%s\" is no duration such as 1s, 1m or 0s",
                         job->rate);
    }
    return cli_session_check(session);
}

static int ask(struct job *job, const char *path, json_t **ret_json)
{
    return cli_session_call(&job->session, "GET", NULL, ret_json, "%s", path);
}

/* What each indexer says about itself, one after the other. Who did not answer `before` (NULL:
 * nobody was asked) is not waited for again. */
static int ask_indexers(struct job *job, const json_t *before, json_t **ret_list)
{
    size_t count = json_array_size(json_object_get(job->cluster, "Indexers"));
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *one = NULL;
        if (before != NULL && !true_in(json_array_get(before, i), "Up")) {
            json_array_append_new(list, json_null());
            continue;
        }
        int rc = cli_session_call(&job->session, "GET", NULL, &one, "/api/cluster/indexers/%zu", i);
        if (rc < 0) {
            json_decref(list);
            return rc;
        }
        json_array_append_new(list, one);
    }
    *ret_list = list;
    return 0;
}

/* Once more, for the rates. */
static int ask_again(struct job *job)
{
    int64_t wait_ns = job->asked_ns + job->rate_ns - io_monotonic_ns(job->session.io);
    if (job->rate_ns == 0) {
        return 0;
    }
    if (wait_ns > 0) {
        struct timespec pause = {wait_ns / TIME_S_NS, wait_ns % TIME_S_NS};
        (void)nanosleep(&pause, NULL);
    }
    int64_t now_ns = io_monotonic_ns(job->session.io);
    int rc = ask_indexers(job, job->indexers, &job->later);
    job->between_ns = now_ns - job->asked_ns;
    return rc;
}

static int ask_all(struct job *job)
{
    int rc = cli_session_open(&job->session);
    rc = rc < 0 ? rc : ask(job, "/api/cluster", &job->cluster);
    job->asked_ns = io_monotonic_ns(job->session.io);
    rc = rc < 0 ? rc : ask_indexers(job, NULL, &job->indexers);
    rc = rc < 0 ? rc : ask(job, "/api/settings", &job->settings);
    rc = rc < 0 ? rc : ask(job, "/api/webservers", &job->webservers);
    rc = rc < 0 ? rc : ask(job, "/api/notifications", &job->notifications);
    return rc < 0 ? rc : ask_again(job);
}

static void print(const struct job *job, const json_t *picture)
{
    struct buf text = {0};
    if (strcmp(job->format, "json") == 0) {
        char *json = json_dumps(picture, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
        buf_printf(&text, "%s\n", json);
        free(json);
    } else {
        status_print(picture, io_now_ns(job->session.io), &text);
    }
    fwrite(text.data, 1, text.bytes, stdout);
    buf_deinit(&text);
}

/* "degraded" and "cannot be asked" have to differ: whoever watches a cluster acts on them
 * differently. Nothing is known after the latter, as after a command line that makes no sense. */
static int run(struct job *job)
{
    if (ask_all(job) < 0) {
        (void)cli_fail(job->session.command, "%s", err_text());
        return CLI_USAGE;
    }
    json_t *picture = status_picture(&(struct status_answers){
        .server = job->session.server,
        .settings = job->settings,
        .cluster = job->cluster,
        .webservers = job->webservers,
        .indexers = job->indexers,
        .later = job->later,
        .between_ns = job->between_ns,
        .notifications = job->notifications,
    });
    print(job, picture);
    int status = status_is_well(picture) ? CLI_OK : CLI_FAILED;
    json_decref(picture);
    if (fflush(stdout) != 0) {
        (void)cli_fail(job->session.command, "standard output cannot be written");
        return CLI_USAGE;
    }
    return status;
}

int cli_status(const struct cli_command *command, int argc, char **argv)
{
    struct job job = {
        .session = {.command = command, .io = io_real()}, .format = "text", .rate = "1s"};
    int status = parse(&job, argc, argv);
    if (status == CLI_OK) {
        status = run(&job);
    }
    cli_session_close(&job.session);
    json_decref(job.settings);
    json_decref(job.cluster);
    json_decref(job.webservers);
    json_decref(job.indexers);
    json_decref(job.later);
    json_decref(job.notifications);
    return status < 0 ? CLI_OK : status;
}
