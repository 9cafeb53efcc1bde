/* A pool of threads that share out the tasks of one loop at a time.

   Swift's own executors give no say over how many threads run and wake them through a queue; a training step
   has thousands of loops of a tenth of a millisecond, so its threads wait a moment before they sleep. */
#ifndef CTHREADPOOL_H
#define CTHREADPOOL_H

typedef struct ctp_pool ctp_pool;
typedef void (*ctp_body)(void *context, long task, long thread);

/* Starts threads - 1 threads; the caller of ctp_run is the last one. Null when a thread cannot be started. */
ctp_pool *ctp_create(long threads);
/* Stops and joins the threads. */
void ctp_destroy(ctp_pool *pool);
/* Calls body for each task in 0 ..< tasks, each once, on any of the threads (0 ..< threads), and returns when
   all are done. Subnormal numbers count as zero meanwhile: they would slow the kernels fourfold. */
void ctp_run(ctp_pool *pool, long tasks, ctp_body body, void *context);
#endif
