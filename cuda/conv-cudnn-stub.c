/* SPDX-License-Identifier: MIT */
/* Stands for conv-cudnn.c in a build without cuDNN's headers: cuDNN offers no way to
 * compute a convolution then. */

#include "cuda/cudnn.h"

int
yolo_cudnn_version (void)
{
  return 0;
}

guint
yolo_conv_cudnn_list (YoloCudaDevice *device, const YoloConvShape *shape, YoloConvCandidate *list,
    guint max, GError **error)
{
  return 0;
}

gboolean
yolo_conv_cudnn_named (
    YoloCudaDevice *device, const YoloConvShape *shape, const char *name, YoloConvCandidate *found)
{
  return FALSE;
}

guint
yolo_cudnn_plans (const YoloConvShape *shape, const char *device_json, const char *only,
    YoloConvCandidate *list, guint max, guint *engines)
{
  *engines = 0;
  return 0;
}

void
yolo_cudnn_keep (const YoloCudaDevice *device, const char *device_json, const YoloConvShape *shape,
    const YoloConvCandidate *candidate)
{
}
