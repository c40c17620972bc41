/* SPDX-License-Identifier: MIT */
/* Runs a plan on the device: everything from the frames' planes to the
 * candidates is one CUDA graph, launched once a batch and waited for once. */

#include "cuda/backend.h"

#include <string.h>

#include "backend/builtin.h"
#include "cuda/decode.h"
#include "cuda/details.h"
#include "cuda/draw.h"
#include "cuda/ops.h"
#include "cuda/pass.h"
#include "cuda/preprocess.h"
#include "cuda/upload.h"
#include "image/letterbox.h"
#include "network/operation.h"

/* Of the batches that batch_size() proposes. */
#define CUDA_MAX_BATCH 32

/* An operation with its addresses. */
typedef struct {
  const YoloOp *op;
  YoloConvShape shape;          /* YOLO_OP_CONV */
  YoloConvArgs args;
  const YoloConvCandidate *candidate;
  YoloOpsTask task;             /* all others */
} Step;

typedef struct {
  YoloExec base;
  CudaNet *net;
  Step *steps;                  /* base.plan->n_ops */
  CUstream stream;              /* of this exec: batches of two of them overlap */
  CUevent done, follow;
  CUgraphExec graph;
  guint generation;             /* of the choices that the graph was recorded with */

  CUdeviceptr arena, input, workspace;
  /* Steps of the grids that buffers are on, [channels] f32 each from grid[buffer] on. */
  CUdeviceptr grids;
  gsize *grid;                  /* [base.plan->n_buffers], elements */
  gsize workspace_size;
  YoloUpload upload;
  /* What changes with each batch lies in pinned memory, which the graph copies. */
  YoloCudaFrame *frames;        /* [batch], pinned */
  YoloFrame *uploaded;          /* [batch] */
  CUdeviceptr device_frames;
  YoloCudaDecoder *decoder;     /* NULL: of a part that does not end the plan */
  guint8 *given, *taken;        /* pinned: what the host gives to this part, and takes from it */

  YoloDecode *decode;   /* of the batch under way, the caller's */
  guint n;
} CudaExec;

static gboolean
available (guint device, GError **error)
{
  return yolo_cuda_device_check (device, error);
}

static gboolean
resolve (G_GNUC_UNUSED guint device, YoloPrecision *precision, GError **error)
{
  switch (*precision) {
    case YOLO_PRECISION_AUTO:
      *precision = YOLO_PRECISION_FP16;
      return TRUE;
    case YOLO_PRECISION_FP32:
    case YOLO_PRECISION_FP16:
    case YOLO_PRECISION_INT8:
      return TRUE;
    case YOLO_PRECISION_BF16:
      break;
  }
  g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_PRECISION,
      "CUDA devices cannot run in precision %s: use auto, fp32, fp16 or int8",
      yolo_precision_name (*precision));
  return FALSE;
}

/* Multiply-adds of a multiprocessor in a clock, as NVIDIA's data sheets have them of capability 8.0
 * to 9.0, to within a factor of two: what counts is that equal devices have equal numbers, and
 * that a CPU has far smaller ones. */
static gboolean
speed (guint index, YoloPrecision precision, G_GNUC_UNUSED guint threads, YoloStageDevice *speed,
    GError **error)
{
  YoloCudaDevice *device = yolo_cuda_device_get (index, NULL, error);
  gsize available = 0, total = 0;
  gboolean known;

  if (device == NULL)
    return FALSE;
  const double clock = device->clock_khz > 0 ? 1e3 * device->clock_khz : 1.5e9;
  const double memory = 2e3 * device->memory_clock_khz * device->memory_bus_bits / 8;

  speed->macs = MAX (device->n_sm, 1) * clock
      * (precision == YOLO_PRECISION_FP32 ? 64 : precision == YOLO_PRECISION_FP16 ? 512 : 1024);
  speed->bytes = memory > 0 ? memory : 5e11;
  known = yolo_cuda_enter (device, error);
  if (known) {
    known = yolo_cuda_check (
        device->driver->cuMemGetInfo (&available, &total), "ask for free memory", error);
    yolo_cuda_leave (device);
  }
  /* a tenth is left for frames, kernels and workspaces */
  speed->memory = MAX (available / 10 * 9, 1);
  yolo_cuda_device_unref (device);
  return known;
}

/* Nets */

static void
unload (YoloNet *base)
{
  CudaNet *net = (CudaNet *) base;

  if (net->device == NULL)
    return;
  yolo_choices_free (net->choices);
  if (yolo_cuda_enter (net->device, NULL)) {
    yolo_cuda_details_clear (&net->details, net->device);
    yolo_cuda_free (net->device, net->memory);
    yolo_cuda_leave (net->device);
  }
  g_hash_table_unref (net->weights);
  g_array_unref (net->times);
  yolo_cuda_device_unref (net->device);
}

static gboolean
load (YoloNet *base, guint device, gpointer context, G_GNUC_UNUSED guint threads, GError **error)
{
  CudaNet *net = (CudaNet *) base;
  gboolean uploaded;

  net->device = yolo_cuda_device_get (device, context, error);
  if (net->device == NULL)
    return FALSE;
  net->dtype = base->precision == YOLO_PRECISION_FP32 ? YOLO_F32 : YOLO_F16;
  net->times = g_array_new (FALSE, FALSE, sizeof (CudaTime));
  net->weights = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  if (!yolo_cuda_enter (net->device, error))
    return FALSE;
  net->choices = yolo_choices_new (
      net->device, base->model->sha256, yolo_precision_name (base->precision));
  uploaded = yolo_cuda_net_upload (net, error);
  yolo_cuda_leave (net->device);
  return uploaded;
}

static gint
unknown_plane (YoloNet *base, const YoloFrame *frame)
{
  CudaNet *net = (CudaNet *) base;
  gint plane = -1;

  /* A device that cannot be used says so when the frame is to run. */
  if (yolo_cuda_enter (net->device, NULL)) {
    plane = yolo_upload_unknown_plane (net->device, frame);
    yolo_cuda_leave (net->device);
  }
  return plane;
}

/* Microseconds of so many frames in batches of powers of two, none of which is
 * larger than their number; 0: not known. */
static double
time_exactly (CudaNet *net, guint frames, guint height, guint width)
{
  double us = 0;

  for (guint bit = 0; frames >> bit != 0; bit++) {
    const CudaTime *time =
        frames >> bit & 1 ? yolo_cuda_net_time (net, 1u << bit, height, width) : NULL;

    if ((frames >> bit & 1) && (time == NULL || time->us == 0))
      return 0;
    us += time != NULL ? time->us : 0;
  }
  return us;
}

/* Five frames run as four and one, or as eight of which three are idle: what is
 * measured to be faster. The larger batch is tried once, so that it is measured. */
static guint
batch_size (YoloNet *base, guint frames, guint height, guint width)
{
  CudaNet *net = (CudaNet *) base;
  guint below = 1u << (g_bit_storage (frames) - 1), above = 2 * below;
  double exactly = time_exactly (net, frames, height, width);
  const CudaTime *larger = yolo_cuda_net_time (net, above, height, width);

  if (below == frames || above > CUDA_MAX_BATCH || exactly == 0)
    return below;
  return larger == NULL || (larger->us > 0 && larger->us < exactly) ? above : below;
}

/* Execs */

CUdeviceptr
yolo_cuda_exec_buffer (const YoloExec *base, guint buffer)
{
  const CudaExec *exec = (const CudaExec *) base;

  return buffer == base->plan->input ? exec->input
                                     : exec->arena + base->plan->buffers[buffer].offset;
}

/* Address of a view's first element. */
static CUdeviceptr
view_address (const CudaExec *exec, YoloView view)
{
  if (view.channels == 0)
    return 0;
  return yolo_cuda_exec_buffer (&exec->base, view.buffer)
      + view.channel * yolo_dtype_size (exec->base.plan->buffers[view.buffer].dtype);
}

/* Of a view's grids, [channels]; 0: it is on none. */
static CUdeviceptr
view_scale (const CudaExec *exec, YoloView view)
{
  if (view.channels == 0 || exec->base.plan->buffers[view.buffer].scale == NULL)
    return 0;
  return exec->grids + (exec->grid[view.buffer] + view.channel) * sizeof (float);
}

/* Whether numbers can be handed on as they are. A chain of poolings puts out the
 * channels several times. */
static gboolean
same_grids (const YoloPlan *plan, const YoloOp *op)
{
  const YoloBuffer *in = &plan->buffers[op->in.buffer], *out = &plan->buffers[op->out.buffer];

  if (in->scale == NULL || out->scale == NULL)
    return in->scale == out->scale;
  for (guint c = 0; c < op->out.channels; c++)
    if (in->scale[op->in.channel + c % op->in.channels] != out->scale[op->out.channel + c])
      return FALSE;
  return TRUE;
}

static gboolean
supports (const YoloPlan *plan, const YoloOp *op)
{
  const YoloBuffer *in = &plan->buffers[op->in.buffer], *out = &plan->buffers[op->out.buffer];

  return op->type == YOLO_OP_CONV
      || yolo_ops_supports (op, in->dtype != out->dtype || !same_grids (plan, op));
}

static guint
view_pitch (const CudaExec *exec, YoloView view)
{
  return view.channels == 0 ? 0 : exec->base.plan->buffers[view.buffer].channels;
}

static void
describe_conv (CudaExec *exec, Step *step)
{
  const YoloOp *op = step->op;
  const CudaWeights *weights = g_hash_table_lookup (exec->net->weights, op->conv);
  const float *out_scale = exec->base.plan->buffers[op->out.buffer].scale;

  yolo_conv_shape (&step->shape, exec->base.plan, op);
  step->args = (YoloConvArgs){
    .in = view_address (exec, op->in),
    .out = view_address (exec, op->out),
    .residual = view_address (exec, op->residual),
    .weights = weights->weights,
    .bias = weights->bias,
    .scale = weights->scale,
    .residual_scale = view_scale (exec, op->residual),
    .out_scale = out_scale != NULL ? out_scale[op->out.channel] : 0,
  };
}

static void
describe_op (CudaExec *exec, Step *step)
{
  const YoloPlan *plan = exec->base.plan;
  const YoloOp *op = step->op;
  const YoloBuffer *in = &plan->buffers[op->in.buffer], *out = &plan->buffers[op->out.buffer];

  step->task = (YoloOpsTask){
    .op = op,
    .batch = plan->batch,
    .in_dtype = in->dtype,
    .residual_dtype = plan->buffers[op->residual.buffer].dtype,
    .out_dtype = out->dtype,
    .in_height = in->height,
    .in_width = in->width,
    .out_height = out->height,
    .out_width = out->width,
    .channels = op->type == YOLO_OP_SHUFFLE ? op->out.channels : op->in.channels,
    .in = view_address (exec, op->in),
    .out = view_address (exec, op->out),
    .residual = view_address (exec, op->residual),
    .in_pitch = view_pitch (exec, op->in),
    .out_pitch = view_pitch (exec, op->out),
    .residual_pitch = view_pitch (exec, op->residual),
  };
  if (!yolo_op_traits (op->type)->computes && same_grids (plan, op))
    return;
  step->task.in_scale = view_scale (exec, op->in);
  step->task.residual_scale = view_scale (exec, op->residual);
  step->task.out_scale = view_scale (exec, op->out);
}

/* Takes the best way known now for each convolution, with room for the largest workspace. */
static gboolean
choose (CudaExec *exec, GError **error)
{
  gsize workspace = 0;

  exec->generation = yolo_choices_generation (exec->net->choices);
  for (guint i = 0; i < exec->base.plan->n_ops; i++) {
    Step *step = &exec->steps[i];

    if (step->op->type != YOLO_OP_CONV)
      continue;
    step->candidate = yolo_choices_get (exec->net->choices, &step->shape, error);
    if (step->candidate == NULL) {
      g_prefix_error (error, "%s: ", step->op->name);
      return FALSE;
    }
    workspace = MAX (workspace, step->candidate->workspace);
  }
  if (workspace > exec->workspace_size) {
    yolo_cuda_free (exec->net->device, exec->workspace);
    exec->workspace_size = 0;
    exec->workspace =
        yolo_cuda_alloc (exec->net->device, workspace, "the convolutions' workspace", error);
    if (exec->workspace == 0)
      return FALSE;
    exec->workspace_size = workspace;
  }
  for (guint i = 0; i < exec->base.plan->n_ops; i++)
    exec->steps[i].args.workspace = exec->workspace;
  return TRUE;
}

static gboolean
enqueue_step (CudaExec *exec, const Step *step, GError **error)
{
  YoloCudaDevice *device = exec->net->device;

  if (step->op->type == YOLO_OP_CONV)
    return step->candidate->launch (
        step->candidate, device, &step->shape, &step->args, exec->stream, error);
  return yolo_ops_launch (device, &step->task, exec->stream, error);
}

static gboolean
enqueue_input (CudaExec *exec, GError **error)
{
  YoloCudaDevice *device = exec->net->device;
  const YoloPlan *plan = exec->base.plan;
  const YoloBuffer *input = &plan->buffers[plan->input];

  return yolo_cuda_check (device->driver->cuMemcpyHtoDAsync (exec->device_frames, exec->frames,
                            plan->batch * sizeof (YoloCudaFrame), exec->stream),
             "upload the frames' descriptions", error)
      && yolo_cuda_preprocess_launch (device, exec->device_frames, plan->batch, plan->height,
          plan->width, input->channels, input->dtype, input->scale != NULL ? input->scale[0] : 1,
          exec->input, exec->stream, error);
}

/* All work of a batch, from the descriptors to the candidates on the host. */
static gboolean
enqueue (CudaExec *exec, GError **error)
{
  const YoloPlan *plan = exec->base.plan;

  if (!plan->part_before && !enqueue_input (exec, error))
    return FALSE;
  for (guint i = 0; i < plan->n_ops; i++)
    if (!enqueue_step (exec, &exec->steps[i], error)) {
      g_prefix_error (error, "%s: ", exec->steps[i].op->name);
      return FALSE;
    }
  return exec->decoder == NULL || yolo_cuda_decoder_launch (exec->decoder, exec->stream, error);
}

/* What a batch of this size takes, for batch_size(). */
static void
note_time (CudaExec *exec)
{
  const YoloPlan *plan = exec->base.plan;
  double us = yolo_choices_time (exec->net->choices, plan);
  CudaTime *time = yolo_cuda_net_time (exec->net, plan->batch, plan->height, plan->width);

  if (time == NULL) {
    CudaTime new = { plan->batch, plan->height, plan->width, us };
    g_array_append_val (exec->net->times, new);
  } else {
    time->us = us;
  }
}

/* Records the batch's work as a graph. */
static gboolean
record (CudaExec *exec, GError **error)
{
  const YoloCudaDriver *driver = exec->net->device->driver;
  CUgraph graph = NULL;
  gboolean recorded;

  if (!choose (exec, error))
    return FALSE;
  /* Other threads measure on streams of their own meanwhile. */
  if (!yolo_cuda_check (
          driver->cuStreamBeginCapture (exec->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
          "record the network", error))
    return FALSE;
  recorded = enqueue (exec, error);
  if (!yolo_cuda_check (driver->cuStreamEndCapture (exec->stream, &graph), "record the network",
          recorded ? error : NULL))
    recorded = FALSE;
  if (exec->graph != NULL)
    driver->cuGraphExecDestroy (exec->graph);
  exec->graph = NULL;
  if (recorded)
    recorded = yolo_cuda_check (
        driver->cuGraphInstantiateWithFlags (&exec->graph, graph, 0), "ready the network", error);
  if (graph != NULL)
    driver->cuGraphDestroy (graph);
  if (recorded)
    note_time (exec);
  return recorded;
}

static void
describe_frame (CudaExec *exec, guint i, const YoloFrame *frame)
{
  const YoloPlan *plan = exec->base.plan;
  const YoloTask *task = yolo_task_find (plan->model->task);
  YoloLetterbox box;

  if (task != NULL && task->fit == YOLO_FIT_CROP)
    yolo_letterbox_crop (&box, frame, (int) plan->width, (int) plan->height);
  else
    yolo_letterbox_frame (&box, frame, (int) plan->width, (int) plan->height);
  yolo_cuda_preprocess_describe (&exec->frames[i], frame, &box);
}

/* Fills what the graph reads from pinned memory; slots beyond the batch are idle. */
static void
describe_batch (CudaExec *exec, const YoloFrame *frames, guint n, const YoloDecode *decode)
{
  const YoloPlan *plan = exec->base.plan;

  for (guint i = 0; i < plan->batch; i++) {
    if (!plan->part_before && i < n)
      describe_frame (exec, i, &frames[i]);
    else
      yolo_cuda_preprocess_idle (&exec->frames[i]);
    if (exec->decoder != NULL)
      yolo_cuda_decoder_describe (exec->decoder, i, i < n ? &decode[i] : NULL);
  }
}

/* A batch without frames: what the driver loads or readies at the first use of a
 * kernel it cannot do while a stream is recorded, and an error shows here. */
static gboolean
warm_up (CudaExec *exec, GError **error)
{
  const YoloCudaDriver *driver = exec->net->device->driver;
  const YoloPlan *plan = exec->base.plan;

  describe_batch (exec, NULL, 0, NULL);
  /* numbers of some kind in what this part will be given */
  if (plan->part_before
      && !yolo_cuda_check (
          driver->cuMemsetD8Async (exec->arena, 0, MAX (plan->arena_size, 1), exec->stream),
          "clear the activations", error))
    return FALSE;
  return choose (exec, error) && enqueue (exec, error)
      && yolo_cuda_check (driver->cuStreamSynchronize (exec->stream), "run the network", error);
}

static void
release_on_device (CudaExec *exec)
{
  YoloCudaDevice *device = exec->net->device;
  const YoloCudaDriver *driver = device->driver;

  if (exec->stream != NULL)
    driver->cuStreamSynchronize (exec->stream);
  if (exec->graph != NULL)
    driver->cuGraphExecDestroy (exec->graph);
  yolo_cuda_decoder_free (exec->decoder);
  yolo_upload_clear (&exec->upload, device);
  yolo_cuda_free_host (device, exec->frames);
  yolo_cuda_free_host (device, exec->given);
  yolo_cuda_free_host (device, exec->taken);
  yolo_cuda_free (device, exec->device_frames);
  yolo_cuda_free (device, exec->arena);
  yolo_cuda_free (device, exec->input);
  yolo_cuda_free (device, exec->workspace);
  yolo_cuda_free (device, exec->grids);
  if (exec->done != NULL)
    driver->cuEventDestroy (exec->done);
  if (exec->follow != NULL)
    driver->cuEventDestroy (exec->follow);
  if (exec->stream != NULL)
    driver->cuStreamDestroy (exec->stream);
}

static void
release (YoloExec *base)
{
  CudaExec *exec = (CudaExec *) base;

  if (yolo_cuda_enter (exec->net->device, NULL)) {
    release_on_device (exec);
    yolo_cuda_leave (exec->net->device);
  }
  g_free (exec->steps);
  g_free (exec->grid);
  g_free (exec->uploaded);
}

static gboolean
allocate (CudaExec *exec, GError **error)
{
  YoloCudaDevice *device = exec->net->device;
  const YoloCudaDriver *driver = device->driver;
  const YoloPlan *plan = exec->base.plan;
  gsize frames = plan->batch * sizeof (YoloCudaFrame);
  int least = 0, greatest = 0;

  driver->cuCtxGetStreamPriorityRange (&least, &greatest);
  /* The host sleeps while the device works: cores are for decoders. */
  return yolo_cuda_check (
             driver->cuStreamCreateWithPriority (&exec->stream, CU_STREAM_NON_BLOCKING, greatest),
             "make a stream", error)
      && yolo_cuda_check (
          driver->cuEventCreate (&exec->done, CU_EVENT_DISABLE_TIMING | CU_EVENT_BLOCKING_SYNC),
          "make an event", error)
      && yolo_cuda_check (
          driver->cuEventCreate (&exec->follow, CU_EVENT_DISABLE_TIMING), "make an event", error)
      && (exec->arena = yolo_cuda_alloc (device, plan->arena_size, "activations", error)) != 0
      && (exec->input = yolo_cuda_alloc (
              device, plan->buffers[plan->input].size, "the network's input", error))
      != 0
      && (exec->device_frames = yolo_cuda_alloc (device, frames, "frame descriptions", error)) != 0
      && (exec->frames = yolo_cuda_alloc_host (device, frames, "frame descriptions", error))
      != NULL;
}

static gboolean
upload_grids (CudaExec *exec, GError **error)
{
  const YoloPlan *plan = exec->base.plan;
  g_autofree float *staging = NULL;
  gsize n = 0;

  exec->grid = g_new0 (gsize, plan->n_buffers);
  for (guint i = 0; i < plan->n_buffers; i++) {
    exec->grid[i] = n;
    n += plan->buffers[i].scale != NULL ? plan->buffers[i].channels : 0;
  }
  if (n == 0)
    return TRUE;
  staging = g_new (float, n);
  for (guint i = 0; i < plan->n_buffers; i++) {
    const YoloBuffer *buffer = &plan->buffers[i];

    if (buffer->scale != NULL)
      memcpy (staging + exec->grid[i], buffer->scale, buffer->channels * sizeof (float));
  }
  exec->grids = yolo_cuda_alloc (exec->net->device, n * sizeof (float), "grids", error);
  return exec->grids != 0
      && yolo_cuda_write (
          exec->net->device, exec->grids, staging, n * sizeof (float), "upload the grids", error);
}

static gboolean
ready (CudaExec *exec, GError **error)
{
  const YoloPlan *plan = exec->base.plan;
  CUdeviceptr maps[YOLO_MAX_OUTPUTS];

  if (!allocate (exec, error) || !upload_grids (exec, error))
    return FALSE;
  if (!plan->part_after) {
    for (guint k = 0; k < plan->model->n_outputs; k++)
      maps[k] = view_address (exec, plan->outputs[k]);
    exec->decoder = yolo_cuda_decoder_new (exec->net->device, plan, maps, error);
    if (exec->decoder == NULL)
      return FALSE;
  }
  exec->uploaded = g_new (YoloFrame, plan->batch);
  exec->steps = g_new0 (Step, plan->n_ops);
  for (guint i = 0; i < plan->n_ops; i++) {
    exec->steps[i].op = &plan->ops[i];
    if (plan->ops[i].type == YOLO_OP_CONV)
      describe_conv (exec, &exec->steps[i]);
    else
      describe_op (exec, &exec->steps[i]);
  }
  return warm_up (exec, error) && record (exec, error);
}

static gboolean
prepare (YoloExec *base, GError **error)
{
  CudaExec *exec = (CudaExec *) base;
  gboolean done;

  exec->net = (CudaNet *) base->net;
  if (!yolo_cuda_enter (exec->net->device, error))
    return FALSE;
  done = ready (exec, error);
  yolo_cuda_leave (exec->net->device);
  return done;
}

static YoloPlan *
make_plan (YoloNet *net, guint batch, guint height, guint width, GError **error)
{
  return yolo_cuda_net_plan ((CudaNet *) net, batch, height, width, error);
}

/* Batches */

static gboolean
start (CudaExec *exec, guint n, const YoloFrame *frames, YoloDecode *decode, GError **error)
{
  YoloCudaDevice *device = exec->net->device;
  const YoloCudaDriver *driver = device->driver;

  if ((exec->graph == NULL || exec->generation != yolo_choices_generation (exec->net->choices))
      && !record (exec, error))
    return FALSE;
  if (frames != NULL
      && !yolo_upload_frames (
          &exec->upload, device, frames, n, exec->uploaded, exec->stream, exec->follow, error))
    return FALSE;
  describe_batch (exec, exec->uploaded, n, decode);
  return yolo_cuda_check (
             driver->cuGraphLaunch (exec->graph, exec->stream), "start the network", error)
      && yolo_cuda_check (
          driver->cuEventRecord (exec->done, exec->stream), "start the network", error);
}

static gboolean
submit (YoloExec *base, guint n, const YoloFrame *frames, YoloDecode *decode, GError **error)
{
  CudaExec *exec = (CudaExec *) base;
  gboolean started;

  if (!yolo_cuda_enter (exec->net->device, error))
    return FALSE;
  started = start (exec, n, frames, decode, error);
  if (!started)
    /* what is enqueued must not read the frames after they went back */
    exec->net->device->driver->cuStreamSynchronize (exec->stream);
  yolo_cuda_leave (exec->net->device);
  exec->decode = decode;
  exec->n = n;
  return started;
}

static gboolean
wait (YoloExec *base, GError **error)
{
  CudaExec *exec = (CudaExec *) base;
  gboolean done;

  if (!yolo_cuda_enter (exec->net->device, error))
    return FALSE;
  done = yolo_cuda_check (
      exec->net->device->driver->cuEventSynchronize (exec->done), "run the network", error);
  yolo_cuda_leave (exec->net->device);
  for (guint i = 0; done && exec->decoder != NULL && i < exec->n; i++)
    yolo_cuda_decoder_read (exec->decoder, i, &exec->decode[i]);
  return done;
}

/* Where an exec passes from or, if @takes, to. */
static YoloCudaEnd
end_of (YoloExec *base, gboolean takes)
{
  CudaExec *exec = (CudaExec *) base;

  return (YoloCudaEnd) {
    .device = exec->net->device, .exec = base, .stream = exec->stream, .done = exec->done,
    .pinned = takes ? &exec->given : &exec->taken,
  };
}

static gboolean
pass (YoloExec *from, YoloExec *to, GError **error)
{
  YoloCudaEnd source, target;

  if (from->net->backend->host_memory) {
    target = end_of (to, TRUE);
    return yolo_cuda_pass_from_host (from, &target, error);
  }
  source = end_of (from, FALSE);
  if (to->net->backend->host_memory)
    return yolo_cuda_pass_to_host (&source, to, error);
  target = end_of (to, TRUE);
  return yolo_cuda_pass_between (&source, &target, error);
}

static gboolean
rows (YoloExec *base, guint image, YoloMapRole role, const YoloObject *objects, guint n,
    float *out, GError **error)
{
  CudaExec *exec = (CudaExec *) base;
  gboolean done;
  YoloHead head;

  if (!yolo_cuda_enter (exec->net->device, error))
    return FALSE;
  /* with device addresses */
  yolo_plan_head (base->plan, (const void *) exec->arena, image, &head);
  done = yolo_cuda_details_rows (&exec->net->details, exec->net->device, &head, role, objects, n,
      out, exec->stream, error);
  yolo_cuda_leave (exec->net->device);
  return done;
}

static gboolean
masks (YoloExec *base, guint image, const float *coefficients, const YoloObjectMask *placed,
    guint n, int16_t *cells, gsize n_cells, GError **error)
{
  CudaExec *exec = (CudaExec *) base;
  gboolean done;
  YoloHead head;

  if (!yolo_cuda_enter (exec->net->device, error))
    return FALSE;
  /* with device addresses */
  yolo_plan_head (base->plan, (const void *) exec->arena, image, &head);
  done = yolo_cuda_details_masks (&exec->net->details, exec->net->device, &head, coefficients,
      placed, n, cells, n_cells, exec->stream, error);
  yolo_cuda_leave (exec->net->device);
  return done;
}

const YoloBackend yolo_cuda_backend = {
  .name = "cuda",
  .memories = 1u << YOLO_MEMORY_HOST | 1u << YOLO_MEMORY_CUDA,
  .int8_kind = YOLO_INT8_SYMMETRIC,
  .available = available,
  .resolve = resolve,
  .speed = speed,
  .drawer_size = sizeof (YoloCudaDrawer),
  .drawer_init = yolo_cuda_drawer_init,
  .drawer_clear = yolo_cuda_drawer_clear,
  .draw = yolo_cuda_draw,
  .redact = yolo_cuda_redact,
  .motion = yolo_cuda_motion,
  .net_size = sizeof (CudaNet),
  .exec_size = sizeof (CudaExec),
  .load = load,
  .unload = unload,
  .unknown_plane = unknown_plane,
  .batch_size = batch_size,
  .plan = make_plan,
  .supports = supports,
  .prepare = prepare,
  .release = release,
  .submit = submit,
  .wait = wait,
  .pass = pass,
  .rows = rows,
  .masks = masks,
};
