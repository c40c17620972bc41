#include "tests/network/plan-reference.h"

#include <math.h>

typedef struct {
  const YoloPlan *plan;
  const float *input;
  void *arena;
} Run;

static gsize
view_index (const YoloBuffer *buffer, YoloView view, guint n, guint y, guint x, guint c)
{
  return (((gsize) n * buffer->height + y) * buffer->width + x) * buffer->channels + view.channel + c;
}

float *
plan_reference_at (const YoloPlan *plan, void *arena, YoloView view, guint n, guint y, guint x, guint c)
{
  const YoloBuffer *buffer = &plan->buffers[view.buffer];
  return (float *) ((char *) arena + buffer->offset) + view_index (buffer, view, n, y, x, c);
}

static float
get (const Run *run, YoloView view, guint n, guint y, guint x, guint c)
{
  if (view.buffer == run->plan->input)
    return run->input[view_index (&run->plan->buffers[view.buffer], view, n, y, x, c)];
  return *plan_reference_at (run->plan, run->arena, view, n, y, x, c);
}

static double
activate (YoloActivation act, double x)
{
  switch (act) {
    case YOLO_ACT_SILU:
      return x / (1 + exp (-x));
    case YOLO_ACT_RELU:
      return x > 0 ? x : 0;
    case YOLO_ACT_SIGMOID:
      return 1 / (1 + exp (-x));
    default:
      return x;
  }
}

static double
convolve (const Run *run, const YoloOp *op, guint n, guint y, guint x, guint o)
{
  const YoloConv *conv = op->conv;
  const YoloBuffer *in = &run->plan->buffers[op->in.buffer];
  guint per_group = conv->in_channels / conv->groups, first = o / (conv->out_channels / conv->groups) * per_group;
  double sum = conv->bias[o];

  for (guint ky = 0; ky < conv->kernel[0]; ky++) {
    for (guint kx = 0; kx < conv->kernel[1]; kx++) {
      gint64 iy = (gint64) y * conv->stride[0] + ky * conv->dilation[0] - conv->pad[0];
      gint64 ix = (gint64) x * conv->stride[1] + kx * conv->dilation[1] - conv->pad[1];
      if (iy < 0 || iy >= in->height || ix < 0 || ix >= in->width)
        continue;
      for (guint i = 0; i < per_group; i++) {
        double weight = conv->weights[(((gsize) o * per_group + i) * conv->kernel[0] + ky) * conv->kernel[1] + kx];
        sum += weight * get (run, op->in, n, (guint) iy, (guint) ix, first + i);
      }
    }
  }
  return activate (conv->act, sum);
}

/* One pooling of `in`'s channels. */
static double
pool (const Run *run, const YoloOp *op, YoloView in, guint n, guint y, guint x, guint c)
{
  const YoloBuffer *buffer = &run->plan->buffers[in.buffer];
  double max = -INFINITY;

  for (guint ky = 0; ky < op->kernel; ky++) {
    for (guint kx = 0; kx < op->kernel; kx++) {
      gint64 iy = (gint64) y * op->stride + ky - op->pad, ix = (gint64) x * op->stride + kx - op->pad;
      if (iy >= 0 && iy < buffer->height && ix >= 0 && ix < buffer->width)
        max = MAX (max, get (run, in, n, (guint) iy, (guint) ix, c));
    }
  }
  return max;
}

static double
element (const Run *run, const YoloOp *op, guint n, guint y, guint x, guint c)
{
  YoloView pooled = op->in;

  switch (op->type) {
    case YOLO_OP_CONV:
      return convolve (run, op, n, y, x, c);
    case YOLO_OP_MAX_POOL:
      /* the second part of the chain is pooled from the first, and so on */
      if (c >= op->in.channels) {
        pooled = op->out;
        pooled.channel += c / op->in.channels * op->in.channels - op->in.channels;
      }
      return pool (run, op, pooled, n, y, x, c % op->in.channels);
    case YOLO_OP_UPSAMPLE:
      return get (run, op->in, n, y / op->scale, x / op->scale, c);
    case YOLO_OP_ACT:
      return activate (op->act, get (run, op->in, n, y, x, c));
    default:
      return get (run, op->in, n, y, x, c);
  }
}

static void
run_op (const Run *run, const YoloOp *op)
{
  const YoloBuffer *out = &run->plan->buffers[op->out.buffer];

  /* channels outermost: the parts of a chain of poolings come one after the other */
  for (guint c = 0; c < op->out.channels; c++) {
    for (guint n = 0; n < run->plan->batch; n++) {
      for (guint y = 0; y < out->height; y++) {
        for (guint x = 0; x < out->width; x++) {
          double value = element (run, op, n, y, x, c);
          if (op->residual.channels > 0)
            value += get (run, op->residual, n, y, x, c);
          *plan_reference_at (run->plan, run->arena, op->out, n, y, x, c) = (float) value;
        }
      }
    }
  }
}

void
plan_reference_run (const YoloPlan *plan, const float *input, void *arena)
{
  Run run = { plan, input, arena };

  for (guint i = 0; i < plan->n_buffers; i++)
    g_assert_cmpint (plan->buffers[i].dtype, ==, YOLO_F32);
  for (guint i = 0; i < plan->n_ops; i++)
    run_op (&run, &plan->ops[i]);
}
