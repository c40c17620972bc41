/* SPDX-License-Identifier: MIT */
#include "backend/backend.h"

const char *
yolo_precision_name (YoloPrecision precision)
{
  static const char *const names[] = { "auto", "fp32", "fp16", "bf16", "int8" };

  g_return_val_if_fail (precision < G_N_ELEMENTS (names), NULL);
  return names[precision];
}

void *
yolo_exec_view (const YoloExec *exec, YoloView view)
{
  const YoloPlan *plan = exec->plan;
  const YoloBuffer *buffer = &plan->buffers[view.buffer];
  guint8 *base = view.buffer == plan->input ? exec->input : (guint8 *) exec->arena + buffer->offset;

  return base + view.channel * yolo_dtype_size (buffer->dtype);
}
