/*
 * aquifer datastore migrate: moves a datastore that is stopped between its own files and etcd. Its
 * other verb is in datastore_password.h.
 */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/datastore_password.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "etcd/migrate.h"

struct job {
    const char *from, *to;
    bool quiet;
    struct etcd_tls tls;
    struct etcd *etcd;
    struct store *store;
    struct progress progress;
};

static const char *directory_of(const char *place)
{
    return strncmp(place, "sqlite:", 7) == 0 && place[7] != 0 ? place + 7 : NULL;
}

static bool is_etcd(const char *place)
{
    return strncmp(place, "etcd://", 7) == 0 || strncmp(place, "etcds://", 8) == 0;
}

static int parse(const struct cli_command *command, struct job *job, int argc, char **argv)
{
    const struct cli_option options[] = {
        {.name = "from", .text = &job->from},
        {.name = "to", .text = &job->to},
        {.name = "etcd-ca", .text = &job->tls.ca_path},
        {.name = "etcd-certificate", .text = &job->tls.cert_path},
        {.name = "etcd-key", .text = &job->tls.key_path},
        {.name = "quiet", .flag = &job->quiet},
    };
    int words;
    int status = cli_options(command, options, ARRAY_COUNT(options), argc, argv, &words);
    if (status != CLI_OK) {
        return status;
    }
    if (words + 1 != argc || strcmp(argv[words], "migrate") != 0) {
        return cli_usage(command, "it can migrate, and give an account a password");
    }
    if (job->from == NULL || job->to == NULL) {
        return cli_usage(command, "--from and --to are needed");
    }
    bool in = directory_of(job->from) != NULL && is_etcd(job->to);
    bool out = is_etcd(job->from) && directory_of(job->to) != NULL;
    return in || out ? CLI_OK : cli_usage(command, "one place is sqlite:DIR, the other etcd://...");
}

static int open_store(struct job *job, const char *dir, bool shared)
{
    char *users = mem_printf("%s/datastore-users.db", dir);
    char *web = mem_printf("%s/datastore-webstore.db", dir);
    char *blobs = mem_printf("%s/resources/datastore", dir);
    struct store_options options = {.io = io_real(),
                                    .users_path = users,
                                    .web_path = web,
                                    .blob_dir = blobs,
                                    .authority = true,
                                    .shared = shared};
    int rc = 0;
    if (!shared && !(io_exists(io_real(), users) && io_exists(io_real(), web))) {
        rc = err_set(ERR_NOT_FOUND, "%s: there are no datastore-users.db and datastore-webstore.db",
                     dir);
    }
    rc = rc < 0 ? rc : store_open(&options, &job->store);
    mem_free(users);
    mem_free(web);
    mem_free(blobs);
    return rc;
}

static void on_progress(void *context, uint64_t objects, uint64_t bytes)
{
    (void)objects;
    progress_add(&((struct job *)context)->progress, bytes);
}

static int migrate(struct job *job, struct etcd_migration *migration)
{
    bool in = is_etcd(job->to);
    uint64_t objects = 0;
    uint64_t bytes = 0;
    int rc = etcd_new(io_real(), in ? job->to : job->from, &job->tls, &job->etcd);
    rc = rc < 0 ? rc : open_store(job, directory_of(in ? job->from : job->to), !in);
    rc = rc < 0 || !in ? rc : etcd_migrate_measure(job->store, &objects, &bytes);
    if (rc < 0) {
        return rc;
    }
    migration->etcd = job->etcd;
    migration->store = job->store;
    progress_begin(&job->progress, io_real(), "migrating", bytes, job->quiet);
    rc = in ? etcd_migrate_in(migration) : etcd_migrate_out(migration);
    progress_end(&job->progress);
    return rc;
}

int cli_datastore(const struct cli_command *command, int argc, char **argv)
{
    struct job job = {0};
    if (argc > 1 && strcmp(argv[1], "password") == 0) {
        return cli_datastore_password(command, argc - 1, argv + 1);
    }
    int status = parse(command, &job, argc, argv);
    if (status != CLI_OK) {
        return status == CLI_HELPED ? CLI_OK : status;
    }
    CHECK(sodium_init() >= 0);
    struct etcd_migration migration = {.io = io_real(), .progress = on_progress, .context = &job};
    int rc = migrate(&job, &migration);
    if (rc < 0) {
        status = cli_fail(command, "%s", err_text());
    } else {
        printf("%" PRIu64 " objects moved and counted on both sides, up to revision %" PRIu64
               ". Contents of resources and files stay where they are "
               "(Datastore-Resource-Store).\n",
               migration.objects, migration.revision);
        status = CLI_OK;
    }
    store_close(&job.store);
    etcd_free(&job.etcd);
    return status;
}
