/* SPDX-License-Identifier: MIT */
#include "cuda/conv.h"
#include "cuda/conv-params.h"

#define BLOCK 256               /* threads */

static gboolean
launch (const YoloConvCandidate *candidate, YoloCudaDevice *device, const YoloConvShape *shape,
    const YoloConvArgs *args, CUstream stream, GError **error)
{
  guint64 elements =
      (guint64) shape->batch * shape->out_height * shape->out_width * shape->conv->out_channels;
  YoloConvParams params;

  yolo_conv_params (&params, shape, args);
  return yolo_cuda_launch (device, candidate->function, (guint) ((elements + BLOCK - 1) / BLOCK), 1,
      1, BLOCK, 0, stream, &params, error);
}

/* Pixels and channels of a block, as in kernels/conv_simt.cu. */
#define TILE 64

static gboolean
launch_tiles (const YoloConvCandidate *candidate, YoloCudaDevice *device,
    const YoloConvShape *shape, const YoloConvArgs *args, CUstream stream, GError **error)
{
  guint64 pixels = (guint64) shape->batch * shape->out_height * shape->out_width;
  guint64 blocks = (pixels + TILE - 1) / TILE * ((shape->conv->out_channels + TILE - 1) / TILE);
  YoloConvParams params;

  yolo_conv_params (&params, shape, args);
  return yolo_cuda_launch (
      device, candidate->function, (guint) blocks, 1, 1, BLOCK, 0, stream, &params, error);
}

static gboolean
add (YoloCudaDevice *device, const char *name, const char *function, __typeof__ (&launch) how,
    YoloConvCandidate *candidate, GError **error)
{
  *candidate = (YoloConvCandidate) { .launch = how };
  g_strlcpy (candidate->name, name, sizeof (candidate->name));
  candidate->function = yolo_cuda_function (device, YOLO_CUDA_MODULE_conv_simt, function, error);
  return candidate->function != NULL;
}

guint
yolo_conv_simt_list (YoloCudaDevice *device, const YoloConvShape *shape, YoloConvCandidate *list,
    guint max, GError **error)
{
  static const char *const functions[] = {
    [YOLO_F32] = "conv_simt_f32", [YOLO_F16] = "conv_simt_f16", [YOLO_S8] = "conv_simt_s8",
  };
  gboolean f32 =
      shape->dtype == YOLO_F32 && shape->out_dtype == YOLO_F32 && shape->residual_dtype == YOLO_F32;
  guint64 pixels = (guint64) shape->batch * shape->out_height * shape->out_width;
  guint n = 0;

  if (max < 2 || shape->dtype >= G_N_ELEMENTS (functions) || functions[shape->dtype] == NULL)
    return 0;
  /* the kernel that works in tiles counts pixels in 32 bits */
  if (f32 && shape->conv->groups == 1 && pixels < G_MAXINT32 / 2
      && !add (device, "simt 64x64", "conv_simt_tile_f32", launch_tiles, &list[n++], error))
    return 0;
  return add (device, "simt", functions[shape->dtype], launch, &list[n++], error) ? n : 0;
}
