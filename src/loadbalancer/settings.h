/*
 * What loadbalancer.conf says, checked and put together. Strings borrow from the conf.
 */
#ifndef LOADBALANCER_SETTINGS_H
#define LOADBALANCER_SETTINGS_H

#include "base/vec.h"
#include "conf/conf.h"

/* One [Overrides "name"]. */
struct settings_override {
    const char *name;
    const char *webserver; /* host[:port] */
    uint16_t default_port;
    bool tls;
    bool verify;
};

struct settings {
    bool https;
    const char *address;
    uint16_t port;
    bool redirector;
    uint16_t redirector_port;
    const char *key_path;
    const char *certificate_path;
    VEC(const char *) trusted; /* proxies in front: addresses and networks */
    bool accept_proxy;         /* they send a PROXY header */
    bool send_proxy;           /* so do we */
    bool forwarded;            /* and the header of that name */

    bool webserver_tls;
    bool webserver_verify;
    uint16_t webserver_port; /* of an External-Addr without one */
    VEC(struct settings_override) overrides;

    bool use_datastore;
    const char *control_secret;
    int64_t update_interval_ms;
    int64_t session_timeout_minutes;
    int64_t check_interval_ms;
    int64_t drain_ms;
    size_t slots;
    bool access_log;
    const char *log_dir;
    const char *run_dir;
    const char *haproxy_path;
};

/* 0, or ERR_INVALID naming the key and its place. */
MUST_CHECK int settings_read(const struct conf *conf, struct settings *ret_settings);
void settings_deinit(struct settings *settings);

/* For --check-config. */
MUST_CHECK int settings_check(const struct conf *conf);

#endif
