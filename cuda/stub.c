/* SPDX-License-Identifier: MIT */
/* The CUDA back end of a build without CUDA: says so. */

#include "backend/backend.h"

static gboolean
available (guint device, GError ** error)
{
  g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE,
      "this plugin was built without CUDA");
  return FALSE;
}

/* Nothing else is called on a device that is not available. */
const YoloBackend yolo_cuda_backend = {
  .name = "cuda",
  .available = available,
};
