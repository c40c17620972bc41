/* SPDX-License-Identifier: MIT */
/* The batch former of a set of replicas: which frames run next, and when. All of it is a
 * function of the set's streams and the time, under the engine's lock. */

#include "engine/engine-private.h"

#include <string.h>

guint
yolo_engine_batch_size (YoloReplicaSet *set)
{
  guint n = 0;

  if (set->engine->batch_size > 0)
    return set->engine->batch_size;
  for (GList *l = set->streams.head; l != NULL && n < YOLO_ENGINE_MAX_BATCH; l = l->next)
    n += MIN (MAX (((YoloStream *) l->data)->parts, 1), YOLO_ENGINE_MAX_BATCH);
  return CLAMP (n, 1, YOLO_ENGINE_MAX_BATCH);
}

static gboolean
is_dropped (const YoloJob *job)
{
  return job->error != NULL || job->number < job->stream->cancelled;
}

static YoloJob *
pop (YoloStream *stream)
{
  YoloJob *job = stream->first;

  stream->first = job->next;
  if (stream->first == NULL)
    stream->last = NULL;
  job->next = NULL;
  return job;
}

YoloJob *
yolo_engine_take_dropped (YoloReplicaSet *set, gint64 until)
{
  for (GList *l = set->streams.head; l != NULL; l = l->next) {
    YoloStream *stream = l->data;

    if (stream->first != NULL && is_dropped (stream->first) && stream->first->submitted <= until)
      return pop (stream);
  }
  return NULL;
}

/* The group that the stream's next frame belongs to, if the next batch may take it; or NULL. */
static YoloGroup *
group_of (YoloReplicaSet *set, const YoloStream *stream)
{
  const YoloJob *job = stream->first;

  if (job == NULL || is_dropped (job) || stream->allowed == 0)
    return NULL;
  for (guint i = 0; i < set->groups->len; i++) {
    YoloGroup *group = &g_array_index (set->groups, YoloGroup, i);

    if (group->width == job->request.net_width && group->height == job->request.net_height)
      return group;
  }
  return NULL;
}

static YoloGroup *
add_group (YoloReplicaSet *set, const YoloJob *job)
{
  YoloGroup group = {
    .width = job->request.net_width, .height = job->request.net_height, .oldest = job->submitted,
  };

  g_array_append_val (set->groups, group);
  return &g_array_index (set->groups, YoloGroup, set->groups->len - 1);
}

void
yolo_engine_give_back (YoloJob *job)
{
  YoloStream *stream = job->stream;
  YoloJob **place = &stream->first;

  while (*place != NULL && (*place)->number < job->number)
    place = &(*place)->next;
  job->next = *place;
  *place = job;
  if (job->next == NULL)
    stream->last = job;
  job->due = TRUE;
  yolo_fair_give_back (stream);
}

/* Counts the frames at the head of a stream that may share its group's batch. */
static void
count_stream (YoloReplicaSet *set, const YoloStream *stream, guint batch_size)
{
  const YoloJob *job = stream->first;
  guint left = stream->allowed;
  YoloGroup *group;

  if (job == NULL || is_dropped (job) || left == 0)
    return;
  group = group_of (set, stream);
  if (group == NULL)
    group = add_group (set, job);
  group->oldest = MIN (group->oldest, job->submitted);
  group->due |= job->due || job->number < stream->drained;
  for (; job != NULL && !is_dropped (job) && group->count < batch_size && left > 0;
       job = job->next) {
    if (job->request.net_width != group->width || job->request.net_height != group->height)
      break;
    group->count++;
    left--;
  }
  group->part |= job == NULL && stream->more > 0;
}

/* Marks the groups that may get another frame of this stream before one of its
 * callbacks: it is expected to keep the size of its last frame. */
static void
expect_stream (YoloReplicaSet *set, const YoloStream *stream)
{
  if (!stream->active || stream->pending >= stream->max_pending
      || stream->returned < stream->drained)
    return;
  for (guint i = 0; i < set->groups->len; i++) {
    YoloGroup *group = &g_array_index (set->groups, YoloGroup, i);

    if (stream->net_width == 0 || (stream->net_width == group->width
            && stream->net_height == group->height))
      group->more = TRUE;
  }
}

/* The stream whose turn it is among those with a frame in @group, or, if that is NULL, in a group
 * that is due; NULL: there is none. */
static YoloStream *
next_stream (YoloReplicaSet *set, const YoloGroup *group)
{
  YoloStream *next = NULL;

  for (GList *l = set->streams.head; l != NULL; l = l->next) {
    const YoloGroup *own = group_of (set, l->data);

    if (own != NULL && (group != NULL ? own == group : own->due)
        && (next == NULL || yolo_fair_before (l->data, next)))
      next = l->data;
  }
  return next;
}

/* Takes @n frames of the group. */
static void
take_frames (YoloReplicaSet *set, const YoloGroup *group, YoloJob **jobs, guint n, gint64 now)
{
  for (guint i = 0; i < n; i++) {
    YoloStream *stream = next_stream (set, group);

    jobs[i] = pop (stream);
    yolo_fair_took (stream, now);
    g_queue_unlink (&set->streams, &stream->link);
    g_queue_push_tail_link (&set->streams, &stream->link);
  }
}

/* The size of the batch that so many frames run in; of the first one where they need several. */
static guint
exec_size (const YoloReplica *replica, const YoloGroup *group, guint frames)
{
  return replica != NULL ? yolo_net_batch_size (replica->net, frames, group->height, group->width)
                         : 1u << (g_bit_storage (frames) - 1);
}

/* Frames that could run in batches of this group now, one after the other. @bring: (out): what they
 * take to be brought to each replica, as yolo_schedule_takes() wants it */
static guint
count_waiting (YoloReplicaSet *set, const YoloGroup *group, gint64 bring[YOLO_MAX_DEVICES])
{
  guint n = 0;

  memset (bring, 0, YOLO_MAX_DEVICES * sizeof *bring);
  for (GList *l = set->streams.head; l != NULL; l = l->next) {
    const YoloStream *stream = l->data;
    guint left = stream->allowed;

    if (group_of (set, stream) != group)
      continue;
    for (const YoloJob *job = stream->first; job != NULL && !is_dropped (job) && left > 0;
         job = job->next, left--) {
      if (job->request.net_width != group->width || job->request.net_height != group->height)
        break;
      for (guint i = 0; i < set->engine->n_sites; i++)
        bring[i] += yolo_schedule_bring (&set->replicas[i], &job->request.frame);
      n++;
    }
  }
  return n;
}

/* How many of @ready frames the replica is to take, as one of several, and in a batch of which
 * size. 0: it leaves them to others before the monotonic time @until. */
static guint
share (YoloReplicaSet *set, const YoloReplica *replica, const YoloGroup *group, guint ready,
    guint *size, gint64 now, gint64 *until)
{
  gint64 bring[YOLO_MAX_DEVICES];
  const guint waiting = count_waiting (set, group, bring);

  if (!yolo_schedule_takes (set, replica, *size, waiting, bring, now)) {
    /* by then the other one may turn out to be late */
    *until = MIN (*until, now + MAX (yolo_schedule_time (&replica->times, *size), 1000));
    return 0;
  }
  ready = MIN (ready, yolo_schedule_share (set, replica, *size, waiting, bring));
  *size = exec_size (replica, group, ready);
  return MIN (ready, *size);
}

guint
yolo_engine_take (YoloReplicaSet *set, const YoloReplica *replica, YoloJob **jobs, guint *size,
    gint64 now, gint64 *until)
{
  guint batch_size = yolo_engine_batch_size (set);
  gint64 timeout = MIN (set->engine->batch_timeout / 1000, G_MAXINT64 / 2);
  YoloStream *first;
  YoloGroup *next;
  guint ready, n;

  yolo_fair_begin (set, replica, now);
  g_array_set_size (set->groups, 0);
  for (GList *l = set->streams.head; l != NULL; l = l->next)
    count_stream (set, l->data, batch_size);
  for (GList *l = set->streams.head; l != NULL; l = l->next)
    expect_stream (set, l->data);

  *until = G_MAXINT64;
  for (guint i = 0; i < set->groups->len; i++) {
    YoloGroup *group = &g_array_index (set->groups, YoloGroup, i);

    /* the rest of a picture comes at once, without a callback or a time in between */
    if (group->part && group->count < batch_size) {
      group->due = FALSE;
      continue;
    }
    group->due |= group->count >= batch_size || !group->more
        || now - group->oldest >= timeout;
    if (!group->due)
      *until = MIN (*until, group->oldest + timeout);
  }

  /* Of the groups that are due the one of the stream whose turn it is: no size waits for another
   * one for ever. */
  first = next_stream (set, NULL);
  if (first == NULL)
    return 0;
  next = group_of (set, first);

  ready = MIN (next->count, batch_size);
  *size = exec_size (replica, next, MIN (ready, YOLO_ENGINE_MAX_BATCH));
  n = MIN (ready, *size);
  if (replica != NULL && set->serving > 1)
    n = share (set, replica, next, MIN (ready, YOLO_ENGINE_MAX_BATCH), size, now, until);
  if (n == 0)
    return 0;
  take_frames (set, next, jobs, n, now);

  /* What is left of the group has waited long enough. */
  if (n < ready)
    for (GList *l = set->streams.head; l != NULL; l = l->next) {
      YoloStream *stream = l->data;

      if (group_of (set, stream) == next)
        stream->first->due = TRUE;
    }
  return n;
}
