/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolocuda.h"

#define GST_USE_UNSTABLE_API
#include <gst/cuda/gstcudacontext.h>
#include <gst/cuda/gstcudaloader.h>
#include <gst/cuda/gstcudamemory.h>
#include <gst/cuda/gstcudautils.h>

#include <dlfcn.h>
#include <string.h>

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

/* The GstCudaContext in a GstContext, if it is one of the device; else NULL. */
static GstObject *
context_in (GstElement *element, GstContext *given, gint device_id)
{
  GstCudaContext *context = NULL;

  gst_cuda_handle_set_context (element, given, device_id, &context);
  return (GstObject *) context;
}

GstObject *
yolo_cuda_peer_context (GstPad *pad, gint device_id)
{
  GstElement *element = gst_pad_get_parent_element (pad);
  GstQuery *query = gst_query_new_context (GST_CUDA_CONTEXT_TYPE);
  GstObject *found = NULL;
  GstContext *given;

  if (gst_pad_peer_query (pad, query)) {
    gst_query_parse_context (query, &given);
    found = context_in (element, given, device_id);
  }
  gst_query_unref (query);
  gst_object_unref (element);
  return found;
}

GstObject *
yolo_cuda_given_context (GstElement *element, gint device_id)
{
  GstContext *given;
  GstObject *found;

  /* who answers calls gst_element_set_context() while the message is posted */
  gst_element_post_message (
      element, gst_message_new_need_context (GST_OBJECT (element), GST_CUDA_CONTEXT_TYPE));
  given = gst_element_get_context (element, GST_CUDA_CONTEXT_TYPE);
  found = context_in (element, given, device_id);
  if (given != NULL)
    gst_context_unref (given);
  return found;
}

/* Entry points that libgstcuda, which has opened the driver, does not hand on. */
static struct {
  __typeof__ (&cuDevicePrimaryCtxRetain) retain;
  __typeof__ (&cuDevicePrimaryCtxRelease) release;
} primary;

static gboolean
open_primary (void)
{
  static gsize opened = 0;

  if (g_once_init_enter (&opened)) {
    void *driver = dlopen ("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);

    if (driver != NULL) {
      *(void **) &primary.retain = dlsym (driver, G_STRINGIFY (cuDevicePrimaryCtxRetain));
      *(void **) &primary.release = dlsym (driver, G_STRINGIFY (cuDevicePrimaryCtxRelease));
    }
    g_once_init_leave (&opened, primary.retain != NULL && primary.release != NULL ? 1 : 2);
  }
  return opened == 1;
}

static GQuark
primary_quark (void)
{
  return g_quark_from_static_string ("yolo-primary-context");
}

static void
release_primary (gpointer device)
{
  primary.release ((CUdevice) (GPOINTER_TO_INT (device) - 1));
}

GstObject *
yolo_cuda_share_primary (GstElement *element, guint device_id)
{
  GstCudaContext *context;
  GstContext *known;
  CUcontext handle;
  CUdevice device;

  if (!yolo_cuda_memory_supported () || !open_primary ()
      || CuDeviceGet (&device, (int) device_id) != CUDA_SUCCESS
      || primary.retain (&handle, device) != CUDA_SUCCESS)
    return NULL;
  context = gst_cuda_context_new_wrapped (handle, device);
  if (context == NULL) {
    primary.release (device);
    return NULL;
  }
  /* released with the last memory that was allocated in it */
  g_object_set_qdata_full (
      G_OBJECT (context), primary_quark (), GINT_TO_POINTER (device + 1), release_primary);

  /* bins keep it for elements that ask by message */
  known = gst_context_new_cuda_context (context);
  gst_element_post_message (element, gst_message_new_have_context (GST_OBJECT (element), known));
  return GST_OBJECT (context);
}

gboolean
yolo_cuda_context_query (GstElement *element, GstQuery *query, GstObject *context)
{
  return context != NULL
      && gst_cuda_handle_context_query (element, query, GST_CUDA_CONTEXT (context));
}

gpointer
yolo_cuda_context_handle (GstObject *context)
{
  return gst_cuda_context_get_handle (GST_CUDA_CONTEXT (context));
}

guint
yolo_cuda_context_device (GstObject *context)
{
  guint device;

  g_object_get (context, "cuda-device-id", &device, NULL);
  return device;
}

gboolean
yolo_cuda_context_is_primary (GstObject *context)
{
  return g_object_get_qdata (G_OBJECT (context), primary_quark ()) != NULL;
}

static GstCudaMemory *
memory_of (GstBuffer *buffer)
{
  GstMemory *memory = gst_buffer_n_memory (buffer) > 0 ? gst_buffer_peek_memory (buffer, 0) : NULL;

  return memory != NULL && gst_is_cuda_memory (memory) ? GST_CUDA_MEMORY_CAST (memory) : NULL;
}

void
yolo_cuda_layout (GstBuffer *buffer, GstVideoInfo *info)
{
  GstCudaMemory *memory = memory_of (buffer);

  if (memory == NULL || GST_VIDEO_INFO_FORMAT (&memory->info) != GST_VIDEO_INFO_FORMAT (info)
      || memory->info.width != info->width || memory->info.height != info->height)
    return;
  memcpy (info->stride, memory->info.stride, sizeof info->stride);
  memcpy (info->offset, memory->info.offset, sizeof info->offset);
  info->size = memory->info.size;
}

GstObject *
yolo_cuda_buffer_context (GstBuffer *buffer)
{
  GstCudaMemory *memory = memory_of (buffer);

  return memory != NULL ? GST_OBJECT (memory->context) : NULL;
}

/* From GStreamer 1.24 on, memory can have a stream, and is handed on before the work of
 * that stream is done. */
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
  frame->device = yolo_cuda_context_device (GST_OBJECT (memory->context));
  frame->cuda_context = gst_cuda_context_get_handle (memory->context);
  frame->cuda_stream = yolo_cuda_buffer_stream (buffer);
  if (frame->cuda_stream == NULL)
    frame->cuda_stream = CU_STREAM_LEGACY;
  return TRUE;
}
