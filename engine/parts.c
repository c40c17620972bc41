/* SPDX-License-Identifier: MIT */
/* What engines are made of outside of tests: the one place that names back ends. */

#include "backend/builtin.h"
#include "engine/engine-private.h"
#include "engine/load.h"

const YoloEngineParts yolo_engine_parts = {
  5 * G_USEC_PER_SEC, &yolo_cpu_backend, &yolo_cuda_backend, &yolo_reference_backend,
  yolo_model_load_head, yolo_model_unref, yolo_engine_to_int8
};

YoloEngine *
yolo_engine_get (const YoloEngineConfig *config, GError **error)
{
  return yolo_engine_get_from (&yolo_engine_parts, config, error);
}

gboolean
yolo_engine_cuda_available (guint cuda_device_id, GError **error)
{
  return yolo_backend_available (yolo_engine_parts.cuda, cuda_device_id, error);
}

static gboolean
kind_takes (YoloDevice device, YoloMemory memory)
{
  const YoloEngineParts *parts = &yolo_engine_parts;

  switch (device) {
    case YOLO_DEVICE_AUTO:
      return yolo_backend_takes (parts->cuda, memory) || yolo_backend_takes (parts->cpu, memory);
    case YOLO_DEVICE_CPU:
      return yolo_backend_takes (parts->cpu, memory);
    case YOLO_DEVICE_CUDA:
      return yolo_backend_takes (parts->cuda, memory);
    case YOLO_DEVICE_REFERENCE:
      return yolo_backend_takes (parts->reference, memory);
  }
  g_return_val_if_reached (FALSE);
}

gboolean
yolo_device_takes (const char *device, YoloMemory memory)
{
  YoloDevices devices;

  if (!yolo_devices_parse (device, &devices, NULL))
    return FALSE;
  /* the first piece of a network in pieces is given the frames */
  for (guint i = 0; i < devices.n; i++)
    if (!devices.at[i].joined && !kind_takes (devices.at[i].kind, memory))
      return FALSE;
  return TRUE;
}
