#include "cuda/conv.h"
#include "cuda/conv-params.h"

#define BLOCK 256

static gboolean
launch (const YoloConvCandidate *candidate, YoloCudaDevice *device, const YoloConvShape *shape,
    const YoloConvArgs *args, CUstream stream, GError **error)
{
  guint64 elements = (guint64) shape->batch * shape->out_height * shape->out_width * shape->conv->out_channels;
  YoloConvParams params;

  yolo_conv_params (&params, shape, args);
  return yolo_cuda_launch (device, candidate->function, (guint) ((elements + BLOCK - 1) / BLOCK), 1, 1, BLOCK, 0, stream,
      &params, error);
}

guint
yolo_conv_simt_list (YoloCudaDevice *device, const YoloConvShape *shape, YoloConvCandidate *list, guint max,
    GError **error)
{
  if (max == 0 || (shape->dtype != YOLO_F32 && shape->dtype != YOLO_F16))
    return 0;
  list[0] = (YoloConvCandidate) { .name = "simt", .launch = launch };
  list[0].function = yolo_cuda_function (device, YOLO_CUDA_MODULE_conv_simt,
      shape->dtype == YOLO_F32 ? "conv_simt_f32" : "conv_simt_f16", error);
  return list[0].function != NULL;
}
