#include "query/pool.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/vec.h"

struct query_pool {
    pthread_mutex_t lock;
    pthread_cond_t work;    /* a job is not idle any more, or the end has come */
    pthread_cond_t outside; /* a thread has left a job that was removed */
    VEC(struct query_pool_job *) jobs;
    pthread_t *threads;
    size_t thread_count;
    uint64_t level_ns; /* what the job chosen last had had: who comes new or back stands there */
    bool stopping;
};

static uint64_t clock_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* The job that has had the least, of those with something to do. */
static struct query_pool_job *choose(struct query_pool *pool)
{
    struct query_pool_job *best = NULL;
    for (size_t i = 0; i < pool->jobs.count; i++) {
        struct query_pool_job *job = pool->jobs.items[i];
        if (!job->idle && (best == NULL || job->used_ns < best->used_ns)) {
            best = job;
        }
    }
    pool->level_ns = best == NULL ? pool->level_ns : best->used_ns;
    return best;
}

/* Under the lock, which is let go while the job works. */
static void serve(struct query_pool *pool, struct query_pool_job *job)
{
    uint64_t wakes = job->wakes;
    job->inside++;
    CHECK(pthread_mutex_unlock(&pool->lock) == 0);
    uint64_t begin = clock_ns();
    bool worked = job->work(job);
    uint64_t used = clock_ns() - begin;
    CHECK(pthread_mutex_lock(&pool->lock) == 0);
    job->used_ns += used;
    job->inside--;
    if (worked && job->idle) { /* what was done may have made work for the others */
        job->idle = false;
        CHECK(pthread_cond_broadcast(&pool->work) == 0);
    } else if (!worked && wakes == job->wakes) {
        job->idle = true;
    }
    if (job->removed) {
        CHECK(pthread_cond_broadcast(&pool->outside) == 0);
    }
}

static void *run(void *context)
{
    struct query_pool *pool = context;
    CHECK(pthread_mutex_lock(&pool->lock) == 0);
    while (!pool->stopping) {
        struct query_pool_job *job = choose(pool);
        if (job != NULL) {
            serve(pool, job);
        } else {
            CHECK(pthread_cond_wait(&pool->work, &pool->lock) == 0);
        }
    }
    CHECK(pthread_mutex_unlock(&pool->lock) == 0);
    return NULL;
}

struct query_pool *query_pool_new(size_t threads)
{
    struct query_pool *pool = MEM_NEW(struct query_pool);
    CHECK(threads > 0);
    CHECK(pthread_mutex_init(&pool->lock, NULL) == 0);
    CHECK(pthread_cond_init(&pool->work, NULL) == 0);
    CHECK(pthread_cond_init(&pool->outside, NULL) == 0);
    pool->threads = mem_alloc_array(threads, sizeof(*pool->threads));
    for (; pool->thread_count < threads; pool->thread_count++) {
        CHECK(pthread_create(&pool->threads[pool->thread_count], NULL, run, pool) == 0);
    }
    return pool;
}

void query_pool_free(struct query_pool **place)
{
    struct query_pool *pool = *place;
    *place = NULL;
    if (pool == NULL) {
        return;
    }
    CHECK(pthread_mutex_lock(&pool->lock) == 0);
    CHECK(pool->jobs.count == 0);
    pool->stopping = true;
    CHECK(pthread_cond_broadcast(&pool->work) == 0);
    CHECK(pthread_mutex_unlock(&pool->lock) == 0);
    for (size_t i = 0; i < pool->thread_count; i++) {
        CHECK(pthread_join(pool->threads[i], NULL) == 0);
    }
    vec_deinit(&pool->jobs);
    CHECK(pthread_cond_destroy(&pool->outside) == 0);
    CHECK(pthread_cond_destroy(&pool->work) == 0);
    CHECK(pthread_mutex_destroy(&pool->lock) == 0);
    mem_free(pool->threads);
    mem_free(pool);
}

size_t query_pool_threads(const struct query_pool *pool)
{
    return pool->thread_count;
}

void query_pool_add(struct query_pool *pool, struct query_pool_job *job)
{
    CHECK(pthread_mutex_lock(&pool->lock) == 0);
    job->used_ns = pool->level_ns;
    vec_push(&pool->jobs, job);
    CHECK(pthread_cond_broadcast(&pool->work) == 0);
    CHECK(pthread_mutex_unlock(&pool->lock) == 0);
}

void query_pool_wake(struct query_pool *pool, struct query_pool_job *job)
{
    CHECK(pthread_mutex_lock(&pool->lock) == 0);
    job->wakes++;
    if (job->idle) {
        job->idle = false;
        job->used_ns = MAX(job->used_ns, pool->level_ns); /* time not taken is not kept */
        CHECK(pthread_cond_broadcast(&pool->work) == 0);
    }
    CHECK(pthread_mutex_unlock(&pool->lock) == 0);
}

void query_pool_remove(struct query_pool *pool, struct query_pool_job *job)
{
    CHECK(pthread_mutex_lock(&pool->lock) == 0);
    job->removed = true;
    for (size_t i = 0; i < pool->jobs.count; i++) {
        if (pool->jobs.items[i] == job) {
            vec_remove_swap(&pool->jobs, i);
            break;
        }
    }
    while (job->inside > 0) {
        CHECK(pthread_cond_wait(&pool->outside, &pool->lock) == 0);
    }
    CHECK(pthread_mutex_unlock(&pool->lock) == 0);
}
