#include "cuda/conv.h"

#include <math.h>
#include <string.h>

#include "cuda/conv-params.h"
#include "cuda/half.h"

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

  return (gsize) conv->out_channels * conv->kernel[0] * conv->kernel[1] * yolo_conv_packed_channels (shape)
      * yolo_dtype_size (shape->dtype);
}

static void
put (const YoloConvShape *shape, void *packed, gsize at, float weight, float scale)
{
  switch (shape->dtype) {
    case YOLO_F16:
      ((guint16 *) packed)[at] = yolo_half_from_float (weight);
      break;
    case YOLO_S8:
      ((gint8 *) packed)[at] = (gint8) CLAMP (lrintf (weight / scale), -127, 127);
      break;
    default:
      ((float *) packed)[at] = weight;
      break;
  }
}

void
yolo_conv_pack (const YoloConvShape *shape, const float *scale, void *packed)
{
  const YoloConv *conv = shape->conv;
  guint channels = yolo_conv_packed_channels (shape), per_group = conv->in_channels / conv->groups;
  guint taps = conv->kernel[0] * conv->kernel[1];

  memset (packed, 0, yolo_conv_packed_size (shape));
  for (guint o = 0; o < conv->out_channels; o++)
    for (guint i = 0; i < per_group; i++)
      for (guint t = 0; t < taps; t++)
        put (shape, packed, ((gsize) o * taps + t) * channels + i, conv->weights[((gsize) o * per_group + i) * taps + t],
            scale != NULL ? scale[o] : 1);
}

void
yolo_conv_params (YoloConvParams *params, const YoloConvShape *shape, const YoloConvArgs *args)
{
  const YoloConv *conv = shape->conv;

  *params = (YoloConvParams) {
    .in = (const void *) args->in, .weights = (const void *) args->weights,
    .residual = (const void *) args->residual, .bias = (const float *) args->bias,
    .scale = (const float *) args->scale, .out = (void *) args->out,
    .batch = (int) shape->batch, .in_height = (int) shape->in_height, .in_width = (int) shape->in_width,
    .out_height = (int) shape->out_height, .out_width = (int) shape->out_width,
    .in_channels = (int) shape->in_channels, .out_channels = (int) conv->out_channels,
    .packed_channels = (int) yolo_conv_packed_channels (shape),
    .in_pitch = (int) shape->in_pitch, .out_pitch = (int) shape->out_pitch,
    .residual_pitch = (int) shape->residual_pitch,
    .groups = (int) conv->groups, .act = (int) conv->act,
    .out_f32 = shape->out_dtype == YOLO_F32, .out_f16 = shape->out_dtype == YOLO_F16,
    .residual_scale = args->residual_scale, .out_inverse = args->out_scale != 0 ? 1 / args->out_scale : 0,
  };
  for (guint i = 0; i < 2; i++) {
    params->kernel[i] = (int) conv->kernel[i];
    params->stride[i] = (int) conv->stride[i];
    params->pad[i] = (int) conv->pad[i];
    params->dilation[i] = (int) conv->dilation[i];
  }
}
