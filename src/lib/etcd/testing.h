/*
 * A real etcd of one member on loopback, for the tests of one program: Debian's package
 * etcd-server. Only tests include this.
 */
#ifndef ETCD_TESTING_H
#define ETCD_TESTING_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "etcd/client.h"

struct etcd_testing {
    pid_t pid;
    char dir[64];
    char members[64]; /* "etcd://127.0.0.1:port" */
    int client, peer; /* ports */
};

static inline int etcd_testing_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, bytes) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &bytes) == 0);
    close(fd);
    return ntohs(address.sin_port);
}

static inline bool etcd_testing_answers(const struct etcd_testing *testing)
{
    struct etcd *etcd = NULL;
    json_t *body = json_object();
    json_t *answer = NULL;
    CHECK(etcd_new(io_real(), testing->members, NULL, &etcd) == 0);
    int rc = etcd_call(etcd, "/v3/maintenance/status", body, 200, &answer);
    json_decref(body);
    json_decref(answer);
    etcd_free(&etcd);
    return rc == 0;
}

static inline void etcd_testing_again(struct etcd_testing *testing)
{
    char *url = mem_printf("http://127.0.0.1:%d", testing->client);
    char *peer_url = mem_printf("http://127.0.0.1:%d", testing->peer);
    char *cluster = mem_printf("default=%s", peer_url);
    testing->pid = fork();
    CHECK(testing->pid >= 0);
    if (testing->pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execlp("etcd", "etcd", "--data-dir", testing->dir, "--listen-client-urls", url,
               "--advertise-client-urls", url, "--listen-peer-urls", peer_url,
               "--initial-advertise-peer-urls", peer_url, "--initial-cluster", cluster,
               "--log-level", "error", (char *)NULL);
        _exit(127);
    }
    mem_free(url);
    mem_free(peer_url);
    mem_free(cluster);
}

/* False: there is no etcd on this machine, and it has said so. */
static inline bool etcd_testing_start(struct etcd_testing *testing)
{
    if (access("/usr/bin/etcd", X_OK) != 0) {
        printf("skipped: etcd is not installed (Debian package etcd-server)\n");
        return false;
    }
    testing->client = etcd_testing_port();
    testing->peer = etcd_testing_port();
    snprintf(testing->dir, sizeof(testing->dir), "/tmp/aquifer-etcd-XXXXXX");
    CHECK(mkdtemp(testing->dir) != NULL);
    snprintf(testing->members, sizeof(testing->members), "etcd://127.0.0.1:%d", testing->client);
    etcd_testing_again(testing);
    bool answers = false;
    for (int tries = 0; tries < 150 && !answers; tries++) {
        answers = etcd_testing_answers(testing);
        if (!answers) {
            (void)poll(NULL, 0, 50);
        }
    }
    CHECK(answers);
    return true;
}

/* NOSPACE, as when its quota is used up. */
static inline void etcd_testing_alarm(struct etcd *etcd, const char *action)
{
    json_t *nothing = json_object();
    json_t *status = NULL;
    json_t *answer = NULL;
    CHECK(etcd_call(etcd, "/v3/maintenance/status", nothing, 5000, &status) == 0);
    uint64_t member = etcd_answer_number(json_object_get(status, "header"), "member_id");
    json_t *request = json_pack("{s:s, s:o, s:s}", "action", action, "memberID",
                                etcd_number(member), "alarm", "NOSPACE");
    CHECK(etcd_call(etcd, "/v3/maintenance/alarm", request, 5000, &answer) == 0);
    json_decref(nothing);
    json_decref(status);
    json_decref(request);
    json_decref(answer);
}

static inline void etcd_testing_kill(struct etcd_testing *testing)
{
    int status;
    (void)kill(testing->pid, SIGKILL);
    (void)waitpid(testing->pid, &status, 0);
}

static inline void etcd_testing_stop(struct etcd_testing *testing)
{
    if (testing->pid > 0) {
        etcd_testing_kill(testing);
        char *command = mem_printf("rm -rf %s", testing->dir);
        CHECK(system(command) == 0);
        mem_free(command);
    }
    testing->pid = 0;
}

#endif
