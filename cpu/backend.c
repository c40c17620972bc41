/* SPDX-License-Identifier: MIT */
#include "backend/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/builtin.h"
#include "cpu/backend.h"
#include "cpu/kernels.h"
#include "cpu/node.h"

#define ALIGN(x) (((x) + 63) & ~(gsize) 63)

typedef struct {
  YoloNet base;
  guint device;
  const YoloKernels *kernels;
  GArray *packed;               /* Packed: weights for our own convolutions */
} CpuNet;

typedef struct {
  const YoloConv *conv;
  const YoloConvKernel *kernel;
  void *weights;
} Packed;

/* An operation with its addresses. */
typedef struct {
  const YoloOp *op;
  YoloTensor in, out, residual;
  const YoloConvKernel *kernel; /* what runs a convolution; NULL for other operations */
  const void *packed;           /* the net's */
} Step;

typedef struct {
  YoloExec base;
  CpuNet *net;
  Step *steps;                  /* base.plan->n_ops */
  char *scratch;                /* of whichever step runs */
  double *profile;              /* base.seconds, if asked for by the environment */
  guint images;                 /* run */
} CpuExec;

/* Device 0 is all cores, device n + 1 those of NUMA node n. */
static gboolean
available (guint device, GError **error)
{
  return device == 0 || yolo_node_check (device - 1, error);
}

static gboolean
resolve (G_GNUC_UNUSED guint device, YoloPrecision *precision, GError **error)
{
  gboolean bf16 = yolo_cpu_kernels (0)->bf16;

  switch (*precision) {
    case YOLO_PRECISION_AUTO:
      *precision = bf16 ? YOLO_PRECISION_BF16 : YOLO_PRECISION_FP32;
      return TRUE;
    case YOLO_PRECISION_FP32:
    case YOLO_PRECISION_INT8:
      return TRUE;
    case YOLO_PRECISION_BF16:
      if (bf16)
        return TRUE;
      break;
    case YOLO_PRECISION_FP16:
      break;
  }
  g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_PRECISION,
      "this CPU cannot run in precision %s: use %s", yolo_precision_name (*precision),
      bf16 ? "auto, fp32, bf16 or int8" : "auto, fp32 or int8");
  return FALSE;
}

/* Threads of a net on a device, of which @threads are asked for; 0: one for each core. */
static guint
n_threads (guint device, guint threads)
{
  if (threads > 0)
    return threads;
  return device > 0 ? MAX (yolo_node_cores (device - 1), 1) : g_get_num_processors ();
}

/* What a thread does with AVX2 at 2.5 GHz, to within a factor of two: only its ratio to other
 * devices counts. */
static gboolean
speed (guint device, YoloPrecision precision, guint threads, YoloStageDevice *speed,
    G_GNUC_UNUSED GError **error)
{
  const double n = n_threads (device, threads);

  *speed = (YoloStageDevice) { .macs = n * (precision == YOLO_PRECISION_FP32 ? 2e10 : 4e10),
    .bytes = n * 1e10 };
  return TRUE;
}

static gboolean
load (YoloNet *base, guint device, G_GNUC_UNUSED gpointer context, guint threads,
    G_GNUC_UNUSED GError **error)
{
  CpuNet *net = (CpuNet *) base;
  YoloCores *cores = device > 0 ? yolo_cores_save () : NULL;

  net->device = device;
  if (device > 0)
    yolo_node_enter (device - 1);
  base->pool = yolo_pool_new (n_threads (device, threads));
  if (device > 0)
    yolo_cores_restore (cores);
  net->kernels = yolo_cpu_kernels (0);
  net->packed = g_array_new (FALSE, FALSE, sizeof (Packed));
  return TRUE;
}

static void
unload (YoloNet *base)
{
  CpuNet *net = (CpuNet *) base;

  for (guint i = 0; i < net->packed->len; i++)
    free (g_array_index (net->packed, Packed, i).weights);
  g_array_unref (net->packed);
  yolo_pool_free (base->pool);
}

/* The shares of fp32's time are those of README.md in this folder. */
static char *
remark (YoloNet *base)
{
  const CpuNet *net = (const CpuNet *) base;

  if (base->precision != YOLO_PRECISION_INT8)
    return NULL;
  if (net->kernels->winograd_int8 == NULL)
    return g_strdup_printf (
        "int8 runs on %s: expect about half of fp32's time", net->kernels->name);
  return g_strdup_printf (
      "int8 runs on %s, which has no instructions for products of bytes (VNNI, dot products): "
      "expect .7 to 1 of fp32's time, not half of it",
      net->kernels->name);
}

/* The calling thread is one of those that work, and stays on the net's node from its first call
 * on. */
static void
stay_on_node (const CpuNet *net)
{
  if (net->device > 0)
    yolo_node_enter (net->device - 1);
}

static YoloTensor
resolve_view (const CpuExec *e, YoloView v)
{
  if (v.channels == 0)
    return (YoloTensor) { 0 };
  const YoloPlan *plan = e->base.plan;
  const YoloBuffer *b = &plan->buffers[v.buffer];
  char *data = v.buffer == plan->input ? e->base.input : (char *) e->base.arena + b->offset;
  YoloTensor t = yolo_tensor_make (data, b->height, b->width, b->channels, b->dtype);
  t.data += v.channel * yolo_dtype_size (b->dtype);
  t.channels = v.channels;
  if (b->scale) {
    t.scale = b->scale + v.channel;
    t.zero = b->zero + v.channel;
  }
  return t;
}

const char *
yolo_cpu_exec_implementation (const YoloExec *base, guint op)
{
  const Step *s = &((const CpuExec *) base)->steps[op];
  return s->kernel ? s->kernel->name : "C";
}

/* What YOLO_CPU_PROFILE asks for: an operation a line, of all images run. */
static void
print_profile (const CpuExec *e)
{
  const YoloPlan *plan = e->base.plan;
  double total = 0;

  fprintf (stderr, "%ux%u, %s, %u images:\n", plan->height, plan->width,
      yolo_dtype_name (plan->dtype), e->images);
  for (guint i = 0; i < plan->n_ops; i++) {
    const Step *s = &e->steps[i];
    double ms = 1e3 * e->profile[i] / e->images;
    const YoloConv *c = s->op->conv;

    total += ms;
    fprintf (stderr, "%7.3f ms ", ms);
    if (s->op->type == YOLO_OP_CONV) {
      /* in int8 G of operations as well */
      double gflop = 2e-9 * s->out.height * s->out.width * c->out_channels * c->in_channels
          / c->groups * c->kernel[0] * c->kernel[1];
      fprintf (stderr, "%5.0f GFLOP/s  %ux%u/%u %3u -> %3u", 1e3 * gflop / ms, c->kernel[0],
          c->kernel[1], c->stride[0], c->in_channels, c->out_channels);
    } else {
      fprintf (stderr, "%14s%-8s %3u -> %3u", "", yolo_op_name (s->op->type), s->in.channels,
          s->out.channels);
    }
    fprintf (stderr, " at %3ux%-3u  %-28s %s\n", s->out.height, s->out.width,
        yolo_cpu_exec_implementation (&e->base, i), s->op->name);
  }
  fprintf (stderr, "%7.3f ms in all\n", total);
}

static void
release (YoloExec *base)
{
  CpuExec *e = (CpuExec *) base;

  if (e->profile && e->images > 0)
    print_profile (e);
  g_free (e->profile);
  g_free (e->steps);
  free (e->scratch);
  free (base->input);
  free (base->arena);
}

static void *
allocate (gsize size, GError **error)
{
  void *p = aligned_alloc (64, ALIGN (MAX (size, 1)));
  if (!p)
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY,
        "no memory for %" G_GSIZE_FORMAT " bytes", size);
  return p;
}

/* Which convolution is fastest; README.md has the measurements. */
static const YoloConvKernel *
choose (const CpuNet *net, const Step *s, YoloDType type)
{
  const YoloKernels *k = net->kernels;
  const YoloConv *conv = s->op->conv;

  if (conv->int8)
    return k->winograd_int8 && conv->in_channels >= 16 && k->winograd_int8->supports (conv)
        ? k->winograd_int8
        : k->direct_int8;
  if (k->depthwise->supports (conv))
    return type == YOLO_BF16 && k->depthwise_bf16 ? k->depthwise_bf16 : k->depthwise;
  if (k->winograd->supports (conv) && conv->in_channels >= 16 && !(type == YOLO_BF16 && k->amx))
    return k->winograd;
  /* Few channels, as the input's, do not fill the pairs of bf16, which AMX has plenty of. */
  return type == YOLO_BF16 && (k->amx || conv->in_channels / conv->groups > 4) ? k->direct_bf16
                                                                              : k->direct;
}

/* The weights of a convolution as a kernel wants them: packed once for all sizes. */
static const void *
pack (CpuNet *net, const YoloConvKernel *kernel, const YoloConv *conv, GError **error)
{
  Packed p = { conv, kernel, NULL };

  for (guint i = 0; i < net->packed->len; i++) {
    const Packed *have = &g_array_index (net->packed, Packed, i);
    if (have->conv == conv && have->kernel == kernel)
      return have->weights;
  }
  p.weights = allocate (kernel->packed_size (conv), error);
  if (p.weights) {
    kernel->pack (conv, p.weights);
    g_array_append_val (net->packed, p);
  }
  return p.weights;
}

static gboolean
ready_conv (CpuExec *e, Step *s, gsize *used, GError **error)
{
  s->kernel = choose (e->net, s, e->base.plan->dtype);
  *used = (gsize) yolo_pool_threads (e->base.net->pool) * s->kernel->scratch (s->op->conv, &s->in);
  s->packed = pack (e->net, s->kernel, s->op->conv, error);
  return s->packed != NULL;
}

static YoloPlan *
make_plan (YoloNet *net, guint batch, guint height, guint width, GError **error)
{
  YoloDType type = net->precision == YOLO_PRECISION_BF16 ? YOLO_BF16 : YOLO_F32;

  return yolo_plan_new (net->model, batch, height, width, type, YOLO_U8, 3, error);
}

static gboolean
ready_steps (CpuExec *e, GError **error)
{
  const YoloPlan *plan = e->base.plan;
  gsize scratch = 0;

  e->steps = g_new0 (Step, plan->n_ops);
  for (guint i = 0; i < plan->n_ops; i++) {
    Step *s = &e->steps[i];
    gsize used = 0;

    s->op = &plan->ops[i];
    s->in = resolve_view (e, s->op->in);
    s->out = resolve_view (e, s->op->out);
    s->residual = resolve_view (e, s->op->residual);
    if (s->op->type == YOLO_OP_CONV && !ready_conv (e, s, &used, error)) {
      g_prefix_error (error, "%s: ", s->op->name);
      return FALSE;
    }
    scratch = MAX (scratch, used);
  }
  e->scratch = allocate (scratch, error);
  return e->scratch != NULL;
}

static gboolean
prepare (YoloExec *base, GError **error)
{
  CpuExec *e = (CpuExec *) base;
  const YoloPlan *plan = base->plan;

  e->net = (CpuNet *) base->net;
  stay_on_node (e->net);
  if (g_getenv ("YOLO_CPU_PROFILE"))
    base->seconds = e->profile = g_new0 (double, plan->n_ops);
  base->input = allocate (plan->buffers[plan->input].size, error);
  base->arena = base->input ? allocate (plan->arena_size, error) : NULL;
  if (!base->arena)
    return FALSE;
  memset (base->input, 0, plan->buffers[plan->input].size);
  return ready_steps (e, error);
}

/* Whether a pooling may compare bytes: those that it reads and writes are on the same grids. */
static gboolean
pools_bytes_alike (const YoloPlan *plan, const YoloOp *op)
{
  const YoloBuffer *in = &plan->buffers[op->in.buffer], *out = &plan->buffers[op->out.buffer];

  if (in->scale == NULL || out->scale == NULL)
    return TRUE;                /* one of them is in floats, which are read and written by grids */
  for (guint c = 0; c < op->out.channels; c++) {
    guint from = op->in.channel + c % op->in.channels, to = op->out.channel + c;

    if (in->scale[from] != out->scale[to] || in->zero[from] != out->zero[to])
      return FALSE;
  }
  return TRUE;
}

/* Floats, bfloat16 and bytes on grids, in any combination that a plan has. */
static gboolean
supports (const YoloPlan *plan, const YoloOp *op)
{
  if (op->type == YOLO_OP_MAX_POOL && !pools_bytes_alike (plan, op))
    return FALSE;
  if (op->type == YOLO_OP_ATTENTION && op->numbers.key > YOLO_ATTENTION_MAX_KEY)
    return FALSE;
  if (op->type == YOLO_OP_CONV)
    return yolo_cpu_kernels (0)->direct->supports (op->conv);
  return yolo_cpu_kernels (0)->ops->run[op->type] != NULL;
}

static void
run_step (CpuExec *e, Step *s, guint n)
{
  const YoloOp *op = s->op;
  YoloPool *pool = e->base.net->pool;

  if (op->type == YOLO_OP_CONV)
    s->kernel->run (pool, op->conv, s->packed, &s->in, &s->residual, &s->out, n, e->scratch);
  else
    e->net->kernels->ops->run[op->type](pool, &op->numbers, &s->in, &s->residual, &s->out, n);
}

static gboolean
submit (YoloExec *base, guint n, G_GNUC_UNUSED const YoloFrame *frames,
    G_GNUC_UNUSED YoloDecode *decode, G_GNUC_UNUSED GError **error)
{
  CpuExec *e = (CpuExec *) base;

  stay_on_node (e->net);
  for (guint i = 0; i < base->plan->n_ops; i++) {
    double start = base->seconds ? g_get_monotonic_time () / 1e6 : 0;
    if (!(base->replace && base->replace (base->observe_data, i)))
      run_step (e, &e->steps[i], n);
    if (base->seconds)
      base->seconds[i] += g_get_monotonic_time () / 1e6 - start;
    if (base->observe)
      base->observe (base->observe_data, i);
  }
  e->images += n;
  return TRUE;
}

/* submit() has done it all: the calling thread is one of those that work. */
static gboolean
wait (G_GNUC_UNUSED YoloExec *base, G_GNUC_UNUSED GError **error)
{
  return TRUE;
}

const YoloBackend yolo_cpu_backend = {
  .name = "cpu",
  .host_memory = TRUE,
  .memories = 1u << YOLO_MEMORY_HOST,
  .int8_kind = YOLO_INT8_ASYMMETRIC,
  .available = available,
  .resolve = resolve,
  .speed = speed,
  .net_size = sizeof (CpuNet),
  .exec_size = sizeof (CpuExec),
  .load = load,
  .unload = unload,
  .remark = remark,
  .plan = make_plan,
  .supports = supports,
  .prepare = prepare,
  .release = release,
  .submit = submit,
  .wait = wait,
};
