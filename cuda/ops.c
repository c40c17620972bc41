/* SPDX-License-Identifier: MIT */
#include "cuda/ops.h"

#include "cuda/kernels/attention.h"
#include "cuda/kernels/ops.h"

#define BLOCK 256
#define MAX_SHARED (48 * 1024)  /* bytes that a kernel can have without opting in */
#define MAX_KEY 128             /* channels of a query of attention that these suffice for */

G_STATIC_ASSERT (YOLO_ATTENTION_SHARED (MAX_KEY) <= MAX_SHARED);

/* Whether the numbers change on the way from one view to the other, if they are only moved. */
static gboolean
converts (const YoloOpsTask *task)
{
  return task->in_dtype != task->out_dtype || task->in_scale != 0 || task->out_scale != 0;
}

/* Whether every vector of the views lies on a multiple of 16 bytes. */
static gboolean
is_wide (const YoloOpsTask *task)
{
  gsize size = yolo_dtype_size (task->in_dtype);
  gsize bits = (gsize) task->in | task->out | task->in_pitch * size | task->out_pitch * size
      | task->channels * size;

  return bits % 16 == 0;
}

static gboolean
launch (YoloCudaDevice *device, const YoloOpsTask *task, const YoloOpsParams *params,
    const char *operation, guint64 blocks, guint shared, CUstream stream, GError **error)
{
  char name[32];
  CUfunction function;

  g_snprintf (name, sizeof (name), "%s_%s_%s", operation, yolo_dtype_name (task->in_dtype),
      is_wide (task) ? "wide" : "one");
  function = yolo_cuda_function (device, YOLO_CUDA_MODULE_ops, name, error);
  return function != NULL
      && yolo_cuda_launch (
          device, function, (guint) blocks, 1, 1, BLOCK, shared, stream, params, error);
}

/* Launches a kernel whose threads each compute one vector of the output. */
static gboolean
launch_vectors (YoloCudaDevice *device, const YoloOpsTask *task, const YoloOpsParams *params,
    const char *operation, CUstream stream, GError **error)
{
  guint64 pixels = (guint64) task->batch * task->out_height * task->out_width;
  guint64 vectors =
      pixels * task->channels / (is_wide (task) ? 16 / yolo_dtype_size (task->in_dtype) : 1);

  return launch (device, task, params, operation, (vectors + BLOCK - 1) / BLOCK, 0, stream, error);
}

/* Launches a kernel that computes in any types, eight channels a thread. */
static gboolean
launch_eights (YoloCudaDevice *device, const YoloOpsTask *task, const YoloOpsParams *params,
    const char *name, CUstream stream, GError **error)
{
  guint64 vectors =
      (guint64) task->batch * task->out_height * task->out_width * ((task->channels + 7) / 8);
  CUfunction function = yolo_cuda_function (device, YOLO_CUDA_MODULE_ops, name, error);

  return function != NULL
      && yolo_cuda_launch (device, function, (guint) ((vectors + BLOCK - 1) / BLOCK), 1, 1, BLOCK,
          0, stream, params, error);
}

static gboolean
launch_combine (YoloCudaDevice *device, const YoloOpsTask *task, YoloOpsParams *params,
    CUstream stream, GError **error)
{
  return launch_eights (device, task, params, "combine", stream, error);
}

static gboolean
launch_shuffle (YoloCudaDevice *device, const YoloOpsTask *task, YoloOpsParams *params,
    CUstream stream, GError **error)
{
  params->scale = (int) task->op->numbers.scale;
  return launch_eights (device, task, params, "shuffle", stream, error);
}

static gboolean
launch_global_pool (YoloCudaDevice *device, const YoloOpsTask *task, YoloOpsParams *params,
    CUstream stream, GError **error)
{
  return launch_eights (device, task, params, "global_pool", stream, error);
}

/* Launches a pooling, or a chain of them: in one pass where a tile with its border fits into shared
 * memory, else one pooling after the other. */
static gboolean
launch_pool (YoloCudaDevice *device, const YoloOpsTask *task, YoloOpsParams *params,
    CUstream stream, GError **error)
{
  gsize size = yolo_dtype_size (task->in_dtype), vector = is_wide (task) ? 16 : size;
  gsize shared =
      YOLO_CHAIN_SHARED ((gsize) task->op->numbers.kernel, task->op->numbers.repeat, vector);
  guint64 tiles = (guint64) ((task->out_width + YOLO_CHAIN_TILE - 1) / YOLO_CHAIN_TILE)
      * ((task->out_height + YOLO_CHAIN_TILE - 1) / YOLO_CHAIN_TILE);

  if (task->op->numbers.repeat > 1 && shared <= MAX_SHARED)
    return launch (device, task, params, "chain",
        tiles * task->batch * (task->channels * size / vector), (guint) shared, stream, error);
  for (guint i = 0; i < MAX (task->op->numbers.repeat, 1); i++) {
    if (!launch_vectors (device, task, params, "pool", stream, error))
      return FALSE;
    params->in = params->out;
    params->in_pitch = params->out_pitch;
    params->out = (guint8 *) params->out + task->channels * size;
  }
  return TRUE;
}

static gboolean
launch_upsample (YoloCudaDevice *device, const YoloOpsTask *task, YoloOpsParams *params,
    CUstream stream, GError **error)
{
  params->scale = (int) task->op->numbers.scale;
  return launch_vectors (device, task, params, "upsample", stream, error);
}

/* A copy that converts nothing is an upsampling by one. */
static gboolean
launch_copy (YoloCudaDevice *device, const YoloOpsTask *task, YoloOpsParams *params,
    CUstream stream, GError **error)
{
  return converts (task) ? launch_combine (device, task, params, stream, error)
                         : launch_vectors (device, task, params, "upsample", stream, error);
}

static gboolean
launch_attention (YoloCudaDevice *device, const YoloOpsTask *task,
    G_GNUC_UNUSED YoloOpsParams *unused, CUstream stream, GError **error)
{
  const YoloOpNumbers *numbers = &task->op->numbers;
  guint count = task->in_height * task->in_width / numbers->areas;
  guint value = task->channels / numbers->heads - 2 * numbers->key;
  YoloAttentionParams params = {
    .in = (const void *) task->in,
    .out = (void *) task->out,
    .heads = (int) numbers->heads,
    .areas = (int) numbers->areas,
    .count = (int) count,
    .key = (int) numbers->key,
    .value = (int) value,
    .blocks = (int) ((count + YOLO_ATTENTION_QUERIES - 1) / YOLO_ATTENTION_QUERIES),
    .parts = (int) ((value + YOLO_ATTENTION_VALUES - 1) / YOLO_ATTENTION_VALUES),
    .in_pitch = (int) task->in_pitch,
    .out_pitch = (int) task->out_pitch,
    .in_type = (int) task->in_dtype,
    .out_type = (int) task->out_dtype,
    .in_scale = (const float *) task->in_scale,
    .out_scale = (const float *) task->out_scale,
  };
  guint64 blocks = (guint64) task->batch * numbers->areas * numbers->heads
      * (guint) params.blocks * (guint) params.parts;
  CUfunction function =
      yolo_cuda_function (device, YOLO_CUDA_MODULE_attention, "attention", error);

  return function != NULL
      && yolo_cuda_launch (device, function, (guint) blocks, 1, 1, YOLO_ATTENTION_THREADS,
          YOLO_ATTENTION_SHARED (numbers->key), stream, &params, error);
}

/* How an operation is launched; @params are filled but for what only this one has. */
typedef gboolean LaunchFunc (YoloCudaDevice *device, const YoloOpsTask *task, YoloOpsParams *params,
    CUstream stream, GError **error);

static const struct {
  LaunchFunc *launch;           /* NULL: there is no kernel */
  gboolean converts;            /* between two types, or two grids */
} operations[YOLO_N_OPERATIONS] = {
  [YOLO_OP_MAX_POOL] = { launch_pool, FALSE },
  [YOLO_OP_UPSAMPLE] = { launch_upsample, FALSE },
  [YOLO_OP_ADD] = { launch_combine, TRUE },
  [YOLO_OP_ACT] = { launch_combine, TRUE },
  [YOLO_OP_COPY] = { launch_copy, TRUE },
  [YOLO_OP_ATTENTION] = { launch_attention, TRUE },
  [YOLO_OP_SHUFFLE] = { launch_shuffle, TRUE },
  [YOLO_OP_GLOBAL_POOL] = { launch_global_pool, TRUE },
};

gboolean
yolo_ops_supports (const YoloOp *op, gboolean converts)
{
  if (op->type == YOLO_OP_ATTENTION && op->numbers.key > MAX_KEY)
    return FALSE;
  return operations[op->type].launch != NULL && (!converts || operations[op->type].converts);
}

gboolean
yolo_ops_launch (YoloCudaDevice *device, const YoloOpsTask *task, CUstream stream, GError **error)
{
  const YoloOp *op = task->op;
  YoloOpsParams params = {
    .in = (const void *) task->in,
    .residual = (const void *) task->residual,
    .out = (void *) task->out,
    .batch = (int) task->batch,
    .in_height = (int) task->in_height,
    .in_width = (int) task->in_width,
    .out_height = (int) task->out_height,
    .out_width = (int) task->out_width,
    .channels = (int) task->channels,
    .in_pitch = (int) task->in_pitch,
    .residual_pitch = (int) task->residual_pitch,
    .out_pitch = (int) task->out_pitch,
    .kernel = (int) op->numbers.kernel,
    .stride = (int) op->numbers.stride,
    .pad = (int) op->numbers.pad,
    .repeat = (int) op->numbers.repeat,
    .scale = 1,
    .act = (int) op->numbers.act,
    .alpha = op->numbers.alpha,
    .beta = op->numbers.beta,
    .in_type = (int) task->in_dtype,
    .residual_type = (int) task->residual_dtype,
    .out_type = (int) task->out_dtype,
    .in_scale = (const float *) task->in_scale,
    .residual_scale = (const float *) task->residual_scale,
    .out_scale = (const float *) task->out_scale,
  };

  if (yolo_ops_supports (op, converts (task)))
    return operations[op->type].launch (device, task, &params, stream, error);
  g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_UNSUPPORTED,
      "%s (%s): no kernel here does this between two types or grids", op->name,
      yolo_op_name (op->type));
  return FALSE;
}
