/* SPDX-License-Identifier: MIT */
/* Which replica of a set runs the next batch: the one that would finish it first. All of it is
 * under the engine's lock, and only where a set has several replicas. */

#include "engine/engine-private.h"
#include "image/sample.h"
#include "network/stages.h"

/* Of a mean of times, which follows a device whose speed changes: how many times count. */
#define MEAN_OF 8

/* Batches to look ahead at most. By then a replica that is not chosen is that much slower than
 * the others that it makes no difference. */
#define MAX_AHEAD 64

static guint
size_index (guint size)
{
  return g_bit_storage (size) - 1;
}

gint64
yolo_schedule_time (const YoloBatchTimes *times, guint size)
{
  const guint wanted = size_index (size);

  for (guint distance = 0; distance < YOLO_ENGINE_BATCH_SIZES; distance++) {
    if (wanted >= distance && times->n[wanted - distance] > 1)
      return times->mean[wanted - distance] << distance;
    if (wanted + distance < YOLO_ENGINE_BATCH_SIZES && times->n[wanted + distance] > 1)
      return times->mean[wanted + distance] >> distance;
  }
  return 0;
}

void
yolo_schedule_measured (YoloBatchTimes *times, guint size, gint64 time)
{
  const guint i = size_index (size);

  times->n[i]++;
  if (times->n[i] <= 2)
    times->mean[i] = time;
  else
    times->mean[i] += (time - times->mean[i]) / MEAN_OF;
}

/* When a replica will be done with what it has under way, as far as one can tell. What is late is
 * expected to take as long again as it is late. */
static gint64
free_at (const YoloReplica *replica, gint64 now)
{
  if (replica->n_batches == 0)
    return now;
  return replica->free_at >= now ? replica->free_at : now + (now - replica->free_at);
}

gint64
yolo_schedule_bring (const YoloReplica *replica, const YoloFrame *frame)
{
  const YoloLayout *layout = &yolo_layouts[frame->format];
  gint64 bytes = 0;

  if (frame->memory == YOLO_MEMORY_HOST || replica->site.at[0].device == frame->device)
    return 0;
  for (int i = 0; i < layout->n_components; i++)
    bytes += (gint64) (frame->width >> layout->component[i].x_shift)
        * (frame->height >> layout->component[i].y_shift) * (layout->bits > 8 ? 2 : 1);
  return (gint64) ((double) bytes / YOLO_STAGE_LINK * G_USEC_PER_SEC);
}

/* How long a replica takes for a batch of this size, its part of the @frames that wait brought to
 * its device first. @bring: microseconds that all of these take to be brought there */
static gint64
batch_time (const YoloReplica *replica, guint size, guint frames, gint64 bring)
{
  return yolo_schedule_time (&replica->times, size) + bring * MIN (size, frames) / MAX (frames, 1);
}

gboolean
yolo_schedule_takes (const YoloReplicaSet *set, const YoloReplica *asks, guint size, guint frames,
    const gint64 *bring, gint64 now)
{
  gint64 done[YOLO_MAX_DEVICES], time[YOLO_MAX_DEVICES];
  const guint me = asks - set->replicas, batches = MIN ((frames + size - 1) / size, MAX_AHEAD);

  for (guint i = 0; i < set->engine->n_sites; i++) {
    time[i] = batch_time (&set->replicas[i], size, frames, bring[i]);
    done[i] = free_at (&set->replicas[i], now) + time[i];
  }
  /* Every batch goes where it is done first; those that others would have done before @asks has
   * done one are left to them. */
  for (guint batch = 0; batch < batches; batch++) {
    guint best = me;

    for (guint i = 0; i < set->engine->n_sites; i++)
      if (set->replicas[i].serves && done[i] < done[best])
        best = i;
    if (best == me)
      return TRUE;
    done[best] += time[best];
  }
  return FALSE;
}

guint
yolo_schedule_share (const YoloReplicaSet *set, const YoloReplica *asks, guint size, guint frames,
    const gint64 *bring)
{
  const gint64 time = batch_time (asks, size, frames, bring[asks - set->replicas]);
  guint n = 1;

  for (guint i = 0; i < set->engine->n_sites; i++) {
    const YoloReplica *other = &set->replicas[i];

    if (other != asks && other->serves && other->n_batches == 0
        && batch_time (other, size, frames, bring[i]) <= 2 * time)
      n++;
  }
  return (frames + n - 1) / n;
}
