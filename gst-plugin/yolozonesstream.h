/* SPDX-License-Identifier: MIT */
/* Lines and zones of one stream: the objects of its frames go in, structures come out. The caller
 * lets one thread at a time call these functions. */

#ifndef YOLO_ZONES_STREAM_H
#define YOLO_ZONES_STREAM_H

#include "gst-plugin/yolometa.h"
#include "gst-plugin/yolozonesconfig.h"

G_BEGIN_DECLS

typedef struct _YoloZonesStream YoloZonesStream;

/* @source: number of the camera among those of a batch, 0 otherwise. NULL: there is no memory. */
YoloZonesStream *yolo_zones_stream_new (YoloZonesLayout *layout, guint source);
/* NULL does nothing. */
void yolo_zones_stream_free (YoloZonesStream *stream);

/* Another layout from the next frame on; lines and zones that stay in their places keep their
 * counts. FALSE: there is no memory, and nothing has changed. */
gboolean yolo_zones_stream_change (YoloZonesStream *stream, YoloZonesLayout *layout);

/* A frame. @objects: all of the buffer, of which those with this slot count; @slot: as in
 * YoloMetaObject, where in the buffer the stream's frame is this time; @now: seconds. FALSE: there
 * was no memory for some of what is new. */
gboolean yolo_zones_stream_update (YoloZonesStream *stream, const GArray *objects, guint slot,
    gint width, gint height, gdouble now);

/* The stream has ended, see yolo_zones_end(): the events are of that from now on. */
gboolean yolo_zones_stream_end (YoloZonesStream *stream);
/* At the next frame all objects are gone first. */
void yolo_zones_stream_forget (YoloZonesStream *stream);
/* Sets counts, times and heat to 0. */
void yolo_zones_stream_reset (YoloZonesStream *stream);

/**
 * yolo_zones_stream_get:
 * @streams: (element-type YoloZonesStream): owned streams; a new one is added
 * @most: how many there may be, above 0: the one that was not asked for for longest is freed
 * @number: of the buffer that asks, which does not decrease
 *
 * Returns: (transfer none) (nullable): the stream of a camera, which is made if it is new; NULL:
 * there is no memory
 */
YoloZonesStream *yolo_zones_stream_get (GPtrArray *streams, guint most, YoloZonesLayout *layout,
    guint source, guint64 number);

guint yolo_zones_stream_source (const YoloZonesStream *stream);
/* Of the last frame. */
guint yolo_zones_stream_slot (const YoloZonesStream *stream);

/* Fills in what docs/zones.md says of a frame. @element: name of the element; @by_class: the
 * counts of each class too; @with_objects: what the frame's objects and events are. */
void yolo_zones_stream_describe (YoloZonesStream *stream, GstStructure *structure,
    const gchar *element, gboolean by_class, gboolean with_objects);

guint yolo_zones_stream_n_events (const YoloZonesStream *stream);
/* Returns: (transfer full): an event of the last frame, or of the end. @time: of the last frame,
 * stream time, or GST_CLOCK_TIME_NONE. */
GstStructure *yolo_zones_stream_event (
    const YoloZonesStream *stream, guint i, const gchar *element, GstClockTime time);

/* NULL: there is no heat map. */
const YoloHeat *yolo_zones_stream_heat (const YoloZonesStream *stream);

G_END_DECLS

#endif
