/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolodrawer.h"

#include "gst-plugin/yolocuda.h"

void
yolo_context_drawer_close (YoloContextDrawer *self)
{
  g_clear_pointer (&self->drawer, yolo_drawer_free);
  gst_clear_object (&self->context);
}

YoloDrawer *
yolo_context_drawer_get (
    YoloContextDrawer *self, GstObject *context, guint device, GError **error)
{
  if (self->drawer == NULL || context != self->context) {
    yolo_context_drawer_close (self);
    self->context = context != NULL ? gst_object_ref (context) : NULL;
    self->drawer = yolo_drawer_new (
        device, context != NULL ? yolo_cuda_context_handle (context) : NULL, error);
  }
  return self->drawer;
}
