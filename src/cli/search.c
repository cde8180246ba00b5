/*
 * aquifer search: a query through the REST interface of a webserver. Log in, parse, launch, wait,
 * download, detach.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/cli.h"
#include "cli/members.h"
#include "cli/options.h"
#include "cli/search_table.h"
#include "cli/session.h"
#include "io/io.h"
#include "net/http_client.h"
#include "query/range.h"

#define CALL_TIMEOUT_MS 30000
#define POLL_MS_MIN 20
#define POLL_MS_MAX 500
#define PAGE_ROWS 10000
#define PING_NS (10 * TIME_S_NS)
/* "All time" begins a day before the epoch: entries without a sane time are mostly at zero. */
#define ALL_FROM_NS (-24 * 3600 * TIME_S_NS)

struct job {
    const struct cli_command *command;
    struct io *io;
    struct cli_session session;

    const char *last;
    const char *start;
    const char *end;
    const char *format;
    const char *query;
    bool follow;
    bool explain;

    int64_t start_ns, end_ns;
    char *search_id;
    char *session_id;
    char *renderer;
    uint64_t printed; /* bytes of results */
};

/* ---- options ---- */

static int parse(struct job *job, int argc, char **argv)
{
    const struct cli_option options[] = {
        CLI_SESSION_OPTIONS(&job->session), {"last", &job->last, NULL},
        {"start", &job->start, NULL},       {"end", &job->end, NULL},
        {"format", &job->format, NULL},     {"follow", NULL, &job->follow},
        {"explain", NULL, &job->explain},
    };
    int words = argc;
    int status = cli_options(job->command, options, ARRAY_COUNT(options), argc, argv, &words);
    if (status != CLI_OK) {
        return status;
    }
    if (argc - words != 1) {
        return cli_usage(job->command,
                         argc == words ? "a query is missing"
                                       : "%d words instead of one query: put it in quotes",
                         argc - words);
    }
    job->query = argv[words];
    return CLI_OK;
}

/* A duration before now, or what start= of a query takes. */
static bool read_time(const char *text, int64_t now_ns, int64_t *ret_time_ns)
{
    struct span span = span_of_str(text);
    int64_t duration_ns;
    struct query_time time;
    if (strcmp(text, "now") == 0) {
        *ret_time_ns = now_ns;
        return true;
    }
    if (time_parse(span, ret_time_ns)) {
        /* Year 1 would be "not given" to the webserver. */
        *ret_time_ns = *ret_time_ns == TIME_UNSET ? TIME_MIN_NS : *ret_time_ns;
        return true;
    }
    if (time_parse_duration(span, &duration_ns)) {
        *ret_time_ns = now_ns - (duration_ns < 0 ? -duration_ns : duration_ns);
        return true;
    }
    if (!query_time_parse(span, &time) ||
        (time.base != QUERY_TIME_ABSOLUTE && time.base != QUERY_TIME_NOW)) {
        return false;
    }
    *ret_time_ns = time.base == QUERY_TIME_NOW ? now_ns + time.ns : time.ns;
    return true;
}

static int check(struct job *job)
{
    int status = cli_session_check(&job->session);
    if (status != CLI_OK) {
        return status;
    }
    if (strcmp(job->format, "text") != 0 && strcmp(job->format, "json") != 0 &&
        strcmp(job->format, "csv") != 0) {
        return cli_usage(job->command, "--format is text, json or csv, not \"%s\"", job->format);
    }
    if (job->follow && (job->last != NULL || job->start != NULL || job->end != NULL)) {
        return cli_usage(job->command, "--follow shows what comes in from now on, no range");
    }
    if (job->last != NULL && (job->start != NULL || job->end != NULL)) {
        return cli_usage(job->command, "--last and --start/--end exclude each other");
    }
    int64_t now_ns = io_now_ns(job->io);
    int64_t last_ns = now_ns - ALL_FROM_NS;
    if (job->last == NULL || strcmp(job->last, "all") != 0) {
        if (!time_parse_duration(span_of_str(job->last == NULL ? "1h" : job->last), &last_ns) ||
            last_ns <= 0) {
            return cli_usage(job->command,
                             "--last: \"%s\" is no duration such as 15m, 1h or 7d, nor all",
                             job->last);
        }
    }
    job->end_ns = now_ns;
    if (job->end != NULL && !read_time(job->end, now_ns, &job->end_ns)) {
        return cli_usage(job->command, "--end: \"%s\" is no time", job->end);
    }
    job->start_ns = job->end_ns - last_ns;
    if (job->start != NULL && !read_time(job->start, now_ns, &job->start_ns)) {
        return cli_usage(job->command, "--start: \"%s\" is no time", job->start);
    }
    if (job->start_ns >= job->end_ns) {
        return cli_usage(job->command, "--start is not before --end");
    }
    return CLI_OK;
}

/* ---- the query ---- */

/* Columns of the first `bytes` bytes on a terminal: one per code point, tabs as they stand. */
static void print_indent(FILE *file, struct span text)
{
    while (text.bytes > 0) {
        uint32_t c = text_utf8_next(&text);
        fputc(c == '\t' ? '\t' : ' ', file);
    }
}

/* The line of the query that holds `offset`, with carets under what is wrong. */
static void point_at(const char *query, size_t offset, size_t bytes)
{
    struct span text = span_of_str(query);
    offset = MIN(offset, text.bytes);
    size_t start = offset;
    while (start > 0 && text.data[start - 1] != '\n') {
        start--;
    }
    struct span line = span_from(text, start);
    ptrdiff_t end = span_find_byte(line, '\n');
    line = end < 0 ? line : span_first(line, (size_t)end);
    size_t column = MIN(offset - start, line.bytes);
    fprintf(stderr, "  %.*s\n  ", SPAN_ARG(line));
    print_indent(stderr, span_first(line, column));
    struct span wrong = span_first(span_from(line, column), bytes);
    do {
        fputc('^', stderr);
        if (wrong.bytes > 0) {
            (void)text_utf8_next(&wrong);
        }
    } while (wrong.bytes > 0);
    fputc('\n', stderr);
}

/* Asks whether the query parses, for a better message than a failed launch gives. */
static int check_query(struct job *job)
{
    json_t *body = json_object();
    json_object_set_new(body, "SearchString", json_string(job->query));
    json_object_set_new(body, "Sequence", json_integer(0));
    json_t *answer = NULL;
    int rc = cli_session_call(&job->session, "POST", body, &answer, "/api/parse");
    json_decref(body);
    if (rc < 0) {
        return err_wrap(rc, "parse");
    }
    const char *error = text_in(answer, "ParseError");
    if (error[0] != '\0') {
        rc = err_set(ERR_INVALID, "%s", error);
        fflush(stdout);
        fprintf(stderr, "aquifer search: %s\n", error);
        const json_t *offset = json_object_get(answer, "ErrorOffset");
        const json_t *bytes = json_object_get(answer, "ErrorLength");
        if (json_is_integer(offset) && json_integer_value(offset) >= 0) {
            point_at(job->query, (size_t)json_integer_value(offset),
                     json_is_integer(bytes) ? (size_t)json_integer_value(bytes) : 1);
        }
    }
    json_decref(answer);
    return rc;
}

static int launch(struct job *job)
{
    char start[TIME_TEXT_BYTES];
    char end[TIME_TEXT_BYTES];
    json_t *body = json_object();
    json_object_set_new(body, "SearchString", json_string(job->query));
    json_object_set_new(body, "SearchStart", json_string(time_text(job->start_ns, start)));
    json_object_set_new(body, "SearchEnd", json_string(time_text(job->end_ns, end)));
    json_object_set_new(body, "Background", json_false());
    json_t *info = json_object();
    json_object_set_new(info, "method", json_string("manual"));
    json_object_set_new(body, "LaunchInfo", info);
    json_t *answer = NULL;
    int rc = cli_session_call(&job->session, "POST", body, &answer, "/api/searchctrl/launch");
    json_decref(body);
    if (rc < 0) {
        return err_wrap(rc, "launch");
    }
    job->search_id = mem_strdup(text_in(answer, "SearchID"));
    job->session_id = mem_strdup(text_in(answer, "SearchSessionID"));
    job->renderer = mem_strdup(text_in(answer, "RenderModule"));
    json_decref(answer);
    return job->search_id[0] == '\0' ? err_set(ERR_PROTOCOL, "launch: no SearchID in the answer")
                                     : 0;
}

/* Warnings (an indexer that is down, damaged blocks) belong beside the result, once. */
static void print_messages(const json_t *answer)
{
    size_t index;
    const json_t *message;
    json_array_foreach(json_object_get(answer, "Messages"), index, message)
    {
        fflush(stdout);
        fprintf(stderr, "%s: %s\n", text_in(message, "Severity"), text_in(message, "Value"));
    }
}

/* Entries that stages could not read passed or were dropped, but never silently. */
static void print_failures(struct job *job)
{
    json_t *answer = NULL;
    size_t index;
    const json_t *stage;
    int rc = cli_session_call(&job->session, "GET", NULL, &answer,
                              "/api/searchctrl/%s/modules?sid=%s", job->search_id, job->session_id);
    const json_t *set = rc < 0 ? NULL : json_array_get(json_object_get(answer, "Stats"), 0);
    json_array_foreach(json_object_get(set, "ModuleStats"), index, stage)
    {
        json_int_t failed = json_integer_value(json_object_get(stage, "FailedCount"));
        if (failed > 0) {
            fflush(stdout);
            fprintf(stderr, "warn: %s: %lld entries could not be read\n", text_in(stage, "Name"),
                    (long long)failed);
        }
    }
    json_decref(rc < 0 ? NULL : answer);
}

static int ping(struct job *job)
{
    json_t *body = json_object();
    json_object_set_new(body, "Interval", json_integer(0));
    int rc = cli_session_call(&job->session, "PUT", body, NULL, "/api/searchctrl/%s/ping?sid=%s",
                              job->search_id, job->session_id);
    json_decref(body);
    return rc;
}

/* 0 when it is finished; the server's text when it failed. */
static int wait_until_finished(struct job *job)
{
    int64_t pinged_ns = io_monotonic_ns(job->io);
    unsigned pause_ms = POLL_MS_MIN;
    for (;;) {
        json_t *answer = NULL;
        int rc = cli_session_call(&job->session, "GET", NULL, &answer,
                                  "/api/searchctrl/%s/stats?sid=%s&count=1", job->search_id,
                                  job->session_id);
        if (rc < 0) {
            return err_wrap(rc, "status");
        }
        bool finished = json_is_true(json_object_get(answer, "Finished"));
        const char *error = text_in(answer, "Error");
        if (error[0] != '\0') {
            rc = err_set(ERR_UNAVAILABLE, "%s", error);
        }
        if (finished) {
            print_messages(answer);
            print_failures(job);
        }
        json_decref(answer);
        if (finished || rc < 0) {
            return rc;
        }
        if (io_monotonic_ns(job->io) - pinged_ns > PING_NS) {
            pinged_ns = io_monotonic_ns(job->io);
            rc = ping(job);
            if (rc < 0) {
                return err_wrap(rc, "keep alive");
            }
        }
        usleep(pause_ms * 1000);
        pause_ms = MIN(pause_ms * 2, (unsigned)POLL_MS_MAX);
    }
}

static int print_piece(void *context, struct span piece)
{
    struct job *job = context;
    job->printed += piece.bytes;
    if (fwrite(piece.data, 1, piece.bytes, stdout) != piece.bytes) {
        return err_set(ERR_IO, "standard output cannot be written");
    }
    return 0;
}

static int download(struct job *job)
{
    struct http_header header = {"Authorization", buf_str(&job->session.authorization)};
    char *url = cli_session_url(&job->session, "/api/searchctrl/%s/download/%s", job->search_id,
                                job->format);
    struct http_call call = {.url = url,
                             .headers = &header,
                             .header_count = 1,
                             .push = print_piece,
                             .push_context = job,
                             .idle_ms = CALL_TIMEOUT_MS};
    struct http_answer answer = {0};
    int rc = http_call(job->session.client, &call, &answer);
    mem_free(url);
    if (rc < 0) {
        return err_wrap(rc, "download");
    }
    if (answer.status != 200) {
        rc = err_set(ERR_UNAVAILABLE, "download: %s", http_answer_error(&answer));
    }
    http_answer_deinit(&answer);
    if (rc == 0 && fflush(stdout) != 0) {
        rc = err_set(ERR_IO, "standard output cannot be written");
    }
    return rc;
}

/* Rows, page by page, with the names of their columns. */
static int print_table(struct job *job)
{
    struct search_table table = {.format = job->format};
    bool more = true;
    int rc = 0;
    for (unsigned first = 0; rc == 0 && more; first += PAGE_ROWS) {
        json_t *answer = NULL;
        struct buf text = {0};
        rc = cli_session_call(&job->session, "GET", NULL, &answer,
                              "/api/searchctrl/%s/renderer/%s?sid=%s&first=%u&last=%u",
                              job->search_id, job->renderer, job->session_id, first,
                              first + PAGE_ROWS);
        if (rc < 0) {
            rc = err_wrap(rc, "rows");
            break;
        }
        more = json_is_true(json_object_get(answer, "AdditionalEntries"));
        search_table_print(&table, job->renderer, json_object_get(answer, "Entries"), &text);
        rc = print_piece(job, buf_span(&text));
        buf_deinit(&text);
        json_decref(answer);
    }
    mem_free(table.columns);
    return rc == 0 && fflush(stdout) != 0 ? err_set(ERR_IO, "standard output cannot be written")
                                          : rc;
}

static int print_at_once(void *context, struct span piece)
{
    int rc = print_piece(context, piece);
    return rc < 0 || fflush(stdout) == 0 ? rc
                                         : err_set(ERR_IO, "standard output cannot be written");
}

/* One request, whose answer ends when the search does: it goes when we do. */
static int follow(struct job *job)
{
    struct http_header headers[] = {
        {"Authorization", buf_str(&job->session.authorization)},
        {"Content-Type", "application/json"},
    };
    json_t *body = json_pack("{s:s, s:s, s:b}", "SearchString", job->query, "Format", job->format,
                             "Follow", 1);
    char *text = json_dumps(body, JSON_COMPACT);
    char *url = cli_session_url(&job->session, "/api/search/direct");
    struct http_call call = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .header_count = ARRAY_COUNT(headers),
        .body = span_of_str(text),
        .push = print_at_once,
        .push_context = job,
    };
    struct http_answer answer = {0};
    int rc = http_call(job->session.client, &call, &answer);
    mem_free(url);
    free(text);
    json_decref(body);
    if (rc < 0) {
        return err_wrap(rc, "follow");
    }
    if (answer.status != 200) {
        rc = err_set(ERR_UNAVAILABLE, "follow: %s", http_answer_error(&answer));
    }
    http_answer_deinit(&answer);
    return rc;
}

static void print_stage(const json_t *stage)
{
    printf("%-26s %-24s %12lld %12lld %12lld %9.1f %9.1f\n", text_in(stage, "Args"),
           text_in(stage, "Where"), number_in(stage, "InputCount"),
           number_in(stage, "DroppedCount"), number_in(stage, "OutputCount"),
           (double)number_in(stage, "InputBytes") / 1e6,
           (double)number_in(stage, "Duration") / 1e6);
    if (number_in(stage, "FailedCount") > 0) {
        printf("  %lld of them could not be read as it wanted\n", number_in(stage, "FailedCount"));
    }
}

/* The plan, and what each stage read and dropped; not the results. */
static int explain(struct job *job)
{
    json_t *answer = NULL;
    int rc = cli_session_call(&job->session, "GET", NULL, &answer,
                              "/api/searchctrl/%s/explain?sid=%s", job->search_id, job->session_id);
    if (rc < 0) {
        return err_wrap(rc, "explain");
    }
    printf("query    %s\nrange    %s to %s\n", text_in(answer, "Query"),
           text_in(answer, "StartRange"), text_in(answer, "EndRange"));
    size_t i;
    const json_t *item;
    printf("blocks   %lld passed over without reading", number_in(answer, "BlocksPassedOver"));
    json_array_foreach(json_object_get(answer, "RequiredWords"), i, item)
    {
        printf("%s%s", i == 0 ? ": they lack " : " or ", json_string_value(item));
    }
    printf("\ntook     %.1f ms\n\n%-26s %-24s %12s %12s %12s %9s %9s\n",
           (double)number_in(answer, "Duration") / 1e6, "stage", "runs on", "in", "dropped", "out",
           "MB in", "ms");
    json_array_foreach(json_object_get(answer, "Stages"), i, item)
    {
        print_stage(item);
    }
    json_decref(answer);
    return 0;
}

/* The result is ours already: a webserver that is gone by now does no harm. */
static void detach(struct job *job)
{
    if (job->search_id != NULL && job->search_id[0] != '\0') {
        (void)!cli_session_call(&job->session, "PUT", NULL, NULL,
                                "/api/searchctrl/%s/detach?sid=%s", job->search_id,
                                job->session_id);
    }
}

static int show(struct job *job)
{
    if (job->explain) {
        return explain(job);
    }
    int rc = search_table_is_one(job->renderer) ? print_table(job) : download(job);
    if (rc == 0 && job->printed == 0) {
        char start[TIME_TEXT_BYTES];
        char end[TIME_TEXT_BYTES];
        fprintf(stderr, "nothing found from %s to %s%s\n", time_text(job->start_ns, start),
                time_text(job->end_ns, end),
                job->start_ns > 0 ? "; --last all looks at everything" : "");
    }
    return rc;
}

static int run(struct job *job)
{
    int rc = cli_session_open(&job->session);
    bool told = false;
    if (rc == 0) {
        rc = check_query(job);
        told = rc == ERR_INVALID;
    }
    if (job->follow) {
        rc = rc < 0 ? rc : follow(job);
    } else {
        rc = rc < 0 ? rc : launch(job);
        rc = rc < 0 ? rc : wait_until_finished(job);
        rc = rc < 0 ? rc : show(job);
    }
    if (rc < 0 && !told) {
        (void)cli_fail(job->command, "%s", err_text());
    }
    detach(job);
    return rc < 0 ? CLI_FAILED : CLI_OK;
}

int cli_search(const struct cli_command *command, int argc, char **argv)
{
    struct job job = {.command = command,
                      .io = io_real(),
                      .session = {.command = command, .io = io_real()},
                      .format = "text"};
    int status = parse(&job, argc, argv);
    if (status == CLI_OK) {
        status = check(&job);
    }
    if (status == CLI_OK) {
        status = run(&job);
    }
    cli_session_close(&job.session);
    mem_free(job.search_id);
    mem_free(job.session_id);
    mem_free(job.renderer);
    return status < 0 ? CLI_OK : status;
}
