/* SPDX-License-Identifier: MIT */
/* GLib's mutexes and conditions by pthread's, for programs checked by
 * ThreadSanitizer or helgrind: GLib builds its own on futexes, where these see
 * no lock and report every access. Linked into the program, these come first. */

#include <glib.h>
#include <pthread.h>

void
g_mutex_init (GMutex *mutex)
{
  pthread_mutex_t *m = g_new (pthread_mutex_t, 1);

  pthread_mutex_init (m, NULL);
  g_atomic_pointer_set (&mutex->p, m);
}

void
g_mutex_clear (GMutex *mutex)
{
  if (mutex->p != NULL)
    pthread_mutex_destroy (mutex->p);
  g_clear_pointer (&mutex->p, g_free);
}

/* A static one is made by its first user. */
static pthread_mutex_t *
get_mutex (GMutex *mutex)
{
  static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_t *m = __atomic_load_n (&mutex->p, __ATOMIC_ACQUIRE);

  if (m == NULL) {
    pthread_mutex_lock (&making);
    if (mutex->p == NULL)
      g_mutex_init (mutex);
    m = mutex->p;
    pthread_mutex_unlock (&making);
  }
  return m;
}

void
g_mutex_lock (GMutex *mutex)
{
  pthread_mutex_lock (get_mutex (mutex));
}

void
g_mutex_unlock (GMutex *mutex)
{
  pthread_mutex_unlock (get_mutex (mutex));
}

void
g_cond_init (GCond *cond)
{
  pthread_cond_t *c = g_new (pthread_cond_t, 1);
  pthread_condattr_t attributes;

  pthread_condattr_init (&attributes);
  pthread_condattr_setclock (&attributes, CLOCK_MONOTONIC);
  pthread_cond_init (c, &attributes);
  pthread_condattr_destroy (&attributes);
  g_atomic_pointer_set (&cond->p, c);
}

void
g_cond_clear (GCond *cond)
{
  if (cond->p != NULL)
    pthread_cond_destroy (cond->p);
  g_clear_pointer (&cond->p, g_free);
}

static pthread_cond_t *
get_cond (GCond *cond)
{
  static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t *c = __atomic_load_n (&cond->p, __ATOMIC_ACQUIRE);

  if (c == NULL) {
    pthread_mutex_lock (&making);
    if (cond->p == NULL)
      g_cond_init (cond);
    c = cond->p;
    pthread_mutex_unlock (&making);
  }
  return c;
}

void
g_cond_wait (GCond *cond, GMutex *mutex)
{
  pthread_cond_wait (get_cond (cond), get_mutex (mutex));
}

gboolean
g_cond_wait_until (GCond *cond, GMutex *mutex, gint64 end_time)
{
  struct timespec at = { end_time / G_USEC_PER_SEC, end_time % G_USEC_PER_SEC * 1000 };

  return pthread_cond_timedwait (get_cond (cond), get_mutex (mutex), &at) == 0;
}

void
g_cond_signal (GCond *cond)
{
  pthread_cond_signal (get_cond (cond));
}

void
g_cond_broadcast (GCond *cond)
{
  pthread_cond_broadcast (get_cond (cond));
}
