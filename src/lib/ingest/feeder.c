/* Tested by client_test.c. */
#include "ingest/feeder.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"

#define PATIENCE_MS 1000
#define CONNECT_MS 300
#define PAUSE_MS 1000
#define HEARTBEAT_MS 60000

struct line {
    int64_t time_ns;
    size_t bytes;
    uint8_t data[];
};

struct ingest_feeder {
    struct ingest_client *client; /* the thread's, but for cancelling */
    char *tag;
    pthread_t thread;
    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t changed;
    struct line *ring[INGEST_FEEDER_LINES_MAX];
    size_t first, count;
    bool stopping;
    bool done;
    struct ingest_feeder_stats stats;
};

static void deadline_after(int64_t ms, struct timespec *ret_at)
{
    clock_gettime(CLOCK_MONOTONIC, ret_at);
    ret_at->tv_sec += ms / 1000;
    ret_at->tv_nsec += (ms % 1000) * 1000000;
    if (ret_at->tv_nsec >= 1000000000) {
        ret_at->tv_nsec -= 1000000000;
        ret_at->tv_sec++;
    }
}

/* ---- the ring; under the lock ---- */

static struct line *pop(struct ingest_feeder *feeder)
{
    if (feeder->count == 0) {
        return NULL;
    }
    struct line *line = feeder->ring[feeder->first];
    feeder->first = (feeder->first + 1) % INGEST_FEEDER_LINES_MAX;
    feeder->count--;
    return line;
}

static void push(struct ingest_feeder *feeder, struct line *line)
{
    if (feeder->count == INGEST_FEEDER_LINES_MAX) {
        mem_free(pop(feeder));
        feeder->stats.dropped++;
    }
    feeder->ring[(feeder->first + feeder->count) % INGEST_FEEDER_LINES_MAX] = line;
    feeder->count++;
}

void ingest_feeder_put(struct ingest_feeder *feeder, int64_t time_ns, struct span line)
{
    struct line *copy = NULL;
    if (line.bytes <= INGEST_FEEDER_LINE_BYTES_MAX) {
        copy = mem_alloc(sizeof(*copy) + line.bytes);
        copy->time_ns = time_ns;
        copy->bytes = line.bytes;
        memcpy(copy->data, line.bytes == 0 ? (const void *)"" : line.data, line.bytes);
    }
    pthread_mutex_lock(&feeder->lock);
    feeder->stats.lines++;
    if (copy == NULL) {
        feeder->stats.dropped++;
    } else {
        push(feeder, copy);
    }
    pthread_cond_broadcast(&feeder->changed);
    pthread_mutex_unlock(&feeder->lock);
}

/* ---- the thread ---- */

/* Waits for lines, for being stopped, or until the time is over. */
static void wait_for_lines(struct ingest_feeder *feeder, int64_t ms, bool any)
{
    struct timespec at;
    deadline_after(ms, &at);
    pthread_mutex_lock(&feeder->lock);
    while (!feeder->stopping && (!any || feeder->count == 0)) {
        if (pthread_cond_timedwait(&feeder->changed, &feeder->lock, &at) == ETIMEDOUT) {
            break;
        }
    }
    pthread_mutex_unlock(&feeder->lock);
}

static struct line *take_line(struct ingest_feeder *feeder)
{
    pthread_mutex_lock(&feeder->lock);
    struct line *line = pop(feeder);
    pthread_mutex_unlock(&feeder->lock);
    return line;
}

/* Sends what is in the ring and waits for the confirmations. What could not be confirmed stays
 * with the client, which sends it again by itself. */
static int deliver(struct ingest_feeder *feeder, uint16_t tag)
{
    int rc = 0;
    size_t count = 0;
    for (struct line *line;
         rc == 0 && count < INGEST_WINDOW_MAX && (line = take_line(feeder)) != NULL; count++) {
        rc = ingest_client_send(feeder->client, tag, line->time_ns, NULL,
                                span_of(line->data, line->bytes), SPAN_NONE);
        if (rc == 0) {
            mem_free(line);
            continue;
        }
        pthread_mutex_lock(&feeder->lock);
        if (feeder->count < INGEST_FEEDER_LINES_MAX) { /* back to where it was */
            feeder->first = (feeder->first + INGEST_FEEDER_LINES_MAX - 1) % INGEST_FEEDER_LINES_MAX;
            feeder->ring[feeder->first] = line;
            feeder->count++;
        } else {
            mem_free(line);
            feeder->stats.dropped++;
        }
        pthread_mutex_unlock(&feeder->lock);
    }
    if (rc == 0) {
        rc = ingest_client_sync(feeder->client);
    }
    return rc;
}

/* True when there is nothing more to do, or nobody to do it with. */
static bool is_over(struct ingest_feeder *feeder, int last_rc)
{
    struct ingest_client_stats stats;
    ingest_client_stats(feeder->client, &stats);
    pthread_mutex_lock(&feeder->lock);
    feeder->stats.confirmed = stats.confirmed;
    bool delivered = feeder->count == 0 && stats.confirmed == stats.sent;
    bool over = feeder->stopping && (delivered || (last_rc < 0 && stats.live == 0));
    pthread_mutex_unlock(&feeder->lock);
    return over;
}

static void *run(void *context)
{
    struct ingest_feeder *feeder = context;
    uint16_t tag;
    int rc = ingest_client_tag(feeder->client, feeder->tag, &tag);
    while (rc != ERR_CANCELLED && !is_over(feeder, rc)) {
        wait_for_lines(feeder, HEARTBEAT_MS, true);
        rc = ingest_client_connect(feeder->client);
        if (rc == 0) {
            rc = deliver(feeder, tag);
        }
        if (rc < 0 && rc != ERR_CANCELLED) {
            wait_for_lines(feeder, PAUSE_MS, false);
        }
    }
    pthread_mutex_lock(&feeder->lock);
    feeder->done = true;
    pthread_cond_broadcast(&feeder->changed);
    pthread_mutex_unlock(&feeder->lock);
    return NULL;
}

/* ---- life ---- */

/* A thread that takes no signals: they are the main thread's. */
static int start_thread(struct ingest_feeder *feeder)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = pthread_create(&feeder->thread, NULL, run, feeder);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0 ? 0 : err_set_errno(failed, "thread of the self-log");
}

static void free_feeder(struct ingest_feeder *feeder)
{
    for (struct line *line; (line = pop(feeder)) != NULL;) {
        mem_free(line);
    }
    ingest_client_free(&feeder->client);
    pthread_cond_destroy(&feeder->changed);
    pthread_mutex_destroy(&feeder->lock);
    mem_free(feeder->tag);
    mem_free(feeder);
}

int ingest_feeder_start(const struct ingest_feeder_options *options,
                        struct ingest_feeder **ret_feeder)
{
    struct ingest_feeder *feeder = MEM_NEW(struct ingest_feeder);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&feeder->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&feeder->lock, NULL);
    feeder->tag = mem_strdup(options->tag == NULL ? "gravwell" : options->tag);
    struct ingest_client_options client = options->client;
    client.patience_ms = client.patience_ms == 0 ? PATIENCE_MS : client.patience_ms;
    client.connect_ms = client.connect_ms == 0 ? CONNECT_MS : client.connect_ms;
    int rc = ingest_client_new(&client, &feeder->client);
    uint16_t tag;
    rc = rc < 0 ? rc : ingest_client_tag(feeder->client, feeder->tag, &tag);
    rc = rc < 0 ? rc : start_thread(feeder);
    if (rc < 0) {
        free_feeder(feeder);
        return rc;
    }
    *ret_feeder = feeder;
    return 0;
}

void ingest_feeder_stats(struct ingest_feeder *feeder, struct ingest_feeder_stats *ret_stats)
{
    pthread_mutex_lock(&feeder->lock);
    *ret_stats = feeder->stats;
    pthread_mutex_unlock(&feeder->lock);
}

void ingest_feeder_stop(struct ingest_feeder **feeder)
{
    struct ingest_feeder *gone = *feeder;
    if (gone == NULL) {
        return;
    }
    struct timespec at;
    deadline_after(INGEST_FEEDER_STOP_MS, &at);
    pthread_mutex_lock(&gone->lock);
    gone->stopping = true;
    pthread_cond_broadcast(&gone->changed);
    while (!gone->done && pthread_cond_timedwait(&gone->changed, &gone->lock, &at) != ETIMEDOUT) {}
    pthread_mutex_unlock(&gone->lock);
    ingest_client_cancel(gone->client);
    pthread_join(gone->thread, NULL);
    free_feeder(gone);
    *feeder = NULL;
}
