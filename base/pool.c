/* SPDX-License-Identifier: MIT */
#include "base/pool.h"

#include <stdatomic.h>

/* How long a thread without work looks for some before it sleeps: longer than
 * the gaps within a network, which are microseconds, and far shorter than a
 * time slice. */
#define SPIN_US 50

struct _YoloPool {
  guint n_threads;
  GThread **threads;            /* n_threads - 1 */

  /* The job. All are written before `ticket`, which names the job in its
   * upper half and the next index in its lower: whoever takes an index by
   * compare-and-swap knows that what it read before belongs to that job. */
  _Atomic (YoloPoolFunc) func;
  _Atomic (gpointer) data;
  _Atomic guint n;
  _Atomic guint64 ticket;
  _Atomic guint done;           /* indices that are through */

  /* How threads that have found no work are put to sleep and woken up. */
  GMutex lock;
  GCond work, finished;
  _Atomic guint sleeping;       /* how many workers are asleep */
  _Atomic gboolean waiting;     /* the caller is asleep, until the job is done */
  _Atomic gboolean stop;
};

typedef struct {
  YoloPool *pool;
  guint thread;
} Worker;

static inline void
relax (void)
{
#if defined (__x86_64__) || defined (__i386__)
  __builtin_ia32_pause ();
#elif defined (__aarch64__)
  __asm__ volatile ("yield");
#endif
}

/* Works on the job of @ticket until none of it is left to begin; returns the ticket then. */
static guint64
work (YoloPool *pool, guint64 ticket, guint thread)
{
  for (;;) {
    YoloPoolFunc func = atomic_load_explicit (&pool->func, memory_order_relaxed);
    gpointer data = atomic_load_explicit (&pool->data, memory_order_relaxed);
    guint n = atomic_load_explicit (&pool->n, memory_order_relaxed), index = (guint) ticket;

    if (index >= n)
      return ticket;
    if (!atomic_compare_exchange_weak_explicit (
            &pool->ticket, &ticket, ticket + 1, memory_order_acq_rel, memory_order_acquire))
      continue;
    func (data, index, thread);
    ticket++;
    if (atomic_fetch_add (&pool->done, 1) + 1 == n && atomic_load (&pool->waiting)) {
      g_mutex_lock (&pool->lock);
      g_cond_signal (&pool->finished);
      g_mutex_unlock (&pool->lock);
    }
  }
}

static gpointer
run_worker (gpointer data)
{
  Worker *worker = data;
  YoloPool *pool = worker->pool;
  guint thread = worker->thread;
  guint64 seen = 0;

  g_free (worker);
  while (!atomic_load (&pool->stop)) {
    gint64 until = 0;
    guint64 now;

    for (guint i = 0; (now = atomic_load_explicit (&pool->ticket, memory_order_acquire)) == seen;
         i++) {
      relax ();
      if (i % 64 != 63)
        continue;
      if (until == 0)
        until = g_get_monotonic_time () + SPIN_US;
      else if (g_get_monotonic_time () > until)
        break;
    }
    if (now != seen) {
      seen = work (pool, now, thread);
      continue;
    }
    g_mutex_lock (&pool->lock);
    atomic_fetch_add (&pool->sleeping, 1);
    while (atomic_load (&pool->ticket) == seen && !atomic_load (&pool->stop))
      g_cond_wait (&pool->work, &pool->lock);
    atomic_fetch_sub (&pool->sleeping, 1);
    g_mutex_unlock (&pool->lock);
  }
  return NULL;
}

static void
wake (YoloPool *pool)
{
  g_mutex_lock (&pool->lock);
  g_cond_broadcast (&pool->work);
  g_mutex_unlock (&pool->lock);
}

YoloPool *
yolo_pool_new (guint threads)
{
  YoloPool *pool = g_new0 (YoloPool, 1);

  pool->n_threads = 1;
  g_mutex_init (&pool->lock);
  g_cond_init (&pool->work);
  g_cond_init (&pool->finished);
  if (threads == 0)
    threads = g_get_num_processors ();
  threads = CLAMP (threads, 1, 1024);
  pool->threads = g_new0 (GThread *, threads);
  while (pool->n_threads < threads) {
    Worker *worker = g_new (Worker, 1);

    *worker = (Worker) { pool, pool->n_threads };
    pool->threads[pool->n_threads - 1] = g_thread_try_new ("yolo-cpu", run_worker, worker, NULL);
    if (pool->threads[pool->n_threads - 1] == NULL) {
      /* the system gave no more threads: the pool works with those that it has */
      g_free (worker);
      break;
    }
    pool->n_threads++;
  }
  return pool;
}

void
yolo_pool_free (YoloPool *pool)
{
  if (pool == NULL)
    return;
  atomic_store (&pool->stop, TRUE);
  wake (pool);
  for (guint i = 0; i + 1 < pool->n_threads; i++)
    g_thread_join (pool->threads[i]);
  g_free (pool->threads);
  g_mutex_clear (&pool->lock);
  g_cond_clear (&pool->work);
  g_cond_clear (&pool->finished);
  g_free (pool);
}

guint
yolo_pool_threads (const YoloPool *pool)
{
  return pool->n_threads;
}

static gboolean
is_done (YoloPool *pool, guint n)
{
  return atomic_load_explicit (&pool->done, memory_order_acquire) == n;
}

void
yolo_pool_run (YoloPool *pool, guint n, YoloPoolFunc func, gpointer data)
{
  guint64 ticket;

  if (pool == NULL || pool->n_threads == 1 || n <= 1) {
    for (guint i = 0; i < n; i++)
      func (data, i, 0);
    return;
  }

  /* While the job is exchanged the index is beyond any n, so that nobody takes one of half a
   * job. */
  ticket = (atomic_load (&pool->ticket) >> 32) + 1;
  atomic_store (&pool->ticket, ticket << 32 | G_MAXUINT32);
  atomic_store_explicit (&pool->done, 0, memory_order_relaxed);
  atomic_store_explicit (&pool->func, func, memory_order_relaxed);
  atomic_store_explicit (&pool->data, data, memory_order_relaxed);
  atomic_store_explicit (&pool->n, n, memory_order_relaxed);
  ticket = (ticket + 1) << 32;
  atomic_store (&pool->ticket, ticket);
  if (atomic_load (&pool->sleeping) > 0)
    wake (pool);

  work (pool, ticket, 0);

  for (gint64 until = g_get_monotonic_time () + SPIN_US; !is_done (pool, n);) {
    for (guint i = 0; i < 64 && !is_done (pool, n); i++)
      relax ();
    if (g_get_monotonic_time () < until)
      continue;
    g_mutex_lock (&pool->lock);
    atomic_store (&pool->waiting, TRUE);
    /* the last worker adds to `done` and then looks at `waiting`: neither may pass the other */
    while (atomic_load (&pool->done) != n)
      g_cond_wait (&pool->finished, &pool->lock);
    atomic_store (&pool->waiting, FALSE);
    g_mutex_unlock (&pool->lock);
  }
}
