/* SPDX-License-Identifier: MIT */
/* What the elements have attached to a frame, as JSON. */

#ifndef YOLO_SERVER_OBJECTS_H
#define YOLO_SERVER_OBJECTS_H

#include <gst/gst.h>

G_BEGIN_DECLS

/* How many objects of yoloinfer's are on a frame. */
guint yolo_objects_count (GstBuffer *buffer);

/* An event of yolozones' on a frame, or NULL: there are no more than @i. It belongs to the
 * frame. */
const GstStructure *yolo_objects_event (GstBuffer *buffer, guint i);

/* Calls a function for each object that a tracker sees on a frame, with its number. */
void yolo_objects_foreach_track (GstBuffer *buffer,
    void (*func) (gint id, const char *label, gpointer user_data), gpointer user_data);

/**
 * yolo_objects_to_json:
 *
 * {"time":1.5,"objects":[{"label":"person","confidence":0.9,"id":7,"box":[x,y,w,h]}],
 * "lines":[{"name":"gate","points":[x1,y1,x2,y2],"forward":3,"backward":1}],
 * "zones":[{"name":"door","points":[x,y,...],"occupancy":2}]}: seconds, and shares of the frame's
 * width and height.
 *
 * Returns: (transfer full): UTF-8, without a 0 at the end
 */
GBytes *yolo_objects_to_json (GstBuffer *buffer);

G_END_DECLS

#endif
