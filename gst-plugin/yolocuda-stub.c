/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolocuda.h"

gboolean
yolo_cuda_memory_supported (void)
{
  return FALSE;
}

GstMapFlags
yolo_cuda_map_flags (void)
{
  return 0;
}

GstObject *
yolo_cuda_peer_context (GstPad *pad, gint device_id)
{
  return NULL;
}

GstObject *
yolo_cuda_given_context (GstElement *element, gint device_id)
{
  return NULL;
}

GstObject *
yolo_cuda_share_primary (GstElement *element, guint device_id)
{
  return NULL;
}

gboolean
yolo_cuda_context_query (GstElement *element, GstQuery *query, GstObject *context)
{
  return FALSE;
}

gpointer
yolo_cuda_context_handle (GstObject *context)
{
  return NULL;
}

guint
yolo_cuda_context_device (GstObject *context)
{
  return 0;
}

gboolean
yolo_cuda_context_is_primary (GstObject *context)
{
  return FALSE;
}

void
yolo_cuda_layout (GstBuffer *buffer, GstVideoInfo *info)
{
}

gboolean
yolo_cuda_describe (GstBuffer *buffer, YoloFrame *frame)
{
  return FALSE;
}

GstObject *
yolo_cuda_buffer_context (GstBuffer *buffer)
{
  return NULL;
}

gpointer
yolo_cuda_buffer_stream (GstBuffer *buffer)
{
  return NULL;
}
