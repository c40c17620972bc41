/* SPDX-License-Identifier: MIT */
#include "tests/engine/counted.h"

#include "backend/builtin.h"

double counted_work;
guint counted_int8_nets, counted_harmless = G_MAXUINT;

/* What calibration has set in an exec, while the counters stand in its place. */
typedef struct {
  const YoloExec *exec;
  void (*observe) (gpointer data, guint op);
  gboolean (*replace) (gpointer data, guint op);
  gpointer data;
} Hooks;

static void
observe (gpointer data, guint op)
{
  const Hooks *hooks = data;

  if (hooks->observe != NULL)
    hooks->observe (hooks->data, op);
}

static gboolean
replace (gpointer data, guint index)
{
  const Hooks *hooks = data;
  const YoloPlan *plan = hooks->exec->plan;
  const YoloOp *op = &plan->ops[index];
  const YoloBuffer *out = &plan->buffers[op->out.buffer];

  if (hooks->replace != NULL && hooks->replace (hooks->data, index))
    return TRUE;
  if (op->conv != NULL)
    counted_work += (double) out->height * out->width * op->conv->out_channels
        * (op->conv->in_channels / op->conv->groups) * op->conv->kernel[0] * op->conv->kernel[1];
  return FALSE;
}

/* Takes all confidence from what an exec has found, where too much of it runs in int8. */
static void
harm (YoloExec *exec)
{
  const YoloPlan *plan = exec->plan;
  guint int8 = 0;

  for (guint i = 0; i < plan->n_ops; i++)
    int8 += plan->ops[i].conv != NULL && plan->ops[i].conv->int8 != NULL;
  for (guint k = 0; int8 > counted_harmless && k < plan->model->n_outputs; k++) {
    YoloView view = plan->outputs[k];
    const YoloBuffer *map = &plan->buffers[view.buffer];
    float *pixel = yolo_exec_view (exec, view);

    if (plan->model->outputs[k].role != YOLO_MAP_CLASS)
      continue;
    for (gsize i = (gsize) map->height * map->width; i > 0; i--, pixel += map->channels)
      for (guint c = 0; c < view.channels; c++)
        pixel[c] = -20;
  }
}

static gboolean
submit (YoloExec *exec, guint n, const YoloFrame *frames, YoloDecode *decode, GError **error)
{
  Hooks hooks = { exec, exec->observe, exec->replace, exec->observe_data };
  gboolean ok;

  exec->observe = observe;
  exec->replace = replace;
  exec->observe_data = &hooks;
  ok = yolo_cpu_backend.submit (exec, n, frames, decode, error);
  exec->observe = hooks.observe;
  exec->replace = hooks.replace;
  exec->observe_data = hooks.data;
  harm (exec);
  return ok;
}

static gboolean
load (YoloNet *net, guint device, gpointer context, guint threads, GError **error)
{
  counted_int8_nets += net->precision == YOLO_PRECISION_INT8;
  return yolo_cpu_backend.load (net, device, context, threads, error);
}

const YoloBackend *
counted_backend (void)
{
  static YoloBackend counted;

  if (counted.name == NULL) {
    counted = yolo_cpu_backend;
    counted.load = load;
    counted.submit = submit;
  }
  return &counted;
}
