/* SPDX-License-Identifier: MIT */
/* The pool: every index once, no two calls with one thread's number at a time,
 * and all done when it returns. */

#include "base/pool.h"

#include <stdatomic.h>

#define MOST 2000u

typedef struct {
  _Atomic guint calls[MOST];    /* by index */
  _Atomic guint inside[16];     /* by thread */
  _Atomic guint others;         /* calls that another thread than the caller's made */
  guint threads, spin;
} Job;

static void
body (gpointer data, guint index, guint thread)
{
  Job *job = data;

  g_assert_cmpuint (thread, <, job->threads);
  g_assert_cmpuint (atomic_fetch_add (&job->inside[thread], 1), ==, 0);
  atomic_fetch_add (&job->calls[index], 1);
  if (thread > 0)
    atomic_fetch_add (&job->others, 1);
  for (volatile guint i = 0; i < job->spin; i++);
  atomic_fetch_sub (&job->inside[thread], 1);
}

static void
test_runs (gconstpointer data)
{
  guint threads = GPOINTER_TO_UINT (data);
  YoloPool *pool = yolo_pool_new (threads);
  Job *job = g_new0 (Job, 1);
  g_autoptr (GRand) rand = g_rand_new_with_seed (threads);

  job->threads = yolo_pool_threads (pool);
  g_assert_cmpuint (job->threads, ==, threads);
  for (guint round = 0; round < 3000; round++) {
    guint n = round % 50 == 0 ? MOST : (guint) g_rand_int_range (rand, 0, 40);

    job->spin = (guint) g_rand_int_range (rand, 0, 300);
    for (guint i = 0; i < n; i++)
      atomic_store (&job->calls[i], 0);
    yolo_pool_run (pool, n, body, job);
    for (guint i = 0; i < n; i++)
      g_assert_cmpuint (atomic_load (&job->calls[i]), ==, 1);
    /* long enough for the others to fall asleep */
    if (round % 500 == 0)
      g_usleep (2000);
  }
  g_assert_true (threads == 1 || atomic_load (&job->others) > 0);
  g_free (job);
  yolo_pool_free (pool);
}

static void
test_defaults (void)
{
  YoloPool *pool = yolo_pool_new (0);

  g_assert_cmpuint (yolo_pool_threads (pool), ==, g_get_num_processors ());
  yolo_pool_free (pool);
  yolo_pool_free (NULL);
}

int
main (int argc, char **argv)
{
  static const guint threads[] = { 1, 2, 3, 8 };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++) {
    g_autofree char *name = g_strdup_printf ("/pool/runs/%u", threads[i]);
    g_test_add_data_func (name, GUINT_TO_POINTER (threads[i]), test_runs);
  }
  g_test_add_func ("/pool/defaults", test_defaults);
  return g_test_run ();
}
