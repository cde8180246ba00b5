/*
 * aquifer token make|list|revoke: tokens of the Warp 10 API, in the file that indexers read.
 * The file holds hashes: a token is shown once, when it is made.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/time.h"
#include "cli/cli.h"
#include "conf/conf.h"
#include "io/io.h"
#include "warp10/token.h"

#define FILE_BYTES_MAX (64u << 20)

struct job {
    const char *verb;
    const char *subject; /* of revoke */
    const char *file, *config;
    bool write, read;
    const char *id, *application, *owner, *producer, *labels, *attributes, *expires, *rate;
    struct conf *conf;
    struct token_table *table;
    struct buf text; /* of the file */
};

static const struct option options[] = {
    {"write", no_argument, NULL, 'w'},         {"read", no_argument, NULL, 'r'},
    {"file", required_argument, NULL, 'f'},    {"config", required_argument, NULL, 'c'},
    {"id", required_argument, NULL, 'i'},      {"app", required_argument, NULL, 'a'},
    {"owner", required_argument, NULL, 'o'},   {"producer", required_argument, NULL, 'p'},
    {"labels", required_argument, NULL, 'l'},  {"attributes", required_argument, NULL, 't'},
    {"expires", required_argument, NULL, 'e'}, {"max-rate", required_argument, NULL, 'm'},
    {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
};

/* Where the value of an option goes; NULL for those without. */
static const char **place_of(struct job *job, int c)
{
    switch (c) {
    case 'f':
        return &job->file;
    case 'c':
        return &job->config;
    case 'i':
        return &job->id;
    case 'a':
        return &job->application;
    case 'o':
        return &job->owner;
    case 'p':
        return &job->producer;
    case 'l':
        return &job->labels;
    case 't':
        return &job->attributes;
    case 'e':
        return &job->expires;
    case 'm':
        return &job->rate;
    default:
        return NULL;
    }
}

static int check_verb(const struct cli_command *command, const struct job *job)
{
    if (strcmp(job->verb, "make") == 0) {
        return job->write != job->read && job->subject == NULL
                   ? -1
                   : cli_usage(command, "make needs --write or --read");
    }
    if (strcmp(job->verb, "revoke") == 0) {
        return job->subject != NULL ? -1 : cli_usage(command, "revoke which one?");
    }
    return strcmp(job->verb, "list") == 0 && job->subject == NULL
               ? -1
               : cli_usage(command, "it can make, list and revoke");
}

static int parse(const struct cli_command *command, struct job *job, int argc, char **argv)
{
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        const char **place = place_of(job, c);
        if (place != NULL) {
            *place = optarg;
        } else if (c == 'w' || c == 'r') {
            *(c == 'w' ? &job->write : &job->read) = true;
        } else {
            return c == 'h' ? cli_help(command) : cli_usage(command, "what is meant is not clear");
        }
    }
    if (optind >= argc || optind + 2 < argc) {
        return cli_usage(command, "it can make, list and revoke");
    }
    job->verb = argv[optind];
    job->subject = optind + 1 < argc ? argv[optind + 1] : NULL;
    return check_verb(command, job);
}

/* --file, else the first Token-File of the configuration. */
static int find_file(struct job *job)
{
    if (job->file != NULL) {
        return 0;
    }
    const char *path = job->config != NULL ? job->config : CLI_CONFIG_PATH;
    int rc = conf_load(io_real(), path, conf_schema_aquifer(), &job->conf);
    if (rc == 0) {
        job->file = conf_list(job->conf, "Warp10", NULL, "Token-File", 0);
    }
    return rc;
}

static int read_file(struct job *job)
{
    int rc = find_file(job);
    if (rc == 0 && io_exists(io_real(), job->file)) {
        rc = io_read_file(io_real(), job->file, FILE_BYTES_MAX, &job->text);
    }
    rc = rc < 0 ? rc : token_table_read(job->table, buf_span(&job->text));
    return rc < 0 ? err_wrap(rc, "%s", job->file != NULL ? job->file : "configuration") : 0;
}

static int write_file(struct job *job, struct span lines)
{
    if (job->text.bytes > 0 && job->text.data[job->text.bytes - 1] != '\n') {
        buf_append_byte(&job->text, '\n');
    }
    buf_append(&job->text, lines);
    struct token_table *after = token_table_new();
    int rc = token_table_read(after, buf_span(&job->text));
    token_table_free(&after);
    return rc < 0 ? rc : io_write_file(io_real(), job->file, buf_span(&job->text));
}

/* ── make ────────────────────────────────────────────────────────────────────────────────── */

/* The least number that no token of this kind has. */
static void choose_id(const struct job *job, struct buf *id)
{
    uint64_t next = 0;
    size_t cursor = 0;
    const struct token *token;
    const uint8_t *hash;
    while (token_table_next(job->table, &cursor, &token, &hash)) {
        uint64_t number;
        if (token->write == job->write && span_to_u64(token->id, &number)) {
            next = MAX(next, number + 1);
        }
    }
    buf_printf(id, "%llu", (unsigned long long)next);
}

/* A duration from now, or a point in time, in ms. */
static int expiry_of(const char *text, int64_t now_ns, int64_t *ret_ms)
{
    int64_t ns;
    if (time_parse_duration(span_of_str(text), &ns)) {
        ns += now_ns;
    } else if (!time_parse(span_of_str(text), &ns)) {
        return err_set(ERR_INVALID, "--expires %s is neither a duration nor a time", text);
    }
    *ret_ms = ns / TIME_MS_NS;
    return 0;
}

static void put_line(struct buf *lines, const struct job *job, struct span id, const char *key,
                     const char *value)
{
    if (value != NULL) {
        buf_printf(lines, "token.%s.%.*s.%s=%s\n", job->write ? "write" : "read", SPAN_ARG(id), key,
                   value);
    }
}

static int describe(const struct job *job, struct span id, int64_t now_ns, struct buf *lines)
{
    char uuid[UUID_TEXT_BYTES];
    uint8_t random[16];
    const char *owner = job->owner;
    int64_t expiry_ms = 0;
    io_random(io_real(), random, sizeof(random));
    if (job->write && owner == NULL) {
        owner = uuid_text(uuid_of_random(random), uuid);
    }
    put_line(lines, job, id, "owner", owner);
    put_line(lines, job, id, "producer", job->producer);
    put_line(lines, job, id, "app", job->application);
    put_line(lines, job, id, "labels", job->labels);
    put_line(lines, job, id, "attributes", job->attributes);
    put_line(lines, job, id, "maxrate", job->rate);
    buf_printf(lines, "token.%s.%.*s.issued=%lld\n", job->write ? "write" : "read", SPAN_ARG(id),
               (long long)(now_ns / TIME_MS_NS));
    int rc = job->expires == NULL ? 0 : expiry_of(job->expires, now_ns, &expiry_ms);
    if (expiry_ms > 0) {
        buf_printf(lines, "token.%s.%.*s.expiry=%lld\n", job->write ? "write" : "read",
                   SPAN_ARG(id), (long long)expiry_ms);
    }
    return rc;
}

static int make(struct job *job)
{
    struct buf id = {0};
    struct buf lines = {0};
    struct buf text = {0};
    struct token bare = {.write = job->write};
    uint8_t random[TOKEN_RANDOM_BYTES];
    uint8_t hash[TOKEN_HASH_BYTES];
    if (job->id != NULL) {
        buf_append_str(&id, job->id);
    } else {
        choose_id(job, &id);
    }
    io_random(io_real(), random, sizeof(random));
    token_of_random(&text, random);
    token_hash(buf_span(&text), hash);
    bare.id = buf_span(&id);
    token_print(&lines, &bare, hash);
    int rc = describe(job, buf_span(&id), io_now_ns(io_real()), &lines);
    rc = rc < 0 ? rc : write_file(job, buf_span(&lines));
    if (rc == 0) {
        printf("%s\n", buf_str(&text));
    }
    buf_deinit(&id);
    buf_deinit(&lines);
    buf_deinit(&text);
    return rc;
}

/* ── list, revoke ────────────────────────────────────────────────────────────────────────── */

static void print_list_of(const char *name, const struct token_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        printf("%s%s%.*s", i == 0 ? "  " : ",", i == 0 ? name : "", SPAN_ARG(list->items[i]));
    }
}

static int list(struct job *job)
{
    size_t cursor = 0;
    const struct token *token;
    const uint8_t *hash;
    char time[TIME_TEXT_BYTES];
    int64_t now_ms = io_now_ns(io_real()) / TIME_MS_NS;
    while (token_table_next(job->table, &cursor, &token, &hash)) {
        printf("%s.%.*s", token->write ? "write" : "read", SPAN_ARG(token->id));
        print_list_of("owner ", &token->owners);
        print_list_of("producer ", &token->producers);
        print_list_of("app ", &token->applications);
        if (token->expiry_ms > 0) {
            printf("  %s %s", token->expiry_ms < now_ms ? "EXPIRED" : "expires",
                   time_text(token->expiry_ms * TIME_MS_NS, time));
        }
        printf("%s\n", token->revoked ? "  REVOKED" : "");
    }
    return 0;
}

/* By "write.3" or by the token itself. */
static bool is_meant(const struct job *job, const struct token *token, const uint8_t *hash)
{
    struct buf name = {0};
    uint8_t wanted[TOKEN_HASH_BYTES];
    buf_printf(&name, "%s.%.*s", token->write ? "write" : "read", SPAN_ARG(token->id));
    token_hash(span_of_str(job->subject), wanted);
    bool meant =
        span_equal_str(buf_span(&name), job->subject) || memcmp(wanted, hash, sizeof(wanted)) == 0;
    buf_deinit(&name);
    return meant;
}

static int revoke(struct job *job)
{
    size_t cursor = 0;
    const struct token *token;
    const uint8_t *hash;
    while (token_table_next(job->table, &cursor, &token, &hash)) {
        if (is_meant(job, token, hash)) {
            struct buf line = {0};
            buf_printf(&line, "token.%s.%.*s.revoked=true\n", token->write ? "write" : "read",
                       SPAN_ARG(token->id));
            int rc = write_file(job, buf_span(&line));
            buf_deinit(&line);
            return rc;
        }
    }
    return err_set(ERR_NOT_FOUND, "%s has no such token; `aquifer token list` shows them",
                   job->file);
}

int cli_token(const struct cli_command *command, int argc, char **argv)
{
    struct job job = {0};
    int status = parse(command, &job, argc, argv);
    if (status >= 0) {
        return status;
    }
    job.table = token_table_new();
    int rc = read_file(&job);
    if (rc == 0) {
        rc = strcmp(job.verb, "make") == 0   ? make(&job)
             : strcmp(job.verb, "list") == 0 ? list(&job)
                                             : revoke(&job);
    }
    status = rc < 0 ? cli_fail(command, "%s", err_text()) : CLI_OK;
    token_table_free(&job.table);
    conf_free(&job.conf);
    buf_deinit(&job.text);
    return status;
}
