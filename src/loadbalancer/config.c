#include "loadbalancer/config.h"

#include <inttypes.h>
#include <stdio.h>

const char config_unavailable[] =
    "HTTP/1.1 503 Service Unavailable\r\n"
    "Content-Type: text/html; charset=utf-8\r\n"
    "Cache-Control: no-store\r\n"
    "Retry-After: 2\r\n"
    "Connection: close\r\n"
    "\r\n"
    "<!doctype html>\n"
    "<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"3\">\n"
    "<title>No webserver is available</title>\n"
    "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em}"
    "</style></head>\n"
    "<body><h1>No webserver is available</h1>\n"
    "<p>The load balancer is running, but it knows no webserver that answers at the moment. It\n"
    "keeps looking; this page tries again by itself.</p></body></html>\n";

const char *config_slot_server(size_t slot, char text[CONFIG_SERVER_BYTES])
{
    (void)snprintf(text, CONFIG_SERVER_BYTES, CONFIG_BACKEND "/w%zu", slot + 1);
    return text;
}

const char *config_override_server(size_t index, char text[CONFIG_SERVER_BYTES])
{
    (void)snprintf(text, CONFIG_SERVER_BYTES, CONFIG_BACKEND "/o%zu", index + 1);
    return text;
}

/* hard-stop-after bounds how long old requests may go on after SIGUSR1, with or without us.
 * HAProxy's own HTTP client has nothing to ask here; for it each start would read the authorities
 * of the system, 23 ms of 32. */
static void write_global(const struct config_parts *parts, struct buf *text)
{
    buf_printf(text,
               "global\n"
               "    maxconn %zu\n"
               "    stats socket fd@%d level admin\n"
               "    stats timeout 1m\n"
               "    hard-stop-after %" PRId64 "ms\n"
               "    httpclient.ssl.verify none\n"
               "    ssl-default-bind-options ssl-min-ver TLSv1.2\n"
               "    ssl-default-server-options ssl-min-ver TLSv1.2\n",
               parts->connections_max, CONFIG_ADMIN_FD, MAX(parts->settings->drain_ms, 1));
    if (parts->settings->access_log) {
        buf_append_str(text, "    log stdout format raw daemon\n");
    }
}

/* Long timeouts for what is silent by nature: a direct query answers when it is done, a websocket
 * when there is news. A retry waits for at most a second, the lesser of `timeout connect` and 1 s.
 * A connection on which nothing is ever asked holds up SIGTERM for `timeout http-request`. */
static void write_defaults(struct buf *text)
{
    buf_append_str(text, "\ndefaults\n"
                         "    mode http\n"
                         "    timeout http-request 10s\n"
                         "    timeout http-keep-alive 60s\n"
                         "    timeout client 1h\n"
                         "    timeout server 1h\n"
                         "    timeout tunnel 24h\n"
                         "    timeout client-fin 30s\n"
                         "    timeout connect 1s\n"
                         "    timeout queue 5s\n"
                         "    timeout check 1s\n"
                         "    option http-keep-alive\n"
                         "    option dontlognull\n");
}

/* " if { src 10.0.0.0/8 }" or "unless": proxies in front, whose word counts. */
static void write_trusted(const struct settings *settings, const char *condition, struct buf *text)
{
    if (settings->trusted.count > 0) {
        buf_printf(text, " %s { src", condition);
        for (size_t i = 0; i < settings->trusted.count; i++) {
            buf_printf(text, " %s", settings->trusted.items[i]);
        }
        buf_append_str(text, " }");
    }
}

/* What webservers hear of where a request comes from. */
static void write_forwarded(const struct settings *settings, struct buf *text)
{
    const char *proto = settings->https ? "https" : "http";
    buf_append_str(text, "    http-request del-header Forwarded\n"
                         "    http-request del-header X-Forwarded-For");
    write_trusted(settings, "unless", text);
    buf_printf(text,
               "\n    option forwardfor\n"
               "    http-request set-header X-Forwarded-Proto %s",
               proto);
    write_trusted(settings, "unless { req.hdr(X-Forwarded-Proto) -m found }", text);
    buf_append_byte(text, '\n');
    if (settings->forwarded) {
        buf_printf(text,
                   "    http-request set-header Forwarded for=%%[src];proto=%s\n"
                   "    http-request set-header Forwarded for=\\\"[%%[src]]\\\";proto=%s "
                   "if { src -m sub : }\n",
                   proto, proto);
    }
}

static void write_frontend(const struct settings *settings, struct buf *text)
{
    buf_printf(text, "\nfrontend " CONFIG_FRONTEND "\n    bind fd@%d%s\n", CONFIG_USERS_FD,
               settings->https ? " ssl crt " CONFIG_CERTIFICATE_FILE " alpn h2,http/1.1" : "");
    if (settings->accept_proxy) {
        buf_append_str(text, "    tcp-request connection expect-proxy layer4");
        write_trusted(settings, "if", text);
        buf_append_byte(text, '\n');
    }
    if (settings->access_log) {
        buf_append_str(text, "    log global\n"
                             "    log-format '%tr %ci \"%HM %HU %HV\" %ST %B %Ta %b/%s'\n");
    }
    write_forwarded(settings, text);
    buf_append_str(text, "    default_backend " CONFIG_BACKEND "\n");
}

static void write_redirector(const struct settings *settings, struct buf *text)
{
    if (!settings->redirector) {
        return;
    }
    char port[8] = "";
    if (settings->port != 443) {
        (void)snprintf(port, sizeof(port), ":%u", settings->port);
    }
    buf_printf(text,
               "\nfrontend redirector\n    bind fd@%d\n"
               "    http-request redirect code 308 location "
               "https://%%[req.hdr(host),regsub(:[0-9]*$,)]%s%%[capture.req.uri]\n",
               CONFIG_REDIRECTOR_FD, port);
}

static void write_tls(bool tls, bool verify, const char *name, struct buf *text)
{
    if (tls && !verify) {
        buf_append_str(text, " ssl verify none");
    } else if (tls) {
        buf_printf(text, " ssl verify required ca-file @system-ca %s", name);
    }
}

/* Nobody wants both IPv6 brackets and to remember where: an address as HAProxy's files have it. */
static void write_server(const char *server, const struct slot_target *target, struct buf *text)
{
    const char *name = strchr(server, '/') + 1;
    if (target == NULL || target->address[0] == 0) {
        buf_printf(text, "    server %s 127.0.0.1:1 disabled", name);
    } else if (strchr(target->address, ':') != NULL) {
        buf_printf(text, "    server %s [%s]:%u", name, target->address, target->port);
    } else {
        buf_printf(text, "    server %s %s:%u", name, target->address, target->port);
    }
}

static void write_servers(const struct config_parts *parts, struct buf *text)
{
    const struct settings *settings = parts->settings;
    char server[CONFIG_SERVER_BYTES];
    for (size_t i = 0; i < slots_count(parts->slots); i++) {
        const struct slot *slot = slots_get(parts->slots, i);
        write_server(config_slot_server(i, server),
                     slot->state == SLOT_READY ? &slot->target : NULL, text);
        write_tls(settings->webserver_tls, settings->webserver_verify,
                  "sni srv_name,map_str(" CONFIG_NAMES_FILE ")", text);
        buf_append_byte(text, '\n');
    }
    for (size_t i = 0; i < settings->overrides.count; i++) {
        const struct slot_target *target = &parts->overrides[i];
        char verify[SLOT_NAME_BYTES + 32];
        (void)snprintf(verify, sizeof(verify), "verifyhost %s",
                       target->name[0] == 0 ? target->address : target->name);
        write_server(config_override_server(i, server), target, text);
        write_tls(settings->overrides.items[i].tls, settings->overrides.items[i].verify, verify,
                  text);
        buf_append_byte(text, '\n');
    }
}

/* Requests that are safe to repeat, logins among them, are repeated on another server when theirs
 * has died; what may have had an effect is repeated only when the connection failed before it was
 * sent. HAProxy repeats what it had as a whole when it began to send: small bodies are waited for.
 * A failed connection does not mark the server down by itself, it hastens its checks: with only one
 * server left up, HAProxy would wait a second before it moves the request there. */
static void write_backend(const struct config_parts *parts, struct buf *text)
{
    const struct settings *settings = parts->settings;
    int64_t interval_ms = settings->check_interval_ms;
    buf_printf(text,
               "\nbackend " CONFIG_BACKEND "\n"
               "    balance roundrobin\n"
               "    cookie AQUIFER_LB insert indirect nocache httponly dynamic maxidle %" PRId64
               "m%s attr SameSite=Lax\n"
               "    dynamic-cookie-key %s\n"
               "    option redispatch 1\n"
               "    retries 3\n"
               "    retry-on conn-failure empty-response\n"
               "    http-request wait-for-body time 10s if { method PUT DELETE } "
               "{ req.hdr_val(content-length) lt 8192 } || { method POST } { path /api/login }\n"
               "    http-request disable-l7-retry unless { method GET HEAD OPTIONS PUT DELETE }"
               " || { method POST } { path /api/login }\n"
               "    errorfile 503 " CONFIG_UNAVAILABLE_FILE "\n"
               "    option httpchk GET /readyz\n"
               "    http-check expect status 200\n"
               "    default-server check inter %" PRId64 "ms fastinter %" PRId64
               "ms downinter %" PRId64
               "ms fall 2 rise 1 observe layer4 error-limit 1 on-error fastinter%s\n",
               settings->session_timeout_minutes, settings->https ? " secure" : "",
               parts->cookie_key, interval_ms, MAX(interval_ms / 4, 50), MAX(interval_ms / 2, 50),
               settings->send_proxy ? " send-proxy-v2 check-send-proxy" : "");
    write_servers(parts, text);
}

void config_write(const struct config_parts *parts, struct buf *text)
{
    buf_append_str(text, "# Written by aquifer-loadbalancer at each start of HAProxy.\n");
    write_global(parts, text);
    write_defaults(text);
    write_frontend(parts->settings, text);
    write_redirector(parts->settings, text);
    write_backend(parts, text);
}

void config_write_names(const struct slots *slots, struct buf *text)
{
    for (size_t i = 0; i < slots_count(slots); i++) {
        const struct slot *slot = slots_get(slots, i);
        if (slot->state != SLOT_FREE && slot->target.name[0] != 0) {
            buf_printf(text, "w%zu %s\n", i + 1, slot->target.name);
        }
    }
}

static void name_commands(size_t slot, const char *name, struct buf *commands)
{
    buf_printf(commands, "del map " CONFIG_NAMES_FILE " w%zu\n", slot + 1);
    if (name[0] != 0) {
        buf_printf(commands, "add map " CONFIG_NAMES_FILE " w%zu %s\n", slot + 1, name);
    }
}

void config_change_commands(const struct settings *settings, const struct slots *slots,
                            const struct slot_change *change, struct buf *commands)
{
    static const char *const states[] = {
        [SLOT_CHANGE_FILL] = "ready",
        [SLOT_CHANGE_READY] = "ready",
        [SLOT_CHANGE_DRAIN] = "drain",
        [SLOT_CHANGE_EMPTY] = "maint",
    };
    char server[CONFIG_SERVER_BYTES];
    const struct slot_target *target = &slots_get(slots, change->slot)->target;
    config_slot_server(change->slot, server);
    bool serves = change->kind == SLOT_CHANGE_FILL || change->kind == SLOT_CHANGE_READY;
    if (serves && settings->webserver_tls && settings->webserver_verify) {
        name_commands(change->slot, target->name, commands);
    }
    if (serves) { /* also for READY: HAProxy may have been started anew while it drained */
        buf_printf(commands, "set server %s addr %s port %u\n", server, target->address,
                   target->port);
    }
    if (change->kind == SLOT_CHANGE_FILL) {
        /* HAProxy takes a server that leaves maintenance for healthy; ours first has to pass a
         * check, since a webserver is listed before it is ready. */
        buf_printf(commands, "set server %s state drain\nset server %s health down\n", server,
                   server);
    }
    buf_printf(commands, "set server %s state %s\n", server, states[change->kind]);
}

void config_override_commands(const struct slot_target *target, size_t index, struct buf *commands)
{
    char server[CONFIG_SERVER_BYTES];
    config_override_server(index, server);
    buf_printf(commands, "set server %s addr %s port %u\nset server %s state ready\n", server,
               target->address, target->port, server);
}
