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

void
yolo_plan_maps (const YoloPlan *plan, const void *arena, guint image, YoloMap *maps)
{
  for (guint k = 0; k < plan->model->n_outputs; k++) {
    YoloView view = plan->outputs[k];
    const YoloBuffer *buffer = &plan->buffers[view.buffer];

    maps[k] = (YoloMap) {
      .output = plan->model->outputs[k],
      .pitch = buffer->channels,
      .width = (int) buffer->width, .height = (int) buffer->height,
      .channels = (int) view.channels,
    };
    if (arena != NULL)
      maps[k].data = (const float *) ((const guint8 *) arena + buffer->offset) + view.channel
          + (gsize) image * buffer->height * buffer->width * buffer->channels;
  }
}
