/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolostats.h"

#include <stdlib.h>
#include <string.h>

/* What a frame goes through; stage_names are those in the stats structure. */
enum
{
  STAGE_QUEUED,
  STAGE_PREPROCESS,
  STAGE_NETWORK,
  STAGE_POSTPROCESS,
  STAGE_TOTAL,                  /* from the buffer's arrival until its detections are there */
  N_STAGES
};
static const gchar *const stage_names[N_STAGES] = {
  "queued", "preprocess", "network", "postprocess", "total",
};

#define WINDOW 1024             /* percentiles are those of so many last results */

/* The lock guards all other fields. It is taken three times a frame, for the property
 * can be read at any time; nobody holds it for longer than it takes to copy the
 * samples. */
struct _YoloStats {
  GMutex lock;
  guint64 counters[YOLO_STATS_N_COUNTERS];
  guint64 n_inferred, n_requests;
  gdouble n_batches;            /* sum of this stream's shares in its batches */
  guint last_width, last_height;        /* what the network saw last; 0: nothing yet */
  guint n_samples;              /* up to WINDOW */
  guint64 samples[N_STAGES][WINDOW];    /* ns; a ring */
};

YoloStats *
yolo_stats_new (void)
{
  YoloStats *stats = g_new0 (YoloStats, 1);

  g_mutex_init (&stats->lock);
  return stats;
}

void
yolo_stats_free (YoloStats *stats)
{
  if (stats == NULL)
    return;
  g_mutex_clear (&stats->lock);
  g_free (stats);
}

void
yolo_stats_reset (YoloStats *stats)
{
  g_mutex_lock (&stats->lock);
  memset (stats->counters, 0, sizeof stats->counters);
  stats->n_inferred = stats->n_requests = 0;
  stats->n_batches = 0;
  stats->n_samples = 0;
  stats->last_width = stats->last_height = 0;
  g_mutex_unlock (&stats->lock);
}

void
yolo_stats_count (YoloStats *stats, YoloStatsCounter counter, guint n)
{
  g_mutex_lock (&stats->lock);
  stats->counters[counter] += n;
  g_mutex_unlock (&stats->lock);
}

guint64
yolo_stats_get (YoloStats *stats, YoloStatsCounter counter)
{
  guint64 n;

  g_mutex_lock (&stats->lock);
  n = stats->counters[counter];
  g_mutex_unlock (&stats->lock);
  return n;
}

void
yolo_stats_set_size (YoloStats *stats, guint net_width, guint net_height)
{
  g_mutex_lock (&stats->lock);
  stats->last_width = net_width;
  stats->last_height = net_height;
  g_mutex_unlock (&stats->lock);
}

void
yolo_stats_add_result (
    YoloStats *stats, const YoloResult *result, GstClockTime since, gboolean last)
{
  const GstClockTime total = gst_util_get_timestamp () - since;
  guint at;

  g_mutex_lock (&stats->lock);
  at = stats->n_requests++ % WINDOW;
  stats->n_inferred += last ? 1 : 0;
  stats->n_batches += 1. / MAX (result->batch, 1);
  stats->samples[STAGE_QUEUED][at] = result->queued;
  stats->samples[STAGE_PREPROCESS][at] = result->preprocess;
  stats->samples[STAGE_NETWORK][at] = result->network;
  stats->samples[STAGE_POSTPROCESS][at] = result->postprocess;
  stats->samples[STAGE_TOTAL][at] = total;
  stats->n_samples = MIN (stats->n_samples + 1, WINDOW);
  g_mutex_unlock (&stats->lock);
}

static gint
compare_uint64 (gconstpointer a, gconstpointer b)
{
  const guint64 x = *(const guint64 *) a, y = *(const guint64 *) b;

  return x < y ? -1 : x > y;
}

GstStructure *
yolo_stats_structure (YoloStats *stats)
{
  static const guint percents[] = { 50, 95, 99 };
  g_autofree guint64 *sorted = g_new (guint64, N_STAGES * WINDOW);
  g_autofree gchar *size = NULL;
  GstStructure *s;
  guint stage, i, n;

  g_mutex_lock (&stats->lock);
  n = stats->n_samples;
  size = g_strdup_printf ("%ux%u", stats->last_width, stats->last_height);
  memcpy (sorted, stats->samples, sizeof stats->samples);
  s = gst_structure_new ("yoloinfer-stats",
      "frames", G_TYPE_UINT64, stats->counters[YOLO_STATS_FRAMES],
      "inferred", G_TYPE_UINT64, stats->n_inferred,
      "requests", G_TYPE_UINT64, stats->n_requests,
      "skipped", G_TYPE_UINT64, stats->counters[YOLO_STATS_SKIPPED],
      "gated", G_TYPE_UINT64, stats->counters[YOLO_STATS_GATED],
      "dropped", G_TYPE_UINT64, stats->counters[YOLO_STATS_DROPPED],
      "batches", G_TYPE_UINT64, (guint64) (stats->n_batches + 0.5),
      "mean-batch", G_TYPE_DOUBLE,
      stats->n_batches > 0 ? stats->n_requests / stats->n_batches : 0.,
      "input-size", G_TYPE_STRING, size, NULL);
  g_mutex_unlock (&stats->lock);

  for (stage = 0; stage < N_STAGES; stage++) {
    guint64 *v = sorted + stage * WINDOW;

    qsort (v, n, sizeof *v, compare_uint64);
    for (i = 0; i < G_N_ELEMENTS (percents); i++) {
      g_autofree gchar *name = g_strdup_printf ("%s-p%u", stage_names[stage], percents[i]);

      /* nearest rank */
      gst_structure_set (s, name, G_TYPE_UINT64,
          n > 0 ? v[(n * percents[i] + 99) / 100 - 1] : (guint64) 0, NULL);
    }
  }
  return s;
}
