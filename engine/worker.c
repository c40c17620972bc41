/* The engine's thread: loads the model, runs batches, calls back. */

#include "engine/engine-private.h"

/* Calls back one frame, which no batch holds any more. */
static void
deliver (YoloEngine * engine, YoloJob * job, const YoloResult * result)
{
  YoloStream *stream = job->stream;
  gpointer tag = job->tag;

  g_mutex_lock (&engine->lock);
  stream->pending--;
  stream->running--;
  job->next = stream->unused;
  stream->unused = job;
  g_mutex_unlock (&engine->lock);

  stream->func (stream->user_data, tag, result);

  /* From here on it may be closed. */
  g_mutex_lock (&engine->lock);
  stream->returned++;
  if (engine->waiting > 0)
    g_cond_broadcast (&engine->done);
  g_mutex_unlock (&engine->lock);
}

static void
drop (YoloEngine * engine, YoloJob * job)
{
  GError *error = g_steal_pointer (&job->error);
  YoloResult result = {
    .error = error != NULL ? error : engine->cancelled,
    .queued = (g_get_monotonic_time () - job->submitted) * 1000,
  };

  deliver (engine, job, &result);
  g_clear_error (&error);
}

static void
release (YoloEngine * engine, YoloSlot * slot)
{
  g_mutex_lock (&engine->lock);
  engine->stats.prepared--;
  engine->stats.arena -= slot->exec->plan->arena_size;
  g_mutex_unlock (&engine->lock);
  engine->backend->release (slot->exec);
  slot->exec = NULL;
}

/* Of those that no batch has, the one used the longest time ago, or NULL. */
static YoloSlot *
oldest_slot (YoloEngine * engine)
{
  YoloSlot *oldest = NULL;

  for (guint i = 0; i < YOLO_ENGINE_MAX_EXECS; i++) {
    YoloSlot *slot = &engine->slots[i];

    if (slot->exec != NULL && !slot->busy && (oldest == NULL || slot->used < oldest->used))
      oldest = slot;
  }
  return oldest;
}

/* A slot without a network; there is one, since fewer are busy than there are. */
static YoloSlot *
empty_slot (YoloEngine * engine)
{
  const YoloEngineStats *stats = &engine->stats;        /* which only this thread changes */
  YoloSlot *slot = engine->slots;

  if (stats->prepared == YOLO_ENGINE_MAX_EXECS
      || (stats->prepared >= YOLO_ENGINE_KEPT_EXECS && stats->arena >= YOLO_ENGINE_KEPT_ARENA))
    release (engine, oldest_slot (engine));
  while (slot->exec != NULL)
    slot++;
  return slot;
}

/* On the host every anchor may be a candidate: as many as a frame of the
 * largest size so far has. */
static gboolean
grow_candidates (YoloEngine * engine, const YoloPlan * plan, GError ** error)
{
  gsize anchors = 0;
  YoloDetection *grown;

  if (!engine->backend->host_memory)
    return TRUE;
  for (guint i = 0; i < plan->model->n_levels; i++) {
    const YoloBuffer *map = &plan->buffers[plan->cls[i].buffer];

    anchors += (gsize) map->height * map->width;
  }
  if (anchors <= engine->capacity)
    return TRUE;

  grown = g_try_renew (YoloDetection, engine->candidates, anchors);
  if (grown != NULL) {
    engine->candidates = grown;
    grown = g_try_renew (YoloDetection, engine->scratch, anchors);
  }
  if (grown == NULL) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY,
        "Out of memory for the %" G_GSIZE_FORMAT " candidates of a frame of %ux%u",
        anchors, plan->width, plan->height);
    return FALSE;
  }
  engine->scratch = grown;
  engine->capacity = anchors;
  return TRUE;
}

static YoloExec *
prepare_exec (YoloEngine * engine, guint batch, guint height, guint width, GError ** error)
{
  YoloExec *exec = engine->backend->prepare (engine->net, batch, height, width, error);

  if (exec != NULL && !grow_candidates (engine, exec->plan, error)) {
    engine->backend->release (exec);
    return NULL;
  }
  return exec;
}

/* The network readied for a batch and size; prepared now if it is not yet, or
 * if the one that is runs. */
static YoloSlot *
get_slot (YoloEngine * engine, guint batch, guint height, guint width, GError ** error)
{
  GError *failed = NULL;
  YoloSlot *slot, *unused;
  YoloExec *exec;

  for (guint i = 0; i < YOLO_ENGINE_MAX_EXECS; i++) {
    slot = &engine->slots[i];
    if (slot->exec != NULL && !slot->busy && slot->exec->plan->batch == batch
        && slot->exec->plan->height == height && slot->exec->plan->width == width) {
      slot->used = ++engine->tick;
      return slot;
    }
  }

  slot = empty_slot (engine);
  exec = prepare_exec (engine, batch, height, width, &failed);
  /* What others do not use now must not keep this one from running. */
  while (exec == NULL && g_error_matches (failed, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY)
      && (unused = oldest_slot (engine)) != NULL) {
    release (engine, unused);
    g_clear_error (&failed);
    exec = prepare_exec (engine, batch, height, width, &failed);
  }
  if (exec == NULL) {
    g_propagate_error (error, failed);
    return NULL;
  }

  slot->exec = exec;
  slot->used = ++engine->tick;
  g_mutex_lock (&engine->lock);
  engine->stats.prepared++;
  engine->stats.arena += exec->plan->arena_size;
  g_mutex_unlock (&engine->lock);
  return slot;
}

static YoloTensorType
tensor_type (YoloDType dtype)
{
  switch (dtype) {
    case YOLO_F32:
      return YOLO_TENSOR_F32;
    case YOLO_F16:
      return YOLO_TENSOR_F16;
    case YOLO_BF16:
      return YOLO_TENSOR_BF16;
    default:
      return YOLO_TENSOR_U8;
  }
}

/* Writes the frames into the network's input. */
static void
preprocess_batch (YoloEngine * engine, YoloBatch * batch)
{
  const YoloExec *exec = batch->slot->exec;
  const YoloBuffer *input = &exec->plan->buffers[exec->plan->input];
  gsize image = (gsize) input->height * input->width * input->channels
      * yolo_dtype_size (input->dtype);

  for (guint i = 0; i < batch->n; i++)
    batch->failed[i] = !yolo_preprocess_run (engine->preprocess, &batch->jobs[i]->request.frame,
        &batch->letterbox[i], (guint8 *) exec->input + i * image,
        tensor_type (input->dtype), input->channels);
}

/* What a device needs to do the same, and to decode. */
static void
describe_batch (YoloBatch * batch)
{
  for (guint i = 0; i < batch->n; i++) {
    const YoloRequest *request = &batch->jobs[i]->request;

    batch->frames[i] = request->frame;
    batch->decode[i] = (YoloDecode) {
      .confidence = request->confidence,
      .classes = request->classes,
      .candidates = batch->candidates + i * YOLO_ENGINE_DEVICE_CANDIDATES,
      .capacity = YOLO_ENGINE_DEVICE_CANDIDATES,
    };
    batch->failed[i] = FALSE;
  }
}

/* From here to finish_batch() it is under way. An error is kept for that, so
 * that it reaches no stream before the results of earlier batches. */
static void
start_batch (YoloEngine * engine, YoloBatch * batch)
{
  const YoloRequest *first = &batch->jobs[0]->request;
  gboolean host = engine->backend->host_memory;

  batch->error = NULL;
  batch->slot = get_slot (engine, batch->size, first->net_height, first->net_width, &batch->error);
  batch->started = batch->preprocessed = g_get_monotonic_time ();
  if (batch->slot == NULL)
    return;
  batch->slot->busy = TRUE;

  for (guint i = 0; i < batch->n; i++) {
    const YoloRequest *request = &batch->jobs[i]->request;

    yolo_letterbox_frame (&batch->letterbox[i], &request->frame, request->net_width, request->net_height);
  }
  if (host)
    preprocess_batch (engine, batch);
  else
    describe_batch (batch);
  batch->preprocessed = g_get_monotonic_time ();

  engine->backend->submit (batch->slot->exec, batch->n, host ? NULL : batch->frames,
      host ? NULL : batch->decode, &batch->error);
}

void
yolo_engine_levels (const YoloExec * exec, guint image, YoloLevel * levels)
{
  const YoloPlan *plan = exec->plan;

  for (guint l = 0; l < plan->model->n_levels; l++) {
    const YoloBuffer *box = &plan->buffers[plan->box[l].buffer];
    const YoloBuffer *cls = &plan->buffers[plan->cls[l].buffer];

    levels[l] = (YoloLevel) {
      .box = (const float *) yolo_exec_view (exec, plan->box[l])
          + (gsize) image * box->height * box->width * box->channels,
      .cls = (const float *) yolo_exec_view (exec, plan->cls[l])
          + (gsize) image * cls->height * cls->width * cls->channels,
      .box_stride = box->channels,
      .cls_stride = cls->channels,
      .width = cls->width,
      .height = cls->height,
      .stride = plan->model->levels[l].stride,
    };
  }
}

/* Candidates of image @i, from the maps on the host. */
static void
decode_image (YoloEngine * engine, const YoloExec * exec, guint i, const YoloRequest * request,
    YoloDecode * decode)
{
  const YoloModel *model = engine->model;
  YoloLevel levels[YOLO_MAX_LEVELS];

  yolo_engine_levels (exec, i, levels);
  *decode = (YoloDecode) {
    .confidence = request->confidence,
    .classes = request->classes,
    .rounding = model->box_rounding != NULL ? &engine->rounding : NULL,
    .candidates = engine->candidates,
    .capacity = engine->capacity,
  };
  yolo_decode (levels, model->n_levels, model->reg_max, model->n_classes, decode);
}

/* Candidates in pixels of the network to detections in pixels of the frame. */
static void
postprocess_image (YoloEngine * engine, YoloBatch * batch, guint i, YoloResult * result)
{
  const YoloRequest *request = &batch->jobs[i]->request;
  YoloDecode *decode = &batch->decode[i];
  size_t n;

  if (engine->backend->host_memory)
    decode_image (engine, batch->slot->exec, i, request, decode);
  n = yolo_nms (decode->candidates, decode->n, request->iou, request->agnostic,
      request->max_detections, engine->scratch);
  yolo_letterbox_to_frame (&batch->letterbox[i], decode->candidates, n);
  if (request->frame.crop.width > 0)
    for (size_t d = 0; d < n; d++) {
      decode->candidates[d].x1 += request->frame.crop.x;
      decode->candidates[d].y1 += request->frame.crop.y;
      decode->candidates[d].x2 += request->frame.crop.x;
      decode->candidates[d].y2 += request->frame.crop.y;
    }
  result->detections = decode->candidates;
  result->n_detections = n;
  result->missed = decode->missed;
}

static void
finish_batch (YoloEngine * engine, YoloBatch * batch)
{
  gint64 ran;

  if (batch->error == NULL)
    engine->backend->wait (batch->slot->exec, &batch->error);
  ran = g_get_monotonic_time ();
  if (batch->error == NULL) {
    g_mutex_lock (&engine->lock);
    engine->stats.frames += batch->n;
    engine->stats.batches++;
    g_mutex_unlock (&engine->lock);
  }

  for (guint i = 0; i < batch->n; i++) {
    YoloResult result = {
      .batch = batch->error == NULL ? batch->n : 0,
      .queued = (batch->started - batch->jobs[i]->submitted) * 1000,
      .preprocess = (batch->preprocessed - batch->started) * 1000,
      .network = (ran - batch->preprocessed) * 1000,
    };

    if (batch->error != NULL)
      result.error = batch->error;
    else if (batch->failed[i])
      result.error = engine->memory;
    else
      postprocess_image (engine, batch, i, &result);
    result.postprocess = (g_get_monotonic_time () - ran) * 1000;
    deliver (engine, batch->jobs[i], &result);
  }

  if (batch->slot != NULL)
    batch->slot->busy = FALSE;
  g_clear_error (&batch->error);
}

/* Answers a call of yolo_engine_prepare(). Called and left with the lock held. */
static void
run_prepare (YoloEngine * engine)
{
  YoloPrepare *prepare = engine->prepare;
  guint batch = MIN (yolo_engine_batch_size (engine), YOLO_ENGINE_MAX_BATCH);

  engine->prepare = prepare->next;
  g_mutex_unlock (&engine->lock);
  batch = 1u << (g_bit_storage (batch) - 1);
  get_slot (engine, batch, prepare->height, prepare->width, &prepare->error);
  g_mutex_lock (&engine->lock);
  prepare->done = TRUE;
  g_cond_broadcast (&engine->done);
}

/* Does some of what there is to do. Returns FALSE if there is nothing before
 * @until. Called and left with the lock held. */
static gboolean
run_once (YoloEngine * engine, gint64 * until)
{
  guint depth = engine->backend->host_memory ? 1 : YOLO_ENGINE_DEPTH;
  gint64 now = g_get_monotonic_time ();
  gboolean busy = FALSE;
  YoloBatch *batch;
  YoloJob *job;

  if (engine->prepare != NULL) {
    run_prepare (engine);
    busy = TRUE;
  }

  /* A stream that sends one wrong frame after the other gets no further than
   * now, or the others would never run. */
  while ((job = yolo_engine_take_dropped (engine, now)) != NULL) {
    g_mutex_unlock (&engine->lock);
    drop (engine, job);
    g_mutex_lock (&engine->lock);
    busy = TRUE;
  }

  *until = G_MAXINT64;
  if (engine->n_batches < depth) {
    batch = &engine->batches[(engine->first_batch + engine->n_batches) % YOLO_ENGINE_DEPTH];
    batch->n = yolo_engine_take (engine, batch->jobs, &batch->size, g_get_monotonic_time (), until);
    if (batch->n > 0) {
      g_mutex_unlock (&engine->lock);
      engine->n_batches++;
      start_batch (engine, batch);
      g_mutex_lock (&engine->lock);
      return TRUE;
    }
  }

  if (engine->n_batches > 0) {
    g_mutex_unlock (&engine->lock);
    batch = &engine->batches[engine->first_batch];
    finish_batch (engine, batch);
    engine->first_batch = (engine->first_batch + 1) % YOLO_ENGINE_DEPTH;
    engine->n_batches--;
    g_mutex_lock (&engine->lock);
    return TRUE;
  }
  return busy;
}

static void
run (YoloEngine * engine)
{
  gint64 until;

  g_mutex_lock (&engine->lock);
  while (!engine->stop) {
    if (run_once (engine, &until))
      continue;
    if (until == G_MAXINT64)
      g_cond_wait (&engine->work, &engine->lock);
    else
      g_cond_wait_until (&engine->work, &engine->lock, until);
  }
  g_mutex_unlock (&engine->lock);
}

static YoloPrecision
model_precision (const YoloEngine * engine, const YoloModel * model)
{
  return model->quantized ? engine->if_quantized : engine->precision;
}

static gboolean
load_model (YoloEngine * engine, GError ** error)
{
  YoloModel *model = engine->parts->load_model (engine->model_file, error);

  if (model == NULL)
    return FALSE;
  if (model_precision (engine, model) == YOLO_PRECISION_INT8) {
    engine->model = engine->parts->to_int8 (model, engine->calibration_file, engine->backend->int8_kind, error);
    engine->parts->unref_model (model);
  } else {
    engine->model = model;
  }
  return engine->model != NULL;
}

static YoloSteps
steps_of (YoloGrid grid)
{
  return (YoloSteps) { grid.scale, (float) -grid.zero, (float) (255 - grid.zero) };
}

static gboolean
load (YoloEngine * engine, GError ** error)
{
  if (!load_model (engine, error))
    return FALSE;
  engine->net = engine->backend->load (engine->model, engine->device, engine->cuda_context,
      model_precision (engine, engine->model), engine->threads, error);
  if (engine->net == NULL)
    return FALSE;

  if (engine->backend->pool != NULL) {
    YoloPool *pool = engine->backend->pool (engine->net);
    engine->preprocess = yolo_preprocess_new (&(YoloParallel) { yolo_pool_run, pool, yolo_pool_threads (pool) });
  } else {
    engine->preprocess = yolo_preprocess_new (NULL);
  }
  if (!engine->backend->host_memory) {
    for (guint i = 0; i < YOLO_ENGINE_DEPTH; i++)
      engine->batches[i].candidates =
          g_new (YoloDetection, YOLO_ENGINE_MAX_BATCH * YOLO_ENGINE_DEVICE_CANDIDATES);
    engine->scratch = g_new (YoloDetection, YOLO_ENGINE_DEVICE_CANDIDATES);
  }
  if (engine->model->box_rounding != NULL)
    engine->rounding = (YoloSideRounding) {
      .softmax = steps_of (engine->model->box_rounding->softmax),
      .distance = steps_of (engine->model->box_rounding->distance),
      .bins = engine->model->box_rounding->bins,
    };
  engine->cancelled = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED,
      "The frame was cancelled before it ran");
  engine->memory = g_error_new_literal (YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY,
      "Out of memory for the preprocessing of a frame");
  return TRUE;
}

gpointer
yolo_engine_worker (gpointer data)
{
  YoloEngine *engine = data;
  GError *error = NULL;

  if (load (engine, &error)) {
    yolo_engine_loaded (engine, NULL);
    run (engine);
  } else {
    yolo_engine_loaded (engine, error);
  }

  for (guint i = 0; i < YOLO_ENGINE_MAX_EXECS; i++)
    if (engine->slots[i].exec != NULL)
      release (engine, &engine->slots[i]);
  for (guint i = 0; i < YOLO_ENGINE_DEPTH; i++)
    g_free (engine->batches[i].candidates);
  if (engine->net != NULL)
    engine->backend->unload (engine->net);
  if (engine->preprocess != NULL)
    yolo_preprocess_free (engine->preprocess);
  g_free (engine->candidates);
  g_free (engine->scratch);
  g_clear_error (&engine->cancelled);
  g_clear_error (&engine->memory);
  return NULL;
}
