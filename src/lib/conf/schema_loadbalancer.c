/* loadbalancer.conf: the reference system's keys, and our own. Rows as in schema_aquifer.c. */
#include "conf/schema.h"

#include "base/check.h"
#include "conf/conf.h"

#define L CONF_LOADBALANCER

#define KEY(name, type, def, help)                                                                 \
    {                                                                                              \
        name, type, L, def, help, .list = false                                                    \
    }
#define KEY_ENV(name, type, def, variables, help)                                                  \
    {                                                                                              \
        name, type, L, def, help, .environment = variables                                         \
    }
#define LIST_ENV(name, type, def, variables, help)                                                 \
    {                                                                                              \
        name, type, L, def, help, .list = true, .environment = variables                           \
    }
#define KEY_RANGE(name, def, least, most, help)                                                    \
    {                                                                                              \
        name, CONF_INT, L, def, help, .min = least, .max = most                                    \
    }

static const struct conf_key global_keys[] = {
    KEY_ENV("Disable-HTTP-Redirector", CONF_BOOL, "false", "GRAVWELL_DISABLE_HTTP_REDIRECTOR",
            "with HTTPS, do not redirect plain HTTP"),
    KEY_ENV("Insecure-Disable-HTTPS", CONF_BOOL, "false", "GRAVWELL_INSECURE_DISABLE_HTTPS",
            "users come by plain HTTP; otherwise Key-File and Certificate-File are required"),
    KEY_ENV("Web-Port", CONF_PORT, NULL, "GRAVWELL_WEB_PORT",
            "port for users: 443, or 80 when HTTPS is disabled"),
    KEY("HTTP-Redirector-Port", CONF_PORT, "80", "port of the redirector (ours)"),
    KEY_ENV("Bind-Addr", CONF_ADDRESS, "0.0.0.0", "GRAVWELL_BIND_ADDR", "address for users"),
    KEY("Key-File", CONF_PATH, NULL, "private key for users' HTTPS, PEM"),
    KEY("Certificate-File", CONF_PATH, NULL, "certificate chain for users' HTTPS, PEM"),
    KEY_ENV("Insecure-Disable-Client-HTTPS", CONF_BOOL, "false",
            "GRAVWELL_INSECURE_DISABLE_CLIENT_HTTPS", "plain HTTP to the webservers"),
    KEY_ENV("Insecure-Skip-TLS-Verify", CONF_BOOL, "false", "GRAVWELL_INSECURE_SKIP_TLS_VERIFY",
            "accept any certificate of a webserver"),
    KEY_RANGE("Update-Interval", "30", 1, 3600,
              "seconds between two looks at the whole list; changes are also pushed"),
    KEY_RANGE("Session-Timeout", "10", 1, 525600,
              "minutes without a request after which a user may be moved to another webserver"),
    LIST_ENV("Datastore", CONF_ADDRESS, NULL, "GRAVWELL_DATASTORE",
             "the datastores, port 9405 unless given, tried in order"),
    KEY_ENV("Control-Secret", CONF_TEXT, "ControlSecrets", "GRAVWELL_CONTROL_SECRET",
            "the cluster's Control-Auth"),
    KEY("Disable-Datastore", CONF_BOOL, "false", "use the `[Overrides]` only"),
    KEY_ENV("Datastore-Insecure-Disable-TLS", CONF_BOOL, "false",
            "GRAVWELL_DATASTORE_INSECURE_DISABLE_TLS", "plain HTTP to the datastore"),
    KEY_ENV("Datastore-Insecure-Skip-TLS-Verify", CONF_BOOL, "false",
            "GRAVWELL_DATASTORE_INSECURE_SKIP_TLS_VERIFY",
            "accept any certificate of the datastore"),
    KEY_ENV("Log-Dir", CONF_PATH, "{data}/log/loadbalancer", "GRAVWELL_LOG_DIR",
            "the access log is written there"),
    KEY_ENV("Log-Level", CONF_LEVEL, "error", "GRAVWELL_LOG_LEVEL", "least level that is logged"),
    KEY_ENV("Enable-Access-Log", CONF_BOOL, "false",
            "GRAVWELL_LOG_ENABLED_ACCESS_LOG GRAVWELL_LOG_ENABLE_ACCESS_LOG",
            "log each URL and status"),

    /* Ours */
    KEY("Data-Directory", CONF_PATH, "/var/lib/aquifer",
        "where other paths' defaults begin (ours)"),
    KEY("Run-Directory", CONF_PATH, "/run/aquifer-loadbalancer",
        "HAProxy's configuration and sockets (ours)"),
    KEY("HAProxy-Path", CONF_PATH, "/usr/sbin/haproxy", "the HAProxy to run, 2.6 or newer (ours)"),
    KEY_RANGE("Webserver-Slots", "64", 1, 4096,
              "so many webservers can be served at a time (ours)"),
    KEY_RANGE("Health-Check-Interval-Ms", "500", 50, 60000,
              "milliseconds between two looks at a webserver's `/readyz` (ours)"),
    {"Trusted-Proxy", CONF_TEXT, L, NULL,
     "address or network (10.0.0.0/8) of a proxy in front of this one: its X-Forwarded-For and "
     "X-Forwarded-Proto are passed on, those of others are not (ours)", .list = true},
    KEY("Accept-Proxy-Protocol", CONF_BOOL, "false",
        "connections of a Trusted-Proxy begin with a PROXY header, version 1 or 2 (ours)"),
    KEY("Send-Proxy-Protocol", CONF_BOOL, "false",
        "begin connections to webservers with a PROXY header, version 2; they need "
        "Accept-Proxy-Protocol (ours)"),
    KEY("Forwarded-Header", CONF_BOOL, "false",
        "send the standard's Forwarded (RFC 7239) besides X-Forwarded-For and -Proto (ours)"),
    KEY("Admin-Listen-Address", CONF_ADDRESS, "127.0.0.1",
        "address of `/healthz`, `/readyz` and `/metrics` (ours)"),
    KEY("Admin-Port", CONF_PORT, "9407", "their port; 0 takes any free one (ours)"),
    KEY_RANGE("Drain-Timeout", "30", 0, 3600,
              "seconds that open requests get after SIGTERM (ours)"),
    KEY_ENV("Ingest-Auth", CONF_TEXT, "IngestSecrets", "GRAVWELL_INGEST_AUTH",
            "secret for the self-log (ours)"),
    KEY("Self-Log-Tag", CONF_TEXT, "gravwell", "the tag of our own log (ours)"),
    {"Self-Log-Target", CONF_ADDRESS, L, NULL,
     "`host:port` of the indexers that take our own log (ours)", .list = true},
    KEY("Disable-Self-Ingest", CONF_BOOL, "false", "do not ingest our own log (ours)"),
};

static const struct conf_key override_keys[] = {
    KEY("Webserver", CONF_ADDRESS, NULL,
        "a webserver, required; port 443, or 80 with Insecure-Disable-HTTPS, unless given"),
    KEY("Insecure-Disable-HTTPS", CONF_BOOL, "false", "plain HTTP to this one"),
    KEY("Insecure-Skip-TLS-Verify", CONF_BOOL, "false", "accept any certificate of this one"),
};

static const struct conf_section sections[] = {
    {"Global", CONF_ONE, "The load balancer's settings.", global_keys, ARRAY_COUNT(global_keys)},
    {"Overrides", CONF_NAMED,
     "A webserver by hand, besides those that the datastore reports or, with Disable-Datastore, "
     "instead of them.",
     override_keys, ARRAY_COUNT(override_keys)},
};

static const struct conf_alias aliases[] = {
    {NULL, "Override", "Overrides"},
};

const struct conf_schema *conf_schema_loadbalancer(void)
{
    static const struct conf_schema schema = {
        .title = "loadbalancer.conf",
        .help = "Read by `aquifer-loadbalancer`.",
        .sections = sections,
        .section_count = ARRAY_COUNT(sections),
        .aliases = aliases,
        .alias_count = ARRAY_COUNT(aliases),
    };
    return &schema;
}
