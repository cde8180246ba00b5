#include "loadbalancer/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/time.h"
#include "conf/conf.h"

#define NAMES_MAX 4096

struct answer {
    char address[SLOT_ADDRESS_BYTES]; /* "" when it never had one */
    int64_t asked_ns;
};

struct resolve {
    struct io *io;
    int64_t keep_ns;
    struct map answers;
};

struct resolve *resolve_new(struct io *io, int64_t keep_ms)
{
    struct resolve *resolve = MEM_NEW(struct resolve);
    resolve->io = io;
    resolve->keep_ns = keep_ms * TIME_MS_NS;
    return resolve;
}

static void forget_all(struct resolve *resolve)
{
    struct span name;
    void *answer;
    for (size_t cursor = 0; map_next(&resolve->answers, &cursor, &name, &answer);) {
        mem_free(answer);
    }
    map_clear(&resolve->answers);
}

void resolve_free(struct resolve **ref)
{
    if (*ref != NULL) {
        forget_all(*ref);
        map_deinit(&(*ref)->answers);
        mem_free(*ref);
        *ref = NULL;
    }
}

static bool is_numeric(const char *host)
{
    uint8_t bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* IPv4 first, as HAProxy and most clusters do. */
static void take_addresses(const struct addrinfo *found, struct answer *answer)
{
    char first[SLOT_ADDRESS_BYTES] = "";
    for (int family = 0; family < 2; family++) {
        for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
            char address[SLOT_ADDRESS_BYTES];
            if (at->ai_family != (family == 0 ? AF_INET : AF_INET6) ||
                getnameinfo(at->ai_addr, at->ai_addrlen, address, sizeof(address), NULL, 0,
                            NI_NUMERICHOST) != 0) {
                continue;
            }
            if (strcmp(address, answer->address) == 0) {
                return;
            }
            if (first[0] == 0) {
                memcpy(first, address, sizeof(first));
            }
        }
    }
    memcpy(answer->address, first, sizeof(first));
}

static const char *ask(struct resolve *resolve, const char *host)
{
    int64_t now_ns = io_monotonic_ns(resolve->io);
    struct answer *answer = map_get_str(&resolve->answers, host);
    if (answer != NULL && now_ns - answer->asked_ns < resolve->keep_ns) {
        return answer->address;
    }
    if (answer == NULL) {
        if (resolve->answers.count >= NAMES_MAX) {
            forget_all(resolve);
        }
        answer = MEM_NEW(struct answer);
        (void)map_put(&resolve->answers, span_of_str(host), answer);
    }
    answer->asked_ns = now_ns;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, NULL, &hints, &found) == 0) {
        take_addresses(found, answer);
        freeaddrinfo(found);
    }
    return answer->address;
}

int resolve_target(struct resolve *resolve, const char *text, uint16_t default_port,
                   struct slot_target *ret_target)
{
    struct buf host = {0};
    struct slot_target target = {0};
    int rc = conf_host_port(span_of_str(text), default_port, &host, &target.port);
    if (rc == 0 && (host.bytes == 0 || host.bytes >= sizeof(target.name))) {
        rc = err_set(ERR_INVALID, "\"%s\" names no host", text);
    }
    if (rc == 0 && is_numeric(buf_str(&host))) {
        (void)snprintf(target.address, sizeof(target.address), "%s", buf_str(&host));
    } else if (rc == 0) {
        (void)snprintf(target.name, sizeof(target.name), "%s", buf_str(&host));
        (void)snprintf(target.address, sizeof(target.address), "%s", ask(resolve, target.name));
        rc = target.address[0] == 0 ? err_set(ERR_NOT_FOUND, "%s has no address", target.name) : 0;
        if (strchr(target.address, '%') != NULL) { /* HAProxy would refuse its whole file */
            rc = err_set(ERR_INVALID, "%s is good on one link only", target.address);
        }
    }
    buf_deinit(&host);
    if (rc == 0) {
        *ret_target = target;
    }
    return rc;
}
