#include "loadbalancer/haproxy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/time.h"
#include "loadbalancer/config.h"
#include "loadbalancer/output.h"
#include "service/log.h"

#define ADMIN_SOCKET "admin.sock"
#define ACCESS_LOG "access.log"
#define COMMAND_TIMEOUT_S 2
#define ANSWER_BYTES_MAX ((size_t)8 * 1024 * 1024)
#define PEM_BYTES_MAX ((size_t)1024 * 1024)
#define WAIT_STEP_MS 20

struct haproxy {
    struct io *io;
    const struct settings *settings;
    int run_dir_fd;
    int admin_fd;
    int users_fd;
    int redirector_fd; /* -1: none */
    struct output *output;
    pid_t pid; /* 0: none */
};

/* ---- sockets ---- */

static int listen_at(const char *address, uint16_t port, int *ret_fd)
{
    char service[8];
    (void)snprintf(service, sizeof(service), "%u", port);
    struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(address[0] == 0 ? NULL : address, service, &hints, &found);
    if (failed != 0) {
        return err_set(ERR_INVALID, "Bind-Addr %s: %s", address, gai_strerror(failed));
    }
    int on = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = fd < 0 ? err_set_errno(errno, "socket") : 0;
    if (rc == 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    if (rc == 0 && (bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0)) {
        rc = err_set_errno(errno, "listen on %s port %u", address, port);
        close(fd);
    }
    freeaddrinfo(found);
    if (rc == 0) {
        *ret_fd = fd;
    }
    return rc;
}

/* By way of the directory's descriptor, since a socket's path may have only 107 bytes. */
static struct sockaddr_un admin_address(const struct haproxy *haproxy)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" ADMIN_SOCKET,
                   haproxy->run_dir_fd);
    return address;
}

static int listen_admin(struct haproxy *haproxy)
{
    struct sockaddr_un address = admin_address(haproxy);
    (void)unlinkat(haproxy->run_dir_fd, ADMIN_SOCKET, 0);
    haproxy->admin_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (haproxy->admin_fd < 0 ||
        bind(haproxy->admin_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(haproxy->admin_fd, 64) < 0) {
        return err_set_errno(errno, "listen on %s/" ADMIN_SOCKET, haproxy->settings->run_dir);
    }
    return 0;
}

uint16_t haproxy_port(const struct haproxy *haproxy)
{
    struct sockaddr_storage address = {0};
    socklen_t bytes = sizeof(address);
    if (getsockname(haproxy->users_fd, (struct sockaddr *)&address, &bytes) < 0) {
        return 0;
    }
    return ntohs(address.ss_family == AF_INET6
                     ? ((struct sockaddr_in6 *)(void *)&address)->sin6_port
                     : ((struct sockaddr_in *)(void *)&address)->sin_port);
}

/* ---- opening and closing ---- */

static int open_run_dir(struct haproxy *haproxy)
{
    const char *path = haproxy->settings->run_dir;
    int rc = io_make_dirs(haproxy->io, path);
    if (rc == 0) {
        haproxy->run_dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        rc = haproxy->run_dir_fd < 0 ? err_set_errno(errno, "open %s", path) : 0;
    }
    return rc < 0 ? err_wrap(rc, "Run-Directory") : 0;
}

static int open_output(struct haproxy *haproxy)
{
    const struct settings *settings = haproxy->settings;
    if (!settings->access_log) {
        return output_start(NULL, &haproxy->output);
    }
    int rc = io_make_dirs(haproxy->io, settings->log_dir);
    if (rc < 0) {
        return err_wrap(rc, "Log-Dir");
    }
    char *path = mem_printf("%s/" ACCESS_LOG, settings->log_dir);
    rc = output_start(path, &haproxy->output);
    mem_free(path);
    return rc;
}

static int open_all(struct haproxy *haproxy)
{
    const struct settings *settings = haproxy->settings;
    int rc = open_run_dir(haproxy);
    rc = rc == 0 ? listen_admin(haproxy) : rc;
    rc = rc == 0 ? listen_at(settings->address, settings->port, &haproxy->users_fd) : rc;
    if (rc == 0 && settings->redirector) {
        rc = listen_at(settings->address, settings->redirector_port, &haproxy->redirector_fd);
    }
    return rc == 0 ? open_output(haproxy) : rc;
}

int haproxy_open(struct io *io, const struct settings *settings, struct haproxy **ret_haproxy)
{
    struct haproxy *haproxy = MEM_NEW(struct haproxy);
    *haproxy = (struct haproxy){.io = io,
                                .settings = settings,
                                .run_dir_fd = -1,
                                .admin_fd = -1,
                                .users_fd = -1,
                                .redirector_fd = -1};
    int rc = open_all(haproxy);
    if (rc < 0) {
        haproxy_close(&haproxy);
        return rc;
    }
    *ret_haproxy = haproxy;
    return 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

void haproxy_close(struct haproxy **ref)
{
    struct haproxy *haproxy = *ref;
    if (haproxy == NULL) {
        return;
    }
    haproxy_kill(haproxy);
    output_stop(&haproxy->output);
    if (haproxy->run_dir_fd >= 0) {
        (void)unlinkat(haproxy->run_dir_fd, ADMIN_SOCKET, 0);
    }
    close_fd(&haproxy->admin_fd);
    close_fd(&haproxy->users_fd);
    close_fd(&haproxy->redirector_fd);
    close_fd(&haproxy->run_dir_fd);
    mem_free(haproxy);
    *ref = NULL;
}

/* ---- starting ---- */

static int write_run_file(struct haproxy *haproxy, const char *name, struct span text)
{
    char *path = mem_printf("%s/%s", haproxy->settings->run_dir, name);
    int rc = io_write_file(haproxy->io, path, text);
    mem_free(path);
    return rc;
}

/* Without empty lines, which would end the payload of a command. */
static void append_lines(struct buf *pem, struct span text)
{
    for (struct span line; span_split(&text, '\n', &line);) {
        if (span_trim(line).bytes > 0) {
            buf_append(pem, span_trim(line));
            buf_append_byte(pem, '\n');
        }
    }
}

/* Certificate and key in one, as HAProxy wants them. */
static int read_certificate(const struct haproxy *haproxy, struct buf *pem)
{
    struct buf text = {0};
    int rc = io_read_file(haproxy->io, haproxy->settings->certificate_path, PEM_BYTES_MAX, &text);
    buf_append_byte(&text, '\n');
    rc =
        rc == 0 ? io_read_file(haproxy->io, haproxy->settings->key_path, PEM_BYTES_MAX, &text) : rc;
    append_lines(pem, buf_span(&text));
    buf_deinit(&text);
    return rc;
}

/* Read anew at each start. */
static int write_certificate(struct haproxy *haproxy)
{
    if (!haproxy->settings->https) {
        return 0;
    }
    struct buf pem = {0};
    int rc = read_certificate(haproxy, &pem);
    rc = rc == 0 ? write_run_file(haproxy, CONFIG_CERTIFICATE_FILE, buf_span(&pem)) : rc;
    buf_deinit(&pem);
    return rc;
}

/* Between fork and exec: only what a signal handler could do. The descriptors go up out of the way
 * first, since a source may lie where another belongs. */
static void become_haproxy(const struct haproxy *haproxy, char *const *arguments, pid_t parent)
{
    int wanted[] = {-1,
                    output_stdout(haproxy->output),
                    output_stderr(haproxy->output),
                    haproxy->admin_fd,
                    haproxy->users_fd,
                    haproxy->redirector_fd};
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGUSR1); /* finish and end when the load balancer dies */
    if (getppid() != parent) {
        _exit(126);
    }
    wanted[0] = open("/dev/null", O_RDONLY);
    for (size_t i = 0; i < ARRAY_COUNT(wanted); i++) {
        wanted[i] = wanted[i] < 0 ? -1 : fcntl(wanted[i], F_DUPFD, 16);
    }
    for (size_t i = 0; i < ARRAY_COUNT(wanted); i++) {
        if (wanted[i] >= 0) {
            (void)dup2(wanted[i], (int)i);
        }
    }
    (void)close_range(ARRAY_COUNT(wanted), ~0u, 0);
    execv(arguments[0], arguments);
    _exit(127);
}

static int spawn(struct haproxy *haproxy)
{
    char *path = mem_strdup(haproxy->settings->haproxy_path);
    char *directory = mem_strdup(haproxy->settings->run_dir);
    char stay[] = "-db";
    char change_to[] = "-C";
    char file[] = "-f";
    char config[] = CONFIG_FILE;
    char *const arguments[] = {path, stay, change_to, directory, file, config, NULL};
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become_haproxy(haproxy, arguments, parent);
    }
    int rc = pid < 0 ? err_set_errno(errno, "fork") : 0;
    haproxy->pid = MAX(pid, 0);
    mem_free(path);
    mem_free(directory);
    return rc;
}

int haproxy_start(struct haproxy *haproxy, struct span config, struct span names)
{
    CHECK(haproxy->pid == 0);
    if (access(haproxy->settings->haproxy_path, X_OK) < 0) {
        return err_set_errno(errno, "HAProxy-Path %s", haproxy->settings->haproxy_path);
    }
    int rc = write_certificate(haproxy);
    rc = rc == 0 ? write_run_file(haproxy, CONFIG_UNAVAILABLE_FILE, span_of_str(config_unavailable))
                 : rc;
    rc = rc == 0 ? write_run_file(haproxy, CONFIG_NAMES_FILE, names) : rc;
    rc = rc == 0 ? write_run_file(haproxy, CONFIG_FILE, config) : rc;
    return rc == 0 ? spawn(haproxy) : rc;
}

/* ---- watching and ending ---- */

static void log_end(const struct haproxy *haproxy, int status)
{
    char how[64];
    if (WIFSIGNALED(status)) {
        (void)snprintf(how, sizeof(how), "signal %d", WTERMSIG(status));
    } else {
        (void)snprintf(how, sizeof(how), "status %d", WEXITSTATUS(status));
    }
    log_error("haproxy-ended", "HAProxy has ended by itself and is started again", "how", how,
              "pid", LOG_INT(haproxy->pid), NULL);
}

bool haproxy_is_running(struct haproxy *haproxy)
{
    int status;
    if (haproxy->pid == 0) {
        return false;
    }
    if (waitpid(haproxy->pid, &status, WNOHANG) == haproxy->pid) {
        log_end(haproxy, status);
        haproxy->pid = 0;
    }
    return haproxy->pid != 0;
}

/* True when it has ended within the time. */
static bool wait_for_end(struct haproxy *haproxy, int64_t timeout_ms)
{
    int64_t deadline_ns = io_monotonic_ns(haproxy->io) + timeout_ms * TIME_MS_NS;
    while (waitpid(haproxy->pid, NULL, WNOHANG) == 0) {
        if (io_monotonic_ns(haproxy->io) > deadline_ns) {
            return false;
        }
        (void)nanosleep(&(struct timespec){0, WAIT_STEP_MS * TIME_MS_NS}, NULL);
    }
    haproxy->pid = 0;
    return true;
}

void haproxy_kill(struct haproxy *haproxy)
{
    if (haproxy->pid != 0) {
        (void)kill(haproxy->pid, SIGKILL);
        (void)wait_for_end(haproxy, 10000);
        haproxy->pid = 0;
    }
}

void haproxy_stop(struct haproxy *haproxy, int64_t drain_ms)
{
    close_fd(&haproxy->users_fd);
    close_fd(&haproxy->redirector_fd);
    if (haproxy->pid != 0) {
        (void)kill(haproxy->pid, SIGUSR1);
        if (!wait_for_end(haproxy, drain_ms)) {
            log_warn("drain-cut",
                     "requests that were still open at the end of Drain-Timeout are cut",
                     "after_ms", LOG_INT(drain_ms), NULL);
        }
    }
    haproxy_kill(haproxy);
}

void haproxy_reopen_log(struct haproxy *haproxy)
{
    output_reopen(haproxy->output);
}

/* ---- commands ---- */

static int connect_admin(const struct haproxy *haproxy, int *ret_fd)
{
    struct sockaddr_un address = admin_address(haproxy);
    struct timeval timeout = {.tv_sec = COMMAND_TIMEOUT_S};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        int rc = err_set_errno(errno, "connect to HAProxy");
        close_fd(&fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

static int send_all(int fd, struct span text)
{
    while (text.bytes > 0) {
        ssize_t sent = send(fd, text.data, text.bytes, MSG_NOSIGNAL);
        if (sent < 0) {
            return err_set_errno(errno, "send to HAProxy");
        }
        text = span_from(text, (size_t)sent);
    }
    return 0;
}

static int receive_all(int fd, struct buf *answers)
{
    for (;;) {
        ssize_t got = recv(fd, buf_reserve(answers, 64 * 1024), 64 * 1024, 0);
        if (got < 0) {
            return err_set_errno(errno, "wait for HAProxy's answer");
        }
        if (got == 0) {
            return 0;
        }
        answers->bytes += (size_t)got;
        if (answers->bytes > ANSWER_BYTES_MAX) {
            return err_set(ERR_PROTOCOL, "HAProxy's answer does not end");
        }
    }
}

/* HAProxy answers most commands with nothing, or with a note; these are its refusals. Some come
 * after a line that says what it was about to do. */
static int check_answer(struct span answer)
{
    static const char *const refusals[] = {"No such", "Unknown command", "Permission denied",
                                           "Require", "Invalid",         "Can't",
                                           "Cannot",  "Missing"};
    for (size_t i = 0; i < ARRAY_COUNT(refusals); i++) {
        if (span_starts_with(span_trim(answer), span_of_str(refusals[i]))) {
            return err_set(ERR_PROTOCOL, "HAProxy says: %.*s",
                           SPAN_ARG(span_first(span_trim(answer), 200)));
        }
    }
    return 0;
}

/* One connection per command: HAProxy ends each after its answer, which tells where it ends. */
static int command(struct haproxy *haproxy, struct span line, struct buf *answers)
{
    int fd = -1;
    int rc = connect_admin(haproxy, &fd);
    if (rc < 0) {
        return rc;
    }
    size_t before = answers->bytes;
    rc = send_all(fd, line);
    rc = rc == 0 ? receive_all(fd, answers) : rc;
    close(fd);
    return rc < 0 ? rc : check_answer(span_from(buf_span(answers), before));
}

int haproxy_command(struct haproxy *haproxy, struct span commands, struct buf *ret_answers)
{
    int first = 0;
    struct span rest = commands;
    for (struct span line; first == 0 && span_split(&rest, '\n', &line);) {
        if (line.bytes > 0) { /* with its newline */
            first = command(haproxy, span_of(line.data, line.bytes + 1), ret_answers);
        }
    }
    return first;
}

/* The transaction is committed only when HAProxy has understood it: "Transaction created". */
static int commit_certificate(struct haproxy *haproxy, struct buf *answers)
{
    if (span_find(buf_span(answers), SPAN_LIT("Transaction")) < 0) {
        return err_set(ERR_INVALID, "HAProxy says: %.*s",
                       SPAN_ARG(span_first(span_trim(buf_span(answers)), 200)));
    }
    buf_clear(answers);
    int rc = command(haproxy, SPAN_LIT("commit ssl cert " CONFIG_CERTIFICATE_FILE "\n"), answers);
    if (rc == 0 && span_find(buf_span(answers), SPAN_LIT("Success")) < 0) {
        rc = err_set(ERR_INVALID, "HAProxy says: %.*s",
                     SPAN_ARG(span_first(span_trim(buf_span(answers)), 200)));
    }
    return rc;
}

int haproxy_renew_certificate(struct haproxy *haproxy)
{
    struct buf pem = {0};
    struct buf line = {0};
    struct buf answers = {0};
    int rc = read_certificate(haproxy, &pem);
    buf_printf(&line, "set ssl cert " CONFIG_CERTIFICATE_FILE " <<\n%s\n", buf_str(&pem));
    rc = rc == 0 ? command(haproxy, buf_span(&line), &answers) : rc;
    rc = rc == 0 ? commit_certificate(haproxy, &answers) : rc;
    buf_deinit(&pem);
    buf_deinit(&line);
    buf_deinit(&answers);
    return rc;
}
