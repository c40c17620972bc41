/* SPDX-License-Identifier: MIT */
/* Which replica of a set runs the next batch: the one that would finish it first. All of it is
 * under the engine's lock, and only where a set has several replicas. */

#include "engine/engine-private.h"

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

gboolean
yolo_schedule_takes (const YoloReplicaSet *set, const YoloReplica *asks, guint size, guint frames,
    gint64 now)
{
  gint64 done[YOLO_MAX_DEVICES], time[YOLO_MAX_DEVICES];
  const guint me = asks - set->replicas, batches = MIN ((frames + size - 1) / size, MAX_AHEAD);

  for (guint i = 0; i < set->engine->n_sites; i++) {
    time[i] = yolo_schedule_time (&set->replicas[i].times, size);
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
yolo_schedule_share (const YoloReplicaSet *set, const YoloReplica *asks, guint size, guint frames)
{
  const gint64 time = yolo_schedule_time (&asks->times, size);
  guint n = 1;

  for (guint i = 0; i < set->engine->n_sites; i++) {
    const YoloReplica *other = &set->replicas[i];

    if (other != asks && other->serves && other->n_batches == 0
        && yolo_schedule_time (&other->times, size) <= 2 * time)
      n++;
  }
  return (frames + n - 1) / n;
}
