/* SPDX-License-Identifier: MIT */
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
  return (((gsize) n * buffer->height + y) * buffer->width + x) * buffer->channels + view.channel
      + c;
}

float *
plan_reference_at (
    const YoloPlan *plan, void *arena, YoloView view, guint n, guint y, guint x, guint c)
{
  const YoloBuffer *buffer = &plan->buffers[view.buffer];
  return (float *) ((char *) arena + buffer->offset) + view_index (buffer, view, n, y, x, c);
}

static guint8 *
byte_at (const Run *run, YoloView view, guint n, guint y, guint x, guint c)
{
  const YoloBuffer *buffer = &run->plan->buffers[view.buffer];
  return (guint8 *) run->arena + buffer->offset + view_index (buffer, view, n, y, x, c);
}

/* What lies there: a number, or 8 bits that stand for one. */
static float
get_raw (const Run *run, YoloView view, guint n, guint y, guint x, guint c)
{
  const YoloBuffer *buffer = &run->plan->buffers[view.buffer];

  if (view.buffer == run->plan->input)
    return run->input[view_index (buffer, view, n, y, x, c)];
  if (buffer->dtype == YOLO_F32)
    return *plan_reference_at (run->plan, run->arena, view, n, y, x, c);
  return buffer->dtype == YOLO_U8 ? *byte_at (run, view, n, y, x, c)
                                  : *(gint8 *) byte_at (run, view, n, y, x, c);
}

static float
get (const Run *run, YoloView view, guint n, guint y, guint x, guint c)
{
  const YoloBuffer *buffer = &run->plan->buffers[view.buffer];
  float raw = get_raw (run, view, n, y, x, c);

  c += view.channel;
  return buffer->scale != NULL ? (raw - (float) buffer->zero[c]) * buffer->scale[c] : raw;
}

static void
put (const Run *run, YoloView view, guint n, guint y, guint x, guint c, double value)
{
  const YoloBuffer *buffer = &run->plan->buffers[view.buffer];
  guint channel = view.channel + c;

  if (buffer->dtype == YOLO_F32) {
    *plan_reference_at (run->plan, run->arena, view, n, y, x, c) = (float) value;
  } else {
    float low = buffer->dtype == YOLO_U8 ? 0 : -128;
    float q = rintf ((float) value / buffer->scale[channel]) + (float) buffer->zero[channel];
    *byte_at (run, view, n, y, x, c) = (guint8) (gint) CLAMP (q, low, low + 255);
  }
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
  guint per_group = conv->in_channels / conv->groups,
        first = o / (conv->out_channels / conv->groups) * per_group;
  double sum = conv->bias[o];

  for (guint ky = 0; ky < conv->kernel[0]; ky++) {
    for (guint kx = 0; kx < conv->kernel[1]; kx++) {
      gint64 iy = (gint64) y * conv->stride[0] + ky * conv->dilation[0] - conv->pad[0];
      gint64 ix = (gint64) x * conv->stride[1] + kx * conv->dilation[1] - conv->pad[1];
      if (iy < 0 || iy >= in->height || ix < 0 || ix >= in->width)
        continue;
      for (guint i = 0; i < per_group; i++) {
        double weight =
            conv->weights[(((gsize) o * per_group + i) * conv->kernel[0] + ky) * conv->kernel[1]
                + kx];
        sum += weight * get (run, op->in, n, (guint) iy, (guint) ix, first + i);
      }
    }
  }
  return activate (conv->act, sum);
}

static double
round_to (YoloGrid grid, double x)
{
  return grid.scale == 0
      ? x
      : CLAMP (rintf ((float) x / grid.scale), -grid.zero, 255 - grid.zero) * grid.scale;
}

/* The same in whole numbers, up to the activation. */
static double
convolve_int8 (const Run *run, const YoloOp *op, guint n, guint y, guint x, guint o)
{
  const YoloConv *conv = op->conv;
  const YoloBuffer *in = &run->plan->buffers[op->in.buffer];
  gsize n_weights = (gsize) conv->in_channels * conv->kernel[0] * conv->kernel[1];
  gint32 sum = -conv->int8->offset[o];
  double value;

  /* the offset, less what is taken off each number below */
  for (gsize k = 0; k < n_weights; k++)
    sum += conv->int8->weights[o * n_weights + k]
        * conv->int8->zero[k / (n_weights / conv->in_channels)];

  for (guint ky = 0; ky < conv->kernel[0]; ky++) {
    for (guint kx = 0; kx < conv->kernel[1]; kx++) {
      gint64 iy = (gint64) y * conv->stride[0] + ky * conv->dilation[0] - conv->pad[0];
      gint64 ix = (gint64) x * conv->stride[1] + kx * conv->dilation[1] - conv->pad[1];
      if (iy < 0 || iy >= in->height || ix < 0 || ix >= in->width)
        continue;
      for (guint i = 0; i < conv->in_channels; i++) {
        gsize at =
            (((gsize) o * conv->in_channels + i) * conv->kernel[0] + ky) * conv->kernel[1] + kx;
        sum += conv->int8->weights[at]
            * ((gint32) get_raw (run, op->in, n, (guint) iy, (guint) ix, i) - conv->int8->zero[i]);
      }
    }
  }
  value = (float) sum * conv->int8->multiplier[o] + conv->bias[o];
  if (conv->int8->sum.scale != 0)
    value = round_to (conv->int8->sum, value * conv->int8->sum.scale);
  if (conv->int8->sigmoid.scale != 0)
    value *= round_to (conv->int8->sigmoid, activate (YOLO_ACT_SIGMOID, value));
  else
    value = activate (conv->act, value);
  return round_to (conv->int8->act, value);
}

/* One pooling of `in`'s channels. */
static double
pool (const Run *run, const YoloOp *op, YoloView in, guint n, guint y, guint x, guint c)
{
  const YoloBuffer *buffer = &run->plan->buffers[in.buffer];
  double max = -INFINITY;

  for (guint ky = 0; ky < op->kernel; ky++) {
    for (guint kx = 0; kx < op->kernel; kx++) {
      gint64 iy = (gint64) y * op->stride + ky - op->pad,
             ix = (gint64) x * op->stride + kx - op->pad;
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
      return op->conv->int8 != NULL ? convolve_int8 (run, op, n, y, x, c)
                                    : convolve (run, op, n, y, x, c);
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
          put (run, op->out, n, y, x, c, value);
        }
      }
    }
  }
}

void
plan_reference_run_op (const YoloPlan *plan, const float *input, void *arena, guint op)
{
  run_op (&(Run) { plan, input, arena }, &plan->ops[op]);
}

void
plan_reference_run (const YoloPlan *plan, const float *input, void *arena)
{
  Run run = { plan, input, arena };

  for (guint i = 0; i < plan->n_buffers; i++)
    g_assert_true (plan->buffers[i].dtype == YOLO_F32 || plan->buffers[i].scale != NULL);
  for (guint i = 0; i < plan->n_ops; i++)
    run_op (&run, &plan->ops[i]);
}

void
plan_reference_spread (YoloPlan *plan)
{
  plan->arena_size = 0;
  for (guint i = 0; i < plan->n_buffers; i++) {
    plan->buffers[i].offset = plan->arena_size;
    plan->arena_size += (plan->buffers[i].size + 63) & ~(gsize) 63;
  }
}
