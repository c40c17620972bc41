/* SPDX-License-Identifier: MIT */
/* Stands for the CPU back end in a build with -Dcpu=disabled. */

#include "backend/builtin.h"

static gboolean
available (G_GNUC_UNUSED guint device, GError **error)
{
  g_set_error_literal (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE,
      "built without the CPU back end: build without -Dcpu=disabled");
  return FALSE;
}

/* Nothing else is called on a device that is not available. */
const YoloBackend yolo_cpu_backend = {
  .name = "cpu",
  .host_memory = TRUE,
  .available = available,
};
