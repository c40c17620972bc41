/* SPDX-License-Identifier: MIT */
#include "backend/staged.h"

#include "image/letterbox.h"
#include "image/preprocess.h"

/* Batches of one stage that are under way at once: a device readies one while it runs another. */
#define STAGE_DEPTH 2

typedef struct _StagedNet StagedNet;
typedef struct _StagedExec StagedExec;

typedef struct {
  StagedNet *net;
  guint number;                 /* from 0 */
  char name[32];                /* "cuda:1" */
  YoloNet *part;
  /* Held by who makes a call for `part` that may not be made beside others. */
  GMutex calls;
  GThread *thread;
  YoloPreprocess *preprocess;   /* of a first stage on the host, else NULL; the thread's own */

  /* Under net->lock. */
  GQueue waiting;               /* of StagedExec.link: their turn in this stage has come */
  GCond work;
  YoloStageStats stats;

  gint64 ended;                 /* the thread's own: when the last batch was over, monotonic µs */
} Stage;

struct _StagedNet {
  YoloNet base;
  guint n;
  Stage stages[YOLO_MAX_STAGES];
  GMutex lock;
  GCond over;                   /* a batch is over */
  gboolean stop;                /* under lock */
};

struct _StagedExec {
  YoloExec base;
  YoloExec *parts[YOLO_MAX_STAGES];
  GList link;                   /* in the `waiting` of the stage whose turn it is */
  /* Of the batch under way; handed from stage to stage under net->lock. */
  guint n;
  const YoloFrame *frames;
  YoloDecode *decode;
  gint64 started;               /* in this stage, monotonic µs */
  GError *error;
  gboolean over;                /* under net->lock */
};

/* Errors say which device they come from. */
static void
name_stage (const Stage *stage, GError **error)
{
  if (error != NULL)
    g_prefix_error (error, "piece %u, on %s: ", stage->number + 1, stage->name);
}

/* The stages' threads */

/* Ends a batch, whose error is set if it has failed. Called without the lock. */
static void
end_batch (StagedNet *net, StagedExec *exec)
{
  g_mutex_lock (&net->lock);
  exec->over = TRUE;
  g_cond_broadcast (&net->over);
  g_mutex_unlock (&net->lock);
  if (net->base.notify != NULL)
    net->base.notify (net->base.notify_data);
}

static void
hand_to (Stage *stage, StagedExec *exec)
{
  g_mutex_lock (&stage->net->lock);
  g_queue_push_tail_link (&stage->waiting, &exec->link);
  g_cond_signal (&stage->work);
  g_mutex_unlock (&stage->net->lock);
}

/* Writes the frames into the input of a first stage on the host. */
static gboolean
preprocess (Stage *stage, const StagedExec *exec, GError **error)
{
  const YoloExec *part = exec->parts[0];
  const YoloPlan *plan = part->plan;
  const YoloBuffer *input = &plan->buffers[plan->input];
  const gsize image = (gsize) input->height * input->width * input->channels
      * yolo_dtype_size (input->dtype);
  const YoloTask *task = yolo_task_find (plan->model->task);
  const gboolean crop = task != NULL && task->fit == YOLO_FIT_CROP;

  for (guint i = 0; i < exec->n; i++) {
    YoloLetterbox box;

    (crop ? yolo_letterbox_crop : yolo_letterbox_frame) (
        &box, &exec->frames[i], (int) plan->width, (int) plan->height);
    if (!yolo_preprocess_run (stage->preprocess, &exec->frames[i], &box,
            (guint8 *) part->input + i * image, input->dtype, (int) input->channels))
      return yolo_network_fail (error, YOLO_NETWORK_ERROR_MEMORY,
          "out of memory for the preprocessing of a frame");
  }
  return TRUE;
}

/* FALSE: the batch has failed and is over. */
static gboolean
start_batch (Stage *stage, StagedExec *exec)
{
  StagedNet *net = stage->net;
  const gboolean first = stage->number == 0, last = stage->number + 1 == net->n;
  YoloNet *part = stage->part;
  gboolean ok;

  exec->started = g_get_monotonic_time ();
  ok = stage->preprocess == NULL || preprocess (stage, exec, &exec->error);
  if (ok) {
    g_mutex_lock (&stage->calls);
    ok = yolo_exec_submit (exec->parts[stage->number], exec->n,
        first && !part->host_input ? exec->frames : NULL,
        last && !part->host_maps ? exec->decode : NULL, &exec->error);
    g_mutex_unlock (&stage->calls);
  }
  if (ok)
    return TRUE;
  name_stage (stage, &exec->error);
  end_batch (net, exec);
  return FALSE;
}

static void
count (Stage *stage, const StagedExec *exec, gint64 ran, gint64 passed)
{
  StagedNet *net = stage->net;

  g_mutex_lock (&net->lock);
  stage->stats.batches++;
  stage->stats.images += exec->n;
  stage->stats.busy += (guint64) (ran - MAX (exec->started, stage->ended)) * 1000;
  stage->stats.passing += (guint64) (passed - ran) * 1000;
  if (stage->number + 1 < net->n)
    stage->stats.bytes += yolo_given_size (exec->parts[stage->number + 1]->plan);
  g_mutex_unlock (&net->lock);
  stage->ended = ran;
}

/* Waits for a batch that this stage runs, and hands it on. */
static void
finish_batch (Stage *stage, StagedExec *exec)
{
  StagedNet *net = stage->net;
  const gboolean last = stage->number + 1 == net->n;
  YoloExec *part = exec->parts[stage->number];
  gboolean ok = yolo_exec_wait (part, &exec->error);
  gint64 ran = g_get_monotonic_time (), passed = ran;

  if (ok && !last) {
    ok = yolo_exec_pass (part, exec->parts[stage->number + 1], &exec->error);
    passed = g_get_monotonic_time ();
  }
  if (!ok)
    name_stage (stage, &exec->error);
  else
    count (stage, exec, ran, passed);
  if (ok && !last)
    hand_to (stage + 1, exec);
  else
    end_batch (net, exec);
}

/* The next batch of a stage, whose turn has come. Waits for one if @wait. Called and left with the
 * lock held. NULL: there is none, or, if @wait, the net stops. */
static StagedExec *
next_batch (Stage *stage, gboolean wait)
{
  GList *link;

  while (wait && stage->waiting.length == 0 && !stage->net->stop)
    g_cond_wait (&stage->work, &stage->net->lock);
  link = g_queue_pop_head_link (&stage->waiting);
  return link != NULL ? link->data : NULL;
}

/* A stage's thread. A device has up to STAGE_DEPTH batches, so that it goes from one to the other
 * while this thread sees to the first one's numbers. */
static gpointer
run_stage (gpointer data)
{
  Stage *stage = data;
  StagedNet *net = stage->net;
  StagedExec *running[STAGE_DEPTH];
  const guint depth = MIN (stage->part->depth, STAGE_DEPTH);
  guint n = 0;

  for (;;) {
    StagedExec *exec = NULL;

    g_mutex_lock (&net->lock);
    if (n < depth)
      exec = next_batch (stage, n == 0);
    g_mutex_unlock (&net->lock);
    if (exec != NULL) {
      if (start_batch (stage, exec))
        running[n++] = exec;
      if (n < depth)
        continue;
    }
    if (n == 0)
      return NULL;
    finish_batch (stage, running[0]);
    n--;
    for (guint i = 0; i < n; i++)
      running[i] = running[i + 1];
  }
}

/* The net */

static void
unload (YoloNet *base)
{
  StagedNet *net = (StagedNet *) base;

  g_mutex_lock (&net->lock);
  net->stop = TRUE;
  for (guint i = 0; i < net->n; i++)
    g_cond_signal (&net->stages[i].work);
  g_mutex_unlock (&net->lock);
  for (guint i = 0; i < net->n; i++) {
    Stage *stage = &net->stages[i];

    if (stage->thread != NULL)
      g_thread_join (stage->thread);
    yolo_preprocess_free (stage->preprocess);
    yolo_net_free (stage->part);
    g_mutex_clear (&stage->calls);
    g_cond_clear (&stage->work);
  }
  g_mutex_clear (&net->lock);
  g_cond_clear (&net->over);
}

static char *
remark (YoloNet *base)
{
  const StagedNet *net = (const StagedNet *) base;
  char *found = NULL;

  for (guint i = 0; i < net->n && found == NULL; i++)
    found = yolo_net_remark (net->stages[i].part);
  return found;
}

static gint
unknown_plane (YoloNet *base, const YoloFrame *frame)
{
  return yolo_net_unknown_plane (((StagedNet *) base)->stages[0].part, frame);
}

/* The plan of the last stage: that of the maps which the caller may read. */
static YoloPlan *
make_plan (YoloNet *base, guint batch, guint height, guint width, GError **error)
{
  StagedNet *net = (StagedNet *) base;
  YoloNet *last = net->stages[net->n - 1].part;
  YoloPlan *plan = last->backend->plan (last, batch, height, width, error);

  return plan != NULL ? yolo_plan_take_part (plan, last->part) : NULL;
}

/* Execs */

static void
release (YoloExec *base)
{
  StagedExec *exec = (StagedExec *) base;
  StagedNet *net = (StagedNet *) base->net;

  for (guint i = 0; i < net->n; i++) {
    g_mutex_lock (&net->stages[i].calls);
    yolo_exec_free (exec->parts[i]);
    g_mutex_unlock (&net->stages[i].calls);
  }
}

static gboolean
prepare_part (StagedExec *exec, Stage *stage, GError **error)
{
  const YoloPlan *plan = exec->base.plan;
  YoloExec **parts = exec->parts;
  const guint i = stage->number;

  g_mutex_lock (&stage->calls);
  parts[i] = yolo_net_prepare (stage->part, plan->batch, plan->height, plan->width, error);
  g_mutex_unlock (&stage->calls);
  /* What passing allocates, and why it cannot be done, is known before the first batch. */
  if (parts[i] == NULL || (i > 0 && !yolo_exec_pass (parts[i - 1], parts[i], error))) {
    name_stage (stage, error);
    return FALSE;
  }
  exec->base.activations += parts[i]->activations;
  return TRUE;
}

static gboolean
prepare (YoloExec *base, GError **error)
{
  StagedExec *exec = (StagedExec *) base;
  StagedNet *net = (StagedNet *) base->net;

  exec->link.data = exec;
  base->activations = 0;
  for (guint i = 0; i < net->n; i++)
    if (!prepare_part (exec, &net->stages[i], error))
      return FALSE;
  base->arena = exec->parts[net->n - 1]->arena;
  return TRUE;
}

static gboolean
submit (YoloExec *base, guint n, const YoloFrame *frames, YoloDecode *decode,
    G_GNUC_UNUSED GError **error)
{
  StagedExec *exec = (StagedExec *) base;
  StagedNet *net = (StagedNet *) base->net;

  exec->n = n;
  exec->frames = frames;
  exec->decode = decode;
  exec->over = FALSE;
  hand_to (&net->stages[0], exec);
  return TRUE;
}

static gboolean
wait (YoloExec *base, GError **error)
{
  StagedExec *exec = (StagedExec *) base;
  StagedNet *net = (StagedNet *) base->net;
  GError *failed;

  g_mutex_lock (&net->lock);
  while (!exec->over)
    g_cond_wait (&net->over, &net->lock);
  g_mutex_unlock (&net->lock);
  failed = g_steal_pointer (&exec->error);
  if (failed == NULL)
    return TRUE;
  g_propagate_error (error, failed);
  return FALSE;
}

static gboolean
is_over (YoloExec *base)
{
  StagedNet *net = (StagedNet *) base->net;
  gboolean over;

  g_mutex_lock (&net->lock);
  over = ((StagedExec *) base)->over;
  g_mutex_unlock (&net->lock);
  return over;
}

static gboolean
rows (YoloExec *base, guint image, YoloMapRole role, const YoloObject *objects, guint n,
    float *out, GError **error)
{
  StagedNet *net = (StagedNet *) base->net;
  Stage *last = &net->stages[net->n - 1];
  gboolean ok;

  g_mutex_lock (&last->calls);
  ok = yolo_exec_rows (
      ((StagedExec *) base)->parts[last->number], image, role, objects, n, out, error);
  g_mutex_unlock (&last->calls);
  return ok;
}

static gboolean
masks (YoloExec *base, guint image, const float *coefficients, const YoloObjectMask *placed,
    guint n, int16_t *cells, gsize n_cells, GError **error)
{
  StagedNet *net = (StagedNet *) base->net;
  Stage *last = &net->stages[net->n - 1];
  gboolean ok;

  g_mutex_lock (&last->calls);
  ok = yolo_exec_masks (((StagedExec *) base)->parts[last->number], image, coefficients, placed, n,
      cells, n_cells, error);
  g_mutex_unlock (&last->calls);
  return ok;
}

static const YoloBackend staged = {
  .name = "staged",
  /* what the first stage takes is asked of its back end */
  .memories = 1u << YOLO_MEMORY_HOST | 1u << YOLO_MEMORY_CUDA,
  .net_size = sizeof (StagedNet),
  .exec_size = sizeof (StagedExec),
  .unload = unload,
  .remark = remark,
  .unknown_plane = unknown_plane,
  .plan = make_plan,
  .prepare = prepare,
  .release = release,
  .submit = submit,
  .wait = wait,
  .is_over = is_over,
  .rows = rows,
  .masks = masks,
};

/* Loading */

/* Where to cut: by a plan in the types of the model's, at its own size. */
static gboolean
choose_cut (YoloModel *model, const YoloPlace *places, guint n, YoloPrecision precision,
    guint threads, YoloStage *stages, GError **error)
{
  const YoloBackend *first = places[0].backend;
  const YoloDType dtype = precision == YOLO_PRECISION_BF16 ? YOLO_BF16
      : precision == YOLO_PRECISION_FP16
          || (precision == YOLO_PRECISION_INT8 && first->int8_kind == YOLO_INT8_SYMMETRIC)
      ? YOLO_F16 : YOLO_F32;
  g_autoptr (YoloPlan) plan =
      yolo_plan_new (model, 1, model->height, model->width, dtype, YOLO_U8, 3, error);
  YoloStageDevice devices[YOLO_MAX_STAGES];

  for (guint i = 0; plan != NULL && i < n; i++) {
    const YoloPlace *place = &places[i];

    /* of a device that cannot tell, only that it is like the others that cannot */
    devices[i] = (YoloStageDevice) { 1e10, 1e10, 0 };
    if (place->backend->speed != NULL
        && !place->backend->speed (place->device, precision, threads, &devices[i], error))
      return FALSE;
    /* one device may run several stages */
    for (guint k = 0, sharing = 0; k < n; k++) {
      sharing += places[k].backend == place->backend && places[k].device == place->device;
      if (k + 1 == n)
        devices[i].memory /= sharing;
    }
  }
  if (plan == NULL)
    return FALSE;
  /* Frames may be smaller than the model's own size: it is tried if the weights have room. */
  return yolo_stages_cut (plan, devices, n, YOLO_STAGE_LINK, n + 1, stages, NULL)
      || yolo_stages_cut (plan, devices, n, YOLO_STAGE_LINK, 0, stages, error);
}

static gboolean
load_stage (StagedNet *net, const YoloPlace *place, gpointer context, guint threads,
    const YoloStage *cut, GError **error)
{
  Stage *stage = &net->stages[net->n];
  g_autoptr (GError) failed = NULL;

  stage->net = net;
  stage->number = net->n++;
  stage->stats.part = cut->part;
  g_mutex_init (&stage->calls);
  g_cond_init (&stage->work);
  g_queue_init (&stage->waiting);
  /* device 0 of the host is all of it, device n + 1 its NUMA node n */
  if (place->backend->host_memory && place->device == 0)
    g_strlcpy (stage->name, place->backend->name, sizeof stage->name);
  else
    g_snprintf (stage->name, sizeof stage->name, "%s:%u", place->backend->name,
        place->device - place->backend->host_memory);
  g_strlcpy (stage->stats.device, stage->name, sizeof stage->stats.device);
  stage->part = yolo_backend_load_part (place->backend, net->base.model, place->device, context,
      net->base.precision, threads, cut->part, error);
  if (stage->part == NULL) {
    name_stage (stage, error);
    return FALSE;
  }
  if (stage->number == 0 && stage->part->host_input)
    stage->preprocess = yolo_preprocess_new (stage->part->pool);
  stage->thread = g_thread_try_new ("yolo-stage", run_stage, stage, &failed);
  if (stage->thread != NULL)
    return TRUE;
  return yolo_network_fail (error, YOLO_NETWORK_ERROR_MEMORY,
      "no thread can be started for a piece of the network: %s", failed->message);
}

YoloNet *
yolo_staged_load (YoloModel *model, const YoloPlace *places, guint n, gpointer context,
    YoloPrecision precision, guint threads, GError **error)
{
  YoloStage cut[YOLO_MAX_STAGES];
  StagedNet *net;

  g_return_val_if_fail (model != NULL && n >= 2 && n <= YOLO_MAX_STAGES, NULL);
  g_return_val_if_fail (precision != YOLO_PRECISION_AUTO, NULL);
  if (!choose_cut (model, places, n, precision, threads, cut, error))
    return NULL;
  net = g_new0 (StagedNet, 1);
  net->base.backend = &staged;
  net->base.model = yolo_model_ref (model);
  net->base.precision = precision;
  net->base.depth = n + 1;
  g_mutex_init (&net->lock);
  g_cond_init (&net->over);
  for (guint i = 0; i < n; i++)
    if (!load_stage (net, &places[i], i == 0 ? context : NULL, threads, &cut[i], error)) {
      yolo_net_free (&net->base);
      return NULL;
    }
  net->base.host_maps = net->stages[n - 1].part->host_maps;
  return &net->base;
}

guint
yolo_staged_get_stats (YoloNet *base, YoloStageStats *stats)
{
  StagedNet *net = (StagedNet *) base;

  if (base->backend != &staged)
    return 0;
  g_mutex_lock (&net->lock);
  for (guint i = 0; i < net->n; i++)
    stats[i] = net->stages[i].stats;
  g_mutex_unlock (&net->lock);
  return net->n;
}
