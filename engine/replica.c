/* SPDX-License-Identifier: MIT */
/* A replica's thread: loads the model onto its device, runs batches, hands back what came of
 * them. */

#include "engine/engine-private.h"

static void
drop (YoloReplica *replica, YoloJob *job)
{
  GError *error = g_steal_pointer (&job->error);
  YoloResult result = {
    .error = error != NULL ? error : replica->cancelled,
    .queued = (g_get_monotonic_time () - job->submitted) * 1000,
  };

  yolo_stream_finish (job->stream, job, &result);
  g_clear_error (&error);
}

/* Counts a network that has become ready (@change is 1) or is gone (-1), whose activations
 * take @arena bytes. */
static void
count_execs (YoloReplica *replica, int change, gsize arena)
{
  YoloEngineStats *stats = &replica->engine->stats;

  replica->n_execs += change;
  replica->arena += change * arena;
  g_mutex_lock (&replica->engine->lock);
  stats->prepared += change;
  stats->arena += change * arena;
  g_mutex_unlock (&replica->engine->lock);
}

static void
release (YoloReplica *replica, YoloSlot *slot)
{
  gsize arena = slot->exec->activations;

  count_execs (replica, -1, arena);
  replica->room = replica->depth;       /* what it frees may do for another batch */
  yolo_exec_free (slot->exec);
  slot->exec = NULL;
}

/* The slot used the longest time ago whose network no batch has, or NULL. */
static YoloSlot *
oldest_slot (YoloReplica *replica)
{
  YoloSlot *oldest = NULL;

  for (guint i = 0; i < YOLO_ENGINE_MAX_EXECS; i++) {
    YoloSlot *slot = &replica->slots[i];

    if (slot->exec != NULL && !slot->busy && (oldest == NULL || slot->used < oldest->used))
      oldest = slot;
  }
  return oldest;
}

/* A slot without a network, made so if need be: a batch under way has one slot at most, and
 * there are more slots than batches. */
static YoloSlot *
empty_slot (YoloReplica *replica)
{
  YoloSlot *slot = replica->slots;

  if (replica->n_execs == YOLO_ENGINE_MAX_EXECS
      || (replica->n_execs >= MAX (YOLO_ENGINE_KEPT_EXECS, 2 * replica->depth)
          && replica->arena >= YOLO_ENGINE_KEPT_ARENA))
    release (replica, oldest_slot (replica));
  while (slot->exec != NULL)
    slot++;
  return slot;
}

/* Makes room for the candidates of a frame. On the host every anchor may be one: there is
 * room for those of the largest frame so far. */
static gboolean
grow_candidates (YoloReplica *replica, const YoloExec *exec, GError **error)
{
  const YoloPlan *plan = exec->plan;
  YoloHead head;
  YoloObject *grown;
  gsize anchors;

  if (!replica->net->host_maps)
    return TRUE;
  yolo_plan_head (exec->plan, NULL, 0, &head);
  anchors = replica->engine->task->anchors (&head);
  if (anchors <= replica->capacity)
    return TRUE;

  grown = g_try_renew (YoloObject, replica->candidates, anchors);
  if (grown != NULL) {
    replica->candidates = grown;
    grown = g_try_renew (YoloObject, replica->scratch, anchors);
  }
  if (grown == NULL) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY,
        "Out of memory for the %" G_GSIZE_FORMAT " candidates of a frame of %ux%u",
        anchors, plan->width, plan->height);
    return FALSE;
  }
  replica->scratch = grown;
  replica->capacity = anchors;
  return TRUE;
}

static YoloExec *
prepare_exec (YoloReplica *replica, guint batch, guint height, guint width, GError **error)
{
  YoloExec *exec = yolo_net_prepare (replica->net, batch, height, width, error);

  if (exec != NULL && !grow_candidates (replica, exec, error)) {
    yolo_exec_free (exec);
    return NULL;
  }
  return exec;
}

/* A slot with the network for a batch and size, which is prepared now unless there is one
 * that no batch has. */
static YoloSlot *
get_slot (YoloReplica *replica, guint batch, guint height, guint width, GError **error)
{
  GError *failed = NULL;
  YoloSlot *slot, *unused;
  YoloExec *exec;

  for (guint i = 0; i < YOLO_ENGINE_MAX_EXECS; i++) {
    slot = &replica->slots[i];
    if (slot->exec != NULL && !slot->busy && slot->exec->plan->batch == batch
        && slot->exec->plan->height == height && slot->exec->plan->width == width) {
      slot->used = ++replica->tick;
      return slot;
    }
  }

  slot = empty_slot (replica);
  exec = prepare_exec (replica, batch, height, width, &failed);
  /* Networks that no batch has must not keep this one from running. */
  while (exec == NULL && g_error_matches (failed, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY)
      && (unused = oldest_slot (replica)) != NULL) {
    release (replica, unused);
    g_clear_error (&failed);
    exec = prepare_exec (replica, batch, height, width, &failed);
  }
  if (exec == NULL) {
    g_propagate_error (error, failed);
    return NULL;
  }

  slot->exec = exec;
  slot->used = ++replica->tick;
  count_execs (replica, 1, exec->activations);
  return slot;
}

/* Writes the frames into the network's input. */
static void
preprocess_batch (YoloReplica *replica, YoloBatch *batch)
{
  const YoloExec *exec = batch->slot->exec;
  const YoloBuffer *input = &exec->plan->buffers[exec->plan->input];
  gsize image = (gsize) input->height * input->width * input->channels
      * yolo_dtype_size (input->dtype);

  for (guint i = 0; i < batch->n; i++)
    batch->failed[i] = !yolo_preprocess_run (replica->preprocess, &batch->jobs[i]->request.frame,
        &batch->letterbox[i], (guint8 *) exec->input + i * image,
        input->dtype, input->channels);
}

/* Describes the frames to a device, which preprocesses them itself. */
static void
describe_frames (YoloBatch *batch)
{
  for (guint i = 0; i < batch->n; i++) {
    batch->frames[i] = batch->jobs[i]->request.frame;
    batch->failed[i] = FALSE;
  }
}

/* Tells a device what to keep of each frame, which it decodes itself. */
static void
describe_decode (YoloBatch *batch)
{
  for (guint i = 0; i < batch->n; i++) {
    const YoloRequest *request = &batch->jobs[i]->request;

    batch->decode[i] = (YoloDecode) {
      .confidence = request->confidence,
      .classes = request->classes,
      .multi_label = request->multi_label,
      .candidates = batch->candidates + i * YOLO_ENGINE_DEVICE_CANDIDATES,
      .capacity = YOLO_ENGINE_DEVICE_CANDIDATES,
    };
  }
}

/* From here to finish_batch() the batch is under way. An error waits for finish_batch(), so
 * that it reaches no stream before the results of earlier batches. */
static void
start_batch (YoloReplica *replica, YoloBatch *batch)
{
  const YoloRequest *first = &batch->jobs[0]->request;
  const gboolean host_input = replica->net->host_input, host_maps = replica->net->host_maps;

  batch->error = NULL;
  batch->slot = get_slot (replica, batch->size, first->net_height, first->net_width, &batch->error);
  batch->started = batch->preprocessed = g_get_monotonic_time ();
  if (batch->slot == NULL)
    return;
  batch->slot->busy = TRUE;

  for (guint i = 0; i < batch->n; i++) {
    const YoloRequest *request = &batch->jobs[i]->request;

    if (replica->engine->task->fit == YOLO_FIT_CROP)
      yolo_letterbox_crop (
          &batch->letterbox[i], &request->frame, request->net_width, request->net_height);
    else
      yolo_letterbox_frame (
          &batch->letterbox[i], &request->frame, request->net_width, request->net_height);
  }
  if (host_input)
    preprocess_batch (replica, batch);
  else
    describe_frames (batch);
  if (!host_maps)
    describe_decode (batch);
  batch->preprocessed = g_get_monotonic_time ();

  yolo_exec_submit (batch->slot->exec, batch->n, host_input ? NULL : batch->frames,
      host_maps ? NULL : batch->decode, &batch->error);
}

/* Decodes the candidates of image @i out of the maps on the host. */
static void
decode_image (YoloReplica *replica, const YoloExec *exec, guint i, const YoloRequest *request,
    YoloDecode *decode)
{
  const YoloModel *model = replica->engine->model;
  YoloHead head;

  yolo_plan_head (exec->plan, exec->arena, i, &head);
  *decode = (YoloDecode) {
    .confidence = request->confidence,
    .classes = request->classes,
    .multi_label = request->multi_label,
    .rounding = model->box_rounding != NULL ? &replica->rounding : NULL,
    .candidates = replica->candidates,
    .capacity = replica->capacity,
  };
  replica->engine->task->decode (&head, decode);
}

/* Makes detections in pixels of the frame out of candidates in pixels of the network.
 * FALSE with @error. */
static gboolean
postprocess_image (
    YoloReplica *replica, YoloBatch *batch, guint i, YoloResult *result, GError **error)
{
  const YoloRequest *request = &batch->jobs[i]->request;
  YoloSuppression how = { request->iou, request->agnostic, request->max_detections };
  YoloDecode *decode = &batch->decode[i];
  YoloExec *exec = batch->slot->exec;
  size_t n;

  if (replica->net->host_maps)
    decode_image (replica, exec, i, request, decode);
  if (!yolo_details_find (exec, i, replica->engine->task, decode, &how,
          &batch->letterbox[i], replica->scratch, &replica->details, &n, error))
    return FALSE;
  result->detections = decode->candidates;
  result->n_detections = n;
  result->details = &replica->details.found;
  result->missed = decode->missed;
  return TRUE;
}

/* Whether an error is the device's, and not the fault of what was asked of it. What a second
 * device has no memory for either is too large: it takes no more devices from the other streams. */
static gboolean
is_failure (const GError *error, const YoloJob *job)
{
  return g_error_matches (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE)
      || (g_error_matches (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY)
          && !job->short_of_memory);
}

/* Leaves frames that the device has failed to run to the set's other replicas, and serves no more.
 * FALSE: the frames fail, since there is no other replica that serves. */
static gboolean
leave_to_others (YoloReplica *replica, YoloJob **jobs, guint n, const GError *error)
{
  YoloEngine *engine = replica->engine;
  YoloReplicaSet *set = replica->set;
  gboolean others;

  if (!is_failure (error, jobs[0]))
    return FALSE;
  g_mutex_lock (&engine->lock);
  others = set->serving > (replica->serves ? 1 : 0);
  if (others && replica->serves) {
    replica->serves = FALSE;
    replica->failures++;
    g_clear_error (&replica->failure);
    replica->failure = g_error_copy (error);
    set->serving--;
    g_atomic_int_inc (&set->changes);
  }
  for (guint i = 0; i < n && others; i++) {
    jobs[i]->short_of_memory |=
        g_error_matches (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY);
    yolo_engine_give_back (jobs[i]);
  }
  if (others)
    g_cond_broadcast (&engine->work);
  g_mutex_unlock (&engine->lock);
  return others;
}

/* Hands back what came of a batch's frames. @ran: when the network was done */
static void
finish_frames (YoloReplica *replica, YoloBatch *batch, gint64 ran)
{
  for (guint i = 0; i < batch->n; i++) {
    YoloResult result = {
      .batch = batch->error == NULL ? batch->n : 0,
      .queued = (batch->started - batch->jobs[i]->submitted) * 1000,
      .preprocess = (batch->preprocessed - batch->started) * 1000,
      .network = (ran - batch->preprocessed) * 1000,
    };
    g_autoptr (GError) failed = NULL;

    if (batch->error != NULL)
      result.error = batch->error;
    else if (batch->failed[i])
      result.error = replica->memory;
    else if (!postprocess_image (replica, batch, i, &result, &failed))
      result.error = failed;
    if (failed != NULL && leave_to_others (replica, &batch->jobs[i], 1, failed)) {
      /* it was counted with its batch, and whoever runs it counts it again */
      g_mutex_lock (&replica->engine->lock);
      replica->engine->stats.frames--;
      replica->frames_run--;
      g_mutex_unlock (&replica->engine->lock);
      continue;
    }
    result.postprocess = (g_get_monotonic_time () - ran) * 1000;
    yolo_stream_finish (batch->jobs[i]->stream, batch->jobs[i], &result);
  }
}

/* Whether the batch, and not a frame of it alone, has run without an error. */
static gboolean
finish_batch (YoloReplica *replica, YoloBatch *batch)
{
  YoloEngine *engine = replica->engine;
  gboolean ok;
  gint64 ran;

  if (batch->error == NULL)
    yolo_exec_wait (batch->slot->exec, &batch->error);
  ran = g_get_monotonic_time ();
  ok = batch->error == NULL;
  if (ok) {
    g_mutex_lock (&engine->lock);
    engine->stats.frames += batch->n;
    engine->stats.batches++;
    replica->frames_run += batch->n;
    replica->batches_run++;
    g_mutex_unlock (&engine->lock);
  }

  if (ok || !leave_to_others (replica, batch->jobs, batch->n, batch->error))
    finish_frames (replica, batch, ran);
  if (batch->slot != NULL)
    batch->slot->busy = FALSE;
  g_clear_error (&batch->error);
  return ok;
}

/* Counts a batch that begins, before its network is got. Called with the lock held. */
static void
note_start (YoloReplica *replica, const YoloBatch *batch)
{
  const gint64 now = g_get_monotonic_time ();

  replica->free_at = (replica->n_batches > 0 ? MAX (replica->free_at, now) : now)
      + yolo_schedule_time (&replica->times, batch->size);
  replica->n_batches++;
}

/* Counts the oldest batch, which is over, callbacks and all; @ok: without an error. Called with
 * the lock held. */
static void
note_end (YoloReplica *replica, gboolean ok)
{
  const YoloBatch *batch = &replica->batches[replica->first_batch];
  const gint64 now = g_get_monotonic_time (), began = MAX (batch->started, replica->done);

  if (ok)
    yolo_schedule_measured (&replica->times, batch->size, now - began);
  replica->busy += now - began;
  replica->done = now;
  replica->first_batch = (replica->first_batch + 1) % replica->depth;
  replica->n_batches--;
  replica->free_at = now;
  for (guint i = 0; i < replica->n_batches; i++)
    replica->free_at += yolo_schedule_time (&replica->times,
        replica->batches[(replica->first_batch + i) % replica->depth].size);
}

/* Answers yolo_engine_prepare(). Called and left with the lock held. */
static void
run_prepare (YoloReplica *replica)
{
  YoloEngine *engine = replica->engine;
  YoloPrepare *prepare = replica->prepare;
  guint batch = MIN (yolo_engine_batch_size (replica->set), YOLO_ENGINE_MAX_BATCH);

  replica->prepare = prepare->next;
  g_mutex_unlock (&engine->lock);
  batch = 1u << (g_bit_storage (batch) - 1);
  get_slot (replica, batch, prepare->height, prepare->width, &prepare->error);
  g_mutex_lock (&engine->lock);
  prepare->done = TRUE;
  g_cond_broadcast (&engine->done);
}

/* Answers yolo_engine_prepare() in place of a device that has failed: it will prepare what it
 * needs. Called with the lock held. */
static void
skip_prepares (YoloReplica *replica)
{
  for (; replica->prepare != NULL; replica->prepare = replica->prepare->next)
    replica->prepare->done = TRUE;
  g_cond_broadcast (&replica->engine->done);
}

/* Whether another batch may be under way. */
static gboolean
has_room (const YoloReplica *replica)
{
  return replica->n_batches < replica->room;
}

/* Whether a batch that has just begun found no memory for a network of its own, while others under
 * way have theirs. Called with the lock held. */
static gboolean
is_crowded_out (const YoloReplica *replica, const YoloBatch *batch)
{
  return batch->slot == NULL && replica->n_batches > 1
      && g_error_matches (batch->error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY);
}

/* Puts the frames of such a batch back to their streams, where they wait for one of the others to
 * be over; from then on so many are under way at most. Called with the lock held. */
static void
put_off (YoloReplica *replica, YoloBatch *batch)
{
  for (guint i = 0; i < batch->n; i++)
    yolo_engine_give_back (batch->jobs[i]);
  g_clear_error (&batch->error);
  replica->n_batches--;
  replica->room = replica->n_batches;
}

/* Whether the oldest batch under way is to be finished now. While a network in pieces runs it,
 * frames for its first piece may come: that is waited for as well. */
static gboolean
is_next_over (const YoloReplica *replica)
{
  const YoloBatch *batch = &replica->batches[replica->first_batch];

  return batch->error != NULL || yolo_exec_is_over (batch->slot->exec);
}

/* Does some of what there is to do. Returns FALSE if there is nothing before
 * @until. Called and left with the lock held. */
static gboolean
run_once (YoloReplica *replica, gint64 *until)
{
  YoloEngine *engine = replica->engine;
  gint64 now = g_get_monotonic_time ();
  gboolean busy = FALSE, ok;
  YoloBatch *batch;
  YoloJob *job;

  if (replica->prepare != NULL) {
    if (replica->serves)
      run_prepare (replica);
    else
      skip_prepares (replica);
    busy = TRUE;
  }

  /* A stream that sends one wrong frame after the other gets no further than
   * now, or the others would never run. */
  while ((job = yolo_engine_take_dropped (replica->set, now)) != NULL) {
    g_mutex_unlock (&engine->lock);
    drop (replica, job);
    g_mutex_lock (&engine->lock);
    busy = TRUE;
  }

  *until = G_MAXINT64;
  if (replica->serves && has_room (replica)) {
    batch = &replica->batches[(replica->first_batch + replica->n_batches) % replica->depth];
    batch->n = yolo_engine_take (
        replica->set, replica, batch->jobs, &batch->size, g_get_monotonic_time (), until);
    if (batch->n > 0) {
      note_start (replica, batch);
      g_mutex_unlock (&engine->lock);
      start_batch (replica, batch);
      g_mutex_lock (&engine->lock);
      if (is_crowded_out (replica, batch))
        put_off (replica, batch);
      return TRUE;
    }
  }

  if (replica->n_batches > 0 && is_next_over (replica)) {
    g_mutex_unlock (&engine->lock);
    batch = &replica->batches[replica->first_batch];
    ok = finish_batch (replica, batch);
    g_mutex_lock (&engine->lock);
    note_end (replica, ok);
    return TRUE;
  }
  return busy;
}

static YoloSteps
steps_of (YoloGrid grid)
{
  return (YoloSteps) { grid.scale, (float) -grid.zero, (float) (255 - grid.zero) };
}

/* A batch of a network in pieces is over. */
static void
wake (gpointer data)
{
  YoloEngine *engine = ((YoloReplica *) data)->engine;

  g_mutex_lock (&engine->lock);
  g_cond_broadcast (&engine->work);
  g_mutex_unlock (&engine->lock);
}

static YoloNet *
load_on_site (YoloReplica *replica, GError **error)
{
  YoloEngine *engine = replica->engine;
  const YoloSite *site = &replica->site;

  if (site->n == 1)
    return yolo_backend_load (site->at[0].backend, engine->model, site->at[0].device,
        replica->cuda_context, engine->precision, engine->threads, error);
  return yolo_staged_load (engine->model, site->at, site->n, replica->cuda_context,
      engine->precision, engine->threads, error);
}

static gboolean
load_net (YoloReplica *replica, GError **error)
{
  YoloEngine *engine = replica->engine;
  YoloNet *net = load_on_site (replica, error);

  if (net == NULL) {
    if (engine->n_sites > 1)
      g_prefix_error (error, "%s: ", replica->name);
    return FALSE;
  }
  net->notify = wake;
  net->notify_data = replica;
  replica->depth = replica->room = net->depth;
  replica->preprocess = yolo_preprocess_new (net->pool);
  g_mutex_lock (&engine->lock);
  replica->net = net;
  g_mutex_unlock (&engine->lock);
  return TRUE;
}

static void
unload_net (YoloReplica *replica)
{
  YoloNet *net;

  for (guint i = 0; i < YOLO_ENGINE_MAX_EXECS; i++)
    if (replica->slots[i].exec != NULL)
      release (replica, &replica->slots[i]);
  g_clear_pointer (&replica->preprocess, yolo_preprocess_free);
  g_mutex_lock (&replica->engine->lock);
  net = g_steal_pointer (&replica->net);
  g_mutex_unlock (&replica->engine->lock);
  yolo_net_free (net);
}

static gboolean
load (YoloReplica *replica, GError **error)
{
  YoloEngine *engine = replica->engine;

  if (!load_net (replica, error))
    return FALSE;
  replica->batches = g_new0 (YoloBatch, replica->depth);
  if (!replica->net->host_maps) {
    for (guint i = 0; i < replica->depth; i++)
      replica->batches[i].candidates =
          g_new (YoloObject, YOLO_ENGINE_MAX_BATCH * YOLO_ENGINE_DEVICE_CANDIDATES);
    replica->scratch = g_new (YoloObject, YOLO_ENGINE_DEVICE_CANDIDATES);
  }
  if (engine->model->box_rounding != NULL)
    replica->rounding = (YoloSideRounding) {
      .softmax = steps_of (engine->model->box_rounding->softmax),
      .distance = steps_of (engine->model->box_rounding->distance),
      .bins = engine->model->box_rounding->bins,
    };
  replica->cancelled = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED,
      "The frame was cancelled before it ran");
  replica->memory = g_error_new_literal (YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY,
      "Out of memory for the preprocessing of a frame");
  return TRUE;
}

static void
unload (YoloReplica *replica)
{
  unload_net (replica);
  for (guint i = 0; i < replica->depth && replica->batches != NULL; i++)
    g_free (replica->batches[i].candidates);
  g_free (replica->batches);
  g_free (replica->candidates);
  g_free (replica->scratch);
  yolo_details_room_clear (&replica->details);
  g_clear_error (&replica->cancelled);
  g_clear_error (&replica->memory);
  g_clear_error (&replica->failure);
}

/* Leaves the device alone for so many microseconds, or until the set stops. Called and left with
 * the lock held. */
static void
rest (YoloReplica *replica, gint64 pause)
{
  YoloEngine *engine = replica->engine;
  const gint64 end = g_get_monotonic_time () + pause;

  while (!replica->set->stop && g_get_monotonic_time () < end) {
    skip_prepares (replica);
    g_cond_wait_until (&engine->work, &engine->lock, end);
  }
}

/* Lets go of all that lies on a device that has failed, and tries from time to time to load the
 * model there again. Returns when it serves again, or the set stops. Called and left with the
 * lock held; no batch is under way. */
static void
recover (YoloReplica *replica)
{
  YoloEngine *engine = replica->engine;
  YoloReplicaSet *set = replica->set;
  gint64 pause = engine->parts->retry;

  g_mutex_unlock (&engine->lock);
  unload_net (replica);
  g_mutex_lock (&engine->lock);
  while (!set->stop && !replica->serves) {
    GError *error = NULL;
    gboolean loaded;

    rest (replica, pause);
    if (set->stop)
      return;
    g_mutex_unlock (&engine->lock);
    loaded = load_net (replica, &error);
    g_mutex_lock (&engine->lock);
    if (loaded) {
      replica->serves = TRUE;
      replica->times = (YoloBatchTimes) { 0 };  /* it may be another device now */
      set->serving++;
      g_atomic_int_inc (&set->changes);
    } else {
      g_clear_error (&replica->failure);
      replica->failure = error;
      pause = MIN (2 * pause, YOLO_ENGINE_MAX_RETRY * engine->parts->retry);
    }
  }
}

static void
run (YoloReplica *replica)
{
  YoloEngine *engine = replica->engine;
  YoloReplicaSet *set = replica->set;
  gint64 until;

  g_mutex_lock (&engine->lock);
  replica->loaded = g_get_monotonic_time ();
  while (!set->stop) {
    if (!replica->serves && replica->n_batches == 0) {
      recover (replica);
      continue;
    }
    if (run_once (replica, &until))
      continue;
    if (until == G_MAXINT64)
      g_cond_wait (&engine->work, &engine->lock);
    else
      g_cond_wait_until (&engine->work, &engine->lock, until);
  }
  g_mutex_unlock (&engine->lock);
}

/* The engine whose replica a thread is. */
static GPrivate own_engine;

gboolean
yolo_engine_is_own_thread (const YoloEngine *engine)
{
  return g_private_get (&own_engine) == engine;
}

gpointer
yolo_replica_run (gpointer data)
{
  YoloReplica *replica = data;
  GError *error = NULL;
  gboolean loaded;

  g_private_set (&own_engine, replica->engine);
  loaded = load (replica, &error);
  yolo_replica_set_loaded (replica->set, error);
  if (loaded)
    run (replica);
  unload (replica);
  return NULL;
}
