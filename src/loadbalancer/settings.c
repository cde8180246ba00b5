#include "loadbalancer/settings.h"

#include "service/proxies.h"

#define HTTP_PORT 80
#define HTTPS_PORT 443

static bool flag(const struct conf *conf, const char *key)
{
    return conf_bool(conf, CONF_GLOBAL, key);
}

static void read_front(const struct conf *conf, struct settings *settings)
{
    settings->https = !flag(conf, "Insecure-Disable-HTTPS");
    settings->address = conf_text(conf, CONF_GLOBAL, "Bind-Addr");
    settings->port = conf_is_set(conf, CONF_GLOBAL, "Web-Port")
                         ? conf_port(conf, CONF_GLOBAL, "Web-Port")
                         : (settings->https ? HTTPS_PORT : HTTP_PORT);
    settings->redirector = settings->https && !flag(conf, "Disable-HTTP-Redirector");
    settings->redirector_port = conf_port(conf, CONF_GLOBAL, "HTTP-Redirector-Port");
    settings->key_path = conf_text(conf, CONF_GLOBAL, "Key-File");
    settings->certificate_path = conf_text(conf, CONF_GLOBAL, "Certificate-File");
    for (size_t i = 0; i < conf_list_count(conf, CONF_GLOBAL, "Trusted-Proxy"); i++) {
        vec_push(&settings->trusted, conf_list(conf, CONF_GLOBAL, "Trusted-Proxy", i));
    }
    settings->accept_proxy = flag(conf, "Accept-Proxy-Protocol");
    settings->send_proxy = flag(conf, "Send-Proxy-Protocol");
    settings->forwarded = flag(conf, "Forwarded-Header");
}

static void read_back(const struct conf *conf, struct settings *settings)
{
    settings->webserver_tls = !flag(conf, "Insecure-Disable-Client-HTTPS");
    settings->webserver_verify = !flag(conf, "Insecure-Skip-TLS-Verify");
    settings->webserver_port = settings->webserver_tls ? HTTPS_PORT : HTTP_PORT;
    settings->use_datastore =
        !flag(conf, "Disable-Datastore") && conf_list_count(conf, CONF_GLOBAL, "Datastore") > 0;
    for (size_t i = 0; i < conf_subsection_count(conf, "Overrides"); i++) {
        const char *name = conf_subsection(conf, "Overrides", i);
        bool tls = !conf_bool(conf, "Overrides", name, "Insecure-Disable-HTTPS");
        vec_push(&settings->overrides,
                 (struct settings_override){
                     .name = name,
                     .webserver = conf_text(conf, "Overrides", name, "Webserver"),
                     .default_port = tls ? HTTPS_PORT : HTTP_PORT,
                     .tls = tls,
                     .verify = !conf_bool(conf, "Overrides", name, "Insecure-Skip-TLS-Verify"),
                 });
    }
}

static void read_rest(const struct conf *conf, struct settings *settings)
{
    settings->control_secret = conf_text(conf, CONF_GLOBAL, "Control-Secret");
    settings->update_interval_ms = conf_int(conf, CONF_GLOBAL, "Update-Interval") * 1000;
    settings->session_timeout_minutes = conf_int(conf, CONF_GLOBAL, "Session-Timeout");
    settings->check_interval_ms = conf_int(conf, CONF_GLOBAL, "Health-Check-Interval-Ms");
    settings->drain_ms = conf_int(conf, CONF_GLOBAL, "Drain-Timeout") * 1000;
    settings->slots = (size_t)conf_int(conf, CONF_GLOBAL, "Webserver-Slots");
    settings->access_log = flag(conf, "Enable-Access-Log");
    settings->log_dir = conf_text(conf, CONF_GLOBAL, "Log-Dir");
    settings->run_dir = conf_text(conf, CONF_GLOBAL, "Run-Directory");
    settings->haproxy_path = conf_text(conf, CONF_GLOBAL, "HAProxy-Path");
}

static int check_certificate(const struct conf *conf, const struct settings *settings)
{
    const char *missing = settings->key_path[0] == 0           ? "Key-File"
                          : settings->certificate_path[0] == 0 ? "Certificate-File"
                                                               : NULL;
    if (!settings->https || missing == NULL) {
        return 0;
    }
    return err_set(ERR_INVALID,
                   "%s: HTTPS needs %s in [Global], or Insecure-Disable-HTTPS=true for plain HTTP",
                   conf_where(conf, CONF_GLOBAL, missing), missing);
}

static int check_sources(const struct conf *conf, const struct settings *settings)
{
    for (size_t i = 0; i < settings->overrides.count; i++) {
        const struct settings_override *override = &settings->overrides.items[i];
        if (override->webserver[0] == 0) {
            return err_set(ERR_INVALID, "%s: [Overrides \"%s\"] needs a Webserver",
                           conf_where(conf, "Overrides", override->name, "Webserver"),
                           override->name);
        }
    }
    if (settings->use_datastore || settings->overrides.count > 0) {
        return 0;
    }
    bool disabled = flag(conf, "Disable-Datastore");
    return err_set(ERR_INVALID, "%s: %s",
                   conf_where(conf, CONF_GLOBAL, disabled ? "Disable-Datastore" : "Datastore"),
                   disabled ? "Disable-Datastore without [Overrides] leaves no webserver to use"
                            : "neither a Datastore in [Global] nor [Overrides] name a webserver");
}

int settings_read(const struct conf *conf, struct settings *ret_settings)
{
    struct settings settings = {0};
    read_front(conf, &settings);
    read_back(conf, &settings);
    read_rest(conf, &settings);
    int rc = check_certificate(conf, &settings);
    rc = rc == 0 ? check_sources(conf, &settings) : rc;
    rc = rc == 0 ? service_check_proxies(conf) : rc;
    if (rc < 0) {
        settings_deinit(&settings);
        return rc;
    }
    *ret_settings = settings;
    return 0;
}

void settings_deinit(struct settings *settings)
{
    vec_deinit(&settings->overrides);
    vec_deinit(&settings->trusted);
}

int settings_check(const struct conf *conf)
{
    struct settings settings;
    int rc = settings_read(conf, &settings);
    if (rc == 0) {
        settings_deinit(&settings);
    }
    return rc;
}
