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

gboolean
yolo_cuda_ensure_context (GstElement *element, guint device_id, GstObject **context)
{
  return FALSE;
}

void
yolo_cuda_set_context (GstElement *element, GstContext *given, guint device_id, GstObject **context)
{
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
