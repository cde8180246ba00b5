/*
 * aquifer user: accounts, through the web API of a webserver. Whoever does it logs in with --user;
 * the account that it is about is NAME.
 * Tested by tests/cluster/test_first_password.py.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/human.h"
#include "cli/members.h"
#include "cli/options.h"
#include "cli/search_table.h"
#include "cli/secret.h"
#include "cli/session.h"

#define FIRST_UID 1

struct verb;

struct job {
    struct cli_session session;
    const struct verb *verb;
    const char *name; /* NULL: list */
    const char *full_name, *email, *groups, *password_file, *format;
    bool admin;
    json_t *users;      /* all of them */
    const json_t *user; /* the one that is meant; NULL: there is none of this name */
    struct buf secret;  /* the new password */
};

/* What a verb may be given. */
enum {
    OF_ADD = 1,      /* --full-name, --email, --group, --admin */
    OF_PASSWORD = 2, /* --password-file */
    OF_FORMAT = 4,
};

struct verb {
    const char *name;
    unsigned takes;
    int (*run)(struct job *job);
    const char *method, *property; /* of /api/users/UID, for change() */
    const char *done;              /* "NAME …" */
};

/* ── Calls ───────────────────────────────────────────────────────────────────────────────── */

static long long uid_of(const struct job *job)
{
    return number_in(job->user, "UID");
}

static const json_t *user_named(const struct job *job, const char *name)
{
    size_t i;
    const json_t *one;
    json_array_foreach(job->users, i, one)
    {
        if (strcmp(text_in(one, "User"), name) == 0) {
            return one;
        }
    }
    return NULL;
}

/* The server's reason alone does not say who lacks what, or that nobody can do this. */
static int explained(const struct job *job, int rc)
{
    if (rc != ERR_DENIED) {
        return rc;
    }
    if (!true_in(user_named(job, job->session.user), "Admin")) {
        return err_wrap(rc, "%s is no administrator", job->session.user);
    }
    return job->user != NULL && uid_of(job) == FIRST_UID
               ? err_wrap(rc,
                          "%s is the first account, which always stays, unlocked and an "
                          "administrator",
                          job->name)
               : rc;
}

static int fetch_users(struct job *job)
{
    int rc = cli_session_call(&job->session, "GET", NULL, &job->users, "/api/users");
    job->user = rc == 0 && job->name != NULL ? user_named(job, job->name) : NULL;
    return rc;
}

/* "there is no user bbo, did you mean bob?": of the members `key` of a list. */
static int unknown(const char *kind, const char *name, const json_t *list, const char *key)
{
    size_t count = json_array_size(list);
    const char **names = mem_alloc_array(count + 1, sizeof(*names));
    for (size_t i = 0; i < count; i++) {
        names[i] = text_in(json_array_get(list, i), key);
    }
    const char *near = text_nearest(span_of_str(name), names, count);
    int rc = near == NULL
                 ? err_set(ERR_NOT_FOUND, "there is no %s %s", kind, name)
                 : err_set(ERR_NOT_FOUND, "there is no %s %s, did you mean %s?", kind, name, near);
    mem_free(names);
    return rc;
}

static int need_user(const struct job *job)
{
    return job->user != NULL ? 0 : unknown("user", job->name, job->users, "User");
}

/* ── list, show ──────────────────────────────────────────────────────────────────────────── */

static json_t *group_names(const json_t *user)
{
    json_t *names = json_array();
    size_t i;
    const json_t *group;
    json_array_foreach(json_object_get(user, "Groups"), i, group)
    {
        json_array_append_new(names, json_string(text_in(group, "Name")));
    }
    return names;
}

static void print_users(const struct job *job, const json_t *only)
{
    struct search_table table = {.format = job->format};
    struct buf text = {0};
    json_t *rows = json_array();
    size_t i;
    const json_t *one;
    json_t *columns = json_pack("[s, s, s, s, s, s, s, s]", "user", "uid", "admin", "locked",
                                "groups", "full_name", "email", "first_password");
    json_array_foreach(job->users, i, one)
    {
        if (only == NULL || one == only) {
            json_array_append_new(rows, json_pack("[s, I, b, b, o, s, s, b]", text_in(one, "User"),
                                                  number_in(one, "UID"), true_in(one, "Admin"),
                                                  true_in(one, "Locked"), group_names(one),
                                                  text_in(one, "Name"), text_in(one, "Email"),
                                                  true_in(one, "FirstPassword")));
        }
    }
    search_table_put(&table, columns, rows, &text);
    fwrite(text.data, 1, text.bytes, stdout);
    buf_deinit(&text);
    mem_free(table.columns);
    json_decref(columns);
    json_decref(rows);
}

static int list(struct job *job)
{
    print_users(job, NULL);
    return 0;
}

static void print_line(const char *key, const char *value)
{
    struct buf text = {0};
    human_text(&text, value);
    if (text.bytes > 0) {
        printf("%-10s %s\n", key, buf_str(&text));
    }
    buf_deinit(&text);
}

static void print_groups(const json_t *user)
{
    struct buf text = {0};
    size_t i;
    const json_t *group;
    json_array_foreach(json_object_get(user, "Groups"), i, group)
    {
        buf_printf(&text, "%s%s", i > 0 ? ", " : "", text_in(group, "Name"));
    }
    print_line("groups", buf_str(&text));
    buf_deinit(&text);
}

static int show(struct job *job)
{
    int rc = need_user(job);
    if (rc < 0) {
        return rc;
    }
    if (strcmp(job->format, "text") != 0) {
        print_users(job, job->user);
        return 0;
    }
    print_line("user", job->name);
    printf("%-10s %lld\n", "uid", uid_of(job));
    print_line("full name", text_in(job->user, "Name"));
    print_line("email", text_in(job->user, "Email"));
    print_line("admin", true_in(job->user, "Admin") ? "yes" : "no");
    print_line("locked", true_in(job->user, "Locked") ? "yes" : "no");
    print_groups(job->user);
    print_line("password", true_in(job->user, "FirstPassword")
                               ? "the one that every first account has: change it"
                               : "set");
    print_line("changed", text_in(job->user, "TS"));
    return 0;
}

static int new_password(struct job *job)
{
    return cli_secret_new(job->session.io, job->name, job->password_file, &job->secret);
}

/* ── add ─────────────────────────────────────────────────────────────────────────────────── */

/* The gids of --group A,B: all of them are there, or nothing is made. */
static int find_groups(struct job *job, json_t *gids)
{
    json_t *groups = NULL;
    struct span rest = job->groups == NULL ? SPAN_NONE : span_of_str(job->groups);
    struct span one;
    int rc = job->groups == NULL
                 ? 0
                 : cli_session_call(&job->session, "GET", NULL, &groups, "/api/groups");
    while (rc == 0 && span_split(&rest, ',', &one)) {
        char *name = mem_strndup((const char *)one.data, one.bytes);
        size_t before = json_array_size(gids);
        for (size_t i = 0; i < json_array_size(groups); i++) {
            const json_t *group = json_array_get(groups, i);
            if (strcmp(text_in(group, "Name"), name) == 0) {
                json_array_append(gids, json_object_get(group, "GID"));
            }
        }
        rc = json_array_size(gids) > before ? 0 : unknown("group", name, groups, "Name");
        mem_free(name);
    }
    json_decref(groups);
    return rc;
}

/* The account is there when this fails. */
static int join_groups(struct job *job, long long uid, json_t *gids)
{
    json_t *body = json_pack("{s:O}", "GIDs", gids);
    int rc = json_array_size(gids) == 0 ? 0
                                        : cli_session_call(&job->session, "POST", body, NULL,
                                                           "/api/users/%lld/group", uid);
    json_decref(body);
    return rc < 0 ? err_wrap(rc, "%s was made, but is in no group", job->name) : 0;
}

static int create(struct job *job, long long *ret_uid)
{
    json_t *answer = NULL;
    json_t *body =
        json_pack("{s:s, s:s, s:s, s:s, s:b}", "User", job->name, "Pass", buf_str(&job->secret),
                  "Name", job->full_name == NULL ? "" : job->full_name, "Email",
                  job->email == NULL ? "" : job->email, "Admin", job->admin);
    int rc = body == NULL ? err_set(ERR_INVALID, "the name or the email is not UTF-8 text")
                          : cli_session_call(&job->session, "POST", body, &answer, "/api/users");
    *ret_uid = json_integer_value(answer);
    json_decref(answer);
    json_decref(body);
    return rc;
}

static int add(struct job *job)
{
    long long uid = 0;
    json_t *gids = json_array();
    int rc = job->user == NULL ? 0
                               : err_set(ERR_EXISTS, "there is a user %s already (uid %lld)",
                                         job->name, uid_of(job));
    rc = rc < 0 ? rc : find_groups(job, gids);
    rc = rc < 0 ? rc : new_password(job);
    rc = rc < 0 ? rc : create(job, &uid);
    rc = rc < 0 ? rc : join_groups(job, uid, gids);
    if (rc == 0) {
        printf("%s is there now, uid %lld%s%s%s\n", job->name, uid,
               job->admin ? ", an administrator" : "",
               job->groups != NULL ? ", in the groups " : "",
               job->groups != NULL ? job->groups : "");
    }
    json_decref(gids);
    return rc;
}

/* ── What changes an account ─────────────────────────────────────────────────────────────── */

static int set_password(struct job *job)
{
    int rc = need_user(job);
    rc = rc < 0 ? rc : new_password(job);
    if (rc < 0) {
        return rc;
    }
    /* Asked for when it is one's own. */
    json_t *body = json_pack("{s:s, s:s}", "OrigPass", job->session.password, "NewPass",
                             buf_str(&job->secret));
    rc = cli_session_call(&job->session, "PUT", body, NULL, "/api/users/%lld/pwd", uid_of(job));
    json_decref(body);
    if (rc == 0) {
        printf("%s has the new password; its other sessions have ended\n", job->name);
    }
    return rc;
}

static int change(struct job *job)
{
    int rc = need_user(job);
    rc = rc < 0 ? rc
                : cli_session_call(&job->session, job->verb->method, NULL, NULL,
                                   "/api/users/%lld%s", uid_of(job), job->verb->property);
    if (rc == 0) {
        printf("%s %s\n", job->name, job->verb->done);
    }
    return rc;
}

static const struct verb verbs[] = {
    {"list", OF_FORMAT, list, NULL, NULL, NULL},
    {"show", OF_FORMAT, show, NULL, NULL, NULL},
    {"add", OF_ADD | OF_PASSWORD, add, NULL, NULL, NULL},
    {"password", OF_PASSWORD, set_password, NULL, NULL, NULL},
    {"lock", 0, change, "PUT", "/lock", "is locked; its sessions have ended"},
    {"unlock", 0, change, "DELETE", "/lock", "may log in again"},
    {"admin", 0, change, "PUT", "/admin", "is an administrator now"},
    {"no-admin", 0, change, "DELETE", "/admin", "is no administrator now"},
    {"remove", 0, change, "DELETE", "", "is gone"},
};

/* ── The command line ────────────────────────────────────────────────────────────────────── */

static int find_verb(struct job *job, const char *name)
{
    const char *names[ARRAY_COUNT(verbs)];
    for (size_t i = 0; i < ARRAY_COUNT(verbs); i++) {
        names[i] = verbs[i].name;
        job->verb = strcmp(name, names[i]) == 0 ? &verbs[i] : job->verb;
    }
    if (job->verb != NULL) {
        return CLI_OK;
    }
    const char *near = text_nearest(span_of_str(name), names, ARRAY_COUNT(verbs));
    return near == NULL ? cli_usage(job->session.command, "it cannot \"%s\"", name)
                        : cli_usage(job->session.command, "it cannot \"%s\"; did you mean \"%s\"?",
                                    name, near);
}

/* CLI_OK when each option belongs to the verb. */
static int check_options(const struct job *job)
{
    const struct cli_command *command = job->session.command;
    unsigned takes = job->verb->takes;
    if ((takes & OF_ADD) == 0 &&
        (job->full_name != NULL || job->email != NULL || job->groups != NULL || job->admin)) {
        return cli_usage(command, "--full-name, --email, --group and --admin are options of add");
    }
    if ((takes & OF_PASSWORD) == 0 && job->password_file != NULL) {
        return cli_usage(command, "--password-file is an option of add and password");
    }
    if ((takes & OF_FORMAT) == 0 && job->format != NULL) {
        return cli_usage(command, "--format is an option of list and show");
    }
    if (job->format != NULL && strcmp(job->format, "text") != 0 &&
        strcmp(job->format, "json") != 0 && strcmp(job->format, "csv") != 0) {
        return cli_usage(command, "--format is text, json or csv, not \"%s\"", job->format);
    }
    return CLI_OK;
}

static int check_words(struct job *job, int count, char **words)
{
    const struct cli_command *command = job->session.command;
    if (count == 0) {
        return cli_usage(command, "what is to be done? list, show, add, password, lock, unlock, "
                                  "admin, no-admin or remove");
    }
    int status = find_verb(job, words[0]);
    if (status != CLI_OK) {
        return status;
    }
    int wanted = job->verb->run == list ? 1 : 2;
    if (count < wanted) {
        return cli_usage(command, "%s which user?", job->verb->name);
    }
    if (count > wanted) {
        return cli_usage(command, "\"%s\" is one word too many", words[wanted]);
    }
    job->name = wanted == 2 ? words[1] : NULL;
    return job->name != NULL && job->name[0] == '\0'
               ? cli_usage(command, "the name of a user cannot be empty")
               : check_options(job);
}

static int parse(struct job *job, int argc, char **argv)
{
    struct cli_session *session = &job->session;
    const struct cli_option options[] = {
        CLI_SESSION_OPTIONS(session),
        {.name = "full-name", .text = &job->full_name},
        {.name = "email", .text = &job->email},
        {.name = "group", .text = &job->groups},
        {.name = "admin", .flag = &job->admin},
        {.name = "password-file", .text = &job->password_file},
        {.name = "format", .text = &job->format},
    };
    int words;
    int status = cli_options(session->command, options, ARRAY_COUNT(options), argc, argv, &words);
    status = status != CLI_OK ? status : check_words(job, argc - words, argv + words);
    job->format = job->format != NULL ? job->format : "text";
    return status != CLI_OK ? status : cli_session_check(session);
}

int cli_user(const struct cli_command *command, int argc, char **argv)
{
    struct job job = {.session = {.command = command, .io = io_real()}};
    int status = parse(&job, argc, argv);
    if (status == CLI_OK) {
        int rc = cli_session_open(&job.session);
        rc = rc < 0 ? rc : fetch_users(&job);
        rc = rc < 0 ? rc : explained(&job, job.verb->run(&job));
        status = rc < 0 ? cli_fail(command, "%s", err_text()) : CLI_OK;
    }
    cli_session_close(&job.session);
    json_decref(job.users);
    buf_deinit(&job.secret);
    return status < 0 ? CLI_OK : status;
}
