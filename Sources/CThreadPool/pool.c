#include "CThreadPool.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__x86_64__)
#include <immintrin.h>
static unsigned flush_subnormals(void) {
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040u); /* flush to zero, denormals are zero */
    return before;
}
static void restore(unsigned before) { _mm_setcsr(before); }
static void pause_briefly(void) { _mm_pause(); }
#else
static unsigned flush_subnormals(void) { return 0; }
static void restore(unsigned before) { (void)before; }
static void pause_briefly(void) {}
#endif

enum { spins = 4000 }; /* about 40 microseconds: longer than the gap between two loops of a step */

struct ctp_pool {
    long threads;
    pthread_t *handles;
    /* The loop that runs now. Written by the caller before `generation` rises. */
    ctp_body body;
    void *context;
    long tasks;
    atomic_long next;       /* the first task that nobody has taken */
    atomic_long working;    /* helpers that have not finished this loop */
    atomic_ulong generation; /* counts loops; a helper that sees it rise takes part */
    atomic_int stopping;
    atomic_int sleepers;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
};

typedef struct {
    ctp_pool *pool;
    long thread;
} helper_start;

static void take_tasks(ctp_pool *pool, long thread) {
    for (;;) {
        const long task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (task >= pool->tasks) return;
        pool->body(pool->context, task, thread);
    }
}

/* Returns the new generation, after spinning and then sleeping for it. */
static unsigned long await_generation(ctp_pool *pool, unsigned long seen) {
    for (int i = 0; i < spins; ++i) {
        const unsigned long now = atomic_load_explicit(&pool->generation, memory_order_acquire);
        if (now != seen) return now;
        pause_briefly();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    unsigned long now;
    while ((now = atomic_load(&pool->generation)) == seen) pthread_cond_wait(&pool->wake, &pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->mutex);
    return now;
}

static void *helper(void *argument) {
    const helper_start start = *(helper_start *)argument;
    free(argument);
    ctp_pool *const pool = start.pool;
    (void)flush_subnormals();
    unsigned long seen = 0;
    for (;;) {
        seen = await_generation(pool, seen);
        if (atomic_load(&pool->stopping)) return NULL;
        take_tasks(pool, start.thread);
        atomic_fetch_sub_explicit(&pool->working, 1, memory_order_release);
    }
}

/* Tells every helper that the generation rose. */
static void announce(ctp_pool *pool) {
    atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->sleepers) == 0) return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

ctp_pool *ctp_create(long threads) {
    ctp_pool *pool = calloc(1, sizeof *pool);
    if (!pool) return NULL;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->threads = 1;
    pool->handles = calloc((size_t)threads, sizeof *pool->handles);
    for (long i = 1; pool->handles && i < threads; ++i) {
        helper_start *start = malloc(sizeof *start);
        if (!start) break;
        *start = (helper_start){pool, i};
        if (pthread_create(&pool->handles[i - 1], NULL, helper, start) != 0) {
            free(start);
            break;
        }
        pool->threads += 1;
    }
    if (pool->threads == threads) return pool;
    ctp_destroy(pool);
    return NULL;
}

void ctp_destroy(ctp_pool *pool) {
    atomic_store(&pool->stopping, 1);
    announce(pool);
    for (long i = 1; i < pool->threads; ++i) pthread_join(pool->handles[i - 1], NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->handles);
    free(pool);
}

void ctp_run(ctp_pool *pool, long tasks, ctp_body body, void *context) {
    const unsigned before = flush_subnormals();
    if (pool->threads == 1 || tasks < 2) {
        for (long i = 0; i < tasks; ++i) body(context, i, 0);
        restore(before);
        return;
    }
    pool->body = body;
    pool->context = context;
    pool->tasks = tasks;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->working, pool->threads - 1, memory_order_relaxed);
    announce(pool);
    take_tasks(pool, 0);
    /* A helper that is not scheduled may take long to report, so this does not spin for ever. */
    for (long i = 0; atomic_load_explicit(&pool->working, memory_order_acquire) != 0; ++i) {
        if (i < spins) pause_briefly();
        else sched_yield();
    }
    restore(before);
}
