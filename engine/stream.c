/* SPDX-License-Identifier: MIT */
/* What a stream's user sees: frames in, callbacks out. */

#include "engine/engine-private.h"
#include "image/sample.h"

#include <string.h>

static void
add_unused (YoloStream *stream)
{
  YoloJob *job = g_new0 (YoloJob, 1);

  job->stream = stream;
  job->next = stream->unused;
  stream->unused = job;
}

static void
free_jobs (YoloJob *job)
{
  while (job != NULL) {
    YoloJob *next = job->next;

    g_free (job->kept);
    yolo_details_room_clear (&job->kept_details);
    g_free (job);
    job = next;
  }
}

YoloStream *
yolo_engine_open_stream (YoloEngine *engine, gpointer cuda_context, guint max_pending,
    YoloResultFunc func, gpointer user_data)
{
  YoloReplicaSet *set = yolo_replica_set_enter (engine, cuda_context);
  YoloStream *stream;

  g_return_val_if_fail (set != NULL, NULL);
  stream = g_new0 (YoloStream, 1);
  stream->set = set;
  stream->engine = engine;
  stream->func = func;
  stream->user_data = user_data;
  stream->max_pending = MAX (max_pending, 1);
  stream->link.data = stream;
  /* One more for the frame whose callback submits the next one. */
  for (guint i = 0; i <= stream->max_pending; i++)
    add_unused (stream);

  g_mutex_lock (&engine->lock);
  yolo_fair_open (stream);
  g_queue_push_tail_link (&set->streams, &stream->link);
  engine->stats.streams++;
  g_mutex_unlock (&engine->lock);
  return stream;
}

/* Calls back one frame, whose turn it is. Called and left with the lock held. */
static void
call_back (YoloStream *stream, YoloJob *job, const YoloResult *result)
{
  YoloEngine *engine = stream->engine;

  if (job->request.more == 0)
    stream->pending--;
  g_mutex_unlock (&engine->lock);
  stream->func (stream->user_data, job->tag, result);
  g_mutex_lock (&engine->lock);

  g_clear_error (&job->result_error);
  job->next = stream->unused;
  stream->unused = job;
  stream->returned++;
  if (engine->waiting > 0)
    g_cond_broadcast (&engine->done);
}

/* Copies what came of a frame, which lies in memory of the replica, for later.
 * Called with the lock held; it allocates where replicas overtake each other
 * for the first time. */
static void
keep_result (YoloStream *stream, YoloJob *job, const YoloResult *result)
{
  YoloJob **place = &stream->finished;

  if (job->kept_room < result->n_detections) {
    job->kept_room = result->n_detections;
    job->kept = g_renew (YoloObject, job->kept, job->kept_room);
  }
  if (result->n_detections > 0)
    memcpy (job->kept, result->detections, result->n_detections * sizeof *job->kept);
  job->result = *result;
  job->result.detections = result->detections != NULL ? job->kept : NULL;
  if (result->details != NULL) {
    yolo_details_copy (&job->kept_details, result->details, result->n_detections);
    job->result.details = &job->kept_details.found;
  }
  job->result_error = result->error != NULL ? g_error_copy (result->error) : NULL;
  job->result.error = job->result_error;

  while (*place != NULL && (*place)->number < job->number)
    place = &(*place)->next;
  job->next = *place;
  *place = job;
}

void
yolo_stream_finish (YoloStream *stream, YoloJob *job, const YoloResult *result)
{
  YoloEngine *engine = stream->engine;

  g_mutex_lock (&engine->lock);
  if (stream->calling || job->number != stream->returned) {
    keep_result (stream, job, result);
  } else {
    stream->calling = TRUE;
    call_back (stream, job, result);
    while (stream->finished != NULL && stream->finished->number == stream->returned) {
      job = stream->finished;
      stream->finished = job->next;
      call_back (stream, job, &job->result);
    }
    /* From the next unlock on, who waits for the last frame may close the stream. */
    stream->calling = FALSE;
  }
  g_mutex_unlock (&engine->lock);
}

/* Waits until the callbacks of the frames before @number have returned. With the lock held. */
static void
wait_for (YoloStream *stream, guint64 number)
{
  YoloEngine *engine = stream->engine;

  g_cond_broadcast (&engine->work);
  engine->waiting++;
  while (stream->returned < number)
    g_cond_wait (&engine->done, &engine->lock);
  engine->waiting--;
}

void
yolo_stream_close (YoloStream *stream)
{
  YoloReplicaSet *set;
  YoloEngine *engine;

  if (stream == NULL)
    return;
  set = stream->set;
  engine = stream->engine;
  g_return_if_fail (!yolo_engine_is_own_thread (engine));

  g_mutex_lock (&engine->lock);
  stream->active = FALSE;
  stream->cancelled = stream->submitted;
  wait_for (stream, stream->submitted);
  g_queue_unlink (&set->streams, &stream->link);
  engine->stats.streams--;
  g_cond_broadcast (&engine->work);        /* there is one less to wait for */
  g_mutex_unlock (&engine->lock);

  free_jobs (stream->unused);
  g_free (stream);
  yolo_replica_set_leave (set);
}

void
yolo_stream_set_max_pending (YoloStream *stream, guint max_pending)
{
  YoloEngine *engine = stream->engine;

  g_mutex_lock (&engine->lock);
  while (stream->max_pending < max_pending) {
    add_unused (stream);
    stream->max_pending++;
  }
  stream->max_pending = MAX (max_pending, 1);
  g_cond_broadcast (&engine->work);
  g_mutex_unlock (&engine->lock);
}

void
yolo_stream_set_active (YoloStream *stream, gboolean active)
{
  YoloEngine *engine = stream->engine;

  g_mutex_lock (&engine->lock);
  stream->active = active;
  g_cond_broadcast (&engine->work);
  g_mutex_unlock (&engine->lock);
}

void
yolo_stream_set_share (YoloStream *stream, double weight, double min_rate)
{
  YoloEngine *engine = stream->engine;

  g_return_if_fail (weight > 0 && min_rate >= 0);
  g_mutex_lock (&engine->lock);
  yolo_fair_set (stream, weight, min_rate);
  g_cond_broadcast (&engine->work);
  g_mutex_unlock (&engine->lock);
}

/* Why a replica cannot read a frame in a device's memory, or NULL. Any replica of the set may
 * be the one that runs it, so that each is asked. */
static GError *
check_device_frame (const YoloReplica *replica, const YoloFrame *frame)
{
  YoloEngine *engine = replica->engine;
  gint unknown;

  if (!yolo_backend_takes (replica->site.at[0].backend, frame->memory))
    return g_error_new (G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
        "A frame in CUDA memory, but the network runs on the CPU; use device=cuda, or cudadownload "
        "before");
  /* of several replicas, each may lose its net; only those who submit frames that lie on a device
   * wait here for the time of a query */
  if (engine->n_sites > 1)
    g_mutex_lock (&engine->lock);
  unknown = replica->net != NULL ? yolo_net_unknown_plane (replica->net, frame) : -1;
  if (engine->n_sites > 1)
    g_mutex_unlock (&engine->lock);
  if (unknown >= 0)
    return g_error_new (G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
        "A frame whose plane %d, at %p, is not in the memory of any CUDA device", unknown,
        frame->plane[unknown]);
  return NULL;
}

/* What is wrong with a request, or NULL. One wrong frame must not fail the batch that it would
 * share with others. */
static GError *
check_request (const YoloReplicaSet *set, const YoloRequest *request)
{
  const YoloFrame *frame = &request->frame;

  if (frame->format >= YOLO_N_FORMATS)
    return g_error_new (G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
        "A frame of unknown pixel format %d", frame->format);
  if (frame->width < 1 || frame->height < 1)
    return g_error_new (G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
        "A frame of %dx%d pixels", frame->width, frame->height);
  if ((frame->crop.width != 0 || frame->crop.height != 0)
      && (frame->crop.x < 0 || frame->crop.y < 0
          || frame->crop.width < 1 || frame->crop.height < 1
          || frame->crop.width > frame->width || frame->crop.x > frame->width - frame->crop.width
          || frame->crop.height > frame->height
          || frame->crop.y > frame->height - frame->crop.height))
    return g_error_new (G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
        "The region of %dx%d pixels at %d,%d is not inside the frame of %dx%d",
        frame->crop.width, frame->crop.height, frame->crop.x, frame->crop.y,
        frame->width, frame->height);
  for (gint i = 0; i < yolo_layouts[frame->format].n_components && frame->unpack == NULL; i++)
    if (frame->plane[yolo_layouts[frame->format].component[i].plane] == NULL)
      return g_error_new (G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
          "A frame without memory for plane %d", yolo_layouts[frame->format].component[i].plane);
  if (request->net_width == 0 || request->net_height == 0)
    return g_error_new (G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
        "A network input of %ux%u pixels", request->net_width, request->net_height);
  if (frame->memory == YOLO_MEMORY_HOST)
    return NULL;
  for (guint i = 0; i < set->engine->n_sites; i++) {
    GError *error = check_device_frame (&set->replicas[i], frame);

    if (error != NULL)
      return error;
  }
  return NULL;
}

void
yolo_stream_submit (YoloStream *stream, const YoloRequest *request, gpointer tag)
{
  YoloEngine *engine = stream->engine;
  GError *error = check_request (stream->set, request);
  YoloJob *job;

  g_mutex_lock (&engine->lock);
  /* all are in use where the user submits more than max_pending, or more parts of a picture than
   * before, or cancels many frames that are not called back yet */
  if (stream->unused == NULL)
    add_unused (stream);
  job = stream->unused;
  stream->unused = job->next;

  job->next = NULL;
  job->request = *request;
  job->tag = tag;
  job->number = stream->submitted++;
  job->submitted = g_get_monotonic_time ();
  job->error = error;
  job->due = job->short_of_memory = FALSE;
  if (stream->last != NULL)
    stream->last->next = job;
  else
    stream->first = job;
  stream->last = job;

  if (stream->more == 0)
    stream->parts = 1 + request->more;
  stream->more = request->more;
  if (request->more == 0) {
    yolo_fair_submitted (stream, request->waited);
    stream->pending++;
  }
  stream->active = TRUE;
  if (error == NULL) {
    stream->net_width = request->net_width;
    stream->net_height = request->net_height;
  }
  g_cond_broadcast (&engine->work);
  g_mutex_unlock (&engine->lock);
}

void
yolo_stream_cancel (YoloStream *stream)
{
  YoloEngine *engine = stream->engine;

  g_return_if_fail (!yolo_engine_is_own_thread (engine));

  g_mutex_lock (&engine->lock);
  stream->cancelled = stream->submitted;
  wait_for (stream, stream->submitted);
  g_mutex_unlock (&engine->lock);
}

void
yolo_stream_drain (YoloStream *stream)
{
  YoloEngine *engine = stream->engine;

  g_return_if_fail (!yolo_engine_is_own_thread (engine));

  g_mutex_lock (&engine->lock);
  stream->drained = stream->submitted;
  wait_for (stream, stream->submitted);
  g_mutex_unlock (&engine->lock);
}

guint
yolo_stream_pending (YoloStream *stream)
{
  YoloEngine *engine = stream->engine;
  guint pending;

  g_mutex_lock (&engine->lock);
  pending = stream->pending;
  g_mutex_unlock (&engine->lock);
  return pending;
}

guint
yolo_stream_changes (YoloStream *stream)
{
  return g_atomic_int_get (&stream->set->changes);
}

/* Called with the lock held. */
static void
describe (const YoloReplica *replica, gint64 now, YoloReplicaStats *stats)
{
  *stats = (YoloReplicaStats) {
    .serves = replica->serves, .failures = replica->failures,
    .frames = replica->frames_run, .batches = replica->batches_run,
    .utilisation = (double) replica->busy / MAX (now - replica->loaded, 1),
  };
  g_strlcpy (stats->device, replica->name, sizeof stats->device);
  if (replica->net != NULL)
    stats->n_stages = yolo_staged_get_stats (replica->net, stats->stages);
  if (replica->failure != NULL)
    g_strlcpy (stats->failure, replica->failure->message, sizeof stats->failure);
  for (guint i = 0; i < YOLO_ENGINE_BATCH_SIZES; i++)
    if (replica->times.n[i] > 0)
      stats->batch_time[i] = replica->times.mean[i] * 1000;
}

guint
yolo_stream_get_replicas (YoloStream *stream, YoloReplicaStats *stats)
{
  YoloEngine *engine = stream->engine;
  const gint64 now = g_get_monotonic_time ();

  g_mutex_lock (&engine->lock);
  for (guint i = 0; i < engine->n_sites; i++)
    describe (&stream->set->replicas[i], now, &stats[i]);
  g_mutex_unlock (&engine->lock);
  return engine->n_sites;
}
