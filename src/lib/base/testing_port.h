/*
 * For tests: a port of 127.0.0.1 that nobody else is given until it is given back. A socket is
 * bound to it and does not listen: connections are refused until somebody listens there who asks
 * for SO_REUSEADDR, as our listeners and etcd do; that one may stop and come back.
 */
#ifndef BASE_TESTING_PORT_H
#define BASE_TESTING_PORT_H

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

struct testing_port {
    int fd;
    uint16_t number;
};

static inline struct testing_port testing_port_take(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
    CHECK(bind(fd, (const void *)&address, bytes) == 0);
    CHECK(getsockname(fd, (void *)&address, &bytes) == 0);
    return (struct testing_port){fd, ntohs(address.sin_port)};
}

static inline void testing_port_give_back(struct testing_port *port)
{
    if (port->number != 0) {
        (void)close(port->fd);
    }
    *port = (struct testing_port){0};
}

#endif
