/* SPDX-License-Identifier: MIT */
/* The definition: what each operation computes, an element at a time, in double or in
 * whole numbers. Every fast version is held to it, and it is a back end of its own. */

#include "backend/reference.h"
#include "backend/builtin.h"

#include <math.h>
#include <string.h>

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
yolo_reference_at (
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

/* The number that lies in a view, or the 8 bits that stand for it. */
static float
get_raw (const Run *run, YoloView view, guint n, guint y, guint x, guint c)
{
  const YoloBuffer *buffer = &run->plan->buffers[view.buffer];

  if (view.buffer == run->plan->input)
    return run->input[view_index (buffer, view, n, y, x, c)];
  if (buffer->dtype == YOLO_F32)
    return *yolo_reference_at (run->plan, run->arena, view, n, y, x, c);
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
    *yolo_reference_at (run->plan, run->arena, view, n, y, x, c) = (float) value;
  } else {
    float low = buffer->dtype == YOLO_U8 ? 0 : -128;
    float q = rintf ((float) value / buffer->scale[channel]) + (float) buffer->zero[channel];
    *byte_at (run, view, n, y, x, c) = (guint8) (gint) CLAMP (q, low, low + 255);
  }
}

static double
clip (double x, double low, double high)
{
  double above = x < low ? low : x;

  return above > high ? high : above;
}

/* Sources: the operators Sigmoid, Relu, LeakyRelu, Clip, HardSigmoid, HardSwish, Gelu, Elu and Mish
 * of https://onnx.ai/onnx/operators/, which PyTorch's modules of such names equal; SiLU is x times
 * Sigmoid. GELU's probability is (1 + erf (x / sqrt (2))) / 2 there. */
static double
activate (YoloActivation act, double alpha, double beta, double x)
{
  switch (act) {
    case YOLO_ACT_NONE:
      break;
    case YOLO_ACT_SILU:
      return x / (1 + exp (-x));
    case YOLO_ACT_RELU:
      return x > 0 ? x : 0;
    case YOLO_ACT_SIGMOID:
      return 1 / (1 + exp (-x));
    case YOLO_ACT_LEAKY_RELU:
      return x < 0 ? alpha * x : x;
    case YOLO_ACT_CLIP:
      return clip (x, alpha, beta);
    case YOLO_ACT_HARD_SIGMOID:
      return clip (alpha * x + beta, 0, 1);
    case YOLO_ACT_HARD_SWISH:
      return x * clip (x / 6 + .5, 0, 1);
    case YOLO_ACT_GELU:
      return x * erfc (-x * G_SQRT2 / 2) / 2;
    case YOLO_ACT_GELU_TANH:
      return x * (1 + tanh (sqrt (2 / G_PI) * (x + .044715 * x * x * x))) / 2;
    case YOLO_ACT_ELU:
      return x < 0 ? alpha * expm1 (x) : x;
    case YOLO_ACT_MISH:
      return x * tanh (log1p (exp (x)));
  }
  return x;
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
  return activate (conv->act, conv->alpha, conv->beta, sum);
}

static double
round_to (YoloGrid grid, double x)
{
  return grid.scale == 0
      ? x
      : CLAMP (rintf ((float) x / grid.scale), -grid.zero, 255 - grid.zero) * grid.scale;
}

/* convolve() in whole numbers, up to the activation. */
static double
convolve_int8 (const Run *run, const YoloOp *op, guint n, guint y, guint x, guint o)
{
  const YoloConv *conv = op->conv;
  const YoloBuffer *in = &run->plan->buffers[op->in.buffer];
  gsize n_weights = (gsize) conv->in_channels * conv->kernel[0] * conv->kernel[1];
  gint32 sum = -conv->int8->offset[o];
  double value;

  /* The offset counts the zero points that are taken off each number below. */
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
    value *= round_to (conv->int8->sigmoid,
        conv->act == YOLO_ACT_HARD_SWISH ? activate (YOLO_ACT_HARD_SIGMOID, 1 / 6., .5, value)
                                         : activate (YOLO_ACT_SIGMOID, 0, 0, value));
  else
    value = activate (conv->act, conv->alpha, conv->beta, value);
  return round_to (conv->int8->act, value);
}

/* The largest number in a window of channel c of `in`. */
static double
pool (const Run *run, const YoloOp *op, YoloView in, guint n, guint y, guint x, guint c)
{
  const YoloBuffer *buffer = &run->plan->buffers[in.buffer];
  double max = -INFINITY;

  for (guint ky = 0; ky < op->numbers.kernel; ky++) {
    for (guint kx = 0; kx < op->numbers.kernel; kx++) {
      gint64 iy = (gint64) y * op->numbers.stride + ky - op->numbers.pad,
             ix = (gint64) x * op->numbers.stride + kx - op->numbers.pad;
      if (iy >= 0 && iy < buffer->height && ix >= 0 && ix < buffer->width)
        max = MAX (max, get (run, in, n, (guint) iy, (guint) ix, c));
    }
  }
  return max;
}

/* Attention of position @i of image @n in one head: its query is compared with the keys of all
 * positions of its area, and the mean of their values by these weights is stored.
 * Source: A. Vaswani et al., "Attention Is All You Need", arXiv:1706.03762, equation 1; whatever
 * divides the products there is in the queries already. @weights: [positions of an area]. */
static void
attend (const Run *run, const YoloOp *op, guint n, guint i, guint head, double *weights)
{
  const YoloBuffer *in = &run->plan->buffers[op->in.buffer];
  guint width = in->width, count = in->height * width / op->numbers.areas;
  guint first = i / count * count;
  guint key = op->numbers.key, keys = op->numbers.heads * key;
  guint values = op->out.channels / op->numbers.heads;
  double max = -INFINITY, sum = 0;

  for (guint j = 0; j < count; j++) {
    guint at = first + j;

    weights[j] = 0;
    for (guint c = head * key; c < (head + 1) * key; c++)
      weights[j] += (double) get (run, op->in, n, i / width, i % width, c)
          * get (run, op->in, n, at / width, at % width, keys + c);
    max = MAX (max, weights[j]);
  }
  for (guint j = 0; j < count; j++) {
    weights[j] = exp (weights[j] - max);
    sum += weights[j];
  }
  for (guint c = head * values; c < (head + 1) * values; c++) {
    double mean = 0;

    for (guint j = 0; j < count; j++)
      mean += weights[j] / sum
          * get (run, op->in, n, (first + j) / width, (first + j) % width, 2 * keys + c);
    put (run, op->out, n, i / width, i % width, c, mean);
  }
}

/* Attention is run as a whole, since the channels of a head share their weights. */
static void
run_attention (const Run *run, const YoloOp *op)
{
  const YoloBuffer *in = &run->plan->buffers[op->in.buffer];
  guint positions = in->height * in->width;
  g_autofree double *weights = g_new (double, positions);

  for (guint n = 0; n < run->plan->batch; n++) {
    for (guint i = 0; i < positions; i++) {
      for (guint head = 0; head < op->numbers.heads; head++)
        attend (run, op, n, i, head, weights);
    }
  }
}

/* The mean over all positions of an image. */
static double
mean (const Run *run, YoloView in, guint n, guint c)
{
  const YoloBuffer *buffer = &run->plan->buffers[in.buffer];
  double sum = 0;

  for (guint y = 0; y < buffer->height; y++) {
    for (guint x = 0; x < buffer->width; x++)
      sum += get (run, in, n, y, x, c);
  }
  return sum / ((double) buffer->height * buffer->width);
}

static double
element (const Run *run, const YoloOp *op, guint n, guint y, guint x, guint c)
{
  YoloView pooled = op->in;
  guint scale = op->numbers.scale;

  switch (op->type) {
    case YOLO_OP_CONV:
      return op->conv->int8 != NULL ? convolve_int8 (run, op, n, y, x, c)
                                    : convolve (run, op, n, y, x, c);
    case YOLO_OP_MAX_POOL:
      /* In a chain of poolings each part of the output is pooled from the part before. */
      if (c >= op->in.channels) {
        pooled = op->out;
        pooled.channel += c / op->in.channels * op->in.channels - op->in.channels;
      }
      return pool (run, op, pooled, n, y, x, c % op->in.channels);
    case YOLO_OP_UPSAMPLE:
      return get (run, op->in, n, y / scale, x / scale, c);
    case YOLO_OP_ACT:
      return activate (op->numbers.act, op->numbers.alpha, op->numbers.beta,
          get (run, op->in, n, y, x, c));
    case YOLO_OP_ADD:
    case YOLO_OP_COPY:
      break;
    case YOLO_OP_SHUFFLE:
      return get (run, op->in, n, y / scale, x / scale,
          (y % scale * scale + x % scale) * op->out.channels + c);
    case YOLO_OP_GLOBAL_POOL:
      return mean (run, op->in, n, c);
    case YOLO_OP_ATTENTION:     /* is run by run_attention() */
      g_assert_not_reached ();
  }
  return get (run, op->in, n, y, x, c);
}

static void
run_op (const Run *run, const YoloOp *op)
{
  const YoloBuffer *out = &run->plan->buffers[op->out.buffer];

  if (op->type == YOLO_OP_ATTENTION) {
    run_attention (run, op);
    return;
  }
  /* Channels are the outermost loop, so that the parts of a chain of poolings are made in turn. */
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
yolo_reference_run_op (const YoloPlan *plan, const float *input, void *arena, guint op)
{
  run_op (&(Run) { plan, input, arena }, &plan->ops[op]);
}

void
yolo_reference_run (const YoloPlan *plan, const float *input, void *arena)
{
  Run run = { plan, input, arena };

  for (guint i = 0; i < plan->n_ops; i++)
    run_op (&run, &plan->ops[i]);
}

void
yolo_reference_spread (YoloPlan *plan)
{
  plan->arena_size = 0;
  for (guint i = 0; i < plan->n_buffers; i++) {
    plan->buffers[i].offset = plan->arena_size;
    plan->arena_size += (plan->buffers[i].size + 63) & ~(gsize) 63;
  }
}

/* The back end. */

typedef struct {
  YoloExec base;
  float *input;                 /* the numbers of base.input, as the definition reads them */
} ReferenceExec;

static gboolean
available (guint device, GError **error)
{
  return device == 0
      || yolo_network_fail (
          error, YOLO_NETWORK_ERROR_DEVICE, "there is no reference device %u: use 0", device);
}

static gboolean
resolve (G_GNUC_UNUSED guint device, YoloPrecision *precision, GError **error)
{
  if (*precision == YOLO_PRECISION_AUTO)
    *precision = YOLO_PRECISION_FP32;
  return *precision == YOLO_PRECISION_FP32 || *precision == YOLO_PRECISION_INT8
      || yolo_network_fail (error, YOLO_NETWORK_ERROR_PRECISION,
          "the reference cannot run in precision %s: use auto, fp32 or int8",
          yolo_precision_name (*precision));
}

/* A product at a time, in one thread. */
static gboolean
speed (G_GNUC_UNUSED guint device, G_GNUC_UNUSED YoloPrecision precision,
    G_GNUC_UNUSED guint threads, YoloStageDevice *speed, G_GNUC_UNUSED GError **error)
{
  *speed = (YoloStageDevice) { .macs = 1e8, .bytes = 1e9 };
  return TRUE;
}

static gboolean
load (G_GNUC_UNUSED YoloNet *net, G_GNUC_UNUSED guint device, G_GNUC_UNUSED gpointer context,
    G_GNUC_UNUSED guint threads, G_GNUC_UNUSED GError **error)
{
  return TRUE;
}

static void
unload (G_GNUC_UNUSED YoloNet *net)
{
}

static YoloPlan *
make_plan (YoloNet *net, guint batch, guint height, guint width, GError **error)
{
  return yolo_plan_new (net->model, batch, height, width, YOLO_F32, YOLO_U8, 3, error);
}

/* Floats, 8 bits on a grid, and grey levels in the input. */
static gboolean
is_known (const YoloPlan *plan, YoloView view)
{
  const YoloBuffer *buffer = &plan->buffers[view.buffer];

  return view.channels == 0 || buffer->dtype == YOLO_F32 || view.buffer == plan->input
      || buffer->scale != NULL;
}

static gboolean
supports (const YoloPlan *plan, const YoloOp *op)
{
  return is_known (plan, op->in) && is_known (plan, op->residual) && is_known (plan, op->out);
}

static gboolean
prepare (YoloExec *base, GError **error)
{
  ReferenceExec *exec = (ReferenceExec *) base;
  const YoloBuffer *input = &base->plan->buffers[base->plan->input];

  /* a part of a plan may have no input */
  base->input = g_try_malloc0 (MAX (input->size, 1));
  base->arena = g_try_malloc0 (MAX (base->plan->arena_size, 1));
  exec->input = g_try_new0 (float, input->size / yolo_dtype_size (input->dtype) + 1);
  return (base->input != NULL && base->arena != NULL && exec->input != NULL)
      || yolo_network_fail (error, YOLO_NETWORK_ERROR_MEMORY,
          "out of memory for %" G_GSIZE_FORMAT " bytes of activations", base->plan->arena_size);
}

static void
release (YoloExec *base)
{
  g_free (base->input);
  g_free (base->arena);
  g_free (((ReferenceExec *) base)->input);
}

static void
read_input (ReferenceExec *exec)
{
  const YoloBuffer *buffer = &exec->base.plan->buffers[exec->base.plan->input];
  const guint8 *levels = exec->base.input;

  if (buffer->dtype == YOLO_F32)
    memcpy (exec->input, levels, buffer->size);
  else
    for (gsize i = 0; i < buffer->size; i++)
      exec->input[i] = buffer->dtype == YOLO_U8 ? levels[i] : (gint8) levels[i];
}

/* All images of the batch are computed, whatever @n is. */
static gboolean
submit (YoloExec *base, G_GNUC_UNUSED guint n, G_GNUC_UNUSED const YoloFrame *frames,
    G_GNUC_UNUSED YoloDecode *decode, G_GNUC_UNUSED GError **error)
{
  ReferenceExec *exec = (ReferenceExec *) base;

  read_input (exec);
  for (guint i = 0; i < base->plan->n_ops; i++) {
    double start = base->seconds != NULL ? g_get_monotonic_time () / 1e6 : 0;

    if (base->replace == NULL || !base->replace (base->observe_data, i))
      yolo_reference_run_op (base->plan, exec->input, base->arena, i);
    if (base->seconds != NULL)
      base->seconds[i] += g_get_monotonic_time () / 1e6 - start;
    if (base->observe != NULL)
      base->observe (base->observe_data, i);
  }
  return TRUE;
}

/* submit() has done all of it. */
static gboolean
wait (G_GNUC_UNUSED YoloExec *base, G_GNUC_UNUSED GError **error)
{
  return TRUE;
}

const YoloBackend yolo_reference_backend = {
  .name = "reference",
  .host_memory = TRUE,
  .memories = 1u << YOLO_MEMORY_HOST,
  .int8_kind = YOLO_INT8_ASYMMETRIC,
  .available = available,
  .resolve = resolve,
  .speed = speed,
  .net_size = sizeof (YoloNet),
  .exec_size = sizeof (ReferenceExec),
  .load = load,
  .unload = unload,
  .plan = make_plan,
  .supports = supports,
  .prepare = prepare,
  .release = release,
  .submit = submit,
  .wait = wait,
};
