/* SPDX-License-Identifier: MIT */
#include "cuda/net.h"

#include <string.h>

/* Fast paths want 16-byte aligned weights; 256 keeps them in lines of their own. */
#define ALIGN(x) (((x) + 255) & ~(gsize) 255)

static gboolean
reads_input_in_int8 (const YoloPlan *plan)
{
  for (guint i = 0; i < plan->n_ops; i++) {
    const YoloOp *op = &plan->ops[i];
    if (op->in.buffer == plan->input && op->type == YOLO_OP_CONV && op->conv->int8 != NULL)
      return TRUE;
  }
  return FALSE;
}

/* What kernels take for granted of a convolution in an int8 model. */
static gboolean
check_conv (const YoloPlan *plan, const YoloOp *op, GError **error)
{
  YoloDType in = plan->buffers[op->in.buffer].dtype;

  if ((in == YOLO_S8) == (op->conv->int8 != NULL))
    return TRUE;
  g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_PRECISION,
      "'%.100s' is to run in %s, but its input is in %s: CUDA devices cannot do that", op->name,
      op->conv->int8 != NULL ? "int8" : "floats", yolo_dtype_name (in));
  return FALSE;
}

static YoloPlan *
plan_with_input (
    const CudaNet *net, YoloDType input, guint batch, guint height, guint width, GError **error)
{
  return yolo_plan_new (net->base.model, batch, height, width, net->dtype, input,
      16 / (guint) yolo_dtype_size (input), error);
}

YoloPlan *
yolo_cuda_net_plan (const CudaNet *net, guint batch, guint height, guint width, GError **error)
{
  YoloPlan *plan = plan_with_input (
      net, net->base.model->int8 ? YOLO_S8 : net->dtype, batch, height, width, error);

  if (plan != NULL && net->base.model->int8 && !reads_input_in_int8 (plan)) {
    yolo_plan_free (plan);
    plan = plan_with_input (net, net->dtype, batch, height, width, error);
  }
  for (guint i = 0; plan != NULL && i < plan->n_ops; i++)
    if (plan->ops[i].type == YOLO_OP_CONV && !check_conv (plan, &plan->ops[i], error))
      g_clear_pointer (&plan, yolo_plan_free);
  return plan;
}

CudaTime *
yolo_cuda_net_time (CudaNet *net, guint batch, guint height, guint width)
{
  for (guint i = 0; i < net->times->len; i++) {
    CudaTime *time = &g_array_index (net->times, CudaTime, i);

    if (time->batch == batch && time->height == height && time->width == width)
      return time;
  }
  return NULL;
}

/* Writes a convolution's constants to @staging at @offset if there is any, and
 * moves the offset on. */
static void
place (CudaNet *net, const YoloConvShape *shape, guint8 *staging, gsize *offset)
{
  const YoloConv *conv = shape->conv;
  gsize bias = *offset + ALIGN (yolo_conv_packed_size (shape)),
        scale = bias + ALIGN (conv->out_channels * sizeof (float));
  CudaWeights *weights;

  if (staging != NULL) {
    weights = g_new0 (CudaWeights, 1);
    yolo_conv_pack (shape, staging + *offset);
    weights->weights = net->memory + *offset;
    memcpy (staging + bias, conv->bias, conv->out_channels * sizeof (float));
    weights->bias = net->memory + bias;
    if (conv->int8 != NULL) {
      memcpy (staging + scale, conv->int8->multiplier, conv->out_channels * sizeof (float));
      weights->scale = net->memory + scale;
    }
    g_hash_table_replace (net->weights, (gpointer) conv, weights);
  }
  *offset = conv->int8 != NULL ? scale + ALIGN (conv->out_channels * sizeof (float)) : scale;
}

static void
place_all (CudaNet *net, const YoloPlan *plan, guint8 *staging, gsize *offset)
{
  *offset = 0;
  for (guint i = 0; i < plan->n_ops; i++) {
    YoloConvShape shape;

    if (plan->ops[i].type != YOLO_OP_CONV)
      continue;
    yolo_conv_shape (&shape, plan, &plan->ops[i]);
    place (net, &shape, staging, offset);
  }
}

gboolean
yolo_cuda_net_upload (CudaNet *net, GError **error)
{
  /* Weights are the same for every batch and size. */
  g_autoptr (YoloPlan) plan =
      yolo_cuda_net_plan (net, 1, net->base.model->height, net->base.model->width, error);
  g_autofree guint8 *staging = NULL;
  gsize size;

  if (plan == NULL)
    return FALSE;
  if (net->base.part.end > 0)
    plan = yolo_plan_take_part (plan, net->base.part);
  place_all (net, plan, NULL, &size);
  staging = g_try_malloc0 (size);
  if (staging == NULL) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY,
        "out of memory for %" G_GSIZE_FORMAT " bytes of weights", size);
    return FALSE;
  }
  net->memory = yolo_cuda_alloc (net->device, size, "weights", error);
  if (net->memory == 0)
    return FALSE;
  place_all (net, plan, staging, &size);
  return yolo_cuda_write (net->device, net->memory, staging, size, "upload the weights", error);
}
