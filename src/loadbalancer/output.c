#include "loadbalancer/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "service/log.h"

#define LINE_BYTES_MAX ((size_t)16 * 1024) /* what is longer is cut into pieces */

struct stream {
    int read_fd;
    int write_fd;
    struct buf pending; /* an unfinished line */
};

struct output {
    struct stream access; /* the child's stdout */
    struct stream errors;
    char *access_path;
    int access_fd;
    atomic_bool reopen;
    pthread_t thread;
};

/* What only echoes our own commands, and the farewell of each proxy. */
static bool is_echo(struct span text)
{
    static const char *const echoes[] = {"forced drain", "forced maintenance", "changed from CLI",
                                         " stopped (cumulated"};
    for (size_t i = 0; i < ARRAY_COUNT(echoes); i++) {
        if (span_find(text, span_of_str(echoes[i])) >= 0) {
            return true;
        }
    }
    return false;
}

/* "[WARNING]  (1234) : Server w1 is DOWN" */
static void log_line(struct span line)
{
    struct span text = line;
    ptrdiff_t colon = span_find(line, SPAN_LIT(" : "));
    if (span_starts_with(line, SPAN_LIT("[")) && colon > 0) {
        text = span_from(line, (size_t)colon + 3);
    }
    text = span_trim(text);
    if (text.bytes == 0) {
        return;
    }
    if (is_echo(text)) {
        log_trace("haproxy-says", "HAProxy reports", "text", LOG_SPAN(text), NULL);
    } else if (span_starts_with(line, SPAN_LIT("[ALERT]"))) {
        log_error("haproxy-says", "HAProxy reports an error", "text", LOG_SPAN(text), NULL);
    } else if (span_starts_with(line, SPAN_LIT("[WARNING]"))) {
        log_warn("haproxy-says", "HAProxy reports", "text", LOG_SPAN(text), NULL);
    } else {
        log_info("haproxy-says", "HAProxy reports", "text", LOG_SPAN(text), NULL);
    }
}

static void open_access_log(struct output *output)
{
    if (output->access_fd >= 0) {
        close(output->access_fd);
    }
    output->access_fd = open(output->access_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (output->access_fd < 0) {
        int rc = err_set_errno(errno, "open %s", output->access_path);
        log_fault("access-log-lost", "requests are not logged", rc, NULL);
    }
}

static void write_access(struct output *output, struct span lines)
{
    if (output->access_path == NULL) {
        return;
    }
    if (atomic_exchange(&output->reopen, false)) {
        open_access_log(output);
    }
    if (output->access_fd >= 0 &&
        write(output->access_fd, lines.data, lines.bytes) != (ssize_t)lines.bytes) {
        int rc = err_set_errno(errno, "write %s", output->access_path);
        log_fault("access-log-lost", "requests are not logged until the next SIGHUP", rc, NULL);
        close(output->access_fd);
        output->access_fd = -1;
    }
}

static void take_error_lines(struct buf *pending)
{
    for (;;) {
        struct span all = buf_span(pending);
        ptrdiff_t newline = span_find_byte(all, '\n');
        if (newline < 0 && all.bytes < LINE_BYTES_MAX) {
            return;
        }
        size_t bytes = newline < 0 ? all.bytes : (size_t)newline + 1;
        log_line(span_first(all, bytes));
        buf_consume(pending, bytes);
    }
}

static void take_access_lines(struct output *output, struct buf *pending)
{
    size_t whole = pending->bytes;
    while (whole > 0 && pending->data[whole - 1] != '\n') {
        whole--;
    }
    whole = whole == 0 && pending->bytes >= LINE_BYTES_MAX ? pending->bytes : whole;
    if (whole > 0) {
        write_access(output, span_of(pending->data, whole));
        buf_consume(pending, whole);
    }
}

/* False at the end. */
static bool read_some(struct stream *stream)
{
    ssize_t got =
        read(stream->read_fd, buf_reserve(&stream->pending, LINE_BYTES_MAX), LINE_BYTES_MAX);
    stream->pending.bytes += got > 0 ? (size_t)got : 0;
    return got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN));
}

static void close_end(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static void *read_both(void *context)
{
    struct output *output = context;
    struct stream *streams[] = {&output->access, &output->errors};
    while (output->access.read_fd >= 0 || output->errors.read_fd >= 0) {
        struct pollfd polled[] = {{output->access.read_fd, POLLIN, 0},
                                  {output->errors.read_fd, POLLIN, 0}};
        if (poll(polled, 2, -1) < 0) {
            continue;
        }
        for (size_t i = 0; i < 2; i++) {
            if (polled[i].revents != 0 && !read_some(streams[i])) {
                close_end(&streams[i]->read_fd);
            }
        }
        take_access_lines(output, &output->access.pending);
        take_error_lines(&output->errors.pending);
    }
    return NULL;
}

static int open_pipe(struct stream *stream)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return err_set_errno(errno, "pipe");
    }
    stream->read_fd = ends[0];
    stream->write_fd = ends[1];
    return 0;
}

static void free_output(struct output *output)
{
    close_end(&output->access.write_fd);
    close_end(&output->errors.write_fd);
    close_end(&output->access.read_fd);
    close_end(&output->errors.read_fd);
    close_end(&output->access_fd);
    buf_deinit(&output->access.pending);
    buf_deinit(&output->errors.pending);
    mem_free(output->access_path);
    mem_free(output);
}

int output_start(const char *access_path, struct output **ret_output)
{
    struct output *output = MEM_NEW(struct output);
    output->access = output->errors = (struct stream){.read_fd = -1, .write_fd = -1};
    output->access_path = access_path == NULL ? NULL : mem_strdup(access_path);
    output->access_fd = -1;
    atomic_store(&output->reopen, true);
    int rc = open_pipe(&output->access);
    rc = rc == 0 ? open_pipe(&output->errors) : rc;
    if (rc == 0 && pthread_create(&output->thread, NULL, read_both, output) != 0) {
        rc = err_set(ERR_IO, "no thread for HAProxy's output");
    }
    if (rc < 0) {
        free_output(output);
        return rc;
    }
    *ret_output = output;
    return 0;
}

int output_stdout(const struct output *output)
{
    return output->access.write_fd;
}

int output_stderr(const struct output *output)
{
    return output->errors.write_fd;
}

void output_reopen(struct output *output)
{
    atomic_store(&output->reopen, true);
}

void output_stop(struct output **ref)
{
    struct output *output = *ref;
    if (output == NULL) {
        return;
    }
    close_end(&output->access.write_fd);
    close_end(&output->errors.write_fd);
    pthread_join(output->thread, NULL);
    free_output(output);
    *ref = NULL;
}
