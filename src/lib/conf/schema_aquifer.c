/*
 * aquifer.conf: every key of the reference system's gravwell.conf, and our own.
 *
 * One row per key: KEY(name, type, readers, default, help), LIST for keys that repeat. A row
 * whose readers include LATER is known and checked, but nothing acts on it yet; take LATER away
 * when something does (schema_test.c reminds both ways).
 */
#include "conf/schema.h"

#include "base/check.h"
#include "conf/conf.h"

#define W CONF_WEBSERVER
#define I CONF_INDEXER
#define D CONF_DATASTORE
#define LATER CONF_NO_EFFECT

#define KEY(name, type, readers, def, help)                                                        \
    {                                                                                              \
        name, type, readers, def, help, .list = false                                              \
    }
#define LIST(name, type, readers, def, help)                                                       \
    {                                                                                              \
        name, type, readers, def, help, .list = true                                               \
    }
#define KEY_ENV(name, type, readers, def, variables, help)                                         \
    {                                                                                              \
        name, type, readers, def, help, .environment = variables                                   \
    }
#define LIST_ENV(name, type, readers, def, variables, help)                                        \
    {                                                                                              \
        name, type, readers, def, help, .list = true, .environment = variables                     \
    }
#define KEY_SECRET(name, readers, def, variables, file, help)                                      \
    {                                                                                              \
        name, CONF_TEXT, readers, def, help, .environment = variables, .secret_file = file         \
    }
#define KEY_RANGE(name, readers, def, least, most, help)                                           \
    {                                                                                              \
        name, CONF_INT, readers, def, help, .min = least, .max = most                              \
    }

static const struct conf_key global_keys[] = {
    /* Identity, secrets */
    KEY_ENV("Indexer-UUID", CONF_UUID, I, NULL, "GRAVWELL_INDEXER_UUID",
            "identity of the indexer for life; minted and written back when absent"),
    KEY_ENV("Webserver-UUID", CONF_UUID, W, NULL, "GRAVWELL_WEBSERVER_UUID",
            "identity of the webserver for life; minted and written back when absent"),
    KEY("Data-Directory", CONF_PATH, W | I | D, "/var/lib/aquifer",
        "where the other paths' defaults begin; `/opt/gravwell` gives the reference system's "
        "layout"),
    KEY("Config-Location", CONF_PATH, W | I | D, "{data}/etc",
        "where the defaults of databases, keys and certificates begin"),
    KEY("License-Location", CONF_PATH, W | I | LATER, "{config}/license",
        "there is no licence to check"),
    KEY_SECRET("Ingest-Auth", W | I | D, "IngestSecrets", "GRAVWELL_INGEST_AUTH", "ingest_secret",
               "shared secret of ingesters and of every daemon's self-log"),
    KEY_SECRET("Control-Auth", W | I | D, "ControlSecrets", "GRAVWELL_CONTROL_AUTH",
               "control_secret", "shared secret of the daemons; must be equal on all of them"),
    KEY_SECRET("Search-Agent-Auth", W | LATER, NULL, "GRAVWELL_SEARCHAGENT_AUTH",
               "search_agent_secret", "secret of the search agent"),
    KEY("Docker-Secrets", CONF_BOOL, W | I | D, "false",
        "read `ingest_secret`, `control_secret` and `search_agent_secret` from `/run/secrets`"),

    /* Listening, web */
    KEY("Web-Port", CONF_PORT, W, "443", "port of the web UI and API; 0 takes any free one"),
    KEY("Web-Listen-Address", CONF_ADDRESS, W, NULL, "address to listen on; empty: all"),
    KEY("Insecure-Disable-HTTPS", CONF_BOOL, W, "false", "serve plain HTTP on Web-Port"),
    KEY("Insecure-Keep-First-Password", CONF_BOOL, W, "false",
        "the page does not insist on another password than the first account's (ours)"),
    KEY("Disable-HTTP-Redirector", CONF_BOOL, W | LATER, "false",
        "with HTTPS, do not redirect plain HTTP"),
    KEY("Key-File", CONF_PATH, W | I | D, "{config}/key.pem", "private key, PEM"),
    KEY("Certificate-File", CONF_PATH, W | I | D, "{config}/cert.pem", "certificate chain, PEM"),
    KEY("External-Addr", CONF_ADDRESS, W, NULL,
        "how other webservers and the load balancer reach this one; needed with a datastore"),
    LIST("Trusted-Proxy", CONF_TEXT, W, NULL,
         "address or network (10.0.0.0/8) of a load balancer or proxy whose X-Forwarded-For, "
         "X-Forwarded-Proto and Forwarded are believed (ours)"),
    KEY("Accept-Proxy-Protocol", CONF_BOOL, W, "false",
        "connections of a Trusted-Proxy begin with a PROXY header, version 1 or 2 (ours)"),
    KEY("Web-Files-Path", CONF_PATH, W, "/usr/share/aquifer/www", "files of the web UI"),
    KEY("Webserver-Access-Control-Allow-Origin", CONF_TEXT, W | LATER, NULL,
        "value of the header of that name"),
    KEY("Webserver-Enable-Frame-Embedding", CONF_BOOL, W | LATER, "false",
        "false sends `X-Frame-Options: deny`"),
    KEY("Webserver-Content-Security-Policy", CONF_TEXT, W | LATER, NULL,
        "value of the header of that name"),
    KEY("HTTP-Proxy", CONF_TEXT, W | LATER, NULL, "proxy for outgoing HTTP and HTTPS"),
    KEY("Max-Payload-Size-MB", CONF_INT, W | LATER, "0", "cap on a JSON answer; 0: none"),
    KEY("Default-Language", CONF_TEXT, W, "en-US", "answer of `/api/language`"),
    KEY("Control-Listen-Address", CONF_ADDRESS, I, NULL,
        "address of the control listener; empty: all"),
    KEY("Control-Port", CONF_PORT, W | I, "9404", "control port of indexers"),
    KEY("Control-Insecure-Disable-TLS", CONF_BOOL, W | I, "false",
        "plain HTTP between webservers and indexers, on both sides (ours)"),
    KEY("Control-Insecure-Skip-TLS-Verify", CONF_BOOL, W, "false",
        "accept any certificate of an indexer (ours)"),
    KEY("Ingest-Listen-Address", CONF_ADDRESS, I, NULL,
        "address of the ingest listeners; empty: all (ours)"),
    KEY("Ingest-Port", CONF_PORT, I, "4023", "ingest, clear"),
    KEY("TLS-Ingest-Port", CONF_PORT, I, "4024", "ingest over TLS; 0: off"),
    KEY("Pipe-Ingest-Path", CONF_PATH, I, "{data}/comms/pipe", "unix socket of local ingesters"),
    LIST_ENV("Remote-Indexers", CONF_ADDRESS, W, "net:127.0.0.1:9404", "GRAVWELL_REMOTE_INDEXERS",
             "`net:host:port` of each indexer's control listener"),
    KEY_RANGE("Webserver-Domain", W, "0", 0, 32767, "resource domain"),
    LIST("Webserver-Ingest-Groups", CONF_TEXT, W, NULL,
         "groups that may ingest through the web API"),

    /* Datastore */
    KEY_ENV("Datastore-Listen-Address", CONF_ADDRESS, D, NULL, "GRAVWELL_DATASTORE_LISTEN_ADDRESS",
            "address to listen on; empty: all"),
    KEY_ENV("Datastore-Port", CONF_PORT, D, "9405", "GRAVWELL_DATASTORE_LISTEN_PORT",
            "port to listen on"),
    LIST_ENV(
        "Datastore", CONF_ADDRESS, W, NULL, "GRAVWELL_DATASTORE",
        "the datastores, port 9405 unless given, tried in order; none: this webserver is alone"),
    KEY_RANGE("Datastore-Update-Interval", W | D, "10", 1, 3600,
              "seconds between check-ins (5 to 10 advised); changes travel at once, not by this"),
    KEY("Datastore-Insecure-Disable-TLS", CONF_BOOL, W | D, "false",
        "plain HTTP between webservers and datastore, on both sides"),
    KEY("Datastore-Insecure-Skip-TLS-Verify", CONF_BOOL, W | D, "false",
        "accept any certificate of the datastore"),
    KEY("Search-Forwarding-Insecure-Skip-TLS-Verify", CONF_BOOL, W, "false",
        "accept any certificate of another webserver"),
    KEY("Datastore-Log-Location", CONF_PATH, D | LATER, "{data}/log/datastore",
        "daemons log to stderr"),
    KEY("Datastore-User-DB-Path", CONF_PATH, D, "{config}/datastore-users.db", "users, groups"),
    KEY("Datastore-Web-Store-Path", CONF_PATH, D, "{config}/datastore-webstore.db",
        "dashboards, preferences, history"),
    KEY("Datastore-Resource-Store", CONF_PATH, D, "{data}/resources/datastore",
        "contents of resources"),
    KEY("Datastore-Backend", CONF_TEXT, D, "sqlite",
        "where the truth is: sqlite (the files of this datastore), or etcd://h1:2379,h2:2379 with "
        "any number of datastores over it, etcds:// with TLS (ours)"),
    KEY("Datastore-Backend-CA-File", CONF_PATH, D, NULL,
        "who vouches for etcd's certificates, PEM; unless given: the system's authorities (ours)"),
    KEY("Datastore-Backend-Certificate-File", CONF_PATH, D, NULL,
        "the certificate to show to etcd (its --client-cert-auth), PEM (ours)"),
    KEY("Datastore-Backend-Key-File", CONF_PATH, D, NULL, "the key of that certificate (ours)"),
    KEY("Datastore-External-Addr", CONF_TEXT, D, NULL,
        "host:port by which other datastores over the same etcd reach this one; unless given: the "
        "listen address, else the host's name (ours)"),
    KEY("Traefik-Token", CONF_TEXT, D, NULL,
        "what a Traefik that polls `/traefik` has to show; unless given: nobody may (ours)"),

    /* Stores and paths */
    KEY("User-DB-Path", CONF_PATH, W, "{config}/users.db", "users, groups"),
    KEY("Web-Store-Path", CONF_PATH, W, "{config}/webstore.db", "dashboards, preferences, history"),
    KEY("Tag-DB-Path", CONF_PATH, I, "{config}/tags.dat", "tag names and their numbers"),
    KEY("Webserver-Resource-Store", CONF_PATH, W, "{data}/resources/webserver",
        "contents of resources"),
    KEY("Indexer-Resource-Store", CONF_PATH, I | LATER, "{data}/resources/indexer",
        "contents of resources"),
    KEY("Resource-Max-Size", CONF_INT, W | I | D, "536870912", "bytes of one resource"),
    KEY("Search-Scratch", CONF_PATH, W | I, "{data}/scratch",
        "what does not fit into a search's memory lies there until it ends"),
    KEY_RANGE("Search-Scratch-Limit", W | I, "16384", 1, 1 << 30,
              "MB that one search may have there, on each daemon (ours)"),
    KEY_RANGE("Max-Search-Memory-MB", W | I, "256", 1, 1 << 20,
              "MB of memory of one search, on each daemon, for what its stages hold (sort, stats, "
              "unique, ...); what is more goes to Search-Scratch (ours)"),
    KEY_RANGE(
        "Block-Cache-MB", I, "-1", -1, 1 << 20,
        "MB of unpacked blocks that searches leave for the next ones; 0: none; -1: a sixteenth "
        "of the machine's memory (ours)"),
    KEY("Search-Threads", CONF_INT, I, "0", "threads that all searches share; 0: one per core"),
    KEY("Render-Store", CONF_PATH, W, "{data}/render", "results of live searches"),
    KEY("Render-Store-Limit", CONF_INT, W, "1024", "MB of results per search"),
    KEY("Saved-Store", CONF_PATH, W, "{data}/saved", "saved results"),
    KEY("Temp-Dir", CONF_PATH, W | LATER, "{data}/tmp", "uploads"),
    KEY("Library-Dir", CONF_PATH, W | LATER, "{data}/libs", "cached script libraries"),
    KEY("Ingester-State-Tracking-File", CONF_PATH, I, "{config}/ingester_states.json",
        "last state of every ingester seen"),
    KEY("Log-Location", CONF_PATH, I | LATER, "{data}/log", "daemons log to stderr"),
    KEY("Web-Log-Location", CONF_PATH, W | LATER, "{data}/log/web", "daemons log to stderr"),
    KEY("Max-Log-Files", CONF_INT, W | I | LATER, "10", "daemons log to stderr"),

    /* Logging */
    KEY("Log-Level", CONF_LEVEL, W | I | D, "INFO", "least level that is logged"),
    KEY("Disable-Access-Log", CONF_BOOL, W | LATER, "false", "no line per request"),
    KEY("Disable-Self-Ingest", CONF_BOOL, W | I | D, "false", "do not ingest our own log"),
    KEY("Disable-Access-Log-Self-Ingest", CONF_BOOL, W | LATER, "false",
        "do not ingest the access log"),
    KEY("Self-Log-Tag", CONF_TEXT, W | I | D, "gravwell", "the tag of our own log (ours)"),
    LIST("Self-Log-Target", CONF_ADDRESS, W | I | D, NULL,
         "`host:port` of the indexers that take our own log; indexers keep theirs themselves "
         "(ours)"),

    /* Sessions, accounts */
    KEY("Persist-Web-Logins", CONF_BOOL, W | LATER, "true", "sessions survive a restart"),
    KEY_RANGE("Session-Timeout-Minutes", W, "60", 1, 525600, "idle time that ends a session"),
    KEY("Signing-Key-Lifetime", CONF_DURATION, W, "720h",
        "after so long the key that signs sessions is replaced; sessions go on (ours)"),
    KEY("Login-Fail-Lock-Count", CONF_INT, W, "5", "failed logins before delays; 0: off"),
    KEY("Login-Fail-Lock-Duration", CONF_INT, W, "5", "minutes in which they are counted; 0: off"),
    KEY_RANGE(
        "Password-Hash-MB", W, "64", 1, 1024,
        "memory (argon2id) that making and checking a password takes, of which four may run at "
        "a time; a password keeps what it was made with; less than 19 is not advised (ours)"),
    KEY("Enable-CBAC", CONF_BOOL, W | LATER, "false", "capability based access control"),
    KEY("MFA-Required", CONF_BOOL, W | LATER, "false", "every local user needs a second factor"),
    KEY("MFA-Issuer-Name", CONF_TEXT, W | LATER, "Aquifer", "issuer of one-time passwords"),
    KEY_RANGE("Versions-Max", W | D, "20", 1, 1000,
              "earlier versions kept of each object, for history and undo (ours)"),
    KEY("Versions-Max-Age", CONF_AGE, W | D, NULL,
        "versions replaced longer ago are dropped with the object's next change (ours)"),
    KEY("Max-Search-History", CONF_INT, W, "100", "history entries kept per user"),

    /* Search and storage tuning */
    KEY("Search-Pipeline-Buffer-Size", CONF_INT, W | I | LATER, "2", "blocks between two modules"),
    KEY("Search-Relay-Buffer-Size", CONF_INT, W | LATER, "4", "blocks waiting per indexer"),
    KEY("Prebuff-Block-Hint", CONF_INT, I | LATER, "32", "MB, soft size of a stored block"),
    KEY("Prebuff-Max-Size", CONF_INT, I | LATER, "32", "MB in a well's buffer before it is stored"),
    KEY("Prebuff-Max-Set", CONF_INT, I | LATER, "256", "one-second groups in a well's buffer"),
    KEY("Prebuff-Tick-Interval", CONF_INT, I | LATER, "3", "seconds between forced stores"),
    KEY("Prebuff-Sort-On-Consume", CONF_BOOL, I | LATER, "false", "sort before storing"),
    KEY("Max-Block-Size", CONF_INT, I | LATER, "4", "MB, size of a block into the pipeline"),
    KEY_RANGE("Ingest-Throttle-Threshold", I | LATER, "90", 0, 100,
              "per cent of the disk above which ingest stops"),
    KEY_RANGE("Indexer-Storage-Notification-Threshold", I | LATER, "85", 0, 99,
              "per cent of the disk for a notification; 0: off"),
    KEY("Disable-Indexer-Overload-Warning", CONF_BOOL, I | LATER, "false",
        "no notification of overload"),
    LIST("Tag-Accelerator-Definitions", CONF_PATH, I | LATER, NULL,
         "files with `[Tag-Accelerator \"x\"]` sections"),
    KEY("Ageout-Time", CONF_TIME_OF_DAY, I | LATER, "00:00", "daily ageout, UTC"),
    KEY("Ditto-Max-Workers", CONF_INT, I | LATER, "1", "wells mirrored in parallel"),
    KEY("Disable-Single-Indexer-Optimization", CONF_BOOL, W | LATER, "false",
        "do not move modules to the only indexer"),
    LIST("Search-Control-Script", CONF_PATH, W | LATER, NULL, "scripts run at every search"),

    /* The rest of the reference system's keys */
    KEY("Max-Email-Size", CONF_INT, W | LATER, "0", ""),
    KEY("Disable-Update-Notification", CONF_BOOL, W | LATER, "false", ""),
    KEY("Disable-Feature-Popups", CONF_BOOL, W | LATER, "false", ""),
    KEY("Disable-Stats-Report", CONF_BOOL, W | LATER, "false", "nothing is ever reported"),
    KEY("Insecure-User-Unsigned-Kits-Allowed", CONF_BOOL, W | LATER, "false", ""),
    KEY("Disable-Search-Agent-Notifications", CONF_BOOL, W | LATER, "false", ""),
    KEY("Disable-Network-Script-Functions", CONF_BOOL, W | LATER, "false", ""),
    KEY("Disable-Map-Tile-Server-Proxy", CONF_BOOL, W | LATER, "false", ""),
    KEY("Map-Tile-Server", CONF_TEXT, W | LATER, NULL, ""),
    KEY("Gravwell-Tile-Server-Cooldown-Minutes", CONF_INT, W | LATER, "5", ""),
    KEY("Gravwell-Tile-Server-Cache-MB", CONF_INT, W | LATER, "4", ""),
    KEY("Gravwell-Tile-Server-Cache-Timeout-Days", CONF_INT, W | LATER, "7", ""),
    KEY("Library-Repository", CONF_TEXT, W | LATER, NULL, ""),
    KEY("Library-Commit", CONF_TEXT, W | LATER, NULL, ""),
    KEY("Disable-Library-Repository", CONF_BOOL, W | LATER, "false", ""),
    KEY("Gravwell-Kit-Server", CONF_TEXT, W | LATER, NULL, ""),
    KEY("Kit-Verification-Key", CONF_PATH, W | LATER, NULL, ""),
    KEY("Disable-User-Ingester-Config-Reporting", CONF_BOOL, W | LATER, "false", ""),
    KEY("Disable-Ingester-Config-Reporting", CONF_BOOL, I | LATER, "false", ""),
};

/* Rows that both kinds of wells have. */
#define WELL_KEYS                                                                                  \
    LIST("Tags", CONF_TEXT, I, NULL, "tag names or globs: `*` `?` `[a-z]` `{one,two}`"),           \
        KEY("Storage", CONF_TEXT, I, "disk",                                                       \
            "`disk`, or `memory`: no Location, bounded by Max-Memory-MB and Hot-Duration, and a "  \
            "restart leaves it what the datalog and neighbours have"),                             \
        KEY_RANGE("Max-Memory-MB", I, "256", 1, 1 << 24,                                           \
                  "size of a well with `Storage=memory`; the oldest entries make room"),           \
        KEY("Cold-Location", CONF_PATH, I | LATER, NULL,                                           \
            "cold directory; nothing is moved there yet, and nothing of the well deleted"),        \
        KEY("Hot-Duration", CONF_AGE, I, NULL, "age limit in the hot directory"),                  \
        KEY("Cold-Duration", CONF_AGE, I | LATER, NULL,                                            \
            "age limit in the cold directory, from the entry's time"),                             \
        KEY("Max-Hot-Storage-GB", CONF_INT, I, NULL, "size limit, hot"),                           \
        KEY("Max-Cold-Storage-GB", CONF_INT, I | LATER, NULL, "size limit, cold"),                 \
        KEY_RANGE("Hot-Storage-Reserve", I, NULL, 0, 100, "per cent to keep free, hot"),           \
        KEY_RANGE("Cold-Storage-Reserve", I | LATER, NULL, 0, 100, "per cent to keep free, cold"), \
        KEY("Delete-Cold-Data", CONF_BOOL, I, "false", "allow deletion out of hot"),               \
        KEY("Delete-Frozen-Data", CONF_BOOL, I | LATER, "false", "allow deletion out of cold"),    \
        KEY("Archive-Deleted-Shards", CONF_BOOL, I, "false", "archive before deleting"),           \
        KEY("Required-Retention", CONF_AGE, I, NULL, "never delete younger data"),                 \
        KEY("Ageout-Time-Override", CONF_TIME_OF_DAY, I | LATER, NULL,                             \
            "Ageout-Time of this well"),                                                           \
        KEY("Disable-Compression", CONF_BOOL, I | LATER, "false", ""),                             \
        KEY("Disable-Hot-Compression", CONF_BOOL, I | LATER, "false", ""),                         \
        KEY("Disable-Cold-Compression", CONF_BOOL, I | LATER, "false", ""),                        \
        KEY("Enable-Transparent-Compression", CONF_BOOL, I | LATER, "false", ""),                  \
        KEY("Enable-Hot-Transparent-Compression", CONF_BOOL, I | LATER, "false", ""),              \
        KEY("Enable-Cold-Transparent-Compression", CONF_BOOL, I | LATER, "false", ""),             \
        KEY("Accelerator-Name", CONF_TEXT, I | LATER, NULL, ""),                                   \
        KEY("Accelerator-Args", CONF_TEXT, I | LATER, NULL, ""),                                   \
        KEY("Accelerator-Engine-Override", CONF_TEXT, I | LATER, "index", "`index` or `bloom`"),   \
        KEY("Collision-Rate", CONF_FLOAT, I | LATER, "0.001", "accuracy of bloom filters"),        \
        KEY("Disable-Replication", CONF_BOOL, I | LATER, "false", ""),                             \
        KEY("Enable-Quarantine-Corrupted-Shards", CONF_BOOL, I | LATER, "false", ""),              \
        LIST("Ditto-Target", CONF_TEXT, I | LATER, NULL, "mirrors of this well")

static const struct conf_key default_well_keys[] = {
    KEY("Location", CONF_PATH, I, "{data}/storage/default", "directory of the well"),
    WELL_KEYS,
};

static const struct conf_key storage_well_keys[] = {
    KEY("Location", CONF_PATH, I, NULL, "directory of the well, required; no two wells share one"),
    WELL_KEYS,
};

static const struct conf_key tag_accelerator_keys[] = {
    LIST("Tags", CONF_TEXT, I | LATER, NULL, ""),
    KEY("Accelerator-Name", CONF_TEXT, I | LATER, NULL, ""),
    KEY("Accelerator-Args", CONF_TEXT, I | LATER, NULL, ""),
    KEY("Accelerator-Engine-Override", CONF_TEXT, I | LATER, "index", "`index` or `bloom`"),
    KEY("Collision-Rate", CONF_FLOAT, I | LATER, "0.001", ""),
};

static const struct conf_key datalog_keys[] = {
    KEY("Directory", CONF_PATH, I, "{data}/datalog", "where the log's segment files are"),
    KEY("Segment-MB", CONF_INT, I, "64",
        "a file of the log takes no more records at this size, 1 to 1024, nor at a sixteenth of "
        "Max-Datalog-GB; it is removed as a whole"),
    KEY("Max-Datalog-GB", CONF_FLOAT, I, "10",
        "what the log may take of the disk, 0.001 or more: a follower that holds back more is "
        "detached, and needs a snapshot to go on"),
    KEY("Quarantine-Directory", CONF_PATH, I, "{data}/quarantine",
        "what could not be applied or was refused elsewhere, until somebody looks at it"),
    KEY("Listen", CONF_ADDRESS, I, NULL,
        "`host:port`, port 9406 unless given, where other indexers' forwarders arrive; unset: none "
        "do"),
    KEY("Secret", CONF_TEXT, I, NULL, "what they must know; unset: Control-Auth"),
    KEY("Disable-TLS", CONF_BOOL, I, "false", "they arrive without TLS"),
};

static const struct conf_key datalog_forwarder_keys[] = {
    KEY("Target", CONF_TEXT, I, NULL,
        "where to forward to: `host:port` is an indexer, port 9406 unless given; "
        "`http://host:port` or `https://host:port` is a Warp 10 2.x; "
        "`kafka://host:port[,host:port]/topic` is a topic of Kafka"),
    LIST("Ignore-ID", CONF_TEXT, I, NULL, "ids of origins whose records are not forwarded"),
    KEY("Compress", CONF_BOOL, I, "true", "pack what is sent"),
    KEY("Secret", CONF_TEXT, I, NULL,
        "what the target knows too; unset, of an indexer: Control-Auth; of a Warp 10 its "
        "`datalog.psk`: hex:… or base64:…"),
    KEY("Disable-TLS", CONF_BOOL, I, "false", "indexer: without TLS"),
    KEY_RANGE("Rate-Limit-MB", I, "0", 0, 1 << 20,
              "indexer: megabytes of records per second; 0: no limit"),
    LIST("Wells", CONF_TEXT, I, NULL, "indexer: only entries and points of these wells"),
    KEY("Selector", CONF_TEXT, I, NULL,
        "indexer: only series that it means, `class{label=value,label~regex}`; entries are of the "
        "series whose class is their tag, without labels"),
    KEY("Shard", CONF_TEXT, I, NULL,
        "indexer: `MOD:REM`: only series of which the key's hash divided by MOD leaves REM"),
    LIST("Token", CONF_TEXT, I, NULL,
         "Warp 10: a token to write with; `APPLICATION=TOKEN` is for the series of that `.app`"),
    KEY("Time-Unit", CONF_TEXT, I, "us", "Warp 10: its `warp.timeunits`: ms, us or ns"),
    KEY("Insecure-Skip-TLS-Verify", CONF_BOOL, I, "false", "accept any certificate"),
    LIST("Kafka-Property", CONF_TEXT, I, NULL, "Kafka: `name=value`, a property of librdkafka"),
    LIST("Relay-ID", CONF_TEXT, I, NULL,
         "Kafka: ids of other indexers whose records are written too, as they have no way to it"),
};

static const struct conf_key datalog_source_keys[] = {
    KEY("Source", CONF_TEXT, I, NULL,
        "where to take records from: `kafka://host:port[,host:port]/topic` is a topic of Kafka "
        "that forwarders of other indexers write to; `warp10://host:port` is the feeder of a Warp "
        "10 3.x, port 3564 unless given"),
    LIST("Kafka-Property", CONF_TEXT, I, NULL, "Kafka: `name=value`, a property of librdkafka"),
    KEY("ID", CONF_TEXT, I, NULL, "Warp 10: our `datalog.consumer.id`; unset: Indexer-UUID"),
    KEY("Private-Key", CONF_TEXT, I, NULL, "Warp 10: our key, `CURVE:DECIMAL` or `CURVE:0xHEX`"),
    KEY("Feeder-Key", CONF_TEXT, I, NULL, "Warp 10: the feeder's public key, `CURVE:HEX`"),
    LIST("Exclude-ID", CONF_TEXT, I, NULL, "Warp 10: ids whose records are not taken"),
    LIST("Shard", CONF_TEXT, I, NULL, "Warp 10: `MODULUS:REMAINDER`: only series of these shards"),
    KEY_RANGE("Shard-Shift", I, "48", 0, 63, "Warp 10: bits by which ids are shifted for that"),
    KEY("Feeder-Shards", CONF_BOOL, I, "false",
        "Warp 10: the feeder leaves out other shards; a real one of up to 3.5.0 breaks off"),
    KEY("Start", CONF_TEXT, I, "all",
        "Warp 10: the first time: `all` that the feeder has, what comes from `now` on, or from a "
        "time in milliseconds since 1970 on"),
    KEY("Time-Unit", CONF_TEXT, I, "us", "Warp 10: its `warp.timeunits`: ms, us or ns"),
    KEY("Keep-Alive", CONF_DURATION, I, "30s",
        "Warp 10: we say something at least so often; 0: never, for feeders before 3.5.0"),
    KEY("Timeout", CONF_DURATION, I, "5m",
        "Warp 10: a feeder that says nothing for so long is gone"),
};

static const struct conf_key warp10_feeder_keys[] = {
    KEY("Listen", CONF_ADDRESS, I, NULL,
        "`host:port`, port 3564 unless given, where consumers of Warp 10 3.x arrive; unset: none "
        "do"),
    KEY("ID", CONF_TEXT, I, NULL, "our `datalog.feeder.id`; unset: Indexer-UUID"),
    KEY("Private-Key", CONF_TEXT, I, NULL, "our key, `CURVE:DECIMAL` or `CURVE:0xHEX`"),
    LIST("Consumer", CONF_TEXT, I, NULL,
         "`ID=CURVE:HEX`: a consumer that may come, and its public key"),
    KEY("Encrypt", CONF_BOOL, I, "true", "messages are sealed"),
    KEY("Keep-Alive", CONF_DURATION, I, "30s",
        "an idle connection says something so often; 0: never, for consumers before 3.5.0"),
    KEY("Timeout", CONF_DURATION, I, "5m",
        "a consumer that says nothing for so long, while something is under way, is gone"),
};

static const struct conf_key warp10_keys[] = {
    LIST("Token-File", CONF_PATH, I, "{config}/warp10.tokens",
         "files of tokens, as `aquifer token` writes them; read again when they change"),
    KEY("Read-Token", CONF_TEXT, I, NULL, "a token that reads what Write-Token wrote"),
    KEY("Write-Token", CONF_TEXT, I, NULL, "a token that writes"),
    KEY("Application", CONF_TEXT, I, NULL, "application of these two"),
    KEY("Token-AES-Key", CONF_TEXT, I, NULL,
        "`warp.aes.token` of a Warp 10 whose tokens are to be understood: hex:… or base64:…"),
    KEY("Token-Hash-Key", CONF_TEXT, I, NULL, "`warp.hash.token` of it"),
    KEY("Token-Header", CONF_TEXT, I, "X-Warp10-Token", "header of requests that has the token"),
    KEY("CORS-Headers", CONF_TEXT, I, NULL,
        "more headers that scripts in browsers may send, separated by commas"),
    KEY("Port", CONF_PORT, I, "0",
        "port of a listener of its own; 0: none. The API is on Control-Port in any case"),
    KEY("Listen-Address", CONF_ADDRESS, I, NULL, "address of this listener; empty: all"),
    KEY("Disable-TLS", CONF_BOOL, I, "false", "plain HTTP on Port"),
    KEY("Time-Unit", CONF_TEXT, I, "us", "unit of timestamps on the wire: ms, us or ns"),
    KEY_RANGE("Max-Updates", I, "32", 1, 1000, "requests that may write at a time; more get 503"),
    KEY_RANGE("Max-Fetches", I, "64", 1, 1000,
              "fetches and finds at a time, also of clients that read slowly; more get 503"),
    KEY_RANGE("Max-Line-MB", I, "32", 1, 1024, "longest line of an update"),
    KEY_RANGE("Max-Value-Bytes", I, "65536", 1, 16777216,
              "longest text (characters) or binary value"),
    KEY_RANGE("Max-Class-Bytes", I, "1024", 1, 16384, "longest class"),
    KEY_RANGE("Max-Labels-Bytes", I, "2048", 1, 32768, "names and values of labels together"),
    KEY_RANGE("Max-Attributes-Bytes", I, "8192", 1, 32768,
              "names and values of attributes together"),
    KEY("Max-Past", CONF_DURATION, I, NULL, "older points are refused"),
    KEY("Max-Future", CONF_DURATION, I, NULL, "points further ahead are refused"),
    KEY("Ignore-Out-Of-Range", CONF_BOOL, I, "false", "drop such points instead of refusing them"),
    KEY("Parse-Attributes", CONF_BOOL, I, "false", "attributes in lines of updates have effect"),
    KEY("Allow-Delta-Attributes", CONF_BOOL, I, "false",
        "`X-Warp10-Attributes: delta` amends attributes"),
    KEY("Allow-Metadata-Deletes", CONF_BOOL, I, "false",
        "`metaonly` deletes series and leaves their points"),
    KEY("Allow-Activity-Deletes", CONF_BOOL, I, "false",
        "deletes may be bound to `activeafter` and `quietafter`"),
    KEY("Disable-Update", CONF_BOOL, I, "false", "updates of clients get 403"),
    KEY("Disable-Meta", CONF_BOOL, I, "false", "changes of attributes by clients get 403"),
    KEY("Disable-Delete", CONF_BOOL, I, "false", "deletes by clients get 403"),
    KEY("Expose-Owner", CONF_BOOL, I, "false", "show the labels .owner and .producer"),
    KEY("Datalog-Header", CONF_TEXT, I, "X-Warp10-Datalog",
        "header of requests that Warp 10 2.x forwards"),
    KEY("Datalog-PSK", CONF_TEXT, I, NULL,
        "`datalog.psk` of these: hex:… or base64:…, 16, 24 or 32 bytes"),
    KEY("Request-Directory", CONF_PATH, I, NULL,
        "write each request that came from a client as a file of Warp 10 2.x; here while it is "
        "being written"),
    LIST("Request-Link-Directory", CONF_PATH, I, NULL,
         "directories of forwarders: each gets a hard link to every such file"),
    KEY("Request-ID", CONF_TEXT, I, NULL, "the `datalog.id` in these files; empty: Indexer-UUID"),
    KEY("Class-Hash-Key", CONF_TEXT, I, NULL, "`warp.hash.class` and"),
    KEY("Labels-Hash-Key", CONF_TEXT, I, NULL,
        "`warp.hash.labels`: with both, lines have shard keys"),
};

static const struct conf_key replication_keys[] = {
    LIST_ENV("Peer", CONF_ADDRESS, I | LATER, NULL, "GRAVWELL_REPLICATION_PEERS",
             "`host:port` of peers, port 9406 unless given"),
    KEY("Listen-Address", CONF_ADDRESS, I | LATER, ":9406", ""),
    KEY("Storage-Location", CONF_PATH, I | LATER, NULL, ""),
    KEY("Database-Path", CONF_PATH, I | LATER, NULL, "`replication.db` in Storage-Location"),
    KEY("Max-Replicated-Data-GB", CONF_INT, I | LATER, NULL, ""),
    KEY_RANGE("Storage-Reserve", I | LATER, "0", 0, 100, ""),
    KEY("Delete-Delay", CONF_AGE, I | LATER, NULL, ""),
    KEY("Replication-Secret-Override", CONF_TEXT, I | LATER, NULL, "instead of Control-Auth"),
    KEY("Disable-TLS", CONF_BOOL, I | LATER, "false", ""),
    KEY("Key-File", CONF_PATH, I | LATER, NULL, "that of [Global]"),
    KEY("Certificate-File", CONF_PATH, I | LATER, NULL, "that of [Global]"),
    KEY("Insecure-Skip-TLS-Verify", CONF_BOOL, I | LATER, "false", ""),
    KEY("Connect-Wait-Timeout", CONF_INT, I | LATER, "30", "seconds; 0: for ever"),
    KEY("Disable-Server", CONF_BOOL, I | LATER, "false", ""),
    KEY("Disable-Compression", CONF_BOOL, I | LATER, "false", ""),
    KEY("Enable-Transparent-Compression", CONF_BOOL, I | LATER, "false", ""),
    KEY("Enable-Transport-Compression", CONF_BOOL, I | LATER, "false", ""),
};

static const struct conf_key password_keys[] = {
    KEY("Min-Length", CONF_INT, W | LATER, "0", ""),
    KEY("Require-Uppercase", CONF_BOOL, W | LATER, "false", ""),
    KEY("Require-Lowercase", CONF_BOOL, W | LATER, "false", ""),
    KEY("Require-Number", CONF_BOOL, W | LATER, "false", ""),
    KEY("Require-Special", CONF_BOOL, W | LATER, "false", "neither letter nor digit"),
};

static const struct conf_key sso_keys[] = {
    KEY("Gravwell-Server-URL", CONF_TEXT, W | LATER, NULL, ""),
    KEY("Provider-Metadata-URL", CONF_TEXT, W | LATER, NULL, ""),
    KEY("Insecure-Skip-TLS-Verify", CONF_BOOL, W | LATER, "false", ""),
    KEY("Username-Attribute", CONF_TEXT, W | LATER, NULL, ""),
    KEY("Common-Name-Attribute", CONF_TEXT, W | LATER, NULL, ""),
    KEY("Given-Name-Attribute", CONF_TEXT, W | LATER, NULL, ""),
    KEY("Surname-Attribute", CONF_TEXT, W | LATER, NULL, ""),
    KEY("Email-Attribute", CONF_TEXT, W | LATER, NULL, ""),
    KEY("Groups-Attribute", CONF_TEXT, W | LATER, NULL, ""),
    LIST("Group-Mapping", CONF_TEXT, W | LATER, NULL, "`provider name:local name`"),
};

static const struct conf_key cloud_archive_keys[] = {
    KEY("Archive-Server", CONF_ADDRESS, I | LATER, NULL, "port 443 unless given"),
    KEY("Archive-Shared-Secret", CONF_TEXT, I | LATER, NULL, ""),
    KEY("Insecure-Skip-TLS-Verify", CONF_BOOL, I | LATER, "false", ""),
};

/* A mirror is configured as an ingester is. */
static const struct conf_key ditto_keys[] = {
    KEY("Ingest-Secret", CONF_TEXT, I | LATER, NULL, ""),
    KEY("Ingest-Secret-File", CONF_PATH, I | LATER, NULL, ""),
    LIST("Cleartext-Backend-Target", CONF_ADDRESS, I | LATER, NULL, ""),
    LIST("Encrypted-Backend-Target", CONF_ADDRESS, I | LATER, NULL, ""),
    LIST("Pipe-Backend-Target", CONF_PATH, I | LATER, NULL, ""),
    KEY("Connection-Timeout", CONF_DURATION, I | LATER, "0", ""),
    KEY("Insecure-Skip-TLS-Verify", CONF_BOOL, I | LATER, "false", ""),
    KEY("Verify-Remote-Certificates", CONF_BOOL, I | LATER, "false", ""),
    KEY("Enable-Compression", CONF_BOOL, I | LATER, "false", ""),
    KEY("Rate-Limit", CONF_TEXT, I | LATER, NULL, ""),
    KEY("Ingest-Cache-Path", CONF_PATH, I | LATER, NULL, ""),
    KEY("Max-Ingest-Cache", CONF_INT, I | LATER, NULL, ""),
    KEY("Cache-Depth", CONF_INT, I | LATER, "128", ""),
    KEY("Cache-Mode", CONF_TEXT, I | LATER, "always", "`always` or `fail`"),
    KEY("Log-Level", CONF_LEVEL, I | LATER, "ERROR", ""),
    KEY("Log-File", CONF_PATH, I | LATER, NULL, ""),
    KEY("Log-UDP-Target", CONF_ADDRESS, I | LATER, NULL, ""),
    KEY("Source-Override", CONF_TEXT, I | LATER, NULL, ""),
    KEY("Log-Source-Override", CONF_TEXT, I | LATER, NULL, ""),
    KEY("Ingester-UUID", CONF_UUID, I | LATER, NULL, ""),
    KEY("Ingester-Name", CONF_TEXT, I | LATER, NULL, ""),
    KEY("Label", CONF_TEXT, I | LATER, NULL, ""),
    KEY("Disable-Self-Ingest", CONF_BOOL, I | LATER, "false", ""),
    KEY("Max-Entry-Size", CONF_INT, I | LATER, NULL, ""),
    KEY("Stats-Sample-Interval", CONF_DURATION, I | LATER, NULL, ""),
    KEY("Timestamp-Max-Past-Delta", CONF_DURATION, I | LATER, NULL, ""),
    KEY("Timestamp-Max-Future-Delta", CONF_DURATION, I | LATER, NULL, ""),
    KEY("Start-Time", CONF_TEXT, I | LATER, NULL, ""),
    KEY("Unresolvable-Tag-Destination", CONF_TEXT, I | LATER, NULL, ""),
};

#define SECTION(name, kind, keys, help)                                                            \
    {                                                                                              \
        name, kind, help, keys, ARRAY_COUNT(keys)                                                  \
    }

static const struct conf_section sections[] = {
    SECTION("Global", CONF_ONE, global_keys, "What does not belong to one well or link."),
    SECTION("Default-Well", CONF_ONE, default_well_keys,
            "Keeps every tag that no other well claims."),
    SECTION("Storage-Well", CONF_NAMED, storage_well_keys,
            "A directory with the tags that it claims. An exact name beats a glob; a name that two "
            "wells claim exactly is an error."),
    SECTION("Datalog", CONF_ONE, datalog_keys,
            "The indexer's write-ahead log, from which it recovers (ours)."),
    SECTION("Datalog-Forwarder", CONF_NAMED, datalog_forwarder_keys,
            "A link over which the datalog goes to another node (ours)."),
    SECTION("Datalog-Source", CONF_NAMED, datalog_source_keys,
            "Where this node takes records from that others wrote (ours)."),
    SECTION("Warp10-Feeder", CONF_ONE, warp10_feeder_keys,
            "What consumers of a Warp 10 3.x fetch here (ours)."),
    SECTION("Warp10", CONF_ONE, warp10_keys, "The Warp 10 API: points over HTTP (ours)."),
    SECTION("Tag-Accelerator", CONF_NAMED, tag_accelerator_keys, "Acceleration by tag."),
    SECTION("Replication", CONF_ONE, replication_keys, "Copies of an indexer's data."),
    SECTION("Password-Control", CONF_ONE, password_keys, "What a new password must have."),
    SECTION("SSO", CONF_ONE, sso_keys, "Single sign-on by SAML."),
    SECTION("Cloud-Archive", CONF_ONE, cloud_archive_keys, "Where deleted data is archived."),
    SECTION("Ditto-Target", CONF_NAMED, ditto_keys, "Mirrors of wells."),
    {"AI", CONF_IGNORED, "", NULL, 0},
    {"MCP-Client", CONF_IGNORED, "", NULL, 0},
    {"Shared-Mail-Config", CONF_IGNORED, "", NULL, 0},
};

static const struct conf_alias aliases[] = {
    {NULL, "Password-Controls", "Password-Control"},
    {"Password-Control", "MinLength", "Min-Length"},
    {"Default-Well", "Max-Hot-Data-GB", "Max-Hot-Storage-GB"},
    {"Default-Well", "Max-Cold-Data-GB", "Max-Cold-Storage-GB"},
    {"Storage-Well", "Max-Hot-Data-GB", "Max-Hot-Storage-GB"},
    {"Storage-Well", "Max-Cold-Data-GB", "Max-Cold-Storage-GB"},
};

const struct conf_schema *conf_schema_aquifer(void)
{
    static const struct conf_schema schema = {
        .title = "aquifer.conf",
        .help = "Read by `aquifer-datastore`, `aquifer-webserver` and `aquifer-indexer`, which may "
                "share one file: each passes over the keys of the others.",
        .sections = sections,
        .section_count = ARRAY_COUNT(sections),
        .aliases = aliases,
        .alias_count = ARRAY_COUNT(aliases),
    };
    return &schema;
}
