/* Threads go to whoever has had the least; nobody is worked on after it was removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "query/pool.h"

struct counting {
    struct query_pool_job job;
    atomic_uint left; /* pieces of work */
    atomic_uint done;
    unsigned piece_us;
    bool shares;            /* the only thread of its pool */
    struct counting *other; /* with this one, which began before it; or NULL */
    /* By the pool's own clock: what this one had had when its last piece began, its longest piece
     * before that, by how much more than that of the other the other was ever ahead. */
    uint64_t begun_ns, longest_ns, unfair_ns;
};

static void note_share(struct counting *counting)
{
    const struct counting *other = counting->other;
    uint64_t had_ns = counting->job.used_ns;
    if (other != NULL && atomic_load(&other->done) > 0) {
        uint64_t last_ns = other->job.used_ns - other->begun_ns;
        uint64_t fair_ns = had_ns + MAX(other->longest_ns, last_ns);
        uint64_t ahead_ns = other->job.used_ns - MIN(other->job.used_ns, fair_ns);
        counting->unfair_ns = MAX(counting->unfair_ns, ahead_ns);
    }
    counting->longest_ns = MAX(counting->longest_ns, had_ns - counting->begun_ns);
    counting->begun_ns = had_ns;
}

static bool work(struct query_pool_job *job)
{
    struct counting *counting = CONTAINER_OF(job, struct counting, job);
    unsigned left = atomic_load(&counting->left);
    while (left > 0 && !atomic_compare_exchange_weak(&counting->left, &left, left - 1)) {}
    if (left == 0) {
        return false;
    }
    if (counting->shares) {
        note_share(counting);
    }
    usleep(counting->piece_us);
    atomic_fetch_add(&counting->done, 1);
    return true;
}

static void wait_for(atomic_uint *count, unsigned wanted)
{
    for (int looks = 0; atomic_load(count) < wanted; looks++) {
        assert_true(looks < 300000); /* half a minute at least */
        usleep(100);
    }
}

static void all_work_of_all_jobs_is_done(void **state)
{
    (void)state;
    struct counting jobs[5] = {0};
    struct query_pool *pool = query_pool_new(3);
    assert_int_equal(query_pool_threads(pool), 3);
    for (size_t i = 0; i < 5; i++) {
        jobs[i].job.work = work;
        atomic_store(&jobs[i].left, 50);
        query_pool_add(pool, &jobs[i].job);
    }
    for (size_t i = 0; i < 5; i++) {
        wait_for(&jobs[i].done, 50);
    }
    for (int round = 1; round < 20; round++) { /* idle ones come back when they are woken */
        for (size_t i = 0; i < 5; i++) {
            atomic_fetch_add(&jobs[i].left, 1);
            query_pool_wake(pool, &jobs[i].job);
        }
        for (size_t i = 0; i < 5; i++) {
            wait_for(&jobs[i].done, (unsigned)(50 + round));
        }
    }
    for (size_t i = 0; i < 5; i++) {
        query_pool_remove(pool, &jobs[i].job);
        unsigned done = atomic_load(&jobs[i].done);
        atomic_store(&jobs[i].left, 10);
        query_pool_wake(pool, &jobs[i].job);
        assert_int_equal(atomic_load(&jobs[i].done), done);
    }
    query_pool_free(&pool);
}

/* One thread, a job without end, then a short one: whatever their pieces take, the other is never
 * ahead of it by more than one piece. */
static void a_long_job_does_not_hold_up_a_short_one(void **state)
{
    (void)state;
    struct counting endless = {.job = {.work = work}, .piece_us = 3000, .shares = true};
    struct counting brief = {
        .job = {.work = work}, .piece_us = 1000, .shares = true, .other = &endless};
    struct query_pool *pool = query_pool_new(1);
    atomic_store(&endless.left, UINT32_MAX);
    atomic_store(&brief.left, 20);
    query_pool_add(pool, &endless.job);
    wait_for(&endless.done, 10);
    query_pool_add(pool, &brief.job);
    wait_for(&brief.done, 20);
    query_pool_remove(pool, &endless.job);
    query_pool_remove(pool, &brief.job);
    query_pool_free(&pool);
    assert_int_equal(brief.unfair_ns, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_work_of_all_jobs_is_done),
        cmocka_unit_test(a_long_job_does_not_hold_up_a_short_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
