/*
 * The text of HAProxy's configuration file. Pure. Every path in it is relative to the run
 * directory, so nothing of ours needs quoting there.
 *
 * Sockets are inherited: the load balancer keeps them listening while HAProxy is away, so that
 * users wait a moment instead of being refused.
 */
#ifndef LOADBALANCER_CONFIG_H
#define LOADBALANCER_CONFIG_H

#include "base/buf.h"
#include "loadbalancer/settings.h"
#include "loadbalancer/slots.h"

#define CONFIG_ADMIN_FD 3
#define CONFIG_USERS_FD 4
#define CONFIG_REDIRECTOR_FD 5

#define CONFIG_FILE "haproxy.cfg"
#define CONFIG_CERTIFICATE_FILE "users.pem"        /* certificate and key in one */
#define CONFIG_UNAVAILABLE_FILE "unavailable.http" /* the answer while there is no webserver */
#define CONFIG_NAMES_FILE "names.map"              /* slot -> host name, for certificates */
#define CONFIG_BACKEND "webservers"
#define CONFIG_FRONTEND "users"

struct config_parts {
    const struct settings *settings;
    const struct slots *slots;
    const struct slot_target *overrides; /* one per override; address "" when not resolved */
    const char *cookie_key;              /* hex */
    size_t connections_max;
};

void config_write(const struct config_parts *parts, struct buf *text);

/* A slot's or an override's server in HAProxy: "webservers/w1", "webservers/o1". */
#define CONFIG_SERVER_BYTES 48
const char *config_slot_server(size_t slot, char text[CONFIG_SERVER_BYTES]);
const char *config_override_server(size_t index, char text[CONFIG_SERVER_BYTES]);

/* Runtime commands, each ended by a newline. */
void config_change_commands(const struct settings *settings, const struct slots *slots,
                            const struct slot_change *change, struct buf *commands);
void config_override_commands(const struct slot_target *target, size_t index, struct buf *commands);

/* The names map for the present slots. */
void config_write_names(const struct slots *slots, struct buf *text);

/* The answer while no webserver can be reached. */
extern const char config_unavailable[];

#endif
