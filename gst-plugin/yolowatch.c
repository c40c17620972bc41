/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolowatch.h"

#include "gst-plugin/gstyoloinfer.h"
#include "gst-plugin/yolometa.h"

#include <gst/base/gstbasetransform.h>

#define EVENT_NAME "yolo-objects"

/* An element may hold frames back, so that the announcement overtakes them;
 * encoders do so for a second at most. */
#define MAX_BUFFERS_LATE 60

GstEvent *
yolo_watch_announce (void)
{
  return gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM_STICKY,
      gst_structure_new_empty (EVENT_NAME));
}

/* Whether the element makes new buffers. Elements that hand on those that they are
 * given do not; queues and the like, which are no transforms, have the class Generic. */
static gboolean
makes_buffers (GstElement *element)
{
  if (GST_IS_BASE_TRANSFORM (element))
    return !gst_base_transform_is_passthrough (GST_BASE_TRANSFORM (element))
        && !gst_base_transform_is_in_place (GST_BASE_TRANSFORM (element));
  return g_strcmp0 (gst_element_get_metadata (element, GST_ELEMENT_METADATA_KLASS), "Generic") != 0;
}

/* The names of the elements that may have dropped metadata, the nearest first: those
 * between @element and the yoloinfer upstream that make new buffers. */
static char *
suspects (GstElement *element)
{
  g_autoptr (GString) names = g_string_new (NULL);
  GstPad *pad = gst_element_get_static_pad (element, "sink");

  while (pad) {
    g_autoptr (GstPad) peer = gst_pad_get_peer (pad);
    g_autoptr (GstElement) upstream = peer ? gst_pad_get_parent_element (peer) : NULL;

    g_clear_pointer (&pad, gst_object_unref);
    if (upstream == NULL || GST_IS_YOLO_INFER (upstream))
      break;
    if (makes_buffers (upstream))
      g_string_append_printf (
          names, "%s%s", names->len > 0 ? ", " : "", GST_ELEMENT_NAME (upstream));
    pad = gst_element_get_static_pad (upstream, "sink");
  }
  return g_strdup (names->len > 0 ? names->str : "unknown");
}

static void
warn (YoloWatch *watch, GstElement *element)
{
  g_autofree char *names = suspects (element);

  watch->warned = TRUE;
  GST_ELEMENT_WARNING (element, STREAM, FORMAT,
      ("objects that were found do not arrive at \"%s\": an element before it drops what is "
       "attached to frames (%s); put \"%s\" before that one",
          GST_ELEMENT_NAME (element), names, GST_ELEMENT_NAME (element)),
      (NULL));
}

void
yolo_watch_event (YoloWatch *watch, GstElement *element, GstEvent *event)
{
  if (gst_event_has_name (event, EVENT_NAME)) {
    watch->announced = TRUE;
    watch->n_buffers = 0;
  } else if (GST_EVENT_TYPE (event) == GST_EVENT_EOS && watch->announced && !watch->warned
      && watch->n_buffers > 0) {
    warn (watch, element);
  }
}

void
yolo_watch_buffer (YoloWatch *watch, GstElement *element, GstBuffer *buffer, guint n_objects)
{
  if (n_objects > 0)
    watch->announced = FALSE;
  else if (!watch->warned && (yolo_meta_has_notes (buffer)
          || (watch->announced && ++watch->n_buffers > MAX_BUFFERS_LATE)))
    warn (watch, element);
}
