/* SPDX-License-Identifier: MIT */
/* Stands for the CUDA back end in a build without CUDA. */

#include "backend/builtin.h"

static gboolean
available (guint device, GError ** error)
{
  g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE,
      "this plugin was built without CUDA");
  return FALSE;
}

/* The other functions are never called for a device that is not available. */
const YoloBackend yolo_cuda_backend = {
  .name = "cuda",
  .available = available,
};
