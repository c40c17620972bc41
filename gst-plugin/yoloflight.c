/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yoloflight.h"

#include "gst-plugin/yolods.h"
#include "gst-plugin/yolofollow.h"
#include "gst-plugin/yolometa.h"
#include "gst-plugin/yoloshape.h"

YoloFlight *
yolo_flight_new (void)
{
  YoloFlight *flight = g_new0 (YoloFlight, 1);

  flight->link.data = flight;
  flight->objects = yolo_meta_objects_new ();
  flight->given = yolo_meta_objects_new ();
  flight->parts = g_array_new (FALSE, FALSE, sizeof (YoloPart));
  return flight;
}

void
yolo_flight_unmap (YoloFlight *flight)
{
  if (flight->mapped)
    gst_video_frame_unmap (&flight->video);
  flight->mapped = FALSE;
  if (flight->surface_mapped)
    gst_buffer_unmap (flight->buffer, &flight->surface);
  flight->surface_mapped = FALSE;
  g_clear_pointer (&flight->classes, g_bytes_unref);
}

/* Whether the middle of an object lies in the part of the frame that was asked for. */
static gboolean
is_wanted (const YoloPart *part, const YoloMetaObject *object)
{
  return part->area == NULL
      || yolo_area_contains (part->area, object->x + object->w / 2., object->y + object->h / 2.);
}

void
yolo_flight_clear (YoloFlight *flight)
{
  yolo_flight_unmap (flight);
  gst_clear_buffer (&flight->buffer);
  g_clear_error (&flight->error);
  g_array_set_size (flight->objects, 0);
  g_array_set_size (flight->given, 0);
  g_array_set_size (flight->parts, 0);
  g_clear_pointer (&flight->areas, g_array_unref);
  g_clear_pointer (&flight->faint, g_array_unref);
  flight->done = flight->inferred = flight->repeat = flight->discont = FALSE;
  flight->gated = flight->classifies = flight->followed = FALSE;
}

void
yolo_flight_free (YoloFlight *flight)
{
  if (flight == NULL)
    return;
  yolo_flight_clear (flight);
  g_array_unref (flight->objects);
  g_array_unref (flight->given);
  g_array_unref (flight->parts);
  g_free (flight);
}

void
yolo_part_add_objects (YoloPart *part, const YoloResult *result, const GQuark *labels,
    const GstVideoInfo *info)
{
  YoloFlight *flight = part->flight;
  guint i;

  part->first = flight->objects->len;
  for (i = 0; i < result->n_detections; i++) {
    const YoloObject *d = &result->detections[i];
    YoloMetaObject object = {
      .x = d->x1 - flight->origin_x,
      .y = d->y1 - flight->origin_y,
      .w = d->x2 - d->x1,
      .h = d->y2 - d->y1,
      .confidence = d->confidence,
      .label_id = d->class_id,
      .label = labels[d->class_id],
      .object_id = -1,
      .slot = part->slot,
      .parent = part->parent,
      .shape = yolo_shape_new (result, i, flight->origin_x, flight->origin_y,
          GST_VIDEO_INFO_WIDTH (info), GST_VIDEO_INFO_HEIGHT (info)),
    };

    yolo_object_bound (&object, info);
    if (result->details->whole || is_wanted (part, &object))
      g_array_append_val (flight->objects, object);
    else
      g_clear_pointer (&object.shape, g_bytes_unref);
  }
  part->n = flight->objects->len - part->first;
}

GstBuffer *
yolo_flight_attach (YoloFlight *flight, const GArray *objects, const GstVideoInfo *info,
    guint unique_id, gboolean nvmm)
{
  const YoloMetaObject *found = (const YoloMetaObject *) objects->data;
  GstBuffer *buffer = g_steal_pointer (&flight->buffer);

  if (objects->len > 0 || flight->discont || flight->followed) {
    /* of a shared buffer, the metadata are copied and the pixels stay shared */
    buffer = gst_buffer_make_writable (buffer);
    if (flight->discont)
      GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
    yolo_meta_add (buffer, info, found, objects->len, unique_id);
    /* where nothing has moved, what was found last is what would be found */
    if (flight->followed)
      yolo_follow_note (
          buffer, info, flight->faint, flight->inferred || flight->gated, unique_id);
  }
  if (nvmm && (flight->inferred || objects->len > 0))
    yolo_ds_add (buffer, found, objects->len, flight->given, unique_id, flight->inferred);
  return buffer;
}
