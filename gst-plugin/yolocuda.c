#include "gst-plugin/yolocuda.h"

#define GST_USE_UNSTABLE_API
#include <gst/cuda/gstcudacontext.h>
#include <gst/cuda/gstcudaloader.h>
#include <gst/cuda/gstcudamemory.h>
#include <gst/cuda/gstcudautils.h>

gboolean
yolo_cuda_memory_supported (void)
{
  static gsize loaded = 0;

  if (g_once_init_enter (&loaded)) {
    const gboolean ok = gst_cuda_load_library () && CuInit (0) == CUDA_SUCCESS;

    if (ok)
      gst_cuda_memory_init_once ();
    g_once_init_leave (&loaded, ok ? 1 : 2);
  }
  return loaded == 1;
}

GstMapFlags
yolo_cuda_map_flags (void)
{
  return GST_MAP_CUDA;
}

gboolean
yolo_cuda_ensure_context (GstElement *element, guint device_id, GstObject **context)
{
  return yolo_cuda_memory_supported ()
      && gst_cuda_ensure_element_context (element, device_id, (GstCudaContext **) context);
}

void
yolo_cuda_set_context (GstElement *element, GstContext *given, guint device_id, GstObject **context)
{
  if (yolo_cuda_memory_supported ())
    gst_cuda_handle_set_context (element, given, device_id, (GstCudaContext **) context);
}

gboolean
yolo_cuda_context_query (GstElement *element, GstQuery *query, GstObject *context)
{
  return context != NULL && gst_cuda_handle_context_query (element, query, GST_CUDA_CONTEXT (context));
}

gpointer
yolo_cuda_context_handle (GstObject *context)
{
  return gst_cuda_context_get_handle (GST_CUDA_CONTEXT (context));
}

static GstCudaMemory *
memory_of (GstBuffer *buffer)
{
  GstMemory *memory = gst_buffer_n_memory (buffer) > 0 ? gst_buffer_peek_memory (buffer, 0) : NULL;

  return memory != NULL && gst_is_cuda_memory (memory) ? GST_CUDA_MEMORY_CAST (memory) : NULL;
}

GstObject *
yolo_cuda_buffer_context (GstBuffer *buffer)
{
  GstCudaMemory *memory = memory_of (buffer);

  return memory != NULL ? GST_OBJECT (memory->context) : NULL;
}

/* From 1.24 on a memory can have a stream whose work is not waited for. */
gpointer
yolo_cuda_buffer_stream (GstBuffer *buffer)
{
#if GST_CHECK_VERSION (1, 24, 0)
  GstCudaMemory *memory = memory_of (buffer);
  GstCudaStream *stream = memory != NULL ? gst_cuda_memory_get_stream (memory) : NULL;

  if (stream != NULL)
    return gst_cuda_stream_get_handle (stream);
#endif
  return NULL;
}

gboolean
yolo_cuda_describe (GstBuffer *buffer, YoloFrame *frame)
{
  GstCudaMemory *memory = memory_of (buffer);

  if (memory == NULL)
    return FALSE;
  frame->memory = YOLO_MEMORY_CUDA;
  frame->cuda_context = gst_cuda_context_get_handle (memory->context);
  frame->cuda_stream = yolo_cuda_buffer_stream (buffer);
  if (frame->cuda_stream == NULL)
    frame->cuda_stream = CU_STREAM_LEGACY;
  return TRUE;
}
