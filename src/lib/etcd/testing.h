/*
 * A real etcd of one member on loopback, for the tests of one program: Debian's package
 * etcd-server. Only tests include this.
 */
#ifndef ETCD_TESTING_H
#define ETCD_TESTING_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/testing_port.h"
#include "base/time.h"
#include "etcd/client.h"

#define ETCD_PATIENCE_MS 120000
#define LONG_MS 60000 /* for a call */

struct etcd_testing {
    pid_t pid;
    char dir[64];
    char members[64]; /* "etcd://127.0.0.1:port" */
    struct testing_port client, peer;
};

/* As one that has a leader: it says what is at a key, and not only how it is. */
static inline bool etcd_testing_answers(const struct etcd_testing *testing)
{
    struct etcd *etcd = NULL;
    json_t *body = json_pack("{s:o}", "key", etcd_text("any"));
    json_t *answer = NULL;
    CHECK(etcd_new(io_real(), testing->members, NULL, &etcd) == 0);
    int rc = etcd_call(etcd, "/v3/kv/range", body, ETCD_CALL_MS, &answer);
    json_decref(body);
    json_decref(answer);
    etcd_free(&etcd);
    return rc == 0;
}

static inline void etcd_testing_again(struct etcd_testing *testing)
{
    char *url = mem_printf("http://127.0.0.1:%d", testing->client.number);
    char *peer_url = mem_printf("http://127.0.0.1:%d", testing->peer.number);
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
    testing->client = testing_port_take();
    testing->peer = testing_port_take();
    snprintf(testing->dir, sizeof(testing->dir), "/tmp/aquifer-etcd-XXXXXX");
    CHECK(mkdtemp(testing->dir) != NULL);
    snprintf(testing->members, sizeof(testing->members), "etcd://127.0.0.1:%d",
             testing->client.number);
    etcd_testing_again(testing);
    int64_t until_ns = io_monotonic_ns(io_real()) + ETCD_PATIENCE_MS * TIME_MS_NS;
    while (!etcd_testing_answers(testing)) {
        CHECK(io_monotonic_ns(io_real()) < until_ns);
        (void)poll(NULL, 0, 50);
    }
    return true;
}

/* NOSPACE, as when its quota is used up. */
static inline void etcd_testing_alarm(struct etcd *etcd, const char *action)
{
    json_t *nothing = json_object();
    json_t *status = NULL;
    json_t *answer = NULL;
    CHECK(etcd_call(etcd, "/v3/maintenance/status", nothing, LONG_MS, &status) == 0);
    uint64_t member = etcd_answer_number(json_object_get(status, "header"), "member_id");
    json_t *request = json_pack("{s:s, s:o, s:s}", "action", action, "memberID",
                                etcd_number(member), "alarm", "NOSPACE");
    CHECK(etcd_call(etcd, "/v3/maintenance/alarm", request, LONG_MS, &answer) == 0);
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
        testing_port_give_back(&testing->client);
        testing_port_give_back(&testing->peer);
    }
    testing->pid = 0;
}

/* ---- one etcd for all tests of a program: the setup and teardown of its group ---- */

static struct etcd_testing testing;

/* Ends the program where there is no etcd. */
static inline int begin_suite(void **state)
{
    (void)state;
    if (!etcd_testing_start(&testing)) {
        exit(0);
    }
    return 0;
}

static inline int end_suite(void **state)
{
    (void)state;
    etcd_testing_stop(&testing);
    return 0;
}

#endif
