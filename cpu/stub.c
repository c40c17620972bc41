/* SPDX-License-Identifier: MIT */
/* Stands for the CPU back end in a build without oneDNN, or with -Dcpu=disabled. */

#include "backend/backend.h"

static gboolean
available (G_GNUC_UNUSED guint device, GError **error)
{
  g_set_error_literal (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE,
      "built without the CPU back end: install oneDNN (libdnnl-dev) and build with -Dcpu=enabled");
  return FALSE;
}

static YoloPrecision
resolve (guint device, YoloPrecision precision, GError **error)
{
  available (device, error);
  return precision;
}

static YoloNet *
load (YoloModel *model, guint device, gpointer context, YoloPrecision precision, guint threads,
    GError **error)
{
  available (device, error);
  return NULL;
}

const YoloBackend yolo_cpu_backend = {
  .name = "cpu",
  .host_memory = TRUE,
  .available = available,
  .resolve = resolve,
  .load = load,
};
