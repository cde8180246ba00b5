/*
 * aquifer datastore password NAME: the way back in when nobody knows the administrator's password.
 * Whoever may write the files may do it; the store's lock keeps it away from a daemon at work. The
 * change is one like any other: it has a revision, goes to all webservers, and has an audit line.
 * Tested by tests/cluster/test_life_cycle.py.
 */
#include "cli/datastore_password.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/time.h"
#include "cli/options.h"
#include "cli/secret.h"
#include "conf/conf.h"
#include "store/store.h"
#include "sync/sync.h"

#define FIRST_PASSWORD "changeme" /* everybody knows it */

struct job {
    const char *config, *password_file, *name;
    struct conf *conf;
    struct store *store;
    struct sync *sync;
    struct object *user;
    struct buf secret;
};

static int parse(const struct cli_command *command, struct job *job, int argc, char **argv)
{
    const struct cli_option options[] = {
        {.name = "config", .text = &job->config},
        {.name = "password-file", .text = &job->password_file},
    };
    int words;
    int status = cli_options(command, options, ARRAY_COUNT(options), argc, argv, &words);
    if (status == CLI_OK && argc - words != 1) {
        return cli_usage(command, "password of which user? The first one is admin");
    }
    job->name = status == CLI_OK ? argv[words] : NULL;
    return status;
}

/* ── The files ───────────────────────────────────────────────────────────────────────────── */

/* The accounts' authority on this machine: its datastore, or a webserver that has none. */
static int find_files(const struct job *job, struct store_options *options)
{
    const struct conf *conf = job->conf;
    const char *datastore = conf_text(conf, CONF_GLOBAL, "Datastore-User-DB-Path");
    const char *webserver = conf_text(conf, CONF_GLOBAL, "User-DB-Path");
    if (strncmp(conf_text(conf, CONF_GLOBAL, "Datastore-Backend"), "etcd", 4) == 0) {
        return err_set(ERR_UNSUPPORTED,
                       "the accounts are in etcd: stop the datastores, move everything into files "
                       "(aquifer datastore migrate), change the password there, and move it back");
    }
    if (io_exists(io_real(), datastore)) {
        options->users_path = datastore;
        options->web_path = conf_text(conf, CONF_GLOBAL, "Datastore-Web-Store-Path");
        options->blob_dir = conf_text(conf, CONF_GLOBAL, "Datastore-Resource-Store");
        return 0;
    }
    if (conf_list_count(conf, CONF_GLOBAL, "Datastore") == 0 && io_exists(io_real(), webserver)) {
        options->users_path = webserver;
        options->web_path = conf_text(conf, CONF_GLOBAL, "Web-Store-Path");
        options->blob_dir = conf_text(conf, CONF_GLOBAL, "Webserver-Resource-Store");
        return 0;
    }
    return err_set(ERR_NOT_FOUND,
                   "there are no accounts here (%s): do it on the machine of the datastore",
                   datastore);
}

static int open_files(struct job *job)
{
    struct store_options options = {
        .io = io_real(),
        .authority = true,
        .versions_max = (uint32_t)conf_int(job->conf, CONF_GLOBAL, "Versions-Max"),
        .versions_age_ns = conf_duration(job->conf, CONF_GLOBAL, "Versions-Max-Age"),
    };
    int rc = find_files(job, &options);
    rc = rc < 0 ? rc : store_open(&options, &job->store);
    if (rc == ERR_UNAVAILABLE) {
        rc = err_wrap(rc, "stop the daemon that has them first");
    }
    struct sync_options alone = {.io = io_real(), .store = job->store};
    return rc < 0 ? rc : sync_start(&alone, &job->sync);
}

/* ── The account ─────────────────────────────────────────────────────────────────────────── */

static int find_user(struct job *job)
{
    int rc = store_get_by_name(job->store, OBJECT_USER, -1, job->name, &job->user);
    return rc == STORE_ABSENT ? err_set(ERR_NOT_FOUND, "there is no user %s", job->name) : rc;
}

static int read_password(struct job *job)
{
    int rc = cli_secret_new(io_real(), job->name, job->password_file, &job->secret);
    if (rc == 0 && span_equal_str(buf_span(&job->secret), FIRST_PASSWORD)) {
        rc = err_set(ERR_INVALID, "everybody knows this password");
    }
    return rc;
}

/* As a webserver makes it: webserver/password.h. */
static int hash(struct job *job, char ret_hash[crypto_pwhash_STRBYTES])
{
    size_t memory = (size_t)conf_int(job->conf, CONF_GLOBAL, "Password-Hash-MB") << 20;
    int rc = crypto_pwhash_str_alg(ret_hash, buf_str(&job->secret), job->secret.bytes,
                                   crypto_pwhash_OPSLIMIT_INTERACTIVE, memory,
                                   crypto_pwhash_ALG_ARGON2ID13);
    return rc == 0 ? 0 : err_set(ERR_NO_SPACE, "there is not the memory to hash a password");
}

static struct object *audit_line(const struct job *job)
{
    char id[UUID_TEXT_BYTES];
    struct object *line = object_new(OBJECT_AUDIT);
    line->owner = (int32_t)job->user->number;
    object_set_name(line, "update");
    object_set_body(line, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "Verb", "update", "Kind",
                                    "user", "Object", uuid_text(job->user->id, id), "Name",
                                    job->user->name, "User", "aquifer datastore password", "Host",
                                    "", "Webserver", ""));
    return line;
}

/* The members are described in webserver/account.h. It is unlocked, all its sessions end. */
static int change(struct job *job)
{
    char text[crypto_pwhash_STRBYTES];
    int rc = hash(job, text);
    if (rc < 0) {
        return rc;
    }
    json_t *body = job->user->body;
    json_object_set_new(body, "Password", json_string(text));
    json_object_set_new(body, "Locked", json_false());
    json_object_set_new(body, "TokensAfter", json_integer(io_now_ns(io_real())));
    json_object_set_new(body, "TokensKeep", json_string(""));
    (void)json_object_del(body, "FirstPassword");
    (void)json_object_del(body, OBJECT_PROVISIONAL);
    job->user->updated_ns = io_now_ns(io_real());
    struct object *line = audit_line(job);
    rc = sync_write_with(job->sync, job->user, line, SYNC_BY_KIND);
    object_free(&line);
    return rc;
}

int cli_datastore_password(const struct cli_command *command, int argc, char **argv)
{
    struct job job = {.config = CLI_CONFIG_PATH};
    int status = parse(command, &job, argc, argv);
    if (status != CLI_OK) {
        return status == CLI_HELPED ? CLI_OK : status;
    }
    CHECK(sodium_init() >= 0);
    int rc = conf_load(io_real(), job.config, conf_schema_aquifer(), &job.conf);
    rc = rc < 0 ? rc : open_files(&job);
    rc = rc < 0 ? rc : find_user(&job);
    rc = rc < 0 ? rc : read_password(&job);
    rc = rc < 0 ? rc : change(&job);
    if (rc < 0) {
        status = cli_fail(command, "%s", err_text());
    } else {
        printf("%s has the new password and is not locked; start the daemon again\n", job.name);
    }
    object_free(&job.user);
    sync_stop(&job.sync);
    store_close(&job.store);
    conf_free(&job.conf);
    buf_deinit(&job.secret);
    return status;
}
