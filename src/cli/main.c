/*
 * aquifer: the command line.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli.h"

static int show_help(const struct cli_command *command, int argc, char **argv);
static int show_version(const struct cli_command *command, int argc, char **argv);

static const struct cli_command commands[] = {
    {"ingest", "--tag TAG [options] FILE...|-", "send the lines of files to an indexer",
     "  --tag TAG            the tag of the entries\n"
     "  --indexer TARGET     host:port, tcp://host:port, tls://host:port or pipe:///path;\n"
     "                       may be repeated (default: from --config, else 127.0.0.1:4023)\n"
     "  --secret SECRET      ingest secret (default: $AQUIFER_INGEST_SECRET, else Ingest-Auth\n"
     "                       of the configuration)\n"
     "  --config FILE        default " CLI_CONFIG_PATH ", if it is there\n"
     "  --source ADDRESS     source of the entries (default: this machine's address)\n"
     "  --timezone utc|local zone of times that name none (default: local)\n"
     "  --now                do not look for times in the lines\n"
     "  --compress           compress on the way\n"
     "  --insecure           accept any certificate\n"
     "  --quiet              no progress bar\n",
     cli_ingest},
    {"search", "--server URL --user USER [options] QUERY", "run a query and print its result",
     "  --server URL         a webserver or load balancer, http://host:port\n"
     "  --user USER\n"
     "  --password PASSWORD  (default: $AQUIFER_PASSWORD, else asked for, or the first line of\n"
     "                       standard input)\n"
     "  --last DURATION      how far back: 15m, 1h, 7d, all (default: 1h)\n"
     "  --start T, --end T   a time or date (UTC unless it has a zone), or a duration before now\n"
     "                       such as 2h; instead of --last\n"
     "  --format FORMAT      text, json or csv (default: text); in json the Data of entries is\n"
     "                       base64: jq -r '.Data|@base64d'\n"
     "  --follow             what comes in from now on, until it is interrupted\n"
     "  --explain            the plan, and what each stage read and dropped, not the results\n"
     "  --insecure           accept any certificate\n",
     cli_search},
    {"status", "--server URL --user USER [options]", "say how the whole cluster is",
     "Datastores, webservers, indexers, load balancers, links between indexers, notifications;\n"
     "first what is wrong and what to do. The status is 0 when all is well, 1 when something\n"
     "is degraded, 2 when the cluster could not be asked.\n"
     "\n"
     "  --server URL         a webserver or load balancer, http://host:port\n"
     "  --user USER\n"
     "  --password PASSWORD  (default: $AQUIFER_PASSWORD, else asked for, or the first line of\n"
     "                       standard input)\n"
     "  --format FORMAT      text or json (default: text)\n"
     "  --rate DURATION      how long to look for the rates of what is taken; 0s: not at all\n"
     "                       (default: 1s)\n"
     "  --insecure           accept any certificate\n",
     cli_status},
    {"user",
     "list|show|add|password|lock|unlock|admin|no-admin|remove --server URL --user USER [options] "
     "[NAME]",
     "make and change accounts",
     "  list                 all accounts\n"
     "  show NAME            one of them\n"
     "  add NAME             make one; its password is asked for\n"
     "  password NAME        give it another password, which is asked for; an administrator does\n"
     "                       that for everybody, everybody for himself\n"
     "  lock NAME            it cannot log in, its sessions end; unlock NAME\n"
     "  admin NAME           it may do everything; no-admin NAME\n"
     "  remove NAME          take it away; what it made stays\n"
     "  --server URL         a webserver or load balancer, http://host:port\n"
     "  --user USER          who does it: mostly an administrator\n"
     "  --password PASSWORD  of USER (default: $AQUIFER_PASSWORD, else asked for, or the first\n"
     "                       line of standard input)\n"
     "  --full-name TEXT, --email ADDRESS, --group A,B, --admin\n"
     "                       add: what it begins with\n"
     "  --password-file FILE add, password: the new password is the line in it (default: asked\n"
     "                       for, or the next line of standard input)\n"
     "  --format FORMAT      list, show: text, json or csv (default: text)\n"
     "  --insecure           accept any certificate\n"
     "Without the datastore accounts cannot be changed; the webserver says so.\n",
     cli_user},
    {"backup", "--server URL --user USER [options] --output FILE | --verify FILE",
     "write all that people made into one file",
     "  --server URL         a webserver or load balancer, http://host:port\n"
     "  --user USER          an admin\n"
     "  --password PASSWORD  (default: $AQUIFER_PASSWORD, else asked for, or the first line of\n"
     "                       standard input)\n"
     "  --output FILE        appears once it is whole and verified; replaces\n"
     "  --backup-password P  encrypt it (default: $AQUIFER_BACKUP_PASSWORD, else it is not)\n"
     "  --omit-sensitive     without API tokens, values of secrets, password hashes\n"
     "  --saved-searches     with saved searches that are objects\n"
     "  --verify FILE        take none, but check this one and say what is in it\n"
     "  --insecure           accept any certificate\n"
     "  --quiet              no progress bar\n"
     "Without --omit-sensitive and without a password for it, whoever reads the file reads the\n"
     "values of all secrets.\n",
     cli_backup},
    {"restore", "--server URL --user USER [options] FILE", "give a backup back to a cluster",
     "  --server URL         a webserver or load balancer, http://host:port\n"
     "  --user USER          an admin\n"
     "  --password PASSWORD  (default: $AQUIFER_PASSWORD, else asked for, or the first line of\n"
     "                       standard input)\n"
     "  --backup-password P  the one it was taken with (default: $AQUIFER_BACKUP_PASSWORD)\n"
     "  --replace            delete what is there and not in the backup\n"
     "  --insecure           accept any certificate\n"
     "  --quiet              no progress bar\n"
     "A damaged file changes nothing. Accounts come back with their passwords, and everybody\n"
     "logs in again.\n",
     cli_restore},
    {"datastore", "migrate --from PLACE --to PLACE [options] | password NAME [options]",
     "move a datastore that is stopped, or let somebody in who is locked out",
     "  migrate              moves it between its files and etcd\n"
     "  --from PLACE         sqlite:DIR (with datastore-users.db and datastore-webstore.db) or\n"
     "                       etcd://h1:2379,h2:2379,h3:2379\n"
     "  --to PLACE           the other one; it must hold nothing\n"
     "  --etcd-ca FILE       etcds://: who vouches for etcd's certificates (default: the "
     "system's)\n"
     "  --etcd-certificate F, --etcd-key F\n"
     "                       etcds://: what to show to etcd\n"
     "  --quiet              no progress bar\n"
     "Webservers go on as if nothing had happened. What --from names stays as it was.\n"
     "  password NAME        gives the account, mostly admin, another password and unlocks it:\n"
     "                       where the datastore's files are (or those of a webserver without a\n"
     "                       datastore), while it is stopped\n"
     "  --config FILE        password: says where they are (default " CLI_CONFIG_PATH ")\n"
     "  --password-file FILE password: the new one is the line in it (default: asked for, or the\n"
     "                       first line of standard input)\n",
     cli_datastore},
    {"datalog", "status|join|ls|cat|verify|forward|quarantine [options] [DIR]",
     "links between indexers; the files of a datalog; request files",
     "  status               who forwards to whom, position, lag and faults of each link, and\n"
     "                       what each indexer holds; the status is 1 if one is down or a link "
     "does not "
     "follow\n"
     "  --config FILE        status: of a webserver or indexer, default " CLI_CONFIG_PATH "\n"
     "  --indexer A,B --secret S [--disable-tls] [--insecure]   status: in the place of it\n"
     "  join --from HOST     brings up the indexer of --config: HOST, an indexer that has\n"
     "                       everything, forwards to it from now on; waits until it is level\n"
     "  --leave              join: HOST forwards to it no more\n"
     "  --address A:PORT     join: where HOST reaches it; --secret S: HOST's Control-Auth\n"
     "  --disable-tls, --insecure, --quiet\n"
     "  ls                   its files, cursors and origins, and the positions of each\n"
     "  cat                  its records, one line each\n"
     "  verify               every checksum, every record's form; the status is 1 if one is wrong\n"
     "  verify --cluster [--repair]\n"
     "                       whether all indexers hold the same, per well and partition of time;\n"
     "                       what differs is named, and the status is 1. --repair: each gets what\n"
     "                       it lacks from those who forward to it\n"
     "  --from P, --to P     cat: positions from P, up to P\n"
     "  --entries            cat: the entries too, the series, attributes and deletes\n"
     "DIR may be that of a running indexer. Nothing is changed in it.\n"
     "  forward              send the request files of Warp 10 2.x in a directory, by name,\n"
     "                       and remove each once the target has it; goes on until it is ended\n"
     "  --source DIR, --target URL\n"
     "  --psk KEY            hex:... or base64:... (default: $AQUIFER_DATALOG_PSK)\n"
     "  --ignore ID,ID       origins whose requests are removed unsent\n"
     "  --quarantine DIR     what the target refuses (default: quarantine in --source)\n"
     "  --compress, --insecure, --once, --link NAME\n"
     "  quarantine ls DIR    what was refused, and why\n"
     "  quarantine show|retry|drop DIR NAME...\n"
     "                       print it; send it once more (--target, --psk), or for a record of a\n"
     "                       link have the indexer try it (--config, or --indexer and --secret);\n"
     "                       forget it\n",
     cli_datalog},
    {"well", "ls|verify DIR...", "the segment files of wells",
     "  ls                   the files of a well: what is in them, and of which times\n"
     "  verify               every byte of them; damage is told by file and place, and the status\n"
     "                       is 1 then\n"
     "DIR, a well's Location, may be that of a running indexer. Nothing is changed in it.\n",
     cli_well},
    {"token", "make|list|revoke [options] [ID|TOKEN]", "make and revoke tokens of the Warp 10 API",
     "  make --write         a token that writes; it is shown once, the file has its hash\n"
     "  make --read          a token that reads\n"
     "  list                 what is in the file\n"
     "  revoke ID|TOKEN      by what list shows (write.0), or by the token\n"
     "  --file FILE          default: Token-File of [Warp10] in --config\n"
     "  --config FILE        default " CLI_CONFIG_PATH "\n"
     "  --app NAME           application; --owner UUID (default of writers: a new one),\n"
     "  --producer UUID      (default of writers: the owner); readers see what fits\n"
     "  --labels A=B,C=D     put on every series; of readers: conditions, also A~REGEX\n"
     "  --attributes A=B     .nodelete= .maxsize=1000 and others\n"
     "  --expires WHEN       a duration such as 30d, or RFC 3339\n"
     "  --max-rate N         points per second\n"
     "  --id ID              its name in the file (default: the next number)\n"
     "Indexers read a changed file within a second.\n",
     cli_token},
    {"check-config", "[FILE]", "say what is wrong with a configuration file",
     "  --loadbalancer       it is a loadbalancer.conf\n"
     "  FILE                 default " CLI_CONFIG_PATH "\n",
     cli_check_config},
    {"help", "[COMMAND]", "explain a command", "", show_help},
    {"version", "", "print the version", "", show_version},
};

static void list_commands(FILE *file)
{
    fprintf(file, "usage: aquifer COMMAND [options]\n\n");
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        fprintf(file, "  %-14s %s\n", commands[i].name, commands[i].summary);
    }
    fprintf(file, "\nmore: aquifer help COMMAND\n");
}

static const struct cli_command *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static int unknown(const char *name)
{
    const char *names[ARRAY_COUNT(commands)];
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        names[i] = commands[i].name;
    }
    const char *near = text_nearest(span_of_str(name), names, ARRAY_COUNT(names));
    fprintf(stderr, "aquifer: there is no command \"%s\"%s%s%s\n", name,
            near == NULL ? "" : "; did you mean \"", near == NULL ? "" : near,
            near == NULL ? "" : "\"?");
    list_commands(stderr);
    return CLI_USAGE;
}

static int show_help(const struct cli_command *command, int argc, char **argv)
{
    (void)command;
    if (argc < 2) {
        list_commands(stdout);
        return CLI_OK;
    }
    const struct cli_command *about = find(argv[1]);
    return about == NULL ? unknown(argv[1]) : cli_help(about);
}

static int show_version(const struct cli_command *command, int argc, char **argv)
{
    (void)command;
    (void)argc;
    (void)argv;
    printf("aquifer %s\n", AQUIFER_VERSION);
    return CLI_OK;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        list_commands(stderr);
        return CLI_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        name = "help";
    } else if (strcmp(name, "--version") == 0) {
        name = "version";
    }
    const struct cli_command *command = find(name);
    return command == NULL ? unknown(name) : command->run(command, argc - 1, argv + 1);
}
