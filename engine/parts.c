/* SPDX-License-Identifier: MIT */
/* What engines are made of outside of tests. */

#include "engine/engine-private.h"

static const YoloEngineParts parts = {
  1, &yolo_cpu_backend, &yolo_cuda_backend, yolo_model_load, yolo_model_unref, yolo_engine_to_int8
};

YoloEngine *
yolo_engine_get (const YoloEngineConfig * config, GError ** error)
{
  return yolo_engine_get_from (&parts, config, error);
}

gboolean
yolo_engine_cuda_available (guint cuda_device_id, GError ** error)
{
  return yolo_cuda_backend.available (cuda_device_id, error);
}
