/* SPDX-License-Identifier: MIT */
#include "pipelines/server/counts.h"

#include <stdlib.h>
#include <string.h>

#define MAX_WAITING 8           /* frames that came and may still be taken: the queue holds one, and
                                   one or two more may be on their way in or out of it */
#define MAX_UNDER_WAY 80        /* frames that were taken: yoloinfer has 64 at most under way */
#define SMOOTH .5               /* how much the last second counts in frames a second */

#define RECENT 256              /* of each latency, for percentiles */

const double yolo_bounds[YOLO_N_BOUNDS] = {
  .005, .01, .02, .035, .05, .075, .1, .15, .25, .5, 1, 2.5,
};

typedef struct {
  GstClockTime pts;
  gint64 came;                  /* us, monotonic */
} Frame;

/* The lock is one camera's own. It is taken three times a frame, since the main thread reads
 * while streaming threads count, and held for as long as it takes to add. */
struct _YoloCounts {
  gatomicrefcount references;
  GMutex lock;
  YoloCountsNow now;
  Frame waiting[MAX_WAITING];   /* the oldest first */
  guint n_waiting;
  Frame taken[MAX_UNDER_WAY];   /* the oldest first */
  guint n_taken;
  Frame inferred;               /* the last one */
  float recent[YOLO_N_LATENCIES][RECENT];       /* seconds, a ring of each */
  guint64 measured[YOLO_N_LATENCIES];
  guint64 ticked_frames, ticked_inferred, ticked_dropped;
  double ticked_latency;
  gint64 ticked;                /* us */
};

YoloCounts *
yolo_counts_new (void)
{
  YoloCounts *counts = g_new0 (YoloCounts, 1);

  g_atomic_ref_count_init (&counts->references);
  g_mutex_init (&counts->lock);
  counts->ticked = g_get_monotonic_time ();
  return counts;
}

YoloCounts *
yolo_counts_ref (YoloCounts *counts)
{
  g_atomic_ref_count_inc (&counts->references);
  return counts;
}

void
yolo_counts_unref (YoloCounts *counts)
{
  if (counts == NULL || !g_atomic_ref_count_dec (&counts->references))
    return;
  g_mutex_clear (&counts->lock);
  g_free (counts);
}

void
yolo_counts_begin (YoloCounts *counts)
{
  g_mutex_lock (&counts->lock);
  counts->n_waiting = counts->n_taken = 0;
  g_mutex_unlock (&counts->lock);
}

/* Takes the first frames out of a list. */
static void
remove_first (Frame *frames, guint *n, guint gone)
{
  *n -= gone;
  memmove (frames, frames + gone, *n * sizeof *frames);
}

/* Where a frame is in a list; the list's length if it is not there. */
static guint
find (const Frame *frames, guint n, GstClockTime pts)
{
  guint i = 0;

  while (i < n && frames[i].pts != pts)
    i++;
  return i;
}

void
yolo_counts_came (YoloCounts *counts, GstClockTime pts)
{
  const gint64 now = g_get_monotonic_time ();

  g_mutex_lock (&counts->lock);
  counts->now.frames++;
  counts->now.last = now;
  if (counts->n_waiting == MAX_WAITING) {
    remove_first (counts->waiting, &counts->n_waiting, 1);
    counts->now.dropped++;
  }
  counts->waiting[counts->n_waiting++] = (Frame) { pts, now };
  g_mutex_unlock (&counts->lock);
}

void
yolo_counts_taken (YoloCounts *counts, GstClockTime pts)
{
  guint at;

  g_mutex_lock (&counts->lock);
  at = find (counts->waiting, counts->n_waiting, pts);
  if (at < counts->n_waiting) {
    counts->now.dropped += at;
    if (counts->n_taken == MAX_UNDER_WAY)
      remove_first (counts->taken, &counts->n_taken, 1);
    counts->taken[counts->n_taken++] = counts->waiting[at];
    remove_first (counts->waiting, &counts->n_waiting, at + 1);
  }
  g_mutex_unlock (&counts->lock);
}

/* With the lock held. */
static void
add_latency (YoloCounts *counts, YoloLatency which, double seconds)
{
  YoloHistogram *histogram = &counts->now.latency[which];
  guint bucket = 0;

  while (bucket < YOLO_N_BOUNDS && seconds > yolo_bounds[bucket])
    bucket++;
  histogram->bucket[bucket]++;
  histogram->sum += seconds;
  counts->recent[which][counts->measured[which]++ % RECENT] = (float) seconds;
}

void
yolo_counts_inferred (
    YoloCounts *counts, GstClockTime pts, guint objects, double age, gboolean sent_time)
{
  const gint64 now = g_get_monotonic_time ();
  guint at;

  g_mutex_lock (&counts->lock);
  counts->now.inferred++;
  counts->now.objects += objects;
  at = find (counts->taken, counts->n_taken, pts);
  if (at < counts->n_taken) {
    counts->inferred = counts->taken[at];
    add_latency (counts, YOLO_LATENCY_DECODED, (now - counts->inferred.came) / 1e6);
    add_latency (counts, YOLO_LATENCY_OBJECTS,
        age >= 0 ? age : (now - counts->inferred.came) / 1e6);
    counts->now.sent_time = sent_time;
    remove_first (counts->taken, &counts->n_taken, at + 1);
  }
  g_mutex_unlock (&counts->lock);
}

void
yolo_counts_events (YoloCounts *counts, GstClockTime pts, double age)
{
  const gint64 now = g_get_monotonic_time ();

  g_mutex_lock (&counts->lock);
  if (age >= 0)
    add_latency (counts, YOLO_LATENCY_EVENTS, age);
  else if (counts->inferred.pts == pts)
    add_latency (counts, YOLO_LATENCY_EVENTS, (now - counts->inferred.came) / 1e6);
  g_mutex_unlock (&counts->lock);
}

static int
compare (const void *a, const void *b)
{
  const float x = *(const float *) a, y = *(const float *) b;

  return (x > y) - (x < y);
}

gboolean
yolo_counts_percentiles (YoloCounts *counts, YoloLatency which, double *median, double *p95)
{
  float sorted[RECENT];
  guint n;

  g_mutex_lock (&counts->lock);
  n = MIN (counts->measured[which], RECENT);
  memcpy (sorted, counts->recent[which], n * sizeof *sorted);
  g_mutex_unlock (&counts->lock);
  if (n == 0)
    return FALSE;
  qsort (sorted, n, sizeof *sorted, compare);
  *median = sorted[n / 2];
  *p95 = sorted[MIN (n * 95 / 100, n - 1)];
  return TRUE;
}

void
yolo_counts_pipeline (YoloCounts *counts, gint change)
{
  g_mutex_lock (&counts->lock);
  counts->now.pipelines += change;
  g_mutex_unlock (&counts->lock);
}

void
yolo_counts_size (YoloCounts *counts, gint width, gint height)
{
  g_mutex_lock (&counts->lock);
  counts->now.width = width;
  counts->now.height = height;
  g_mutex_unlock (&counts->lock);
}

void
yolo_counts_encoded (YoloCounts *counts, gsize bytes)
{
  g_mutex_lock (&counts->lock);
  counts->now.bytes += bytes;
  g_mutex_unlock (&counts->lock);
}

static void
smooth (double *fps, guint64 n, double seconds)
{
  *fps += SMOOTH * (n / seconds - *fps);
  if (n == 0 && *fps < .05)
    *fps = 0;
}

void
yolo_counts_tick (YoloCounts *counts)
{
  YoloCountsNow *now = &counts->now;
  const gint64 time = g_get_monotonic_time ();
  double seconds;

  g_mutex_lock (&counts->lock);
  seconds = MAX (time - counts->ticked, 1000) / 1e6;
  smooth (&now->fps_in, now->frames - counts->ticked_frames, seconds);
  smooth (&now->fps_inferred, now->inferred - counts->ticked_inferred, seconds);
  smooth (&now->fps_dropped, now->dropped - counts->ticked_dropped, seconds);
  if (now->inferred > counts->ticked_inferred)
    now->latency_recent = (now->latency[YOLO_LATENCY_DECODED].sum - counts->ticked_latency)
        / (now->inferred - counts->ticked_inferred);
  counts->ticked = time;
  counts->ticked_frames = now->frames;
  counts->ticked_inferred = now->inferred;
  counts->ticked_dropped = now->dropped;
  counts->ticked_latency = now->latency[YOLO_LATENCY_DECODED].sum;
  g_mutex_unlock (&counts->lock);
}

YoloCountsNow
yolo_counts_read (YoloCounts *counts)
{
  YoloCountsNow now;

  g_mutex_lock (&counts->lock);
  now = counts->now;
  g_mutex_unlock (&counts->lock);
  return now;
}
