/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yololook.h"

#include "base/error.h"
#include "gst-plugin/yolocuda.h"

void
yolo_look_close (YoloLook *look)
{
  yolo_context_drawer_close (&look->drawer);
}

void
yolo_look_clear (YoloLook *look)
{
  yolo_look_close (look);
  yolo_motion_scratch_clear (&look->scratch);
}

/* A frame in CUDA memory, in the context of the buffer's memory. */
static gboolean
look_on_device (YoloLook *look, GstBuffer *buffer, const YoloMotionView *views, guint n,
    guint device, guint8 *pictures, GError **error)
{
  GstObject *context =
      views[0].frame->cuda_context != NULL ? yolo_cuda_buffer_context (buffer) : NULL;
  YoloDrawer *drawer = yolo_context_drawer_get (&look->drawer, context, device, error);

  return drawer != NULL && yolo_drawer_motion (drawer, views, n, pictures, error);
}

gboolean
yolo_look_at (YoloLook *look, GstBuffer *buffer, const YoloMotionView *views, guint n,
    guint device, guint8 *pictures, GError **error)
{
  if (views[0].frame->memory == YOLO_MEMORY_CUDA)
    return look_on_device (look, buffer, views, n, device, pictures, error);
  for (guint i = 0; i < n; pictures += yolo_motion_size (&views[i++].grid))
    if (!yolo_motion_picture (&views[i].grid, views[i].frame, &look->scratch, pictures)) {
      g_set_error_literal (
          error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY, "there is no memory");
      return FALSE;
    }
  return TRUE;
}
