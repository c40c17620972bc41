#include "cuda/net.h"

#include <string.h>

/* Fast paths want 16-byte aligned weights; 256 keeps them in lines of their own. */
#define ALIGN(x) (((x) + 255) & ~(gsize) 255)

YoloPlan *
cuda_net_plan (const CudaNet *net, guint batch, guint height, guint width, GError **error)
{
  return yolo_plan_new (net->model, batch, height, width, net->dtype, net->dtype,
      16 / (guint) yolo_dtype_size (net->dtype), error);
}

CudaTime *
cuda_net_time (CudaNet *net, guint batch, guint height, guint width)
{
  for (guint i = 0; i < net->times->len; i++) {
    CudaTime *time = &g_array_index (net->times, CudaTime, i);

    if (time->batch == batch && time->height == height && time->width == width)
      return time;
  }
  return NULL;
}

/* Writes a convolution's weights and bias to @staging at @offset if there is
 * any, and moves the offset on. */
static void
place (CudaNet *net, const YoloConvShape *shape, guint8 *staging, gsize *offset)
{
  const YoloConv *conv = shape->conv;
  gsize size = ALIGN (yolo_conv_packed_size (shape));
  CudaWeights *weights;

  if (staging != NULL) {
    yolo_conv_pack (shape, staging + *offset);
    memcpy (staging + *offset + size, conv->bias, conv->out_channels * sizeof (float));
    weights = g_new (CudaWeights, 1);
    weights->weights = net->memory + *offset;
    weights->bias = weights->weights + size;
    g_hash_table_replace (net->weights, (gpointer) conv, weights);
  }
  *offset += size + ALIGN (conv->out_channels * sizeof (float));
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
cuda_net_upload (CudaNet *net, GError **error)
{
  /* Weights are the same for every batch and size. */
  g_autoptr (YoloPlan) plan = cuda_net_plan (net, 1, net->model->height, net->model->width, error);
  g_autofree guint8 *staging = NULL;
  gsize size;

  if (plan == NULL)
    return FALSE;
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
