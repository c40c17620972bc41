/* SPDX-License-Identifier: MIT */
#include "tests/engine/simulated.h"

#include "backend/reference.h"
#include "engine/load.h"

#include <string.h>

Simulated simulated;

typedef struct {
  YoloNet base;
  guint device;
  gint64 free_at;               /* when it is done with what it was given; monotonic µs */
} SimNet;

typedef struct {
  YoloExec base;
  SimNet *net;
  float *levels;                /* the network's input */
  void *arena;                  /* of a host also base.arena */
  YoloPreprocess *preprocess;
  double share;                 /* of the whole network's multiply-adds */
  guint n;
  YoloDecode *decode;
  gint64 done;                  /* when the batch is over; monotonic µs */
} SimExec;

void
simulated_reset (void)
{
  simulated = (Simulated) { 0 };
}

/* Counts a call, and says whether it succeeds. */
static gboolean
call (SimulatedCall which, YoloNetworkError code, GError **error)
{
  static const char *const names[] = { "load", "prepare", "submit", "wait", "pass" };
  guint n, fail, jitter;

  g_mutex_lock (&simulated.lock);
  n = ++simulated.calls[which];
  fail = simulated.fail[which];
  jitter = simulated.jitter > 0 ? n * 7919 % simulated.jitter : 0;
  g_mutex_unlock (&simulated.lock);
  if (jitter > 0)
    g_usleep (jitter);
  if (fail == 0 || (simulated.every ? n % fail != 0 : n != fail))
    return TRUE;
  return yolo_network_fail (error, code, "%s %u was made to fail", names[which], n);
}

static gboolean
available (guint device, GError **error)
{
  return device < SIMULATED_DEVICES
      || yolo_network_fail (error, YOLO_NETWORK_ERROR_DEVICE, "there is no device %u", device);
}

static gboolean
resolve (guint device, YoloPrecision *precision, GError **error)
{
  *precision = YOLO_PRECISION_FP32;
  return TRUE;
}

/* Time is that of multiply-adds alone, as shares are counted. */
static gboolean
speed (guint device, YoloPrecision precision, guint threads, YoloStageDevice *speed,
    GError **error)
{
  *speed = (YoloStageDevice) { .macs = 1e9, .bytes = 1e30 };
  return TRUE;
}

static gboolean
load (YoloNet *base, guint device, gpointer context, guint threads, GError **error)
{
  ((SimNet *) base)->device = device;
  g_mutex_lock (&simulated.lock);
  simulated.nets++;
  g_mutex_unlock (&simulated.lock);
  return call (SIMULATED_LOAD, YOLO_NETWORK_ERROR_DEVICE, error);
}

static void
unload (YoloNet *base)
{
  g_mutex_lock (&simulated.lock);
  simulated.nets--;
  g_mutex_unlock (&simulated.lock);
}

static YoloPlan *
make_plan (YoloNet *net, guint batch, guint height, guint width, GError **error)
{
  return yolo_plan_new (net->model, batch, height, width, YOLO_F32,
      net->host_input ? YOLO_U8 : YOLO_F32, 3, error);
}

static double
share_of (const YoloPlan *plan)
{
  const YoloModel *model = plan->model;
  double macs = 0;

  for (guint i = 0; i < plan->n_ops; i++) {
    const YoloOp *op = &plan->ops[i];
    const YoloBuffer *out = &plan->buffers[op->out.buffer];

    if (op->type == YOLO_OP_CONV)
      macs += (double) out->height * out->width * op->conv->out_channels * op->conv->in_channels
          / op->conv->groups * op->conv->kernel[0] * op->conv->kernel[1];
  }
  return macs / model->macs * model->height * model->width / plan->height / plan->width;
}

static gboolean
prepare (YoloExec *base, GError **error)
{
  SimExec *exec = (SimExec *) base;
  const YoloPlan *plan = base->plan;
  const YoloBuffer *input = &plan->buffers[plan->input];
  gboolean fits;

  g_mutex_lock (&simulated.lock);
  simulated.execs++;
  fits = simulated.max_execs == 0 || simulated.execs <= simulated.max_execs;
  g_mutex_unlock (&simulated.lock);
  exec->net = (SimNet *) base->net;
  exec->share = share_of (plan);
  exec->levels =
      g_new0 (float, (gsize) plan->batch * input->height * input->width * input->channels);
  exec->arena = g_malloc0 (MAX (plan->arena_size, 1));
  exec->preprocess = yolo_preprocess_new (NULL);
  if (base->net->host_input)
    base->input = g_malloc0 (MAX (input->size, 1));
  if (base->net->host_maps)
    base->arena = exec->arena;
  if (!fits)
    return yolo_network_fail (error, YOLO_NETWORK_ERROR_MEMORY, "prepare was made to fail");
  return call (SIMULATED_PREPARE, YOLO_NETWORK_ERROR_MEMORY, error);
}

static void
release (YoloExec *base)
{
  SimExec *exec = (SimExec *) base;

  g_mutex_lock (&simulated.lock);
  simulated.execs--;
  g_mutex_unlock (&simulated.lock);
  g_free (exec->levels);
  g_free (exec->arena);
  g_free (base->input);
  yolo_preprocess_free (exec->preprocess);
}

static void
read_frames (SimExec *exec, const YoloFrame *frames)
{
  const YoloPlan *plan = exec->base.plan;
  const gsize image = (gsize) plan->height * plan->width * 3;

  for (guint i = 0; i < exec->n && frames != NULL; i++) {
    YoloLetterbox box;

    yolo_letterbox_frame (&box, &frames[i], (int) plan->width, (int) plan->height);
    g_assert_true (yolo_preprocess_run (
        exec->preprocess, &frames[i], &box, exec->levels + i * image, YOLO_F32, 3));
  }
  if (exec->base.input != NULL)
    for (gsize i = 0; i < plan->buffers[plan->input].size; i++)
      exec->levels[i] = ((const guint8 *) exec->base.input)[i];
}

static gboolean
submit (YoloExec *base, guint n, const YoloFrame *frames, YoloDecode *decode, GError **error)
{
  SimExec *exec = (SimExec *) base;
  const gint64 now = g_get_monotonic_time ();
  guint sum = 0;

  if (!call (SIMULATED_SUBMIT, YOLO_NETWORK_ERROR_DEVICE, error))
    return FALSE;
  exec->n = n;
  exec->decode = decode;
  if (!simulated.sleep) {
    read_frames (exec, frames);
    for (guint i = 0; i < base->plan->n_ops; i++)
      yolo_reference_run_op (base->plan, exec->levels, exec->arena, i);
  }
  exec->done = MAX (now, exec->net->free_at)
      + (gint64) (exec->share * (simulated.fixed + n * simulated.frame));
  exec->net->free_at = exec->done;
  g_mutex_lock (&simulated.lock);
  simulated.under_way[exec->net->device]++;
  for (guint i = 0; i < SIMULATED_DEVICES; i++)
    sum += simulated.under_way[i];
  simulated.max_under_way = MAX (simulated.max_under_way, sum);
  g_mutex_unlock (&simulated.lock);
  return TRUE;
}

static gboolean
finish (YoloExec *base, GError **error)
{
  SimExec *exec = (SimExec *) base;
  const gint64 left = exec->done - g_get_monotonic_time ();

  if (left > 0)
    g_usleep ((gulong) left);
  g_mutex_lock (&simulated.lock);
  simulated.under_way[exec->net->device]--;
  g_mutex_unlock (&simulated.lock);
  if (!call (SIMULATED_WAIT, YOLO_NETWORK_ERROR_DEVICE, error))
    return FALSE;
  for (guint i = 0; i < exec->n && exec->decode != NULL; i++) {
    YoloHead head;

    exec->decode[i].n = 0;
    if (simulated.sleep)
      continue;
    yolo_plan_head (base->plan, exec->arena, i, &head);
    yolo_task_find (base->plan->model->task)->decode (&head, &exec->decode[i]);
  }
  return TRUE;
}

/* Through the host: that is where all memory is. */
static gboolean
pass (YoloExec *from, YoloExec *to, GError **error)
{
  YoloExec source = *from, target = *to;
  g_autofree void *message = g_malloc (MAX (yolo_given_size (to->plan), 1));

  if (!call (SIMULATED_PASS, YOLO_NETWORK_ERROR_DEVICE, error))
    return FALSE;
  source.arena = ((SimExec *) from)->arena;
  target.arena = ((SimExec *) to)->arena;
  yolo_given_pack (to->plan, &source, message);
  yolo_given_unpack (&target, message);
  return TRUE;
}

/* @its_pass: of a device */
#define SIMULATED(its_name, its_host, its_pass) {                                               \
  .name = its_name, .host_memory = its_host, .memories = 1u << YOLO_MEMORY_HOST,                \
  .available = available, .resolve = resolve, .speed = speed, .net_size = sizeof (SimNet),      \
  .exec_size = sizeof (SimExec), .load = load, .unload = unload, .plan = make_plan,             \
  .prepare = prepare, .release = release, .submit = submit, .wait = finish, .pass = its_pass }

static const YoloBackend host = SIMULATED ("host", TRUE, NULL);
static const YoloBackend second_host = SIMULATED ("second-host", TRUE, NULL);
static const YoloBackend device = SIMULATED ("device", FALSE, pass);

const YoloEngineParts simulated_parts = { 20000, &host, &device, &second_host,
  yolo_model_load_head, yolo_model_unref, NULL };
