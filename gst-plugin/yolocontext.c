/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolocontext.h"

#include "gst-plugin/gstyoloinfer.h"
#include "gst-plugin/yolocuda.h"
#include "engine/engine.h"

#define GST_CAT_DEFAULT yolo_infer_debug

void
yolo_context_init (YoloContext *context, GstBaseTransform *element, const YoloSettings *settings)
{
  *context = (YoloContext) { .element = element, .settings = settings };
}

/* Makes @shared the shared context in place of the one before. @shared: (transfer full)
 * (nullable) */
static void
take (YoloContext *context, GstObject *shared)
{
  GstObject *old;

  GST_OBJECT_LOCK (context->element);
  old = context->shared;
  context->shared = shared;
  GST_OBJECT_UNLOCK (context->element);
  gst_clear_object (&old);
}

void
yolo_context_clear (YoloContext *context)
{
  take (context, NULL);
}

GstObject *
yolo_context_get (YoloContext *context)
{
  GstObject *shared = NULL;

  GST_OBJECT_LOCK (context->element);
  gst_object_replace (&shared, context->shared);
  GST_OBJECT_UNLOCK (context->element);
  return shared;
}

void
yolo_context_settle (YoloContext *context)
{
  GstBaseTransform *trans = context->element;
  GstElement *element = GST_ELEMENT (trans);
  GstObject *shared = NULL;
  gboolean on_cuda;
  gint device_id;

  GST_OBJECT_LOCK (trans);
  on_cuda = yolo_device_takes (yolo_settings_device (context->settings), YOLO_MEMORY_CUDA);
  device_id = yolo_settings_cuda_device (context->settings);
  GST_OBJECT_UNLOCK (trans);
  if (on_cuda && yolo_cuda_memory_supported ()) {
    shared = yolo_context_get (context);
    if (shared && device_id >= 0 && yolo_cuda_context_device (shared) != (guint) device_id)
      gst_clear_object (&shared);
    if (shared == NULL)
      shared = yolo_cuda_peer_context (GST_BASE_TRANSFORM_SINK_PAD (trans), device_id);
    if (shared == NULL)
      shared = yolo_cuda_peer_context (GST_BASE_TRANSFORM_SRC_PAD (trans), device_id);
    if (shared == NULL)
      shared = yolo_cuda_given_context (element, device_id);
    /* an old GPU may decode, but not run networks */
    if (!yolo_engine_cuda_available (
            shared ? yolo_cuda_context_device (shared) : (guint) MAX (device_id, 0), NULL))
      gst_clear_object (&shared);
    else if (shared == NULL)
      shared = yolo_cuda_share_primary (element, MAX (device_id, 0));
  }
  GST_DEBUG_OBJECT (element, "CUDA context %" GST_PTR_FORMAT, shared);
  take (context, shared);
}

GstObject *
yolo_context_follow (YoloContext *context)
{
  GstObject *upstream;
  gint device_id;

  GST_OBJECT_LOCK (context->element);
  device_id = yolo_settings_cuda_device (context->settings);
  GST_OBJECT_UNLOCK (context->element);
  upstream = yolo_cuda_peer_context (GST_BASE_TRANSFORM_SINK_PAD (context->element), device_id);
  if (upstream)
    take (context, upstream);
  return yolo_context_get (context);
}

gboolean
yolo_context_answer (YoloContext *context, GstQuery *query)
{
  g_autoptr (GstObject) shared = yolo_context_get (context);

  return yolo_cuda_context_query (GST_ELEMENT (context->element), query, shared);
}
