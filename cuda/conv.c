/* SPDX-License-Identifier: MIT */
#include "cuda/conv.h"

#include <string.h>

#include "cuda/conv-params.h"
#include "cuda/half.h"

/* The largest power of two, up to 16, that divides both. */
static guint
alignment (gsize a, gsize b)
{
  gsize bits = a | b | 16;

  return (guint) (bits & -bits);
}

void
yolo_conv_shape (YoloConvShape *shape, const YoloPlan *plan, const YoloOp *op)
{
  const YoloConv *conv = op->conv;
  const YoloBuffer *in = &plan->buffers[op->in.buffer], *out = &plan->buffers[op->out.buffer];
  gsize in_size = yolo_dtype_size (in->dtype), out_size = yolo_dtype_size (out->dtype);

  *shape = (YoloConvShape){
    .conv = conv,
    .batch = plan->batch,
    .in_height = in->height,
    .in_width = in->width,
    .out_height = out->height,
    .out_width = out->width,
    .in_channels = conv->in_channels,
    .dtype = in->dtype,
    .out_dtype = out->dtype,
    .residual_dtype = in->dtype,
    .in_pitch = in->channels,
    .out_pitch = out->channels,
    .in_align = alignment (op->in.channel * in_size, in->channels * in_size),
    .out_align = alignment (op->out.channel * out_size, out->channels * out_size),
    .residual_align = 16,
  };
  if (op->in.buffer == plan->input && conv->groups == 1)
    shape->in_channels = in->channels;
  if (op->residual.channels > 0) {
    const YoloBuffer *residual = &plan->buffers[op->residual.buffer];
    gsize size = yolo_dtype_size (residual->dtype);

    shape->residual_dtype = residual->dtype;
    shape->residual_pitch = residual->channels;
    shape->residual_align = alignment (op->residual.channel * size, residual->channels * size);
  }
}

char *
yolo_conv_shape_key (const YoloConvShape *shape)
{
  const YoloConv *conv = shape->conv;
  gboolean other = shape->residual_pitch > 0 && shape->residual_dtype != shape->dtype;

  return g_strdup_printf ("%s>%s b%u %ux%u>%ux%u c%u>%u g%u k%ux%u s%u,%u p%u,%u d%u,%u a%d "
                          "pitch%u,%u,%u align%u,%u,%u%s%s",
      yolo_dtype_name (shape->dtype), yolo_dtype_name (shape->out_dtype), shape->batch,
      shape->in_height, shape->in_width, shape->out_height, shape->out_width, shape->in_channels,
      conv->out_channels, conv->groups, conv->kernel[0], conv->kernel[1], conv->stride[0],
      conv->stride[1], conv->pad[0], conv->pad[1], conv->dilation[0], conv->dilation[1],
      (int) conv->act, shape->in_pitch, shape->out_pitch, shape->residual_pitch, shape->in_align,
      shape->out_align, shape->residual_align, other ? " residual " : "",
      other ? yolo_dtype_name (shape->residual_dtype) : "");
}

double
yolo_conv_macs (const YoloConvShape *shape)
{
  const YoloConv *conv = shape->conv;

  return (double) shape->batch * shape->out_height * shape->out_width * conv->out_channels
      * (shape->in_channels / conv->groups) * conv->kernel[0] * conv->kernel[1];
}

gsize
yolo_conv_in_size (const YoloConvShape *shape)
{
  return (gsize) shape->batch * shape->in_height * shape->in_width * shape->in_pitch
      * yolo_dtype_size (shape->dtype);
}

gsize
yolo_conv_out_size (const YoloConvShape *shape)
{
  return (gsize) shape->batch * shape->out_height * shape->out_width * shape->out_pitch
      * yolo_dtype_size (shape->out_dtype);
}

gsize
yolo_conv_residual_size (const YoloConvShape *shape)
{
  return (gsize) shape->batch * shape->out_height * shape->out_width * shape->residual_pitch
      * yolo_dtype_size (shape->residual_dtype);
}

guint
yolo_conv_packed_channels (const YoloConvShape *shape)
{
  guint per_vector = 16 / (guint) yolo_dtype_size (shape->dtype);

  if (shape->conv->groups > 1)
    return shape->conv->in_channels / shape->conv->groups;
  return (shape->in_channels + per_vector - 1) / per_vector * per_vector;
}

gsize
yolo_conv_packed_size (const YoloConvShape *shape)
{
  const YoloConv *conv = shape->conv;

  return (gsize) conv->out_channels * conv->kernel[0] * conv->kernel[1]
      * yolo_conv_packed_channels (shape) * yolo_dtype_size (shape->dtype);
}

/* Writes one weight, of index @from in the convolution's own order, to element @at. */
static void
put (const YoloConvShape *shape, void *packed, gsize at, gsize from)
{
  const YoloConv *conv = shape->conv;

  switch (shape->dtype) {
    case YOLO_F16:
      ((guint16 *) packed)[at] = yolo_half_from_float (conv->weights[from]);
      break;
    case YOLO_S8:
      ((gint8 *) packed)[at] = conv->int8->weights[from];
      break;
    case YOLO_F32:
      ((float *) packed)[at] = conv->weights[from];
      break;
    case YOLO_BF16:
    case YOLO_U8:              /* no convolution on a GPU reads these */
      g_assert_not_reached ();
  }
}

void
yolo_conv_pack (const YoloConvShape *shape, void *packed)
{
  const YoloConv *conv = shape->conv;
  guint channels = yolo_conv_packed_channels (shape), per_group = conv->in_channels / conv->groups;
  guint taps = conv->kernel[0] * conv->kernel[1];

  memset (packed, 0, yolo_conv_packed_size (shape));
  for (guint o = 0; o < conv->out_channels; o++)
    for (guint i = 0; i < per_group; i++)
      for (guint t = 0; t < taps; t++)
        put (shape, packed, ((gsize) o * taps + t) * channels + i,
            ((gsize) o * per_group + i) * taps + t);
}

void
yolo_conv_params (YoloConvParams *params, const YoloConvShape *shape, const YoloConvArgs *args)
{
  const YoloConv *conv = shape->conv;

  *params = (YoloConvParams){
    .in = (const void *) args->in,
    .weights = (const void *) args->weights,
    .residual = (const void *) args->residual,
    .bias = (const float *) args->bias,
    .scale = (const float *) args->scale,
    .out = (void *) args->out,
    .batch = (int) shape->batch,
    .in_height = (int) shape->in_height,
    .in_width = (int) shape->in_width,
    .out_height = (int) shape->out_height,
    .out_width = (int) shape->out_width,
    .in_channels = (int) shape->in_channels,
    .out_channels = (int) conv->out_channels,
    .packed_channels = (int) yolo_conv_packed_channels (shape),
    .in_pitch = (int) shape->in_pitch,
    .out_pitch = (int) shape->out_pitch,
    .residual_pitch = (int) shape->residual_pitch,
    .groups = (int) conv->groups,
    .act = (int) conv->act,
    .alpha = conv->alpha,
    .beta = conv->beta,
    .residual_type = (int) shape->residual_dtype,
    .out_type = (int) shape->out_dtype,
    .residual_scale = (const float *) args->residual_scale,
    .out_inverse = args->out_scale != 0 ? 1 / args->out_scale : 0,
  };
  for (guint i = 0; i < 2; i++) {
    params->kernel[i] = (int) conv->kernel[i];
    params->stride[i] = (int) conv->stride[i];
    params->pad[i] = (int) conv->pad[i];
    params->dilation[i] = (int) conv->dilation[i];
  }
}
